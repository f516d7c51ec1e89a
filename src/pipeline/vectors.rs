//! Fisher vectors of a split: decode → descriptors → projection → encoding, of all channels in one pass.
//!
//! ```text
//! images of a split ─ shards of data.shard_images ─ one after the other: kept, or made ─┐
//!                     of a part: some shards that follow each other                     ├─ join ─ index.json
//!                     of other parts, made elsewhere ───────────────────────────────────┘
//! ```
//!
//! A finished shard is on disk before the next begins, so a killed run goes on from there. It stands for its
//! own images: whoever makes it makes the same bytes. Memory is bounded by one shard and one image per thread,
//! whatever the number of images.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use blake3::Hash;
use rayon::prelude::*;

use super::channel::{Channel, Encoded, need_of_encoding, shard_count, shard_images};
use super::from_images::FromImages;
use super::join::{Joined, join};
use super::place::Place;
use super::result::StageResult;
use super::stage::{Made, Ready, Stage, bring_up_to_date};
use crate::artifacts::Artifact;
use crate::dataset::{Item, Label, Split};
use crate::describer::largest;
use crate::describer::{Looked, Noted, Noticed, Reader, Stored as StoredVectors, Workers};
use crate::error::{Error, Result};
use crate::linalg::{self, Pool};
use crate::memory::Need;
use crate::part::Part;
use crate::store::{
    Inputs, Kind, Labels, ShardReport, ShardVectors, Skipped, classes_hash, may_be_back, short,
};
use crate::words::{counted, sum_of};

/// A part of an encoded split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPart {
    /// Its shards, by number.
    pub shards: Range<usize>,
    /// The shards of the whole split.
    pub of: usize,
    /// The folder of its shards; of several channels, of all of them.
    pub folder: PathBuf,
    /// Images encoded.
    pub images: usize,
    /// Images left out.
    pub skipped: usize,
    /// Of these, images that could not be read, and may be readable from elsewhere or at another time.
    pub unread: usize,
    /// Whether a shard was made just now.
    pub made: bool,
}

/// What all channels share while a split is encoded.
struct Pass<'a> {
    split: &'a Split,
    /// Hash of its classes.
    classes: String,
    reader: Reader,
    workers: Pool<Workers>,
}

/// A shard of one channel.
struct Shard<'a, 'p> {
    pass: &'a Pass<'a>,
    channel: &'a Channel<'a, 'p>,
    items: &'a [Item],
    labels: &'a [Vec<Label>],
    from: FromImages<'a, 'p>,
}

/// What became of the shards of a channel.
#[derive(Default)]
struct Tally {
    made: Vec<usize>,
    images: usize,
    skipped: usize,
    unread: usize,
    noted: Noted,
}

/// Encodes the images of a split with the models of every place.
///
/// # Errors
/// [`Error::Stale`] when vectors of other settings or images are there; with `strict`, the
/// first image that cannot be used.
pub(crate) fn bring_vectors(places: &[&Place<'_>], split: &Split) -> Result<Vec<Encoded>> {
    let started = Instant::now();
    let channels = channels_of(places, split)?;
    let tallies = bring_shards(&channels, split, 0..shard_count(places[0], split))?;
    let joined: Vec<Joined> = channels
        .iter()
        .zip(&tallies)
        .map(|(channel, tally)| join(channel, split, &tally.made))
        .collect::<Result<_>>()?;
    say(&channels, split, &tallies, &joined, started);
    Ok(joined.into_iter().map(|joined| joined.encoded).collect())
}

/// Encodes the shards of a part, and writes no index.
///
/// # Errors
/// As [`bring_vectors`].
pub(crate) fn bring_part(places: &[&Place<'_>], split: &Split, part: Part) -> Result<EncodedPart> {
    let started = Instant::now();
    let channels = channels_of(places, split)?;
    let of = shard_count(places[0], split);
    let shards = part.range(of);
    let tallies = bring_shards(&channels, split, shards.clone())?;
    let (first, work) = (&tallies[0], &channels[0].place.work);
    let made = tallies.iter().any(|tally| !tally.made.is_empty());
    let folder = match &channels[..] {
        [only] => only.folder.clone(),
        [first, ..] => first.place.paths.dir().parent().map(Into::into).unwrap_or_default(),
        [] => PathBuf::new(),
    };
    let text =
        format!("part {part}: shards {shards:?} of {of}, {}", counted(first.images, "vector"));
    let result = match made {
        true => StageResult::made(Kind::Fisher.stage(), Vec::new(), text, started),
        false => StageResult::nothing_to_do(Kind::Fisher.stage(), Vec::new()),
    };
    work.finish(result.of_split(&split.name).with_artifacts(vec![folder.clone()]));
    for (channel, tally) in
        channels.iter().zip(&tallies).filter(|(_, tally)| !tally.made.is_empty())
    {
        say_noted(channel, split, &tally.noted, tally.images);
    }
    // Of several channels, an image counts where all have it; the join says which.
    let images = tallies.iter().map(|tally| tally.images).min().unwrap_or(0);
    let skipped = tallies.iter().map(|tally| tally.skipped).max().unwrap_or(0);
    let unread = tallies.iter().map(|tally| tally.unread).max().unwrap_or(0);
    Ok(EncodedPart { shards, of, folder, images, skipped, unread, made })
}

/// Writes the index of shards that were made in parts.
///
/// # Errors
/// [`Error::Missing`] when a shard is; [`Error::Stale`] when one is of other settings, models or images.
pub(crate) fn join_parts(places: &[&Place<'_>], split: &Split) -> Result<Vec<Encoded>> {
    let started = Instant::now();
    let channels = channels_of(places, split)?;
    let joined: Vec<Joined> =
        channels.iter().map(|channel| join(channel, split, &[])).collect::<Result<_>>()?;
    let stage = Kind::Fisher.stage();
    let artifacts = joined.iter().map(|joined| joined.encoded.stamp.path.clone()).collect();
    let (first, count) = (&joined[0].encoded, shard_count(places[0], split));
    let result = match joined.iter().any(|joined| joined.encoded.stamp.made) {
        true => {
            let text =
                format!("{} of {}", counted(first.images, "vector"), counted(count, "shard"));
            StageResult::made(stage, Vec::new(), text, started)
        }
        false => StageResult::nothing_to_do(stage, Vec::new()),
    };
    channels[0].place.work.finish(result.of_split(&split.name).with_artifacts(artifacts));
    Ok(joined.into_iter().map(|joined| joined.encoded).collect())
}

fn channels_of<'a, 'p>(places: &[&'a Place<'p>], split: &Split) -> Result<Vec<Channel<'a, 'p>>> {
    places.iter().map(|place| Channel::new(place, split)).collect()
}

/// Brings some shards of every channel up to date, in order.
fn bring_shards(
    channels: &[Channel<'_, '_>],
    split: &Split,
    numbers: Range<usize>,
) -> Result<Vec<Tally>> {
    let place = channels[0].place;
    let work = &place.work;
    let pass = Pass {
        split,
        classes: classes_hash(&split.classes),
        reader: Reader::new(&place.config.image, &work.seen),
        workers: Pool::default(),
    };
    let images_of = |number| shard_images(place, split, number);
    let images: usize = numbers.clone().map(|number| images_of(number).len()).sum();
    let mut tallies: Vec<Tally> = channels.iter().map(|_| Tally::default()).collect();
    work.progress.begin(&format!("encode {}", split.name), images as u64, "images");
    let all = numbers.into_iter().try_for_each(|number| -> Result<()> {
        work.go_on()?;
        let images = images_of(number);
        let of_channel = |channel| Shard::new(&pass, channel, number, images.clone());
        let here: Vec<Shard<'_, '_>> = channels.iter().map(of_channel).collect();
        let ready = bring_up_to_date(&here)?;
        if ready.iter().all(|ready| !ready.stamp.made) {
            work.progress.advance(images.len() as u64);
        }
        for (tally, ready) in tallies.iter_mut().zip(ready) {
            tally.add(number, ready);
        }
        channels
            .iter()
            .for_each(|channel| channel.encoder.source().forget(&split.items[images.clone()]));
        Ok(())
    });
    work.progress.end();
    all?;
    Ok(tallies)
}

impl Tally {
    fn add(&mut self, number: usize, shard: Ready<ShardReport>) {
        if shard.stamp.made {
            self.made.push(number);
        }
        self.images += shard.report.ids.len();
        self.skipped += shard.report.skipped.len();
        self.unread += shard.report.unread.len();
        self.noted.join(&shard.report.noted);
    }
}

/// How the stage ended, for the channels of which something was made and for the others.
fn say(
    channels: &[Channel<'_, '_>],
    split: &Split,
    tallies: &[Tally],
    joined: &[Joined],
    started: Instant,
) {
    let work = &channels[0].place.work;
    let is_made = |c: &usize| !tallies[*c].made.is_empty();
    let (made, kept): (Vec<usize>, Vec<usize>) = (0..channels.len()).partition(is_made);
    let mixed = !made.is_empty() && !kept.is_empty();
    let encoded = |c: usize| &joined[c].encoded;
    let finish = |of: &[usize], result: StageResult| {
        let names = of.iter().filter_map(|&c| channels[c].place.channel.clone());
        let artifacts = of.iter().map(|&c| encoded(c).stamp.path.clone()).collect();
        let channels = if mixed { names.collect() } else { Vec::new() };
        let result = StageResult { channels, ..result };
        work.finish(result.of_split(&split.name).with_artifacts(artifacts));
    };
    if let Some(&first) = made.first() {
        let skipped = match encoded(first).skipped {
            0 => String::new(),
            n => format!(", {n} skipped (see {})", encoded(first).stamp.path.display()),
        };
        let values: Vec<usize> = made.iter().map(|&c| channels[c].encoder.dim()).collect();
        let images = encoded(first).images;
        let rate = images as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let dims = match values[..] {
            [1] => "1 value".to_owned(),
            _ => format!("{} values", sum_of(&values)),
        };
        let text = format!("{} of {dims}, {rate:.1} images/s{skipped}", counted(images, "vector"));
        let result = StageResult::made(Kind::Fisher.stage(), Vec::new(), text, started);
        finish(&made, StageResult { images_per_second: Some(rate), values, ..result });
        for &c in &made {
            say_noted(&channels[c], split, &joined[c].noted, encoded(c).images);
        }
    }
    if !kept.is_empty() {
        finish(&kept, StageResult::nothing_to_do(Kind::Fisher.stage(), Vec::new()));
    }
}

fn say_noted(channel: &Channel<'_, '_>, split: &Split, noted: &Noted, images: usize) {
    let of = format!(" of split `{}`", split.name);
    let threshold = channel.place.config.descriptors.contrast_threshold;
    for sentence in noted.sentences(images, &of, threshold) {
        channel.place.work.progress.note(&format!("{}{sentence}", channel.place.label()));
    }
}

/// An image's vector, the hash of it, and what was noticed of the image.
type EncodedImage = Result<(Vec<f32>, Hash, Noticed)>;

impl<'a, 'p> Shard<'a, 'p> {
    fn new(
        pass: &'a Pass<'a>,
        channel: &'a Channel<'a, 'p>,
        number: usize,
        images: Range<usize>,
    ) -> Self {
        let (items, labels) = (&pass.split.items[images.clone()], &pass.split.labels[images]);
        let path = channel.shard(number);
        let (place, source) = (channel.place, channel.encoder.source());
        let from = FromImages::new(place, Kind::Fisher, &channel.parents, source, items, path);
        Self { pass, channel, items, labels, from }
    }

    fn could_read(&self, item: &Item) -> bool {
        self.channel.encoder.source().could_read(item)
    }

    /// The vectors of the images, in one piece.
    fn gather(&self, encoded: Vec<EncodedImage>) -> Result<Made<ShardVectors, ShardReport>> {
        // What could not be read has a hash where it can be read now.
        self.from.inputs()?;
        let work = &self.channel.place.work;
        let mut vectors = StoredVectors::new(self.channel.encoder.storage());
        let (mut skipped, mut unread, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut files, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut likelihoods, mut labels, mut noted) = (Vec::new(), Vec::new(), Noted::default());
        for ((result, item), of_item) in encoded.into_iter().zip(self.items).zip(self.labels) {
            let stored = result.and_then(|(vector, hash, noticed)| {
                vectors.push(&vector)?;
                Ok((hash, noticed))
            });
            match stored {
                Ok((hash, noticed)) => {
                    let file = work.seen.hash_of(&item.path);
                    ids.push(item.id.clone());
                    files.push(file.as_ref().map(short).unwrap_or_default());
                    hashes.push(short(&hash));
                    labels.push(of_item.as_slice());
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
        self.require_some(&unread, &skipped)?;
        let Pass { split, classes, .. } = self.pass;
        let (dim, images) = (self.channel.encoder.dim(), ids.len());
        let labels = Labels::new(labels.into_iter(), split.classes.len(), split.single_label);
        // None of a channel without a density.
        let likelihoods = likelihoods.iter().any(Option::is_some).then_some(likelihoods);
        let (split, classes) = (split.name.clone(), classes.clone());
        let instructions = linalg::instructions().to_owned();
        let report = ShardReport {
            split,
            dim,
            ids,
            files,
            hashes,
            likelihoods,
            skipped,
            unread,
            noted,
            classes,
            instructions,
        };
        let model = ShardVectors { vectors, images, dim, labels };
        Ok(Made { model, report, lacking })
    }

    /// Refuses a whole shard of which no image can be read: that is the folder's fault, not theirs. The last
    /// shard may have few images; whoever makes a part knows of no others.
    fn require_some(&self, unread: &[String], skipped: &[Skipped]) -> Result<()> {
        let place = self.channel.place;
        let few = self.items.len() < place.config.data.shard_images && !place.work.part;
        if unread.len() < self.items.len() || few {
            return Ok(());
        }
        let problem = format!(
            "none of {} that follow each other can be read (the first, {}: {}); see that the folder is \
             there and mounted, and run the same command again; `fvtool encode` without --part leaves a few such images \
             out",
            counted(unread.len(), "image"),
            skipped[0].id,
            skipped[0].reason
        );
        Err(Error::data(&self.pass.split.root, problem))
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
        self.from.path().to_owned()
    }

    fn inputs(&self) -> Result<&Inputs> {
        self.from.inputs()
    }

    fn is_back(&self, id: &str) -> bool {
        self.items.iter().any(|item| item.id == id && self.could_read(item))
    }

    fn has_grown(&self, stored: &Artifact) -> Result<bool> {
        self.from.has_grown(stored)
    }

    fn settle(&self, inputs: &Inputs) {
        self.from.settle(inputs);
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
        missing.iter().for_each(|shard| shard.from.look());
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
