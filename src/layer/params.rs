//! Settings of the layer that learns with its features.

use std::path::PathBuf;

use crate::error::Result;
use crate::parameters::above;

crate::parameters! {
    /// Settings of the Fisher layer (group `layer`).
    #[group = "layer"]
    pub struct Params {
        /// Whether projection and mixture are learned together with a classifier, from the labels of the training images (`fvtool fit-layer`); PCA and EM are where it starts.
        pub joint: bool = false;
        /// Safetensors file of a projection and a mixture that another program learned, used as they are; empty for none.
        pub file: PathBuf = PathBuf::new();
        /// Largest number of passes over the training images.
        pub epochs: usize = 30, in 1..=10_000, when "layer.joint = true": |p| p.learns();
        /// Images in a batch.
        pub batch_images: usize = 32, in 1..=65_536, when "layer.joint = true": |p| p.learns();
        /// Descriptors drawn from an image each time that it is seen.
        pub rows_per_image: usize = 400, in 1..=100_000, when "layer.joint = true": |p| p.learns();
        /// Step of Adam for the projection in the first epoch; it falls to 0 along a cosine.
        pub learning_rate: f64 = 3e-3, in above(0.0).up_to(1.0), when "layer.joint = true": |p| p.learns();
        /// How much longer the steps of the classifier are than those of the projection.
        pub head_factor: f64 = 30.0, in above(0.0).up_to(10_000.0), when "layer.joint = true": |p| p.learns();
        /// Memory of the mixture's moving averages over batches, the λ of Korsch et al.
        pub decay: f64 = 0.9, in 0.0..1.0, when "layer.joint = true": |p| p.learns();
        /// Share of the training images that the layer does not learn from: the epoch with the smallest loss on them is kept; 0 keeps the last epoch.
        pub held_out: f64 = 0.1, in 0.0..=0.5, when "layer.joint = true": |p| p.learns();
        /// Epochs without a smaller loss on the images held out after which learning stops.
        pub patience: usize = 10, in 1.., when "layer.joint = true and layer.held_out above 0": |p| p.learns() && p.held_out > 0.0;
    }
}

impl Params {
    /// Whether the layer learns here.
    pub fn learns(&self) -> bool {
        self.joint && !self.reads()
    }

    /// Whether projection and mixture are read from a file.
    pub fn reads(&self) -> bool {
        !self.file.as_os_str().is_empty()
    }

    /// Whether projection and mixture are those of a layer, learned here or read.
    pub fn is_on(&self) -> bool {
        self.joint || self.reads()
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}
