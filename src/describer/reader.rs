//! Images of a list, each read and decoded once, as they were seen first.
//!
//! ```text
//! Item ─ one read ─ same bytes as seen before? ─ decode ─ Photo ─ every channel
//! ```

use std::cell::Cell;
use std::sync::Arc;

use super::seen::Seen;
use crate::dataset::Item;
use crate::error::{Error, Result};
use crate::image::{self, Photo};

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

    /// Reads and decodes an image. A file that is refused by its first bytes alone may just have been
    /// half-written: if it is whole, it is looked at once more.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, or is not as it was seen first; [`Error::Image`] when it
    /// cannot be used.
    pub fn read(&self, item: &Item) -> Result<Photo> {
        let path = &item.path;
        let checked = Cell::new(false);
        let check = |bytes: &[u8]| {
            checked.set(true);
            self.seen.check(path, bytes)
        };
        match Photo::open_if(path, &self.image, &check) {
            Err(Error::Image { .. }) if !checked.get() => {
                self.seen.check_file(path).map_err(Error::io("read", path))?;
                Photo::open_if(path, &self.image, &check)
            }
            outcome => outcome,
        }
    }
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
