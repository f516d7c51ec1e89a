//! Confusion matrix and accuracies of images that have exactly one class.
//!
//! The prediction is the class of the largest score, the first of equal ones. An image whose scores
//! are all −∞ was never scored: it has no prediction and counts as wrong.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::dataset::Label;
use crate::{Error, Result};

/// How often images of one class were taken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Class names, `C` of them.
    pub classes: Vec<String>,
    /// `counts[truth][predicted]`, `C × C`.
    pub counts: Vec<Vec<usize>>,
    /// Images of each class without any score.
    pub without_prediction: Vec<usize>,
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
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        let mut without_prediction = vec![0; classes.len()];
        for ((id, labels), scores) in ids.iter().zip(labels).zip(scores.rows()) {
            let mut shown = (0..labels.len()).filter(|&class| labels[class] == Label::Yes);
            match (shown.next(), shown.next()) {
                (Some(truth), None) => match largest(scores.iter().copied()) {
                    Some(predicted) => counts[truth][predicted] += 1,
                    None => without_prediction[truth] += 1,
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
        Ok(Self { classes: classes.to_vec(), counts, without_prediction })
    }

    /// Number of images of a class.
    pub fn images_of(&self, class: usize) -> usize {
        self.counts[class].iter().sum::<usize>() + self.without_prediction[class]
    }

    /// Share of a class's images that were recognised; `None` when it has no image.
    pub fn class_accuracy(&self, class: usize) -> Option<f64> {
        let images = self.images_of(class);
        (images > 0).then(|| self.counts[class][class] as f64 / images as f64)
    }

    /// Both accuracies; `None` when there is no image.
    pub fn accuracy(&self) -> Option<Accuracy> {
        let classes = 0..self.classes.len();
        let images: usize = classes.clone().map(|class| self.images_of(class)).sum();
        let right: usize = classes.clone().map(|class| self.counts[class][class]).sum();
        let shares: Vec<f64> = classes.filter_map(|class| self.class_accuracy(class)).collect();
        (images > 0).then(|| Accuracy {
            overall: right as f64 / images as f64,
            mean_class: shares.iter().sum::<f64>() / shares.len() as f64,
        })
    }

    /// The most frequent mistakes as `(truth, predicted, images)`, at most `limit`, most frequent
    /// first, equal ones in class order.
    pub fn mistakes(&self, limit: usize) -> Vec<(usize, usize, usize)> {
        let mut mistakes: Vec<_> = (self.counts.iter().enumerate())
            .flat_map(|(truth, row)| row.iter().enumerate().map(move |(p, &n)| (truth, p, n)))
            .filter(|(truth, predicted, images)| truth != predicted && *images > 0)
            .collect();
        mistakes.sort_by_key(|(_, _, images)| std::cmp::Reverse(*images));
        mistakes.truncate(limit);
        mistakes
    }
}

/// Index of the largest value, the first of equal ones; `None` when nothing exceeds −∞.
fn largest(values: impl Iterator<Item = f32>) -> Option<usize> {
    let mut best = None;
    let mut most = f32::NEG_INFINITY;
    for (i, value) in values.enumerate() {
        if value > most {
            (best, most) = (Some(i), value);
        }
    }
    best
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
    fn rows_are_truths_and_the_first_of_equal_scores_wins() {
        let scores = array![[0.5, 0.5, 0.0], [0.1, 0.2, 0.0], [0.3, 0.1, -1.0], [MISSING; 3]];
        let labels = [vec![Yes, No, No], vec![Yes, No, No], vec![No, Yes, No], vec![No, Yes, No]];
        let ids = names(&["p", "q", "r", "s"]);
        let confusion =
            Confusion::new(&ids, &names(&["a", "b", "c"]), &labels, scores.view()).unwrap();
        assert_eq!(confusion.counts, [[1, 1, 0], [1, 0, 0], [0, 0, 0]]);
        assert_eq!(confusion.without_prediction, [0, 1, 0]);
        // c has no image and is left out of the mean: (1/2 + 0/2) / 2.
        assert_eq!(confusion.accuracy(), Some(Accuracy { overall: 0.25, mean_class: 0.25 }));
        assert_eq!(confusion.mistakes(5), [(0, 1, 1), (1, 0, 1)]);
        assert_eq!(confusion.mistakes(1), [(0, 1, 1)]);
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
