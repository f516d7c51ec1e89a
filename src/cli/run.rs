//! `fvtool run`: every stage, from images to figures.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::args::{Faults, RunFolder};
use super::eval::write_evaluated;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Arguments of `run`.
#[derive(Args)]
pub struct Run {
    /// Data folder: PASCAL VOC devkit (VOCdevkit/VOC2007) or one folder per class
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Split to fit and train on
    #[arg(long, value_name = "NAME")]
    train: String,
    /// Split to evaluate
    #[arg(long, value_name = "NAME")]
    test: String,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    faults: Faults,
}

pub fn run(args: &Run, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let run = args.run.open_for(
        &args.data,
        &[&args.train, &args.test],
        Some(&args.train),
        global,
        ui,
        args.faults.strict,
    )?;
    let (train, evaluated) = run.run_all(&args.data, &args.train, &args.test)?;
    if !evaluated.made {
        ui.say("everything is up to date; nothing was done");
    }
    write_evaluated(&run, &evaluated, global, ui, out)?;
    let (of_train, of_test) = (train.skipped, evaluated.encoded.skipped);
    let list = if of_train > 0 { &train.stamp.path } else { &evaluated.encoded.stamp.path };
    Ok(Outcome::of_skipped(of_train + of_test, list, &args.faults))
}
