//! What the classifier says of image files that belong to no data set.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::channel::need_of_encoding;
use super::run::Run;
use super::unlike::Usual;
use crate::dataset::Item;
use crate::describer::{Describer, Noted, Noticed, Reader, Workers, largest};
use crate::descriptors::memory::Largest;
use crate::error::Result;
use crate::linalg::Pool;
use crate::memory::Need;
use crate::svm::Model;
use crate::words::counted;

/// Images whose predictions are held before they are handed out.
const AT_ONCE: usize = 256;

/// What the classifier says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The image file.
    pub path: PathBuf,
    /// Score and, where calibrated, probability per class; or why the image cannot be used.
    pub outcome: Result<Vec<ClassScore>, String>,
    /// Whether it is unlike anything that the classifier was trained on, as far as that is known.
    pub unlike: bool,
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
    /// Scores image files with the run's classifier, in parallel; an image that cannot be used has
    /// its reason in its place.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when nothing was trained here.
    pub fn predict(&self, images: &[PathBuf]) -> Result<Vec<Prediction>> {
        let mut predictions = Vec::with_capacity(images.len());
        self.predict_each(images, &mut |prediction| {
            predictions.push(prediction);
            Ok(())
        })?;
        Ok(predictions)
    }

    /// As [`predict`](Self::predict), handing each prediction out in order as soon as its images and those
    /// before it are done, so that any number of images needs the memory of a few.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); those of `take`.
    pub fn predict_each(
        &self,
        images: &[PathBuf],
        take: &mut dyn FnMut(Prediction) -> Result<()>,
    ) -> Result<()> {
        self.begin();
        self.require_classifier()?;
        let work = &self.home.work;
        let (describer, mixtures) = self.describer()?;
        let (model, _) = self.load_svm_for(&mixtures)?;
        let reader = Reader::new(&self.config().image, &work.seen);
        let (usual, unlike) = (self.usual()?, AtomicUsize::new(0));
        work.progress.begin("predict", images.len() as u64, "images");
        let items: Vec<Item> = images.iter().map(|path| Item::of_file(path)).collect();
        let sources = || describer.channels().iter().map(|channel| channel.encoder.source());
        let (noted, workers) = (Mutex::new(Noted::default()), Pool::<Workers>::default());
        let classify = |item: &Item| -> Result<Prediction> {
            work.go_on()?;
            let classify = |workers: &mut Workers| {
                predict_one(item, &reader, &describer, &model, &usual, workers)
            };
            let outcome = workers.with(classify);
            work.progress.advance(1);
            let mut is_unlike = false;
            let outcome = outcome.map(|(scores, noticed, found)| {
                noted.lock().unwrap_or_else(PoisonError::into_inner).add(&noticed);
                is_unlike = found;
                unlike.fetch_add(usize::from(found), Ordering::Relaxed);
                scores
            });
            let outcome = outcome.map_err(|e| e.to_string());
            Ok(Prediction { path: item.path.clone(), outcome, unlike: is_unlike })
        };
        let done = items.chunks(AT_ONCE).try_for_each(|items| {
            let largest = || largest(&self.config().image, items, sources());
            let need = || Ok(self.need_of_prediction(largest()));
            let found = || -> Result<Vec<Prediction>> { items.par_iter().map(classify).collect() };
            work.memory.within(need, found)??.into_iter().try_for_each(&mut *take)
        });
        work.progress.end();
        let noted = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let threshold = self.config().descriptors.contrast_threshold;
        for sentence in noted.sentences(images.len(), "", threshold) {
            work.progress.note(&sentence);
        }
        let unlike = unlike.into_inner();
        if unlike > 0 {
            work.progress.note(&format!(
                "{unlike} of {} unlike anything that the classifier was trained on: {}; `--abstain` says so in \
                 place of a class",
                counted(images.len(), "image"),
                "how usual their descriptors are lies outside 99.5 % of the training images'"
            ));
        }
        done
    }

    /// Of all channels, which are looked at together.
    pub(crate) fn need_of_prediction(&self, largest: Largest) -> Need {
        let of_place = |place: &super::place::Place<'_>| need_of_encoding(&place.config, largest);
        Need::together(self.places().into_iter().map(of_place))
    }
}

/// Scores of an image, and what was noticed of it.
fn predict_one(
    item: &Item,
    reader: &Reader,
    describer: &Describer,
    model: &Model,
    usual: &Usual,
    workers: &mut Workers,
) -> Result<(Vec<ClassScore>, Noticed, bool)> {
    let photo = reader.read(item)?;
    let described = describer.describe(&photo, Some(&item.id), workers)?;
    let scores = model.score(&described.vector)?;
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
    Ok((scores, described.noticed, usual.is_unlike(&described.likelihoods)))
}
