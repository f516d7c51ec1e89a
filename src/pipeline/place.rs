//! Where stages work: the run's own folder, or that of one of its channels, and what all of them share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::options::Options;
use super::result::StageResult;
use crate::artifacts::{self, Header, Target, Tensor, write_among_others, write_atomically};
use crate::config::Config;
use crate::describer::Seen;
use crate::error::{Error, Result};
use crate::memory::Memory;
use crate::progress::Progress;
use crate::store::{Kind, Notes, Paths, Results};

/// What the places of an open run share.
pub(crate) struct Work<'p> {
    /// Make again what was made from other inputs.
    pub(crate) refit: bool,
    /// Stop at the first image that cannot be used.
    pub(crate) strict: bool,
    /// A part of the work is made, while others make theirs.
    pub(crate) part: bool,
    /// Others may be writing in the same folder at the same time.
    pub(crate) shared: bool,
    /// Runs whose artifacts may be taken over.
    pub(crate) reuse: Vec<PathBuf>,
    pub(crate) memory: Memory,
    pub(crate) progress: &'p dyn Progress,
    /// Images as the command at hand saw them first.
    pub(crate) seen: Arc<Seen>,
    /// Times that an explanation left an image out.
    pub(crate) left_out: AtomicUsize,
    /// What was said and is not to be said again: a run held open for several commands in a row, as by
    /// the demo, looks at everything again for each; and a bad file is met by several stages.
    said: Mutex<BTreeSet<String>>,
    results: Mutex<Vec<StageResult>>,
}

impl<'p> Work<'p> {
    pub(crate) fn new(options: &Options, without_lock: bool, progress: &'p dyn Progress) -> Self {
        Self {
            refit: options.refit,
            strict: options.strict,
            part: options.part,
            shared: options.part || without_lock,
            reuse: options.reuse.clone(),
            memory: Memory::new(options.max_memory),
            progress,
            seen: Arc::default(),
            left_out: AtomicUsize::new(0),
            said: Mutex::default(),
            results: Mutex::default(),
        }
    }

    /// Ends a stage that the user asked to stop.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.progress.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Writes an artifact, whole or not at all, whoever else is writing to the run.
    pub(crate) fn write(&self, path: &Path, header: &Header, tensors: &[Tensor<'_>]) -> Result<()> {
        let write = if self.shared { artifacts::write_description } else { artifacts::write };
        write(path, header, tensors)
    }

    /// The same of a text.
    pub(crate) fn write_text(&self, path: &Path, text: &str) -> Result<()> {
        let fill = |file: &mut dyn Target| file.write_all(text.as_bytes());
        match self.shared {
            true => write_among_others(path, fill),
            false => write_atomically(path, fill),
        }
    }

    /// Whether something is said for the first time.
    pub(crate) fn is_new(&self, text: &str) -> bool {
        locked(&self.said).insert(text.to_owned())
    }

    /// Names an image that cannot be used, once for each open run and reason.
    pub(crate) fn skip(&self, id: &str, error: &Error) {
        self.note_once(&format!("skipped {id}: {error}"));
    }

    /// Leaves out an image that cannot be read, and hands the reason back; what is wrong with more than the
    /// image, or any fault where the run is strict, ends the stage.
    pub(crate) fn leave_out(&self, id: &str, error: Error) -> Result<Error> {
        if self.strict || !matches!(error, Error::Image { .. } | Error::Io { .. }) {
            return Err(error);
        }
        self.skip(id, &error);
        Ok(error)
    }

    /// Keeps the result of a stage, and says how it ended.
    pub(crate) fn finish(&self, result: StageResult) {
        let title = result.title();
        // What was made and is looked at again is up to date without a word.
        if self.is_new(&format!("stage {title}")) || result.made {
            self.progress.summary(&title, &result.text());
            locked(&self.results).push(result);
        }
    }

    /// The stages that ended so far.
    pub(crate) fn results(&self) -> Vec<StageResult> {
        locked(&self.results).clone()
    }
}

impl Notes for Work<'_> {
    fn note_once(&self, text: &str) {
        if self.is_new(text) {
            self.progress.note(text);
        }
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder that stages make artifacts in, and the settings that they make them with.
#[derive(Clone)]
pub(crate) struct Place<'p> {
    pub(crate) paths: Paths,
    pub(crate) config: Config,
    /// The channel's name; none for the run itself.
    pub(crate) channel: Option<String>,
    /// What of a network its descriptors depend on; an empty object for other kinds.
    pub(crate) network: Value,
    /// The settings that give the joint vector its meaning.
    pub(crate) vectors: Value,
    pub(crate) work: Arc<Work<'p>>,
}

impl Place<'_> {
    /// The artifact of a kind of which a place has one.
    pub(crate) fn path(&self, kind: Kind) -> PathBuf {
        self.paths.artifact(kind)
    }

    /// The settings in force that artifacts of a kind depend on.
    pub(crate) fn settings(&self, kind: Kind) -> Value {
        let mut settings = kind.settings(&self.config, &self.vectors);
        if matches!(kind, Kind::Sample | Kind::Fisher) {
            let of_network = self.network.as_object().into_iter().flatten();
            of_network.for_each(|(key, value)| settings[key] = value.clone());
        }
        settings
    }

    /// Whether its vectors need no sample, no projection and no mixture.
    pub(crate) fn is_pooled(&self) -> bool {
        self.config.descriptors.kind.is_one_vector()
    }

    /// The results in this folder.
    pub(crate) fn results(&self) -> Results<'_> {
        Results { paths: &self.paths, say: &*self.work }
    }

    /// Before what is said of this place alone.
    pub(crate) fn label(&self) -> String {
        self.channel.as_ref().map_or_else(String::new, |name| format!("{name}: "))
    }
}
