//! One binary problem and its dual variables; the coordinate step that both exact solvers share.
//!
//! With `y_i = ±1`, `w = Σ α_i y_i x_i`, `b = Σ α_i y_i` (the weight of a constant feature 1),
//! `f_i = w·x_i + b`, and per-row `C_i`:
//!
//! ```text
//! primal  ½(‖w‖² + b²) + Σ C_i ξ_i        (hinge)     or Σ C_i ξ_i²   ξ_i = max(0, 1 − y_i f_i)
//! dual    Σ α_i − ½ Σ α_i y_i f_i − ½ Σ r_i α_i²       0 ≤ α_i ≤ U_i
//!         hinge: U_i = C_i, r_i = 0     squared hinge: U_i = ∞, r_i = 1/(2 C_i)
//! step    α_i ← clamp(α_i − (y_i f_i − 1 + r_i α_i)/(‖x_i‖² + 1 + r_i), 0, U_i)
//! ```
//!
//! Source: Hsieh, Chang, Lin, Keerthi & Sundararajan 2008, algorithm 1. Departs from it in that the
//! products `w·x_i` of all rows at hand are kept up to date with rows of their Gram matrix, so a row whose
//! variable need not move costs nothing, and small steps are put off while large ones remain.

use pulp::{Arch, Simd, WithSimd};

use super::penalty::{Loss, Penalty};
use super::products::axpy;
use crate::linalg::LANES;

/// Steps below this share of the largest one of the sweep before wait for a later sweep.
const POSTPONED_SHARE: f32 = 0.3;

/// Rows at rest stay active while they are held by less than this times the mean pull of the rows
/// that move. A row put to rest wrongly is found again in the next round.
const ACTIVE_PULL: f64 = 0.5;

/// One binary problem: labels, weights of errors, and the dual variables reached so far.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Index of the class, in the order of the model.
    pub class: usize,
    /// +1, −1, or 0 for a row that is left out.
    pub sign: Vec<f32>,
    /// `α_i ≥ 0`.
    pub alpha: Vec<f32>,
    /// `w·x_i` of every row, left out or not. The bias stands apart: within a small `w·x_i` it
    /// would cost digits.
    pub product: Vec<f32>,
    /// `Σ α_i y_i`, which is `b` at the optimum; 0 where the bias is free.
    pub bias: f64,
    /// True while the bias is not regularised (see [`super::smo`]).
    pub free_bias: bool,
    /// `w`, where the solver has formed it from the rows; empty otherwise.
    pub weights: Vec<f32>,
    /// What a rounded Gram matrix leaves out of each product; empty where nothing is.
    pub left_out: Vec<f32>,
    /// How errors count.
    pub penalty: Penalty,
    /// Sweeps over the rows so far, and those it may reach.
    pub epochs: usize,
    pub last_epoch: usize,
    /// Whether the relative gap has come below the tolerance.
    pub done: bool,
}

/// Both objectives at one point; their difference bounds the distance from the optimum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Objective {
    pub primal: f64,
    pub dual: f64,
}

impl Objective {
    /// `(primal − dual)/primal`, 0 where rounding makes it negative.
    pub fn relative_gap(self) -> f64 {
        if self.primal > 0.0 { ((self.primal - self.dual) / self.primal).max(0.0) } else { 0.0 }
    }
}

/// Whether there are rows on both sides.
pub(super) fn both_sides(sign: &[f32]) -> bool {
    sign.contains(&1.0) && sign.contains(&-1.0)
}

/// Where a slope that grows with `b` changes its sign, sought from `start`, to `precision` of its size.
pub(super) fn zero_of(slope: impl Fn(f64) -> f64, start: f64, precision: f64) -> f64 {
    let (mut low, mut high, mut reach) = (start, start, 1e-3);
    while slope(low) > 0.0 {
        low -= reach;
        reach *= 4.0;
    }
    reach = 1e-3;
    while slope(high) < 0.0 {
        high += reach;
        reach *= 4.0;
    }
    while high - low > precision * (1.0 + high.abs()) {
        let middle = 0.5 * (low + high);
        if slope(middle) > 0.0 { high = middle } else { low = middle }
    }
    0.5 * (low + high)
}

impl Machine {
    pub fn new(class: usize, sign: Vec<f32>, penalty: Penalty) -> Self {
        let n = sign.len();
        let (alpha, product) = (vec![0.0; n], vec![0.0; n]);
        Self {
            class,
            sign,
            alpha,
            product,
            bias: 0.0,
            free_bias: false,
            weights: Vec::new(),
            left_out: Vec::new(),
            penalty,
            epochs: 0,
            last_epoch: 0,
            done: false,
        }
    }

    /// `w·x_i + Σ α_i y_i`.
    pub fn score(&self, i: usize) -> f64 {
        f64::from(self.product[i]) + self.bias
    }

    /// What row `i` adds to `primal − dual`; never negative.
    ///
    /// With `‖w‖² + b² = Σ α_i y_i f_i` the gap is a sum over rows, and a row at the right bound
    /// adds nothing.
    pub fn gap_share(&self, i: usize) -> f64 {
        let y = f64::from(self.sign[i]);
        if y == 0.0 {
            return 0.0;
        }
        let (a, slack) = (f64::from(self.alpha[i]), 1.0 - y * self.score(i));
        let c = self.penalty.of(self.sign[i]);
        let cost = slack.max(0.0);
        match self.penalty.loss {
            Loss::Hinge => c * cost - a * slack,
            Loss::SquaredHinge => c * cost * cost - a * slack + 0.25 / c * a * a,
        }
    }

    /// Both objectives, from the products as they stand.
    pub fn objective(&self) -> Objective {
        let terms = self.sign.iter().zip(&self.alpha).zip(&self.product);
        let square: f64 =
            terms.map(|((&y, &a), &f)| f64::from(a) * f64::from(y) * f64::from(f)).sum();
        Objective { primal: self.primal(square, self.best_bias()), dual: self.dual(square) }
    }

    /// The primal with `‖w‖²` and a bias given.
    pub fn primal(&self, square: f64, bias: f64) -> f64 {
        let loss = |(&y, &f): (&f32, &f32)| {
            let slack = (1.0 - f64::from(y) * (f64::from(f) + bias)).max(0.0);
            match self.penalty.loss {
                _ if y == 0.0 => 0.0,
                Loss::Hinge => self.penalty.of(y) * slack,
                Loss::SquaredHinge => self.penalty.of(y) * slack * slack,
            }
        };
        let loss: f64 = self.sign.iter().zip(&self.product).map(loss).sum();
        let bias = if self.free_bias { 0.0 } else { bias };
        0.5 * (square + bias * bias) + loss
    }

    /// The dual with `‖w‖²` given, which may be newer than the products.
    pub fn dual(&self, square: f64) -> f64 {
        let gain = |(&y, &a): (&f32, &f32)| {
            let a = f64::from(a);
            match self.penalty.loss {
                _ if y == 0.0 => 0.0,
                Loss::Hinge => a,
                Loss::SquaredHinge => a - 0.25 / self.penalty.of(y) * a * a,
            }
        };
        let gain: f64 = self.sign.iter().zip(&self.alpha).map(gain).sum();
        gain - 0.5 * (square + self.bias * self.bias)
    }

    /// The bias that minimises the primal for the present `w`.
    ///
    /// The primal is taken there and not at `Σ α_i y_i`: any `(w, b)` bounds the optimum, and a
    /// small error of the bias costs every row at the margin.
    pub fn best_bias(&self) -> f64 {
        zero_of(|b| self.slope(b), self.bias, 1e-6)
    }

    /// Derivative of the primal by the bias at `b`.
    fn slope(&self, b: f64) -> f64 {
        let squared = self.penalty.loss == Loss::SquaredHinge;
        let bias = b as f32;
        // How hard a row pushes, apart from its C.
        let push = |y: f32, p: f32| {
            let slack = (1.0 - y * (p + bias)).max(0.0);
            if squared {
                2.0 * slack
            } else if slack > 0.0 {
                1.0
            } else {
                0.0
            }
        };
        let (mut positive, mut negative) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (signs, signs_rest) = self.sign.as_chunks::<LANES>();
        let (products, products_rest) = self.product.as_chunks::<LANES>();
        Arch::new().dispatch(|| {
            for (signs, products) in signs.iter().zip(products) {
                for lane in 0..LANES {
                    let push = push(signs[lane], products[lane]);
                    positive[lane] += if signs[lane] > 0.0 { push } else { 0.0 };
                    negative[lane] += if signs[lane] < 0.0 { push } else { 0.0 };
                }
            }
        });
        for (&y, &p) in signs_rest.iter().zip(products_rest) {
            positive[0] += if y > 0.0 { push(y, p) } else { 0.0 };
            negative[0] += if y < 0.0 { push(y, p) } else { 0.0 };
        }
        let sum = |lanes: [f32; LANES]| lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        let own = if self.free_bias { 0.0 } else { b };
        own - self.penalty.positive * sum(positive) + self.penalty.negative * sum(negative)
    }

    /// Sets the bias to `Σ α_i y_i` afresh; steps leave rounding in it.
    pub fn refresh_bias(&mut self) {
        let terms = self.alpha.iter().zip(&self.sign);
        self.bias = terms.map(|(&a, &y)| f64::from(a) * f64::from(y)).sum();
    }

    /// Rows with `α_i > 0`.
    pub fn support_rows(&self) -> Vec<usize> {
        (0..self.alpha.len()).filter(|&i| self.alpha[i] > 0.0).collect()
    }

    /// Number of rows with `α_i > 0`.
    pub fn support_vectors(&self) -> usize {
        self.alpha.iter().filter(|&&a| a > 0.0).count()
    }

    /// The dual gradient of row `i`, and whether a bound stops the step it asks for.
    pub fn pull(&self, i: usize) -> (f64, bool) {
        let (y, a) = (self.sign[i], self.alpha[i]);
        let (upper, ridge) = self.penalty.limit(y);
        let gradient = f64::from(y) * self.score(i) - 1.0 + f64::from(ridge * a);
        let at_upper = self.penalty.loss == Loss::Hinge && a >= upper;
        (gradient, (a == 0.0 && gradient >= 0.0) || (at_upper && gradient <= 0.0))
    }

    /// Rows that may move soon: all but those that a bound holds by more than any movable row is
    /// pulled (shrinking).
    pub fn active(&self) -> Vec<usize> {
        let pulls = (0..self.sign.len()).filter(|&i| self.sign[i] != 0.0);
        let pulls: Vec<(usize, f64, bool)> = pulls
            .map(|i| {
                let (pull, rests) = self.pull(i);
                (i, pull.abs(), rests)
            })
            .collect();
        let movable: Vec<f64> =
            pulls.iter().filter(|(.., rests)| !rests).map(|(_, pull, _)| *pull).collect();
        let force = ACTIVE_PULL * movable.iter().sum::<f64>() / movable.len().max(1) as f64;
        let active = pulls.into_iter().filter(|(_, pull, rests)| !rests || *pull <= force);
        active.map(|(i, ..)| i).collect()
    }

    /// The machine over some of its rows, the others held where they are.
    pub fn part(&self, rows: &[usize]) -> Self {
        let pick = |values: &[f32]| rows.iter().map(|&i| values[i]).collect();
        Self {
            class: self.class,
            sign: pick(&self.sign),
            alpha: pick(&self.alpha),
            product: pick(&self.product),
            bias: self.bias,
            free_bias: false,
            weights: Vec::new(),
            left_out: Vec::new(),
            penalty: self.penalty,
            epochs: self.epochs,
            last_epoch: self.last_epoch,
            done: false,
        }
    }

    /// `primal − dual` as the sum over the rows, at the bias `Σ α_i y_i`.
    pub fn gap(&self) -> f64 {
        (0..self.sign.len()).map(|i| self.gap_share(i)).sum()
    }

    /// All variables of the machine, for [`sweep`].
    pub fn variables(&mut self) -> Variables<'_> {
        Variables {
            sign: &self.sign,
            alpha: &mut self.alpha,
            product: &mut self.product,
            bias: &mut self.bias,
            limits: self.penalty.limits(),
            largest: 0.0,
            postpone_below: 0.0,
        }
    }

    /// One sweep over a block of rows, given in visiting order with their Gram matrix and their
    /// present products. Returns for each row the change of `α·y`.
    pub fn visit(&mut self, rows: &[usize], gram: &[f32], products: &mut [f32]) -> Vec<f32> {
        let sign: Vec<f32> = rows.iter().map(|&i| self.sign[i]).collect();
        let mut alpha: Vec<f32> = rows.iter().map(|&i| self.alpha[i]).collect();
        let order: Vec<u32> = (0..rows.len() as u32).collect();
        let variables = Variables {
            sign: &sign,
            alpha: &mut alpha,
            product: products,
            bias: &mut self.bias,
            limits: self.penalty.limits(),
            largest: 0.0,
            postpone_below: 0.0,
        };
        let squares: Vec<f32> = gram.iter().step_by(rows.len() + 1).copied().collect();
        sweep(gram, &squares, &order, &mut [variables]);
        let mut changes = Vec::with_capacity(rows.len());
        for (local, &i) in rows.iter().enumerate() {
            changes.push((alpha[local] - self.alpha[i]) * sign[local]);
            self.alpha[i] = alpha[local];
            self.product[i] = products[local];
        }
        changes
    }
}

/// The variables of one machine that a sweep moves.
pub(super) struct Variables<'a> {
    sign: &'a [f32],
    alpha: &'a mut [f32],
    product: &'a mut [f32],
    bias: &'a mut f64,
    limits: [(f32, f32); 2],
    /// Largest change of a row's own score that a step of the last sweep wanted.
    pub largest: f32,
    postpone_below: f32,
}

impl Variables<'_> {
    /// The step row `i` wants: the new `α_i`, and the size of the change of the row's own score.
    #[inline(always)]
    fn step(&self, i: usize, square: f32) -> (f32, f32) {
        let y = self.sign[i];
        if y == 0.0 {
            return (self.alpha[i], 0.0);
        }
        let (upper, ridge) = self.limits[usize::from(y > 0.0)];
        let (a, h) = (self.alpha[i], square + 1.0 + ridge);
        let gradient = y * (self.product[i] + *self.bias as f32) - 1.0 + ridge * a;
        let wanted = (a - gradient / h).clamp(0.0, upper);
        (wanted, ((wanted - a) * h).abs())
    }
}

/// One sweep of coordinate steps in the given order for a group of machines that share the Gram
/// matrix (`gram`, row-major, as many rows and columns as the machines have variables).
///
/// The rows of the matrix are read once for the whole group.
pub(super) fn sweep(gram: &[f32], squares: &[f32], order: &[u32], group: &mut [Variables<'_>]) {
    for machine in group.iter_mut() {
        machine.postpone_below = POSTPONED_SHARE * machine.largest;
        machine.largest = 0.0;
    }
    Arch::new().dispatch(Sweep { gram, squares, order, group });
}

struct Sweep<'a, 'b> {
    gram: &'a [f32],
    squares: &'a [f32],
    order: &'a [u32],
    group: &'a mut [Variables<'b>],
}

impl WithSimd for Sweep<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.group.first().map_or(0, |machine| machine.alpha.len());
        for &i in self.order {
            let i = i as usize;
            let square = self.squares[i];
            for machine in self.group.iter_mut() {
                let (wanted, size) = machine.step(i, square);
                machine.largest = machine.largest.max(size);
                if size > 0.0 && size >= machine.postpone_below {
                    let change = (wanted - machine.alpha[i]) * machine.sign[i];
                    machine.alpha[i] = wanted;
                    *machine.bias += f64::from(change);
                    axpy(simd, machine.product, change, &self.gram[i * n..(i + 1) * n]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::linalg;
    use crate::progress::Silent;
    use crate::random::Seed;
    use crate::svm::backend::{Backend, Limits};
    use crate::svm::dual_coordinate::Dual;
    use crate::svm::gram::Gram;
    use crate::svm::gram_matrix::ByteProducts;

    const PENALTIES: [Penalty; 3] = [
        Penalty { loss: Loss::Hinge, positive: 2.0, negative: 0.5 },
        Penalty { loss: Loss::SquaredHinge, positive: 2.0, negative: 0.5 },
        Penalty { loss: Loss::Hinge, positive: 5.0, negative: 5.0 },
    ];

    /// Rows and signs, every seventh left out.
    fn problem(n: usize, dim: usize) -> (Array2<f32>, Vec<f32>) {
        let mut stream = Seed(8).stream("machine", n as u64);
        let sign: Vec<f32> = (0..n)
            .map(|i| if i % 7 == 3 { 0.0 } else { if stream.unit() < 0.3 { 1.0 } else { -1.0 } })
            .collect();
        let x = Array2::from_shape_fn((n, dim), |(i, _)| {
            (stream.normal() + 0.2 * f64::from(sign[i])) as f32 / (dim as f32).sqrt()
        });
        (x, sign)
    }

    /// The method as published, in f64, without blocks, shrinking or postponing.
    fn reference(x: &Array2<f32>, sign: &[f32], penalty: Penalty, sweeps: usize) -> Vec<f64> {
        let x = x.mapv(f64::from);
        let (mut w, mut b) = (ndarray::Array1::<f64>::zeros(x.ncols()), 0.0);
        let mut alpha = vec![0.0; sign.len()];
        for _ in 0..sweeps {
            for (i, row) in x.rows().into_iter().enumerate().filter(|(i, _)| sign[*i] != 0.0) {
                let (y, c) = (f64::from(sign[i]), penalty.of(sign[i]));
                let (upper, ridge) = match penalty.loss {
                    Loss::Hinge => (c, 0.0),
                    Loss::SquaredHinge => (f64::INFINITY, 0.5 / c),
                };
                let gradient = y * (w.dot(&row) + b) - 1.0 + ridge * alpha[i];
                let wanted: f64 = alpha[i] - gradient / (row.dot(&row) + 1.0 + ridge);
                let change = (wanted.clamp(0.0, upper) - alpha[i]) * y;
                alpha[i] += change * y;
                w.scaled_add(change, &row);
                b += change;
            }
        }
        alpha
    }

    fn solved(x: &Array2<f32>, sign: &[f32], penalty: Penalty) -> Vec<Machine> {
        let view = x.view();
        // What f32 products allow.
        let tolerance = 1e-6 * penalty.positive;
        let limits = Limits { tolerance, max_epochs: 5000, trial: false };
        let mut backends: Vec<Box<dyn Backend>> = vec![
            Box::new(Gram::exact(&view, Seed(1), &Silent).unwrap()),
            Box::new(Dual::new(&view, Seed(1))),
        ];
        if let Some(products) = ByteProducts::of_this_processor() {
            let gram = Gram::rounded(&view, &products, Seed(1), &Silent).unwrap();
            backends.push(Box::new(gram));
        }
        let solve = |backend: &mut Box<dyn Backend>| {
            let mut machine = [Machine::new(0, sign.to_vec(), penalty)];
            backend.solve(&mut machine, &limits, &Silent).unwrap();
            let [machine] = machine;
            assert!(machine.done, "{penalty:?}: {:?}", machine.objective());
            machine
        };
        backends.iter_mut().map(solve).collect()
    }

    /// More rows than a block of either solver; more columns than rows, so that the dual optimum is
    /// one point.
    #[test]
    fn all_solvers_meet_the_published_method() {
        let (x, sign) = problem(150, 400);
        for penalty in PENALTIES {
            let expected = reference(&x, &sign, penalty, 3000);
            for machine in solved(&x, &sign, penalty) {
                for (i, (got, expected)) in machine.alpha.iter().zip(&expected).enumerate() {
                    // A relative gap of 5e-6 leaves √(2·5e-6·primal) ≈ 0.01 in the weights.
                    assert!((f64::from(*got) - expected).abs() < 0.02, "{penalty:?} {i}");
                }
            }
        }
    }

    /// At the optimum a row beyond the margin has α = 0, a row at it anything, a row short of it
    /// α = C (hinge) or 2Cξ (squared hinge).
    #[test]
    fn the_optimality_conditions_hold() {
        let (x, sign) = problem(150, 60);
        for penalty in PENALTIES {
            for machine in solved(&x, &sign, penalty) {
                let bias = machine.best_bias();
                assert!((bias - machine.bias).abs() < 5e-3, "{bias} {}", machine.bias);
                for (i, &y) in sign.iter().enumerate() {
                    let (alpha, c) = (f64::from(machine.alpha[i]), penalty.of(y));
                    let slack = 1.0 - f64::from(y) * machine.score(i);
                    match penalty.loss {
                        _ if y == 0.0 => assert_eq!(alpha, 0.0),
                        Loss::SquaredHinge => {
                            assert!((alpha - 2.0 * c * slack.max(0.0)).abs() < 0.02 * (1.0 + c));
                        }
                        Loss::Hinge if slack < -0.02 => assert_eq!(alpha, 0.0, "{slack}"),
                        Loss::Hinge if slack > 0.02 => assert!((alpha - c).abs() < 1e-6 * c),
                        Loss::Hinge => assert!((0.0..=c * (1.0 + 1e-6)).contains(&alpha)),
                    }
                }
            }
        }
    }

    /// Anywhere, not at the optimum only: the rows' shares add up to the gap at the bias `Σ α_i y_i`
    /// and are not negative, and no bias has a smaller primal than the best one.
    #[test]
    fn the_gap_is_a_sum_over_rows_and_the_best_bias_is_best() {
        let (x, sign) = problem(40, 7);
        let mut stream = Seed(2).stream("alpha", 0);
        for penalty in PENALTIES {
            let mut machine = Machine::new(0, sign.clone(), penalty);
            for i in (0..40).filter(|&i| sign[i] != 0.0) {
                machine.alpha[i] = (stream.unit() * penalty.of(sign[i])) as f32;
            }
            machine.refresh_bias();
            let exact = x.mapv(f64::from);
            let signed: ndarray::Array1<f64> =
                machine.alpha.iter().zip(&sign).map(|(&a, &y)| f64::from(a * y)).collect();
            let w = exact.t().dot(&signed);
            machine.product = exact.dot(&w).iter().map(|&p| p as f32).collect();
            let square = w.dot(&w);
            let gap = machine.primal(square, machine.bias) - machine.dual(square);
            assert!((machine.gap() - gap).abs() < 1e-5 * gap, "{} {gap}", machine.gap());
            assert!((0..40).all(|i| machine.gap_share(i) >= 0.0));
            for free in [false, true] {
                machine.free_bias = free;
                let best = machine.primal(square, machine.best_bias());
                let others = (-300..300).map(|step| machine.primal(square, 0.01 * f64::from(step)));
                assert!(others.fold(f64::INFINITY, f64::min) >= best - 1e-4 * best);
            }
        }
    }

    /// A sweep leaves products that belong to its variables, in any group.
    #[test]
    fn sweeps_keep_products_and_variables_together() {
        let (x, sign) = problem(33, 21);
        let rows: Vec<&[f32]> = x.rows().into_iter().map(|row| row.to_slice().unwrap()).collect();
        let gram: Vec<f32> =
            rows.iter().flat_map(|a| rows.iter().map(|b| linalg::dot(a, b) as f32)).collect();
        let squares: Vec<f32> = gram.iter().step_by(34).copied().collect();
        let order: Vec<u32> = (0..33).rev().collect();
        let mut group: Vec<Machine> =
            PENALTIES.iter().map(|&penalty| Machine::new(0, sign.clone(), penalty)).collect();
        let mut alone = group.clone();
        let mut variables: Vec<Variables<'_>> = group.iter_mut().map(Machine::variables).collect();
        sweep(&gram, &squares, &order, &mut variables);
        for (machine, together) in alone.iter_mut().zip(&group) {
            sweep(&gram, &squares, &order, &mut [machine.variables()]);
            assert_eq!(machine.alpha, together.alpha);
            for i in 0..33 {
                let terms = (0..33)
                    .map(|j| f64::from(machine.alpha[j] * sign[j]) * f64::from(gram[i * 33 + j]));
                assert!((terms.sum::<f64>() - f64::from(machine.product[i])).abs() < 1e-5);
            }
            let before = machine.bias;
            machine.refresh_bias();
            assert!((before - machine.bias).abs() < 1e-6);
        }
    }
}
