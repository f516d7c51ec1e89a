//! An ONNX file as a graph: nodes in the order in which they run, constants, one image as input.
//!
//! | read | refused, by name |
//! |---|---|
//! | constants of 32-bit floats, 64-bit floats (made 32-bit), whole numbers, truth values | other types, weights in other files, sparse ones |
//! | operators of the standard domain with plain attributes | subgraphs, functions |
//! | one input of three channels, `1 × 3 × height × width`, whatever height and width it states | several inputs, another layout |
//!
//! What an engine gets is written anew from this graph, so that nothing else of the file reaches it.
//! Source: onnx.proto of the ONNX project (the numbers of fields).

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Attribute, MOST_OF_NODE, Node, constants_of_nodes};
use super::proto::{Fault, Field, Message, Writer};
use super::tensor::{Element, MOST_DIMENSIONS, Tensor, type_name};

/// Most nodes and constants of a file; ResNet-152 has some 500.
const MOST_PARTS: usize = 50_000;

/// Most inputs, outputs and attributes of all nodes.
const MOST_LINKS: usize = 1_000_000;

/// A network.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: BTreeMap<String, Tensor>,
    /// Name of the image.
    pub(super) input: String,
    /// Height and width that the file states, where it states them.
    pub(super) stated_size: [Option<u64>; 2],
    pub(super) outputs: Vec<String>,
    pub(super) opset: i64,
    pub(super) producer: String,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Graph {
    /// Reads a file.
    pub(super) fn parse(file: &[u8]) -> Result<Self, Fault> {
        let mut model = Model::default();
        Message::new(file).fields(|number, field| model.take(number, field))?;
        let Some(graph) = model.graph else {
            return Err("not an ONNX file: it holds no graph".into());
        };
        let opset = model.opset.ok_or("not an ONNX file: it names no set of operators")?;
        let mut parts = Parts::default();
        graph.fields(|number, field| parts.take(number, field))?;
        let Parts { mut nodes, mut constants, inputs, outputs, .. } = parts;
        constants_of_nodes(&mut nodes, &mut constants)?;
        let mut images = inputs.into_iter().filter(|input| !constants.contains_key(&input.name));
        let image = images.next().ok_or("it has no input")?;
        let others: Vec<String> = images.map(|other| format!("`{}`", other.name)).collect();
        if !others.is_empty() {
            return Err(format!(
                "it has {} inputs (`{}`, {}); a network of images has one",
                others.len() + 1,
                image.name,
                others.join(", ")
            ));
        }
        let stated_size = image.check()?;
        let graph = Self {
            nodes,
            constants,
            input: image.name,
            stated_size,
            outputs,
            opset,
            producer: model.producer,
            metadata: model.metadata,
        };
        graph.check_order()?;
        Ok(graph)
    }

    /// Every value has one origin, and it stands before its uses.
    fn check_order(&self) -> Result<(), Fault> {
        let mut known: BTreeSet<&str> = self.constants.keys().map(String::as_str).collect();
        known.insert(&self.input);
        for node in &self.nodes {
            if let Some(unknown) =
                node.inputs.iter().find(|name| !name.is_empty() && !known.contains(name.as_str()))
            {
                return Err(format!(
                    "node {} uses `{unknown}`, which nothing before it makes",
                    node.title()
                ));
            }
            for output in node.outputs.iter().filter(|name| !name.is_empty()) {
                if !known.insert(output) {
                    return Err(format!("two things make the value `{output}`"));
                }
            }
        }
        match self.outputs.iter().find(|name| !known.contains(name.as_str())) {
            Some(unknown) => Err(format!("its output `{unknown}` is made by nothing")),
            None => Ok(()),
        }
    }

    /// The nodes that these values are made by, in order.
    pub(super) fn needed(&self, outputs: &[String]) -> Vec<&Node> {
        let mut wanted: BTreeSet<&str> = outputs.iter().map(String::as_str).collect();
        let mut nodes: Vec<&Node> = Vec::new();
        for node in self.nodes.iter().rev() {
            if node.outputs.iter().any(|output| wanted.contains(output.as_str())) {
                wanted.extend(node.inputs.iter().map(String::as_str));
                nodes.push(node);
            }
        }
        nodes.reverse();
        nodes
    }

    /// The same network with each normalisation by constants that follows a convolution made part of its
    /// weights: `γ (w ∗ x + b − m)/√(v + ε) + β`.
    pub(super) fn folded(&self, file: &[u8], outputs: &[String]) -> Self {
        let mut folded = self.clone();
        for at in 0..self.nodes.len() {
            if let Some(Folded { at, node, constants }) = self.fold(at, file, outputs) {
                folded.nodes[at] = node;
                folded.constants.extend(constants);
            }
        }
        // A normalisation that is part of a convolution now makes what that one makes.
        let mut made = BTreeSet::new();
        folded.nodes.retain(|node| made.insert(node.outputs[0].clone()));
        folded
    }

    /// The convolution before the normalisation at `at` with both in one, under the latter's output.
    fn fold(&self, at: usize, file: &[u8], outputs: &[String]) -> Option<Folded> {
        let node = self.nodes.get(at).filter(|node| node.operator == "BatchNormalization")?;
        let (x, y) = (node.inputs.first()?, &node.outputs[0]);
        let users = self.nodes.iter().filter(|user| user.inputs.contains(x)).count();
        let convolution = self.nodes.iter().position(|n| n.outputs[0] == *x)?;
        let before = &self.nodes[convolution];
        let folds = before.operator == "Conv" && users == 1 && !outputs.contains(x);
        let constant = |name: Option<&String>| self.constants.get(name?)?.numbers(file);
        let [scale, beta, mean, variance] =
            [1, 2, 3, 4].map(|input| constant(node.inputs.get(input)));
        let (scale, beta, mean, variance) = (scale?, beta?, mean?, variance?);
        let weights = self.constants.get(before.inputs.get(1)?).filter(|_| folds)?;
        let mut values = weights.numbers(file)?;
        let out = *weights.dims.first().filter(|&&out| out > 0)?;
        let alike = [&scale, &beta, &mean, &variance].iter().all(|list| list.len() == out);
        let bias = match before.inputs.get(2).filter(|name| !name.is_empty()) {
            Some(name) => constant(Some(name))?,
            None => vec![0.0; out],
        };
        let epsilon = match node.attributes.get("epsilon") {
            Some(Attribute::Float(epsilon)) => *epsilon,
            _ => 1e-5,
        };
        if !alike || bias.len() != out {
            return None;
        }
        let mut biases = Vec::with_capacity(out);
        let each = values.len() / out;
        for (c, weights) in values.chunks_exact_mut(each.max(1)).enumerate() {
            let factor = scale[c] / (variance[c] + epsilon).sqrt();
            weights.iter_mut().for_each(|w| *w *= factor);
            biases.push((bias[c] - mean[c]) * factor + beta[c]);
        }
        let names = ["weights", "bias"].map(|part| format!("{y}/folded/{part}"));
        let mut known =
            self.nodes.iter().flat_map(|node| &node.outputs).chain(self.constants.keys());
        if known.any(|name| names.contains(name)) {
            return None;
        }
        let node = Node {
            inputs: vec![before.inputs[0].clone(), names[0].clone(), names[1].clone()],
            outputs: vec![y.clone()],
            ..before.clone()
        };
        let [of_weights, of_bias] = names;
        let weights = (of_weights, Tensor::floats(weights.dims.clone(), &values));
        let constants = [weights, (of_bias, Tensor::floats(vec![out], &biases))];
        Some(Folded { at: convolution, node, constants })
    }

    /// Forgets weights and the file that they lie in.
    pub(super) fn keep_known(&mut self, file: &[u8]) {
        self.constants.values_mut().for_each(|tensor| tensor.keep_known(file));
    }

    /// An ONNX file of the nodes that lead to these values, and nothing else. Images of any size; `ports`
    /// are inputs beside the image.
    pub(super) fn written(&self, file: &[u8], ports: &[Port], outputs: &[String]) -> Vec<u8> {
        let nodes = self.needed(outputs);
        let used: BTreeSet<&str> =
            nodes.iter().flat_map(|node| &node.inputs).map(String::as_str).collect();
        let mut model = Writer::default();
        model.number(1, 8);
        model.message(8, |opset| opset.number(2, self.opset));
        model.message(7, |graph| {
            for node in nodes {
                graph.message(1, |out| node.write(file, out));
            }
            for (name, tensor) in self.constants.iter().filter(|(name, _)| used.contains(&***name))
            {
                graph.message(5, |out| tensor.write(name, file, out));
            }
            let image = [Side::Stated(1), Side::Stated(3), Side::Open, Side::Open];
            write_input(graph, &self.input, &image);
            for port in ports {
                write_input(graph, &port.name, &vec![Side::Open; port.rank]);
            }
            for output in outputs {
                graph.message(12, |value| value.bytes(1, output.as_bytes()));
            }
        });
        model.bytes
    }
}

/// A convolution with the normalisation behind it in one.
struct Folded {
    /// Its place among the nodes.
    at: usize,
    node: Node,
    /// Its weights and biases.
    constants: [(String, Tensor); 2],
}

/// An input beside the image: floats in so many dimensions of any size.
pub(super) struct Port {
    pub(super) name: String,
    pub(super) rank: usize,
}

/// The size of one dimension of an input.
#[derive(Clone, Copy)]
enum Side {
    Stated(i64),
    Open,
}

fn write_input(graph: &mut Writer, name: &str, sides: &[Side]) {
    graph.message(11, |value| {
        value.bytes(1, name.as_bytes());
        value.message(2, |of_type| {
            of_type.message(1, |tensor| {
                tensor.number(1, Element::Float.code());
                tensor.message(2, |shape| {
                    for (number, side) in sides.iter().enumerate() {
                        shape.message(1, |out| match side {
                            Side::Stated(size) => out.number(1, *size),
                            Side::Open => out.bytes(2, format!("{name}/{number}").as_bytes()),
                        });
                    }
                });
            });
        });
    });
}

/// The fields of the outermost message.
#[derive(Default)]
struct Model<'f> {
    graph: Option<Message<'f>>,
    opset: Option<i64>,
    producer: String,
    metadata: BTreeMap<String, String>,
}

impl<'f> Model<'f> {
    fn take(&mut self, number: u64, field: Field<'f>) -> Result<(), Fault> {
        match number {
            2 => self.producer = field.name()?,
            7 => self.graph = Some(field.message()?),
            8 => {
                let (mut domain, mut version) = (String::new(), 0);
                field.message()?.fields(|number, field| {
                    match number {
                        1 => domain = field.name()?,
                        2 => version = field.signed()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                if domain.is_empty() || domain == "ai.onnx" {
                    self.opset = Some(version);
                }
            }
            14 => {
                let (mut key, mut value) = (String::new(), None);
                field.message()?.fields(|number, field| {
                    match number {
                        1 => key = field.name()?,
                        // Long ones are of no use here.
                        2 => value = String::from_utf8(field.message()?.bytes().to_vec()).ok(),
                        _ => {}
                    }
                    Ok(())
                })?;
                if let Some(value) = value.filter(|_| self.metadata.len() < MOST_OF_NODE) {
                    self.metadata.insert(key, value);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The fields of a graph.
#[derive(Default)]
struct Parts {
    links: usize,
    nodes: Vec<Node>,
    constants: BTreeMap<String, Tensor>,
    inputs: Vec<Input>,
    outputs: Vec<String>,
}

impl Parts {
    fn take(&mut self, number: u64, field: Field<'_>) -> Result<(), Fault> {
        match number {
            1 => {
                let node = Node::parse(field.message()?)?;
                self.links += node.inputs.len() + node.outputs.len() + node.attributes.len();
                self.nodes.push(node);
            }
            5 => {
                let (name, tensor) = Tensor::parse(field.message()?)?;
                if self.constants.insert(name.clone(), tensor).is_some() {
                    return Err(format!("two things make the value `{name}`"));
                }
            }
            11 => self.inputs.push(Input::parse(field.message()?)?),
            12 => self.outputs.push(Input::parse(field.message()?)?.name),
            15 => return Err("it holds sparse constants, which are not read".into()),
            _ => {}
        }
        let parts = [self.nodes.len(), self.constants.len(), self.inputs.len(), self.outputs.len()];
        if parts.iter().any(|&count| count > MOST_PARTS) || self.links > MOST_LINKS {
            return Err(format!(
                "more than {MOST_PARTS} nodes or constants, or {MOST_LINKS} links"
            ));
        }
        Ok(())
    }
}

/// An input of the graph.
struct Input {
    name: String,
    element: u64,
    dims: Vec<Option<u64>>,
}

impl Input {
    fn parse(message: Message<'_>) -> Result<Self, Fault> {
        let mut input = Self { name: String::new(), element: 1, dims: Vec::new() };
        let mut of_type = None;
        message.fields(|number, field| {
            match number {
                1 => input.name = field.name()?,
                2 => of_type = Some(field.message()?),
                _ => {}
            }
            Ok(())
        })?;
        let Some(of_type) = of_type else { return Ok(input) };
        of_type.fields(|number, field| match number {
            1 => field.message()?.fields(|number, field| match number {
                1 => {
                    input.element = field.number()?;
                    Ok(())
                }
                2 => field.message()?.fields(|number, field| {
                    if number == 1 && input.dims.len() <= MOST_DIMENSIONS {
                        let mut size = None;
                        field.message()?.fields(|number, field| {
                            if number == 1 {
                                size = Some(field.number()?);
                            }
                            Ok(())
                        })?;
                        input.dims.push(size);
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })?;
        Ok(input)
    }

    /// An image of three channels; its height and width where they are stated.
    fn check(&self) -> Result<[Option<u64>; 2], Fault> {
        let name = &self.name;
        if self.element != 1 {
            let of = type_name(self.element);
            return Err(format!(
                "its input `{name}` holds values of type {of}; export the network with 32-bit floats"
            ));
        }
        let shown: Vec<String> = self
            .dims
            .iter()
            .map(|dim| dim.map_or_else(|| "?".to_owned(), |dim| dim.to_string()))
            .collect();
        let shown = shown.join(" × ");
        match self.dims[..] {
            [batch, channels, height, width]
                if batch.unwrap_or(1) <= 1
                    && (channels == Some(3) || channels.is_none() && width != Some(3)) =>
            {
                Ok([height, width].map(|side| side.filter(|&side| side > 0)))
            }
            [_, _, _, Some(3)] => Err(format!(
                "its input `{name}` is {shown}, with the channels last; export it with channels \
                 first, 1 × 3 × height × width (tf2onnx: --inputs-as-nchw {name})"
            )),
            [Some(batch), Some(3), ..] if batch > 1 && self.dims.len() == 4 => Err(format!(
                "its input `{name}` is {shown}: {batch} images at once; export it for one image, or \
                 with a batch of any size"
            )),
            [_, Some(channels), _, _] => Err(format!(
                "its input `{name}` is {shown}: {channels} channels, where an image has 3"
            )),
            _ => Err(format!(
                "its input `{name}` is no image: {shown}, where 1 × 3 × height × width belongs"
            )),
        }
    }
}
