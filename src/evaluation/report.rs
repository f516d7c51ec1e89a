//! What an evaluation found, as a value, as JSON (serde) and as a table for the terminal.
//!
//! Measures are fractions from 0 to 1 in the value and its JSON, per cent in the table. One that
//! cannot be had is `None`, in JSON `null`: the average precision of a class without positives, the
//! ROC area of a class without negatives.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::confusion::{Accuracy, Confusion};
use super::curve::Curve;

/// Result of [`evaluate`](super::evaluate) on one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the split.
    pub split: String,
    /// Number of images.
    pub images: usize,
    /// Means over the classes.
    pub map: Map,
    /// Accuracies; `None` when images may have several classes, or there is none.
    pub accuracy: Option<Accuracy>,
    /// Confusion matrix; `None` when images may have several classes.
    pub confusion: Option<Confusion>,
    /// One entry a class, in class order.
    pub classes: Vec<ClassReport>,
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
    /// Score from which an image counts as showing the class, where false positives and false
    /// negatives are equally frequent.
    pub equal_error_threshold: Option<f32>,
    /// Mean of both error rates at that threshold.
    pub equal_error_rate: Option<f64>,
    /// Images that show the class.
    pub positives: usize,
    /// Images that do not.
    pub negatives: usize,
    /// Images left out for this class.
    pub ignored: usize,
    /// Positives and negatives without a score; they rank last.
    pub unscored: usize,
    /// The precision-recall curve.
    pub curve: Curve,
}

/// A fraction in per cent with two decimals; a dash when there is none.
pub(super) fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_string(), |fraction| format!("{:.2}", 100.0 * fraction))
}

impl Report {
    /// The report as aligned plain text, measures in per cent. Ends with a line break.
    pub fn table(&self) -> String {
        let mut rows = vec![
            ["class", "AP 2007", "AP 2010", "AUC", "positives", "ignored"].map(str::to_string),
        ];
        rows.extend(self.classes.iter().map(|class| {
            [
                printable(&class.class),
                percent(class.ap_voc2007),
                percent(class.ap_voc2010),
                percent(class.roc_auc),
                class.positives.to_string(),
                class.ignored.to_string(),
            ]
        }));
        let widths: [usize; 6] = std::array::from_fn(|column| {
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
        for (name, value) in self.summary() {
            writeln!(text, "{name:<28}{value:>6}").expect("writing to a string does not fail");
        }
        if self.map.classes_without_positives > 0 {
            let Map { classes, classes_without_positives: without, .. } = self.map;
            let were = if without == 1 { "class has" } else { "classes have" };
            writeln!(text, "mAP over {classes} classes; {without} {were} no positive image")
                .expect("writing to a string does not fail");
        }
        let unscored: usize = self.classes.iter().map(|class| class.unscored).sum();
        if unscored > 0 {
            writeln!(text, "{unscored} scores are missing; their images rank last")
                .expect("writing to a string does not fail");
        }
        text
    }

    /// The figures that stand for the whole split, named, in per cent.
    pub(super) fn summary(&self) -> Vec<(&'static str, String)> {
        let mut summary = vec![
            ("mAP, VOC 2007 (11-point)", percent(self.map.voc2007)),
            ("mAP, VOC 2010 (area)", percent(self.map.voc2010)),
            ("mAP, not interpolated", percent(self.map.average_precision)),
        ];
        if let Some(accuracy) = self.accuracy {
            summary.push(("accuracy", percent(Some(accuracy.overall))));
            summary.push(("mean class accuracy", percent(Some(accuracy.mean_class))));
        }
        summary
    }
}

/// A name with control characters, which would break a line or an XML file, replaced.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
