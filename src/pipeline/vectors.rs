//! Fisher vectors of a split: decode → descriptors → projection → encoding, of all channels in one pass.
//!
//! Images are encoded in shards of [`SHARD_IMAGES`]; a finished shard is on disk before the next
//! begins, so a killed run goes on from there. Memory is bounded by one shard and one image per
//! thread, whatever the number of images.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use blake3::Hash;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::mixture::{Models, load_models};
use super::place::Place;
use super::result::{StageResult, Stamp};
use super::stage::{Made, Ready, Stage, bring_up_to_date};
use crate::artifacts::{Artifact, FORMAT, Shards, is_ours, require_own, sealed, write_atomically};
use crate::dataset::{Inventory, Item, Split};
use crate::describer::largest;
use crate::describer::{
    ImageEncoder, Looked, Noted, Noticed, Reader, Stored as StoredVectors, Workers,
};
use crate::descriptors::memory::{Largest, image_bytes};
use crate::encoding::Layout;
use crate::encoding::memory::encoder_bytes;
use crate::error::{Error, Result};
use crate::generative::Parts;
use crate::linalg::{Pool, Rows};
use crate::memory::Need;
use crate::store::{
    Index, IndexedImage, Inputs, Kind, Paths, ShardVectors, Skipped, lacks, may_be_back,
    require_parent,
};
use crate::words::{counted, sum_of};

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

/// What a shard says beside its vectors.
#[derive(Serialize, Deserialize)]
struct ShardReport {
    split: String,
    /// Images without a vector.
    skipped: Vec<Skipped>,
    /// Of these, images that could not be read when they were needed.
    #[serde(default)]
    unread: Vec<String>,
    dim: usize,
    /// A hash of each vector, in order; a shard of an earlier version has none.
    #[serde(default)]
    hashes: Option<Vec<String>>,
    /// Mean log-likelihood of the descriptors of each image; that of an earlier version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    likelihoods: Option<Vec<Option<f64>>>,
    /// What was noticed of the others.
    #[serde(default, skip_serializing_if = "Noted::is_nothing")]
    noted: Noted,
}

/// What encodes a split for one channel.
struct Channel<'a, 'p> {
    place: &'a Place<'p>,
    encoder: ImageEncoder,
    /// The folder of its vectors.
    folder: PathBuf,
    /// What all its shards are made from.
    inputs: Inputs,
    /// Looked for by the first shard that has to be made: what is there needs no memory.
    largest: OnceLock<Largest>,
}

/// What all channels share while a split is encoded.
struct Pass<'a> {
    split: &'a Split,
    reader: Reader,
    workers: Pool<Workers>,
}

/// A shard of one channel.
struct Shard<'a, 'p> {
    pass: &'a Pass<'a>,
    channel: &'a Channel<'a, 'p>,
    number: usize,
    items: &'a [Item],
    inputs: Inputs,
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

/// Encodes the images of a split with the models of every place.
///
/// # Errors
/// [`Error::Stale`] when vectors of other settings or images are there; with `strict`, the
/// first image that cannot be used.
pub(crate) fn bring_vectors(places: &[&Place<'_>], split: &Split) -> Result<Vec<Encoded>> {
    let started = Instant::now();
    let work = &places[0].work;
    let pass = Pass {
        split,
        reader: Reader::new(&places[0].config.image, &work.seen),
        workers: Pool::default(),
    };
    let channels: Vec<Channel<'_, '_>> =
        places.iter().map(|place| Channel::new(place, split)).collect::<Result<_>>()?;
    let stage = format!("encode {}", split.name);
    work.progress.begin(&stage, split.items.len() as u64, "images");
    let mut shards: Vec<Vec<Ready<ShardReport>>> = channels.iter().map(|_| Vec::new()).collect();
    let all = || -> Result<()> {
        for (number, items) in split.items.chunks(SHARD_IMAGES).enumerate() {
            work.go_on()?;
            let of_channel = |channel| Shard::new(&pass, channel, number, items);
            let here: Vec<Shard<'_, '_>> = channels.iter().map(of_channel).collect();
            let ready = bring_up_to_date(&here)?;
            if ready.iter().all(|ready| !ready.stamp.made) {
                work.progress.advance(items.len() as u64);
            }
            shards.iter_mut().zip(ready).for_each(|(all, ready)| all.push(ready));
        }
        Ok(())
    }();
    work.progress.end();
    all?;
    let mut encoded = Vec::new();
    for (channel, shards) in channels.iter().zip(&shards) {
        shards.iter().try_for_each(verify_names)?;
        encoded.push(channel.write_index(split, shards)?);
    }
    say(&channels, split, &shards, &encoded, started);
    Ok(encoded)
}

/// The index is made from the names in a shard; the vectors are verified by who reads them.
fn verify_names(shard: &Ready<ShardReport>) -> Result<()> {
    let named = !shard.report.skipped.is_empty() || !shard.report.noted.is_nothing();
    if named && !shard.stamp.made {
        Artifact::open(&shard.stamp.path)?.verify()?;
    }
    Ok(())
}

/// How the stage ended, for the channels of which something was made and for the others.
fn say(
    channels: &[Channel<'_, '_>],
    split: &Split,
    shards: &[Vec<Ready<ShardReport>>],
    encoded: &[Encoded],
    started: Instant,
) {
    let work = &channels[0].place.work;
    let is_made = |c: &usize| shards[*c].iter().any(|shard| shard.stamp.made);
    let (made, kept): (Vec<usize>, Vec<usize>) = (0..channels.len()).partition(is_made);
    let mixed = !made.is_empty() && !kept.is_empty();
    let finish = |of: &[usize], result: StageResult| {
        let names = of.iter().filter_map(|&c| channels[c].place.channel.clone());
        let artifacts = of.iter().map(|&c| encoded[c].stamp.path.clone()).collect();
        let channels = if mixed { names.collect() } else { Vec::new() };
        let result = StageResult { channels, ..result };
        work.finish(result.of_split(&split.name).with_artifacts(artifacts));
    };
    if let Some(&first) = made.first() {
        let skipped = match encoded[first].skipped {
            0 => String::new(),
            n => format!(", {n} skipped (see {})", encoded[first].stamp.path.display()),
        };
        let values: Vec<usize> = made.iter().map(|&c| channels[c].encoder.dim()).collect();
        let images = encoded[first].images;
        let rate = images as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let dims = match values[..] {
            [1] => "1 value".to_owned(),
            _ => format!("{} values", sum_of(&values)),
        };
        let text = format!("{} of {dims}, {rate:.1} images/s{skipped}", counted(images, "vector"));
        let result = StageResult::made(Kind::Fisher.stage(), Vec::new(), text, started);
        finish(&made, StageResult { images_per_second: Some(rate), values, ..result });
        for &c in &made {
            let channel = &channels[c];
            let noted = noted_of(&shards[c]);
            let of = format!(" of split `{}`", split.name);
            let threshold = channel.place.config.descriptors.contrast_threshold;
            for sentence in noted.sentences(encoded[c].images, &of, threshold) {
                work.progress.note(&format!("{}{sentence}", channel.place.label()));
            }
        }
    }
    if !kept.is_empty() {
        finish(&kept, StageResult::nothing_to_do(Kind::Fisher.stage(), Vec::new()));
    }
}

impl<'a, 'p> Channel<'a, 'p> {
    fn new(place: &'a Place<'p>, split: &Split) -> Result<Self> {
        let (encoder, prints) = encoder_and_prints(place)?;
        let parents: Vec<(&str, &str)> = match &prints {
            Some([pca, gmm]) => vec![("pca.safetensors", pca), ("gmm.safetensors", gmm)],
            None => Vec::new(),
        };
        let folder = place.paths.vectors(&split.name)?;
        let data = encoder.source().hash(&split.items, || place.work.go_on())?;
        let settings = place.settings(Kind::Fisher);
        let inputs = Inputs::new(Kind::Fisher.name(), settings, &parents, data);
        let inputs = as_in_shards(place, &folder, inputs, split.items.len().div_ceil(SHARD_IMAGES));
        Ok(Self { place, encoder, folder, inputs, largest: OnceLock::new() })
    }

    fn write_index(&self, split: &Split, shards: &[Ready<ShardReport>]) -> Result<Encoded> {
        let lacking: Vec<String> = shards.iter().flat_map(|shard| shard.lacking()).collect();
        let inputs = self.inputs.lacking(&lacking);
        let reports = || shards.iter().map(|shard| &shard.report);
        let skipped: Vec<Skipped> = reports().flat_map(|report| report.skipped.clone()).collect();
        let left_out: std::collections::BTreeSet<&str> =
            skipped.iter().map(|s| s.id.as_str()).collect();
        let hashes: Option<Vec<&Vec<String>>> =
            reports().map(|report| report.hashes.as_ref()).collect();
        let mut vectors = hashes.into_iter().flatten().flatten().cloned();
        let likelihoods: Option<Vec<&Vec<Option<f64>>>> =
            reports().map(|report| report.likelihoods.as_ref()).collect();
        let mut likelihoods = likelihoods.into_iter().flatten().flatten().copied();
        let images: Vec<IndexedImage> = split
            .items
            .iter()
            .zip(&split.labels)
            .filter(|(item, _)| !left_out.contains(item.id.as_str()))
            .map(|(item, labels)| IndexedImage {
                id: item.id.clone(),
                labels: labels.iter().map(|label| label.number()).collect(),
                file: self.place.work.seen.hash_of(&item.path).map(|h| IndexedImage::short(&h)),
                vector: vectors.next(),
                likelihood: likelihoods.next().flatten(),
            })
            .collect();
        let index = Index {
            format: FORMAT.to_owned(),
            fingerprint: inputs.fingerprint.clone(),
            split: split.name.clone(),
            classes: split.classes.clone(),
            single_label: split.single_label,
            dim: self.encoder.dim(),
            shards: (0..shards.len()).map(Paths::shard_name).collect(),
            images,
            skipped,
            files: split.files.clone(),
            noted: noted_of(shards),
        };
        let path = Paths::index(&self.folder);
        let text = sealed(&index);
        let made = crate::files::read_text(&path).ok().as_deref() != Some(&text);
        if made {
            require_own(&path)?;
            write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
            remove_old_shards(&self.folder, &index.shards)?;
        }
        Ok(Encoded {
            stamp: Stamp { path, fingerprint: inputs.fingerprint, made },
            images: index.images.len(),
            skipped: index.skipped.len(),
            files: index.files,
        })
    }
}

/// What was noticed of the images of all these shards.
fn noted_of(shards: &[Ready<ShardReport>]) -> Noted {
    let mut noted = Noted::default();
    shards.iter().for_each(|shard| noted.join(&shard.report.noted));
    noted
}

/// An image's vector, the hash of it, and what was noticed of the image.
type EncodedImage = Result<(Vec<f32>, Hash, Noticed)>;

impl Ready<ShardReport> {
    /// Images that this shard lacks though the fingerprint of the split has them.
    fn lacking(&self) -> Vec<String> {
        Inputs::of_stored_part(&self.inputs.value).2
    }
}

impl<'a, 'p> Shard<'a, 'p> {
    fn new(
        pass: &'a Pass<'a>,
        channel: &'a Channel<'a, 'p>,
        number: usize,
        items: &'a [Item],
    ) -> Self {
        Self { pass, channel, number, items, inputs: channel.inputs.part(number) }
    }

    fn could_read(&self, item: &Item) -> bool {
        self.channel.encoder.source().could_read(item)
    }

    /// The vectors of the images, in one piece.
    fn gather(&self, encoded: Vec<EncodedImage>) -> Result<Made<ShardVectors, ShardReport>> {
        let work = &self.channel.place.work;
        let mut vectors = StoredVectors::new(self.channel.encoder.storage());
        let (mut skipped, mut unread, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        let (mut hashes, mut likelihoods, mut noted) = (Vec::new(), Vec::new(), Noted::default());
        for (result, item) in encoded.into_iter().zip(self.items) {
            let stored = result.and_then(|(vector, hash, noticed)| {
                vectors.push(&vector)?;
                Ok((hash, noticed))
            });
            match stored {
                Ok((hash, noticed)) => {
                    hashes.push(IndexedImage::short(&hash));
                    likelihoods.push(noticed.likelihood);
                    noted.add(&noticed);
                }
                Err(error @ (Error::Image { .. } | Error::Io { .. } | Error::Numerical { .. }))
                    if !work.strict =>
                {
                    work.skip(&item.id, &error);
                    if may_be_back(&error) {
                        unread.push(item.id.clone());
                        // Otherwise the fingerprint says so already.
                        if self.could_read(item) {
                            lacking.push(item.id.clone());
                        }
                    }
                    skipped.push(Skipped { id: item.id.clone(), reason: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        let (dim, images) = (self.channel.encoder.dim(), hashes.len());
        let split = self.pass.split.name.clone();
        // None of a channel without a density.
        let likelihoods = likelihoods.iter().any(Option::is_some).then_some(likelihoods);
        let hashes = Some(hashes);
        let report = ShardReport { split, skipped, unread, dim, hashes, likelihoods, noted };
        let model = ShardVectors { vectors, images, dim };
        Ok(Made { model, report, lacking })
    }
}

impl Stage for Shard<'_, '_> {
    type Model = ShardVectors;
    type Report = ShardReport;
    const KIND: Kind = Kind::Fisher;

    fn place(&self) -> &Place<'_> {
        self.channel.place
    }

    fn path(&self) -> PathBuf {
        self.channel.folder.join(Paths::shard_name(self.number))
    }

    fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    fn is_back(&self, id: &str) -> bool {
        self.items.iter().any(|item| item.id == id && self.could_read(item))
    }

    const IS_TOLD: bool = false;

    fn need(&self) -> Need {
        let (config, source) = (&self.channel.place.config, self.channel.encoder.source());
        let items = &self.pass.split.items;
        let of_split = || largest(&config.image, items, [source]);
        need_of_encoding(config, *self.channel.largest.get_or_init(of_split))
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<ShardVectors, ShardReport>>> {
        let (work, pass) = (&missing[0].channel.place.work, missing[0].pass);
        let encoded: Result<Vec<Vec<EncodedImage>>> = missing[0]
            .items
            .par_iter()
            .with_max_len(1)
            .map(|item| {
                work.go_on()?;
                let photo = pass.reader.read(item);
                let photo = photo.as_ref().map(Looked::at);
                let encoded = pass.workers.with(|workers| {
                    let encode = |(number, shard): (usize, &&Self)| {
                        let photo = photo.as_ref().map_err(|error| error.again())?;
                        let encoder = &shard.channel.encoder;
                        let (vector, noticed) =
                            encoder.encode(photo, Some(&item.id), workers.of(number))?;
                        let hash = blake3::hash(bytemuck::cast_slice(&vector));
                        Ok((vector, hash, noticed))
                    };
                    missing.iter().enumerate().map(encode).collect()
                });
                work.progress.advance(1);
                Ok(encoded)
            })
            .collect();
        let mut of_channel: Vec<Vec<_>> = missing.iter().map(|_| Vec::new()).collect();
        for encoded in encoded? {
            of_channel.iter_mut().zip(encoded).for_each(|(all, encoded)| all.push(encoded));
        }
        missing.iter().zip(of_channel).map(|(shard, encoded)| shard.gather(encoded)).collect()
    }
}

/// What encoding allocates with this configuration: the vectors of a shard, and for every worker an image
/// with its sums.
pub(crate) fn need_of_encoding(config: &crate::config::Config, largest: Largest) -> Need {
    let parts = Parts::of(&config.gmm, config.pca.output_dim());
    let dim = Layout::of_parts(&config.encoding, parts).len() as u64;
    let shard = SHARD_IMAGES as u64;
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

/// The inputs of a whole split as its shards hold them that are in `folder` already, or in a run that
/// may be reused, so that all `count` of them are of one piece.
fn as_in_shards(place: &Place<'_>, folder: &Path, inputs: Inputs, count: usize) -> Inputs {
    let here: Vec<PathBuf> = (0..count).map(|n| folder.join(Paths::shard_name(n))).collect();
    // What is still to be made would be made with the present limit.
    let size_counts = !here.iter().all(|path| path.exists());
    let elsewhere = here.iter().enumerate().flat_map(|(number, path)| {
        place.reusable(path).into_iter().map(move |place| (number, place))
    });
    let mut places = here.iter().cloned().enumerate().chain(elsewhere);
    let found = places.find_map(|(number, path)| {
        let shard = Artifact::open(&path).ok()?;
        let part = inputs.part(number).as_in(&shard, size_counts);
        let same = shard.header().fingerprint == part.lacking(&lacks(&shard)).fingerprint;
        same.then(|| Inputs::of_stored_part(&part.value).0)
    });
    found.unwrap_or(inputs)
}

/// The stored vectors of an encoded split, mapped from disk.
///
/// # Errors
/// [`Error::Artifact`] when a shard is damaged, or is not of this index and the place's models.
pub(crate) fn open_vectors(place: &Place<'_>, index: &Index) -> Result<Shards> {
    let folder = place.paths.vectors(&index.split)?;
    let paths: Vec<PathBuf> = index.shards.iter().map(|file| folder.join(file)).collect();
    let shards = Shards::open(paths.iter().map(PathBuf::as_path))?;
    let (expected, got) = (index.images.len(), shards.len());
    if expected != got {
        return Err(Error::artifact(
            Paths::index(&folder),
            format!("lists {expected} images, the shards hold {got}; run `fvtool encode` again"),
        ));
    }
    require_one_origin(place, index, &shards)?;
    Ok(shards)
}

/// Refuses shards that were not all made in one piece, with the models of this run, for this index.
fn require_one_origin(place: &Place<'_>, index: &Index, shards: &Shards) -> Result<()> {
    let mut whole: Option<Inputs> = None;
    let mut lacking = Vec::new();
    for (number, (path, header)) in shards.headers().enumerate() {
        let (inputs, part, lacks) = Inputs::of_stored_part(&header.inputs);
        let print = Inputs::of_stored(&header.inputs).fingerprint;
        let same = whole.as_ref().is_none_or(|w| w.fingerprint == inputs.fingerprint);
        if !same || part != Some(number) || print != header.fingerprint {
            return Err(not_of_this_index(path, &index.split));
        }
        lacking.extend(lacks);
        whole = Some(inputs);
    }
    let (Some(whole), Some((first, _))) = (whole, shards.headers().next()) else { return Ok(()) };
    if whole.lacking(&lacking).fingerprint != index.fingerprint {
        return Err(not_of_this_index(first, &index.split));
    }
    if place.is_pooled() {
        return Ok(());
    }
    let first = &Artifact::open(first)?;
    let parents = [Kind::Pca, Kind::Gmm].map(|kind| place.path(kind));
    parents.iter().try_for_each(|parent| require_parent(first, parent).map(|_| ()))
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
        let of_shard = number.is_some_and(|number| Paths::shard_name(number) == name);
        let file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if of_shard && file && !current.contains(&name) && is_ours(&entry.path()) {
            std::fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}
