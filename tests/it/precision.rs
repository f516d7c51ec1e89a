//! Vectors and likelihoods against the definition in double precision where a mixture has components
//! of almost no width far from its centre: black borders, white backgrounds, clear skies.

use fvtool::encoding::{AssignmentKind, Encoder, Params, Workspace, encode_with};
use fvtool::gmm::em::{self, Mixture};
use fvtool::gmm::{self, Evaluator, Gmm};
use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::projection::{self, Append, Covariance, Projection};
use fvtool::random::{Seed, Stream};
use ndarray::{Array2, ArrayView2, Axis, array, concatenate};
use proptest::prelude::*;

use crate::gmm::{reference_posteriors, reference_step};

/// Orders 0 to 2 of a Fisher vector, from the definition. Posteriors at or below `threshold` are 0.
fn reference(x: ArrayView2<'_, f32>, gmm: &Gmm, threshold: f64, hard: bool) -> Vec<f64> {
    reference_f64(x.mapv(f64::from), gmm, threshold, hard)
}

fn reference_f64(x: Array2<f64>, gmm: &Gmm, threshold: f64, hard: bool) -> Vec<f64> {
    let (k, d, n) = (gmm.components(), gmm.dim(), x.nrows() as f64);
    let mixture = Mixture::from(gmm);
    let (mut gamma, _) = reference_posteriors(x.view(), &mixture);
    for mut row in gamma.rows_mut() {
        let best = (0..k).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap();
        for i in 0..k {
            row[i] = match hard {
                true => f64::from(u8::from(i == best)),
                false if row[i] <= threshold => 0.0,
                false => row[i],
            };
        }
    }
    let mut vector = vec![0.0; k + 2 * k * d];
    for i in 0..k {
        let weight = mixture.weights[i];
        vector[i] = (gamma.column(i).sum() - n * weight) / (n * weight.sqrt());
        for j in 0..d {
            let (mean, sigma) = (mixture.means[[i, j]], mixture.variances[[i, j]].sqrt());
            let (mut first, mut second) = (0.0, 0.0);
            for (row, &gamma) in x.rows().into_iter().zip(gamma.column(i)) {
                let z = (row[j] - mean) / sigma;
                first += gamma * z;
                second += gamma * (z * z - 1.0);
            }
            vector[k + i * d + j] = first / (n * weight.sqrt());
            vector[k + (k + i) * d + j] = second / (n * (2.0 * weight).sqrt());
        }
    }
    vector
}

/// The difference of two vectors as a share of the length of the second.
fn error(got: &[f32], expected: &[f64]) -> f64 {
    let pairs = got.iter().zip(expected);
    let apart: f64 = pairs.map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (apart / expected.iter().map(|v| v * v).sum::<f64>()).sqrt()
}

/// A mixture of `k` components, the first `sharp` of them `width` wide, and `n` rows of it. Rows of a
/// sharp component repeat one point, exactly its mean or a deviation beside it, or lie about it.
fn scene(
    stream: &mut Stream,
    [k, d, sharp, n]: [usize; 4],
    width: f64,
    kind: u64,
) -> (Gmm, Array2<f32>) {
    let weights: Vec<f32> = (0..k).map(|_| stream.between(0.3, 1.0) as f32).collect();
    let means = Array2::from_shape_simple_fn((k, d), || (1.5 * stream.normal()) as f32);
    let variances = Array2::from_shape_fn((k, d), |(i, _)| {
        let sigma = if i < sharp { width } else { 1.0 };
        (sigma * stream.between(0.5, 1.5)).powi(2) as f32
    });
    let x = Array2::from_shape_fn((n, d), |(i, j)| {
        let component = i % k;
        let (mean, sigma) =
            (f64::from(means[[component, j]]), f64::from(variances[[component, j]]).sqrt());
        let z = match kind {
            _ if component >= sharp => stream.normal(),
            0 => 0.0,
            1 => ((j % 3) as f64 - 1.0) / 2.0,
            _ => stream.normal(),
        };
        (mean + sigma * z) as f32
    });
    (Gmm::new(weights, means, variances).unwrap(), x)
}

/// Orders in one vector, not normalised; and as presets normalise it, against the root of the former: that of
/// a sum which chance made nearly 0 has no bound against the definition. `spread` says that rows of a component
/// are not all alike. Where they are, and all posteriors count, sums that are nearly 0 stand beside products
/// with an error of 1e-7: up to 2e-4 of the raw vector. No preset takes all posteriors.
fn check(gmm: &Gmm, x: ArrayView2<'_, f32>, spread: bool, what: &str) {
    let raw = Params {
        orders: vec![0, 1, 2],
        region_steps: vec![],
        vector_steps: vec![],
        ..Params::default()
    };
    for (threshold, assignment) in
        [(0.0, AssignmentKind::Soft), (1e-6, AssignmentKind::Soft), (0.0, AssignmentKind::Hard)]
    {
        let hard = assignment == AssignmentKind::Hard;
        let expected = reference(x, gmm, threshold, hard);
        let params = Params { posterior_threshold: threshold, assignment, ..raw.clone() };
        let got = encode_with(gmm, x, &params).unwrap();
        let plain = error(&got, &expected);
        let all = threshold == 0.0 && !hard && !spread;
        let most = if all { 1e-3 } else { 1e-4 };
        assert!(plain < most, "{what}, {assignment:?} {threshold}: {plain:e}");
        let improved = Params {
            region_steps: Params::default().region_steps,
            vector_steps: Params::default().vector_steps,
            ..params
        };
        let length = got.iter().map(|v| f64::from(v.abs())).sum::<f64>().sqrt();
        let root = |v: &f32| f64::from(v.abs()).sqrt().copysign(f64::from(*v)) / length;
        let expected: Vec<f64> = got.iter().map(root).collect();
        let normalised = error(&encode_with(gmm, x, &improved).unwrap(), &expected);
        assert!(normalised < 1e-6, "{what}, {assignment:?} {threshold}: {normalised:e}");
    }
    let (_, got) = Evaluator::new(gmm).posteriors(x).unwrap();
    let (_, expected) = reference_posteriors(x.mapv(f64::from).view(), &Mixture::from(gmm));
    for (got, expected) in got.iter().zip(&expected) {
        let bound = 1e-5 * expected.abs().max(10.0);
        assert!((got - expected).abs() < bound, "{what}: ln p is {got}, not {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any number of sharp components, from none to all, down to a millionth of the data's width.
    #[test]
    fn vectors_agree_with_double_precision(
        seed in 0u64..1_000_000,
        k in 1usize..9,
        d in prop::sample::select(vec![1usize, 3, 16, 24, 37, 80]),
        digits in 0u32..7,
        kind in 0u64..3,
        share in 0.0f64..1.01,
    ) {
        let mut stream = Seed(seed).stream("sharp", 0);
        let sharp = ((k as f64 * share) as usize).min(k);
        let width = 10f64.powi(-(digits as i32));
        let (gmm, x) = scene(&mut stream, [k, d, sharp, 160], width, kind);
        let spread = kind == 2;
        check(&gmm, x.view(), spread, &format!("{sharp} of {k} sharp, {d} dimensions, {width:e}, {kind}"));
        // An image that is nothing but border.
        if sharp > 0 && kind > 0 {
            let picked: Vec<usize> = (0..x.nrows()).filter(|i| i % k == 0).collect();
            check(&gmm, x.select(Axis(0), &picked).view(), spread, "nothing but border");
        }
    }
}

/// Rows of one sharp component seen from all others, and none of its own.
#[test]
fn a_sharp_component_without_rows_costs_nothing() {
    let mut stream = Seed(4).stream("sharp", 1);
    let (gmm, x) = scene(&mut stream, [5, 40, 2, 200], 1e-3, 2);
    let picked: Vec<usize> = (0..200).filter(|i| i % 5 >= 2).collect();
    check(&gmm, x.select(Axis(0), &picked).view(), true, "none of its own");
}

/// One step of EM from a mixture with sharp components: likelihood, means and variances.
#[test]
fn a_step_of_em_agrees_with_double_precision() {
    for digits in 1..6 {
        let mut stream = Seed(digits).stream("sharp em", 0);
        let width = 10f64.powi(-(digits as i32));
        let (gmm, x) = scene(&mut stream, [6, 30, 3, 900], width, 2);
        let start = Mixture::from(&gmm);
        let floor = 1e-14;
        let mut expected = start.clone();
        let before = reference_step(x.mapv(f64::from).view(), &mut expected, floor);
        let params = gmm::Params { max_iterations: 1, tolerance: 0.0, ..gmm::Params::default() };
        let fit = em::fit(x.view(), start, &[floor; 30], &params, &Silent).unwrap();
        let got = fit.report.mean_log_likelihood[0];
        assert!((got - before).abs() < 1e-6 * before.abs(), "{width:e}: {got} {before}");
        let (means, variances) = (fit.gmm.means(), fit.gmm.variances());
        for ((i, j), variance) in expected.variances.indexed_iter() {
            let got = f64::from(variances[[i, j]]);
            assert!((got / variance - 1.0).abs() < 1e-4, "{width:e} {i} {j}: {got:e} {variance:e}");
            let shift = (f64::from(means[[i, j]]) - expected.means[[i, j]]).abs();
            // The mean is stored in f32.
            let rounding = 1e-7 * expected.means[[i, j]].abs();
            assert!(shift < 1e-5 * variance.sqrt() + rounding, "{width:e} {i} {j}: {shift:e}");
        }
    }
}

/// Fitted from the beginning on rows of which a third are one and the same, far out.
#[test]
fn a_fit_with_a_border_reports_the_likelihood_of_its_mixture() {
    let mut stream = Seed(11).stream("border", 0);
    let rows = Array2::from_shape_simple_fn((600, 24), || stream.normal() as f32);
    let border = Array2::from_shape_fn((300, 24), |(_, j)| 2.0 + (j as f32 * 0.37).sin());
    let x = concatenate![Axis(0), rows, border];
    for variance_floor in [1e-4, 1e-8] {
        let params = gmm::Params { components: 4, variance_floor, ..gmm::Params::default() };
        let fit = gmm::fit(x.view(), &params, Seed(1), &Silent).unwrap();
        let history = &fit.report.mean_log_likelihood;
        let last = history[history.len() - 1];
        let (_, exact) = reference_posteriors(x.mapv(f64::from).view(), &Mixture::from(&fit.gmm));
        let exact = exact.iter().sum::<f64>() / 900.0;
        assert!((last - exact).abs() < 1e-4 * exact.abs(), "{variance_floor}: {last} {exact}");
        check(&fit.gmm, x.slice(ndarray::s![500..700, ..]), true, "half a border");
    }
}

/// Rows of which nobody knows the unit: the mixture and all of its rows scaled and moved.
#[test]
fn no_unit_is_too_large_or_too_small() {
    for exponent in [-15i32, -6, 0, 6, 15] {
        let unit = 10f64.powi(exponent);
        let mut stream = Seed(5).stream("unit", 0);
        let (gmm, x) = scene(&mut stream, [4, 20, 2, 160], 1e-2, 2);
        let scaled = |v: f32| (f64::from(v) * unit) as f32;
        let gmm = Gmm::new(
            gmm.weights().to_vec(),
            gmm.means().mapv(scaled),
            gmm.variances().mapv(|v| (f64::from(v) * unit * unit) as f32),
        )
        .unwrap();
        check(&gmm, x.mapv(scaled).view(), true, &format!("unit {unit:e}"));
    }
}

/// From descriptors to the vector: those of flat regions are zeros, and a component lies where all of
/// them are projected to.
#[test]
fn empty_descriptors_are_projected_in_double_precision() {
    let mut stream = Seed(2).stream("empty", 0);
    let (n, d, k) = (900, 64, 24);
    let x = Array2::from_shape_fn((n, d), |(i, j)| match i % 3 {
        0 => 0.0,
        _ => (stream.unit().powi(3) * if j % 5 == i % 5 { 0.3 } else { 0.1 }) as f32,
    });
    for (l2, append) in [(false, Append::None), (true, Append::None), (false, Append::Xy)] {
        let params =
            projection::Params { dimension: k, l2, append, ..projection::Params::default() };
        let mut covariance = Covariance::new(x.row(1));
        covariance.add(x.view(), &Silent).unwrap();
        let pca = Projection::fit(&covariance, &params, &Silent).unwrap();
        let positions: Vec<Position> =
            (0..n).map(|i| Position::at(i as f32 / n as f32, 0.5)).collect();
        let mut projected = Array2::<f32>::zeros((n, pca.output_dim()));
        let out = projected.as_slice_mut().unwrap();
        pca.apply(x.view(), &positions, &mut Vec::new(), out).unwrap();
        let fit = gmm::fit(
            projected.view(),
            &gmm::Params { components: 8, ..gmm::Params::default() },
            Seed(1),
            &Silent,
        )
        .unwrap();
        // The projection in f64, of the rows as they are.
        let centred = x.mapv(f64::from) - pca.mean().mapv(f64::from);
        let mut exact = centred.dot(&pca.components().mapv(f64::from).t());
        if l2 {
            exact.rows_mut().into_iter().for_each(|mut row| row /= row.dot(&row).sqrt());
        }
        let mut all = projected.mapv(f64::from);
        all.slice_mut(ndarray::s![.., ..k]).assign(&exact);
        let params = Params { orders: vec![0, 1, 2], ..Params::default() };
        let expected = reference_f64(all, &fit.gmm, params.posterior_threshold, false);
        let root = expected.iter().map(|v| v.abs().sqrt().copysign(*v));
        let length = expected.iter().map(|v| v.abs()).sum::<f64>().sqrt();
        let expected: Vec<f64> = root.map(|v| v / length).collect();
        let (rounded, zeros) = pca.of_zeros();
        assert_eq!(rounded, projected.row(0).as_slice().unwrap()[..k]);
        let encoder = Encoder::new(&fit.gmm, &params).unwrap();
        let encode = |encoder: &Encoder| {
            let mut workspace = Workspace::default();
            encoder.begin(&mut workspace);
            encoder.push(projected.view(), &positions, &mut workspace).unwrap();
            error(&encoder.finish(&mut workspace).unwrap(), &expected)
        };
        let without = encode(&encoder);
        let with = encode(&encoder.knowing(rounded, &zeros));
        assert!(with < 2e-5 && without > 5.0 * with, "{with:e} {without:e}");
    }
}

/// Rows and components so far apart that squares leave f32: a vector, or a sentence.
#[test]
fn what_leaves_f32_is_refused() {
    let rows = array![[1e30f32], [-3e38], [0.0]];
    for variance in [1e-20, 1e20, 1e38] {
        let variances = array![[variance], [1.0]];
        let gmm = Gmm::new(vec![1.0, 1.0], array![[0.0], [1e30]], variances).unwrap();
        match encode_with(&gmm, rows.view(), &Params::default()) {
            Ok(vector) => assert!(vector.iter().all(|v| v.is_finite()), "{variance:e}"),
            Err(error) => assert!(error.to_string().contains("too extreme"), "{error}"),
        }
    }
}
