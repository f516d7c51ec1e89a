//! What every family of models does: the traits.

use std::fmt;

use ndarray::{Array2, ArrayView2};

use super::parts::{Parts, Sums};
use super::scratch::{Products, Scratch};
use crate::error::Result;
use crate::gmm::Assignment;
use crate::random::Stream;

/// A model of rows, from sums over rows to the parts of a Fisher vector. Shared between threads.
///
/// A part of order `o` has [`Parts::width`] values for each component, component by component. Its column
/// for one row is the derivative of `ln p(x)` by one parameter; in order 0 it is the posterior, whose
/// expectation is the weight.
pub trait Generative: fmt::Debug + Send + Sync {
    /// The sizes of its parts.
    fn parts(&self) -> Parts;

    /// Adds the columns of `rows` (`N × D`) in `orders` to `sums`, and counts the rows. Mixtures give rows
    /// to components by `assignment`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) when `D` is not the model's,
    /// [`Error::Numerical`](crate::Error::Numerical) on a NaN or an infinity.
    fn add(
        &self,
        rows: ArrayView2<'_, f32>,
        orders: &[u8],
        assignment: Assignment,
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) -> Result<()>;

    /// The expectation of every column of a part, and the diagonal of its information: the variance of the
    /// column of one row. Where it is 0, the value says nothing.
    fn moments(&self, order: u8) -> Vec<[f64; 2]>;

    /// `count` rows drawn from the model, `count × D`.
    fn draw(&self, count: usize, stream: &mut Stream) -> Array2<f32>;

    /// Its components, where each column is a component's posterior times a function of the row: what
    /// relevance can be traced back through.
    fn components(&self) -> Option<&dyn Components>;
}

/// A mixture: every column is `γ_k(x)` times a function of the row, and in order 0 `γ_k(x)` itself.
pub trait Components: fmt::Debug + Send + Sync {
    /// The sizes of its parts.
    fn parts(&self) -> Parts;

    /// `w_k`.
    fn weight(&self, component: usize) -> f64;

    /// `ln w_k p_k(x)` of `rows` (`B × D`) to `out` (`B × K`).
    fn log_joint(&self, rows: ArrayView2<'_, f64>, products: &mut Products, out: &mut [f64]);

    /// The columns of rows (`gammas.len() × D`) under one component: for each row the values of `orders`
    /// (those above 0), multiplied by its posterior in `gammas`.
    fn scores(
        &self,
        component: usize,
        rows: &[f64],
        gammas: &[f32],
        orders: &[u8],
        out: &mut [f64],
    );

    /// The variance of one row's columns in the part of an order above 0.
    fn information(&self, component: usize, order: u8, out: &mut [f64]);

    /// Draws a row of a component.
    fn draw_row(&self, component: usize, stream: &mut Stream, row: &mut [f32]);
}
