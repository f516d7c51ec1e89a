//! How a run folder is opened: options, and the settings that they give, checked before any work.

use std::path::{Path, PathBuf};

use crate::config::{Config, DEFAULT_PRESET, Sourced};
use crate::describer::{Networks, extractor_of};
use crate::descriptors::Kind;
use crate::error::{Error, Result};
use crate::store::Paths;

/// How a run folder is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Preset or file; the run's own configuration when `None`, [`crate::config::DEFAULT_PRESET`] in a new run.
    pub config: Option<String>,
    /// `group.key=value` overrides, applied last.
    pub overrides: Vec<String>,
    /// Table of labels in place of the configuration's (`data.labels`).
    pub labels: Option<PathBuf>,
    /// Network in place of the configuration's (`network.file`).
    pub network: Option<PathBuf>,
    /// Learn a layer, where neither the run nor one of its channels has one (`layer.joint`).
    pub learn: bool,
    /// Seed in place of the configuration's.
    pub seed: Option<u64>,
    /// Make again what was made with other settings or from other data.
    pub refit: bool,
    /// Stop at the first image that cannot be used, instead of skipping it.
    pub strict: bool,
    /// Make a part of the vectors, while others may be making theirs in the same folder: nothing is fitted, and the
    /// run's settings stay as they are.
    pub part: bool,
    /// Run folders whose models and vectors are taken over where they were made from the same inputs.
    pub reuse: Vec<PathBuf>,
    /// Most bytes to allocate. Work is done in smaller parts, or refused; no result depends on it.
    pub max_memory: Option<u64>,
}

/// Composes the configuration and checks it, before any work.
///
/// # Errors
/// [`Error::Config`] with key, value, range and where the value was set.
pub(crate) fn in_force(dir: &Path, options: &Options) -> Result<Sourced> {
    let stored = Paths::new(dir).config();
    let mut sourced = match &options.config {
        Some(name) => Sourced::named(name).map_err(|error| of_option(name, error))?,
        None if stored.exists() => Sourced::file(&stored)?,
        None => Sourced::named(DEFAULT_PRESET)?,
    };
    options.overrides.iter().try_for_each(|text| sourced.set(text))?;
    if let Some(file) = &options.labels {
        sourced.set_labels(file);
    }
    if let Some(file) = &options.network {
        sourced.set_network(file);
    }
    if let Some(seed) = options.seed {
        sourced.set_seed(seed);
    }
    if options.learn && !has_layer(&sourced.config) {
        sourced.set("layer.joint=true")?;
    }
    absolute_paths(&mut sourced.config)?;
    check(&sourced.config).map_err(|error| sourced.blame(error))?;
    Ok(sourced)
}

/// Whether a layer is on anywhere, or was turned off by name.
fn has_layer(config: &Config) -> bool {
    config.layer.is_on() || config.channel.iter().any(|channel| !channel.layer.is_empty())
}

/// What is wrong with the name itself is the option's fault, what is wrong in the file the file's.
fn of_option(name: &str, error: Error) -> Error {
    match error {
        Error::Config { origin, problem } if origin == name => {
            Error::Config { origin: format!("--config {name}"), problem }
        }
        other => other,
    }
}

/// Paths are written down as absolute ones: the next command may start elsewhere.
fn absolute_paths(config: &mut Config) -> Result<()> {
    const KEYS: [&str; 5] =
        ["descriptors.folder", "descriptors.file", "network.file", "network.library", "layer.file"];
    let absolute = |key: &str, path: &Path| {
        let path = std::path::absolute(path).map_err(Error::io("find", path))?;
        let text = "a path in UTF-8, which can be written into a configuration";
        Error::require(path.to_str().is_some(), key, path.display(), text)?;
        Ok(path)
    };
    let (descriptors, network) = (&mut config.descriptors, &mut config.network);
    let paths = [
        &mut descriptors.folder,
        &mut descriptors.file,
        &mut network.file,
        &mut network.library,
        &mut config.layer.file,
    ];
    let (data, svm) = (&mut config.data, &mut config.svm);
    let of_data = [
        ("data.labels", &mut data.labels),
        ("data.boxes", &mut data.boxes),
        ("svm.corrections", &mut svm.corrections),
    ];
    let paths = KEYS.into_iter().zip(paths).chain(of_data);
    for (key, path) in paths {
        if !path.as_os_str().is_empty() {
            *path = absolute(key, path)?;
        }
    }
    for channel in &mut config.channel {
        for full in KEYS {
            let table = match full.split_once('.') {
                Some(("network", key)) => channel.network.get_mut(key),
                Some(("layer", key)) => channel.layer.get_mut(key),
                Some((_, key)) => channel.descriptors.get_mut(key),
                None => None,
            };
            if let Some(toml::Value::String(path)) = table
                && !path.is_empty()
            {
                *path = absolute(full, Path::new(path))?.to_string_lossy().into_owned();
            }
        }
    }
    Ok(())
}

/// Ranges, and what settings of several stages ask of each other.
fn check(config: &Config) -> Result<()> {
    config.validate()?;
    let networks = Networks::default();
    let together = |config: &Config| check_together(&networks.resolved(config)?);
    if config.channel.is_empty() {
        return together(config);
    }
    config.channel.iter().try_for_each(|channel| {
        together(&config.of_channel(channel)?).map_err(|error| channel.blame(error))
    })
}

/// What settings of several stages ask of each other, of one way to describe an image.
fn check_together(config: &Config) -> Result<()> {
    let (given, folder) =
        (config.descriptors.kind == Kind::Files, config.descriptors.folder.as_path());
    let range = "an existing folder of .npy files";
    Error::require(!given || folder.is_dir(), "descriptors.folder", folder.display(), range)?;
    extractor_of(config)?;
    let (dimension, most) = (config.pca.dimension, config.descriptors.dim());
    let range = format!("at most the descriptor's {most} dimensions");
    Error::require(dimension <= most, "pca.dimension", dimension, &range)
}
