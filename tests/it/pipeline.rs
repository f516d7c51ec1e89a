//! The run folder: what is reused, refused and made again, and that the same inputs give the same
//! bytes by whatever way they are reached.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fvtool::Error;
use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::dataset::synthetic::{CLASSES, Synthetic};
use fvtool::pipeline::{self, Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use tempfile::TempDir;

use crate::small_run::{
    Listener, SMALL, assert_same, changed, contents, copy_of, fixture, open, options, refit,
    refusal,
};
use crate::support::{files_below, in_pool, put};

fn run_all(run: &Run<'_>) -> pipeline::Evaluated {
    run.run_all(&fixture().data, "train", "test").unwrap().1
}

/// What a run with other settings leaves, made from nothing.
fn fresh(overrides: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let folder = TempDir::new().unwrap();
    run_all(&open(folder.path(), overrides));
    contents(folder.path())
}

#[test]
fn a_run_leaves_the_files_of_the_formats_page() {
    let names: Vec<String> = contents(&fixture().run).into_keys().collect();
    let mut expected: Vec<String> = [
        "config.toml",
        "descriptors/sample.safetensors",
        "pca.safetensors",
        "gmm.safetensors",
        "svm.safetensors",
        "fisher/train/00000.safetensors",
        "fisher/train/index.json",
        "fisher/test/00000.safetensors",
        "fisher/test/index.json",
        "scores/test.csv",
        "eval/test.json",
        "eval/test/predictions.csv",
        "report_test.html",
        "outputs.json",
    ]
    .map(str::to_owned)
    .to_vec();
    for class in CLASSES {
        expected.push(format!("results/comp1_cls_test_{class}.txt"));
        expected.push(format!("eval/test/pr_{class}.svg"));
    }
    expected.sort();
    assert_eq!(names, expected);
    for (path, kind) in [
        ("descriptors/sample", "sample"),
        ("pca", "pca"),
        ("gmm", "gmm"),
        ("svm", "svm"),
        ("fisher/train/00000", "fisher"),
    ] {
        let path = fixture().run.join(format!("{path}.safetensors"));
        Artifact::open_verified(&path, kind).unwrap();
    }
    // Nothing in them says where or how they were made.
    for (name, bytes) in contents(&fixture().run) {
        let text = String::from_utf8_lossy(&bytes);
        for place in [&fixture().run, &fixture().data] {
            assert!(!text.contains(place.to_str().unwrap()), "{name} holds a path");
        }
    }
}

#[test]
fn a_second_run_does_nothing() {
    let (_folder, run) = copy_of(&fixture().run);
    let before = files_below(&run);
    let times = |names: &BTreeMap<String, Vec<u8>>| -> Vec<_> {
        let time = |name| fs::metadata(run.join(name)).unwrap().modified().unwrap();
        names.keys().filter(|name| *name != ".lock").map(time).collect()
    };
    let stamps = times(&before);
    let listener = Listener::new(usize::MAX);
    let again = Run::open(&run, &options(&[]), &listener).unwrap();
    let (train, evaluated) = again.run_all(&fixture().data, "train", "test").unwrap();
    assert!(!train.stamp.made && !evaluated.made && !evaluated.encoded.stamp.made);
    assert_eq!((train.images, train.skipped), (24, 0));
    assert_eq!((evaluated.encoded.images, evaluated.encoded.skipped), (18, 0));
    assert_same(&before, &files_below(&run));
    assert!(stamps == times(&before), "a file was written again");
    for stage in ["extract", "fit-pca", "fit-gmm", "encode train", "train-svm", "eval test"] {
        assert!(listener.heard(&[stage, "up to date"]), "{stage}");
    }
    drop(again);
    // Without a preset, the run's own configuration holds.
    let again = Run::open(&run, &Options::default(), &Silent).unwrap();
    let overrides: Vec<String> = SMALL.iter().map(|s| (*s).to_owned()).collect();
    let expected = Config::named("quick").unwrap().with_overrides(&overrides).unwrap();
    assert_eq!(again.config(), &expected);
    assert!(!run_all(&again).made);
}

#[test]
fn stage_by_stage_gives_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let (run, data) = (folder.path(), &fixture().data);
    // Each stage in a process of its own, as on the command line.
    assert!(open(run, &[]).extract(data, "train").unwrap().made);
    assert!(open(run, &[]).extract_and_fit_pca(data, "train").unwrap().made);
    assert!(open(run, &[]).extract_and_fit_gmm(data, "train").unwrap().made);
    assert!(open(run, &[]).encode(data, "train").unwrap().stamp.made);
    assert!(open(run, &[]).train("train").unwrap().made);
    assert!(open(run, &[]).evaluate(data, "test").unwrap().made);
    assert_same(&contents(&fixture().run), &contents(run));

    // The last stage alone makes what it needs, and a stage leaves later ones alone.
    let folder = TempDir::new().unwrap();
    let run = open(folder.path(), &[]);
    run.extract_and_fit_pca(data, "train").unwrap();
    assert!(!folder.path().join("gmm.safetensors").exists());
    let evaluated = run.evaluate(data, "test").unwrap();
    assert!(evaluated.made);
    assert_same(&contents(&fixture().run), &contents(folder.path()));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for overrides in [&[][..], &["encoding.storage=f16", "encoding.regions=['1x1', '3x1']"]] {
        let one = in_pool(1, || fresh(overrides));
        let three = in_pool(3, || fresh(overrides));
        assert_same(&one, &three);
        if overrides.is_empty() {
            assert_same(&one, &contents(&fixture().run));
        }
    }
}

#[test]
fn a_changed_setting_is_refused_by_name_and_changes_nothing() {
    let (_folder, run) = copy_of(&fixture().run);
    let before = files_below(&run);
    for (setting, old, artifact) in [
        ("image.max_height_px=200", "320", "sample"),
        ("descriptors.step_px=7", "6", "sample"),
        ("sample.rows=4001", "4000", "sample"),
        ("pca.dimension=23", "24", "pca"),
        ("gmm.components=9", "8", "gmm"),
        ("encoding.power=0.75", "0.5", "fisher"),
        ("svm.c=0.25", "10.0", "svm"),
        ("seed=77", "1", "sample"),
    ] {
        let (key, new) = setting.split_once('=').unwrap();
        let error = Run::open(&run, &options(&[setting]), &Silent).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Stale { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("`{key}` was {old}, now {new}")), "{text}");
        assert!(text.contains(artifact) && text.contains("--refit"), "{text}");
        assert_same(&before, &files_below(&run));
    }
    // A setting that nothing in the folder depends on is taken.
    drop(open(&run, &["data.train_fraction=0.25"]));
}

#[test]
fn refit_gives_what_a_fresh_run_gives() {
    for setting in ["svm.c=0.25", "encoding.power=0.75", "gmm.components=9", "seed=77"] {
        let (_folder, run) = copy_of(&fixture().run);
        assert!(run_all(&refit(&run, &[setting])).made, "{setting}");
        assert_same(&contents(&run), &fresh(&[setting]));
        // From then on the folder stands by the new setting.
        let text = refusal(Run::open(&run, &options(&[]), &Silent));
        assert!(text.contains(setting.split_once('=').unwrap().0), "{text}");
        assert!(!run_all(&open(&run, &[setting])).made);
    }
}

#[test]
fn a_changed_setting_leaves_earlier_stages_alone() {
    let (_folder, run) = copy_of(&fixture().run);
    let before = contents(&run);
    run_all(&refit(&run, &["svm.c=0.25"]));
    let changed = changed(&before, &contents(&run));
    let early = ["descriptors/", "pca", "gmm", "fisher/"];
    assert!(changed.contains(&"svm.safetensors".to_owned()));
    assert!(!changed.iter().any(|name| early.iter().any(|e| name.starts_with(e))), "{changed:?}");
}

/// A classifier is of use only for vectors made as those it was trained on. Here the mixture is
/// another, of the same size, so that only the fingerprints can tell.
#[test]
fn a_classifier_of_other_vectors_is_not_used() {
    let image = [fixture().data.join("JPEGImages/000001.jpg")];
    for setting in ["gmm.max_iterations=4", "encoding.power=0.75"] {
        let (_folder, run) = copy_of(&fixture().run);
        refit(&run, &[setting]).encode(&fixture().data, "train").unwrap();
        let stale = refit(&run, &[setting]);
        let text = refusal(stale.predict(&image));
        assert!(text.contains("svm.safetensors"), "{text}");
        drop(stale);
        // With `refit`, evaluation trains again; and then it is as if it had always been so.
        refit(&run, &[setting]).evaluate(&fixture().data, "test").unwrap();
        assert_same(&contents(&run), &fresh(&[setting]));
        open(&run, &[setting]).predict(&image).unwrap()[0].outcome.as_ref().unwrap();
    }
}

#[test]
fn what_is_deleted_is_made_again_identically() {
    let whole = contents(&fixture().run);
    for deleted in [
        "descriptors/sample.safetensors",
        "pca.safetensors",
        "gmm.safetensors",
        "svm.safetensors",
        "fisher/train/00000.safetensors",
        "fisher/train/index.json",
        "fisher/test/index.json",
        "scores/test.csv",
        "eval/test.json",
        "eval/test/predictions.csv",
        "report_test.html",
    ] {
        let (_folder, run) = copy_of(&fixture().run);
        fs::remove_file(run.join(deleted)).unwrap();
        run_all(&open(&run, &[]));
        let now = contents(&run);
        assert!(changed(&whole, &now).is_empty(), "{deleted}: {:?}", changed(&whole, &now));
    }
}

/// A folder per class of two shards' worth of images: a few images under many names.
fn many(folder: &Path) -> PathBuf {
    let data = folder.join("many");
    for i in 0..pipeline_shard() + 4 {
        let id = i % 5 + 1;
        let image = fs::read(fixture().data.join(format!("JPEGImages/00000{id}.jpg"))).unwrap();
        put(&data, format!("all/{}/{i:04}.jpg", ["a", "b"][i % 2]), image);
    }
    data
}

/// Images in a shard, which the formats page states.
fn pipeline_shard() -> usize {
    256
}

#[test]
fn a_deleted_shard_is_made_again_and_no_other() {
    let (folder, run) = copy_of(&fixture().run);
    let data = many(folder.path());
    let encoded = open(&run, &[]).encode(&data, "all").unwrap();
    assert_eq!((encoded.images, encoded.skipped), (260, 0));
    let before = contents(&run);
    let other = run.join("fisher/all/00000.safetensors");
    let time = fs::metadata(&other).unwrap().modified().unwrap();
    fs::remove_file(run.join("fisher/all/00001.safetensors")).unwrap();
    let encoded = open(&run, &[]).encode(&data, "all").unwrap();
    assert!(!encoded.stamp.made, "the index stays");
    assert_same(&before, &contents(&run));
    assert_eq!(fs::metadata(&other).unwrap().modified().unwrap(), time);

    // Images that are the same have the same vectors, in whatever shard.
    let shard = |name: &str| Artifact::open(&run.join("fisher/all").join(name)).unwrap();
    let (first, second) = (shard("00000.safetensors"), shard("00001.safetensors"));
    let (first, second) = (first.matrix("vectors").unwrap(), second.matrix("vectors").unwrap());
    assert_eq!((first.nrows(), second.nrows()), (256, 4));
    let index = open(&run, &[]).index("all").unwrap();
    let number = |row: usize| index.images[row].id[2..].parse::<usize>().unwrap();
    for row in 256..260 {
        let twin = (0..256).find(|&r| number(r) % 5 == number(row) % 5).unwrap();
        assert_eq!(first.row(twin), second.row(row - 256));
    }

    // A shorter list takes its surplus shard with it, and only on request.
    for i in 250..260 {
        fs::remove_file(data.join(format!("all/{}/{i:04}.jpg", ["a", "b"][i % 2]))).unwrap();
    }
    let text = refusal(open(&run, &[]).encode(&data, "all"));
    assert!(text.contains("images or labels of its split have changed"), "{text}");
    assert_same(&before, &contents(&run));
    assert_eq!(refit(&run, &[]).encode(&data, "all").unwrap().images, 250);
    assert!(!run.join("fisher/all/00001.safetensors").exists());
}

#[test]
fn a_stopped_run_goes_on_and_ends_with_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let mut stops = 0;
    // In every stage that asks: the sample (24 images), both splits (24 and 18).
    for after in [0, 10, 30, 60, usize::MAX] {
        let listener = Listener::new(after);
        let run = Run::open(folder.path(), &options(&[]), &listener).unwrap();
        match run.run_all(&fixture().data, "train", "test") {
            Ok(_) => break,
            Err(Error::Interrupted) => stops += 1,
            Err(error) => panic!("{error}"),
        }
        let partial = files_below(folder.path()).into_keys().any(|n| n.ends_with("partial"));
        assert!(!partial, "a half-written file was left");
    }
    assert!(stops >= 3, "{stops} stops");
    assert_same(&contents(&fixture().run), &contents(folder.path()));
}

#[test]
fn a_damaged_artifact_is_refused_wherever_it_is_read() {
    for name in ["pca", "gmm", "svm"] {
        let (_folder, run) = copy_of(&fixture().run);
        let file = format!("{name}.safetensors");
        let mut bytes = fs::read(run.join(&file)).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 0x40;
        put(&run, &file, bytes);
        let image = [fixture().data.join("JPEGImages/000001.jpg")];
        let text = refusal(open(&run, &[]).predict(&image));
        assert!(text.contains(&file) && text.contains("damaged"), "{text}");
    }
}

#[test]
fn a_run_folder_may_be_moved() {
    let (folder, run) = copy_of(&fixture().run);
    let image = [fixture().data.join("JPEGImages/000030.jpg")];
    let before = open(&run, &[]).predict(&image).unwrap();
    let moved = folder.path().join("elsewhere/moved");
    fs::create_dir_all(moved.parent().unwrap()).unwrap();
    fs::rename(&run, &moved).unwrap();
    assert!(!run_all(&open(&moved, &[])).made);
    assert_eq!(open(&moved, &[]).predict(&image).unwrap(), before);
}

#[test]
fn a_run_needs_no_training_data_to_be_used() {
    let (folder, run) = copy_of(&fixture().run);
    let (data_folder, data) = copy_of(&fixture().data);
    fs::remove_file(run.join("source.json")).unwrap();
    assert!(!open(&run, &[]).run_all(&data, "train", "test").unwrap().1.made);
    drop(data_folder);
    // Its data are gone; other images are there.
    let listener = Listener::new(usize::MAX);
    let again = Run::open(&run, &options(&[]), &listener).unwrap();
    assert!(!again.evaluate(&fixture().data, "test").unwrap().made);
    assert!(listener.heard(&["is gone", "models are used as they are"]));
    drop((again, folder));
}

#[test]
fn two_processes_do_not_share_a_run_folder() {
    let folder = TempDir::new().unwrap();
    let held = open(folder.path(), &[]);
    let text = refusal(Run::open(folder.path(), &options(&[]), &Silent));
    assert!(text.contains("another fvtool is working"), "{text}");
    drop(held);
    open(folder.path(), &[]);
}

#[test]
fn a_folder_without_models_says_how_to_make_them() {
    let folder = TempDir::new().unwrap();
    let run = open(folder.path(), &[]);
    for text in [
        refusal(run.predict(&[fixture().data.join("JPEGImages/000001.jpg")])),
        refusal(run.evaluate(&fixture().data, "test")),
        refusal(run.train("train")),
    ] {
        assert!(text.contains("is missing") && text.contains("`fvtool "), "{text}");
    }
    // Unknown splits are named with those that exist.
    let text = refusal(run.encode(&fixture().data, "trian"));
    assert!(text.contains("`trian`") && text.contains("test, train"), "{text}");
}

#[test]
fn the_demos_data_are_drawn_once() {
    let folder = TempDir::new().unwrap();
    let params = Synthetic { train_images: 6, test_images: 6, ..Synthetic::default() };
    let write = || pipeline::demo::write_data(folder.path(), &params, Seed(4), &Silent);
    write().unwrap();
    let before = files_below(folder.path());
    // 12 images with annotations, two lists, and a list for each class and split.
    assert_eq!(before.len(), 12 * 2 + 2 + 2 * CLASSES.len());
    let image = folder.path().join("JPEGImages/000002.jpg");
    let time = fs::metadata(&image).unwrap().modified().unwrap();
    put(folder.path(), "JPEGImages/000003.jpg", b"cut short");
    write().unwrap();
    assert_same(&before, &files_below(folder.path()));
    assert_eq!(fs::metadata(&image).unwrap().modified().unwrap(), time);
}
