//! `source.json`: the data and split that a run's models were fitted to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::artifacts::write_atomically;
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

    /// Reads it; nothing where there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        match files::read_text(path) {
            Ok(text) => Self::parse(path, &text).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }

    /// Writes it, unless it is there already.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if Self::read(path).ok().flatten().as_ref() == Some(self) {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(self).expect("a path and a name are JSON");
        write_atomically(path, |file| file.write_all(text.as_bytes()))
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
