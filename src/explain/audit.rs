//! The audit of a classifier: suspicions from every class's maps, each tested on images.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::explainer::{Explainer, Failure};
use super::files::write_json;
use super::heatmaps::Drawing;
use super::selection::{Case, Only, Selection};
use crate::error::{Error, Result};
use crate::explanation::Rule;
use crate::explanation::audit::{
    Effect, Finding, GRID, Kind, LEAST_IMAGES, Place, Sample, Suspicion, finding, rank, suspicions,
};
use crate::explanation::audit_words;
use crate::explanation::context::{context, inside};
use crate::explanation::pixels::Map;
use crate::explanation::quality::Draws;
use crate::pipeline::{Run, StageResult};
use crate::position::Position;
use crate::words::counted;

/// How an audit is made.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditOptions {
    /// Classes by name; all when empty.
    pub classes: Vec<String>,
    /// The rule.
    pub rule: Rule,
    /// Images looked at per class, the highest scored that show it and are recognised: 0 for all, or at
    /// least [`LEAST_IMAGES`].
    pub images: usize,
    /// Images that a suspicion is tested on, at least [`LEAST_IMAGES`].
    pub tested: usize,
}

impl AuditOptions {
    /// All classes, 200 images of each, every suspicion tested on ten of them.
    pub fn of_all_classes(rule: Rule) -> Self {
        Self { classes: Vec::new(), rule, images: 200, tested: 10 }
    }
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The split.
    pub split: String,
    /// The rule.
    pub rule: String,
    /// Pairs of a class and an image that shows it and is recognised (score above 0), looked at.
    pub pairs: usize,
    /// Fewest images that a finding rests on.
    pub least_images: usize,
    /// Classes of which nothing is said, since fewer images of them are recognised.
    pub not_judged: Vec<NotJudged>,
    /// Suspicions that were tested.
    pub tested: usize,
    /// Confirmed ones, the largest effect first.
    pub findings: Vec<Finding>,
    /// The others, the same, so that nobody has to guess how near they came.
    pub unconfirmed: Vec<Finding>,
    /// Heatmaps of the example images.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub heatmaps: PathBuf,
}

/// A class with too few recognised images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    /// The class.
    pub class: String,
    /// How many images that show it are recognised.
    pub recognised: usize,
}

/// What the audit keeps of every image, and the items that it is of; one list per class each.
struct Samples {
    of_class: Vec<Vec<Sample>>,
    items: Vec<Vec<usize>>,
}

/// Examples named and drawn for a finding.
const EXAMPLES: usize = 3;
/// Draws from the mixture that stand in for what is replaced.
const DRAWS: usize = 4096;

impl Run<'_> {
    /// Looks for classes that are recognised by something that is not their object. Writes
    /// `audit.json` and, in a folder `audit`, heatmaps of the example images.
    ///
    /// # Errors
    /// As [`Run::explain`]; [`Error::Numerical`] when fewer images are asked for than a finding needs.
    pub fn audit(&self, data: &Path, split: &str, options: &AuditOptions) -> Result<Audit> {
        let started = Instant::now();
        for (asked, option) in [(options.images, "--images"), (options.tested, "--tested")] {
            let all = option == "--images" && asked == 0;
            if asked < LEAST_IMAGES && !all {
                let problem = format!(
                    "{option} {asked} is too few: a finding needs {LEAST_IMAGES} images; ask for as \
                     many or more"
                );
                return Err(Error::Numerical { what: "audit", problem });
            }
        }
        let split = self.split_to_explain(data, split, &options.classes, &[])?;
        let explainer = self.explainer(split, options.rule.into())?;
        let selection = Selection {
            classes: Vec::new(),
            images: Vec::new(),
            only: Only::TruePositives,
            top: options.images,
        };
        // Other classes are what a class is compared with: all of them are looked at.
        let asked = explainer.class_indices(&options.classes)?;
        let cases = explainer.cases(&selection)?;
        let samples = self.samples(&explainer, &cases)?;
        let mut findings: Vec<(Finding, Vec<usize>, usize)> = Vec::new();
        let mut unconfirmed = Vec::new();
        let (mut tested, mut not_judged) = (0, Vec::new());
        for class in asked {
            let recognised = samples.items[class].len();
            if recognised < LEAST_IMAGES {
                let class = explainer.model.classes[class].clone();
                not_judged.push(NotJudged { class, recognised });
                continue;
            }
            let seed = self.config().seed;
            let mut all = suspicions(&samples.of_class, class, seed)?;
            all.extend(audit_words::suspicions(&samples.of_class, class));
            for mut suspicion in all {
                if let Kind::Words { words, .. } = &mut suspicion.kind {
                    let known = explainer.words();
                    *words = suspicion.words.iter().map(|&w| explainer.name_of(known[w])).collect();
                }
                let chosen: Vec<usize> = suspicion
                    .samples
                    .iter()
                    .take(options.tested)
                    .map(|&s| samples.items[class][s])
                    .collect();
                let effect = self.test(&explainer, class, &suspicion, &chosen)?;
                tested += 1;
                let name = &explainer.model.classes[class];
                let looked_at = match suspicion.kind {
                    // μ⁺ is of images with boxes alone.
                    Kind::Context { .. } => suspicion.samples.len(),
                    Kind::Place(_) | Kind::Strategy { .. } | Kind::Words { .. } => recognised,
                };
                let examples: Vec<usize> = chosen.iter().take(EXAMPLES).copied().collect();
                let ids = examples.iter().map(|&i| explainer.split.items[i].id.clone()).collect();
                let effect = effect.map(|(effect, spot)| {
                    if let Kind::Words { in_one_spot, .. } = &mut suspicion.kind {
                        *in_one_spot = spot;
                    }
                    effect
                });
                if let Some(effect) = effect
                    && let Some(found) = finding(name, suspicion.kind, looked_at, effect, ids)
                {
                    match found.confirmed {
                        true => findings.push((found, examples, class)),
                        false => unconfirmed.push(found),
                    }
                }
            }
        }
        let examples = examples(&findings);
        let drawing =
            Drawing { rule: options.rule, shared_scale: false, raw: false, network: None };
        let (heatmaps, path) =
            (explainer.folder.join("audit"), explainer.folder.join("audit.json"));
        let mut planned = explainer.pictures(&heatmaps, &examples, &drawing);
        planned.push(path.clone());
        let outputs = self.explanations(&explainer, "audit", &planned)?;
        self.draw_cases(&explainer, &examples, &drawing, &heatmaps, &outputs)?;
        explainer.remarks.say(self.home.work.progress);
        let mut findings: Vec<Finding> = findings.into_iter().map(|(found, ..)| found).collect();
        rank(&mut findings);
        rank(&mut unconfirmed);
        let audit = Audit {
            split: explainer.split.name.clone(),
            rule: options.rule.to_string(),
            pairs: samples.items.iter().map(Vec::len).sum(),
            least_images: LEAST_IMAGES,
            not_judged,
            tested,
            findings,
            unconfirmed,
            heatmaps,
        };
        write_json(&outputs, &path, &audit)?;
        outputs.end()?;
        let text = format!(
            "{} of recognised image and class, {} tested, {} confirmed; {}",
            counted(audit.pairs, "pair"),
            counted(tested, "suspicion"),
            audit.findings.len(),
            path.display()
        );
        self.home.work.finish(StageResult::made("audit", Vec::new(), text, started));
        Ok(audit)
    }

    /// What the audit keeps of every image, per class.
    fn samples(&self, explainer: &Explainer, cases: &[Case]) -> Result<Samples> {
        let found = self.for_each_case(explainer, "explain", cases, |case| {
            let item = explainer.item(case);
            let examined = explainer.examine(case)?;
            let relevance = explainer.relevance(&examined, &case.classes)?;
            let of_class = |(at, &class): (usize, &usize)| -> Result<Sample, Failure> {
                let map = explainer.pixels(&examined, &relevance, [at, class])?.map;
                let boxes = explainer.boxes(item, class, &examined)?;
                let [width, height] = examined.size;
                let near = inside(&grown(&boxes, width, height), width, height);
                let (words, rows) = explainer.words_outside(&examined, case.item, class, &near)?;
                Ok(Sample {
                    id: item.id.clone(),
                    score: relevance.scores[at],
                    outside: outside(&map, &boxes),
                    mu_positive: context(&map, &boxes).and_then(|c| c.mu_positive),
                    words,
                    rows,
                })
            };
            case.classes.iter().enumerate().map(of_class).collect::<Result<Vec<Sample>, Failure>>()
        })?;
        let count = explainer.model.classes.len();
        let mut all = Samples { of_class: vec![Vec::new(); count], items: vec![Vec::new(); count] };
        for (case, found) in cases.iter().zip(found) {
            for (&class, sample) in case.classes.iter().zip(found.into_iter().flatten()) {
                all.of_class[class].push(sample);
                all.items[class].push(case.item);
            }
        }
        Ok(all)
    }

    /// Replaces what is suspected, and the control, in each image, and looks how much of suspected words lies in one
    /// spot; `None` where no image allows it.
    fn test(
        &self,
        explainer: &Explainer,
        class: usize,
        suspicion: &Suspicion,
        items: &[usize],
    ) -> Result<Option<(Effect, f64)>> {
        let in_one_spot = Mutex::new(Vec::new());
        let cases: Vec<Case> =
            items.iter().map(|&item| Case { item, classes: vec![class] }).collect();
        let name = format!("test {}", explainer.model.classes[class]);
        let tests = self.for_each_case(explainer, &name, &cases, |case| {
            let examined = explainer.examine(case)?;
            let mut stream = self.config().seed.stream("counterfactual", case.item as u64);
            let perturbed = explainer.perturbed(&examined);
            let score = perturbed.score(explainer.classifier(), class);
            let fall = |rows: &[u32], draws: &Draws<'_>| {
                score - perturbed.without(explainer.classifier(), class, rows, draws)
            };
            let rows = |within: &dyn Fn(usize) -> bool| -> Vec<u32> {
                (0..examined.frames.len()).filter(|&l| within(l)).map(|l| l as u32).collect()
            };
            let [width, height] = examined.size;
            let positions: Vec<Position> =
                examined.frames.iter().map(|frame| frame.place(width, height)).collect();
            let boxes = explainer.boxes(explainer.item(case), class, &examined)?;
            let near = inside(&grown(&boxes, width, height), width, height);
            let away = |l: usize| !near[examined.frames[l].pixel(examined.size)];
            let (fallen, controls) = match &suspicion.kind {
                Kind::Place(place) | Kind::Strategy { place, .. } => {
                    let rest = |l: usize| away(l) && !place.holds(positions[l]);
                    let draws = explainer.own_draws(&examined, &rest, DRAWS, &mut stream)?;
                    let without = |place: &Place| {
                        fall(&rows(&|l| place.holds(positions[l]) && away(l)), &draws)
                    };
                    (without(place), place.elsewhere().iter().map(without).collect())
                }
                Kind::Words { .. } => {
                    let of_row = explainer.nearest_words(&examined);
                    let is_suspected =
                        |l: usize| of_row[l].is_some_and(|word| suspicion.words.contains(&word));
                    let rest = |l: usize| away(l) && !is_suspected(l);
                    let draws = explainer.own_draws(&examined, &rest, DRAWS, &mut stream)?;
                    let suspected = rows(&|l| away(l) && is_suspected(l));
                    let mut others = rows(&rest);
                    stream.shuffle(&mut others);
                    others.truncate(suspected.len());
                    let spot =
                        explainer.spot_of_words(&examined, class, &suspicion.words, &near)?;
                    in_one_spot.lock().unwrap_or_else(PoisonError::into_inner).push(spot);
                    (fall(&suspected, &draws), vec![fall(&others, &draws)])
                }
                Kind::Context { .. } => {
                    let mask = inside(&boxes, width, height);
                    let object = |l: usize| mask[examined.frames[l].pixel(examined.size)];
                    let draws = explainer.draws(&examined, DRAWS, &mut stream)?;
                    (fall(&rows(&|l| !object(l)), &draws), vec![fall(&rows(&object), &draws)])
                }
            };
            let control = controls.iter().sum::<f64>() / controls.len().max(1) as f64;
            Ok((!controls.is_empty()).then_some([score, fallen, control]))
        })?;
        let tests: Vec<[f64; 3]> = tests.into_iter().flatten().flatten().collect();
        let mean = |of: usize| tests.iter().map(|t| t[of]).sum::<f64>() / tests.len() as f64;
        let mut spots = in_one_spot.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Workers end in any order.
        spots.sort_by(f64::total_cmp);
        let spot = spots.iter().sum::<f64>() / spots.len().max(1) as f64;
        let effect =
            || Effect { images: tests.len(), score: mean(0), fall: mean(1), control: mean(2) };
        Ok((!tests.is_empty()).then(|| (effect(), spot)))
    }
}

/// Share of the positive relevance in every cell of the audit's grid, without what lies within a cell
/// of a box.
fn outside(map: &Map, boxes: &[[f32; 4]]) -> Vec<f64> {
    let near = inside(&grown(boxes, map.width, map.height), map.width, map.height);
    let total: f64 = map.values.iter().map(|v| v.max(0.0)).sum();
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    let kept = |(&value, &near): (&f64, &bool)| if near { 0.0 } else { value.max(0.0) * scale };
    let values = map.values.iter().zip(&near).map(kept).collect();
    Map { values, ..*map }.on_grid(GRID, GRID, |v| v)
}

/// Boxes grown by a cell of the audit's grid on every side: descriptors at their edge see the object.
fn grown(boxes: &[[f32; 4]], width: usize, height: usize) -> Vec<[f32; 4]> {
    let [x, y] = [width, height].map(|side| side as f32 / GRID as f32);
    boxes.iter().map(|[l, t, r, b]| [l - x, t - y, r + x, b + y]).collect()
}

/// The example images of all findings, each once with all the classes that it is an example of.
fn examples(findings: &[(Finding, Vec<usize>, usize)]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (_, items, class) in findings {
        for &item in items {
            match cases.iter_mut().find(|case| case.item == item) {
                Some(case) if !case.classes.contains(class) => case.classes.push(*class),
                Some(_) => {}
                None => cases.push(Case { item, classes: vec![*class] }),
            }
        }
    }
    cases
}
