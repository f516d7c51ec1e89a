//! A classifier made again without what an audit or a check found, and what that changes.
//!
//! ```text
//! run ─ its settings + what is left out ─ new run, which takes over models and vectors ─ train-svm ─ eval
//!                                                                     both: measures, context, audit
//! ```
//!
//! Words and images cost a training; places cost the vectors anew, with the same models. Nothing in the
//! first run changes but results for people.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::error::Result;
use crate::evaluation::{Accuracy, Map, Report};
use crate::explain::{Audit, AuditOptions, ContextReport, Only, Selection};
use crate::explanation::Rule;
use crate::pipeline::{Options, Run, StageResult};
use crate::store::Paths;
use crate::words::counted;

/// What is left out or corrected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Visual words (`svm.without_words`).
    pub words: Vec<String>,
    /// Training images (`svm.without_images`).
    pub images: Vec<String>,
    /// Parts of every image (`encoding.leave_out`).
    pub places: Vec<String>,
    /// Table of corrected labels (`svm.corrections`).
    pub corrections: Option<PathBuf>,
}

/// One side of a revision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The run.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub run: PathBuf,
    /// The figures of the split.
    pub report: Report,
    /// How much context each class uses; none without boxes, or where it was not asked for.
    pub context: Option<ContextReport>,
    /// What the audit found; none where it was not asked for.
    pub audit: Option<Audit>,
}

/// A revision: the same split before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Revision {
    /// As the run was.
    pub before: Side,
    /// As the new one is.
    pub after: Side,
}

impl Changes {
    /// Whether anything is to change.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The options of the new run: the settings of `old` with these changes on top of its own.
    pub fn options(&self, old: &Run<'_>, options: Options) -> Options {
        let config = old.config();
        let list = |known: Vec<String>, new: &[String]| {
            let mut all = known;
            all.extend(new.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
            toml::Value::from(all).to_string()
        };
        let mut overrides = Vec::new();
        let svm = &config.svm;
        if !self.words.is_empty() {
            let words = list(svm.without_words.clone(), &self.words);
            overrides.push(format!("svm.without_words={words}"));
        }
        if !self.images.is_empty() {
            let images = list(svm.without_images.clone(), &self.images);
            overrides.push(format!("svm.without_images={images}"));
        }
        if !self.places.is_empty() {
            let known = config.encoding.leave_out.iter().map(ToString::to_string).collect();
            overrides.push(format!("encoding.leave_out={}", list(known, &self.places)));
        }
        if let Some(file) = &self.corrections {
            let file = toml::Value::from(file.to_string_lossy().into_owned());
            overrides.push(format!("svm.corrections={file}"));
        }
        overrides.extend(options.overrides.iter().cloned());
        let dir = old.dir();
        Options {
            config: Some(Paths::new(dir).config().to_string_lossy().into_owned()),
            overrides,
            reuse: vec![dir.to_owned()],
            ..options
        }
    }
}

/// Evaluates a split by both runs, training the new one where that is to be done; with `explained`, measures
/// context and makes the audit of both too.
///
/// # Errors
/// As [`Run::evaluate`] and [`Run::audit`].
pub fn revise(
    [old, new]: [&Run<'_>; 2],
    data: &Path,
    split: &str,
    explained: bool,
) -> Result<Revision> {
    let started = Instant::now();
    let before = old.evaluate(data, split)?.report;
    let train = old.trained_split()?;
    // The models are those of the first run: fitted to what they were fitted to there.
    new.encode(data, &old.fitted_to()?.unwrap_or_else(|| train.clone()))?;
    new.encode(data, &train)?;
    new.train(&train)?;
    let after = new.evaluate(data, split)?.report;
    let side = |run: &Run<'_>, report: Report| -> Result<Side> {
        let selection =
            Selection { classes: Vec::new(), images: Vec::new(), only: Only::Present, top: 0 };
        let rule = Rule::PUBLISHED;
        let has_boxes = explained && run.has_boxes(data, split)?;
        let context = match has_boxes {
            true => Some(run.explain_context(data, split, &selection, rule)?),
            false => None,
        };
        let audit = match explained {
            true => Some(run.audit(data, split, &AuditOptions::of_all_classes(rule))?),
            false => None,
        };
        Ok(Side { run: run.dir().to_owned(), report, context, audit })
    };
    let revision = Revision { before: side(old, before)?, after: side(new, after)? };
    let figure = |report: &Report| headline(report.accuracy, &report.map).1.unwrap_or(f64::NAN);
    let text = format!(
        "{} from {:.2} to {:.2}, {}",
        headline(revision.before.report.accuracy, &revision.before.report.map).0,
        100.0 * figure(&revision.before.report),
        100.0 * figure(&revision.after.report),
        counted(revision.after.report.images, "image")
    );
    new.finish(StageResult::made("revise", Vec::new(), text, started));
    Ok(revision)
}

/// The measure that fits the data, by its name: accuracy where every image has one class.
pub fn headline(accuracy: Option<Accuracy>, map: &Map) -> (&'static str, Option<f64>) {
    match accuracy {
        Some(accuracy) => ("accuracy", Some(accuracy.overall)),
        None => ("mAP", map.voc2007),
    }
}
