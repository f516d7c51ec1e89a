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
    machines.par_iter().map(|machine| certified(rows, machine, progress)).collect()
}

fn certified<'m>(
    rows: &dyn Rows,
    machine: &'m Machine,
    progress: &dyn Progress,
) -> Result<Certified<'m>> {
    let alpha = feasible(machine);
    let mut w = vec![0.0f64; rows.dim()];
    let scratch = &mut Vec::new();
    for (i, (&alpha, &y)) in alpha.iter().zip(&machine.sign).enumerate() {
        if alpha > 0.0 {
            add(&mut w, alpha * f64::from(y), rows.row(i, scratch));
        }
    }
    let dual = dual(machine, &alpha, &w);
    let mut products = |w: &[f64]| -> Result<Vec<f64>> {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        Ok((0..rows.len()).map(|i| dot(w, rows.row(i, scratch))).collect())
    };
    let exact = products(&w)?;
    let bias = best_bias(machine, &exact);
    let stretched = |s: f64| -> f64 {
        let scaled: Vec<f64> = exact.iter().map(|p| s * p).collect();
        primal(machine, s * s * square(&w), &scaled, s * bias)
    };
    // The primal is convex in s.
    let (mut low, mut high) = (1.0, 1.0 + MOST_STRETCHED);
    for _ in 0..STRETCHES {
        let third = (high - low) / 3.0;
        if stretched(low + third) <= stretched(high - third) { high -= third } else { low += third }
    }
    let mut best: Option<Certified<'m>> = None;
    let mut lost = 0.0f64;
    // As it is, then by what rounding has cost at most, and nothing.
    for step in 0..3 {
        let stretch = if step < 2 { low * (1.0 + 2.0 * lost) } else { 0.0 };
        let weights: Vec<f32> = w.iter().map(|w| (stretch * w) as f32).collect();
        let stored: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let got = products(&stored)?;
        for (got, exact) in got.iter().zip(&exact) {
            lost = lost.max((got - stretch * exact).abs());
        }
        let bias = best_bias(machine, &got) as f32;
        lost += f64::from(bias.abs() * f32::EPSILON);
        let primal = primal(machine, square(&stored), &got, bias.into());
        if best.as_ref().is_none_or(|best| primal < best.objective.primal) {
            best = Some(Certified {
                machine,
                weights,
                bias,
                stretch,
                objective: Objective { primal, dual },
            });
        }
    }
    Ok(best.expect("one was tried"))
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
