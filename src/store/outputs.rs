//! What commands leave for people to read, and what becomes of it: results, drawings, explanations.
//!
//! `outputs.json` lists every such file, in groups that one command writes together, each with what it is
//! of. So what an earlier call, a removed class or a classifier that is gone left behind is told from what
//! is not fvtool's, and is removed:
//!
//! - a group is listed before its files are written, without hashes, so that files of a command that was
//!   killed are known; at its end, what it did not make again goes;
//! - a group of another classifier goes when that one is trained or used, and one of a split's other
//!   vectors or labels when the split is evaluated or explained.
//!
//! A file goes only if it is listed, lies in a folder of results (reached through no link), and has the
//! bytes that were written, as far as these are known.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::inputs::{Inputs, labels_hash};
use super::paths::Paths;
use crate::artifacts::{check_seal, sealed, write_atomically};
use crate::dataset::Label;
use crate::describer::file_hash;
use crate::error::{Error, Result};
use crate::{files, plain};

/// Folders of results; nothing outside them is removed, but for [`PAGE`]s.
const FOLDERS: [&str; 10] = [
    "check", "drawings", "eval", "explain", "heatmaps", "photos", "report", "results", "scores",
    "why",
];
/// How the pages of a split begin and end.
const PAGE: [&str; 2] = ["report_", ".html"];

/// What a group of files is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    split: String,
    /// Fingerprint of the classifier.
    classifier: String,
    /// Hash of the classifier, the split's vectors and its labels.
    made_from: String,
}

impl Origin {
    pub(crate) fn new(
        split: &str,
        classifier: &str,
        vectors: &str,
        classes: &[String],
        labels: &[Vec<Label>],
    ) -> Self {
        let parents = [("svm.safetensors", classifier), ("fisher", vectors)];
        let labels = labels_hash(classes, labels);
        let made_from = Inputs::new("outputs", json!({}), &parents, labels).fingerprint;
        Self { split: split.to_owned(), classifier: classifier.to_owned(), made_from }
    }

    /// Whether it is of a classifier with this fingerprint.
    pub(crate) fn is_of_classifier(&self, classifier: &str) -> bool {
        self.classifier == classifier
    }
}

/// Files that one command writes together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    #[serde(flatten)]
    origin: Origin,
    /// BLAKE3 by the path in the run; none for a file that was only about to be written.
    files: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    groups: BTreeMap<String, Group>,
}

/// Who is told what becomes of results, each thing once.
pub(crate) trait Notes: Sync {
    /// Says it, unless it was said.
    fn note_once(&self, text: &str);
}

/// The results in a run folder.
#[derive(Clone, Copy)]
pub(crate) struct Results<'r> {
    pub(crate) paths: &'r Paths,
    pub(crate) say: &'r dyn Notes,
}

/// A group that is being written.
pub(crate) struct Outputs<'r> {
    results: Results<'r>,
    name: String,
    made: Mutex<BTreeMap<String, Option<String>>>,
}

impl Outputs<'_> {
    /// Writes a text of the group.
    pub(crate) fn text(&self, path: &Path, text: &str) -> Result<()> {
        self.bytes(path, text.as_bytes())
    }

    /// Writes a file of the group.
    pub(crate) fn bytes(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        write_atomically(path, |file| file.write_all(bytes))?;
        self.made(path, blake3::hash(bytes));
        Ok(())
    }

    /// Takes in a file that was written in another way.
    pub(crate) fn written(&self, path: &Path) -> Result<()> {
        let (_, hash) = file_hash(path, &mut vec![0; 1 << 16]).map_err(Error::io("read", path))?;
        self.made(path, hash);
        Ok(())
    }

    fn made(&self, path: &Path, hash: blake3::Hash) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(self.results.below(path), Some(hash.to_hex().to_string()));
    }

    /// Lists what was made, and removes what else the group held.
    pub(crate) fn end(self) -> Result<()> {
        let made = self.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut list = self.results.list_of_outputs();
        let Some(group) = list.groups.get_mut(&self.name) else { return Ok(()) };
        let mut earlier = std::mem::replace(&mut group.files, made);
        earlier.retain(|below, _| !group.files.contains_key(below));
        let removed = self.results.remove_outputs(&earlier);
        if removed > 0 {
            let what = if removed == 1 { "a file" } else { &format!("{removed} files") };
            let text = format!("removed {what} that an earlier call had left in {}", self.name);
            self.results.say.note_once(&text);
        }
        self.results.write_list_of_outputs(&list)
    }
}

impl<'r> Results<'r> {
    /// Begins a group: lists the files that are about to be written.
    pub(crate) fn outputs<'p>(
        &self,
        name: &str,
        origin: &Origin,
        planned: impl IntoIterator<Item = &'p PathBuf>,
    ) -> Result<Outputs<'r>> {
        let mut list = self.list_of_outputs();
        let earlier = list.groups.remove(name).map(|group| group.files);
        let mut files = earlier.unwrap_or_default();
        files.extend(planned.into_iter().map(|path| (self.below(path), None)));
        list.groups.insert(name.to_owned(), Group { origin: origin.clone(), files });
        self.write_list_of_outputs(&list)?;
        Ok(Outputs { results: *self, name: name.to_owned(), made: Mutex::default() })
    }

    /// Whether a group was finished, and is of `origin`.
    pub(crate) fn has_outputs(&self, name: &str, origin: &Origin) -> bool {
        let list = self.list_of_outputs();
        list.groups.get(name).is_some_and(|group| {
            group.origin == *origin && group.files.values().all(Option::is_some)
        })
    }

    /// The bytes of a file of a finished group, as they were written.
    ///
    /// # Errors
    /// Why it cannot be used, in words: it is not there, of something that is gone, or was changed.
    pub(crate) fn output(
        &self,
        name: &str,
        path: &Path,
        is_of: impl Fn(&Origin) -> bool,
    ) -> Result<Vec<u8>, String> {
        let list = self.list_of_outputs();
        let group = list.groups.get(name).ok_or("it was not made")?;
        if !is_of(&group.origin) {
            return Err("it is of a classifier, vectors or labels that are gone".into());
        }
        let shown = plain::path(path);
        let hash = match group.files.get(&self.below(path)) {
            Some(Some(hash)) => hash,
            Some(None) => return Err(format!("the command that makes {shown} did not end")),
            None => return Err(format!("{shown} was not made")),
        };
        let bytes = files::read(path, files::MOST_TEXT)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        if blake3::hash(&bytes).to_hex().as_str() == hash {
            return Ok(bytes);
        }
        Err(format!("{shown} was changed since fvtool wrote it"))
    }

    /// Removes what is of another classifier than this one.
    pub(crate) fn remove_outputs_of_others(&self, classifier: &str) -> Result<()> {
        self.remove_groups(|_, origin| origin.classifier != classifier)
    }

    /// Removes what is of another classifier than that of `origin`, or of other vectors or labels of its
    /// split; not the group `but`, which is about to be made again.
    pub(crate) fn remove_outdated_outputs(&self, origin: &Origin, but: &str) -> Result<()> {
        self.remove_groups(|name, of| {
            let outdated = of.split == origin.split && of.made_from != origin.made_from;
            name != but && (of.classifier != origin.classifier || outdated)
        })
    }

    fn remove_groups(&self, outdated: impl Fn(&str, &Origin) -> bool) -> Result<()> {
        let mut list = self.list_of_outputs();
        let (gone, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            list.groups.into_iter().partition(|(name, group)| outdated(name, &group.origin));
        if gone.is_empty() {
            return Ok(());
        }
        let removed: usize = gone.values().map(|group| self.remove_outputs(&group.files)).sum();
        if removed > 0 {
            let names: Vec<&str> = gone.keys().map(String::as_str).collect();
            let (names, were) =
                (names.join(", "), if removed == 1 { "it was" } else { "they were" });
            self.say.note_once(&format!(
                "removed {removed} of the files in {names}: {were} of a classifier, vectors or labels \
                 that are gone"
            ));
        }
        list.groups = kept;
        let written = self.write_list_of_outputs(&list);
        // A folder that cannot be written to can still be read from.
        if removed > 0 { written } else { Ok(()) }
    }

    /// The list; an empty one where there is none that can be read.
    fn list_of_outputs(&self) -> List {
        let path = self.paths.outputs();
        let read = files::read_text(&path).map_err(Error::io("read", &path));
        let list = read.and_then(|text| parse(&path, &text));
        list.unwrap_or_else(|error| {
            let absent = fs::symlink_metadata(&path).is_err_and(|e| e.kind() == ErrorKind::NotFound);
            if !absent {
                self.say.note_once(&format!(
                    "{error}; what earlier commands left can no longer be told from other files, and \
                     stays"
                ));
            }
            List::default()
        })
    }

    fn write_list_of_outputs(&self, list: &List) -> Result<()> {
        let text = sealed(list);
        write_atomically(&self.paths.outputs(), |file| file.write_all(text.as_bytes()))
    }

    /// The path of a result in the run, as it is listed.
    fn below(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.paths.dir()).expect("results lie in the run folder");
        let parts: Vec<_> =
            below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        parts.join("/")
    }

    /// Removes files of the list, and folders that are empty then; how many files there were.
    fn remove_outputs(&self, files: &BTreeMap<String, Option<String>>) -> usize {
        let mut removed = 0;
        for (below, hash) in files {
            let path = self.paths.dir().join(below);
            match self.remove_output(below, hash.as_deref()) {
                Ok(true) => removed += 1,
                Ok(false) => {}
                Err(reason) => self.say.note_once(&format!(
                    "{} is out of date, but stays: {reason}",
                    plain::path(&path)
                )),
            }
        }
        removed
    }

    /// Removes one file; false where there is none.
    fn remove_output(&self, below: &str, hash: Option<&str>) -> Result<bool, String> {
        let parts: Vec<Component<'_>> = Path::new(below).components().collect();
        let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
        let top = parts.first().map_or("".into(), |part| part.as_os_str().to_string_lossy());
        let is_page = parts.len() == 1 && top.starts_with(PAGE[0]) && top.ends_with(PAGE[1]);
        let in_folder = parts.len() > 1 && FOLDERS.contains(&&*top);
        if !plain || !(is_page || in_folder) {
            return Err("it is no place of a result".into());
        }
        let mut path = self.paths.dir().to_owned();
        for (at, part) in parts.iter().enumerate() {
            path.push(part);
            let is_last = at + 1 == parts.len();
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() && !is_last || found.is_file() && is_last => {}
                Ok(_) => return Err("it is no regular file, or behind a link".into()),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error.to_string()),
            }
        }
        if let Some(hash) = hash {
            let found = file_hash(&path, &mut vec![0; 1 << 16]).map_err(|e| e.to_string())?;
            if found.1.to_hex().as_str() != hash {
                return Err("it was changed since fvtool wrote it".into());
            }
        }
        fs::remove_file(&path).map_err(|error| error.to_string())?;
        for folder in path.ancestors().skip(1).take(parts.len() - 1) {
            // One that holds something else cannot be removed, and need not be.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(true)
    }
}

fn parse(path: &Path, text: &str) -> Result<List> {
    check_seal(path, text)?;
    serde_json::from_str(text).map_err(|e| Error::artifact(path, format!("damaged ({e})")))
}
