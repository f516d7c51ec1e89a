//! Labelled images: items, labels per class, boxes and splits. Names files, opens no pixels.
//!
//! Two layouts are read: PASCAL VOC devkit folders ([`voc`]) and one folder per class
//! ([`folder`]). [`synthetic`] draws a VOC-style folder for the demo and the tests.
//!
//! Opening looks only at folders and lists; what is missing or contradictory there is an error that
//! names the file and line. Nothing depends on the order in which a file system lists its entries.

mod agreement;
mod annotation;
pub mod boxes;
mod devkit;
pub mod folder;
mod form;
mod inventory;
mod layouts;
mod lists;
mod names;
#[doc(hidden)]
pub mod parsers;
pub mod synthetic;
mod tree;
pub mod voc;
mod xml;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::parameters::above;
use crate::random::Seed;
use crate::words::{counted, did_you_mean, listed};
use crate::{Error, Result};
use devkit::Devkit;
pub use inventory::{Inventory, LeftOut};

/// File name endings that count as images, in any case; the first one wins when an image of the
/// same name is there several times. They only find files: what is in one is told by its contents.
pub const IMAGE_ENDINGS: &[&str] = &[
    "jpg", "jpeg", "png", "ppm", "pgm", "pbm", "pnm", "bmp", "gif", "tif", "tiff", "webp", "jpe",
    "jfif",
];

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
    /// Left, top, right, bottom edge in pixels, 0-based, right and bottom inclusive; with
    /// [`Ruler::Shares`] shares of width and height. [`boxes::place`] finds the place in the picture.
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
    /// What became of every file of the data folder.
    pub files: Inventory,
    /// What the user should know of its lists and annotations, in sentences.
    pub notes: Vec<String>,
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
    /// [`Error::Setting`] with the key and its range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}

/// An opened data folder: its classes and the names of its splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder that was given.
    given: PathBuf,
    root: PathBuf,
    source: Source,
    notes: Vec<String>,
    /// The files of a devkit, once they were looked at.
    devkit: OnceLock<Devkit>,
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
        require_folder(root)?;
        let voc_root = match params.layout {
            Layout::Auto | Layout::Voc => voc::find(root)?,
            Layout::Folders | Layout::Splits | Layout::Classes => None,
        };
        let mut notes = Vec::new();
        let (source, voc_root) = match (voc_root, params.layout) {
            (Some(voc_root), _) => {
                if voc_root != root {
                    notes.push(format!("the PASCAL VOC folder {} is used", voc_root.display()));
                }
                (Source::Voc(voc::Voc::open(&voc_root)?), voc_root)
            }
            (None, Layout::Voc) => {
                return Err(Error::data(
                    root,
                    "not a PASCAL VOC folder: looked for ImageSets/Main and JPEGImages here, in \
                     each folder here and in VOCdevkit/*",
                ));
            }
            (None, _) => {
                let folders = folder::Folders::open(root, params, seed)?;
                notes.extend_from_slice(folders.notes());
                (Source::Folders(folders), root.to_owned())
            }
        };
        let divided = matches!(&source, Source::Folders(folders) if folders.are_drawn());
        let default = Params::default().train_fraction;
        if params.train_fraction != default && !divided {
            notes.push(format!(
                "data.train_fraction = {} has no effect: the data have splits of their own",
                params.train_fraction
            ));
        }
        let given = root.to_owned();
        let dataset = Self { given, root: voc_root, source, notes, devkit: OnceLock::new() };
        dataset.check_names()?;
        Ok(dataset)
    }

    /// The folder in effect: for PASCAL VOC the one that holds `ImageSets`, which may lie below
    /// the folder that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layout found: [`Layout::Voc`] or [`Layout::Folders`].
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

    /// What became of every file, in a line: how many are used, and how many are left out and why.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be listed.
    pub fn summary(&self) -> Result<String> {
        let (inventory, sizes) = match &self.source {
            Source::Folders(folders) => (folders.inventory(None), folders.sizes()),
            Source::Voc(voc) => {
                let devkit = self.devkit(voc)?;
                (devkit.inventory(None), devkit.sizes().to_vec())
            }
        };
        let sizes: Vec<String> = sizes.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let images = format!("{} ({})", counted(inventory.used, "image"), sizes.join(", "));
        let lists = match inventory.lists {
            0 => String::new(),
            n => format!(", {n} lists and annotations"),
        };
        let left_out = match inventory.left_out_in_words() {
            words if words.is_empty() => "nothing left out".to_owned(),
            words => format!("left out: {words}"),
        };
        let found = counted(inventory.found, "file");
        Ok(format!("{found}: {images}{lists}; {left_out}"))
    }

    /// What the user should know of the folder, in sentences: what was found in place of what was
    /// given, what is passed over, which settings have no effect.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be listed.
    pub fn notes(&self) -> Result<Vec<String>> {
        let inventory = match &self.source {
            Source::Folders(folders) => folders.inventory(None),
            Source::Voc(voc) => self.devkit(voc)?.inventory(None),
        };
        let mut notes = self.notes.clone();
        let unread: Vec<String> = inventory
            .left_out
            .iter()
            .filter(|left_out| names::is_unread_image(&left_out.reason))
            .map(|left_out| format!("{} {}", left_out.count, left_out.reason))
            .collect();
        if !unread.is_empty() {
            notes.push(format!(
                "images of kinds that are not read are left out: {}; convert them to JPEG or PNG",
                unread.join(", ")
            ));
        }
        let folders = inventory.passed_over_in_words();
        if !folders.is_empty() {
            notes.push(format!("folders passed over: {folders}"));
        }
        Ok(notes)
    }

    /// The files of a devkit.
    fn devkit(&self, voc: &voc::Voc) -> Result<&Devkit> {
        if let Some(devkit) = self.devkit.get() {
            return Ok(devkit);
        }
        let devkit = Devkit::look(&self.given, &self.root, &voc.splits())?;
        Ok(self.devkit.get_or_init(|| devkit))
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
            Source::Voc(voc) => match voc.split(name)? {
                Some(split) => {
                    let files = self.devkit(voc)?.inventory(Some(&split.items));
                    Some(Split { files, ..split })
                }
                None => None,
            },
            Source::Folders(folders) => folders.split(name),
        };
        if let Some(split) = &split {
            check_lengths(&self.root, split)?;
        }
        split.ok_or_else(|| {
            let hint = match &self.source {
                Source::Voc(voc) => voc.unused_list_for(name),
                Source::Folders(folders) => folders.hint_for(name, &self.root),
            };
            let splits = self.splits();
            let (there, near) = (listed(&splits), did_you_mean(name, &splits));
            let hint = hint.unwrap_or_default();
            Error::data(&self.root, format!("no split `{name}`; there are: {there}{hint}{near}"))
        })
    }

    /// Classes and splits name files and stand in their lines.
    fn check_names(&self) -> Result<()> {
        let splits = self.splits();
        let named = splits.iter().map(|name| ("split", name));
        let mut named = named.chain(self.classes().iter().map(|name| ("class", name)));
        match named.find(|(_, name)| name.contains(names::breaks)) {
            None => Ok(()),
            Some((what, name)) => {
                let name = names::shown(name.as_ref());
                let problem = format!("the name of {what} `{name}` has a line break; rename it");
                Err(Error::data(&self.root, problem))
            }
        }
    }
}

/// Refuses what is no folder, with what it may be.
fn require_folder(root: &Path) -> Result<()> {
    let found = match std::fs::metadata(root) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(Error::io("list", root)(error));
        }
        Err(_) => {
            return Err(Error::data(
                root,
                "no such folder; give the folder that holds the images, \
                 for example VOCdevkit/VOC2007",
            ));
        }
    };
    if found.is_dir() {
        return Ok(());
    }
    let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let archives = [".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"];
    let problem = if names::ending(&name).is_some_and(|e| archives.contains(&e.as_str())) {
        "an archive, not a folder; unpack it and give the folder that holds the images"
    } else if image_rank(&name).is_some() {
        "an image, not a folder of images; `fvtool predict` classifies single images"
    } else {
        "a file, not a folder; give the folder that holds the images"
    };
    Err(Error::data(root, problem))
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

/// The name without the ending of an image file, where it has one.
fn without_ending(name: &str) -> Option<&str> {
    image_rank(name)?;
    name.rsplit_once('.').map(|(stem, _)| stem)
}

/// Names of folders, image files and texts in a folder, each sorted.
#[derive(Debug, Default)]
struct Listing {
    folders: Vec<String>,
    images: Vec<String>,
    texts: Vec<String>,
}

/// Lists a folder, following links. Hidden entries and other files are left out, and files whose names
/// are no text, which no list can name; a link that leads nowhere counts as a file, so that a missing
/// image is reported when it is read.
fn list(path: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    for (name, kind) in tree::entries(path)? {
        let folder = tree::is_folder(path, &name, kind);
        if tree::passed_over(&name, folder).is_some() {
            continue;
        }
        let image = !folder && tree::is_image(path, &name);
        let name = match name.into_string() {
            Ok(name) => name,
            // Its class or split must have a name that can be written down.
            Err(name) if folder => {
                return Err(Error::data(path.join(name), "the name is not UTF-8; rename it"));
            }
            Err(_) => continue,
        };
        if folder {
            listing.folders.push(name);
        } else if image {
            listing.images.push(name);
        } else if name.ends_with(".txt") {
            listing.texts.push(name);
        }
    }
    Ok(listing)
}

/// `path:line`, as compilers write it.
fn at_line(path: &Path, line: usize) -> PathBuf {
    let mut shown = path.as_os_str().to_owned();
    shown.push(format!(":{line}"));
    shown.into()
}
