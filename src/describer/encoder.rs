//! One way to describe an image (a channel): from a decoded photo to its Fisher vector.
//!
//! ```text
//! Photo ─ Picture ─┬─ blocks of about 1000 descriptors ─ projection ─ posteriors ─ sums ─┬─ vector
//!                  └─ its mirror image, where `encoding.mirrored` ───────────────────────┘
//!          N × D_raw, a block at a time     N × D          N × K     2·K·D
//! ```
//!
//! A block is used while it is in cache; nothing as large as `N × D_raw` or `N × K` is formed.
//! [`ImageEncoder::examine`] keeps the projected descriptors (`N × D`) and what each adds to the vector.

use std::sync::Arc;

use ndarray::ArrayView2;

use super::looked::Looked;
use super::noticed::Noticed;
use super::pass::Side;
use super::seen::Seen;
use super::source::Source;
use super::stored::store;
use crate::config::Config;
use crate::descriptors::{Extractor, Frame, Picture, Scratch};
use crate::encoding::contributions::{Contributions, Sums};
use crate::encoding::{Encoder, Storage, Workspace};
use crate::error::{Error, Result};
use crate::generative::Model;
use crate::position::Position;
use crate::projection::Projection;

/// From a photo to its Fisher vector. Shared between workers.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    name: String,
    source: Source,
    extractor: Extractor,
    projection: Projection,
    encoder: Encoder,
    /// Whether the mirror image is described too.
    mirrored: bool,
    pooled: bool,
    mixture: String,
    storage: Storage,
}

/// Buffers of one worker for one channel. What they hold never changes a result.
#[derive(Debug, Default)]
pub struct Worker {
    scratch: Scratch,
    projected: Vec<f32>,
    product: Vec<f32>,
    workspace: Workspace,
}

/// One image taken apart: its `N` descriptors, and what its Fisher vector is made of.
#[derive(Debug)]
pub struct Examined<'e> {
    /// Where each descriptor stands, in pixels of the image as it is described. Descriptors of the mirror
    /// image follow those of the image, and have their places in the image.
    pub frames: Vec<Frame>,
    /// Their positions as the encoder saw them: those of the mirror image are in the mirror image.
    pub positions: Vec<Position>,
    /// What each descriptor adds to the vector.
    pub contributions: Contributions<'e>,
    /// The sums of these.
    pub sums: Sums,
}

/// Projected descriptors, their frames and positions.
struct Block<'b> {
    rows: ArrayView2<'b, f32>,
    frames: &'b [Frame],
    positions: &'b [Position],
    side: Side,
}

type Consume<'c> = dyn FnMut(&Block<'_>, &mut Workspace) -> Result<()> + 'c;

/// What makes the descriptors of a channel's vectors: also those of the mirror image, where the encoding has half of
/// the grid stand for it.
///
/// # Errors
/// [`Error::Setting`] where the kind of descriptor has none of the mirror image that the encoding asks for.
pub fn extractor_of(config: &Config) -> Result<Extractor> {
    let (extractor, encoding) = (Extractor::new(&config.descriptors)?, &config.encoding);
    let range =
        "false when descriptors.kind is files or vectors: there are none of the mirrored image";
    let none = encoding.mirrored && config.descriptors.kind.is_given();
    Error::require(!none, "encoding.mirrored", encoding.mirrored, range)?;
    if !encoding.is_chequered() {
        return Ok(extractor);
    }
    let range = "false but for descriptors.kind sift and colour: descriptors of the mirror image do not follow from the \
                 image's own there";
    extractor.chequered().ok_or_else(|| Error::setting("encoding.chequered", true, range))
}

impl ImageEncoder {
    /// The encoder of a channel with this configuration, from its fitted models.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting is out of range, [`Error::Shape`] when descriptors, projection and
    /// mixture do not fit together; as [`Source::new`].
    pub fn new(
        config: &Config,
        projection: Projection,
        model: impl Into<Model>,
        seen: &Arc<Seen>,
    ) -> Result<Self> {
        let config = &seen.networks().resolved(config)?;
        let model = model.into();
        let extractor = extractor_of(config)?;
        let encoding = &config.encoding;
        let shape = |what, expected, got| {
            if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
        };
        shape("descriptors for the PCA", projection.input_dim(), extractor.dim())?;
        shape("projection for the mixture", model.dim(), projection.output_dim())?;
        let storage = config.encoding.storage;
        let (rounded, exact) = projection.of_zeros();
        let encoder = Encoder::of_model(&model, &config.encoding)?.knowing(rounded, &exact);
        let source = Source::new(config, seen)?.leaving_out(&config.encoding.leave_out);
        let (name, mixture) = Default::default();
        let pooled = config.descriptors.kind.is_one_vector();
        Ok(Self {
            name,
            source,
            extractor,
            projection,
            encoder,
            mirrored: encoding.mirrored && !encoding.is_chequered(),
            pooled,
            mixture,
            storage,
        })
    }

    /// The same encoder under a channel's name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same encoder, which knows the fingerprint of its mixture.
    pub fn of_mixture(self, fingerprint: impl Into<String>) -> Self {
        Self { mixture: fingerprint.into(), ..self }
    }

    /// Name of the channel; empty where there is only one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its vectors are means of an image's rows (or its one row), with models that nothing was
    /// fitted to.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Whether its descriptors come from a network.
    pub fn is_of_network(&self) -> bool {
        self.source.network().is_some()
    }

    /// Whether the mirror image is described too, by itself.
    pub fn is_mirrored(&self) -> bool {
        self.mirrored
    }

    /// Fingerprint of the mixture; empty where none was given.
    pub fn mixture(&self) -> &str {
        &self.mixture
    }

    /// Values of a vector.
    pub fn dim(&self) -> usize {
        self.encoder.len()
    }

    /// Where its descriptors come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What computes its descriptors.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// What projects them.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// What makes a vector of the projected ones.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// How its vectors are stored.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// The Fisher vector of a photo, [`dim`](Self::dim) values, and what was noticed of it. `id` names the
    /// image in its data set; descriptors of kind `files` are found by it.
    ///
    /// # Errors
    /// [`Error::Image`] (for a photo without a file [`Error::InMemory`]) when it has no descriptor, or no
    /// `id` where one is needed; [`Error::Io`] when a file of descriptors cannot be read;
    /// [`Error::Numerical`] when the vector is not finite.
    pub fn encode(
        &self,
        photo: &Looked<'_>,
        id: Option<&str>,
        worker: &mut Worker,
    ) -> Result<(Vec<f32>, Noticed)> {
        let (mut picture, mut noticed) = self.source.picture(photo, id)?;
        let asked_within = picture.inside.is_some();
        self.encoder.begin(&mut worker.workspace);
        self.project(&mut picture, worker, &mut |block, workspace| {
            noticed.add(&self.extractor, block.frames);
            self.encoder.push(block.rows, block.positions, workspace)
        })?;
        if noticed.counts()[0] == 0 {
            return Err(self.source.without_descriptors(photo, id, &self.extractor));
        }
        if asked_within && picture.inside.is_none() {
            noticed.none_within();
        }
        let vector = self.encoder.finish(&mut worker.workspace)?;
        if !self.pooled {
            noticed.likelihood = self.encoder.mean_log_likelihood(&worker.workspace);
        }
        Ok((vector, noticed))
    }

    /// As [`encode`](Self::encode), with the values that are read back when the vector was stored: those
    /// that a classifier is trained on, and scores.
    ///
    /// # Errors
    /// As [`encode`](Self::encode) and [`store`].
    pub fn encode_as_stored(
        &self,
        photo: &Looked<'_>,
        id: Option<&str>,
        worker: &mut Worker,
    ) -> Result<(Vec<f32>, Noticed)> {
        let (mut vector, noticed) = self.encode(photo, id, worker)?;
        store(self.storage, &mut vector)?;
        Ok((vector, noticed))
    }

    /// What the vector of a photo is made of.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); [`Error::Setting`] when the model is no mixture.
    pub fn examine(
        &self,
        photo: &Looked<'_>,
        id: Option<&str>,
        worker: &mut Worker,
    ) -> Result<Examined<'_>> {
        self.encoder.require_components()?;
        let (mut picture, _) = self.source.picture(photo, id)?;
        let width = picture.width;
        let (mut frames, mut positions) = (Vec::new(), Vec::new());
        let mut contributions = Contributions::new(&self.encoder);
        self.project(&mut picture, worker, &mut |block, _| {
            let place = |frame: &Frame| match block.side {
                Side::AsItIs => *frame,
                Side::Mirrored => Frame { x: (width - 1) as f32 - frame.x, ..*frame },
            };
            frames.extend(block.frames.iter().map(place));
            positions.extend_from_slice(block.positions);
            contributions.push(block.rows, block.positions)
        })?;
        if frames.is_empty() {
            return Err(self.source.without_descriptors(photo, id, &self.extractor));
        }
        let sums = contributions.sums()?;
        Ok(Examined { frames, positions, contributions, sums })
    }

    /// Hands the projected descriptors to `consume` block by block, and then those of the mirror image
    /// where these count too.
    fn project(
        &self,
        picture: &mut Picture,
        worker: &mut Worker,
        consume: &mut Consume<'_>,
    ) -> Result<()> {
        self.project_side(picture, Side::AsItIs, worker, consume)?;
        if self.mirrored {
            picture.mirror();
            self.project_side(picture, Side::Mirrored, worker, consume)?;
        }
        Ok(())
    }

    fn project_side(
        &self,
        picture: &mut Picture,
        side: Side,
        worker: &mut Worker,
        consume: &mut Consume<'_>,
    ) -> Result<()> {
        let Worker { scratch, projected, product, workspace } = worker;
        let (mut outcome, [width, height]) = (Ok(()), [picture.width, picture.height]);
        picture.for_each_block(&self.extractor, scratch, &mut |rows, frames| {
            if outcome.is_err() {
                return;
            }
            let positions = Frame::positions(frames, width, height);
            let shape = (rows.nrows(), self.projection.output_dim());
            projected.resize(shape.0 * shape.1, 0.0);
            outcome = self.projection.apply(rows, &positions, product, projected).and_then(|()| {
                let rows = ArrayView2::from_shape(shape, &projected[..]).expect("sizes agree");
                consume(&Block { rows, frames, positions: &positions, side }, workspace)
            });
        });
        outcome
    }
}
