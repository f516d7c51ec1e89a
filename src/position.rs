//! Where a descriptor lies in its image and its size relative to the image.

/// A descriptor's place, as shares, so that images of any size compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Column of the centre as a share of the width, 0 to 1.
    pub x: f32,
    /// Row of the centre as a share of the height, 0 to 1.
    pub y: f32,
    /// `s/√(W·H)` of a spatial bin's width `s` in an image of `W × H`.
    pub scale: f32,
}

impl Position {
    /// The position of a descriptor whose scale plays no part.
    pub const fn at(x: f32, y: f32) -> Self {
        Self { x, y, scale: 1.0 }
    }
}
