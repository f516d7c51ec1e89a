//! One function for each parser that meets files of unknown origin. None of them may panic, hang or
//! allocate more than a file's size warrants; what they accept must keep its promises.
//!
//! They are run by libFuzzer (`fuzz_targets/`), by `scripts/fuzz.sh` on a stable compiler, and by
//! `cargo test` on the committed corpus with some mutations.

use std::path::{Path, PathBuf};

use fvtool::artifacts::{Artifact, Npy, Shards, check_seal};
use fvtool::config::Config;
use fvtool::dataset::parsers;
use fvtool::image::{self, Colours};
use fvtool::linalg::Rows;
use fvtool::network::Network;
use fvtool::store;

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them; `corpus/` has a folder for each.
pub const TARGETS: &[Target] = &[
    ("artifact", artifact),
    ("list", list),
    ("xml", xml),
    ("config", config),
    ("npy", npy),
    ("index", index),
    ("stored", stored),
    ("sealed", sealed),
    ("source", source),
    ("network", network),
    ("image", image),
];

/// A file with these bytes, one for each thread: artifacts and arrays are mapped from disk.
#[allow(clippy::disallowed_methods, reason = "a file to be read, not an artifact")]
fn on_disk(data: &[u8], read: impl FnOnce(&Path)) {
    let thread = format!("{:?}", std::thread::current().id());
    let name = format!("fvtool-fuzz-{}-{thread}", std::process::id());
    let shared = Path::new("/dev/shm");
    let folder: PathBuf = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let path = folder.join(name);
    std::fs::write(&path, data).expect("a temporary file can be written");
    read(&path);
    let _ = std::fs::remove_file(&path);
}

/// `.safetensors` files of a run.
pub fn artifact(data: &[u8]) {
    on_disk(data, |path| {
        let Ok(artifact) = Artifact::open(path) else { return };
        for (name, _, shape) in artifact.tensors() {
            if let Ok((found, _)) = artifact.values(&name) {
                assert_eq!(found, shape);
            }
            let _ = artifact.matrix(&name);
        }
        let whole = artifact.verify().is_ok();
        let shards = Shards::open([path]);
        assert!(whole || shards.is_err(), "a damaged shard was taken");
    });
}

/// `<split>.txt`, and after a byte 0 `<class>_<split>.txt`.
pub fn list(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (ids, labels) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(count) = parsers::lists(ids, labels) {
        assert!(count > 0 && count <= data.len());
    }
}

/// `Annotations/<id>.xml`.
pub fn xml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for [left, top, right, bottom] in parsers::boxes(text).into_iter().flatten() {
        assert!([left, top, right, bottom].iter().all(|edge| edge.is_finite()));
        assert!(left <= right && top <= bottom);
    }
}

/// `config.toml`, presets and overrides.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Config::default().with_overrides(&[text.to_owned()]);
    let Ok(config) = Config::parse(text, "fuzz.toml") else { return };
    if config.validate().is_ok() {
        // What is accepted can be written down and read again.
        let again = Config::parse(&config.to_toml(), "again.toml").expect("it was written by us");
        assert_eq!(again, config);
    }
}

/// `.npy` arrays of other programs.
pub fn npy(data: &[u8]) {
    on_disk(data, |path| {
        if let Ok(npy) = Npy::open(path) {
            let array = npy.view();
            assert!(array.len() * 4 <= data.len());
        }
    });
}

/// `index.json` and other sealed JSON.
pub fn index(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("index.json");
    let sealed = check_seal(path, text).is_ok();
    assert!(sealed || store::parsers::index(text).is_err(), "a changed index was taken");
}

/// Artifacts whose checksum is right, whatever is in them: what every stage does with them then.
pub fn stored(data: &[u8]) {
    const KEY: &[u8] = b"\"fvtool.checksum\":\"";
    let mut data = data.to_vec();
    let digits = data.windows(KEY.len()).position(|w| w == KEY).map(|at| at + KEY.len());
    if let Some(digits) = digits.and_then(|at| data.get_mut(at..at + 64)) {
        digits.fill(b'0');
    }
    let checksum = blake3::hash(&data).to_hex();
    if let Some(digits) = digits.and_then(|at| data.get_mut(at..at + 64)) {
        digits.copy_from_slice(checksum.as_bytes());
    }
    on_disk(&data, |path| {
        let _ = store::parsers::stored(path);
        if let Ok(shards) = Shards::open([path]) {
            let (rows, dim) = (shards.len(), shards.dim());
            assert!(rows.saturating_mul(dim) <= data.len() * 4, "{rows} rows of {dim} values");
            if rows > 0 {
                shards.copy(rows - 1, 0..dim, &mut vec![0.0; dim]);
            }
        }
    });
}

/// `index.json` and figures whose checksum is right.
pub fn sealed(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((_, rest)) = text.split_once("\",") else { return };
    let text = format!("{{\"checksum\":\"{}\",{rest}", blake3::hash(rest.as_bytes()).to_hex());
    let path = Path::new("index.json");
    check_seal(path, &text).expect("it was sealed just now");
    let _ = store::parsers::index(&text);
    if let Some(report) = store::parsers::figures(&text) {
        assert!(report.table().ends_with('\n'));
    }
}

/// `source.json`.
pub fn source(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(split) = store::parsers::source(text) {
        assert!(!split.is_empty() && split != ".." && !split.contains('/'));
    }
}

/// ONNX files: read, and every value planned for images of two sizes.
pub fn network(data: &[u8]) {
    let Ok(network) = Network::parse(Path::new("net.onnx"), data.to_vec()) else { return };
    for size in [[64, 48], [1, 1]] {
        for value in network.values_at(size).0 {
            assert!(value.channels > 0 && value.size.iter().all(|&side| side > 0));
        }
    }
}

/// Images of every format that is read, with EXIF and colour profiles.
pub fn image(data: &[u8]) {
    on_disk(data, |path| {
        let params = image::Params { max_megapixels: 0.01, ..image::Params::default() };
        let loaded = image::load(path, &params, Colours::Rgb);
        let stated = image::stated_size(path);
        let Ok(loaded) = loaded else { return };
        let [width, height] = loaded.size_in_file;
        assert!(width * height <= 10_000);
        let stated = stated.expect("what is decoded states its size");
        assert!(stated == [width, height] || stated == [height, width]);
        for plane in &loaded.planes {
            assert_eq!([plane.width, plane.height], [width, height]);
            assert!(plane.values.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    });
}
