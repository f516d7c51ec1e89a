//! `files` and `vectors`: what another program computed; `network` and `pooled`: what a network did. They
//! come from where images are read ([`crate::describer`]); planes alone have none.

use crate::descriptors::describe::{Consume, Describe, Scratch};
use crate::descriptors::params::Params;
use crate::image::{Colours, Plane};

#[derive(Debug)]
pub(super) struct Given {
    dim: usize,
    colours: Colours,
}

impl Given {
    pub(super) fn new(params: &Params, colours: Colours) -> Self {
        Self { dim: params.dimension, colours }
    }
}

impl Describe for Given {
    fn dim(&self) -> usize {
        self.dim
    }

    fn colours(&self) -> Colours {
        self.colours
    }

    fn count(&self, _: usize, _: usize) -> usize {
        0
    }

    fn for_each_block(&self, _: &[Plane], _: &mut Scratch, _: &mut Consume<'_>) {}
}
