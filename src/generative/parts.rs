//! Sizes of the parts of a model's score, and sums of these.

use crate::error::{Error, Result};
use crate::gmm::{Family, Params};

/// The sizes that a vector's parts follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The kind of model.
    pub family: Family,
    /// Components `K`; of the autoencoder `H + 1`: the units of the last hidden layer, and the bias.
    pub components: usize,
    /// Values `D` of a row.
    pub dim: usize,
    /// Factors `q`; 0 for families without.
    pub factors: usize,
}

impl Parts {
    /// Those of a Gaussian mixture.
    pub fn gaussian(components: usize, dim: usize) -> Self {
        Self { family: Family::Gaussian, components, dim, factors: 0 }
    }

    /// Those of the model that is fitted with these settings to rows of `dim` values.
    pub fn of(params: &Params, dim: usize) -> Self {
        let family = params.family;
        let components = match family {
            Family::Vae => params.hidden + 1,
            _ => params.components,
        };
        let factors = if family.has_factors() { params.factors } else { 0 };
        Self { family, components, dim, factors }
    }

    /// Values of one component in the part of an order; 0 where the family has no such part.
    pub fn width(&self, order: u8) -> usize {
        match (self.family, order) {
            (Family::Vae, 1) => self.dim,
            (Family::Vae, _) => 0,
            (_, 0) => 1,
            (_, 1 | 2) => self.dim,
            (Family::FactorAnalysers, 3) => self.dim * self.factors,
            _ => 0,
        }
    }

    /// Values of the part of an order.
    pub fn len(&self, order: u8) -> usize {
        self.components * self.width(order)
    }

    /// The orders in a vector for which `asked` are set: of the autoencoder its only one.
    pub fn orders(&self, asked: &[u8]) -> Vec<u8> {
        if self.family == Family::Vae { vec![1] } else { asked.to_vec() }
    }

    /// Refuses orders that the family does not have.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the orders and the family.
    pub fn check_orders(&self, asked: &[u8]) -> Result<()> {
        check_orders(self.family, asked)
    }
}

/// Refuses orders that a family does not have.
///
/// # Errors
/// [`Error::Setting`] naming the orders and the family.
pub(super) fn check_orders(family: Family, asked: &[u8]) -> Result<()> {
    let holds = !asked.contains(&3) || matches!(family, Family::FactorAnalysers | Family::Vae);
    let range = format!(
        "of 0, 1 and 2 with gmm.family = {}: loadings (3) are in vectors of factor-analysers alone",
        family.name()
    );
    Error::require(holds, "encoding.orders", format!("{asked:?}"), &range)
}

/// Sums of a model's columns over rows. Adding the sums of two sets of rows gives those of their union.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// Number of rows summed.
    pub rows: u64,
    /// The parts of the orders asked for, one after the other.
    pub values: Vec<f64>,
}

impl Sums {
    /// All zero.
    pub fn zeros(len: usize) -> Self {
        Self { rows: 0, values: vec![0.0; len] }
    }

    /// Back to zero, keeping the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.values.fill(0.0);
    }

    /// Adds the sums of other rows.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a += b);
    }
}
