//! What a cross-validation found, as JSON and as a table for the terminal.

use std::fmt::Write;

use serde::Serialize;

use super::options::Models;
use crate::dataset::Inventory;
use crate::evaluation::bootstrap::Intervals;
use crate::evaluation::cross::{CrossValidated, Spread};
use crate::evaluation::{ClassFigures, Decision, Figures, ends_in_percent};
use crate::plain;

/// Result of [`cross_validate`](super::cross_validate). Measures are fractions from 0 to 1 in the value and its
/// JSON, per cent in the table.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The split that was cross-validated.
    pub split: String,
    /// Its images.
    pub images: usize,
    /// How many of them have no score, since they could not be used.
    pub missing: usize,
    /// Class names, in the order of every list of classes.
    pub classes: Vec<String>,
    /// Images that show each class.
    pub positives: Vec<usize>,
    /// Folds of each repeat.
    pub folds_of_a_repeat: usize,
    /// Repeats, each with other folds.
    pub repeats: usize,
    /// Groups that were kept in one fold; 0 where no image has a group.
    pub groups: usize,
    /// What was fitted anew for each fold.
    pub models: Models,
    /// The split that projection and mixture were fitted to, where that was done once.
    pub fitted_to: Option<String>,
    /// What scores decide, for precision, recall and F1.
    pub decision: Decision,
    /// Every image has exactly one class.
    pub single_label: bool,
    /// What became of every file of the data folder.
    pub data_files: Inventory,
    /// The measures.
    #[serde(flatten)]
    pub found: CrossValidated,
}

/// A measure of the whole: its name, its spread, its interval.
pub(super) struct Row {
    pub name: &'static str,
    pub spread: Option<Spread>,
    pub ends: Option<[f64; 2]>,
}

/// A measure in per cent with its standard deviation.
pub(super) fn shown(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |s| format!("{:.2} ± {:.2}", 100.0 * s.mean, 100.0 * s.standard_deviation),
    )
}

/// Low and high end in per cent.
pub(super) fn ends_shown(ends: Option<[f64; 2]>) -> String {
    ends.map_or_else(String::new, ends_in_percent)
}

impl Report {
    /// The measures of the whole.
    pub(super) fn rows(&self) -> Vec<Row> {
        let (figures, ends) = (&self.found.figures, self.found.intervals.as_ref());
        let ends = ends.map(|intervals| &intervals.figures);
        macro_rules! row {
            ($name:literal, $measure:ident) => {
                Row { name: $name, spread: figures.$measure, ends: ends.and_then(|e| e.$measure) }
            };
        }
        let mut rows = vec![
            row!("mAP, VOC 2007 (11-point)", map_voc2007),
            row!("mAP, VOC 2010 (area)", map_voc2010),
            row!("mAP, not interpolated", map_plain),
            row!("mean F1", f1),
        ];
        if self.single_label {
            rows.push(row!("accuracy", accuracy));
            rows.push(row!("mean class accuracy", mean_class_accuracy));
        }
        rows
    }

    /// What a reader of the figures must know.
    pub(super) fn remarks(&self) -> Vec<String> {
        let all = self.folds_of_a_repeat * self.repeats;
        let repeats = match self.repeats {
            1 => String::new(),
            n => format!(" in each of {n} repeats"),
        };
        let mut remarks = vec![format!(
            "{} folds{repeats}: mean ± standard deviation of {all} folds, each scored by a classifier that had \
             not seen it",
            self.folds_of_a_repeat
        )];
        match (self.models, &self.fitted_to) {
            (Models::EachFold, _) => {
                remarks.push("projection and mixture were fitted anew for each fold".to_owned());
            }
            (Models::Once, Some(split)) => remarks.push(format!(
                "projection and mixture were fitted once, to split `{split}` and without its labels; --models \
                 each-fold fits them anew"
            )),
            (Models::Once, None) => {}
        }
        if self.groups > 0 {
            remarks.push(format!("{} groups, each in one fold", self.groups));
        }
        if self.missing > 0 {
            remarks.push(format!(
                "{} of {} images could not be used, and are in no figure",
                self.missing, self.images
            ));
        }
        remarks.extend(self.found.intervals.as_ref().map(Intervals::in_words));
        remarks
    }

    /// Of each class, its spread and interval.
    pub(super) fn of_classes(
        &self,
    ) -> impl Iterator<Item = (&ClassFigures<Spread>, Option<&ClassFigures<[f64; 2]>>)> {
        let ends: Option<&Figures<[f64; 2]>> = self.found.intervals.as_ref().map(|i| &i.figures);
        let classes = self.found.figures.classes.iter().enumerate();
        classes.map(move |(i, class)| (class, ends.map(|ends| &ends.classes[i])))
    }

    /// The report as aligned plain text, measures in per cent. Ends with a line break.
    pub fn table(&self) -> String {
        let header = ["class", "AP 2007", "AP 2010", "precision", "recall", "F1", "positives"];
        let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
        for (i, (class, _)) in self.of_classes().enumerate() {
            rows.push(vec![
                plain::line(&self.classes[i]).into_owned(),
                shown(class.ap_voc2007),
                shown(class.ap_voc2010),
                shown(class.precision),
                shown(class.recall),
                shown(class.f1),
                self.positives[i].to_string(),
            ]);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> =
            (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for (i, row) in rows.iter().enumerate() {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (field, width) in row.iter().zip(&widths).skip(1) {
                write!(line, "  {field:>width$}").expect("writing to a string does not fail");
            }
            text += &format!("{line}\n");
            if i == 0 {
                text += &format!("{}\n", "─".repeat(line.chars().count()));
            }
        }
        text.push('\n');
        for Row { name, spread, ends } in self.rows() {
            let ends = match ends_shown(ends) {
                ends if ends.is_empty() => ends,
                ends => format!("  ({ends})"),
            };
            text += &format!("{name:<28}{:>14}{ends}\n", shown(spread));
        }
        self.remarks().iter().for_each(|remark| text += &format!("{remark}\n"));
        text
    }
}
