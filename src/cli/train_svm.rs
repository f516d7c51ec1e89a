//! `fvtool train-svm`: the classifier of a run.

use std::io::Write;

use clap::Args;
use serde_json::json;

use crate::part::Part;

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
    /// Train part I of N of the groups of 50 classes, where there are more, while other processes train the others;
    /// `auto` reads the numbers of a job array. Without it the classifier is made of all groups
    #[arg(long, value_name = "I/N", conflicts_with_all = ["refit", "reuse"])]
    classes: Option<Part>,
}

pub fn run(
    args: &TrainSvm,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    if let Some(part) = args.classes {
        let run = args.run.open_part(global, ui, false)?;
        let groups = run.train_classes(&args.split, part)?;
        let text = format!("part {part}: groups {groups:?} of classes");
        ui.say(&text);
        if global.json {
            let value = json!({ "part": part.to_string(), "groups": [groups.start, groups.end] });
            writeln!(out, "{value}")?;
        }
        return Ok(Outcome::Done);
    }
    let run = args.run.open_existing(global, ui, false)?;
    let stamp = run.train(&args.split)?;
    write_stamp(&run, &stamp, global, out)?;
    Ok(Outcome::Done)
}
