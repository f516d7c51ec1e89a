//! What encodes a split for one channel, and what came of it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use super::from_images::inputs_of;
use super::mixture::{Models, load_models};
use super::place::Place;
use super::result::Stamp;
use crate::dataset::{Inventory, Split};
use crate::describer::ImageEncoder;
use crate::descriptors::memory::{Largest, image_bytes};
use crate::encoding::Layout;
use crate::encoding::memory::encoder_bytes;
use crate::error::Result;
use crate::generative::Parts;
use crate::memory::Need;
use crate::store::{Inputs, Kind, Paths};

/// An encoded split.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Its index file and fingerprint.
    pub stamp: Stamp,
    /// Images encoded.
    pub images: usize,
    /// Images left out.
    pub skipped: usize,
    /// What became of every file of the data folder.
    pub files: Inventory,
}

/// What encodes a split for one channel.
pub(super) struct Channel<'a, 'p> {
    pub(super) place: &'a Place<'p>,
    pub(super) encoder: ImageEncoder,
    /// The folder of its vectors.
    pub(super) folder: PathBuf,
    /// Names and fingerprints of what all its shards are made from.
    pub(super) parents: Vec<(&'static str, String)>,
    /// Looked for by the first shard that has to be made: what is there needs no memory.
    pub(super) largest: OnceLock<Largest>,
}

impl<'a, 'p> Channel<'a, 'p> {
    pub(super) fn new(place: &'a Place<'p>, split: &Split) -> Result<Self> {
        let (encoder, prints) = encoder_and_prints(place)?;
        let parents = match prints {
            Some([pca, gmm]) => vec![("pca.safetensors", pca), ("gmm.safetensors", gmm)],
            None => Vec::new(),
        };
        encoder.source().require_any(&split.items)?;
        let folder = place.paths.vectors(&split.name)?;
        Ok(Self { place, encoder, folder, parents, largest: OnceLock::new() })
    }

    /// What a shard of these images is made from.
    pub(super) fn inputs(&self, data: Value) -> Inputs {
        inputs_of(self.place, Kind::Fisher, &self.parents, data)
    }

    /// The file of a shard.
    pub(super) fn shard(&self, number: usize) -> PathBuf {
        Paths::shard(&self.folder, number)
    }
}

/// From image files to the vectors of a place.
///
/// # Errors
/// As [`load_models`].
pub(crate) fn image_encoder(place: &Place<'_>) -> Result<ImageEncoder> {
    Ok(encoder_and_prints(place)?.0)
}

/// The same, with the fingerprints of projection and mixture; nothing for a place of one vector an image.
fn encoder_and_prints(place: &Place<'_>) -> Result<(ImageEncoder, Option<[String; 2]>)> {
    let Models { projection, mixture, prints } = load_models(place)?;
    let encoder = ImageEncoder::new(&place.config, projection, mixture, &place.work.seen)?;
    let print = prints.as_ref().map_or("", |[_, mixture]| mixture);
    let encoder = encoder.named(place.channel.as_deref().unwrap_or_default()).of_mixture(print);
    Ok((encoder, prints))
}

/// The number of a split's shards.
pub(super) fn shard_count(place: &Place<'_>, split: &Split) -> usize {
    split.items.len().div_ceil(place.config.data.shard_images)
}

/// The images of a shard, by their places in the split.
pub(super) fn shard_images(place: &Place<'_>, split: &Split, number: usize) -> Range<usize> {
    let start = number * place.config.data.shard_images;
    start..(start + place.config.data.shard_images).min(split.items.len())
}

/// What encoding allocates with this configuration: the vectors of a shard, and for every worker an image
/// with its sums.
pub(crate) fn need_of_encoding(config: &crate::config::Config, largest: Largest) -> Need {
    let parts = Parts::of(&config.gmm, config.pca.output_dim());
    let dim = Layout::of_parts(&config.encoding, parts).len() as u64;
    let shard = config.data.shard_images as u64;
    let each = image_bytes(&config.descriptors, largest)
        + encoder_bytes(&config.encoding, parts, config.descriptors.dim());
    Need {
        stage: "encode",
        fixed: shard * dim * 10 + largest.kept,
        each,
        formula: format!(
            "{shard} images · {dim} values · 10{} + {each} a worker{}",
            largest.of_ids(),
            largest.of_images()
        ),
        way_out: "lower image.max_megapixels, gmm.components or pca.dimension, or raise \
                  --max-memory",
    }
}
