//! `fvtool completions` and `fvtool man`, from the grammar itself.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use super::outcome::Outcome;

/// Arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    /// Shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

pub fn completions(
    args: &Completions,
    mut grammar: Command,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut grammar, "fvtool", &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Done)
}

/// One page: the main command, then every subcommand.
pub fn man(grammar: &Command, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut page = Vec::new();
    clap_mangen::Man::new(grammar.clone()).render(&mut page)?;
    for subcommand in grammar.get_subcommands() {
        let name = format!("fvtool {}", subcommand.get_name());
        clap_mangen::Man::new(subcommand.clone().name(name)).render(&mut page)?;
    }
    out.write_all(&page)?;
    Ok(Outcome::Done)
}
