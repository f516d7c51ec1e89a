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
        check(scores, labels)?;
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

/// The judged images of one class in order of score, each to be counted any number of times: what a
/// bootstrap ranks over and over without sorting again.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Rows of the judged images, best first, and whether each shows the class.
    rows: Vec<(u32, bool)>,
    /// Of each tie, best first: its score and where it ends in `rows`.
    ties: Vec<(f32, usize)>,
}

impl Order {
    /// Sorts images by score; `scores` and `labels` are in list order.
    ///
    /// # Errors
    /// As [`Ranking::new`].
    pub fn new(scores: &[f32], labels: &[Label]) -> Result<Self> {
        check(scores, labels)?;
        let judged = (0u32..).zip(scores.iter().zip(labels)).filter(|(_, (score, label))| {
            **label != Label::Ignored && **score != f32::NEG_INFINITY
        });
        // Adding zero makes −0 equal to 0, which `total_cmp` would tell apart.
        let mut judged: Vec<(f32, u32, bool)> =
            judged.map(|(row, (score, label))| (score + 0.0, row, *label == Label::Yes)).collect();
        judged.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut ties: Vec<(f32, usize)> = Vec::new();
        for tied in judged.chunk_by(|a, b| a.0 == b.0) {
            let start = ties.last().map_or(0, |tie| tie.1);
            ties.push((tied[0].0, start + tied.len()));
        }
        let rows = judged.into_iter().map(|(_, row, positive)| (row, positive)).collect();
        Ok(Self { rows, ties })
    }

    /// The ranking of a list that holds image `i` `counts[i]` times. All ones give that of
    /// [`Ranking::new`], without its numbers of ignored and unscored images. Takes `O(n)`.
    ///
    /// # Panics
    /// When there are fewer counts than images.
    pub fn counted(&self, counts: &[u32]) -> Ranking {
        let mut ranking =
            Ranking { ties: Vec::new(), positives: 0, negatives: 0, ignored: 0, unscored: 0 };
        let mut start = 0;
        for &(score, end) in &self.ties {
            let mut tie = Tie { score, positives: 0, negatives: 0 };
            for &(row, positive) in &self.rows[start..end] {
                let side = if positive { &mut tie.positives } else { &mut tie.negatives };
                *side += counts[row as usize] as usize;
            }
            start = end;
            // A tie of which no image was drawn has no precision.
            if tie.images() > 0 {
                ranking.positives += tie.positives;
                ranking.negatives += tie.negatives;
                ranking.ties.push(tie);
            }
        }
        ranking
    }

    /// Percentile rank of each of `images` images: the share of the other judged ones that score lower,
    /// equal ones by half; `None` for an image that is not judged. A single one has ½.
    ///
    /// # Panics
    /// When there are fewer images than were ranked.
    pub fn percentile_ranks(&self, images: usize) -> Vec<Option<f64>> {
        let mut ranks = vec![None; images];
        let judged = self.rows.len();
        let mut start = 0;
        for &(_, end) in &self.ties {
            let others = judged.saturating_sub(1);
            let lower = (judged - end) as f64 + (end - start - 1) as f64 / 2.0;
            let rank = if others == 0 { 0.5 } else { lower / others as f64 };
            self.rows[start..end].iter().for_each(|&(row, _)| ranks[row as usize] = Some(rank));
            start = end;
        }
        ranks
    }
}

/// Refuses what cannot be ranked.
fn check(scores: &[f32], labels: &[Label]) -> Result<()> {
    if scores.len() != labels.len() {
        let (expected, got) = (scores.len(), labels.len());
        return Err(Error::Shape { what: "labels of a ranking", expected, got });
    }
    match scores.iter().position(|score| score.is_nan()) {
        None => Ok(()),
        Some(row) => {
            let problem = format!("the score in row {row} is NaN");
            Err(Error::Numerical { what: "ranking", problem })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Ignored, No, Yes};

    #[test]
    fn an_order_counts_images_as_a_longer_list_would() {
        let scores = [1.0, 0.0, 2.0, -0.0, f32::NEG_INFINITY, 0.0, f32::INFINITY];
        let labels = [Yes, No, Ignored, Yes, No, Yes, No];
        let order = Order::new(&scores, &labels).unwrap();
        let whole = Ranking { ignored: 0, unscored: 0, ..Ranking::new(&scores, &labels).unwrap() };
        assert_eq!(order.counted(&[1; 7]), whole);
        let (mut long, mut long_labels) = (Vec::new(), Vec::new());
        let counts = [0, 2, 5, 3, 1, 0, 4];
        for (row, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                long.push(scores[row]);
                long_labels.push(labels[row]);
            }
        }
        let long = Ranking::new(&long, &long_labels).unwrap();
        assert_eq!(order.counted(&counts), Ranking { ignored: 0, unscored: 0, ..long });
        assert_eq!(order.counted(&[0; 7]).ties().count(), 0);
        // Five judged: one at the top, one next, three that share the places 0, 1 and 2 of 4.
        let ranks = order.percentile_ranks(7);
        let quarter = Some(0.25);
        assert_eq!(ranks, [Some(0.75), quarter, None, quarter, None, quarter, Some(1.0)]);
        assert_eq!(Order::new(&[3.0], &[Yes]).unwrap().percentile_ranks(1), [Some(0.5)]);
    }

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
