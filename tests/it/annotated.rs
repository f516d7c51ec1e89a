//! Images with an annotation each: LabelImg's folders, Roboflow's exports, PASCAL VOC without its lists.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use fvtool::dataset::{Dataset, Label, Layout, Ruler};
use tempfile::TempDir;

use crate::folders::{assert_adds_up, files_in, open};
use crate::support::put;

/// An annotation of these objects: class, box, and whether it is difficult.
fn xml(objects: &[(&str, [u32; 4], bool)]) -> String {
    let mut text = "<annotation><size><width>64</width><height>48</height></size>".to_owned();
    for (class, [left, top, right, bottom], difficult) in objects {
        text += &format!(
            "<object><name>{class}</name><difficult>{}</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>\
             <xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>",
            u8::from(*difficult)
        );
    }
    text + "</annotation>"
}

fn with(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    files.iter().for_each(|(name, text)| put(root.path(), name, text));
    root
}

fn shown(dataset: &Dataset, split: &str) -> Vec<(String, Vec<Label>)> {
    let split = dataset.split(split).unwrap();
    split.items.iter().map(|item| item.id.clone()).zip(split.labels).collect()
}

#[test]
fn an_export_of_roboflow_has_its_splits() {
    let cat = xml(&[("cat", [1, 1, 10, 20], false)]);
    let both = xml(&[("cat", [2, 3, 10, 20], false), ("dog", [5, 5, 60, 40], false)]);
    let none = xml(&[]);
    let root = with(&[
        ("train/1.jpg", ""),
        ("train/1.xml", &cat),
        ("train/2.jpg", ""),
        ("train/2.xml", &both),
        ("valid/3.jpg", ""),
        ("valid/3.xml", &none),
        ("test/4.jpg", ""),
        ("test/4.xml", &cat),
        ("README.roboflow.txt", "words"),
    ]);
    let dataset = open(root.path()).unwrap();
    assert_eq!(
        (dataset.splits(), dataset.layout()),
        (vec!["test".into(), "train".into(), "valid".into()], Layout::Table)
    );
    assert_eq!(dataset.classes(), ["cat", "dog"]);
    use Label::{No, Yes};
    let expected = [("train/1", [Yes, No]), ("train/2", [Yes, Yes])];
    assert_eq!(shown(&dataset, "train"), expected.map(|(id, row)| (id.to_owned(), row.to_vec())));
    assert_eq!(shown(&dataset, "valid")[0].1, [No, No]);
    let split = dataset.split("train").unwrap();
    assert!(!split.single_label);
    // From 1 as it is written to 0.
    assert_eq!(split.items[1].objects[0].bounds, [1.0, 2.0, 9.0, 19.0]);
    assert_eq!(split.items[1].objects[0].ruler, Ruler::PixelsOf([64, 48]));
    assert_adds_up(&split.files, files_in(root.path()));
    assert_eq!(split.files.lists, 4);
}

#[test]
fn annotations_lie_beside_images_or_in_a_folder_beside_theirs() {
    let cat = xml(&[("cat", [1, 1, 10, 20], false)]);
    let dog = xml(&[("dog", [1, 1, 10, 20], false)]);
    for (images, annotations) in [
        ("", ""),
        ("images/", "annotations/"),
        ("JPEGImages/", "Annotations/"),
        ("images/", "labels/"),
    ] {
        let root = TempDir::new().unwrap();
        for i in 0..20 {
            put(root.path(), format!("{images}{i}.jpg"), "");
            let text = if i % 2 == 0 { &cat } else { &dog };
            put(root.path(), format!("{annotations}{i}.xml"), text);
        }
        // One that nothing is said of.
        put(root.path(), format!("{images}rest.jpg"), "");
        let dataset = open(root.path()).unwrap();
        assert_eq!(dataset.classes(), ["cat", "dog"], "{images} {annotations}");
        assert_eq!(dataset.splits(), ["test", "train"]);
        let all = dataset.split("all").unwrap();
        assert!(all.single_label && all.items.len() == 20);
        assert_adds_up(&all.files, files_in(root.path()));
        let left_out = &all.files.left_out[0];
        assert_eq!((left_out.count, left_out.reason.as_str()), (1, "images without an annotation"));
        let notes = dataset.notes().unwrap().join("\n");
        assert!(notes.contains("each image is drawn by itself"), "{notes}");
        // The division is that of the names alone: another image moves none.
        let trained: Vec<String> = shown(&dataset, "train").into_iter().map(|(id, _)| id).collect();
        put(root.path(), format!("{images}more.jpg"), "");
        put(root.path(), format!("{annotations}more.xml"), &cat);
        let more = open(root.path()).unwrap();
        let now = shown(&more, "train");
        assert!(trained.iter().all(|id| now.iter().any(|(other, _)| other == id)));
    }
}

#[test]
fn a_class_of_difficult_objects_alone_is_ignored() {
    let hard = xml(&[
        ("cat", [1, 1, 10, 20], true),
        ("dog", [1, 1, 9, 9], false),
        ("dog", [1, 1, 9, 9], true),
    ]);
    let cat = xml(&[("cat", [1, 1, 10, 20], false)]);
    let root = with(&[
        ("train/1.jpg", ""),
        ("train/1.xml", &hard),
        ("train/2.jpg", ""),
        ("train/2.xml", &cat),
    ]);
    let dataset = open(root.path()).unwrap();
    assert_eq!(shown(&dataset, "train")[0].1, [Label::Ignored, Label::Yes]);
    assert!(!dataset.split("train").unwrap().single_label);
}

#[test]
fn what_cannot_be_read_for_certain_is_refused() {
    let cat = xml(&[("cat", [1, 1, 10, 20], false)]);
    let refused = |files: &[(&str, &str)]| open(with(files).path()).unwrap_err().to_string();
    let broken =
        refused(&[("1.jpg", ""), ("1.xml", "<annotation>"), ("2.jpg", ""), ("2.xml", &cat)]);
    assert!(broken.contains("1.xml") && broken.contains("XML"), "{broken}");
    let twins = refused(&[("1.jpg", ""), ("1.png", ""), ("1.xml", &cat)]);
    assert!(twins.contains("several images are called `1`"), "{twins}");
    let mixed =
        refused(&[("train/1.jpg", ""), ("train/1.xml", &cat), ("2.jpg", ""), ("2.xml", &cat)]);
    assert!(mixed.contains("2.jpg") && mixed.contains("split"), "{mixed}");
}
