//! Where a descriptor stands and what it sees.

use super::bins::BINS;
use crate::position::Position;

/// Where a descriptor stands, in pixels of the image as it was given (before any resize factor).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Column of the centre.
    pub x: f32,
    /// Row of the centre.
    pub y: f32,
    /// Contrast norm (`sift`; 0 where it is not a number), mean deviation (`colour`) or length (the others).
    pub contrast: f32,
    /// Width of a spatial bin, a quarter of what the descriptor sees ([`Frame::square`]).
    pub size_px: f32,
    /// Whether the row is that of the mirror image, at the mirrored place ([`super::Extractor::chequered`]); the frame
    /// says where it lies in the image as it is.
    pub mirrored: bool,
}

/// The square of the image that a descriptor sees: its 4 × 4 bins, in pixels as in [`Frame`]. It may
/// reach over the border of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Column of the left edge.
    pub left: f32,
    /// Row of the upper edge.
    pub top: f32,
    /// Column of the right edge.
    pub right: f32,
    /// Row of the lower edge.
    pub bottom: f32,
}

impl Frame {
    /// The frame of a descriptor that sees a square about `centre` (column, row) with this side.
    pub fn seeing(centre: [f32; 2], side_px: f32, contrast: f32) -> Self {
        let [x, y] = centre;
        Self { x, y, contrast, size_px: side_px / BINS as f32, mirrored: false }
    }

    /// What the descriptor sees.
    pub fn square(&self) -> Square {
        let half = 0.5 * BINS as f32 * self.size_px;
        Square {
            left: self.x - half,
            top: self.y - half,
            right: self.x + half,
            bottom: self.y + half,
        }
    }

    /// The pixel of its centre in an image of this size, at `y · width + x`; the nearest one of a centre beyond the
    /// border.
    pub fn pixel(&self, [width, height]: [usize; 2]) -> usize {
        let within = |at: f32, side: usize| (at.round().max(0.0) as usize).min(side - 1);
        within(self.y, height) * width + within(self.x, width)
    }

    /// Where frames lie in an image of this size.
    pub fn positions(frames: &[Self], width: usize, height: usize) -> Vec<Position> {
        frames.iter().map(|frame| frame.position(width, height)).collect()
    }

    /// Its values in the order in which they are stored: column, row, contrast, bin width.
    pub fn values(&self) -> [f32; 4] {
        [self.x, self.y, self.contrast, self.size_px]
    }

    /// Where its row lies: [`place`](Self::place), mirrored for a mirrored row.
    pub fn position(&self, width: usize, height: usize) -> Position {
        let place = self.place(width, height);
        if self.mirrored { Position { x: 1.0 - place.x, ..place } } else { place }
    }

    /// Where it lies in an image of this size; a pixel's centre is half a pixel in.
    pub fn place(&self, width: usize, height: usize) -> Position {
        let (width, height) = (width as f32, height as f32);
        Position {
            x: (self.x + 0.5) / width,
            y: (self.y + 0.5) / height,
            scale: self.size_px / (width * height).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_sees_the_square_that_it_was_made_for() {
        let frame = Frame::seeing([10.0, 7.0], 12.0, 0.5);
        assert_eq!(frame.values(), [10.0, 7.0, 0.5, 3.0]);
        assert_eq!((frame.pixel([20, 10]), frame.pixel([9, 4])), (7 * 20 + 10, 3 * 9 + 8));
        assert_eq!(frame.square(), Square { left: 4.0, top: 1.0, right: 16.0, bottom: 13.0 });
    }
}
