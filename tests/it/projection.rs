//! PCA against double-precision eigen-solves and its own definition.

use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::projection::{Append, Covariance, Params, Projection};
use fvtool::random::Seed;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::support::{assert_close, golden_npz, in_pool};

fn fit(x: ArrayView2<'_, f32>, params: &Params) -> Projection {
    let mut covariance = Covariance::new(x.row(0));
    covariance.add(x, &Silent).unwrap();
    Projection::fit(&covariance, params, &Silent).unwrap()
}

fn apply(pca: &Projection, x: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::zeros((x.nrows(), pca.output_dim()));
    let positions = vec![Position { x: 0.25, y: 0.75, scale: 0.125 }; x.nrows()];
    pca.apply(x, &positions, &mut Vec::new(), out.as_slice_mut().unwrap()).unwrap();
    out
}

#[test]
fn golden_fits_are_met() {
    for (name, k, comparable) in [
        ("pca_small", 5, 5),
        ("pca_all12", 12, 12),
        ("pca_rank_deficient", 12, 10),
        ("pca_rootsift_600x128", 80, 80),
    ] {
        let x = golden_npz::<f64, ndarray::Ix2>(name, "X").mapv(|v| v as f32);
        let pca = fit(x.view(), &Params { dimension: k, ..Params::default() });
        let take = s![..comparable, ..];
        let expected: Array2<f64> = golden_npz(name, "components");
        // f32 storage of unit vectors; inputs rounded to f32 move close eigenvectors a little more.
        let tolerance = if name == "pca_rootsift_600x128" { 1e-6 } else { 1e-5 };
        assert_close(pca.components().slice(take), &expected.slice(take).to_owned(), tolerance);
        let variances: Array1<f64> = golden_npz(name, "explained_variance");
        assert_close(
            &pca.variances()[..comparable],
            &variances.slice(s![..comparable]).to_owned(),
            1e-5,
        );
        let transformed: Array2<f64> = golden_npz(name, "transform");
        let got = apply(&pca, x.slice(s![..20, ..]));
        let columns = s![.., ..comparable];
        assert_close(&got.slice(columns).to_owned(), &transformed.slice(columns).to_owned(), 2e-5);
    }
}

#[test]
fn whitening_matches_scikit_learn() {
    let x = golden_npz::<f64, ndarray::Ix2>("pca_small", "X").mapv(|v| v as f32);
    let pca = fit(x.view(), &Params { dimension: 5, whiten: true, ..Params::default() });
    let expected: Array2<f64> = golden_npz("pca_small", "transform_whiten");
    assert_close(&apply(&pca, x.slice(s![..20, ..])), &expected, 2e-5);
}

/// The case that a truncated solver gets wrong: 128 dimensions, 80 kept, a flat spectrum.
#[test]
fn eighty_of_128_dimensions_satisfy_the_eigen_equation() {
    let mut stream = Seed(4).stream("flat spectrum", 0);
    let mixing = Array2::from_shape_simple_fn((128, 128), || stream.normal());
    let noise = Array2::from_shape_simple_fn((3000, 128), || stream.normal());
    let x = noise.dot(&mixing).mapv(|v| (v * 0.01 + 3.0) as f32);
    let pca = fit(x.view(), &Params::default());
    let x64 = x.mapv(f64::from);
    let centred = &x64 - &x64.mean_axis(ndarray::Axis(0)).unwrap();
    let c = centred.t().dot(&centred) / 2999.0;
    let components = pca.components().mapv(f64::from);
    for (v, &value) in components.rows().into_iter().zip(pca.variances()) {
        let residual = (&c.dot(&v) - &(&v * f64::from(value))).mapv(|r| r * r).sum().sqrt();
        assert!(residual <= 1e-6 * f64::from(pca.variances()[0]), "{residual:e}");
    }
    let gram = components.dot(&components.t());
    assert_close(&gram.mapv(|v| v as f32), &Array2::eye(80), 1e-6);
    assert!(pca.variances().windows(2).all(|w| w[0] >= w[1]));
}

#[test]
fn the_covariance_is_the_same_bits_for_any_number_of_threads_and_any_split() {
    let mut stream = Seed(6).stream("covariance", 0);
    let x = Array2::from_shape_simple_fn((70_000, 5), || stream.normal() as f32);
    let [one, three] =
        [1, 3].map(|n| in_pool(n, || fit(x.view(), &Params { dimension: 3, ..Params::default() })));
    assert_eq!(one, three);
}

/// The reference: the same rows in two calls, each of too few for f32. Columns of unequal size, far from
/// zero and correlated.
#[test]
fn many_rows_are_as_good_in_f32() {
    let (n, d) = (1 << 19, 9);
    let mut stream = Seed(5).stream("many rows", 0);
    let mut x = Array2::from_shape_simple_fn((n, d), || stream.unit() as f32);
    for mut row in x.rows_mut() {
        let shared = row[0];
        for (j, value) in row.iter_mut().enumerate() {
            *value = 3.0 + (*value + shared) * 10f32.powi(j as i32 - 4);
        }
    }
    let mut in_f32 = Covariance::new(x.row(0));
    in_f32.add(x.view(), &Silent).unwrap();
    let mut in_f64 = Covariance::new(x.row(0));
    let (first, second) = x.view().split_at(Axis(0), n / 2);
    in_f64.add(first, &Silent).unwrap();
    in_f64.add(second, &Silent).unwrap();
    assert_eq!(in_f32.mean(), in_f64.mean());
    let (got, exact) = (in_f32.covariance(), in_f64.covariance());
    assert_ne!(got, exact, "f32 was not used");
    for ((i, j), &got) in got.indexed_iter() {
        let size = (exact[[i, i]] * exact[[j, j]]).sqrt();
        assert!((got - exact[[i, j]]).abs() <= 1e-6 * size, "{i} {j}: {got} {}", exact[[i, j]]);
    }
}

#[test]
fn positions_are_appended_centred() {
    let x = golden_npz::<f64, ndarray::Ix2>("pca_small", "X").mapv(|v| v as f32);
    let plain = fit(x.view(), &Params { dimension: 4, ..Params::default() });
    let with = fit(x.view(), &Params { dimension: 4, append: Append::Xy, ..Params::default() });
    let (a, b) = (apply(&plain, x.view()), apply(&with, x.view()));
    assert_eq!(b.ncols(), 6);
    assert_eq!(b.slice(s![.., ..4]), a);
    assert!(b.slice(s![.., 4..]).rows().into_iter().all(|r| r.to_vec() == [-0.25, 0.25]));
    let scaled = fit(x.view(), &Params { dimension: 4, append: Append::Xys, ..Params::default() });
    let c = apply(&scaled, x.view());
    assert_eq!(c.slice(s![.., ..6]), b);
    assert!(c.slice(s![.., 6..]).iter().all(|&v| (v + 0.3).abs() < 1e-6));
}

/// Unit length is that of the projection alone, before the position; the mean itself stays zero.
#[test]
fn l2_is_of_the_projection() {
    let x = golden_npz::<f64, ndarray::Ix2>("pca_small", "X").mapv(|v| v as f32);
    for (whiten, append) in [(false, Append::None), (true, Append::Xy)] {
        let params = Params { dimension: 4, whiten, append, ..Params::default() };
        let (plain, unit) = (fit(x.view(), &params), fit(x.view(), &Params { l2: true, ..params }));
        let (a, b) = (apply(&plain, x.view()), apply(&unit, x.view()));
        assert_eq!(a.slice(s![.., 4..]), b.slice(s![.., 4..]));
        for (a, b) in a.rows().into_iter().zip(b.rows()) {
            let (a, b) = (a.slice(s![..4]), b.slice(s![..4]));
            let length = a.dot(&a).sqrt();
            assert!(a.iter().zip(&b).all(|(a, b)| (a / length - b).abs() < 1e-6));
        }
    }
    let constant = Array2::from_elem((10, 6), 2.5f32);
    let unit = fit(constant.view(), &Params { dimension: 3, l2: true, ..Params::default() });
    assert!(apply(&unit, constant.view()).iter().all(|v| v.is_finite() && v.abs() <= 1.0));
}

#[test]
fn degenerate_data_is_finite_or_refused() {
    let constant = Array2::from_elem((10, 6), 2.5f32);
    let pca = fit(constant.view(), &Params { dimension: 3, ..Params::default() });
    assert!(apply(&pca, constant.view()).iter().all(|v| v.abs() < 1e-5));

    let mut covariance = Covariance::new(constant.row(0));
    covariance.add(constant.view(), &Silent).unwrap();
    let message =
        |params: &Params| Projection::fit(&covariance, params, &Silent).unwrap_err().to_string();
    assert!(
        message(&Params { dimension: 7, ..Params::default() })
            .contains("at most the descriptor's 6")
    );
    let whitened = Params { dimension: 3, whiten: true, ..Params::default() };
    assert!(message(&whitened).contains("when whitening"));

    let mut one = Covariance::new(constant.row(0));
    one.add(constant.slice(s![..1, ..]), &Silent).unwrap();
    let error = Projection::fit(&one, &Params { dimension: 2, ..Params::default() }, &Silent);
    assert!(error.unwrap_err().to_string().contains("at least 2"));
    let nan = Array2::from_elem((3, 6), f32::NAN);
    assert!(one.add(nan.view(), &Silent).unwrap_err().to_string().contains("NaN"));
}

/// Few distinct rows, dimensions that never vary, and both: linfa's solver ends in NaN on some.
#[test]
fn data_of_any_rank_are_solved() {
    for distinct in 2..20 {
        for live in [1, 2, 7, 24] {
            let mut stream = Seed(distinct as u64).stream("rank", live as u64);
            let table = Array2::from_shape_fn((distinct, 128), |(_, j)| {
                if j % 24 < live { (stream.unit() as f32 * 8.0).floor() / 8.0 } else { 0.0 }
            });
            let x = Array2::from_shape_fn((300, 128), |(i, j)| table[[i * i % distinct, j]]);
            let pca = fit(x.view(), &Params { dimension: 24, ..Params::default() });
            // Orthonormal, and what the kept directions do not explain is what `kept` says.
            let gram = pca.components().dot(&pca.components().t());
            for ((i, j), v) in gram.indexed_iter() {
                assert!((v - f32::from(u8::from(i == j))).abs() < 1e-5, "{distinct} {live}");
            }
            assert!(apply(&pca, x.view()).iter().all(|v| v.is_finite()));
            assert!((0.0..=1.0 + 1e-9).contains(&pca.kept()));
        }
    }
}

/// Variances that fall off at any rate, to far below what f32 can tell from nothing.
#[test]
fn any_spectrum_is_solved() {
    for digits in 1..=24 {
        for seed in 0..6 {
            let mut stream = Seed(seed).stream("spectrum", digits);
            let mixing = Array2::from_shape_simple_fn((128, 128), || stream.normal());
            let fall = |j: usize| 10f64.powf(-(digits as f64) * j as f64 / 254.0);
            let x = Array2::from_shape_fn((200, 128), |(_, j)| stream.normal() * fall(j));
            // Mixed, so that no dimension is small by itself; or not.
            let x = if seed % 2 == 0 { x.dot(&mixing) } else { x }.mapv(|v| v as f32);
            let pca = fit(x.view(), &Params { dimension: 24, ..Params::default() });
            let variances = pca.variances();
            assert!(variances.is_sorted_by(|a, b| a >= b) && variances[0] > 0.0, "{digits}");
        }
    }
}

/// More dimensions than the products of a descriptor are made for, and fewer rows than those.
#[test]
fn wide_rows_are_projected() {
    let mut stream = Seed(3).stream("wide", 0);
    let (n, d, rank) = (700, 900, 5);
    let directions = Array2::from_shape_simple_fn((rank, d), || stream.normal());
    let weights = Array2::from_shape_fn((n, rank), |(_, j)| stream.normal() * (5 - j) as f64);
    let x = weights.dot(&directions).mapv(|v| v as f32 + 2.0);
    let pca = fit(x.view(), &Params { dimension: 8, ..Params::default() });
    let centred = x.mapv(f64::from) - &x.mapv(f64::from).mean_axis(Axis(0)).unwrap();
    let projected = centred.dot(&pca.components().mapv(f64::from).t());
    for i in 0..8 {
        let variance = projected.column(i).mapv(|v| v * v).sum() / (n - 1) as f64;
        let got = f64::from(pca.variances()[i]);
        assert!((got - variance).abs() < 1e-5 * f64::from(pca.variances()[0]), "{i}: {got}");
    }
    assert!(pca.kept() > 1.0 - 1e-9 && pca.variances()[4] > 1e5 * pca.variances()[5]);
    let one = in_pool(1, || fit(x.view(), &Params { dimension: 8, ..Params::default() }));
    let three = in_pool(3, || fit(x.view(), &Params { dimension: 8, ..Params::default() }));
    assert_eq!(one, three);
}

/// Beyond these units a mixture's variances would be no f32 numbers, and all rows one to it.
#[test]
fn units_that_f32_cannot_reckon_with_are_refused() {
    let mut stream = Seed(4).stream("unit", 0);
    let x = Array2::from_shape_simple_fn((60, 6), || stream.normal() as f32);
    let fitted = |unit: f32| {
        let x = x.mapv(|v| v * unit);
        let mut covariance = Covariance::new(x.row(0));
        covariance.add(x.view(), &Silent)?;
        Projection::fit(&covariance, &Params { dimension: 3, ..Params::default() }, &Silent)
    };
    for unit in [1e-10, 1e-3, 1.0, 255.0, 1e14] {
        fitted(unit).unwrap();
    }
    for (unit, way_out) in [(1e-15, "up"), (1e-30, "up"), (1e17, "down"), (1e30, "down")] {
        let text = fitted(unit).unwrap_err().to_string();
        assert!(text.contains(&format!("scale the descriptors {way_out}")), "{unit:e}: {text}");
    }
}
