//! The rules by which relevance goes from a score to the pixels.

use std::fmt;

use crate::explanation::Rule;
use crate::network::relevance;

/// The rule of Fisher vectors, and that of networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// From the vector to the descriptors.
    pub descriptors: Rule,
    /// From a network's descriptors to the pixels; `None`: over the square that each sees.
    pub network: Option<relevance::Rule>,
}

impl From<Rule> for Rules {
    fn from(descriptors: Rule) -> Self {
        Self { descriptors, network: None }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.descriptors)?;
        self.network.map_or(Ok(()), |rule| write!(f, ", network {rule}"))
    }
}
