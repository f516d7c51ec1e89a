//! Labelled images divided into splits: what class folders and tables come to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::inventory::{Inventory, Tally};
use super::items::{Item, Split};
use super::label::Label;
use crate::random::Seed;

/// The images of a data folder, and what became of its other files.
#[derive(Debug, Clone, Default)]
pub(super) struct Divided {
    pub root: PathBuf,
    /// Sorted.
    pub classes: Vec<String>,
    pub splits: BTreeMap<String, Vec<Labelled>>,
    /// Whether every image is of one class.
    pub single_label: bool,
    pub tally: Tally,
    /// Files that say what images show.
    pub lists: usize,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
    /// Whether the splits were drawn.
    pub drawn: bool,
}

/// An image with its classes.
#[derive(Debug, Clone)]
pub(super) struct Labelled {
    pub item: Item,
    pub classes: Vec<usize>,
    /// Classes of which nothing can be said.
    pub ignored: Vec<usize>,
}

/// The number, uniform from 0 to 1, by which an image (or a group of them) is drawn for a split.
pub(super) fn draw(seed: Seed, key: &str) -> f64 {
    seed.stream(&format!("dataset/divide/{key}"), 0).unit()
}

impl Divided {
    /// Names of the splits, sorted.
    pub fn split_names(&self) -> Vec<String> {
        self.splits.keys().cloned().collect()
    }

    /// Images of each split.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        self.splits.iter().map(|(name, images)| (name.clone(), images.len())).collect()
    }

    /// What became of every file, as the split of this name sees it; every image counts as used
    /// where none is named.
    pub fn inventory(&self, split: Option<&str>) -> Inventory {
        let all = self.splits.values().map(Vec::len).sum();
        let used = split.and_then(|name| self.splits.get(name)).map_or(all, Vec::len);
        self.tally.inventory(used, all - used, self.lists)
    }

    /// The images of a split; `None` when there is no such split.
    pub fn split(&self, name: &str) -> Option<Split> {
        Some(self.split_of(name, self.splits.get(name)?.clone()))
    }

    /// As [`split`](Self::split), and nothing else is kept: of many images there is one list in memory, not two.
    pub fn into_split(mut self, name: &str) -> Option<Split> {
        let files = self.inventory(Some(name));
        let images = self.splits.remove(name)?;
        self.splits.clear();
        Some(Split { files, ..self.split_of(name, images) })
    }

    fn split_of(&self, name: &str, images: Vec<Labelled>) -> Split {
        let row = |image: &Labelled| {
            let mut row = vec![Label::No; self.classes.len()];
            image.classes.iter().for_each(|&class| row[class] = Label::Yes);
            image.ignored.iter().for_each(|&class| row[class] = Label::Ignored);
            row
        };
        let labels = images.iter().map(row).collect();
        Split {
            name: name.to_owned(),
            root: self.root.clone(),
            classes: self.classes.clone(),
            items: images.into_iter().map(|image| image.item).collect(),
            labels,
            single_label: self.single_label,
            files: self.inventory(Some(name)),
            notes: Vec::new(),
        }
    }
}
