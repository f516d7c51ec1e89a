//! The grammar of the command line, and the way from each subcommand to the file that does it.

use std::io::Write;

use crate::pipeline;
use clap::{CommandFactory, Parser, Subcommand};

use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;
use super::{
    audit, bench_stage, check, compare, cross_validate, data_stages, demo, describe, eval, explain,
    export, inspect, predict, report, revise, run, settings, shell, train_svm, why,
};

/// Classify images with Fisher vectors on a plain CPU.
///
/// dense SIFT → PCA → Gaussian mixture → Fisher vectors → linear SVM → evaluation; each stage is a
/// subcommand that leaves its artifacts in a run folder and reuses what is up to date.
#[derive(Parser)]
#[command(name = "fvtool", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
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
    /// Learn projection and mixture together, from labels (and fit what that starts from)
    FitLayer(data_stages::Stage),
    /// Encode every image of a split as a Fisher vector
    Encode(data_stages::Encode),
    /// Train the one-vs-rest classifier on an encoded split
    TrainSvm(train_svm::TrainSvm),
    /// Score and evaluate a split
    Eval(eval::Eval),
    /// Score every image by a classifier that has not seen it, fold by fold
    CrossValidate(cross_validate::CrossValidate),
    /// Draw which pixels decided, measure context, or test the heatmaps
    Explain(explain::Explain),
    /// Tell which training images made an image's score
    Why(why::WhyArgs),
    /// Look for classes that are recognised by something that is not their object
    Audit(audit::AuditArgs),
    /// Look for copies, wrong labels and images that do not belong
    Check(check::CheckArgs),
    /// Write a split on one page, with pictures
    Report(report::ReportArgs),
    /// Train again without what was found, and compare
    Revise(revise::ReviseArgs),
    /// Set two runs on the same images side by side: precision, context, heatmaps
    Compare(compare::Compare),
    /// Classify image files
    Predict(predict::Predict),
    /// Write one image's descriptors, projections and Fisher vector, for use elsewhere
    Describe(describe::Describe),
    /// Write vectors, labels and names of splits to one file, for NumPy or a spreadsheet
    Export(export::Export),
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

impl Cli {
    /// Why an option has no place here, though it is one of every command.
    pub fn refused(&self) -> Option<String> {
        let seeded = !matches!(
            self.command,
            Command::Predict(_)
                | Command::Describe(_)
                | Command::Export(_)
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
    pub fn run(&self, global: &Global, ui: &Ui, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let computes = !matches!(
            self,
            Self::Inspect(_) | Self::Settings(_) | Self::Completions(_) | Self::Man
        );
        if computes {
            pipeline::check_processor()?;
        }
        match self {
            Self::Demo(args) => demo::run(args, global, ui, out),
            Self::Run(args) => run::run(args, global, ui, out),
            Self::Extract(args) => data_stages::extract(args, global, ui, out),
            Self::FitPca(args) => data_stages::fit_pca(args, global, ui, out),
            Self::FitGmm(args) => data_stages::fit_gmm(args, global, ui, out),
            Self::FitLayer(args) => data_stages::fit_layer(args, global, ui, out),
            Self::Encode(args) => data_stages::encode(args, global, ui, out),
            Self::TrainSvm(args) => train_svm::run(args, global, ui, out),
            Self::Eval(args) => eval::run(args, global, ui, out),
            Self::CrossValidate(args) => cross_validate::run(args, global, ui, out),
            Self::Explain(args) => explain::run(args, global, ui, out),
            Self::Why(args) => why::run(args, global, ui, out),
            Self::Audit(args) => audit::run(args, global, ui, out),
            Self::Check(args) => check::run(args, global, ui, out),
            Self::Report(args) => report::run(args, global, ui, out),
            Self::Revise(args) => revise::run(args, global, ui, out),
            Self::Compare(args) => compare::run(args, global, ui, out),
            Self::Predict(args) => predict::run(args, global, ui, out),
            Self::Describe(args) => describe::run(args, global, ui, out),
            Self::Export(args) => export::run(args, global, ui, out),
            Self::Inspect(args) => inspect::run(args, global, out),
            Self::Settings(args) => settings::run(args, out),
            Self::Completions(args) => shell::completions(args, Cli::command(), out),
            Self::Man => shell::man(&Cli::command(), out),
            Self::BenchStage(args) => bench_stage::run(args, out),
        }
    }

    /// What is left of the command when it is interrupted, and what the same command then does.
    pub fn kept(&self) -> &'static str {
        match self {
            Self::Run(_) | Self::Encode(_) | Self::Eval(_) => {
                "stages that were finished and whole shards of vectors are kept; the same command \
                 goes on from there"
            }
            Self::Demo(_) => {
                "images that were drawn, stages that were finished and whole shards of vectors are \
                 kept; the same command goes on from there"
            }
            Self::CrossValidate(_) => {
                "models and whole shards of vectors are kept, and nothing of the classifiers of folds; the \
                 same command goes on from there"
            }
            Self::Extract(_) => "nothing of the sample is kept; the same command begins anew",
            Self::FitPca(_) | Self::FitGmm(_) => {
                "stages that were finished are kept, and nothing of the one at work; the same command \
                 begins that one anew"
            }
            Self::FitLayer(_) => {
                "stages that were finished are kept, and whole epochs of the layer; the same command goes on \
                 from there"
            }
            Self::TrainSvm(_) => {
                "models and whole shards of vectors are kept, and nothing of an unfinished \
                 classifier; the same command goes on from there"
            }
            Self::Explain(_) | Self::Why(_) | Self::Audit(_) => {
                "models and vectors are kept, and results that were there before; the same command \
                 begins its explanations anew, and replaces pictures that were drawn already"
            }
            Self::Check(_) => {
                "models and vectors are kept, and nothing of the check; the same command begins it anew"
            }
            Self::Report(_) => {
                "models, vectors and figures are kept, and a page that was there before; the same command begins the \
                 page anew"
            }
            Self::Revise(_) => {
                "the run is as it was, and stages of the revised one that were finished are kept; the same \
                 command goes on from there"
            }
            Self::Compare(_) => {
                "both runs are as they were, and results that were there before are kept; the same command \
                 begins anew"
            }
            Self::Predict(_) => "no prediction is kept; the same command begins anew",
            Self::Describe(_)
            | Self::Export(_)
            | Self::Inspect(_)
            | Self::Settings(_)
            | Self::Completions(_)
            | Self::Man
            | Self::BenchStage(_) => "nothing was written; the same command begins anew",
        }
    }
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
        assert!(kept(&format!("encode {split}")).contains("whole shards of vectors are kept"));
        assert!(kept(&format!("fit-gmm {split}")).contains("nothing of the one at work"));
        for command in ["explain", "audit"] {
            assert!(kept(&format!("{command} {split}")).contains("begins its explanations anew"));
        }
        assert!(kept("predict --run r x.png").contains("no prediction is kept"));
        assert!(!kept(&format!("extract {split}")).contains("goes on"));
    }
}
