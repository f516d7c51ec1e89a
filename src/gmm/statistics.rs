//! Sums of posteriors and of posterior-weighted rows: all that EM and Fisher vectors need.
//!
//! ```text
//! S⁰_k = Σ_n γ_nk      S¹_kd = Σ_n γ_nk y_nd      S²_kd = Σ_n γ_nk y²_nd
//! ```
//!
//! in the standardised coordinates `y` of the [`Evaluator`] that made them; f64 sums of f32 block
//! sums. Two ways that agree: a dense product `γᵀ·[y², y]`, or, when posteriors under a threshold
//! are dropped, register sums over the few rows that each component explains.

use ndarray::{Array2, ArrayView2, Axis};

use super::posteriors::{Block, Evaluator, Scratch};
use crate::error::Result;
use crate::linalg::{self, BLOCK_ROWS};
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
    /// `S² | S¹`, `K × 2D`, in the order of the evaluator's features.
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

/// Block-sized buffers of the sums.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    moments: Array2<f32>,
    order0: Vec<f32>,
    /// Kept (row, posterior) pairs in row order, and their components.
    kept: Vec<(u32, f32)>,
    component_of: Vec<u32>,
    /// The pairs again, grouped by component.
    grouped: Vec<(u32, f32)>,
    starts: Vec<usize>,
}

impl Evaluator {
    /// Adds the sums of `rows` (`N × D`) to `sums`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when `D` is not the mixture's, [`crate::Error::Numerical`] on a NaN
    /// or an infinity.
    pub fn accumulate(
        &self,
        rows: ArrayView2<'_, f32>,
        assignment: Assignment,
        scratch: &mut Scratch,
        sums: &mut Statistics,
    ) -> Result<()> {
        for block_rows in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
            let mut block = self.evaluate(block_rows, scratch)?;
            sums.rows += block_rows.nrows() as u64;
            sums.log_likelihood += block.log_likelihood.iter().sum::<f64>();
            match assignment {
                Assignment::Soft { threshold: 0.0 } => block.add_dense(sums),
                Assignment::Soft { threshold } => block.add_pruned(threshold, sums),
                Assignment::Hard => {
                    block.harden();
                    // One posterior of 1 a row is left: everything at or below ½ is 0.
                    block.add_pruned(0.5, sums);
                }
            }
        }
        Ok(())
    }
}

impl Block<'_> {
    /// `γᵀ·[y², y]` as one product.
    fn add_dense(&mut self, sums: &mut Statistics) {
        let (k, width) = sums.moments.dim();
        let buffers = &mut *self.sums;
        buffers.fit(k, width);
        linalg::multiply(buffers.moments.view_mut(), self.posteriors.t(), self.features);
        buffers.order0.fill(0.0);
        let posteriors = self.posteriors.as_slice().expect("leading rows are contiguous");
        linalg::sum_rows(posteriors, &mut buffers.order0);
        for (sum, &block) in sums.moments.iter_mut().zip(&buffers.moments) {
            *sum += f64::from(block);
        }
        for (sum, &block) in sums.order0.iter_mut().zip(&buffers.order0) {
            *sum += f64::from(block);
        }
    }

    /// Only posteriors above `threshold`, gathered by component so that a component's sums stay in
    /// registers over all the rows it explains.
    fn add_pruned(&mut self, threshold: f32, sums: &mut Statistics) {
        let (k, width) = sums.moments.dim();
        let dim = width / 2;
        let posteriors = self.posteriors.as_slice().expect("leading rows are contiguous");
        let features = self.features.as_slice().expect("leading rows are contiguous");
        self.sums.select(posteriors, k, threshold);
        let (starts, grouped) = (&self.sums.starts[..], &self.sums.grouped[..]);
        let moments = sums.moments.as_slice_mut().expect("sums are row-major");
        widest!(<'a> |moments: &'a mut [f64], width: usize, dim: usize, starts: &'a [usize], grouped: &'a [(u32, f32)], features: &'a [f32]| -> () {
            for (component, sums) in moments.chunks_exact_mut(width).enumerate() {
                let pairs = &grouped[starts[component]..starts[component + 1]];
                let mut done = 0;
                while done + 5 * LANES <= dim {
                    add_lanes::<5>(pairs, features, width, dim + done, sums, done, 5 * LANES);
                    done += 5 * LANES;
                }
                while done < dim {
                    let count = if dim - done < LANES { dim - done } else { LANES };
                    add_lanes::<1>(pairs, features, width, dim + done, sums, done, count);
                    done += count;
                }
            }
        });
        for (sum, range) in sums.order0.iter_mut().zip(starts.windows(2)) {
            let mass: f32 = grouped[range[0]..range[1]].iter().map(|(_, gamma)| gamma).sum();
            *sum += f64::from(mass);
        }
    }

    /// Replaces every row's posteriors by 1 at the largest (the first of equals) and 0 elsewhere.
    fn harden(&mut self) {
        for mut row in self.posteriors.rows_mut() {
            let mut best = 0;
            for (k, &gamma) in row.iter().enumerate() {
                if gamma > row[best] {
                    best = k;
                }
            }
            row.fill(0.0);
            row[best] = 1.0;
        }
    }
}

/// Columns in one vector register of f32.
const LANES: usize = 16;

/// Adds `Σ γ y²` and `Σ γ y` over the pairs to `sums`, for `count` columns from `done`, which stand
/// at `offset` of each row of `width` features. `VECTORS` registers hold each of the two sums.
#[inline(always)]
fn add_lanes<const VECTORS: usize>(
    pairs: &[(u32, f32)],
    features: &[f32],
    width: usize,
    offset: usize,
    sums: &mut [f64],
    done: usize,
    count: usize,
) {
    let mut first = [[0.0f32; LANES]; VECTORS];
    let mut second = [[0.0f32; LANES]; VECTORS];
    for &(row, gamma) in pairs {
        let start = row as usize * width + offset;
        let y = &features[start..start + count];
        if count == VECTORS * LANES {
            for v in 0..VECTORS {
                for lane in 0..LANES {
                    let value = y[v * LANES + lane];
                    let weighted = gamma * value;
                    first[v][lane] += weighted;
                    second[v][lane] = weighted.mul_add(value, second[v][lane]);
                }
            }
        } else {
            for (lane, &value) in y.iter().enumerate() {
                let weighted = gamma * value;
                first[lane / LANES][lane % LANES] += weighted;
                let sum = &mut second[lane / LANES][lane % LANES];
                *sum = weighted.mul_add(value, *sum);
            }
        }
    }
    let dim = width / 2;
    for j in 0..count {
        sums[done + j] += f64::from(second[j / LANES][j % LANES]);
        sums[dim + done + j] += f64::from(first[j / LANES][j % LANES]);
    }
}

impl Buffers {
    fn fit(&mut self, k: usize, width: usize) {
        if self.moments.dim() != (k, width) {
            self.moments = Array2::zeros((k, width));
            self.order0 = vec![0.0; k];
        }
    }

    /// Fills `grouped` and `starts` with the pairs above `threshold`: a counting sort by component,
    /// rows in order within each.
    fn select(&mut self, posteriors: &[f32], k: usize, threshold: f32) {
        self.kept.clear();
        self.component_of.clear();
        self.starts.clear();
        self.starts.resize(k + 1, 0);
        let mut picked = vec![0u32; k];
        for (row, gammas) in posteriors.chunks_exact(k).enumerate() {
            // Written always, advanced only when kept: no branch to mispredict.
            let mut count = 0;
            for (component, &gamma) in gammas.iter().enumerate() {
                picked[count] = component as u32;
                count += usize::from(gamma > threshold);
            }
            for &component in &picked[..count.min(k)] {
                self.kept.push((row as u32, gammas[component as usize]));
                self.component_of.push(component);
                self.starts[component as usize + 1] += 1;
            }
        }
        for component in 0..k {
            self.starts[component + 1] += self.starts[component];
        }
        self.grouped.clear();
        self.grouped.resize(self.kept.len(), (0, 0.0));
        let mut next = self.starts.clone();
        for (&pair, &component) in self.kept.iter().zip(&self.component_of) {
            self.grouped[next[component as usize]] = pair;
            next[component as usize] += 1;
        }
    }
}
