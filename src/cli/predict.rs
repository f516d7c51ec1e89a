//! `fvtool predict`: scores of single images.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::dataset::images_below;
use crate::files;
use crate::pipeline::{ClassScore, Prediction};
use crate::plain::{self, push_record};
use clap::Args;

use super::args::ReadFolder;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;
use super::values::whole;

/// Arguments of `predict`.
#[derive(Args)]
pub struct Predict {
    #[command(flatten)]
    run: ReadFolder,
    /// Classes shown per image (0 = all)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole::<usize, 0>, allow_negative_numbers = true)]
    top: usize,
    /// Write CSV with a header: path, label, score, probability, then the score of every class
    #[arg(long, conflicts_with = "top")]
    csv: bool,
    /// File with a path a line; `-` reads them from standard input
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Image files, and folders whose images are taken to any depth
    #[arg(required_unless_present = "list", value_name = "IMAGE|FOLDER")]
    images: Vec<PathBuf>,
}

pub fn run(
    args: &Predict,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    anyhow::ensure!(!(args.csv && global.json), "--csv and --json are two forms; give one of them");
    let run = args.run.open(global, ui)?;
    let images = images(args)?;
    let (mut lines, mut failed, mut first) = (Vec::new(), 0, None);
    let mut header = args.csv;
    run.predict_each(&images, &mut |prediction| {
        if let Err(reason) = &prediction.outcome {
            if images.len() > 1 {
                ui.progress().note(reason);
            }
            failed += 1;
            first.get_or_insert_with(|| reason.clone());
        }
        let written = if global.json {
            lines.push(prediction);
            Ok(())
        } else if args.csv {
            let with_header = std::mem::take(&mut header);
            write_csv(&prediction, with_header, out)
        } else {
            write_table(&prediction, args.top, out)
        };
        written.map_err(crate::Error::io("write", Path::new("standard output")))
    })?;
    if global.json {
        let lines: Vec<Line<'_>> = lines.iter().map(Line::from).collect();
        writeln!(out, "{}", serde_json::to_string(&lines)?)?;
    }
    Ok(match first {
        None => Outcome::Done,
        Some(only) if images.len() == 1 => Outcome::Partly(only),
        // Each reason was given in a note, unless these are not wanted.
        Some(first) => Outcome::Partly(format!(
            "{failed} of {} images cannot be classified{}",
            images.len(),
            if ui.is_quiet() { format!("; the first: {first}") } else { String::new() }
        )),
    })
}

/// The images that are meant, in the order of the command line; those of a folder sorted.
fn images(args: &Predict) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    if let Some(list) = &args.list {
        let text = match list.as_os_str() == "-" {
            true => std::io::read_to_string(std::io::stdin())?,
            false => files::read_text(list).map_err(crate::Error::io("read", list))?,
        };
        let paths = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        images.extend(paths.map(PathBuf::from));
    }
    for path in &args.images {
        if path.is_dir() {
            let found = images_below(path)?;
            anyhow::ensure!(!found.is_empty(), "{} holds no image", path.display());
            images.extend(found);
        } else {
            images.push(path.clone());
        }
    }
    anyhow::ensure!(!images.is_empty(), "no image is named");
    Ok(images)
}

/// The class of the highest score, its score and probability, and all scores; empty fields for an image that
/// cannot be used.
fn write_csv(
    prediction: &Prediction,
    with_header: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut text = String::new();
    let path = prediction.path.to_string_lossy();
    match &prediction.outcome {
        Ok(scores) => {
            if with_header {
                let classes = scores.iter().map(|score| score.class.as_str());
                push_record(&mut text, HEADER.into_iter().chain(classes));
            }
            let best = scores.iter().max_by(|a, b| a.score.total_cmp(&b.score));
            let number = |value: f32| format!("{value:.6}");
            let best = best.map(|best| {
                let probability = best.probability.map(number).unwrap_or_default();
                [best.class.clone(), number(best.score), probability]
            });
            let fields = [path.into_owned()].into_iter().chain(best.into_iter().flatten());
            let fields: Vec<String> =
                fields.chain(scores.iter().map(|score| number(score.score))).collect();
            push_record(&mut text, fields.iter().map(String::as_str));
        }
        Err(_) => {
            if with_header {
                push_record(&mut text, HEADER.into_iter());
            }
            push_record(&mut text, [&*path, "", "", ""].into_iter());
        }
    }
    out.write_all(text.as_bytes())
}

const HEADER: [&str; 4] = ["path", "label", "score", "probability"];

/// One image in JSON: its classes, or why it cannot be used.
#[derive(serde::Serialize)]
struct Line<'a> {
    image: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [ClassScore]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> From<&'a Prediction> for Line<'a> {
    fn from(prediction: &'a Prediction) -> Self {
        Self {
            image: prediction.path.to_string_lossy(),
            classes: prediction.outcome.as_deref().ok(),
            error: prediction.outcome.as_ref().err().map(String::as_str),
        }
    }
}

/// One line per class, best first: image, class, score, probability.
fn write_table(prediction: &Prediction, top: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let Ok(scores) = &prediction.outcome else { return Ok(()) };
    let mut scores: Vec<_> = scores.iter().collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    let shown = if top == 0 { scores.len() } else { top };
    for score in scores.into_iter().take(shown) {
        let probability = score.probability.map_or_else(String::new, |p| format!("{p:.3}"));
        writeln!(
            out,
            "{}\t{}\t{:+.4}\t{probability}",
            plain::path(&prediction.path),
            plain::line(&score.class),
            score.score
        )?;
    }
    Ok(())
}
