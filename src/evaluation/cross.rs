//! Measures of a cross-validation: of every fold, their means and how far they differ, and intervals.
//!
//! A fold is evaluated by itself, since the scores of two classifiers need not be on one scale. With `m_j` the
//! measure of fold `j` of `J` (all repeats together):
//!
//! ```text
//! mean = Σ m_j / J        standard deviation = √( Σ (m_j − mean)² / (J − 1) )
//! ```
//!
//! A fold in which a measure cannot be had is in neither. The standard deviation says how much folds differ; it
//! is not the error of the mean, since folds share most of their training images (BG04). The interval says how
//! far the choice of images moves the mean: images (or groups) are drawn as in [`super::bootstrap`], the same
//! ones in every repeat, and each fold counts those of its own.
//!
//! Source: Koh95; BG04.

use ndarray::{Array2, Axis};
use serde::Serialize;

use super::bootstrap::{Intervals, Resampling, intervals_of};
use super::confusion::Confusion;
use super::figures::{Figures, Judged, mean};
use super::scored::Scored;
use crate::Result;
use crate::progress::Progress;

/// The fold of every image, and its score by the classifier that had not seen it, in one repeat.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Number of folds.
    pub folds: usize,
    /// Fold of each image, from 0.
    pub of_image: Vec<usize>,
    /// `n × C`; −∞ where an image has no score.
    pub scores: Array2<f32>,
}

/// A measure over all folds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation of the folds; 0 of one fold.
    pub standard_deviation: f64,
    /// Folds that have the measure.
    pub folds: usize,
}

/// One fold of one repeat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fold {
    /// Number of the repeat, from 1.
    pub repeat: usize,
    /// Number of the fold, from 1.
    pub fold: usize,
    /// Images that it holds out.
    pub images: usize,
    /// Its measures.
    pub figures: Figures<f64>,
}

/// What a cross-validation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrossValidated {
    /// Means and standard deviations of all measures.
    pub figures: Figures<Spread>,
    /// Intervals of the means, where they were asked for.
    pub intervals: Option<Intervals>,
    /// Every fold.
    pub folds: Vec<Fold>,
    /// Of single-label data: images by true and predicted class, mean of the repeats.
    pub confusion: Option<Confusion>,
}

/// Evaluates the held-out scores of one or more repeats. `scored` is of all images; its own scores are not
/// looked at. Without `resampling` there are no intervals.
///
/// # Errors
/// As [`super::evaluate`]; [`crate::Error::Interrupted`].
pub fn cross_validated(
    scored: &Scored<'_>,
    repeats: &[HeldOut],
    resampling: Option<&Resampling<'_>>,
    progress: &dyn Progress,
) -> Result<CrossValidated> {
    let mut judged: Vec<(Vec<usize>, Judged)> = Vec::new();
    let mut folds = Vec::new();
    let mut confusion: Option<Confusion> = None;
    for (repeat, held_out) in repeats.iter().enumerate() {
        for fold in 0..held_out.folds {
            let images = (0..scored.ids.len()).filter(|&image| held_out.of_image[image] == fold);
            let images: Vec<usize> = images.collect();
            let ids: Vec<String> = images.iter().map(|&i| scored.ids[i].clone()).collect();
            let labels: Vec<_> = images.iter().map(|&i| scored.labels[i].clone()).collect();
            let scores = held_out.scores.select(Axis(0), &images);
            let part = Scored { ids: &ids, labels: &labels, scores: scores.view(), ..*scored };
            let part = Judged::new(&part)?;
            let figures = part.figures(&vec![1; images.len()]);
            folds.push(Fold { repeat: repeat + 1, fold: fold + 1, images: images.len(), figures });
            judged.push((images, part));
        }
        if scored.single_label {
            let Scored { ids, classes, labels, .. } = *scored;
            let of_repeat = Confusion::new(ids, classes, labels, held_out.scores.view())?;
            confusion = Some(match confusion {
                None => of_repeat,
                Some(sum) => sum.plus(&of_repeat),
            });
        }
    }
    let all: Vec<Figures<f64>> = folds.iter().map(|fold| fold.figures.clone()).collect();
    let of_resample = |counts: &[u32]| {
        let of_fold = |(images, judged): &(Vec<usize>, Judged)| {
            let counts: Vec<u32> = images.iter().map(|&image| counts[image]).collect();
            judged.figures(&counts)
        };
        let all: Vec<Figures<f64>> = judged.iter().map(of_fold).collect();
        Figures::joined(&all, |values| mean(values.iter().copied()))
    };
    let intervals = resampling
        .map(|resampling| intervals_of(scored.ids.len(), resampling, progress, of_resample));
    Ok(CrossValidated {
        figures: Figures::joined(&all, spread),
        intervals: intervals.transpose()?,
        folds,
        confusion: confusion.map(|sum| sum.divided(repeats.len())),
    })
}

fn spread(values: &[f64]) -> Option<Spread> {
    let mean = mean(values.iter().copied())?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let others = values.len().saturating_sub(1).max(1);
    let standard_deviation = (squares / others as f64).sqrt();
    Some(Spread { mean, standard_deviation, folds: values.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label::{No, Yes};
    use crate::evaluation::bootstrap::Units;
    use crate::evaluation::{Decision, evaluate};
    use crate::progress::Silent;
    use crate::random::Seed;

    #[test]
    fn folds_are_evaluated_one_by_one_and_averaged() {
        let classes = ["a", "b"].map(String::from);
        let ids: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        let labels: Vec<_> =
            (0..12).map(|i| if i % 3 == 0 { vec![Yes, No] } else { vec![No, Yes] }).collect();
        let of_image: Vec<usize> = (0..12).map(|i| i / 6).collect();
        // The second fold's scores lie on another scale: together they would rank otherwise.
        let scores = Array2::from_shape_fn((12, 2), |(i, class)| {
            let right = (i % 3 == 0) == (class == 0);
            let value = match (right, i) {
                (true, 4) => -1.0,
                (true, _) => 1.0,
                (false, _) => -0.5 - 0.01 * i as f32,
            };
            if i >= 6 { value + 100.0 } else { value }
        });
        let scored = Scored {
            split: "all",
            ids: &ids,
            classes: &classes,
            labels: &labels,
            scores: scores.view(),
            single_label: true,
            decision: Decision::BestClass,
        };
        let held_out = HeldOut { folds: 2, of_image, scores: scores.clone() };
        let units = Units::images(12);
        let resampling = Resampling { units: &units, resamples: 100, seed: Seed(1) };
        let repeats = [held_out.clone(), held_out];
        let found = cross_validated(&scored, &repeats, Some(&resampling), &Silent).unwrap();
        assert_eq!(found.folds.len(), 4);
        let half = |from: usize| {
            let part = Scored {
                ids: &ids[from..from + 6],
                labels: &labels[from..from + 6],
                scores: scores.slice(ndarray::s![from..from + 6, ..]),
                ..scored
            };
            let report = evaluate(&part).unwrap();
            [report.map.voc2010.unwrap(), report.accuracy.unwrap().overall, report.f1.unwrap()]
        };
        let (first, second) = (half(0), half(6));
        let of = |figure: Option<Spread>| figure.unwrap();
        let found_means =
            [found.figures.map_voc2010, found.figures.accuracy, found.figures.f1].map(of);
        for (i, spread) in found_means.into_iter().enumerate() {
            assert!((spread.mean - 0.5 * (first[i] + second[i])).abs() < 1e-12);
            // Of the values a, b, a, b.
            let deviation = (first[i] - second[i]).abs() / 2.0 * (4.0f64 / 3.0).sqrt();
            assert!((spread.standard_deviation - deviation).abs() < 1e-12);
            assert_eq!(spread.folds, 4);
        }
        assert!(first[1] < 1.0 && second[1] == 1.0);
        let confusion = found.confusion.unwrap();
        assert_eq!(confusion.counts, [[4.0, 0.0], [1.0, 7.0]]);
        let ends = found.intervals.unwrap().figures.accuracy.unwrap();
        assert!(ends[0] < found_means[1].mean && ends[1] == 1.0, "{ends:?}");
    }

    #[test]
    fn groups_make_intervals_wider_when_their_images_agree() {
        let n = 60;
        let ids: Vec<String> = (0..n).map(|i| i.to_string()).collect();
        let labels: Vec<_> =
            (0..n).map(|i| if i % 2 == 0 { vec![Yes, No] } else { vec![No, Yes] }).collect();
        // Every third group of ten is wrong throughout.
        let scores = Array2::from_shape_fn((n, 2), |(i, class)| {
            f32::from((i % 2 == class) != (i / 10 % 3 == 0))
        });
        let classes = ["a", "b"].map(String::from);
        let scored = Scored {
            split: "s",
            ids: &ids,
            classes: &classes,
            labels: &labels,
            scores: scores.view(),
            single_label: true,
            decision: Decision::BestClass,
        };
        let names: Vec<String> = (0..n).map(|i| (i / 10).to_string()).collect();
        let units = [Units::images(n), Units::groups(names.iter().map(|name| Some(name.as_str())))];
        let width = units.each_ref().map(|units| {
            let resampling = Resampling { units, resamples: 400, seed: Seed(2) };
            let found =
                crate::evaluation::bootstrap::intervals(&scored, &resampling, &Silent).unwrap();
            let [low, high] = found.figures.accuracy.unwrap();
            assert_eq!(found.units, units.count());
            high - low
        });
        assert!(width[1] > 2.0 * width[0], "{width:?}");
    }
}
