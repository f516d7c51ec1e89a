//! `fvtool export`: vectors, labels and names in one file for other programs.

use std::io::Write;
use std::path::PathBuf;

use crate::export::export;
use crate::words::counted;
use clap::Args;

use super::args::ReadFolder;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::{Ui, column};

/// Arguments of `export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    run: ReadFolder,
    /// Split to export; may be repeated [default: every split that has vectors]
    #[arg(long = "split", value_name = "NAME")]
    splits: Vec<String>,
    /// A new file: .npz for NumPy (X, y, ids, splits, classes) or .csv (id, split, label, x0, x1, …)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(
    args: &Export,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = args.run.open(global, ui)?;
    let exported = export(&run, &args.splits, &args.output)?;
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&exported)?)?;
        return Ok(Outcome::Done);
    }
    ui.say(&column(
        "export",
        &format!(
            "{} of {} values, {}; split {}: {}",
            counted(exported.images, "vector"),
            exported.dim,
            counted(exported.classes.len(), "class"),
            exported.splits.join(", "),
            args.output.display()
        ),
    ));
    Ok(Outcome::Done)
}
