//! Settings as the program takes them: a preset or a file, and `group.key=value`.

use fvtool::config::Config;
use fvtool::random::Seed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};

use crate::errors::{argument, of_library};

/// `group.key=value` of a mapping or of a list of such texts; nothing of `None`.
pub fn overrides(given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if given.is_instance_of::<PyString>() {
        let text = "a text; give a list of texts \"key=value\", or a dict {\"gmm.components\": 64}";
        return Err(argument("settings", text));
    }
    if let Ok(mapping) = given.cast::<PyMapping>() {
        return mapping
            .items()?
            .iter()
            .map(|pair| {
                let (key, value) = pair.extract::<(String, Bound<'_, PyAny>)>()?;
                Ok(format!("{key}={}", text_of(&value)?))
            })
            .collect();
    }
    given.extract().map_err(|_| {
        argument("settings", "a dict {\"gmm.components\": 64} or a list of \"key=value\" is needed")
    })
}

/// `group.key=value` of keyword arguments.
pub fn of_keywords(group: &str, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<String>> {
    let each = keywords.into_iter().flatten();
    each.map(|(key, value)| Ok(format!("{group}.{key}={}", text_of(&value)?))).collect()
}

/// A value as TOML writes it.
fn text_of(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let json = value.py().import("json")?;
    if let Ok(text) = value.extract::<String>() {
        return Ok(text);
    }
    // Numbers of NumPy, arrays of them and paths are plain values by another name.
    let plain = match value {
        value if value.hasattr("__fspath__")? => {
            return value.call_method0("__fspath__")?.extract();
        }
        value if value.hasattr("tolist")? => value.call_method0("tolist")?,
        value => value.clone(),
    };
    let text = json.call_method1("dumps", (plain,));
    text.map_err(|_| argument("settings", format!("{value} is no number, text or list of these")))?
        .extract()
}

/// A preset or a file with overrides and a seed.
pub fn config(name: &str, overrides: &[String], seed: Option<u64>) -> PyResult<Config> {
    let mut config =
        Config::named(name).and_then(|c| c.with_overrides(overrides)).map_err(of_library)?;
    if let Some(seed) = seed {
        config.seed = Seed(seed);
    }
    config.validate().map_err(of_library)?;
    Ok(config)
}

/// The defaults with the settings of one group.
pub fn of_group(group: &str, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Config> {
    let overrides = of_keywords(group, keywords)?;
    Config::default().with_overrides(&overrides).map_err(of_library)
}
