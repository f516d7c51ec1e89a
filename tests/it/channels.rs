//! Several channels: configuration, the joint vector, explanations that add up over them, and what
//! another run has made taken over.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::explain::{AuditOptions, Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::explanation::quality::Params;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use ndarray::Axis;
use tempfile::TempDir;

use crate::small_run::{assert_same, changed, contents, fixture, options, refusal};
use crate::support::{files_below, in_pool, put};

/// SIFT, and colour statistics as a second channel.
const CHANNELS: &str = r#"
[[channel]]
name = "sift"

[[channel]]
name = "colour"
weight = 0.5
descriptors.kind = "colour"
pca.dimension = 12
encoding.mirrored = true
"#;

fn two(folder: &Path, overrides: &[&str]) -> Options {
    let text = Config::named("quick").unwrap().to_toml() + CHANNELS;
    put(folder, "two.toml", text);
    let path = folder.join("two.toml").to_str().unwrap().to_owned();
    Options { config: Some(path), ..options(overrides) }
}

fn open<'p>(folder: &Path, overrides: &[&str]) -> Run<'p> {
    Run::open(&folder.join("run"), &two(folder, overrides), &Silent).unwrap()
}

#[test]
fn a_channel_says_what_it_does_otherwise() {
    let text = format!("[image]\nmax_height_px = 320\n{CHANNELS}");
    let config = Config::parse(&text, "two.toml").unwrap();
    config.validate().unwrap();
    let colour = config.of_channel(&config.channel[1]).unwrap();
    assert_eq!((colour.pca.dimension, colour.image.max_height_px), (12, 320));
    assert!(colour.encoding.mirrored && colour.channel.is_empty());
    let sift = config.of_channel(&config.channel[0]).unwrap();
    assert_eq!((sift.pca.dimension, sift.encoding.mirrored), (80, false));
    assert_eq!(Config::parse(&config.to_toml(), "again").unwrap(), config);

    let set = |text: &str| config.with_overrides(&[text.to_owned()]);
    let both = set("gmm.components=32").unwrap();
    assert!(both.channel.iter().all(|c| both.of_channel(c).unwrap().gmm.components == 32));
    let one = set("colour.gmm.components=32").unwrap();
    let components: Vec<usize> =
        one.channel.iter().map(|c| one.of_channel(c).unwrap().gmm.components).collect();
    assert_eq!(components, [256, 32]);
    assert_eq!(set("colour.weight=0.25").unwrap().channel[1].weight, 0.25);

    let only = set("channel=['colour']").unwrap();
    assert_eq!((only.channel.len(), &*only.channel[0].name), (1, "colour"));
    assert_eq!(set("channel=[]").unwrap().channel, []);
    assert!(refusal(set("channel=['color']")).contains("sift, colour"));
    for (text, problem) in [
        ("[[channel]]\nname = \"a\"\n[[channel]]\nname = \"a\"\n", "a name of its own"),
        ("[[channel]]\nname = \"../a\"\n", "lower-case letters"),
        ("[[channel]]\nname = \"a\"\nweight = 0\n", "from 1e-6 to 1e6"),
        ("[[channel]]\nname = \"a\"\nweight = nan\n", "from 1e-6 to 1e6"),
        ("[[channel]]\nname = \"a\"\ngmm.componets = 3\n", "componets"),
        ("[[channel]]\nname = \"a\"\nsvm.c = 3.0\n", "svm"),
        ("[[channel]]\nweight = 1.0\n", "name"),
    ] {
        let text = refusal(Config::parse(text, "x.toml").and_then(|c| c.validate()));
        assert!(text.contains(problem), "{text}");
    }
    let text = refusal(set("color.weight=2"));
    assert!(text.contains("sift, colour"), "{text}");
    for text in ["colour.gmm.componets=3", "colour.svm.c=3"] {
        let refused = set(text).and_then(|c| c.validate());
        assert!(refused.is_err(), "{text}");
    }
    // A channel of 96 values cannot have 128 dimensions.
    let folder = TempDir::new().unwrap();
    let options = two(folder.path(), &["colour.pca.dimension=128"]);
    let text = refusal(Run::open(&folder.path().join("run"), &options, &Silent).map(|_| ()));
    assert!(text.contains("96 dimensions"), "{text}");
}

#[test]
fn joint_vectors_are_those_of_the_channels_by_weight() {
    let folder = TempDir::new().unwrap();
    let run = open(folder.path(), &[]);
    let (encoded, evaluated) = run.run_all(&fixture().data, "train", "test").unwrap();
    assert_eq!((encoded.images, encoded.skipped), (24, 0));
    assert!(evaluated.report.map.average_precision.is_some());
    let dir = folder.path().join("run");
    for channel in ["sift", "colour"] {
        for file in ["pca.safetensors", "gmm.safetensors", "fisher/test/index.json"] {
            assert!(dir.join("channels").join(channel).join(file).exists(), "{channel}/{file}");
        }
    }
    let vectors = |channel: &str| {
        let file = dir.join(format!("channels/{channel}/fisher/test/00000.safetensors"));
        Artifact::open(&file).unwrap().matrix("vectors").unwrap().to_owned()
    };
    let (sift, colour) = (vectors("sift"), vectors("colour"));
    let index = run.index("test").unwrap();
    assert_eq!(index.dim, sift.ncols() + colour.ncols());

    // What `describe` joins for one image is what the classifier was given for it.
    let out = folder.path().join("image.safetensors");
    let first = &index.images[0].id;
    let image = fixture().data.join(format!("JPEGImages/{first}.jpg"));
    run.describe(&image, &out).unwrap();
    let described = Artifact::open(&out).unwrap();
    let joint = described.f32("vector").unwrap().1.to_vec();
    let (of_sift, of_colour) = (1.0 / 1.25f32.sqrt(), 0.5 / 1.25f32.sqrt());
    let expected = sift.row(0).mapv(|v| v * of_sift).into_iter();
    let expected = expected.chain(colour.row(0).mapv(|v| v * of_colour));
    for (a, b) in joint.iter().zip(expected) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let norm: f32 = joint.iter().map(|v| v * v).sum();
    assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    assert_eq!(described.matrix("colour.descriptors").unwrap().ncols(), 96);
    assert_eq!(described.matrix("sift.projected").unwrap().len_of(Axis(1)), 24);

    // Predicted scores are those of the evaluation.
    let predicted = run.predict(&[image]).unwrap().remove(0).outcome.unwrap();
    let scores = crate::small_run::scores(&dir, "test");
    for (class, score) in predicted.iter().zip(scores.values.row(0)) {
        assert!((class.score - score).abs() < 1e-4, "{class:?} {score}");
    }
}

#[test]
fn explanations_of_all_channels_add_up_to_the_score() {
    let folder = TempDir::new().unwrap();
    let run = open(folder.path(), &[]);
    let data = &fixture().data;
    run.run_all(data, "train", "test").unwrap();
    let selection = Selection { classes: vec![], images: vec![], only: Only::Present, top: 0 };
    for rule in [Rule::Absolute, Rule::Plain] {
        let drawing = Drawing { rule, shared_scale: false, raw: true, network: None };
        let maps = run.explain(data, "test", &selection, &drawing).unwrap();
        assert!(maps.len() >= 18);
        let scores = crate::small_run::scores(&folder.path().join("run"), "test");
        for map in &maps {
            let place =
                |names: &[String], name: &str| names.iter().position(|n| n == name).unwrap();
            let at = [place(&scores.ids, &map.id), place(&scores.classes, &map.class)];
            let evaluated = f64::from(scores.values[at]);
            // Sums that cancel differ in their last digits, which the square root magnifies.
            assert!((map.score - evaluated).abs() < 5e-3, "{evaluated} {map:?}");
            assert!(map.residual.abs() <= 1e-4 * map.score.abs().max(0.1), "{map:?}");
            assert!(map.residual_pixels.abs() <= 1e-6 * map.score.abs().max(1.0), "{map:?}");
        }
        // Raw relevance holds the descriptors of both channels, those of the mirror image too.
        let raw = Artifact::open(&maps[0].file.with_extension("safetensors")).unwrap();
        let n = raw.f32("descriptors").unwrap().1.len();
        let frames = raw.matrix("frames").unwrap();
        assert_eq!(frames.nrows(), n);
        assert_eq!(n % 3, 0, "as many of SIFT as of colour, twice");
        assert!(frames.column(0).iter().all(|&x| (0.0..120.0).contains(&x)));
        let dims = raw.f32("dimensions").unwrap().1.len();
        assert_eq!(dims, run.index("test").unwrap().dim);
    }
    let params = Params { batch: 20, most: 200, repeats: 2 };
    let quality = run.explain_quality(data, "test", &selection, Rule::Absolute, &params).unwrap();
    assert!(!quality.classes.is_empty());
    let mean = |order: usize| -> f64 { quality.classes.iter().map(|c| c.area[order]).sum() };
    assert!(mean(0) > mean(1) && mean(1) > mean(2), "{} {} {}", mean(0), mean(1), mean(2));
    run.audit(data, "test", &AuditOptions::of_all_classes(Rule::PUBLISHED)).unwrap();
}

/// However channels are fused, the classifier is linear in the joint vector: predictions are the
/// evaluated scores, and explanations add up to them.
#[test]
fn every_fusion_predicts_and_explains_what_it_evaluates() {
    let folder = TempDir::new().unwrap();
    let data = &fixture().data;
    let mut tables = Vec::new();
    for fusion in ["weights", "learned", "scores"] {
        let set = format!("svm.fusion={fusion}");
        let options = Options { refit: true, ..two(folder.path(), &[&set]) };
        let run = Run::open(&folder.path().join("run"), &options, &Silent).unwrap();
        run.run_all(data, "train", "test").unwrap();
        let scores = crate::small_run::scores(&folder.path().join("run"), "test");
        let image = data.join("JPEGImages").join(format!("{}.jpg", scores.ids[0]));
        let predicted = run.predict(&[image]).unwrap().remove(0).outcome.unwrap();
        for (class, score) in predicted.iter().zip(scores.values.row(0)) {
            assert!((class.score - score).abs() < 1e-4, "{fusion}: {class:?} {score}");
        }
        let first = Selection {
            classes: vec![],
            images: vec![scores.ids[0].clone()],
            only: Only::All,
            top: 0,
        };
        let drawing =
            Drawing { rule: Rule::Absolute, shared_scale: false, raw: false, network: None };
        let maps = run.explain(data, "test", &first, &drawing).unwrap();
        assert_eq!(maps.len(), scores.classes.len());
        for map in maps {
            let class = scores.classes.iter().position(|name| *name == map.class).unwrap();
            assert!((map.score - f64::from(scores.values[[0, class]])).abs() < 5e-3, "{map:?}");
            assert!(map.residual.abs() <= 1e-4 * map.score.abs().max(0.1), "{map:?}");
        }
        tables.push(scores.values);
    }
    assert!(tables[0] != tables[2], "late fusion changed nothing");
}

#[test]
fn threads_and_stages_change_no_bit_of_a_run_with_channels() {
    let made = |threads| {
        let folder = TempDir::new().unwrap();
        in_pool(threads, || {
            open(folder.path(), &[]).run_all(&fixture().data, "train", "test").unwrap();
        });
        contents(&folder.path().join("run"))
    };
    let one = made(1);
    assert_same(&one, &made(3));
    let folder = TempDir::new().unwrap();
    let data = &fixture().data;
    let run = open(folder.path(), &[]);
    run.extract(data, "train").unwrap();
    run.extract_and_fit_pca(data, "train").unwrap();
    run.extract_and_fit_gmm(data, "train").unwrap();
    run.encode(data, "train").unwrap();
    run.train("train").unwrap();
    run.evaluate(data, "test").unwrap();
    assert_same(&one, &contents(&folder.path().join("run")));
    // Nothing is left to do; another weight leaves the vectors as they are.
    drop(run);
    let again = open(folder.path(), &[]).run_all(data, "train", "test").unwrap();
    assert!(!again.1.made);
    let before = contents(&folder.path().join("run"));
    let text = refusal(
        Run::open(&folder.path().join("run"), &two(folder.path(), &["colour.weight=2"]), &Silent)
            .map(|_| ()),
    );
    assert!(text.contains("weight") && text.contains("--refit"), "{text}");
    let refit = Options { refit: true, ..two(folder.path(), &["colour.weight=2"]) };
    let run = Run::open(&folder.path().join("run"), &refit, &Silent).unwrap();
    run.run_all(data, "train", "test").unwrap();
    let after = contents(&folder.path().join("run"));
    let differing = changed(&before, &after);
    assert!(differing.contains(&"svm.safetensors".to_owned()));
    assert!(!differing.iter().any(|name| name.starts_with("channels/")), "{differing:?}");
}

#[test]
fn what_another_run_has_made_is_taken_over() {
    let folder = TempDir::new().unwrap();
    let (data, first) = (&fixture().data, fixture().run.clone());
    let place = folder.path().join("run");
    let reusing = |run: &Path, overrides: &[&str]| Options {
        reuse: vec![run.to_owned()],
        ..options(overrides)
    };
    // The same settings: everything that takes time is there, to the bit.
    let run = Run::open(&place, &reusing(&first, &[]), &Silent).unwrap();
    run.run_all(data, "train", "test").unwrap();
    assert_same(&contents(&first), &contents(&place));
    drop(run);
    // Another mixture: PCA and sample are those of the other run, the mixture is not.
    let other = folder.path().join("other");
    let run = Run::open(&other, &reusing(&first, &["gmm.components=6"]), &Silent).unwrap();
    run.run_all(data, "train", "test").unwrap();
    let differing = changed(&contents(&first), &contents(&other));
    assert!(!differing.contains(&"pca.safetensors".to_owned()));
    assert!(differing.contains(&"gmm.safetensors".to_owned()));
    drop(run);
    // A channel takes over what a run of one channel made, and a damaged file is made again.
    let damaged = folder.path().join("damaged");
    files_below(&first).into_iter().for_each(|(name, mut bytes)| {
        if name == "gmm.safetensors" {
            *bytes.last_mut().unwrap() ^= 1;
        }
        put(&damaged, name, bytes);
    });
    let joint = Options { reuse: vec![damaged], ..two(folder.path(), &[]) };
    let run = Run::open(&folder.path().join("joint"), &joint, &Silent).unwrap();
    run.run_all(data, "train", "test").unwrap();
    for file in ["pca.safetensors", "gmm.safetensors", "fisher/test/00000.safetensors"] {
        let of = |path: &Path| fs::read(path.join(file)).unwrap();
        assert_eq!(of(&first), of(&folder.path().join("joint/channels/sift")), "{file}");
    }
    let none = reusing(&folder.path().join("none"), &[]);
    let text = refusal(Run::open(&folder.path().join("new"), &none, &Silent).map(|_| ()));
    assert!(text.contains("none"), "{text}");
    assert!(!folder.path().join("new").exists());
}

/// With the mirror image's descriptors an image and its mirror image have the same vector.
#[test]
fn a_mirrored_vector_is_that_of_the_mirror_image() {
    let folder = TempDir::new().unwrap();
    let run = Run::open(
        &folder.path().join("run"),
        &options(&[
            "encoding.mirrored=true",
            "encoding.regions=['1x1', '1x2']",
            "descriptors.step_px=5",
        ]),
        &Silent,
    )
    .unwrap();
    run.run_all(&fixture().data, "train", "test").unwrap();
    let id = &run.index("test").unwrap().images[0].id;
    let file = fixture().data.join(format!("JPEGImages/{id}.jpg"));
    // Lossless, so that both hold the same pixels.
    let picture = ::image::open(file).unwrap().to_rgb8();
    let vector = |name: &str, picture: &::image::RgbImage| {
        let path = folder.path().join(name);
        picture.save(&path).unwrap();
        let out = path.with_extension("safetensors");
        run.describe(&path, &out).unwrap();
        Artifact::open(&out).unwrap().f32("vector").unwrap().1.to_vec()
    };
    let straight = vector("a.png", &picture);
    let turned = vector("b.png", &::image::imageops::flip_horizontal(&picture));
    assert_ne!(straight, vec![0.0; straight.len()]);
    for (a, b) in straight.iter().zip(&turned) {
        assert!((a - b).abs() < 2e-4, "{a} {b}");
    }
}
