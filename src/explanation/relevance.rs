//! From a score to the relevance of dimensions and descriptors: the formulas of the
//! [module docs](super).

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};

use crate::encoding::contributions::{Contributions, Sums, Value};
use crate::error::{Error, Result};

/// Coefficients beyond this, of dimensions whose contributions cancel to nothing, are dropped: with
/// them the products would leave f32.
const LARGEST_COEFFICIENT: f64 = 1e30;

/// How a dimension's relevance is shared out among the descriptors that made it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// In proportion to `m_d(l)`. Conserves, but dimensions where contributions nearly cancel
    /// give single descriptors huge relevance of both signs.
    Plain,
    /// As `Plain` with ε ≥ 0 added to the denominator: what cancels loses its say. The scale of ε
    /// is that of sums over all descriptors of an image; Bach et al. use 1 and 100.
    Epsilon(f64),
    /// In proportion to `|m_d(l)|`.
    Absolute,
}

impl Rule {
    /// The rule of the published heatmaps: ε = 100, for about 70,000 descriptors an image.
    pub const PUBLISHED: Self = Self::Epsilon(100.0);
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Epsilon(epsilon) => write!(f, "epsilon {epsilon}"),
            Self::Absolute => f.write_str("absolute"),
        }
    }
}

/// A linear classifier as far as explanations need it, `M` classes.
#[derive(Debug, Clone, Copy)]
pub struct Classifier<'a> {
    /// `M × dim`.
    pub weights: ArrayView2<'a, f32>,
    /// `M` biases.
    pub bias: &'a [f32],
}

/// The relevance of one image for `M` classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Relevance {
    /// `f(x)` per class, `w·φ + b` in f64.
    pub scores: Vec<f64>,
    /// `R³`, `M × dim`.
    pub dimensions: Array2<f32>,
    /// `R²`, `N × M`.
    pub descriptors: Array2<f64>,
    /// `ΣR² − f(x)` per class: what the rule did not conserve.
    pub residuals: Vec<f64>,
}

impl Relevance {
    /// The relevance of an image whose vector has several parts, from that of each: dimensions and
    /// descriptors follow each other in their order, scores add up.
    ///
    /// # Panics
    /// When there is no part, or they are for different numbers of classes.
    pub fn joined(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let sum = |of: &dyn Fn(&Self) -> &[f64]| -> Vec<f64> {
            (0..of(&parts[0]).len()).map(|c| parts.iter().map(|part| of(part)[c]).sum()).collect()
        };
        let dimensions: Vec<_> = parts.iter().map(|part| part.dimensions.view()).collect();
        let descriptors: Vec<_> = parts.iter().map(|part| part.descriptors.view()).collect();
        let same = "parts are of the same classes";
        Self {
            scores: sum(&|part| &part.scores),
            residuals: sum(&|part| &part.residuals),
            dimensions: concatenate(Axis(1), &dimensions).expect(same),
            descriptors: concatenate(Axis(0), &descriptors).expect(same),
        }
    }

    /// `R²` of class `class`, `N` values.
    pub fn of_class(&self, class: usize) -> Vec<f64> {
        self.descriptors.column(class).to_vec()
    }
}

/// Relevance of the image `contributions` with sums `sums` and normalised Fisher vector `vector`.
///
/// # Errors
/// [`Error::Shape`] when vector, weights and biases do not belong together or there is no
/// descriptor.
pub fn relevance(
    contributions: &Contributions<'_>,
    sums: &Sums,
    vector: &[f32],
    classifier: Classifier<'_>,
    rule: Rule,
) -> Result<Relevance> {
    let Shares { scores, dimensions, coefficients, even } =
        shares(contributions, sums, vector, classifier, rule)?;
    let (n, classes) = (contributions.len(), classifier.bias.len());
    let kind = kind(rule);
    let mut descriptors = match rule {
        // Contributions that nearly cancel have coefficients that nearly do.
        Rule::Plain => contributions.weigh::<f64>(coefficients.view(), kind),
        _ => contributions.weigh::<f32>(coefficients.view(), kind),
    };
    let mut residuals = Vec::with_capacity(classes);
    for (class, mut column) in descriptors.columns_mut().into_iter().enumerate() {
        let xi = even[class] / n as f64;
        column.iter_mut().for_each(|r| *r += xi);
        residuals.push(column.sum() - scores[class]);
    }
    Ok(Relevance { scores, dimensions, descriptors, residuals })
}

/// Relevance of one class by the coordinates of the descriptors, `N × D`, whose rows add up to `R²`. The
/// classifier is of that class alone.
///
/// # Errors
/// As [`relevance`]; [`Error::Setting`] for vectors of factor analysers, whose values are of no coordinate.
pub fn coordinates(
    contributions: &Contributions<'_>,
    sums: &Sums,
    vector: &[f32],
    classifier: Classifier<'_>,
    rule: Rule,
) -> Result<Array2<f64>> {
    contributions.encoder().require_coordinates()?;
    let Shares { coefficients, even, .. } = shares(contributions, sums, vector, classifier, rule)?;
    let mut found = contributions.weigh_coordinates(coefficients.column(0), kind(rule));
    let xi = even[0] / found.len() as f64;
    found.iter_mut().for_each(|r| *r += xi);
    Ok(found)
}

pub(super) fn kind(rule: Rule) -> Value {
    if rule == Rule::Absolute { Value::Absolute } else { Value::Signed }
}

/// How the score of each class is shared out.
pub(super) struct Shares {
    pub scores: Vec<f64>,
    /// `R³`, `M × dim`.
    pub dimensions: Array2<f32>,
    /// `R³ / denominator`, `dim × M`; 0 of the dimensions `Z`.
    pub coefficients: Array2<f64>,
    /// `Σ_{d∈Z} R³_d` per class.
    pub even: Vec<f64>,
}

pub(super) fn shares(
    contributions: &Contributions<'_>,
    sums: &Sums,
    vector: &[f32],
    classifier: Classifier<'_>,
    rule: Rule,
) -> Result<Shares> {
    let (dim, n) = (contributions.encoder().len(), contributions.len());
    let classes = classifier.bias.len();
    for (what, expected, got) in [
        ("Fisher vector to be explained", dim, vector.len()),
        ("weights of the classifier", dim, classifier.weights.ncols()),
        ("weights of the classifier (rows)", classes, classifier.weights.nrows()),
        ("descriptors of an image to be explained (at least)", 1, n.min(1)),
    ] {
        if expected != got {
            return Err(Error::Shape { what, expected, got });
        }
    }
    let denominators: Vec<Option<f64>> = (sums.signed.iter().zip(&sums.absolute))
        .map(|(&signed, &absolute)| denominator(signed, absolute, rule))
        .collect();
    let mut dimensions = Array2::<f32>::zeros((classes, dim));
    let mut coefficients = Array2::<f64>::zeros((dim, classes));
    let (mut scores, mut even) = (vec![0.0f64; classes], vec![0.0f64; classes]);
    for class in 0..classes {
        let share = f64::from(classifier.bias[class]) / dim as f64;
        let weights = classifier.weights.row(class);
        for d in 0..dim {
            let of_dimension = f64::from(weights[d]) * f64::from(vector[d]) + share;
            scores[class] += of_dimension;
            dimensions[[class, d]] = of_dimension as f32;
            match denominators[d].map(|sum| of_dimension / sum) {
                Some(coefficient) if coefficient.abs() < LARGEST_COEFFICIENT => {
                    coefficients[[d, class]] = coefficient;
                }
                // Dimensions of Z.
                _ => even[class] += of_dimension,
            }
        }
    }
    Ok(Shares { scores, dimensions, coefficients, even })
}

/// What a dimension's relevance is divided by; `None` for the dimensions `Z` that no descriptor
/// moves, and for those whose contributions cancel to exactly 0 where the rule gives no share.
fn denominator(signed: f64, absolute: f64, rule: Rule) -> Option<f64> {
    let sum = match rule {
        Rule::Plain => signed,
        Rule::Epsilon(epsilon) => signed + if signed < 0.0 { -epsilon } else { epsilon },
        Rule::Absolute => absolute,
    };
    (absolute > 0.0 && sum != 0.0).then_some(sum)
}
