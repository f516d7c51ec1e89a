//! The kinds of artifacts that stages make, and the settings that each is made with.

use serde_json::{Value, json};

use crate::config::Config;

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Descriptors to learn from.
    Sample,
    /// The projection.
    Pca,
    /// The mixture.
    Gmm,
    /// A shard of Fisher vectors.
    Fisher,
    /// The classifier.
    Svm,
}

impl Kind {
    /// In the order in which they are made.
    pub(crate) const ALL: [Self; 5] = [Self::Sample, Self::Pca, Self::Gmm, Self::Fisher, Self::Svm];

    /// Its name in artifacts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Pca => "pca",
            Self::Gmm => "gmm",
            Self::Fisher => "fisher",
            Self::Svm => "svm",
        }
    }

    /// The stage that makes it: the name of its command.
    pub(crate) fn stage(self) -> &'static str {
        match self {
            Self::Sample => "extract",
            Self::Pca => "fit-pca",
            Self::Gmm => "fit-gmm",
            Self::Fisher => "encode",
            Self::Svm => "train-svm",
        }
    }

    /// The groups of settings that it depends on. `vectors` are those that give the joint vector its
    /// meaning: a classifier's weights mean something for such vectors alone.
    pub(crate) fn settings(self, config: &Config, vectors: &Value) -> Value {
        let c = config;
        match self {
            Self::Sample => {
                let mut descriptors = json!(c.descriptors);
                // Where files lie changes nothing; what they hold is part of the data.
                descriptors["folder"].take();
                json!({
                    "seed": c.seed, "image": c.image, "descriptors": descriptors, "sample": c.sample,
                })
            }
            Self::Pca => json!({ "pca": c.pca }),
            Self::Gmm => json!({ "seed": c.seed, "gmm": c.gmm }),
            Self::Fisher => json!({ "encoding": c.encoding }),
            Self::Svm => {
                let mut settings = vectors.clone();
                settings["seed"] = json!(c.seed);
                settings["svm"] = json!(c.svm);
                settings
            }
        }
    }
}
