//! Several ways to describe an image: a run inside the run for each, and their vectors joined.
//!
//! ```text
//! φ(x) = [ s_1 φ_1(x) | s_2 φ_2(x) | … ],   s_c = weight_c / √(Σ_c weight_c²)
//! ```
//!
//! so that the joint vector has unit length where those of the channels have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::Run;
use super::fisher::{Encoded, ImageEncoder, Worker};
use super::index::{Index, Skipped};
use super::remarks::Noticed;
use super::stage::Stamp;
use crate::artifacts::{Artifact, Shards};
use crate::config::fingerprint;
use crate::dataset::{Item, Split};
use crate::error::{Error, Result};
use crate::linalg::Joined;

/// One way to describe an image.
pub(super) struct Channel<'p> {
    name: String,
    weight: f64,
    run: Run<'p>,
}

/// Path within the run and fingerprint of every mixture.
pub(super) type Mixtures = Vec<(String, String)>;

impl Channel<'_> {
    /// What gives its part of the joint vector its meaning.
    fn settings(&self, encoding: Value) -> Value {
        json!({ "name": self.name, "weight": self.weight, "encoding": encoding })
    }
}

/// A part of the joint vector: the run that makes it and its factor `s_c`.
pub(super) struct Part<'r, 'p> {
    pub(super) run: &'r Run<'p>,
    pub(super) factor: f32,
}

impl<'p> Run<'p> {
    pub(super) fn open_channels(&self) -> Result<Vec<Channel<'p>>> {
        let open = |channel: &crate::config::Channel| {
            let name = channel.name.clone();
            let run = Run {
                dir: self.dir.join("channels").join(&name),
                config: self.config.of_channel(channel)?,
                refit: self.refit,
                strict: self.strict,
                reuse: self.reuse.clone(),
                memory: self.memory,
                progress: self.progress,
                said: Mutex::default(),
                left_out: AtomicUsize::new(0),
                bad: Arc::clone(&self.bad),
                channels: Vec::new(),
                label: format!("{name}: "),
                seen: Arc::clone(&self.seen),
                _lock: None,
            };
            run.refuse_other_settings()?;
            Ok(Channel { name, weight: channel.weight, run })
        };
        self.config.channel.iter().map(open).collect()
    }

    /// The runs whose vectors are joined: the channels, or the run itself.
    pub(super) fn parts(&self) -> Vec<Part<'_, 'p>> {
        if self.channels.is_empty() {
            return vec![Part { run: self, factor: 1.0 }];
        }
        let total = self.channels.iter().map(|c| c.weight * c.weight).sum::<f64>().sqrt();
        let channels = self.channels.iter();
        channels.map(|c| Part { run: &c.run, factor: (c.weight / total) as f32 }).collect()
    }

    /// The settings that give the joint vector its meaning.
    pub(super) fn vector_settings(&self) -> Value {
        if self.channels.is_empty() {
            return json!({ "encoding": self.config.encoding });
        }
        let settings = self.channels.iter().map(|c| c.settings(json!(c.run.config.encoding)));
        json!({ "channels": settings.collect::<Vec<_>>() })
    }

    /// The same, of the settings that the channels' vectors were made with: keys that have no effect
    /// may have changed since.
    fn stored_vector_settings(&self, indices: &[Index]) -> Value {
        let of_channel = |(c, index): (&Channel<'_>, &Index)| {
            let folder = c.run.split_dir(&index.split).ok();
            let shard = folder.zip(index.shards.first()).map(|(folder, file)| folder.join(file));
            let stored = shard
                .and_then(|path| Artifact::open(&path).ok())
                .map(|shard| shard.header().inputs["settings"]["encoding"].clone());
            c.settings(stored.unwrap_or_else(|| json!(c.run.config.encoding)))
        };
        let settings = self.channels.iter().zip(indices).map(of_channel);
        json!({ "channels": settings.collect::<Vec<_>>() })
    }

    /// Path within the run and fingerprint of every mixture.
    pub(super) fn mixtures(&self) -> Result<Mixtures> {
        let names = self.mixture_names().into_iter().zip(self.parts());
        names.map(|(name, part)| Ok((name, part.run.load_gmm()?.1))).collect()
    }

    fn mixture_names(&self) -> Vec<String> {
        if self.channels.is_empty() {
            return vec!["gmm.safetensors".into()];
        }
        self.channels.iter().map(|c| format!("channels/{}/gmm.safetensors", c.name)).collect()
    }

    /// Encodes a split with the models of every channel.
    ///
    /// # Errors
    /// [`Error::Stale`] when vectors of other settings or images are there; with `strict`, the
    /// first image that cannot be used.
    pub(super) fn encode_split(&self, split: &Split) -> Result<Encoded> {
        if self.channels.is_empty() {
            return self.encode_part(split);
        }
        let mut made = false;
        for channel in &self.channels {
            made |= channel.run.encode_part(split)?.stamp.made;
        }
        let index = self.index(&split.name)?;
        let path = self.dir.join("channels");
        let stamp = Stamp { path, fingerprint: index.fingerprint, made };
        Ok(Encoded {
            stamp,
            images: index.images.len(),
            skipped: index.skipped.len(),
            files: index.files,
        })
    }

    /// The index of an encoded split: the images that every channel has a vector of.
    ///
    /// # Errors
    /// [`Error::Missing`] when the split is not encoded, [`Error::Artifact`] when an index is
    /// damaged or they are of different lists.
    pub fn index(&self, split: &str) -> Result<Index> {
        if self.channels.is_empty() {
            return self.part_index(split);
        }
        let mut indices = self
            .channels
            .iter()
            .map(|c| c.run.part_index(split))
            .collect::<Result<Vec<Index>>>()?;
        let ids: Vec<BTreeSet<String>> = indices
            .iter()
            .map(|index| index.images.iter().map(|image| image.id.clone()).collect())
            .collect();
        let prints: Vec<&str> = indices.iter().map(|index| index.fingerprint.as_str()).collect();
        let vectors = self.stored_vector_settings(&indices);
        let print = fingerprint(&json!({ "vectors": vectors, "parts": prints }));
        let dim = indices.iter().map(|index| index.dim).sum();
        let skipped: BTreeMap<String, String> = indices
            .iter()
            .flat_map(|index| &index.skipped)
            .map(|skipped| (skipped.id.clone(), skipped.reason.clone()))
            .collect();
        let mut joint = indices.remove(0);
        for (index, channel) in indices.iter().zip(&self.channels[1..]) {
            if index.classes != joint.classes {
                return Err(Error::artifact(
                    channel.run.dir.join("fisher").join(split),
                    "made from another list of classes; run `fvtool encode --refit`",
                ));
            }
        }
        joint.images.retain(|image| ids.iter().all(|ids| ids.contains(&image.id)));
        // Copies are those that no channel can tell apart.
        for index in &indices {
            let hashes: BTreeMap<&str, Option<&str>> =
                index.images.iter().map(|image| (&*image.id, image.vector.as_deref())).collect();
            for image in &mut joint.images {
                let other = hashes.get(&*image.id).copied().flatten();
                image.vector = image.vector.take().zip(other).map(|(hash, other)| hash + other);
            }
        }
        joint.skipped = skipped.into_iter().map(|(id, reason)| Skipped { id, reason }).collect();
        joint.shards.clear();
        Ok(Index { fingerprint: print, dim, ..joint })
    }

    /// The vectors of an encoded split, mapped from disk: one row an image of `index`.
    ///
    /// # Errors
    /// As [`part_vectors`](Self::part_vectors); [`Error::Artifact`] when the channels' are of other
    /// images.
    pub(super) fn vectors(&self, index: &Index) -> Result<Joined<Shards>> {
        let of_part = |part: &Part<'_, 'p>| {
            let stored = part.run.part_index(&index.split)?;
            let places: BTreeMap<&str, usize> =
                stored.images.iter().enumerate().map(|(i, image)| (&*image.id, i)).collect();
            let rows: Option<Vec<usize>> =
                index.images.iter().map(|image| places.get(&*image.id).copied()).collect();
            let rows = rows.ok_or_else(|| part.run.other_images(&index.split))?;
            Ok((part.run.part_vectors(&stored)?, part.factor, rows))
        };
        let parts = self.parts();
        let joined = parts.iter().map(of_part).collect::<Result<Vec<_>>>()?;
        let images = |shards: &Shards| {
            shards.artifacts().first().map(|shard| shard.header().inputs["data"]["hash"].clone())
        };
        let first = images(&joined[0].0);
        match parts.iter().zip(&joined).find(|(_, (shards, ..))| images(shards) != first) {
            Some((part, _)) => Err(part.run.other_images(&index.split)),
            None => Ok(Joined::new(joined)),
        }
    }

    fn other_images(&self, split: &str) -> Error {
        Error::artifact(
            self.dir.join("fisher").join(split),
            "made from other images than the vectors of the other channels; run `fvtool encode --refit`",
        )
    }

    /// From image files to joint vectors.
    pub(super) fn encoder(&self) -> Result<JointEncoder> {
        let parts =
            self.parts().into_iter().map(|part| Ok((part.run.image_encoder()?, part.factor)));
        let parts: Vec<(ImageEncoder, f32)> = parts.collect::<Result<_>>()?;
        let names = self.mixture_names();
        let prints = parts.iter().map(|(encoder, _)| encoder.mixture().to_owned());
        Ok(JointEncoder { mixtures: names.into_iter().zip(prints).collect(), parts })
    }
}

/// From an image file to its joint vector. Shared between workers.
pub(super) struct JointEncoder {
    parts: Vec<(ImageEncoder, f32)>,
    mixtures: Mixtures,
}

impl JointEncoder {
    /// The encoders of the channels, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &ImageEncoder> {
        self.parts.iter().map(|(encoder, _)| encoder)
    }

    /// The mixtures that it holds. Those on disk may be others by now.
    pub(super) fn mixtures(&self) -> &Mixtures {
        &self.mixtures
    }

    /// One worker's buffers.
    pub(super) fn workers(&self) -> Vec<Worker> {
        self.parts.iter().map(|_| Worker::default()).collect()
    }

    /// The joint vector of an image, the values that would be read back were it stored, and what was
    /// noticed of it.
    pub(super) fn encode(
        &self,
        item: &Item,
        workers: &mut [Worker],
    ) -> Result<(Vec<f32>, Noticed)> {
        let (mut joint, mut all) = (Vec::new(), None);
        for ((encoder, factor), worker) in self.parts.iter().zip(workers) {
            let (vector, noticed) = encoder.encode_as_stored(item, worker)?;
            joint.extend(vector.iter().map(|value| value * factor));
            all = Some(all.map_or(noticed, |all: Noticed| all.joined(noticed)));
        }
        Ok((joint, all.unwrap_or_default()))
    }
}
