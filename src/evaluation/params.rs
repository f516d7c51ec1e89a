//! Settings of the evaluation, group `evaluation`.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::decision::Decision;
use crate::{Error, Result};

/// From which score on an image counts as showing a class: `"auto"`, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Of images of one class the class of the largest score; of others every score above 0.
    Auto,
    /// Every score above this one.
    Above(f64),
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Above(score) => serializer.serialize_f64(*score),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Threshold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Threshold, E> {
                match text {
                    "auto" => Ok(Threshold::Auto),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_f64<E: serde::de::Error>(self, score: f64) -> Result<Threshold, E> {
                Ok(Threshold::Above(score))
            }

            fn visit_i64<E: serde::de::Error>(self, score: i64) -> Result<Threshold, E> {
                Ok(Threshold::Above(score as f64))
            }

            fn visit_u64<E: serde::de::Error>(self, score: u64) -> Result<Threshold, E> {
                Ok(Threshold::Above(score as f64))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

crate::parameters! {
    /// Settings of the evaluation, group `evaluation`.
    #[group = "evaluation"]
    pub struct Params {
        /// From which score on an image counts as showing a class, for precision, recall, F1 and the table of
        /// predictions: `auto` (where every image has one class the class of the largest score, else every
        /// score above 0), or a number: every score above it.
        pub threshold: Threshold = Threshold::Auto;
        /// Resamples of the images, for the intervals of all measures; 0 for no intervals.
        pub resamples: usize = 1000, in 0..=100_000;
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()?;
        let finite = !matches!(self.threshold, Threshold::Above(score) if !score.is_finite());
        let value = format!("{:?}", self.threshold);
        Error::require(finite, "evaluation.threshold", value, "auto or a finite number")
    }

    /// How images are decided for data of which every image has one class (`single_label`), or any number.
    pub fn decision(&self, single_label: bool) -> Decision {
        match self.threshold {
            Threshold::Auto if single_label => Decision::BestClass,
            Threshold::Auto => Decision::ScoreAbove(0.0),
            Threshold::Above(score) => Decision::ScoreAbove(score),
        }
    }
}
