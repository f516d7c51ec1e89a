//! Operators that move numbers, cut, join, enlarge or sum them up.

use super::node::{Attribute, Node};
use super::proto::Fault;
use super::tensor::Element;
use super::value::{Value, View, axis, input};

/// What an operator of this group makes.
pub(super) fn made(node: &Node, inputs: &[Option<&Value>]) -> Result<Vec<Value>, Fault> {
    let value = || input(inputs, 0);
    let one = |value: Value| vec![value];
    match node.operator.as_str() {
        "Reshape" => reshaped(node, value()?, &whole_numbers(inputs, 1)?).map(one),
        "Flatten" => {
            let value = value()?;
            let rank = value.shape.len();
            let at = match node.int("axis", 1) {
                at if at == rank as i64 => rank,
                at => axis(at, rank)?,
            };
            let [before, behind] = [&value.shape[..at], &value.shape[at..]].map(product);
            Ok(one(value.reshaped(vec![before, behind], None)))
        }
        "Transpose" => transposed(node, value()?).map(one),
        "Squeeze" => squeezed(node, value()?, inputs).map(one),
        "Unsqueeze" => unsqueezed(node, value()?, inputs).map(one),
        "Concat" => joined(node, inputs).map(one),
        "Split" => split(node, value()?, inputs),
        "Slice" => sliced(node, value()?, inputs).map(one),
        "Gather" => gathered(node, value()?, input(inputs, 1)?).map(one),
        "Pad" => padded(node, value()?, inputs).map(one),
        "Resize" => resized(node, value()?, inputs).map(one),
        "DepthToSpace" => depth_to_space(node, value()?).map(one),
        "SpaceToDepth" => Err(unknown(node)),
        "Expand" => {
            let target = whole_numbers(inputs, 1)?;
            expanded(value()?, &target).map(one)
        }
        "Shape" => {
            let value = value()?;
            if node.attributes.contains_key("start") || node.attributes.contains_key("end") {
                return Err("a part of a shape is not supported".into());
            }
            let sizes: Vec<f64> = value.shape.iter().map(|&size| size as f64).collect();
            Ok(one(Value::constant(vec![sizes.len()], Element::Int64, Some(sizes))))
        }
        "ConstantOfShape" => {
            let sizes = whole_numbers(inputs, 0)?;
            let shape = sizes.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
            let element = match node.attributes.get("value") {
                Some(Attribute::Tensor(tensor)) => tensor.element,
                _ => Element::Float,
            };
            let made = Value::constant(shape, element, None);
            // Sizes are what it is there for; large ones would be an attack.
            if made.numbers() > 4096 { Err("more than 4096 numbers".into()) } else { Ok(one(made)) }
        }
        "Cast" => cast(node, value()?).map(one),
        _ => Err(unknown(node)),
    }
}

fn unknown(node: &Node) -> Fault {
    format!(
        "operator {} is not supported; docs/NETWORKS.md lists those that are, take a map before it or export \
         the network without it",
        node.operator
    )
}

fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |product, &size| product.saturating_mul(size))
}

/// The whole numbers of an input, which must be known.
fn whole_numbers(inputs: &[Option<&Value>], number: usize) -> Result<Vec<i64>, Fault> {
    let known = input(inputs, number)?.known.as_ref();
    let known = known.ok_or_else(|| {
        format!("input {} of it depends on the image, where fixed numbers belong", number + 1)
    })?;
    Ok(known.iter().map(|&number| number as i64).collect())
}

/// Whole numbers that older files hold in an attribute and newer ones in an input; `None` for neither.
fn listed(
    node: &Node,
    name: &str,
    inputs: &[Option<&Value>],
    number: usize,
) -> Result<Option<Vec<i64>>, Fault> {
    if let Some(list) = node.ints(name) {
        return Ok(Some(list.to_vec()));
    }
    match inputs.get(number) {
        Some(Some(_)) => whole_numbers(inputs, number).map(Some),
        _ => Ok(None),
    }
}

/// The numbers of a value that only changes its shape.
fn keeping(value: &Value, made: Value) -> Value {
    Value { known: value.known.clone(), ..made }
}

fn reshaped(node: &Node, value: &Value, target: &[i64]) -> Result<Value, Fault> {
    if node.int("allowzero", 0) != 0 {
        return Err("`allowzero` is not supported".into());
    }
    let misfit = || {
        format!(
            "a value of {} does not fit into {target:?}; the network may be made for images of one size",
            value.shown()
        )
    };
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (dim, &size) in target.iter().enumerate() {
        shape.push(match size {
            -1 if open.is_none() => {
                open = Some(dim);
                1
            }
            0 => *value.shape.get(dim).ok_or_else(misfit)?,
            size => usize::try_from(size).map_err(|_| misfit())?,
        });
    }
    let (numbers, stated) = (value.numbers(), product(&shape));
    if let Some(dim) = open {
        if stated == 0 || numbers % stated != 0 {
            return Err(misfit());
        }
        shape[dim] = numbers / stated;
    }
    if product(&shape) != numbers {
        return Err(misfit());
    }
    // Rows and columns stay what they are when they are the last two dimensions of both.
    let (rank, before) = (shape.len(), value.shape.len());
    let view = value.view.filter(|view| {
        before >= 2
            && rank >= 2
            && view.axes == [before - 1, before - 2]
            && shape[rank - 2..] == value.shape[before - 2..]
    });
    let view = view.map(|view| View { axes: [rank - 1, rank - 2], ..view });
    Ok(keeping(value, value.reshaped(shape, view)))
}

fn transposed(node: &Node, value: &Value) -> Result<Value, Fault> {
    let rank = value.shape.len();
    let order: Vec<usize> = match node.ints("perm") {
        None => (0..rank).rev().collect(),
        Some(list) => {
            let mut seen = vec![false; rank];
            let mut order = Vec::with_capacity(rank);
            for &from in list {
                let from = axis(from, rank)?;
                if std::mem::replace(&mut seen[from], true) {
                    return Err("`perm` names a dimension twice".into());
                }
                order.push(from);
            }
            if order.len() != rank {
                return Err(format!("`perm` is {list:?} for {rank} dimensions"));
            }
            order
        }
    };
    let shape = order.iter().map(|&from| value.shape[from]).collect();
    let to = |axis: usize| order.iter().position(|&from| from == axis).unwrap_or(axis);
    let view = value.view.map(|view| View { axes: view.axes.map(to), ..view });
    Ok(value.reshaped(shape, view))
}

fn squeezed(node: &Node, value: &Value, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let rank = value.shape.len();
    let away: Vec<usize> = match listed(node, "axes", inputs, 1)? {
        Some(list) => list.iter().map(|&dim| axis(dim, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).filter(|&dim| value.shape[dim] == 1).collect(),
    };
    if away.iter().any(|&dim| value.shape[dim] != 1) {
        return Err(format!("a dimension of more than one cannot go from {}", value.shown()));
    }
    Ok(keeping(value, without(value, &away)))
}

/// A value without some of its dimensions.
fn without(value: &Value, away: &[usize]) -> Value {
    let left: Vec<usize> = (0..value.shape.len()).filter(|dim| !away.contains(dim)).collect();
    let shape = left.iter().map(|&dim| value.shape[dim]).collect();
    let to = |axis: usize| left.iter().position(|&dim| dim == axis);
    let view = value.view.and_then(|view| {
        let [x, y] = view.axes.map(to);
        Some(View { axes: [x?, y?], ..view })
    });
    value.reshaped(shape, view)
}

fn unsqueezed(node: &Node, value: &Value, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let list = listed(node, "axes", inputs, 1)?.ok_or("it names no dimension")?;
    let rank = value.shape.len() + list.len();
    if rank > 16 {
        return Err("more than 16 dimensions".into());
    }
    let new: Vec<usize> = list.iter().map(|&dim| axis(dim, rank)).collect::<Result<_, _>>()?;
    let old: Vec<usize> = (0..rank).filter(|dim| !new.contains(dim)).collect();
    if old.len() != value.shape.len() {
        return Err("it names a dimension twice".into());
    }
    let mut shape = vec![1; rank];
    old.iter().zip(&value.shape).for_each(|(&dim, &size)| shape[dim] = size);
    let view = value.view.map(|view| View { axes: view.axes.map(|dim| old[dim]), ..view });
    Ok(keeping(value, value.reshaped(shape, view)))
}

fn joined(node: &Node, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let values: Vec<&Value> = inputs.iter().copied().flatten().collect();
    let first = *values.first().ok_or("it has no input")?;
    let rank = first.shape.len();
    let along = axis(node.int("axis", 0), rank)?;
    let mut shape = first.shape.clone();
    for value in &values[1..] {
        let fits = value.shape.len() == rank
            && (0..rank).all(|dim| dim == along || value.shape[dim] == shape[dim]);
        if !fits {
            return Err(format!(
                "shapes that do not fit: {} and {}; take images whose sides are multiples of the \
                 network's stride (network.multiple)",
                first.shown(),
                value.shown()
            ));
        }
        shape[along] = shape[along].saturating_add(value.shape[along]);
    }
    let known = values
        .iter()
        .map(|value| value.known.clone())
        .collect::<Option<Vec<_>>>()
        .filter(|_| rank == 1)
        .map(|lists| lists.concat());
    let mut view = first.view;
    for value in values.iter().filter(|value| value.seen) {
        view = match (view, value.view) {
            (Some(a), Some(b)) if !a.axes.contains(&along) => Some(
                a.and(b)
                    .ok_or("it brings together maps of unequal strides, or one that is turned")?,
            ),
            _ => None,
        };
    }
    let seen = values.iter().any(|value| value.seen);
    let whole = values.iter().any(|value| value.whole) || (seen && view.is_none());
    Ok(Value { shape, element: first.element, known, view, seen, whole })
}

fn split(node: &Node, value: &Value, inputs: &[Option<&Value>]) -> Result<Vec<Value>, Fault> {
    let along = axis(node.int("axis", 0), value.shape.len())?;
    let (length, parts) = (value.shape[along], node.outputs.len());
    let sizes: Vec<usize> = match listed(node, "split", inputs, 1)? {
        Some(list) => list.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect(),
        None => {
            let each = length.div_ceil(parts);
            (0..parts).map(|part| each.min(length.saturating_sub(part * each))).collect()
        }
    };
    let sum = sizes.iter().fold(0usize, |sum, &size| sum.saturating_add(size));
    if sizes.len() != parts || sum != length || sizes.contains(&0) {
        return Err(format!("{length} cannot be cut into {sizes:?}"));
    }
    let view = value.view.filter(|view| !view.axes.contains(&along));
    let part = |size: usize| {
        let mut shape = value.shape.clone();
        shape[along] = size;
        value.reshaped(shape, view)
    };
    Ok(sizes.into_iter().map(part).collect())
}

fn sliced(node: &Node, value: &Value, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let rank = value.shape.len();
    let starts = listed(node, "starts", inputs, 1)?.ok_or("it names no start")?;
    let ends = listed(node, "ends", inputs, 2)?.ok_or("it names no end")?;
    let axes = listed(node, "axes", inputs, 3)?.unwrap_or((0..starts.len() as i64).collect());
    let steps = listed(node, "steps", inputs, 4)?.unwrap_or(vec![1; starts.len()]);
    let alike = [ends.len(), axes.len(), steps.len()].iter().all(|&n| n == starts.len());
    if !alike || steps.iter().any(|&step| step < 1) {
        return Err("backward steps or lists of unequal length are not supported".into());
    }
    let mut made = value.clone();
    made.known = None;
    for i in 0..starts.len() {
        let dim = axis(axes[i], rank)?;
        let length = value.shape[dim] as i64;
        let place = |at: i64| {
            let at = if at < 0 { at.saturating_add(length) } else { at };
            at.clamp(0, length)
        };
        let (from, to) = (place(starts[i]), place(ends[i]));
        let count = (to - from).max(0).div_ceil_of(steps[i]);
        if count == 0 {
            return Err(format!("nothing is left of {}", value.shown()));
        }
        made.shape[dim] = count;
        if let Some(view) = &mut made.view
            && let Some(along) = view.axes.iter().position(|&of_view| of_view == dim)
        {
            view.sight[along] = view.sight[along].resampled(from as f64, steps[i] as f64, 0.0);
        }
        if rank == 1 {
            let step = usize::try_from(steps[i]).unwrap_or(usize::MAX);
            made.known = value.known.as_ref().map(|known| {
                known.iter().skip(from as usize).step_by(step).take(count).copied().collect()
            });
        }
    }
    Ok(made)
}

/// Whole division upwards of a number that is not negative.
trait DivCeil {
    fn div_ceil_of(self, by: i64) -> usize;
}

impl DivCeil for i64 {
    fn div_ceil_of(self, by: i64) -> usize {
        (self as u64).div_ceil(by as u64) as usize
    }
}

fn gathered(node: &Node, value: &Value, index: &Value) -> Result<Value, Fault> {
    let along = axis(node.int("axis", 0), value.shape.len())?;
    let known = index.known.as_ref().ok_or("places that depend on the image")?;
    let length = value.shape[along];
    let places: Vec<usize> =
        known.iter().map(|&place| axis(place as i64, length)).collect::<Result<_, _>>()?;
    if index.shape.len() > 1 || value.view.is_some_and(|view| view.axes.contains(&along)) {
        return Err("it is supported for lists and channels alone".into());
    }
    let numbers = value.known.as_ref().filter(|_| value.shape.len() == 1);
    let numbers = numbers.map(|known| places.iter().map(|&place| known[place]).collect());
    let made = if index.shape.is_empty() {
        without(value, &[along])
    } else {
        let mut shape = value.shape.clone();
        shape[along] = places.len();
        value.reshaped(shape, value.view)
    };
    Ok(Value { known: numbers, ..made })
}

fn padded(node: &Node, value: &Value, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let rank = value.shape.len();
    let pads = listed(node, "pads", inputs, 1)?.ok_or("it names no padding")?;
    let axes: Vec<usize> = match inputs.get(3) {
        Some(Some(_)) => whole_numbers(inputs, 3)?
            .iter()
            .map(|&dim| axis(dim, rank))
            .collect::<Result<_, _>>()?,
        _ => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|pad| !(0..=65_536).contains(pad)) {
        return Err(format!("padding of {pads:?} for {rank} dimensions is not supported"));
    }
    let mode = node.text("mode").unwrap_or("constant");
    let mut made = Value { known: None, ..value.clone() };
    for (i, &dim) in axes.iter().enumerate() {
        let (before, after) = (pads[i] as usize, pads[i + axes.len()] as usize);
        if mode != "constant" && (before.max(after)) >= value.shape[dim].max(1) {
            return Err(format!(
                "an image of this size is too small for the network: padding by {} mirrored ones of {}",
                before.max(after),
                value.shape[dim]
            ));
        }
        made.shape[dim] += before + after;
        if let Some(view) = &mut made.view
            && let Some(along) = view.axes.iter().position(|&of_view| of_view == dim)
        {
            view.sight[along] = view.sight[along].resampled(-(before as f64), 1.0, 0.0);
        }
    }
    Ok(made)
}

fn resized(node: &Node, value: &Value, inputs: &[Option<&Value>]) -> Result<Value, Fault> {
    let rank = value.shape.len();
    for (name, usual) in [("antialias", 0), ("exclude_outside", 0)] {
        if node.int(name, usual) != usual {
            return Err(format!("`{name}` is not supported"));
        }
    }
    if node.ints("axes").is_some() || node.text("keep_aspect_ratio_policy").is_some() {
        return Err("a choice of dimensions is not supported".into());
    }
    let scales = inputs.get(2).copied().flatten().filter(|scales| scales.numbers() > 0);
    let shape: Vec<usize> = match (scales, inputs.get(3).copied().flatten()) {
        (Some(scales), None) => {
            let known = scales.known.as_ref().ok_or("factors that depend on the image")?;
            let of = value.shape.iter().zip(known);
            of.map(|(&size, &factor)| (size as f64 * factor).floor() as usize).collect()
        }
        (None, Some(_)) => {
            let sizes = whole_numbers(inputs, 3)?;
            sizes.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect()
        }
        _ => return Err("it is given no factors and no sizes".into()),
    };
    let fits = shape.len() == rank && rank == 4 && shape[..2] == value.shape[..2];
    if !fits || shape.contains(&0) {
        return Err(format!("{} to {shape:?} is not supported", value.shown()));
    }
    let mode = node.text("mode").unwrap_or("nearest");
    let place = node.text("coordinate_transformation_mode").unwrap_or("half_pixel");
    // Of the cells that a new one is made of, the farthest from the place where it falls.
    let reach = match mode {
        "nearest" => 1.0,
        "linear" => 1.0,
        "cubic" => 2.0,
        _ => return Err(format!("mode `{mode}` is not supported")),
    };
    let mut made = value.reshaped(shape.clone(), value.view);
    if let Some(view) = &mut made.view {
        for along in 0..2 {
            let (old, new) = (value.shape[view.axes[along]], shape[view.axes[along]]);
            let apart = old as f64 / new as f64;
            let (from, apart) = match place {
                "half_pixel" | "pytorch_half_pixel" => (apart / 2.0 - 0.5, apart),
                "asymmetric" => (0.0, apart),
                "align_corners" => (0.0, (old - 1) as f64 / (new - 1).max(1) as f64),
                _ => return Err(format!("`{place}` is not supported")),
            };
            if old != new {
                view.sight[along] = view.sight[along].resampled(from, apart, reach);
            }
        }
    }
    Ok(made)
}

fn depth_to_space(node: &Node, value: &Value) -> Result<Value, Fault> {
    let block = usize::try_from(node.int("blocksize", 0)).unwrap_or(0);
    let &[batch, channels, height, width] = &value.shape[..] else {
        return Err(format!("it is supported for images, not for {}", value.shown()));
    };
    if !(1..=64).contains(&block) || channels % (block * block) != 0 {
        return Err(format!(
            "{channels} channels cannot be laid out in blocks of {block} × {block}"
        ));
    }
    let shape = vec![batch, channels / (block * block), height * block, width * block];
    let apart = 1.0 / block as f64;
    let view = value.view.filter(|view| view.axes == [3, 2]).map(|view| View {
        axes: view.axes,
        // Every cell of a block is made of the same old one.
        sight: view.sight.map(|sight| sight.resampled(apart / 2.0 - 0.5, apart, 0.5 - apart / 2.0)),
    });
    Ok(value.reshaped(shape, view))
}

fn expanded(value: &Value, target: &[i64]) -> Result<Value, Fault> {
    let rank = value.shape.len();
    let misfit = || format!("{} cannot become {target:?}", value.shown());
    if target.len() != rank {
        return Err(misfit());
    }
    let mut shape = value.shape.clone();
    for (size, &target) in shape.iter_mut().zip(target) {
        *size = match (*size, usize::try_from(target).map_err(|_| misfit())?) {
            (size, target) if size == target || target == 1 => size,
            (1, target) => target,
            _ => return Err(misfit()),
        };
    }
    let kept =
        value.view.filter(|view| view.axes.iter().all(|&dim| shape[dim] == value.shape[dim]));
    Ok(value.reshaped(shape, kept))
}

/// Numbers summed up along some dimensions.
pub(super) fn reduced(
    node: &Node,
    value: &Value,
    inputs: &[Option<&Value>],
) -> Result<Value, Fault> {
    let rank = value.shape.len();
    let away: Vec<usize> = match listed(node, "axes", inputs, 1)? {
        Some(list) if !list.is_empty() => {
            list.iter().map(|&dim| axis(dim, rank)).collect::<Result<_, _>>()?
        }
        _ if node.int("noop_with_empty_axes", 0) != 0 => return Ok(value.clone()),
        _ => (0..rank).collect(),
    };
    let cut = value.view.is_some_and(|view| view.axes.iter().any(|dim| away.contains(dim)));
    let view = if cut { None } else { value.view };
    let mut shape = value.shape.clone();
    away.iter().for_each(|&dim| shape[dim] = 1);
    let kept = value.reshaped(shape, view);
    Ok(if node.int("keepdims", 1) != 0 { kept } else { without(&kept, &away) })
}

fn cast(node: &Node, value: &Value) -> Result<Value, Fault> {
    let element = match node.int("to", 0) {
        1 => Element::Float,
        6 => Element::Int32,
        7 => Element::Int64,
        9 => Element::Bool,
        10 => {
            return Err(
                "16-bit floats are not supported; export the network with 32-bit floats".into()
            );
        }
        other => return Err(format!("type number {other} is not supported")),
    };
    let known = value.known.clone().map(|known| match element {
        Element::Float => known,
        _ => known.iter().map(|number| number.trunc()).collect(),
    });
    Ok(Value { element, known, ..value.clone() })
}
