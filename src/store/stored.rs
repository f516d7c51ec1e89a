//! What models are on disk: the tensors of each, written and read back, side by side.
//!
//! | artifact | tensors |
//! |---|---|
//! | `sample` | `rows` N × D₀, `positions` N × 3 (x, y, scale) |
//! | `pca` | `mean` D₀, `components` D × D₀, `variances` D |
//! | `gmm` | `weights` K, `means` K × D, `variances` K × D |
//! | … of `laplace` | `weights` K, `locations` K × D, `scales` K × D |
//! | … of `factor-analysers` | `weights` K, `means` K × D, `loadings` K × D × q, `noise` K × D |
//! | … of `vae` | `centre` D, `scale` 1, `parameters`, `expectation` (H + 1) × D, `information` (H + 1) × D |
//! | `fisher` | see `shard` |
//! | `svm` | `weights` classes × dim, `bias` classes, `duals` parts × classes × images, `duals_bias` classes × images |

use std::path::Path;

use ndarray::{Array1, Array2, Array3};
use serde::{Deserialize, Serialize};

use super::inputs::open_stage;
use super::kind::Kind;
use crate::artifacts::{Artifact, Tensor};
use crate::error::{Error, Result};
use crate::generative::vae::network::Sizes;
use crate::generative::{FactorAnalysers, Laplace, Model as Mixture, Vae};
use crate::gmm::{Family, Gmm};
use crate::position::Position;
use crate::projection::{Append, Projection};
use crate::svm::{self, Duals, Model};

/// What an artifact holds.
pub(crate) trait Stored {
    /// Its values.
    fn tensors(&self) -> Vec<Tensor<'_>>;
}

/// Descriptors to learn from.
pub(crate) struct Sample {
    /// `N × D₀`.
    pub(crate) rows: Array2<f32>,
    /// `N × 3`, row by row: x, y, scale.
    pub(crate) positions: Vec<f32>,
}

impl Stored for Sample {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        vec![
            Tensor::f32("rows", self.rows.shape(), slice(self.rows.as_slice())),
            Tensor::f32("positions", [self.positions.len() / 3, 3], &self.positions),
        ]
    }
}

/// Opens a stored sample, and reads the positions of its rows.
///
/// # Errors
/// [`Error::Artifact`] when it is damaged, [`Error::Shape`] without a position for every row.
pub(crate) fn open_sample(path: &Path) -> Result<(Artifact, Vec<Position>)> {
    let artifact = open_stage(path, Kind::Sample)?;
    let (rows, positions) = (artifact.matrix("rows")?.nrows(), positions_of(&artifact)?);
    if rows == 0 {
        return Err(Error::artifact(path, "damaged (no rows); make it again with --refit"));
    }
    if positions.len() != rows {
        let (what, got) = ("positions of the sample", positions.len());
        return Err(Error::Shape { what, expected: rows, got });
    }
    Ok((artifact, positions))
}

/// The positions of a `sample` artifact.
fn positions_of(artifact: &Artifact) -> Result<Vec<Position>> {
    let (_, flat) = artifact.f32("positions")?;
    let (triples, _) = flat.as_chunks::<3>();
    Ok(triples.iter().map(|&[x, y, scale]| Position { x, y, scale }).collect())
}

/// What a `pca` artifact says beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PcaReport {
    pub(crate) rows: usize,
    /// Share of the variance of the rows; unknown of a projection that another program learned.
    #[serde(default = "whole")]
    pub(crate) variance_kept: Option<f64>,
    #[serde(default)]
    l2: bool,
    append: Append,
}

fn whole() -> Option<f64> {
    Some(1.0)
}

impl PcaReport {
    pub(crate) fn new(pca: &Projection, rows: usize) -> Self {
        Self { rows, variance_kept: Some(pca.kept()), l2: pca.l2(), append: pca.append() }
    }
}

impl Stored for Projection {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        let components = self.components();
        vec![
            Tensor::f32("mean", [self.input_dim()], slice(self.mean().to_slice())),
            Tensor::f32("components", components.shape(), slice(components.to_slice())),
            Tensor::f32("variances", [self.variances().len()], self.variances()),
        ]
    }
}

/// Reads a `pca` artifact.
pub(crate) fn projection_of(artifact: &Artifact) -> Result<Projection> {
    let report: PcaReport = report_of(artifact)?;
    Projection::from_parts(
        Array1::from(artifact.f32("mean")?.1.to_vec()),
        artifact.matrix("components")?.to_owned(),
        artifact.f32("variances")?.1.to_vec(),
        report.variance_kept.unwrap_or(1.0),
        report.l2,
        report.append,
    )
}

impl Stored for Gmm {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        let (k, d) = (self.components(), self.dim());
        vec![
            Tensor::f32("weights", [k], self.weights()),
            Tensor::f32("means", [k, d], slice(self.means().to_slice())),
            Tensor::f32("variances", [k, d], slice(self.variances().to_slice())),
        ]
    }
}

impl Stored for Mixture {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        let parts = self.parts();
        let (k, d, q) = (parts.components, parts.dim, parts.factors);
        match self {
            Self::Gaussian(gmm) => gmm.tensors(),
            Self::Laplace(model) => vec![
                Tensor::f32("weights", [k], model.weights()),
                Tensor::f32("locations", [k, d], slice(model.locations().to_slice())),
                Tensor::f32("scales", [k, d], slice(model.scales().to_slice())),
            ],
            Self::FactorAnalysers(model) => vec![
                Tensor::f32("weights", [k], model.weights()),
                Tensor::f32("means", [k, d], slice(model.means().to_slice())),
                Tensor::f32("loadings", [k, d, q], slice(model.loadings().to_slice())),
                Tensor::f32("noise", [k, d], slice(model.noise().to_slice())),
            ],
            Self::Vae(model) => vec![
                Tensor::f32("centre", [d], model.centre()),
                Tensor::f32("scale", [1], std::slice::from_ref(model.scale_ref())),
                Tensor::f32("parameters", [model.parameters().len()], model.parameters()),
                Tensor::f32("expectation", [k, d], slice(model.expectation().to_slice())),
                Tensor::f32("information", [k, d], slice(model.information().to_slice())),
            ],
        }
    }
}

/// Reads a `gmm` artifact, of the family that its report names.
pub(crate) fn mixture_of(artifact: &Artifact) -> Result<Mixture> {
    let family = match artifact.header().report.get("family") {
        None => Family::Gaussian,
        Some(name) => serde_json::from_value(name.clone())
            .map_err(|e| Error::artifact(artifact.path(), format!("damaged (its report: {e})")))?,
    };
    let damaged = |problem: &str| Error::artifact(artifact.path(), format!("damaged ({problem})"));
    let owned = |name: &str| artifact.matrix(name).map(|array| array.to_owned());
    let values = |name: &str| artifact.f32(name).map(|(_, values)| values.to_vec());
    Ok(match family {
        Family::Gaussian => {
            Gmm::new(values("weights")?, owned("means")?, owned("variances")?)?.into()
        }
        Family::Laplace => {
            let model = Laplace::new(values("weights")?, owned("locations")?, owned("scales")?)?;
            Mixture::Laplace(model.into())
        }
        Family::FactorAnalysers => {
            let (shape, loadings) = artifact.f32("loadings")?;
            let &[k, d, q] = shape else {
                return Err(damaged("tensor `loadings` does not have three dimensions"));
            };
            let loadings = d
                .checked_mul(q)
                .and_then(|columns| Array2::from_shape_vec((k, columns), loadings.to_vec()).ok());
            let loadings = loadings.ok_or_else(|| damaged("its loadings"))?;
            let weights = values("weights")?;
            let model = FactorAnalysers::new(weights, owned("means")?, loadings, owned("noise")?)?;
            Mixture::FactorAnalysers(model.into())
        }
        Family::Vae => {
            let [centre, scale, parameters] = ["centre", "scale", "parameters"].map(values);
            let (centre, parameters, expectation) = (centre?, parameters?, owned("expectation")?);
            let [scale] = scale?[..] else {
                return Err(damaged("tensor `scale` is not one value"));
            };
            let (dim, hidden) = (centre.len(), expectation.nrows().saturating_sub(1));
            let sizes = Sizes::with_parameters(dim, hidden, parameters.len())
                .ok_or_else(|| damaged("as many parameters as fit no code"))?;
            let information = owned("information")?;
            let model = Vae::new(sizes, centre, scale, parameters, expectation, information)?;
            Mixture::Vae(model.into())
        }
    })
}

/// What an `svm` artifact says beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SvmReport {
    /// The split that it was trained on.
    pub(crate) split: String,
    images: usize,
    pub(crate) classes: Vec<String>,
    reports: Vec<svm::ClassReport>,
    sigmoids: Vec<Option<svm::Sigmoid>>,
    selection: Option<svm::Selection>,
    /// The columns of every part of the dual variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dual_parts: Vec<[usize; 2]>,
}

impl SvmReport {
    pub(crate) fn new(model: &Model, split: &str, images: usize) -> Self {
        Self {
            split: split.to_owned(),
            images,
            classes: model.classes.clone(),
            reports: model.reports.clone(),
            sigmoids: model.sigmoids.clone(),
            selection: model.selection.clone(),
            dual_parts: (model.duals.iter().flat_map(|duals| &duals.parts))
                .map(|part| [part.start, part.end])
                .collect(),
        }
    }
}

impl Stored for Model {
    fn tensors(&self) -> Vec<Tensor<'_>> {
        let mut tensors = vec![
            Tensor::f32("weights", self.weights.shape(), slice(self.weights.as_slice())),
            Tensor::f32("bias", [self.bias.len()], &self.bias),
        ];
        if let Some(Duals { products, constants, .. }) = &self.duals {
            tensors.push(Tensor::f32("duals", products.shape(), slice(products.as_slice())));
            tensors.push(Tensor::f32("duals_bias", constants.shape(), slice(constants.as_slice())));
        }
        tensors
    }
}

/// Reads an `svm` artifact.
pub(crate) fn model_of(artifact: &Artifact) -> Result<Model> {
    let report: SvmReport = report_of(artifact)?;
    let weights = artifact.matrix("weights")?.to_owned();
    let duals = duals_of(artifact, &report.dual_parts, weights.ncols())?;
    Model::new(
        report.classes,
        weights,
        artifact.f32("bias")?.1.to_vec(),
        report.sigmoids,
        report.reports,
        report.selection,
    )?
    .with_duals(duals)
}

/// The dual variables of an `svm` artifact; one of an earlier version has none.
fn duals_of(artifact: &Artifact, parts: &[[usize; 2]], dim: usize) -> Result<Option<Duals>> {
    if parts.is_empty() {
        return Ok(None);
    }
    let damaged = |problem| Error::artifact(artifact.path(), format!("damaged ({problem})"));
    let (shape, values) = artifact.f32("duals")?;
    let &[p, m, n] = shape else { return Err(damaged("`duals` does not have three dimensions")) };
    let products = Array3::from_shape_vec((p, m, n), values.to_vec())
        .map_err(|_| damaged("its dual variables"))?;
    let parts = parts.iter().map(|&[start, end]| start..end).collect();
    let constants = artifact.matrix("duals_bias")?.to_owned();
    Duals::new(parts, products, constants, dim).map(Some)
}

/// What an artifact says beside its tensors.
pub(crate) fn report_of<R: serde::de::DeserializeOwned>(artifact: &Artifact) -> Result<R> {
    serde_json::from_value(artifact.header().report.clone())
        .map_err(|e| Error::artifact(artifact.path(), format!("damaged (its report: {e})")))
}

/// The values of a model's array, which is contiguous by construction.
fn slice(values: Option<&[f32]>) -> &[f32] {
    values.expect("a model's arrays are row-major")
}
