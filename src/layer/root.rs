//! The smooth root and unit length, and their derivatives.
//!
//! ```text
//! r = sign(f) (√(|f| + ε) − √ε)      v = r / ‖r‖      ε = 10⁻⁴
//! ∂L/∂r = (g − v ⟨v, g⟩) / ‖r‖       ∂L/∂f = ∂L/∂r / (2 √(|f| + ε))      g = ∂L/∂v
//! ```
//!
//! The plain root's derivative is infinite at 0, where most values of a Fisher vector are.

use ndarray::{Array1, ArrayView1, Zip};

use super::float::Float;

/// `ε`.
pub const ROOT_EPSILON: f64 = 1e-4;

/// A normalised vector, and what its derivative needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalised<T> {
    /// `v`; zeros for a vector of zeros.
    pub vector: Array1<T>,
    /// `‖r‖`.
    length: T,
}

/// Normalises a vector of gradients.
pub fn normalise<T: Float>(gradients: ArrayView1<'_, T>) -> Normalised<T> {
    let epsilon = T::of(ROOT_EPSILON);
    let root = epsilon.sqrt();
    let mut vector = gradients.mapv(|f| {
        let r = (f.abs() + epsilon).sqrt() - root;
        if f < T::of(0.0) { -r } else { r }
    });
    let length = vector.dot(&vector).sqrt();
    if length > T::of(0.0) {
        vector.mapv_inplace(|r| r / length);
    }
    Normalised { vector, length }
}

impl<T: Float> Normalised<T> {
    /// `∂L/∂f` from `∂L/∂v`; zeros for a vector of zeros.
    pub fn backward(
        &self,
        gradients: ArrayView1<'_, T>,
        of_vector: ArrayView1<'_, T>,
    ) -> Array1<T> {
        let mut out = Array1::from_elem(of_vector.len(), T::of(0.0));
        if self.length > T::of(0.0) {
            let along = self.vector.dot(&of_vector);
            let (epsilon, half) = (T::of(ROOT_EPSILON), T::of(0.5));
            Zip::from(&mut out).and(gradients).and(&self.vector).and(of_vector).for_each(
                |out, &f, &v, &g| {
                    *out = half * (g - v * along) / (self.length * (f.abs() + epsilon).sqrt());
                },
            );
        }
        out
    }
}
