//! What a classifier says of its training images when it has not seen them.
//!
//! Every image is scored by a machine of the folds that it was held out of, as for the choice of C; the
//! channels' weights and C are the model's. With a sigmoid for each class, fitted on the same scores, they
//! become probabilities.

use super::calibrate::{self, Sigmoid};
use super::machine::both_sides;
use super::model::Model;
use super::params::Params;
use super::problems::problems;
use super::task::Task;
use crate::Result;
use crate::dataset::Label;
use crate::linalg::Rows;
use crate::progress::Progress;
use crate::random::Seed;

/// Scores of images held out, `[class][image]`; `None` where no machine of the fold could be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOutScores {
    /// The scores.
    pub scores: Vec<Vec<Option<f64>>>,
    /// What makes probabilities of scores, where it could be fitted.
    pub sigmoids: Vec<Option<Sigmoid>>,
}

/// Scores of the images that `model` was trained on, each by a classifier that has not seen it.
///
/// # Errors
/// As [`super::train`].
pub fn held_out(
    rows: &dyn Rows,
    labels: &[Vec<Label>],
    model: &Model,
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<HeldOutScores> {
    super::check(rows, labels, &model.classes)?;
    let classes = &model.classes;
    let signs = super::signs(labels, classes.len());
    let trainable: Vec<usize> = (0..classes.len()).filter(|&c| both_sides(&signs[c])).collect();
    let c = model.reports.iter().map(|report| report.c).find(|&c| c > 0.0).unwrap_or(params.c);
    let folds = params.folds.min(rows.len());
    let params = &Params { c, c_grid: Vec::new(), folds, ..params.clone() };
    let task = Task { labels, classes, signs, trainable, params, seed, progress };
    let mut scores = vec![vec![Some(0.0); rows.len()]; classes.len()];
    for problem in problems(rows, model, params) {
        let found = task.cross_validate(task.backend(&*problem.rows)?.as_mut())?;
        for (sums, found) in scores.iter_mut().zip(found.scores) {
            for (sum, found) in sums.iter_mut().zip(found) {
                *sum = sum.zip(found).map(|(sum, score)| sum + problem.share * score);
            }
        }
    }
    let sigmoid = |class: usize| {
        let (name, sign) = (&classes[class], &task.signs[class]);
        calibrate::class(name, sign, &scores[class], progress)
    };
    let sigmoids = (0..classes.len()).map(sigmoid).collect();
    Ok(HeldOutScores { scores, sigmoids })
}
