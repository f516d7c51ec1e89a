//! One run of the program: from its arguments to its exit code.

use std::ffi::OsString;
use std::io::Write;

use crate::pipeline;
use crate::words::counted;
use clap::{CommandFactory, Parser};

use super::command::Cli;
use super::outcome::Outcome;
use super::signals;
use super::threads::start_threads;
use super::ui::{PlainText, Ui};

/// All is done.
const SUCCESS: u8 = 0;
/// Nothing came of it. What the grammar refuses ends with 2.
const FAILURE: u8 = 1;
/// All is done but for images that could not be used; or a check found something.
const DONE_WITH_FINDINGS: u8 = 3;

/// Parses the arguments (the first is the name of the program), runs the command and gives the exit code.
///
/// What the grammar refuses, and `--help`, end the process.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = Cli::parse_from(arguments);
    if let Some(reason) = cli.refused() {
        let kind = clap::error::ErrorKind::ArgumentConflict;
        Cli::command().error(kind, reason).exit();
    }
    let interrupted = signals::attend();
    // For the thread that waits for signals as long as there is a process.
    let ui: &'static Ui = Box::leak(Box::new(Ui::new(&cli.global, &interrupted)));
    let stopped = format!("{}; {}", crate::Error::Interrupted, cli.command.kept());
    signals::give_up_after(&interrupted, {
        let stopped = stopped.clone();
        move || ui.error(&stopped)
    });
    if let Err(error) = start_threads(&cli.global, ui) {
        ui.error(&error);
        return FAILURE;
    }
    let started = std::time::Instant::now();
    if cli.global.verbose {
        let (version, threads) = (env!("CARGO_PKG_VERSION"), rayon::current_num_threads());
        ui.say(&format!(
            "fvtool {version}, {}, {}",
            counted(threads, "thread"),
            pipeline::instructions()
        ));
    }
    let mut stdout = std::io::stdout().lock();
    let mut plain = PlainText(&mut stdout);
    let out: &mut dyn Write = if cli.global.json { plain.0 } else { &mut plain };
    let outcome = cli.command.run(&cli.global, ui, out);
    if cli.global.verbose {
        ui.say(&format!("ended after {:.1} s", started.elapsed().as_secs_f64()));
    }
    match outcome.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(Outcome::Done) => SUCCESS,
        Ok(Outcome::Partly(what)) => {
            ui.error(&what);
            DONE_WITH_FINDINGS
        }
        Ok(Outcome::Found(what)) => {
            ui.say(&what);
            DONE_WITH_FINDINGS
        }
        // The reader of our output went away (`| head`): nothing is wrong.
        Err(error) if is_broken_pipe(&error) => SUCCESS,
        // Whatever else is written has a name, and is an error of fvtool.
        Err(error) if error.is::<std::io::Error>() => {
            ui.error(&format!("cannot write standard output: {error}"));
            FAILURE
        }
        Err(error) if matches!(error.downcast_ref(), Some(crate::Error::Interrupted)) => {
            ui.error(&stopped);
            FAILURE
        }
        Err(error) => {
            ui.error(&error);
            FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
