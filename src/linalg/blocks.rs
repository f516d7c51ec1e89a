//! How rows are cut into blocks and tasks: by their number alone, never by that of the threads.

/// Rows handled together by the blocked kernels: a block of inputs and its results stay in cache.
pub const BLOCK_ROWS: usize = 1024;

/// Most tasks that a sum over rows is cut into.
pub const TASKS: usize = 64;

/// Rows of one task when `rows` are summed in parallel and the tasks' sums added in order. It
/// depends on the number of rows alone, so that the result does not depend on the number of threads;
/// about [`TASKS`] tasks, so that threads end together and the sums need little memory.
pub fn task_rows(rows: usize) -> usize {
    rows.div_ceil(TASKS).next_multiple_of(BLOCK_ROWS)
}
