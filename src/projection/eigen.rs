//! Eigenvalues and eigenvectors of a covariance: faer's, in full, and checked.
//!
//! Every symmetric matrix of finite values has them, and faer's solver needs no more: not full rank, not
//! distinct values, not a positive smallest one. The matrix is scaled to 1 first, so that its unit
//! cannot over- or underflow.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use faer::{Mat, Side};
use ndarray::{Array2, Axis};

use super::failure::failed;
use super::residual;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// From so many dimensions on the solve may take a second and more. It cannot be stopped, so it runs
/// in a thread of its own, which is left behind when the user asks to stop.
const WIDE: usize = 768;

/// How often the user is asked meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// Eigenvalues, descending, and unit eigenvectors (rows) of a covariance. A vector's entry of largest
/// magnitude is positive.
///
/// # Errors
/// [`Error::Numerical`] when the covariance is not finite or the result fails its check,
/// [`Error::Interrupted`].
pub(super) fn eigen(
    mut c: Array2<f64>,
    progress: &dyn Progress,
) -> Result<(Vec<f64>, Array2<f64>)> {
    let d = c.nrows();
    if !c.iter().all(|v| v.is_finite()) {
        return Err(failed("the covariance is not finite; scale the descriptors down"));
    }
    let largest = c.diag().iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        // No dimension varies: any basis is right.
        return Ok((vec![0.0; d], Array2::eye(d)));
    }
    c /= largest;
    let (values, mut vectors) = solve(&c, progress)?;
    residual::check(&c, &values, &vectors)?;
    for mut v in vectors.rows_mut() {
        let peak = v.iter().fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
        v *= 1f64.copysign(peak);
    }
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    Ok((order.iter().map(|&i| values[i] * largest).collect(), vectors.select(Axis(0), &order)))
}

/// All eigenvalues and unit eigenvectors (rows) of a symmetric matrix.
fn solve(matrix: &Array2<f64>, progress: &dyn Progress) -> Result<(Vec<f64>, Array2<f64>)> {
    let d = matrix.nrows();
    let copy = Arc::new(Mat::from_fn(d, d, |i, j| matrix[[i, j]]));
    if d < WIDE {
        return decompose(&copy);
    }
    let (sender, receiver) = channel();
    let theirs = Arc::clone(&copy);
    // Nobody listens any more when the user has asked to stop.
    let work = move || drop(sender.send(decompose(&theirs)));
    if std::thread::Builder::new().name("eigenvectors".into()).spawn(work).is_err() {
        return decompose(&copy);
    }
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(solved) => return solved,
            Err(RecvTimeoutError::Timeout) if progress.interrupted() => {
                return Err(Error::Interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(failed("the eigen-solve broke off")),
        }
    }
}

fn decompose(matrix: &Mat<f64>) -> Result<(Vec<f64>, Array2<f64>)> {
    let d = matrix.nrows();
    let solved = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| failed("the eigen-solve does not converge; please report this"))?;
    let values = solved.S().column_vector().iter().copied().collect();
    let vectors = solved.U();
    Ok((values, Array2::from_shape_fn((d, d), |(i, j)| vectors[(j, i)])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::random::Seed;

    /// `Qᵀ Λ Q` with a random orthonormal `Q`, and `Λ`.
    fn with_spectrum(values: &[f64], seed: u64) -> Array2<f64> {
        let d = values.len();
        let mut stream = Seed(seed).stream("spectrum", 0);
        let mut basis = Array2::<f64>::zeros((d, d));
        for i in 0..d {
            let mut v = ndarray::Array1::from_shape_simple_fn(d, || stream.normal());
            for _ in 0..2 {
                for known in basis.slice(ndarray::s![..i, ..]).rows() {
                    v.scaled_add(-known.dot(&v), &known);
                }
                v /= v.dot(&v).sqrt();
            }
            basis.row_mut(i).assign(&v);
        }
        let scaled = Array2::from_shape_fn((d, d), |(i, j)| values[i] * basis[[i, j]]);
        let c = basis.t().dot(&scaled);
        Array2::from_shape_fn((d, d), |(i, j)| 0.5 * (c[[i, j]] + c[[j, i]]))
    }

    /// Values to 1e-12 of the largest, an orthonormal basis, and `Σ λ v vᵀ = C`.
    fn check(c: &Array2<f64>, expected: Option<&[f64]>, what: &str) {
        let (values, vectors) = eigen(c.clone(), &Silent).unwrap_or_else(|e| panic!("{what}: {e}"));
        let d = c.nrows();
        let largest = c.diag().iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        assert!(values.is_sorted_by(|a, b| a >= b), "{what}");
        for (got, expected) in values.iter().zip(expected.unwrap_or(&[])) {
            assert!((got - expected).abs() <= 1e-12 * largest, "{what}: {got:e} {expected:e}");
        }
        let gram = vectors.dot(&vectors.t());
        assert!(gram.indexed_iter().all(|((i, j), v)| (v - f64::from(i == j)).abs() < 1e-12));
        let scaled = Array2::from_shape_fn((d, d), |(i, j)| values[i] / largest * vectors[[i, j]]);
        let again = vectors.t().dot(&scaled);
        for (got, c) in again.iter().zip(c) {
            assert!((got - c / largest).abs() < 1e-12, "{what}: {got:e} {:e}", c / largest);
        }
    }

    /// Any rank, any fall, equal values, any unit.
    #[test]
    fn every_covariance_is_solved() {
        for d in [1, 2, 3, 17, 64] {
            let last = (d - 1).max(1) as f64;
            let spectra: [(&str, Vec<f64>); 7] = [
                ("equal", vec![3.0; d]),
                ("even", (0..d).map(|i| (d - i) as f64).collect()),
                (
                    "falls by 12 digits",
                    (0..d).map(|i| 10f64.powf(-12.0 * i as f64 / last)).collect(),
                ),
                (
                    "falls by 300 digits",
                    (0..d).map(|i| 10f64.powf(-300.0 * i as f64 / last)).collect(),
                ),
                ("rank 1", (0..d).map(|i| f64::from(i == 0)).collect()),
                ("half of it", (0..d).map(|i| f64::from(i < d.div_ceil(2))).collect()),
                ("nothing", vec![0.0; d]),
            ];
            for (name, values) in spectra {
                for unit in [1e-280, 1e-76, 1e-12, 1.0, 1e12, 1e76, 1e300] {
                    let values: Vec<f64> = values.iter().map(|v| v * unit).collect();
                    let c = with_spectrum(&values, d as u64);
                    check(&c, Some(&values), &format!("{name}, {d}, {unit:e}"));
                }
            }
        }
    }

    /// Products of small whole numbers: singular to the last bit, and not positive after rounding.
    #[test]
    fn exactly_singular_matrices_are_solved() {
        for seed in 0..200 {
            let mut stream = Seed(seed).stream("singular", 0);
            let (rows, d) = (1 + stream.below(6), 1 + stream.below(40));
            let x = Array2::from_shape_simple_fn((rows, d), || stream.below(3) as f64 - 1.0);
            check(&x.t().dot(&x), None, &format!("{seed}"));
            // What subtracting a mean leaves of equal rows.
            let noise = Array2::from_shape_simple_fn((d, d), || 1e-17 * stream.normal());
            let symmetric = &noise + &noise.t();
            let mut c = x.t().dot(&x) + &symmetric;
            c.diag_mut().mapv_inplace(f64::abs);
            check(&c, None, &format!("{seed}, rounded"));
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut c = Array2::<f64>::eye(5);
            c[[1, 3]] = bad;
            let message = eigen(c, &Silent).unwrap_err().to_string();
            assert!(message.contains("not finite"), "{message}");
        }
    }

    /// Asked to stop at once, a wide solve is left behind.
    #[test]
    fn a_wide_solve_is_interrupted() {
        struct Stop;
        impl Progress for Stop {
            fn begin(&self, _: &str, _: u64, _: &str) {}
            fn advance(&self, _: u64) {}
            fn end(&self) {}
            fn note(&self, _: &str) {}
            fn summary(&self, _: &str, _: &str) {}
            fn interrupted(&self) -> bool {
                true
            }
        }
        let c =
            Array2::from_shape_fn((WIDE, WIDE), |(i, j)| 1.0 / (1.0 + (i as f64 - j as f64).abs()));
        assert!(matches!(eigen(c, &Stop), Err(Error::Interrupted)));
    }
}
