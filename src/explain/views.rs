//! Heatmaps of single images in memory, small, of a run that is only read.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use ::image::RgbImage;

use super::explainer::{Explainer, Failure};
use super::rules::Rules;
use super::selection::{Case, class_index};
use crate::dataset::{Item, Split};
use crate::error::{Error, Result};
use crate::explanation::context::context;
use crate::explanation::heatmap::{jpeg, outline, paint};
use crate::pipeline::{Index, IndexedImage, Run};

/// One class's heatmap of one image, as JPEG.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// The photograph with the boxes of the class.
    pub(crate) photograph: Vec<u8>,
    /// The heatmap on a colour scale of its own, with the boxes.
    pub(crate) heat: Vec<u8>,
    pub(crate) score: f64,
    /// μ⁺, where the class has boxes in the image.
    pub(crate) mu_positive: Option<f64>,
}

/// Views by image and class.
pub(crate) type Views = BTreeMap<(String, String), View>;

impl Run<'_> {
    /// Draws the heatmaps of `wanted` pairs (ids of images, each with classes of the run) by what the run
    /// holds, at most `side` pixels a side. `index` is that of the split's vectors: an image that is not as it was encoded is noted and
    /// left out, as is one that cannot be read. Nothing is written.
    ///
    /// # Errors
    /// As [`Run::explain`].
    pub(crate) fn views(
        &self,
        split: Split,
        index: &Index,
        wanted: &BTreeMap<String, Vec<String>>,
        rules: Rules,
        side: u32,
    ) -> Result<Views> {
        self.begin();
        let explainer = self.explainer_of_stored(split, rules)?;
        let cases = self.cases_as_encoded(&explainer, index, wanted)?;
        let work = &self.home.work;
        let drawn = self.for_each_case(&explainer, "heatmaps", &cases, |case| {
            match view(&explainer, case, side) {
                Err(Failure::Unreadable(error)) => {
                    work.skip(&explainer.item(case).id, &error);
                    work.left_out.fetch_add(1, Ordering::Relaxed);
                    Ok(Vec::new())
                }
                outcome => outcome,
            }
        })?;
        explainer.remarks.say(work.progress);
        let mut views = BTreeMap::new();
        for (case, drawn) in cases.iter().zip(drawn) {
            for (&class, view) in case.classes.iter().zip(drawn.into_iter().flatten()) {
                let class = explainer.model.classes[class].clone();
                views.insert((explainer.item(case).id.clone(), class), view);
            }
        }
        Ok(views)
    }

    /// The wanted pairs whose image is the file that was encoded.
    fn cases_as_encoded(
        &self,
        explainer: &Explainer,
        index: &Index,
        wanted: &BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<Case>> {
        let work = &self.home.work;
        let items: Vec<Item> = explainer.split.items.to_vec();
        let wanted_items = items.iter().filter(|item| wanted.contains_key(&item.id));
        work.seen.hash(&wanted_items.cloned().collect::<Vec<_>>(), || work.go_on())?;
        let encoded: BTreeMap<&str, &IndexedImage> =
            index.images.iter().map(|image| (&*image.id, image)).collect();
        let mut cases = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let (Some(classes), Some(image)) = (wanted.get(&item.id), encoded.get(&*item.id))
            else {
                continue;
            };
            let now = work.seen.hash_of(&item.path).map(|hash| IndexedImage::short(&hash));
            // One that cannot be read has no hash, and is noted where it is read.
            if now.is_some_and(|now| now != image.file) {
                let problem =
                    "it is not the file that was encoded, so that there is no heatmap of it";
                let error = Error::Image { path: item.path.clone(), problem: problem.into() };
                work.skip(&item.id, &error);
                work.left_out.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let classes = classes.iter().map(|name| class_index(&explainer.model.classes, name));
            cases.push(Case { item: number, classes: classes.collect::<Result<_>>()? });
        }
        Ok(cases)
    }
}

/// The views of one image, in the order of its classes.
fn view(explainer: &Explainer, case: &Case, side: u32) -> Result<Vec<View>, Failure> {
    let item = explainer.item(case);
    let examined = explainer.examine(case)?;
    let relevance = explainer.relevance(&examined, &case.classes)?;
    let photograph = explainer.photograph(&examined);
    let of_class = |(at, &class): (usize, &usize)| -> Result<View, Failure> {
        let map = explainer.pixels(&examined, &relevance, [at, class])?.map;
        // What the pixels say does not depend on boxes: a heatmap without them is right.
        let boxes = explainer.boxes(item, class, &examined).unwrap_or_default();
        Ok(View {
            photograph: small(photograph.clone(), &boxes, side)?,
            heat: small(paint(&map, map.largest()), &boxes, side)?,
            score: relevance.scores[at],
            mu_positive: context(&map, &boxes).and_then(|found| found.mu_positive),
        })
    };
    case.classes.iter().enumerate().map(of_class).collect()
}

/// A picture with boxes, made small.
fn small(mut picture: RgbImage, boxes: &[[f32; 4]], side: u32) -> Result<Vec<u8>> {
    outline(&mut picture, boxes);
    jpeg(&picture, side)
}
