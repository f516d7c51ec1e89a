//! Is an explanation right? Take away what it calls important and see whether the score falls.
//!
//! Algorithm 1 of LRP-FV: descriptors are ordered, and in batches of [`Params::batch`] each is
//! replaced by a draw from the mixture; after every batch the image is scored again. With `f(x_i)`
//! the mean score over the repeats after batch `i` of `B`:
//!
//! ```text
//! A = 1/B Σ_i ( f(x) − f(x_i) )                  area between the score and what is left of it
//! V = share of the traces that change sign       (score minus threshold, eq. 24–25)
//! ```
//!
//! A good explanation makes the score fall faster than a random order does, and the reverse order
//! slower. Sums are updated by the replaced descriptors alone: a batch costs what it replaces, what
//! is taken away once for all repeats, what is put in its place once for all orders (of vectors without
//! regions), and one normalisation for each repeat and order.

use serde::{Deserialize, Serialize};

use super::Classifier;
use crate::encoding::contributions::{ByRow, Contributions};
use crate::error::Result;
use crate::gmm::Gmm;
use crate::random::Stream;
use crate::widest;
use ndarray::Array2;

/// How an explanation is put to the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Descriptors replaced between two scores.
    pub batch: usize,
    /// Descriptors replaced in all, at most.
    pub most: usize,
    /// Repeats with fresh draws.
    pub repeats: usize,
}

impl Default for Params {
    /// As published.
    fn default() -> Self {
        Self { batch: 100, most: 10_000, repeats: 5 }
    }
}

/// One order of replacement, its scores averaged over the repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Scores before anything is replaced and after every batch.
    pub scores: Vec<f64>,
    /// `A`.
    pub area: f64,
    /// `V`.
    pub changed: f64,
}

/// An image ready to be perturbed.
#[derive(Debug)]
pub struct Perturbed<'c, 'e> {
    contributions: &'c Contributions<'e>,
    by_row: ByRow,
    sums: Vec<f64>,
    region_rows: Vec<u64>,
}

/// Replacements drawn from the mixture, with the components that explain them.
#[derive(Debug)]
pub struct Draws<'e> {
    contributions: Contributions<'e>,
    by_row: ByRow,
}

impl<'e> Draws<'e> {
    /// `count` draws from `gmm`, the mixture of `encoder`'s vectors.
    ///
    /// # Errors
    /// As [`Contributions::push`].
    pub fn new(
        encoder: &'e crate::encoding::Encoder,
        gmm: &Gmm,
        count: usize,
        stream: &mut Stream,
    ) -> Result<Self> {
        let mut contributions = Contributions::new(encoder);
        let rows = draw(gmm, count, stream);
        contributions.push_in_cells(rows.view(), &vec![0; count])?;
        let by_row = contributions.by_row();
        Ok(Self { contributions, by_row })
    }
}

/// `count` rows drawn from a mixture: a component by its weight, then a normal with its means and
/// variances.
pub fn draw(gmm: &Gmm, count: usize, stream: &mut Stream) -> Array2<f32> {
    let mut cumulative = Vec::with_capacity(gmm.components());
    let mut sum = 0.0;
    for &weight in gmm.weights() {
        sum += f64::from(weight);
        cumulative.push(sum);
    }
    let mut rows = Array2::zeros((count, gmm.dim()));
    let means = gmm.means();
    let sigmas = gmm.variances().mapv(|variance| f64::from(variance).sqrt());
    for mut row in rows.rows_mut() {
        let at = stream.unit() * sum;
        let component = cumulative.partition_point(|c| *c <= at).min(gmm.components() - 1);
        let of_component = means.row(component).into_iter().zip(sigmas.row(component));
        for (value, (&mean, sigma)) in row.iter_mut().zip(of_component) {
            *value = (f64::from(mean) + sigma * stream.normal()) as f32;
        }
    }
    rows
}

impl<'c, 'e> Perturbed<'c, 'e> {
    /// An image with its sums ([`crate::encoding::contributions::Sums::signed`]).
    pub fn new(contributions: &'c Contributions<'e>, sums: Vec<f64>) -> Self {
        Self {
            contributions,
            by_row: contributions.by_row(),
            sums,
            region_rows: contributions.region_rows(),
        }
    }

    /// As [`traces`](Self::traces), of one order.
    pub fn trace(
        &self,
        classifier: Classifier<'_>,
        class: usize,
        threshold: f64,
        order: &[u32],
        draws: &[Draws<'e>],
        batch: usize,
    ) -> Trace {
        let [trace] = self.traces(classifier, class, threshold, [order], draws, batch);
        trace
    }

    /// The scores of class `class` while each of `orders` is replaced in batches, the first with nothing
    /// replaced; one repeat per entry of `draws`, each with at least as many rows as an order.
    /// A trace changes when `score − threshold` changes sign.
    ///
    /// # Panics
    /// When the orders are not of one length.
    pub fn traces<const ORDERS: usize>(
        &self,
        classifier: Classifier<'_>,
        class: usize,
        threshold: f64,
        orders: [&[u32]; ORDERS],
        draws: &[Draws<'e>],
        batch: usize,
    ) -> [Trace; ORDERS] {
        let len = orders.first().map_or(0, |order| order.len());
        assert!(orders.iter().all(|order| order.len() == len), "orders of one length");
        let batches = len.div_ceil(batch);
        let mut vector = Vec::new();
        let first = self.score(&self.sums, classifier, class, &mut vector);
        let mut scores = orders.map(|_| vec![first * draws.len() as f64]);
        let mut changes = orders.map(|_| vec![false; draws.len()]);
        // What is left of the image in each order, and what each repeat has put in its place: the same
        // for all orders, unless it depends on the place.
        let mut left = orders.map(|_| self.sums.clone());
        let alike = self.region_rows.len() == 1;
        let kinds = if alike { ORDERS.min(1) } else { ORDERS };
        let mut added = vec![vec![vec![0.0; self.sums.len()]; draws.len()]; kinds];
        let mut sums = vec![0.0; self.sums.len()];
        for number in 0..batches {
            let rows = orders.map(|order| &order[number * batch..len.min((number + 1) * batch)]);
            for (added, rows) in added.iter_mut().zip(rows) {
                for (draws, added) in draws.iter().zip(added) {
                    self.put(rows, draws, number * batch, added);
                }
            }
            for (at, rows) in rows.into_iter().enumerate() {
                self.take(rows, &mut left[at]);
                let mut total = 0.0;
                for (added, changes) in added[at.min(kinds - 1)].iter().zip(&mut changes[at]) {
                    add(&left[at], added, &mut sums);
                    let score = self.score(&sums, classifier, class, &mut vector);
                    total += score;
                    *changes |= (score > threshold) != (first > threshold);
                }
                scores[at].push(total);
            }
        }
        let repeats = draws.len().max(1) as f64;
        let mut changes = changes.into_iter();
        scores.map(|mut scores| {
            let changes = changes.next().expect("one for each order");
            let changed = changes.iter().filter(|changes| **changes).count();
            scores.iter_mut().for_each(|score| *score /= repeats);
            let lost: f64 = scores[1..].iter().map(|score| scores[0] - score).sum();
            let area = lost / batches.max(1) as f64;
            Trace { area, changed: changed as f64 / repeats, scores }
        })
    }

    /// The score of class `class` with the descriptors `rows` replaced by draws.
    pub fn without(
        &self,
        classifier: Classifier<'_>,
        class: usize,
        rows: &[u32],
        draws: &Draws<'e>,
    ) -> f64 {
        let mut sums = self.sums.clone();
        // A large region uses the same draws more than once.
        for part in rows.chunks(draws.contributions.len().max(1)) {
            self.take(part, &mut sums);
            self.put(part, draws, 0, &mut sums);
        }
        self.score(&sums, classifier, class, &mut Vec::new())
    }

    /// Takes the descriptors `rows` away.
    fn take(&self, rows: &[u32], sums: &mut [f64]) {
        for &row in rows {
            let cell = self.contributions.cell(row as usize);
            self.contributions.add_row(row as usize, &self.by_row, cell, -1.0, sums);
        }
    }

    /// Puts the draws from `first` on in the place of `rows`.
    fn put(&self, rows: &[u32], draws: &Draws<'e>, first: usize, sums: &mut [f64]) {
        for (i, &row) in rows.iter().enumerate() {
            let cell = self.contributions.cell(row as usize);
            draws.contributions.add_row(first + i, &draws.by_row, cell, 1.0, sums);
        }
    }

    fn score(
        &self,
        sums: &[f64],
        classifier: Classifier<'_>,
        class: usize,
        vector: &mut Vec<f32>,
    ) -> f64 {
        self.contributions.encoder().normalised(sums, &self.region_rows, vector);
        let weights = classifier.weights.row(class);
        let weights = weights.to_slice().expect("a model's rows are contiguous");
        crate::linalg::dot(weights, vector) + f64::from(classifier.bias[class])
    }
}

/// `sum ← a + b`.
fn add(a: &[f64], b: &[f64], sum: &mut [f64]) {
    widest!(<'a> |a: &'a [f64], b: &'a [f64], sum: &'a mut [f64]| -> () {
        sum.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum = a + b);
    });
}

/// Indices of `relevance` from the largest to the smallest; equal ones in their order.
pub fn descending(relevance: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..relevance.len() as u32).collect();
    order.sort_by(|&a, &b| relevance[b as usize].total_cmp(&relevance[a as usize]));
    order
}
