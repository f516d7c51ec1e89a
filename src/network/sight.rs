//! What a cell of a map sees of the image: the receptive field, computed along each axis.
//!
//! A cell `o` of a map sees pixels within `size / 2` of `first + o · stride` (the middle of the first
//! pixel is 0). Through a window of `k` cells, `d` apart, with step `s` and `b` cells of padding before:
//!
//! ```text
//! size' = size + (k − 1) d · stride
//! first' = first + ((k − 1) d / 2 − b) · stride
//! stride' = stride · s
//! ```
//!
//! Branches that come together see what any of them sees.

/// What the cells along one axis see, in pixels of the network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    /// From one cell to the next.
    pub stride: f64,
    /// The middle of what the first cell sees.
    pub first: f64,
    /// Pixels that a cell sees; those beyond the image's border are empty.
    pub size: f64,
}

impl Sight {
    /// A pixel sees itself.
    pub(super) const PIXEL: Self = Self { stride: 1.0, first: 0.0, size: 1.0 };

    /// Through a window.
    pub(super) fn through(self, window: &Window) -> Self {
        let reach = (window.kernel - 1) as f64 * window.dilation as f64;
        Self {
            stride: self.stride * window.stride as f64,
            first: self.first + (reach / 2.0 - window.before as f64) * self.stride,
            size: self.size + reach * self.stride,
        }
    }

    /// Both together; `None` when their cells are not the same distance apart.
    pub(super) fn and(self, other: Self) -> Option<Self> {
        if (self.stride - other.stride).abs() > 1e-6 * self.stride {
            return None;
        }
        let ends = |sight: Self| [sight.first - sight.size / 2.0, sight.first + sight.size / 2.0];
        let ([a, b], [c, d]) = (ends(self), ends(other));
        let (low, high) = (a.min(c), b.max(d));
        Some(Self { stride: self.stride, first: f64::midpoint(low, high), size: high - low })
    }

    /// Of cells that lie `apart` old ones apart, from old cell `from` on, each looking at old cells up
    /// to `reach` to either side.
    pub(super) fn resampled(self, from: f64, apart: f64, reach: f64) -> Self {
        Self {
            stride: self.stride * apart,
            first: self.first + from * self.stride,
            size: self.size + 2.0 * reach * self.stride,
        }
    }
}

/// A window along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    pub(super) after: usize,
    /// Whether a last window may reach over the end.
    pub(super) ceil: bool,
}

impl Window {
    /// Cells from the first of a window to its last.
    pub(super) fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Places of the window along `length` cells; none when they are too few.
    pub(super) fn places(&self, length: usize) -> usize {
        let padded = length + self.before + self.after;
        let Some(room) = padded.checked_sub(self.extent()) else { return 0 };
        if !self.ceil {
            return room / self.stride + 1;
        }
        // A window must begin before the padding behind the end.
        let begun = (length + self.before).saturating_sub(1) / self.stride + 1;
        (room.div_ceil(self.stride) + 1).min(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Window =
        Window { kernel: 3, stride: 2, dilation: 1, before: 1, after: 1, ceil: false };

    #[test]
    fn windows_on_windows() {
        let once = Sight::PIXEL.through(&THREE);
        assert_eq!(once, Sight { stride: 2.0, first: 0.0, size: 3.0 });
        assert_eq!(once.through(&THREE), Sight { stride: 4.0, first: 0.0, size: 7.0 });
        let even = Window { kernel: 2, before: 0, after: 0, ..THREE };
        assert_eq!(Sight::PIXEL.through(&even), Sight { stride: 2.0, first: 0.5, size: 2.0 });
        let dilated = Window { dilation: 3, stride: 1, ..THREE };
        assert_eq!(Sight::PIXEL.through(&dilated), Sight { stride: 1.0, first: 2.0, size: 7.0 });
        let both = once.and(Sight { stride: 2.0, first: 1.5, size: 2.0 }).unwrap();
        assert_eq!(both, Sight { stride: 2.0, first: 0.5, size: 4.0 });
        assert_eq!(once.and(Sight::PIXEL), None);
    }

    #[test]
    fn places_of_a_window() {
        for (length, places) in [(1, 1), (2, 1), (3, 2), (7, 4), (8, 4)] {
            assert_eq!(THREE.places(length), places, "{length}");
        }
        let inside = Window { before: 0, after: 0, ..THREE };
        assert_eq!([2, 3, 4, 5].map(|n| inside.places(n)), [0, 1, 1, 2]);
        let ceil = Window { ceil: true, ..inside };
        assert_eq!([3, 4, 5, 6].map(|n| ceil.places(n)), [1, 2, 2, 3]);
        // The second window would begin in the padding behind the end.
        let padded = Window { kernel: 1, stride: 3, dilation: 1, before: 0, after: 3, ceil: true };
        assert_eq!(padded.places(3), 1);
    }
}
