//! The classifier that the layer learns with: linear, thrown away afterwards (the SVM is trained on the
//! vectors that the layer leads to).
//!
//! ```text
//! t = W v + b
//! one class an image     L = −ln softmax(t)_y                      ∂L/∂t = softmax(t) − 1_y
//! several, or none       L = Σ_c −ln σ(±t_c) over known labels     ∂L/∂t = σ(t) − 1_c
//! ```

use ndarray::{Array1, Array2, ArrayView1};

use crate::dataset::Label;

/// `W` (classes × dim) and `b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `W`.
    pub weights: Array2<f32>,
    /// `b`.
    pub bias: Array1<f32>,
    /// Whether every image shows exactly one class.
    pub one_class: bool,
}

impl Head {
    /// Zeros, for so many classes and values of a vector.
    pub fn new(classes: usize, dim: usize, one_class: bool) -> Self {
        Self { weights: Array2::zeros((classes, dim)), bias: Array1::zeros(classes), one_class }
    }

    /// The loss of an image with these labels, and `∂L/∂t`.
    pub fn loss(&self, vector: ArrayView1<'_, f32>, labels: &[Label]) -> (f64, Array1<f32>) {
        let scores = (self.weights.dot(&vector) + &self.bias).mapv(f64::from);
        let target = |class: usize| f64::from(u8::from(labels[class] == Label::Yes));
        if self.one_class {
            let largest = scores.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let shares = scores.mapv(|t| (t - largest).exp());
            let sum = shares.sum();
            let own = (0..labels.len()).find(|&class| labels[class] == Label::Yes);
            let loss = own.map_or(0.0, |class| sum.ln() + largest - scores[class]);
            let of_class = |class: usize| (shares[class] / sum - target(class)) as f32;
            return (loss, (0..labels.len()).map(of_class).collect());
        }
        let mut loss = 0.0;
        let of_class = |class: usize| {
            if labels[class] == Label::Ignored {
                return 0.0;
            }
            let (t, y) = (scores[class], target(class));
            // ln(1 + e^t) − y t, without overflow.
            loss += t.max(0.0) + (-t.abs()).exp().ln_1p() - y * t;
            (1.0 / (1.0 + (-t).exp()) - y) as f32
        };
        let gradient = (0..labels.len()).map(of_class).collect();
        (loss, gradient)
    }
}

/// Whether every image shows exactly one class, with no label left out.
pub fn one_class(labels: &[Vec<Label>]) -> bool {
    labels.iter().all(|labels| {
        labels.iter().filter(|label| **label == Label::Yes).count() == 1
            && labels.iter().all(|label| *label != Label::Ignored)
    })
}
