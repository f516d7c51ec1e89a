//! The images of a split, with their objects and labels.

use std::path::{Path, PathBuf};

use super::inventory::Inventory;
use super::label::Label;

/// One object of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Index into [`Split::classes`].
    pub class: usize,
    /// Left, top, right, bottom edge in pixels, 0-based, right and bottom inclusive; with
    /// [`Ruler::Shares`] shares of width and height. [`super::boxes::place`] finds the place in the picture.
    pub bounds: [f32; 4],
    /// What the edges are measured on.
    pub ruler: Ruler,
    /// Marked as hard to recognise by the annotator.
    pub difficult: bool,
}

/// What the edges of a box are measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruler {
    /// Pixels of a picture whose size the annotation does not state.
    Pixels,
    /// Pixels of a picture of this width and height.
    PixelsOf([u32; 2]),
    /// Shares of width and height, from 0 to 1.
    Shares,
}

/// One image of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Unique name within the data set, for example `000012` or `Coast/image_0003`.
    pub id: String,
    /// The image file.
    pub path: PathBuf,
    /// Annotated objects; empty where the layout has none.
    pub objects: Vec<Object>,
    /// What it belongs to with other images (a patient, a site, a film), where a table says so.
    pub group: Option<String>,
}

impl Item {
    /// An image of no data set: its name without the extension is its id.
    pub fn of_file(path: &Path) -> Self {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { id, path: path.to_owned(), objects: Vec::new(), group: None }
    }
}

/// The images of one split with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Name of the split, for example `train`.
    pub name: String,
    /// The folder in effect: of PASCAL VOC the one that holds `ImageSets`.
    pub root: PathBuf,
    /// Class names, in the order of every per-class array.
    pub classes: Vec<String>,
    /// The images, in list order.
    pub items: Vec<Item>,
    /// `labels[image][class]`.
    pub labels: Vec<Vec<Label>>,
    /// Every image has exactly one class, so that accuracy and a confusion matrix make sense.
    pub single_label: bool,
    /// What became of every file of the data folder.
    pub files: Inventory,
    /// What the user should know of its lists and annotations, in sentences.
    pub notes: Vec<String>,
}
