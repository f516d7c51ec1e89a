//! Scores and figures of a split, with every file that people read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;
use serde_json::{Value, json};

use super::channel::Encoded;
use super::classifier::summary;
use super::leak::{note_training_images, training_images};
use super::result::StageResult;
use super::run::Run;
use crate::artifacts::sealed;
use crate::dataset::{Split, labels_for};
use crate::error::Result;
use crate::evaluation::bootstrap::{self, Intervals, Resampling, Units};
use crate::evaluation::decision::record;
use crate::evaluation::{self, Report, Scored, Scores, html, svg, voc_results};
use crate::store::Origin;
use crate::store::{Inputs, figures_of, labels_hash};
use crate::svm::Model;
use crate::words::counted;
use crate::{files, names, plain};

/// An evaluated split.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The figures.
    pub report: Report,
    /// Its Fisher vectors.
    pub encoded: Encoded,
    /// The self-contained page with curves and tables.
    pub page: PathBuf,
    /// False when everything was there already.
    pub made: bool,
}

impl Run<'_> {
    /// Scores and evaluates an encoded split, and writes every result file.
    pub(crate) fn evaluate_split(&self, split: &Split, encoded: Encoded) -> Result<Evaluated> {
        let started = Instant::now();
        let (paths, work) = (&self.home.paths, &self.home.work);
        let progress = work.progress;
        let (model, svm_print) = self.load_svm()?;
        let index = self.index(&split.name)?;
        let (labels, unknown) = labels_for(&model.classes, split);
        for class in unknown {
            progress.note(&format!("class `{class}` is unknown to the classifier: left out"));
        }
        let training = training_images(self, split, &index, &model.classes, &labels)?;
        // A report that knows of no training image is not the one of a split that has some.
        let mut settings = json!({ "evaluation": self.config().evaluation });
        if let Some(copies) = training.copies.as_ref().filter(|copies| !copies.is_empty()) {
            settings["training_images"] = json!(copies.len());
        }
        let inputs = Inputs::new(
            "eval",
            settings,
            &[("svm.safetensors", svm_print.as_str()), ("fisher", index.fingerprint.as_str())],
            labels_hash(&model.classes, &labels),
        );
        let (path, page) = (paths.figures(&split.name), paths.page(&split.name));
        let group = format!("eval/{}", split.name);
        let origin =
            Origin::new(&split.name, &svm_print, &index.fingerprint, &model.classes, &labels);
        self.home.results().remove_outdated_outputs(&origin, &group)?;
        let stored = self.stored_report(&path, &inputs.fingerprint);
        if let Some(report) = stored.filter(|_| self.home.results().has_outputs(&group, &origin)) {
            note_training_images(progress, &training, &report);
            work.finish(StageResult::nothing_to_do("eval", Vec::new()).of_split(&split.name));
            return Ok(Evaluated { report, encoded, page, made: false });
        }

        let scores = self.split_scores(split, &model)?;
        let ids: Vec<String> = split.items.iter().map(|item| item.id.clone()).collect();
        let scored = Scored {
            split: &split.name,
            ids: &ids,
            classes: &model.classes,
            labels: &labels,
            scores: scores.view(),
            single_label: split.single_label,
            decision: self.config().evaluation.decision(split.single_label),
        };
        let mut report = evaluation::evaluate(&scored)?;
        report.intervals = self.intervals(split, &scored)?;
        let copies = training.copies.clone().unwrap_or_default();
        let report = report.with_training_images(&scored, &training.split, copies)?;
        note_training_images(progress, &training, &report);
        let table = predictions(split, &scored);
        let mut files = self.write_results(&split.name, &ids, &model, scores, &report)?;
        files.insert(paths.predictions(&split.name), table);
        let settings = self.config().to_toml();
        let stages = [("Classifier", summary(&model))];
        let stages: Vec<(&str, &str)> = stages.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let curves = self.learning_curves()?;
        files.insert(page.clone(), html::report(&report, &settings, &stages, &curves));
        let outputs = self.home.results().outputs(&group, &origin, files.keys().chain([&path]))?;
        let mut hashes = BTreeMap::new();
        for (path, text) in &files {
            outputs.text(path, text)?;
            let below = path.strip_prefix(self.dir()).expect("results lie in the run folder");
            let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
            hashes.insert(below.to_string_lossy().into_owned(), hash);
        }
        // By way of the text, so that the file has the digits that `--json` prints.
        let text = serde_json::to_string(&report).expect("a report is JSON");
        let mut stored: Value = serde_json::from_str(&text).expect("JSON was just written");
        stored["fingerprint"] = json!(inputs.fingerprint);
        stored["files"] = json!(hashes);
        outputs.text(&path, &sealed(&stored))?;
        outputs.end()?;
        let text = format!("{}; {}", counted(ids.len(), "image"), page.display());
        let result = StageResult::made("eval", Vec::new(), text, started);
        work.finish(result.of_split(&split.name).with_artifacts(vec![path, page.clone()]));
        Ok(Evaluated { report, encoded, page, made: true })
    }

    /// The intervals of all measures; none where no resample is asked for.
    fn intervals(&self, split: &Split, scored: &Scored<'_>) -> Result<Option<Intervals>> {
        let resamples = self.config().evaluation.resamples;
        if resamples == 0 || split.items.is_empty() {
            return Ok(None);
        }
        let units = Units::groups(split.items.iter().map(|item| item.group.as_deref()));
        let resampling = Resampling { units: &units, resamples, seed: self.config().seed };
        bootstrap::intervals(scored, &resampling, self.home.work.progress).map(Some)
    }

    /// Scores of an encoded split's images for the model's classes, in list order.
    pub(crate) fn split_scores(&self, split: &Split, model: &Model) -> Result<Array2<f32>> {
        let index = self.index(&split.name)?;
        let scored = model.scores(&self.vectors(&index)?)?;
        // An image without a vector has no score: −∞, and it is in no measure.
        let shape = (split.items.len(), model.classes.len());
        let mut scores = Array2::from_elem(shape, f32::NEG_INFINITY);
        let rows: BTreeMap<&str, usize> =
            index.images.iter().enumerate().map(|(row, image)| (image.id.as_str(), row)).collect();
        for (i, item) in split.items.iter().enumerate() {
            if let Some(&row) = rows.get(item.id.as_str()) {
                scores.row_mut(i).assign(&scored.row(row));
            }
        }
        Ok(scores)
    }

    /// The texts of scores as CSV, VOC result files, and a precision-recall curve per class.
    fn write_results(
        &self,
        split: &str,
        ids: &[String],
        model: &Model,
        scores: Array2<f32>,
        report: &Report,
    ) -> Result<BTreeMap<PathBuf, String>> {
        let mut files = BTreeMap::new();
        let paths = &self.home.paths;
        let (results, csv) = (paths.results(), paths.scores(split));
        // Their format has no place for such a name, which a photograph may well have.
        if let Some(id) = ids.iter().find(|id| !voc_results::can_hold(id)) {
            self.home.work.progress.note(&format!(
                "no VOC result files in {}: `{}` has white space or control characters in its name; \
                 {} has the scores",
                plain::path(&results),
                plain::line(id),
                plain::path(&csv)
            ));
        } else {
            let names = voc_results::file_names(split, &model.classes);
            for (name, column) in names.into_iter().zip(scores.columns()) {
                files.insert(results.join(name), voc_results::write(ids, &column.to_vec())?);
            }
        }
        let table = Scores { ids: ids.to_vec(), classes: model.classes.clone(), values: scores };
        files.insert(csv, table.to_csv());
        let folder = paths.drawings(split);
        for (class, name) in report.classes.iter().zip(names::file_names(&model.classes)) {
            let name = names::with_ending(&format!("pr_{name}"), ".svg");
            files.insert(folder.join(name), svg::precision_recall(class));
        }
        if let Some(confusion) = &report.confusion {
            files.insert(folder.join("confusion.svg"), svg::confusion(confusion));
        }
        Ok(files)
    }

    /// The stored report, when it is of `fingerprint` and it and all result files are as they were
    /// written.
    fn stored_report(&self, path: &Path, fingerprint: &str) -> Option<Report> {
        let text = files::read_text(path).ok()?;
        let figures = figures_of(path, &text)?;
        let whole = figures.files.iter().all(|(name, hash)| {
            let text = files::below(self.dir(), name).and_then(|path| files::read_text(&path).ok());
            text.is_some_and(|text| blake3::hash(text.as_bytes()).to_hex().as_str() == hash)
        });
        (whole && figures.fingerprint == fingerprint).then_some(figures.report)
    }
}

/// A table of all images with a score: path below the data folder, true and predicted classes, then the score of
/// every class.
fn predictions(split: &Split, scored: &Scored<'_>) -> String {
    let mut text = String::new();
    let (classes, labels) = (scored.classes, scored.labels);
    let header = ["path", "true", "predicted"].into_iter();
    plain::push_record(&mut text, header.chain(classes.iter().map(String::as_str)));
    for ((item, labels), scores) in split.items.iter().zip(labels).zip(scored.scores.rows()) {
        let Some(said) = record(classes, labels, scores, scored.decision) else { continue };
        let path = item.path.strip_prefix(&split.root).unwrap_or(&item.path).to_string_lossy();
        let fields: Vec<String> = [path.into_owned()].into_iter().chain(said).collect();
        plain::push_record(&mut text, fields.iter().map(String::as_str));
    }
    text
}
