//! What a kind of descriptor is: planes of an image in, rows with a frame each out.
//!
//! ```text
//! C planes of W × H ─ describe ─ blocks of up to BLOCK_ROWS rows × dim, one frame a row
//! ```

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};

use super::frame::Frame;
use super::multiscale::Work;
use crate::image::{Colours, Plane};

/// What takes descriptors, a block at a time while it is in cache: rows (`n × dim`), a frame each.
pub type Consume<'c> = dyn FnMut(ArrayView2<'_, f32>, &[Frame]) + 'c;

/// A kind of descriptor. docs/EXTENDING.md adds one.
pub trait Describe: std::fmt::Debug + Send + Sync {
    /// Values in a descriptor.
    fn dim(&self) -> usize;

    /// The planes of an image that it describes.
    fn colours(&self) -> Colours;

    /// Number of descriptors of an image of `width` × `height` pixels, before any is left out.
    fn count(&self, width: usize, height: usize) -> usize;

    /// Whether none is ever left out, so that [`count`](Self::count) is exact.
    fn keeps_all(&self) -> bool {
        true
    }

    /// Whether a descriptor says nothing.
    fn is_empty(&self, frame: &Frame) -> bool {
        frame.contrast == 0.0
    }

    /// The same kind with every other descriptor, as on a chessboard, that of the mirror image at the mirrored place;
    /// `None` where that does not follow from the image's own.
    fn chequered(&self) -> Option<Arc<dyn Describe>> {
        None
    }

    /// Hands the descriptors of an image to `consume`, always in the same order, in blocks of at most
    /// [`BLOCK_ROWS`](crate::linalg::BLOCK_ROWS) rows. `planes` are those of [`colours`](Self::colours),
    /// all of one size. It is not called when there are none.
    fn for_each_block(&self, planes: &[Plane], scratch: &mut Scratch, consume: &mut Consume<'_>);
}

/// All descriptors of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptors {
    /// `N × dim`.
    pub rows: Array2<f32>,
    /// One frame a row.
    pub frames: Vec<Frame>,
}

/// Buffers of one worker. Keep it from image to image: after the first large one nothing is
/// allocated any more. What it holds never changes a result.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub(super) work: Work,
    pub(super) rows: Vec<f32>,
    pub(super) frames: Vec<Frame>,
}
