//! A stage as a value, and the one place that decides whether its artifact is reused, refused or made.
//!
//! ```text
//! inputs ─ artifact with this fingerprint? ─ yes: reused
//!                │ no
//!                ├─ one of the runs to reuse has it: taken over
//!                ├─ there is none, or --refit: made      (for several channels in one pass over the images)
//!                ├─ made from the first of these images alone: made again, with a word
//!                └─ made from other inputs: refused, with the differences named
//! ```

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::place::Place;
use super::result::{StageResult, Stamp};
use crate::artifacts::{Artifact, is_ours, take};
use crate::config::{differences, effective_inputs};
use crate::error::{Error, Result};
use crate::memory::Need;
use crate::store::{
    Inputs, Kind, Paths, Stored, in_words, is_idle_limit, lacks, report_of, was_waiting,
};

/// What makes one artifact of one place.
pub(crate) trait Stage: Sync {
    /// What it makes.
    type Model: Stored + Send;
    /// What happened meanwhile, as the artifact holds it.
    type Report: Serialize + DeserializeOwned + Send;

    /// What the artifact is.
    const KIND: Kind;
    /// Whether a line says how it ended; a shard is a part of a stage.
    const IS_TOLD: bool = true;

    /// Where it works.
    fn place(&self) -> &Place<'_>;

    /// The artifact.
    fn path(&self) -> PathBuf {
        self.place().path(Self::KIND)
    }

    /// What it is made from. Asked for before it is made only where there is something to compare.
    fn inputs(&self) -> Result<&Inputs>;

    /// Whether an image that could not be read can be read now.
    fn is_back(&self, _id: &str) -> bool {
        false
    }

    /// Whether a stored artifact is that of the first of its images alone.
    fn has_grown(&self, _stored: &Artifact) -> Result<bool> {
        Ok(false)
    }

    /// Told of what its artifact is made from, once that is up to date.
    fn settle(&self, _inputs: &Inputs) {}

    /// What was made, in a few words for people.
    fn summary(_made: &[Made<Self::Model, Self::Report>]) -> String {
        String::new()
    }

    /// What it allocates.
    fn need(&self) -> Need;

    /// Makes the artifacts of all these in one pass, in their order.
    fn make(missing: &[&Self]) -> Result<Vec<Made<Self::Model, Self::Report>>>;
}

/// What a stage made.
pub(crate) struct Made<M, R> {
    pub(crate) model: M,
    pub(crate) report: R,
    /// Images that could not be read when they were needed, though they could when they were hashed.
    pub(crate) lacking: Vec<String>,
}

/// An artifact that is up to date.
pub(crate) struct Ready<R> {
    pub(crate) stamp: Stamp,
    /// What it was made from, as it holds that.
    pub(crate) inputs: Inputs,
    pub(crate) report: R,
}

/// Brings the artifacts of a stage up to date, one for each place.
///
/// # Errors
/// [`Error::Stale`] when one was made from other inputs and the run does not `refit`; as the stage.
pub(crate) fn bring_up_to_date<S: Stage>(stages: &[S]) -> Result<Vec<Ready<S::Report>>> {
    let started = Instant::now();
    let kept: Vec<Option<Ready<S::Report>>> = stages.iter().map(kept_of).collect::<Result<_>>()?;
    let missing: Vec<&S> =
        stages.iter().zip(&kept).filter_map(|(s, kept)| kept.is_none().then_some(s)).collect();
    let made = match missing.first() {
        None => Vec::new(),
        Some(first) => {
            let need = || Ok(Need::together(missing.iter().map(|stage| stage.need())));
            first.place().work.memory.within(need, || S::make(&missing))??
        }
    };
    let summary = S::summary(&made);
    let mut made = made.into_iter();
    let mut ready = Vec::new();
    for (stage, kept) in stages.iter().zip(kept) {
        ready.push(match kept {
            Some(kept) => kept,
            None => store(stage, made.next().expect("a stage makes what it is asked for"))?,
        });
        stage.settle(&ready.last().expect("it was just pushed").inputs);
    }
    if S::IS_TOLD {
        say(stages, &ready, summary, started);
    }
    Ok(ready)
}

/// Writes what a stage made.
fn store<S: Stage>(stage: &S, made: Made<S::Model, S::Report>) -> Result<Ready<S::Report>> {
    let inputs = stage.inputs()?.lacking(&made.lacking);
    let header = inputs.header(S::KIND.name(), json!(made.report));
    let path = stage.path();
    stage.place().work.write(&path, &header, &made.model.tensors())?;
    let stamp = Stamp { path, fingerprint: inputs.fingerprint.clone(), made: true };
    Ok(Ready { stamp, inputs, report: made.report })
}

/// Says how a stage ended: for what was made, and for what was there. Channels are named where not all of
/// them ended alike, or only one of them is asked for.
fn say<S: Stage>(stages: &[S], ready: &[Ready<S::Report>], summary: String, started: Instant) {
    let (made, kept): (Vec<usize>, Vec<usize>) =
        (0..stages.len()).partition(|&i| ready[i].stamp.made);
    let alike = made.is_empty() || kept.is_empty();
    let finish = |of: &[usize], result: StageResult| {
        let names = of.iter().filter_map(|&i| stages[i].place().channel.clone());
        let channels = if alike && stages.len() > 1 { Vec::new() } else { names.collect() };
        let artifacts = of.iter().map(|&i| ready[i].stamp.path.clone()).collect();
        stages[0].place().work.finish(StageResult { channels, artifacts, ..result });
    };
    let stage = S::KIND.stage();
    if !made.is_empty() {
        finish(&made, StageResult::made(stage, Vec::new(), summary, started));
    }
    if !kept.is_empty() {
        finish(&kept, StageResult::nothing_to_do(stage, Vec::new()));
    }
}

/// The artifact of a stage with its inputs, when it is the one of these, perhaps without images that could
/// not be read and are not back; nothing when it must be made.
///
/// # Errors
/// [`Error::Stale`] when it was made from other inputs and the run does not `refit`.
fn kept_of<S: Stage>(stage: &S) -> Result<Option<Ready<S::Report>>> {
    let (place, path) = (stage.place(), stage.path());
    let refit = place.work.refit;
    let ready = |inputs: Inputs, artifact: &Artifact| {
        let (path, fingerprint) = (path.clone(), inputs.fingerprint.clone());
        let stamp = Stamp { path, fingerprint, made: false };
        Ok(Some(Ready { stamp, inputs, report: report_of(artifact)? }))
    };
    if !path.exists() {
        // Without a run to take it from, images need not be read to know what they would give.
        if place.work.reuse.is_empty() {
            return Ok(None);
        }
        return match place.take_over(&path, stage.inputs()?)? {
            Some((inputs, artifact)) => ready(inputs, &artifact),
            None => Ok(None),
        };
    }
    let stored = match Artifact::open(&path) {
        Ok(artifact) => artifact,
        Err(_) if refit && is_ours(&path) => return Ok(None),
        Err(error) => return Err(error),
    };
    let header = stored.header();
    let lacks = lacks(&stored);
    let inputs = &stage.inputs()?.as_in(&stored);
    let lacking = inputs.lacking(&lacks);
    let found = header.fingerprint == lacking.fingerprint;
    // The data are checked by the stage that reads them; what is made again or refused is
    // looked at as a whole, since damage can look like another setting.
    if found && !lacks.iter().any(|id| stage.is_back(id)) {
        if refit && stored.verify().is_err() {
            return Ok(None);
        }
        return ready(lacking, &stored);
    }
    if refit {
        return Ok(None);
    }
    stored.verify()?;
    let changes = inputs.changes_since(&header.inputs);
    let why = if found || was_waiting(&header.inputs, &inputs.value, &changes) {
        "made while images could not be read that can be read now"
    } else if stage.has_grown(&stored)? {
        "made of the first of these images; others came after them"
    } else {
        return Err(Error::Stale { path, changes: in_words(&changes) });
    };
    place.work.progress.note(&format!("{}: {why}; made again", path.display()));
    Ok(None)
}

impl Place<'_> {
    /// Takes the artifact of `inputs` from one of the runs that may be reused, whichever channel made
    /// it there; `None` when none has it.
    fn take_over(&self, path: &Path, inputs: &Inputs) -> Result<Option<(Inputs, Artifact)>> {
        for place in self.reusable(path) {
            let Ok(found) = Artifact::open(&place) else { continue };
            let inputs = inputs.as_in(&found);
            let same = |a: &Artifact| a.header().fingerprint == inputs.fingerprint;
            if !same(&found) {
                continue;
            }
            let whole =
                |taken: &Path| Artifact::open(taken).is_ok_and(|a| same(&a) && a.verify().is_ok());
            if take(&place, path, whole)? {
                return Ok(Some((inputs, Artifact::open(path)?)));
            }
        }
        Ok(None)
    }

    /// Where the runs that may be reused have what lies at `path` here.
    pub(crate) fn reusable(&self, path: &Path) -> Vec<PathBuf> {
        let within = path.strip_prefix(self.paths.dir()).expect("artifacts lie in their run");
        let of_run = |run: &PathBuf| {
            let mut places = vec![run.join(within)];
            if let Ok(channels) = std::fs::read_dir(Paths::new(run).channels()) {
                places.extend(channels.flatten().map(|channel| channel.path().join(within)));
                places[1..].sort();
            }
            places
        };
        self.work.reuse.iter().flat_map(of_run).collect()
    }

    /// Refuses a configuration under which something in the folder was not made, before any work.
    pub(crate) fn refuse_other_settings(&self) -> Result<()> {
        if self.work.refit {
            return Ok(());
        }
        for kind in Kind::all() {
            let path = self.path(kind);
            let paths = if kind == Kind::Fisher { first_shards(&path) } else { vec![path] };
            for path in paths {
                // A damaged file is the business of the stage that needs it.
                let Ok(artifact) = Artifact::open(&path) else { continue };
                self.refuse_settings_of(&artifact, kind)?;
            }
        }
        Ok(())
    }

    /// Refuses an artifact that was made with other settings than those in force.
    pub(crate) fn refuse_settings_of(&self, artifact: &Artifact, kind: Kind) -> Result<()> {
        let settings = |of: &serde_json::Value| effective_inputs(&json!({ "settings": of }));
        let stored = settings(&artifact.header().inputs["settings"]);
        let mut changes = differences(&stored, &settings(&self.settings(kind)));
        changes.retain(|change| !is_idle_limit(artifact, change));
        if changes.is_empty() || artifact.verify().is_err() {
            return Ok(());
        }
        Err(Error::Stale { path: artifact.path().to_owned(), changes: in_words(&changes) })
    }
}

/// The first shard of every split.
fn first_shards(vectors: &Path) -> Vec<PathBuf> {
    let first = |split: std::fs::DirEntry| Paths::shard(&split.path(), 0);
    let splits = std::fs::read_dir(vectors).into_iter().flatten().flatten();
    let mut shards: Vec<PathBuf> = splits.map(first).collect();
    shards.sort();
    shards
}
