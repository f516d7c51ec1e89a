//! Settings of the descriptors.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bins::DIM;
use crate::parameters::{one_or_more, zero_or};
use crate::{Error, Result};

/// Most values of a descriptor; also the end of the range of `dimension`.
pub const MOST_VALUES: usize = 4096;

/// What is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Gradient orientations of the luminance.
    Sift,
    /// Means and deviations of red, green and blue.
    Colour,
    /// Computed elsewhere, read from a file for each image.
    Files,
    /// Cells of a map of a network.
    Network,
    /// One vector an image: the mean of a network's map, or a vector of the network.
    Pooled,
    /// One vector an image, computed elsewhere: a row of a file.
    Vectors,
}

impl Kind {
    /// Whether it is computed from the image by a grid of bins.
    fn has_bins(self) -> bool {
        matches!(self, Self::Sift | Self::Colour)
    }

    /// Whether it comes from a network.
    pub fn is_of_network(self) -> bool {
        matches!(self, Self::Network | Self::Pooled)
    }

    /// Whether another program computed it, which does not know the mirror image.
    pub fn is_given(self) -> bool {
        matches!(self, Self::Files | Self::Vectors)
    }

    /// Whether an image has one vector, for which no sample, PCA or mixture is needed.
    pub fn is_one_vector(self) -> bool {
        matches!(self, Self::Pooled | Self::Vectors)
    }
}

/// What the gradients of `sift` are of; the opponent colours are those of SGS10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Luminance.
    Luminance,
    /// `(R − G)/√2`.
    RedGreen,
    /// `(R + G − 2B)/√6`.
    YellowBlue,
}

/// Weight of a pixel by its distance from the descriptor's centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// One weight per spatial bin, the mean of the Gaussian over it (VLFeat's fast version).
    Flat,
    /// A Gaussian evaluated at every pixel.
    Gaussian,
}

/// What becomes of a descriptor whose contrast is under the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LowContrast {
    /// It stays as a row of zeros and keeps its frame, as in VLFeat.
    Zero,
    /// It is left out.
    Drop,
    /// It is scaled by contrast / threshold, so it fades to zero.
    Weight,
}

/// How a descriptor is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Unit length, values cut at 0.2, unit length again.
    Sift,
    /// The square root of the SIFT descriptor divided by its sum.
    RootSift,
}

/// Which descriptors are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// All of them.
    All,
    /// Only those whose contrast (of a cell of a network: length) exceeds the mean contrast over all descriptors of their image, low
    /// ones included. Takes a second pass.
    AboveMeanNorm,
}

/// Where in an image descriptors are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// All of it.
    Image,
    /// Those whose centre lies in a box of an object.
    Boxes,
    /// Those whose centre lies in a visible part of an object, once for each part.
    Parts,
}

crate::parameters! {
    /// Which descriptors an image has. Config group `descriptors`. The defaults are those of
    /// Chatfield et al. 2011.
    #[group = "descriptors"]
    pub struct Params {
        /// `sift` (128 values, of the luminance), `colour` (mean and deviation of red, green and blue
        /// in the same 4 × 4 cells, 96 values), `files` (your own), `network` (the cells of a map of a
        /// pretrained network, group `network`), `pooled` (the mean of such a map, or a vector of the
        /// network: one vector an image, without PCA and mixture), or `vectors` (the same, your own).
        pub kind: Kind = Kind::Sift;
        /// The folder with a file `<id>.npy` for each image: an f32 array with one row for each
        /// descriptor. A row holds the column and row of its centre and the side of the square that
        /// it sees, in pixels of the upright image in its file, then its values.
        pub folder: PathBuf = PathBuf::new(), when "kind = files": |p| p.kind == Kind::Files;
        /// The file with a row for each image: `NAME.npy` beside `NAME.ids.txt`, or a `.safetensors` file
        /// with its ids (docs/FORMATS.md). Rows are scaled to unit length.
        pub file: PathBuf = PathBuf::new(), when "kind = vectors": |p| p.kind == Kind::Vectors;
        /// Values of a descriptor.
        pub dimension: usize = DIM, in 1..=4096, when "kind = files": |p| p.kind == Kind::Files;
        /// What the gradients of `sift` are of: `luminance`, or the opponent colours `red-green` and
        /// `yellow-blue`.
        pub plane: Seen = Seen::Luminance, when "kind = sift": |p| p.kind == Kind::Sift;
        /// Width of a spatial bin in pixels, one entry per scale. A descriptor sees a square of four bins by four.
        pub bin_sizes_px: Vec<usize> = vec![4, 6, 8, 10], in one_or_more(1..=256),
            when "kind = sift or colour": |p| p.kind.has_bins();
        /// Factors by which the image is resized, one entry per scale. Every bin size is computed at
        /// every factor.
        pub scales: Vec<f64> = vec![1.0], in one_or_more(0.01..=8.0),
            when "kind = sift or colour": |p| p.kind.has_bins();
        /// Distance between neighbouring descriptors in pixels of the resized image.
        pub step_px: usize = 3, in 1..=256,
            when "kind = sift or colour": |p| p.kind.has_bins();
        /// How the weight of a pixel falls with its distance from the centre: `flat` (one weight per
        /// spatial bin) or `gaussian`.
        pub window: Window = Window::Flat, when "kind = sift": |p| p.kind == Kind::Sift;
        /// Standard deviation of that weight in bins.
        pub window_size: f64 = 1.5, in 0.1..=100.0, when "kind = sift": |p| p.kind == Kind::Sift;
        /// The image is smoothed with standard deviation bin size / magnif before each scale; 0 leaves
        /// smoothing out.
        pub magnif: f64 = 6.0, in zero_or(1.0..=1000.0),
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// Descriptors of lower contrast count as empty; in luminance (0 to 1) per pixel.
        pub contrast_threshold: f64 = 0.005, in 0.0..=1.0,
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// What becomes of empty descriptors: `zero` keeps a row of zeros, `drop` leaves them out, and
        /// `weight` multiplies them by contrast / threshold.
        pub low_contrast: LowContrast = LowContrast::Zero,
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// `sift` (unit length, cut at 0.2, unit length) or `root-sift` (its square root).
        pub normalisation: Normalisation = Normalisation::Sift,
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// `all` descriptors, or those `above-mean-norm`: of more contrast than the mean of their
        /// image, or of a network longer than the mean.
        pub keep: Keep = Keep::All, when "kind = sift or network":
            |p| matches!(p.kind, Kind::Sift | Kind::Network);
        /// Where descriptors are taken from: all of the `image`, those whose centre lies in one of the image's
        /// `boxes`, or in its visible `parts`, once for each part (docs/PARTS.md). An image without any is
        /// described as a whole.
        pub within: Within = Within::Image;
    }
}

impl Within {
    /// As a configuration says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Boxes => "boxes",
            Self::Parts => "parts",
        }
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        let (key, folder) = ("descriptors.folder", self.folder.display());
        let named = self.kind != Kind::Files || !self.folder.as_os_str().is_empty();
        let value = if named { folder.to_string() } else { "empty".into() };
        let range = "a folder of .npy files when descriptors.kind is files";
        Error::require(named, key, value, range)?;
        let (key, file) = ("descriptors.file", self.file.display());
        let named = self.kind != Kind::Vectors || !self.file.as_os_str().is_empty();
        let value = if named { file.to_string() } else { "empty".into() };
        let range = "a .npy or .safetensors file when descriptors.kind is vectors";
        Error::require(named, key, value, range)?;
        let whole = self.within == Within::Image || self.kind != Kind::Vectors;
        let range = "image when descriptors.kind is vectors: a vector is of all of its image";
        Error::require(whole, "descriptors.within", self.within.words(), range)?;
        self.check_ranges()
    }
}
