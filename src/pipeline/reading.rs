//! What a run holds, for whoever reads it: every value checked as the stages check it, nothing written.

use ndarray::Array2;

use super::mixture::load_models;
use super::run::Run;
use crate::dataset::Label;
use crate::describer::Describer;
use crate::error::{Error, Result};
use crate::evaluation::{Decision, Report};
use crate::generative::Model as Mixture;
use crate::linalg::Rows;
use crate::projection::Projection;
use crate::store::{Index, figures_of};
use crate::svm::Model;

/// The stored vectors of a split, scored by the run's classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredScores {
    /// The images, in the order of the rows.
    pub index: Index,
    /// The classifier.
    pub model: Model,
    /// `labels[image][class]`, for the classes of the classifier; one that the split does not know is
    /// ignored.
    pub labels: Vec<Vec<Label>>,
    /// Images × classes of the classifier.
    pub scores: Array2<f32>,
    /// What the scores decide.
    pub decision: Decision,
}

impl StoredScores {
    /// The classes that are predicted for the image of this number.
    pub fn predicted(&self, image: usize) -> Vec<usize> {
        self.decision.classes(self.scores.row(image).iter().copied())
    }
}

impl Run<'_> {
    /// The splits that have vectors, by name.
    ///
    /// # Errors
    /// As [`Run::index`].
    pub fn splits(&self) -> Result<Vec<String>> {
        self.encoded_splits()
    }

    /// The stored vectors of a split (`N × dim`, channels joined with their weights), and its images.
    ///
    /// # Errors
    /// [`Error::Missing`] when the split is not encoded, [`Error::Artifact`] when its files are damaged or
    /// of another run.
    pub fn stored_vectors(&self, split: &str) -> Result<(Array2<f32>, Index)> {
        let index = self.index(split)?;
        let stored = self.vectors(&index)?;
        let mut rows = Array2::zeros((stored.len(), Rows::dim(&stored)));
        for (number, mut row) in rows.rows_mut().into_iter().enumerate() {
            let columns = 0..row.len();
            stored.copy(number, columns, row.as_slice_mut().expect("a row of a new array"));
        }
        Ok((rows, index))
    }

    /// The run's classifier.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here, [`Error::Artifact`] when it is damaged or of other
    /// vectors.
    pub fn classifier(&self) -> Result<Model> {
        Ok(self.load_svm()?.0)
    }

    /// The scores of a split's stored vectors.
    ///
    /// # Errors
    /// As [`stored_vectors`](Self::stored_vectors) and [`classifier`](Self::classifier).
    pub fn stored_scores(&self, split: &str) -> Result<StoredScores> {
        let (model, index) = (self.classifier()?, self.index(split)?);
        let scores = model.scores(&self.vectors(&index)?)?;
        let columns: Vec<Option<usize>> = (model.classes.iter())
            .map(|class| index.classes.iter().position(|name| name == class))
            .collect();
        let of_image = |labels: &[i8]| -> Vec<Label> {
            let label = |column: &Option<usize>| {
                column.map_or(Label::Ignored, |column| Label::from_number(labels[column]))
            };
            columns.iter().map(label).collect()
        };
        let labels = index.images.iter().map(|image| of_image(&image.labels)).collect();
        let decision = self.config().evaluation.decision(index.single_label);
        Ok(StoredScores { index, model, labels, scores, decision })
    }

    /// Projection and mixture of every channel, in the order of the configuration.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Artifact`], of the first that is not there or damaged.
    pub fn stored_models(&self) -> Result<Vec<(Projection, Mixture)>> {
        let of_place = |place: &super::place::Place<'_>| {
            load_models(place).map(|models| (models.projection, models.mixture))
        };
        self.places().into_iter().map(of_place).collect()
    }

    /// From photos to the vectors that the run's classifier scores.
    ///
    /// # Errors
    /// As [`stored_models`](Self::stored_models).
    pub fn stored_describer(&self) -> Result<Describer> {
        Ok(self.describer()?.0)
    }

    /// Whether the classifier was trained on images that each show one class: the highest score decides
    /// then.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was trained here; as [`Run::index`].
    pub fn is_single_label(&self) -> Result<bool> {
        Ok(self.index(&self.trained_split()?)?.single_label)
    }

    /// Refuses to explain vectors of another program: nobody knows which pixels they are of.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn require_explainable(&self) -> Result<()> {
        self.require_pixels()
    }

    /// The stored figures of an evaluated split.
    ///
    /// # Errors
    /// [`Error::Missing`] when it was not evaluated, [`Error::Artifact`] when the file was changed since.
    pub fn stored_figures(&self, split: &str) -> Result<Report> {
        let path = self.home.paths.figures(split);
        let text = match crate::files::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing {
                    what: format!("{} (figures of split `{split}`)", path.display()),
                    hint: format!("make them: `fvtool eval --data DATA --split {split} --run RUN`"),
                });
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        figures_of(&path, &text).map(|figures| figures.report).ok_or_else(|| {
            let problem = "was changed since fvtool wrote it; evaluate the split again";
            Error::artifact(path, problem)
        })
    }
}
