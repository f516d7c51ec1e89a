//! The models of a run: sample, projection and mixture of every channel, brought up to date together.

use std::path::Path;

use super::layer::bring_layer;
use super::mixture::bring_mixture;
use super::pca::bring_pca;
use super::place::Place;
use super::result::Stamp;
use super::run::Run;
use super::sample::bring_samples;
use crate::dataset::Split;
use crate::descriptors::Kind;
use crate::error::{Error, Result};
use crate::gmm::Family;
use crate::store;

/// How far the models are brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    Sample,
    Pca,
    Mixture,
    /// As `Mixture`; the layers are what is asked for.
    Layer,
}

impl Run<'_> {
    /// Brings the models up to date for `split` of `data`.
    ///
    /// # Errors
    /// [`Error::Stale`] when they were made from something else; as the stages.
    pub(crate) fn bring_models(&self, data: &Path, split: &Split, until: Until) -> Result<Stamp> {
        let places: Vec<_> = self.fitted().collect();
        if places.is_empty() {
            // One vector an image needs no models.
            self.home.record_source(data, &split.name)?;
            return Ok(self.joint_stamp(Vec::new()));
        }
        // Models of a file need no sample.
        let drawn = |place: &&Place<'_>| !place.config.layer.reads();
        let sampled: Vec<_> = places.iter().copied().filter(drawn).collect();
        let samples = if sampled.is_empty() { Vec::new() } else { bring_samples(&sampled, split)? };
        self.home.record_source(data, &split.name)?;
        if until == Until::Sample {
            return Ok(self.joint_stamp(samples));
        }
        let mut samples = samples.iter();
        let mut last = Vec::new();
        for place in places {
            let sample = drawn(&place).then(|| samples.next().expect("one a place"));
            let layer = match place.config.layer.is_on() {
                true => Some(bring_layer(place, split, sample)?),
                false => None,
            };
            let parent = layer.as_ref().or(sample).expect("a projection is made from something");
            let pca = bring_pca(place, parent)?;
            let mixture = if until == Until::Pca { pca } else { bring_mixture(place, &pca)? };
            last.push(layer.filter(|_| until == Until::Layer).unwrap_or(mixture));
        }
        Ok(self.joint_stamp(last))
    }

    /// Refuses to go on where no channel learns with its features.
    pub(crate) fn require_layer(&self) -> Result<()> {
        Error::require(
            self.fitted().any(|place| place.config.layer.is_on()),
            "layer.joint",
            false,
            "true for this command, of the run or of one of its channels: --set layer.joint=true",
        )
    }

    /// Refuses to fit models where no channel has any.
    pub(crate) fn require_fitted(&self) -> Result<()> {
        Error::require(
            self.fitted().next().is_some(),
            "descriptors.kind",
            "pooled or vectors",
            "another for this command: one vector an image needs no sample, no PCA and no mixture; go on \
             with `fvtool encode` or `fvtool run`",
        )
    }

    /// Refuses to explain vectors of another program: nobody knows which pixels they are of; and those of an
    /// autoencoder, whose score is no sum over components.
    pub(crate) fn require_pixels(&self) -> Result<()> {
        let key_of = |place: &Place<'_>, key: &str| match &place.channel {
            Some(channel) => format!("{channel}.{key}"),
            None => key.to_owned(),
        };
        let of_vae =
            |place: &Place<'_>| !place.is_pooled() && place.config.gmm.family == Family::Vae;
        if let Some(place) = self.places().into_iter().find(|place| of_vae(place)) {
            let range = "gaussian, laplace or factor-analysers for heatmaps, context, quality and audit: \
                         relevance goes back through components, which a vae does not have";
            return Err(Error::setting(key_of(place, "gmm.family"), "vae", range));
        }
        let of_file = |place: &&Place<'_>| place.config.descriptors.kind == Kind::Vectors;
        let Some(place) = self.places().into_iter().find(of_file) else { return Ok(()) };
        let key = key_of(place, "descriptors.kind");
        let range = "another for heatmaps, context, quality and audit: a vector that another program made \
                     says nothing of single pixels; in a run of other channels alone they work \
                     (--set \"channel=['NAME']\")";
        Err(Error::setting(key, "vectors", range))
    }

    /// The run's models, checked against the data they were fitted to where that is still there.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was fitted in this folder.
    pub(crate) fn check_models(&self) -> Result<()> {
        let Some(source) = self.home.source()? else {
            return self.require_models();
        };
        if !source.data.exists() {
            self.home.work.progress.note(&format!(
                "{} is gone; the models are used as they are",
                source.data.display()
            ));
            return Ok(());
        }
        let split = self.home.only_split(self.home.open_data(&source.data)?, &source.split)?;
        self.bring_models(&source.data, &split, Until::Mixture).map(|_| ())
    }

    /// As [`check_models`](Self::check_models); fits them to `split` when there are none.
    pub(crate) fn models_for(&self, data: &Path, split: &Split) -> Result<()> {
        if let Some(source) = self.home.source()? {
            // Of many images one list will do.
            return match std::path::absolute(data).is_ok_and(|data| data == source.data)
                && split.name == source.split
            {
                true => self.bring_models(data, split, Until::Mixture).map(|_| ()),
                false => self.check_models(),
            };
        }
        if self.fitted().next().is_some() {
            self.home.work.progress.note(&format!(
                "this run has no models yet; they are fitted to split `{}`",
                split.name
            ));
        }
        self.bring_models(data, split, Until::Mixture).map(|_| ())
    }

    /// Refuses to go on in a folder where nothing was fitted.
    pub(crate) fn require_models(&self) -> Result<()> {
        let fitted = |kind: store::Kind| self.fitted().all(|place| place.path(kind).exists());
        if fitted(store::Kind::Pca) && fitted(store::Kind::Gmm) {
            return Ok(());
        }
        Err(Error::Missing {
            what: format!("a model in {}", self.dir().display()),
            hint:
                "fit them first: `fvtool fit-gmm --data DATA --split SPLIT --run RUN`, or all with \
                   `fvtool run --data DATA --train SPLIT --test SPLIT --run RUN`"
                    .into(),
        })
    }
}
