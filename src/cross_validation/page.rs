//! A cross-validation as one HTML page that needs nothing else.

use serde::Serialize;

use super::report::{Report, Row, ends_shown, shown};
use crate::drawing::{STYLE, fill};
use crate::evaluation::svg;
use crate::plain;

#[derive(Serialize)]
struct Page {
    version: &'static str,
    style: &'static str,
    split: String,
    images: usize,
    remarks: Vec<String>,
    cards: Vec<Card>,
    classes: Vec<ClassRow>,
    folds: Vec<FoldRow>,
    single_label: bool,
    confusion: Option<String>,
    settings: String,
}

#[derive(Serialize)]
struct Card {
    name: &'static str,
    value: String,
    ends: String,
}

#[derive(Serialize)]
struct ClassRow {
    name: String,
    positives: usize,
    figures: Vec<[String; 2]>,
}

#[derive(Serialize)]
struct FoldRow {
    repeat: usize,
    fold: usize,
    images: usize,
    figures: Vec<String>,
}

/// The whole page, with the settings as TOML.
pub(super) fn page(report: &Report, settings_toml: &str) -> String {
    let card =
        |Row { name, spread, ends }| Card { name, value: shown(spread), ends: ends_shown(ends) };
    let class = |(i, (class, ends)): (usize, (&_, Option<&_>))| {
        let class: &crate::evaluation::ClassFigures<_> = class;
        let ends: Option<&crate::evaluation::ClassFigures<_>> = ends;
        macro_rules! figures {
            ($($measure:ident)+) => {
                vec![$([shown(class.$measure), ends_shown(ends.and_then(|e| e.$measure))]),+]
            };
        }
        ClassRow {
            name: plain::line(&report.classes[i]).into_owned(),
            positives: report.positives[i],
            figures: figures!(ap_voc2007 ap_voc2010 average_precision roc_auc precision recall f1),
        }
    };
    let percent = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
    };
    let folds = report.found.folds.iter().map(|fold| {
        let f = &fold.figures;
        let mut figures = vec![f.map_voc2007, f.map_voc2010, f.map_plain, f.f1];
        if report.single_label {
            figures.extend([f.accuracy, f.mean_class_accuracy]);
        }
        FoldRow {
            repeat: fold.repeat,
            fold: fold.fold,
            images: fold.images,
            figures: figures.into_iter().map(percent).collect(),
        }
    });
    fill(
        include_str!("cross_validation.html.jinja"),
        Page {
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            split: plain::line(&report.split).into_owned(),
            images: report.images,
            remarks: report.remarks(),
            cards: report.rows().into_iter().map(card).collect(),
            classes: report.of_classes().enumerate().map(class).collect(),
            folds: folds.collect(),
            single_label: report.single_label,
            confusion: report.found.confusion.as_ref().map(svg::confusion),
            settings: settings_toml.to_owned(),
        },
    )
}
