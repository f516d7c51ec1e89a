//! Settings of the synthetic data set.

use crate::Result;

crate::parameters! {
    /// Settings of the synthetic data set (`demo` in messages).
    #[group = "demo"]
    pub struct Synthetic {
        /// Images in the split `train`.
        pub train_images: usize = 160, in 6..=500_000;
        /// Images in the split `test`.
        pub test_images: usize = 160, in 6..=500_000;
        /// Width of every image in pixels.
        pub width_px: u32 = 240, in 96..=4096;
        /// Height of every image in pixels.
        pub height_px: u32 = 180, in 96..=4096;
        /// Whether most images that show a star carry a small text tag in a corner.
        pub plant_tag: bool = true;
        /// Whether most images that show a leaf carry a small round stamp, each somewhere else.
        pub plant_stamp: bool = true;
    }
}

impl Synthetic {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] with the key and its range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}
