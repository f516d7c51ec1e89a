//! The two precisions of the layer: f32 where it learns, f64 where its derivatives are checked.

use ndarray::NdFloat;

use crate::encoding::Real;

/// `f32` or `f64`.
pub trait Float: Real + NdFloat {}

impl Float for f32 {}
impl Float for f64 {}
