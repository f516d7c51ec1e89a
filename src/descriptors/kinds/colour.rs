//! `colour`: means and deviations of red, green and blue, 96 values.

use std::sync::Arc;

use crate::descriptors::bins::{COLOUR_DIM, COLOUR_MIRROR};
use crate::descriptors::blocks::Blocks;
use crate::descriptors::colour;
use crate::descriptors::describe::{Consume, Describe, Scratch};
use crate::descriptors::frame::Frame;
use crate::descriptors::multiscale::{self, Level};
use crate::descriptors::params::Params;
use crate::image::{Colours, Plane};

#[derive(Debug, Clone)]
pub(super) struct Colour {
    params: Params,
    levels: Vec<Level>,
    /// Whether every other descriptor is that of the mirror image.
    chequered: bool,
}

impl Colour {
    pub(super) fn new(params: &Params) -> Self {
        Self { params: params.clone(), levels: multiscale::levels(params), chequered: false }
    }
}

impl Describe for Colour {
    fn dim(&self) -> usize {
        COLOUR_DIM
    }

    fn colours(&self) -> Colours {
        Colours::Rgb
    }

    fn count(&self, width: usize, height: usize) -> usize {
        self.levels.iter().map(|level| level.count(width, height)).sum()
    }

    /// A flat patch of one colour says something too.
    fn is_empty(&self, _: &Frame) -> bool {
        false
    }

    fn chequered(&self) -> Option<Arc<dyn Describe>> {
        Some(Arc::new(Self { chequered: true, ..self.clone() }))
    }

    fn for_each_block(&self, planes: &[Plane], scratch: &mut Scratch, consume: &mut Consume<'_>) {
        let Scratch { work, rows, frames } = scratch;
        let least = f64::NEG_INFINITY;
        let mut blocks = Blocks::new(&self.params, COLOUR_DIM, least, rows, frames, consume)
            .chequered(self.chequered.then_some(&COLOUR_MIRROR));
        multiscale::for_each_size(
            &self.levels,
            planes,
            work,
            |place, planes, mapping, _, cells| {
                blocks.enter(place.bin, mapping);
                let planes = planes.try_into().expect("three planes");
                colour::run(place, planes, cells, |x, y, row| blocks.push_colour(x, y, row));
            },
        );
        blocks.flush();
    }
}
