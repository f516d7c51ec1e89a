//! What a cross-validation needs of a run: a run of its own for each fold, and where results go.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::channel::Encoded;
use super::models::Until;
use super::options::Options;
use super::result::StageResult;
use super::run::Run;
use crate::artifacts::write_atomically;
use crate::dataset::Split;
use crate::error::Result;
use crate::progress::Progress;
use crate::store::Paths;

impl<'p> Run<'p> {
    /// How this run reports.
    pub(crate) fn progress(&self) -> &'p dyn Progress {
        self.home.work.progress
    }

    /// Whether images of a split have boxes.
    pub(crate) fn has_boxes(&self, data: &Path, split: &str) -> Result<bool> {
        Ok(self.split_of(data, split)?.items.iter().any(|item| !item.objects.is_empty()))
    }

    /// Says that a command is done.
    pub(crate) fn finish(&self, result: StageResult) {
        self.home.work.finish(result);
    }

    /// Ends a command that the user asked to stop.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.home.work.go_on()
    }

    /// Whether some channel has a projection and a mixture.
    pub(crate) fn has_models(&self) -> bool {
        self.fitted().next().is_some()
    }

    /// Whether a channel learns its models from labels.
    pub(crate) fn learns(&self) -> bool {
        self.fitted().any(|place| place.config.layer.learns())
    }

    /// The split that the models were fitted to.
    pub(crate) fn fitted_to(&self) -> Result<Option<String>> {
        Ok(self.home.source()?.map(|source| source.split))
    }

    /// Figures, page and predictions of a cross-validation of a split.
    pub(crate) fn paths_of_cross_validation(&self, split: &str) -> [PathBuf; 3] {
        self.home.paths.cross_validation(split)
    }

    /// A run with the same settings for one fold.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub(crate) fn of_fold(
        &self,
        split: &str,
        repeat: usize,
        fold: usize,
        folds: usize,
    ) -> Result<Run<'p>> {
        let dir = self.home.paths.fold(split, repeat, fold, folds);
        let work = &self.home.work;
        let settings = Paths::new(&dir).config();
        let text = self.config().to_toml();
        write_atomically(&settings, |file| file.write_all(text.as_bytes()))?;
        let options = Options {
            refit: work.refit,
            strict: work.strict,
            max_memory: work.memory.limit(),
            ..Options::default()
        };
        Run::open(&dir, &options, work.progress)
    }

    /// Models and classifier of the images of `train`, and the scores of those of `test`, in list order.
    ///
    /// # Errors
    /// As the stages.
    pub(crate) fn train_and_score(
        &self,
        data: &Path,
        train: &Split,
        test: &Split,
    ) -> Result<(Array2<f32>, Encoded)> {
        self.bring_models(data, train, Until::Mixture)?;
        self.encode_split(train)?;
        self.train_svm(&train.name)?;
        let encoded = self.encode_split(test)?;
        let (model, _) = self.load_svm()?;
        Ok((self.split_scores(test, &model)?, encoded))
    }
}
