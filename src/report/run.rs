//! What a page with pictures shows of a run, gathered and looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use rayon::prelude::*;
use serde_json::Value;

use super::choice::{Choice, OfClass, choose};
use super::page::{Finding, Looked, Provenance, Stage, page};
use crate::dataset::labels_for;
use crate::describer::Reader;
use crate::error::{Error, Result};
use crate::explain::Rules;
use crate::explanation::Rule;
use crate::explanation::heatmap::jpeg;
use crate::pipeline::{Run, StageResult};
use crate::plain;
use crate::store::Origin;
use crate::words::counted;

/// Longest side of a photograph with its heatmap, of another one, and of a patch, in pixels.
const SIDE: u32 = 150;
const SMALL: u32 = 110;
const PATCH: u32 = 64;
/// Words of a class, and patches of one.
const WORDS: [usize; 2] = [3, 4];

/// What a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureReport {
    /// Heatmaps and visual words, which take time for every image; otherwise photographs alone.
    pub explained: bool,
}

impl Run<'_> {
    /// Writes the page of a split with pictures, `report/<split>.html`, evaluating the split where that is to be
    /// done. What `check` and `audit` left in the run is on it. `command` is the command line that asked for it.
    ///
    /// # Errors
    /// As [`Run::evaluate`] and [`Run::explain`].
    pub fn picture_report(
        &self,
        data: &Path,
        name: &str,
        options: PictureReport,
        command: &str,
    ) -> Result<PathBuf> {
        let started = Instant::now();
        let evaluated = self.evaluate(data, name)?;
        let split = self.split_of(data, name)?;
        let (model, svm) = self.load_svm()?;
        let index = self.index(name)?;
        let (labels, _) = labels_for(&model.classes, &split);
        let scores = self.split_scores(&split, &model)?;
        let decision = self.config().evaluation.decision(split.single_label);
        let choice = choose(&labels, scores.view(), decision, split.single_label);
        let explained = options.explained && self.require_explainable().is_ok();
        let wanted = match explained {
            true => wanted(&choice, &split, &model.classes),
            false => BTreeMap::new(),
        };
        let rules = Rules::from(Rule::PUBLISHED);
        let views = match wanted.is_empty() {
            true => BTreeMap::new(),
            false => self.views(split.clone(), &index, &wanted, rules, SIDE)?,
        };
        let words = match explained {
            true => self.word_patches(data, name, WORDS, PATCH)?,
            false => Vec::new(),
        };
        let shown = |image: usize| wanted.contains_key(&split.items[image].id);
        let photographs = self.photographs(&choice, &split, shown)?;
        let skipped: Vec<[String; 2]> =
            index.skipped.iter().map(|s| [s.id.clone(), s.reason.clone()]).collect();
        let looked = Looked {
            report: &evaluated.report,
            choice: &choice,
            ids: split.items.iter().map(|item| item.id.clone()).collect(),
            scores: scores.view(),
            labels: &labels,
            decision,
            views,
            photographs,
            words,
            checks: self.checks(&svm),
            audits: self.audits_of(name, &svm),
            skipped,
            left_out: evaluated.encoded.files.left_out.clone(),
            provenance: self.provenance(data, name, command)?,
            settings: self.config().to_toml(),
        };
        let text = page(&looked);
        let path = self.home.paths.picture_page(name);
        let origin = Origin::new(name, &svm, &index.fingerprint, &model.classes, &labels);
        let outputs = self.home.results().outputs(&format!("report/{name}"), &origin, [&path])?;
        outputs.text(&path, &text)?;
        outputs.end()?;
        let summary = format!(
            "{}, {:.1} MB; {}",
            counted(split.items.len(), "image"),
            text.len() as f64 / 1e6,
            plain::path(&path)
        );
        let result = StageResult::made("report", Vec::new(), summary, started);
        self.home.work.finish(result.of_split(name).with_artifacts(vec![path.clone()]));
        Ok(path)
    }

    /// Small photographs of mistakes, and of what is chosen of the classes where it is not `shown` with heatmaps;
    /// those that cannot be read are left out.
    fn photographs(
        &self,
        choice: &Choice,
        split: &crate::dataset::Split,
        shown: impl Fn(usize) -> bool,
    ) -> Result<BTreeMap<usize, Vec<u8>>> {
        let of_classes =
            choice.classes.iter().flat_map(OfClass::images).filter(|&image| !shown(image));
        let of_pairs = choice.pairs.iter().flat_map(|pair| pair.images.iter().copied());
        let mut images: Vec<usize> = of_classes.chain(of_pairs).collect();
        images.sort_unstable();
        images.dedup();
        let reader = Reader::new(&self.config().image, &self.home.work.seen);
        let small = |&image: &usize| -> Result<Option<(usize, Vec<u8>)>> {
            self.home.work.go_on()?;
            match reader.read(&split.items[image]) {
                Ok(photo) => Ok(Some((image, jpeg(&photo.rgb(reader.params()), SMALL)?))),
                Err(Error::Image { .. } | Error::Io { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let found = images.par_iter().with_max_len(1).map(small).collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Findings that an earlier check left, as far as they are of the classifier with this fingerprint.
    fn checks(&self, svm: &str) -> Vec<Finding> {
        let path = self.home.paths.checks().join("check.json");
        let Some(stored) = self.left_by("check", &path, svm) else { return Vec::new() };
        let of_finding = |finding: &Value| {
            let images = finding["images"].as_array().into_iter().flatten();
            let image = |image: &Value| {
                let [split, id] = ["split", "id"].map(|key| image[key].as_str().unwrap_or("?"));
                format!("{split}/{id}")
            };
            Finding {
                kind: finding["check"].as_str().unwrap_or("?").replace('-', " "),
                score: finding["score"].as_f64().map(|score| format!("{score:.2}")),
                images: images.map(image).collect::<Vec<_>>().join(" = "),
                text: finding["summary"].as_str().unwrap_or_default().to_owned(),
            }
        };
        stored["findings"].as_array().into_iter().flatten().map(of_finding).collect()
    }

    /// The same of an earlier audit.
    fn audits_of(&self, split: &str, svm: &str) -> Vec<Finding> {
        let path = self.home.paths.explanations(split).join("audit.json");
        let group = format!("explain/{split}/audit");
        let Some(stored) = self.left_by(&group, &path, svm) else { return Vec::new() };
        let of_finding = |finding: &Value| Finding {
            kind: finding["kind"].as_str().unwrap_or("?").to_owned(),
            score: None,
            images: (finding["images"].as_array().into_iter().flatten())
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            text: finding["sentence"].as_str().unwrap_or_default().to_owned(),
        };
        stored["findings"].as_array().into_iter().flatten().map(of_finding).collect()
    }

    /// A JSON file as a command left it, where it is of this classifier.
    fn left_by(&self, group: &str, path: &Path, svm: &str) -> Option<Value> {
        let bytes =
            self.home.results().output(group, path, |origin| origin.is_of_classifier(svm)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "people ask when a page was written; nothing follows from it"
    )]
    fn provenance(&self, data: &Path, split: &str, command: &str) -> Result<Provenance> {
        let trained = self.trained_split()?;
        let count = |name: &str| -> String {
            let images = self.index(name).map(|index| index.images.len());
            images.map_or_else(|_| "–".to_owned(), |images| counted(images, "image"))
        };
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let data = absolute(data);
        let stages = self.results();
        let of_stage = |stage: &StageResult| Stage {
            name: stage.stage.to_owned(),
            seconds: format!("{:.1}", stage.seconds),
            memory: stage
                .peak_memory_bytes
                .map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6)),
            text: if stage.made { stage.summary.clone() } else { "up to date".to_owned() },
        };
        let rows = [
            ("data", plain::path(&data).to_string()),
            ("run", plain::path(&absolute(self.dir())).to_string()),
            ("trained on", format!("{} ({})", plain::line(&trained), count(&trained))),
            ("evaluated on", format!("{} ({})", plain::line(split), count(split))),
            ("seed", self.config().seed.0.to_string()),
            ("command", plain::line(command).into_owned()),
            ("fvtool", env!("CARGO_PKG_VERSION").to_owned()),
            ("written", humantime::format_rfc3339_seconds(SystemTime::now()).to_string()),
        ];
        let rows = rows.into_iter().map(|(name, value)| [name.to_owned(), value]).collect();
        Ok(Provenance { rows, stages: stages.iter().map(of_stage).collect() })
    }
}

/// The pairs of image and class whose heatmaps are shown.
fn wanted(
    choice: &Choice,
    split: &crate::dataset::Split,
    classes: &[String],
) -> BTreeMap<String, Vec<String>> {
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (class, of_class) in choice.classes.iter().enumerate() {
        for image in of_class.images() {
            wanted.entry(split.items[image].id.clone()).or_default().push(classes[class].clone());
        }
    }
    wanted
}
