//! Images of a list, each read and decoded once, as they were seen first.
//!
//! ```text
//! Item ─ one read ─ same bytes as seen before? ─ decode ─ its areas marked ─ Photo ─ every channel
//! ```

use std::cell::Cell;
use std::sync::Arc;

use super::seen::Seen;
use crate::dataset::boxes::{Remark, place_areas};
use crate::dataset::{AreaKind, Item};
use crate::error::{Error, Result};
use crate::image::{self, Marks, Photo};

/// Reads images. Shared between workers.
#[derive(Debug, Clone)]
pub struct Reader {
    image: image::Params,
    seen: Arc<Seen>,
}

impl Reader {
    /// A reader that compares every file with what was `seen` of it.
    pub fn new(image: &image::Params, seen: &Arc<Seen>) -> Self {
        Self { image: image.clone(), seen: Arc::clone(seen) }
    }

    /// How images are decoded and scaled.
    pub fn params(&self) -> &image::Params {
        &self.image
    }

    /// Reads and decodes an image, and marks the areas of the item in it. A file that is refused by its first bytes alone may just have been
    /// half-written: if it is whole, it is looked at once more.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, or is not as it was seen first; [`Error::Image`] when it
    /// cannot be used, or an area does not lie in it.
    pub fn read(&self, item: &Item) -> Result<Photo> {
        let path = &item.path;
        let checked = Cell::new(false);
        let check = |bytes: &[u8]| {
            checked.set(true);
            self.seen.check(path, bytes)
        };
        let photo = match Photo::open_if(path, &self.image, &check) {
            Err(Error::Image { .. }) if !checked.get() => {
                self.seen.check_file(path).map_err(Error::io("read", path))?;
                Photo::open_if(path, &self.image, &check)
            }
            outcome => outcome,
        }?;
        let marks = marks_of(item, &photo).map_err(|problem| photo.refuse(problem))?;
        Ok(photo.with_marks(marks))
    }
}

/// The areas of an item, placed in its image.
fn marks_of(item: &Item, photo: &Photo) -> Result<Marks, String> {
    let mut marks = Marks::default();
    for kind in AreaKind::ALL {
        let placed = place_areas(item.areas.of(kind), photo.size_in_file(), photo.orientation())?;
        // Inclusive edges are a pixel short of the edges of an area.
        let edges = placed
            .bounds
            .iter()
            .map(|&[left, top, right, bottom]| [left, top, right + 1.0, bottom + 1.0]);
        let to = match kind {
            AreaKind::Boxes => &mut marks.boxes,
            AreaKind::Parts => &mut marks.parts,
        };
        to.extend(edges);
        marks.cut |= placed.remarks.contains(&Remark::Cut);
        marks.undecided |= placed.remarks.contains(&Remark::Undecided);
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RgbImage;

    #[test]
    fn a_file_is_used_as_it_was_seen_first_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let draw = |value: u8| {
            let pixels = RgbImage::from_pixel(5, 4, [value; 3].into());
            pixels.save(&path).unwrap();
            Photo::from(pixels).rgb(&Default::default())
        };
        let (item, seen) = (Item::of_file(&path), Arc::new(Seen::default()));
        let reader = Reader::new(&Default::default(), &seen);
        let first = draw(7);
        seen.hash(std::slice::from_ref(&item), || Ok(())).unwrap();
        assert_eq!(reader.read(&item).unwrap().rgb(reader.params()), first);
        let second = draw(8);
        let refused = reader.read(&item).unwrap_err().to_string();
        assert!(refused.contains("has changed since this command looked"), "{refused}");
        seen.forget();
        assert_eq!(reader.read(&item).unwrap().rgb(reader.params()), second);
    }
}
