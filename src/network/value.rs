//! What is known of a value of a graph before it runs: its shape, and what its cells see.

use super::proto::Fault;
use super::sight::Sight;
use super::tensor::Element;

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
    /// The numbers themselves, where they are few and the same for every image of this size.
    pub(super) known: Option<Vec<f64>>,
    /// Where its columns and rows lie, for a map.
    pub(super) view: Option<View>,
    /// Whether it depends on the image.
    pub(super) seen: bool,
    /// Whether a cell of it depends on more of the image than its view says: on all of it.
    pub(super) whole: bool,
}

/// Columns and rows of a map: their dimensions, and what they see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Dimension of columns, dimension of rows.
    pub(super) axes: [usize; 2],
    /// Along columns and along rows.
    pub(super) sight: [Sight; 2],
}

impl Value {
    /// Numbers that are not of the image.
    pub(super) fn constant(shape: Vec<usize>, element: Element, known: Option<Vec<f64>>) -> Self {
        Self { shape, element, known, view: None, seen: false, whole: false }
    }

    /// Of another shape and view, and otherwise as this one.
    pub(super) fn reshaped(&self, shape: Vec<usize>, view: Option<View>) -> Self {
        let whole = self.whole || (self.seen && view.is_none());
        Self { shape, view, known: None, whole, ..self.clone() }
    }

    pub(super) fn numbers(&self) -> usize {
        self.shape.iter().fold(1, |product, &size| product.saturating_mul(size))
    }

    /// Its shape in words.
    pub(super) fn shown(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        if sizes.is_empty() { "one number".into() } else { sizes.join(" × ") }
    }

    /// The dimension of its channels when it is a map.
    pub(super) fn channels_axis(&self) -> Option<usize> {
        let view = self.view?;
        let others: Vec<usize> = (0..self.shape.len())
            .filter(|axis| !view.axes.contains(axis) && self.shape[*axis] != 1)
            .collect();
        match others[..] {
            [axis] => Some(axis),
            // Maps of one channel: the dimension that is not the batch.
            [] => (1..self.shape.len()).find(|axis| !view.axes.contains(axis)),
            _ => None,
        }
    }
}

/// An input that must be there.
pub(super) fn input<'v>(inputs: &[Option<&'v Value>], number: usize) -> Result<&'v Value, Fault> {
    let found = inputs.get(number).copied().flatten();
    found.ok_or_else(|| format!("input {} of it is missing", number + 1))
}

/// A dimension by number, which counts from the end when it is negative.
pub(super) fn axis(number: i64, rank: usize) -> Result<usize, Fault> {
    let from_start = if number < 0 { number + rank as i64 } else { number };
    let found = usize::try_from(from_start).ok().filter(|&axis| axis < rank);
    found.ok_or_else(|| format!("dimension {number} of {rank} is not there"))
}
