//! Fisher vector of the descriptors of one image under a diagonal Gaussian mixture.
//!
//! For `N` descriptors `x_n`, components `k` with weight `w_k`, mean `μ_k`, variance `σ²_k`,
//! posteriors `γ_nk` and `z_nk = (x_n − μ_k) / σ_k`:
//!
//! ```text
//! g_k = 1/(N √w_k)    Σ_n (γ_nk − w_k)          order 0
//! u_k = 1/(N √w_k)    Σ_n γ_nk z_nk             order 1
//! v_k = 1/(N √(2w_k)) Σ_n γ_nk (z_nk² − 1)      order 2
//! ```
//!
//! Layout of one region: `[g_1 … g_K | u_1 … u_K | v_1 … v_K]`, blocks of the orders asked for;
//! regions follow each other in the order of the settings, each grid row by row. Normalisation is a
//! list of steps per region and a list over the whole vector ([`normalise`]).
//! Source: PSM10, SPMV13 in `docs/REFERENCES.md`.

pub mod contributions;
mod fisher;
pub mod memory;
pub mod normalise;
pub mod spatial;

use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::gmm::{Assignment, Evaluator, Gmm, Scratch, Statistics};
use crate::linalg::{self, BLOCK_ROWS};
use crate::parameters::{ascending, one_or_more_of};
use crate::position::Position;
use normalise::{Shape, Step};
use spatial::{Cells, Grid};

crate::parameters! {
    /// Settings of the Fisher vector (group `encoding`).
    #[group = "encoding"]
    pub struct Params {
        /// Orders of the gradient: 0 (weights), 1 (means), 2 (variances).
        pub orders: Vec<u8> = vec![1, 2], in ascending(0..=2);
        /// One weight per entry of `orders`, applied before normalisation; empty means 1. The power step therefore acts on weighted values.
        pub order_weights: Vec<f64> = Vec::new(), in 1e-6..=1e6;
        /// Grids `ROWSxCOLUMNS` over the image; each of their cells gets a Fisher vector of its own. `["1x1", "3x1"]` is the whole image and three horizontal stripes.
        pub regions: Vec<Grid> = vec![Grid::WHOLE], in one_or_more_of("grids such as \"3x1\"");
        /// Whether the descriptors of the mirrored image count as well as the image's own, which makes the vector the same for both.
        pub mirrored: bool = false;
        /// `soft` (posteriors) or `hard` (each descriptor wholly to its most probable component; VLFeat's `fast`).
        pub assignment: AssignmentKind = AssignmentKind::Soft;
        /// Posteriors at or below this count as 0; 0 is exact (VLFeat 1e-6, enceval 1e-4).
        pub posterior_threshold: f64 = 1e-6, in 0.0..1.0,
            when "assignment = soft": |p| p.assignment == AssignmentKind::Soft;
        /// `n`: the mean over descriptors; `sqrt-n`: the sum over √N (Korsch et al., eq. 13–14).
        pub divisor: Divisor = Divisor::N;
        /// `fisher`: scaled by the Fisher information; `raw`: plain gradients, with the opposite sign in order 2 (the convention of gist danoneata/9927923).
        pub scaling: Scaling = Scaling::Fisher;
        /// Exponent ρ of the signed power step.
        pub power: f64 = 0.5, in 0.001..=1.0,
            when "region_steps or vector_steps with power": |p| p.has_step(Step::Power);
        /// Step `intra` rescales each component to its norm raised to this power: 0 gives every component unit length, 1 leaves it unchanged.
        pub intra_power: f64 = 0.0, in 0.0..=1.0,
            when "region_steps or vector_steps with intra": |p| p.has_step(Step::Intra);
        /// Steps on each region's vector, in order: `power`, `l2`, `intra` (per component).
        pub region_steps: Vec<Step> = vec![Step::Power, Step::L2];
        /// Steps on the concatenated vector, in order: `power`, `l2`, `intra`.
        pub vector_steps: Vec<Step> = vec![Step::L2];
        /// How vectors are stored: `f32`, `f16` (half the size, relative error 5e-4), or `compressed` (a sixteenth: three levels and one scale for 40 values).
        pub storage: Storage = Storage::F32;
    }
}

/// How descriptors are given to components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentKind {
    /// By posterior.
    Soft,
    /// Wholly to the most probable component.
    Hard,
}

/// What the sums over descriptors are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divisor {
    /// `N`, the number of descriptors.
    N,
    /// `√N`.
    SqrtN,
}

impl Divisor {
    fn of(self, rows: f64) -> f64 {
        match self {
            Self::N => rows,
            Self::SqrtN => rows.sqrt(),
        }
    }
}

/// Whether gradients are scaled by the Fisher information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Scaled, as in the module's formulas.
    Fisher,
    /// Plain gradients: `γ̄_k − w_k`, `Σγx/N − γ̄μ`, `−Σγx²/N − γ̄μ² + γ̄σ² + 2μΣγx/N`.
    Raw,
}

/// Storage type of Fisher vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Three levels and one scale for every 40 values.
    Compressed,
}

impl Params {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()?;
        let (weights, orders) = (self.order_weights.len(), self.orders.len());
        Error::require(
            weights == 0 || weights == orders,
            "encoding.order_weights",
            format!("{:?}", self.order_weights),
            &format!("empty, or {orders} long like encoding.orders"),
        )
    }

    fn has_step(&self, step: Step) -> bool {
        self.region_steps.contains(&step) || self.vector_steps.contains(&step)
    }

    /// The factor of an order's values.
    fn order_weight(&self, order: u8) -> f64 {
        let mut weights = self.orders.iter().zip(&self.order_weights);
        weights.find(|(of, _)| **of == order).map_or(1.0, |(_, weight)| *weight)
    }

    /// Values of one region's vector for `components` of `dim` dimensions.
    fn region_len(&self, components: usize, dim: usize) -> usize {
        self.orders
            .iter()
            .map(|&order| if order == 0 { components } else { components * dim })
            .sum()
    }
}

/// Encodes images under one mixture. Shared between threads; each worker has a [`Workspace`].
#[derive(Debug, Clone)]
pub struct Encoder {
    evaluator: Evaluator,
    params: Params,
    assignment: Assignment,
    cells: Cells,
}

/// Buffers of one worker, reused from image to image.
#[derive(Debug, Default)]
pub struct Workspace {
    scratch: Scratch,
    /// One sum per spatial cell.
    sums: Vec<Statistics>,
    /// Rows waiting per cell, so that the mixture always sees full blocks.
    waiting: Vec<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: Array2<f32>,
    count: usize,
}

impl Encoder {
    /// An encoder for `gmm`.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting is out of range.
    pub fn new(gmm: &Gmm, params: &Params) -> Result<Self> {
        params.validate()?;
        let assignment = match params.assignment {
            AssignmentKind::Soft => {
                Assignment::Soft { threshold: params.posterior_threshold as f32 }
            }
            AssignmentKind::Hard => Assignment::Hard,
        };
        Ok(Self {
            evaluator: Evaluator::new(gmm),
            params: params.clone(),
            assignment,
            cells: Cells::new(&params.regions),
        })
    }

    /// Takes descriptors that begin with `rounded` for the point `exact`, of which they are the f32
    /// numbers: what [`crate::projection::Projection::of_zeros`] says of an empty descriptor.
    ///
    /// # Panics
    /// When the two are of different lengths, or longer than a descriptor.
    pub fn knowing(mut self, rounded: Vec<f32>, exact: &[f64]) -> Self {
        self.evaluator = self.evaluator.knowing(rounded, exact);
        self
    }

    /// Length of the vectors this encoder makes.
    pub fn len(&self) -> usize {
        self.cells.regions()
            * self.params.region_len(self.evaluator.components(), self.evaluator.dim())
    }

    /// Never: an encoder's vectors have at least one value.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Starts a new image.
    pub fn begin(&self, workspace: &mut Workspace) {
        let (k, d) = (self.evaluator.components(), self.evaluator.dim());
        let fits = workspace.sums.len() == self.cells.count()
            && workspace.sums.iter().all(|s| s.order1().dim() == (k, d));
        if fits {
            workspace.sums.iter_mut().for_each(Statistics::clear);
            workspace.waiting.iter_mut().for_each(|waiting| waiting.count = 0);
        } else {
            workspace.sums = vec![Statistics::zeros(k, d); self.cells.count()];
            workspace.waiting = (0..self.cells.count())
                .map(|_| Waiting { rows: Array2::zeros((BLOCK_ROWS, d)), count: 0 })
                .collect();
        }
    }

    /// Adds descriptors of the present image: `rows` is `N × D`, already projected; `positions[n]`
    /// is that of row `n`.
    ///
    /// # Errors
    /// [`Error::Shape`] when `D` is not the mixture's or the lengths differ, [`Error::Numerical`]
    /// on a NaN or an infinity.
    pub fn push(
        &self,
        rows: ArrayView2<'_, f32>,
        positions: &[Position],
        workspace: &mut Workspace,
    ) -> Result<()> {
        self.check(rows, positions.len())?;
        let d = self.evaluator.dim();
        let mut done = 0;
        if self.cells.count() == 1 && workspace.waiting[0].count == 0 {
            // Whole blocks of the only cell need not wait, and come out the same.
            done = rows.nrows() / BLOCK_ROWS * BLOCK_ROWS;
            let Workspace { scratch, sums, .. } = workspace;
            let whole = rows.slice(s![..done, ..]);
            self.evaluator.accumulate(whole, self.assignment, scratch, &mut sums[0])?;
        }
        let values = rows.as_slice().expect("descriptors are row-major");
        for (row, position) in values.chunks_exact(d).zip(positions).skip(done) {
            let cell = self.cells.of(*position);
            let waiting = &mut workspace.waiting[cell];
            let start = waiting.count * d;
            let slots = waiting.rows.as_slice_mut().expect("a buffer is row-major");
            slots[start..start + d].copy_from_slice(row);
            waiting.count += 1;
            if waiting.count == BLOCK_ROWS {
                self.flush(cell, workspace)?;
            }
        }
        Ok(())
    }

    /// Ends the image: its normalised Fisher vector, [`len`](Self::len) values, all zero when no
    /// descriptor was pushed.
    ///
    /// # Errors
    /// [`Error::Numerical`] when a descriptor was so extreme that the vector is not finite.
    pub fn finish(&self, workspace: &mut Workspace) -> Result<Vec<f32>> {
        for cell in 0..self.cells.count() {
            self.flush(cell, workspace)?;
        }
        let (components, dim) = (self.evaluator.components(), self.evaluator.dim());
        let region_len = self.params.region_len(components, dim);
        let mut vector = vec![0.0f32; self.len()];
        for (region, out) in vector.chunks_exact_mut(region_len).enumerate() {
            let mut sums = Statistics::zeros(components, dim);
            self.cells.of_region(region).for_each(|cell| sums.add(&workspace.sums[cell]));
            fisher::gradient(&self.evaluator, &sums, &self.params, out);
        }
        self.normalise(&mut vector);
        match linalg::first_not_finite(&vector) {
            None => Ok(vector),
            Some(_) => Err(Error::Numerical {
                what: "Fisher vector",
                problem: "a descriptor is too extreme for f32; scale the descriptors down".into(),
            }),
        }
    }

    /// Divides sums over descriptors ([`contributions::Sums::signed`]) by the divisor of their region
    /// and normalises them: the Fisher vector that [`finish`](Self::finish) gives, to rounding.
    /// `region_rows` are the descriptors of each region.
    ///
    /// # Panics
    /// When there are not [`len`](Self::len) sums, or not as many counts as regions.
    pub fn normalised(&self, sums: &[f64], region_rows: &[u64], vector: &mut Vec<f32>) {
        assert_eq!(sums.len(), self.len(), "sums of a Fisher vector");
        assert_eq!(region_rows.len(), self.cells.regions(), "regions of a Fisher vector");
        vector.clear();
        let region_len = self.len() / region_rows.len();
        for (sums, &rows) in sums.chunks_exact(region_len).zip(region_rows) {
            let scale = if rows == 0 { 0.0 } else { 1.0 / self.params.divisor.of(rows as f64) };
            vector.extend(sums.iter().map(|sum| (sum * scale) as f32));
        }
        self.normalise(vector);
    }

    fn normalise(&self, vector: &mut [f32]) {
        let (components, dim) = (self.evaluator.components(), self.evaluator.dim());
        let shape = Shape {
            components,
            dim,
            orders: &self.params.orders,
            power: self.params.power,
            intra_power: self.params.intra_power,
        };
        for region in vector.chunks_exact_mut(self.params.region_len(components, dim)) {
            normalise::apply(&self.params.region_steps, &shape, region);
        }
        normalise::apply(&self.params.vector_steps, &shape, vector);
    }

    fn check(&self, rows: ArrayView2<'_, f32>, positions: usize) -> Result<()> {
        let d = self.evaluator.dim();
        if rows.ncols() != d {
            return Err(Error::Shape { what: "descriptors", expected: d, got: rows.ncols() });
        }
        if rows.nrows() != positions {
            let (expected, got) = (rows.nrows(), positions);
            return Err(Error::Shape { what: "positions of descriptors", expected, got });
        }
        Ok(())
    }

    fn flush(&self, cell: usize, workspace: &mut Workspace) -> Result<()> {
        let waiting = &mut workspace.waiting[cell];
        let rows = waiting.rows.slice(s![..waiting.count, ..]);
        self.evaluator.accumulate(
            rows,
            self.assignment,
            &mut workspace.scratch,
            &mut workspace.sums[cell],
        )?;
        waiting.count = 0;
        Ok(())
    }
}

/// Encodes one image's descriptors as an unnormalised Fisher vector of orders 1 and 2, keeping
/// every posterior.
///
/// `descriptors` is `N × D`, already projected. Returns `2·K·D` values laid out as in the
/// [module docs](self); all zero when `N` is 0.
///
/// # Errors
/// [`Error::Shape`] when `D` is not the mixture's dimension, [`Error::Numerical`] on a NaN or an
/// infinity.
///
/// ```
/// use fvtool::{encoding, gmm::Gmm};
/// use ndarray::array;
/// let gmm = Gmm::new(vec![1.0], array![[0.0, 0.0]], array![[1.0, 4.0]])?;
/// let fv = encoding::encode(&gmm, array![[1.0_f32, 2.0]].view())?;
/// // One σ away in both dimensions: z = 1, z² − 1 = 0.
/// assert!(fv.iter().zip([1.0, 1.0, 0.0, 0.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn encode(gmm: &Gmm, descriptors: ArrayView2<'_, f32>) -> Result<Vec<f32>> {
    let params = Params {
        posterior_threshold: 0.0,
        region_steps: Vec::new(),
        vector_steps: Vec::new(),
        ..Params::default()
    };
    encode_with(gmm, descriptors, &params)
}

/// Encodes one image's descriptors, all at the image's centre, with the given settings.
///
/// # Errors
/// As [`encode`], and [`Error::Setting`] when a setting is out of range.
pub fn encode_with(
    gmm: &Gmm,
    descriptors: ArrayView2<'_, f32>,
    params: &Params,
) -> Result<Vec<f32>> {
    let encoder = Encoder::new(gmm, params)?;
    let mut workspace = Workspace::default();
    encoder.begin(&mut workspace);
    encoder.push(
        descriptors,
        &vec![Position::at(0.5, 0.5); descriptors.nrows()],
        &mut workspace,
    )?;
    encoder.finish(&mut workspace)
}
