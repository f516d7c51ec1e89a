//! The page: one HTML file that needs nothing else, with pictures inside, within 5 MB.
//!
//! The measure that fits the data comes first, the worst class first among classes. Tables are sorted by their
//! heads, the confusion matrix leads to the images of its cells; all of it works by keyboard, and without the
//! script everything but sorting does.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use serde::Serialize;

use super::choice::Choice;
use crate::dataset::{Label, LeftOut};
use crate::drawing::{STYLE, fill, jpeg_address};
use crate::evaluation::{Decision, Report, svg};
use crate::explain::{ClassWords, Patches, Views};
use crate::plain;
use crate::words::counted;

/// Most bytes of the pictures in a page.
const MOST_BYTES: usize = 4_300_000;
/// Classes up to which the confusion matrix is a table with links; a drawing from there on.
const MOST_LINKED: usize = 30;
/// Findings and files that are listed.
const LISTED: usize = 100;

/// All that a page shows.
pub(super) struct Looked<'a> {
    pub report: &'a Report,
    pub choice: &'a Choice,
    pub ids: Vec<String>,
    pub scores: ArrayView2<'a, f32>,
    pub labels: &'a [Vec<Label>],
    pub decision: Decision,
    pub views: Views,
    /// JPEG by number of the image.
    pub photographs: BTreeMap<usize, Vec<u8>>,
    /// Words of each class with the patches of the strongest, as JPEG.
    pub words: Vec<(ClassWords, Patches)>,
    pub checks: Vec<Finding>,
    pub audits: Vec<Finding>,
    /// Images without a vector: id and reason.
    pub skipped: Vec<[String; 2]>,
    pub left_out: Vec<LeftOut>,
    pub provenance: Provenance,
    pub settings: String,
}

/// Something that a check or an audit found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub kind: String,
    pub score: Option<String>,
    pub images: String,
    pub text: String,
}

/// Where a page comes from.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Provenance {
    pub rows: Vec<[String; 2]>,
    pub stages: Vec<Stage>,
}

/// A stage of the command that wrote the page.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stage {
    pub name: String,
    pub seconds: String,
    pub memory: String,
    pub text: String,
}

#[derive(Serialize)]
struct Page<'a> {
    version: &'static str,
    style: &'static str,
    split: String,
    lead: String,
    cards: Vec<Card>,
    remarks: Vec<String>,
    head: Vec<&'static str>,
    rows: Vec<Row>,
    matrix: Option<Matrix>,
    drawing: Option<String>,
    pairs: Vec<PairRow>,
    classes: Vec<ClassSection>,
    checks: &'a [Finding],
    checks_more: usize,
    audits: &'a [Finding],
    skipped: Vec<[String; 2]>,
    skipped_more: usize,
    left_out: Vec<[String; 2]>,
    provenance: &'a Provenance,
    settings: &'a str,
    left_out_pictures: usize,
}

#[derive(Serialize)]
struct Card {
    name: String,
    value: String,
    interval: Option<String>,
}

/// A class in the table, with its values as shown.
#[derive(Serialize)]
struct Row {
    number: usize,
    name: String,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Matrix {
    names: Vec<String>,
    rows: Vec<MatrixRow>,
}

#[derive(Serialize)]
struct MatrixRow {
    name: String,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    text: String,
    hint: String,
    right: bool,
    strength: String,
    link: Option<String>,
}

#[derive(Serialize)]
struct PairRow {
    anchor: String,
    truth: String,
    predicted: String,
    count: String,
    shown: Vec<Shown>,
}

#[derive(Serialize)]
struct ClassSection {
    number: usize,
    name: String,
    figures: String,
    curve: String,
    galleries: Vec<Gallery>,
    words: Vec<WordRow>,
}

#[derive(Serialize)]
struct Gallery {
    title: &'static str,
    shown: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    caption: String,
    photograph: Option<String>,
    heat: Option<String>,
}

#[derive(Serialize)]
struct WordRow {
    name: String,
    share: String,
    inside: Option<String>,
    patches: Vec<String>,
}

/// Pictures as addresses, as long as they fit.
struct Album {
    bytes: usize,
    left_out: usize,
}

impl Album {
    fn add(&mut self, jpeg: &[u8]) -> Option<String> {
        let address = jpeg_address(jpeg);
        if self.bytes + address.len() > MOST_BYTES {
            self.left_out += 1;
            return None;
        }
        self.bytes += address.len();
        Some(address)
    }
}

/// The page.
pub(super) fn page(looked: &Looked<'_>) -> String {
    let report = looked.report;
    let mut album = Album { bytes: 0, left_out: 0 };
    let names: Vec<String> =
        report.classes.iter().map(|class| plain::line(&class.class).into_owned()).collect();
    // Mistakes first: where not all fits, they are what people came for.
    let pairs: Vec<PairRow> = pairs(looked, &names, &mut album);
    let classes = order(looked)
        .into_iter()
        .map(|class| class_section(looked, class, &names, &mut album))
        .collect();
    let (matrix, drawing) = match &report.confusion {
        Some(_) if names.len() <= MOST_LINKED => (Some(matrix(looked, &names)), None),
        Some(confusion) => (None, Some(svg::confusion(confusion))),
        None => (None, None),
    };
    let shown = |of: &[[String; 2]]| -> Vec<[String; 2]> {
        let plain =
            |[a, b]: &[String; 2]| [plain::line(a).into_owned(), plain::line(b).into_owned()];
        of.iter().take(LISTED).map(plain).collect()
    };
    let left_out: Vec<[String; 2]> = (looked.left_out.iter())
        .map(|files| {
            let examples = files.examples.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            [format!("{}: {examples}", counted(files.count, "file")), files.reason.clone()]
        })
        .collect();
    let checks = &looked.checks[..looked.checks.len().min(LISTED)];
    fill(
        include_str!("report.html.jinja"),
        Page {
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            split: plain::line(&report.split).into_owned(),
            lead: format!(
                "{}, {}",
                counted(report.images, "image"),
                counted(report.classes.len(), "class")
            ),
            cards: cards(report),
            remarks: report.remarks(),
            head: head(report),
            rows: rows(looked, &names),
            matrix,
            drawing,
            pairs,
            classes,
            checks,
            checks_more: looked.checks.len() - checks.len(),
            audits: &looked.audits,
            skipped: shown(&looked.skipped),
            skipped_more: looked.skipped.len().saturating_sub(LISTED),
            left_out: shown(&left_out),
            provenance: &looked.provenance,
            settings: &looked.settings,
            left_out_pictures: album.left_out,
        },
    )
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
}

/// The measure that fits the data first: accuracy where each image has one class.
fn cards(report: &Report) -> Vec<Card> {
    let mut cards: Vec<Card> = report
        .summary()
        .into_iter()
        .map(|of| Card { name: of.name.to_owned(), value: of.value, interval: of.interval })
        .collect();
    if let Some(place) = cards.iter().position(|card| card.name == "accuracy") {
        let accuracy = cards.remove(place);
        cards.insert(0, accuracy);
    }
    cards
}

/// What a class is judged by: its accuracy where each image has one class, else its average precision.
fn judged(report: &Report, class: usize) -> Option<f64> {
    match &report.confusion {
        Some(confusion) => confusion.class_accuracy(class),
        None => report.classes[class].ap_voc2007,
    }
}

/// Classes, the worst first; those without a figure last.
fn order(looked: &Looked<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..looked.report.classes.len()).collect();
    let figure = |&class: &usize| judged(looked.report, class).unwrap_or(f64::INFINITY);
    order.sort_by(|a, b| figure(a).total_cmp(&figure(b)).then(a.cmp(b)));
    order
}

fn head(report: &Report) -> Vec<&'static str> {
    let mut head = vec!["AP", "precision", "recall", "F1", "images"];
    if report.confusion.is_some() {
        head.insert(0, "accuracy");
    }
    head
}

fn rows(looked: &Looked<'_>, names: &[String]) -> Vec<Row> {
    let report = looked.report;
    let row = |class: usize| {
        let of = &report.classes[class];
        let mut cells = vec![
            percent(of.ap_voc2007),
            percent(of.precision),
            percent(of.recall),
            percent(of.f1),
            of.positives.to_string(),
        ];
        if let Some(confusion) = &report.confusion {
            cells.insert(0, percent(confusion.class_accuracy(class)));
        }
        Row { number: class + 1, name: names[class].clone(), cells }
    };
    order(looked).into_iter().map(row).collect()
}

fn anchor(truth: usize, predicted: usize) -> String {
    format!("pair-{}-{}", truth + 1, predicted + 1)
}

fn matrix(looked: &Looked<'_>, names: &[String]) -> Matrix {
    let confusion = looked.report.confusion.as_ref().expect("asked for one");
    let row = |truth: usize| {
        let images = confusion.images_of(truth);
        let cell = |(predicted, &count): (usize, &f64)| {
            let share = if images > 0 { count / images as f64 } else { 0.0 };
            let shown =
                looked.choice.pairs.iter().any(|p| [p.truth, p.predicted] == [truth, predicted]);
            let text = match count {
                0.0 => String::new(),
                whole if whole.fract() == 0.0 => format!("{whole}"),
                part => format!("{part:.1}"),
            };
            Cell {
                hint: format!(
                    "{} taken for {}: {text} of {images}",
                    names[truth], names[predicted]
                ),
                text,
                right: truth == predicted,
                strength: format!("{:.0}", 100.0 * share),
                link: shown.then(|| anchor(truth, predicted)),
            }
        };
        let cells = confusion.counts[truth].iter().enumerate().map(cell).collect();
        MatrixRow { name: names[truth].clone(), cells }
    };
    Matrix { names: names.to_vec(), rows: (0..names.len()).map(row).collect() }
}

fn pairs(looked: &Looked<'_>, names: &[String], album: &mut Album) -> Vec<PairRow> {
    let mut rows = Vec::new();
    for pair in &looked.choice.pairs {
        let mut shown = Vec::new();
        for &image in &pair.images {
            let scores = looked.scores.row(image);
            shown.push(Shown {
                id: plain::line(&looked.ids[image]).into_owned(),
                caption: format!(
                    "{} {:+.2}, {} {:+.2}",
                    names[pair.predicted],
                    scores[pair.predicted],
                    names[pair.truth],
                    scores[pair.truth]
                ),
                photograph: looked.photographs.get(&image).and_then(|jpeg| album.add(jpeg)),
                heat: None,
            });
        }
        rows.push(PairRow {
            anchor: anchor(pair.truth, pair.predicted),
            truth: names[pair.truth].clone(),
            predicted: names[pair.predicted].clone(),
            count: counted(pair.count, "image"),
            shown,
        });
    }
    rows
}

fn class_section(
    looked: &Looked<'_>,
    class: usize,
    names: &[String],
    album: &mut Album,
) -> ClassSection {
    let (report, of) = (looked.report, &looked.report.classes[class]);
    let mut gallery = |title: &'static str, images: &[usize]| {
        let shown = images.iter().map(|&image| shown(looked, class, image, names, album)).collect();
        Gallery { title, shown }
    };
    let chosen = &looked.choice.classes[class];
    let galleries = vec![
        gallery("Recognised, the surest first", &chosen.examples),
        gallery("Missed, the surest mistake first", &chosen.missed),
        gallery("Taken for it, the surest first", &chosen.alarms),
    ];
    let mut words = Vec::new();
    if let Some((of_class, patches)) = looked.words.iter().find(|(w, _)| w.class == of.class) {
        for (word, patches) in of_class.words.iter().zip(patches) {
            words.push(WordRow {
                name: plain::line(&word.word).into_owned(),
                share: format!("{:.1}", 100.0 * word.share),
                inside: word.inside.map(|inside| format!("{:.0}", 100.0 * inside)),
                patches: patches.iter().filter_map(|jpeg| album.add(jpeg)).collect(),
            });
        }
    }
    let accuracy = report.confusion.as_ref().and_then(|c| c.class_accuracy(class));
    let mut figures = format!("AP {}", percent(of.ap_voc2007));
    if let Some(accuracy) = accuracy {
        figures = format!("accuracy {}, {figures}", percent(Some(accuracy)));
    }
    ClassSection {
        number: class + 1,
        name: names[class].clone(),
        figures: format!("{figures}, {} that show it", counted(of.positives, "image")),
        curve: svg::precision_recall(of),
        galleries,
        words,
    }
}

fn shown(
    looked: &Looked<'_>,
    class: usize,
    image: usize,
    names: &[String],
    album: &mut Album,
) -> Shown {
    let id = &looked.ids[image];
    let said = looked.decision.classes(looked.scores.row(image).iter().copied());
    let said: Vec<&str> = said.iter().map(|&class| names[class].as_str()).collect();
    let said = if said.is_empty() { "no class".to_owned() } else { said.join(" and ") };
    let truth: Vec<&str> = (looked.labels[image].iter().zip(names))
        .filter(|(label, _)| **label == Label::Yes)
        .map(|(_, name)| name.as_str())
        .collect();
    let truth = if truth.is_empty() { "no class".to_owned() } else { truth.join(" and ") };
    let caption =
        format!("score {:+.2}; shows {truth}, said: {said}", looked.scores[[image, class]]);
    let view = looked.views.get(&(id.clone(), looked.report.classes[class].class.clone()));
    let (photograph, heat) = match view {
        Some(view) => (album.add(&view.photograph), album.add(&view.heat)),
        None => (looked.photographs.get(&image).and_then(|jpeg| album.add(jpeg)), None),
    };
    Shown { id: plain::line(id).into_owned(), caption, photograph, heat }
}
