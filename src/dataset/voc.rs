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
//! classes that no list names are left out.
//!
//! Source: the VOC2007 development kit (`VOCcode/VOCreadxml.m`, `example_classifier.m`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::annotation::{self, Named};
use super::lists::{self, Ids, Kind};
use super::{Inventory, Item, Label, Object, Split, image_rank, list};
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
            for split in self.splits.keys() {
                let list = self.split_list(split);
                let ids = Ids::read(&list)?;
                for named in self.annotations(&ids)?.into_iter().flatten().flatten() {
                    classes.insert(named.class);
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

    /// The objects of each image, `None` where it has no annotation.
    fn annotations(&self, ids: &Ids) -> Result<Vec<Option<Vec<Named>>>> {
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
        let ids = Ids::read(&list)?;
        let annotations = self.annotations(&ids)?;
        let mut labels = vec![Vec::with_capacity(self.classes.len()); ids.ids.len()];
        for class in &self.classes {
            let column = if listed.contains(class) {
                let path = list.with_file_name(format!("{class}_{name}.txt"));
                ids.labels(&list, &path)?
            } else {
                self.labels_from_objects(class, &list, &ids, &annotations)?
            };
            for (row, label) in labels.iter_mut().zip(column) {
                row.push(label);
            }
        }
        let paths = self.image_paths(&ids)?;
        let items = ids.ids.into_iter().zip(paths).zip(annotations);
        let items = items
            .map(|((id, path), named)| {
                let objects = named.unwrap_or_default();
                Item { id, path, objects: self.known_objects(objects) }
            })
            .collect();
        Ok(Some(Split {
            name: name.to_owned(),
            classes: self.classes.clone(),
            items,
            labels,
            single_label: false,
            files: Inventory::default(),
        }))
    }

    fn labels_from_objects(
        &self,
        class: &str,
        list: &Path,
        ids: &Ids,
        annotations: &[Option<Vec<Named>>],
    ) -> Result<Vec<Label>> {
        let label = |(i, objects): (usize, &Option<Vec<Named>>)| {
            let Some(objects) = objects else {
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
            let of_class = || objects.iter().filter(|object| object.class == class);
            Ok(match (of_class().any(|object| !object.difficult), of_class().next()) {
                (true, _) => Label::Yes,
                (false, Some(_)) => Label::Ignored,
                (false, None) => Label::No,
            })
        };
        annotations.iter().enumerate().map(label).collect()
    }

    fn known_objects(&self, named: Vec<Named>) -> Vec<Object> {
        let known = named.into_iter().filter_map(|object| {
            let class = self.classes.binary_search(&object.class).ok()?;
            Some(Object { class, bounds: object.bounds, difficult: object.difficult })
        });
        known.collect()
    }

    /// The file of each id; where there is none, the path that it should have.
    fn image_paths(&self, ids: &Ids) -> Result<Vec<PathBuf>> {
        let folder = self.root.join("JPEGImages");
        let names = if folder.is_dir() { list(&folder)?.images } else { Vec::new() };
        let mut best: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for name in &names {
            let Some((rank, stem)) = image_rank(name).zip(stem(name)) else { continue };
            let entry = best.entry(stem).or_insert((rank, name));
            *entry = (*entry).min((rank, name));
        }
        let path = |id: &String| match best.get(id.as_str()) {
            Some((_, name)) => folder.join(name),
            None => folder.join(format!("{id}.jpg")),
        };
        Ok(ids.ids.iter().map(path).collect())
    }
}

fn stem(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(stem, _)| stem)
}
