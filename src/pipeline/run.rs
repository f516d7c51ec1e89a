//! An open run folder: its settings, its places, its lock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::options::{Options, in_force};
use super::place::{Place, Work};
use super::result::StageResult;
use super::source::area_kinds;
use crate::artifacts::{Hold, RunLock, write_atomically};
use crate::config::{Config, Sourced};
use crate::dataset::{Dataset, require_two_classes};
use crate::error::{Error, Result};
use crate::files;
use crate::progress::Progress;
use crate::store::{self, Kind, Paths, Source};
use crate::words::nearest;

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
    let runs = beside.filter(|entry| Paths::new(&entry.path()).config().is_file());
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
    /// The folder itself: classifier, evaluation, results.
    pub(crate) home: Place<'p>,
    /// Where vectors are made: the channels, or the folder itself.
    pub(crate) parts: Vec<Part<'p>>,
    /// Not held by who only reads.
    _lock: Option<RunLock>,
}

/// What makes one part of the joint vector.
pub(crate) struct Part<'p> {
    pub(crate) place: Place<'p>,
    /// Weight of its channel, relative to those of the others.
    pub(crate) weight: f64,
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
        let stored = Paths::new(dir).config();
        let sourced = in_force(dir, options)?;
        store::check(dir)?;
        if let Some(run) = options.reuse.iter().find(|run| !run.is_dir()) {
            return Err(no_such_run(run));
        }
        let hold = if options.part { Hold::Shared } else { Hold::Alone };
        let text = sourced.config.to_toml();
        let same = files::read_text(&stored).ok().as_deref() == Some(&text);
        if options.part && !same {
            return Err(other_settings(dir, &stored));
        }
        let lock = RunLock::acquire(dir, hold)?;
        if lock.is_missing() {
            progress.note(&format!(
                "{}: the file system has no locks; see that no other command works in this folder{}",
                dir.display(),
                if options.part { " but other parts" } else { "" }
            ));
        }
        let run = Self::with(dir, sourced, options, Some(lock), progress)?;
        if !same {
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
        let stored = Paths::new(dir).config();
        if !stored.exists() {
            return Err(Error::Missing {
                what: format!("{} (the settings of a run)", stored.display()),
                hint: "name a folder that `fvtool run` made".into(),
            });
        }
        let options = Options { max_memory, strict: true, ..Options::default() };
        let sourced = in_force(dir, &options)?;
        let run = Self::with(dir, sourced, &options, None, progress)?;
        for Part { place, .. } in run.parts.iter().filter(|p| p.place.path(Kind::Pca).exists()) {
            if place.config.layer.reads() {
                continue;
            }
            let sample = place.path(Kind::Sample);
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
        let without_lock = lock.as_ref().is_some_and(RunLock::is_missing);
        let work = Arc::new(Work::new(options, without_lock, progress));
        let networks = work.seen.networks();
        let settled = |config: &Config| -> Result<(Config, Value)> {
            let identity = networks.identity(config)?.unwrap_or_else(|| json!({}));
            Ok((networks.resolved(config)?, identity))
        };
        let given = &sourced.config;
        let of_channels: Vec<(Config, Value)> = given
            .channel
            .iter()
            .map(|channel| settled(&given.of_channel(channel)?))
            .collect::<Result<_>>()?;
        let (config, network) = match of_channels.is_empty() {
            true => settled(given)?,
            false => (given.clone(), json!({})),
        };
        let vectors = vector_settings(&config, &network, &of_channels);
        let paths = Paths::new(dir);
        let home = Place { paths, vectors, config, network, channel: None, work };
        let part = |(channel, (config, network)): (&crate::config::Channel, (Config, Value))| {
            let name = channel.name.clone();
            let paths = home.paths.channel(&name);
            let vectors = vector_settings(&config, &network, &[]);
            let (channel_name, work) = (Some(name), home.work.clone());
            let place = Place { paths, vectors, config, network, channel: channel_name, work };
            Part { place, weight: channel.weight }
        };
        let mut parts: Vec<Part<'p>> =
            home.config.channel.iter().zip(of_channels).map(part).collect();
        parts.iter().try_for_each(|part| part.place.refuse_other_settings())?;
        home.refuse_other_settings()?;
        if parts.is_empty() {
            parts.push(Part { place: home.clone(), weight: 1.0 });
        }
        sourced.idle_flags()?.iter().for_each(|flag| progress.note(flag));
        Ok(Self { home, parts, _lock: lock })
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
        let config = in_force(dir, options)?.config;
        let dataset = Dataset::open(data, &config.data, config.seed)?;
        for name in splits {
            let split = dataset.split_with(name, &area_kinds(&config)?)?;
            if trained == Some(name) {
                require_two_classes(&split)?;
            }
        }
        Ok(())
    }

    /// The settings of a command that needs no run: the preset's, with what the options say.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub fn settings_without_run(options: &Options) -> Result<Config> {
        Ok(in_force(Path::new(""), options)?.config)
    }

    /// The data folder that a command means: the one that is given; beside a table of labels its folder; or
    /// the one that the run in `dir` was fitted to.
    ///
    /// # Errors
    /// [`Error::Missing`] when none of these is known; as [`Run::open`].
    pub fn data_folder(dir: &Path, options: &Options, given: Option<&Path>) -> Result<PathBuf> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        let of_table = |table: &Path| {
            let folder = table.parent().filter(|folder| !folder.as_os_str().is_empty());
            folder.unwrap_or(Path::new(".")).to_owned()
        };
        if let Some(labels) = &options.labels {
            return Ok(of_table(labels));
        }
        if let Some(source) = Source::read(&Paths::new(dir).source())? {
            return Ok(source.data);
        }
        let (what, hint) = ("a data folder".into(), "give --data DIR, or --labels FILE.csv".into());
        Err(Error::Missing { what, hint })
    }

    /// The splits of a data folder that are usually trained and tested on, by their names.
    ///
    /// # Errors
    /// As [`Dataset::open`]; [`Error::Data`] when there are no such names.
    pub fn usual_splits(dir: &Path, options: &Options, data: &Path) -> Result<[Option<String>; 2]> {
        let config = in_force(dir, options)?.config;
        let dataset = Dataset::open(data, &config.data, config.seed)?;
        Ok(dataset.usual_splits())
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.home.config
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.home.paths.dir()
    }

    /// The stages that ended since the run was opened.
    pub fn results(&self) -> Vec<StageResult> {
        self.home.work.results()
    }

    /// Whether vectors are joined of several channels.
    pub(crate) fn has_channels(&self) -> bool {
        !self.home.config.channel.is_empty()
    }

    /// Whether descriptors of some channel come from a network.
    pub(crate) fn has_network(&self) -> bool {
        self.places().iter().any(|place| place.config.descriptors.kind.is_of_network())
    }

    /// The places of all parts.
    pub(crate) fn places(&self) -> Vec<&Place<'p>> {
        self.parts.iter().map(|part| &part.place).collect()
    }
}

/// The error for a part of a run that has no settings, or others.
fn other_settings(dir: &Path, stored: &Path) -> Error {
    if stored.exists() {
        let problem = "a part is made with the settings that the run has, and these are others; leave \
                       --config, --set and the like out, or make the models again with them first";
        return Error::artifact(stored, problem);
    }
    Error::Missing {
        what: format!("{} (the settings of a run)", stored.display()),
        hint: format!(
            "fit the models first, on one machine: `fvtool fit-gmm --data DATA --split SPLIT --run {}`",
            dir.display()
        ),
    }
}

/// The settings that give a vector its meaning: of the run, or of its channels.
fn vector_settings(config: &Config, network: &Value, of_channels: &[(Config, Value)]) -> Value {
    let of_one = |config: &Config, network: &Value| {
        let mut settings = json!({ "encoding": config.encoding });
        let of_network = network.as_object().into_iter().flatten();
        of_network.for_each(|(key, value)| settings[key] = value.clone());
        settings
    };
    if of_channels.is_empty() {
        return of_one(config, network);
    }
    let settings = config.channel.iter().zip(of_channels).map(|(channel, (config, network))| {
        let mut settings = of_one(config, network);
        settings["name"] = json!(channel.name);
        settings["weight"] = json!(channel.weight);
        settings
    });
    json!({ "channels": settings.collect::<Vec<_>>() })
}
