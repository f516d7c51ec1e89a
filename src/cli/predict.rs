//! `fvtool predict`: scores of single images.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::artifacts;
use crate::dataset::images_below;
use crate::files;
use crate::part::Part;
use crate::pipeline::{ClassScore, Prediction, Run};
use crate::plain::{self, push_record};
use crate::svm::Calibration;
use crate::words::counted;
use clap::Args;

use super::args::ReadFolder;
use super::global::Global;
use super::list::Lines;
use super::outcome::Outcome;
use super::ui::{PlainText, Ui, column};
use super::values::{share, whole};

/// Classes of an image in the table for people.
const SHOWN: usize = 3;

/// What the table says in place of a class.
const NONE: &str = "none of the classes";

/// Bytes of a file that are looked at to know it.
const MOST_OF_A_LINE: u64 = 1 << 16;

/// Arguments of `predict`.
#[derive(Args)]
pub struct Predict {
    #[command(flatten)]
    run: ReadFolder,
    /// Classes shown per image (0 = all) [default: 3]
    #[arg(long, value_name = "N", value_parser = whole::<usize, 0>, allow_negative_numbers = true)]
    top: Option<usize>,
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
    /// File with a path a line, of any length; `-` reads them from standard input
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Only this part of the list: I of N equal parts, from 0/N on. `auto` takes both numbers from a job array of
    /// Slurm, AWS Batch or Kubernetes. Parts of 5 to 30 minutes are best: one that is stopped begins anew
    #[arg(long, value_name = "I/N|auto", requires = "list", conflicts_with = "images")]
    part: Option<Part>,
    /// Write here, not to standard output; the file appears when it is whole, or not at all. CSV where the name
    /// ends in .csv
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
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
    let form = form(args, global)?;
    args.check_files()?;
    let run = args.run.open(global, ui)?;
    let named = named_images(args)?;
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
    let Some(output) = &args.output else {
        return predict(args, form, &run, named, ui, out)?.outcome(ui);
    };
    let tally = written(output, |file| match form {
        Form::Json => predict(args, form, &run, named, ui, file),
        // The same bytes as on standard output.
        Form::Csv | Form::Table(_) => predict(args, form, &run, named, ui, &mut PlainText(file)),
    })?;
    let text = format!("{}: {}", counted(tally.images, "image"), output.display());
    ui.say(&column("predict", &text));
    tally.outcome(ui)
}

impl Predict {
    /// Refuses what is no list to take a part of, and an output in the place of anything but predictions: the
    /// list above all, under whatever name.
    fn check_files(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.part.is_none() || self.list.as_deref() != Some(Path::new("-")),
            "--part looks for its lines in a file, and standard input is none; write the list to a file first"
        );
        let Some(output) = &self.output else { return Ok(()) };
        // What is there and is no file is refused where the file is made.
        let is_file = std::fs::symlink_metadata(output).is_ok_and(|found| found.is_file());
        anyhow::ensure!(
            !is_file || holds_predictions(output).map_err(crate::Error::io("read", output))?,
            "{} holds no predictions, and nothing else is replaced; give --output another name, or move it away",
            output.display()
        );
        Ok(())
    }
}

/// Whether a file is one that this command may have written, by its first line.
fn holds_predictions(path: &Path) -> io::Result<bool> {
    let start = files::read_start(path, MOST_OF_A_LINE)?;
    let text = String::from_utf8_lossy(&start);
    let Some(first) = text.lines().next() else { return Ok(true) };
    let is_score = |text: &str| text.starts_with(['+', '-']) && text.parse::<f32>().is_ok();
    let is_row = match first.split('\t').collect::<Vec<_>>()[..] {
        [_, _, score, _] => is_score(score),
        [_, none] => none == NONE,
        _ => false,
    };
    Ok(is_row || first.starts_with(r#"{"image":"#) || first.starts_with(&HEADER.join(",")))
}

/// How predictions are written.
#[derive(Clone, Copy)]
enum Form {
    /// An object a line.
    Json,
    Csv,
    /// So many classes of each image, 0 for all.
    Table(usize),
}

fn form(args: &Predict, global: &Global) -> anyhow::Result<Form> {
    anyhow::ensure!(!(args.csv && global.json), "--csv and --json are two forms; give one of them");
    let is_csv = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    if global.json {
        return Ok(Form::Json);
    }
    if !args.csv && !args.output.as_ref().is_some_and(is_csv) {
        return Ok(Form::Table(args.top.unwrap_or(SHOWN)));
    }
    anyhow::ensure!(
        args.top.is_none(),
        "--top is for the table, and a file whose name ends in .csv is CSV, with all classes; leave --top out, or \
         give --output another ending"
    );
    Ok(Form::Csv)
}

/// What became of the images so far.
#[derive(Default)]
struct Tally {
    images: usize,
    failed: usize,
    /// Why the first of those could not be classified.
    first: Option<String>,
}

impl Tally {
    /// Counts an image, and says why it cannot be classified. The reason of a single image is the error itself.
    fn count(&mut self, prediction: &Prediction, ui: &Ui) {
        self.images += 1;
        if let (2, Some(first)) = (self.images, &self.first) {
            ui.progress().note(first);
        }
        if let Err(reason) = &prediction.outcome {
            if self.images > 1 {
                ui.progress().note(reason);
            }
            self.failed += 1;
            self.first.get_or_insert_with(|| reason.clone());
        }
    }

    /// An error where nothing could be classified.
    fn outcome(self, ui: &Ui) -> anyhow::Result<Outcome> {
        let Self { images, failed, first } = self;
        let text = match first {
            None => return Ok(Outcome::Done),
            Some(only) if images == 1 => only,
            // Each reason was given in a note, unless these are not wanted.
            Some(first) => format!(
                "{failed} of {images} images cannot be classified{}",
                if ui.is_quiet() { format!("; the first: {first}") } else { String::new() }
            ),
        };
        anyhow::ensure!(failed < images, text);
        Ok(Outcome::Partly(text))
    }
}

/// Scores the images of the list, then those that were named, and writes each as soon as it is known.
fn predict(
    args: &Predict,
    form: Form,
    run: &Run<'_>,
    named: Vec<PathBuf>,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Tally> {
    let classes = run.known_classes()?.unwrap_or_default();
    let lines = match &args.list {
        Some(list) if list.as_os_str() == "-" => Some(Lines::of_standard_input()),
        Some(list) => Some(Lines::open(list, args.part.unwrap_or(Part::WHOLE))?),
        None => None,
    };
    let read = Cell::new(None);
    let listed = lines.into_iter().flatten().map(|line| {
        line.map(|line| {
            read.set(line.share.map(|share| (100.0 * share) as u32));
            line.path
        })
    });
    let mut tally = Tally::default();
    let (mut header, mut said) = (matches!(form, Form::Csv), None);
    let mut begin = |out: &mut dyn Write| match std::mem::take(&mut header) {
        true => write_header(&classes, out),
        false => Ok(()),
    };
    let target = args.output.as_deref().unwrap_or(Path::new("standard output"));
    run.predict_each(listed.chain(named.into_iter().map(Ok)), &mut |prediction| {
        tally.count(&prediction, ui);
        if let Some(percent) = read.get().filter(|_| read.get() != said) {
            said = read.get();
            ui.progress().say(&format!("predict, {percent} % of the list"));
        }
        let limits = limits(args);
        let mut write = || -> io::Result<()> {
            begin(out)?;
            match form {
                Form::Json => {
                    let line = serde_json::to_string(&Line::new(&prediction, limits));
                    writeln!(out, "{}", line.expect("a prediction is JSON"))
                }
                Form::Csv => write_csv(&prediction, &classes, limits, out),
                Form::Table(top) => write_table(&prediction, top, limits, out),
            }
        };
        write().map_err(crate::Error::io("write", target))
    })?;
    if args.part.is_some() {
        // It may hold no line.
        begin(out).map_err(crate::Error::io("write", target))?;
    } else {
        anyhow::ensure!(tally.images > 0, "no image is named");
    }
    Ok(tally)
}

/// Has a file filled, which stays as it was when that fails.
fn written<T>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut filled = None;
    let outcome = artifacts::write_among_others(path, |file| {
        let done = filled.insert(fill(file));
        done.as_ref().map(|_| ()).map_err(|error| io::Error::other(error.to_string()))
    });
    match filled {
        // What happened, and not that the file was not written for it.
        Some(Err(error)) => Err(error),
        Some(Ok(done)) => Ok(outcome.map(|()| done)?),
        None => Err(outcome.expect_err("a file that was made was filled").into()),
    }
}

/// The images of the command line, in its order; those of a folder sorted.
fn named_images(args: &Predict) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in &args.images {
        if path.is_dir() {
            let found = images_below(path)?;
            anyhow::ensure!(!found.is_empty(), "{} holds no image", path.display());
            images.extend(found);
        } else {
            images.push(path.clone());
        }
    }
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

fn write_header(classes: &[String], out: &mut dyn Write) -> io::Result<()> {
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
) -> io::Result<()> {
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
    top: usize,
    limits: Limits,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Ok(scores) = &prediction.outcome else { return Ok(()) };
    if decided(prediction, limits).is_none() {
        return writeln!(out, "{}\t{NONE}", plain::path(&prediction.path));
    }
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
