//! A comparison as a value, as JSON (serde), and as tables: CSV and plain text.
//!
//! Pairs are always A, then B. Measures are fractions from 0 to 1 in the value, its JSON and CSV, per cent in
//! text for people.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::sides::NAMES;
use crate::evaluation::disagreement::Disagreement;
use crate::evaluation::paired::{Compared, Precision};
use crate::explanation::context::Summary;
use crate::plain;
use crate::plain::push_record;
use crate::words::counted;

/// Two runs compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The split.
    pub split: String,
    /// Both runs.
    pub runs: [RunReport; 2],
    /// Images compared.
    pub images: usize,
    /// Images that a run has no vector of, though the other one has; they are in no figure.
    pub left_out: [usize; 2],
    /// Classes that a run knows alone; they are in no figure.
    pub classes_alone: [Vec<String>; 2],
    /// Whether images are right by their winning class, and not class by class.
    pub single_label: bool,
    /// The average precision that is compared.
    pub precision: Precision,
    /// Resamples of the bootstrap.
    pub resamples: usize,
    /// Their seed.
    pub seed: u64,
    /// Mean of the average precisions.
    pub map: Option<Compared>,
    /// Accuracy, where every image has one class.
    pub accuracy: Option<Compared>,
    /// Mean of the classes' accuracies, the same.
    pub mean_class_accuracy: Option<Compared>,
    /// One entry for each common class, in the order of A.
    pub classes: Vec<ClassReport>,
    /// Images that one run gets right alone: the first ones of each class and run.
    pub disagreements: Vec<Listed>,
    /// Heatmaps in pairs.
    pub heatmaps: Vec<HeatmapPair>,
    /// What a reader of the figures must know, in sentences.
    pub remarks: Vec<String>,
    /// The page.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub page: PathBuf,
    /// The table of classes.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub table: PathBuf,
    /// The table of all images that one run gets right alone.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub disagreements_table: PathBuf,
}

/// One of the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// Its folder.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub run: PathBuf,
    /// The split that its classifier was trained on.
    pub trained_on: String,
    /// Values of one of its vectors.
    pub dimensions: usize,
    /// Rule of its context ratios, where it has any.
    pub context_rule: Option<String>,
    /// Why it has none, and the command that makes them.
    pub context_missing: Option<String>,
    /// Rule of its heatmaps here, where there are any.
    pub heatmap_rule: Option<String>,
    /// Why there are none.
    pub heatmaps_missing: Option<String>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// The class.
    pub class: String,
    /// Images that show it.
    pub positives: usize,
    /// Its average precision; `None` without positives.
    pub average_precision: Option<Compared>,
    /// Its context ratios.
    pub context: [Option<ContextRatio>; 2],
    /// How many images each run gets right alone.
    pub right_alone: [usize; 2],
}

/// Relevance of a pixel outside the boxes by that of one inside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ContextRatio {
    /// μ (eq. 11 of LRP-FV) over the images of the class.
    pub mu: Summary,
    /// μ⁺, of positive relevance alone.
    pub mu_positive: Summary,
}

/// An image that one run gets right alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// The class that it is about.
    pub class: String,
    /// Id of the image.
    pub id: String,
    /// Whether the image shows the class.
    pub shown: bool,
    /// The run that is right: `A` or `B`.
    pub right: &'static str,
    /// Scores for the class.
    pub scores: [f32; 2],
    /// Percentile ranks of these among the split's images, 0 to 1.
    pub ranks: [f64; 2],
    /// Where every image has one class: what each run takes it for.
    pub winners: Option<[String; 2]>,
}

impl Listed {
    pub(super) fn of(found: &Disagreement, ids: &[String], classes: &[String]) -> Self {
        Self {
            class: classes[found.class].clone(),
            id: ids[found.image].clone(),
            shown: found.shown,
            right: NAMES[found.right],
            scores: found.scores,
            ranks: found.ranks,
            winners: found.winners.map(|winners| winners.map(|class| classes[class].clone())),
        }
    }
}

/// The heatmaps of one image and class by both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeatmapPair {
    /// The class.
    pub class: String,
    /// Id of the image.
    pub id: String,
    /// Whether it is one of the highest scored, by the mean of both percentile ranks.
    pub top: bool,
    /// The run that gets the image right alone, where it is shown for that: `A` or `B`.
    pub right: Option<&'static str>,
    /// Scores by each run that could be explained.
    pub scores: [Option<f64>; 2],
    /// μ⁺ by each run, where the class has boxes in the image.
    pub mu_positive: [Option<f64>; 2],
    /// The photograph, with the boxes of the class.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub photograph: PathBuf,
    /// The heatmap of each run.
    #[serde(serialize_with = "path_texts")]
    pub files: [Option<PathBuf>; 2],
}

fn path_texts<S: serde::Serializer>(
    paths: &[Option<PathBuf>; 2],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.as_ref().map(|path| path.display().to_string())))
}

const CLASS_COLUMNS: &[&str] = &[
    "class",
    "positives",
    "ap_a",
    "ap_a_low",
    "ap_a_high",
    "ap_b",
    "ap_b_low",
    "ap_b_high",
    "difference",
    "low",
    "high",
    "excludes_zero",
    "mu_positive_a",
    "mu_positive_b",
    "mu_a",
    "mu_b",
    "right_a_alone",
    "right_b_alone",
];

const IMAGE_COLUMNS: &[&str] = &[
    "class", "id", "shown", "right", "score_a", "score_b", "rank_a", "rank_b", "winner_a",
    "winner_b",
];

impl Report {
    /// One row a class: average precisions, their difference (B − A) with its interval, medians of the
    /// context ratios. An empty field: there is none.
    pub(super) fn class_table(&self) -> String {
        let mut table = String::new();
        push_record(&mut table, CLASS_COLUMNS.iter().copied());
        let number = |value: Option<f64>| value.map(|v| format!("{v:.6}")).unwrap_or_default();
        for class in &self.classes {
            let mut fields = vec![class.class.clone(), class.positives.to_string()];
            let compared = class.average_precision;
            let estimates = compared.map(|c| [c.sides[0], c.sides[1], c.difference]);
            for at in 0..3 {
                let estimate = estimates.map(|estimates| estimates[at]);
                fields.push(number(estimate.map(|e| e.value)));
                fields.extend([0, 1].map(|end| number(estimate.map(|e| e.interval[end]))));
            }
            fields.push(compared.map(|c| yes_or_no(c.excludes_zero).into()).unwrap_or_default());
            let ratio = |of: fn(&ContextRatio) -> Summary| {
                class.context.map(|ratio| number(ratio.and_then(|ratio| median(&of(&ratio)))))
            };
            fields.extend(ratio(|ratio| ratio.mu_positive));
            fields.extend(ratio(|ratio| ratio.mu));
            fields.extend(class.right_alone.map(|images| images.to_string()));
            push_record(&mut table, fields.iter().map(String::as_str));
        }
        table
    }

    /// The figures as aligned plain text, measures in per cent. Ends with a line break.
    pub fn text(&self) -> String {
        let mut rows = vec![
            ["class", "positives", "AP A", "AP B", "B − A", "interval", ""].map(str::to_owned),
        ];
        let fields = |name: String, positives: String, compared: Option<Compared>| {
            let Some(c) = compared else {
                let dash = || "–".to_owned();
                return [name, positives, dash(), dash(), dash(), dash(), String::new()];
            };
            let [low, high] = c.difference.interval;
            let mark = if c.excludes_zero { "*" } else { "" };
            [
                name,
                positives,
                percent(c.sides[0].value),
                percent(c.sides[1].value),
                signed(c.difference.value),
                format!("{} … {}", signed(low), signed(high)),
                mark.to_owned(),
            ]
        };
        rows.extend(self.classes.iter().map(|class| {
            let name = plain::line(&class.class).into_owned();
            fields(name, class.positives.to_string(), class.average_precision)
        }));
        let sums = self.measures().into_iter();
        rows.extend(sums.map(|(name, compared)| fields(name, String::new(), Some(compared))));
        let widths: [usize; 7] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            // The means stand apart from the classes.
            if number == 1 + self.classes.len() {
                text.push('\n');
            }
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (field, width) in row.iter().zip(widths).skip(1) {
                write!(line, "  {field:>width$}").expect("writing to a string does not fail");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let [a, b] = self.right_alone();
        let notes = [
            format!(
                "interval: percentiles 2.5 and 97.5 of {} resamples of the {} images; * excludes 0",
                self.resamples, self.images
            ),
            format!("{} right in A alone, {} in B alone", self.what_is_right(a), b),
        ];
        for note in notes {
            writeln!(text, "{note}").expect("writing to a string does not fail");
        }
        text
    }

    /// The measures of the whole split, by name.
    pub(super) fn measures(&self) -> Vec<(String, Compared)> {
        let named = [
            (format!("mAP, {}", self.precision.name()), self.map),
            ("accuracy".to_owned(), self.accuracy),
            ("mean class accuracy".to_owned(), self.mean_class_accuracy),
        ];
        named.into_iter().filter_map(|(name, compared)| Some((name, compared?))).collect()
    }

    /// How many images (and classes) each run gets right alone.
    pub(super) fn right_alone(&self) -> [usize; 2] {
        [0, 1].map(|side| self.classes.iter().map(|class| class.right_alone[side]).sum())
    }

    fn what_is_right(&self, count: usize) -> String {
        let what = if self.single_label { "image" } else { "pair" };
        let images = counted(count, what);
        if self.single_label { images } else { format!("{images} of image and class") }
    }
}

/// One row for each image that one run gets right alone.
pub(super) fn image_table(all: &[Disagreement], ids: &[String], classes: &[String]) -> String {
    let mut table = String::new();
    push_record(&mut table, IMAGE_COLUMNS.iter().copied());
    for found in all {
        let Listed { class, id, shown, right, scores, ranks, winners } =
            Listed::of(found, ids, classes);
        let mut fields = vec![class, id, yes_or_no(shown).to_owned(), right.to_owned()];
        fields.extend(scores.map(|score| score.to_string()));
        fields.extend(ranks.map(|rank| format!("{rank:.6}")));
        fields.extend(winners.unwrap_or_default());
        push_record(&mut table, fields.iter().map(String::as_str));
    }
    table
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// A median, where there is a value.
pub(super) fn median(summary: &Summary) -> Option<f64> {
    (summary.count > 0).then_some(summary.median)
}

/// A fraction in per cent.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2}", 100.0 * fraction)
}

/// A difference of fractions in points of a per cent.
pub(super) fn signed(fraction: f64) -> String {
    // Adding 0 turns −0 into 0.
    format!("{:+.2}", 100.0 * fraction + 0.0)
}
