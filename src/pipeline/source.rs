//! Where a run's data come from.

use std::path::Path;

use super::place::Place;
use crate::config::Config;
use crate::dataset::{AreaKind, Dataset, Split};
use crate::describer::area_kind;
use crate::error::{Error, Result};
use crate::store::{Notes, Source};

/// Refuses a run folder that is the data folder: its files would lie among the images. One inside
/// it is passed over when the data are read.
///
/// # Errors
/// [`Error::Data`] when both are the same folder.
pub fn require_apart(run: &Path, data: &Path) -> Result<()> {
    // What is not there yet is no other folder.
    match (run.canonicalize(), data.canonicalize()) {
        (Ok(real), Ok(other)) if real == other => Err(Error::data(
            data,
            "both the data folder and the run folder; give --run another folder, which may lie \
                 in this one",
        )),
        _ => Ok(()),
    }
}

/// The places of images that a configuration takes descriptors from, in any of its channels.
///
/// # Errors
/// [`Error::Config`] for a channel that cannot be read.
pub(crate) fn area_kinds(config: &Config) -> Result<Vec<AreaKind>> {
    let mut kinds: Vec<AreaKind> = match config.channel.is_empty() {
        true => area_kind(config.descriptors.within).into_iter().collect(),
        false => {
            let of_channel = |channel| -> Result<Option<AreaKind>> {
                Ok(area_kind(config.of_channel(channel)?.descriptors.within))
            };
            let kinds: Vec<_> = config.channel.iter().map(of_channel).collect::<Result<_>>()?;
            kinds.into_iter().flatten().collect()
        }
    };
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

impl Place<'_> {
    /// What the models were fitted to, when there are any.
    pub(crate) fn source(&self) -> Result<Option<Source>> {
        Source::read(&self.paths.source())
    }

    /// Opens a data folder with this run's settings, and says what became of its files.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub(crate) fn open_data(&self, data: &Path) -> Result<Dataset> {
        require_apart(self.paths.dir(), data)?;
        let dataset = Dataset::open(data, &self.config.data, self.config.seed)?;
        if self.work.is_new(&format!("data {}", dataset.root().display())) {
            self.work.progress.summary("data", &dataset.summary()?);
            dataset.notes()?.iter().for_each(|note| self.work.progress.note(note));
            self.unused_rows(&dataset)?.iter().for_each(|note| self.work.progress.note(note));
        }
        Ok(dataset)
    }

    /// What there is to say of rows in files of vectors that no split has an image for.
    fn unused_rows(&self, dataset: &Dataset) -> Result<Vec<String>> {
        let config = &self.config;
        let of_channels = config.channel.iter().map(|channel| config.of_channel(channel));
        let mut configs = of_channels.collect::<Result<Vec<_>>>()?;
        if configs.is_empty() {
            configs.push(config.clone());
        }
        let opened = self.work.seen.networks();
        let tables = configs.iter().filter_map(|config| opened.vectors(config).transpose());
        let tables = tables.collect::<Result<Vec<_>>>()?;
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        // A split that cannot be read is refused where it is needed.
        let splits = dataset.splits().into_iter().filter_map(|name| dataset.split(&name).ok());
        let splits: Vec<Split> = splits.collect();
        let items = || splits.iter().flat_map(|split| &split.items);
        Ok(tables.iter().filter_map(|table| table.unused(items())).collect())
    }

    /// Opens a split, and says once what there is to say of its lists and annotations.
    pub(crate) fn split(&self, dataset: &Dataset, name: &str) -> Result<Split> {
        let split = dataset.split_with(name, &area_kinds(&self.config)?)?;
        split.notes.iter().for_each(|note| self.work.note_once(note));
        Ok(split)
    }

    /// As [`split`](Self::split), where nothing else of the data folder is needed.
    pub(crate) fn only_split(&self, dataset: Dataset, name: &str) -> Result<Split> {
        let split = dataset.into_split_with(name, &area_kinds(&self.config)?)?;
        split.notes.iter().for_each(|note| self.work.note_once(note));
        Ok(split)
    }

    /// Remembers what the models are fitted to.
    pub(crate) fn record_source(&self, data: &Path, split: &str) -> Result<()> {
        let data = std::path::absolute(data).map_err(Error::io("find", data))?;
        Source { data, split: split.to_owned() }.write(&self.paths.source())
    }
}
