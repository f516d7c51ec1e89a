//! `fvtool run`: every stage, from images to figures.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::args::{Faults, RunFolder};
use super::eval::write_evaluated;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::{Ui, column};

/// Arguments of `run`.
#[derive(Args)]
pub struct Run {
    /// Data folder: PASCAL VOC devkit (VOCdevkit/VOC2007), one folder per class, or images with a table of labels
    /// [default: that of --labels, or the one that the run was fitted to]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Split to fit and train on [default: train, training or trainval, whichever is there]
    #[arg(long, value_name = "NAME")]
    train: Option<String>,
    /// Split to evaluate [default: test, testing, val, valid or validation]
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    faults: Faults,
}

pub fn run(args: &Run, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let data = args.run.data(args.data.as_deref(), global)?;
    let [train, test] =
        args.run.splits(&data, [args.train.as_ref(), args.test.as_ref()], global)?;
    let run =
        args.run.open_for(&data, &[&train, &test], Some(&train), global, ui, args.faults.strict)?;
    let (of_training, evaluated) = run.run_all(&data, &train, &test)?;
    if !evaluated.made {
        ui.say("everything is up to date; nothing was done");
    }
    write_evaluated(&run, &evaluated, global, ui, out)?;
    let (folder, of_data) = (args.run.run.display(), data.display());
    let predict = format!("new images: fvtool predict --run {folder} --csv IMAGES");
    let explain = format!(
        "which pixels decided: fvtool explain --data {of_data} --split {test} --run {folder}"
    );
    // Not where it would be refused.
    let explain = run.require_explainable().is_ok().then_some(explain);
    let mut heading = "next";
    for text in explain.into_iter().chain([predict]) {
        ui.say(&column(std::mem::take(&mut heading), &text));
    }
    let (of_train, of_test) = (of_training.skipped, evaluated.encoded.skipped);
    let list = if of_train > 0 { &of_training.stamp.path } else { &evaluated.encoded.stamp.path };
    Ok(Outcome::of_skipped(of_train + of_test, list, &args.faults))
}
