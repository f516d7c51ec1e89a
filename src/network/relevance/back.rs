//! A graph with its second half: the nodes that lead to the outputs, then back to the image.

use super::super::graph::{Graph, Port};
use super::super::proto::Fault;
use super::super::shapes::Shapes;
use super::rewrite::Rewrite;
use super::rule::Rule;
use super::rules;

/// An ONNX file with its inputs (the image, then relevance for each output) and its output.
pub(super) struct Written {
    pub(super) file: Vec<u8>,
    pub(super) inputs: Vec<String>,
    pub(super) output: String,
}

/// Oldest set of operators whose `Slice` and `Pad` take computed sizes.
const OLDEST_OPSET: i64 = 11;

/// Writes the graph that leads to `outputs` and back.
pub(super) fn written(
    graph: &Graph,
    file: &[u8],
    shapes: &Shapes<'_>,
    outputs: &[String],
    rule: Rule,
) -> Result<Written, Fault> {
    if graph.opset < OLDEST_OPSET {
        return Err(format!(
            "the file is of operator set {}; export the network with {OLDEST_OPSET} or later",
            graph.opset
        ));
    }
    let folded = graph.folded(file, outputs);
    let graph = &folded;
    let mut rewrite = Rewrite::new(graph, file, shapes, rule);
    let mut ports = Vec::new();
    for output in outputs {
        let name = rewrite.name();
        let rank = rewrite.value(output)?.shape.len();
        ports.push(Port { name: name.clone(), rank });
        rewrite.give(output, name);
    }
    let forward = graph.needed(outputs);
    for node in forward.iter().rev() {
        // What only constants lead to has no relevance.
        let Some(relevance) = rewrite.take(&node.outputs[0]) else { continue };
        rules::undo(&mut rewrite, node, relevance)
            .map_err(|problem| format!("node {}: {problem}", node.title()))?;
    }
    let found = rewrite.take(&graph.input);
    let output = found.ok_or("the outputs do not depend on the image")?;
    let (nodes, constants) = rewrite.into_parts();
    let mut whole = graph.clone();
    whole.nodes = forward.into_iter().cloned().chain(nodes).collect();
    whole.constants.extend(constants);
    let inputs = std::iter::once(graph.input.clone());
    let inputs = inputs.chain(ports.iter().map(|port| port.name.clone())).collect();
    let file = whole.written(file, &ports, std::slice::from_ref(&output));
    Ok(Written { file, inputs, output })
}
