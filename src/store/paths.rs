//! Every path of a run folder; nothing else knows one.
//!
//! ```text
//! config.toml  source.json  outputs.json
//! descriptors/sample.safetensors  layer.safetensors  layer.state.safetensors  pca.safetensors  gmm.safetensors  fisher/<split>/{index.json,NNNNN.safetensors}
//! channels/<name>/…                        the line above, for each of several channels
//! svm.safetensors  svm/NNNNN.safetensors   (groups of classes, until they are put together)
//! eval/<split>.json  eval/<split>/{*.svg,predictions.csv}  scores/<split>.csv  results/*.txt  report_<split>.html
//! explain/<split>/…  why/<image>.{html,json}  photos/<file>/<class>.png  report/<split>.html  check/{check.json,findings.csv,held_out.csv}
//! cross-validation/<split>.{json,html,csv}  cross-validation/<split>/repeat-<r>/fold-<f>-of-<k>/…   a run each
//! ```

use std::path::{Path, PathBuf};

use super::kind::Kind;
use crate::error::{Error, Result};
use crate::files;
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

    /// What a layer has come to between two epochs.
    pub(crate) fn layer_state(&self) -> PathBuf {
        self.dir.join("layer.state.safetensors")
    }

    /// The artifact of a kind of which a folder has one.
    pub(crate) fn artifact(&self, kind: Kind) -> PathBuf {
        self.dir.join(kind.path())
    }

    /// Classes that were trained in groups, until the classifier is made of them.
    pub(crate) fn class_groups(&self) -> PathBuf {
        self.dir.join("svm")
    }

    /// One of them.
    pub(crate) fn class_group(&self, number: usize) -> PathBuf {
        Self::shard(&self.class_groups(), number)
    }

    /// The folder of a split's vectors.
    ///
    /// # Errors
    /// [`Error::Data`] for a name that is none of a folder, or that another split's
    /// folder has here.
    pub(crate) fn vectors(&self, split: &str) -> Result<PathBuf> {
        of_name(&self.artifact(Kind::Fisher), split)
    }

    /// What lists the vectors in their folder.
    pub(crate) fn index(vectors: &Path) -> PathBuf {
        vectors.join("index.json")
    }

    /// A shard in the folder of a split's vectors.
    pub(crate) fn shard(vectors: &Path, number: usize) -> PathBuf {
        vectors.join(Self::shard_name(number))
    }

    /// Its name.
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

    /// The table of what was predicted for each image of a split.
    pub(crate) fn predictions(&self, split: &str) -> PathBuf {
        self.drawings(split).join("predictions.csv")
    }

    /// The scores of a split.
    pub(crate) fn scores(&self, split: &str) -> PathBuf {
        self.dir.join("scores").join(with_ending(&file_name(split), ".csv"))
    }

    /// Result files of PASCAL VOC.
    pub(crate) fn results(&self) -> PathBuf {
        self.dir.join("results")
    }

    /// Figures, page and predictions of a cross-validation of a split.
    pub(crate) fn cross_validation(&self, split: &str) -> [PathBuf; 3] {
        let folder = self.dir.join("cross-validation");
        [".json", ".html", ".csv"].map(|ending| folder.join(with_ending(&file_name(split), ending)))
    }

    /// The run folder of one fold of it.
    pub(crate) fn fold(&self, split: &str, repeat: usize, fold: usize, folds: usize) -> PathBuf {
        let folder = self.dir.join("cross-validation").join(with_ending(&file_name(split), ""));
        folder.join(format!("repeat-{}", repeat + 1)).join(format!("fold-{}-of-{folds}", fold + 1))
    }

    /// The page of a split with pictures.
    pub(crate) fn picture_page(&self, split: &str) -> PathBuf {
        self.dir.join("report").join(with_ending(&file_name(split), ".html"))
    }

    /// Heatmaps of photographs of no split.
    pub(crate) fn photos(&self) -> PathBuf {
        self.dir.join("photos")
    }

    /// What was found in the data.
    pub(crate) fn checks(&self) -> PathBuf {
        self.dir.join("check")
    }

    /// Which training images decided, image by image.
    pub(crate) fn why(&self) -> PathBuf {
        self.dir.join("why")
    }

    /// Explanations of a split.
    pub(crate) fn explanations(&self, split: &str) -> PathBuf {
        self.dir.join("explain").join(with_ending(&file_name(split), ""))
    }
}

/// The folder `name` in `folder`.
///
/// # Errors
/// [`Error::Data`] for what is no name, and where the file system takes another's folder for it.
fn of_name(folder: &Path, name: &str) -> Result<PathBuf> {
    let Some(path) = files::directly_below(folder, name) else {
        let problem = format!("`{}` is no name of a split", name.escape_debug());
        return Err(Error::data(folder, problem));
    };
    if path.exists() {
        let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        let same = |other: &String| other.to_lowercase() == name.to_lowercase();
        let mut texts = names.iter().map(|name| name.to_string_lossy().into_owned());
        if !names.iter().any(|other| other == name)
            && let Some(other) = texts.find(same)
        {
            let problem = format!(
                "split `{name}` would have the files of split `{other}`, since names that differ in \
                 case alone are one here; rename one of them, or use another --run"
            );
            return Err(Error::data(folder, problem));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_plain_name_of_its_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(of_name(folder, "src").unwrap(), folder.join("src"));
        assert_eq!(of_name(folder, "SRC").is_err(), folder.join("SRC").exists());
        assert_eq!(of_name(folder, "not there").unwrap(), folder.join("not there"));
        for name in ["..", "../src", "/etc", "a/b", "", ".", "a/"] {
            assert!(of_name(folder, name).is_err(), "{name}");
        }
    }
}
