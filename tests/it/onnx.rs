//! Small ONNX files, written field by field, for the tests of networks.

/// A file in the making.
#[derive(Clone)]
pub struct Onnx {
    nodes: Vec<Vec<u8>>,
    constants: Vec<Vec<u8>>,
    pub inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
    metadata: Vec<(String, String)>,
    pub opset: i64,
    seed: u64,
}

/// An attribute of a node.
pub enum Value<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
    /// A graph within the graph.
    Graph,
}

pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: i64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value.cast_unsigned(), out);
}

pub fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// A value's name, type and sizes; −1 stands for any.
pub fn declared(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    let mut shape = Vec::new();
    for &dim in dims {
        let mut of_dim = Vec::new();
        match dim {
            -1 => bytes(2, b"any", &mut of_dim),
            dim => number(1, dim, &mut of_dim),
        }
        bytes(1, &of_dim, &mut shape);
    }
    let mut tensor = Vec::new();
    number(1, element, &mut tensor);
    bytes(2, &shape, &mut tensor);
    let mut of_type = Vec::new();
    bytes(1, &tensor, &mut of_type);
    let mut value = Vec::new();
    bytes(1, name.as_bytes(), &mut value);
    bytes(2, &of_type, &mut value);
    value
}

/// A constant of raw bytes.
pub fn raw_constant(name: &str, element: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    dims.iter().for_each(|&dim| number(1, dim, &mut tensor));
    number(2, element, &mut tensor);
    bytes(8, name.as_bytes(), &mut tensor);
    bytes(9, raw, &mut tensor);
    tensor
}

impl Onnx {
    /// An image `image` of any size.
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            constants: Vec::new(),
            inputs: vec![declared("image", 1, &[1, 3, -1, -1])],
            outputs: Vec::new(),
            metadata: Vec::new(),
            opset: 13,
            seed: 7,
        }
    }

    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Value<'_>)],
    ) -> &mut Self {
        let mut node = Vec::new();
        inputs.iter().for_each(|name| bytes(1, name.as_bytes(), &mut node));
        outputs.iter().for_each(|name| bytes(2, name.as_bytes(), &mut node));
        bytes(3, format!("{}_node", outputs[0]).as_bytes(), &mut node);
        bytes(4, operator.as_bytes(), &mut node);
        for (name, value) in attributes {
            let mut attribute = Vec::new();
            bytes(1, name.as_bytes(), &mut attribute);
            let code = match value {
                Value::Int(value) => {
                    number(3, *value, &mut attribute);
                    2
                }
                Value::Text(text) => {
                    bytes(4, text.as_bytes(), &mut attribute);
                    3
                }
                Value::Graph => {
                    bytes(6, &[], &mut attribute);
                    5
                }
                Value::Ints(values) => {
                    values.iter().for_each(|&value| number(8, value, &mut attribute));
                    7
                }
            };
            number(20, code, &mut attribute);
            bytes(5, &attribute, &mut node);
        }
        self.nodes.push(node);
        self
    }

    pub fn constant(&mut self, tensor: Vec<u8>) -> &mut Self {
        self.constants.push(tensor);
        self
    }

    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> &mut Self {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(raw_constant(name, 1, dims, &raw))
    }

    pub fn whole(&mut self, name: &str, values: &[i64]) -> &mut Self {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(raw_constant(name, 7, &[values.len() as i64], &raw))
    }

    /// Numbers from 0.1 to 1, the same in every test.
    pub fn weights(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.seed =
                self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            0.1 + 0.9 * (self.seed >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..count).map(|_| next()).collect()
    }

    /// A convolution from `channels.0` to `channels.1` channels with all weights above 0.
    pub fn conv(
        &mut self,
        input: &str,
        output: &str,
        (from, to): (i64, i64),
        (kernel, stride, pad): (i64, i64, i64),
    ) -> &mut Self {
        self.conv_with(
            input,
            output,
            (from, to),
            kernel,
            &[("strides", Value::Ints(&[stride, stride])), ("pads", Value::Ints(&[pad; 4]))],
        )
    }

    pub fn conv_with(
        &mut self,
        input: &str,
        output: &str,
        (from, to): (i64, i64),
        kernel: i64,
        attributes: &[(&str, Value<'_>)],
    ) -> &mut Self {
        let name = format!("{output}.weight");
        let count = from * to * kernel * kernel;
        let scale = 1.0 / (from * kernel * kernel) as f32;
        let weights: Vec<f32> =
            self.weights(count as usize).into_iter().map(|weight| weight * scale).collect();
        self.floats(&name, &[to, from, kernel, kernel], &weights);
        self.node("Conv", &[input, &name], &[output], attributes)
    }

    pub fn output(&mut self, name: &str) -> &mut Self {
        self.outputs.push(declared(name, 1, &[]));
        self
    }

    pub fn metadata(&mut self, key: &str, value: &str) -> &mut Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        self.nodes.iter().for_each(|node| bytes(1, node, &mut graph));
        self.constants.iter().for_each(|tensor| bytes(5, tensor, &mut graph));
        self.inputs.iter().for_each(|value| bytes(11, value, &mut graph));
        self.outputs.iter().for_each(|value| bytes(12, value, &mut graph));
        let mut file = Vec::new();
        number(1, 8, &mut file);
        bytes(2, b"a test", &mut file);
        bytes(7, &graph, &mut file);
        let mut opset = Vec::new();
        number(2, self.opset, &mut opset);
        bytes(8, &opset, &mut file);
        for (key, value) in &self.metadata {
            let mut pair = Vec::new();
            bytes(1, key.as_bytes(), &mut pair);
            bytes(2, value.as_bytes(), &mut pair);
            bytes(14, &pair, &mut file);
        }
        file
    }
}
