//! Configuration: presets, overrides, what is refused and how the refusal reads, and that nothing
//! is lost on the way through TOML and JSON.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use fvtool::Error;
use fvtool::config::{Config, DEFAULT_PRESET, GROUPS, PRESETS, differences, fingerprint};
use fvtool::random::Seed;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::put;

fn with(overrides: &[&str]) -> fvtool::Result<Config> {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    Config::default().with_overrides(&overrides)
}

/// The message with which an override is refused.
fn refusal(text: &str) -> String {
    let error = with(&[text]).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");
    let text_of = error.to_string();
    assert!(text_of.contains(text), "`{text_of}` does not say which override");
    text_of
}

#[test]
fn presets_are_what_they_say() {
    let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
    assert!(names.contains(&DEFAULT_PRESET));
    let vlfeat = Config::named("vlfeat").unwrap();
    assert_eq!((vlfeat.pca.dimension, vlfeat.gmm.components, vlfeat.svm.c), (80, 256, 10.0));
    assert_eq!((vlfeat.descriptors.step_px, vlfeat.descriptors.scales.len()), (4, 9));
    let chatfield = Config::named("chatfield").unwrap();
    assert_eq!(chatfield.descriptors.bin_sizes_px, [4, 6, 8, 10]);
    assert_eq!(chatfield.encoding.regions.len(), 3);
    assert_eq!(Config::named("lrp").unwrap().encoding.orders, [0, 1, 2]);
    // Presets differ from each other, and each says all it says in known keys.
    for (i, (a, _)) in PRESETS.iter().enumerate() {
        for (b, _) in &PRESETS[..i] {
            assert_ne!(Config::named(a).unwrap(), Config::named(b).unwrap(), "{a}, {b}");
        }
    }
}

#[test]
fn a_name_is_a_preset_or_a_file() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "my.toml", "seed = 5\n[gmm]\ncomponents = 7\n");
    let path = folder.path().join("my.toml");
    let config = Config::named(path.to_str().unwrap()).unwrap();
    let expected = Config { seed: Seed(5), ..with(&["gmm.components=7"]).unwrap() };
    assert_eq!(config, expected);
    let text = Config::named("vlfaet").unwrap_err().to_string();
    assert!(text.starts_with("vlfaet: no such preset, and no such file"), "{text}");
    assert!(text.ends_with("did you mean `vlfeat`?"), "{text}");
    for (name, _) in PRESETS {
        assert!(text.contains(name), "{text}");
    }
    let folder_itself = Config::named(folder.path().to_str().unwrap()).unwrap_err();
    assert!(matches!(folder_itself, Error::Io { .. }), "{folder_itself}");
}

#[test]
fn overrides_are_toml_and_bare_words() {
    let config = with(&[
        "gmm.components = 64",
        "svm.c=2",
        "descriptors.bin_sizes_px=[4, 8]",
        "descriptors.window=gaussian",
        "encoding.storage=\"f16\"",
        "encoding.regions=['1x1', '3x1']",
        "pca.whiten=true",
        "gmm.variance_floor=1e-3",
        "seed=9",
        "gmm.components=32",
    ])
    .unwrap();
    assert_eq!(config.gmm.components, 32, "the last one counts");
    assert_eq!((config.svm.c, config.seed), (2.0, Seed(9)));
    assert_eq!(config.descriptors.bin_sizes_px, [4, 8]);
    assert_eq!(config.encoding.regions.len(), 2);
    assert!(config.pca.whiten);
    let toml = config.to_toml();
    assert!(toml.contains("window = \"gaussian\"") && toml.contains("storage = \"f16\""), "{toml}");
    assert_eq!(with(&[]).unwrap(), Config::default());
}

/// A folder may have any name, also one that TOML reads as a number, a date or a truth value.
#[test]
fn a_string_may_look_like_anything() {
    for name in ["2024", "2024-01-01", "1e3", "0x10", "true", "inf", "-5", "3.50", "07"] {
        let config = with(&[&format!("descriptors.folder={name}")]).unwrap();
        assert_eq!(config.descriptors.folder, std::path::Path::new(name));
    }
    let own = "descriptors.kind=\"files\"";
    let text = format!("[[channel]]\nname = \"own\"\n{own}\n[[channel]]\nname = \"sift\"\n");
    let config = Config::parse(&text, "test").unwrap();
    let config = config.with_overrides(&["own.descriptors.folder=2024".to_owned()]).unwrap();
    let own = config.of_channel(&config.channel[0]).unwrap();
    assert_eq!(own.descriptors.folder, std::path::Path::new("2024"));
}

#[test]
fn overrides_that_are_not_understood_say_what_would_be() {
    let text = refusal("gmm.components");
    assert!(text.contains("key=value"), "{text}");
    let text = refusal("gnm.components=3");
    assert!(text.contains("no group `gnm`"), "{text}");
    assert!(GROUPS.iter().all(|group| text.contains(group.name)), "{text}");
    let text = refusal("gmm.component=3");
    assert!(text.contains("no key `component` in `gmm`") && text.contains("components"), "{text}");
    let text = refusal("components=3");
    assert!(text.contains("group.key"), "{text}");
    assert!(refusal("=3").contains("group.key"));
    for text in [
        "gmm.components=many",
        "gmm.components=-3",
        "gmm.components=3.5",
        "gmm.components=",
        "gmm.components=[1]",
        "pca.whiten=perhaps",
        "svm.c=[1",
        "descriptors.window=round",
        "encoding.regions=['1by1']",
        "seed=-1",
        "seed=x",
    ] {
        refusal(text);
    }
    let text = refusal("descriptors.window=round");
    assert!(text.contains("round") && text.contains("flat") && text.contains("gaussian"), "{text}");
    // A value cannot smuggle in a second line.
    refusal("gmm.components=3\nseed=4");
}

#[test]
fn a_wrong_file_is_refused_by_line() {
    let refused = |text: &str| Config::parse(text, "my.toml").unwrap_err().to_string();
    for (text, line, words) in [
        ("[gmm]\ncomponents = 3\ncomponent = 4\n", 3, "component"),
        ("# é\n\n[gnm]\ncomponents = 3\n", 3, "gnm"),
        ("[gmm]\n\ncomponents = \"x\"\n", 3, "a whole number from 1 to 65536"),
        ("[gmm]\ncomponents = \n", 2, ""),
        ("[gmm\n", 1, ""),
        ("[gmm]\ncomponents = 3\ncomponents = 4\n", 3, "duplicate"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(&format!("my.toml:{line}: ")), "{text:?}: {error}");
        assert!(error.contains(words), "{error}");
        assert!(!error.contains('\n'), "{error}");
        // Files of some editors begin with a byte order mark; lines are the same.
        let marked = refused(&format!("\u{feff}{text}"));
        assert_eq!(marked, error);
    }
    assert!(refused("\u{feff}é").starts_with("my.toml:1: "));
    assert_eq!(Config::parse("\u{feff}[gmm]\n", "my.toml").unwrap(), Config::default());
    assert_eq!(Config::parse("", "my.toml").unwrap(), Config::default());
}

/// Every setting with values just outside its range; the message has key, value and range.
#[test]
fn settings_outside_their_range_are_refused() {
    for (text, value) in [
        ("data.train_fraction=0.0", "0"),
        ("data.train_fraction=1.0", "1"),
        ("image.max_height_px=65536", "65536"),
        ("image.min_height_px=65536", "65536"),
        ("image.presmoothing_px=-0.1", "-0.1"),
        ("image.presmoothing_px=16.5", "16.5"),
        ("image.max_megapixels=0.0", "0"),
        ("image.max_megapixels=2001.0", "2001"),
        ("descriptors.bin_sizes_px=[]", "[]"),
        ("descriptors.bin_sizes_px=[4, 0]", "[4, 0]"),
        ("descriptors.bin_sizes_px=[257]", "[257]"),
        ("descriptors.scales=[]", "[]"),
        ("descriptors.scales=[1.0, 0.009]", "[1.0, 0.009]"),
        ("descriptors.scales=[8.5]", "[8.5]"),
        ("descriptors.step_px=0", "0"),
        ("descriptors.step_px=257", "257"),
        ("descriptors.window_size=0.05", "0.05"),
        ("descriptors.magnif=0.5", "0.5"),
        ("descriptors.magnif=-1.0", "-1"),
        ("descriptors.contrast_threshold=-0.1", "-0.1"),
        ("descriptors.contrast_threshold=1.5", "1.5"),
        ("sample.rows=1", "1"),
        ("pca.dimension=0", "0"),
        ("gmm.components=0", "0"),
        ("gmm.components=65537", "65537"),
        ("gmm.max_iterations=0", "0"),
        ("gmm.tolerance=-1e-9", "-0.000000001"),
        ("gmm.variance_floor=0.0", "0"),
        ("gmm.variance_floor=1.5", "1.5"),
        ("gmm.batch_rows=1", "1"),
        ("gmm.decay=1.0", "1"),
        ("gmm.decay=-0.5", "-0.5"),
        ("encoding.orders=[]", "[]"),
        ("encoding.orders=[2, 1]", "[2, 1]"),
        ("encoding.orders=[1, 1]", "[1, 1]"),
        ("encoding.orders=[3]", "[3]"),
        ("encoding.regions=[]", "[]"),
        ("encoding.posterior_threshold=1.0", "1"),
        ("encoding.posterior_threshold=-1e-9", "-0.000000001"),
        ("encoding.power=0.0", "0"),
        ("encoding.power=1.1", "1.1"),
        ("svm.c=0.0", "0"),
        ("svm.c=-1.0", "-1"),
        ("svm.c_grid=[1.0, 0.0]", "[1.0, 0.0]"),
        ("svm.folds=1", "1"),
        ("svm.folds=101", "101"),
        ("svm.positive_weight=0.0", "0"),
        ("svm.tolerance=1e-7", "0.0000001"),
        ("svm.tolerance=0.6", "0.6"),
        ("svm.max_epochs=0", "0"),
    ] {
        let config = with(&[text]).unwrap();
        let error = config.validate().unwrap_err();
        let Error::Setting { key, value: shown, range } = &error else { panic!("{text}: {error}") };
        assert_eq!(key, text.split_once('=').unwrap().0, "{text}: {error}");
        assert_eq!(shown, value, "{text}: {error}");
        assert!(!range.is_empty());
        let message = error.to_string();
        assert!(message.contains(key) && message.contains(value) && message.contains(range));
    }
}

/// A number that is none, or without end, is outside every range; no setting was forgotten.
#[test]
fn no_setting_may_be_nan_or_infinite() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut seen = 0;
    for group in GROUPS {
        for key in group.keys.iter().map(|key| key.name) {
            // A list of numbers by one of them.
            let lists = ["scales", "c_grid", "order_weights"];
            let shape: fn(&str) -> String = match defaults[group.name].get(key) {
                Some(toml::Value::Float(_)) => |value| value.to_owned(),
                _ if lists.contains(&key) => |value| format!("[1.0, {value}]"),
                _ => continue,
            };
            for value in ["nan", "inf", "-inf"] {
                let text = format!("{}.{key}={}", group.name, shape(value));
                let error = with(&[&text]).unwrap().validate().expect_err(&text);
                assert!(error.to_string().contains(&format!("`{}.{key}`", group.name)), "{error}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 3 * 12, "{seen} checks: the settings were not found");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let error =
        with(&["svm.solver=smo", "svm.loss=squared-hinge"]).unwrap().validate().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("svm.loss") && text.contains("svm.solver"), "{text}");
    let error = with(&["sample.rows=100", "gmm.components=101"]).unwrap().validate().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("gmm.components") && text.contains("sample.rows (100)"), "{text}");
    with(&["sample.rows=100", "gmm.components=100"]).unwrap().validate().unwrap();
}

/// TOML's whole numbers end at 2⁶³ − 1; a larger seed could not be written down.
#[test]
fn seeds_that_toml_cannot_hold_are_refused() {
    let largest = Config { seed: Seed(i64::MAX as u64), ..Config::default() };
    largest.validate().unwrap();
    assert_eq!(Config::parse(&largest.to_toml(), "").unwrap(), largest);
    let error = Config { seed: Seed(1 << 63), ..Config::default() }.validate().unwrap_err();
    assert!(error.to_string().contains("`seed` is 9223372036854775808"), "{error}");
}

#[test]
fn every_key_is_documented_and_nothing_else_is() {
    let config = Config::default();
    let Value::Object(groups) = serde_json::to_value(&config).unwrap() else { panic!() };
    let mut names: Vec<&str> = groups.keys().map(String::as_str).filter(|n| *n != "seed").collect();
    let mut documented: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
    names.sort_unstable();
    documented.sort_unstable();
    assert_eq!(names, documented);
    let page = Config::reference();
    for group in GROUPS {
        let keys: Vec<&String> = groups[group.name].as_object().unwrap().keys().collect();
        let mut documented: Vec<&str> = group.keys.iter().map(|key| key.name).collect();
        documented.sort_unstable();
        assert_eq!(keys, documented, "{}", group.name);
        for key in group.keys {
            let (meaning, key) = (key.meaning, key.name);
            let enough = meaning.trim().len() > 15;
            assert!(enough, "{}.{key} is explained in `{meaning}`", group.name);
            assert!(page.contains(&format!("| `{key}` | ")), "{key}");
        }
    }
}

#[test]
fn toml_keeps_everything() {
    for (name, _) in PRESETS {
        let config = Config::named(name).unwrap();
        assert_eq!(Config::parse(&config.to_toml(), name).unwrap(), config, "{name}");
    }
}

/// Keys in any order, the same fingerprint. Fails when a dependency switches on the feature that
/// makes JSON objects keep their order.
#[test]
fn a_fingerprint_does_not_see_the_order_of_keys() {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let one = read(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#);
    let other = read(r#"{"b": {"d": null, "c": [1, 2]}, "a": 1}"#);
    assert_eq!(fingerprint(&one), fingerprint(&other));
    assert_eq!(fingerprint(&one).len(), 32);
    for changed in [
        json!({ "a": 1.0, "b": { "c": [1, 2], "d": null } }),
        json!({ "a": 1, "b": { "c": [2, 1], "d": null } }),
        json!({ "a": 1, "b": { "c": [1, 2] } }),
        json!({ "a": "1", "b": { "c": [1, 2], "d": null } }),
    ] {
        assert_ne!(fingerprint(&one), fingerprint(&changed), "{changed}");
    }
}

#[test]
fn differences_name_each_leaf_with_both_values() {
    let old = json!({ "gmm": { "components": 32, "decay": 0.9 }, "gone": 1, "same": [1] });
    let new = json!({ "gmm": { "components": 64, "decay": 0.9 }, "new": {"x": "y"}, "same": [1] });
    let found = differences(&old, &new);
    let found: Vec<(&str, &str, &str)> =
        found.iter().map(|(k, a, b)| (k.as_str(), a.as_str(), b.as_str())).collect();
    assert_eq!(
        found,
        [("gmm.components", "32", "64"), ("gone", "1", "null"), ("new", "null", "{\"x\":\"y\"}"),]
    );
    assert_eq!(differences(&old, &old), []);
    assert_eq!(differences(&json!(1), &json!(2))[0].0, "");
}

proptest! {
    /// Any numbers survive TOML and JSON, to the last bit.
    #[test]
    fn any_configuration_survives_toml_and_json(
        seed in 0..=i64::MAX as u64,
        c in 1e-12f64..1e12,
        floor in 1e-12f64..=1.0,
        scales in prop::collection::vec(0.01f64..8.0, 1..5),
        bins in prop::collection::vec(1usize..=256, 1..5),
        rows in 65536usize..1 << 40,
        components in 1usize..=65536,
    ) {
        let mut config = Config { seed: Seed(seed), ..Config::default() };
        config.svm.c = c;
        config.gmm.variance_floor = floor;
        config.descriptors.scales = scales;
        config.descriptors.bin_sizes_px = bins;
        config.sample.rows = rows;
        config.gmm.components = components;
        config.validate().unwrap();
        prop_assert_eq!(&Config::parse(&config.to_toml(), "x").unwrap(), &config);
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Config>(&text).unwrap(), &config);
        prop_assert_eq!(&config.with_overrides(&[format!("svm.c={c:?}")]).unwrap(), &config);
    }

    /// Any text as an override or a file is understood or refused.
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,20}", tail in "[a-z0-9\\[\\]\"'=.\n\u{feff}é]{0,20}") {
        let _ = with(&[&format!("{text}{tail}")]);
        let _ = with(&[&format!("gmm.components={tail}")]);
        let _ = Config::parse(&format!("{tail}{text}"), "x");
        let _ = Config::parse(&format!("\u{feff}{tail}"), "x");
    }
}
