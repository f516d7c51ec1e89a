//! What each supported operator does to shapes and views. The list is closed: what is not here is
//! refused by name.

use super::layout;
use super::node::Node;
use super::proto::Fault;
use super::sight::{Sight, Window};
use super::tensor::Element;
use super::value::{Value, View, axis, input};

/// What a node makes.
pub(super) struct Made {
    pub(super) values: Vec<Value>,
    /// Multiplications, about.
    pub(super) products: u64,
}

/// Operators that work on each number by itself.
const SINGLE: &[&str] = &[
    "Abs",
    "Ceil",
    "Clip",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tanh",
];

/// Operators that work on numbers at the same place.
const PAIRED: &[&str] = &["Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum"];

/// Largest kernel, stride, dilation and padding.
const LARGEST_WINDOW: i64 = 4096;

/// Whether an operator works on each number by itself, or on each channel by itself with constants.
pub(super) fn of_each_number(operator: &str) -> bool {
    SINGLE.contains(&operator) || operator == "BatchNormalization" || operator == "PRelu"
}

/// Whether an operator with constants leaves an image an image: its pixels scaled and moved.
pub(super) fn is_of_image(operator: &str) -> bool {
    matches!(operator, "Identity" | "Add" | "Sub" | "Mul" | "Div" | "BatchNormalization")
}

/// What a node makes of its inputs.
pub(super) fn made(node: &Node, opset: i64, inputs: &[Option<&Value>]) -> Result<Made, Fault> {
    let operator = node.operator.as_str();
    let first = || input(inputs, 0);
    let one = |value: Value| Made { products: value.numbers() as u64, values: vec![value] };
    match operator {
        _ if SINGLE.contains(&operator) => {
            let mut value = first()?.clone();
            value.known = value.known.filter(|_| operator == "Identity" || operator == "Floor");
            if operator == "Floor" {
                value.known.iter_mut().flatten().for_each(|number| *number = number.floor());
            }
            Ok(one(value))
        }
        _ if PAIRED.contains(&operator) => paired(operator, inputs).map(one),
        "BatchNormalization" => match node.int("training_mode", 0) {
            0 if node.int("spatial", 1) == 1 => Ok(one(first()?.clone())),
            _ => Err("only the kind that is used after training is supported".into()),
        },
        "InstanceNormalization" => Ok(one(Value { whole: true, ..first()?.clone() })),
        "LayerNormalization" => {
            let value = first()?;
            let from = axis(node.int("axis", -1), value.shape.len())?;
            Ok(one(mixed(value, |dim| dim >= from)))
        }
        "Softmax" | "LogSoftmax" | "LpNormalization" => {
            let value = first()?;
            let (rank, default) = (value.shape.len(), if opset < 13 { 1 } else { -1 });
            let default = if operator == "LpNormalization" { -1 } else { default };
            let along = axis(node.int("axis", default), rank)?;
            if opset < 13 && operator != "LpNormalization" && along + 1 != rank {
                return Err(format!(
                    "it works on several dimensions at once in operator set {opset}; \
                                    export the network with operator set 13 or later"
                ));
            }
            Ok(one(mixed(value, |dim| dim == along)))
        }
        "Conv" => convolution(node, inputs),
        "ConvTranspose" => transposed_convolution(node, inputs),
        "MaxPool" | "AveragePool" => pooling(node, first()?),
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let value = first()?;
            let shape = value.shape.iter().enumerate().map(|(i, &n)| if i < 2 { n } else { 1 });
            let made = value.reshaped(shape.collect(), None);
            Ok(Made { products: value.numbers() as u64, values: vec![made] })
        }
        "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceL2" => {
            layout::reduced(node, first()?, inputs).map(one)
        }
        "MatMul" => products(first()?, input(inputs, 1)?),
        "Gemm" => general_product(node, inputs),
        _ => layout::made(node, inputs).map(|values| Made { values, products: 0 }),
    }
}

/// A value whose cells come to depend on each other along some dimensions.
fn mixed(value: &Value, along: impl Fn(usize) -> bool) -> Value {
    let whole = value.view.is_some_and(|view| view.axes.iter().any(|&dim| along(dim)));
    Value { known: None, whole: value.whole || whole, ..value.clone() }
}

/// Numbers at the same place, by the rules of NumPy for unequal shapes.
fn paired(operator: &str, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let values: Vec<&Value> = inputs.iter().copied().flatten().collect();
    let first = *values.first().ok_or("it has no input")?;
    let rank = values.iter().map(|value| value.shape.len()).max().unwrap_or(0);
    let mut shape = vec![1usize; rank];
    for value in &values {
        let lead = rank - value.shape.len();
        for (dim, &size) in value.shape.iter().enumerate() {
            let place = &mut shape[lead + dim];
            match (*place, size) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *place = b,
                _ => {
                    let all: Vec<String> = values.iter().map(|value| value.shown()).collect();
                    return Err(format!(
                        "shapes that do not fit: {}; the network may be made for images of one size",
                        all.join(" and ")
                    ));
                }
            }
        }
    }
    let mut view: Option<View> = None;
    let mut whole = values.iter().any(|value| value.whole && value.view.is_some());
    for value in values.iter().filter(|value| value.seen) {
        let lead = rank - value.shape.len();
        let Some(of_value) = value.view else {
            whole = true;
            continue;
        };
        let axes = of_value.axes.map(|dim| dim + lead);
        view = Some(match view {
            None => View { axes, ..of_value },
            Some(before) => before
                .and(View { axes, ..of_value })
                .ok_or("it brings together maps of unequal strides, or one that is turned")?,
        });
    }
    let seen = values.iter().any(|value| value.seen);
    let known = values.iter().all(|value| value.known.is_some()).then(|| known(operator, &values));
    let made = Value { shape, element: first.element, known: None, view, seen, whole };
    let numbers = made.numbers();
    Ok(Value { known: known.flatten().filter(|known| known.len() == numbers), ..made })
}

impl View {
    /// Both together, when their cells lie alike.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        let [x, y] = [0, 1].map(|i| self.sight[i].and(other.sight[i]));
        (self.axes == other.axes).then_some(())?;
        Some(Self { axes: self.axes, sight: [x?, y?] })
    }
}

/// Arithmetic of sizes: two lists of one length, or one number and a list.
fn known(operator: &str, values: &[&Value]) -> Option<Vec<f64>> {
    let [a, b] = values else { return None };
    let (x, y) = (a.known.as_ref()?, b.known.as_ref()?);
    let length = x.len().max(y.len());
    let whole = a.element != Element::Float;
    let at = |list: &Vec<f64>, i: usize| {
        if list.len() == 1 { Some(list[0]) } else { list.get(i).copied() }
    };
    (0..length)
        .map(|i| {
            let (x, y) = (at(x, i)?, at(y, i)?);
            match operator {
                "Add" => Some(x + y),
                "Sub" => Some(x - y),
                "Mul" => Some(x * y),
                "Div" if y != 0.0 && whole => Some((x / y).trunc()),
                "Div" if y != 0.0 => Some(x / y),
                _ => None,
            }
        })
        .collect()
}

/// Kernels, strides, dilations and padding along rows and columns (height, width).
fn windows(node: &Node, kernel: [usize; 2], of: [usize; 2]) -> Result<[Window; 2], Fault> {
    let pair = |name: &str, default: usize| -> Result<[usize; 2], Fault> {
        let Some(list) = node.ints(name) else { return Ok([default; 2]) };
        let fits = |&value: &i64| (1..=LARGEST_WINDOW).contains(&value);
        match list {
            [a, b] if fits(a) && fits(b) => Ok([*a as usize, *b as usize]),
            _ => Err(format!("`{name}` is {list:?}, where two numbers from 1 to 4096 belong")),
        }
    };
    let (strides, dilations) = (pair("strides", 1)?, pair("dilations", 1)?);
    let pads = match node.ints("pads") {
        None => [0; 4],
        Some(list) => {
            let fits = list.iter().all(|pad| (0..=LARGEST_WINDOW).contains(pad));
            let four: Option<[i64; 4]> = list.try_into().ok().filter(|_| fits);
            four.ok_or_else(|| format!("`pads` is {list:?}, where four numbers from 0 belong"))?
                .map(|pad| pad as usize)
        }
    };
    let auto = node.text("auto_pad").unwrap_or("NOTSET");
    if !["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""].contains(&auto) {
        return Err(format!("`auto_pad` is {auto}, which is unknown"));
    }
    let mut made = [0, 1].map(|i| Window {
        kernel: kernel[i],
        stride: strides[i],
        dilation: dilations[i],
        before: pads[i],
        after: pads[i + 2],
        ceil: node.int("ceil_mode", 0) != 0,
    });
    for (window, length) in made.iter_mut().zip(of) {
        match auto {
            "VALID" => (window.before, window.after) = (0, 0),
            "SAME_UPPER" | "SAME_LOWER" => {
                let places = length.div_ceil(window.stride);
                let total = (places.saturating_sub(1) * window.stride + window.extent())
                    .saturating_sub(length);
                (window.before, window.after) = (total / 2, total - total / 2);
                if auto == "SAME_LOWER" && total % 2 == 1 {
                    // The engine would take it for SAME_UPPER.
                    return Err(
                        "uneven padding by `auto_pad` SAME_LOWER is not supported; export \
                                the network with its padding written out"
                            .into(),
                    );
                }
            }
            _ => {}
        }
    }
    Ok(made)
}

/// A value of `1 × channels × height × width`.
fn image_like(value: &Value) -> Result<[usize; 4], Fault> {
    <[usize; 4]>::try_from(value.shape.as_slice()).map_err(|_| {
        format!("its input is {}, where 1 × channels × height × width belongs", value.shown())
    })
}

/// Windows over rows and columns: the new height and width, and the view.
fn slid(value: &Value, windows: [Window; 2]) -> Result<([usize; 2], Option<View>), Fault> {
    let [_, _, height, width] = image_like(value)?;
    let places = [windows[0].places(height), windows[1].places(width)];
    if places.contains(&0) {
        return Err(format!(
            "an image of this size is too small for the network: {height} rows and {width} columns are \
             left here for a window of {} × {}",
            windows[0].extent(),
            windows[1].extent()
        ));
    }
    let view = value.view.filter(|view| view.axes == [3, 2]).map(|view| View {
        axes: view.axes,
        sight: [view.sight[0].through(&windows[1]), view.sight[1].through(&windows[0])],
    });
    Ok((places, view))
}

/// Height and width of a kernel, which are the last two dimensions of its weights.
fn kernel_of(node: &Node, weights: &Value) -> Result<[usize; 2], Fault> {
    let [_, _, height, width] = weights.shape[..] else {
        return Err(format!(
            "weights of {}; only two-dimensional windows are supported",
            weights.shown()
        ));
    };
    let stated = node.ints("kernel_shape");
    let agrees = stated.is_none_or(|stated| stated == [height as i64, width as i64]);
    let fits = [height, width].iter().all(|&side| (1..=LARGEST_WINDOW as usize).contains(&side));
    if agrees && fits {
        Ok([height, width])
    } else {
        Err("`kernel_shape` and weights differ".into())
    }
}

fn convolution(node: &Node, inputs: &[Option<&Value>]) -> Result<Made, Fault> {
    let (value, weights) = (input(inputs, 0)?, input(inputs, 1)?);
    let [batch, channels, height, width] = image_like(value)?;
    let kernel = kernel_of(node, weights)?;
    let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
    let (out, each) = (weights.shape[0], weights.shape[1]);
    if group == 0 || out % group != 0 || each.checked_mul(group) != Some(channels) {
        return Err(format!(
            "weights of {} in {group} groups for {channels} channels",
            weights.shown()
        ));
    }
    if let Some(Some(bias)) = inputs.get(2)
        && bias.shape != [out]
    {
        return Err(format!("a bias of {} for {out} channels", bias.shown()));
    }
    let windows = windows(node, kernel, [height, width])?;
    let ([rows, columns], view) = slid(value, windows)?;
    let made = value.reshaped(vec![batch, out, rows, columns], view);
    let products = made.numbers().saturating_mul(each * kernel[0] * kernel[1]) as u64;
    Ok(Made { values: vec![made], products })
}

fn transposed_convolution(node: &Node, inputs: &[Option<&Value>]) -> Result<Made, Fault> {
    let (value, weights) = (input(inputs, 0)?, input(inputs, 1)?);
    let [batch, channels, height, width] = image_like(value)?;
    let kernel = kernel_of(node, weights)?;
    if node.text("auto_pad").is_some_and(|auto| auto != "NOTSET")
        || node.ints("output_shape").is_some()
    {
        return Err("its size is not supported as it is given; write strides and pads out".into());
    }
    let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
    if group == 0 || weights.shape[0] != channels || channels % group != 0 {
        return Err(format!("weights of {} for {channels} channels", weights.shown()));
    }
    let windows = windows(node, kernel, [height, width])?;
    let extra = node.ints("output_padding").unwrap_or(&[0, 0]);
    let lengths = [height, width];
    let mut sizes = [0; 2];
    for i in 0..2 {
        let window = windows[i];
        let extra = extra.get(i).and_then(|&extra| usize::try_from(extra).ok()).unwrap_or(0);
        let full = (lengths[i] - 1) * window.stride + window.extent() + extra.min(window.stride);
        sizes[i] = full.saturating_sub(window.before + window.after);
    }
    let out = weights.shape[1] * group;
    let sight = |sight: Sight, window: Window| {
        let step = window.stride as f64;
        let reach = (window.extent() - 1) as f64;
        let from = (window.before as f64 - reach / 2.0) / step;
        sight.resampled(from, 1.0 / step, reach / 2.0 / step)
    };
    let view = value.view.filter(|view| view.axes == [3, 2]).map(|view| View {
        axes: view.axes,
        sight: [sight(view.sight[0], windows[1]), sight(view.sight[1], windows[0])],
    });
    let made = value.reshaped(vec![batch, out, sizes[0], sizes[1]], view);
    if sizes.contains(&0) {
        return Err("nothing is left of it after its padding".into());
    }
    let products = value.numbers().saturating_mul(weights.shape[1] * kernel[0] * kernel[1]);
    Ok(Made { values: vec![made], products: products as u64 })
}

fn pooling(node: &Node, value: &Value) -> Result<Made, Fault> {
    let [batch, channels, height, width] = image_like(value)?;
    let kernel = match node.ints("kernel_shape") {
        Some(&[a, b]) if [a, b].iter().all(|side| (1..=LARGEST_WINDOW).contains(side)) => {
            [a as usize, b as usize]
        }
        _ => return Err("`kernel_shape` must be two numbers from 1 to 4096".into()),
    };
    let windows = windows(node, kernel, [height, width])?;
    if windows.iter().any(|window| window.dilation > 1) {
        return Err("pooling with `dilations` is not supported".into());
    }
    if windows.iter().any(|window| window.before >= window.kernel || window.after >= window.kernel)
    {
        return Err("padding as large as the window is not supported".into());
    }
    if node.outputs.len() > 1 {
        return Err("the places of the largest values are not supported".into());
    }
    let ([rows, columns], view) = slid(value, windows)?;
    let made = value.reshaped(vec![batch, channels, rows, columns], view);
    let products = made.numbers().saturating_mul(kernel[0] * kernel[1]) as u64;
    Ok(Made { values: vec![made], products })
}

/// A product of matrices in the last two dimensions.
fn products(a: &Value, b: &Value) -> Result<Made, Fault> {
    let refuse = || Err(format!("shapes that do not fit: {} and {}", a.shown(), b.shown()));
    let (&[.., rows, inner], &[.., inner_of_b, columns]) = (&a.shape[..], &b.shape[..]) else {
        return refuse();
    };
    let lead = &a.shape[..a.shape.len() - 2];
    // Either operand may stand for every matrix of the other.
    let of_b = &b.shape[..b.shape.len() - 2];
    let alike = of_b.iter().all(|&size| size == 1) || lead == of_b;
    if inner != inner_of_b || !alike || of_b.len() > lead.len() {
        return refuse();
    }
    let mut shape = lead.to_vec();
    shape.extend([rows, columns]);
    let last = a.shape.len() - 1;
    let view = a.view.filter(|view| !view.axes.contains(&last));
    let mut made = a.reshaped(shape, view);
    made.seen |= b.seen;
    made.whole |= b.seen;
    let products = made.numbers().saturating_mul(inner) as u64;
    Ok(Made { values: vec![made], products })
}

fn general_product(node: &Node, inputs: &[Option<&Value>]) -> Result<Made, Fault> {
    let (a, b) = (input(inputs, 0)?, input(inputs, 1)?);
    let (&[rows, inner], &[first, second]) = (&a.shape[..], &b.shape[..]) else {
        return Err(format!("shapes that do not fit: {} and {}", a.shown(), b.shown()));
    };
    let (of_b, columns) =
        if node.int("transB", 0) != 0 { (second, first) } else { (first, second) };
    if node.int("transA", 0) != 0 || inner != of_b {
        return Err(format!("shapes that do not fit: {} and {}", a.shown(), b.shown()));
    }
    let made = a.reshaped(vec![rows, columns], None);
    let products = made.numbers().saturating_mul(inner) as u64;
    Ok(Made { values: vec![made], products })
}
