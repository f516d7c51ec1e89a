//! Photos in a list, in memory or opened when they are looked at.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::image::Photo;

/// A list of photos. Several workers look at it at once.
pub trait Photos: Sync {
    /// Number of photos.
    fn len(&self) -> usize;

    /// The photo of this number, from 0.
    ///
    /// # Errors
    /// Those of opening it.
    fn photo(&self, number: usize) -> Result<Cow<'_, Photo>>;

    /// True when there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Photos for &[Photo] {
    fn len(&self) -> usize {
        <[Photo]>::len(self)
    }

    fn photo(&self, number: usize) -> Result<Cow<'_, Photo>> {
        Ok(Cow::Borrowed(&self[number]))
    }
}

/// The error of an image without a file with its number in the list.
pub(super) fn numbered(error: Error, number: usize) -> Error {
    match error {
        Error::InMemory { problem } => {
            Error::InMemory { problem: format!("number {number} of the list (from 0): {problem}") }
        }
        other => other,
    }
}
