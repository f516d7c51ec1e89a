//! Settings: where each came from, wrong ones refused in plain words with the nearest right one, and
//! which of them make an artifact stale.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fvtool::artifacts::{Artifact, FORMAT, Header, Tensor, sealed, write};
use fvtool::config::{Config, GROUPS, Sourced, fingerprint};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::small_run::{
    Listener, assert_same, contents, copy_of, fixture, open, options, refit, refusal,
};
use crate::support::put;

/// What a run says that is opened with these settings.
fn refused(config: Option<&str>, overrides: &[&str]) -> String {
    let overrides = overrides.iter().map(|s| (*s).to_owned()).collect();
    let config = config.map(str::to_owned);
    let options = Options { config, overrides, ..Options::default() };
    refusal(Run::check_data(Path::new("no run"), &options, &fixture().data, &["train"], None))
}

/// A file of two channels; line 5 is a key of the first, lines 9 to 12 are of the second.
const FILE: &str = "\
[sample]
rows = 4000
[[channel]]
name = \"sift\"
pca.dimension = 40

[[channel]]
name = \"colour\"
weight = 0.5
descriptors.kind = \"colour\"
[channel.gmm]
components = 16
";

#[test]
fn a_refused_setting_of_a_channel_says_which_line_or_flag_set_it() {
    let folder = TempDir::new().unwrap();
    let file = |text: &str| -> String {
        put(folder.path(), "two.toml", text);
        folder.path().join("two.toml").to_str().unwrap().to_owned()
    };
    let lines = [
        ("rows = 4000", "rows = 1", 2, "`sample.rows` is 1"),
        ("name = \"sift\"", "name = \"SIFT\"", 4, "`channel.name` is SIFT"),
        ("name = \"sift\"", "name = \"gmm\"", 4, "`channel.name` is gmm"),
        ("dimension = 40", "dimension = 0", 5, "`sift.pca.dimension` is 0"),
        ("dimension = 40", "dimension = 129", 5, "`sift.pca.dimension` is 129"),
        ("name = \"colour\"", "name = \"sift\"", 8, "`channel.name` is sift"),
        ("weight = 0.5", "weight = 0", 9, "`colour.weight` is 0"),
        ("weight = 0.5", "weight = \"x\"", 9, "`colour.weight` is \"x\""),
        ("\"colour\"\n[channel", "\"color\"\n[channel", 10, "did you mean `colour`?"),
        ("components = 16", "components = 0", 12, "`colour.gmm.components` is 0"),
        ("components = 16", "component = 16", 12, "did you mean `components`?"),
        ("[channel.gmm]", "[channel.gnm]", 11, "did you mean `gmm`?"),
    ];
    for (right, wrong, line, words) in lines {
        assert!(FILE.contains(right), "{right}");
        let path = file(&FILE.replacen(right, wrong, 1));
        let text = refused(Some(&path), &[]);
        assert!(text.starts_with(&format!("{path}:{line}: ")), "line {line}: {text}");
        assert!(text.contains(words), "{text}");
    }
    let path = file(FILE);
    // Flags, which are applied last; that of a channel, and that of all channels.
    for (flags, origin, words) in [
        (&["colour.pca.dimension=0"][..], "colour.pca.dimension=0", "`colour.pca.dimension` is 0"),
        (&["pca.dimension=100"], "pca.dimension=100", "96 dimensions, in channel `colour`"),
        (&["sift.pca.dimension=9", "sift.pca.dimension=129"], "sift.pca.dimension=129", "128"),
        (&["colour.weight=-1"], "colour.weight=-1", "`colour.weight` is -1"),
        (&["sample.rows=10", "channel=['sift']"], "", "at most sample.rows (10)"),
    ] {
        let text = refused(Some(&path), flags);
        let origin = match origin {
            // It is the default that does not fit.
            "" => format!("{path} (the default): "),
            flag => format!("--set {flag}: "),
        };
        assert!(text.starts_with(&origin), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let text = refused(Some("best"), &["colour.pca.dimension=97"]);
    assert!(text.starts_with("--set colour.pca.dimension=97: "), "{text}");
    assert!(text.contains("`colour.pca.dimension` is 97"), "{text}");
    // What is right in the file stays right, and its origins are carried along.
    let mut sourced = Sourced::parse(FILE, "two.toml").unwrap();
    sourced.set("gmm.components=8").unwrap();
    for (key, origin) in [
        ("sift.pca.dimension", "two.toml:5"),
        ("colour.pca.dimension", "two.toml (the default)"),
        ("colour.gmm.components", "two.toml:12"),
        ("sift.gmm.components", "--set gmm.components=8"),
        ("sample.rows", "two.toml:2"),
        ("colour.sample.rows", "two.toml:2"),
        ("svm.c", "two.toml (the default)"),
    ] {
        assert_eq!(sourced.origin(key), origin, "{key}");
    }
}

/// Every key with values of every other type, by flag and by file: no name of a Rust type is said.
#[test]
fn a_value_of_the_wrong_type_is_refused_in_plain_words() {
    let rust = ["usize", "u64", "u8", "i64", "f64", "invalid", "expected", "String", "variant"];
    let plain = |text: &str| {
        assert!(!rust.iter().any(|word| text.contains(word)), "{text}");
        assert!(text.contains("; it must be "), "{text}");
    };
    let mut tried = 0;
    for group in GROUPS {
        for key in group.keys {
            let full = format!("{}.{}", group.name, key.name);
            let values = ["-3", "1.5", "true", "[]", "[-1]", "[300]", "['x']", "{a = 1}", "'x'"];
            for value in values.into_iter().chain(["nan", "1979-05-27", "''"]) {
                let flag = format!("{full}={value}");
                if let Err(error) = Config::default().with_overrides(std::slice::from_ref(&flag)) {
                    let text = error.to_string();
                    assert!(text.starts_with(&format!("--set {flag}: setting `{full}` is ")));
                    plain(&text);
                    tried += 1;
                }
                let toml = format!("\n[{}]\n{} = {value}\n", group.name, key.name);
                if let Err(error) = Config::parse(&toml, "x.toml") {
                    let text = error.to_string();
                    assert!(text.starts_with(&format!("x.toml:3: setting `{full}` is ")), "{text}");
                    plain(&text);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 50 * 10, "{tried}");
    for (text, words) in [
        ("gmm = 3", "x.toml:1: `gmm` is a group of settings: write gmm.KEY"),
        ("channel = 3", "x.toml:1: channels are tables: write [[channel]]"),
        ("[channel]\nname = \"a\"", "x.toml:1: channels are tables: write [[channel]]"),
        ("[[channel]]\nname = 3", "x.toml:1: a channel needs a name in quotes"),
        ("seed = -1", "x.toml:1: setting `seed` is -1; it must be a whole number"),
        ("\ncomponents = 3", "x.toml:2: no group `components`"),
    ] {
        let error = Config::parse(text, "x.toml").unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    // The first mistake of a file is the one that is named, whatever the names.
    let error = Config::parse("[svm]\nx = 1\n[gmm]\ny = 1\n", "x.toml").unwrap_err();
    assert!(error.to_string().starts_with("x.toml:2: no key `x` in `svm`"), "{error}");
}

#[test]
fn a_mistyped_name_is_answered_with_the_nearest_one() {
    for (flag, near) in [
        ("gmm.component=3", "did you mean `components`?"),
        ("gnm.components=3", "did you mean `gmm`?"),
        ("descriptors.bin_size_px=[4]", "did you mean `bin_sizes_px`?"),
        ("descriptors.window=gausian", "did you mean `gaussian`?"),
        ("encoding.region_steps=['pwoer']", "did you mean `power`?"),
        ("encoding.storage=F16", "did you mean `f16`?"),
        ("svm.solver=daul", "did you mean `dual`?"),
        ("components=3", "for example gmm.components"),
        ("step=3", "group.key"),
        ("color.weight=2", "did you mean `colour`?"),
        ("colour.gmmm.components=2", "did you mean `gmm`?"),
        ("colour.wieght=2", "did you mean `weight`?"),
        ("colour.gmm.componets=2", "did you mean `components`?"),
        ("channel=['color']", "did you mean `colour`?"),
        ("channel=colour", "the channels are sift, colour"),
    ] {
        let text = refused(Some("best"), &[flag]);
        assert!(text.starts_with(&format!("--set {flag}: ")), "{text}");
        assert!(text.contains(near), "{text}");
    }
    let text = refused(Some("quick"), &["channel=['sift']"]);
    assert!(text.contains("this configuration has no channels"), "{text}");
    for (name, near) in [
        ("bset", "`best`"),
        ("vlfaet", "`vlfeat`"),
        ("Quick", "`quick`"),
        ("scene_15", "`scene15`"),
        ("chatfeld", "`chatfield`"),
    ] {
        let text = refused(Some(name), &[]);
        assert!(text.starts_with(&format!("--config {name}: no such preset")), "{text}");
        assert!(text.ends_with(&format!("did you mean {near}?")), "{text}");
    }
    let folder = TempDir::new().unwrap();
    put(folder.path(), "mine.toml", "seed = 3\n");
    let typed = folder.path().join("mien.toml");
    let text = refused(typed.to_str(), &[]);
    assert!(text.contains(&format!("`{}`?", folder.path().join("mine.toml").display())), "{text}");
    let text = refused(fixture().run.to_str(), &[]);
    assert!(text.contains("its settings are in") && text.contains("config.toml"), "{text}");
}

/// What text is asked for is text, whatever it looks like to TOML.
#[test]
fn a_folder_may_be_named_like_a_number_or_a_date() {
    for name in ["2024", "1e5", "2024-05-27", "true", "[1]", "nan", "'quoted'"] {
        let flag = format!("descriptors.folder={name}");
        let config = Config::default().with_overrides(&[flag]).unwrap();
        assert_eq!(config.descriptors.folder, Path::new(name.trim_matches('\'')), "{name}");
    }
}

#[test]
fn a_flag_without_effect_is_said() {
    let said = |config: &str, flags: &[&str]| {
        let mut sourced = Sourced::named(config).unwrap();
        flags.iter().for_each(|flag| sourced.set(flag).unwrap());
        sourced.idle_flags().unwrap()
    };
    for (config, flag, why) in [
        ("quick", "gmm.batch_rows=4096", "it needs gmm.method = mini-batch"),
        ("quick", "descriptors.dimension=64", "it needs descriptors.kind = files"),
        ("quick", "svm.fusion=scores", "there is one way to describe an image"),
        ("best", "colour.descriptors.magnif=3.0", "it needs descriptors.kind = sift"),
        ("best", "gmm.decay=0.5", "it needs gmm.method = mini-batch"),
        ("quick", "gmm.factors=4", "it needs gmm.family = factor-analysers or vae"),
    ] {
        let notes = said(config, &[flag]);
        assert_eq!(notes.len(), 1, "{flag}: {notes:?}");
        assert!(notes[0].starts_with(&format!("--set {flag} has no effect: ")), "{notes:?}");
        assert!(notes[0].contains(why), "{notes:?}");
    }
    for (config, flags) in [
        ("quick", &["gmm.components=16", "svm.c=3.0", "seed=4"][..]),
        ("quick", &["gmm.method=mini-batch", "gmm.batch_rows=4096"]),
        ("quick", &["gmm.family=factor-analysers", "gmm.factors=4", "gmm.components=16"]),
        ("best", &["descriptors.magnif=3.0", "svm.fusion=scores", "gmm.components=16"]),
        ("best", &["colour.descriptors.step_px=9", "channel=['colour']"]),
    ] {
        assert!(said(config, flags).is_empty(), "{flags:?}");
    }
    // What a family does not have.
    for flag in ["encoding.orders=[1]", "gmm.components=16", "gmm.restarts=2", "gmm.tolerance=0.1"]
    {
        let notes = said("quick", &["gmm.family=vae", flag]);
        assert!(notes.len() == 1 && notes[0].contains(flag), "{flag}: {notes:?}");
    }
    // Where every channel has its own, those of the tables above reach nobody.
    let mut sourced = Sourced::parse(
        &FILE.replace("name = \"colour\"", "name = \"colour\"\npca.dimension = 30"),
        "x",
    )
    .unwrap();
    sourced.set("pca.dimension=20").unwrap();
    let notes = sourced.idle_flags().unwrap();
    assert!(notes[0].contains("set sift.pca.dimension, colour.pca.dimension"), "{notes:?}");
    // A run says it.
    let (_folder, run) = copy_of(&fixture().run);
    let listener = Listener::new(usize::MAX);
    Run::open(&run, &options(&["gmm.batch_rows=4096"]), &listener).unwrap();
    assert!(listener.heard(&["--set gmm.batch_rows=4096 has no effect", "mini-batch"]));
}

/// Keys that a run of an earlier version would not know, by where they are stored.
const LATER_KEYS: &[(&str, &str)] = &[
    ("image", "presmoothing_px"),
    ("descriptors", "keep"),
    ("descriptors", "plane"),
    ("sample", "images"),
    ("pca", "append"),
    ("gmm", "family"),
    ("gmm", "factors"),
    ("gmm", "hidden"),
    ("gmm", "floor_reference"),
    ("gmm", "decay"),
    ("encoding", "mirrored"),
    ("encoding", "intra_power"),
    ("svm", "positive_weight"),
    ("svm", "fusion"),
];

/// Rewrites a run as an earlier version would have left it, that knew none of [`LATER_KEYS`]: settings
/// without them, and the fingerprints that follow.
fn as_of_an_earlier_version(run: &Path, keys: &[(&str, &str)]) {
    let mut prints: BTreeMap<String, String> = BTreeMap::new();
    let mut rewrite = |name: &str, parent: &str| {
        let path = run.join(name);
        let artifact = Artifact::open_verified(&path, &kind_of(name)).unwrap();
        let Header { kind, mut inputs, report, .. } = artifact.header().clone();
        for (group, key) in keys {
            if let Some(group) = inputs["settings"][group].as_object_mut() {
                group.remove(*key);
            }
        }
        if let Some(parents) = inputs["parents"].as_object_mut() {
            parents.iter_mut().for_each(|(name, print)| *print = json!(prints[name.as_str()]));
        }
        let print = fingerprint(&inputs);
        // A split's is that of its shards.
        let of_split = json!({ "stage": "fisher", "format": FORMAT, "shards": [print] });
        let of_parent = if kind == "fisher" { fingerprint(&of_split) } else { print.clone() };
        prints.insert(parent.to_owned(), of_parent);
        let names = artifact.tensors();
        let tensors: Vec<Tensor<'_>> = names
            .iter()
            .map(|(name, _, shape)| {
                let (_, values) = artifact.values(name).unwrap();
                Tensor { name, shape: shape.clone(), values }
            })
            .collect();
        let header = Header { kind, fingerprint: print.clone(), inputs, report };
        write(&path, &header, &tensors).unwrap();
        print
    };
    rewrite("descriptors/sample.safetensors", "sample.safetensors");
    rewrite("pca.safetensors", "pca.safetensors");
    rewrite("gmm.safetensors", "gmm.safetensors");
    for split in ["train", "test"] {
        let name = format!("fisher/{split}");
        let print = rewrite(&format!("{name}/00000.safetensors"), &name);
        let path = run.join(&name).join("index.json");
        let mut index: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        index.as_object_mut().unwrap().remove("checksum");
        index["shards"][0]["fingerprint"] = json!(print);
        let of_split = json!({ "stage": "fisher", "format": FORMAT, "shards": [print] });
        index["fingerprint"] = json!(fingerprint(&of_split));
        put(run, format!("{name}/index.json"), sealed(&index));
    }
    rewrite("svm.safetensors", "svm.safetensors");
}

fn kind_of(name: &str) -> String {
    let kind = name.trim_end_matches("/00000.safetensors").trim_end_matches(".safetensors");
    if kind.starts_with("fisher") {
        return "fisher".into();
    }
    kind.trim_start_matches("descriptors/").to_owned()
}

#[test]
fn a_key_that_an_earlier_version_did_not_know_makes_no_run_stale() {
    let (_folder, run) = copy_of(&fixture().run);
    as_of_an_earlier_version(&run, LATER_KEYS);
    let before = contents(&run);
    // Its parents, its vectors and its labels are all there: only the figures name the new files.
    let all = |run: &Run<'_>| run.run_all(&fixture().data, "train", "test").unwrap();
    let (train, evaluated) = all(&open(&run, &[]));
    assert!(!train.stamp.made && !evaluated.encoded.stamp.made);
    let after = contents(&run);
    for (name, bytes) in &before {
        // The list of results names the figures' hash.
        let figures = ["eval/test.json", "outputs.json"].contains(&name.as_str());
        assert!(figures || after[name] == *bytes, "{name} was made again");
    }
    assert!(!all(&open(&run, &[])).1.made);
    // With --refit as well, and a value that is not the default is a difference.
    assert!(!all(&refit(&run, &[])).1.made);
    assert_same(&after, &contents(&run));
    for (setting, was, now) in [
        ("encoding.mirrored=true", "false", "true"),
        ("pca.append=xy", "\"none\"", "\"xy\""),
        ("svm.positive_weight=2.0", "1.0", "2.0"),
    ] {
        let text = refusal(Run::open(&run, &options(&[setting]), &Silent).map(|_| ()));
        let key = setting.split_once('=').unwrap().0;
        assert!(text.contains(&format!("`{key}` was {was}, now {now}")), "{text}");
    }
    // A vector that is missing is made beside those that are there.
    fs::remove_dir_all(run.join("fisher/test")).unwrap();
    all(&open(&run, &[]));
    let expected = contents(&fixture().run);
    for name in ["scores/test.csv", "fisher/test/00000.safetensors"] {
        let values = |bytes: &[u8]| bytes[bytes.len() - 1000..].to_vec();
        assert_eq!(values(&contents(&run)[name]), values(&expected[name]), "{name}");
    }
}

#[test]
fn a_key_without_effect_makes_nothing_stale_and_a_run_is_taken_over() {
    let (_folder, run) = copy_of(&fixture().run);
    let idle =
        ["gmm.batch_rows=4096", "gmm.decay=0.5", "descriptors.dimension=64", "svm.fusion=scores"];
    let before = contents(&run);
    let (_, evaluated) = open(&run, &idle).run_all(&fixture().data, "train", "test").unwrap();
    assert!(!evaluated.made);
    let mut after = contents(&run);
    // The configuration says what was asked for.
    assert_ne!(after.insert("config.toml".into(), before["config.toml"].clone()), None);
    assert_same(&before, &after);
    // Another run takes its artifacts over in spite of them.
    let folder = TempDir::new().unwrap();
    let listener = Listener::new(usize::MAX);
    let reuse = Options { reuse: vec![run.clone()], ..options(&["gmm.batch_rows=2048"]) };
    let other = Run::open(folder.path(), &reuse, &listener).unwrap();
    let (encoded, _) = other.run_all(&fixture().data, "train", "test").unwrap();
    assert!(encoded.images == 24 && listener.heard(&["train-svm", "up to date"]));
    // With effect, it is refused by name.
    let with_effect = options(&["gmm.method=mini-batch", "gmm.batch_rows=4096"]);
    let text = refusal(Run::open(&run, &with_effect, &Silent).map(|_| ()));
    assert!(text.contains("`gmm.method` was \"em\", now \"mini-batch\""), "{text}");
}

/// A higher limit on images that left none out under the lower one changes nothing; a lower one may.
#[test]
fn a_higher_limit_on_the_size_of_images_makes_nothing_stale() {
    let (_folder, run) = copy_of(&fixture().run);
    let higher = open(&run, &["image.max_megapixels=500"]);
    assert!(!higher.run_all(&fixture().data, "train", "test").unwrap().1.made);
    drop(higher);
    let lower = Run::open(&run, &options(&["image.max_megapixels=50"]), &Silent).map(|_| ());
    let text = refusal(lower);
    assert!(text.contains("`image.max_megapixels` was 100.0, now 50.0"), "{text}");
    // An image was left out for its size: the limit matters.
    let folder = TempDir::new().unwrap();
    let (_data, data) = copy_of(&fixture().data);
    put(&data, "JPEGImages/000003.jpg", b"no image at all");
    open(folder.path(), &[]).extract(&data, "train").unwrap();
    let text = refusal(
        Run::open(folder.path(), &options(&["image.max_megapixels=500"]), &Silent).map(|_| ()),
    );
    assert!(text.contains("`image.max_megapixels` was 100.0, now 500.0"), "{text}");
}
