//! `fvtool check`: copies, leaks, wrong labels and images that do not belong.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::check::{CheckReport, Finding, Measures, check_data};
use crate::dataset::Dataset;
use crate::pipeline;
use crate::plain;
use crate::words::counted;
use clap::Args;

use super::args::RunFolder;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Findings of a check that are shown.
const SHOWN: usize = 5;

/// Arguments of `check`.
#[derive(Args)]
pub struct CheckArgs {
    /// Data folder [default: that of the run]
    #[arg(long, value_name = "DIR", required_unless_present = "run")]
    data: Option<PathBuf>,
    /// Run on these data: near copies, labels and outliers are looked for with its vectors
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Split to check; may be repeated [default: those of the run, else the usual ones]
    #[arg(long, value_name = "NAME")]
    split: Vec<String>,
    /// Table of labels: CSV or TSV with a row for each image, or COCO's JSON (`data.labels`)
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
}

pub fn run(
    args: &CheckArgs,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let folder = RunFolder {
        run: args.run.clone().unwrap_or_default(),
        labels: args.labels.clone(),
        ..RunFolder::default()
    };
    let report = match &args.run {
        Some(_) => {
            let data = folder.data(args.data.as_deref(), global)?;
            let run = folder.open_existing(global, ui, false)?;
            run.check(&data, &args.split)?
        }
        None => {
            let data = args.data.as_deref().unwrap_or(Path::new("."));
            let config = pipeline::Run::settings_without_run(&folder.options(global, false))?;
            let dataset = Dataset::open(data, &config.data, config.seed)?;
            ui.progress().summary("data", &dataset.summary()?);
            dataset.notes()?.iter().for_each(|note| ui.progress().note(note));
            check_data(&dataset, &args.split, &config.image, ui.progress())?
        }
    };
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write_report(&report, out)?;
    }
    if args.run.is_none() {
        ui.say(
            "near copies, labels that look wrong and outliers need a run: `fvtool check --run RUN`",
        );
    }
    Ok(match report.findings.len() {
        0 => Outcome::Done,
        found => Outcome::Found(counted(found, "finding")),
    })
}

/// A block for each check that found something.
fn write_report(report: &CheckReport, out: &mut dyn Write) -> std::io::Result<()> {
    let splits: Vec<String> = (report.splits.iter())
        .map(|(name, images)| format!("{} ({})", plain::line(name), counted(*images, "image")))
        .collect();
    writeln!(out, "checked {}", splits.join(", "))?;
    for &check in &report.checked {
        let found: Vec<&Finding> = report.of(check).collect();
        if found.is_empty() {
            continue;
        }
        writeln!(out, "\n{}: {}", check.title(), found.len())?;
        writeln!(out, "  it means: {}", check.means())?;
        writeln!(out, "  what to do: {}", check.to_do())?;
        for finding in found.iter().take(SHOWN) {
            let images: Vec<String> = (finding.images.iter())
                .map(|image| format!("{}/{}", plain::line(&image.split), plain::line(&image.id)))
                .collect();
            let images = if images.is_empty() { String::new() } else { images.join(" = ") + ": " };
            writeln!(out, "  {:.2}  {images}{}", finding.score, plain::line(&finding.summary))?;
        }
        if found.len() > SHOWN {
            writeln!(out, "        … and {} more", found.len() - SHOWN)?;
        }
    }
    let nothing: Vec<&str> = (report.checked.iter())
        .filter(|check| report.of(**check).next().is_none())
        .map(|check| check.title())
        .collect();
    if !nothing.is_empty() {
        writeln!(out, "\nfound none: {}", nothing.join("; "))?;
    }
    for Measures { split, copies, with, without } in &report.measures {
        let figures = |of: &crate::evaluation::leak::Without| {
            let percent = |value: Option<f64>| {
                value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
            };
            match of.accuracy {
                Some(accuracy) => format!("accuracy {}", percent(Some(accuracy.overall))),
                None => format!("mAP (VOC 2007) {}", percent(of.map.voc2007)),
            }
        };
        let rest = without.as_ref().map_or_else(|| "nothing is left".to_owned(), figures);
        writeln!(
            out,
            "\n{} with {copies} of training images, copies or near copies: {}; without: {rest}",
            plain::line(split),
            figures(with)
        )?;
    }
    if let Some(table) = &report.table {
        writeln!(out, "\n{}", plain::path(table))?;
    }
    Ok(())
}
