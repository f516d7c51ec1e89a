//! Vectors that another program computed: a row for each image, all in one file.
//!
//! ```text
//! names of an image:  its id; its path or a longer end of it, with or without the file's ending
//!                     coast/a   coast/a.jpg   train/coast/a   train/coast/a.jpg   photos/train/coast/a …
//! vector:             φ = row / ‖row‖
//! ```
//!
//! An image whose names stand in several lines is refused, so that nothing is guessed. The hash of a row
//! covers its values in f64, which every type of float is exact in: the same values in another file type are
//! the same row.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path};
use std::sync::{PoisonError, RwLock};

use blake3::Hash;
use ndarray::Array2;
use rayon::prelude::*;

use crate::artifacts::Table;
use crate::dataset::Item;
use crate::descriptors::{Descriptors, Frame, MOST_VALUES};
use crate::error::{Error, Result};
use crate::image::Photo;
use crate::words::counted;

/// A file of vectors, and the rows that were looked at. Shared between workers.
#[derive(Debug)]
pub struct GivenVectors {
    table: Table,
    seen: RwLock<BTreeMap<usize, Hash>>,
}

/// What a file has for an image.
enum Found {
    Row(usize),
    Nothing,
    /// Lines that all name it.
    Several(Vec<usize>),
}

impl GivenVectors {
    /// Opens a file and its ids.
    ///
    /// # Errors
    /// [`Error::Setting`] for a file that is not there, [`Error::Data`] for rows of too many values; as
    /// [`Table::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let range = "an existing .npy or .safetensors file of vectors";
        Error::require(path.exists(), "descriptors.file", path.display(), range)?;
        let table = Table::open(path)?;
        if table.columns() > MOST_VALUES {
            let problem = format!(
                "{} values in a row, more than {MOST_VALUES}; divide the columns among several files, \
                 with a [[channel]] for each",
                table.columns()
            );
            return Err(Error::data(path, problem));
        }
        Ok(Self { table, seen: RwLock::default() })
    }

    /// Its rows.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Refuses images of which none has a row.
    ///
    /// # Errors
    /// [`Error::Data`] with an id of either side.
    pub fn require_any(&self, items: &[Item]) -> Result<()> {
        let Some(first) = items.first() else { return Ok(()) };
        if items.iter().any(|item| self.could_read(item)) {
            return Ok(());
        }
        let problem = format!(
            "no row for any of {}: the first of its ids is `{}`, that of the images `{}`",
            counted(items.len(), "image"),
            self.table.id(0).escape_debug(),
            first.id.escape_debug()
        );
        Err(Error::data(self.table.path(), problem))
    }

    /// Hash of the rows of these images, in list order, and how many images have none that can be read.
    ///
    /// # Errors
    /// Those of `go_on`, which is asked before every image.
    pub fn hash(
        &self,
        items: &[Item],
        go_on: impl Fn() -> Result<()> + Sync,
    ) -> Result<(String, u64)> {
        let look = |item: &Item| -> Result<(String, Option<(usize, Hash)>)> {
            go_on()?;
            let (text, row) = match self.find(&item.id, Some(&item.path)) {
                Found::Row(row) => match self.table.row(row) {
                    Ok(values) => {
                        let hash = hash(&values);
                        (hash.to_string(), Some((row, hash)))
                    }
                    Err(_) => ("unreadable".to_owned(), None),
                },
                Found::Nothing => ("no row".to_owned(), None),
                Found::Several(_) => ("several rows".to_owned(), None),
            };
            Ok((format!("{}\n{text}\n", item.id), row))
        };
        let found: Vec<(String, Option<(usize, Hash)>)> =
            items.par_iter().map(look).collect::<Result<_>>()?;
        let mut hasher = blake3::Hasher::new();
        found.iter().for_each(|(line, _)| {
            hasher.update(line.as_bytes());
        });
        let unread = found.iter().filter(|(_, row)| row.is_none()).count() as u64;
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        seen.extend(found.into_iter().filter_map(|(_, row)| row));
        Ok((hasher.finalize().to_hex().to_string(), unread))
    }

    /// Whether an image has a row that can be read.
    pub fn could_read(&self, item: &Item) -> bool {
        match self.find(&item.id, Some(&item.path)) {
            Found::Row(row) => self.table.row(row).is_ok(),
            Found::Nothing | Found::Several(_) => false,
        }
    }

    /// The row of a photo at unit length (`1 × D`), with a frame that sees all of the image of `size`
    /// (width, height).
    ///
    /// # Errors
    /// [`Error::Io`] when it has no row, when that cannot be read, or is another than it was when it was
    /// hashed; [`Error::Image`] when several lines name the image, or when a value is not finite or all are 0.
    pub fn read(&self, id: &str, photo: &Photo, size: [usize; 2]) -> Result<Descriptors> {
        let path = self.table.path();
        let refuse = |problem: String| Err(Error::Image { path: path.to_owned(), problem });
        let row = match self.find(id, photo.path()) {
            Found::Row(row) => row,
            Found::Nothing => {
                let problem = format!(
                    "it has no row for `{}`; add one, made as the others were (the first of its ids is `{}`)",
                    id.escape_debug(),
                    self.table.id(0).escape_debug()
                );
                return Err(Error::io("read", path)(io::Error::new(
                    io::ErrorKind::NotFound,
                    problem,
                )));
            }
            Found::Several(rows) => {
                let lines = rows.iter().map(|&row| format!("`{}`", self.table.id(row)));
                let lines = lines.collect::<Vec<_>>().join(" and ");
                return refuse(format!("{lines} both name image `{}`", id.escape_debug()));
            }
        };
        let values = self.table.row(row)?;
        self.compare(row, hash(&values)).map_err(Error::io("read", path))?;
        let name = format!("row {row} (`{}`)", self.table.id(row).escape_debug());
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return refuse(format!("{name}: value {at} is {}", values[at]));
        }
        // By the largest value first, so that no square leaves the range.
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        if largest == 0.0 {
            return refuse(format!("{name} is all zeros, which says nothing"));
        }
        let length = values.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
        let row = values.iter().map(|value| (value / largest / length) as f32).collect();
        let rows = Array2::from_shape_vec((1, values.len()), row).expect("one row");
        let [width, height] = size.map(|side| side as f32);
        let centre = [(width - 1.0) / 2.0, (height - 1.0) / 2.0];
        Ok(Descriptors { rows, frames: vec![Frame::seeing(centre, width.max(height), 1.0)] })
    }

    /// What there is to say of rows that belong to none of these images.
    pub fn unused<'i>(&self, items: impl Iterator<Item = &'i Item>) -> Option<String> {
        let used: BTreeSet<usize> = items
            .filter_map(|item| match self.find(&item.id, Some(&item.path)) {
                Found::Row(row) => Some(row),
                Found::Nothing | Found::Several(_) => None,
            })
            .collect();
        let first = (0..self.table.rows()).find(|row| !used.contains(row))?;
        Some(format!(
            "{}: {} of {} belong to no image of any split (first: `{}`)",
            self.table.path().display(),
            self.table.rows() - used.len(),
            counted(self.table.rows(), "row"),
            self.table.id(first).escape_debug()
        ))
    }

    fn find(&self, id: &str, path: Option<&Path>) -> Found {
        let rows = names(id, path).into_iter().filter_map(|name| self.table.find(&name));
        let rows: BTreeSet<usize> = rows.collect();
        match rows.len() {
            0 => Found::Nothing,
            1 => Found::Row(rows.into_iter().next().expect("there is one")),
            _ => Found::Several(rows.into_iter().collect()),
        }
    }

    /// Compares a row with what was seen of it; one that nobody looked at is remembered.
    fn compare(&self, row: usize, now: Hash) -> io::Result<()> {
        let before = self.seen.read().unwrap_or_else(PoisonError::into_inner).get(&row).copied();
        match before {
            Some(before) if before == now => Ok(()),
            Some(_) => Err(io::Error::other(format!(
                "row {row} has changed since this command looked at it first; run the same command again"
            ))),
            None => {
                self.seen.write().unwrap_or_else(PoisonError::into_inner).insert(row, now);
                Ok(())
            }
        }
    }
}

fn hash(values: &[f64]) -> Hash {
    blake3::hash(bytemuck::cast_slice(values))
}

/// The names under which a file may have the row of an image: its id, and the ends of its path that are as
/// long or longer.
fn names(id: &str, path: Option<&Path>) -> Vec<String> {
    let mut names = vec![id.to_owned()];
    let Some(path) = path.and_then(|path| std::path::absolute(path).ok()) else { return names };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.extend(name.to_str()),
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let text = |name: Option<&OsStr>| name.and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let (file, stem) = (text(path.file_name()), text(path.file_stem()));
    let own = id.split('/').count();
    // An id keeps the ending where another image differs in the ending alone.
    let keeps_ending = id.rsplit('/').next() == Some(&*file);
    for depth in own..=parts.len() {
        let folders = &parts[parts.len() - depth..parts.len().saturating_sub(1)];
        let named = |name: &str| [folders, &[name]].concat().join("/");
        names.push(named(&file));
        if depth > own && !keeps_ending {
            names.push(named(&stem));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_id_and_longer_ends_of_its_path() {
        let path = Path::new("/x/../photos/train/coast/a.jpg");
        let found = names("coast/a", Some(path));
        let expected = [
            "coast/a",
            "coast/a.jpg",
            "train/coast/a.jpg",
            "train/coast/a",
            "photos/train/coast/a.jpg",
            "photos/train/coast/a",
        ];
        assert_eq!(found, expected);
        // Another image of the same name stands beside it.
        let kept = names("coast/a.jpg", Some(path));
        assert!(kept.iter().all(|name| name.ends_with("coast/a.jpg")), "{kept:?}");
        assert_eq!(names("a", None), ["a"]);
    }
}
