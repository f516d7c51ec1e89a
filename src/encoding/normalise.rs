//! Normalisation of Fisher vectors, as a list of steps.
//!
//! | recipe | region steps | vector steps |
//! |---|---|---|
//! | VLFeat, improved Fisher vector (PSM10) | power, l2 | l2 |
//! | enceval (Chatfield et al. 2011) | l2 | power, l2 |
//! | intra-normalisation (Arandjelović & Zisserman 2013) | power, intra with γ = 0 | l2 |
//!
//! With `x_k` the values of component `k`, of all its orders, `intra` is `x_k · ‖x_k‖^(γ − 1)`: of γ = 0
//! all components have equal length, whatever share of the image they are of; between 0 and 1 frequent
//! ones keep something of their lead (docs/ABLATION.md says what that is worth).
//!
//! A vector of zeros stays zero in every step.

use super::layout::Layout;
pub use super::params::Step;
use crate::widest;

/// The exponents of the steps.
#[derive(Debug, Clone, Copy)]
pub struct Exponents {
    /// ρ of the power step.
    pub power: f64,
    /// γ of the intra step.
    pub intra: f64,
}

/// Applies `steps` in order to `vector`, one or more regions of `layout`.
pub fn apply(steps: &[Step], exponents: Exponents, layout: &Layout, vector: &mut [f32]) {
    for step in steps {
        match step {
            Step::Power => power(vector, exponents.power),
            Step::L2 => rescale(&mut [vector], 0.0),
            Step::Intra => {
                let regions = vector.chunks_exact_mut(layout.region_len());
                regions.for_each(|region| intra(region, exponents.intra, layout));
            }
        }
    }
}

fn power(vector: &mut [f32], exponent: f64) {
    if exponent == 0.5 {
        widest!(<'a> |vector: &'a mut [f32]| -> () {
            vector.iter_mut().for_each(|x| *x = x.abs().sqrt().copysign(*x));
        });
    } else {
        let exponent = exponent as f32;
        vector.iter_mut().for_each(|x| *x = x.abs().powf(exponent).copysign(*x));
    }
}

fn intra(region: &mut [f32], exponent: f64, layout: &Layout) {
    let mut blocks: Vec<std::slice::ChunksExactMut<'_, f32>> = Vec::new();
    let mut rest = region;
    for &order in layout.orders() {
        let (block, after) = rest.split_at_mut(layout.block_len(order));
        blocks.push(block.chunks_exact_mut(layout.component_len(order)));
        rest = after;
    }
    for _ in 0..layout.components() {
        let mut parts: Vec<&mut [f32]> = blocks.iter_mut().filter_map(Iterator::next).collect();
        rescale(&mut parts, exponent);
    }
}

/// Gives all parts together the Euclidean norm that they have to the `exponent`, unless that is 0.
fn rescale(parts: &mut [&mut [f32]], exponent: f64) {
    let square: f64 = parts.iter().map(|part| crate::linalg::dot(part, part)).sum();
    if square > 0.0 {
        let norm = square.sqrt();
        let scale = (norm.powf(exponent) / norm) as f32;
        parts.iter_mut().for_each(|part| part.iter_mut().for_each(|x| *x *= scale));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Params;
    use super::*;

    const EXPONENTS: Exponents = Exponents { power: 0.5, intra: 0.0 };

    /// Orders 0, 1 and 2 of two components in one dimension.
    fn layout() -> Layout {
        Layout::of(&Params { orders: vec![0, 1, 2], ..Params::default() }, 2, 1)
    }

    #[test]
    fn steps_follow_their_definitions() {
        let mut x = [4.0, -9.0, 0.0, 16.0, 0.0, -25.0];
        apply(&[Step::Power], EXPONENTS, &layout(), &mut x);
        assert_eq!(x, [2.0, -3.0, 0.0, 4.0, 0.0, -5.0]);
        let mut l2 = x;
        apply(&[Step::L2], EXPONENTS, &layout(), &mut l2);
        assert!((l2.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-6);
        apply(&[Step::Intra], EXPONENTS, &layout(), &mut x);
        // Component 0 holds values 0, 2, 4 of the vector; component 1 holds 1, 3, 5.
        assert_eq!([x[0], x[2], x[4]], [1.0, 0.0, 0.0]);
        let norm = 50.0f32.sqrt();
        for (got, value) in [x[1], x[3], x[5]].iter().zip([-3.0, 4.0, -5.0]) {
            assert!((got - value / norm).abs() < 1e-6);
        }
    }

    #[test]
    fn intra_keeps_a_power_of_a_components_length() {
        let of = |intra| {
            // Component 0 has length 5, component 1 length 0.5.
            let mut x = [0.0, 0.3, 3.0, 0.0, 4.0, 0.4];
            apply(&[Step::Intra], Exponents { intra, ..EXPONENTS }, &layout(), &mut x);
            [f64::from(x[2]).hypot(x[4].into()), f64::from(x[1]).hypot(x[5].into())]
        };
        for gamma in [0.0, 0.25, 1.0] {
            let [long, short] = of(gamma);
            assert!((long - 5.0f64.powf(gamma)).abs() < 1e-6);
            assert!((short - 0.5f64.powf(gamma)).abs() < 1e-6);
        }
    }

    #[test]
    fn zero_stays_zero() {
        let mut x = [0.0; 12];
        apply(&[Step::Power, Step::Intra, Step::L2], EXPONENTS, &layout(), &mut x);
        assert_eq!(x, [0.0; 12]);
    }
}
