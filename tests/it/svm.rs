//! The classifier through the public face.
