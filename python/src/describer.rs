//! From images to their vectors: what is behind `fvtool.FisherVectorizer`.

use fvtool::config::Config;
use fvtool::describer;
use fvtool::encoding::Place;
use fvtool::generative::Model;
use fvtool::gmm::Family;
use fvtool::projection::Projection;
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::arrays::{of_json, of_matrix};
use crate::busy::busy;
use crate::errors::of_library;
use crate::images::Images;
use crate::mixture::{Mixture, of_argument};
use crate::projection::Pca;
use crate::settings::{config, overrides};

/// Fitted models of a configuration, and what makes vectors with them.
#[pyclass(module = "fvtool._fvtool", frozen)]
pub struct Describer {
    pub config: Config,
    models: Models,
    pub describer: describer::Describer,
}

type Models = Vec<(Projection, Model)>;

impl Describer {
    /// A describer of a configuration and its models.
    pub fn of(config: Config, models: Models) -> fvtool::Result<Self> {
        let describer = describer::Describer::from_models(&config, models.clone())?;
        Ok(Self { config, models, describer })
    }
}

#[pymethods]
impl Describer {
    /// Of a configuration in TOML and its models, as they were pickled.
    #[new]
    fn new(toml: &str, models: Vec<(Py<Pca>, Bound<'_, PyAny>)>) -> PyResult<Self> {
        let config = Config::parse(toml, "pickled settings").map_err(of_library)?;
        let model = |(pca, gmm): (Py<Pca>, Bound<'_, PyAny>)| {
            Ok((pca.get().0.clone(), of_argument(&gmm)?.into()))
        };
        let models = models.into_iter().map(model).collect::<PyResult<_>>()?;
        Self::of(config, models).map_err(of_library)
    }

    /// Fits the models of a preset or a file, with overrides, to images.
    #[staticmethod]
    fn fit(
        py: Python<'_>,
        images: &Bound<'_, PyAny>,
        preset: &str,
        settings: Option<&Bound<'_, PyAny>>,
        seed: Option<u64>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let config = config(preset, &overrides(settings)?, seed)?;
        require_gaussian(&config).map_err(of_library)?;
        let images = Images::of(images, &config.image)?;
        busy(py, threads, |watch| {
            let models = describer::Describer::models(&config, &images, watch)?;
            Self::of(config, models)
        })
    }

    /// The vectors of images, a row each.
    fn transform<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let images = Images::of(images, &self.config.image)?;
        of_matrix(py, busy(py, threads, |watch| self.describer.vectors_of(&images, watch))?)
    }

    /// Values of a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.describer.dim()
    }

    /// The settings, all of them.
    #[getter]
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        of_json(py, &self.config)
    }

    /// Name, projection, mixture and factor in the joint vector of each channel.
    pub fn channels(&self) -> PyResult<Vec<(String, Pca, Mixture, f32)>> {
        let channels = self.describer.channels().iter().zip(&self.models);
        let channel = |(channel, (pca, model)): (&describer::Channel, &(Projection, Model))| {
            let gmm = model.gaussian().map_err(of_library)?;
            let name = channel.encoder.name().to_owned();
            Ok((name, Pca(pca.clone()), Mixture::from(gmm.clone()), channel.factor))
        };
        channels.map(channel).collect()
    }

    /// What each value of a vector belongs to, in words.
    fn feature_names(&self) -> Vec<String> {
        let of_channel = |channel: &describer::Channel| {
            let (encoder, name) = (channel.encoder.encoder(), channel.encoder.name());
            let layout = encoder.layout().clone();
            let start = if name.is_empty() { String::new() } else { format!("{name}_") };
            let in_words = move |place: Place| {
                let Place { region, order, component, dimension, factor } = place;
                let part = |letter: char, number: Option<usize>| {
                    number.map_or_else(String::new, |number| format!("_{letter}{number}"))
                };
                let end = part('d', dimension) + &part('f', factor);
                format!("{start}region{region}_order{order}_k{component}{end}")
            };
            (0..layout.len()).filter_map(move |index| layout.place(index).map(&in_words))
        };
        self.describer.channels().iter().flat_map(of_channel).collect()
    }

    fn __getnewargs__(&self) -> PyResult<(String, Vec<(Pca, Mixture)>)> {
        let model = |(_, pca, gmm, _)| (pca, gmm);
        Ok((self.config.to_toml(), self.channels()?.into_iter().map(model).collect()))
    }
}

impl Describer {
    /// The projection of each channel, with its name.
    pub fn projections(&self) -> Vec<(String, Pca)> {
        let channels = self.describer.channels().iter().zip(&self.models);
        let of = |(channel, (pca, _)): (&describer::Channel, &(Projection, Model))| {
            (channel.encoder.name().to_owned(), Pca(pca.clone()))
        };
        channels.map(of).collect()
    }
}

/// Refuses, before any work, models that there is no class for in Python.
fn require_gaussian(config: &Config) -> fvtool::Result<()> {
    let check = |config: &Config| {
        let family = config.gmm.family;
        let range = "gaussian in Python; the program (`fvtool run`) fits the other families";
        let holds = family == Family::Gaussian || config.descriptors.kind.is_one_vector();
        fvtool::Error::require(holds, "gmm.family", family.name(), range)
    };
    if config.channel.is_empty() {
        return check(config);
    }
    config.channel.iter().try_for_each(|channel| check(&config.of_channel(channel)?))
}
