//! The whole configuration: every stage's settings, presets, overrides and fingerprints.
//!
//! A configuration is a TOML file with one table per stage. Presets (`configs/*.toml`) are such
//! files; what a file leaves out has its default. Unknown keys are refused.
//!
//! An image may be described in several ways at once, each a *channel* with its own descriptors,
//! projection, mixture and Fisher vector. A `[[channel]]` table says what a channel does otherwise
//! than the tables above it:
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

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::descriptors::sample;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::{dataset, descriptors, encoding, gmm, image, projection, svm};

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

/// One of several ways to describe an image: its name, its weight, and what it does otherwise than
/// the configuration's own tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Names its folder, `channels/<name>`: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Length of its part of the joint vector, beside the other channels' (1e-6 to 1e6).
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
        Error::require(
            (1e-6..=1e6).contains(&self.weight),
            "channel.weight",
            self.weight,
            "from 1e-6 to 1e6",
        )
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

/// One settings group as documented: name, what it is about, its keys.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Name of the TOML table.
    pub name: &'static str,
    /// What the group is about.
    pub about: &'static str,
    /// Keys with their documentation.
    pub keys: &'static [(&'static str, &'static str)],
}

/// All groups in the order of the pipeline.
pub const GROUPS: &[Group] = &[
    Group { name: "data", about: "Finding images and labels", keys: dataset::Params::DOCS },
    Group { name: "image", about: "Decoding images", keys: image::Params::DOCS },
    Group { name: "descriptors", about: "Dense SIFT", keys: descriptors::Params::DOCS },
    Group { name: "sample", about: "Descriptors to learn from", keys: sample::Params::DOCS },
    Group { name: "pca", about: "Projection", keys: projection::Params::DOCS },
    Group { name: "gmm", about: "Gaussian mixture", keys: gmm::Params::DOCS },
    Group { name: "encoding", about: "Fisher vector", keys: encoding::Params::DOCS },
    Group { name: "svm", about: "Classifier", keys: svm::Params::DOCS },
];

impl Config {
    /// Reads a preset by name or a TOML file by path.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name, unreadable TOML, an unknown key or a wrong type.
    pub fn named(name_or_path: &str) -> Result<Self> {
        if let Some((name, text)) = PRESETS.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, &format!("preset `{name}`"));
        }
        let path = Path::new(name_or_path);
        let text = match crate::files::read_text(path) {
            Ok(text) => text,
            Err(_) if !path.exists() => {
                let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
                return Err(Error::Config {
                    origin: format!("--config {name_or_path}"),
                    problem: format!(
                        "no such file, and no such preset; the presets are {}",
                        names.join(", ")
                    ),
                });
            }
            Err(source) => return Err(Error::io("read", path)(source)),
        };
        Self::parse(&text, name_or_path)
    }

    /// Reads a TOML file by a path that need not be UTF-8.
    ///
    /// # Errors
    /// As [`named`](Self::named), and [`Error::Io`] for a file that cannot be read.
    pub fn named_file(path: &Path) -> Result<Self> {
        let text = crate::files::read_text(path).map_err(Error::io("read", path))?;
        Self::parse(&text, &path.to_string_lossy())
    }

    /// Reads TOML text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`named`](Self::named).
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        // The byte order mark of some editors; the places in errors count from behind it.
        let text = text.trim_start_matches('\u{feff}');
        toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| {
                let before = text.bytes().take(span.start);
                1 + before.filter(|&byte| byte == b'\n').count()
            });
            let origin = match line {
                Some(line) => format!("{origin}:{line}"),
                None => origin.to_owned(),
            };
            Error::Config { origin, problem: e.message().replace('\n', " ") }
        })
    }

    /// The configuration with `group.key=value` overrides, applied in order. Values are TOML; a bare
    /// word is a string.
    ///
    /// # Errors
    /// [`Error::Config`] naming the override that is not understood, and the known keys.
    pub fn with_overrides(&self, overrides: &[String]) -> Result<Self> {
        let mut config = self.clone();
        for text in overrides {
            config = config.with_override(text)?;
        }
        Ok(config)
    }

    fn with_override(&self, text: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Config { origin: format!("--set {text}"), problem };
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| refuse("write key=value, for example gmm.components=128".into()))?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        if key == "channel" {
            return self.with_channels(&parsed).ok_or_else(|| {
                let names: Vec<&str> = self.channel.iter().map(|c| c.name.as_str()).collect();
                refuse(format!("write a list of channels; they are {}", names.join(", ")))
            });
        }
        let mut table = self.table();
        let channel = self.channel.iter().position(|channel| {
            key.strip_prefix(channel.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        });
        if let Some(number) = channel {
            let rest = &key[self.channel[number].name.len() + 1..];
            let channels = table.get_mut("channel").and_then(toml::Value::as_array_mut);
            let table = channels.and_then(|all| all[number].as_table_mut()).expect("it is there");
            match rest.split_once('.') {
                None => table.insert(rest.to_owned(), parsed),
                Some((group, field)) => {
                    let group = table
                        .entry(group.to_owned())
                        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
                    let group = group
                        .as_table_mut()
                        .ok_or_else(|| refuse(format!("`{rest}` is no key of a channel")))?;
                    group.insert(field.to_owned(), parsed)
                }
            };
        } else if let Some((group, field)) = key.split_once('.') {
            let known = GROUPS.iter().find(|g| g.name == group).ok_or_else(|| {
                let groups = GROUPS.iter().map(|g| g.name);
                let channels = self.channel.iter().map(|channel| channel.name.as_str());
                let names: Vec<&str> = groups.chain(channels).collect();
                refuse(format!("no group `{group}`; the groups are {}", names.join(", ")))
            })?;
            if !known.keys.iter().any(|(name, _)| *name == field) {
                let names: Vec<&str> = known.keys.iter().map(|(name, _)| *name).collect();
                return Err(refuse(format!(
                    "no key `{field}` in `{group}`; its keys are {}",
                    names.join(", ")
                )));
            }
            if let Some(toml::Value::Table(inner)) = table.get_mut(group) {
                inner.insert(field.to_owned(), parsed);
            }
        } else if key == "seed" {
            table.insert(key.to_owned(), parsed);
        } else {
            return Err(refuse("keys are written group.key, for example svm.c".into()));
        }
        table.try_into().map_err(|e: toml::de::Error| refuse(e.message().replace('\n', " ")))
    }

    /// Only the channels that are named, in that order; `None` when one is not there.
    fn with_channels(&self, names: &toml::Value) -> Option<Self> {
        let named = |name: &toml::Value| {
            self.channel.iter().find(|channel| name.as_str() == Some(&channel.name)).cloned()
        };
        let channel = names.as_array()?.iter().map(named).collect::<Option<_>>()?;
        Some(Self { channel, ..self.clone() })
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
            self.of_channel(channel)?.validate()?;
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

    /// The reference page of every key: group, key, default, meaning (Markdown).
    pub fn reference() -> String {
        let defaults = toml::Table::try_from(Self::default()).expect("a configuration is a table");
        let mut page = String::from(
            "# Settings\n\nEvery key of a configuration file, with its default. Made from the code by \
             `fvtool settings`; do not edit.\nAny key can be set on the command line: `--set group.key=value`. \
             `seed` (default 1) stands outside the groups and is also `--seed`.\n",
        );
        for group in GROUPS {
            page += &format!(
                "\n## `[{}]`: {}\n\n| key | default | meaning |\n|---|---|---|\n",
                group.name, group.about
            );
            for (key, meaning) in group.keys {
                let default = defaults
                    .get(group.name)
                    .and_then(|table| table.get(*key))
                    .map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
                let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
                page += &format!("| `{key}` | {default} | {} |\n", meaning.replace('|', "\\|"));
            }
        }
        page += CHANNEL_REFERENCE;
        page += "\n## Presets\n\n| preset | what it is |\n|---|---|\n";
        for (name, text) in PRESETS {
            let about: Vec<&str> =
                text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
            page += &format!("| `{name}` | {} |\n", about.join(" "));
        }
        page
    }
}

/// What the reference page says of `[[channel]]`.
const CHANNEL_REFERENCE: &str = "
## `[[channel]]`: Several kinds of descriptors

One table for each way to describe an image. Its Fisher vectors are joined, each multiplied by its
weight over the root of the sum of all squared weights. Without any, the tables above are the one way.
`--set \"channel=['sift']\"` keeps the channels that it names.

| key | default | meaning |
|---|---|---|
| `name` | | Names its folder, `channels/<name>`: lower-case letters, digits, `-` and `_`. |
| `weight` | `1.0` | Length of its part of the joint vector beside the others (1e-6 to 1e6). |
| `descriptors.KEY`, `sample.KEY`, `pca.KEY`, `gmm.KEY`, `encoding.KEY` | that of the table above | What this channel does otherwise. On the command line: `--set NAME.pca.dimension=64`. |
";

/// Hash of a stage's inputs: equal inputs, equal fingerprints, whatever the order of their keys.
pub fn fingerprint(inputs: &Value) -> String {
    // `serde_json` maps are sorted by key, so the text is canonical.
    blake3::hash(inputs.to_string().as_bytes()).to_hex()[..32].to_owned()
}

/// The leaves that differ between two JSON values: dotted key, old, new.
pub fn differences(old: &Value, new: &Value) -> Vec<(String, String, String)> {
    fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<(String, String, String)>) {
        if old == new {
            return;
        }
        if let (Value::Object(a), Value::Object(b)) = (old, new) {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let child = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (x, y) = (a.get(key), b.get(key));
                walk(&child, x.unwrap_or(&Value::Null), y.unwrap_or(&Value::Null), found);
            }
        } else {
            found.push((path.to_owned(), old.to_string(), new.to_string()));
        }
    }
    let mut found = Vec::new();
    walk("", old, new, &mut found);
    found
}
