//! Dense linear algebra that every stage shares: products, exponentials, sums in fixed order.
//!
//! Matrices are row-major, one observation a row. Products are sequential inside and found to use
//! the widest instructions at run time; callers run them in parallel over fixed blocks of rows, so
//! that results are the same bits for any number of threads.

mod blocks;
mod elementwise;
mod exp;
mod gram;
mod lanes;
mod pool;
mod processor;
mod product;
mod rows;
mod widest;

pub use blocks::{BLOCK_ROWS, TASKS, task_rows};
pub use elementwise::{
    add_to_f64, add_to_rows, argmax_rows, keep_smaller_distances, mean_of_rows, sum_rows,
};
pub(crate) use exp::EXP_UNDERFLOW;
pub use exp::softmax_rows;
pub use gram::{add_gram, add_gram_f32};
pub use lanes::{LANES, dot, fold_lanes, norm};
pub use pool::Pool;
pub use processor::{instructions, unsupported};
pub use product::{add_wide_gram, gram, mirror_lower, multiply, multiply_add};
pub use rows::{Blanked, Chosen, Columns, Joined, Rows, Stacked, stream};

/// Index of the first value that is NaN or infinite.
pub fn first_not_finite(values: &[f32]) -> Option<usize> {
    values.iter().position(|v| !v.is_finite())
}
