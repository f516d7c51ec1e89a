//! What fitting a mixture allocates.

use crate::clustering::SEEDING_ROWS_PER_CENTRE;
use crate::linalg::{BLOCK_ROWS, TASKS};
use crate::memory::Need;

/// The projected rows, the sums of all tasks or the rows that centres are seeded with, and for every
/// worker a block with its posteriors.
pub fn need(rows: usize, components: usize, dim: usize) -> Need {
    let (rows, k, d) = (rows as u64, components as u64, dim as u64);
    let (tasks, seeding) = (TASKS as u64 + 2, SEEDING_ROWS_PER_CENTRE as u64);
    let sums = tasks * k * (1 + 2 * d) * 8;
    let seeds = (seeding * k).min(rows) * d * 4;
    let each = BLOCK_ROWS as u64 * (4 * d + 24 * k) + k * (1 + 2 * d) * 16;
    Need {
        stage: "fit-gmm",
        fixed: rows * (4 * d + 12) + sums.max(seeds),
        each,
        formula: format!(
            "sample.rows {rows} · (4·{d} + 12) + the larger of {tasks}·{k}·(1 + 2·{d})·8 and \
             {seeding}·{k}·{d}·4, + {each} a worker"
        ),
        way_out: "lower sample.rows or gmm.components, or raise --max-memory",
    }
}
