//! Classifier, scores, evaluation, and prediction for single images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use ndarray::Array2;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::channels::{JointEncoder, Mixtures};
use super::fisher::{Encoded, Worker};
use super::models::header;
use super::outputs::Origin;
use super::remarks::{Noted, Noticed};
use super::source::{labels_for, labels_hash, number_label, one_class, require_two_classes};
use super::stage::{Inputs, Stamp, explain};
use super::{Index, Run};
use crate::artifacts::{Artifact, Tensor, check_seal, sealed, write, write_atomically};
use crate::config::{differences, effective_inputs};
use crate::dataset::{Item, Label, Split};
use crate::error::{Error, Result};
use crate::evaluation::{self, Report, Scored, Scores, html, svg, voc_results};
use crate::svm::{self, Model, Stop};
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

/// What the classifier says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The image file.
    pub path: PathBuf,
    /// Score and, where calibrated, probability per class; or why the image cannot be used.
    pub outcome: Result<Vec<ClassScore>, String>,
}

/// One class's verdict on one image.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ClassScore {
    /// The class.
    pub class: String,
    /// `w·φ + b`; positive means yes.
    pub score: f32,
    /// Platt's probability, where the class could be calibrated.
    pub probability: Option<f32>,
}

impl Run<'_> {
    /// Trains the classifier on an encoded split, which is encoded first when it is not.
    ///
    /// # Errors
    /// [`Error::Missing`] when the split is not encoded and the run has no data to encode;
    /// [`Error::Stale`] when a classifier of other settings or labels is there.
    pub fn train(&self, split: &str) -> Result<Stamp> {
        // Vectors that came from another data folder are used as they are.
        if let Some(source) = self.source()?
            && source.data.exists()
            && (self.index(split).is_err()
                || self.open_data(&source.data)?.splits().iter().any(|name| name == split))
        {
            let of_split = self.split(&self.open_data(&source.data)?, split)?;
            require_two_classes(&of_split)?;
            self.models_for(&source.data, &of_split)?;
            self.encode_split(&of_split)?;
        }
        self.train_svm(split)
    }

    /// Checks the models as [`check_models`](Self::check_models), and trains the classifier where there
    /// is none, on the split that they were fitted to. Where there is one, checks it against its split,
    /// as far as data and vectors are still there.
    pub(super) fn classifier(&self) -> Result<()> {
        self.check_models()?;
        let Some(source) = self.source()?.filter(|source| source.data.exists()) else {
            return Ok(());
        };
        let path = self.svm_path();
        let mut name = source.split;
        if path.exists() {
            if let Some(split) = Artifact::open(&path)?.header().report["split"].as_str() {
                split.clone_into(&mut name);
            }
            if !self.is_encoded(&name)? {
                return Ok(());
            }
        }
        let dataset = self.open_data(&source.data)?;
        // Vectors that came from another data folder are used as they are.
        if dataset.splits().contains(&name) {
            self.encode_split(&self.split(&dataset, &name)?)?;
        }
        self.train_svm(&name).map(|_| ())
    }

    /// Whether every channel has vectors of a split.
    fn is_encoded(&self, split: &str) -> Result<bool> {
        for part in self.parts() {
            if !part.run.split_dir(split)?.join("index.json").exists() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Refuses a classifier that was not trained on the vectors and labels of its split that lie in this
    /// run, as far as they do and can be read.
    fn require_own_split(&self, classifier: &Artifact) -> Result<()> {
        let header = classifier.header();
        let Some(split) = header.report["split"].as_str() else { return Ok(()) };
        if !self.is_encoded(split)? {
            return Ok(());
        }
        let Ok(index) = self.index(split) else { return Ok(()) };
        let vectors = &header.inputs["parents"][format!("fisher/{split}")];
        let labels = labels_hash(&index.classes, &index_labels(&index));
        if *vectors == index.fingerprint && header.inputs["data"] == labels {
            return Ok(());
        }
        let problem = format!(
            "trained on other vectors or labels than those of split `{split}` in this run: they are of \
             different runs, or one of them is just being made again; wait for that, put back the file \
             that belongs here, or train again: `fvtool train-svm --run RUN --split {split} --refit`"
        );
        Err(Error::artifact(classifier.path(), problem))
    }

    /// What an artifact's vectors were made with and what is in force now, where that differs: a
    /// classifier is of use only for vectors of the mixture and encoding that it was trained on.
    fn other_vectors(&self, artifact: &Artifact, mixtures: &Mixtures) -> Option<String> {
        let mut stored = artifact.header().inputs.clone();
        if let Some(settings) = stored["settings"].as_object_mut() {
            settings.retain(|key, _| key == "encoding" || key == "channels");
        }
        if let Some(parents) = stored["parents"].as_object_mut() {
            parents.retain(|path, _| path.ends_with("gmm.safetensors"));
        }
        let stored = json!({ "settings": stored["settings"], "parents": stored["parents"] });
        let mixtures: BTreeMap<&String, &String> = mixtures.iter().map(|(n, p)| (n, p)).collect();
        let now = json!({ "settings": self.vector_settings(), "parents": mixtures });
        let changes = differences(&effective_inputs(&stored), &effective_inputs(&now));
        (!changes.is_empty()).then(|| explain(&changes))
    }

    /// Refuses vectors of a split that were made with other settings than those in force.
    fn require_own_vectors(&self, split: &str) -> Result<()> {
        let Some(shard) = self.part_index(split)?.shards.into_iter().next() else { return Ok(()) };
        let artifact = Artifact::open(&self.split_dir(split)?.join(shard))?;
        match self.other_vectors(&artifact, &self.mixtures()?) {
            None => Ok(()),
            Some(changes) => {
                let problem = format!(
                    "made with other settings: {changes}; make the vectors again: `fvtool encode \
                     --data DATA --split {split} --run RUN --refit`"
                );
                Err(Error::artifact(artifact.path(), problem))
            }
        }
    }

    pub(super) fn train_svm(&self, split: &str) -> Result<Stamp> {
        let started = Instant::now();
        let index = self.index(split)?;
        let labels = index_labels(&index);
        if let (true, Some(only)) = (index.single_label, only_class(&index)) {
            return Err(one_class(split, only));
        }
        self.parts().iter().try_for_each(|part| part.run.require_own_vectors(split))?;
        let vectors = format!("fisher/{split}");
        let mixtures = self.mixtures()?;
        let mut parents = vec![(vectors.as_str(), index.fingerprint.as_str())];
        parents.extend(mixtures.iter().map(|(path, print)| (path.as_str(), print.as_str())));
        let inputs = Inputs::new(
            "svm",
            self.settings_of("svm"),
            &parents,
            labels_hash(&index.classes, &labels),
        );
        let path = self.svm_path();
        if let Some(stored) = self.up_to_date(&path, &inputs)? {
            self.remove_outputs_of_others(&stored.fingerprint)?;
            self.nothing_to_do("train-svm");
            return Ok(Stamp { path, fingerprint: stored.fingerprint, made: false });
        }
        self.note_contradictions(&index);
        let vectors = self.vectors(&index)?;
        let config = &self.config;
        let train = || {
            svm::train(&vectors, &labels, &index.classes, &config.svm, config.seed, self.progress)
        };
        let need = || Ok(self.need_of_svm(labels.len(), index.classes.len()));
        let model = self.memory.within(need, train)??;
        let report = json!({
            "split": split,
            "images": index.images.len(),
            "classes": model.classes,
            "reports": model.reports,
            "sigmoids": model.sigmoids,
            "selection": model.selection,
        });
        let weights = &model.weights;
        let tensors = [
            Tensor::f32(
                "weights",
                weights.shape(),
                weights.as_slice().expect("a model's arrays are row-major"),
            ),
            Tensor::f32("bias", [model.bias.len()], &model.bias),
        ];
        write(&path, &header("svm", &inputs, report), &tensors)?;
        self.remove_outputs_of_others(&inputs.fingerprint)?;
        self.done("train-svm", &summary(&model), started);
        Ok(Stamp { path, fingerprint: inputs.fingerprint, made: true })
    }

    /// The classes of the stored classifier, where there is one.
    pub(super) fn known_classes(&self) -> Result<Option<Vec<String>>> {
        let path = self.svm_path();
        if !path.exists() {
            return Ok(None);
        }
        let artifact = Artifact::open(&path)?;
        let classes = serde_json::from_value(artifact.header().report["classes"].clone());
        // Damage is reported by the stage that verifies the file.
        Ok(classes.ok())
    }

    /// The stored classifier and its fingerprint.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here, [`Error::Artifact`] when it is damaged or
    /// was trained on other vectors than those of the run's mixture and encoding.
    pub(super) fn load_svm(&self) -> Result<(Model, String)> {
        self.require_classifier()?;
        self.load_svm_for(&self.mixtures()?)
    }

    fn require_classifier(&self) -> Result<()> {
        let path = self.svm_path();
        if path.exists() {
            return Ok(());
        }
        Err(Error::Missing {
            what: format!("{} (the classifier)", path.display()),
            hint: "train it: `fvtool train-svm --run RUN --split SPLIT`".into(),
        })
    }

    /// As [`load_svm`](Self::load_svm), for vectors of these mixtures.
    fn load_svm_for(&self, mixtures: &Mixtures) -> Result<(Model, String)> {
        self.require_classifier()?;
        let path = self.svm_path();
        let artifact = self.open_stage(&path, "svm")?;
        if let Some(changes) = self.other_vectors(&artifact, mixtures) {
            let problem = format!(
                "trained on other vectors: {changes}; train it again: `fvtool train-svm --run RUN \
                 --split SPLIT --refit`"
            );
            return Err(Error::artifact(path, problem));
        }
        self.require_own_split(&artifact)?;
        Ok((model_of(&artifact)?, artifact.header().fingerprint.clone()))
    }

    /// Scores and evaluates an encoded split, and writes every result file.
    pub(super) fn evaluate_split(&self, split: &Split, encoded: Encoded) -> Result<Evaluated> {
        let started = Instant::now();
        let (model, svm_print) = self.load_svm()?;
        let index = self.index(&split.name)?;
        let (labels, unknown) = labels_for(&model.classes, split);
        for class in unknown {
            self.progress.note(&format!("class `{class}` is unknown to the classifier: left out"));
        }
        let training = self.training_images(split, &index, &model.classes, &labels)?;
        // A report that knows of no training image is not the one of a split that has some.
        let settings = match &training.copies {
            Some(copies) if !copies.is_empty() => json!({ "training_images": copies.len() }),
            _ => json!({}),
        };
        let inputs = Inputs::new(
            "eval",
            settings,
            &[("svm.safetensors", svm_print.as_str()), ("fisher", index.fingerprint.as_str())],
            labels_hash(&model.classes, &labels),
        );
        let name = names::file_name(&split.name);
        let path = self.dir.join("eval").join(names::with_ending(&name, ".json"));
        let page = self.dir.join(names::with_ending(&format!("report_{name}"), ".html"));
        let stage = format!("eval {}", split.name);
        let group = format!("eval/{}", split.name);
        let origin =
            Origin::new(&split.name, &svm_print, &index.fingerprint, &model.classes, &labels);
        self.remove_outdated_outputs(&origin, &group)?;
        let stored = self.stored_report(&path, &inputs.fingerprint);
        if let Some(report) = stored.filter(|_| self.has_outputs(&group, &origin)) {
            self.note_training_images(&training, &report);
            self.nothing_to_do(&stage);
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
        };
        let report = evaluation::evaluate(&scored)?;
        let copies = training.copies.clone().unwrap_or_default();
        let report = report.with_training_images(&scored, &training.split, copies)?;
        self.note_training_images(&training, &report);
        let mut files = self.write_results(&split.name, &ids, &model, scores, &report)?;
        let settings = self.config.to_toml();
        let stages = [("Classifier", summary(&model))];
        let stages: Vec<(&str, &str)> = stages.iter().map(|(n, t)| (*n, t.as_str())).collect();
        files.insert(page.clone(), html::report(&report, &settings, &stages));
        let outputs = self.outputs(&group, &origin, files.keys().chain([&path]))?;
        let mut hashes = BTreeMap::new();
        for (path, text) in &files {
            outputs.text(path, text)?;
            let below = path.strip_prefix(&self.dir).expect("results lie in the run folder");
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
        self.done(&stage, &format!("{}; {}", counted(ids.len(), "image"), page.display()), started);
        Ok(Evaluated { report, encoded, page, made: true })
    }

    /// Scores of an encoded split's images for the model's classes, in list order.
    pub(super) fn split_scores(&self, split: &Split, model: &Model) -> Result<Array2<f32>> {
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
        let results = self.dir.join("results");
        let name = names::file_name(split);
        let csv = self.dir.join("scores").join(names::with_ending(&name, ".csv"));
        // Their format has no place for such a name, which a photograph may well have.
        if let Some(id) = ids.iter().find(|id| !voc_results::can_hold(id)) {
            self.progress.note(&format!(
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
        let folder = self.dir.join("eval").join(names::with_ending(&name, ""));
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
            let text = files::below(&self.dir, name).and_then(|path| files::read_text(&path).ok());
            text.is_some_and(|text| blake3::hash(text.as_bytes()).to_hex().as_str() == hash)
        });
        (whole && figures.fingerprint == fingerprint).then_some(figures.report)
    }

    /// Scores image files with the run's classifier, in parallel; an image that cannot be used has
    /// its reason in its place.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here.
    pub fn predict(&self, images: &[PathBuf]) -> Result<Vec<Prediction>> {
        self.seen.forget();
        self.require_classifier()?;
        let encoder = self.encoder()?;
        let (model, _) = self.load_svm_for(encoder.mixtures())?;
        self.progress.begin("predict", images.len() as u64, "images");
        let items: Vec<Item> = images.iter().map(|path| Item::of_file(path)).collect();
        let need = || Ok(self.need_of_prediction(self.largest(&items)));
        let noted = Mutex::new(Noted::default());
        let predictions = self.memory.within(need, || {
            items
                .par_iter()
                .map_init(
                    || encoder.workers(),
                    |workers, item| {
                        self.interrupted()?;
                        let outcome = predict_one(item, &encoder, &model, workers);
                        self.progress.advance(1);
                        let outcome = outcome.map(|(scores, noticed)| {
                            noted.lock().expect("no thread panics while it adds").add(&noticed);
                            scores
                        });
                        let outcome = outcome.map_err(|e| e.to_string());
                        Ok(Prediction { path: item.path.clone(), outcome })
                    },
                )
                .collect()
        });
        self.progress.end();
        let noted = noted.into_inner().expect("no thread panics while it adds");
        let threshold = self.config.descriptors.contrast_threshold;
        for sentence in noted.sentences(images.len(), "", threshold) {
            self.progress.note(&sentence);
        }
        predictions?
    }
}

/// Scores of an image, and what was noticed of it.
fn predict_one(
    item: &Item,
    encoder: &JointEncoder,
    model: &Model,
    workers: &mut [Worker],
) -> Result<(Vec<ClassScore>, Noticed)> {
    let (vector, noticed) = encoder.encode(item, workers)?;
    let scores = model.score(&vector)?;
    let probabilities = model.probabilities(&scores);
    let scores = model
        .classes
        .iter()
        .zip(scores)
        .zip(probabilities)
        .map(|((class, score), probability)| ClassScore {
            class: class.clone(),
            score,
            probability,
        })
        .collect();
    Ok((scores, noticed))
}

/// Reads an `svm` artifact.
pub(super) fn model_of(artifact: &Artifact) -> Result<Model> {
    let report = &artifact.header().report;
    let damaged = |e: serde_json::Error| Error::artifact(artifact.path(), format!("damaged ({e})"));
    Model::new(
        serde_json::from_value(report["classes"].clone()).map_err(damaged)?,
        artifact.matrix("weights")?.to_owned(),
        artifact.f32("bias")?.1.to_vec(),
        serde_json::from_value(report["sigmoids"].clone()).map_err(damaged)?,
        serde_json::from_value(report["reports"].clone()).map_err(damaged)?,
        serde_json::from_value(report["selection"].clone()).map_err(damaged)?,
    )
}

/// What `eval/<split>.json` holds.
pub(super) struct Figures {
    pub(super) report: Report,
    fingerprint: String,
    /// Hashes of the result files by their names in the run.
    files: BTreeMap<String, String>,
}

/// Reads the figures at `path`; nothing when they were changed since they were written.
pub(super) fn figures_of(path: &Path, text: &str) -> Option<Figures> {
    check_seal(path, text).ok()?;
    let mut value: Value = serde_json::from_str(text).ok()?;
    let object = value.as_object_mut()?;
    object.remove("checksum")?;
    let fingerprint = object.remove("fingerprint")?.as_str()?.to_owned();
    let files = serde_json::from_value(object.remove("files")?).ok()?;
    Some(Figures { report: serde_json::from_value(value).ok()?, fingerprint, files })
}

/// How the training ended, in a line.
fn summary(model: &Model) -> String {
    let images = model.reports.first().map_or(0, |r| r.positives + r.negatives + r.ignored);
    let widest = model.reports.iter().map(|r| r.relative_gap).fold(0.0, f64::max);
    let unfinished = model.reports.iter().filter(|r| r.stop == Stop::EpochLimit).count();
    let mut text = format!(
        "{} on {}, largest relative duality gap {widest:.1e}",
        counted(model.classes.len(), "class"),
        counted(images, "image")
    );
    if let Some(selection) = &model.selection {
        text += &format!(", C = {}", selection.chosen);
        if !selection.weights.is_empty() {
            let weights: Vec<String> =
                selection.weights.iter().map(|w| format!("{w:.2}")).collect();
            text += &format!(" and weights {}", weights.join(", "));
        }
        text += " by cross-validation";
    }
    if unfinished > 0 {
        text += &format!("; {} stopped at the epoch limit", counted(unfinished, "class"));
    }
    text
}

/// The class of all images, where they are of one.
fn only_class(index: &Index) -> Option<&str> {
    let shown = |class: usize| index.images.iter().any(|image| image.labels.get(class) == Some(&1));
    let mut shown = (0..index.classes.len()).filter(|class| shown(*class));
    let only = shown.next().filter(|_| shown.next().is_none())?;
    Some(&index.classes[only])
}

fn index_labels(index: &Index) -> Vec<Vec<Label>> {
    index.images.iter().map(|i| i.labels.iter().map(|&n| number_label(n)).collect()).collect()
}

pub(super) fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |file| file.write_all(text.as_bytes()))
}
