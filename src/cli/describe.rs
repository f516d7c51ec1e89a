//! `fvtool describe`: one image's descriptors, projections and Fisher vector, for use elsewhere.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::args::ReadFolder;
use super::data_stages::write_stamp;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Arguments of `describe`.
#[derive(Args)]
pub struct Describe {
    #[command(flatten)]
    run: ReadFolder,
    /// Image file
    image: PathBuf,
    /// Where to write the tensors `descriptors`, `frames`, `projected` and `vector`: a new file, or
    /// that of an earlier description
    #[arg(long, short, value_name = "FILE.safetensors")]
    output: PathBuf,
}

pub fn run(
    args: &Describe,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = args.run.open(global, ui)?;
    let stamp = run.describe(&args.image, &args.output)?;
    write_stamp(&run, &stamp, global, out)?;
    Ok(Outcome::Done)
}
