//! What fvtool writes, reads and believes of files that others may have made, changed or be changing:
//! outputs, run folders of unknown origin, artifacts of other runs, images that come and go.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fvtool::Error;
use fvtool::artifacts::sealed;
use fvtool::explain;
use fvtool::pipeline::{self, Options, Run};
use fvtool::progress::{Progress, Silent};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::small_run::{
    Listener, assert_same, change_shard, changed, contents, copy_of, draw, fixture, open, options,
    refit, refusal,
};
use crate::support::{files_below, put};

fn reading(run: &Path) -> Run<'static> {
    Run::open_to_read(run, None, &Silent).unwrap()
}

fn image(number: usize) -> PathBuf {
    fixture().data.join(format!("JPEGImages/{number:06}.jpg"))
}

/// A finished run over the same data with the same settings and another seed.
fn other_seed() -> &'static Path {
    static OTHER: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, run) = OTHER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let run = folder.path().join("run");
        let seeded = Options { seed: Some(2), ..options(&[]) };
        let opened = Run::open(&run, &seeded, &Silent).unwrap();
        opened.run_all(&fixture().data, "train", "test").unwrap();
        drop(opened);
        (folder, run)
    });
    run
}

#[cfg(unix)]
#[test]
fn a_description_replaces_nothing_but_a_description() {
    use std::os::unix::fs::symlink;
    let (_folder, run) = copy_of(&fixture().run);
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::copy(image(1), at("photo.safetensors")).unwrap();
    fs::hard_link(at("photo.safetensors"), at("hard.safetensors")).unwrap();
    symlink(at("photo.safetensors"), at("soft.safetensors")).unwrap();
    symlink(at("nowhere"), at("dangling.safetensors")).unwrap();
    symlink(&run, at("to_run")).unwrap();
    fs::create_dir(at("folder.safetensors")).unwrap();
    put(folder.path(), "notes.safetensors", "mine");
    put(folder.path(), "photo.png", "mine");
    fs::copy(run.join("svm.safetensors"), at("svm.safetensors")).unwrap();
    let (here, there) = (files_below(folder.path()), files_below(&run));
    let refused = [
        (at("photo.safetensors"), "is there already"),
        (at("hard.safetensors"), "is there already"),
        (at("soft.safetensors"), "is there already"),
        (at("dangling.safetensors"), "is there already"),
        (at("folder.safetensors"), "is there already"),
        (at("notes.safetensors"), "is there already"),
        (at("svm.safetensors"), "is there already"),
        (at("photo.png"), "end the name with .safetensors"),
        (at("new"), "end the name with .safetensors"),
        (run.join("svm.safetensors"), "lies in the run folder"),
        (run.join("new.safetensors"), "lies in the run folder"),
        (run.join("new/er.safetensors"), "lies in the run folder"),
        (at("to_run/new.safetensors"), "lies in the run folder"),
    ];
    for (output, words) in &refused {
        let text = refusal(reading(&run).describe(&at("photo.safetensors"), output));
        let name = output.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(words) && text.contains(name), "{text}");
    }
    assert_same(&here, &files_below(folder.path()));
    assert_same(&there, &files_below(&run));
    assert!(!at("nowhere").exists());
    for number in [1, 2] {
        reading(&run).describe(&image(number), &at("new/one.SafeTensors")).unwrap();
    }
    assert_same(&there, &files_below(&run));
}

#[test]
fn readers_write_nothing_and_wait_for_nobody() {
    let (_folder, run) = copy_of(&fixture().run);
    let _ = fs::remove_file(run.join(".lock"));
    let before = files_below(&run);
    let images = [image(30), image(31)];
    let expected = reading(&run).predict(&images).unwrap();
    assert!(expected.iter().all(|p| p.outcome.is_ok()));
    let folder = TempDir::new().unwrap();
    reading(&run).describe(&images[0], &folder.path().join("a.safetensors")).unwrap();
    assert_same(&before, &files_below(&run));
    // Two readers at once, of a run that is being worked on.
    let worked_on = open(&run, &[]);
    let (first, second) = (reading(&run), reading(&run));
    assert_eq!(first.predict(&images).unwrap(), expected);
    assert_eq!(second.predict(&images).unwrap(), expected);
    drop(worked_on);
    let text = refusal(Run::open_to_read(&fixture().data, None, &Silent));
    assert!(text.contains("config.toml") && text.contains("fvtool run"), "{text}");
}

/// What a `run --refit` passes through: never a mixture of what was and what will be.
#[test]
fn a_reader_of_a_run_that_is_made_again_sees_one_state_or_none() {
    let (_folder, run) = copy_of(&fixture().run);
    let images = [image(30)];
    let (old, new) =
        (reading(&run).predict(&images).unwrap(), reading(other_seed()).predict(&images).unwrap());
    assert_ne!(old[0].outcome, new[0].outcome);
    let steps = [
        "config.toml",
        "descriptors/sample.safetensors",
        "pca.safetensors",
        "gmm.safetensors",
        "fisher/train/00000.safetensors",
        "fisher/train/index.json",
        "svm.safetensors",
    ];
    let mut refused = 0;
    for (number, name) in steps.iter().enumerate() {
        put(&run, name, fs::read(other_seed().join(name)).unwrap());
        match Run::open_to_read(&run, None, &Silent).and_then(|run| run.predict(&images)) {
            Ok(found) => {
                assert_eq!(number, steps.len() - 1, "{name}");
                assert_eq!(found, new);
            }
            Err(error) => {
                assert!(error.to_string().contains("--refit"), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, steps.len() - 1);
}

/// Every artifact of another run in its place, under every command, with the data and without.
#[test]
fn an_artifact_of_another_run_is_refused_by_whatever_uses_it() {
    type Command = fn(&Path) -> Result<(), Error>;
    let data = || &fixture().data;
    let commands: [(&str, Command); 7] = [
        ("predict", |run| Run::open_to_read(run, None, &Silent)?.predict(&[image(30)]).map(|_| ())),
        ("describe", |run| {
            let folder = TempDir::new().unwrap();
            let output = folder.path().join("a.safetensors");
            Run::open_to_read(run, None, &Silent)?.describe(&image(30), &output).map(|_| ())
        }),
        ("encode", |run| {
            Run::open(run, &Options::default(), &Silent)?
                .encode(&fixture().data, "test")
                .map(|_| ())
        }),
        ("train-svm", |run| {
            Run::open(run, &Options::default(), &Silent)?.train("train").map(|_| ())
        }),
        ("eval", |run| {
            Run::open(run, &Options::default(), &Silent)?
                .evaluate(&fixture().data, "test")
                .map(|_| ())
        }),
        ("explain", |run| {
            let selection = explain::Selection {
                classes: Vec::new(),
                images: vec!["000030".into()],
                only: explain::Only::All,
                top: 1,
            };
            let rule = fvtool::explanation::Rule::PUBLISHED;
            let drawing = explain::Drawing { rule, shared_scale: false, raw: false, network: None };
            let run = Run::open(run, &Options::default(), &Silent)?;
            run.explain(&fixture().data, "test", &selection, &drawing).map(|_| ())
        }),
        ("audit", |run| {
            let rule = fvtool::explanation::Rule::PUBLISHED;
            let options = explain::AuditOptions {
                images: 5,
                tested: 5,
                classes: vec!["star".into()],
                ..explain::AuditOptions::of_all_classes(rule)
            };
            let run = Run::open(run, &Options::default(), &Silent)?;
            run.audit(&fixture().data, "test", &options).map(|_| ())
        }),
    ];
    assert!(data().exists());
    // What a command does not look at, or makes anew, may be of another run.
    let unused: &[(&str, &[&str])] = &[
        ("svm.safetensors", &["describe", "encode"]),
        ("fisher/train/index.json", &["describe", "encode"]),
        // With a classifier made, its vectors are looked at where the data can be compared.
        (
            "fisher/train/00000.safetensors",
            &["predict", "describe", "encode", "eval", "explain", "audit"],
        ),
        (
            "fisher/test/index.json",
            &["predict", "describe", "train-svm", "encode", "eval", "explain", "audit"],
        ),
        ("fisher/test/00000.safetensors", &["predict", "describe", "train-svm"]),
    ];
    let mut refused = 0;
    for name in [
        "descriptors/sample.safetensors",
        "pca.safetensors",
        "gmm.safetensors",
        "svm.safetensors",
        "fisher/train/index.json",
        "fisher/train/00000.safetensors",
        "fisher/test/index.json",
        "fisher/test/00000.safetensors",
    ] {
        for with_data in [true, false] {
            let (_folder, run) = copy_of(&fixture().run);
            fs::remove_dir_all(run.join("explain")).unwrap_or_default();
            if !with_data {
                put(&run, "source.json", r#"{"data": "/nowhere/at/all", "split": "train"}"#);
            }
            put(&run, name, fs::read(other_seed().join(name)).unwrap());
            for (command, call) in commands {
                let outcome = call(&run);
                // An index is an excerpt of its shards, and made again from them.
                let may = unused.iter().any(|(n, list)| *n == name && list.contains(&command));
                let remade = name == "fisher/train/index.json"
                    && with_data
                    && ["train-svm", "eval", "explain", "audit"].contains(&command);
                match outcome {
                    Err(error) => {
                        let text = error.to_string();
                        assert!(
                            text.contains("safetensors") || text.contains("index.json"),
                            "{text}"
                        );
                        assert!(text.contains("refit"), "{command} of {name}: {text}");
                        refused += 1;
                    }
                    Ok(()) => assert!(may || remade, "{command} takes {name}, data {with_data}"),
                }
                if name.ends_with("index.json") {
                    put(&run, name, fs::read(other_seed().join(name)).unwrap());
                }
            }
        }
    }
    assert!(refused > 60, "{refused}");
}

/// A classifier of the same vectors and other labels fits the models, and is none of this run's.
#[test]
fn a_classifier_of_other_labels_is_refused() {
    let (_folder, run) = copy_of(&fixture().run);
    let (_data, data) = copy_of(&fixture().data);
    let list = "ImageSets/Main/star_train.txt";
    let text = fs::read_to_string(data.join(list)).unwrap();
    put(&data, list, text.replacen(" -1", "  1", 1));
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("run");
    let made = Run::open(&other, &Options { reuse: vec![run.clone()], ..options(&[]) }, &Silent);
    let made = made.unwrap();
    made.encode(&data, "train").unwrap();
    made.train("train").unwrap();
    drop(made);
    assert_eq!(
        fs::read(other.join("gmm.safetensors")).unwrap(),
        fs::read(run.join("gmm.safetensors")).unwrap()
    );
    put(&run, "svm.safetensors", fs::read(other.join("svm.safetensors")).unwrap());
    let text = refusal(reading(&run).predict(&[image(30)]));
    assert!(text.contains("svm.safetensors: trained on other vectors or labels"), "{text}");
}

/// Does something to the data when a stage begins, after its list was hashed.
struct When<F: Fn() + Sync> {
    stage: &'static str,
    act: F,
    listener: Listener,
}

impl<F: Fn() + Sync> Progress for When<F> {
    fn begin(&self, task: &str, _: u64, _: &str) {
        if task.starts_with(self.stage) {
            (self.act)();
        }
    }
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, message: &str) {
        self.listener.note(message);
    }
    fn summary(&self, _: &str, _: &str) {}
}

/// An image is gone or changed from one stage on, and back for the next call: it is said, nothing takes
/// the incomplete for the whole, and the same command ends with the same bytes.
#[test]
fn an_image_that_comes_and_goes_is_noticed_and_made_up_for() {
    let whole = contents(&fixture().run);
    let small = fs::read(image(3)).unwrap();
    let damage: [(&str, Option<&[u8]>); 3] =
        [("gone", None), ("another image", Some(&small)), ("half", Some(&small[..900]))];
    for (stage, victim) in [("extract", 5), ("encode train", 5), ("encode test", 30)] {
        for (what, bytes) in damage {
            let (_data, data) = copy_of(&fixture().data);
            let folder = TempDir::new().unwrap();
            let run = folder.path().join("run");
            let file = data.join(format!("JPEGImages/{victim:06}.jpg"));
            let kept = fs::read(&file).unwrap();
            let act = || {
                let _ = fs::remove_file(&file);
                if let Some(bytes) = bytes {
                    put(&data, &file, bytes);
                }
            };
            let when = When { stage, act, listener: Listener::new(usize::MAX) };
            let opened = Run::open(&run, &options(&[]), &when).unwrap();
            let outcome = opened.run_all(&data, "train", "test");
            drop(opened);
            // An image that nobody had looked at before is what it is then.
            let first_look = bytes.is_some() && stage != "encode train";
            if first_look && what == "another image" {
                outcome.unwrap();
                put(&data, &file, &kept);
                let text = refusal(open(&run, &[]).run_all(&data, "train", "test"));
                assert!(text.contains("the images or labels of its split have changed"), "{text}");
                refit(&run, &[]).run_all(&data, "train", "test").unwrap();
                assert_same(&whole, &contents(&run));
                continue;
            }
            assert!(when.listener.heard(&[&format!("{victim:06}")]), "{stage}, {what}: not said");
            // Later stages see another image, and refuse; or the split was the last. Only the sample, which
            // says what it lacks, is complete without one of its images.
            if let Ok((train, evaluated)) = outcome {
                let skipped = train.skipped + evaluated.encoded.skipped;
                assert!(skipped > 0 || stage == "extract", "{stage}, {what}");
            }
            let lacking = contents(&run);
            // Drawings of a curve may come out alike.
            for (name, bytes) in lacking.iter().filter(|(name, _)| !name.ends_with(".svg")) {
                let same = whole.get(name) == Some(bytes);
                let early = stage != "extract"
                    && (name.contains("sample") || name.contains("pca") || name.contains("gmm"));
                // Vectors of one split do not depend on those of the other.
                let other = match stage {
                    "encode train" => name.starts_with("fisher/test"),
                    "encode test" => name.contains("train") || name.contains("svm"),
                    _ => false,
                };
                assert!(
                    !same || early || other || name == "config.toml",
                    "{stage}, {what}: {name} is as of the whole"
                );
            }
            put(&data, &file, &kept);
            let again = if first_look { refit(&run, &[]) } else { open(&run, &[]) };
            again.run_all(&data, "train", "test").unwrap();
            assert_same(&whole, &contents(&run));
        }
    }
}

/// The same, of an image that is not there from the beginning.
#[test]
fn what_was_made_without_an_image_is_made_again_when_it_is_there() {
    let (_data, data) = copy_of(&fixture().data);
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    for number in [5, 30] {
        fs::remove_file(data.join(format!("JPEGImages/{number:06}.jpg"))).unwrap();
    }
    let (train, evaluated) = open(&run, &[]).run_all(&data, "train", "test").unwrap();
    assert_eq!((train.skipped, evaluated.encoded.skipped), (1, 1));
    let lacking = contents(&run);
    // As long as they are away, nothing is done.
    assert!(!open(&run, &[]).run_all(&data, "train", "test").unwrap().1.made);
    assert_same(&lacking, &contents(&run));
    // A change of other images is refused as ever.
    put(&data, "JPEGImages/000006.jpg", fs::read(image(7)).unwrap());
    let text = refusal(open(&run, &[]).run_all(&data, "train", "test"));
    assert!(text.contains("have changed"), "{text}");
    put(&data, "JPEGImages/000006.jpg", fs::read(image(6)).unwrap());
    for number in [5, 30] {
        put(&data, format!("JPEGImages/{number:06}.jpg"), fs::read(image(number)).unwrap());
    }
    let listener = Listener::new(usize::MAX);
    let opened = Run::open(&run, &options(&[]), &listener).unwrap();
    opened.run_all(&data, "train", "test").unwrap();
    drop(opened);
    assert!(listener.heard(&["sample.safetensors", "made again"]));
    assert_same(&contents(&fixture().run), &contents(&run));
    // And of a whole run an image that is gone is said, and nothing made of the rest.
    fs::remove_file(data.join("JPEGImages/000005.jpg")).unwrap();
    let text = refusal(open(&run, &[]).run_all(&data, "train", "test"));
    assert!(text.contains("cannot be read now: 1"), "{text}");
    assert_same(&contents(&fixture().run), &contents(&run));
}

/// Sealed JSON with some of it replaced, sealed anew.
fn resealed(run: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value =
        serde_json::from_str(&fs::read_to_string(run.join(name)).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("checksum");
    change(&mut value);
    put(run, name, sealed(&value));
}

#[test]
fn names_in_a_run_folder_lead_nowhere_else() {
    let (_folder, run) = copy_of(&fixture().run);
    let index = fs::read(run.join("fisher/train/index.json")).unwrap();
    type Change = fn(&mut Value);
    let shapes: [(Change, &str); 5] = [
        (|i| i["shards"][0]["fingerprint"] = json!("0"), "contradicts itself"),
        (|i| i["images"] = json!(7), "contradicts itself"),
        (|i| i["format"] = json!("2"), "format \"2\", this program reads 3"),
        (|i| i["split"] = json!("test"), "of split `test`"),
        (|i| i["dim"] = json!("many"), "another version"),
    ];
    for (change, words) in shapes {
        put(&run, "fisher/train/index.json", &index);
        resealed(&run, "fisher/train/index.json", change);
        let text = refusal(open(&run, &[]).index("train"));
        assert!(text.contains(words) && text.contains("index.json"), "{text}");
    }
    put(&run, "fisher/train/index.json", &index);
    // Shards that say something else than their index was written for, or that nothing can be.
    let shard = fs::read(run.join("fisher/train/00000.safetensors")).unwrap();
    type Contents = fn(&mut Value, &mut Vec<i8>);
    let shards: [(Contents, &str); 3] = [
        (|_, labels| labels[0] = 7, "not 1, 0 or -1"),
        (|report, _| report["ids"][0] = report["ids"][1].clone(), "stands twice"),
        (|report, _| report["classes"] = json!("other"), "index.json beside it lists"),
    ];
    for (change, words) in shards {
        change_shard(&run, "train", change);
        let text = refusal(open(&run, &[]).index("train"));
        assert!(text.contains(words), "{text}");
        put(&run, "fisher/train/00000.safetensors", &shard);
    }
    // The index was written for what was changed.
    let text = refusal(open(&run, &[]).index("train"));
    assert!(text.contains("index.json beside it lists"), "{text}");
    put(&run, "fisher/train/index.json", &index);
    for name in ["../train", "/etc", "..", "a/b", ""] {
        let text = refusal(open(&run, &[]).index(name));
        assert!(text.contains("no name of a split"), "{text}");
        assert!(open(&run, &[]).train(name).is_err());
    }
    // A list of result files that leads out is not followed: they are made again.
    resealed(&run, "eval/test.json", |figures| {
        let hash = blake3::hash(b"secret").to_hex().to_string();
        figures["files"] = json!({ "../secret": hash });
    });
    put(run.parent().unwrap(), "secret", "secret");
    assert!(open(&run, &[]).evaluate(&fixture().data, "test").unwrap().made);
    assert_same(&contents(&fixture().run), &contents(&run));
}

#[cfg(target_os = "linux")]
#[test]
fn links_and_pipes_in_a_run_folder_are_neither_followed_nor_waited_for() {
    let (_folder, run) = copy_of(&fixture().run);
    let folder = TempDir::new().unwrap();
    let precious = folder.path().join("precious");
    put(folder.path(), "precious", "PRECIOUS");
    for name in [".report_test.html.partial", ".source.json.partial", "eval/.test.json.partial"] {
        std::os::unix::fs::symlink(&precious, run.join(name)).unwrap();
    }
    fs::hard_link(&precious, run.join("scores/.test.csv.partial")).unwrap();
    fs::remove_file(run.join("scores/test.csv")).unwrap();
    assert!(open(&run, &[]).evaluate(&fixture().data, "test").unwrap().made);
    assert_eq!(fs::read(&precious).unwrap(), b"PRECIOUS");
    assert!(run.join(".report_test.html.partial").is_symlink());
    for name in [
        ".lock",
        "config.toml",
        "source.json",
        "fisher/test/index.json",
        "pca.safetensors",
        "fisher/test/00000.safetensors",
        "eval/test.json",
        "scores/test.csv",
    ] {
        let (_folder, run) = copy_of(&fixture().run);
        let _ = fs::remove_file(run.join(name));
        let made = std::process::Command::new("mkfifo").arg(run.join(name)).status().unwrap();
        assert!(made.success());
        let opened = Run::open(&run, &options(&[]), &Silent);
        let text = refusal(opened.and_then(|run| run.run_all(&fixture().data, "train", "test")));
        assert!(text.contains(name) && text.contains("pipe"), "{name}: {text}");
    }
}

#[test]
fn only_what_fvtool_made_is_replaced_or_removed() {
    // A folder that is no run.
    let folder = TempDir::new().unwrap();
    put(folder.path(), "letter.txt", "dear");
    let before = files_below(folder.path());
    let text = refusal(Run::open(folder.path(), &options(&[]), &Silent));
    assert!(text.contains("`letter.txt`") && text.contains("--run"), "{text}");
    put(folder.path(), "config.toml", "[server]\nport = 80\n");
    let text = refusal(Run::open(folder.path(), &options(&[]), &Silent));
    assert!(text.contains("config.toml: these are no settings of a run"), "{text}");
    fs::remove_file(folder.path().join("config.toml")).unwrap();
    assert_same(&before, &files_below(folder.path()));
    // A demo's.
    let text = refusal(pipeline::demo::claim(folder.path()));
    assert!(text.contains("letter.txt") && text.contains("--out"), "{text}");
    assert_same(&before, &files_below(folder.path()));
    let demo = folder.path().join("demo");
    drop(pipeline::demo::claim(&demo).unwrap());
    put(&demo, "data/a", "drawn");
    let held = pipeline::demo::claim(&demo).unwrap();
    assert!(refusal(pipeline::demo::claim(&demo)).contains("another fvtool"));
    drop(held);
    // A run whose settings were deleted, as a message advises, goes on.
    let (_folder, run) = copy_of(&fixture().run);
    fs::remove_file(run.join("config.toml")).unwrap();
    let _ = fs::remove_file(run.join(".lock"));
    open(&run, &[]).run_all(&fixture().data, "train", "test").unwrap();
    assert_same(&contents(&fixture().run), &contents(&run));
    // Other files among the shards, and another program's model in the place of ours.
    put(&run, "fisher/test/00001.safetensors", "no shard");
    put(&run, "fisher/test/model.safetensors", "mine");
    fs::copy(run.join("pca.safetensors"), run.join("fisher/test/00002.safetensors")).unwrap();
    fs::remove_file(run.join("fisher/test/index.json")).unwrap();
    open(&run, &[]).run_all(&fixture().data, "train", "test").unwrap();
    let left: Vec<String> = changed(&contents(&fixture().run), &contents(&run));
    assert_eq!(left, ["fisher/test/00001.safetensors", "fisher/test/model.safetensors"]);
    put(&run, "svm.safetensors", "another program's");
    let text = refusal(refit(&run, &[]).run_all(&fixture().data, "train", "test"));
    assert!(text.contains("svm.safetensors: not an artifact"), "{text}");
    assert_eq!(fs::read(run.join("svm.safetensors")).unwrap(), b"another program's");
}

#[cfg(unix)]
#[test]
fn what_is_reused_is_what_was_verified() {
    let folder = TempDir::new().unwrap();
    let (_from, from) = copy_of(&fixture().run);
    // A damaged one, a link, another run's under this name.
    let mut bytes = fs::read(from.join("gmm.safetensors")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    put(&from, "gmm.safetensors", bytes);
    let pca = folder.path().join("pca.safetensors");
    fs::rename(from.join("pca.safetensors"), &pca).unwrap();
    std::os::unix::fs::symlink(&pca, from.join("pca.safetensors")).unwrap();
    let run = folder.path().join("run");
    let reusing = Options { reuse: vec![from.clone()], ..options(&[]) };
    let opened = Run::open(&run, &reusing, &Silent).unwrap();
    opened.run_all(&fixture().data, "train", "test").unwrap();
    drop(opened);
    assert_same(&contents(&fixture().run), &contents(&run));
    use std::os::unix::fs::MetadataExt;
    let same = |name: &str| {
        let ino = |root: &Path| fs::symlink_metadata(root.join(name)).unwrap().ino();
        ino(&run) == ino(&from)
    };
    assert!(same("descriptors/sample.safetensors"), "a whole one is linked");
    assert!(!run.join("pca.safetensors").is_symlink() && !same("gmm.safetensors"));
    assert!(files_below(&run).keys().all(|name| !name.ends_with("partial")));
}

#[cfg(target_os = "linux")]
#[test]
fn places_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let odd = |name: &[u8]| folder.path().join(std::ffi::OsStr::from_bytes(name));
    let (data, run) = (odd(b"d\xe9"), odd(b"r\xe9"));
    draw(&data, 8, 8);
    let settings = ["gmm.components=2", "sample.rows=400", "svm.calibration=none"];
    open(&run, &settings).run_all(&data, "train", "test").unwrap();
    // By itself, from what it wrote down.
    let again = Run::open(&run, &Options::default(), &Silent).unwrap();
    assert!(!again.train("train").unwrap().made);
    assert!(!again.evaluate(&data, "test").unwrap().made);
    drop(again);
    let image = data.join("JPEGImages/000001.jpg");
    assert!(reading(&run).predict(&[image]).unwrap()[0].outcome.is_ok());
}
