//! Labelled images: items, labels per class, boxes and splits. Names files, opens no pixels.
//!
//! Two layouts are read: PASCAL VOC devkit folders ([`voc`]) and one folder per class
//! ([`folder`]). [`synthetic`] draws a VOC-style folder for the demo and the tests.
//!
//! Opening looks only at folders and lists; what is missing or contradictory there is an error that
//! names the file and line. Nothing depends on the order in which a file system lists its entries.

mod annotation;
pub mod folder;
mod lists;
#[doc(hidden)]
pub mod parsers;
pub mod synthetic;
pub mod voc;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::random::Seed;
use crate::{Error, Result};

/// File name endings that count as images, in any case; the first one wins when an image of the
/// same name is there several times.
pub const IMAGE_ENDINGS: &[&str] =
    &["jpg", "jpeg", "png", "ppm", "pgm", "pbm", "pnm", "bmp", "gif", "tif", "tiff", "webp"];

/// Most bytes of the names of a split and a class together: 255 of a file name, less what is
/// around them in the longest one.
const LONGEST_NAMES: usize = 220;

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

impl Item {
    /// An image of no data set: its name without the extension is its id.
    pub fn of_file(path: &Path) -> Self {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { id, path: path.to_owned(), objects: Vec::new() }
    }
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

/// How a data folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Look: a folder with `ImageSets/Main` or `JPEGImages` is PASCAL VOC, any other has a folder
    /// per class.
    Auto,
    /// PASCAL VOC devkit: `JPEGImages`, `ImageSets/Main`, `Annotations`.
    Voc,
    /// One folder per class: `<split>/<class>/<image>` or `<class>/<image>`.
    Folders,
}

crate::parameters! {
    /// Settings of the data set (`data` in the configuration).
    pub struct Params {
        /// Layout of the data folder: `auto` looks for PASCAL VOC's `ImageSets/Main` or
        /// `JPEGImages` and takes a folder per class otherwise; `voc`, `folders`.
        pub layout: Layout = Layout::Auto,
        /// Share of each class's images that go into the split `train`, the others into `test`
        /// (above 0, below 1). Only for a folder per class without split folders.
        pub train_fraction: f64 = 0.5,
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] with the key and its range.
    pub fn validate(&self) -> Result<()> {
        Error::require(
            self.train_fraction > 0.0 && self.train_fraction < 1.0,
            "data.train_fraction",
            self.train_fraction,
            "above 0 and below 1",
        )
    }
}

/// An opened data folder: its classes and the names of its splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    root: PathBuf,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Voc(voc::Voc),
    Folders(folder::Folders),
}

impl Dataset {
    /// Opens a data folder. `seed` matters only where `data.train_fraction` does.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting outside its range, [`Error::Io`] for a folder that cannot
    /// be listed, [`Error::Data`] when the folder is of no known layout (with what was looked for)
    /// or contradicts itself.
    pub fn open(root: &Path, params: &Params, seed: Seed) -> Result<Self> {
        params.validate()?;
        if !root.is_dir() {
            return Err(Error::data(
                root,
                "no such folder; give the folder that holds the images, \
                 for example VOCdevkit/VOC2007",
            ));
        }
        let voc_root = match params.layout {
            Layout::Auto | Layout::Voc => voc::find(root)?,
            Layout::Folders => None,
        };
        match (voc_root, params.layout) {
            (Some(root), _) => {
                let source = Source::Voc(voc::Voc::open(&root)?);
                Ok(Self { root, source })
            }
            (None, Layout::Voc) => Err(Error::data(
                root,
                "not a PASCAL VOC folder: looked for ImageSets/Main and JPEGImages here, in each \
                 folder here and in VOCdevkit/*",
            )),
            (None, layout) => {
                let folders = folder::Folders::open(root, params.train_fraction, seed)?;
                let source = Source::Folders(folders.ok_or_else(|| {
                    let voc = match layout {
                        Layout::Auto => "ImageSets/Main or JPEGImages (PASCAL VOC), ",
                        Layout::Voc | Layout::Folders => "",
                    };
                    let endings = IMAGE_ENDINGS.join(", ");
                    Error::data(
                        root,
                        format!(
                            "no images found: looked for {voc}<split>/<class>/<image> and \
                             <class>/<image>, with the endings {endings}"
                        ),
                    )
                })?);
                Ok(Self { root: root.to_owned(), source })
            }
        }
    }

    /// The folder in effect: for PASCAL VOC the one that holds `ImageSets`, which may lie below
    /// the folder that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layout found; never [`Layout::Auto`].
    pub fn layout(&self) -> Layout {
        match self.source {
            Source::Voc(_) => Layout::Voc,
            Source::Folders(_) => Layout::Folders,
        }
    }

    /// The classes of all splits together, sorted.
    pub fn classes(&self) -> &[String] {
        match &self.source {
            Source::Voc(voc) => voc.classes(),
            Source::Folders(folders) => folders.classes(),
        }
    }

    /// The names of the splits, sorted.
    pub fn splits(&self) -> Vec<String> {
        match &self.source {
            Source::Voc(voc) => voc.splits(),
            Source::Folders(folders) => folders.splits(),
        }
    }

    /// The images of one split. Every split has all of [`Dataset::classes`], whether or not it
    /// shows them.
    ///
    /// An image file that is not there stays in the split, with the path it should have.
    ///
    /// # Errors
    /// [`Error::Data`] for an unknown split (with those that exist), a list or an annotation that
    /// is broken or contradicts another, with path and line; [`Error::Io`] for one that cannot be
    /// read.
    pub fn split(&self, name: &str) -> Result<Split> {
        let split = match &self.source {
            Source::Voc(voc) => voc.split(name)?,
            Source::Folders(folders) => folders.split(name),
        };
        if let Some(split) = &split {
            check_lengths(&self.root, split)?;
        }
        split.ok_or_else(|| {
            let hint = match &self.source {
                Source::Voc(voc) => voc.unused_list_for(name),
                Source::Folders(_) => None,
            };
            let there = self.splits().join(", ");
            let hint = hint.unwrap_or_default();
            Error::data(&self.root, format!("no split `{name}`; there are: {there}{hint}"))
        })
    }
}

/// Result files are named after split and class: names that no file can have are refused here, not
/// after hours of work.
fn check_lengths(root: &Path, split: &Split) -> Result<()> {
    for class in &split.classes {
        let bytes = split.name.len() + class.len();
        if bytes > LONGEST_NAMES {
            let problem = format!(
                "the names of split `{}` and class `{class}` have {bytes} bytes together; results \
                 are files of these names: shorten them to {LONGEST_NAMES}",
                split.name
            );
            return Err(Error::data(root, problem));
        }
    }
    Ok(())
}

/// Whether a file name ends like an image; the rank of its ending in [`IMAGE_ENDINGS`].
fn image_rank(name: &str) -> Option<usize> {
    let (stem, ending) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    IMAGE_ENDINGS.iter().position(|known| known.eq_ignore_ascii_case(ending))
}

/// Names of folders and image files in a folder, each sorted.
#[derive(Debug, Default)]
struct Listing {
    folders: Vec<String>,
    images: Vec<String>,
    /// Image files whose names are not text.
    odd: Vec<OsString>,
    texts: Vec<String>,
}

/// Lists a folder, following links. Hidden entries and other files are left out; a link that leads
/// nowhere counts as a file, so that a missing image is reported when it is read.
fn list(path: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(path).map_err(Error::io("list", path))? {
        let entry = entry.map_err(Error::io("list", path))?;
        let kind = entry.file_type().map_err(Error::io("list", entry.path()))?;
        let name = match entry.file_name().into_string() {
            Ok(name) => name,
            // Its class or split must have a name that can be written down.
            Err(_) if kind.is_dir() => {
                return Err(Error::data(entry.path(), "the name is not UTF-8; rename it"));
            }
            Err(name) => {
                if image_rank(&name.to_string_lossy()).is_some() {
                    listing.odd.push(name);
                }
                continue;
            }
        };
        if name.starts_with('.') {
            continue;
        }
        let is_folder = kind.is_dir()
            || kind.is_symlink() && std::fs::metadata(entry.path()).is_ok_and(|m| m.is_dir());
        if is_folder {
            listing.folders.push(name);
        } else if image_rank(&name).is_some() {
            listing.images.push(name);
        } else if name.ends_with(".txt") {
            listing.texts.push(name);
        }
    }
    listing.folders.sort_unstable();
    listing.images.sort_unstable();
    listing.odd.sort_unstable();
    listing.texts.sort_unstable();
    Ok(listing)
}

/// `path:line`, as compilers write it.
fn at_line(path: &Path, line: usize) -> PathBuf {
    let mut shown = path.as_os_str().to_owned();
    shown.push(format!(":{line}"));
    shown.into()
}
