//! Near copies: images whose vectors lie closer together than those of different pictures do.
//!
//! `c_ij` is the cosine of two images' vectors. How close different pictures are depends on how they are
//! described, and on the picture: a wall is like many walls. So a pair is compared with what is usual for the
//! two: `s_i` is the cosine of image `i` and its tenth-nearest, `s` the larger one of both images', and
//!
//! ```text
//! i and j are near copies when c_ij ≥ max(0.2, min(2 s, ½ (1 + s)))
//! ```
//!
//! twice as close as is usual, or halfway from there to the same. A picture may have nine near copies before
//! they are its usual neighbours. docs/RESULTS.md has what that finds. An outlier is an image whose ten nearest
//! are as far as those of few others.

use ndarray::ArrayView2;
use rayon::prelude::*;

/// Neighbours that an image is compared with.
const NEIGHBOURS: usize = 10;
/// A near copy is so many times as close as is usual.
const CLOSER: f32 = 2.0;
/// A smaller cosine is that of no copy.
const LEAST: f32 = 0.2;
/// An outlier's neighbours are so many times as far below the lower quartile as that is below the median.
const OUTLYING: f32 = 4.0;

/// What the cosines of images say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Neighbours {
    /// Near copies, the closest first: two images, their cosine, and what is usual for them.
    pub pairs: Vec<(usize, usize, [f32; 2])>,
    /// Images far from all others, the farthest first, each with the mean cosine of its nearest.
    pub outliers: Vec<(usize, f32)>,
    /// The lowest such mean that is no outlier's.
    pub usual: f32,
}

/// The neighbours of `n` images by the inner products of their vectors, `n × n`.
pub(super) fn neighbours(products: ArrayView2<'_, f32>) -> Neighbours {
    let n = products.nrows();
    let length: Vec<f32> = products.diag().iter().map(|square| square.max(1e-30).sqrt()).collect();
    let cosine = |i: usize, j: usize| products[[i, j]] / (length[i] * length[j]);
    // The tenth-nearest, and the mean of the ten.
    let nearest: Vec<(f32, f32)> = (0..n)
        .into_par_iter()
        .map(|i| {
            let mut row: Vec<f32> = (0..n).filter(|&j| j != i).map(|j| cosine(i, j)).collect();
            let count = NEIGHBOURS.min(row.len());
            if count == 0 {
                return (1.0, 0.0);
            }
            let (_, &mut tenth, _) = row.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
            row.truncate(count);
            (tenth, row.iter().sum::<f32>() / count as f32)
        })
        .collect();
    let mut pairs: Vec<(usize, usize, [f32; 2])> = (0..n)
        .into_par_iter()
        .flat_map_iter(|i| {
            let nearest = &nearest;
            let pair = move |j: usize| {
                let usual = nearest[i].0.max(nearest[j].0);
                let least = LEAST.max((CLOSER * usual).min(0.5 * (1.0 + usual)));
                let cosine = cosine(i, j);
                (cosine >= least).then_some((j, i, [cosine, usual]))
            };
            (0..i).filter_map(pair)
        })
        .collect();
    pairs.sort_by(|a, b| b.2[0].total_cmp(&a.2[0]).then((a.0, a.1).cmp(&(b.0, b.1))));
    let mut means: Vec<f32> = nearest.iter().map(|nearest| nearest.1).collect();
    means.sort_by(f32::total_cmp);
    let [lower, median] =
        [1, 2].map(|quarter| means.get(means.len() * quarter / 4).copied().unwrap_or(1.0));
    let usual = lower - OUTLYING * (median - lower);
    let mut outliers: Vec<(usize, f32)> =
        nearest.iter().map(|nearest| nearest.1).enumerate().filter(|o| o.1 < usual).collect();
    outliers.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    Neighbours { pairs, outliers, usual }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use ndarray::Array2;

    #[test]
    fn a_pair_closer_than_others_is_found_and_so_is_what_is_far_from_all() {
        let mut stream = Seed(5).stream("near", 0);
        let mut rows = Array2::from_shape_simple_fn((60, 300), || stream.normal() as f32 + 0.5);
        let (copy, noise) = (rows.row(3).to_owned(), 0.1f32);
        rows.row_mut(40).assign(&(&copy + noise));
        rows.row_mut(7).mapv_inplace(|value| -value);
        let found = neighbours(rows.dot(&rows.t()).view());
        assert_eq!(found.pairs.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(), [(3, 40)]);
        assert_eq!(found.outliers.iter().map(|o| o.0).collect::<Vec<_>>(), [7]);
        let [cosine, usual] = found.pairs[0].2;
        assert!(cosine > 2.0 * usual && found.outliers[0].1 < found.usual);
        let none = neighbours(Array2::<f32>::eye(1).view());
        assert!(none.pairs.is_empty() && none.outliers.is_empty());
    }
}
