//! The encoder of images: sums by spatial cell, then regions, gradients and normalisation.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, s};

use super::fisher::{self, Scaled};
use super::layout::Layout;
use super::normalise::{self, Exponents};
use super::params::{AssignmentKind, Params};
use super::spatial::Cells;
use crate::error::{Error, Result};
use crate::generative::{self, Generative, Model, Sums};
use crate::gmm::{Assignment, Evaluator, Family, Gmm, Scratch, Statistics};
use crate::linalg::{self, BLOCK_ROWS};
use crate::position::Position;

/// Encodes images under one model. Shared between threads; each worker has a [`Workspace`].
#[derive(Debug, Clone)]
pub struct Encoder {
    pub(super) core: Core,
    pub(super) params: Params,
    pub(super) layout: Layout,
    pub(super) assignment: Assignment,
    pub(super) cells: Cells,
}

/// What sums descriptors.
#[derive(Debug, Clone)]
pub(super) enum Core {
    /// The Gaussian mixture's own way.
    Gaussian(Box<Evaluator>),
    /// Any other family.
    Family(Arc<dyn Generative>, Arc<Scaled>),
}

/// Buffers of one worker, reused from image to image.
#[derive(Debug, Default)]
pub struct Workspace {
    scratch: Scratch,
    of_family: generative::Scratch,
    /// One sum per spatial cell.
    sums: Vec<Statistics>,
    /// The same of another family than the Gaussian one.
    family_sums: Vec<Sums>,
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
        let evaluate = |_: &Layout| Core::Gaussian(Box::new(Evaluator::new(gmm)));
        Self::of_core(generative::Parts::gaussian(gmm.components(), gmm.dim()), params, evaluate)
    }

    /// An encoder for a model of any family.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting is out of range, or asks for orders that the family does not have.
    pub fn of_model(model: &Model, params: &Params) -> Result<Self> {
        match (model, model.generative()) {
            (Model::Gaussian(gmm), _) => Self::new(gmm, params),
            (_, None) => unreachable!("every other family is behind the trait"),
            (_, Some(model)) => Self::of_core(model.parts(), params, |layout| {
                let scaled = Scaled::new(&*model, params, layout);
                Core::Family(Arc::clone(&model), scaled.into())
            }),
        }
    }

    fn of_core(
        parts: generative::Parts,
        params: &Params,
        core: impl FnOnce(&Layout) -> Core,
    ) -> Result<Self> {
        params.validate()?;
        parts.check_orders(&params.orders)?;
        let assignment = match params.assignment {
            AssignmentKind::Soft => {
                Assignment::Soft { threshold: params.posterior_threshold as f32 }
            }
            AssignmentKind::Hard => Assignment::Hard,
        };
        let layout = Layout::of_parts(params, parts);
        Ok(Self {
            core: core(&layout),
            layout,
            params: params.clone(),
            assignment,
            cells: Cells::new(&params.regions),
        })
    }

    /// Takes descriptors that begin with `rounded` for the point `exact`, of which they are the f32
    /// numbers: what [`crate::projection::Projection::of_zeros`] says of an empty descriptor. Other families
    /// than the Gaussian one take them as they are.
    ///
    /// # Panics
    /// When the two are of different lengths, or longer than a descriptor.
    pub fn knowing(mut self, rounded: Vec<f32>, exact: &[f64]) -> Self {
        if let Core::Gaussian(evaluator) = self.core {
            self.core = Core::Gaussian(Box::new(evaluator.knowing(rounded, exact)));
        }
        self
    }

    /// Where the values of its vectors stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Length of the vectors this encoder makes.
    #[expect(clippy::len_without_is_empty, reason = "a vector has at least one value")]
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Refuses to say what single descriptors add to vectors of a model whose score is no sum over components.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the family and those that can be explained.
    pub fn require_components(&self) -> Result<()> {
        match &self.core {
            Core::Family(model, _) if model.components().is_none() => {
                Err(self.without_components())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn without_components(&self) -> Error {
        let range = "gaussian, laplace or factor-analysers for heatmaps, context, quality and audit: relevance \
                     goes back through components, which a vae does not have";
        Error::setting("gmm.family", self.layout.parts().family.name(), range)
    }

    /// Refuses to share relevance out among the coordinates of descriptors where a value of the vector is not of
    /// one of them.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the family and those for which it works.
    pub fn require_coordinates(&self) -> Result<()> {
        self.require_components()?;
        let family = self.layout.parts().family;
        let range = "gaussian or laplace for --network-rule: values of factor analysers are of all coordinates of \
                     a descriptor, and what each of these is worth is not defined; leave --network-rule out";
        Error::require(family != Family::FactorAnalysers, "gmm.family", family.name(), range)
    }

    /// Starts a new image.
    pub fn begin(&self, workspace: &mut Workspace) {
        let (k, d) = (self.layout.components(), self.layout.dim());
        let (cells, len) = (self.cells.count(), self.layout.region_len());
        match self.core {
            Core::Gaussian(_) => {
                let fits = workspace.sums.len() == cells
                    && workspace.sums.iter().all(|s| s.order1().dim() == (k, d));
                if fits {
                    workspace.sums.iter_mut().for_each(Statistics::clear);
                } else {
                    workspace.sums = vec![Statistics::zeros(k, d); cells];
                }
            }
            Core::Family(..) => {
                let fits = workspace.family_sums.len() == cells
                    && workspace.family_sums.iter().all(|s| s.values.len() == len);
                if fits {
                    workspace.family_sums.iter_mut().for_each(Sums::clear);
                } else {
                    workspace.family_sums = vec![Sums::zeros(len); cells];
                }
            }
        }
        let waiting = &mut workspace.waiting;
        if waiting.len() == cells && waiting.iter().all(|w| w.rows.dim() == (BLOCK_ROWS, d)) {
            waiting.iter_mut().for_each(|waiting| waiting.count = 0);
        } else {
            let empty = || Waiting { rows: Array2::zeros((BLOCK_ROWS, d)), count: 0 };
            *waiting = std::iter::repeat_with(empty).take(cells).collect();
        }
    }

    /// Adds rows to the sums of a cell.
    fn accumulate(
        &self,
        cell: usize,
        rows: ArrayView2<'_, f32>,
        scratch: (&mut Scratch, &mut generative::Scratch),
        sums: (&mut [Statistics], &mut [Sums]),
    ) -> Result<()> {
        match &self.core {
            Core::Gaussian(evaluator) => {
                evaluator.accumulate(rows, self.assignment, scratch.0, &mut sums.0[cell])
            }
            Core::Family(model, _) => {
                let orders = self.layout.orders();
                model.add(rows, orders, self.assignment, scratch.1, &mut sums.1[cell])
            }
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
        let d = self.layout.dim();
        let mut done = 0;
        if self.cells.count() == 1 && workspace.waiting[0].count == 0 {
            // Whole blocks of the only cell need not wait, and come out the same.
            done = rows.nrows() / BLOCK_ROWS * BLOCK_ROWS;
            let Workspace { scratch, of_family, sums, family_sums, .. } = workspace;
            let whole = rows.slice(s![..done, ..]);
            self.accumulate(0, whole, (scratch, of_family), (sums, family_sums))?;
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
        let mut vector = vec![0.0f32; self.len()];
        for (region, out) in vector.chunks_exact_mut(self.layout.region_len()).enumerate() {
            let cells = self.cells.of_region(region);
            match &self.core {
                Core::Gaussian(evaluator) => {
                    let mut sums = Statistics::zeros(self.layout.components(), self.layout.dim());
                    cells.for_each(|cell| sums.add(&workspace.sums[cell]));
                    fisher::gradient(evaluator, &sums, &self.params, &self.layout, out);
                }
                Core::Family(_, scaled) => {
                    let mut sums = Sums::zeros(self.layout.region_len());
                    cells.for_each(|cell| sums.add(&workspace.family_sums[cell]));
                    scaled.gradient(&sums, &self.params, out);
                }
            }
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

    /// The mean of `ln p(x)` over the descriptors of the image that was just [finished](Self::finish); `None` without
    /// one, and of other families than the Gaussian one.
    pub fn mean_log_likelihood(&self, workspace: &Workspace) -> Option<f64> {
        let Core::Gaussian(_) = self.core else { return None };
        let rows: u64 = workspace.sums.iter().map(|sums| sums.rows).sum();
        let sum: f64 = workspace.sums.iter().map(|sums| sums.log_likelihood).sum();
        (rows > 0).then(|| sum / rows as f64)
    }

    /// Divides sums over descriptors ([`Sums::signed`](super::contributions::Sums::signed)) by the divisor of their region
    /// and normalises them: the Fisher vector that [`finish`](Self::finish) gives, to rounding.
    /// `region_rows` are the descriptors of each region.
    ///
    /// # Panics
    /// When there are not [`len`](Self::len) sums, or not as many counts as regions.
    pub fn normalised(&self, sums: &[f64], region_rows: &[u64], vector: &mut Vec<f32>) {
        assert_eq!(sums.len(), self.len(), "sums of a Fisher vector");
        assert_eq!(region_rows.len(), self.cells.regions(), "regions of a Fisher vector");
        vector.clear();
        for (sums, &rows) in sums.chunks_exact(self.layout.region_len()).zip(region_rows) {
            let scale = if rows == 0 { 0.0 } else { 1.0 / self.params.divisor.of(rows as f64) };
            vector.extend(sums.iter().map(|sum| (sum * scale) as f32));
        }
        self.normalise(vector);
    }

    fn normalise(&self, vector: &mut [f32]) {
        let Params { power, intra_power: intra, region_steps, vector_steps, .. } = &self.params;
        let exponents = Exponents { power: *power, intra: *intra };
        for region in vector.chunks_exact_mut(self.layout.region_len()) {
            normalise::apply(region_steps, exponents, &self.layout, region);
        }
        normalise::apply(vector_steps, exponents, &self.layout, vector);
    }

    pub(super) fn check(&self, rows: ArrayView2<'_, f32>, positions: usize) -> Result<()> {
        let d = self.layout.dim();
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
        let Workspace { scratch, of_family, sums, family_sums, waiting } = workspace;
        let waiting = &mut waiting[cell];
        let rows = waiting.rows.slice(s![..waiting.count, ..]);
        self.accumulate(cell, rows, (scratch, of_family), (sums, family_sums))?;
        waiting.count = 0;
        Ok(())
    }
}
