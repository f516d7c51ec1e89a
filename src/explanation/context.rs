//! How much of a decision lies outside the object: relevance against the boxes of the class.
//!
//! ```text
//! μ  = mean R¹ outside the boxes / mean R¹ inside          (LRP-FV eq. 11)
//! μ⁺ = the same of max(R¹, 0)
//! ```
//!
//! μ as published mixes both signs: where relevance inside sums to nearly nothing it is huge, and it
//! is negative where the sides disagree. μ⁺ says where the evidence *for* the class lies, is always
//! defined where some is inside, and is what classes are compared by; 1 means that the object counts
//! no more than its surroundings.

use serde::{Deserialize, Serialize};

use super::pixels::Map;

/// Relevance of one image inside and outside the boxes of a class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Share of the pixels that lie inside a box.
    pub inside_pixels: f64,
    /// Mean relevance of a pixel inside.
    pub inside: f64,
    /// Mean relevance of a pixel outside.
    pub outside: f64,
    /// μ; `None` where the mean inside is 0.
    pub mu: Option<f64>,
    /// μ⁺; `None` where no pixel inside has positive relevance.
    pub mu_positive: Option<f64>,
    /// Share of the positive relevance that lies inside; `None` where there is none.
    pub positive_inside: Option<f64>,
}

/// Mean, median and number of the values that are there.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Number of values.
    pub count: usize,
}

impl Summary {
    /// Of values, which may come in any order; all 0 when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        if count == 0 {
            return Self::default();
        }
        let median = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
        Self { mean: values.iter().sum::<f64>() / count as f64, median, count }
    }
}

/// Which pixels lie inside a box (left, top, right, bottom in pixels, 0-based, inclusive; a pixel
/// counts by its centre).
pub fn inside(boxes: &[[f32; 4]], width: usize, height: usize) -> Vec<bool> {
    let mut mask = vec![false; width * height];
    for &[left, top, right, bottom] in boxes {
        let side = |from: f32, to: f32, pixels: usize| {
            let from = from.max(0.0).round() as usize;
            let to = (to.min(pixels as f32).max(-1.0).round() + 1.0) as usize;
            from.min(pixels)..to.clamp(from.min(pixels), pixels)
        };
        for y in side(top, bottom, height) {
            for x in side(left, right, width) {
                mask[y * width + x] = true;
            }
        }
    }
    mask
}

/// Compares a map with boxes. `None` when the boxes hold no pixel or all of them: there is nothing
/// to compare then.
pub fn context(map: &Map, boxes: &[[f32; 4]]) -> Option<Context> {
    let mask = inside(boxes, map.width, map.height);
    let count = mask.iter().filter(|inside| **inside).count();
    let rest = mask.len() - count;
    if count == 0 || rest == 0 {
        return None;
    }
    let (mut sums, mut positive) = ([0.0f64; 2], [0.0f64; 2]);
    for (&value, &inside) in map.values.iter().zip(&mask) {
        sums[usize::from(inside)] += value;
        positive[usize::from(inside)] += value.max(0.0);
    }
    let ratio = |sums: [f64; 2]| {
        let (outside, inside) = (sums[0] / rest as f64, sums[1] / count as f64);
        (inside != 0.0).then(|| outside / inside).filter(|ratio| ratio.is_finite())
    };
    let all = positive[0] + positive[1];
    Some(Context {
        inside_pixels: count as f64 / mask.len() as f64,
        inside: sums[1] / count as f64,
        outside: sums[0] / rest as f64,
        mu: ratio(sums),
        mu_positive: ratio(positive),
        positive_inside: (all > 0.0).then(|| positive[1] / all),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_inside_and_outside_make_the_ratio() {
        // 4 × 2 pixels, the box is the left half.
        let map =
            Map { width: 4, height: 2, values: vec![1.0, 3.0, -1.0, 2.0, 2.0, 2.0, 1.0, 0.0] };
        let found = context(&map, &[[0.0, 0.0, 1.0, 1.0]]).unwrap();
        assert_eq!((found.inside, found.outside, found.inside_pixels), (2.0, 0.5, 0.5));
        assert_eq!(found.mu, Some(0.25));
        assert_eq!(found.mu_positive, Some(0.375));
        assert_eq!(found.positive_inside, Some(8.0 / 11.0));
        // Overlapping boxes count once; boxes over the border are cut.
        let cut = context(&map, &[[-5.0, -5.0, 1.0, 9.0], [0.0, 0.0, 0.0, 0.0]]).unwrap();
        assert_eq!(cut, found);
        let far = context(&map, &[[f32::MIN, -1e30, 1.0, f32::MAX]]).unwrap();
        assert_eq!(far, found);
        assert_eq!(context(&map, &[]), None);
        assert_eq!(context(&map, &[[0.0, 0.0, 3.0, 1.0]]), None);
        assert_eq!(context(&map, &[[-9.0, 0.0, -3.0, 1.0]]), None);
    }

    #[test]
    fn a_ratio_to_nothing_is_none() {
        let map = Map { width: 2, height: 1, values: vec![0.0, 5.0] };
        let found = context(&map, &[[0.0, 0.0, 0.0, 0.0]]).unwrap();
        assert_eq!((found.mu, found.mu_positive), (None, None));
        assert_eq!(found.positive_inside, Some(0.0));
    }

    #[test]
    fn summaries_are_of_what_is_there() {
        let of = Summary::of([4.0, 1.0, 2.0, 9.0]);
        assert_eq!((of.mean, of.median, of.count), (4.0, 3.0, 4));
        assert_eq!(Summary::of([]), Summary::default());
    }
}
