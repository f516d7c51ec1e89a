//! Every path of a run folder; nothing else knows one.
//!
//! ```text
//! config.toml  source.json  outputs.json
//! descriptors/sample.safetensors  pca.safetensors  gmm.safetensors  fisher/<split>/{index.json,NNNNN.safetensors}
//! channels/<name>/…                        the line above, for each of several channels
//! svm.safetensors
//! eval/<split>.json  eval/<split>/*.svg  scores/<split>.csv  results/*.txt  report_<split>.html
//! explain/<split>/…
//! ```

use std::path::{Path, PathBuf};

use super::folder;
use super::kind::Kind;
use crate::error::Result;
use crate::names::{file_name, with_ending};

/// The paths of a run, or of one of its channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    dir: PathBuf,
}

impl Paths {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of a channel, laid out as a run is as far as it goes.
    pub(crate) fn channel(&self, name: &str) -> Self {
        Self { dir: self.channels().join(name) }
    }

    pub(crate) fn channels(&self) -> PathBuf {
        self.dir.join("channels")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.join("source.json")
    }

    pub(crate) fn outputs(&self) -> PathBuf {
        self.dir.join("outputs.json")
    }

    /// The artifact of a kind of which a folder has one.
    pub(crate) fn artifact(&self, kind: Kind) -> PathBuf {
        self.dir.join(kind.path())
    }

    /// The folder of a split's vectors.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for a name that is none of a folder, or that another split's
    /// folder has here.
    pub(crate) fn vectors(&self, split: &str) -> Result<PathBuf> {
        folder::of_name(&self.artifact(Kind::Fisher), split)
    }

    /// What lists the vectors in their folder.
    pub(crate) fn index(vectors: &Path) -> PathBuf {
        vectors.join("index.json")
    }

    /// Name of a shard in the folder of a split's vectors.
    pub(crate) fn shard_name(number: usize) -> String {
        format!("{number:05}.safetensors")
    }

    /// The figures of a split.
    pub(crate) fn figures(&self, split: &str) -> PathBuf {
        self.dir.join("eval").join(with_ending(&file_name(split), ".json"))
    }

    /// The drawings of a split.
    pub(crate) fn drawings(&self, split: &str) -> PathBuf {
        self.dir.join("eval").join(with_ending(&file_name(split), ""))
    }

    /// The page of a split.
    pub(crate) fn page(&self, split: &str) -> PathBuf {
        self.dir.join(with_ending(&format!("report_{}", file_name(split)), ".html"))
    }

    /// The scores of a split.
    pub(crate) fn scores(&self, split: &str) -> PathBuf {
        self.dir.join("scores").join(with_ending(&file_name(split), ".csv"))
    }

    /// Result files of PASCAL VOC.
    pub(crate) fn results(&self) -> PathBuf {
        self.dir.join("results")
    }

    /// Explanations of a split.
    pub(crate) fn explanations(&self, split: &str) -> PathBuf {
        self.dir.join("explain").join(with_ending(&file_name(split), ""))
    }
}
