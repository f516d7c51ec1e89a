//! From descriptors to pixels: each descriptor's relevance spread evenly over what it sees.
//!
//! ```text
//! R¹_p = Σ_{l∋p} R²_l / |area(l)|
//! ```
//!
//! `area(l)` are the pixels of the image inside the square that the descriptor sees
//! ([`Frame::square`]).
//! Differences at the corners of every square, summed along both axes at the end: the cost does not
//! depend on the size of the squares.

use crate::descriptors::Frame;

/// Relevance per pixel, row-major: pixel (x, y) stands at `y · width + x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// `width · height` values.
    pub values: Vec<f64>,
}

/// The pixels that a descriptor is spread over: columns `left..right`, rows `top..bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Column after the last.
    pub right: usize,
    /// Row after the last.
    pub bottom: usize,
}

impl Area {
    /// The area of a descriptor in an image of this size; at least one pixel.
    pub fn of(frame: &Frame, width: usize, height: usize) -> Self {
        let seen = frame.square();
        let side = |from: f32, to: f32, pixels: usize| {
            // Pixels whose centre lies in [from, to).
            let [from, to] = [from, to].map(|edge| edge.ceil().max(0.0) as usize);
            let from = from.min(pixels - 1);
            (from, to.clamp(from + 1, pixels))
        };
        let (left, right) = side(seen.left, seen.right, width);
        let (top, bottom) = side(seen.top, seen.bottom, height);
        Self { left, top, right, bottom }
    }

    /// Number of pixels.
    pub fn pixels(self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }
}

/// `R¹` of an image of `width × height` pixels from its descriptors' frames and `R²`.
///
/// # Panics
/// When there is not one relevance per frame, or the image has no pixels.
pub fn spread(frames: &[Frame], relevance: &[f64], width: usize, height: usize) -> Map {
    assert_eq!(frames.len(), relevance.len(), "one relevance per descriptor");
    assert!(width > 0 && height > 0, "an image has pixels");
    let stride = width + 1;
    let mut corners = vec![0.0f64; stride * (height + 1)];
    for (frame, &relevance) in frames.iter().zip(relevance) {
        let area = Area::of(frame, width, height);
        let share = relevance / area.pixels() as f64;
        corners[area.top * stride + area.left] += share;
        corners[area.top * stride + area.right] -= share;
        corners[area.bottom * stride + area.left] -= share;
        corners[area.bottom * stride + area.right] += share;
    }
    let mut values = vec![0.0f64; width * height];
    let mut above = vec![0.0f64; width];
    for (row, out) in corners.chunks_exact(stride).zip(values.chunks_exact_mut(width)) {
        let mut sum = 0.0;
        for x in 0..width {
            sum += row[x];
            above[x] += sum;
            out[x] = above[x];
        }
    }
    Map { width, height, values }
}

impl Map {
    /// Sum over all pixels.
    pub fn sum(&self) -> f64 {
        self.values.iter().sum()
    }

    /// Largest absolute value.
    pub fn largest(&self) -> f64 {
        self.values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
    }

    /// The map on a grid of `columns × rows` equal cells, row-major: each cell's share of the sum,
    /// pixels on a boundary divided by area. `value` is applied to every pixel first.
    pub fn on_grid(&self, columns: usize, rows: usize, value: impl Fn(f64) -> f64) -> Vec<f64> {
        let across = overlaps(self.width, columns);
        let down = overlaps(self.height, rows);
        let mut grid = vec![0.0; columns * rows];
        for (y, cells_down) in down.iter().enumerate() {
            let pixels = &self.values[y * self.width..(y + 1) * self.width];
            for &(row, part_down) in cells_down {
                for (pixel, cells_across) in pixels.iter().zip(&across) {
                    let pixel = value(*pixel) * part_down;
                    for &(column, part) in cells_across {
                        grid[row * columns + column] += pixel * part;
                    }
                }
            }
        }
        grid
    }
}

/// For each of `pixels` pixels the cells of `cells` equal ones that it lies in, with its share.
fn overlaps(pixels: usize, cells: usize) -> Vec<Vec<(usize, f64)>> {
    let scale = cells as f64 / pixels as f64;
    (0..pixels)
        .map(|pixel| {
            let (from, to) = (pixel as f64 * scale, (pixel + 1) as f64 * scale);
            (from as usize..cells)
                .map(|cell| (cell, (to.min((cell + 1) as f64) - from.max(cell as f64)) / scale))
                .take_while(|(_, share)| *share > 1e-9)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(x: f32, y: f32, size_px: f32) -> Frame {
        Frame { x, y, contrast: 1.0, size_px, mirrored: false }
    }

    #[test]
    fn relevance_lands_on_the_square_and_is_kept() {
        // A square of 4 pixels around (3, 2), cut at the top by nothing and at the right by nothing.
        let map = spread(&[frame(3.0, 2.0, 1.0)], &[8.0], 10, 6);
        for y in 0..6 {
            for x in 0..10 {
                let inside = (1..5).contains(&x) && (0..4).contains(&y);
                let expected = if inside { 0.5 } else { 0.0 };
                assert!((map.values[y * 10 + x] - expected).abs() < 1e-12, "{x} {y}");
            }
        }
        // Over the border: the same relevance on fewer pixels.
        let map = spread(&[frame(0.0, 0.0, 2.0), frame(9.0, 5.0, 30.0)], &[1.0, -3.0], 10, 6);
        assert!((map.sum() + 2.0).abs() < 1e-12);
        assert_eq!(Area::of(&frame(-50.0, 90.0, 1.0), 10, 6).pixels(), 1);
    }

    #[test]
    fn a_grid_keeps_the_sum() {
        let values: Vec<f64> = (0..35).map(|i| f64::from(i) - 9.0).collect();
        let map = Map { width: 7, height: 5, values };
        for (columns, rows) in [(3, 2), (7, 5), (10, 9), (1, 1)] {
            let grid = map.on_grid(columns, rows, |v| v);
            assert!((grid.iter().sum::<f64>() - map.sum()).abs() < 1e-9, "{columns} {rows}");
        }
        assert_eq!(map.on_grid(7, 5, |v| v.max(0.0))[34], 25.0);
    }
}
