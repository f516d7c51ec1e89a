//! The free-bias problem by sequential minimal optimisation (linfa-svm), as libsvm solves it.
//!
//! ```text
//! min ½‖w‖² + Σ C_i ξ_i          dual: Σ α_i − ½ Σ α_i α_j y_i y_j x_i·x_j,
//!                                0 ≤ α_i ≤ C_i, Σ α_i y_i = 0
//! ```
//!
//! The solver is linfa-svm's, which fvtool is built on. It computes a linear kernel pair by pair, far
//! too slow for Fisher vectors. So dual coordinate descent on the Gram matrix first finds the active
//! set; linfa-svm then solves the problem on the rows of the Cholesky factor `L` of the set's Gram
//! matrix (`L·Lᵀ = G` has the same inner products in few columns); rows that violate the margin join
//! the set, until there are none.

use faer::{Mat, Side};
use linfa::DatasetBase;
use linfa::ParamGuard;
use linfa::traits::Fit;
use linfa_svm::Svm;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::backend::{Backend, Limits};
use super::failure::failed;
use super::gram::Gram;
use super::machine::Machine;
use crate::progress::Progress;
use crate::{Error, Result};

/// Added to the diagonal of a Gram matrix, relative to its mean, and multiplied by ten until the
/// Cholesky factor exists: products in f32 make duplicate rows slightly indefinite.
const RIDGE: f64 = 1e-9;

/// A row outside the active set whose margin falls short of 1 by more than this joins it: above the
/// rounding of f32 products.
const VIOLATION: f64 = 1e-5;

/// Most times the active set grows. Each time adds all violators, so a handful is usual.
const ROUNDS: usize = 50;

/// The solver on a Gram matrix.
pub(super) struct Smo<'a> {
    gram: Gram<'a>,
}

impl<'a> Smo<'a> {
    pub fn new(gram: Gram<'a>) -> Self {
        Self { gram }
    }

    /// The matrix that it stands on.
    pub fn gram(&self) -> &Gram<'a> {
        &self.gram
    }
}

impl Backend for Smo<'_> {
    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        for machine in machines.iter_mut() {
            machine.free_bias = false;
            machine.refresh_bias();
        }
        self.gram.solve(machines, limits, progress)?;
        machines.par_iter_mut().try_for_each(|machine| self.polish(machine, limits, progress))
    }

    fn weights(&self, machines: &[Machine]) -> Array2<f32> {
        self.gram.weights(machines)
    }
}

impl Smo<'_> {
    fn polish(
        &self,
        machine: &mut Machine,
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut set: Vec<usize> = machine.support_rows();
        for side in [1.0, -1.0] {
            // One-sided sets have no solution; the row nearest to the other side stands in.
            if !set.iter().any(|&i| machine.sign[i] == side) {
                let of_side = (0..machine.sign.len()).filter(|&i| machine.sign[i] == side);
                let first = |&i: &usize, &j: &usize| {
                    (side * machine.product[i]).total_cmp(&(side * machine.product[j]))
                };
                set.extend(of_side.min_by(first));
            }
        }
        machine.free_bias = true;
        for _ in 0..ROUNDS {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            set.sort_unstable();
            self.solve_on(&set, machine, limits)?;
            machine.epochs += 1;
            let bias = machine.best_bias();
            let violates = |i: &usize| {
                let (y, product) = (f64::from(machine.sign[*i]), f64::from(machine.product[*i]));
                let outside = set.binary_search(i).is_err();
                y != 0.0 && outside && y * (product + bias) < 1.0 - VIOLATION
            };
            let violators: Vec<usize> = (0..machine.sign.len()).filter(violates).collect();
            if violators.is_empty() {
                break;
            }
            set.extend(violators);
        }
        machine.done = machine.objective().relative_gap() <= limits.tolerance;
        Ok(())
    }

    /// Solves the problem on the given rows, and sets dual variables and products.
    fn solve_on(&self, set: &[usize], machine: &mut Machine, limits: &Limits) -> Result<()> {
        let records = self.factor(set)?;
        let targets: Array1<bool> = set.iter().map(|&i| machine.sign[i] > 0.0).collect();
        let penalty = machine.penalty;
        let params = Svm::<f64, bool>::params()
            .pos_neg_weights(penalty.positive, penalty.negative)
            .eps((0.1 * limits.tolerance).clamp(1e-7, 1e-4))
            .linear_kernel();
        let no_solution = |problem: &dyn std::fmt::Display| {
            failed(format!("sequential minimal optimisation failed: {problem}"))
        };
        let params = params.check().map_err(|problem| no_solution(&problem))?;
        let solved = params
            .fit(&DatasetBase::new(records, targets))
            .map_err(|problem| no_solution(&problem))?;
        machine.alpha.fill(0.0);
        for (&i, &signed) in set.iter().zip(&solved.alpha) {
            machine.alpha[i] = signed.abs() as f32;
        }
        self.gram.refresh(&mut [&mut *machine]);
        machine.bias = 0.0;
        Ok(())
    }

    /// Rows with the same inner products as the given ones: the Cholesky factor of their Gram
    /// matrix.
    fn factor(&self, set: &[usize]) -> Result<Array2<f64>> {
        let (m, gram) = (set.len(), self.gram.matrix());
        let mean = set.iter().map(|&i| f64::from(gram[[i, i]])).sum::<f64>() / m as f64;
        let mut ridge = RIDGE * mean.max(f64::MIN_POSITIVE);
        // The largest sensible ridge is the diagonal itself, nine steps up.
        for _ in 0..10 {
            let part = Mat::from_fn(m, m, |a, b| {
                f64::from(gram[[set[a], set[b]]]) + if a == b { ridge } else { 0.0 }
            });
            if let Ok(factor) = part.llt(Side::Lower) {
                let lower = factor.L();
                return Ok(Array2::from_shape_fn(
                    (m, m),
                    |(a, b)| {
                        if b <= a { lower[(a, b)] } else { 0.0 }
                    },
                ));
            }
            ridge *= 10.0;
        }
        Err(failed("the Gram matrix has no Cholesky factor; use svm.solver = \"gram\""))
    }
}
