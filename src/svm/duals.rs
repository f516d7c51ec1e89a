//! What each training image adds to a score.
//!
//! With `w = Σ α_i y_i x_i` a score is a sum over the `n` training images. For a joint row `x` whose parts
//! are `x^c`,
//!
//! ```text
//! f(x) = Σ_i [ Σ_c a_ci ⟨x_i^c, x^c⟩ + b_i ] + r
//!
//! one machine       a_i = b_i = α_i y_i                       (one part: the whole row)
//! learned weights   a_ci = α_i y_i t_c²/s_c²                  b_i = α_i y_i
//! scores            a_ci = α_ci y_i / (s_c Σ_c s_c)           b_i = Σ_c α_ci y_i s_c / Σ_c s_c
//! ```
//!
//! and `r` is the bias less `Σ b_i`: what no image adds. It is within the tolerance of 0 where the bias is
//! regularised, and the whole bias where it is free ([`Solver::Smo`](super::Solver::Smo)). Representer
//! points (Yeh, Kim, Yen & Ravikumar 2018), which are exact here.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView1, s};

use super::machine::Machine;
use crate::linalg::{self, Rows};
use crate::{Error, Result};

/// The dual variables of a classifier of `M` classes and `n` training images.
#[derive(Debug, Clone, PartialEq)]
pub struct Duals {
    /// The columns of each of `P` parts, in order.
    pub parts: Vec<Range<usize>>,
    /// `a`, `P × M × n`.
    pub products: Array3<f32>,
    /// `b`, `M × n`.
    pub constants: Array2<f32>,
}

impl Duals {
    /// Duals from their stored parts.
    ///
    /// # Errors
    /// [`Error::Shape`] when they do not fit each other, or `dim` columns.
    pub fn new(
        parts: Vec<Range<usize>>,
        products: Array3<f32>,
        constants: Array2<f32>,
        dim: usize,
    ) -> Result<Self> {
        let (of_parts, classes, images) = products.dim();
        let mut end = 0;
        let follow = parts.iter().all(|part| {
            let follows = part.start == end && part.end > part.start;
            end = part.end;
            follows
        });
        for (what, expected, got) in [
            ("parts of the dual variables", parts.len(), of_parts),
            ("columns of the dual variables", dim, if follow { end } else { 0 }),
            ("classes of the dual variables", constants.nrows(), classes),
            ("images of the dual variables", constants.ncols(), images),
        ] {
            if expected != got {
                return Err(Error::Shape { what, expected, got });
            }
        }
        Ok(Self { parts, products, constants })
    }

    /// Those of images that add nothing.
    pub(super) fn zeros(classes: usize, images: usize, parts: Vec<Range<usize>>) -> Self {
        let products = Array3::zeros((parts.len(), classes, images));
        Self { products, constants: Array2::zeros((classes, images)), parts }
    }

    /// Takes over the dual variables of a machine of whole rows, each multiplied by `stretch`.
    pub(super) fn set(&mut self, machine: &Machine, stretch: f64) {
        let class = machine.class;
        for (i, (&alpha, &y)) in machine.alpha.iter().zip(&machine.sign).enumerate() {
            let signed = (f64::from(alpha) * f64::from(y) * stretch) as f32;
            self.products.slice_mut(s![.., class, i]).fill(signed);
            self.constants[[class, i]] = signed;
        }
    }

    /// Training images.
    pub fn images(&self) -> usize {
        self.constants.ncols()
    }

    /// What every training image adds to the score of `x` for a class, `n` values. `rows` are the training
    /// images.
    ///
    /// # Errors
    /// [`Error::Shape`] when the rows are not those of these duals, or `x` is no such row.
    pub fn shares(&self, rows: &dyn Rows, x: &[f32], class: usize) -> Result<Vec<f64>> {
        let dim = self.parts.last().map_or(0, |last| last.end);
        for (what, expected, got) in [
            ("training images of the classifier", self.images(), rows.len()),
            ("values of a training image", dim, rows.dim()),
            ("values of the image to be explained", dim, x.len()),
        ] {
            if expected != got {
                return Err(Error::Shape { what, expected, got });
            }
        }
        let mut scratch = Vec::new();
        let constants = self.constants.row(class);
        let mut shares: Vec<f64> = constants.iter().map(|&b| f64::from(b)).collect();
        for (i, share) in shares.iter_mut().enumerate() {
            let of_image = self.products.slice(s![.., class, i]);
            if of_image.iter().all(|&a| a == 0.0) {
                continue;
            }
            let row = rows.row(i, &mut scratch);
            for (part, &a) in self.parts.iter().zip(of_image) {
                *share += f64::from(a) * linalg::dot(&row[part.clone()], &x[part.clone()]);
            }
        }
        Ok(shares)
    }

    /// The part of a class's bias that no training image adds.
    pub fn rest(&self, class: usize, bias: f32) -> f64 {
        f64::from(bias) - self.constants.row(class).iter().map(|&b| f64::from(b)).sum::<f64>()
    }

    /// Weights under which the row of one image has what training image `i`, whose row is `row`, adds to its
    /// score (without the constant `b_i`, which is [`constants`](Self::constants)); and the other way
    /// round, since the product is symmetric.
    pub fn weights(&self, class: usize, i: usize, row: &[f32]) -> Vec<f32> {
        let mut weights = row.to_vec();
        for (part, &a) in self.parts.iter().zip(self.products.slice(s![.., class, i])) {
            weights[part.clone()].iter_mut().for_each(|value| *value *= a);
        }
        weights
    }

    /// `b` of a class.
    pub fn of_class(&self, class: usize) -> ArrayView1<'_, f32> {
        self.constants.row(class)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::dataset::Label;
    use crate::linalg::Joined;
    use crate::progress::Silent;
    use crate::random::Seed;
    use crate::svm::{Fusion, Model, Params, Solver, leave_out, train};

    /// Unit rows of two classes that overlap, 60 × 40, and their labels for two classes.
    fn data() -> (Array2<f32>, Vec<Vec<Label>>) {
        let mut stream = Seed(7).stream("duals", 0);
        let mut rows = Array2::from_shape_simple_fn((60, 40), || stream.normal() as f32);
        let mut labels = Vec::new();
        for (i, mut row) in rows.rows_mut().into_iter().enumerate() {
            row[0] += if i % 3 == 0 { 1.5 } else { -0.5 };
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.mapv_inplace(|v| v / length);
            let label = |yes: bool| if yes { Label::Yes } else { Label::No };
            labels.push(vec![
                label(i % 3 == 0),
                if i == 5 { Label::Ignored } else { label(i % 2 == 0) },
            ]);
        }
        (rows, labels)
    }

    fn joined<'a>(
        rows: &'a Array2<f32>,
        right: &'a Array2<f32>,
    ) -> Joined<ndarray::ArrayView2<'a, f32>> {
        let all: Vec<usize> = (0..rows.nrows()).collect();
        Joined::new([(rows.view(), 0.8, all.clone()), (right.view(), 0.6, all)])
    }

    fn trained(rows: &dyn Rows, labels: &[Vec<Label>], params: &Params) -> Model {
        let classes = ["a".to_owned(), "b".to_owned()];
        train(rows, labels, &classes, params, Seed(1), &Silent).unwrap()
    }

    fn params(solver: Solver, fusion: Fusion, c: f64) -> Params {
        Params { solver, fusion, c, tolerance: 1e-5, ..Params::default() }
    }

    /// Every way to solve and to join, and a C so large that weights are stretched.
    #[test]
    fn shares_and_rest_add_up_to_the_score() {
        let (left, labels) = data();
        let right = left.mapv(|v| v * v - 0.02);
        let rows = joined(&left, &right);
        for (solver, fusion, c) in [
            (Solver::Gram, Fusion::Weights, 10.0),
            (Solver::Dual, Fusion::Weights, 1.0),
            (Solver::Smo, Fusion::Weights, 10.0),
            (Solver::Gram, Fusion::Learned, 1.0),
            (Solver::Gram, Fusion::Scores, 10.0),
            (Solver::Gram, Fusion::Weights, 5e4),
        ] {
            let model = trained(&rows, &labels, &params(solver, fusion, c));
            let duals = model.duals.as_ref().unwrap();
            for i in [0, 7, 31] {
                let x = rows.row(i, &mut Vec::new()).to_vec();
                let scores = model.score(&x).unwrap();
                for (class, score) in scores.iter().enumerate() {
                    let shares = duals.shares(&rows, &x, class).unwrap();
                    let sum = shares.iter().sum::<f64>() + duals.rest(class, model.bias[class]);
                    let error = (sum - f64::from(*score)).abs();
                    let size = shares.iter().map(|share| share.abs()).sum::<f64>().max(1.0);
                    assert!(error < 1e-6 * size, "{solver:?} {fusion:?} {c}: off by {error:e}");
                    if solver != Solver::Smo && c < 100.0 {
                        let rest = duals.rest(class, model.bias[class]);
                        assert!(rest.abs() < 0.02, "{solver:?} {fusion:?}: rest {rest}");
                    }
                    // An image that is ignored for a class adds nothing to it.
                    assert!(class == 0 || shares[5] == 0.0);
                }
            }
        }
    }

    #[test]
    fn a_product_is_the_share_without_its_constant() {
        let (left, labels) = data();
        let right = left.mapv(|v| v * v);
        let rows = joined(&left, &right);
        let model = trained(&rows, &labels, &params(Solver::Gram, Fusion::Scores, 10.0));
        let duals = model.duals.as_ref().unwrap();
        let (x, other) =
            (rows.row(3, &mut Vec::new()).to_vec(), rows.row(9, &mut Vec::new()).to_vec());
        let share = duals.shares(&rows, &x, 0).unwrap()[9] - f64::from(duals.of_class(0)[9]);
        for (weights, row) in [(duals.weights(0, 9, &other), &x), (duals.weights(0, 9, &x), &other)]
        {
            assert!((linalg::dot(&weights, row) - share).abs() < 1e-6);
        }
        let short = Array2::<f32>::zeros((59, 80));
        assert!(matches!(duals.shares(&short.view(), &x, 0), Err(Error::Shape { .. })));
    }

    /// Without each of 50 images, by a warm start and by a training of its own to a tighter tolerance.
    #[test]
    fn leaving_an_image_out_is_training_without_it() {
        let (left, labels) = data();
        let right = left.mapv(|v| v * v - 0.02);
        let rows = joined(&left, &right);
        for fusion in [Fusion::Weights, Fusion::Scores, Fusion::Learned] {
            let loose = Params { tolerance: 1e-3, ..params(Solver::Gram, fusion, 5.0) };
            let model = trained(&rows, &labels, &loose);
            // A row of the training set lies at its margin whatever is left out.
            let between = |rows: &dyn Rows| -> Vec<f32> {
                let two = [54, 55].map(|i| rows.row(i, &mut Vec::new()).to_vec());
                two[0].iter().zip(&two[1]).map(|(a, b)| 0.5 * (a + b)).collect()
            };
            let x = between(&rows);
            let images: Vec<usize> = (0..50).collect();
            let found = leave_out(&rows, &labels, &model, 0, &x, &images, &loose, Seed(1), &Silent);
            let found = found.unwrap();
            let weights: Vec<f64> =
                model.selection.iter().flat_map(|s| s.weights.clone()).collect();
            for (&image, without) in images.iter().zip(&found.without) {
                let mut labels = labels.clone();
                labels[image].fill(Label::Ignored);
                let exact = Params { tolerance: 1e-6, ..params(Solver::Gram, fusion, 5.0) };
                let retrained = match fusion {
                    // The channels' weights stay as they were chosen.
                    Fusion::Learned => {
                        let all: Vec<usize> = (0..60).collect();
                        let rows = Joined::new([
                            (left.view(), weights[0] as f32, all.clone()),
                            (right.view(), weights[1] as f32, all),
                        ]);
                        let exact = Params { fusion: Fusion::Weights, ..exact };
                        let x = between(&rows);
                        trained(&rows, &labels, &exact).score(&x).unwrap()[0]
                    }
                    _ => trained(&rows, &labels, &exact).score(&x).unwrap()[0],
                };
                let off = (without.unwrap() - f64::from(retrained)).abs();
                assert!(off < 1e-3, "{fusion:?}, image {image}: off by {off:e}");
            }
            let moved = |without: &Option<f64>| (without.unwrap() - found.with_all).abs() > 1e-3;
            assert!(found.without.iter().any(moved), "some image matters");
        }
    }
}
