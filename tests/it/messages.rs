//! What a person reads on stderr: each thing once, in plain words, with the nearest name, in clap's
//! colours, and refused before any work.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use fvtool::Error;
use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::explain::{AuditOptions, Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use tempfile::TempDir;

use crate::cli::{PROGRAM, assert_failed, fvtool, on};
use crate::small_run::{Listener, assert_same, contents, copy_of, fixture, open, options, refusal};
use crate::support::put;

#[test]
fn a_mistyped_name_on_the_command_line_is_answered_with_the_nearest_one() {
    let (_folder, run) = copy_of(&fixture().run);
    let before = contents(&run);
    let data = &fixture().data;
    let explain = |more: &[&str]| on("explain", &run, data, "test", more);
    let said = explain(&["--class", "spirral"]);
    assert_failed(&said, &["class `spirral`: not a class of the run", "did you mean `spiral`?"]);
    let said = explain(&["--class", "star", "--class", "wheeel"]);
    assert_failed(&said, &["class `wheeel`", "did you mean `wheel`?"]);
    let said = on("audit", &run, data, "test", &["--class", "Star"]);
    assert_failed(&said, &["class `Star`", "did you mean `star`?"]);
    let said = explain(&["--image", "00002"]);
    assert_failed(&said, &["image `00002`: not in split `test`", "did you mean `0000"]);
    let said = on("eval", &run, data, "tset", &[]);
    assert_failed(&said, &["no split `tset`; there are: test, train; did you mean `test`?"]);
    let train = ["train-svm", "--run", run.to_str().unwrap(), "--split", "trian"];
    assert_failed(&fvtool(&train), &["trian", "did you mean `train`?"]);
    // Nothing is called a setting that is an option.
    let said = explain(&["--rule", "espilon"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--rule <RULE>") && said.err.contains("'epsilon'"), "{}", said.err);
    for (option, value, words) in [
        ("--epsilon", "x", "a number of at least 0"),
        ("--epsilon", "nan", "a number of at least 0"),
        ("--top", "x", "a whole number from 0"),
        ("--top", "1.5", "a whole number from 0"),
        ("--threads", "70000", "a whole number from 1 to 512"),
        ("--threads", "x", "a whole number from 1 to 512"),
        ("--seed", "x", "a whole number from 0 to 18446744073709551615"),
        ("--seed", "1e3", "a whole number from 0"),
        ("--max-memory", "2TB", "800MB or 2GiB"),
    ] {
        let said = explain(&[option, value]);
        assert_eq!(said.code, 2, "{option} {value}: {}", said.err);
        assert!(said.err.contains(option) && said.err.contains(words), "{}", said.err);
        assert!(!said.err.contains("digit"), "{}", said.err);
    }
    assert_same(&before, &contents(&run));

    let mistyped = run.with_file_name("cpoy");
    let image = data.join("JPEGImages/000001.jpg");
    let predict = ["predict".as_ref(), "--run".as_ref(), mistyped.as_os_str(), image.as_os_str()];
    assert_failed(
        &fvtool(&predict),
        &["cpoy is missing", &format!("did you mean `{}`?", run.display())],
    );
}

/// Refused in a run whose vectors are gone: they are not made first.
#[test]
fn what_cannot_be_explained_is_refused_before_any_work() {
    let (_folder, run) = copy_of(&fixture().run);
    fs::remove_dir_all(run.join("fisher/test")).unwrap();
    let before = contents(&run);
    let selection = |classes: &[&str], images: &[&str]| Selection {
        classes: classes.iter().map(|s| (*s).to_owned()).collect(),
        images: images.iter().map(|s| (*s).to_owned()).collect(),
        only: Only::All,
        top: 1,
    };
    let opened = open(&run, &[]);
    let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: false, network: None };
    let data = &fixture().data;
    refusal(opened.explain(data, "test", &selection(&["x"], &[]), &drawing));
    refusal(opened.explain(data, "test", &selection(&[], &["x"]), &drawing));
    refusal(opened.explain_context(data, "test", &selection(&["x"], &[]), Rule::Plain));
    let audited =
        AuditOptions { classes: vec!["x".into()], ..AuditOptions::of_all_classes(Rule::Plain) };
    refusal(opened.audit(data, "test", &audited));
    // Annotations without an object give no context.
    let (_data, data) = copy_of(data);
    for entry in fs::read_dir(data.join("Annotations")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (head, tail) = (text.split("<object>").next().unwrap(), "</annotation>");
        put(&data, path.strip_prefix(&data).unwrap(), format!("{head}{tail}"));
    }
    let text = refusal(opened.explain_context(&data, "test", &selection(&[], &[]), Rule::Plain));
    assert!(text.contains("context needs PASCAL VOC annotations"), "{text}");
    assert_same(&before, &contents(&run));
}

/// Two channels, both of which read every image twice.
fn two_channels(folder: &Path) -> Options {
    let channels = "\n[[channel]]\nname = \"sift\"\n[[channel]]\nname = \"colour\"\n\
                    descriptors.kind = \"colour\"\npca.dimension = 12\n";
    put(folder, "two.toml", Config::named("quick").unwrap().to_toml() + channels);
    let path = folder.join("two.toml").to_str().unwrap().to_owned();
    Options { config: Some(path), ..options(&[]) }
}

#[test]
fn each_bad_file_and_each_stage_is_said_once() {
    let folder = TempDir::new().unwrap();
    let (_data, data) = copy_of(&fixture().data);
    put(&data, "JPEGImages/000002.jpg", b"no image at all");
    let listener = Listener::new(usize::MAX);
    let run =
        Run::open(&folder.path().join("run"), &two_channels(folder.path()), &listener).unwrap();
    // The split that is evaluated is the one that was trained on.
    run.run_all(&data, "train", "train").unwrap();
    let notes = listener.notes();
    let naming = |words: &str| notes.iter().filter(|note| note.contains(words)).count();
    assert_eq!(naming("000002.jpg"), 1, "{notes:?}");
    // What reads images does so once for all channels.
    for stage in ["extract: ", "encode train: "] {
        assert_eq!(naming(stage), 1, "{stage}: {notes:?}");
    }
    for channel in ["sift", "colour"] {
        for stage in ["fit-pca", "fit-gmm"] {
            assert_eq!(naming(&format!("{channel}: {stage}: ")), 1, "{stage}: {notes:?}");
        }
    }
    assert_eq!(naming("up to date"), 0, "{notes:?}");
    drop(run);
    // The next command says it again: as it did not make anything, where it stands in the index.
    let listener = Listener::new(usize::MAX);
    let run =
        Run::open(&folder.path().join("run"), &two_channels(folder.path()), &listener).unwrap();
    run.run_all(&data, "train", "train").unwrap();
    assert_eq!(
        listener.notes().iter().filter(|note| note.contains("encode train: up to date")).count(),
        1
    );
}

#[test]
fn predict_says_each_reason_once() {
    let (_folder, run) = copy_of(&fixture().run);
    let folder = TempDir::new().unwrap();
    put(folder.path(), "bad.jpg", b"no image at all");
    let (bad, run) = (folder.path().join("bad.jpg"), run.to_str().unwrap());
    let bad = bad.to_str().unwrap();
    let said = fvtool(&["predict", "--run", run, bad]);
    assert_eq!((said.code, said.err.matches("bad.jpg").count()), (1, 1), "{}", said.err);
    assert!(said.err.starts_with("error: ") && said.err.lines().count() == 1, "{}", said.err);
    let said = fvtool(&["predict", "--run", run, bad, "/no/image.jpg"]);
    assert_eq!((said.code, said.err.matches("bad.jpg").count()), (1, 1), "{}", said.err);
    assert!(said.err.ends_with("error: 2 of 2 images cannot be classified\n"), "{}", said.err);
    let said = fvtool(&["predict", "--run", run, bad, bad, "-q"]);
    assert_eq!(said.err.matches("bad.jpg").count(), 1, "{}", said.err);
    assert!(said.err.starts_with("error: 2 of 2 images cannot be classified; the first: "));
}

#[test]
fn nothing_found_draws_nothing_and_says_so() {
    let (_folder, run) = copy_of(&fixture().run);
    let listener = Listener::new(usize::MAX);
    let opened = Run::open(&run, &options(&[]), &listener).unwrap();
    let selection = Selection {
        classes: vec!["star".into()],
        images: vec!["000025".into()],
        only: Only::FalseNegatives,
        top: 0,
    };
    let drawing = Drawing { rule: Rule::PUBLISHED, shared_scale: true, raw: false, network: None };
    for only in [Only::FalseNegatives, Only::FalsePositives, Only::TruePositives] {
        let selection = Selection { only, ..selection.clone() };
        let drawn = opened.explain(&fixture().data, "test", &selection, &drawing).unwrap();
        assert!(drawn.len() < 2);
    }
    assert!(!listener.heard(&["0 heatmaps"]) && !listener.heard(&["1 heatmaps"]));
    assert!(!listener.heard(&["1 images"]));
}

#[test]
fn errors_and_notes_have_the_colours_of_claps() {
    let (_folder, run) = copy_of(&fixture().run);
    let call = |args: &[&str], name: &str, value: &str| {
        let output = Command::new(PROGRAM)
            .args(args)
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env(name, value)
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let label = |text: &str| text.split_once("rror:").map(|(before, _)| before.to_owned());
    let (of_clap, of_us) = (["frobnicate"], ["settings", "vlfaet"]);
    let clap = call(&of_clap, "CLICOLOR_FORCE", "1");
    let us = call(&of_us, "CLICOLOR_FORCE", "1");
    assert!(clap.starts_with('\u{1b}'), "{clap:?}");
    assert_eq!(label(&clap), label(&us));
    let note = ["predict", "--run", run.to_str().unwrap(), "/no/a.jpg", "/no/b.jpg"];
    assert!(call(&note, "CLICOLOR_FORCE", "1").starts_with("\u{1b}[32mnote:\u{1b}[0m "));
    // Without a terminal, or where colours are not wanted.
    for (name, value) in [("NO_COLOR", "1"), ("LC_ALL", "C")] {
        for args in [&of_clap[..], &of_us, &note] {
            assert!(!call(args, name, value).contains('\u{1b}'), "{args:?}");
        }
    }
    // A file's name steers no terminal.
    let said = call(&["predict", "--run", note[2], "/no/\u{1b}[31mred.jpg"], "CLICOLOR_FORCE", "1");
    assert!(!said.contains("\u{1b}[31mred") && said.contains("\\u{1b}[31mred.jpg"), "{said:?}");
}

/// A caller that prints the whole chain says the system's answer once.
#[test]
fn the_systems_answer_is_said_once_in_a_chain() {
    let error = Artifact::open(Path::new("/no/such/file")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("No such file") && error.source().is_none(), "{error}");
}

/// Nobody is told to delete what may be somebody's own file.
#[test]
fn no_advice_destroys_what_fvtool_did_not_write() {
    let (_folder, run) = copy_of(&fixture().run);
    for (name, content) in [
        ("gmm.safetensors", &b"my thesis"[..]),
        ("source.json", b"{\"mine\": 1}"),
        ("config.toml", b"[mine]\n"),
        ("fisher/train/index.json", b"{\"mine\": 1}"),
    ] {
        let (_copy, run) = copy_of(&run);
        put(&run, name, content);
        let opened = Run::open(&run, &Options::default(), &Silent);
        let text = match opened {
            Err(error) => error.to_string(),
            Ok(run) => match run.train("train") {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{name} was taken"),
            },
        };
        assert!(!text.contains("delete") && !text.contains("remove"), "{name}: {text}");
        assert!(text.contains(name), "{text}");
        assert_eq!(fs::read(run.join(name)).unwrap(), content, "{name}");
    }
}

#[test]
fn images_too_small_for_a_descriptor_are_said_to_be_so() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    for (split, class) in [("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")] {
        let path = data.join(split).join(class);
        fs::create_dir_all(&path).unwrap();
        for number in 0..2u8 {
            let image = ::image::GrayImage::from_fn(8, 8, |x, _| ::image::Luma([number + x as u8]));
            image.save(path.join(format!("{number}.png"))).unwrap();
        }
    }
    let run = open(&folder.path().join("run"), &[]);
    let text = refusal(run.run_all(&data, "train", "test"));
    assert!(text.starts_with("split `train`: no image gives a descriptor; the first, "), "{text}");
    assert!(text.contains("a/0.png") && text.contains("8 × 8"), "{text}");
}
