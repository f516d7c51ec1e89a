//! A layer that learns with its features, as a stage of a run: learned, read from a file, resumed, refused.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fvtool::artifacts::Artifact;
use fvtool::pipeline::Run;
use fvtool::progress::{Progress, Silent};
use tempfile::TempDir;

use crate::small_run::{fixture, open, options, refusal};
use crate::support::{files_below, in_pool, put, safetensors};

const LEARNED: &[&str] =
    &["layer.joint=true", "layer.epochs=4", "layer.rows_per_image=60", "layer.batch_images=8"];

fn print_of(run: &Path, file: &str) -> String {
    Artifact::open(&run.join(file)).unwrap().header().fingerprint.clone()
}

#[test]
fn a_run_learns_its_models_and_goes_on_with_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    let run = open(&path, LEARNED);
    let (_, evaluated) = run.run_all(&fixture().data, "train", "test").unwrap();
    assert!(evaluated.report.map.average_precision.unwrap() > 0.4, "{:?}", evaluated.report.map);
    // The usual artifacts, made from the layer.
    let layer = print_of(&path, "layer.safetensors");
    let pca = Artifact::open(&path.join("pca.safetensors")).unwrap();
    assert_eq!(pca.header().inputs["parents"]["layer.safetensors"], layer.as_str());
    assert!(!path.join("layer.state.safetensors").exists());
    let learned = pca.matrix("components").unwrap();
    let fitted = Artifact::open(&fixture().run.join("pca.safetensors")).unwrap();
    assert_eq!(learned.dim(), fitted.matrix("components").unwrap().dim());
    assert_ne!(learned, fitted.matrix("components").unwrap());
    drop(run);
    // Nothing is made twice, and a run that reads it predicts.
    let before = files_below(&path);
    let again = open(&path, LEARNED);
    again.run_all(&fixture().data, "train", "test").unwrap();
    drop(again);
    let changed: Vec<_> =
        files_below(&path).into_iter().filter(|(k, v)| before.get(k) != Some(v)).collect();
    assert!(changed.iter().all(|(name, _)| !name.ends_with(".safetensors")), "{:?}", changed.len());
    Run::open_to_read(&path, None, &Silent).unwrap();
}

#[test]
fn neither_threads_nor_a_stop_between_epochs_change_a_bit() {
    let whole = TempDir::new().unwrap();
    let run = open(&whole.path().join("run"), LEARNED);
    in_pool(1, || run.fit_layer(&fixture().data, "train")).unwrap();
    let expected = fs::read(whole.path().join("run/layer.safetensors")).unwrap();

    /// Asks to stop once two epochs were said to be over.
    #[derive(Default)]
    struct StopsAfterTwo(AtomicUsize);
    impl Progress for StopsAfterTwo {
        fn begin(&self, _: &str, _: u64, _: &str) {}
        fn advance(&self, _: u64) {}
        fn say(&self, _: &str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn end(&self) {}
        fn note(&self, _: &str) {}
        fn summary(&self, _: &str, _: &str) {}
        fn interrupted(&self) -> bool {
            self.0.load(Ordering::Relaxed) >= 2
        }
    }
    let stopped = TempDir::new().unwrap();
    let path = stopped.path().join("run");
    let progress = StopsAfterTwo::default();
    let run = Run::open(&path, &options(LEARNED), &progress).unwrap();
    let refused = run.fit_layer(&fixture().data, "train").unwrap_err();
    assert!(matches!(refused, fvtool::Error::Interrupted), "{refused}");
    drop(run);
    assert!(
        path.join("layer.state.safetensors").exists() && !path.join("layer.safetensors").exists()
    );
    // A damaged state is no state.
    let state = fs::read(path.join("layer.state.safetensors")).unwrap();
    let damaged = stopped.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    for (name, bytes) in files_below(&path) {
        put(&damaged, name, bytes);
    }
    let mut bytes = state;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    put(&damaged, "layer.state.safetensors", bytes);
    for path in [path, damaged] {
        open(&path, LEARNED).fit_layer(&fixture().data, "train").unwrap();
        assert!(
            expected == fs::read(path.join("layer.safetensors")).unwrap(),
            "{}",
            path.display()
        );
        assert!(!path.join("layer.state.safetensors").exists());
    }
}

#[test]
fn other_settings_or_labels_make_it_stale_and_idle_ones_do_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    open(&path, LEARNED).fit_layer(&fixture().data, "train").unwrap();
    fn with(more: &'static str) -> Vec<&'static str> {
        [LEARNED, &[more]].concat()
    }
    let refused = refusal(Run::open(&path, &options(&with("layer.epochs=5")), &Silent));
    assert!(refused.contains("layer.epochs"), "{refused}");
    open(&path, &with("gmm.batch_rows=4096")).fit_layer(&fixture().data, "train").unwrap();
    // A run without a layer keeps its models whatever the layer's keys are.
    let plain = TempDir::new().unwrap();
    let path = plain.path().join("run");
    open(&path, &[]).extract_and_fit_gmm(&fixture().data, "train").unwrap();
    let before = print_of(&path, "gmm.safetensors");
    let run = open(&path, &["layer.epochs=7"]);
    assert!(!run.extract_and_fit_gmm(&fixture().data, "train").unwrap().made);
    assert_eq!(print_of(&path, "gmm.safetensors"), before);
    let refused = refusal(run.fit_layer(&fixture().data, "train"));
    assert!(refused.contains("layer.joint") && refused.contains("--set"), "{refused}");
}

/// Changes a tensor's shape and values, by its name.
type Change = dyn Fn(&str, &mut Vec<usize>, &mut Vec<f32>);

/// The tensors of a learned layer, as another program would write them.
fn given(
    folder: &Path,
    learned: &Path,
    change: impl Fn(&str, &mut Vec<usize>, &mut Vec<f32>),
) -> String {
    let artifact = Artifact::open(learned).unwrap();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for name in [
        "projection.components",
        "projection.mean",
        "mixture.weights",
        "mixture.means",
        "mixture.variances",
    ] {
        let (shape, values) = artifact.f32(name).unwrap();
        let (mut shape, mut values) = (shape.to_vec(), values.to_vec());
        change(name, &mut shape, &mut values);
        let start = data.len();
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.to_owned(), entry);
    }
    let text = serde_json::Value::Object(header).to_string();
    put(folder, "models.safetensors", safetensors(&text, &data));
    format!("layer.file={}", folder.join("models.safetensors").display())
}

#[test]
fn models_of_a_file_are_used_as_they_are() {
    let folder = TempDir::new().unwrap();
    let learned = folder.path().join("learned");
    open(&learned, LEARNED).encode(&fixture().data, "train").unwrap();
    let file = given(folder.path(), &learned.join("layer.safetensors"), |_, _, _| {});
    let path = folder.path().join("run");
    // Sizes follow from the file, whatever the settings say.
    let settings = [file.as_str(), "gmm.components=64", "pca.dimension=16"];
    open(&path, &settings).encode(&fixture().data, "train").unwrap();
    assert!(!path.join("descriptors").exists(), "no sample is needed");
    let shard = "fisher/train/00000.safetensors";
    let vectors = |run: &Path| {
        let artifact = Artifact::open(&run.join(shard)).unwrap();
        artifact.values("vectors").map(|(shape, _)| shape.to_vec()).unwrap()
    };
    assert_eq!(vectors(&path), vectors(&learned));
    let tensor = |run: &Path, file: &str, name: &str| {
        Artifact::open(&run.join(file)).unwrap().f32(name).unwrap().1.to_vec()
    };
    assert_eq!(
        tensor(&path, "gmm.safetensors", "means"),
        tensor(&learned, "gmm.safetensors", "means")
    );
    // Once it is in the run, the file is not needed to classify.
    let run = open(&path, &settings);
    run.train("train").unwrap();
    drop(run);
    fs::remove_file(folder.path().join("models.safetensors")).unwrap();
    Run::open_to_read(&path, None, &Silent).unwrap();
}

#[test]
fn files_that_do_not_fit_are_refused_by_what_is_wrong_with_them() {
    let folder = TempDir::new().unwrap();
    let learned = folder.path().join("learned");
    open(&learned, LEARNED).fit_layer(&fixture().data, "train").unwrap();
    let layer = learned.join("layer.safetensors");
    let refused = |name: &str, change: &Change| {
        let file = given(folder.path(), &layer, change);
        let run = open(&folder.path().join(name), &[&file]);
        refusal(run.encode(&fixture().data, "train"))
    };
    let of = |wanted: &'static str, change: fn(&mut Vec<usize>, &mut Vec<f32>)| {
        move |name: &str, shape: &mut Vec<usize>, values: &mut Vec<f32>| {
            if name == wanted {
                change(shape, values);
            }
        }
    };
    let nan = refused("nan", &of("mixture.means", |_, values| values[3] = f32::NAN));
    assert!(nan.contains("mixture.means") && nan.contains("value 3"), "{nan}");
    let negative = refused("negative", &of("mixture.variances", |_, values| values[0] = -1.0));
    assert!(negative.contains("variances positive"), "{negative}");
    let narrow = refused(
        "narrow",
        &of("projection.mean", |shape, values| {
            shape[0] -= 1;
            values.pop();
        }),
    );
    assert!(narrow.contains("projection.mean") && narrow.contains("128"), "{narrow}");
    put(folder.path(), "none.safetensors", "nothing of the kind");
    let none = format!("layer.file={}", folder.path().join("none.safetensors").display());
    let none =
        refusal(open(&folder.path().join("none"), &[&none]).encode(&fixture().data, "train"));
    assert!(none.contains("not a safetensors file"), "{none}");
    let absent = open(&folder.path().join("absent"), &["layer.file=/no/such/file.safetensors"]);
    let absent = refusal(absent.encode(&fixture().data, "train"));
    assert!(absent.contains("layer.file") && absent.contains("existing"), "{absent}");
}
