//! Dual coordinate descent on the Gram matrix of all rows, for `n` rows where `4·n²` bytes fit.
//!
//! `G = X·Xᵀ` (`n × n`, f32, see [`super::gram_matrix`]) is formed once. After that a machine costs no
//! pass over the rows, so that all folds, all classes and all values of C share the one matrix. Weights
//! `w = Σ α_i y_i x_i` of all machines take one more pass over the rows.
//!
//! With many rows the matrix is all the work, and a rounded one does (iterative refinement): a descent
//! on the rounded `G̃` ends at `α`, one pass over the rows gives the exact products there, and what
//! they differ by is added from then on, so that the next descent starts from exact products and `G̃`
//! stands only for what it still moves:
//!
//! ```text
//! f_i = Σ_j G̃_ij α_j y_j + e_i        e_i = Σ_j (G_ij − G̃_ij) α_j y_j at the last exact pass
//! ```
//!
//! Every pass shrinks the error about a hundredfold, and the duality gap that ends the work is that of the
//! exact products. Should passes not get there, the exact matrix is formed after all.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::backend::{Backend, Limits};
use super::gram_matrix::{self, ByteProducts};
use super::machine::{Machine, Variables, sweep};
use super::weights;
use crate::linalg::{self, Pool, Rows};
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};

/// Most machines whose first sweeps share the reading of the Gram matrix: their products, 20 KB
/// each for 5,000 rows, stay in the second-level cache.
const GROUP: usize = 20;

/// Sweeps over all rows before each machine goes on with the rows that still move.
const SHARED_SWEEPS: usize = 10;

/// Most sweeps over those rows before all others are looked at again.
const ROUND_SWEEPS: usize = 50;

/// Rows of the Gram matrix that one step of [`Gram::refresh`] reads.
const REFRESHED: usize = 256;

/// Sweeps between two looks at the gap of those rows.
const CHECK_SWEEPS: usize = 5;

/// Fewest rows whose matrix is rounded. With fewer the exact one takes no time that counts.
const ROUNDED_ROWS: usize = 2000;

/// Most exact passes before the exact matrix is formed. Two are usual.
const PASSES: usize = 5;

/// The tolerance of a descent on the rounded matrix, as a share of what is asked for: the first one leaves
/// more to correct than this, those after it end within the exact gap.
const FIRST_SHARE: f64 = 5.0;
const LATER_SHARE: f64 = 0.5;

/// The Gram matrix and the seed of the visiting orders.
pub(super) struct Gram<'a> {
    rows: &'a dyn Rows,
    gram: Array2<f32>,
    rounded: bool,
    seed: Seed,
}

impl<'a> Gram<'a> {
    /// Forms the exact Gram matrix.
    ///
    /// # Errors
    /// [`Error::Numerical`] naming the first row that is not finite; [`Error::Interrupted`].
    pub fn exact(rows: &'a dyn Rows, seed: Seed, progress: &dyn Progress) -> Result<Self> {
        let gram = gram_matrix::exact(rows, progress)?;
        Ok(Self { rows, gram, rounded: false, seed })
    }

    /// Forms the rounded Gram matrix.
    ///
    /// # Errors
    /// As [`Gram::exact`].
    pub fn rounded(
        rows: &'a dyn Rows,
        products: &ByteProducts,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let gram = gram_matrix::rounded(rows, products, progress)?;
        Ok(Self { rows, gram, rounded: true, seed })
    }

    /// Forms the matrix that leads to the solution soonest.
    ///
    /// # Errors
    /// As [`Gram::exact`].
    pub fn quickest(rows: &'a dyn Rows, seed: Seed, progress: &dyn Progress) -> Result<Self> {
        match ByteProducts::of_this_processor() {
            Some(products) if rows.len() >= ROUNDED_ROWS => {
                Self::rounded(rows, &products, seed, progress)
            }
            _ => Self::exact(rows, seed, progress),
        }
    }

    /// The matrix formed, alone.
    pub fn into_matrix(self) -> Array2<f32> {
        self.gram
    }

    /// The matrix formed.
    pub fn matrix(&self) -> ArrayView2<'_, f32> {
        self.gram.view()
    }
}

impl Backend for Gram<'_> {
    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut live: Vec<&mut Machine> = machines.iter_mut().filter(|m| !m.done).collect();
        let certify = self.rounded && !limits.trial;
        self.begin(&mut live, limits, progress)?;
        for pass in 1.. {
            let share = match pass {
                _ if !certify => 1.0,
                1 => FIRST_SHARE,
                _ => LATER_SHARE,
            };
            self.descend(&mut live, share * limits.tolerance, progress)?;
            if !certify {
                break;
            }
            if pass > PASSES && self.rounded {
                self.gram = gram_matrix::exact(self.rows, progress)?;
                self.rounded = false;
                self.refresh(&mut live);
            }
            self.correct(&mut live);
            let before = live.len();
            live.retain_mut(|machine| {
                machine.done = machine.objective().relative_gap() <= limits.tolerance;
                !machine.done && machine.epochs < machine.last_epoch
            });
            progress.advance((before - live.len()) as u64);
            if live.is_empty() {
                return Ok(());
            }
        }
        progress.advance(live.len() as u64);
        Ok(())
    }

    fn weights(&self, machines: &[Machine]) -> Array2<f32> {
        if machines.iter().any(|machine| machine.weights.is_empty()) {
            return weights::from_rows(self.rows, machines).to_array();
        }
        let mut all = Array2::zeros((machines.len(), self.rows.dim()));
        for (mut to, machine) in all.rows_mut().into_iter().zip(machines) {
            to.assign(&ArrayView1::from(&machine.weights));
        }
        all
    }
}

impl Gram<'_> {
    /// The first sweeps, in which most rows of every machine move.
    fn begin(
        &self,
        live: &mut [&mut Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        for machine in live.iter_mut() {
            machine.last_epoch = machine.epochs + limits.max_epochs;
        }
        let sweeps = SHARED_SWEEPS.min(limits.max_epochs);
        // Any grouping gives the same bits, since machines only share what they read.
        let group = live.len().div_ceil(rayon::current_num_threads()).clamp(1, GROUP);
        let squares = self.gram.diag().to_vec();
        let descent = self.descent(&squares, limits.tolerance, progress);
        live.par_chunks_mut(group).try_for_each(|group| descent.begin(group, sweeps))
    }

    /// Rounds of sweeps until every machine's gap on this matrix is within the tolerance, or its epochs
    /// are used up.
    fn descend(
        &self,
        machines: &mut [&mut Machine],
        tolerance: f64,
        progress: &dyn Progress,
    ) -> Result<()> {
        let squares = self.gram.diag().to_vec();
        let descent = self.descent(&squares, tolerance, progress);
        let mut live: Vec<&mut Machine> =
            machines.iter_mut().map(|machine| &mut **machine).collect();
        // Buffers go from machine to machine: fresh memory costs more than the sweeps in it.
        let buffers = Pool::<Vec<f32>>::default();
        while !live.is_empty() {
            live.par_iter_mut()
                .try_for_each(|machine| buffers.with(|scratch| descent.round(machine, scratch)))?;
            self.refresh(&mut live);
            live.par_iter_mut().for_each(|machine| {
                machine.done = machine.objective().relative_gap() <= tolerance;
            });
            live.retain(|machine| !machine.done && machine.epochs < machine.last_epoch);
        }
        Ok(())
    }

    fn descent<'p>(
        &'p self,
        squares: &'p [f32],
        tolerance: f64,
        progress: &'p dyn Progress,
    ) -> Descent<'p> {
        let gram = self.gram.as_slice().expect("the Gram matrix is row-major");
        Descent { gram, squares, tolerance, seed: self.seed, progress }
    }

    /// Products and bias of all machines from their dual variables, afresh, in one reading of the
    /// Gram matrix. Steps leave rounding in the products, and rows at rest are not followed.
    pub fn refresh(&self, machines: &mut [&mut Machine]) {
        let (n, count) = (self.gram.nrows(), machines.len());
        let mut signed = Array2::zeros((count, n));
        for (mut to, machine) in signed.rows_mut().into_iter().zip(machines.iter_mut()) {
            machine.refresh_bias();
            let terms = machine.alpha.iter().zip(&machine.sign);
            to.iter_mut().zip(terms).for_each(|(to, (&a, &y))| *to = a * y);
        }
        let mut products = Array2::<f32>::zeros((n, count));
        let gram = self.gram.axis_chunks_iter(Axis(0), REFRESHED);
        let blocks: Vec<_> = gram.zip(products.axis_chunks_iter_mut(Axis(0), REFRESHED)).collect();
        blocks.into_par_iter().for_each(|(gram, to)| linalg::multiply(to, gram, signed.t()));
        for (machine, column) in machines.iter_mut().zip(products.columns()) {
            machine.product.iter_mut().zip(column).for_each(|(to, &product)| *to = product);
            let left_out = machine.product.iter_mut().zip(&machine.left_out);
            left_out.for_each(|(to, &left_out)| *to += left_out);
        }
    }

    /// Exact products and weights of all machines, in one pass over the rows for either, and what the
    /// matrix leaves out of them. Their products must be those of [`Gram::refresh`].
    fn correct(&self, machines: &mut [&mut Machine]) {
        let n = self.rows.len();
        let weights = weights::from_rows(self.rows, machines);
        let all: Vec<usize> = (0..n).collect();
        let products = weights.products(self.rows, &all);
        let count = machines.len();
        for (m, machine) in machines.iter_mut().enumerate() {
            machine.weights = weights.get(m);
            machine.left_out.resize(n, 0.0);
            let products = products[m..].iter().step_by(count);
            let kept = machine.product.iter_mut().zip(&mut machine.left_out);
            for ((product, left_out), &exact) in kept.zip(products) {
                *left_out += (exact - f64::from(*product)) as f32;
                *product = exact as f32;
            }
        }
    }
}

/// What every machine reads.
struct Descent<'a> {
    gram: &'a [f32],
    /// The diagonal of `gram`, which would be one cache miss a row.
    squares: &'a [f32],
    tolerance: f64,
    seed: Seed,
    progress: &'a dyn Progress,
}

impl Descent<'_> {
    /// The order of one sweep over `n` rows, the same for all machines.
    fn shuffled(&self, epoch: usize, n: usize) -> Result<Vec<u32>> {
        if self.progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let mut order: Vec<u32> = (0..n as u32).collect();
        self.seed.stream("svm order", epoch as u64).shuffle(&mut order);
        Ok(order)
    }

    /// The first sweeps, in which most rows move: a group of machines shares the reading.
    fn begin(&self, group: &mut [&mut Machine], sweeps: usize) -> Result<()> {
        for machine in group.iter_mut() {
            machine.epochs += sweeps;
        }
        let mut variables: Vec<Variables<'_>> =
            group.iter_mut().map(|machine| machine.variables()).collect();
        for epoch in 0..sweeps {
            let order = self.shuffled(epoch, self.squares.len())?;
            sweep(self.gram, self.squares, &order, &mut variables);
        }
        Ok(())
    }

    /// Sweeps over the rows that still move: where they are the smaller part, on a Gram matrix of their own
    /// (in `scratch`), whose rows are shorter.
    fn round(&self, machine: &mut Machine, scratch: &mut Vec<f32>) -> Result<()> {
        let n = self.squares.len();
        let active = machine.active();
        let goal = self.tolerance * machine.objective().primal;
        if 2 * active.len() > n {
            return self.sweeps(machine, self.gram, self.squares, &active, goal);
        }
        let mut part = machine.part(&active);
        scratch.clear();
        scratch.reserve(active.len() * active.len());
        for &i in &active {
            let row = &self.gram[i * n..(i + 1) * n];
            scratch.extend(active.iter().map(|&j| row[j]));
        }
        let squares: Vec<f32> = active.iter().map(|&i| self.squares[i]).collect();
        let all: Vec<usize> = (0..active.len()).collect();
        self.sweeps(&mut part, scratch, &squares, &all, goal)?;
        machine.epochs = part.epochs;
        for (&i, &alpha) in active.iter().zip(&part.alpha) {
            machine.alpha[i] = alpha;
        }
        Ok(())
    }

    /// Sweeps over the given rows of a machine until its gap comes down to `goal`.
    fn sweeps(
        &self,
        machine: &mut Machine,
        gram: &[f32],
        squares: &[f32],
        rows: &[usize],
        goal: f64,
    ) -> Result<()> {
        let mut largest = 0.0;
        for sweeps in 1..=ROUND_SWEEPS.min(machine.last_epoch - machine.epochs) {
            let mut order = self.shuffled(machine.epochs, rows.len())?;
            order.iter_mut().for_each(|place| *place = rows[*place as usize] as u32);
            let mut variables = machine.variables();
            variables.largest = largest;
            sweep(gram, squares, &order, std::slice::from_mut(&mut variables));
            largest = variables.largest;
            machine.epochs += 1;
            if sweeps % CHECK_SWEEPS == 0 && machine.gap() <= goal {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::svm::penalty::{Loss, Penalty};

    fn signs(n: usize) -> Vec<f32> {
        (0..n).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect()
    }

    fn solve(gram: &mut Gram<'_>, sign: &[f32], trial: bool) -> Machine {
        let penalty = Penalty { loss: Loss::Hinge, positive: 10.0, negative: 10.0 };
        let mut machines = [Machine::new(0, sign.to_vec(), penalty)];
        let limits = Limits { tolerance: 1e-3, max_epochs: 2000, trial };
        gram.solve(&mut machines, &limits, &Silent).unwrap();
        let [machine] = machines;
        assert!(machine.done);
        machine
    }

    /// The gap of the weights and variables by the formulas of the machine, from the rows and in f64.
    fn gap(x: &Array2<f32>, machine: &Machine) -> f64 {
        let x = x.mapv(f64::from);
        let signed = machine.alpha.iter().zip(&machine.sign).map(|(&a, &y)| f64::from(a * y));
        let w = x.t().dot(&signed.collect::<ndarray::Array1<f64>>());
        let exact = Machine {
            product: x.dot(&w).iter().map(|&product| product as f32).collect(),
            ..machine.clone()
        };
        exact.objective().relative_gap()
    }

    /// The gap that a rounded matrix ends with holds for the rows themselves, the weights belong to the
    /// variables, and no exact matrix had to be formed; a trial stops short of that.
    #[test]
    fn a_rounded_matrix_leads_to_the_exact_solution() {
        let Some(products) = ByteProducts::of_this_processor() else { return };
        let mut stream = Seed(8).stream("rounded", 0);
        let sign = signs(200);
        let x = Array2::from_shape_fn((200, 600), |(i, _)| {
            (stream.normal() + 0.3 * f64::from(sign[i])) as f32 / 600f32.sqrt()
        });
        let view = x.view();
        let mut gram = Gram::rounded(&view, &products, Seed(1), &Silent).unwrap();
        let trial = solve(&mut gram, &sign, true);
        assert!(trial.left_out.is_empty() && trial.weights.is_empty());
        let machine = solve(&mut gram, &sign, false);
        assert!(gram.rounded);
        assert!(gap(&x, &machine) <= 1.01e-3, "{}", gap(&x, &machine));
        let from_variables = weights::from_rows(&view, &[&machine]).to_array();
        assert_eq!(gram.weights(&[machine]), from_variables);
    }

    /// Each row has a large value of its own, beside which eight bits leave nothing of the columns that tell
    /// the classes apart; and these are too many for corrections to make up.
    #[test]
    fn where_rounding_hides_the_classes_the_exact_matrix_is_formed() {
        let Some(products) = ByteProducts::of_this_processor() else { return };
        let sign = signs(600);
        let x = Array2::from_shape_fn((600, 1200), |(i, k)| match k.checked_sub(600) {
            None => 0.03 * sign[i],
            Some(own) => {
                if own == i {
                    12.0
                } else {
                    0.0
                }
            }
        });
        let view = x.view();
        let mut gram = Gram::rounded(&view, &products, Seed(1), &Silent).unwrap();
        let machine = solve(&mut gram, &sign, false);
        assert!(!gram.rounded);
        assert!(gap(&x, &machine) <= 1.01e-3, "{}", gap(&x, &machine));
    }
}
