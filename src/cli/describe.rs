//! `fvtool describe`: one image's descriptors, projections and Fisher vector, for use elsewhere.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::data_stages::write_stamp;
use super::{Global, Outcome, RunFolder, Ui};

/// Arguments of `describe`.
#[derive(Args)]
pub struct Describe {
    #[command(flatten)]
    run: RunFolder,
    /// Image file
    image: PathBuf,
    /// Where to write the tensors `descriptors`, `frames`, `projected` and `vector`
    #[arg(long, short, value_name = "FILE.safetensors")]
    output: PathBuf,
}

pub fn run(
    args: &Describe,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = args.run.open_existing(global, ui, true)?;
    let stamp = run.describe(&args.image, &args.output)?;
    write_stamp(&stamp, global, out)?;
    Ok(Outcome::Done)
}
