//! The layer against its definition, and its derivatives against central differences, in f64.

use ndarray::{Array1, Array2, array};

use super::head::Head;
use super::root::{ROOT_EPSILON, normalise};
use super::{BatchSums, Front, Layer};
use crate::dataset::Label;
use crate::gmm::{Averages, Gmm, Mixture};
use crate::position::Position;
use crate::projection::{Append, Projection};
use crate::random::{Seed, Stream};

fn normals(rows: usize, columns: usize, stream: &mut Stream) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || stream.normal())
}

/// Components of different weights and widths, far from 0.
fn mixture(k: usize, d: usize, stream: &mut Stream) -> Mixture {
    let mut weights: Vec<f64> = (1..=k).map(|i| i as f64).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    let means = normals(k, d, stream) * 0.7 + 3.0;
    Mixture {
        weights,
        means,
        variances: Array2::from_shape_simple_fn((k, d), || 0.3 + stream.unit()),
    }
}

/// Posteriors of one row, by the definition.
fn posteriors(mixture: &Mixture, row: &[f64]) -> (Vec<f64>, f64) {
    let density = |i: usize| {
        let of = |j: usize| {
            let (mean, variance) = (mixture.means[[i, j]], mixture.variances[[i, j]]);
            (-0.5 * (row[j] - mean).powi(2) / variance).exp()
                / (std::f64::consts::TAU * variance).sqrt()
        };
        mixture.weights[i] * (0..row.len()).map(of).product::<f64>()
    };
    let all: Vec<f64> = (0..mixture.weights.len()).map(density).collect();
    let sum: f64 = all.iter().sum();
    (all.iter().map(|p| p / sum).collect(), sum.ln())
}

#[test]
fn the_forward_pass_is_the_definition() {
    let stream = &mut Seed(1).stream("layer", 0);
    let (n, d, k) = (23, 5, 4);
    let mixture = mixture(k, d, stream);
    let rows = normals(n, d, stream) + 3.0;
    let passed = Layer::<f64>::new(&mixture).forward(rows.view());
    let (mut expected, mut likelihood) = (vec![0.0; 2 * k * d], 0.0);
    for row in rows.rows() {
        let (gamma, log) = posteriors(&mixture, row.as_slice().unwrap());
        likelihood += log;
        for i in 0..k {
            let c = gamma[i] / (n as f64 * mixture.weights[i].sqrt());
            for j in 0..d {
                let z = (row[j] - mixture.means[[i, j]]) / mixture.variances[[i, j]].sqrt();
                expected[i * d + j] += c * z;
                expected[(k + i) * d + j] += c * (z * z - 1.0) / 2.0f64.sqrt();
            }
        }
    }
    for (a, b) in passed.gradients.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-13, "{a} {b}");
    }
    assert!((passed.log_likelihood - likelihood).abs() < 1e-10);
    // The encoder of the pipeline makes the same values, in its layout.
    let gmm = mixture.to_gmm().unwrap();
    let params = crate::encoding::Params {
        orders: vec![1, 2],
        posterior_threshold: 0.0,
        region_steps: Vec::new(),
        vector_steps: Vec::new(),
        ..Default::default()
    };
    let encoder = crate::encoding::Encoder::new(&gmm, &params).unwrap();
    let mut workspace = Default::default();
    encoder.begin(&mut workspace);
    let narrow = rows.mapv(|v| v as f32);
    let places = vec![Position::at(0.5, 0.5); n];
    encoder.push(narrow.view(), &places, &mut workspace).unwrap();
    let vector = encoder.finish(&mut workspace).unwrap();
    for (a, b) in vector.iter().zip(&passed.gradients) {
        assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
    }
}

/// Projection, layer, root and length, as one function of the projection's input and of `V`.
struct Chain {
    front: Front<f64>,
    layer: Layer<f64>,
    positions: Vec<Position>,
    /// `L = ⟨v, g⟩`.
    g: Array1<f64>,
    rooted: bool,
}

impl Chain {
    fn loss(&self, rows: &Array2<f64>) -> f64 {
        let passed =
            self.layer.forward(self.front.forward(rows.view(), &self.positions).rows.view());
        match self.rooted {
            true => normalise(passed.gradients.view()).vector.dot(&self.g),
            false => passed.gradients.dot(&self.g),
        }
    }

    /// `∂L/∂h` and `∂L/∂V`.
    fn derivatives(&self, rows: &Array2<f64>) -> [Array2<f64>; 2] {
        let projected = self.front.forward(rows.view(), &self.positions);
        let passed = self.layer.forward(projected.rows.view());
        let of_gradients = match self.rooted {
            true => {
                normalise(passed.gradients.view()).backward(passed.gradients.view(), self.g.view())
            }
            false => self.g.clone(),
        };
        let of_rows = self.layer.backward(&passed, of_gradients.view());
        let of_components = self.front.backward(rows.view(), &projected, &of_rows);
        [of_rows, of_components]
    }
}

fn chain(l2: bool, append: Append, rooted: bool, stream: &mut Stream) -> (Chain, Array2<f64>) {
    let (n, raw, kept, k) = (17, 6, 4, 3);
    let d = kept + append.len();
    let components = normals(kept, raw, stream).mapv(|v| v as f32);
    let mean = Array1::from_shape_simple_fn(raw, || stream.normal() as f32);
    let projection =
        Projection::from_parts(mean, components, vec![1.0; kept], 1.0, l2, append).unwrap();
    let rows = normals(n, raw, stream);
    let positions: Vec<Position> = (0..n)
        .map(|i| Position { x: i as f32 / n as f32, y: 0.3, scale: 1.0 + i as f32 })
        .collect();
    let front = Front::of(&projection);
    let h = front.forward(rows.view(), &positions).rows;
    let mut mixture = mixture(k, d, stream);
    // Where the projected rows are.
    for i in 0..k {
        mixture.means.row_mut(i).assign(&h.row(5 * i));
    }
    let g = Array1::from_shape_simple_fn(2 * k * d, || stream.normal());
    (Chain { front, layer: Layer::new(&mixture), positions, g, rooted }, rows)
}

/// Largest difference between two arrays, relative to the largest value.
fn apart(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let largest = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / largest
}

#[test]
fn derivatives_are_those_of_central_differences() {
    let step = 1e-5;
    for (number, (l2, append, rooted)) in [
        (false, Append::None, false),
        (false, Append::None, true),
        (true, Append::None, true),
        (true, Append::Xys, true),
        (false, Append::Xy, true),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = &mut Seed(2).stream("layer derivatives", number as u64);
        let (mut chain, rows) = chain(l2, append, rooted, stream);
        let [_, of_components] = chain.derivatives(&rows);
        let mut expected = Array2::zeros(of_components.dim());
        for ((i, j), expected) in expected.indexed_iter_mut() {
            let at = chain.front.components[[i, j]];
            let mut loss = |value: f64| {
                chain.front.components[[i, j]] = value;
                chain.loss(&rows)
            };
            *expected = (loss(at + step) - loss(at - step)) / (2.0 * step);
            chain.front.components[[i, j]] = at;
        }
        let difference = apart(&of_components, &expected);
        assert!(difference < 1e-7, "V, l2 {l2}, {append:?}, rooted {rooted}: {difference:e}");
    }
}

#[test]
fn derivatives_of_rows_are_those_of_central_differences() {
    let step = 1e-5;
    for rooted in [false, true] {
        let stream = &mut Seed(3).stream("layer derivatives", 0);
        let (n, d, k) = (19, 5, 4);
        let mixture = mixture(k, d, stream);
        let layer = Layer::<f64>::new(&mixture);
        let rows = normals(n, d, stream) + 3.0;
        let g = Array1::from_shape_simple_fn(2 * k * d, || stream.normal());
        let loss = |rows: &Array2<f64>| {
            let f = layer.forward(rows.view()).gradients;
            if rooted { normalise(f.view()).vector.dot(&g) } else { f.dot(&g) }
        };
        let passed = layer.forward(rows.view());
        let f = passed.gradients.view();
        let of_gradients = if rooted { normalise(f).backward(f, g.view()) } else { g.clone() };
        let found = layer.backward(&passed, of_gradients.view());
        let expected = Array2::from_shape_fn((n, d), |at| {
            let (mut up, mut down) = (rows.clone(), rows.clone());
            up[at] += step;
            down[at] -= step;
            (loss(&up) - loss(&down)) / (2.0 * step)
        });
        let difference = apart(&found, &expected);
        assert!(difference < 1e-7, "rooted {rooted}: {difference:e}");
        // In f32, as it learns.
        let narrow = Layer::<f32>::new(&mixture);
        let passed = narrow.forward(rows.mapv(|v| v as f32).view());
        let f = passed.gradients.view();
        let g = g.mapv(|v| v as f32);
        let of_gradients = if rooted { normalise(f).backward(f, g.view()) } else { g };
        let in_f32 = narrow.backward(&passed, of_gradients.view()).mapv(f64::from);
        let difference = apart(&in_f32, &expected);
        assert!(difference < 1e-5, "f32, rooted {rooted}: {difference:e}");
    }
}

#[test]
fn an_image_without_rows_gives_zeros() {
    let stream = &mut Seed(4).stream("layer", 0);
    let layer = Layer::<f64>::new(&mixture(3, 2, stream));
    let passed = layer.forward(Array2::zeros((0, 2)).view());
    let normalised = normalise(passed.gradients.view());
    assert!(normalised.vector.iter().all(|v| *v == 0.0));
    let g = Array1::ones(12);
    assert!(normalised.backward(passed.gradients.view(), g.view()).iter().all(|v| *v == 0.0));
    assert_eq!(layer.backward(&passed, g.view()).dim(), (0, 2));
}

#[test]
fn the_smooth_root_is_near_the_root_and_has_unit_length() {
    let f = array![0.0f64, 4.0, -9.0, 1e-6];
    let v = normalise(f.view()).vector;
    assert!((v.dot(&v) - 1.0).abs() < 1e-12);
    assert_eq!(v[0], 0.0);
    assert!((v[1] / -v[2] - 2.0 / 3.0).abs() < 1e-2, "{v}");
    let small = (1e-6f64 + ROOT_EPSILON).sqrt() - ROOT_EPSILON.sqrt();
    assert!(
        (v[3] / v[1] - small / ((4.0 + ROOT_EPSILON).sqrt() - ROOT_EPSILON.sqrt())).abs() < 1e-12
    );
}

/// Sums of a batch lead to the step of EM by its definition (eq. 3–5).
#[test]
fn a_batch_gives_the_step_of_em() {
    let stream = &mut Seed(5).stream("layer", 0);
    let (n, d, k) = (60, 3, 3);
    let mixture = mixture(k, d, stream);
    let layer = Layer::<f64>::new(&mixture);
    let rows = normals(n, d, stream) + 3.0;
    let mut sums = BatchSums::new((k, d));
    for part in [rows.slice(ndarray::s![..25, ..]), rows.slice(ndarray::s![25.., ..])] {
        layer.forward(part.to_owned().view()).add_to(&mut sums);
    }
    assert_eq!(sums.rows(), n);
    let new = sums.maximisation(&layer, &mixture, 1e-9);
    let gammas: Vec<Vec<f64>> =
        rows.rows().into_iter().map(|row| posteriors(&mixture, &row.to_vec()).0).collect();
    for i in 0..k {
        let mass: f64 = gammas.iter().map(|g| g[i]).sum();
        assert!((new.weights[i] - mass / n as f64).abs() < 1e-12);
        for j in 0..d {
            let mean: f64 = (0..n).map(|r| gammas[r][i] * rows[[r, j]]).sum::<f64>() / mass;
            let variance: f64 =
                (0..n).map(|r| gammas[r][i] * (rows[[r, j]] - mean).powi(2)).sum::<f64>() / mass;
            assert!((new.means[[i, j]] - mean).abs() < 1e-12);
            assert!((new.variances[[i, j]] - variance).abs() < 1e-11);
        }
    }
}

/// The paper: with one component the averages are the running statistics of batch normalisation.
#[test]
fn one_component_keeps_the_statistics_of_batch_normalisation() {
    let stream = &mut Seed(6).stream("layer", 0);
    let d = 3;
    let mut mixture = Mixture {
        weights: vec![1.0],
        means: Array2::zeros((1, d)),
        variances: Array2::ones((1, d)),
    };
    let mut averages = Averages::new(&mixture, 0.9);
    let (mut mean, mut variance) = (Array1::<f64>::zeros(d), Array1::<f64>::zeros(d));
    for t in 1..=30 {
        let batch = normals(200, d, stream) * 1.3 + 0.4;
        let layer = Layer::<f64>::new(&mixture);
        let mut sums = BatchSums::new((1, d));
        layer.forward(batch.view()).add_to(&mut sums);
        mixture = averages.add(&sums.maximisation(&layer, &mixture, 1e-9));
        mean = mean * 0.9 + batch.mean_axis(ndarray::Axis(0)).unwrap() * 0.1;
        variance = variance * 0.9 + batch.var_axis(ndarray::Axis(0), 0.0) * 0.1;
        let correction = 1.0 - 0.9f64.powi(t);
        for j in 0..d {
            assert!((mixture.means[[0, j]] - mean[j] / correction).abs() < 1e-12);
            assert!((mixture.variances[[0, j]] - variance[j] / correction).abs() < 1e-12);
        }
    }
}

#[test]
fn derivatives_of_the_loss_are_those_of_central_differences() {
    use Label::{Ignored, No, Yes};
    let stream = &mut Seed(7).stream("layer", 0);
    let vector = Array1::from_shape_simple_fn(5, || stream.normal() as f32);
    for (one_class, labels) in
        [(true, vec![No, Yes, No]), (false, vec![Yes, Ignored, No]), (false, vec![Yes, Yes, No])]
    {
        let mut head = Head::new(3, 5, one_class);
        head.weights.mapv_inplace(|_| stream.normal() as f32);
        let (_, found) = head.loss(vector.view(), &labels);
        for class in 0..3 {
            let step = 1e-2f32;
            let mut loss = |change: f32| {
                let before = head.bias[class];
                head.bias[class] += change;
                let loss = head.loss(vector.view(), &labels).0;
                head.bias[class] = before;
                loss
            };
            let expected = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
            assert!((expected - f64::from(found[class])).abs() < 1e-4, "{labels:?} {class}");
        }
        if labels[1] == Ignored {
            assert_eq!(found[1], 0.0);
        }
    }
    // Large scores overflow nothing.
    let mut head = Head::new(2, 1, false);
    head.bias.assign(&array![1e4, -1e4]);
    let (loss, of_scores) = head.loss(array![1.0f32].view(), &[No, Yes]);
    assert!((loss - 2e4).abs() < 1e-6 && of_scores == array![1.0, -1.0], "{loss} {of_scores}");
}

/// The projection that learns is the one that is kept.
#[test]
fn the_trainable_projection_is_the_fitted_one() {
    let stream = &mut Seed(8).stream("layer", 0);
    for (l2, append) in [(false, Append::None), (true, Append::Xys), (false, Append::Xy)] {
        let components = normals(3, 7, stream).mapv(|v| v as f32);
        let mean = Array1::from_shape_simple_fn(7, || stream.normal() as f32);
        let projection =
            Projection::from_parts(mean, components, vec![1.0; 3], 1.0, l2, append).unwrap();
        let rows = normals(9, 7, stream).mapv(|v| v as f32);
        let positions = vec![Position { x: 0.2, y: 0.9, scale: 0.1 }; 9];
        let mut expected = Array2::<f32>::zeros((9, projection.output_dim()));
        projection
            .apply(rows.view(), &positions, &mut Vec::new(), expected.as_slice_mut().unwrap())
            .unwrap();
        let found = Front::<f32>::of(&projection).forward(rows.view(), &positions).rows;
        assert!((&found - &expected).iter().all(|v| v.abs() < 1e-5), "{l2} {append:?}");
    }
}

/// Mini-batch EM of the layer on rows that do not change finds the mixture that EM finds.
#[test]
fn batches_lead_where_em_leads() {
    let stream = &mut Seed(9).stream("layer", 0);
    let truth = Gmm::new(
        vec![0.3, 0.7],
        array![[0.0f32, 0.0], [4.0, 1.0]],
        array![[1.0f32, 0.5], [0.5, 2.0]],
    )
    .unwrap();
    let rows = truth.draw(40_000, stream).mapv(f64::from);
    let mut mixture = Mixture {
        weights: vec![0.5; 2],
        means: array![[-1.0, 0.0], [3.0, 0.0]],
        variances: Array2::ones((2, 2)),
    };
    let mut averages = Averages::warm(&mixture, 0.9, 20);
    for batch in rows.axis_chunks_iter(ndarray::Axis(0), 500) {
        let layer = Layer::<f64>::new(&mixture);
        let mut sums = BatchSums::new((2, 2));
        layer.forward(batch.to_owned().view()).add_to(&mut sums);
        mixture = averages.add(&sums.maximisation(&layer, &mixture, 1e-6));
    }
    for i in 0..2 {
        assert!((mixture.weights[i] - f64::from(truth.weights()[i])).abs() < 0.03);
        for j in 0..2 {
            assert!((mixture.means[[i, j]] - f64::from(truth.means()[[i, j]])).abs() < 0.1);
            assert!(
                (mixture.variances[[i, j]] - f64::from(truth.variances()[[i, j]])).abs() < 0.15
            );
        }
    }
}
