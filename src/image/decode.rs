//! Decoding of image files, with every way a file can be bad turned into [`Error::Image`].
//!
//! PNG, JPEG, WebP, TIFF, BMP, GIF (first frame) and PNM. A JPEG that ends before its end marker is
//! refused, though its decoder would fill the missing part with grey: a descriptor of invented
//! pixels is worse than a named file.

use std::io::Cursor;
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::{Colours, Params, Plane, Resizer, smooth};
use crate::{Error, Result, files};

/// Bytes a pixel of the largest pixel type (RGBA in f32), and as much again for the decoder.
const BYTES_PER_PIXEL: u64 = 32;
/// What a decoder may need whatever the size of the image.
const BYTES_BASE: u64 = 64 << 20;
/// A file of more bytes a pixel than RGBA in f32 has is no image of the allowed size.
const FILE_BYTES_PER_PIXEL: u64 = 16;
/// Bytes that tell the format.
const MAGIC_BYTES: u64 = 64;

/// Reads an image file as luminance: decoded, turned upright, scaled and smoothed as
/// `params` say.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::Image`] when it is empty, cut short, damaged,
/// of no known format, or larger than `max_megapixels`.
pub fn load_luminance(path: &Path, params: &Params) -> Result<Plane> {
    Ok(load(path, params, Colours::Luminance)?.0.remove(0))
}

/// As [`load_luminance`], in the planes asked for; and the width and height of the upright image in
/// its file, in whose pixels annotations are written.
///
/// # Errors
/// As [`load_luminance`].
pub fn load(path: &Path, params: &Params, colours: Colours) -> Result<(Vec<Plane>, [usize; 2])> {
    load_if(path, params, colours, &|_| Ok(()))
}

/// As [`load`], of a file whose bytes `check` lets pass: a file may change between two readings.
///
/// # Errors
/// As [`load`], and what `check` says.
pub fn load_if(
    path: &Path,
    params: &Params,
    colours: Colours,
    check: Check<'_>,
) -> Result<(Vec<Plane>, [usize; 2])> {
    let decoded = decode(path, params, check)?;
    let size = [decoded.width() as usize, decoded.height() as usize];
    let [width, height] = params.fitted(size);
    let finish = |plane: Plane| {
        let resized = [width, height] != size;
        let plane = if resized { super::resize(&plane, width, height) } else { plane };
        let sigma = params.presmoothing_px;
        if sigma > 0.0 { smooth(&plane, sigma) } else { plane }
    };
    let planes = match colours {
        Colours::Luminance => vec![luminance(&decoded)],
        Colours::Rgb => red_green_blue(&decoded).into(),
        Colours::RedGreen => vec![opponent(&decoded, |r, g, _| (r - g) / 2.0f32.sqrt())],
        Colours::YellowBlue => {
            vec![opponent(&decoded, |r, g, b| (r + g - 2.0 * b) / 6.0f32.sqrt())]
        }
    };
    Ok((planes.into_iter().map(finish).collect(), size))
}

/// Reads an image file in colour, for pictures shown to people: upright and of the same size as
/// [`load_luminance`] gives, never smoothed.
///
/// # Errors
/// As [`load_luminance`].
pub fn load_rgb(path: &Path, params: &Params) -> Result<RgbImage> {
    load_rgb_if(path, params, &|_| Ok(()))
}

/// As [`load_rgb`], of a file whose bytes `check` lets pass.
///
/// # Errors
/// As [`load_rgb`], and what `check` says.
pub fn load_rgb_if(path: &Path, params: &Params, check: Check<'_>) -> Result<RgbImage> {
    let decoded = decode(path, params, check)?;
    let rgb = if decoded.color().has_alpha() {
        let mut rgba = decoded.into_rgba8();
        let on_white = rgba.pixels_mut().map(|p| {
            let [r, g, b, a] = p.0.map(u32::from);
            Rgb([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8))
        });
        let pixels: Vec<u8> = on_white.flat_map(|p| p.0).collect();
        RgbImage::from_raw(rgba.width(), rgba.height(), pixels).expect("three bytes a pixel")
    } else {
        decoded.into_rgb8()
    };
    let from = [rgb.width() as usize, rgb.height() as usize];
    let to = params.fitted(from);
    if from == to {
        return Ok(rgb);
    }
    let mut resized = RgbImage::new(to[0] as u32, to[1] as u32);
    Resizer::default().rgb_into(rgb.as_raw(), from.into(), resized.as_mut(), to.into());
    Ok(resized)
}

/// What looks at the bytes of a file before they are decoded.
pub type Check<'a> = &'a dyn Fn(&[u8]) -> std::io::Result<()>;

/// The decoded image, upright.
fn decode(path: &Path, params: &Params, check: Check<'_>) -> Result<DynamicImage> {
    let refuse = |problem: String| Error::Image { path: path.to_owned(), problem };
    // Whatever it is called, a film or a disk image is not read for its first bytes.
    let start = files::read_start(path, MAGIC_BYTES).map_err(Error::io("read", path))?;
    format_of(&start).map_err(refuse)?;
    let most = BYTES_BASE + FILE_BYTES_PER_PIXEL * pixels_allowed(params);
    let bytes = files::read(path, most).map_err(Error::io("read", path))?;
    check(&bytes).map_err(Error::io("read", path))?;
    decode_bytes(bytes, params).map_err(refuse)
}

/// Most pixels an image may have.
fn pixels_allowed(params: &Params) -> u64 {
    (params.max_megapixels * 1e6) as u64
}

/// The format that the first bytes tell; the error says why there is none.
fn format_of(bytes: &[u8]) -> Result<ImageFormat, String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    ::image::guess_format(bytes).map_err(|_| {
        "not an image in a known format (PNG, JPEG, WebP, TIFF, BMP, GIF, PNM)".to_owned()
    })
}

/// Width and height that an image file states, as they lie in it; nothing is decoded.
///
/// # Errors
/// As [`load_luminance`], as far as the head of the file tells.
pub fn stated_size(path: &Path) -> Result<[usize; 2]> {
    let refuse = |problem: String| Error::Image { path: path.to_owned(), problem };
    let start = files::read_start(path, MAGIC_BYTES).map_err(Error::io("read", path))?;
    let format = format_of(&start).map_err(refuse)?;
    let (file, _) = files::open(path).map_err(Error::io("read", path))?;
    let reader = ImageReader::with_format(std::io::BufReader::new(file), format);
    let (width, height) =
        reader.into_dimensions().map_err(|e| refuse(format!("cannot be decoded: {e}")))?;
    Ok([width as usize, height as usize])
}

/// The decoded image, upright; the error says why not.
fn decode_bytes(bytes: Vec<u8>, params: &Params) -> Result<DynamicImage, String> {
    let format = format_of(&bytes)?;
    if format == ImageFormat::Jpeg && !jpeg_is_whole(&bytes) {
        return Err("the JPEG file is cut short".to_owned());
    }
    let unreadable = |e: ::image::ImageError| format!("cannot be decoded: {e}");
    let mut limits = Limits::default();
    let pixels = pixels_allowed(params);
    limits.max_alloc = Some(BYTES_BASE + BYTES_PER_PIXEL * pixels);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > pixels {
        let limit = params.max_megapixels;
        return Err(format!(
            "{width} × {height} pixels are more than `image.max_megapixels` = {limit} allows"
        ));
    }
    if width == 0 || height == 0 {
        return Err(format!("the image has {width} × {height} pixels"));
    }
    // Broken EXIF data are no reason to lose the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    decoded.apply_orientation(orientation);
    Ok(decoded)
}

/// True when a JPEG stream has its end marker. Segments are skipped by their length, so that the
/// end of an embedded thumbnail does not count.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2; // after the start marker
    while at + 1 < bytes.len() {
        let marker = bytes[at + 1];
        match (bytes[at], marker) {
            (0xFF, 0xD9) => return true,
            // Padding before a marker, stuffed zeros and restart markers inside a scan.
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
            // Inside a scan: on to the next 0xFF.
            _ => match bytes[at..].iter().position(|b| *b == 0xFF) {
                Some(ahead) => at += ahead,
                None => return false,
            },
        }
    }
    false
}

/// BT.601 luminance in [0, 1], on white where the image is transparent.
fn luminance(decoded: &DynamicImage) -> Plane {
    use DynamicImage as D;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let values = match decoded {
        D::ImageLuma8(i) => i.as_raw().iter().map(|v| f32::from(*v) / 255.0).collect(),
        D::ImageLuma16(i) => i.as_raw().iter().map(|v| f32::from(*v) / 65_535.0).collect(),
        D::ImageLumaA8(i) => grey_alpha(i.as_raw(), 255.0),
        D::ImageLumaA16(i) => grey_alpha(i.as_raw(), 65_535.0),
        D::ImageRgb8(i) => colour::<3, _>(i.as_raw(), 255.0),
        D::ImageRgb16(i) => colour::<3, _>(i.as_raw(), 65_535.0),
        D::ImageRgb32F(i) => colour::<3, _>(i.as_raw(), 1.0),
        D::ImageRgba8(i) => colour::<4, _>(i.as_raw(), 255.0),
        D::ImageRgba16(i) => colour::<4, _>(i.as_raw(), 65_535.0),
        D::ImageRgba32F(i) => colour::<4, _>(i.as_raw(), 1.0),
        // The enum may grow; eight bits are what every pixel type can give.
        other => colour::<4, _>(other.to_rgba8().as_raw(), 255.0),
    };
    Plane { width, height, values }
}

/// Red, green and blue in [0, 1], on white where the image is transparent.
fn red_green_blue(decoded: &DynamicImage) -> [Plane; 3] {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let mut planes =
        [0; 3].map(|_| Plane { width, height, values: Vec::with_capacity(width * height) });
    let mut add = |rgb: [f32; 3], alpha: f32| {
        for (plane, value) in planes.iter_mut().zip(rgb) {
            plane.values.push(on_white(in_unit(value), in_unit(alpha)));
        }
    };
    match decoded {
        DynamicImage::ImageRgb8(image) => {
            image.pixels().for_each(|p| add(p.0.map(|v| f32::from(v) / 255.0), 1.0));
        }
        other => other.to_rgba32f().pixels().for_each(|p| add([p.0[0], p.0[1], p.0[2]], p.0[3])),
    }
    planes
}

/// One value a pixel, made of its three.
fn opponent(decoded: &DynamicImage, value: impl Fn(f32, f32, f32) -> f32) -> Plane {
    let [mut red, green, blue] = red_green_blue(decoded);
    let others = green.values.iter().zip(&blue.values);
    red.values.iter_mut().zip(others).for_each(|(r, (&g, &b))| *r = value(*r, g, b));
    red
}

/// Luminance of interleaved RGB (`C` = 3) or RGBA (`C` = 4) with full scale `white`.
fn colour<const C: usize, T: Copy + Into<f32>>(pixels: &[T], white: f32) -> Vec<f32> {
    let unit = |v: T| in_unit(v.into() / white);
    let pixels = pixels.as_chunks::<C>().0.iter();
    pixels
        .map(|p| {
            let y = 0.299 * unit(p[0]) + 0.587 * unit(p[1]) + 0.114 * unit(p[2]);
            if C == 4 { on_white(y, unit(p[C - 1])) } else { y }
        })
        .collect()
}

/// Luminance of interleaved grey and alpha.
fn grey_alpha<T: Copy + Into<f32>>(pixels: &[T], white: f32) -> Vec<f32> {
    let pixels = pixels.as_chunks::<2>().0.iter();
    pixels.map(|p| on_white(p[0].into() / white, p[1].into() / white)).collect()
}

fn on_white(y: f32, alpha: f32) -> f32 {
    1.0 + alpha * (y - 1.0)
}

/// Float images may hold anything; NaN counts as black.
fn in_unit(v: f32) -> f32 {
    if v > 0.0 { v.min(1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
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
    fn every_prefix_of_a_jpeg_is_refused_or_whole_and_never_panics() {
        let bytes = encoded(&DynamicImage::ImageRgb8(gradient()), ImageFormat::Jpeg);
        assert!(jpeg_is_whole(&bytes));
        for n in 0..bytes.len() {
            let problem = decode_bytes(bytes[..n].to_vec(), &Params::default()).unwrap_err();
            assert!(!problem.is_empty());
        }
        let mut followed_by_junk = bytes;
        followed_by_junk.extend([0, 1, 2, 3]);
        decode_bytes(followed_by_junk, &Params::default()).unwrap();
    }

    #[test]
    fn a_thumbnail_inside_a_segment_does_not_end_a_jpeg() {
        let bytes = encoded(&DynamicImage::ImageRgb8(gradient()), ImageFormat::Jpeg);
        let mut with_thumbnail = bytes[..2].to_vec();
        with_thumbnail.extend([0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9]);
        with_thumbnail.extend(&bytes[2..]);
        assert!(jpeg_is_whole(&with_thumbnail));
        with_thumbnail.truncate(with_thumbnail.len() - 2);
        assert!(!jpeg_is_whole(&with_thumbnail));
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
            decode_bytes(bytes, &Params::default()).unwrap();
        }
    }

    /// The same colour in every pixel type gives the same luminance.
    #[test]
    fn every_pixel_type_agrees() {
        let rgb = gradient();
        let exact: Vec<f32> = rgb
            .pixels()
            .map(|p| {
                (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
                    / 255.0
            })
            .collect();
        let colour = DynamicImage::ImageRgb8(rgb);
        for image in [
            DynamicImage::ImageRgba8(colour.to_rgba8()),
            DynamicImage::ImageRgb16(colour.to_rgb16()),
            DynamicImage::ImageRgba16(colour.to_rgba16()),
            DynamicImage::ImageRgb32F(colour.to_rgb32f()),
            DynamicImage::ImageRgba32F(colour.to_rgba32f()),
            colour.clone(),
        ] {
            let plane = luminance(&image);
            assert_eq!((plane.width, plane.height), (40, 30));
            for (got, expected) in plane.values.iter().zip(&exact) {
                assert!((got - expected).abs() < 1e-6, "{:?}", image.color());
            }
        }
        let grey = colour.to_luma8();
        for image in [
            DynamicImage::ImageLumaA8(DynamicImage::ImageLuma8(grey.clone()).to_luma_alpha8()),
            DynamicImage::ImageLuma16(DynamicImage::ImageLuma8(grey.clone()).to_luma16()),
            DynamicImage::ImageLumaA16(DynamicImage::ImageLuma8(grey.clone()).to_luma_alpha16()),
            DynamicImage::ImageLuma8(grey.clone()),
        ] {
            for (got, expected) in luminance(&image).values.iter().zip(grey.as_raw()) {
                assert!((got - f32::from(*expected) / 255.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn colours_weigh_up_to_the_luminance_in_every_pixel_type() {
        let colour = DynamicImage::ImageRgb8(gradient());
        let grey = DynamicImage::ImageLuma16(colour.to_luma16());
        let mut transparent = colour.to_rgba8();
        transparent.pixels_mut().for_each(|p| p.0[3] = 100);
        for image in [
            DynamicImage::ImageRgba16(colour.to_rgba16()),
            DynamicImage::ImageRgba8(transparent),
            grey,
            colour,
        ] {
            let [red, green, blue] = red_green_blue(&image);
            for (i, y) in luminance(&image).values.iter().enumerate() {
                let sum = 0.299 * red.values[i] + 0.587 * green.values[i] + 0.114 * blue.values[i];
                assert!((sum - y).abs() < 1e-6, "{sum} {y} of {:?}", image.color());
            }
        }
    }

    #[test]
    fn float_images_may_hold_anything() {
        let pixels = vec![f32::NAN, f32::INFINITY, -3.0, 0.5, 0.5, 0.5];
        let image = ::image::Rgb32FImage::from_raw(2, 1, pixels).unwrap();
        let values = luminance(&DynamicImage::ImageRgb32F(image)).values;
        assert!((values[0] - 0.587).abs() < 1e-6 && (values[1] - 0.5).abs() < 1e-6);
    }
}
