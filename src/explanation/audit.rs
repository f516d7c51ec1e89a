//! Where relevance concentrates that is not the object: suspicions about a class, in plain words.
//!
//! Every explained image gives a map of its positive relevance on a [`GRID`] × [`GRID`] grid, as shares
//! of the whole; what lies inside the class's boxes, or within a cell of them, is taken out (without
//! boxes everything stays). Three questions are asked of a
//! class, and each suspicion is put to a test that no map can answer: what happens to the score when
//! the descriptors there are replaced? Those of a place or of words are replaced by others of the same image, from
//! outside the boxes, which cost nothing by themselves (draws from the mixture cost `best` 0.09 where any two
//! descriptors of a hundred were replaced); surroundings and objects by draws from the mixture.
//!
//! | kind | suspicion | test: the score falls more than when |
//! |---|---|---|
//! | [`Kind::Place`] | a place that holds, outside the boxes, [`CONCENTRATION`] times its area's share of the relevance, and more than in other classes | places of the same shape elsewhere are replaced |
//! | [`Kind::Strategy`] | the same, within one group of alike maps (spectral relevance analysis) | the same |
//! | [`Kind::Words`] | visual words that hold, outside the boxes, [`CONCENTRATION`] times their share of the descriptors, and more than in other classes: wherever they are in the image | as many other descriptors outside the boxes are replaced |
//! | [`Kind::Context`] | μ⁺ high against the other classes | the object itself is replaced |
//!
//! Nothing is said from fewer than [`LEAST_IMAGES`] images, be they looked at, tested or compared with,
//! and every finding says on how many it rests. The caller gives images that are recognised alone: what
//! decides against a class is another question.
//!
//! A fall counts in units of the score, whose margin in the support vector machine is 1. Beyond
//! LRP-FV, which found the tag on VOC 2007's horses by looking; LWBMSM19 for the groups.

use serde::{Deserialize, Serialize};

use super::spectral;
use crate::error::Result;
use crate::position::Position;
use crate::random::Seed;

/// Cells of the grid along each side.
pub const GRID: usize = 16;
/// Fewest images that a finding rests on. With four, a chance of one half each would let one of sixteen
/// suspicions pass.
pub const LEAST_IMAGES: usize = 5;
/// A place has at least this multiple of the relevance of its area.
pub const CONCENTRATION: f64 = 2.0;
/// And this multiple of what other classes have there.
const ABOVE_OTHERS: f64 = 1.5;
/// A place with less of the relevance is not worth a word.
const SMALLEST_SHARE: f64 = 0.02;
/// A group smaller than this share of the images, or than [`LEAST_IMAGES`], is no strategy.
pub(super) const SMALLEST_GROUP: f64 = 0.05;
/// A suspicion is confirmed by a fall of at least this share of the margin (what others of the same image do to a score
/// in place of a place or of words is at most 0.04 in the demo's 40 sets) …
pub const SMALLEST_FALL: f64 = 0.05;
/// … or this one, where an object or its surroundings are replaced …
const SMALLEST_FALL_OF_CONTEXT: f64 = 0.1;
/// … and this multiple of the control's.
const ABOVE_CONTROL: f64 = 2.0;
/// Context is high when μ⁺ lies so many (robust) standard deviations above the other classes.
const CONTEXT_DEVIATIONS: f64 = 1.5;
/// Words are of a thing when so much of their relevance in an image lies in one spot, on average: what is spread over
/// the image is a scene.
const LEAST_IN_ONE_SPOT: f64 = 0.5;
/// Places named per class or group, at most.
const MOST_PLACES: usize = 3;

/// One explained image of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// Its score.
    pub score: f64,
    /// Share of the positive relevance in every cell, without what lies in or near the class's boxes.
    pub outside: Vec<f64>,
    /// μ⁺, where it is defined.
    pub mu_positive: Option<f64>,
    /// Share of the positive relevance of every word, of descriptors that lie in or near no box.
    pub words: Vec<f32>,
    /// Share of the descriptors that are of every word, the same.
    pub rows: Vec<f32>,
}

/// A connected set of cells where relevance concentrates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Cells, `row · GRID + column`, ascending.
    pub cells: Vec<usize>,
    /// Mean share of the positive relevance.
    pub share: f64,
    /// Share of the image's area.
    pub area: f64,
    /// Where, in words.
    pub name: String,
}

/// What is suspected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A place in the image decides.
    Place(Place),
    /// A place decides in one group of the images.
    Strategy {
        /// Images in the group.
        group: usize,
        /// The place.
        place: Place,
    },
    /// A few visual words decide, wherever they are.
    Words {
        /// Their names.
        words: Vec<String>,
        /// Images in the group that they decide in.
        group: usize,
        /// Mean share of the positive relevance.
        share: f64,
        /// Mean share of the descriptors.
        rows: f64,
        /// Of their relevance in an image, the share in the one spot that has most of it ([`super::audit_words::spot_share`]); mean over
        /// the tested images.
        in_one_spot: f64,
    },
    /// The surroundings decide.
    Context {
        /// Median μ⁺ of the class.
        mu_positive: f64,
        /// Median of the other classes' medians.
        others: f64,
    },
}

/// What a replacement did to the score, on average over images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Images tested.
    pub images: usize,
    /// Mean score before.
    pub score: f64,
    /// By how much it fell.
    pub fall: f64,
    /// By how much it fell in the control.
    pub control: f64,
}

impl Effect {
    /// Whether the fall is large, and much larger than the control's.
    pub fn confirms(&self) -> bool {
        self.fall >= SMALLEST_FALL && self.fall >= ABOVE_CONTROL * self.control
    }

    /// Whether replacing the surroundings costs more than replacing the object.
    fn surroundings_decide(&self) -> bool {
        self.fall >= SMALLEST_FALL_OF_CONTEXT && self.fall > self.control
    }
}

/// A suspicion that is not tested yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// What is suspected.
    pub kind: Kind,
    /// Indices of the samples that show it, strongest first.
    pub samples: Vec<usize>,
    /// The words that are suspected, by their numbers; empty where a place is.
    pub words: Vec<usize>,
}

/// A tested suspicion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The class.
    pub class: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// Whether the test confirms it.
    pub confirmed: bool,
    /// Recognised images of the class that were looked at.
    pub looked_at: usize,
    /// The test.
    pub effect: Effect,
    /// Example images, strongest first.
    pub images: Vec<String>,
    /// All of it in words.
    pub sentence: String,
}

/// Suspicions about class `class`, one list of samples per class in `all`; none where there are fewer
/// samples than [`LEAST_IMAGES`].
///
/// # Errors
/// [`crate::Error::Numerical`] when a map is not finite.
pub fn suspicions(all: &[Vec<Sample>], class: usize, seed: Seed) -> Result<Vec<Suspicion>> {
    let samples = &all[class];
    if samples.len() < LEAST_IMAGES {
        return Ok(Vec::new());
    }
    let every: Vec<usize> = (0..samples.len()).collect();
    let others: Vec<&Sample> =
        all.iter().enumerate().filter(|(c, _)| *c != class).flat_map(|(_, s)| s).collect();
    let mut found = Vec::new();
    // A place is one of the class only where others could have it too.
    if others.len() < LEAST_IMAGES {
        return Ok(found);
    }
    for place in places(samples, &every, &mean_map(others.iter().copied())) {
        let shown = strongest(samples, &every, &place);
        found.push(Suspicion { kind: Kind::Place(place), samples: shown, words: Vec::new() });
    }
    let maps: Vec<&[f64]> = samples.iter().map(|s| s.outside.as_slice()).collect();
    let grouping = spectral::group(&maps, seed)?;
    if grouping.groups > 1 {
        for group in 0..grouping.groups {
            let (inside, outside): (Vec<usize>, Vec<usize>) =
                every.iter().partition(|&&i| grouping.of_map[i] == group);
            let least = (SMALLEST_GROUP * samples.len() as f64).max(LEAST_IMAGES as f64);
            if (inside.len() as f64) < least {
                continue;
            }
            let rest = outside.iter().map(|&i| &samples[i]);
            let reference = mean_map(rest.chain(others.iter().copied()));
            for place in places(samples, &inside, &reference) {
                if found.iter().any(|s| s.kind.place().is_some_and(|known| known.is_like(&place))) {
                    continue;
                }
                let shown = strongest(samples, &inside, &place);
                let kind = Kind::Strategy { group: inside.len(), place };
                found.push(Suspicion { kind, samples: shown, words: Vec::new() });
            }
        }
    }
    found.extend(context(all, class));
    Ok(found)
}

/// The tested suspicion in words; `None` where fewer than [`LEAST_IMAGES`] images were looked at or tested.
/// `looked_at` images of the class led to it, of which `images` are examples.
pub fn finding(
    class: &str,
    kind: Kind,
    looked_at: usize,
    effect: Effect,
    images: Vec<String>,
) -> Option<Finding> {
    let confirmed = match kind {
        Kind::Context { .. } => effect.surroundings_decide(),
        Kind::Place(_) | Kind::Strategy { .. } => effect.confirms(),
        Kind::Words { in_one_spot, .. } => effect.confirms() && in_one_spot >= LEAST_IN_ONE_SPOT,
    };
    (effect.images.min(looked_at) >= LEAST_IMAGES).then(|| {
        let what = sentence(class, &kind, looked_at, &effect);
        let sentence = if confirmed { what } else { format!("suspected, not confirmed: {what}") };
        Finding { class: class.to_owned(), kind, confirmed, looked_at, effect, images, sentence }
    })
}

/// Findings of all classes, the largest fall first.
pub fn rank(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| f.effect.fall - f.effect.control.max(0.0);
        key(b).total_cmp(&key(a)).then_with(|| a.class.cmp(&b.class))
    });
}

impl Kind {
    /// The place, where the suspicion has one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Place(place) | Self::Strategy { place, .. } => Some(place),
            Self::Words { .. } | Self::Context { .. } => None,
        }
    }
}

impl Place {
    /// Whether a position lies in it.
    pub fn holds(&self, position: Position) -> bool {
        self.cells.binary_search(&cell_of(position)).is_ok()
    }

    /// Places of the same shape elsewhere, for comparison: moved by half the image along either
    /// axis and both, over the edge to the other side; those that overlap are left out.
    pub fn elsewhere(&self) -> Vec<Place> {
        let half = GRID / 2;
        let moved = |right: usize, down: usize| -> Place {
            let mut cells: Vec<usize> = (self.cells.iter())
                .map(|cell| {
                    let (row, column) = (cell / GRID, cell % GRID);
                    (row + down) % GRID * GRID + (column + right) % GRID
                })
                .collect();
            cells.sort_unstable();
            Place { cells, ..self.clone() }
        };
        let candidates = [moved(half, 0), moved(0, half), moved(half, half)];
        candidates.into_iter().filter(|place| self.shared(place) == 0).collect()
    }

    fn shared(&self, other: &Self) -> usize {
        self.cells.iter().filter(|cell| other.cells.binary_search(cell).is_ok()).count()
    }

    /// Whether two places are mostly the same.
    fn is_like(&self, other: &Self) -> bool {
        2 * self.shared(other) >= self.cells.len().min(other.cells.len())
    }
}

/// The cell of a position.
fn cell_of(Position { x, y, .. }: Position) -> usize {
    let side = |share: f32| ((share * GRID as f32) as usize).min(GRID - 1);
    side(y) * GRID + side(x)
}

fn mean_map<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<f64> {
    let (mut sum, mut count) = (vec![0.0; GRID * GRID], 0.0f64);
    for sample in samples {
        sum.iter_mut().zip(&sample.outside).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|value| *value /= count.max(1.0));
    sum
}

/// Where the samples `chosen` concentrate, beyond `reference`: the places with the most relevance above
/// their area's share.
fn places(samples: &[Sample], chosen: &[usize], reference: &[f64]) -> Vec<Place> {
    if chosen.is_empty() {
        return Vec::new();
    }
    let map = mean_map(chosen.iter().map(|&i| &samples[i]));
    let cell_area = 1.0 / (GRID * GRID) as f64;
    let stands_out = |cell: usize| {
        map[cell] >= CONCENTRATION * cell_area && map[cell] >= ABOVE_OTHERS * reference[cell]
    };
    let mut seen = vec![false; GRID * GRID];
    let mut found = Vec::new();
    for start in 0..GRID * GRID {
        if seen[start] || !stands_out(start) {
            continue;
        }
        let mut cells = Vec::new();
        let mut open = vec![start];
        seen[start] = true;
        while let Some(cell) = open.pop() {
            cells.push(cell);
            for next in around(cell) {
                if !seen[next] && stands_out(next) {
                    seen[next] = true;
                    open.push(next);
                }
            }
        }
        cells.sort_unstable();
        let share: f64 = cells.iter().map(|&cell| map[cell]).sum();
        if share >= SMALLEST_SHARE {
            let (area, name) = (cells.len() as f64 * cell_area, name(&cells));
            found.push(Place { share, area, name, cells });
        }
    }
    found.sort_by(|a, b| (b.share - b.area).total_cmp(&(a.share - a.area)));
    found.truncate(MOST_PLACES);
    found
}

/// The cells beside and across a corner.
fn around(cell: usize) -> impl Iterator<Item = usize> {
    let (row, column) = (cell / GRID, cell % GRID);
    let rows = row.saturating_sub(1)..(row + 2).min(GRID);
    rows.flat_map(move |r| {
        (column.saturating_sub(1)..(column + 2).min(GRID)).map(move |c| r * GRID + c)
    })
    .filter(move |other| *other != cell)
}

/// The samples with the most relevance in a place, first the strongest.
fn strongest(samples: &[Sample], chosen: &[usize], place: &Place) -> Vec<usize> {
    let within = |i: usize| -> f64 { place.cells.iter().map(|&c| samples[i].outside[c]).sum() };
    let mut order = chosen.to_vec();
    order.sort_by(|&a, &b| within(b).total_cmp(&within(a)).then(a.cmp(&b)));
    order
}

/// A suspicion when μ⁺ of a class is high against the other classes.
fn context(all: &[Vec<Sample>], class: usize) -> Option<Suspicion> {
    let median_of = |samples: &[Sample]| {
        let summary = super::context::Summary::of(samples.iter().filter_map(|s| s.mu_positive));
        (summary.count >= LEAST_IMAGES).then_some(summary.median)
    };
    let own = median_of(&all[class])?;
    let others: Vec<f64> = (all.iter().enumerate())
        .filter(|(c, _)| *c != class)
        .filter_map(|(_, samples)| median_of(samples))
        .collect();
    if others.is_empty() {
        return None;
    }
    let middle = super::context::Summary::of(others.iter().copied()).median;
    let spread = super::context::Summary::of(others.iter().map(|v| (v - middle).abs())).median;
    // 1.4826 makes the median deviation that of a normal distribution.
    let high = own > middle + CONTEXT_DEVIATIONS * 1.4826 * spread;
    let samples = &all[class];
    let mut order: Vec<usize> =
        (0..samples.len()).filter(|&i| samples[i].mu_positive.is_some()).collect();
    order.sort_by(|&a, &b| samples[b].score.total_cmp(&samples[a].score).then(a.cmp(&b)));
    high.then_some(Suspicion {
        kind: Kind::Context { mu_positive: own, others: middle },
        samples: order,
        words: Vec::new(),
    })
}

/// Where cells lie, in words.
fn name(cells: &[usize]) -> String {
    let count = cells.len() as f64;
    let mean = |of: &dyn Fn(usize) -> usize| -> f64 {
        cells.iter().map(|&c| of(c) as f64 + 0.5).sum::<f64>() / count / GRID as f64
    };
    let third = |share: f64, names: [&'static str; 3]| {
        names[if share < 1.0 / 3.0 { 0 } else { 1 + usize::from(share > 2.0 / 3.0) }]
    };
    let down = third(mean(&|c| c / GRID), ["top", "", "bottom"]);
    let across = third(mean(&|c| c % GRID), ["left", "", "right"]);
    match (down, across) {
        ("", "") => "the middle of the image".to_owned(),
        ("", side) => format!("the {side} side"),
        (edge, "") => format!("the {edge} edge"),
        (edge, side) => format!("the {edge} {side} corner"),
    }
}

fn sentence(class: &str, kind: &Kind, looked_at: usize, effect: &Effect) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let fall = format!(
        "the score of {} images falls from {:+.2} by {:.2}",
        effect.images, effect.score, effect.fall
    );
    match kind {
        Kind::Place(place) => format!(
            "`{class}` is decided at {}: {} of the positive relevance on {} of the area, boxes not \
             counted, in {looked_at} recognised images; with that replaced {fall}, with places of the same shape elsewhere by {:.2}",
            place.name,
            percent(place.share),
            percent(place.area),
            effect.control,
        ),
        Kind::Strategy { group, place } => format!(
            "in {group} of {looked_at} recognised images `{class}` is decided at {}: {} of the positive relevance \
             on {} of the area; with that replaced {fall}, with places of the same shape elsewhere \
             by {:.2}",
            place.name,
            percent(place.share),
            percent(place.area),
            effect.control,
        ),
        Kind::Words { words, group, share, rows, in_one_spot } => format!(
            "in {group} of {looked_at} recognised images `{class}` is decided by the same small thing, wherever it \
             is: {} {} with {} of the positive relevance and {} of the descriptors, boxes not counted, {} of it in one \
             spot of each image; with these replaced {fall}, with as many others outside the boxes by {:.2}",
            if words.len() == 1 { "word" } else { "words" },
            words.join(", "),
            percent(*share),
            percent(*rows),
            percent(*in_one_spot),
            effect.control,
        ),
        Kind::Context { mu_positive, others } => format!(
            "`{class}` is decided by its surroundings: a pixel outside the boxes has {mu_positive:.2} \
             times the positive relevance of one inside (other classes {others:.2}), in {looked_at} \
             recognised images; with the \
             surroundings replaced {fall}, with the object by {:.2}",
            effect.control,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    const CELLS: usize = GRID * GRID;

    /// A map of relevance spread at random, some of it in a corner.
    fn sample(stream: &mut Stream, number: usize, in_corner: f64) -> Sample {
        let mut outside: Vec<f64> = (0..CELLS).map(|_| stream.unit()).collect();
        let sum: f64 = outside.iter().sum();
        outside.iter_mut().for_each(|v| *v *= (1.0 - in_corner) / sum);
        for cell in [14 * GRID, 14 * GRID + 1, 15 * GRID, 15 * GRID + 1] {
            outside[cell] += in_corner / 4.0;
        }
        let id = format!("image{number}");
        Sample {
            id,
            score: 1.0,
            outside,
            mu_positive: Some(1.0),
            words: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn class(stream: &mut Stream, with: usize, without: usize) -> Vec<Sample> {
        (0..with + without).map(|i| sample(stream, i, if i < with { 0.3 } else { 0.0 })).collect()
    }

    fn named(found: &[Suspicion]) -> Vec<&str> {
        found.iter().filter_map(|s| s.kind.place()).map(|p| p.name.as_str()).collect()
    }

    #[test]
    fn a_tag_in_a_corner_is_suspected_in_its_class_alone() {
        let mut stream = Seed(4).stream("audit", 0);
        let all =
            [class(&mut stream, 30, 10), class(&mut stream, 0, 40), class(&mut stream, 0, 40)];
        let found = suspicions(&all, 0, Seed(1)).unwrap();
        assert_eq!(named(&found), ["the bottom left corner"]);
        let Kind::Place(place) = &found[0].kind else { panic!("{:?}", found[0].kind) };
        assert_eq!(place.cells, [224, 225, 240, 241]);
        assert!(place.holds(Position::at(0.05, 0.99)) && !place.holds(Position::at(0.5, 0.99)));
        assert!(found[0].samples[..30].iter().all(|&i| i < 30), "images with the tag come first");
        for other in [1, 2] {
            assert_eq!(named(&suspicions(&all, other, Seed(1)).unwrap()), [""; 0]);
        }
    }

    #[test]
    fn a_minority_with_a_tag_is_a_strategy() {
        let mut stream = Seed(5).stream("audit", 0);
        let all = [class(&mut stream, 8, 152), class(&mut stream, 0, 160)];
        let found = suspicions(&all, 0, Seed(1)).unwrap();
        let strategies: Vec<&Kind> = found.iter().map(|s| &s.kind).collect();
        assert!(matches!(strategies[..], [Kind::Strategy { group: 8, .. }]), "{strategies:?}");
    }

    #[test]
    fn too_few_images_are_no_suspicion() {
        let mut stream = Seed(8).stream("audit", 0);
        let enough = [class(&mut stream, LEAST_IMAGES, 0), class(&mut stream, 0, LEAST_IMAGES)];
        assert_eq!(named(&suspicions(&enough, 0, Seed(1)).unwrap()).len(), 1);
        // Of the class itself, or of those that it is compared with.
        for few in 0..2 {
            let mut all = enough.clone();
            all[few].pop();
            assert_eq!(suspicions(&all, 0, Seed(1)).unwrap(), []);
        }
    }

    #[test]
    fn what_all_classes_share_is_no_suspicion() {
        let mut stream = Seed(6).stream("audit", 0);
        let all = [class(&mut stream, 20, 0), class(&mut stream, 20, 0)];
        assert_eq!(named(&suspicions(&all, 0, Seed(1)).unwrap()), [""; 0]);
    }

    #[test]
    fn context_is_measured_against_the_other_classes() {
        let mut stream = Seed(7).stream("audit", 0);
        let mut all: Vec<Vec<Sample>> = (0..5).map(|_| class(&mut stream, 0, 10)).collect();
        for (number, samples) in all.iter_mut().enumerate() {
            let mu = if number == 2 { 1.8 } else { 0.6 + 0.05 * number as f64 };
            samples.iter_mut().for_each(|s| s.mu_positive = Some(mu));
        }
        let suspected: Vec<usize> =
            (0..5).filter(|&class| !suspicions(&all, class, Seed(1)).unwrap().is_empty()).collect();
        assert_eq!(suspected, [2]);
    }

    #[test]
    fn only_what_the_test_confirms_is_found() {
        let kind = Kind::Context { mu_positive: 2.0, others: 0.5 };
        let effect = |fall, control| Effect { images: 5, score: 1.0, fall, control };
        let found =
            |looked_at, e| finding("boat", kind.clone(), looked_at, e, vec![]).map(|f| f.sentence);
        let weak = finding("boat", kind.clone(), 30, effect(0.3, 0.4), vec![]).unwrap();
        assert!(!weak.confirmed && weak.sentence.starts_with("suspected, not confirmed: `boat`"));
        let sentence = found(30, effect(0.6, 0.4)).unwrap();
        assert!(sentence.contains("`boat` is decided by its surroundings"), "{sentence}");
        assert!(sentence.contains("in 30 recognised images; "), "{sentence}");
        assert!(sentence.contains("the score of 5 images falls"), "{sentence}");
        // From too few images, whether looked at or tested, nothing is said.
        assert_eq!(found(LEAST_IMAGES - 1, effect(0.6, 0.4)), None);
        let tested = Effect { images: LEAST_IMAGES - 1, ..effect(0.6, 0.4) };
        assert_eq!(found(30, tested), None);
        assert!(effect(0.3, 0.1).confirms() && !effect(0.3, 0.2).confirms());
        assert!(!effect(0.04, 0.0).confirms(), "too small to matter");
    }

    #[test]
    fn places_elsewhere_have_the_same_shape() {
        let place =
            |cells: Vec<usize>| Place { cells, share: 0.1, area: 0.01, name: String::new() };
        let corner = place(vec![224, 225, 240, 241]);
        let others = corner.elsewhere();
        assert_eq!(others.len(), 3);
        assert_eq!(others[0].cells, [232, 233, 248, 249]);
        assert!(place((0..CELLS).collect()).elsewhere().is_empty());
    }

    #[test]
    fn places_have_names() {
        assert_eq!(name(&[0]), "the top left corner");
        assert_eq!(name(&[15 * GRID + 8, 15 * GRID + 7]), "the bottom edge");
        assert_eq!(name(&[8 * GRID + 8]), "the middle of the image");
        assert_eq!(name(&[8 * GRID + 15]), "the right side");
    }
}
