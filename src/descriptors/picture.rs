//! One image as it comes to be described: its planes, or descriptors that were computed elsewhere.

use ndarray::{Array2, ArrayView2, Axis};

use super::describe::{Descriptors, Scratch};
use super::extractor::Extractor;
use super::frame::Frame;
use super::inside::{Inside, Kept};
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
    /// The areas that rows are taken from; all where there are none. It is forgotten when no row lies in them.
    pub inside: Option<Inside>,
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
        Self { width, height, content: Content::Planes(planes), inside: None }
    }
}

impl Picture {
    /// Hands the descriptors to `consume` block by block, as [`Extractor::for_each_block`] does: those whose centre
    /// lies inside, as often as they count. Where there is none, all of them; of a mirror image then none.
    pub fn for_each_block(
        &mut self,
        extractor: &Extractor,
        scratch: &mut Scratch,
        consume: &mut dyn FnMut(ArrayView2<'_, f32>, &[Frame]),
    ) {
        if let Some(inside) = self.inside.take() {
            let (mut kept, mut count) = (Kept::default(), 0);
            self.each_block(extractor, scratch, &mut |rows, frames| {
                count += inside.hand_on(rows, frames, &mut kept, consume);
            });
            if count > 0 || inside.is_mirrored() {
                self.inside = Some(inside);
                return;
            }
        }
        self.each_block(extractor, scratch, consume);
    }

    /// All blocks, whether inside or not.
    fn each_block(
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

    /// Of given descriptors, the number of each that [`for_each_block`](Self::for_each_block) hands on, in order;
    /// nothing of planes.
    pub fn origins(&mut self) -> Vec<usize> {
        let Content::Given { own, .. } = &self.content else { return Vec::new() };
        let all = (0..own.frames.len()).collect();
        let Some(inside) = &self.inside else { return all };
        let times = own.frames.iter().map(|frame| inside.times(frame)).enumerate();
        let origins: Vec<usize> =
            times.flat_map(|(number, times)| std::iter::repeat_n(number, times)).collect();
        if origins.is_empty() && !inside.is_mirrored() {
            self.inside = None;
            return all;
        }
        origins
    }

    /// Number of descriptors.
    pub fn count(&mut self, extractor: &Extractor, scratch: &mut Scratch) -> usize {
        match &self.content {
            Content::Given { own, .. } if self.inside.is_none() => own.frames.len(),
            Content::Planes(_) if extractor.keeps_all() && self.inside.is_none() => {
                extractor.count(self.width, self.height)
            }
            _ => {
                let mut count = 0;
                self.for_each_block(extractor, scratch, &mut |_, frames| count += frames.len());
                count
            }
        }
    }

    /// All descriptors at once.
    pub fn extract(mut self, extractor: &Extractor, scratch: &mut Scratch) -> Descriptors {
        match self.content {
            Content::Planes(planes) if self.inside.is_none() => extractor.extract(&planes, scratch),
            Content::Given { own, .. } if self.inside.is_none() => own,
            _ => {
                let (mut values, mut frames) = (Vec::new(), Vec::new());
                self.for_each_block(extractor, scratch, &mut |rows, of_rows| {
                    values.extend(rows.iter());
                    frames.extend_from_slice(of_rows);
                });
                let shape = (frames.len(), extractor.dim());
                let rows = Array2::from_shape_vec(shape, values).expect("one frame a row");
                Descriptors { rows, frames }
            }
        }
    }

    /// Turns left and right round. Given descriptors stay where nobody knows those of the mirror image.
    pub fn mirror(&mut self) {
        if let Some(inside) = &mut self.inside {
            inside.mirror();
        }
        match &mut self.content {
            Content::Planes(planes) => planes.iter_mut().for_each(Plane::mirror),
            Content::Given { own, mirrored: Some(mirrored) } => std::mem::swap(own, mirrored),
            Content::Given { mirrored: None, .. } => {}
        }
    }
}
