//! The samples of a page, and the pixels that they make.

use std::io::{Read, Seek};

use ::image::{DynamicImage, ImageBuffer, Pixel, Rgb};
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::terms::{WHITE_IS_ZERO, YCBCR, undecodable};
use crate::image::jpeg;
use crate::image::kinds::unread;
use crate::image::range::{Dark, Scale, ValueRange};

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
pub(super) struct Samples {
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
    pub(super) fn read<R: Read + Seek>(decoder: &mut Decoder<R>) -> Result<Self, String> {
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
    pub(super) fn of_palette(&self, table: &[u16]) -> Result<DynamicImage, String> {
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

    pub(super) fn to_image(
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
