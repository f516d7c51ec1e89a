//! What each descriptor adds to a Fisher vector, as two linear products that never form it.
//!
//! Before normalisation, dimension `d` is a sum over the descriptors of its region, up to the
//! divisor: `x_d = Σ_l m_d(l)`, with
//!
//! ```text
//! order 0: m = (γ_lk − w_k)/√w_k     order 1: m = γ_lk z_lk/√w_k     order 2: m = γ_lk (z_lk² − 1)/√(2w_k)
//! ```
//!
//! (and the scales of [`Raw`](super::Scaling::Raw) where that is set); of other mixtures than the Gaussian one
//! the columns of [`Components`](crate::generative::Components) and their scales. `m(l)` is a row of an `N × dim` array
//! that would have gigabytes. Held here are the descriptors (`N × D`) and the posteriors that count,
//! a list for every component: enough for the column sums ([`Contributions::sums`]) and for products
//! `Σ_d m_d(l) c_d` with all classes' coefficients at once ([`Contributions::weigh`]).

use std::borrow::Cow;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

pub use super::basis::Value;
use super::basis::{Basis, Columns, Scales, beyond};
use super::encoder::Encoder;
use super::real::Real;
use crate::error::{Error, Result};
use crate::generative;
use crate::gmm::Scratch;
use crate::linalg;
use crate::position::Position;
use crate::widest;

/// Pairs whose contributions are held at once.
const CHUNK: usize = 256;

/// Sums over the descriptors of an image, `dim` values each, in the layout of the vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// `Σ_l m_d(l)`.
    pub signed: Vec<f64>,
    /// `Σ_l |m_d(l)|`.
    pub absolute: Vec<f64>,
}

/// The descriptors of one image with the components that explain them.
#[derive(Debug)]
pub struct Contributions<'e> {
    encoder: &'e Encoder,
    basis: Basis<'e>,
    /// `N × D`.
    rows: Vec<f32>,
    /// The spatial cell of every row.
    cells: Vec<u16>,
    /// (row, posterior) pairs that count, at `cell · K + k`, rows ascending.
    pairs: Vec<Vec<(u32, f32)>>,
    scratch: Scratch,
    of_family: generative::Scratch,
}

/// Pairs of an image by row: (component, posterior).
#[derive(Debug)]
pub struct ByRow {
    starts: Vec<usize>,
    pairs: Vec<(u32, f32)>,
}

impl<'e> Contributions<'e> {
    /// An image without descriptors yet.
    pub fn new(encoder: &'e Encoder) -> Self {
        let k = encoder.layout.components();
        Self {
            encoder,
            basis: Basis::new(encoder),
            rows: Vec::new(),
            cells: Vec::new(),
            pairs: vec![Vec::new(); encoder.cells.count() * k],
            scratch: Scratch::default(),
            of_family: generative::Scratch::default(),
        }
    }

    /// Number of descriptors `N`.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// True before the first descriptor.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The encoder that these are contributions to.
    pub fn encoder(&self) -> &'e Encoder {
        self.encoder
    }

    /// Adds descriptors; arguments as of [`Encoder::push`].
    ///
    /// # Errors
    /// As [`Encoder::push`], and [`Error::Setting`] when the model is no mixture.
    pub fn push(&mut self, rows: ArrayView2<'_, f32>, positions: &[Position]) -> Result<()> {
        self.encoder.check(rows, positions.len())?;
        let cells: Vec<u16> = positions.iter().map(|p| self.encoder.cells.of(*p) as u16).collect();
        self.push_in_cells(rows, &cells)
    }

    /// Adds descriptors to given spatial cells.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    pub(crate) fn push_in_cells(&mut self, rows: ArrayView2<'_, f32>, cells: &[u16]) -> Result<()> {
        let start = self.len();
        let k = self.encoder.layout.components();
        let Self { encoder, basis, scratch, of_family, pairs, .. } = self;
        let found = &mut |component: usize, at: usize, found: &[(u32, f32)]| {
            for &(row, gamma) in found {
                let row = at + row as usize;
                let cell = usize::from(cells[row]);
                pairs[cell * k + component].push(((start + row) as u32, gamma));
            }
        };
        basis.assign(rows, encoder.assignment, (scratch, of_family), found)?;
        self.rows.extend_from_slice(rows.as_slice().expect("descriptors are row-major"));
        self.cells.extend_from_slice(cells);
        Ok(())
    }

    /// The descriptors, `N × D`.
    pub fn rows(&self) -> ArrayView2<'_, f32> {
        let shape = (self.len(), self.encoder.layout.dim());
        ArrayView2::from_shape(shape, &self.rows).expect("a row for each descriptor")
    }

    /// The cell of row `l`.
    pub(crate) fn cell(&self, l: usize) -> u16 {
        self.cells[l]
    }

    /// Number of descriptors in every region.
    pub fn region_rows(&self) -> Vec<u64> {
        self.region_rows_of(|_| true)
    }

    fn region_rows_of(&self, counts: impl Fn(u32) -> bool) -> Vec<u64> {
        let mut of_cells = vec![0; self.encoder.cells.count()];
        for (row, &cell) in self.cells.iter().enumerate() {
            of_cells[usize::from(cell)] += u64::from(counts(row as u32));
        }
        (0..self.encoder.cells.regions())
            .map(|region| self.encoder.cells.of_region(region).map(|cell| of_cells[cell]).sum())
            .collect()
    }

    /// The sums over all descriptors, in f64.
    ///
    /// # Errors
    /// [`Error::Numerical`] when a descriptor is so extreme that a sum is not finite.
    pub fn sums(&self) -> Result<Sums> {
        self.sums_of(None)
    }

    /// As [`sums`](Self::sums), over the descriptors that are marked where marks are given.
    ///
    /// # Errors
    /// As [`sums`](Self::sums).
    ///
    /// # Panics
    /// Without a mark for every descriptor.
    pub fn sums_of(&self, marked: Option<&[bool]>) -> Result<Sums> {
        assert!(marked.is_none_or(|marked| marked.len() == self.len()), "a mark a descriptor");
        let counts = |row: u32| marked.is_none_or(|marked| marked[row as usize]);
        let (encoder, k) = (self.encoder, self.encoder.layout.components());
        let columns = self.columns();
        let (width, region_len) = (columns.width(), encoder.layout.region_len());
        let mut sums =
            Sums { signed: vec![0.0; encoder.len()], absolute: vec![0.0; encoder.len()] };
        let mut chunk = vec![0.0f32; CHUNK * width];
        for cell in 0..encoder.cells.count() {
            let regions: Vec<usize> = self.regions_of(cell).collect();
            for component in 0..k {
                let all = &self.pairs[cell * k + component];
                let pairs: Cow<'_, [(u32, f32)]> = match marked {
                    None => Cow::Borrowed(all),
                    Some(_) => all.iter().filter(|pair| counts(pair.0)).copied().collect(),
                };
                let mut signed = vec![0.0f64; width];
                let mut absolute = vec![0.0f64; width];
                for pairs in pairs.chunks(CHUNK) {
                    let chunk = &mut chunk[..pairs.len() * width];
                    self.fill(component, pairs, Value::Signed, chunk);
                    add_columns(chunk, &mut signed, &mut absolute);
                }
                if columns.zeroth {
                    let weight = self.weight(component);
                    // |γ − w| − w: what a pair changes in a sum where every row counts w.
                    absolute[width - 1] = pairs.iter().map(|p| beyond(p.1, weight)).sum();
                }
                for &region in &regions {
                    self.for_each_column(component, |column, place, scale| {
                        let at = region * region_len + place;
                        sums.signed[at] += scale * signed[column];
                        sums.absolute[at] += scale.abs() * absolute[column];
                    });
                }
            }
        }
        if columns.zeroth {
            for (region, rows) in self.region_rows_of(counts).into_iter().enumerate() {
                for component in 0..k {
                    let (place, scale) = self.order0_place(component);
                    let base = rows as f64 * self.weight(component) * scale;
                    sums.signed[region * region_len + place] -= base;
                    sums.absolute[region * region_len + place] += base;
                }
            }
        }
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if finite(&sums.signed) && finite(&sums.absolute) {
            return Ok(sums);
        }
        Err(Error::Numerical {
            what: "sums of contributions",
            problem: "a descriptor is too extreme for f32; scale the descriptors down".into(),
        })
    }

    /// `Σ_d m_d(l) c_d` (or with `|m_d(l)|`) for every descriptor `l` and class: `coefficients` is
    /// `dim × M`, the result `N × M`. Products are in `T`: f64 is slower, and for
    /// coefficients so large that they cancel.
    ///
    /// # Panics
    /// When there are not `dim` rows of coefficients.
    pub fn weigh<T: Real>(&self, coefficients: ArrayView2<'_, f64>, kind: Value) -> Array2<f64> {
        let (encoder, k) = (self.encoder, self.encoder.layout.components());
        assert_eq!(coefficients.nrows(), encoder.len(), "coefficients per dimension");
        let classes = coefficients.ncols();
        let columns = self.columns();
        let (width, region_len) = (columns.width(), encoder.layout.region_len());
        let mut result = Array2::<f64>::zeros((self.len(), classes));
        let base = self.weigh_absent(coefficients, kind);
        for (mut row, &cell) in result.rows_mut().into_iter().zip(&self.cells) {
            row.assign(&base.row(usize::from(cell)));
        }
        let out = result.as_slice_mut().expect("a new array is row-major");
        let mut chunk = Array2::<f32>::zeros((CHUNK, width));
        let mut precise = Array2::<T>::from_elem((CHUNK, width), T::of(0.0));
        let mut wide = Array2::<f64>::zeros((width, classes));
        let mut of_group = Array2::<T>::from_elem((width, classes), T::of(0.0));
        let mut product = Array2::<T>::from_elem((CHUNK, classes), T::of(0.0));
        for cell in 0..encoder.cells.count() {
            let regions: Vec<usize> = self.regions_of(cell).collect();
            for component in 0..k {
                let pairs = &self.pairs[cell * k + component];
                if pairs.is_empty() {
                    continue;
                }
                wide.fill(0.0);
                for &region in &regions {
                    self.for_each_column(component, |column, place, scale| {
                        let scale = match kind {
                            Value::Signed => scale,
                            Value::Absolute => scale.abs(),
                        };
                        let from = coefficients.row(region * region_len + place);
                        let mut to = wide.row_mut(column);
                        to.iter_mut().zip(from).for_each(|(to, c)| *to += scale * c);
                    });
                }
                // Where a few words are asked for, the others have nothing to add.
                if wide.iter().all(|&c| c == 0.0) {
                    continue;
                }
                of_group.zip_mut_with(&wide, |to, &from| *to = T::of(from));
                for pairs in pairs.chunks(CHUNK) {
                    let n = pairs.len();
                    let mut contributions = chunk.slice_mut(s![..n, ..]);
                    let values = contributions.as_slice_mut().expect("leading rows");
                    self.fill(component, pairs, kind, values);
                    let mut precise = precise.slice_mut(s![..n, ..]);
                    let left = T::view(contributions.view(), &mut precise);
                    let mut product: ArrayViewMut2<'_, T> = product.slice_mut(s![..n, ..]);
                    linalg::multiply(product.view_mut(), left, of_group.view());
                    let products = product.as_slice().expect("leading rows are contiguous");
                    for (pair, values) in pairs.iter().zip(products.chunks_exact(classes)) {
                        let to = &mut out[pair.0 as usize * classes..][..classes];
                        to.iter_mut().zip(values).for_each(|(to, v)| *to += v.wide());
                    }
                }
            }
        }
        result
    }

    /// As [`weigh`](Self::weigh) for one class, by the coordinates of the descriptors: `N × D`, whose rows add
    /// up to its results. What is of no coordinate (order 0) is shared by all alike.
    ///
    /// # Panics
    /// When there are not `dim` coefficients, or values of the vector are of no coordinate
    /// ([`Encoder::require_coordinates`]).
    pub fn weigh_coordinates(&self, coefficients: ArrayView1<'_, f64>, kind: Value) -> Array2<f64> {
        assert!(
            self.encoder.require_coordinates().is_ok(),
            "values of the vector are of coordinates"
        );
        let (encoder, k) = (self.encoder, self.encoder.layout.components());
        assert_eq!(coefficients.len(), encoder.len(), "coefficients per dimension");
        let columns = self.columns();
        let (d, region_len) = (columns.dim, encoder.layout.region_len());
        let base = self.weigh_absent(coefficients.insert_axis(Axis(1)), kind);
        let even = |cell: u16| base[[usize::from(cell), 0]] / d as f64;
        let mut result = Array2::from_shape_fn((self.len(), d), |(l, _)| even(self.cells[l]));
        let mut values = vec![0.0f32; columns.width()];
        let mut weights = vec![0.0f64; columns.width()];
        for (group, pairs) in self.pairs.iter().enumerate() {
            let (cell, component) = (group / k, group % k);
            weights.fill(0.0);
            for region in self.regions_of(cell) {
                self.for_each_column(component, |column, place, scale| {
                    let scale = if kind == Value::Signed { scale } else { scale.abs() };
                    weights[column] += scale * coefficients[region * region_len + place];
                });
            }
            for &pair in pairs {
                self.fill(component, &[pair], kind, &mut values);
                let mut row = result.row_mut(pair.0 as usize);
                let products = values.iter().zip(&weights).map(|(&m, &c)| f64::from(m) * c);
                for (column, product) in products.enumerate() {
                    if columns.zeroth && column + 1 == values.len() {
                        row.iter_mut().for_each(|sum| *sum += product / d as f64);
                    } else {
                        row[column % d] += product;
                    }
                }
            }
        }
        result
    }

    /// What a descriptor that no component explains would weigh, per cell and class: in order 0
    /// every component counts `w` for it, negative or, by its absolute value, positive.
    fn weigh_absent(&self, coefficients: ArrayView2<'_, f64>, kind: Value) -> Array2<f64> {
        let encoder = self.encoder;
        let region_len = encoder.layout.region_len();
        let mut base = Array2::<f64>::zeros((encoder.cells.count(), coefficients.ncols()));
        if !self.columns().zeroth {
            return base;
        }
        let sign = if kind == Value::Signed { -1.0 } else { 1.0 };
        for cell in 0..encoder.cells.count() {
            for region in self.regions_of(cell) {
                for component in 0..encoder.layout.components() {
                    let (place, scale) = self.order0_place(component);
                    let from = coefficients.row(region * region_len + place);
                    let weight = sign * scale * self.weight(component);
                    base.row_mut(cell).iter_mut().zip(from).for_each(|(to, &c)| *to += weight * c);
                }
            }
        }
        base
    }

    /// The pairs in the order of the descriptors.
    pub fn by_row(&self) -> ByRow {
        let k = self.encoder.layout.components();
        let mut starts = vec![0usize; self.len() + 1];
        for &(row, _) in self.pairs.iter().flatten() {
            starts[row as usize + 1] += 1;
        }
        for row in 0..self.len() {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut pairs = vec![(0, 0.0); starts[self.len()]];
        for (group, of_group) in self.pairs.iter().enumerate() {
            for &(row, gamma) in of_group {
                pairs[next[row as usize]] = ((group % k) as u32, gamma);
                next[row as usize] += 1;
            }
        }
        ByRow { starts, pairs }
    }

    /// The component that explains each descriptor most; `None` where none counts.
    pub fn nearest_components(&self) -> Vec<Option<u32>> {
        let k = self.encoder.layout.components();
        let mut best = vec![(0.0f32, None); self.len()];
        for (group, pairs) in self.pairs.iter().enumerate() {
            for &(row, gamma) in pairs {
                let best = &mut best[row as usize];
                if gamma > best.0 {
                    *best = (gamma, Some((group % k) as u32));
                }
            }
        }
        best.into_iter().map(|(_, component)| component).collect()
    }

    /// Adds `sign · m(l)` to `sums` (`dim` values) as if descriptor `l` lay in spatial cell `cell`.
    pub(crate) fn add_row(&self, l: usize, by_row: &ByRow, cell: u16, sign: f64, sums: &mut [f64]) {
        let (columns, region_len) = (self.columns(), self.encoder.layout.region_len());
        let mut values = vec![0.0f32; columns.width()];
        let cell = usize::from(cell);
        for &(component, gamma) in &by_row.pairs[by_row.starts[l]..by_row.starts[l + 1]] {
            let component = component as usize;
            self.fill(component, &[(l as u32, gamma)], Value::Signed, &mut values);
            for region in self.regions_of(cell) {
                let start = region * region_len;
                self.for_each_block(component, |from, place, len, scales| {
                    let to = &mut sums[start + place..][..len];
                    scales.add(sign, &values[from..from + len], to);
                });
            }
        }
        if columns.zeroth {
            for region in self.regions_of(cell) {
                for component in 0..self.encoder.layout.components() {
                    let (place, scale) = self.order0_place(component);
                    sums[region * region_len + place] -= sign * scale * self.weight(component);
                }
            }
        }
    }

    fn weight(&self, component: usize) -> f64 {
        self.basis.weight(component)
    }

    fn fill(&self, component: usize, pairs: &[(u32, f32)], kind: Value, out: &mut [f32]) {
        self.basis.fill(component, pairs, &self.rows, kind, out);
    }

    fn regions_of(&self, cell: usize) -> impl Iterator<Item = usize> + '_ {
        let cells = &self.encoder.cells;
        (0..cells.regions()).filter(move |&region| cells.of_region(region).any(|c| c == cell))
    }

    fn columns(&self) -> Columns {
        self.basis.columns()
    }

    /// Where order 0 of a component stands in a region's vector, and its scale.
    fn order0_place(&self, component: usize) -> (usize, f64) {
        let mut places = self.encoder.layout.of_component(component);
        let (_, place) = places.find(|(order, _)| *order == 0).expect("order 0 is in the vector");
        (place.start, self.basis.scale(component, 0, place.start).of(0))
    }

    /// Calls `block(first column, place in the region's vector, length, scales)` for each order.
    fn for_each_block(
        &self,
        component: usize,
        mut block: impl FnMut(usize, usize, usize, Scales<'_>),
    ) {
        let columns = self.columns();
        for (order, place) in self.encoder.layout.of_component(component) {
            let from = match order {
                0 => columns.width() - 1,
                2 if columns.first => columns.dim,
                3 => columns.width() - columns.third - usize::from(columns.zeroth),
                _ => 0,
            };
            block(from, place.start, place.len(), self.basis.scale(component, order, place.start));
        }
    }

    /// Calls `column(column, place in the region's vector, scale)` for every column.
    fn for_each_column(&self, component: usize, mut column: impl FnMut(usize, usize, f64)) {
        self.for_each_block(component, |from, place, len, scales| {
            (0..len).for_each(|j| column(from + j, place + j, scales.of(j)));
        });
    }
}

/// Adds the columns of `rows`, and their absolute values, in f64.
fn add_columns(rows: &[f32], signed: &mut [f64], absolute: &mut [f64]) {
    widest!(<'a> |rows: &'a [f32], signed: &'a mut [f64], absolute: &'a mut [f64]| -> () {
        let width = signed.len();
        for row in rows.chunks_exact(width) {
            for ((value, signed), absolute) in row.iter().zip(&mut *signed).zip(&mut *absolute) {
                let value = f64::from(*value);
                *signed += value;
                *absolute += value.abs();
            }
        }
    });
}
