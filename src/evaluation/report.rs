//! What an evaluation found, as a value, as JSON (serde) and as a table for the terminal.
//!
//! Measures are fractions from 0 to 1 in the value and its JSON, per cent in the table. One that
//! cannot be had is `None`, in JSON `null`: the average precision of a class without positives, the
//! ROC area of a class without negatives.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::bootstrap::Intervals;
use super::confusion::{Accuracy, Confusion};
use super::curve::Curve;
use super::decision::Decision;
use super::figures::Figures;
use crate::plain;

/// Result of [`evaluate`](super::evaluate) on one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the split.
    pub split: String,
    /// Number of images.
    pub images: usize,
    /// How many of them have no score at all, since they could not be used; they are in no measure.
    pub missing: usize,
    /// Means over the classes.
    pub map: Map,
    /// Accuracies; `None` when images may have several classes, or there is none.
    pub accuracy: Option<Accuracy>,
    /// Confusion matrix; `None` when images may have several classes.
    pub confusion: Option<Confusion>,
    /// What scores decide, for precision, recall and F1.
    pub decision: Decision,
    /// Mean F1 of the classes that have positives.
    pub f1: Option<f64>,
    /// One entry a class, in class order.
    pub classes: Vec<ClassReport>,
    /// Intervals of all measures, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// Images that the classifier was trained on, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_images: Option<TrainingImages>,
}

/// Mean average precision under each definition, over the classes that have positives; `None` when
/// no class has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Mean of the 11-point measure.
    pub voc2007: Option<f64>,
    /// Mean area under the precision-recall envelope.
    pub voc2010: Option<f64>,
    /// Mean uninterpolated average precision (scikit-learn's).
    pub average_precision: Option<f64>,
    /// Number of classes in the means.
    pub classes: usize,
    /// Number of classes left out of the means because they have no positive.
    pub classes_without_positives: usize,
}

/// Result for one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Name of the class.
    pub class: String,
    /// 11-point average precision (VOC 2005–2009).
    pub ap_voc2007: Option<f64>,
    /// Area under the precision-recall envelope (VOC 2010 and later).
    pub ap_voc2010: Option<f64>,
    /// Uninterpolated average precision, equal scores taken together (scikit-learn's).
    pub average_precision: Option<f64>,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Share of the images that are said to show the class which do; `None` when none is.
    pub precision: Option<f64>,
    /// Share of the images that show the class of which it is said.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// Score from which an image counts as showing the class, where false positives and false
    /// negatives are equally frequent.
    pub equal_error_threshold: Option<f32>,
    /// Mean of both error rates at that threshold.
    pub equal_error_rate: Option<f64>,
    /// Images with a score that show the class.
    pub positives: usize,
    /// Images with a score that do not.
    pub negatives: usize,
    /// Images left out for this class.
    pub ignored: usize,
    /// Images left out because they have no score, though they are not ignored.
    pub unscored: usize,
    /// Positives and negatives that have their score in common with another one.
    pub tied: usize,
    /// The precision-recall curve.
    pub curve: Curve,
}

/// The training images in an evaluated split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingImages {
    /// The split that the classifier was trained on.
    pub trained_on: String,
    /// Images of the evaluated split that are among its images.
    pub images: usize,
    /// Of these, those whose labels differ from those in training.
    pub other_labels: usize,
    /// Every one of them.
    pub copies: Vec<TrainingImage>,
    /// The measures without them; `None` when no other image is left.
    pub without: Option<Without>,
}

/// An image of the evaluated split that is a training image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingImage {
    /// Its id.
    pub id: String,
    /// The id of the training image.
    pub training_id: String,
    /// What is the same.
    pub same: Same,
    /// Its labels differ from those in training.
    pub other_labels: bool,
}

/// What two copies of an image have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Same {
    /// Every byte of the file.
    File,
    /// The vector, so that the classifier cannot tell them apart: the same pixels in another file.
    Vector,
}

/// The measures of a split without its training images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Without {
    /// Images that are left.
    pub images: usize,
    /// Means over the classes.
    pub map: Map,
    /// Accuracies, as in [`Report::accuracy`].
    pub accuracy: Option<Accuracy>,
}

/// A fraction in per cent with two decimals; a dash when there is none.
pub(super) fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_string(), |fraction| format!("{:.2}", 100.0 * fraction))
}

impl Report {
    /// The report as aligned plain text, measures in per cent. Ends with a line break.
    pub fn table(&self) -> String {
        let header =
            ["AP 2007", "AP 2010", "AUC", "precision", "recall", "F1", "positives", "ignored"];
        let mut rows = vec![["class"].iter().chain(&header).map(|name| name.to_string()).collect()];
        rows.extend(self.classes.iter().map(|class| {
            vec![
                plain::line(&class.class).into_owned(),
                percent(class.ap_voc2007),
                percent(class.ap_voc2010),
                percent(class.roc_auc),
                percent(class.precision),
                percent(class.recall),
                percent(class.f1),
                class.positives.to_string(),
                class.ignored.to_string(),
            ]
        }));
        let widths: [usize; 9] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        let mut text = String::new();
        for (i, row) in rows.iter().enumerate() {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (field, width) in row.iter().zip(widths).skip(1) {
                write!(line, "  {field:>width$}").expect("writing to a string does not fail");
            }
            text.push_str(&line);
            text.push('\n');
            if i == 0 {
                text.push_str(&"─".repeat(line.chars().count()));
                text.push('\n');
            }
        }
        text.push('\n');
        for Summary { name, value, interval } in self.summary() {
            let interval = interval.map_or_else(String::new, |interval| format!("  ({interval})"));
            writeln!(text, "{name:<28}{value:>6}{interval}")
                .expect("writing to a string does not fail");
        }
        if self.map.classes_without_positives > 0 {
            let Map { classes, classes_without_positives: without, .. } = self.map;
            let were = if without == 1 { "class has" } else { "classes have" };
            writeln!(text, "mAP over {classes} classes; {without} {were} no positive image")
                .expect("writing to a string does not fail");
        }
        for remark in self.remarks() {
            writeln!(text, "{remark}").expect("writing to a string does not fail");
        }
        text
    }

    /// What a reader of the figures must know of them: what is missing, what is tied.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.training_images_note().into_iter().collect();
        if self.decision != Decision::BestClass {
            let shown = self.decision.in_words();
            remarks.push(format!("precision, recall and F1 when an image shows {shown}"));
        }
        remarks.extend(self.intervals.as_ref().map(Intervals::in_words));
        let are = |count: usize| if count == 1 { "is" } else { "are" };
        if self.missing > 0 {
            remarks.push(format!(
                "{} of {} images {} missing: without a score, since fvtool could not use them; no \
                 figure counts them",
                self.missing,
                self.images,
                are(self.missing)
            ));
        }
        let sum = |of: &dyn Fn(&ClassReport) -> usize| self.classes.iter().map(of).sum::<usize>();
        let (unscored, judged) =
            (sum(&|class| class.unscored), sum(&|class| class.positives + class.negatives));
        // Of the missing images every score is; a class may have fewer.
        if unscored > 0 && self.missing == 0 {
            let are = are(unscored);
            remarks.push(format!("{unscored} scores {are} missing; no figure counts their images"));
        }
        let tied = sum(&|class| class.tied);
        if tied > 0 {
            remarks.push(format!(
                "{tied} of {judged} scores {} equal to another of the class; equal scores count \
                 together, whatever the order of the list",
                are(tied)
            ));
        }
        if let Some(images) = self.confusion.as_ref().map(|c| c.tied).filter(|&tied| tied > 0) {
            let have = if images == 1 { "image has" } else { "images have" };
            remarks.push(format!(
                "{images} {have} several best classes, and count in equal parts for each of them"
            ));
        }
        remarks
    }

    /// The figures that stand for the whole split, named, in per cent.
    pub(crate) fn summary(&self) -> Vec<Summary> {
        let ends = self.intervals.as_ref().map(|intervals| &intervals.figures);
        let row = |name, value, of: fn(&Figures<[f64; 2]>) -> Option<[f64; 2]>| Summary {
            name,
            value: percent(value),
            interval: ends.and_then(of).map(ends_in_percent),
        };
        let mut summary = vec![
            row("mAP, VOC 2007 (11-point)", self.map.voc2007, |ends| ends.map_voc2007),
            row("mAP, VOC 2010 (area)", self.map.voc2010, |ends| ends.map_voc2010),
            row("mAP, not interpolated", self.map.average_precision, |ends| ends.map_plain),
            row("mean F1", self.f1, |ends| ends.f1),
        ];
        if let Some(Accuracy { overall, mean_class }) = self.accuracy {
            summary.push(row("accuracy", Some(overall), |ends| ends.accuracy));
            summary.push(row("mean class accuracy", Some(mean_class), |e| e.mean_class_accuracy));
        }
        summary
    }
}

/// A figure of the whole split, in per cent.
pub(crate) struct Summary {
    pub name: &'static str,
    pub value: String,
    /// Low and high end.
    pub interval: Option<String>,
}

/// Low and high end in per cent with one decimal.
pub(crate) fn ends_in_percent([low, high]: [f64; 2]) -> String {
    format!("{:.1}–{:.1}", 100.0 * low, 100.0 * high)
}
