//! Confusion matrix and accuracies of images that have exactly one class.
//!
//! The prediction is the class of the largest score. Where `k` classes have it, the image counts as `1/k`
//! for each: what a fair choice among them gives on average, whatever the order of the classes. An image
//! whose scores are all −∞ was never scored: it has no prediction, and is in no accuracy.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize, Serializer};

use super::decision::best;
use crate::dataset::Label;
use crate::{Error, Result};

/// How often images of one class were taken for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Class names, `C` of them.
    pub classes: Vec<String>,
    /// `counts[truth][predicted]`, `C × C`: images, and parts of those with several best classes.
    #[serde(serialize_with = "whole_as_integers")]
    pub counts: Vec<Vec<f64>>,
    /// Images of each class without any score; they are not in `counts`.
    pub without_prediction: Vec<usize>,
    /// Images with several best classes.
    pub tied: usize,
}

/// Shares of images whose largest score is that of their own class, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Over all images.
    pub overall: f64,
    /// Mean of the classes' own accuracies; classes without an image are left out.
    pub mean_class: f64,
}

impl Confusion {
    /// Counts predictions. `labels[image][class]`, `scores` is `n × C` without NaN. An image that
    /// is ignored for some class and shows none is left out.
    ///
    /// # Errors
    /// [`Error::Numerical`] naming an image that does not show exactly one class.
    pub fn new(
        ids: &[String],
        classes: &[String],
        labels: &[Vec<Label>],
        scores: ArrayView2<'_, f32>,
    ) -> Result<Self> {
        let mut counts = vec![vec![0.0; classes.len()]; classes.len()];
        let mut without_prediction = vec![0; classes.len()];
        // Whole images first, parts by how large they are: the order of images changes no bit.
        let mut parts: BTreeMap<(usize, usize, usize), u32> = BTreeMap::new();
        let mut tied = 0;
        for ((id, labels), scores) in ids.iter().zip(labels).zip(scores.rows()) {
            let mut shown = (0..labels.len()).filter(|&class| labels[class] == Label::Yes);
            match (shown.next(), shown.next()) {
                (Some(truth), None) => match &best(scores.iter().copied())[..] {
                    [] => without_prediction[truth] += 1,
                    [predicted] => counts[truth][*predicted] += 1.0,
                    several => {
                        tied += 1;
                        for &predicted in several {
                            *parts.entry((several.len(), truth, predicted)).or_default() += 1;
                        }
                    }
                },
                (None, _) if labels.contains(&Label::Ignored) => {}
                (first, _) => {
                    let number = if first.is_none() { "no class" } else { "several classes" };
                    let problem = format!(
                        "image `{id}` shows {number}, but the data set was said to have one class an image"
                    );
                    return Err(Error::Numerical { what: "accuracy", problem });
                }
            }
        }
        for ((several, truth, predicted), images) in parts {
            counts[truth][predicted] += f64::from(images) / several as f64;
        }
        Ok(Self { classes: classes.to_vec(), counts, without_prediction, tied })
    }

    /// Number of images of a class that have a prediction.
    pub fn images_of(&self, class: usize) -> usize {
        // The parts of an image add up to one, to rounding.
        self.counts[class].iter().sum::<f64>().round() as usize
    }

    /// Share of a class's images that were recognised; `None` when it has no image.
    pub fn class_accuracy(&self, class: usize) -> Option<f64> {
        let images = self.images_of(class);
        (images > 0).then(|| self.counts[class][class] / images as f64)
    }

    /// Both accuracies; `None` when there is no image.
    pub fn accuracy(&self) -> Option<Accuracy> {
        let classes = 0..self.classes.len();
        let images: usize = classes.clone().map(|class| self.images_of(class)).sum();
        let right: f64 = classes.clone().map(|class| self.counts[class][class]).sum();
        let shares: Vec<f64> = classes.filter_map(|class| self.class_accuracy(class)).collect();
        (images > 0).then(|| Accuracy {
            overall: right / images as f64,
            mean_class: shares.iter().sum::<f64>() / shares.len() as f64,
        })
    }

    /// Both together, of the same classes.
    pub(super) fn plus(mut self, other: &Self) -> Self {
        for (row, others) in self.counts.iter_mut().zip(&other.counts) {
            row.iter_mut().zip(others).for_each(|(count, other)| *count += other);
        }
        let without = self.without_prediction.iter_mut().zip(&other.without_prediction);
        without.for_each(|(count, other)| *count += other);
        self.tied += other.tied;
        self
    }

    /// The mean of `parts` that were added up.
    pub(super) fn divided(mut self, parts: usize) -> Self {
        self.counts.iter_mut().flatten().for_each(|count| *count /= parts as f64);
        self.without_prediction.iter_mut().for_each(|count| *count /= parts);
        self.tied /= parts;
        self
    }

    /// The most frequent mistakes as `(truth, predicted, images)`, at most `limit`, most frequent
    /// first, equal ones in class order.
    pub fn mistakes(&self, limit: usize) -> Vec<(usize, usize, f64)> {
        let mut mistakes: Vec<_> = (self.counts.iter().enumerate())
            .flat_map(|(truth, row)| row.iter().enumerate().map(move |(p, &n)| (truth, p, n)))
            .filter(|(truth, predicted, images)| truth != predicted && *images > 0.0)
            .collect();
        mistakes.sort_by(|a, b| b.2.total_cmp(&a.2));
        mistakes.truncate(limit);
        mistakes
    }
}

/// A count in words for people: parts of images with two decimals.
pub(super) fn shown(count: f64) -> String {
    if count.fract() == 0.0 { count.to_string() } else { format!("{count:.2}") }
}

/// Whole counts are integers in JSON.
fn whole_as_integers<S: Serializer>(counts: &[Vec<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Count {
        Whole(u64),
        Part(f64),
    }
    let count = |&count: &f64| match count.fract() == 0.0 {
        true => Count::Whole(count as u64),
        false => Count::Part(count),
    };
    serializer.collect_seq(counts.iter().map(|row| row.iter().map(count).collect::<Vec<Count>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Ignored, No, Yes};
    use ndarray::array;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    const MISSING: f32 = f32::NEG_INFINITY;

    #[test]
    fn rows_are_truths_and_equal_scores_share_an_image() {
        let scores = array![[0.5, 0.5, 0.0], [0.1, 0.2, 0.0], [0.3, 0.1, -1.0], [MISSING; 3]];
        let labels = [vec![Yes, No, No], vec![Yes, No, No], vec![No, Yes, No], vec![No, Yes, No]];
        let ids = names(&["p", "q", "r", "s"]);
        let confusion =
            Confusion::new(&ids, &names(&["a", "b", "c"]), &labels, scores.view()).unwrap();
        assert_eq!(confusion.counts, [[0.5, 1.5, 0.0], [1.0, 0.0, 0.0], [0.0; 3]]);
        assert_eq!((confusion.without_prediction.as_slice(), confusion.tied), (&[0, 1, 0][..], 1));
        assert_eq!([0, 1, 2].map(|class| confusion.images_of(class)), [2, 1, 0]);
        // s has no score and is in neither; c has no image: ½ of 3, and the mean of ½/2 and 0/1.
        let accuracy = Accuracy { overall: 0.5 / 3.0, mean_class: 0.125 };
        assert_eq!(confusion.accuracy(), Some(accuracy));
        assert_eq!(confusion.mistakes(5), [(0, 1, 1.5), (1, 0, 1.0)]);
        assert_eq!(confusion.mistakes(1), [(0, 1, 1.5)]);
        let json = serde_json::to_string(&confusion).unwrap();
        assert!(json.contains("[[0.5,1.5,0],[1,0,0],[0,0,0]]"), "{json}");
        assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), confusion);
    }

    /// What a fair draw among the best classes gives on average: every draw is counted.
    #[test]
    fn accuracy_is_the_mean_over_every_choice_among_equal_scores() {
        let scores = array![[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 3.0, 3.0], [5.0, 0.0, 5.0]];
        let truths = [0, 2, 0, 2];
        let labels = truths.map(|truth| {
            (0..3).map(|class| if class == truth { Yes } else { No }).collect::<Vec<_>>()
        });
        let classes = names(&["a", "b", "c"]);
        let ids = names(&["p", "q", "r", "s"]);
        let of = |scores: &ndarray::Array2<f32>| {
            Confusion::new(&ids, &classes, &labels, scores.view()).unwrap()
        };
        let (mut sums, mut choices) = ([0.0; 2], 0.0);
        for choice in 0..81 {
            let picks: Vec<usize> = (0..4).map(|image| choice / 3usize.pow(image) % 3).collect();
            let most = |image: usize| scores.row(image).iter().copied().fold(f32::MIN, f32::max);
            if (0..4).all(|image| scores[[image, picks[image]]] == most(image)) {
                let mut decided = scores.clone();
                (0..4).for_each(|image| decided[[image, picks[image]]] += 1.0);
                let accuracy = of(&decided).accuracy().unwrap();
                sums[0] += accuracy.overall;
                sums[1] += accuracy.mean_class;
                choices += 1.0;
            }
        }
        assert_eq!(choices, 24.0);
        let accuracy = of(&scores).accuracy().unwrap();
        // Sums of 24 f64 below one.
        assert!((accuracy.overall - sums[0] / choices).abs() < 1e-14);
        assert!((accuracy.mean_class - sums[1] / choices).abs() < 1e-14);
    }

    #[test]
    fn an_image_with_two_classes_or_none_is_refused_by_name() {
        for (labels, number) in [([Yes, Yes], "several classes"), ([No, No], "no class")] {
            let error = Confusion::new(
                &names(&["img"]),
                &names(&["a", "b"]),
                &[labels.to_vec()],
                array![[0.0, 1.0]].view(),
            );
            let message = error.unwrap_err().to_string();
            assert!(message.contains("`img`") && message.contains(number), "{message}");
        }
    }

    #[test]
    fn ignored_images_and_empty_sets_have_no_accuracy() {
        let ids = names(&["img"]);
        let labels = [vec![Ignored, No]];
        let scores = array![[0.0, 1.0]];
        let confusion = Confusion::new(&ids, &names(&["a", "b"]), &labels, scores.view()).unwrap();
        assert_eq!(confusion.accuracy(), None);
        assert_eq!(confusion.class_accuracy(1), None);
    }
}
