//! Where a run's data come from: the recorded folder, and hashes of lists and files.

use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Run;
use crate::artifacts::write_atomically;
use crate::dataset::{Item, Label, Split};
use crate::error::{Error, Result};

/// The data and split that the run's models were fitted to. Kept for convenience (`train-svm` and
/// `eval` need no `--data` to check the models); part of no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) data: PathBuf,
    pub(super) split: String,
}

impl Run<'_> {
    fn source_path(&self) -> PathBuf {
        self.dir.join("source.json")
    }

    /// What the models were fitted to, when there are any.
    pub(super) fn source(&self) -> Result<Option<Source>> {
        let path = self.source_path();
        match crate::files::read_text(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| {
                Error::artifact(&path, format!("damaged ({e}); delete it and name --data again"))
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }

    pub(super) fn record_source(&self, data: &Path, split: &str) -> Result<()> {
        let data = std::path::absolute(data).map_err(Error::io("find", data))?;
        let source = Source { data, split: split.to_owned() };
        if self.source().ok().flatten().as_ref() == Some(&source) {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&source).expect("two strings are JSON");
        write_atomically(&self.source_path(), |file| file.write_all(text.as_bytes()))
    }
}

/// Hash of a split's images: ids, sizes and contents of the files, in list order. An unreadable
/// file counts as such, so that its later appearance is a change.
pub(super) fn images_hash(items: &[Item]) -> Value {
    let hashes: Vec<String> = items
        .par_iter()
        .map_init(
            || vec![0u8; 1 << 16],
            |buffer, item| match file_hash(&item.path, buffer) {
                Ok((size, hash)) => format!("{}\n{size}\n{hash}\n", item.id),
                Err(_) => format!("{}\nunreadable\n", item.id),
            },
        )
        .collect();
    json!({ "images": items.len(), "hash": blake3::hash(hashes.concat().as_bytes()).to_hex().to_string() })
}

pub(super) fn file_hash(path: &Path, buffer: &mut [u8]) -> std::io::Result<(u64, blake3::Hash)> {
    let (mut file, _) = crate::files::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    loop {
        let read = file.read(buffer)?;
        if read == 0 {
            return Ok((size, hasher.finalize()));
        }
        size += read as u64;
        hasher.update(&buffer[..read]);
    }
}

/// Hash of a split's classes and labels.
pub(super) fn labels_hash(classes: &[String], labels: &[Vec<Label>]) -> Value {
    let mut hasher = blake3::Hasher::new();
    for class in classes {
        hasher.update(class.as_bytes()).update(b"\n");
    }
    for row in labels {
        let row: Vec<u8> = row.iter().map(|&label| label_number(label) as u8).collect();
        hasher.update(&row);
    }
    json!({ "labels": labels.len(), "hash": hasher.finalize().to_hex().to_string() })
}

/// PASCAL VOC's number of a label.
pub(super) fn label_number(label: Label) -> i8 {
    match label {
        Label::Yes => 1,
        Label::No => -1,
        Label::Ignored => 0,
    }
}

/// The label of PASCAL VOC's number.
pub(super) fn number_label(number: i8) -> Label {
    match number {
        1 => Label::Yes,
        0 => Label::Ignored,
        _ => Label::No,
    }
}

/// The labels of `split` for `classes`, by name; a class that the split does not know is ignored in
/// all its images. Also the split's classes that are not in `classes`.
pub(super) fn labels_for<'s>(
    classes: &[String],
    split: &'s Split,
) -> (Vec<Vec<Label>>, Vec<&'s str>) {
    let columns: Vec<Option<usize>> =
        classes.iter().map(|class| split.classes.iter().position(|c| c == class)).collect();
    let labels = split
        .labels
        .iter()
        .map(|row| columns.iter().map(|c| c.map_or(Label::Ignored, |c| row[c])).collect())
        .collect();
    let unknown =
        split.classes.iter().filter(|class| !classes.contains(class)).map(String::as_str).collect();
    (labels, unknown)
}
