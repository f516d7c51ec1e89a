//! The spatial bins that every computed descriptor is made of.
//!
//! A descriptor has 4 × 4 bins. Those of bin size `s` have their centres `s` pixels apart, so along an
//! axis the four cover `4s` pixels. That is what a descriptor sees ([`super::Frame::square`]). The
//! weights of SIFT fall to zero at the centres of the neighbouring bins, half a bin further out.

/// Spatial bins of a descriptor along an axis.
pub const BINS: usize = 4;

/// Values of a SIFT descriptor: eight orientations a bin.
pub const DIM: usize = BINS * BINS * 8;

/// Values of a bin of colours: mean and deviation of three planes.
pub(super) const STATISTICS: usize = 6;

/// Values of a descriptor of colours.
pub(super) const COLOUR_DIM: usize = BINS * BINS * STATISTICS;

/// Pixels from the centre of the first bin to that of the last, both counted.
#[inline(always)]
pub(super) const fn between_centres(bin: usize) -> usize {
    (BINS - 1) * bin + 1
}

/// Pixels along an axis that have a weight in a SIFT descriptor.
#[inline(always)]
pub(super) const fn weighted(bin: usize) -> usize {
    (BINS + 1) * bin - 1
}

/// Pixels from the centre of the first bin to the centre of the descriptor.
#[inline(always)]
pub(super) const fn to_centre(bin: usize) -> f64 {
    0.5 * (BINS - 1) as f64 * bin as f64
}
