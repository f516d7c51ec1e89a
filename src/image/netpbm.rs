//! Netpbm's formats, as far as the `image` crate does not look: floats (PFM), and samples above the
//! maximum that the head of a file names.

use std::io::Cursor;

use ::image::codecs::pnm::{PnmDecoder, SampleEncoding};
use ::image::{DynamicImage, ImageDecoder, Rgb32FImage};

use super::range::{Dark, Scale, ValueRange};

/// What a PFM file's head says.
struct Head {
    channels: usize,
    width: usize,
    height: usize,
    little_endian: bool,
    /// Where the floats begin.
    at: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bad = || "the head of the PFM file is damaged".to_owned();
        let mut at = 0;
        let mut word = || {
            let rest = bytes.get(at..).unwrap_or_default();
            let end = rest.iter().take(32).position(u8::is_ascii_whitespace).ok_or_else(bad)?;
            at += end + 1;
            std::str::from_utf8(&rest[..end]).map_err(|_| bad())
        };
        let channels = if word()? == "PF" { 3 } else { 1 };
        let mut number = || word()?.parse::<u32>().map_err(|_| bad());
        let (width, height) = (number()? as usize, number()? as usize);
        let scale: f32 = word()?.parse().map_err(|_| bad())?;
        if width == 0 || height == 0 {
            return Err(format!("the image has {width} × {height} pixels"));
        }
        Ok(Self { channels, width, height, little_endian: scale < 0.0, at })
    }
}

/// Width and height of a PFM file.
pub(super) fn stated_size(start: &[u8]) -> Result<[usize; 2], String> {
    Head::parse(start).map(|head| [head.width, head.height])
}

/// Decodes a PFM file, whose rows stand from the lowest to the highest.
pub(super) fn decode(
    bytes: &[u8],
    range: ValueRange,
    check: impl Fn(usize, usize) -> Result<(), String>,
) -> Result<(DynamicImage, Option<Dark>), String> {
    let head = Head::parse(bytes)?;
    check(head.width, head.height)?;
    let row = 4 * head.channels * head.width;
    let floats = bytes.get(head.at..head.at + row * head.height);
    let floats = floats.ok_or("the PFM file is cut short")?;
    let mut scale = Scale::of_floats(range);
    let mut pixels = Vec::with_capacity(3 * head.width * head.height);
    for row in floats.chunks_exact(row).rev() {
        let values = row.as_chunks::<4>().0.iter().map(|&bytes| match head.little_endian {
            true => f32::from_le_bytes(bytes),
            false => f32::from_be_bytes(bytes),
        });
        for value in values {
            let value = scale.value(f64::from(value));
            pixels.extend(std::iter::repeat_n(value, 3 / head.channels));
        }
    }
    let image = Rgb32FImage::from_raw(head.width as u32, head.height as u32, pixels);
    let image = image.expect("the buffer has the image's size");
    Ok((DynamicImage::ImageRgb32F(image), scale.finish()?))
}

/// Refuses samples above the maximum of a PNM file, which its decoder takes for the maximum.
pub(super) fn check_samples(bytes: &[u8]) -> Result<(), String> {
    let Ok(decoder) = PnmDecoder::new(Cursor::new(bytes)) else { return Ok(()) };
    let samples = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    let samples = samples / if decoder.header().maximal_sample() > 255 { 2 } else { 1 };
    let (reader, header) = decoder.into_inner();
    let most = header.maximal_sample();
    let body = bytes.get(reader.position() as usize..).unwrap_or_default();
    let largest = match (header.subtype().sample_encoding(), most) {
        (_, 1 | 255 | 65_535) => None,
        (SampleEncoding::Binary, ..255) => body.iter().take(samples).map(|&v| u32::from(v)).max(),
        (SampleEncoding::Binary, _) => {
            let pairs = body.as_chunks::<2>().0.iter().take(samples);
            pairs.map(|&pair| u32::from(u16::from_be_bytes(pair))).max()
        }
        (SampleEncoding::Ascii, _) => {
            let words = body.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let numbers = words.map_while(|word| std::str::from_utf8(word).ok()?.parse().ok());
            numbers.take(samples).max()
        }
    };
    match largest {
        Some(largest) if largest > most => Err(format!(
            "a sample of {largest} where the file's head names {most} as the maximum; correct the head"
        )),
        _ => Ok(()),
    }
}
