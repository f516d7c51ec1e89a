//! `fvtool settings`: the reference of every key, or one configuration in full.

use std::io::Write;

use crate::config::Config;
use clap::Args;

use super::outcome::Outcome;

/// Arguments of `settings`.
#[derive(Args)]
pub struct Settings {
    /// Print this preset or file with every key written out, instead of the reference
    #[arg(value_name = "FILE|PRESET")]
    name: Option<String>,
}

pub fn run(args: &Settings, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.name {
        None => write!(out, "{}", Config::reference())?,
        Some(name) => {
            let config = Config::named(name)?;
            config.validate()?;
            write!(out, "{}", config.to_toml())?;
        }
    }
    Ok(Outcome::Done)
}
