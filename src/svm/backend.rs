//! What a solver is: it brings machines to their tolerance, on rows that it holds.

use ndarray::Array2;

use super::machine::Machine;
use crate::Result;
use crate::progress::Progress;

/// When a machine is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub tolerance: f64,
    pub max_epochs: usize,
    /// Whether the machines are only asked for the scores of images held out: then a gap on a rounded
    /// Gram matrix will do.
    pub trial: bool,
}

/// What solves a set of binary problems over the same rows.
pub(super) trait Backend {
    /// Brings every machine that is not done to the tolerance, starting from its dual variables.
    /// Afterwards the margins of every row, left out or not, belong to these variables.
    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()>;

    /// The weights of solved machines, `M × dim`.
    fn weights(&self, machines: &[Machine]) -> Array2<f32>;
}
