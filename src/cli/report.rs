//! `fvtool report`: a split on one page, with pictures.

use std::io::Write;

use crate::plain;
use crate::report::PictureReport;
use clap::Args;

use super::args::RunFolder;
use super::data_stages::Data;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Arguments of `report`.
#[derive(Args)]
pub struct ReportArgs {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    run: RunFolder,
    /// Photographs alone, without heatmaps and visual words
    #[arg(long)]
    quick: bool,
}

pub fn run(
    args: &ReportArgs,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let data = &args.run.data(args.data.data.as_deref(), global)?;
    let run = args.run.open_existing(global, ui, false)?;
    let options = PictureReport { explained: !args.quick };
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let command = format!("fvtool {}", arguments.join(" "));
    let page = run.picture_report(data, &args.data.split, options, &command)?;
    if global.json {
        writeln!(out, "{}", serde_json::json!({ "page": page.to_string_lossy() }))?;
    } else {
        writeln!(out, "{}", plain::path(&page))?;
    }
    Ok(Outcome::of_left_out(&run))
}
