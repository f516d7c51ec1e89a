//! The parsers of lists and annotations on bytes alone, for the fuzz targets in `fuzz/`.

use std::path::Path;

use super::{annotation, lists};
use crate::Result;

/// A list of ids and a list of labels for them; how many there are.
///
/// # Errors
/// As [`super::Dataset::split`].
pub fn lists(ids: &[u8], labels: &[u8]) -> Result<usize> {
    let (own, other) = (Path::new("train.txt"), Path::new("cat_train.txt"));
    let ids = lists::Ids::parse(own, &lists::text_of(own, ids.to_vec())?, |_| false)?;
    let labels = lists::text_of(other, labels.to_vec())?;
    ids.parse_labels(own, other, &labels).map(|labels| labels.len())
}

/// The boxes of an annotation: left, top, right, bottom.
///
/// # Errors
/// As [`super::Dataset::split`].
pub fn boxes(text: &str) -> Result<Vec<[f32; 4]>> {
    let read = annotation::parse(Path::new("annotation.xml"), text)?;
    Ok(read.objects.into_iter().map(|object| object.edges).collect())
}
