//! How much context a class uses: μ of every image that shows it, and its average heatmap.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::explainer::{Failure, group};
use super::files::{write_json, write_png};
use super::rules::Rules;
use super::selection::Selection;
use crate::error::{Error, Result};
use crate::explanation::context::{Context, Summary, context};
use crate::explanation::drawings::{Bar, bars};
use crate::explanation::heatmap::paint;
use crate::explanation::pixels::Map;
use crate::names::{file_names, with_ending};
use crate::pipeline::{Run, StageResult};
use crate::plain;
use crate::plain::push_record;
use crate::store::{Origin, Outputs};
use crate::words::counted;

/// Size of average heatmaps, in cells.
const AVERAGE: [usize; 2] = [96, 72];
/// By how much an average heatmap is enlarged for its picture.
const ENLARGED: u32 = 4;
/// This kind of explanation, and its task.
const KIND: &str = "context";
/// The file of the figures.
const FIGURES: &str = "context.json";

/// Context of every class of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextReport {
    /// The split.
    pub split: String,
    /// The rule.
    pub rule: String,
    /// One entry per class, in the order of the model.
    pub classes: Vec<ClassContext>,
    /// The table of single images.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub table: PathBuf,
    /// The bar chart.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub chart: PathBuf,
}

/// Context of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassContext {
    /// The class.
    pub class: String,
    /// μ (eq. 11) over its images.
    pub mu: Summary,
    /// μ⁺ over its images.
    pub mu_positive: Summary,
    /// Share of the positive relevance inside the boxes.
    pub positive_inside: Summary,
    /// Share of the pixels inside the boxes.
    pub inside_pixels: Summary,
    /// Landscape images in the average heatmap.
    pub averaged: usize,
}

/// What one image says of one class.
struct Found {
    class: usize,
    score: f64,
    context: Option<Context>,
    /// `R¹` on the grid, by the sum of its absolute values; landscape images only.
    grid: Option<Vec<f64>>,
}

impl Run<'_> {
    /// Measures the context of every selected pair of image and class; writes `context.csv`,
    /// `context.json`, `context.svg` and an average heatmap for each class.
    ///
    /// # Errors
    /// As [`Run::explain`]; [`Error::Data`] when the images have no boxes.
    pub fn explain_context(
        &self,
        data: &Path,
        split: &str,
        selection: &Selection,
        rules: impl Into<Rules>,
    ) -> Result<ContextReport> {
        let rules = rules.into();
        let started = Instant::now();
        let split = self.split_to_explain(data, split, &selection.classes, &selection.images)?;
        if split.items.iter().all(|item| item.objects.is_empty()) {
            let problem = "no image of the split has boxes; context needs PASCAL VOC annotations";
            return Err(Error::data(data, problem));
        }
        let explainer = self.explainer(split, rules)?;
        let cases = explainer.cases(selection)?;
        let found = self.for_each_case(&explainer, KIND, &cases, |case| {
            let item = explainer.item(case);
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes)?;
            let of_class = |(at, &class): (usize, &usize)| -> Result<Found, Failure> {
                let map = explainer.pixels(&examined, &relevance, [at, class])?.map;
                let grid = (map.width >= map.height).then(|| {
                    let total: f64 = map.values.iter().map(|v| v.abs()).sum();
                    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
                    map.on_grid(AVERAGE[0], AVERAGE[1], |v| v * scale)
                });
                let boxes = explainer.boxes(item, class, &examined)?;
                let context = context(&map, &boxes);
                Ok(Found { class, score: relevance.scores[at], context, grid })
            };
            case.classes.iter().enumerate().map(of_class).collect::<Result<Vec<Found>, Failure>>()
        })?;
        explainer.remarks.say(self.home.work.progress);
        let mut of_class: Vec<Vec<Found>> =
            explainer.model.classes.iter().map(|_| Vec::new()).collect();
        let mut table = String::new();
        push_record(&mut table, COLUMNS.iter().copied());
        for (case, found) in cases.iter().zip(found) {
            for found in found.into_iter().flatten() {
                let id = &explainer.item(case).id;
                push_found(&mut table, id, &explainer.model.classes[found.class], &found);
                of_class[found.class].push(found);
            }
        }
        let folder = &explainer.folder;
        let [chart, path, figures] =
            ["context.svg", "context.csv", FIGURES].map(|name| folder.join(name));
        let average = |name: &String| average_picture(folder, name);
        let pictures: Vec<PathBuf> = explainer.class_files.iter().map(average).collect();
        let planned = pictures.iter().chain([&chart, &path, &figures]);
        let outputs = self.explanations(&explainer, KIND, planned)?;
        let mut classes = Vec::new();
        let named = explainer.model.classes.iter().zip(&pictures);
        for ((name, picture), found) in named.zip(&of_class) {
            if found.is_empty() {
                continue;
            }
            let averaged = write_average(&outputs, picture, found)?;
            let summary = |of: &dyn Fn(&Context) -> Option<f64>| {
                Summary::of(found.iter().filter_map(|f| f.context.as_ref().and_then(of)))
            };
            classes.push(ClassContext {
                class: name.clone(),
                mu: summary(&|c| c.mu),
                mu_positive: summary(&|c| c.mu_positive),
                positive_inside: summary(&|c| c.positive_inside),
                inside_pixels: summary(&|c| Some(c.inside_pixels)),
                averaged,
            });
        }
        let drawn: Vec<Bar> = classes
            .iter()
            .map(|c| Bar {
                name: plain::line(&c.class).into_owned(),
                length: c.mu_positive.median,
                mark: c.mu_positive.mean,
            })
            .collect();
        let split = plain::line(&explainer.split.name);
        let title = format!("relevance outside / inside the boxes, {split}");
        let svg =
            bars(&title, "median of μ⁺ (bar), mean (line); 1: no more inside than outside", &drawn);
        outputs.text(&chart, &svg)?;
        outputs.text(&path, &table)?;
        let report = ContextReport {
            split: explainer.split.name.clone(),
            rule: rules.to_string(),
            classes,
            table: path,
            chart,
        };
        write_json(&outputs, &figures, &report)?;
        outputs.end()?;
        let pairs: usize = of_class.iter().map(Vec::len).sum();
        let text = format!(
            "{} of image and class, rule {rules}; {}",
            counted(pairs, "pair"),
            folder.display()
        );
        self.home.work.finish(StageResult::made("context", Vec::new(), text, started));
        Ok(report)
    }
}

/// The average heatmap of a class, which has this file name.
fn average_picture(folder: &Path, class_file: &str) -> PathBuf {
    folder.join("average").join(with_ending(class_file, ".png"))
}

/// Context as an earlier command left it in a run.
pub(crate) struct StoredContext {
    pub(crate) report: ContextReport,
    /// The average heatmaps of the report's classes, as PNG; none of a class without landscape images.
    pub(crate) averages: Vec<Option<Vec<u8>>>,
}

impl Run<'_> {
    /// The context of a split whose files `is_of` the present classifier, as `explain --context` left it.
    /// `classes` are those of the classifier.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub(crate) fn stored_context(
        &self,
        split: &str,
        classes: &[String],
        is_of: impl Fn(&Origin) -> bool,
    ) -> Result<StoredContext, String> {
        let folder = self.home.paths.explanations(split);
        let group = group(split, KIND);
        let read = |path: &Path| self.home.results().output(&group, path, &is_of);
        let text = read(&folder.join(FIGURES))?;
        let report: ContextReport =
            serde_json::from_slice(&text).map_err(|e| format!("{FIGURES} is damaged: {e}"))?;
        let names = file_names(classes);
        let average = |class: &ClassContext| {
            if class.averaged == 0 {
                return Ok(None);
            }
            let at = classes.iter().position(|name| *name == class.class);
            let at = at.ok_or_else(|| format!("{FIGURES} has an unknown class"))?;
            read(&average_picture(&folder, &names[at])).map(Some)
        };
        let averages = report.classes.iter().map(average).collect::<Result<_, String>>()?;
        Ok(StoredContext { report, averages })
    }
}

const COLUMNS: &[&str] =
    &["id", "class", "score", "inside_pixels", "inside", "outside", "mu", "mu_positive"];

fn push_found(table: &mut String, id: &str, class: &str, found: &Found) {
    let text = |value: Option<f64>| value.map(|v| format!("{v:.6}")).unwrap_or_default();
    let of = |get: &dyn Fn(&Context) -> Option<f64>| text(found.context.as_ref().and_then(get));
    let fields = [
        id.to_owned(),
        class.to_owned(),
        text(Some(found.score)),
        of(&|c| Some(c.inside_pixels)),
        found.context.map(|c| format!("{:e}", c.inside)).unwrap_or_default(),
        found.context.map(|c| format!("{:e}", c.outside)).unwrap_or_default(),
        of(&|c| c.mu),
        of(&|c| c.mu_positive),
    ];
    push_record(table, fields.iter().map(String::as_str));
}

/// Writes the mean of the landscape images' heatmaps, every image with the same total; their number.
fn write_average(outputs: &Outputs<'_>, path: &Path, found: &[Found]) -> Result<usize> {
    let grids: Vec<&Vec<f64>> = found.iter().filter_map(|f| f.grid.as_ref()).collect();
    if grids.is_empty() {
        return Ok(0);
    }
    let mut values = vec![0.0; AVERAGE[0] * AVERAGE[1]];
    for grid in &grids {
        values.iter_mut().zip(grid.iter()).for_each(|(sum, value)| *sum += value);
    }
    let map = Map { width: AVERAGE[0], height: AVERAGE[1], values };
    let small = paint(&map, map.largest());
    let size = AVERAGE.map(|side| side as u32 * ENLARGED);
    let large = ::image::imageops::resize(
        &small,
        size[0],
        size[1],
        ::image::imageops::FilterType::Triangle,
    );
    write_png(outputs, path, &large)?;
    Ok(grids.len())
}
