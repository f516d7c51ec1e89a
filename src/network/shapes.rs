//! The shape of every value of a graph for an image of a given size, and what its cells see.
//!
//! Nothing is computed but shapes, so that memory and work are known before a network runs, and an
//! operator that could do something else is refused. Values of a few whole numbers (sizes that a graph
//! computes for itself) are followed.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::graph::Graph;
use super::node::Node;
use super::operators::{self, Made};
use super::proto::Fault;
use super::sight::Sight;
use super::tensor::Element;
use super::value::{Value, View};

/// Most numbers of one value: four gigabytes.
const MOST_NUMBERS: usize = 1 << 30;

/// Every value of a graph for images of one size.
pub(super) struct Shapes<'g> {
    values: BTreeMap<&'g str, Result<Value, Rc<Fault>>>,
    /// Multiplications of each node, in order.
    products: Vec<u64>,
}

impl<'g> Shapes<'g> {
    /// For an image of this width and height.
    pub(super) fn new(graph: &'g Graph, file: &[u8], [width, height]: [usize; 2]) -> Self {
        let mut values: BTreeMap<&str, Result<Value, Rc<Fault>>> = BTreeMap::new();
        for (name, tensor) in &graph.constants {
            let known = tensor.known(file);
            values.insert(name, Ok(Value::constant(tensor.dims.clone(), tensor.element, known)));
        }
        let image = Value {
            shape: vec![1, 3, height, width],
            element: Element::Float,
            known: None,
            view: Some(View { axes: [3, 2], sight: [Sight::PIXEL; 2] }),
            seen: true,
            whole: false,
        };
        values.insert(&graph.input, Ok(image));
        let mut products = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let made = made(node, graph.opset, &values);
            products.push(made.as_ref().map_or(0, |made| made.products));
            let (mut results, fault) = match made {
                Ok(made) => (made.values, None),
                Err(fault) => (Vec::new(), Some(fault)),
            };
            results.reverse();
            for output in node.outputs.iter().filter(|name| !name.is_empty()) {
                let none =
                    || Rc::new(format!("node {}: `{output}` is not supported of it", node.title()));
                let result = match (&fault, results.pop()) {
                    (Some(fault), _) => Err(fault.clone()),
                    (None, Some(value)) => Ok(value),
                    (None, None) => Err(none()),
                };
                values.insert(output, result);
            }
        }
        Self { values, products }
    }

    /// A value by name.
    ///
    /// # Errors
    /// Why it cannot be computed; `None` when there is none of this name.
    pub(super) fn get(&self, name: &str) -> Option<Result<&Value, &Fault>> {
        self.values.get(name).map(|value| value.as_ref().map_err(|fault| &**fault))
    }

    /// Bytes at most of the values that are there at once while these outputs are computed.
    pub(super) fn bytes(&self, graph: &Graph, outputs: &[String]) -> u64 {
        let nodes = graph.needed(outputs);
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, node) in nodes.iter().enumerate() {
            last.extend(node.inputs.iter().map(|name| (name.as_str(), at)));
        }
        last.extend(outputs.iter().map(|name| (name.as_str(), nodes.len())));
        let size = |name: &str| match self.values.get(name) {
            Some(Ok(value)) if value.seen => 4 * value.numbers() as u64,
            _ => 0,
        };
        let mut now = size(&graph.input);
        let mut most = now;
        for (at, node) in nodes.iter().enumerate() {
            now += node.outputs.iter().map(|name| size(name)).sum::<u64>();
            most = most.max(now);
            let mut done: Vec<&str> = node.inputs.iter().map(String::as_str).collect();
            done.sort_unstable();
            done.dedup();
            done.retain(|name| last.get(name) == Some(&at));
            now = now.saturating_sub(done.into_iter().map(size).sum());
        }
        most
    }

    /// Bytes of all values that depend on the image, and of the largest.
    pub(super) fn all_bytes(&self, graph: &Graph) -> (u64, u64) {
        let sizes = graph.nodes.iter().flat_map(|node| &node.outputs).chain([&graph.input]);
        sizes.fold((0, 0), |(sum, largest), name| match self.get(name) {
            Some(Ok(value)) if value.seen => {
                let bytes = 4 * value.numbers() as u64;
                (sum + bytes, largest.max(bytes))
            }
            _ => (sum, largest),
        })
    }

    /// Multiplications that these outputs take.
    pub(super) fn products(&self, graph: &Graph, outputs: &[String]) -> u64 {
        let needed = graph.needed(outputs);
        let mut needed = needed.into_iter().peekable();
        let all = graph.nodes.iter().zip(&self.products);
        all.filter(|(node, _)| needed.next_if(|next| std::ptr::eq(*next, *node)).is_some())
            .fold(0, |sum: u64, (_, &products)| sum.saturating_add(products))
    }
}

fn made(
    node: &Node,
    opset: i64,
    values: &BTreeMap<&str, Result<Value, Rc<Fault>>>,
) -> Result<Made, Rc<Fault>> {
    let mut inputs: Vec<Option<&Value>> = Vec::with_capacity(node.inputs.len());
    for name in &node.inputs {
        if name.is_empty() {
            inputs.push(None);
            continue;
        }
        match values.get(name.as_str()) {
            Some(Ok(value)) => inputs.push(Some(value)),
            Some(Err(fault)) => return Err(fault.clone()),
            None => return Err(Rc::new(format!("`{name}` is made by nothing"))),
        }
    }
    let named = |problem: Fault| Rc::new(format!("node {}: {problem}", node.title()));
    let made = operators::made(node, opset, &inputs).map_err(named)?;
    match made.values.iter().find(|value| value.numbers() > MOST_NUMBERS) {
        Some(large) => Err(named(format!(
            "it would make {} numbers, more than {MOST_NUMBERS}; take smaller images \
             (image.max_height_px, network.scales)",
            large.shown()
        ))),
        None => Ok(made),
    }
}
