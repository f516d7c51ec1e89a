//! How good the heatmaps of a rule are: Algorithm 1 on the true positives of every class.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::explainer::Explainer;
use super::files::write_json;
use super::selection::Selection;
use crate::dataset::Label;
use crate::error::Result;
use crate::evaluation::{ranking::Ranking, roc};
use crate::explanation::Rule;
use crate::explanation::drawings::{Curve, curves};
use crate::explanation::quality::{Draws, Params, Trace, descending};
use crate::names::with_ending;
use crate::pipeline::{Run, StageResult};
use crate::plain;

/// Orders in which descriptors are replaced.
pub const ORDERS: [&str; 3] = ["relevance descending", "random", "relevance ascending"];

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
    #[serde(serialize_with = "super::files::path_text")]
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
        let cases = explainer.cases_where(selection, |label, score, class| {
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
                (class, traces)
            };
            Ok(case.classes.iter().enumerate().map(of_class).collect::<Vec<_>>())
        })?;
        let mut of_class: Vec<Vec<[Trace; 3]>> = thresholds.iter().map(|_| Vec::new()).collect();
        for (class, traces) in traced.into_iter().flatten().flatten() {
            of_class[class].push(traces);
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
