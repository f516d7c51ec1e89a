//! `fvtool completions` and `fvtool man`, from the grammar itself.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome};

/// Arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    /// Shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

pub fn completions(args: &Completions, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fvtool", &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Done)
}

/// One page: the main command, then every subcommand.
pub fn man(out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let command = Cli::command();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        let name = format!("fvtool {}", subcommand.get_name());
        clap_mangen::Man::new(subcommand.clone().name(name)).render(&mut page)?;
    }
    out.write_all(&page)?;
    Ok(Outcome::Done)
}
