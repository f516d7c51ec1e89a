//! Scaling of a plane: bicubic (Catmull-Rom, a = −0.5) with the kernel stretched by the factor when
//! scaling down, as MATLAB's `imresize` does by default.
//!
//! Pixel centres map by `x_new = (x + ½) · w_new / w − ½`.

use fast_image_resize as fir;
use fir::PixelTrait;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::{F32, U8x3};

use super::plane::Plane;

/// A plane of `width × height` pixels.
pub fn resize(plane: &Plane, width: usize, height: usize) -> Plane {
    let mut resized = Plane::default();
    Resizer::default().resize_into(plane, width, height, &mut resized);
    resized
}

/// Scales planes and keeps its buffers from one to the next.
#[derive(Debug, Clone, Default)]
pub struct Resizer {
    inner: fir::Resizer,
}

impl Resizer {
    /// Writes `plane`, scaled to `width × height` pixels, into `resized`, whatever that held.
    pub fn resize_into(&mut self, plane: &Plane, width: usize, height: usize, resized: &mut Plane) {
        resized.width = width;
        resized.height = height;
        resized.values.resize(width * height, 0.0);
        if plane.values.is_empty() || resized.values.is_empty() {
            resized.values.fill(0.0);
            return;
        }
        let from = bytemuck::cast_slice(&plane.values);
        let to = bytemuck::cast_slice_mut(&mut resized.values);
        self.run::<F32>(from, (plane.width, plane.height), to, (width, height));
    }

    /// Scales interleaved 8-bit RGB of `from_size` (width, height) into `to`.
    pub(super) fn rgb_into(
        &mut self,
        from: &[u8],
        from_size: (usize, usize),
        to: &mut [u8],
        to_size: (usize, usize),
    ) {
        self.run::<U8x3>(from, from_size, to, to_size);
    }

    /// Typed images: with others, loops for thirteen kinds of pixels would be compiled.
    fn run<P: PixelTrait>(
        &mut self,
        from: &[u8],
        from_size: (usize, usize),
        to: &mut [u8],
        to_size: (usize, usize),
    ) {
        let fits = "the slice holds width · height pixels";
        let source = TypedImageRef::<P>::from_buffer(from_size.0 as u32, from_size.1 as u32, from);
        let target = TypedImage::<P>::from_buffer(to_size.0 as u32, to_size.1 as u32, to);
        let bicubic = fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom);
        let options = fir::ResizeOptions::new().resize_alg(bicubic).use_alpha(false);
        self.inner
            .resize_typed(&source.expect(fits), &mut target.expect(fits), &options)
            .expect("nothing is cropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One axis of MATLAB's `imresize`, spelled out.
    fn axis(values: &[f64], n: usize) -> Vec<f64> {
        let factor = n as f64 / values.len() as f64;
        let squeeze = factor.min(1.0);
        let cubic = |x: f64| match x.abs() {
            x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            x if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            _ => 0.0,
        };
        (0..n)
            .map(|i| {
                let centre = (i as f64 + 0.5) / factor - 0.5;
                let weights: Vec<f64> =
                    (0..values.len()).map(|j| cubic((j as f64 - centre) * squeeze)).collect();
                let total: f64 = weights.iter().sum();
                weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / total
            })
            .collect()
    }

    #[test]
    fn matches_bicubic_with_antialiasing() {
        let row: Vec<f64> = (0..40).map(|i| ((i * i) % 17) as f64 / 17.0).collect();
        let plane = Plane::new(40, 1, row.iter().map(|v| *v as f32).collect()).unwrap();
        for n in [80, 57, 40, 28, 20, 14, 5, 1] {
            let (got, expected) = (resize(&plane, n, 1), axis(&row, n));
            for (g, e) in got.values.iter().zip(&expected) {
                // f32 weights and sums of at most 32 terms of order 1.
                assert!((f64::from(*g) - e).abs() < 5e-6, "{n}: {g} {e}");
            }
        }
    }

    #[test]
    fn a_constant_stays_constant_and_buffers_do_not_leak() {
        let (mut resizer, mut out) = (Resizer::default(), Plane::from_fn(50, 50, |_, _| 9.0));
        resizer.resize_into(&Plane::from_fn(31, 17, |_, _| 0.5), 7, 23, &mut out);
        assert_eq!((out.width, out.height, out.values.len()), (7, 23, 161));
        assert!(out.values.iter().all(|v| (v - 0.5).abs() < 1e-6));
    }
}
