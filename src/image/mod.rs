//! From an image file to luminance or colour planes: decoding, orientation, size, smoothing.
//!
//! The format is guessed from the content, never from the name; EXIF orientation is applied before
//! anything is measured. Luminance is BT.601 in `f32`:
//!
//! ```text
//! Y = 0.299 R + 0.587 G + 0.114 B,   R, G, B in [0, 1]
//! ```
//!
//! Opponent colours (SGS10) are `(R − G)/√2` and `(R + G − 2B)/√6`.
//!
//! Transparent pixels are composited on white, as a viewer or a printed page shows them: what
//! colour a file keeps under alpha 0 is an accident of the program that wrote it.
//!
//! JPEG and the pixels of TIFF files are decoded here (`jpeg`, `tiff`), the other formats by the `image` crate.
//! Which values are black and white is settled before anything else (`range`).
//!
//! Departs from the `image` crate's `to_luma32f`, which weighs by Rec. 709 in integers.

mod decode;
mod frames;
mod jpeg;
mod kinds;
mod load;
mod netpbm;
mod panics;
mod photo;
mod planes;
mod range;
mod resize;
mod smooth;
mod tiff;
mod upright;

pub use ::image::{DynamicImage, RgbImage};
pub(crate) use decode::most_file_bytes;
pub use decode::{Check, Remarks, stated_size};
pub use load::{Loaded, load, load_if, load_luminance, load_rgb, load_rgb_if};
pub use photo::Photo;
pub use range::ValueRange;
pub use resize::{Resizer, resize};
pub use smooth::{gaussian_kernel, smooth};
pub use upright::orientation;

use crate::{Error, Result};

crate::parameters! {
    /// How image files become luminance. Config group `image`.
    #[group = "image"]
    pub struct Params {
        /// Taller images are scaled down to this height, keeping their proportions; 0 leaves every
        /// image as it is. VLFeat's recognition recipe uses 480.
        pub max_height_px: usize = 0, in 0..=65_535;
        /// Shorter images are scaled up to this height, to twice their size at most, keeping their
        /// proportions; 0 leaves every image as it is. Small images then give about as many
        /// descriptors as large ones. At most `max_height_px`, where that is not 0.
        pub min_height_px: usize = 0, in 0..=65_535;
        /// Standard deviation in pixels of a Gaussian over the luminance, after scaling; 0 leaves it
        /// out. For noisy scans; 1.52 imitates OpenCV's SIFT.
        pub presmoothing_px: f64 = 0.0, in 0.0..=16.0;
        /// Images of more millions of pixels are refused before they are decoded, so that a small
        /// hostile file cannot fill the memory.
        pub max_megapixels: f64 = 100.0, in 1e-6..=2000.0;
        /// Which values of a file are black and white: `auto` takes the ends of the pixels' type (0 to
        /// 255, 0 to 65535, for signed integers 0 to the largest) and 0 to 1 for floats; or two
        /// numbers, for example `[0, 4095]` for 12 bits in files of 16. An image with a value outside
        /// is left out.
        pub value_range: ValueRange = ValueRange::Auto;
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()?;
        if let ValueRange::Given([low, high]) = self.value_range {
            let holds = low.is_finite() && high.is_finite() && low < high;
            let value = format!("[{low}, {high}]");
            let range = "`auto`, or two numbers, the first below the second";
            Error::require(holds, "image.value_range", value, range)?;
        }
        let (lowest, highest) = (self.min_height_px, self.max_height_px);
        let range = format!("at most image.max_height_px ({highest})");
        Error::require(highest == 0 || lowest <= highest, "image.min_height_px", lowest, &range)
    }
}

impl Params {
    /// Width and height at which an image of the given size is looked at.
    pub fn fitted(&self, [width, height]: [usize; 2]) -> [usize; 2] {
        let fitted = match (self.max_height_px, self.min_height_px) {
            (most, _) if most > 0 && height > most => most,
            (_, least) if height < least => least.min(2 * height),
            _ => return [width, height],
        };
        let scaled = (width as f64 * fitted as f64 / height as f64).round() as usize;
        [scaled.max(1), fitted]
    }
}

/// Which planes of an image are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// One: luminance.
    Luminance,
    /// Three: red, green and blue, equal in a grey image.
    Rgb,
    /// One: the opponent colour `(R − G)/√2`, 0 in a grey image.
    RedGreen,
    /// One: the opponent colour `(R + G − 2B)/√6`, 0 in a grey image.
    YellowBlue,
}

impl Colours {
    /// How many.
    pub fn planes(self) -> usize {
        match self {
            Self::Luminance | Self::RedGreen | Self::YellowBlue => 1,
            Self::Rgb => 3,
        }
    }
}

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

    #[test]
    fn settings_outside_their_range_are_named() {
        let bad = Params { presmoothing_px: f64::NAN, ..Params::default() };
        assert!(bad.validate().unwrap_err().to_string().contains("`image.presmoothing_px`"));
        let bad = Params { max_megapixels: 0.0, ..Params::default() };
        assert!(bad.validate().unwrap_err().to_string().contains("`image.max_megapixels`"));
        Params::default().validate().unwrap();
    }
}
