//! A photo while it is described, and what several channels need of it once.
//!
//! ```text
//! Photo ─ Looked ─┬─ colour planes, once
//!                 ├─ maps of a network at every scale, once for all channels of its file
//!                 └─ maps of the mirror image, the same
//! ```
//!
//! What is kept lives as long as the look: an image's maps are gone before the next image comes.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::pass::{Pass, Scales, Side};
use crate::descriptors::Picture;
use crate::error::Result;
use crate::image::{self, Colours, Photo};

/// A photo that is being described, by one channel or several.
#[derive(Debug)]
pub struct Looked<'p> {
    photo: &'p Photo,
    colours: RefCell<Vec<(image::Params, Rc<Picture>)>>,
    maps: RefCell<Vec<Maps>>,
}

/// What a network made of a photo.
#[derive(Debug)]
struct Maps {
    pass: Arc<Pass>,
    side: Side,
    /// The planes that it saw.
    of: Rc<Picture>,
    scales: Rc<Scales>,
}

impl<'p> Looked<'p> {
    /// Looks at a photo.
    pub fn at(photo: &'p Photo) -> Self {
        Self { photo, colours: RefCell::default(), maps: RefCell::default() }
    }

    /// Its red, green and blue as `params` scale and smooth them.
    pub(super) fn colours(&self, params: &image::Params) -> Rc<Picture> {
        let mut known = self.colours.borrow_mut();
        if let Some((_, picture)) = known.iter().find(|(of, _)| of == params) {
            return Rc::clone(picture);
        }
        let picture = Rc::new(Picture::from(self.photo.planes(params, Colours::Rgb)));
        known.push((params.clone(), Rc::clone(&picture)));
        picture
    }

    /// What a network makes of its colours, or of their mirror image, at every scale.
    pub(super) fn maps(
        &self,
        pass: &Arc<Pass>,
        params: &image::Params,
        side: Side,
    ) -> Result<Rc<Scales>> {
        let of = self.colours(params);
        let same = |maps: &&Maps| {
            Arc::ptr_eq(&maps.pass, pass) && maps.side == side && Rc::ptr_eq(&maps.of, &of)
        };
        if let Some(known) = self.maps.borrow().iter().find(same) {
            return Ok(Rc::clone(&known.scales));
        }
        let scales = Rc::new(pass.run(&of, side)?);
        let pass = Arc::clone(pass);
        self.maps.borrow_mut().push(Maps { pass, side, of, scales: Rc::clone(&scales) });
        Ok(scales)
    }
}

impl Deref for Looked<'_> {
    type Target = Photo;

    fn deref(&self) -> &Photo {
        self.photo
    }
}
