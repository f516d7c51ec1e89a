//! What the classifier says of image files that belong to no data set.

use std::mem;
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
        self.predict_each(images.iter().cloned().map(Ok), &mut |prediction| {
            predictions.push(prediction);
            Ok(())
        })?;
        Ok(predictions)
    }

    /// As [`predict`](Self::predict), handing each prediction out in order as soon as its images and those
    /// before it are done. Images are asked for as they are needed and forgotten afterwards, so that any number
    /// of them needs the memory of a few; one that is named twice is compared with what was seen of it first
    /// only where the two are near each other.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); those of `images`, after what came before, and those of `take`.
    pub fn predict_each(
        &self,
        images: impl IntoIterator<Item = Result<PathBuf>>,
        take: &mut dyn FnMut(Prediction) -> Result<()>,
    ) -> Result<()> {
        let images = images.into_iter();
        self.begin();
        self.require_classifier()?;
        let work = &self.home.work;
        let (describer, mixtures) = self.describer()?;
        let (model, _) = self.load_svm_for(&mixtures)?;
        let reader = Reader::new(&self.config().image, &work.seen);
        let (usual, unlike) = (self.usual()?, AtomicUsize::new(0));
        let total = match images.size_hint() {
            (least, Some(most)) if least == most => most,
            // Nobody knows.
            _ => 0,
        };
        work.progress.begin("predict", total as u64, "images");
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
        let mut looked_at = 0;
        let mut at_once = |items: &[Item]| -> Result<()> {
            looked_at += items.len();
            let largest = || largest(&self.config().image, items, sources());
            let need = || Ok(self.need_of_prediction(largest()));
            let found = || -> Result<Vec<Prediction>> { items.par_iter().map(classify).collect() };
            let predictions = work.memory.within(need, found)??;
            sources().for_each(|source| source.forget(items));
            predictions.into_iter().try_for_each(&mut *take)
        };
        let done = in_groups(images, |images| {
            let items: Vec<Item> = images.iter().map(|path| Item::of_file(path)).collect();
            at_once(&items)
        });
        work.progress.end();
        let noted = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let threshold = self.config().descriptors.contrast_threshold;
        for sentence in noted.sentences(looked_at, "", threshold) {
            work.progress.note(&sentence);
        }
        let unlike = unlike.into_inner();
        if unlike > 0 {
            work.progress.note(&format!(
                "{unlike} of {} unlike anything that the classifier was trained on: {}; `--abstain` says so in \
                 place of a class",
                counted(looked_at, "image"),
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

/// Does `work` for [`AT_ONCE`] paths at a time; for what came before an error too.
fn in_groups(
    mut paths: impl Iterator<Item = Result<PathBuf>>,
    mut work: impl FnMut(&[PathBuf]) -> Result<()>,
) -> Result<()> {
    let mut group = Vec::with_capacity(AT_ONCE);
    let ended = paths.try_for_each(|path| {
        group.push(path?);
        if group.len() < AT_ONCE {
            return Ok(());
        }
        work(&mem::replace(&mut group, Vec::with_capacity(AT_ONCE)))
    });
    if !group.is_empty() {
        work(&group)?;
    }
    ended
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn groups_hold_every_path_before_an_error_once_and_in_order() {
        for count in [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE] {
            for fails in [false, true] {
                let paths = (0..count).map(|i| Ok(PathBuf::from(i.to_string())));
                let end = fails.then_some(Err(Error::Interrupted));
                let (mut seen, mut largest) = (Vec::<usize>::new(), 0);
                let ended = in_groups(paths.chain(end), |group| {
                    largest = largest.max(group.len());
                    seen.extend(
                        group.iter().map(|path| path.to_str().unwrap().parse::<usize>().unwrap()),
                    );
                    Ok(())
                });
                assert_eq!(ended.is_err(), fails);
                assert_eq!(seen, (0..count).collect::<Vec<usize>>());
                assert_eq!(largest, count.min(AT_ONCE));
            }
        }
        // Work that fails is not tried again with what is left.
        let (paths, mut calls) = ((0..2 * AT_ONCE).map(|_| Ok(PathBuf::new())), 0);
        let ended = in_groups(paths, |_| {
            calls += 1;
            Err(Error::Interrupted)
        });
        assert!(ended.is_err() && calls == 1);
    }
}
