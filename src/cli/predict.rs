//! `fvtool predict`: scores of single images.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::dataset::images_below;
use crate::files;
use crate::pipeline::{ClassScore, Prediction};
use crate::plain::{self, push_record};
use crate::svm::Calibration;
use clap::Args;

use super::args::ReadFolder;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;
use super::values::{share, whole};

/// Arguments of `predict`.
#[derive(Args)]
pub struct Predict {
    #[command(flatten)]
    run: ReadFolder,
    /// Classes shown per image (0 = all)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole::<usize, 0>, allow_negative_numbers = true)]
    top: usize,
    /// Write CSV with a header: path, label, score, probability, then the score of every class; --json writes an
    /// object a line
    #[arg(long, conflicts_with = "top")]
    csv: bool,
    /// Say that an image shows none of the classes (an empty label) where the best has a lower probability than
    /// this; for a run with svm.calibration = platt
    #[arg(long, value_name = "P", value_parser = share, allow_negative_numbers = true)]
    least_probability: Option<f32>,
    /// Say that an image shows none of the classes (an empty label) where it is unlike anything that the classifier
    /// was trained on
    #[arg(long)]
    abstain: bool,
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
    let classes = run.known_classes()?.unwrap_or_default();
    if args.least_probability.is_some() && run.config().svm.calibration == Calibration::None {
        anyhow::bail!(
            "the classifier gives no probabilities; train it with them: `fvtool train-svm --run RUN --split SPLIT \
             --set svm.calibration=platt --refit`"
        );
    }
    if args.abstain && !run.usual()?.is_known() {
        anyhow::bail!(
            "how usual the training images' descriptors are is not known: no channel of this run has a density, or its \
             vectors are gone or of an earlier version; encode the training split again, or leave --abstain out"
        );
    }
    let (mut failed, mut first) = (0, None);
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
            let line = serde_json::to_string(&Line::new(&prediction, limits(args)));
            writeln!(out, "{}", line.expect("a prediction is JSON"))
        } else if args.csv {
            if std::mem::take(&mut header) {
                write_header(&classes, out)
                    .and_then(|()| write_csv(&prediction, &classes, limits(args), out))
            } else {
                write_csv(&prediction, &classes, limits(args), out)
            }
        } else {
            write_table(&prediction, args, out)
        };
        written.map_err(crate::Error::io("write", Path::new("standard output")))
    })?;
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

/// When no class is said.
#[derive(Clone, Copy)]
struct Limits {
    /// Of a best class less probable than this.
    least: Option<f32>,
    /// Of an image unlike the training images.
    abstains: bool,
}

fn limits(args: &Predict) -> Limits {
    Limits { least: args.least_probability, abstains: args.abstain }
}

/// The class of the highest score; none beyond the limits.
fn decided(prediction: &Prediction, limits: Limits) -> Option<&ClassScore> {
    let scores = prediction.outcome.as_deref().ok()?;
    let best = scores.iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
    let Limits { least, abstains } = limits;
    let enough = least.is_none_or(|least| best.probability.is_some_and(|p| p >= least));
    (enough && !(abstains && prediction.unlike)).then_some(best)
}

fn write_header(classes: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    let mut text = String::new();
    push_record(&mut text, HEADER.into_iter().chain(classes.iter().map(String::as_str)));
    out.write_all(text.as_bytes())
}

/// The class of the highest score, its score and probability, and all scores; empty fields for an image that
/// cannot be used.
fn write_csv(
    prediction: &Prediction,
    classes: &[String],
    limits: Limits,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut fields = vec![prediction.path.to_string_lossy().into_owned()];
    if let Ok(scores) = &prediction.outcome {
        let number = |value: f32| format!("{value:.6}");
        let label = decided(prediction, limits).map(|best| best.class.clone()).unwrap_or_default();
        let best = scores.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        fields.push(label);
        fields.push(best.map(|best| number(best.score)).unwrap_or_default());
        fields.push(best.and_then(|best| best.probability).map(number).unwrap_or_default());
        fields.extend(scores.iter().map(|score| number(score.score)));
    }
    fields.resize(HEADER.len() + classes.len(), String::new());
    let mut text = String::new();
    push_record(&mut text, fields.iter().map(String::as_str));
    out.write_all(text.as_bytes())
}

const HEADER: [&str; 4] = ["path", "label", "score", "probability"];

/// One image in JSON: its class and all scores, or why it cannot be used.
#[derive(serde::Serialize)]
struct Line<'a> {
    image: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [ClassScore]>,
    /// Unlike anything that the classifier was trained on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unlike: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(prediction: &'a Prediction, limits: Limits) -> Self {
        let scores = prediction.outcome.as_deref().ok();
        Self {
            image: prediction.path.to_string_lossy(),
            label: decided(prediction, limits).map(|best| best.class.as_str()),
            unlike: prediction.unlike,
            classes: scores,
            error: prediction.outcome.as_ref().err().map(String::as_str),
        }
    }
}

/// One line per class, best first: image, class, score, probability.
fn write_table(
    prediction: &Prediction,
    args: &Predict,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let Ok(scores) = &prediction.outcome else { return Ok(()) };
    if decided(prediction, limits(args)).is_none() {
        return writeln!(out, "{}\tnone of the classes", plain::path(&prediction.path));
    }
    let top = args.top;
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
