//! The scores of a split, and what must hold of them.

use ndarray::ArrayView2;

use super::decision::Decision;
use crate::dataset::Label;
use crate::{Error, Result};

/// A split of `n` images with labels and scores for `C` classes.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Name of the split.
    pub split: &'a str,
    /// Image names, `n`, in list order.
    pub ids: &'a [String],
    /// Class names, `C`.
    pub classes: &'a [String],
    /// `labels[image][class]`, `n × C`.
    pub labels: &'a [Vec<Label>],
    /// `n × C`; larger means more likely, −∞ no score.
    pub scores: ArrayView2<'a, f32>,
    /// Every image has exactly one class: report accuracy and confusion too.
    pub single_label: bool,
    /// What scores decide.
    pub decision: Decision,
}

/// # Errors
/// As [`super::evaluate`].
pub(super) fn check(scored: &Scored<'_>) -> Result<()> {
    let (images, classes) = (scored.ids.len(), scored.classes.len());
    let fits = |what, expected, got| {
        if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
    };
    fits("rows of the score matrix", images, scored.scores.nrows())?;
    fits("columns of the score matrix", classes, scored.scores.ncols())?;
    fits("images with labels", images, scored.labels.len())?;
    scored.labels.iter().try_for_each(|row| fits("labels of an image", classes, row.len()))?;
    match scored.scores.indexed_iter().find(|(_, score)| score.is_nan()) {
        Some(((image, class), _)) => {
            let (image, class) = (&scored.ids[image], &scored.classes[class]);
            let problem = format!("the score of image `{image}` for class `{class}` is NaN");
            Err(Error::Numerical { what: "evaluation", problem })
        }
        None => Ok(()),
    }
}
