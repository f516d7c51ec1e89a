//! `fvtool audit`: is a class recognised by something that is not its object?

use std::io::Write;

use crate::explain::{Audit, AuditOptions, NotJudged};
use crate::plain;
use crate::words::counted;
use clap::Args;

use super::args::RunFolder;
use super::data_stages::Data;
use super::explain::RuleArgs;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;
use super::values::whole;

/// Arguments of `audit`.
#[derive(Args)]
pub struct AuditArgs {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    run: RunFolder,
    /// Class to audit; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    class: Vec<String>,
    #[command(flatten)]
    rule: RuleArgs,
    /// Examine the N highest-scoring recognised images of each class (score above 0; 0 = all)
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = whole::<usize, 0>, allow_negative_numbers = true)]
    images: usize,
    /// Images that each suspicion is tested on; 5 or more
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole::<u16, 1>, allow_negative_numbers = true)]
    tested: u16,
}

pub fn run(
    args: &AuditArgs,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let options = AuditOptions {
        classes: args.class.clone(),
        rule: args.rule.rule(),
        images: args.images,
        tested: args.tested.into(),
    };
    let data = &args.run.data(args.data.data.as_deref(), global)?;
    let run = args.run.open_existing(global, ui, false)?;
    let audit = run.audit(data, &args.data.split, &options)?;
    write_audit(&audit, global, out)?;
    Ok(Outcome::of_left_out(&run))
}

/// A numbered list of findings, or JSON.
pub fn write_audit(audit: &Audit, global: &Global, out: &mut dyn Write) -> anyhow::Result<()> {
    if global.json {
        writeln!(out, "{}", serde_json::to_string(audit)?)?;
        return Ok(());
    }
    if audit.pairs == 0 {
        writeln!(out, "audit: no image is recognised, so nothing can be said")?;
    } else if audit.findings.is_empty() {
        writeln!(
            out,
            "audit: nothing suspicious in {} of recognised image and class ({} tested)",
            counted(audit.pairs, "pair"),
            counted(audit.tested, "suspicion")
        )?;
    }
    for (number, found) in audit.findings.iter().enumerate() {
        writeln!(out, "{}. {}", number + 1, plain::sentence(&found.sentence))?;
        writeln!(out, "   look at: {}", plain::line(&found.images.join(", ")))?;
    }
    if !audit.unconfirmed.is_empty() {
        let rest = counted(audit.unconfirmed.len(), "other suspicion");
        writeln!(out, "{rest} not confirmed by the test; audit.json has them with their figures")?;
    }
    if !audit.not_judged.is_empty() {
        let few = |few: &NotJudged| format!("`{}` ({})", plain::line(&few.class), few.recognised);
        let few: Vec<String> = audit.not_judged.iter().map(few).collect();
        writeln!(
            out,
            "not judged, for fewer than {} recognised images: {}",
            audit.least_images,
            few.join(", ")
        )?;
    }
    Ok(())
}
