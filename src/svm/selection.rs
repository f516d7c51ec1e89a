//! Out-of-fold scores, and the choice of C by mean average precision.
//!
//! All machines of all folds (folds × classes) are solved together for one C after the other, in
//! ascending order, each from the dual variables of the C before: what was feasible stays so. A
//! machine's products cover the images it was not trained on too, so scores cost nothing more. The
//! average precision of a class is that of each fold's held-out images (the area under the monotone
//! precision envelope, as PASCAL VOC 2010 on), averaged over folds; the score of a C is the mean
//! over classes.

use serde::{Deserialize, Serialize};

use super::backend::Backend;
use super::failure::failed;
use super::folds::Folds;
use super::machine::{Machine, both_sides};
use super::params::Params;
use crate::progress::Progress;
use crate::{Result, ranking};

/// Fewest positives and negatives a machine of a fold needs for its scores to calibrate.
const CALIBRATION_IMAGES: usize = 2;

/// One value of C and what it achieved on held-out images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The value.
    pub c: f64,
    /// Factors of the channels, of squares that sum to 1, where they were chosen too; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Mean over classes of the average precision on held-out images, 0 to 1.
    pub mean_average_precision: f64,
    /// Average precision per class; `None` where no fold could be scored.
    pub average_precision: Vec<Option<f64>>,
}

/// How C, or the channels' weights and C, were chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The whole table, ascending in C; with weights, one such list after the other.
    pub candidates: Vec<Candidate>,
    /// The C with the highest mean; the smallest of equals.
    pub chosen: f64,
    /// The channels' factors with the highest mean, where they were chosen too; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Number of folds.
    pub folds: usize,
}

/// What cross-validation leaves behind.
pub(super) struct HeldOut {
    /// The C to train with.
    pub c: f64,
    /// Every C that was tried, ascending.
    pub candidates: Vec<Candidate>,
    /// Mean over classes of the average precision at that C; NaN where no class could be scored.
    pub precision: f64,
    /// At that C, each image's score by the machine that had not seen it, for every class; `None`
    /// where that machine had too few images.
    pub scores: Vec<Vec<Option<f64>>>,
}

/// Out-of-fold scores at every C of the grid (at `params.c` without one), and the best C.
///
/// # Errors
/// [`crate::Error::Numerical`] when no class can be scored on any fold, or as [`Backend::solve`].
pub(super) fn cross_validate(
    backend: &mut dyn Backend,
    folds: &Folds,
    signs: &[Vec<f32>],
    trainable: &[usize],
    params: &Params,
    progress: &dyn Progress,
) -> Result<HeldOut> {
    let mut grid = params.c_grid.clone();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    if grid.is_empty() {
        grid.push(params.c);
    }
    let mut machines: Vec<(usize, Machine)> = Vec::new();
    for fold in 0..folds.count {
        for &class in trainable {
            let sign = folds.without(&signs[class], fold);
            if both_sides(&sign) {
                let penalty = params.penalty(&sign, grid[0]);
                machines.push((fold, Machine::new(class, sign, penalty)));
            }
        }
    }
    let (of_machine, mut machines): (Vec<usize>, Vec<Machine>) = machines.into_iter().unzip();
    let mut best: Option<HeldOut> = None;
    let mut candidates = Vec::new();
    progress.begin("cross-validation", (grid.len() * machines.len()) as u64, "fits");
    for c in grid {
        for machine in &mut machines {
            machine.penalty = params.penalty(&machine.sign, c);
            machine.done = false;
        }
        if let Err(problem) = backend.solve(&mut machines, &params.limits(true), progress) {
            progress.end();
            return Err(problem);
        }
        let average_precision = held_out_precision(&machines, &of_machine, folds, signs);
        let scored: Vec<f64> = average_precision.iter().flatten().copied().collect();
        let mean = scored.iter().sum::<f64>() / scored.len() as f64;
        if best.as_ref().is_none_or(|best| mean > best.precision) {
            let scores = held_out_scores(&machines, &of_machine, folds, signs);
            best = Some(HeldOut { c, candidates: Vec::new(), precision: mean, scores });
        }
        candidates.push(Candidate {
            c,
            weights: Vec::new(),
            mean_average_precision: mean,
            average_precision,
        });
    }
    progress.end();
    let held_out = best.expect("the grid has at least one value");
    if held_out.precision.is_nan() && !params.c_grid.is_empty() {
        return Err(failed(
            "no class has enough positives to choose C on held-out images; set svm.c and leave \
             svm.c_grid empty",
        ));
    }
    Ok(HeldOut { candidates, ..held_out })
}

/// Average precision of every class, averaged over the folds that hold a positive out.
fn held_out_precision(
    machines: &[Machine],
    of_machine: &[usize],
    folds: &Folds,
    signs: &[Vec<f32>],
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0usize); signs.len()];
    for (machine, &fold) in machines.iter().zip(of_machine) {
        let held_out = (0..folds.of_image.len()).filter(|&i| folds.of_image[i] == fold);
        let (scores, labels): (Vec<f32>, Vec<f32>) =
            held_out.map(|i| (machine.product[i], signs[machine.class][i])).unzip();
        if let Some(value) = average_precision(&scores, &labels) {
            sums[machine.class].0 += value;
            sums[machine.class].1 += 1;
        }
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
}

fn held_out_scores(
    machines: &[Machine],
    of_machine: &[usize],
    folds: &Folds,
    signs: &[Vec<f32>],
) -> Vec<Vec<Option<f64>>> {
    let mut scores = vec![vec![None; folds.of_image.len()]; signs.len()];
    for (machine, &fold) in machines.iter().zip(of_machine) {
        let count = |wanted: f32| machine.sign.iter().filter(|&&y| y == wanted).count();
        if count(1.0).min(count(-1.0)) < CALIBRATION_IMAGES {
            continue;
        }
        let bias = machine.best_bias();
        for (i, score) in scores[machine.class].iter_mut().enumerate() {
            if folds.of_image[i] == fold {
                *score = Some(f64::from(machine.product[i]) + bias);
            }
        }
    }
    scores
}

/// Area under the monotone precision envelope ([`crate::ranking`]); label 0 is left out. `None` without
/// a positive.
fn average_precision(scores: &[f32], labels: &[f32]) -> Option<f64> {
    let judged = (0..scores.len()).filter(|&i| labels[i] != 0.0);
    let ties = ranking::ties(judged.map(|i| (scores[i], labels[i] > 0.0)).collect());
    let envelope = ranking::envelope(&ranking::positive_ranks(ties));
    // Added from the lowest one up.
    (!envelope.is_empty()).then(|| envelope.iter().rev().sum::<f64>() / envelope.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_precision_takes_the_envelope_and_skips_ignored_images() {
        // Ranked: ignored, +, −, +, + (precisions 1, 2/3, 3/4; the envelope lifts 2/3 to 3/4).
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5];
        let labels = [0.0, 1.0, -1.0, 1.0, 1.0];
        let expected = (1.0 + 0.75 + 0.75) / 3.0;
        assert!((average_precision(&scores, &labels).unwrap() - expected).abs() < 1e-12);
        assert_eq!(average_precision(&scores, &[0.0, -1.0, -1.0, -1.0, 0.0]), None);
        assert_eq!(average_precision(&[], &[]), None);
        // Constant scores: the share of positives, in any order.
        for labels in [[1.0, 1.0, -1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, 1.0, 1.0]] {
            assert_eq!(average_precision(&[0.0, -0.0, 0.0, 0.0, 0.0], &labels), Some(0.4));
        }
    }
}
