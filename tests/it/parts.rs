//! Descriptors within boxes and parts: where they come from, what they change, and what is refused.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::dataset::synthetic::{PART_CLASSES, PARTS, PartsGenerator, Synthetic};
use fvtool::dataset::{AreaKind, Dataset, Params};
use fvtool::describer::{Describer, Workers};
use fvtool::explain::{Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::image::{Marks, Photo, RgbImage};
use fvtool::network::relevance::{self, Bias};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use tempfile::TempDir;

use crate::deep;
use crate::small_run::{Listener, copy_of, fixture, options, refusal};
use crate::support::put;

/// Images of the fixture, of 120 × 96 pixels each.
const IMAGES: usize = 24 + 18;

fn vectors(run: &Path, split: &str) -> ndarray::Array2<f32> {
    let shard = Artifact::open(&run.join("fisher").join(split).join("00000.safetensors")).unwrap();
    shard.matrix("vectors").unwrap().to_owned()
}

/// A table with the same rows for every image of the fixture.
fn table(header: &str, rows: &[&str]) -> String {
    let mut text = format!("{header}\n");
    for id in 1..=IMAGES {
        rows.iter().for_each(|row| writeln!(text, "{id:06},{row}").unwrap());
    }
    text
}

const BOXES: &str = "image,x,y,width,height";
const OF_PARTS: &str = "image,x,y,width,height,part";

fn data_with(name: &str, text: &str) -> (TempDir, PathBuf) {
    let (held, data) = copy_of(&fixture().data);
    put(&data, name, text);
    (held, data)
}

fn encoded(data: &Path, run: &Path, overrides: &[&str]) -> ndarray::Array2<f32> {
    let run_of = Run::open(run, &options(overrides), &Silent).unwrap();
    run_of.run_all(data, "train", "test").unwrap();
    vectors(run, "test")
}

/// What holds all of an image gives the bits of the image, whether it is one box or parts side by side.
#[test]
fn areas_that_hold_all_of_an_image_change_no_bit() {
    let whole = vectors(&fixture().run, "test");
    let (held, data) = data_with("boxes.csv", &table(BOXES, &["0,0,120,96", "3,5,20,20"]));
    let run = held.path().join("run");
    assert_eq!(encoded(&data, &run, &["descriptors.within=boxes"]), whole);

    // A box that changes makes what was made with it stale.
    put(&data, "boxes.csv", table(BOXES, &["0,0,70,96"]));
    let open = Run::open(&run, &options(&["descriptors.within=boxes"]), &Silent).unwrap();
    let text = refusal(open.run_all(&data, "train", "test"));
    assert!(
        text.contains("the boxes or parts of its images") && text.contains("--refit"),
        "{text}"
    );
    drop(open);
    // The order of rows has no meaning.
    put(&data, "boxes.csv", table(BOXES, &["3,5,20,20", "0,0,120,96"]));
    assert_eq!(encoded(&data, &run, &["descriptors.within=boxes"]), whole);
    // Without areas, boxes are no part of what vectors are made from.
    let plain = held.path().join("plain");
    assert_eq!(encoded(&data, &plain, &[]), whole);
    put(&data, "boxes.csv", table(BOXES, &["0,0,70,96"]));
    let open = Run::open(&plain, &options(&[]), &Silent).unwrap();
    assert!(!open.run_all(&data, "train", "test").unwrap().1.made);

    put(&data, "parts.csv", table(OF_PARTS, &["0,0,61.5,96,left", "61.5,0,58.5,96,right"]));
    let parts = held.path().join("parts");
    assert_eq!(encoded(&data, &parts, &["descriptors.within=parts"]), whole);
    put(&data, "parts.csv", table(OF_PARTS, &["0,0,61.5,96,left"]));
    let half = held.path().join("half");
    assert_ne!(encoded(&data, &half, &["descriptors.within=parts"]), whole);
    // One part of an object is the box of it.
    put(&data, "boxes.csv", table(BOXES, &["0,0,61.5,96"]));
    let boxed = encoded(&data, &held.path().join("boxed"), &["descriptors.within=boxes"]);
    assert_eq!(boxed, vectors(&half, "test"));
}

fn draw_parts(folder: &Path) -> PartsGenerator {
    let params = Synthetic { train_images: 60, test_images: 48, ..Synthetic::default() };
    let generator = PartsGenerator::new(&params, Seed(1)).unwrap();
    generator.files().into_iter().for_each(|(path, bytes)| put(folder, path, bytes));
    (0..generator.images()).for_each(|i| put(folder, generator.image_path(i), generator.jpeg(i)));
    generator
}

/// The classes of the drawn data differ by parts alone: taken from these, descriptors tell them.
#[test]
fn classes_that_differ_by_parts_are_told_by_parts() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let generator = draw_parts(&data);
    // An object of which no part can be seen, and parts that no descriptor lies in.
    let annotation = |index: usize| data.join(format!("Annotations/{:06}.xml", index + 1));
    let (hidden, tiny) = (60, 61);
    let mut text = fs::read_to_string(annotation(hidden)).unwrap();
    while let Some(start) = text.find("\t\t\t<bndbox>") {
        let end = text.find("\t\t\t</bndbox>\n").unwrap() + "\t\t\t</bndbox>\n".len();
        text.replace_range(start..end, "\t\t\t<visible>0</visible>\n");
    }
    put(&data, annotation(hidden).strip_prefix(&data).unwrap(), &text);
    let dot =
        "<part><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></part>";
    let mut text = fs::read_to_string(annotation(tiny)).unwrap();
    let parts = text.find("\t\t<part>").unwrap()..text.rfind("\t</object>").unwrap();
    text.replace_range(parts, dot);
    put(&data, annotation(tiny).strip_prefix(&data).unwrap(), &text);

    let dataset = Dataset::open(&data, &Params::default(), Seed(0)).unwrap();
    let split = dataset.split_with("train", &[AreaKind::Parts]).unwrap();
    for (index, item) in split.items.iter().enumerate() {
        let visible = generator.parts(index).iter().flatten().count();
        assert_eq!((item.areas.parts.len(), item.areas.boxes.len()), (visible, 0));
        assert!(item.areas.parts.iter().all(|part| PARTS.contains(&part.name.as_str())));
        let class = PART_CLASSES[generator.class(index)];
        assert_eq!(split.classes[item.objects[0].class], class);
    }
    assert!(dataset.split("train").unwrap().items.iter().all(|item| item.areas.parts.is_empty()));

    let map = |within: &str, listener: &Listener| {
        let within = format!("descriptors.within={within}");
        let settings = options(&["descriptors.step_px=3", "gmm.components=16", &within]);
        let run = folder.path().join(within.rsplit('=').next().unwrap());
        let run = Run::open(&run, &settings, listener).unwrap();
        run.run_all(&data, "train", "test").unwrap();
        run.stored_figures("test").unwrap().map.average_precision.unwrap()
    };
    let listener = Listener::new(usize::MAX);
    let (image, parts) = (map("image", &listener), map("parts", &listener));
    assert!(parts > image + 0.15, "{parts} {image}");
    let none = ["1 of 48 images of split `test` has no visible part: described as a whole"];
    assert!(listener.heard(&none), "{:?}", listener.notes());
    assert!(listener.heard(&["1 of 48 images of split `test` has no descriptor within"]));

    // What speaks for a class lies where descriptors were taken from; the sum is the score.
    let run = folder.path().join("parts");
    let run = Run::open(&run, &Options::default(), &listener).unwrap();
    let selection =
        Selection { classes: vec![], images: vec!["000063".into()], only: Only::All, top: 0 };
    let drawing = Drawing { rule: Rule::Plain, shared_scale: false, raw: true, network: None };
    let heatmaps = run.explain(&data, "test", &selection, &drawing).unwrap();
    assert_eq!(heatmaps.len(), PART_CLASSES.len());
    for heatmap in &heatmaps {
        assert!(heatmap.residual.abs() <= 1e-4 * heatmap.score.abs().max(1.0), "{heatmap:?}");
        let raw = Artifact::open_verified(&heatmap.file.with_extension("safetensors"), "relevance");
        let pixels = raw.unwrap().matrix("pixels").unwrap().to_owned();
        // A descriptor of bins of at most 10 pixels sees 20 to each side of its centre.
        let near = |x: usize, y: usize| {
            generator.parts(62).iter().flatten().any(|&[left, top, right, bottom]| {
                let within = |at: usize, from: u32, to: u32| {
                    (from as i64 - 21..=i64::from(to) + 21).contains(&(at as i64))
                };
                within(x, left, right) && within(y, top, bottom)
            })
        };
        // Sums over corners leave rounding errors elsewhere.
        let least = 1e-9 * pixels.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let stray = pixels.indexed_iter().find(|((y, x), v)| v.abs() > least && !near(*x, *y));
        assert_eq!(stray, None, "{:?}", generator.parts(62));
    }
    // A photograph of no data set has no parts.
    listener.notes();
    let photo = data.join("JPEGImages/000063.jpg");
    let predicted = run.predict(&[photo]).unwrap();
    assert!(predicted[0].outcome.is_ok());
    assert!(listener.heard(&["1 of 1 image has no visible part"]), "{:?}", listener.notes());
}

/// The mirror image has the mirrored areas: a photo turned round, with its box, gives the same vector.
#[test]
fn mirrored_rows_are_taken_from_mirrored_areas() {
    let overrides = [
        "descriptors.step_px=4",
        "pca.dimension=8",
        "gmm.components=4",
        "encoding.mirrored=true",
        "descriptors.within=boxes",
    ];
    let config = Config::named("quick").unwrap();
    let config = config.with_overrides(&overrides.map(str::to_owned)).unwrap();
    let pixels =
        RgbImage::from_fn(80, 60, |x, y| [((x * x + 3 * y * (1 + x)) % 251) as u8; 3].into());
    let turned = RgbImage::from_fn(80, 60, |x, y| *pixels.get_pixel(79 - x, y));
    let marked = |pixels: &RgbImage, boxes: &[[f32; 4]]| {
        Photo::from(pixels.clone()).with_marks(Marks { boxes: boxes.to_vec(), ..Marks::default() })
    };
    let describer = Describer::fit(&config, &[marked(&pixels, &[])], &Silent).unwrap();
    let vector =
        |photo: Photo| describer.describe(&photo, None, &mut Workers::default()).unwrap().vector;
    let own = vector(marked(&pixels, &[[5.0, 0.0, 41.0, 60.0]]));
    let other = vector(marked(&turned, &[[39.0, 0.0, 75.0, 60.0]]));
    let furthest =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // The same rows in another order.
    assert!(furthest(&own, &other) < 1e-5, "{}", furthest(&own, &other));
    assert!(furthest(&own, &vector(marked(&turned, &[[5.0, 0.0, 41.0, 60.0]]))) > 1e-2);
    assert!(furthest(&own, &vector(marked(&pixels, &[]))) > 1e-2);
}

/// Cells of a network by their centres, for Fisher vectors and means, and heatmaps back through the network.
#[test]
fn cells_of_a_network_are_taken_from_parts_too() {
    let held = TempDir::new().unwrap();
    put(held.path(), "net.onnx", deep::network().bytes());
    put(held.path(), "settings.toml", deep::SETTINGS);
    let (_data_held, data) = copy_of(&fixture().data);
    let settings = |overrides: &[&str]| Options {
        config: Some(held.path().join("settings.toml").to_str().unwrap().to_owned()),
        overrides: overrides.iter().map(|text| (*text).to_owned()).collect(),
        network: Some(held.path().join("net.onnx")),
        ..Options::default()
    };
    let open = |name: &str, overrides: &[&str]| {
        Run::open(&held.path().join(name), &settings(overrides), &Silent).unwrap()
    };
    let joint = |name: &str, overrides: &[&str]| {
        let run = open(name, overrides);
        run.run_all(&data, "train", "test").unwrap();
        run.stored_vectors("test").unwrap().0
    };
    let mirrored = "encoding.mirrored=true";
    let whole = joint("image", &[mirrored]);
    let halves = ["0,0,50,96,left", "50,0,70,96,right"];
    put(&data, "parts.csv", table(OF_PARTS, &halves));
    assert_eq!(joint("halves", &[mirrored, "descriptors.within=parts"]), whole);
    put(&data, "parts.csv", table(OF_PARTS, &["10,10,50,50,one", "40,30,50,60,two"]));
    let within = "descriptors.within=parts";
    assert_ne!(joint("two", &[mirrored, within]), whole);
    let run = open("two", &[mirrored, within]);
    let network = Some(relevance::Rule::AlphaBeta { alpha: 1.0, bias: Bias::Spread });
    let selection = Selection { classes: vec![], images: vec![], only: Only::Present, top: 1 };
    let drawing = Drawing { rule: Rule::Absolute, network, shared_scale: false, raw: false };
    for heatmap in run.explain(&data, "test", &selection, &drawing).unwrap() {
        let kept = heatmap.network_kept.unwrap();
        assert!((kept - 1.0).abs() < 0.02, "{}: {kept}", heatmap.id);
    }
    // A vector of the network is of all of its image.
    let vector = settings(&[within, "mean.network.output=vector"]);
    let text = refusal(Run::open(&held.path().join("no"), &vector, &Silent).map(|_| ()));
    assert!(text.contains("descriptors.within") && text.contains("is a vector"), "{text}");
}

#[test]
fn what_cannot_be_taken_from_areas_is_refused() {
    let (held, data) = copy_of(&fixture().data);
    let refused = |overrides: &[&str], name: &str| {
        let run = Run::open(&held.path().join(name), &options(overrides), &Silent);
        refusal(run.and_then(|run| run.run_all(&data, "train", "test").map(|_| ())))
    };
    let text = refused(&["descriptors.within=parts"], "none");
    assert!(text.contains("no image has parts") && text.contains("parts.csv"), "{text}");
    let text = refused(&["descriptors.within=head"], "head");
    assert!(text.contains("descriptors.within"), "{text}");
    let file = format!("descriptors.file={}", data.join("vectors.npy").display());
    let text = refused(&["descriptors.kind=vectors", &file, "descriptors.within=boxes"], "vectors");
    assert!(text.contains("`descriptors.within` is boxes") && text.contains("vectors"), "{text}");
    let places = "encoding.leave_out=[\"0,0,1,0.5\"]";
    let text = refused(&["descriptors.kind=vectors", &file, places], "vectors");
    assert!(text.contains("`encoding.leave_out`") && text.contains("vector is of all"), "{text}");
    let text = refused(&["data.boxes=nowhere.csv"], "nowhere");
    assert!(text.contains("data.boxes") && text.contains("nowhere.csv"), "{text}");

    put(&data, "parts.csv", format!("{OF_PARTS}\nkiwi,0,0,9,9,beak\nemu,0,0,9,9,beak\n"));
    let text = refused(&["descriptors.within=parts"], "others");
    assert!(text.contains("parts.csv: of other images: none of the 2"), "{text}");
    assert!(text.contains("`emu`, line 3") && text.contains("as `0000"), "{text}");
    // What nobody asks for is not looked at.
    Run::open(&held.path().join("image"), &options(&[]), &Silent)
        .unwrap()
        .run_all(&data, "train", "test")
        .unwrap();

    // An area outside its image costs that image alone.
    let text = table(OF_PARTS, &["0,0,60,60,one"])
        .replace("000025,0,0,60,60", "000025,0,200,60,60")
        .replace("000026,0,0,60,60", "000026,100,80,60,60");
    put(&data, "parts.csv", text);
    let listener = Listener::new(usize::MAX);
    let run = held.path().join("outside");
    let run = Run::open(&run, &options(&["descriptors.within=parts"]), &listener).unwrap();
    run.run_all(&data, "train", "test").unwrap();
    let skipped = run.index("test").unwrap().skipped;
    assert_eq!((skipped.len(), skipped[0].id.as_str()), (1, "000025"));
    assert!(skipped[0].reason.contains("0, 200, 59, 259"), "{skipped:?}");
    assert!(listener.heard(&["1 of 17 images of split `test` has boxes or parts that reach over"]));
    assert!(listener.heard(&["parts.csv: 42 rows of parts for 42 images"]));
}
