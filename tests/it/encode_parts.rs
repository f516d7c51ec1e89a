//! A split encoded in parts, by several processes: the same bytes as by one, and everything else refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fvtool::Error;
use fvtool::part::Part;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{assert_failed, fvtool};
use crate::small_run::{self, Listener, assert_same, contents, copy_of, fixture, refusal};
use crate::support::{files_below, put};

/// Ten images or so in shards of three, under models that are fitted already, and the same encoded by one process.
struct Parts {
    _folder: TempDir,
    data: PathBuf,
    fitted: PathBuf,
    whole: PathBuf,
}

fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        for number in 1..=11 {
            let image =
                fs::read(fixture().data.join(format!("JPEGImages/{number:06}.jpg"))).unwrap();
            put(&data, format!("all/{}/{number}.jpg", ["a", "b"][number % 2]), image);
        }
        let [fitted, whole] = ["fitted", "whole"].map(|name| folder.path().join(name));
        small_run::open(&fitted, &["data.shard_images=3"])
            .extract_and_fit_gmm(&data, "all")
            .unwrap();
        fs::create_dir(&whole).unwrap();
        copy(&fitted, &whole);
        assert_eq!(open(&whole).encode(&data, "all").unwrap().images, 11);
        Parts { _folder: folder, data, fitted, whole }
    })
}

fn copy(from: &Path, to: &Path) {
    files_below(from).into_iter().for_each(|(name, bytes)| put(to, name, bytes));
}

/// A run with its own settings.
fn open(run: &Path) -> Run<'static> {
    Run::open(run, &Options::default(), &Silent).unwrap()
}

fn of_part() -> Options {
    Options { part: true, ..Options::default() }
}

fn open_part(run: &Path) -> Run<'static> {
    Run::open(run, &of_part(), &Silent).unwrap()
}

fn refit(run: &Path, overrides: &[&str]) -> Run<'static> {
    let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
    Run::open(run, &Options { refit: true, overrides, ..Options::default() }, &Silent).unwrap()
}

fn encode(run: &Path, index: usize, count: usize) -> usize {
    let part = Part::new(index, count).unwrap();
    open_part(run).encode_part(&parts().data, "all", part).unwrap().images
}

#[test]
fn parts_in_any_order_at_once_and_twice_are_the_run_of_one_process() {
    let whole = contents(&parts().whole);
    for (count, order) in
        [(1, vec![0]), (2, vec![1, 0]), (3, vec![2, 0, 1, 0]), (7, vec![6, 5, 4, 3, 2, 1, 0, 3])]
    {
        let (_held, run) = copy_of(&parts().fitted);
        let images: Vec<usize> = order.iter().map(|&index| encode(&run, index, count)).collect();
        assert!(images.iter().sum::<usize>() >= 11, "{images:?}");
        assert!(!run.join("fisher/all/index.json").exists(), "a part writes no index");
        assert_eq!(open(&run).join(&parts().data, "all").unwrap().images, 11);
        assert_same(&whole, &contents(&run));
        // What is joined is up to date for everybody.
        assert!(!open(&run).encode(&parts().data, "all").unwrap().stamp.made);
    }
    let (_held, run) = copy_of(&parts().fitted);
    std::thread::scope(|scope| {
        for index in [0, 1, 2, 1, 0, 2] {
            let run = &run;
            scope.spawn(move || encode(run, index, 3));
        }
    });
    open(&run).join(&parts().data, "all").unwrap();
    assert_same(&whole, &contents(&run));
}

#[test]
fn what_parts_left_is_made_by_whoever_encodes_the_rest() {
    let (_held, run) = copy_of(&parts().fitted);
    encode(&run, 1, 2);
    let text = refusal(open(&run).join(&parts().data, "all"));
    assert!(text.contains("2 shards of 4") && text.contains("numbers 0, 1"), "{text}");
    // A killed part left some of a file.
    put(&run, "fisher/all/.00000.safetensors.0123456789abcdef-0.partial", "some of it");
    open(&run).encode(&parts().data, "all").unwrap();
    assert_same(&contents(&parts().whole), &contents(&run));
}

#[test]
fn a_part_fits_nothing_and_changes_no_setting() {
    let (held, run) = copy_of(&parts().fitted);
    let part = Options { overrides: vec!["encoding.power=1".into()], ..of_part() };
    let Err(error) = Run::open(&run, &part, &Silent) else { panic!("other settings are taken") };
    assert!(error.to_string().contains("with the settings that the run has"), "{error}");
    let none = held.path().join("none");
    let Err(error) = Run::open(&none, &of_part(), &Silent) else {
        panic!("a run without settings is taken")
    };
    assert!(error.to_string().contains("fit the models first"), "{error}");
    fs::remove_file(run.join("gmm.safetensors")).unwrap();
    let part = Part::new(0, 2).unwrap();
    assert!(matches!(
        open_part(&run).encode_part(&parts().data, "all", part),
        Err(Error::Missing { .. })
    ));
    // Nobody works in the folder alone while parts are made, and the other way round.
    let (_held, run) = copy_of(&parts().fitted);
    let first = open_part(&run);
    let second = open_part(&run);
    assert!(Run::open(&run, &Options::default(), &Silent).is_err());
    drop((first, second));
    let alone = open(&run);
    assert!(Run::open(&run, &of_part(), &Silent).is_err());
    drop(alone);
}

/// Models that were fitted again while parts were made.
#[test]
fn shards_of_other_models_are_not_joined() {
    let (_held, run) = copy_of(&parts().fitted);
    encode(&run, 0, 2);
    drop(refit(&run, &["gmm.components=3"]).extract_and_fit_gmm(&parts().data, "all").unwrap());
    encode(&run, 1, 2);
    let text = refusal(open(&run).join(&parts().data, "all"));
    assert!(text.contains("00000.safetensors") && text.contains("gmm.safetensors"), "{text}");
    let part = Part::new(0, 2).unwrap();
    let text = refusal(open_part(&run).encode_part(&parts().data, "all", part));
    assert!(text.contains("00000.safetensors") && text.contains("refit"), "{text}");
}

#[test]
fn images_that_come_later_touch_the_last_shard_alone() {
    let (_held, run) = copy_of(&parts().whole);
    let (_held, data) = copy_of(&parts().data);
    // Models stay those of the first images: the others go into a split of their own name.
    fs::rename(data.join("all"), data.join("new")).unwrap();
    open(&run).encode(&data, "new").unwrap();
    let before = contents(&run);
    let image = fs::read(fixture().data.join("JPEGImages/000012.jpg")).unwrap();
    put(&data, "new/b/99.jpg", image);
    let listener = Listener::new(usize::MAX);
    let opened = Run::open(&run, &Options::default(), &listener).unwrap();
    assert_eq!(opened.encode(&data, "new").unwrap().images, 12);
    drop(opened);
    assert!(listener.heard(&["00003.safetensors", "others came after them"]));
    let after = contents(&run);
    let changed: Vec<&String> = after
        .keys()
        .filter(|name| after[*name] != *before.get(*name).unwrap_or(&Vec::new()))
        .collect();
    assert_eq!(changed, ["fisher/new/00003.safetensors", "fisher/new/index.json"]);
    // One that comes between others moves them, which is another list.
    put(&data, "new/a/00.jpg", fs::read(data.join("new/b/99.jpg")).unwrap());
    let text = refusal(open(&run).encode(&data, "new"));
    assert!(text.contains("00000.safetensors") && text.contains("have changed"), "{text}");
}

#[test]
fn other_labels_are_written_beside_the_same_vectors() {
    let (_held, run) = copy_of(&fixture().run);
    let (_held, data) = copy_of(&fixture().data);
    let index = |run: &Path| open(run).index("train").unwrap();
    let (before, files) = (index(&run), contents(&run));
    let class = &before.classes[0];
    let list = data.join(format!("ImageSets/Main/{class}_train.txt"));
    let text = fs::read_to_string(&list).unwrap();
    let flipped = match text.contains(" -1") {
        true => text.replacen(" -1", "  1", 1),
        false => text.replacen("  1", " -1", 1),
    };
    assert_ne!(text, flipped);
    put(&data, list.strip_prefix(&data).unwrap(), flipped);
    open(&run).encode(&data, "train").unwrap();
    let after = index(&run);
    let other = (before.images.iter().zip(&after.images)).filter(|(a, b)| a.labels != b.labels);
    assert_eq!(other.count(), 1);
    assert_eq!((&before.fingerprint, &before.shards), (&after.fingerprint, &after.shards));
    let vectors = |run: &Path| open(run).stored_vectors("train").unwrap().0;
    assert_eq!(vectors(&run), vectors(&fixture().run));
    // And back again, to the byte.
    open(&run).encode(&fixture().data, "train").unwrap();
    assert_same(&files, &contents(&run));
}

/// A node without the folder of images would leave empty shards behind.
#[test]
fn a_shard_of_which_no_image_can_be_read_is_an_error() {
    let (_held, run) = copy_of(&parts().fitted);
    let (_held, data) = copy_of(&parts().data);
    for name in files_below(&data).into_keys().filter(|name| name.contains("/b/")) {
        fs::remove_file(data.join(&name)).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/nowhere/at/all.jpg", data.join(&name)).unwrap();
    }
    if cfg!(unix) {
        let text = refusal(open_part(&run).encode_part(&data, "all", Part::WHOLE));
        assert!(text.contains("none of 3 images") && text.contains("mounted"), "{text}");
        assert!(run.join("fisher/all/00000.safetensors").exists(), "what was made before is kept");
        assert!(!run.join("fisher/all/00002.safetensors").exists());
    }
}

#[test]
fn images_that_nobody_touched_are_not_read_again() {
    let (_held, run) = copy_of(&parts().whole);
    let (_held, data) = copy_of(&parts().data);
    // Stamps are believed once they are some time younger than the files.
    let long_ago =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let (images, stamps): (Vec<_>, Vec<_>) = (
        files_below(&data).into_keys().map(|name| data.join(name)).collect(),
        (0..4).map(|n| run.join(format!("fisher/all/.{n:05}.stamp"))).collect(),
    );
    let set = |path: &Path, time| {
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    images.iter().for_each(|path| set(path, long_ago));
    open(&run).encode(&data, "all").unwrap();
    let written = fs::metadata(&stamps[0]).unwrap().modified().unwrap();
    let later = written + std::time::Duration::from_secs(60);
    stamps.iter().for_each(|path| set(path, later));
    // A shard whose images cannot be read, but are as they were for the system.
    let whole = contents(&run);
    assert!(!open(&run).encode(&data, "all").unwrap().stamp.made);
    // The same size and time, other bytes: on Unix the system tells.
    #[cfg(unix)]
    {
        let mut bytes = fs::read(&images[0]).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        put(&data, images[0].strip_prefix(&data).unwrap(), bytes);
        set(&images[0], long_ago);
        let text = refusal(open(&run).encode(&data, "all"));
        assert!(text.contains("have changed"), "{text}");
    }
    assert_same(&whole, &contents(&run));
    // Whoever asks for everything anew asks for every byte.
    assert!(refit(&run, &[]).encode(&parts().data, "all").is_ok());
}

#[test]
fn the_program_makes_parts_and_joins_them() {
    let (_held, run) = copy_of(&parts().fitted);
    let [run_text, data] = [&run, &parts().data].map(|path| path.to_str().unwrap());
    let call = |more: &[&str]| {
        let common = ["encode", "--run", run_text, "--data", data, "--split", "all"];
        fvtool(&[&common[..], more].concat())
    };
    assert_failed(&call(&["--join"]), &["4 shards of 4", "run those parts again"]);
    for index in [2, 0, 1] {
        let said = call(&["--part", &format!("{index}/3"), "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
        let value: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((&value["of"], &value["made"]), (&4.into(), &true.into()));
    }
    assert_eq!(call(&["--part", "3/3"]).code, 2);
    assert_eq!(call(&["--part", "0/2", "--refit"]).code, 2);
    assert_failed(
        &call(&["--part", "0/2", "--set", "encoding.power=1"]),
        &["settings that the run has"],
    );
    let said = call(&["--join"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("11 vectors of 4 shards"), "{}", said.err);
    assert_same(&contents(&parts().whole), &contents(&run));
    // An image that cannot be used has an exit code of its own.
    let (_held, data) = copy_of(&parts().data);
    put(&data, "all/b/99.jpg", "no image");
    let (_held, run) = copy_of(&parts().fitted);
    let [run_text, data] = [&run, &data].map(|path| path.to_str().unwrap());
    let said =
        fvtool(&["encode", "--run", run_text, "--data", data, "--split", "all", "--part", "0/1"]);
    assert_eq!(said.code, 3, "{}", said.err);
    // One that cannot be read may be there elsewhere, or later.
    #[cfg(unix)]
    {
        let away = Path::new(data).join("all/b/99.jpg");
        fs::remove_file(&away).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all.jpg", &away).unwrap();
        let (_held, run) = copy_of(&parts().fitted);
        let call = |more: &[&str]| {
            let common = ["encode", "--run", run.to_str().unwrap(), "--data", data];
            fvtool(&[&common[..], &["--split", "all", "--part", "0/1"], more].concat())
        };
        assert_failed(&call(&[]), &["1 image could not be read", "--allow-skipped"]);
        assert_eq!(call(&["--allow-skipped"]).code, 0);
        fs::remove_file(&away).unwrap();
        fs::copy(Path::new(data).join("all/b/1.jpg"), &away).unwrap();
        assert_eq!(call(&[]).code, 0);
    }
}

/// Sixty classes are two groups.
#[test]
fn classes_in_parts_are_the_classifier_of_one_process() {
    let (_held, run) = copy_of(&parts().fitted);
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for number in 0..120 {
        let image = format!("JPEGImages/{:06}.jpg", number % 40 + 1);
        let image = fs::read(fixture().data.join(image)).unwrap();
        put(&data, format!("many/{:02}/{number}.jpg", number % 60), image);
    }
    drop(refit(&run, &["svm.solver=dual", "data.shard_images=40"]));
    open(&run).encode(&data, "many").unwrap();
    let last = open_part(&run).train_classes("many", Part::new(2, 3).unwrap());
    assert_eq!(last.unwrap(), 1..2);
    let one = folder.path().join("one");
    fs::create_dir(&one).unwrap();
    files_below(&run)
        .into_iter()
        .filter(|(name, _)| !name.starts_with("svm/"))
        .for_each(|(name, bytes)| put(&one, name, bytes));
    let call = |run: &Path, more: &[&str]| {
        let common = ["train-svm", "--run", run.to_str().unwrap(), "--split", "many"];
        let said = fvtool(&[&common[..], more].concat());
        assert_eq!(said.code, 0, "{}", said.err);
    };
    // The second group is there already, and the first is made by the other part.
    call(&run, &["--classes", "0/2"]);
    let groups: Vec<String> = files_below(&run.join("svm")).into_keys().collect();
    assert_eq!(groups, ["00000.safetensors", "00001.safetensors"]);
    call(&run, &[]);
    assert!(!run.join("svm").exists(), "the groups are in the classifier");
    call(&one, &[]);
    assert_same(&contents(&one), &contents(&run));
    assert_eq!(open(&run).classifier().unwrap().classes.len(), 60);
    // Few classes are trained together.
    let (_held, few) = copy_of(&parts().whole);
    drop(refit(&few, &["svm.solver=dual"]));
    let text = refusal(open_part(&few).train_classes("all", Part::WHOLE));
    assert!(text.contains("2 classes are trained together"), "{text}");
}
