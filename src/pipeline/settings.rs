//! The settings a run is opened with: where each comes from, and refusals that say so.

use std::path::Path;

use super::Options;
use crate::config::{Config, DEFAULT_PRESET, PRESETS};
use crate::descriptors::Kind;
use crate::error::{Error, Result};
use crate::random::Seed;

/// Composes the configuration and checks it, before any work.
///
/// # Errors
/// [`Error::Config`] with key, value, range and where the value was set.
pub(super) fn in_force(dir: &Path, options: &Options) -> Result<Config> {
    let stored = dir.join("config.toml");
    let base = match &options.config {
        Some(name) => name.clone(),
        None if stored.exists() => stored.to_string_lossy().into_owned(),
        None => DEFAULT_PRESET.to_owned(),
    };
    let config = match &options.config {
        None if stored.exists() => Config::named_file(&stored)?,
        _ => Config::named(&base)?,
    };
    let mut config = config.with_overrides(&options.overrides)?;
    if let Some(seed) = options.seed {
        config.seed = Seed(seed);
    }
    absolute_folders(&mut config)?;
    match check(&config) {
        Err(Error::Setting { key, value, range }) => Err(Error::Config {
            origin: origin(&key, &base, options),
            problem: Error::setting(key, value, range).to_string(),
        }),
        checked => checked.map(|()| config),
    }
}

/// Folders are written down as absolute paths: the next command may start elsewhere.
fn absolute_folders(config: &mut Config) -> Result<()> {
    let absolute = |folder: &Path| {
        let path = std::path::absolute(folder).map_err(Error::io("find", folder))?;
        let text = "a path in UTF-8, which can be written into a configuration";
        Error::require(path.to_str().is_some(), "descriptors.folder", path.display(), text)?;
        Ok(path)
    };
    let folder = &mut config.descriptors.folder;
    if !folder.as_os_str().is_empty() {
        *folder = absolute(folder)?;
    }
    for channel in &mut config.channel {
        if let Some(toml::Value::String(folder)) = channel.descriptors.get_mut("folder") {
            *folder = absolute(Path::new(folder))?.to_string_lossy().into_owned();
        }
    }
    Ok(())
}

/// Ranges, and what settings of several stages ask of each other.
fn check(config: &Config) -> Result<()> {
    config.validate()?;
    if !config.channel.is_empty() {
        return config.channel.iter().try_for_each(|c| check(&config.of_channel(c)?));
    }
    let (given, folder) =
        (config.descriptors.kind == Kind::Files, config.descriptors.folder.as_path());
    let range = "a folder that is there, of the descriptors' .npy files";
    Error::require(!given || folder.is_dir(), "descriptors.folder", folder.display(), range)?;
    let range = "false for descriptors of kind `files`, which are not known for the mirror image";
    let mirrored = config.encoding.mirrored;
    Error::require(!(given && mirrored), "encoding.mirrored", mirrored, range)?;
    let (dimension, most) = (config.pca.dimension, config.descriptors.dim());
    let range = format!("at most the descriptor's {most} dimensions");
    Error::require(dimension <= most, "pca.dimension", dimension, &range)
}

/// Where a setting got its value: the last override of it, or the file (with line) or preset.
fn origin(key: &str, base: &str, options: &Options) -> String {
    let overridden = |text: &&String| text.split_once('=').is_some_and(|(k, _)| k.trim() == key);
    if key == "seed"
        && let Some(seed) = options.seed
    {
        return format!("--seed {seed}");
    }
    if let Some(text) = options.overrides.iter().rev().find(overridden) {
        return format!("--set {text}");
    }
    if PRESETS.iter().any(|(name, _)| *name == base) {
        return format!("preset `{base}`");
    }
    let text = crate::files::read_text(Path::new(base)).unwrap_or_default();
    match line_of(key, &text) {
        Some(line) => format!("{base}:{line}"),
        None => format!("{base} (the default)"),
    }
}

/// The line, from 1, at which a TOML file of plain tables sets a dotted key.
fn line_of(key: &str, text: &str) -> Option<usize> {
    let (group, field) = key.split_once('.').unwrap_or(("", key));
    let mut table = "";
    text.lines().zip(1..).find_map(|(line, number)| {
        let line = line.trim().trim_start_matches('\u{feff}');
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            table = name.0.trim();
        }
        let name = line.split_once('=').map(|(name, _)| name.trim());
        (table == group && name == Some(field) || table.is_empty() && name == Some(key))
            .then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_settings_are_found() {
        let text = "seed = 3\n# c = 1\n[gmm]\n\n components = 4\n[svm] # the last\nc = 9\n";
        for (key, line) in
            [("seed", Some(1)), ("gmm.components", Some(5)), ("svm.c", Some(7)), ("gmm.c", None)]
        {
            assert_eq!(line_of(key, text), line, "{key}");
        }
        assert_eq!(line_of("svm.c", "svm.c = -1\n"), Some(1));
    }
}
