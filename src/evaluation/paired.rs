//! Two classifiers on the same images: measures side by side, with intervals from a paired bootstrap.
//!
//! A resample ([`super::bootstrap`]) draws the same images for both sides. What two classifiers have in common
//! (an easy image, a hard one) so falls out of their difference. With `m_A(b)` and `m_B(b)` the measure of each
//! side on resample `b`:
//!
//! ```text
//! interval of B − A = percentiles 2.5 and 97.5 of m_B(b) − m_A(b)
//! ```
//!
//! A class without a positive in a resample is in no mean of it.
//!
//! Source: ET93, chapter 13 (percentile intervals).

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::average_precision::{uninterpolated, voc2007, voc2010};
pub use super::bootstrap::Estimate;
use super::bootstrap::{PERCENTILES, Resampling, Units, each, percentile};
use super::curve::Curve;
use super::decision::{best, truth};
use super::ranking::{Order, Ranking};
use crate::dataset::Label;
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};

/// A definition of average precision ([`average_precision`](super::average_precision)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 11-point measure of VOC 2005–2009.
    Voc2007,
    /// Area under the envelope, VOC 2010 and later.
    Voc2010,
    /// Not interpolated, as scikit-learn's.
    Plain,
}

impl Precision {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Voc2007 => "VOC 2007 (11-point)",
            Self::Voc2010 => "VOC 2010 (area)",
            Self::Plain => "not interpolated",
        }
    }

    /// The average precision of a ranking, 0 to 1; `None` when it has no positive.
    pub fn of(self, ranking: &Ranking) -> Option<f64> {
        match self {
            Self::Voc2007 => voc2007(&Curve::new(ranking)),
            Self::Voc2010 => voc2010(&Curve::new(ranking)),
            Self::Plain => uninterpolated(ranking),
        }
    }
}

/// The scores of two classifiers, A and B, for `n` images and `C` classes.
#[derive(Debug, Clone, Copy)]
pub struct Paired<'a> {
    /// `labels[image][class]`, `n × C`.
    pub labels: &'a [Vec<Label>],
    /// `n × C` of each side; larger means more likely, −∞ no score.
    pub scores: [ArrayView2<'a, f32>; 2],
    /// Every image has exactly one class: compare accuracies too.
    pub single_label: bool,
}

/// How two classifiers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The average precision that is compared.
    pub precision: Precision,
    /// Resamples, 1 or more.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: Seed,
}

/// One measure of both sides, as fractions from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compared {
    /// Of A and of B.
    pub sides: [Estimate; 2],
    /// B − A.
    pub difference: Estimate,
    /// Whether the interval of the difference excludes 0.
    pub excludes_zero: bool,
    /// Resamples in the intervals: those in which the measure is there.
    pub resamples: usize,
}

/// All measures of both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Mean of the average precisions, over the classes that have positives.
    pub map: Option<Compared>,
    /// Share of the images whose largest score is that of their own class; of single-label data.
    pub accuracy: Option<Compared>,
    /// Mean of the classes' own shares.
    pub mean_class_accuracy: Option<Compared>,
    /// Average precision of each class; `None` without positives.
    pub classes: Vec<Option<Compared>>,
}

/// The measures of one resample: mean average precision, both accuracies, then each class.
type Measures = Vec<Option<[f64; 2]>>;

/// Measures that stand before those of the classes.
const BEFORE_CLASSES: usize = 3;

/// Compares two classifiers.
///
/// # Errors
/// [`Error::Shape`] when the parts do not fit, [`Error::Numerical`] for a NaN or no resample at all,
/// [`Error::Interrupted`] when `progress` asks to stop.
///
/// ```
/// use fvtool::{dataset::Label::{No, Yes}, evaluation::paired::{compare, Paired, Params, Precision}};
/// let found = compare(
///     &Paired {
///         labels: &[vec![Yes], vec![No], vec![Yes]],
///         scores: [ndarray::array![[3.0_f32], [2.0], [1.0]].view(), ndarray::array![[3.0_f32], [1.0], [2.0]].view()],
///         single_label: false,
///     },
///     &Params { precision: Precision::Voc2010, resamples: 100, seed: fvtool::random::Seed(1) },
///     &fvtool::progress::Silent,
/// )?;
/// let map = found.map.expect("the class has positives");
/// assert_eq!(map.sides[1].value, 1.0); // both positives first
/// assert_eq!(map.difference.value, 1.0 - (1.0 + 2.0 / 3.0) / 2.0);
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn compare(
    paired: &Paired<'_>,
    params: &Params,
    progress: &dyn Progress,
) -> Result<Comparison> {
    let prepared = Prepared::new(paired)?;
    let whole = prepared.measures(&vec![1; prepared.images], params.precision);
    let (units, Params { precision, resamples, seed }) = (Units::images(prepared.images), *params);
    let resampling = Resampling { units: &units, resamples, seed };
    let measures = |counts: &[u32]| prepared.measures(counts, precision);
    let resamples: Vec<Measures> = each(&resampling, progress, measures)?;
    let compared = |at: usize| {
        let found: Vec<[f64; 2]> = resamples.iter().filter_map(|measures| measures[at]).collect();
        whole[at].map(|value| summary(value, &found))
    };
    Ok(Comparison {
        map: compared(0),
        accuracy: compared(1),
        mean_class_accuracy: compared(2),
        classes: (BEFORE_CLASSES..whole.len()).map(compared).collect(),
    })
}

/// What stays the same from resample to resample.
struct Prepared {
    images: usize,
    /// Of each class, of both sides.
    orders: Vec<[Order; 2]>,
    /// Of single-label data: the class of each image, and how much of it each side gets right.
    right: Vec<Option<(usize, [f64; 2])>>,
}

impl Prepared {
    fn new(paired: &Paired<'_>) -> Result<Self> {
        let images = paired.labels.len();
        let classes = paired.scores[0].ncols();
        let fits = |what, expected, got| {
            if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
        };
        for scores in paired.scores {
            fits("rows of the score matrix", images, scores.nrows())?;
            fits("columns of the score matrix", classes, scores.ncols())?;
        }
        paired.labels.iter().try_for_each(|row| fits("labels of an image", classes, row.len()))?;
        let order = |class: usize| -> Result<[Order; 2]> {
            let labels: Vec<Label> = paired.labels.iter().map(|labels| labels[class]).collect();
            let [a, b] =
                paired.scores.map(|scores| Order::new(&scores.column(class).to_vec(), &labels));
            Ok([a?, b?])
        };
        let orders = (0..classes).into_par_iter().map(order).collect::<Result<_>>()?;
        let right = |image: usize| {
            let truth = truth(&paired.labels[image])?;
            let shares = paired.scores.map(|scores| {
                let best = best(scores.row(image).iter().copied());
                (!best.is_empty()).then(|| share(&best, truth))
            });
            // An image that one side has no score of is in no accuracy.
            shares[0].zip(shares[1]).map(|(a, b)| (truth, [a, b]))
        };
        let right = if paired.single_label { (0..images).map(right).collect() } else { Vec::new() };
        Ok(Self { images, orders, right })
    }

    /// All measures with image `i` counted `counts[i]` times.
    fn measures(&self, counts: &[u32], precision: Precision) -> Measures {
        let of_class = |orders: &[Order; 2]| {
            let [a, b] = [0, 1].map(|side| precision.of(&orders[side].counted(counts)));
            a.zip(b).map(|(a, b)| [a, b])
        };
        let classes: Measures = self.orders.iter().map(of_class).collect();
        let mut measures = vec![mean(classes.iter().copied().flatten())];
        measures.extend(self.accuracies(counts));
        measures.extend(classes);
        measures
    }

    /// Overall and mean class accuracy.
    fn accuracies(&self, counts: &[u32]) -> [Option<[f64; 2]>; 2] {
        let mut of_class = vec![(0.0, [0.0; 2]); self.orders.len()];
        for (count, right) in counts.iter().zip(&self.right) {
            if let Some((truth, shares)) = right {
                let (images, sums) = &mut of_class[*truth];
                *images += f64::from(*count);
                sums.iter_mut()
                    .zip(shares)
                    .for_each(|(sum, share)| *sum += f64::from(*count) * share);
            }
        }
        let images: f64 = of_class.iter().map(|(images, _)| images).sum();
        let sum = |side: usize| of_class.iter().map(|(_, sums)| sums[side]).sum::<f64>() / images;
        let own = of_class.iter().filter(|(images, _)| *images > 0.0);
        let own = own.map(|(images, sums)| sums.map(|sum| sum / images));
        [(images > 0.0).then(|| [sum(0), sum(1)]), mean(own)]
    }
}

/// How much of an image is right whose best classes are these.
fn share(best: &[usize], truth: usize) -> f64 {
    if best.contains(&truth) { 1.0 / best.len() as f64 } else { 0.0 }
}

/// Mean of pairs.
fn mean(pairs: impl Iterator<Item = [f64; 2]>) -> Option<[f64; 2]> {
    let pairs: Vec<[f64; 2]> = pairs.collect();
    let side = |side: usize| pairs.iter().map(|pair| pair[side]).sum::<f64>() / pairs.len() as f64;
    (!pairs.is_empty()).then(|| [side(0), side(1)])
}

fn summary(value: [f64; 2], found: &[[f64; 2]]) -> Compared {
    let estimate = |value: f64, of: &dyn Fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = found.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        // Where no resample has the measure, nothing is known but the value.
        let interval = if values.is_empty() {
            [value; 2]
        } else {
            PERCENTILES.map(|p| percentile(&values, p))
        };
        Estimate { value, interval }
    };
    let difference = estimate(value[1] - value[0], &|pair| pair[1] - pair[0]);
    let [low, high] = difference.interval;
    Compared {
        sides: [estimate(value[0], &|pair| pair[0]), estimate(value[1], &|pair| pair[1])],
        difference,
        excludes_zero: low > 0.0 || high < 0.0,
        resamples: found.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{Decision, Scored, evaluate};
    use crate::progress::Silent;
    use ndarray::Array2;

    const IMAGES: usize = 40;
    const CLASSES: usize = 3;

    /// Scores with ties of two classifiers that have much in common, and labels of which some are ignored.
    fn data(single_label: bool) -> (Vec<Vec<Label>>, [Array2<f32>; 2]) {
        let mut stream = Seed(5).stream("paired", u64::from(single_label));
        let label =
            |class: usize, image: usize, stream: &mut crate::random::Stream| match single_label {
                true if image % CLASSES == class => Label::Yes,
                true => Label::No,
                false => [Label::Yes, Label::No, Label::No, Label::Ignored][stream.below(4)],
            };
        let labels: Vec<Vec<Label>> = (0..IMAGES)
            .map(|image| (0..CLASSES).map(|class| label(class, image, &mut stream)).collect())
            .collect();
        let common = Array2::from_shape_fn((IMAGES, CLASSES), |(image, class)| {
            let shown = if labels[image][class] == Label::Yes { 2.0 } else { 0.0 };
            shown + 3.0 * stream.unit()
        });
        let mut scores = || common.mapv(|score| (score + stream.unit()).round() as f32);
        let both = [scores(), scores()];
        (labels, both)
    }

    /// The same by lists that hold each drawn image as often as it was drawn, evaluated as a split is.
    fn slow(
        labels: &[Vec<Label>],
        scores: &[Array2<f32>; 2],
        single_label: bool,
        params: &Params,
        at: impl Fn(&crate::evaluation::Report) -> Option<f64>,
    ) -> Option<Compared> {
        let side = |rows: &[usize], side: usize| {
            let ids: Vec<String> = rows.iter().map(usize::to_string).collect();
            let labels: Vec<Vec<Label>> = rows.iter().map(|&row| labels[row].clone()).collect();
            let scores = scores[side].select(ndarray::Axis(0), rows);
            let classes: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
            let (split, labels, decision) = ("s", &labels[..], Decision::ScoreAbove(0.0));
            let scores = scores.view();
            let scored = Scored {
                split,
                ids: &ids,
                classes: &classes,
                labels,
                scores,
                single_label,
                decision,
            };
            at(&evaluate(&scored).unwrap())
        };
        let both = |rows: &[usize]| Some([side(rows, 0)?, side(rows, 1)?]);
        let drawn = (0..params.resamples).filter_map(|number| {
            let mut stream = params.seed.stream("bootstrap", number as u64);
            let rows: Vec<usize> = (0..IMAGES).map(|_| stream.below(IMAGES)).collect();
            both(&rows)
        });
        let drawn: Vec<[f64; 2]> = drawn.collect();
        let all: Vec<usize> = (0..IMAGES).collect();
        both(&all).map(|value| summary(value, &drawn))
    }

    fn assert_near(fast: Option<Compared>, slow: Option<Compared>) {
        let flat = |c: Compared| {
            [c.sides[0], c.sides[1], c.difference].map(|e| [e.value, e.interval[0], e.interval[1]])
        };
        let (fast, slow) = (fast.unwrap(), slow.unwrap());
        assert_eq!(fast.resamples, slow.resamples);
        for (fast, slow) in flat(fast).iter().flatten().zip(flat(slow).iter().flatten()) {
            // Means of a few dozen fractions, added up in another order.
            assert!((fast - slow).abs() < 1e-12, "{fast} {slow}");
        }
    }

    #[test]
    fn resamples_count_as_lists_with_repeated_images() {
        for single_label in [false, true] {
            let (labels, scores) = data(single_label);
            for precision in [Precision::Voc2007, Precision::Voc2010, Precision::Plain] {
                let params = Params { precision, resamples: 50, seed: Seed(3) };
                let views = [scores[0].view(), scores[1].view()];
                let paired = Paired { labels: &labels, scores: views, single_label };
                let found = compare(&paired, &params, &Silent).unwrap();
                let reference = |at: &dyn Fn(&crate::evaluation::Report) -> Option<f64>| {
                    slow(&labels, &scores, single_label, &params, at)
                };
                let map = |map: crate::evaluation::Map| match precision {
                    Precision::Voc2007 => map.voc2007,
                    Precision::Voc2010 => map.voc2010,
                    Precision::Plain => map.average_precision,
                };
                let class = |class: &crate::evaluation::ClassReport| match precision {
                    Precision::Voc2007 => class.ap_voc2007,
                    Precision::Voc2010 => class.ap_voc2010,
                    Precision::Plain => class.average_precision,
                };
                assert_near(found.map, reference(&|report| map(report.map)));
                for (at, of_class) in found.classes.iter().enumerate() {
                    assert_near(*of_class, reference(&|report| class(&report.classes[at])));
                    // Of all images once the very bits of an evaluation.
                    let value = reference(&|report| class(&report.classes[at])).unwrap().sides;
                    let sides = of_class.unwrap().sides;
                    assert_eq!(sides.map(|s| s.value), value.map(|s| s.value));
                }
                assert_eq!(found.accuracy.is_some(), single_label);
                if single_label {
                    let accuracy = |report: &crate::evaluation::Report| report.accuracy;
                    assert_near(found.accuracy, reference(&|r| accuracy(r).map(|a| a.overall)));
                    let mean = reference(&|r| accuracy(r).map(|a| a.mean_class));
                    assert_near(found.mean_class_accuracy, mean);
                }
            }
        }
    }

    #[test]
    fn threads_change_no_bit_and_the_better_side_is_found() {
        let (labels, [mut a, _]) = data(false);
        let b = Array2::from_shape_fn((IMAGES, CLASSES), |(image, class)| {
            if labels[image][class] == Label::Yes { 1.0 } else { -1.0 }
        });
        // A class that nothing is known of.
        let labels: Vec<Vec<Label>> =
            labels.into_iter().map(|row| vec![row[0], row[1], Label::No]).collect();
        a.column_mut(2).fill(0.0);
        let params = Params { precision: Precision::Plain, resamples: 200, seed: Seed(1) };
        let of = |a: &Array2<f32>, b: &Array2<f32>, threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let paired =
                Paired { labels: &labels, scores: [a.view(), b.view()], single_label: false };
            pool.install(|| compare(&paired, &params, &Silent)).unwrap()
        };
        let found = of(&a, &b, 1);
        assert_eq!(found, of(&a, &b, 3));
        let [first, _, none] = &found.classes[..] else { panic!("three classes") };
        let first = first.unwrap();
        assert!(first.excludes_zero && first.difference.value > 0.0, "{first:?}");
        assert_eq!(first.sides[1], Estimate { value: 1.0, interval: [1.0; 2] });
        assert!(none.is_none());
        let same = of(&a, &a, 2);
        let zero = Estimate { value: 0.0, interval: [0.0; 2] };
        assert!(same.classes[0].is_some_and(|c| c.difference == zero && !c.excludes_zero));
        let none = Params { resamples: 0, ..params };
        let paired = Paired { labels: &labels, scores: [a.view(), a.view()], single_label: false };
        assert!(compare(&paired, &none, &Silent).is_err());
    }

    #[test]
    fn percentiles_lie_between_two_values() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0];
        assert_eq!(PERCENTILES.map(|p| percentile(&values, p)), [0.1, 3.9]);
        assert_eq!(percentile(&[7.0], 97.5), 7.0);
    }
}
