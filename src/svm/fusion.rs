//! Several channels in one classifier.
//!
//! With `x = [s_1 φ_1 | s_2 φ_2 | …]` a joint row and `s_c` the factors of its channels:
//!
//! ```text
//! weights   f(x) = w·x + b                        one machine
//! learned   f(x) = w·[t_1 φ_1 | t_2 φ_2 | …] + b  one machine; t, Σ t_c² = 1, is what ranks images best
//!                                                 that were held out
//! scores    f(x) = Σ_c s_c f_c(φ_c) / Σ_c s_c     a machine for each channel; their scores averaged
//! ```
//!
//! All three are linear in `x`: what comes out is one weight for each value of `x`, `w_c t_c/s_c` or
//! `w_c/Σ s_c`, and scores and explanations are the same for all. Early and late fusion:
//! Snoek, Worring & Smeulders 2005.

use std::ops::Range;

use ndarray::{Array2, Axis, s};

use super::duals::Duals;
use super::failure::failed;
use super::model::Stop;
use super::selection::{HeldOut, Selection};
use super::task::{Task, Trained};
use crate::Result;
use crate::linalg::{Columns, Joined, Rows};

/// What a channel's weight is multiplied by while all others stay, beside 1.
const TRIED: [f64; 6] =
    [0.25, 0.5, std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::SQRT_2, 2.0, 4.0];

/// One channel: its columns in a joint row and its factor `s_c`.
pub(super) type Channel = (Range<usize>, f32);

/// The channels of `rows` side by side, each multiplied by a factor of its own.
pub(super) fn multiplied<'r>(rows: &'r dyn Rows, parts: &[(Channel, f64)]) -> Joined<Columns<'r>> {
    let all: Vec<usize> = (0..rows.len()).collect();
    Joined::new(parts.iter().map(|((range, _), factor)| {
        (Columns::new(rows, range.clone()), *factor as f32, all.clone())
    }))
}

/// One machine a class on channels of learned weights: from those that `rows` were joined with, one
/// channel after the other gets the multiple that ranks held-out images best.
///
/// # Errors
/// As [`super::train`], and [`crate::Error::Numerical`] when no held-out image tells weights apart.
pub(super) fn learned(rows: &dyn Rows, parts: &[Channel], task: &Task<'_>) -> Result<Trained> {
    let given: Vec<f64> = parts.iter().map(|part| f64::from(part.1)).collect();
    let factors = |weights: &[f64]| -> Vec<(Channel, f64)> {
        let of = |(part, weight): (&Channel, &f64)| (part.clone(), weight / f64::from(part.1));
        parts.iter().zip(weights).map(of).collect()
    };
    let mut table = Vec::new();
    let mut try_out = |weights: &[f64]| -> Result<HeldOut> {
        let joined = multiplied(rows, &factors(weights));
        let mut held_out = task.cross_validate(task.backend(&joined)?.as_mut())?;
        table.extend(held_out.candidates.drain(..).map(|mut candidate| {
            candidate.weights = weights.to_vec();
            candidate
        }));
        Ok(held_out)
    };
    let mut chosen = given;
    let mut best = try_out(&chosen)?;
    if best.precision.is_nan() {
        return Err(failed(
            "no class has enough positives to weigh channels on held-out images; set svm.fusion = \
             \"weights\"",
        ));
    }
    for channel in 1..parts.len() {
        let start = chosen.clone();
        for multiple in TRIED {
            let mut weights = start.clone();
            weights[channel] *= multiple;
            let length = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
            weights.iter_mut().for_each(|w| *w /= length);
            let found = try_out(&weights)?;
            if found.precision > best.precision {
                (best, chosen) = (found, weights);
            }
        }
    }
    let factors = factors(&chosen);
    let joined = multiplied(rows, &factors);
    let mut trained = task.solve_at(best.c, task.backend(&joined)?.as_mut(), &joined)?;
    trained.held_out = best.scores;
    for ((range, _), factor) in &factors {
        let factor = *factor as f32;
        let mut columns = trained.model.weights.slice_mut(s![.., range.clone()]);
        columns.mapv_inplace(|weight| weight * factor);
    }
    trained.model.duals = trained.model.duals.take().map(|duals| {
        let of_part = |(_, factor): &(Channel, f64)| {
            // What multiplied both rows of a product.
            let square = (factor * factor) as f32;
            duals.products.index_axis(Axis(0), 0).mapv(|a| a * square)
        };
        let products: Vec<Array2<f32>> = factors.iter().map(of_part).collect();
        let views: Vec<_> = products.iter().map(Array2::view).collect();
        let parts = parts.iter().map(|(range, _)| range.clone()).collect();
        let products = ndarray::stack(Axis(0), &views).expect("parts are of the same images");
        Duals { parts, products, ..duals }
    });
    trained.model.selection = Some(Selection {
        candidates: table,
        chosen: best.c,
        weights: chosen,
        folds: task.params.folds,
    });
    Ok(trained)
}

/// One machine a class and channel, their scores averaged by the factors of `rows`. Objectives and
/// passes are the sums over a class's machines, its support vectors those of the machine with most.
///
/// # Errors
/// As [`super::train`].
pub(super) fn scores(rows: &dyn Rows, parts: &[Channel], task: &Task<'_>) -> Result<Trained> {
    let total: f64 = parts.iter().map(|part| f64::from(part.1)).sum();
    let mut all: Option<Trained> = None;
    let ranges = parts.iter().map(|(range, _)| range.clone()).collect();
    let mut duals = Duals::zeros(task.classes.len(), rows.len(), ranges);
    for (number, part) in parts.iter().enumerate() {
        let factor = f64::from(part.1);
        let alone = multiplied(rows, &[(part.clone(), 1.0 / factor)]);
        let of_part = task.solve(&alone)?;
        let all = all.get_or_insert_with(|| task.nothing(rows));
        let mut columns = all.model.weights.slice_mut(s![.., part.0.clone()]);
        columns.assign(&of_part.model.weights.mapv(|w| (f64::from(w) / total) as f32));
        let share = factor / total;
        if let Some(found) = &of_part.model.duals {
            let found = found.products.index_axis(Axis(0), 0);
            let scale = 1.0 / (factor * total);
            let mut products = duals.products.index_axis_mut(Axis(0), number);
            products.zip_mut_with(&found, |to, &a| *to = (f64::from(a) * scale) as f32);
            let sums = duals.constants.iter_mut().zip(found);
            sums.for_each(|(sum, &a)| *sum += (share * f64::from(a)) as f32);
        }
        let biases = all.model.bias.iter_mut().zip(&of_part.model.bias);
        biases.for_each(|(sum, &bias)| *sum += (share * f64::from(bias)) as f32);
        for (sum, report) in all.model.reports.iter_mut().zip(&of_part.model.reports) {
            sum.c = report.c;
            sum.primal += report.primal;
            sum.dual += report.dual;
            sum.epochs += report.epochs;
            sum.support_vectors = sum.support_vectors.max(report.support_vectors);
            sum.relative_gap = sum.relative_gap.max(report.relative_gap);
            if sum.stop != Stop::EpochLimit {
                sum.stop = report.stop;
            }
        }
        for (sums, scores) in all.held_out.iter_mut().zip(&of_part.held_out) {
            for (sum, score) in sums.iter_mut().zip(scores) {
                *sum = sum.zip(*score).map(|(sum, score)| sum + share * score);
            }
        }
    }
    let mut all = all.expect("rows have at least one part");
    all.model.duals = Some(duals);
    Ok(all)
}
