//! `sift`: dense SIFT, 128 values, of the luminance or an opponent colour.

use std::sync::Arc;

use crate::descriptors::bins::{DIM, SIFT_MIRROR};
use crate::descriptors::blocks::Blocks;
use crate::descriptors::describe::{Consume, Describe, Scratch};
use crate::descriptors::frame::Frame;
use crate::descriptors::multiscale::{self, ContrastSum, Level, Work};
use crate::descriptors::params::{Keep, LowContrast, Params, Seen};
use crate::image::{Colours, Plane};

#[derive(Debug, Clone)]
pub(super) struct Sift {
    params: Params,
    levels: Vec<Level>,
    /// Whether every other descriptor is that of the mirror image.
    chequered: bool,
}

impl Sift {
    pub(super) fn new(params: &Params) -> Self {
        Self { params: params.clone(), levels: multiscale::levels(params), chequered: false }
    }

    /// Mean contrast over all descriptors of the image; those that are not finite are left out.
    fn mean_contrast(&self, planes: &[Plane], work: &mut Work) -> f64 {
        let mut sum = ContrastSum { bin: 0, total: 0.0, count: 0 };
        multiscale::run(&self.levels, planes, work, &mut sum, |sum, sift, _| sum.bin = sift.bin);
        sum.total / sum.count.max(1) as f64
    }
}

impl Describe for Sift {
    fn dim(&self) -> usize {
        DIM
    }

    fn colours(&self) -> Colours {
        match self.params.plane {
            Seen::Luminance => Colours::Luminance,
            Seen::RedGreen => Colours::RedGreen,
            Seen::YellowBlue => Colours::YellowBlue,
        }
    }

    fn count(&self, width: usize, height: usize) -> usize {
        self.levels.iter().map(|level| level.count(width, height)).sum()
    }

    fn keeps_all(&self) -> bool {
        self.params.low_contrast != LowContrast::Drop && self.params.keep == Keep::All
    }

    fn is_empty(&self, frame: &Frame) -> bool {
        f64::from(frame.contrast) < self.params.contrast_threshold
    }

    fn chequered(&self) -> Option<Arc<dyn Describe>> {
        Some(Arc::new(Self { chequered: true, ..self.clone() }))
    }

    fn for_each_block(&self, planes: &[Plane], scratch: &mut Scratch, consume: &mut Consume<'_>) {
        let Scratch { work, rows, frames } = scratch;
        let least = match self.params.keep {
            Keep::All => f64::NEG_INFINITY,
            Keep::AboveMeanNorm => self.mean_contrast(planes, work),
        };
        let mut blocks = Blocks::new(&self.params, DIM, least, rows, frames, consume)
            .chequered(self.chequered.then_some(&SIFT_MIRROR));
        multiscale::run(&self.levels, planes, work, &mut blocks, |blocks, sift, mapping| {
            blocks.enter(sift.bin, mapping);
        });
        blocks.flush();
    }
}
