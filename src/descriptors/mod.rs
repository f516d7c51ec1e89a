//! Local descriptors of an image: dense SIFT or colour statistics at several scales, or given ones.
//!
//! | kind | of | values |
//! |---|---|---|
//! | `sift` | luminance, or an opponent colour | 128: 4 × 4 spatial bins of 8 gradient orientations, `t + 8 (bx + 4 by)` for orientation `t` and bin (`bx`, `by`) |
//! | `colour` | red, green, blue | 96: mean and deviation of each in 4 × 4 cells, `c + 3·(0 mean, 1 deviation) + 6 (bx + 4 by)` |
//! | `files` | whatever another program describes | `dimension`, as they are |
//!
//! The formulas stand where they are computed: `dense_sift` (gradient, orientation, pooling), `colour`
//! (statistics), `multiscale` (scales, grids, centres), `normalise` (contrast, unit length).
//!
//! Descriptors come in a fixed order: resize factors and bin sizes as the settings list them, then
//! rows from the top, then columns from the left. An image too small for a descriptor has none,
//! which is not an error.

mod colour;
mod dense_sift;
pub mod memory;
mod multiscale;
mod normalise;
mod picture;
pub mod sample;

use std::path::PathBuf;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::image::{Colours, Plane};
use crate::linalg::BLOCK_ROWS;
use crate::parameters::{one_or_more, zero_or};
use crate::position::Position;
use crate::{Error, Result};
use dense_sift::Sink;
use multiscale::{ContrastSum, Level, Mapping, Work};

pub use picture::{Content, Picture};

/// Values in a SIFT descriptor.
pub const DIM: usize = 128;

/// What is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Gradient orientations of the luminance.
    Sift,
    /// Means and deviations of red, green and blue.
    Colour,
    /// Computed elsewhere, read from a file for each image.
    Files,
}

/// What the gradients of `sift` are of; the opponent colours are those of SGS10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Luminance.
    Luminance,
    /// `(R − G)/√2`.
    RedGreen,
    /// `(R + G − 2B)/√6`.
    YellowBlue,
}

/// Weight of a pixel by its distance from the descriptor's centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// One weight per spatial bin, the mean of the Gaussian over it (VLFeat's fast version).
    Flat,
    /// A Gaussian evaluated at every pixel.
    Gaussian,
}

/// What becomes of a descriptor whose contrast is under the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LowContrast {
    /// It stays as a row of zeros and keeps its frame, as in VLFeat.
    Zero,
    /// It is left out.
    Drop,
    /// It is scaled by contrast / threshold, so it fades to zero.
    Weight,
}

/// How a descriptor is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Unit length, values cut at 0.2, unit length again.
    Sift,
    /// The square root of the SIFT descriptor divided by its sum.
    RootSift,
}

/// Which descriptors are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// All of them.
    All,
    /// Only those whose contrast exceeds the mean contrast over all descriptors of their image, low
    /// ones included. Takes a second pass.
    AboveMeanNorm,
}

crate::parameters! {
    /// Which descriptors an image has. Config group `descriptors`. The defaults are those of
    /// Chatfield et al. 2011.
    #[group = "descriptors"]
    pub struct Params {
        /// `sift` (128 values, of the luminance), `colour` (mean and deviation of red, green and blue
        /// in the same 4 × 4 cells, 96 values), or `files` (your own).
        pub kind: Kind = Kind::Sift;
        /// The folder with a file `<id>.npy` for each image: an f32 array with one row for each
        /// descriptor. A row holds the column and row of its centre and the side of the square that
        /// it sees, in pixels of the upright image in its file, then its values.
        pub folder: PathBuf = PathBuf::new(), when "kind = files": |p| p.kind == Kind::Files;
        /// Values of a descriptor.
        pub dimension: usize = DIM, in 1..=4096, when "kind = files": |p| p.kind == Kind::Files;
        /// What the gradients of `sift` are of: `luminance`, or the opponent colours `red-green` and
        /// `yellow-blue`.
        pub plane: Seen = Seen::Luminance, when "kind = sift": |p| p.kind == Kind::Sift;
        /// Width of a spatial bin in pixels, one entry per scale. A descriptor spans about four bins.
        pub bin_sizes_px: Vec<usize> = vec![4, 6, 8, 10], in one_or_more(1..=256),
            when "kind = sift or colour": |p| p.kind != Kind::Files;
        /// Factors by which the image is resized, one entry per scale. Every bin size is computed at
        /// every factor.
        pub scales: Vec<f64> = vec![1.0], in one_or_more(0.01..=8.0),
            when "kind = sift or colour": |p| p.kind != Kind::Files;
        /// Distance between neighbouring descriptors in pixels of the resized image.
        pub step_px: usize = 3, in 1..=256,
            when "kind = sift or colour": |p| p.kind != Kind::Files;
        /// How the weight of a pixel falls with its distance from the centre: `flat` (one weight per
        /// spatial bin) or `gaussian`.
        pub window: Window = Window::Flat, when "kind = sift": |p| p.kind == Kind::Sift;
        /// Standard deviation of that weight in bins.
        pub window_size: f64 = 1.5, in 0.1..=100.0, when "kind = sift": |p| p.kind == Kind::Sift;
        /// The image is smoothed with standard deviation bin size / magnif before each scale; 0 leaves
        /// smoothing out.
        pub magnif: f64 = 6.0, in zero_or(1.0..=1000.0),
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// Descriptors of lower contrast count as empty; in luminance (0 to 1) per pixel.
        pub contrast_threshold: f64 = 0.005, in 0.0..=1.0,
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// What becomes of empty descriptors: `zero` keeps a row of zeros, `drop` leaves them out, and
        /// `weight` multiplies them by contrast / threshold.
        pub low_contrast: LowContrast = LowContrast::Zero,
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// `sift` (unit length, cut at 0.2, unit length) or `root-sift` (its square root).
        pub normalisation: Normalisation = Normalisation::Sift,
            when "kind = sift": |p| p.kind == Kind::Sift;
        /// `all` descriptors, or those `above-mean-norm`: of more contrast than the mean of their
        /// image.
        pub keep: Keep = Keep::All, when "kind = sift": |p| p.kind == Kind::Sift;
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        let (key, folder) = ("descriptors.folder", self.folder.display());
        let named = self.kind != Kind::Files || !self.folder.as_os_str().is_empty();
        let value = if named { folder.to_string() } else { "empty".into() };
        let range = "a folder of .npy files when descriptors.kind is files";
        Error::require(named, key, value, range)?;
        self.check_ranges()
    }

    /// The planes of an image that are described.
    pub fn colours(&self) -> Colours {
        match (self.kind, self.plane) {
            (Kind::Colour, _) => Colours::Rgb,
            (Kind::Files, _) | (Kind::Sift, Seen::Luminance) => Colours::Luminance,
            (Kind::Sift, Seen::RedGreen) => Colours::RedGreen,
            (Kind::Sift, Seen::YellowBlue) => Colours::YellowBlue,
        }
    }

    /// Values in a descriptor.
    pub fn dim(&self) -> usize {
        match self.kind {
            Kind::Sift => DIM,
            Kind::Colour => colour::DIM,
            Kind::Files => self.dimension,
        }
    }
}

/// Where a descriptor stands, in pixels of the image as it was given (before any resize factor).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Column of the centre.
    pub x: f32,
    /// Row of the centre.
    pub y: f32,
    /// Contrast norm (`sift`; 0 where it is not a number), mean deviation (`colour`) or length (`files`).
    pub contrast: f32,
    /// Width of a spatial bin. A descriptor sees `5 · size_px` pixels along each axis, with
    /// weights falling off outside the middle three.
    pub size_px: f32,
}

impl Frame {
    /// Where it lies in an image of this size; a pixel's centre is half a pixel in.
    pub fn position(&self, width: usize, height: usize) -> Position {
        let (width, height) = (width as f32, height as f32);
        Position {
            x: (self.x + 0.5) / width,
            y: (self.y + 0.5) / height,
            scale: self.size_px / (width * height).sqrt(),
        }
    }

    /// The positions of frames in an image of this size.
    pub fn positions(frames: &[Self], width: usize, height: usize) -> Vec<Position> {
        frames.iter().map(|frame| frame.position(width, height)).collect()
    }

    /// As it is stored: x, y, contrast, bin width.
    pub fn values(&self) -> [f32; 4] {
        [self.x, self.y, self.contrast, self.size_px]
    }
}

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
    /// [`Error::Setting`] when one is outside its range.
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
        let mapping = Mapping::IDENTITY;
        let mut blocks = Blocks {
            params: &self.params,
            least,
            bin: 0,
            size_px: 0.0,
            mapping,
            rows,
            frames,
            consume,
        };
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

/// Finishes descriptors and gathers them into blocks.
struct Blocks<'a> {
    params: &'a Params,
    /// Descriptors of this contrast or less are left out.
    least: f64,
    bin: usize,
    size_px: f32,
    mapping: Mapping,
    rows: &'a mut [f32],
    frames: &'a mut Vec<Frame>,
    consume: &'a mut dyn FnMut(ArrayView2<'_, f32>, &[Frame]),
}

impl Sink for Blocks<'_> {
    #[inline(always)]
    fn push(&mut self, x: usize, y: usize, raw: &[f32; DIM]) {
        let contrast = normalise::contrast(raw, self.bin);
        let contrast = if contrast.is_finite() { contrast } else { 0.0 };
        if f64::from(contrast) <= self.least {
            return;
        }
        let enough = f64::from(contrast) >= self.params.contrast_threshold;
        if !enough && self.params.low_contrast == LowContrast::Weight {
            return self.push_weighed(x, y, contrast, raw);
        }
        let finished =
            if enough { normalise::finish(raw, self.params.normalisation) } else { None };
        if finished.is_none() && self.params.low_contrast == LowContrast::Drop {
            return;
        }
        self.add(x, y, contrast, &finished.unwrap_or([0.0; DIM]));
    }
}

impl Blocks<'_> {
    /// The descriptors that follow are of this bin size at this level.
    fn enter(&mut self, bin: usize, mapping: Mapping) {
        self.bin = bin;
        self.size_px = mapping.length(bin as f64);
        self.mapping = mapping;
    }

    /// A descriptor of too little contrast, by its share of the threshold.
    #[cold]
    #[inline(never)]
    fn push_weighed(&mut self, x: usize, y: usize, contrast: f32, raw: &[f32; DIM]) {
        let weight = contrast / self.params.contrast_threshold as f32;
        let finished = normalise::finish(raw, self.params.normalisation).unwrap_or([0.0; DIM]);
        self.add(x, y, contrast, &finished.map(|value| value * weight));
    }

    fn push_colour(&mut self, x: usize, y: usize, row: &[f32; colour::DIM]) {
        if row.iter().all(|value| value.is_finite()) {
            self.add(x, y, colour::deviation(row), row);
        } else {
            self.add(x, y, 0.0, &[0.0; colour::DIM]);
        }
    }

    #[inline(always)]
    fn add<const D: usize>(&mut self, x: usize, y: usize, contrast: f32, row: &[f32; D]) {
        self.rows.as_chunks_mut::<D>().0[self.frames.len()] = *row;
        let to_centre = 1.5 * self.bin as f64;
        self.frames.push(Frame {
            x: self.mapping.x(x as f64 + to_centre),
            y: self.mapping.y(y as f64 + to_centre),
            contrast,
            size_px: self.size_px,
        });
        if self.frames.len() == BLOCK_ROWS {
            self.flush();
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        let n = self.frames.len();
        if n > 0 {
            let dim = self.params.dim();
            let rows = ArrayView2::from_shape((n, dim), &self.rows[..n * dim]).expect("n rows");
            (self.consume)(rows, self.frames);
            self.frames.clear();
        }
    }
}
