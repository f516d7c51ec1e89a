//! Settings of the data set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::parameters::above;

/// How a data folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Look: a folder with `ImageSets/Main` or `JPEGImages` is PASCAL VOC; others have a folder per class,
    /// or a table of labels.
    Auto,
    /// PASCAL VOC devkit: `JPEGImages`, `ImageSets/Main`, `Annotations`.
    Voc,
    /// One folder per class: `<split>/<class>/<image>` or `<class>/<image>`, whichever it is.
    Folders,
    /// `<split>/<class>/<image>`.
    Splits,
    /// `<class>/<image>`.
    Classes,
    /// Images with a table of labels.
    Table,
    /// CUB-200-2011: `images.txt`, `image_class_labels.txt`, `train_test_split.txt` beside `images`.
    Cub,
}

crate::parameters! {
    /// Settings of the data set (`data` in the configuration).
    #[group = "data"]
    pub struct Params {
        /// Layout of the data folder: `auto` looks for PASCAL VOC's `ImageSets/Main` or
        /// `JPEGImages`, then for the lists of CUB-200-2011, then for a folder per class, then for a table of labels;
        /// `voc`, `cub`, `folders`, `table`. Where it is not
        /// clear whether the folders at the top are splits or classes: `splits`, `classes`.
        pub layout: Layout = Layout::Auto;
        /// Share of each class's images that go into the split `train`; the others go into `test`. Each
        /// image is drawn by itself, so that the share is met on average. Only for a folder per class
        /// without split folders.
        pub train_fraction: f64 = 0.5, in above(0.0).below(1.0);
        /// Table of labels: CSV or TSV with a row for each image, or COCO's JSON; also `--labels FILE`. Empty:
        /// the one in the data folder, where there are no class folders.
        pub labels: PathBuf = PathBuf::new();
        /// Column of a table that holds paths of images. Empty: known by its name (`path`, `file_name`, …).
        pub path_column: String = String::new();
        /// Column that holds labels. Empty: known by its name (`label`, `class`, `category`, …).
        pub label_column: String = String::new();
        /// Column that names the split of each image. Empty: one called `split`, `subset` or the like, or none.
        pub split_column: String = String::new();
        /// Column of what must stay in one split: patient, site, film. Empty: one called `group`, `patient_id`
        /// or the like, or none.
        pub group_column: String = String::new();
        /// What stands between several labels of an image. Empty: `|` or `;`, where a label has one.
        pub label_separator: String = String::new();
        /// Table of boxes and parts (docs/PARTS.md), for `descriptors.within`. Empty: `boxes.csv` and `parts.csv` in
        /// the data folder, where they are there; otherwise annotations.
        pub boxes: PathBuf = PathBuf::new();
        /// Side of the square round a part of which only a point is known (CUB-200-2011), as a share of the longer
        /// side of its object's box.
        pub parts_side: f64 = 0.2, in above(0.0).up_to(2.0);
        /// Images in a shard of vectors: what is lost of the work when a machine is, and what one process is given
        /// at least (docs/CLUSTER.md). 4096 for a million small images and more.
        pub shard_images: usize = 256, in 1..=65_536;
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
