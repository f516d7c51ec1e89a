//! Training and serving score the same values, whatever form the vectors are stored in.

use fvtool::artifacts::{Artifact, Shards};
use fvtool::explain::{Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::explanation::quality::Params;
use fvtool::linalg::Rows;
use tempfile::TempDir;

use crate::small_run::{copy_of, fixture, refit, scores};

/// Vectors of `storage`: every image predicts what it was evaluated at, bit for bit, and explanations
/// begin at that score.
fn serves_what_it_stores(storage: &str) {
    let data = &fixture().data;
    let (_held, dir) = copy_of(&fixture().run);
    let run = refit(&dir, &[&format!("encoding.storage={storage}")]);
    run.run_all(data, "train", "test").unwrap();
    let table = scores(&dir, "test");
    let path = |id: &String| data.join("JPEGImages").join(format!("{id}.jpg"));
    let images: Vec<_> = table.ids.iter().map(path).collect();
    let predictions = run.predict(&images).unwrap();
    for (prediction, scores) in predictions.into_iter().zip(table.values.rows()) {
        let got: Vec<f32> = prediction.outcome.unwrap().iter().map(|class| class.score).collect();
        assert_eq!(got, scores.to_vec(), "{storage}: {}", prediction.path.display());
    }

    // What is written for one image is the row of the shard.
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("described.safetensors");
    run.describe(&images[3], &output).unwrap();
    let shard = dir.join("fisher/test/00000.safetensors");
    let shards = Shards::open([shard.as_path()]).unwrap();
    let described = Artifact::open(&output).unwrap();
    assert_eq!(described.f32("vector").unwrap().1, shards.row(3, &mut Vec::new()));

    // Sums of a few thousand products, in f64 and in f32.
    let near = |a: f64, b: f32| (a - f64::from(b)).abs() < 1e-5 * (1.0 + f64::from(b.abs()));
    let of_class = |name: &String| table.classes.iter().position(|class| class == name).unwrap();
    let selection =
        Selection { classes: vec![], images: vec![table.ids[3].clone()], only: Only::All, top: 0 };
    let drawing = Drawing { rule: Rule::Absolute, shared_scale: false, raw: false, network: None };
    for map in run.explain(data, "test", &selection, &drawing).unwrap() {
        let score = table.values[[3, of_class(&map.class)]];
        assert!(near(map.score, score), "{storage}: {} is not {score}", map.score);
    }
    let best = Selection { classes: vec![], images: vec![], only: Only::All, top: 1 };
    let params = Params { batch: 50, most: 100, repeats: 1 };
    let quality = run.explain_quality(data, "test", &best, Rule::Absolute, &params).unwrap();
    assert!(!quality.classes.is_empty());
    for class in quality.classes {
        let column = table.values.column(of_class(&class.class));
        let first = class.scores[0][0];
        assert!(column.iter().any(|&score| near(first, score)), "{storage}: {first} of {column}");
    }
}

#[test]
fn vectors_of_f32_are_served_as_they_are_stored() {
    serves_what_it_stores("f32");
}

#[test]
fn vectors_of_f16_are_served_as_they_are_stored() {
    serves_what_it_stores("f16");
}

#[test]
fn compressed_vectors_are_served_as_they_are_stored() {
    serves_what_it_stores("compressed");
}
