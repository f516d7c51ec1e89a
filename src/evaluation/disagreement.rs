//! Images that one of two classifiers gets right and the other wrong.
//!
//! Of data with one class an image, an image is right when the class of its largest score is its own and no
//! other class has that score; it is listed under its own class. Otherwise each class decides by the sign of
//! its score (above 0: shown), and an image may be listed under several classes.
//!
//! Scores of two classifiers are on scales of their own. How far they disagree is therefore told by
//! percentile ranks: the share of the images that a classifier puts below this one, for the class.

use ndarray::ArrayView2;
use serde::Serialize;

use super::decision::best;
use super::paired::Paired;
use super::ranking::Order;
use crate::Result;
use crate::dataset::Label;

/// An image that one side gets right alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Disagreement {
    /// Row of the image.
    pub image: usize,
    /// The class that it is about.
    pub class: usize,
    /// Whether the image shows the class.
    pub shown: bool,
    /// The side that is right: 0 is A, 1 is B.
    pub right: usize,
    /// Scores for the class, of A and B.
    pub scores: [f32; 2],
    /// Percentile ranks of these, 0 to 1.
    pub ranks: [f64; 2],
    /// Of single-label data: the class of the largest score, the first one where several have it.
    pub winners: Option<[usize; 2]>,
}

impl Disagreement {
    /// How far the scores disagree: the difference of the ranks, 0 to 1.
    pub fn distance(&self) -> f64 {
        (self.ranks[1] - self.ranks[0]).abs()
    }
}

/// All images that one side gets right alone: class by class, the largest distance first, equal ones in list
/// order. Labels that are ignored and images without a score are left out.
///
/// # Errors
/// As [`Order::new`].
pub fn disagreements(paired: &Paired<'_>) -> Result<Vec<Disagreement>> {
    let images = paired.labels.len();
    let winners: Vec<Option<[Vec<usize>; 2]>> = match paired.single_label {
        true => (0..images).map(|image| Some(paired.scores.map(|s| winners(s, image)))).collect(),
        false => vec![None; images],
    };
    let mut all = Vec::new();
    for class in 0..paired.scores[0].ncols() {
        let labels: Vec<Label> = paired.labels.iter().map(|labels| labels[class]).collect();
        let ranks = |scores: ArrayView2<'_, f32>| -> Result<Vec<Option<f64>>> {
            Ok(Order::new(&scores.column(class).to_vec(), &labels)?.percentile_ranks(images))
        };
        let [a, b] = paired.scores.map(ranks);
        let mut found = Vec::new();
        for (image, ranks) in a?.into_iter().zip(b?).enumerate() {
            let (Some(a), Some(b)) = ranks else { continue };
            let shown = labels[image] == Label::Yes;
            let scores = paired.scores.map(|scores| scores[[image, class]]);
            let right = match &winners[image] {
                // Under its own class alone.
                Some(_) if !shown => continue,
                Some(winners) => [0, 1].map(|side| winners[side] == [class]),
                None => scores.map(|score| (score > 0.0) == shown),
            };
            if right[0] == right[1] {
                continue;
            }
            found.push(Disagreement {
                image,
                class,
                shown,
                right: usize::from(right[1]),
                scores,
                ranks: [a, b],
                winners: winners[image]
                    .as_ref()
                    .and_then(|[a, b]| Some([*a.first()?, *b.first()?])),
            });
        }
        found.sort_by(|a, b| b.distance().total_cmp(&a.distance()).then(a.image.cmp(&b.image)));
        all.extend(found);
    }
    Ok(all)
}

/// The classes that have the largest score of an image.
fn winners(scores: ArrayView2<'_, f32>, image: usize) -> Vec<usize> {
    best(scores.row(image).iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Ignored, No, Yes};
    use ndarray::array;

    #[test]
    fn with_several_classes_the_sign_decides_and_ranks_tell_how_far() {
        let labels = [vec![Yes], vec![Yes], vec![No], vec![Ignored], vec![No]];
        let a = array![[2.0], [1.0], [-1.0], [5.0], [-2.0]];
        // Another scale; the second image is missed, the last one taken for the class.
        let b = array![[200.0], [-1.0], [-3.0], [-5.0], [100.0]];
        let paired = Paired { labels: &labels, scores: [a.view(), b.view()], single_label: false };
        let found = disagreements(&paired).unwrap();
        let short: Vec<_> = found.iter().map(|d| (d.image, d.shown, d.right, d.ranks)).collect();
        let third = 1.0 / 3.0;
        assert_eq!(short, [(4, false, 0, [0.0, 2.0 * third]), (1, true, 0, [2.0 * third, third])]);
        assert_eq!((found[0].scores, found[0].winners), ([-2.0, 100.0], None));
    }

    #[test]
    fn with_one_class_the_winner_decides_and_a_tie_is_not_right() {
        let labels = [vec![Yes, No], vec![No, Yes], vec![No, Yes]];
        let a = array![[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]];
        let b = array![[0.0, 1.0], [0.0, 1.0], [0.0, 2.0]];
        let paired = Paired { labels: &labels, scores: [a.view(), b.view()], single_label: true };
        let found = disagreements(&paired).unwrap();
        let short: Vec<_> = found.iter().map(|d| (d.image, d.class, d.right, d.winners)).collect();
        assert_eq!(short, [(0, 0, 0, Some([0, 1])), (1, 1, 1, Some([0, 1]))]);
    }
}
