//! All of a comparison, from two open runs to a folder of results.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::contexts::{self, Stored};
use super::page::page;
use super::pairs::{self, Drawn, choose, draw, pictures};
use super::report::{ClassReport, Listed, Report, RunReport, image_table};
use super::sides::{Common, NAMES, Side, split_of};
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::evaluation::disagreement::{Disagreement, disagreements};
use crate::evaluation::paired::{self, Paired, Precision};
use crate::explain::Rules;
use crate::explanation::Rule;
use crate::names::{COMPARISON_MARK, file_name, with_ending};
use crate::network::relevance;
use crate::pipeline::{Run, StageResult, require_apart};
use crate::random::Seed;
use crate::store::{Origin, Paths, Results, claim};
use crate::words::{counted, listed};

/// Images that are listed of each class and run.
const LISTED: usize = 10;
/// The group of a comparison's files.
const GROUP: &str = "compare";

/// How two runs are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareOptions {
    /// The split; when `None`, the only one that both runs have vectors of and neither was trained on.
    pub split: Option<String>,
    /// Folder of the results; when `None`, `compare_<A>_<B>_<split>` beside run A.
    pub output: Option<PathBuf>,
    /// Data folder that images are shown from; when `None`, that which each run was made from.
    pub data: Option<PathBuf>,
    /// The average precision that is compared.
    pub precision: Precision,
    /// Resamples of the bootstrap, 1 or more.
    pub resamples: usize,
    /// Their seed; that of run A when `None`.
    pub seed: Option<Seed>,
    /// Rule of the heatmaps.
    pub rule: Rule,
    /// How those of a run with a network go back through it; `None`: over the square that each descriptor
    /// sees.
    pub network: Option<relevance::Rule>,
    /// Heatmaps in pairs of each class: so many of the highest scored images, and so many on which the runs
    /// disagree most; none when 0.
    pub top: usize,
}

impl Default for CompareOptions {
    /// The 11-point measure, 1,000 resamples, two images of each kind a class, by the published rule.
    fn default() -> Self {
        Self {
            split: None,
            output: None,
            data: None,
            precision: Precision::Voc2007,
            resamples: 1000,
            seed: None,
            rule: Rule::PUBLISHED,
            network: None,
            top: 2,
        }
    }
}

/// Compares two runs on a split that both have vectors of, and writes `compare.html`, `compare.json`,
/// `classes.csv`, `images.csv`, `drawings/context.svg` and small heatmaps. The runs are only read
/// ([`Run::open_to_read`]).
///
/// # Errors
/// [`Error::Missing`] for a split that a run has no vectors of, [`Error::Data`] for one run twice or runs of
/// other images or labels, [`Error::Artifact`] for an output folder that holds something else.
pub fn compare(runs: [&Run<'_>; 2], options: &CompareOptions) -> Result<Report> {
    let started = Instant::now();
    let work = &runs[0].home.work;
    let dirs = real_dirs(runs)?;
    let with_network = runs.map(Run::has_network);
    if options.network.is_some() && with_network == [false; 2] {
        let what = "a network in either run, which --network-rule is for".into();
        return Err(Error::Missing { what, hint: "leave --network-rule out".into() });
    }
    let rules = with_network.map(|network| Rules {
        descriptors: options.rule,
        network: options.network.filter(|_| network),
    });
    let split = split_of(runs, options.split.as_deref())?;
    let sides = [Side::open(runs[0], &split)?, Side::open(runs[1], &split)?];
    let both = [&sides[0], &sides[1]];
    let common = Common::of(both)?;
    let folder = output_folder(&dirs, &split, options)?;
    let text =
        "`fvtool compare` made this folder, and makes its results anew when it is called again.\n";
    let _held = claim(&folder, COMPARISON_MARK, text, ["folder of a comparison", "--output"])?;

    let paired = Paired {
        labels: &common.labels,
        scores: [common.scores[0].view(), common.scores[1].view()],
        single_label: common.single_label,
    };
    let seed = options.seed.unwrap_or(runs[0].config().seed);
    let params =
        paired::Params { precision: options.precision, resamples: options.resamples, seed };
    let measured = paired::compare(&paired, &params, work.progress)?;
    let alone = disagreements(&paired)?;
    let stored = both.map(contexts::read);
    let stored = [&stored[0], &stored[1]];
    let chosen = choose(&common, &alone, options.top)?;
    let drawn: [Drawn; 2] = match chosen.is_empty() {
        true => [Ok(Default::default()), Ok(Default::default())],
        false => {
            let data = options.data.as_deref();
            let draw = |at: usize| draw(&sides[at], &common, &chosen, data, rules[at]);
            [draw(0)?, draw(1)?]
        }
    };
    let pictures = pictures(&common, &chosen, [&drawn[0], &drawn[1]], &folder.join("heatmaps"));

    let mut remarks = remarks(both, &common);
    remarks.extend(contexts::remarks(stored, &common.classes));
    remarks.extend(pairs::remarks([&drawn[0], &drawn[1]], chosen.len()));
    remarks.iter().for_each(|remark| work.progress.note(remark));
    let run_of = |at: usize| run_report(&sides[at], stored[at], &drawn[at], rules[at]);
    let [page_path, json, table, images, chart] =
        ["compare.html", "compare.json", "classes.csv", "images.csv", "drawings/context.svg"]
            .map(|name| folder.join(name));
    let report = Report {
        runs: [run_of(0), run_of(1)],
        images: common.ids.len(),
        left_out: common.left_out,
        classes_alone: common.classes_alone.clone(),
        single_label: common.single_label,
        precision: options.precision,
        resamples: options.resamples,
        seed: seed.0,
        map: measured.map,
        accuracy: measured.accuracy,
        mean_class_accuracy: measured.mean_class_accuracy,
        classes: classes(&common, &measured, &alone, stored),
        disagreements: first_of_each(&alone, &common),
        heatmaps: pictures.iter().map(|pictures| pictures.pair.clone()).collect(),
        remarks,
        page: page_path.clone(),
        table: table.clone(),
        disagreements_table: images.clone(),
        split,
    };
    let ratios = report.classes.iter().map(|class| (class.class.clone(), class.context));
    let drawing = contexts::drawing(&report.split, ratios, stored);
    let mut files: Vec<(PathBuf, Vec<u8>)> = vec![
        (table, report.class_table().into_bytes()),
        (images, image_table(&alone, &common.ids, &common.classes).into_bytes()),
        (json, serde_json::to_vec_pretty(&report).expect("a report is JSON")),
        (page_path, page(&report, drawing.clone(), stored, &pictures).into_bytes()),
    ];
    files.extend(drawing.map(|drawing| (chart, drawing.into_bytes())));
    for pictures in &pictures {
        let photograph = pictures.photograph().expect("a picture has a view of one run at least");
        files.push((pictures.pair.photograph.clone(), photograph.to_vec()));
        for (file, view) in pictures.pair.files.iter().zip(pictures.views) {
            files.extend(file.clone().zip(view).map(|(file, view)| (file, view.heat.clone())));
        }
    }
    write(both, &common, &folder, &report.split, &files)?;
    let text = format!("{}; {}", counted(report.images, "image"), report.page.display());
    let result = StageResult::made("compare", Vec::new(), text, started);
    work.finish(result.of_split(&report.split).with_artifacts(vec![report.page.clone()]));
    Ok(report)
}

/// The folders of both runs without links.
///
/// # Errors
/// [`Error::Data`] when both are one.
fn real_dirs(runs: [&Run<'_>; 2]) -> Result<[PathBuf; 2]> {
    let [a, b] = runs.map(|run| run.dir().canonicalize().map_err(Error::io("find", run.dir())));
    let (a, b) = (a?, b?);
    if a == b {
        let problem = "the same run twice; name another one with --run";
        return Err(Error::data(runs[1].dir(), problem));
    }
    Ok([a, b])
}

/// Where the results go: outside of both runs.
fn output_folder(dirs: &[PathBuf; 2], split: &str, options: &CompareOptions) -> Result<PathBuf> {
    let name = |dir: &PathBuf| file_name(&dir.file_name().unwrap_or_default().to_string_lossy());
    let folder = match &options.output {
        Some(output) => output.clone(),
        None => {
            let name =
                format!("compare_{}_{}_{}", name(&dirs[0]), name(&dirs[1]), file_name(split));
            let name = with_ending(&name, "");
            dirs[0].parent().map_or_else(|| PathBuf::from(&name), |parent| parent.join(&name))
        }
    };
    let real = real_place(&folder)?;
    if let Some(dir) = dirs.iter().find(|dir| real.starts_with(dir)) {
        let problem = format!(
            "inside the run {}, which is only read; name a folder elsewhere for --output",
            dir.display()
        );
        return Err(Error::data(folder, problem));
    }
    if let Some(data) = &options.data {
        require_apart(&folder, data)?;
    }
    Ok(folder)
}

/// The path of a folder that may not be there yet, without links in what is there.
fn real_place(folder: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(folder).map_err(Error::io("find", folder))?;
    for above in absolute.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = absolute.strip_prefix(above).expect("an ancestor is a prefix");
            return Ok(real.join(rest));
        }
    }
    Ok(absolute)
}

/// What a reader must know of the runs themselves.
fn remarks(sides: [&Side<'_, '_>; 2], common: &Common) -> Vec<String> {
    let mut remarks = Vec::new();
    let [a, b] = sides;
    for (name, left_out) in NAMES.iter().zip(common.left_out) {
        if left_out > 0 {
            remarks.push(format!(
                "{name} has no vector of {} that the other run has: left out of every figure",
                counted(left_out, "image")
            ));
        }
    }
    for (name, alone) in NAMES.iter().zip(&common.classes_alone) {
        if !alone.is_empty() {
            remarks.push(format!(
                "{} of {name} alone, left out of every figure: {}",
                counted(alone.len(), "class"),
                listed(alone)
            ));
        }
    }
    if !common.single_label && a.index.single_label && b.index.single_label {
        remarks
            .push("accuracies are not compared, since the runs know different classes".to_owned());
    }
    for (name, side) in NAMES.iter().zip(sides) {
        if side.trained_on == side.index.split {
            remarks.push(format!(
                "{name} was trained on this very split: its figures say nothing of new images"
            ));
        }
    }
    if a.trained_on != b.trained_on {
        remarks.push(format!(
            "A was trained on split `{}`, B on `{}`: what differs is the data too",
            a.trained_on, b.trained_on
        ));
    }
    if a.svm_print == b.svm_print && a.index.fingerprint == b.index.fingerprint {
        remarks.push(
            "both runs hold the same classifier and the same vectors: nothing differs".into(),
        );
    }
    remarks
}

fn run_report(side: &Side<'_, '_>, stored: &Stored, drawn: &Drawn, rules: Rules) -> RunReport {
    RunReport {
        run: side.run.dir().to_owned(),
        trained_on: side.trained_on.clone(),
        dimensions: side.index.dim,
        context_rule: stored.as_ref().ok().map(|stored| stored.report.rule.clone()),
        context_missing: stored.as_ref().err().cloned(),
        heatmap_rule: drawn
            .as_ref()
            .is_ok_and(|views| !views.is_empty())
            .then(|| rules.to_string()),
        heatmaps_missing: drawn.as_ref().err().cloned(),
    }
}

fn classes(
    common: &Common,
    measured: &paired::Comparison,
    alone: &[Disagreement],
    stored: [&Stored; 2],
) -> Vec<ClassReport> {
    let report = |(class, name): (usize, &String)| ClassReport {
        class: name.clone(),
        positives: common.labels.iter().filter(|labels| labels[class] == Label::Yes).count(),
        average_precision: measured.classes[class],
        context: stored.map(|stored| contexts::ratio(stored, name)),
        right_alone: [0, 1].map(|side| {
            alone.iter().filter(|found| found.class == class && found.right == side).count()
        }),
    };
    common.classes.iter().enumerate().map(report).collect()
}

/// The first images of each class and run.
fn first_of_each(alone: &[Disagreement], common: &Common) -> Vec<Listed> {
    let mut counts = vec![[0; 2]; common.classes.len()];
    let mut first = Vec::new();
    for found in alone {
        let count = &mut counts[found.class][found.right];
        *count += 1;
        if *count <= LISTED {
            first.push(Listed::of(found, &common.ids, &common.classes));
        }
    }
    first
}

/// Writes all files, in place of those of an earlier call.
fn write(
    sides: [&Side<'_, '_>; 2],
    common: &Common,
    folder: &Path,
    split: &str,
    files: &[(PathBuf, Vec<u8>)],
) -> Result<()> {
    let join = |of: &dyn Fn(&Side<'_, '_>) -> String| sides.map(of).join(" ");
    let origin = Origin::new(
        split,
        &join(&|side| side.svm_print.clone()),
        &join(&|side| side.index.fingerprint.clone()),
        &common.classes,
        &common.labels,
    );
    let paths = Paths::new(folder);
    let results = Results { paths: &paths, say: &*sides[0].run.home.work };
    let outputs = results.outputs(GROUP, &origin, files.iter().map(|(path, _)| path))?;
    for (path, bytes) in files {
        outputs.bytes(path, bytes)?;
    }
    outputs.end()
}
