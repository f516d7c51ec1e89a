//! A report as one HTML page that needs nothing else: styles and drawings are inside, no script.
//!
//! Follows the reader's light or dark setting, reads well on a narrow screen and prints.

use serde::Serialize;

use super::confusion;
use super::figures::ClassFigures;
use super::leak::{Same, TrainingImages};
use super::report::{ClassReport, Report, Summary, ends_in_percent, percent};
use super::svg;
use crate::drawing::{STYLE, fill};
use crate::plain;

/// Mistakes that are listed beside the confusion matrix.
const MISTAKES: usize = 15;
/// Training images that are listed.
const COPIES: usize = 50;

#[derive(Serialize)]
struct Page {
    version: &'static str,
    style: &'static str,
    split: String,
    images: usize,
    cards: Vec<Card>,
    classes_without_positives: usize,
    has_ignored: bool,
    has_unscored: bool,
    remarks: Vec<String>,
    copies: Vec<Copied>,
    single_label: bool,
    classes: Vec<Row>,
    confusion: Option<String>,
    mistakes: Vec<Mistake>,
    stages: Vec<Stage>,
    drawings: Vec<String>,
    settings: String,
}

#[derive(Serialize)]
struct Card {
    name: &'static str,
    value: String,
    interval: Option<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    /// Length of the bar beside the first measure.
    bar: Option<String>,
    figures: Vec<Figure>,
    equal_error: String,
    threshold: String,
    accuracy: String,
    positives: usize,
    negatives: usize,
    ignored: usize,
    unscored: usize,
    curve: String,
}

/// A measure of a class in per cent, with the ends of its interval.
#[derive(Serialize)]
struct Figure {
    value: String,
    ends: Option<String>,
}

#[derive(Serialize)]
struct Mistake {
    truth: String,
    predicted: String,
    images: String,
    share: String,
}

#[derive(Serialize)]
struct Stage {
    name: String,
    text: String,
}

/// A training image in the split.
#[derive(Serialize)]
struct Copied {
    id: String,
    training_id: String,
    same: &'static str,
    other_labels: bool,
}

/// Those that are listed.
fn copied(found: &TrainingImages) -> impl Iterator<Item = Copied> {
    found.copies.iter().take(COPIES).map(|copy| Copied {
        id: plain::line(&copy.id).into_owned(),
        training_id: plain::line(&copy.training_id).into_owned(),
        same: match copy.same {
            Same::File => "file",
            Same::Vector => "vector",
        },
        other_labels: copy.other_labels,
    })
}

/// The whole page: summary, table of classes, curves, confusion matrix where there is one, what
/// each stage said (`stages`: name and text) with `drawings` (SVG), and the settings as TOML.
pub fn report(
    report: &Report,
    settings_toml: &str,
    stages: &[(&str, &str)],
    drawings: &[String],
) -> String {
    let matrix = report.confusion.as_ref();
    let mistakes = matrix.map(|matrix| {
        let name = |class: usize| plain::line(&matrix.classes[class]).into_owned();
        let listed = matrix.mistakes(MISTAKES).into_iter();
        let listed = listed.map(|(truth, predicted, images)| Mistake {
            truth: name(truth),
            predicted: name(predicted),
            images: confusion::shown(images),
            share: percent(Some(images / matrix.images_of(truth) as f64)),
        });
        listed.collect()
    });
    let ends = report.intervals.as_ref().map(|intervals| &intervals.figures.classes);
    let row_of = |(i, class)| {
        let ends = ends.map(|classes| &classes[i]);
        row(class, matrix.and_then(|matrix| matrix.class_accuracy(i)), ends)
    };
    let rows = report.classes.iter().enumerate().map(row_of);
    let card = |Summary { name, value, interval }| Card { name, value, interval };
    fill(
        include_str!("report.html.jinja"),
        Page {
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            split: plain::line(&report.split).into_owned(),
            images: report.images,
            cards: report.summary().into_iter().map(card).collect(),
            classes_without_positives: report.map.classes_without_positives,
            has_ignored: report.classes.iter().any(|class| class.ignored > 0),
            has_unscored: report.classes.iter().any(|class| class.unscored > 0),
            remarks: report.remarks(),
            copies: report.training_images.iter().flat_map(copied).collect(),
            single_label: matrix.is_some(),
            classes: rows.collect(),
            confusion: matrix.map(svg::confusion),
            mistakes: mistakes.unwrap_or_default(),
            drawings: drawings.to_vec(),
            stages: (stages.iter())
                .map(|(name, text)| Stage { name: name.to_string(), text: text.to_string() })
                .collect(),
            settings: settings_toml.to_string(),
        },
    )
}

fn row(class: &ClassReport, accuracy: Option<f64>, ends: Option<&ClassFigures<[f64; 2]>>) -> Row {
    let figure = |value, of: fn(&ClassFigures<[f64; 2]>) -> Option<[f64; 2]>| Figure {
        value: percent(value),
        ends: ends.and_then(of).map(ends_in_percent),
    };
    Row {
        name: plain::line(&class.class).into_owned(),
        bar: class.ap_voc2007.map(|ap| format!("{:.1}", 100.0 * ap)),
        figures: vec![
            figure(class.ap_voc2007, |ends| ends.ap_voc2007),
            figure(class.ap_voc2010, |ends| ends.ap_voc2010),
            figure(class.average_precision, |ends| ends.average_precision),
            figure(class.roc_auc, |ends| ends.roc_auc),
            figure(class.precision, |ends| ends.precision),
            figure(class.recall, |ends| ends.recall),
            figure(class.f1, |ends| ends.f1),
        ],
        equal_error: percent(class.equal_error_rate),
        threshold: class
            .equal_error_threshold
            .map_or_else(String::new, |threshold| format!("at score {threshold}")),
        accuracy: percent(accuracy),
        positives: class.positives,
        negatives: class.negatives,
        ignored: class.ignored,
        unscored: class.unscored,
        curve: svg::precision_recall(class),
    }
}
