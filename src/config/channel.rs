//! A channel: one of several ways to describe an image.

use serde::{Deserialize, Serialize};

use super::groups::GROUPS;
use crate::error::{Error, Result};
use crate::parameters::{Key, Limits, Shape, read};

/// One of several ways to describe an image: its name, its weight, and the settings it overrides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Names its folder, `channels/<name>`: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Length of its part of the joint vector, beside the other channels'.
    #[serde(default = "Channel::equal_weight")]
    pub weight: f64,
    /// Keys of [`super::Config::descriptors`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub descriptors: toml::Table,
    /// Keys of [`super::Config::network`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub network: toml::Table,
    /// Keys of [`super::Config::sample`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub sample: toml::Table,
    /// Keys of [`super::Config::pca`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub pca: toml::Table,
    /// Keys of [`super::Config::gmm`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub gmm: toml::Table,
    /// Keys of [`super::Config::layer`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub layer: toml::Table,
    /// Keys of [`super::Config::encoding`].
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub encoding: toml::Table,
}

impl Channel {
    pub(super) const WEIGHT: Key = Key {
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

    pub(super) fn groups(&self) -> [(&'static str, &toml::Table); 7] {
        [
            ("descriptors", &self.descriptors),
            ("network", &self.network),
            ("sample", &self.sample),
            ("pca", &self.pca),
            ("gmm", &self.gmm),
            ("layer", &self.layer),
            ("encoding", &self.encoding),
        ]
    }

    pub(super) fn validate(&self) -> Result<()> {
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
    pub(super) fn sets(&self, key: &str) -> bool {
        let (group, field) = key.split_once('.').unwrap_or((key, ""));
        self.groups().into_iter().any(|(name, keys)| name == group && keys.contains_key(field))
    }
}
