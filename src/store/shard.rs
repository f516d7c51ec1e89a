//! A shard of an encoded split: vectors of some images that follow each other, with their ids and labels.
//!
//! | tensor | shape | what |
//! |---|---|---|
//! | `class` | N, u32 | the one class of each image; of a split where every image has one |
//! | `vectors` | N × dim in the storage asked for | |
//! | `labels` | N × C, i8 | 1 yes, −1 no, 0 ignored; of every other split |
//!
//! A shard stands for itself: nothing in it is of the rest of its split, so that it may be made anywhere and
//! put beside the others. Labels are no part of its fingerprint: other labels of the same images are written
//! beside the same vectors.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::inputs::hasher_of_classes;
use super::stored::{Stored, report_of};
use crate::artifacts::{Artifact, Tensor, VECTORS, Values};
use crate::dataset::Label;
use crate::describer::{Noted, Stored as StoredVectors};
use crate::error::{Error, Result};

/// Digits of a hash that are kept: 128 bits tell images apart.
const HASH_DIGITS: usize = 32;

const CLASS: &str = "class";
const LABELS: &str = "labels";

/// What a shard says beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShardReport {
    pub(crate) split: String,
    pub(crate) dim: usize,
    /// Ids of the images, in the order of the rows.
    pub(crate) ids: Vec<String>,
    /// Hash of each image's file.
    pub(crate) files: Vec<String>,
    /// Hash of each vector.
    pub(crate) hashes: Vec<String>,
    /// Mean log-likelihood of each image's descriptors, of a channel with a density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) likelihoods: Option<Vec<Option<f64>>>,
    /// Images without a vector.
    pub(crate) skipped: Vec<Skipped>,
    /// Of these, images that could not be read when they were needed.
    #[serde(default)]
    pub(crate) unread: Vec<String>,
    /// What was noticed of the others.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    pub(crate) noted: Noted,
    /// Hash of the classes that labels are of.
    pub(crate) classes: String,
    /// The instructions that products were made with: others may differ in the last digits.
    pub(crate) instructions: String,
}

/// One image that could not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// As much of a hash as tells images apart.
pub(crate) fn short(hash: &blake3::Hash) -> String {
    hash.to_hex()[..HASH_DIGITS].to_owned()
}

/// Hash of class names, in the order of labels.
pub(crate) fn classes_hash(classes: &[String]) -> String {
    short(&hasher_of_classes(classes).finalize())
}

/// The labels of a shard's images, as they are stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Labels {
    /// The one class of each.
    Class(Vec<u32>),
    /// Images × classes.
    Each { labels: Vec<i8>, classes: usize },
}

impl Labels {
    /// Those of some images of a split with so many classes.
    pub(crate) fn new<'l>(
        labels: impl Iterator<Item = &'l [Label]>,
        classes: usize,
        single_label: bool,
    ) -> Self {
        if !single_label {
            let labels = labels.flatten().map(|label| label.number()).collect();
            return Self::Each { labels, classes };
        }
        let class = |labels: &[Label]| labels.iter().position(|label| *label == Label::Yes);
        let number = |labels| class(labels).and_then(|class| u32::try_from(class).ok());
        Self::Class(labels.map(|labels| number(labels).unwrap_or(u32::MAX)).collect())
    }

    fn tensor(&self) -> Tensor<'_> {
        match self {
            Self::Class(class) => {
                Tensor { name: CLASS, shape: vec![class.len()], values: Values::U32(class) }
            }
            Self::Each { labels, classes } => {
                let shape = vec![labels.len() / classes.max(&1), *classes];
                Tensor { name: LABELS, shape, values: Values::I8(labels) }
            }
        }
    }

    /// Those of a stored shard of so many images and classes.
    pub(crate) fn of_shard(shard: &Artifact, images: usize, classes: usize) -> Result<Self> {
        let damaged = |why| Err(damaged(shard.path(), why));
        if let Ok((&[rows], Values::U32(class))) = shard.values(CLASS) {
            if rows != images || class.iter().any(|&class| class as usize >= classes) {
                return damaged("classes that are none of its split's, or of other images");
            }
            return Ok(Self::Class(class.to_vec()));
        }
        match shard.values(LABELS)? {
            (&[rows, columns], Values::I8(labels)) if [rows, columns] == [images, classes] => {
                match labels.iter().all(|label| (-1..=1).contains(label)) {
                    true => Ok(Self::Each { labels: labels.to_vec(), classes }),
                    false => damaged("a label that is not 1, 0 or -1"),
                }
            }
            _ => damaged("labels of other images or classes"),
        }
    }

    /// A row of 1 (yes), −1 (no) and 0 (ignored) for each image.
    pub(crate) fn rows(&self, classes: usize) -> Vec<Vec<i8>> {
        match self {
            Self::Class(class) => {
                let row = |&class: &u32| -> Vec<i8> {
                    (0..classes).map(|c| if c == class as usize { 1 } else { -1 }).collect()
                };
                class.iter().map(row).collect()
            }
            Self::Each { labels, classes } => {
                labels.chunks(*classes.max(&1)).map(<[i8]>::to_vec).collect()
            }
        }
    }
}

/// The vectors of a shard's images, of `dim` values each, and their labels.
/// [`Shards`](crate::artifacts::Shards) reads the vectors.
pub(crate) struct ShardVectors {
    pub(crate) vectors: StoredVectors,
    pub(crate) images: usize,
    pub(crate) dim: usize,
    pub(crate) labels: Labels,
}

impl Stored for ShardVectors {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        let shape = vec![self.images, self.vectors.width(self.dim)];
        let vectors = Tensor { name: VECTORS, shape, values: self.vectors.values() };
        in_order(vectors, &self.labels)
    }
}

/// Four bytes at a time come first, so that everything is aligned.
fn in_order<'a>(vectors: Tensor<'a>, labels: &'a Labels) -> Vec<Tensor<'a>> {
    match labels {
        Labels::Class(_) => vec![labels.tensor(), vectors],
        Labels::Each { .. } => vec![vectors, labels.tensor()],
    }
}

/// The tensors of a stored shard with other labels.
pub(crate) fn relabelled<'a>(shard: &'a Artifact, labels: &'a Labels) -> Result<Vec<Tensor<'a>>> {
    let (shape, values) = shard.values(VECTORS)?;
    let vectors = Tensor { name: VECTORS, shape: shape.to_vec(), values };
    Ok(in_order(vectors, labels))
}

/// What a shard says of its images, and a hash of that: what an index takes from it.
///
/// # Errors
/// [`Error::Artifact`] for a damaged one.
pub(crate) fn contents_of(shard: &Artifact) -> Result<(ShardReport, String)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(shard.header().report.to_string().as_bytes());
    for name in [CLASS, LABELS] {
        if let Ok((_, values)) = shard.values(name) {
            hasher.update(values.bytes());
        }
    }
    let report: ShardReport = report_of(shard)?;
    let images = report.ids.len();
    let likelihoods = report.likelihoods.as_ref().map_or(images, Vec::len);
    if [report.files.len(), report.hashes.len(), likelihoods] != [images; 3] {
        return Err(damaged(shard.path(), "its lists of images differ in length"));
    }
    Ok((report, short(&hasher.finalize())))
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::artifact(path, format!("damaged ({why}); delete it and run `fvtool encode` again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Ignored, No, Yes};

    #[test]
    fn labels_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000.safetensors");
        let header = |report| crate::artifacts::Header {
            kind: "fisher".into(),
            fingerprint: "print".into(),
            inputs: serde_json::json!({}),
            report,
        };
        for (rows, single) in [
            (vec![vec![No, Yes], vec![Yes, No]], true),
            (vec![vec![Yes, Yes], vec![No, Ignored]], false),
        ] {
            let labels = Labels::new(rows.iter().map(Vec::as_slice), 2, single);
            let mut vectors = StoredVectors::new(crate::encoding::Storage::F16);
            rows.iter().for_each(|_| vectors.push(&[0.5; 3]).unwrap());
            let shard = ShardVectors { vectors, images: 2, dim: 3, labels };
            crate::artifacts::write(&path, &header(serde_json::json!({})), &shard.tensors())
                .unwrap();
            let stored = Artifact::open_verified(&path, "fisher").unwrap();
            let read = Labels::of_shard(&stored, 2, 2).unwrap();
            assert_eq!(read, shard.labels);
            let numbers: Vec<Vec<i8>> =
                rows.iter().map(|row| row.iter().map(|label| label.number()).collect()).collect();
            assert_eq!(read.rows(2), numbers);
            // Other numbers of images or classes are refused.
            assert!(
                Labels::of_shard(&stored, 3, 2).is_err()
                    && Labels::of_shard(&stored, 2, 1).is_err()
            );
            let other = Labels::new([[Yes, No], [Yes, No]].iter().map(|row| &row[..]), 2, true);
            let tensors = relabelled(&stored, &other).unwrap();
            crate::artifacts::write(&path, &header(serde_json::json!({})), &tensors).unwrap();
            let again = Artifact::open_verified(&path, "fisher").unwrap();
            assert_eq!(Labels::of_shard(&again, 2, 2).unwrap(), other);
            assert_eq!(again.values(VECTORS).unwrap().0, [2, 3]);
        }
    }
}
