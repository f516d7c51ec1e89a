//! What a pair of a descriptor and a component contributes to a vector, for every mixture.

use ndarray::{Array2, ArrayView2};

use super::encoder::{Core, Encoder};
use super::layout::Layout;
use super::params::{Params, Scaling};
use crate::error::Result;
use crate::generative::{self, Components};
use crate::gmm::{Assignment, Evaluator, Found, Scratch};
use crate::widest;

/// Contributions with their sign or by their absolute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// `m_d(l)`.
    Signed,
    /// `|m_d(l)|`.
    Absolute,
}

/// The columns of one component's contributions: order 1, order 2, order 3, order 0, as far as they are in
/// the vector.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    pub dim: usize,
    pub first: bool,
    pub second: bool,
    /// Values of order 3.
    pub third: usize,
    pub zeroth: bool,
}

impl Columns {
    pub fn width(self) -> usize {
        self.dim * (usize::from(self.first) + usize::from(self.second))
            + self.third
            + usize::from(self.zeroth)
    }
}

/// The contributions under one encoder's model.
#[derive(Debug)]
pub struct Basis<'e> {
    encoder: &'e Encoder,
    layout: &'e Layout,
    params: &'e Params,
    columns: Columns,
    model: Kind<'e>,
}

/// The model.
#[derive(Debug)]
enum Kind<'e> {
    /// A Gaussian mixture, with `μ_k` and `1/σ_k` of the descriptors' own coordinates, `K × D` each.
    Gaussian { evaluator: &'e Evaluator, means: Array2<f32>, inverse_sigmas: Array2<f32> },
    /// Another mixture, with the scale of every value of a region.
    Components(&'e dyn Components, &'e [f64]),
    /// No mixture: nothing can be said.
    None,
}

impl<'e> Basis<'e> {
    /// That of an encoder.
    pub fn new(encoder: &'e Encoder) -> Self {
        let model = match &encoder.core {
            Core::Gaussian(evaluator) => Kind::new(evaluator),
            Core::Family(model, scaled) => match model.components() {
                Some(components) => Kind::Components(components, &scaled.scale),
                None => Kind::None,
            },
        };
        let layout = &encoder.layout;
        let has = |order| layout.orders().contains(&order);
        let third = if has(3) { layout.component_len(3) } else { 0 };
        let columns =
            Columns { dim: layout.dim(), first: has(1), second: has(2), third, zeroth: has(0) };
        Self { encoder, layout, params: &encoder.params, columns, model }
    }

    /// The columns of a component.
    pub fn columns(&self) -> Columns {
        self.columns
    }

    /// `w_k`.
    pub fn weight(&self, component: usize) -> f64 {
        match &self.model {
            Kind::Gaussian { evaluator, .. } => evaluator.component(component).weight,
            Kind::Components(model, _) => model.weight(component),
            Kind::None => 0.0,
        }
    }

    /// Hands the posteriors of `rows` that count to `found`.
    ///
    /// # Errors
    /// As [`Encoder::push`]; [`Error::Setting`](crate::Error::Setting) when the model is no mixture.
    pub fn assign(
        &self,
        rows: ArrayView2<'_, f32>,
        assignment: Assignment,
        scratch: (&mut Scratch, &mut generative::Scratch),
        found: &mut Found<'_>,
    ) -> Result<()> {
        match &self.model {
            Kind::Gaussian { evaluator, .. } => {
                evaluator.assign(rows, assignment, scratch.0, found)
            }
            Kind::Components(model, _) => model.assign(rows, assignment, scratch.1, found),
            Kind::None => Err(self.encoder.without_components()),
        }
    }

    /// The scales of an order of a component, whose values begin at `place` of a region.
    pub fn scale(&self, component: usize, order: u8, place: usize) -> Scales<'_> {
        let (constant, each) = match &self.model {
            Kind::Gaussian { inverse_sigmas, .. } => {
                let weight = self.weight(component);
                if weight <= 0.0 {
                    return Scales { constant: 0.0, each: Each::Alike };
                }
                let scaling = self.params.scaling;
                let each = if scaling == Scaling::Raw && order > 0 {
                    let inverse = inverse_sigmas.row(component);
                    Each::Sigmas(inverse.to_slice().expect("an array's rows are contiguous"), order)
                } else {
                    Each::Alike
                };
                let constant = 1.0 / scaling.root(order, weight);
                (constant * self.params.order_weight(order), each)
            }
            Kind::Components(_, scales) => {
                let len = self.layout.component_len(order);
                (1.0, Each::Scales(&scales[place..place + len]))
            }
            Kind::None => (0.0, Each::Alike),
        };
        Scales { constant, each }
    }

    /// The unscaled contributions of `pairs` of `rows` (`N × D`) to a component, `pairs × width`: `γz`, `γ(z² − 1)` (or the
    /// columns of another mixture), and for order 0 what a pair adds to the `∓w` of every descriptor.
    pub fn fill(
        &self,
        component: usize,
        pairs: &[(u32, f32)],
        rows: &[f32],
        kind: Value,
        out: &mut [f32],
    ) {
        let columns = self.columns;
        let width = columns.width();
        match &self.model {
            Kind::Gaussian { means, inverse_sigmas, .. } => {
                let mean = means.row(component).to_slice().expect("contiguous");
                let inverse = inverse_sigmas.row(component).to_slice().expect("contiguous");
                self.fill_gaussian(pairs, rows, (mean, inverse), kind, out);
            }
            Kind::Components(model, _) => {
                self.fill_columns(*model, component, (pairs, rows), kind, out)
            }
            Kind::None => out.fill(0.0),
        }
        if columns.zeroth {
            let weight = self.weight(component);
            for (&(_, gamma), out) in pairs.iter().zip(out.chunks_exact_mut(width)) {
                let absolute = kind == Value::Absolute;
                out[width - 1] = if absolute { beyond(gamma, weight) as f32 } else { gamma };
            }
        }
    }

    /// The columns of another mixture than the Gaussian one, without order 0.
    fn fill_columns(
        &self,
        model: &dyn Components,
        component: usize,
        (pairs, rows): (&[(u32, f32)], &[f32]),
        kind: Value,
        out: &mut [f32],
    ) {
        let columns = self.columns;
        let (d, width) = (columns.dim, columns.width());
        let scored = width - usize::from(columns.zeroth);
        if scored == 0 {
            return;
        }
        let orders: Vec<u8> =
            self.layout.orders().iter().copied().filter(|&order| order > 0).collect();
        let gammas: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
        let row = |&(row, _): &(u32, f32)| &rows[row as usize * d..][..d];
        let rows: Vec<f64> = pairs.iter().flat_map(row).copied().map(f64::from).collect();
        let mut values = vec![0.0f64; pairs.len() * scored];
        model.scores(component, &rows, &gammas, &orders, &mut values);
        for (values, out) in values.chunks_exact(scored).zip(out.chunks_exact_mut(width)) {
            for (value, out) in values.iter().zip(out) {
                *out = if kind == Value::Absolute { value.abs() as f32 } else { *value as f32 };
            }
        }
    }

    fn fill_gaussian(
        &self,
        pairs: &[(u32, f32)],
        rows: &[f32],
        (mean, inverse): (&[f32], &[f32]),
        kind: Value,
        out: &mut [f32],
    ) {
        let columns = self.columns;
        let (d, width) = (columns.dim, columns.width());
        let absolute = kind == Value::Absolute;
        widest!(<'a> |pairs: &'a [(u32, f32)], rows: &'a [f32], mean: &'a [f32], inverse: &'a [f32], out: &'a mut [f32], d: usize, width: usize, columns: Columns, absolute: bool| -> () {
            for (&(row, gamma), out) in pairs.iter().zip(out.chunks_exact_mut(width)) {
                let row = &rows[row as usize * d..][..d];
                let mut rest = out;
                if columns.first {
                    let (block, after) = rest.split_at_mut(d);
                    rest = after;
                    for j in 0..d {
                        block[j] = gamma * ((row[j] - mean[j]) * inverse[j]);
                    }
                    if absolute {
                        block.iter_mut().for_each(|v| *v = v.abs());
                    }
                }
                if columns.second {
                    let block = &mut rest[..d];
                    for j in 0..d {
                        let z = (row[j] - mean[j]) * inverse[j];
                        block[j] = gamma * (z * z - 1.0);
                    }
                    if absolute {
                        block.iter_mut().for_each(|v| *v = v.abs());
                    }
                }
            }
        });
    }
}

impl<'e> Kind<'e> {
    fn new(evaluator: &'e Evaluator) -> Self {
        let (k, d) = (evaluator.components(), evaluator.dim());
        let mut means = Array2::zeros((k, d));
        let mut inverse_sigmas = Array2::zeros((k, d));
        for i in 0..k {
            let component = evaluator.component(i);
            for j in 0..d {
                let scale = evaluator.scale(j);
                let centre = evaluator.centre(j);
                means[[i, j]] = (component.means[j] * scale + centre) as f32;
                inverse_sigmas[[i, j]] = (1.0 / (component.variances[j].sqrt() * scale)) as f32;
            }
        }
        Self::Gaussian { evaluator, means, inverse_sigmas }
    }
}

/// `|γ − w| − w`.
pub fn beyond(gamma: f32, weight: f64) -> f64 {
    (f64::from(gamma) - weight).abs() - weight
}

/// Scales of one order's columns.
#[derive(Debug, Clone, Copy)]
pub struct Scales<'a> {
    constant: f64,
    each: Each<'a>,
}

/// What the constant is multiplied by.
#[derive(Debug, Clone, Copy)]
enum Each<'a> {
    Alike,
    /// `1/σ` per column and the power of σ that the scale has.
    Sigmas(&'a [f32], u8),
    /// A scale per column.
    Scales(&'a [f64]),
}

impl Scales<'_> {
    pub fn of(&self, j: usize) -> f64 {
        self.constant
            * match self.each {
                Each::Alike => 1.0,
                Each::Sigmas(inverse, power) => {
                    (1.0 / f64::from(inverse[j])).powi(i32::from(power))
                }
                Each::Scales(scales) => scales[j],
            }
    }

    /// Adds `factor · scale · value` to `to`.
    pub fn add(&self, factor: f64, values: &[f32], to: &mut [f64]) {
        if !matches!(self.each, Each::Alike) {
            for ((to, &value), j) in to.iter_mut().zip(values).zip(0..) {
                *to += factor * self.of(j) * f64::from(value);
            }
            return;
        }
        let factor = factor * self.constant;
        widest!(<'a> |values: &'a [f32], to: &'a mut [f64], factor: f64| -> () {
            to.iter_mut().zip(values).for_each(|(to, &v)| *to += factor * f64::from(v));
        });
    }
}
