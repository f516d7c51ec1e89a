//! Files for people: each has a name of its own, what an earlier call left goes and nothing else, and
//! one that cannot be written is an error.

#![allow(clippy::unwrap_used)] // clippy knows tests, but not their helpers

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use fvtool::artifacts::sealed;
use fvtool::explain::{AuditOptions, Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::explanation::audit::LEAST_IMAGES;
use fvtool::explanation::quality::Params;
use fvtool::pipeline::Run;
use fvtool::progress::Progress;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::small_run::{Listener, contents, copy_of, fixture, open, options, refit};
use crate::support::{files_below, put};

const DRAWING: Drawing =
    Drawing { rule: Rule::Absolute, shared_scale: false, raw: false, network: None };

/// Settings for a few images.
const TINY: &[&str] = &["gmm.components=4", "pca.dimension=16", "svm.calibration=none"];

fn all(top: usize) -> Selection {
    Selection { classes: vec![], images: vec![], only: Only::All, top }
}

fn image(number: usize) -> Vec<u8> {
    fs::read(fixture().data.join(format!("JPEGImages/{number:06}.jpg"))).unwrap()
}

/// A folder of classes with splits `train` and `test`, images by the names given.
fn folders(root: &Path, classes: &[(&str, &[&str])]) {
    for (number, (class, names)) in classes.iter().enumerate() {
        for (i, name) in names.iter().enumerate() {
            put(root, format!("train/{class}/{name}.jpg"), image(1 + number * names.len() + i));
            put(root, format!("test/{class}/{name}.jpg"), image(42 - number * names.len() - i));
        }
    }
}

/// The files that a JSON list names, and those of a kind that lie below a folder.
fn listed_and_there(list: &Path, folder: &Path) -> (usize, usize) {
    let list: Value = serde_json::from_str(&fs::read_to_string(list).unwrap()).unwrap();
    let files: BTreeSet<PathBuf> = (list["heatmaps"].as_array().unwrap().iter())
        .map(|heatmap| PathBuf::from(heatmap["file"].as_str().unwrap()))
        .collect();
    assert!(files.iter().all(|file| file.is_file()), "{files:?}");
    (files.len(), files_below(folder).len())
}

#[test]
fn no_two_outputs_share_a_name() {
    let folder = TempDir::new().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("run"));
    let numbers: &[&str] = &["0", "1", "red_0"];
    let classes = [("car", numbers), ("car_red", numbers), ("a\\b", numbers), ("a_b", numbers)];
    folders(&data, &classes);
    // A file system that knows case can have these too.
    let with_case = cfg!(target_os = "linux");
    if with_case {
        folders(&data, &[("CAR", &["0", "1", "RED_0"])]);
    }
    let count = classes.len() + usize::from(with_case);
    let run = open(&dir, TINY);
    run.run_all(&data, "train", "test").unwrap();
    let curves = files_below(&dir.join("eval/test"));
    assert_eq!(curves.keys().filter(|name| name.starts_with("pr_")).count(), count, "{curves:?}");
    assert_eq!(files_below(&dir.join("results")).len(), count);
    for plain in ["pr_car.svg", "pr_car_red.svg", "pr_a_b.svg", "pr_a%5Cb.svg"] {
        assert!(curves.contains_key(plain), "{plain}: {curves:?}");
    }
    let heatmaps = run.explain(&data, "test", &all(0), &Drawing { raw: true, ..DRAWING }).unwrap();
    assert_eq!(heatmaps.len(), 3 * count * count);
    let pictures = files_below(&dir.join("explain/test/heatmaps"));
    assert_eq!(pictures.len(), 2 * heatmaps.len(), "a picture and raw relevance each");
    let ignoring_case: BTreeSet<String> = contents(&dir).keys().map(|k| k.to_lowercase()).collect();
    assert_eq!(ignoring_case.len(), contents(&dir).len());
}

/// A split whose name ends as the figures of another one do, and one that looks like split and class.
#[test]
fn splits_do_not_share_names_either() {
    let (_held, dir) = copy_of(&fixture().run);
    let data = dir.with_file_name("data");
    for split in ["a", "a.json", "a_star", "b_c", "b"] {
        put(&data, format!("{split}/star/0.jpg"), image(25));
        put(&data, format!("{split}/spiral/1.jpg"), image(26));
    }
    let run = open(&dir, &[]);
    for split in ["a", "a.json", "a_star", "b_c", "b"] {
        run.evaluate(&data, split).unwrap();
    }
    drop(run);
    let before = contents(&dir);
    for split in ["a", "a.json", "a_star", "b_c", "b"] {
        assert!(!open(&dir, &[]).evaluate(&data, split).unwrap().made, "{split} was spoilt");
    }
    crate::small_run::assert_same(&before, &contents(&dir));
    assert!(dir.join("eval/a.json").is_file() && dir.join("eval/a%2Ejson.json").is_file());
}

#[test]
fn what_a_removed_class_left_goes_and_what_is_not_fvtools_stays() {
    let folder = TempDir::new().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("run"));
    let numbers: &[&str] = &["0", "1", "2"];
    folders(&data, &[("coast", numbers), ("kitchen", numbers), ("forest", numbers)]);
    open(&dir, TINY).run_all(&data, "train", "test").unwrap();
    let of_class = |class: &str| -> Vec<String> {
        contents(&dir).into_keys().filter(|name| name.contains(class)).collect()
    };
    assert_eq!(
        of_class("kitchen"),
        ["eval/test/pr_kitchen.svg", "results/comp1_cls_test_kitchen.txt"]
    );
    // Not fvtool's: beside its files, and in the place of one.
    put(&dir, "results/comp1_cls_test_kitchen_of_others.txt", "theirs");
    put(&dir, "eval/test/notes about kitchen.md", "theirs");
    put(&dir, "eval/test/pr_kitchen.svg", "edited");
    for split in ["train", "test"] {
        fs::remove_dir_all(data.join(split).join("kitchen")).unwrap();
    }
    let listener = Listener::new(usize::MAX);
    let again = fvtool::pipeline::Options { refit: true, ..options(TINY) };
    let run = Run::open(&dir, &again, &listener).unwrap();
    run.run_all(&data, "train", "test").unwrap();
    let left = of_class("kitchen");
    assert_eq!(
        left,
        [
            "eval/test/notes about kitchen.md",
            "eval/test/pr_kitchen.svg",
            "results/comp1_cls_test_kitchen_of_others.txt"
        ]
    );
    assert!(listener.heard(&["pr_kitchen.svg", "changed since fvtool wrote it"]));
    assert!(listener.heard(&["removed", "eval/test"]));
    assert_eq!(of_class("coast").len(), 2);
}

#[test]
fn heatmaps_of_an_earlier_call_or_classifier_go() {
    let (_held, dir) = copy_of(&fixture().run);
    let data = &fixture().data;
    let explain =
        |run: &Run<'_>, top| run.explain(data, "test", &all(top), &DRAWING).unwrap().len();
    let counts = || {
        listed_and_there(
            &dir.join("explain/test/heatmaps.json"),
            &dir.join("explain/test/heatmaps"),
        )
    };
    let run = open(&dir, &[]);
    assert_eq!((explain(&run, 3), counts()), (18, (18, 18)));
    assert_eq!((explain(&run, 1), counts()), (6, (6, 6)), "an earlier call's");
    // Other kinds of explanation keep theirs.
    let options = AuditOptions::of_all_classes(Rule::PUBLISHED);
    run.audit(data, "test", &options).unwrap();
    run.explain_context(data, "test", &all(2), Rule::PUBLISHED).unwrap();
    let params = Params { batch: 20, most: 40, repeats: 1 };
    for rule in [Rule::PUBLISHED, Rule::Absolute] {
        run.explain_quality(data, "test", &all(1), rule, &params).unwrap();
    }
    assert_eq!(counts(), (6, 6));
    let names: Vec<String> = files_below(&dir.join("explain/test")).into_keys().collect();
    for kind in
        ["average/", "context.csv", "audit.json", "quality_absolute/", "quality_epsilon-100/"]
    {
        assert!(names.iter().any(|name| name.starts_with(kind)), "{kind}: {names:?}");
    }
    drop(run);
    put(&dir, "explain/test/mine.txt", "mine");
    // A new classifier, be it by another command: nothing of the old one stays.
    refit(&dir, &["svm.c=0.01"]).train("train").unwrap();
    let left: Vec<String> = files_below(&dir.join("explain")).into_keys().collect();
    assert_eq!(left, ["test/mine.txt"]);
    assert!(!dir.join("report_test.html").exists() && !dir.join("scores/test.csv").exists());
    let run = open(&dir, &["svm.c=0.01"]);
    run.evaluate(data, "test").unwrap();
    assert_eq!((explain(&run, 1), counts()), (6, (6, 6)));
    // The same classifier on the same images leaves all as it is.
    run.evaluate(data, "test").unwrap();
    run.train("train").unwrap();
    assert_eq!(counts(), (6, 6));
}

/// Asks to stop after some steps of a task.
struct StopWithin {
    task: &'static str,
    steps: AtomicUsize,
}

impl Progress for StopWithin {
    fn begin(&self, task: &str, _: u64, _: &str) {
        if task == self.task {
            self.steps.store(1, Ordering::SeqCst);
        }
    }
    fn advance(&self, steps: u64) {
        if self.steps.load(Ordering::SeqCst) > 0 {
            self.steps.fetch_add(steps as usize, Ordering::SeqCst);
        }
    }
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn summary(&self, _: &str, _: &str) {}
    fn interrupted(&self) -> bool {
        self.steps.load(Ordering::SeqCst) > 5
    }
}

/// What a killed command drew is known, and goes.
#[test]
fn what_an_interrupted_call_left_goes() {
    let (_held, dir) = copy_of(&fixture().run);
    let data = &fixture().data;
    let stop = StopWithin { task: "explain", steps: AtomicUsize::new(0) };
    let run = Run::open(&dir, &options(&[]), &stop).unwrap();
    assert!(matches!(
        run.explain(data, "test", &all(0), &DRAWING),
        Err(fvtool::Error::Interrupted)
    ));
    drop(run);
    let left = files_below(&dir.join("explain")).len();
    assert!(left > 0, "something was drawn");
    let heatmaps = open(&dir, &[]).explain(data, "test", &all(1), &DRAWING).unwrap();
    assert_eq!(files_below(&dir.join("explain/test/heatmaps")).len(), heatmaps.len());
}

/// The list is a file that anybody may have written.
#[cfg(unix)]
#[test]
fn a_crafted_list_removes_nothing_outside_the_results() {
    let (held, dir) = copy_of(&fixture().run);
    put(held.path(), "precious.txt", "precious");
    put(held.path(), "elsewhere/precious.txt", "precious");
    std::os::unix::fs::symlink(held.path().join("elsewhere"), dir.join("eval/link")).unwrap();
    std::os::unix::fs::symlink(held.path().join("precious.txt"), dir.join("scores/link.csv"))
        .unwrap();
    let outside = held.path().join("precious.txt");
    let places = [
        "../precious.txt",
        outside.to_str().unwrap(),
        "eval/../../precious.txt",
        "eval/link/precious.txt",
        "scores/link.csv",
        "svm.safetensors",
        "config.toml",
        "fisher/test/index.json",
        "eval",
        "",
        "report_/../gmm.safetensors",
    ];
    let files: serde_json::Map<String, Value> =
        places.iter().map(|place| ((*place).to_owned(), Value::Null)).collect();
    let group = |files: &Value| json!({ "split": "x", "classifier": "gone", "made_from": "gone", "files": files });
    let before = files_below(held.path());
    let list = json!({ "groups": { "eval/x": group(&files.into()) } });
    put(&dir, "outputs.json", sealed(&list));
    let listener = Listener::new(usize::MAX);
    let run = Run::open(&dir, &options(&[]), &listener).unwrap();
    run.evaluate(&fixture().data, "test").unwrap();
    crate::small_run::assert_same(&before, &files_below(held.path()));
    for reason in ["no place of a result", "behind a link"] {
        assert!(listener.heard(&["stays", reason]), "{reason}");
    }
    // What is no list is said, and made again.
    drop(run);
    put(&dir, "outputs.json", "{\"groups\":{}}");
    let run = Run::open(&dir, &options(&[]), &listener).unwrap();
    run.evaluate(&fixture().data, "test").unwrap();
    assert!(listener.heard(&["outputs.json", "stays"]));
    crate::small_run::assert_same(&before, &files_below(held.path()));
}

/// A file that cannot be written is no unreadable image.
#[test]
fn what_cannot_be_written_is_an_error_that_names_the_file() {
    let (_held, dir) = copy_of(&fixture().run);
    let data = &fixture().data;
    let run = open(&dir, &[]);
    let in_the_way = |name: &str| put(&dir, format!("explain/test/{name}"), "a file, not a folder");
    let refused = |error: fvtool::Error, name: &str| {
        let text = error.to_string();
        assert!(matches!(error, fvtool::Error::Io { .. }) && text.contains(name), "{text}");
        fs::remove_file(dir.join("explain/test").join(name)).unwrap();
    };
    in_the_way("heatmaps");
    refused(run.explain(data, "test", &all(1), &DRAWING).unwrap_err(), "heatmaps");
    in_the_way("average");
    refused(run.explain_context(data, "test", &all(1), Rule::Absolute).unwrap_err(), "average");
    in_the_way("quality_absolute");
    let params = Params { batch: 20, most: 40, repeats: 1 };
    let quality = run.explain_quality(data, "test", &all(1), Rule::Absolute, &params);
    refused(quality.unwrap_err(), "quality_absolute");
    fs::create_dir_all(dir.join("explain/test/audit.json")).unwrap();
    let audit = run.audit(data, "test", &AuditOptions::of_all_classes(Rule::Absolute));
    assert!(audit.unwrap_err().to_string().contains("audit.json"));
    assert_eq!(run.left_out_of_explanations(), 0);
    drop(run);
    // Finished once there is room, with the files of a run that never met an obstacle.
    fs::remove_dir(dir.join("explain/test/audit.json")).unwrap();
    let heatmaps = open(&dir, &[]).explain(data, "test", &all(1), &DRAWING).unwrap();
    assert_eq!(files_below(&dir.join("explain/test/heatmaps")).len(), heatmaps.len());
}

/// Removes a file when a task begins.
struct Vanish {
    path: PathBuf,
    task: &'static str,
}

impl Progress for Vanish {
    fn begin(&self, task: &str, _: u64, _: &str) {
        if task == self.task {
            let _ = fs::remove_file(&self.path);
        }
    }
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn summary(&self, _: &str, _: &str) {}
}

#[test]
fn an_image_that_is_gone_is_left_out_and_counted() {
    let (_data, data) = copy_of(&fixture().data);
    let (_held, dir) = copy_of(&fixture().run);
    let vanish = Vanish { path: data.join("JPEGImages/000030.jpg"), task: "explain" };
    let run = Run::open(&dir, &options(&[]), &vanish).unwrap();
    let heatmaps = run.explain(&data, "test", &all(0), &DRAWING).unwrap();
    assert_eq!(heatmaps.len(), 17 * 6);
    assert_eq!(run.left_out_of_explanations(), 1);
    assert_eq!(files_below(&dir.join("explain/test/heatmaps")).len(), 17 * 6);
}

/// Images that cannot be read change no figure but their number.
#[test]
fn unreadable_images_are_in_no_figure() {
    let (_held, dir) = copy_of(&fixture().run);
    let data = dir.with_file_name("data");
    for (i, class) in ["star", "spiral", "star", "wheel", "spiral"].into_iter().enumerate() {
        for split in ["good", "bad"] {
            put(&data, format!("{split}/{class}/{i}.jpg"), image(25 + i));
        }
        put(&data, format!("bad/{class}/broken {i}.png"), "no image");
    }
    let run = open(&dir, &[]);
    let good = run.evaluate(&data, "good").unwrap().report;
    let bad = run.evaluate(&data, "bad").unwrap().report;
    assert_eq!((good.images, good.missing, bad.images, bad.missing), (5, 0, 10, 5));
    assert!(bad.accuracy.is_some());
    assert_eq!((bad.map, bad.accuracy), (good.map, good.accuracy));
    for (good, bad) in good.classes.iter().zip(&bad.classes) {
        assert_eq!((good.roc_auc, good.equal_error_rate), (bad.roc_auc, bad.equal_error_rate));
        assert_eq!((good.positives, good.negatives), (bad.positives, bad.negatives));
    }
    let table = bad.table();
    assert!(table.contains("5 of 10 images are missing"), "{table}");
    let page = fs::read_to_string(dir.join("report_bad.html")).unwrap();
    assert!(page.contains("5 of 10 images are missing"));
}

/// Names of images and classes that are commands to a terminal, a spreadsheet or a reader of XML.
#[cfg(target_os = "linux")]
#[test]
fn odd_names_reach_no_terminal_table_or_drawing() {
    let folder = TempDir::new().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("run"));
    let odd = ["=d\u{fffe}", "\u{1b}[31mred", "a\tb\u{202e}"];
    folders(&data, &odd.map(|class| (class, &["0", "\u{1b}]0;x\u{7}", "@3"][..])));
    open(&dir, TINY).run_all(&data, "train", "test").unwrap();
    let photo = folder.path().join("p\u{1b}[2J\n.jpg");
    put(folder.path(), "p\u{1b}[2J\n.jpg", image(25));
    put(folder.path(), "b\u{9b}\r.jpg", "no image");
    let bad = folder.path().join("b\u{9b}\r.jpg");
    let on = |command: &str, more: &[&std::ffi::OsStr]| {
        let mut program = assert_cmd::Command::new(env!("CARGO_BIN_EXE_fvtool"));
        program.arg(command).arg("--run").arg(&dir).args(more).output().unwrap()
    };
    let split = ["--data".as_ref(), data.as_os_str(), "--split".as_ref(), "test".as_ref()];
    let with = |more: &[&'static str]| {
        let mut args = split.to_vec();
        args.extend(more.iter().map(|arg| std::ffi::OsStr::new(*arg)));
        args
    };
    let is_odd =
        |c: char| c.is_control() && !['\n', '\t'].contains(&c) || "\u{fffe}\u{202e}".contains(c);
    for output in [
        on("predict", &["--top".as_ref(), "0".as_ref(), photo.as_os_str(), bad.as_os_str()]),
        on("eval", &split),
        on("explain", &with(&["--only", "all", "--top", "0"])),
        on("explain", &with(&["--quality", "--top", "1"])),
        on("explain", &with(&["--class", "nobody"])),
        on("audit", &split),
    ] {
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.is_empty() && !said.contains(is_odd), "{said:?}");
    }
    let said = String::from_utf8(on("predict", &[photo.as_os_str()]).stdout).unwrap();
    assert!(said.lines().all(|line| line.split('\t').count() == 4), "{said:?}");
    let mut drawings = 0;
    for (name, bytes) in contents(&dir) {
        assert!(!name.contains(is_odd), "{name:?}");
        let ending = name.rsplit('.').next().unwrap();
        if ["svg", "csv", "html", "txt"].contains(&ending) {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains(is_odd), "{name}: {text:?}");
            if ending == "svg" {
                roxmltree::Document::parse(&text).unwrap();
                drawings += 1;
            }
        }
    }
    assert!(drawings > 3, "curves and confusion");
    let ids = crate::small_run::scores(&dir, "test").ids;
    assert!(ids.iter().any(|id| id == "test/=d\u{fffe}/\u{1b}]0;x\u{7}"), "{ids:?}");
}

#[test]
fn an_audit_says_of_which_classes_it_says_nothing() {
    let (_held, dir) = copy_of(&fixture().run);
    let run = open(&dir, &[]);
    let audit = |images, tested| {
        let options =
            AuditOptions { images, tested, ..AuditOptions::of_all_classes(Rule::PUBLISHED) };
        run.audit(&fixture().data, "test", &options)
    };
    // Eighteen images, six classes: of few are there five.
    let found = audit(0, LEAST_IMAGES).unwrap();
    assert!(!found.not_judged.is_empty(), "{found:?}");
    assert!(found.not_judged.iter().all(|class| class.recognised < LEAST_IMAGES));
    let named = |class: &str| found.not_judged.iter().any(|few| few.class == class);
    assert!(found.findings.iter().all(|finding| !named(&finding.class)));
    let recognised = Selection { only: Only::TruePositives, ..all(0) };
    let heatmaps = run.explain(&fixture().data, "test", &recognised, &DRAWING).unwrap();
    assert_eq!(found.pairs, heatmaps.len());
    for few in &found.not_judged {
        let of_class = heatmaps.iter().filter(|map| map.class == few.class).count();
        assert_eq!(few.recognised, of_class, "{}", few.class);
    }
    for (images, tested, option) in
        [(3, 10, "--images 3"), (0, 4, "--tested 4"), (0, 0, "--tested 0")]
    {
        let text = audit(images, tested).unwrap_err().to_string();
        assert!(text.contains(option) && text.contains("needs 5 images"), "{text}");
    }
}
