//! Adam (Kingma & Ba 2015): steps of the size that the recent derivatives of a value agree on.
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g      v ← β₂ v + (1 − β₂) g²      θ ← θ − η (m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε)
//! ```

const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// The moments of one array's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// `m`.
    pub first: Vec<f32>,
    /// `v`.
    pub second: Vec<f32>,
}

impl Adam {
    /// No step yet, for so many values.
    pub fn new(values: usize) -> Self {
        Self { first: vec![0.0; values], second: vec![0.0; values] }
    }

    /// The step `t` (from 1) of length `rate`.
    ///
    /// # Panics
    /// When the lengths disagree.
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f64, t: u32) {
        assert!(
            values.len() == self.first.len() && gradient.len() == values.len(),
            "values of Adam"
        );
        let power = i32::try_from(t).unwrap_or(i32::MAX);
        let [a, b] = BETA.map(|beta| (1.0 - beta) as f32);
        let [first, second] = BETA.map(|beta| (1.0 / (1.0 - beta.powi(power))) as f32);
        let rate = rate as f32;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
            *m += a * (g - *m);
            *v += b * (g * g - *v);
            *value -= rate * (*m * first) / ((*v * second).sqrt() + EPSILON);
        }
    }
}
