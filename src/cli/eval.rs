//! `fvtool eval`: scores and figures of a split.

use std::io::Write;

use crate::dataset::Inventory;
use crate::pipeline::{Evaluated, Run, StageResult};
use clap::Args;

use super::args::{Faults, RunFolder};
use super::data_stages::Data;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::{Ui, column};

/// Arguments of `eval`.
#[derive(Args)]
pub struct Eval {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    faults: Faults,
}

pub fn run(args: &Eval, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let data = &args.run.data(args.data.data.as_deref(), global)?;
    let run = args.run.open_existing(global, ui, args.faults.strict)?;
    let evaluated = run.evaluate(data, &args.data.split)?;
    write_evaluated(&run, &evaluated, global, ui, out)?;
    let encoded = &evaluated.encoded;
    Ok(Outcome::of_skipped(encoded.skipped, &encoded.stamp.path, &args.faults))
}

/// The figures as JSON.
#[derive(serde::Serialize)]
struct Printed<'e, R: serde::Serialize> {
    #[serde(flatten)]
    report: &'e R,
    data_files: &'e Inventory,
    stages: Vec<StageResult>,
}

/// The figures: a table, or JSON.
pub fn write_evaluated(
    run: &Run<'_>,
    evaluated: &Evaluated,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if global.json {
        let (report, data_files) = (&evaluated.report, &evaluated.encoded.files);
        let printed = Printed { report, data_files, stages: run.results() };
        writeln!(out, "{}", serde_json::to_string(&printed)?)?;
    } else {
        write!(out, "{}", evaluated.report.table())?;
    }
    ui.say(&column("report", &evaluated.page.display().to_string()));
    Ok(())
}
