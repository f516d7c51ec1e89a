//! A small synthetic data set and a run over it, for the tests of the whole pipeline and of the
//! command line: made once, copied by tests that change something.

// Helpers of tests; clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use fvtool::artifacts::{Artifact, Tensor, Values, sealed, write};
use fvtool::dataset::synthetic::{Generator, Synthetic};
use fvtool::evaluation::Scores;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::{Progress, Silent};
use fvtool::random::Seed;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{files_below, put};

/// Settings under which a run over the fixture's images takes a moment.
pub const SMALL: &[&str] = &[
    "descriptors.step_px=6",
    "sample.rows=4000",
    "pca.dimension=24",
    "gmm.components=8",
    "gmm.max_iterations=5",
    "gmm.kmeans_iterations=3",
    "svm.calibration=platt",
];

/// Synthetic data and a run over them, made once for all tests, which change copies alone.
pub struct Fixture {
    pub data: PathBuf,
    pub run: PathBuf,
    _held: File,
}

pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).unwrap();
        // Another `cargo test` of the same target folder waits until this one ends.
        let held = folder.join("pipeline.lock");
        let held = File::options().create(true).append(true).open(held).unwrap();
        held.lock().unwrap();
        let folder = folder.join("pipeline");
        let _ = fs::remove_dir_all(&folder);
        let (data, run) = (folder.join("data"), folder.join("run"));
        draw(&data, 24, 18);
        open(&run, &[]).run_all(&data, "train", "test").unwrap();
        Fixture { data, run, _held: held }
    })
}

pub fn draw(data: &Path, train_images: usize, test_images: usize) {
    let params = Synthetic {
        train_images,
        test_images,
        width_px: 120,
        height_px: 96,
        plant_tag: true,
        plant_stamp: false,
    };
    let generator = Generator::new(&params, Seed(1)).unwrap();
    generator.files().into_iter().for_each(|(path, bytes)| put(data, path, bytes));
    (0..generator.images()).for_each(|i| put(data, generator.image_path(i), generator.jpeg(i)));
}

pub fn options(overrides: &[&str]) -> Options {
    let overrides = SMALL.iter().chain(overrides).map(|s| (*s).to_owned()).collect();
    Options { config: Some("quick".into()), overrides, ..Options::default() }
}

pub fn open(run: &Path, overrides: &[&str]) -> Run<'static> {
    Run::open(run, &options(overrides), &Silent).unwrap()
}

pub fn refit(run: &Path, overrides: &[&str]) -> Run<'static> {
    Run::open(run, &Options { refit: true, ..options(overrides) }, &Silent).unwrap()
}

/// A copy of a folder, in a temporary one.
pub fn copy_of(folder: &Path) -> (TempDir, PathBuf) {
    let temporary = TempDir::new().unwrap();
    let copy = temporary.path().join("copy");
    files_below(folder).into_iter().for_each(|(name, bytes)| put(&copy, name, bytes));
    (temporary, copy)
}

/// Every file of a run folder but those that name places outside it.
pub fn contents(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files_below(run);
    // A stamp says what the file system says of the images.
    files.retain(|name, _| name != "source.json" && name != ".lock" && !name.ends_with(".stamp"));
    files
}

/// Rewrites the first shard of an encoded split with several labels an image, and what its index says of it.
pub fn change_shard(run: &Path, split: &str, change: impl FnOnce(&mut Value, &mut Vec<i8>)) {
    let path = run.join("fisher").join(split).join("00000.safetensors");
    let artifact = Artifact::open_verified(&path, "fisher").unwrap();
    let mut header = artifact.header().clone();
    let (shape, Values::I8(labels)) = artifact.values("labels").unwrap() else {
        panic!("one label an image");
    };
    let mut labels = labels.to_vec();
    change(&mut header.report, &mut labels);
    let (vectors_shape, vectors) = artifact.values("vectors").unwrap();
    let contents = blake3::Hasher::new()
        .update(header.report.to_string().as_bytes())
        .update(Values::I8(&labels).bytes())
        .finalize()
        .to_hex()[..32]
        .to_owned();
    let tensors = [
        Tensor { name: "vectors", shape: vectors_shape.to_vec(), values: vectors },
        Tensor { name: "labels", shape: shape.to_vec(), values: Values::I8(&labels) },
    ];
    write(&path, &header, &tensors).unwrap();
    let path = path.with_file_name("index.json");
    let mut index: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    index.as_object_mut().unwrap().remove("checksum");
    index["shards"][0]["contents"] = contents.into();
    put(run, format!("fisher/{split}/index.json"), sealed(&index));
}

/// Fails with the names of the files that differ.
#[track_caller]
pub fn assert_same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    let names: Vec<&String> = a.keys().chain(b.keys()).collect();
    let differing: Vec<_> = names.iter().filter(|name| a.get(**name) != b.get(**name)).collect();
    assert!(!a.is_empty() && differing.is_empty(), "these differ: {differing:?}");
}

/// The names of files that differ, or are in one of the two alone.
pub fn changed(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut names: Vec<String> =
        a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

pub fn scores(run: &Path, split: &str) -> Scores {
    let path = run.join(format!("scores/{split}.csv"));
    crate::tables::scores(&fs::read_to_string(path).unwrap())
}

pub fn refusal<T>(result: fvtool::Result<T>) -> String {
    let Err(error) = result else { panic!("accepted") };
    error.to_string()
}

/// Remembers what it is told, and asks to stop after some steps.
pub struct Listener {
    notes: Mutex<Vec<String>>,
    steps: AtomicUsize,
    stop_after: usize,
}

impl Listener {
    pub fn new(stop_after: usize) -> Self {
        Self { notes: Mutex::default(), steps: AtomicUsize::new(0), stop_after }
    }

    /// All that it was told.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    pub fn heard(&self, words: &[&str]) -> bool {
        self.notes.lock().unwrap().iter().any(|note| words.iter().all(|word| note.contains(word)))
    }
}

impl Progress for Listener {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, steps: u64) {
        self.steps.fetch_add(steps as usize, Ordering::SeqCst);
    }
    fn end(&self) {}
    fn note(&self, message: &str) {
        self.notes.lock().unwrap().push(message.to_owned());
    }
    fn summary(&self, stage: &str, text: &str) {
        self.note(&format!("{stage}: {text}"));
    }
    fn interrupted(&self) -> bool {
        self.steps.load(Ordering::SeqCst) >= self.stop_after
    }
}
