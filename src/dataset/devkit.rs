//! What became of the files of a PASCAL VOC folder: images of splits, lists and annotations, and all
//! that is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::inventory::{Inventory, Tally};
use super::items::Item;
use super::names::{ending, image_rank, shown, without_ending};
use super::tree;
use crate::{Result, files};

/// The files of a devkit.
#[derive(Debug, Clone)]
pub(super) struct Devkit {
    tally: Tally,
    /// File names of the images of all splits.
    images: BTreeSet<String>,
    /// Lists and annotations.
    lists: usize,
    /// Images of each split that are there.
    sizes: Vec<(String, usize)>,
}

impl Devkit {
    /// Looks through the folder `given`, in which the devkit lies at `root`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when a folder cannot be listed.
    pub fn look(given: &Path, root: &Path, splits: &[String]) -> Result<Self> {
        let mut look = Look { given, root, tally: Tally::default() };
        if given != root {
            let reason = "outside the PASCAL VOC folder";
            tree::leave_out(&mut look.tally, reason, given, Path::new(""), Some(root))?;
        }
        look.rest("", &["JPEGImages", "Annotations", "ImageSets"])?;
        look.rest("ImageSets", &["Main"])?;
        let ids = listed_ids(root, splits);
        let images = look.images(&ids)?;
        let has_image = |name: &str| ids.contains_key(stem(name));
        let annotations =
            look.kept("Annotations", ".xml", "annotations of no listed image", has_image)?;
        let lists = annotations + look.kept("ImageSets/Main", ".txt", "lists", |_| true)?;
        let mut sizes: Vec<(String, usize)> = splits.iter().map(|s| (s.clone(), 0)).collect();
        for numbers in images.values() {
            numbers.iter().for_each(|&number| sizes[number].1 += 1);
        }
        let images = images.into_keys().collect();
        Ok(Self { tally: look.tally, images, lists, sizes })
    }

    /// Images of each split that are there.
    pub fn sizes(&self) -> &[(String, usize)] {
        &self.sizes
    }

    /// What became of every file, as the split of these images sees it; every listed image counts as
    /// used where none is given.
    pub fn inventory(&self, items: Option<&[Item]>) -> Inventory {
        let all = self.images.len();
        let is_there = |item: &&Item| {
            let name = item.path.file_name().and_then(OsStr::to_str);
            name.is_some_and(|name| self.images.contains(name))
        };
        let used = items.map_or(all, |items| items.iter().filter(is_there).count());
        self.tally.inventory(used, all - used, self.lists)
    }
}

/// The numbers of the splits that list each id. What is wrong with a list is said when its split is
/// read.
fn listed_ids(root: &Path, splits: &[String]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut ids: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (number, split) in splits.iter().enumerate() {
        let path = root.join("ImageSets/Main").join(format!("{split}.txt"));
        let Ok(text) = files::read(&path, files::MOST_TEXT) else { continue };
        for line in String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').lines() {
            let Some(id) = line.split_whitespace().next() else { continue };
            ids.entry(id.to_owned()).or_default().insert(number);
            // As it is read where the image has another ending than none.
            if let Some(bare) = without_ending(id) {
                ids.entry(bare.to_owned()).or_default().insert(number);
            }
        }
    }
    ids
}

/// A file name without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

struct Look<'a> {
    given: &'a Path,
    root: &'a Path,
    tally: Tally,
}

impl Look<'_> {
    /// A folder of the devkit, as a path in the folder that was given.
    fn below(&self, folder: &str) -> PathBuf {
        let root = self.root.strip_prefix(self.given).unwrap_or(Path::new(""));
        if folder.is_empty() { root.to_owned() } else { root.join(folder) }
    }

    /// The names of the files of a folder that may be of use. All else in it is counted as left out,
    /// but for the folders in `known`.
    fn files(&mut self, folder: &str, known: &[&str]) -> Result<Vec<String>> {
        let path = if folder.is_empty() { self.root.to_owned() } else { self.root.join(folder) };
        let below = self.below(folder);
        let mut files = Vec::new();
        if !path.is_dir() {
            return Ok(files);
        }
        for (name, kind) in tree::entries(&path)? {
            let is_folder = tree::is_folder(&path, &name, kind);
            if is_folder && known.iter().any(|known| name == *known) {
                continue;
            }
            match (tree::passed_over(&name, is_folder), is_folder) {
                (Some(reason), false) => self.tally.leave_out(reason, &below, &name),
                (Some(reason), true) => {
                    self.tally.pass_over(reason, &below, &name);
                    let inner = below.join(&name);
                    tree::leave_out(&mut self.tally, reason, self.given, &inner, None)?;
                }
                (None, true) => {
                    let inner =
                        if folder.is_empty() { String::new() } else { format!("{folder}/") };
                    let reason = format!("in {inner}{}", shown(&name));
                    let inner = below.join(&name);
                    tree::leave_out(&mut self.tally, &reason, self.given, &inner, None)?;
                }
                (None, false) => match name.into_string() {
                    Ok(name) => files.push(name),
                    Err(name) => self.tally.leave_out("of odd name", &below, &name),
                },
            }
        }
        Ok(files)
    }

    fn leave_out(&mut self, folder: &str, name: &str) {
        let ending = ending(name);
        let reason = ending.as_deref().unwrap_or("without ending");
        self.tally.leave_out(reason, &self.below(folder), OsStr::new(name));
    }

    /// Counts all that lies in a folder but the folders in `known`.
    fn rest(&mut self, folder: &str, known: &[&str]) -> Result<()> {
        for name in self.files(folder, known)? {
            self.leave_out(folder, &name);
        }
        Ok(())
    }

    /// Counts the files of a folder that have an ending and are of use; the others are left out.
    fn kept(
        &mut self,
        folder: &str,
        wanted: &str,
        reason: &str,
        is_used: impl Fn(&str) -> bool,
    ) -> Result<usize> {
        let mut kept = 0;
        for name in self.files(folder, &[])? {
            if ending(&name).as_deref() != Some(wanted) {
                self.leave_out(folder, &name);
            } else if is_used(&name) {
                kept += 1;
            } else {
                self.tally.leave_out(reason, &self.below(folder), OsStr::new(&name));
            }
        }
        Ok(kept)
    }

    /// The listed images, with the numbers of their splits.
    fn images(
        &mut self,
        ids: &BTreeMap<String, BTreeSet<usize>>,
    ) -> Result<BTreeMap<String, BTreeSet<usize>>> {
        let folder = "JPEGImages";
        let path = self.root.join(folder);
        let mut best: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for name in self.files(folder, &[])? {
            if !tree::is_image(&path, OsStr::new(&name)) {
                self.leave_out(folder, &name);
                continue;
            }
            let rank = image_rank(&name);
            let stem = if rank.is_some() { stem(&name) } else { &name };
            let (stem, mut new) = (stem.to_owned(), (rank.unwrap_or(usize::MAX), name));
            if let Some(old) = best.get_mut(&stem) {
                if new < *old {
                    std::mem::swap(&mut new, old);
                }
                let reason = "images beside one of the same name";
                self.tally.leave_out(reason, &self.below(folder), OsStr::new(&new.1));
            } else {
                best.insert(stem, new);
            }
        }
        let mut images = BTreeMap::new();
        for (stem, (_, name)) in best {
            // An id may be written with the ending.
            match ids.get(&stem).or_else(|| ids.get(&name)) {
                Some(numbers) => _ = images.insert(name, numbers.clone()),
                None => {
                    let below = self.below(folder);
                    self.tally.leave_out("images in no list", &below, OsStr::new(&name));
                }
            }
        }
        Ok(images)
    }
}
