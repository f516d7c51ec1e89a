//! `fvtool inspect` of networks.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use crate::onnx::Onnx;
use crate::small_run::fixture;
use crate::support::put;

fn inspect(file: &Path, more: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fvtool"));
    let output = command.arg("inspect").arg(file).args(more).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn network() -> Onnx {
    let mut net = Onnx::new();
    net.conv("image", "map_conv", (3, 4), (3, 2, 1)).node("Relu", &["map_conv"], &["map"], &[]);
    net.node("GlobalAveragePool", &["map"], &["mean"], &[]);
    net.node("Flatten", &["mean"], &["vector"], &[]).floats(
        "fc",
        &[4, 3],
        &[1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 0.0, 1.0, 2.0, 0.0],
    );
    net.node("MatMul", &["vector", "fc"], &["scores"], &[]).output("scores");
    net
}

#[test]
fn a_network_is_described_and_tried() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    put(folder.path(), "net.onnx", network().metadata("fvtool.scaling", "unit").bytes());
    let (code, out, err) = inspect(&file, &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for line in [
        "kind         network (ONNX, made by a test)",
        "input        `image`: 3 channels, width any, height any",
        "scaling      unit (the file's `fvtool.scaling`)",
        "operators    Conv 1, Flatten 1, GlobalAveragePool 1, MatMul 1, Relu 1",
        "  map              4  112 × 112       2  3  (Relu)",
        "  scores           3      1 × 1       –  all (a vector)  (MatMul)",
    ] {
        // The columns are as wide as the names.
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(out.lines().any(|of_out| words(of_out) == words(line)), "{line}\n{out}");
    }
    assert!(!out.contains("map_conv"), "{out}");
    assert!(inspect(&file, &["--json"]).1.contains("map_conv"));

    let image = fixture().data.join("JPEGImages/000001.jpg");
    let image = image.to_str().unwrap();
    let (code, out, _) = inspect(&file, &["--image", image]);
    assert!(code == 0 && out.contains("top of `scores`, counted from 0: 1 ("), "{out}");
    let json: Value =
        serde_json::from_str(&inspect(&file, &["--image", image, "--json"]).1).unwrap();
    assert_eq!(json["trial"][0]["top"][0][0], 1);
    assert_eq!(json["size"], serde_json::json!([288, 224]));
    assert_eq!(json["values"][1]["x"]["stride"], 2.0);

    // Without a scaling nothing is run.
    put(folder.path(), "net.onnx", network().bytes());
    let (code, out, err) = inspect(&file, &["--image", image]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: setting `network.scaling` is auto"), "{err}");
    assert_eq!(inspect(&file, &["--image", image, "--scaling", "unit"]).0, 0);
    let (code, _, err) = inspect(&file, &["--image", image, "--scaling", "unite"]);
    assert!(code == 1 && err.contains("`network.scaling` is unite"), "{err}");

    put(folder.path(), "other.onnx", b"\x89PNG");
    let (code, _, err) = inspect(&folder.path().join("other.onnx"), &[]);
    assert!(code == 1 && err.contains("other.onnx: ") && err.contains("ONNX"), "{err}");
}
