//! Relevance of visual words: the components of a channel's mixture.
//!
//! Every value of a Fisher vector belongs to one component, so the relevance of dimensions adds up by
//! components, and theirs to the score:
//!
//! ```text
//! R_k(x) = Σ_{d of k} R³_d = Σ_{d of k} (w_d φ_d + b/dim)        Σ_k R_k(x) = f(x)
//! ```
//!
//! It costs a product of two stored vectors: no image is opened. By descriptors, `R²_lk` is `R²_l` from the
//! dimensions of `k` alone, and `Σ_k R²_lk = R²_l`. A component without regions counts once, with regions its
//! values of all regions together. Concepts by relevance: Achtibat et al. 2023; exact here.

use ndarray::{Array2, ArrayView2};

use super::relevance::{Classifier, Rule, kind, shares};
use crate::encoding::Layout;
use crate::encoding::contributions::{Contributions, Sums};
use crate::error::Result;

/// `R_k` of every component, `K` values: `vector`, `weights` are those of one channel, and every value has
/// `bias_share` of the bias.
///
/// # Panics
/// When vector and weights are not as long as the layout.
pub fn of_vector(layout: &Layout, vector: &[f32], weights: &[f32], bias_share: f64) -> Vec<f64> {
    assert_eq!([vector.len(), weights.len()], [layout.len(); 2], "a vector of the layout");
    let mut relevance = vec![0.0; layout.components()];
    for (component, sum) in relevance.iter_mut().enumerate() {
        for place in places(layout, component) {
            *sum += bias_share * place.len() as f64;
            *sum += crate::linalg::dot(&vector[place.clone()], &weights[place]);
        }
    }
    relevance
}

/// The runs of a component's values in the vector.
fn places(layout: &Layout, component: usize) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    (0..layout.regions()).flat_map(move |region| {
        let start = layout.region(region).start;
        let runs = layout.of_component(component);
        runs.map(move |(_, place)| start + place.start..start + place.end)
    })
}

/// `R²_lk` of chosen components for a classifier of one class, `N × words`. Under a rule that conserves, the
/// sum of a column is `R_k`.
///
/// # Errors
/// As [`super::relevance()`].
pub fn of_descriptors(
    contributions: &Contributions<'_>,
    sums: &Sums,
    vector: &[f32],
    classifier: Classifier<'_>,
    rule: Rule,
    words: &[usize],
) -> Result<Array2<f64>> {
    let found = shares(contributions, sums, vector, classifier, rule)?;
    let layout = contributions.encoder().layout();
    let mut coefficients = Array2::<f64>::zeros((layout.len(), words.len()));
    let mut even = vec![0.0; words.len()];
    for (column, &word) in words.iter().enumerate() {
        for d in places(layout, word).flatten() {
            coefficients[[d, column]] = found.coefficients[[d, 0]];
            if found.coefficients[[d, 0]] == 0.0 {
                even[column] += f64::from(found.dimensions[[0, d]]);
            }
        }
    }
    let mut relevance = weighed(contributions, coefficients.view(), rule);
    for (mut column, even) in relevance.columns_mut().into_iter().zip(even) {
        let each = even / contributions.len() as f64;
        column.iter_mut().for_each(|r| *r += each);
    }
    Ok(relevance)
}

fn weighed(
    contributions: &Contributions<'_>,
    coefficients: ArrayView2<'_, f64>,
    rule: Rule,
) -> Array2<f64> {
    match rule {
        Rule::Plain => contributions.weigh::<f64>(coefficients, kind(rule)),
        _ => contributions.weigh::<f32>(coefficients, kind(rule)),
    }
}

/// `Σ_{l ∈ S} R²_lk` of every component, `K` values, for the descriptors `S` that are marked: without the even
/// share of dimensions that no descriptor moves.
///
/// # Errors
/// As [`super::relevance()`].
pub fn of_marked(
    contributions: &Contributions<'_>,
    sums: &Sums,
    vector: &[f32],
    classifier: Classifier<'_>,
    rule: Rule,
    marked: &[bool],
) -> Result<Vec<f64>> {
    let found = shares(contributions, sums, vector, classifier, rule)?;
    let layout = contributions.encoder().layout();
    let of_marked = contributions.sums_of(Some(marked))?;
    let values = if rule == Rule::Absolute { &of_marked.absolute } else { &of_marked.signed };
    let of_word = |component| {
        let places = places(layout, component).flatten();
        places.map(|d| found.coefficients[[d, 0]] * values[d]).sum::<f64>()
    };
    Ok((0..layout.components()).map(of_word).collect())
}
