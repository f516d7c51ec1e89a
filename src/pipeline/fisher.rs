//! Fisher vectors of a split: decode → descriptors → projection → encoding, fused per image.
//!
//! Images are encoded in shards of [`SHARD_IMAGES`]; a finished shard is on disk before the next
//! begins, so a killed run goes on from there. Memory is bounded by one shard and one image per
//! thread, whatever the number of images.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ::image::RgbImage;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::Run;
use super::index::{Index, IndexedImage, Skipped, shard_name};
use super::models::{header, may_be_back};
use super::pictures::Pictures;
use super::remarks::{Noted, Noticed};
use super::seen::Seen;
use super::source::label_number;
use super::stage::{Inputs, Stamp};
use super::storage::{Stored, store};
use crate::artifacts::{
    Artifact, Shards, Tensor, VECTORS, is_ours, sealed, write, write_atomically,
};
use crate::config::Config;
use crate::dataset::{Inventory, Item, Split};
use crate::descriptors::{Extractor, Frame, Picture, Scratch};
use crate::encoding::contributions::{Contributions, Sums};
use crate::encoding::{Encoder, Storage, Workspace};
use crate::error::{Error, Result};
use crate::gmm::Gmm;
use crate::linalg::Pool;
use crate::position::Position;
use crate::projection::Projection;
use crate::words::counted;

/// Images in a shard.
pub const SHARD_IMAGES: usize = 256;

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

/// From an image file to its Fisher vector. Shared between workers.
pub(super) struct ImageEncoder {
    pictures: Pictures,
    extractor: Extractor,
    projection: Projection,
    encoder: Encoder,
    mirrored: bool,
    /// Fingerprint of the mixture.
    mixture: String,
    storage: Storage,
}

/// One worker's buffers.
#[derive(Default)]
pub(super) struct Worker {
    scratch: Scratch,
    projected: Vec<f32>,
    product: Vec<f32>,
    workspace: Workspace,
}

impl ImageEncoder {
    pub(super) fn new(
        config: &Config,
        projection: Projection,
        (gmm, mixture): (&Gmm, String),
        seen: &Arc<Seen>,
    ) -> Result<Self> {
        let extractor = Extractor::new(&config.descriptors)?;
        let shape = |what, expected, got| {
            if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
        };
        shape("descriptors for the stored PCA", projection.input_dim(), extractor.dim())?;
        shape("projection for the stored mixture", gmm.dim(), projection.output_dim())?;
        let (rounded, exact) = projection.of_zeros();
        let encoder = Encoder::new(gmm, &config.encoding)?.knowing(rounded, &exact);
        let (mirrored, storage) = (config.encoding.mirrored, config.encoding.storage);
        let pictures = Pictures::new(config, seen);
        Ok(Self { pictures, extractor, projection, encoder, mirrored, mixture, storage })
    }

    pub(super) fn dim(&self) -> usize {
        self.encoder.len()
    }

    pub(super) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(super) fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    pub(super) fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Fingerprint of the mixture.
    pub(super) fn mixture(&self) -> &str {
        &self.mixture
    }

    /// Reads an image for [`examine`](Self::examine); also its width and height in its file, and what was
    /// noticed of it.
    pub(super) fn load(&self, item: &Item) -> Result<(Picture, [usize; 2], Noticed)> {
        self.pictures.load(item)
    }

    /// The photograph, for pictures shown to people.
    pub(super) fn photograph(&self, item: &Item) -> Result<RgbImage> {
        self.pictures.photograph(item)
    }

    /// What to say of an image of this size that has no descriptor.
    pub(super) fn without_descriptors(&self, item: &Item, size: [usize; 2]) -> Error {
        let count = self.extractor.count(size[0], size[1]);
        self.pictures.without_descriptors(item, size, count)
    }

    /// What an image's vector is made of; its frames and positions are appended to those given.
    pub(super) fn examine(
        &self,
        picture: Picture,
        worker: &mut Worker,
        frames: &mut Vec<Frame>,
        positions: &mut Vec<Position>,
    ) -> Result<Examined<'_>> {
        let width = picture.width;
        let mut contributions = Contributions::new(&self.encoder);
        self.project(picture, worker, &mut |rows, of_rows, of_positions, mirrored, _| {
            let place = |frame: &Frame| match mirrored {
                true => Frame { x: (width - 1) as f32 - frame.x, ..*frame },
                false => *frame,
            };
            frames.extend(of_rows.iter().map(place));
            positions.extend_from_slice(of_positions);
            contributions.push(rows, of_positions)
        })?;
        let sums = contributions.sums()?;
        Ok(Examined { contributions, sums })
    }

    /// The Fisher vector of an image as it is read back from where it is stored: the one that a
    /// classifier is trained on, and scores.
    ///
    /// # Errors
    /// As [`encode`](Self::encode) and [`store`].
    pub(super) fn encode_as_stored(
        &self,
        item: &Item,
        worker: &mut Worker,
    ) -> Result<(Vec<f32>, Noticed)> {
        let (mut vector, noticed) = self.encode(item, worker)?;
        store(self.storage, &mut vector)?;
        Ok((vector, noticed))
    }

    /// How the vectors of this channel are stored.
    pub(super) fn storage(&self) -> Storage {
        self.storage
    }

    /// The Fisher vector of an image, and what was noticed of it.
    pub(super) fn encode(&self, item: &Item, worker: &mut Worker) -> Result<(Vec<f32>, Noticed)> {
        let (picture, _, mut noticed) = self.load(item)?;
        let size = [picture.width, picture.height];
        self.encoder.begin(&mut worker.workspace);
        self.project(picture, worker, &mut |rows, frames, positions, _, workspace| {
            noticed.add(&self.extractor, frames);
            self.encoder.push(rows, positions, workspace)
        })?;
        if noticed.counts()[0] == 0 {
            return Err(self.without_descriptors(item, size));
        }
        Ok((self.encoder.finish(&mut worker.workspace)?, noticed))
    }

    /// Hands the image's projected descriptors to `consume` block by block, while they are in cache,
    /// and then those of its mirror image where these count too.
    fn project(
        &self,
        mut picture: Picture,
        worker: &mut Worker,
        consume: &mut Consume<'_>,
    ) -> Result<()> {
        self.project_once(&picture, worker, false, consume)?;
        if self.mirrored {
            picture.mirror();
            self.project_once(&picture, worker, true, consume)?;
        }
        Ok(())
    }

    fn project_once(
        &self,
        picture: &Picture,
        worker: &mut Worker,
        mirrored: bool,
        consume: &mut Consume<'_>,
    ) -> Result<()> {
        let Worker { scratch, projected, product, workspace } = worker;
        let (width, height) = (picture.width, picture.height);
        let mut outcome = Ok(());
        picture.for_each_block(&self.extractor, scratch, &mut |rows, frames| {
            if outcome.is_err() {
                return;
            }
            let positions = positions(frames, width, height);
            projected.resize(rows.nrows() * self.projection.output_dim(), 0.0);
            let shape = (rows.nrows(), self.projection.output_dim());
            outcome = self.projection.apply(rows, &positions, product, projected).and_then(|()| {
                let view = ArrayView2::from_shape(shape, &projected[..]).expect("sizes agree");
                consume(view, frames, &positions, mirrored, workspace)
            });
        });
        outcome
    }
}

/// What takes projected descriptors: rows, their frames and positions, whether both are those of the
/// mirror image, and the worker's workspace.
type Consume<'a> =
    dyn FnMut(ArrayView2<'_, f32>, &[Frame], &[Position], bool, &mut Workspace) -> Result<()> + 'a;

/// One image taken apart: what its Fisher vector is made of.
pub(super) struct Examined<'e> {
    pub(super) contributions: Contributions<'e>,
    pub(super) sums: Sums,
}

/// Frames as stored: x, y, contrast, bin size.
pub(super) fn frame_values(frames: &[Frame]) -> Vec<f32> {
    frames.iter().flat_map(Frame::values).collect()
}

/// Positions of descriptors in an image of this size.
pub(super) fn positions(frames: &[Frame], width: usize, height: usize) -> Vec<Position> {
    frames.iter().map(|frame| frame.position(width, height)).collect()
}

/// A shard as it was found or made.
struct Shard {
    file: String,
    skipped: Vec<Skipped>,
    /// Of these, images that could not be read when they were needed.
    unread: Vec<String>,
    /// A hash of each vector, in order; a shard of an earlier version has none.
    hashes: Option<Vec<String>>,
    /// What was noticed of the others.
    noted: Noted,
    made: bool,
}

impl Run<'_> {
    /// From image files to the vectors of this channel.
    pub(super) fn image_encoder(&self) -> Result<ImageEncoder> {
        let (projection, gmm, [_, print]) = self.load_models()?;
        ImageEncoder::new(&self.config, projection, (&gmm, print), &self.seen)
    }

    /// Encodes the images of a split with the models of this channel.
    pub(super) fn encode_part(&self, split: &Split) -> Result<Encoded> {
        let started = Instant::now();
        let (projection, gmm, [pca_print, gmm_print]) = self.load_models()?;
        let parents =
            [("pca.safetensors", pca_print.as_str()), ("gmm.safetensors", gmm_print.as_str())];
        let settings = self.settings_of("fisher");
        let folder = self.split_dir(&split.name)?;
        let encoder =
            ImageEncoder::new(&self.config, projection, (&gmm, gmm_print.clone()), &self.seen)?;
        let data = encoder.pictures.hash(&split.items, || self.interrupted())?;
        let count = split.items.len().div_ceil(SHARD_IMAGES);
        let inputs = Inputs::new("fisher", settings, &parents, data);
        let inputs = self.as_in_shards(&folder, inputs, count);
        let stage = format!("encode {}", split.name);
        self.begin(&stage, split.items.len() as u64, "images");
        let workers = Pool::default();
        // Asked for by the first shard that has to be made: what is there needs no memory.
        let need = OnceCell::new();
        let need = || need.get_or_init(|| self.need_of_encoding(self.largest(&split.items)));
        let shard = |(number, items): (usize, &[Item])| {
            self.interrupted()?;
            let path = folder.join(shard_name(number));
            let inputs = inputs.part(number);
            if let Some(shard) = self.kept_shard(&path, items, &inputs, &encoder)? {
                self.progress.advance(items.len() as u64);
                return Ok(shard);
            }
            let make = || self.make_shard(&path, &split.name, items, &inputs, &encoder, &workers);
            self.memory.within(|| Ok(need().clone()), make)?
        };
        let shards: Result<Vec<Shard>> =
            split.items.chunks(SHARD_IMAGES).enumerate().map(shard).collect();
        self.progress.end();
        let shards = shards?;
        let unread: Vec<String> = shards.iter().flat_map(|shard| shard.unread.clone()).collect();
        let inputs = inputs.lacking(&unread);
        let encoded = self.write_index(split, &inputs, &encoder, &shards)?;
        if shards.iter().any(|shard| shard.made) {
            let skipped = match encoded.skipped {
                0 => String::new(),
                n => format!(", {n} skipped (see {})", encoded.stamp.path.display()),
            };
            let rate = encoded.images as f64 / started.elapsed().as_secs_f64().max(1e-9);
            let text = format!(
                "{} of {}, {rate:.1} images/s{skipped}",
                counted(encoded.images, "vector"),
                counted(encoder.dim(), "value")
            );
            self.done(&stage, &text, started);
            let mut noted = Noted::default();
            shards.iter().for_each(|shard| noted.join(&shard.noted));
            let of = format!(" of split `{}`", split.name);
            let threshold = self.config.descriptors.contrast_threshold;
            for sentence in noted.sentences(encoded.images, &of, threshold) {
                self.progress.note(&format!("{}{sentence}", self.label));
            }
        } else {
            self.nothing_to_do(&stage);
        }
        Ok(encoded)
    }

    /// A shard that an earlier run made of these inputs.
    fn kept_shard(
        &self,
        path: &Path,
        items: &[Item],
        inputs: &Inputs,
        encoder: &ImageEncoder,
    ) -> Result<Option<Shard>> {
        let back = |id: &str| items.iter().any(|i| i.id == id && encoder.pictures.could_read(i));
        let Some(kept) = self.kept(path, inputs, back)? else { return Ok(None) };
        let shard = Artifact::open(path)?;
        let skipped: Vec<Skipped> =
            serde_json::from_value(shard.header().report["skipped"].clone())
                .map_err(|e| Error::artifact(path, format!("damaged (`skipped`: {e})")))?;
        let noted = match &shard.header().report["noted"] {
            Value::Null => Noted::default(),
            noted => serde_json::from_value(noted.clone())
                .map_err(|e| Error::artifact(path, format!("damaged (`noted`: {e})")))?,
        };
        // The index is made from these names; the vectors are verified by who reads them.
        if !skipped.is_empty() || !noted.is_nothing() {
            shard.verify()?;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (.., unread) = Inputs::of_stored_part(&kept.value);
        let hashes = serde_json::from_value(shard.header().report["hashes"].clone())
            .map_err(|e| Error::artifact(path, format!("damaged (`hashes`: {e})")))?;
        Ok(Some(Shard { file, skipped, unread, hashes, noted, made: false }))
    }

    /// Encodes a shard of a split and writes it.
    fn make_shard(
        &self,
        path: &Path,
        split: &str,
        items: &[Item],
        inputs: &Inputs,
        encoder: &ImageEncoder,
        workers: &Pool<Worker>,
    ) -> Result<Shard> {
        let results: Vec<Result<(Vec<f32>, String, Noticed)>> = items
            .par_iter()
            .with_max_len(1)
            .map(|item| {
                self.interrupted()?;
                let vector = workers.with(|worker| encoder.encode(item, worker));
                self.progress.advance(1);
                let (vector, noticed) = vector?;
                let hash = IndexedImage::short(&blake3::hash(bytemuck::cast_slice(&vector)));
                Ok((vector, hash, noticed))
            })
            .collect();
        let mut vectors = Stored::new(self.config.encoding.storage);
        let (mut skipped, mut unread, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        let (mut hashes, mut noted) = (Vec::new(), Noted::default());
        for (result, item) in results.into_iter().zip(items) {
            let stored = result.and_then(|(vector, hash, noticed)| {
                vectors.push(&vector)?;
                Ok((hash, noticed))
            });
            match stored {
                Ok((hash, noticed)) => {
                    hashes.push(hash);
                    noted.add(&noticed);
                }
                Err(error @ (Error::Image { .. } | Error::Io { .. } | Error::Numerical { .. }))
                    if !self.strict =>
                {
                    self.skip(&item.id, &error);
                    if may_be_back(&error) {
                        unread.push(item.id.clone());
                        // Otherwise the fingerprint says so already.
                        if encoder.pictures.could_read(item) {
                            lacking.push(item.id.clone());
                        }
                    }
                    skipped.push(Skipped { id: item.id.clone(), reason: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        let dim = encoder.dim();
        let mut report = json!({
            "split": split, "skipped": skipped, "unread": unread, "dim": dim, "hashes": hashes,
        });
        if !noted.is_nothing() {
            report["noted"] = json!(noted);
        }
        let shape = vec![items.len() - skipped.len(), vectors.width(dim)];
        let tensor = Tensor { name: VECTORS, shape, values: vectors.values() };
        write(path, &header("fisher", &inputs.lacking(&lacking), report), &[tensor])?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Shard { file, skipped, unread: lacking, hashes: Some(hashes), noted, made: true })
    }

    fn write_index(
        &self,
        split: &Split,
        inputs: &Inputs,
        encoder: &ImageEncoder,
        shards: &[Shard],
    ) -> Result<Encoded> {
        let skipped: Vec<Skipped> =
            shards.iter().flat_map(|shard| shard.skipped.iter().cloned()).collect();
        let mut noted = Noted::default();
        shards.iter().for_each(|shard| noted.join(&shard.noted));
        let left_out: std::collections::BTreeSet<&str> =
            skipped.iter().map(|s| s.id.as_str()).collect();
        let hashes: Option<Vec<&Vec<String>>> =
            shards.iter().map(|shard| shard.hashes.as_ref()).collect();
        let mut vectors = hashes.into_iter().flatten().flatten().cloned();
        let images: Vec<IndexedImage> = split
            .items
            .iter()
            .zip(&split.labels)
            .filter(|(item, _)| !left_out.contains(item.id.as_str()))
            .map(|(item, labels)| IndexedImage {
                id: item.id.clone(),
                labels: labels.iter().map(|&label| label_number(label)).collect(),
                file: encoder.pictures.hash_of(item).map(|hash| IndexedImage::short(&hash)),
                vector: vectors.next(),
            })
            .collect();
        let index = Index {
            format: crate::artifacts::FORMAT.to_owned(),
            fingerprint: inputs.fingerprint.clone(),
            split: split.name.clone(),
            classes: split.classes.clone(),
            single_label: split.single_label,
            dim: encoder.dim(),
            shards: shards.iter().map(|shard| shard.file.clone()).collect(),
            images,
            skipped,
            files: split.files.clone(),
            noted,
        };
        let folder = self.split_dir(&split.name)?;
        let path = folder.join("index.json");
        let text = sealed(&index);
        let made = crate::files::read_text(&path).ok().as_deref() != Some(&text);
        if made {
            write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
            remove_old_shards(&folder, &index.shards)?;
        }
        Ok(Encoded {
            stamp: Stamp { path, fingerprint: inputs.fingerprint.clone(), made },
            images: index.images.len(),
            skipped: index.skipped.len(),
            files: index.files,
        })
    }

    /// The stored vectors of an encoded split, mapped from disk.
    ///
    /// # Errors
    /// [`Error::Artifact`] when a shard is damaged, or is not of this index and the run's models.
    pub(super) fn part_vectors(&self, index: &Index) -> Result<Shards> {
        let folder = self.split_dir(&index.split)?;
        let paths: Vec<PathBuf> = index.shards.iter().map(|file| folder.join(file)).collect();
        let shards = Shards::open(paths.iter().map(PathBuf::as_path))?;
        let (expected, got) = (index.images.len(), crate::linalg::Rows::len(&shards));
        if expected != got {
            return Err(Error::artifact(
                folder.join("index.json"),
                format!(
                    "lists {expected} images, the shards hold {got}; run `fvtool encode` again"
                ),
            ));
        }
        self.require_one_origin(index, &shards)?;
        Ok(shards)
    }

    /// Refuses shards that were not all made in one piece, with the models of this run, for this index.
    fn require_one_origin(&self, index: &Index, shards: &Shards) -> Result<()> {
        let mut whole: Option<Inputs> = None;
        let mut lacking = Vec::new();
        for (number, shard) in shards.artifacts().iter().enumerate() {
            let (inputs, part, lacks) = Inputs::of_stored_part(&shard.header().inputs);
            let print = Inputs::of_stored(&shard.header().inputs).fingerprint;
            let same = whole.as_ref().is_none_or(|w| w.fingerprint == inputs.fingerprint);
            if !same || part != Some(number) || print != shard.header().fingerprint {
                return Err(not_of_this_index(shard.path(), &index.split));
            }
            lacking.extend(lacks);
            whole = Some(inputs);
        }
        let Some(whole) = whole else { return Ok(()) };
        let first = &shards.artifacts()[0];
        if whole.lacking(&lacking).fingerprint != index.fingerprint {
            return Err(not_of_this_index(first.path(), &index.split));
        }
        let parents = [self.pca_path(), self.gmm_path()];
        parents.iter().try_for_each(|parent| self.require_parent(first, parent).map(|_| ()))
    }
}

fn not_of_this_index(shard: &Path, split: &str) -> Error {
    let problem = format!(
        "not of the vectors that index.json beside it lists; make them again: `fvtool encode --data \
         DATA --split {split} --run RUN --refit`"
    );
    Error::artifact(shard, problem)
}

/// Shards of an earlier, longer list would be taken for current ones. Files that fvtool did not make
/// are left alone.
fn remove_old_shards(folder: &Path, current: &[String]) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_suffix(".safetensors").and_then(|number| number.parse().ok());
        let of_shard = number.is_some_and(|number| shard_name(number) == name);
        let file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if of_shard && file && !current.contains(&name) && is_ours(&entry.path()) {
            std::fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}
