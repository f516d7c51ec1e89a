//! What an error costs: the loss, and its weight on either side.

use serde::{Deserialize, Serialize};

/// What an error costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `ξ`.
    Hinge,
    /// `ξ²`.
    SquaredHinge,
}

/// Loss and `C_i`, which depends on the label alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Penalty {
    pub loss: Loss,
    /// `C_i` of positive rows.
    pub positive: f64,
    /// `C_i` of negative rows.
    pub negative: f64,
}

impl Penalty {
    pub fn of(self, sign: f32) -> f64 {
        if sign > 0.0 { self.positive } else { self.negative }
    }

    /// `(U_i, r_i)`.
    pub fn limit(self, sign: f32) -> (f32, f32) {
        self.limits()[usize::from(sign > 0.0)]
    }

    /// `(U_i, r_i)` for negative and positive rows.
    pub fn limits(self) -> [(f32, f32); 2] {
        [self.negative, self.positive].map(|c| match self.loss {
            Loss::Hinge => (c as f32, 0.0),
            Loss::SquaredHinge => (f32::INFINITY, (0.5 / c) as f32),
        })
    }
}
