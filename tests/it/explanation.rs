//! Relevance against a slow reference that forms every `m_d(l)` in double precision, conservation,
//! degenerate images, and perturbed images against encoding them again.

use fvtool::encoding::contributions::Contributions;
use fvtool::encoding::normalise::Step;
use fvtool::encoding::{AssignmentKind, Divisor, Encoder, Params, Scaling, Workspace};
use fvtool::explanation::quality::{Draws, Perturbed, Replacement, descending};
use fvtool::explanation::{Classifier, Relevance, Rule, relevance};
use fvtool::generative::Model;
use fvtool::gmm::Gmm;
use fvtool::position::Position;
use fvtool::random::{Seed, Stream};
use ndarray::{Array1, Array2, Axis, array, s};

const RULES: [Rule; 4] = [Rule::Plain, Rule::Epsilon(1.0), Rule::Epsilon(100.0), Rule::Absolute];

/// A mixture of overlapping components, one of little weight, and an image of it.
struct Case {
    gmm: Gmm,
    rows: Array2<f32>,
    positions: Vec<Position>,
    weights: Array2<f32>,
    bias: Vec<f32>,
    params: Params,
}

impl Case {
    fn new(rows: usize, params: Params) -> Self {
        let mut stream = Seed(8).stream("explanation", rows as u64);
        let (k, d) = (5, 6);
        let normal = |shape, scale: f64, stream: &mut Stream| {
            Array2::from_shape_simple_fn(shape, || (scale * stream.normal()) as f32)
        };
        let means = normal((k, d), 1.5, &mut stream);
        let variances = normal((k, d), 0.5, &mut stream).mapv(|v| v.exp());
        let gmm = Gmm::new(vec![0.4, 0.3, 0.2, 0.09, 0.01], means, variances).unwrap();
        let rows = gmm.draw(rows, &mut stream);
        let mut place = || Position::at(stream.unit() as f32, stream.unit() as f32);
        let positions = (0..rows.nrows()).map(|_| place()).collect();
        let dim = Encoder::new(&gmm, &params).unwrap().len();
        let weights = normal((3, dim), 1.0, &mut stream);
        Self { gmm, rows, positions, weights, bias: vec![0.3, -1.2, 0.0], params }
    }

    fn encoder(&self) -> Encoder {
        Encoder::new(&self.gmm, &self.params).unwrap()
    }

    fn contributions<'e>(&self, encoder: &'e Encoder) -> Contributions<'e> {
        let mut contributions = Contributions::new(encoder);
        contributions.push(self.rows.view(), &self.positions).unwrap();
        contributions
    }

    fn classifier(&self) -> Classifier<'_> {
        Classifier { weights: self.weights.view(), bias: &self.bias }
    }

    fn vector(&self, rows: &Array2<f32>) -> Vec<f32> {
        let encoder = self.encoder();
        let mut workspace = Workspace::default();
        encoder.begin(&mut workspace);
        encoder.push(rows.view(), &self.positions, &mut workspace).unwrap();
        encoder.finish(&mut workspace).unwrap()
    }

    fn relevance(&self, rule: Rule) -> Relevance {
        let encoder = self.encoder();
        let contributions = self.contributions(&encoder);
        let sums = contributions.sums().unwrap();
        let vector = self.vector(&self.rows);
        relevance(&contributions, &sums, &vector, self.classifier(), rule).unwrap()
    }

    /// Regions as lists of rows: the grids' rectangles by the definition.
    fn regions(&self) -> Vec<Vec<usize>> {
        let mut regions = Vec::new();
        for grid in &self.params.regions {
            let text = grid.to_string();
            let (down, across) = text.split_once('x').unwrap();
            let [down, across]: [usize; 2] = [down, across].map(|side| side.parse().unwrap());
            for (r, c) in (0..down).flat_map(|r| (0..across).map(move |c| (r, c))) {
                let cell = |share: f32, n: usize| ((share * n as f32) as usize).min(n - 1);
                regions.push(
                    (0..self.rows.nrows())
                        .filter(|&l| {
                            let Position { x, y, .. } = self.positions[l];
                            cell(y, down) == r && cell(x, across) == c
                        })
                        .collect(),
                );
            }
        }
        regions
    }

    /// Every `m_d(l)`, `N × dim`, from the formulas.
    fn every_contribution(&self) -> Array2<f64> {
        let (k, d) = self.gmm.means().dim();
        let wide = |x: f32| f64::from(x);
        let gamma = |l: usize| -> Vec<f64> {
            let logs: Vec<f64> = (0..k)
                .map(|i| {
                    let sum: f64 = (0..d)
                        .map(|j| {
                            let variance = wide(self.gmm.variances()[[i, j]]);
                            let off = wide(self.rows[[l, j]]) - wide(self.gmm.means()[[i, j]]);
                            off * off / variance + variance.ln()
                        })
                        .sum();
                    wide(self.gmm.weights()[i]).ln() - 0.5 * sum
                })
                .collect();
            let most = logs.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let total: f64 = logs.iter().map(|v| (v - most).exp()).sum();
            let exact = logs.iter().map(|v| (v - most).exp() / total);
            match self.params.assignment {
                AssignmentKind::Hard => logs.iter().map(|v| f64::from(*v == most)).collect(),
                AssignmentKind::Soft => exact
                    .map(|g| if g > self.params.posterior_threshold { g } else { 0.0 })
                    .collect(),
            }
        };
        let region_len: usize =
            self.params.orders.iter().map(|&o| if o == 0 { k } else { k * d }).sum();
        let regions = self.regions();
        let mut m = Array2::zeros((self.rows.nrows(), regions.len() * region_len));
        for (region, members) in regions.iter().enumerate() {
            for &l in members {
                let gamma = gamma(l);
                let mut at = region * region_len;
                for (number, &order) in self.params.orders.iter().enumerate() {
                    let block = at;
                    for (i, gamma) in gamma.iter().enumerate() {
                        let weight = wide(self.gmm.weights()[i]);
                        let raw = self.params.scaling == Scaling::Raw;
                        if order == 0 {
                            m[[l, at]] = (gamma - weight) / if raw { 1.0 } else { weight.sqrt() };
                            at += 1;
                            continue;
                        }
                        for j in 0..d {
                            let sigma = wide(self.gmm.variances()[[i, j]]).sqrt();
                            let z =
                                (wide(self.rows[[l, j]]) - wide(self.gmm.means()[[i, j]])) / sigma;
                            m[[l, at]] = match (order, raw) {
                                (1, false) => gamma * z / weight.sqrt(),
                                (1, true) => gamma * z * sigma,
                                (_, false) => gamma * (z * z - 1.0) / (2.0 * weight).sqrt(),
                                (_, true) => -gamma * (z * z - 1.0) * sigma * sigma,
                            };
                            at += 1;
                        }
                    }
                    let factor = self.params.order_weights.get(number).copied().unwrap_or(1.0);
                    m.slice_mut(s![l, block..at]).mapv_inplace(|value| value * factor);
                }
            }
        }
        m
    }

    /// `R²`, `N × M`, by eq. 20, 22 and 23 as they stand, and how far relative errors of 1 in the
    /// contributions can move it: where contributions cancel, a share has few digits.
    fn reference(&self, rule: Rule) -> (Array2<f64>, Array2<f64>) {
        let m = self.every_contribution();
        let (n, dim) = m.dim();
        let vector = self.vector(&self.rows);
        let mut result = Array2::zeros((n, self.bias.len()));
        let mut sensitivity = Array2::zeros((n, self.bias.len()));
        for (class, mut out) in result.columns_mut().into_iter().enumerate() {
            for (d, &value) in vector.iter().enumerate() {
                let share = f64::from(self.bias[class]) / dim as f64;
                let r3 = f64::from(self.weights[[class, d]]) * f64::from(value) + share;
                let column = m.column(d);
                if column.iter().all(|v| *v == 0.0) {
                    out += r3 / n as f64;
                    continue;
                }
                let sum = column.sum();
                let magnitudes: Array1<f64> = column.mapv(f64::abs);
                let size = match rule {
                    Rule::Plain => sum.abs(),
                    Rule::Epsilon(e) => sum.abs() + e,
                    Rule::Absolute => magnitudes.sum(),
                };
                let condition = 1.0 + magnitudes.sum() / size;
                sensitivity.column_mut(class).scaled_add(r3.abs() / size * condition, &magnitudes);
                match rule {
                    Rule::Plain => out.scaled_add(r3 / sum, &column),
                    Rule::Epsilon(e) => {
                        let sign = if sum < 0.0 { -1.0 } else { 1.0 };
                        out.scaled_add(r3 / (sum + e * sign), &column);
                    }
                    Rule::Absolute => out.scaled_add(r3 / size, &magnitudes),
                }
            }
        }
        (result, sensitivity)
    }
}

fn grids(texts: &[&str]) -> Vec<fvtool::encoding::spatial::Grid> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn every_kind_of_encoding() -> Vec<Params> {
    let base = || Params { posterior_threshold: 0.0, ..Params::default() };
    vec![
        base(),
        Params { orders: vec![0, 1, 2], ..base() },
        Params { orders: vec![0], ..base() },
        Params { orders: vec![2], region_steps: vec![], vector_steps: vec![], ..base() },
        Params { orders: vec![0, 1], regions: grids(&["1x1", "2x2", "3x1"]), ..base() },
        Params { orders: vec![0, 1, 2], scaling: Scaling::Raw, divisor: Divisor::SqrtN, ..base() },
        Params { orders: vec![0, 1, 2], order_weights: vec![0.5, 1.0, 3.0], ..base() },
        Params { assignment: AssignmentKind::Hard, orders: vec![0, 1, 2], ..base() },
        Params { posterior_threshold: 0.05, orders: vec![0, 1, 2], ..base() },
        Params {
            region_steps: vec![Step::Power, Step::Intra],
            power: 0.3,
            intra_power: 0.25,
            ..base()
        },
    ]
}

#[test]
fn every_rule_and_encoding_follows_the_formulas() {
    for params in every_kind_of_encoding() {
        let case = Case::new(40, params);
        for rule in RULES {
            let got = case.relevance(rule);
            let (expected, sensitivity) = case.reference(rule);
            for ((place, expected), sensitivity) in expected.indexed_iter().zip(&sensitivity) {
                let off = (got.descriptors[place] - expected).abs();
                assert!(
                    off <= 1e-5 * sensitivity + 1e-6,
                    "{rule}, {:?}, {place:?}: {off:e}, sensitivity {sensitivity:e}",
                    case.params
                );
            }
        }
    }
}

#[test]
fn dimensions_sum_to_the_score_and_descriptors_to_the_dimensions() {
    for params in every_kind_of_encoding() {
        let case = Case::new(3000, params);
        let vector = case.vector(&case.rows);
        for rule in [Rule::Plain, Rule::Absolute] {
            let got = case.relevance(rule);
            for class in 0..3 {
                let product: f64 = case
                    .weights
                    .row(class)
                    .iter()
                    .zip(&vector)
                    .map(|(w, v)| f64::from(*w) * f64::from(*v))
                    .sum();
                let score = product + f64::from(case.bias[class]);
                assert!((got.scores[class] - score).abs() < 1e-9 * score.abs().max(1.0));
                let dimensions: f64 = got.dimensions.row(class).iter().map(|v| f64::from(*v)).sum();
                assert!((dimensions - score).abs() < 1e-5 * score.abs().max(1.0));
                let residual = got.residuals[class].abs();
                assert!(
                    residual <= 1e-4 * score.abs(),
                    "{rule}, {:?}: {residual:e} of {score}",
                    case.params
                );
                let sum = got.descriptors.column(class).sum();
                assert!((sum - score - got.residuals[class]).abs() < 1e-9);
            }
        }
        // A large ε takes nearly all relevance away, and the residual says so.
        let lost = case.relevance(Rule::Epsilon(1e12));
        let kept = lost.scores[0] + lost.residuals[0];
        assert!(kept.abs() < 0.05 * lost.scores[0].abs().max(1.0), "{kept}");
    }
}

/// One component, the vector 0: every dimension's relevance is the bias's, shared evenly.
#[test]
fn a_vector_of_zeros_spreads_the_bias_evenly() {
    let gmm = Gmm::new(vec![1.0], array![[1.0, -2.0]], array![[0.5, 2.0]]).unwrap();
    let params = Params { orders: vec![0, 1], ..Params::default() };
    let case = Case {
        rows: array![[1.0, -2.0], [1.0, -2.0], [1.0, -2.0], [1.0, -2.0]],
        positions: vec![Position::at(0.5, 0.5); 4],
        weights: Array2::from_elem((1, 3), 2.0),
        bias: vec![0.8],
        gmm,
        params,
    };
    assert_eq!(case.vector(&case.rows), [0.0; 3]);
    for rule in RULES {
        let got = case.relevance(rule);
        let expected = 0.8f32;
        for value in &got.descriptors {
            assert!((value - f64::from(expected) / 4.0).abs() < 1e-7, "{rule}: {value}");
        }
        assert!(got.residuals[0].abs() < 1e-7);
    }
}

/// A descriptor whose posteriors all fall under the threshold has only its part of what nobody
/// moves; components that explain nothing are in `Z`.
#[test]
fn a_descriptor_that_no_component_explains_gets_an_even_share() {
    let gmm =
        Gmm::new(vec![0.3, 0.3, 0.4], array![[0.0], [1.0], [500.0]], array![[1.0], [1.0], [1.0]])
            .unwrap();
    let case = Case {
        // Between the first two components: half and half, and so under the threshold.
        rows: array![[0.5], [-3.0], [4.0], [-2.0]],
        positions: vec![Position::at(0.5, 0.5); 4],
        weights: array![[1.0, -2.0, 3.0, 0.5, 0.25, -0.125]],
        bias: vec![0.5],
        gmm,
        params: Params { posterior_threshold: 0.6, ..Params::default() },
    };
    for rule in RULES {
        let got = case.relevance(rule);
        // Of the third component, which explains nothing: the bias's shares of two dimensions.
        let xi = 2.0 * (0.5 / 6.0) / 4.0;
        assert!((got.descriptors[[0, 0]] - xi).abs() < 1e-7, "{rule}: {}", got.descriptors);
        assert!(got.descriptors.iter().all(|v| v.is_finite()));
    }
}

#[test]
fn one_descriptor_has_all_the_relevance() {
    let case = Case::new(1, Params { orders: vec![0, 1, 2], ..Params::default() });
    for rule in [Rule::Plain, Rule::Absolute] {
        let got = case.relevance(rule);
        for class in 0..3 {
            let (all, score) = (got.descriptors[[0, class]], got.scores[class]);
            assert!((all - score).abs() <= 1e-5 * score.abs(), "{rule}: {all} of {score}");
        }
    }
}

#[test]
fn relevance_without_descriptors_or_of_other_lengths_is_refused() {
    let case = Case::new(10, Params::default());
    let encoder = case.encoder();
    let empty = Contributions::new(&encoder);
    let (sums, vector) = (empty.sums().unwrap(), case.vector(&case.rows));
    let refused = relevance(&empty, &sums, &vector, case.classifier(), Rule::Plain);
    assert!(refused.unwrap_err().to_string().contains("at least"));
    let full = case.contributions(&encoder);
    let short = relevance(&full, &sums, &vector[1..], case.classifier(), Rule::Plain);
    assert!(short.unwrap_err().to_string().contains("Fisher vector to be explained"));
}

/// Sums of contributions, divided and normalised, are the encoder's vector.
#[test]
fn contributions_add_up_to_the_fisher_vector() {
    for params in every_kind_of_encoding() {
        let case = Case::new(500, params);
        let encoder = case.encoder();
        let contributions = case.contributions(&encoder);
        let mut vector = Vec::new();
        let sums = contributions.sums().unwrap();
        encoder.normalised(&sums.signed, &contributions.region_rows(), &mut vector);
        for (got, expected) in vector.iter().zip(case.vector(&case.rows)) {
            assert!((got - expected).abs() < 2e-5, "{:?}: {got} {expected}", case.params);
        }
        let every = case.every_contribution().mapv(f64::abs).sum_axis(Axis(0));
        for (got, expected) in sums.absolute.iter().zip(every) {
            assert!((got - expected).abs() <= 1e-4 * expected.max(1e-3), "{got} {expected}");
        }
    }
}

/// Scores along a trace are those of images with the same descriptors replaced, encoded again.
#[test]
fn a_perturbed_image_scores_as_if_it_were_encoded_again() {
    for params in every_kind_of_encoding() {
        let case = Case::new(60, params);
        let encoder = case.encoder();
        let contributions = case.contributions(&encoder);
        let sums = contributions.sums().unwrap();
        let perturbed = Perturbed::new([(&contributions, &sums.signed[..], 1.0)]);
        let order: Vec<u32> = vec![7, 3, 50, 11, 59];
        let stream = || Seed(2).stream("draws", 0);
        let model = Model::from(&case.gmm);
        let draws =
            [Draws::new([(&encoder, Replacement::Model(&model))], 5, &mut stream()).unwrap()];
        let replacements = case.gmm.draw(5, &mut stream());
        let [trace] = perturbed.traces(case.classifier(), 1, 0.0, [&order[..]], &draws, 2);
        assert_eq!(trace.scores.len(), 4);
        let mut rows = case.rows.clone();
        for (batch, got) in trace.scores.iter().enumerate() {
            for (i, &row) in order.iter().enumerate().take(2 * batch) {
                rows.row_mut(row as usize).assign(&replacements.row(i));
            }
            let product: f64 = case
                .weights
                .row(1)
                .iter()
                .zip(case.vector(&rows))
                .map(|(w, v)| f64::from(*w) * f64::from(v))
                .sum();
            let expected = product + f64::from(case.bias[1]);
            assert!((got - expected).abs() < 1e-3, "{:?}: {got} {expected}", case.params);
        }
        let lost: f64 = trace.scores[1..].iter().map(|s| trace.scores[0] - s).sum();
        assert!((trace.area - lost / 3.0).abs() < 1e-12);
        // Orders replaced side by side share what is put in their place, and change nothing.
        let other: Vec<u32> = vec![0, 59, 20, 7, 31];
        let orders = [&order[..], &other];
        let both = perturbed.traces(case.classifier(), 1, 0.0, orders, &draws, 2);
        let [alone] = perturbed.traces(case.classifier(), 1, 0.0, [&other[..]], &draws, 2);
        assert_eq!(both, [trace, alone], "{:?}", case.params);
    }
}

#[test]
fn relevant_descriptors_matter_more_than_others() {
    let case = Case::new(2000, Params { orders: vec![0, 1, 2], ..Params::default() });
    let encoder = case.encoder();
    let contributions = case.contributions(&encoder);
    let relevance = case.relevance(Rule::Epsilon(100.0));
    let sums = contributions.sums().unwrap();
    let perturbed = Perturbed::new([(&contributions, &sums.signed[..], 1.0)]);
    let mut stream = Seed(3).stream("draws", 0);
    let model = Model::from(&case.gmm);
    let draws = [Draws::new([(&encoder, Replacement::Model(&model))], 300, &mut stream).unwrap()];
    for class in 0..3 {
        let down = descending(&relevance.of_class(class));
        let up: Vec<u32> = down.iter().rev().copied().collect();
        let area = |order: &[u32]| {
            let orders = [&order[..300]];
            perturbed.traces(case.classifier(), class, 0.0, orders, &draws, 20)[0].area
        };
        let any: Vec<u32> = (0..300).collect();
        assert!(area(&down) > area(&any) && area(&any) > area(&up), "class {class}");
    }
}

#[test]
fn draws_have_the_mixtures_moments() {
    let gmm = Gmm::new(vec![0.25, 0.75], array![[-2.0], [2.0]], array![[0.5], [2.0]]).unwrap();
    let rows = gmm.draw(40_000, &mut Seed(1).stream("draw", 0));
    let mean = rows.iter().map(|v| f64::from(*v)).sum::<f64>() / 40_000.0;
    let below = rows.iter().filter(|v| **v < -0.5).count() as f64 / 40_000.0;
    // Mean 1; P(x < −½) = ¼·Φ(1.5/√½) + ¾·Φ(−2.5/√2) = 0.2749.
    assert!((mean - 1.0).abs() < 0.05 && (below - 0.2749).abs() < 0.01, "{mean} {below}");
}
