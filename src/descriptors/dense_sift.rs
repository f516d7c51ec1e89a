//! Dense SIFT at one bin size on one plane: 4 × 4 spatial bins of 8 orientations on a regular grid.
//!
//! 1. smooth with a Gaussian ([`planes::smooth_row`]), skipped when σ < 0.01 px;
//! 2. gradient: central differences, one-sided at the border; angle `atan2(gy, gx)`;
//! 3. split the modulus linearly over the two nearest of eight orientations ([`planes`]);
//! 4. weigh and sum over the spatial bins, edges replicated ([`kernels`], [`pool`]).
//!
//! ```text
//! value[t + 8 (bx + 4 by)] = Σ_y k_by(y) Σ_x k_bx(x) plane_t(x, y)
//! ```
//!
//! Bin centres stand at corner + `s·b`, b = 0 … 3; the corner runs from `first` by `step` while
//! corner + 3s stays inside, y outer and x inner. What comes out is raw: [`super::normalise`]
//! finishes it.
//!
//! Rows of the image pass through once. A ring of `5s − 1` rows, pooled along x, is all that is kept,
//! so that the work stays in cache at any image size.
//!
//! Source: Lowe 2004; layout, windows and grid of VLFeat's `vl_dsift`. Departs from VLFeat: atan2
//! and square root are exact to f32 rounding, where VLFeat's are off by up to 0.01 rad.

mod kernels;
mod planes;
mod pool;
#[cfg(test)]
pub(crate) mod reference;

use std::ops::Range;

use planes::{Orientations, Pixels};
use pool::Across;

use super::bins::{self, BINS, DIM};
use super::params::Window;

/// Number of rows and columns of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub columns: usize,
    pub rows: usize,
}

/// Dense SIFT of one bin size.
#[derive(Debug, Clone)]
pub(super) struct DenseSift {
    /// Bin size `s` in pixels.
    pub bin: usize,
    /// Distance of neighbouring descriptors in pixels.
    pub step: usize,
    /// Column and row of the top-left bin centre of the first descriptor.
    pub first: usize,
    /// Gaussian over the plane; a single weight for none.
    smoothing: Vec<f32>,
    kernels: [Vec<f32>; BINS],
}

/// Receives raw descriptors in order.
pub(super) trait Sink {
    /// The descriptor whose top-left bin centre is at pixel (`x`, `y`).
    fn push(&mut self, x: usize, y: usize, raw: &[f32; DIM]);
}

/// Rows in work. Reused from one image to the next, it allocates only for larger ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Strips {
    line: Vec<f32>,
    /// Smoothed rows y − 1, y, y + 1 at index y mod 3.
    smooth: [Vec<f32>; 3],
    modulus: Vec<f32>,
    angle: Vec<f32>,
    orientations: Vec<Orientations>,
    /// Image row y, pooled along x, at index (y mod 5s − 1) · columns.
    ring: Vec<Across>,
    /// Where the rows that a descriptor row sees begin in `ring`.
    seen: Vec<usize>,
}

impl DenseSift {
    /// `smoothing_px` is the standard deviation of the Gaussian, `window_size` is in bins.
    pub fn new(
        bin: usize,
        step: usize,
        first: usize,
        smoothing_px: f64,
        window: Window,
        window_size: f64,
    ) -> Self {
        let smoothing = crate::image::gaussian_kernel(smoothing_px);
        let kernels = kernels::bin_kernels(bin, window, window_size);
        Self { bin, step, first, smoothing, kernels }
    }

    /// The grid on a plane of this size; without a column or row when no descriptor fits.
    pub fn grid(&self, width: usize, height: usize) -> Grid {
        let places = |extent: usize| match extent
            .checked_sub(self.first + bins::between_centres(self.bin))
        {
            Some(room) => room / self.step + 1,
            None => 0,
        };
        let (columns, rows) = (places(width), places(height));
        if columns == 0 || rows == 0 {
            Grid { columns: 0, rows: 0 }
        } else {
            Grid { columns, rows }
        }
    }

    /// Reach of a bin on each side of its centre.
    fn reach(&self) -> usize {
        self.bin - 1
    }

    /// Pixels that `places` descriptors see along an axis, the outer ones possibly outside.
    fn seen(&self, places: usize) -> Range<isize> {
        let first = self.first as isize - self.reach() as isize;
        let last = self.first + (places - 1) * self.step + (BINS - 1) * self.bin + self.reach();
        first..last as isize + 1
    }

    /// Every raw descriptor of `values` (`width × height` luminance), row by row.
    ///
    /// Inlined into a function compiled for the widest instructions; see [`super::multiscale`].
    #[inline(always)]
    pub fn run<S: Sink>(
        &self,
        values: &[f32],
        (width, height): (usize, usize),
        strips: &mut Strips,
        sink: &mut S,
    ) {
        let Grid { columns, rows } = self.grid(width, height);
        if rows == 0 {
            return;
        }
        let pixels = Pixels { values, width, height };
        let (across, down) = (self.seen(columns), self.seen(rows));
        let depth = bins::weighted(self.bin);
        strips.fit(width, self.smoothing.len(), across.len(), depth * columns);

        let inside = |y: isize| y.clamp(0, height as isize - 1) as usize;
        let (first, last) = (inside(down.start), inside(down.end - 1));
        let mut smoothed = first.saturating_sub(1);
        let mut row = 0;
        for y in first..=last {
            while smoothed <= (y + 1).min(height - 1) {
                let Strips { smooth, line, .. } = strips;
                planes::smooth_row(
                    &mut smooth[smoothed % 3],
                    line,
                    pixels,
                    smoothed,
                    &self.smoothing,
                );
                smoothed += 1;
            }
            strips.orient(y, (width, height), &across);
            let slot = (y % depth) * columns;
            let pooled = &mut strips.ring[slot..slot + columns];
            pool::pool_x(
                pooled,
                &strips.orientations[..across.len()],
                self.step,
                self.bin,
                &self.kernels,
            );

            // Descriptor rows whose last image row has now been pooled.
            while row < rows && inside(self.seen(row + 1).end - 1) <= y {
                let top = self.first + row * self.step;
                let start = top as isize - self.reach() as isize;
                strips.seen.clear();
                let slots = (start..).take(depth).map(|y| (inside(y) % depth) * columns);
                strips.seen.extend(slots);
                for i in 0..columns {
                    let raw = pool::pool_y(&strips.ring, &strips.seen, i, self.bin, &self.kernels);
                    sink.push(self.first + i * self.step, top, &raw);
                }
                row += 1;
            }
        }
    }
}

impl Strips {
    /// Makes room; what the buffers hold is written before it is read.
    fn fit(&mut self, width: usize, taps: usize, seen: usize, ring: usize) {
        fn at_least<T: Clone>(buffer: &mut Vec<T>, n: usize, value: T) {
            if buffer.len() < n {
                buffer.resize(n, value);
            }
        }
        at_least(&mut self.line, width + taps, 0.0);
        self.smooth.iter_mut().for_each(|row| at_least(row, width, 0.0));
        at_least(&mut self.modulus, width, 0.0);
        at_least(&mut self.angle, width, 0.0);
        at_least(&mut self.orientations, seen, [0.0; planes::ORIENTATIONS]);
        at_least(&mut self.ring, ring, [0.0; BINS * planes::ORIENTATIONS]);
    }

    /// Orientations of image row `y` at the pixels `across`, the nearest pixel's where they are
    /// outside.
    #[inline(always)]
    fn orient(&mut self, y: usize, (width, height): (usize, usize), across: &Range<isize>) {
        let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
        let vertical = if y == 0 || y + 1 == height { 1.0 } else { 0.5 };
        let rows = rows.map(|y| &self.smooth[y % 3][..width]);
        planes::gradient_row(&mut self.modulus, &mut self.angle, rows, vertical);

        let inside = across.start.max(0) as usize..(across.end as usize).min(width);
        let left = across.start.min(0).unsigned_abs();
        let end = left + inside.len();
        let out = &mut self.orientations[..across.len()];
        planes::split_row(&mut out[left..end], &self.modulus[inside.clone()], &self.angle[inside]);
        let (first, last) = (out[left], out[end - 1]);
        out[..left].fill(first);
        out[end..].fill(last);
    }
}
