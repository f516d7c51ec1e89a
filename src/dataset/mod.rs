//! Labelled images: items, labels per class, boxes and splits. Names files, opens no pixels.
//!
//! Two layouts are read: PASCAL VOC devkit folders ([`voc`]) and one folder per class
//! ([`folder`]). [`synthetic`] draws a VOC-style folder for the demo and the tests.

use std::path::PathBuf;

/// Whether an image shows a class.
///
/// PASCAL VOC writes 1, −1 and 0; `Ignored` (0) means that only difficult objects of the class
/// are there: such an image neither trains nor counts in evaluation for that class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The class is there.
    Yes,
    /// The class is not there.
    No,
    /// Left out of training and evaluation for this class.
    Ignored,
}

/// One object of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Index into [`Split::classes`].
    pub class: usize,
    /// Left, top, right, bottom edge in pixels, 0-based, right and bottom inclusive.
    pub bounds: [f32; 4],
    /// Marked as hard to recognise by the annotator.
    pub difficult: bool,
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
}

/// The images of one split with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Name of the split, for example `train`.
    pub name: String,
    /// Class names, in the order of every per-class array.
    pub classes: Vec<String>,
    /// The images, in list order.
    pub items: Vec<Item>,
    /// `labels[image][class]`.
    pub labels: Vec<Vec<Label>>,
    /// Every image has exactly one class, so that accuracy and a confusion matrix make sense.
    pub single_label: bool,
}
