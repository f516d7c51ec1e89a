//! The groups of settings, and which of a group's stored settings have an effect.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::descriptors::sample;
use crate::parameters::{Key, Limits, Shape, read};
use crate::random::Seed;
use crate::{
    dataset, descriptors, encoding, evaluation, gmm, image, layer, network, projection, svm,
};

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
    pub(super) effective: fn(&Value) -> Value,
    /// Names of the others.
    pub(super) idle: fn(&Value) -> Vec<&'static str>,
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
    "network", "Pretrained network", network::Params;
    "sample", "Descriptors to learn from", sample::Params;
    "pca", "Projection", projection::Params;
    "gmm", "Gaussian mixture", gmm::Params;
    "layer", "Layer that learns with its features", layer::Params;
    "encoding", "Fisher vector", encoding::Params;
    "svm", "Classifier", svm::Params;
    "evaluation", "Measures", evaluation::Params;
}

/// The groups of which a channel may set keys.
pub(super) const CHANNEL_GROUPS: [&str; 7] =
    ["descriptors", "network", "sample", "pca", "gmm", "layer", "encoding"];

/// The one key outside the groups.
pub(super) static SEED: Key = Key {
    name: "seed",
    meaning: "Seed of every random choice.",
    needs: None,
    shape: Shape::of::<Seed>,
    limits: || Limits::from(0..),
    read: read::<Seed>,
};

/// A group's stored settings, with defaults for those that were not stored and without `idle` ones.
/// What cannot be read stays as it is, and so differs from everything that can.
fn effective_group<P: Serialize + DeserializeOwned>(
    stored: &Value,
    idle: fn(&P) -> Vec<&'static str>,
) -> Value {
    let Some((params, mut all)) = params_of::<P>(stored) else { return stored.clone() };
    idle(&params).into_iter().for_each(|key| {
        all.remove(key);
    });
    // Where files lie changes nothing; what they hold is part of the data.
    all.remove("folder");
    all.remove("file");
    all.remove("library");
    Value::Object(all)
}

/// The idle keys of a group's settings.
fn idle_keys<P: Serialize + DeserializeOwned>(
    stored: &Value,
    idle: fn(&P) -> Vec<&'static str>,
) -> Vec<&'static str> {
    params_of::<P>(stored).map(|(params, _)| idle(&params)).unwrap_or_default()
}

/// Stored settings as they are read, and all of them written out.
fn params_of<P: Serialize + DeserializeOwned>(stored: &Value) -> Option<(P, Map<String, Value>)> {
    let mut given = stored.as_object()?.clone();
    given.retain(|_, value| !value.is_null());
    let params: P = serde_json::from_value(Value::Object(given)).ok()?;
    match serde_json::to_value(&params).ok()? {
        Value::Object(all) => Some((params, all)),
        _ => None,
    }
}
