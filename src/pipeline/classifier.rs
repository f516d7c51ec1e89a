//! The classifier: trained on the joint vectors of a split, and read back with every link checked.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

use super::class_groups::Whole;
use super::joint::Mixtures;
use super::leak::note_contradictions;
use super::mixture::mixture_print;
use super::place::Place;
use super::result::Stamp;
use super::run::Run;
use super::stage::{Made, Stage, bring_up_to_date};
use crate::artifacts::{Artifact, Shards};
use crate::config::{differences, effective_inputs};
use crate::dataset::Label;
use crate::dataset::one_class;
use crate::encoding::Layout;
use crate::error::{Error, Result};
use crate::generative::Parts;
use crate::linalg::{Blanked, Joined};
use crate::memory::Need;
use crate::part::Part;
use crate::store::{
    Index, Inputs, Kind, Listing, Origin, Paths, SvmReport, in_words, labels_hash, model_of,
    open_stage, report_of,
};
use crate::svm::{self, Model, Stop};
use crate::words::counted;

/// A classifier with all that it was trained on.
pub(crate) struct TrainedOn {
    pub(crate) model: Model,
    /// The fingerprint of the classifier.
    print: String,
    pub(crate) index: Index,
    pub(crate) vectors: Blanked<Joined<Shards>>,
    pub(crate) labels: Vec<Vec<Label>>,
}

impl TrainedOn {
    /// What results are of that are made from the classifier and its training images.
    pub(crate) fn origin(&self) -> Origin {
        let Self { print, index, labels, .. } = self;
        Origin::new(&index.split, print, &index.fingerprint, &index.classes, labels)
    }
}

struct Train<'a, 'p> {
    run: &'a Run<'p>,
    whole: Whole<'a>,
    inputs: Inputs,
}

impl Stage for Train<'_, '_> {
    type Model = Model;
    type Report = SvmReport;
    const KIND: Kind = Kind::Svm;

    fn place(&self) -> &Place<'_> {
        &self.run.home
    }

    fn inputs(&self) -> Result<&Inputs> {
        Ok(&self.inputs)
    }

    fn need(&self) -> Need {
        self.run.need_of_svm(self.whole.labels.len(), self.whole.index.classes.len())
    }

    fn summary(made: &[Made<Model, SvmReport>]) -> String {
        made.iter().map(|made| summary(&made.model)).collect::<Vec<_>>().join("; ")
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<Model, SvmReport>>> {
        missing.iter().map(|stage| stage.train()).collect()
    }
}

impl Train<'_, '_> {
    fn train(&self) -> Result<Made<Model, SvmReport>> {
        let (whole, Place { config, work, .. }) = (&self.whole, &self.run.home);
        let index = whole.index;
        note_contradictions(index, work.progress);
        let vectors = self.run.training_vectors(index)?;
        let groups = self.run.class_groups(index);
        let model = if groups.len() > 1 {
            self.run.model_of_groups(whole, &vectors, groups)?
        } else {
            let (classes, params) = (&index.classes, config.svm.of_rows());
            svm::train(&vectors, whole.labels, classes, &params, config.seed, work.progress)?
        };
        let report = SvmReport::new(&model, &index.split, index.images.len());
        Ok(Made { model, report, lacking: Vec::new() })
    }
}

impl Run<'_> {
    pub(crate) fn need_of_svm(&self, images: usize, classes: usize) -> Need {
        let dim = |place: &Place<'_>| {
            let config = &place.config;
            let parts = Parts::of(&config.gmm, config.pca.output_dim());
            Layout::of_parts(&config.encoding, parts).len()
        };
        let dim = self.places().into_iter().map(dim).sum();
        svm::memory::need(&self.home.config.svm, images, classes, dim)
    }

    /// Brings the classifier up to date with the vectors and labels of a split.
    ///
    /// # Errors
    /// [`Error::Missing`] when the split is not encoded, [`Error::Stale`] when a classifier of other
    /// settings or labels is there.
    pub(crate) fn train_svm(&self, split: &str) -> Result<Stamp> {
        self.with_whole(split, |whole| {
            let settings = self.home.settings(Kind::Svm);
            let data = labels_hash(&whole.index.classes, whole.labels);
            let inputs = Inputs::new(Kind::Svm.name(), settings, whole.parents, data);
            let train = Train { run: self, whole, inputs };
            let stamp = bring_up_to_date(&[train])?.remove(0).stamp;
            self.remove_groups();
            self.home.results().remove_outputs_of_others(&stamp.fingerprint)?;
            Ok(stamp)
        })
    }

    /// Trains the groups of classes of a part, while others may be training theirs.
    ///
    /// # Errors
    /// As [`train_svm`](Self::train_svm); [`Error::Artifact`] where the classes are trained together.
    pub(crate) fn train_part(&self, split: &str, part: Part) -> Result<Range<usize>> {
        self.with_whole(split, |whole| {
            let vectors = self.training_vectors(whole.index)?;
            self.bring_part_of_groups(&whole, &vectors, part)
        })
    }

    /// What a classifier of a split is trained on, checked.
    fn with_whole<T>(&self, split: &str, train: impl FnOnce(Whole<'_>) -> Result<T>) -> Result<T> {
        let index = self.index(split)?;
        let labels = self.training_labels(&index)?;
        if let (true, Some(only)) = (index.single_label, only_class(&index)) {
            return Err(one_class(split, only));
        }
        self.places().into_iter().try_for_each(|place| self.require_own_vectors(place, split))?;
        let vectors = format!("fisher/{split}");
        let mixtures = self.mixtures()?;
        let mut parents = vec![(vectors.as_str(), index.fingerprint.as_str())];
        parents.extend(mixtures.iter().map(|(path, print)| (path.as_str(), print.as_str())));
        train(Whole { index: &index, labels: &labels, parents: &parents })
    }

    /// Refuses a classifier that was not trained on the vectors and labels of its split that lie in this
    /// run, as far as they do and can be read.
    fn require_own_split(&self, classifier: &Artifact) -> Result<()> {
        let header = classifier.header();
        let split = &report_of::<SvmReport>(classifier)?.split;
        if !self.is_encoded(split)? {
            return Ok(());
        }
        let Ok(print) = self.print_of(split) else { return Ok(()) };
        if header.inputs["parents"][format!("fisher/{split}")] == *print {
            let Ok(index) = self.index(split) else { return Ok(()) };
            let labels = labels_hash(&index.classes, &self.training_labels(&index)?);
            if header.inputs["data"] == labels {
                return Ok(());
            }
        }
        let problem = format!(
            "trained on other vectors or labels than those of split `{split}` in this run: they are of \
             different runs, or one of them is just being made again; wait for that, put back the file \
             that belongs here, or train again: `fvtool train-svm --run RUN --split {split} --refit`"
        );
        Err(Error::artifact(classifier.path(), problem))
    }

    /// Refuses vectors of a split that were made with other settings than those in force.
    fn require_own_vectors(&self, place: &Place<'_>, split: &str) -> Result<()> {
        if Listing::open(&place.paths, split)?.shards.is_empty() {
            return Ok(());
        }
        let folder = place.paths.vectors(split)?;
        let artifact = Artifact::open(&Paths::shard(&folder, 0))?;
        let print = mixture_print(place)?;
        let mixture = print.map(|print| (Kind::Gmm.path().to_owned(), print));
        match other_vectors(&artifact, &place.vectors, mixture.as_slice()) {
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

    /// The classes of the stored classifier, where there is one.
    pub(crate) fn known_classes(&self) -> Result<Option<Vec<String>>> {
        let path = self.home.path(Kind::Svm);
        if !path.exists() {
            return Ok(None);
        }
        let artifact = Artifact::open(&path)?;
        // Damage is reported by the stage that verifies the file.
        Ok(report_of::<SvmReport>(&artifact).ok().map(|report| report.classes))
    }

    /// The stored classifier and its fingerprint.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here, [`Error::Artifact`] when it is damaged or
    /// was trained on other vectors than those of the run's mixture and encoding.
    pub(crate) fn load_svm(&self) -> Result<(Model, String)> {
        self.require_classifier()?;
        self.load_svm_for(&self.mixtures()?)
    }

    /// The vectors of a split as the classifier is trained on them.
    pub(crate) fn training_vectors(&self, index: &Index) -> Result<Blanked<Joined<Shards>>> {
        Ok(Blanked::new(self.vectors(index)?, self.columns_left_out()?))
    }

    /// What the stored classifier was trained on.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here, or the vectors are gone; [`Error::Artifact`] when
    /// they are damaged or others by now.
    pub(crate) fn trained_on(&self) -> Result<TrainedOn> {
        let (model, print) = self.load_svm()?;
        let split = self.trained_split()?;
        if !self.is_encoded(&split)? {
            return Err(Error::Missing {
                what: format!("vectors of split `{split}`, which the classifier was trained on"),
                hint: format!("make them: `fvtool encode --data DATA --split {split} --run RUN`"),
            });
        }
        let index = self.index(&split)?;
        let (vectors, labels) = (self.training_vectors(&index)?, self.training_labels(&index)?);
        Ok(TrainedOn { model, print, index, vectors, labels })
    }

    /// The split that the stored classifier was trained on.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here; [`Error::Artifact`] when it is damaged.
    pub fn trained_split(&self) -> Result<String> {
        self.require_classifier()?;
        Ok(report_of::<SvmReport>(&Artifact::open(&self.home.path(Kind::Svm))?)?.split)
    }

    pub(crate) fn require_classifier(&self) -> Result<()> {
        let path = self.home.path(Kind::Svm);
        if path.exists() {
            return Ok(());
        }
        Err(Error::Missing {
            what: format!("{} (the classifier)", path.display()),
            hint: "train it: `fvtool train-svm --run RUN --split SPLIT`".into(),
        })
    }

    /// As [`load_svm`](Self::load_svm), for vectors of these mixtures.
    pub(crate) fn load_svm_for(&self, mixtures: &Mixtures) -> Result<(Model, String)> {
        self.require_classifier()?;
        let path = self.home.path(Kind::Svm);
        let artifact = open_stage(&path, Kind::Svm)?;
        if let Some(changes) = other_vectors(&artifact, &self.home.vectors, mixtures) {
            let problem = format!(
                "trained on other vectors: {changes}; train it again: `fvtool train-svm --run RUN \
                 --split SPLIT --refit`"
            );
            return Err(Error::artifact(path, problem));
        }
        self.require_own_split(&artifact)?;
        Ok((model_of(&artifact)?, artifact.header().fingerprint.clone()))
    }
}

/// What an artifact's vectors were made with and what is in force now, where that differs: a
/// classifier is of use only for vectors of the mixture and encoding that it was trained on.
fn other_vectors(
    artifact: &Artifact,
    vectors: &Value,
    mixtures: &[(String, String)],
) -> Option<String> {
    let mut stored = artifact.header().inputs.clone();
    if let Some(settings) = stored["settings"].as_object_mut() {
        settings.retain(|key, _| {
            ["encoding", "channels", "network", "network_file"].contains(&key.as_str())
        });
    }
    if let Some(parents) = stored["parents"].as_object_mut() {
        parents.retain(|path, _| path.ends_with("gmm.safetensors"));
    }
    let stored = json!({ "settings": stored["settings"], "parents": stored["parents"] });
    let mixtures: BTreeMap<&String, &String> = mixtures.iter().map(|(n, p)| (n, p)).collect();
    let now = json!({ "settings": vectors, "parents": mixtures });
    let changes = differences(&effective_inputs(&stored), &effective_inputs(&now));
    (!changes.is_empty()).then(|| in_words(&changes))
}

/// How the training ended, in a line.
pub(crate) fn summary(model: &Model) -> String {
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
