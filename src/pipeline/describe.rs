//! Everything the pipeline computes for one image, stored for use elsewhere.

use std::path::Path;

use ndarray::Array2;
use serde_json::Value;

use super::fisher::{ImageEncoder, Worker, frame_values, positions};
use super::models::header;
use super::source::file_hash;
use super::stage::Inputs;
use super::{Run, Stamp};
use crate::artifacts::{Tensor, write};
use crate::descriptors::{Extractor, Scratch};
use crate::error::{Error, Result};
use crate::image;

impl Run<'_> {
    /// Writes an image's descriptors (`N × 128`), frames (`N × 4`: x, y, contrast, bin size, in
    /// pixels of the image as encoded), projections (`N × D`) and Fisher vector to `output`.
    ///
    /// # Errors
    /// [`Error::Missing`] when the run has no models, [`Error::Image`] when the image cannot be used.
    pub fn describe(&self, image: &Path, output: &Path) -> Result<Stamp> {
        self.require_models()?;
        let (projection, pca_print) = self.load_projection()?;
        let (gmm, gmm_print) = self.load_gmm()?;
        let plane = image::load_luminance(image, &self.config.image)?;
        let extractor = Extractor::new(&self.config.descriptors)?;
        let described = extractor.extract(&plane, &mut Scratch::default());
        let n = described.frames.len();
        let frames = frame_values(&described.frames);
        let mut projected = Array2::zeros((n, projection.output_dim()));
        projection.apply(
            described.rows.view(),
            &positions(&described.frames, plane.width, plane.height),
            &mut Vec::new(),
            projected.as_slice_mut().expect("a new array is row-major"),
        )?;
        let encoder = ImageEncoder::new(&self.config, projection, &gmm)?;
        let vector = encoder.encode(image, &mut Worker::default())?;

        let parents =
            [("pca.safetensors", pca_print.as_str()), ("gmm.safetensors", gmm_print.as_str())];
        let (_, hash) = file_hash(image, &mut [0; 1 << 16]).map_err(Error::io("read", image))?;
        let data = Value::from(hash.to_hex().to_string());
        let inputs = Inputs::new("image", self.settings_of("fisher"), &parents, data);
        let rows = described.rows.as_slice().expect("descriptors are row-major");
        let flat = projected.as_slice().expect("a new array is row-major");
        let tensors = [
            Tensor::f32("descriptors", described.rows.shape(), rows),
            Tensor::f32("frames", [n, 4], &frames),
            Tensor::f32("projected", projected.shape(), flat),
            Tensor::f32("vector", [vector.len()], &vector),
        ];
        write(output, &header("image", &inputs, Value::Null), &tensors)?;
        Ok(Stamp { path: output.to_owned(), fingerprint: inputs.fingerprint, made: true })
    }

    /// Refuses to go on in a folder where nothing was fitted.
    pub(super) fn require_models(&self) -> Result<()> {
        if self.pca_path().exists() && self.gmm_path().exists() {
            return Ok(());
        }
        Err(Error::Missing {
            what: format!("a model in {}", self.dir.display()),
            hint: "train one first: `fvtool run --data DATA --train SPLIT --test SPLIT --run RUN`"
                .into(),
        })
    }
}
