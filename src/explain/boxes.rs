//! Boxes of annotations in the pictures that are explained, and what there is to say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::dataset::Item;
use crate::dataset::boxes::{Placed, Remark, place};
use crate::image::Photo;
use crate::progress::Progress;

/// What was done with the boxes of a split, and what could not be. Shared between workers.
#[derive(Default)]
pub(super) struct Remarks(Mutex<Found>);

#[derive(Default)]
struct Found {
    /// Ids of the images that a remark is of.
    remarks: BTreeMap<Remark, BTreeSet<String>>,
    /// Why the boxes of an image cannot be placed, by id.
    refused: BTreeMap<String, String>,
}

impl Remarks {
    /// The boxes of an item in pixels of the image as encoded.
    ///
    /// # Errors
    /// Why they cannot be placed.
    pub(super) fn place(
        &self,
        item: &Item,
        photo: &Photo,
        encoded: [usize; 2],
    ) -> Result<Vec<[f32; 4]>, String> {
        if item.objects.is_empty() {
            return Ok(Vec::new());
        }
        let upright = photo.size_in_file();
        let placed = place(&item.objects, upright, photo.orientation());
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match placed {
            Ok(Placed { bounds, remarks }) => {
                for remark in remarks {
                    found.remarks.entry(remark).or_default().insert(item.id.clone());
                }
                let [x, y] = [0, 1].map(|axis| encoded[axis] as f32 / upright[axis] as f32);
                let scaled = bounds.into_iter().map(|[left, top, right, bottom]| {
                    // Edges of pixels scale; an inclusive edge is one pixel short of its edge.
                    [left * x, top * y, (right + 1.0) * x - 1.0, (bottom + 1.0) * y - 1.0]
                });
                Ok(scaled.collect())
            }
            Err(problem) => {
                found.refused.insert(item.id.clone(), problem.clone());
                Err(problem)
            }
        }
    }

    /// Says it, once for all images.
    pub(super) fn say(&self, progress: &dyn Progress) {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let images =
            |count: usize| if count == 1 { "1 image".into() } else { format!("{count} images") };
        for (remark, ids) in &found.remarks {
            let first = ids.first().map_or("", String::as_str);
            let text =
                format!("the boxes of {} {} (first: {first})", images(ids.len()), remark.words());
            progress.note(&text);
        }
        if let Some((id, problem)) = found.refused.first_key_value() {
            let count = images(found.refused.len());
            progress
                .note(&format!("the boxes of {count} are not used; the first, {id}: {problem}"));
        }
    }
}
