//! Arguments that several commands share: the run folder with its settings, and what to do about faults.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::config::{DEFAULT_PRESET, PRESETS};
use crate::pipeline;
use clap::Args;

use super::global::Global;
use super::ui::Ui;
use super::values::Bytes;

fn config_help() -> String {
    let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
    format!(
        "Preset ({}) or TOML file [default: the run's own configuration, `{DEFAULT_PRESET}` in a \
         new run]",
        presets.join(", ")
    )
}

/// Where a run lives and with which settings.
#[derive(Args, Clone, Default)]
pub struct RunFolder {
    /// Run folder: holds everything this experiment makes
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    // The text of its help is made from the list of presets.
    #[arg(long, value_name = "FILE|PRESET", help = config_help())]
    pub config: Option<String>,
    /// Override one setting; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Table of labels: CSV or TSV with a row for each image, or COCO's JSON (`data.labels`); the run remembers it
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// The network that descriptors come from, an ONNX file (`network.file`); the run remembers it
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// Make again what was made with other settings or from other data
    #[arg(long)]
    pub refit: bool,
    /// Take over what this other run has made with the same settings from the same data; may be
    /// repeated
    #[arg(long, value_name = "RUN")]
    pub reuse: Vec<PathBuf>,
    // Not an argument: `fit-layer` asks for it.
    #[arg(skip)]
    pub learn: bool,
}

/// A finished run, which stays as it is.
#[derive(Args)]
pub struct ReadFolder {
    /// Run folder; it is only read
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
}

/// What to do about images that cannot be used.
#[derive(Args)]
pub struct Faults {
    /// Stop at the first image that cannot be used
    #[arg(long)]
    pub strict: bool,
    /// Exit with 0 even when images had to be skipped
    #[arg(long, conflicts_with = "strict")]
    pub allow_skipped: bool,
}

impl RunFolder {
    /// As [`open`](Self::open), for commands that use what a run has; a mistyped folder is not made.
    pub fn open_existing<'p>(
        &self,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> crate::Result<pipeline::Run<'p>> {
        require_folder(&self.run)?;
        self.open(global, ui, strict)
    }

    /// The data folder that is meant, which the run folder may not be.
    pub fn data(&self, given: Option<&Path>, global: &Global) -> crate::Result<PathBuf> {
        let data = pipeline::Run::data_folder(&self.run, &self.options(global, false), given)?;
        pipeline::require_apart(&self.run, &data)?;
        Ok(data)
    }

    /// The splits to train and to test on: those given, or the usual ones.
    pub fn splits(
        &self,
        data: &Path,
        [train, test]: [Option<&String>; 2],
        global: &Global,
    ) -> crate::Result<[String; 2]> {
        if let (Some(train), Some(test)) = (train, test) {
            return Ok([train.clone(), test.clone()]);
        }
        let options = self.options(global, false);
        let [usual_train, usual_test] = pipeline::Run::usual_splits(&self.run, &options, data)?;
        let chosen = |given: Option<&String>, usual: Option<String>, flag: &str, what: &str| {
            given.cloned().or(usual).ok_or_else(|| Error::Missing {
                what: format!("a split {what} among those of {}", data.display()),
                hint: format!("give {flag} NAME"),
            })
        };
        Ok([
            chosen(train, usual_train, "--train", "called train")?,
            chosen(test, usual_test, "--test", "called test or val")?,
        ])
    }

    /// As [`open`](Self::open), for commands that begin with images: no folder is made for a run
    /// whose data or splits are not there.
    pub fn open_for<'p>(
        &self,
        data: &Path,
        splits: &[&str],
        trained: Option<&str>,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> crate::Result<pipeline::Run<'p>> {
        if !self.run.exists() {
            let options = self.options(global, strict);
            pipeline::Run::check_data(&self.run, &options, data, splits, trained)?;
        }
        self.open(global, ui, strict)
    }

    /// Opens the run with these settings; its folder is made where there is none.
    pub fn open<'p>(
        &self,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> crate::Result<pipeline::Run<'p>> {
        pipeline::Run::open(&self.run, &self.options(global, strict), ui.progress())
    }

    /// Opens a run that has models to make a part of its vectors, while others may be making theirs.
    pub fn open_part<'p>(
        &self,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> crate::Result<pipeline::Run<'p>> {
        require_folder(&self.run)?;
        let options = pipeline::Options { part: true, ..self.options(global, strict) };
        pipeline::Run::open(&self.run, &options, ui.progress())
    }

    pub fn options(&self, global: &Global, strict: bool) -> pipeline::Options {
        pipeline::Options {
            config: self.config.clone(),
            overrides: self.overrides.clone(),
            labels: self.labels.clone(),
            network: self.network.clone(),
            learn: self.learn,
            seed: global.seed,
            refit: self.refit,
            strict,
            part: false,
            reuse: self.reuse.clone(),
            max_memory: global.max_memory.map(|Bytes(bytes)| bytes),
        }
    }
}

impl ReadFolder {
    /// Opens the run to read it; there must be one.
    pub fn open<'p>(&self, global: &Global, ui: &'p Ui) -> crate::Result<pipeline::Run<'p>> {
        require_folder(&self.run)?;
        let max_memory = global.max_memory.map(|Bytes(bytes)| bytes);
        pipeline::Run::open_to_read(&self.run, max_memory, ui.progress())
    }
}

fn require_folder(run: &Path) -> crate::Result<()> {
    if run.is_dir() { Ok(()) } else { Err(pipeline::no_such_run(run)) }
}
