//! `fvtool demo`: the whole pipeline on data it draws itself.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use fvtool::dataset::synthetic::Synthetic;
use fvtool::pipeline;
use fvtool::random::Seed;

use super::eval::write_evaluated;
use super::{Global, Outcome, RunFolder, Ui};

/// Seed of the demo's data when `--seed` is not given.
const DATA_SEED: u64 = 1;

/// Arguments of `demo`.
#[derive(Args)]
pub struct Demo {
    /// Folder for the data (`data/`) and the run (`run/`)
    #[arg(long, value_name = "DIR", default_value = "demo")]
    out: PathBuf,
}

pub fn run(args: &Demo, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let data = args.out.join("data");
    let seed = Seed(global.seed.unwrap_or(DATA_SEED));
    ui.say(&format!("drawing a synthetic VOC-style data set into {}", data.display()));
    pipeline::demo::write_data(&data, &Synthetic::default(), seed, ui.progress())?;

    let folder = RunFolder {
        run: args.out.join("run"),
        config: Some("quick".into()),
        overrides: Vec::new(),
        refit: true,
    };
    let run = folder.open(global, ui, true)?;
    let (_, evaluated) = run.run_all(&data, "train", "test")?;
    write_evaluated(&evaluated, global, ui, out)?;
    ui.say(&format!(
        "next           fvtool run --data YOUR_IMAGES --train train --test test --run runs/first\n\
         look inside    fvtool inspect {}",
        run.dir().join("gmm.safetensors").display()
    ));
    Ok(Outcome::Done)
}
