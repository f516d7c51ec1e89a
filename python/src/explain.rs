//! Which pixels decided.

use fvtool::describer::Photos;
use fvtool::explain::{PhotoRelevance, explain_photo};
use fvtool::explanation::Rule;
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::arrays::of_values;
use crate::busy::busy;
use crate::classifier::Model;
use crate::describer::Describer;
use crate::errors::argument;
use crate::images::Images;
use crate::run::Run;

/// Why an image has its score for a class.
#[pyclass(module = "fvtool", frozen)]
pub struct Heatmap {
    found: PhotoRelevance,
    rule: Rule,
}

#[pymethods]
impl Heatmap {
    /// Relevance of each pixel, H×W float64: positive speaks for the class, negative against it.
    #[getter]
    fn relevance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let map = &self.found.map;
        of_values(py, map.values.clone(), [map.height, map.width])
    }

    /// The class.
    #[getter]
    fn class_name(&self) -> &str {
        &self.found.class
    }

    /// Its score: above 0 the classifier says yes.
    #[getter]
    fn score(&self) -> f64 {
        self.found.score
    }

    /// The rule, as the program names it.
    #[getter]
    fn rule(&self) -> String {
        self.rule.to_string()
    }

    fn __repr__(&self) -> String {
        let (map, class) = (&self.found.map, &self.found.class);
        format!("Heatmap({class}, score {:+.3}, {}×{})", self.found.score, map.height, map.width)
    }
}

/// A rule by its name, with ε of the rule `epsilon`.
fn rule_of(name: &str, epsilon: f64) -> PyResult<Rule> {
    match name {
        "plain" => Ok(Rule::Plain),
        "absolute" => Ok(Rule::Absolute),
        "epsilon" if epsilon.is_finite() && epsilon >= 0.0 => Ok(Rule::Epsilon(epsilon)),
        "epsilon" => Err(argument("epsilon", format!("{epsilon}; a number of at least 0"))),
        other => Err(argument("rule", format!("`{other}`; plain, epsilon or absolute"))),
    }
}

/// Relevance of the pixels of an image for a class: of a run, or of a describer with a classifier.
#[pyfunction]
#[pyo3(signature = (model, image, class_, rule, epsilon, threads))]
pub fn explain(
    py: Python<'_>,
    model: &Bound<'_, PyAny>,
    image: &Bound<'_, PyAny>,
    class_: Option<&str>,
    rule: &str,
    epsilon: f64,
    threads: Option<usize>,
) -> PyResult<Heatmap> {
    let rule = rule_of(rule, epsilon)?;
    let found = if let Ok(run) = model.cast::<Run>() {
        let run = run.get();
        let params = run.image_params(py)?;
        let images = Images::one(image, &params)?;
        run.read(py, threads, |run| {
            run.require_explainable()?;
            let (describer, model) = (run.stored_describer()?, run.classifier()?);
            explain_photo(&describer, &model, &params, &*images.photo(0)?, class_, rule)
        })?
    } else {
        let (describer, model): (Py<Describer>, Py<Model>) = model.extract()?;
        let (describer, model) = (describer.get(), model.get());
        let params = &describer.config.image;
        let images = Images::one(image, params)?;
        busy(py, threads, |_| {
            let photo = images.photo(0)?;
            explain_photo(&describer.describer, &model.0, params, &photo, class_, rule)
        })?
    };
    Ok(Heatmap { found, rule })
}
