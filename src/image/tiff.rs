//! TIFF files, of every kind of sample: which page, which range, which alpha.
//!
//! The first page that is neither a thumbnail nor a mask is decoded. Colours multiplied by their alpha
//! already are put on white as they are. Samples of 8 and 16 bits keep their values; others become
//! floats between black and white.

use std::io::{Cursor, Read, Seek};

use ::image::metadata::Orientation;
use ::image::{DynamicImage, GrayImage, ImageBuffer, Pixel, Rgb, RgbImage};
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::jpeg::{self, Colour};
use super::kinds::unread;
use super::range::{Dark, Scale, ValueRange};

/// Pages that are looked at.
const MOST_PAGES: usize = 10_000;

const SUBFILE_TYPE: Tag = Tag::Unknown(255);
const DNG_VERSION: Tag = Tag::Unknown(50_706);

/// Values of PhotometricInterpretation.
const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const PALETTE: u16 = 3;
const YCBCR: u16 = 6;

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

fn undecodable(error: TiffError) -> String {
    match error {
        TiffError::LimitsExceeded => "the TIFF file's directory or strips are larger than its \
                                      pixels warrant"
            .to_owned(),
        other => format!("cannot be decoded: {other}"),
    }
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
    let tiled = decoder.find_tag(Tag::TileOffsets).ok().flatten().is_some();
    let tags = match tiled {
        true => [Tag::TileOffsets, Tag::TileByteCounts],
        false => [Tag::StripOffsets, Tag::StripByteCounts],
    };
    let [offsets, sizes] = tags.map(|tag| decoder.get_tag_u64_vec(tag).map_err(undecodable));
    let (offsets, sizes) = (offsets?, sizes?);
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

/// What the alpha of a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpha {
    None,
    /// Colours are as without it.
    Apart,
    /// Colours are multiplied by it.
    Multiplied,
    /// A further sample that no tag names.
    Unnamed,
}

/// The samples of a page as they stand in the file.
struct Samples {
    data: DecodingResult,
    width: usize,
    height: usize,
    /// Samples of a pixel.
    count: usize,
    /// Those of its colour; alpha comes next.
    colours: usize,
    bits: u8,
    /// Values from one plane to the next, where each sample has its own.
    plane: Option<usize>,
    alpha: Alpha,
    is_float: bool,
}

impl Samples {
    fn read<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<Self, String> {
        let (width, height) = decoder.dimensions().map_err(undecodable)?;
        let colour = decoder.colortype().map_err(undecodable)?;
        let bits = colour.bit_depth();
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
        let stored = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).ok().flatten();
        let stored = usize::from(stored.unwrap_or(1));
        let colours = match colour {
            ColorType::Gray(_) | ColorType::Multiband { .. } => 1,
            ColorType::CMYK(_) | ColorType::CMYKA(_) => 4,
            ColorType::RGB(_) | ColorType::RGBA(_) => 3,
            other => return Err(unread(&format!("a TIFF file of {other:?}"))),
        };
        // Bands of a measurement are no colours.
        if colours == 1 && stored > 2 {
            return Err(unread(&format!("a TIFF file of {stored} channels that are no colours")));
        }
        let alpha = match extra.as_deref().and_then(<[u16]>::first) {
            Some(1) => Alpha::Multiplied,
            Some(2) => Alpha::Apart,
            Some(_) => Alpha::None,
            None if stored > colours => Alpha::Unnamed,
            None => Alpha::None,
        };
        let mut data = DecodingResult::U8(Vec::new());
        let layout: BufferLayoutPreference =
            decoder.read_image_to_buffer(&mut data).map_err(undecodable)?;
        if data.as_buffer(0).as_bytes().len() < layout.complete_len {
            return Err(undecodable(TiffError::LimitsExceeded));
        }
        let size = usize::from(bits).div_ceil(8);
        let plane = layout.plane_stride.map(|bytes| bytes.get() / size);
        let is_float = layout.sample_format == tiff::tags::SampleFormat::IEEEFP;
        let mut samples = Self {
            data,
            width: width as usize,
            height: height as usize,
            count: usize::from(colour.num_samples()),
            colours,
            bits,
            plane: plane.filter(|_| layout.planes > 1),
            alpha,
            is_float,
        };
        if layout.planes > 1 {
            samples.count = layout.planes;
        }
        samples.unpack(layout.row_stride.map_or(0, |bytes| bytes.get()))?;
        Ok(samples)
    }

    /// Gives samples of less than 8 bits a byte each.
    fn unpack(&mut self, row: usize) -> Result<(), String> {
        if self.bits >= 8 {
            return Ok(());
        }
        let DecodingResult::U8(packed) = &self.data else {
            return Err(unread(&format!("a TIFF file of signed {} bits a sample", self.bits)));
        };
        if self.count > 1 || !matches!(self.bits, 1 | 2 | 4) || row == 0 {
            return Err(unread(&format!("a TIFF file of {} bits a sample", self.bits)));
        }
        let (bits, each) = (usize::from(self.bits), 8 / usize::from(self.bits));
        let mask = (1u8 << bits) - 1;
        let sample = |row: &[u8], x: usize| row[x / each] >> (8 - bits - x % each * bits) & mask;
        let rows = packed.chunks_exact(row).take(self.height);
        let values: Vec<u8> =
            rows.flat_map(|row| (0..self.width).map(move |x| sample(row, x))).collect();
        if values.len() != self.width * self.height {
            return Err("the TIFF file is damaged: the length of its rows".to_owned());
        }
        self.data = DecodingResult::U8(values);
        Ok(())
    }

    /// The place of a sample of a pixel.
    fn at(&self, pixel: usize, sample: usize) -> usize {
        match self.plane {
            Some(plane) => sample * plane + pixel,
            None => pixel * self.count + sample,
        }
    }

    fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// Indices in a table of colours: all reds, all greens, all blues of 16 bits.
    fn of_palette(&self, table: &[u16]) -> Result<DynamicImage, String> {
        let DecodingResult::U8(indices) = &self.data else {
            return Err(unread(&format!(
                "a TIFF file of {} bits in a table of colours",
                self.bits
            )));
        };
        let colours = table.len() / 3;
        // Some programs write eight bits.
        let small = table.iter().all(|&value| value < 256);
        let value = |i: usize| if small { table[i] as u8 } else { (table[i] >> 8) as u8 };
        let mut pixels = Vec::with_capacity(3 * self.pixels());
        for pixel in 0..self.pixels() {
            let index = usize::from(indices[self.at(pixel, 0)]);
            if index >= colours {
                return Err(format!("the TIFF file is damaged: colour {index} of {colours}"));
            }
            pixels.extend([0, 1, 2].map(|c| value(c * colours + index)));
        }
        Ok(self.image_of::<Rgb<u8>>(pixels).into())
    }

    fn image_of<P: Pixel>(&self, pixels: Vec<P::Subpixel>) -> ImageBuffer<P, Vec<P::Subpixel>> {
        ImageBuffer::from_raw(self.width as u32, self.height as u32, pixels)
            .expect("the buffer has the image's size")
    }

    fn to_image(
        &self,
        photometric: u16,
        range: ValueRange,
    ) -> Result<(DynamicImage, Option<Dark>), String> {
        use DynamicImage as D;
        match &self.data {
            DecodingResult::U8(values) => {
                // 1, 2 or 4 bits are spread over eight.
                let factor = (255 / ((1u16 << self.bits.min(8)) - 1)) as u8;
                let values: Vec<u8> = values.iter().map(|&value| value * factor).collect();
                let image = match self.assembled(photometric, &values) {
                    (1, pixels) => D::ImageLuma8(self.image_of(pixels)),
                    (2, pixels) => D::ImageLumaA8(self.image_of(pixels)),
                    (3, pixels) => D::ImageRgb8(self.image_of(pixels)),
                    (_, pixels) => D::ImageRgba8(self.image_of(pixels)),
                };
                Ok((if photometric == YCBCR { of_ycbcr(image) } else { image }, None))
            }
            _ if photometric == YCBCR => {
                Err(unread(&format!("a TIFF file of YCbCr in {} bits", self.bits)))
            }
            DecodingResult::U16(values) => {
                let image = match self.assembled(photometric, values) {
                    (1, pixels) => D::ImageLuma16(self.image_of(pixels)),
                    (2, pixels) => D::ImageLumaA16(self.image_of(pixels)),
                    (3, pixels) => D::ImageRgb16(self.image_of(pixels)),
                    (_, pixels) => D::ImageRgba16(self.image_of(pixels)),
                };
                Ok((image, None))
            }
            _ => {
                let (values, dark) = self.scaled(range)?;
                let (channels, pixels) = self.assembled(photometric, &values);
                let each = |n: usize| pixels.chunks_exact(n);
                let image = match channels {
                    1 => D::ImageRgb32F(self.image_of(each(1).flat_map(|p| [p[0]; 3]).collect())),
                    2 => {
                        let grey = each(2).flat_map(|p| [p[0], p[0], p[0], p[1]]);
                        D::ImageRgba32F(self.image_of(grey.collect()))
                    }
                    3 => D::ImageRgb32F(self.image_of(pixels)),
                    _ => D::ImageRgba32F(self.image_of(pixels)),
                };
                Ok((image, dark))
            }
        }
    }

    /// Samples of other types between black and white, alpha between nothing and all.
    fn scaled(&self, range: ValueRange) -> Result<(Vec<f32>, Option<Dark>), String> {
        let bits = f64::from(self.bits);
        let white = match &self.data {
            _ if self.is_float => 1.0,
            DecodingResult::U32(_) | DecodingResult::U64(_) => bits.exp2() - 1.0,
            _ => (bits - 1.0).exp2() - 1.0,
        };
        let mut scale = match self.is_float {
            true => Scale::of_floats(range),
            false => Scale::of_integers(range, white),
        };
        let values = (0..self.pixels() * self.count).map(|i| {
            let sample = self.plane.map_or(i % self.count, |plane| i / plane);
            let value = self.value(i);
            match sample < self.colours {
                true => scale.value(value),
                false => (value / white).clamp(0.0, 1.0) as f32,
            }
        });
        let values = values.collect();
        Ok((values, scale.finish()?))
    }

    fn value(&self, i: usize) -> f64 {
        use DecodingResult as R;
        match &self.data {
            R::U8(values) => f64::from(values[i]),
            R::U16(values) => f64::from(values[i]),
            R::U32(values) => f64::from(values[i]),
            R::U64(values) => values[i] as f64,
            R::I8(values) => f64::from(values[i]),
            R::I16(values) => f64::from(values[i]),
            R::I32(values) => f64::from(values[i]),
            R::I64(values) => values[i] as f64,
            R::F16(values) => values[i].to_f64(),
            R::F32(values) => f64::from(values[i]),
            R::F64(values) => values[i],
        }
    }

    /// Channels a pixel, and the pixels: grey or RGB, with alpha where it is apart.
    fn assembled<T: Value>(&self, photometric: u16, values: &[T]) -> (usize, Vec<T>) {
        let at = |pixel: usize, sample: usize| values[self.at(pixel, sample)];
        let colours = self.colours;
        let mut alpha = if self.count > colours { self.alpha } else { Alpha::None };
        // Nobody says what it is, and it would hide everything.
        if alpha == Alpha::Unnamed {
            let hides = (0..self.pixels()).all(|pixel| at(pixel, colours) == T::BLACK);
            alpha = if hides { Alpha::None } else { Alpha::Apart };
        }
        let channels = if colours == 1 { 1 } else { 3 };
        let with_alpha = alpha == Alpha::Apart;
        let each = channels + usize::from(with_alpha);
        let mut pixels = Vec::with_capacity(each * self.pixels());
        for pixel in 0..self.pixels() {
            let mut colour = match colours {
                4 => T::of_cmyk([0, 1, 2, 3].map(|sample| at(pixel, sample))),
                1 => [at(pixel, 0); 3],
                _ => [0, 1, 2].map(|sample| at(pixel, sample)),
            };
            if photometric == WHITE_IS_ZERO {
                colour = colour.map(|value| T::WHITE.minus(value));
            }
            if alpha == Alpha::Multiplied {
                let paper = T::WHITE.minus(at(pixel, colours));
                colour = colour.map(|value| value.plus(paper));
            }
            pixels.extend_from_slice(&colour[..channels]);
            if with_alpha {
                pixels.push(at(pixel, colours));
            }
        }
        (each, pixels)
    }
}

/// A sample between black and white.
trait Value: Copy + PartialEq {
    const BLACK: Self;
    const WHITE: Self;
    fn minus(self, other: Self) -> Self;
    /// White where it would be more.
    fn plus(self, other: Self) -> Self;
    /// Without a profile: what the inks leave of the light.
    fn of_cmyk(inks: [Self; 4]) -> [Self; 3];
}

macro_rules! integers {
    ($($of:ty),*) => {$(
        impl Value for $of {
            const BLACK: Self = 0;
            const WHITE: Self = Self::MAX;

            fn minus(self, other: Self) -> Self {
                self - other
            }

            fn plus(self, other: Self) -> Self {
                self.saturating_add(other)
            }

            fn of_cmyk(inks: [Self; 4]) -> [Self; 3] {
                let [c, m, y, k] = inks.map(f32::from);
                let white = f32::from(Self::WHITE);
                let light = 1.0 - k / white;
                [c, m, y].map(|ink| ((white - ink) * light) as Self)
            }
        }
    )*};
}

integers!(u8, u16);

impl Value for f32 {
    const BLACK: Self = 0.0;
    const WHITE: Self = 1.0;

    fn minus(self, other: Self) -> Self {
        self - other
    }

    fn plus(self, other: Self) -> Self {
        (self + other).min(1.0)
    }

    fn of_cmyk([c, m, y, k]: [Self; 4]) -> [Self; 3] {
        [c, m, y].map(|ink| (1.0 - ink) * (1.0 - k))
    }
}

/// Luminance and colour differences to RGB.
fn of_ycbcr(image: DynamicImage) -> DynamicImage {
    let mut image = image.into_rgb8();
    image.pixels_mut().for_each(|pixel| pixel.0 = jpeg::rgb_of_ycbcr(pixel.0));
    DynamicImage::ImageRgb8(image)
}
