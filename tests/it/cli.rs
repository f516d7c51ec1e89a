//! The built program: grammar, exit codes, what goes to stdout and what to stderr.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use crate::small_run::{SMALL, assert_same, contents, copy_of, fixture};
use crate::support::put;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_fvtool");

/// What a call of the program left.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn fvtool<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Said {
    // Help is wrapped at the width of the terminal, where there is one.
    let output =
        Command::new(PROGRAM).env("COLUMNS", "100").args(args).write_stdin("").output().unwrap();
    Said {
        code: output.status.code().expect("it ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `command --run RUN` with a data folder and a split, then `more`.
pub fn on(command: &str, run: &Path, data: &Path, split: &str, more: &[&str]) -> Said {
    let (run, data) = (run.to_str().unwrap(), data.to_str().unwrap());
    let args = [command, "--run", run, "--data", data, "--split", split];
    fvtool(&[&args, more].concat())
}

/// Done, and said nothing but results.
#[track_caller]
pub fn assert_quietly_done(said: &Said) {
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(!said.out.is_empty());
}

/// Failed with `words`, and no results.
#[track_caller]
pub fn assert_failed(said: &Said, words: &[&str]) {
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(lines.last().is_some_and(|line| line.starts_with("error: ")), "{}", said.err);
    assert!(words.iter().all(|word| said.err.contains(word)), "{words:?}: {}", said.err);
}

#[test]
fn the_help_of_the_program() {
    let said = fvtool(&["-h"]);
    assert_quietly_done(&said);
    insta::assert_snapshot!(said.out, @r#"
    Classify images with Fisher vectors on a plain CPU

    Usage: fvtool [OPTIONS] <COMMAND>

    Commands:
      demo            Make a synthetic data set, run the whole pipeline on it, and show what comes out
      run             Run everything: fit on one split, evaluate on another
      extract         Draw the training descriptors
      fit-pca         Fit the PCA (and what it needs)
      fit-gmm         Fit the Gaussian mixture (and what it needs)
      fit-layer       Learn projection and mixture together, from labels (and fit what that starts from)
      encode          Encode every image of a split as a Fisher vector
      train-svm       Train the one-vs-rest classifier on an encoded split
      eval            Score and evaluate a split
      cross-validate  Score every image by a classifier that has not seen it, fold by fold
      explain         Draw which pixels decided, measure context, or test the heatmaps
      why             Tell which training images made an image's score
      audit           Look for classes that are recognised by something that is not their object
      check           Look for copies, wrong labels and images that do not belong
      report          Write a split on one page, with pictures
      revise          Train again without what was found, and compare
      compare         Set two runs on the same images side by side: precision, context, heatmaps
      predict         Classify image files
      describe        Write one image's descriptors, projections and Fisher vector, for use elsewhere
      export          Write vectors, labels and names of splits to one file, for NumPy or a spreadsheet
      inspect         Show what an artifact holds and what it was made from, or what a network offers
      settings        List every setting, or print a preset or a run's configuration
      completions     Print a completion script for a shell
      man             Print the manual page
      help            Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Options of every command:
          --seed <N>           Seed of every random choice [default: the configuration's]
          --threads <N>        Worker threads; results do not depend on them [default: all cores]
          --max-memory <SIZE>  Most memory to allocate, for example 2GiB; results do not depend on it
                               [default: no limit]
          --json               Print results as JSON
      -q, --quiet              Say nothing but results and errors
      -v, --verbose            Also say how the program runs, and how long it took
    "#);
}

#[test]
fn the_help_of_run() {
    let said = fvtool(&["run", "--help"]);
    assert_quietly_done(&said);
    insta::assert_snapshot!(said.out, @r#"
    Run everything: fit on one split, evaluate on another

    Usage: fvtool run [OPTIONS] --run <DIR>

    Options:
          --data <DIR>            Data folder: PASCAL VOC devkit (VOCdevkit/VOC2007), one folder per
                                  class, or images with a table of labels [default: that of --labels, or
                                  the one that the run was fitted to]
          --train <NAME>          Split to fit and train on [default: train, training or trainval,
                                  whichever is there]
          --test <NAME>           Split to evaluate [default: test, testing, val, valid or validation]
          --run <DIR>             Run folder: holds everything this experiment makes
          --config <FILE|PRESET>  Preset (best, chatfield, deep-fast, deep, fast, lrp, quick, scene15,
                                  vlfeat) or TOML file [default: the run's own configuration, `best` in
                                  a new run]
          --set <KEY=VALUE>       Override one setting; may be repeated
          --labels <FILE>         Table of labels: CSV or TSV with a row for each image, or COCO's JSON
                                  (`data.labels`); the run remembers it
          --network <FILE>        The network that descriptors come from, an ONNX file (`network.file`);
                                  the run remembers it
          --refit                 Make again what was made with other settings or from other data
          --reuse <RUN>           Take over what this other run has made with the same settings from the
                                  same data; may be repeated
          --strict                Stop at the first image that cannot be used
          --allow-skipped         Exit with 0 even when images had to be skipped
      -h, --help                  Print help

    Options of every command:
          --seed <N>           Seed of every random choice [default: the configuration's]
          --threads <N>        Worker threads; results do not depend on them [default: all cores]
          --max-memory <SIZE>  Most memory to allocate, for example 2GiB; results do not depend on it
                               [default: no limit]
          --json               Print results as JSON
      -q, --quiet              Say nothing but results and errors
      -v, --verbose            Also say how the program runs, and how long it took
    "#);
}

#[test]
fn every_command_explains_itself() {
    let help = fvtool(&["--help"]).out;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.contains(&"predict") && commands.len() >= 13, "{commands:?}");
    for command in commands {
        let said = fvtool(&[command, "--help"]);
        assert_quietly_done(&said);
        assert!(said.out.contains("Usage: fvtool"), "{command}: {}", said.out);
    }
    let said = fvtool(&["--version"]);
    assert_eq!(said.out, concat!("fvtool ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_usage_is_exit_2() {
    for (args, word) in [
        (&["--frobnicate"][..], "--frobnicate"),
        (&["frobnicate"], "frobnicate"),
        (&["run", "--frobnicate"], "--frobnicate"),
        (&["run"], "--run"),
        (&["settings", "--threads", "0"], "--threads"),
        (&["settings", "--seed", "-1"], "-1"),
        (&["settings", "-z"], "-z"),
        (&["completions", "tcsh"], "tcsh"),
        (&[], "Usage:"),
    ] {
        let said = fvtool(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}: {}", said.err);
        assert!(said.err.contains(word), "{args:?}: {}", said.err);
    }
}

#[test]
fn what_cannot_be_done_is_exit_1_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let said = on("fit-gmm", &run, Path::new("/no/such/folder"), "train", &[]);
    assert_failed(&said, &["/no/such/folder", "no such folder"]);
    let said = on("fit-gmm", &run, &fixture().data, "train", &["--config", "vlfaet"]);
    assert_failed(&said, &["vlfaet", "vlfeat"]);
    let said = on("fit-gmm", &run, &fixture().data, "train", &["--set", "gmm.component=3"]);
    assert_failed(&said, &["--set gmm.component=3", "components"]);
    let said = on("fit-gmm", &run, &fixture().data, "train", &["--set", "gmm.components=0"]);
    assert_failed(&said, &["`gmm.components` is 0", "a whole number from 1 to 65536"]);
    let huge = ["--seed", "18446744073709551615"];
    let said = on("fit-gmm", &run, &fixture().data, "train", &huge);
    assert_failed(&said, &["`seed` is 18446744073709551615"]);
    let said = on("fit-gmm", &run, &fixture().data, "trian", &[]);
    assert_failed(&said, &["no split `trian`; there are: test, train; did you mean `train`?"]);
    assert_failed(&fvtool(&["settings", "no.toml"]), &["no.toml"]);
    // A photograph is no artifact, and nobody is to delete it for that.
    let image = fixture().data.join("JPEGImages/000001.jpg");
    assert_failed(&fvtool(&["inspect", image.to_str().unwrap()]), &["000001.jpg: not an artifact"]);
}

#[test]
fn a_mistyped_run_folder_is_not_made() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("rnu");
    let run_text = run.to_str().unwrap();
    let image = fixture().data.join("JPEGImages/000001.jpg");
    let image = image.to_str().unwrap();
    for args in [
        &["predict", "--run", run_text, image][..],
        &["describe", "--run", run_text, image, "-o", "x"],
        &["train-svm", "--run", run_text, "--split", "train"],
        &["eval", "--run", run_text, "--data", ".", "--split", "test"],
    ] {
        assert_failed(&fvtool(args), &["run folder", "rnu is missing", "fvtool run"]);
        assert!(!run.exists());
    }
}

#[test]
fn settings_are_printed_as_a_page_and_as_a_file() {
    let said = fvtool(&["settings"]);
    assert_quietly_done(&said);
    assert!(said.out.starts_with("# Settings\n") && said.out.contains("## `[gmm]`"));
    let said = fvtool(&["settings", "quick"]);
    assert_quietly_done(&said);
    // What is printed can be given back, and is complete.
    let folder = TempDir::new().unwrap();
    put(folder.path(), "quick.toml", &said.out);
    let again = fvtool(&["settings".as_ref(), folder.path().join("quick.toml").as_os_str()]);
    assert_eq!(again.out, said.out);
    assert!(said.out.starts_with("seed = 1\n") && said.out.contains("\n[gmm]\ncomponents = 32\n"));
}

#[test]
fn completions_and_manual_page_come_from_the_grammar() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = fvtool(&["completions", shell]);
        assert_quietly_done(&said);
        assert!(said.out.contains("train-svm") && said.out.contains("allow-skipped"), "{shell}");
    }
    let said = fvtool(&["man"]);
    assert_quietly_done(&said);
    assert!(
        said.out.contains(".TH fvtool") && said.out.contains("allow\\-skipped"),
        "{}",
        said.out
    );
}

#[test]
fn inspect_shows_what_an_artifact_is() {
    let path = fixture().run.join("gmm.safetensors");
    let said = fvtool(&["inspect".as_ref(), path.as_os_str()]);
    assert_quietly_done(&said);
    let filters = [
        (r"fvtool \d+\.\d+\.\d+", "fvtool VERSION"),
        (r"[0-9a-f]{32}", "FINGERPRINT"),
        // Numbers may differ in their last digits between processors.
        (r"-?\d+\.\d\d\d+", "NUMBER"),
        (r"\[NUMBER(,NUMBER)+\]", "[NUMBERS]"),
    ];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!(said.out, @r#"
        kind         gmm
        format       3 (written by fvtool VERSION)
        fingerprint  FINGERPRINT
        checksum     ok
        tensor       weights F32 8, NUMBER to NUMBER, mean NUMBER
        tensor       means F32 8 × 24, NUMBER to NUMBER, mean NUMBER
        tensor       variances F32 8 × 24, NUMBER to NUMBER, mean NUMBER
        made from
          data = null
          format = "3"
          parents
            pca.safetensors = "FINGERPRINT"
          settings
            gmm
              batch_rows = 8192
              components = 8
              decay = 0.9
              factors = 8
              family = "gaussian"
              floor_reference = "dimension"
              hidden = 64
              kmeans_iterations = 3
              max_iterations = 5
              method = "em"
              restarts = 1
              tolerance = NUMBER
              variance_floor = NUMBER
            seed = 1
          stage = "gmm"
        report
          aic = NUMBER
          bic = NUMBER
          floored_components = 1
          kmeans_inertia = [NUMBERS]
          max_weight = NUMBER
          mean_log_likelihood = [NUMBERS]
          min_weight = NUMBER
          reseeded = []
          restarts = [NUMBER]
          rows = 4008
          stop = "iteration-limit"
        "#);
    });
    let said = fvtool(&["inspect".as_ref(), path.as_os_str(), "--json".as_ref()]);
    assert_quietly_done(&said);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&value["kind"], &value["checksum"]), (&"gmm".into(), &"ok".into()));
    assert_eq!(value["tensors"][1]["name"], "means");
    assert_eq!(value["tensors"][1]["shape"], serde_json::json!([8, 24]));
    assert_eq!(value["inputs"]["settings"]["gmm"]["components"], 8);
}

/// The shape of `eval --json` on which other programs build.
fn assert_documented_shape(text: &str, classes: usize, single_label: bool) {
    let fraction = |value: &Value| value.as_f64().is_some_and(|v| (0.0..=1.0).contains(&v));
    let fraction_or_null = |value: &Value| value.is_null() || fraction(value);
    assert_eq!(text.matches('\n').count(), 1, "one line");
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value["split"].is_string());
    for key in ["voc2007", "voc2010"] {
        assert!(fraction(&value["map"][key]), "map.{key} is {}", value["map"][key]);
    }
    // `get` tells a null from a key that is not there.
    let accuracy = value.get("accuracy").expect("accuracy is there, if only as null");
    if single_label {
        assert!(fraction(&accuracy["overall"]) && fraction(&accuracy["mean_class"]), "{accuracy}");
    } else {
        assert!(accuracy.is_null());
    }
    let list = value["classes"].as_array().unwrap();
    assert_eq!(list.len(), classes);
    for class in list {
        assert!(class["class"].is_string());
        for key in ["ap_voc2007", "ap_voc2010"] {
            assert!(fraction_or_null(class.get(key).unwrap()), "{key} is {}", class[key]);
        }
        assert!(class["positives"].is_u64() && class["ignored"].is_u64());
        assert_eq!(class["ap_voc2007"].is_null(), class["positives"] == 0);
    }
}

#[test]
fn a_whole_run_from_the_command_line() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let (run_text, data) = (run.to_str().unwrap(), fixture().data.to_str().unwrap());
    let mut args = vec!["run", "--data", data, "--train", "train", "--test", "test"];
    args.extend(["--run", run_text, "--config", "quick"]);
    SMALL.iter().for_each(|setting| args.extend(["--set", setting]));
    let said = fvtool(&args);
    assert_eq!(said.code, 0, "{}", said.err);
    // The same run as the library's, file by file.
    assert_same(&contents(&fixture().run), &contents(&run));
    assert!(said.out.contains("AP 2007") && said.out.contains("mAP, VOC 2007"), "{}", said.out);
    for stage in ["extract", "fit-pca", "fit-gmm", "encode train", "train-svm", "encode test"] {
        let line = said.err.lines().find(|line| line.starts_with(stage));
        assert!(line.is_some_and(|line| line.contains(" s")), "{stage}: {}", said.err);
        assert!(!said.out.contains(stage));
    }
    // Without settings they are the run's own; nothing is done, and the results are said again.
    let again = fvtool(&args[..9]);
    assert_eq!((again.code, &again.out), (0, &said.out));
    assert!(again.err.contains("everything is up to date"), "{}", again.err);
    let one = fvtool(&[&args[..9], &["-q", "--threads", "1"]].concat());
    assert_quietly_done(&one);
    assert_eq!(one.out, said.out);
    // With others it is refused.
    let said = fvtool(&[&args[..9], &["--set", "gmm.components=16"]].concat());
    assert_failed(&said, &["`gmm.components` was 8, now 16", "--refit"]);
    assert_same(&contents(&fixture().run), &contents(&run));
}

#[test]
fn stage_commands_print_what_they_made() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let mut settings = vec!["--config", "quick", "-q"];
    SMALL.iter().for_each(|setting| settings.extend(["--set", setting]));
    let data = &fixture().data;
    for (command, artifact) in [
        ("extract", "descriptors/sample.safetensors"),
        ("fit-pca", "pca.safetensors"),
        ("fit-gmm", "gmm.safetensors"),
        ("encode", "fisher/train/index.json"),
    ] {
        let said = on(command, &run, data, "train", &settings);
        assert_quietly_done(&said);
        assert_eq!(said.out, format!("{}\n", run.join(artifact).display()));
        let said = on(command, &run, data, "train", &["-q", "--json"]);
        let value: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(value["made"], false, "{command} the second time");
        assert_eq!(value["fingerprint"].as_str().unwrap().len(), 32);
    }
    let train = ["train-svm", "--run", run.to_str().unwrap(), "--split", "train", "-q"];
    let said = fvtool(&train);
    assert_quietly_done(&said);
    assert_eq!(said.out, format!("{}\n", run.join("svm.safetensors").display()));
    assert_quietly_done(&on("eval", &run, data, "test", &["-q"]));
    assert_same(&contents(&fixture().run), &contents(&run));
}

#[test]
fn explanations_are_tables_or_json() {
    let (_folder, run) = copy_of(&fixture().run);
    let explain = |more: &[&str]| on("explain", &run, &fixture().data, "test", more);
    let said = explain(&["-q", "--class", "wheel", "--top", "2", "--rule", "absolute"]);
    assert_quietly_done(&said);
    assert_eq!(said.out.lines().count(), 2);
    assert!(
        said.out.lines().all(|l| l.starts_with("wheel\t") && l.ends_with(".png")),
        "{}",
        said.out
    );
    let said = explain(&["-q", "--json", "--class", "wheel", "--only", "all"]);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    let maps = value.as_array().unwrap();
    assert_eq!(maps.len(), 3);
    for map in maps {
        let lost = map["relevance"].as_f64().unwrap() - map["score"].as_f64().unwrap();
        assert!((lost - map["residual"].as_f64().unwrap()).abs() < 1e-9);
        assert!(Path::new(map["file"].as_str().unwrap()).is_file());
    }
    let said = explain(&["-q", "--context"]);
    assert!(said.out.starts_with("class"), "{}", said.out);
    let said = explain(&["-q", "--json", "--quality", "--class", "wheel", "--top", "1"]);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(value["rule"], "epsilon 100");
    let said = explain(&["--context", "--quality"]);
    assert_eq!(said.code, 2);
    assert_eq!(explain(&["--quality", "--only", "all"]).code, 2);
    let said = explain(&["--rule", "alpha"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("plain, epsilon, absolute"), "{}", said.err);
    let said = on("audit", &run, &fixture().data, "test", &["-q", "--json"]);
    assert_quietly_done(&said);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert!(value["findings"].is_array() && value["pairs"].is_u64());
    assert!(value["least_images"] == 5 && value["not_judged"][0]["recognised"].is_u64());
}

#[test]
fn eval_prints_json_of_the_documented_shape() {
    let (_folder, run) = copy_of(&fixture().run);
    let said = on("eval", &run, &fixture().data, "test", &["--json", "-q"]);
    assert_quietly_done(&said);
    assert_documented_shape(&said.out, 6, false);
    // The stored figures are the same.
    let mut stored: Value =
        serde_json::from_str(&fs::read_to_string(run.join("eval/test.json")).unwrap()).unwrap();
    for key in ["fingerprint", "checksum", "files"] {
        stored.as_object_mut().unwrap().remove(key).unwrap();
    }
    let mut printed: Value = serde_json::from_str(&said.out).unwrap();
    // What became of the data folder's files is no figure.
    let files = printed.as_object_mut().unwrap().remove("data_files").unwrap();
    assert_eq!((&files["used"], &files["other_splits"]), (&18.into(), &24.into()));
    // Nor is how the stages ended.
    let stages = printed.as_object_mut().unwrap().remove("stages").unwrap();
    let last = stages.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["stage"], &last["split"], &last["made"]),
        (&"eval".into(), &"test".into(), &false.into())
    );
    assert_eq!(stored, printed);

    // A folder per class; one of the classifier's classes is not there.
    let data = run.with_file_name("classes");
    for (class, id) in [("spiral", "000025"), ("star", "000026"), ("star", "000027")] {
        let image = fs::read(fixture().data.join(format!("JPEGImages/{id}.jpg"))).unwrap();
        put(&data, format!("new/{class}/{id}.jpg"), image);
    }
    let said = on("eval", &run, &data, "new", &["--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_documented_shape(&said.out, 6, true);
}

#[test]
fn skipped_images_are_exit_3_unless_allowed() {
    let (folder, run) = copy_of(&fixture().run);
    let data = folder.path().join("new");
    let image = fs::read(fixture().data.join("JPEGImages/000025.jpg")).unwrap();
    put(&data, "some/star/good.jpg", &image);
    put(&data, "some/spiral/bad.jpg", b"not an image");
    let said = on("encode", &run, &data, "some", &["--strict"]);
    assert_failed(&said, &["bad.jpg"]);
    for (command, more, code) in [
        ("encode", &[][..], 3),
        ("encode", &["--allow-skipped"], 0),
        ("eval", &[], 3),
        ("eval", &["--allow-skipped"], 0),
        // Done before, and still not whole.
        ("eval", &[], 3),
    ] {
        let said = on(command, &run, &data, "some", more);
        assert_eq!(said.code, code, "{command} {more:?}: {}", said.err);
        assert!(!said.out.is_empty() && !said.out.contains("bad.jpg"), "{}", said.out);
    }
    let said = on("encode", &run, &data, "some", &["--json"]);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&value["images"], &value["skipped"]), (&1.into(), &1.into()));
    assert_eq!(on("eval", &run, &data, "some", &["--strict", "--allow-skipped"]).code, 2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let gmm = fixture().run.join("gmm.safetensors");
    for args in [&["man"][..], &["settings"], &["inspect", gmm.to_str().unwrap()], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = std::process::Command::new(PROGRAM)
            .args(args)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(PROGRAM)
        .arg("settings")
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.starts_with("error: ") && err.contains("space"), "{err}");
}

#[test]
fn verbose_says_how_every_command_runs() {
    let run = fixture().run.to_str().unwrap();
    let svm = fixture().run.join("svm.safetensors");
    for call in [&["settings"][..], &["inspect", svm.to_str().unwrap()], &["predict", "--run", run]]
    {
        let plain = fvtool(call);
        let said = fvtool(&[call, &["-v", "--threads", "1"]].concat());
        assert_eq!((said.code, &said.out), (plain.code, &plain.out), "{call:?}");
        if said.code == 0 {
            let first = format!("fvtool {}, 1 thread, ", env!("CARGO_PKG_VERSION"));
            assert!(said.err.starts_with(&first), "{}", said.err);
            assert!(said.err.contains("ended after "), "{}", said.err);
        }
    }
    assert_eq!(fvtool(&["settings", "-v", "-q"]).code, 2);
}
