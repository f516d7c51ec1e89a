//! From sums to gradients: the formulas of the [module docs](super) in standardised coordinates.
//!
//! `z` does not change when rows and mixture are shifted and scaled together, so with the sums
//! `S⁰, S¹, S²` of `y` about the means ([`Statistics`]) and the mixture's `σ'` in the same
//! coordinates:
//!
//! ```text
//! Σ_n γ z        = S¹ / σ'
//! Σ_n γ (z² − 1) = S² / σ'² − S⁰
//! ```

use super::layout::Layout;
use super::params::{Params, Scaling};
use crate::generative::{Generative, Sums};
use crate::gmm::{Evaluator, Family, Statistics};

/// What turns the sums of a model's columns into the values of a region.
#[derive(Debug, Clone)]
pub(super) struct Scaled {
    /// The expectation of each column.
    pub expectation: Vec<f64>,
    /// What its sum is multiplied by, before it is divided by the divisor; 0 where it says nothing.
    pub scale: Vec<f64>,
}

impl Scaled {
    /// Of a model's columns in the orders of a layout: `order weight / √information`, or the weight alone
    /// for plain gradients.
    pub fn new(model: &dyn Generative, params: &Params, layout: &Layout) -> Self {
        let (mut expectation, mut scale) = (Vec::new(), Vec::new());
        for &order in layout.orders() {
            let weight = match layout.parts().family {
                // The weights are those of other orders.
                Family::Vae => 1.0,
                _ => params.order_weight(order),
            };
            for [expected, information] in model.moments(order) {
                expectation.push(expected);
                let fisher = 1.0 / information.sqrt();
                let says_something = information > 0.0 && fisher.is_finite();
                scale.push(match (says_something, params.scaling) {
                    (false, _) => 0.0,
                    (true, Scaling::Fisher) => weight * fisher,
                    (true, Scaling::Raw) => weight,
                });
            }
        }
        Self { expectation, scale }
    }

    /// Writes the values of one region. Zero when no row was summed.
    pub fn gradient(&self, sums: &Sums, params: &Params, out: &mut [f32]) {
        out.fill(0.0);
        if sums.rows == 0 {
            return;
        }
        let n = sums.rows as f64;
        let divisor = params.divisor.of(n);
        let columns = sums.values.iter().zip(&self.expectation).zip(&self.scale);
        for (out, ((sum, expected), scale)) in out.iter_mut().zip(columns) {
            *out = ((sum - n * expected) * scale / divisor) as f32;
        }
    }
}

/// Writes the gradient of one region. Zero when no row was summed, and in the values of components
/// without weight.
pub(super) fn gradient(
    evaluator: &Evaluator,
    sums: &Statistics,
    params: &Params,
    layout: &Layout,
    out: &mut [f32],
) {
    out.fill(0.0);
    if sums.rows == 0 {
        return;
    }
    let n = sums.rows as f64;
    let divisor = params.divisor.of(n);
    let (order1, order2) = (sums.order1(), sums.order2());
    for k in 0..layout.components() {
        let component = evaluator.component(k);
        if component.weight <= 0.0 {
            continue;
        }
        let mass = sums.order0[k];
        for (order, place) in layout.of_component(k) {
            let divisor = divisor / params.order_weight(order);
            let root = params.scaling.root(order, component.weight);
            let out = &mut out[place];
            if order == 0 {
                out[0] = ((mass - n * component.weight) / (divisor * root)) as f32;
                continue;
            }
            for (j, out) in out.iter_mut().enumerate() {
                let variance = component.variances[j];
                let sum = match order {
                    1 => order1[[k, j]] / variance.sqrt(),
                    _ => order2[[k, j]] / variance - mass,
                };
                let value = match params.scaling {
                    Scaling::Fisher => sum / root,
                    Scaling::Raw => {
                        let sigma = variance.sqrt() * evaluator.scale(j);
                        (0..order).fold(sum / root, |value, _| value * sigma)
                    }
                };
                *out = (value / divisor) as f32;
            }
        }
    }
}
