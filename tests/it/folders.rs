//! Folders of class folders as users have them: every file is accounted for, links end, images keep their
//! split, and a run may lie among them.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fvtool::dataset::{Dataset, Inventory, Params};
use fvtool::pipeline::Run;
use fvtool::random::Seed;
use tempfile::TempDir;

use crate::small_run::{Listener, fixture, open as open_run, options, refusal};
use crate::support::put;

/// A temporary folder with these files, all of them empty; a name that ends in `/` is a folder.
pub fn folder(names: &[&str]) -> TempDir {
    let root = TempDir::new().unwrap();
    for name in names {
        match name.strip_suffix('/') {
            Some(name) => fs::create_dir_all(root.path().join(name)).unwrap(),
            None => put(root.path(), name, ""),
        }
    }
    root
}

pub fn open(root: &Path) -> fvtool::Result<Dataset> {
    Dataset::open(root, &Params::default(), Seed(1))
}

/// Splits, each with its ids.
pub fn read(root: &Path, params: &Params) -> Vec<(String, Vec<String>)> {
    let dataset = Dataset::open(root, params, Seed(1)).unwrap();
    let ids = |name: &String| -> Vec<String> {
        dataset.split(name).unwrap().items.into_iter().map(|item| item.id).collect()
    };
    dataset.splits().iter().map(|name| (name.clone(), ids(name))).collect()
}

/// Every file below a folder, links not followed.
pub fn files_in(root: &Path) -> usize {
    let mut n = 0;
    for entry in fs::read_dir(root).unwrap().flatten() {
        n += if entry.file_type().unwrap().is_dir() { files_in(&entry.path()) } else { 1 };
    }
    n
}

#[track_caller]
pub fn assert_adds_up(inventory: &Inventory, found: usize) {
    let left_out: usize = inventory.left_out.iter().map(|left_out| left_out.count).sum();
    let used = inventory.used + inventory.other_splits + inventory.lists;
    assert_eq!((inventory.found, used + left_out), (found, found), "{inventory:?}");
}

#[test]
fn every_file_is_accounted_for() {
    let root = folder(&[
        "train/a/1.jpg",
        "train/a/2.jfif",
        "train/a/3.JPE",
        "train/a/4.heic",
        "train/a/5.HEIC",
        "train/a/notes.txt",
        "train/a/.hidden.png",
        "train/a/Thumbs.db",
        "train/a/deep/er/6.jpg",
        "train/a/deep/x.csv",
        "train/b/7.jpg",
        "train/empty/",
        "train/docs/read.md",
        "train/stray.png",
        "test/a/8.jpg",
        "test/b/.ipynb_checkpoints/9.jpg",
        "test/b/9.jpg",
        "__MACOSX/train/a/._1.jpg",
        "$RECYCLE.BIN/S-1/x.jpg",
        "@eaDir/y.jpg",
        ".git/objects/00",
        "README",
    ]);
    put(root.path(), "train/b/photo", b"\xFF\xD8\xFF\xE0");
    put(root.path(), "train/b/photo.0001", b"\x89PNG\r\n\x1A\n");
    put(root.path(), "run/config.toml", "seed = 1\n[descriptors]\n[gmm]\n[encoding]\n");
    put(root.path(), "run/.lock", "");
    put(root.path(), "run/explain/test/heatmaps/a/1.png", "");
    let dataset = open(root.path()).unwrap();
    let train = dataset.split("train").unwrap();
    let ids: Vec<&str> = train.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["a/1", "a/2", "a/3", "a/deep/er/6", "b/7", "b/photo", "b/photo.0001"]);
    let files = &train.files;
    assert_eq!((files.used, files.other_splits), (7, 2));
    assert_adds_up(files, files_in(root.path()) - files_in(&root.path().join("run")));
    let count = |reason: &str| files.left_out.iter().find(|l| l.reason == reason).map(|l| l.count);
    for (reason, n) in [
        (".heic", 2),
        (".txt", 1),
        (".csv", 1),
        (".md", 1),
        ("hidden", 3),
        ("system clutter", 4),
        ("beside class folders", 1),
        ("without ending", 1),
    ] {
        assert_eq!(count(reason), Some(n), "{reason}: {:?}", files.left_out);
    }
    let folders: Vec<(&str, usize)> =
        files.passed_over.iter().map(|f| (f.reason.as_str(), f.count)).collect();
    assert_eq!(
        folders,
        [("system clutter", 3), ("hidden", 2), ("empty", 1), ("run folder of fvtool", 1)]
    );
    let line = dataset.summary().unwrap();
    assert!(
        line.starts_with("23 files: 9 images (test 2, train 7); left out: 4 system clutter, ")
            && line.contains("2 .heic"),
        "{line}"
    );
    let notes = dataset.notes().unwrap().join("\n");
    for words in [
        "not read are left out: 2 .heic; convert",
        "folders without images are no class: `train/docs (1 .md)`",
        "images beside the class folders are left out: `train/stray.png`",
        "images in folders of class folders count too: `train/a/deep`",
        "1 empty (train/empty)",
        "1 run folder of fvtool (run)",
        "__MACOSX",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    // Nothing of it depends on the place, nor on what a run folder holds.
    let (before, line) = (files.clone(), line);
    put(root.path(), "run/explain/test/heatmaps/a/2.png", "");
    let again = open(root.path()).unwrap();
    assert_eq!((again.split("train").unwrap().files, again.summary().unwrap()), (before, line));
}

#[test]
fn a_devkit_accounts_for_every_file_too() {
    let root = folder(&[
        "VOC/JPEGImages/1.jpg",
        "VOC/JPEGImages/2.jpg",
        "VOC/JPEGImages/2.png",
        "VOC/JPEGImages/3.jpg",
        "VOC/JPEGImages/4.heic",
        "VOC/JPEGImages/more/5.jpg",
        "VOC/ImageSets/Layout/train.txt",
        "VOC/SegmentationClass/1.png",
        "VOC/.DS_Store",
        "VOC/notes.md",
        "README.md",
        "pictures/9.jpg",
        "empty/",
    ]);
    for (path, text) in [
        ("VOC/ImageSets/Main/train.txt", "1\n7\n"),
        ("VOC/ImageSets/Main/test.txt", "2\n"),
        ("VOC/ImageSets/Main/x_train.txt", "1 1\n7 -1\n"),
        ("VOC/ImageSets/Main/x_test.txt", "2 1\n"),
        ("VOC/Annotations/1.xml", "<annotation/>"),
        ("VOC/Annotations/3.xml", "<annotation/>"),
    ] {
        put(root.path(), path, text);
    }
    let dataset = open(root.path()).unwrap();
    let train = dataset.split("train").unwrap();
    // 7 is not there.
    assert_eq!((train.items.len(), train.files.used, train.files.other_splits), (2, 1, 1));
    assert_eq!(train.files.lists, 5);
    assert_adds_up(&train.files, files_in(root.path()));
    let reasons: BTreeSet<&str> = train.files.left_out.iter().map(|l| l.reason.as_str()).collect();
    let expected = [
        ".heic",
        ".md",
        "annotations of no listed image",
        "hidden",
        "images beside one of the same name",
        "images in no list",
        "in ImageSets/Layout",
        "in JPEGImages/more",
        "in SegmentationClass",
        "outside the PASCAL VOC folder",
    ];
    assert_eq!(reasons, expected.into());
    let line = dataset.summary().unwrap();
    assert!(line.contains("2 images (test 1, train 1), 5 lists and annotations"), "{line}");
}

#[test]
fn an_image_without_an_ending_is_found_by_its_id() {
    let root = folder(&["JPEGImages/2.jpg"]);
    for (path, text) in [
        ("JPEGImages/1", &b"\xFF\xD8\xFF\xE0"[..]),
        ("JPEGImages/2", b"\xFF\xD8\xFF\xE0"),
        ("JPEGImages/3", b"a text"),
        ("ImageSets/Main/all.txt", b"1\n2\n3\n"),
        ("ImageSets/Main/x_all.txt", b"1 1\n2 -1\n3 1\n"),
    ] {
        put(root.path(), path, text);
    }
    let split = open(root.path()).unwrap().split("all").unwrap();
    let images = root.path().join("JPEGImages");
    let paths: Vec<&Path> = split.items.iter().map(|item| item.path.as_path()).collect();
    assert_eq!(paths, ["1", "2.jpg", "3.jpg"].map(|name| images.join(name)));
    assert_adds_up(&split.files, files_in(root.path()));
    assert_eq!(split.files.used, 2);
}

#[cfg(unix)]
#[test]
fn links_end_wherever_they_lead() {
    use std::os::unix::fs::symlink;
    let root = folder(&["a/1.jpg", "b/2.jpg"]);
    let place = root.path();
    symlink("..", place.join("a/up")).unwrap();
    symlink("../b", place.join("a/other")).unwrap();
    symlink("../a", place.join("b/other")).unwrap();
    let dataset = open(place).unwrap();
    assert_eq!(dataset.classes(), ["a", "b"]);
    let files = dataset.split("train").unwrap().files;
    // Each sees the images of the other one once.
    assert_eq!(files.used + files.other_splits, 4);
    assert!(files.passed_over.iter().any(|f| f.reason == "link to a folder above it"), "{files:?}");
    // Two links in every folder to the next: 2^20 ways.
    for i in 0..20 {
        for name in ["x", "y"] {
            fs::create_dir_all(place.join(format!("l{i}"))).unwrap();
            symlink(format!("../l{}", i + 1), place.join(format!("l{i}/{name}"))).unwrap();
        }
    }
    put(place, "l20/3.jpg", "");
    assert!(open(place).is_ok());
    // Linked images and folders are taken as such.
    let linked = folder(&["train/a/1.jpg", "train/b/2.jpg"]);
    symlink("train", linked.path().join("test")).unwrap();
    symlink("../b/2.jpg", linked.path().join("train/a/3.jpg")).unwrap();
    assert_eq!(read(linked.path(), &Params::default()).len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn odd_file_names_stay_apart_and_hidden_ones_hidden() {
    use std::os::unix::ffi::OsStrExt;
    let root = folder(&["a/caf\\xE9.jpg", "a/x\n.jpg", "b/1.jpg"]);
    for name in [&b".h\xe9.png"[..], b"caf\xe9.jpg"] {
        put(root.path(), Path::new("a").join(std::ffi::OsStr::from_bytes(name)), "");
    }
    let ids: BTreeSet<String> =
        read(root.path(), &Params::default()).into_iter().flat_map(|(_, ids)| ids).collect();
    let expected = ["a/caf\\xE9", "a/\\caf\\xE9", "a/x\n", "b/1"].map(str::to_owned);
    assert_eq!(ids, expected.into());
    let files = open(root.path()).unwrap().split("train").unwrap().files;
    assert_eq!(files.left_out[0].reason, "hidden");
    assert_eq!(files.left_out[0].examples, ["a/.h\\xE9.png"]);
}

/// `<class>/*` with these images of each class.
fn classes(of: &[(&str, std::ops::Range<usize>)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (class, range) in of {
        range.clone().for_each(|i| put(root.path(), format!("{class}/{i:03}.jpg"), ""));
    }
    root
}

fn division(root: &TempDir, seed: u64, train_fraction: f64) -> [BTreeSet<String>; 2] {
    let params = Params { train_fraction, ..Params::default() };
    let dataset = Dataset::open(root.path(), &params, Seed(seed)).unwrap();
    ["train", "test"].map(|name| {
        let items = dataset.split(name).map(|split| split.items).unwrap_or_default();
        items.into_iter().map(|item| item.id).collect()
    })
}

#[test]
fn every_image_is_drawn_by_itself() {
    let root = classes(&[("b", 0..400), ("a", 0..90)]);
    let [train, test] = division(&root, 7, 0.3);
    assert_eq!((train.len() + test.len(), train.intersection(&test).count()), (490, 0));
    // 490 · 0.3 = 147, standard deviation 10: four of them allowed.
    assert!((107..=187).contains(&train.len()), "{}", train.len());
    assert_eq!(division(&root, 7, 0.3), [train.clone(), test.clone()]);
    assert_ne!(division(&root, 8, 0.3)[0], train);
    // A larger share takes images over and gives none back.
    assert!(division(&root, 7, 0.6)[0].is_superset(&train));

    // Images that are added or removed, another class, another ending: no other image moves.
    put(root.path(), "a/003.png", "");
    put(root.path(), "b/deep/er.jpg", "");
    put(root.path(), "aa/000.jpg", "");
    (400..500).for_each(|i| put(root.path(), format!("b/{i}.jpg"), ""));
    (0..50).for_each(|i| fs::remove_file(root.path().join(format!("b/{i:03}.jpg"))).unwrap());
    let [more_train, more_test] = division(&root, 7, 0.3);
    // The two of one name have their endings now.
    let kept = |ids: &BTreeSet<String>| -> BTreeSet<String> {
        let gone = |id: &String| id.starts_with("b/0") && id < &"b/050".to_owned() || id == "a/003";
        ids.iter().filter(|id| !gone(id)).cloned().collect()
    };
    assert!(more_train.is_superset(&kept(&train)) && more_test.is_superset(&kept(&test)));
    let was_trained = train.contains("a/003");
    assert_eq!(more_train.contains("a/003.jpg"), was_trained);
}

/// Both sides get an image of every class that has two, and a note names the one that went over.
#[test]
fn tiny_classes_are_on_both_sides() {
    let root = classes(&[("a", 0..2), ("b", 0..1), ("c", 0..3)]);
    for fraction in [0.001, 0.999] {
        let [train, test] = division(&root, 1, fraction);
        for class in ["a/", "c/"] {
            for side in [&train, &test] {
                assert!(side.iter().any(|id| id.starts_with(class)), "{class} {side:?}");
            }
        }
        assert!(train.contains("b/000"), "a single image trains");
        let params = Params { train_fraction: fraction, ..Params::default() };
        let dataset = Dataset::open(root.path(), &params, Seed(1)).unwrap();
        let notes = dataset.notes().unwrap().join("\n");
        let side = if fraction < 0.5 { "to train" } else { "to test" };
        for words in [
            "no split folders: each image is drawn by itself",
            "fell on one side",
            side,
            "split `test` has no image of class `b`",
        ] {
            assert!(notes.contains(words), "{words}: {notes}");
        }
        let sizes = format!("{} in `train`, {} in `test`", train.len(), test.len());
        assert!(notes.contains(&sizes), "{notes}");
    }
}

#[test]
fn settings_without_effect_and_splits_that_are_not_there_are_said() {
    let root = folder(&["Train/a/1.jpg", "Train/b/1.jpg", "valid/a/2.jpg", "valid/b/2.jpg"]);
    let params = Params { train_fraction: 0.8, ..Params::default() };
    let dataset = Dataset::open(root.path(), &params, Seed(1)).unwrap();
    let notes = dataset.notes().unwrap();
    assert!(
        notes.iter().any(|n| n.contains("data.train_fraction = 0.8 has no effect")),
        "{notes:?}"
    );
    assert_eq!(open(root.path()).unwrap().notes().unwrap(), [] as [&str; 0]);
    for (asked, near) in [("train", "`Train`"), ("val", "`valid`"), ("vaild", "`valid`")] {
        let text = dataset.split(asked).unwrap_err().to_string();
        assert!(text.contains(&format!("no split `{asked}`; there are: ")), "{text}");
        assert!(text.ends_with(&format!("; did you mean {near}?")), "{text}");
    }
    // A class taken for a split, and splits that may be classes.
    for (names, asked, words) in [
        (&["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"][..], "a", "`a` is a class here"),
        (&["x/a/1.jpg", "x/b/1.jpg", "y/a/1.jpg", "y/b/1.jpg"], "train", "data.layout=classes"),
        (&["imgs/a/1.jpg", "imgs/b/1.jpg"], "train", "divided, give"),
    ] {
        let text = open(folder(names).path()).unwrap().split(asked).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_classifier_of_one_class_is_refused_before_work() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for i in 0..4 {
        put(&data, format!("train/a/{i}.jpg"), b"never read");
        put(&data, format!("test/a/{i}.jpg"), b"never read");
        put(&data, format!("test/b/{i}.jpg"), b"never read");
    }
    let run = folder.path().join("run");
    let check = |train| Run::check_data(&run, &options(&[]), &data, &["train", "test"], train);
    check(None).unwrap();
    let text = refusal(check(Some("train")));
    assert!(text.contains("split `train`") && text.contains("one class, `a`"), "{text}");
    assert!(!run.exists());
    check(Some("test")).unwrap();
    let text = refusal(open_run(&run, &[]).run_all(&data, "train", "test"));
    assert!(text.contains("one class, `a`"), "{text}");
    assert!(!run.join("descriptors").exists());
}

/// A run folder among the data is passed over; one that is the data folder is refused.
#[test]
fn a_run_folder_may_lie_in_the_data() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for (split, first) in [("train", 1), ("test", 25)] {
        for i in 0..12 {
            let image = fixture().data.join(format!("JPEGImages/{:06}.jpg", first + i));
            put(&data, format!("{split}/{}/{i}.jpg", ["a", "b"][i % 2]), fs::read(image).unwrap());
        }
    }
    let listener = Listener::new(usize::MAX);
    let run = data.join("train/run");
    let opened = Run::open(&run, &options(&["gmm.components=4"]), &listener).unwrap();
    let (train, _) = opened.run_all(&data, "train", "test").unwrap();
    assert_eq!(train.files.passed_over[0].reason, "run folder of fvtool");
    assert!(listener.heard(&["data: ", "files: ", "nothing left out"]));
    assert!(listener.heard(&["passed over", "1 run folder of fvtool (train/run)"]));
    assert_eq!(opened.index("train").unwrap().files, train.files);
    let (again, evaluated) = opened.run_all(&data, "train", "test").unwrap();
    assert!(!evaluated.made && !again.stamp.made);
    drop(opened);
    let text = refusal(open(&run));
    assert!(text.contains("run folder of fvtool"), "{text}");
    let before = crate::support::files_below(&data).len();
    let text = refusal(fvtool::pipeline::require_apart(&data, &data.join("train/..")));
    assert!(text.contains("both the data folder and the run folder"), "{text}");
    assert_eq!(crate::support::files_below(&data).len(), before);
    assert!(fvtool::pipeline::require_apart(&run, &data).is_ok());
}
