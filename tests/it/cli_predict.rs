//! `fvtool predict`: tables for people, CSV, an object a line; lists, whole and in parts.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{PROGRAM, assert_failed, assert_quietly_done, fvtool};
use crate::small_run::{copy_of, fixture};
use crate::support::{files_below, put};

#[test]
fn predict_prints_the_best_classes_of_each_image() {
    let (folder, run) = copy_of(&fixture().run);
    put(folder.path(), "bad.jpg", b"not an image");
    let bad = folder.path().join("bad.jpg");
    let image = fixture().data.join("JPEGImages/000025.jpg");
    let (run, image, bad) = (run.to_str().unwrap(), image.to_str().unwrap(), bad.to_str().unwrap());
    let said = fvtool(&["predict", "--run", run, "-q", image]);
    assert_quietly_done(&said);
    let lines: Vec<Vec<&str>> = said.out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|fields| fields.len() == 4 && fields[0] == image));
    let numbers = |field: usize| -> Vec<f64> {
        lines.iter().map(|fields| fields[field].parse().unwrap()).collect()
    };
    assert!(numbers(2).is_sorted_by(|a, b| a >= b), "best first: {}", said.out);
    assert!(numbers(3).iter().all(|p| (0.0..=1.0).contains(p)));
    assert_eq!(
        fvtool(&["predict", "--run", run, "-q", "--top", "0", image]).out.lines().count(),
        6
    );

    let said = fvtool(&["predict", "--run", run, "--json", bad, image]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("bad.jpg"), "{}", said.err);
    let lines = said.out.lines().map(|line| serde_json::from_str(line).unwrap());
    let value: Vec<Value> = lines.collect();
    assert!(value[0]["error"].as_str().unwrap().contains("bad.jpg"));
    assert_eq!(value[1]["image"], image);
    assert_eq!(value[1]["classes"].as_array().unwrap().len(), 6);
    assert!(
        value[1]["classes"][0]["score"].is_f64() && value[1]["classes"][0]["class"].is_string()
    );
    let best = value[1]["classes"].as_array().unwrap().iter();
    let best =
        best.max_by(|a, b| a["score"].as_f64().unwrap().total_cmp(&b["score"].as_f64().unwrap()));
    assert_eq!(value[1]["label"], best.unwrap()["class"]);
    // The header has every class, though the first image is none.
    let said = fvtool(&["predict", "--run", run, "--csv", "--least-probability", "1", bad, image]);
    let lines: Vec<Vec<&str>> = said.out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 10], "{}", said.out);
    assert_eq!(lines[0][..4], ["path", "label", "score", "probability"]);
    assert!(lines[1][1..].iter().all(|field| *field == "\"\""), "{}", said.out);
    // Nothing is certain: the label is empty, and the scores stay.
    assert!(lines[2][1] == "\"\"" && lines[2][4].parse::<f64>().is_ok(), "{}", said.out);
}

/// `predict --run RUN -q --list LIST`, then `more`.
fn predict(list: &Path, more: &[&str]) -> crate::cli::Said {
    let (run, list) = (fixture().run.to_str().unwrap(), list.to_str().unwrap());
    fvtool(&[&["predict", "--run", run, "-q", "--list", list], more].concat())
}

/// Writes a list of some of the fixture's images in every way that lines may end, with one that is none.
fn list_of_images(folder: &Path) -> std::path::PathBuf {
    let image = |number: usize| fixture().data.join(format!("JPEGImages/{number:06}.jpg"));
    let path = |number: usize| image(number).to_str().unwrap().to_owned();
    let (a, b, c) = (path(25), path(26), path(27));
    put(folder, "list.txt", format!("\u{feff}{a}\r\n{b}  \n\n/no/image.jpg\r\n{c}\n{a}"));
    folder.join("list.txt")
}

#[test]
fn parts_of_a_list_one_after_the_other_are_the_whole() {
    let folder = TempDir::new().unwrap();
    let list = list_of_images(folder.path());
    let output = |name: &str| folder.path().join("out").join(name);
    // More parts than lines: those without one have a header, and are done.
    let calls = [
        ("csv", &[][..]),
        ("txt", &["--csv"]),
        ("txt", &["--top", "2"]),
        ("txt", &[]),
        ("json", &["--json"]),
    ];
    for (ending, more) in calls {
        let csv = ending == "csv" || more == ["--csv"];
        let said = predict(&list, if csv { &["--csv"] } else { more });
        assert_eq!(said.code, 3);
        assert!(said.err.starts_with("error: 1 of 5 images cannot be classified"), "{}", said.err);
        let whole = said.out;
        let (header, rows) = match csv {
            true => whole.split_at(whole.find('\n').unwrap() + 1),
            false => ("", &whole[..]),
        };
        for count in if ending == "csv" { &[1, 2, 3, 7, 11][..] } else { &[3] } {
            let (mut together, mut failed) = (String::new(), 0);
            for index in 0..*count {
                let file = output(&format!("{index}.{ending}"));
                let part = format!("{index}/{count}");
                let to_file = ["--part", &part, "--output", file.to_str().unwrap()];
                let said = predict(&list, &[&to_file, more].concat());
                assert_eq!(said.out, "");
                failed += usize::from(said.code != 0);
                let text = std::fs::read_to_string(file).unwrap();
                together += text.strip_prefix(header).unwrap();
            }
            assert_eq!((together.as_str(), failed), (rows, 1), "{count} parts, {more:?}");
        }
    }
}

#[test]
fn a_long_list_is_scored_as_a_short_one() {
    let folder = TempDir::new().unwrap();
    let paths = ["a.png", "b.png", "none.png"].map(|name| folder.path().join(name));
    for (path, value) in paths.iter().zip([40, 200]) {
        let pixel = |x: u32, y: u32| image::Luma([(value as u32 + 7 * x * y % 50) as u8]);
        image::GrayImage::from_fn(40, 32, pixel).save(path).unwrap();
    }
    let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    put(folder.path(), "short.txt", &lines);
    put(folder.path(), "long.txt", lines.repeat(200));
    let rows = |name: &str| {
        let said = predict(&folder.path().join(name), &["--csv"]);
        let (header, rows) = said.out.split_once('\n').unwrap();
        (header.to_owned(), rows.to_owned(), said.err)
    };
    let ((header, short, _), (same, long, error)) = (rows("short.txt"), rows("long.txt"));
    assert_eq!(header, same);
    assert_eq!(short.lines().count(), 3);
    assert!(long == short.repeat(200));
    assert!(error.starts_with("error: 200 of 600 images cannot be classified"), "{error}");
}

#[test]
fn a_list_is_read_from_standard_input_and_images_follow_it() {
    let folder = TempDir::new().unwrap();
    let list = list_of_images(folder.path());
    let image = fixture().data.join("JPEGImages/000030.jpg");
    let (run, image) = (fixture().run.to_str().unwrap(), image.to_str().unwrap());
    let output = Command::new(PROGRAM)
        .args(["predict", "--run", run, "--list", "-", "--csv", image])
        .write_stdin(std::fs::read(&list).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let whole = predict(&list, &["--csv", image]);
    assert_eq!((text.lines().count(), &text), (7, &whole.out));
    assert!(text.lines().last().unwrap().starts_with(image), "{text}");
}

#[test]
fn the_part_of_a_job_array_is_taken_from_its_environment() {
    let folder = TempDir::new().unwrap();
    let list = list_of_images(folder.path());
    let (run, list_text) = (fixture().run.to_str().unwrap(), list.to_str().unwrap());
    let auto = |variables: &[(&str, &str)]| {
        let output = Command::new(PROGRAM)
            .args(["predict", "--run", run, "-q", "--csv", "--list", list_text, "--part", "auto"])
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let slurm = [
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_MAX", "3"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
    ];
    let (code, out, err) = auto(&slurm);
    assert_eq!((code, &out), (0, &predict(&list, &["--csv", "--part", "2/3"]).out), "{err}");
    assert!(out.lines().count() > 1);
    let (code, out, err) = auto(&[]);
    assert!(code == 2 && out.is_empty(), "{out}");
    assert!(err.contains("no job array is to be seen") && err.contains("--part I/N"), "{err}");
}

#[test]
fn an_output_is_written_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let list = list_of_images(folder.path());
    let output = folder.path().join("out/new.csv");
    let to_file = ["--output", output.to_str().unwrap()];
    let wrong = [std::fs::read(&list).unwrap(), b"\n\xff.jpg\n".to_vec()].concat();
    put(folder.path(), "wrong.txt", wrong);
    let wrong = folder.path().join("wrong.txt");
    let words = &["wrong.txt:7: not UTF-8 text"][..];
    assert_failed(&predict(&wrong, &to_file), words);
    assert!(files_below(&folder.path().join("out")).is_empty());
    // What was there stays.
    let before = "path,label,score,probability,a\n";
    put(folder.path(), "out/new.csv", before);
    assert_failed(&predict(&wrong, &to_file), words);
    let there = files_below(&folder.path().join("out"));
    assert_eq!(there.into_iter().collect::<Vec<_>>(), [("new.csv".into(), before.into())]);
    // What can be said is said before the list fails.
    assert_eq!(predict(&wrong, &["--csv"]).out, predict(&list, &["--csv"]).out);

    assert_failed(
        &predict(&list, &["--output", list.to_str().unwrap()]),
        &["list.txt holds no predictions"],
    );
    let out = folder.path().join("out");
    assert_failed(
        &predict(&list, &["--output", out.to_str().unwrap()]),
        &["a folder has this name"],
    );
    let run = fixture().run.to_str().unwrap();
    let image = fixture().data.join("JPEGImages/000025.jpg");
    let said =
        fvtool(&[&["predict", "--run", run, image.to_str().unwrap()], &to_file[..]].concat());
    assert_eq!((said.code, said.out.as_str()), (0, ""));
    assert!(said.err.contains("1 image: ") && said.err.contains("new.csv"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(&output).unwrap().lines().count(), 2);
}

#[test]
fn what_is_no_part_of_a_list_is_refused() {
    let folder = TempDir::new().unwrap();
    let list = list_of_images(folder.path());
    put(folder.path(), "empty.txt", "\n \n");
    let empty = folder.path().join("empty.txt");
    assert_failed(&predict(&empty, &[]), &["no image is named"]);
    let said = predict(&empty, &["--csv", "--part", "0/1"]);
    assert_quietly_done(&said);
    assert_eq!(said.out.lines().count(), 1);
    assert_failed(
        &predict(Path::new("-"), &["--part", "0/1"]),
        &["--part", "standard input is none"],
    );
    assert_failed(&predict(Path::new("/no/list.txt"), &["--part", "0/1"]), &["/no/list.txt"]);
    let to_csv = ["--top", "2", "--output", "/no/x.csv"];
    assert_failed(&predict(&list, &to_csv), &["--top is for the table"]);
    let run = fixture().run.to_str().unwrap();
    for (said, words) in [
        (predict(&list, &["--part", "3/3"]), "the last one of 3 is 2/3"),
        (predict(&list, &["--part", "0/2", "x.jpg"]), "cannot be used with"),
        (fvtool(&["predict", "--run", run, "--part", "0/2", "x.jpg"]), "cannot be used with"),
        (fvtool(&["predict", "--run", run, "--part", "0/2"]), "--list"),
    ] {
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(said.err.contains(words), "{}", said.err);
    }
}
