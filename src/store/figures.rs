//! `eval/<split>.json`: the figures of a split, sealed, with hashes of the files that belong to them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::artifacts::check_seal;
use crate::evaluation::Report;

/// What `eval/<split>.json` holds.
pub(crate) struct Figures {
    pub(crate) report: Report,
    pub(crate) fingerprint: String,
    /// Hashes of the result files by their names in the run.
    pub(crate) files: BTreeMap<String, String>,
}

/// Reads the figures at `path`; nothing when they were changed since they were written.
pub(crate) fn figures_of(path: &Path, text: &str) -> Option<Figures> {
    check_seal(path, text).ok()?;
    let mut value: Value = serde_json::from_str(text).ok()?;
    let object = value.as_object_mut()?;
    object.remove("checksum")?;
    let fingerprint = object.remove("fingerprint")?.as_str()?.to_owned();
    let files = serde_json::from_value(object.remove("files")?).ok()?;
    Some(Figures { report: serde_json::from_value(value).ok()?, fingerprint, files })
}
