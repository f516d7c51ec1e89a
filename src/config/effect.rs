//! What of the settings has an effect, and how stored inputs differ from present ones.
//!
//! An artifact stores the settings that it was made with. A key that was not there yet when it was
//! written counts as its default, and a key without effect beside the others does not count: neither
//! a new key nor an idle one makes an artifact stale. A new key's default must therefore give what
//! was done before there was that key.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::groups::GROUPS;

/// Hash of a stage's inputs: equal inputs, equal fingerprints, whatever the order of their keys.
pub fn fingerprint(inputs: &Value) -> String {
    // `serde_json` maps are sorted by key, so the text is canonical.
    blake3::hash(inputs.to_string().as_bytes()).to_hex()[..32].to_owned()
}

/// A stage's inputs with only those settings that have an effect, every one of them written out.
pub fn effective_inputs(inputs: &Value) -> Value {
    let mut inputs = inputs.clone();
    if let Some(settings) = inputs.get_mut("settings") {
        *settings = effective(settings);
    }
    inputs
}

/// Settings by group, as [`effective_inputs`]; channels by name.
fn effective(settings: &Value) -> Value {
    let Some(groups) = settings.as_object() else { return settings.clone() };
    let mut effective: Map<String, Value> = groups
        .iter()
        .map(|(name, stored)| {
            let group = GROUPS.iter().find(|group| group.name == name);
            let value = group.map_or_else(|| stored.clone(), |group| (group.effective)(stored));
            (name.clone(), value)
        })
        .collect();
    let channels = effective.remove("channels");
    match channels.as_ref().and_then(Value::as_array) {
        // One part of a vector is nothing to fuse.
        None => {
            if let Some(svm) = effective.get_mut("svm").and_then(Value::as_object_mut) {
                svm.remove("fusion");
            }
        }
        Some(channels) => {
            let name = |channel: &Value| channel["name"].as_str().unwrap_or_default().to_owned();
            let by_name = channels.iter().map(|c| (name(c), self::effective(c))).collect();
            effective.insert("channels".into(), Value::Object(by_name));
            let names: Vec<String> = channels.iter().map(name).collect();
            effective.insert("list of channels".into(), json!(names));
        }
    }
    Value::Object(effective)
}

/// The leaves that differ between two JSON values: dotted key, old, new.
pub fn differences(old: &Value, new: &Value) -> Vec<(String, String, String)> {
    fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<(String, String, String)>) {
        if old == new {
            return;
        }
        if let (Value::Object(a), Value::Object(b)) = (old, new) {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The settings of every group, as the artifacts of a run of several stages hold them.
    fn settings(config: &Config) -> Value {
        let mut all = serde_json::to_value(config).unwrap();
        all["descriptors"]["folder"].take();
        all
    }

    fn same(a: &Value, b: &Value) -> bool {
        effective_inputs(&json!({ "settings": a })) == effective_inputs(&json!({ "settings": b }))
    }

    /// Whatever key is added in the future: runs that do not know it have its default.
    #[test]
    fn a_key_that_was_not_stored_counts_as_its_default() {
        let now = settings(&Config::default());
        let mut keys = 0;
        for group in GROUPS {
            for key in group.keys {
                let mut before = now.clone();
                let stored = before[group.name].as_object_mut().unwrap();
                stored.remove(key.name).unwrap_or_else(|| panic!("{} is not stored", key.name));
                assert!(same(&before, &now), "{}.{}", group.name, key.name);
                keys += 1;
            }
        }
        assert!(keys > 50, "{keys}");
        // Any other value than the default is a difference.
        let mut other = now.clone();
        other["gmm"]["components"] = json!(7);
        assert!(!same(&other, &now));
        other["gmm"].as_object_mut().unwrap().remove("components");
        assert!(same(&other, &now));
        // What is not known at all is one as well.
        let mut foreign = now.clone();
        foreign["gmm"]["of the future"] = json!(1);
        assert!(!same(&foreign, &now));
    }

    #[test]
    fn a_key_without_effect_does_not_count_and_one_with_effect_does() {
        let with = |overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
            settings(&Config::default().with_overrides(&overrides).unwrap())
        };
        for (base, key) in [
            (&[][..], "gmm.batch_rows=4096"),
            (&[], "gmm.decay=0.5"),
            (&["gmm.method=mini-batch"], "gmm.tolerance=1e-3"),
            (&[], "svm.folds=7"),
            (&["svm.c_grid=[1.0]"], "svm.c=3.0"),
            (&[], "svm.fusion=scores"),
            (&[], "descriptors.dimension=64"),
            (&["descriptors.kind=colour"], "descriptors.magnif=3.0"),
            (&["descriptors.kind=colour"], "descriptors.low_contrast=drop"),
            (&["descriptors.kind=files", "descriptors.folder=x"], "descriptors.step_px=9"),
            (&["encoding.assignment=hard"], "encoding.posterior_threshold=0.1"),
            (&["encoding.region_steps=['l2']"], "encoding.power=0.25"),
            (&[], "encoding.intra_power=0.5"),
        ] {
            let both = [base, &[key]].concat();
            assert!(same(&with(base), &with(&both)), "{key} beside {base:?}");
        }
        for (base, key) in [
            (&["gmm.method=mini-batch"][..], "gmm.batch_rows=4096"),
            (&["svm.c_grid=[1.0]"], "svm.folds=7"),
            (&["svm.calibration=platt"], "svm.folds=7"),
            (&[], "svm.c=3.0"),
            (&["descriptors.kind=files", "descriptors.folder=x"], "descriptors.dimension=64"),
            (&["descriptors.kind=colour"], "descriptors.step_px=9"),
            (&["encoding.region_steps=['intra']"], "encoding.intra_power=0.5"),
            (
                &["encoding.vector_steps=['power']", "encoding.region_steps=[]"],
                "encoding.power=0.25",
            ),
        ] {
            let both = [base, &[key]].concat();
            assert!(!same(&with(base), &with(&both)), "{key} beside {base:?}");
        }
    }

    #[test]
    fn channels_are_compared_by_name_and_order() {
        let channel = |name: &str, power: f64| json!({ "name": name, "weight": 1.0, "encoding": { "power": power } });
        let of = |channels: &[Value]| json!({ "channels": channels });
        let (a, b) = (channel("a", 0.5), channel("b", 0.5));
        let compare = |old: &[Value], new: &[Value]| {
            let inputs = |of: Value| effective_inputs(&json!({ "settings": of }));
            let found = differences(&inputs(of(old)), &inputs(of(new)));
            found.into_iter().map(|(key, ..)| key).collect::<Vec<_>>()
        };
        assert!(compare(&[a.clone(), b.clone()], &[a.clone(), b.clone()]).is_empty());
        let changed = compare(&[a.clone(), b.clone()], &[a.clone(), channel("b", 0.25)]);
        assert_eq!(changed, ["settings.channels.b.encoding.power"]);
        let order = compare(&[a.clone(), b.clone()], &[b.clone(), a.clone()]);
        assert_eq!(order, ["settings.list of channels"]);
        let gone = compare(&[a.clone(), b], &[a]);
        assert!(gone.contains(&"settings.list of channels".to_owned()), "{gone:?}");
    }
}
