//! `fvtool extract`, `fit-pca`, `fit-gmm`, `fit-layer` and `encode`: the stages that read images.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::part::Part;
use crate::pipeline::{Run, Stamp};
use crate::plain;
use crate::words::counted;
use clap::Args;
use serde_json::json;

use super::args::{Faults, RunFolder};
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Arguments of a fitting stage.
#[derive(Args)]
pub struct Stage {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    faults: Faults,
}

/// Arguments of `encode`.
#[derive(Args)]
pub struct Encode {
    #[command(flatten)]
    data: Data,
    /// Make part I of N (0/4 … 3/4) while other processes or machines make the others; `auto` reads the
    /// numbers of a job array. It fits nothing; the run must have models
    #[arg(long, value_name = "I/N", conflicts_with_all = ["join", "refit", "reuse"])]
    part: Option<Part>,
    /// Write the index of the parts, and read no image; what is missing is named. Without --part and --join
    /// what is missing is made
    #[arg(long, conflicts_with_all = ["refit", "reuse", "strict"])]
    join: bool,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    faults: Faults,
}

/// The images to work on.
#[derive(Args)]
pub struct Data {
    /// Data folder: PASCAL VOC devkit (VOCdevkit/VOC2007), one folder per class, or images with a table of labels
    /// [default: the one that the run was fitted to]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Split: the name of an image list, or of a folder of class folders
    #[arg(long, value_name = "NAME")]
    pub split: String,
}

pub fn extract(
    args: &Stage,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    fit(&args.run, args, global, ui, out, |run, data, split| run.extract(data, split))
}

pub fn fit_pca(
    args: &Stage,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    fit(&args.run, args, global, ui, out, |run, data, split| run.extract_and_fit_pca(data, split))
}

pub fn fit_gmm(
    args: &Stage,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    fit(&args.run, args, global, ui, out, |run, data, split| run.extract_and_fit_gmm(data, split))
}

pub fn fit_layer(
    args: &Stage,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = RunFolder { learn: true, ..args.run.clone() };
    fit(&run, args, global, ui, out, |run, data, split| run.fit_layer(data, split))
}

fn fit(
    folder: &RunFolder,
    args: &Stage,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
    stage: impl FnOnce(&Run<'_>, &Path, &str) -> crate::Result<Stamp>,
) -> anyhow::Result<Outcome> {
    let data = &folder.data(args.data.data.as_deref(), global)?;
    let split = &args.data.split;
    let run = folder.open_for(data, &[split], None, global, ui, args.faults.strict)?;
    let stamp = stage(&run, data, split)?;
    write_stamp(&run, &stamp, global, out)?;
    let (sample, left_out) = run.left_out_of_sample()?;
    Ok(Outcome::of_skipped(left_out.len(), &sample, &args.faults))
}

pub fn encode(
    args: &Encode,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let data = &args.run.data(args.data.data.as_deref(), global)?;
    let split = &args.data.split;
    if let Some(part) = args.part {
        return encode_part(args, data, part, global, ui, out);
    }
    let run = args.run.open_for(data, &[split], None, global, ui, args.faults.strict)?;
    let encoded = if args.join { run.join(data, split)? } else { run.encode(data, split)? };
    if global.json {
        let (images, skipped) = (encoded.images, encoded.skipped);
        let value = json!({
            "index": encoded.stamp.path.to_string_lossy(), "images": images, "skipped": skipped,
            "fingerprint": encoded.stamp.fingerprint, "made": encoded.stamp.made,
            "files": encoded.files, "stages": run.results(),
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{}", plain::path(&encoded.stamp.path))?;
    }
    Ok(Outcome::of_skipped(encoded.skipped, &encoded.stamp.path, &args.faults))
}

fn encode_part(
    args: &Encode,
    data: &Path,
    part: Part,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let run = args.run.open_part(global, ui, args.faults.strict)?;
    let encoded = run.encode_part(data, &args.data.split, part)?;
    // Unlike one that is no image, it may be there at the next attempt, or on another machine.
    anyhow::ensure!(
        encoded.unread == 0 || args.faults.allow_skipped,
        "{} could not be read; run the same part again where they can, or say --allow-skipped to go on without them",
        counted(encoded.unread, "image")
    );
    let (images, skipped) = (encoded.images, encoded.skipped);
    if global.json {
        let value = json!({
            "part": part.to_string(), "shards": [encoded.shards.start, encoded.shards.end],
            "of": encoded.of, "folder": encoded.folder.to_string_lossy(), "images": images,
            "skipped": skipped, "unread": encoded.unread, "made": encoded.made, "stages": run.results(),
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{}", plain::path(&encoded.folder))?;
    }
    Ok(Outcome::of_skipped(skipped, &encoded.folder, &args.faults))
}

/// The artifact a stage left: its path, or JSON with all stages that it needed.
pub fn write_stamp(
    run: &Run<'_>,
    stamp: &Stamp,
    global: &Global,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if global.json {
        let value = json!({
            "artifact": stamp.path.to_string_lossy(), "fingerprint": stamp.fingerprint, "made": stamp.made,
            "stages": run.results(),
        });
        writeln!(out, "{value}")
    } else {
        writeln!(out, "{}", plain::path(&stamp.path))
    }
}
