//! Heatmaps of selected images: pictures, a table of what is on them, and the raw relevance.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::{Case, Examined, Explainer, Selection, file_name, write_json, write_png};
use crate::artifacts::{Tensor, write};
use crate::error::{Error, Result};
use crate::explanation::context::context;
use crate::explanation::heatmap::panels;
use crate::explanation::pixels::Map;
use crate::explanation::{Relevance, Rule};
use crate::pipeline::Run;
use crate::pipeline::fisher::frame_values;
use crate::pipeline::memory::Need;
use crate::pipeline::models::header;
use crate::pipeline::source::label_number;
use crate::pipeline::stage::Inputs;

/// How heatmaps are made and drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// The rule.
    pub rule: Rule,
    /// One colour scale for all heatmaps of a class, so that they can be compared; otherwise each
    /// has its own.
    pub shared_scale: bool,
    /// Also write relevance per pixel and per descriptor as safetensors.
    pub raw: bool,
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
    /// `Σ R¹ − Σ R²`: rounding.
    pub residual_pixels: f64,
    /// μ (eq. 11), where the class has boxes in the image.
    pub mu: Option<f64>,
    /// μ⁺, the same.
    pub mu_positive: Option<f64>,
    /// Relevance of the strongest colour.
    pub strongest: f64,
    /// The picture.
    #[serde(serialize_with = "super::path_text")]
    pub file: PathBuf,
}

impl Run<'_> {
    /// Draws a heatmap for every selected pair of image and class into `explain/<split>/heatmaps`,
    /// and lists them in `heatmaps.json`. Images that cannot be used any more are noted and left out.
    ///
    /// # Errors
    /// [`Error::Missing`] when the run has no classifier; [`Error::Setting`] for an unknown class,
    /// [`Error::Data`] for an unknown image.
    pub fn explain(
        &self,
        data: &Path,
        split: &str,
        selection: &Selection,
        drawing: &Drawing,
    ) -> Result<Vec<Heatmap>> {
        let explainer = self.explainer(data, split)?;
        let cases = explainer.cases(selection)?;
        let heatmaps = self.draw_cases(&explainer, &cases, drawing)?;
        let list = json!({
            "split": explainer.split.name, "rule": drawing.rule.to_string(), "heatmaps": heatmaps,
        });
        write_json(&explainer.folder.join("heatmaps.json"), &list)?;
        Ok(heatmaps)
    }

    pub(super) fn draw_cases(
        &self,
        explainer: &Explainer,
        cases: &[Case],
        drawing: &Drawing,
    ) -> Result<Vec<Heatmap>> {
        let started = Instant::now();
        let scale = if drawing.shared_scale {
            Some(self.largest_of_classes(explainer, cases, drawing.rule)?)
        } else {
            None
        };
        let drawn = self.for_each_case(&explainer.need, "explain", cases, |case| {
            let item = explainer.item(case);
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes, drawing.rule)?;
            let photograph = explainer.parts[0].encoder.photograph(item)?;
            (case.classes.iter().enumerate())
                .map(|(at, &class)| {
                    let map = explainer.map(&examined, &relevance, at);
                    let boxes = explainer.boxes(item, class, &examined);
                    let strongest = scale.as_ref().map_or(map.largest(), |s| s[class]);
                    let picture = panels(&photograph, &map, strongest, &boxes);
                    let name = &explainer.model.classes[class];
                    let folder = explainer.folder.join("heatmaps").join(file_name(name));
                    let file = folder.join(format!("{}.png", file_name(&item.id)));
                    write_png(&file, &picture)?;
                    if drawing.raw {
                        let raw = file.with_extension("safetensors");
                        write_raw(&raw, &examined, &relevance, at, &map, drawing.rule)?;
                    }
                    let found = context(&map, &boxes);
                    let sum: f64 = relevance.descriptors.column(at).sum();
                    Ok(Heatmap {
                        id: item.id.clone(),
                        class: name.clone(),
                        label: label_number(explainer.labels[case.item][class]),
                        score: relevance.scores[at],
                        relevance: sum,
                        residual: relevance.residuals[at],
                        residual_pixels: map.sum() - sum,
                        mu: found.and_then(|c| c.mu),
                        mu_positive: found.and_then(|c| c.mu_positive),
                        strongest,
                        file,
                    })
                })
                .collect::<Result<Vec<Heatmap>>>()
        })?;
        let mut heatmaps: Vec<Heatmap> = drawn.into_iter().flatten().flatten().collect();
        let place = |h: &Heatmap| explainer.model.classes.iter().position(|c| *c == h.class);
        heatmaps.sort_by(|a, b| place(a).cmp(&place(b)).then(b.score.total_cmp(&a.score)));
        let folder = explainer.folder.join("heatmaps");
        let text = format!(
            "{} heatmaps of {} images, rule {}; {}",
            heatmaps.len(),
            cases.len(),
            drawing.rule,
            folder.display()
        );
        self.done("explain", &text, started);
        Ok(heatmaps)
    }

    /// The largest absolute relevance of a pixel, per class.
    fn largest_of_classes(
        &self,
        explainer: &Explainer,
        cases: &[Case],
        rule: Rule,
    ) -> Result<Vec<f64>> {
        let found = self.for_each_case(&explainer.need, "scale", cases, |case| {
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes, rule)?;
            let maps = 0..case.classes.len();
            Ok(maps.map(|at| explainer.map(&examined, &relevance, at).largest()).collect())
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

    /// Runs `work` for every case in parallel, in order; an image that cannot be used is noted and
    /// gives `None`.
    pub(super) fn for_each_case<T: Send>(
        &self,
        need: &Need,
        task: &str,
        cases: &[Case],
        work: impl Fn(&Case) -> Result<T> + Sync,
    ) -> Result<Vec<Option<T>>> {
        self.progress.begin(task, cases.len() as u64, "images");
        let each = |case: &Case| {
            self.interrupted()?;
            let result = work(case);
            self.progress.advance(1);
            match result {
                Ok(value) => Ok(Some(value)),
                Err(error @ (Error::Image { .. } | Error::Io { .. })) if !self.strict => {
                    self.progress.note(&format!("left out: {error}"));
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        let results = self.memory.within(
            || Ok(need.clone()),
            || -> Vec<Result<Option<T>>> { cases.par_iter().with_max_len(1).map(each).collect() },
        );
        self.progress.end();
        results?.into_iter().collect()
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
    rule: Rule,
) -> Result<()> {
    let narrow =
        |values: &mut dyn Iterator<Item = f64>| -> Vec<f32> { values.map(|v| v as f32).collect() };
    let pixels = narrow(&mut map.values.iter().copied());
    let descriptors = narrow(&mut relevance.descriptors.column(at).iter().copied());
    let dimensions = relevance.dimensions.row(at).to_vec();
    let frames = frame_values(&examined.frames);
    let n = descriptors.len();
    let tensors = [
        Tensor::f32("dimensions", [dimensions.len()], &dimensions),
        Tensor::f32("descriptors", [n], &descriptors),
        Tensor::f32("frames", [n, 4], &frames),
        Tensor::f32("pixels", [map.height, map.width], &pixels),
    ];
    let report = json!({ "score": relevance.scores[at], "residual": relevance.residuals[at] });
    let inputs = Inputs::new("relevance", json!({ "rule": rule.to_string() }), &[], json!(null));
    write(path, &header("relevance", &inputs, report), &tensors)
}
