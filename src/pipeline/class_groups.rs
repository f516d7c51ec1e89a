//! Many classes, trained group by group: each group an artifact of its own until the classifier is whole.
//!
//! ```text
//! vectors, labels of a group's classes ─ svm/00000.safetensors ─┐
//!                                        svm/00001.safetensors ─┼─ svm.safetensors, and the groups go
//! ```
//!
//! A group stands for its own classes ([`crate::svm::groups()`]), so that it may be trained by any process; a stopped
//! training goes on after the last finished group.

use std::ops::Range;
use std::path::PathBuf;

use super::place::Place;
use super::run::Run;
use super::stage::{Made, Stage, bring_up_to_date};
use crate::artifacts::Artifact;
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::linalg::Rows;
use crate::memory::Need;
use crate::part::Part;
use crate::store::{Index, Inputs, Kind, SvmReport, labels_hash, model_of};
use crate::svm::{self, Model};
use crate::words::counted;

/// A group of classes.
struct Group<'a, 'p> {
    run: &'a Run<'p>,
    index: &'a Index,
    rows: &'a dyn Rows,
    labels: Vec<Vec<Label>>,
    classes: &'a [String],
    number: usize,
    inputs: Inputs,
}

impl Stage for Group<'_, '_> {
    type Model = Model;
    type Report = SvmReport;
    const KIND: Kind = Kind::Svm;
    const IS_TOLD: bool = false;

    fn place(&self) -> &Place<'_> {
        &self.run.home
    }

    fn path(&self) -> PathBuf {
        self.run.home.paths.class_group(self.number)
    }

    fn inputs(&self) -> Result<&Inputs> {
        Ok(&self.inputs)
    }

    fn need(&self) -> Need {
        self.run.need_of_svm(self.labels.len(), self.classes.len())
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<Model, SvmReport>>> {
        missing.iter().map(|group| group.train()).collect()
    }
}

impl Group<'_, '_> {
    fn train(&self) -> Result<Made<Model, SvmReport>> {
        let Place { config, work, .. } = &self.run.home;
        let params = config.svm.of_rows();
        let model =
            svm::train(self.rows, &self.labels, self.classes, &params, config.seed, work.progress)?;
        let report = SvmReport::new(&model, &self.index.split, self.index.images.len());
        Ok(Made { model, report, lacking: Vec::new() })
    }
}

/// What all groups of a classifier are made from, but their classes.
pub(super) struct Whole<'a> {
    pub(super) index: &'a Index,
    pub(super) labels: &'a [Vec<Label>],
    pub(super) parents: &'a [(&'a str, &'a str)],
}

impl Run<'_> {
    /// The groups of classes of a classifier; one of all classes where they are not trained apart.
    pub(super) fn class_groups(&self, index: &Index) -> Vec<Range<usize>> {
        let params = &self.home.config.svm;
        svm::groups(params, index.images.len(), self.parts.len(), index.classes.len())
    }

    /// Brings a group up to date; its file.
    fn bring_group(
        &self,
        whole: &Whole<'_>,
        rows: &dyn Rows,
        number: usize,
        range: Range<usize>,
    ) -> Result<PathBuf> {
        self.home.work.go_on()?;
        let (index, classes) = (whole.index, &whole.index.classes[range.clone()]);
        let labels = svm::labels_of_classes(whole.labels, range);
        let data = labels_hash(classes, &labels);
        let settings = self.home.settings(Kind::Svm);
        let inputs = Inputs::new(Kind::Svm.name(), settings, whole.parents, data);
        let group = Group { run: self, index, rows, labels, classes, number, inputs };
        Ok(bring_up_to_date(&[group])?.remove(0).stamp.path)
    }

    /// A classifier of all groups, brought up to date one after the other.
    pub(super) fn model_of_groups(
        &self,
        whole: &Whole<'_>,
        rows: &dyn Rows,
        groups: Vec<Range<usize>>,
    ) -> Result<Model> {
        let model = |(number, range)| {
            let path = self.bring_group(whole, rows, number, range)?;
            model_of(&Artifact::open_verified(&path, Kind::Svm.name())?)
        };
        Model::together(groups.into_iter().enumerate().map(model).collect::<Result<_>>()?)
    }

    /// Trains the groups of a part, and makes no classifier of them.
    pub(super) fn bring_part_of_groups(
        &self,
        whole: &Whole<'_>,
        rows: &dyn Rows,
        part: Part,
    ) -> Result<Range<usize>> {
        let groups = self.class_groups(whole.index);
        if groups.len() == 1 {
            let problem = format!(
                "its {} are trained together: only more than {} are trained in groups, with svm.solver = dual (or auto and \
                 more than {} images), one value of C and one classifier of all channels; leave --classes out",
                counted(whole.index.classes.len(), "class"),
                svm::GROUP,
                svm::GRAM_ROWS
            );
            return Err(Error::artifact(self.dir(), problem));
        }
        let numbers = part.range(groups.len());
        for number in numbers.clone() {
            self.bring_group(whole, rows, number, groups[number].clone())?;
        }
        Ok(numbers)
    }

    /// Removes the groups of a classifier that is whole.
    pub(super) fn remove_groups(&self) {
        let folder = self.home.paths.class_groups();
        for number in 0.. {
            let path = self.home.paths.class_group(number);
            if !(path.exists() && crate::artifacts::is_ours(&path)) {
                break;
            }
            let _ = std::fs::remove_file(path);
        }
        let _ = std::fs::remove_dir(folder);
    }
}
