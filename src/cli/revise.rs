//! `fvtool revise`: trained again without what an audit or a check found.

use std::io::Write;
use std::path::PathBuf;

use crate::pipeline;
use crate::plain;
use crate::revise::{Changes, Revision, headline, revise};
use clap::Args;

use super::args::RunFolder;
use super::data_stages::Data;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;

/// Classes whose figures change by less are not listed, in per cent.
const LISTED: f64 = 0.5;

/// Arguments of `revise`.
#[derive(Args)]
pub struct ReviseArgs {
    #[command(flatten)]
    data: Data,
    /// Run to revise; it stays as it is
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Folder of the revised run
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Visual word to leave out, as `explain --words` and `audit` name it; may be repeated
    #[arg(long, value_name = "WORD", value_delimiter = ' ')]
    word: Vec<String>,
    /// Part of every image to leave out, LEFT,TOP,RIGHT,BOTTOM as shares of width and height; may be repeated
    #[arg(long, value_name = "L,T,R,B")]
    place: Vec<String>,
    /// Training image to leave out, by its id; may be repeated
    #[arg(long, value_name = "ID")]
    without_image: Vec<String>,
    /// Labels of training images to correct: CSV with `image` and `suggested`, as `check` writes it
    #[arg(long, value_name = "FILE")]
    corrections: Option<PathBuf>,
    /// Compare the measures alone, without context and audit
    #[arg(long)]
    measures_only: bool,
}

pub fn run(
    args: &ReviseArgs,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let changes = Changes {
        words: args.word.clone(),
        images: args.without_image.clone(),
        places: args.place.clone(),
        corrections: args.corrections.clone(),
    };
    anyhow::ensure!(
        !changes.is_nothing(),
        "nothing to leave out or correct; give --word, --place, --without-image or --corrections"
    );
    let of = |run: &PathBuf| RunFolder { run: run.clone(), ..RunFolder::default() };
    let (old, new) = (of(&args.run), of(&args.to));
    let data = &old.data(args.data.data.as_deref(), global)?;
    let old = old.open_existing(global, ui, false)?;
    anyhow::ensure!(args.to != args.run, "--to is the run itself; give a new folder");
    let options = changes.options(&old, new.options(global, false));
    let new = pipeline::Run::open(&args.to, &options, ui.progress())?;
    let revision = revise([&old, &new], data, &args.data.split, !args.measures_only)?;
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&revision)?)?;
    } else {
        write_revision(&revision, out)?;
    }
    Ok(Outcome::of_left_out_of_any(&[old, new]))
}

/// Before and after, side by side.
fn write_revision(revision: &Revision, out: &mut dyn Write) -> std::io::Result<()> {
    let (before, after) = (&revision.before, &revision.after);
    let percent = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value))
    };
    let name = headline(before.report.accuracy, &before.report.map).0;
    let figures = [before, after].map(|side| headline(side.report.accuracy, &side.report.map).1);
    let mut rows = vec![(name.to_owned(), figures.map(percent))];
    let classes = before.report.classes.iter().zip(&after.report.classes);
    for (before, after) in classes {
        let aps = [before.ap_voc2007, after.ap_voc2007];
        let change = aps[0].zip(aps[1]).map_or(0.0, |(a, b)| 100.0 * (b - a).abs());
        if change >= LISTED {
            rows.push((format!("AP of {}", plain::line(&before.class)), aps.map(percent)));
        }
    }
    if let (Some(before), Some(after)) = (&before.context, &after.context) {
        for (before, after) in before.classes.iter().zip(&after.classes) {
            let inside = [before, after].map(|class| class.positive_inside.mean);
            if 100.0 * (inside[0] - inside[1]).abs() >= LISTED {
                let name = format!("relevance inside boxes, {}", plain::line(&before.class));
                rows.push((name, inside.map(|share| percent(Some(share)))));
            }
        }
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    writeln!(out, "{:width$}  before   after", "")?;
    for (name, [before, after]) in &rows {
        writeln!(out, "{name:width$}  {before:>6}  {after:>6}")?;
    }
    for (title, side) in [("before", before), ("after", after)] {
        let Some(audit) = &side.audit else { continue };
        writeln!(
            out,
            "\naudit {title}: {}",
            match audit.findings.len() {
                0 => "nothing suspicious".to_owned(),
                findings => crate::words::counted(findings, "finding"),
            }
        )?;
        for finding in &audit.findings {
            writeln!(out, "  {}", plain::sentence(&finding.sentence))?;
        }
    }
    writeln!(out, "\n{}", plain::path(&after.run))
}
