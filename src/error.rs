//! Errors a user can act on: what failed, where, expected against got, and the way out.
//!
//! Messages are lower case without a full stop; a hint stands after a semicolon.

use std::path::{Path, PathBuf};

use crate::plain;

/// Everything that can go wrong in fvtool. The message is complete: it names the file or the
/// setting, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An array does not have the number of columns (or values) that its consumer needs.
    #[error("{what}: expected {expected} values, got {got}")]
    Shape {
        /// The array, in the user's words.
        what: &'static str,
        /// What the consumer needs.
        expected: usize,
        /// What it was given.
        got: usize,
    },
    /// A setting is outside its range.
    #[error("setting `{key}` is {value}; it must be {range}")]
    Setting {
        /// Dotted configuration key, for example `gmm.components`.
        key: String,
        /// The value as given.
        value: String,
        /// The admissible range in words.
        range: String,
    },
    /// A configuration file or `--set` cannot be read.
    #[error("{origin}: {problem}")]
    Config {
        /// File, preset or flag.
        origin: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {reason}", plain::path(path))]
    Io {
        /// The verb: `read`, `write`, `create`, `list`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer. Part of the message, and so no `source` of it: who prints the chain
        /// of an error would say it twice.
        reason: std::io::Error,
    },
    /// An image file is not an image that can be decoded.
    #[error("{}: {problem}", plain::path(path))]
    Image {
        /// The image.
        path: PathBuf,
        /// Why it cannot be used.
        problem: String,
    },
    /// An image that the caller holds in memory, and so has no file, cannot be used.
    #[error("image in memory: {problem}")]
    InMemory {
        /// Why it cannot be used.
        problem: String,
    },
    /// A data set (folder, list, annotation) is not what it should be.
    #[error("{}: {problem}", plain::path(path))]
    Data {
        /// The list, annotation or folder, with `:line` where there is one.
        path: PathBuf,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// A stored artifact is damaged, of another kind, or of another format version.
    #[error("{}: {problem}", plain::path(path))]
    Artifact {
        /// The artifact.
        path: PathBuf,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// The file of a network cannot be used, or cannot be used for an image.
    #[error("{}: {problem}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// An artifact was made with other settings than the present ones.
    #[error(
        "{}: made with other settings: {changes}; use another --run folder, go back to the old setting, or pass --refit to make it again",
        plain::path(path)
    )]
    Stale {
        /// The artifact.
        path: PathBuf,
        /// Each differing setting with both values.
        changes: String,
    },
    /// A step that needs something earlier does not find it.
    #[error("{what} is missing; {hint}")]
    Missing {
        /// What is missing.
        what: String,
        /// The command that makes it.
        hint: String,
    },
    /// A computation met a NaN or an infinity in its input, or cannot be carried out.
    #[error("{what}: {problem}")]
    Numerical {
        /// The computation.
        what: &'static str,
        /// What happened, and the way out.
        problem: String,
    },
    /// A stage does not fit into the memory it may use.
    #[error(
        "{stage} needs up to {needed_mb} MB, --max-memory allows {limit_mb} MB (bytes: {formula}); {way_out}"
    )]
    Memory {
        /// The stage.
        stage: &'static str,
        /// What it needs with one worker, in MB.
        needed_mb: u64,
        /// What it may use, in MB.
        limit_mb: u64,
        /// How the need comes about.
        formula: String,
        /// What to change.
        way_out: &'static str,
    },
    /// The caller asked to stop (Ctrl-C). What is kept depends on what was asked for: the stages that
    /// were finished, and every whole shard of vectors.
    #[error("interrupted")]
    Interrupted,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The same error once more: an image that cannot be read is missed by every channel.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Io { action, path, reason } => {
                let reason = std::io::Error::new(reason.kind(), reason.to_string());
                Self::Io { action, path: path.clone(), reason }
            }
            Self::Image { path, problem } => {
                Self::Image { path: path.clone(), problem: problem.clone() }
            }
            other => Self::Data { path: PathBuf::new(), problem: other.to_string() },
        }
    }

    /// Wraps a system error with the verb and the path it happened on.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |reason| Self::Io { action, path, reason }
    }

    /// A data-set error at a path.
    pub fn data(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Data { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// An artifact error at a path.
    pub fn artifact(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Artifact { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// A network error at a path.
    pub fn network(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Network { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// A setting outside its range.
    pub fn setting(key: impl Into<String>, value: impl ToString, range: impl Into<String>) -> Self {
        Self::Setting { key: key.into(), value: value.to_string(), range: range.into() }
    }

    /// Checks one setting: `Err` with key, value and range unless `holds`.
    ///
    /// # Errors
    /// [`Error::Setting`] when `holds` is false.
    pub fn require(holds: bool, key: &str, value: impl ToString, range: &str) -> Result<()> {
        if holds { Ok(()) } else { Err(Self::setting(key, value, range)) }
    }
}
