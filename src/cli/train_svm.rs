//! `fvtool train-svm`: the classifier of a run.

use std::io::Write;

use clap::Args;

use super::args::RunFolder;
use super::data_stages::write_stamp;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Arguments of `train-svm`.
#[derive(Args)]
pub struct TrainSvm {
    #[command(flatten)]
    run: RunFolder,
    /// Split to train on (encoded first if necessary)
    #[arg(long, value_name = "NAME")]
    split: String,
}

pub fn run(
    args: &TrainSvm,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = args.run.open_existing(global, ui, false)?;
    let stamp = run.train(&args.split)?;
    write_stamp(&run, &stamp, global, out)?;
    Ok(Outcome::Done)
}
