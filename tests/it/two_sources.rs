//! One fact told twice, by lists and annotations or by annotations and pictures: where the two differ,
//! what is right is found, or a sentence says so.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use fvtool::dataset::{Dataset, Label, Params, Ruler, Split};
use fvtool::explain::{Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::image::Photo;
use fvtool::pipeline::Run;
use fvtool::random::Seed;
use tempfile::TempDir;

use Label::{Ignored, No, Yes};

use crate::small_run::{Listener, copy_of, fixture, options};
use crate::support::put;

/// An object with a box and whatever else.
fn object(class: &str, [l, t, r, b]: [&str; 4], more: &str) -> String {
    format!(
        "<object><name>{class}</name>{more}<bndbox><xmin>{l}</xmin><ymin>{t}</ymin><xmax>{r}</xmax>\
         <ymax>{b}</ymax></bndbox></object>"
    )
}

const BOX: [&str; 4] = ["1", "2", "30", "40"];

/// A devkit of split `train` with an annotation for each id.
fn devkit(lists: &[(&str, &str)], annotations: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (name, text) in lists {
        put(root.path(), format!("ImageSets/Main/{name}.txt"), text);
    }
    for (id, inner) in annotations {
        let text = format!("<annotation>{inner}</annotation>");
        put(root.path(), format!("Annotations/{id}.xml"), text);
        put(root.path(), format!("JPEGImages/{id}.jpg"), "");
    }
    root
}

fn split(root: &TempDir) -> Split {
    Dataset::open(root.path(), &Params::default(), Seed(1)).unwrap().split("train").unwrap()
}

/// The only note; fails with the notes when there is none or another one too.
#[track_caller]
fn note(split: &Split) -> &str {
    let [note] = &split.notes[..] else { panic!("{:?}", split.notes) };
    note
}

#[test]
fn labels_that_contradict_the_boxes_are_counted() {
    let (cat, dog) = (object("cat", BOX, ""), object("dog", BOX, ""));
    let hard = object("dog", BOX, "<difficult>1</difficult>");
    let annotations = [("a", &*cat), ("b", &*dog), ("c", &*hard), ("d", "")];
    let right = [
        ("train", "a\nb\nc\nd\n"),
        ("cat_train", "a 1\nb -1\nc -1\nd -1\n"),
        ("dog_train", "a -1\nb 1\nc 0\nd -1\n"),
    ];
    assert_eq!(split(&devkit(&right, &annotations)).notes, [""; 0]);

    let wrong = [right[0], ("cat_train", "a -1\nb -1\nc 1\nd -1\n"), right[2]];
    let found = split(&devkit(&wrong, &annotations));
    let text = note(&found);
    for words in [
        "2 labels",
        "cat 2 of 4",
        "`a` is -1 for `cat`, its annotation has an object",
        "lists are used",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(found.labels[0], [No, No]);
    let wrong = [right[0], right[1], ("dog_train", "a -1\nb 0\nc 1\nd 1\n")];
    let found = split(&devkit(&wrong, &annotations));
    assert!(note(&found).contains("dog 3 of 4"), "{:?}", found.notes);
    // What has no annotation is compared with nothing.
    let few = split(&devkit(&wrong, &annotations[..1]));
    assert_eq!(few.notes, [""; 0]);
}

/// Programs that write 0 for "not there", or commas, would otherwise train on nothing, or on another split.
#[test]
fn lists_of_another_kind_are_told() {
    let root = devkit(&[("train", "a\nb\n"), ("cat_train", "a 1\nb 0\n")], &[]);
    let found = split(&root);
    assert!(note(&found).contains("labels 0 and none of -1 in cat_train.txt"), "{:?}", found.notes);
    put(root.path(), "ImageSets/Main/cat_train.txt", "a,1\nb,-1\n");
    let dataset = Dataset::open(root.path(), &Params::default(), Seed(1)).unwrap();
    let text = dataset.split("train").unwrap_err().to_string();
    assert!(text.contains("cat_train.txt:1: expected an image id and a label"), "{text}");
}

#[test]
fn annotated_classes_that_no_list_names_are_said() {
    let all = ["bird", "bus", "cat", "cow", "dog", "fox", "owl"];
    let seven: String = all.map(|class| object(class, BOX, "")).concat();
    let two = object("bird", BOX, "") + &object("bird", BOX, "");
    let root = devkit(
        &[("train", "a\nb\n"), ("cat_train", "a 1\nb -1\n")],
        &[("a", &*seven), ("b", &*two)],
    );
    let found = split(&root);
    assert_eq!(found.classes, ["cat"]);
    let text = note(&found);
    assert!(text.contains("6 classes") && text.contains("bird in 2 images"), "{text}");
    assert!(text.contains("owl") || text.contains("and 1 more classes"), "{text}");
    // Without any list all are classes.
    fs::remove_file(root.path().join("ImageSets/Main/cat_train.txt")).unwrap();
    assert_eq!(split(&root).classes.len(), 7);
    assert_eq!(split(&root).notes, [""; 0]);
}

#[test]
fn names_truth_values_and_unread_elements() {
    let of = |more: &str| object("cat", BOX, more);
    let all = [
        of("<Difficult>1</Difficult>"),
        of("<difficult>True</difficult>"),
        of("<DIFFICULT>no</DIFFICULT>").replace("object>", "Object>").replace("name>", "NAME>"),
        of("<deleted>1</deleted><truncated>1</truncated>"),
    ];
    let ids = ["a", "b", "c", "d"];
    let annotations: Vec<(&str, &str)> = ids.into_iter().zip(all.iter().map(|a| &**a)).collect();
    let found = split(&devkit(&[("train", "a\nb\nc\nd\n")], &annotations));
    assert_eq!(found.labels, [[Ignored], [Ignored], [Yes], [Yes]]);
    assert!(note(&found).contains("<deleted> in 1 object"), "{:?}", found.notes);

    let named = "<filename>C:\\photos\\a.jpg</filename>";
    let other = "<filename>IMG_7.jpg</filename>";
    let (a, b) = (named.to_owned() + &of(""), other.to_owned() + &object("Cat", BOX, ""));
    let found = split(&devkit(&[("train", "a\nb\n")], &[("a", &a), ("b", &b)]));
    let [similar, file] = &found.notes[..] else { panic!("{:?}", found.notes) };
    assert!(similar.contains("`Cat` and `cat`"), "{similar}");
    assert!(file.contains("1 annotation names") && file.contains("b.xml says IMG_7.jpg"), "{file}");
}

#[test]
fn boxes_from_zero_and_shares_are_told_from_pixels() {
    let of = |edges: [&str; 4]| object("cat", edges, "");
    let size = "<size><width>120</width><height>96</height><depth>3</depth></size>";
    let (zero, one) = (of(["0", "5", "20", "30"]), of(["1", "5", "20", "30"]));
    let shares = of(["0.25", "0.5", "0.5", "1"]);
    let lists = [("train", "a\nb\n")];
    let found = split(&devkit(&lists, &[("a", &zero), ("b", &one)]));
    assert!(note(&found).contains("boxes of 1 image begin before pixel 1"), "{:?}", found.notes);
    let bounds =
        |split: &Split| split.items.iter().map(|i| i.objects[0].bounds).collect::<Vec<_>>();
    assert_eq!(bounds(&found), [[0.0, 5.0, 19.0, 29.0], [1.0, 5.0, 19.0, 29.0]]);

    let sized = size.to_owned() + &one;
    let found = split(&devkit(&lists, &[("a", &shares), ("b", &sized)]));
    assert_eq!(found.notes, [""; 0]);
    assert_eq!(bounds(&found), [[0.25, 0.5, 0.5, 1.0], [0.0, 4.0, 19.0, 29.0]]);
    let rulers = found.items.iter().map(|item| item.objects[0].ruler).collect::<Vec<_>>();
    assert_eq!(rulers, [Ruler::Shares, Ruler::PixelsOf([120, 96])]);
}

#[test]
fn ids_may_have_the_ending_of_their_file() {
    let (cat, none) = (object("cat", BOX, ""), String::new());
    let annotations = [("a", &*cat), ("b", &*none)];
    let labels = |root: &TempDir| {
        let found = split(root);
        let ids: Vec<&str> = found.items.iter().map(|item| &*item.id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(found.items.iter().all(|item| item.path.exists()), "{:?}", found.items);
        found.labels
    };
    for lists in [
        &[("train", "a.jpg\nb.JPG\n")][..],
        &[("train", "a.png\nb\n"), ("cat_train", "a.jpg 1\nb.jpg -1\n")],
        &[("train", "a\nb\n"), ("cat_train", "b.jpg -1\na.jpg 1\n")],
        &[("train", "a.jpg\nb.jpg\n"), ("cat_train", "a 1\nb -1\n")],
    ] {
        assert_eq!(labels(&devkit(lists, &annotations)), [[Yes], [No]]);
    }
    // A file may really be called so.
    let root = devkit(&[("train", "a.jpg\nb\n")], &annotations);
    put(root.path(), "JPEGImages/a.jpg.png", "");
    put(root.path(), "Annotations/a.jpg.xml", format!("<annotation>{cat}</annotation>"));
    assert_eq!(split(&root).items[0].path, root.path().join("JPEGImages/a.jpg.png"));
    // The same image twice is seen through.
    let root = devkit(&[("train", "a.jpg\na\n")], &annotations);
    let dataset = Dataset::open(root.path(), &Params::default(), Seed(1));
    let text = dataset.map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("train.txt:2: `a` appears again"), "{text}");
}

/// Changes the annotation of the first test image: its box and size.
fn with_box(data: &Path, [l, t, r, b]: [&str; 4], size: &str) {
    let text = format!("<annotation>{size}{}</annotation>", object("star", [l, t, r, b], ""));
    put(data, "Annotations/000025.xml", text);
}

/// The first test image, explained for `star`.
fn first_star() -> Selection {
    Selection {
        classes: vec!["star".into()],
        images: vec!["000025".into()],
        only: Only::All,
        top: 0,
    }
}

/// μ⁺ of the first test image for `star`, and what was said.
fn context(data: &Path) -> (Option<String>, Listener) {
    let (_held, dir) = copy_of(&fixture().run);
    let listener = Listener::new(usize::MAX);
    let run = Run::open(&dir, &options(&[]), &listener).unwrap();
    let selection = first_star();
    let report = run.explain_context(data, "test", &selection, Rule::Plain).unwrap();
    let table = fs::read_to_string(report.table).unwrap();
    // The share of the pixels inside tells the box, whatever the classifier says.
    let row = table.lines().nth(1).map(|row| row.split(',').nth(3).unwrap().to_owned());
    let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: false, network: None };
    assert_eq!(run.explain(data, "test", &selection, &drawing).unwrap().len(), 1);
    drop(run);
    (row, listener)
}

/// Images are 120 × 96; the box covers 60 × 48 pixels, a quarter.
#[test]
fn boxes_are_compared_with_the_picture() {
    let (_held, data) = copy_of(&fixture().data);
    let size = |w: u32, h: u32| format!("<size><width>{w}</width><height>{h}</height></size>");
    let quarter = Some("0.250000".to_owned());
    for (edges, size, words) in [
        (["11", "21", "70", "68"], size(120, 96), ""),
        (["11", "21", "70", "68"], String::new(), ""),
        (["6", "11", "35", "34"], size(60, 48), "are scaled to it"),
        (["21", "41", "140", "136"], size(240, 192), "are scaled to it"),
        (["0.25", "0.25", "0.75", "0.75"], String::new(), "are shares"),
        (["61", "49", "150", "130"], size(120, 96), "are cut there"),
    ] {
        with_box(&data, edges, &size);
        let (inside, said) = context(&data);
        assert_eq!(inside, quarter, "{edges:?} of {size}");
        assert_eq!(said.heard(&["the boxes of 1 image", "000025"]), !words.is_empty(), "{edges:?}");
        assert!(words.is_empty() || said.heard(&[words]), "{edges:?} of {size}: {words}");
    }
    for (edges, size, words) in [
        (["11", "21", "70", "68"], size(96, 120), "of a picture of 96 × 120 pixels"),
        (["11", "21", "70", "68"], size(416, 416), "of a picture of 416 × 416"),
        (["11", "21", "2000000000", "68"], String::new(), "does not lie in the picture"),
        (["500", "21", "520", "68"], String::new(), "does not lie in the picture"),
    ] {
        with_box(&data, edges, &size);
        let (inside, said) = context(&data);
        assert_eq!(inside, None, "{edges:?} of {size}: an image without its boxes has no context");
        assert!(said.heard(&["000025", words]), "{words}");
        assert!(said.heard(&["the boxes of 1 image are not used", words]), "{words}");
    }
}

/// A photograph that lies on its side: the file's pixels are 96 × 120, upright 120 × 96.
#[test]
fn boxes_of_a_turned_photograph_turn_with_it() {
    let (_held, data) = copy_of(&fixture().data);
    let path = "JPEGImages/000025.jpg";
    let picture = ::image::open(data.join(path)).unwrap().rotate270();
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, ::image::ImageFormat::Jpeg).unwrap();
    // One EXIF tag: orientation 6, a quarter turn to the right.
    let exif =
        b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let bytes = [&jpeg.get_ref()[..2], exif, &jpeg.get_ref()[2..]].concat();
    put(&data, path, bytes);
    let photo = Photo::open(&data.join(path), &Default::default()).unwrap();
    assert_eq!(photo.orientation(), 6);
    let run = |edges, size: &str| {
        with_box(&data, edges, size);
        let (_held, dir) = copy_of(&fixture().run);
        fs::remove_dir_all(dir.join("fisher/test")).unwrap();
        let listener = Listener::new(usize::MAX);
        let run = Run::open(&dir, &options(&[]), &listener).unwrap();
        let selection = first_star();
        let table = run.explain_context(&data, "test", &selection, Rule::Plain).unwrap().table;
        let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: false, network: None };
        let map = run.explain(&data, "test", &selection, &drawing).unwrap().remove(0);
        let drawn = ::image::open(map.file).unwrap().to_rgb8();
        drop(run);
        let table = fs::read_to_string(table).unwrap();
        let inside = table.lines().nth(1).unwrap().split(',').nth(3).unwrap().to_owned();
        // The corners of the box in the first panel, where they are drawn in yellow.
        let yellow = |x, y| *drawn.get_pixel(x, y) == ::image::Rgb([255, 217, 47]);
        (inside, listener, yellow(10, 20) && yellow(69, 67) && !yellow(40, 40))
    };
    let upright = ["11", "21", "70", "68"];
    // (x, y) upright was (y, 119 − x) before the turn.
    let lying = ["21", "51", "68", "110"];
    let (inside, said, drawn) = run(lying, "<size><width>96</width><height>120</height></size>");
    assert!(drawn && said.heard(&["before EXIF data turned", "are turned with it"]));
    assert_eq!(inside, "0.250000");
    let (inside, said, drawn) = run(upright, "<size><width>120</width><height>96</height></size>");
    assert!(drawn && !said.heard(&["EXIF"]));
    assert_eq!(inside, "0.250000");
    let (.., said, drawn) = run(upright, "");
    assert!(drawn && said.heard(&["which nothing tells"]));
}
