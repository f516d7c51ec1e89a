//! Explanations of a split's images: what is explained, and the data flow of one image.
//!
//! ```text
//! scores of the split ─ selection ─ for each image: decode → descriptors → projection
//!     → contributions → sums → vector → R³ → R² (all its classes at once) → R¹ per class
//! ```
//!
//! Images are explained in parallel, each on one thread. Results lie in `explain/<split>/`; they are
//! answers, made anew by each command in place of what it wrote before, and part of no fingerprint.

mod audit;
mod boxes;
mod context;
mod heatmaps;
mod quality;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ::image::RgbImage;
use ndarray::{Array2, Axis, s};
use rayon::prelude::*;
use serde::Serialize;

use self::boxes::Remarks;
use super::Run;
use super::fisher::{self, ImageEncoder, Worker};
use super::memory::{Largest, Need};
use super::outputs::{Origin, Outputs};
use super::source::labels_for;
use super::storage::store;
use crate::artifacts::Shards;
use crate::dataset::{Item, Label, Object, Split};
use crate::descriptors::Frame;
use crate::error::{Error, Result};
use crate::explanation::pixels::{Map, spread};
use crate::explanation::quality::{Draws, Perturbed, Store};
use crate::explanation::{Classifier, Relevance, Rule, relevance};
use crate::gmm::Gmm;
use crate::linalg::{Joined, Pool, Rows};
use crate::names::{self, with_ending};
use crate::position::Position;
use crate::random::Stream;
use crate::svm::Model;
use crate::words::{did_you_mean, listed};

pub use audit::{Audit, AuditOptions, NotJudged};
pub use context::{ClassContext, ContextReport};
pub use heatmaps::{Drawing, Heatmap};
pub use quality::{ClassQuality, ORDERS, QualityReport};

/// Which images and classes are explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Classes by name; all when empty.
    pub classes: Vec<String>,
    /// Images by id; all when empty.
    pub images: Vec<String>,
    /// Which pairs of image and class.
    pub only: Only,
    /// The highest scored of each class, so many; 0 takes all.
    pub top: usize,
}

/// Pairs of image and class by label and score (positive: recognised).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// The image shows the class.
    Present,
    /// It shows the class and is recognised.
    TruePositives,
    /// It does not show the class, yet is recognised.
    FalsePositives,
    /// It shows the class and is not recognised.
    FalseNegatives,
    /// Every pair.
    All,
}

impl Only {
    fn takes(self, label: Label, score: f32) -> bool {
        match self {
            Self::Present => label == Label::Yes,
            Self::TruePositives => label == Label::Yes && score > 0.0,
            Self::FalsePositives => label == Label::No && score > 0.0,
            Self::FalseNegatives => label == Label::Yes && score <= 0.0,
            Self::All => true,
        }
    }
}

/// All that explains a split.
struct Explainer {
    split: Split,
    parts: Vec<Part>,
    model: Model,
    /// For the model's classes.
    labels: Vec<Vec<Label>>,
    /// `images × classes`, −∞ without a vector.
    scores: Array2<f32>,
    /// The stored vectors, with the factors of their parts, and the row of every image that has one.
    vectors: Joined<Shards>,
    rows: BTreeMap<String, usize>,
    folder: PathBuf,
    origin: Origin,
    /// The classes' names and the images' ids as parts of file names.
    class_files: Vec<String>,
    item_files: Vec<String>,
    workers: Pool<Worker>,
    need: Need,
    remarks: Remarks,
}

/// What makes one part of the joint vector.
struct Part {
    encoder: ImageEncoder,
    gmm: Gmm,
    /// What its vector is multiplied by in the joint one.
    factor: f32,
    /// Its place in the joint vector.
    columns: Range<usize>,
}

/// One image taken apart.
struct Examined<'e> {
    /// Width and height as encoded.
    size: [usize; 2],
    /// The boxes of the item's objects in pixels of the image as encoded, or why they cannot be placed.
    bounds: Result<Vec<[f32; 4]>, String>,
    /// Frames of the descriptors of all parts, one part after the other, in the image as it is (those
    /// from its mirror image too).
    frames: Vec<Frame>,
    /// Their positions, as the encoders saw them.
    positions: Vec<Position>,
    parts: Vec<fisher::Examined<'e>>,
    /// The joint vector that the classifier scores.
    vector: Vec<f32>,
}

/// One image and the classes that it is explained for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    item: usize,
    classes: Vec<usize>,
}

impl Run<'_> {
    /// Opens a split and looks for the classes and images that are to be explained, before any work.
    fn split_to_explain(
        &self,
        data: &Path,
        split: &str,
        classes: &[String],
        images: &[String],
    ) -> Result<Split> {
        let split = self.split(&self.open_data(data)?, split)?;
        // Without a classifier yet, it is going to know those of the data.
        let known = self.known_classes()?.unwrap_or_else(|| split.classes.clone());
        classes.iter().try_for_each(|name| class_index(&known, name).map(|_| ()))?;
        for id in images {
            let ids = || split.items.iter().map(|item| item.id.as_str());
            if !ids().any(|known| known == id) {
                let first = ids().next().unwrap_or_default();
                let near = did_you_mean(id, ids());
                let problem =
                    format!("not in split `{}`; its first is `{first}`{near}", split.name);
                return Err(Error::data(format!("image `{id}`"), problem));
            }
        }
        Ok(split)
    }

    fn explainer(&self, split: Split) -> Result<Explainer> {
        self.classifier()?;
        self.encode_split(&split)?;
        let (model, svm_print) = self.load_svm()?;
        let scores = self.split_scores(&split, &model)?;
        let index = self.index(&split.name)?;
        let vectors = self.vectors(&index)?;
        let (labels, _) = labels_for(&model.classes, &split);
        let print = &index.fingerprint;
        let origin = Origin::new(&split.name, &svm_print, print, &model.classes, &labels);
        let encoded = index.images.into_iter().map(|image| image.id);
        let rows = encoded.zip(0..).collect();
        let mut parts: Vec<Part> = Vec::new();
        for part in self.parts() {
            let (encoder, gmm) = (part.run.image_encoder()?, part.run.load_gmm()?.0);
            let start = parts.last().map_or(0, |before| before.columns.end);
            let columns = start..start + encoder.dim();
            parts.push(Part { encoder, gmm, factor: part.factor, columns });
        }
        let folder = self.dir.join("explain").join(with_ending(&names::file_name(&split.name), ""));
        let ids: Vec<String> = split.items.iter().map(|item| item.id.clone()).collect();
        let workers = Pool::default();
        let largest =
            if self.memory.is_limited() { self.largest(&split.items) } else { Largest::default() };
        let need = self.need_of_explanation(largest, model.classes.len());
        Ok(Explainer {
            class_files: names::file_names(&model.classes),
            item_files: names::file_names(&ids),
            split,
            parts,
            model,
            labels,
            scores,
            vectors,
            rows,
            folder,
            origin,
            workers,
            need,
            remarks: Remarks::default(),
        })
    }

    /// How many times an explanation of this open run left an image out, since it could not be read any
    /// more.
    pub fn left_out_of_explanations(&self) -> usize {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Begins the files of a kind of explanation, in place of those of an earlier call.
    fn explanations<'p>(
        &self,
        explainer: &Explainer,
        kind: &str,
        planned: impl IntoIterator<Item = &'p PathBuf>,
    ) -> Result<Outputs<'_>> {
        let group = format!("explain/{}/{kind}", explainer.split.name);
        self.remove_outdated_outputs(&explainer.origin, &group)?;
        self.outputs(&group, &explainer.origin, planned)
    }

    /// Runs `work` for every case in parallel, in order; an image that cannot be read is noted and gives
    /// `None`. Whatever else goes wrong, as writing, ends it all.
    fn for_each_case<T: Send>(
        &self,
        explainer: &Explainer,
        task: &str,
        cases: &[Case],
        work: impl Fn(&Case) -> Result<T, Failure> + Sync,
    ) -> Result<Vec<Option<T>>> {
        self.progress.begin(task, cases.len() as u64, "images");
        let each = |case: &Case| {
            self.interrupted()?;
            let result = work(case);
            self.progress.advance(1);
            match result {
                Ok(value) => Ok(Some(value)),
                Err(Failure::Unreadable(error)) if !self.strict => {
                    self.skip(&explainer.item(case).id, &error);
                    self.left_out.fetch_add(1, Ordering::Relaxed);
                    Ok(None)
                }
                Err(Failure::Unreadable(error) | Failure::Other(error)) => Err(error),
            }
        };
        let results = self.memory.within(
            || Ok(explainer.need.clone()),
            || -> Result<Vec<Option<T>>> { cases.par_iter().with_max_len(1).map(each).collect() },
        );
        self.progress.end();
        results?
    }
}

/// Why there is no explanation of an image.
enum Failure {
    /// The image, or a file of its descriptors, cannot be read (any more).
    Unreadable(Error),
    /// Anything else: no fault of the image.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// A failure of reading an image.
    fn of_reading(error: Error) -> Self {
        match error {
            Error::Image { .. } | Error::Io { .. } => Self::Unreadable(error),
            other => Self::Other(other),
        }
    }
}

impl Explainer {
    /// The selected pairs by image, in list order.
    fn cases(&self, selection: &Selection) -> Result<Vec<Case>> {
        self.cases_where(selection, |label, score, _| selection.only.takes(label, score))
    }

    /// As [`cases`](Self::cases), of the pairs that `takes` says by label, score and class.
    fn cases_where(
        &self,
        selection: &Selection,
        takes: impl Fn(Label, f32, usize) -> bool,
    ) -> Result<Vec<Case>> {
        let classes = self.class_indices(&selection.classes)?;
        let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for class in classes {
            let mut items: Vec<usize> = (0..self.split.items.len())
                .filter(|&i| {
                    let score = self.scores[[i, class]];
                    score.is_finite()
                        && takes(self.labels[i][class], score, class)
                        && (selection.images.is_empty()
                            || selection.images.contains(&self.split.items[i].id))
                })
                .collect();
            items.sort_by(|&a, &b| {
                self.scores[[b, class]].total_cmp(&self.scores[[a, class]]).then(a.cmp(&b))
            });
            if selection.top > 0 {
                items.truncate(selection.top);
            }
            items.into_iter().for_each(|item| found.entry(item).or_default().push(class));
        }
        Ok(found.into_iter().map(|(item, classes)| Case { item, classes }).collect())
    }

    fn class_indices(&self, names: &[String]) -> Result<Vec<usize>> {
        if names.is_empty() {
            return Ok((0..self.model.classes.len()).collect());
        }
        names.iter().map(|name| class_index(&self.model.classes, name)).collect()
    }

    fn item(&self, case: &Case) -> &Item {
        &self.split.items[case.item]
    }

    fn examine(&self, case: &Case) -> Result<Examined<'_>, Failure> {
        let item = self.item(case);
        let row = *self.rows.get(&item.id).expect("only images with a score are explained");
        let mut examined = Examined {
            vector: self.vectors.row(row, &mut Vec::new()).to_vec(),
            size: [0; 2],
            bounds: Ok(Vec::new()),
            frames: Vec::new(),
            positions: Vec::new(),
            parts: Vec::new(),
        };
        let Examined { size, bounds, frames, positions, parts, .. } = &mut examined;
        let mut upright = [0; 2];
        for part in &self.parts {
            let (picture, in_file, _) = part.encoder.load(item).map_err(Failure::of_reading)?;
            (*size, upright) = ([picture.width, picture.height], in_file);
            let before = frames.len();
            parts.push(
                self.workers
                    .with(|worker| part.encoder.examine(picture, worker, frames, positions))?,
            );
            if frames.len() == before {
                return Err(Failure::of_reading(part.encoder.without_descriptors(item, *size)));
            }
        }
        *bounds = self.remarks.place(item, upright, *size);
        Ok(examined)
    }

    /// Relevance of an image for `classes`, in their order: that of its parts, side by side.
    fn relevance(
        &self,
        examined: &Examined<'_>,
        classes: &[usize],
        rule: Rule,
    ) -> Result<Relevance> {
        let weights = self.model.weights.select(Axis(0), classes);
        let mut parts = Vec::new();
        for (part, of_part) in self.parts.iter().zip(&examined.parts) {
            let weights = weights.slice(s![.., part.columns.clone()]);
            let vector = &examined.vector[part.columns.clone()];
            // Every dimension of the joint vector has the same share of the bias.
            let share = part.columns.len() as f64 / self.model.weights.ncols() as f64;
            let bias: Vec<f32> = classes
                .iter()
                .map(|&class| (f64::from(self.model.bias[class]) * share) as f32)
                .collect();
            let classifier = Classifier { weights, bias: &bias };
            let fisher::Examined { contributions, sums } = of_part;
            parts.push(relevance(contributions, sums, vector, classifier, rule)?);
        }
        Ok(Relevance::joined(parts))
    }

    /// `R¹` of one of the classes that `relevance` is of.
    fn map(&self, examined: &Examined<'_>, relevance: &Relevance, class: usize) -> Map {
        let [width, height] = examined.size;
        spread(&examined.frames, &relevance.of_class(class), width, height)
    }

    /// Boxes of a class in pixels of the image as encoded.
    ///
    /// # Errors
    /// When the class has boxes that cannot be placed: without them what lies outside of them is not
    /// known either, and the image is left out.
    fn boxes(
        &self,
        item: &Item,
        class: usize,
        examined: &Examined<'_>,
    ) -> Result<Vec<[f32; 4]>, Failure> {
        let name = &self.model.classes[class];
        let of_class = |object: &Object| self.split.classes[object.class] == *name;
        if !item.objects.iter().any(of_class) {
            return Ok(Vec::new());
        }
        let bounds = examined.bounds.as_ref().map_err(|problem| {
            Failure::Unreadable(Error::Image { path: item.path.clone(), problem: problem.clone() })
        })?;
        let boxes = item.objects.iter().zip(bounds).filter(|(object, _)| of_class(object));
        Ok(boxes.map(|(_, bounds)| *bounds).collect())
    }

    /// An image ready to be perturbed.
    fn perturbed<'c, 'e>(&self, examined: &'c Examined<'e>) -> Perturbed<'c, 'e> {
        let parts = self.parts.iter().zip(&examined.parts);
        let stores = self.parts.iter().map(|part| -> Store<'_> {
            let storage = part.encoder.storage();
            Box::new(move |vector| {
                // A vector beyond what is stored stays as it is: the image's own was not.
                let _ = store(storage, vector);
            })
        });
        Perturbed::new(parts.map(|(part, of_image)| {
            (&of_image.contributions, &of_image.sums.signed[..], part.factor)
        }))
        .stored(&examined.vector, stores.collect())
    }

    /// `count` replacements for the descriptors of each part.
    fn draws(&self, count: usize, stream: &mut Stream) -> Result<Draws<'_>> {
        Draws::new(self.parts.iter().map(|p| (p.encoder.encoder(), &p.gmm)), count, stream)
    }

    /// The whole classifier.
    fn classifier(&self) -> Classifier<'_> {
        Classifier { weights: self.model.weights.view(), bias: &self.model.bias }
    }
}

/// The place of a class by its name.
fn class_index(classes: &[String], name: &str) -> Result<usize> {
    classes.iter().position(|class| class == name).ok_or_else(|| {
        let near = did_you_mean(name, classes);
        let problem = format!("not a class of the run; its classes are {}{near}", listed(classes));
        Error::data(format!("class `{name}`"), problem)
    })
}

/// Writes a picture as PNG.
fn write_png(outputs: &Outputs<'_>, path: &Path, picture: &RgbImage) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ::image::ImageFormat::Png)
        .map_err(|e| Error::Image { path: path.to_owned(), problem: e.to_string() })?;
    outputs.bytes(path, bytes.get_ref())
}

/// Writes a report as JSON for people to read.
fn write_json(outputs: &Outputs<'_>, path: &Path, report: &impl Serialize) -> Result<()> {
    outputs.text(path, &serde_json::to_string_pretty(report).expect("a report is JSON"))
}

/// A path in a report: names that are not UTF-8 are shown as well as they can be.
fn path_text<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}
