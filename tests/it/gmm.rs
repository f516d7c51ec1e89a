//! Mixtures against double-precision references: posteriors, EM, k-means, mini-batch EM.

use fvtool::gmm::em::{self, Mixture};
use fvtool::gmm::{Evaluator, FitReport, Gmm, Method, Params, StopReason, fit, kmeans, minibatch};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, array, concatenate};
use proptest::prelude::*;

use crate::support::{assert_close, golden, golden_npz, in_pool};

pub fn gmm8() -> Gmm {
    Gmm::new(
        golden::<f32, ndarray::Ix1>("gmm8_priors").to_vec(),
        golden("gmm8_means"),
        golden("gmm8_covs"),
    )
    .unwrap()
}

/// The log-densities of every component and their log-sum, straight from the definition in f64.
pub fn reference_posteriors(x: ArrayView2<'_, f64>, mixture: &Mixture) -> (Array2<f64>, Vec<f64>) {
    let k = mixture.weights.len();
    let mut gamma = Array2::zeros((x.nrows(), k));
    let mut log_likelihood = Vec::new();
    for (n, row) in x.rows().into_iter().enumerate() {
        let logs: Vec<f64> = (0..k)
            .map(|i| {
                let density: f64 = row
                    .iter()
                    .zip(mixture.means.row(i))
                    .zip(mixture.variances.row(i))
                    .map(|((x, m), v)| {
                        -0.5 * ((std::f64::consts::TAU * v).ln() + (x - m).powi(2) / v)
                    })
                    .sum();
                mixture.weights[i].ln() + density
            })
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|l| (l - largest).exp()).sum();
        for (i, log) in logs.iter().enumerate() {
            gamma[[n, i]] = (log - largest).exp() / sum;
        }
        log_likelihood.push(largest + sum.ln());
    }
    (gamma, log_likelihood)
}

/// One EM step in f64, two-pass variances. Returns the mean log-likelihood before the step.
pub fn reference_step(x: ArrayView2<'_, f64>, mixture: &mut Mixture, floor: f64) -> f64 {
    let (gamma, log_likelihood) = reference_posteriors(x, mixture);
    for i in 0..mixture.weights.len() {
        let mass: f64 = gamma.column(i).sum();
        mixture.weights[i] = mass / x.nrows() as f64;
        for j in 0..x.ncols() {
            let weighted = |f: &dyn Fn(f64) -> f64| -> f64 {
                gamma.column(i).iter().zip(x.column(j)).map(|(g, &x)| g * f(x)).sum::<f64>() / mass
            };
            let mean = weighted(&|x| x);
            mixture.means[[i, j]] = mean;
            mixture.variances[[i, j]] = weighted(&|x| (x - mean).powi(2)).max(floor);
        }
    }
    log_likelihood.iter().sum::<f64>() / x.nrows() as f64
}

#[test]
fn posteriors_match_vlfeat_in_double_precision() {
    let (gamma, _) = Evaluator::new(&gmm8()).posteriors(golden::<f32, _>("gmm8_x").view()).unwrap();
    let expected: Array2<f64> = golden("gmm8_posteriors_f64");
    // The golden README's tolerance for an f32 implementation.
    assert_close(&gamma, &expected, 5e-6);
}

#[test]
fn posteriors_and_likelihood_match_scikit_learn() {
    let x: Array2<f64> = golden_npz("gmm_em_small", "X");
    let last = |key| -> Array2<f64> {
        let all: Array3<f64> = golden_npz("gmm_em_small", key);
        all.index_axis_move(Axis(0), 19)
    };
    let weights: Array2<f64> = golden_npz("gmm_em_small", "w_iter");
    let gmm = Mixture {
        weights: weights.row(19).to_vec(),
        means: last("mu_iter"),
        variances: last("var_iter"),
    }
    .to_gmm()
    .unwrap();
    let (gamma, log_likelihood) =
        Evaluator::new(&gmm).posteriors(x.mapv(|v| v as f32).view()).unwrap();
    // f32 parameters and rows of order 1 to 10: posteriors are good to 1e-5.
    assert_close(&gamma, &golden_npz::<f64, ndarray::Ix2>("gmm_em_small", "posterior_final"), 1e-5);
    let mean = log_likelihood.iter().sum::<f64>() / x.nrows() as f64;
    let expected = golden_npz::<f64, ndarray::Ix0>("gmm_em_small", "final_mean_loglik");
    assert!((mean - expected[()]).abs() < 1e-6 * expected[()].abs());
}

#[test]
fn em_follows_the_double_precision_reference_step_by_step() {
    let x: Array2<f32> = golden("em_x");
    let start = Mixture {
        weights: golden::<f32, ndarray::Ix1>("em_init_priors").mapv(f64::from).to_vec(),
        means: golden::<f32, _>("em_init_means").mapv(f64::from),
        variances: golden::<f32, _>("em_init_covs").mapv(f64::from),
    };
    let floors = vec![1e-9; x.ncols()];
    let x64 = x.mapv(f64::from);
    let mut reference = start.clone();
    for iterations in 1..=20 {
        let before = reference_step(x64.view(), &mut reference, 1e-9);
        let params = Params { max_iterations: iterations, tolerance: 0.0, ..Params::default() };
        let fit = em::fit(x.view(), start.clone(), &floors, &params, &Silent).unwrap();
        let history = &fit.report.mean_log_likelihood;
        assert_eq!(history.len(), iterations + 1);
        assert!((history[iterations - 1] - before).abs() < 1e-6 * before.abs());
        assert_close(fit.gmm.weights(), &reference.weights, 2e-6);
        // Means and variances of order 1; f32 posteriors leave 1e-5.
        assert_close(fit.gmm.means(), &reference.means, 2e-5);
        assert_close(fit.gmm.variances(), &reference.variances, 2e-5);
    }
}

/// VLFeat prunes posteriors in its M-step, so only the end of the way is comparable.
#[test]
fn em_ends_near_vlfeat() {
    let x: Array2<f32> = golden("em_x");
    let start = Mixture {
        weights: golden::<f32, ndarray::Ix1>("em_init_priors").mapv(f64::from).to_vec(),
        means: golden::<f32, _>("em_init_means").mapv(f64::from),
        variances: golden::<f32, _>("em_init_covs").mapv(f64::from),
    };
    let params = Params { max_iterations: 20, tolerance: 0.0, ..Params::default() };
    let fit = em::fit(x.view(), start, &vec![1e-9; x.ncols()], &params, &Silent).unwrap();
    let theirs: Array1<f64> = golden("em_traj_f64_loglik");
    let ours = fit.report.mean_log_likelihood.last().unwrap() * x.nrows() as f64;
    // The golden README: exact EM ends up to 0.25 nats away in the total.
    assert!((ours - theirs[theirs.len() - 1]).abs() < 0.5, "{ours} {theirs}");
}

#[test]
fn em_without_floor_matches_scikit_learn() {
    let x: Array2<f64> = golden_npz("gmm_em_reg0", "X");
    let start = Mixture {
        weights: golden_npz::<f64, ndarray::Ix1>("gmm_em_reg0", "w0").to_vec(),
        means: golden_npz("gmm_em_reg0", "mu0"),
        variances: golden_npz("gmm_em_reg0", "var0"),
    };
    let bounds: Array1<f64> = golden_npz("gmm_em_reg0", "lower_bound");
    let params = Params { max_iterations: bounds.len(), tolerance: 0.0, ..Params::default() };
    let x32 = x.mapv(|v| v as f32);
    let fit = em::fit(x32.view(), start, &vec![1e-12; x.ncols()], &params, &Silent).unwrap();
    for (got, expected) in fit.report.mean_log_likelihood.iter().zip(&bounds) {
        assert!((got - expected).abs() < 1e-6 * expected.abs(), "{got} {expected}");
    }
}

#[test]
fn likelihood_never_falls_and_the_report_says_why_it_stopped() {
    let x: Array2<f64> = golden_npz("gmm_em_real_d16_k8", "X");
    let x = x.mapv(|v| v as f32);
    let params = Params { components: 8, tolerance: 1e-5, ..Params::default() };
    let fit = fit(x.view(), &params, Seed(1), &Silent).unwrap();
    let history = &fit.report.mean_log_likelihood;
    assert!(history.windows(2).all(|w| w[1] > w[0] - 1e-6), "{history:?}");
    assert_eq!(fit.report.stop, StopReason::Converged);
    assert_eq!(fit.report.rows, x.nrows());
    assert!((fit.gmm.weights().iter().sum::<f32>() - 1.0).abs() < 1e-5);
    let free = 2.0 * 8.0 * 16.0 + 7.0;
    let n = x.nrows() as f64;
    let total = history.last().unwrap() * n;
    assert!((fit.report.bic - (free * n.ln() - 2.0 * total)).abs() < 1e-6 * total.abs());
}

#[test]
fn lloyd_matches_the_reference_iterations() {
    let x = golden_npz::<f64, ndarray::Ix2>("kmeans_real_d16_k8", "X").mapv(|v| v as f32);
    let init = golden_npz::<f64, ndarray::Ix2>("kmeans_real_d16_k8", "init").mapv(|v| v as f32);
    let centers: Array3<f64> = golden_npz("kmeans_real_d16_k8", "centers_iter");
    let inertia: Array1<f64> = golden_npz("kmeans_real_d16_k8", "inertia_iter");
    for iterations in [1, 2, 10] {
        let got = kmeans::lloyd(x.view(), init.clone(), iterations, &Silent).unwrap();
        assert_close(&got.centres, &centers.index_axis(Axis(0), iterations - 1).to_owned(), 1e-5);
        let last = got.inertia.last().unwrap();
        assert!((last - inertia[iterations - 1]).abs() < 1e-5 * last);
    }
}

#[test]
fn fits_are_the_same_bits_for_any_number_of_threads() {
    // More rows than one part of the parallel sums.
    let mut stream = Seed(5).stream("threads", 0);
    let x = Array2::from_shape_simple_fn((40_000, 7), || stream.normal() as f32 * 2.0 + 1.0);
    for method in [Method::Em, Method::MiniBatch] {
        let params = Params { components: 6, max_iterations: 4, method, ..Params::default() };
        let [one, three] =
            [1, 3].map(|n| in_pool(n, || fit(x.view(), &params, Seed(2), &Silent).unwrap()));
        assert_eq!(one, three);
    }
}

/// Korsch et al.: ten classes on the unit circle, 400 samples each; within 50 batches the moving
/// averages reach the mixture that EM finds on all data.
#[test]
fn minibatch_reaches_the_full_data_mixture_on_the_circle() {
    for (sigma, batch_rows) in [(0.1, 128), (0.2, 512)] {
        let mut stream = Seed(9).stream("circle", batch_rows as u64);
        let angle = |i: usize| (i % 10) as f64 * std::f64::consts::TAU / 10.0;
        let x = Array2::from_shape_fn((4000, 2), |(i, j)| {
            let centre = if j == 0 { angle(i).cos() } else { angle(i).sin() };
            (centre + sigma * stream.normal()) as f32
        });
        let start = Mixture {
            weights: vec![0.1; 10],
            means: Array2::from_shape_fn((10, 2), |(i, j)| {
                0.8 * if j == 0 { (angle(i) + 0.1).cos() } else { (angle(i) + 0.1).sin() }
            }),
            variances: Array2::from_elem((10, 2), 0.05),
        };
        let floors = [1e-6; 2];
        let batch = Params { batch_rows, max_iterations: 50, ..Params::default() };
        let full = Params { max_iterations: 100, ..Params::default() };
        let ours =
            minibatch::fit(x.view(), start.clone(), &floors, &batch, Seed(1), &Silent).unwrap();
        let em = em::fit(x.view(), start, &floors, &full, &Silent).unwrap();
        let expected = em.gmm.means().mapv(f64::from);
        assert_close(ours.gmm.means(), &expected, 0.3 * sigma);
        let [a, b] = [&ours, &em].map(|f| *f.report.mean_log_likelihood.last().unwrap());
        assert!(a > b - 0.02 && a < b + 1e-6, "{a} {b}");
    }
}

#[test]
fn an_emptied_component_is_reseeded_and_reported() {
    let mut stream = Seed(3).stream("empty", 0);
    let x = Array2::from_shape_simple_fn((500, 2), || stream.normal() as f32);
    let start = Mixture {
        weights: vec![0.5, 0.5],
        means: array![[0.0, 0.0], [1e4, 1e4]],
        variances: array![[1.0, 1.0], [1e-3, 1e-3]],
    };
    let params = Params { max_iterations: 30, tolerance: 0.0, ..Params::default() };
    let fit = em::fit(x.view(), start, &[1e-6; 2], &params, &Silent).unwrap();
    assert_eq!(fit.report.reseeded.first(), Some(&(0, 1)));
    assert!(fit.report.min_weight > 0.01, "{:?}", fit.report);
}

/// Of several starts the likeliest mixture is kept; the first start is that of a single fit.
#[test]
fn restarts_keep_the_likeliest_mixture() {
    let mut stream = Seed(4).stream("restarts", 0);
    let x = Array2::from_shape_fn((600, 3), |(i, _)| {
        (4 * (i % 9) as i32) as f32 + stream.normal() as f32
    });
    let once = Params { components: 9, kmeans_iterations: 1, ..Params::default() };
    let params = Params { restarts: 6, ..once.clone() };
    for method in [Method::Em, Method::MiniBatch] {
        let (once, params) =
            (Params { method, ..once.clone() }, Params { method, ..params.clone() });
        let single = fit(x.view(), &once, Seed(3), &Silent).unwrap();
        let best = fit(x.view(), &params, Seed(3), &Silent).unwrap();
        let tried = &best.report.restarts;
        let of = |report: &FitReport| *report.mean_log_likelihood.last().unwrap();
        assert_eq!((tried.len(), tried[0]), (6, of(&single.report)));
        assert!(tried[1..].iter().any(|t| *t != tried[0]), "{tried:?}");
        assert_eq!(of(&best.report), tried.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let evaluator = Evaluator::new(&best.gmm);
        let (_, log_likelihood) = evaluator.posteriors(x.view()).unwrap();
        let mean = log_likelihood.iter().sum::<f64>() / 600.0;
        assert!((mean - of(&best.report)).abs() < 1e-4 * mean.abs());
    }
    let error = fit(x.view(), &Params { restarts: 0, ..once }, Seed(3), &Silent).unwrap_err();
    assert!(error.to_string().contains("gmm.restarts"), "{error}");
}

#[test]
fn hard_data_gives_finite_mixtures_or_a_clear_error() {
    let params = Params { components: 3, max_iterations: 10, ..Params::default() };
    let constant = Array2::from_elem((120, 4), 0.25f32);
    let fitted = fit(constant.view(), &params, Seed(1), &Silent).unwrap();
    assert!(fitted.report.mean_log_likelihood.iter().all(|l| l.is_finite()));
    let two = concatenate![Axis(0), constant, Array2::from_elem((5, 4), 1e6f32)];
    assert!(fit(two.view(), &params, Seed(1), &Silent).is_ok());
    let one_dimension = Array2::from_shape_fn((50, 1), |(i, _)| i as f32 * 1e-20);
    assert!(fit(one_dimension.view(), &params, Seed(1), &Silent).is_ok());

    let few = Array2::zeros((2, 4));
    let error = fit(few.view(), &params, Seed(1), &Silent).unwrap_err().to_string();
    assert!(error.contains("gmm.components") && error.contains("training rows (2)"), "{error}");
    let mut broken = constant.clone();
    broken[[7, 1]] = f32::NAN;
    let error = fit(broken.view(), &params, Seed(1), &Silent).unwrap_err().to_string();
    assert!(error.contains("training row 7"), "{error}");
}

proptest! {
    /// Shifting and scaling rows and mixture together changes no posterior, however far from zero.
    #[test]
    fn posteriors_do_not_see_an_affine_change(shift in -50.0f64..50.0, scale in 0.01f64..100.0) {
        let x: Array2<f32> = golden("gmm8_x");
        let gmm = gmm8();
        let moved = Mixture::from(&gmm);
        let moved = Mixture {
            means: moved.means.mapv(|m| scale * (m + shift)),
            variances: moved.variances.mapv(|v| scale * scale * v),
            ..moved
        };
        let y = x.mapv(|v| (scale * (f64::from(v) + shift)) as f32);
        let (moved_gmm, expected) =
            (moved.to_gmm().unwrap(), reference_posteriors(y.mapv(f64::from).view(), &moved).0);
        let (got, _) = Evaluator::new(&moved_gmm).posteriors(y.view()).unwrap();
        // f32 parameters 50 units from zero are good to 4e-6 of a standard deviation of about 1.
        prop_assert!(crate::support::largest_difference(&got, &expected).1 < 2e-4);
    }
}
