//! What a classifier asks of a split's classes and labels.

use super::items::Split;
use super::label::Label;
use crate::error::{Error, Result};

/// Refuses to train on images that are all of one class.
///
/// # Errors
/// [`Error::Data`] with the way out.
pub fn require_two_classes(split: &Split) -> Result<()> {
    let shown = |class: &usize| split.labels.iter().any(|row| row[*class] == Label::Yes);
    let shown: Vec<usize> = (0..split.classes.len()).filter(shown).take(2).collect();
    match shown[..] {
        [only] if split.single_label => Err(one_class(&split.name, &split.classes[only])),
        _ => Ok(()),
    }
}

/// What to say of a split whose images are all of the class `only`.
pub fn one_class(split: &str, only: &str) -> Error {
    let problem = format!(
        "all images are of one class, `{only}`, and a classifier needs two; sort them into a folder for \
         each class: <split>/<class>/<image> or <class>/<image>"
    );
    Error::data(format!("split `{split}`"), problem)
}

/// The labels of `split` for `classes`, by name; a class that the split does not know is ignored in
/// all its images. Also the split's classes that are not in `classes`.
pub fn labels_for<'s>(classes: &[String], split: &'s Split) -> (Vec<Vec<Label>>, Vec<&'s str>) {
    let columns: Vec<Option<usize>> =
        classes.iter().map(|class| split.classes.iter().position(|c| c == class)).collect();
    let labels = split
        .labels
        .iter()
        .map(|row| columns.iter().map(|c| c.map_or(Label::Ignored, |c| row[c])).collect())
        .collect();
    let unknown =
        split.classes.iter().filter(|class| !classes.contains(class)).map(String::as_str).collect();
    (labels, unknown)
}
