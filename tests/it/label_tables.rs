//! Labels in tables: forms and columns, places of images, splits and groups, what is left out or refused.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fvtool::dataset::{Dataset, Label, Layout, Params, Ruler};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use tempfile::TempDir;

use crate::folders::{assert_adds_up, files_in, folder, open};
use crate::small_run::{copy_of, fixture, options, refusal};
use crate::support::put;

fn with_table(images: &[&str], name: &str, table: &str) -> TempDir {
    let root = folder(images);
    put(root.path(), name, table);
    root
}

fn labelled(dataset: &Dataset, split: &str) -> Vec<(String, Vec<String>)> {
    let split = dataset.split(split).unwrap();
    let classes = |row: &Vec<Label>| {
        let yes = row.iter().zip(&split.classes).filter(|(label, _)| **label == Label::Yes);
        yes.map(|(_, class)| class.clone()).collect()
    };
    let ids = split.items.iter().map(|item| item.id.clone());
    ids.zip(split.labels.iter().map(classes)).collect()
}

fn refused(root: &Path) -> String {
    open(root).unwrap_err().to_string()
}

const IMAGES: &[&str] = &["images/1.jpg", "images/2.jpg", "images/3.png", "images/sub/4.jpg"];

#[test]
fn a_table_in_the_folder_gives_labels_and_splits() {
    let table = "id,img_path,label,split\n1,images/1.jpg,cat,train\n2,images/2.jpg,dog,train\n\
                 3,images/3.png,cat,test\n4,images/sub/4.jpg,dog,test\n";
    let root = with_table(IMAGES, "labels.csv", table);
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.layout(), Layout::Table);
    assert_eq!(
        (dataset.classes(), &dataset.splits()[..]),
        (&["cat".to_owned(), "dog".into()][..], &["test".to_owned(), "train".into()][..])
    );
    let expected = [("images/1", "cat"), ("images/2", "dog")]
        .map(|(id, class)| (id.to_owned(), vec![class.to_owned()]));
    assert_eq!(labelled(&dataset, "train"), expected);
    let split = dataset.split("test").unwrap();
    assert!(split.single_label);
    assert_adds_up(&split.files, files_in(root.path()));
    let notes = dataset.notes().unwrap().join("\n");
    assert!(notes.contains("paths in `img_path`, labels in `label`, splits in `split`"), "{notes}");
    // The file itself, or one in another folder, is the same.
    let labels = root.path().join("labels.csv");
    let params = Params { labels, ..Params::default() };
    let given = Dataset::open(root.path(), &params, Seed(1)).unwrap();
    assert_eq!(labelled(&given, "train"), expected);
}

#[test]
fn images_are_found_where_paths_begin_elsewhere() {
    let table =
        "img_path,label\nio/images/1.jpg,cat\nio/images/2.jpg,dog\nio\\images\\sub\\4.jpg,dog\n";
    let root = with_table(IMAGES, "training_labels.csv", table);
    put(root.path(), "test_labels.csv", "img_path,label\nio/images/3.png,cat\n");
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.splits(), ["test", "training"]);
    let split = dataset.split("training").unwrap();
    assert!(split.items.iter().all(|item| item.path.is_file()), "{:?}", split.items);
    assert_adds_up(&split.files, files_in(root.path()));
    assert_eq!(split.files.lists, 2);
    let notes = dataset.notes().unwrap().join("\n");
    assert!(notes.contains("`io/images/1.jpg`") && notes.contains("is taken to be"), "{notes}");
    // Names without an ending.
    let root = with_table(IMAGES, "labels.tsv", "image_id\tdx\nimages/1\tcat\nimages/2\tdog\n");
    let dataset = open(root.path()).unwrap();
    assert!(dataset.split("train").is_ok() || dataset.split("test").is_ok());
    assert!(dataset.splits().iter().all(|name| {
        dataset
            .split(name)
            .unwrap()
            .items
            .iter()
            .all(|item| item.path.ends_with(format!("{}.jpg", item.id)))
    }));
    let nowhere = with_table(IMAGES, "labels.csv", "path,label\nx/9.jpg,cat\n");
    let text = refused(nowhere.path());
    assert!(text.contains("`x/9.jpg` was looked for in") && text.contains("--data"), "{text}");
}

#[test]
fn several_labels_and_boxes_stand_in_one_row_or_in_several() {
    let root = with_table(
        IMAGES,
        "metadata.csv",
        "file_name,labels,split\nimages/1.jpg,cat|dog,train\nimages/2.jpg,dog,train\nimages/3.png,,train\n",
    );
    let dataset = open(root.path()).unwrap();
    let found: Vec<Vec<String>> =
        labelled(&dataset, "train").into_iter().map(|(_, classes)| classes).collect();
    assert_eq!(found, [vec!["cat".to_owned(), "dog".into()], vec!["dog".into()], vec![]]);
    assert!(!dataset.split("train").unwrap().single_label);
    let boxes = "filename,class,xmin,ymin,xmax,ymax\nimages/1.jpg,cat,1,2,30,40\nimages/1.jpg,dog,5,6,7,8\nimages/2.jpg,dog,0,0,9,9\n";
    let root = with_table(IMAGES, "boxes.csv", boxes);
    let dataset = open(root.path()).unwrap();
    let items: Vec<_> =
        dataset.splits().iter().flat_map(|name| dataset.split(name).unwrap().items).collect();
    let first = items.iter().find(|item| item.id == "images/1").unwrap();
    assert_eq!(first.objects.len(), 2);
    assert_eq!(
        (first.objects[0].bounds, first.objects[0].ruler),
        ([1.0, 2.0, 30.0, 40.0], Ruler::Pixels)
    );
    // Two rows that contradict each other.
    let root = with_table(
        IMAGES,
        "labels.csv",
        "path,label\nimages/1.jpg,cat\nimages/1.jpg,dog\nimages/2.jpg,dog\n",
    );
    let text = refused(root.path());
    assert!(text.contains("lines 2 and 3") && text.contains("cat; dog"), "{text}");
}

#[test]
fn groups_stay_together() {
    let names: Vec<String> = (0..60).map(|n| format!("images/{n:02}.jpg")).collect();
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut table = "path,label,patient_id\n".to_owned();
    for (n, name) in names.iter().enumerate() {
        table += &format!("{name},{},p{}\n", ["cat", "dog"][n % 2], n / 4);
    }
    let root = with_table(&refs, "labels.csv", &table);
    let dataset = open(root.path()).unwrap();
    let groups = |split: &str| -> BTreeSet<usize> {
        let ids = labelled(&dataset, split).into_iter();
        ids.map(|(id, _)| id.trim_start_matches("images/").parse::<usize>().unwrap() / 4).collect()
    };
    let (train, test) = (groups("train"), groups("test"));
    assert!(
        !train.is_empty() && !test.is_empty() && train.is_disjoint(&test),
        "{train:?} {test:?}"
    );
    assert!(dataset.notes().unwrap().join("\n").contains("15 groups are drawn"));
    let divided = "path,label,group,split\nimages/00.jpg,cat,a,train\nimages/01.jpg,dog,a,test\n";
    let root = with_table(&refs[..2], "labels.csv", divided);
    let text = refused(root.path());
    assert!(text.contains("group `a` is in two splits"), "{text}");
}

#[test]
fn coco_and_hugging_face_are_read_as_they_are() {
    let json = r#"{"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
        "annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 1, 5, 5]}, {"image_id": 1, "category_id": 4, "bbox": [0, 0, 2, 2]}, {"image_id": 2, "category_id": 4, "bbox": [2, 2, 2, 2]}]}"#;
    let root = with_table(IMAGES, "instances_train2017.json", json);
    let labels = root.path().join("instances_train2017.json");
    let params = Params { labels, ..Params::default() };
    let dataset = Dataset::open(&root.path().join("images"), &params, Seed(1)).unwrap();
    let all: Vec<_> = dataset.splits().iter().flat_map(|name| labelled(&dataset, name)).collect();
    assert!(all.contains(&("1".into(), vec!["cat".into(), "dog".into()])), "{all:?}");
    let root = folder(&["train/a.jpg", "train/b.jpg", "test/c.jpg"]);
    put(root.path(), "train/metadata.csv", "file_name,label\na.jpg,cat\nb.jpg,dog\n");
    put(root.path(), "test/metadata.csv", "file_name,label\nc.jpg,dog\n");
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.splits(), ["test", "train"]);
    assert_eq!(labelled(&dataset, "test"), [("c".to_owned(), vec!["dog".to_owned()])]);
}

#[test]
fn class_folders_come_before_a_stray_table() {
    let root = with_table(
        &["cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg"],
        "labels.csv",
        "path,label\ncat/1.jpg,x\n",
    );
    assert_eq!(open(root.path()).unwrap().layout(), Layout::Folders);
    let two = with_table(IMAGES, "first.csv", "path,label\nimages/1.jpg,cat\n");
    put(two.path(), "second.csv", "path,label\nimages/2.jpg,dog\n");
    let text = refused(two.path());
    assert!(text.contains("several tables") && text.contains("--labels"), "{text}");
    let other = with_table(IMAGES, "numbers.csv", "a,b\n1,2\n");
    assert!(refused(other.path()).contains("numbers.csv"));
}

/// A run over a table makes the same vectors as one over folders of the same images, and remembers the table.
#[test]
fn a_run_takes_a_table_and_remembers_it() {
    let (_folder, _) = copy_of(&fixture().run);
    let data = &fixture().data;
    let place = TempDir::new().unwrap();
    let mut table = "path,label,split\n".to_owned();
    let dataset = Dataset::open(data, &Params::default(), Seed(1)).unwrap();
    for name in ["train", "test"] {
        let split = dataset.split(name).unwrap();
        for (item, row) in split.items.iter().zip(&split.labels) {
            let classes = row.iter().zip(&split.classes).filter(|(label, _)| **label == Label::Yes);
            let classes: Vec<&str> = classes.map(|(_, class)| class.as_str()).collect();
            table += &format!("{},{},{name}\n", item.path.display(), classes.join("|"));
        }
    }
    put(place.path(), "labels.csv", &table);
    let labels: PathBuf = place.path().join("labels.csv");
    let folder = place.path().join("run");
    let with_labels = Options { labels: Some(labels), ..options(&[]) };
    let given = Run::data_folder(&folder, &with_labels, None).unwrap();
    assert_eq!(given, place.path());
    let splits = Run::usual_splits(&folder, &with_labels, &given).unwrap();
    assert_eq!(splits, [Some("train".to_owned()), Some("test".into())]);
    let run = Run::open(&folder, &with_labels, &Silent).unwrap();
    run.run_all(&given, "train", "test").unwrap();
    drop(run);
    // Found again without being named.
    let remembered = Run::data_folder(&folder, &Options::default(), None).unwrap();
    assert_eq!(remembered, place.path());
    let run = Run::open(&folder, &Options::default(), &Silent).unwrap();
    assert!(!run.run_all(&remembered, "train", "test").unwrap().1.made);
    let text = refusal(Run::data_folder(&place.path().join("none"), &Options::default(), None));
    assert!(text.contains("--data"), "{text}");
    fs::remove_file(place.path().join("labels.csv")).unwrap();
    let text = refusal(run.run_all(&remembered, "train", "test"));
    assert!(text.contains("labels.csv"), "{text}");
}

/// Two tables that are splits divide a group as a column of splits would.
#[test]
fn a_group_in_two_tables_is_refused() {
    let root = folder(IMAGES);
    let header = "path,label,patient_id\n";
    put(root.path(), "train.csv", format!("{header}images/1.jpg,cat,a\nimages/2.jpg,dog,b\n"));
    put(root.path(), "test.csv", format!("{header}images/3.png,cat,b\nimages/sub/4.jpg,dog,c\n"));
    let text = refused(root.path());
    assert!(text.contains("group `b` is in two splits"), "{text}");
    put(root.path(), "test.csv", format!("{header}images/3.png,cat,d\nimages/sub/4.jpg,dog,c\n"));
    let dataset = open(root.path()).unwrap();
    assert_eq!(dataset.split("test").unwrap().items[0].group.as_deref(), Some("d"));
}
