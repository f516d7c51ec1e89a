//! Options of every command.

use clap::Args;

use super::values::{Bytes, threads, whole};

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Seed of every random choice [default: the configuration's]
    #[arg(long, global = true, value_name = "N", value_parser = whole::<u64, 0>, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Worker threads; results do not depend on them [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = threads, allow_negative_numbers = true)]
    pub threads: Option<u16>,
    /// Most memory to allocate, for example 2GiB; results do not depend on it [default: no limit]
    #[arg(long, global = true, value_name = "SIZE")]
    pub max_memory: Option<Bytes>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Also say how the program runs, and how long it took
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
}
