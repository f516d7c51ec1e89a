//! Result files of the VOC classification task: `comp1_cls_<split>_<class>.txt`.
//!
//! One line an image, `<image id> <confidence>`, as the VOC devkit's `VOCevalcls.m` reads it. The
//! confidence is written so that it reads back as the same f32.

use std::fmt::Write;

use crate::{Error, Result, names, plain};

/// Names of the result files of all classes on one split. A `_` in the split's name is `%5F` in them, so
/// that split and class are told apart; else as in [`names`].
pub fn file_names(split: &str, classes: &[String]) -> Vec<String> {
    let split = names::file_name(split).replace('_', "%5F");
    let name = |class: String| names::with_ending(&format!("comp1_cls_{split}_{class}"), ".txt");
    names::file_names(classes).into_iter().map(name).collect()
}

/// The text of a result file: one line for each of the `n` ids and scores.
///
/// # Errors
/// [`Error::Shape`] when there are not as many scores as ids; [`Error::Numerical`] when the format
/// [cannot hold](can_hold) an id, or a score is NaN.
///
/// ```
/// let ids = ["000012".to_string(), "000017".to_string()];
/// let text = fvtool::evaluation::voc_results::write(&ids, &[0.5, -1.25])?;
/// assert_eq!(text, "000012 0.5\n000017 -1.25\n");
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn write(ids: &[String], scores: &[f32]) -> Result<String> {
    if ids.len() != scores.len() {
        let (expected, got) = (ids.len(), scores.len());
        return Err(Error::Shape { what: "scores of a result file", expected, got });
    }
    let mut text = String::with_capacity(ids.len() * 20);
    for (id, score) in ids.iter().zip(scores) {
        let problem = if !can_hold(id) {
            "is empty or has white space or control characters in its name; rename it, or use \
             scores.csv"
        } else if score.is_nan() {
            "has the score NaN"
        } else {
            writeln!(text, "{id} {score}").expect("writing to a string does not fail");
            continue;
        };
        let problem = format!("image `{id}` {problem}");
        return Err(Error::Numerical { what: "VOC result file", problem });
    }
    Ok(text)
}

/// Whether an id is one field of a line, and plain text.
pub fn can_hold(id: &str) -> bool {
    !id.is_empty() && !id.contains(char::is_whitespace) && *plain::line(id) == *id
}
