//! The whole configuration: every stage's settings, presets, overrides and fingerprints.
//!
//! A configuration is a TOML file with one table per stage. Presets (`configs/*.toml`) are such
//! files; what a file leaves out has its default. Unknown keys are refused.
//!
//! An image may be described in several ways at once, each a *channel* with its own descriptors,
//! projection, mixture and Fisher vector. A `[[channel]]` table names the settings in which a channel
//! differs from the tables above it:
//!
//! ```toml
//! [gmm]
//! components = 256
//!
//! [[channel]]
//! name = "sift"
//!
//! [[channel]]
//! name = "colour"
//! descriptors.kind = "colour"
//! pca.dimension = 64
//! ```

mod effect;
mod reference;
mod sources;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::descriptors::sample;
use crate::error::{Error, Result};
use crate::parameters::{Key, Limits, Shape, read};
use crate::random::Seed;
use crate::{dataset, descriptors, encoding, gmm, image, projection, svm};
use effect::{effective_group, idle_keys};

pub use effect::{differences, effective_inputs, fingerprint};
pub use sources::{Origin, Sourced};

/// Presets by name, with their text.
pub const PRESETS: &[(&str, &str)] = &[
    ("best", include_str!("../configs/best.toml")),
    ("chatfield", include_str!("../configs/chatfield.toml")),
    ("fast", include_str!("../configs/fast.toml")),
    ("lrp", include_str!("../configs/lrp.toml")),
    ("quick", include_str!("../configs/quick.toml")),
    ("scene15", include_str!("../configs/scene15.toml")),
    ("vlfeat", include_str!("../configs/vlfeat.toml")),
];

/// The preset of a run for which none is named.
pub const DEFAULT_PRESET: &str = "best";

/// Every setting of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of every random choice.
    pub seed: Seed,
    /// Finding images and labels.
    pub data: dataset::Params,
    /// Decoding.
    pub image: image::Params,
    /// Local descriptors.
    pub descriptors: descriptors::Params,
    /// Descriptors that PCA and mixture are fitted to.
    pub sample: sample::Params,
    /// Projection.
    pub pca: projection::Params,
    /// Mixture.
    pub gmm: gmm::Params,
    /// Fisher vector.
    pub encoding: encoding::Params,
    /// Classifier.
    pub svm: svm::Params,
    /// Several ways to describe an image; empty for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channel: Vec<Channel>,
}

/// One of several ways to describe an image: its name, its weight, and the settings it overrides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Names its folder, `channels/<name>`: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Length of its part of the joint vector, beside the other channels'.
    #[serde(default = "Channel::equal_weight")]
    pub weight: f64,
    /// Keys of [`Config::descriptors`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub descriptors: toml::Table,
    /// Keys of [`Config::sample`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub sample: toml::Table,
    /// Keys of [`Config::pca`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub pca: toml::Table,
    /// Keys of [`Config::gmm`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub gmm: toml::Table,
    /// Keys of [`Config::encoding`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub encoding: toml::Table,
}

impl Channel {
    const WEIGHT: Key = Key {
        name: "weight",
        meaning: "Length of its part of the joint vector, relative to the other channels.",
        needs: None,
        shape: Shape::of::<f64>,
        limits: || Limits::from(1e-6..=1e6),
        read: read::<f64>,
    };

    fn equal_weight() -> f64 {
        1.0
    }

    fn groups(&self) -> [(&'static str, &toml::Table); 5] {
        [
            ("descriptors", &self.descriptors),
            ("sample", &self.sample),
            ("pca", &self.pca),
            ("gmm", &self.gmm),
            ("encoding", &self.encoding),
        ]
    }

    fn validate(&self) -> Result<()> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        Error::require(
            !self.name.is_empty() && self.name.chars().all(letters),
            "channel.name",
            &self.name,
            "lower-case letters, digits, `-` and `_`",
        )?;
        let own = !GROUPS.iter().any(|group| group.name == self.name);
        Error::require(own, "channel.name", &self.name, "another name than that of a group")?;
        let key = format!("{}.weight", self.name);
        crate::parameters::check(&key, &self.weight, (Self::WEIGHT.limits)())
    }
}

impl Channel {
    /// A refused setting of its configuration: by the key with which this channel alone is set where it
    /// sets it, and otherwise that of the tables above, which do not fit this channel.
    pub fn blame(&self, error: Error) -> Error {
        let Error::Setting { key, value, range } = error else { return error };
        if self.sets(&key) {
            return Error::Setting { key: format!("{}.{key}", self.name), value, range };
        }
        Error::Setting { key, value, range: format!("{range}, in channel `{}`", self.name) }
    }

    /// Whether it sets a key, spelled `group.key`, itself.
    fn sets(&self, key: &str) -> bool {
        let (group, field) = key.split_once('.').unwrap_or((key, ""));
        self.groups().into_iter().any(|(name, keys)| name == group && keys.contains_key(field))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: Seed(1),
            data: Default::default(),
            image: Default::default(),
            descriptors: Default::default(),
            sample: Default::default(),
            pca: Default::default(),
            gmm: Default::default(),
            encoding: Default::default(),
            svm: Default::default(),
            channel: Vec::new(),
        }
    }
}

/// One settings group: its name, its keys, and which of them count.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Name of the TOML table.
    pub name: &'static str,
    /// What the group is about.
    pub about: &'static str,
    /// Its keys, in order of declaration.
    pub keys: &'static [Key],
    /// The settings that have an effect, of those that are stored.
    effective: fn(&Value) -> Value,
    /// Names of the others.
    idle: fn(&Value) -> Vec<&'static str>,
}

macro_rules! groups {
    ($($name:literal, $about:literal, $params:ty;)+) => {
        /// All groups in the order of the pipeline.
        pub const GROUPS: &[Group] = &[ $( Group {
            name: $name,
            about: $about,
            keys: <$params>::KEYS,
            effective: |stored| effective_group(stored, <$params>::idle),
            idle: |stored| idle_keys(stored, <$params>::idle),
        } ),+ ];
    };
}

groups! {
    "data", "Images and labels", dataset::Params;
    "image", "Decoding of images", image::Params;
    "descriptors", "Local descriptors", descriptors::Params;
    "sample", "Descriptors to learn from", sample::Params;
    "pca", "Projection", projection::Params;
    "gmm", "Gaussian mixture", gmm::Params;
    "encoding", "Fisher vector", encoding::Params;
    "svm", "Classifier", svm::Params;
}

/// The groups of which a channel may set keys.
const CHANNEL_GROUPS: [&str; 5] = ["descriptors", "sample", "pca", "gmm", "encoding"];

/// The one key outside the groups.
static SEED: Key = Key {
    name: "seed",
    meaning: "Seed of every random choice.",
    needs: None,
    shape: Shape::of::<Seed>,
    limits: || Limits::from(0..),
    read: read::<Seed>,
};

impl Config {
    /// Reads a preset by name or a TOML file by path.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name, unreadable TOML, an unknown key or a wrong type.
    pub fn named(name_or_path: &str) -> Result<Self> {
        Ok(Sourced::named(name_or_path)?.config)
    }

    /// Reads TOML text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`named`](Self::named).
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        Ok(Sourced::parse(text, origin)?.config)
    }

    /// The configuration with `group.key=value` overrides, applied in order. Values are TOML; a bare
    /// word is a string, and so is a number or a truth value where a string belongs.
    ///
    /// # Errors
    /// [`Error::Config`] naming the override that is not understood, and the known keys.
    pub fn with_overrides(&self, overrides: &[String]) -> Result<Self> {
        let mut sourced = Sourced::of(self.clone());
        overrides.iter().try_for_each(|text| sourced.set(text))?;
        Ok(sourced.config)
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming key, value and range of the first that is out of range.
    pub fn validate(&self) -> Result<()> {
        let Seed(seed) = self.seed;
        // Whole numbers of TOML end there, and every run writes its configuration down.
        let largest = i64::MAX as u64;
        Error::require(seed <= largest, "seed", seed, &format!("at most {largest}"))?;
        self.data.validate()?;
        self.image.validate()?;
        self.descriptors.validate()?;
        self.sample.validate()?;
        self.pca.validate()?;
        self.gmm.validate()?;
        self.encoding.validate()?;
        self.svm.validate()?;
        for (number, channel) in self.channel.iter().enumerate() {
            channel.validate()?;
            let named_before = self.channel[..number].iter().any(|c| c.name == channel.name);
            Error::require(!named_before, "channel.name", &channel.name, "a name of its own")?;
            self.of_channel(channel)?.validate().map_err(|error| channel.blame(error))?;
        }
        if !self.channel.is_empty() {
            return Ok(());
        }
        Error::require(
            self.gmm.components <= self.sample.rows,
            "gmm.components",
            self.gmm.components,
            &format!("at most sample.rows ({})", self.sample.rows),
        )
    }

    /// The configuration of one channel: the tables of this one with the channel's keys in place of
    /// theirs, and no channels.
    ///
    /// # Errors
    /// [`Error::Config`] naming channel and key, for one that is unknown or of a wrong type.
    pub fn of_channel(&self, channel: &Channel) -> Result<Self> {
        let mut table = Self { channel: Vec::new(), ..self.clone() }.table();
        for (group, keys) in channel.groups() {
            let base = table.get_mut(group).and_then(toml::Value::as_table_mut);
            let base = base.expect("a configuration has every group");
            base.extend(keys.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        table.try_into().map_err(|e: toml::de::Error| Error::Config {
            origin: format!("channel `{}`", channel.name),
            problem: e.message().replace('\n', " "),
        })
    }

    fn table(&self) -> toml::Table {
        toml::Table::try_from(self).expect("a configuration is a TOML table")
    }

    /// The whole configuration as TOML, every key written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is a TOML table")
    }
}
