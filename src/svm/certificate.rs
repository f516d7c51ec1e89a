//! Machines of a large C, judged in f64 by the weights that are stored.
//!
//! The solvers keep dual variables and products in f32, and products are off by about 1e-7 of
//! `Σ α_i ‖x_i‖²`. Where C lets a variable grow to a million, as it does for one image under two
//! labels, that is no longer little beside a margin of 1, and the gap that a solver sees is not the
//! gap. What is stored is then made anew from the dual variables:
//!
//! ```text
//! w = Σ α_i y_i x_i in f64        dual = Σ α_i − ½(‖w‖² + b²) − ½ Σ r_i α_i²
//! (s·w, b) rounded to f32, scored row by row in f64, gives the primal
//! ```
//!
//! A row that rounding leaves 1e-7 short of the margin costs `C·1e-7`, so `s ≥ 1` stretches the weights
//! to where the primal is smallest. Where no weights at all cost less, the bias alone is stored.

use rayon::prelude::*;

use super::machine::{Machine, Objective, zero_of};
use super::penalty::Loss;
use crate::linalg::{self, Rows};
use crate::progress::Progress;
use crate::{Error, Result, widest};

/// `C·(‖x‖² + 1)` from which on machines are judged in f64.
const LARGE: f64 = 1000.0;

/// Rows that stand for all when the length of rows is estimated.
const SAMPLED: usize = 16;

/// Most that weights are stretched by, relative to their length.
const MOST_STRETCHED: f64 = 0.1;

/// Precision of a bias, relative to its size.
const BIAS: f64 = 1e-14;

/// Steps of the search for the best stretch: each takes a third off.
const STRETCHES: usize = 80;

/// Machines that are judged together, so that few passes serve them all and their weights in f64 stay
/// small.
const GROUP: usize = 16;

/// Rows that are read in one step.
const PASS_ROWS: usize = 256;

/// A machine with the model that is stored of it.
pub(super) struct Certified<'m> {
    pub machine: &'m Machine,
    pub weights: Vec<f32>,
    pub bias: f32,
    /// What the dual variables were multiplied by.
    pub stretch: f64,
    pub objective: Objective,
}

/// Whether f32 may have misled a solver.
pub(super) fn is_needed(rows: &dyn Rows, machines: &[Machine]) -> bool {
    let c = machines.iter().map(|m| m.penalty.positive.max(m.penalty.negative)).fold(0.0, f64::max);
    let step = rows.len().div_ceil(SAMPLED).max(1);
    let scratch = &mut Vec::new();
    let mut longest = 0.0f64;
    for i in (0..rows.len()).step_by(step) {
        let row = rows.row(i, scratch);
        longest = longest.max(linalg::dot(row, row));
    }
    c * (longest + 1.0) > LARGE
}

/// The models of solved machines, in their order.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn certify<'m>(
    rows: &dyn Rows,
    machines: &'m [Machine],
    progress: &dyn Progress,
) -> Result<Vec<Certified<'m>>> {
    let groups = machines.chunks(GROUP).map(|group| certify_group(rows, group, progress));
    Ok(groups.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// What is tried for one machine.
struct Trial<'m> {
    machine: &'m Machine,
    dual: f64,
    /// `w·x_i` in f64, and the stretch that is best for it.
    exact: Vec<f64>,
    stretch: f64,
    /// Most that rounding has cost a score so far.
    lost: f64,
    best: Option<Certified<'m>>,
}

fn certify_group<'m>(
    rows: &dyn Rows,
    machines: &'m [Machine],
    progress: &dyn Progress,
) -> Result<Vec<Certified<'m>>> {
    let alphas: Vec<Vec<f64>> = machines.iter().map(feasible).collect();
    let weights = weights(rows, machines, &alphas, progress)?;
    let exact = products(rows, &weights, progress)?;
    let each = machines.par_iter().zip(&alphas).zip(&weights).zip(exact);
    let mut trials: Vec<Trial<'m>> = each
        .map(|(((machine, alpha), w), exact)| {
            let stretch = best_stretch(machine, w, &exact);
            let dual = dual(machine, alpha, w);
            Trial { machine, dual, exact, stretch, lost: 0.0, best: None }
        })
        .collect();
    // As it is, then by what rounding has cost at most, and nothing.
    for step in 0..3 {
        let stretch = |trial: &Trial<'_>| match step < 2 {
            true => trial.stretch * (1.0 + 2.0 * trial.lost),
            false => 0.0,
        };
        let rounded = |(trial, w): (&Trial<'_>, &Vec<f64>)| {
            let stretch = stretch(trial);
            w.iter().map(|w| f64::from((stretch * w) as f32)).collect()
        };
        let stored: Vec<Vec<f64>> = trials.iter().zip(&weights).map(rounded).collect();
        let got = products(rows, &stored, progress)?;
        let each = trials.par_iter_mut().zip(&stored).zip(&got);
        each.for_each(|((trial, stored), got)| trial.judge(stretch(trial), stored, got));
    }
    Ok(trials.into_iter().map(|trial| trial.best.expect("one was tried")).collect())
}

impl Trial<'_> {
    /// Takes stored weights, whose products are given, where they cost less than all before.
    fn judge(&mut self, stretch: f64, stored: &[f64], got: &[f64]) {
        for (got, exact) in got.iter().zip(&self.exact) {
            self.lost = self.lost.max((got - stretch * exact).abs());
        }
        let machine = self.machine;
        let bias = best_bias(machine, got) as f32;
        self.lost += f64::from(bias.abs() * f32::EPSILON);
        let primal = primal(machine, square(stored), got, bias.into());
        if self.best.as_ref().is_none_or(|best| primal < best.objective.primal) {
            let weights = stored.iter().map(|&w| w as f32).collect();
            let objective = Objective { primal, dual: self.dual };
            self.best = Some(Certified { machine, weights, bias, stretch, objective });
        }
    }
}

/// The stretch of the smallest primal, which is convex in it.
fn best_stretch(machine: &Machine, w: &[f64], exact: &[f64]) -> f64 {
    let bias = best_bias(machine, exact);
    let stretched = |s: f64| -> f64 {
        let scaled: Vec<f64> = exact.iter().map(|p| s * p).collect();
        primal(machine, s * s * square(w), &scaled, s * bias)
    };
    let (mut low, mut high) = (1.0, 1.0 + MOST_STRETCHED);
    for _ in 0..STRETCHES {
        let third = (high - low) / 3.0;
        if stretched(low + third) <= stretched(high - third) { high -= third } else { low += third }
    }
    low
}

/// `Σ α_i y_i x_i` of every machine, in one pass over the rows.
fn weights(
    rows: &dyn Rows,
    machines: &[Machine],
    alphas: &[Vec<f64>],
    progress: &dyn Progress,
) -> Result<Vec<Vec<f64>>> {
    let mut weights = vec![vec![0.0; rows.dim()]; machines.len()];
    for block in linalg::stream(rows, PASS_ROWS) {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        weights.par_iter_mut().zip(machines).zip(alphas).for_each(|((w, machine), alpha)| {
            let scratch = &mut Vec::new();
            for i in block.clone().filter(|&i| alpha[i] > 0.0) {
                add(w, alpha[i] * f64::from(machine.sign[i]), rows.row(i, scratch));
            }
        });
    }
    Ok(weights)
}

/// `w·x_i` of every row for each of the weights, in one pass over the rows.
fn products(
    rows: &dyn Rows,
    weights: &[Vec<f64>],
    progress: &dyn Progress,
) -> Result<Vec<Vec<f64>>> {
    let mut products = vec![Vec::with_capacity(rows.len()); weights.len()];
    for block in linalg::stream(rows, PASS_ROWS) {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        products.par_iter_mut().zip(weights).for_each(|(products, w)| {
            let scratch = &mut Vec::new();
            products.extend(block.clone().map(|i| dot(w, rows.row(i, scratch))));
        });
    }
    Ok(products)
}

/// The dual variables in f64; where the bias is free, with `Σ α_i y_i = 0`, which rounding breaks.
fn feasible(machine: &Machine) -> Vec<f64> {
    let sum = |side: f32| -> f64 {
        let of_side = machine.alpha.iter().zip(&machine.sign).filter(|(_, y)| **y == side);
        of_side.map(|(&alpha, _)| f64::from(alpha)).sum()
    };
    let (positive, negative) = (sum(1.0), sum(-1.0));
    let least = positive.min(negative);
    let share = |y: f32| match machine.free_bias {
        true if y > 0.0 && positive > 0.0 => least / positive,
        true if y < 0.0 && negative > 0.0 => least / negative,
        _ => 1.0,
    };
    let bounded = |alpha: f64, y: f32| match machine.penalty.loss {
        // C as an f32 number may be above C.
        Loss::Hinge => alpha.min(machine.penalty.of(y)),
        Loss::SquaredHinge => alpha,
    };
    let each = machine.alpha.iter().zip(&machine.sign);
    each.map(|(&alpha, &y)| bounded(f64::from(alpha) * share(y), y)).collect()
}

fn dual(machine: &Machine, alpha: &[f64], w: &[f64]) -> f64 {
    let (mut gain, mut bias) = (0.0, 0.0);
    for (&alpha, &y) in alpha.iter().zip(&machine.sign).filter(|(_, y)| **y != 0.0) {
        gain += alpha;
        bias += alpha * f64::from(y);
        if machine.penalty.loss == Loss::SquaredHinge {
            gain -= 0.25 / machine.penalty.of(y) * alpha * alpha;
        }
    }
    let bias = if machine.free_bias { 0.0 } else { bias };
    gain - 0.5 * (square(w) + bias * bias)
}

fn primal(machine: &Machine, square: f64, products: &[f64], bias: f64) -> f64 {
    let loss = |(&y, &product): (&f32, &f64)| {
        let slack = (1.0 - f64::from(y) * (product + bias)).max(0.0);
        match machine.penalty.loss {
            _ if y == 0.0 => 0.0,
            Loss::Hinge => machine.penalty.of(y) * slack,
            Loss::SquaredHinge => machine.penalty.of(y) * slack * slack,
        }
    };
    let loss: f64 = machine.sign.iter().zip(products).map(loss).sum();
    0.5 * (square + if machine.free_bias { 0.0 } else { bias * bias }) + loss
}

/// The bias of the smallest primal.
fn best_bias(machine: &Machine, products: &[f64]) -> f64 {
    let slope = |b: f64| -> f64 {
        let push = |(&y, &product): (&f32, &f64)| {
            let slack = 1.0 - f64::from(y) * (product + b);
            match machine.penalty.loss {
                _ if y == 0.0 || slack <= 0.0 => 0.0,
                Loss::Hinge => machine.penalty.of(y) * f64::from(y),
                Loss::SquaredHinge => machine.penalty.of(y) * f64::from(y) * 2.0 * slack,
            }
        };
        let own = if machine.free_bias { 0.0 } else { b };
        own - machine.sign.iter().zip(products).map(push).sum::<f64>()
    };
    zero_of(slope, machine.bias, BIAS)
}

fn square(w: &[f64]) -> f64 {
    w.iter().map(|w| w * w).sum()
}

/// `w ← w + factor · row`.
fn add(w: &mut [f64], factor: f64, row: &[f32]) {
    widest!(<'a> |w: &'a mut [f64], factor: f64, row: &'a [f32]| -> () {
        w.iter_mut().zip(row).for_each(|(w, &x)| *w += factor * f64::from(x));
    });
}

fn dot(w: &[f64], row: &[f32]) -> f64 {
    widest!(<'a> |w: &'a [f64], row: &'a [f32]| -> f64 {
        let mut sums = [0.0f64; linalg::LANES];
        let (w_blocks, w_rest) = w.as_chunks::<{ linalg::LANES }>();
        let (x_blocks, x_rest) = row.as_chunks::<{ linalg::LANES }>();
        for (w, x) in w_blocks.iter().zip(x_blocks) {
            for lane in 0..linalg::LANES {
                sums[lane] += w[lane] * f64::from(x[lane]);
            }
        }
        let rest = w_rest.iter().zip(x_rest).map(|(w, &x)| w * f64::from(x));
        linalg::fold_lanes(sums, |a, b| a + b) + rest.sum::<f64>()
    })
}
