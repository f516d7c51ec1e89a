//! The classifier through its public face: certified optima from elsewhere, laws of the problem,
//! agreement of the solvers, choice of C, calibration, and input that cannot be learnt from.

use std::ops::Range;
use std::sync::Mutex;

use fvtool::Error;
use fvtool::dataset::Label;
use fvtool::linalg::Rows;
use fvtool::progress::{Progress, Silent};
use fvtool::random::Seed;
use fvtool::svm::{self, Balance, Calibration, Loss, Model, Params, Solver, Stop};
use ndarray::{Array1, Array2, ArrayView1, Axis, Ix0, Ix1, Ix2, concatenate};
use proptest::prelude::*;

use crate::support::{golden, golden_npz, in_pool};

pub const SEED: Seed = Seed(11);

/// As tight as f32 allows at every C of these tests: products near 1 are exact to about 1e-7, and
/// that costs C for every row at the margin.
fn tight(solver: Solver, loss: Loss, c: f64) -> Params {
    Params { solver, loss, c, tolerance: 1e-5, max_epochs: 20_000, ..Params::default() }
}

fn label(y: f64) -> Label {
    match y {
        y if y > 0.0 => Label::Yes,
        y if y < 0.0 => Label::No,
        _ => Label::Ignored,
    }
}

/// One class.
pub fn fit(x: &Array2<f32>, y: &[f64], params: &Params) -> Model {
    let labels: Vec<Vec<Label>> = y.iter().map(|&y| vec![label(y)]).collect();
    svm::train(&x.view(), &labels, &["class".into()], params, SEED, &Silent).unwrap()
}

/// Several classes by one-hot labels of `class_of`.
pub fn fit_all(x: &Array2<f32>, class_of: &[usize], classes: usize, params: &Params) -> Model {
    let names: Vec<String> = (0..classes).map(|c| format!("class {c}")).collect();
    svm::train(&x.view(), &one_hot(class_of, classes), &names, params, SEED, &Silent).unwrap()
}

pub fn one_hot(class_of: &[usize], classes: usize) -> Vec<Vec<Label>> {
    let row = |&own: &usize| {
        (0..classes).map(|c| if c == own { Label::Yes } else { Label::No }).collect()
    };
    class_of.iter().map(row).collect()
}

/// The primal in f64, straight from its definition. `C_i` is `c`, times `weight` for positives.
pub fn primal(
    x: &Array2<f32>,
    y: &[f64],
    (w, b): (ArrayView1<'_, f64>, f64),
    loss: Loss,
    (c, weight): (f64, f64),
    bias_counts: bool,
) -> f64 {
    let mut value = 0.5 * (w.dot(&w) + if bias_counts { b * b } else { 0.0 });
    for (row, &y) in x.rows().into_iter().zip(y) {
        let slack = (1.0 - y * (row.mapv(f64::from).dot(&w) + b)).max(0.0);
        let c = if y > 0.0 { c * weight } else { c };
        value += match loss {
            _ if y == 0.0 => 0.0,
            Loss::Hinge => c * slack,
            Loss::SquaredHinge => c * slack * slack,
        };
    }
    value
}

pub fn of_class(model: &Model, class: usize) -> (Array1<f64>, f64) {
    (model.weights.row(class).mapv(f64::from), f64::from(model.bias[class]))
}

/// Class centres far apart compared with the noise of each value, not of the whole row.
pub fn blobs(n: usize, dim: usize, classes: usize, item: u64) -> (Array2<f32>, Vec<usize>) {
    let mut stream = Seed(5).stream("blobs", item);
    let centres = Array2::from_shape_simple_fn((classes, dim), || stream.normal());
    let class_of: Vec<usize> = (0..n).map(|_| stream.below(classes)).collect();
    let mut x = Array2::from_shape_fn((n, dim), |(i, d)| {
        (centres[[class_of[i], d]] + 2.0 * stream.normal()) as f32
    });
    for mut row in x.rows_mut() {
        let norm = row.dot(&row).sqrt();
        row.mapv_inplace(|v| v / norm);
    }
    (x, class_of)
}

/// Compares with an optimum that is certified elsewhere. Strong convexity bounds the distance of
/// any point from the optimum: `½‖Δ(w, b)‖² ≤ primal − optimum`, so the tolerance follows from the
/// gap that the solver itself reports.
#[track_caller]
fn assert_optimal(
    what: &str,
    (x, y): (&Array2<f32>, &[f64]),
    params: &Params,
    (w, b, optimum): (&Array1<f64>, f64, f64),
) {
    let model = fit(x, y, params);
    let (got_w, got_b) = of_class(&model, 0);
    let report = &model.reports[0];
    assert_eq!(report.stop, Stop::Converged, "{what}: {report:?}");
    let free = params.solver == Solver::Smo;
    let weights = (params.c, params.positive_weight);
    let value = primal(x, y, (got_w.view(), got_b), params.loss, weights, !free);
    // The gap asked for, and as much again for f32 weights and products.
    let slack = 2.0 * params.tolerance * optimum;
    assert!((report.primal - value).abs() <= slack, "{what}: {} is {value}", report.primal);
    assert!(value >= optimum - slack && value <= optimum + slack, "{what}: {value} vs {optimum}");
    assert!(report.dual <= optimum + slack, "{what}: {} is above {optimum}", report.dual);
    let distance =
        (&got_w - w).mapv(|d| d * d).sum() + if free { 0.0 } else { (got_b - b).powi(2) };
    assert!(distance.sqrt() <= (2.0 * slack).sqrt(), "{what}: distance {}", distance.sqrt());
    if free {
        // The bias is where a free row's margin is met, so it is as exact as the products.
        assert!((got_b - b).abs() < 2e-3, "{what}: bias {got_b} vs {b}");
    }
}

/// `svm_small` (60 × 7, 21 positives) and `svm_fvlike_80x300`: see `tests/data/golden/python`.
#[test]
fn meets_the_certified_optima() {
    for (archive, weights) in [("svm_small", &[1.0, 4.0][..]), ("svm_fvlike_80x300", &[1.0])] {
        let x = golden_npz::<f64, Ix2>(archive, "X").mapv(|v| v as f32);
        let y = golden_npz::<f64, Ix1>(archive, "y").to_vec();
        let grid = if archive == "svm_small" { &[0.1, 1.0, 10.0][..] } else { &[1.0, 10.0] };
        for (&c, &weight) in grid.iter().flat_map(|c| weights.iter().map(move |w| (c, w))) {
            for (family, loss, solvers) in [
                ("hinge", Loss::Hinge, &[Solver::Gram, Solver::Dual][..]),
                ("sqhinge", Loss::SquaredHinge, &[Solver::Gram, Solver::Dual]),
                ("svc_free_bias", Loss::Hinge, &[Solver::Smo]),
            ] {
                let suffix = if weight == 1.0 { String::new() } else { format!("_pos{weight}") };
                let key = format!("{family}_C{c}{suffix}");
                let w = golden_npz::<f64, Ix1>(archive, &format!("{key}_w"));
                let number = |what: &str| {
                    golden_npz::<f64, Ix0>(archive, &format!("{key}_{what}")).into_scalar()
                };
                for &solver in solvers {
                    let mut params = Params { positive_weight: weight, ..tight(solver, loss, c) };
                    if c * weight > 10.0 {
                        // Dual variables up to 40 times rows of norm 3 cancel to margins of 1: an
                        // error of 1e-5 in f32, which costs C for each of 25 rows at the margin.
                        params.tolerance = 1e-3;
                    }
                    let what = format!("{archive} {key} {solver:?}");
                    let optimum = (&w, number("b"), number("primal"));
                    assert_optimal(&what, (&x, &y), &params, optimum);
                }
            }
        }
    }
}

/// VLFeat's form, `λ/2(‖w‖² + b²) + mean loss` with `λ = 1/(10·120)`, is ours times `λ` at `C = 10`.
#[test]
fn meets_the_optima_in_lambda_form() {
    let x = golden::<f64, Ix2>("svm_x").mapv(|v| v as f32);
    let y = golden::<f64, Ix1>("svm_y").to_vec();
    for (name, loss, objective) in
        [("svm_hinge", Loss::Hinge, 0.1257483521), ("svm_hinge2", Loss::SquaredHinge, 0.1050161692)]
    {
        let w: Array1<f64> = golden::<f64, Ix1>(&format!("{name}_w"));
        let b = golden::<f64, Ix1>(&format!("{name}_b"))[0];
        for solver in [Solver::Gram, Solver::Dual] {
            let params = tight(solver, loss, 10.0);
            let optimum = (&w, b, objective * 10.0 * y.len() as f64);
            assert_optimal(&format!("{name} {solver:?}"), (&x, &y), &params, optimum);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Every row twice is every error counted twice: the optimum at 2C.
    #[test]
    fn saying_every_row_twice_doubles_c(item in 0u64..1000, n in 6usize..40, c in 0.05f64..5.0) {
        let (x, class_of) = blobs(n, 9, 2, item);
        let y: Vec<f64> = class_of.iter().map(|&c| 2.0 * c as f64 - 1.0).collect();
        prop_assume!(y.contains(&1.0) && y.contains(&-1.0));
        let (twice, y_twice) = (concatenate![Axis(0), x, x], [y.clone(), y.clone()].concat());
        for (solver, loss) in [
            (Solver::Gram, Loss::Hinge),
            (Solver::Dual, Loss::SquaredHinge),
            (Solver::Smo, Loss::Hinge), // duplicates make its Gram matrix singular
        ] {
            let doubled = fit(&x, &y, &tight(solver, loss, 2.0 * c));
            let repeated = fit(&twice, &y_twice, &tight(solver, loss, c));
            let (w, _) = of_class(&doubled, 0);
            let (v, _) = of_class(&repeated, 0);
            let (p, q) = (doubled.reports[0].primal, repeated.reports[0].primal);
            prop_assert!((p - q).abs() < 3e-5 * p, "{solver:?}: {p} {q}");
            // Both are within √(2·gap) of the same optimum.
            let apart = (&w - &v).mapv(|d| d * d).sum().sqrt();
            prop_assert!(apart <= 2.0 * (2.0 * 2e-5 * p).sqrt(), "{solver:?}: {apart}");
        }
    }

    /// The order of rows is no part of the problem, and the two exact solvers solve the same one.
    #[test]
    fn neither_order_nor_solver_moves_the_optimum(item in 0u64..1000, n in 6usize..50, c in 0.05f64..20.0) {
        let (x, class_of) = blobs(n, 12, 3, item);
        let mut order: Vec<usize> = (0..n).collect();
        Seed(item).stream("order", 0).shuffle(&mut order);
        let shuffled = x.select(Axis(0), &order);
        let class_of_shuffled: Vec<usize> = order.iter().map(|&i| class_of[i]).collect();
        for loss in [Loss::Hinge, Loss::SquaredHinge] {
            let first = fit_all(&x, &class_of, 3, &tight(Solver::Gram, loss, c));
            let second = fit_all(&shuffled, &class_of_shuffled, 3, &tight(Solver::Gram, loss, c));
            let third = fit_all(&x, &class_of, 3, &tight(Solver::Dual, loss, c));
            for other in [&second, &third] {
                for (a, b) in first.reports.iter().zip(&other.reports) {
                    prop_assert!((a.primal - b.primal).abs() <= 3e-5 * a.primal, "{a:?} {b:?}");
                }
            }
        }
    }

    /// Weak duality, with the primal computed here: no dual value exceeds any primal value.
    #[test]
    fn the_gap_bounds_the_optimum(item in 0u64..1000, n in 4usize..60, c in 0.01f64..100.0, epochs in 1usize..30) {
        let (x, class_of) = blobs(n, 8, 3, item);
        for solver in [Solver::Gram, Solver::Dual] {
            for loss in [Loss::Hinge, Loss::SquaredHinge] {
                let params = Params { max_epochs: epochs, ..tight(solver, loss, c) };
                let early = fit_all(&x, &class_of, 3, &params);
                let late = fit_all(&x, &class_of, 3, &tight(solver, loss, c));
                for (early, late) in early.reports.iter().zip(&late.reports) {
                    if early.stop == Stop::OneSided {
                        continue;
                    }
                    prop_assert!(early.epochs <= epochs && early.relative_gap >= 0.0);
                    prop_assert!(early.dual <= late.primal * (1.0 + 3e-5), "{early:?} {late:?}");
                    prop_assert!(early.primal >= late.dual * (1.0 - 3e-5), "{early:?} {late:?}");
                }
            }
        }
    }

    /// With a free bias, rows times s, weights by s, and C by s² are the same problem.
    #[test]
    fn scaling_the_rows_scales_the_weights(item in 0u64..1000, power in -3i32..4) {
        let scale = 4f32.powi(power); // a power of two, so that rounding is the same
        let (x, class_of) = blobs(30, 6, 2, item);
        let y: Vec<f64> = class_of.iter().map(|&c| 2.0 * c as f64 - 1.0).collect();
        prop_assume!(y.contains(&1.0) && y.contains(&-1.0));
        let plain = fit(&x, &y, &tight(Solver::Smo, Loss::Hinge, 1.0));
        let c = 1.0 / f64::from(scale).powi(2);
        let scaled = fit(&x.mapv(|v| v * scale), &y, &tight(Solver::Smo, Loss::Hinge, c));
        let (w, v) = (of_class(&plain, 0).0, of_class(&scaled, 0).0 * f64::from(scale));
        // The module's bound: ½‖w − w*‖² is at most the gap, which each fit reports.
        let reach = |model: &Model| {
            let report = &model.reports[0];
            (2.0 * (report.primal - report.dual).max(0.0)).sqrt()
        };
        let allowed = reach(&plain) + f64::from(scale) * reach(&scaled);
        let apart = (&w - &v).mapv(|d| d * d).sum().sqrt();
        prop_assert!(apart <= allowed + 1e-3 * w.dot(&w).sqrt().max(0.1), "{apart} {allowed}");
    }
}

/// Ignored rows train as if they were not there, and still get scores.
#[test]
fn ignored_rows_are_left_out_of_their_class_only() {
    let (x, class_of) = blobs(50, 10, 2, 3);
    let mut y: Vec<f64> = class_of.iter().map(|&c| 2.0 * c as f64 - 1.0).collect();
    let ignored = [0, 7, 8, 31];
    ignored.iter().for_each(|&i| y[i] = 0.0);
    let kept: Vec<usize> = (0..50).filter(|i| !ignored.contains(i)).collect();
    let kept_y: Vec<f64> = kept.iter().map(|&i| y[i]).collect();
    for solver in [Solver::Gram, Solver::Dual, Solver::Smo] {
        let params = tight(solver, Loss::Hinge, 2.0);
        let (all, without) =
            (fit(&x, &y, &params), fit(&x.select(Axis(0), &kept), &kept_y, &params));
        let (a, b) = (&all.reports[0], &without.reports[0]);
        assert_eq!(
            (a.ignored, b.ignored, a.positives, a.negatives),
            (4, 0, b.positives, b.negatives)
        );
        assert!((a.primal - b.primal).abs() <= 3e-5 * a.primal, "{solver:?}");
        assert!(all.scores(&x.view()).unwrap().iter().all(|s| s.is_finite()));
    }
}

/// `balanced` at 3 negatives to a positive is the positive weight 3.
#[test]
fn balancing_is_a_positive_weight_per_class() {
    let (x, _) = blobs(40, 10, 2, 4);
    let y: Vec<f64> = (0..40).map(|i| if i % 4 == 0 { 1.0 } else { -1.0 }).collect();
    let plain = tight(Solver::Gram, Loss::Hinge, 1.0);
    let balanced = fit(&x, &y, &Params { balance: Balance::Balanced, ..plain.clone() });
    let weighted = fit(&x, &y, &Params { positive_weight: 3.0, ..plain.clone() });
    assert_eq!(balanced, weighted);
    assert_ne!(balanced.weights, fit(&x, &y, &plain).weights);
}

/// Every solver, folds and calibration included, in pools of one, two and three threads.
#[test]
fn threads_do_not_change_a_bit() {
    let (x, class_of) = blobs(160, 2100, 5, 6);
    for solver in [Solver::Gram, Solver::Dual, Solver::Smo] {
        let params = Params {
            solver,
            folds: 3,
            c_grid: vec![0.5, 5.0],
            calibration: Calibration::Platt,
            ..Params::default()
        };
        let run = |threads| {
            in_pool(threads, || {
                let model = fit_all(&x, &class_of, 5, &params);
                let scores = model.scores(&x.view()).unwrap();
                (model, scores)
            })
        };
        let first = run(1);
        assert!(first.0.sigmoids.iter().all(Option::is_some));
        assert_eq!(first, run(2), "{solver:?}");
        assert_eq!(first, run(3), "{solver:?}");
    }
}

/// Rows that are converted when they are read, as f16 files are: through `scratch`.
struct Converted(Array2<f32>);

impl Rows for Converted {
    fn len(&self) -> usize {
        self.0.nrows()
    }

    fn dim(&self) -> usize {
        self.0.ncols()
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        scratch.clear();
        scratch.extend(self.0.row(i).iter().skip(columns.start).take(columns.len()));
        scratch
    }
}

#[test]
fn rows_may_be_converted_on_the_way() {
    let (x, class_of) = blobs(70, 2100, 3, 7);
    let names: Vec<String> = (0..3).map(|c| c.to_string()).collect();
    let labels = one_hot(&class_of, 3);
    for solver in [Solver::Gram, Solver::Dual] {
        let params = Params { solver, ..Params::default() };
        let direct = svm::train(&x.view(), &labels, &names, &params, SEED, &Silent).unwrap();
        let stored = Converted(x.clone());
        let through = svm::train(&stored, &labels, &names, &params, SEED, &Silent).unwrap();
        assert_eq!(direct, through);
        assert_eq!(direct.scores(&x.view()).unwrap(), through.scores(&stored).unwrap());
    }
}

/// 2,100 columns are two chunks, 70 rows more than one block: scores against plain f64 sums.
#[test]
fn scores_are_w_x_plus_b() {
    let (x, class_of) = blobs(70, 2100, 3, 8);
    let model = fit_all(&x, &class_of, 3, &Params::default());
    let scores = model.scores(&x.view()).unwrap();
    for (i, row) in x.rows().into_iter().enumerate() {
        for class in 0..3 {
            let (w, b) = of_class(&model, class);
            let expected = row.mapv(f64::from).dot(&w) + b;
            assert!((f64::from(scores[[i, class]]) - expected).abs() < 1e-5);
        }
        assert_eq!(model.score(row.to_slice().unwrap()).unwrap(), scores.row(i).to_vec());
    }
    let empty = Array2::<f32>::zeros((0, 2100));
    assert_eq!(model.scores(&empty.view()).unwrap().dim(), (0, 3));
}

/// The table holds every C in ascending order; the chosen one is the best, and is trained with.
#[test]
fn c_is_chosen_on_held_out_images() {
    let (x, class_of) = blobs(150, 30, 3, 9);
    let grid = vec![10.0, 1e-4, 0.5, 10.0];
    for solver in [Solver::Gram, Solver::Dual] {
        let params = Params { solver, c_grid: grid.clone(), folds: 4, ..Params::default() };
        let model = fit_all(&x, &class_of, 3, &params);
        let selection = model.selection.clone().unwrap();
        let cs: Vec<f64> = selection.candidates.iter().map(|candidate| candidate.c).collect();
        assert_eq!((cs, selection.folds), (vec![1e-4, 0.5, 10.0], 4));
        for candidate in &selection.candidates {
            let known: Vec<f64> = candidate.average_precision.iter().flatten().copied().collect();
            assert_eq!(known.len(), 3);
            assert!(
                (known.iter().sum::<f64>() / 3.0 - candidate.mean_average_precision).abs() < 1e-12
            );
            assert!(known.iter().all(|ap| (0.0..=1.0).contains(ap)));
        }
        let best =
            selection.candidates.iter().map(|c| c.mean_average_precision).fold(0.0, f64::max);
        let chosen = selection.candidates.iter().find(|c| c.c == selection.chosen).unwrap();
        assert_eq!(chosen.mean_average_precision, best);
        assert!(model.reports.iter().all(|report| report.c == selection.chosen));
        // Chance is the share of positives, a third; these classes overlap but can be told apart.
        assert!((0.5..1.0).contains(&best), "{best}");
    }
}

/// Labels without any relation to the rows: training scores separate them perfectly (more columns
/// than rows), held-out scores cannot, and the probabilities must know that.
#[test]
fn probabilities_come_from_images_not_trained_on() {
    let mut stream = Seed(13).stream("noise", 0);
    let x = Array2::from_shape_simple_fn((120, 300), || 0.06 * stream.normal() as f32);
    let y: Vec<f64> = (0..120).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
    let params = Params { calibration: Calibration::Platt, ..Params::default() };
    let model = fit(&x, &y, &params);
    let scores = model.scores(&x.view()).unwrap();
    assert!(scores.column(0).iter().zip(&y).all(|(&s, &y)| f64::from(s) * y > 0.5));
    for row in scores.rows() {
        let p = model.probabilities(&row.to_vec())[0].unwrap();
        // A third of the labels is positive. Fitted on training scores, p would be near 0 or 1.
        assert!((0.1..0.65).contains(&p), "{p}");
    }
    let (x, class_of) = blobs(150, 30, 3, 10);
    let model = fit_all(&x, &class_of, 3, &params);
    assert!(model.sigmoids.iter().all(|sigmoid| sigmoid.unwrap().a < 0.0));
    assert_eq!(model.selection, None);
}

/// Keeps the notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
    fn summary(&self, _: &str, _: &str) {}
}

#[test]
fn one_sided_classes_are_constant_and_named() {
    let (x, _) = blobs(20, 6, 2, 11);
    let names = ["all", "none", "unknown", "both", "once"].map(String::from);
    let labels: Vec<Vec<Label>> = (0..20)
        .map(|i| {
            let half = if i % 2 == 0 { Label::Yes } else { Label::No };
            let once = if i == 4 { Label::Yes } else { Label::No };
            vec![Label::Yes, Label::No, Label::Ignored, half, once]
        })
        .collect();
    for solver in [Solver::Gram, Solver::Dual, Solver::Smo] {
        let notes = Notes::default();
        let params = Params { solver, calibration: Calibration::Platt, ..Params::default() };
        let model = svm::train(&x.view(), &labels, &names, &params, SEED, &notes).unwrap();
        let stops: Vec<Stop> = model.reports.iter().map(|report| report.stop).collect();
        assert_eq!(stops[..3], [Stop::OneSided; 3]);
        assert_eq!(stops[3..], [Stop::Converged; 2]);
        let scores = model.scores(&x.view()).unwrap();
        assert!(scores.rows().into_iter().all(|s| (s[0], s[1], s[2]) == (1.0, -1.0, -1.0)));
        // A single positive is never held out and trained on at once.
        let calibrated: Vec<bool> = model.sigmoids.iter().map(Option::is_some).collect();
        assert_eq!(calibrated, [false, false, false, true, false]);
        let notes = notes.0.into_inner().unwrap();
        for class in ["class all", "class none", "class unknown", "class once"] {
            assert!(notes.iter().any(|note| note.contains(class)), "{class}: {notes:?}");
        }
    }
}

#[test]
fn a_limit_of_epochs_is_reported() {
    let (x, class_of) = blobs(80, 20, 2, 12);
    let notes = Notes::default();
    let params = Params { max_epochs: 1, tolerance: 1e-6, ..Params::default() };
    let names = ["a".to_owned(), "b".to_owned()];
    let labels = one_hot(&class_of, 2);
    let model = svm::train(&x.view(), &labels, &names, &params, SEED, &notes).unwrap();
    assert!(model.reports.iter().all(|r| r.stop == Stop::EpochLimit && r.epochs == 1));
    let notes = notes.0.into_inner().unwrap();
    assert!(notes.len() == 2 && notes[0].contains("svm.max_epochs"), "{notes:?}");
}

/// Dual coordinate descent as published, in f64, on the rows and a constant feature; primal and dual of
/// the problem with a regularised bias.
pub fn reference(x: &Array2<f32>, y: &[f64], loss: Loss, c: f64, sweeps: usize) -> (f64, f64) {
    let x = x.mapv(f64::from);
    let (mut w, mut b) = (Array1::<f64>::zeros(x.ncols()), 0.0);
    let mut alpha = vec![0.0; y.len()];
    let (upper, ridge) = match loss {
        Loss::Hinge => (c, 0.0),
        Loss::SquaredHinge => (f64::INFINITY, 0.5 / c),
    };
    for _ in 0..sweeps {
        for (i, row) in x.rows().into_iter().enumerate() {
            let gradient = y[i] * (w.dot(&row) + b) - 1.0 + ridge * alpha[i];
            let wanted: f64 = alpha[i] - gradient / (row.dot(&row) + 1.0 + ridge);
            let wanted = wanted.clamp(0.0, upper);
            let change = (wanted - alpha[i]) * y[i];
            alpha[i] = wanted;
            w.scaled_add(change, &row);
            b += change;
        }
    }
    // Afresh, without what the steps have left.
    let signed: Array1<f64> = alpha.iter().zip(y).map(|(a, y)| a * y).collect();
    let (w, b) = (x.t().dot(&signed), signed.sum());
    let square = w.dot(&w) + b * b;
    let penalty: f64 = alpha.iter().map(|a| 0.5 * ridge * a * a).sum();
    let dual = alpha.iter().sum::<f64>() - 0.5 * square - penalty;
    let of_row = |(row, y): (ArrayView1<'_, f64>, &f64)| {
        let slack = (1.0 - y * (w.dot(&row) + b)).max(0.0);
        c * if loss == Loss::Hinge { slack } else { slack * slack }
    };
    let errors: f64 = x.rows().into_iter().zip(y).map(of_row).sum();
    (0.5 * square + errors, dual)
}

/// Rows of zeros and rows that are all equal have an optimum too: the bias alone.
#[test]
fn rows_that_tell_nothing_leave_the_bias() {
    let y = [1.0, -1.0, -1.0, -1.0, 0.0];
    for x in [Array2::zeros((5, 3)), Array2::from_elem((5, 3), 0.25)] {
        for solver in [Solver::Gram, Solver::Dual, Solver::Smo] {
            let model = fit(&x, &y, &tight(solver, Loss::Hinge, 10.0));
            let scores = model.scores(&x.view()).unwrap();
            // Three errors of the four are avoided at a score of −1.
            assert!(scores.iter().all(|s| (s + 1.0).abs() < 1e-3), "{solver:?}: {scores}");
        }
    }
}

#[test]
fn a_model_comes_back_from_its_parts() {
    let (x, class_of) = blobs(60, 12, 3, 14);
    let params = Params {
        c_grid: vec![0.1, 1.0],
        calibration: Calibration::Platt,
        folds: 3,
        ..Params::default()
    };
    let model = fit_all(&x, &class_of, 3, &params);
    let through_text = |model: &Model| {
        let text = serde_json::to_string(&(&model.sigmoids, &model.reports, &model.selection));
        serde_json::from_str(&text.unwrap()).unwrap()
    };
    let (sigmoids, reports, selection) = through_text(&model);
    let parts = |weights: Array2<f32>, bias: Vec<f32>| {
        let (sigmoids, reports, selection) = through_text(&model);
        Model::new(model.classes.clone(), weights, bias, sigmoids, reports, selection)
    };
    let again = parts(model.weights.clone(), model.bias.clone()).unwrap();
    assert_eq!(again.with_duals(model.duals.clone()).unwrap(), model);
    assert_eq!(
        (model.sigmoids.clone(), model.reports.clone(), model.selection.clone()),
        (sigmoids, reports, selection)
    );
    assert!(parts(Array2::zeros((2, 12)), model.bias.clone()).is_err());
    assert!(parts(model.weights.clone(), vec![0.0; 4]).is_err());
    let mut bad = model.weights.clone();
    bad[[1, 1]] = f32::NAN;
    assert!(matches!(parts(bad, model.bias.clone()), Err(Error::Numerical { .. })));
}
