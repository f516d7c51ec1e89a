//! A learned layer on disk: what was learned, and the state between two epochs.
//!
//! | artifact | tensors |
//! |---|---|
//! | `layer` | `projection.mean` D₀, `projection.components` D × D₀, `projection.variances` D, `mixture.weights` K, `mixture.means` and `mixture.variances` K × D, `head.weights` classes × 2KD, `head.bias` classes (no head where the models are those of a file) |
//! | `layer-state` | `now.…`, `best.…` (components, mixture, head), `averages.…`, `moments.<n>.first` and `.second` |

use std::path::Path;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::inputs::Inputs;
use super::kind::Kind;
use super::stored::{Stored, report_of};
use crate::artifacts::{Artifact, Header, Tensor, write};
use crate::error::{Error, Result};
use crate::gmm::{Averages, Gmm, Mixture};
use crate::layer::adam::Adam;
use crate::layer::head::Head;
use crate::layer::{Epoch, Learned, State, Stop};
use crate::projection::{Append, Projection};

/// The kind of the state's file.
const STATE: &str = "layer-state";

/// What the layer stage makes.
pub(crate) struct LayerModels {
    pub(crate) projection: Projection,
    pub(crate) mixture: Gmm,
    /// The classifier that it learned with.
    pub(crate) head: Option<Head>,
}

/// What a `layer` artifact says beside its tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LayerReport {
    /// The split that it learned from.
    pub(crate) split: String,
    /// Images learned from, those held out not among them.
    pub(crate) images: usize,
    pub(crate) held_out: usize,
    /// Descriptors of all these images that rows were drawn from.
    pub(crate) rows: usize,
    /// All epochs; none where the models are those of a file.
    pub(crate) history: Vec<Epoch>,
    /// The epoch that is kept, from 1.
    pub(crate) best_epoch: usize,
    pub(crate) stop: Option<Stop>,
    /// Share of the variance of the sample in the space that the components span; unknown for a file's.
    pub(crate) variance_kept: Option<f64>,
    pub(crate) l2: bool,
    pub(crate) append: Append,
}

impl LayerReport {
    /// Of models that another program learned.
    pub(crate) fn of_file(split: &str, projection: &Projection) -> Self {
        Self {
            split: split.to_owned(),
            images: 0,
            held_out: 0,
            rows: 0,
            history: Vec::new(),
            best_epoch: 0,
            stop: None,
            variance_kept: None,
            l2: projection.l2(),
            append: projection.append(),
        }
    }
}

impl Stored for LayerModels {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        let (projection, mixture) = (&self.projection, &self.mixture);
        let (components, [k, d]) = (projection.components(), [mixture.components(), mixture.dim()]);
        let mut tensors = vec![
            Tensor::f32(
                "projection.mean",
                [projection.input_dim()],
                flat(projection.mean().to_slice()),
            ),
            Tensor::f32("projection.components", components.shape(), flat(components.to_slice())),
            Tensor::f32(
                "projection.variances",
                [projection.variances().len()],
                projection.variances(),
            ),
            Tensor::f32("mixture.weights", [k], mixture.weights()),
            Tensor::f32("mixture.means", [k, d], flat(mixture.means().to_slice())),
            Tensor::f32("mixture.variances", [k, d], flat(mixture.variances().to_slice())),
        ];
        if let Some(Head { weights, bias, .. }) = &self.head {
            tensors.push(Tensor::f32("head.weights", weights.shape(), flat(weights.as_slice())));
            tensors.push(Tensor::f32("head.bias", [bias.len()], flat(bias.as_slice())));
        }
        tensors
    }
}

/// Projection and mixture of a `layer` artifact.
pub(crate) fn layer_models_of(artifact: &Artifact) -> Result<(Projection, Gmm)> {
    let report: LayerReport = report_of(artifact)?;
    let projection = Projection::from_parts(
        Array1::from(artifact.f32("projection.mean")?.1.to_vec()),
        artifact.matrix("projection.components")?.to_owned(),
        artifact.f32("projection.variances")?.1.to_vec(),
        report.variance_kept.unwrap_or(1.0),
        report.l2,
        report.append,
    )?;
    let mixture = Gmm::new(
        artifact.f32("mixture.weights")?.1.to_vec(),
        artifact.matrix("mixture.means")?.to_owned(),
        artifact.matrix("mixture.variances")?.to_owned(),
    )?;
    Ok((projection, mixture))
}

fn flat(values: Option<&[f32]>) -> &[f32] {
    values.expect("a model's arrays are row-major")
}

/// What a state says beside its tensors.
#[derive(Serialize, Deserialize)]
struct StateReport {
    history: Vec<Epoch>,
    best_epoch: Option<usize>,
    batches: u32,
    decay: f64,
    steps: u32,
    one_class: bool,
}

/// Names and values of the tensors of a state.
struct Values(Vec<(String, Vec<usize>, Vec<f32>)>);

impl Values {
    fn matrix(&mut self, name: String, values: &Array2<f32>) {
        self.0.push((name, values.shape().to_vec(), values.iter().copied().collect()));
    }

    fn list(&mut self, name: String, values: impl IntoIterator<Item = f32>) {
        let values: Vec<f32> = values.into_iter().collect();
        self.0.push((name, vec![values.len()], values));
    }

    /// The values of a mixture are f32 numbers between epochs.
    fn mixture(&mut self, name: &str, mixture: &Mixture) {
        let narrow = |v: &f64| *v as f32;
        self.list(format!("{name}.weights"), mixture.weights.iter().map(narrow));
        self.matrix(format!("{name}.means"), &mixture.means.map(narrow));
        self.matrix(format!("{name}.variances"), &mixture.variances.map(narrow));
    }

    fn learned(&mut self, name: &str, learned: &Learned) {
        self.matrix(format!("{name}.components"), &learned.components);
        self.mixture(&format!("{name}.mixture"), &learned.mixture);
        self.matrix(format!("{name}.head.weights"), &learned.head.weights);
        self.list(format!("{name}.head.bias"), learned.head.bias.iter().copied());
    }
}

/// Writes the state after an epoch.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_state(path: &Path, inputs: &Inputs, state: &State) -> Result<()> {
    let mut values = Values(Vec::new());
    values.learned("now", &state.now);
    if let Some((_, best)) = &state.best {
        values.learned("best", best);
    }
    values.mixture("averages", &state.averages.average);
    for (number, moments) in state.moments.iter().enumerate() {
        values.list(format!("moments.{number}.first"), moments.first.iter().copied());
        values.list(format!("moments.{number}.second"), moments.second.iter().copied());
    }
    let report = StateReport {
        history: state.history.clone(),
        best_epoch: state.best.as_ref().map(|(epoch, _)| *epoch),
        batches: state.averages.batches,
        decay: state.averages.decay,
        steps: state.steps,
        one_class: state.now.head.one_class,
    };
    let header = Header {
        kind: STATE.to_owned(),
        ..inputs.header(Kind::Layer.name(), serde_json::json!(report))
    };
    let tensors: Vec<Tensor<'_>> = values
        .0
        .iter()
        .map(|(name, shape, values)| Tensor::f32(name, shape.clone(), values))
        .collect();
    write(path, &header, &tensors)
}

/// The state that a run was left in, where it has one that was made from these inputs and is whole.
pub(crate) fn read_state(path: &Path, inputs: &Inputs) -> Option<State> {
    let artifact = Artifact::open_verified(path, STATE).ok()?;
    if artifact.header().fingerprint != inputs.fingerprint {
        return None;
    }
    state_of(&artifact).ok()
}

fn state_of(artifact: &Artifact) -> Result<State> {
    let report: StateReport = report_of(artifact)?;
    let list = |name: String| Ok::<_, Error>(artifact.f32(&name)?.1.to_vec());
    let matrix = |name: String| Ok::<_, Error>(artifact.matrix(&name)?.to_owned());
    let mixture = |name: &str| {
        Ok::<_, Error>(Mixture {
            weights: list(format!("{name}.weights"))?.into_iter().map(f64::from).collect(),
            means: matrix(format!("{name}.means"))?.mapv(f64::from),
            variances: matrix(format!("{name}.variances"))?.mapv(f64::from),
        })
    };
    let learned = |name: &str| {
        Ok::<_, Error>(Learned {
            components: matrix(format!("{name}.components"))?,
            mixture: mixture(&format!("{name}.mixture"))?,
            head: Head {
                weights: matrix(format!("{name}.head.weights"))?,
                bias: Array1::from(list(format!("{name}.head.bias"))?),
                one_class: report.one_class,
            },
        })
    };
    let moments = |number: usize| {
        Ok::<_, Error>(Adam {
            first: list(format!("moments.{number}.first"))?,
            second: list(format!("moments.{number}.second"))?,
        })
    };
    let best =
        report.best_epoch.map(|epoch| Ok::<_, Error>((epoch, learned("best")?))).transpose()?;
    Ok(State {
        now: learned("now")?,
        best,
        averages: Averages {
            average: mixture("averages")?,
            batches: report.batches,
            decay: report.decay,
        },
        moments: [moments(0)?, moments(1)?, moments(2)?],
        steps: report.steps,
        history: report.history,
    })
}
