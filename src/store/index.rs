//! `index.json`: what the shards of an encoded split hold.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::paths::Paths;
use crate::artifacts::check_seal;
use crate::dataset::Inventory;
use crate::describer::Noted;
use crate::error::{Error, Result};

/// Digits of the hashes by which copies are known: 128 bits.
const HASH_DIGITS: usize = 32;

/// What `index.json` says of an encoded split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Version of the layout of artifacts.
    pub format: String,
    /// Fingerprint of the encoding.
    pub fingerprint: String,
    /// The split.
    pub split: String,
    /// Class names, in the order of labels.
    pub classes: Vec<String>,
    /// Whether every image has exactly one class.
    pub single_label: bool,
    /// Values of one vector.
    pub dim: usize,
    /// Shard files, in order.
    pub shards: Vec<String>,
    /// Encoded images; the rows of the shards, in order.
    pub images: Vec<IndexedImage>,
    /// Images that could not be used.
    pub skipped: Vec<Skipped>,
    /// What became of every file of the data folder.
    #[serde(default)]
    pub files: Inventory,
    /// How many of the others are blank, or otherwise not as one expects.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    pub noted: Noted,
}

impl Index {
    /// Reads the text of an index at `path`.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it was changed since it was written, is of another version, or
    /// contradicts itself.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        check_seal(path, text)?;
        let refuse = |why: String| {
            let problem = format!("of another version ({why}); run `fvtool encode` again");
            Error::artifact(path, problem)
        };
        let index: Self = serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
        index.check().map_err(refuse)?;
        Ok(index)
    }

    /// What whoever reads an index relies on.
    fn check(&self) -> Result<(), String> {
        if self.format != crate::artifacts::FORMAT {
            return Err(format!("format {}", self.format.escape_debug()));
        }
        // So that no name leads out of the folder.
        let misnamed =
            self.shards.iter().zip(0..).find(|(name, i)| **name != Paths::shard_name(*i));
        if let Some((name, i)) = misnamed {
            return Err(format!("shard {i} is `{}`", name.escape_debug()));
        }
        let mut ids = std::collections::BTreeSet::new();
        for IndexedImage { id, labels, .. } in &self.images {
            let id = id.escape_debug();
            if labels.len() != self.classes.len() {
                return Err(format!("`{id}` has {} labels", labels.len()));
            }
            if labels.iter().any(|label| !(-1..=1).contains(label)) {
                return Err(format!("`{id}` has a label that is not 1, 0 or -1"));
            }
            if !ids.insert(id.to_string()) {
                return Err(format!("`{id}` stands twice"));
            }
        }
        Ok(())
    }
}

/// One encoded image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexedImage {
    /// Its id.
    pub id: String,
    /// Labels per class: 1 yes, −1 no, 0 ignored.
    pub labels: Vec<i8>,
    /// Hash of its file: copies have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Hash of its vector; the part that an earlier version encoded has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// Mean log-likelihood of its descriptors, of a channel with a density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<f64>,
}

impl IndexedImage {
    /// As much of a hash as tells images apart.
    pub(crate) fn short(hash: &blake3::Hash) -> String {
        hash.to_hex()[..HASH_DIGITS].to_owned()
    }
}

/// One image that could not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// The stored index of an encoded split.
///
/// # Errors
/// [`Error::Missing`] when the split is not encoded, [`Error::Artifact`] when it is damaged.
pub(crate) fn open_index(paths: &Paths, split: &str) -> Result<Index> {
    let path = Paths::index(&paths.vectors(split)?);
    let text = match crate::files::read_text(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Missing {
                what: format!("{} (Fisher vectors of split `{split}`)", path.display()),
                hint: format!("make them: `fvtool encode --data DATA --split {split} --run RUN`"),
            });
        }
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let index = Index::parse(&path, &text)?;
    if index.split != split {
        let problem = format!("of split `{}`, not of `{split}`", index.split.escape_debug());
        return Err(Error::artifact(path, problem));
    }
    Ok(index)
}
