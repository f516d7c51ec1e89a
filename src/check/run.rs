//! All checks of the splits of a data folder, and where a run is given those that need vectors and scores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array2;

use super::confident::{Suspect, suspects};
use super::finding::{Check, CheckReport, Finding, Measures, Named};
use super::images::{Facts, look};
use super::near::neighbours;
use crate::dataset::{Dataset, Label, Split, labels_for};
use crate::describer::{Reader, Seen};
use crate::error::{Error, Result};
use crate::evaluation::leak::{Same, TrainingImage, Without};
use crate::evaluation::{self, Scored};
use crate::image;
use crate::linalg::{Rows, Stacked};
use crate::memory::Need;
use crate::pipeline::{Run, StageResult, TrainedOn};
use crate::plain::{self, push_record};
use crate::progress::Progress;
use crate::svm::{self, HeldOutScores};
use crate::words::{counted, did_you_mean, listed};

/// A class with fewer images is small whatever the others have.
const FEW: usize = 10;
/// A class with this many times fewer images than the largest is small beside it.
const UNEVEN: usize = 10;

/// The checks that pixels and labels alone allow.
const OF_PIXELS: [Check; 7] = [
    Check::Leak,
    Check::Contradiction,
    Check::ExactCopy,
    Check::Unreadable,
    Check::Blank,
    Check::Tiny,
    Check::Imbalance,
];

/// Images of several splits, as they were opened and looked at.
struct Looked {
    splits: Vec<Split>,
    facts: Vec<Vec<Result<Facts, String>>>,
}

/// An image by its numbers of split and item.
type At = (usize, usize);

impl Looked {
    fn open(
        dataset: &Dataset,
        names: &[String],
        split: impl Fn(&str) -> Result<Split>,
        reader: &Reader,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let known = dataset.splits();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            let near = did_you_mean(name, &known);
            let problem = format!("not a split of the data; they are {}{near}", listed(&known));
            return Err(Error::data(format!("split `{name}`"), problem));
        }
        let splits = names.iter().map(|name| split(name)).collect::<Result<Vec<_>>>()?;
        let facts = look(&splits, reader, progress)?;
        Ok(Self { splits, facts })
    }

    fn named(&self, (split, item): At) -> Named {
        let split = &self.splits[split];
        Named { split: split.name.clone(), id: split.items[item].id.clone() }
    }

    fn facts(&self, (split, item): At) -> Option<&Facts> {
        self.facts[split][item].as_ref().ok()
    }

    fn all(&self) -> impl Iterator<Item = At> + '_ {
        let splits = self.splits.iter().enumerate();
        splits.flat_map(|(s, split)| (0..split.items.len()).map(move |i| (s, i)))
    }

    /// The classes that an image shows, by name.
    fn labels(&self, (split, item): At) -> BTreeSet<&str> {
        let split = &self.splits[split];
        let shown = split.classes.iter().zip(&split.labels[item]);
        shown.filter(|(_, label)| **label == Label::Yes).map(|(class, _)| class.as_str()).collect()
    }

    /// Images of the same pixels, those that have copies.
    fn same_pixels(&self) -> Vec<Vec<At>> {
        let mut by_pixels: BTreeMap<[u8; 32], Vec<At>> = BTreeMap::new();
        for at in self.all() {
            if let Some(facts) = self.facts(at) {
                by_pixels.entry(*facts.hash.as_bytes()).or_default().push(at);
            }
        }
        by_pixels.into_values().filter(|same| same.len() > 1).collect()
    }

    /// What pixels and labels alone say.
    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for at in self.all() {
            let named = self.named(at);
            let facts = match &self.facts[at.0][at.1] {
                Ok(facts) => facts,
                Err(reason) => {
                    found.push(finding(Check::Unreadable, 1.0, vec![named], reason.clone()));
                    continue;
                }
            };
            if facts.is_blank() {
                let summary =
                    format!("its luminance varies by {:.1} of 255 alone", facts.deviation);
                let score = 1.0 - facts.deviation / 255.0;
                found.push(finding(Check::Blank, score, vec![named.clone()], summary));
            }
            if facts.is_tiny() {
                let summary = format!("{} pixels on its shorter side", facts.side);
                let score = 1.0 / (1.0 + facts.side as f64 / 32.0);
                found.push(finding(Check::Tiny, score, vec![named], summary));
            }
        }
        found.extend(self.same_pixels().iter().flat_map(|same| self.copies(same, None)));
        found.extend(self.splits.iter().flat_map(imbalance));
        found
    }

    /// Images that are copies of each other; near ones by their cosine and what is usual for them.
    fn copies(&self, same: &[At], cosine: Option<[f32; 2]>) -> Vec<Finding> {
        let mut found = Vec::new();
        // The image of the later split comes first: it is the one that ought not to be known.
        let mut images: Vec<Named> = same.iter().rev().map(|at| self.named(*at)).collect();
        images.dedup();
        let score = cosine.map_or(1.0, |c| f64::from(c[0]).clamp(0.0, 1.0));
        let how = match cosine {
            None => "the same pixels".to_owned(),
            Some([cosine, usual]) => format!("cosine {cosine:.2} where {usual:.2} is usual"),
        };
        let across = same.iter().any(|at| at.0 != same[0].0);
        let check = match (across, cosine.is_some()) {
            (true, false) => Check::Leak,
            (true, true) => Check::NearLeak,
            (false, false) => Check::ExactCopy,
            (false, true) => Check::NearCopy,
        };
        found.push(finding(check, score, images.clone(), how.clone()));
        let labels: BTreeSet<BTreeSet<&str>> = same.iter().map(|at| self.labels(*at)).collect();
        if labels.len() > 1 {
            let of = |labels: &BTreeSet<&str>| match labels.is_empty() {
                true => "none".to_owned(),
                false => labels.iter().copied().collect::<Vec<_>>().join(" and "),
            };
            let labels: Vec<String> = labels.iter().map(of).collect();
            let summary = format!("{how}, labelled {}", labels.join(" and then "));
            found.push(finding(Check::Contradiction, score, images, summary));
        }
        found
    }
}

fn finding(check: Check, score: f64, images: Vec<Named>, summary: String) -> Finding {
    Finding { check, score, images, summary, label: None, suggested: None }
}

/// Classes of a split with few images.
fn imbalance(split: &Split) -> Vec<Finding> {
    let shown = |class: usize| split.labels.iter().filter(|l| l[class] == Label::Yes).count();
    let counts: Vec<usize> = (0..split.classes.len()).map(shown).collect();
    let largest = counts.iter().copied().max().unwrap_or(0);
    let small = counts.iter().enumerate().filter(|(_, count)| **count < FEW.max(largest / UNEVEN));
    let found = small.map(|(class, &count)| {
        let summary = format!(
            "`{}` has {} in `{}`, the largest class {largest}",
            split.classes[class],
            counted(count, "image"),
            split.name
        );
        let score = 1.0 - count as f64 / largest.max(1) as f64;
        Finding {
            label: Some(split.classes[class].clone()),
            ..finding(Check::Imbalance, score, Vec::new(), summary)
        }
    });
    found.collect()
}

/// Checks a data folder without a run: what pixels and labels alone say.
///
/// # Errors
/// As [`Dataset::open`]; [`Error::Data`] for a split that is not there; [`Error::Interrupted`].
pub fn check_data(
    dataset: &Dataset,
    splits: &[String],
    image: &image::Params,
    progress: &dyn Progress,
) -> Result<CheckReport> {
    let names = chosen(dataset, splits, &[]);
    let reader = Reader::new(image, &Arc::new(Seen::default()));
    let looked = Looked::open(dataset, &names, |name| dataset.split(name), &reader, progress)?;
    Ok(report(&looked, looked.findings(), OF_PIXELS.to_vec()))
}

/// The splits that are meant: those asked for, those of the run, the usual ones, or all.
fn chosen(dataset: &Dataset, asked: &[String], of_run: &[String]) -> Vec<String> {
    let known = dataset.splits();
    let of_run: Vec<String> = of_run.iter().filter(|name| known.contains(name)).cloned().collect();
    let usual: Vec<String> = dataset.usual_splits().into_iter().flatten().collect();
    [asked.to_vec(), of_run, usual].into_iter().find(|names| !names.is_empty()).unwrap_or(known)
}

fn report(looked: &Looked, mut findings: Vec<Finding>, checked: Vec<Check>) -> CheckReport {
    let rank = |check: Check| Check::ALL.iter().position(|known| *known == check);
    findings.sort_by(|a, b| {
        let key = |f: &Finding| rank(f.check);
        key(a).cmp(&key(b)).then(b.score.total_cmp(&a.score)).then_with(|| a.images.cmp(&b.images))
    });
    CheckReport {
        splits: looked.splits.iter().map(|s| (s.name.clone(), s.items.len())).collect(),
        checked,
        findings,
        measures: Vec::new(),
        table: None,
    }
}

impl Run<'_> {
    /// Checks splits of a data folder (those that the run has vectors of, where none is named): copies
    /// within and across splits, labels that look wrong, images that are not like others, and the measures
    /// without copies of training images. Writes `check.json`, the findings and the probabilities of images
    /// held out as tables into the folder `check`.
    ///
    /// # Errors
    /// As [`check_data`] and [`Run::explain`].
    pub fn check(&self, data: &Path, splits: &[String]) -> Result<CheckReport> {
        let started = Instant::now();
        self.begin();
        let dataset = self.open_data(data)?;
        self.bring_classifier()?;
        let trained = self.trained_on()?;
        let mut of_run = vec![trained.index.split.clone()];
        of_run.extend(self.splits()?.into_iter().filter(|name| *name != trained.index.split));
        let names = chosen(&dataset, splits, &of_run);
        let work = &self.home.work;
        let reader = Reader::new(&self.config().image, &work.seen);
        let of_name = |name: &str| self.home.split(&dataset, name);
        let looked = Looked::open(&dataset, &names, of_name, &reader, work.progress)?;
        for split in &looked.splits {
            self.encode_split(split)?;
        }
        let mut findings = looked.findings();
        let copies = self.near(&looked, &mut findings, &trained)?;
        let (suspected, probabilities) = self.suspected(&looked, &trained)?;
        findings.extend(suspected);
        let mut report = report(&looked, findings, Check::ALL.to_vec());
        report.measures = self.measures(&looked, &trained, &copies)?;
        let folder = self.home.paths.checks();
        let [list, table, held_out] =
            ["check.json", "findings.csv", "held_out.csv"].map(|name| folder.join(name));
        report.table = Some(table.clone());
        let origin = trained.origin();
        let outputs = self.home.results().outputs("check", &origin, [&list, &table, &held_out])?;
        let json = serde_json::to_string_pretty(&report).expect("a report is JSON");
        outputs.text(&list, &json)?;
        outputs.text(&table, &table_of(&report))?;
        outputs.text(&held_out, &probabilities)?;
        outputs.end()?;
        let images: usize = report.splits.iter().map(|split| split.1).sum();
        let text = format!(
            "{} of {}; {}",
            counted(report.findings.len(), "finding"),
            counted(images, "image"),
            plain::path(&folder)
        );
        work.finish(StageResult::made("check", Vec::new(), text, started));
        Ok(report)
    }

    /// Adds near copies and outliers; the images of each split that are copies or near copies of training
    /// images, each with one of these.
    fn near(
        &self,
        looked: &Looked,
        findings: &mut Vec<Finding>,
        trained: &TrainedOn,
    ) -> Result<BTreeMap<At, At>> {
        let mut places: Vec<At> = Vec::new();
        let mut rows = Vec::new();
        for (number, split) in looked.splits.iter().enumerate() {
            let index = self.index(&split.name)?;
            let items: BTreeMap<&str, usize> =
                split.items.iter().enumerate().map(|(i, item)| (&*item.id, i)).collect();
            places.extend(index.images.iter().map(|image| (number, items[&*image.id])));
            rows.push(self.vectors(&index)?);
        }
        let all = Stacked::new(rows.iter().map(|rows| rows as &dyn Rows).collect());
        let n = all.len() as u64;
        let work = &self.home.work;
        let need = Need {
            stage: "check",
            fixed: 8 * n * n,
            each: 0,
            formula: format!("8 bytes × {n}² images"),
            way_out: "check fewer splits (--split) or raise --max-memory",
        };
        work.memory.workers(&need)?;
        let products = svm::inner_products(&all, work.progress)?;
        let found = neighbours(products.view());
        drop(products);
        let blank = |at: At| looked.facts(at).is_none_or(Facts::is_blank);
        let hash = |at: At| looked.facts(at).map(|facts| facts.hash);
        let of_training = looked.splits.iter().position(|s| s.name == trained.index.split);
        let mut copies = BTreeMap::new();
        let mut copy = |a: At, b: At| {
            for (this, other) in [(a, b), (b, a)] {
                if Some(other.0) == of_training && Some(this.0) != of_training {
                    copies.entry(this).or_insert(other);
                }
            }
        };
        for same in looked.same_pixels() {
            for (i, &a) in same.iter().enumerate() {
                same[..i].iter().for_each(|&b| copy(a, b));
            }
        }
        for &(i, j, cosines) in &found.pairs {
            let (a, b) = (places[i], places[j]);
            if hash(a) == hash(b) || (blank(a) && blank(b)) {
                continue;
            }
            copy(a, b);
            findings.extend(looked.copies(&[a.min(b), a.max(b)], Some(cosines)));
        }
        for &(i, typical) in &found.outliers {
            let summary = format!(
                "its ten nearest images have a mean cosine of {typical:.3}, of others at least {:.3}",
                found.usual
            );
            let score = f64::from(1.0 - typical.clamp(0.0, 1.0));
            findings.push(finding(Check::Outlier, score, vec![looked.named(places[i])], summary));
        }
        Ok(copies)
    }

    /// Labels that look wrong, and the probabilities that say so as CSV.
    fn suspected(&self, looked: &Looked, trained: &TrainedOn) -> Result<(Vec<Finding>, String)> {
        let TrainedOn { model, index, vectors, labels, .. } = trained;
        let (params, progress) = (&self.config().svm, self.home.work.progress);
        let held_out = svm::held_out(vectors, labels, model, params, self.config().seed, progress)?;
        let mut table = String::new();
        let header = ["split", "image"].into_iter().chain(model.classes.iter().map(String::as_str));
        push_record(&mut table, header);
        let mut found = Vec::new();
        for split in &looked.splits {
            let (ids, labels, scores) = match split.name == index.split {
                true => {
                    let ids = index.images.iter().map(|image| image.id.clone()).collect();
                    (ids, labels.clone(), held_out.scores.clone())
                }
                false => {
                    let ids: Vec<String> = split.items.iter().map(|i| i.id.clone()).collect();
                    let scores = self.split_scores(split, model)?;
                    (ids, labels_for(&model.classes, split).0, by_class(&scores))
                }
            };
            let probabilities = probabilities(&held_out, &scores);
            for (i, id) in ids.iter().enumerate() {
                let of_image = probabilities
                    .iter()
                    .map(|of_class| of_class[i].map_or_else(String::new, |p| format!("{p:.6}")));
                let of_image: Vec<String> = of_image.collect();
                let fields = [split.name.as_str(), id].into_iter();
                push_record(&mut table, fields.chain(of_image.iter().map(String::as_str)));
            }
            for suspect in suspects(&labels, &probabilities, index.single_label) {
                found.push(of_suspect(split, &ids, &model.classes, &suspect));
            }
        }
        Ok((found, table))
    }

    /// The measures of splits with copies of training images, with and without these.
    fn measures(
        &self,
        looked: &Looked,
        trained: &TrainedOn,
        copies: &BTreeMap<At, At>,
    ) -> Result<Vec<Measures>> {
        let model = &trained.model;
        let mut all = Vec::new();
        for (number, split) in looked.splits.iter().enumerate() {
            let of_split: Vec<TrainingImage> = (copies.iter())
                .filter(|(at, _)| at.0 == number)
                .map(|(&at, &other)| TrainingImage {
                    id: looked.named(at).id,
                    training_id: looked.named(other).id,
                    same: Same::Vector,
                    other_labels: looked.labels(at) != looked.labels(other),
                })
                .collect();
            if of_split.is_empty() {
                continue;
            }
            let scores = self.split_scores(split, model)?;
            let ids: Vec<String> = split.items.iter().map(|item| item.id.clone()).collect();
            let labels = labels_for(&model.classes, split).0;
            let scored = Scored {
                split: &split.name,
                ids: &ids,
                classes: &model.classes,
                labels: &labels,
                scores: scores.view(),
                single_label: split.single_label,
                decision: self.config().evaluation.decision(split.single_label),
            };
            let count = of_split.len();
            let report = evaluation::evaluate(&scored)?;
            let with = Without {
                images: report.images - report.missing,
                map: report.map,
                accuracy: report.accuracy,
            };
            let report = report.with_training_images(&scored, &trained.index.split, of_split)?;
            let without = report.training_images.and_then(|found| found.without);
            all.push(Measures { split: split.name.clone(), copies: count, with, without });
        }
        Ok(all)
    }
}

/// Scores of images by class; none where an image has no score.
fn by_class(scores: &Array2<f32>) -> Vec<Vec<Option<f64>>> {
    let of_class = |column: ndarray::ArrayView1<'_, f32>| {
        column.iter().map(|&s| s.is_finite().then_some(f64::from(s))).collect()
    };
    scores.columns().into_iter().map(of_class).collect()
}

/// Probabilities by class and image; none of classes without a sigmoid.
fn probabilities(held_out: &HeldOutScores, scores: &[Vec<Option<f64>>]) -> Vec<Vec<Option<f64>>> {
    let of_class = |(scores, sigmoid): (&Vec<Option<f64>>, &Option<svm::Sigmoid>)| {
        let probability =
            |score: &Option<f64>| Some(f64::from(sigmoid.as_ref()?.probability((*score)? as f32)));
        scores.iter().map(probability).collect()
    };
    scores.iter().zip(&held_out.sigmoids).map(of_class).collect()
}

fn of_suspect(split: &Split, ids: &[String], classes: &[String], suspect: &Suspect) -> Finding {
    let Suspect { image, class, better, labelled, score } = *suspect;
    let named = Named { split: split.name.clone(), id: ids[image].clone() };
    let (label, suggested) = match (class == better, labelled) {
        (false, _) => (classes[class].clone(), classes[better].clone()),
        (true, true) => (classes[class].clone(), format!("not {}", classes[class])),
        (true, false) => (format!("not {}", classes[class]), classes[class].clone()),
    };
    let summary = format!("labelled {label}, looks like {suggested}");
    Finding {
        label: Some(label),
        suggested: Some(suggested),
        ..finding(Check::LabelSuspect, score, vec![named], summary)
    }
}

/// The findings as CSV: a line for each.
fn table_of(report: &CheckReport) -> String {
    let mut text = String::new();
    let header =
        ["check", "score", "split", "image", "other split", "other image", "label", "suggested"];
    push_record(&mut text, header.into_iter().chain(["summary"]));
    for finding in &report.findings {
        let check = serde_json::to_value(finding.check).expect("a name");
        let image = |at: usize| finding.images.get(at).map(|i| [i.split.as_str(), i.id.as_str()]);
        let [split, id] = image(0).unwrap_or_default();
        let [other_split, other_id] = image(1).unwrap_or_default();
        let score = format!("{:.4}", finding.score);
        let (label, suggested) = (&finding.label, &finding.suggested);
        let fields = [
            check.as_str().unwrap_or_default(),
            &score,
            split,
            id,
            other_split,
            other_id,
            label.as_deref().unwrap_or_default(),
            suggested.as_deref().unwrap_or_default(),
            &finding.summary,
        ];
        push_record(&mut text, fields.into_iter());
    }
    text
}
