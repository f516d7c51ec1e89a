//! One class's images in order of score: what every measure of this module counts on.
//!
//! Images that are ignored for the class leave first; the rest are sorted by descending score.
//! The sort is stable, so equal scores keep the order of the list, as MATLAB's `sort(-out)` in the
//! VOC devkit does; −0 and 0 are equal. An infinite score is a score (−∞: no score was given);
//! NaN is refused.

use crate::dataset::Label;
use crate::{Error, Result};

/// Judged images of one class, best first. See the [module docs](self).
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Score and whether the image shows the class.
    judged: Vec<(f32, bool)>,
    positives: usize,
    ignored: usize,
}

/// Images of equal score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tie {
    /// Their score.
    pub score: f32,
    /// How many of them show the class.
    pub positives: usize,
    /// How many do not.
    pub negatives: usize,
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
            // Adding zero makes −0 equal to 0, which `total_cmp` would tell apart.
            .map(|(score, label)| (score + 0.0, *label == Label::Yes))
            .collect();
        judged.sort_by(|a, b| b.0.total_cmp(&a.0));
        let positives = judged.iter().filter(|(_, positive)| *positive).count();
        let ignored = scores.len() - judged.len();
        Ok(Self { judged, positives, ignored })
    }

    /// Number of images that show the class.
    pub fn positives(&self) -> usize {
        self.positives
    }

    /// Number of images that do not.
    pub fn negatives(&self) -> usize {
        self.judged.len() - self.positives
    }

    /// Number of images left out.
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// Number of judged images with score −∞, that is without a score.
    pub fn unscored(&self) -> usize {
        self.judged.iter().rev().take_while(|(score, _)| *score == f32::NEG_INFINITY).count()
    }

    /// Ranks of the positive images, 1 for the best judged image, ascending.
    pub fn positive_ranks(&self) -> impl Iterator<Item = usize> {
        self.judged.iter().zip(1..).filter(|((_, positive), _)| *positive).map(|(_, rank)| rank)
    }

    /// Images of equal score together, best first.
    pub fn ties(&self) -> impl Iterator<Item = Tie> {
        self.judged.chunk_by(|a, b| a.0 == b.0).map(|tied| {
            let positives = tied.iter().filter(|(_, positive)| *positive).count();
            Tie { score: tied[0].0, positives, negatives: tied.len() - positives }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Ignored, No, Yes};

    #[test]
    fn ties_keep_list_order_and_ignored_images_leave() {
        let scores = [1.0, 0.0, 2.0, -0.0, f32::NEG_INFINITY, 0.0];
        let ranking = Ranking::new(&scores, &[Yes, No, Ignored, Yes, No, Yes]).unwrap();
        assert_eq!(ranking.positive_ranks().collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!((ranking.positives(), ranking.negatives(), ranking.ignored()), (3, 2, 1));
        assert_eq!(ranking.unscored(), 1);
        let ties: Vec<_> = ranking.ties().map(|t| (t.score, t.positives, t.negatives)).collect();
        assert_eq!(ties, [(1.0, 1, 0), (0.0, 2, 1), (f32::NEG_INFINITY, 0, 1)]);
    }

    #[test]
    fn nan_and_uneven_lengths_are_refused() {
        let nan = Ranking::new(&[0.0, f32::NAN], &[Yes, Ignored]).unwrap_err();
        assert_eq!(nan.to_string(), "ranking: the score in row 1 is NaN");
        assert!(matches!(Ranking::new(&[0.0], &[]), Err(Error::Shape { .. })));
    }
}
