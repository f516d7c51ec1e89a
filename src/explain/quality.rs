//! How good the heatmaps of a rule are: Algorithm 1 on the true positives of every class.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use ndarray::{Array2, s};

use super::explainer::{Examined, Explainer, Failure};
use super::files::write_json;
use super::selection::Selection;
use crate::dataset::{Item, Label};
use crate::error::{Error, Result};
use crate::evaluation::{ranking::Ranking, roc};
use crate::explanation::context::context;
use crate::explanation::drawings::{Curve, curves};
use crate::explanation::quality::{Draws, Params, Trace, descending};
use crate::explanation::sanity::{points_inside, rank_correlation};
use crate::explanation::{Classifier, Relevance, Rule};
use crate::names::with_ending;
use crate::pipeline::{Run, StageResult};
use crate::plain;
use crate::svm;

/// Orders in which descriptors are replaced.
pub const ORDERS: [&str; 3] = ["relevance descending", "random", "relevance ascending"];

/// Models without meaning that relevance is compared with.
pub const SANITY: [&str; 3] = ["random classifier", "permuted labels", "random mixture"];

/// Quality of a rule's heatmaps on a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityReport {
    /// The split.
    pub split: String,
    /// The rule.
    pub rule: String,
    /// Descriptors replaced between two scores.
    pub batch: usize,
    /// Repeats.
    pub repeats: usize,
    /// One entry per class with a true positive.
    pub classes: Vec<ClassQuality>,
    /// The file of all figures.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub path: PathBuf,
}

/// Quality for one class, means over its images, in the order of [`ORDERS`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassQuality {
    /// The class.
    pub class: String,
    /// The equal-error-rate threshold of its scores.
    pub threshold: f64,
    /// True positives at the threshold that were tested.
    pub images: usize,
    /// `A`.
    pub area: [f64; 3],
    /// `V`.
    pub changed: [f64; 3],
    /// Mean scores after each batch.
    pub scores: [Vec<f64>; 3],
    /// Rank correlation of the descriptors' relevance with that of models without meaning, in the order of
    /// [`SANITY`]: towards 0 is right.
    pub sanity: [Option<f64>; 3],
    /// Share of the images with boxes whose highest pixel lies in one.
    pub pointing: Option<f64>,
    /// Mean share of the positive relevance in the boxes.
    pub inside: Option<f64>,
}

/// What is tested of one image and class beside its traces.
#[derive(Default)]
struct Sane {
    correlations: [Option<f64>; 3],
    pointing: Option<bool>,
    inside: Option<f64>,
}

impl Run<'_> {
    /// Tests the heatmaps of `rule` on true positives at each class's equal-error-rate threshold (in
    /// place of `selection.only`). Writes `quality_<rule>.json` and a drawing per class.
    ///
    /// # Errors
    /// As [`Run::explain`].
    pub fn explain_quality(
        &self,
        data: &Path,
        split: &str,
        selection: &Selection,
        rule: Rule,
        params: &Params,
    ) -> Result<QualityReport> {
        let started = Instant::now();
        let split = self.split_to_explain(data, split, &selection.classes, &selection.images)?;
        let explainer = self.explainer(split, rule.into())?;
        let thresholds = explainer.thresholds()?;
        let meaningless = self.meaningless(&explainer)?;
        let cases = explainer.cases_where(selection, |label, score, [_, class]| {
            let recognised = thresholds[class].is_some_and(|t| f64::from(score) >= t);
            label == Label::Yes && recognised
        })?;
        let traced = self.for_each_case(&explainer, "quality", &cases, |case| {
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes)?;
            let n = examined.frames.len();
            let count = n.min(params.most);
            let stream = |what: &str, repeat: usize| {
                self.config().seed.stream(what, (case.item * 1000 + repeat) as u64)
            };
            let draws: Vec<Draws<'_>> = (0..params.repeats)
                .map(|repeat| {
                    explainer.draws(&examined, count, &mut stream("replacements", repeat))
                })
                .collect::<Result<_>>()?;
            let perturbed = explainer.perturbed(&examined);
            let mut random: Vec<u32> = (0..n as u32).collect();
            stream("order", 0).shuffle(&mut random);
            random.truncate(count);
            let of_class = |(at, &class): (usize, &usize)| {
                let mut down = descending(&relevance.of_class(at));
                let mut up: Vec<u32> = down.iter().rev().copied().collect();
                down.truncate(count);
                up.truncate(count);
                let threshold = thresholds[class].unwrap_or(0.0);
                let (classifier, orders) = (explainer.classifier(), [&down[..], &random, &up]);
                let traces =
                    perturbed.traces(classifier, class, threshold, orders, &draws, params.batch);
                let real = (relevance.of_class(at), [at, class]);
                let sane = sane(
                    &explainer,
                    explainer.item(case),
                    &examined,
                    &relevance,
                    &meaningless,
                    real,
                )?;
                Ok((class, traces, sane))
            };
            case.classes.iter().enumerate().map(of_class).collect::<Result<Vec<_>, Failure>>()
        })?;
        let mut of_class: Vec<Vec<[Trace; 3]>> = thresholds.iter().map(|_| Vec::new()).collect();
        let mut sane_of_class: Vec<Vec<Sane>> = thresholds.iter().map(|_| Vec::new()).collect();
        for (class, traces, sane) in traced.into_iter().flatten().flatten() {
            of_class[class].push(traces);
            sane_of_class[class].push(sane);
        }
        let name = format!("quality_{}", rule.to_string().replace(' ', "-"));
        let path = explainer.folder.join(format!("{name}.json"));
        let drawing = |class: usize| {
            explainer.folder.join(&name).join(with_ending(&explainer.class_files[class], ".svg"))
        };
        let tested = of_class.iter().enumerate().filter(|(_, traces)| !traces.is_empty());
        let mut planned: Vec<PathBuf> = tested.map(|(class, _)| drawing(class)).collect();
        planned.push(path.clone());
        let outputs = self.explanations(&explainer, &name, &planned)?;
        let mut classes = Vec::new();
        for (class, traces) in of_class.iter().enumerate().filter(|(_, t)| !t.is_empty()) {
            let quality = ClassQuality {
                class: explainer.model.classes[class].clone(),
                threshold: thresholds[class].unwrap_or(0.0),
                images: traces.len(),
                area: [0, 1, 2].map(|o| mean(traces.iter().map(|t| t[o].area))),
                changed: [0, 1, 2].map(|o| mean(traces.iter().map(|t| t[o].changed))),
                scores: [0, 1, 2]
                    .map(|o| mean_curve(traces.iter().map(|t| t[o].scores.as_slice()))),
                sanity: [0, 1, 2]
                    .map(|o| mean_of(sane_of_class[class].iter().map(|s| s.correlations[o]))),
                pointing: mean_of(
                    sane_of_class[class]
                        .iter()
                        .map(|sane| sane.pointing.map(|points| if points { 1.0 } else { 0.0 })),
                ),
                inside: mean_of(sane_of_class[class].iter().map(|sane| sane.inside)),
            };
            outputs.text(&drawing(class), &draw(&quality, rule, params.batch))?;
            classes.push(quality);
        }
        let report = QualityReport {
            split: explainer.split.name.clone(),
            rule: rule.to_string(),
            batch: params.batch,
            repeats: params.repeats,
            classes,
            path: path.clone(),
        };
        write_json(&outputs, &path, &report)?;
        outputs.end()?;
        let pairs: usize = report.classes.iter().map(|c| c.images).sum();
        let text = format!("{pairs} pairs of image and class, rule {rule}; {}", path.display());
        self.home.work.finish(StageResult::made("quality", Vec::new(), text, started));
        Ok(report)
    }
}

/// Weights of every class by models without meaning, in the order of [`SANITY`]; none of the second where the
/// vectors of the training split are gone.
struct Meaningless {
    weights: [Option<Array2<f32>>; 3],
}

impl Run<'_> {
    fn meaningless(&self, explainer: &Explainer) -> Result<Meaningless> {
        let seed = self.config().seed;
        let real = &explainer.model.weights;
        let mut shuffled = real.clone();
        for (class, mut row) in shuffled.rows_mut().into_iter().enumerate() {
            let mut values = row.to_vec();
            seed.stream("random classifier", class as u64).shuffle(&mut values);
            row.assign(&ndarray::ArrayView1::from(&values));
        }
        let mut moved = Array2::zeros(real.dim());
        let mut stream = seed.stream("random mixture", 0);
        for (from, to) in explainer.components_moved(&mut stream) {
            moved.slice_mut(s![.., to]).assign(&real.slice(s![.., from]));
        }
        let permuted = match self.trained_on() {
            Ok(trained) => {
                let mut labels = trained.labels;
                seed.stream("permuted labels", 0).shuffle(&mut labels);
                let calibration = svm::Calibration::None;
                let params = &self.config().svm;
                let c = trained.model.reports.iter().map(|r| r.c).find(|&c| c > 0.0);
                let params = svm::Params {
                    c: c.unwrap_or(params.c),
                    c_grid: Vec::new(),
                    calibration,
                    fusion: svm::Fusion::Weights,
                    ..params.of_rows()
                };
                let (classes, progress) = (&trained.model.classes, self.home.work.progress);
                let vectors = &trained.vectors;
                Some(svm::train(vectors, &labels, classes, &params, seed, progress)?.weights)
            }
            Err(Error::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Meaningless { weights: [Some(shuffled), permuted, Some(moved)] })
    }
}

/// How an image's relevance for a class stands beside that of models without meaning, and to its boxes. `real` is
/// the relevance of the descriptors, and the place of the class in `relevance` and its number.
fn sane(
    explainer: &Explainer,
    item: &Item,
    examined: &Examined<'_>,
    relevance: &Relevance,
    meaningless: &Meaningless,
    (real, [at, class]): (Vec<f64>, [usize; 2]),
) -> Result<Sane, Failure> {
    let mut sane = Sane::default();
    for (correlation, weights) in sane.correlations.iter_mut().zip(&meaningless.weights) {
        let Some(weights) = weights else { continue };
        let of_class = weights.slice(s![class..=class, ..]);
        let bias = [explainer.model.bias[class]];
        let classifier = Classifier { weights: of_class, bias: &bias };
        let other = explainer.relevance_by(examined, classifier)?;
        *correlation = Some(rank_correlation(&real, &other.of_class(0)));
    }
    let boxes = explainer.boxes(item, class, examined)?;
    if !boxes.is_empty() {
        let map = explainer.pixels(examined, relevance, [at, class])?.map;
        sane.pointing = points_inside(&map, &boxes);
        sane.inside = context(&map, &boxes).and_then(|context| context.positive_inside);
    }
    Ok(sane)
}

impl Explainer {
    /// The equal-error-rate threshold of every class that has positives and negatives.
    fn thresholds(&self) -> Result<Vec<Option<f64>>> {
        (0..self.model.classes.len())
            .map(|class| {
                let labels: Vec<Label> = self.labels.iter().map(|row| row[class]).collect();
                let ranking = Ranking::new(&self.scores.column(class).to_vec(), &labels)?;
                Ok(roc::equal_error(&ranking).map(|equal| f64::from(equal.threshold)))
            })
            .collect()
    }
}

/// The mean of what is there.
fn mean_of(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| mean(values.into_iter()))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of curves point by point; a curve of a smaller image ends earlier and counts as far as it
/// goes.
fn mean_curve<'a>(curves: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
    let (mut sums, mut counts): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for curve in curves {
        if sums.len() < curve.len() {
            sums.resize(curve.len(), 0.0);
            counts.resize(curve.len(), 0.0);
        }
        for (i, value) in curve.iter().enumerate() {
            sums[i] += value;
            counts[i] += 1.0;
        }
    }
    sums.iter().zip(counts).map(|(sum, count)| sum / count).collect()
}

fn draw(quality: &ClassQuality, rule: Rule, batch: usize) -> String {
    let title = format!("{}: score while descriptors are replaced", plain::line(&quality.class));
    let note = format!(
        "rule {rule}; {} images; A {:.3}, random {:.3}, ascending {:.3}",
        quality.images, quality.area[0], quality.area[1], quality.area[2]
    );
    let drawn: Vec<Curve> = ORDERS
        .iter()
        .zip(&quality.scores)
        .map(|(name, scores)| Curve { name: (*name).to_owned(), values: scores.clone() })
        .collect();
    curves(&title, &note, &format!("batches of {batch} descriptors"), "score", &drawn)
}
