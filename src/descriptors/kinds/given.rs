//! `files`: descriptors that another program computed. They are read where images are
//! ([`crate::describer`]); the planes of an image have none.

use crate::descriptors::describe::{Consume, Describe, Scratch};
use crate::descriptors::params::Params;
use crate::image::{Colours, Plane};

#[derive(Debug)]
pub(super) struct Given {
    dim: usize,
}

impl Given {
    pub(super) fn new(params: &Params) -> Self {
        Self { dim: params.dimension }
    }
}

impl Describe for Given {
    fn dim(&self) -> usize {
        self.dim
    }

    fn colours(&self) -> Colours {
        Colours::Luminance
    }

    fn count(&self, _: usize, _: usize) -> usize {
        0
    }

    fn for_each_block(&self, _: &[Plane], _: &mut Scratch, _: &mut Consume<'_>) {}
}
