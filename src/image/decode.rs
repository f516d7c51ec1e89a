//! Decoding of image files, with every way a file can be bad turned into [`Error::Image`].
//!
//! PNG, JPEG, WebP, TIFF, BMP, GIF and PNM; of several frames or pages the first full one. A file that
//! is cut short or damaged is refused, though its decoder might fill the missing part with grey: a
//! descriptor of invented pixels is worse than a named file. A panic of a decoder is an error too.

use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::kinds::{Kind, MAGIC_BYTES, kind_of};
use super::params::Params;
use super::range::{self, Dark};
use super::{frames, jpeg, netpbm, panics, tiff};
use crate::{Error, Result, files};

/// Bytes a pixel of the largest pixel type (RGBA in f32), and as much again for the decoder.
const BYTES_PER_PIXEL: u64 = 32;
/// What a decoder may need whatever the size of the image: tables, a colour profile.
const BYTES_BASE: u64 = 8 << 20;
/// A file of more bytes a pixel than RGBA in f32 has is no image of its size.
const FILE_BYTES_PER_PIXEL: u64 = 16;
/// Up to this many bytes a file is read whole before anything is known of it.
const SMALL_FILE: u64 = 16 << 20;

/// What a file has of its own that its user may not expect.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Remarks {
    /// Whether there are further frames or pages, which are not looked at.
    pub several_pictures: bool,
    /// The largest value and white, where an image of more than 8 bits uses less than an eighth of
    /// its range: its values may be of another.
    pub dark: Option<[f64; 2]>,
}

/// A decoded file, upright.
pub(super) struct Decoded {
    pub(super) image: DynamicImage,
    /// EXIF's number of how it lay in the file, 1 to 8.
    pub(super) orientation: u8,
    pub(super) remarks: Remarks,
}

/// What looks at the bytes of a file before they are decoded.
pub type Check<'a> = &'a dyn Fn(&[u8]) -> std::io::Result<()>;

/// Width and height that an image file states, as they lie in it; nothing is decoded.
///
/// # Errors
/// As [`Photo::open`](super::Photo::open), as far as the head of the file tells.
pub fn stated_size(path: &Path) -> Result<[usize; 2]> {
    let (file, _) = files::open(path).map_err(Error::io("read", path))?;
    let mut file = BufReader::new(file);
    let mut start = Vec::new();
    let read = file.by_ref().take(MAGIC_BYTES).read_to_end(&mut start).and_then(|_| file.rewind());
    read.map_err(Error::io("read", path))?;
    let size = kind_of(&start).and_then(|kind| panics::caught(|| size_of(kind, &start, file)));
    size.map_err(|problem| Error::Image { path: path.to_owned(), problem })
}

/// Most bytes that the file of an image of this size may have.
pub(crate) fn most_file_bytes([width, height]: [usize; 2]) -> u64 {
    SMALL_FILE + FILE_BYTES_PER_PIXEL * width as u64 * height as u64
}

/// The image of a file, decoded and upright. The file is read once.
pub(super) fn decode(path: &Path, params: &Params, check: Check<'_>) -> Result<Decoded> {
    let refuse = |problem: String| Error::Image { path: path.to_owned(), problem };
    let (_, size) = files::open(path).map_err(Error::io("read", path))?;
    let mut most = SMALL_FILE;
    if size > SMALL_FILE {
        // Whatever it is called, a film or a disk image is not read for its first bytes, nor a
        // large file for a small picture.
        let stated = stated_size(path)?;
        check_size(stated, params).map_err(refuse)?;
        most = most_file_bytes(stated);
        if size > most {
            let [width, height] = stated;
            return Err(refuse(format!(
                "a file of {size} bytes for {width} × {height} pixels; what is attached to the \
                 picture is more than is read, save it without"
            )));
        }
    }
    let bytes = files::read(path, most).map_err(Error::io("read", path))?;
    check(&bytes).map_err(Error::io("read", path))?;
    of_bytes(bytes, params).map_err(refuse)
}

/// The image of a file's bytes, decoded and upright; the error says why not.
pub(super) fn of_bytes(bytes: Vec<u8>, params: &Params) -> Result<Decoded, String> {
    panics::caught(|| decode_bytes(bytes, params))
}

/// The image of pixels that are there already, as they would be read from a lossless file.
pub(super) fn of_pixels(image: DynamicImage, params: &Params) -> Result<Decoded, String> {
    check_size([image.width() as usize, image.height() as usize], params)?;
    let (image, dark) = range::settled_in_memory(image, params.value_range)?;
    let remarks = Remarks { several_pictures: false, dark };
    Ok(Decoded { image, orientation: Orientation::NoTransforms.to_exif(), remarks })
}

/// Refuses an image of too many pixels, or of none.
fn check_size([width, height]: [usize; 2], params: &Params) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("the image has {width} × {height} pixels"));
    }
    let limit = params.max_megapixels;
    if width as u64 * height as u64 > (limit * 1e6) as u64 {
        return Err(format!(
            "{width} × {height} pixels are more than `image.max_megapixels` = {limit} allows"
        ));
    }
    Ok(())
}

/// The size that a file of this kind states.
fn size_of(
    kind: Kind,
    start: &[u8],
    mut file: impl std::io::BufRead + Seek,
) -> Result<[usize; 2], String> {
    match kind {
        Kind::Jpeg => jpeg::stated_size(&mut file),
        Kind::Tiff => tiff::stated_size(file),
        Kind::Pfm => netpbm::stated_size(start),
        Kind::Other(format) => {
            let mut reader = ImageReader::with_format(file, format);
            reader.limits(limits(0));
            let (width, height) = reader.into_dimensions().map_err(undecodable)?;
            Ok([width as usize, height as usize])
        }
    }
}

/// For the decoder of an image of so many pixels.
fn limits(pixels: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(BYTES_BASE + BYTES_PER_PIXEL * pixels);
    limits
}

fn undecodable(error: ImageError) -> String {
    match error {
        ImageError::Limits(_) => {
            let most = BYTES_BASE >> 20;
            format!(
                "what is attached to the picture takes more than {most} MB, or its frames are larger \
                 than it states"
            )
        }
        other => format!("cannot be decoded: {other}"),
    }
}

/// The decoded image, upright; the error says why not.
fn decode_bytes(bytes: Vec<u8>, params: &Params) -> Result<Decoded, String> {
    let kind = kind_of(&bytes)?;
    let range = params.value_range;
    let check = |width: usize, height: usize| check_size([width, height], params);
    let mut several_pictures = false;
    let (image, orientation, mut dark): (_, _, Option<Dark>) = match kind {
        Kind::Jpeg => {
            let (image, orientation) = jpeg::decode(&bytes, check)?;
            (image, orientation, None)
        }
        Kind::Tiff => {
            let page = tiff::decode(bytes, range, BYTES_BASE, check)?;
            several_pictures = page.pages > 1;
            (page.image, page.orientation, page.dark)
        }
        Kind::Pfm => {
            let (image, dark) = netpbm::decode(&bytes, range, check)?;
            (image, Orientation::NoTransforms, dark)
        }
        Kind::Other(format) => {
            several_pictures = frames::frames(&bytes, format) > 1;
            let (image, orientation) = decode_other(&bytes, format, params)?;
            (image, orientation, None)
        }
    };
    let (mut image, of_integers) = range::settled(image, range)?;
    dark = dark.or(of_integers);
    image.apply_orientation(orientation);
    let remarks = Remarks { several_pictures, dark };
    Ok(Decoded { image, orientation: orientation.to_exif(), remarks })
}

/// What the `image` crate decodes by itself.
fn decode_other(
    bytes: &[u8],
    format: ImageFormat,
    params: &Params,
) -> Result<(DynamicImage, Orientation), String> {
    let size = size_of(Kind::Other(format), bytes, Cursor::new(bytes))?;
    check_size(size, params)?;
    if format == ImageFormat::Pnm {
        netpbm::check_samples(bytes)?;
    }
    // Its decoder goes on with zeros where bytes are missing.
    if format == ImageFormat::WebP
        && let Some(length) = bytes.get(4..8)
        && u32::from_le_bytes(length.try_into().expect("four bytes")) as usize + 8 > bytes.len()
    {
        return Err("the WebP file is cut short".to_owned());
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(size[0] as u64 * size[1] as u64));
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    // Broken EXIF data are no reason to lose the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    // Programs of Windows write 0 for an alpha that they do not use.
    if format == ImageFormat::Bmp
        && let DynamicImage::ImageRgba8(rgba) = &image
        && rgba.pixels().all(|pixel| pixel.0[3] == 0)
    {
        return Ok((DynamicImage::ImageRgb8(image.into_rgb8()), orientation));
    }
    Ok((image, orientation))
}

#[cfg(test)]
mod tests {
    use ::image::{Rgb, RgbImage};

    use super::*;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn gradient() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x + y) as u8]))
    }

    #[test]
    fn every_prefix_of_a_jpeg_is_refused_and_never_panics() {
        let bytes = encoded(&DynamicImage::ImageRgb8(gradient()), ImageFormat::Jpeg);
        for n in 0..bytes.len() {
            let problem = decode_bytes(bytes[..n].to_vec(), &Params::default()).err().unwrap();
            assert!(!problem.is_empty());
        }
        let mut followed_by_junk = bytes;
        followed_by_junk.extend([0, 1, 2, 3]);
        assert!(decode_bytes(followed_by_junk, &Params::default()).is_ok());
    }

    #[test]
    fn every_prefix_of_other_formats_is_refused_or_decoded_without_panic() {
        use ImageFormat::{Bmp, Gif, Png, Pnm, Tiff, WebP};
        for format in [Bmp, Gif, Png, Pnm, Tiff, WebP] {
            let bytes = encoded(&DynamicImage::ImageRgb8(gradient()), format);
            for n in 0..bytes.len() / 2 {
                let result = decode_bytes(bytes[..n].to_vec(), &Params::default());
                assert!(result.is_err(), "{format:?} cut at {n} of {}", bytes.len());
            }
            assert!(decode_bytes(bytes, &Params::default()).is_ok());
        }
    }
}
