//! Rows of a network's map: a descriptor for each cell, at every scale of the image.
//!
//! A row's frame is where its cell looks: the middle of what it sees, and the side of that square, in
//! pixels of the image. Rows come by scale, then from the top, then from the left.

use ndarray::Array2;

use super::describe::Descriptors;
use super::frame::Frame;
use super::params::Keep;
use crate::linalg;
use crate::network::{Map, Square};

/// What rows are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cells {
    /// A Fisher vector: rows of unit length, of all cells or of those longer than the mean of the image.
    Rows(Keep),
    /// Their mean: rows as they are, weighted so that every scale counts alike however many cells it has.
    Mean,
}

/// The descriptors of an image of `width × height` pixels from maps of it at several scales, each with
/// the width and height at which the network saw it.
pub fn of_maps(
    maps: &[(&Map, [usize; 2])],
    [width, height]: [usize; 2],
    square: Square,
    cells: Cells,
) -> Descriptors {
    let channels = maps.first().map_or(0, |(map, _)| map.channels);
    let total: usize = maps.iter().map(|(map, _)| map.size[0] * map.size[1]).sum();
    let mut values = Vec::with_capacity(total * channels);
    let mut frames = Vec::with_capacity(total);
    for (map, seen) in maps {
        let per_pixel = [width as f64 / seen[0] as f64, height as f64 / seen[1] as f64];
        let own = map.size[0] * map.size[1];
        let weight = total as f32 / (maps.len() * own) as f32;
        for (cell, row) in map.values.chunks_exact(channels.max(1)).enumerate() {
            let at = [cell % map.size[0], cell / map.size[0]];
            // The middle of the first pixel is 0 in both images.
            let [x, y] = [0, 1].map(|axis| {
                let sight = map.sight[axis];
                (sight.first + at[axis] as f64 * sight.stride + 0.5) * per_pixel[axis] - 0.5
            });
            let side = [0, 1].map(|axis| square.side(&map.sight[axis]) * per_pixel[axis]);
            let length = linalg::norm(row) as f32;
            let factor = match cells {
                Cells::Rows(_) if length > 0.0 => 1.0 / length,
                Cells::Rows(_) => 0.0,
                Cells::Mean => weight,
            };
            values.extend(row.iter().map(|value| value * factor));
            let side = ((side[0] + side[1]) / 2.0) as f32;
            frames.push(Frame::seeing([x as f32, y as f32], side, length));
        }
    }
    if cells == Cells::Rows(Keep::AboveMeanNorm) {
        let kept = above_mean(frames.iter().map(|frame| frame.contrast));
        let mut rows = values.chunks_exact(channels.max(1)).zip(&kept);
        values =
            rows.by_ref().filter(|(_, kept)| **kept).flat_map(|(row, _)| row).copied().collect();
        let mut kept = kept.into_iter();
        frames.retain(|_| kept.next() == Some(true));
    }
    let rows = Array2::from_shape_vec((frames.len(), channels), values).expect("one frame a row");
    Descriptors { rows, frames }
}

/// Where the rows of [`of_maps`] come from, in their order: the number of a map, and of its cell.
pub fn places(maps: &[&Map], cells: Cells) -> Vec<[usize; 2]> {
    let of_map = |(number, map): (usize, &&Map)| {
        (0..map.size[0] * map.size[1]).map(move |cell| [number, cell])
    };
    let mut places: Vec<[usize; 2]> = maps.iter().enumerate().flat_map(of_map).collect();
    if cells == Cells::Rows(Keep::AboveMeanNorm) {
        let rows = maps.iter().flat_map(|map| map.values.chunks_exact(map.channels.max(1)));
        let mut kept = above_mean(rows.map(|row| linalg::norm(row) as f32)).into_iter();
        places.retain(|_| kept.next() == Some(true));
    }
    places
}

/// Which lengths are above their mean.
fn above_mean(lengths: impl Iterator<Item = f32> + Clone) -> Vec<bool> {
    let (sum, count) =
        lengths.clone().fold((0.0, 0), |(sum, count), length| (sum + f64::from(length), count + 1));
    let mean = sum / f64::from(count.max(1));
    lengths.map(|length| f64::from(length) > mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Sight;

    fn map(size: [usize; 2], stride: f64, values: &[f32]) -> Map {
        let sight = Sight { stride, first: stride / 2.0 - 0.5, size: 3.0 * stride };
        Map { size, channels: 2, values: values.to_vec(), sight: [sight; 2] }
    }

    #[test]
    fn frames_lie_where_cells_look_at_every_scale() {
        // An image of 32 × 16, seen as it is and at half its width.
        let whole = map([2, 1], 16.0, &[3.0, 4.0, 0.0, 0.0]);
        let half = map([1, 1], 16.0, &[0.0, 2.0]);
        let maps = [(&whole, [32, 16]), (&half, [16, 16])];
        let rows = of_maps(&maps, [32, 16], Square::Sees, Cells::Rows(Keep::All));
        assert_eq!(rows.rows, ndarray::array![[0.6, 0.8], [0.0, 0.0], [0.0, 1.0]]);
        let places: Vec<[f32; 4]> =
            rows.frames.iter().map(|f| [f.x, f.y, f.contrast, f.size_px]).collect();
        // The half-width cell sees 48 pixels of the narrow image: 96 × 48 of the whole.
        let expected = [[7.5, 7.5, 5.0, 12.0], [23.5, 7.5, 0.0, 12.0], [15.5, 7.5, 2.0, 18.0]];
        assert_eq!(places, expected);
        let core = of_maps(&maps, [32, 16], Square::Core, Cells::Rows(Keep::All));
        assert_eq!(core.frames[0].size_px, 8.0);
    }

    #[test]
    fn the_mean_of_rows_is_the_mean_of_the_scales_means() {
        let first = map([2, 1], 16.0, &[1.0, 2.0, 3.0, 6.0]);
        let second = map([1, 1], 16.0, &[5.0, 0.0]);
        let maps = [(&first, [32, 16]), (&second, [16, 16])];
        let rows = of_maps(&maps, [32, 16], Square::Sees, Cells::Mean).rows;
        let mean = rows.mean_axis(ndarray::Axis(0)).unwrap();
        assert_eq!(mean, ndarray::array![3.5, 2.0]);
    }

    #[test]
    fn rows_that_are_no_longer_than_the_mean_are_left_out() {
        let first = map([2, 2], 8.0, &[3.0, 4.0, 0.0, 1.0, 6.0, 8.0, 1.0, 0.0]);
        let rows = of_maps(
            &[(&first, [16, 16])],
            [16, 16],
            Square::Sees,
            Cells::Rows(Keep::AboveMeanNorm),
        );
        assert_eq!(rows.rows, ndarray::array![[0.6, 0.8], [0.6, 0.8]]);
        let (keep, second) = (Cells::Rows(Keep::AboveMeanNorm), map([1, 1], 8.0, &[0.0, 9.0]));
        assert_eq!(places(&[&first], keep), [[0, 0], [0, 2]]);
        assert_eq!(places(&[&first, &second], keep), [[0, 2], [1, 0]]);
        assert_eq!(places(&[&second, &first], Cells::Mean).len(), 5);
        assert_eq!(rows.frames.iter().map(|f| f.y).collect::<Vec<_>>(), [3.5, 11.5]);
    }
}
