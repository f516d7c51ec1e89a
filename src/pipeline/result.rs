//! What became of a stage, as a value: the program prints it as a line or as JSON.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

/// A finished stage: where its result is, its fingerprint, and whether it was made just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The artifact.
    pub path: PathBuf,
    /// Its fingerprint.
    pub fingerprint: String,
    /// False when it was already there.
    pub made: bool,
}

/// How a stage ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageResult {
    /// The stage, by the name of its command.
    pub stage: &'static str,
    /// The split that it worked on, where that is part of its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The channels that it worked for; empty for the whole run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Its artifacts; none where it has no file of its own.
    #[serde(serialize_with = "texts")]
    pub artifacts: Vec<PathBuf>,
    /// False when everything was there already.
    pub made: bool,
    /// Seconds that it took.
    pub seconds: f64,
    /// Images encoded in a second; of `encode` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_second: Option<f64>,
    /// Values of a vector of each channel; of `encode` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<usize>,
    /// Most bytes of memory that the process had so far, where the system tells (Linux).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What it made, for people.
    pub summary: String,
}

fn texts<S: serde::Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

impl StageResult {
    /// A stage that had nothing to do.
    pub(crate) fn nothing_to_do(stage: &'static str, channels: Vec<String>) -> Self {
        Self {
            stage,
            split: None,
            channels,
            artifacts: Vec::new(),
            made: false,
            seconds: 0.0,
            images_per_second: None,
            values: Vec::new(),
            peak_memory_bytes: None,
            summary: String::new(),
        }
    }

    /// A stage that made something.
    pub(crate) fn made(
        stage: &'static str,
        channels: Vec<String>,
        summary: String,
        started: Instant,
    ) -> Self {
        Self {
            made: true,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory_bytes(),
            summary,
            ..Self::nothing_to_do(stage, channels)
        }
    }

    /// The same, of a split.
    pub(crate) fn of_split(self, split: &str) -> Self {
        Self { split: Some(split.to_owned()), ..self }
    }

    /// The same, with its artifacts.
    pub(crate) fn with_artifacts(self, artifacts: Vec<PathBuf>) -> Self {
        Self { artifacts, ..self }
    }

    /// Its name in a line: channels, stage, split.
    pub(crate) fn title(&self) -> String {
        let channels = match &self.channels[..] {
            [] => String::new(),
            channels => format!("{}: ", channels.join(", ")),
        };
        let split = self.split.as_ref().map_or_else(String::new, |split| format!(" {split}"));
        format!("{channels}{}{split}", self.stage)
    }

    /// The rest of the line.
    pub(crate) fn text(&self) -> String {
        if !self.made {
            return "up to date".to_owned();
        }
        let memory = self
            .peak_memory_bytes
            .map_or_else(String::new, |bytes| format!(", peak memory {} MB", bytes / 1_000_000));
        format!("{} ({:.1} s{memory})", self.summary, self.seconds)
    }
}

/// Largest resident memory of this process so far, where the system tells (Linux).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
