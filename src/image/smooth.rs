//! Gaussian smoothing of a whole plane.
//!
//! `imageproc` filters with an explicit kernel: its own `gaussian_blur_f32` cuts the kernel at 2σ,
//! which is not enough for descriptors. Dense SIFT smooths row by row inside its own loop with
//! the same kernel (`descriptors::dense_sift`), because there a whole plane per scale would leave
//! the cache; the two are tested against each other.

use ::image::{ImageBuffer, Luma};

use super::plane::Plane;

/// Weights of a Gaussian with standard deviation `sigma_px`, radius ⌈4σ⌉, summing to one.
/// σ under 0.01 gives the single weight 1.
pub fn gaussian_kernel(sigma_px: f64) -> Vec<f32> {
    if sigma_px < 0.01 {
        return vec![1.0];
    }
    let radius = (4.0 * sigma_px).ceil() as i32;
    let weight = |x: i32| (-0.5 * (f64::from(x) / sigma_px).powi(2)).exp();
    let total: f64 = (-radius..=radius).map(weight).sum();
    (-radius..=radius).map(|x| (weight(x) / total) as f32).collect()
}

/// The plane under a Gaussian of standard deviation `sigma_px`, edges replicated.
pub fn smooth(plane: &Plane, sigma_px: f64) -> Plane {
    let kernel = gaussian_kernel(sigma_px);
    let (width, height) = (plane.width as u32, plane.height as u32);
    if kernel.len() == 1 || plane.values.is_empty() {
        return plane.clone();
    }
    let pixels: ImageBuffer<Luma<f32>, Vec<f32>> =
        ImageBuffer::from_raw(width, height, plane.values.clone())
            .expect("a plane has width · height values");
    let smoothed = imageproc::filter::separable_filter_equal(&pixels, &kernel);
    Plane { width: plane.width, height: plane.height, values: smoothed.into_raw() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_sum_to_one_and_reach_four_sigma() {
        for (sigma, taps) in [(0.0, 1), (0.5, 5), (4.0 / 6.0, 7), (10.0 / 6.0, 15)] {
            let kernel = gaussian_kernel(sigma);
            assert_eq!(kernel.len(), taps);
            assert!((kernel.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    /// `imageproc` handles margins apart; planes smaller than the kernel are another path there.
    #[test]
    fn planes_smaller_than_the_kernel_replicate_their_edge() {
        for (width, height) in [(1, 1), (2, 1), (1, 3), (3, 3), (14, 2)] {
            let smoothed = smooth(&Plane::from_fn(width, height, |_, _| 0.25), 1.7);
            assert!(smoothed.values.iter().all(|v| (v - 0.25).abs() < 1e-6));
        }
        let step = smooth(&Plane::from_fn(2, 1, |x, _| x as f32), 0.5);
        let kernel = gaussian_kernel(0.5);
        // Pixel 0 sees the 1 of pixel 1 with both weights to its right.
        assert!((step.values[0] - (kernel[3] + kernel[4])).abs() < 1e-6, "{step:?}");
    }
}
