//! What fitting a model allocates.

use super::laplace::em::MOST_PAIRS;
use super::parts::Parts;
use super::vae::network::Sizes;
use super::vae::train::{BATCH, PIECE};
use crate::gmm::{self, Family, Params};
use crate::linalg::{BLOCK_ROWS, TASKS};
use crate::memory::Need;

/// The projected rows, what the Gaussian mixture needs that a fit starts from, and what the family's own
/// fit adds: sums of all tasks, pairs of rows and components, or a network with its gradients.
pub fn need(rows: usize, params: &Params, dim: usize) -> Need {
    let parts = Parts::of(params, dim);
    let (n, k, d) = (rows as u64, parts.components as u64, dim as u64);
    let q = parts.factors as u64;
    let (tasks, block) = (TASKS as u64 + 2, BLOCK_ROWS as u64);
    if params.family == Family::Gaussian {
        return gmm::memory::need(rows, parts.components, dim);
    }
    let (fixed, each, what) = match params.family {
        Family::Laplace => {
            let pairs = k.min(MOST_PAIRS as u64);
            // Twice, while the tasks' lists are joined; values of one dimension for each worker.
            let what = format!("2·{n}·{pairs}·8 of pairs");
            (2 * n * pairs * 8, n.min(n * pairs) * 8, what)
        }
        Family::FactorAnalysers => {
            let sums = tasks * k * (1 + 2 * d + d * q) * 8;
            (sums + n * 8, d * d * 16, format!("{tasks}·{k}·(1 + 2·{d} + {d}·{q})·8 of sums"))
        }
        _ => {
            let sizes = Sizes { dim, code: parts.factors, hidden: parts.components - 1 };
            let values = sizes.len() as u64;
            let pieces = (BATCH / PIECE) as u64;
            let sums = tasks * k * d * 8;
            let what = format!("{values} parameters · {}·8, {tasks}·{k}·{d}·8 of sums", 4 + pieces);
            let fixed = values * (4 + pieces) * 8 + sums + n * 8;
            (fixed, block * 8 * (4 * 256 + 2 * k + 4 * d), what)
        }
    };
    let start = match params.family {
        Family::Vae => n * 4 * d,
        _ => gmm::memory::need(rows, parts.components, dim).fixed,
    };
    let each = each + block_bytes(&parts) + gmm_block(&parts);
    Need {
        stage: "fit-gmm",
        fixed: start + fixed,
        each,
        formula: format!(
            "sample.rows {n}: {start} for rows and their start, {what}, + {each} a worker"
        ),
        way_out: "lower sample.rows, gmm.components, gmm.factors or gmm.hidden, or raise --max-memory",
    }
}

/// Bytes of a worker's buffers for one block under a model of these sizes.
pub fn block_bytes(parts: &Parts) -> u64 {
    let (k, d, q) = (parts.components as u64, parts.dim as u64, parts.factors as u64);
    let block = BLOCK_ROWS as u64;
    match parts.family {
        Family::Gaussian => gmm_block(parts),
        // Rows in f64, posteriors, pairs in vectors that double, columns of some pairs.
        Family::Laplace => block * (8 * d + 24 * k) + 256 * 24 * d,
        Family::FactorAnalysers => block * (32 * d + 24 * k + 8 * k * q) + 256 * 8 * (3 + q) * d,
        Family::Vae => block * 8 * (4 * 256 + 2 * k + 4 * d),
    }
}

fn gmm_block(parts: &Parts) -> u64 {
    let (k, d) = (parts.components as u64, parts.dim as u64);
    BLOCK_ROWS as u64 * (8 * d + 24 * k)
}
