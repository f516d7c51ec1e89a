//! Is an explanation right? Take away what it calls important and see whether the score falls.
//!
//! Algorithm 1 of LRP-FV: descriptors are ordered, and in batches of [`Params::batch`] each is
//! replaced by a draw from the mixture (of a part without one, by another descriptor of the image);
//! after every batch the image is scored again. With `f(x_i)`
//! the mean score over the repeats after batch `i` of `B`:
//!
//! ```text
//! A = 1/B Σ_i ( f(x) − f(x_i) )                  area between the score and what is left of it
//! V = share of the traces that change sign       (score minus threshold, eq. 24–25)
//! ```
//!
//! A good explanation makes the score fall faster than a random order does, and the reverse order
//! slower. Sums are updated by the replaced descriptors alone: a batch costs what it replaces, what
//! is taken away once for all repeats, what is put in its place once for all orders (of vectors of
//! one part without regions), and one normalisation for each repeat and order.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::relevance::Classifier;
use crate::encoding::Encoder;
use crate::encoding::contributions::{ByRow, Contributions};
use crate::error::Result;
use crate::generative::Model;
use crate::random::Stream;
use crate::widest;

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

/// Does to the vector of a part what storing and reading it does.
pub type Store<'c> = Box<dyn Fn(&mut [f32]) + Sync + 'c>;

/// An image ready to be perturbed: the parts of its vector, one after the other.
pub struct Perturbed<'c, 'e> {
    parts: Vec<Part<'c, 'e>>,
    /// Sums of all parts.
    sums: Vec<f64>,
    /// The vector of the image as it is, where it was given.
    whole: Option<&'c [f32]>,
}

/// What makes one part of the vector.
struct Part<'c, 'e> {
    contributions: &'c Contributions<'e>,
    by_row: ByRow,
    region_rows: Vec<u64>,
    /// What its vector is multiplied by.
    factor: f32,
    /// Its place in the vector.
    columns: Range<usize>,
    /// Its first descriptor among those of all parts.
    first: usize,
    store: Option<Store<'c>>,
}

/// Where the replacements of a part's descriptors are drawn from.
#[derive(Debug, Clone, Copy)]
pub enum Replacement<'g> {
    /// The model of its encoder's vectors.
    Model(&'g Model),
    /// Rows (`N × D`, at least one), as likely one as another: the image's own, where nothing was fitted
    /// to others.
    Rows(ArrayView2<'g, f32>),
}

impl Replacement<'_> {
    fn draw(self, count: usize, stream: &mut Stream) -> Array2<f32> {
        match self {
            Self::Model(model) => model.draw(count, stream),
            Self::Rows(rows) => {
                let chosen: Vec<usize> = (0..count).map(|_| stream.below(rows.nrows())).collect();
                rows.select(Axis(0), &chosen)
            }
        }
    }
}

/// Replacements drawn for each part, with the components that explain them.
#[derive(Debug)]
pub struct Draws<'e> {
    parts: Vec<(Contributions<'e>, ByRow)>,
    count: usize,
}

impl<'e> Draws<'e> {
    /// For each part, which is that of an encoder's vectors, `count` draws.
    ///
    /// # Errors
    /// As [`Contributions::push`].
    pub fn new<'g>(
        parts: impl IntoIterator<Item = (&'e Encoder, Replacement<'g>)>,
        count: usize,
        stream: &mut Stream,
    ) -> Result<Self> {
        let mut of_part = |(encoder, from): (&'e Encoder, Replacement<'g>)| {
            let mut contributions = Contributions::new(encoder);
            let rows = from.draw(count, stream);
            contributions.push_in_cells(rows.view(), &vec![0; count])?;
            let by_row = contributions.by_row();
            Ok((contributions, by_row))
        };
        Ok(Self { parts: parts.into_iter().map(&mut of_part).collect::<Result<_>>()?, count })
    }
}

impl<'c, 'e> Perturbed<'c, 'e> {
    /// An image whose vector has these parts: each with its sums
    /// ([`crate::encoding::contributions::Sums::signed`]) and the factor of its vector. Descriptors are
    /// numbered through all parts.
    pub fn new(parts: impl IntoIterator<Item = (&'c Contributions<'e>, &'c [f64], f32)>) -> Self {
        let mut all = Self { parts: Vec::new(), sums: Vec::new(), whole: None };
        let mut first = 0;
        for (contributions, sums, factor) in parts {
            let start = all.sums.len();
            all.sums.extend_from_slice(sums);
            all.parts.push(Part {
                contributions,
                by_row: contributions.by_row(),
                region_rows: contributions.region_rows(),
                factor,
                columns: start..all.sums.len(),
                first,
                store: None,
            });
            first += contributions.len();
        }
        all
    }

    /// Scores vectors as the classifier was trained on them: `whole` is that of the image, of all parts
    /// multiplied by their factors, and `stores` are applied to the parts of every perturbed one.
    ///
    /// # Panics
    /// When there is not a store for each part, or `whole` is of another length.
    pub fn stored(mut self, whole: &'c [f32], stores: Vec<Store<'c>>) -> Self {
        assert_eq!(whole.len(), self.sums.len(), "vector of a perturbed image");
        assert_eq!(stores.len(), self.parts.len(), "parts of a perturbed image");
        self.whole = Some(whole);
        self.parts.iter_mut().zip(stores).for_each(|(part, store)| part.store = Some(store));
        self
    }

    /// The score of class `class` with nothing replaced.
    pub fn score(&self, classifier: Classifier<'_>, class: usize) -> f64 {
        match self.whole {
            Some(whole) => {
                let weights = classifier.weights.row(class);
                let weights = weights.to_slice().expect("a model's rows are contiguous");
                f64::from(classifier.bias[class]) + crate::linalg::dot(weights, whole)
            }
            None => self.score_of(&self.sums, classifier, class, &mut Vec::new()),
        }
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
        let first = self.score(classifier, class);
        let mut scores = orders.map(|_| vec![first * draws.len() as f64]);
        let mut changes = orders.map(|_| vec![false; draws.len()]);
        // What is left of the image in each order, and what each repeat has put in its place: the same
        // for all orders, unless it depends on the place.
        let mut left = orders.map(|_| self.sums.clone());
        let alike = matches!(&self.parts[..], [only] if only.region_rows.len() == 1);
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
                    let score = self.score_of(&sums, classifier, class, &mut vector);
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
        for some in rows.chunks(draws.count.max(1)) {
            self.take(some, &mut sums);
            self.put(some, draws, 0, &mut sums);
        }
        self.score_of(&sums, classifier, class, &mut Vec::new())
    }

    /// The part of a descriptor and its number there.
    fn part_of(&self, row: u32) -> (usize, usize) {
        let number = self.parts.partition_point(|part| part.first <= row as usize) - 1;
        (number, row as usize - self.parts[number].first)
    }

    /// Takes the descriptors `rows` away.
    fn take(&self, rows: &[u32], sums: &mut [f64]) {
        for &row in rows {
            let (number, row) = self.part_of(row);
            let Part { contributions, by_row, columns, .. } = &self.parts[number];
            let sums = &mut sums[columns.clone()];
            contributions.add_row(row, by_row, contributions.cell(row), -1.0, sums);
        }
    }

    /// Puts the draws from `first` on in the place of `rows`.
    fn put(&self, rows: &[u32], draws: &Draws<'e>, first: usize, sums: &mut [f64]) {
        for (i, &row) in rows.iter().enumerate() {
            let (number, row) = self.part_of(row);
            let Part { contributions, columns, .. } = &self.parts[number];
            let (drawn, by_row) = &draws.parts[number];
            let sums = &mut sums[columns.clone()];
            drawn.add_row(first + i, by_row, contributions.cell(row), 1.0, sums);
        }
    }

    fn score_of(
        &self,
        sums: &[f64],
        classifier: Classifier<'_>,
        class: usize,
        vector: &mut Vec<f32>,
    ) -> f64 {
        let weights = classifier.weights.row(class);
        let weights = weights.to_slice().expect("a model's rows are contiguous");
        let mut score = f64::from(classifier.bias[class]);
        for Part { contributions, region_rows, factor, columns, store, .. } in &self.parts {
            contributions.encoder().normalised(&sums[columns.clone()], region_rows, vector);
            if let Some(store) = store {
                store(vector);
            }
            let product = crate::linalg::dot(&weights[columns.clone()], vector);
            score += f64::from(*factor) * product;
        }
        score
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
