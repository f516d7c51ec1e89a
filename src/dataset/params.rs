//! Settings of the data set.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::parameters::above;

/// How a data folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Look: a folder with `ImageSets/Main` or `JPEGImages` is PASCAL VOC, any other has a folder
    /// per class.
    Auto,
    /// PASCAL VOC devkit: `JPEGImages`, `ImageSets/Main`, `Annotations`.
    Voc,
    /// One folder per class: `<split>/<class>/<image>` or `<class>/<image>`, whichever it is.
    Folders,
    /// `<split>/<class>/<image>`.
    Splits,
    /// `<class>/<image>`.
    Classes,
}

crate::parameters! {
    /// Settings of the data set (`data` in the configuration).
    #[group = "data"]
    pub struct Params {
        /// Layout of the data folder: `auto` looks for PASCAL VOC's `ImageSets/Main` or
        /// `JPEGImages` and takes a folder per class otherwise; `voc`, `folders`. Where it is not
        /// clear whether the folders at the top are splits or classes: `splits`, `classes`.
        pub layout: Layout = Layout::Auto;
        /// Share of each class's images that go into the split `train`; the others go into `test`. Each
        /// image is drawn by itself, so that the share is met on average. Only for a folder per class
        /// without split folders.
        pub train_fraction: f64 = 0.5, in above(0.0).below(1.0);
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] with the key and its range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}
