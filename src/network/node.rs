//! Nodes of an ONNX file: operators and their attributes.

use std::collections::BTreeMap;

use super::proto::{Fault, Field, Message, Writer};
use super::tensor::{Element, Tensor, chunks};

/// Most attributes, inputs and outputs of a node.
pub(super) const MOST_OF_NODE: usize = 1024;

/// Most numbers in a list of an attribute.
const MOST_LISTED: usize = 1 << 16;

/// The value of an attribute.
#[derive(Debug, Clone)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Tensor(Tensor),
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) operator: String,
    /// An empty name stands for an input that is left out.
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) attributes: BTreeMap<String, Attribute>,
}

impl Node {
    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Operator and name, for messages.
    pub(super) fn title(&self) -> String {
        let known_as = if self.name.is_empty() { self.outputs.first() } else { Some(&self.name) };
        format!("{} (`{}`)", self.operator, known_as.map_or("", String::as_str))
    }
}

impl Node {
    pub(super) fn write(&self, file: &[u8], out: &mut Writer) {
        if self.operator == "Dropout" {
            // Without training it does nothing.
            out.bytes(1, self.inputs.first().map_or(&[][..], String::as_bytes));
            out.bytes(2, self.outputs[0].as_bytes());
            out.bytes(4, b"Identity");
            return;
        }
        self.inputs.iter().for_each(|name| out.bytes(1, name.as_bytes()));
        self.outputs.iter().for_each(|name| out.bytes(2, name.as_bytes()));
        out.bytes(3, self.name.as_bytes());
        out.bytes(4, self.operator.as_bytes());
        for (name, value) in &self.attributes {
            value.write(name, file, out);
        }
        self.defaults().for_each(|(name, value)| value.write(name, file, out));
    }

    /// What the standard says of windows that state nothing. The engine takes it from `kernel_shape`
    /// alone, which need not be there.
    fn defaults(&self) -> impl Iterator<Item = (&'static str, Attribute)> {
        let convolves = matches!(self.operator.as_str(), "Conv" | "ConvTranspose");
        let pools = matches!(self.operator.as_str(), "MaxPool" | "AveragePool");
        let padded = self.text("auto_pad").is_some_and(|kind| kind != "NOTSET");
        [("strides", vec![1; 2]), ("dilations", vec![1; 2]), ("pads", vec![0; 4])]
            .into_iter()
            .filter(move |(name, _)| {
                let has = convolves || pools && *name != "dilations";
                has && !self.attributes.contains_key(*name) && !(padded && *name == "pads")
            })
            .map(|(name, values)| (name, Attribute::Ints(values)))
    }
}

impl Attribute {
    fn write(&self, name: &str, file: &[u8], out: &mut Writer) {
        out.message(5, |out| {
            out.bytes(1, name.as_bytes());
            let code = match self {
                Attribute::Float(value) => {
                    out.float(2, *value);
                    1
                }
                Attribute::Int(value) => {
                    out.number(3, *value);
                    2
                }
                Attribute::Text(text) => {
                    out.bytes(4, text.as_bytes());
                    3
                }
                Attribute::Tensor(tensor) => {
                    out.message(5, |out| tensor.write("", file, out));
                    4
                }
                Attribute::Floats(values) => {
                    values.iter().for_each(|value| out.float(7, *value));
                    6
                }
                Attribute::Ints(values) => {
                    values.iter().for_each(|value| out.number(8, *value));
                    7
                }
            };
            out.number(20, code);
        });
    }
}

impl Node {
    pub(super) fn parse(message: Message<'_>) -> Result<Self, Fault> {
        let (mut name, mut operator, mut domain) = (String::new(), String::new(), String::new());
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let mut attributes = BTreeMap::new();
        let mut parts = 0;
        message.fields(|number, field| {
            match number {
                1 => inputs.push(field.name()?),
                2 => outputs.push(field.name()?),
                3 => name = field.name()?,
                4 => operator = field.name()?,
                5 => {
                    let (key, value) = Attribute::parse(field.message()?)?;
                    if let Some(value) = value {
                        attributes.insert(key, value);
                    }
                }
                7 => domain = field.name()?,
                _ => {}
            }
            parts += 1;
            if parts > MOST_OF_NODE {
                return Err(format!("node `{name}`: more than {MOST_OF_NODE} parts"));
            }
            Ok(())
        })?;
        if !domain.is_empty() && domain != "ai.onnx" {
            operator = format!("{domain}.{operator}");
        }
        if outputs.first().is_none_or(String::is_empty) {
            return Err(format!("node {operator} (`{name}`) makes nothing"));
        }
        Ok(Self { name, operator, inputs, outputs, attributes })
    }
}

impl Attribute {
    /// Name and value; `None` for one that is stated without a value.
    fn parse(message: Message<'_>) -> Result<(String, Option<Self>), Fault> {
        let mut name = String::new();
        let (mut floats, mut ints) = (Vec::new(), Vec::new());
        let mut one = None;
        let mut code = 0;
        let mut strange = false;
        message.fields(|number, field| {
            match number {
                1 => name = field.name()?,
                2 => one = Some(Self::Float(field.float()?)),
                3 => one = Some(Self::Int(field.signed()?)),
                4 => one = Some(Self::Text(field.name()?)),
                5 => one = Some(Self::Tensor(Tensor::parse(field.message()?)?.1)),
                7 => match field {
                    Field::Bytes(packed) if packed.bytes().len() <= 4 * MOST_LISTED => {
                        floats.extend(chunks(packed.bytes()).map(f32::from_le_bytes))
                    }
                    field => floats.push(field.float()?),
                },
                8 => match field {
                    Field::Bytes(packed) => packed.packed(MOST_LISTED, &mut ints)?,
                    field => ints.push(field.number()?),
                },
                // Subgraphs, references, texts, lists of tensors.
                6 | 9..=11 | 14 | 21..=23 => strange = true,
                20 => code = field.number()?,
                _ => {}
            }
            if floats.len().max(ints.len()) > MOST_LISTED {
                return Err(format!("attribute `{name}`: more than {MOST_LISTED} numbers"));
            }
            Ok(())
        })?;
        if strange {
            return Err(format!(
                "attribute `{name}` holds a subgraph or another thing that a network of images needs not; \
                 export the network without control flow"
            ));
        }
        let ints: Vec<i64> = ints.into_iter().map(u64::cast_signed).collect();
        let value = match code {
            6 => Some(Self::Floats(floats)),
            7 => Some(Self::Ints(ints)),
            0 if !ints.is_empty() => Some(Self::Ints(ints)),
            0 if !floats.is_empty() => Some(Self::Floats(floats)),
            // Zero is not written down by some programs.
            1 => one.or(Some(Self::Float(0.0))),
            2 => one.or(Some(Self::Int(0))),
            _ => one,
        };
        Ok((name, value))
    }
}

/// Takes the nodes that make a constant out of the graph.
pub(super) fn constants_of_nodes(
    nodes: &mut Vec<Node>,
    constants: &mut BTreeMap<String, Tensor>,
) -> Result<(), Fault> {
    let mut others = Vec::with_capacity(nodes.len());
    for mut node in nodes.drain(..) {
        if node.operator != "Constant" {
            others.push(node);
            continue;
        }
        let title = node.title();
        let tensor = match node.attributes.pop_first() {
            Some((_, Attribute::Tensor(tensor))) => tensor,
            Some((_, Attribute::Float(value))) => Tensor::floats(vec![], &[value]),
            Some((_, Attribute::Int(value))) => {
                Tensor::scalars(Element::Int64, vec![], value.to_le_bytes().to_vec())
            }
            Some((_, Attribute::Floats(values))) => Tensor::floats(vec![values.len()], &values),
            Some((_, Attribute::Ints(values))) => Tensor::whole(&values),
            _ => return Err(format!("node {title} holds no number")),
        };
        let name = node.outputs.swap_remove(0);
        if constants.insert(name.clone(), tensor).is_some() {
            return Err(format!("two things make the value `{name}`"));
        }
    }
    *nodes = others;
    Ok(())
}
