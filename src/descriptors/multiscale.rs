//! Several bin sizes on one plane, the same on a resized plane, or both.
//!
//! *By bin size* (VLFeat's `vl_phow`): each bin size `s` gets its own smoothing, σ = s / magnif, and
//! all grids are shifted so that descriptors of different size share their centres:
//! first corner = ⌊1 + 1.5 (s_max − s)⌋ − 1.
//!
//! *By resizing* (VLFeat's recognition recipe): the plane is scaled by each factor, to whole
//! pixels, and centres are mapped back by the true ratio of the sizes on each axis:
//!
//! ```text
//! x = (x_resized + ½) / (w_resized / w) − ½
//! ```

use super::bins::DIM;
use super::colour::Rows;
use super::dense_sift::{DenseSift, Grid, Sink, Strips};
use super::normalise;
use super::params::Params;
use crate::image::{Plane, Resizer};

/// One factor and the bin sizes on it.
#[derive(Debug, Clone)]
pub(super) struct Level {
    factor: f64,
    pub sizes: Vec<DenseSift>,
}

/// From pixels of a resized plane to pixels of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mapping {
    x_factor: f64,
    y_factor: f64,
}

impl Mapping {
    /// Of a plane that was not resized.
    pub const IDENTITY: Self = Self { x_factor: 1.0, y_factor: 1.0 };

    /// Column of the image at column `x` of the resized plane.
    #[inline(always)]
    pub fn x(&self, x: f64) -> f32 {
        ((x + 0.5) / self.x_factor - 0.5) as f32
    }

    /// Row of the image at row `y` of the resized plane.
    #[inline(always)]
    pub fn y(&self, y: f64) -> f32 {
        ((y + 0.5) / self.y_factor - 0.5) as f32
    }

    /// A length, by the geometric mean of both axes.
    pub fn length(&self, length: f64) -> f32 {
        (length / (self.x_factor * self.y_factor).sqrt()) as f32
    }
}

/// The levels that `params` ask for, in their order.
pub(super) fn levels(params: &Params) -> Vec<Level> {
    let largest = params.bin_sizes_px.iter().copied().max().unwrap_or(0);
    let size = |&bin: &usize| {
        // ⌊1 + 1.5 d⌋ − 1 in whole numbers.
        let first = 3 * (largest - bin) / 2;
        let sigma = if params.magnif > 0.0 { bin as f64 / params.magnif } else { 0.0 };
        DenseSift::new(bin, params.step_px, first, sigma, params.window, params.window_size)
    };
    let sizes: Vec<DenseSift> = params.bin_sizes_px.iter().map(size).collect();
    params.scales.iter().map(|&factor| Level { factor, sizes: sizes.clone() }).collect()
}

impl Level {
    /// Size of the resized plane; empty stays empty.
    fn resized(&self, width: usize, height: usize) -> (usize, usize) {
        let scaled = |n: usize| ((n as f64 * self.factor).round() as usize).max(n.min(1));
        (scaled(width), scaled(height))
    }

    /// Descriptors on an image of this size.
    pub fn count(&self, width: usize, height: usize) -> usize {
        let (width, height) = self.resized(width, height);
        let grids = self.sizes.iter().map(|sift| sift.grid(width, height));
        grids.map(|Grid { columns, rows }| columns * rows).sum()
    }
}

/// Buffers for resized planes and rows in work.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    resizer: Resizer,
    resized: Vec<Plane>,
    strips: Strips,
    cells: Rows,
}

/// Runs every bin size of every level over the luminance `planes[0]` into `sink`, which `enter`
/// prepares for each of them.
pub(super) fn run<S: Sink>(
    levels: &[Level],
    planes: &[Plane],
    work: &mut Work,
    sink: &mut S,
    mut enter: impl FnMut(&mut S, &DenseSift, Mapping),
) {
    for_each_size(levels, planes, work, |sift, planes, mapping, strips, _| {
        enter(sink, sift, mapping);
        let (values, size) = (&planes[0].values[..], (planes[0].width, planes[0].height));
        pulp::Arch::new().dispatch(Run { sift, values, size, strips, sink });
    });
}

/// Hands every bin size of every level to `describe`, with the planes at the level's size.
pub(super) fn for_each_size(
    levels: &[Level],
    planes: &[Plane],
    work: &mut Work,
    mut describe: impl FnMut(&DenseSift, &[Plane], Mapping, &mut Strips, &mut Rows),
) {
    let (from_width, from_height) = (planes[0].width, planes[0].height);
    if from_width == 0 || from_height == 0 {
        return;
    }
    let Work { resizer, resized, strips, cells } = work;
    resized.resize_with(planes.len(), Plane::default);
    for level in levels {
        let (width, height) = level.resized(from_width, from_height);
        let planes = if (width, height) == (from_width, from_height) {
            planes
        } else {
            for (plane, resized) in planes.iter().zip(resized.iter_mut()) {
                resizer.resize_into(plane, width, height, resized);
            }
            &resized[..]
        };
        let mapping = Mapping {
            x_factor: width as f64 / from_width as f64,
            y_factor: height as f64 / from_height as f64,
        };
        for sift in &level.sizes {
            describe(sift, planes, mapping, strips, cells);
        }
    }
}

/// One bin size on one plane, compiled for each instruction set that `pulp` can find at run time.
struct Run<'a, S> {
    sift: &'a DenseSift,
    values: &'a [f32],
    size: (usize, usize),
    strips: &'a mut Strips,
    sink: &'a mut S,
}

impl<S: Sink> pulp::WithSimd for Run<'_, S> {
    type Output = ();

    // Everything below is inlined, because only inlined code takes on the instruction set.
    #[inline(always)]
    fn with_simd<I: pulp::Simd>(self, _: I) {
        self.sift.run(self.values, self.size, self.strips, self.sink);
    }
}

/// Sums the contrast of all descriptors.
pub(super) struct ContrastSum {
    pub bin: usize,
    pub total: f64,
    pub count: u64,
}

impl Sink for ContrastSum {
    #[inline(always)]
    fn push(&mut self, _: usize, _: usize, raw: &[f32; DIM]) {
        let contrast = normalise::contrast(raw, self.bin);
        if contrast.is_finite() {
            self.total += f64::from(contrast);
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_share_their_centres() {
        let params = Params { bin_sizes_px: vec![4, 6, 8, 10], ..Params::default() };
        let levels = levels(&params);
        let firsts: Vec<usize> = levels[0].sizes.iter().map(|s| s.first).collect();
        assert_eq!(firsts, [9, 6, 3, 0]);
        for sift in &levels[0].sizes {
            assert_eq!(sift.first as f64 + 1.5 * sift.bin as f64, 15.0);
        }
        // An odd difference cannot be shared exactly: ⌊1 + 1.5⌋ − 1 = 1.
        let params = Params { bin_sizes_px: vec![4, 5], ..Params::default() };
        assert_eq!(super::levels(&params)[0].sizes[0].first, 1);
    }

    #[test]
    fn centres_map_to_centres() {
        let half = Mapping { x_factor: 0.5, y_factor: 0.5 };
        assert_eq!((half.x(0.0), half.y(3.0), half.length(8.0)), (0.5, 6.5, 16.0));
        let same = Mapping::IDENTITY;
        assert_eq!((same.x(17.5), same.length(4.0)), (17.5, 4.0));
    }

    #[derive(Default, PartialEq, Debug)]
    struct All(Vec<(usize, usize, [u32; DIM])>);

    impl Sink for All {
        #[inline(always)]
        fn push(&mut self, x: usize, y: usize, raw: &[f32; DIM]) {
            self.0.push((x, y, raw.map(f32::to_bits)));
        }
    }

    /// No sum is reordered and nothing is fused, so the widest instructions and none agree.
    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let mut stream = crate::random::Seed(5).stream("multiscale", 0);
        let image = Plane::from_fn(75, 58, |_, _| stream.unit() as f32);
        let sift = &levels(&Params::default())[0].sizes[1];
        let (mut found, mut plain) = (All::default(), All::default());
        let size = (image.width, image.height);
        let mut strips = Strips::default();
        let (values, strips) = (&image.values[..], &mut strips);
        pulp::Arch::new().dispatch(Run { sift, values, size, strips, sink: &mut found });
        sift.run(values, size, strips, &mut plain);
        assert_eq!(found.0.len(), sift.grid(75, 58).columns * sift.grid(75, 58).rows);
        assert!(found == plain);
    }
}
