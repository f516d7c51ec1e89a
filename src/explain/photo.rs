//! One photo explained, of no data set and no run folder.

use super::explainer::joint_relevance;
use super::selection::class_index;
use crate::describer::{Describer, Workers};
use crate::descriptors::Frame;
use crate::error::{Error, Result};
use crate::explanation::Rule;
use crate::explanation::pixels::{Map, spread};
use crate::image::{Params, Photo};
use crate::svm::Model;

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
    if model.dim() != describer.dim() {
        let (expected, got) = (describer.dim(), model.dim());
        return Err(Error::Shape { what: "classifier of these vectors", expected, got });
    }
    let mut workers = Workers::default();
    let vector = describer.describe(photo, None, &mut workers)?.vector;
    let class = match class {
        Some(name) => class_index(&model.classes, name)?,
        None => {
            let scores = model.score(&vector)?;
            let classes = (0..scores.len()).rev();
            classes.max_by(|&a, &b| scores[a].total_cmp(&scores[b])).ok_or_else(|| {
                let (what, hint) = ("a class of the classifier".into(), "train it again".into());
                Error::Missing { what, hint }
            })?
        }
    };
    let parts = describer.examine(photo, None, &mut workers)?;
    let relevance = joint_relevance(describer, (&parts, &vector), model, &[class], rule)?;
    let frames: Vec<Frame> = parts.iter().flat_map(|part| part.frames.iter().copied()).collect();
    let [width, height] = photo.fitted(image);
    let map = spread(&frames, &relevance.of_class(0), width, height);
    Ok(PhotoRelevance { class: model.classes[class].clone(), score: relevance.scores[0], map })
}
