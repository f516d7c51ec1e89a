//! Photographs of no data set explained: by a run, or without a run folder.

use std::path::PathBuf;

use serde::Serialize;

use super::explainer::{joint_relevance, of_classes};
use super::files::write_png;
use super::selection::class_index;
use crate::dataset::Item;
use crate::describer::{Describer, Reader, Workers};
use crate::descriptors::Frame;
use crate::error::{Error, Result};
use crate::explanation::heatmap::panels;
use crate::explanation::pixels::{Map, spread};
use crate::explanation::{Classifier, Rule};
use crate::image::{Params, Photo};
use crate::names::{file_name, with_ending};
use crate::pipeline::Run;
use crate::store::Origin;
use crate::svm::Model;

/// A heatmap of a photograph that is of no split, as it was drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhotoHeatmap {
    /// The photograph's path.
    pub photo: String,
    /// The class.
    pub class: String,
    /// Its score.
    pub score: f64,
    /// Σ R².
    pub relevance: f64,
    /// The picture: photograph, heatmap, overlay.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub file: PathBuf,
}

impl Run<'_> {
    /// Draws heatmaps of photographs into `photos/<file>/<class>.png`: of each of `classes`, or of the class of the
    /// highest score where none is named.
    ///
    /// # Errors
    /// As [`explain_photo`], for the first photograph that cannot be explained; [`Error::Missing`] without a
    /// classifier.
    pub fn explain_photos(
        &self,
        photos: &[PathBuf],
        classes: &[String],
        rule: Rule,
    ) -> Result<Vec<PhotoHeatmap>> {
        self.begin();
        self.require_explainable()?;
        let (describer, mixtures) = self.describer()?;
        let (model, svm) = self.load_svm_for(&mixtures)?;
        let reader = Reader::new(&self.config().image, &self.home.work.seen);
        let mut drawn = Vec::new();
        for path in photos {
            self.home.work.go_on()?;
            let photo = reader.read(&Item::of_file(path))?;
            let name = path.to_string_lossy().into_owned();
            let folder = self.home.paths.photos().join(with_ending(&file_name(&name), ""));
            let found =
                explain_classes(&describer, &model, reader.params(), &photo, classes, rule)?;
            let pictures: Vec<(PhotoRelevance, PathBuf)> = (found.into_iter())
                .map(|found| {
                    let file = folder.join(with_ending(&file_name(&found.class), ".png"));
                    (found, file)
                })
                .collect();
            let origin = Origin::new("", &svm, "", &model.classes, &[]);
            let group = format!("photos/{}", file_name(&name));
            let planned = pictures.iter().map(|(_, file)| file);
            let outputs = self.home.results().outputs(&group, &origin, planned)?;
            for (found, file) in pictures {
                let picture =
                    panels(&photo.rgb(reader.params()), &found.map, found.map.largest(), &[]);
                write_png(&outputs, &file, &picture)?;
                let PhotoRelevance { class, score, map } = found;
                let relevance = map.sum();
                drawn.push(PhotoHeatmap { photo: name.clone(), class, score, relevance, file });
            }
            outputs.end()?;
        }
        Ok(drawn)
    }
}

/// Why a photo has its score for a class.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoRelevance {
    /// The class.
    pub class: String,
    /// Its score.
    pub score: f64,
    /// Relevance of the pixels of the image as it is described; a positive one speaks for the class.
    pub map: Map,
}

/// Relevance of a photo's pixels for a class (the one of the highest score where none is named), each
/// descriptor's spread over the square that it sees. `model` scores the vectors of `describer`, and `image`
/// are the settings that the photo is read with.
///
/// # Errors
/// [`Error::Data`] for a class that the model does not know; [`Error::Shape`] when model and describer do
/// not belong together; as [`Describer::describe`].
pub fn explain_photo(
    describer: &Describer,
    model: &Model,
    image: &Params,
    photo: &Photo,
    class: Option<&str>,
    rule: Rule,
) -> Result<PhotoRelevance> {
    let classes: Vec<String> = class.iter().map(|&class| class.to_owned()).collect();
    Ok(explain_classes(describer, model, image, photo, &classes, rule)?.remove(0))
}

/// As [`explain_photo`], for several classes; where none is named, for that of the highest score.
fn explain_classes(
    describer: &Describer,
    model: &Model,
    image: &Params,
    photo: &Photo,
    classes: &[String],
    rule: Rule,
) -> Result<Vec<PhotoRelevance>> {
    if model.dim() != describer.dim() {
        let (expected, got) = (describer.dim(), model.dim());
        return Err(Error::Shape { what: "classifier of these vectors", expected, got });
    }
    let vector = describer.describe(photo, None, &mut Workers::default())?.vector;
    let classes: Vec<usize> = match classes.is_empty() {
        true => vec![best_class(model, &vector)?],
        false => {
            classes.iter().map(|name| class_index(&model.classes, name)).collect::<Result<_>>()?
        }
    };
    let (weights, bias) = of_classes(model, &classes);
    let classifier = Classifier { weights: weights.view(), bias: &bias };
    let looked = look_at(describer, image, photo, None, (&vector, classifier), rule)?;
    let found = classes.into_iter().zip(looked).map(|(class, (score, map))| PhotoRelevance {
        class: model.classes[class].clone(),
        score,
        map,
    });
    Ok(found.collect())
}

/// The class of the highest score of a vector.
///
/// # Errors
/// [`Error::Missing`] of a classifier without classes.
pub(super) fn best_class(model: &Model, vector: &[f32]) -> Result<usize> {
    let scores = model.score(vector)?;
    let classes = (0..scores.len()).rev();
    classes.max_by(|&a, &b| scores[a].total_cmp(&scores[b])).ok_or_else(|| {
        let (what, hint) = ("a class of the classifier".into(), "train it again".into());
        Error::Missing { what, hint }
    })
}

/// The score and the map of a photo's pixels, each descriptor's relevance spread over the square that it sees, for
/// every class of a classifier of its joint vector.
///
/// # Errors
/// As [`Describer::examine`].
pub(super) fn look_at(
    describer: &Describer,
    image: &Params,
    photo: &Photo,
    id: Option<&str>,
    (vector, classifier): (&[f32], Classifier<'_>),
    rule: Rule,
) -> Result<Vec<(f64, Map)>> {
    let parts = describer.examine(photo, id, &mut Workers::default())?;
    let relevance = joint_relevance(describer, (&parts, vector), classifier, rule)?;
    let frames: Vec<Frame> = parts.iter().flat_map(|part| part.frames.iter().copied()).collect();
    let [width, height] = photo.fitted(image);
    let map = |class: usize| spread(&frames, &relevance.of_class(class), width, height);
    let scores = relevance.scores.iter().enumerate();
    Ok(scores.map(|(class, &score)| (score, map(class))).collect())
}
