//! Is an explanation about the classifier at all? What it must not do, and where it points.
//!
//! A map that stays as it is when the model is made meaningless explains the image, not the model (Adebayo et
//! al. 2018). The real `R²` of an image's descriptors is compared with that of three others, by Spearman's rank
//! correlation, which ought to fall towards 0:
//!
//! | other | how it is made |
//! |---|---|
//! | random classifier | the weights of the class in another order |
//! | permuted labels | a classifier trained on the training images with their labels mixed up |
//! | random mixture | the components of each mixture change places under the same weights |
//!
//! Where there are boxes, the *pointing game* asks whether the pixel of the highest relevance lies in one (Zhang
//! et al. 2016), and the mass is the share of the positive relevance in them.

use super::context::inside;
use super::pixels::Map;

/// Spearman's rank correlation of two lists of one length; 0 where one of them is constant.
///
/// # Panics
/// When the lists are of different lengths.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "ranks of one length");
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let mut sums = [0.0f64; 3];
    for (a, b) in a.iter().zip(&b) {
        let (a, b) = (a - middle, b - middle);
        sums[0] += a * b;
        sums[1] += a * a;
        sums[2] += b * b;
    }
    let product = (sums[1] * sums[2]).sqrt();
    if product > 0.0 { sums[0] / product } else { 0.0 }
}

/// Ranks from 0; equal values share theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let same = order[start..].iter().take_while(|&&i| values[i] == value).count();
        let shared = start as f64 + (same as f64 - 1.0) / 2.0;
        order[start..start + same].iter().for_each(|&i| ranks[i] = shared);
        start += same;
    }
    ranks
}

/// Whether the first pixel of the highest relevance lies in a box; `None` without boxes in the image.
pub fn points_inside(map: &Map, boxes: &[[f32; 4]]) -> Option<bool> {
    let mask = inside(boxes, map.width, map.height);
    if !mask.contains(&true) {
        return None;
    }
    let pixels = (0..map.values.len()).rev();
    let best = pixels.max_by(|&a, &b| map.values[a].total_cmp(&map.values[b]))?;
    Some(mask[best])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_compared_and_not_values() {
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[0.1, 5.0, 900.0]), 1.0);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        assert_eq!(rank_correlation(&[1.0, 2.0], &[4.0, 4.0]), 0.0);
        // Ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: scipy.stats.spearmanr.
        let tied = rank_correlation(&[1.0, 2.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0]);
        assert!((tied - 0.948_683_298_050_513_8).abs() < 1e-12);
    }

    #[test]
    fn the_highest_pixel_is_in_a_box_or_not() {
        let map = Map { width: 3, height: 2, values: vec![0.0, 0.0, 5.0, 1.0, 0.0, 0.0] };
        assert_eq!(points_inside(&map, &[[2.0, 0.0, 2.0, 0.0]]), Some(true));
        assert_eq!(points_inside(&map, &[[0.0, 0.0, 1.0, 1.0]]), Some(false));
        assert_eq!(points_inside(&map, &[]), None);
    }
}
