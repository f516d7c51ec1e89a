//! When is an artifact up to date: fingerprints, refusals, and the closing line of a stage.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::Run;
use super::index::shard_name;
use crate::artifacts::{Artifact, is_ours, take};
use crate::config::{differences, effective_inputs, fingerprint};
use crate::error::{Error, Result};
use crate::words::{counted, listed};

/// At most this many differing settings are named in a refusal.
const NAMED_DIFFERENCES: usize = 6;

/// A longer list is shown by its first values.
const SHOWN_ITEMS: usize = 6;

/// Ends the fingerprint of what was made while images could not be read, and of all that is made from
/// it: it is never taken for what the whole data give, and made again once they are back.
const UNREAD: &str = "+unread";

/// A finished stage: where its result is, its fingerprint, and whether it was made just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The artifact.
    pub path: PathBuf,
    /// Its fingerprint.
    pub fingerprint: String,
    /// False when it was already there.
    pub made: bool,
}

/// What one stage's artifact is made from.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub(super) value: Value,
    pub(super) fingerprint: String,
}

impl Inputs {
    pub(super) fn new(kind: &str, settings: Value, parents: &[(&str, &str)], data: Value) -> Self {
        let parents: serde_json::Map<String, Value> =
            parents.iter().map(|(name, print)| ((*name).to_owned(), json!(print))).collect();
        let format = crate::artifacts::FORMAT;
        let value = json!({
            "stage": kind, "format": format, "settings": settings, "parents": parents, "data": data,
        });
        Self::of(value)
    }

    fn of(value: Value) -> Self {
        let mut print = fingerprint(&value);
        if is_unread(&value["parents"]) || unread(&value) > 0 {
            print += UNREAD;
        }
        Self { fingerprint: print, value }
    }

    /// The inputs of one part of the stage (a shard).
    pub(super) fn part(&self, part: usize) -> Self {
        let mut value = self.value.clone();
        value["part"] = json!(part);
        Self::of(value)
    }

    /// The inputs that an artifact holds.
    pub(super) fn of_stored(inputs: &Value) -> Self {
        Self::of(inputs.clone())
    }

    /// The inputs of the whole stage, of the stored ones of a part; also the part's number and the images
    /// that it lacks.
    pub(super) fn of_stored_part(inputs: &Value) -> (Self, Option<usize>, Vec<String>) {
        let mut value = inputs.clone();
        let lacks = ids(&value["unread"]);
        let mut part = None;
        if let Some(object) = value.as_object_mut() {
            object.remove("unread");
            part = object.remove("part").and_then(|part| usize::try_from(part.as_u64()?).ok());
        }
        (Self::of(value), part, lacks)
    }

    /// These inputs without the images that could not be read when they were needed.
    pub(super) fn lacking(&self, images: &[String]) -> Self {
        if images.is_empty() {
            return self.clone();
        }
        let mut value = self.value.clone();
        value["unread"] = json!(images);
        Self::of(value)
    }
}

impl Inputs {
    /// These inputs as an artifact holds them, where its own are the same as far as they have an effect:
    /// keys that an earlier version did not know and keys without effect keep the values that it was made
    /// with, and so everything made from it keeps its fingerprint. Otherwise these inputs as they are.
    fn as_in(&self, artifact: &Artifact, size_counts: bool) -> Self {
        let mut stored = artifact.header().inputs.clone();
        if let Some(stored) = stored.as_object_mut() {
            stored.remove("unread");
        }
        let changes = self.changes_since(&stored);
        let same = |change: &Change| !size_counts && is_idle_limit(artifact, change);
        if changes.iter().all(same) { Self::of(stored) } else { self.clone() }
    }

    /// As [`as_in`](Self::as_in); shards are looked at together, by [`Run::as_in_shards`].
    fn of_one_piece(&self, artifact: &Artifact) -> Self {
        match self.value["stage"].as_str() {
            Some("fisher") => self.clone(),
            stage => self.as_in(artifact, stage != Some("sample")),
        }
    }

    /// In what these inputs differ from stored ones, as far as they have an effect.
    fn changes_since(&self, stored: &Value) -> Vec<Change> {
        if *stored == self.value {
            return Vec::new();
        }
        differences(&effective_inputs(stored), &effective_inputs(&self.value))
    }
}

/// Images that an artifact was made without, since they could not be read when they were needed.
fn lacks(artifact: &Artifact) -> Vec<String> {
    ids(&artifact.header().inputs["unread"])
}

/// A setting with its stored and its present value.
type Change = (String, String, String);

/// Whether a change is a higher limit on the size of images where the lower one left nothing out.
fn is_idle_limit(artifact: &Artifact, (key, old, new): &Change) -> bool {
    let report = &artifact.header().report;
    let none = |key: &str| report[key].as_array().is_some_and(Vec::is_empty);
    let raised = match (old.parse::<f64>(), new.parse::<f64>()) {
        (Ok(old), Ok(new)) => new >= old,
        _ => false,
    };
    key.ends_with("image.max_megapixels") && raised && (none("left_out") || none("skipped"))
}

/// Number of images that could not be read, by the inputs of a stage.
fn unread(inputs: &Value) -> u64 {
    inputs["data"]["unread"].as_u64().unwrap_or(0) + ids(&inputs["unread"]).len() as u64
}

/// Whether any of the parents was made while images could not be read.
fn is_unread(parents: &Value) -> bool {
    let ends = |print: &Value| print.as_str().is_some_and(|print| print.ends_with(UNREAD));
    parents.as_object().is_some_and(|parents| parents.values().any(ends))
}

fn ids(list: &Value) -> Vec<String> {
    let ids = list.as_array().into_iter().flatten();
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether what was made from `stored` only waits to be made again from `now`: images that could not be
/// read are back, or what it was made from has been made again since they are.
fn was_waiting(stored: &Value, now: &Value, changes: &[Change]) -> bool {
    let of_data = |key: &str| ["data", "parents", "unread"].iter().any(|k| key.starts_with(k));
    let parents_changed = is_unread(&stored["parents"]) && stored["parents"] != now["parents"];
    changes.iter().all(|(key, ..)| of_data(key))
        && (unread(stored) > unread(now) || parents_changed && unread(stored) == unread(now))
}

impl Run<'_> {
    /// The inputs of what lies at `path`, when that is the artifact of `inputs`; nothing when it must be
    /// made.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was made from other inputs and `refit` is off.
    pub(super) fn up_to_date(&self, path: &Path, inputs: &Inputs) -> Result<Option<Inputs>> {
        self.kept(path, inputs, |_| false)
    }

    /// The inputs of what lies at `path`, when that is the artifact of `inputs`, perhaps without images
    /// that could not be read and are not `back`; nothing when it must be made.
    ///
    /// # Errors
    /// As [`up_to_date`](Self::up_to_date).
    pub(super) fn kept(
        &self,
        path: &Path,
        inputs: &Inputs,
        back: impl Fn(&str) -> bool,
    ) -> Result<Option<Inputs>> {
        if !path.exists() {
            return self.take_over(path, inputs);
        }
        let stored = match Artifact::open(path) {
            Ok(artifact) => artifact,
            Err(_) if self.refit && is_ours(path) => return Ok(None),
            Err(error) => return Err(error),
        };
        let header = stored.header();
        let lacks = lacks(&stored);
        let inputs = &inputs.of_one_piece(&stored);
        let lacking = inputs.lacking(&lacks);
        let found = header.fingerprint == lacking.fingerprint;
        // The data are checked by the stage that reads them; what is made again or refused is
        // looked at as a whole, since damage can look like another setting.
        if found && !lacks.iter().any(|id| back(id)) {
            let whole = !self.refit || stored.verify().is_ok();
            return Ok(whole.then_some(lacking));
        }
        if self.refit {
            return Ok(None);
        }
        stored.verify()?;
        let changes = inputs.changes_since(&header.inputs);
        if found || was_waiting(&header.inputs, &inputs.value, &changes) {
            self.progress.note(&format!(
                "{}: made while images could not be read that can be read now; made again",
                path.display()
            ));
            return Ok(None);
        }
        Err(Error::Stale { path: path.to_owned(), changes: explain(&changes) })
    }

    /// Takes the artifact of `inputs` from one of the runs that may be reused, whichever channel made
    /// it there; `None` when none has it.
    fn take_over(&self, path: &Path, inputs: &Inputs) -> Result<Option<Inputs>> {
        for place in self.reusable(path) {
            let Ok(found) = Artifact::open(&place) else { continue };
            let inputs = inputs.of_one_piece(&found);
            let same = |a: &Artifact| a.header().fingerprint == inputs.fingerprint;
            if !same(&found) {
                continue;
            }
            let whole =
                |taken: &Path| Artifact::open(taken).is_ok_and(|a| same(&a) && a.verify().is_ok());
            if take(&place, path, whole)? {
                return Ok(Some(inputs));
            }
        }
        Ok(None)
    }

    /// Where the runs that may be reused have what lies at `path` here.
    fn reusable(&self, path: &Path) -> Vec<PathBuf> {
        let within = path.strip_prefix(&self.dir).expect("artifacts lie in their run");
        let of_run = |run: &PathBuf| {
            let mut places = vec![run.join(within)];
            if let Ok(channels) = std::fs::read_dir(run.join("channels")) {
                places.extend(channels.flatten().map(|channel| channel.path().join(within)));
                places[1..].sort();
            }
            places
        };
        self.reuse.iter().flat_map(of_run).collect()
    }

    /// The inputs of a whole split as its shards hold them that are in `folder` already, or in a run that
    /// may be reused, so that all `count` of them are of one piece.
    pub(super) fn as_in_shards(&self, folder: &Path, inputs: Inputs, count: usize) -> Inputs {
        let here: Vec<PathBuf> = (0..count).map(|n| folder.join(shard_name(n))).collect();
        // What is still to be made would be made with the present limit.
        let size_counts = !here.iter().all(|path| path.exists());
        let elsewhere = here.iter().enumerate().flat_map(|(number, path)| {
            self.reusable(path).into_iter().map(move |place| (number, place))
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

    /// Refuses a configuration under which something in the folder was not made, before any work.
    pub(super) fn refuse_other_settings(&self) -> Result<()> {
        if self.refit {
            return Ok(());
        }
        let mut artifacts = vec![
            (self.sample_path(), "sample"),
            (self.pca_path(), "pca"),
            (self.gmm_path(), "gmm"),
        ];
        let fisher = self.dir.join("fisher");
        let mut splits: Vec<PathBuf> = std::fs::read_dir(&fisher)
            .map(|entries| entries.flatten().map(|e| e.path().join("00000.safetensors")).collect())
            .unwrap_or_default();
        splits.sort();
        artifacts.extend(splits.into_iter().map(|path| (path, "fisher")));
        artifacts.push((self.svm_path(), "svm"));
        for (path, kind) in artifacts {
            // A damaged file is the business of the stage that needs it.
            let Ok(artifact) = Artifact::open(&path) else { continue };
            self.refuse_settings_of(&artifact, kind)?;
        }
        Ok(())
    }

    /// Refuses an artifact that was made with other settings than those in force.
    pub(super) fn refuse_settings_of(&self, artifact: &Artifact, kind: &str) -> Result<()> {
        let settings = |of: &Value| effective_inputs(&json!({ "settings": of }));
        let stored = settings(&artifact.header().inputs["settings"]);
        let mut changes = differences(&stored, &settings(&self.settings_of(kind)));
        changes.retain(|change| !is_idle_limit(artifact, change));
        if changes.is_empty() || artifact.verify().is_err() {
            return Ok(());
        }
        Err(Error::Stale { path: artifact.path().to_owned(), changes: explain(&changes) })
    }

    /// Names an image that cannot be used, once for each open run and reason.
    pub(super) fn skip(&self, id: &str, error: &Error) {
        let text = format!("skipped {id}: {error}");
        let mut bad = self.bad.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !bad.contains(&text) {
            self.progress.note(&text);
            bad.insert(text);
        }
    }

    /// The closing line of a stage that did something.
    pub(super) fn done(&self, stage: &str, text: &str, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        let memory = peak_memory_bytes()
            .map(|bytes| format!(", peak memory {} MB", bytes / 1_000_000))
            .unwrap_or_default();
        let text = format!("{text} ({seconds:.1} s{memory})");
        self.progress.summary(&format!("{}{stage}", self.label), &text);
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        said.insert(stage.to_owned());
    }

    /// Says that a stage begins, of `length` steps.
    pub(super) fn begin(&self, stage: &str, length: u64, unit: &'static str) {
        self.progress.begin(&format!("{}{stage}", self.label), length, unit);
    }

    /// The closing line of a stage that had nothing to do, once for each open run.
    pub(super) fn nothing_to_do(&self, stage: &str) {
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.insert(stage.to_owned()) {
            self.progress.summary(&format!("{}{stage}", self.label), "up to date");
        }
    }
}

/// Differences in words.
pub(super) fn explain(changes: &[Change]) -> String {
    let parents = |absent: fn(&Change) -> &str| -> Vec<&str> {
        let gone = changes.iter().filter(|change| absent(change) == "null");
        gone.filter_map(|(key, ..)| key.strip_prefix("parents.")).collect()
    };
    let (before, after) = (parents(|change| &change.2), parents(|change| &change.1));
    let other_parents = !before.is_empty() && !after.is_empty();
    let mut words = Vec::new();
    if other_parents {
        words.push(format!("it was made from {}, now from {}", listed(before), listed(after)));
    }
    words.extend(changes.iter().filter_map(|(key, old, new)| {
        let key = key.trim_start_matches("settings.");
        if let Some(parent) = key.strip_prefix("parents.") {
            let changed = !other_parents || (old != "null" && new != "null");
            return changed.then(|| format!("{parent} has changed since"));
        }
        if key == "data.unread" && old == "null" {
            return Some(format!("images of its split that cannot be read now: {new}"));
        }
        if key.starts_with("data") {
            let text = "the images or labels of its split have changed (list, size or content), or \
                        it is a split of another data folder, which needs a name of its own";
            return (!other_parents).then(|| text.to_owned());
        }
        if key == "list of channels" {
            return Some(format!("the channels were {old}, now {new}"));
        }
        // As `--set` spells the keys of a channel.
        let key = key.trim_start_matches("channels.");
        Some(format!("`{key}` was {}, now {}", shown(old), shown(new)))
    }));
    words.dedup();
    let more = words.len().saturating_sub(NAMED_DIFFERENCES);
    if more > 0 {
        words.truncate(NAMED_DIFFERENCES);
        words.push(format!("and {}", counted(more, "more difference")));
    }
    words.join("; ")
}

/// A JSON value in a few words.
fn shown(value: &str) -> String {
    match serde_json::from_str(value) {
        Ok(Value::Null) => "not set".to_owned(),
        // A whole group, of a channel that is on one side alone.
        Ok(Value::Object(_)) => "set".to_owned(),
        Ok(Value::Array(items)) if items.len() > SHOWN_ITEMS => {
            let first: Vec<String> = items.iter().take(3).map(Value::to_string).collect();
            format!("[{}, … {}]", first.join(","), counted(items.len(), "value"))
        }
        _ => value.to_owned(),
    }
}

/// Largest resident memory of this process so far, where the system tells (Linux).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
