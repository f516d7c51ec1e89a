//! The kinds of descriptors: a file each, and a row in the table.

mod colour;
mod given;
mod sift;

use std::sync::Arc;

use super::describe::Describe;
use super::params::{Kind, Params};
use crate::image::Colours;

/// Makes the descriptors of a kind.
type Make = fn(&Params) -> Arc<dyn Describe>;

/// What makes the descriptors of each kind.
const KINDS: [(Kind, Make); 6] = [
    (Kind::Sift, |params| Arc::new(sift::Sift::new(params))),
    (Kind::Colour, |params| Arc::new(colour::Colour::new(params))),
    (Kind::Files, |params| Arc::new(given::Given::new(params, Colours::Luminance))),
    (Kind::Network, |params| Arc::new(given::Given::new(params, Colours::Rgb))),
    (Kind::Pooled, |params| Arc::new(given::Given::new(params, Colours::Rgb))),
    (Kind::Vectors, |params| Arc::new(given::Given::new(params, Colours::Luminance))),
];

/// The descriptors that `params` ask for.
pub(super) fn of(params: &Params) -> Arc<dyn Describe> {
    let row = KINDS.iter().find(|(kind, _)| *kind == params.kind);
    (row.expect("every kind has a row").1)(params)
}

impl Params {
    /// The planes of an image that are described.
    pub fn colours(&self) -> Colours {
        of(self).colours()
    }

    /// Values in a descriptor.
    pub fn dim(&self) -> usize {
        of(self).dim()
    }
}
