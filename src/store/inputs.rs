//! What an artifact is made from: settings, parents and data, and the fingerprint of these.
//!
//! ```text
//! fingerprint = BLAKE3(JSON{ stage, format, settings, parents, data [, unread] })
//! of a split  = BLAKE3(JSON{ stage, format, shards })
//! ```
//!
//! A shard stands for its own images: nothing in its inputs is of the rest of its split. So a split has the
//! fingerprint that follows from those of its shards, whoever made them.
//!
//! Two inputs are compared by what has an effect ([`crate::config`]): a key that an earlier version did
//! not know, and a key without effect beside the others, make nothing stale.

use std::path::Path;

use serde_json::{Value, json};

use super::kind::Kind;
use crate::artifacts::{Artifact, Header};
use crate::config::{differences, effective_inputs, fingerprint};
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::words::{counted, listed};

/// At most this many differing settings are named in a refusal.
const NAMED_DIFFERENCES: usize = 6;

/// A longer list is shown by its first values.
const SHOWN_ITEMS: usize = 6;

/// Ends the fingerprint of what was made while images could not be read, and of all that is made from
/// it: it is never taken for what the whole data give, and made again once they are back.
const UNREAD: &str = "+unread";

/// What one stage's artifact is made from.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    pub(crate) value: Value,
    pub(crate) fingerprint: String,
}

impl Inputs {
    pub(crate) fn new(kind: &str, settings: Value, parents: &[(&str, &str)], data: Value) -> Self {
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

    /// The inputs that an artifact holds.
    pub(crate) fn of_stored(inputs: &Value) -> Self {
        Self::of(inputs.clone())
    }

    /// These inputs without the images that could not be read when they were needed.
    pub(crate) fn lacking(&self, images: &[String]) -> Self {
        if images.is_empty() {
            return self.clone();
        }
        let mut value = self.value.clone();
        value["unread"] = json!(images);
        Self::of(value)
    }

    /// The header of the artifact that is made from these.
    pub(crate) fn header(&self, kind: &str, report: Value) -> Header {
        Header {
            kind: kind.to_owned(),
            fingerprint: self.fingerprint.clone(),
            inputs: self.value.clone(),
            report,
        }
    }

    /// These inputs as an artifact holds them, where its own are the same as far as they have an effect:
    /// keys that an earlier version did not know and keys without effect keep the values that it was made
    /// with, and so everything made from it keeps its fingerprint. Otherwise these inputs as they are.
    pub(crate) fn as_in(&self, artifact: &Artifact) -> Self {
        // A limit on the size of images belongs to what is made of images.
        let of_images = [Kind::Sample, Kind::Fisher].map(Kind::name);
        let size_counts = !of_images.iter().any(|name| self.value["stage"] == *name);
        let mut stored = artifact.header().inputs.clone();
        if let Some(stored) = stored.as_object_mut() {
            stored.remove("unread");
        }
        let changes = self.changes_since(&stored);
        let same = |change: &Change| !size_counts && is_idle_limit(artifact, change);
        if changes.iter().all(same) { Self::of(stored) } else { self.clone() }
    }

    /// In what these inputs differ from stored ones, as far as they have an effect.
    pub(crate) fn changes_since(&self, stored: &Value) -> Vec<Change> {
        if *stored == self.value {
            return Vec::new();
        }
        differences(&effective_inputs(stored), &effective_inputs(&self.value))
    }
}

/// The fingerprint of a split whose shards have these.
pub(crate) fn print_of_shards(prints: &[&str]) -> String {
    let format = crate::artifacts::FORMAT;
    let value = json!({ "stage": Kind::Fisher.name(), "format": format, "shards": prints });
    let unread = prints.iter().any(|print| print.ends_with(UNREAD));
    fingerprint(&value) + if unread { UNREAD } else { "" }
}

/// Images that an artifact was made without, since they could not be read when they were needed.
pub(crate) fn lacks(artifact: &Artifact) -> Vec<String> {
    ids(&artifact.header().inputs["unread"])
}

/// Opens a stored artifact of `kind`, undamaged, whose fingerprint is that of its inputs.
///
/// # Errors
/// [`Error::Artifact`] for any other.
pub(crate) fn open_stage(path: &Path, kind: Kind) -> Result<Artifact> {
    let artifact = Artifact::open_verified(path, kind.name())?;
    if Inputs::of_stored(&artifact.header().inputs).fingerprint == artifact.header().fingerprint {
        return Ok(artifact);
    }
    let problem = "its fingerprint is not that of its inputs: another program changed it; make it again \
                   with --refit";
    Err(Error::artifact(path, problem))
}

/// Refuses an artifact that was made from another `parent` than the one that lies in this run, which is
/// handed back. One that is gone cannot be compared.
pub(crate) fn require_parent(artifact: &Artifact, parent: &Path) -> Result<Option<Artifact>> {
    let Ok(found) = Artifact::open(parent) else { return Ok(None) };
    if *parent_print(artifact, parent) == found.header().fingerprint {
        return Ok(Some(found));
    }
    found.verify()?;
    Err(of_another(artifact, parent))
}

/// The fingerprint of a parent that an artifact names.
pub(crate) fn parent_print<'a>(artifact: &'a Artifact, parent: &Path) -> &'a Value {
    let name = parent.file_name().unwrap_or_default().to_string_lossy();
    &artifact.header().inputs["parents"][&*name]
}

/// The error for an artifact that was made from another parent.
pub(crate) fn of_another(artifact: &Artifact, parent: &Path) -> Error {
    let name = parent.file_name().unwrap_or_default().to_string_lossy();
    let problem = format!(
        "made from another {name} than {}: they are of different runs, or one of them is just being made \
         again; wait for that, put back the file that belongs here, or make all again: `fvtool run --refit`",
        parent.display()
    );
    Error::artifact(artifact.path(), problem)
}

/// A setting with its stored and its present value.
pub(crate) type Change = (String, String, String);

/// Whether a change is a higher limit on the size of images where the lower one left nothing out.
pub(crate) fn is_idle_limit(artifact: &Artifact, (key, old, new): &Change) -> bool {
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
pub(crate) fn was_waiting(stored: &Value, now: &Value, changes: &[Change]) -> bool {
    let of_data = |key: &str| ["data", "parents", "unread"].iter().any(|k| key.starts_with(k));
    let parents_changed = is_unread(&stored["parents"]) && stored["parents"] != now["parents"];
    changes.iter().all(|(key, ..)| of_data(key))
        && (unread(stored) > unread(now) || parents_changed && unread(stored) == unread(now))
}

/// Differences in words.
pub(crate) fn in_words(changes: &[Change]) -> String {
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
        if key == "data.areas" {
            // Where there were none before, or are none now, the setting says so.
            let both = old != "null" && new != "null";
            let text = "the boxes or parts of its images (descriptors.within) have changed";
            return both.then(|| text.to_owned());
        }
        if key == "data.vectors" {
            return Some("rows of the file of vectors (descriptors.file) have changed".to_owned());
        }
        if key.starts_with("data") {
            let text = "the images or labels of its split have changed (list, size or content), or \
                        it is a split of another data folder, which needs a name of its own";
            return (!other_parents).then(|| text.to_owned());
        }
        if key.ends_with("network_file.hash") {
            return Some(
                "the file of the network (network.file) is another than it was".to_owned(),
            );
        }
        if key.ends_with("network_file.engine") {
            return Some(format!("the engine of networks was {}, now {}", shown(old), shown(new)));
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

/// Whether what an image was left out for may pass: its file could not be read, which is no matter of
/// what it holds.
pub(crate) fn may_be_back(error: &Error) -> bool {
    matches!(error, Error::Io { reason, .. } if reason.kind() != std::io::ErrorKind::FileTooLarge)
}

/// A hasher that has taken class names, in the order of labels.
pub(crate) fn hasher_of_classes(classes: &[String]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    for class in classes {
        hasher.update(class.as_bytes()).update(b"\n");
    }
    hasher
}

/// Hash of a split's classes and labels.
pub(crate) fn labels_hash(classes: &[String], labels: &[Vec<Label>]) -> Value {
    let mut hasher = hasher_of_classes(classes);
    for row in labels {
        let row: Vec<u8> = row.iter().map(|&label| label.number() as u8).collect();
        hasher.update(&row);
    }
    json!({ "labels": labels.len(), "hash": hasher.finalize().to_hex().to_string() })
}
