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

use super::{Params, Scaling};
use crate::gmm::{Evaluator, Statistics};

/// Writes the gradient of one region, in the layout of `params.orders`. Zero when no row was
/// summed, and in the blocks of components without weight.
pub(super) fn gradient(evaluator: &Evaluator, sums: &Statistics, params: &Params, out: &mut [f32]) {
    out.fill(0.0);
    if sums.rows == 0 {
        return;
    }
    let (components, dim) = (evaluator.components(), evaluator.dim());
    let n = sums.rows as f64;
    let divisor = params.divisor.of(n);
    let (order1, order2) = (sums.order1(), sums.order2());
    let mut rest = out;
    for &order in &params.orders {
        let (block, after) =
            rest.split_at_mut(if order == 0 { components } else { components * dim });
        rest = after;
        let divisor = divisor / params.order_weight(order);
        for k in 0..components {
            let component = evaluator.component(k);
            if component.weight <= 0.0 {
                continue;
            }
            let mass = sums.order0[k];
            if order == 0 {
                let scale = match params.scaling {
                    Scaling::Fisher => component.weight.sqrt(),
                    Scaling::Raw => 1.0,
                };
                block[k] = ((mass - n * component.weight) / (divisor * scale)) as f32;
                continue;
            }
            for j in 0..dim {
                let variance = component.variances[j];
                let raw_sigma = variance.sqrt() * evaluator.scale(j);
                let value = if order == 1 {
                    let sum = order1[[k, j]] / variance.sqrt();
                    match params.scaling {
                        Scaling::Fisher => sum / component.weight.sqrt(),
                        Scaling::Raw => sum * raw_sigma,
                    }
                } else {
                    let sum = order2[[k, j]] / variance - mass;
                    match params.scaling {
                        Scaling::Fisher => sum / (2.0 * component.weight).sqrt(),
                        Scaling::Raw => -sum * raw_sigma * raw_sigma,
                    }
                };
                block[k * dim + j] = (value / divisor) as f32;
            }
        }
    }
}
