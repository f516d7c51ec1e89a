//! Settings of how an image file becomes luminance.

use super::range::ValueRange;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_their_range_are_named() {
        let bad = Params { presmoothing_px: f64::NAN, ..Params::default() };
        assert!(bad.validate().unwrap_err().to_string().contains("`image.presmoothing_px`"));
        let bad = Params { max_megapixels: 0.0, ..Params::default() };
        assert!(bad.validate().unwrap_err().to_string().contains("`image.max_megapixels`"));
        Params::default().validate().unwrap();
    }
}
