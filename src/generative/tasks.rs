//! Rows summed by parallel tasks of fixed size.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::{BLOCK_ROWS, Pool, task_rows};
use crate::progress::Progress;

/// What each task makes of its rows, in the order of the rows: `add` is given blocks, the number of their
/// first row, a buffer and the task's value. The same bits for any number of threads.
///
/// # Errors
/// As `add`; [`Error::Interrupted`].
pub(super) fn over_tasks<T: Send, S: Default + Send>(
    rows: ArrayView2<'_, f32>,
    progress: &dyn Progress,
    start: impl Fn() -> T + Sync,
    add: impl Fn(ArrayView2<'_, f32>, usize, &mut S, &mut T) -> Result<()> + Sync,
) -> Result<Vec<T>> {
    let per_task = task_rows(rows.nrows());
    let tasks: Vec<_> = rows.axis_chunks_iter(Axis(0), per_task).enumerate().collect();
    let buffers = Pool::<S>::default();
    let one = |(number, rows): (usize, ArrayView2<'_, f32>)| {
        let mut value = start();
        buffers.with(|buffer| {
            for (block, rows) in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS).enumerate() {
                if progress.interrupted() {
                    return Err(Error::Interrupted);
                }
                add(rows, number * per_task + block * BLOCK_ROWS, buffer, &mut value)?;
            }
            Ok(value)
        })
    };
    tasks.into_par_iter().with_max_len(1).map(one).collect()
}
