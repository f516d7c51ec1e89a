//! The run folder: every stage of one experiment, brought up to date by fingerprint.
//!
//! ```text
//! sample → pca → gmm → fisher/<split> → svm → scores and evaluation of <split> → explain/<split>
//! ```
//!
//! A stage's artifact carries the fingerprint of its inputs: the settings it depends on, its
//! parents' fingerprints and the data (ids, sizes and hashes of the image files). What exists with
//! the right fingerprint is reused, what is missing is made, and what was made from other inputs is
//! refused with the differences named, unless the run is opened with `refit`. Paths, times and the
//! number of threads are in no fingerprint.
//!
//! With several channels ([`crate::config`]) everything up to the vectors is done for each of them, in
//! a folder `channels/<name>` laid out as a run of one channel is; the classifier sees their vectors
//! joined (`channels`).

mod channels;
mod classify;
pub mod demo;
mod describe;
pub mod explain;
mod fisher;
mod folder;
mod index;
mod leak;
mod memory;
mod models;
mod outputs;
#[doc(hidden)]
pub mod parsers;
mod pictures;
mod remarks;
mod seen;
mod settings;
mod source;
mod stage;
mod storage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::artifacts::{RunLock, write_atomically};
use crate::config::{Config, Sourced};
use crate::dataset::{Dataset, Split};
use crate::error::{Error, Result};
use crate::files;
use crate::progress::Progress;
use crate::words::nearest;
use channels::Channel;
use memory::Memory;
use seen::Seen;
use source::require_two_classes;

pub use classify::{ClassScore, Evaluated, Prediction};
pub use fisher::Encoded;
pub use index::{Index, IndexedImage, Skipped};
pub use remarks::Noted;
pub use stage::Stamp;

/// How a run folder is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Preset or file; the run's own configuration when `None`, [`crate::config::DEFAULT_PRESET`] in a new run.
    pub config: Option<String>,
    /// `group.key=value` overrides, applied last.
    pub overrides: Vec<String>,
    /// Seed in place of the configuration's.
    pub seed: Option<u64>,
    /// Make again what was made with other settings or from other data.
    pub refit: bool,
    /// Stop at the first image that cannot be used, instead of skipping it.
    pub strict: bool,
    /// Run folders whose models and vectors are taken over where they were made from the same inputs.
    pub reuse: Vec<PathBuf>,
    /// Most bytes to allocate. Work is done in smaller parts, or refused; no result depends on it.
    pub max_memory: Option<u64>,
}

/// Refuses a processor on which matrix products would fail.
///
/// # Errors
/// [`Error::Numerical`] with what it has and lacks.
pub fn check_processor() -> Result<()> {
    match crate::linalg::unsupported() {
        None => Ok(()),
        Some(problem) => Err(Error::Numerical { what: "this processor", problem }),
    }
}

/// The error for a run folder that is not there, with the nearest one that is.
pub fn no_such_run(run: &Path) -> Error {
    let parent = run.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside =
        std::fs::read_dir(parent.unwrap_or(Path::new("."))).into_iter().flatten().flatten();
    let runs = beside.filter(|entry| entry.path().join("config.toml").is_file());
    let names: Vec<String> =
        runs.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let typed = run.file_name().unwrap_or_default().to_string_lossy();
    let near = nearest(&typed, &names).map_or_else(String::new, |near| {
        format!("; did you mean `{}`?", run.with_file_name(near).display())
    });
    Error::Missing {
        what: format!("run folder {}", run.display()),
        hint: format!(
            "make one: `fvtool run --data DATA --train SPLIT --test SPLIT --run RUN`{near}"
        ),
    }
}

/// An open run folder. One process at a time holds it.
pub struct Run<'p> {
    dir: PathBuf,
    config: Config,
    refit: bool,
    strict: bool,
    reuse: Vec<PathBuf>,
    memory: Memory,
    progress: &'p dyn Progress,
    /// Stages whose closing line was given: a run held open for several commands in a row, as by the
    /// demo, looks at them again for each.
    said: Mutex<BTreeSet<String>>,
    /// Times that an explanation left an image out.
    left_out: AtomicUsize,
    /// Bad files that were named: each is named once, whatever stages and channels meet it.
    bad: Arc<Mutex<BTreeSet<String>>>,
    /// Several ways to describe an image; empty for one, which is the run itself.
    channels: Vec<Channel<'p>>,
    /// Before the names of stages: the channel's.
    label: String,
    /// Images as the command at hand saw them first.
    seen: Arc<Seen>,
    /// Not held by a channel, which lies in a folder that is.
    _lock: Option<RunLock>,
}

impl<'p> Run<'p> {
    /// Opens or starts the run folder `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Setting`] for a wrong configuration, [`Error::Stale`] when
    /// something in the folder was made with other settings and `refit` is off; nothing has been
    /// changed then.
    pub fn open(dir: &Path, options: &Options, progress: &'p dyn Progress) -> Result<Self> {
        check_processor()?;
        let stored = dir.join("config.toml");
        let sourced = settings::in_force(dir, options)?;
        folder::check(dir)?;
        if let Some(run) = options.reuse.iter().find(|run| !run.is_dir()) {
            return Err(no_such_run(run));
        }
        let lock = RunLock::acquire(dir)?;
        let run = Self::with(dir, sourced, options, Some(lock), progress)?;
        let text = run.config.to_toml();
        if files::read_text(&stored).ok().as_deref() != Some(&text) {
            write_atomically(&stored, |file| file.write_all(text.as_bytes()))?;
        }
        Ok(run)
    }

    /// Opens a finished run to read what it holds, with its own settings. Nothing is written, and
    /// another process may hold it: every file appears whole, and what is read is checked to be of one
    /// piece.
    ///
    /// # Errors
    /// [`Error::Missing`] when `dir` is no run folder; [`Error::Stale`] when something in it was made
    /// with other settings than its `config.toml` says.
    pub fn open_to_read(
        dir: &Path,
        max_memory: Option<u64>,
        progress: &'p dyn Progress,
    ) -> Result<Self> {
        if !dir.join("config.toml").exists() {
            return Err(Error::Missing {
                what: format!("{} (the settings of a run)", dir.join("config.toml").display()),
                hint: "name a folder that `fvtool run` made".into(),
            });
        }
        let options = Options { max_memory, strict: true, ..Options::default() };
        let sourced = settings::in_force(dir, &options)?;
        let run = Self::with(dir, sourced, &options, None, progress)?;
        for part in run.parts().iter().filter(|part| part.run.pca_path().exists()) {
            let sample = part.run.sample_path();
            if !sample.exists() {
                progress.note(&format!(
                    "{} is gone: that the models were made with these settings of images and \
                     descriptors cannot be checked",
                    sample.display()
                ));
            }
        }
        Ok(run)
    }

    fn with(
        dir: &Path,
        sourced: Sourced,
        options: &Options,
        lock: Option<RunLock>,
        progress: &'p dyn Progress,
    ) -> Result<Self> {
        let mut run = Self {
            dir: dir.to_owned(),
            config: sourced.config.clone(),
            refit: options.refit,
            strict: options.strict,
            reuse: options.reuse.clone(),
            memory: Memory::new(options.max_memory),
            progress,
            said: Mutex::default(),
            left_out: AtomicUsize::new(0),
            bad: Arc::default(),
            channels: Vec::new(),
            label: String::new(),
            seen: Arc::default(),
            _lock: lock,
        };
        run.channels = run.open_channels()?;
        run.refuse_other_settings()?;
        sourced.idle_flags()?.iter().for_each(|flag| progress.note(flag));
        Ok(run)
    }

    /// Opens the splits that a command is about to use, with the settings that a run in `dir` would
    /// have, so that a folder is made for no run that cannot begin. A classifier is to be trained on
    /// the split `trained`.
    ///
    /// # Errors
    /// As [`Run::open`] and [`Dataset::open`], for a split that is not there, and for one to train on
    /// whose images are all of one class.
    pub fn check_data(
        dir: &Path,
        options: &Options,
        data: &Path,
        splits: &[&str],
        trained: Option<&str>,
    ) -> Result<()> {
        let config = settings::in_force(dir, options)?.config;
        let dataset = Dataset::open(data, &config.data, config.seed)?;
        for name in splits {
            let split = dataset.split(name)?;
            if trained == Some(name) {
                require_two_classes(&split)?;
            }
        }
        Ok(())
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens a data folder with this run's settings, and says what became of its files.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_data(&self, data: &Path) -> Result<Dataset> {
        Self::require_apart(&self.dir, data)?;
        let dataset = Dataset::open(data, &self.config.data, self.config.seed)?;
        let key = format!("data {}", dataset.root().display());
        if self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key) {
            self.progress.summary("data", &dataset.summary()?);
            dataset.notes()?.iter().for_each(|note| self.progress.note(note));
        }
        Ok(dataset)
    }

    /// Everything: models and classifier from `train`, vectors and evaluation of `test`.
    ///
    /// # Errors
    /// As the single stages.
    pub fn run_all(&self, data: &Path, train: &str, test: &str) -> Result<(Encoded, Evaluated)> {
        let dataset = self.open_data(data)?;
        let (train, test) = (self.split(&dataset, train)?, self.split(&dataset, test)?);
        require_two_classes(&train)?;
        self.check_memory(train.items.len(), train.classes.len())?;
        self.fit_models(data, &train)?;
        let encoded = self.encode_split(&train)?;
        self.train_svm(&train.name)?;
        Ok((encoded, self.encode_and_evaluate(&test)?))
    }

    /// `settings` of a stage's inputs: the groups it depends on.
    fn settings_of(&self, kind: &str) -> Value {
        let c = &self.config;
        match kind {
            "sample" => {
                let mut descriptors = json!(c.descriptors);
                // Where files lie changes nothing; what they hold is part of the data.
                descriptors["folder"].take();
                json!({
                    "seed": c.seed, "image": c.image, "descriptors": descriptors, "sample": c.sample,
                })
            }
            "pca" => json!({ "pca": c.pca }),
            "gmm" => json!({ "seed": c.seed, "gmm": c.gmm }),
            "fisher" => json!({ "encoding": c.encoding }),
            // Its weights have a meaning for vectors of this encoding alone.
            "svm" => {
                let mut settings = self.vector_settings();
                settings["seed"] = json!(c.seed);
                settings["svm"] = json!(c.svm);
                settings
            }
            _ => json!({}),
        }
    }

    fn sample_path(&self) -> PathBuf {
        self.dir.join("descriptors/sample.safetensors")
    }

    fn pca_path(&self) -> PathBuf {
        self.dir.join("pca.safetensors")
    }

    fn gmm_path(&self) -> PathBuf {
        self.dir.join("gmm.safetensors")
    }

    fn svm_path(&self) -> PathBuf {
        self.dir.join("svm.safetensors")
    }

    /// The folder of a split's vectors.
    ///
    /// # Errors
    /// [`Error::Data`] for a name that is none of a folder, or that another split's folder has here.
    fn split_dir(&self, split: &str) -> Result<PathBuf> {
        folder::of_name(&self.dir.join("fisher"), split)
    }

    fn interrupted(&self) -> Result<()> {
        if self.progress.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Encodes a split with the run's models, which are fitted to it first when there are none.
    ///
    /// # Errors
    /// As the single stages.
    pub fn encode(&self, data: &Path, split: &str) -> Result<Encoded> {
        let split = self.split(&self.open_data(data)?, split)?;
        self.models_for(data, &split)?;
        self.encode_split(&split)
    }

    /// Scores and evaluates a split with the run's classifier, which is trained first when there is
    /// none.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was fitted in this folder; [`Error::Stale`] when the classifier
    /// or what it is made from is of other settings or data.
    pub fn evaluate(&self, data: &Path, split: &str) -> Result<Evaluated> {
        let split = self.split(&self.open_data(data)?, split)?;
        self.classifier()?;
        self.encode_and_evaluate(&split)
    }

    fn encode_and_evaluate(&self, split: &Split) -> Result<Evaluated> {
        let encoded = self.encode_split(split)?;
        self.evaluate_split(split, encoded)
    }
}
