//! A comparison as one HTML page that needs nothing else, with small pictures inside, within 5 MB.

use serde::Serialize;

use super::contexts::{Stored, average};
use super::pairs::Pictures;
use super::report::{ClassReport, Listed, Report, median, percent, signed};
use super::sides::NAMES;
use crate::drawing::{STYLE, fill, jpeg_address};
use crate::evaluation::paired::{Compared, Estimate};
use crate::explanation::heatmap::jpeg;
use crate::plain;
use crate::words::counted;

/// Most bytes of the pictures in a page, and of these of average heatmaps.
const MOST_BYTES: usize = 4_200_000;
const MOST_AVERAGES: usize = 1_400_000;
/// Longest side of an average heatmap in a page, in pixels.
const AVERAGE_SIDE: u32 = 192;

#[derive(Serialize)]
struct Page {
    version: &'static str,
    style: &'static str,
    split: String,
    images: usize,
    precision: &'static str,
    resamples: usize,
    seed: u64,
    remarks: Vec<String>,
    runs: Vec<RunRow>,
    measures: Vec<MeasureRow>,
    classes: Vec<ClassRow>,
    single_label: bool,
    context: Option<String>,
    averages: Vec<AverageRow>,
    averages_left_out: usize,
    pairs: Vec<ClassPairs>,
    pairs_left_out: usize,
    disagreements: Vec<ClassDisagreements>,
    right_alone: [usize; 2],
    disagreements_file: String,
}

#[derive(Serialize)]
struct RunRow {
    name: &'static str,
    run: String,
    trained_on: String,
    dimensions: usize,
    context_rule: String,
    heatmap_rule: String,
}

/// A value with its interval, in per cent.
#[derive(Serialize)]
struct Cell {
    value: String,
    interval: String,
}

#[derive(Serialize)]
struct MeasureRow {
    name: String,
    sides: Vec<Cell>,
    difference: Cell,
    excludes_zero: bool,
}

#[derive(Serialize)]
struct ClassRow {
    name: String,
    positives: usize,
    /// None without positives.
    measure: Option<MeasureRow>,
    context: Vec<String>,
    context_images: Vec<String>,
    right_alone: [usize; 2],
}

#[derive(Serialize)]
struct AverageRow {
    name: String,
    sides: Vec<Option<AveragePicture>>,
}

#[derive(Serialize)]
struct AveragePicture {
    address: String,
    images: usize,
}

#[derive(Serialize)]
struct ClassPairs {
    name: String,
    pairs: Vec<PairRow>,
}

#[derive(Serialize)]
struct PairRow {
    id: String,
    why: String,
    photograph: String,
    sides: Vec<PairSide>,
}

#[derive(Serialize)]
struct PairSide {
    name: &'static str,
    address: Option<String>,
    caption: String,
}

#[derive(Serialize)]
struct ClassDisagreements {
    name: String,
    rows: Vec<ListedRow>,
    more: usize,
}

#[derive(Serialize)]
struct ListedRow {
    id: String,
    shown: bool,
    right: &'static str,
    scores: [String; 2],
    ranks: [String; 2],
    winners: Vec<String>,
}

/// The whole page. `context` is the drawing of the context ratios; pictures beyond what the page may hold are
/// left out and counted.
pub(super) fn page(
    report: &Report,
    context: Option<String>,
    stored: [&Stored; 2],
    pictures: &[Pictures<'_>],
) -> String {
    let (averages, averages_left_out, used) = averages(report, stored);
    let (pairs, pairs_left_out) = pairs(report, pictures, MOST_BYTES - used);
    fill(
        include_str!("compare.html.jinja"),
        Page {
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            split: plain::line(&report.split).into_owned(),
            images: report.images,
            precision: report.precision.name(),
            resamples: report.resamples,
            seed: report.seed,
            remarks: report.remarks.clone(),
            runs: runs(report),
            measures: (report.measures().into_iter())
                .map(|(name, compared)| measure(name, &compared))
                .collect(),
            classes: report.classes.iter().map(class_row).collect(),
            single_label: report.single_label,
            context,
            averages,
            averages_left_out,
            pairs,
            pairs_left_out,
            disagreements: disagreements(report),
            right_alone: report.right_alone(),
            disagreements_file: file_name(&report.disagreements_table),
        },
    )
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn runs(report: &Report) -> Vec<RunRow> {
    let rule = |rule: &Option<String>| rule.as_ref().map_or_else(|| "–".to_owned(), Clone::clone);
    let row = |(name, run): (&&'static str, &super::report::RunReport)| RunRow {
        name,
        run: plain::path(&run.run),
        trained_on: plain::line(&run.trained_on).into_owned(),
        dimensions: run.dimensions,
        context_rule: rule(&run.context_rule),
        heatmap_rule: rule(&run.heatmap_rule),
    };
    NAMES.iter().zip(&report.runs).map(row).collect()
}

fn measure(name: String, compared: &Compared) -> MeasureRow {
    let cell = |estimate: &Estimate, shown: &dyn Fn(f64) -> String| {
        let [low, high] = estimate.interval.map(shown);
        Cell { value: shown(estimate.value), interval: format!("{low} … {high}") }
    };
    MeasureRow {
        name,
        sides: compared.sides.iter().map(|side| cell(side, &percent)).collect(),
        difference: cell(&compared.difference, &signed),
        excludes_zero: compared.excludes_zero,
    }
}

fn class_row(class: &ClassReport) -> ClassRow {
    let ratio = |side: usize| {
        let median = class.context[side].as_ref().and_then(|ratio| median(&ratio.mu_positive));
        median.map_or_else(|| "–".to_owned(), |median| format!("{median:.3}"))
    };
    let images = |side: usize| {
        let ratio = class.context[side].as_ref();
        ratio.map_or_else(String::new, |r| counted(r.mu_positive.count, "image"))
    };
    let name = plain::line(&class.class).into_owned();
    ClassRow {
        measure: class.average_precision.map(|compared| measure(name.clone(), &compared)),
        name,
        positives: class.positives,
        context: vec![ratio(0), ratio(1)],
        context_images: vec![images(0), images(1)],
        right_alone: class.right_alone,
    }
}

/// The average heatmaps of both runs side by side, how many classes did not fit, and the bytes used.
fn averages(report: &Report, stored: [&Stored; 2]) -> (Vec<AverageRow>, usize, usize) {
    let (mut rows, mut left_out, mut used) = (Vec::new(), 0, 0);
    for class in &report.classes {
        let picture = |stored: &Stored| -> Option<AveragePicture> {
            let (png, images) = average(stored, &class.class)?;
            let picture = ::image::load_from_memory(png).ok()?.into_rgb8();
            let address = jpeg_address(&jpeg(&picture, AVERAGE_SIDE).ok()?);
            Some(AveragePicture { address, images })
        };
        let sides: Vec<Option<AveragePicture>> = stored.into_iter().map(picture).collect();
        let bytes: usize = sides.iter().flatten().map(|picture| picture.address.len()).sum();
        if bytes == 0 {
            continue;
        }
        if used + bytes > MOST_AVERAGES {
            left_out += 1;
            continue;
        }
        used += bytes;
        rows.push(AverageRow { name: plain::line(&class.class).into_owned(), sides });
    }
    (rows, left_out, used)
}

/// The heatmaps in pairs by class, as many as fit into `most` bytes: the first of every class, then the
/// second ones, and so on. Also how many did not fit.
fn pairs(report: &Report, pictures: &[Pictures<'_>], most: usize) -> (Vec<ClassPairs>, usize) {
    let bytes = |pictures: &Pictures<'_>| {
        let heats = pictures.views.iter().flatten().map(|view| view.heat.len());
        // Four digits for three bytes.
        (heats.sum::<usize>() + pictures.photograph().map_or(0, <[u8]>::len)) * 4 / 3 + 200
    };
    let mut of_class: Vec<Vec<&Pictures<'_>>> = Vec::new();
    for class in &report.classes {
        of_class.push(pictures.iter().filter(|p| p.pair.class == class.class).collect());
    }
    let longest = of_class.iter().map(Vec::len).max().unwrap_or(0);
    let mut fits = vec![0; of_class.len()];
    let mut left = most;
    'all: for place in 0..longest {
        for (class, pictures) in of_class.iter().enumerate() {
            let Some(next) = pictures.get(place) else { continue };
            match left.checked_sub(bytes(next)) {
                Some(rest) => left = rest,
                None => break 'all,
            }
            fits[class] += 1;
        }
    }
    let mut rows = Vec::new();
    for ((class, pictures), fits) in report.classes.iter().zip(&of_class).zip(&fits) {
        if *fits > 0 {
            let name = plain::line(&class.class).into_owned();
            rows.push(ClassPairs {
                name,
                pairs: pictures[..*fits].iter().map(|p| pair(p)).collect(),
            });
        }
    }
    (rows, pictures.len() - fits.iter().sum::<usize>())
}

fn pair(pictures: &Pictures<'_>) -> PairRow {
    let pair = &pictures.pair;
    let why = match (pair.top, pair.right) {
        (true, None) => "among the highest".to_owned(),
        (true, Some(name)) => format!("among the highest; right in {name} alone"),
        (false, Some(name)) => format!("right in {name} alone"),
        (false, None) => String::new(),
    };
    let side = |side: usize| {
        let view = pictures.views[side];
        let caption = view.map_or_else(
            || "not explained".to_owned(),
            |view| {
                let ratio = view.mu_positive.map_or_else(String::new, |mu| format!(", μ⁺ {mu:.2}"));
                format!("score {:+.3}{ratio}", view.score)
            },
        );
        PairSide { name: NAMES[side], address: view.map(|view| jpeg_address(&view.heat)), caption }
    };
    PairRow {
        id: plain::line(&pair.id).into_owned(),
        why,
        photograph: pictures.photograph().map(jpeg_address).unwrap_or_default(),
        sides: vec![side(0), side(1)],
    }
}

fn disagreements(report: &Report) -> Vec<ClassDisagreements> {
    let row = |listed: &Listed| ListedRow {
        id: plain::line(&listed.id).into_owned(),
        shown: listed.shown,
        right: listed.right,
        scores: listed.scores.map(|score| format!("{score:+.3}")),
        ranks: listed.ranks.map(|rank| format!("{:.1}", 100.0 * rank)),
        winners: (listed.winners.iter().flatten())
            .map(|winner| plain::line(winner).into_owned())
            .collect(),
    };
    let of_class = |class: &ClassReport| {
        let listed = report.disagreements.iter().filter(|listed| listed.class == class.class);
        let rows: Vec<ListedRow> = listed.map(row).collect();
        let more = class.right_alone.iter().sum::<usize>() - rows.len();
        let name = plain::line(&class.class).into_owned();
        (!rows.is_empty()).then_some(ClassDisagreements { name, rows, more })
    };
    report.classes.iter().filter_map(of_class).collect()
}
