//! A fitted model of any family.

use std::sync::Arc;

use ndarray::Array2;

use super::parts::Parts;
use super::traits::{Components, Generative};
use super::{FactorAnalysers, Laplace, Vae};
use crate::error::{Error, Result};
use crate::gmm::{Family, Gmm};
use crate::random::Stream;

/// A fitted model of any family. Cheap to copy but for the Gaussian mixture, which has its own way.
#[derive(Debug, Clone)]
pub enum Model {
    /// A mixture of Gaussians with diagonal covariances.
    Gaussian(Gmm),
    /// A mixture of Laplace distributions.
    Laplace(Arc<Laplace>),
    /// A mixture of factor analysers.
    FactorAnalysers(Arc<FactorAnalysers>),
    /// A variational autoencoder.
    Vae(Arc<Vae>),
}

impl From<Gmm> for Model {
    fn from(gmm: Gmm) -> Self {
        Self::Gaussian(gmm)
    }
}

impl From<&Gmm> for Model {
    fn from(gmm: &Gmm) -> Self {
        Self::Gaussian(gmm.clone())
    }
}

impl From<&Self> for Model {
    fn from(model: &Self) -> Self {
        model.clone()
    }
}

impl Model {
    /// Its family.
    pub fn family(&self) -> Family {
        self.parts().family
    }

    /// The sizes of its parts.
    pub fn parts(&self) -> Parts {
        match self {
            Self::Gaussian(gmm) => Parts::gaussian(gmm.components(), gmm.dim()),
            Self::Laplace(model) => Components::parts(&**model),
            Self::FactorAnalysers(model) => Components::parts(&**model),
            Self::Vae(model) => Generative::parts(&**model),
        }
    }

    /// Values `D` of a row.
    pub fn dim(&self) -> usize {
        self.parts().dim
    }

    /// The Gaussian mixture, where it is one.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the family, where it is another.
    pub fn gaussian(&self) -> Result<&Gmm> {
        match self {
            Self::Gaussian(gmm) => Ok(gmm),
            other => {
                let range = "gaussian for what needs a Gaussian mixture";
                Err(Error::setting("gmm.family", other.family().name(), range))
            }
        }
    }

    /// The model behind the trait; nothing for a Gaussian mixture.
    pub fn generative(&self) -> Option<Arc<dyn Generative>> {
        match self {
            Self::Gaussian(_) => None,
            Self::Laplace(model) => Some(Arc::clone(model) as _),
            Self::FactorAnalysers(model) => Some(Arc::clone(model) as _),
            Self::Vae(model) => Some(Arc::clone(model) as _),
        }
    }

    /// `count` rows drawn from the model, `count × D`.
    pub fn draw(&self, count: usize, stream: &mut Stream) -> Array2<f32> {
        match self {
            Self::Gaussian(gmm) => gmm.draw(count, stream),
            Self::Laplace(model) => model.draw(count, stream),
            Self::FactorAnalysers(model) => model.draw(count, stream),
            Self::Vae(model) => model.draw(count, stream),
        }
    }
}
