//! What an artifact is made from when that is images, found when it is needed and not before.
//!
//! ```text
//! no artifact, nothing to take over ─ made first; each image is hashed as it is read
//! an artifact ─ its stamp is that of the files ─ the hash that it holds
//!             └ no stamp, or another           ─ the files are read and hashed
//! ```
//!
//! A stamp lies beside its artifact as `.NAME.stamp`: two hashes, of what the file system said of the files and
//! of the data that the artifact holds. It is part of nothing, and may be deleted.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::place::Place;
use crate::artifacts::Artifact;
use crate::config::fingerprint;
use crate::dataset::Item;
use crate::describer::{Source, Stamp};
use crate::error::Result;
use crate::files;
use crate::store::{Inputs, Kind, lacks};

/// Images, and what else an artifact is made from.
pub(crate) struct FromImages<'a, 'p> {
    place: &'a Place<'p>,
    kind: Kind,
    /// Names and fingerprints.
    parents: &'a [(&'static str, String)],
    source: &'a Source,
    items: &'a [Item],
    path: PathBuf,
    inputs: OnceLock<Inputs>,
    /// Of the files as they were before they were read; nothing where one is not there.
    stamp: OnceLock<Option<Stamp>>,
}

impl<'a, 'p> FromImages<'a, 'p> {
    /// The artifact of `kind` at `path`.
    pub(crate) fn new(
        place: &'a Place<'p>,
        kind: Kind,
        parents: &'a [(&'static str, String)],
        source: &'a Source,
        items: &'a [Item],
        path: PathBuf,
    ) -> Self {
        let (inputs, stamp) = Default::default();
        Self { place, kind, parents, source, items, path, inputs, stamp }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the files before any of them is read.
    pub(crate) fn look(&self) {
        self.stamp.get_or_init(|| self.source.stamp(self.items));
    }

    /// All that it is made from.
    pub(crate) fn inputs(&self) -> Result<&Inputs> {
        if let Some(inputs) = self.inputs.get() {
            return Ok(inputs);
        }
        self.look();
        let inputs = match self.data_of_stamp() {
            Some(data) => self.with(data),
            None => self.of(self.items)?,
        };
        Ok(self.inputs.get_or_init(|| inputs))
    }

    /// The inputs of some of the images.
    fn of(&self, items: &[Item]) -> Result<Inputs> {
        Ok(self.with(self.source.hash(items, || self.place.work.go_on())?))
    }

    fn with(&self, data: Value) -> Inputs {
        inputs_of(self.place, self.kind, self.parents, data)
    }

    /// Whether an artifact is that of the first of these images alone.
    pub(crate) fn has_grown(&self, stored: &Artifact) -> Result<bool> {
        let images = stored.header().inputs["data"]["images"].as_u64();
        let before = images.and_then(|images| self.items.get(..usize::try_from(images).ok()?));
        let Some(before) =
            before.filter(|items| !items.is_empty() && items.len() < self.items.len())
        else {
            return Ok(false);
        };
        let inputs = self.of(before)?.as_in(stored).lacking(&lacks(stored));
        Ok(inputs.fingerprint == stored.header().fingerprint)
    }

    /// The data of the artifact that lies there, where its stamp stands for them.
    fn data_of_stamp(&self) -> Option<Value> {
        // Whoever asks for everything anew asks for every byte.
        if self.place.work.refit {
            return None;
        }
        let stamp = self.stamp.get()?.as_ref()?;
        let path = stamp_path(&self.path);
        let text = files::read_text(&path).ok()?;
        let data = Artifact::open(&self.path).ok()?.header().inputs["data"].clone();
        let believed = text == text_of(stamp, &data) && stamp.is_settled_at(&path);
        believed.then_some(data)
    }

    /// Leaves a stamp beside an artifact that is up to date. One that could not be written is missed by nobody.
    pub(crate) fn settle(&self, made: &Inputs) {
        let (stamp, path) = (self.stamp.get().and_then(Option::as_ref), stamp_path(&self.path));
        let whole = made.value["unread"].is_null() && made.value["data"]["unread"].is_null();
        let Some(stamp) = stamp.filter(|_| whole) else { return };
        let text = text_of(stamp, &made.value["data"]);
        let there = files::read_text(&path).is_ok_and(|there| there == text);
        if !(there && stamp.is_settled_at(&path)) {
            let _ = self.place.work.write_text(&path, &text);
        }
    }
}

/// What an artifact of a place is made from.
pub(super) fn inputs_of(
    place: &Place<'_>,
    kind: Kind,
    parents: &[(&'static str, String)],
    data: Value,
) -> Inputs {
    let parents: Vec<(&str, &str)> =
        parents.iter().map(|(name, print)| (*name, print.as_str())).collect();
    Inputs::new(kind.name(), place.settings(kind), &parents, data)
}

fn text_of(stamp: &Stamp, data: &Value) -> String {
    format!("{} {}\n", stamp.hash, fingerprint(data))
}

/// Where the stamp of an artifact lies.
pub(crate) fn stamp_path(artifact: &Path) -> PathBuf {
    let name = artifact.file_stem().unwrap_or_default().to_string_lossy();
    artifact.with_file_name(format!(".{name}.stamp"))
}
