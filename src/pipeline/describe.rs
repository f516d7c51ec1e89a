//! Everything the pipeline computes for one image, stored for use elsewhere.

use std::path::Path;

use serde_json::Value;

use super::fisher::{frame_values, positions};
use super::models::header;
use super::pictures::Pictures;
use super::source::file_hash;
use super::stage::Inputs;
use super::{Run, Stamp};
use crate::artifacts::{Tensor, write};
use crate::dataset::Item;
use crate::descriptors::{Extractor, Scratch};
use crate::error::{Error, Result};

impl Run<'_> {
    /// Writes an image's descriptors (`N × 128`, 96 for `colour`), frames (`N × 4`: x, y, contrast,
    /// bin size, in pixels of the image as encoded), projections (`N × D`) and Fisher vector to
    /// `output`. With several channels each has its own, named `<channel>.<tensor>`, and `vector` is
    /// the joint one.
    ///
    /// # Errors
    /// [`Error::Missing`] when the run has no models, [`Error::Image`] when the image cannot be used.
    pub fn describe(&self, image: &Path, output: &Path) -> Result<Stamp> {
        self.require_models()?;
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        for part in self.parts() {
            part.run.describe_part(image, &mut tensors)?;
        }
        let encoder = self.encoder()?;
        let vector = encoder.encode(&Item::of_file(image), &mut encoder.workers())?;
        tensors.push(("vector".to_owned(), vec![vector.len()], vector));

        let mixtures = self.mixtures()?;
        let parents: Vec<(&str, &str)> =
            mixtures.iter().map(|(path, print)| (path.as_str(), print.as_str())).collect();
        let (_, hash) = file_hash(image, &mut [0; 1 << 16]).map_err(Error::io("read", image))?;
        let data = Value::from(hash.to_hex().to_string());
        let inputs = Inputs::new("image", self.vector_settings(), &parents, data);
        let tensors: Vec<Tensor<'_>> = tensors
            .iter()
            .map(|(name, shape, values)| Tensor::f32(name, shape.clone(), values))
            .collect();
        write(output, &header("image", &inputs, Value::Null), &tensors)?;
        Ok(Stamp { path: output.to_owned(), fingerprint: inputs.fingerprint, made: true })
    }

    fn describe_part(
        &self,
        image: &Path,
        tensors: &mut Vec<(String, Vec<usize>, Vec<f32>)>,
    ) -> Result<()> {
        let projection = self.load_projection()?.0;
        let extractor = Extractor::new(&self.config.descriptors)?;
        let (picture, _) = Pictures::new(&self.config).load(&Item::of_file(image))?;
        let (width, height) = (picture.width, picture.height);
        let described = picture.extract(&extractor, &mut Scratch::default());
        let n = described.frames.len();
        let (d, projected_dim) = (extractor.dim(), projection.output_dim());
        let mut projected = vec![0.0; n * projected_dim];
        projection.apply(
            described.rows.view(),
            &positions(&described.frames, width, height),
            &mut Vec::new(),
            &mut projected,
        )?;
        let prefix = self.label.replace(": ", ".");
        let frames = frame_values(&described.frames);
        let rows = described.rows.into_raw_vec_and_offset().0;
        tensors.push((format!("{prefix}descriptors"), vec![n, d], rows));
        tensors.push((format!("{prefix}frames"), vec![n, 4], frames));
        tensors.push((format!("{prefix}projected"), vec![n, projected_dim], projected));
        Ok(())
    }

    /// Refuses to go on in a folder where nothing was fitted.
    pub(super) fn require_models(&self) -> Result<()> {
        let fitted = |run: &Run<'_>| run.pca_path().exists() && run.gmm_path().exists();
        if self.parts().iter().all(|part| fitted(part.run)) {
            return Ok(());
        }
        Err(Error::Missing {
            what: format!("a model in {}", self.dir.display()),
            hint: "train one first: `fvtool run --data DATA --train SPLIT --test SPLIT --run RUN`"
                .into(),
        })
    }
}
