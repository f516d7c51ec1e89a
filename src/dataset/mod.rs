//! Labelled images: items, labels per class, boxes and splits. Names files, opens no pixels.
//!
//! Five layouts are read: PASCAL VOC devkit folders ([`voc`]), one folder per class ([`folder`]), images with a
//! table of labels (`table`), images with an annotation each (`annotated`), and CUB-200-2011 (`cub`). Places of
//! objects and parts come from annotations, or from tables of their own (`areas`). [`synthetic`] draws a VOC-style folder for the demo and the tests.
//!
//! Opening looks only at folders and lists; what is missing or contradictory there is an error that
//! names the file and line. Nothing depends on the order in which a file system lists its entries.

mod agreement;
mod annotated;
mod annotation;
mod areas;
pub mod boxes;
mod classes;
mod cub;
mod devkit;
mod divided;
pub mod folder;
mod folds;
mod form;
mod inventory;
mod items;
mod label;
mod layouts;
mod listing;
mod lists;
mod names;
mod params;
#[doc(hidden)]
pub mod parsers;
mod place;
pub mod synthetic;
mod table;
mod tree;
pub mod voc;
mod xml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use classes::{labels_for, one_class, require_two_classes};
pub use folds::Folds;
pub use inventory::{Inventory, LeftOut};
pub use items::{Area, AreaKind, Areas, Item, Object, Ruler, Split};
pub use label::Label;
pub use names::IMAGE_ENDINGS;
pub use params::{Layout, Params};

use crate::random::Seed;
use crate::words::{counted, did_you_mean, listed};
use crate::{Error, Result};
use devkit::Devkit;
use divided::Divided;

/// The split that has every image of a data folder, where none of its own is called so.
pub const ALL: &str = "all";

/// Names of splits that are trained on, the most usual first.
const TRAINED: &[&str] = &["train", "training", "trainval"];
/// Names of splits that are tested on.
const TESTED: &[&str] = &["test", "testing", "val", "valid", "validation"];

/// Most bytes of the names of a split and a class together: 255 of a file name, less what is
/// around them in the longest one.
const LONGEST_NAMES: usize = 220;

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
    /// The tables of boxes and parts, and what they hold, once they were asked for.
    area_files: Vec<PathBuf>,
    areas: OnceLock<areas::Tables>,
}

#[derive(Debug, Clone)]
enum Source {
    Voc(voc::Voc),
    Folders(Divided),
    /// A table, or an annotation for each image.
    Table(Divided),
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
        let given = root.to_owned();
        require_folder(root)?;
        let labels = &params.labels;
        let given_table = !labels.as_os_str().is_empty() || params.layout == Layout::Table;
        let voc_root = match params.layout {
            Layout::Auto | Layout::Voc if !given_table => voc::find(root)?,
            _ => None,
        };
        let mut notes = Vec::new();
        let (source, voc_root) = match (voc_root, params.layout) {
            _ if given_table => {
                let walked = tree::walk(root)?;
                let tables = match labels.as_os_str().is_empty() {
                    true => table::of_folder(root, &walked.0, params),
                    false => vec![labels.clone()],
                };
                if tables.is_empty() {
                    let problem = "holds no table of labels; give one with --labels FILE.csv";
                    return Err(Error::data(root, problem));
                }
                (Source::Table(table::open(root, &tables, walked, params, seed)?), root.to_owned())
            }
            (Some(voc_root), Layout::Auto) if !voc::has_lists(&voc_root) => {
                match annotated::open(
                    &voc_root,
                    tree::walk(&voc_root)?,
                    params.train_fraction,
                    seed,
                )? {
                    Some(divided) => (Source::Table(divided), voc_root),
                    None => (Source::Voc(voc::Voc::open(&voc_root)?), voc_root),
                }
            }
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
            (None, Layout::Cub) => {
                (Source::Table(cub::open(root, params.parts_side)?), root.to_owned())
            }
            (None, Layout::Auto) if cub::is_one(root) => {
                (Source::Table(cub::open(root, params.parts_side)?), root.to_owned())
            }
            (None, _) => {
                let source = match folder::open(root, params, seed) {
                    Ok(folders) => Source::Folders(folders),
                    // No class folders: the labels may stand in a table beside the images.
                    Err(error @ Error::Data { .. }) if params.layout == Layout::Auto => {
                        let walked = tree::walk(root)?;
                        let tables = table::of_folder(root, &walked.0, params);
                        let divided = match tables.is_empty() {
                            false => Some(table::open(root, &tables, walked, params, seed)?),
                            true => annotated::open(root, walked, params.train_fraction, seed)?,
                        };
                        Source::Table(divided.ok_or(error)?)
                    }
                    Err(error) => return Err(error),
                };
                (source, root.to_owned())
            }
        };
        let drawn = match &source {
            Source::Folders(divided) | Source::Table(divided) => {
                notes.extend_from_slice(&divided.notes);
                divided.drawn
            }
            Source::Voc(_) => false,
        };
        let default = Params::default().train_fraction;
        if params.train_fraction != default && !drawn {
            notes.push(format!(
                "data.train_fraction = {} has no effect: the data have splits of their own",
                params.train_fraction
            ));
        }
        let area_files = areas::paths(&voc_root, &params.boxes)?;
        let (root, devkit, areas) = (voc_root, OnceLock::new(), OnceLock::new());
        let dataset = Self { given, root, source, notes, devkit, area_files, areas };
        dataset.check_names()?;
        Ok(dataset)
    }

    /// The folder in effect: for PASCAL VOC the one that holds `ImageSets`, which may lie below
    /// the folder that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layout found: [`Layout::Voc`], [`Layout::Folders`] or [`Layout::Table`] (also of
    /// images with an annotation each, and of CUB-200-2011).
    pub fn layout(&self) -> Layout {
        match self.source {
            Source::Voc(_) => Layout::Voc,
            Source::Folders(_) => Layout::Folders,
            Source::Table(_) => Layout::Table,
        }
    }

    /// The classes of all splits together, sorted.
    pub fn classes(&self) -> &[String] {
        match &self.source {
            Source::Voc(voc) => voc.classes(),
            Source::Folders(divided) | Source::Table(divided) => &divided.classes,
        }
    }

    /// The names of the splits, sorted.
    pub fn splits(&self) -> Vec<String> {
        match &self.source {
            Source::Voc(voc) => voc.splits(),
            Source::Folders(divided) | Source::Table(divided) => divided.split_names(),
        }
    }

    /// Whether a split has this name; [`ALL`] is a split of every data folder.
    pub fn has_split(&self, name: &str) -> bool {
        name == ALL || self.splits().iter().any(|split| split == name)
    }

    /// The split that is usually trained on and the one that is tested on, where names say so.
    pub fn usual_splits(&self) -> [Option<String>; 2] {
        let splits = self.splits();
        let first = |names: &[&str]| {
            let mut found = names
                .iter()
                .filter_map(|name| splits.iter().find(|split| split.eq_ignore_ascii_case(name)));
            found.next().cloned()
        };
        [first(TRAINED), first(TESTED)]
    }

    /// What became of every file, in a line: how many are used, and how many are left out and why.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be listed.
    pub fn summary(&self) -> Result<String> {
        let (inventory, sizes) = match &self.source {
            Source::Folders(divided) | Source::Table(divided) => {
                (divided.inventory(None), divided.sizes())
            }
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
            Source::Folders(divided) | Source::Table(divided) => divided.inventory(None),
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

    /// What the tables of boxes and parts hold.
    fn areas(&self) -> Result<&areas::Tables> {
        if let Some(areas) = self.areas.get() {
            return Ok(areas);
        }
        let read = match self.area_files.is_empty() {
            true => areas::Tables::default(),
            false => {
                let splits = self.splits().into_iter().map(|name| self.whole_split(&name));
                let splits: Vec<Split> = splits.collect::<Result<_>>()?;
                let items: Vec<&Item> = splits.iter().flat_map(|split| &split.items).collect();
                areas::Tables::read(&self.area_files, &self.root, &items)?
            }
        };
        Ok(self.areas.get_or_init(|| read))
    }

    /// As [`split`](Self::split), with the places of these kinds for every image that has any
    /// ([`Item::areas`]).
    ///
    /// # Errors
    /// As [`split`](Self::split); [`Error::Data`] for a part or a table of boxes that cannot be read, for a table
    /// of other images, and when no image of the data folder has a place of a kind; [`Error::Io`].
    pub fn split_with(&self, name: &str, kinds: &[AreaKind]) -> Result<Split> {
        let mut split = self.whole_split(name)?;
        if kinds.is_empty() {
            split.items.iter_mut().for_each(|item| item.areas = Areas::default());
            return Ok(split);
        }
        let tables = self.areas()?;
        areas::keep(&mut split.items, kinds, tables)?;
        split.notes.extend_from_slice(&tables.notes);
        for &kind in kinds {
            let has =
                |split: &Split| split.items.iter().any(|item| !item.areas.of(kind).is_empty());
            if has(&split) {
                continue;
            }
            let mut others = self.splits().into_iter();
            let elsewhere = others.try_fold(false, |found, other| {
                let mut other = self.whole_split(&other)?;
                areas::keep(&mut other.items, &[kind], tables)?;
                Ok::<_, Error>(found || has(&other))
            })?;
            if !elsewhere {
                return Err(areas::none(&self.root, kind));
            }
        }
        Ok(split)
    }

    /// As [`split_with`](Self::split_with), where nothing else of the data folder is needed: one list of the images is
    /// in memory then, not two.
    ///
    /// # Errors
    /// As [`split_with`](Self::split_with).
    pub fn into_split_with(self, name: &str, kinds: &[AreaKind]) -> Result<Split> {
        let is_there = |divided: &divided::Divided| divided.splits.contains_key(name);
        match self.source {
            Source::Folders(divided) | Source::Table(divided)
                if kinds.is_empty() && is_there(&divided) =>
            {
                let mut split = divided.into_split(name).expect("it is there");
                check_lengths(&self.root, &split)?;
                split.items.iter_mut().for_each(|item| item.areas = Areas::default());
                Ok(split)
            }
            _ => self.split_with(name, kinds),
        }
    }

    /// Every image of every split, each once.
    fn all(&self) -> Result<Split> {
        let mut names = self.splits().into_iter();
        let mut all = match names.next() {
            Some(name) => self.whole_split(&name)?,
            None => return Err(Error::data(&self.root, "there is no split".to_owned())),
        };
        let mut known: BTreeMap<String, usize> =
            all.items.iter().enumerate().map(|(i, item)| (item.id.clone(), i)).collect();
        for name in names {
            let split = self.whole_split(&name)?;
            for (item, labels) in split.items.into_iter().zip(split.labels) {
                match known.get(&item.id) {
                    Some(&there) if all.labels[there] == labels => {}
                    Some(_) => {
                        let problem = format!(
                            "image `{}` has other labels in split `{name}` than in one before it; `{ALL}` has \
                             each image once",
                            item.id
                        );
                        return Err(Error::data(&self.root, problem));
                    }
                    None => {
                        known.insert(item.id.clone(), all.items.len());
                        all.items.push(item);
                        all.labels.push(labels);
                    }
                }
            }
            all.single_label &= split.single_label;
            let new = |note: &String| !all.notes.contains(note);
            let notes: Vec<String> = split.notes.into_iter().filter(new).collect();
            all.notes.extend(notes);
        }
        all.name = ALL.to_owned();
        all.files = match &self.source {
            Source::Folders(divided) | Source::Table(divided) => divided.inventory(None),
            Source::Voc(voc) => self.devkit(voc)?.inventory(Some(&all.items)),
        };
        Ok(all)
    }

    /// The images of one split; of [`ALL`] those of all splits, where none has that name. Every split has all of [`Dataset::classes`], whether or not it
    /// shows them.
    ///
    /// An image file that is not there stays in the split, with the path it should have.
    ///
    /// # Errors
    /// [`Error::Data`] for an unknown split (with those that exist), a list or an annotation that
    /// is broken or contradicts another, with path and line; [`Error::Io`] for one that cannot be
    /// read.
    pub fn split(&self, name: &str) -> Result<Split> {
        self.split_with(name, &[])
    }

    /// A split with all that annotations say of parts.
    fn whole_split(&self, name: &str) -> Result<Split> {
        if name == ALL && !self.splits().iter().any(|split| split == ALL) {
            return self.all();
        }
        let split = match &self.source {
            Source::Voc(voc) => match voc.split(name)? {
                Some(split) => {
                    let files = self.devkit(voc)?.inventory(Some(&split.items));
                    Some(Split { files, ..split })
                }
                None => None,
            },
            Source::Folders(divided) | Source::Table(divided) => divided.split(name),
        };
        if let Some(split) = &split {
            check_lengths(&self.root, split)?;
        }
        split.ok_or_else(|| {
            let hint = match &self.source {
                Source::Voc(voc) => voc.unused_list_for(name),
                Source::Folders(folders) => folders.hint_for(name, &self.root),
                Source::Table(_) => None,
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

/// The images in a folder, to any depth, sorted.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed.
pub fn images_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (tree, _) = tree::walk(folder)?;
    Ok(tree.files(folder))
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
    } else if names::image_rank(&name).is_some() {
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
