//! One class's images in order of score: what every measure of this module counts on.
//!
//! Images that are ignored for the class leave first, and so do those without a score (−∞): nothing
//! is known of them. The rest are sorted by descending score. Images of equal score are a tie, in which
//! no image stands before another: a threshold takes all of them or none. −0 and 0 are equal, +∞ is a
//! score, NaN is refused.
//!
//! Source: Faw06, section 6 (equal scores are taken together), as `sklearn.metrics` does. Departs from
//! the VOC devkit, whose `sort(-out)` leaves a tie in the order of the list, so that constant scores
//! have any average precision, as the list happens to be.

use crate::dataset::Label;
pub use crate::ranking::Tie;
use crate::ranking::ties;
use crate::{Error, Result};

/// Judged images of one class, best first. See the [module docs](self).
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    ties: Vec<Tie>,
    positives: usize,
    negatives: usize,
    ignored: usize,
    unscored: usize,
}

impl Ranking {
    /// Ranks images by score; `scores` and `labels` are in list order.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are not as many labels as scores, [`Error::Numerical`] when a
    /// score is NaN, be its image ignored or not.
    pub fn new(scores: &[f32], labels: &[Label]) -> Result<Self> {
        if scores.len() != labels.len() {
            let (expected, got) = (scores.len(), labels.len());
            return Err(Error::Shape { what: "labels of a ranking", expected, got });
        }
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            let problem = format!("the score in row {row} is NaN");
            return Err(Error::Numerical { what: "ranking", problem });
        }
        let mut judged: Vec<(f32, bool)> = scores
            .iter()
            .zip(labels)
            .filter(|(_, label)| **label != Label::Ignored)
            .map(|(score, label)| (*score, *label == Label::Yes))
            .collect();
        let ignored = scores.len() - judged.len();
        judged.retain(|(score, _)| *score != f32::NEG_INFINITY);
        let unscored = scores.len() - ignored - judged.len();
        let count = judged.len();
        let ties = ties(judged);
        let positives = ties.iter().map(|tie| tie.positives).sum();
        Ok(Self { ties, positives, negatives: count - positives, ignored, unscored })
    }

    /// Number of images that show the class.
    pub fn positives(&self) -> usize {
        self.positives
    }

    /// Number of images that do not.
    pub fn negatives(&self) -> usize {
        self.negatives
    }

    /// Number of images left out.
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// Number of images left out because they have no score.
    pub fn unscored(&self) -> usize {
        self.unscored
    }

    /// Number of judged images that have their score in common with another one.
    pub fn tied(&self) -> usize {
        self.ties.iter().map(Tie::images).filter(|&images| images > 1).sum()
    }

    /// Images of equal score together, best first.
    pub fn ties(&self) -> impl Iterator<Item = Tie> {
        self.ties.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Ignored, No, Yes};

    #[test]
    fn equal_scores_are_one_tie_and_ignored_and_unscored_images_leave() {
        let scores = [1.0, 0.0, 2.0, -0.0, f32::NEG_INFINITY, 0.0, f32::INFINITY];
        let ranking = Ranking::new(&scores, &[Yes, No, Ignored, Yes, No, Yes, No]).unwrap();
        assert_eq!((ranking.positives(), ranking.negatives(), ranking.ignored()), (3, 2, 1));
        assert_eq!((ranking.unscored(), ranking.tied()), (1, 3));
        let ties: Vec<_> = ranking.ties().map(|t| (t.score, t.positives, t.negatives)).collect();
        assert_eq!(ties, [(f32::INFINITY, 0, 1), (1.0, 1, 0), (0.0, 2, 1)]);
        // An image that is ignored and has no score is ignored.
        let ranking = Ranking::new(&[f32::NEG_INFINITY], &[Ignored]).unwrap();
        assert_eq!((ranking.ignored(), ranking.unscored()), (1, 0));
    }

    #[test]
    fn nan_and_uneven_lengths_are_refused() {
        let nan = Ranking::new(&[0.0, f32::NAN], &[Yes, Ignored]).unwrap_err();
        assert_eq!(nan.to_string(), "ranking: the score in row 1 is NaN");
        assert!(matches!(Ranking::new(&[0.0], &[]), Err(Error::Shape { .. })));
    }
}
