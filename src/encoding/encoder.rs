//! The encoder of images: sums by spatial cell, then regions, gradients and normalisation.

use ndarray::{Array2, ArrayView2, s};

use super::layout::Layout;
use super::normalise::{self, Exponents};
use super::params::{AssignmentKind, Params};
use super::{fisher, spatial::Cells};
use crate::error::{Error, Result};
use crate::gmm::{Assignment, Evaluator, Gmm, Scratch, Statistics};
use crate::linalg::{self, BLOCK_ROWS};
use crate::position::Position;

/// Encodes images under one mixture. Shared between threads; each worker has a [`Workspace`].
#[derive(Debug, Clone)]
pub struct Encoder {
    pub(super) evaluator: Evaluator,
    pub(super) params: Params,
    pub(super) layout: Layout,
    pub(super) assignment: Assignment,
    pub(super) cells: Cells,
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
        let evaluator = Evaluator::new(gmm);
        Ok(Self {
            layout: Layout::of(params, evaluator.components(), evaluator.dim()),
            evaluator,
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

    /// Where the values of its vectors stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Length of the vectors this encoder makes.
    #[expect(clippy::len_without_is_empty, reason = "a vector has at least one value")]
    pub fn len(&self) -> usize {
        self.layout.len()
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
        let mut vector = vec![0.0f32; self.len()];
        for (region, out) in vector.chunks_exact_mut(self.layout.region_len()).enumerate() {
            let mut sums = Statistics::zeros(self.layout.components(), self.layout.dim());
            self.cells.of_region(region).for_each(|cell| sums.add(&workspace.sums[cell]));
            fisher::gradient(&self.evaluator, &sums, &self.params, &self.layout, out);
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
