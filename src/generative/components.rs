//! What the mixtures share: posteriors, the pairs of rows and components that count, sums of columns.

use ndarray::{Array2, ArrayView2, Axis};

use super::parts::{Parts, Sums};
use super::scratch::Scratch;
use super::traits::{Components, Generative};
use crate::error::Result;
use crate::gmm::{Assignment, Found};
use crate::linalg::BLOCK_ROWS;
use crate::random::Stream;
use crate::widest;

/// Pairs whose columns are held at once.
const CHUNK: usize = 256;

impl<M: Components> Generative for M {
    fn parts(&self) -> Parts {
        Components::parts(self)
    }

    fn add(
        &self,
        rows: ArrayView2<'_, f32>,
        orders: &[u8],
        assignment: Assignment,
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) -> Result<()> {
        for block in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
            evaluate(self, block, scratch)?;
            select(self, assignment, scratch);
            add_pairs(self, orders, scratch, &mut sums.values);
            sums.rows += block.nrows() as u64;
        }
        Ok(())
    }

    fn moments(&self, order: u8) -> Vec<[f64; 2]> {
        let parts = Components::parts(self);
        let mut information = vec![0.0; parts.width(order)];
        let mut moments = Vec::with_capacity(parts.len(order));
        for component in 0..parts.components {
            let weight = self.weight(component);
            if order == 0 {
                // As customary: posteriors count as 0 or 1.
                moments.push([weight, weight]);
                continue;
            }
            self.information(component, order, &mut information);
            moments.extend(information.iter().map(|&information| [0.0, information]));
        }
        moments
    }

    fn draw(&self, count: usize, stream: &mut Stream) -> Array2<f32> {
        let parts = Components::parts(self);
        let mut sum = 0.0;
        let add = |component| {
            sum += self.weight(component);
            sum
        };
        let cumulative: Vec<f64> = (0..parts.components).map(add).collect();
        let mut rows = Array2::zeros((count, parts.dim));
        for mut row in rows.rows_mut() {
            let at = stream.unit() * sum;
            let component = cumulative.partition_point(|c| *c <= at).min(parts.components - 1);
            self.draw_row(component, stream, row.as_slice_mut().expect("a row of a new array"));
        }
        rows
    }

    fn components(&self) -> Option<&dyn Components> {
        Some(self)
    }
}

impl dyn Components + '_ {
    /// Hands the posteriors of `rows` (`N × D`) that count under `assignment` to `found`, as
    /// [`Evaluator::assign`](crate::gmm::Evaluator::assign).
    ///
    /// # Errors
    /// As [`Generative::add`].
    pub fn assign(
        &self,
        rows: ArrayView2<'_, f32>,
        assignment: Assignment,
        scratch: &mut Scratch,
        found: &mut Found<'_>,
    ) -> Result<()> {
        for (number, block) in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS).enumerate() {
            evaluate(self, block, scratch)?;
            select(self, assignment, scratch);
            for (component, pairs) in scratch.pairs.iter().enumerate() {
                found(component, number * BLOCK_ROWS, pairs);
            }
        }
        Ok(())
    }
}

/// Posteriors of a block of rows, and `ln p(x)` of each.
pub(crate) fn evaluate<M: Components + ?Sized>(
    model: &M,
    rows: ArrayView2<'_, f32>,
    scratch: &mut Scratch,
) -> Result<()> {
    let parts = model.parts();
    scratch.take(parts, rows)?;
    let (n, k) = (rows.nrows(), parts.components);
    let Scratch { rows, posteriors, log_likelihood, products, .. } = scratch;
    posteriors.resize(n * k, 0.0);
    log_likelihood.clear();
    let rows = ArrayView2::from_shape((n, parts.dim), rows).expect("whole rows");
    model.log_joint(rows, products, posteriors);
    for logs in posteriors.chunks_exact_mut(k) {
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for log in logs.iter_mut() {
            *log = (*log - best).exp();
            sum += *log;
        }
        logs.iter_mut().for_each(|gamma| *gamma /= sum);
        log_likelihood.push(best + sum.ln());
    }
    Ok(())
}

/// Puts the posteriors of an evaluated block that count into the lists of their components.
pub(super) fn select<M: Components + ?Sized>(
    model: &M,
    assignment: Assignment,
    scratch: &mut Scratch,
) {
    let k = model.parts().components;
    let Scratch { posteriors, pairs, .. } = scratch;
    pairs.resize_with(k, Vec::new);
    pairs.iter_mut().for_each(Vec::clear);
    for (row, gammas) in (0u32..).zip(posteriors.chunks_exact(k)) {
        match assignment {
            Assignment::Soft { threshold } => {
                for (pairs, &gamma) in pairs.iter_mut().zip(gammas) {
                    if gamma as f32 > threshold {
                        pairs.push((row, gamma as f32));
                    }
                }
            }
            Assignment::Hard => {
                let largest = gammas.iter().copied().fold(0.0, f64::max);
                let winner = gammas.iter().position(|&gamma| gamma == largest);
                pairs[winner.unwrap_or(0)].push((row, 1.0));
            }
        }
    }
}

/// Adds the columns of the selected pairs to sums of `orders`.
fn add_pairs<M: Components + ?Sized>(
    model: &M,
    orders: &[u8],
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    let parts = model.parts();
    let Scratch { rows, pairs, gathered, columns, .. } = scratch;
    let scored: Vec<u8> = orders.iter().copied().filter(|&order| order > 0).collect();
    let width: usize = scored.iter().map(|&order| parts.width(order)).sum();
    let mut of_component = vec![0.0; width];
    for (component, pairs) in pairs.iter().enumerate().filter(|(_, pairs)| !pairs.is_empty()) {
        of_component.fill(0.0);
        for pairs in pairs.chunks(CHUNK).filter(|_| width > 0) {
            gather(rows, parts.dim, pairs, gathered);
            columns.resize(pairs.len() * width, 0.0);
            let gammas: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
            model.scores(component, gathered, &gammas, &scored, columns);
            add_rows(columns, &mut of_component);
        }
        let (mut start, mut from) = (0, 0);
        for &order in orders {
            let (len, width) = (parts.len(order), parts.width(order));
            let to = &mut sums[start + component * width..][..width];
            if order == 0 {
                to[0] += pairs.iter().map(|pair| f64::from(pair.1)).sum::<f64>();
            } else {
                let columns = &of_component[from..from + width];
                to.iter_mut().zip(columns).for_each(|(to, column)| *to += column);
                from += width;
            }
            start += len;
        }
    }
}

/// The rows of pairs, one after the other.
pub(super) fn gather(rows: &[f64], dim: usize, pairs: &[(u32, f32)], gathered: &mut Vec<f64>) {
    gathered.clear();
    for &(row, _) in pairs {
        gathered.extend_from_slice(&rows[row as usize * dim..][..dim]);
    }
}

/// Adds every row to `sums`.
pub(super) fn add_rows(rows: &[f64], sums: &mut [f64]) {
    widest!(<'a> |rows: &'a [f64], sums: &'a mut [f64]| -> () {
        for row in rows.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    });
}
