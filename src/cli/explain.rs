//! `fvtool explain`: which pixels decided.

use std::io::Write;
use std::path::PathBuf;

use crate::explain::{
    ClassQuality, ContextReport, Drawing, Heatmap, Only, PhotoHeatmap, QualityReport, Rules,
    Selection, WordsReport,
};
use crate::explanation::Rule;
use crate::explanation::quality::Params;
use crate::network::relevance::{self, Bias};
use crate::plain;
use clap::{Args, ValueEnum};

use super::args::RunFolder;
use super::global::Global;
use super::outcome::Outcome;
use super::ui::Ui;
use super::values::whole;

/// Arguments of `explain`.
#[derive(Args)]
pub struct Explain {
    /// Data folder [default: that of the run]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Split to explain
    #[arg(long, value_name = "NAME", required_unless_present = "photo")]
    split: Option<String>,
    #[command(flatten)]
    run: RunFolder,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    rule: RuleArgs,
    /// Measure how much context each class uses: relevance outside and inside its boxes
    #[arg(long, conflicts_with = "quality")]
    context: bool,
    /// Test the heatmaps: replace the most relevant descriptors of true positives (at the
    /// equal-error-rate threshold) and watch the score
    #[arg(long, conflicts_with = "only")]
    quality: bool,
    /// Show the visual words that carry each class, with patches and heatmaps
    #[arg(long, conflicts_with_all = ["context", "quality"])]
    words: bool,
    /// How relevance goes from a network's descriptors to the pixels
    #[arg(long, value_enum, value_name = "RULE", default_value_t = NetworkRule::Squares, conflicts_with_all = ["quality", "words"])]
    network_rule: NetworkRule,
    /// One colour scale for all heatmaps of a class [default: one for each heatmap]
    #[arg(long, conflicts_with_all = ["context", "quality", "words"])]
    shared_scale: bool,
    /// New photographs to explain in place of a split's: the class of the highest score, or each --class
    #[arg(value_name = "PHOTO", conflicts_with_all = ["split", "data", "image", "only", "top", "context", "quality", "words", "shared_scale", "raw"])]
    photo: Vec<PathBuf>,
    /// Also write the relevance of dimensions, descriptors and pixels as safetensors
    #[arg(long, conflicts_with_all = ["context", "quality", "words"])]
    raw: bool,
}

/// Which images and classes.
#[derive(Args)]
struct Chosen {
    /// Class to explain; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    class: Vec<String>,
    /// Image to explain, by id; may be repeated [default: all]
    #[arg(long, value_name = "ID")]
    image: Vec<String>,
    /// Pairs of image and class
    #[arg(long, value_enum, default_value_t = OnlyArg::Present)]
    only: OnlyArg,
    /// The N highest-scoring pairs of each class (0 = all)
    /// [default: 3 for heatmaps, 10 for --quality, all for --context and --words]
    #[arg(long, value_name = "N", value_parser = whole::<usize, 0>, allow_negative_numbers = true)]
    top: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnlyArg {
    /// Images that show the class
    Present,
    /// Images that show the class and score above 0
    TruePositives,
    /// Images that do not show the class and score above 0
    FalsePositives,
    /// Images that show the class and score 0 or less
    FalseNegatives,
    /// Images that do not show the class of their highest score
    Mistakes,
    /// Every image
    All,
}

/// How relevance is shared out.
#[derive(Args)]
pub struct RuleArgs {
    /// Rule of relevance propagation
    #[arg(long, value_enum, value_name = "RULE", default_value_t = RuleArg::Epsilon)]
    rule: RuleArg,
    /// ε of the rule `epsilon`, on the scale of sums over an image's descriptors
    #[arg(long, value_name = "E", default_value_t = 100.0, value_parser = epsilon, allow_negative_numbers = true)]
    epsilon: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RuleArg {
    /// In proportion to each contribution
    Plain,
    /// As `plain`, with ε added to the denominator
    Epsilon,
    /// In proportion to the size of each contribution
    Absolute,
}

/// How relevance goes from a network's descriptors to the pixels.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum NetworkRule {
    /// Over the square that each descriptor sees
    Squares,
    /// Back through the network; what adds to a value counts (α = 1, β = 0)
    AlphaBeta,
    /// The same, and the share of a bias goes to its window, so that nothing is lost
    AlphaBetaSpread,
    /// What adds counts twice, what takes away once against it (α = 2, β = 1)
    Alpha2Beta1,
    /// Back through the network in proportion (ε = 0.01)
    Epsilon,
}

impl NetworkRule {
    pub fn rule(self) -> Option<relevance::Rule> {
        let alpha_beta = |alpha, bias| Some(relevance::Rule::AlphaBeta { alpha, bias });
        match self {
            Self::Squares => None,
            Self::AlphaBeta => alpha_beta(1.0, Bias::Ignore),
            Self::AlphaBetaSpread => alpha_beta(1.0, Bias::Spread),
            Self::Alpha2Beta1 => alpha_beta(2.0, Bias::Ignore),
            Self::Epsilon => Some(relevance::Rule::Epsilon(0.01)),
        }
    }
}

fn epsilon(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "it must be a number of at least 0".to_owned())
}

impl RuleArgs {
    pub fn rule(&self) -> Rule {
        match self.rule {
            RuleArg::Plain => Rule::Plain,
            RuleArg::Epsilon => Rule::Epsilon(self.epsilon),
            RuleArg::Absolute => Rule::Absolute,
        }
    }
}

impl Chosen {
    fn selection(&self, top: usize) -> Selection {
        Selection {
            classes: self.class.clone(),
            images: self.image.clone(),
            only: match self.only {
                OnlyArg::Present => Only::Present,
                OnlyArg::TruePositives => Only::TruePositives,
                OnlyArg::FalsePositives => Only::FalsePositives,
                OnlyArg::FalseNegatives => Only::FalseNegatives,
                OnlyArg::Mistakes => Only::Mistakes,
                OnlyArg::All => Only::All,
            },
            top: self.top.unwrap_or(top),
        }
    }
}

pub fn run(
    args: &Explain,
    global: &Global,
    ui: &Ui,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let (rule, network) = (args.rule.rule(), args.network_rule.rule());
    let Some(split) = &args.split else {
        anyhow::ensure!(
            network.is_none(),
            "--network-rule is for images of a split; leave it out for photographs"
        );
        let run = args.run.open_existing(global, ui, false)?;
        let found = run.explain_photos(&args.photo, &args.chosen.class, rule)?;
        write_either(global, out, &found, |out| write_photos(&found, out))?;
        return Ok(Outcome::Done);
    };
    let data = &args.run.data(args.data.as_deref(), global)?;
    let run = args.run.open_existing(global, ui, false)?;
    if args.context {
        let rules = Rules { descriptors: rule, network };
        let report = run.explain_context(data, split, &args.chosen.selection(0), rules)?;
        write_either(global, out, &report, |out| write_context(&report, out))?;
        return Ok(Outcome::of_left_out(&run));
    }
    if args.quality {
        let selection = args.chosen.selection(10);
        let report = run.explain_quality(data, split, &selection, rule, &Params::default())?;
        write_either(global, out, &report, |out| write_quality(&report, out))?;
        return Ok(Outcome::of_left_out(&run));
    }
    if args.words {
        let selection = args.chosen.selection(0);
        let report = run.explain_words(data, split, &selection, rule)?;
        write_either(global, out, &report, |out| write_words(&report, out))?;
        return Ok(Outcome::of_left_out(&run));
    }
    let top = if args.chosen.image.is_empty() { 3 } else { 0 };
    let drawing = Drawing { rule, network, shared_scale: args.shared_scale, raw: args.raw };
    let heatmaps = run.explain(data, split, &args.chosen.selection(top), &drawing)?;
    if heatmaps.is_empty() {
        ui.say("no pair of image and class is selected; try `--only all`");
    }
    write_either(global, out, &heatmaps, |out| write_heatmaps(&heatmaps, out))?;
    Ok(Outcome::of_left_out(&run))
}

fn write_either<T: serde::Serialize>(
    global: &Global,
    out: &mut dyn Write,
    report: &T,
    table: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    if global.json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
    } else {
        table(out)?;
    }
    Ok(())
}

/// One line per heatmap.
pub fn write_heatmaps(heatmaps: &[Heatmap], out: &mut dyn Write) -> std::io::Result<()> {
    for map in heatmaps {
        let label = match map.label {
            1 => "yes",
            0 => "ignored",
            _ => "no",
        };
        let context = map.mu_positive.map_or_else(|| "-".to_owned(), |mu| format!("{mu:.2}"));
        writeln!(
            out,
            "{}\t{}\t{label}\tscore {:+.3}\trelevance {:+.3}\tμ⁺ {context}\t{}",
            plain::line(&map.class),
            plain::line(&map.id),
            map.score,
            map.relevance,
            plain::path(&map.file)
        )?;
    }
    Ok(())
}

fn write_photos(maps: &[PhotoHeatmap], out: &mut dyn Write) -> std::io::Result<()> {
    for PhotoHeatmap { photo, class, score, relevance, file } in maps {
        let (photo, class) = (plain::line(photo), plain::line(class));
        let file = plain::path(file);
        writeln!(out, "{class}\t{photo}\tscore {score:+.3}\trelevance {relevance:+.3}\t{file}")?;
    }
    Ok(())
}

fn write_context(report: &ContextReport, out: &mut dyn Write) -> std::io::Result<()> {
    let width = width(report.classes.iter().map(|c| c.class.as_str()));
    writeln!(
        out,
        "{:width$}  images  median μ  mean μ  median μ⁺  mean μ⁺  relevance inside  area inside",
        "class"
    )?;
    for class in &report.classes {
        writeln!(
            out,
            "{:width$}  {:6}  {:8.3}  {:6.2}  {:9.3}  {:7.3}  {:14.1} %  {:9.1} %",
            plain::line(&class.class),
            class.mu_positive.count,
            class.mu.median,
            class.mu.mean,
            class.mu_positive.median,
            class.mu_positive.mean,
            100.0 * class.positive_inside.mean,
            100.0 * class.inside_pixels.mean,
        )?;
    }
    writeln!(out, "\n{}\n{}", plain::path(&report.table), plain::path(&report.chart))
}

fn write_words(report: &WordsReport, out: &mut dyn Write) -> std::io::Result<()> {
    let width = width(report.classes.iter().map(|c| c.class.as_str()));
    writeln!(out, "{:width$}  {:>12}  share  relevance  inside boxes", "class", "word")?;
    for class in &report.classes {
        for word in &class.words {
            let inside = word.inside.map_or("–".to_owned(), |i| format!("{:.0} %", 100.0 * i));
            writeln!(
                out,
                "{:width$}  {:>12}  {:4.1} %  {:+9.4}  {inside:>12}",
                plain::line(&class.class),
                plain::line(&word.word),
                100.0 * word.share,
                word.relevance,
            )?;
        }
    }
    writeln!(out, "\n{}", plain::path(&report.page))
}

fn write_quality(report: &QualityReport, out: &mut dyn Write) -> std::io::Result<()> {
    let width = width(report.classes.iter().map(|c| c.class.as_str()));
    writeln!(
        out,
        "{:width$}  images  A relevance  A random  A ascending  V relevance  V random  pointing  in boxes  ρ classifier  ρ labels  ρ mixture",
        "class"
    )?;
    let percent = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.0} %", 100.0 * value))
    };
    let rho = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:+.2}"));
    for c in &report.classes {
        let ClassQuality { area, changed, sanity, pointing, inside, .. } = c;
        writeln!(
            out,
            "{:width$}  {:6}  {:11.4}  {:8.4}  {:11.4}  {:9.0} %  {:6.0} %  {:>8}  {:>8}  {:>12}  {:>8}  {:>9}",
            plain::line(&c.class),
            c.images,
            area[0],
            area[1],
            area[2],
            100.0 * changed[0],
            100.0 * changed[1],
            percent(*pointing),
            percent(*inside),
            rho(sanity[0]),
            rho(sanity[1]),
            rho(sanity[2]),
        )?;
    }
    writeln!(
        out,
        "\nrule {}; ρ: rank correlation with a random classifier, permuted labels, a random mixture",
        report.rule
    )?;
    writeln!(out, "{}", plain::path(&report.path))
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| plain::line(name).chars().count()).max().unwrap_or(0).max(5)
}
