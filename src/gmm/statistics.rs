//! Sums of posteriors and of posterior-weighted rows: all that EM and Fisher vectors need.
//!
//! ```text
//! S⁰_k = Σ_n γ_nk      S¹_kd = Σ_n γ_nk (y_nd − μ'_kd)      S²_kd = Σ_n γ_nk (y_nd − μ'_kd)²
//! ```
//!
//! in the standardised coordinates `y`, and with the means `μ'`, of the [`Evaluator`] that made them;
//! f64 sums of f32 block sums. About its own mean a component keeps its digits however narrow it is:
//! of sums about 0, `S² − 2μ'S¹ + μ'²S⁰` cancels. Two ways that agree: register sums over the few rows
//! that each component explains, when posteriors under a threshold are dropped; or, when all count, a
//! dense product `γᵀ·[y², y]`, moved to the means block by block. That cancels little, since sharp
//! components ([`super::sharp`]) are then summed in the first way.

use ndarray::{Array2, ArrayView2, Axis};
use pulp::Simd;
use rayon::prelude::*;

use super::known::Known;
use super::posteriors::{Block, Evaluator};
use super::scratch::{Buffers, Scratch};
use crate::error::{Error, Result};
use crate::linalg::{self, BLOCK_ROWS, LANES, Pool, task_rows};
use crate::progress::Progress;
use crate::widest;

/// How rows are given to components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Assignment {
    /// By posterior; posteriors at or below `threshold` count as 0 (0 keeps all: exact).
    Soft {
        /// Posteriors at or below this are dropped.
        threshold: f32,
    },
    /// Wholly to the component with the largest posterior (VLFeat's `fast`).
    Hard,
}

impl Assignment {
    /// Every posterior counts.
    pub const EXACT: Self = Self::Soft { threshold: 0.0 };
}

/// Sums over rows. Adding the sums of two sets of rows gives the sums of their union.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Number of rows summed.
    pub rows: u64,
    /// Sum of `ln p(x)`.
    pub log_likelihood: f64,
    /// `S⁰`, `K` values.
    pub order0: Vec<f64>,
    /// `S² | S¹`, `K × 2D`.
    pub(super) moments: Array2<f64>,
}

impl Statistics {
    /// All zero, for `components` and `dim`.
    pub fn zeros(components: usize, dim: usize) -> Self {
        Self {
            rows: 0,
            log_likelihood: 0.0,
            order0: vec![0.0; components],
            moments: Array2::zeros((components, 2 * dim)),
        }
    }

    /// Back to zero, keeping the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.log_likelihood = 0.0;
        self.order0.fill(0.0);
        self.moments.fill(0.0);
    }

    /// `S¹`, `K × D`.
    pub fn order1(&self) -> ArrayView2<'_, f64> {
        self.moments.view().split_at(Axis(1), self.moments.ncols() / 2).1
    }

    /// `S²`, `K × D`.
    pub fn order2(&self) -> ArrayView2<'_, f64> {
        self.moments.view().split_at(Axis(1), self.moments.ncols() / 2).0
    }

    /// Adds the sums of other rows.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.log_likelihood += other.log_likelihood;
        self.order0.iter_mut().zip(&other.order0).for_each(|(a, b)| *a += b);
        self.moments += &other.moments;
    }
}

/// Sums over many rows, by parallel tasks; keeps their memory from call to call.
#[derive(Debug, Default)]
pub(super) struct Summation {
    tasks: Vec<Statistics>,
    scratch: Pool<Scratch>,
}

impl Summation {
    /// The exact sums of `rows` (`N × D`). The same bits for any number of threads.
    ///
    /// # Errors
    /// As [`Evaluator::accumulate`]; [`Error::Interrupted`].
    pub(super) fn sum(
        &mut self,
        evaluator: &Evaluator,
        rows: ArrayView2<'_, f32>,
        progress: &dyn Progress,
    ) -> Result<Statistics> {
        let (components, dim) = (evaluator.components(), evaluator.dim());
        let tasks: Vec<_> = rows.axis_chunks_iter(Axis(0), task_rows(rows.nrows())).collect();
        let fits = |sums: &Statistics| sums.moments.dim() == (components, 2 * dim);
        if !self.tasks.iter().all(fits) {
            self.tasks.clear();
        }
        self.tasks.resize_with(tasks.len(), || Statistics::zeros(components, dim));
        let scratch = &self.scratch;
        tasks.into_par_iter().zip(&mut self.tasks).with_max_len(1).try_for_each(
            |(rows, sums)| {
                if progress.interrupted() {
                    return Err(Error::Interrupted);
                }
                sums.clear();
                scratch.with(|scratch| evaluator.accumulate(rows, Assignment::EXACT, scratch, sums))
            },
        )?;
        let mut total = Statistics::zeros(components, dim);
        for task in &self.tasks {
            total.rows += task.rows;
            total.log_likelihood += task.log_likelihood;
            total.order0.iter_mut().zip(&task.order0).for_each(|(a, b)| *a += b);
        }
        let width = 2 * dim;
        let moments = total.moments.as_slice_mut().expect("sums are row-major");
        moments.par_chunks_mut(width).enumerate().for_each(|(component, sums)| {
            for task in &self.tasks {
                let row = task.moments.row(component);
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        });
        Ok(total)
    }
}

impl Evaluator {
    /// Adds the sums of `rows` (`N × D`) to `sums`.
    ///
    /// # Errors
    /// [`Error::Shape`] when `D` is not the mixture's, [`Error::Numerical`] on a NaN
    /// or an infinity.
    pub fn accumulate(
        &self,
        rows: ArrayView2<'_, f32>,
        assignment: Assignment,
        scratch: &mut Scratch,
        sums: &mut Statistics,
    ) -> Result<()> {
        for block_rows in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
            let mut block = self.evaluate(block_rows.view(), scratch)?;
            sums.rows += block_rows.nrows() as u64;
            sums.log_likelihood += block.log_likelihood.iter().sum::<f64>();
            match assignment {
                Assignment::Soft { threshold: 0.0 } => block.add_dense(self, sums),
                Assignment::Soft { threshold } => {
                    block.select(threshold);
                    block.add_kept(self, sums);
                }
                Assignment::Hard => {
                    block.select_winners();
                    block.add_kept(self, sums);
                }
            }
            if let Some(known) = &self.known
                && known.find(block.rows, self.dim(), &mut block.sums.known)
            {
                block.add_known(self, known, assignment == Assignment::EXACT, sums);
            }
        }
        Ok(())
    }
}

/// What takes posteriors that count: a component, the first row of a block, and (row in the block,
/// posterior) pairs.
pub type Found<'a> = dyn FnMut(usize, usize, &[(u32, f32)]) + 'a;

impl Evaluator {
    /// Hands the posteriors of `rows` (`N × D`) that count under `assignment` to `found`, block by
    /// block and component by component, rows ascending.
    ///
    /// # Errors
    /// As [`Self::accumulate`].
    pub fn assign(
        &self,
        rows: ArrayView2<'_, f32>,
        assignment: Assignment,
        scratch: &mut Scratch,
        found: &mut Found<'_>,
    ) -> Result<()> {
        for (number, block_rows) in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS).enumerate() {
            let mut block = self.evaluate(block_rows.view(), scratch)?;
            match assignment {
                Assignment::Soft { threshold } => block.select(threshold),
                Assignment::Hard => block.select_winners(),
            }
            let buckets = block.sums.kept.chunks_exact(BUCKET).zip(&block.sums.counts);
            for (component, (bucket, &count)) in buckets.enumerate() {
                found(component, number * BLOCK_ROWS, &bucket[..count as usize]);
            }
        }
        Ok(())
    }
}

impl Block<'_> {
    /// `γᵀ·[y², y]` as one product, and sharp components by themselves.
    fn add_dense(&mut self, evaluator: &Evaluator, sums: &mut Statistics) {
        let (k, width) = sums.moments.dim();
        let buffers = &mut *self.sums;
        buffers.fit(k, width);
        linalg::multiply(buffers.moments.view_mut(), self.posteriors.t(), self.features);
        let posteriors = self.posteriors.as_slice().expect("leading rows are contiguous");
        buffers.masses.fill(0.0);
        linalg::sum_rows(posteriors, &mut buffers.masses);
        let moments = buffers.moments.as_slice().expect("block sums are row-major");
        let to = sums.moments.as_slice_mut().expect("sums are row-major");
        let mut sharp = evaluator.sharp.components().iter().copied().peekable();
        for (component, ((moments, &mass), to)) in moments
            .chunks_exact(width)
            .zip(&buffers.masses)
            .zip(to.chunks_exact_mut(width))
            .enumerate()
        {
            sums.order0[component] += mass;
            if sharp.next_if_eq(&component).is_none() {
                let means = evaluator.means.row(component);
                add_about(means.to_slice().expect("contiguous"), moments, mass, to);
                continue;
            }
            let gammas = posteriors.iter().skip(component).step_by(k);
            let pairs =
                (0..).zip(gammas).filter(|pair| *pair.1 > 0.0).map(|(n, &gamma)| (n, gamma));
            buffers.pairs.clear();
            buffers.pairs.extend(pairs);
            evaluator.add_pairs(self.rows, component, &buffers.pairs, to);
        }
    }

    /// Puts every posterior above `threshold` into its component's bucket.
    fn select(&mut self, threshold: f32) {
        let k = self.posteriors.ncols();
        let posteriors = self.posteriors.as_slice().expect("leading rows are contiguous");
        let Buffers { kept, counts, .. } = &mut *self.sums;
        empty_buckets(kept, counts, k);
        let (kept, counts) = (&mut kept[..], &mut counts[..]);
        widest!(<'a> simd: S, |posteriors: &'a [f32], k: usize, threshold: f32, kept: &'a mut [(u32, f32)], counts: &'a mut [u32]| -> () {
            let thresholds = simd.splat_f32s(threshold);
            let zero = simd.splat_u32s(0);
            let lanes = S::F32_LANES;
            for (row, gammas) in posteriors.chunks_exact(k).enumerate() {
                for (group, gammas) in gammas.chunks(BITS * lanes).enumerate() {
                    // Bit `b` of lane `l` stands for column `lanes · b + l` of the group.
                    let mut found = zero;
                    let (blocks, rest) = S::as_simd_f32s(gammas);
                    for (b, block) in blocks.iter().enumerate() {
                        let above = simd.greater_than_f32s(*block, thresholds);
                        let bit = simd.select_u32s(above, simd.splat_u32s(1 << b), zero);
                        found = simd.or_u32s(found, bit);
                    }
                    if !rest.is_empty() {
                        let above = simd.greater_than_f32s(simd.partial_load_f32s(rest), thresholds);
                        let bit = simd.select_u32s(above, simd.splat_u32s(1 << blocks.len()), zero);
                        found = simd.or_u32s(found, bit);
                    }
                    let mut words = [0u32; LANES];
                    simd.partial_store_u32s(&mut words[..lanes], found);
                    for (quad, words) in words[..lanes].chunks(4).enumerate() {
                        let mut bits = 0u64;
                        for (lane, &word) in words.iter().enumerate() {
                            bits |= u64::from(word) << (BITS * lane);
                        }
                        while bits != 0 {
                            let bit = bits.trailing_zeros() as usize;
                            bits &= bits - 1;
                            let column = lanes * (bit % BITS) + 4 * quad + bit / BITS;
                            let component = BITS * lanes * group + column;
                            let count = &mut counts[component];
                            kept[component * BUCKET + *count as usize] = (row as u32, gammas[column]);
                            *count += 1;
                        }
                    }
                }
            }
        });
    }

    /// Puts every row into the bucket of its most probable component (the first of equals), whole.
    fn select_winners(&mut self) {
        let (n, k) = self.posteriors.dim();
        let posteriors = self.posteriors.as_slice().expect("leading rows are contiguous");
        let Buffers { kept, counts, winners, largest, .. } = &mut *self.sums;
        empty_buckets(kept, counts, k);
        winners.resize(n, 0);
        largest.resize(n, 0.0);
        linalg::argmax_rows(posteriors, &vec![0.0; k], winners, largest);
        for (row, &winner) in winners.iter().enumerate() {
            let count = &mut counts[winner as usize];
            kept[winner as usize * BUCKET + *count as usize] = (row as u32, 1.0);
            *count += 1;
        }
    }

    /// Adds what the buckets hold.
    fn add_kept(&mut self, evaluator: &Evaluator, sums: &mut Statistics) {
        let width = sums.moments.ncols();
        let moments = sums.moments.as_slice_mut().expect("sums are row-major");
        let buckets = self.sums.kept.chunks_exact(BUCKET).zip(&self.sums.counts);
        let of_components = buckets.zip(moments.chunks_exact_mut(width)).zip(&mut sums.order0);
        for (component, (((bucket, &count), moments), mass)) in of_components.enumerate() {
            let pairs = &bucket[..count as usize];
            *mass += pairs.iter().map(|(_, gamma)| f64::from(*gamma)).sum::<f64>();
            evaluator.add_pairs(self.rows, component, pairs, moments);
        }
    }
}

impl Block<'_> {
    /// Adds what f32 has left out of rows that are known beyond it. `all` says whether all posteriors
    /// count, or those in the buckets.
    fn add_known(&self, evaluator: &Evaluator, known: &Known, all: bool, sums: &mut Statistics) {
        let (k, width) = sums.moments.dim();
        let Buffers { kept, counts, known: found, .. } = &*self.sums;
        let mut masses = vec![0.0f64; k];
        if all {
            for (gammas, _) in self.posteriors.rows().into_iter().zip(found).filter(|row| *row.1) {
                masses.iter_mut().zip(gammas).for_each(|(mass, &gamma)| *mass += f64::from(gamma));
            }
        } else {
            let buckets = kept.chunks_exact(BUCKET).zip(counts);
            for (mass, (bucket, &count)) in masses.iter_mut().zip(buckets) {
                let of_known =
                    bucket[..count as usize].iter().filter(|pair| found[pair.0 as usize]);
                *mass = of_known.map(|pair| f64::from(pair.1)).sum();
            }
        }
        let moments = sums.moments.as_slice_mut().expect("sums are row-major");
        let components = masses.into_iter().zip(moments.chunks_exact_mut(width)).enumerate();
        for (component, (mass, moments)) in components.filter(|(_, (mass, _))| *mass > 0.0) {
            let means = evaluator.scaled_means.row(component).to_slice().expect("contiguous");
            known.add(mass, &evaluator.inverse_scale, means, moments);
        }
    }
}

impl Evaluator {
    /// Adds `S² | S¹` of a component over the pairs: its sums stay in registers over all the rows it
    /// explains.
    fn add_pairs(&self, rows: &[f32], component: usize, pairs: &[(u32, f32)], moments: &mut [f64]) {
        let scale = &self.inverse_scale[..];
        let means = self.scaled_means.row(component).to_slice().expect("contiguous");
        widest!(<'a> simd: S, |moments: &'a mut [f64], pairs: &'a [(u32, f32)], rows: &'a [f32], scale: &'a [f32], means: &'a [f32]| -> () {
            let of = Pairs { pairs, rows, scale, means };
            let mut done = 0;
            while done < scale.len() {
                let registers = (scale.len() - done).div_ceil(S::F32_LANES).min(REGISTERS);
                match registers {
                    1 => of.add::<S, 1>(simd, moments, done),
                    2 => of.add::<S, 2>(simd, moments, done),
                    3 => of.add::<S, 3>(simd, moments, done),
                    4 => of.add::<S, 4>(simd, moments, done),
                    5 => of.add::<S, 5>(simd, moments, done),
                    _ => of.add::<S, REGISTERS>(simd, moments, done),
                }
                done += registers * S::F32_LANES;
            }
        });
    }
}

/// Adds sums about 0, `[y², y]` weighted, to `to` as sums about `means`.
fn add_about(means: &[f64], sums: &[f32], mass: f64, to: &mut [f64]) {
    widest!(<'a> |means: &'a [f64], sums: &'a [f32], mass: f64, to: &'a mut [f64]| -> () {
        let (squares, plain) = sums.split_at(means.len());
        let (second, first) = to.split_at_mut(means.len());
        for j in 0..means.len() {
            let (mean, plain) = (means[j], f64::from(plain[j]));
            let about = plain - mean * mass;
            first[j] += about;
            // S² − 2μS¹ + μ²S⁰, with one product fewer.
            second[j] += f64::from(squares[j]) - mean * (plain + about);
        }
    });
}

/// Room of a component's bucket: a block's rows, and a few more so that the buckets of different
/// components do not fall on the same lines of the cache.
const BUCKET: usize = BLOCK_ROWS + 24;

/// Vectors of posteriors whose comparisons with the threshold are gathered before the kept ones are
/// looked at: four lanes' bits fill a word of 64.
const BITS: usize = 16;

fn empty_buckets(kept: &mut Vec<(u32, f32)>, counts: &mut Vec<u32>, components: usize) {
    kept.resize(components * BUCKET, (0, 0.0));
    counts.clear();
    counts.resize(components, 0);
}

/// Registers of columns that are summed at a time: as many as stay registers, with the two sums, the
/// scale and the mean of each.
const REGISTERS: usize = 6;

/// The rows of one component with their posteriors.
#[derive(Clone, Copy)]
struct Pairs<'a> {
    pairs: &'a [(u32, f32)],
    /// `N × D`.
    rows: &'a [f32],
    /// `1/s`, `D` values.
    scale: &'a [f32],
    /// `μ/s`, `D` values.
    means: &'a [f32],
}

impl Pairs<'_> {
    /// Adds to the sums of the columns from `done` that `R` registers hold; the last of them may be
    /// filled in part.
    #[inline(always)]
    fn add<S: Simd, const R: usize>(self, simd: S, sums: &mut [f64], done: usize) {
        let dim = self.scale.len();
        let columns = (R * S::F32_LANES).min(dim - done);
        let scale: [S::f32s; R] = load(simd, &self.scale[done..done + columns]);
        let mut shift: [S::f32s; R] = load(simd, &self.means[done..done + columns]);
        shift.iter_mut().for_each(|shift| *shift = simd.neg_f32s(*shift));
        let mut first = [simd.splat_f32s(0.0); R];
        let mut second = first;
        for &(row, gamma) in self.pairs {
            let start = row as usize * dim + done;
            let x: [S::f32s; R] = load(simd, &self.rows[start..start + columns]);
            let gamma = simd.splat_f32s(gamma);
            for r in 0..R {
                let apart = simd.mul_add_e_f32s(x[r], scale[r], shift[r]);
                let weighted = simd.mul_f32s(gamma, apart);
                first[r] = simd.add_f32s(first[r], weighted);
                second[r] = simd.mul_add_e_f32s(weighted, apart, second[r]);
            }
        }
        let mut values = [0.0f32; REGISTERS * LANES];
        for (part, start) in [(second, done), (first, dim + done)] {
            S::as_mut_simd_f32s(&mut values[..R * S::F32_LANES]).0.copy_from_slice(&part);
            for (sum, &value) in sums[start..start + columns].iter_mut().zip(&values) {
                *sum += f64::from(value);
            }
        }
    }
}

/// `R` registers of values; what is missing in the last is 0.
#[inline(always)]
fn load<S: Simd, const R: usize>(simd: S, values: &[f32]) -> [S::f32s; R] {
    let (whole, rest) = values.split_at((R - 1) * S::F32_LANES);
    let mut registers = [simd.splat_f32s(0.0); R];
    registers[..R - 1].copy_from_slice(S::as_simd_f32s(whole).0);
    registers[R - 1] = simd.partial_load_f32s(rest);
    registers
}
