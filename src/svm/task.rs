//! What a classifier is trained for, whatever the rows; and its training on one set of rows.

use super::backend::Backend;
use super::certificate;
use super::dual_coordinate::Dual;
use super::folds::Folds;
use super::gram::Gram;
use super::machine::Machine;
use super::model::{Model, Stop};
use super::params::{Calibration, GRAM_ROWS, Params, Solver};
use super::selection::{self, HeldOut, Selection};
use super::smo::Smo;
use crate::Result;
use crate::dataset::Label;
use crate::linalg::Rows;
use crate::progress::Progress;
use crate::random::Seed;

/// What a classifier is trained for and how, whatever the rows.
pub(super) struct Task<'a> {
    pub labels: &'a [Vec<Label>],
    pub classes: &'a [String],
    pub signs: Vec<Vec<f32>>,
    /// Classes with images on both sides.
    pub trainable: Vec<usize>,
    pub params: &'a Params,
    pub seed: Seed,
    pub progress: &'a dyn Progress,
}

/// A model before its calibration.
pub(super) struct Trained {
    pub model: Model,
    /// Scores of every class and image by a machine that had not seen the image; empty where no
    /// images were held out.
    pub held_out: Vec<Vec<Option<f64>>>,
}

impl Task<'_> {
    /// The model before training, of rows of `dim` values.
    pub fn untrained(&self, dim: usize) -> Trained {
        let model = Model::constant(self.classes, &self.signs, dim);
        Trained { model, held_out: Vec::new() }
    }

    /// The sum of no machines' scores, for the images of `rows`.
    pub fn nothing(&self, rows: &dyn Rows) -> Trained {
        let mut none = self.untrained(rows.dim());
        none.model.bias.fill(0.0);
        none.held_out = vec![vec![Some(0.0); rows.len()]; self.classes.len()];
        none
    }

    /// The solver that the settings ask for, on `rows`.
    ///
    /// # Errors
    /// As of the solver: a row that is not finite, or [`crate::Error::Interrupted`].
    pub fn backend<'r>(&self, rows: &'r dyn Rows) -> Result<Box<dyn Backend + 'r>> {
        let (seed, progress) = (self.seed, self.progress);
        Ok(match self.params.solver {
            Solver::Smo => Box::new(Smo::new(Gram::exact(rows, seed, progress)?)),
            Solver::Auto if rows.len() > GRAM_ROWS => Box::new(Dual::new(rows, seed)),
            Solver::Dual => Box::new(Dual::new(rows, seed)),
            Solver::Auto | Solver::Gram => Box::new(Gram::quickest(rows, seed, progress)?),
        })
    }

    /// Scores of images held out, and the best C.
    ///
    /// # Errors
    /// As [`selection::cross_validate`].
    pub fn cross_validate(&self, backend: &mut dyn Backend) -> Result<HeldOut> {
        let folds = Folds::new(self.labels, self.params.folds, self.seed)?;
        let Self { signs, trainable, params, progress, .. } = self;
        selection::cross_validate(backend, &folds, signs, trainable, params, *progress)
    }

    /// One machine for each class on whole rows, its C chosen first where there is a choice.
    ///
    /// # Errors
    /// As [`super::train`].
    pub fn solve(&self, rows: &dyn Rows) -> Result<Trained> {
        let params = self.params;
        let mut backend = self.backend(rows)?;
        if params.c_grid.is_empty() && params.calibration == Calibration::None {
            return self.solve_at(params.c, backend.as_mut(), rows);
        }
        let held_out = self.cross_validate(backend.as_mut())?;
        let mut trained = self.solve_at(held_out.c, backend.as_mut(), rows)?;
        trained.held_out = held_out.scores;
        if !params.c_grid.is_empty() {
            trained.model.selection = Some(Selection {
                candidates: held_out.candidates,
                chosen: held_out.c,
                weights: Vec::new(),
                folds: params.folds,
            });
        }
        Ok(trained)
    }

    /// One machine for each class with the given C, on the rows of `backend`.
    ///
    /// # Errors
    /// As [`super::train`].
    pub fn solve_at(&self, c: f64, backend: &mut dyn Backend, rows: &dyn Rows) -> Result<Trained> {
        let (params, progress) = (self.params, self.progress);
        let mut trained = self.untrained(rows.dim());
        let machine = |&class: &usize| {
            let sign = self.signs[class].clone();
            let penalty = params.penalty(&sign, c);
            Machine::new(class, sign, penalty)
        };
        let mut machines: Vec<Machine> = self.trainable.iter().map(machine).collect();
        progress.begin("training", machines.len() as u64, "classes");
        let solved = backend.solve(&mut machines, &params.limits(false), progress);
        progress.end();
        solved?;
        if certificate::is_needed(rows, &machines) {
            for machine in certificate::certify(rows, &machines, progress)? {
                trained.model.set_certified(machine, c, params.tolerance);
            }
        } else {
            let weights = backend.weights(&machines);
            for (machine, weights) in machines.iter().zip(weights.rows()) {
                trained.model.set(machine, weights, c);
            }
        }
        for machine in &machines {
            let report = &trained.model.reports[machine.class];
            if report.stop == Stop::EpochLimit {
                let way_out = match machine.done {
                    // Its gap was small in f32, and is not in f64.
                    true => "lower svm.c; weights in f32 allow no better",
                    false => "raise svm.max_epochs or svm.tolerance, or lower svm.c",
                };
                progress.note(&format!(
                    "class {}: stopped after {} epochs at a relative gap of {:.1e}; {way_out}",
                    report.class, report.epochs, report.relative_gap
                ));
            }
        }
        trained.model.check()?;
        Ok(trained)
    }
}
