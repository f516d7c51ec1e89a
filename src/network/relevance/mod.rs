//! Relevance through a network: from numbers of its maps back to the pixels.
//!
//! The graph that computes the maps is continued by a second half that undoes it, node by node, each by one
//! rule (`rules`), and both are run by the same engine as one network with several inputs:
//!
//! ```text
//! image 1 × 3 × H × W ─ nodes of the file ─ map ┐
//! relevance of the map's numbers ───────────────┴─ the same nodes backwards ─ relevance 1 × 3 × H × W
//! ```
//!
//! With `x` the inputs of a node, `w` its weights, `b` its bias and `R` the relevance of its outputs:
//!
//! | rule | relevance of input `i` | conserves |
//! |---|---|---|
//! | [`Rule::Epsilon`] | `x_i Σ_j w_ij R_j / (z_j + ε sgn z_j)`, `z_j = Σ_i x_i w_ij + b_j` | but for biases and ε |
//! | [`Rule::AlphaBeta`] | `Σ_j (α (x_i w_ij)⁺/z_j⁺ + (1 − α) (x_i w_ij)⁻/z_j⁻) R_j`, `z_j^± = Σ_i (x_i w_ij)^±` | but for outputs alive by their bias |
//! | the same with [`Bias::Spread`] | `b^±` is part of `z^±` where channels are filtered one by one, and its share goes to all pixels of the window alike | yes, with α = 1 |
//!
//! Sources: Bach et al. 2015 (ε, αβ), Bach et al. 2016 (the comparison with Fisher vectors), in
//! `docs/REFERENCES.md`.

mod back;
mod rewrite;
mod rule;
mod rules;

use super::engine::{Engine, Input};
use super::scaling::Scaling;
use super::shapes::Shapes;
use super::{EngineKind, Network, loaded};
use crate::error::{Error, Result};
use crate::image::Plane;
use crate::linalg;

pub use rule::{Bias, Rule};

/// A network with its way back, ready to run. Shared between threads.
pub struct Backward {
    part: Network,
    engine: Box<dyn Engine>,
    scaling: Scaling,
    outputs: Vec<String>,
    weights: u64,
}

impl Network {
    /// Makes the way back from these outputs ready to run.
    ///
    /// # Errors
    /// [`Error::Network`] as for [`runner`](Self::runner), and when a node between image and outputs has an
    /// operator without a rule, which is named.
    pub fn backward(
        &self,
        engine: EngineKind,
        outputs: &[String],
        scaling: Scaling,
        rule: Rule,
        size: [usize; 2],
    ) -> Result<Backward> {
        let refuse = |problem| Error::network(&self.path, problem);
        for name in outputs {
            self.output(name, size)?;
        }
        let shapes = Shapes::new(&self.graph, &self.file, size);
        let written = back::written(&self.graph, &self.file, &shapes, outputs, rule)
            .map_err(|problem| refuse(format!("no relevance to its pixels: {problem}")))?;
        let weights = written.file.len() as u64;
        let engine =
            loaded(engine, written.file, &written.inputs, &[written.output]).map_err(refuse)?;
        let (part, scaling) = (self.part(outputs), scaling);
        let outputs = outputs.to_vec();
        Ok(Backward { part, engine, scaling, outputs, weights })
    }
}

impl Backward {
    /// Relevance of the pixels of an image (three planes of red, green and blue from 0 to 1), from that of its
    /// maps: `relevance` holds the values of a [`Map`](super::Map) for each output, cell by cell. A plane as large as
    /// the image.
    ///
    /// # Errors
    /// [`Error::Network`] when the engine fails or the result is not finite.
    ///
    /// # Panics
    /// When there are not three planes of one size, or not one map for each output, each of its size.
    pub fn run(&self, planes: &[Plane], relevance: &[Vec<f32>]) -> Result<Plane> {
        let refuse = |problem| Error::network(&self.part.path, problem);
        let (size, input) = self.scaling.input(planes);
        let shapes = Shapes::new(&self.part.graph, &self.part.file, size);
        assert_eq!(relevance.len(), self.outputs.len(), "a map for each output");
        let mut inputs = vec![Input { shape: vec![1, 3, size[1], size[0]], values: &input }];
        let placed: Result<Vec<_>> = self
            .outputs
            .iter()
            .zip(relevance)
            .map(|(name, values)| {
                let output = self.part.output_of(&shapes, name)?;
                let order = self.part.order(&shapes, &output)?;
                assert_eq!(order.places.len(), values.len(), "a map of the output's size");
                let mut placed = vec![0.0; values.len()];
                order.places.iter().zip(values).for_each(|(&place, &value)| placed[place] = value);
                Ok((order.shape, placed))
            })
            .collect();
        let placed = placed?;
        inputs.extend(placed.iter().map(|(shape, values)| Input { shape: shape.clone(), values }));
        let mut raw = self.engine.run(&inputs).map_err(refuse)?;
        let raw = raw.pop().expect("an output");
        if let Some(at) = linalg::first_not_finite(&raw.values) {
            let value = raw.values[at];
            return Err(refuse(format!("relevance of a pixel is {value} for this image")));
        }
        let [width, height] = size;
        let mut pixels = Plane { width, height, values: vec![0.0; width * height] };
        for channel in raw.values.chunks_exact(width * height) {
            pixels.values.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
        }
        Ok(pixels)
    }

    /// Bytes at most of all that is computed at once for an image of this width and height.
    pub fn bytes(&self, size: [usize; 2]) -> u64 {
        let shapes = Shapes::new(&self.part.graph, &self.part.file, size);
        // Values are held until the way back has passed them, and a rule makes a few of each size.
        let (all, largest) = shapes.all_bytes(&self.part.graph);
        all + 8 * largest + 2 * self.weights + (16 << 20)
    }
}
