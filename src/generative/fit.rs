//! One way to fit every family.

use ndarray::ArrayView2;

use super::model::Model;
use super::report::{FamilyReport, Report};
use super::{factors, laplace, vae};
use crate::error::Result;
use crate::gmm::{self, Family, Params};
use crate::progress::Progress;
use crate::random::Seed;

/// A fitted model with the history of its fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The model.
    pub model: Model,
    /// How it came about.
    pub report: Report,
}

impl From<gmm::Fit> for Fit {
    fn from(fit: gmm::Fit) -> Self {
        Self { model: Model::Gaussian(fit.gmm), report: Report::Gaussian(fit.report) }
    }
}

impl Fit {
    fn of_family(model: Model, report: FamilyReport) -> Self {
        Self { model, report: Report::Family(report) }
    }
}

/// Fits the model that `params.family` names to `rows` (`N × D`).
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) when there are fewer rows than components, or not fewer
/// factors than dimensions; [`Error::Numerical`](crate::Error::Numerical) when a row has a NaN or an
/// infinity, or the fit broke off; [`Error::Interrupted`](crate::Error::Interrupted).
pub fn fit(
    rows: ArrayView2<'_, f32>,
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fit> {
    params.validate()?;
    params.check_factors(rows.ncols())?;
    let gaussian = || {
        let params = Params { family: Family::Gaussian, ..params.clone() };
        gmm::fit(rows, &params, seed, progress)
    };
    match params.family {
        Family::Gaussian => gaussian().map(Fit::from),
        Family::Laplace => {
            let (model, report) = laplace::em::fit(rows, gaussian()?, params, progress)?;
            Ok(Fit::of_family(Model::Laplace(model.into()), report))
        }
        Family::FactorAnalysers => {
            let (model, report) = factors::em::fit(rows, gaussian()?, params, progress)?;
            Ok(Fit::of_family(Model::FactorAnalysers(model.into()), report))
        }
        Family::Vae => {
            let (model, report) = vae::train::fit(rows, params, seed, progress)?;
            Ok(Fit::of_family(Model::Vae(model.into()), report))
        }
    }
}
