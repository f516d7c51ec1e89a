//! The second half of a graph in the making: nodes that hand relevance back, and what each value has so far.

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::Graph;
use super::super::node::{Attribute, Node};
use super::super::operators::is_of_image;
use super::super::proto::Fault;
use super::super::shapes::Shapes;
use super::super::tensor::Tensor;
use super::super::value::Value;
use super::rule::Rule;

/// The way back in the making.
pub(super) struct Rewrite<'g> {
    graph: &'g Graph,
    file: &'g [u8],
    pub(super) rule: Rule,
    shapes: &'g Shapes<'g>,
    nodes: Vec<Node>,
    constants: BTreeMap<String, Tensor>,
    /// What relevance of each value has been written so far.
    relevance: BTreeMap<String, String>,
    names: usize,
}

impl<'g> Rewrite<'g> {
    /// Nothing written yet.
    pub(super) fn new(
        graph: &'g Graph,
        file: &'g [u8],
        shapes: &'g Shapes<'g>,
        rule: Rule,
    ) -> Self {
        let (nodes, constants, relevance) = Default::default();
        Self { graph, file, rule, shapes, nodes, constants, relevance, names: 0 }
    }

    /// What was written: nodes, in order, and constants.
    pub(super) fn into_parts(self) -> (Vec<Node>, BTreeMap<String, Tensor>) {
        (self.nodes, self.constants)
    }

    /// Name of the relevance of a value of the file, if it has any.
    pub(super) fn take(&mut self, value: &str) -> Option<String> {
        self.relevance.remove(value)
    }

    /// A name that is nowhere in the file: names there hold no such beginning by chance, and one that does is
    /// passed over.
    pub(super) fn name(&mut self) -> String {
        loop {
            self.names += 1;
            let name = format!("relevance/{}", self.names);
            let taken = |node: &Node| node.inputs.contains(&name) || node.outputs.contains(&name);
            if !self.graph.constants.contains_key(&name) && !self.graph.nodes.iter().any(taken) {
                return name;
            }
        }
    }

    /// A node with one output, whose name it gives.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let name = self.name();
        self.nodes.push(Node {
            name: name.clone(),
            operator: operator.to_owned(),
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs: vec![name.clone()],
            attributes: attributes
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        });
        name
    }

    /// A constant of floats.
    pub(super) fn floats(&mut self, dims: Vec<usize>, values: &[f32]) -> String {
        let name = self.name();
        self.constants.insert(name.clone(), Tensor::floats(dims, values));
        name
    }

    /// A constant of one float.
    pub(super) fn number(&mut self, value: f32) -> String {
        self.floats(Vec::new(), &[value])
    }

    /// A list of whole numbers.
    pub(super) fn list(&mut self, values: &[i64]) -> String {
        let name = self.name();
        self.constants.insert(name.clone(), Tensor::whole(values));
        name
    }

    /// What is known of a value of the file.
    pub(super) fn value(&self, name: &str) -> Result<&Value, Fault> {
        match self.shapes.get(name) {
            Some(Ok(value)) => Ok(value),
            Some(Err(fault)) => Err(fault.clone()),
            None => Err(format!("`{name}` is made by nothing")),
        }
    }

    /// Whether a value depends on the image.
    pub(super) fn is_seen(&self, name: &str) -> bool {
        self.value(name).is_ok_and(|value| value.seen)
    }

    /// The numbers of a constant.
    pub(super) fn constant(&self, name: &str) -> Option<(&[usize], Vec<f32>)> {
        let tensor = self.graph.constants.get(name)?;
        Some((&tensor.dims, tensor.numbers(self.file)?))
    }

    /// The node that makes a value.
    pub(super) fn maker(&self, name: &str) -> Option<&Node> {
        self.graph.nodes.iter().find(|node| node.outputs.iter().any(|output| output == name))
    }

    /// Whether a value is the image, or the image with constants added or multiplied.
    pub(super) fn is_image(&self, name: &str) -> bool {
        let mut name = name;
        let mut passed = BTreeSet::new();
        while name != self.graph.input {
            let Some(node) = self.maker(name).filter(|node| is_of_image(&node.operator)) else {
                return false;
            };
            let mut seen = node.inputs.iter().filter(|input| self.is_seen(input));
            match (seen.next(), seen.next()) {
                (Some(input), None) if passed.insert(input) => name = input,
                _ => return false,
            }
        }
        true
    }

    /// Adds `relevance` to what a value of the file has.
    pub(super) fn give(&mut self, value: &str, relevance: String) {
        let sum = match self.relevance.remove(value) {
            Some(before) => self.node("Add", &[&before, &relevance], &[]),
            None => relevance,
        };
        self.relevance.insert(value.to_owned(), sum);
    }

    /// `relevance / (z + ε sgn z)`, sgn 0 = 1.
    pub(super) fn ratio(&mut self, relevance: &str, z: &str, epsilon: f32) -> String {
        let (zero, plus, minus) = (self.number(0.0), self.number(epsilon), self.number(-epsilon));
        let below = self.node("Less", &[z, &zero], &[]);
        let added = self.node("Where", &[&below, &minus, &plus], &[]);
        let stable = self.node("Add", &[z, &added], &[]);
        self.node("Div", &[relevance, &stable], &[])
    }

    /// `relevance` in the shape of a value.
    pub(super) fn shaped_as(&mut self, relevance: &str, value: &str) -> String {
        let shape = self.node("Shape", &[value], &[]);
        self.node("Reshape", &[relevance, &shape], &[])
    }
}
