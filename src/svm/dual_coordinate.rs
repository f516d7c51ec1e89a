//! Dual coordinate descent on the rows themselves, all machines in one pass over the data.
//!
//! An epoch goes over the rows in windows, so that vectors larger than memory are read as streams:
//!
//! ```text
//! run      RUN neighbouring rows, those that are awake
//! window   WINDOW runs; an epoch takes all runs in a random order, window after window
//! pass     over the rows of a window in a random order, BLOCK at a time:
//!          all rows first; then up to PASSES − 1 times those with
//!          Σ_machines |Δα_i| ≥ AGAIN · (mean of that in the first pass)
//! ```
//!
//! While one window is worked on, the rows of the next are asked for ([`Rows::soon`]). The passes after
//! the first find their rows in memory, and bring down the number of epochs, each of which reads the
//! data once. Runs are counted in rows, never in files or bytes: the order depends on the seed alone.
//!
//! A visit fetches a block once and yields, for all machines, the products `w·x_i`, and the block's
//! Gram matrix; with these the coordinate steps of the block's rows are taken one after the other
//! exactly as if each had gone into the weights at once; then the block is added to the weights as one
//! product. (More than one sweep over a block, or the same blocks in every epoch, slow it down: what a
//! block settles within itself it must take back for the others.)
//!
//! Shrinking: a row sleeps when no machine can move it, until the certifying pass; a run without an
//! awake row is not read. The rows' shares of the duality gap, as a first pass met them, estimate the
//! gap, and a pass with the weights held fixed certifies it.
//!
//! Memory: `4·M·dim` bytes of weights and one block of rows. A window is not copied: the system's cache
//! of files holds it, and the next. Where that has no room for two windows, they are read more often;
//! the result is the same.
//!
//! Sources: HCLKS08, algorithm 3 (random permutations, shrinking), and YHCL12, block minimisation (what
//! is in memory is worked on more than once), in `docs/REFERENCES.md`. Departs from HCLKS08 in the
//! blocks and the end; from YHCL12 in that windows are drawn anew in every epoch, since rows are often
//! sorted by class, and that later passes take the rows alone that still move much.

use ndarray::Array2;
use rayon::prelude::*;

use super::backend::{Backend, Limits};
use super::gram_matrix::check_diagonal;
use super::machine::Machine;
use super::weights::{self, Weights, soon};
use crate::linalg::{self, Rows};
use crate::progress::Progress;
use crate::random::{Seed, Stream};
use crate::{Error, Result};

/// Rows of a block. Its Gram matrix costs `BLOCK/2` products per value fetched, which is less than
/// the fetching; one step of parallel work is `BLOCK · dim` values.
const BLOCK: usize = 64;

/// Neighbouring rows that are read together.
const RUN: usize = 256;

/// Runs of a window. With half as many, a sixth to a third more is read.
const WINDOW: usize = 16;

/// Passes over a window.
const PASSES: usize = 4;

/// Rows go into a window's next pass whose steps were at least this share of the mean step of its first
/// pass. Less saves few epochs and costs many products: with 100 classes every row is moved by some
/// machine.
const AGAIN: f64 = 0.7;

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
    /// What the block fetched last adds to the weights, once the next is fetched.
    changes: Vec<f32>,
    /// Rows that some machine may move, ascending.
    awake: Vec<usize>,
    slots: Vec<Slot>,
}

/// Which pass over a window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    Again,
}

/// What a visit of a block did to a row.
#[derive(Clone, Copy)]
struct Visited {
    row: usize,
    /// `Σ |Δα|` of all machines.
    step: f64,
    /// Whether a machine may want to move it soon; known in a first pass.
    awake: bool,
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
        Self { weights, changes: Vec::new(), awake: (0..rows.len()).collect(), slots }
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
        let awake = std::mem::take(&mut self.awake);
        let mut runs: Vec<&[usize]> = awake.chunk_by(|a, b| a / RUN == b / RUN).collect();
        stream.shuffle(&mut runs);
        let windows: Vec<Vec<usize>> = runs.chunks(WINDOW).map(<[_]>::concat).collect();
        windows.iter().take(1).for_each(|first| soon(rows, first));
        for (number, window) in windows.iter().enumerate() {
            let next = windows.get(number + 1).map_or(&[][..], Vec::as_slice);
            self.window(rows, live, (window, next), stream, progress)?;
        }
        self.weights.exchange(rows, &self.changes, &[]);
        self.changes.clear();
        self.awake.sort_unstable();
        live.iter_mut().for_each(|machine| {
            machine.epochs += 1;
            machine.refresh_bias();
        });
        Ok(())
    }

    /// The passes over one window, while the rows of the next are on their way.
    fn window(
        &mut self,
        rows: &dyn Rows,
        live: &mut [&mut Machine],
        (window, next): (&[usize], &[usize]),
        stream: &mut Stream,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut next = next.chunks(BLOCK);
        let mut members = window.to_vec();
        let mut least = 0.0;
        for pass in 0..PASSES {
            let kind = if pass == 0 { Pass::First } else { Pass::Again };
            stream.shuffle(&mut members);
            let mut visited = Vec::with_capacity(members.len());
            for block in members.chunks(BLOCK) {
                if progress.interrupted() {
                    return Err(Error::Interrupted);
                }
                next.by_ref().take(1).for_each(|ids| soon(rows, ids));
                visited.extend(self.block(rows, live, block, kind)?);
            }
            if kind == Pass::First {
                self.awake.extend(visited.iter().filter(|row| row.awake).map(|row| row.row));
                let sum: f64 = visited.iter().map(|row| row.step).sum();
                least = AGAIN * sum / visited.len().max(1) as f64;
            }
            let again = visited.iter().filter(|row| row.step > 0.0 && row.step >= least);
            members = again.map(|row| row.row).collect();
        }
        next.for_each(|ids| soon(rows, ids));
        Ok(())
    }

    /// One sweep over a block.
    fn block(
        &mut self,
        rows: &dyn Rows,
        live: &mut [&mut Machine],
        block: &[usize],
        pass: Pass,
    ) -> Result<Vec<Visited>> {
        let count = live.len();
        let met = self.weights.exchange(rows, &self.changes, block);
        check_diagonal(block.iter().copied().zip(met.gram.diag().iter().copied()))?;
        let gram = met.gram.as_slice().expect("a fresh array is row-major");
        let visits: Vec<(Vec<f32>, Vec<bool>)> = live
            .par_iter_mut()
            .zip(&mut self.slots)
            .enumerate()
            .map(|(m, (machine, slot))| {
                let products = met.products.iter().skip(m).step_by(count);
                let mut products: Vec<f32> = products.map(|&product| product as f32).collect();
                let awake = match pass {
                    Pass::First => meet(machine, slot, block, &products),
                    Pass::Again => vec![true; block.len()],
                };
                (machine.visit(block, gram, &mut products), awake)
            })
            .collect();
        self.changes.clear();
        let of_row = block.iter().enumerate().map(|(local, &row)| {
            let changes = visits.iter().map(|(changes, _)| changes[local]);
            self.changes.extend(changes.clone());
            let step = changes.map(|change| f64::from(change.abs())).sum();
            Visited { row, step, awake: visits.iter().any(|(_, awake)| awake[local]) }
        });
        Ok(of_row.collect())
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
        for block in linalg::stream(rows, PASS_ROWS) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let block: Vec<usize> = block.collect();
            let products = self.weights.products(rows, &block);
            for (&i, products) in block.iter().zip(products.chunks_exact(live.len())) {
                for (machine, &product) in live.iter_mut().zip(products) {
                    machine.product[i] = product as f32;
                }
            }
        }
        Ok(())
    }
}

/// What a machine finds at a block before it moves anything. Returns for each row whether the machine
/// may want to move it soon.
fn meet(machine: &mut Machine, slot: &mut Slot, block: &[usize], products: &[f32]) -> Vec<bool> {
    let mut moves = Vec::with_capacity(block.len());
    for (&i, &product) in block.iter().zip(products) {
        machine.product[i] = product;
        slot.gap += machine.gap_share(i);
        let (pull, rests) = machine.pull(i);
        if !rests {
            slot.largest = slot.largest.max(pull.abs());
        }
        // Shrinking: a bound holds the row, by more than any movable row was pulled lately.
        moves.push(machine.sign[i] != 0.0 && !(rests && pull.abs() > slot.sleep_beyond));
    }
    moves
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Mutex;

    use super::super::gram::Gram;
    use super::super::penalty::{Loss, Penalty};
    use super::*;
    use crate::progress::Silent;

    /// More than a window.
    const N: usize = WINDOW * RUN + 700;

    const CLASSES: usize = 3;

    /// Rows of unit length sorted by class, and a machine for each class.
    fn sorted(n: usize, dim: usize) -> (Array2<f32>, Vec<Machine>) {
        let mut stream = Seed(3).stream("sorted", n as u64);
        let class = |i: usize| i * CLASSES / n;
        let mut x = Array2::from_shape_fn((n, dim), |(i, d)| {
            (f64::from(u8::from(class(i) == d)) + 0.4 * stream.normal()) as f32
        });
        x.rows_mut().into_iter().for_each(|mut row| row /= row.dot(&row).sqrt());
        let penalty = Penalty { loss: Loss::Hinge, positive: 1.0, negative: 1.0 };
        let sign = |m: usize| (0..n).map(|i| if class(i) == m { 1.0 } else { -1.0 }).collect();
        let machines = (0..CLASSES).map(|m| Machine::new(m, sign(m), penalty)).collect();
        (x, machines)
    }

    fn limits() -> Limits {
        Limits { tolerance: 1e-3, max_epochs: 1000, trial: false }
    }

    fn solved(rows: &dyn Rows, machines: &[Machine], threads: usize) -> Vec<Machine> {
        let mut machines = machines.to_vec();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Dual::new(rows, Seed(1)).solve(&mut machines, &limits(), &Silent)).unwrap();
        assert!(machines.iter().all(|machine| machine.done));
        machines
    }

    #[test]
    fn windows_of_sorted_rows_end_at_the_optimum_with_the_same_bits_on_any_threads() {
        for n in [N, 300, RUN, BLOCK + 1] {
            let (x, machines) = sorted(n, 20);
            let view = x.view();
            let one = solved(&view, &machines, 1);
            for (one, three) in one.iter().zip(solved(&view, &machines, 3)) {
                assert!(one.alpha == three.alpha && one.weights == three.weights);
                assert!(one.product == three.product && one.epochs == three.epochs);
            }
            let mut by_gram = machines.clone();
            let mut gram = Gram::exact(&view, Seed(1), &Silent).unwrap();
            gram.solve(&mut by_gram, &limits(), &Silent).unwrap();
            for (dual, gram) in one.iter().zip(&by_gram) {
                // Each is within the tolerance of the optimum.
                let (dual, gram) = (dual.objective(), gram.objective());
                assert!(dual.dual <= gram.primal && gram.dual <= dual.primal, "{dual:?} {gram:?}");
                assert!((dual.primal / gram.primal - 1.0).abs() < 1.1e-3, "{dual:?} {gram:?}");
            }
        }
    }

    /// Counts how often each row is fetched, and keeps what was asked for.
    struct Watched<'x> {
        x: ndarray::ArrayView2<'x, f32>,
        fetched: Mutex<Vec<usize>>,
        asked: Mutex<Vec<bool>>,
    }

    impl Rows for Watched<'_> {
        fn len(&self) -> usize {
            self.x.nrows()
        }

        fn dim(&self) -> usize {
            self.x.ncols()
        }

        fn segment<'a>(
            &'a self,
            i: usize,
            columns: Range<usize>,
            scratch: &'a mut Vec<f32>,
        ) -> &'a [f32] {
            assert!(self.asked.lock().unwrap()[i], "row {i} was not asked for");
            self.fetched.lock().unwrap()[i] += 1;
            self.x.segment(i, columns, scratch)
        }

        fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
            assert_eq!(columns, 0..self.dim());
            self.asked.lock().unwrap()[rows].fill(true);
        }
    }

    /// The rows of one run are far on their side of every machine: they sleep, and are not read.
    #[test]
    fn sleeping_rows_are_not_read_and_others_are_asked_for_first() {
        let (mut x, mut machines) = sorted(N, 20);
        machines.truncate(1);
        let easy = 2 * RUN..3 * RUN;
        assert!(machines[0].sign[easy.clone()].iter().all(|&sign| sign == 1.0));
        easy.clone().for_each(|i| x[[i, 0]] = 20.0);
        let fresh = || (Mutex::new(vec![0; N]), Mutex::new(vec![false; N]));
        let (fetched, asked) = fresh();
        let watched = Watched { x: x.view(), fetched, asked };
        let epochs = solved(&watched, &machines, 2)[0].epochs;
        let fetched = watched.fetched.into_inner().unwrap();
        let most = |rows: Range<usize>| fetched[rows].iter().copied().max().unwrap();
        assert!(epochs >= 6, "{epochs}");
        // Two epochs until it is known how hard rows are pulled, and the certifying passes.
        assert!(most(easy) <= 5 && most(0..N) >= epochs, "{} {epochs}", most(0..N));
    }
}
