//! The shards of a split made one: what `index.json` says of them.
//!
//! Every shard is taken by what it says of itself: of the present models and settings, of the images that stand
//! in its place of the list. No image is read, and no vector. A shard of the same images with other labels gets
//! the present ones.

use std::collections::BTreeSet;
use std::path::Path;

use super::channel::{Channel, Encoded, shard_count, shard_images};
use super::from_images::stamp_path;
use super::result::Stamp;
use crate::artifacts::{Artifact, FORMAT, is_ours, remove_partials, require_own, sealed};
use crate::dataset::Split;
use crate::describer::Noted;
use crate::error::{Error, Result};
use crate::store::{
    Labels, Listed, Listing, Notes, Paths, ShardReport, classes_hash, contents_of, in_words,
    is_idle_limit, lacks, print_of_shards, relabelled,
};
use crate::words::counted;

/// Shards that are named where several are missing.
const NAMED: usize = 8;

/// A split whose shards are all there.
pub(super) struct Joined {
    pub(super) encoded: Encoded,
    pub(super) noted: Noted,
}

/// Writes the index of a channel's shards, of which some were `made` by this process.
///
/// # Errors
/// [`Error::Missing`] when some are not there; [`Error::Stale`] for one of other settings, models or images.
pub(super) fn join(channel: &Channel<'_, '_>, split: &Split, made: &[usize]) -> Result<Joined> {
    let work = &channel.place.work;
    let count = shard_count(channel.place, split);
    let missing: Vec<usize> =
        (0..count).filter(|&number| !channel.shard(number).exists()).collect();
    if !missing.is_empty() {
        return Err(are_missing(channel, split, &missing, count));
    }
    let path = Paths::index(&channel.folder);
    let there = crate::files::read_text(&path).ok();
    let before = there.and_then(|text| Listing::parse(&path, &text).ok());
    let classes = classes_hash(&split.classes);
    let mut listing = Listing {
        format: FORMAT.to_owned(),
        fingerprint: String::new(),
        split: split.name.clone(),
        classes: split.classes.clone(),
        single_label: split.single_label,
        dim: channel.encoder.dim(),
        images: 0,
        shards: Vec::with_capacity(count),
        skipped: Vec::new(),
        files: split.files.clone(),
        noted: Noted::default(),
    };
    let mut instructions: BTreeSet<String> = BTreeSet::new();
    for number in 0..count {
        work.go_on()?;
        let (listed, report) = list(channel, split, number, &classes)?;
        let is_new = before.as_ref().is_none_or(|b| b.shards.get(number) != Some(&listed));
        let named = !report.skipped.is_empty() || !report.noted.is_nothing();
        // Names come into the index; the vectors are verified by who reads them.
        if is_new && named && made.binary_search(&number).is_err() {
            Artifact::open(&channel.shard(number))?.verify()?;
        }
        listing.images += listed.images;
        listing.noted.join(&report.noted);
        listing.skipped.extend(report.skipped);
        instructions.insert(report.instructions);
        listing.shards.push(listed);
    }
    let prints: Vec<&str> = listing.shards.iter().map(|s| s.fingerprint.as_str()).collect();
    listing.fingerprint = print_of_shards(&prints);
    if instructions.len() > 1 {
        let kinds: Vec<String> = instructions.into_iter().collect();
        work.note_once(&format!(
            "{}: its shards were made with different instructions of processors ({}), which may differ in \
             the last digits; for the same bytes everywhere use processors of one kind",
            channel.folder.display(),
            kinds.join(", ")
        ));
    }
    let is_new = before.as_ref() != Some(&listing);
    if is_new {
        let text = sealed(&listing);
        require_own(&path)?;
        work.write_text(&path, &text)?;
        remove_old_shards(&channel.folder, count)?;
        if !work.shared {
            remove_partials(&channel.folder);
        }
    }
    let stamp = Stamp { path, fingerprint: listing.fingerprint, made: is_new };
    let (images, skipped) = (listing.images, listing.skipped.len());
    let encoded = Encoded { stamp, images, skipped, files: listing.files };
    Ok(Joined { encoded, noted: listing.noted })
}

/// What an index says of a shard, and what the shard says.
fn list(
    channel: &Channel<'_, '_>,
    split: &Split,
    number: usize,
    classes: &str,
) -> Result<(Listed, ShardReport)> {
    let path = channel.shard(number);
    let shard = Artifact::open(&path)?;
    require_own_models(channel, &shard)?;
    let (report, contents) = contents_of(&shard)?;
    let images = shard_images(channel.place, split, number);
    let (items, labels) = (&split.items[images.clone()], &split.labels[images]);
    let left_out: BTreeSet<&str> = report.skipped.iter().map(|s| s.id.as_str()).collect();
    let encoded = || items.iter().zip(labels).filter(|(item, _)| !left_out.contains(&*item.id));
    let same = encoded().map(|(item, _)| &item.id).eq(&report.ids)
        && report.ids.len() + report.skipped.len() == items.len();
    if !same {
        shard.verify()?;
        let change = ("data".to_owned(), String::new(), String::new());
        return Err(Error::Stale { path, changes: in_words(&[change]) });
    }
    let now = Labels::new(
        encoded().map(|(_, labels)| labels.as_slice()),
        split.classes.len(),
        split.single_label,
    );
    let stored = Labels::of_shard(&shard, report.ids.len(), split.classes.len());
    let fingerprint = shard.header().fingerprint.clone();
    if report.classes == classes && stored.is_ok_and(|stored| stored == now) {
        return Ok((Listed { images: report.ids.len(), fingerprint, contents }, report));
    }
    shard.verify()?;
    let mut header = shard.header().clone();
    header.report["classes"] = classes.into();
    channel.place.work.write(&path, &header, &relabelled(&shard, &now)?)?;
    let (report, contents) = contents_of(&Artifact::open(&path)?)?;
    Ok((Listed { images: report.ids.len(), fingerprint, contents }, report))
}

/// Refuses a shard that was made with other models or settings than those of its run.
fn require_own_models(channel: &Channel<'_, '_>, shard: &Artifact) -> Result<()> {
    let stored = &shard.header().inputs;
    let now = channel.inputs(stored["data"].clone()).lacking(&lacks(shard));
    let mut changes = now.changes_since(stored);
    changes.retain(|change| !is_idle_limit(shard, change));
    if changes.is_empty() {
        return Ok(());
    }
    shard.verify()?;
    Err(Error::Stale { path: shard.path().to_owned(), changes: in_words(&changes) })
}

/// The error for shards that nobody has made.
fn are_missing(channel: &Channel<'_, '_>, split: &Split, missing: &[usize], count: usize) -> Error {
    let named: Vec<String> = missing.iter().take(NAMED).map(|number| number.to_string()).collect();
    let more = if missing.len() > NAMED { ", …" } else { "" };
    Error::Missing {
        what: format!(
            "{} of {count} in {} (numbers {}{more})",
            counted(missing.len(), "shard"),
            channel.folder.display(),
            named.join(", ")
        ),
        hint: format!(
            "part I of N makes the shards from {count}·I/N up to {count}·(I+1)/N: run those parts again, or \
             `fvtool encode --data DATA --split {} --run RUN` without --part, which makes what is missing",
            split.name
        ),
    }
}

/// Shards of an earlier, longer list would be taken for current ones. Files that fvtool did not make
/// are left alone.
fn remove_old_shards(folder: &Path, count: usize) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_suffix(".safetensors").and_then(|number| number.parse().ok());
        let old = number.is_some_and(|n: usize| n >= count && Paths::shard_name(n) == name);
        let file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if old && file && is_ours(&entry.path()) {
            std::fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
            let _ = std::fs::remove_file(stamp_path(&entry.path()));
        }
    }
    Ok(())
}
