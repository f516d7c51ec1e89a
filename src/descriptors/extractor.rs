//! The extractor: from the planes of an image to blocks of descriptors, of whatever kind.

use std::sync::Arc;

use ndarray::Array2;

use super::describe::{Consume, Describe, Descriptors, Scratch};
use super::frame::Frame;
use super::kinds;
use super::params::Params;
use crate::Result;
use crate::image::{Colours, Plane};

/// Computes the descriptors of images.
///
/// ```
/// use fvtool::descriptors::{Extractor, Params, Scratch};
/// use fvtool::image::Plane;
///
/// let extractor = Extractor::new(&Params { bin_sizes_px: vec![4], ..Params::default() })?;
/// let image = Plane::from_fn(40, 30, |x, _| if x < 20 { 0.0 } else { 1.0 });
/// let descriptors = extractor.extract(&image, &mut Scratch::default());
/// // Corners of 4 × 4 bins of 4 px fit at x = 0, 3 … 27 and y = 0, 3 … 15.
/// assert_eq!(descriptors.rows.dim(), (10 * 6, 128));
/// assert_eq!((descriptors.frames[0].x, descriptors.frames[0].y), (6.0, 6.0));
/// // The only gradient points to the right: orientation 0.
/// assert!(descriptors.rows.row(5).iter().enumerate().all(|(i, v)| i % 8 == 0 || *v == 0.0));
/// # Ok::<(), fvtool::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Extractor {
    kind: Arc<dyn Describe>,
}

impl Extractor {
    /// An extractor with these settings.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] when one is outside its range.
    pub fn new(params: &Params) -> Result<Self> {
        params.validate()?;
        Ok(Self { kind: kinds::of(params) })
    }

    /// An extractor of the caller's own kind of descriptors.
    pub fn of(kind: impl Describe + 'static) -> Self {
        Self { kind: Arc::new(kind) }
    }

    /// The same extractor with every other descriptor of a grid, as on a chessboard, that of the mirror image at the mirrored
    /// place, which is the image's own with its values in another order (of colours in bins of even size, of cells a pixel
    /// further); `None` for kinds where it is not.
    pub fn chequered(&self) -> Option<Self> {
        self.kind.chequered().map(|kind| Self { kind })
    }

    /// Values in a descriptor.
    pub fn dim(&self) -> usize {
        self.kind.dim()
    }

    /// The planes of an image that it describes.
    pub fn colours(&self) -> Colours {
        self.kind.colours()
    }

    /// Whether a descriptor counts as empty: one of less contrast than the threshold, or a given one of
    /// zeros.
    pub fn is_empty(&self, frame: &Frame) -> bool {
        self.kind.is_empty(frame)
    }

    /// Number of descriptors of an image of this size, before any is left out for its contrast.
    pub fn count(&self, width: usize, height: usize) -> usize {
        self.kind.count(width, height)
    }

    /// Whether every descriptor of the grid is kept, so that [`count`](Self::count) is exact.
    pub fn keeps_all(&self) -> bool {
        self.kind.keeps_all()
    }

    /// Hands the image's descriptors to `consume` in blocks of up to [`BLOCK_ROWS`](crate::linalg::BLOCK_ROWS)
    /// rows with one frame each, so that a block is used while it is in cache. `consume` is not called when
    /// there are none. `image` holds the planes of [`colours`](Self::colours); a [`Plane`] is one. Pixels
    /// that are NaN or infinite make the descriptors that see them empty. Of kind `files` a plane has none.
    ///
    /// # Panics
    /// When there are not as many planes, of one size, or one does not hold `width · height` values.
    pub fn for_each_block(
        &self,
        image: &(impl AsRef<[Plane]> + ?Sized),
        scratch: &mut Scratch,
        consume: &mut Consume<'_>,
    ) {
        let planes = image.as_ref();
        assert_eq!(planes.len(), self.colours().planes(), "planes of an image");
        for plane in planes {
            let size = (planes[0].width, planes[0].height);
            assert_eq!((plane.width, plane.height), size, "planes of one size");
            assert_eq!(plane.values.len(), plane.width * plane.height, "size of a plane");
        }
        self.kind.for_each_block(planes, scratch, consume);
    }

    /// All descriptors of the image at once.
    ///
    /// # Panics
    /// As [`Self::for_each_block`].
    pub fn extract(
        &self,
        image: &(impl AsRef<[Plane]> + ?Sized),
        scratch: &mut Scratch,
    ) -> Descriptors {
        let most = image.as_ref().first().map_or(0, |plane| self.count(plane.width, plane.height));
        let dim = self.dim();
        let (mut values, mut frames) = (Vec::with_capacity(most * dim), Vec::with_capacity(most));
        self.for_each_block(image, scratch, &mut |rows, of_rows| {
            values.extend_from_slice(rows.as_slice().expect("blocks are contiguous"));
            frames.extend_from_slice(of_rows);
        });
        let rows = Array2::from_shape_vec((frames.len(), dim), values).expect("one frame a row");
        Descriptors { rows, frames }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Kind;
    use crate::random::Seed;

    /// Pixels at random, so wide that corners at 0, 5 … 45 of this bin size are a grid that is its own mirror image.
    fn planes(extractor: &Extractor, bin: usize) -> Vec<Plane> {
        let mut stream = Seed(3).stream("chequered", 0);
        (0..extractor.colours().planes())
            .map(|_| Plane::from_fn(46 + 3 * bin, 40, |_, _| stream.unit() as f32))
            .collect()
    }

    #[test]
    fn every_other_descriptor_is_that_of_the_mirror_image() {
        for (kind, bin) in [(Kind::Sift, 4), (Kind::Colour, 5)] {
            let params = Params { kind, bin_sizes_px: vec![bin], step_px: 5, ..Params::default() };
            let extractor = Extractor::new(&params).unwrap();
            let chequered = extractor.chequered().unwrap();
            let mut planes = planes(&extractor, bin);
            let width = planes[0].width;
            let scratch = &mut Scratch::default();
            let (own, mixed) =
                (extractor.extract(&planes, scratch), chequered.extract(&planes, scratch));
            planes.iter_mut().for_each(Plane::mirror);
            let mirrored = extractor.extract(&planes, scratch);
            let columns = own.frames.iter().take_while(|f| f.y == own.frames[0].y).count();
            assert_eq!((columns, own.frames.len() % columns), (10, 0));
            for (number, frame) in mixed.frames.iter().enumerate() {
                let (row, column) = (number / columns, number % columns);
                assert_eq!(frame.mirrored, (row + column) % 2 == 1);
                assert_eq!(frame.values()[..2], own.frames[number].values()[..2]);
                let turned = row * columns + columns - 1 - column;
                let (expected, other) = match frame.mirrored {
                    true => (mirrored.rows.row(turned), &mirrored.frames[turned]),
                    false => (own.rows.row(number), &own.frames[number]),
                };
                let [here, there] = [frame, other].map(|frame| frame.position(width, 40));
                assert!((here.x - there.x).abs() < 1e-6 && here.y == there.y);
                for (got, expected) in mixed.rows.row(number).iter().zip(&expected) {
                    assert!((got - expected).abs() < 1e-5, "{kind:?} {number}: {got} {expected}");
                }
            }
        }
    }
}
