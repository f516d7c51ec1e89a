//! Heatmaps of selected images: pictures, a table of what is on them, and the raw relevance.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::explainer::{Examined, Explainer, Failure, Pixels};
use super::files::{write_json, write_png};
use super::rules::Rules;
use super::selection::{Case, Selection};
use crate::artifacts::{Tensor, write};
use crate::descriptors::Frame;
use crate::error::Result;
use crate::explanation::context::context;
use crate::explanation::heatmap::panels;
use crate::explanation::pixels::Map;
use crate::explanation::{Relevance, Rule};
use crate::names::with_ending;
use crate::network;
use crate::pipeline::{Run, StageResult};
use crate::store::{Inputs, Outputs};
use crate::words::counted;

/// How heatmaps are made and drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// The rule from the vector to the descriptors.
    pub rule: Rule,
    /// That from a network's descriptors to the pixels; `None`: over the square that each sees.
    pub network: Option<network::relevance::Rule>,
    /// One colour scale for all heatmaps of a class, so that they can be compared; otherwise each
    /// has its own.
    pub shared_scale: bool,
    /// Also write relevance per pixel and per descriptor as safetensors.
    pub raw: bool,
}

impl Drawing {
    fn rules(&self) -> Rules {
        Rules { descriptors: self.rule, network: self.network }
    }
}

/// One heatmap, as listed in `heatmaps.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heatmap {
    /// Image id.
    pub id: String,
    /// Class.
    pub class: String,
    /// Label: 1 yes, −1 no, 0 ignored.
    pub label: i8,
    /// `f(x)`.
    pub score: f64,
    /// `Σ R²`; equal to the score where the rule conserves.
    pub relevance: f64,
    /// `Σ R² − f(x)`.
    pub residual: f64,
    /// `Σ R¹ − Σ R²`: rounding, and what was lost on the way through projections and networks.
    pub residual_pixels: f64,
    /// Of the relevance of networks' maps, the share that reached the pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_kept: Option<f64>,
    /// μ (eq. 11), where the class has boxes in the image.
    pub mu: Option<f64>,
    /// μ⁺, the same.
    pub mu_positive: Option<f64>,
    /// Relevance of the strongest colour.
    pub strongest: f64,
    /// The picture.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub file: PathBuf,
}

/// Ending of the raw relevance of a heatmap.
const RAW: &str = ".safetensors";

impl Run<'_> {
    /// Draws a heatmap for every selected pair of image and class into `explain/<split>/heatmaps`,
    /// in place of those of an earlier call, and lists them in `heatmaps.json`. Images that cannot be used
    /// any more are noted and left out.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when the run has no classifier;
    /// [`Error::Setting`](crate::Error::Setting) for an unknown class,
    /// [`Error::Data`](crate::Error::Data) for an unknown image.
    pub fn explain(
        &self,
        data: &Path,
        split: &str,
        selection: &Selection,
        drawing: &Drawing,
    ) -> Result<Vec<Heatmap>> {
        let split = self.split_to_explain(data, split, &selection.classes, &selection.images)?;
        let explainer = self.explainer(split, drawing.rules())?;
        let cases = explainer.cases(selection)?;
        let (folder, list) =
            (explainer.folder.join("heatmaps"), explainer.folder.join("heatmaps.json"));
        let mut planned = explainer.pictures(&folder, &cases, drawing);
        planned.push(list.clone());
        let outputs = self.explanations(&explainer, "heatmaps", &planned)?;
        let heatmaps = self.draw_cases(&explainer, &cases, drawing, &folder, &outputs)?;
        explainer.remarks.say(self.home.work.progress);
        let text = json!({
            "split": explainer.split.name, "rule": drawing.rules().to_string(), "heatmaps": heatmaps,
        });
        write_json(&outputs, &list, &text)?;
        outputs.end()?;
        Ok(heatmaps)
    }

    pub(super) fn draw_cases(
        &self,
        explainer: &Explainer,
        cases: &[Case],
        drawing: &Drawing,
        folder: &Path,
        outputs: &Outputs<'_>,
    ) -> Result<Vec<Heatmap>> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let scale = if drawing.shared_scale {
            Some(self.largest_of_classes(explainer, cases)?)
        } else {
            None
        };
        let drawn = self.for_each_case(explainer, "explain", cases, |case| {
            let item = explainer.item(case);
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes)?;
            let photograph = explainer.photograph(&examined);
            (case.classes.iter().enumerate())
                .map(|(at, &class)| {
                    let Pixels { map, kept } =
                        explainer.pixels(&examined, &relevance, [at, class])?;
                    // What the pixels say does not depend on boxes: a heatmap without them is right.
                    let boxes = explainer.boxes(item, class, &examined).unwrap_or_default();
                    let strongest = scale.as_ref().map_or(map.largest(), |s| s[class]);
                    let picture = panels(&photograph, &map, strongest, &boxes);
                    let file = explainer.picture(folder, case.item, class, ".png");
                    write_png(outputs, &file, &picture)?;
                    if drawing.raw {
                        let raw = explainer.picture(folder, case.item, class, RAW);
                        write_raw(&raw, &examined, &relevance, at, &map, drawing.rules())?;
                        outputs.written(&raw)?;
                    }
                    let found = context(&map, &boxes);
                    let sum: f64 = relevance.descriptors.column(at).sum();
                    Ok(Heatmap {
                        id: item.id.clone(),
                        class: explainer.model.classes[class].clone(),
                        label: explainer.labels[case.item][class].number(),
                        score: relevance.scores[at],
                        relevance: sum,
                        residual: relevance.residuals[at],
                        residual_pixels: map.sum() - sum,
                        network_kept: kept,
                        mu: found.and_then(|c| c.mu),
                        mu_positive: found.and_then(|c| c.mu_positive),
                        strongest,
                        file,
                    })
                })
                .collect::<Result<Vec<Heatmap>, Failure>>()
        })?;
        let mut heatmaps: Vec<Heatmap> = drawn.into_iter().flatten().flatten().collect();
        let place = |h: &Heatmap| explainer.model.classes.iter().position(|c| *c == h.class);
        heatmaps.sort_by(|a, b| place(a).cmp(&place(b)).then(b.score.total_cmp(&a.score)));
        let mut kept: Vec<f64> = heatmaps.iter().filter_map(|map| map.network_kept).collect();
        kept.sort_by(f64::total_cmp);
        let kept = kept.get(kept.len() / 2).map_or_else(String::new, |median| {
            format!(" ({:.1} % of the relevance reached the pixels, median)", 100.0 * median)
        });
        let text = format!(
            "{} of {}, rule {}{kept}; {}",
            counted(heatmaps.len(), "heatmap"),
            counted(cases.len(), "image"),
            drawing.rules(),
            folder.display()
        );
        self.home.work.finish(StageResult::made("explain", Vec::new(), text, started));
        Ok(heatmaps)
    }

    /// The largest absolute relevance of a pixel, per class.
    fn largest_of_classes(&self, explainer: &Explainer, cases: &[Case]) -> Result<Vec<f64>> {
        let found = self.for_each_case(explainer, "scale", cases, |case| {
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes)?;
            let largest = |(at, &class): (usize, &usize)| {
                Ok(explainer.pixels(&examined, &relevance, [at, class])?.map.largest())
            };
            case.classes.iter().enumerate().map(largest).collect::<Result<Vec<f64>, Failure>>()
        })?;
        let mut largest = vec![0.0f64; explainer.model.classes.len()];
        for (case, of_case) in cases.iter().zip(found) {
            let of_case: Vec<f64> = of_case.unwrap_or_default();
            for (&class, value) in case.classes.iter().zip(of_case) {
                largest[class] = largest[class].max(value);
            }
        }
        Ok(largest)
    }
}

impl Explainer {
    /// The file of a heatmap, or of what belongs to it.
    fn picture(&self, folder: &Path, item: usize, class: usize, ending: &str) -> PathBuf {
        let of_class = folder.join(with_ending(&self.class_files[class], ""));
        of_class.join(with_ending(&self.item_files[item], ending))
    }

    /// All files that are about to be drawn.
    pub(super) fn pictures(
        &self,
        folder: &Path,
        cases: &[Case],
        drawing: &Drawing,
    ) -> Vec<PathBuf> {
        let endings = [Some(".png"), drawing.raw.then_some(RAW)];
        let pairs =
            cases.iter().flat_map(|case| case.classes.iter().map(|&class| (case.item, class)));
        pairs
            .flat_map(|(item, class)| {
                let endings = endings.iter().flatten();
                endings.map(move |ending| self.picture(folder, item, class, ending))
            })
            .collect()
    }
}

/// Relevance per pixel (`pixels`, height × width) and per descriptor (`descriptors`, N; `frames`,
/// N × 4: x, y, contrast, bin size).
fn write_raw(
    path: &Path,
    examined: &Examined<'_>,
    relevance: &Relevance,
    at: usize,
    map: &Map,
    rules: Rules,
) -> Result<()> {
    let narrow =
        |values: &mut dyn Iterator<Item = f64>| -> Vec<f32> { values.map(|v| v as f32).collect() };
    let pixels = narrow(&mut map.values.iter().copied());
    let descriptors = narrow(&mut relevance.descriptors.column(at).iter().copied());
    let dimensions = relevance.dimensions.row(at).to_vec();
    let frames: Vec<f32> = examined.frames.iter().flat_map(Frame::values).collect();
    let n = descriptors.len();
    let tensors = [
        Tensor::f32("dimensions", [dimensions.len()], &dimensions),
        Tensor::f32("descriptors", [n], &descriptors),
        Tensor::f32("frames", [n, 4], &frames),
        Tensor::f32("pixels", [map.height, map.width], &pixels),
    ];
    let report = json!({ "score": relevance.scores[at], "residual": relevance.residuals[at] });
    let inputs = Inputs::new("relevance", json!({ "rule": rules.to_string() }), &[], json!(null));
    write(path, &inputs.header("relevance", report), &tensors)
}
