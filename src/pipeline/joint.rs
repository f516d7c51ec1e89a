//! Several ways to describe an image, and their vectors joined.
//!
//! ```text
//! φ(x) = [ s_1 φ_1(x) | s_2 φ_2(x) | … ],   s_c = weight_c / √(Σ_c weight_c²)
//! ```
//!
//! so that the joint vector has unit length where those of the channels have. Vectors are joined where
//! they are read; on disk each channel has its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::channel::{Encoded, image_encoder};
use super::mixture::mixture_print;
use super::place::Place;
use super::result::Stamp;
use super::run::{Part as RunPart, Run};
use super::stored_vectors::open_vectors;
use super::vectors::{EncodedPart, bring_part, bring_vectors, join_parts};
use crate::artifacts::{Artifact, Shards};
use crate::config::fingerprint;
use crate::dataset::Split;
use crate::describer::{Describer, factors};
use crate::error::{Error, Result};
use crate::linalg::Joined;
use crate::part::Part;
use crate::store::{Index, Kind, Listing, Paths, Skipped, open_index};

/// Path within the run and fingerprint of every mixture.
pub(crate) type Mixtures = Vec<(String, String)>;

impl Run<'_> {
    /// One stamp for those of all parts.
    pub(crate) fn joint_stamp(&self, mut stamps: Vec<Stamp>) -> Stamp {
        if stamps.len() == 1 {
            return stamps.remove(0);
        }
        let prints: Vec<&str> = stamps.iter().map(|stamp| stamp.fingerprint.as_str()).collect();
        Stamp {
            path: self.home.paths.channels(),
            fingerprint: fingerprint(&json!(prints)),
            made: stamps.iter().any(|stamp| stamp.made),
        }
    }

    /// Encodes a split with the models of every channel.
    ///
    /// # Errors
    /// As [`bring_vectors`].
    pub(crate) fn encode_split(&self, split: &Split) -> Result<Encoded> {
        self.joint_encoded(bring_vectors(&self.places(), split)?, split)
    }

    /// Encodes some shards of a split.
    ///
    /// # Errors
    /// As [`bring_part`].
    pub(crate) fn encode_part_of(&self, split: &Split, part: Part) -> Result<EncodedPart> {
        bring_part(&self.places(), split, part)
    }

    /// Writes the index of a split's shards.
    ///
    /// # Errors
    /// As [`join_parts`].
    pub(crate) fn join_split(&self, split: &Split) -> Result<Encoded> {
        self.joint_encoded(join_parts(&self.places(), split)?, split)
    }

    /// What is said of all channels' vectors together.
    fn joint_encoded(&self, mut encoded: Vec<Encoded>, split: &Split) -> Result<Encoded> {
        if !self.has_channels() {
            return Ok(encoded.remove(0));
        }
        let index = self.index(&split.name)?;
        let stamp = Stamp {
            path: self.home.paths.channels(),
            fingerprint: index.fingerprint,
            made: encoded.iter().any(|encoded| encoded.stamp.made),
        };
        let (images, skipped) = (index.images.len(), index.skipped.len());
        Ok(Encoded { stamp, images, skipped, files: index.files })
    }

    /// Whether every channel has vectors of a split.
    pub(crate) fn is_encoded(&self, split: &str) -> Result<bool> {
        for place in self.places() {
            if !Paths::index(&place.paths.vectors(split)?).exists() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The splits that every channel has vectors of, by name.
    ///
    /// # Errors
    /// As [`open_index`] for a folder whose name is that of no split.
    pub(crate) fn encoded_splits(&self) -> Result<Vec<String>> {
        let folder = self.places()[0].path(Kind::Fisher);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        let mut encoded = Vec::new();
        for name in names {
            if self.is_encoded(&name)? {
                encoded.push(name);
            }
        }
        Ok(encoded)
    }

    /// The index of an encoded split: the images that every channel has a vector of.
    ///
    /// # Errors
    /// [`Error::Missing`] when the split is not encoded, [`Error::Artifact`] when an index is
    /// damaged or they are of different lists.
    pub fn index(&self, split: &str) -> Result<Index> {
        let mut indices: Vec<Index> = self
            .places()
            .into_iter()
            .map(|place| open_index(&place.paths, split))
            .collect::<Result<_>>()?;
        if !self.has_channels() {
            return Ok(indices.remove(0));
        }
        let ids: Vec<BTreeSet<String>> = indices
            .iter()
            .map(|index| index.images.iter().map(|image| image.id.clone()).collect())
            .collect();
        let prints = indices.iter().map(|index| &*index.fingerprint);
        let print = self.joint_print(split, prints.collect());
        let dim = indices.iter().map(|index| index.dim).sum();
        let skipped: BTreeMap<String, String> = indices
            .iter()
            .flat_map(|index| &index.skipped)
            .map(|skipped| (skipped.id.clone(), skipped.reason.clone()))
            .collect();
        let mut joint = indices.remove(0);
        for (index, part) in indices.iter().zip(&self.parts[1..]) {
            if index.classes != joint.classes {
                let problem = "made from another list of classes; run `fvtool encode --refit`";
                return Err(Error::artifact(vectors_of(&part.place, split), problem));
            }
        }
        joint.images.retain(|image| ids.iter().all(|ids| ids.contains(&image.id)));
        // Copies are those that no channel can tell apart.
        for index in &indices {
            let hashes: BTreeMap<&str, &str> =
                index.images.iter().map(|image| (&*image.id, &*image.vector)).collect();
            for image in &mut joint.images {
                image.vector += hashes[&*image.id];
            }
        }
        joint.skipped = skipped.into_iter().map(|(id, reason)| Skipped { id, reason }).collect();
        joint.shards.clear();
        Ok(Index { fingerprint: print, dim, ..joint })
    }

    /// The fingerprint of an encoded split, by its lists of shards alone.
    ///
    /// # Errors
    /// As [`Listing::open`].
    pub(crate) fn print_of(&self, split: &str) -> Result<String> {
        let places = self.places().into_iter();
        let listings: Vec<Listing> =
            places.map(|place| Listing::open(&place.paths, split)).collect::<Result<_>>()?;
        let prints = listings.iter().map(|listing| &*listing.fingerprint);
        Ok(self.joint_print(split, prints.collect()))
    }

    /// The fingerprint of a split with these in its channels.
    fn joint_print(&self, split: &str, prints: Vec<&str>) -> String {
        if !self.has_channels() {
            return prints[0].to_owned();
        }
        let vectors = self.stored_vector_settings(split);
        fingerprint(&json!({ "vectors": vectors, "parts": prints }))
    }

    /// What gives the joint vector its meaning, of the settings that the channels' vectors were made
    /// with: keys that have no effect may have changed since.
    fn stored_vector_settings(&self, split: &str) -> Value {
        let of_channel = |(channel, part): (&Value, &RunPart<'_>)| {
            let mut channel = channel.clone();
            let folder = part.place.paths.vectors(split).ok();
            let shard = folder.map(|folder| Paths::shard(&folder, 0));
            if let Some(shard) = shard.and_then(|path| Artifact::open(&path).ok()) {
                channel["encoding"] = shard.header().inputs["settings"]["encoding"].clone();
            }
            channel
        };
        let channels = self.home.vectors["channels"].as_array().into_iter().flatten();
        let settings = channels.zip(&self.parts).map(of_channel);
        json!({ "channels": settings.collect::<Vec<_>>() })
    }

    /// The vectors of an encoded split, mapped from disk: one row an image of `index`.
    ///
    /// # Errors
    /// As [`open_vectors`]; [`Error::Artifact`] when the channels' are of other images.
    pub(crate) fn vectors(&self, index: &Index) -> Result<Joined<Shards>> {
        let of_part = |(place, factor): (&Place<'_>, f32)| {
            let stored = open_index(&place.paths, &index.split)?;
            let places: BTreeMap<&str, usize> =
                stored.images.iter().enumerate().map(|(i, image)| (&*image.id, i)).collect();
            let rows: Option<Vec<usize>> =
                index.images.iter().map(|image| places.get(&*image.id).copied()).collect();
            let rows = rows.ok_or_else(|| of_other_images(place, &index.split))?;
            Ok((open_vectors(place, &stored)?, factor, rows))
        };
        let weights: Vec<f64> = self.parts.iter().map(|part| part.weight).collect();
        let parts = self.places().into_iter().zip(factors(&weights));
        let joined = parts.map(of_part).collect::<Result<Vec<_>>>()?;
        let images = |shards: &Shards| -> Vec<Value> {
            shards.headers().map(|(_, header)| header.inputs["data"]["hash"].clone()).collect()
        };
        let first = images(&joined[0].0);
        let mut parts = self.places().into_iter().zip(&joined);
        match parts.find(|(_, (shards, ..))| images(shards) != first) {
            Some((place, _)) => Err(of_other_images(place, &index.split)),
            None => Ok(Joined::new(joined)),
        }
    }

    /// Path within the run and fingerprint of every mixture.
    pub(crate) fn mixtures(&self) -> Result<Mixtures> {
        let prints = self.fitted().map(|place| Ok(mixture_print(place)?.unwrap_or_default()));
        self.mixture_names().into_iter().zip(prints).map(|(n, p)| Ok((n, p?))).collect()
    }

    /// The places that have models of their own: all but pooled ones.
    pub(crate) fn fitted(&self) -> impl Iterator<Item = &Place<'_>> {
        self.parts.iter().map(|part| &part.place).filter(|place| !place.is_pooled())
    }

    /// Path within the run of every mixture.
    fn mixture_names(&self) -> Vec<String> {
        let name = Kind::Gmm.path();
        let of_place = |place: &Place<'_>| match &place.channel {
            None => name.to_owned(),
            Some(channel) => format!("channels/{channel}/{name}"),
        };
        self.fitted().map(of_place).collect()
    }

    /// From image files to joint vectors, with the mixtures that it holds: those on disk may be others by
    /// now.
    pub(crate) fn describer(&self) -> Result<(Describer, Mixtures)> {
        let parts = self.parts.iter().map(|part| Ok((image_encoder(&part.place)?, part.weight)));
        let describer = Describer::new(parts.collect::<Result<_>>()?)?;
        let prints =
            describer.channels().iter().map(|channel| channel.encoder.mixture().to_owned());
        let prints = prints.filter(|print| !print.is_empty());
        let mixtures = self.mixture_names().into_iter().zip(prints).collect();
        Ok((describer, mixtures))
    }
}

fn vectors_of(place: &Place<'_>, split: &str) -> PathBuf {
    place.path(Kind::Fisher).join(split)
}

fn of_other_images(place: &Place<'_>, split: &str) -> Error {
    Error::artifact(
        vectors_of(place, split),
        "made from other images than the vectors of the other channels; run `fvtool encode --refit`",
    )
}
