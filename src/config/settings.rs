//! Every setting of a run, as one value.

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use crate::descriptors::{Kind, sample};
use crate::error::{Error, Result};
use crate::generative::Parts;
use crate::random::Seed;
use crate::{
    dataset, descriptors, encoding, evaluation, gmm, image, layer, network, projection, svm,
};

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
    /// The network that descriptors come from.
    pub network: network::Params,
    /// Descriptors that PCA and mixture are fitted to.
    pub sample: sample::Params,
    /// Projection.
    pub pca: projection::Params,
    /// Mixture.
    pub gmm: gmm::Params,
    /// Layer that learns with its features.
    pub layer: layer::Params,
    /// Fisher vector.
    pub encoding: encoding::Params,
    /// Classifier.
    pub svm: svm::Params,
    /// Measures.
    pub evaluation: evaluation::Params,
    /// Several ways to describe an image; empty for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channel: Vec<Channel>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: Seed(1),
            data: Default::default(),
            image: Default::default(),
            descriptors: Default::default(),
            network: Default::default(),
            sample: Default::default(),
            pca: Default::default(),
            gmm: Default::default(),
            layer: Default::default(),
            encoding: Default::default(),
            svm: Default::default(),
            evaluation: Default::default(),
            channel: Vec::new(),
        }
    }
}

impl Config {
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
        self.network.validate()?;
        self.sample.validate()?;
        self.pca.validate()?;
        self.gmm.validate()?;
        self.layer.validate()?;
        self.encoding.validate()?;
        self.svm.validate()?;
        self.evaluation.validate()?;
        for (number, channel) in self.channel.iter().enumerate() {
            channel.validate()?;
            let named_before = self.channel[..number].iter().any(|c| c.name == channel.name);
            Error::require(!named_before, "channel.name", &channel.name, "a name of its own")?;
            let of_channel = self.of_channel(channel)?;
            of_channel.validate().map_err(|error| channel.blame(error))?;
            of_channel.refuse_unused_of(channel)?;
        }
        if !self.channel.is_empty() {
            return Ok(());
        }
        if !self.descriptors.kind.is_one_vector() {
            self.gmm.check_factors(self.pca.output_dim())?;
            Parts::of(&self.gmm, self.pca.output_dim()).check_orders(&self.encoding.orders)?;
        }
        let (parts, kind) = (&self.encoding.leave_out, self.descriptors.kind);
        Error::require(
            parts.is_empty() || kind != Kind::Vectors,
            "encoding.leave_out",
            format!("a list of {}", parts.len()),
            "empty when descriptors.kind is vectors: a vector is of all of its image",
        )?;
        Error::require(
            !self.layer.is_on() || self.gmm.family == gmm::Family::Gaussian,
            "gmm.family",
            self.gmm.family,
            "gaussian where a layer learns (layer.joint) or is read (layer.file)",
        )?;
        Error::require(
            !self.gmm.family.is_mixture() || self.gmm.components <= self.sample.rows,
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

    /// Why a key has no effect beside the kind of descriptors; `None` where it may have one.
    pub(super) fn unused(&self, group: &str, key: &str) -> Option<&'static str> {
        let kind = self.descriptors.kind;
        match (group, key) {
            ("network", _) if !kind.is_of_network() => {
                Some("it needs descriptors.kind = network or pooled")
            }
            ("encoding", "mirrored" | "storage") => None,
            ("encoding", "orders" | "order_weights" | "assignment" | "posterior_threshold")
                if self.gmm.family == gmm::Family::Vae && !kind.is_one_vector() =>
            {
                Some("gmm.family is vae: its vectors have no orders and no posteriors")
            }
            ("sample" | "pca" | "gmm" | "layer" | "encoding", _) if kind.is_one_vector() => {
                Some(match kind {
                    descriptors::Kind::Vectors => {
                        "descriptors.kind is vectors: one vector an image, with no sample, PCA, mixture or \
                     regions"
                    }
                    _ => {
                        "descriptors.kind is pooled: one vector an image, with no sample, PCA, mixture or \
                     regions"
                    }
                })
            }
            _ => None,
        }
    }

    /// Refuses what a channel of one vector an image sets for models that it does not have. `self` is its
    /// configuration.
    fn refuse_unused_of(&self, channel: &Channel) -> Result<()> {
        if !self.descriptors.kind.is_one_vector() {
            return Ok(());
        }
        let keys = |(group, keys): (&'static str, &toml::Table)| {
            keys.clone().into_iter().map(move |(key, value)| (group, key, value))
        };
        for (group, key, value) in channel.groups().into_iter().flat_map(keys) {
            if let Some(reason) = self.unused(group, &key) {
                let name = format!("{}.{group}.{key}", channel.name);
                return Err(Error::setting(name, value, format!("left out ({reason})")));
            }
        }
        Ok(())
    }

    pub(super) fn table(&self) -> toml::Table {
        toml::Table::try_from(self).expect("a configuration is a TOML table")
    }

    /// The whole configuration as TOML, every key written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is a TOML table")
    }
}
