//! What a revised classifier is trained without: words, images, and labels that were wrong.
//!
//! A word is a component of a channel's mixture, `17` or `sift:17`. Its values of every training vector count
//! as 0, so the classifier's weights for them are 0 too: it scores any vector as if they were not there, and
//! everything that reads weights stays as it is. The length of a vector is not made 1 again, since the same
//! holds for images that it is to score.
//!
//! Corrections are a table with a row for each label that is to change, as `check` writes it: `image`, and
//! `suggested` (or `label`): a class, or `not` and a class.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::run::Run;
use crate::dataset::Label;
use crate::describer::Channel;
use crate::error::{Error, Result};
use crate::files;
use crate::store::Index;
use crate::words::did_you_mean;

/// Columns that a label is read from, the first that is there.
const COLUMNS: [&str; 2] = ["suggested", "label"];

impl Run<'_> {
    /// The columns of joint vectors that the classifier is trained without, ascending.
    ///
    /// # Errors
    /// [`Error::Setting`] for a word that the run does not have; as [`Run::describer`].
    pub(crate) fn columns_left_out(&self) -> Result<Vec<Range<usize>>> {
        let words = &self.home.config.svm.without_words;
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let describer = self.describer()?.0;
        let mut columns: Vec<Range<usize>> = Vec::new();
        for name in words {
            let (channel, component) = word(name, describer.channels())?;
            let layout = channel.encoder.encoder().layout();
            for region in 0..layout.regions() {
                let start = channel.columns.start + layout.region(region).start;
                let runs = layout.of_component(component);
                columns.extend(runs.map(|(_, run)| start + run.start..start + run.end));
            }
        }
        columns.sort_by_key(|range| range.start);
        columns.dedup();
        Ok(columns)
    }

    /// The labels that the classifier is trained with: those of the split, corrected, and none of images that
    /// are left out.
    ///
    /// # Errors
    /// [`Error::Setting`] for an image that is not in the split; [`Error::Data`] for a table of corrections
    /// that cannot be read, with the line.
    pub(crate) fn training_labels(&self, index: &Index) -> Result<Vec<Vec<Label>>> {
        let of_image = |numbers: &Vec<i8>| numbers.iter().map(|&n| Label::from_number(n)).collect();
        let mut labels: Vec<Vec<Label>> =
            index.images.iter().map(|image| of_image(&image.labels)).collect();
        let params = &self.home.config.svm;
        if params.without_images.is_empty() && params.corrections.as_os_str().is_empty() {
            return Ok(labels);
        }
        let rows: BTreeMap<&str, usize> =
            index.images.iter().enumerate().map(|(row, image)| (&*image.id, row)).collect();
        if !params.corrections.as_os_str().is_empty() {
            correct(&params.corrections, index, &rows, &mut labels)?;
        }
        for id in &params.without_images {
            let Some(&row) = rows.get(id.as_str()) else {
                let near = did_you_mean(id, rows.keys());
                return Err(Error::Setting {
                    key: "svm.without_images".into(),
                    value: format!("`{id}`"),
                    range: format!("ids of images of split `{}`{near}", index.split),
                });
            };
            labels[row].fill(Label::Ignored);
        }
        Ok(labels)
    }
}

/// A component of a channel's mixture, by its name.
fn word<'d>(name: &str, channels: &'d [Channel]) -> Result<(&'d Channel, usize)> {
    let refused = |range: String| {
        let key = "svm.without_words";
        Error::Setting { key: key.into(), value: format!("`{name}`"), range }
    };
    let named: Vec<&str> = channels.iter().map(|channel| channel.encoder.name()).collect();
    let (channel, number) = match (name.split_once(':'), named == [""]) {
        (Some((channel, number)), false) => {
            let found = channels.iter().find(|known| known.encoder.name() == channel);
            let near = did_you_mean(channel, &named);
            let range = || format!("words of channels {}{near}", named.join(", "));
            (found.ok_or_else(|| refused(range()))?, number)
        }
        (None, true) => (&channels[0], name),
        (None, false) => {
            return Err(refused(format!("words with their channel, as `{}:{name}`", named[0])));
        }
        (Some(_), true) => return Err(refused("numbers of components, as `17`".into())),
    };
    let components = channel.encoder.encoder().layout().components();
    let component = number.parse().ok().filter(|&component: &usize| component < components);
    match component {
        Some(component) => Ok((channel, component)),
        None => Err(refused(format!("numbers of components from 0 to {}", components - 1))),
    }
}

/// Applies a table of corrections. Rows of other splits, and without a new label, are passed over.
fn correct(
    path: &Path,
    index: &Index,
    rows: &BTreeMap<&str, usize>,
    labels: &mut [Vec<Label>],
) -> Result<()> {
    let text = files::read(path, files::MOST_TEXT).map_err(Error::io("read", path))?;
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_slice());
    let broken = |e: csv::Error| Error::data(path, format!("cannot be read as CSV: {e}"));
    let header = table.headers().map_err(broken)?.clone();
    let column = |name: &str| header.iter().position(|known| known.trim() == name);
    let label = COLUMNS.iter().find_map(|name| column(name));
    let (Some(image), Some(label)) = (column("image"), label) else {
        let problem = "needs a column `image`, and `suggested` or `label` with the right one";
        return Err(Error::data(path, problem));
    };
    let split = column("split");
    for record in table.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default().trim();
        let of_other = split.is_some_and(|at| !field(at).is_empty() && field(at) != index.split);
        if of_other || field(label).is_empty() {
            continue;
        }
        let wrong = |problem: String| Error::data(path, format!("line {line}: {problem}"));
        let Some(&row) = rows.get(field(image)) else {
            let near = did_you_mean(field(image), rows.keys());
            let problem = format!("`{}` is not in split `{}`{near}", field(image), index.split);
            return Err(wrong(problem));
        };
        let (name, is) = match field(label).strip_prefix("not ") {
            Some(name) if !index.classes.iter().any(|class| class == field(label)) => (name, false),
            _ => (field(label), true),
        };
        let Some(class) = index.classes.iter().position(|class| class == name) else {
            let near = did_you_mean(name, &index.classes);
            return Err(wrong(format!("`{name}` is not a class of the run{near}")));
        };
        if !is && index.single_label {
            let problem = "every image has one class: say which it is, not which it is not";
            return Err(wrong(problem.into()));
        }
        if index.single_label {
            labels[row].fill(Label::No);
        }
        labels[row][class] = if is { Label::Yes } else { Label::No };
    }
    Ok(())
}
