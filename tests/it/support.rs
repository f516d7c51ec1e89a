//! What several tests share: golden arrays and comparisons that say where they fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array, Dimension};
use ndarray_npy::{NpzReader, ReadableElement, read_npy};

/// The folder of golden values; its README says where each comes from.
pub fn golden_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden")
}

/// A golden `.npy` array by file name without ending.
pub fn golden<A: ReadableElement, D: Dimension>(name: &str) -> Array<A, D> {
    read_npy(golden_dir().join(format!("{name}.npy"))).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// An array of one of the `python/*.npz` golden archives.
pub fn golden_npz<A: ReadableElement, D: Dimension>(archive: &str, key: &str) -> Array<A, D> {
    let path = golden_dir().join("python").join(format!("{archive}.npz"));
    let mut npz = NpzReader::new(std::fs::File::open(path).unwrap()).unwrap();
    npz.by_name(key).unwrap_or_else(|e| panic!("{archive}/{key}: {e}"))
}

/// Largest absolute difference, with the index where it stands.
pub fn largest_difference<'a>(
    got: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f64>,
) -> (usize, f64) {
    let mut worst = (0, 0.0);
    let mut expected = expected.into_iter();
    let mut n = 0;
    for (i, &g) in got.into_iter().enumerate() {
        let e = *expected.next().expect("as many expected values as got");
        let difference = (f64::from(g) - e).abs();
        // A NaN must win, so the comparison is negated.
        if !(difference <= worst.1) {
            worst = (i, difference);
        }
        n += 1;
    }
    assert!(expected.next().is_none(), "more expected values than the {n} got");
    worst
}

/// Fails with the place of the largest difference when it exceeds `tolerance`.
#[track_caller]
pub fn assert_close<'a>(
    got: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f64>,
    tolerance: f64,
) {
    let (place, difference) = largest_difference(got, expected);
    assert!(
        difference <= tolerance,
        "value {place} is off by {difference:e}, allowed {tolerance:e}"
    );
}

/// Runs `work` in a pool of `threads` threads.
pub fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// Writes a fixture below `root`, with the folders that it needs.
#[allow(clippy::disallowed_methods, reason = "a fixture, not an artifact")]
pub fn put(root: &Path, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Some file systems wait for the disk when a file is written over.
    let _ = std::fs::remove_file(&path);
    std::fs::write(path, content).unwrap();
}

/// The bytes of a safetensors file with this header.
pub fn safetensors(header: &str, bytes: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat()
}

/// Every file below `folder` by its path there, with its bytes.
pub fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.exists() {
                // A link that leads nowhere has no bytes.
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}
