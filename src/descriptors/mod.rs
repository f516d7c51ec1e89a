//! Local descriptors of an image: dense SIFT or colour statistics at several scales, given ones, or cells of
//! a network's map.
//!
//! | kind | of | values |
//! |---|---|---|
//! | `sift` | luminance, or an opponent colour | 128: 4 × 4 spatial bins of 8 gradient orientations, `t + 8 (bx + 4 by)` for orientation `t` and bin (`bx`, `by`) |
//! | `colour` | red, green, blue | 96: mean and deviation of each in 4 × 4 cells, `c + 3·(0 mean, 1 deviation) + 6 (bx + 4 by)` |
//! | `files` | whatever another program describes | `dimension`, as they are |
//! | `network` | a map of a network | its channels, of unit length, a row for each cell |
//! | `pooled` | the same | its channels as they are; the mean of the rows counts |
//! | `vectors` | the whole image, by another program | as many as a row of its file, at unit length |
//!
//! The formulas stand where they are computed: `dense_sift` (gradient, orientation, pooling), `colour`
//! (statistics), `multiscale` (scales, grids, centres), `normalise` (contrast, unit length).
//!
//! Descriptors come in a fixed order: resize factors and bin sizes as the settings list them, then
//! rows from the top, then columns from the left. An image too small for a descriptor has none,
//! which is not an error. [`Frame::square`] says what a descriptor sees.

mod bins;
mod blocks;
pub mod cells;
mod colour;
mod dense_sift;
mod describe;
mod extractor;
mod frame;
mod inside;
mod kinds;
pub mod memory;
mod multiscale;
mod normalise;
mod params;
mod picture;
pub mod sample;

pub use bins::{BINS, DIM};
pub use describe::{Consume, Describe, Descriptors, Scratch};
pub use extractor::Extractor;
pub use frame::{Frame, Square};
pub use inside::{Counting, Inside};
pub use params::{
    Keep, Kind, LowContrast, MOST_VALUES, Normalisation, Params, Seen, Window, Within,
};
pub use picture::{Content, Picture};
