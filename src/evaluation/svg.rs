//! Drawings of a report as SVG: precision-recall curve of a class, confusion matrix.
//!
//! Plain shapes and text in the system's font, coordinates in pixels with y down. Colours are
//! attributes, so that a file stands alone; each shape also has a CSS class, by which
//! [`html`](super::html) colours it for a dark page.

use serde::Serialize;

use super::confusion::{self, Confusion};
use super::curve::thinned;
use super::report::{ClassReport, percent};
use crate::drawing::{fill, px, shortened};
use crate::plain;

/// The plot area of a precision-recall drawing: left, top, width, height.
const PLOT: [f64; 4] = [52.0, 64.0, 348.0, 260.0];
/// Curves with more corners than this are thinned.
const THIN_BEYOND: usize = 500;
/// By how much of an axis a thinned curve may be off: less than a third of a pixel.
const THIN_TOLERANCE: f64 = 0.001;
/// Longest class name in a title, in characters.
const TITLE_CHARS: usize = 24;
/// Longest class name beside a confusion matrix, in characters.
const LABEL_CHARS: usize = 22;

#[derive(Serialize)]
struct PrecisionRecall {
    class: String,
    class_short: String,
    ap_2007: String,
    ap_2010: String,
    found: String,
    ticks: Vec<Tick>,
    curve: String,
    chance: String,
    steps: String,
    levels: Vec<Point>,
}

#[derive(Serialize)]
struct Tick {
    x: String,
    y: String,
    y_text: String,
    label: String,
}

#[derive(Serialize)]
struct Point {
    x: String,
    y: String,
}

/// Draws the precision-recall curve of a class with the steps of its 11-point measure, the
/// precision of a random order, and the average precision in the title. A class without positives
/// gets empty axes that say so.
pub fn precision_recall(report: &ClassReport) -> String {
    let x = |recall: f64| PLOT[0] + recall * PLOT[2];
    let y = |precision: f64| PLOT[1] + (1.0 - precision) * PLOT[3];
    let path = |points: &[(f64, f64)]| {
        let pairs: Vec<String> =
            points.iter().map(|&(r, p)| format!("{},{}", px(x(r)), px(y(p)))).collect();
        pairs.join(" ")
    };
    let mut corners = report.curve.corners();
    if corners.len() > THIN_BEYOND {
        corners = thinned(&corners, THIN_TOLERANCE);
    }
    let levels: Vec<(f64, f64)> = (report.curve.interpolated().into_iter().flatten())
        .zip(0..)
        .map(|(precision, level)| (f64::from(level) / 10.0, precision))
        .collect();
    // A level's precision holds for all recalls down to the level before it.
    let steps: Vec<(f64, f64)> =
        levels.windows(2).flat_map(|pair| [(pair[0].0, pair[1].1), pair[1]]).collect();
    let name = plain::line(&report.class).into_owned();
    fill(
        include_str!("precision_recall.svg.jinja"),
        PrecisionRecall {
            class_short: shortened(&name, TITLE_CHARS),
            class: name,
            ap_2007: percent(report.ap_voc2007),
            ap_2010: percent(report.ap_voc2010),
            found: format!(
                "{} of {} images",
                report.positives,
                report.positives + report.negatives
            ),
            ticks: (0..=5)
                .map(|tick| {
                    let at = f64::from(tick) / 5.0;
                    let label = format!("{at:.1}");
                    Tick { x: px(x(at)), y: px(y(at)), y_text: px(y(at) + 4.0), label }
                })
                .collect(),
            curve: path(&corners),
            chance: px(y(report.curve.chance().unwrap_or(0.0))),
            steps: path(&steps),
            levels: levels.iter().map(|&(r, p)| Point { x: px(x(r)), y: px(y(p)) }).collect(),
        },
    )
}

#[derive(Serialize)]
struct Matrix {
    width: String,
    height: String,
    font: String,
    left: String,
    top: String,
    left_text: String,
    label_bottom: String,
    right_text: String,
    board_width: String,
    board_height: String,
    cell_size: String,
    lines: Vec<String>,
    columns: Vec<Label>,
    rows: Vec<Label>,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Label {
    x: String,
    y: String,
    text: String,
    name: String,
    accuracy: String,
}

#[derive(Serialize)]
struct Cell {
    kind: &'static str,
    x: String,
    y: String,
    colour: &'static str,
    opacity: String,
    hint: String,
    count: String,
    count_class: &'static str,
    count_colour: &'static str,
    count_x: String,
    count_y: String,
}

/// Draws a confusion matrix: rows true, columns predicted, each cell as strong as its share of the
/// row (blue right, orange wrong), the accuracy of each class at the right. Counts are written
/// where they fit; pointing at a cell names it.
pub fn confusion(confusion: &Confusion) -> String {
    let classes = confusion.classes.len();
    // Cells shrink so that a matrix stays within about a thousand pixels, if it can.
    let size = (960 / classes.max(1)).clamp(8, 34) as f64;
    let font = (size - 1.0).clamp(7.0, 12.0);
    let names: Vec<String> =
        confusion.classes.iter().map(|name| plain::line(name).into_owned()).collect();
    let shorts: Vec<String> = names.iter().map(|name| shortened(name, LABEL_CHARS)).collect();
    let longest = shorts.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    // 0.6 of the font size is a generous mean width of a character in a sans-serif face.
    let label_px = longest as f64 * 0.6 * font + 14.0;
    let (left, top) = (label_px.max(60.0), label_px + 20.0);
    let board = classes as f64 * size;
    let middle = size / 2.0 + 0.35 * font;
    let label = |x: f64, y: f64, class: usize, accuracy: String| Label {
        x: px(x),
        y: px(y),
        text: shorts[class].clone(),
        name: names[class].clone(),
        accuracy,
    };
    let share =
        |class| confusion.class_accuracy(class).map(|share| format!("{:.0} %", 100.0 * share));
    let lines = (1..classes)
        .map(|i| format!("M{} {}v{}", px(left + i as f64 * size), px(top), px(board)))
        .chain(
            (1..classes)
                .map(|i| format!("M{} {}h{}", px(left), px(top + i as f64 * size), px(board))),
        )
        .collect();
    let cells = (0..classes).flat_map(|truth| {
        let row = confusion.counts[truth].iter().copied();
        let images = confusion.images_of(truth);
        let names = &names;
        row.enumerate().filter(|(_, count)| *count > 0.0).map(move |(predicted, count)| {
            let (x, y) = (left + predicted as f64 * size, top + truth as f64 * size);
            let strength = count / images as f64;
            let text = confusion::shown(count);
            let right = truth == predicted;
            let fits = text.len() as f64 * 0.62 * font < size - 2.0;
            // Where white begins to read better than ink, on both the light and the dark page.
            let dark = strength > 0.75;
            Cell {
                kind: if right { "right" } else { "wrong" },
                x: px(x),
                y: px(y),
                colour: if right { "#2868c8" } else { "#d9661f" },
                opacity: format!("{:.3}", 0.06 + 0.94 * strength),
                hint: format!(
                    "{} → {}: {text} of {images} ({:.1} %)",
                    names[truth],
                    names[predicted],
                    100.0 * strength
                ),
                count: if fits && size >= 20.0 { text } else { String::new() },
                count_class: if dark { "count-light" } else { "ink" },
                count_colour: if dark { "#ffffff" } else { "#1c2430" },
                count_x: px(x + size / 2.0),
                count_y: px(y + middle),
            }
        })
    });
    fill(
        include_str!("confusion.svg.jinja"),
        Matrix {
            width: px(left + board + 4.0 * font + 12.0),
            height: px(top + board + 12.0),
            font: px(font),
            left: px(left),
            top: px(top),
            left_text: px(left - 7.0),
            label_bottom: px(top - 6.0),
            right_text: px(left + board + 7.0),
            board_width: px(board),
            board_height: px(board),
            cell_size: px(size),
            lines,
            columns: (0..classes)
                .map(|i| label(left + i as f64 * size + middle, top - 6.0, i, String::new()))
                .collect(),
            rows: (0..classes)
                .map(|i| {
                    let accuracy = share(i).unwrap_or_else(|| "–".to_string());
                    label(left, top + i as f64 * size + middle, i, accuracy)
                })
                .collect(),
            cells: cells.collect(),
        },
    )
}
