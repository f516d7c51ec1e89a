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

mod calibrate;
mod certificate;
mod dual_coordinate;
mod fusion;
mod gram;
mod gram_matrix;
mod machine;
pub mod memory;
mod model;
mod products;
mod selection;
mod smo;
mod weights;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

pub use calibrate::Sigmoid;
pub use model::{ClassReport, Model, Stop};
pub use selection::{Candidate, Selection};

use crate::dataset::Label;
use crate::linalg::Rows;
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};
use machine::{Machine, Penalty};

/// How the optimum is found. [`Solver::Dual`] and [`Solver::Gram`] solve the same problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// `gram` up to [`GRAM_ROWS`] rows, `dual` above.
    Auto,
    /// Dual coordinate descent over blocks of rows; needs no `n × n` matrix.
    Dual,
    /// Dual coordinate descent on the `n × n` Gram matrix of `4·n²` bytes.
    Gram,
    /// Sequential minimal optimisation (linfa-svm) on the Gram matrix: the bias is not
    /// regularised, as in libsvm. Hinge loss only.
    Smo,
}

/// What an error costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `ξ`.
    Hinge,
    /// `ξ²`.
    SquaredHinge,
}

/// How errors on positive and negative images compare, before `positive_weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Every image counts the same.
    Equal,
    /// A positive counts (number of negatives)/(number of positives) times, class by class.
    Balanced,
}

/// How several channels become one classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// One machine a class on vectors joined by the channels' weights (early fusion).
    Weights,
    /// The same, with weights chosen on held-out images.
    Learned,
    /// One machine a class and channel, their scores averaged by the channels' weights (late fusion).
    Scores,
}

/// Whether scores get a sigmoid that makes them probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Scores only.
    None,
    /// Platt scaling on scores of images that the scoring model had not seen (`svm.folds`).
    Platt,
}

/// Most rows for which [`Solver::Auto`] forms a Gram matrix: 1.6 GB of f32.
pub const GRAM_ROWS: usize = 20_000;

const TRAINING: &str = "training the SVM";

crate::parameters! {
    /// Settings of the classifier, group `svm`. The default is VLFeat's recipe.
    #[group = "svm"]
    pub struct Params {
        /// How the optimum is found: `auto`, `dual`, `gram` or `smo` (free bias).
        pub solver: Solver = Solver::Auto;
        /// What an error costs: `hinge` or `squared-hinge`.
        pub loss: Loss = Loss::Hinge;
        /// Weight of errors against the size of the weights.
        pub c: f64 = 10.0, in 1e-12..=1e12, when "c_grid = []": |p| p.c_grid.is_empty();
        /// Values of C to choose from by cross-validated mean average precision; the choice replaces
        /// `c`.
        pub c_grid: Vec<f64> = Vec::new(), in 1e-12..=1e12;
        /// Parts that the training images are split into for cross-validation.
        pub folds: usize = 5, in 2..=100,
            when "c_grid, fusion = learned or calibration = platt": |p| p.cross_validates();
        /// How errors on positive and negative images compare: `equal` (every image counts the same)
        /// or `balanced` (a positive counts negatives/positives times).
        pub balance: Balance = Balance::Equal;
        /// Weight of an error on a positive image, on top of `balance`.
        pub positive_weight: f64 = 1.0, in 1e-6..=1e6;
        /// Relative duality gap (primal − dual)/primal at which a class is done.
        /// Products in f32 let it fall to about 1e-6 times C, no further.
        pub tolerance: f64 = 1e-3, in 1e-6..=0.5;
        /// Largest number of passes over the images for a class.
        pub max_epochs: usize = 1000, in 1..;
        /// How several channels become one classifier: `weights` (one classifier of the vectors joined
        /// by the channels' weights), `learned` (the same with weights that rank held-out images best)
        /// or `scores` (a classifier for each channel, their scores averaged by the channels' weights).
        pub fusion: Fusion = Fusion::Weights;
        /// Whether to fit probabilities: `none` or `platt` (out-of-fold).
        pub calibration: Calibration = Calibration::None;
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        // The ranges keep every dual variable and objective within f32.
        self.check_ranges()?;
        let fits = self.solver != Solver::Smo || self.loss == Loss::Hinge;
        Error::require(fits, "svm.loss", "squared-hinge", "hinge when svm.solver is smo")?;
        let alone = self.fusion != Fusion::Scores || self.c_grid.is_empty();
        let grid = format!("{:?}", self.c_grid);
        Error::require(alone, "svm.c_grid", grid, "empty when svm.fusion is scores")
    }

    /// Whether machines are trained on a part of the images to be tried on the others.
    fn cross_validates(&self) -> bool {
        !self.c_grid.is_empty()
            || self.fusion == Fusion::Learned
            || self.calibration == Calibration::Platt
    }

    fn limits(&self, trial: bool) -> Limits {
        Limits { tolerance: self.tolerance, max_epochs: self.max_epochs, trial }
    }

    fn penalty(&self, sign: &[f32], c: f64) -> Penalty {
        let count = |wanted: f32| sign.iter().filter(|&&y| y == wanted).count() as f64;
        let balance = match self.balance {
            Balance::Equal => 1.0,
            Balance::Balanced => count(-1.0) / count(1.0),
        };
        Penalty { loss: self.loss, positive: c * balance * self.positive_weight, negative: c }
    }
}

/// When a machine is done.
#[derive(Debug, Clone, Copy)]
struct Limits {
    tolerance: f64,
    max_epochs: usize,
    /// Whether the machines are only asked for the scores of images held out: then a gap on a rounded
    /// Gram matrix will do.
    trial: bool,
}

/// What solves a set of binary problems over the same rows.
trait Backend {
    /// Brings every machine that is not done to the tolerance, starting from its dual variables.
    /// Afterwards the margins of every row, left out or not, belong to these variables.
    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()>;

    /// The weights of solved machines, `M × dim`.
    fn weights(&self, machines: &[Machine]) -> Array2<f32>;
}

/// Trains one machine per class, against all other images.
///
/// `rows` is `n × dim`, `labels[image][class]`. A class without a positive or without a negative
/// gets the constant score −1 or +1, [`Stop::OneSided`], and a note through `progress`. With
/// [`Params::c_grid`], C is chosen first; with [`Calibration::Platt`], sigmoids are fitted on the
/// scores of models that had not seen the images. The result depends on `seed`, never on the number
/// of threads.
///
/// # Errors
/// [`Error::Setting`] for settings outside their ranges, [`Error::Shape`] when labels and rows do
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
    check(rows, labels, classes)?;
    let signs = signs(labels, classes.len());
    let trainable: Vec<usize> = (0..classes.len()).filter(|&c| both_sides(&signs[c])).collect();
    let problem = Problem { labels, classes, signs, trainable, params, seed, progress };
    let untrained = problem.untrained(rows.dim());
    for (class, report) in untrained.model.reports.iter().enumerate() {
        if !problem.trainable.contains(&class) {
            progress.note(&format!(
                "class {}: {} positive and {} negative images; its score is constant",
                report.class, report.positives, report.negatives
            ));
        }
    }
    if problem.trainable.is_empty() {
        return Ok(untrained.model);
    }
    let parts = rows.parts();
    let mut trained = match params.fusion {
        Fusion::Learned if parts.len() > 1 => fusion::learned(rows, &parts, &problem)?,
        Fusion::Scores if parts.len() > 1 => fusion::scores(rows, &parts, &problem)?,
        _ => problem.solve(rows)?,
    };
    if params.calibration == Calibration::Platt {
        for &class in &problem.trainable {
            let (name, scores) = (&classes[class], &trained.held_out[class]);
            let sigmoid = calibrate::class(name, &problem.signs[class], scores, progress);
            trained.model.sigmoids[class] = sigmoid;
        }
    }
    Ok(trained.model)
}

/// What a classifier is trained for and how, whatever the rows.
struct Problem<'a> {
    labels: &'a [Vec<Label>],
    classes: &'a [String],
    signs: Vec<Vec<f32>>,
    /// Classes with images on both sides.
    trainable: Vec<usize>,
    params: &'a Params,
    seed: Seed,
    progress: &'a dyn Progress,
}

/// A model before its calibration.
struct Trained {
    model: Model,
    /// Scores of every class and image by a machine that had not seen the image; empty where no
    /// images were held out.
    held_out: Vec<Vec<Option<f64>>>,
}

impl Problem<'_> {
    /// The model before training, of rows of `dim` values.
    fn untrained(&self, dim: usize) -> Trained {
        let model = Model::constant(self.classes, &self.signs, dim);
        Trained { model, held_out: Vec::new() }
    }

    fn backend<'r>(&self, rows: &'r dyn Rows) -> Result<Box<dyn Backend + 'r>> {
        let solver = match self.params.solver {
            Solver::Auto if rows.len() <= GRAM_ROWS => Solver::Gram,
            Solver::Auto => Solver::Dual,
            chosen => chosen,
        };
        Ok(match solver {
            Solver::Smo => {
                Box::new(smo::Smo::new(gram::Gram::exact(rows, self.seed, self.progress)?))
            }
            Solver::Gram => Box::new(gram::Gram::quickest(rows, self.seed, self.progress)?),
            Solver::Dual | Solver::Auto => Box::new(dual_coordinate::Dual::new(rows, self.seed)),
        })
    }

    fn cross_validate(&self, backend: &mut dyn Backend) -> Result<selection::HeldOut> {
        let folds = selection::Folds::new(self.labels, self.params.folds, self.seed)?;
        let Self { signs, trainable, params, progress, .. } = self;
        selection::cross_validate(backend, &folds, signs, trainable, params, *progress)
    }

    /// One machine for each class on whole rows, its C chosen first where there is a choice.
    fn solve(&self, rows: &dyn Rows) -> Result<Trained> {
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
    fn solve_at(&self, c: f64, backend: &mut dyn Backend, rows: &dyn Rows) -> Result<Trained> {
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

/// The labels of each class as ±1, and 0 where the image is left out.
fn signs(labels: &[Vec<Label>], classes: usize) -> Vec<Vec<f32>> {
    let sign = |label: Label| match label {
        Label::Yes => 1.0,
        Label::No => -1.0,
        Label::Ignored => 0.0,
    };
    (0..classes).map(|c| labels.iter().map(|of_image| sign(of_image[c])).collect()).collect()
}

fn both_sides(sign: &[f32]) -> bool {
    sign.contains(&1.0) && sign.contains(&-1.0)
}

fn check(rows: &dyn Rows, labels: &[Vec<Label>], classes: &[String]) -> Result<()> {
    let nothing = |problem: &str| Err(Error::Numerical { what: TRAINING, problem: problem.into() });
    if rows.is_empty() {
        return nothing("there are no images; check the training split");
    }
    if rows.dim() == 0 {
        return nothing("the encodings have no values; encode the images again");
    }
    if classes.is_empty() {
        return nothing("there are no classes; check the data set");
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
        return nothing("every label is `ignored` (0); nothing is left to learn from");
    }
    Ok(())
}
