//! What is noticed of images that are used, but may not be what their user takes them for: blank ones,
//! those with empty descriptors, those that use little of their range, those without the parts that
//! descriptors are to be taken from.
//!
//! ```text
//! file remarks + planes ─ Noticed (one image) ─ counted over images ─ Noted ─ sentences
//! ```

use serde::{Deserialize, Serialize};

use crate::descriptors::{Content, Extractor, Frame, Picture, Within};
use crate::image::{self, Marks};

/// An image of which this share of the descriptors is empty has nearly only such.
const NEARLY_ALL: f64 = 0.95;

/// What was noticed of one image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Noticed {
    of_file: image::Remarks,
    blank: bool,
    descriptors: usize,
    empty: usize,
    without_boxes: bool,
    without_parts: bool,
    none_within: bool,
    cut: bool,
    undecided: bool,
    /// Mean log-likelihood of the descriptors, of a channel with a density.
    pub likelihood: Option<f64>,
}

impl Noticed {
    /// Of an image before its descriptors are counted: the remarks on its file, and whether its planes
    /// are blank.
    pub fn new(of_file: image::Remarks, picture: &Picture) -> Self {
        let blank = match &picture.content {
            Content::Planes(planes) => planes.iter().all(|plane| {
                let values = &plane.values;
                values.iter().all(|value| *value == values[0])
            }),
            Content::Given { .. } => false,
        };
        Self { of_file, blank, ..Self::default() }
    }

    /// Counts descriptors.
    pub fn add(&mut self, extractor: &Extractor, frames: &[Frame]) {
        self.descriptors += frames.len();
        self.empty += frames.iter().filter(|frame| extractor.is_empty(frame)).count();
    }

    /// Notes what is to be said of the `count` areas that its descriptors are to be taken from.
    pub fn marked(&mut self, within: Within, count: usize, marks: &Marks) {
        self.without_boxes = within == Within::Boxes && count == 0;
        self.without_parts = within == Within::Parts && count == 0;
        (self.cut, self.undecided) = (marks.cut, marks.undecided);
    }

    /// Notes that no descriptor lies in them.
    pub fn none_within(&mut self) {
        self.none_within = true;
    }

    /// Descriptors, and the empty ones.
    pub fn counts(&self) -> [usize; 2] {
        [self.descriptors, self.empty]
    }

    /// Of two channels of one image: their descriptors and what was noticed of areas together, and the rest as in
    /// the first.
    pub fn joined(self, other: Self) -> Self {
        Self {
            descriptors: self.descriptors + other.descriptors,
            empty: self.empty + other.empty,
            without_boxes: self.without_boxes || other.without_boxes,
            without_parts: self.without_parts || other.without_parts,
            none_within: self.none_within || other.none_within,
            cut: self.cut || other.cut,
            undecided: self.undecided || other.undecided,
            ..self
        }
    }
}

/// How many images were noticed for what. In JSON, counts of 0 are left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Noted {
    /// Images of one value in every pixel.
    #[serde(skip_serializing_if = "is_zero")]
    pub blank: usize,
    /// Others of (nearly) only empty descriptors.
    #[serde(skip_serializing_if = "is_zero")]
    pub empty: usize,
    /// Images of more than 8 bits, or of floats, that use less than an eighth of their range.
    #[serde(skip_serializing_if = "is_zero")]
    pub dark: usize,
    /// The largest value among these, and the end of its range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest: Option<[f64; 2]>,
    /// Files of several frames or pages, of which the first full one is used.
    #[serde(skip_serializing_if = "is_zero")]
    pub several_pictures: usize,
    /// Images without a box, whose descriptors were to be taken from boxes; described as a whole.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_boxes: usize,
    /// The same of visible parts.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_parts: usize,
    /// Images with boxes or parts in which no descriptor lies; described as a whole.
    #[serde(skip_serializing_if = "is_zero")]
    pub none_within: usize,
    /// Images whose boxes or parts were cut at the border.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut: usize,
    /// Images of which nothing tells whether boxes were drawn before they were turned upright.
    #[serde(skip_serializing_if = "is_zero")]
    pub undecided: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Noted {
    /// Whether there is nothing to say.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Counts one image.
    pub fn add(&mut self, image: &Noticed) {
        let empty = image.empty as f64 >= NEARLY_ALL * image.descriptors as f64;
        let dark = image.of_file.dark;
        self.join(&Self {
            blank: usize::from(image.blank),
            empty: usize::from(empty && !image.blank && image.descriptors > 0),
            dark: usize::from(dark.is_some()),
            largest: dark,
            several_pictures: usize::from(image.of_file.several_pictures),
            without_boxes: usize::from(image.without_boxes),
            without_parts: usize::from(image.without_parts),
            none_within: usize::from(image.none_within),
            cut: usize::from(image.cut),
            undecided: usize::from(image.undecided),
        });
    }

    /// Adds the counts of other images.
    pub fn join(&mut self, other: &Self) {
        self.blank += other.blank;
        self.empty += other.empty;
        self.dark += other.dark;
        self.several_pictures += other.several_pictures;
        self.without_boxes += other.without_boxes;
        self.without_parts += other.without_parts;
        self.none_within += other.none_within;
        self.cut += other.cut;
        self.undecided += other.undecided;
        let share = |largest: &[f64; 2]| largest[0] / largest[1];
        self.largest = [self.largest, other.largest]
            .into_iter()
            .flatten()
            .max_by(|a, b| share(a).total_cmp(&share(b)));
    }

    /// Sentences for a user. `images` were looked at; `of` says which, after that number, and may be
    /// empty; `threshold` is the contrast below which a descriptor is empty.
    pub fn sentences(&self, images: usize, of: &str, threshold: f64) -> Vec<String> {
        let count = |n: usize, one: &str, several: &str| {
            let verb = if n == 1 { one } else { several };
            let noun = if images == 1 { "image" } else { "images" };
            format!("{n} of {images} {noun}{of} {verb}")
        };
        let mut said = Vec::new();
        if let Some([largest, white]) = self.largest {
            let range = match white > 1.0 {
                true => (largest + 1.0).log2().ceil().exp2() - 1.0,
                false => largest,
            };
            said.push(format!(
                "{} less than an eighth of the range of values (the largest is {largest} of \
                 {white}), so contrast is low; if such files are white at less, say at what: \
                 image.value_range = [0, {range}]",
                count(self.dark, "uses", "use")
            ));
        }
        if self.blank > 0 {
            let what = count(self.blank, "is", "are");
            said.push(format!("{what} blank: every pixel has the same value"));
        }
        if self.empty > 0 {
            said.push(format!(
                "{} (nearly) only empty descriptors, of a contrast below \
                 descriptors.contrast_threshold = {threshold}: dark, blurred or nearly blank \
                 pictures, or values of another range than their type (image.value_range)",
                count(self.empty, "has", "have")
            ));
        }
        if self.several_pictures > 0 {
            said.push(format!(
                "{} several frames or pages; the first full one is used",
                count(self.several_pictures, "holds", "hold")
            ));
        }
        for (number, what) in [(self.without_boxes, "box"), (self.without_parts, "visible part")] {
            if number > 0 {
                let has = count(number, "has", "have");
                said.push(format!("{has} no {what}: described as a whole"));
            }
        }
        if self.none_within > 0 {
            said.push(format!(
                "{} no descriptor within boxes or parts (descriptors.within), which are too small for that: \
                 described as a whole",
                count(self.none_within, "has", "have")
            ));
        }
        if self.cut > 0 {
            said.push(format!(
                "{} boxes or parts that reach over the border, and are cut there",
                count(self.cut, "has", "have")
            ));
        }
        if self.undecided > 0 {
            said.push(format!(
                "{} turned upright by EXIF data, and nothing tells whether boxes and parts were drawn before or \
                 after; they are taken as drawn after",
                count(self.undecided, "is", "are")
            ));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_join_and_become_sentences_in_the_right_number() {
        let mut noted = Noted::default();
        assert!(noted.is_nothing() && noted.sentences(3, "", 0.1).is_empty());
        noted.add(&Noticed { descriptors: 100, empty: 94, ..Noticed::default() });
        assert!(noted.is_nothing());
        noted.add(&Noticed { descriptors: 100, empty: 95, ..Noticed::default() });
        let blank = Noticed { descriptors: 9, empty: 9, blank: true, ..Noticed::default() };
        noted.add(&blank);
        noted.add(&blank);
        let dark =
            |largest| image::Remarks { several_pictures: true, dark: Some([largest, 65_535.0]) };
        noted.add(&Noticed { of_file: dark(4080.0), ..Noticed::default() });
        noted.add(&Noticed { of_file: dark(17.0), ..Noticed::default() });
        let said = noted.sentences(6, " of split `test`", 0.005);
        assert!(said[0].starts_with("2 of 6 images of split `test` use less"), "{said:?}");
        assert!(said[0].contains("4080 of 65535") && said[0].ends_with("[0, 4095]"), "{said:?}");
        assert!(said[1].starts_with("2 of 6 images of split `test` are blank"), "{said:?}");
        assert!(said[2].starts_with("1 of 6 images of split `test` has (nearly) only empty"));
        assert!(said[3].starts_with("2 of 6 images of split `test` hold several"), "{said:?}");
        let mut noted = Noted::default();
        let mut image = Noticed::default();
        image.marked(Within::Parts, 0, &Marks::default());
        noted.add(&image);
        image.marked(Within::Boxes, 1, &Marks { cut: true, ..Marks::default() });
        image.none_within();
        noted.add(&image);
        let said = noted.sentences(3, "", 0.1);
        assert_eq!(said[0], "1 of 3 images has no visible part: described as a whole");
        assert!(said[1].starts_with("1 of 3 images has no descriptor within"), "{said:?}");
        assert!(said[2].contains("reach over the border") && said.len() == 3, "{said:?}");
        let text = serde_json::to_string(&Noted { blank: 1, ..Noted::default() }).unwrap();
        assert_eq!(text, r#"{"blank":1}"#);
    }
}
