//! Every measure of the scores of a split, with each image counted any number of times.
//!
//! Counting every image once gives the measures of the split; counting images as a resample drew them
//! gives those of the resample ([`super::bootstrap`]), without a second sort.

use serde::{Deserialize, Serialize};

use super::curve::Curve;
use super::decision::{Decided, Decision, Tally, best, truth};
use super::ranking::{Order, Ranking};
use super::scored::{Scored, check};
use super::{average_precision, roc};
use crate::Result;
use crate::dataset::Label;

/// Something (a value, an interval) of every measure; `None` where a measure cannot be had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures<T> {
    /// Mean of the 11-point average precisions.
    pub map_voc2007: Option<T>,
    /// Mean area under the precision-recall envelope.
    pub map_voc2010: Option<T>,
    /// Mean uninterpolated average precision.
    pub map_plain: Option<T>,
    /// Mean F1 of the classes that have positives.
    pub f1: Option<T>,
    /// Share of images whose largest score is that of their own class; of single-label data.
    pub accuracy: Option<T>,
    /// Mean of the classes' own shares.
    pub mean_class_accuracy: Option<T>,
    /// One entry a class, in class order.
    pub classes: Vec<ClassFigures<T>>,
}

/// Something of every measure of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures<T> {
    /// 11-point average precision.
    pub ap_voc2007: Option<T>,
    /// Area under the precision-recall envelope.
    pub ap_voc2010: Option<T>,
    /// Uninterpolated average precision.
    pub average_precision: Option<T>,
    /// Area under the ROC curve.
    pub roc_auc: Option<T>,
    /// Precision of what is said to show the class.
    pub precision: Option<T>,
    /// Recall of what is said to show the class.
    pub recall: Option<T>,
    /// F1 of what is said to show the class.
    pub f1: Option<T>,
}

impl<T: Copy> Figures<T> {
    /// Measures that stand before those of the classes.
    const WHOLE: usize = 6;
    /// Measures of a class.
    const OF_CLASS: usize = 7;

    /// All of them in one list, always in the same order.
    pub fn list(&self) -> Vec<Option<T>> {
        let whole = [
            self.map_voc2007,
            self.map_voc2010,
            self.map_plain,
            self.f1,
            self.accuracy,
            self.mean_class_accuracy,
        ];
        let of_class = |c: &ClassFigures<T>| {
            let precisions = [c.ap_voc2007, c.ap_voc2010, c.average_precision, c.roc_auc];
            precisions.into_iter().chain([c.precision, c.recall, c.f1])
        };
        whole.into_iter().chain(self.classes.iter().flat_map(of_class)).collect()
    }

    /// The figures of such a list.
    fn of_list(list: &[Option<T>]) -> Self {
        let (whole, classes) = list.split_at(Self::WHOLE);
        let of_class = |c: &[Option<T>]| ClassFigures {
            ap_voc2007: c[0],
            ap_voc2010: c[1],
            average_precision: c[2],
            roc_auc: c[3],
            precision: c[4],
            recall: c[5],
            f1: c[6],
        };
        Self {
            map_voc2007: whole[0],
            map_voc2010: whole[1],
            map_plain: whole[2],
            f1: whole[3],
            accuracy: whole[4],
            mean_class_accuracy: whole[5],
            classes: classes.chunks_exact(Self::OF_CLASS).map(of_class).collect(),
        }
    }

    /// The figures of several that belong together, joined measure by measure; those of one of which the
    /// measure cannot be had are left out of its list.
    pub fn joined<U: Copy>(all: &[Self], join: impl Fn(&[T]) -> Option<U>) -> Figures<U> {
        let lists: Vec<Vec<Option<T>>> = all.iter().map(Self::list).collect();
        let measures = lists.first().map_or(Self::WHOLE, Vec::len);
        let joined = |at: usize| {
            let found: Vec<T> = lists.iter().filter_map(|list| list[at]).collect();
            join(&found)
        };
        Figures::of_list(&(0..measures).map(joined).collect::<Vec<_>>())
    }
}

impl ClassFigures<f64> {
    /// Those of one class.
    pub(super) fn new(ranking: &Ranking, curve: &Curve, decided: Decided) -> Self {
        Self {
            ap_voc2007: average_precision::voc2007(curve),
            ap_voc2010: average_precision::voc2010(curve),
            average_precision: average_precision::uninterpolated(ranking),
            roc_auc: roc::area(ranking),
            precision: decided.precision(),
            recall: decided.recall(),
            f1: decided.f1(),
        }
    }
}

/// The scores of a split, sorted once.
pub(super) struct Judged {
    orders: Vec<Order>,
    /// Of single-label data: the class of each image and its best ones, where it has a score.
    best: Vec<Option<(usize, Vec<usize>)>>,
    decision: Decision,
}

impl Judged {
    /// # Errors
    /// As [`super::evaluate`].
    pub fn new(scored: &Scored<'_>) -> Result<Self> {
        check(scored)?;
        let order = |class: usize| {
            let labels: Vec<Label> = scored.labels.iter().map(|labels| labels[class]).collect();
            Order::new(&scored.scores.column(class).to_vec(), &labels)
        };
        let orders = (0..scored.classes.len()).map(order).collect::<Result<_>>()?;
        let best_of = |image: usize| {
            let best = best(scored.scores.row(image).iter().copied());
            let truth = truth(&scored.labels[image])?;
            (!best.is_empty()).then_some((truth, best))
        };
        let best = match scored.single_label {
            true => (0..scored.ids.len()).map(best_of).collect(),
            false => Vec::new(),
        };
        Ok(Self { orders, best, decision: scored.decision })
    }

    /// All measures with image `i` counted `counts[i]` times.
    pub fn figures(&self, counts: &[u32]) -> Figures<f64> {
        let by_best = self.by_best(counts);
        let of_class = |(order, by_best): (&Order, &Decided)| {
            let ranking = order.counted(counts);
            let decided = match self.decision {
                Decision::BestClass => *by_best,
                Decision::ScoreAbove(least) => Decided::above(least, &ranking),
            };
            ClassFigures::new(&ranking, &Curve::new(&ranking), decided)
        };
        let classes: Vec<_> = self.orders.iter().zip(&by_best).map(of_class).collect();
        let mean_of =
            |of: fn(&ClassFigures<f64>) -> Option<f64>| mean(classes.iter().filter_map(of));
        let images: f64 = by_best.iter().map(|class| class.shown).sum();
        let right: f64 = by_best.iter().map(|class| class.right).sum();
        Figures {
            map_voc2007: mean_of(|class| class.ap_voc2007),
            map_voc2010: mean_of(|class| class.ap_voc2010),
            map_plain: mean_of(|class| class.average_precision),
            f1: mean_of(|class| class.f1),
            accuracy: (images > 0.0).then(|| right / images),
            mean_class_accuracy: mean(by_best.iter().filter_map(|class| class.recall())),
            classes,
        }
    }

    /// Of single-label data: what the largest scores decide.
    fn by_best(&self, counts: &[u32]) -> Vec<Decided> {
        let classes = self.orders.len();
        let mut right = vec![Tally::default(); classes];
        let mut said = vec![Tally::default(); classes];
        let mut shown = vec![0u64; classes];
        let counted = self.best.iter().zip(counts).filter(|(_, count)| **count > 0);
        for ((truth, best), &count) in counted.filter_map(|(b, n)| b.as_ref().map(|b| (b, n))) {
            shown[*truth] += u64::from(count);
            for &class in best {
                said[class].add(count, best.len());
                if class == *truth {
                    right[class].add(count, best.len());
                }
            }
        }
        let decided = |class: usize| Decided {
            right: right[class].sum(),
            said: said[class].sum(),
            shown: shown[class] as f64,
        };
        (0..classes).map(decided).collect()
    }
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{Report, evaluate};
    use crate::random::{Seed, Stream};
    use ndarray::{Array2, Axis};

    const CLASSES: usize = 3;

    /// What an evaluation says of the same measures.
    fn of_report(report: &Report) -> Figures<f64> {
        let of_class = |c: &crate::evaluation::ClassReport| ClassFigures {
            ap_voc2007: c.ap_voc2007,
            ap_voc2010: c.ap_voc2010,
            average_precision: c.average_precision,
            roc_auc: c.roc_auc,
            precision: c.precision,
            recall: c.recall,
            f1: c.f1,
        };
        Figures {
            map_voc2007: report.map.voc2007,
            map_voc2010: report.map.voc2010,
            map_plain: report.map.average_precision,
            f1: report.f1,
            accuracy: report.accuracy.map(|accuracy| accuracy.overall),
            mean_class_accuracy: report.accuracy.map(|accuracy| accuracy.mean_class),
            classes: report.classes.iter().map(of_class).collect(),
        }
    }

    /// By counting images one by one.
    fn decided(scored: &Scored<'_>, class: usize) -> [Option<f64>; 3] {
        let (mut right, mut said, mut shown) = (0.0, 0.0, 0.0);
        for (labels, scores) in scored.labels.iter().zip(scored.scores.rows()) {
            if labels[class] == Label::Ignored || scores[class] == f32::NEG_INFINITY {
                continue;
            }
            let classes = scored.decision.classes(scores.iter().copied());
            let share = match scored.decision {
                Decision::BestClass => 1.0 / classes.len() as f64,
                Decision::ScoreAbove(_) => 1.0,
            };
            let says = if classes.contains(&class) { share } else { 0.0 };
            let shows = f64::from(u8::from(labels[class] == Label::Yes));
            said += says;
            shown += shows;
            right += says * shows;
        }
        let ratio = |a: f64, b: f64| (b > 0.0).then(|| a / b);
        let f1 = (shown > 0.0).then(|| 2.0 * right / (said + shown));
        [ratio(right, said), ratio(right, shown), f1]
    }

    fn random(single_label: bool, n: usize, stream: &mut Stream) -> (Vec<Vec<Label>>, Array2<f32>) {
        let labels = (0..n).map(|i| {
            let label = |class: usize, stream: &mut Stream| match single_label {
                true if i % CLASSES == class => Label::Yes,
                true => Label::No,
                false => [Label::Yes, Label::No, Label::No, Label::Ignored][stream.below(4)],
            };
            (0..CLASSES).map(|class| label(class, stream)).collect()
        });
        let labels: Vec<Vec<Label>> = labels.collect();
        // Ties, and images without a score.
        let mut scores =
            Array2::from_shape_fn((n, CLASSES), |_| (4.0 * stream.unit() - 2.0).round() as f32);
        scores.row_mut(n / 2).fill(f32::NEG_INFINITY);
        (labels, scores)
    }

    #[test]
    fn counted_images_are_a_list_that_repeats_them() {
        let mut stream = Seed(7).stream("figures", 0);
        let classes: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
        for round in 0..40 {
            let single_label = round % 2 == 0;
            let n = 3 + stream.below(30);
            let (labels, scores) = random(single_label, n, &mut stream);
            let decision = match (round % 4, single_label) {
                (0, _) => Decision::BestClass,
                _ => Decision::ScoreAbove(0.5),
            };
            let whole: Vec<String> = (0..n).map(|i| i.to_string()).collect();
            let scored = Scored {
                split: "s",
                ids: &whole,
                classes: &classes,
                labels: &labels,
                scores: scores.view(),
                single_label,
                decision,
            };
            let judged = Judged::new(&scored).unwrap();
            let counts: Vec<u32> = match round % 3 {
                0 => vec![1; n],
                _ => (0..n).map(|_| stream.below(4) as u32).collect(),
            };
            let listed: Vec<usize> =
                (0..n).flat_map(|i| std::iter::repeat_n(i, counts[i] as usize)).collect();
            let ids: Vec<String> = listed.iter().map(usize::to_string).collect();
            let of_list: Vec<_> = listed.iter().map(|&i| labels[i].clone()).collect();
            let scores = scores.select(Axis(0), &listed);
            let list = Scored { ids: &ids, labels: &of_list, scores: scores.view(), ..scored };
            let slow = of_report(&evaluate(&list).unwrap());
            let fast = judged.figures(&counts);
            for (at, (a, b)) in fast.list().into_iter().zip(slow.list()).enumerate() {
                let near = match (a, b) {
                    (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                    (a, b) => a == b,
                };
                assert!(near, "round {round}, measure {at}: {a:?} {b:?}");
            }
            for (class, found) in fast.classes.iter().enumerate() {
                let found = [found.precision, found.recall, found.f1];
                for (a, b) in found.into_iter().zip(decided(&list, class)) {
                    assert!(a.zip(b).map_or(a == b, |(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
                }
            }
            assert_eq!(Figures::of_list(&fast.list()), fast);
        }
    }
}
