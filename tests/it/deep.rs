//! Channels of a network: rows of a map and its mean, from images to heatmaps.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use fvtool::artifacts::Artifact;
use fvtool::describer::{Describer, Workers};
use fvtool::explain::{AuditOptions, Drawing, Heatmap, Only, Rules, Selection};
use fvtool::explanation::{Rule, quality};
use fvtool::image::{self, Colours, Photo, Plane};
use fvtool::network::relevance::{self, Bias};
use fvtool::network::{Network, Scaling};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use tempfile::TempDir;

use crate::onnx::{Onnx, Value};
use crate::small_run::{
    Listener, assert_same, changed, contents, copy_of, fixture, refusal, scores,
};
use crate::support::{in_pool, put};

/// Three strides of 2: `middle` of stride 4 and `last` of stride 8 with 12 channels that see edges and colours.
pub fn network() -> Onnx {
    let mut net = Onnx::new();
    let signed = |net: &mut Onnx, name: &str, dims: [i64; 4]| {
        let count = dims.iter().product::<i64>() as usize;
        let weights: Vec<f32> = net.weights(count).iter().map(|w| w - 0.55).collect();
        net.floats(name, &dims, &weights);
    };
    let attributes = || [("strides", Value::Ints(&[2, 2])), ("pads", Value::Ints(&[1, 1, 1, 1]))];
    for (weights, dims, input, output) in [
        ("w1", [8, 3, 3, 3], "image", "a"),
        ("w2", [10, 8, 3, 3], "a_relu", "b"),
        ("w3", [12, 10, 3, 3], "middle", "c"),
    ] {
        signed(&mut net, weights, dims);
        net.node("Conv", &[input, weights], &[output], &attributes());
        let active = match output {
            "b" => "middle",
            "c" => "last",
            _ => "a_relu",
        };
        net.node("Relu", &[output], &[active], &[]);
    }
    net.node("GlobalAveragePool", &["last"], &["mean"], &[]);
    net.node("Flatten", &["mean"], &["vector"], &[]).output("vector");
    net.metadata("fvtool.scaling", "signed");
    net
}

pub const SETTINGS: &str = r#"
[descriptors]
kind = "network"
[network]
file = "net.onnx"
output = "last"
scales = [1.0, 0.5]
multiple = 8
[sample]
rows = 2000
[pca]
dimension = 8
[gmm]
components = 4
max_iterations = 5
kmeans_iterations = 3
[svm]
calibration = "none"
[[channel]]
name = "mean"
descriptors.kind = "pooled"
[[channel]]
name = "last"
[[channel]]
name = "middle"
weight = 0.5
network.output = "middle"
"#;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        place.write(&network());
        put(place.folder.path(), "settings.toml", SETTINGS);
        place
    }

    fn write(&self, network: &Onnx) {
        put(self.folder.path(), "net.onnx", network.bytes());
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("net.onnx")
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn options(&self, overrides: &[&str]) -> Options {
        Options {
            config: Some(self.folder.path().join("settings.toml").to_str().unwrap().to_owned()),
            overrides: overrides.iter().map(|text| (*text).to_owned()).collect(),
            network: Some(self.file()),
            ..Options::default()
        }
    }

    fn open(&self, name: &str, overrides: &[&str]) -> Run<'static> {
        let run = self.folder.path().join(name);
        Run::open(&run, &self.options(overrides), &Silent).unwrap()
    }

    fn refused(&self, overrides: &[&str]) -> String {
        let run = self.folder.path().join("refused");
        refusal(Run::open(&run, &self.options(overrides), &Silent).map(|_| ()))
    }
}

fn vectors(run: &Path, split: &str) -> ndarray::Array2<f32> {
    let shard = Artifact::open(&run.join("fisher").join(split).join("00000.safetensors")).unwrap();
    shard.matrix("vectors").unwrap().to_owned()
}

/// The last map of an image at the scales of the settings, each with the rows of its cells.
fn maps(file: &Path, image: &Path, mirrored: bool) -> Vec<Vec<f32>> {
    let mut planes = image::load(image, &image::Params::default(), Colours::Rgb).unwrap().planes;
    if mirrored {
        planes.iter_mut().for_each(Plane::mirror);
    }
    let network = Network::open(file).unwrap();
    let scaling = Scaling::parse("signed").unwrap();
    let runner = network.runner(&["last".into()], scaling).unwrap();
    [[120, 96], [64, 48]]
        .map(|[width, height]: [usize; 2]| {
            let resized: Vec<Plane> =
                planes.iter().map(|plane| image::resize(plane, width, height)).collect();
            runner.run(&resized).unwrap().remove(0).values
        })
        .to_vec()
}

#[test]
fn a_run_of_three_channels_from_images_to_heatmaps() {
    let place = Place::new();
    let data = &fixture().data;
    let run = place.open("run", &[]);
    let evaluated = in_pool(1, || run.run_all(data, "train", "test").unwrap().1);
    assert!(evaluated.made);
    // Another number of threads, the same bits.
    let other = place.open("other", &[]);
    in_pool(3, || other.run_all(data, "train", "test").map(|_| ()).unwrap());
    drop(other);
    assert_same(&contents(&place.run()), &contents(&place.folder.path().join("other")));

    // The run remembers its network; what a user looks at is what was evaluated.
    drop(run);
    let run = Run::open(&place.run(), &Options::default(), &Silent).unwrap();
    assert!(!run.run_all(data, "train", "test").unwrap().1.made);
    let ids = run.index("test").unwrap().images;
    let stored = scores(&place.run(), "test");
    let image = data.join("JPEGImages").join(format!("{}.jpg", ids[0].id));
    let predicted = run.predict(slice::from_ref(&image)).unwrap();
    let found = predicted[0].outcome.as_ref().unwrap();
    for (class, name) in stored.classes.iter().enumerate() {
        let of_class = found.iter().find(|score| score.class == *name).unwrap();
        assert!((of_class.score - stored.values[[0, class]]).abs() < 1e-6, "{name}");
    }

    // Pooled vectors have no models; the others have theirs.
    let of_mean = place.run().join("channels/mean");
    let has = |file: &str| of_mean.join(file).exists();
    assert!(has("fisher") && !has("pca.safetensors") && !has("gmm.safetensors"));
    assert!(!has("descriptors") && place.run().join("channels/last/gmm.safetensors").exists());

    // Heatmaps and context, as for any other channel; quality needs a mixture to draw from.
    let selection = Selection { classes: Vec::new(), images: Vec::new(), only: Only::All, top: 2 };
    let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: true, network: None };
    assert!(!run.explain(data, "test", &selection, &drawing).unwrap().is_empty());
    let report = run.explain_context(data, "test", &selection, Rule::Plain).unwrap();
    assert!(!report.classes.is_empty());
    let params = quality::Params { batch: 20, repeats: 2, most: 60 };
    let selection = Selection { only: Only::TruePositives, ..selection };
    let report = run.explain_quality(data, "test", &selection, Rule::Plain, &params).unwrap();
    let better = report.classes.iter().filter(|class| class.area[0] > class.area[1]).count();
    assert!(better > 0, "what is relevant is worth more than what is drawn: {report:?}");
    run.audit(data, "test", &AuditOptions::of_all_classes(Rule::Plain)).unwrap();
}

/// Back through the network: the same score, other pixels, and nothing lost where the rule says so.
#[test]
fn relevance_goes_through_the_network_to_the_pixels() {
    let place = Place::new();
    let data = &fixture().data;
    for mirrored in [false, true] {
        let name = format!("through-{mirrored}");
        let run = place.open(&name, &[&format!("encoding.mirrored={mirrored}")]);
        run.run_all(data, "train", "test").unwrap();
        let selection =
            Selection { classes: Vec::new(), images: Vec::new(), only: Only::Present, top: 2 };
        let spread = relevance::Rule::AlphaBeta { alpha: 1.0, bias: Bias::Spread };
        let drawn = |network| {
            let rule = Rule::Absolute;
            let drawing = Drawing { rule, network, shared_scale: false, raw: true };
            let maps = run.explain(data, "test", &selection, &drawing).unwrap();
            let pixels = |map: &Heatmap| {
                let raw = Artifact::open(&map.file.with_extension("safetensors")).unwrap();
                raw.f32("pixels").unwrap().1.to_vec()
            };
            let pixels: Vec<Vec<f32>> = maps.iter().map(pixels).collect();
            (maps, pixels)
        };
        let (squares, of_squares) = drawn(None);
        let (through, of_pixels) = drawn(Some(spread));
        assert_eq!(squares.len(), through.len());
        for (((a, b), before), after) in
            squares.iter().zip(&through).zip(&of_squares).zip(&of_pixels)
        {
            assert_eq!((&a.id, a.score, a.relevance), (&b.id, b.score, b.relevance));
            assert!(a.network_kept.is_none() && before != after);
            let kept = b.network_kept.unwrap();
            assert!((kept - 1.0).abs() < 0.02, "{} {}: {kept}", b.id, b.class);
        }
        let rules = Rules { descriptors: Rule::Absolute, network: Some(spread) };
        let report = run.explain_context(data, "test", &selection, rules).unwrap();
        assert_eq!(report.rule, "absolute, network alpha 1 beta 0 with biases spread");
    }
    let run = place.open("through-false", &[]);
    let again = run.explain_context(
        data,
        "test",
        &Selection { classes: Vec::new(), images: Vec::new(), only: Only::Present, top: 1 },
        Rules { descriptors: Rule::Plain, network: Some(relevance::Rule::Epsilon(0.01)) },
    );
    again.unwrap();
}

/// A rule of networks has nothing to do in a run without one.
#[test]
fn a_network_rule_without_a_network_is_refused() {
    let data = &fixture().data;
    let (_folder, path) = copy_of(&fixture().run);
    let run = Run::open(&path, &Options::default(), &Silent).unwrap();
    let selection = Selection { classes: Vec::new(), images: Vec::new(), only: Only::All, top: 1 };
    let rules = Rules { descriptors: Rule::Plain, network: Some(relevance::Rule::Epsilon(0.01)) };
    let text = refusal(run.explain_context(data, "test", &selection, rules));
    assert!(text.contains("--network-rule"), "{text}");
}

/// What a channel gives beside others, in one pass of the network, is what it gives alone.
#[test]
fn one_pass_serves_several_channels() {
    let place = Place::new();
    let data = &fixture().data;
    place.open("together", &[]).encode(data, "test").unwrap();
    for name in ["mean", "last", "middle"] {
        let alone = place.folder.path().join(name);
        place.open(name, &[&format!("channel=['{name}']")]).encode(data, "test").unwrap();
        let together = place.folder.path().join("together/channels").join(name);
        let [together, alone] =
            [together, alone.join("channels").join(name)].map(|folder| contents(&folder));
        assert_same(&together, &alone);
    }
}

/// Without a run folder: fitted to photos in memory, the same vectors.
#[test]
fn a_describer_takes_networks_too() {
    let place = Place::new();
    let data = &fixture().data;
    let run = place.open("run", &[]);
    run.encode(data, "train").unwrap();
    let ids: Vec<String> = run.index("train").unwrap().images.into_iter().map(|i| i.id).collect();
    let photo = |id: &String| {
        let path = data.join("JPEGImages").join(format!("{id}.jpg"));
        Photo::open(&path, &image::Params::default()).unwrap()
    };
    let photos: Vec<Photo> = ids.iter().map(photo).collect();
    let describer = Describer::fit(run.config(), &photos, &Silent).unwrap();
    let described = describer.describe(&photos[0], None, &mut Workers::default()).unwrap();
    for (name, part) in ["mean", "last", "middle"].iter().zip(&described.parts) {
        let stored = vectors(&place.run().join("channels").join(name), "train");
        assert_eq!(stored.row(0).to_vec(), *part, "{name}");
    }
}

/// Mean of the map at each scale, mean of these, unit length; the mirror image counts alike where it counts.
#[test]
fn a_pooled_vector_is_the_mean_of_the_map() {
    let place = Place::new();
    let data = &fixture().data;
    for mirrored in [false, true] {
        let name = format!("pooled-{mirrored}");
        let set = format!("encoding.mirrored={mirrored}");
        let run = place.open(&name, &["channel=['mean']", &set]);
        run.run_all(data, "train", "test").unwrap();
        let stored = vectors(&place.folder.path().join(&name).join("channels/mean"), "test");
        let ids = run.index("test").unwrap().images;
        for (row, image) in stored.rows().into_iter().zip(&ids).take(3) {
            let path = data.join("JPEGImages").join(format!("{}.jpg", image.id));
            let mut mean = [0.0f64; 12];
            for side in 0..=usize::from(mirrored) {
                for values in maps(&place.file(), &path, side == 1) {
                    let cells = (values.len() / 12) as f64;
                    for (i, value) in values.iter().enumerate() {
                        mean[i % 12] += f64::from(*value) / cells;
                    }
                }
            }
            let length = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
            for (got, expected) in row.iter().zip(mean) {
                assert!((f64::from(*got) - expected / length).abs() < 2e-6, "{got} {expected}");
            }
        }
    }
}

/// With the mirror image an image and its mirror image have one vector.
#[test]
fn rows_of_the_mirror_image_are_those_of_the_network_for_it() {
    let place = Place::new();
    let data = &fixture().data;
    let overrides = ["channel=['last']", "encoding.mirrored=true"];
    let run = place.open("run", &overrides);
    run.run_all(data, "train", "test").unwrap();
    let original = data.join("JPEGImages/000030.jpg");
    let planes = image::load(&original, &image::Params::default(), Colours::Rgb).unwrap().planes;
    let [width, height] = [planes[0].width as u32, planes[0].height as u32];
    let picture =
        |flip: bool| {
            ::image::RgbImage::from_fn(width, height, |x, y| {
                let x = if flip { width - 1 - x } else { x };
                ::image::Rgb([0, 1, 2].map(|c: usize| {
                    (planes[c].values[(y * width + x) as usize] * 255.0).round() as u8
                }))
            })
        };
    let files = [false, true].map(|flip| place.folder.path().join(format!("{flip}.png")));
    files.iter().zip([false, true]).for_each(|(file, flip)| picture(flip).save(file).unwrap());
    let predicted = run.predict(&files).unwrap();
    let scores = |i: usize| -> Vec<f32> {
        predicted[i].outcome.as_ref().unwrap().iter().map(|score| score.score).collect()
    };
    for (a, b) in scores(0).iter().zip(scores(1)) {
        // Sums in another order.
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn long_rows_alone_are_kept_when_asked_for() {
    let place = Place::new();
    let data = &fixture().data;
    let run = place.open("run", &["channel=['last']", "descriptors.keep=above-mean-norm"]);
    run.run_all(data, "train", "test").unwrap();
    let image = data.join("JPEGImages/000030.jpg");
    let output = place.folder.path().join("described.safetensors");
    run.describe(&image, &output).unwrap();
    let described = Artifact::open(&output).unwrap();
    let lengths: Vec<f32> = maps(&place.file(), &image, false)
        .iter()
        .flat_map(|values| {
            values.chunks(12).map(|row| row.iter().map(|v| v * v).sum::<f32>().sqrt())
        })
        .collect();
    let mean = lengths.iter().map(|&l| f64::from(l)).sum::<f64>() / lengths.len() as f64;
    let kept = lengths.iter().filter(|&&length| f64::from(length) > mean).count();
    let rows = described.matrix("last.descriptors").unwrap();
    assert_eq!(rows.dim(), (kept, 12));
    assert!(kept < lengths.len());
    for row in rows.rows() {
        assert!((row.dot(&row) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn settings_that_do_not_fit_the_file_are_refused_before_work() {
    let place = Place::new();
    for (overrides, words) in [
        (&["network.output=lasst"][..], &["no value `lasst`", "`last`"][..]),
        (&["last.network.output=vector"], &["network.output", "vector fits pooled"]),
        (&["network.scaling=imagnet"], &["network.scaling", "imagenet"]),
        (&["network.scales=[]"], &["network.scales"]),
        (&["network.multiple=0"], &["network.multiple"]),
        (&["pca.dimension=13"], &["pca.dimension", "12 dimensions"]),
        (&["network.output="], &["network.output", "empty"]),
    ] {
        let text = place.refused(overrides);
        assert!(words.iter().all(|word| text.contains(word)), "{overrides:?}: {text}");
    }
    let mut unstated = network();
    unstated.metadata("fvtool.scaling", "");
    place.write(&unstated);
    let text = place.refused(&[]);
    assert!(text.contains("network.scaling") && text.contains("docs/NETWORKS.md"), "{text}");
    fs::remove_file(place.file()).unwrap();
    let text = place.refused(&[]);
    assert!(text.contains("network.file") && text.contains("--network"), "{text}");
    assert!(!place.folder.path().join("refused").exists());
}

#[test]
fn another_file_under_the_same_name_is_noticed() {
    let place = Place::new();
    let data = &fixture().data;
    place.open("run", &["channel=['mean']"]).run_all(data, "train", "test").unwrap();
    let mut other = network();
    other.metadata("note", "other");
    place.write(&other);
    let text = refusal(Run::open(&place.run(), &Options::default(), &Silent).map(|_| ()));
    assert!(text.contains("file of the network") && text.contains("--refit"), "{text}");
    // Back again, nothing is lost.
    place.write(&network());
    let run = Run::open(&place.run(), &Options::default(), &Silent).unwrap();
    assert!(!run.run_all(data, "train", "test").unwrap().1.made);
    drop(run);
    // Gone, it is asked for; elsewhere, everything is reused.
    let before = contents(&place.run());
    let elsewhere = place.folder.path().join("elsewhere.onnx");
    fs::rename(place.file(), &elsewhere).unwrap();
    let text = refusal(Run::open(&place.run(), &Options::default(), &Silent).map(|_| ()));
    assert!(text.contains("network.file") && text.contains("--network"), "{text}");
    let options = Options { network: Some(elsewhere.clone()), ..Options::default() };
    let run = Run::open(&place.run(), &options, &Silent).unwrap();
    assert!(!run.run_all(data, "train", "test").unwrap().1.made);
    assert_eq!(changed(&before, &contents(&place.run())), ["config.toml"]);
    let stored = fs::read_to_string(place.run().join("config.toml")).unwrap();
    assert!(stored.contains(elsewhere.to_str().unwrap()), "{stored}");
}

/// A pooled channel has no models, and says so wherever a setting of one is given.
#[test]
fn settings_of_models_that_a_pooled_channel_does_not_have() {
    let place = Place::new();
    let text = place.refused(&["mean.pca.dimension=4"]);
    assert!(text.contains("mean.pca.dimension") && text.contains("pooled"), "{text}");
    let listener = Listener::new(usize::MAX);
    let run = place.folder.path().join("run");
    let options = place.options(&["channel=['mean']", "gmm.components=3"]);
    let run = Run::open(&run, &options, &listener).unwrap();
    assert!(listener.heard(&["--set gmm.components=3 has no effect", "pooled"]));
    let text = refusal(run.extract(&fixture().data, "train").map(|_| ()));
    assert!(text.contains("pooled") && text.contains("fvtool encode"), "{text}");
    drop(run);
    // Of no use without a network.
    let listener = Listener::new(usize::MAX);
    let options = Options { network: Some(place.file()), ..Options::default() };
    Run::open(&place.folder.path().join("sift"), &options, &listener).unwrap();
    assert!(listener.heard(&["--network", "no effect", "descriptors.kind"]));
}

/// An output that is infinite for an image costs that image, with the reason.
#[test]
fn values_that_are_no_numbers_are_named() {
    let place = Place::new();
    let mut huge = network();
    huge.floats("huge", &[1], &[f32::MAX]);
    huge.node("Mul", &["last", "huge"], &["beyond"], &[]);
    huge.node("Mul", &["beyond", "huge"], &["infinite"], &[]).output("infinite");
    place.write(&huge);
    let run = place.open("run", &["channel=['last']", "network.output=infinite"]);
    let text = refusal(run.run_all(&fixture().data, "train", "test").map(|_| ()));
    assert!(text.contains("`infinite` is inf for this image"), "{text}");
}

#[test]
fn what_is_no_network_is_refused_by_name() {
    let place = Place::new();
    put(place.folder.path(), "net.onnx", "no network");
    let text = place.refused(&[]);
    assert!(text.contains("net.onnx") && text.contains("ONNX"), "{text}");
}

#[test]
fn images_without_a_row_are_left_out_with_the_reason() {
    let place = Place::new();
    let run = place.open("run", &["channel=['last', 'mean']", "network.multiple=400"]);
    let text = refusal(run.run_all(&fixture().data, "train", "test").map(|_| ()));
    assert!(
        text.contains("too few for the network") && text.contains("network.multiple"),
        "{text}"
    );
}
