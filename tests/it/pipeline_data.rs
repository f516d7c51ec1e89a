//! The pipeline and its data: images that cannot be used, changed labels, folders of classes, a
//! second data set, predictions, and that what is learnt is in the images.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use fvtool::dataset::synthetic::CLASSES;
use fvtool::evaluation::Report;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use tempfile::TempDir;

use crate::small_run::{
    Listener, assert_same, changed, contents, copy_of, draw, fixture, open, options, refit,
    refusal, scores,
};
use crate::support::{files_below, put};

fn strict(run: &Path) -> Run<'static> {
    Run::open(run, &Options { strict: true, ..options(&[]) }, &Silent).unwrap()
}

fn report(run: &Path, split: &str) -> Report {
    let text = fs::read_to_string(run.join(format!("eval/{split}.json"))).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for key in ["fingerprint", "checksum", "files"] {
        value.as_object_mut().unwrap().remove(key).unwrap();
    }
    serde_json::from_value(value).unwrap()
}

/// Changes the lists of a split, class by class: line number and line give the new line.
fn change_labels(data: &Path, split: &str, change: impl Fn(usize, &str) -> String) {
    for class in CLASSES {
        let path = data.join(format!("ImageSets/Main/{class}_{split}.txt"));
        let text = fs::read_to_string(&path).unwrap();
        let labels: Vec<&str> = text.lines().collect();
        let changed: String = labels.iter().enumerate().map(|(i, l)| change(i, l) + "\n").collect();
        put(data, path.strip_prefix(data).unwrap(), changed);
    }
}

#[test]
fn images_that_cannot_be_used_are_skipped_with_their_reason() {
    let (_data, data) = copy_of(&fixture().data);
    // One of each kind, in training and in test.
    put(&data, "JPEGImages/000002.jpg", b"no image at all");
    fs::remove_file(data.join("JPEGImages/000005.jpg")).unwrap();
    let jpeg = fs::read(data.join("JPEGImages/000026.jpg")).unwrap();
    put(&data, "JPEGImages/000026.jpg", &jpeg[..jpeg.len() / 2]);
    fs::remove_file(data.join("JPEGImages/000030.jpg")).unwrap();

    let folder = TempDir::new().unwrap();
    let listener = Listener::new(usize::MAX);
    let run = Run::open(folder.path(), &options(&[]), &listener).unwrap();
    let (train, evaluated) = run.run_all(&data, "train", "test").unwrap();
    assert_eq!((train.images, train.skipped), (22, 2));
    assert_eq!((evaluated.encoded.images, evaluated.encoded.skipped), (16, 2));
    let skipped: Vec<(String, String)> = ["train", "test"]
        .iter()
        .flat_map(|split| run.index(split).unwrap().skipped)
        .map(|skipped| (skipped.id, skipped.reason))
        .collect();
    let ids: Vec<&str> = skipped.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["000002", "000005", "000026", "000030"]);
    for (id, reason) in &skipped {
        assert!(reason.contains(&format!("{id}.jpg")), "{reason}");
        assert!(listener.heard(&["skipped", id.as_str()]), "{id}");
    }
    assert!(skipped[1].1.contains("No such file"), "{}", skipped[1].1);

    // In the scores they have none, and no figure counts them.
    let table = scores(folder.path(), "test");
    assert_eq!(table.ids.len(), 18);
    for (id, row) in table.ids.iter().zip(table.values.rows()) {
        let lost = ["000026", "000030"].contains(&id.as_str());
        let fits = |score: &f32| if lost { *score == f32::NEG_INFINITY } else { score.is_finite() };
        assert!(row.iter().all(fits), "{id}");
    }
    let report = report(folder.path(), "test");
    assert_eq!((report.images, report.missing), (18, 2));
    assert!(
        report.classes.iter().all(|class| {
            class.positives + class.negatives + class.ignored + class.unscored == 18
        })
    );
    assert!(report.classes.iter().map(|class| class.unscored).max() == Some(2));
    assert!(report.table().contains("2 of 18 images are missing"), "{}", report.table());

    // Again: nothing to do, and the skipped are still counted.
    let before = contents(folder.path());
    let (train, evaluated) = run.run_all(&data, "train", "test").unwrap();
    assert!(!evaluated.made);
    assert_eq!((train.skipped, evaluated.encoded.skipped), (2, 2));
    assert_same(&before, &contents(folder.path()));
    drop(run);

    // The file comes back: what lacked it is made again, and nothing else.
    fs::copy(fixture().data.join("JPEGImages/000030.jpg"), data.join("JPEGImages/000030.jpg"))
        .unwrap();
    let evaluated = open(folder.path(), &[]).evaluate(&data, "test").unwrap();
    assert_eq!((evaluated.encoded.images, evaluated.encoded.skipped), (17, 1));
}

#[test]
fn strict_stops_at_the_first_image_that_cannot_be_used() {
    for bad in ["000003", "000028"] {
        let (_data, data) = copy_of(&fixture().data);
        put(&data, format!("JPEGImages/{bad}.jpg"), b"");
        let folder = TempDir::new().unwrap();
        let run = strict(folder.path());
        let text = refusal(run.run_all(&data, "train", "test"));
        assert!(text.contains(&format!("{bad}.jpg")), "{text}");
        assert!(!folder.path().join("eval").exists());
    }
    let folder = TempDir::new().unwrap();
    strict(folder.path()).run_all(&fixture().data, "train", "test").unwrap();
    assert_same(&contents(&fixture().run), &contents(folder.path()));
}

#[test]
fn a_split_without_a_usable_image_is_an_error() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for i in 0..3 {
        put(&data, format!("train/a/{i}.jpg"), b"nothing");
        put(&data, format!("train/b/{i}.jpg"), b"nothing");
    }
    let run = open(&folder.path().join("run"), &[]);
    let text = refusal(run.run_all(&data, "train", "train"));
    assert!(text.starts_with("split `train`: no image gives a descriptor"), "{text}");
}

/// Name and size stay; a single bit of the file does not.
#[test]
fn a_changed_image_is_noticed_by_its_content() {
    for (id, artifact) in [("000004", "sample.safetensors"), ("000027", "fisher/test")] {
        let (_folder, run) = copy_of(&fixture().run);
        let (_data, data) = copy_of(&fixture().data);
        fs::remove_file(run.join("source.json")).unwrap();
        let name = format!("JPEGImages/{id}.jpg");
        let mut bytes = fs::read(data.join(&name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        put(&data, &name, bytes);
        let text = refusal(open(&run, &[]).run_all(&data, "train", "test"));
        assert!(text.contains("images or labels of its split have changed"), "{text}");
        assert!(text.contains(artifact), "{text}");
    }
}

#[test]
fn changed_labels_concern_the_classifier_alone() {
    let (_folder, run) = copy_of(&fixture().run);
    let (_data, data) = copy_of(&fixture().data);
    fs::remove_file(run.join("source.json")).unwrap();
    let before = contents(&run);
    change_labels(
        &data,
        "train",
        |i, line| {
            if i < 4 { line.replace(" -1", "  1") } else { line.to_owned() }
        },
    );
    let text = refusal(open(&run, &[]).run_all(&data, "train", "test"));
    assert!(text.contains("svm.safetensors"), "{text}");
    assert!(text.contains("images or labels of its split have changed"), "{text}");
    // Evaluation alone notices too.
    let text = refusal(open(&run, &[]).evaluate(&data, "test"));
    assert!(text.contains("svm.safetensors"), "{text}");
    refit(&run, &[]).run_all(&data, "train", "test").unwrap();
    let changed = changed(&before, &contents(&run));
    // Labels lie in the shards, beside the same vectors.
    let kept = |name: &String| {
        let other = name == "svm.safetensors" || name.starts_with("fisher/train/");
        name.ends_with(".safetensors") && !other
    };
    let vectors = |run: &std::path::Path| open(run, &[]).stored_vectors("train").unwrap().0;
    assert_eq!(vectors(&run), vectors(&fixture().run));
    assert!(
        changed.contains(&"svm.safetensors".to_owned()) && !changed.iter().any(kept),
        "{changed:?}"
    );

    // The labels of the test split concern its figures, and not its scores.
    let before = contents(&run);
    change_labels(
        &data,
        "test",
        |i, line| {
            if i < 4 { line.replace(" -1", "  1") } else { line.to_owned() }
        },
    );
    assert!(open(&run, &[]).evaluate(&data, "test").unwrap().made);
    let after = contents(&run);
    let changed = self::changed(&before, &after);
    assert!(changed.contains(&"eval/test.json".to_owned()), "{changed:?}");
    assert!(!changed.contains(&"scores/test.csv".to_owned()), "{changed:?}");
    let vectors =
        |name: &String| !name.ends_with(".safetensors") || name.starts_with("fisher/test/");
    assert!(changed.iter().all(vectors), "{changed:?}");
}

/// The fixture's images in a folder for each of three classes, by the first class they show.
fn class_folders(folder: &Path) -> PathBuf {
    let data = folder.join("classes");
    for split in ["train", "test"] {
        for (i, class) in CLASSES[..3].iter().enumerate() {
            let list = fixture().data.join(format!("ImageSets/Main/{class}_{split}.txt"));
            let text = fs::read_to_string(list).unwrap();
            for (id, _) in
                text.lines().filter_map(|l| l.split_once(' ').filter(|x| x.1.trim() == "1"))
            {
                let image = fs::read(fixture().data.join(format!("JPEGImages/{id}.jpg"))).unwrap();
                put(&data, format!("{split}/{class}/{i}_{id}.jpg"), image);
            }
        }
    }
    data
}

#[test]
fn a_folder_per_class_has_accuracy_and_confusion() {
    let folder = TempDir::new().unwrap();
    let data = class_folders(folder.path());
    let run = open(&folder.path().join("run"), &[]);
    let (train, evaluated) = run.run_all(&data, "train", "test").unwrap();
    let report = evaluated.report;
    assert!(train.images >= 12 && report.images >= 6, "{} {}", train.images, report.images);
    assert!(run.index("train").unwrap().single_label);
    let accuracy = report.accuracy.unwrap();
    assert!((0.0..=1.0).contains(&accuracy.overall) && (0.0..=1.0).contains(&accuracy.mean_class));
    assert_eq!(report.confusion.unwrap().classes, &CLASSES[..3]);
    assert!(run.dir().join("eval/test/confusion.svg").exists());
    // Every image has one class: positives add up to the images.
    assert_eq!(report.classes.iter().map(|c| c.positives).sum::<usize>(), report.images);
    // The fixture's images have several.
    let voc = self::report(&fixture().run, "test");
    assert!(voc.accuracy.is_none() && voc.confusion.is_none());
}

#[test]
fn a_classifier_is_applied_to_a_second_data_set() {
    let (folder, run) = copy_of(&fixture().run);
    let before = contents(&run);
    // Other splits, a class that the classifier does not know, and classes that are not there.
    let data = folder.path().join("second");
    for (split, class, id) in [
        ("new", CLASSES[0], "000025"),
        ("new", CLASSES[1], "000026"),
        ("new", "zeppelin", "000027"),
        ("newer", CLASSES[0], "000028"),
        ("newer", CLASSES[1], "000029"),
        ("newer", "zeppelin", "000031"),
    ] {
        let image = fs::read(fixture().data.join(format!("JPEGImages/{id}.jpg"))).unwrap();
        put(&data, format!("{split}/{class}/{id}.jpg"), image);
    }
    let listener = Listener::new(usize::MAX);
    let opened = Run::open(&run, &options(&[]), &listener).unwrap();
    let evaluated = opened.evaluate(&data, "new").unwrap();
    assert!(listener.heard(&["`zeppelin` is unknown to the classifier"]));
    assert_eq!(evaluated.report.images, 3);
    let classes: Vec<&str> = evaluated.report.classes.iter().map(|c| c.class.as_str()).collect();
    let mut known = CLASSES.to_vec();
    known.sort_unstable();
    assert_eq!(classes, known);
    for class in &evaluated.report.classes {
        let there = CLASSES[..2].contains(&class.class.as_str());
        assert_eq!(class.positives, usize::from(there), "{}", class.class);
        assert_eq!(class.ap_voc2007.is_some(), there, "{}", class.class);
    }
    // The models are as they were, and the scores those of the same images in the first set.
    let (mut before, after) = (before, contents(&run));
    before.remove("outputs.json").unwrap();
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    let (first, second) = (scores(&run, "test"), scores(&run, "new"));
    for (id, row) in second.ids.iter().zip(second.values.rows()) {
        let number = &id[id.len() - 6..];
        let twin = first.ids.iter().position(|id| id == number).unwrap();
        row.iter().zip(first.values.row(twin)).for_each(|(a, b)| assert_same_score(*a, *b));
    }
    assert!(!opened.evaluate(&data, "new").unwrap().made);
    assert!(opened.evaluate(&data, "newer").unwrap().made);
}

/// Products of one row and of many may be summed in another order: some units in the last place.
#[track_caller]
fn assert_same_score(got: f32, expected: f32) {
    let tolerance = 1e-5 * expected.abs().max(1.0);
    assert!((got - expected).abs() <= tolerance, "{got} instead of {expected}");
}

#[test]
fn a_prediction_is_the_score_of_the_evaluation() {
    let table = scores(&fixture().run, "test");
    let (_folder, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let mut images: Vec<PathBuf> =
        table.ids.iter().map(|id| fixture().data.join(format!("JPEGImages/{id}.jpg"))).collect();
    images.push(fixture().data.join("JPEGImages/none.jpg"));
    images.push(fixture().data.join("ImageSets/Main/train.txt"));
    let before = contents(run.dir());
    let predictions = run.predict(&images).unwrap();
    assert_eq!(predictions.len(), images.len());
    for ((prediction, row), image) in predictions.iter().zip(table.values.rows()).zip(&images) {
        assert_eq!(&prediction.path, image);
        let scored = prediction.outcome.as_ref().unwrap();
        let classes: Vec<&String> = scored.iter().map(|s| &s.class).collect();
        assert_eq!(classes, table.classes.iter().collect::<Vec<_>>());
        for (score, expected) in scored.iter().zip(row) {
            assert_same_score(score.score, *expected);
            let p = score.probability.expect("the fixture is calibrated");
            assert!((0.0..=1.0).contains(&p), "{p}");
        }
    }
    for prediction in &predictions[table.ids.len()..] {
        let reason = prediction.outcome.as_ref().unwrap_err();
        assert!(reason.contains(prediction.path.to_str().unwrap()), "{reason}");
    }
    assert_same(&before, &contents(run.dir()));
}

#[test]
fn what_is_described_is_what_is_encoded() {
    let (folder, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let output = folder.path().join("one.safetensors");
    let index = run.index("test").unwrap();
    let id = &index.images[3].id;
    run.describe(&fixture().data.join(format!("JPEGImages/{id}.jpg")), &output).unwrap();
    let described = fvtool::artifacts::Artifact::open_verified(&output, "image").unwrap();
    let shard = run.dir().join("fisher/test/00000.safetensors");
    let shard = fvtool::artifacts::Artifact::open_verified(&shard, "fisher").unwrap();
    let row = shard.matrix("vectors").unwrap();
    assert_eq!(described.f32("vector").unwrap().1, row.row(3).as_slice().unwrap());
    let n = described.matrix("descriptors").unwrap().nrows();
    assert!(n > 50);
    assert_eq!(described.matrix("frames").unwrap().dim(), (n, 4));
    assert_eq!(described.matrix("projected").unwrap().dim(), (n, 24));
}

/// Mean average precision on a somewhat larger set; and after the training labels were dealt out
/// to other images.
#[test]
fn what_is_learnt_is_in_the_images() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    draw(&data, 120, 60);
    let better = ["gmm.components=16", "sample.rows=12000", "svm.calibration=none"];
    let run = folder.path().join("run");
    let mean = |run: &Path| {
        let run = refit(run, &better);
        run.run_all(&data, "train", "test").unwrap().1.report.map.average_precision.unwrap()
    };
    let learnt = mean(&run);
    // Class by class, so that every class keeps its number of positives.
    let mut order: Vec<usize> = (0..120).collect();
    Seed(3).stream("shuffled labels", 0).shuffle(&mut order);
    for class in CLASSES {
        let name = format!("ImageSets/Main/{class}_train.txt");
        let text = fs::read_to_string(data.join(&name)).unwrap();
        let lines: Vec<(&str, &str)> = text.lines().map(|l| l.split_at(6)).collect();
        let dealt =
            lines.iter().zip(&order).map(|((id, _), &from)| format!("{id}{}\n", lines[from].1));
        put(&data, name, dealt.collect::<String>());
    }
    let shuffled = mean(&run);
    // A class is in 20 to 40 % of the images: that is what chance gets.
    assert!(learnt > 0.5, "{learnt}");
    assert!(shuffled < learnt - 0.1, "{shuffled} with shuffled labels, {learnt} with true ones");
    assert!(files_below(&run).contains_key("report_test.html"));
}
