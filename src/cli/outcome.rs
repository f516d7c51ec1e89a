//! How a command ended, if it did not fail.

use std::path::Path;

use crate::pipeline;
use crate::words::counted;

use super::args::Faults;

/// Whether everything was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Something was left out: what, in a line that is said even when quiet.
    Partly(String),
    /// A check found something: how much.
    Found(String),
}

impl Outcome {
    /// The outcome of explanations that left images out, which notes have named.
    pub fn of_left_out(run: &pipeline::Run<'_>) -> Self {
        Self::of_left_out_of_any(std::slice::from_ref(run))
    }

    /// The same, of several runs.
    pub fn of_left_out_of_any(runs: &[pipeline::Run<'_>]) -> Self {
        match runs.iter().map(pipeline::Run::left_out_of_explanations).sum::<usize>() {
            0 => Self::Done,
            1 => Self::Partly("an image could not be read any more and was left out".into()),
            images => Self::Partly(format!(
                "{images} images could not be read any more and were left out"
            )),
        }
    }

    /// The outcome of work that skipped some images, which `list` names.
    pub fn of_skipped(skipped: usize, list: &Path, faults: &Faults) -> Self {
        if skipped == 0 || faults.allow_skipped {
            return Self::Done;
        }
        Self::Partly(format!(
            "{} skipped, see {}; everything else is done (--allow-skipped makes that a success)",
            counted(skipped, "image"),
            list.display()
        ))
    }
}
