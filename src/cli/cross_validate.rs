//! `fvtool cross-validate`: figures of every image, each by a classifier that had not seen it.

use std::io::Write;
use std::path::PathBuf;

use crate::cross_validation::{Models, Options, cross_validate};
use crate::dataset::ALL;
use clap::{Args, ValueEnum};

use super::args::{Faults, RunFolder};
use super::global::Global;
use super::outcome::Outcome;
use super::ui::{Ui, column};
use super::values::whole;

/// Arguments of `cross-validate`.
#[derive(Args)]
pub struct CrossValidate {
    /// Data folder [default: that of --labels, or the one that the run was fitted to]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Split to cross-validate; `all` has every image of the data folder
    #[arg(long, value_name = "NAME", default_value = ALL)]
    split: String,
    /// Parts that images are dealt into, each held out once; classes are spread, a group stays together
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = whole::<usize, 2>, allow_negative_numbers = true)]
    folds: usize,
    /// Times that all of this is done, each with other folds
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = whole::<usize, 1>, allow_negative_numbers = true)]
    repeats: usize,
    /// When projection and mixture are fitted
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ModelsArg::Once)]
    models: ModelsArg,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    faults: Faults,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModelsArg {
    /// To all images at once, without their labels: little more time than one run
    Once,
    /// Anew for each fold: as many times the time as there are folds
    EachFold,
}

pub fn run(
    args: &CrossValidate,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let data = args.run.data(args.data.as_deref(), global)?;
    let run = args.run.open_for(
        &data,
        &[&args.split],
        Some(&args.split),
        global,
        ui,
        args.faults.strict,
    )?;
    let options = Options {
        split: args.split.clone(),
        folds: args.folds,
        repeats: args.repeats,
        models: match args.models {
            ModelsArg::Once => Models::Once,
            ModelsArg::EachFold => Models::EachFold,
        },
    };
    let done = cross_validate(&run, &data, &options)?;
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&done.report)?)?;
    } else {
        write!(out, "{}", done.report.table())?;
    }
    ui.say(&column("report", &done.page.display().to_string()));
    ui.say(&column("predictions", &done.predictions.display().to_string()));
    let (skipped, list) = done.skipped;
    Ok(Outcome::of_skipped(skipped, &list, &args.faults))
}
