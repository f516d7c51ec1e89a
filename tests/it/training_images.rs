//! Images that the classifier was trained on, among those that it is tested on.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use fvtool::evaluation::Report;
use fvtool::evaluation::leak::Same;
use fvtool::image::{Params, load_rgb};
use fvtool::pipeline::{Evaluated, Run};

use crate::small_run::{Listener, copy_of, fixture, options};
use crate::support::put;

fn run_all(dir: &Path, data: &Path, train: &str, test: &str) -> (Evaluated, Listener) {
    let listener = Listener::new(usize::MAX);
    let run = Run::open(dir, &options(&[]), &listener).unwrap();
    let evaluated = run.run_all(data, train, test).unwrap().1;
    drop(run);
    (evaluated, listener)
}

fn evaluate(dir: &Path, data: &Path, split: &str) -> (Evaluated, Listener) {
    let listener = Listener::new(usize::MAX);
    let run = Run::open(dir, &options(&[]), &listener).unwrap();
    let evaluated = run.evaluate(data, split).unwrap();
    drop(run);
    (evaluated, listener)
}

fn image(data: &Path, id: &str) -> std::path::PathBuf {
    data.join(format!("JPEGImages/{id}.jpg"))
}

/// The report without what is left out, evaluated anew from the stored scores.
fn figures_without(dir: &Path, report: &Report, left_out: &[&str]) -> (usize, Option<f64>) {
    let scores = crate::small_run::scores(dir, "test");
    let lists = fixture().data.join("ImageSets/Main");
    let rest: Vec<usize> =
        (0..scores.ids.len()).filter(|&i| !left_out.contains(&&*scores.ids[i])).collect();
    let ids: Vec<String> = rest.iter().map(|&i| scores.ids[i].clone()).collect();
    let label = |class: &String, id: &String| {
        let text = fs::read_to_string(lists.join(format!("{class}_test.txt"))).unwrap();
        let line = text.lines().find(|line| line.starts_with(id.as_str())).unwrap();
        match line.split_whitespace().nth(1).unwrap() {
            "1" => fvtool::dataset::Label::Yes,
            "0" => fvtool::dataset::Label::Ignored,
            _ => fvtool::dataset::Label::No,
        }
    };
    let labels: Vec<Vec<_>> = ids
        .iter()
        .map(|id| scores.classes.iter().map(|class| label(class, id)).collect())
        .collect();
    let values = scores.values.select(ndarray::Axis(0), &rest);
    let of_rest = fvtool::evaluation::evaluate(&fvtool::evaluation::Scored {
        split: &report.split,
        ids: &ids,
        classes: &scores.classes,
        labels: &labels,
        scores: values.view(),
        single_label: false,
        decision: fvtool::evaluation::Decision::ScoreAbove(0.0),
    });
    (ids.len(), of_rest.unwrap().map.voc2007)
}

#[test]
fn copies_of_training_images_are_found_by_content() {
    let (_held, data) = copy_of(&fixture().data);
    // Another name; other EXIF data or format, and so other bytes, with the same pixels.
    fs::copy(image(&data, "000003"), image(&data, "000030")).unwrap();
    let jpeg = fs::read(image(&data, "000005")).unwrap();
    put(&data, "JPEGImages/000031.jpg", [&jpeg[..2], b"\xff\xfe\x00\x04hi", &jpeg[2..]].concat());
    let png = data.join("JPEGImages/000032.png");
    fs::remove_file(image(&data, "000032")).unwrap();
    let pixels = load_rgb(&image(&data, "000006"), &Params::default()).unwrap();
    pixels.save(png).unwrap();
    let (_run, dir) = copy_of(&fixture().run);
    fs::remove_dir_all(dir.join("fisher/test")).unwrap();
    let (evaluated, said) = run_all(&dir, &data, "train", "test");
    let found = evaluated.report.training_images.clone().unwrap();
    let copies: Vec<(&str, &str, Same)> =
        found.copies.iter().map(|copy| (&*copy.id, &*copy.training_id, copy.same)).collect();
    assert_eq!(
        copies,
        [
            ("000030", "000003", Same::File),
            ("000031", "000005", Same::Vector),
            ("000032", "000006", Same::Vector)
        ]
    );
    assert_eq!((found.trained_on.as_str(), found.images), ("train", 3));
    // The labels of the lists stayed those of other images.
    assert!(found.other_labels > 0 && found.copies.iter().any(|copy| copy.other_labels));
    let without = found.without.unwrap();
    let expected = figures_without(&dir, &evaluated.report, &["000030", "000031", "000032"]);
    assert_eq!((without.images, without.map.voc2007), expected);
    assert_eq!(without.images, 15);
    let words = ["3 of the 18 images of split `test` are training images", "without them"];
    assert!(said.heard(&words));
    let page = fs::read_to_string(&evaluated.page).unwrap();
    assert!(page.contains(words[0]) && page.contains("<td>000031</td>"));
    assert!(evaluated.report.table().contains(words[0]));
    let json = fs::read_to_string(dir.join("eval/test.json")).unwrap();
    assert!(json.contains("\"training_images\""), "{json}");
    // Said again when nothing is left to do.
    let (again, said) = evaluate(&dir, &data, "test");
    assert_eq!((again.made, &again.report), (false, &evaluated.report));
    assert!(said.heard(&words));
}

/// The split that was trained on lies in another folder, which may be gone by then.
#[test]
fn a_training_image_is_known_from_an_earlier_command() {
    let (_held, data) = copy_of(&fixture().data);
    for list in fs::read_dir(data.join("ImageSets/Main")).unwrap() {
        let path = list.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with("train.txt") {
            fs::remove_file(path).unwrap();
        } else {
            fs::rename(&path, path.with_file_name(name.replace("test", "new"))).unwrap();
        }
    }
    fs::copy(image(&fixture().data, "000007"), image(&data, "000040")).unwrap();
    let (_run, dir) = copy_of(&fixture().run);
    let (evaluated, said) = evaluate(&dir, &data, "new");
    assert_eq!(evaluated.report.training_images.unwrap().copies[0].training_id, "000007");
    assert!(said.heard(&["1 of the 18 images of split `new` is a training image"]));

    // Without the vectors that it was trained on, nobody knows.
    fs::remove_dir_all(dir.join("fisher/train")).unwrap();
    let (evaluated, said) = evaluate(&dir, &data, "new");
    assert!(said.heard(&["whether training images are among those of split `new` is not known"]));
    assert_eq!(evaluated.report.training_images, None);
}

#[test]
fn the_same_split_twice_is_said_and_a_clean_one_is_not() {
    let (_run, dir) = copy_of(&fixture().run);
    let (evaluated, said) = run_all(&dir, &fixture().data, "train", "train");
    assert!(said.heard(&["split `train` is the one that the classifier was trained on"]));
    let found = evaluated.report.training_images.unwrap();
    assert_eq!((found.images, found.other_labels, found.without), (24, 0, None));
    let (evaluated, said) = run_all(&dir, &fixture().data, "train", "test");
    assert!(!said.heard(&["training image"]) && evaluated.report.training_images.is_none());
    let json = fs::read_to_string(dir.join("eval/test.json")).unwrap();
    assert!(!json.contains("training_images"));
}

#[test]
fn copies_with_different_labels_in_one_split_are_said() {
    let (_held, data) = copy_of(&fixture().data);
    fs::copy(image(&data, "000001"), image(&data, "000002")).unwrap();
    let (_run, dir) = copy_of(&fixture().run);
    fs::remove_dir_all(&dir).unwrap();
    let differ = fvtool::dataset::synthetic::CLASSES.iter().any(|class| {
        let list = data.join(format!("ImageSets/Main/{class}_train.txt"));
        let text = fs::read_to_string(list).unwrap();
        let label = |id: &str| {
            let line = text.lines().find(|line| line.starts_with(id)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        label("000001") != label("000002")
    });
    assert!(differ, "the images of the fixture have different labels");
    let (_, said) = run_all(&dir, &data, "train", "test");
    assert!(said.heard(&["1 image stands in split `train`", "different labels", "000001, 000002"]));
}
