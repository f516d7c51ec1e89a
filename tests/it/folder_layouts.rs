//! Layouts of class folders as users have them: which are read, how, and which are refused.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use fvtool::dataset::{Dataset, Layout, Params};
use fvtool::random::Seed;

use crate::folders::{assert_adds_up, files_in, folder, open, read};

/// The message of a refusal, without the path of the root.
fn refused(names: &[&str]) -> String {
    let root = folder(names);
    let error = open(root.path()).map(|set| (set.splits(), set.classes().to_vec()));
    let text = error.expect_err(&format!("{names:?} is taken")).to_string();
    text.replace(&format!("{}/", root.path().display()), "")
}

/// Split folders: what lies in them, and the ids of each split.
#[test]
fn split_folders_are_known_by_names_or_by_their_classes() {
    type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c [&'c str])]);
    let cases: &[Case<'_>] = &[
        // Names of splits, in any case and with what else data sets write around them.
        (
            &["Train/a/1.JPG", "Train/b/2.JPEG", "Validation/a/3.TIF", "Validation/b/4.PNG"],
            &[("Train", &["a/1", "b/2"]), ("Validation", &["a/3", "b/4"])],
        ),
        (
            &["train_images/a/1.jpg", "train_images/b/2.jpg", "test2017/a/3.jpg"],
            &[("test2017", &["a/3"]), ("train_images", &["a/1", "b/2"])],
        ),
        // Other names, by the same classes; one may lack some.
        (
            &["one/a/1.jpg", "one/b/2.jpg", "one.json/a/3.jpg"],
            &[("one", &["a/1", "b/2"]), ("one.json", &["a/3"])],
        ),
        // A third one beside known ones.
        (
            &["train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "mine/a/4.jpg", "mine/c/5.jpg"],
            &[("mine", &["a/4", "c/5"]), ("test", &["a/3"]), ("train", &["a/1", "b/2"])],
        ),
        // A single one, of any name.
        (&["all/a/1.jpg", "all/b/2.jpg"], &[("all", &["a/1", "b/2"])]),
        // Classes to any depth.
        (
            &["train/a/1.jpg", "train/a/x/y/1.jpg", "train/b/x/2.jpg", "test/b/3.jpg"],
            &[("test", &["b/3"]), ("train", &["a/1", "a/x/y/1", "b/x/2"])],
        ),
        // An archive in a folder of its own, and unpacked twice; images beside the class folders.
        (
            &["set/set/train/a/1.jpg", "set/set/train/b/2.jpg", "set/set/test/a/3.jpg", "0.jpg"],
            &[("test", &["a/3"]), ("train", &["a/1", "b/2"])],
        ),
        (
            &["my_train/my_train/a/1.jpg", "my_train/my_train/b/1.jpg", "my_test/my_test/a/3.jpg"],
            &[("my_test", &["a/3"]), ("my_train", &["a/1", "b/1"])],
        ),
        (
            &["train/a/1.jpg", "train/b/2.jpg", "train/stray.jpg", "test/b/3.jpg", "x.jpg"],
            &[("test", &["b/3"]), ("train", &["a/1", "b/2"])],
        ),
        // A class that is called as another split is: an id still means one file.
        (
            &["train/a/1.jpg", "train/test/a/1.jpg", "test/a/1.jpg", "test/b/1.jpg"],
            &[("test", &["test/a/1", "b/1"]), ("train", &["train/a/1", "test/a/1"])],
        ),
    ];
    for (names, expected) in cases {
        let root = folder(names);
        let splits = read(root.path(), &Params::default());
        let ids: Vec<&String> = splits.iter().flat_map(|(_, ids)| ids).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{names:?}");
        let found: Vec<&str> = splits.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{names:?}");
        for ((_, ids), (split, expected)) in splits.iter().zip(*expected) {
            let whole: Vec<String> = expected.iter().map(|id| (*id).to_owned()).collect();
            // With a clash all ids have their split.
            let prefixed: Vec<String> = expected.iter().map(|id| format!("{split}/{id}")).collect();
            let clash = names.contains(&"train/test/a/1.jpg");
            assert!(
                *ids == whole || clash && ids.iter().all(|id| id.starts_with(split)),
                "{ids:?} {prefixed:?}"
            );
        }
        let any = open(root.path()).unwrap().split(&splits[0].0).unwrap();
        assert_adds_up(&any.files, files_in(root.path()));
    }
}

/// Class folders without splits: what lies in them, and the classes.
#[test]
fn class_folders_are_read_to_any_depth() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["a/1.jpg", "b/1.jpg", "README.md", "labels.csv", "x.jpg"], &["a", "b"]),
        (&["a/1.jpg", "a/2024/1.jpg", "a/2024/05/2.jpg", "b/1.jpg"], &["a", "b"]),
        // No image of its own, beside one that has.
        (&["a/1.jpg", "b/2023/1.jpg", "b/2024/1.jpg"], &["a", "b"]),
        // None has any: what they hold is called differently, or the same in all.
        (&["a/2023/1.jpg", "b/2024/1.jpg"], &["a", "b"]),
        (&["a/images/1.jpg", "b/images/1.jpg"], &["a", "b"]),
        (&["a/a/1.jpg", "b/b/1.jpg"], &["a", "b"]),
        // The vehicle.
        (&["car/1.jpg", "train/1.jpg", "bus/1.jpg"], &["bus", "car", "train"]),
        (&["A/1.jpg", "a/1.jpg", "b/1.jpg"], &["A", "a", "b"]),
    ];
    for (names, classes) in cases {
        let root = folder(names);
        let dataset = open(root.path()).unwrap();
        assert_eq!(dataset.classes(), *classes, "{names:?}");
        let images: usize =
            dataset.splits().iter().map(|name| dataset.split(name).unwrap().items.len()).sum();
        let beside = names.iter().filter(|name| !name.contains('/')).count();
        assert_eq!(images, names.len() - beside, "{names:?}");
        assert_adds_up(&dataset.split("train").unwrap().files, names.len());
    }
    // Ids have the way to the file, and keep the endings that tell them apart.
    let root = folder(&["a/1.jpg", "a/1.png", "a/b/1.jpg", "a/b.jpg", "a/b/c/1.jpg", "d/1.jpg"]);
    let ids: BTreeSet<String> =
        read(root.path(), &Params::default()).into_iter().flat_map(|(_, ids)| ids).collect();
    let expected = ["a/1.jpg", "a/1.png", "a/b", "a/b/1", "a/b/c/1", "d/1"].map(str::to_owned);
    assert_eq!(ids, expected.into());
}

#[test]
fn what_may_be_both_is_refused_and_the_setting_decides() {
    for names in [
        &["front/car/1.jpg", "front/bus/1.jpg", "side/car/2.jpg", "side/van/2.jpg"][..],
        &["train/a/1.jpg", "test/a/2.jpg", "copy/train/a/1.jpg", "copy/test/a/2.jpg"],
        // Is it the source, or what the folders below show?
        &["amazon/images/a/1.jpg", "amazon/images/b/2.jpg", "webcam/images/a/3.jpg"],
    ] {
        let text = refused(names);
        assert!(
            text.contains("data.layout=splits") && text.contains("data.layout=classes"),
            "{text}"
        );
        let root = folder(names);
        let params = |layout| Params { layout, ..Params::default() };
        let splits = read(root.path(), &params(Layout::Splits));
        let tops: BTreeSet<&str> =
            names.iter().map(|name| name.split('/').next().unwrap()).collect();
        let found: BTreeSet<&str> = splits.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, tops);
        let classes = Dataset::open(root.path(), &params(Layout::Classes), Seed(1)).unwrap();
        let found: BTreeSet<&str> = classes.classes().iter().map(String::as_str).collect();
        assert_eq!(found, tops);
    }
}

/// By the setting, a folder without class folders is left out in place of being refused.
#[test]
fn folders_without_class_folders_are_left_out_where_splits_are_asked_for() {
    let names = ["train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "store/4.jpg", "store/5.jpg"];
    let text = refused(&names);
    assert!(text.contains("`store`") && text.contains("data.layout=splits"), "{text}");
    let root = folder(&names);
    let params = Params { layout: Layout::Splits, ..Params::default() };
    let dataset = Dataset::open(root.path(), &params, Seed(1)).unwrap();
    assert_eq!(dataset.splits(), ["test", "train"]);
    let files = dataset.split("train").unwrap().files;
    assert_eq!((files.used, files.left_out[0].count), (2, 2));
    assert_adds_up(&files, 5);
    let notes = dataset.notes().unwrap().join("\n");
    assert!(notes.contains("`store/4.jpg`, `store/5.jpg`"), "{notes}");
    let flat = folder(&["store/4.jpg", "other/5.jpg"]);
    let text = Dataset::open(flat.path(), &params, Seed(1)).unwrap_err().to_string();
    assert!(text.contains("no class folders"), "{text}");
}

/// Layouts of other programs, and folders that fit none: what the refusal names.
#[test]
fn what_is_not_read_is_refused_by_name() {
    let cases: &[(&[&str], &[&str])] = &[
        // Roboflow's exports.
        (
            &[
                "train/1.jpg",
                "train/_annotations.coco.json",
                "test/2.jpg",
                "test/_annotations.coco.json",
            ],
            &["COCO", "_annotations.coco.json"],
        ),
        (
            &["train/1.jpg", "train/_classes.csv", "test/2.jpg", "test/_classes.csv"],
            &["table", "_classes.csv"],
        ),
        (
            &[
                "train/images/1.jpg",
                "train/labels/1.txt",
                "test/images/2.jpg",
                "test/labels/2.txt",
                "data.yaml",
            ],
            &["YOLO"],
        ),
        // YOLO otherwise.
        (&["images/1.jpg", "labels/1.txt"], &["YOLO", "labels/*.txt"]),
        (
            &["images/train/1.jpg", "images/val/2.jpg", "labels/train/1.txt", "labels/val/2.txt"],
            &["YOLO"],
        ),
        (&["1.jpg", "1.txt", "classes.txt"], &["YOLO"]),
        (&["obj_train_data/1.jpg", "obj_train_data/1.txt", "obj.names"], &["YOLO"]),
        // COCO as it is published.
        (
            &["train2017/1.jpg", "val2017/2.jpg", "annotations/instances_train2017.json"],
            &["COCO", "instances_train2017.json"],
        ),
        (&["images/1.jpg", "annotations/x.json"], &["COCO", "annotations/*.json"]),
        // Pascal VOC without its lists and with few annotations, masks.
        (
            &["images/1.jpg", "images/2.jpg", "images/3.jpg", "annotations/1.xml"],
            &["annotations/*.xml"],
        ),
        (
            &["train/images/1.jpg", "train/masks/1.png", "test/images/2.jpg", "test/masks/2.png"],
            &["masks"],
        ),
        (&["images/1.jpg", "masks/1.png"], &["masks"]),
        // Tables.
        (&["1.jpg", "2.jpg", "labels.csv"], &["table of labels (`labels.csv`)"]),
        (&["images/1.jpg", "images/2.jpg", "train.csv"], &["table of labels (`train.csv`)"]),
        (&["train/1.jpg", "test/2.jpg", "train.csv"], &["table of labels (`train.csv`)"]),
        (&["train/1.jpg", "train/metadata.csv"], &["table of labels (`metadata.csv`)"]),
        (&["1.jpg", "metadata.jsonl"], &["table of labels (`metadata.jsonl`)", "as CSV"]),
        (&["1.jpg", "ecotaxa_export.tsv"], &["EcoTaxa", "--labels"]),
        (&["1.jpg", "1.json"], &["LabelMe"]),
        // None at all.
        (&["1.jpg", "2.jpg"], &["images (2) and no class folders", "<class>/<image>"]),
        (&["train/cat.0.jpg", "test/1.jpg"], &["`test`, `train`", "no class folders"]),
        (&["train/a/1.jpg", "train/b/1.jpg", "test/2.jpg"], &["`test`", "without labels"]),
        (&["train/a/1.jpg", "cat/1.jpg"], &["`train` holds folders of images", "`cat`"]),
        (
            &["a/1.jpg", "b/2.jpg", "copy/a/1.jpg", "copy/b/2.jpg"],
            &["`copy` holds folders of images"],
        ),
        // Splits below the classes; data sets side by side.
        (
            &["a/train/1.jpg", "a/test/2.jpg", "b/train/3.jpg"],
            &["above the classes", "<split>/<class>"],
        ),
        (
            &["old/train/a/1.jpg", "old/test/a/2.jpg", "new/train/a/1.jpg", "new/test/b/2.jpg"],
            &["several data sets", "`new`, `old`"],
        ),
        // Images of kinds that are not read.
        (&["a/1.heic", "a/2.HEIC", "b/1.jpg"], &["a: no image", "2 .heic", "convert"]),
        (
            &["train/a/1.jpg", "train/b/1.cr2", "test/a/2.jpg"],
            &["train/b: no image", "1 .cr2", "convert"],
        ),
        (&["a/1.heic", "b/2.avif", "x.txt"], &["no images found", "1 .heic", "1 .avif", "convert"]),
        (
            &["a.parquet", "b/2.txt", "b/c"],
            &["no images found", "1 .parquet", "1 .txt", "1 without ending"],
        ),
        // Names that no result file can hold.
        (&["a\nb/1.jpg", "c/1.jpg"], &["a\\x0Ab", "line break", "rename"]),
        (&["train/a\r/1.jpg", "train/c/1.jpg"], &["a\\x0D", "line break"]),
        (
            &["train/Cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg"],
            &["`Cat`, `cat`", "case alone"],
        ),
    ];
    for (names, words) in cases {
        let text = refused(names);
        assert!(words.iter().all(|word| text.contains(word)), "{names:?}: {text}");
    }
}

#[test]
fn a_path_that_is_no_folder_says_what_it_is() {
    let root = folder(&["a.zip", "a.JPG", "notes", "b.tar.gz"]);
    for (name, word) in [
        ("a.zip", "unpack"),
        ("b.tar.gz", "unpack"),
        ("a.JPG", "fvtool predict"),
        ("notes", "a file"),
    ] {
        let text = open(&root.path().join(name)).unwrap_err().to_string();
        assert!(text.contains(word) && text.contains(name), "{text}");
    }
}
