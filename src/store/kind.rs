//! The kinds of artifacts that stages make: a row each, with the settings that it is made with.
//!
//! | kind | stage | made from |
//! |---|---|---|
//! | `sample` | `extract` | image files |
//! | `layer` | `fit-layer` | the sample, image files and labels; or a file of another program |
//! | `pca` | `fit-pca` | the sample, or the layer |
//! | `gmm` | `fit-gmm` | the projection |
//! | `fisher` | `encode` | image files, projection and mixture |
//! | `svm` | `train-svm` | the vectors and labels of a split |
//!
//! Vectors of kind `pooled` are made from image files alone, those of kind `vectors` from their file.

use serde_json::{Value, json};

use crate::config::Config;
use crate::descriptors::Kind::{Pooled, Vectors};

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Descriptors to learn from.
    Sample,
    /// Projection and mixture that were learned together.
    Layer,
    /// The projection.
    Pca,
    /// The mixture.
    Gmm,
    /// A shard of Fisher vectors.
    Fisher,
    /// The classifier.
    Svm,
}

/// What there is to know of a kind.
struct Row {
    kind: Kind,
    /// Its name in artifacts.
    name: &'static str,
    /// The stage that makes it: the name of its command.
    stage: &'static str,
    /// Where it lies in a run or a channel; of vectors, the folder of all splits'.
    path: &'static str,
    /// The settings that it depends on.
    settings: fn(&Config, &Value) -> Value,
}

/// In the order in which they are made.
const ROWS: [Row; 6] = [
    Row {
        kind: Kind::Sample,
        name: "sample",
        stage: "extract",
        path: "descriptors/sample.safetensors",
        settings: |c, _| {
            let descriptors = descriptors(c);
            json!({
                "seed": c.seed, "image": c.image, "descriptors": descriptors, "sample": c.sample,
            })
        },
    },
    Row {
        kind: Kind::Layer,
        name: "layer",
        stage: "fit-layer",
        path: "layer.safetensors",
        settings: |c, _| match c.layer.learns() {
            true => json!({ "seed": c.seed, "pca": c.pca, "gmm": c.gmm, "layer": layer(c) }),
            false => json!({ "pca": after_file(c), "layer": layer(c) }),
        },
    },
    Row {
        kind: Kind::Pca,
        name: "pca",
        stage: "fit-pca",
        path: "pca.safetensors",
        settings: |c, _| match (c.layer.is_on(), c.layer.learns()) {
            (false, _) => json!({ "pca": c.pca }),
            (true, true) => json!({ "pca": c.pca, "layer": layer(c) }),
            (true, false) => json!({ "pca": after_file(c), "layer": layer(c) }),
        },
    },
    Row {
        kind: Kind::Gmm,
        name: "gmm",
        stage: "fit-gmm",
        path: "gmm.safetensors",
        settings: |c, _| match (c.layer.is_on(), c.layer.learns()) {
            (false, _) => json!({ "seed": c.seed, "gmm": c.gmm }),
            (true, true) => json!({ "gmm": c.gmm, "layer": layer(c) }),
            (true, false) => json!({ "layer": layer(c) }),
        },
    },
    Row {
        kind: Kind::Fisher,
        name: "fisher",
        stage: "encode",
        path: "fisher",
        settings: |c, _| match c.descriptors.kind {
            // Nothing else says how images are looked at.
            Pooled => {
                json!({ "encoding": c.encoding, "image": c.image, "descriptors": descriptors(c) })
            }
            // What decides whether an image is read at all.
            Vectors => {
                let image = &c.image;
                let image = json!({
                    "max_megapixels": image.max_megapixels, "value_range": image.value_range,
                });
                json!({
                    "encoding": c.encoding, "image": image, "descriptors": descriptors(c),
                })
            }
            _ => json!({ "encoding": c.encoding }),
        },
    },
    Row {
        kind: Kind::Svm,
        name: "svm",
        stage: "train-svm",
        path: "svm.safetensors",
        // Its weights mean something for vectors of this encoding alone.
        settings: |c, vectors| {
            let mut settings = vectors.clone();
            settings["seed"] = json!(c.seed);
            settings["svm"] = json!(c.svm);
            // What it says is part of the data.
            settings["svm"]["corrections"].take();
            settings
        },
    },
];

/// Settings of the descriptors. Where files lie changes nothing; what they hold is part of the data.
fn descriptors(config: &Config) -> Value {
    let mut descriptors = json!(config.descriptors);
    descriptors["folder"].take();
    descriptors["file"].take();
    descriptors
}

/// What the settings of the projection say of one that is read.
fn after_file(config: &Config) -> Value {
    json!({ "l2": config.pca.l2, "append": config.pca.append })
}

/// Settings of the layer, without the place of its file.
fn layer(config: &Config) -> Value {
    let mut layer = json!(config.layer);
    layer["file"].take();
    layer
}

impl Kind {
    /// All kinds, in the order in which they are made.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.kind)
    }

    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.kind == self).expect("every kind has a row")
    }

    /// Its name in artifacts.
    pub(crate) fn name(self) -> &'static str {
        self.row().name
    }

    /// The stage that makes it: the name of its command.
    pub(crate) fn stage(self) -> &'static str {
        self.row().stage
    }

    /// Where it lies in a run or a channel; of vectors, the folder of all splits'.
    pub(crate) fn path(self) -> &'static str {
        self.row().path
    }

    /// The name of its file; of vectors, of the folder of all splits'.
    pub(crate) fn file_name(self) -> &'static str {
        let path = self.path();
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }

    /// The settings that it depends on. `vectors` are those that give the joint vector its meaning.
    pub(crate) fn settings(self, config: &Config, vectors: &Value) -> Value {
        (self.row().settings)(config, vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_row_with_names_of_its_own() {
        let kinds = [Kind::Sample, Kind::Layer, Kind::Pca, Kind::Gmm, Kind::Fisher, Kind::Svm];
        assert!(Kind::all().eq(kinds));
        let of: [fn(Kind) -> &'static str; 3] = [Kind::name, Kind::stage, Kind::path];
        for text in of {
            let texts: std::collections::BTreeSet<&str> = kinds.into_iter().map(text).collect();
            assert_eq!(texts.len(), kinds.len(), "{texts:?}");
        }
    }
}
