//! One image row at a time: smoothing, gradient, and its split over eight orientations.
//!
//! Every loop is a plain elementwise one without branches, to be vectorised inside the run-time
//! dispatch of [`super`]; no fused multiply-add and no reordered sum is used, so the values are
//! the same bits on every processor.

/// Orientation bins; bin `t` is centred on `t·π/4`.
pub(super) const ORIENTATIONS: usize = 8;

/// The eight orientation values of a pixel.
pub(super) type Orientations = [f32; ORIENTATIONS];

/// A plane of luminance, row-major.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub values: &'a [f32],
    pub width: usize,
    pub height: usize,
}

impl<'a> Pixels<'a> {
    /// Row `y`, the nearest one when `y` is outside.
    #[inline(always)]
    fn row(&self, y: isize) -> &'a [f32] {
        let y = y.clamp(0, self.height as isize - 1) as usize;
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

/// Writes row `y` under the symmetric `kernel` along both axes into `out`, edges replicated.
/// `line` is scratch of `width + kernel.len() − 1` values.
#[inline(always)]
pub(super) fn smooth_row(
    out: &mut [f32],
    line: &mut [f32],
    pixels: Pixels<'_>,
    y: usize,
    kernel: &[f32],
) {
    let (radius, width) = (kernel.len() / 2, pixels.width);
    let out = &mut out[..width];
    if radius == 0 {
        out.copy_from_slice(pixels.row(y as isize));
        return;
    }
    let line = &mut line[..width + 2 * radius];
    let y = y as isize;
    weigh(&mut line[radius..radius + width], pixels.row(y), kernel[radius]);
    for t in 1..=radius {
        let (above, below) = (pixels.row(y - t as isize), pixels.row(y + t as isize));
        weigh_pair(&mut line[radius..radius + width], above, below, kernel[radius + t]);
    }
    let (first, last) = (line[radius], line[radius + width - 1]);
    line[..radius].fill(first);
    line[radius + width..].fill(last);
    weigh(out, &line[radius..radius + width], kernel[radius]);
    for t in 1..=radius {
        weigh_pair(out, &line[radius - t..], &line[radius + t..], kernel[radius + t]);
    }
}

#[inline(always)]
fn weigh(out: &mut [f32], from: &[f32], weight: f32) {
    for (o, v) in out.iter_mut().zip(from) {
        *o = weight * v;
    }
}

#[inline(always)]
fn weigh_pair(out: &mut [f32], a: &[f32], b: &[f32], weight: f32) {
    for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
        *o += weight * (a + b);
    }
}

/// Writes modulus and angle (in orientation bins, 0 to 8) of the gradient of row `mid`.
///
/// Central differences; at a border the one-sided difference, for which the caller passes `mid`
/// itself as the missing neighbour and `vertical` = 1 instead of ½.
#[inline(always)]
pub(super) fn gradient_row(
    modulus: &mut [f32],
    angle: &mut [f32],
    [above, mid, below]: [&[f32]; 3],
    vertical: f32,
) {
    let width = mid.len();
    let (modulus, angle) = (&mut modulus[..width], &mut angle[..width]);
    let (above, below) = (&above[..width], &below[..width]);
    for x in [0, width - 1] {
        let gx = mid[(x + 1).min(width - 1)] - mid[x.saturating_sub(1)];
        (modulus[x], angle[x]) = polar(gx, vertical * (below[x] - above[x]));
    }
    if width < 3 {
        return;
    }
    let inner = 1..width - 1;
    let (modulus, angle) = (&mut modulus[inner.clone()], &mut angle[inner.clone()]);
    let (above, below) = (&above[inner.clone()], &below[inner]);
    let (left, right) = (&mid[..width - 2], &mid[2..]);
    for x in 0..width - 2 {
        let (gx, gy) = (0.5 * (right[x] - left[x]), vertical * (below[x] - above[x]));
        (modulus[x], angle[x]) = polar(gx, gy);
    }
}

/// Length of a vector and its angle in units of π/4, from 0 to 8.
///
/// The angle within an octant is `(4/π) atan(r)`, `r = min/max` of the two components, by an odd
/// minimax polynomial of degree 13: error below 5e-7 of a bin (4e-7 rad) in f32.
#[inline(always)]
pub(super) fn polar(gx: f32, gy: f32) -> (f32, f32) {
    /// Remez fit on [0, 1], largest error 3.2e-7 in exact arithmetic.
    const ATAN: [f32; 7] = [
        1.273_234_6,
        -0.424_209_9,
        0.252_200_93,
        -0.168_492_14,
        0.101_380_005,
        -0.042_786_222,
        0.008_673_045,
    ];
    let modulus = (gx * gx + gy * gy).sqrt();
    let (x, y) = (gx.abs(), gy.abs());
    let (small, large) = if x < y { (x, y) } else { (y, x) };
    // Keeps 0/0 from happening; no gradient of luminance is near it.
    let r = small / (large + f32::MIN_POSITIVE);
    let z = r * r;
    let high = (ATAN[6] * z + ATAN[5]) * z + ATAN[4];
    let low = ((high * z + ATAN[3]) * z + ATAN[2]) * z + ATAN[1];
    let octant = (low * z + ATAN[0]) * r;
    let quadrant = if x < y { 2.0 - octant } else { octant };
    let half = if gx < 0.0 { 4.0 - quadrant } else { quadrant };
    (modulus, if gy < 0.0 { 8.0 - half } else { half })
}

/// Splits each gradient linearly over its two nearest orientation bins.
#[inline(always)]
pub(super) fn split_row(out: &mut [Orientations], modulus: &[f32], angle: &[f32]) {
    const CENTRES: Orientations = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    for ((out, modulus), angle) in out.iter_mut().zip(modulus).zip(angle) {
        for t in 0..ORIENTATIONS {
            let apart = (angle - CENTRES[t]).abs();
            let around = 8.0 - apart;
            let share = 1.0 - if apart < around { apart } else { around };
            out[t] = modulus * if share > 0.0 { share } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polar_matches_atan2() {
        let mut worst = 0.0f64;
        for i in 0..200_000 {
            let (length, turn) = ((1 + i % 7) as f64 * 0.03, i as f64 * 3.3e-5);
            let (gx, gy) = ((length * turn.cos()) as f32, (length * turn.sin()) as f32);
            let (modulus, angle) = polar(gx, gy);
            let (gx, gy) = (f64::from(gx), f64::from(gy));
            let exact = gy.atan2(gx).rem_euclid(std::f64::consts::TAU) * 4.0 / std::f64::consts::PI;
            let apart = (f64::from(angle) - exact).abs();
            worst = worst.max(apart.min(8.0 - apart));
            assert!((f64::from(modulus) / gx.hypot(gy) - 1.0).abs() < 2e-7);
            assert!((0.0..=8.0).contains(&angle));
        }
        // Polynomial and f32 rounding of angles up to 8 (spacing 4.8e-7 to 9.5e-7).
        assert!(worst < 1.2e-6, "{worst:e} bins");
        assert_eq!(polar(0.0, 0.0), (0.0, 0.0));
        assert_eq!(polar(-0.0, -0.0).0, 0.0);
    }

    #[test]
    fn shares_are_linear_and_circular() {
        let mut out = [[9.0; ORIENTATIONS]; 4];
        split_row(&mut out, &[2.0, 1.0, 1.0, 0.0], &[7.75, 8.0, 3.0, 1.5]);
        assert_eq!(out[0], [1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
        assert_eq!(out[1], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(out[2], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(out[3], [0.0; 8]);
    }

    #[test]
    fn a_border_takes_the_one_sided_difference() {
        let (mut modulus, mut angle) = ([0.0; 3], [0.0; 3]);
        let row = [0.0, 1.0, 4.0];
        gradient_row(&mut modulus, &mut angle, [&row, &row, &row], 1.0);
        assert_eq!(modulus, [1.0, 2.0, 3.0]);
        assert_eq!(angle, [0.0; 3]);
        gradient_row(&mut modulus, &mut angle, [&row[..1]; 3], 1.0);
        assert_eq!(modulus[0], 0.0);
    }
}
