//! `fvtool demo`: the whole pipeline on data it draws itself, three heatmaps, and an audit; or data with parts
//! alone.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::dataset::synthetic::Synthetic;
use crate::explain::{AuditOptions, Drawing, Only, Selection};
use crate::explanation::Rule;
use crate::pipeline;
use crate::random::Seed;
use clap::Args;

use super::args::RunFolder;
use super::audit::write_audit;
use super::eval::write_evaluated;
use super::explain::write_heatmaps;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::{Ui, column};

/// Seed of the demo's data when `--seed` is not given.
const DATA_SEED: u64 = 1;

/// Classes whose best image is explained.
const EXPLAINED: [&str; 3] = ["star", "spiral", "wheel"];

/// Arguments of `demo`.
#[derive(Args)]
pub struct Demo {
    /// Folder for the data (`data/`) and the run (`run/`): a new one, or that of an earlier demo
    #[arg(long, value_name = "DIR", default_value = "demo")]
    out: PathBuf,
    /// Leave out what is planted: the text tag that most images of a star carry in a corner, and the stamp that
    /// most images of a leaf carry somewhere
    #[arg(long, alias = "no-tag")]
    clean: bool,
    /// Only draw images whose classes differ by annotated parts of objects, into a folder of data
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "clean"])]
    parts: Option<PathBuf>,
}

pub fn run(args: &Demo, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let seed = Seed(global.seed.unwrap_or(DATA_SEED));
    if let Some(folder) = &args.parts {
        return draw_parts(folder, seed, ui);
    }
    let _held = pipeline::demo::claim(&args.out)?;
    let data = args.out.join("data");
    ui.say(&format!("drawing a synthetic VOC-style data set into {}", data.display()));
    let planted = !args.clean;
    let params = Synthetic { plant_tag: planted, plant_stamp: planted, ..Synthetic::default() };
    pipeline::demo::write_data(&data, &params, seed, ui.progress())?;

    let folder = RunFolder {
        run: args.out.join("run"),
        config: Some("quick".into()),
        refit: true,
        ..RunFolder::default()
    };
    let run = folder.open(global, ui, true)?;
    let (_, evaluated) = run.run_all(&data, "train", "test")?;
    write_evaluated(&run, &evaluated, global, ui, out)?;

    let rule = Rule::PUBLISHED;
    let selection = Selection {
        classes: EXPLAINED.map(str::to_owned).to_vec(),
        images: Vec::new(),
        only: Only::TruePositives,
        top: 1,
    };
    let drawing = Drawing { rule, shared_scale: false, raw: false, network: None };
    let heatmaps = run.explain(&data, "test", &selection, &drawing)?;
    let audit = run.audit(&data, "test", &AuditOptions::of_all_classes(rule))?;
    if !global.json {
        writeln!(out)?;
        write_heatmaps(&heatmaps, out)?;
        writeln!(out)?;
        write_audit(&audit, global, out)?;
    }
    let next = "fvtool run --data YOUR_IMAGES --train train --test test --run runs/first";
    ui.say(&column("next", next));
    let why = format!(
        "fvtool explain --data {} --split test --run {} --class wheel --top 5",
        data.display(),
        run.dir().display()
    );
    ui.say(&column("why", &why));
    Ok(Outcome::Done)
}

/// Draws data with parts, and says what to do with them.
fn draw_parts(folder: &Path, seed: Seed, ui: &Ui) -> anyhow::Result<Outcome> {
    let _held = pipeline::demo::claim_parts(folder)?;
    ui.say(&format!("drawing a synthetic VOC-style data set with parts into {}", folder.display()));
    pipeline::demo::write_parts(folder, &Synthetic::default(), seed, ui.progress())?;
    for within in ["image", "boxes", "parts"] {
        let next = format!(
            "fvtool run --data {} --train train --test test --run runs/{within} \
             --set descriptors.within={within}",
            folder.display()
        );
        ui.say(&column("next", &next));
    }
    Ok(Outcome::Done)
}
