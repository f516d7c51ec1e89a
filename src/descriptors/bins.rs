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

/// Where each value of a SIFT descriptor of the mirror image stands in the image's own: bins from right to left, and
/// the orientation `θ` of a gradient becomes `π − θ`.
pub(super) static SIFT_MIRROR: [u8; DIM] = {
    let mut from = [0; DIM];
    let mut i = 0;
    while i < DIM {
        let (orientation, bin) = (i % 8, i / 8);
        from[i] = (8 * mirrored_bin(bin) + (12 - orientation) % 8) as u8;
        i += 1;
    }
    from
};

/// The same of a descriptor of colours.
pub(super) static COLOUR_MIRROR: [u8; COLOUR_DIM] = {
    let mut from = [0; COLOUR_DIM];
    let mut i = 0;
    while i < COLOUR_DIM {
        from[i] = (STATISTICS * mirrored_bin(i / STATISTICS) + i % STATISTICS) as u8;
        i += 1;
    }
    from
};

const fn mirrored_bin(bin: usize) -> usize {
    bin / BINS * BINS + (BINS - 1 - bin % BINS)
}

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
