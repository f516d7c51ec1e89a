//! Where a run's data come from: the recorded folder, and hashes of labels.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::place::Place;
use crate::artifacts::write_atomically;
use crate::dataset::{Dataset, Label, Split};
use crate::error::{Error, Result};
use crate::files;

/// The data and split that the run's models were fitted to. Kept for convenience (`train-svm` and
/// `eval` need no `--data` to check the models); part of no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    #[serde(with = "place")]
    pub(crate) data: PathBuf,
    pub(crate) split: String,
}

impl Source {
    /// Reads the text of a `source.json`.
    ///
    /// # Errors
    /// [`Error::Artifact`] for what is none: fvtool writes an absolute path and a plain name.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let damaged = |why: String| {
            Error::artifact(
                path,
                format!("damaged ({why}); move it away and run `fvtool run` with --data again"),
            )
        };
        let source: Self = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        if !source.data.is_absolute() {
            return Err(damaged(format!("`data` is {}, not absolute", source.data.display())));
        }
        if files::directly_below(path, &source.split).is_none() {
            return Err(damaged(format!("`split` is `{}`, no name", source.split.escape_debug())));
        }
        Ok(source)
    }
}

/// A path in JSON: a string, or its bytes where it is not UTF-8.
mod place {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Place {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => text.serialize(to),
            None => path.as_os_str().as_encoded_bytes().serialize(to),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<PathBuf, D::Error> {
        match Place::deserialize(from)? {
            Place::Text(text) => Ok(text.into()),
            #[cfg(unix)]
            Place::Bytes(bytes) => {
                let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
                Ok(name.into())
            }
            #[cfg(not(unix))]
            Place::Bytes(_) => Err(serde::de::Error::custom("a path of another system")),
        }
    }
}

/// Refuses a run folder that is the data folder: its files would lie among the images. One inside
/// it is passed over when the data are read.
///
/// # Errors
/// [`Error::Data`] when both are the same folder.
pub fn require_apart(run: &Path, data: &Path) -> Result<()> {
    // What is not there yet is no other folder.
    match (run.canonicalize(), data.canonicalize()) {
        (Ok(real), Ok(other)) if real == other => Err(Error::data(
            data,
            "both the data folder and the run folder; give --run another folder, which may lie \
                 in this one",
        )),
        _ => Ok(()),
    }
}

impl Place<'_> {
    /// What the models were fitted to, when there are any.
    pub(crate) fn source(&self) -> Result<Option<Source>> {
        let path = self.paths.source();
        match files::read_text(&path) {
            Ok(text) => Source::parse(&path, &text).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }

    /// Opens a data folder with this run's settings, and says what became of its files.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub(crate) fn open_data(&self, data: &Path) -> Result<Dataset> {
        require_apart(self.paths.dir(), data)?;
        let dataset = Dataset::open(data, &self.config.data, self.config.seed)?;
        if self.work.is_new(&format!("data {}", dataset.root().display())) {
            self.work.progress.summary("data", &dataset.summary()?);
            dataset.notes()?.iter().for_each(|note| self.work.progress.note(note));
        }
        Ok(dataset)
    }

    /// Opens a split, and says once what there is to say of its lists and annotations.
    pub(crate) fn split(&self, dataset: &Dataset, name: &str) -> Result<Split> {
        let split = dataset.split(name)?;
        split.notes.iter().for_each(|note| self.work.note_once(note));
        Ok(split)
    }

    /// Remembers what the models are fitted to.
    pub(crate) fn record_source(&self, data: &Path, split: &str) -> Result<()> {
        let data = std::path::absolute(data).map_err(Error::io("find", data))?;
        let source = Source { data, split: split.to_owned() };
        if self.source().ok().flatten().as_ref() == Some(&source) {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&source).expect("a path and a name are JSON");
        write_atomically(&self.paths.source(), |file| file.write_all(text.as_bytes()))
    }
}

/// Refuses to train on images that are all of one class.
pub(crate) fn require_two_classes(split: &Split) -> Result<()> {
    let shown = |class: &usize| split.labels.iter().any(|row| row[*class] == Label::Yes);
    let shown: Vec<usize> = (0..split.classes.len()).filter(shown).take(2).collect();
    match shown[..] {
        [only] if split.single_label => Err(one_class(&split.name, &split.classes[only])),
        _ => Ok(()),
    }
}

/// What to say of a split whose images are all of the class `only`.
pub(crate) fn one_class(split: &str, only: &str) -> Error {
    let problem = format!(
        "all images are of one class, `{only}`, and a classifier needs two; sort them into a folder for \
         each class: <split>/<class>/<image> or <class>/<image>"
    );
    Error::data(format!("split `{split}`"), problem)
}

/// Hash of a split's classes and labels.
pub(crate) fn labels_hash(classes: &[String], labels: &[Vec<Label>]) -> Value {
    let mut hasher = blake3::Hasher::new();
    for class in classes {
        hasher.update(class.as_bytes()).update(b"\n");
    }
    for row in labels {
        let row: Vec<u8> = row.iter().map(|&label| label.number() as u8).collect();
        hasher.update(&row);
    }
    json!({ "labels": labels.len(), "hash": hasher.finalize().to_hex().to_string() })
}

/// The labels of `split` for `classes`, by name; a class that the split does not know is ignored in
/// all its images. Also the split's classes that are not in `classes`.
pub(crate) fn labels_for<'s>(
    classes: &[String],
    split: &'s Split,
) -> (Vec<Vec<Label>>, Vec<&'s str>) {
    let columns: Vec<Option<usize>> =
        classes.iter().map(|class| split.classes.iter().position(|c| c == class)).collect();
    let labels = split
        .labels
        .iter()
        .map(|row| columns.iter().map(|c| c.map_or(Label::Ignored, |c| row[c])).collect())
        .collect();
    let unknown =
        split.classes.iter().filter(|class| !classes.contains(class)).map(String::as_str).collect();
    (labels, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_as_it_was_written_and_nothing_else_is_taken() {
        let path = Path::new("source.json");
        let mut places = vec![PathBuf::from("/data/VOC 2007")];
        #[cfg(unix)]
        places.push(
            <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(b"/n\xe9".to_vec())
                .into(),
        );
        for data in places {
            let source = Source { data, split: "train".into() };
            let text = serde_json::to_string(&source).unwrap();
            assert_eq!(Source::parse(path, &text).unwrap(), source);
        }
        for (data, split) in
            [("\"data\"", "a"), ("\"/d\"", "../a"), ("\"/d\"", ""), ("[1, 300]", "a"), ("7", "a")]
        {
            let text = format!("{{\"data\": {data}, \"split\": \"{split}\"}}");
            let error = Source::parse(path, &text).unwrap_err().to_string();
            assert!(
                error.contains("source.json: damaged") && error.contains("move it away"),
                "{error}"
            );
        }
    }
}
