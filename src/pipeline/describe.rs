//! Everything the pipeline computes for one image, stored for use elsewhere.

use std::path::Path;

use serde_json::Value;

use super::result::Stamp;
use super::run::Run;
use crate::artifacts::{Artifact, Tensor, write_description};
use crate::dataset::Item;
use crate::describer::{ImageEncoder, Looked, Noted, Reader, Workers};
use crate::descriptors::{Frame, Scratch};
use crate::error::{Error, Result};
use crate::store::Inputs;

/// Kind of the artifact that describes an image.
const DESCRIPTION: &str = "image";

impl Run<'_> {
    /// Writes an image's descriptors (`N × 128`, 96 for `colour`), frames (`N × 4`: x, y, contrast,
    /// bin size, in pixels of the image as encoded), projections (`N × D`) and Fisher vector, as it is
    /// read back where it is stored, to `output`, a `.safetensors` file outside the run. With several
    /// channels each has its own, named `<channel>.<tensor>`, and `vector` is the joint one.
    ///
    /// # Errors
    /// [`Error::Missing`] when the run has no models, [`Error::Image`] when the image cannot be used,
    /// [`Error::Data`] for an output that would replace anything but another description.
    pub fn describe(&self, image: &Path, output: &Path) -> Result<Stamp> {
        self.require_models()?;
        self.require_own_output(output)?;
        let work = &self.home.work;
        self.begin();
        let (describer, mixtures) = self.describer()?;
        let item = Item::of_file(image);
        let photo = Reader::new(&self.config().image, &work.seen).read(&item)?;
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        let looked = Looked::at(&photo);
        for channel in describer.channels() {
            describe_part(&looked, &item.id, &channel.encoder, &mut tensors)?;
        }
        let described = describer.describe(&photo, Some(&item.id), &mut Workers::default())?;
        tensors.push(("vector".to_owned(), vec![described.vector.len()], described.vector));
        let mut noted = Noted::default();
        noted.add(&described.noticed);
        let threshold = self.config().descriptors.contrast_threshold;
        noted.sentences(1, "", threshold).iter().for_each(|note| work.progress.note(note));

        let parents: Vec<(&str, &str)> =
            mixtures.iter().map(|(path, print)| (path.as_str(), print.as_str())).collect();
        let hash = work.seen.hash_of(image).expect("what was read was seen");
        let data = Value::from(hash.to_hex().to_string());
        let inputs = Inputs::new(DESCRIPTION, self.home.vectors.clone(), &parents, data);
        let tensors: Vec<Tensor<'_>> = tensors
            .iter()
            .map(|(name, shape, values)| Tensor::f32(name, shape.clone(), values))
            .collect();
        write_description(output, &inputs.header(DESCRIPTION, Value::Null), &tensors)?;
        Ok(Stamp { path: output.to_owned(), fingerprint: inputs.fingerprint, made: true })
    }

    /// Refuses, before any work, an output of another format, in the run, or in the place of a file that
    /// is no description: the image above all, under whatever name.
    fn require_own_output(&self, output: &Path) -> Result<()> {
        let refuse = |problem: &str| Err(Error::data(output, problem));
        if !output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
            return refuse("descriptions are safetensors files; end the name with .safetensors");
        }
        let within = |run: std::path::PathBuf| {
            let folders = output.ancestors().skip(1);
            let mut folders =
                folders.map(|f| if f.as_os_str().is_empty() { Path::new(".") } else { f });
            // Folders that are not there yet lie in the first one that is.
            folders
                .find_map(|folder| folder.canonicalize().ok())
                .is_some_and(|f| f.starts_with(run))
        };
        if self.dir().canonicalize().is_ok_and(within) {
            return refuse("lies in the run folder, which stays as it is; name a file outside it");
        }
        match std::fs::symlink_metadata(output) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("write", output)(error)),
            Ok(found) => {
                let described = |artifact: Artifact| artifact.header().kind == DESCRIPTION;
                if found.is_file() && Artifact::open(output).is_ok_and(described) {
                    return Ok(());
                }
                refuse("is there already and no description that fvtool wrote; name another file")
            }
        }
    }
}

/// What one channel computes of a photo.
fn describe_part(
    photo: &Looked<'_>,
    id: &str,
    encoder: &ImageEncoder,
    tensors: &mut Vec<(String, Vec<usize>, Vec<f32>)>,
) -> Result<()> {
    let (extractor, projection) = (encoder.extractor(), encoder.projection());
    let (picture, _) = encoder.source().picture(photo, Some(id))?;
    let (width, height) = (picture.width, picture.height);
    let described = picture.extract(extractor, &mut Scratch::default());
    let n = described.frames.len();
    let (d, projected_dim) = (extractor.dim(), projection.output_dim());
    let mut projected = vec![0.0; n * projected_dim];
    let positions = Frame::positions(&described.frames, width, height);
    projection.apply(described.rows.view(), &positions, &mut Vec::new(), &mut projected)?;
    let name = |tensor: &str| match encoder.name() {
        "" => tensor.to_owned(),
        channel => format!("{channel}.{tensor}"),
    };
    let frames = described.frames.iter().flat_map(Frame::values).collect();
    let rows = described.rows.into_raw_vec_and_offset().0;
    tensors.push((name("descriptors"), vec![n, d], rows));
    tensors.push((name("frames"), vec![n, 4], frames));
    tensors.push((name("projected"), vec![n, projected_dim], projected));
    Ok(())
}
