//! `index.json`: which shards an encoded split has; and what they hold together.
//!
//! The file has about a hundred bytes for each shard: its fingerprint, and a hash of the ids and labels in it.
//! These are read from the shards when a split is opened, and are those that the file was written for, or
//! refused.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::inputs::{Inputs, print_of_shards};
use super::paths::Paths;
use super::shard::{Labels, Skipped, classes_hash, contents_of, short};
use crate::artifacts::{Artifact, FORMAT, check_seal};
use crate::dataset::Inventory;
use crate::describer::Noted;
use crate::error::{Error, Result};

/// What `index.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// Version of the layout of artifacts.
    pub(crate) format: String,
    /// Fingerprint of the encoding.
    pub(crate) fingerprint: String,
    /// The split.
    pub(crate) split: String,
    /// Class names, in the order of labels.
    pub(crate) classes: Vec<String>,
    /// Whether every image has exactly one class.
    pub(crate) single_label: bool,
    /// Values of one vector.
    pub(crate) dim: usize,
    /// Images that have a vector.
    pub(crate) images: usize,
    /// The shards, in order; their files are numbered.
    pub(crate) shards: Vec<Listed>,
    /// Images that could not be used.
    pub(crate) skipped: Vec<Skipped>,
    /// What became of every file of the data folder.
    #[serde(default)]
    pub(crate) files: Inventory,
    /// How many of the others are blank, or otherwise not as one expects.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    pub(crate) noted: Noted,
}

/// What `index.json` says of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Its vectors.
    pub(crate) images: usize,
    pub(crate) fingerprint: String,
    /// Hash of the ids and labels in it, and of what else it says of its images.
    pub(crate) contents: String,
}

impl Listing {
    /// Reads the text of an index at `path`.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it was changed since it was written, is of another version, or
    /// contradicts itself.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        check_seal(path, text)?;
        let refuse = |why: String| {
            let problem = format!(
                "of another version ({why}); make the vectors again: `fvtool encode --refit`, or use the \
                 fvtool that wrote it"
            );
            Error::artifact(path, problem)
        };
        // The format first, since everything else depends on it.
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
        if value["format"] != FORMAT {
            return Err(refuse(format!("format {}, this program reads {FORMAT}", value["format"])));
        }
        let listing: Self = serde_json::from_value(value).map_err(|e| refuse(e.to_string()))?;
        let prints: Vec<&str> = listing.shards.iter().map(|s| s.fingerprint.as_str()).collect();
        let images = listing.shards.iter().map(|shard| shard.images as u128).sum::<u128>();
        if print_of_shards(&prints) != listing.fingerprint || images != listing.images as u128 {
            return Err(refuse("it contradicts itself".into()));
        }
        Ok(listing)
    }

    /// Reads that of an encoded split.
    ///
    /// # Errors
    /// [`Error::Missing`] when the split is not encoded, [`Error::Artifact`] when it is damaged.
    pub(crate) fn open(paths: &Paths, split: &str) -> Result<Self> {
        let path = Paths::index(&paths.vectors(split)?);
        let text = match crate::files::read_text(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing {
                    what: format!("{} (Fisher vectors of split `{split}`)", path.display()),
                    hint: format!(
                        "make them: `fvtool encode --data DATA --split {split} --run RUN`"
                    ),
                });
            }
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        let listing = Self::parse(&path, &text)?;
        if listing.split != split {
            let problem = format!("of split `{}`, not of `{split}`", listing.split.escape_debug());
            return Err(Error::artifact(path, problem));
        }
        Ok(listing)
    }
}

/// What the shards of an encoded split hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
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
    /// Fingerprints of the shards, in order; none of several channels together.
    pub shards: Vec<String>,
    /// Encoded images; the rows of the shards, in order.
    pub images: Vec<IndexedImage>,
    /// Images that could not be used.
    pub skipped: Vec<Skipped>,
    /// What became of every file of the data folder.
    pub files: Inventory,
    /// How many of the others are blank, or otherwise not as one expects.
    pub noted: Noted,
}

/// One encoded image.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedImage {
    /// Its id.
    pub id: String,
    /// Labels per class: 1 yes, −1 no, 0 ignored.
    pub labels: Vec<i8>,
    /// Hash of its file: copies have the same.
    pub file: String,
    /// Hash of its vector.
    pub vector: String,
    /// Mean log-likelihood of its descriptors, of a channel with a density.
    pub likelihood: Option<f64>,
}

impl IndexedImage {
    /// As much of a file's hash as [`file`](Self::file) has.
    pub(crate) fn short(hash: &blake3::Hash) -> String {
        short(hash)
    }
}

/// What the shards of an encoded split hold.
///
/// # Errors
/// [`Error::Missing`] when the split is not encoded, [`Error::Artifact`] when its index or a shard is damaged,
/// or a shard is not the one that was there when the index was written.
pub(crate) fn open_index(paths: &Paths, split: &str) -> Result<Index> {
    let listing = Listing::open(paths, split)?;
    let folder = paths.vectors(split)?;
    let classes = classes_hash(&listing.classes);
    let mut images = Vec::with_capacity(listing.images);
    for (number, listed) in listing.shards.iter().enumerate() {
        let shard = Artifact::open(&Paths::shard(&folder, number))?;
        images.extend(images_of(&shard, listed, split, &listing.classes, &classes)?);
    }
    let mut ids = BTreeSet::new();
    if let Some(image) = images.iter().find(|image| !ids.insert(image.id.as_str())) {
        let problem = format!(
            "image `{}` stands twice in its shards; make them again: `fvtool encode --refit`",
            image.id.escape_debug()
        );
        return Err(Error::artifact(Paths::index(&folder), problem));
    }
    let Listing { fingerprint, split, classes, single_label, dim, skipped, files, noted, .. } =
        listing;
    let shards = listing.shards.into_iter().map(|shard| shard.fingerprint).collect();
    Ok(Index {
        fingerprint,
        split,
        classes,
        single_label,
        dim,
        shards,
        images,
        skipped,
        files,
        noted,
    })
}

/// The images of a shard, which must be the one that is listed.
fn images_of(
    shard: &Artifact,
    listed: &Listed,
    split: &str,
    classes: &[String],
    hash_of_classes: &str,
) -> Result<Vec<IndexedImage>> {
    let (header, foreign) = (shard.header(), || not_of_this_index(shard.path(), split));
    if header.fingerprint != listed.fingerprint
        || Inputs::of_stored(&header.inputs).fingerprint != header.fingerprint
    {
        return Err(foreign());
    }
    let (report, contents) = contents_of(shard)?;
    let images = report.ids.len();
    if contents != listed.contents || images != listed.images || report.classes != hash_of_classes {
        // Damage can look like another shard.
        shard.verify()?;
        return Err(foreign());
    }
    let labels = Labels::of_shard(shard, images, classes.len())?.rows(classes.len());
    let likelihoods = report.likelihoods.unwrap_or_else(|| vec![None; images]);
    let named = report.ids.into_iter().zip(report.files).zip(report.hashes);
    let images =
        named.zip(labels).zip(likelihoods).map(|((((id, file), vector), labels), likelihood)| {
            IndexedImage { id, labels, file, vector, likelihood }
        });
    Ok(images.collect())
}

/// The error for a shard that is another than its index was written for.
pub(crate) fn not_of_this_index(shard: &Path, split: &str) -> Error {
    let problem = format!(
        "not of the vectors that index.json beside it lists; make them again: `fvtool encode --data \
         DATA --split {split} --run RUN --refit`"
    );
    Error::artifact(shard, problem)
}
