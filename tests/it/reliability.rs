//! Promises of docs/RELIABILITY.md that need no killed process and no full disk: settings, damaged
//! files, odd files and names, numbers, memory, and the same answer everywhere.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use fvtool::Error;
use fvtool::artifacts::{Artifact, Npy};
use fvtool::config::{Config, GROUPS};
use fvtool::dataset::Label;
use fvtool::encoding::{self, Encoder, Workspace};
use fvtool::gmm::{self, Gmm};
use fvtool::image;
use fvtool::pipeline::{Options, Run};
use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::projection::{self, Covariance, Projection};
use fvtool::random::Seed;
use fvtool::svm;
use ndarray::Array2;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::small_run::{
    Listener, assert_same, contents, copy_of, fixture, open, options, refit, refusal,
};
use crate::support::{files_below, put};

/// What `fvtool` says of a setting before any work, and that no run folder is made.
fn opened(overrides: &[&str]) -> Result<(), String> {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let overrides = overrides.iter().map(|s| (*s).to_owned()).collect();
    let options = Options { overrides, ..Options::default() };
    let outcome = Run::check_data(&run, &options, &fixture().data, &["train"], None);
    assert!(!run.exists());
    outcome.map_err(|e| e.to_string())
}

/// Numbers that no setting takes, and some that a few do: refused with key, value and origin.
#[test]
fn numbers_out_of_range_are_refused_before_any_work_with_their_origin() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let (mut refused, mut keys) = (0, 0);
    for group in GROUPS {
        for key in group.keys.iter().map(|key| key.name) {
            let value = &defaults[group.name][key];
            let values: &[&str] = match value {
                toml::Value::Float(_) => &["nan", "inf", "-inf", "-1.0", "-1e300", "1e300"],
                toml::Value::Integer(_) => &["-1", "-9223372036854775808", "1.5", "nan"],
                _ => continue,
            };
            keys += 1;
            for value in values {
                let set = format!("{}.{key}={value}", group.name);
                let Err(text) = opened(&[&set]) else {
                    // Only what has no upper end may be as large as this.
                    assert_eq!(*value, "1e300", "{set} is taken");
                    continue;
                };
                assert!(text.starts_with(&format!("--set {set}: ")), "{text}");
                assert!(text.len() > set.len() + 20, "no range: {text}");
                refused += 1;
            }
        }
    }
    assert!(keys >= 20 && refused >= 4 * keys, "{refused} of {keys} keys");
}

#[test]
fn a_refused_setting_says_where_it_was_set() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "my.toml", "seed = 4\n\n[pca]\ndimension = 129\n");
    let file = folder.path().join("my.toml");
    let file = file.to_str().unwrap();
    let said = |config: Option<&str>, overrides: &[&str], seed: Option<u64>| {
        let overrides = overrides.iter().map(|s| (*s).to_owned()).collect();
        let config = config.map(str::to_owned);
        let options = Options { config, overrides, seed, ..Options::default() };
        refusal(Run::check_data(Path::new("none"), &options, &fixture().data, &[], None))
    };
    let text = said(Some(file), &[], None);
    assert!(text.starts_with(&format!("{file}:4: ")), "{text}");
    assert!(text.contains("`pca.dimension` is 129") && text.contains("128"), "{text}");
    // The last one counts, and what an override contradicts is named.
    let text = said(Some(file), &["pca.dimension=0", "pca.dimension=130"], None);
    assert!(text.starts_with("--set pca.dimension=130: "), "{text}");
    let text = said(None, &["sample.rows=100"], None);
    assert!(text.starts_with("preset `best`: setting `gmm.components` is 512"), "{text}");
    assert!(text.contains("sample.rows (100)"), "{text}");
    let text = said(None, &[], Some(u64::MAX));
    assert!(text.starts_with("--seed 18446744073709551615: "), "{text}");
}

/// Every byte of every header of a real run, and a sample of its data.
#[test]
fn a_flipped_byte_of_any_artifact_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let mut tried = 0;
    for (name, whole) in files_below(&fixture().run) {
        if !name.ends_with(".safetensors") {
            continue;
        }
        let head = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let mut stream = Seed(1).stream(&name, 0);
        let data = (0..60).map(|_| head + stream.below(whole.len() - head)).collect::<Vec<_>>();
        // Opened once a byte: the header is what is parsed, so the data behind it may be few.
        for at in (0..head).step_by(if whole.len() > 1 << 20 { 5 } else { 1 }).chain(data) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << stream.below(8);
            let path = folder.path().join("flipped");
            put(folder.path(), "flipped", &bytes);
            let kind = Artifact::open(&path).map(|artifact| artifact.header().kind.clone());
            let verified = kind.and_then(|kind| Artifact::open_verified(&path, &kind));
            let text = verified.err().unwrap_or_else(|| panic!("byte {at} of {name}")).to_string();
            assert!(text.contains("flipped") && text.contains("; "), "byte {at} of {name}: {text}");
            tried += 1;
        }
    }
    assert!(tried > 3000, "{tried}");
}

/// The same for what is no safetensors file: labels and figures cannot change unseen.
#[test]
fn a_changed_index_or_figure_is_refused_or_made_again() {
    let (_folder, run) = copy_of(&fixture().run);
    let whole = contents(&run);
    let change = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(run.join(name)).unwrap();
        assert!(text.contains(from), "{name}");
        put(&run, name, text.replacen(from, to, 1));
    };
    change("fisher/train/index.json", "false", "true ");
    let text = refusal(open(&run, &[]).index("train"));
    assert!(text.contains("index.json") && text.contains("checksum"), "{text}");
    for (name, from, to) in [
        ("fisher/train/index.json", "false", "true "),
        ("eval/test.json", "0.", "1."),
        ("scores/test.csv", "0", "1"),
        ("results/comp1_cls_test_star.txt", "0", "1"),
        ("report_test.html", "0", "1"),
    ] {
        put(&run, name, &whole[name]);
        change(name, from, to);
        open(&run, &[]).run_all(&fixture().data, "train", "test").unwrap();
        assert_same(&whole, &contents(&run));
    }
}

/// Damage to a fingerprint or to stored settings must not be taken for another setting.
#[test]
fn damage_is_not_taken_for_a_changed_setting() {
    for (from, to) in [("fvtool.fingerprint\":\"", 'z'), ("\\\"components\\\":", '7')] {
        let (_folder, run) = copy_of(&fixture().run);
        let mut bytes = fs::read(run.join("gmm.safetensors")).unwrap();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        bytes[at + from.len()] = to as u8;
        put(&run, "gmm.safetensors", bytes);
        let text = refusal(open(&run, &[]).predict(&[]));
        assert!(text.contains("gmm.safetensors") && text.contains("damaged"), "{text}");
        // With --refit it is simply made again.
        let whole = contents(&fixture().run);
        refit(&run, &[]).run_all(&fixture().data, "train", "test").unwrap();
        assert_same(&whole, &contents(&run));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let zeros = folder.path().join("zeros.jpg");
    std::os::unix::fs::symlink("/dev/zero", &zeros).unwrap();
    for path in [&pipe, &zeros] {
        for error in [
            image::load_luminance(path, &image::Params::default()).unwrap_err(),
            Artifact::open(path).unwrap_err(),
            Npy::open(path).unwrap_err(),
            Config::named(path.to_str().unwrap()).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains("pipe, socket or device"), "{text}");
            assert!(text.contains(path.to_str().unwrap()), "{text}");
        }
    }
}

/// Names as photographs have them, and names that are no text: nothing is lost or mistaken.
#[cfg(target_os = "linux")]
#[test]
fn any_file_name_is_an_image() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let image = |i: usize| fs::read(fixture().data.join(format!("JPEGImages/{i:06}.jpg"))).unwrap();
    let long = format!("{}.jpg", "n".repeat(251));
    for (i, name) in [
        &b"my photo.jpg"[..],
        b"caf\xe9.jpg",
        b"caf\\xE9.jpg",
        b"new\nline.jpg",
        b"a,\"b\".jpg",
        long.as_bytes(),
    ]
    .into_iter()
    .enumerate()
    {
        put(&data, Path::new("all/one").join(std::ffi::OsStr::from_bytes(name)), image(i + 1));
        put(&data, format!("all/two/{i}.jpg"), image(i + 10));
    }
    let listener = Listener::new(usize::MAX);
    let run = folder.path().join("run");
    let opened = Run::open(&run, &options(&["gmm.components=4"]), &listener).unwrap();
    let (encoded, evaluated) = opened.run_all(&data, "all", "all").unwrap();
    assert_eq!((encoded.images, encoded.skipped, evaluated.report.images), (12, 0, 12));
    let index = opened.index("all").unwrap();
    let mut ids: Vec<&str> = index.images.iter().map(|image| image.id.as_str()).collect();
    assert!(ids.contains(&"one/caf\\xE9") && ids.contains(&"one/\\caf\\xE9"), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12);
    // The scores have them all; the format of VOC has no place for white space.
    assert!(listener.heard(&["no VOC result files", "white space"]));
    assert_eq!(crate::small_run::scores(&run, "all").ids.len(), 12);
    assert!(!run.join("results").exists());
    assert!(!opened.run_all(&data, "all", "all").unwrap().1.made);
}

#[test]
fn names_that_no_result_file_can_have_are_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    let image = fs::read(fixture().data.join("JPEGImages/000001.jpg")).unwrap();
    put(folder.path(), format!("train/{}/1.jpg", "c".repeat(240)), &image);
    let data = fvtool::dataset::Dataset::open(folder.path(), &Default::default(), Seed(1)).unwrap();
    let text = refusal(data.split("train"));
    assert!(text.contains("245 bytes") && text.contains("shorten"), "{text}");
}

#[test]
fn a_shard_is_made_again_when_a_file_that_was_gone_is_back() {
    let (_folder, run) = copy_of(&fixture().run);
    let whole = contents(&run);
    // As if 000030 had vanished between listing and reading: the fingerprint is that of all files.
    let lost = TempDir::new().unwrap();
    let kept = fs::read(fixture().data.join("JPEGImages/000030.jpg")).unwrap();
    let (_data, data) = copy_of(&fixture().data);
    fs::remove_file(run.join("source.json")).unwrap();
    fs::remove_file(run.join("fisher/test/00000.safetensors")).unwrap();
    let vanish =
        Vanish { path: data.join("JPEGImages/000030.jpg"), listener: Listener::new(usize::MAX) };
    let opened = Run::open(&run, &options(&[]), &vanish).unwrap();
    let evaluated = opened.evaluate(&data, "test").unwrap();
    assert_eq!(evaluated.encoded.skipped, 1);
    assert_eq!(opened.index("test").unwrap().skipped[0].id, "000030");
    drop((opened, lost));
    put(&data, "JPEGImages/000030.jpg", kept);
    assert_eq!(open(&run, &[]).evaluate(&data, "test").unwrap().encoded.skipped, 0);
    assert_same(&whole, &contents(&run));
}

/// Deletes a file when the encoding begins, after the list was hashed.
struct Vanish {
    path: PathBuf,
    listener: Listener,
}

impl fvtool::progress::Progress for Vanish {
    fn begin(&self, task: &str, _: u64, _: &str) {
        if task.starts_with("encode") {
            let _ = fs::remove_file(&self.path);
        }
    }
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, message: &str) {
        fvtool::progress::Progress::note(&self.listener, message);
    }
    fn summary(&self, _: &str, _: &str) {}
    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn neither_place_nor_order_of_files_changes_a_bit() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("a/deeper/place");
    let mut files: Vec<_> = files_below(&fixture().data).into_iter().collect();
    Seed(8).stream("order of files", 0).shuffle(&mut files);
    files.into_iter().for_each(|(name, bytes)| put(&data, name, bytes));
    let run = folder.path().join("run");
    open(&run, &[]).run_all(&data, "train", "test").unwrap();
    assert_same(&contents(&fixture().run), &contents(&run));
}

#[test]
fn a_limit_of_memory_changes_no_bit_or_is_refused_with_the_formula() {
    let limited = |run: &Path, megabytes: u64| {
        let max_memory = Some(megabytes * 1_000_000);
        Run::open(run, &Options { max_memory, ..options(&[]) }, &Silent).unwrap()
    };
    let folder = TempDir::new().unwrap();
    let text = refusal(limited(folder.path(), 70).run_all(&fixture().data, "train", "test"));
    assert!(text.contains("extract needs up to") && text.contains("sample.rows 4000"), "{text}");
    assert!(!folder.path().join("descriptors").exists());
    // One worker fits, of however many.
    let run = limited(folder.path(), 95);
    crate::support::in_pool(8, || run.run_all(&fixture().data, "train", "test").map(|_| ()))
        .unwrap();
    assert_same(&contents(&fixture().run), &contents(folder.path()));
    drop(run);
    // Vectors that are there take no memory to make; one shard less, and they do.
    let encode = |run: &Path| limited(run, 65).encode(&fixture().data, "test");
    assert!(!encode(folder.path()).unwrap().stamp.made);
    fs::remove_file(folder.path().join("fisher/test/00000.safetensors")).unwrap();
    assert!(refusal(encode(folder.path())).contains("encode needs up to"));
}

/// Numbers as they come from nowhere good: huge, tiny, equal, few.
fn awkward() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => Just(0.0f32),
        4 => Just(1.0f32),
        2 => -1.0f32..1.0,
        1 => Just(1e-38f32),
        1 => Just(f32::MIN_POSITIVE / 8.0),
        1 => Just(1e18f32),
        1 => Just(-1e18f32),
        1 => Just(3e38f32),
    ]
}

fn rows(most: usize, columns: usize) -> impl Strategy<Value = Array2<f32>> {
    (1..most, 1..=columns).prop_flat_map(|(n, d)| {
        let distinct = prop::collection::vec(prop::collection::vec(awkward(), d), 1..6);
        (distinct, prop::collection::vec(any::<prop::sample::Index>(), n)).prop_map(
            move |(table, picks)| {
                Array2::from_shape_fn((picks.len(), d), |(i, j)| picks[i].get(&table)[j])
            },
        )
    })
}

/// A refusal is of the kind that a user can act on.
fn clear(error: &Error) -> bool {
    matches!(error, Error::Numerical { .. } | Error::Setting { .. } | Error::Data { .. })
        && error.to_string().len() > 20
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_mixture_of_anything_is_finite_or_refused(x in rows(40, 4), k in 1usize..8, mini in any::<bool>()) {
        let params = gmm::Params {
            components: k,
            method: if mini { gmm::Method::MiniBatch } else { gmm::Method::Em },
            max_iterations: 4,
            batch_rows: 8,
            ..gmm::Params::default()
        };
        match gmm::fit(x.view(), &params, Seed(1), &Silent) {
            Err(error) => prop_assert!(clear(&error), "{}", error),
            Ok(fit) => {
                let gmm = &fit.gmm;
                prop_assert!(gmm.weights().iter().chain(gmm.means()).chain(gmm.variances()).all(|v| v.is_finite()));
                prop_assert!(gmm.variances().iter().all(|&v| v > 0.0));
                encoded(gmm, &x)?;
            }
        }
    }

    /// Mixtures that no fit would give, and rows far from them.
    #[test]
    fn a_vector_of_anything_is_finite_or_refused(x in rows(30, 3), k in 1usize..5, means in prop::collection::vec(awkward(), 15), variances in prop::collection::vec(1e-12f32..1e12, 15), weights in prop::collection::vec(0.0f32..1.0, 5)) {
        let d = x.ncols();
        let total: f32 = weights[..k].iter().sum();
        let weights: Vec<f32> = weights[..k].iter().map(|w| if total > 0.0 { w / total } else { 1.0 / k as f32 }).collect();
        let part = |values: &[f32]| Array2::from_shape_vec((k, d), values[..k * d].to_vec()).unwrap();
        if let Ok(gmm) = Gmm::new(weights, part(&means), part(&variances)) {
            encoded(&gmm, &x)?;
        }
    }

    #[test]
    fn a_projection_of_anything_is_finite_or_refused(x in rows(40, 6), k in 1usize..6, whiten in any::<bool>()) {
        let mut covariance = Covariance::new(x.row(0));
        let params = projection::Params { dimension: k, whiten, ..projection::Params::default() };
        let fitted = covariance.add(x.view(), &Silent).and_then(|()| Projection::fit(&covariance, &params, &Silent));
        match fitted {
            Err(error) => prop_assert!(clear(&error), "{}", error),
            Ok(pca) => prop_assert!(pca.components().iter().chain(pca.variances()).all(|v| v.is_finite())),
        }
    }

    #[test]
    fn a_classifier_of_anything_is_finite_or_refused(x in rows(16, 5), signs in prop::collection::vec(0usize..3, 16), solver in 0usize..3, platt in any::<bool>()) {
        let labels: Vec<Vec<Label>> = (0..x.nrows()).map(|i| vec![[Label::Yes, Label::No, Label::Ignored][signs[i]]]).collect();
        let params = svm::Params {
            solver: [svm::Solver::Gram, svm::Solver::Dual, svm::Solver::Smo][solver],
            calibration: if platt { svm::Calibration::Platt } else { svm::Calibration::None },
            folds: 2,
            max_epochs: 40,
            ..svm::Params::default()
        };
        match svm::train(&x.view(), &labels, &["a".to_owned()], &params, Seed(1), &Silent) {
            Err(error) => prop_assert!(clear(&error), "{}", error),
            Ok(model) => {
                prop_assert!(model.weights.iter().chain(&model.bias).all(|v| v.is_finite()));
                if let Ok(scores) = model.scores(&x.view()) {
                    prop_assert!(scores.iter().all(|v| v.is_finite()));
                }
            }
        }
    }
}

fn encoded(gmm: &Gmm, x: &Array2<f32>) -> Result<(), TestCaseError> {
    for orders in [vec![0, 1, 2], vec![1, 2]] {
        let params = encoding::Params { orders, ..encoding::Params::default() };
        let encoder = Encoder::new(gmm, &params).unwrap();
        let mut workspace = Workspace::default();
        encoder.begin(&mut workspace);
        let positions = vec![Position::at(0.5, 0.5); x.nrows()];
        let vector = encoder
            .push(x.view(), &positions, &mut workspace)
            .and_then(|()| encoder.finish(&mut workspace));
        match vector {
            Err(error) => prop_assert!(clear(&error), "{}", error),
            Ok(vector) => prop_assert!(vector.iter().all(|v| v.is_finite())),
        }
    }
    Ok(())
}
