//! Precision-recall curve of one class, held as integers.
//!
//! The rank of an image is the number of judged images that score at least as high, so that the images
//! of a tie have the rank of its end. With `P` positives at ranks `r_1 ≤ … ≤ r_P` the curve is known
//! exactly:
//!
//! ```text
//! recall_i = i / P     precision_i = i / r_i
//! envelope_i = max over j ≥ i of precision_j          interpolated(t) = envelope at ⌈t·P⌉
//! ```
//!
//! Within a tie only the last `i` is a precision that some threshold has, and the largest: the envelope
//! takes that one. Between two positives the precision falls at constant recall, so nothing else is to be
//! stored but where ties begin, for the drawing.
//! Source: VOC devkit, `VOCpr.m`; ties as in [`ranking`](super::ranking).

use serde::{Deserialize, Serialize};

use super::ranking::Ranking;
use crate::ranking::{envelope, positive_ranks};

/// The precision-recall curve of one class. See the [module docs](self).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Curve {
    /// Ranks of the positive images among the judged ones, from 1, ascending.
    positive_ranks: Vec<usize>,
    /// Ties that hold a positive: how many images score higher, and the rank of their end.
    ties: Vec<[usize; 2]>,
    /// Number of images that are not ignored and have a score.
    judged: usize,
}

/// Levels of recall of the 11-point measure: 0, 0.1, …, 1.
pub const LEVELS: usize = 11;

impl Curve {
    /// The curve of a ranking; empty when it has no positive.
    pub fn new(ranking: &Ranking) -> Self {
        let (mut ties, mut judged) = (Vec::new(), 0);
        for tie in ranking.ties() {
            let above = judged;
            judged += tie.images();
            if tie.positives > 0 && tie.images() > 1 {
                ties.push([above, judged]);
            }
        }
        Self { positive_ranks: positive_ranks(ranking.ties()), ties, judged }
    }

    /// Number of positives `P`.
    pub fn positives(&self) -> usize {
        self.positive_ranks.len()
    }

    /// Precision of a random order: the share of positives among the judged images. `None` when
    /// there is no positive.
    pub fn chance(&self) -> Option<f64> {
        (self.positives() > 0).then(|| self.positives() as f64 / self.judged as f64)
    }

    /// The largest precision at the recall of each positive or beyond, `P` values, descending.
    pub fn envelope(&self) -> Vec<f64> {
        envelope(&self.positive_ranks)
    }

    /// The largest precision at recall ≥ 0, 0.1, …, 1; `None` when there is no positive.
    ///
    /// Levels are compared in integers, `10·i ≥ level·P`: in floating point a recall that hits a
    /// level exactly falls on either side of it, as 0.1 steps happen to be formed.
    pub fn interpolated(&self) -> Option<[f64; LEVELS]> {
        let envelope = self.envelope();
        let positives = envelope.len();
        // The first positive for level 0: no precision before it is larger than its own.
        (positives > 0).then(|| {
            std::array::from_fn(|level| envelope[(level * positives).div_ceil(10).max(1) - 1])
        })
    }

    /// Every corner of the curve as `(recall, precision)`, from recall 0 to 1; empty when there is
    /// no positive.
    pub fn corners(&self) -> Vec<(f64, f64)> {
        let positives = self.positives();
        let mut corners = Vec::with_capacity(2 * positives + 1);
        let (mut last_rank, mut found) = (0, 0);
        let mut ties = self.ties.iter().peekable();
        for equal in self.positive_ranks.chunk_by(|a, b| a == b) {
            let rank = equal[0];
            let above = ties.next_if(|tie| tie[1] == rank).map_or(rank - 1, |tie| tie[0]);
            let before = found;
            found += equal.len();
            if above > last_rank {
                // Foot of the tooth: after the negatives before this positive.
                corners.push((ratio(before, positives), ratio(before, above)));
            } else if before == 0 {
                // 1 for a positive at the very top; a tie there has one precision throughout.
                corners.push((0.0, ratio(found, rank)));
            }
            corners.push((ratio(found, positives), ratio(found, rank)));
            last_rank = rank;
        }
        if positives > 0 && self.judged > last_rank {
            corners.push((1.0, ratio(positives, self.judged)));
        }
        corners
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Leaves out points of a polyline that are nowhere further than `tolerance` from what is left
/// (Ramer 1972, Douglas & Peucker 1973). First and last point stay.
pub fn thinned(points: &[(f64, f64)], tolerance: f64) -> Vec<(f64, f64)> {
    let mut keep = vec![false; points.len()];
    let mut open = Vec::new();
    if let Some(last) = points.len().checked_sub(1) {
        keep[0] = true;
        keep[last] = true;
        open.push((0, last));
    }
    while let Some((first, last)) = open.pop() {
        let furthest = (first + 1..last)
            .map(|i| (distance(points[i], points[first], points[last]), i))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, i)) = furthest.filter(|(distance, _)| *distance > tolerance) {
            keep[i] = true;
            open.extend([(first, i), (i, last)]);
        }
    }
    points.iter().zip(keep).filter(|(_, keep)| *keep).map(|(point, _)| *point).collect()
}

/// Distance of a point from the segment between `a` and `b`.
fn distance(point: (f64, f64), a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (px, py) = (point.0 - a.0, point.1 - a.1);
    let squared = dx * dx + dy * dy;
    let along = if squared > 0.0 { ((px * dx + py * dy) / squared).clamp(0.0, 1.0) } else { 0.0 };
    (px - along * dx).hypot(py - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label::{No, Yes};
    use crate::random::Seed;

    fn curve(positive_ranks: &[usize], judged: usize) -> Curve {
        Curve { positive_ranks: positive_ranks.to_vec(), ties: Vec::new(), judged }
    }

    #[test]
    fn a_tie_is_one_step() {
        // + (+ + − −) − (+ −): precision 1, 3/5, then 4/8 after a fall to 3/6.
        let labels = [Yes, Yes, No, Yes, No, No, No, Yes];
        let scores = [5.0, 4.0, 4.0, 4.0, 4.0, 3.0, 2.0, 2.0];
        let curve = Curve::new(&Ranking::new(&scores, &labels).unwrap());
        assert_eq!(curve.positive_ranks, [1, 5, 5, 8]);
        assert_eq!(curve.ties, [[1, 5], [6, 8]]);
        assert_eq!(curve.envelope(), [1.0, 0.6, 0.6, 0.5]);
        let corners = [(0.0, 1.0), (0.25, 1.0), (0.75, 0.6), (0.75, 0.5), (1.0, 0.5)];
        assert_eq!(curve.corners(), corners);
        // Constant scores: the share of positives, whatever the recall.
        let curve = Curve::new(&Ranking::new(&[0.0; 8], &labels).unwrap());
        assert_eq!(curve.corners(), [(0.0, 0.5), (1.0, 0.5)]);
        assert_eq!((curve.interpolated(), curve.chance()), (Some([0.5; LEVELS]), Some(0.5)));
    }

    #[test]
    fn corners_follow_every_rank() {
        // + - + - : precision 1, 1/2, 2/3, 2/4.
        let corners = curve(&[1, 3], 4).corners();
        assert_eq!(corners, [(0.0, 1.0), (0.5, 1.0), (0.5, 0.5), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
        // - + : nothing retrieved at rank 1.
        assert_eq!(curve(&[2], 2).corners(), [(0.0, 0.0), (1.0, 0.5)]);
        assert_eq!(curve(&[], 3).corners(), []);
        assert_eq!(curve(&[], 3).interpolated(), None);
    }

    #[test]
    fn a_recall_on_a_level_counts_for_it() {
        // Ten positives, each at twice its number: precision 1/2 throughout but for the first.
        let ranks: Vec<usize> = (1..=10).map(|i| if i == 1 { 1 } else { 2 * i }).collect();
        let levels = curve(&ranks, 20).interpolated().unwrap();
        assert_eq!(levels[..2], [1.0, 1.0]);
        assert_eq!(levels[2..], [0.5; 9]);
    }

    #[test]
    fn a_thinned_curve_stays_within_its_tolerance() {
        let mut stream = Seed(3).stream("curve", 0);
        let ranks = stream.sample(8000, 2000).into_iter().map(|i| i + 1).collect::<Vec<_>>();
        let corners = curve(&ranks, 8000).corners();
        for tolerance in [1e-4, 1e-3, 1e-2] {
            let thin = thinned(&corners, tolerance);
            assert!(thin.len() < corners.len());
            for point in &corners {
                let nearest = thin
                    .windows(2)
                    .map(|w| distance(*point, w[0], w[1]))
                    .fold(f64::INFINITY, f64::min);
                assert!(nearest <= tolerance, "{point:?} is {nearest} away");
            }
        }
        assert_eq!(thinned(&[], 1.0), []);
        assert_eq!(thinned(&[(1.0, 2.0)], 1.0), [(1.0, 2.0)]);
    }
}
