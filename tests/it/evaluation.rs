//! Evaluation against scikit-learn's, the VOC devkit's and VLFeat's figures, against the definitions
//! written out slowly, against linfa, by laws, and on degenerate input.

#![allow(clippy::unwrap_used)] // clippy knows tests, but not their helpers

use fvtool::dataset::Label::{self, Ignored, No, Yes};
use fvtool::evaluation::average_precision::{uninterpolated, voc2007, voc2010};
use fvtool::evaluation::curve::Curve;
use fvtool::evaluation::ranking::Ranking;
use fvtool::evaluation::{Confusion, Decision, Scored, evaluate, roc};
use fvtool::random::Seed;
use linfa::metrics::{BinaryClassification, ToConfusionMatrix};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;

use crate::support::golden_dir;

/// Measures are sums of at most a thousand f64 terms below one.
const TOLERANCE: f64 = 1e-12;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn ranking(scores: &[f32], labels: &[Label]) -> Ranking {
    Ranking::new(scores, labels).unwrap()
}

/// All three average precisions: VOC 2007, VOC 2010, uninterpolated.
fn average_precisions(scores: &[f32], labels: &[Label]) -> [Option<f64>; 3] {
    let ranking = ranking(scores, labels);
    let curve = Curve::new(&ranking);
    [voc2007(&curve), voc2010(&curve), uninterpolated(&ranking)]
}

#[track_caller]
fn assert_same(got: Option<f64>, expected: Option<f64>, what: &str) {
    match (got, expected) {
        (None, None) => {}
        (Some(got), Some(expected)) if (got - expected).abs() <= TOLERANCE => {}
        _ => panic!("{what}: expected {expected:?}, got {got:?}"),
    }
}

#[test]
fn average_precision_matches_every_golden_case() {
    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        scores: Vec<f64>,
        labels: Vec<i8>,
        n_pos: usize,
        n_difficult: usize,
        voc07_ap11: Option<f64>,
        voc10_ap: Option<f64>,
        sklearn_ap: Option<f64>,
    }
    let text = std::fs::read_to_string(golden_dir().join("python/average_precision.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 16);
    let mut left_out = Vec::new();
    for case in cases {
        let scores: Vec<f32> = case.scores.iter().map(|&score| score as f32).collect();
        let labels: Vec<Label> =
            case.labels.iter().map(|label| [No, Ignored, Yes][(label + 1) as usize]).collect();
        let ranking = ranking(&scores, &labels);
        assert_eq!(ranking.ignored(), case.n_difficult);
        // The devkit ranks equal scores as the list has them, and images without a score last: there its
        // figures are not the right ones.
        if ranking.unscored() > 0 {
            left_out.push((case.name, "unscored"));
            continue;
        }
        assert_eq!(ranking.positives(), case.n_pos);
        let [voc2007, voc2010, plain] = average_precisions(&scores, &labels);
        assert_same(plain, case.sklearn_ap, &format!("{}, uninterpolated", case.name));
        if ranking.ties().any(|tie| tie.positives > 0 && tie.negatives > 0) {
            left_out.push((case.name, "tied"));
            continue;
        }
        assert_same(voc2007, case.voc07_ap11, &format!("{}, VOC 2007", case.name));
        assert_same(voc2010, case.voc10_ap, &format!("{}, VOC 2010", case.name));
    }
    let names = ["all_tied_pos_first", "all_tied_neg_first", "random_many_ties_npos30"];
    let mut expected: Vec<(String, &str)> = names.map(|name| (name.to_owned(), "tied")).to_vec();
    expected.insert(2, ("minus_inf_unscored".to_owned(), "unscored"));
    assert_eq!(left_out, expected);
}

/// VLFeat's `toolbox/xtest/vl_test_pr.m`, also with its infinite scores.
#[test]
fn average_precision_matches_vlfeats_own_test() {
    let labels = [Yes, Yes, No, No, No];
    for scores in [[5.0, 3.0, 4.0, 2.0, 1.0], [f32::INFINITY, 3.0, 4.0, 2.0, f32::NEG_INFINITY]] {
        let [eleven, _, plain] = average_precisions(&scores, &labels);
        assert_same(plain, Some((1.0 + 2.0 / 3.0) / 2.0), "plain");
        assert_same(eleven, Some((6.0 + 5.0 * 2.0 / 3.0) / 11.0), "11-point");
    }
}

/// The definitions as the VOC devkit and scikit-learn write them, at every threshold that some image's
/// score is: what lies at or above it is taken, ties as a whole. On distinct scores every rank is a
/// threshold, as in the devkit.
fn slow_average_precisions(scores: &[f32], labels: &[Label]) -> [Option<f64>; 3] {
    let judged: Vec<usize> = (0..scores.len())
        .filter(|&i| labels[i] != Ignored && scores[i] > f32::NEG_INFINITY)
        .collect();
    let positives = judged.iter().filter(|&&i| labels[i] == Yes).count();
    if positives == 0 {
        return [None; 3];
    }
    let mut thresholds: Vec<f32> = judged.iter().map(|&i| scores[i]).collect();
    thresholds.sort_by(|a, b| b.partial_cmp(a).unwrap());
    thresholds.dedup_by(|a, b| a == b);
    let above = |threshold: f32| judged.iter().filter(move |&&i| scores[i] >= threshold);
    let found: Vec<usize> =
        thresholds.iter().map(|&t| above(t).filter(|&&i| labels[i] == Yes).count()).collect();
    let precision: Vec<f64> = found
        .iter()
        .zip(&thresholds)
        .map(|(&found, &t)| found as f64 / above(t).count() as f64)
        .collect();
    let recall: Vec<f64> = found.iter().map(|&found| found as f64 / positives as f64).collect();

    let eleven = (0..=10)
        .map(|level| {
            (0..thresholds.len())
                .filter(|&i| 10 * found[i] >= level * positives)
                .map(|i| precision[i])
                .fold(0.0, f64::max)
        })
        .sum::<f64>()
        / 11.0;

    let mrec = [&[0.0], &recall[..], &[1.0]].concat();
    let mut mpre = [&[0.0], &precision[..], &[0.0]].concat();
    for i in (0..mpre.len() - 1).rev() {
        mpre[i] = mpre[i].max(mpre[i + 1]);
    }
    let area = (1..mrec.len()).map(|i| (mrec[i] - mrec[i - 1]) * mpre[i]).sum();

    let mut plain = 0.0;
    let mut before = 0.0;
    for i in 0..thresholds.len() {
        plain += (recall[i] - before) * precision[i];
        before = recall[i];
    }
    [Some(eleven), Some(area), Some(plain)]
}

/// The devkit's two, rank by rank on a list of distinct scores, as `VOCevalcls.m` counts.
fn devkit_average_precisions(scores: &[f32], labels: &[Label]) -> [Option<f64>; 2] {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| labels[i] != Ignored).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap());
    let positives = order.iter().filter(|&&i| labels[i] == Yes).count();
    if positives == 0 {
        return [None; 2];
    }
    let found = |n: usize| order[..n].iter().filter(|&&i| labels[i] == Yes).count();
    let precision_from = |level: f64| {
        let far = (1..=order.len()).filter(|&n| found(n) as f64 >= level * positives as f64 - 1e-9);
        far.map(|n| found(n) as f64 / n as f64).fold(0.0, f64::max)
    };
    let eleven = (0..=10).map(|t| precision_from(f64::from(t) / 10.0)).sum::<f64>() / 11.0;
    let steps = (1..=positives).map(|i| precision_from(i as f64 / positives as f64));
    [Some(eleven), Some(steps.sum::<f64>() / positives as f64)]
}

/// Share of (positive, negative) pairs in the right order, tied ones half.
fn slow_auc(scores: &[f32], labels: &[Label]) -> Option<f64> {
    let scored = |i: &usize| scores[*i] > f32::NEG_INFINITY;
    let of = |wanted| (0..scores.len()).filter(scored).filter(move |&i| labels[i] == wanted);
    let (mut sum, mut pairs) = (0.0, 0);
    for p in of(Yes) {
        for n in of(No) {
            pairs += 1;
            sum += if scores[p] > scores[n] {
                1.0
            } else if scores[p] == scores[n] {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0).then(|| sum / f64::from(pairs))
}

fn label() -> impl Strategy<Value = Label> {
    prop_oneof![3 => Just(Yes), 6 => Just(No), 2 => Just(Ignored)]
}

/// Scores on a coarse grid, so that many are equal, some infinite, some −0.
fn tied_list() -> impl Strategy<Value = Vec<(f32, Label)>> {
    let score = prop_oneof![
        20 => (-4i8..=4).prop_map(|step| f32::from(step) / 2.0),
        1 => Just(-0.0),
        1 => Just(f32::INFINITY),
        2 => Just(f32::NEG_INFINITY),
    ];
    prop::collection::vec((score, label()), 0..60)
}

/// Distinct scores: a shuffled staircase.
fn distinct_list() -> impl Strategy<Value = Vec<(f32, Label)>> {
    prop::collection::vec(label(), 1..60).prop_flat_map(|labels| {
        let steps: Vec<i16> = (-30..).take(labels.len()).collect();
        Just(steps).prop_shuffle().prop_map(move |steps| {
            steps.iter().map(|&step| f32::from(step) / 8.0).zip(labels.clone()).collect()
        })
    })
}

fn unzip(list: &[(f32, Label)]) -> (Vec<f32>, Vec<Label>) {
    list.iter().copied().unzip()
}

proptest! {
    #[test]
    fn measures_equal_their_definitions_written_out(list in tied_list()) {
        let (scores, labels) = unzip(&list);
        let slow = slow_average_precisions(&scores, &labels);
        for (fast, slow) in average_precisions(&scores, &labels).into_iter().zip(slow) {
            assert_same(fast, slow, "average precision");
        }
        assert_same(roc::area(&ranking(&scores, &labels)), slow_auc(&scores, &labels), "area");
    }

    #[test]
    fn distinct_scores_have_the_devkits_figures(list in distinct_list()) {
        let (scores, labels) = unzip(&list);
        let [voc2007, voc2010, _] = average_precisions(&scores, &labels);
        let [eleven, area] = devkit_average_precisions(&scores, &labels);
        assert_same(voc2007, eleven, "VOC 2007");
        assert_same(voc2010, area, "VOC 2010");
    }

    /// Ties or not, nothing hangs on the order of the list, to the last bit.
    #[test]
    fn no_figure_depends_on_the_order_of_the_list(
        (list, shuffled) in tied_list().prop_flat_map(|l| (Just(l.clone()), Just(l).prop_shuffle())),
    ) {
        let figures = |list: &[(f32, Label)]| {
            let (scores, labels) = unzip(list);
            let ranking = ranking(&scores, &labels);
            let tied = (ranking.tied(), ranking.unscored());
            let curve = Curve::new(&ranking);
            (average_precisions(&scores, &labels), roc::area(&ranking), roc::equal_error(&ranking), curve, tied)
        };
        prop_assert_eq!(figures(&list), figures(&shuffled));
    }

    /// One score for all: each measure is what a guess has.
    #[test]
    fn constant_scores_are_at_chance(list in tied_list(), score in -9.0f32..9.0) {
        let labels: Vec<Label> = list.iter().map(|(_, label)| *label).collect();
        let scores = vec![score; labels.len()];
        let of = |wanted| labels.iter().filter(|label| **label == wanted).count() as f64;
        let share = (of(Yes) > 0.0).then(|| of(Yes) / (of(Yes) + of(No)));
        for measure in average_precisions(&scores, &labels) {
            assert_same(measure, share, "average precision");
        }
        let ranking = ranking(&scores, &labels);
        let half = share.filter(|_| of(No) > 0.0).map(|_| 0.5);
        prop_assert_eq!(roc::area(&ranking), half);
        prop_assert_eq!(roc::equal_error(&ranking).map(|equal| equal.rate), half);
        let judged = of(Yes) + of(No);
        prop_assert_eq!(ranking.tied(), if judged > 1.0 { judged as usize } else { 0 });
    }

    /// Images without a score are in no measure, as if they were not in the split.
    #[test]
    fn unscored_images_never_matter(list in tied_list()) {
        let (scores, labels) = unzip(&list);
        let kept: Vec<_> = list.iter().copied().filter(|(s, _)| *s > f32::NEG_INFINITY).collect();
        let (kept_scores, kept_labels) = unzip(&kept);
        prop_assert_eq!(average_precisions(&scores, &labels), average_precisions(&kept_scores, &kept_labels));
        let (all, kept) = (ranking(&scores, &labels), ranking(&kept_scores, &kept_labels));
        prop_assert_eq!(roc::area(&all), roc::area(&kept));
        prop_assert_eq!(Curve::new(&all), Curve::new(&kept));
        prop_assert_eq!(kept.unscored(), 0);
    }

    /// linfa's ROC in the domain where it holds: distinct ranks of scores as probabilities over 0.
    #[test]
    fn roc_area_agrees_with_linfa_on_ranks(list in tied_list()) {
        let (scores, labels) = unzip(&list);
        let ranking = ranking(&scores, &labels);
        let ties: Vec<_> = ranking.ties().collect();
        let (mut ranks, mut truths) = (Vec::new(), Vec::new());
        for (place, tie) in ties.iter().rev().enumerate() {
            let rank = linfa::dataset::Pr::new((place + 1) as f32 / ties.len() as f32);
            ranks.extend(vec![rank; tie.positives + tie.negatives]);
            truths.extend(vec![true; tie.positives]);
            truths.extend(vec![false; tie.negatives]);
        }
        if let Some(area) = roc::area(&ranking) {
            let linfa = ranks.as_slice().roc(&truths).unwrap().area_under_curve();
            // linfa adds at most sixty terms in f32.
            prop_assert!((area - f64::from(linfa)).abs() < 1e-5, "{} {}", area, linfa);
        }
    }

    /// No score of an ignored image can change anything.
    #[test]
    fn ignored_images_never_matter(list in tied_list(), other in -9.0f32..9.0) {
        let (scores, labels) = unzip(&list);
        let moved: Vec<f32> = scores.iter().zip(&labels)
            .map(|(&score, &label)| if label == Ignored { other } else { score }).collect();
        let kept: Vec<_> = list.iter().copied().filter(|(_, label)| *label != Ignored).collect();
        let (kept_scores, kept_labels) = unzip(&kept);
        let expected = average_precisions(&scores, &labels);
        prop_assert_eq!(average_precisions(&moved, &labels), expected);
        prop_assert_eq!(average_precisions(&kept_scores, &kept_labels), expected);
        prop_assert_eq!(roc::equal_error(&ranking(&kept_scores, &kept_labels)),
                        roc::equal_error(&ranking(&scores, &labels)));
    }

    /// Only the order of scores counts.
    #[test]
    fn rising_transforms_change_nothing(list in distinct_list()) {
        let (scores, labels) = unzip(&list);
        // Exact in f32 for steps of 1/8 below 4, and strictly rising.
        let moved: Vec<f32> = scores.iter().map(|s| s * s * s + 0.5 * s - 7.0).collect();
        prop_assert_eq!(average_precisions(&moved, &labels), average_precisions(&scores, &labels));
        prop_assert_eq!(roc::area(&ranking(&moved, &labels)), roc::area(&ranking(&scores, &labels)));
    }

    /// With distinct scores, list order does not count.
    #[test]
    fn list_order_does_not_matter_without_ties(
        (list, shuffled) in distinct_list().prop_flat_map(|l| (Just(l.clone()), Just(l).prop_shuffle())),
    ) {
        let (a, b) = (unzip(&list), unzip(&shuffled));
        prop_assert_eq!(ranking(&a.0, &a.1), ranking(&b.0, &b.1));
    }

    /// Every positive above every negative is perfect by any measure.
    #[test]
    fn a_perfect_ranking_is_one(list in distinct_list()) {
        let (mut scores, labels) = unzip(&list);
        for (score, label) in scores.iter_mut().zip(&labels) {
            *score += if *label == Yes { 100.0 } else { 0.0 };
        }
        let positives = labels.iter().filter(|label| **label == Yes).count();
        let negatives = labels.iter().filter(|label| **label == No).count();
        let expected = (positives > 0).then_some(1.0);
        prop_assert_eq!(average_precisions(&scores, &labels), [expected; 3]);
        let both = expected.filter(|_| negatives > 0);
        prop_assert_eq!(roc::area(&ranking(&scores, &labels)), both);
        let equal = roc::equal_error(&ranking(&scores, &labels));
        prop_assert_eq!(equal.map(|equal| equal.rate), both.map(|_| 0.0));
    }

    /// No score of an image brings the two rates closer to each other.
    #[test]
    fn equal_error_has_the_least_gap(list in distinct_list()) {
        let (scores, labels) = unzip(&list);
        let rates = |threshold: f32| {
            let share = |wanted, above: bool| {
                let of: Vec<f32> = list.iter().filter(|(_, l)| *l == wanted).map(|(s, _)| *s).collect();
                of.iter().filter(|s| (**s >= threshold) == above).count() as f64 / of.len() as f64
            };
            (share(No, true), share(Yes, false))
        };
        if let Some(equal) = roc::equal_error(&ranking(&scores, &labels)) {
            let (alarm, miss) = rates(equal.threshold);
            prop_assert!(((alarm + miss) / 2.0 - equal.rate).abs() < TOLERANCE);
            let judged = list.iter().filter(|(_, label)| *label != Ignored);
            let least = judged.map(|(s, _)| rates(*s)).map(|(a, m)| (a - m).abs()).fold(f64::MAX, f64::min);
            prop_assert!((alarm - miss).abs() <= least + TOLERANCE);
        } else {
            prop_assert!(!labels.contains(&Yes) || !labels.contains(&No));
        }
    }

}

/// Classes without positives are left out of the mean and counted.
#[test]
fn a_class_without_positives_has_no_average_precision() {
    let report = evaluate(&Scored {
        split: "test",
        ids: &names(&["p", "q"]),
        classes: &names(&["cat", "dog", "emu"]),
        labels: &[vec![Yes, No, Ignored], vec![No, No, Ignored]],
        scores: array![[1.0_f32, 0.0, 1.0], [0.0, 0.0, 2.0]].view(),
        single_label: false,
        decision: Decision::ScoreAbove(0.0),
    })
    .unwrap();
    assert_eq!((report.map.classes, report.map.classes_without_positives), (1, 2));
    assert_eq!(report.map.voc2007, Some(1.0));
    for class in &report.classes[1..] {
        assert_eq!(
            (class.ap_voc2007, class.ap_voc2010, class.average_precision),
            (None, None, None)
        );
        assert_eq!((class.roc_auc, class.equal_error_threshold), (None, None));
    }
    assert_eq!(report.classes[2].ignored, 2);
    assert!(report.table().contains("mAP over 1 classes; 2 classes have no positive image"));
}

#[test]
fn empty_and_infinite_inputs_give_finite_reports() {
    let none = Array2::<f32>::zeros((0, 2));
    let report = evaluate(&Scored {
        split: "test",
        ids: &[],
        classes: &names(&["a", "b"]),
        labels: &[],
        scores: none.view(),
        single_label: true,
        decision: Decision::BestClass,
    })
    .unwrap();
    assert_eq!((report.map.voc2007, report.accuracy), (None, None));

    let no_classes = Array2::<f32>::zeros((2, 0));
    let report = evaluate(&Scored {
        split: "test",
        ids: &names(&["p", "q"]),
        classes: &[],
        labels: &[vec![], vec![]],
        scores: no_classes.view(),
        single_label: false,
        decision: Decision::ScoreAbove(0.0),
    })
    .unwrap();
    assert_eq!((report.map.voc2010, report.map.classes), (None, 0));

    for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
        let report = evaluate(&Scored {
            split: "test",
            ids: &names(&["p", "q"]),
            classes: &names(&["a", "b"]),
            labels: &[vec![No, Yes], vec![Yes, No]],
            scores: Array2::from_elem((2, 2), infinity).view(),
            single_label: true,
            decision: Decision::BestClass,
        })
        .unwrap();
        let table = report.table();
        // +∞ everywhere: all tied, chance by every measure, no finite threshold. −∞: no score at all.
        let half = (infinity > 0.0).then_some(0.5);
        for class in &report.classes {
            let measures = [class.ap_voc2007, class.ap_voc2010, class.average_precision];
            assert_eq!((measures, class.roc_auc), ([half; 3], half));
            assert_eq!(class.equal_error_threshold, None);
        }
        assert_eq!(report.accuracy.map(|accuracy| accuracy.overall), half);
        let (unscored, tied) = if infinity > 0.0 { (0, 2) } else { (2, 0) };
        assert_eq!((report.classes[0].unscored, report.classes[0].tied), (unscored, tied));
        assert_eq!(report.missing, unscored);
        assert_eq!(report.confusion.unwrap().tied, tied);
        let note =
            if infinity > 0.0 { "4 of 4 scores are equal" } else { "2 of 2 images are missing" };
        assert!(table.contains(note), "{table}");
    }
}

#[test]
fn nan_and_uneven_parts_are_refused_by_name() {
    let (ids, classes) = (names(&["p", "q"]), names(&["cat", "dog"]));
    let labels = [vec![Yes, Ignored], vec![No, Yes]];
    let scores = array![[0.0_f32, f32::NAN], [0.0, 0.0]];
    let scored = Scored {
        split: "test",
        ids: &ids,
        classes: &classes,
        labels: &labels,
        scores: scores.view(),
        single_label: false,
        decision: Decision::ScoreAbove(0.0),
    };
    let message = evaluate(&scored).unwrap_err().to_string();
    assert_eq!(message, "evaluation: the score of image `p` for class `dog` is NaN");
    let refused = |scored: Scored<'_>| evaluate(&scored).unwrap_err().to_string();
    assert!(refused(Scored { ids: &ids[..1], ..scored }).starts_with("rows of the score matrix"));
    assert!(
        refused(Scored { classes: &classes[..1], ..scored }).starts_with("columns of the score")
    );
    assert!(refused(Scored { labels: &labels[..1], ..scored }).starts_with("images with labels"));
    let short = [vec![Yes], vec![No, Yes]];
    assert!(refused(Scored { labels: &short, ..scored }).starts_with("labels of an image"));
}

#[test]
fn accuracy_agrees_with_linfa() {
    let classes = names(&["a", "b", "c", "d"]);
    let mut stream = Seed(6).stream("accuracy", 0);
    let scores = Array2::from_shape_simple_fn((300, 4), || stream.normal() as f32);
    let truth: Vec<usize> = (0..300).map(|i| if i < 150 { 0 } else { stream.below(4) }).collect();
    let labels: Vec<Vec<Label>> = truth
        .iter()
        .map(|&truth| (0..4).map(|class| if class == truth { Yes } else { No }).collect())
        .collect();
    let ids: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let confusion = Confusion::new(&ids, &classes, &labels, scores.view()).unwrap();
    let predicted: Vec<usize> = scores
        .rows()
        .into_iter()
        .map(|row| (0..4).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap())
        .collect();
    let accuracy = confusion.accuracy().unwrap();
    let linfa =
        Array1::from(predicted.clone()).confusion_matrix(&Array1::from(truth.clone())).unwrap();
    // linfa counts in f32.
    assert!((accuracy.overall - f64::from(linfa.accuracy())).abs() < 1e-6);
    let recall = |class: usize| {
        let of: Vec<usize> = (0..300).filter(|&i| truth[i] == class).collect();
        of.iter().filter(|&&i| predicted[i] == class).count() as f64 / of.len() as f64
    };
    let mean = (0..4).map(recall).sum::<f64>() / 4.0;
    assert_same(Some(accuracy.mean_class), Some(mean), "mean class accuracy");
}
