//! Which values of a file are black and white.

use std::fmt;

use ::image::{DynamicImage, Rgb32FImage, Rgba32FImage};
use serde::de::{Error as _, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The setting `image.value_range`: `"auto"`, or two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRange {
    /// What the type of the pixels implies.
    Auto,
    /// Black and white, in the numbers of the file.
    Given([f64; 2]),
}

impl Serialize for ValueRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Given(range) => range.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ValueRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ValueRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or two numbers, for example [0, 4095]")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ValueRange, E> {
                match text {
                    "auto" => Ok(ValueRange::Auto),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ValueRange, A::Error> {
                let mut range = [0.0; 2];
                for (i, value) in range.iter_mut().enumerate() {
                    let other = |_| A::Error::invalid_type(Unexpected::Seq, &self);
                    let found = list.next_element().map_err(other)?;
                    *value = found.ok_or_else(|| A::Error::invalid_length(i, &self))?;
                }
                match list.next_element::<f64>()? {
                    None => Ok(ValueRange::Given(range)),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Floats may lie outside by this share of the range, since they are rounded.
const ROUNDING: f64 = 1e-6;

/// An image whose largest value is below this share of the range may be of another range.
const DARK: f64 = 1.0 / 8.0;

/// Brings values to 0 (black) to 1 (white), and keeps an eye on them.
#[derive(Debug)]
pub(super) struct Scale {
    range: ValueRange,
    low: f64,
    high: f64,
    rounding: f64,
    least: f64,
    most: f64,
    values: usize,
    outside: usize,
}

/// The largest value of an image and the end of its range.
pub(super) type Dark = [f64; 2];

impl Scale {
    /// For floats, whose type implies 0 to 1.
    pub(super) fn of_floats(range: ValueRange) -> Self {
        Self::new(range, 1.0, ROUNDING)
    }

    /// For integers, whose type implies 0 to `white`.
    pub(super) fn of_integers(range: ValueRange, white: f64) -> Self {
        Self::new(range, white, 0.0)
    }

    fn new(range: ValueRange, white: f64, rounding: f64) -> Self {
        let [low, high] = match range {
            ValueRange::Auto => [0.0, white],
            ValueRange::Given(range) => range,
        };
        let (least, most) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { range, low, high, rounding, least, most, values: 0, outside: 0 }
    }

    pub(super) fn value(&mut self, value: f64) -> f32 {
        self.values += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        let share = (value - self.low) / (self.high - self.low);
        // NaN is outside too.
        if !(-self.rounding..=1.0 + self.rounding).contains(&share) {
            self.outside += 1;
        }
        share.clamp(0.0, 1.0) as f32
    }

    /// After all values of an image: whether it uses so little of the range that this may be wrong.
    ///
    /// # Errors
    /// When values lie outside the range.
    pub(super) fn finish(&self) -> Result<Option<Dark>, String> {
        let Self { low, high, least, most, .. } = *self;
        if self.outside == 0 {
            let dark = most > low && most - low < DARK * (high - low);
            return Ok(dark.then_some([most, high]));
        }
        let share = 100.0 * self.outside as f64 / self.values as f64;
        let found = match least <= most {
            true => format!("from {} to {}", number(least), number(most)),
            false => "not numbers".to_owned(),
        };
        let (ends, advice) = match self.range {
            ValueRange::Auto => (
                format!("{} to {}", number(low), number(high)),
                "set image.value_range to what is black and white in such files",
            ),
            ValueRange::Given(_) => {
                (format!("image.value_range = [{}, {}]", number(low), number(high)), "widen it")
            }
        };
        Err(format!("{share:.2} % of its values lie outside {ends}: they are {found}; {advice}"))
    }
}

fn number(value: f64) -> String {
    if value.abs() < 1e10 { value.to_string() } else { format!("{value:.3e}") }
}

/// An image of 8 or 16 bits with the range settled. It stays as it is where the range is that of its
/// type; otherwise it becomes one of floats.
///
/// # Errors
/// As [`Scale::finish`].
pub(super) fn settled(
    image: DynamicImage,
    range: ValueRange,
) -> Result<(DynamicImage, Option<Dark>), String> {
    use DynamicImage as D;
    let bits = 8 * image.color().bytes_per_pixel() / image.color().channel_count();
    let natural = [0.0, if bits == 8 { 255.0 } else { 65_535.0 }];
    let as_it_is = range == ValueRange::Auto || range == ValueRange::Given(natural);
    let mut scale = Scale::of_integers(range, natural[1]);
    match &image {
        _ if as_it_is && bits == 8 => Ok((image, None)),
        D::ImageRgb32F(_) | D::ImageRgba32F(_) => Ok((image, None)),
        _ if as_it_is => {
            let most = match &image {
                D::ImageLuma16(i) => largest::<1>(i.as_raw(), 1),
                D::ImageLumaA16(i) => largest::<2>(i.as_raw(), 1),
                D::ImageRgb16(i) => largest::<3>(i.as_raw(), 3),
                D::ImageRgba16(i) => largest::<4>(i.as_raw(), 3),
                _ => u16::MAX,
            };
            scale.value(f64::from(most));
            Ok((image, scale.finish()?))
        }
        _ => {
            let (width, height) = (image.width(), image.height());
            let white = natural[1] as f32;
            let alpha = image.color().has_alpha();
            let fits = "the buffer has the image's size";
            // Exact: floats hold 16 bits.
            let raw = |value: f32| f64::from((value * white).round());
            let scaled = if alpha {
                let mut image = image.into_rgba32f();
                for pixel in image.pixels_mut() {
                    let [r, g, b, a] = pixel.0;
                    let [r, g, b] = [r, g, b].map(|value| scale.value(raw(value)));
                    pixel.0 = [r, g, b, a];
                }
                D::ImageRgba32F(
                    Rgba32FImage::from_raw(width, height, image.into_raw()).expect(fits),
                )
            } else {
                let mut image = image.into_rgb32f();
                image.iter_mut().for_each(|value| *value = scale.value(raw(*value)));
                D::ImageRgb32F(Rgb32FImage::from_raw(width, height, image.into_raw()).expect(fits))
            };
            Ok((scaled, scale.finish()?))
        }
    }
}

/// Floats from memory with the range settled, and every other image as [`settled`].
///
/// # Errors
/// As [`Scale::finish`].
pub(super) fn settled_in_memory(
    image: DynamicImage,
    range: ValueRange,
) -> Result<(DynamicImage, Option<Dark>), String> {
    let mut scale = Scale::of_floats(range);
    match image {
        DynamicImage::ImageRgb32F(mut image) => {
            image.iter_mut().for_each(|value| *value = scale.value(f64::from(*value)));
            Ok((image.into(), scale.finish()?))
        }
        DynamicImage::ImageRgba32F(mut image) => {
            let mut opacity = Scale::of_floats(ValueRange::Auto);
            for pixel in image.pixels_mut() {
                let [r, g, b, a] = pixel.0.map(f64::from);
                let [r, g, b] = [r, g, b].map(|value| scale.value(value));
                pixel.0 = [r, g, b, opacity.value(a)];
            }
            opacity.finish().map_err(|problem| format!("opacity: {problem}"))?;
            Ok((image.into(), scale.finish()?))
        }
        other => settled(other, range),
    }
}

/// The largest of the first `colours` of each `N` values.
fn largest<const N: usize>(values: &[u16], colours: usize) -> u16 {
    let pixels = values.as_chunks::<N>().0.iter();
    pixels.flat_map(|pixel| &pixel[..colours]).copied().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{GrayImage, ImageBuffer, Luma};

    #[test]
    fn floats_from_memory_are_looked_at() {
        let rgb =
            |value: f32| DynamicImage::from(Rgb32FImage::from_raw(1, 1, vec![value; 3]).unwrap());
        let auto = |value| settled_in_memory(rgb(value), ValueRange::Auto);
        assert_eq!(auto(0.5).unwrap().0, rgb(0.5));
        for outside in [3.0, -0.1, f32::NAN] {
            assert!(auto(outside).unwrap_err().contains("lie outside 0 to 1"));
        }
        let given = settled_in_memory(rgb(3.0), ValueRange::Given([2.0, 4.0]));
        assert_eq!(given.unwrap().0, rgb(0.5));
        let opacity =
            |a| DynamicImage::from(Rgba32FImage::from_raw(1, 1, vec![0.5, 0.5, 0.5, a]).unwrap());
        assert_eq!(settled_in_memory(opacity(0.2), ValueRange::Auto).unwrap().0, opacity(0.2));
        let error = settled_in_memory(opacity(2.0), ValueRange::Auto).unwrap_err();
        assert!(error.starts_with("opacity: "), "{error}");
    }

    fn grey16(values: Vec<u16>) -> DynamicImage {
        let width = values.len() as u32;
        DynamicImage::ImageLuma16(ImageBuffer::<Luma<u16>, _>::from_raw(width, 1, values).unwrap())
    }

    #[test]
    fn the_range_of_the_type_leaves_an_image_as_it_is() {
        let image = DynamicImage::ImageLuma8(GrayImage::from_raw(3, 1, vec![0, 7, 255]).unwrap());
        for range in [ValueRange::Auto, ValueRange::Given([0.0, 255.0])] {
            assert_eq!(settled(image.clone(), range), Ok((image.clone(), None)));
        }
        let image = grey16(vec![0, 8191, 65_535]);
        assert_eq!(settled(image.clone(), ValueRange::Auto), Ok((image, None)));
    }

    #[test]
    fn twelve_bits_in_sixteen_are_noticed_and_a_range_brings_them_to_one() {
        let image = grey16(vec![0, 1000, 4095]);
        let dark = settled(image.clone(), ValueRange::Auto).unwrap().1;
        assert_eq!(dark, Some([4095.0, 65_535.0]));
        let (image, dark) = settled(image, ValueRange::Given([0.0, 4095.0])).unwrap();
        assert_eq!(dark, None);
        let values = image.to_rgb32f().into_raw();
        assert_eq!((values[0], values[6]), (0.0, 1.0));
        assert!((values[3] - 1000.0 / 4095.0).abs() < 1e-7);
        // A black image says nothing of its range.
        assert_eq!(settled(grey16(vec![0, 0]), ValueRange::Auto).unwrap().1, None);
    }

    #[test]
    fn values_outside_are_an_error_with_their_share() {
        let problem = settled(grey16(vec![5, 4096, 9, 9]), ValueRange::Given([0.0, 4095.0]));
        let problem = problem.unwrap_err();
        assert!(
            problem.starts_with("25.00 % of its values lie outside image.value_range = [0, 4095]")
        );
        assert!(problem.contains("from 5 to 4096"), "{problem}");
        let mut scale = Scale::of_floats(ValueRange::Auto);
        assert_eq!(scale.value(1.0 + 1e-7), 1.0);
        scale.finish().unwrap();
        scale.value(f64::NAN);
        assert!(scale.finish().unwrap_err().contains("outside 0 to 1"));
    }

    #[test]
    fn the_setting_is_a_word_or_two_numbers() {
        #[derive(Debug, Deserialize)]
        struct Of {
            range: ValueRange,
        }
        let read = |text: &str| toml::from_str::<Of>(text).map(|of| of.range);
        assert_eq!(read("range = \"auto\"").unwrap(), ValueRange::Auto);
        assert_eq!(read("range = [0, 4095]").unwrap(), ValueRange::Given([0.0, 4095.0]));
        for bad in ["range = \"full\"", "range = [1]", "range = [1, 2, 3]", "range = 7"] {
            let text = read(bad).unwrap_err().to_string();
            assert!(text.contains("two numbers"), "{text}");
        }
    }
}
