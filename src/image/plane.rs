//! One plane of an image: luminance or a colour, a value a pixel.

use crate::{Error, Result};

/// Luminance or one colour of an image, row-major: the value of pixel (x, y) stands at `y · width + x`.
///
/// Decoded planes hold values in [0, 1]; bicubic scaling may overshoot by a few percent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plane {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// `width · height` values.
    pub values: Vec<f32>,
}

impl AsRef<[Plane]> for Plane {
    fn as_ref(&self) -> &[Plane] {
        std::slice::from_ref(self)
    }
}

impl Plane {
    /// A plane of given values.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `width · height` values, [`Error::Numerical`] when one of
    /// them is NaN or infinite.
    pub fn new(width: usize, height: usize, values: Vec<f32>) -> Result<Self> {
        if values.len() != width * height {
            let (expected, got) = (width * height, values.len());
            return Err(Error::Shape { what: "luminance plane", expected, got });
        }
        if let Some(i) = crate::linalg::first_not_finite(&values) {
            let problem = format!("pixel ({}, {}) is {}", i % width, i / width, values[i]);
            return Err(Error::Numerical { what: "luminance plane", problem });
        }
        Ok(Self { width, height, values })
    }

    /// Turns left and right round.
    pub fn mirror(&mut self) {
        self.values.chunks_exact_mut(self.width.max(1)).for_each(<[f32]>::reverse);
    }

    /// A plane computed pixel by pixel from (x, y).
    pub fn from_fn(
        width: usize,
        height: usize,
        mut value: impl FnMut(usize, usize) -> f32,
    ) -> Self {
        let pixels = (0..width * height).map(|i| value(i % width, i / width));
        Self { width, height, values: pixels.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_has_as_many_finite_values_as_pixels() {
        let problem = Plane::new(2, 2, vec![0.0; 3]).unwrap_err().to_string();
        assert_eq!(problem, "luminance plane: expected 4 values, got 3");
        let problem = Plane::new(2, 1, vec![0.0, f32::NAN]).unwrap_err().to_string();
        assert_eq!(problem, "luminance plane: pixel (1, 0) is NaN");
    }
}
