//! Weights of the four spatial bins along one axis.
//!
//! With bin size `s`, taps `x = −s+1 … s−1` about a bin centre, `δ_b = s (b − 1.5)` the distance of
//! bin `b`'s centre from the descriptor's, and `win` the window size in bins:
//!
//! ```text
//! tri(x)   = 1 − |x| / s
//! flat     k_b(x) = tri(x) · mean over x' of exp(−½ ((x' − δ_b) / (s · win))²)
//! Gaussian k_b(x) = tri(x) · exp(−½ ((x − δ_b) / (s · win))²)
//! ```

use crate::descriptors::bins::BINS;
use crate::descriptors::params::Window;

/// Kernel of every bin, `2·bin − 1` taps each.
///
/// Where VLFeat's flat window differs from its Gaussian one, the sign of δ matters: bins 0 and 3
/// see the descriptor's centre from opposite sides.
pub(super) fn bin_kernels(bin: usize, window: Window, window_size: f64) -> [Vec<f32>; BINS] {
    let s = bin as f64;
    let taps: Vec<f64> = (0..2 * bin - 1).map(|t| t as f64 - (s - 1.0)).collect();
    let triangle = |x: f64| 1.0 - x.abs() / s;
    std::array::from_fn(|b| {
        // Position of a tap relative to the descriptor's centre.
        let from_centre = |x: f64| x + s * (b as f64 - 1.5);
        let gaussian = |x: f64| (-0.5 * (from_centre(x) / (s * window_size)).powi(2)).exp();
        let mean = taps.iter().map(|x| gaussian(*x)).sum::<f64>() / taps.len() as f64;
        let weight = |x: f64| match window {
            Window::Flat => triangle(x) * mean,
            Window::Gaussian => triangle(x) * gaussian(x),
        };
        taps.iter().map(|x| weight(*x) as f32).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_mirror_each_other_and_sum_alike() {
        for bin in [1, 2, 5, 8] {
            for window in [Window::Flat, Window::Gaussian] {
                let kernels = bin_kernels(bin, window, 1.5);
                for b in 0..BINS {
                    let mirrored: Vec<f32> = kernels[3 - b].iter().rev().copied().collect();
                    assert_eq!(kernels[b], mirrored, "bin size {bin}, bin {b}");
                }
                assert!(kernels[1][bin - 1] > kernels[0][bin - 1]);
            }
        }
    }

    /// The golden README gives the Gaussian window's `D = t + s(b − 1.5)`: bin 0 is left of the
    /// centre, so its right-hand taps are nearer and weigh more.
    #[test]
    fn the_gaussian_window_leans_towards_the_centre() {
        let kernels = bin_kernels(4, Window::Gaussian, 1.0);
        assert!(kernels[0][4] > kernels[0][2]);
    }
}
