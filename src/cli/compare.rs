//! `fvtool compare`: two runs on the same images, side by side.

use std::io::Write;
use std::path::PathBuf;

use crate::compare::{CompareOptions, compare};
use crate::evaluation::paired::Precision;
use crate::random::Seed;
use clap::{Args, ValueEnum};

use super::args::ReadFolder;
use super::explain::{NetworkRule, RuleArgs};
use super::global::Global;
use super::outcome::Outcome;
use super::ui::{Ui, column};
use super::values::whole;

/// Arguments of `compare`.
#[derive(Args)]
pub struct Compare {
    /// Run folder, given twice: run A, then run B; both are only read
    #[arg(long, value_name = "DIR", required = true)]
    run: Vec<PathBuf>,
    /// Split that both runs have vectors of
    /// [default: the only one that neither was trained on]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Folder for the results: a new one, or that of an earlier comparison
    /// [default: compare_A_B_SPLIT beside run A]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Data folder that images are shown from [default: the one that each run was made from]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Average precision that is compared
    #[arg(long, value_enum, value_name = "MEASURE", default_value_t = PrecisionArg::Voc2007)]
    ap: PrecisionArg,
    /// Resamples of the images that the intervals are from
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = whole::<u32, 100>, allow_negative_numbers = true)]
    resamples: u32,
    #[command(flatten)]
    rule: RuleArgs,
    /// How relevance goes from a network's descriptors to the pixels, in the runs that have a network
    #[arg(long, value_enum, value_name = "RULE", default_value_t = NetworkRule::Squares)]
    network_rule: NetworkRule,
    /// Heatmaps in pairs: the N highest-scoring images of each class, and the N on which the runs
    /// disagree most (0 = none)
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = whole::<usize, 0>, allow_negative_numbers = true)]
    top: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionArg {
    /// 11-point measure of VOC 2005–2009
    Voc2007,
    /// Area under the precision envelope, VOC 2010 and later
    Voc2010,
    /// Not interpolated, as scikit-learn's
    Plain,
}

pub fn run(
    args: &Compare,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let [a, b] = &args.run[..] else {
        let given = args.run.len();
        anyhow::bail!(
            "two runs are compared: name run A, then run B, each with --run (given: {given})"
        );
    };
    let open = |run: &PathBuf| ReadFolder { run: run.clone() }.open(global, ui);
    let runs = [open(a)?, open(b)?];
    let options = CompareOptions {
        split: args.split.clone(),
        output: args.output.clone(),
        data: args.data.clone(),
        precision: match args.ap {
            PrecisionArg::Voc2007 => Precision::Voc2007,
            PrecisionArg::Voc2010 => Precision::Voc2010,
            PrecisionArg::Plain => Precision::Plain,
        },
        resamples: args.resamples as usize,
        seed: global.seed.map(Seed),
        rule: args.rule.rule(),
        network: args.network_rule.rule(),
        top: args.top,
    };
    let report = compare([&runs[0], &runs[1]], &options)?;
    if global.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{}", report.text())?;
    }
    ui.say(&column("report", &report.page.display().to_string()));
    Ok(Outcome::of_left_out_of_any(&runs))
}
