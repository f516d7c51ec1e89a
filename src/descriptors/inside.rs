//! Which rows of a picture count: those whose centre lies in given areas of it.
//!
//! ```text
//! areas of a picture · a row's centre ─ how often the row counts:  0, 1 (union)  or  once for each area
//! ```
//!
//! An area holds its left and upper edge and not the others, so that areas side by side hold a centre once. A
//! centre beyond the border counts as one at the border. Rows stay in the picture's order whatever the order of
//! areas, and a row that counts several times comes several times in a row.

use ndarray::ArrayView2;

use super::frame::Frame;
use crate::linalg::BLOCK_ROWS;

/// How often a row counts that lies in several areas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Once.
    Union,
    /// Once for each: the rows of every part are taken in full.
    Each,
}

/// Areas of a picture that rows are taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct Inside {
    /// Left, top, right, bottom edges in pixels of the picture; pixel 0 reaches from 0 to 1.
    areas: Vec<[f32; 4]>,
    counting: Counting,
    /// Areas in which no row counts.
    except: Vec<[f32; 4]>,
    size: [usize; 2],
    mirrored: bool,
}

impl Inside {
    /// Areas (left, top, right, bottom edges in pixels; pixel 0 reaches from 0 to 1) of a picture of this width
    /// and height.
    pub fn new(areas: Vec<[f32; 4]>, counting: Counting, size: [usize; 2]) -> Self {
        Self { areas, counting, except: Vec::new(), size, mirrored: false }
    }

    /// The same areas without what lies in others (edges as there).
    pub fn except(self, except: Vec<[f32; 4]>) -> Self {
        Self { except, ..self }
    }

    /// The same areas of the mirror image.
    pub fn mirror(&mut self) {
        self.mirrored = !self.mirrored;
    }

    /// Whether it is of the mirror image.
    pub(super) fn is_mirrored(&self) -> bool {
        self.mirrored
    }

    /// How often a row counts.
    pub fn times(&self, frame: &Frame) -> usize {
        let [width, height] = self.size.map(|side| side as f32);
        let x = if self.mirrored { (width - 1.0) - frame.x } else { frame.x };
        // The middle of the first pixel is 0. The last one's is the furthest place inside.
        let x = x.clamp(-0.5, width - 1.0) + 0.5;
        let y = frame.y.clamp(-0.5, height - 1.0) + 0.5;
        let holds = |[left, top, right, bottom]: &&[f32; 4]| {
            (*left..*right).contains(&x) && (*top..*bottom).contains(&y)
        };
        if self.except.iter().any(|area| holds(&area)) {
            return 0;
        }
        match self.counting {
            Counting::Union => usize::from(self.areas.iter().any(|area| holds(&area))),
            Counting::Each => self.areas.iter().filter(holds).count(),
        }
    }

    /// Hands on the rows of a block that count, as often as they do; how many these are.
    pub(super) fn hand_on(
        &self,
        rows: ArrayView2<'_, f32>,
        frames: &[Frame],
        kept: &mut Kept,
        consume: &mut dyn FnMut(ArrayView2<'_, f32>, &[Frame]),
    ) -> usize {
        kept.times.clear();
        kept.times.extend(frames.iter().map(|frame| self.times(frame)));
        let total = kept.times.iter().sum();
        if kept.times.iter().all(|&times| times == 1) {
            consume(rows, frames);
            return total;
        }
        kept.values.clear();
        kept.frames.clear();
        let mut flush = |values: &mut Vec<f32>, frames: &mut Vec<Frame>| {
            let shape = (frames.len(), rows.ncols());
            consume(ArrayView2::from_shape(shape, values).expect("one frame a row"), frames);
            values.clear();
            frames.clear();
        };
        for ((row, frame), &times) in rows.rows().into_iter().zip(frames).zip(&kept.times) {
            for _ in 0..times {
                kept.values.extend(row);
                kept.frames.push(*frame);
                if kept.frames.len() == BLOCK_ROWS {
                    flush(&mut kept.values, &mut kept.frames);
                }
            }
        }
        if !kept.frames.is_empty() {
            flush(&mut kept.values, &mut kept.frames);
        }
        total
    }
}

/// Buffers of the rows that count.
#[derive(Debug, Default)]
pub(super) struct Kept {
    times: Vec<usize>,
    values: Vec<f32>,
    frames: Vec<Frame>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, y: f32) -> Frame {
        Frame { x, y, contrast: 1.0, size_px: 1.0, mirrored: false }
    }

    fn times(areas: &[[f32; 4]], counting: Counting, places: &[[f32; 2]]) -> Vec<usize> {
        let inside = Inside::new(areas.to_vec(), counting, [20, 10]);
        places.iter().map(|&[x, y]| inside.times(&at(x, y))).collect()
    }

    #[test]
    fn areas_side_by_side_hold_every_centre_once() {
        let halves = [[0.0, 0.0, 7.5, 10.0], [7.5, 0.0, 20.0, 10.0]];
        let places = [[0.0, 0.0], [7.0, 4.0], [6.9, 4.0], [19.0, 9.0], [-2.0, 11.0], [21.5, -1.0]];
        assert_eq!(times(&halves, Counting::Each, &places), [1; 6]);
        assert_eq!(times(&halves[1..], Counting::Each, &places), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_row_in_two_parts_counts_twice_and_in_two_boxes_once() {
        let two = [[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 20.0, 10.0]];
        let places = [[1.0, 1.0], [6.0, 6.0], [15.0, 1.0], [15.0, 7.0]];
        assert_eq!(times(&two, Counting::Each, &places), [1, 2, 0, 1]);
        assert_eq!(times(&two, Counting::Union, &places), [1, 1, 0, 1]);
        let turned = [two[1], two[0]];
        assert_eq!(times(&turned, Counting::Each, &places), [1, 2, 0, 1]);
    }

    #[test]
    fn what_is_excepted_counts_nowhere() {
        let whole = Inside::new(vec![[0.0, 0.0, 20.0, 10.0]], Counting::Union, [20, 10]);
        let mut rest = whole.except(vec![[0.0, 8.0, 10.0, 10.0]]);
        let count = |rest: &Inside, x: f32| rest.times(&at(x, 9.0));
        assert_eq!([count(&rest, 2.0), count(&rest, 12.0)], [0, 1]);
        rest.mirror();
        assert_eq!([count(&rest, 2.0), count(&rest, 17.0)], [1, 0]);
    }

    #[test]
    fn the_mirror_image_has_the_mirrored_areas() {
        let mut inside = Inside::new(vec![[2.0, 0.0, 5.0, 10.0]], Counting::Union, [20, 10]);
        let places: Vec<Frame> = (0..40).map(|i| at(i as f32 / 2.0, 4.0)).collect();
        let own: Vec<usize> = places.iter().map(|frame| inside.times(frame)).collect();
        inside.mirror();
        let turned = places.iter().map(|frame| Frame { x: 19.0 - frame.x, ..*frame });
        assert_eq!(turned.map(|frame| inside.times(&frame)).collect::<Vec<_>>(), own);
        // Pixels 2 to 4, at steps of half a pixel.
        assert_eq!((own.iter().sum::<usize>(), own[3], own[8], own[9]), (6, 1, 1, 0));
    }

    #[test]
    fn rows_come_in_order_as_often_as_they_count() {
        let rows = ndarray::array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let frames = [at(1.0, 1.0), at(6.0, 6.0), at(15.0, 1.0)];
        let two = vec![[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 20.0, 10.0]];
        let inside = Inside::new(two, Counting::Each, [20, 10]);
        let mut found = Vec::new();
        let mut kept = Kept::default();
        let count = inside.hand_on(rows.view(), &frames, &mut kept, &mut |rows, frames| {
            assert_eq!(rows.nrows(), frames.len());
            found.extend(rows.iter().copied());
        });
        assert_eq!((count, found), (3, vec![1.0, 2.0, 3.0, 4.0, 3.0, 4.0]));
        let nowhere = Inside::new(vec![[0.0, 0.0, 0.2, 0.2]], Counting::Each, [20, 10]);
        assert_eq!(nowhere.hand_on(rows.view(), &frames, &mut kept, &mut |_, _| panic!("none")), 0);
        // More than a block holds.
        let many = Inside::new(vec![[0.0, 0.0, 20.0, 10.0]; BLOCK_ROWS], Counting::Each, [20, 10]);
        let mut blocks = Vec::new();
        many.hand_on(rows.view(), &frames, &mut kept, &mut |rows, _| blocks.push(rows.nrows()));
        assert_eq!(blocks, [BLOCK_ROWS; 3]);
    }
}
