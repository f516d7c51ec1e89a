//! Intervals by the bootstrap: how far the choice of test images moves a figure.
//!
//! A resample draws as many units as there are, with replacement. A unit is an image or, where images come in
//! groups (a patient, a film), a group with all its images: images of a group resemble each other, and counting
//! them one by one would make intervals too narrow. With `m(b)` a measure on resample `b` of `R`:
//!
//! ```text
//! interval                  = percentiles 2.5 and 97.5 of m(1) … m(R)
//! percentile p of sorted v  = v at place p/100 · (R − 1), linear between two places
//! ```
//!
//! The values themselves are those of all images once, by the code that evaluates a split. A resample in
//! which a measure cannot be had (a class without a positive) is in no interval of the measure. Images are
//! drawn, not training sets: an interval says nothing of another training.
//!
//! Source: ET93, chapters 8 (units that are drawn together) and 13 (percentile intervals).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::figures::{Figures, Judged};
use super::scored::Scored;
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};

/// Percentiles between which an interval lies.
pub const PERCENTILES: [f64; 2] = [2.5, 97.5];

/// Resamples that go to one thread at a time.
const AT_ONCE: usize = 8;

/// What is drawn: each image by itself, or groups of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The unit of each image.
    of_image: Vec<usize>,
    count: usize,
}

impl Units {
    /// Every image by itself.
    pub fn images(images: usize) -> Self {
        Self { of_image: (0..images).collect(), count: images }
    }

    /// Images with the same name together; one without a name by itself.
    pub fn groups<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut known = std::collections::BTreeMap::new();
        let (mut of_image, mut count) = (Vec::new(), 0);
        for name in names {
            let unit = match name {
                Some(name) => *known.entry(name.to_owned()).or_insert(count),
                None => count,
            };
            count += usize::from(unit == count);
            of_image.push(unit);
        }
        Self { of_image, count }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether some have several images.
    pub fn are_groups(&self) -> bool {
        self.count < self.of_image.len()
    }

    /// How often each image is in resample `number`.
    pub(super) fn drawn(&self, seed: Seed, number: usize) -> Vec<u32> {
        let mut stream = seed.stream("bootstrap", number as u64);
        let mut counts = vec![0; self.count];
        (0..self.count).for_each(|_| counts[stream.below(self.count)] += 1);
        self.of_image.iter().map(|&unit| counts[unit]).collect()
    }
}

/// What is drawn, how often and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Resampling<'a> {
    /// What is drawn.
    pub units: &'a Units,
    /// Resamples.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: Seed,
}

/// A figure with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Its value on all images.
    pub value: f64,
    /// Low and high end of its interval.
    pub interval: [f64; 2],
}

/// The interval of every measure of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Percentiles of low and high ends.
    pub percentiles: [f64; 2],
    /// Resamples.
    pub resamples: usize,
    /// What was drawn: `images` or `groups`.
    pub drawn: String,
    /// How many of them there are.
    pub units: usize,
    /// Low and high end of each measure.
    pub figures: Figures<[f64; 2]>,
}

impl Intervals {
    /// What the intervals are, in a sentence for people.
    pub fn in_words(&self) -> String {
        format!(
            "In brackets: 95 % intervals of {} resamples of the {} {}; they say how far the choice of test \
             images moves a figure, and nothing of another training",
            self.resamples, self.units, self.drawn
        )
    }
}

/// The intervals of all measures of a split.
///
/// # Errors
/// As [`super::evaluate`]; [`Error::Shape`] when there are not as many images with a unit;
/// [`Error::Numerical`] without a resample; [`Error::Interrupted`].
pub fn intervals(
    scored: &Scored<'_>,
    resampling: &Resampling<'_>,
    progress: &dyn Progress,
) -> Result<Intervals> {
    let judged = Judged::new(scored)?;
    intervals_of(scored.ids.len(), resampling, progress, |counts| judged.figures(counts))
}

/// As [`intervals`], of measures that are made from how often each image counts.
pub(super) fn intervals_of(
    images: usize,
    resampling: &Resampling<'_>,
    progress: &dyn Progress,
    figures: impl Fn(&[u32]) -> Figures<f64> + Sync,
) -> Result<Intervals> {
    let Resampling { units, resamples, .. } = *resampling;
    let (expected, got) = (images, units.of_image.len());
    if expected != got {
        return Err(Error::Shape { what: "images with a unit", expected, got });
    }
    let all = each(resampling, progress, figures)?;
    let ends = |found: &[f64]| {
        let mut sorted = found.to_vec();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then(|| PERCENTILES.map(|p| percentile(&sorted, p)))
    };
    Ok(Intervals {
        percentiles: PERCENTILES,
        resamples,
        drawn: if units.are_groups() { "groups" } else { "images" }.to_owned(),
        units: units.count,
        figures: Figures::joined(&all, ends),
    })
}

/// What `measure` makes of every resample, in order.
///
/// # Errors
/// [`Error::Numerical`] without a resample, [`Error::Interrupted`] when `progress` asks to stop.
pub(super) fn each<M: Send>(
    resampling: &Resampling<'_>,
    progress: &dyn Progress,
    measure: impl Fn(&[u32]) -> M + Sync,
) -> Result<Vec<M>> {
    let Resampling { units, resamples, seed } = *resampling;
    if resamples == 0 {
        let problem = "an interval needs at least one resample".to_owned();
        return Err(Error::Numerical { what: "bootstrap", problem });
    }
    progress.begin("bootstrap", resamples as u64, "resamples");
    let resample = |number: usize| -> Result<M> {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let measures = measure(&units.drawn(seed, number));
        progress.advance(1);
        Ok(measures)
    };
    let all = (0..resamples).into_par_iter().with_min_len(AT_ONCE).map(resample).collect();
    progress.end();
    all
}

/// A percentile of sorted values.
pub(super) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = place - below as f64;
    sorted[below] + share * (sorted[above] - sorted[below])
}
