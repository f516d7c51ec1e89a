//! TIFF files, of every kind of sample: which page, which range, which alpha.
//!
//! The first page that is neither a thumbnail nor a mask is decoded. Colours multiplied by their alpha
//! already are put on white as they are. Samples of 8 and 16 bits keep their values; others become
//! floats between black and white.

mod samples;
mod terms;

use std::io::{Cursor, Read, Seek};

use ::image::metadata::Orientation;
use ::image::{DynamicImage, GrayImage, RgbImage};
use tiff::decoder::{Decoder, Limits};
use tiff::tags::Tag;

use super::jpeg::{self, Colour};
use super::kinds::unread;
use super::range::{Dark, ValueRange};
use samples::Samples;
use terms::{BLACK_IS_ZERO, PALETTE, RGB, WHITE_IS_ZERO, YCBCR, undecodable};

/// Pages that are looked at.
const MOST_PAGES: usize = 10_000;

const SUBFILE_TYPE: Tag = Tag::Unknown(255);
const DNG_VERSION: Tag = Tag::Unknown(50_706);

/// A decoded page.
pub(super) struct Page {
    pub(super) image: DynamicImage,
    pub(super) orientation: Orientation,
    /// Full pages in the file.
    pub(super) pages: usize,
    pub(super) dark: Option<Dark>,
}

/// Width and height of the page that is decoded.
pub(super) fn stated_size(file: impl Read + Seek) -> Result<[usize; 2], String> {
    let mut decoder = Decoder::new(file).map_err(undecodable)?;
    choose(&mut decoder)?;
    let (width, height) = decoder.dimensions().map_err(undecodable)?;
    Ok([width as usize, height as usize])
}

/// Decodes the first full page. `memory` bounds what its decoder allocates beside the pixels.
///
/// # Errors
/// Why not.
pub(super) fn decode(
    mut bytes: Vec<u8>,
    range: ValueRange,
    memory: u64,
    check: impl Fn(usize, usize) -> Result<(), String>,
) -> Result<Page, String> {
    // Of other pages these stop nothing.
    if let Some(directory) = first_directory(&bytes)
        && directory.number(&bytes, 262).is_some_and(|colours| colours > 10)
    {
        refuse_unread(&bytes, &directory)?;
    }
    let mut decoder = Decoder::new(Cursor::new(&bytes[..])).map_err(undecodable)?;
    let (index, pages) = choose(&mut decoder)?;
    let (width, height) = decoder.dimensions().map_err(undecodable)?;
    check(width as usize, height as usize)?;
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten();
    let orientation = orientation.and_then(|value| Orientation::from_exif(value.try_into().ok()?));
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let done = |(image, dark)| Page { image, orientation, pages, dark };

    let place = decoder.ifd_pointer().map(|pointer| pointer.0);
    let directory = place.and_then(|at| Directory::parse(&bytes, at));
    let directory = directory.ok_or("the TIFF file is damaged: its directory")?;
    refuse_unread(&bytes, &directory)?;
    let photometric = directory.number(&bytes, 262).unwrap_or(BLACK_IS_ZERO);
    let compression = directory.number(&bytes, 259);
    if directory.number(&bytes, 284) == Some(2) && directory.place(324).is_some() {
        return Err(unread("a TIFF file of tiles in separate planes"));
    }
    match compression {
        Some(6) => return Err(unread("a TIFF file of old-style JPEG compression")),
        Some(7) => {
            let image = of_jpeg(&mut decoder, &bytes, photometric)?;
            return Ok(done((image, None)));
        }
        _ => {}
    }
    let palette = match photometric {
        PALETTE => Some(decoder.get_tag_u16_vec(Tag::ColorMap).map_err(undecodable)?),
        _ => None,
    };
    // The decoder gives samples as they are where it takes them for grey or RGB.
    let plain = match photometric {
        WHITE_IS_ZERO | PALETTE => BLACK_IS_ZERO,
        YCBCR => RGB,
        other => other,
    };
    if plain != photometric {
        if photometric == YCBCR && !directory.chroma_is_whole(&mut decoder) {
            return Err(unread("a TIFF file of subsampled YCbCr"));
        }
        drop(decoder);
        directory.set_number(&mut bytes, 262, plain);
        decoder = Decoder::new(Cursor::new(&bytes[..])).map_err(undecodable)?;
    }
    check_chunks(&mut decoder, bytes.len())?;
    let pixels = u64::from(width) * u64::from(height);
    decoder = decoder.with_limits(limits(pixels, memory));
    decoder.seek_to_image(index).map_err(undecodable)?;
    let samples = Samples::read(&mut decoder)?;
    if let Some(palette) = palette {
        return Ok(done((samples.of_palette(&palette)?, None)));
    }
    let image = samples.to_image(photometric, range)?;
    Ok(done(image))
}

fn limits(pixels: u64, memory: u64) -> Limits {
    let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    // Five samples of eight bytes.
    limits.decoding_buffer_size = bytes(40 * pixels + memory);
    limits.intermediate_buffer_size = bytes(40 * pixels + memory);
    limits
}

/// Goes to the first full page, or to the largest where there is none; its number, and how many full
/// ones there are.
fn choose<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<(usize, usize), String> {
    let (mut first, mut full) = (None, 0);
    let (mut largest, mut most) = (0, 0);
    let mut raw = false;
    for index in 0..MOST_PAGES {
        // A page behind the first that is damaged costs nothing but itself.
        if index > 0 && (!decoder.more_images() || decoder.next_image().is_err()) {
            break;
        }
        let mut number = |tag| decoder.find_tag_unsigned::<u32>(tag).ok().flatten();
        // Bit 0: of reduced resolution; bit 2: a mask.
        let kind = number(Tag::NewSubfileType).unwrap_or(0);
        let reduced = kind & 0b101 != 0 || number(SUBFILE_TYPE) == Some(2);
        raw |= number(DNG_VERSION).is_some();
        let has_more = decoder.find_tag(Tag::SubIfd).ok().flatten().is_some();
        raw |= reduced && has_more;
        let (width, height) = decoder.dimensions().map_err(undecodable)?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > most {
            (largest, most) = (index, pixels);
        }
        if !reduced {
            first = first.or(Some(index));
            full += 1;
        }
    }
    if first.is_none() && raw {
        return Err(unread("a raw camera file (TIFF with a preview alone)"));
    }
    let index = first.unwrap_or(largest);
    decoder.seek_to_image(index).map_err(undecodable)?;
    Ok((index, full))
}

/// A directory as it lies in the file: what the `tiff` crate refuses before it can be asked.
#[derive(Debug)]
struct Directory {
    big_endian: bool,
    /// Tag, and where its value stands.
    entries: Vec<(u16, usize)>,
}

fn first_directory(bytes: &[u8]) -> Option<Directory> {
    let at = |range: std::ops::Range<usize>| bytes.get(range);
    let big_endian = bytes.first() == Some(&b'M');
    let offset = match bytes.get(2..4)? {
        [43, _] | [_, 43] => integer(at(8..16)?, big_endian),
        _ => integer(at(4..8)?, big_endian),
    };
    Directory::parse(bytes, offset)
}

fn integer(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
    match big_endian {
        true => bytes.iter().fold(0, add),
        false => bytes.iter().rev().fold(0, add),
    }
}

impl Directory {
    fn parse(bytes: &[u8], at: u64) -> Option<Self> {
        let big_endian = bytes.first() == Some(&b'M');
        let big = matches!(bytes.get(2..4)?, [43, _] | [_, 43]);
        // Bytes of the count, of an entry, and of an entry before its value.
        let (count, entry, before) = if big { (8, 20, 12) } else { (2, 12, 8) };
        let at = usize::try_from(at).ok()?;
        let rest = bytes.get(at..)?;
        let entries = integer(rest.get(..count)?, big_endian).min(65_535) as usize;
        let rest = rest.get(count..count + entries * entry)?;
        let found = rest.chunks_exact(entry).enumerate().map(|(i, of_entry)| {
            let tag = integer(&of_entry[..2], big_endian) as u16;
            (tag, at + count + i * entry + before)
        });
        Some(Self { big_endian, entries: found.collect() })
    }

    fn place(&self, tag: u16) -> Option<usize> {
        self.entries.iter().find(|(found, _)| *found == tag).map(|(_, place)| *place)
    }

    /// A value of 16 bits.
    fn number(&self, bytes: &[u8], tag: u16) -> Option<u16> {
        let at = self.place(tag)?;
        Some(integer(bytes.get(at..at + 2)?, self.big_endian) as u16)
    }

    fn set_number(&self, bytes: &mut [u8], tag: u16, value: u16) {
        let place = self.place(tag).and_then(|at| bytes.get_mut(at..at + 2));
        if let Some(place) = place {
            let value = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
            place.copy_from_slice(&value);
        }
    }

    /// Whether each pixel has its own colour.
    fn chroma_is_whole<R: Read + Seek>(&self, decoder: &mut Decoder<R>) -> bool {
        let found = decoder.find_tag_unsigned_vec::<u16>(Tag::ChromaSubsampling).ok().flatten();
        found.is_some_and(|factors| factors == [1, 1])
    }
}

/// Kinds of pixels that are not read.
fn refuse_unread(bytes: &[u8], directory: &Directory) -> Result<(), String> {
    let name = match directory.number(bytes, 262) {
        Some(4) => "a TIFF file of a transparency mask",
        Some(8..=10) => "a TIFF file of L*a*b* colours",
        Some(32_803 | 34_892) => "a raw camera file (TIFF of sensor values)",
        Some(32_844 | 32_845) => "a TIFF file of LogLuv colours",
        Some(0..=3 | 5 | 6) | None => return Ok(()),
        Some(_) => "a TIFF file of unknown colours",
    };
    Err(unread(name))
}

/// Offsets and lengths of a page's strips or tiles.
fn chunks<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<[Vec<u64>; 2], String> {
    let tiled = decoder.find_tag(Tag::TileOffsets).ok().flatten().is_some();
    let (offsets, sizes) = match tiled {
        true => (Tag::TileOffsets, Tag::TileByteCounts),
        false => (Tag::StripOffsets, Tag::StripByteCounts),
    };
    let mut numbers = |tag| decoder.get_tag_u64_vec(tag).map_err(undecodable);
    Ok([numbers(offsets)?, numbers(sizes)?])
}

/// Refuses a page whose data go on behind the end of the file.
fn check_chunks<R: Read + Seek>(decoder: &mut Decoder<R>, length: usize) -> Result<(), String> {
    let [offsets, sizes] = chunks(decoder)?;
    let inside = |(&offset, &size): (&u64, &u64)| {
        offset.checked_add(size).is_some_and(|end| end <= length as u64)
    };
    match offsets.iter().zip(&sizes).all(inside) {
        true => Ok(()),
        false => Err("the TIFF file is cut short".to_owned()),
    }
}

/// Strips or tiles that are JPEG files with common tables.
fn of_jpeg<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    bytes: &[u8],
    photometric: u16,
) -> Result<DynamicImage, String> {
    let colour = match photometric {
        WHITE_IS_ZERO | BLACK_IS_ZERO => Colour::Grey,
        RGB => Colour::Rgb,
        YCBCR => Colour::YCbCr,
        _ => return Err(unread("a TIFF file of CMYK in JPEG compression")),
    };
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten();
    if planar == Some(2) {
        return Err(unread("a TIFF file of separate planes in JPEG compression"));
    }
    let (width, height) = decoder.dimensions().map_err(undecodable)?;
    let (across, down) = decoder.chunk_dimensions();
    let [offsets, sizes] = chunks(decoder)?;
    let tables = decoder.find_tag(Tag::JPEGTables).map_err(undecodable)?;
    let tables = tables.map(|value| value.into_u8_vec()).transpose().map_err(undecodable)?;
    let channels = if colour == Colour::Grey { 1 } else { 3 };
    let mut pixels = vec![0; channels * width as usize * height as usize];
    let columns = width.div_ceil(across) as usize;
    if offsets.len() != sizes.len() || offsets.len() != columns * height.div_ceil(down) as usize {
        return Err("the TIFF file is damaged: the number of its strips".to_owned());
    }
    for (i, (offset, size)) in offsets.into_iter().zip(sizes).enumerate() {
        let end = offset.checked_add(size).and_then(|end| usize::try_from(end).ok());
        let data = end.and_then(|end| bytes.get(offset as usize..end));
        let data = data.ok_or("the TIFF file is cut short")?;
        let (x, y) = ((i % columns) as u32 * across, (i / columns) as u32 * down);
        let (wide, high) = ((width - x).min(across) as usize, (height - y).min(down) as usize);
        let check = |w: usize, h: usize| match w >= wide && h >= high && w <= across as usize {
            true if h <= down as usize => Ok(()),
            _ => Err("the TIFF file is damaged: a strip of another size".to_owned()),
        };
        let part = jpeg::decode_part(data, tables.as_deref(), colour, check)?;
        let row = channels * part.width() as usize;
        let from = part.as_bytes().chunks_exact(row);
        for (j, from) in from.take(high).enumerate() {
            let to = channels * ((y as usize + j) * width as usize + x as usize);
            pixels[to..to + channels * wide].copy_from_slice(&from[..channels * wide]);
        }
    }
    if photometric == WHITE_IS_ZERO {
        pixels.iter_mut().for_each(|value| *value = 255 - *value);
    }
    let fits = "the buffer has the image's size";
    Ok(match channels {
        1 => GrayImage::from_raw(width, height, pixels).expect(fits).into(),
        _ => RgbImage::from_raw(width, height, pixels).expect(fits).into(),
    })
}
