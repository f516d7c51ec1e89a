//! `fvtool audit`: is a class recognised by something that is not its object?

use std::io::Write;

use clap::Args;
use fvtool::pipeline::explain::{Audit, AuditOptions};

use super::data_stages::Data;
use super::explain::RuleArgs;
use super::{Global, Outcome, RunFolder, Ui};

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
    /// Images looked at per class, the highest scored that show it; 0: all
    #[arg(long, value_name = "N", default_value_t = 200)]
    images: usize,
    /// Images that each suspicion is tested on
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
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
        rule: args.rule.rule()?,
        images: args.images,
        tested: args.tested.into(),
    };
    let run = args.run.open_existing(global, ui, false)?;
    let audit = run.audit(&args.data.data, &args.data.split, &options)?;
    write_audit(&audit, global, out)?;
    Ok(Outcome::Done)
}

/// A numbered list of findings, or JSON.
pub fn write_audit(audit: &Audit, global: &Global, out: &mut dyn Write) -> anyhow::Result<()> {
    if global.json {
        writeln!(out, "{}", serde_json::to_string(audit)?)?;
        return Ok(());
    }
    if audit.findings.is_empty() {
        writeln!(out, "audit: nothing suspicious ({} suspicions tested)", audit.tested)?;
    }
    for (number, found) in audit.findings.iter().enumerate() {
        writeln!(out, "{}. {}", number + 1, found.sentence)?;
        writeln!(out, "   look at: {}", found.images.join(", "))?;
    }
    Ok(())
}
