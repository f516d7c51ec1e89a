//! `fvtool predict`: tables for people, CSV, an object a line.

use serde_json::Value;

use crate::cli::{assert_quietly_done, fvtool};
use crate::small_run::{copy_of, fixture};
use crate::support::put;

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
    assert_eq!(said.code, 1);
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
