//! The two precisions of products with contributions.

use ndarray::{ArrayView2, ArrayViewMut2};

/// The precision of a product with contributions: `f32` or `f64`.
pub trait Real: faer::traits::ComplexField + Copy {
    /// The nearest value.
    fn of(value: f64) -> Self;
    /// The value in f64.
    fn wide(self) -> f64;
    /// `from` in this precision; `buffer` (of the same shape) is for those that need to convert.
    fn view<'a>(
        from: ArrayView2<'a, f32>,
        buffer: &'a mut ArrayViewMut2<'_, Self>,
    ) -> ArrayView2<'a, Self>;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn view<'a>(
        from: ArrayView2<'a, f32>,
        _: &'a mut ArrayViewMut2<'_, Self>,
    ) -> ArrayView2<'a, Self> {
        from
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }

    fn view<'a>(
        from: ArrayView2<'a, f32>,
        buffer: &'a mut ArrayViewMut2<'_, Self>,
    ) -> ArrayView2<'a, Self> {
        buffer.zip_mut_with(&from, |to, &value| *to = Self::from(value));
        buffer.view()
    }
}
