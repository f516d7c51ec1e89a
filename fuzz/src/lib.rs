//! Fuzz targets of fvtool's parsers, and inputs for them made from a corpus.

pub mod mutation;
pub mod targets;
