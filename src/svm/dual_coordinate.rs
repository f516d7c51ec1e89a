//! Dual coordinate descent on the rows themselves, all machines in one pass over the data.
//!
//! An epoch visits the rows in a random order, `BLOCK` at a time. A visit fetches the block once
//! and yields, for all machines, the products `w·x_i`, and the block's Gram matrix; with these the
//! coordinate steps of the block's rows are taken one after the other exactly as if each had gone
//! into the weights at once; then the block is added to the weights as one product. (More than one
//! sweep over a block, or the same blocks in every epoch, slow it down: what a block settles within
//! itself it must take back for the others.)
//!
//! Source: Hsieh, Chang, Lin, Keerthi & Sundararajan 2008, algorithm 3 (random permutations,
//! shrinking). Departs from it in the blocks, and in the end: the rows' shares of the duality gap,
//! as they were met, estimate the gap, and a pass with the weights held fixed certifies it.
//! Shrinking: a row sleeps when no machine can move it, until that pass. Memory: `4·M·dim` bytes of
//! weights and one block of rows.

use ndarray::Array2;
use rayon::prelude::*;

use super::backend::{Backend, Limits};
use super::gram_matrix::check_diagonal;
use super::machine::Machine;
use super::weights::{self, Weights};
use crate::linalg::Rows;
use crate::progress::Progress;
use crate::random::{Seed, Stream};
use crate::{Error, Result};

/// Rows of a block. Its Gram matrix costs `BLOCK/2` products per value fetched, which is less than
/// the fetching; one step of parallel work is `BLOCK · dim` values.
const BLOCK: usize = 64;

/// Rows whose products are taken in one step of the certifying pass.
const PASS_ROWS: usize = 256;

/// The rows and the seed of the visiting orders.
pub(super) struct Dual<'a> {
    rows: &'a dyn Rows,
    seed: Seed,
}

impl<'a> Dual<'a> {
    pub fn new(rows: &'a dyn Rows, seed: Seed) -> Self {
        Self { rows, seed }
    }
}

impl Backend for Dual<'_> {
    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut live: Vec<&mut Machine> = machines.iter_mut().filter(|m| !m.done).collect();
        let mut epoch = 0;
        // One round: epochs until the estimates are good, then the certifying pass.
        while !live.is_empty() {
            let mut round = Round::new(self.rows, &live);
            let mut due = false;
            while !due && epoch < limits.max_epochs {
                let mut stream = self.seed.stream("svm order", epoch as u64);
                round.epoch(self.rows, &mut live, &mut stream, progress)?;
                epoch += 1;
                due = round.due(&live, limits.tolerance);
            }
            round.certify(self.rows, &mut live, progress)?;
            for (m, machine) in live.iter_mut().enumerate() {
                machine.weights = round.weights.get(m);
                machine.done = machine.objective().relative_gap() <= limits.tolerance;
            }
            let before = live.len();
            live.retain(|machine| !machine.done);
            progress.advance((before - live.len()) as u64);
            if epoch >= limits.max_epochs {
                progress.advance(live.len() as u64);
                break;
            }
        }
        Ok(())
    }

    fn weights(&self, machines: &[Machine]) -> Array2<f32> {
        let mut all = Weights::zeros(machines.len(), self.rows.dim());
        for (m, machine) in machines.iter().enumerate() {
            if !machine.weights.is_empty() {
                all.set(m, &machine.weights);
            }
        }
        all.to_array()
    }
}

/// Epochs between two certifying passes.
struct Round {
    weights: Weights,
    awake: Vec<usize>,
    slots: Vec<Slot>,
}

/// What a round keeps of one machine.
struct Slot {
    /// Sum of the rows' shares of the duality gap, each as its block was met.
    gap: f64,
    /// Largest distance of a movable row from its margin in this epoch, and in the one before.
    largest: f64,
    sleep_beyond: f64,
}

impl Round {
    fn new(rows: &dyn Rows, live: &[&mut Machine]) -> Self {
        let mut weights = Weights::zeros(live.len(), rows.dim());
        for (m, machine) in live.iter().enumerate() {
            if !machine.weights.is_empty() {
                weights.set(m, &machine.weights);
            }
        }
        let slot = || Slot { gap: 0.0, largest: 0.0, sleep_beyond: f64::INFINITY };
        let slots = std::iter::repeat_with(slot).take(live.len()).collect();
        Self { weights, awake: (0..rows.len()).collect(), slots }
    }

    fn epoch(
        &mut self,
        rows: &dyn Rows,
        live: &mut [&mut Machine],
        stream: &mut Stream,
        progress: &dyn Progress,
    ) -> Result<()> {
        for slot in &mut self.slots {
            slot.sleep_beyond = if slot.largest > 0.0 { slot.largest } else { f64::INFINITY };
            (slot.gap, slot.largest) = (0.0, 0.0);
        }
        stream.shuffle(&mut self.awake);
        let count = live.len();
        let (mut factors, mut awake) = (Vec::new(), Vec::new());
        for block in self.awake.chunks(BLOCK) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let met = self.weights.exchange(rows, &factors, block);
            check_diagonal(block.iter().copied().zip(met.gram.diag().iter().copied()))?;
            let gram = met.gram.as_slice().expect("a fresh array is row-major");
            let visits: Vec<Vec<(f32, bool)>> = live
                .par_iter_mut()
                .zip(&mut self.slots)
                .enumerate()
                .map(|(m, (machine, slot))| {
                    let products = met.products.iter().skip(m).step_by(count);
                    visit(machine, slot, block, gram, products.map(|&p| p as f32).collect())
                })
                .collect();
            factors.clear();
            for (local, &i) in block.iter().enumerate() {
                factors.extend(visits.iter().map(|visit| visit[local].0));
                if visits.iter().any(|visit| visit[local].1) {
                    awake.push(i);
                }
            }
        }
        self.weights.exchange(rows, &factors, &[]);
        self.awake = awake;
        live.iter_mut().for_each(|machine| {
            machine.epochs += 1;
            machine.refresh_bias();
        });
        Ok(())
    }

    /// Whether a certifying pass is due: half of the machines seem to be within the tolerance, so
    /// that those can be spared the next epochs.
    fn due(&self, live: &[&mut Machine], tolerance: f64) -> bool {
        let squares = self.weights.squares();
        let machines = live.iter().zip(squares).zip(&self.slots);
        let good = machines.filter(|((machine, square), slot)| {
            slot.gap <= tolerance * (machine.dual(*square) + slot.gap)
        });
        2 * good.count() >= live.len() || self.awake.is_empty()
    }

    /// Weights from the dual variables, afresh (steps leave rounding in them), and the products of
    /// all rows with them.
    fn certify(
        &mut self,
        rows: &dyn Rows,
        live: &mut [&mut Machine],
        progress: &dyn Progress,
    ) -> Result<()> {
        self.weights = weights::from_rows(rows, live);
        let all: Vec<usize> = (0..rows.len()).collect();
        for block in all.chunks(PASS_ROWS) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let products = self.weights.products(rows, block);
            for (&i, products) in block.iter().zip(products.chunks_exact(live.len())) {
                for (machine, &product) in live.iter_mut().zip(products) {
                    machine.product[i] = product as f32;
                }
            }
        }
        Ok(())
    }
}

/// Moves one machine's variables of a block. Returns for each row the change of `α·y`, and whether
/// the machine may want to move it again soon.
fn visit(
    machine: &mut Machine,
    slot: &mut Slot,
    block: &[usize],
    gram: &[f32],
    mut products: Vec<f32>,
) -> Vec<(f32, bool)> {
    let mut moves = Vec::with_capacity(block.len());
    for (&i, &product) in block.iter().zip(&products) {
        machine.product[i] = product;
        slot.gap += machine.gap_share(i);
        let (pull, rests) = machine.pull(i);
        if !rests {
            slot.largest = slot.largest.max(pull.abs());
        }
        // Shrinking: a bound holds the row, by more than any movable row was pulled lately.
        moves.push(machine.sign[i] != 0.0 && !(rests && pull.abs() > slot.sleep_beyond));
    }
    machine.visit(block, gram, &mut products).into_iter().zip(moves).collect()
}
