//! A projection and a mixture that another program learned (`layer.file`), as the module for PyTorch writes
//! them.
//!
//! | tensor, f32 | shape |
//! |---|---|
//! | `projection.components` | D × D₀, one component a row; left out where descriptors are used as they are |
//! | `projection.mean` | D₀, taken off every descriptor first; zeros where it is left out |
//! | `mixture.weights` | K, summing to 1 |
//! | `mixture.means`, `mixture.variances` | K × D |
//!
//! `pca.l2` and `pca.append` hold as they do after a PCA; D counts what is appended.

use ndarray::{Array1, Array2};

use crate::artifacts::Foreign;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gmm::{Gmm, Mixture};
use crate::projection::Projection;

/// Models of a file.
#[derive(Debug, Clone)]
pub struct GivenModels {
    /// The projection; its variances are those that the mixture has along every dimension.
    pub projection: Projection,
    /// The mixture.
    pub mixture: Gmm,
    /// Hash of the file.
    pub hash: String,
}

impl GivenModels {
    /// Reads the file of `layer.file`, for the descriptors of a resolved configuration.
    ///
    /// # Errors
    /// [`Error::Setting`] when there is no such file, [`Error::Data`] when a tensor is missing or of a wrong
    /// shape, or does not fit the descriptors.
    pub fn open(config: &Config) -> Result<Self> {
        let path = config.layer.file.as_path();
        let range = "an existing safetensors file with a projection and a mixture";
        Error::require(path.exists(), "layer.file", path.display(), range)?;
        let file = Foreign::open(path)?;
        let optional = |name: &str, shape: &[usize]| match file.f32(name)? {
            Some((found, _)) if found != shape => {
                let problem =
                    format!("tensor `{name}` has shape {found:?}; {shape:?} is needed here");
                Err(Error::data(path, problem))
            }
            found => Ok(found.map(|(_, values)| values)),
        };
        let wanted = |name: &str, shape: &[usize]| {
            optional(name, shape)?.ok_or_else(|| missing(&file, name))
        };
        let matrix = |[rows, columns]: [usize; 2], values: Vec<f32>| {
            Array2::from_shape_vec((rows, columns), values).expect("the shape was checked")
        };
        let (k, d) = dims(&file)?;
        let raw = config.descriptors.dim();
        let append = config.pca.append;
        let kept = d.checked_sub(append.len()).filter(|kept| *kept > 0).ok_or_else(|| {
            Error::data(
                path,
                format!("its mixture has {d} dimensions; pca.append adds {}", append.len()),
            )
        })?;
        let components = match optional("projection.components", &[kept, raw])? {
            Some(values) => matrix([kept, raw], values),
            None if kept == raw => Array2::eye(raw),
            None => {
                return Err(Error::data(
                    path,
                    format!(
                        "has no tensor `projection.components`, and its mixture has {kept} dimensions where \
                         descriptors have {raw} values"
                    ),
                ));
            }
        };
        let mean = optional("projection.mean", &[raw])?.unwrap_or_else(|| vec![0.0; raw]);
        let mixture = Gmm::new(
            wanted("mixture.weights", &[k])?,
            matrix([k, d], wanted("mixture.means", &[k, d])?),
            matrix([k, d], wanted("mixture.variances", &[k, d])?),
        )
        .map_err(|error| Error::data(path, error.to_string()))?;
        // No data were seen here: the mixture says how they vary.
        let [_, variances] = Mixture::from(&mixture).moments();
        let variances = variances[..kept].iter().map(|&variance| variance as f32).collect();
        let projection = Projection::from_parts(
            Array1::from(mean),
            components,
            variances,
            1.0,
            config.pca.l2,
            append,
        )?;
        Ok(Self { projection, mixture, hash: file.hash() })
    }

    /// A configuration with the sizes of the models in its file; as it is where there is no file, or none
    /// that can be read (the stage that needs it says so).
    pub fn sized(mut config: Config) -> Config {
        if config.layer.reads()
            && let Ok((k, d)) = Foreign::open(&config.layer.file).and_then(|f| dims(&f))
            && d > config.pca.append.len()
        {
            config.gmm.components = k;
            config.pca.dimension = d - config.pca.append.len();
        }
        config
    }
}

/// K and D of the file's mixture.
fn dims(file: &Foreign) -> Result<(usize, usize)> {
    match file.f32("mixture.means")? {
        Some((shape, _)) if shape.len() == 2 && shape.iter().all(|n| *n > 0) => {
            Ok((shape[0], shape[1]))
        }
        Some((shape, _)) => {
            let problem = format!("tensor `mixture.means` has shape {shape:?}; K × D is needed");
            Err(Error::data(file.path(), problem))
        }
        None => Err(missing(file, "mixture.means")),
    }
}

fn missing(file: &Foreign, name: &str) -> Error {
    Error::data(file.path(), format!("has no tensor `{name}` (docs/LAYER.md lists them)"))
}
