//! One image as it comes to be described: its planes, or descriptors that were computed elsewhere.

use ndarray::{ArrayView2, Axis};

use super::describe::{Descriptors, Scratch};
use super::extractor::Extractor;
use super::frame::Frame;
use crate::image::Plane;
use crate::linalg::BLOCK_ROWS;

/// An image, its size and what stands for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// What its descriptors are made of.
    pub content: Content,
}

/// What the descriptors of a [`Picture`] are made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// The planes of [`Extractor::colours`], of the picture's size.
    Planes(Vec<Plane>),
    /// Descriptors that are there already, their frames in pixels of the picture.
    Given {
        /// Those of the image.
        own: Descriptors,
        /// Those of its mirror image, where they are known.
        mirrored: Option<Descriptors>,
    },
}

impl From<Vec<Plane>> for Picture {
    /// # Panics
    /// When there is no plane.
    fn from(planes: Vec<Plane>) -> Self {
        let (width, height) = (planes[0].width, planes[0].height);
        Self { width, height, content: Content::Planes(planes) }
    }
}

impl Picture {
    /// Hands the descriptors to `consume` block by block, as [`Extractor::for_each_block`] does.
    pub fn for_each_block(
        &self,
        extractor: &Extractor,
        scratch: &mut Scratch,
        consume: &mut dyn FnMut(ArrayView2<'_, f32>, &[Frame]),
    ) {
        match &self.content {
            Content::Planes(planes) => extractor.for_each_block(planes, scratch, consume),
            Content::Given { own: given, .. } => {
                let rows = given.rows.axis_chunks_iter(Axis(0), BLOCK_ROWS);
                rows.zip(given.frames.chunks(BLOCK_ROWS))
                    .for_each(|(rows, frames)| consume(rows, frames));
            }
        }
    }

    /// Number of descriptors.
    pub fn count(&self, extractor: &Extractor, scratch: &mut Scratch) -> usize {
        match &self.content {
            Content::Given { own, .. } => own.frames.len(),
            Content::Planes(_) if extractor.keeps_all() => extractor.count(self.width, self.height),
            Content::Planes(_) => {
                let mut count = 0;
                self.for_each_block(extractor, scratch, &mut |_, frames| count += frames.len());
                count
            }
        }
    }

    /// All descriptors at once.
    pub fn extract(self, extractor: &Extractor, scratch: &mut Scratch) -> Descriptors {
        match self.content {
            Content::Planes(planes) => extractor.extract(&planes, scratch),
            Content::Given { own, .. } => own,
        }
    }

    /// Turns left and right round. Given descriptors stay where nobody knows those of the mirror image.
    pub fn mirror(&mut self) {
        match &mut self.content {
            Content::Planes(planes) => planes.iter_mut().for_each(Plane::mirror),
            Content::Given { own, mirrored: Some(mirrored) } => std::mem::swap(own, mirrored),
            Content::Given { mirrored: None, .. } => {}
        }
    }
}
