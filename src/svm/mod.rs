//! Linear support vector machines, one against the rest for every class.
//!
//! For rows `x_i` (`n × dim`) and labels `y_i = ±1` of one class, `C_i = C`, times the positive
//! weight where `y_i = +1`:
//!
//! ```text
//! min ½(‖w‖² + b²) + Σ C_i ξ_i   or  Σ C_i ξ_i²     ξ_i = max(0, 1 − y_i(w·x_i + b))
//! ```
//!
//! The bias is regularised, as the weight of a constant feature 1; [`Solver::Smo`] alone solves the
//! problem with a free bias, `½‖w‖² + Σ C_i ξ_i`. Rows labelled [`Label::Ignored`] are left out of
//! that class. Every result carries its duality gap, which bounds the distance from the optimum:
//! `½(‖w − w*‖² + (b − b*)²) ≤ primal − dual`.
//!
//! Scores are `w·x + b`; [`Sigmoid`]s fitted on out-of-fold scores turn them into probabilities.
//! Source: Hsieh, Chang, Lin, Keerthi & Sundararajan 2008 (the problem and its dual); Platt 1999.

mod backend;
mod calibrate;
mod certificate;
mod dual_coordinate;
mod duals;
mod failure;
mod folds;
mod fusion;
mod gram;
mod gram_matrix;
mod groups;
mod held_out;
mod leave_out;
mod machine;
pub mod memory;
mod model;
mod params;
mod penalty;
mod problems;
mod products;
mod selection;
mod smo;
mod task;
mod weights;

pub use calibrate::Sigmoid;
pub use duals::Duals;
pub use groups::{GROUP, groups, labels_of_classes};
pub use held_out::{HeldOutScores, held_out};
pub use leave_out::{LeftOut, leave_out};
pub use model::{ClassReport, Model, Stop};
pub use params::{Balance, Calibration, Fusion, GRAM_ROWS, Params, Solver};
pub use penalty::Loss;
pub use selection::{Candidate, Selection};

use crate::dataset::Label;
use crate::linalg::Rows;
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};
use failure::failed;
pub(crate) use leave_out::without_duals;
use machine::both_sides;
use task::Task;

/// Trains one machine per class, against all other images.
///
/// `rows` is `n × dim`, `labels[image][class]`. A class without a positive or without a negative
/// gets the constant score −1 or +1, [`Stop::OneSided`], and a note through `progress`. With
/// [`Params::c_grid`], C is chosen first; with [`Calibration::Platt`], sigmoids are fitted on the
/// scores of models that had not seen the images. Many classes are trained group by group ([`groups()`]). The result
/// depends on `seed`, never on the number of threads.
///
/// # Errors
/// [`Error::Setting`] for settings outside their ranges, or that rows cannot obey ([`Params::of_rows`]), [`Error::Shape`] when labels and rows do
/// not fit, [`Error::Numerical`] when there is nothing to train on or a row (named) is not finite,
/// [`Error::Interrupted`].
///
/// ```
/// use fvtool::{dataset::Label, progress::Silent, random::Seed, svm};
/// let x = ndarray::array![[1.0_f32, 0.2], [0.9, -0.1], [-1.0, 0.1], [-0.8, 0.0]];
/// let labels = [Label::Yes, Label::Yes, Label::No, Label::No].map(|label| vec![label]);
/// let params = svm::Params::default();
/// let model = svm::train(&x.view(), &labels, &["cat".into()], &params, Seed(1), &Silent)?;
/// let scores = model.scores(&x.view())?;
/// assert!(scores[[0, 0]] > 0.9 && scores[[2, 0]] < -0.9);
/// assert!(model.reports[0].relative_gap <= params.tolerance);
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn train(
    rows: &dyn Rows,
    labels: &[Vec<Label>],
    classes: &[String],
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Model> {
    params.validate()?;
    params.require_of_rows()?;
    check(rows, labels, classes)?;
    let groups = groups(params, rows.len(), rows.parts().len(), classes.len());
    if let [_] = groups[..] {
        return train_group(rows, labels, classes, params, seed, progress);
    }
    let of_group = |range: std::ops::Range<usize>| {
        let labels = labels_of_classes(labels, range.clone());
        train_group(rows, &labels, &classes[range], params, seed, progress)
    };
    Model::together(groups.into_iter().map(of_group).collect::<Result<_>>()?)
}

/// Trains the classes of a group together.
fn train_group(
    rows: &dyn Rows,
    labels: &[Vec<Label>],
    classes: &[String],
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Model> {
    let signs = signs(labels, classes.len());
    let trainable: Vec<usize> = (0..classes.len()).filter(|&c| both_sides(&signs[c])).collect();
    let task = Task { labels, classes, signs, trainable, params, seed, progress };
    let untrained = task.untrained(rows.dim());
    for (class, report) in untrained.model.reports.iter().enumerate() {
        if !task.trainable.contains(&class) {
            progress.note(&format!(
                "class {}: {} positive and {} negative images; its score is constant",
                report.class, report.positives, report.negatives
            ));
        }
    }
    if task.trainable.is_empty() {
        return Ok(untrained.model);
    }
    let parts = rows.parts();
    let mut trained = match params.fusion {
        Fusion::Learned if parts.len() > 1 => fusion::learned(rows, &parts, &task)?,
        Fusion::Scores if parts.len() > 1 => fusion::scores(rows, &parts, &task)?,
        _ => task.solve(rows)?,
    };
    if params.calibration == Calibration::Platt {
        for &class in &task.trainable {
            let (name, scores) = (&classes[class], &trained.held_out[class]);
            let sigmoid = calibrate::class(name, &task.signs[class], scores, progress);
            trained.model.sigmoids[class] = sigmoid;
        }
    }
    Ok(trained.model)
}

/// The labels of each class as ±1, and 0 where the image is left out.
fn signs(labels: &[Vec<Label>], classes: usize) -> Vec<Vec<f32>> {
    let sign = |label: Label| match label {
        Label::Yes => 1.0,
        Label::No => -1.0,
        Label::Ignored => 0.0,
    };
    (0..classes).map(|c| labels.iter().map(|of_image| sign(of_image[c])).collect()).collect()
}

/// The inner products of all rows, `n × n`: to about 1e-3 of a product of unit rows with many rows, exact with
/// few.
///
/// # Errors
/// [`Error::Numerical`] naming the first row that is not finite; [`Error::Interrupted`].
pub(crate) fn inner_products(
    rows: &dyn Rows,
    progress: &dyn Progress,
) -> Result<ndarray::Array2<f32>> {
    Ok(gram::Gram::quickest(rows, Seed(0), progress)?.into_matrix())
}

fn check(rows: &dyn Rows, labels: &[Vec<Label>], classes: &[String]) -> Result<()> {
    if rows.is_empty() {
        return Err(failed("there are no images; check the training split"));
    }
    if rows.dim() == 0 {
        return Err(failed("the encodings have no values; encode the images again"));
    }
    if classes.is_empty() {
        return Err(failed("there are no classes; check the data set"));
    }
    if labels.len() != rows.len() {
        let (expected, got) = (rows.len(), labels.len());
        return Err(Error::Shape { what: "labels of the training images", expected, got });
    }
    if let Some(odd) = labels.iter().find(|of_image| of_image.len() != classes.len()) {
        let (expected, got) = (classes.len(), odd.len());
        return Err(Error::Shape { what: "labels of one image", expected, got });
    }
    if labels.iter().flatten().all(|&label| label == Label::Ignored) {
        return Err(failed("every label is `ignored` (0); nothing is left to learn from"));
    }
    Ok(())
}
