//! Two runs side by side: what is written, what is refused, and that the runs stay as they are.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fvtool::artifacts::sealed;
use fvtool::explain::{Only, Selection};
use fvtool::explanation::Rule;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Said, assert_failed, fvtool};
use crate::small_run::{change_shard, copy_of, fixture, open};
use crate::support::{files_below, put};
use crate::tables::records;

/// A run over the fixture's data with a smaller mixture, made once.
fn other_run() -> &'static Path {
    static OTHER: OnceLock<PathBuf> = OnceLock::new();
    OTHER.get_or_init(|| {
        let run = fixture().run.with_file_name("other");
        let _ = fs::remove_dir_all(&run);
        open(&run, &["gmm.components=2", "pca.dimension=8"])
            .run_all(&fixture().data, "train", "test")
            .unwrap();
        run
    })
}

/// Copies of both runs, `a` and `b`, beside each other.
fn two_runs() -> (TempDir, [PathBuf; 2]) {
    let folder = TempDir::new().unwrap();
    let runs = [("a", &*fixture().run), ("b", other_run())].map(|(name, run)| {
        let copy = folder.path().join(name);
        files_below(run).into_iter().for_each(|(file, bytes)| put(&copy, file, bytes));
        copy
    });
    (folder, runs)
}

fn compare(runs: &[PathBuf; 2], more: &[&str]) -> Said {
    let [a, b] = runs.each_ref().map(|run| run.to_str().unwrap());
    fvtool(&[&["compare", "--run", a, "--run", b], more].concat())
}

fn context(run: &Path) {
    let selection = Selection { classes: vec![], images: vec![], only: Only::Present, top: 0 };
    let run = open_as_it_is(run);
    run.explain_context(&fixture().data, "test", &selection, Rule::PUBLISHED).unwrap();
}

fn open_as_it_is(run: &Path) -> fvtool::pipeline::Run<'static> {
    let options = fvtool::pipeline::Options::default();
    fvtool::pipeline::Run::open(run, &options, &fvtool::progress::Silent).unwrap()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn both(runs: &[PathBuf; 2]) -> [BTreeMap<String, Vec<u8>>; 2] {
    runs.each_ref().map(|run| files_below(run))
}

#[test]
fn two_runs_are_set_side_by_side_and_stay_as_they_are() {
    let (folder, runs) = two_runs();
    runs.iter().for_each(|run| context(run));
    let before = both(&runs);
    let said = compare(&runs, &["--json", "--resamples", "200", "-q"]);
    assert_eq!((said.code, &*said.err), (0, ""), "{}", said.err);
    assert!(before == both(&runs), "a run was changed");

    let output = folder.path().join("compare_a_b_test");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let stored: Value = serde_json::from_str(&text(&output.join("compare.json"))).unwrap();
    assert_eq!(report, stored);
    assert_eq!((&report["split"], &report["images"]), (&json!("test"), &json!(18)));
    assert_eq!(report["runs"][1]["context_rule"], "epsilon 100");
    assert_eq!(report["remarks"], json!([]));
    // The figures are those of each run's evaluation.
    for (side, run) in runs.iter().enumerate() {
        let eval: Value = serde_json::from_str(&text(&run.join("eval/test.json"))).unwrap();
        assert_eq!(report["map"]["sides"][side]["value"], eval["map"]["voc2007"]);
        for (class, own) in
            report["classes"].as_array().unwrap().iter().zip(eval["classes"].as_array().unwrap())
        {
            assert_eq!(class["class"], own["class"]);
            let value = &class["average_precision"]["sides"][side]["value"];
            assert_eq!(*value, own["ap_voc2007"]);
        }
    }
    let context: Value =
        serde_json::from_str(&text(&runs[1].join("explain/test/context.json"))).unwrap();
    let of_star = |classes: &Value| -> Value {
        let classes = classes.as_array().unwrap();
        classes.iter().find(|class| class["class"] == "star").unwrap().clone()
    };
    assert_eq!(
        of_star(&report["classes"])["context"][1]["mu_positive"],
        of_star(&context["classes"])["mu_positive"]
    );

    let table = records(&text(&output.join("classes.csv")));
    assert_eq!((table.len(), table[0].len()), (7, 18));
    for (row, class) in table[1..].iter().zip(report["classes"].as_array().unwrap()) {
        assert_eq!(row[0], class["class"].as_str().unwrap());
        let [low, value, high] = [9, 8, 10].map(|at| row[at].parse::<f64>().unwrap());
        assert!(low <= high && (-1.0..=1.0).contains(&value));
        assert_eq!(row[11] == "yes", low > 0.0 || high < 0.0);
    }
    let images = records(&text(&output.join("images.csv")));
    let alone: u64 = (report["classes"].as_array().unwrap().iter())
        .flat_map(|class| class["right_alone"].as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert!(alone > 0 && images.len() as u64 == alone + 1, "{alone} {}", images.len());
    // Without one class an image, the sign of the score decides.
    for row in &images[1..] {
        let right = |score: &str| (score.parse::<f32>().unwrap() > 0.0) == (row[2] == "yes");
        assert_eq!([right(&row[4]), right(&row[5])], [row[3] == "A", row[3] == "B"]);
    }

    let pairs = report["heatmaps"].as_array().unwrap();
    assert!(pairs.len() >= 12, "{}", pairs.len());
    for pair in pairs {
        let files = [&pair["photograph"], &pair["files"][0], &pair["files"][1]];
        for file in files {
            let picture = ::image::open(file.as_str().unwrap()).unwrap();
            assert_eq!((picture.width(), picture.height()), (120, 96));
        }
        let row = images[1..].iter().find(|row| pair["class"] == row[0] && pair["id"] == row[1]);
        assert!(pair["top"] == json!(true) || row.is_some(), "{pair}");
        if let Some(row) = row {
            // Sums of a few thousand products in f64 and in f32.
            let off = pair["scores"][0].as_f64().unwrap() - row[4].parse::<f64>().unwrap();
            assert!(off.abs() < 1e-4, "{pair}");
        }
    }
    let page = text(&output.join("compare.html"));
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(page.len() < 5_000_000);
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), page.matches("src=").count());
    let averages = page.matches("alt=\"average heatmap").count();
    assert_eq!(page.matches("src=").count(), 3 * pairs.len() + averages);
    assert_eq!(averages, 12);
    assert_eq!(page.matches("://").count(), page.matches("http://www.w3.org/2000/svg").count());
    let chart = text(&output.join("drawings/context.svg"));
    let chart = roxmltree::Document::parse(&chart).unwrap();
    let bars = chart.descendants().filter(|n| n.attribute("height") == Some("9")).count();
    assert_eq!(bars, 12);

    // The same bytes again whatever the number of threads, and a smaller comparison leaves no pictures.
    let first = files_below(&output);
    let again = compare(&runs, &["--json", "--resamples", "200", "-q", "--threads", "1"]);
    assert_eq!((again.code, &again.out), (0, &said.out));
    assert!(first == files_below(&output), "threads changed a file");
    let small = compare(&runs, &["--top", "0", "--ap", "plain", "--resamples", "100"]);
    assert_eq!(small.code, 0, "{}", small.err);
    assert!(small.out.contains("mAP, not interpolated") && small.out.contains("right in A alone"));
    assert!(!output.join("heatmaps").exists());
    let names: Vec<String> = files_below(&output).into_keys().collect();
    let kept = [
        ".fvtool-compare",
        ".lock",
        "classes.csv",
        "compare.html",
        "compare.json",
        "drawings/context.svg",
        "images.csv",
        "outputs.json",
    ];
    assert_eq!(names, kept);
}

#[test]
fn context_that_is_not_there_is_said_with_the_command_that_makes_it() {
    let (folder, runs) = two_runs();
    context(&runs[0]);
    let output = folder.path().join("out");
    let more = ["--resamples", "100", "--top", "0", "--output", output.to_str().unwrap()];
    let said = compare(&runs, &more);
    assert_eq!(said.code, 0, "{}", said.err);
    let page = text(&output.join("compare.html"));
    let report: Value = serde_json::from_str(&text(&output.join("compare.json"))).unwrap();
    let missing = report["runs"][1]["context_missing"].as_str().unwrap();
    assert!(report["runs"][0]["context_missing"].is_null());
    for words in
        ["no context ratios of split `test`", "it was not made", "fvtool explain --context"]
    {
        assert!(said.err.contains(words) && missing.contains(words), "{words}: {}", said.err);
        assert!(page.contains(words), "{words}");
    }
    assert!(said.err.contains(runs[1].to_str().unwrap()));
    // The bars of the run that has them are drawn.
    assert!(text(&output.join("drawings/context.svg")).contains("B: not measured"));

    // Files that somebody changed are not taken for fvtool's.
    put(&runs[0], "explain/test/context.json", "{}");
    let said = compare(&runs, &more);
    assert!(said.err.contains("context.json was changed since fvtool wrote it"), "{}", said.err);
    assert!(!output.join("drawings/context.svg").exists());
    // Nor those of a classifier that is gone.
    let [run, _] = &runs;
    let list: Value = serde_json::from_str(&text(&run.join("outputs.json"))).unwrap();
    let mut list = list;
    list.as_object_mut().unwrap().remove("checksum");
    list["groups"]["explain/test/context"]["classifier"] = json!("another");
    put(run, "outputs.json", sealed(&list));
    let said = compare(&runs, &more);
    assert!(said.err.contains("of a classifier, vectors or labels that are gone"), "{}", said.err);
}

#[test]
fn without_its_images_everything_else_is_made() {
    let (folder, runs) = two_runs();
    let gone = json!({ "data": folder.path().join("gone"), "split": "train" });
    put(&runs[1], "source.json", gone.to_string());
    let said = compare(&runs, &["--resamples", "100", "--top", "1"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for words in ["no heatmaps of B", "gone: no such folder", "--data"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let output = folder.path().join("compare_a_b_test");
    let page = text(&output.join("compare.html"));
    assert!(page.contains("no heatmaps of B") && page.contains("B: not explained"));
    let report: Value = serde_json::from_str(&text(&output.join("compare.json"))).unwrap();
    let pairs = report["heatmaps"].as_array().unwrap();
    assert!(!pairs.is_empty() && pairs.iter().all(|pair| pair["files"][1].is_null()));
    assert!(report["runs"][1]["heatmap_rule"].is_null());
    // Named, they are found; a name that leads elsewhere is an error.
    let data = fixture().data.to_str().unwrap();
    let said = compare(&runs, &["--resamples", "100", "--top", "1", "--data", data]);
    assert!(said.code == 0 && !said.err.contains("no heatmaps"), "{}", said.err);
    assert_failed(&compare(&runs, &["--data", "nowhere"]), &["nowhere", "no such folder"]);
}

#[test]
fn images_that_changed_since_they_were_encoded_have_no_heatmap() {
    let (folder, runs) = two_runs();
    let (_held, data) = copy_of(&fixture().data);
    let other = fs::read(data.join("JPEGImages/000001.jpg")).unwrap();
    (25..=42).for_each(|n| put(&data, format!("JPEGImages/{n:06}.jpg"), &other));
    let more = ["--resamples", "100", "--top", "1", "--data", data.to_str().unwrap()];
    let said = compare(&runs, &more);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("it is not the file that was encoded"), "{}", said.err);
    let page = text(&folder.path().join("compare_a_b_test/compare.html"));
    assert!(page.contains("could not be made, since their images were not read"), "{page}");
}

#[test]
fn other_images_and_labels_are_refused_by_name() {
    let (folder, runs) = two_runs();
    let refused = |change: &dyn Fn(&mut Value, &mut Vec<i8>), words: &[&str]| {
        let (_held, b) = copy_of(&runs[1]);
        change_shard(&b, "test", |report, labels| change(report, labels));
        let before = files_below(&b);
        let said = compare(&[runs[0].clone(), b.clone()], &["--split", "test"]);
        assert_failed(&said, words);
        assert!(before == files_below(&b));
    };
    refused(
        &|report, _| report["files"][2] = json!("0".repeat(32)),
        &["image `000027` is another file than in", "compare runs on the same data"],
    );
    // Labels are images × classes.
    let flip = |report: &mut Value, labels: &mut Vec<i8>| {
        let classes = labels.len() / report["ids"].as_array().unwrap().len();
        labels[classes] = -labels[classes];
    };
    refused(&flip, &["image `000026` has other labels than in", "shown"]);
    refused(
        &|report, _| report["ids"][0] = json!("000000"),
        &["`000000` is in", "alone", "not of the same images"],
    );
    assert!(!folder.path().join("compare_a_copy_test").exists());
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_nearest_name() {
    let (folder, runs) = two_runs();
    let [a, b] = runs.each_ref().map(|run| run.to_str().unwrap());
    let before = both(&runs);
    assert_failed(
        &compare(&runs, &["--split", "tset"]),
        &["split `tset` in", "its encoded splits: test, train", "did you mean `test`?"],
    );
    assert_failed(&fvtool(&["compare", "--run", a, "--run", a]), &["the same run twice"]);
    assert_failed(&fvtool(&["compare", "--run", a]), &["name run A, then run B", "given: 1"]);
    assert_eq!(fvtool(&["compare"]).code, 2);
    let mistyped = folder.path().join("run_of_a");
    let copy = folder.path().join("run_of_b");
    fs::rename(&runs[1], &copy).unwrap();
    let said = fvtool(&["compare", "--run", a, "--run", mistyped.to_str().unwrap()]);
    assert_failed(&said, &["run_of_a is missing", "did you mean", "run_of_b"]);
    fs::rename(&copy, &runs[1]).unwrap();
    // Nothing is written into a run, nor over what is somebody else's.
    let inside = runs[1].join("out/deep");
    let said = compare(&runs, &["--output", inside.to_str().unwrap()]);
    assert_failed(&said, &["inside the run", "--output"]);
    put(folder.path(), "mine/thesis.txt", "mine");
    let mine = folder.path().join("mine");
    let said = compare(&runs, &["--output", mine.to_str().unwrap()]);
    assert_failed(&said, &["holds other files (`thesis.txt`)", "--output"]);
    assert_failed(&compare(&runs, &["--output", b]), &["inside the run"]);
    assert_eq!(text(&mine.join("thesis.txt")), "mine");
    assert_eq!(compare(&runs, &["--resamples", "99"]).code, 2);
    // Vectors that are gone.
    assert!(before == both(&runs), "a run was changed");
    fs::remove_dir_all(runs[1].join("fisher/test")).unwrap();
    assert_failed(&compare(&runs, &["--split", "test"]), &["fvtool eval --data DATA --split test"]);
    assert_failed(&compare(&runs, &[]), &["evaluated split that both runs have", "--split"]);
    // The split that both were trained on can be asked for, and is said to be that.
    let said = compare(&runs, &["--split", "train", "--top", "0", "--resamples", "100"]);
    assert!(
        said.code == 0 && said.err.contains("A was trained on this very split"),
        "{}",
        said.err
    );
}

/// Folders of classes, one class an image; B cannot read one of the images.
#[test]
fn with_one_class_an_image_the_winning_class_decides() {
    let folder = TempDir::new().unwrap();
    let [data, more] = ["data", "more"].map(|name| folder.path().join(name));
    let image = |n: usize| fs::read(fixture().data.join(format!("JPEGImages/{n:06}.jpg"))).unwrap();
    let classes = ["=star", "wheel", "spiral"];
    for root in [&data, &more] {
        for n in 0..24 {
            put(root, format!("train/{}/{n}.jpg", classes[n % 3]), image(1 + n));
        }
        for n in 0..18 {
            put(root, format!("test/{}/{n}.jpg", classes[n % 3]), image(25 + n));
        }
    }
    put(&more, "test/wheel/4.jpg", "no image");
    let runs = ["a", "b"].map(|name| folder.path().join("runs").join(name));
    let settings: [&[&str]; 2] = [&[], &["descriptors.kind=colour"]];
    for ((run, data), settings) in runs.iter().zip([&data, &more]).zip(settings) {
        open(run, settings).run_all(data, "train", "test").unwrap();
    }
    let output = folder.path().join("runs/compare_a_b_test");
    let said = compare(&runs, &["--resamples", "100", "--top", "1"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("B has no vector of 1 image that the other run has"), "{}", said.err);
    assert!(said.out.contains("mean class accuracy"), "{}", said.out);
    let report: Value = serde_json::from_str(&text(&output.join("compare.json"))).unwrap();
    assert_eq!((&report["images"], &report["left_out"]), (&json!(17), &json!([0, 1])));
    let table = text(&output.join("images.csv"));
    let images = records(&table);
    assert!(images.len() > 1);
    for row in &images[1..] {
        let own = |winner: &String| winner == &row[0];
        assert_eq!([own(&row[8]), own(&row[9])], [row[3] == "A", row[3] == "B"], "{row:?}");
        assert_eq!(row[2], "yes");
    }
    let tables = table.clone() + &text(&output.join("classes.csv"));
    assert!(tables.lines().all(|line| !line.starts_with('=') && !line.contains(",=")), "{tables}");
    // Beside the data or in them, the folder is no class of it.
    let inside = data.join("compared");
    let more = ["--resamples", "100", "--output", inside.to_str().unwrap()];
    assert_eq!(compare(&runs, &more).code, 0);
    open_as_it_is(&runs[0]).evaluate(&data, "test").unwrap();

    // A run that knows a class less, on the same images.
    let two = folder.path().join("two");
    for n in (0..24).filter(|n| n % 3 < 2) {
        put(&two, format!("train/{}/{n}.jpg", classes[n % 3]), image(1 + n));
        put(&two, format!("val/{}/{n}.jpg", classes[n % 3]), image(1 + n));
    }
    let fewer = runs[0].with_file_name("fewer");
    open(&fewer, &[]).run_all(&two, "train", "val").unwrap();
    open_as_it_is(&fewer).encode(&data, "test").unwrap();
    let said = compare(&[runs[0].clone(), fewer], &["--resamples", "100", "--top", "0"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for words in [
        "1 class of A alone, left out of every figure: spiral",
        "accuracies are not compared, since the runs know different classes",
    ] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    assert!(!said.out.contains("accuracy") && said.out.contains("wheel"), "{}", said.out);
}
