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
use crate::gmm::{Evaluator, Statistics};

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
