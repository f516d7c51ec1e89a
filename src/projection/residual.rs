//! The check of an eigen-solve, independent of the solver: the random projection of linfa-reduction,
//! which fvtool is built on, shrinks the residuals before they are formed.
//!
//! Rows of `V` are eigenvectors. All residuals `V C − Λ V`, and the deviation of `VᵀV` from the
//! identity, would cost `4D³` operations, more than half of the solve. With random columns `Ω`
//! (`D × m`, entries of variance `1/D`)
//!
//! ```text
//! (V C − Λ V) Ω = V (C Ω) − Λ (V Ω)        E ‖r Ω‖² = m/D ‖r‖²
//! ```
//!
//! it costs `6D²m`, and a residual of any size is seen with its size: `‖r Ω‖² D/(m ‖r‖²)` has the
//! distribution of `χ²_m/m`, which with m = 16 is below 1/10 once in 10⁸ times. linfa-reduction's PCA
//! itself is not used: its solver ends in a panic on singular matrices.

use linfa::DatasetBase;
use linfa::traits::{Fit, Transformer};
use linfa_reduction::random_projection::GaussianRandomProjection;
use ndarray::{Array2, ArrayView2};

use super::failure::failed;
use crate::error::Result;

/// Largest admissible length of a residual, for a matrix whose largest diagonal entry is 1.
const LARGEST_RESIDUAL: f64 = 1e-7;

/// Columns of the projection.
const COLUMNS: usize = 16;

/// Checks that rows of `vectors` are orthonormal eigenvectors of `matrix` with these values.
///
/// # Errors
/// [`crate::Error::Numerical`] when they are not.
pub(super) fn check(matrix: &Array2<f64>, values: &[f64], vectors: &Array2<f64>) -> Result<()> {
    let d = matrix.nrows();
    let projection = GaussianRandomProjection::<f64>::params()
        .target_dim(COLUMNS.min(d))
        .fit(&DatasetBase::from(matrix.view()))
        .map_err(|e| failed(&e.to_string()))?;
    let project = |rows: ArrayView2<'_, f64>| projection.transform(rows);
    let of_vectors = project(vectors.view());
    let mut residuals = vectors.dot(&project(matrix.view()));
    for (mut residual, (of_vector, &value)) in
        residuals.rows_mut().into_iter().zip(of_vectors.rows().into_iter().zip(values))
    {
        residual.scaled_add(-value, &of_vector);
    }
    let deviations = vectors.t().dot(&of_vectors) - project(Array2::eye(d).view());
    let squares = |of: &Array2<f64>, i: usize| of.row(i).dot(&of.row(i));
    let expected = COLUMNS.min(d) as f64 / d as f64;
    for i in 0..d {
        let square = squares(&residuals, i) + squares(&deviations, i);
        let length = (square / expected).sqrt();
        // A NaN fails.
        if length.is_nan() || length > LARGEST_RESIDUAL {
            return Err(failed(&format!(
                "the eigen-solve left a residual of {length:.1e} in component {i} of {d}, at most \
                 {LARGEST_RESIDUAL:.0e} was expected; please report this"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rotation in one plane, in every plane in turn, and a value that is off: all are seen.
    #[test]
    fn a_wrong_vector_or_value_is_found() {
        let d = 40;
        let values: Vec<f64> = (0..d).map(|i| 1.0 - i as f64 / d as f64).collect();
        let matrix = Array2::from_diag(&ndarray::Array1::from(values.clone()));
        let exact = Array2::<f64>::eye(d);
        check(&matrix, &values, &exact).unwrap();
        for i in 0..d {
            let mut turned = exact.clone();
            turned[[i, (i + 1) % d]] = 1e-4;
            turned[[(i + 1) % d, i]] = -1e-4;
            assert!(check(&matrix, &values, &turned).is_err(), "{i}");
            let mut longer = exact.clone();
            longer[[i, i]] = 1.0 + 1e-5;
            assert!(check(&matrix, &values, &longer).is_err(), "{i}");
            let mut wrong = values.clone();
            wrong[i] += 1e-5;
            assert!(check(&matrix, &wrong, &exact).is_err(), "{i}");
            wrong[i] = f64::NAN;
            assert!(check(&matrix, &wrong, &exact).is_err(), "{i}");
        }
        let message = check(&matrix, &vec![0.5; d], &exact).unwrap_err().to_string();
        assert!(message.contains("residual"), "{message}");
    }

    #[test]
    fn one_dimension_is_checked_too() {
        let one = Array2::<f64>::eye(1);
        check(&one, &[1.0], &one).unwrap();
        assert!(check(&one, &[0.9], &one).is_err());
    }
}
