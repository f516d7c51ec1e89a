//! The extractor: from the planes of an image to blocks of descriptors.

use ndarray::{Array2, ArrayView2};

use super::blocks::Blocks;
use super::colour;
use super::frame::Frame;
use super::multiscale::{self, ContrastSum, Level, Work};
use super::params::{Keep, Kind, LowContrast, Params};
use crate::Result;
use crate::image::{Colours, Plane};
use crate::linalg::BLOCK_ROWS;

/// All descriptors of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptors {
    /// `N ×` [`Extractor::dim`].
    pub rows: Array2<f32>,
    /// One frame a row.
    pub frames: Vec<Frame>,
}

/// Buffers of one worker. Keep it from image to image: after the first large one nothing is
/// allocated any more. What it holds never changes a result.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    work: Work,
    rows: Vec<f32>,
    frames: Vec<Frame>,
}

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
    params: Params,
    levels: Vec<Level>,
}

impl Extractor {
    /// An extractor with these settings.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] when one is outside its range.
    pub fn new(params: &Params) -> Result<Self> {
        params.validate()?;
        let levels = match params.kind {
            Kind::Files => Vec::new(),
            Kind::Sift | Kind::Colour => multiscale::levels(params),
        };
        Ok(Self { params: params.clone(), levels })
    }

    /// Values in a descriptor.
    pub fn dim(&self) -> usize {
        self.params.dim()
    }

    /// The planes of an image that it describes.
    pub fn colours(&self) -> Colours {
        self.params.colours()
    }

    /// Whether a descriptor counts as empty: one of less contrast than the threshold, or a given one of
    /// zeros.
    pub fn is_empty(&self, frame: &Frame) -> bool {
        match self.params.kind {
            Kind::Sift => f64::from(frame.contrast) < self.params.contrast_threshold,
            Kind::Colour => false,
            Kind::Files => frame.contrast == 0.0,
        }
    }

    /// Number of descriptors of an image of this size, before any is left out for its contrast.
    pub fn count(&self, width: usize, height: usize) -> usize {
        self.levels.iter().map(|level| level.count(width, height)).sum()
    }

    /// Whether every descriptor of the grid is kept, so that [`count`](Self::count) is exact.
    pub fn keeps_all(&self) -> bool {
        let sift = self.params.kind == Kind::Sift;
        !sift || (self.params.low_contrast != LowContrast::Drop && self.params.keep == Keep::All)
    }

    /// Hands the image's descriptors to `consume` in blocks of up to [`BLOCK_ROWS`] rows with one
    /// frame each, so that a block is used while it is in cache. `consume` is not called when there
    /// are none. `image` holds the planes of [`colours`](Self::colours); a [`Plane`] is one. Pixels
    /// that are NaN or infinite make the descriptors that see them empty. Of kind [`Kind::Files`] a plane
    /// has none.
    ///
    /// # Panics
    /// When there are not as many planes, of one size, or one does not hold `width · height` values.
    pub fn for_each_block(
        &self,
        image: &(impl AsRef<[Plane]> + ?Sized),
        scratch: &mut Scratch,
        consume: &mut dyn FnMut(ArrayView2<'_, f32>, &[Frame]),
    ) {
        let planes = image.as_ref();
        assert_eq!(planes.len(), self.colours().planes(), "planes of an image");
        for plane in planes {
            let size = (planes[0].width, planes[0].height);
            assert_eq!((plane.width, plane.height), size, "planes of one size");
            assert_eq!(plane.values.len(), plane.width * plane.height, "size of a plane");
        }
        let Scratch { work, rows, frames } = scratch;
        let least = match self.params.keep {
            Keep::All => f64::NEG_INFINITY,
            Keep::AboveMeanNorm => self.mean_contrast(planes, work),
        };
        rows.resize(BLOCK_ROWS * self.dim(), 0.0);
        frames.clear();
        let mut blocks = Blocks::new(&self.params, least, rows, frames, consume);
        let levels = &self.levels;
        match self.params.kind {
            Kind::Files => {}
            Kind::Sift => {
                multiscale::run(levels, planes, work, &mut blocks, |blocks, sift, mapping| {
                    blocks.enter(sift.bin, mapping);
                });
            }
            Kind::Colour => {
                multiscale::for_each_size(
                    levels,
                    planes,
                    work,
                    |place, planes, mapping, _, cells| {
                        blocks.enter(place.bin, mapping);
                        let planes = planes.try_into().expect("three planes");
                        colour::run(place, planes, cells, |x, y, row| {
                            blocks.push_colour(x, y, row);
                        });
                    },
                );
            }
        }
        blocks.flush();
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

    /// Mean contrast over all descriptors of the image; those that are not finite are left out.
    fn mean_contrast(&self, planes: &[Plane], work: &mut Work) -> f64 {
        let mut sum = ContrastSum { bin: 0, total: 0.0, count: 0 };
        multiscale::run(&self.levels, planes, work, &mut sum, |sum, sift, _| sum.bin = sift.bin);
        sum.total / sum.count.max(1) as f64
    }
}
