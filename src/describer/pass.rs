//! One pass of a network over an image, whatever is taken of it.
//!
//! ```text
//! W × H, red green blue ─ · scale, to a multiple ─ network ─ all outputs that channels take   for each scale
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::descriptors::{Content, Picture};
use crate::error::{Error, Result};
use crate::image::{self, Plane};
use crate::network::relevance::{Backward, Rule};
use crate::network::{self, Map, Network, Output, Params, Runner, Scaling};

/// Pixels of a side for which a network that states none is looked at before it runs.
const USUAL_SIDE: usize = 256;

/// Which way round an image is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    AsItIs,
    Mirrored,
}

/// Maps of an image at every scale, by output; with the width and height at which the network saw it.
pub(super) type Scales = Vec<(Vec<Map>, [usize; 2])>;

/// A network file, and what channels take of it. Shared between channels and workers.
pub(super) struct Pass {
    params: Params,
    network: Network,
    scaling: Scaling,
    /// What runs it, and which release of that.
    engine: String,
    outputs: Mutex<Outputs>,
    runner: OnceLock<Runner>,
    backward: Mutex<Vec<(Rule, Arc<Backward>)>>,
}

/// What is taken of a network.
#[derive(Default)]
struct Outputs {
    names: Vec<String>,
    /// Whether an image has come, after which they stay as they are.
    settled: bool,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Pass {
    /// Opens the network of these settings.
    pub(super) fn open(params: &Params) -> Result<Self> {
        let file = &params.file;
        let named = !file.as_os_str().is_empty();
        let value = if named { file.display().to_string() } else { "empty".into() };
        let range = "the ONNX file of a network, since descriptors.kind is network or pooled: give \
                     --network FILE";
        Error::require(named && file.is_file(), "network.file", value, range)?;
        let network = Network::open(file)?;
        let scaling = network.scaling(&params.scaling)?;
        let engine = network::engine(params)?;
        let (outputs, runner, backward) = Default::default();
        Ok(Self { params: shared(params), network, scaling, engine, outputs, runner, backward })
    }

    /// Whether channels of these settings can share it.
    pub(super) fn is_of(&self, params: &Params) -> bool {
        self.params == shared(params)
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    pub(super) fn engine(&self) -> &str {
        &self.engine
    }

    pub(super) fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// What an output is for an image of the size that the file states, or of any that is not small.
    pub(super) fn output(&self, name: &str) -> Result<Output> {
        self.network.output(name, self.usual_size())
    }

    /// Width and height that the file states, or any that are not small.
    fn usual_size(&self) -> [usize; 2] {
        let usual = USUAL_SIDE.next_multiple_of(self.params.multiple);
        self.network.stated_size().map(|side| side.map_or(usual, |side| side as usize))
    }

    /// The place of an output among those that are taken; it becomes one of them unless an image has been
    /// run already.
    pub(super) fn place_of(&self, name: &str) -> Option<usize> {
        let mut outputs = locked(&self.outputs);
        let known = outputs.names.iter().position(|output| output == name);
        if known.is_none() && !outputs.settled {
            outputs.names.push(name.to_owned());
            return Some(outputs.names.len() - 1);
        }
        known
    }

    fn runner(&self) -> Result<&Runner> {
        if let Some(runner) = self.runner.get() {
            return Ok(runner);
        }
        // Held until it is made, so that it is made once. The engine loads in a thread apart: one of ours
        // that waited for it would take up another image, and come here again.
        let mut outputs = locked(&self.outputs);
        if let Some(runner) = self.runner.get() {
            return Ok(runner);
        }
        outputs.settled = true;
        let made = self.network.runner_by(self.params.engine, &outputs.names, self.scaling)?;
        Ok(self.runner.get_or_init(|| made))
    }

    /// Widths and heights at which an image is looked at; one that comes out as nothing is left out.
    fn sizes(&self, size: [usize; 2]) -> Vec<[usize; 2]> {
        let multiple = self.params.multiple;
        let fitted = |scale: f64| {
            size.map(|side| (side as f64 * scale / multiple as f64).round() as usize * multiple)
        };
        let sizes = self.params.scales.iter().map(|&scale| fitted(scale));
        sizes.filter(|size| !size.contains(&0)).collect()
    }

    /// Runs an image, which has planes of red, green and blue.
    pub(super) fn run(&self, picture: &Picture, side: Side) -> Result<Scales> {
        let Content::Planes(planes) = &picture.content else { return Ok(Scales::new()) };
        let (runner, seen) = (self.runner()?, [picture.width, picture.height]);
        let at = |size| Ok((runner.run(&fitted(planes, size, side))?, size));
        self.sizes(seen).into_iter().map(at).collect()
    }

    /// The way back through the network from all outputs, made once for each rule.
    pub(super) fn backward(&self, rule: Rule) -> Result<Arc<Backward>> {
        let outputs = self.runner()?.outputs();
        // Held until it is made, as for the way there.
        let mut made = locked(&self.backward);
        if let Some((_, known)) = made.iter().find(|(of, _)| *of == rule) {
            return Ok(Arc::clone(known));
        }
        let backward = self.network.backward(
            self.params.engine,
            outputs,
            self.scaling,
            rule,
            self.usual_size(),
        )?;
        let backward = Arc::new(backward);
        made.push((rule, Arc::clone(&backward)));
        Ok(backward)
    }

    /// Relevance of the pixels of an image, from that of its maps: a list for each output, at each scale at
    /// which the image was run. A plane for each scale, of the size at which the network saw the image.
    pub(super) fn pixels(
        &self,
        picture: &Picture,
        side: Side,
        relevance: &[Vec<Vec<f32>>],
        rule: Rule,
    ) -> Result<Vec<Plane>> {
        let Content::Planes(planes) = &picture.content else { return Ok(Vec::new()) };
        let backward = self.backward(rule)?;
        let at = |(size, maps): ([usize; 2], &Vec<Vec<f32>>)| {
            let mut pixels = backward.run(&fitted(planes, size, side), maps)?;
            if side == Side::Mirrored {
                pixels.mirror();
            }
            Ok(pixels)
        };
        self.sizes([picture.width, picture.height]).into_iter().zip(relevance).map(at).collect()
    }

    /// Bytes of the way back for an image of this size.
    pub(super) fn backward_bytes(&self, size: [usize; 2], rule: Rule) -> Result<u64> {
        let backward = self.backward(rule)?;
        Ok(self.sizes(size).into_iter().map(|size| backward.bytes(size)).max().unwrap_or(0))
    }

    /// Bytes for an image of this size: the network, all that it computes at once, and what is kept of both
    /// sides of the image; and the cells of the output at `place` on one side.
    pub(super) fn bytes(&self, size: [usize; 2], place: usize) -> (u64, u64) {
        let Ok(runner) = self.runner() else { return (0, 0) };
        let (mut largest, mut kept, mut rows) = (0, 0, 0);
        for size in self.sizes(size) {
            let planes = 24 * (size[0] * size[1]) as u64;
            largest = largest.max(runner.bytes(size) + planes);
            for (at, output) in runner.planned(size).unwrap_or_default().iter().enumerate() {
                let cells = (output.size[0] * output.size[1]) as u64;
                kept += 2 * cells * 4 * output.channels as u64;
                rows += if at == place { cells } else { 0 };
            }
        }
        // The file's weights as they are read and as the engine holds them.
        (largest + kept + 3 * self.network.bytes() as u64, rows)
    }
}

/// Planes at the width and height at which the network sees them.
fn fitted(planes: &[Plane], size: [usize; 2], side: Side) -> Vec<Plane> {
    let fitted = |plane: &Plane| {
        let mut plane = match size == [plane.width, plane.height] {
            true => plane.clone(),
            false => image::resize(plane, size[0], size[1]),
        };
        if side == Side::Mirrored {
            plane.mirror();
        }
        plane
    };
    planes.iter().map(fitted).collect()
}

/// What channels of one pass have in common.
fn shared(params: &Params) -> Params {
    Params { output: String::new(), square: Params::default().square, ..params.clone() }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
