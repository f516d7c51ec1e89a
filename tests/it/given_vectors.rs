//! Vectors of another program, one an image: read from one file, straight to the classifier.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::dataset::{Dataset, Label};
use fvtool::describer::{Describer, Workers};
use fvtool::explain::{AuditOptions, Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::image::{Params, Photo};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::write_npy;
use tempfile::TempDir;

use crate::small_run::{Listener, assert_same, contents, draw, fixture, refusal, scores};
use crate::support::{in_pool, put, safetensors};

/// Ids, and a row for each.
#[derive(Clone)]
struct Given {
    ids: Vec<String>,
    rows: Array2<f32>,
}

impl Given {
    /// A vector that says which classes an image shows, for every image of the fixture.
    fn of_labels() -> Self {
        let dataset = Dataset::open(&fixture().data, &Default::default(), Seed(1)).unwrap();
        let (mut ids, mut values, mut classes) = (Vec::new(), Vec::new(), 0);
        for name in ["train", "test"] {
            let split = dataset.split(name).unwrap();
            classes = split.classes.len();
            for (item, labels) in split.items.iter().zip(&split.labels) {
                let number = ids.len() as f32;
                ids.push(item.id.clone());
                values.push(0.5);
                values.extend(labels.iter().map(|&label| f32::from(label == Label::Yes)));
                values.push(0.01 * (number * 7.0 % 5.0));
            }
        }
        let rows = Array2::from_shape_vec((ids.len(), classes + 2), values).unwrap();
        Self { ids, rows }
    }

    fn npy(&self, file: &Path) {
        write_npy(file, &self.rows).unwrap();
        put(Path::new(""), file.with_extension("ids.txt"), self.ids.join("\n") + "\n");
    }

    fn safetensors(&self, file: &Path) {
        let (rows, columns) = self.rows.dim();
        let bytes: Vec<u8> = self.rows.iter().flat_map(|value| value.to_le_bytes()).collect();
        let header = serde_json::json!({
            "__metadata__": { "ids": self.ids.join("\n") },
            "vectors": { "dtype": "F32", "shape": [rows, columns], "data_offsets": [0, bytes.len()] },
        });
        put(Path::new(""), file, safetensors(&header.to_string(), &bytes));
    }

    fn row_of(&mut self, id: &str) -> ndarray::ArrayViewMut1<'_, f32> {
        let row = self.ids.iter().position(|known| known == id).unwrap();
        self.rows.row_mut(row)
    }
}

fn options(file: &Path, overrides: &[&str]) -> Options {
    let file = format!("descriptors.file={}", file.display());
    let all = ["descriptors.kind=vectors", &file, "svm.calibration=platt"];
    let overrides = all.iter().chain(overrides).map(|text| (*text).to_owned()).collect();
    Options { config: Some("quick".into()), overrides, ..Options::default() }
}

fn open<'p>(run: &Path, options: &Options) -> Run<'p> {
    Run::open(run, options, &Silent).unwrap()
}

fn refused(run: &Path, options: &Options) -> String {
    refusal(Run::open(run, options, &Silent).map(|_| ()))
}

fn vectors(run: &Path, split: &str) -> Array2<f32> {
    let shard = Artifact::open(&run.join("fisher").join(split).join("00000.safetensors")).unwrap();
    shard.matrix("vectors").unwrap().to_owned()
}

fn place() -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().unwrap();
    let (file, run) = (folder.path().join("mine.npy"), folder.path().join("run"));
    (folder, file, run)
}

/// What `predict` says of an image of the fixture's test split is what was evaluated.
#[track_caller]
fn assert_predicts_as_evaluated(run: &Run<'_>, data: &Path) {
    let ids = run.index("test").unwrap().images;
    let stored = scores(run.dir(), "test");
    for (row, image) in ids.iter().enumerate().take(3) {
        let file = data.join("JPEGImages").join(format!("{}.jpg", image.id));
        let predicted = run.predict(slice::from_ref(&file)).unwrap();
        let found = predicted[0].outcome.as_ref().unwrap();
        for (class, name) in stored.classes.iter().enumerate() {
            let of_class = found.iter().find(|score| score.class == *name).unwrap();
            assert!((of_class.score - stored.values[[row, class]]).abs() < 1e-6, "{name}");
        }
    }
}

#[test]
fn vectors_that_tell_classes_apart_reach_every_image() {
    let (folder, file, dir) = place();
    let data = &fixture().data;
    let given = Given::of_labels();
    given.npy(&file);
    let run = open(&dir, &options(&file, &[]));
    let (encoded, evaluated) = in_pool(1, || run.run_all(data, "train", "test").unwrap());
    assert_eq!((encoded.images, encoded.skipped), (24, 0));
    assert_eq!(evaluated.report.map.average_precision, Some(1.0), "{:?}", evaluated.report.map);
    assert!(!dir.join("descriptors").exists() && !dir.join("gmm.safetensors").exists());

    // A vector is its row at unit length.
    let stored = vectors(&dir, "train");
    assert_eq!(stored.dim(), (24, given.rows.ncols()));
    for (found, row) in stored.rows().into_iter().zip(given.rows.rows()) {
        let length = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        for (found, value) in found.iter().zip(row) {
            assert!((f64::from(*found) - f64::from(*value) / length).abs() < 1e-7);
        }
    }
    assert_predicts_as_evaluated(&run, data);

    // Another number of threads gives the same bits.
    let other = folder.path().join("other");
    in_pool(3, || open(&other, &options(&file, &[])).run_all(data, "train", "test").map(|_| ()))
        .unwrap();
    assert_same(&contents(&dir), &contents(&other));

    // One image described is its vector; a photo without a row is refused with the way out.
    let output = folder.path().join("described.safetensors");
    run.describe(&data.join("JPEGImages/000001.jpg"), &output).unwrap();
    let described = Artifact::open(&output).unwrap();
    assert_eq!(described.f32("vector").unwrap().1, stored.row(0).to_vec());
    let new = folder.path().join("new.jpg");
    fs::copy(data.join("JPEGImages/000001.jpg"), &new).unwrap();
    let text = run.predict(&[new]).unwrap()[0].outcome.clone().unwrap_err();
    assert!(text.contains("mine.npy") && text.contains("no row for `new`"), "{text}");

    // Nobody knows which pixels a vector is of.
    let selection = Selection { classes: Vec::new(), images: Vec::new(), only: Only::All, top: 1 };
    let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: false, network: None };
    for text in [
        refusal(run.explain(data, "test", &selection, &drawing)),
        refusal(run.explain_context(data, "test", &selection, Rule::Plain)),
        refusal(run.audit(data, "test", &AuditOptions::of_all_classes(Rule::Plain))),
    ] {
        assert!(
            text.contains("`descriptors.kind` is vectors") && text.contains("pixels"),
            "{text}"
        );
    }
    // Nor is there anything to fit.
    let text = refusal(run.extract(data, "train"));
    assert!(text.contains("no PCA") && text.contains("fvtool encode"), "{text}");
}

/// Without a run folder the same vectors, found by id or by the file that a photo is from.
#[test]
fn a_describer_takes_vectors_too() {
    let (_folder, file, dir) = place();
    let data = &fixture().data;
    Given::of_labels().npy(&file);
    let run = open(&dir, &options(&file, &[]));
    run.encode(data, "test").unwrap();
    let path =
        data.join("JPEGImages").join(format!("{}.jpg", run.index("test").unwrap().images[0].id));
    let photo = Photo::open(&path, &Params::default()).unwrap();
    let describer = Describer::fit(run.config(), slice::from_ref(&photo), &Silent).unwrap();
    let id = path.file_stem().unwrap().to_str();
    let described = describer.describe(&photo, id, &mut Workers::default()).unwrap();
    assert_eq!(described.vector, vectors(&dir, "test").row(0).to_vec());
    let text = refusal(describer.describe(&photo, None, &mut Workers::default()));
    assert!(text.contains("kind `vectors`") && text.contains("give its id"), "{text}");
}

#[test]
fn the_same_values_in_another_file_are_the_same_vectors() {
    let (folder, file, dir) = place();
    let data = &fixture().data;
    let given = Given::of_labels();
    given.npy(&file);
    open(&dir, &options(&file, &[])).run_all(data, "train", "test").unwrap();
    let before = contents(&dir.join("fisher"));
    let [tensors, wide] = ["mine.safetensors", "wide.npy"].map(|name| folder.path().join(name));
    given.safetensors(&tensors);
    given.npy(&wide);
    write_npy(&wide, &given.rows.mapv(f64::from)).unwrap();
    let mut turned = given.clone();
    turned.ids.reverse();
    turned.rows.invert_axis(Axis(0));
    turned.rows = turned.rows.as_standard_layout().into_owned();
    let reversed = folder.path().join("reversed.npy");
    turned.npy(&reversed);
    for other in [tensors, wide, reversed] {
        let afresh = folder.path().join(other.file_name().unwrap()).with_extension("run");
        open(&afresh, &options(&other, &[])).run_all(data, "train", "test").unwrap();
        assert_same(&before, &contents(&afresh.join("fisher")));
        // Nor is anything made again where it is there.
        let run = open(&dir, &options(&other, &[]));
        assert!(!run.run_all(data, "train", "test").unwrap().1.made, "{}", other.display());
    }
}

#[test]
fn a_changed_row_of_an_image_in_use_is_noticed_and_nothing_else() {
    let (_folder, file, dir) = place();
    let data = &fixture().data;
    let mut given = Given::of_labels();
    // An image that is in no split.
    given.ids.push("elsewhere".into());
    given.rows.push_row(Array1::ones(given.rows.ncols()).view()).unwrap();
    given.npy(&file);
    let listener = Listener::new(usize::MAX);
    let run = Run::open(&dir, &options(&file, &[]), &listener).unwrap();
    run.run_all(data, "train", "test").unwrap();
    assert!(listener.heard(&["mine.npy: 1 of 43 rows belong to no image", "`elsewhere`"]));
    drop(run);
    let up_to_date = |options: &Options| {
        assert!(!open(&dir, options).run_all(data, "train", "test").unwrap().1.made);
    };
    given.row_of("elsewhere").fill(3.0);
    given.npy(&file);
    up_to_date(&options(&file, &[]));
    // How images are scaled is no matter of theirs.
    up_to_date(&options(&file, &["image.max_height_px=50"]));
    // Nor is where the file lies.
    let moved = file.with_file_name("moved.npy");
    given.npy(&moved);
    up_to_date(&options(&moved, &[]));

    let first = given.ids[0].clone();
    given.row_of(&first)[1] += 0.001;
    given.npy(&file);
    let text = refusal(open(&dir, &options(&file, &[])).run_all(data, "train", "test"));
    assert!(text.contains("rows of the file of vectors (descriptors.file) have changed"), "{text}");
    let refit = Options { refit: true, ..options(&file, &[]) };
    assert!(open(&dir, &refit).run_all(data, "train", "test").unwrap().1.made);
    // Between two looks of one run held open.
    let run = open(&dir, &options(&file, &[]));
    assert!(!run.run_all(data, "train", "test").unwrap().1.made);
    given.row_of(&first)[1] -= 0.001;
    given.npy(&file);
    let text = refusal(run.run_all(data, "train", "test"));
    assert!(text.contains("rows of the file of vectors"), "{text}");
}

/// Rows that cannot be used cost their image alone, by name; one that is there later is used then.
#[test]
fn a_row_that_cannot_be_used_costs_its_image_alone() {
    let (_folder, file, dir) = place();
    let data = &fixture().data;
    let mut given = Given::of_labels();
    let whole = given.clone();
    given.row_of("000001")[2] = f32::NAN;
    given.row_of("000002")[0] = f32::NEG_INFINITY;
    given.row_of("000003").fill(0.0);
    given.ids[3] = "none".into();
    // A second line for the image 000005.
    given.ids.push("JPEGImages/000005.jpg".into());
    given.rows.push_row(Array1::ones(given.rows.ncols()).view()).unwrap();
    given.npy(&file);
    let run = open(&dir, &options(&file, &[]));
    assert_eq!(run.encode(data, "train").unwrap().skipped, 5);
    let reasons = run.index("train").unwrap().skipped;
    for (id, words) in [
        ("000001", "mine.npy: row 0 (`000001`): value 2 is NaN"),
        ("000002", "row 1 (`000002`): value 0 is -inf"),
        ("000003", "row 2 (`000003`) is all zeros"),
        ("000004", "no row for `000004`; add one"),
        ("000005", "`000005` and `JPEGImages/000005.jpg` both name image `000005`"),
    ] {
        let found = reasons.iter().find(|skipped| skipped.id == id).unwrap();
        assert!(found.reason.contains(words), "{id}: {}", found.reason);
    }
    drop(run);
    // A missing row that comes is taken without being asked, as an image is that can be read again.
    given.ids[3] = "000004".into();
    given.npy(&file);
    assert_eq!(open(&dir, &options(&file, &[])).encode(data, "train").unwrap().skipped, 4);
    let refit = Options { refit: true, ..options(&file, &[]) };
    whole.npy(&file);
    assert_eq!(open(&dir, &refit).encode(data, "train").unwrap().skipped, 0);
}

/// Lengths that no f32 has a square of.
#[test]
fn rows_of_any_length_come_to_unit_length() {
    let (_folder, file, dir) = place();
    let given = Given::of_labels();
    given.npy(&file);
    let scaled = |factor: f64| given.rows.mapv(|value| f64::from(value) * factor);
    open(&dir, &options(&file, &[])).encode(&fixture().data, "test").unwrap();
    let expected = vectors(&dir, "test");
    for factor in [1e-300, 1e300] {
        write_npy(&file, &scaled(factor)).unwrap();
        let refit = Options { refit: true, ..options(&file, &[]) };
        open(&dir, &refit).encode(&fixture().data, "test").unwrap();
        let difference = (&vectors(&dir, "test") - &expected).mapv(f32::abs);
        assert!(difference.iter().all(|&d| d < 1e-6), "{factor}");
    }
}

#[test]
fn files_that_are_no_vectors_are_refused_before_any_work() {
    let (folder, file, dir) = place();
    let path = |name: &str| folder.path().join(name);
    let ids = |count: usize| (0..count).map(|i| format!("{i}\n")).collect::<String>();
    let array = |name: &str, ids: &str| {
        put(folder.path(), path(name).with_extension("ids.txt").to_str().unwrap(), ids);
        path(name)
    };
    let mut cases: Vec<(PathBuf, &str)> = vec![
        (path("nothing.npy"), "existing .npy or .safetensors file"),
        (folder.path().to_owned(), "it is a folder, not a file"),
    ];
    let short = array("short.npy", &ids(3));
    write_npy(&short, &Array2::<f32>::ones((4, 5))).unwrap();
    cases.push((short, "3 ids for the 4 rows"));
    let twice = array("twice.npy", "a\nb\n./a\n");
    write_npy(&twice, &Array2::<f32>::ones((3, 5))).unwrap();
    cases.push((twice, "`a` stands in lines 1 and 3"));
    let blank = array("blank.npy", "a\n\nb\n");
    write_npy(&blank, &Array2::<f32>::ones((3, 5))).unwrap();
    cases.push((blank, "line 2 is empty"));
    let alone = path("alone.npy");
    write_npy(&alone, &Array2::<f32>::ones((3, 5))).unwrap();
    cases.push((alone, "alone.ids.txt"));
    let whole = array("whole.npy", &ids(3));
    write_npy(&whole, &Array2::<i32>::ones((3, 5))).unwrap();
    cases.push((whole, "values of type <i4"));
    let fortran = array("fortran.npy", &ids(3));
    write_npy(&fortran, &Array2::<f32>::ones((5, 3)).reversed_axes()).unwrap();
    cases.push((fortran, "Fortran order"));
    let flat = array("flat.npy", &ids(3));
    write_npy(&flat, &Array1::<f32>::ones(3)).unwrap();
    cases.push((flat, "shape [3]"));
    let narrow = array("narrow.npy", &ids(3));
    write_npy(&narrow, &Array2::<f32>::ones((3, 0))).unwrap();
    cases.push((narrow, "3 × 0 values"));
    let empty = array("empty.npy", "");
    write_npy(&empty, &Array2::<f32>::ones((0, 3))).unwrap();
    cases.push((empty, "0 × 3 values"));
    let wide = array("wide.npy", "a");
    write_npy(&wide, &Array2::<f32>::ones((1, 4097))).unwrap();
    cases.push((wide, "more than 4096"));
    let cut = array("cut.npy", &ids(30));
    write_npy(&cut, &Array2::<f32>::ones((30, 5))).unwrap();
    let bytes = fs::read(&cut).unwrap();
    put(folder.path(), &cut, &bytes[..bytes.len() - 1]);
    cases.push((cut, "cut short"));
    for (name, content, words) in [
        ("picture.npy", &b"\xff\xd8\xff\xe0 and more"[..], "neither an .npy file"),
        ("tiny.npy", b"\x93NUM", "neither an .npy file"),
        ("long.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "no safetensors file"),
        ("text.safetensors", b"\x02\0\0\0\0\0\0\0no", "no safetensors file"),
    ] {
        put(folder.path(), name, content);
        cases.push((path(name), words));
    }
    for (name, header, words) in [
        ("other", r#"{"x":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#, "it has `x`"),
        ("unnamed", r#"{"vectors":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#, "no ids"),
        (
            "bytes",
            r#"{"__metadata__":{"ids":"a"},"vectors":{"dtype":"U8","shape":[1,4],"data_offsets":[0,4]}}"#,
            "type U8",
        ),
        (
            "promise",
            r#"{"__metadata__":{"ids":"a"},"vectors":{"dtype":"F32","shape":[1,9],"data_offsets":[0,4]}}"#,
            "not as many bytes",
        ),
        (
            "beyond",
            r#"{"__metadata__":{"ids":"a"},"vectors":{"dtype":"F32","shape":[1,9],"data_offsets":[0,36]}}"#,
            "cut short",
        ),
    ] {
        let name = format!("{name}.safetensors");
        put(folder.path(), &name, safetensors(header, &[0; 4]));
        cases.push((path(&name), words));
    }
    #[cfg(unix)]
    {
        let pipe = path("pipe.npy");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        cases.push((pipe, "it is a pipe"));
    }
    for (file, words) in cases {
        let text = refused(&dir, &options(&file, &[]));
        assert!(text.contains(words), "{}: {text}", file.display());
    }
    // Of other images altogether.
    Given { ids: vec!["x".into()], rows: Array2::ones((1, 4)) }.npy(&file);
    let text = refusal(open(&dir, &options(&file, &[])).run_all(&fixture().data, "train", "test"));
    assert!(text.contains("no row for any of 24 images") && text.contains("`x`"), "{text}");
}

#[test]
fn settings_without_effect_or_sense_are_refused_or_named() {
    let (folder, file, dir) = place();
    Given::of_labels().npy(&file);
    let plain = options(&file, &[]);
    let with = |overrides: &[&str]| options(&file, overrides);
    let none = Options { overrides: vec!["descriptors.kind=vectors".into()], ..plain.clone() };
    for (options, words) in
        [(none, "descriptors.file"), (with(&["encoding.mirrored=true"]), "encoding.mirrored")]
    {
        let text = refused(&dir, &options);
        assert!(text.contains(words) && text.contains("vectors"), "{text}");
    }
    let text = Config::named("quick").unwrap().to_toml()
        + &format!(
            "\n[[channel]]\nname = \"mine\"\ndescriptors.kind = \"vectors\"\n\
             descriptors.file = \"{}\"\npca.dimension = 3\n",
            file.display()
        );
    put(folder.path(), "pca.toml", text);
    let named = folder.path().join("pca.toml").to_str().unwrap().to_owned();
    let text = refused(&dir, &Options { config: Some(named), ..Options::default() });
    assert!(text.contains("mine.pca.dimension") && text.contains("vectors"), "{text}");
    for (key, words) in [
        ("encoding.regions=['3x1']", "descriptors.kind is vectors"),
        ("gmm.components=3", "descriptors.kind is vectors"),
        ("network.multiple=16", "network or pooled"),
        ("descriptors.step_px=5", "kind = sift or colour"),
    ] {
        let listener = Listener::new(usize::MAX);
        drop(Run::open(&dir, &with(&[key]), &listener).unwrap());
        assert!(listener.heard(&[key, "no effect", words]), "{key}: {:?}", listener.notes());
    }
    // A limit that does not hold the ids is refused with the bytes.
    let small = Options { max_memory: Some(64 << 20), ..plain };
    let text = refusal(open(&dir, &small).encode(&fixture().data, "train"));
    assert!(text.contains("of ids") && text.contains("--max-memory"), "{text}");
}

/// Beside SIFT: both parts of the vector are what each channel gives alone, weights are learned.
#[test]
fn vectors_stand_beside_other_channels() {
    let (folder, file, dir) = place();
    let data = &fixture().data;
    Given::of_labels().safetensors(&file.with_extension("safetensors"));
    let settings = |fusion: &str| {
        let text = format!(
            "[descriptors]\nstep_px = 6\n[sample]\nrows = 4000\n[pca]\ndimension = 24\n[gmm]\n\
             components = 8\nmax_iterations = 5\nkmeans_iterations = 3\n[svm]\nfusion = \"{fusion}\"\n\
             {}[[channel]]\nname = \"sift\"\nweight = 0.1\n\
             [[channel]]\nname = \"mine\"\ndescriptors.kind = \"vectors\"\ndescriptors.file = '{}'\n",
            // Each channel's classifier would need a C of its own.
            if fusion == "scores" { "" } else { "c_grid = [1.0, 10.0]\nfolds = 3\n" },
            file.with_extension("safetensors").display()
        );
        put(folder.path(), format!("{fusion}.toml"), text);
        let config = folder.path().join(format!("{fusion}.toml")).to_str().unwrap().to_owned();
        Options { config: Some(config), ..Options::default() }
    };
    for fusion in ["weights", "learned", "scores"] {
        let dir = dir.with_extension(fusion);
        let run = open(&dir, &settings(fusion));
        let evaluated = run.run_all(data, "train", "test").unwrap().1;
        assert!(evaluated.report.map.average_precision.unwrap() > 0.95, "{fusion}");
        assert_predicts_as_evaluated(&run, data);
        assert!(dir.join("channels/sift/gmm.safetensors").exists());
        assert!(!dir.join("channels/mine/gmm.safetensors").exists());
        let alone = folder.path().join(format!("alone-{fusion}"));
        let only = Options {
            overrides: vec!["channel=['mine']".into(), "svm.fusion=weights".into()],
            ..settings(fusion)
        };
        open(&alone, &only).encode(data, "test").unwrap();
        let parts = [&dir, &alone].map(|run| contents(&run.join("channels/mine/fisher/test")));
        assert_same(&parts[0], &parts[1]);
        let selection =
            Selection { classes: Vec::new(), images: Vec::new(), only: Only::All, top: 1 };
        let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: false, network: None };
        let text = refusal(run.explain(data, "test", &selection, &drawing));
        assert!(text.contains("`mine.descriptors.kind` is vectors"), "{text}");
    }
}

/// Class folders: ids as paths of the images, as a program that lists them has them.
#[test]
fn ids_may_be_paths_of_the_images() {
    let (folder, file, dir) = place();
    let voc = folder.path().join("voc");
    draw(&voc, 6, 6);
    let photos = folder.path().join("photos");
    let (mut ids, mut values) = (Vec::new(), Vec::new());
    for (number, entry) in fs::read_dir(voc.join("JPEGImages")).unwrap().enumerate() {
        let (split, class) = (["train", "test"][number % 2], ["a", "b"][number / 2 % 2]);
        // The same names in both splits.
        let name = format!("{split}/{class}/{}.jpg", number / 4);
        put(&photos, &name, fs::read(entry.unwrap().path()).unwrap());
        ids.push(photos.join(&name).to_str().unwrap().to_owned());
        values.extend([1.0 + number as f32 / 100.0, f32::from(class == "a")]);
    }
    let rows = Array2::from_shape_vec((ids.len(), 2), values).unwrap();
    let mut given = Given { ids, rows };
    let mut evaluated = Vec::new();
    let full = given.ids.clone();
    let root = folder.path().to_str().unwrap().len();
    for (name, begin, ending) in
        [("full", 0, true), ("below", root, true), ("stem", root + 1, false)]
    {
        given.ids = full.iter().map(|id| id[begin..].to_owned()).collect();
        if !ending {
            given.ids.iter_mut().for_each(|id| id.truncate(id.len() - ".jpg".len()));
        }
        given.npy(&file);
        let dir = dir.with_extension(name);
        let run = open(&dir, &options(&file, &["svm.calibration=none"]));
        let report = run.run_all(&photos, "train", "test").unwrap().1.report;
        assert_eq!(report.accuracy.unwrap().mean_class, 1.0, "{name}");
        evaluated.push(contents(&dir.join("fisher")));
        // An image named by its file alone is found by its path.
        let image = PathBuf::from(&full[1]);
        let predicted = run.predict(slice::from_ref(&image)).unwrap();
        assert!(predicted[0].outcome.is_ok(), "{:?}", predicted[0]);
    }
    assert_same(&evaluated[0], &evaluated[1]);
    assert_same(&evaluated[0], &evaluated[2]);
}
