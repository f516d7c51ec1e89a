//! Networks in ONNX files: an image in, maps and vectors out, any value of the graph by its name.
//!
//! The file is read by fvtool itself (`proto`, `graph`), the shape of every value and what its cells see
//! is computed (`shapes`, `operators`, `layout`, `sight`), and only then an engine gets the part that
//! leads to the outputs (`engine`). So size and work are known before anything runs, and what is not
//! understood is refused by name, not run.
//!
//! | a file with | is |
//! |---|---|
//! | an operator, a type, an output that is not known | refused, with its name and the nearest ones |
//! | more than [`MOST_BYTES`] | refused before it is read |
//! | an output that is NaN or infinite for an image | an error of that image |

mod engine;
mod graph;
mod layout;
mod node;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod operators;
mod params;
mod proto;
pub mod relevance;
mod scaling;
mod shapes;
mod sight;
mod tensor;
mod value;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::image::Plane;
use crate::{files, linalg};
use engine::{Engine, Input, Rten};
use graph::Graph;
use shapes::Shapes;
use value::Value;

pub use params::{AUTO, EngineKind, Params, Square};
pub use scaling::Scaling;
pub use sight::Sight;

/// Largest file of a network.
pub const MOST_BYTES: u64 = 1 << 30;

/// Most multiplications for one image: minutes of one core.
const MOST_PRODUCTS: u64 = 4_000_000_000_000;

/// A network as its file describes it.
pub struct Network {
    path: PathBuf,
    file: Vec<u8>,
    hash: String,
    graph: Graph,
}

/// What is known of a value before anything runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Operator that makes it.
    pub operator: String,
    /// Numbers of a cell, or of the vector.
    pub channels: usize,
    /// Columns and rows; 1 × 1 for a vector.
    pub size: [usize; 2],
    /// What a cell sees along columns and rows; `None` for a vector, which sees all of the image.
    pub sight: Option<[Sight; 2]>,
    /// Whether every cell also depends on the whole image, as behind squeeze-and-excitation.
    pub whole: bool,
    /// Whether another value differs from it only by an activation or normalisation of each number.
    pub inner: bool,
}

/// A map of an image: a row of channels for each cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Numbers of a cell.
    pub channels: usize,
    /// Cell (x, y) begins at `(y · columns + x) · channels`.
    pub values: Vec<f32>,
    /// What a cell sees along columns and rows, in pixels of the image that was run.
    pub sight: [Sight; 2],
}

impl Network {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Network`] for a file that is no network of images, or that cannot be run in part or as a
    /// whole; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = files::read(path, MOST_BYTES).map_err(Error::io("read", path))?;
        Self::parse(path, file)
    }

    /// Takes the bytes of a file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(path: &Path, file: Vec<u8>) -> Result<Self> {
        let graph = Graph::parse(&file).map_err(|problem| Error::network(path, problem))?;
        let hash = blake3::hash(&file).to_hex()[..32].to_owned();
        Ok(Self { path: path.to_owned(), file, hash, graph })
    }

    /// Whether the beginning of a file looks like an ONNX file: its version, then the program that wrote it or
    /// the graph.
    pub fn is_likely(start: &[u8]) -> bool {
        matches!(start, [0x08, 1..=20, 0x12 | 0x1a | 0x3a | 0x42 | 0x22 | 0x28 | 0x32, ..])
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hash of its file.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Bytes of its file.
    pub fn bytes(&self) -> usize {
        self.file.len()
    }

    /// Name of the image among its values.
    pub fn input(&self) -> &str {
        &self.graph.input
    }

    /// Width and height that the file states for its image; any other is run too where the graph allows.
    pub fn stated_size(&self) -> [Option<u64>; 2] {
        let [height, width] = self.graph.stated_size;
        [width, height]
    }

    /// The program that wrote the file, or nothing.
    pub fn producer(&self) -> &str {
        &self.graph.producer
    }

    /// Names of its final values.
    pub fn outputs(&self) -> &[String] {
        &self.graph.outputs
    }

    /// Its operators and how often each is used.
    pub fn operators(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for node in &self.graph.nodes {
            *counts.entry(node.operator.clone()).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// The scaling that the file states, and where.
    pub fn stated_scaling(&self) -> Option<(Scaling, &'static str)> {
        Scaling::of_metadata(&self.graph.metadata)
    }

    /// The scaling of a setting, or the file's own where the setting is empty or `auto`.
    ///
    /// # Errors
    /// [`Error::Setting`] when it is no scaling, or when nobody states one.
    pub fn scaling(&self, setting: &str) -> Result<Scaling> {
        if !setting.is_empty() && setting != AUTO {
            return Scaling::parse(setting);
        }
        self.stated_scaling().map(|(scaling, _)| scaling).ok_or_else(|| {
            let range = format!(
                "given, since {} does not say how its pixels are scaled: `imagenet` for most networks of \
                 torchvision and timm, `tf` for EfficientNet-lite, `unit` for 0 to 1; see docs/NETWORKS.md",
                self.path.display()
            );
            Error::setting("network.scaling", AUTO, range)
        })
    }

    /// Every map and vector for an image of this width and height, and why the others cannot be had (each
    /// reason once).
    pub fn values_at(&self, size: [usize; 2]) -> (Vec<Output>, Vec<String>) {
        let shapes = Shapes::new(&self.graph, &self.file, size);
        let (mut outputs, mut reasons) = (Vec::new(), Vec::new());
        for node in &self.graph.nodes {
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                match shapes.get(name) {
                    Some(Ok(value)) => outputs.extend(self.described(name, value)),
                    Some(Err(reason)) if !reasons.contains(reason) => reasons.push(reason.clone()),
                    _ => {}
                }
            }
        }
        (outputs, reasons)
    }

    /// What a value is for an image of this width and height.
    ///
    /// # Errors
    /// [`Error::Network`] when there is none of this name (with the nearest ones), when it is no map and no
    /// vector, or when it cannot be computed.
    pub fn output(&self, name: &str, size: [usize; 2]) -> Result<Output> {
        self.output_of(&Shapes::new(&self.graph, &self.file, size), name)
    }

    fn output_of(&self, shapes: &Shapes<'_>, name: &str) -> Result<Output> {
        let refuse = |problem: String| Error::network(&self.path, problem);
        match shapes.get(name) {
            Some(Ok(value)) => self.described(name, value).ok_or_else(|| {
                refuse(format!("`{name}` is {}, neither a map nor a vector", value.shown()))
            }),
            Some(Err(reason)) => Err(refuse(format!("`{name}` cannot be computed: {reason}"))),
            None => {
                let near = self.nearest(name);
                let all = format!("fvtool inspect {} lists all", self.path.display());
                Err(refuse(format!("it has no value `{name}`; the nearest are {near} ({all})")))
            }
        }
    }

    /// The names that are most like another one.
    fn nearest(&self, name: &str) -> String {
        let names = self.graph.nodes.iter().flat_map(|node| &node.outputs);
        let mut near: Vec<(usize, &String)> = names
            .filter(|known| !known.is_empty())
            .map(|known| (distance(name, known), known))
            .collect();
        near.sort();
        let near: Vec<String> = near.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
        near.join(", ")
    }

    fn described(&self, name: &str, value: &Value) -> Option<Output> {
        if !value.seen || value.element != tensor::Element::Float {
            return None;
        }
        let maker = self.graph.nodes.iter().find(|node| node.outputs.iter().any(|o| o == name));
        let mut users = self.graph.nodes.iter().filter(|n| n.inputs.iter().any(|i| i == name));
        let inner = match (users.next(), users.next()) {
            (Some(user), None) => {
                operators::of_each_number(&user.operator)
                    && !self.graph.outputs.iter().any(|o| o == name)
            }
            _ => false,
        };
        let made = |channels, size, sight| Output {
            name: name.to_owned(),
            operator: maker.map_or_else(String::new, |node| node.operator.clone()),
            channels,
            size,
            sight,
            whole: value.whole && sight.is_some(),
            inner,
        };
        if let (Some(view), Some(channels)) = (value.view, value.channels_axis()) {
            let size = view.axes.map(|axis| value.shape[axis]);
            return Some(made(value.shape[channels], size, Some(view.sight)));
        }
        // One dimension that is more than one.
        let long: Vec<usize> = value.shape.iter().copied().filter(|&size| size != 1).collect();
        match long[..] {
            [] if value.view.is_none() => Some(made(1, [1, 1], None)),
            [channels] if value.view.is_none() => Some(made(channels, [1, 1], None)),
            _ => None,
        }
    }

    /// Makes the part of the network that leads to these outputs ready to run by rten.
    ///
    /// # Errors
    /// [`Error::Network`] as for [`output`](Self::output), and when the engine cannot run it.
    pub fn runner(&self, outputs: &[String], scaling: Scaling) -> Result<Runner> {
        self.runner_by(EngineKind::Rten, outputs, scaling)
    }

    /// As [`runner`](Self::runner), by an engine that [`engine()`] has made ready.
    ///
    /// # Errors
    /// As [`runner`](Self::runner).
    pub fn runner_by(
        &self,
        engine: EngineKind,
        outputs: &[String],
        scaling: Scaling,
    ) -> Result<Runner> {
        let refuse = |problem| Error::network(&self.path, problem);
        for name in outputs {
            if !self.graph.nodes.iter().any(|node| node.outputs.contains(name)) {
                self.output(name, [224, 224])?;
            }
        }
        let written = self.graph.written(&self.file, &[], outputs);
        let inputs = std::slice::from_ref(&self.graph.input);
        let engine = loaded(engine, written, inputs, outputs).map_err(refuse)?;
        let part = self.part(outputs);
        Ok(Runner { part, engine, scaling })
    }

    /// What is known of the part that leads to these outputs, without weights.
    fn part(&self, outputs: &[String]) -> Self {
        let mut graph = self.graph.clone();
        let needed = graph.needed(outputs).into_iter();
        let kept: BTreeSet<String> = needed.map(|node| node.outputs[0].clone()).collect();
        graph.nodes.retain(|node| kept.contains(&node.outputs[0]));
        graph.outputs = outputs.to_vec();
        graph.keep_known(&self.file);
        Self { path: self.path.clone(), file: Vec::new(), hash: self.hash.clone(), graph }
    }

    /// Where the numbers of an output lie in what the engine hands out.
    fn order(&self, shapes: &Shapes<'_>, output: &Output) -> Result<Order> {
        let Some(Ok(value)) = shapes.get(&output.name) else {
            let problem = format!("`{}` cannot be computed", output.name);
            return Err(Error::network(&self.path, problem));
        };
        let shape = value.shape.clone();
        let (Some(view), Some(channels)) = (value.view, value.channels_axis()) else {
            return Ok(Order { places: (0..value.numbers()).collect(), shape });
        };
        let step = |axis: usize| -> usize { shape[axis + 1..].iter().product() };
        let [x_step, y_step, c_step] = [view.axes[0], view.axes[1], channels].map(step);
        let mut places = Vec::with_capacity(value.numbers());
        for y in 0..output.size[1] {
            for x in 0..output.size[0] {
                let cell = y * y_step + x * x_step;
                places.extend((0..output.channels).map(|c| cell + c * c_step));
            }
        }
        Ok(Order { places, shape })
    }
}

/// The engine that these settings name, and its release: part of what its results depend on. The library of
/// `onnxruntime` is loaded.
///
/// # Errors
/// [`Error::Setting`] when there is no such engine in this build, or no library of it, with the way out.
pub fn engine(params: &Params) -> Result<String> {
    match params.engine {
        EngineKind::Rten => Ok(engine::RTEN.to_owned()),
        #[cfg(feature = "onnxruntime")]
        EngineKind::Onnxruntime => onnxruntime::load(&params.library).map_err(|problem| {
            let shown = params.library.display().to_string();
            let shown = if shown.is_empty() { "empty".to_owned() } else { shown };
            Error::setting(
                "network.library",
                shown,
                format!("a library of ONNX Runtime: {problem}"),
            )
        }),
        #[cfg(not(feature = "onnxruntime"))]
        EngineKind::Onnxruntime => Err(Error::setting(
            "network.engine",
            "onnxruntime",
            "rten: this fvtool was built without the feature `onnxruntime`",
        )),
    }
}

/// An engine with the bytes of a network.
fn loaded(
    engine: EngineKind,
    file: Vec<u8>,
    inputs: &[String],
    outputs: &[String],
) -> Result<Box<dyn Engine>, String> {
    match engine {
        EngineKind::Rten => Ok(Box::new(Rten::new(file, inputs, outputs)?)),
        #[cfg(feature = "onnxruntime")]
        EngineKind::Onnxruntime => {
            Ok(Box::new(onnxruntime::OnnxRuntime::new(file, inputs, outputs)?))
        }
        #[cfg(not(feature = "onnxruntime"))]
        EngineKind::Onnxruntime => Err("this fvtool was built without `onnxruntime`".to_owned()),
    }
}

/// Where the numbers of a map, cell by cell, lie in a value of the graph.
struct Order {
    places: Vec<usize>,
    /// Shape of the value.
    shape: Vec<usize>,
}

/// A part of a network that is ready to run. Shared between threads.
pub struct Runner {
    part: Network,
    engine: Box<dyn Engine>,
    scaling: Scaling,
}

impl Runner {
    /// The outputs, in order.
    pub fn outputs(&self) -> &[String] {
        &self.part.graph.outputs
    }

    /// What the outputs are for an image of this width and height.
    ///
    /// # Errors
    /// As [`Network::output`], and when the work for one image would have no end.
    pub fn planned(&self, size: [usize; 2]) -> Result<Vec<Output>> {
        let shapes = Shapes::new(&self.part.graph, &self.part.file, size);
        let outputs: Result<Vec<Output>> =
            self.outputs().iter().map(|name| self.part.output_of(&shapes, name)).collect();
        let products = shapes.products(&self.part.graph, self.outputs());
        if products > MOST_PRODUCTS {
            let problem = format!(
                "an image of {} × {} takes {} thousand million multiplications, more than {}; take smaller \
                 images (image.max_height_px, network.scales)",
                size[0],
                size[1],
                products / 1_000_000_000,
                MOST_PRODUCTS / 1_000_000_000
            );
            return Err(Error::network(&self.part.path, problem));
        }
        outputs
    }

    /// Bytes at most of all that is computed at once for an image of this width and height.
    pub fn bytes(&self, size: [usize; 2]) -> u64 {
        let shapes = Shapes::new(&self.part.graph, &self.part.file, size);
        // Windows are laid out anew for products, block by block, and the outputs are copied.
        let outputs = self.outputs().iter().filter_map(|name| shapes.get(name)?.ok());
        let copies: u64 = outputs.map(|value| 8 * value.numbers() as u64).sum();
        shapes.bytes(&self.part.graph, self.outputs()) + copies + (16 << 20)
    }

    /// Runs an image of red, green and blue from 0 to 1. Each output is a map; a vector is one of a single
    /// cell that sees everything.
    ///
    /// # Errors
    /// [`Error::Network`] when the image is too small, when the engine fails, or when an output is NaN or
    /// infinite.
    ///
    /// # Panics
    /// When there are not three planes of one size.
    pub fn run(&self, planes: &[Plane]) -> Result<Vec<Map>> {
        let (size, input) = self.scaling.input(planes);
        let refuse = |problem| Error::network(&self.part.path, problem);
        let planned = self.planned(size)?;
        for output in &planned {
            let fits = |(side, sight): (&usize, &Sight)| *side as f64 >= sight.stride;
            if let Some(sight) = output.sight
                && !size.iter().zip(&sight).all(fits)
            {
                return Err(refuse(format!(
                    "an image of {} × {} is smaller than the stride of `{}`, {} pixels",
                    size[0], size[1], output.name, sight[0].stride
                )));
            }
        }
        let image = Input { shape: vec![1, 3, size[1], size[0]], values: &input };
        let raw = self.engine.run(&[image]).map_err(refuse)?;
        let shapes = Shapes::new(&self.part.graph, &self.part.file, size);
        planned.iter().zip(raw).map(|(output, raw)| self.map(&shapes, output, &raw, size)).collect()
    }

    fn map(
        &self,
        shapes: &Shapes<'_>,
        output: &Output,
        raw: &engine::Raw,
        [width, height]: [usize; 2],
    ) -> Result<Map> {
        let refuse = |problem| Err(Error::network(&self.part.path, problem));
        let name = &output.name;
        let order = self.part.order(shapes, output)?;
        if order.shape != raw.shape {
            return refuse(format!(
                "`{name}` came out of the engine as {:?}, not as its operators say",
                raw.shape
            ));
        }
        if let Some(at) = linalg::first_not_finite(&raw.values) {
            return refuse(format!(
                "`{name}` is {} for this image; network.scaling may be wrong for the file",
                raw.values[at]
            ));
        }
        let sight = output.sight.unwrap_or([width, height].map(|side| Sight {
            stride: side as f64,
            first: (side as f64 - 1.0) / 2.0,
            size: side as f64,
        }));
        let values = order.places.iter().map(|&place| raw.values[place]).collect();
        Ok(Map { size: output.size, channels: output.channels, values, sight })
    }
}

/// Letters to change, add or leave out to make one name the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let kept = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = kept.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
