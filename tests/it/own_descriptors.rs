//! Descriptors of another program, read from `.npy` files.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::dataset::Item;
use fvtool::descriptors::{Extractor, Scratch};
use fvtool::explain::{Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::image;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use ndarray::{Array2, concatenate, prelude::*};
use ndarray_npy::write_npy;
use tempfile::TempDir;

use crate::small_run::{fixture, options, refusal};
use crate::support::put;

/// Every image's dense SIFT as another program would leave it: x, y, side, 128 values.
fn describe(folder: &Path) {
    let config = options(&[]);
    let config = Config::named("quick").unwrap().with_overrides(&config.overrides).unwrap();
    let extractor = Extractor::new(&config.descriptors).unwrap();
    for entry in fs::read_dir(fixture().data.join("JPEGImages")).unwrap() {
        let item = Item::of_file(&entry.unwrap().path());
        let plane = image::load_luminance(&item.path, &config.image).unwrap();
        let found = extractor.extract(&plane, &mut Scratch::default());
        let frames = found.frames.iter().flat_map(|f| [f.x, f.y, 4.0 * f.size_px]).collect();
        let frames = Array2::from_shape_vec((found.frames.len(), 3), frames).unwrap();
        let rows = concatenate![Axis(1), frames, found.rows];
        write_npy(folder.join(format!("{}.npy", item.id)), &rows.as_standard_layout()).unwrap();
    }
}

fn files(folder: &Path, overrides: &[&str]) -> Options {
    let folder = format!("descriptors.folder={}", folder.display());
    let all = [&["descriptors.kind=files", &folder], overrides].concat();
    options(&all)
}

fn open<'p>(run: &Path, options: &Options) -> Run<'p> {
    Run::open(run, options, &Silent).unwrap()
}

fn vectors(run: &Path) -> Vec<f32> {
    let shard = Artifact::open(&run.join("fisher/test/00000.safetensors")).unwrap();
    shard.matrix("vectors").unwrap().iter().copied().collect()
}

fn folders() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    let (given, run) = (folder.path().join("given"), folder.path().join("run"));
    fs::create_dir(&given).unwrap();
    describe(&given);
    (folder, given, run)
}

/// The reference is the run that computes the same descriptors: every vector to the bit.
#[test]
fn given_descriptors_lead_where_computed_ones_do() {
    let (folder, given, dir) = folders();
    let data = &fixture().data;
    let evaluated = open(&dir, &files(&given, &[])).run_all(data, "train", "test").unwrap().1;
    assert_eq!(vectors(&dir), vectors(&fixture().run));
    let scores = |run: &Path| fs::read(run.join("scores/test.csv")).unwrap();
    assert_eq!(scores(&dir), scores(&fixture().run));
    assert!(evaluated.made);

    // The run remembers its settings, its folder may move, and what the files hold is part of the data.
    let moved = folder.path().join("moved");
    fs::rename(&given, &moved).unwrap();
    let text = refusal(Run::open(&dir, &Options::default(), &Silent).map(|_| ()));
    assert!(text.contains("descriptors.folder") && text.contains("given"), "{text}");
    let run = open(&dir, &files(&moved, &[]));
    assert!(!run.run_all(data, "train", "test").unwrap().1.made);

    // Heatmaps and predictions find the file by the image's name.
    let image = data.join("JPEGImages/000030.jpg");
    let predicted = run.predict(slice::from_ref(&image)).unwrap();
    let reference = open(&fixture().run, &options(&[])).predict(&[image]).unwrap();
    assert_eq!(predicted[0].outcome, reference[0].outcome);
    let selection =
        Selection { classes: Vec::new(), images: Vec::new(), only: Only::Present, top: 1 };
    let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: false, network: None };
    assert!(!run.explain(data, "test", &selection, &drawing).unwrap().is_empty());

    let file = moved.join("000001.npy");
    fs::copy(moved.join("000002.npy"), &file).unwrap();
    let text = refusal(run.run_all(data, "train", "test"));
    assert!(text.contains("images or labels of its split have changed"), "{text}");
}

#[test]
fn a_file_that_cannot_be_used_costs_its_image_alone() {
    let (_folder, given, dir) = folders();
    let file = |id: &str| given.join(format!("{id}.npy"));
    fs::remove_file(file("000001")).unwrap();
    put(&given, "000002.npy", b"no array");
    write_npy(file("000003"), &Array2::<f32>::zeros((4, 99))).unwrap();
    write_npy(file("000004"), &Array1::<f32>::zeros(131)).unwrap();
    write_npy(file("000005"), &Array2::<f64>::zeros((4, 131))).unwrap();
    let mut rows = Array2::<f32>::zeros((4, 131));
    rows[[2, 7]] = f32::NAN;
    write_npy(file("000006"), &rows).unwrap();
    write_npy(file("000007"), &Array2::<f32>::zeros((0, 131))).unwrap();
    write_npy(file("000008"), &Array2::<f32>::zeros((4, 131))).unwrap();
    let run = open(&dir, &files(&given, &[]));
    let encoded = run.run_all(&fixture().data, "train", "test").unwrap().0;
    assert_eq!(encoded.skipped, 8);
    let reasons = run.index("train").unwrap().skipped;
    for (id, words) in [
        ("000001", "000001.npy"),
        ("000002", "not an .npy file of f32"),
        ("000003", "99 columns where 131 belong: x, y, side and descriptors.dimension = 128"),
        ("000004", "expected a 2-D array, got shape [131]"),
        ("000005", "float32"),
        ("000006", "row 2, column 7 is NaN"),
        ("000007", "no descriptor"),
        ("000008", "row 0 has a side of 0, not above 0"),
    ] {
        let found = reasons.iter().find(|skipped| skipped.id == id).unwrap();
        assert!(found.reason.contains(words), "{id}: {}", found.reason);
    }
}

/// The image of every file below is 120 × 96 pixels.
#[test]
fn places_outside_the_image_are_refused() {
    let (_folder, given, dir) = folders();
    let put = |id: &str, places: &[[f32; 3]]| {
        let mut rows = Array2::<f32>::from_elem((places.len(), 131), 0.1);
        for (mut row, place) in rows.rows_mut().into_iter().zip(places) {
            row.slice_mut(s![..3]).assign(&ArrayView1::from(place));
        }
        write_npy(given.join(format!("{id}.npy")), &rows).unwrap();
    };
    // y before x, as some programs write frames.
    put("000001", &[[20.0, 110.0, 16.0], [90.0, 119.0, 16.0]]);
    put("000002", &[[60.0, 40.0, 16.0], [300.0, 250.0, 16.0]]);
    put("000003", &[[60.0, -30.0, 16.0]]);
    put("000004", &[[0.5, 0.25, 16.0], [1.0, 0.75, 16.0]]);
    put("000005", &[[60.0, 40.0, 4000.0]]);
    put("000006", &[[60.0, 40.0, 16.0], [1e9, 1e9, 16.0]]);
    // Just at the border: other programs count from 1, or from the corner of the first pixel.
    put("000007", &[[-1.5, -2.0, 16.0], [120.0, 96.0, 16.0], [121.0, 97.0, 200.0]]);
    put("000008", &[[0.0, 0.0, 120.0]]);
    let run = open(&dir, &files(&given, &[]));
    run.run_all(&fixture().data, "train", "test").unwrap();
    let reasons = run.index("train").unwrap().skipped;
    for (id, words) in [
        (
            "000001",
            "x = 20, y = 110, outside the 120 × 96 pixels of the image (2 of 2 rows do); all lie \
                    inside with x and y exchanged",
        ),
        ("000002", "row 1 has its centre at x = 300, y = 250, outside"),
        ("000003", "pixels of the upright image"),
        ("000004", "all centres lie between 0 and 1"),
        ("000005", "row 0 has a side of 4000"),
        ("000006", "1 of 2 rows do"),
    ] {
        let found = reasons.iter().find(|skipped| skipped.id == id).unwrap();
        assert!(found.reason.contains(words), "{id}: {}", found.reason);
    }
    assert_eq!(reasons.len(), 6, "{reasons:?}");
}

#[test]
fn settings_that_cannot_be_obeyed_are_refused() {
    let (folder, given, dir) = folders();
    let missing = folder.path().join("nothing");
    for (options, words) in [
        (files(&missing, &[]), "descriptors.folder"),
        (options(&["descriptors.kind=files"]), "descriptors.folder"),
        (files(&given, &["descriptors.dimension=0"]), "descriptors.dimension"),
        (files(&given, &["descriptors.dimension=8"]), "pca.dimension"),
        (files(&given, &["encoding.mirrored=true"]), "encoding.mirrored"),
    ] {
        let text = refusal(Run::open(&dir, &options, &Silent).map(|_| ()));
        assert!(text.contains(words), "{text}");
    }
}
