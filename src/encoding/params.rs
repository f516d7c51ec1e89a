//! Settings of the Fisher vector, and the numbers that they stand for.

use serde::{Deserialize, Serialize};

use super::rectangle::Rectangle;
use super::spatial::Grid;
use crate::error::{Error, Result};
use crate::parameters::{ascending, one_or_more_of};

crate::parameters! {
    /// Settings of the Fisher vector (group `encoding`).
    #[group = "encoding"]
    pub struct Params {
        /// Orders of the gradient: 0 (weights), 1 (means), 2 (variances); and 3 (loadings) with gmm.family = factor-analysers.
        pub orders: Vec<u8> = vec![1, 2], in ascending(0..=3);
        /// One weight per entry of `orders`, applied before normalisation; empty means 1. The power step therefore acts on weighted values.
        pub order_weights: Vec<f64> = Vec::new(), in 1e-6..=1e6;
        /// Grids `ROWSxCOLUMNS` over the image; each of their cells gets a Fisher vector of its own. `["1x1", "3x1"]` is the whole image and three horizontal stripes.
        pub regions: Vec<Grid> = vec![Grid::WHOLE], in one_or_more_of("grids such as \"3x1\"");
        /// Parts of every image whose descriptors are left out, `LEFT,TOP,RIGHT,BOTTOM` as shares of width and height; projection and mixture still see them.
        pub leave_out: Vec<Rectangle> = Vec::new();
        /// Whether the descriptors of the mirrored image count as well as the image's own, which makes the vector the same for both.
        pub mirrored: bool = false;
        /// Whether half of the descriptors stand for the mirrored image and half for the image as it is, every other one of the grid, as on a chessboard: half the time, and vectors of an image and its mirror image that are alike and not the same. For kinds sift and colour.
        pub chequered: bool = false, when "mirrored = true": |p| p.mirrored;
        /// `soft` (posteriors) or `hard` (each descriptor wholly to its most probable component; VLFeat's `fast`).
        pub assignment: AssignmentKind = AssignmentKind::Soft;
        /// Posteriors at or below this count as 0; 0 is exact (VLFeat 1e-6, enceval 1e-4).
        pub posterior_threshold: f64 = 1e-6, in 0.0..1.0,
            when "assignment = soft": |p| p.assignment == AssignmentKind::Soft;
        /// `n`: the mean over descriptors; `sqrt-n`: the sum over √N (Korsch et al., eq. 13–14).
        pub divisor: Divisor = Divisor::N;
        /// `fisher`: scaled by the Fisher information; `raw`: plain gradients, of gaussian mixtures with the opposite sign in order 2 (the convention of gist danoneata/9927923).
        pub scaling: Scaling = Scaling::Fisher;
        /// Exponent ρ of the signed power step.
        pub power: f64 = 0.5, in 0.001..=1.0,
            when "region_steps or vector_steps with power": |p| p.has_step(Step::Power);
        /// Step `intra` rescales each component to its norm raised to this power: 0 gives every component unit length, 1 leaves it unchanged.
        pub intra_power: f64 = 0.0, in 0.0..=1.0,
            when "region_steps or vector_steps with intra": |p| p.has_step(Step::Intra);
        /// Steps on each region's vector, in order: `power`, `l2`, `intra` (per component).
        pub region_steps: Vec<Step> = vec![Step::Power, Step::L2];
        /// Steps on the concatenated vector, in order: `power`, `l2`, `intra`.
        pub vector_steps: Vec<Step> = vec![Step::L2];
        /// How vectors are stored: `f32`, `f16` (half the size, relative error 5e-4), or `compressed` (a sixteenth: three levels and one scale for 40 values).
        pub storage: Storage = Storage::F32;
    }
}

/// How descriptors are given to components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentKind {
    /// By posterior.
    Soft,
    /// Wholly to the most probable component.
    Hard,
}

/// What the sums over descriptors are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Divisor {
    /// `N`, the number of descriptors.
    N,
    /// `√N`.
    SqrtN,
}

impl Divisor {
    pub(super) fn of(self, rows: f64) -> f64 {
        match self {
            Self::N => rows,
            Self::SqrtN => rows.sqrt(),
        }
    }
}

/// Whether gradients are scaled by the Fisher information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Scaled, as in the module's formulas.
    Fisher,
    /// Plain gradients: `γ̄_k − w_k`, `Σγx/N − γ̄μ`, `−Σγx²/N − γ̄μ² + γ̄σ² + 2μΣγx/N`.
    Raw,
}

impl Scaling {
    /// What the sums of an order are divided by, for a component of weight `w`: `√w` for orders 0 and 1
    /// and `√(2w)` for order 2, or the sign of a plain gradient. Plain gradients are also multiplied by
    /// `σ` to the order, dimension by dimension.
    pub(super) fn root(self, order: u8, weight: f64) -> f64 {
        match (self, order) {
            (Self::Fisher, 2) => (2.0 * weight).sqrt(),
            (Self::Fisher, _) => weight.sqrt(),
            (Self::Raw, 2) => -1.0,
            (Self::Raw, _) => 1.0,
        }
    }
}

/// Storage type of Fisher vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Three levels and one scale for every 40 values.
    Compressed,
}

/// One step of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// `sign(x)·|x|^ρ`.
    Power,
    /// Divided by the Euclidean norm.
    L2,
    /// Each component's values (all its orders together) multiplied by their Euclidean norm to the γ − 1.
    Intra,
}

impl Params {
    /// Whether one half of the descriptors stands for the mirror image.
    pub fn is_chequered(&self) -> bool {
        self.mirrored && self.chequered
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()?;
        let (weights, orders) = (self.order_weights.len(), self.orders.len());
        Error::require(
            weights == 0 || weights == orders,
            "encoding.order_weights",
            format!("{:?}", self.order_weights),
            &format!("empty, or {orders} long like encoding.orders"),
        )
    }

    fn has_step(&self, step: Step) -> bool {
        self.region_steps.contains(&step) || self.vector_steps.contains(&step)
    }

    /// The factor of an order's values.
    pub(super) fn order_weight(&self, order: u8) -> f64 {
        let mut weights = self.orders.iter().zip(&self.order_weights);
        weights.find(|(of, _)| **of == order).map_or(1.0, |(_, weight)| *weight)
    }
}
