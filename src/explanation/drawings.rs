//! Drawings of explanations' figures as SVG: bars per class, curves of scores.

use serde::Serialize;

use crate::drawing::{fill, px, shortened};

/// Colours of curves, in their order.
const STROKES: [&str; 3] = ["#b2182b", "#5f6b7a", "#2868c8"];
/// Longest class name beside a bar, in characters.
const NAME_CHARS: usize = 18;
/// Left edge and width of the bars, and height of one.
const BARS: [f64; 3] = [150.0, 330.0, 20.0];
/// The plot area of curves: left, top, width, height.
const PLOT: [f64; 4] = [64.0, 64.0, 420.0, 240.0];

/// A class's bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The class.
    pub name: String,
    /// Length of the bar.
    pub length: f64,
    /// A line across it.
    pub mark: f64,
}

/// A class's bars of two sides, one below the other.
#[derive(Debug, Clone, PartialEq)]
pub struct BarPair {
    /// The class.
    pub name: String,
    /// Length of each bar; none where there is nothing to draw.
    pub lengths: [Option<f64>; 2],
}

/// A curve over 0, 1, 2 ….
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its values.
    pub values: Vec<f64>,
}

#[derive(Serialize)]
struct Bars<'a> {
    title: &'a str,
    note: &'a str,
    height: String,
    bottom: String,
    rows: Vec<Row>,
    ticks: Vec<Tick>,
    one: String,
}

#[derive(Serialize)]
struct Row {
    name: String,
    y: String,
    text_y: String,
    width: String,
    mark: String,
    hint: String,
}

#[derive(Serialize)]
struct Tick {
    at: String,
    text: String,
}

#[derive(Serialize)]
struct BarPairs<'a> {
    title: &'a str,
    note: &'a str,
    sides: [&'a str; 2],
    height: String,
    bottom: String,
    rows: Vec<PairRow>,
    ticks: Vec<Tick>,
    one: String,
}

#[derive(Serialize)]
struct PairRow {
    name: String,
    text_y: String,
    hint: String,
    bars: Vec<SideBar>,
}

#[derive(Serialize)]
struct SideBar {
    side: usize,
    y: String,
    width: String,
}

#[derive(Serialize)]
struct Curves<'a> {
    title: &'a str,
    note: &'a str,
    across: &'a str,
    down: &'a str,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    zero: Option<String>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    points: String,
    stroke: &'static str,
    legend_x: String,
    legend_text: String,
}

/// The axis of bars: from 0 to a round value that reaches the largest one, and 1.
struct Axis {
    unit: f64,
    most: f64,
}

impl Axis {
    fn of(lengths: impl Iterator<Item = f64>) -> Self {
        let (unit, most) = round_up(lengths.fold(1.0f64, f64::max));
        Self { unit, most }
    }

    /// Where a value stands.
    fn x(&self, value: f64) -> f64 {
        BARS[0] + value.clamp(0.0, self.most) / self.most * BARS[1]
    }

    fn ticks(&self) -> Vec<Tick> {
        let count = (self.most / self.unit).round() as usize;
        let values = (0..=count).map(|i| i as f64 * self.unit);
        values.map(|v| Tick { at: px(self.x(v)), text: short(v, self.unit) }).collect()
    }
}

/// A horizontal bar per class, with a line where the value is 1; marks beyond the axis stand at its end.
pub fn bars(title: &str, note: &str, bars: &[Bar]) -> String {
    let [left, _, step] = BARS;
    let axis = Axis::of(bars.iter().map(|b| b.length));
    let x = |value: f64| axis.x(value);
    let top = 62.0;
    let bottom = top + step * bars.len() as f64;
    let rows = bars.iter().enumerate().map(|(i, bar)| {
        let y = top + step * i as f64;
        Row {
            name: shortened(&bar.name, NAME_CHARS),
            y: px(y + 3.0),
            text_y: px(y + 14.0),
            width: px(x(bar.length) - left),
            mark: px(x(bar.mark)),
            hint: format!("{}: {:.3} (line {:.3})", bar.name, bar.length, bar.mark),
        }
    });
    fill(
        include_str!("bars.svg.jinja"),
        Bars {
            title,
            note,
            height: px(bottom + 30.0),
            bottom: px(bottom),
            rows: rows.collect(),
            ticks: axis.ticks(),
            one: px(x(1.0)),
        },
    )
}

/// Two horizontal bars per class, one for each side, with a line where the value is 1.
pub fn bar_pairs(title: &str, note: &str, sides: [&str; 2], pairs: &[BarPair]) -> String {
    let step = BARS[2] + 4.0;
    let axis = Axis::of(pairs.iter().flat_map(|pair| pair.lengths).flatten());
    let top = 82.0;
    let bottom = top + step * pairs.len() as f64;
    let rows = pairs.iter().enumerate().map(|(i, pair)| {
        let y = top + step * i as f64;
        let bar = |(side, length): (usize, Option<f64>)| {
            let width = px(axis.x(length?) - BARS[0]);
            Some(SideBar { side, y: px(y + 2.0 + 10.0 * side as f64), width })
        };
        let value =
            |side: usize| pair.lengths[side].map_or_else(|| "–".into(), |v| format!("{v:.3}"));
        PairRow {
            name: shortened(&pair.name, NAME_CHARS),
            text_y: px(y + 16.0),
            hint: format!("{}: {} / {}", pair.name, value(0), value(1)),
            bars: pair.lengths.into_iter().enumerate().filter_map(bar).collect(),
        }
    });
    fill(
        include_str!("bar_pairs.svg.jinja"),
        BarPairs {
            title,
            note,
            sides,
            height: px(bottom + 30.0),
            bottom: px(bottom),
            rows: rows.collect(),
            ticks: axis.ticks(),
            one: px(axis.x(1.0)),
        },
    )
}

/// Curves over the number of batches, with a line where the value is 0.
pub fn curves(title: &str, note: &str, across: &str, down: &str, drawn: &[Curve]) -> String {
    let [left, top, width, height] = PLOT;
    let values = || drawn.iter().flat_map(|curve| &curve.values).copied();
    let (low, high) = (values().fold(0.0f64, f64::min), values().fold(0.0f64, f64::max));
    let (unit, _) = round_up((high - low).max(1e-9));
    let (low, high) = ((low / unit).floor() * unit, ((high / unit).ceil() * unit).max(unit));
    let longest = drawn.iter().map(|curve| curve.values.len()).max().unwrap_or(0).max(2) - 1;
    let x = |i: usize| left + i as f64 / longest as f64 * width;
    let y = |value: f64| top + (high - value) / (high - low) * height;
    let lines = drawn.iter().enumerate().map(|(number, curve)| {
        let points: Vec<String> = (curve.values.iter().enumerate())
            .map(|(i, &v)| format!("{},{}", px(x(i)), px(y(v))))
            .collect();
        let legend = left + 150.0 * number as f64;
        Line {
            name: curve.name.clone(),
            points: points.join(" "),
            stroke: STROKES[number % STROKES.len()],
            legend_x: px(legend),
            legend_text: px(legend + 26.0),
        }
    });
    let steps = ((high - low) / unit).round() as usize;
    fill(
        include_str!("curves.svg.jinja"),
        Curves {
            title,
            note,
            across,
            down,
            x_ticks: (0..=4)
                .map(|i| Tick { at: px(x(longest * i / 4)), text: (longest * i / 4).to_string() })
                .collect(),
            y_ticks: (0..=steps)
                .map(|i| low + i as f64 * unit)
                .map(|v| Tick { at: px(y(v)), text: short(v, unit) })
                .collect(),
            zero: (low < 0.0).then(|| px(y(0.0))),
            lines: lines.collect(),
        },
    )
}

/// A round step between ticks (1, 2 or 5 times a power of ten) and the multiple of it that reaches
/// `value`, in at most eight steps.
fn round_up(value: f64) -> (f64, f64) {
    let rough = 10f64.powf((value / 5.0).log10().floor());
    let unit = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * rough)
        .into_iter()
        .find(|unit| value / unit <= 8.0)
        .unwrap_or(10.0 * rough);
    (unit, (value / unit).ceil() * unit)
}

/// A tick's value with the digits that its step needs.
fn short(value: f64, unit: f64) -> String {
    let digits = (-unit.log10().floor()).max(0.0) as usize;
    // Adding 0 turns −0 into 0.
    let value = if value.abs() < unit / 2.0 { 0.0 } else { value };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_well_formed_and_hold_what_they_show() {
        let bar = |name: &str, length| Bar { name: name.into(), length, mark: 0.5 };
        let drawn = bars("t & u", "n", &[bar("boat", 1.4), bar("<cow>", 0.2)]);
        let xml = roxmltree::Document::parse(&drawn).unwrap();
        let boxes = xml.descendants().filter(|n| n.attribute("class") == Some("bar")).count();
        assert_eq!(boxes, 2);
        assert!(bars("t", "n", &[]).contains("<svg"));

        let pair = |name: &str, lengths| BarPair { name: name.into(), lengths };
        let pairs = [pair("boat", [Some(1.4), Some(0.7)]), pair("<cow>", [None, Some(2.8)])];
        let drawn = bar_pairs("t & u", "n", ["A", "<B>"], &pairs);
        let xml = roxmltree::Document::parse(&drawn).unwrap();
        let widths = |side: &str| -> Vec<f64> {
            let bars = xml.descendants().filter(|n| n.attribute("class") == Some(side));
            let bars = bars.filter(|n| n.attribute("y").is_some_and(|y| y != "52"));
            bars.map(|n| n.attribute("width").unwrap().parse().unwrap()).collect()
        };
        let (a, b) = (widths("side-a"), widths("side-b"));
        assert!(a.len() == 1 && b.len() == 2 && (b[0] * 2.0 - a[0]).abs() < 0.2, "{a:?} {b:?}");
        assert!(bar_pairs("t", "n", ["A", "B"], &[]).contains("<svg"));

        let curve = |values: &[f64]| Curve { name: "c".into(), values: values.to_vec() };
        let drawn = curves("t", "n", "x", "y", &[curve(&[0.5, 0.1, -0.3]), curve(&[0.5, 0.4])]);
        let xml = roxmltree::Document::parse(&drawn).unwrap();
        assert_eq!(xml.descendants().filter(|n| n.has_tag_name("polyline")).count(), 2);
        assert!(drawn.contains(">-0.3<") && drawn.contains(">0.5<"), "{drawn}");
        assert!(curves("t", "n", "x", "y", &[]).contains("<svg"));
    }

    #[test]
    fn ticks_are_round() {
        for (value, unit, most) in [(1.4, 0.2, 1.4), (1.0, 0.2, 1.0), (37.0, 5.0, 40.0)] {
            let found = round_up(value);
            assert!((found.0 - unit).abs() < 1e-9 && (found.1 - most).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(short(-0.0, 0.1), "0.0");
    }
}
