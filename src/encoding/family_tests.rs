//! Every family against its density: the gradient by central differences of reference densities in f64, the
//! information on drawn rows, a score of 0 at the fit.

use faer::{Mat, Side};
use ndarray::{Array2, ArrayView1, ArrayView2, array};
use rayon::ThreadPoolBuilder;

use super::{
    self as encoding, Encoder, Workspace, contributions::Contributions, contributions::Value,
};
use crate::generative::vae::network::Sizes;
use crate::generative::*;
use crate::gmm::Gmm;
use crate::gmm::{Assignment, Family, Params};
use crate::position::Position;
use crate::progress::Silent;
use crate::random::Seed;

/// What central differences agree to, of the largest derivative. The posteriors are f32: 6e-8 each.
const TOLERANCE: f64 = 1e-6;
const STEP: f64 = 1e-5;

/// The log-density of a row by its definition.
type Density<'d> = dyn Fn(ArrayView1<'_, f32>) -> f64 + 'd;

fn logsumexp(logs: &[f64]) -> f64 {
    let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    best + logs.iter().map(|log| (log - best).exp()).sum::<f64>().ln()
}

fn wide(array: ArrayView2<'_, f32>) -> Array2<f64> {
    array.mapv(f64::from)
}

fn laplace_density(
    weights: &[f64],
    m: &Array2<f64>,
    b: &Array2<f64>,
    x: ArrayView1<'_, f32>,
) -> f64 {
    let of_component = |k: usize| {
        let each = x
            .iter()
            .enumerate()
            .map(|(j, &x)| (f64::from(x) - m[[k, j]]).abs() / b[[k, j]] + (2.0 * b[[k, j]]).ln());
        weights[k].ln() - each.sum::<f64>()
    };
    logsumexp(&(0..weights.len()).map(of_component).collect::<Vec<_>>())
}

/// `ln Σ_k w_k N(x; μ_k, Σ_k)` with full covariances.
fn gaussian_density(
    weights: &[f64],
    means: &Array2<f64>,
    covariances: &[Mat<f64>],
    x: ArrayView1<'_, f32>,
) -> f64 {
    let of_component = |k: usize| {
        let solved = covariances[k].self_adjoint_eigen(Side::Lower).unwrap();
        let values = solved.S().column_vector();
        let d = x.len();
        let along = |i: usize| -> f64 {
            (0..d).map(|j| solved.U()[(j, i)] * (f64::from(x[j]) - means[[k, j]])).sum()
        };
        let each =
            (0..d).map(|i| along(i).powi(2) / values[i] + (std::f64::consts::TAU * values[i]).ln());
        weights[k].ln() - 0.5 * each.sum::<f64>()
    };
    logsumexp(&(0..weights.len()).map(of_component).collect::<Vec<_>>())
}

fn covariance(loadings: &[f64], noise: ArrayView1<'_, f64>) -> Mat<f64> {
    let (d, q) = (noise.len(), loadings.len() / noise.len());
    Mat::from_fn(d, d, |i, j| {
        let common: f64 = (0..q).map(|f| loadings[i * q + f] * loadings[j * q + f]).sum();
        common + if i == j { noise[i] } else { 0.0 }
    })
}

/// `Ψ^{½} (I + V Vᵀ)^{½}` by an eigendecomposition of the whole matrix.
fn axes(loadings: &[f64], noise: ArrayView1<'_, f64>) -> Mat<f64> {
    let d = noise.len();
    let q = loadings.len() / d;
    let v = |i: usize, f: usize| loadings[i * q + f] / noise[i].sqrt();
    let white = Mat::from_fn(d, d, |i, j| {
        (0..q).map(|f| v(i, f) * v(j, f)).sum::<f64>() + f64::from(u8::from(i == j))
    });
    let solved = white.self_adjoint_eigen(Side::Lower).unwrap();
    let values = solved.S().column_vector();
    Mat::from_fn(d, d, |i, j| {
        let root = |l: usize| solved.U()[(i, l)] * values[l].sqrt() * solved.U()[(j, l)];
        noise[i].sqrt() * (0..d).map(root).sum::<f64>()
    })
}

/// Two components of uneven weights and scales; with `apart` their distance.
fn laplace(apart: f32) -> Laplace {
    Laplace::new(
        vec![0.7, 0.3],
        array![[0.1, -0.2, 0.3], [apart, 0.5, -0.1]],
        array![[0.5, 1.5, 0.8], [1.1, 0.4, 0.7]],
    )
    .unwrap()
}

fn factor_analysers(apart: f32) -> FactorAnalysers {
    FactorAnalysers::new(
        vec![0.4, 0.6],
        array![[0.1, -0.2, 0.3, 0.0], [apart, 0.5, -0.1, 0.2]],
        array![
            [0.9, 0.1, -0.4, 0.3, 0.2, -0.6, 0.5, 0.5],
            [0.2, -0.3, 1.4, 0.4, -0.7, 0.1, 0.3, 0.8]
        ],
        array![[0.5, 0.8, 0.3, 1.1], [0.2, 0.9, 0.6, 0.4]],
    )
    .unwrap()
}

fn rows(n: usize, d: usize, item: u64) -> Array2<f32> {
    let mut stream = Seed(5).stream("rows of families", item);
    Array2::from_shape_simple_fn((n, d), || (1.3 * stream.normal() + 0.4) as f32)
}

/// Sums of all columns of `orders` over `rows`, every posterior counting.
fn sums(model: &dyn Generative, rows: ArrayView2<'_, f32>, orders: &[u8]) -> Vec<f64> {
    let len = orders.iter().map(|&order| model.parts().len(order)).sum();
    let mut sums = Sums::zeros(len);
    model.add(rows, orders, Assignment::EXACT, &mut Scratch::default(), &mut sums).unwrap();
    assert_eq!(sums.rows, rows.nrows() as u64);
    sums.values
}

fn total(density: &Density<'_>, rows: ArrayView2<'_, f32>) -> f64 {
    rows.rows().into_iter().map(density).sum()
}

/// Checks `got` against central differences, of which `at(value, step)` gives the log-likelihood with the
/// parameter of a value moved by a step.
fn check_gradient(got: &[f64], at: impl Fn(usize, f64) -> f64) {
    let largest = got.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    for (place, got) in got.iter().enumerate() {
        let difference = (at(place, STEP) - at(place, -STEP)) / (2.0 * STEP);
        let apart = (got - difference).abs();
        assert!(apart < TOLERANCE * largest, "{place}: {got} {difference}, largest {largest}");
    }
}

#[test]
fn laplace_gradients_are_those_of_the_density() {
    let model = laplace(1.0);
    let x = rows(40, 3, 0);
    let weights: Vec<f64> = model.weights().iter().copied().map(f64::from).collect();
    let (m, b) = (wide(model.locations()), wide(model.scales()));
    let moved = |array: &Array2<f64>, place: usize, step: f64| {
        let mut array = array.clone();
        array[[place / 3, place % 3]] += step;
        array
    };
    check_gradient(&sums(&model, x.view(), &[1]), |place, step| {
        let m = moved(&m, place, step);
        total(&|x| laplace_density(&weights, &m, &b, x), x.view())
    });
    check_gradient(&sums(&model, x.view(), &[2]), |place, step| {
        let b = moved(&b, place, step);
        total(&|x| laplace_density(&weights, &m, &b, x), x.view())
    });
}

#[test]
fn gradients_of_factor_analysers_are_those_of_the_density() {
    let model = factor_analysers(1.0);
    let x = rows(30, 4, 1);
    let (d, q) = (4, 2);
    let weights: Vec<f64> = model.weights().iter().copied().map(f64::from).collect();
    let (means, loadings, noise) =
        (wide(model.means()), wide(model.loadings()), wide(model.noise()));
    let covariances: Vec<Mat<f64>> =
        (0..2).map(|k| covariance(&loadings.row(k).to_vec(), noise.row(k))).collect();
    let axes: Vec<Mat<f64>> =
        (0..2).map(|k| axes(&loadings.row(k).to_vec(), noise.row(k))).collect();
    check_gradient(&sums(&model, x.view(), &[1]), |place, step| {
        let (k, along) = (place / d, place % d);
        let mut means = means.clone();
        (0..d).for_each(|j| means[[k, j]] += step * axes[k][(j, along)]);
        total(&|x| gaussian_density(&weights, &means, &covariances, x), x.view())
    });
    check_gradient(&sums(&model, x.view(), &[2]), |place, step| {
        let (k, along) = (place / d, place % d);
        let mut covariances = covariances.clone();
        let scale = |l: usize| if l == along { step.exp() } else { 1.0 };
        covariances[k] = Mat::from_fn(d, d, |i, j| {
            (0..d).map(|l| axes[k][(i, l)] * scale(l) * axes[k][(j, l)]).sum()
        });
        total(&|x| gaussian_density(&weights, &means, &covariances, x), x.view())
    });
    check_gradient(&sums(&model, x.view(), &[3]), |place, step| {
        let (k, value) = (place / (d * q), place % (d * q));
        let mut covariances = covariances.clone();
        let mut loadings = loadings.row(k).to_vec();
        loadings[value] += step;
        covariances[k] = covariance(&loadings, noise.row(k));
        total(&|x| gaussian_density(&weights, &means, &covariances, x), x.view())
    });
    // All orders at once, and posteriors, are the same columns.
    let all = sums(&model, x.view(), &[0, 1, 2, 3]);
    let each = [0, 1, 2, 3].map(|order| sums(&model, x.view(), &[order])).concat();
    assert_eq!(all, each);
    assert!((all[0] + all[1] - 30.0).abs() < 1e-5);
}

/// Mean and variance of columns of drawn rows: of components far apart, for which the closed forms hold.
#[test]
fn drawn_rows_have_the_score_and_the_information_that_are_promised() {
    const ROWS: usize = 40_000;
    let models: [(Box<dyn Generative>, &[u8]); 2] =
        [(Box::new(laplace(60.0)), &[1, 2]), (Box::new(factor_analysers(60.0)), &[1, 2, 3])];
    for (model, orders) in models {
        let rows = model.draw(ROWS, &mut Seed(9).stream("drawn", 0));
        let moments: Vec<[f64; 2]> = orders.iter().flat_map(|&o| model.moments(o)).collect();
        let mut squares = vec![0.0; moments.len()];
        let mut sums_of_rows = vec![0.0; moments.len()];
        for row in rows.axis_chunks_iter(ndarray::Axis(0), 1) {
            for (i, value) in sums(&*model, row, orders).into_iter().enumerate() {
                sums_of_rows[i] += value;
                squares[i] += value * value;
            }
        }
        let n = ROWS as f64;
        let mut ratios = 0.0;
        for (i, [expected, information]) in moments.iter().copied().enumerate() {
            let mean = sums_of_rows[i] / n;
            assert!((mean - expected).abs() < 5.0 * (information / n).sqrt(), "{i}: {mean}");
            let ratio = squares[i] / n / information;
            // Fourth moments of squares are large: 40 of them would be a deviation of 3 %.
            assert!((ratio - 1.0).abs() < 0.15, "{:?} {i}: {ratio}", model.parts().family);
            ratios += ratio / moments.len() as f64;
        }
        assert!((ratios - 1.0).abs() < 0.02, "{ratios}");
    }
}

fn params(family: Family) -> Params {
    Params {
        family,
        components: 2,
        factors: 2,
        hidden: 6,
        tolerance: 0.0,
        max_iterations: 60,
        ..Params::default()
    }
}

/// The vector of the rows that a model was fitted to is nearly 0: 1/√N would be 0.016, 0.05 that of a row
/// in 400.
#[test]
fn at_the_fit_the_score_vanishes_and_the_likelihood_never_fell() {
    let cases: [(Box<dyn Generative>, Family, &[u8]); 2] = [
        (Box::new(laplace(3.0)), Family::Laplace, &[0, 1, 2]),
        (Box::new(factor_analysers(4.0)), Family::FactorAnalysers, &[0, 1, 2, 3]),
    ];
    for (truth, family, orders) in cases {
        let rows = truth.draw(4000, &mut Seed(2).stream("fit", 0));
        let fit = fit(rows.view(), &params(family), Seed(1), &Silent).unwrap();
        let Report::Family(report) = &fit.report else { panic!("not of a family") };
        assert_eq!((report.family, report.rows), (family, 4000));
        let history = &report.mean_log_likelihood;
        for pair in history.windows(2) {
            assert!(pair[1] > pair[0] - 1e-6, "{family}: {history:?}");
        }
        let gaussian = report.start.as_ref().unwrap().mean_log_likelihood.last().unwrap();
        assert!(history.last().unwrap() > gaussian, "{family}: {history:?} {gaussian}");
        let vector = encoded(&fit.model, &rows, orders);
        let largest = vector.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(largest < 5e-3, "{family}: {largest} {vector:?}");
        // What was drawn from is found again: the larger weight to two hundredths.
        let weights = report.weights.unwrap();
        let expected = if family == Family::Laplace { 0.7 } else { 0.6 };
        assert!((weights[1] - expected).abs() < 0.05, "{weights:?}");
    }
}

/// The vector without steps.
fn encoded(model: &Model, rows: &Array2<f32>, orders: &[u8]) -> Vec<f32> {
    let params = encoding::Params {
        orders: orders.to_vec(),
        posterior_threshold: 0.0,
        region_steps: Vec::new(),
        vector_steps: Vec::new(),
        ..encoding::Params::default()
    };
    encoded_with(model, rows, &params)
}

fn encoded_with(model: &Model, rows: &Array2<f32>, params: &encoding::Params) -> Vec<f32> {
    let encoder = Encoder::of_model(model, params).unwrap();
    let mut workspace = Workspace::default();
    encoder.begin(&mut workspace);
    encoder.push(rows.view(), &positions(rows.nrows()), &mut workspace).unwrap();
    encoder.finish(&mut workspace).unwrap()
}

fn positions(n: usize) -> Vec<Position> {
    (0..n).map(|i| Position::at((i % 7) as f32 / 7.0, (i % 11) as f32 / 11.0)).collect()
}

/// Without loadings they are a diagonal mixture, and so is their vector.
#[test]
fn factor_analysers_without_loadings_are_a_diagonal_mixture() {
    let means = array![[0.1, -0.2, 0.3], [1.0, 0.5, -0.1]];
    let variances = array![[0.5, 0.8, 0.3], [0.2, 0.9, 0.6]];
    let gmm = Gmm::new(vec![0.4, 0.6], means.clone(), variances.clone()).unwrap();
    let loadings = Array2::zeros((2, 6));
    let model = FactorAnalysers::new(vec![0.4, 0.6], means, loadings, variances).unwrap();
    let x = rows(1500, 3, 2);
    let [a, b] = [gmm.into(), Model::FactorAnalysers(model.into())]
        .map(|model| encoded(&model, &x, &[0, 1, 2]));
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 2e-6, "{a} {b}");
    }
}

/// What single rows add, and the products with coefficients, are those of the vector; in regions, with all
/// orders, for soft and hard assignment.
#[test]
fn contributions_of_every_mixture_add_up_to_its_vector() {
    let models = [
        (Model::Laplace(laplace(1.0).into()), vec![0, 1, 2]),
        (Model::FactorAnalysers(factor_analysers(1.0).into()), vec![0, 1, 2, 3]),
    ];
    for (model, orders) in models {
        for hard in [false, true] {
            let params = encoding::Params {
                orders: orders.clone(),
                order_weights: orders.iter().map(|&o| 1.0 + f64::from(o)).collect(),
                regions: vec!["1x1".parse().unwrap(), "2x1".parse().unwrap()],
                scaling: if hard { encoding::Scaling::Raw } else { encoding::Scaling::Fisher },
                assignment: match hard {
                    true => encoding::AssignmentKind::Hard,
                    false => encoding::AssignmentKind::Soft,
                },
                ..encoding::Params::default()
            };
            let x = rows(700, model.dim(), 3);
            let expected = encoded_with(&model, &x, &params);
            let encoder = Encoder::of_model(&model, &params).unwrap();
            let mut contributions = Contributions::new(&encoder);
            contributions.push(x.view(), &positions(700)).unwrap();
            let sums = contributions.sums().unwrap();
            let mut vector = Vec::new();
            encoder.normalised(&sums.signed, &contributions.region_rows(), &mut vector);
            for (got, expected) in vector.iter().zip(&expected) {
                assert!((got - expected).abs() < 2e-5, "{got} {expected}");
            }
            let mut stream = Seed(4).stream("coefficients", 0);
            let c = Array2::from_shape_simple_fn((encoder.len(), 2), || stream.normal());
            for (kind, sums) in [(Value::Signed, &sums.signed), (Value::Absolute, &sums.absolute)] {
                let weighed = contributions.weigh::<f64>(c.view(), kind);
                for class in 0..2 {
                    let got: f64 = weighed.column(class).sum();
                    let each = sums.iter().zip(c.column(class)).map(|(sum, c)| sum * c);
                    let (expected, size) =
                        (each.clone().sum::<f64>(), each.map(f64::abs).sum::<f64>());
                    assert!((got - expected).abs() < 1e-5 * size, "{got} {expected} {size}");
                }
            }
        }
    }
}

#[test]
fn a_fit_has_the_same_bits_on_any_number_of_threads() {
    let rows = factor_analysers(2.0).draw(3000, &mut Seed(3).stream("threads", 0));
    for family in [Family::Laplace, Family::FactorAnalysers, Family::Vae] {
        let params = Params { max_iterations: 3, ..params(family) };
        let on = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let fit = pool.install(|| fit(rows.view(), &params, Seed(1), &Silent)).unwrap();
            // Every value of the model, and its vector.
            (format!("{:?}", fit.model), encoded(&fit.model, &rows, &[1, 2]))
        };
        assert!(on(1) == on(3), "{family}");
    }
}

/// The derivatives by weights and biases of the last layer: the density given the code is a square in these,
/// so that differences are exact.
#[test]
fn the_autoencoders_score_is_that_of_its_decoder() {
    let sizes = Sizes { dim: 3, code: 2, hidden: 4 };
    let mut stream = Seed(6).stream("autoencoder", 0);
    let network = vae::network::Network::random(sizes, &mut stream);
    // Multiples of 2⁻¹², so that steps of a quarter are exact.
    let rounded = |v: &f64| ((v * 4096.0).round() / 4096.0) as f32;
    let mut parameters: Vec<f32> = network.values().iter().map(rounded).collect();
    let len = parameters.len();
    parameters[len - 3..].copy_from_slice(&[0.25, -0.5, 0.125]);
    let none = || Array2::zeros((5, 3));
    let of = |parameters: &[f32]| {
        Vae::new(sizes, vec![0.5, -0.25, 0.0], 2.0, parameters.to_vec(), none(), none()).unwrap()
    };
    let x = rows(20, 3, 4);
    let got = sums(&of(&parameters), x.view(), &[1]);
    let last = len - 3 - 3 * 5;
    let at = |place: usize, step: f32| {
        let (unit, dimension) = (place / 3, place % 3);
        let mut moved = parameters.clone();
        let value = if unit < 4 { last + dimension * 4 + unit } else { last + 12 + dimension };
        moved[value] += step;
        let model = of(&moved);
        let step = f64::from(moved[value]) - f64::from(parameters[value]);
        (model.decoder_log_density(x.view()).unwrap(), step)
    };
    let largest = got.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    for (place, got) in got.iter().enumerate() {
        let ((above, up), (below, down)) = (at(place, 0.25), at(place, -0.25));
        assert_eq!(up, -down, "steps of f32 parameters");
        let difference = (above - below) / (up - down);
        assert!((got - difference).abs() < TOLERANCE * largest, "{place}: {got} {difference}");
    }
}

/// Mean 0 and variance 1 of every value over the training rows, one that rises, and rows drawn as were given.
#[test]
fn an_autoencoder_is_trained_and_measured() {
    let rows = factor_analysers(3.0).draw(3000, &mut Seed(8).stream("train", 0));
    let fit = fit(rows.view(), &params(Family::Vae), Seed(1), &Silent).unwrap();
    let Report::Family(report) = &fit.report else { panic!("not of a family") };
    let history = &report.mean_log_likelihood;
    assert_eq!(history.len(), 16);
    assert!(history[15] > history[0] + 0.1, "{history:?}");
    // A bound is below what the true model has.
    let truth = factor_analysers(3.0);
    let mut scratch = Scratch::default();
    let mut best = 0.0;
    for block in rows.axis_chunks_iter(ndarray::Axis(0), 1000) {
        components::evaluate(&truth, block, &mut scratch).unwrap();
        best += scratch.log_likelihood.iter().sum::<f64>() / 3000.0;
    }
    assert!(history[15] < best && history[15] > best - 2.0, "{history:?} {best}");
    let whole = encoded(&fit.model, &rows, &[1, 2]);
    assert_eq!(whole.len(), 7 * 4);
    assert!(whole.iter().all(|value| value.abs() < 1e-4), "{whole:?}");
    let mut squares = vec![0.0f64; whole.len()];
    for row in rows.rows() {
        let row = row.insert_axis(ndarray::Axis(0)).to_owned();
        let vector = encoded(&fit.model, &row, &[1, 2]);
        squares.iter_mut().zip(vector).for_each(|(sum, v)| *sum += f64::from(v * v) / 3000.0);
    }
    let speaking: Vec<f64> = squares.into_iter().filter(|&square| square > 0.0).collect();
    // Units that no row reaches have no information, and values of 0.
    assert!(speaking.len() >= 2 * 4, "{speaking:?}");
    assert!(speaking.iter().all(|square| (square - 1.0).abs() < 1e-3), "{speaking:?}");
    let drawn = fit.model.draw(3000, &mut Seed(1).stream("drawn", 0));
    for (drawn, given) in drawn.columns().into_iter().zip(rows.columns()) {
        let of = |column: ArrayView1<'_, f32>| {
            let column = column.mapv(f64::from);
            (column.mean().unwrap(), column.std(0.0))
        };
        let ((mean, deviation), (expected, scale)) = (of(drawn), of(given));
        assert!((mean - expected).abs() < 0.3 * scale, "{mean} {expected} {scale}");
        assert!((deviation / scale - 1.0).abs() < 0.3, "{deviation} {scale}");
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    let x = rows(30, 4, 7);
    let refused = |rows: &Array2<f32>, params: &Params| {
        fit(rows.view(), params, Seed(1), &Silent).map(|_| ()).unwrap_err().to_string()
    };
    for family in [Family::Laplace, Family::FactorAnalysers] {
        let text = refused(&x, &Params { components: 31, ..params(family) });
        assert!(text.contains("gmm.components") && text.contains("30"), "{text}");
    }
    for family in [Family::FactorAnalysers, Family::Vae] {
        let text = refused(&x, &Params { factors: 4, ..params(family) });
        assert!(text.contains("gmm.factors") && text.contains("the 4 values"), "{text}");
    }
    for family in [Family::Laplace, Family::FactorAnalysers, Family::Vae] {
        let mut bad = x.clone();
        bad[[17, 2]] = f32::NAN;
        let text = refused(&bad, &params(family));
        assert!(text.contains("row 17") && text.contains("NaN"), "{text}");
        let model = fit(x.view(), &params(family), Seed(1), &Silent).unwrap().model;
        let encoder = Encoder::of_model(&model, &encoding::Params::default()).unwrap();
        let mut workspace = Workspace::default();
        encoder.begin(&mut workspace);
        encoder.push(bad.view(), &positions(30), &mut workspace).unwrap();
        let text = encoder.finish(&mut workspace).unwrap_err().to_string();
        assert!(text.contains("NaN"), "{text}");
        // A row beyond everything, and none at all.
        let far = Array2::from_elem((3, 4), 1e30);
        encoder.begin(&mut workspace);
        encoder.push(far.view(), &positions(3), &mut workspace).unwrap();
        if let Err(error) = encoder.finish(&mut workspace) {
            assert!(error.to_string().contains("too extreme"), "{error}");
        }
        encoder.begin(&mut workspace);
        assert!(encoder.finish(&mut workspace).unwrap().iter().all(|&value| value == 0.0));
    }
    let text = refused(&Array2::from_elem((30, 4), 3.5), &params(Family::Vae));
    assert!(text.contains("all alike"), "{text}");
    let text = refused(&x.slice(ndarray::s![..1, ..]).to_owned(), &params(Family::Vae));
    assert!(text.contains("at least 2"), "{text}");
    let orders = encoding::Params { orders: vec![1, 3], ..encoding::Params::default() };
    let text =
        Encoder::of_model(&Model::Laplace(laplace(1.0).into()), &orders).unwrap_err().to_string();
    assert!(text.contains("encoding.orders") && text.contains("factor-analysers"), "{text}");
    let text = crate::gmm::fit(x.view(), &params(Family::Laplace), Seed(1), &Silent);
    assert!(text.unwrap_err().to_string().contains("gmm.family"));
}

/// Rows that are all alike, components that run empty: no NaN, and a vector.
#[test]
fn degenerate_rows_are_fitted() {
    let alike = Array2::from_elem((40, 4), 2.5f32);
    let few = rows(5, 4, 8);
    for family in [Family::Laplace, Family::FactorAnalysers] {
        for (x, components) in [(&alike, 3), (&few, 5), (&few, 1)] {
            let params = Params { components, ..params(family) };
            let fit = fit(x.view(), &params, Seed(1), &Silent).unwrap();
            let vector = encoded(&fit.model, x, &[0, 1, 2]);
            assert!(vector.iter().all(|value| value.is_finite()), "{family}: {vector:?}");
        }
    }
}

#[test]
fn an_autoencoder_is_not_explained() {
    let x = rows(60, 4, 9);
    let model = fit(x.view(), &params(Family::Vae), Seed(1), &Silent).unwrap().model;
    let encoder = Encoder::of_model(&model, &encoding::Params::default()).unwrap();
    let text = Contributions::new(&encoder).push(x.view(), &positions(60)).unwrap_err().to_string();
    assert!(
        text.contains("gmm.family") && text.contains("vae") && text.contains("laplace"),
        "{text}"
    );
    assert!(encoder.require_components().is_err() && encoder.require_coordinates().is_err());
    let factors = Model::FactorAnalysers(factor_analysers(1.0).into());
    let encoder = Encoder::of_model(&factors, &encoding::Params::default()).unwrap();
    assert!(encoder.require_components().is_ok());
    let text = encoder.require_coordinates().unwrap_err().to_string();
    assert!(text.contains("factor-analysers") && text.contains("--network-rule"), "{text}");
}
