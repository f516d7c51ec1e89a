//! Networks: values and receptive fields against slow ones, sizes, threads, and files that are refused.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use fvtool::image::Plane;
use fvtool::network::{Map, Network, Runner, Scaling};
use rayon::prelude::*;

use crate::onnx::{Onnx, Value, bytes, declared, raw_constant};
use crate::support::in_pool;

fn open(onnx: &Onnx) -> Network {
    Network::parse(Path::new("net.onnx"), onnx.bytes()).unwrap()
}

fn refusal(onnx: &Onnx) -> String {
    Network::parse(Path::new("net.onnx"), onnx.bytes()).map(|_| ()).unwrap_err().to_string()
}

fn runner(onnx: &Onnx, outputs: &[&str]) -> Runner {
    let outputs: Vec<String> = outputs.iter().map(|&name| name.to_owned()).collect();
    open(onnx).runner(&outputs, Scaling::parse("unit").unwrap()).unwrap()
}

fn planes([width, height]: [usize; 2], value: impl Fn(usize, usize, usize) -> f32) -> Vec<Plane> {
    (0..3).map(|c| Plane::from_fn(width, height, |x, y| value(c, x, y))).collect()
}

fn noise(size: [usize; 2]) -> Vec<Plane> {
    planes(size, |c, x, y| ((x * 31 + y * 57 + c * 91) * 2654435761 % 1009) as f32 / 1009.0)
}

/// A network with what real ones have: strides, a residual, branches, pooling, grouped and dilated windows.
fn varied() -> Onnx {
    let mut net = Onnx::new();
    net.conv("image", "stem", (3, 4), (3, 2, 1)).node("Relu", &["stem"], &["stem_relu"], &[]);
    net.conv("stem_relu", "same", (4, 4), (3, 1, 1));
    net.node("Add", &["same", "stem_relu"], &["sum"], &[]);
    net.conv("sum", "wide", (4, 3), (5, 1, 2)).conv("sum", "narrow", (4, 2), (1, 1, 0));
    net.node("Concat", &["wide", "narrow"], &["both"], &[("axis", Value::Int(1))]);
    net.node(
        "MaxPool",
        &["both"],
        &["pool"],
        &[
            ("kernel_shape", Value::Ints(&[3, 3])),
            ("strides", Value::Ints(&[2, 2])),
            ("pads", Value::Ints(&[1, 1, 1, 1])),
        ],
    );
    net.conv_with(
        "pool",
        "dilated",
        (5, 4),
        3,
        &[("dilations", Value::Ints(&[2, 2])), ("pads", Value::Ints(&[2, 2, 2, 2]))],
    );
    net.node(
        "AveragePool",
        &["dilated"],
        &["average"],
        &[
            ("kernel_shape", Value::Ints(&[2, 3])),
            ("strides", Value::Ints(&[1, 1])),
            ("pads", Value::Ints(&[0, 1, 0, 1])),
        ],
    );
    net.conv_with(
        "average",
        "uneven",
        (4, 6),
        3,
        &[("strides", Value::Ints(&[2, 1])), ("pads", Value::Ints(&[0, 1, 2, 0]))],
    );
    net.node("GlobalAveragePool", &["uneven"], &["global"], &[]);
    net.node("Flatten", &["global"], &["vector"], &[("axis", Value::Int(1))]);
    let weights = net.weights(6 * 10);
    net.floats("fc.weight", &[6, 10], &weights);
    net.node("MatMul", &["vector", "fc.weight"], &["scores"], &[]).output("scores");
    net
}

/// A convolution by its definition, with the middle of a window at `o · stride + 1 − pad`.
#[test]
fn values_are_those_of_the_definition() {
    let mut net = Onnx::new();
    let weights = net.weights(5 * 3 * 9);
    let bias = [0.5, -1.0, 0.25, 0.0, 2.0];
    net.floats("w", &[5, 3, 3, 3], &weights).floats("b", &[5], &bias);
    net.node(
        "Conv",
        &["image", "w", "b"],
        &["map"],
        &[("strides", Value::Ints(&[2, 2])), ("pads", Value::Ints(&[1, 1, 1, 1]))],
    );
    net.node("GlobalAveragePool", &["map"], &["mean"], &[]).output("map");
    let runner = runner(&net, &["mean", "map"]);
    // Any size, odd ones too, one after another.
    for size in [[9, 7], [16, 4], [33, 20]] {
        let image = noise(size);
        let maps = runner.run(&image).unwrap();
        let [mean, map] = &maps[..] else { panic!() };
        assert_eq!(map.size, size.map(|side| side.div_ceil(2)));
        let mut sums = [0.0f64; 5];
        for (i, &got) in map.values.iter().enumerate() {
            let (cell, c) = (i / 5, i % 5);
            let (x, y) = (cell % map.size[0], cell / map.size[0]);
            let mut sum = f64::from(bias[c]);
            for (p, plane) in image.iter().enumerate() {
                for (k, weight) in weights[(c * 3 + p) * 9..][..9].iter().enumerate() {
                    let (u, v) = ((2 * x + k % 3).wrapping_sub(1), (2 * y + k / 3).wrapping_sub(1));
                    if u < size[0] && v < size[1] {
                        sum += f64::from(*weight) * f64::from(plane.values[v * size[0] + u]);
                    }
                }
            }
            // 27 products of order 1 in f32.
            assert!((f64::from(got) - sum).abs() < 1e-5, "{x} {y} {c}: {got} {sum}");
            sums[c] += sum;
        }
        let cells = (map.size[0] * map.size[1]) as f64;
        assert_eq!((mean.size, mean.channels), ([1, 1], 5));
        for (got, sum) in mean.values.iter().zip(sums) {
            assert!((f64::from(*got) - sum / cells).abs() < 1e-5);
        }
    }
}

/// All columns (or rows) of pixels that change a cell when they grow: all weights are above 0, so nothing
/// cancels.
fn probed(runner: &Runner, size: [usize; 2], cell: [usize; 2], along: usize) -> [usize; 2] {
    let at = |map: &Map| map.values[(cell[1] * map.size[0] + cell[0]) * map.channels];
    let before = at(&runner.run(&planes(size, |_, _, _| 0.25)).unwrap()[0]);
    let seen: Vec<usize> = (0..size[along])
        .filter(|&line| {
            let image = planes(size, |_, x, y| if [x, y][along] == line { 1.0 } else { 0.25 });
            at(&runner.run(&image).unwrap()[0]) != before
        })
        .collect();
    [seen[0], seen[seen.len() - 1]]
}

/// What a cell is said to see, within the image.
fn stated(map: &Map, size: [usize; 2], cell: [usize; 2], along: usize) -> [usize; 2] {
    let sight = map.sight[along];
    let middle = sight.first + cell[along] as f64 * sight.stride;
    let [low, high] = [-1.0, 1.0].map(|side| middle + side * (sight.size - 1.0) / 2.0);
    [low.ceil().max(0.0) as usize, (high.floor() as usize).min(size[along] - 1)]
}

#[test]
fn receptive_fields_are_those_that_a_probe_finds() {
    let net = varied();
    for (name, size) in [
        ("stem", [23, 20]),
        ("sum", [23, 20]),
        ("both", [30, 26]),
        ("pool", [37, 40]),
        ("dilated", [64, 61]),
        ("average", [64, 61]),
        ("uneven", [80, 77]),
    ] {
        let runner = runner(&net, &[name]);
        let map = &runner.run(&noise(size)).unwrap()[0];
        for cell in [[0, 0], map.size.map(|side| side / 2), map.size.map(|side| side - 1)] {
            for along in 0..2 {
                let (seen, stated) =
                    (probed(&runner, size, cell, along), stated(map, size, cell, along));
                assert_eq!(seen, stated, "{name} cell {cell:?} axis {along}");
            }
        }
    }
}

/// Enlarged maps: what they see is bounded, to a cell of the smaller map.
#[test]
fn enlarged_maps_see_no_more_than_is_stated() {
    let mut net = Onnx::new();
    net.conv("image", "down", (3, 4), (3, 2, 1)).conv("down", "deeper", (4, 4), (3, 2, 1));
    net.floats("factors", &[4], &[1.0, 1.0, 2.0, 2.0]);
    for mode in ["nearest", "linear"] {
        let place = if mode == "nearest" { "asymmetric" } else { "half_pixel" };
        net.node(
            "Resize",
            &["deeper", "", "factors"],
            &[mode],
            &[
                ("mode", Value::Text(mode)),
                ("coordinate_transformation_mode", Value::Text(place)),
                ("nearest_mode", Value::Text("floor")),
            ],
        );
    }
    let weights = net.weights(4 * 2 * 4);
    net.floats("t.weight", &[4, 2, 2, 2], &weights);
    net.node(
        "ConvTranspose",
        &["deeper", "t.weight"],
        &["turned"],
        &[("strides", Value::Ints(&[2, 2]))],
    );
    net.node("Concat", &["nearest", "down"], &["pyramid"], &[("axis", Value::Int(1))]);
    net.output("pyramid");
    let size = [48, 40];
    for name in ["nearest", "linear", "turned", "pyramid"] {
        let runner = runner(&net, &[name]);
        let map = &runner.run(&noise(size)).unwrap()[0];
        assert_eq!((map.size, map.sight[0].stride), ([24, 20], 2.0), "{name}");
        for cell in [[0, 0], [11, 9], [12, 10], [23, 19]] {
            for along in 0..2 {
                let [a, b] = probed(&runner, size, cell, along);
                let [low, high] = stated(map, size, cell, along);
                assert!(low <= a && b <= high, "{name} {cell:?} {along}: {a} {b} in {low} {high}");
                // The nearest cell lies to one side of the place that is asked for.
                assert!(a <= low + 6 && high <= b + 6, "{name} {cell:?}: {a} {b} in {low} {high}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let runner = runner(&varied(), &["uneven", "scores"]);
    let images: Vec<Vec<Plane>> = (0..12).map(|i| noise([61 + 3 * i, 90 - 2 * i])).collect();
    let run = |threads| {
        in_pool(threads, || -> Vec<Vec<Map>> {
            images.par_iter().with_max_len(1).map(|image| runner.run(image).unwrap()).collect()
        })
    };
    let one = run(1);
    assert!(one.iter().flatten().all(|map| map.values.iter().any(|&value| value != 0.0)));
    for threads in [2, 5] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn scaling_and_the_order_of_colours_are_obeyed() {
    let mut net = Onnx::new();
    net.floats("w", &[3, 1, 1, 1], &[1.0; 3]);
    net.node("Conv", &["image", "w"], &["map"], &[("group", Value::Int(3))]).output("map");
    let image = planes([4, 4], |c, _, _| [0.0, 0.5, 1.0][c]);
    for (scaling, expected) in [
        ("unit", [0.0, 0.5, 1.0]),
        ("raw", [0.0, 127.5, 255.0]),
        ("bgr 1 2 3 1 2 4", [254.0, 62.75, -0.75]),
    ] {
        let scaling = Scaling::parse(scaling).unwrap();
        let runner = open(&net).runner(&["map".into()], scaling).unwrap();
        assert_eq!(runner.run(&image).unwrap()[0].values[..3], expected, "{scaling}");
    }
    // The file says it, or it must be given.
    let text = open(&net).scaling("").unwrap_err().to_string();
    assert!(text.contains("network.scaling") && text.contains("net.onnx"), "{text}");
    net.metadata("fvtool.scaling", "tf");
    assert_eq!(open(&net).scaling("").unwrap().to_string(), "tf");
    assert_eq!(open(&net).scaling("imagenet").unwrap().to_string(), "imagenet");
}

/// Networks whose channels stand last within, gates that see everything, sizes that the graph computes.
#[test]
fn layouts_of_other_programs_are_followed() {
    let mut net = Onnx::new();
    net.conv("image", "patches", (3, 4), (4, 4, 0));
    net.node("Transpose", &["patches"], &["last"], &[("perm", Value::Ints(&[0, 2, 3, 1]))]);
    let weights = net.weights(4 * 5);
    net.floats("m", &[4, 5], &weights).node("MatMul", &["last", "m"], &["rows"], &[]);
    net.node("Transpose", &["rows"], &["first"], &[("perm", Value::Ints(&[0, 3, 1, 2]))]);
    net.node("GlobalAveragePool", &["first"], &["squeezed"], &[]);
    net.node("Sigmoid", &["squeezed"], &["gate"], &[]);
    net.node("Mul", &["first", "gate"], &["gated"], &[]);
    net.whole("two", &[2]).whole("three", &[3]);
    net.node("Shape", &["gated"], &["sizes"], &[]);
    net.node("Slice", &["sizes", "two", "four"], &["sides"], &[]);
    net.whole("four", &[4]).whole("lead", &[1, 5]);
    net.node("Concat", &["lead", "sides"], &["target"], &[("axis", Value::Int(0))]);
    net.node("Reshape", &["gated", "target"], &["again"], &[]);
    net.node(
        "ReduceMean",
        &["again"],
        &["pooled"],
        &[("axes", Value::Ints(&[2, 3])), ("keepdims", Value::Int(0))],
    );
    net.output("pooled");
    let network = open(&net);
    let [rows, first, gated, again, pooled] = ["rows", "first", "gated", "again", "pooled"]
        .map(|name| network.output(name, [40, 24]).unwrap());
    for map in [&rows, &first, &gated, &again] {
        assert_eq!((map.channels, map.size), (5, [10, 6]), "{}", map.name);
        assert_eq!(map.sight.unwrap().map(|s| (s.stride, s.size)), [(4.0, 4.0); 2]);
    }
    assert_eq!([&rows, &first, &gated, &again].map(|map| map.whole), [false, false, true, true]);
    assert_eq!((pooled.channels, pooled.sight), (5, None));
    let runner = runner(&net, &["rows", "first", "pooled"]);
    let maps = runner.run(&noise([40, 24])).unwrap();
    // The same map, whichever way it lay.
    assert_eq!(maps[0].values, maps[1].values);
    assert_eq!(maps[2].values.len(), 5);
}

#[test]
fn files_that_cannot_be_used_are_refused_with_the_reason() {
    let with_input = |input: Vec<u8>| {
        let mut net = Onnx::new();
        net.inputs = vec![input];
        net.node("Relu", &["image"], &["map"], &[]).output("map");
        refusal(&net)
    };
    for (input, words) in [
        (declared("image", 1, &[1, -1, -1, 3]), "channels last"),
        (declared("image", 1, &[1, 1, -1, -1]), "1 channels"),
        (declared("image", 1, &[8, 3, 224, 224]), "8 images at once"),
        (declared("image", 1, &[1, 3]), "no image"),
        (declared("image", 2, &[1, 3, -1, -1]), "uint8"),
        (declared("image", 10, &[1, 3, -1, -1]), "float16"),
    ] {
        let text = with_input(input);
        assert!(text.contains(words) && text.starts_with("net.onnx: "), "{text}");
    }
    let mut net = varied();
    net.inputs.push(declared("other", 1, &[1]));
    assert!(refusal(&net).contains("2 inputs (`image`, `other`)"));
    let with = |change: &dyn Fn(&mut Onnx)| {
        let mut net = varied();
        change(&mut net);
        refusal(&net)
    };
    for (text, words) in [
        (
            with(&|net| {
                net.node("Relu", &["nowhere"], &["x"], &[]);
            }),
            "`nowhere`, which nothing",
        ),
        (
            with(&|net| {
                net.node("Relu", &["stem"], &["pool"], &[]);
            }),
            "two things make the value `pool`",
        ),
        (
            with(&|net| {
                net.output("nothing");
            }),
            "output `nothing` is made by nothing",
        ),
        (
            with(&|net| {
                net.node("If", &["stem"], &["x"], &[("then", Value::Graph)]);
            }),
            "control flow",
        ),
        (
            with(&|net| {
                net.constant(raw_constant("h", 10, &[2], &[0; 4]));
            }),
            "type float16",
        ),
        (
            with(&|net| {
                net.constant(raw_constant("h", 1, &[3], &[0; 8]));
            }),
            "12 bytes of values",
        ),
        (
            with(&|net| {
                net.constant(raw_constant("h", 1, &[1 << 40, 1 << 40], &[]));
            }),
            "more values",
        ),
        (
            with(&|net| {
                net.node("Relu", &["stem"], &["a\u{1b}[31m"], &[]);
            }),
            "control characters",
        ),
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut external = raw_constant("far", 1, &[1], &[0; 4]);
    bytes(13, b"", &mut external);
    let text = with(&|net| {
        net.constant(external.clone());
    });
    assert!(text.contains("`far`") && text.contains("another file"), "{text}");
    for junk in [&b""[..], b"PK\x03\x04 no network", b"\x08\x08", &varied().bytes()[..500]] {
        let error = Network::parse(Path::new("net.onnx"), junk.to_vec()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("net.onnx"), "{error}");
    }
}

#[test]
fn values_that_cannot_be_had_are_refused_with_the_reason() {
    let mut net = varied();
    net.node("NonMaxSuppression", &["uneven", "uneven"], &["boxes"], &[]);
    net.node("Relu", &["boxes"], &["behind"], &[]);
    net.conv_with(
        "image",
        "lower",
        (3, 2),
        2,
        &[("auto_pad", Value::Text("SAME_LOWER")), ("strides", Value::Ints(&[1, 1]))],
    );
    net.whole("fixed", &[1, 3, 9, 9]).node("Reshape", &["image", "fixed"], &["nine"], &[]);
    net.floats("many", &[4], &[1.0, 1.0, 1e6, 1e6]);
    net.node("Resize", &["image", "", "many"], &["huge"], &[]);
    let network = open(&net);
    let refuse = |name: &str| {
        let text = network.output(name, [64, 64]).unwrap_err().to_string();
        assert_eq!(text, {
            let made = network.runner(&[name.into()], Scaling::parse("unit").unwrap());
            match made.and_then(|runner| runner.planned([64, 64]).map(|_| ())) {
                Err(error) => error.to_string(),
                Ok(()) => panic!("{name} was taken"),
            }
        });
        text
    };
    for (name, words) in [
        ("averge", "no value `averge`; the nearest are `average`"),
        ("lower", "SAME_LOWER"),
        ("nine", "images of one size"),
        ("huge", "image.max_height_px"),
    ] {
        let text = refuse(name);
        assert!(text.contains(words), "{text}");
    }
    for name in ["boxes", "behind"] {
        let text = network.output(name, [64, 64]).unwrap_err().to_string();
        assert!(text.contains("operator NonMaxSuppression is not supported"), "{text}");
    }
    // What does not lead there is no hindrance.
    runner(&net, &["uneven"]).run(&noise([64, 64])).unwrap();
    let (values, reasons) = network.values_at([64, 64]);
    assert!(values.iter().any(|value| value.name == "scores" && value.sight.is_none()));
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    // Before its activation a map is of little use, and is marked.
    let inner = |name: &str| values.iter().find(|value| value.name == name).unwrap().inner;
    assert_eq!(["stem", "stem_relu", "sum", "scores"].map(inner), [true, false, false, false]);
}

#[test]
fn an_image_that_is_too_small_or_an_output_without_a_number_is_an_error() {
    let net = varied();
    let deep = runner(&net, &["uneven"]);
    let text = deep.run(&noise([3, 3])).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("too small for the network"), "{text}");
    let mut net = Onnx::new();
    net.conv("image", "quarter", (3, 2), (3, 16, 1)).output("quarter");
    let text = runner(&net, &["quarter"]).run(&noise([9, 40])).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("9 × 40 is smaller than the stride of `quarter`, 16 pixels"), "{text}");
    let mut net = Onnx::new();
    net.node("Log", &["image"], &["log"], &[]).output("log");
    let log = runner(&net, &["log"]);
    log.run(&planes([8, 8], |_, _, _| 0.5)).unwrap();
    let text = log.run(&planes([8, 8], |_, _, _| 0.0)).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("`log` is -inf") && text.contains("network.scaling"), "{text}");
}

/// Memory is known before anything runs: it grows with the image and holds what is there at once.
#[test]
fn bytes_are_those_of_the_values_that_are_there_at_once() {
    let runner = runner(&varied(), &["uneven"]);
    let [small, large] = [[64, 64], [640, 640]].map(|size| runner.bytes(size));
    // Image, `stem`, `stem_relu`: 3 planes, and two times 4 channels of a quarter of the pixels.
    let least = 4 * 640 * 640 * (3 + 1);
    assert!(large > least && large < 8 * least + (32 << 20), "{large}");
    assert!(small < large);
}
