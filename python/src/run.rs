//! A run folder, read: nothing is ever written into it.

use std::path::PathBuf;

use fvtool::dataset::Label;
use fvtool::image::Params;
use fvtool::pipeline;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{of_json, of_matrix, of_values};
use crate::busy::{Watch, busy};
use crate::classifier::Model;
use crate::describer::Describer;
use crate::errors::{argument, of_library};
use crate::images::Images;
use crate::mixture::Mixture;
use crate::projection::Pca;

/// What stands between several classes of an image, as in `predictions.csv`.
const BETWEEN: &str = "|";

/// A run folder that `fvtool run` made, read with its checksums. Nothing is written into it. Every method
/// looks at the folder anew; a file that was damaged, or is of other settings than the rest, is refused.
#[pyclass(module = "fvtool", frozen)]
pub struct Run {
    path: PathBuf,
}

impl Run {
    /// Opens the run and asks it something.
    pub fn read<T: Send>(
        &self,
        py: Python<'_>,
        threads: Option<usize>,
        ask: impl FnOnce(&pipeline::Run<'_>) -> fvtool::Result<T> + Send,
    ) -> PyResult<T> {
        self.read_watched(py, threads, |run, _| ask(run))
    }

    fn read_watched<T: Send>(
        &self,
        py: Python<'_>,
        threads: Option<usize>,
        ask: impl FnOnce(&pipeline::Run<'_>, &Watch) -> fvtool::Result<T> + Send,
    ) -> PyResult<T> {
        busy(py, threads, |watch| {
            ask(&pipeline::Run::open_to_read(&self.path, None, watch)?, watch)
        })
    }

    /// How the run reads images.
    pub fn image_params(&self, py: Python<'_>) -> PyResult<Params> {
        self.read(py, None, |run| Ok(run.config().image.clone()))
    }

    fn models(&self, py: Python<'_>) -> PyResult<Describer> {
        let (config, models) =
            self.read(py, None, |run| Ok((run.config().clone(), run.stored_models()?)))?;
        Describer::of(config, models).map_err(of_library)
    }

    /// The run's models and the number of a channel by its name; of the only one where none is named.
    fn channel(&self, py: Python<'_>, name: Option<&str>) -> PyResult<(Describer, usize)> {
        let models = self.models(py)?;
        let names: Vec<String> = models.projections().into_iter().map(|(name, _)| name).collect();
        let place = match name {
            None if names.len() == 1 => Some(0),
            None => None,
            Some(name) => names.iter().position(|known| known == name),
        };
        let Some(place) = place else {
            let text = match name {
                Some(name) => format!("`{name}`; the run's are {}", names.join(", ")),
                None => format!("none given; name one of {}", names.join(", ")),
            };
            return Err(argument("channel", text));
        };
        Ok((models, place))
    }
}

#[pymethods]
impl Run {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        if !path.is_dir() {
            return Err(of_library(pipeline::no_such_run(&path)));
        }
        let run = Self { path };
        run.read(py, None, |_| Ok(()))?;
        Ok(run)
    }

    /// The folder.
    #[getter]
    fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Names of the classifier's classes.
    #[getter]
    fn classes(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.read(py, None, |run| Ok(run.classifier()?.classes))
    }

    /// Names of the splits that have vectors.
    #[getter]
    fn splits(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.read(py, None, |run| run.splits())
    }

    /// Names of the channels; one of no name in a run without channels.
    #[getter]
    fn channels(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.models(py)?.projections().into_iter().map(|(name, _)| name).collect())
    }

    /// The settings, all of them.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        of_json(py, &self.read(py, None, |run| Ok(run.config().clone()))?)
    }

    /// The stored vectors of a split, `(N×dim float32, ids)`, channels joined with their weights.
    fn vectors<'py>(
        &self,
        py: Python<'py>,
        split: &str,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Vec<String>)> {
        let (rows, index) = self.read(py, None, |run| run.stored_vectors(split))?;
        Ok((of_matrix(py, rows)?, index.images.into_iter().map(|image| image.id).collect()))
    }

    /// Labels of a split's images, N×M int8 for `classes`: 1 yes, −1 no, 0 not judged.
    fn labels<'py>(&self, py: Python<'py>, split: &str) -> PyResult<Bound<'py, PyArray2<i8>>> {
        let found = self.read(py, None, |run| run.stored_scores(split))?;
        let shape = found.scores.dim();
        let labels = found.labels.iter().flatten().map(|label| label.number()).collect();
        of_values(py, labels, [shape.0, shape.1])
    }

    /// Scores of a split's stored vectors, N×M float32 for `classes`: above 0 means yes.
    fn scores<'py>(&self, py: Python<'py>, split: &str) -> PyResult<Bound<'py, PyArray2<f32>>> {
        of_matrix(py, self.read(py, None, |run| run.stored_scores(split))?.scores)
    }

    /// A dict of columns for `pandas.DataFrame`: `id`, `true`, `predicted` (several classes with `|`
    /// between them), then `score_<class>` for each class.
    fn predictions<'py>(&self, py: Python<'py>, split: &str) -> PyResult<Bound<'py, PyDict>> {
        let found = self.read(py, None, |run| run.stored_scores(split))?;
        let classes = &found.model.classes;
        let named = |classes_of: Vec<usize>| {
            let names: Vec<&str> = classes_of.iter().map(|&c| classes[c].as_str()).collect();
            names.join(BETWEEN)
        };
        let shown = |labels: &Vec<Label>| {
            named((0..classes.len()).filter(|&c| labels[c] == Label::Yes).collect())
        };
        let columns = PyDict::new(py);
        let images = &found.index.images;
        columns.set_item("id", images.iter().map(|image| &image.id).collect::<Vec<_>>())?;
        columns.set_item("true", found.labels.iter().map(shown).collect::<Vec<_>>())?;
        let predicted = (0..images.len()).map(|image| named(found.predicted(image)));
        columns.set_item("predicted", predicted.collect::<Vec<_>>())?;
        for (class, scores) in classes.iter().zip(found.scores.columns()) {
            columns.set_item(
                format!("score_{class}"),
                numpy::PyArray1::from_vec(py, scores.to_vec()),
            )?;
        }
        Ok(columns)
    }

    /// The stored figures of an evaluated split as a dict, fractions from 0 to 1.
    fn measures<'py>(&self, py: Python<'py>, split: &str) -> PyResult<Bound<'py, PyAny>> {
        of_json(py, &self.read(py, None, |run| run.stored_figures(split))?)
    }

    /// The projection of a channel.
    #[pyo3(signature = (channel = None))]
    fn pca(&self, py: Python<'_>, channel: Option<&str>) -> PyResult<Pca> {
        let (models, place) = self.channel(py, channel)?;
        Ok(models.projections().swap_remove(place).1)
    }

    /// The mixture of a channel.
    #[pyo3(signature = (channel = None))]
    fn gmm(&self, py: Python<'_>, channel: Option<&str>) -> PyResult<Mixture> {
        let (models, place) = self.channel(py, channel)?;
        Ok(models.channels()?.swap_remove(place).2)
    }

    /// The classifier as a dict: `classes` (M names), `weights` (M×dim), `bias` (M), and `sigmoids` (M times
    /// `(a, b)` of 1/(1 + exp(a·score + b)), or `None` where it was not calibrated).
    fn classifier<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let model = Model(self.read(py, None, |run| run.classifier())?);
        let parts = PyDict::new(py);
        parts.set_item("classes", model.classes())?;
        parts.set_item("weights", model.weights(py)?)?;
        parts.set_item("bias", model.bias(py))?;
        parts.set_item("sigmoids", model.sigmoids())?;
        Ok(parts)
    }

    /// The models of all channels.
    fn _describer(&self, py: Python<'_>) -> PyResult<Describer> {
        self.models(py)
    }

    /// Scores new images (a list of paths, arrays or images of Pillow). A dict of columns for
    /// `pandas.DataFrame`: `image` (the path, or the number in the list), `predicted`, `score_<class>` for
    /// each class, and `probability_<class>` for each calibrated one.
    #[pyo3(signature = (images, *, threads = None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let images = Images::of(images, &self.image_params(py)?)?;
        let (model, scores, decision) = self.read_watched(py, threads, |run, watch| {
            let (describer, model) = (run.stored_describer()?, run.classifier()?);
            let scores = model.scores(&describer.vectors_of(&images, watch)?.view())?;
            Ok((model, scores, run.config().evaluation.decision(run.is_single_label()?)))
        })?;
        let columns = PyDict::new(py);
        columns.set_item("image", images.names())?;
        let (mut names, mut probabilities) = (Vec::new(), Vec::new());
        for row in scores.rows() {
            let row = row.to_vec();
            let of_image = decision.classes(row.iter().copied());
            let of_image: Vec<&str> = of_image.iter().map(|&c| model.classes[c].as_str()).collect();
            names.push(of_image.join(BETWEEN));
            probabilities.push(model.probabilities(&row));
        }
        columns.set_item("predicted", names)?;
        for (class, column) in model.classes.iter().zip(scores.columns()) {
            let values = numpy::PyArray1::from_vec(py, column.to_vec());
            columns.set_item(format!("score_{class}"), values)?;
        }
        for (number, class) in model.classes.iter().enumerate() {
            if model.sigmoids[number].is_some() {
                let values = probabilities.iter().filter_map(|row| row[number]).collect();
                let values = numpy::PyArray1::from_vec(py, values);
                columns.set_item(format!("probability_{class}"), values)?;
            }
        }
        Ok(columns)
    }

    fn __getnewargs__(&self) -> (PathBuf,) {
        (self.path.clone(),)
    }

    fn __repr__(&self) -> String {
        format!("Run({:?})", self.path)
    }
}
