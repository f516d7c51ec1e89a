//! Artifacts: what is written is read back, and nothing damaged, foreign or half-written is taken
//! for whole. No content of a file makes the reader panic.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use fvtool::Error;
use fvtool::artifacts::{
    Artifact, FORMAT, Header, Hold, RunLock, Shards, Tensor, VECTORS, Values, write,
    write_atomically,
};
use fvtool::linalg::Rows;
use half::f16;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{files_below, put};

fn header(kind: &str) -> Header {
    Header {
        kind: kind.to_owned(),
        fingerprint: "0123456789abcdef0123456789abcdef".to_owned(),
        inputs: json!({ "settings": { "gmm": { "components": 3 } }, "data": null }),
        report: json!({ "rows": 12, "likelihood": [-1.5, 1e-300] }),
    }
}

/// A small artifact in a folder of its own: an f32 matrix and f16 values.
fn small() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("small.safetensors");
    let halves: Vec<f16> = [0.5, -2.0, 1e-7].map(f16::from_f32).to_vec();
    let tensors = [
        Tensor::f32("zebra", [2, 3], &[1.0, -0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, -7.25]),
        Tensor { name: "ant", shape: vec![3], values: Values::F16(&halves) },
    ];
    write(&path, &header("gmm"), &tensors).unwrap();
    (folder, path)
}

/// Everything that can be asked of a file, whatever is in it; the answer does not matter here.
fn interrogate(path: &Path) -> Result<(), Error> {
    let artifact = Artifact::open(path)?;
    for (name, _, _) in artifact.tensors() {
        let _ = artifact.values(&name);
        let _ = artifact.f32(&name);
        let _ = artifact.matrix(&name);
    }
    let _ = artifact.values("no such tensor");
    let _ = Shards::open([path]);
    artifact.verify()
}

#[test]
fn an_artifact_is_read_back_bit_for_bit() {
    let (_folder, path) = small();
    let artifact = Artifact::open_verified(&path, "gmm").unwrap();
    assert_eq!(artifact.header(), &header("gmm"));
    assert_eq!((artifact.format(), artifact.tool()), (FORMAT, env!("CARGO_PKG_VERSION")));
    assert_eq!(artifact.path(), path);
    // In the order of the data, not of the names.
    let tensors = artifact.tensors();
    let expected = [("zebra", "F32", vec![2, 3]), ("ant", "F16", vec![3])];
    assert_eq!(tensors.len(), expected.len());
    for ((name, dtype, shape), (n, d, s)) in tensors.iter().zip(expected) {
        assert_eq!((name.as_str(), dtype.as_str(), shape), (n, d, &s));
    }
    let matrix = artifact.matrix("zebra").unwrap();
    let bits: Vec<u32> = matrix.iter().map(|v| v.to_bits()).collect();
    let written = [1.0, -0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, -7.25].map(f32::to_bits);
    assert_eq!((matrix.dim(), bits), ((2, 3), written.to_vec()));
    let (shape, values) = artifact.values("ant").unwrap();
    let Values::F16(halves) = values else { panic!("{values:?}") };
    assert_eq!((shape, halves), (&[3][..], &[0.5, -2.0, 1e-7].map(f16::from_f32)[..]));

    // The layout that docs/FORMATS.md promises: aligned data, readable without fvtool.
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!((length + 8) % 64, 0);
    let foreign = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(foreign.tensor("zebra").unwrap().shape(), [2, 3]);

    // The same contents are the same bytes.
    let (_folder, again) = small();
    assert_eq!(bytes, std::fs::read(again).unwrap());
}

#[test]
fn the_wrong_kind_name_type_or_shape_is_named() {
    let (_folder, path) = small();
    let error = Artifact::open_verified(&path, "pca").unwrap_err().to_string();
    assert!(
        error.contains("small.safetensors") && error.contains("is a `gmm`, not a `pca`"),
        "{error}"
    );
    let artifact = Artifact::open(&path).unwrap();
    for (error, word) in [
        (artifact.values("bee").unwrap_err(), "`bee` is missing"),
        (artifact.f32("ant").unwrap_err(), "`ant` is not f32"),
        (artifact.matrix("ant").unwrap_err(), "`ant` is not f32"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
    let missing = Artifact::open(&path.with_file_name("nothing")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}

#[test]
fn values_that_are_no_numbers_are_not_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.safetensors");
    let halves = [f16::ONE, f16::INFINITY];
    let bad = [
        Tensor::f32("x", [3], &[0.0, f32::NAN, 0.0]),
        Tensor::f32("x", [1], &[f32::NEG_INFINITY]),
        Tensor { name: "x", shape: vec![2], values: Values::F16(&halves) },
    ];
    for tensor in bad {
        let error = write(&path, &header("gmm"), &[tensor]).unwrap_err();
        assert!(matches!(error, Error::Numerical { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("`x`") && text.contains("a.safetensors"), "{text}");
        assert_eq!(files_below(folder.path()).len(), 0);
    }
}

/// The checksum stands in the header as zeros while it is computed; other zeros stay what they are.
#[test]
fn zeros_in_a_report_are_not_taken_for_the_checksum() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.safetensors");
    let report = json!({ "hash": "0".repeat(64) });
    write(&path, &Header { report, ..header("gmm") }, &[]).unwrap();
    let artifact = Artifact::open_verified(&path, "gmm").unwrap();
    assert_eq!(artifact.header().report["hash"], "0".repeat(64));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (folder, path) = small();
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            put(folder.path(), "flipped", &bytes);
            let flipped = folder.path().join("flipped");
            let answer = Artifact::open_verified(&flipped, "gmm");
            assert!(answer.is_err(), "bit {bit} of byte {at} of {} flipped", whole.len());
            let _ = interrogate(&flipped);
        }
    }
}

#[test]
fn every_truncation_and_extension_is_noticed() {
    let (folder, path) = small();
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        put(folder.path(), "cut", &whole[..length]);
        let error = interrogate(&folder.path().join("cut")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("damaged")
                && (text.contains("delete it") || text.contains("move it away")),
            "{length}: {text}"
        );
    }
    put(folder.path(), "long", [&whole[..], b"\0"].concat());
    assert!(interrogate(&folder.path().join("long")).is_err());
}

#[test]
fn another_format_version_is_refused_with_both_named() {
    let (folder, path) = small();
    let mut bytes = std::fs::read(&path).unwrap();
    let field = format!("\"fvtool.format\":\"{FORMAT}\"");
    let at = bytes.windows(field.len()).position(|w| w == field.as_bytes()).unwrap();
    bytes[at + field.len() - 2] = b'7';
    put(folder.path(), "other", &bytes);
    let error = Artifact::open(&folder.path().join("other")).unwrap_err();
    assert!(matches!(error, Error::Artifact { .. }));
    let text = error.to_string();
    assert!(
        text.contains("format version 7") && text.contains(&format!("reads {FORMAT}")),
        "{text}"
    );
    assert!(text.contains("--refit"), "{text}");
}

#[test]
fn a_safetensors_file_of_another_program_is_refused() {
    let folder = TempDir::new().unwrap();
    let data: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data).unwrap();
    let bytes = safetensors::serialize([("weights", view)], None).unwrap();
    put(folder.path(), "foreign.safetensors", bytes);
    let text = Artifact::open(&folder.path().join("foreign.safetensors")).unwrap_err().to_string();
    assert!(text.contains("not an artifact of fvtool"), "{text}");
    assert!(!text.contains("damaged"), "it is whole, and not ours to delete: {text}");
}

fn shard(folder: &Path, name: &str, shape: [usize; 2], values: Values<'_>) -> PathBuf {
    let path = folder.join(name);
    let tensor = Tensor { name: VECTORS, shape: shape.to_vec(), values };
    write(&path, &header("fisher"), &[tensor]).unwrap();
    path
}

#[test]
fn shards_are_one_matrix() {
    let folder = TempDir::new().unwrap();
    let single: Vec<f32> = (0..12).map(|i| i as f32 * 0.25 - 1.0).collect();
    let halves: Vec<f16> = (0..8).map(|i| f16::from_f32(100.0 + i as f32)).collect();
    let paths = [
        shard(folder.path(), "0", [3, 4], Values::F32(&single)),
        shard(folder.path(), "1", [0, 4], Values::F32(&[])),
        shard(folder.path(), "2", [2, 4], Values::F16(&halves)),
        shard(folder.path(), "3", [1, 4], Values::F32(&single[..4])),
    ];
    let shards = Shards::open(paths.iter().map(PathBuf::as_path)).unwrap();
    assert_eq!((shards.len(), shards.dim(), shards.is_empty()), (6, 4, false));
    let mut scratch = Vec::new();
    let mut rows: Vec<f32> = Vec::new();
    (0..shards.len()).for_each(|i| rows.extend(shards.row(i, &mut scratch)));
    let expected: Vec<f32> = single
        .iter()
        .copied()
        .chain(halves.iter().map(|h| h.to_f32()))
        .chain(single[..4].iter().copied())
        .collect();
    assert_eq!(rows, expected);
    // Out of order too, with one scratch.
    assert_eq!(shards.row(4, &mut scratch), &expected[16..20]);
    assert_eq!(shards.row(0, &mut scratch), &expected[..4]);

    let none = Shards::open([]).unwrap();
    assert_eq!((none.len(), none.dim()), (0, 0));
}

#[test]
fn shards_that_do_not_fit_together_are_refused() {
    let folder = TempDir::new().unwrap();
    let values = [0.5f32; 12];
    let four = shard(folder.path(), "four", [3, 4], Values::F32(&values));
    let six = shard(folder.path(), "six", [2, 6], Values::F32(&values));
    let empty = shard(folder.path(), "empty", [0, 6], Values::F32(&[]));
    for other in [&six, &empty] {
        for paths in [[&four, other], [other, &four]] {
            let error = Shards::open(paths.map(PathBuf::as_path)).unwrap_err().to_string();
            assert!(
                error.contains("values") && error.contains('4') && error.contains('6'),
                "{error}"
            );
        }
    }
    let flat = folder.path().join("flat");
    write(&flat, &header("fisher"), &[Tensor::f32(VECTORS, [12], &values)]).unwrap();
    assert!(Shards::open([flat.as_path()]).unwrap_err().to_string().contains("not a matrix"));
    let (_other, small) = small();
    assert!(Shards::open([small.as_path()]).unwrap_err().to_string().contains("not a `fisher`"));
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/er/file.txt");
    write_atomically(&path, |file| file.write_all(b"old")).unwrap();
    let failing = |file: &mut dyn fvtool::artifacts::Target| {
        file.write_all(b"half of the new")?;
        Err(std::io::Error::other("the disk is full"))
    };
    let error = write_atomically(&path, failing).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    let text = error.to_string();
    assert!(text.contains("file.txt") && text.contains("the disk is full"), "{text}");
    let left = files_below(folder.path());
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        [("deep/er/file.txt".into(), b"old".to_vec())]
    );

    // What a killed process left behind is in nobody's way.
    put(folder.path(), "deep/er/.file.txt.partial", b"rest of a killed process");
    write_atomically(&path, |file| file.write_all(b"new")).unwrap();
    assert_eq!(files_below(folder.path())["deep/er/file.txt"], b"new");
    assert_eq!(files_below(folder.path()).len(), 1);

    // A file where a folder should be.
    assert!(write_atomically(&path.join("below"), |_| Ok(())).is_err());
    // A new file that fails leaves nothing.
    let new = folder.path().join("new");
    assert!(write_atomically(&new, failing).is_err());
    assert_eq!(files_below(folder.path()).len(), 1);
}

#[test]
fn a_run_folder_is_held_once() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let lock = RunLock::acquire(&run, Hold::Alone).unwrap();
    let text = RunLock::acquire(&run, Hold::Alone).unwrap_err().to_string();
    assert!(text.contains("another fvtool") && text.contains(run.to_str().unwrap()), "{text}");
    let other = RunLock::acquire(&folder.path().join("other"), Hold::Alone).unwrap();
    drop(lock);
    RunLock::acquire(&run, Hold::Alone).unwrap();
    drop(other);
}

/// Numbers of an artifact that proptest changes, or a file it makes up.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let (_folder, path) = small();
    let whole = std::fs::read(path).unwrap();
    let length = whole.len();
    let patched =
        (0..length, prop::collection::vec(any::<u8>(), 1..40)).prop_map(move |(at, new)| {
            let mut bytes = whole.clone();
            let end = (at + new.len()).min(bytes.len());
            bytes.splice(at..end, new);
            bytes
        });
    // A header that is JSON, with numbers where they hurt.
    let number = prop_oneof![
        Just(0u64),
        Just(1),
        Just(4),
        Just(u64::MAX),
        Just(1 << 62),
        Just((1 << 62) + 1),
        0..64u64
    ];
    let made_up = (
        prop::collection::vec(number.clone(), 0..4),
        number.clone(),
        number,
        prop::sample::select(vec!["F32", "F16", "F64", "BOOL", "X"]),
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(shape, start, end, dtype, data)| {
            let metadata = json!({
                "fvtool.format": FORMAT, "fvtool.kind": "fisher", "fvtool.fingerprint": "",
                "fvtool.inputs": "{}", "fvtool.report": "{}", "fvtool.tool": "", "fvtool.checksum": "",
            });
            let text = json!({
                "__metadata__": metadata,
                "vectors": { "dtype": dtype, "shape": shape, "data_offsets": [start, end] },
            })
            .to_string();
            let length = (text.len() as u64).to_le_bytes();
            [&length[..], text.as_bytes(), &data].concat()
        });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), patched, made_up]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever a file holds, it is refused or read: no panic, no endless loop.
    #[test]
    fn no_file_makes_the_reader_panic(bytes in any_file()) {
        let folder = TempDir::new().unwrap();
        put(folder.path(), "any", &bytes);
        let _ = interrogate(&folder.path().join("any"));
    }

}

proptest! {
    // Each case waits for the disk, since an artifact is synced.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any finite values of any shape come back.
    #[test]
    fn any_matrix_comes_back(
        (rows, columns, values) in (0..5usize, 0..7usize).prop_flat_map(|(r, c)| {
            (Just(r), Just(c), prop::collection::vec(-1e30f32..1e30, r * c))
        }),
        name in "[a-zA-Z_]{1,8}",
    ) {
        prop_assume!(name != "__metadata__");
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a");
        write(&path, &header("pca"), &[Tensor::f32(&name, [rows, columns], &values)]).unwrap();
        let artifact = Artifact::open_verified(&path, "pca").unwrap();
        let (shape, read) = artifact.f32(&name).unwrap();
        prop_assert_eq!((shape, read), (&[rows, columns][..], &values[..]));
        let matrix = artifact.matrix(&name).unwrap();
        prop_assert_eq!(matrix.dim(), (rows, columns));
    }
}
