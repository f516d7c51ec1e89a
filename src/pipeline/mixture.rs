//! The mixture, fitted to the projected sample; where a layer is on, the layer's.

use ndarray::Array2;
use serde_json::Value;

use super::layer::load_layer;
use super::pca::load_projection;
use super::place::Place;
use super::result::Stamp;
use super::stage::{Made, Stage, bring_up_to_date};
use crate::artifacts::Artifact;
use crate::describer::pooled_models;
use crate::error::Result;
use crate::generative::{self, Model, Report, memory};
use crate::gmm::Family;
use crate::gmm::FitReport;
use crate::memory::Need;
use crate::projection::Projection;
use crate::store::{
    Inputs, Kind, mixture_of, of_another, open_sample, open_stage, parent_print, require_parent,
};
use crate::words::counted;

struct FitGmm<'a, 'p> {
    place: &'a Place<'p>,
    inputs: Inputs,
}

/// Brings the mixture of a place up to date with its projection.
///
/// # Errors
/// As [`generative::fit`].
pub(crate) fn bring_mixture(place: &Place<'_>, pca: &Stamp) -> Result<Stamp> {
    let parents = [("pca.safetensors", pca.fingerprint.as_str())];
    let settings = place.settings(Kind::Gmm);
    let inputs = Inputs::new(Kind::Gmm.name(), settings, &parents, Value::Null);
    Ok(bring_up_to_date(&[FitGmm { place, inputs }])?.remove(0).stamp)
}

impl Stage for FitGmm<'_, '_> {
    type Model = Model;
    type Report = Report;
    const KIND: Kind = Kind::Gmm;

    fn place(&self) -> &Place<'_> {
        self.place
    }

    fn inputs(&self) -> Result<&Inputs> {
        Ok(&self.inputs)
    }

    fn need(&self) -> Need {
        let config = &self.place.config;
        memory::need(config.sample.rows, &config.gmm, config.pca.output_dim())
    }

    fn summary(made: &[Made<Model, Report>]) -> String {
        let of_one = |Made { model, report, .. }: &Made<Model, Report>| {
            let (history, parts) = (report.history(), model.parts());
            let Some((last, before)) = history.split_last() else {
                let components = counted(parts.components, "component");
                return format!("{components} on {} values, as given", parts.dim);
            };
            let [units, steps, measure] = match parts.family {
                Family::Vae => [
                    format!(
                        "vae of {} and codes of {}",
                        counted(parts.components - 1, "unit"),
                        parts.factors
                    ),
                    counted(before.len(), "pass"),
                    "mean bound of the log-likelihood".into(),
                ],
                family => {
                    let of_family = match family {
                        Family::FactorAnalysers => {
                            format!(" of {family} with {}", counted(parts.factors, "factor"))
                        }
                        Family::Laplace => format!(" of {family}"),
                        _ => String::new(),
                    };
                    [
                        counted(parts.components, "component") + &of_family,
                        match report.is_of_layer() {
                            true => counted(history.len(), "epoch"),
                            false => counted(before.len(), "iteration"),
                        },
                        "mean log-likelihood".into(),
                    ]
                }
            };
            let (rows, dim) = (report.rows(), parts.dim);
            format!("{units} on {rows} × {dim} values, {steps}, {measure} {last:.3}")
        };
        made.iter().map(of_one).collect::<Vec<_>>().join("; ")
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<Model, Report>>> {
        missing.iter().map(|stage| stage.fit()).collect()
    }
}

impl FitGmm<'_, '_> {
    fn fit(&self) -> Result<Made<Model, Report>> {
        let (config, progress) = (&self.place.config, self.place.work.progress);
        if config.layer.is_on() {
            let (_, mixture, layer) = load_layer(self.place)?;
            let history = &layer.history[..layer.best_epoch];
            let history = history.iter().map(|epoch| epoch.mean_log_likelihood).collect();
            let report = FitReport::of_layer(&mixture, history, layer.rows);
            let (model, report) = (Model::from(mixture), Report::Gaussian(report));
            return Ok(Made { model, report, lacking: Vec::new() });
        }
        let projected = projected_sample(self.place)?;
        let fit = generative::fit(projected.view(), &config.gmm, config.seed, progress)?;
        Ok(Made { model: fit.model, report: fit.report, lacking: Vec::new() })
    }
}

fn projected_sample(place: &Place<'_>) -> Result<Array2<f32>> {
    let pca = load_projection(place)?.0;
    let (artifact, positions) = open_sample(&place.path(Kind::Sample))?;
    pca.project(artifact.matrix("rows")?, &positions)
}

/// The mixture of a place.
///
/// # Errors
/// [`Error::Artifact`] when it is damaged or was fitted with another projection than the run's.
pub(crate) fn load_mixture(place: &Place<'_>) -> Result<Model> {
    if place.is_pooled() {
        return Ok(pooled_models(place.config.descriptors.dimension)?.1);
    }
    mixture_of(&open_mixture(place)?)
}

/// The stored mixture, fitted with the projection that lies beside it.
fn open_mixture(place: &Place<'_>) -> Result<Artifact> {
    let artifact = open_stage(&place.path(Kind::Gmm), Kind::Gmm)?;
    require_parent(&artifact, &place.path(Kind::Pca))?;
    Ok(artifact)
}

/// The fingerprint of the stored mixture; nothing for a pooled place.
///
/// # Errors
/// As [`load_mixture`].
pub(crate) fn mixture_print(place: &Place<'_>) -> Result<Option<String>> {
    if place.is_pooled() {
        return Ok(None);
    }
    Ok(Some(open_mixture(place)?.header().fingerprint.clone()))
}

/// Projection and mixture of a place.
pub(crate) struct Models {
    pub(crate) projection: Projection,
    pub(crate) mixture: Model,
    /// Fingerprints of both; nothing for a pooled place, whose models are the same for all images.
    pub(crate) prints: Option<[String; 2]>,
}

/// Reads both. Another process may replace one of them between two looks.
///
/// # Errors
/// As [`load_projection`] and [`load_mixture`].
pub(crate) fn load_models(place: &Place<'_>) -> Result<Models> {
    if place.is_pooled() {
        let (projection, mixture) = pooled_models(place.config.descriptors.dimension)?;
        return Ok(Models { projection, mixture, prints: None });
    }
    let (projection, projection_print) = load_projection(place)?;
    let artifact = open_stage(&place.path(Kind::Gmm), Kind::Gmm)?;
    let parent = place.path(Kind::Pca);
    if *parent_print(&artifact, &parent) != projection_print {
        return Err(of_another(&artifact, &parent));
    }
    let mixture_print = artifact.header().fingerprint.clone();
    let prints = Some([projection_print, mixture_print]);
    Ok(Models { projection, mixture: mixture_of(&artifact)?, prints })
}
