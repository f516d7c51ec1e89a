//! What a run can be asked for: each command brings up to date what it needs, and answers.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::channel::Encoded;
use super::evaluation::Evaluated;
use super::models::Until;
use super::result::Stamp;
use super::run::Run;
use super::sample::left_out_of;
use super::vectors::EncodedPart;
use crate::dataset::{Dataset, Label, Split, require_two_classes};
use crate::error::Result;
use crate::part::Part;
use crate::plain;
use crate::store::{Kind, Notes, Skipped};
use crate::words::counted;

/// A class of fewer images is named before work.
const FEW_IMAGES: usize = 10;
/// Classes that are named.
const NAMED_CLASSES: usize = 5;

impl Run<'_> {
    /// Opens a data folder with this run's settings, and says what became of its files.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_data(&self, data: &Path) -> Result<Dataset> {
        self.home.open_data(data)
    }

    /// Begins a command: it sees the images anew.
    pub(crate) fn begin(&self) {
        self.home.work.seen.forget();
    }

    /// Opens a split of a data folder.
    pub(crate) fn split_of(&self, data: &Path, split: &str) -> Result<Split> {
        self.home.only_split(self.home.open_data(data)?, split)
    }

    /// Everything: models and classifier from `train`, vectors and evaluation of `test`.
    ///
    /// # Errors
    /// As the single stages.
    pub fn run_all(&self, data: &Path, train: &str, test: &str) -> Result<(Encoded, Evaluated)> {
        self.begin();
        let dataset = self.open_data(data)?;
        let (train, test) = (self.home.split(&dataset, train)?, self.home.split(&dataset, test)?);
        require_two_classes(&train)?;
        self.note_few_images(&train);
        self.note_few_images(&test);
        self.check_memory(train.items.len(), train.classes.len())?;
        self.bring_models(data, &train, Until::Mixture)?;
        let encoded = self.encode_split(&train)?;
        self.train_svm(&train.name)?;
        Ok((encoded, self.encode_and_evaluate(&test)?))
    }

    /// Draws the descriptors that PCA and mixture are fitted to.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) when no image of the split gives a descriptor.
    pub fn extract(&self, data: &Path, split: &str) -> Result<Stamp> {
        self.begin();
        self.require_fitted()?;
        self.bring_models(data, &self.split_of(data, split)?, Until::Sample)
    }

    /// As [`extract`](Self::extract), then the PCA.
    ///
    /// # Errors
    /// As [`Projection::fit`](crate::projection::Projection::fit).
    pub fn extract_and_fit_pca(&self, data: &Path, split: &str) -> Result<Stamp> {
        self.begin();
        self.require_fitted()?;
        self.bring_models(data, &self.split_of(data, split)?, Until::Pca)
    }

    /// As [`extract_and_fit_pca`](Self::extract_and_fit_pca), then the mixture.
    ///
    /// # Errors
    /// As [`generative::fit`](crate::generative::fit).
    pub fn extract_and_fit_gmm(&self, data: &Path, split: &str) -> Result<Stamp> {
        self.begin();
        self.require_fitted()?;
        self.bring_models(data, &self.split_of(data, split)?, Until::Mixture)
    }

    /// As [`extract_and_fit_gmm`](Self::extract_and_fit_gmm), in a run whose projection and mixture are
    /// learned together ([`crate::layer`]); the layer's artifact.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) when they are not; as [`layer::fit`](crate::layer::fit).
    pub fn fit_layer(&self, data: &Path, split: &str) -> Result<Stamp> {
        self.begin();
        self.require_fitted()?;
        self.require_layer()?;
        self.bring_models(data, &self.split_of(data, split)?, Until::Layer)
    }

    /// The sample's file, and the images that could not be drawn from.
    ///
    /// # Errors
    /// [`Error::Artifact`](crate::Error::Artifact) when it is damaged.
    pub fn left_out_of_sample(&self) -> Result<(PathBuf, Vec<Skipped>)> {
        match self.fitted().find(|place| !place.config.layer.reads()) {
            Some(place) => left_out_of(place),
            None => Ok((self.home.path(Kind::Sample), Vec::new())),
        }
    }

    /// Encodes a split with the run's models, which are fitted to it first when there are none.
    ///
    /// # Errors
    /// As the single stages.
    pub fn encode(&self, data: &Path, split: &str) -> Result<Encoded> {
        self.begin();
        let split = self.split_of(data, split)?;
        self.models_for(data, &split)?;
        self.encode_split(&split)
    }

    /// Encodes a part of a split with the run's models, while others may be making other parts in the same
    /// folder. Nothing is fitted, and no index is written: see [`join`](Self::join).
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) without models; as the stage.
    pub fn encode_part(&self, data: &Path, split: &str, part: Part) -> Result<EncodedPart> {
        self.begin();
        self.require_models()?;
        self.encode_part_of(&self.split_of(data, split)?, part)
    }

    /// Makes the parts of an encoded split one, and reads no image.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) without models, or when some shards are not there;
    /// [`Error::Stale`](crate::Error::Stale) when one is of other models, settings or images.
    pub fn join(&self, data: &Path, split: &str) -> Result<Encoded> {
        self.begin();
        self.require_models()?;
        self.join_split(&self.split_of(data, split)?)
    }

    /// Trains the classifier on an encoded split, which is encoded first when it is not.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when the split is not encoded and the run has no data to
    /// encode; [`Error::Stale`](crate::Error::Stale) when a classifier of other settings or labels is
    /// there.
    pub fn train(&self, split: &str) -> Result<Stamp> {
        self.begin();
        // Vectors that came from another data folder are used as they are.
        if let Some(source) = self.home.source()?
            && source.data.exists()
            && (self.index(split).is_err() || self.open_data(&source.data)?.has_split(split))
        {
            let of_split = self.split_of(&source.data, split)?;
            require_two_classes(&of_split)?;
            self.models_for(&source.data, &of_split)?;
            self.encode_split(&of_split)?;
        }
        self.train_svm(split)
    }

    /// Trains a part of the classes on an encoded split, where there are many, while others may be training theirs in
    /// the same folder; [`train`](Self::train) makes the classifier of them. The numbers of its groups.
    ///
    /// # Errors
    /// As [`train`](Self::train); [`Error::Artifact`](crate::Error::Artifact) where the classes are trained together.
    pub fn train_classes(&self, split: &str, part: Part) -> Result<Range<usize>> {
        self.begin();
        self.train_part(split, part)
    }

    /// Scores and evaluates a split with the run's classifier, which is trained first when there is
    /// none.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when nothing was fitted in this folder;
    /// [`Error::Stale`](crate::Error::Stale) when the classifier or what it is made from is of other
    /// settings or data.
    pub fn evaluate(&self, data: &Path, split: &str) -> Result<Evaluated> {
        self.begin();
        let split = self.split_of(data, split)?;
        self.bring_classifier()?;
        self.encode_and_evaluate(&split)
    }

    fn encode_and_evaluate(&self, split: &Split) -> Result<Evaluated> {
        let encoded = self.encode_split(split)?;
        self.note_unlike(split)?;
        self.evaluate_split(split, encoded)
    }

    /// Brings the models up to date, and the classifier, on the split that they were fitted to where
    /// there is none yet. One that is there is checked against its split, as far as data and vectors are
    /// still there.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub(crate) fn bring_classifier(&self) -> Result<()> {
        self.check_models()?;
        let Some(source) = self.home.source()?.filter(|source| source.data.exists()) else {
            return Ok(());
        };
        let path = self.home.path(Kind::Svm);
        let mut name = source.split;
        if path.exists() {
            name = self.trained_split()?;
            if !self.is_encoded(&name)? {
                return Ok(());
            }
        }
        let dataset = self.open_data(&source.data)?;
        // Vectors that came from another data folder are used as they are.
        if dataset.has_split(&name) {
            self.encode_split(&self.home.split(&dataset, &name)?)?;
        }
        self.train_svm(&name).map(|_| ())
    }

    /// Says which classes have so few images that their figures mean little, before any work.
    pub(crate) fn note_few_images(&self, split: &Split) {
        let shown = |class: usize| {
            let labels = split.labels.iter().filter(|labels| labels[class] == Label::Yes);
            (labels.count(), &split.classes[class])
        };
        let mut few: Vec<(usize, &String)> = (0..split.classes.len()).map(shown).collect();
        few.retain(|(images, _)| *images < FEW_IMAGES);
        few.sort();
        let named: Vec<String> = few
            .iter()
            .take(NAMED_CLASSES)
            .map(|(images, class)| format!("{} {images}", plain::line(class)))
            .collect();
        if !few.is_empty() {
            let rest = if few.len() > NAMED_CLASSES { ", …" } else { "" };
            self.home.work.note_once(&format!(
                "fewer than {FEW_IMAGES} images of {} in `{}` ({}{rest}): what is said of {} rests on little",
                counted(few.len(), "class"),
                split.name,
                named.join(", "),
                if few.len() == 1 { "it" } else { "them" }
            ));
        }
    }

    /// Refuses a run that will not fit, before any work.
    fn check_memory(&self, images: usize, classes: usize) -> Result<()> {
        let memory = self.home.work.memory;
        if memory.limit().is_none() {
            return Ok(());
        }
        let mut needs = vec![self.need_of_svm(images, classes)];
        for place in self.fitted() {
            let (c, none) = (&place.config, Default::default());
            needs.push(crate::descriptors::memory::need_of_sample(
                c.sample.rows,
                &c.descriptors,
                none,
            ));
            let need = crate::generative::memory::need;
            needs.push(need(c.sample.rows, &c.gmm, c.pca.output_dim()));
            if c.layer.learns() {
                let sizes = [c.descriptors.dim(), c.pca.output_dim(), c.gmm.components];
                needs.push(crate::layer::memory::need(&c.layer, images, classes, sizes));
            }
        }
        needs.iter().try_for_each(|need| memory.workers(need).map(|_| ()))
    }

    /// How many times an explanation of this open run left an image out, since it could not be read any
    /// more.
    pub fn left_out_of_explanations(&self) -> usize {
        self.home.work.left_out.load(std::sync::atomic::Ordering::Relaxed)
    }
}
