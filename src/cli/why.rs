//! `fvtool why`: which training images made an image's score.

use std::io::Write;

use crate::explain::{Share, Why, WhyOptions};
use crate::plain;
use clap::Args;

use super::args::RunFolder;
use super::explain::RuleArgs;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;
use super::values::whole;

/// Arguments of `why`.
#[derive(Args)]
pub struct WhyArgs {
    /// Image file, or the id of an image in a split of the run
    #[arg(value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    run: RunFolder,
    /// Data folder with the training images [default: that of the run]
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
    /// Class [default: the one of the highest score]
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Training images shown for the class, and as many against it
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u16, 1>, allow_negative_numbers = true)]
    top: u16,
    #[command(flatten)]
    rule: RuleArgs,
}

pub fn run(
    args: &WhyArgs,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let options =
        WhyOptions { class: args.class.clone(), top: args.top.into(), rule: args.rule.rule() };
    let data = &args.run.data(args.data.as_deref(), global)?;
    let run = args.run.open_existing(global, ui, false)?;
    let why = run.why(data, &args.image, &options)?;
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&why)?)?;
    } else {
        write_table(&why, out)?;
    }
    Ok(Outcome::Done)
}

/// The sum, then a line for each training image.
fn write_table(why: &Why, out: &mut dyn Write) -> std::io::Result<()> {
    let (image, class) = (plain::line(&why.image), plain::line(&why.class));
    writeln!(out, "{image}: {class} {:+.4}, the sum of", why.score)?;
    for (value, from) in [
        (why.shown, "what training images that show it have in common with this one"),
        (why.not_shown, "what others have in common with it"),
        (why.constant, "what all of them add to every score"),
        (why.rest, "what none of them adds"),
    ] {
        writeln!(out, "  {value:+9.4}  {from}")?;
    }
    let widths = why.speaking_for.iter().chain(&why.speaking_against);
    let width =
        widths.map(|share| plain::line(&share.id).chars().count()).max().unwrap_or(0).max(7);
    for (title, shares) in [("for", &why.speaking_for), ("against", &why.speaking_against)] {
        writeln!(out, "\n{title:<width$}  in common   in all  cosine  label  without it")?;
        for Share { id, label, in_common, adds, similarity, without, .. } in shares {
            let label = if *label > 0 { "yes" } else { "no" };
            let without = without.map_or_else(|| "–".to_owned(), |score| format!("{score:+.4}"));
            let id = plain::line(id);
            writeln!(
                out,
                "{id:<width$}  {in_common:+9.4}  {adds:+7.3}  {similarity:6.3}  {label:<5}  {without}"
            )?;
        }
    }
    writeln!(out, "\n{}", plain::path(&why.page))
}
