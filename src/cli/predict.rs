//! `fvtool predict`: scores of single images.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use fvtool::pipeline::{ClassScore, Prediction};
use fvtool::plain;

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
    /// Image files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
}

pub fn run(
    args: &Predict,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = args.run.open(global, ui)?;
    let predictions = run.predict(&args.images)?;
    let reasons: Vec<&String> =
        predictions.iter().filter_map(|prediction| prediction.outcome.as_ref().err()).collect();
    if predictions.len() > 1 {
        reasons.iter().for_each(|reason| ui.progress().note(reason));
    }
    let outcome = match &reasons[..] {
        [] => Outcome::Done,
        [only] if predictions.len() == 1 => Outcome::Partly((*only).clone()),
        // Each reason was given in a note, unless these are not wanted.
        [first, ..] => Outcome::Partly(format!(
            "{} of {} images cannot be classified{}",
            reasons.len(),
            predictions.len(),
            if ui.is_quiet() { format!("; the first: {first}") } else { String::new() }
        )),
    };
    if global.json {
        let lines: Vec<Line<'_>> = predictions.iter().map(Line::from).collect();
        writeln!(out, "{}", serde_json::to_string(&lines)?)?;
    } else {
        predictions.iter().try_for_each(|p| write_table(p, args.top, out))?;
    }
    Ok(outcome)
}

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
