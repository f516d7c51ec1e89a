//! Areas that an image was marked with.

/// Areas of an image, in pixels of the upright image at its full size: left, top, right and bottom edge, where
/// pixel 0 reaches from 0 to 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Marks {
    /// Objects.
    pub boxes: Vec<[f32; 4]>,
    /// Parts of objects that can be seen.
    pub parts: Vec<[f32; 4]>,
    /// Whether one of them reached over the border, and was cut there.
    pub cut: bool,
    /// Whether nothing tells if they were drawn before the image was turned upright; they are taken as drawn
    /// after.
    pub undecided: bool,
}
