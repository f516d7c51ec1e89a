//! How the values of pixels, 0 to 255, become what a network was trained on.
//!
//! ```text
//! x_c = (v_c − mean_c) / std_c
//! ```
//!
//! A wrong one costs a few points of accuracy and is seen nowhere else, so it is never guessed.
//!
//! | name | mean | std | used by |
//! |---|---|---|---|
//! | `imagenet` | 123.675 116.28 103.53 | 58.395 57.12 57.375 | torchvision, most of timm |
//! | `tf` | 127 | 128 | EfficientNet-lite, MobileNet of TensorFlow |
//! | `signed` | 127.5 | 127.5 | Keras (`tf` mode), inception of timm |
//! | `unit` | 0 | 255 | ultralytics |
//! | `clip` | 122.771 116.746 104.094 | 68.501 66.632 70.323 | CLIP |
//! | `raw` | 0 | 1 | networks that scale by themselves (Keras' EfficientNet) |
//! | `caffe` | 103.939 116.779 123.68, blue first | 1 | VGG and ResNet of Keras |
//!
//! Anything else is written as six numbers, `123.675 116.28 103.53 58.395 57.12 57.375` (means, then
//! deviations), with `bgr` before them when blue comes first.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};
use crate::image::Plane;

/// Key of a file's metadata under which its scaling stands.
const KEY: &str = "fvtool.scaling";

const NAMED: &[(&str, Scaling)] = &[
    ("imagenet", Scaling::rgb([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])),
    ("tf", Scaling::rgb([127.0; 3], [128.0; 3])),
    ("signed", Scaling::rgb([127.5; 3], [127.5; 3])),
    ("unit", Scaling::rgb([0.0; 3], [255.0; 3])),
    ("clip", Scaling::rgb([122.771, 116.746, 104.094], [68.501, 66.632, 70.323])),
    ("raw", Scaling::rgb([0.0; 3], [1.0; 3])),
    ("caffe", Scaling { bgr: true, ..Scaling::rgb([103.939, 116.779, 123.68], [1.0; 3]) }),
];

/// How pixels are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Taken from red, green and blue, or from blue, green and red.
    pub mean: [f32; 3],
    /// What is left is divided by it.
    pub std: [f32; 3],
    /// Whether the network's first channel is blue.
    pub bgr: bool,
}

impl Scaling {
    const fn rgb(mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { mean, std, bgr: false }
    }

    /// Reads a name or six numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] with what may be written.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some((_, scaling)) = NAMED.iter().find(|(name, _)| *name == text.trim()) {
            return Ok(*scaling);
        }
        let refuse = || {
            let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
            let range = format!(
                "one of {}, or six numbers: the means of red, green and blue from 0 to 255, then their \
                 deviations above 0, with `bgr` before them when blue comes first",
                names.join(", ")
            );
            Error::setting("network.scaling", text, range)
        };
        let mut words: Vec<&str> =
            text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).collect();
        let bgr = words.first() == Some(&"bgr");
        if bgr {
            words.remove(0);
        }
        let numbers: Option<Vec<f32>> = words.iter().map(|word| word.parse().ok()).collect();
        let Some(&[a, b, c, d, e, f]) = numbers.as_deref() else { return Err(refuse()) };
        let (mean, std) = ([a, b, c], [d, e, f]);
        let fits = mean.iter().all(|mean| (-1000.0..=1000.0).contains(mean))
            && std.iter().all(|std| (1e-3..=1e4).contains(std));
        if fits { Ok(Self { mean, std, bgr }) } else { Err(refuse()) }
    }

    /// What a file says of itself: fvtool's own key, ONNX's standard keys for images, or the program that
    /// is known to have made it. `None` when it says nothing.
    ///
    /// Sources: MetadataProps.md of the ONNX project; the exporter of ultralytics.
    pub(super) fn of_metadata(metadata: &BTreeMap<String, String>) -> Option<(Self, &'static str)> {
        // Neither keys nor values have a case.
        let says = |key: &str| {
            let mut pairs = metadata.iter();
            let found = pairs.find(|(of_file, _)| of_file.eq_ignore_ascii_case(key));
            found.map(|(_, value)| value.to_ascii_lowercase())
        };
        if let Some(scaling) = says(KEY).and_then(|text| Self::parse(&text).ok()) {
            return Some((scaling, "the file's `fvtool.scaling`"));
        }
        if let Some(range) = says("Image.NominalPixelRange") {
            let (mean, std) = match range.as_str() {
                "nominalrange_0_255" => (0.0, 1.0),
                "normalized_0_1" => (0.0, 255.0),
                "normalized_1_1" => (127.5, 127.5),
                _ => return None,
            };
            let bgr = match says("Image.BitmapPixelFormat").as_deref() {
                Some("rgb8") => false,
                Some("bgr8") => true,
                _ => return None,
            };
            return Some((
                Self { mean: [mean; 3], std: [std; 3], bgr },
                "the file's `Image.NominalPixelRange`",
            ));
        }
        if says("author").as_deref() == Some("ultralytics") {
            return Some((Self::rgb([0.0; 3], [255.0; 3]), "a file of ultralytics"));
        }
        None
    }

    /// Width and height of an image of red, green and blue from 0 to 1, and its values as the network takes
    /// them, one plane after another.
    ///
    /// # Panics
    /// When there are not three planes of one size.
    pub(super) fn input(&self, planes: &[Plane]) -> ([usize; 2], Vec<f32>) {
        let [red, green, blue] = planes else { panic!("a network looks at three planes") };
        let size = [red.width, red.height];
        let alike = planes.iter().all(|plane| [plane.width, plane.height] == size);
        assert!(alike, "planes of one size");
        let order = if self.bgr { [blue, green, red] } else { [red, green, blue] };
        let mut input = Vec::with_capacity(3 * red.values.len());
        for (channel, plane) in order.into_iter().enumerate() {
            input.extend(plane.values.iter().map(|&value| self.apply(channel, value)));
        }
        (size, input)
    }

    /// A value from 0 to 1 of the network's channel `c`, scaled; the order of channels is that of the network.
    fn apply(&self, channel: usize, value: f32) -> f32 {
        // Resized pixels may overshoot; a network never saw such.
        (value.clamp(0.0, 1.0) * 255.0 - self.mean[channel]) / self.std[channel]
    }
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMED.iter().find(|(_, scaling)| scaling == self) {
            return f.write_str(name);
        }
        let numbers: Vec<String> = self.mean.iter().chain(&self.std).map(f32::to_string).collect();
        write!(f, "{}{}", if self.bgr { "bgr " } else { "" }, numbers.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_and_shown_again() {
        for text in ["imagenet", "tf", "caffe", "1 2 3 4 5 6", "bgr 1 2 3 4 5 6.5"] {
            assert_eq!(Scaling::parse(text).unwrap().to_string(), text);
        }
        let imagenet = Scaling::parse("123.675, 116.28, 103.53, 58.395, 57.12, 57.375").unwrap();
        assert_eq!(imagenet.to_string(), "imagenet");
        for text in ["", "imagenett", "1 2 3", "1 2 3 4 5 0", "1 2 3 4 5 nan", "rgb 1 2 3 4 5 6"] {
            let error = Scaling::parse(text).unwrap_err().to_string();
            assert!(error.contains("network.scaling") && error.contains("imagenet"), "{error}");
        }
    }

    #[test]
    fn what_a_file_says_of_itself_is_taken() {
        let file = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Scaling::of_metadata(&pairs.collect()).map(|(scaling, _)| scaling.to_string())
        };
        assert_eq!(file(&[]), None);
        assert_eq!(file(&[("fvtool.scaling", "tf")]).unwrap(), "tf");
        assert_eq!(file(&[("fvtool.scaling", "nonsense")]), None);
        assert_eq!(file(&[("author", "Ultralytics")]).unwrap(), "unit");
        let range = ("Image.NominalPixelRange", "Normalized_1_1");
        assert_eq!(file(&[range]), None);
        assert_eq!(file(&[range, ("Image.BitmapPixelFormat", "Rgb8")]).unwrap(), "signed");
        let bgr = file(&[range, ("Image.BitmapPixelFormat", "Bgr8")]).unwrap();
        assert_eq!(bgr, "bgr 127.5 127.5 127.5 127.5 127.5 127.5");
    }
}
