//! The problems that a classifier of joint rows solved, as they stand: C and the channels' weights chosen.
//!
//! One on whole rows; with learned weights one on rows whose channels are multiplied by these; with averaged
//! scores one for each channel, whose scores count `s_c / Σ s_c` ([`super::fusion`]).

use std::ops::Range;

use ndarray::Axis;

use super::duals::Duals;
use super::fusion;
use super::model::Model;
use super::params::{Fusion, Params};
use crate::linalg::{Columns, Rows};

/// One of the problems whose scores add up to the model's.
pub(super) struct Problem<'r> {
    pub rows: Box<dyn Rows + 'r>,
    /// Its columns in a joint row.
    columns: Range<usize>,
    /// What values of a joint row are multiplied by; others by 1.
    factors: Vec<(Range<usize>, f32)>,
    /// What its scores are multiplied by.
    pub share: f64,
    /// The part of the duals that is its, and what makes its dual variables of that; none: the constants.
    part: Option<(usize, f64)>,
}

impl Problem<'_> {
    /// The row of this problem that a joint row is.
    pub fn row(&self, joint: &[f32]) -> Vec<f32> {
        let mut row = joint.to_vec();
        for (range, factor) in &self.factors {
            row[range.clone()].iter_mut().for_each(|value| *value *= factor);
        }
        row[self.columns.clone()].to_vec()
    }

    /// `α_i` of a class.
    pub fn alpha(&self, duals: &Duals, class: usize) -> Vec<f32> {
        match self.part {
            None => duals.of_class(class).iter().map(|a| a.abs()).collect(),
            Some((part, scale)) => {
                let products = duals.products.index_axis(Axis(0), part);
                let of_class = products.row(class);
                of_class.iter().map(|&a| (f64::from(a.abs()) * scale) as f32).collect()
            }
        }
    }
}

/// The problems of a model that was trained on `rows`.
pub(super) fn problems<'r>(rows: &'r dyn Rows, model: &Model, params: &Params) -> Vec<Problem<'r>> {
    let parts = rows.parts();
    let whole = 0..rows.dim();
    match params.fusion {
        Fusion::Scores if parts.len() > 1 => {
            let total: f64 = parts.iter().map(|part| f64::from(part.1)).sum();
            let of_part = |(number, (columns, factor)): (usize, (Range<usize>, f32))| {
                let of_rows = 1.0 / f64::from(factor);
                let alone = fusion::multiplied(rows, &[((columns.clone(), factor), of_rows)]);
                Problem {
                    rows: Box::new(alone),
                    factors: vec![(columns.clone(), of_rows as f32)],
                    columns,
                    share: f64::from(factor) / total,
                    part: Some((number, f64::from(factor) * total)),
                }
            };
            parts.into_iter().enumerate().map(of_part).collect()
        }
        Fusion::Learned if parts.len() > 1 => {
            let chosen = model.selection.iter().flat_map(|selection| &selection.weights);
            let factors: Vec<_> = (parts.iter().zip(chosen))
                .map(|(part, &weight)| (part.clone(), weight / f64::from(part.1)))
                .collect();
            let of_rows =
                factors.iter().map(|((range, _), f)| (range.clone(), *f as f32)).collect();
            let rows = Box::new(fusion::multiplied(rows, &factors));
            vec![Problem { rows, columns: whole, factors: of_rows, share: 1.0, part: None }]
        }
        _ => {
            let rows = Box::new(Columns::new(rows, whole.clone()));
            vec![Problem { rows, columns: whole, factors: Vec::new(), share: 1.0, part: None }]
        }
    }
}
