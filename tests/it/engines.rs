//! The second engine of networks: where it has no library it is refused with the way out, and where it has
//! one it gives what the first one gives.
//!
//! FVTOOL_TEST_ONNXRUNTIME names a library of ONNX Runtime to test with.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use fvtool::artifacts::Artifact;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use ndarray::Array2;
use tempfile::TempDir;

use crate::deep::{SETTINGS, network};
use crate::small_run::{assert_same, contents, fixture, refusal};
use crate::support::{in_pool, put};

/// Sums of a few hundred f32 terms in another order, of vectors of unit length.
const CLOSE: f32 = 1e-5;

fn vectors(run: &Path, channel: &str) -> Array2<f32> {
    let shard = run.join("channels").join(channel).join("fisher/test/00000.safetensors");
    Artifact::open(&shard).unwrap().matrix("vectors").unwrap().to_owned()
}

#[test]
fn onnxruntime_gives_what_rten_gives_or_says_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    let (file, settings) = (folder.path().join("net.onnx"), folder.path().join("settings.toml"));
    put(folder.path(), "net.onnx", network().bytes());
    put(folder.path(), "settings.toml", SETTINGS);
    let options = |engine: &str, library: &Path| Options {
        config: Some(settings.to_str().unwrap().to_owned()),
        overrides: vec![
            format!("network.engine={engine}"),
            format!("network.library={}", library.display()),
            "channel=['mean', 'last']".to_owned(),
        ],
        network: Some(file.clone()),
        ..Options::default()
    };
    let refused = |library: &Path| {
        let run = folder.path().join("refused");
        refusal(Run::open(&run, &options("onnxruntime", library), &Silent).map(|_| ()))
    };
    // Neither is a library.
    for wrong in [folder.path().join("nothing.so"), file.clone()] {
        let text = refused(&wrong);
        assert!(text.contains("network.library"), "{text}");
        assert!(text.contains("pip install onnxruntime"), "{text}");
        assert!(text.contains(wrong.to_str().unwrap()), "{text}");
    }
    let Some(library) = std::env::var_os("FVTOOL_TEST_ONNXRUNTIME") else {
        if std::env::var_os("ORT_DYLIB_PATH").is_none() {
            let text = refused(Path::new(""));
            assert!(text.contains("neither network.library nor ORT_DYLIB_PATH"), "{text}");
        }
        return;
    };
    let library = Path::new(&library);
    let data = &fixture().data;
    let encoded = |name: &str, engine: &str, threads: usize| {
        let run = folder.path().join(name);
        in_pool(threads, || {
            let run = Run::open(&run, &options(engine, library), &Silent).unwrap();
            run.run_all(data, "train", "test").map(|_| ()).unwrap();
        });
        run
    };
    let (first, again) = (encoded("first", "onnxruntime", 1), encoded("again", "onnxruntime", 3));
    assert_same(&contents(&first), &contents(&again));
    let other = encoded("other", "rten", 1);
    let difference = (&vectors(&first, "mean") - &vectors(&other, "mean")).mapv(f32::abs);
    assert!(difference.iter().all(|&d| d < CLOSE), "{difference}");
    // A run of one engine is none of the other.
    let text = refusal(Run::open(&first, &options("rten", library), &Silent).map(|_| ()));
    assert!(text.contains("`network.engine` was \"onnxruntime\""), "{text}");
    assert!(text.contains("the engine of networks was \"onnxruntime of commit"), "{text}");
    // A process takes one library.
    let second = folder.path().join("second.so");
    put(folder.path(), "second.so", "another file");
    let text = refused(&second);
    assert!(text.contains("is loaded already"), "{text}");
}
