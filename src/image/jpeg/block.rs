//! Blocks of coefficients, and the samples that they become.

/// Coefficients of a block of 8 × 8 pixels, row by row.
pub(super) type Block = [i16; 64];

/// The place of each coefficient in a [`Block`], in the order of the file.
#[rustfmt::skip]
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// One component's samples, at its own resolution.
#[derive(Debug, Default, Clone)]
pub(super) struct Samples {
    /// Whole blocks; those beyond the edge are padding.
    pub(super) values: Vec<u8>,
    /// Values in a row.
    pub(super) stride: usize,
}
