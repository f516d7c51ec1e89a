//! What is read of each run, and what both have in common: images, classes, labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ndarray::Array2;

use crate::artifacts::Artifact;
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::pipeline::{Index, IndexedImage, Run};
use crate::store::{Kind, Origin, SvmReport, report_of};
use crate::svm::Model;
use crate::words::{did_you_mean, listed};

/// How the two sides are called.
pub(super) const NAMES: [&str; 2] = ["A", "B"];

/// One run, as far as it is compared.
pub(super) struct Side<'r, 'p> {
    pub(super) run: &'r Run<'p>,
    pub(super) index: Index,
    pub(super) model: Model,
    /// Fingerprint of the classifier.
    pub(super) svm_print: String,
    /// The split that it was trained on.
    pub(super) trained_on: String,
    /// Images of the index × classes of the model.
    scores: Array2<f32>,
}

impl<'r, 'p> Side<'r, 'p> {
    /// Reads a run and scores the split's stored vectors, as an evaluation does.
    ///
    /// # Errors
    /// [`Error::Missing`] without vectors or a classifier, with the command that makes them.
    pub(super) fn open(run: &'r Run<'p>, split: &str) -> Result<Self> {
        let (model, svm_print) = run.load_svm()?;
        let index = run.index(split)?;
        let scores = model.scores(&run.vectors(&index)?)?;
        let trained_on = trained_on(run)?;
        Ok(Self { run, index, model, svm_print, trained_on, scores })
    }

    /// Whether files are of this classifier, and of these vectors and labels as far as that is known.
    pub(super) fn is_origin(&self, origin: &Origin) -> bool {
        // Labels of images without a vector are part of an origin, and no longer known.
        if !self.index.skipped.is_empty() {
            return origin.is_of_classifier(&self.svm_print);
        }
        let labels: Vec<Vec<Label>> = (self.index.images.iter())
            .map(|image| self.labels_of(image, &self.model.classes))
            .collect();
        let (split, vectors) = (&self.index.split, &self.index.fingerprint);
        *origin == Origin::new(split, &self.svm_print, vectors, &self.model.classes, &labels)
    }

    /// An image's labels for `classes`; one that the split does not know is ignored.
    fn labels_of(&self, image: &IndexedImage, classes: &[String]) -> Vec<Label> {
        let known = &self.index.classes;
        let label = |class: &String| {
            let column = known.iter().position(|name| name == class);
            column.map_or(Label::Ignored, |column| Label::from_number(image.labels[column]))
        };
        classes.iter().map(label).collect()
    }

    /// All images of the split, with or without a vector.
    fn ids(&self) -> BTreeSet<&str> {
        let images = self.index.images.iter().map(|image| image.id.as_str());
        images.chain(self.index.skipped.iter().map(|skipped| skipped.id.as_str())).collect()
    }

    fn dir(&self) -> &Path {
        self.run.dir()
    }
}

/// The split that the classifier of a run was trained on.
fn trained_on(run: &Run<'_>) -> Result<String> {
    let artifact = Artifact::open(&run.home.path(Kind::Svm))?;
    Ok(report_of::<SvmReport>(&artifact)?.split)
}

/// The split to compare: the one that is asked for, or the only one that both runs have vectors of and
/// neither was trained on.
///
/// # Errors
/// [`Error::Missing`] with the nearest name, [`Error::Data`] where there is a choice or none.
pub(super) fn split_of(runs: [&Run<'_>; 2], asked: Option<&str>) -> Result<String> {
    let encoded: Vec<Vec<String>> =
        runs.iter().map(|run| run.encoded_splits()).collect::<Result<_>>()?;
    if let Some(asked) = asked {
        for (run, splits) in runs.iter().zip(&encoded) {
            if splits.iter().any(|split| split == asked) {
                continue;
            }
            let (dir, near) = (run.dir().display(), did_you_mean(asked, splits));
            let there = if splits.is_empty() { "none".into() } else { listed(splits) };
            return Err(Error::Missing {
                what: format!("split `{asked}` in {dir} (its encoded splits: {there})"),
                hint: format!(
                    "make it: `fvtool eval --data DATA --split {asked} --run {dir}`{near}"
                ),
            });
        }
        return Ok(asked.to_owned());
    }
    let trained = [trained_on(runs[0])?, trained_on(runs[1])?];
    let both = encoded[0].iter().filter(|split| encoded[1].contains(split));
    let new: Vec<&String> = both.filter(|split| !trained.contains(split)).collect();
    match new[..] {
        [only] => Ok(only.clone()),
        [] => Err(Error::Missing {
            what: "an evaluated split that both runs have, and neither was trained on".into(),
            hint: "make it in both: `fvtool eval --data DATA --split SPLIT --run RUN`, or name one with \
                   --split"
                .into(),
        }),
        _ => {
            let problem = format!("both runs have several splits: {}; name one with --split", listed(&new));
            Err(Error::data(runs[0].dir(), problem))
        }
    }
}

/// What both sides have.
pub(super) struct Common {
    /// Images that both have a vector of, in the order of A.
    pub(super) ids: Vec<String>,
    /// Classes that both know, in the order of A.
    pub(super) classes: Vec<String>,
    /// `labels[image][class]`.
    pub(super) labels: Vec<Vec<Label>>,
    /// Images × classes of each side.
    pub(super) scores: [Array2<f32>; 2],
    /// Every image has one class, and both know all of them.
    pub(super) single_label: bool,
    /// How many images each side has no vector of, though the other has one.
    pub(super) left_out: [usize; 2],
    /// Classes that one side knows alone.
    pub(super) classes_alone: [Vec<String>; 2],
}

impl Common {
    /// What two runs of the same split have in common.
    ///
    /// # Errors
    /// [`Error::Data`] naming the first image that is in one list alone, is another file, or has other
    /// labels, and when they have no class or no image in common.
    pub(super) fn of(sides: [&Side<'_, '_>; 2]) -> Result<Self> {
        let [a, b] = sides;
        let refused = |problem: String| Err(Error::data(b.dir(), problem));
        let split = &a.index.split;
        let [ids_a, ids_b] = [a.ids(), b.ids()];
        let one = ids_a.symmetric_difference(&ids_b).next();
        if let Some(id) = one {
            let there = if ids_a.contains(id) { a } else { b };
            return refused(format!(
                "split `{split}` is not of the same images as in {}: `{id}` is in {} alone; compare runs on \
                 the same data",
                a.dir().display(),
                there.dir().display()
            ));
        }
        let alone = |of: &Side<'_, '_>, other: &Side<'_, '_>| -> Vec<String> {
            let classes = of.model.classes.iter();
            classes.filter(|class| !other.model.classes.contains(class)).cloned().collect()
        };
        let classes_alone = [alone(a, b), alone(b, a)];
        let classes: Vec<String> = a
            .model
            .classes
            .iter()
            .filter(|class| b.model.classes.contains(class))
            .cloned()
            .collect();
        if classes.is_empty() {
            return refused(format!(
                "no class in common with {}: {} there, {} here",
                a.dir().display(),
                listed(&a.model.classes),
                listed(&b.model.classes)
            ));
        }
        let rows_b: BTreeMap<&str, usize> =
            b.index.images.iter().enumerate().map(|(row, image)| (&*image.id, row)).collect();
        let (mut rows, mut ids, mut labels) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
        for (row, image) in a.index.images.iter().enumerate() {
            let id = &image.id;
            let Some(&other_row) = rows_b.get(&**id) else { continue };
            let other = &b.index.images[other_row];
            if image.file != other.file {
                return refused(format!(
                    "image `{id}` is another file than in {}; compare runs on the same data",
                    a.dir().display()
                ));
            }
            let own = a.labels_of(image, &classes);
            let others = b.labels_of(other, &classes);
            if let Some(at) = (0..classes.len()).find(|&at| own[at] != others[at]) {
                return refused(format!(
                    "image `{id}` has other labels than in {}: class `{}` is {} there, {} here; compare runs \
                     on the same data",
                    a.dir().display(),
                    classes[at],
                    word(own[at]),
                    word(others[at])
                ));
            }
            rows[0].push(row);
            rows[1].push(other_row);
            ids.push(id.clone());
            labels.push(own);
        }
        if ids.is_empty() {
            return refused(format!("no image of split `{split}` has a vector in both runs"));
        }
        let scores = [0, 1].map(|side| of_common(sides[side], &rows[side], &classes));
        let all_classes = classes_alone.iter().all(Vec::is_empty);
        let left_out = [b, a].map(|other| other.index.images.len() - ids.len());
        let single_label = all_classes && a.index.single_label && b.index.single_label;
        Ok(Self { ids, classes, labels, scores, single_label, left_out, classes_alone })
    }
}

/// The scores of common images and classes.
fn of_common(side: &Side<'_, '_>, rows: &[usize], classes: &[String]) -> Array2<f32> {
    let position = |class: &String| side.model.classes.iter().position(|name| name == class);
    let columns: Vec<usize> = classes.iter().filter_map(position).collect();
    let (images, classes) = (rows.len(), columns.len());
    Array2::from_shape_fn((images, classes), |(i, c)| side.scores[[rows[i], columns[c]]])
}

fn word(label: Label) -> &'static str {
    match label {
        Label::Yes => "shown",
        Label::No => "not shown",
        Label::Ignored => "ignored",
    }
}
