//! From a raw descriptor to a finished one.
//!
//! ```text
//! contrast = Σ raw / (3s + 1)²
//! Sift     v = raw / ‖raw‖₂,  v ← min(v, 0.2),  v ← v / ‖v‖₂
//! RootSift √(v / ‖v‖₁) of that v
//! ```
//!
//! A raw norm under 1e-4 counts as zero. Sources: Lowe 2004; Arandjelović & Zisserman 2012.

use super::bins::{self, DIM};
use super::params::Normalisation;
use crate::linalg::{LANES, fold_lanes};

/// Values of a unit descriptor are cut at this, which bounds the say of one strong edge.
const CLAMP: f32 = 0.2;
/// Raw norms below count as zero, as in VLFeat.
const SMALLEST_NORM: f32 = 1e-4;

/// Contrast norm of a raw descriptor of bin size `bin`: its mean gradient modulus up to the
/// window's weight. In luminance per pixel; below 0.005 there is little but noise.
#[inline(always)]
pub(super) fn contrast(raw: &[f32; DIM], bin: usize) -> f32 {
    let side = bins::between_centres(bin) as f32;
    sum(raw, |v| v) / (side * side)
}

/// The normalised descriptor; `None` when its norm counts as zero or is not finite.
#[inline(always)]
pub(super) fn finish(raw: &[f32; DIM], normalisation: Normalisation) -> Option<[f32; DIM]> {
    let norm = sum(raw, |v| v * v).sqrt();
    if !(SMALLEST_NORM..=f32::MAX).contains(&norm) {
        return None;
    }
    // Clamping before dividing saves one pass over the values.
    let limit = CLAMP * norm;
    let mut row = *raw;
    for v in &mut row {
        *v = if *v < limit { *v } else { limit };
    }
    match normalisation {
        Normalisation::Sift => {
            let scale = 1.0 / sum(&row, |v| v * v).sqrt();
            row.iter_mut().for_each(|v| *v *= scale);
        }
        Normalisation::RootSift => {
            let scale = 1.0 / sum(&row, |v| v);
            row.iter_mut().for_each(|v| *v = (*v * scale).sqrt());
        }
    }
    Some(row)
}

#[inline(always)]
fn sum(values: &[f32; DIM], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    for chunk in values.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            sums[lane] += of(chunk[lane]);
        }
    }
    fold_lanes(sums, |a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(row: &[f32; DIM], power: i32) -> f64 {
        row.iter().map(|v| f64::from(*v).powi(power)).sum()
    }

    #[test]
    fn a_dominant_value_is_cut() {
        let mut raw = [1.0; DIM];
        raw[5] = 100.0;
        let row = finish(&raw, Normalisation::Sift).unwrap();
        // Raw norm √10127 = 100.63, so the peak becomes 20.127 of norm √(127 + 405.1) = 23.07.
        assert!((row[5] - 0.8725).abs() < 1e-3, "{}", row[5]);
        assert!((norm(&row, 2) - 1.0).abs() < 1e-6);
        assert!((row[0] - 1.0 / 23.07).abs() < 1e-4);
    }

    #[test]
    fn root_sift_has_unit_length_too() {
        let mut raw: [f32; DIM] = std::array::from_fn(|i| (i % 9) as f32);
        let sift = finish(&raw, Normalisation::Sift).unwrap();
        let root = finish(&raw, Normalisation::RootSift).unwrap();
        assert!((norm(&root, 2) - 1.0).abs() < 1e-6);
        let l1: f64 = norm(&sift, 1);
        for (r, s) in root.iter().zip(sift) {
            assert!((f64::from(*r) - (f64::from(s) / l1).sqrt()).abs() < 1e-6);
        }
        raw.iter_mut().for_each(|v| *v *= 3.0);
        let again = finish(&raw, Normalisation::RootSift).unwrap();
        assert!(root.iter().zip(again).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn nothing_to_normalise_is_none() {
        for value in [0.0, 1e-6, f32::NAN, f32::INFINITY, 1e30] {
            assert!(finish(&[value; DIM], Normalisation::Sift).is_none(), "{value}");
        }
        assert_eq!(contrast(&[0.0; DIM], 4), 0.0);
        assert_eq!(contrast(&[169.0; DIM], 4), 128.0);
    }
}
