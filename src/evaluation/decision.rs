//! What scores decide: the classes that an image is said to show, and precision, recall and F1 of that.
//!
//! With the images that show a class, those that are said to show it, and those of both:
//!
//! ```text
//! precision = right / said      recall = right / shown      F1 = 2 · right / (said + shown)
//! ```
//!
//! Nothing said has no precision, and nothing shown neither recall nor F1 (`None`). An image of which `k`
//! classes share the largest score counts `1/k` for each, as in [`super::confusion`]. Ignored images and those
//! without a score are in none of the three. Source: Rij79, chapter 7.

use std::collections::BTreeMap;

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::ranking::Ranking;
use crate::dataset::Label;

/// How scores decide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// An image shows the class of its largest score.
    BestClass,
    /// An image shows every class of a score above this one.
    ScoreAbove(f64),
}

impl Decision {
    /// In words, for people: what an image is said to show.
    pub fn in_words(self) -> String {
        match self {
            Self::BestClass => "the class of the largest score".to_owned(),
            Self::ScoreAbove(score) => format!("every class of a score above {score}"),
        }
    }

    /// The classes that an image of these scores is said to show; all of equal best ones.
    pub fn classes(self, scores: impl Iterator<Item = f32>) -> Vec<usize> {
        match self {
            Self::BestClass => best(scores),
            Self::ScoreAbove(least) => {
                let scores = scores.enumerate().filter(|(_, score)| f64::from(*score) > least);
                scores.map(|(class, _)| class).collect()
            }
        }
    }
}

/// What stands between several classes of an image in a table.
const BETWEEN: &str = "|";

/// The end of an image's record in a table of predictions: true classes, predicted ones, then the score of each
/// class; `None` for an image without a score.
pub(crate) fn record(
    classes: &[String],
    labels: &[Label],
    scores: ArrayView1<'_, f32>,
    decision: Decision,
) -> Option<Vec<String>> {
    if scores.iter().any(|score| !score.is_finite()) {
        return None;
    }
    let named = |shown: Vec<usize>| {
        shown.iter().map(|&class| classes[class].as_str()).collect::<Vec<_>>().join(BETWEEN)
    };
    let shown = (0..classes.len()).filter(|&class| labels[class] == Label::Yes).collect();
    let predicted = decision.classes(scores.iter().copied());
    let numbers = scores.iter().map(|score| score.to_string());
    Some([named(shown), named(predicted)].into_iter().chain(numbers).collect())
}

/// Indices of the largest value; none when nothing exceeds −∞.
pub(super) fn best(values: impl Iterator<Item = f32>) -> Vec<usize> {
    let (mut best, mut most) = (Vec::new(), f32::NEG_INFINITY);
    for (i, value) in values.enumerate() {
        if value > most {
            best.clear();
            most = value;
        }
        if value == most && value > f32::NEG_INFINITY {
            best.push(i);
        }
    }
    best
}

/// The one class that an image shows.
pub(super) fn truth(labels: &[Label]) -> Option<usize> {
    let mut shown = (0..labels.len()).filter(|&class| labels[class] == Label::Yes);
    shown.next().filter(|_| shown.next().is_none())
}

/// Images of one class that were decided, in images and parts of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Decided {
    pub right: f64,
    pub said: f64,
    pub shown: f64,
}

impl Decided {
    pub fn precision(self) -> Option<f64> {
        (self.said > 0.0).then(|| self.right / self.said)
    }

    pub fn recall(self) -> Option<f64> {
        (self.shown > 0.0).then(|| self.right / self.shown)
    }

    pub fn f1(self) -> Option<f64> {
        (self.shown > 0.0).then(|| 2.0 * self.right / (self.said + self.shown))
    }

    /// Those of a ranking whose scores are above `least`.
    pub fn above(least: f64, ranking: &Ranking) -> Self {
        let said = ranking.ties().take_while(|tie| f64::from(tie.score) > least);
        let (right, wrong) =
            said.fold((0, 0), |(p, n), tie| (p + tie.positives, n + tie.negatives));
        let shown = ranking.positives() as f64;
        Self { right: right as f64, said: (right + wrong) as f64, shown }
    }
}

/// Images counted, and parts of them by their size: the order of images changes no bit of the sum.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(BTreeMap<usize, u64>);

impl Tally {
    /// Adds `images` images, each one of `parts` equal parts.
    pub fn add(&mut self, images: u32, parts: usize) {
        *self.0.entry(parts).or_default() += u64::from(images);
    }

    pub fn sum(&self) -> f64 {
        self.0.iter().fold(0.0, |sum, (&parts, &images)| sum + images as f64 / parts as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label::{Ignored, No, Yes};

    #[test]
    fn a_threshold_takes_what_is_above_it() {
        let labels = [Yes, No, Yes, Yes, Ignored, Yes];
        let scores = [2.0, 1.5, 1.0, 0.5, 9.0, f32::NEG_INFINITY];
        let ranking = Ranking::new(&scores, &labels).unwrap();
        let decided = Decided::above(0.5, &ranking);
        assert_eq!(decided, Decided { right: 2.0, said: 3.0, shown: 3.0 });
        assert_eq!(decided.precision(), Some(2.0 / 3.0));
        assert_eq!(decided.recall(), Some(2.0 / 3.0));
        assert_eq!(decided.f1(), Some(2.0 / 3.0));
        let nothing = Decided::above(2.0, &ranking);
        assert_eq!((nothing.precision(), nothing.recall()), (None, Some(0.0)));
        assert_eq!(nothing.f1(), Some(0.0));
        assert_eq!(Decided::default().f1(), None);
    }

    #[test]
    fn the_best_class_or_every_class_above() {
        let scores = [0.5, -1.0, 0.5];
        assert_eq!(Decision::BestClass.classes(scores.into_iter()), [0, 2]);
        assert_eq!(Decision::ScoreAbove(-1.0).classes(scores.into_iter()), [0, 2]);
        assert_eq!(Decision::ScoreAbove(-2.0).classes(scores.into_iter()), [0, 1, 2]);
        assert!(Decision::BestClass.classes([f32::NEG_INFINITY].into_iter()).is_empty());
    }
}
