//! Fisher vectors against VLFeat, scikit-image and the definition in double precision.

use fvtool::encoding::normalise::Step;
use fvtool::encoding::{
    AssignmentKind, Divisor, Encoder, Params, Scaling, Workspace, encode, encode_with,
};
use fvtool::gmm::Gmm;
use fvtool::position::Position;
use ndarray::{Array1, Array2, Axis, concatenate, s};
use proptest::prelude::*;

use crate::gmm::gmm8;
use crate::support::{assert_close, golden, golden_npz, largest_difference};

fn raw() -> Params {
    Params { region_steps: vec![], vector_steps: vec![], ..Params::default() }
}

#[test]
fn every_vlfeat_variant_is_met() {
    let x: Array2<f32> = golden("gmm8_x");
    let hard = Params { assignment: AssignmentKind::Hard, ..raw() };
    let improved = Params::default();
    let cases = [
        ("none", raw()),
        ("sqrt", Params { region_steps: vec![Step::Power], ..raw() }),
        ("l2", Params { region_steps: vec![Step::L2], ..raw() }),
        ("improved", improved.clone()),
        ("fast", hard.clone()),
        ("fast_improved", Params { assignment: AssignmentKind::Hard, ..improved }),
    ];
    for (name, params) in cases {
        let expected: Array1<f64> = golden(&format!("gmm8_fv_{name}_f64"));
        let got = encode_with(&gmm8(), x.view(), &params).unwrap();
        let (place, difference) = largest_difference(&got, &expected);
        // The golden README's tolerance for an f32 implementation.
        assert!(difference <= 5e-6, "{name}: value {place} is off by {difference:e}");
    }
}

/// VLFeat treats a component of weight under 1e-6 as absent. Here it counts, and stays finite; a
/// weight of 0 is absence, and then everything agrees.
#[test]
fn a_component_of_vanishing_weight_stays_finite() {
    let base = gmm8();
    let x: Array2<f32> = golden("gmm8_x");
    let mut priors: Vec<f32> = golden::<f32, ndarray::Ix1>("gmm8deg_priors").to_vec();
    let encode_weights = |priors: Vec<f32>| {
        let gmm = Gmm::new(priors, base.means().to_owned(), base.variances().to_owned());
        encode(&gmm.unwrap(), x.view()).unwrap()
    };
    assert!(encode_weights(priors.clone()).iter().all(|v| v.is_finite()));
    priors[3] = 0.0;
    let expected: Array1<f64> = golden("gmm8deg_fv_none_f64");
    assert_close(&encode_weights(priors), &expected, 5e-6);
}

fn python_case(name: &str) -> (Gmm, Array2<f32>) {
    let get = |key| golden_npz::<f64, ndarray::Ix2>(name, key).mapv(|v| v as f32);
    let weights = golden_npz::<f64, ndarray::Ix1>(name, "w").mapv(|v| v as f32).to_vec();
    (Gmm::new(weights, get("mu"), get("var")).unwrap(), get("X"))
}

/// Largest difference relative to the largest expected value.
fn relative(got: &[f32], expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    largest_difference(got, expected).1 / scale
}

#[test]
fn the_definition_is_met_in_every_order_and_convention() {
    for name in ["fv_small", "fv_one_descriptor", "fv_real_pca24_k16", "fv_outliers"] {
        let (gmm, x) = python_case(name);
        let k = gmm.components();
        let all = Params { orders: vec![0, 1, 2], posterior_threshold: 0.0, ..raw() };
        let got = encode_with(&gmm, x.view(), &all).unwrap();
        let alpha: Array1<f64> = golden_npz(name, "def_alpha");
        let (u, v): (Array2<f64>, Array2<f64>) =
            (golden_npz(name, "def_u"), golden_npz(name, "def_v"));
        let half = u.len();
        // f32 rows and parameters: 1e-5 of the largest value of a block; rows far outside every
        // component (fv_outliers) have z up to 1e3, whose squares keep four digits less.
        let tolerance = if name == "fv_outliers" { 1e-4 } else { 1e-5 };
        assert!(relative(&got[..k], alpha.as_slice().unwrap()) < tolerance, "{name} order 0");
        assert!(relative(&got[k..k + half], u.as_slice().unwrap()) < tolerance, "{name} order 1");
        assert!(relative(&got[k + half..], v.as_slice().unwrap()) < tolerance, "{name} order 2");

        let gist: Array1<f64> = golden_npz(name, "gist_raw");
        let got =
            encode_with(&gmm, x.view(), &Params { scaling: Scaling::Raw, ..all.clone() }).unwrap();
        for (block, expected) in [0..k, k..k + half, k + half..k + 2 * half]
            .map(|r| (&got[r.clone()], gist.slice(s![r]).to_vec()))
        {
            assert!(relative(block, &expected) < tolerance, "{name} gist");
        }

        // scikit-image: the sign of the last block is turned round, then power and L2 over all.
        let improved = Params {
            region_steps: vec![Step::Power, Step::L2],
            posterior_threshold: 0.0,
            ..all.clone()
        };
        let mut got = encode_with(&gmm, x.view(), &improved).unwrap();
        got[k + half..].iter_mut().for_each(|v| *v = -*v);
        let expected: Array1<f64> = golden_npz(name, "skimage_improved");
        // The square root near zero magnifies an error of 1e-7 to 3e-4 of the norm.
        assert_close(&got, &expected, 1e-3);
        let quarter = Params { power: 0.25, ..improved };
        let mut got = encode_with(&gmm, x.view(), &quarter).unwrap();
        got[k + half..].iter_mut().for_each(|v| *v = -*v);
        let expected: Array1<f64> = golden_npz(name, "skimage_improved_alpha025");
        assert_close(&got, &expected, 2e-2);
    }
}

#[test]
fn the_divisor_is_the_root_of_n_on_request() {
    let x: Array2<f32> = golden("gmm8_x");
    let by_n = encode_with(&gmm8(), x.view(), &raw()).unwrap();
    let by_root =
        encode_with(&gmm8(), x.view(), &Params { divisor: Divisor::SqrtN, ..raw() }).unwrap();
    let expected: Vec<f64> =
        by_n.iter().map(|&v| f64::from(v) * (x.nrows() as f64).sqrt()).collect();
    assert_close(&by_root, &expected, 1e-5);
}

/// Regions are the encodings of their own descriptors, however the cells cut them.
#[test]
fn regions_equal_separate_encodings() {
    let x: Array2<f32> = golden("gmm8_x");
    let gmm = gmm8();
    let place = |i: f32| Position::at((i * 0.618).fract(), (i * 0.377).fract());
    let positions: Vec<Position> = (0..x.nrows()).map(|i| place(i as f32)).collect();
    let regions = ["1x1", "2x2", "3x1"].map(|g| g.parse().unwrap()).to_vec();
    let params = Params { regions, region_steps: vec![Step::Power, Step::L2], ..Params::default() };
    let encoder = Encoder::new(&gmm, &params).unwrap();
    let mut workspace = Workspace::default();
    // Twice with the same workspace, the second time in uneven blocks.
    let mut got = Vec::new();
    for blocks in [vec![500], vec![3, 297, 200]] {
        encoder.begin(&mut workspace);
        let mut start = 0;
        for n in blocks {
            let rows = x.slice(s![start..start + n, ..]);
            encoder.push(rows, &positions[start..start + n], &mut workspace).unwrap();
            start += n;
        }
        got.push(encoder.finish(&mut workspace).unwrap());
    }
    assert_eq!(got[0], got[1]);
    let inside = |rows: usize, columns: usize, r: usize, c: usize| -> Vec<usize> {
        (0..x.nrows())
            .filter(|&i| {
                (positions[i].y * rows as f32) as usize == r
                    && (positions[i].x * columns as f32) as usize == c
            })
            .collect()
    };
    let mut expected = Vec::new();
    for (rows, columns) in [(1, 1), (2, 2), (3, 1)] {
        for r in 0..rows {
            for c in 0..columns {
                let part = x.select(Axis(0), &inside(rows, columns, r, c));
                expected.extend(encode_with(&gmm, part.view(), &Params::default()).unwrap());
            }
        }
    }
    let norm = expected.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let expected: Vec<f64> = expected.iter().map(|v| f64::from(*v) / norm).collect();
    assert_close(&got[0], &expected, 2e-6);
}

/// Weights of orders multiply the gradient, so that step `power` takes their power.
#[test]
fn orders_are_multiplied_before_all_steps() {
    let (gmm, x) = mixture_and_rows(60, 5);
    let (k, d) = (gmm.components(), gmm.dim());
    let all = Params { orders: vec![0, 1, 2], ..raw() };
    let weights = vec![0.5, 1.0, 4.0];
    let plain = encode_with(&gmm, x.view(), &all).unwrap();
    let mut expected: Vec<f64> = plain.iter().copied().map(f64::from).collect();
    expected[..k].iter_mut().for_each(|v| *v *= 0.5);
    expected[k + k * d..].iter_mut().for_each(|v| *v *= 4.0);
    let weighed = Params { order_weights: weights.clone(), ..all.clone() };
    assert_close(&encode_with(&gmm, x.view(), &weighed).unwrap(), &expected, 1e-6);
    let power = Params { region_steps: vec![Step::Power], ..weighed };
    let expected: Vec<f64> = expected.iter().map(|v| v.abs().sqrt().copysign(*v)).collect();
    assert_close(&encode_with(&gmm, x.view(), &power).unwrap(), &expected, 1e-6);
    for wrong in [vec![1.0], vec![1.0, 0.0, 1.0], vec![1.0, f64::NAN, 1.0], vec![1.0, 1e300, 1.0]] {
        let error = encode_with(&gmm, x.view(), &Params { order_weights: wrong, ..all.clone() });
        assert!(error.unwrap_err().to_string().contains("encoding.order_weights"));
    }
}

/// 0 to the power of 1e-46, which is 0 in f32, would be 1.
#[test]
fn a_power_that_f32_cannot_hold_is_refused() {
    for power in [0.0, 1e-46, 1e-300, 1.5, f64::NAN] {
        let error = Params { power, ..Params::default() }.validate().unwrap_err();
        assert!(error.to_string().contains("encoding.power"), "{error}");
    }
    let least = Params { power: 0.001, ..Params::default() };
    let zeros = encode_with(&gmm8(), Array2::zeros((0, 16)).view(), &least).unwrap();
    assert!(zeros.iter().all(|&v| v == 0.0));
}

#[test]
fn empty_images_and_zero_descriptors_stay_finite() {
    let gmm = gmm8();
    let orders = Params { orders: vec![0, 1, 2], ..Params::default() };
    let empty = encode_with(&gmm, Array2::zeros((0, 16)).view(), &orders).unwrap();
    assert!(empty.iter().all(|&v| v == 0.0) && empty.len() == 8 * 33);
    let zeros = encode_with(&gmm, Array2::zeros((9, 16)).view(), &orders).unwrap();
    let norm: f32 = zeros.iter().map(|v| v * v).sum();
    assert!((norm - 1.0).abs() < 1e-5);
    let far = encode_with(&gmm, Array2::from_elem((3, 16), 1e30).view(), &orders).unwrap();
    assert!(far.iter().all(|v| v.is_finite()));
    let nan = Array2::from_elem((3, 16), f32::NAN);
    assert!(encode_with(&gmm, nan.view(), &orders).unwrap_err().to_string().contains("NaN"));
    let narrow = Array2::zeros((3, 15));
    assert!(encode_with(&gmm, narrow.view(), &orders).is_err());
}

proptest! {
    /// The vector is a mean: saying every descriptor twice says nothing new.
    #[test]
    fn repeating_every_row_changes_nothing(rows in 1usize..60, seed in 0u64..1000) {
        let (gmm, x) = mixture_and_rows(rows, seed);
        let twice = concatenate![Axis(0), x, x];
        let once: Vec<f64> =
            encode(&gmm, x.view()).unwrap().into_iter().map(f64::from).collect();
        prop_assert!(relative(&encode(&gmm, twice.view()).unwrap(), &once) < 1e-5);
    }

    /// Dropping posteriors under a threshold τ changes a vector by little, and 0 by nothing.
    #[test]
    fn the_posterior_threshold_does_what_it_says(seed in 0u64..1000) {
        let (gmm, x) = mixture_and_rows(80, seed);
        let exact: Vec<f64> =
            encode(&gmm, x.view()).unwrap().into_iter().map(f64::from).collect();
        let tiny = Params { posterior_threshold: f64::from(f32::MIN_POSITIVE), ..raw() };
        prop_assert!(relative(&encode_with(&gmm, x.view(), &tiny).unwrap(), &exact) < 1e-5);
        let vlfeat = Params { posterior_threshold: 1e-6, ..raw() };
        let coarse = Params { posterior_threshold: 0.2, ..raw() };
        let near = relative(&encode_with(&gmm, x.view(), &vlfeat).unwrap(), &exact);
        let far = relative(&encode_with(&gmm, x.view(), &coarse).unwrap(), &exact);
        prop_assert!(near < 1e-3, "{near}");
        prop_assert!(far > 10.0 * near.max(1e-6), "{far} {near}");
    }
}

fn mixture_and_rows(rows: usize, seed: u64) -> (Gmm, Array2<f32>) {
    let mut stream = fvtool::random::Seed(seed).stream("mixture", 0);
    let (k, d) = (5, 7);
    let weights = (0..k).map(|_| stream.between(0.1, 1.0) as f32).collect();
    let means = Array2::from_shape_simple_fn((k, d), || stream.normal() as f32);
    let variances = Array2::from_shape_simple_fn((k, d), || stream.between(0.2, 3.0) as f32);
    let x = Array2::from_shape_simple_fn((rows, d), || 1.5 * stream.normal() as f32);
    (Gmm::new(weights, means, variances).unwrap(), x)
}
