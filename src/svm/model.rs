//! A trained classifier: weights, biases, sigmoids, and how the training of each class ended.

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::calibrate::Sigmoid;
use super::certificate::Certified;
use super::duals::Duals;
use super::failure::failed;
use super::machine::{Machine, Objective};
use super::selection::Selection;
use super::weights::Weights;
use crate::linalg::{self, Rows};
use crate::{Error, Result};

/// Rows scored together; also the unit of parallel work.
const SCORE_ROWS: usize = 64;

/// Why the training of a class ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The relative duality gap is at most the tolerance.
    Converged,
    /// `max_epochs` passes were made first, or f32 allows no smaller gap; the reported one says how far
    /// the optimum may be.
    EpochLimit,
    /// No positive or no negative image: the score is the constant −1 (+1 without negatives).
    OneSided,
}

/// How one class was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Name of the class.
    pub class: String,
    /// The C that was used; 0 for [`Stop::OneSided`].
    pub c: f64,
    /// Images labelled [`crate::dataset::Label::Yes`].
    pub positives: usize,
    /// Images labelled [`crate::dataset::Label::No`].
    pub negatives: usize,
    /// Images left out.
    pub ignored: usize,
    /// Value of the problem in the [module docs](super) at the model's weights and bias.
    pub primal: f64,
    /// Lower bound of that value over all weights and biases.
    pub dual: f64,
    /// `(primal − dual)/primal`, not below 0.
    pub relative_gap: f64,
    /// Passes over the images.
    pub epochs: usize,
    /// Images with a dual variable above 0.
    pub support_vectors: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// One linear classifier per class.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Class names, in the order of all other fields (`M` classes).
    pub classes: Vec<String>,
    /// `M × dim`.
    pub weights: Array2<f32>,
    /// `M` biases.
    pub bias: Vec<f32>,
    /// What makes probabilities of scores, where it was fitted.
    pub sigmoids: Vec<Option<Sigmoid>>,
    /// How the training of each class ended.
    pub reports: Vec<ClassReport>,
    /// How C was chosen, when it was.
    pub selection: Option<Selection>,
    /// What each training image adds to a score; unknown of a model that comes from its weights alone.
    pub duals: Option<Duals>,
}

impl Model {
    /// A model from its stored parts.
    ///
    /// # Errors
    /// [`Error::Shape`] when a part does not have one entry per class, [`Error::Numerical`] when a
    /// weight, bias or sigmoid is not finite.
    pub fn new(
        classes: Vec<String>,
        weights: Array2<f32>,
        bias: Vec<f32>,
        sigmoids: Vec<Option<Sigmoid>>,
        reports: Vec<ClassReport>,
        selection: Option<Selection>,
    ) -> Result<Self> {
        let expected = classes.len();
        for (what, got) in [
            ("weights of the classifier (rows)", weights.nrows()),
            ("biases of the classifier", bias.len()),
            ("sigmoids of the classifier", sigmoids.len()),
            ("class reports of the classifier", reports.len()),
        ] {
            if got != expected {
                return Err(Error::Shape { what, expected, got });
            }
        }
        let sigmoids_finite =
            sigmoids.iter().flatten().all(|sigmoid| sigmoid.a.is_finite() && sigmoid.b.is_finite());
        let values = weights.iter().chain(&bias);
        if !sigmoids_finite || !values.into_iter().all(|value| value.is_finite()) {
            return Err(Error::Numerical {
                what: "loading the classifier",
                problem: "a weight, bias or sigmoid is NaN or infinite; train it again".into(),
            });
        }
        let weights = weights.as_standard_layout().into_owned();
        Ok(Self { classes, weights, bias, sigmoids, reports, selection, duals: None })
    }

    /// The same model with what is known of its training images.
    ///
    /// # Errors
    /// [`Error::Shape`] when they are of other classes.
    pub fn with_duals(self, duals: Option<Duals>) -> Result<Self> {
        let (expected, got) = (self.classes.len(), duals.as_ref().map(|d| d.constants.nrows()));
        match got.filter(|&got| got != expected) {
            Some(got) => Err(Error::Shape { what: "classes of the dual variables", expected, got }),
            None => Ok(Self { duals, ..self }),
        }
    }

    /// Values of an encoding that the model scores.
    pub fn dim(&self) -> usize {
        self.weights.ncols()
    }

    /// Scores `w·x + b` of every row for every class, `n × M`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows have another length than [`Model::dim`],
    /// [`Error::Numerical`] naming the first row that is not finite.
    pub fn scores(&self, rows: &dyn Rows) -> Result<Array2<f32>> {
        if rows.dim() != self.dim() {
            let (expected, got) = (self.dim(), rows.dim());
            return Err(Error::Shape { what: "encodings to be scored", expected, got });
        }
        let (n, count) = (rows.len(), self.classes.len());
        let mut scores = Array2::zeros((n, count));
        let weights = Weights::from_array(self.weights.view());
        let mut blocks: Vec<_> =
            scores.axis_chunks_iter_mut(Axis(0), SCORE_ROWS).enumerate().collect();
        blocks.par_iter_mut().try_for_each(|(block, to)| {
            let start = *block * SCORE_ROWS;
            let ids: Vec<usize> = (start..start + to.nrows()).collect();
            let next = (start + SCORE_ROWS).min(n)..(start + 2 * SCORE_ROWS).min(n);
            rows.soon(next, 0..rows.dim());
            let products = weights.products(rows, &ids);
            for ((row, mut to), products) in
                ids.iter().zip(to.rows_mut()).zip(products.chunks_exact(count.max(1)))
            {
                for ((to, product), &bias) in to.iter_mut().zip(products).zip(&self.bias) {
                    *to = (product + f64::from(bias)) as f32;
                    if !to.is_finite() {
                        return Err(not_finite(*row, rows));
                    }
                }
            }
            Ok(())
        })?;
        Ok(scores)
    }

    /// Scores of one encoding, one per class; the same bits as from [`Model::scores`].
    ///
    /// # Errors
    /// As [`Model::scores`].
    pub fn score(&self, row: &[f32]) -> Result<Vec<f32>> {
        let view = ndarray::ArrayView2::from_shape((1, row.len()), row).expect("one row");
        Ok(self.scores(&view)?.into_raw_vec_and_offset().0)
    }

    /// Probabilities of one image's scores; `None` for classes without a sigmoid.
    pub fn probabilities(&self, scores: &[f32]) -> Vec<Option<f32>> {
        let sigmoids = self.sigmoids.iter().zip(scores);
        sigmoids.map(|(sigmoid, &score)| sigmoid.map(|s| s.probability(score))).collect()
    }

    /// The model before training: the constant score of a one-sided class everywhere.
    pub(super) fn constant(classes: &[String], signs: &[Vec<f32>], dim: usize) -> Self {
        let report = |(class, sign): (&String, &Vec<f32>)| {
            let count = |wanted: f32| sign.iter().filter(|&&y| y == wanted).count();
            ClassReport {
                class: class.clone(),
                c: 0.0,
                positives: count(1.0),
                negatives: count(-1.0),
                ignored: count(0.0),
                primal: 0.0,
                dual: 0.0,
                relative_gap: 0.0,
                epochs: 0,
                support_vectors: 0,
                stop: Stop::OneSided,
            }
        };
        let reports: Vec<ClassReport> = classes.iter().zip(signs).map(report).collect();
        let images = signs.first().map_or(0, Vec::len);
        let only_positive = |report: &ClassReport| report.positives > 0 && report.negatives == 0;
        Self {
            classes: classes.to_vec(),
            weights: Array2::zeros((classes.len(), dim)),
            bias: reports.iter().map(|r| if only_positive(r) { 1.0 } else { -1.0 }).collect(),
            sigmoids: vec![None; classes.len()],
            reports,
            selection: None,
            duals: Some(Duals::zeros(classes.len(), images, std::iter::once(0..dim).collect())),
        }
    }

    /// Takes over a solved machine.
    pub(super) fn set(&mut self, machine: &Machine, weights: ArrayView1<'_, f32>, c: f64) {
        let class = machine.class;
        self.weights.row_mut(class).assign(&weights);
        self.set_duals(machine, 1.0);
        self.bias[class] = machine.best_bias() as f32;
        self.set_report(machine, machine.objective(), c);
        self.reports[class].stop = if machine.done { Stop::Converged } else { Stop::EpochLimit };
    }

    /// Takes over a machine that was judged in f64.
    pub(super) fn set_certified(&mut self, certified: Certified<'_>, c: f64, tolerance: f64) {
        let Certified { machine, weights, bias, stretch, objective } = certified;
        let class = machine.class;
        self.weights.row_mut(class).assign(&ArrayView1::from(&weights));
        self.bias[class] = bias;
        self.set_duals(machine, stretch);
        self.set_report(machine, objective, c);
        let converged = objective.relative_gap() <= tolerance;
        self.reports[class].stop = if converged { Stop::Converged } else { Stop::EpochLimit };
    }

    fn set_duals(&mut self, machine: &Machine, stretch: f64) {
        if let Some(duals) = &mut self.duals {
            duals.set(machine, stretch);
        }
    }

    fn set_report(&mut self, machine: &Machine, objective: Objective, c: f64) {
        let report = &mut self.reports[machine.class];
        report.c = c;
        report.primal = objective.primal;
        report.dual = objective.dual;
        report.relative_gap = objective.relative_gap();
        report.epochs = machine.epochs;
        report.support_vectors = machine.support_vectors();
    }

    /// Refuses what must not be stored.
    ///
    /// # Errors
    /// [`Error::Numerical`] when a weight, a bias or an objective is not finite.
    pub(super) fn check(&self) -> Result<()> {
        let finite = self.weights.iter().chain(&self.bias).all(|v| v.is_finite())
            && self.reports.iter().all(|r| r.primal.is_finite() && r.dual.is_finite());
        if finite {
            return Ok(());
        }
        Err(failed("a weight or an objective is beyond f32; lower svm.c, or normalise the vectors"))
    }
}

fn not_finite(row: usize, rows: &dyn Rows) -> Error {
    let mut scratch = Vec::new();
    let place = linalg::first_not_finite(rows.row(row, &mut scratch));
    let found = place.map_or_else(
        || "values too large to be scored".to_owned(),
        |column| format!("a NaN or an infinity in column {column}"),
    );
    Error::Numerical {
        what: "scoring",
        problem: format!(
            "row {row} (rows and columns counted from 0) holds {found}; encode that image again or \
             leave it out"
        ),
    }
}
