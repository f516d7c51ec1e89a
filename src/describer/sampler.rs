//! Descriptors drawn from photos, for fitting the models of a channel.
//!
//! ```text
//! list of images ─ seeded choice of sample.images ─ Photo ─ Picture ─ quota rows of each, seeded
//!                                                                     q × D_raw, positions
//! ```
//!
//! Which images and rows are drawn depends on the seed, and on the number of an image among those chosen.
//! Several channels draw from one decoded photo.

use std::sync::Arc;

use ndarray::Array2;

use super::looked::Looked;
use super::seen::Seen;
use super::source::Source;
use crate::config::Config;
use crate::descriptors::{Descriptors, Extractor, Frame, Scratch, sample};
use crate::error::Result;
use crate::position::Position;
use crate::random::Seed;

/// Numbers of the images that descriptors are drawn from, of `images` in a list: all, or `sample.images`
/// of them, chosen by the seed, ascending.
pub fn sampled_images(config: &Config, images: usize) -> Vec<usize> {
    match config.sample.images {
        most if most == 0 || images <= most => (0..images).collect(),
        most => config.seed.stream("sampled images", 0).sample(images, most),
    }
}

/// Draws descriptors of one channel. Shared between workers.
#[derive(Debug, Clone)]
pub struct Sampler {
    source: Source,
    extractor: Extractor,
    /// Rows of each image.
    quota: usize,
    seed: Seed,
}

/// Descriptors drawn from one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// `q × D_raw`, in the order of the image's descriptors.
    pub rows: Array2<f32>,
    /// One a row.
    pub positions: Vec<Position>,
    /// How many of them are empty.
    pub empty: usize,
}

impl Sampler {
    /// A sampler of a channel with this configuration, which draws about `sample.rows` descriptors from so
    /// many `images`.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) when a setting is out of range; as [`Source::new`].
    pub fn new(config: &Config, images: usize, seen: &Arc<Seen>) -> Result<Self> {
        Self::of_each(config, config.sample.quota(images), seen)
    }

    /// A sampler that draws up to `quota` descriptors of each image.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_each(config: &Config, quota: usize, seen: &Arc<Seen>) -> Result<Self> {
        let config = &seen.networks().resolved(config)?;
        let source = Source::new(config, seen)?;
        let extractor = Extractor::new(&config.descriptors)?;
        Ok(Self { source, extractor, quota, seed: config.seed })
    }

    /// Where the descriptors come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What computes them.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// Draws from a photo, the image of this `number` (from 0) among those chosen. A photo without a
    /// descriptor gives none, which is no error.
    ///
    /// # Errors
    /// As [`Source::picture`].
    pub fn draw(
        &self,
        photo: &Looked<'_>,
        id: Option<&str>,
        number: usize,
        scratch: &mut Scratch,
    ) -> Result<Drawn> {
        let (mut picture, _) = self.source.picture(photo, id)?;
        let Descriptors { rows, frames } = sample::draw(
            &self.extractor,
            &mut picture,
            self.quota,
            self.seed,
            number as u64,
            scratch,
        );
        let positions = Frame::positions(&frames, picture.width, picture.height);
        let empty = frames.iter().filter(|frame| self.extractor.is_empty(frame)).count();
        Ok(Drawn { rows, positions, empty })
    }
}
