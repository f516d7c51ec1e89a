//! A decoded image: one decode serves every use of it.
//!
//! ```text
//! file ─ read once ─ decode ─ value range ─ turn upright ─ Photo ┬ planes: colour → size → smoothing
//! bytes ─────────────┘             │                             └ rgb: on white → size
//! pixels in memory ────────────────┘
//! ```
//!
//! A photo keeps the pixels at full size in their own type; planes are made of them for each use.

use std::fmt;
use std::path::{Path, PathBuf};

use ::image::{DynamicImage, Rgb, RgbImage};

use super::colours::Colours;
use super::decode::{Check, Decoded, Remarks, decode, of_bytes, of_pixels};
use super::marks::Marks;
use super::params::Params;
use super::plane::Plane;
use super::planes::{luminance, opponent, red_green_blue};
use super::resize::{Resizer, resize};
use super::smooth::smooth;
use crate::{Error, Result};

/// EXIF's number of an upright image.
const UPRIGHT: u8 = 1;

/// A decoded image, upright.
///
/// ```
/// use fvtool::image::{Colours, Params, Photo, RgbImage};
///
/// let photo = Photo::from(RgbImage::new(6, 4));
/// let planes = photo.planes(&Params::default(), Colours::Luminance);
/// assert_eq!((planes[0].width, planes[0].height), (6, 4));
/// ```
#[derive(Clone, PartialEq)]
pub struct Photo {
    pixels: DynamicImage,
    orientation: u8,
    remarks: Remarks,
    path: Option<PathBuf>,
    marks: Marks,
}

impl fmt::Debug for Photo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Photo");
        shown.field("path", &self.path).field("size_in_file", &self.size_in_file());
        shown.field("orientation", &self.orientation).field("remarks", &self.remarks);
        shown.finish_non_exhaustive()
    }
}

/// Pixels from memory, black at 0 and white at the largest number of their type (1 for floats; what lies
/// outside is cut). For another range use [`Photo::from_pixels`].
impl From<DynamicImage> for Photo {
    fn from(pixels: DynamicImage) -> Self {
        let (remarks, marks) = Default::default();
        Self { pixels, orientation: UPRIGHT, remarks, path: None, marks }
    }
}

/// Pixels from memory: the same photo as from a lossless file of them.
impl From<RgbImage> for Photo {
    fn from(pixels: RgbImage) -> Self {
        Self::from(DynamicImage::from(pixels))
    }
}

impl Photo {
    /// Reads and decodes a file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Image`] when it is empty, cut short, damaged,
    /// of no known format, larger than `max_megapixels`, or has values outside `value_range`.
    pub fn open(path: &Path, params: &Params) -> Result<Self> {
        Self::open_if(path, params, &|_| Ok(()))
    }

    /// As [`open`](Self::open), if `check` lets the bytes of the file pass. It sees the bytes that are
    /// decoded: a file may change between two readings.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Io`] with what `check` says.
    pub fn open_if(path: &Path, params: &Params, check: Check<'_>) -> Result<Self> {
        Ok(Self::new(decode(path, params, check)?, Some(path.to_owned())))
    }

    /// Decodes the bytes of a file.
    ///
    /// # Errors
    /// [`Error::InMemory`] where [`open`](Self::open) gives [`Error::Image`].
    pub fn from_bytes(bytes: Vec<u8>, params: &Params) -> Result<Self> {
        let decoded = of_bytes(bytes, params).map_err(|problem| Error::InMemory { problem })?;
        Ok(Self::new(decoded, None))
    }

    /// Takes pixels as they would be read from a lossless file: size and values are checked, and black
    /// and white are where `params` say.
    ///
    /// # Errors
    /// [`Error::InMemory`] when there is no pixel, there are more than `max_megapixels`, or values lie
    /// outside `value_range`.
    pub fn from_pixels(pixels: impl Into<DynamicImage>, params: &Params) -> Result<Self> {
        let decoded =
            of_pixels(pixels.into(), params).map_err(|problem| Error::InMemory { problem })?;
        Ok(Self::new(decoded, None))
    }

    fn new(decoded: Decoded, path: Option<PathBuf>) -> Self {
        let Decoded { image: pixels, orientation, remarks } = decoded;
        Self { pixels, orientation, remarks, path, marks: Marks::default() }
    }

    /// The same photo with marked areas, which descriptors may be taken from (`descriptors.within`).
    #[must_use]
    pub fn with_marks(self, marks: Marks) -> Self {
        Self { marks, ..self }
    }

    /// The areas that it was marked with.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Width and height in pixels of the upright image, before it is scaled. Annotations are written in
    /// these pixels.
    pub fn size_in_file(&self) -> [usize; 2] {
        [self.pixels.width() as usize, self.pixels.height() as usize]
    }

    /// Width and height in pixels at which the image is looked at.
    pub fn fitted(&self, params: &Params) -> [usize; 2] {
        match self.size_in_file() {
            [0, height] => [0, height],
            [width, 0] => [width, 0],
            size => params.fitted(size),
        }
    }

    /// EXIF's number of the orientation that the decoder found in the file and undid: 1 (upright) to 8.
    /// 1 where the file states none.
    pub fn orientation(&self) -> u8 {
        self.orientation
    }

    /// What should be said of the file.
    pub fn remarks(&self) -> Remarks {
        self.remarks
    }

    /// The planes of `colours`, scaled to [`fitted`](Self::fitted) and smoothed as `params` say.
    pub fn planes(&self, params: &Params, colours: Colours) -> Vec<Plane> {
        let (size, [width, height]) = (self.size_in_file(), self.fitted(params));
        let finish = |plane: Plane| {
            let plane = match size == [width, height] {
                true => plane,
                false => resize(&plane, width, height),
            };
            let sigma = params.presmoothing_px;
            if sigma > 0.0 { smooth(&plane, sigma) } else { plane }
        };
        let image = &self.pixels;
        let planes = match colours {
            Colours::Luminance => vec![luminance(image)],
            Colours::Rgb => red_green_blue(image).into(),
            Colours::RedGreen => vec![opponent(image, |r, g, _| (r - g) / 2.0f32.sqrt())],
            Colours::YellowBlue => {
                vec![opponent(image, |r, g, b| (r + g - 2.0 * b) / 6.0f32.sqrt())]
            }
        };
        planes.into_iter().map(finish).collect()
    }

    /// The image in colour, for pictures shown to people: of the size of [`planes`](Self::planes), never
    /// smoothed.
    pub fn rgb(&self, params: &Params) -> RgbImage {
        let rgb = if self.pixels.color().has_alpha() {
            let rgba = self.pixels.to_rgba8();
            let on_white = rgba.pixels().map(|p| {
                let [r, g, b, a] = p.0.map(u32::from);
                Rgb([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8))
            });
            let pixels: Vec<u8> = on_white.flat_map(|p| p.0).collect();
            RgbImage::from_raw(rgba.width(), rgba.height(), pixels).expect("three bytes a pixel")
        } else {
            self.pixels.to_rgb8()
        };
        let (from, to) = (self.size_in_file(), self.fitted(params));
        if from == to {
            return rgb;
        }
        let mut resized = RgbImage::new(to[0] as u32, to[1] as u32);
        Resizer::default().rgb_into(rgb.as_raw(), from.into(), resized.as_mut(), to.into());
        resized
    }

    /// The error of an image that cannot be used; it names the file, where there is one.
    pub fn refuse(&self, problem: String) -> Error {
        match &self.path {
            Some(path) => Error::Image { path: path.clone(), problem },
            None => Error::InMemory { problem },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ::image::{ImageFormat, Luma};

    use super::*;
    use crate::image::ValueRange;

    fn gradient() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x + y) as u8]))
    }

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn pixels_in_memory_are_those_of_a_lossless_file() {
        let colours = [Colours::Luminance, Colours::Rgb, Colours::RedGreen, Colours::YellowBlue];
        let params = Params {
            min_height_px: 45,
            presmoothing_px: 0.7,
            value_range: ValueRange::Given([0.0, 255.0]),
            ..Params::default()
        };
        let image = DynamicImage::from(gradient());
        let file = Photo::from_bytes(png(&image), &params).unwrap();
        assert_eq!(file.fitted(&params), [60, 45]);
        for photo in [Photo::from(gradient()), Photo::from_pixels(gradient(), &params).unwrap()] {
            assert_eq!(photo.orientation(), 1);
            for colours in colours {
                assert_eq!(photo.planes(&params, colours), file.planes(&params, colours));
            }
            assert_eq!(photo.rgb(&params), file.rgb(&params));
        }
        // 12 bits in 16, dark, black and white where the settings say.
        let deep = ::image::ImageBuffer::from_fn(9, 7, |x, y| Luma([(x * y) as u16]));
        let deep = DynamicImage::ImageLuma16(deep);
        let params = Params { value_range: ValueRange::Given([0.0, 4095.0]), ..Params::default() };
        let photo = Photo::from_pixels(deep.clone(), &params).unwrap();
        assert_eq!(photo, Photo::from_bytes(png(&deep), &params).unwrap());
        assert!(photo.remarks().dark.is_some());
    }

    #[test]
    fn what_is_wrong_with_an_image_in_memory_names_no_file() {
        let few = Params { max_megapixels: 1e-4, ..Params::default() };
        let error = Photo::from_pixels(gradient(), &few).unwrap_err().to_string();
        assert!(error.starts_with("image in memory: 40 × 30 pixels are more than"), "{error}");
        let error = Photo::from_bytes(b"GIF89a".to_vec(), &few).unwrap_err().to_string();
        assert!(error.starts_with("image in memory: "), "{error}");
        let empty = Photo::from_pixels(RgbImage::new(0, 0), &Params::default());
        assert!(matches!(empty, Err(Error::InMemory { .. })));
    }

    #[test]
    fn an_image_without_pixels_has_planes_without_values() {
        let params = Params { min_height_px: 10, presmoothing_px: 1.0, ..Params::default() };
        for size in [[0, 0], [0, 5], [5, 0]] {
            let photo = Photo::from(RgbImage::new(size[0] as u32, size[1] as u32));
            assert_eq!(photo.fitted(&params), size);
            for plane in photo.planes(&params, Colours::Rgb) {
                assert_eq!([plane.width, plane.height], size);
            }
            assert_eq!(photo.rgb(&params).as_raw().len(), 0);
        }
    }
}
