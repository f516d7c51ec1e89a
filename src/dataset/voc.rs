//! PASCAL VOC devkit folders.
//!
//! ```text
//! JPEGImages/<id>.jpg               images, of any ending that is read
//! ImageSets/Main/<split>.txt        one id per line
//! ImageSets/Main/<class>_<split>.txt  id and label: 1, -1, or 0 where only difficult objects are
//! Annotations/<id>.xml              boxes (optional where all class lists are there)
//! ```
//!
//! A list whose lines have a label belongs to a class, any other is a split; the longest split
//! name that fits decides, so that a class may be called `train` (as in VOC2007). A class without
//! a list in some split takes its labels there from the annotations: `Yes` with an object that is
//! not difficult, `Ignored` with difficult ones alone, `No` otherwise. Then every image of the
//! split needs its annotation, because a missing file would silently make a negative. Objects of
//! classes that no list names are left out. Where lists and annotations tell different things, the lists
//! are used and a note says how often (`agreement`).
//!
//! Boxes are written 1-based with both edges inclusive, and come out 0-based. When a box of the split
//! begins before pixel 1, all of its boxes are taken as 0-based with the far edges exclusive, as most
//! other programs write them.
//!
//! Source: the VOC2007 development kit (`VOCcode/VOCreadxml.m`, `example_classifier.m`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::agreement::{self, Contradictions};
use super::annotation::{self, Annotation};
use super::inventory::Inventory;
use super::items::{Areas, Item, Split};
use super::label::Label;
use super::listing::list;
use super::lists::{self, Ids, Kind};
use super::names::{image_rank, without_ending};
use crate::{Error, Result};

/// Finds the devkit folder in `root`: itself, or the only folder like one in `root` or
/// `root/VOCdevkit`. `None` when there is none.
///
/// # Errors
/// [`Error::Data`] when several fit, [`Error::Io`] when a folder cannot be listed.
pub(super) fn find(root: &Path) -> Result<Option<PathBuf>> {
    if is_devkit(root) {
        return Ok(Some(root.to_owned()));
    }
    let mut found = Vec::new();
    for parent in [root.join("VOCdevkit"), root.to_owned()] {
        if parent.is_dir() {
            let folders = list(&parent)?.folders;
            found.extend(folders.iter().map(|name| parent.join(name)).filter(|p| is_devkit(p)));
        }
    }
    // Links to one of them are no second one.
    let mut known = BTreeSet::new();
    found.retain(|path| std::fs::canonicalize(path).is_ok_and(|real| known.insert(real)));
    match &found[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        several => {
            let names: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Error::data(
                root,
                format!("holds several PASCAL VOC folders; give one of {}", names.join(", ")),
            ))
        }
    }
}

/// Whether a devkit says which images there are and how they are divided.
pub(super) fn has_lists(root: &Path) -> bool {
    root.join("ImageSets/Main").is_dir()
}

fn is_devkit(path: &Path) -> bool {
    path.join("ImageSets/Main").is_dir() || path.join("JPEGImages").is_dir()
}

/// An opened devkit folder.
#[derive(Debug, Clone)]
pub(super) struct Voc {
    root: PathBuf,
    classes: Vec<String>,
    /// The classes that have a list, for each split.
    splits: BTreeMap<String, BTreeSet<String>>,
    /// Lists with labels whose split has no list of its own.
    unused: Vec<String>,
}

impl Voc {
    /// Finds splits and classes from the names and first lines of the lists.
    ///
    /// # Errors
    /// [`Error::Data`] without lists or classes; what [`Voc::split`] returns where classes must be
    /// taken from the annotations.
    pub fn open(root: &Path) -> Result<Self> {
        let main = root.join("ImageSets/Main");
        if !main.is_dir() {
            return Err(Error::data(
                &main,
                "no such folder; PASCAL VOC keeps its lists there: <split>.txt with one image id \
                 per line, and <class>_<split>.txt with ids and labels",
            ));
        }
        let mut stems = Vec::new();
        for name in list(&main)?.texts {
            let kind = lists::peek(&main.join(&name))?;
            stems.push((name[..name.len() - ".txt".len()].to_owned(), kind));
        }
        let mut voc = Self {
            root: root.to_owned(),
            classes: Vec::new(),
            splits: BTreeMap::new(),
            unused: Vec::new(),
        };
        let mut rest = Vec::new();
        for (stem, kind) in stems {
            // A list with labels and no underscore can only be a split gone wrong: reading it
            // says what is wrong with it.
            if kind == Kind::Ids || kind == Kind::Labels && !stem.contains('_') {
                voc.splits.insert(stem, BTreeSet::new());
            } else {
                rest.push((stem, kind));
            }
        }
        for (stem, kind) in rest {
            let fits = lists::class_and_split(&stem, &voc.splits)
                .map(|(class, split)| (class.to_owned(), split.to_owned()));
            match (fits, kind) {
                (Some((class, split)), _) => {
                    voc.splits.entry(split).or_default().insert(class);
                }
                (None, Kind::Empty) => {
                    voc.splits.insert(stem, BTreeSet::new());
                }
                (None, _) => voc.unused.push(stem),
            }
        }
        if voc.splits.is_empty() {
            return Err(Error::data(
                &main,
                "no split found; write <split>.txt with one image id per line, \
                 for example train.txt and test.txt",
            ));
        }
        voc.classes = voc.find_classes()?;
        Ok(voc)
    }

    fn find_classes(&self) -> Result<Vec<String>> {
        let mut classes: BTreeSet<String> = self.splits.values().flatten().cloned().collect();
        if classes.is_empty() {
            let images = self.images()?;
            for split in self.splits.keys() {
                let list = self.split_list(split);
                let ids = Ids::read(&list, |id| images.contains_key(id))?;
                for annotation in self.annotations(&ids)?.into_iter().flatten() {
                    classes.extend(annotation.objects.into_iter().map(|named| named.class));
                }
            }
        }
        if classes.is_empty() {
            return Err(Error::data(
                self.root.join("ImageSets/Main"),
                "no class found: looked for lists <class>_<split>.txt here and for objects in \
                 ../../Annotations/<id>.xml",
            ));
        }
        Ok(classes.into_iter().collect())
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    pub fn splits(&self) -> Vec<String> {
        self.splits.keys().cloned().collect()
    }

    /// A hint for a split that has class lists but no list of its own.
    pub fn unused_list_for(&self, split: &str) -> Option<String> {
        let list = self.unused.iter().find(|stem| stem.ends_with(&format!("_{split}")))?;
        Some(format!("; {list}.txt is there, but {split}.txt is not: write it, one id per line"))
    }

    fn split_list(&self, split: &str) -> PathBuf {
        self.root.join("ImageSets/Main").join(format!("{split}.txt"))
    }

    /// The annotation of each image, where it has one.
    fn annotations(&self, ids: &Ids) -> Result<Vec<Option<Annotation>>> {
        let folder = self.root.join("Annotations");
        if !folder.is_dir() {
            return Ok(vec![None; ids.ids.len()]);
        }
        let read: Vec<Result<_>> = ids
            .ids
            .par_iter()
            .map(|id| annotation::read(&folder.join(format!("{id}.xml"))))
            .collect();
        // Collected first, so that the error is that of the first image, not of the first thread.
        read.into_iter().collect()
    }

    /// The images of a split; `None` when there is no such split.
    ///
    /// # Errors
    /// See [`super::Dataset::split`].
    pub fn split(&self, name: &str) -> Result<Option<Split>> {
        let Some(listed) = self.splits.get(name) else { return Ok(None) };
        let list = self.split_list(name);
        let images = self.images()?;
        let ids = Ids::read(&list, |id| images.contains_key(id))?;
        let annotations = self.annotations(&ids)?;
        let mut labels = vec![Vec::with_capacity(self.classes.len()); ids.ids.len()];
        let mut contradictions = Contradictions::default();
        for class in &self.classes {
            let column = if listed.contains(class) {
                let path = list.with_file_name(format!("{class}_{name}.txt"));
                let column = ids.labels(&list, &path)?;
                contradictions.compare(class, &ids.ids, &column, &annotations);
                column
            } else {
                self.labels_from_objects(class, &list, &ids, &annotations)?
            };
            for (row, label) in labels.iter_mut().zip(column) {
                row.push(label);
            }
        }
        let mut notes: Vec<String> = contradictions.note(name).into_iter().collect();
        notes.extend(agreement::hidden_classes(name, &self.classes, &annotations));
        notes.extend(agreement::lists_without_negatives(name, &self.classes, listed, &labels));
        notes.extend(agreement::similar_classes(&self.classes));
        notes.extend(agreement::other_files(name, &ids.ids, &annotations));
        notes.extend(agreement::unread_elements(name, &annotations));
        let from_zero = annotations.iter().flatten().filter(|a| a.begins_at_zero()).count();
        notes.extend(agreement::first_pixel(name, from_zero));
        let paths = self.image_paths(&ids, &images);
        let items = ids.ids.into_iter().zip(paths).zip(annotations);
        let items = items
            .map(|((id, path), annotation)| {
                let annotation = annotation.unwrap_or_default();
                let objects = annotation.known_objects(&self.classes, from_zero > 0);
                let parts = annotation.known_parts(&self.classes, from_zero > 0);
                let broken_part = annotation.broken_part;
                let areas =
                    Areas { parts, broken_part: broken_part.map(Box::new), ..Areas::default() };
                Item { id, path, objects, areas, group: None }
            })
            .collect();
        Ok(Some(Split {
            name: name.to_owned(),
            root: self.root.clone(),
            classes: self.classes.clone(),
            items,
            labels,
            single_label: false,
            files: Inventory::default(),
            notes,
        }))
    }

    fn labels_from_objects(
        &self,
        class: &str,
        list: &Path,
        ids: &Ids,
        annotations: &[Option<Annotation>],
    ) -> Result<Vec<Label>> {
        let label = |(i, annotation): (usize, &Option<Annotation>)| {
            let Some(annotation) = annotation else {
                let split = list.file_stem().unwrap_or_default().display();
                return Err(Error::data(
                    ids.place(list, i),
                    format!(
                        "nothing says whether `{}` shows `{class}`: there is neither \
                         {class}_{split}.txt nor Annotations/{}.xml; add one of them",
                        ids.ids[i], ids.ids[i]
                    ),
                ));
            };
            Ok(agreement::label_of(class, annotation))
        };
        annotations.iter().enumerate().map(label).collect()
    }

    /// The file names of the images, by name without ending; the preferred ending where there are
    /// several.
    fn images(&self) -> Result<BTreeMap<String, String>> {
        let folder = self.root.join("JPEGImages");
        let names = if folder.is_dir() { list(&folder)?.images } else { Vec::new() };
        let mut best: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for name in names {
            // The listing takes files without an ending by their contents.
            let rank = image_rank(&name).unwrap_or(usize::MAX);
            let stem = without_ending(&name).unwrap_or(&name).to_owned();
            match best.get_mut(&stem) {
                Some(before) if (rank, &name) < (before.0, &before.1) => *before = (rank, name),
                Some(_) => {}
                None => _ = best.insert(stem, (rank, name)),
            }
        }
        Ok(best.into_iter().map(|(stem, (_, name))| (stem, name)).collect())
    }

    /// The file of each id; where there is none, the path that it should have.
    fn image_paths(&self, ids: &Ids, images: &BTreeMap<String, String>) -> Vec<PathBuf> {
        let folder = self.root.join("JPEGImages");
        let path = |id: &String| match images.get(id) {
            Some(name) => folder.join(name),
            None => folder.join(format!("{id}.jpg")),
        };
        ids.ids.iter().map(path).collect()
    }
}
