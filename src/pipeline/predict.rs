//! What the classifier says of image files that belong to no data set.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::run::Run;
use super::vectors::need_of_encoding;
use crate::dataset::Item;
use crate::describer::{Describer, Noted, Noticed, Reader, Workers, largest};
use crate::descriptors::memory::Largest;
use crate::error::Result;
use crate::memory::Need;
use crate::svm::Model;

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
    /// Scores image files with the run's classifier, in parallel; an image that cannot be used has
    /// its reason in its place.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when nothing was trained here.
    pub fn predict(&self, images: &[PathBuf]) -> Result<Vec<Prediction>> {
        self.begin();
        self.require_classifier()?;
        let work = &self.home.work;
        let (describer, mixtures) = self.describer()?;
        let (model, _) = self.load_svm_for(&mixtures)?;
        let reader = Reader::new(&self.config().image, &work.seen);
        work.progress.begin("predict", images.len() as u64, "images");
        let items: Vec<Item> = images.iter().map(|path| Item::of_file(path)).collect();
        let sources = || describer.channels().iter().map(|channel| channel.encoder.source());
        let need = || Ok(self.need_of_prediction(largest(&self.config().image, &items, sources())));
        let noted = Mutex::new(Noted::default());
        let predictions = work.memory.within(need, || {
            items
                .par_iter()
                .map_init(Workers::default, |workers, item| {
                    work.go_on()?;
                    let outcome = predict_one(item, &reader, &describer, &model, workers);
                    work.progress.advance(1);
                    let outcome = outcome.map(|(scores, noticed)| {
                        noted.lock().unwrap_or_else(PoisonError::into_inner).add(&noticed);
                        scores
                    });
                    let outcome = outcome.map_err(|e| e.to_string());
                    Ok(Prediction { path: item.path.clone(), outcome })
                })
                .collect()
        });
        work.progress.end();
        let noted = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let threshold = self.config().descriptors.contrast_threshold;
        for sentence in noted.sentences(images.len(), "", threshold) {
            work.progress.note(&sentence);
        }
        predictions?
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
    workers: &mut Workers,
) -> Result<(Vec<ClassScore>, Noticed)> {
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
    Ok((scores, described.noticed))
}
