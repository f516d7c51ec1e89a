//! Data folders as users have them, whole and broken.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use fvtool::dataset::{Dataset, IMAGE_ENDINGS, Label, Layout, Params, Split};
use fvtool::random::Seed;
use tempfile::TempDir;

use Label::{Ignored, No, Yes};

/// A temporary folder with the given files; an empty content makes an empty file.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, content) in files {
        put(root.path(), path, content);
    }
    root
}

#[allow(clippy::disallowed_methods, reason = "a fixture, not an artifact")]
fn put(root: &Path, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn open(root: &Path) -> fvtool::Result<Dataset> {
    Dataset::open(root, &Params::default(), Seed(1))
}

fn split(root: &Path, name: &str) -> Split {
    open(root).unwrap().split(name).unwrap()
}

/// The message for the first thing that goes wrong with a split, below the root's path.
fn failure(root: &Path, name: &str) -> String {
    let error = match open(root) {
        Ok(dataset) => dataset.split(name).unwrap_err(),
        Err(error) => error,
    };
    error.to_string().replace(&format!("{}/", root.display()), "")
}

fn ids(split: &Split) -> Vec<&str> {
    split.items.iter().map(|item| item.id.as_str()).collect()
}

fn object(class: &str, difficult: bool, [l, t, r, b]: [u32; 4]) -> String {
    format!(
        "<object><name>{class}</name><pose>Left</pose><difficult>{}</difficult><bndbox>\
         <xmin>{l}</xmin><ymin>{t}</ymin><xmax>{r}</xmax><ymax>{b}</ymax></bndbox></object>",
        u8::from(difficult)
    )
}

fn annotation(objects: &[String]) -> String {
    format!("\u{feff}<?xml version=\"1.0\"?>\n<annotation>{}</annotation>\n", objects.concat())
}

/// Three images, classes `dog` and `train`, splits `devtrain` (three) and `train` (two).
fn devkit() -> TempDir {
    let root = folder(&[
        ("ImageSets/Main/devtrain.txt", "\u{feff}000012\r\n\r\n000017\r\n000023\r\n"),
        ("ImageSets/Main/train.txt", "000012\n000023"),
        // As VOC2007 writes them: two places for the label.
        ("ImageSets/Main/dog_devtrain.txt", "000012  1\r\n000017 -1\r\n000023  0\r\n"),
        ("ImageSets/Main/train_devtrain.txt", "000023 -1\n\n  000012\t1\n000017    -1\n"),
        ("ImageSets/Main/dog_train.txt", "000012  1\n000023  0\n"),
        ("ImageSets/Main/train_train.txt", "000012 1\n000023 -1\n"),
        ("ImageSets/Main/notes.md", "no list"),
        ("ImageSets/Main/.hidden.txt", "no list"),
        ("JPEGImages/000012.jpg", ""),
        ("JPEGImages/000012.png", ""),
        ("JPEGImages/000017.PNG", ""),
        ("JPEGImages/000017.txt", ""),
    ]);
    let objects = [object("dog", false, [1, 2, 30, 40]), object("train", true, [5, 5, 5, 5])];
    put(root.path(), "Annotations/000012.xml", annotation(&objects));
    // A class that no list names, and no file at all for 000017.
    let objects = [object("cat", false, [1, 1, 2, 2]), object("dog", true, [3, 4, 5, 6])];
    put(root.path(), "Annotations/000023.xml", annotation(&objects));
    root
}

#[test]
fn a_devkit_opens_with_labels_objects_and_images() {
    let root = devkit();
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.layout(), Layout::Voc);
    assert_eq!(dataset.root(), root.path());
    assert_eq!(dataset.classes(), ["dog", "train"]);
    assert_eq!(dataset.splits(), ["devtrain", "train"]);

    let split = dataset.split("devtrain").unwrap();
    assert_eq!((split.name.as_str(), split.single_label), ("devtrain", false));
    assert_eq!(split.classes, dataset.classes());
    assert_eq!(ids(&split), ["000012", "000017", "000023"]);
    assert_eq!(split.labels, [[Yes, Yes], [No, No], [Ignored, No]]);
    let images = root.path().join("JPEGImages");
    let paths: Vec<&PathBuf> = split.items.iter().map(|item| &item.path).collect();
    // The preferred ending; any case; the path that a missing image should have.
    let expected = ["000012.jpg", "000017.PNG", "000023.jpg"].map(|name| images.join(name));
    assert_eq!(paths, expected.iter().collect::<Vec<_>>());

    let [dog, train] = &split.items[0].objects[..] else { panic!("two objects") };
    assert_eq!((dog.class, dog.bounds, dog.difficult), (0, [0.0, 1.0, 29.0, 39.0], false));
    assert_eq!((train.class, train.bounds, train.difficult), (1, [4.0; 4], true));
    assert_eq!(split.items[1].objects, []);
    assert_eq!(split.items[2].objects.len(), 1, "an object of an unlisted class is left out");

    let train = dataset.split("train").unwrap();
    assert_eq!(train.labels, [[Yes, Yes], [Ignored, No]]);
}

#[test]
fn labels_come_from_annotations_where_a_list_is_missing() {
    let root = devkit();
    std::fs::remove_file(root.path().join("ImageSets/Main/dog_train.txt")).unwrap();
    assert_eq!(split(root.path(), "train").labels, [[Yes, Yes], [Ignored, No]]);
    // No annotation tells whether 000017 shows a dog.
    std::fs::remove_file(root.path().join("ImageSets/Main/dog_devtrain.txt")).unwrap();
    for class in ["train_train", "train_devtrain"] {
        std::fs::remove_file(root.path().join(format!("ImageSets/Main/{class}.txt"))).unwrap();
    }
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.classes(), ["cat", "dog", "train"], "now all objects count");
    assert_eq!(dataset.split("train").unwrap().labels, [[No, Yes, Ignored], [Yes, Ignored, No]]);
    let message = failure(root.path(), "devtrain");
    assert!(
        message.starts_with(
            "ImageSets/Main/devtrain.txt:3: nothing says whether `000017` shows `cat`: there is \
             neither cat_devtrain.txt nor Annotations/000017.xml"
        ),
        "{message}"
    );
}

/// One change to a whole devkit, and the message that it must give for split `train`.
#[test]
fn every_broken_list_names_file_and_line() {
    let main = "ImageSets/Main";
    let cases: &[(&str, &str, &str)] = &[
        (
            "train.txt",
            "000012\n\n000012\n000023",
            "train.txt:3: `000012` appears again, first in line 1",
        ),
        ("train.txt", "000012\n../secret\n", "train.txt:2: `../secret` is not an image id"),
        ("train.txt", "000012\n..\n", "train.txt:2: `..` is not an image id"),
        ("train.txt", "/etc/passwd\n", "train.txt:1: `/etc/passwd` is not an image id"),
        ("train.txt", "a\\b\n", "train.txt:1: `a\\\\b` is not an image id"),
        ("train.txt", "a\0b\n", "train.txt:1: `a\\0b` is not an image id"),
        ("train.txt", "000012\n000023 1\n", "train.txt:2: expected one image id, got 2 fields"),
        ("train.txt", " \r\n\n", "train.txt: the list is empty"),
        (
            "train.txt",
            "000012\n000023\n000017\n",
            "train.txt:3: `000017` has no label in dog_train.txt",
        ),
        (
            "dog_train.txt",
            "000012 1\n000023 2\n",
            "dog_train.txt:2: the label of `000023` is `2`; write 1",
        ),
        (
            "dog_train.txt",
            "000012 1\n000023 +1\n",
            "dog_train.txt:2: the label of `000023` is `+1`",
        ),
        (
            "dog_train.txt",
            "000012 1\n000023\n",
            "dog_train.txt:2: expected an image id and a label",
        ),
        (
            "dog_train.txt",
            "000012 1 1\n000023 1\n",
            "dog_train.txt:1: expected an image id and a label",
        ),
        ("dog_train.txt", "000012 1\n000099 1\n", "dog_train.txt:2: `000099` is not in train.txt"),
        (
            "dog_train.txt",
            "000012 1\n000023 1\n000012 1\n",
            "dog_train.txt:3: `000012` appears again, first in line 1",
        ),
        ("dog_train.txt", "000012 1\n", "train.txt:2: `000023` has no label in dog_train.txt"),
        ("dog_train.txt", "", "train.txt:1: `000012` has no label in dog_train.txt"),
    ];
    for (file, content, expected) in cases {
        let root = devkit();
        put(root.path(), format!("{main}/{file}"), content);
        let message = failure(root.path(), "train");
        assert!(message.starts_with(&format!("{main}/{expected}")), "{message}");
    }
    let root = devkit();
    put(root.path(), format!("{main}/train.txt"), b"000012\n\xff\xfe\n");
    let message = failure(root.path(), "train");
    assert!(message.starts_with(&format!("{main}/train.txt:2: not UTF-8 text")), "{message}");
}

#[test]
fn a_broken_annotation_names_file_and_line() {
    let root = devkit();
    put(root.path(), "Annotations/000023.xml", "<annotation>\n<object>\n</annotation>");
    let message = failure(root.path(), "train");
    assert!(message.starts_with("Annotations/000023.xml:3: not well-formed XML"), "{message}");
    put(root.path(), "Annotations/000023.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>");
    let message = failure(root.path(), "train");
    assert!(message.starts_with("Annotations/000023.xml: has a DTD"), "{message}");
}

#[test]
fn an_unknown_split_lists_those_that_exist() {
    let root = devkit();
    let message = open(root.path()).unwrap().split("val").unwrap_err().to_string();
    assert!(message.ends_with("no split `val`; there are: devtrain, train"), "{message}");
    put(root.path(), "ImageSets/Main/dog_val.txt", "000012 1\n");
    let message = open(root.path()).unwrap().split("val").unwrap_err().to_string();
    assert!(
        message.ends_with("dog_val.txt is there, but val.txt is not: write it, one id per line")
    );
    let message = open(root.path()).unwrap().split("../train").unwrap_err().to_string();
    assert!(message.contains("no split `../train`"), "{message}");
}

#[test]
fn class_and_split_names_may_hold_underscores() {
    let root = folder(&[
        ("ImageSets/Main/train.txt", "a\nb\n"),
        ("ImageSets/Main/train_small.txt", "a\n"),
        ("ImageSets/Main/small.txt", "b\n"),
        ("ImageSets/Main/traffic_light_train.txt", "a 1\nb -1\n"),
        ("ImageSets/Main/traffic_light_train_small.txt", "a 1\n"),
        ("ImageSets/Main/traffic_light_small.txt", "b -1\n"),
    ]);
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.classes(), ["traffic_light"]);
    assert_eq!(dataset.splits(), ["small", "train", "train_small"]);
    // Without an image of the class a split still opens.
    assert_eq!(dataset.split("small").unwrap().labels, [[No]]);
}

#[test]
fn the_devkit_is_found_from_above() {
    let lists = [("ImageSets/Main/train.txt", "a\n"), ("ImageSets/Main/x_train.txt", "a 1\n")];
    let below = |places: &[&str]| {
        let root = TempDir::new().unwrap();
        for place in places {
            for (path, content) in lists {
                put(root.path(), format!("{place}/{path}"), content);
            }
        }
        root
    };
    for found in ["VOCdevkit/VOC2007", "VOCdevkit/mine", "VOC2007", "mine"] {
        let root = below(&[found]);
        let dataset = open(root.path()).unwrap();
        assert_eq!(dataset.root(), root.path().join(found));
        let notes = dataset.notes().unwrap();
        assert!(notes[0].contains("PASCAL VOC folder") && notes[0].contains(found), "{notes:?}");
    }
    // Which of several is meant nobody can know.
    for places in [
        ["VOCdevkit/VOC2007", "VOCdevkit/VOC2012"],
        ["VOC2007", "VOC2012"],
        ["VOCdevkit/VOC2007", "VOC2007"],
    ] {
        let message = failure(below(&places).path(), "train");
        let [one, other] = places;
        assert!(
            message
                .contains(&format!("holds several PASCAL VOC folders; give one of {one}, {other}")),
            "{message}"
        );
    }
    // As two archives unpack, each into a folder of its own.
    let root = below(&["trainval/VOCdevkit/VOC2007", "test/VOCdevkit/VOC2007"]);
    let message = failure(root.path(), "train");
    assert!(
        message.contains("trainval/VOCdevkit/VOC2007`") && message.contains("one of"),
        "{message}"
    );
}

#[test]
fn what_is_no_data_set_says_what_was_looked_for() {
    let voc = Params { layout: Layout::Voc, ..Params::default() };
    let folders = Params { layout: Layout::Folders, ..Params::default() };
    let empty = TempDir::new().unwrap();
    let message = |root: &Path, params: &Params| {
        Dataset::open(root, params, Seed(1)).unwrap_err().to_string()
    };
    let auto = message(empty.path(), &Params::default());
    assert!(
        auto.contains("ImageSets/Main or JPEGImages") && auto.contains("<split>/<class>"),
        "{auto}"
    );
    assert!(message(empty.path(), &voc).contains("not a PASCAL VOC folder: looked for"));
    let text = message(empty.path(), &folders);
    assert!(text.contains("<class>/<image>") && !text.contains("ImageSets"), "{text}");
    assert!(message(Path::new("/no/such"), &voc).contains("/no/such: no such folder"));

    let images = folder(&[("JPEGImages/a.jpg", "")]);
    assert!(message(images.path(), &voc).contains("ImageSets/Main: no such folder"));
    put(images.path(), "ImageSets/Main/readme.md", "");
    assert!(message(images.path(), &voc).contains("no split found"));
    put(images.path(), "ImageSets/Main/train.txt", "a\n");
    assert!(message(images.path(), &voc).contains("no class found"));
    let wrong = Params { train_fraction: f64::NAN, ..Params::default() };
    assert!(message(empty.path(), &wrong).contains("`data.train_fraction` is NaN"));
}

#[test]
fn split_folders_give_splits_and_the_union_of_classes() {
    let root = folder(&[
        ("train/cat/1.jpg", ""),
        ("train/cat/1.PNG", ""),
        ("train/cat/2.jpeg", ""),
        ("train/cat/.3.jpg", ""),
        ("train/cat/notes.txt", ""),
        ("train/dog/9.tif", ""),
        ("test/cat/4.jpg", ""),
        ("test/cow/2.jpg", ""),
        ("test/dog/9.jpg", ""),
        (".git/x/1.jpg", ""),
        ("README.txt", ""),
    ]);
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.layout(), Layout::Folders);
    assert_eq!(dataset.classes(), ["cat", "cow", "dog"]);
    assert_eq!(dataset.splits(), ["test", "train"]);
    let train = dataset.split("train").unwrap();
    assert!(train.single_label);
    // `9` is another file in each split, so its ids say which.
    assert_eq!(ids(&train), ["cat/1.PNG", "cat/1.jpg", "cat/2", "train/dog/9"]);
    assert_eq!(train.labels[3], [No, No, Yes]);
    assert_eq!(train.items[3].path, root.path().join("train/dog/9.tif"));
    let test = dataset.split("test").unwrap();
    assert_eq!(ids(&test), ["cat/4", "cow/2", "test/dog/9"]);
    assert_eq!(test.labels, [[Yes, No, No], [No, Yes, No], [No, No, Yes]]);
    let message = dataset.split("val").unwrap_err().to_string();
    assert!(message.ends_with("no split `val`; there are: test, train"), "{message}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_end() {
    use std::os::unix::fs::symlink;
    let root = folder(&[("a/1.jpg", ""), ("b/2.jpg", ""), ("elsewhere/.keep", "")]);
    let class = folder(&[("3.jpg", "")]);
    std::fs::remove_dir_all(root.path().join("elsewhere")).unwrap();
    symlink(class.path(), root.path().join("c")).unwrap();
    symlink(root.path().join("a"), root.path().join("a/again")).unwrap_or(());
    symlink("nowhere.jpg", root.path().join("b/gone.jpg")).unwrap();
    // `a/again` leads back to `a`, whose images are there already.
    assert_eq!(open(root.path()).unwrap().classes(), ["a", "b", "c"]);
    std::fs::remove_file(root.path().join("a/again")).unwrap();
    symlink("loop", root.path().join("loop")).unwrap();
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.classes(), ["a", "b", "c"]);
    let all: usize = dataset.splits().iter().map(|s| dataset.split(s).unwrap().items.len()).sum();
    assert_eq!(all, 4, "a link that leads nowhere stays, to be reported when it is read");
}

#[test]
fn every_ending_is_one_that_can_be_decoded() {
    for ending in IMAGE_ENDINGS {
        // The old short form, which `image` does not know.
        let known = if *ending == "jpe" { "jpeg" } else { ending };
        let format = image::ImageFormat::from_extension(known);
        assert!(format.is_some_and(|format| format.reading_enabled()), "{ending}");
    }
}

#[test]
fn auto_takes_voc_before_folders_and_can_be_overruled() {
    let root = devkit();
    put(root.path(), "class/a.jpg", "");
    assert_eq!(open(root.path()).unwrap().layout(), Layout::Voc);
    let params = Params { layout: Layout::Folders, ..Params::default() };
    let root = folder(&[("JPEGImages/1.jpg", ""), ("JPEGImages/2.jpg", ""), ("other/1.jpg", "")]);
    let dataset = Dataset::open(root.path(), &params, Seed(1)).unwrap();
    assert_eq!(dataset.classes(), ["JPEGImages", "other"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    /// Order, white space and line ends of a class list mean nothing.
    #[test]
    fn a_class_list_may_be_written_in_any_way(
        labels in proptest::collection::vec(0..3_usize, 1..20),
        seed in 0..1000_u64,
        space in "[ \t]{1,3}",
        end in "\r?\n( *\n)?",
    ) {
        let ids: Vec<String> = (0..labels.len()).map(|i| format!("im{i}")).collect();
        let mut order: Vec<usize> = (0..labels.len()).collect();
        Seed(seed).stream("order", 0).shuffle(&mut order);
        let line = |&i: &usize| format!("{space}{}{space}{}{end}", ids[i], ["1", "0", "-1"][labels[i]]);
        let list: String = order.iter().map(line).collect();
        let root = folder(&[
            ("ImageSets/Main/train.txt", &ids.join(&end)),
            ("ImageSets/Main/x_train.txt", &list),
        ]);
        let expected: Vec<Vec<Label>> =
            labels.iter().map(|&l| vec![[Yes, Ignored, No][l]]).collect();
        proptest::prop_assert_eq!(split(root.path(), "train").labels, expected);
    }
}
