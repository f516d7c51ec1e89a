//! The rule of each operator: how relevance of a node's output becomes relevance of its inputs. The list is
//! closed: what is not here is refused by name.
//!
//! | operators | rule |
//! |---|---|
//! | `Conv` on the image | all pixels of a window alike |
//! | `Conv` | ε or αβ (the [module docs](super)) |
//! | `Gemm`, `MatMul` with constants | ε |
//! | `Add` of two values | in proportion: to each (ε), or to the size of each (αβ) |
//! | `AveragePool`, `GlobalAveragePool`, `ReduceMean`, and `MaxPool` | the same, among the cells of a window |
//! | `Mul` by a gate (`Sigmoid`, `HardSigmoid`) | the value that is gated takes all |
//! | activations, normalisation with constants, `Add` or `Mul` of a constant | as it is |
//! | `Reshape`, `Flatten`, `Transpose`, `Concat`, `Pad`, … | moved back |

use std::borrow::Cow;

use super::super::node::{Attribute, Node};
use super::super::operators::of_each_number;
use super::super::proto::Fault;
use super::super::value::axis;
use super::rewrite::Rewrite;
use super::rule::{Bias, Rule};

/// Added to sums that cannot be 0 unless nothing is shared out.
const SMALL: f32 = 1e-6;

/// Gives the relevance of a node's first output to its inputs.
pub(super) fn undo(rewrite: &mut Rewrite<'_>, node: &Node, relevance: String) -> Result<(), Fault> {
    let seen: Vec<&String> = node.inputs.iter().filter(|name| rewrite.is_seen(name)).collect();
    let operator = node.operator.as_str();
    match (operator, &seen[..]) {
        ("Conv", [x]) => convolution(rewrite, node, x, &relevance),
        ("Gemm" | "MatMul", [x]) => product(rewrite, node, x, &relevance),
        ("Add" | "Sum", [_, _, ..]) => {
            sum(rewrite, node, &seen, &relevance);
            Ok(())
        }
        ("Mul", [_, _]) => gated(rewrite, &seen, relevance),
        ("AveragePool" | "MaxPool", [x]) => pooled(rewrite, node, x, &relevance),
        ("GlobalAveragePool" | "ReduceMean", [x]) => averaged(rewrite, node, x, &relevance),
        ("Reshape" | "Flatten" | "Squeeze" | "Unsqueeze", [x]) => {
            let shaped = rewrite.shaped_as(&relevance, x);
            rewrite.give(x, shaped);
            Ok(())
        }
        ("Transpose", [x]) => transposed(rewrite, node, x, &relevance),
        ("Concat", [_, ..]) => joined(rewrite, node, &relevance),
        ("Pad", [x]) => padded(rewrite, node, x, &relevance),
        ("Add" | "Sub" | "Sum" | "Mul" | "Div", [x]) => {
            // A constant that makes a value larger in shape would make several numbers of one.
            let (from, to) = (rewrite.value(x)?, rewrite.value(&node.outputs[0])?);
            if from.shape != to.shape {
                return Err("its constant is larger than the value that it meets".into());
            }
            rewrite.give(x, relevance);
            Ok(())
        }
        (_, [x]) if of_each_number(operator) => {
            rewrite.give(x, relevance);
            Ok(())
        }
        _ => Err(format!(
            "operator {operator} has no rule (docs/NETWORKS.md lists those that have); take a map before it, or \
             --network-rule squares"
        )),
    }
}

/// Whether numbers of a value are never negative, by the node that makes them.
fn is_positive(rewrite: &Rewrite<'_>, name: &str) -> bool {
    let Some(node) = rewrite.maker(name) else { return false };
    match node.operator.as_str() {
        "Relu" | "Sigmoid" | "HardSigmoid" => true,
        "Clip" => {
            let bound = node.inputs.get(1).and_then(|name| rewrite.constant(name));
            bound.is_some_and(|(_, bound)| bound.first().is_some_and(|&least| least >= 0.0))
                || matches!(node.attributes.get("min"), Some(Attribute::Float(least)) if *least >= 0.0)
        }
        "MaxPool" | "AveragePool" | "GlobalAveragePool" | "Identity" | "Dropout" => {
            is_positive(rewrite, &node.inputs[0])
        }
        _ => false,
    }
}

/// The weights of a node, which must be constants.
fn weights(rewrite: &Rewrite<'_>, node: &Node) -> Result<(Vec<usize>, Vec<f32>), Fault> {
    let found = rewrite.constant(&node.inputs[1]);
    let (dims, values) = found.ok_or("its weights are no constants of floats")?;
    Ok((dims.to_vec(), values))
}

/// Windows of a node: what its attributes say, or what the standard says where they are silent.
struct Windows {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    group: usize,
    /// Top, left, bottom, right; nothing where padding follows the size of the image.
    pads: Option<[i64; 4]>,
}

impl Windows {
    fn of(node: &Node, kernel: [usize; 2]) -> Self {
        let pair = |name: &str| match node.ints(name) {
            Some([a, b]) => [*a as usize, *b as usize],
            _ => [1, 1],
        };
        let (strides, dilations) = (pair("strides"), pair("dilations"));
        let extent = [0, 1].map(|i| (kernel[i] - 1) * dilations[i] + 1);
        let stated = || node.ints("pads").and_then(|pads| pads.try_into().ok()).unwrap_or([0; 4]);
        let pads = match node.text("auto_pad").unwrap_or("NOTSET") {
            "VALID" => Some([0; 4]),
            "NOTSET" | "" => Some(stated()),
            // Of windows that move by one, what is added does not depend on the size.
            _ if strides == [1, 1] => {
                let [top, left] = extent.map(|extent| ((extent - 1) / 2) as i64);
                let [down, right] = extent.map(|extent| (extent / 2) as i64);
                Some([top, left, down, right])
            }
            _ => None,
        };
        let group = usize::try_from(node.int("group", 1)).unwrap_or(1);
        Self { kernel, strides, dilations, group, pads }
    }

    fn extent(&self) -> [usize; 2] {
        [0, 1].map(|i| (self.kernel[i] - 1) * self.dilations[i] + 1)
    }

    fn attributes(&self, kernel: [usize; 2]) -> Vec<(&'static str, Attribute)> {
        let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|&v| v as i64).collect());
        vec![
            ("kernel_shape", ints(&kernel)),
            ("strides", ints(&self.strides)),
            ("group", Attribute::Int(self.group as i64)),
        ]
    }

    /// The node's convolution with other weights (`dims`, `values`).
    fn convolved(
        &self,
        rewrite: &mut Rewrite<'_>,
        x: &str,
        dims: &[usize],
        values: &[f32],
    ) -> String {
        let weights = rewrite.floats(dims.to_vec(), values);
        let mut attributes = self.attributes(self.kernel);
        let dilations = self.dilations.map(|d| d as i64).to_vec();
        attributes.push(("dilations", Attribute::Ints(dilations)));
        attributes.push(match self.pads {
            Some(pads) => ("pads", Attribute::Ints(pads.to_vec())),
            None => ("auto_pad", Attribute::Text("SAME_UPPER".into())),
        });
        rewrite.node("Conv", &[x, &weights], &attributes)
    }

    /// The same windows the other way: every output gives to the cells of its window, `x` of them in all.
    fn returned(
        &self,
        rewrite: &mut Rewrite<'_>,
        outputs: &str,
        x: &str,
        dims: &[usize],
        values: &[f32],
    ) -> String {
        let (dims, values) = self.spaced(dims, values);
        let weights = rewrite.floats(dims, &values);
        let mut attributes = self.attributes(self.extent());
        let by_one = self.strides == [1, 1];
        let pads = self.pads.unwrap_or_default().to_vec();
        attributes.push(("pads", Attribute::Ints(pads)));
        if by_one {
            return rewrite.node("ConvTranspose", &[outputs, &weights], &attributes);
        }
        // The last windows may end before the image does: room for the rest, which is then cut to size.
        let room = self.strides.map(|stride| stride as i64 - 1).to_vec();
        attributes.push(("output_padding", Attribute::Ints(room)));
        let whole = rewrite.node("ConvTranspose", &[outputs, &weights], &attributes);
        let (two, four) = (rewrite.list(&[2]), rewrite.list(&[4]));
        let sides = |rewrite: &mut Rewrite<'_>, of: &str| {
            let shape = rewrite.node("Shape", &[of], &[]);
            rewrite.node("Slice", &[&shape, &two, &four], &[])
        };
        let length = sides(rewrite, x);
        let (from, to) = if self.pads.is_some() {
            (rewrite.list(&[0, 0]), length)
        } else {
            // SAME_UPPER: of what the windows need beyond the image, the smaller half lies before it.
            let made = sides(rewrite, &whole);
            let room = self.strides.map(|stride| stride as i64 - 1);
            let (room, none, half) =
                (rewrite.list(&room), rewrite.list(&[0, 0]), rewrite.list(&[2]));
            let reached = rewrite.node("Sub", &[&made, &room], &[]);
            let beyond = rewrite.node("Sub", &[&reached, &length], &[]);
            let beyond = rewrite.node("Max", &[&beyond, &none], &[]);
            let before = rewrite.node("Div", &[&beyond, &half], &[]);
            let end = rewrite.node("Add", &[&before, &length], &[]);
            (before, end)
        };
        let axes = rewrite.list(&[2, 3]);
        rewrite.node("Slice", &[&whole, &from, &to, &axes], &[])
    }

    /// Weights with zeros where a dilated window skips cells.
    fn spaced<'v>(&self, dims: &[usize], values: &'v [f32]) -> (Vec<usize>, Cow<'v, [f32]>) {
        if self.dilations == [1, 1] {
            return (dims.to_vec(), Cow::Borrowed(values));
        }
        let (extent, kernel) = (self.extent(), self.kernel);
        let mut wide = vec![0.0; values.len() / (kernel[0] * kernel[1]) * extent[0] * extent[1]];
        let windows = values.chunks_exact(kernel[0] * kernel[1]);
        for (from, to) in windows.zip(wide.chunks_exact_mut(extent[0] * extent[1])) {
            for (at, &value) in from.iter().enumerate() {
                let [y, x] =
                    [at / kernel[1] * self.dilations[0], at % kernel[1] * self.dilations[1]];
                to[y * extent[1] + x] = value;
            }
        }
        (vec![dims[0], dims[1], extent[0], extent[1]], Cow::Owned(wide))
    }
}

fn convolution(
    rewrite: &mut Rewrite<'_>,
    node: &Node,
    x: &str,
    relevance: &str,
) -> Result<(), Fault> {
    let (dims, values) = weights(rewrite, node)?;
    let [_, _, height, width] = dims[..] else { return Err("its weights are no windows".into()) };
    let windows = Windows::of(node, [height, width]);
    let given = if rewrite.is_image(x) {
        spread_evenly(rewrite, &windows, &dims, x, relevance)
    } else {
        match rewrite.rule {
            Rule::Epsilon(epsilon) => {
                let share = rewrite.ratio(relevance, &node.outputs[0], epsilon);
                let back = windows.returned(rewrite, &share, x, &dims, &values);
                rewrite.node("Mul", &[x, &back], &[])
            }
            Rule::AlphaBeta { alpha, bias } => {
                let biases = node.inputs.get(2).filter(|name| !name.is_empty());
                let filtered = windows.group > 1 && bias == Bias::Spread;
                let biases = biases.filter(|_| filtered).and_then(|name| rewrite.constant(name));
                let biases = biases.map(|(_, values)| values);
                let of = Weighted { windows, dims, values, biases };
                of.alpha_beta(rewrite, x, relevance, alpha)
            }
        }
    };
    rewrite.give(x, given);
    Ok(())
}

/// Relevance of each output to all cells of its window alike, those beyond the border left out.
fn spread_evenly(
    rewrite: &mut Rewrite<'_>,
    windows: &Windows,
    dims: &[usize],
    x: &str,
    relevance: &str,
) -> String {
    let ones = vec![1.0; dims.iter().product()];
    let (zero, one) = (rewrite.number(0.0), rewrite.number(1.0));
    let none = rewrite.node("Mul", &[x, &zero], &[]);
    let cells = rewrite.node("Add", &[&none, &one], &[]);
    let count = windows.convolved(rewrite, &cells, dims, &ones);
    let share = rewrite.node("Div", &[relevance, &count], &[]);
    windows.returned(rewrite, &share, x, dims, &ones)
}

/// A convolution's weights, and its biases where they get a share.
struct Weighted {
    windows: Windows,
    dims: Vec<usize>,
    values: Vec<f32>,
    biases: Option<Vec<f32>>,
}

impl Weighted {
    fn alpha_beta(
        &self,
        rewrite: &mut Rewrite<'_>,
        x: &str,
        relevance: &str,
        alpha: f32,
    ) -> String {
        let part =
            |keep: fn(f32) -> f32| -> Vec<f32> { self.values.iter().map(|&w| keep(w)).collect() };
        let (above, below) = (part(|w| w.max(0.0)), part(|w| w.min(0.0)));
        let (plus, minus) = if is_positive(rewrite, x) {
            (x.to_owned(), None)
        } else {
            let plus = rewrite.node("Relu", &[x], &[]);
            let minus = rewrite.node("Sub", &[x, &plus], &[]);
            (plus, Some(minus))
        };
        let mut parts = Vec::new();
        // What adds: inputs above 0 by weights above 0, and below by below; what takes: the other two.
        for (factor, sign, of_plus, of_minus) in
            [(alpha, 1.0, &above, &below), (1.0 - alpha, -1.0, &below, &above)]
        {
            if factor == 0.0 {
                continue;
            }
            let (windows, dims) = (&self.windows, &self.dims);
            let mut sum = windows.convolved(rewrite, &plus, dims, of_plus);
            if let Some(minus) = &minus {
                let other = windows.convolved(rewrite, minus, dims, of_minus);
                sum = rewrite.node("Add", &[&sum, &other], &[]);
            }
            let bias = self.biases.as_ref().map(|values| {
                let of_sign: Vec<f32> = values.iter().map(|b| sign * (sign * b).max(0.0)).collect();
                rewrite.floats(vec![1, of_sign.len(), 1, 1], &of_sign)
            });
            if let Some(bias) = &bias {
                sum = rewrite.node("Add", &[&sum, bias], &[]);
            }
            let scale = rewrite.number(factor);
            let share = rewrite.ratio(relevance, &sum, SMALL);
            let share = rewrite.node("Mul", &[&share, &scale], &[]);
            let mut give = |rewrite: &mut Rewrite<'_>, x: &str, weights: &[f32]| {
                let back = windows.returned(rewrite, &share, x, dims, weights);
                let part = rewrite.node("Mul", &[x, &back], &[]);
                parts.push(part);
            };
            give(rewrite, &plus, of_plus);
            if let Some(minus) = &minus {
                give(rewrite, minus, of_minus);
            }
            if let Some(bias) = &bias {
                let of_bias = rewrite.node("Mul", &[&share, bias], &[]);
                parts.push(spread_evenly(rewrite, windows, dims, x, &of_bias));
            }
        }
        let first = parts.remove(0);
        parts.iter().fold(first, |sum, part| rewrite.node("Add", &[&sum, part], &[]))
    }
}

fn product(rewrite: &mut Rewrite<'_>, node: &Node, x: &str, relevance: &str) -> Result<(), Fault> {
    let transposed_input = node.int("transA", 0) != 0;
    if node.inputs.first().is_none_or(|first| first != x) || transposed_input {
        return Err("its image side is not the left one".into());
    }
    let (dims, values) = weights(rewrite, node)?;
    let [rows, columns] = dims[..] else { return Err("its weights are no matrix".into()) };
    let back = if node.int("transB", 0) != 0 {
        rewrite.floats(dims, &values)
    } else {
        let at = |i: usize| values[i % rows * columns + i / rows];
        let turned: Vec<f32> = (0..rows * columns).map(at).collect();
        rewrite.floats(vec![columns, rows], &turned)
    };
    let epsilon = match rewrite.rule {
        Rule::Epsilon(epsilon) => epsilon,
        Rule::AlphaBeta { .. } => SMALL,
    };
    let share = rewrite.ratio(relevance, &node.outputs[0], epsilon);
    let back = rewrite.node("MatMul", &[&share, &back], &[]);
    let given = rewrite.node("Mul", &[x, &back], &[]);
    rewrite.give(x, given);
    Ok(())
}

/// What a value weighs when its sum with others is shared out, and the ε of that sum.
fn weight(rewrite: &mut Rewrite<'_>, x: &str) -> (String, f32) {
    match rewrite.rule {
        Rule::Epsilon(epsilon) => (x.to_owned(), epsilon),
        Rule::AlphaBeta { .. } if is_positive(rewrite, x) => (x.to_owned(), SMALL),
        Rule::AlphaBeta { .. } => (rewrite.node("Abs", &[x], &[]), SMALL),
    }
}

fn sum(rewrite: &mut Rewrite<'_>, node: &Node, values: &[&String], relevance: &str) {
    let weights: Vec<(String, f32)> = values.iter().map(|x| weight(rewrite, x)).collect();
    let total = match rewrite.rule {
        Rule::Epsilon(_) => node.outputs[0].clone(),
        Rule::AlphaBeta { .. } => {
            let first = weights[0].0.clone();
            weights[1..].iter().fold(first, |sum, (x, _)| rewrite.node("Add", &[&sum, x], &[]))
        }
    };
    let share = rewrite.ratio(relevance, &total, weights[0].1);
    for (&value, (weight, _)) in values.iter().zip(&weights) {
        let given = rewrite.node("Mul", &[weight, &share], &[]);
        rewrite.give(value, given);
    }
}

/// A value times a gate between 0 and 1: the value takes all.
fn gated(rewrite: &mut Rewrite<'_>, values: &[&String], relevance: String) -> Result<(), Fault> {
    let is_gate = |name: &str| {
        let maker = rewrite.maker(name).map(|node| node.operator.as_str());
        matches!(maker, Some("Sigmoid" | "HardSigmoid"))
    };
    let value = match [values[0], values[1]].map(|name| is_gate(name)) {
        [false, true] => values[0],
        [true, false] => values[1],
        _ => {
            return Err(
                "it multiplies two values, and neither is a gate (Sigmoid, HardSigmoid)".into()
            );
        }
    };
    let value = value.clone();
    rewrite.give(&value, relevance);
    Ok(())
}

fn pooled(rewrite: &mut Rewrite<'_>, node: &Node, x: &str, relevance: &str) -> Result<(), Fault> {
    if node.int("ceil_mode", 0) != 0 {
        return Err(
            "windows that reach over the end (ceil_mode) have no rule; pad the image instead"
                .into(),
        );
    }
    let (Some([height, width]), Some(&channels)) =
        (node.ints("kernel_shape"), rewrite.value(x)?.shape.get(1))
    else {
        return Err("its windows are not stated".into());
    };
    let kernel = [*height as usize, *width as usize];
    let windows = Windows { group: channels, ..Windows::of(node, kernel) };
    let dims = [channels, 1, kernel[0], kernel[1]];
    let ones = vec![1.0; channels * kernel[0] * kernel[1]];
    let (weight, epsilon) = match node.operator.as_str() {
        // A cell below 0 is no reason for a largest value that is above it.
        "MaxPool" if !is_positive(rewrite, x) => (rewrite.node("Abs", &[x], &[]), SMALL),
        "MaxPool" => (x.to_owned(), SMALL),
        _ => weight(rewrite, x),
    };
    let sum = windows.convolved(rewrite, &weight, &dims, &ones);
    let share = rewrite.ratio(relevance, &sum, epsilon);
    let back = windows.returned(rewrite, &share, x, &dims, &ones);
    let given = rewrite.node("Mul", &[&weight, &back], &[]);
    rewrite.give(x, given);
    Ok(())
}

/// A mean over all cells of each channel.
fn averaged(rewrite: &mut Rewrite<'_>, node: &Node, x: &str, relevance: &str) -> Result<(), Fault> {
    let (before, after) =
        (rewrite.value(x)?.shape.clone(), &rewrite.value(&node.outputs[0])?.shape);
    let cells = before.get(2..).unwrap_or_default();
    let kept: Vec<usize> = after.iter().copied().filter(|&size| size != 1).collect();
    let channels: Vec<usize> = before.iter().take(2).copied().filter(|&size| size != 1).collect();
    if before.len() != 4 || kept != channels || cells.is_empty() {
        return Err("only means over all rows and columns have a rule".into());
    }
    let (weight, epsilon) = weight(rewrite, x);
    let mean = rewrite.node("GlobalAveragePool", &[&weight], &[]);
    let shape = rewrite.node("Shape", &[&mean], &[]);
    let of_channels = rewrite.node("Reshape", &[relevance, &shape], &[]);
    let share = rewrite.ratio(&of_channels, &mean, epsilon);
    let all = rewrite.node("Mul", &[&weight, &share], &[]);
    let given = per_cell(rewrite, &all, &weight);
    rewrite.give(x, given);
    Ok(())
}

/// Values divided by the number of cells of a map.
fn per_cell(rewrite: &mut Rewrite<'_>, values: &str, map: &str) -> String {
    let (two, four) = (rewrite.list(&[2]), rewrite.list(&[4]));
    let shape = rewrite.node("Shape", &[map], &[]);
    let sides = rewrite.node("Slice", &[&shape, &two, &four], &[]);
    let sides = rewrite.node("Cast", &[&sides], &[("to", Attribute::Int(1))]);
    let (zero, one, two) = (rewrite.list(&[0]), rewrite.list(&[1]), rewrite.list(&[2]));
    let height = rewrite.node("Slice", &[&sides, &zero, &one], &[]);
    let width = rewrite.node("Slice", &[&sides, &one, &two], &[]);
    let count = rewrite.node("Mul", &[&height, &width], &[]);
    rewrite.node("Div", &[values, &count], &[])
}

fn transposed(
    rewrite: &mut Rewrite<'_>,
    node: &Node,
    x: &str,
    relevance: &str,
) -> Result<(), Fault> {
    let rank = rewrite.value(x)?.shape.len();
    let order: Vec<usize> = match node.ints("perm") {
        Some(list) => list.iter().map(|&dim| axis(dim, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut back = vec![0i64; rank];
    order.iter().enumerate().for_each(|(to, &from)| back[from] = to as i64);
    let given = rewrite.node("Transpose", &[relevance], &[("perm", Attribute::Ints(back))]);
    rewrite.give(x, given);
    Ok(())
}

/// Each value of a `Concat` along channels gets its part.
fn joined(rewrite: &mut Rewrite<'_>, node: &Node, relevance: &str) -> Result<(), Fault> {
    let rank = rewrite.value(&node.outputs[0])?.shape.len();
    let along = axis(node.int("axis", 1), rank)?;
    let view = rewrite.value(&node.outputs[0])?.view;
    if view.is_some_and(|view| view.axes.contains(&along)) {
        return Err("only values that are joined along channels have a rule".into());
    }
    let axes = rewrite.list(&[along as i64]);
    let mut start = 0i64;
    for input in &node.inputs {
        let end = start + rewrite.value(input)?.shape[along] as i64;
        if rewrite.is_seen(input) {
            let (from, to) = (rewrite.list(&[start]), rewrite.list(&[end]));
            let part = rewrite.node("Slice", &[relevance, &from, &to, &axes], &[]);
            rewrite.give(input, part);
        }
        start = end;
    }
    Ok(())
}

/// What lies in the padding is lost: nothing of the image is there.
fn padded(rewrite: &mut Rewrite<'_>, node: &Node, x: &str, relevance: &str) -> Result<(), Fault> {
    let rank = rewrite.value(x)?.shape.len();
    let pads = node.inputs.get(1).and_then(|name| rewrite.value(name).ok()?.known.clone());
    let constant = node.text("mode").is_none_or(|mode| mode == "constant");
    let Some(pads) = pads.filter(|pads| constant && pads.len() == 2 * rank) else {
        return Err("only padding of a known size with a constant has a rule".into());
    };
    let before: Vec<i64> = pads[..rank].iter().map(|&pad| pad as i64).collect();
    if before.iter().any(|&pad| pad < 0) || pads[rank..].iter().any(|&pad| pad < 0.0) {
        return Err("padding that cuts has no rule".into());
    }
    let from = rewrite.list(&before);
    let shape = rewrite.node("Shape", &[x], &[]);
    let to = rewrite.node("Add", &[&shape, &from], &[]);
    let given = rewrite.node("Slice", &[relevance, &from, &to], &[]);
    rewrite.give(x, given);
    Ok(())
}
