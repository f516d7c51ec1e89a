//! Local colour statistics at one bin size: mean and standard deviation of red, green and blue in
//! each of 4 × 4 cells, on the grid of the SIFT descriptors of that bin size.
//!
//! ```text
//! value[c + 6 (bx + 4 by)]     = m_c = mean of plane c over the pixels of cell (bx, by)
//! value[c + 3 + 6 (bx + 4 by)] = √(mean of (v − m_c)²)
//! ```
//!
//! for `c` = 0, 1, 2 (red, green, blue). A cell is a square of `s` pixels about the centre of SIFT's
//! bin, cut off at the border of the image. Values are those of the planes, 0 to 1, and are not
//! normalised: how bright and how colourful a place is tells classes apart.
//!
//! Sums of a row of cells are taken down the columns, then along x; a cell is a difference of two
//! prefix sums, in f64, so that the variance of a flat cell is 0 to 1e-12. Memory is a few rows: where
//! the bin size is a multiple of the step, descriptors further down see the same rows of cells, and
//! their sums are kept.
//!
//! Source: Clinchant et al. 2007 (CDCPP07); beside SIFT in Fisher vectors SPMV13.

use std::ops::Range;

use super::bins::{BINS, COLOUR_DIM, STATISTICS};
use super::dense_sift::{DenseSift, Grid};
use crate::image::Plane;
use crate::widest;

/// Sums of a row of cells. Reused, it allocates only for wider images.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Per plane, sums of values and of squares down the cell's rows, one a column.
    columns: [Vec<f64>; STATISTICS],
    /// Of rows of cells, the image rows that they see and those sums over all columns before x.
    before: Vec<Before>,
}

#[derive(Debug, Clone, Default)]
struct Before {
    seen: Range<usize>,
    sums: Vec<[f64; STATISTICS]>,
}

/// Hands every descriptor of the three `planes` to `consume`, with the column and row of its top-left
/// bin centre, in the order of [`DenseSift::run`].
pub(super) fn run(
    place: &DenseSift,
    planes: &[Plane; 3],
    work: &mut Rows,
    mut consume: impl FnMut(usize, usize, &[f32; COLOUR_DIM]),
) {
    let (width, height) = (planes[0].width, planes[0].height);
    let Grid { columns, rows } = place.grid(width, height);
    let half = place.bin / 2;
    let inside = |centre: usize, extent: usize| {
        centre.saturating_sub(half)..(centre + place.bin - half).min(extent)
    };
    let mut descriptor = [0.0; COLOUR_DIM];
    // Those of a row of descriptors, and all that reach below its first of the rows before: one, two and three
    // bins further up they have that many left, over `bin / step` rows each.
    work.forget(BINS + 6 * place.bin.div_ceil(place.step));
    for row in 0..rows {
        let top = place.first + row * place.step;
        let slots: [usize; BINS] =
            std::array::from_fn(|by| work.sums_of(planes, inside(top + by * place.bin, height)));
        for column in 0..columns {
            let left = place.first + column * place.step;
            for by in 0..BINS {
                for bx in 0..BINS {
                    let seen = inside(left + bx * place.bin, width);
                    let Before { seen: rows, sums } = &work.before[slots[by]];
                    let (end, start) = (&sums[seen.end], &sums[seen.start]);
                    let share = 1.0 / (rows.len() * seen.len()) as f64;
                    let cell = &mut descriptor[STATISTICS * (bx + BINS * by)..][..STATISTICS];
                    for c in 0..3 {
                        let mean = (end[c] - start[c]) * share;
                        let square = (end[c + 3] - start[c + 3]) * share;
                        cell[c] = mean as f32;
                        cell[c + 3] = (square - mean * mean).max(0.0).sqrt() as f32;
                    }
                }
            }
            consume(left, top, &descriptor);
        }
    }
}

/// Mean deviation over cells and planes.
pub(super) fn deviation(descriptor: &[f32; COLOUR_DIM]) -> f32 {
    let cells = descriptor.as_chunks::<STATISTICS>().0;
    cells.iter().flat_map(|cell| &cell[3..]).sum::<f32>() / (COLOUR_DIM / 2) as f32
}

impl Rows {
    /// Forgets the sums of another image, and makes room for `most` rows of cells.
    fn forget(&mut self, most: usize) {
        self.before.resize_with(most, Before::default);
        self.before.iter_mut().for_each(|before| before.seen = 0..0);
    }

    /// Where the prefix sums of the row of cells stand that sees the image rows `seen`.
    fn sums_of(&mut self, planes: &[Plane; 3], seen: Range<usize>) -> usize {
        if let Some(known) = self.before.iter().position(|before| before.seen == seen) {
            return known;
        }
        // Rows of descriptors go down, so what ends first is needed no more.
        let ends = |&slot: &usize| self.before[slot].seen.end;
        let slot = (0..self.before.len()).min_by_key(ends).expect("room for rows of cells");
        self.sum(planes, slot, seen);
        slot
    }

    /// Takes prefix sums over the image rows `seen`.
    fn sum(&mut self, planes: &[Plane; 3], slot: usize, seen: Range<usize>) {
        let width = planes[0].width;
        for (c, plane) in planes.iter().enumerate() {
            let [sums, squares] = self.columns.get_disjoint_mut([c, c + 3]).expect("two columns");
            for column in [&mut *sums, &mut *squares] {
                column.clear();
                column.resize(width, 0.0);
            }
            for y in seen.clone() {
                add_row(&plane.values[y * width..(y + 1) * width], sums, squares);
            }
        }
        let Before { seen: of, sums: before } = &mut self.before[slot];
        *of = seen;
        before.clear();
        let mut sum = [0.0; STATISTICS];
        before.push(sum);
        for x in 0..width {
            for (sum, column) in sum.iter_mut().zip(&self.columns) {
                *sum += column[x];
            }
            before.push(sum);
        }
    }
}

fn add_row(values: &[f32], sums: &mut [f64], squares: &mut [f64]) {
    widest!(<'a> |values: &'a [f32], sums: &'a mut [f64], squares: &'a mut [f64]| -> () {
        for ((value, sum), square) in values.iter().zip(sums).zip(squares) {
            let value = f64::from(*value);
            *sum += value;
            *square += value * value;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Params, multiscale};
    use super::*;

    /// Every cell summed by itself, in two passes.
    fn reference(place: &DenseSift, planes: &[Plane; 3]) -> Vec<(usize, usize, Vec<f64>)> {
        let (width, height) = (planes[0].width as isize, planes[0].height as isize);
        let Grid { columns, rows } = place.grid(planes[0].width, planes[0].height);
        let mut all = Vec::new();
        for (row, column) in (0..rows * columns).map(|i| (i / columns, i % columns)) {
            let (left, top) = (place.first + column * place.step, place.first + row * place.step);
            let mut values = Vec::new();
            for (by, bx) in (0..16).map(|i| (i / 4, i % 4)) {
                let start = |corner: usize, b: usize| {
                    (corner + b * place.bin) as isize - (place.bin / 2) as isize
                };
                let (x0, y0) = (start(left, bx), start(top, by));
                let cell = |plane: &Plane| -> Vec<f64> {
                    let bin = place.bin as isize;
                    let pixels = (0..bin * bin).map(|i| (x0 + i % bin, y0 + i / bin));
                    let seen =
                        pixels.filter(|(x, y)| (0..width).contains(x) && (0..height).contains(y));
                    seen.map(|(x, y)| f64::from(plane.values[(y * width + x) as usize])).collect()
                };
                let cells = [0, 1, 2].map(|c| cell(&planes[c]));
                let means = cells.each_ref().map(|v| v.iter().sum::<f64>() / v.len() as f64);
                values.extend(means);
                for (cell, mean) in cells.iter().zip(means) {
                    let sum: f64 = cell.iter().map(|v| (v - mean).powi(2)).sum();
                    values.push((sum / cell.len() as f64).sqrt());
                }
            }
            all.push((left, top, values));
        }
        all
    }

    #[test]
    fn cells_have_the_statistics_of_their_pixels() {
        // Of one image after the other: what is kept of one is nothing to the next.
        let mut work = Rows::default();
        for (bins, step, width, height) in [
            (vec![4], 3, 40, 30),
            (vec![5, 2], 2, 27, 41),
            (vec![1], 1, 9, 8),
            (vec![8], 4, 33, 33),
            (vec![8], 3, 34, 65),
            (vec![6], 1, 25, 51),
        ] {
            let planes = [0, 1, 2].map(|c| {
                Plane::from_fn(width, height, |x, y| ((x * x + (3 + c) * y) % 17) as f32 / 16.0)
            });
            let params = Params {
                kind: Kind::Colour,
                bin_sizes_px: bins,
                step_px: step,
                ..Params::default()
            };
            for place in &multiscale::levels(&params)[0].sizes {
                let mut got = Vec::new();
                run(place, &planes, &mut work, |x, y, row| got.push((x, y, *row)));
                let expected = reference(place, &planes);
                assert_eq!(got.len(), expected.len());
                assert!(!got.is_empty());
                for ((x, y, row), (left, top, values)) in got.iter().zip(&expected) {
                    assert_eq!((x, y), (left, top));
                    for (a, b) in row.iter().zip(values) {
                        assert!((f64::from(*a) - b).abs() < 1e-6, "{a} {b} at {x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_flat_cell_has_no_deviation() {
        let planes = [0.3, 0.5, 1.0].map(|v| Plane::from_fn(40, 40, |_, _| v));
        let params = Params { kind: Kind::Colour, bin_sizes_px: vec![4], ..Params::default() };
        let mut seen = 0;
        run(
            &multiscale::levels(&params)[0].sizes[0],
            &planes,
            &mut Rows::default(),
            |_, _, row| {
                seen += 1;
                for cell in row.chunks(STATISTICS) {
                    assert!((cell[0] - 0.3).abs() < 1e-6 && (cell[2] - 1.0).abs() < 1e-6);
                    assert!(cell[3..].iter().all(|deviation| *deviation < 1e-5), "{cell:?}");
                }
            },
        );
        assert!(seen > 0);
    }
}
