//! Cross-validation of a run, intervals and thresholds of an evaluation, vectors in one file.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fvtool::cross_validation::{Models, Options, cross_validate};
use fvtool::dataset::{ALL, Dataset, Folds, Label, Params};
use fvtool::export::export;
use fvtool::pipeline::Run;
use fvtool::progress::Silent;
use fvtool::random::Seed;
use fvtool::svm;
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::NpzReader;
use tempfile::TempDir;

use crate::small_run::{SMALL, copy_of, fixture, open, options, refit};

fn folds_of(split: &str, folds: usize, models: Models) -> Options {
    Options { split: split.into(), folds, repeats: 1, models }
}

/// The fields of the lines of a table of predictions, without its header.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| line.split(',').map(|field| field.trim_matches('"').to_owned()).collect())
        .collect()
}

/// The vectors of a split as another program would read them.
fn exported(run: &Run<'_>, split: &str) -> (Array2<f32>, Array2<i8>) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("vectors.npz");
    export(run, &[split.to_owned()], &path).unwrap();
    let mut npz = NpzReader::new(fs::File::open(&path).unwrap()).unwrap();
    (npz.by_name("X.npy").unwrap(), npz.by_name("y.npy").unwrap())
}

#[test]
fn every_image_is_scored_by_a_classifier_that_has_not_seen_it() {
    let folder = TempDir::new().unwrap();
    let run = open(&folder.path().join("run"), &["evaluation.resamples=50"]);
    let data = &fixture().data;
    let done = cross_validate(&run, data, &folds_of(ALL, 3, Models::Once)).unwrap();
    let dataset = Dataset::open(data, &Params::default(), Seed(1)).unwrap();
    let split = dataset.split(ALL).unwrap();
    let images: usize =
        ["train", "test"].iter().map(|name| dataset.split(name).unwrap().items.len()).sum();
    assert_eq!((done.report.images, split.items.len()), (images, images));
    let table = rows(&done.predictions);
    assert_eq!(table.len(), images);
    let folds = Folds::new(&split, 3, Seed(1), 0).unwrap();
    // The same by hand, from the vectors.
    let (vectors, _) = exported(&run, ALL);
    let config = run.config();
    for fold in 0..3 {
        let (tested, trained) = folds.held_out(fold);
        let x = vectors.select(Axis(0), &trained);
        let labels: Vec<Vec<Label>> = trained.iter().map(|&i| split.labels[i].clone()).collect();
        let (classes, params) = (&split.classes, &config.svm);
        let model = svm::train(&x.view(), &labels, classes, params, config.seed, &Silent).unwrap();
        let scores = model.scores(&vectors.select(Axis(0), &tested).view()).unwrap();
        for (row, &image) in tested.iter().enumerate() {
            let fields = &table[image];
            assert_eq!(fields[..2], ["1".to_owned(), (fold + 1).to_string()]);
            for class in 0..classes.len() {
                let written: f32 = fields[5 + class].parse().unwrap();
                assert_eq!(written, scores[[row, class]], "image {image}, class {class}");
            }
            let above: Vec<&str> = (0..classes.len())
                .filter(|&class| scores[[row, class]] > 0.0)
                .map(|class| classes[class].as_str())
                .collect();
            assert_eq!(fields[4], above.join("|"));
        }
    }
    let report = &done.report;
    assert_eq!(report.found.folds.len(), 3);
    assert_eq!(report.found.folds.iter().map(|fold| fold.images).sum::<usize>(), images);
    let intervals = report.found.intervals.as_ref().unwrap();
    let ([low, high], mean) =
        (intervals.figures.map_voc2010.unwrap(), report.found.figures.map_voc2010.unwrap().mean);
    assert!(low < high && (0.0..=1.0).contains(&mean), "{low} {mean} {high}");
    let page = fs::read_to_string(&done.page).unwrap();
    assert!(page.contains("Cross-validation on all") && page.contains("<small>"), "{page}");
    assert!(report.table().contains("fitted once, to split `all`"), "{}", report.table());
}

#[test]
fn with_models_of_each_fold_nothing_is_known_of_the_held_out_images() {
    let folder = TempDir::new().unwrap();
    let run = open(&folder.path().join("run"), &["evaluation.resamples=0"]);
    let data = &fixture().data;
    let options = folds_of("train", 2, Models::EachFold);
    let done = cross_validate(&run, data, &options).unwrap();
    assert!(done.report.found.intervals.is_none());
    assert!(!folder.path().join("run/gmm.safetensors").exists());
    let fold = |fold: usize| {
        folder.path().join(format!("run/cross-validation/train/repeat-1/fold-{fold}-of-2"))
    };
    let mixtures = [1, 2].map(|n| fs::read(fold(n).join("gmm.safetensors")).unwrap());
    assert_ne!(mixtures[0], mixtures[1]);
    // What is there is used again, to the same figures.
    drop(run);
    let run = open(&folder.path().join("run"), &["evaluation.resamples=0"]);
    let again = cross_validate(&run, data, &options).unwrap();
    assert_eq!(again.report.found, done.report.found);
    assert_eq!([1, 2].map(|n| fs::read(fold(n).join("gmm.safetensors")).unwrap()), mixtures);
}

#[test]
fn what_cannot_be_cross_validated_is_refused_before_work() {
    let folder = TempDir::new().unwrap();
    let run = open(&folder.path().join("run"), &[]);
    let error = cross_validate(&run, &fixture().data, &folds_of("train", 100, Models::Once));
    let text = error.unwrap_err().to_string();
    assert!(text.contains("100 folds") && text.contains("--folds"), "{text}");
    assert!(!folder.path().join("run/descriptors").exists());
}

#[test]
fn an_evaluation_has_intervals_and_a_threshold() {
    let (_held, run_folder) = copy_of(&fixture().run);
    let data = &fixture().data;
    let figures = |overrides: &[&str]| {
        let run = refit(&run_folder, overrides);
        let report = run.evaluate(data, "test").unwrap().report;
        (report, rows(&run_folder.join("eval/test/predictions.csv")))
    };
    let (report, usual) = figures(&[]);
    let intervals = report.intervals.as_ref().unwrap();
    assert_eq!((intervals.resamples, intervals.drawn.as_str()), (1000, "images"));
    for (class, ends) in report.classes.iter().zip(&intervals.figures.classes) {
        let [low, high] = ends.average_precision.unwrap();
        assert!(low <= high && high <= 1.0 && low >= 0.0, "{}: {low} {high}", class.class);
    }
    let (same, _) = figures(&["evaluation.resamples=0"]);
    assert!(same.intervals.is_none());
    assert_eq!((same.map, &same.classes), (report.map, &report.classes));
    // Nothing is above a threshold that no score reaches.
    let (none, predictions) = figures(&["evaluation.threshold=1e6"]);
    assert_eq!(none.map, report.map);
    assert!(none.classes.iter().all(|class| class.precision.is_none()));
    assert!(predictions.iter().all(|fields| fields[2].is_empty()), "{predictions:?}");
    assert!(usual.iter().any(|fields| !fields[2].is_empty()));
    assert!(none.table().contains("above 1000000"), "{}", none.table());
}

#[test]
fn exported_vectors_are_those_that_the_classifier_sees() {
    let folder = TempDir::new().unwrap();
    let fixture = fixture();
    let run = Run::open_to_read(&fixture.run, None, &Silent).unwrap();
    let path = folder.path().join("all.npz");
    let written = export(&run, &[], &path).unwrap();
    assert_eq!(written.splits, ["test", "train"]);
    let mut npz = NpzReader::new(fs::File::open(&path).unwrap()).unwrap();
    let x: Array2<f32> = npz.by_name("X.npy").unwrap();
    let y: Array2<i8> = npz.by_name("y.npy").unwrap();
    assert_eq!((x.dim(), y.dim()), ((42, written.dim), (42, written.classes.len())));
    let labels: BTreeMap<String, Vec<i8>> = ["test", "train"]
        .iter()
        .flat_map(|split| run.index(split).unwrap().images)
        .map(|image| (image.id, image.labels))
        .collect();
    let order: Vec<String> = ["test", "train"]
        .iter()
        .flat_map(|split| run.index(split).unwrap().images)
        .map(|image| image.id)
        .collect();
    for (row, id) in y.rows().into_iter().zip(&order) {
        for (written, stored) in row.iter().zip(&labels[id]) {
            assert_eq!(
                *written,
                match stored {
                    1 => 1,
                    -1 => 0,
                    _ => -1,
                }
            );
        }
    }
    // Scores of these vectors are the written ones, to the rounding of a sum.
    let scores = fs::read_to_string(fixture.run.join("scores/test.csv")).unwrap();
    let (weights, biases) = classifier(&fixture.run);
    for (line, vector) in scores.lines().skip(1).zip(x.rows()) {
        let written: Vec<f32> = line.split(',').skip(1).map(|n| n.parse().unwrap()).collect();
        let found = weights.dot(&vector) + &biases;
        found.iter().zip(written).for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{a} {b}"));
    }
    // As a table.
    let table = folder.path().join("train.csv");
    export(&run, &["train".into()], &table).unwrap();
    let text = fs::read_to_string(&table).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("id,split,label,x0,x1,") && lines.len() == 25, "{}", lines[0]);
    let first: Vec<&str> = lines[1].split(',').collect();
    assert_eq!((first[0], first[1]), (order[18].as_str(), "train"));
    let values: Vec<f32> = first[3..].iter().map(|n| n.parse().unwrap()).collect();
    assert_eq!(values, x.row(18).to_vec());
    let refused = |name: &str, splits: &[String]| {
        export(&run, splits, &folder.path().join(name)).unwrap_err().to_string()
    };
    assert!(refused("train.csv", &[]).contains("is there already"));
    assert!(refused("vectors.mat", &[]).contains(".npz"));
    assert!(refused("new.npz", &["vall".into()]).contains("vall"));
    assert!(!folder.path().join("new.npz").exists());
}

/// Weights and biases of a stored classifier.
fn classifier(run: &Path) -> (Array2<f32>, Array1<f32>) {
    let bytes = fs::read(run.join("svm.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let biases = Array1::from(values("bias"));
    let weights = values("weights");
    let dim = weights.len() / biases.len();
    (Array2::from_shape_vec((biases.len(), dim), weights).unwrap(), biases)
}

/// Settings of a cross-validation are those of a run.
#[test]
fn settings_of_the_run_are_in_force_in_every_fold() {
    let folder = TempDir::new().unwrap();
    let run =
        Run::open(&folder.path().join("run"), &options(&["gmm.components=4"]), &Silent).unwrap();
    cross_validate(&run, &fixture().data, &folds_of("train", 2, Models::EachFold)).unwrap();
    let settings =
        folder.path().join("run/cross-validation/train/repeat-1/fold-2-of-2/config.toml");
    let text = fs::read_to_string(settings).unwrap();
    assert!(text.contains("components = 4") && SMALL.contains(&"pca.dimension=24"), "{text}");
    assert!(text.contains("dimension = 24"), "{text}");
}

/// Words that a classifier is trained without count for no fold, images that it is trained without either; and
/// what has no names of either is refused.
#[test]
fn what_is_left_out_of_a_classifier_is_left_out_of_every_fold() {
    let folder = TempDir::new().unwrap();
    let data = &fixture().data;
    let scores = |overrides: &[&str], models| {
        let run = open(&folder.path().join(overrides.concat().replace(['/', '"'], "")), overrides);
        let done = cross_validate(&run, data, &folds_of("train", 3, models))?;
        Ok::<_, fvtool::Error>(rows(&done.predictions))
    };
    let plain = scores(&[], Models::Once).unwrap();
    for left_out in ["svm.without_words=[\"2\", \"5\"]", "svm.without_images=[\"000002\"]"] {
        assert_ne!(scores(&[left_out], Models::Once).unwrap(), plain, "{left_out}");
        let refused = scores(&[left_out], Models::EachFold).unwrap_err().to_string();
        assert!(refused.contains("use --models once"), "{refused}");
    }
    let params = svm::Params { without_words: vec!["2".into()], ..Default::default() };
    let (x, labels) = (Array2::<f32>::eye(2), [vec![Label::Yes], vec![Label::No]]);
    let train = |params: &svm::Params| {
        svm::train(&x.view(), &labels, &["a".into()], params, Seed(1), &Silent)
    };
    assert!(train(&params).unwrap_err().to_string().contains("svm.without_words"));
    train(&params.of_rows()).unwrap();
}
