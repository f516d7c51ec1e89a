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

/// A place of an object, or of a part of one, that descriptors may be taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    /// Name of the part, where it has one. It has no effect.
    pub name: String,
    /// Its edges, as [`Object::bounds`].
    pub bounds: [f32; 4],
    /// What they are measured on; the same for all areas of a kind of one image.
    pub ruler: Ruler,
    /// Whether it was drawn round a point, so that it may well reach over the border of the picture.
    pub of_point: bool,
}

impl From<&Object> for Area {
    fn from(object: &Object) -> Self {
        let Object { bounds, ruler, .. } = *object;
        Self { name: String::new(), bounds, ruler, of_point: false }
    }
}

/// The places of an image that descriptors may be taken from; empty unless they were asked for
/// ([`super::Dataset::split_with`]).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Areas {
    /// Of objects.
    pub boxes: Vec<Area>,
    /// Of the parts of objects that can be seen.
    pub parts: Vec<Area>,
    /// The place of a part that could not be read, and why: for whoever asks for parts.
    pub(super) broken_part: Option<Box<(PathBuf, String)>>,
}

/// What places are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AreaKind {
    /// Objects.
    Boxes,
    /// Parts of objects.
    Parts,
}

impl AreaKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Boxes, Self::Parts];

    /// In words: `boxes`, `parts`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Boxes => "boxes",
            Self::Parts => "parts",
        }
    }
}

impl Areas {
    /// Those of a kind.
    pub fn of(&self, kind: AreaKind) -> &[Area] {
        match kind {
            AreaKind::Boxes => &self.boxes,
            AreaKind::Parts => &self.parts,
        }
    }

    pub(super) fn of_mut(&mut self, kind: AreaKind) -> &mut Vec<Area> {
        match kind {
            AreaKind::Boxes => &mut self.boxes,
            AreaKind::Parts => &mut self.parts,
        }
    }
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
    /// Where descriptors may be taken from, where that was asked for.
    pub areas: Areas,
    /// What it belongs to with other images (a patient, a site, a film), where a table says so.
    pub group: Option<String>,
}

impl Item {
    /// An image of no data set: its name without the extension is its id.
    pub fn of_file(path: &Path) -> Self {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (objects, areas) = Default::default();
        Self { id, path: path.to_owned(), objects, areas, group: None }
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
