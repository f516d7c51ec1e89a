//! JPEG files, decoded to the pixels of libjpeg or refused.
//!
//! Read are baseline and progressive files of Huffman codes and 8 bits a sample, of one, three or four
//! components, in any order of scans and with any sampling factors. The arithmetic is libjpeg's: the
//! accurate integer transform, sampling up by triangles, BT.601 in fixed point. So the pixels
//! equal those of `djpeg`, which `scripts/jpeg_sweep.py` verifies.
//!
//! libjpeg goes on where data are damaged or missing, with a warning, and fills up with grey.
//! Here that is an error: every code must be valid, every block there, every marker in its
//! place, and nothing left over. A descriptor of invented pixels is worse than a named file.

mod bits;
mod block;
mod colour;
mod decode;
mod decoder;
mod frame;
mod huffman;
mod scan;
mod transform;

pub(super) use colour::rgb_of_ycbcr;
pub(super) use decode::{decode, decode_part};
pub(super) use frame::{Colour, stated_size};

#[cfg(test)]
mod tests;
