//! The command line: grammar, dispatch, exit codes. Binary only; the library knows nothing of it.
//!
//! Results go to stdout, everything else to stderr. Exit code 0: done; 1: failed or partly failed
//! (an image had to be skipped); 2: usage.

mod audit;
mod bench_stage;
mod data_stages;
mod demo;
mod describe;
mod eval;
mod explain;
mod inspect;
mod inspect_network;
mod predict;
mod run;
mod settings;
mod shell;
mod signals;
mod train_svm;
mod ui;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use fvtool::config::{DEFAULT_PRESET, PRESETS};
use fvtool::pipeline;
use fvtool::words::counted;

use ui::Ui;

/// Classify images with Fisher vectors on a plain CPU.
///
/// dense SIFT → PCA → Gaussian mixture → Fisher vectors → linear SVM → evaluation; each stage is a
/// subcommand that leaves its artifacts in a run folder and reuses what is up to date.
#[derive(Parser)]
#[command(name = "fvtool", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Starting more takes seconds; a typing error should not start sixty thousand.
const MOST_THREADS: u16 = 512;

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Seed of every random choice [default: the configuration's]
    #[arg(long, global = true, value_name = "N", value_parser = whole::<u64, 0>, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Worker threads; results do not depend on them [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = threads, allow_negative_numbers = true)]
    threads: Option<u16>,
    /// Most memory to allocate, for example 2GiB; results do not depend on it [default: no limit]
    #[arg(long, global = true, value_name = "SIZE")]
    max_memory: Option<Bytes>,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Also say how the program runs, and how long it took
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

/// A number of bytes with an optional unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bytes(u64);

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "kib" | "k" => 1024.0,
            "mib" | "m" => 1024.0 * 1024.0,
            "gib" | "g" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(format!("unknown unit `{unit}`; write for example 800MB or 2GiB")),
        };
        let bytes = number.parse::<f64>().ok().map(|number| number * factor);
        bytes
            .filter(|bytes| (1.0..=1e18).contains(bytes))
            .map(|bytes| Self(bytes as u64))
            .ok_or_else(|| format!("`{text}` is no size; write for example 800MB or 2GiB"))
    }
}

/// A number of threads.
fn threads(text: &str) -> Result<u16, String> {
    let number = text.parse::<u16>().ok().filter(|number| (1..=MOST_THREADS).contains(number));
    number.ok_or_else(|| format!("it must be a whole number from 1 to {MOST_THREADS}"))
}

/// A whole number from `LEAST` on, for options: the messages of the standard library are about digits
/// and types.
fn whole<T: TryFrom<u64> + Copy, const LEAST: u64>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().ok().filter(|number| *number >= LEAST);
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let bits = 8 * size_of::<T>() as u32;
        let most = u64::MAX >> (64 - bits);
        format!("it must be a whole number from {LEAST} to {most}")
    })
}

fn config_help() -> String {
    let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
    format!(
        "Preset ({}) or TOML file [default: the run's own configuration, `{DEFAULT_PRESET}` in a \
         new run]",
        presets.join(", ")
    )
}

#[derive(Subcommand)]
enum Command {
    /// Make a synthetic data set, run the whole pipeline on it, and show what comes out
    Demo(demo::Demo),
    /// Run everything: fit on one split, evaluate on another
    Run(run::Run),
    /// Draw the training descriptors
    Extract(data_stages::Stage),
    /// Fit the PCA (and what it needs)
    FitPca(data_stages::Stage),
    /// Fit the Gaussian mixture (and what it needs)
    FitGmm(data_stages::Stage),
    /// Encode every image of a split as a Fisher vector
    Encode(data_stages::Encode),
    /// Train the one-vs-rest classifier on an encoded split
    TrainSvm(train_svm::TrainSvm),
    /// Score and evaluate a split
    Eval(eval::Eval),
    /// Draw which pixels decided, measure context, or test the heatmaps
    Explain(explain::Explain),
    /// Look for classes that are recognised by something that is not their object
    Audit(audit::AuditArgs),
    /// Classify image files
    Predict(predict::Predict),
    /// Write one image's descriptors, projections and Fisher vector, for use elsewhere
    Describe(describe::Describe),
    /// Show what an artifact holds and what it was made from, or what a network offers
    Inspect(inspect::Inspect),
    /// List every setting, or print a preset or a run's configuration
    Settings(settings::Settings),
    /// Print a completion script for a shell
    Completions(shell::Completions),
    /// Print the manual page
    Man,
    /// Time one stage on .npy files
    #[command(hide = true)]
    BenchStage(bench_stage::BenchStage),
}

/// Where a run lives and with which settings.
#[derive(Args)]
struct RunFolder {
    /// Run folder: holds everything this experiment makes
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    // The text of its help is made from the list of presets.
    #[arg(long, value_name = "FILE|PRESET", help = config_help())]
    config: Option<String>,
    /// Override one setting; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The network that descriptors come from, an ONNX file (`network.file`); the run remembers it
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Make again what was made with other settings or from other data
    #[arg(long)]
    refit: bool,
    /// Take over what this other run has made with the same settings from the same data; may be
    /// repeated
    #[arg(long, value_name = "RUN")]
    reuse: Vec<PathBuf>,
}

/// A finished run, which stays as it is.
#[derive(Args)]
struct ReadFolder {
    /// Run folder; it is only read
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
}

/// What to do about images that cannot be used.
#[derive(Args)]
struct Faults {
    /// Stop at the first image that cannot be used
    #[arg(long)]
    strict: bool,
    /// Exit with 0 even when images had to be skipped
    #[arg(long, conflicts_with = "strict")]
    allow_skipped: bool,
}

impl RunFolder {
    /// As [`open`](Self::open), for commands that use what a run has; a mistyped folder is not made.
    fn open_existing<'p>(
        &self,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> fvtool::Result<pipeline::Run<'p>> {
        require_folder(&self.run)?;
        self.open(global, ui, strict)
    }

    /// Refuses a run folder that is the data folder, before anything is written there.
    fn require_apart(&self, data: &std::path::Path) -> fvtool::Result<()> {
        pipeline::require_apart(&self.run, data)
    }

    /// As [`open`](Self::open), for commands that begin with images: no folder is made for a run
    /// whose data or splits are not there.
    fn open_for<'p>(
        &self,
        data: &Path,
        splits: &[&str],
        trained: Option<&str>,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> fvtool::Result<pipeline::Run<'p>> {
        self.require_apart(data)?;
        if !self.run.exists() {
            let options = self.options(global, strict);
            pipeline::Run::check_data(&self.run, &options, data, splits, trained)?;
        }
        self.open(global, ui, strict)
    }

    fn open<'p>(
        &self,
        global: &Global,
        ui: &'p Ui,
        strict: bool,
    ) -> fvtool::Result<pipeline::Run<'p>> {
        pipeline::Run::open(&self.run, &self.options(global, strict), ui.progress())
    }

    fn options(&self, global: &Global, strict: bool) -> pipeline::Options {
        pipeline::Options {
            config: self.config.clone(),
            overrides: self.overrides.clone(),
            network: self.network.clone(),
            seed: global.seed,
            refit: self.refit,
            strict,
            reuse: self.reuse.clone(),
            max_memory: global.max_memory.map(|Bytes(bytes)| bytes),
        }
    }
}

impl ReadFolder {
    fn open<'p>(&self, global: &Global, ui: &'p Ui) -> fvtool::Result<pipeline::Run<'p>> {
        require_folder(&self.run)?;
        let max_memory = global.max_memory.map(|Bytes(bytes)| bytes);
        pipeline::Run::open_to_read(&self.run, max_memory, ui.progress())
    }
}

fn require_folder(run: &Path) -> fvtool::Result<()> {
    if run.is_dir() { Ok(()) } else { Err(pipeline::no_such_run(run)) }
}

/// Whether everything was done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Something was left out: what, in a line that is said even when quiet.
    Partly(String),
}

impl Outcome {
    /// The outcome of explanations that left images out, which notes have named.
    fn of_left_out(run: &pipeline::Run<'_>) -> Self {
        match run.left_out_of_explanations() {
            0 => Self::Done,
            1 => Self::Partly("an image could not be read any more and was left out".into()),
            images => Self::Partly(format!(
                "{images} images could not be read any more and were left out"
            )),
        }
    }

    /// The outcome of work that skipped some images, which `list` names.
    fn of_skipped(skipped: usize, list: &Path, faults: &Faults) -> Self {
        if skipped == 0 || faults.allow_skipped {
            return Self::Done;
        }
        Self::Partly(format!(
            "{} skipped, see {}; everything else is done (--allow-skipped makes that a success)",
            counted(skipped, "image"),
            list.display()
        ))
    }
}

/// Parses the arguments, runs the command and turns its outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(reason) = cli.refused() {
        let kind = clap::error::ErrorKind::ArgumentConflict;
        Cli::command().error(kind, reason).exit();
    }
    let interrupted = signals::attend();
    // For the thread that waits for signals as long as there is a process.
    let ui: &'static Ui = Box::leak(Box::new(Ui::new(&cli.global, &interrupted)));
    let stopped = format!("{}; {}", fvtool::Error::Interrupted, cli.command.kept());
    signals::give_up_after(&interrupted, {
        let stopped = stopped.clone();
        move || ui.error(&stopped)
    });
    if let Err(error) = start_threads(&cli.global, ui) {
        ui.error(&error);
        return ExitCode::FAILURE;
    }
    let started = std::time::Instant::now();
    if cli.global.verbose {
        let (version, threads) = (env!("CARGO_PKG_VERSION"), rayon::current_num_threads());
        ui.say(&format!("fvtool {version}, {}, {}", counted(threads, "thread"), instructions()));
    }
    let mut stdout = std::io::stdout().lock();
    let mut plain = ui::PlainText(&mut stdout);
    let out: &mut dyn Write = if cli.global.json { plain.0 } else { &mut plain };
    let outcome = cli.command.run(&cli.global, ui, out);
    if cli.global.verbose {
        ui.say(&format!("ended after {:.1} s", started.elapsed().as_secs_f64()));
    }
    match outcome.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Partly(what)) => {
            ui.error(&what);
            ExitCode::FAILURE
        }
        // The reader of our output went away (`| head`): nothing is wrong.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        // Whatever else is written has a name, and is an error of fvtool.
        Err(error) if error.is::<std::io::Error>() => {
            ui.error(&format!("cannot write standard output: {error}"));
            ExitCode::FAILURE
        }
        Err(error) if matches!(error.downcast_ref(), Some(fvtool::Error::Interrupted)) => {
            ui.error(&stopped);
            ExitCode::FAILURE
        }
        Err(error) => {
            ui.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The widest instructions that products are made with.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return "AVX-512";
    } else if std::arch::is_x86_feature_detected!("avx2") {
        return "AVX2";
    }
    "no wide instructions"
}

/// Starts the threads that work is shared between: here, where it can fail with a word. Without a
/// number that was asked for, as many as can be had do the work, this one alone if need be.
fn start_threads(global: &Global, ui: &Ui) -> fvtool::Result<()> {
    let usual = std::thread::available_parallelism().map_or(1, usize::from);
    // A pool that cannot be started cannot be tried again with fewer.
    let (startable, error) = startable(global.threads.map_or(usual, usize::from));
    let pool = rayon::ThreadPoolBuilder::new();
    let pool = match (global.threads, error) {
        (Some(threads), None) => pool.num_threads(threads.into()),
        (Some(threads), Some(error)) => return Err(cannot_start(threads.into(), &error)),
        (None, None) => pool,
        (None, Some(error)) => {
            ui.do_without_bars();
            let note = format!("fewer threads than usual: the system starts no more ({error})");
            ui.progress().note(&note);
            match startable {
                0 | 1 => pool.num_threads(1).use_current_thread(),
                several => pool.num_threads(several - 1),
            }
        }
    };
    pool.build_global().map_err(|e| cannot_start(startable, &e))
}

/// How many threads can be started at once, up to those `wanted`, and why not more.
fn startable(wanted: usize) -> (usize, Option<std::io::Error>) {
    let gate = std::sync::Mutex::new(());
    let closed = gate.lock();
    std::thread::scope(|scope| {
        // Declared here to be dropped, and so opened, before the scope waits for its threads.
        let _closed = closed;
        for started in 0..wanted {
            let wait = || drop(gate.lock());
            if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, wait) {
                return (started, Some(error));
            }
        }
        (wanted, None)
    })
}

fn cannot_start(threads: usize, error: &dyn std::fmt::Display) -> fvtool::Error {
    let problem = format!("the system does not start so many threads ({error}); give fewer");
    fvtool::Error::Config { origin: format!("--threads {threads}"), problem }
}

impl Cli {
    /// Why an option has no place here, though it is one of every command.
    fn refused(&self) -> Option<String> {
        let seeded = !matches!(
            self.command,
            Command::Predict(_)
                | Command::Describe(_)
                | Command::Inspect(_)
                | Command::Settings(_)
                | Command::Completions(_)
                | Command::Man
                | Command::BenchStage(_)
        );
        (self.global.seed.is_some() && !seeded)
            .then(|| "--seed has no meaning for this command, which makes no random choice".into())
    }
}

impl Command {
    fn run(&self, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let computes = !matches!(
            self,
            Self::Inspect(_) | Self::Settings(_) | Self::Completions(_) | Self::Man
        );
        if computes {
            fvtool::pipeline::check_processor()?;
        }
        match self {
            Self::Demo(args) => demo::run(args, global, ui, out),
            Self::Run(args) => run::run(args, global, ui, out),
            Self::Extract(args) => data_stages::extract(args, global, ui, out),
            Self::FitPca(args) => data_stages::fit_pca(args, global, ui, out),
            Self::FitGmm(args) => data_stages::fit_gmm(args, global, ui, out),
            Self::Encode(args) => data_stages::encode(args, global, ui, out),
            Self::TrainSvm(args) => train_svm::run(args, global, ui, out),
            Self::Eval(args) => eval::run(args, global, ui, out),
            Self::Explain(args) => explain::run(args, global, ui, out),
            Self::Audit(args) => audit::run(args, global, ui, out),
            Self::Predict(args) => predict::run(args, global, ui, out),
            Self::Describe(args) => describe::run(args, global, ui, out),
            Self::Inspect(args) => inspect::run(args, global, out),
            Self::Settings(args) => settings::run(args, out),
            Self::Completions(args) => shell::completions(args, out),
            Self::Man => shell::man(out),
            Self::BenchStage(args) => bench_stage::run(args, out),
        }
    }
}

impl Command {
    /// What is left of the command when it is interrupted, and what the same command then does.
    fn kept(&self) -> &'static str {
        match self {
            Self::Run(_) | Self::Encode(_) | Self::Eval(_) => {
                "stages that were finished and whole shards of 256 vectors are kept; the same command \
                 goes on from there"
            }
            Self::Demo(_) => {
                "images that were drawn, stages that were finished and whole shards of 256 vectors are \
                 kept; the same command goes on from there"
            }
            Self::Extract(_) => "nothing of the sample is kept; the same command begins anew",
            Self::FitPca(_) | Self::FitGmm(_) => {
                "stages that were finished are kept, and nothing of the one at work; the same command \
                 begins that one anew"
            }
            Self::TrainSvm(_) => {
                "models and whole shards of 256 vectors are kept, and nothing of an unfinished \
                 classifier; the same command goes on from there"
            }
            Self::Explain(_) | Self::Audit(_) => {
                "models and vectors are kept, and results that were there before; the same command \
                 begins its explanations anew, and replaces pictures that were drawn already"
            }
            Self::Predict(_) => "no prediction is kept; the same command begins anew",
            Self::Describe(_)
            | Self::Inspect(_)
            | Self::Settings(_)
            | Self::Completions(_)
            | Self::Man
            | Self::BenchStage(_) => "nothing was written; the same command begins anew",
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said to be kept differs as what is kept does.
    #[test]
    fn an_interrupted_command_says_what_it_kept() {
        let kept = |args: &str| {
            let args = ["fvtool"].into_iter().chain(args.split(' '));
            Cli::try_parse_from(args).map(|cli| cli.command.kept()).unwrap_or_default()
        };
        let split = "--run r --data d --split s";
        assert!(kept(&format!("encode {split}")).contains("whole shards of 256 vectors are kept"));
        assert!(kept(&format!("fit-gmm {split}")).contains("nothing of the one at work"));
        for command in ["explain", "audit"] {
            assert!(kept(&format!("{command} {split}")).contains("begins its explanations anew"));
        }
        assert!(kept("predict --run r x.png").contains("no prediction is kept"));
        assert!(!kept(&format!("extract {split}")).contains("goes on"));
    }
}
