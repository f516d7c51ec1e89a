//! Relevance through a network against a slow definition, what is kept of it, and what is refused.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use fvtool::image::Plane;
use fvtool::network::relevance::{Bias, Rule};
use fvtool::network::{EngineKind, Map, Network, Scaling};

use crate::onnx::{Onnx, Value};

const SIZE: [usize; 2] = [19, 14];

const RULES: [Rule; 4] = [
    Rule::Epsilon(0.01),
    Rule::AlphaBeta { alpha: 1.0, bias: Bias::Ignore },
    Rule::AlphaBeta { alpha: 1.0, bias: Bias::Spread },
    Rule::AlphaBeta { alpha: 2.0, bias: Bias::Spread },
];

fn noise([width, height]: [usize; 2]) -> Vec<Plane> {
    let value = |c: usize, x: usize, y: usize| (x * 31 + y * 57 + c * 91) * 2654435761 % 1009;
    let plane = |c| Plane::from_fn(width, height, |x, y| value(c, x, y) as f32 / 1009.0);
    (0..3).map(plane).collect()
}

fn unit() -> Scaling {
    Scaling::parse("unit").unwrap()
}

fn open(net: &Onnx) -> Network {
    Network::parse(Path::new("net.onnx"), net.bytes()).unwrap()
}

fn map(net: &Onnx, name: &str, size: [usize; 2]) -> Map {
    let runner = open(net).runner(&[name.to_owned()], unit()).unwrap();
    runner.run(&noise(size)).unwrap().remove(0)
}

fn pixels(net: &Onnx, name: &str, size: [usize; 2], start: &[f32], rule: Rule) -> Plane {
    let outputs = [name.to_owned()];
    let backward = open(net).backward(EngineKind::Rten, &outputs, unit(), rule, [64, 64]).unwrap();
    backward.run(&noise(size), &[start.to_vec()]).unwrap()
}

/// Relevance of both signs, larger above 0.
fn start(map: &Map) -> Vec<f32> {
    let value = |i: usize| (i * 7919 % 97) as f32 / 97.0 - 0.2;
    (0..map.values.len()).map(value).collect()
}

fn sum(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum()
}

fn signed(net: &mut Onnx, name: &str, dims: &[i64]) -> Vec<f32> {
    let count = dims.iter().product::<i64>() as usize;
    let weights: Vec<f32> = net.weights(count).iter().map(|w| w - 0.5).collect();
    net.floats(name, dims, &weights);
    weights
}

/// Windows of a convolution from 4 channels to `out`.
struct Windows {
    out: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Before and behind; `None`: `SAME_UPPER`.
    pads: Option<[usize; 2]>,
    group: usize,
}

impl Windows {
    fn before(&self, length: usize) -> usize {
        let extent = (self.kernel - 1) * self.dilation + 1;
        let places = length.div_ceil(self.stride);
        let needed = ((places - 1) * self.stride + extent).saturating_sub(length);
        self.pads.map_or(needed / 2, |pads| pads[0])
    }

    /// `image` → 1 × 1 → `relu` (4 channels) → these windows → `out`; weights and biases of the last.
    fn network(&self) -> (Onnx, Vec<f32>, Vec<f32>) {
        let mut net = Onnx::new();
        signed(&mut net, "w1", &[4, 3, 1, 1]);
        signed(&mut net, "b1", &[4]);
        net.node("Conv", &["image", "w1", "b1"], &["a"], &[]).node("Relu", &["a"], &["relu"], &[]);
        let [out, each, kernel] = [self.out, 4 / self.group, self.kernel].map(|n| n as i64);
        let weights = signed(&mut net, "w2", &[out, each, kernel, kernel]);
        let bias = signed(&mut net, "b2", &[out]);
        let two = |n: usize| [n as i64; 2];
        let (strides, dilations) = (two(self.stride), two(self.dilation));
        let mut attributes = vec![
            ("strides", Value::Ints(&strides)),
            ("dilations", Value::Ints(&dilations)),
            ("group", Value::Int(self.group as i64)),
        ];
        let pads = self.pads.map(|[a, b]| [a, a, b, b].map(|n| n as i64));
        attributes.push(match &pads {
            Some(pads) => ("pads", Value::Ints(pads)),
            None => ("auto_pad", Value::Text("SAME_UPPER")),
        });
        net.node("Conv", &["relu", "w2", "b2"], &["out"], &attributes);
        (net, weights, bias)
    }

    /// The definition, pair by pair: relevance of the pixels (channels of `relu` added up).
    fn defined(
        &self,
        x: &Map,
        out: &Map,
        weights: &[f32],
        bias: &[f32],
        start: &[f32],
        rule: Rule,
    ) -> Vec<f64> {
        let [width, height] = x.size;
        let [left, top] = x.size.map(|side| self.before(side) as isize);
        let (each, outs) = (4 / self.group, self.out / self.group);
        let mut pixels = vec![0.0f64; width * height];
        for (cell, values) in start.chunks_exact(self.out).enumerate() {
            let at = [cell % out.size[0], cell / out.size[0]];
            for (o, &relevance) in values.iter().enumerate() {
                // Every pixel of the window with what each channel adds.
                let (mut window, mut terms) = (Vec::new(), Vec::new());
                for (k, &w) in weights[o * each * self.kernel * self.kernel..]
                    [..each * self.kernel * self.kernel]
                    .iter()
                    .enumerate()
                {
                    let channel = o / outs * each + k / (self.kernel * self.kernel);
                    let [ky, kx] = [k / self.kernel % self.kernel, k % self.kernel];
                    let place = |at: usize, k: usize, before: isize| {
                        (at * self.stride + k * self.dilation) as isize - before
                    };
                    let (px, py) = (place(at[0], kx, left), place(at[1], ky, top));
                    if px < 0 || py < 0 || px >= width as isize || py >= height as isize {
                        continue;
                    }
                    let pixel = py as usize * width + px as usize;
                    window.push(pixel);
                    terms.push((pixel, f64::from(w) * f64::from(x.values[pixel * 4 + channel])));
                }
                let (b, relevance) = (f64::from(bias[o]), f64::from(relevance));
                match rule {
                    Rule::Epsilon(epsilon) => {
                        let z = terms.iter().map(|t| t.1).sum::<f64>() + b;
                        let z = z + f64::from(epsilon).copysign(z);
                        terms.iter().for_each(|(pixel, t)| pixels[*pixel] += t / z * relevance);
                    }
                    Rule::AlphaBeta { alpha, bias } => {
                        let alpha = f64::from(alpha);
                        for (factor, sign) in [(alpha, 1.0), (1.0 - alpha, -1.0)] {
                            let part = |t: f64| sign * (sign * t).max(0.0);
                            let spread = bias == Bias::Spread && self.group > 1;
                            let b = if spread { part(b) } else { 0.0 };
                            let z = terms.iter().map(|t| part(t.1)).sum::<f64>() + b;
                            let z = z + 1e-6f64.copysign(z);
                            let share = factor * relevance / z;
                            terms.iter().for_each(|(pixel, t)| pixels[*pixel] += part(*t) * share);
                            let each = b * share / window.len() as f64;
                            window.iter().for_each(|pixel| pixels[*pixel] += each);
                        }
                    }
                }
            }
        }
        pixels
    }
}

#[test]
fn relevance_of_a_convolution_is_that_of_the_definition() {
    let windows = |out, kernel, stride, dilation, pads, group| Windows {
        out,
        kernel,
        stride,
        dilation,
        pads,
        group,
    };
    for (number, windows) in [
        windows(5, 1, 1, 1, Some([0, 0]), 1),
        windows(4, 3, 1, 1, Some([1, 1]), 4),
        windows(6, 3, 2, 1, Some([1, 1]), 1),
        windows(4, 5, 2, 1, Some([2, 2]), 4),
        windows(6, 3, 3, 1, Some([0, 1]), 2),
        windows(5, 3, 1, 2, Some([2, 2]), 1),
        windows(5, 3, 2, 2, Some([1, 2]), 1),
        windows(5, 4, 1, 1, None, 1),
        windows(4, 3, 2, 1, None, 4),
        windows(5, 2, 3, 1, None, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let (net, weights, bias) = windows.network();
        // Sizes that windows end with, and that they do not.
        for size in [SIZE, [16, 15], [18, 12]] {
            let (x, out) = (map(&net, "relu", size), map(&net, "out", size));
            let start = start(&out);
            for rule in RULES {
                let got = pixels(&net, "out", size, &start, rule);
                let expected = windows.defined(&x, &out, &weights, &bias, &start, rule);
                let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                for (pixel, (got, expected)) in got.values.iter().zip(&expected).enumerate() {
                    let apart = (f64::from(*got) - expected).abs() / largest;
                    assert!(apart < 1e-4, "{number} {size:?} {rule} {pixel}: {got} {expected}");
                }
            }
        }
    }
}

/// Residual, depthwise filters, a gate, branches, pooling of both kinds, padding and a mean.
fn varied() -> Onnx {
    let mut net = Onnx::new();
    let three = |stride: i64| {
        let pads = Value::Ints(&[1, 1, 1, 1]);
        let strides = if stride == 1 { &[1, 1] } else { &[2, 2] };
        vec![("strides", Value::Ints(strides)), ("pads", pads)]
    };
    net.floats("factor", &[1, 3, 1, 1], &[2.0, 2.5, 3.0]).floats("shift", &[1, 3, 1, 1], &[0.5; 3]);
    net.node("Sub", &["image", "shift"], &["moved"], &[]);
    net.node("Mul", &["moved", "factor"], &["scaled"], &[]);
    for (weights, dims) in [
        ("w1", &[8, 3, 3, 3]),
        ("w2", &[8, 1, 3, 3]),
        ("w3", &[8, 8, 1, 1]),
        ("w4", &[4, 8, 1, 1]),
        ("w5", &[4, 8, 3, 3]),
        ("w6", &[8, 8, 1, 1]),
    ] {
        signed(&mut net, weights, dims);
    }
    for bias in ["b1", "b2", "b3", "b6"] {
        signed(&mut net, bias, &[8]);
    }
    let depthwise = |stride| {
        let mut attributes = three(stride);
        attributes.push(("group", Value::Int(8)));
        attributes
    };
    net.node("Conv", &["scaled", "w1", "b1"], &["stem"], &three(2));
    net.node("Relu", &["stem"], &["stem_relu"], &[]);
    net.node("Conv", &["stem_relu", "w2", "b2"], &["filtered"], &depthwise(1));
    net.node("Relu", &["filtered"], &["filtered_relu"], &[]);
    net.node("Conv", &["filtered_relu", "w3", "b3"], &["mixed"], &[]);
    net.node("Add", &["mixed", "stem_relu"], &["sum"], &[]);
    net.node("GlobalAveragePool", &["sum"], &["squeezed"], &[]);
    net.node("Conv", &["squeezed", "w6", "b6"], &["excited"], &[]);
    net.node("Sigmoid", &["excited"], &["gate"], &[]);
    net.node("Mul", &["sum", "gate"], &["gated"], &[]);
    net.node("Relu", &["gated"], &["active"], &[]);
    net.node("Conv", &["active", "w4"], &["narrow"], &[]);
    net.node("Conv", &["active", "w5"], &["wide"], &three(1));
    net.node("Concat", &["narrow", "wide"], &["both"], &[("axis", Value::Int(1))]);
    net.node("Relu", &["both"], &["both_relu"], &[]);
    let mut windows = three(2);
    windows.push(("kernel_shape", Value::Ints(&[3, 3])));
    net.node("MaxPool", &["both_relu"], &["largest"], &windows);
    net.whole("room", &[0, 0, 1, 0, 0, 0, 0, 1]);
    net.node("Pad", &["largest", "room"], &["padded"], &[]);
    let windows = [("kernel_shape", Value::Ints(&[2, 2]))];
    net.node("AveragePool", &["padded"], &["map"], &windows);
    net.node("GlobalAveragePool", &["map"], &["mean"], &[]);
    net.node("Flatten", &["mean"], &["vector"], &[]).output("vector");
    net
}

#[test]
fn relevance_is_kept_from_the_last_value_to_the_pixels() {
    let net = varied();
    for size in [[32, 32], [45, 38]] {
        for name in ["map", "vector"] {
            let of_output = map(&net, name, size);
            // As far as it is there: an output of 0 has no reason.
            let start: Vec<f32> = of_output.values.clone();
            for rule in [RULES[1], RULES[2]] {
                let found = pixels(&net, name, size, &start, rule);
                let kept = sum(&found.values) / sum(&start);
                let least = if rule == RULES[2] { 0.98 } else { 0.5 };
                assert!((least..1.001).contains(&kept), "{size:?} {name} {rule}: {kept}");
                let below = found.values.iter().filter(|&&value| value < -1e-6).count();
                assert_eq!(below, 0, "{size:?} {name} {rule}: α = 1 takes nothing away");
            }
            for rule in [RULES[0], RULES[3]] {
                let found = pixels(&net, name, size, &start, rule);
                assert!(found.values.iter().any(|&value| value != 0.0), "{name} {rule}");
            }
        }
    }
}

/// Where the reason can only be one corner, the pixels of the other corner have nothing.
#[test]
fn relevance_stays_where_the_network_looked() {
    let net = varied();
    let size = [64, 64];
    let of_output = map(&net, "both_relu", size);
    let mut start = vec![0.0; of_output.values.len()];
    start[..of_output.channels].copy_from_slice(&of_output.values[..of_output.channels]);
    for rule in RULES {
        // The gate looks at everything, but gets nothing.
        let found = pixels(&net, "both_relu", size, &start, rule);
        let far =
            (0..64).flat_map(|y| (0..64).map(move |x| (x, y))).filter(|(x, y)| x.max(y) > &16);
        assert!(far.clone().all(|(x, y)| found.values[y * 64 + x] == 0.0), "{rule}");
        assert!(found.values.iter().any(|&value| value != 0.0), "{rule}");
    }
}

#[test]
fn a_normalisation_behind_a_convolution_is_part_of_it() {
    let build = |folded: bool| {
        let mut net = Onnx::new();
        let weights = signed(&mut net, "w1", &[4, 3, 3, 3]);
        let bias = signed(&mut net, "b1", &[4]);
        let [scale, shift, mean] =
            [[0.5, -1.5, 2.0, 0.1], [0.2, 0.0, -0.3, 0.4], [0.1, 0.2, -0.1, 0.0]];
        let variance = [0.5, 1.0, 2.0, 4.0];
        let factor = |c: usize| scale[c] / f32::sqrt(variance[c] + 1e-5);
        net.node("Conv", &["image", "w1", "b1"], &["a"], &[]).node("Relu", &["a"], &["relu"], &[]);
        let second = signed(&mut net, "w2", &[4, 4, 3, 3]);
        if folded {
            let of = |i: usize, w: &f32| w * factor(i / 36);
            let values: Vec<f32> = second.iter().enumerate().map(|(i, w)| of(i, w)).collect();
            net.floats("folded", &[4, 4, 3, 3], &values);
            let bias: Vec<f32> = (0..4).map(|c| shift[c] - mean[c] * factor(c)).collect();
            net.floats("bias", &[4], &bias);
            net.node("Conv", &["relu", "folded", "bias"], &["out"], &[]);
        } else {
            for (name, values) in [("s", scale), ("t", shift), ("m", mean), ("v", variance)] {
                net.floats(name, &[4], &values);
            }
            net.node("Conv", &["relu", "w2"], &["raw"], &[]);
            net.node("BatchNormalization", &["raw", "s", "t", "m", "v"], &["out"], &[]);
        }
        assert_eq!((weights.len(), bias.len()), (108, 4));
        net
    };
    let (plain, folded) = (build(false), build(true));
    let start = start(&map(&plain, "out", SIZE));
    for rule in RULES {
        let [a, b] = [&plain, &folded].map(|net| pixels(net, "out", SIZE, &start, rule));
        let largest = a.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in a.values.iter().zip(&b.values) {
            assert!((a - b).abs() < 1e-4 * largest, "{rule}: {a} {b}");
        }
    }
}

#[test]
fn what_has_no_rule_is_refused_by_name() {
    let refused = |operator: &str, inputs: &[&str], opset: i64| {
        let mut net = Onnx::new();
        net.opset = opset;
        signed(&mut net, "w", &[4, 3, 3, 3]);
        net.node("Conv", &["image", "w"], &["a"], &[]).node("Tanh", &["a"], &["b"], &[]);
        net.node(operator, inputs, &["out"], &[]).output("out");
        let found =
            open(&net).backward(EngineKind::Rten, &["out".to_owned()], unit(), RULES[0], [32, 32]);
        found.map(|_| ()).unwrap_err().to_string()
    };
    let text = refused("Mul", &["a", "b"], 13);
    assert!(text.contains("Mul") && text.contains("neither is a gate"), "{text}");
    let text = refused("Softmax", &["a"], 13);
    assert!(text.contains("operator Softmax has no rule") && text.contains("squares"), "{text}");
    let text = refused("Relu", &["a"], 9);
    assert!(text.contains("operator set 9") && text.contains("11 or later"), "{text}");
    let text = refused("Max", &["a", "b"], 13);
    assert!(text.contains("operator Max"), "{text}");
}
