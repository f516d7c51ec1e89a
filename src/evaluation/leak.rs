//! Images of a split that the classifier was trained on: how many, which, and the measures without them.
//!
//! A classifier knows its training images. Measures that count them say how well it remembers, not how
//! well it does on new images, so they are named and every measure is given without them too.

use super::confusion::Accuracy;
use super::measures::evaluate;
use super::report::{Map, Report, percent};
pub use super::report::{Same, TrainingImage, TrainingImages, Without};
use super::scored::Scored;
use crate::{Result, plain};

impl Report {
    /// Adds what is known of training images in the split: `copies`, which are of the split that the
    /// classifier was `trained_on`, and the measures of `scored` without them.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn with_training_images(
        mut self,
        scored: &Scored<'_>,
        trained_on: &str,
        copies: Vec<TrainingImage>,
    ) -> Result<Self> {
        if copies.is_empty() {
            return Ok(self);
        }
        let known: std::collections::BTreeSet<&str> =
            copies.iter().map(|copy| copy.id.as_str()).collect();
        let rest: Vec<usize> =
            (0..scored.ids.len()).filter(|&i| !known.contains(scored.ids[i].as_str())).collect();
        let without = if rest.is_empty() {
            None
        } else {
            let ids: Vec<String> = rest.iter().map(|&i| scored.ids[i].clone()).collect();
            let labels: Vec<_> = rest.iter().map(|&i| scored.labels[i].clone()).collect();
            let scores = scored.scores.select(ndarray::Axis(0), &rest);
            let rest = Scored { ids: &ids, labels: &labels, scores: scores.view(), ..*scored };
            let report = evaluate(&rest)?;
            let images = report.images - report.missing;
            Some(Without { images, map: report.map, accuracy: report.accuracy })
        };
        self.training_images = Some(TrainingImages {
            trained_on: trained_on.to_owned(),
            images: copies.len(),
            other_labels: copies.iter().filter(|copy| copy.other_labels).count(),
            copies,
            without,
        });
        Ok(self)
    }

    /// What the user must know of training images in the split, in a sentence.
    pub fn training_images_note(&self) -> Option<String> {
        let TrainingImages { trained_on, images, other_labels, copies, without } =
            self.training_images.as_ref()?;
        let (split, all) = (&self.split, self.images - self.missing);
        let first = copies.iter().find(|copy| copy.other_labels).or(copies.first())?;
        let labels = match other_labels {
            0 => String::new(),
            n => format!(", {n} of them with other labels"),
        };
        let example = if first.id == first.training_id {
            plain::line(&first.id).into_owned()
        } else {
            let [id, training_id] = [&first.id, &first.training_id].map(|id| plain::line(id));
            format!("{id} is {training_id} of `{trained_on}`")
        };
        let are = if *images == 1 { "is a training image" } else { "are training images" };
        let which = if split == trained_on && images == &all {
            format!("split `{split}` is the one that the classifier was trained on{labels}")
        } else {
            let which = if first.other_labels { "for example" } else { "first:" };
            format!(
                "{images} of the {all} images of split `{split}` {are}, of split `{trained_on}`\
                 {labels} ({which} {example})"
            )
        };
        let figures = match without {
            None => "no other image is left to measure, and the figures say nothing of new images"
                .to_owned(),
            Some(rest) => {
                let now = figures(&self.map, self.accuracy.as_ref());
                let then = figures(&rest.map, rest.accuracy.as_ref());
                let rest = rest.images;
                format!("with them {now}; without them, on {rest} images, {then}")
            }
        };
        Some(format!("{which}; {figures}"))
    }
}

/// The measures that a split is known by.
fn figures(map: &Map, accuracy: Option<&Accuracy>) -> String {
    let map = format!("mAP (VOC 2007) {}", percent(map.voc2007));
    match accuracy {
        Some(accuracy) => format!("accuracy {}, {map}", percent(Some(accuracy.overall))),
        None => map,
    }
}
