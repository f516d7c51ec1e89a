//! When is an artifact up to date: fingerprints, refusals, and the closing line of a stage.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::Run;
use crate::artifacts::{Artifact, is_ours, take};
use crate::config::{differences, fingerprint};
use crate::error::{Error, Result};

/// At most this many differing settings are named in a refusal.
const NAMED_DIFFERENCES: usize = 6;

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
fn was_waiting(stored: &Value, now: &Value, changes: &[(String, String, String)]) -> bool {
    let of_data = |key: &str| ["data", "parents", "unread"].iter().any(|k| key.starts_with(k));
    let parents_changed = is_unread(&stored["parents"]) && stored["parents"] != now["parents"];
    changes.iter().all(|(key, ..)| of_data(key))
        && (unread(stored) > unread(now) || parents_changed && unread(stored) == unread(now))
}

impl Run<'_> {
    /// True when `path` holds the artifact of `inputs`; false when it must be made.
    ///
    /// # Errors
    /// [`Error::Stale`] when it was made from other inputs and `refit` is off.
    pub(super) fn is_up_to_date(&self, path: &Path, inputs: &Inputs) -> Result<bool> {
        Ok(self.kept(path, inputs, |_| false)?.is_some())
    }

    /// The inputs of what lies at `path`, when that is the artifact of `inputs`, perhaps without images
    /// that could not be read and are not `back`; nothing when it must be made.
    ///
    /// # Errors
    /// As [`is_up_to_date`](Self::is_up_to_date).
    pub(super) fn kept(
        &self,
        path: &Path,
        inputs: &Inputs,
        back: impl Fn(&str) -> bool,
    ) -> Result<Option<Inputs>> {
        if !path.exists() {
            return Ok(self.take_over(path, inputs)?.then(|| inputs.clone()));
        }
        let stored = match Artifact::open(path) {
            Ok(artifact) => artifact,
            Err(_) if self.refit && is_ours(path) => return Ok(None),
            Err(error) => return Err(error),
        };
        let header = stored.header();
        let lacks = ids(&header.inputs["unread"]);
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
        let changes = differences(&header.inputs, &inputs.value);
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
    /// it there; false when none has it.
    fn take_over(&self, path: &Path, inputs: &Inputs) -> Result<bool> {
        let within = path.strip_prefix(&self.dir).expect("artifacts lie in their run");
        for run in &self.reuse {
            let mut places = vec![run.join(within)];
            if let Ok(channels) = std::fs::read_dir(run.join("channels")) {
                places.extend(channels.flatten().map(|channel| channel.path().join(within)));
                places[1..].sort();
            }
            for place in places {
                let same = |a: &Artifact| a.header().fingerprint == inputs.fingerprint;
                if !Artifact::open(&place).is_ok_and(|a| same(&a)) {
                    continue;
                }
                let whole = |taken: &Path| {
                    Artifact::open(taken).is_ok_and(|a| same(&a) && a.verify().is_ok())
                };
                if take(&place, path, whole)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
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
        let changed = differences(&artifact.header().inputs["settings"], &self.settings_of(kind));
        if changed.is_empty() || artifact.verify().is_err() {
            return Ok(());
        }
        Err(Error::Stale { path: artifact.path().to_owned(), changes: explain(&changed) })
    }

    /// The closing line of a stage that did something.
    pub(super) fn done(&self, stage: &str, text: &str, started: Instant) {
        let stage = &format!("{}{stage}", self.label);
        let seconds = started.elapsed().as_secs_f64();
        let memory = peak_memory_bytes()
            .map(|bytes| format!(", peak memory {} MB", bytes / 1_000_000))
            .unwrap_or_default();
        self.progress.summary(stage, &format!("{text} ({seconds:.1} s{memory})"));
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
pub(super) fn explain(changes: &[(String, String, String)]) -> String {
    let mut words: Vec<String> = changes
        .iter()
        .take(NAMED_DIFFERENCES)
        .map(|(key, old, new)| {
            let key = key.trim_start_matches("settings.");
            if let Some(parent) = key.strip_prefix("parents.") {
                format!("{parent} has changed since")
            } else if key == "data.unread" && old == "null" {
                format!("images of its split that cannot be read now: {new}")
            } else if key.starts_with("data") {
                "the images or labels of its split have changed (list, size or content), or it is \
                 a split of another data folder, which needs a name of its own"
                    .to_owned()
            } else {
                format!("`{key}` was {old}, now {new}")
            }
        })
        .collect();
    words.dedup();
    if changes.len() > NAMED_DIFFERENCES {
        words.push(format!("and {} more", changes.len() - NAMED_DIFFERENCES));
    }
    words.join("; ")
}

/// Largest resident memory of this process so far, where the system tells (Linux).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
