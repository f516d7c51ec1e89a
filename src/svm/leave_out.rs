//! The score that an image would have without a training image.
//!
//! The problem of the [module docs](super) is solved again with row `i` left out, from the dual variables
//! of the whole, `α_i` set to 0. It is convex, so that the start changes nothing but the time; and an image
//! with `α_i = 0` changes nothing at all. C and the channels' weights stay as they were chosen, and what
//! `balance` makes of the labels is made anew.
//!
//! Scores need no weights: with `k_j = ⟨x_j, x⟩`, `f(x) = Σ_j α_j y_j k_j + b`.

use super::backend::{Backend, Limits};
use super::duals::Duals;
use super::gram::Gram;
use super::machine::{Machine, both_sides};
use super::model::Model;
use super::params::{Params, Solver};
use super::penalty::Loss;
use super::problems::{Problem, problems};
use super::smo::Smo;
use crate::dataset::Label;
use crate::linalg::{self, Rows};
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};

/// Relative gap of both solutions: scores differ by less than people read.
const TOLERANCE: f64 = 1e-6;

/// Scores of one image for one class.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// By the optimum with all training images.
    pub with_all: f64,
    /// Without each of the images asked for; `None` where no classifier can be trained without it.
    pub without: Vec<Option<f64>>,
}

/// What solves it.
enum Solution<'r> {
    Gram(Gram<'r>),
    Smo(Smo<'r>),
}

impl<'r> Solution<'r> {
    fn gram(&self) -> &Gram<'r> {
        match self {
            Self::Gram(gram) => gram,
            Self::Smo(smo) => smo.gram(),
        }
    }

    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        match self {
            Self::Gram(gram) => gram.solve(machines, limits, progress),
            Self::Smo(smo) => smo.solve(machines, limits, progress),
        }
    }
}

/// The scores of `x` for a class of a model that was trained on `rows` and `labels`, without each of the
/// training images `left_out`.
///
/// # Errors
/// [`Error::Missing`] for a model without dual variables; [`Error::Shape`] when rows, labels and model do
/// not belong together; as [`super::train`].
#[expect(
    clippy::too_many_arguments,
    reason = "all that a classifier was trained with, and a question"
)]
pub fn leave_out(
    rows: &dyn Rows,
    labels: &[Vec<Label>],
    model: &Model,
    class: usize,
    x: &[f32],
    left_out: &[usize],
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<LeftOut> {
    let Some(duals) = &model.duals else { return Err(without_duals()) };
    for (what, expected, got) in [
        ("training images of the classifier", duals.images(), rows.len()),
        ("labels of the training images", rows.len(), labels.len()),
        ("values of the image to be explained", rows.dim(), x.len()),
    ] {
        if expected != got {
            return Err(Error::Shape { what, expected, got });
        }
    }
    let sign = super::signs(labels, model.classes.len()).swap_remove(class);
    if !both_sides(&sign) {
        let score = f64::from(model.bias[class]);
        return Ok(LeftOut { with_all: score, without: vec![Some(score); left_out.len()] });
    }
    let mut sum = LeftOut { with_all: 0.0, without: vec![Some(0.0); left_out.len()] };
    for problem in problems(rows, model, params) {
        let found =
            of_problem(&problem, duals, &sign, model, class, x, left_out, params, seed, progress)?;
        sum.with_all += problem.share * found.with_all;
        for (sum, found) in sum.without.iter_mut().zip(found.without) {
            *sum = sum.zip(found).map(|(sum, found)| sum + problem.share * found);
        }
    }
    Ok(sum)
}

/// The error for a model of an earlier version.
pub(crate) fn without_duals() -> Error {
    Error::Missing {
        what: "the dual variables of the classifier, which an earlier version trained".into(),
        hint: "remove svm.safetensors from the run and train again: `fvtool train-svm --run RUN --split SPLIT`"
            .into(),
    }
}

#[expect(clippy::too_many_arguments, reason = "as of its caller")]
fn of_problem(
    problem: &Problem<'_>,
    duals: &Duals,
    sign: &[f32],
    model: &Model,
    class: usize,
    x: &[f32],
    left_out: &[usize],
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<LeftOut> {
    let x = &problem.row(x);
    let scratch = &mut Vec::new();
    let products: Vec<f64> =
        (0..problem.rows.len()).map(|i| linalg::dot(problem.rows.row(i, scratch), x)).collect();
    let c = model.reports[class].c;
    let penalty = params.penalty(sign, c);
    let mut whole = Machine::new(class, sign.to_vec(), penalty);
    let start = problem.alpha(duals, class);
    for (to, (alpha, &y)) in whole.alpha.iter_mut().zip(start.into_iter().zip(sign)) {
        let (upper, _) = penalty.limit(y);
        *to = if penalty.loss == Loss::Hinge { alpha.min(upper) } else { alpha };
    }
    let tolerance = params.tolerance.min(TOLERANCE);
    let limits = Limits { tolerance, ..params.limits(false) };
    let gram = Gram::exact(&*problem.rows, seed, progress)?;
    gram.refresh(&mut [&mut whole]);
    let mut solver = match params.solver {
        Solver::Smo => Solution::Smo(Smo::new(gram)),
        _ => Solution::Gram(gram),
    };
    let mut with_all = [whole];
    solver.solve(&mut with_all, &limits, progress)?;
    let [whole] = with_all;
    let score = |machine: &Machine| -> f64 {
        let terms = machine.alpha.iter().zip(&machine.sign).zip(&products);
        let sum: f64 = terms.map(|((&a, &y), &k)| f64::from(a) * f64::from(y) * k).sum();
        sum + machine.best_bias()
    };
    let whole_score = score(&whole);
    let mut machines = Vec::new();
    let mut places = Vec::new();
    let mut without = vec![Some(whole_score); left_out.len()];
    for (place, &i) in left_out.iter().enumerate() {
        let mut machine = whole.clone();
        machine.sign[i] = 0.0;
        if !both_sides(&machine.sign) {
            without[place] = None;
            continue;
        }
        let penalty = params.penalty(&machine.sign, c);
        // What the image took no part in stays as it is.
        if whole.alpha[i] == 0.0 && penalty == whole.penalty {
            continue;
        }
        machine.penalty = penalty;
        for (alpha, &y) in machine.alpha.iter_mut().zip(&machine.sign) {
            *alpha = if y == 0.0 { 0.0 } else { alpha.min(penalty.limit(y).0) };
        }
        machine.free_bias = false;
        machine.weights.clear();
        machine.done = false;
        machines.push(machine);
        places.push(place);
    }
    solver.gram().refresh(&mut machines.iter_mut().collect::<Vec<_>>());
    solver.solve(&mut machines, &limits, progress)?;
    for (place, machine) in places.into_iter().zip(&machines) {
        without[place] = Some(score(machine));
    }
    Ok(LeftOut { with_all: whole_score, without })
}
