//! Settings of a network (group `network`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::scaling::Scaling;
use super::sight::Sight;
use crate::error::Result;
use crate::parameters::one_or_more;

/// The setting that takes a network's scaling from its file.
pub const AUTO: &str = "auto";

/// The square of a row in heatmaps and positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Square {
    /// All that its cell sees.
    Sees,
    /// The middle of it, two strides wide.
    Core,
}

impl Square {
    /// Its side, in pixels of the image that was run.
    pub fn side(self, sight: &Sight) -> f64 {
        match self {
            Self::Sees => sight.size,
            Self::Core => sight.size.min(2.0 * sight.stride),
        }
    }
}

/// What runs a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// The crate `rten`, part of fvtool.
    Rten,
    /// A library of ONNX Runtime that its user has.
    Onnxruntime,
}

crate::parameters! {
    /// The network that descriptors of kind `network` and `pooled` come from. Config group `network`.
    #[group = "network"]
    pub struct Params {
        /// The ONNX file; also `--network FILE`.
        pub file: PathBuf = PathBuf::new();
        /// Name of the map (or, for `pooled`, of a vector) that is taken; `fvtool inspect FILE` lists them.
        pub output: String = String::new();
        /// How pixels from 0 to 255 are scaled: `imagenet`, `tf`, `signed`, `unit`, `clip`, `raw`,
        /// `caffe`, or six numbers (docs/NETWORKS.md). `auto`: as the file states; one that does not
        /// state it is refused.
        pub scaling: String = AUTO.to_owned();
        /// Factors by which the image is resized, one entry per scale.
        pub scales: Vec<f64> = vec![1.0], in one_or_more(0.05..=8.0);
        /// Width and height of the resized image are rounded to multiples of this, the network's stride.
        /// Images that come out as nothing are left out.
        pub multiple: usize = 32, in 1..=1024;
        /// The square of a row in heatmaps: `sees`, all that its cell sees, or `core`, two strides in the
        /// middle of that. Deep maps see more than most images hold.
        pub square: Square = Square::Sees;
        /// What runs the network: `rten`, which is part of fvtool, or `onnxruntime`, about twice as fast,
        /// which needs a library (docs/NETWORKS.md).
        pub engine: EngineKind = EngineKind::Rten;
        /// The library of ONNX Runtime, from `pip install onnxruntime`; where empty the environment variable
        /// ORT_DYLIB_PATH names it.
        pub library: PathBuf = PathBuf::new(),
            when "engine = onnxruntime": |p| p.engine == EngineKind::Onnxruntime;
    }
}

impl Params {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()?;
        if self.scaling.is_empty() || self.scaling == AUTO {
            return Ok(());
        }
        Scaling::parse(&self.scaling).map(|_| ())
    }
}
