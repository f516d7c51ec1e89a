//! Scores of images per class, and their text form `scores.csv`.
//!
//! ```text
//! id,aeroplane,bicycle
//! 000012,-0.71,0.25
//! ```
//!
//! RFC 4180: a field with a comma or a quotation mark stands in quotation marks, inner ones doubled.
//! Names are [`plain::cell`]s: a line break is `\u{a}`, and what a spreadsheet would take for a formula
//! begins with `'`; [`plain::read_cell`] reads both back. Lines end in `\n`. Numbers are written so that
//! they read back as the same f32; `-inf` is an image without a score.

use ndarray::Array2;

use crate::plain;

/// Scores of `n` images for `C` classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Image names, in the order of the rows.
    pub ids: Vec<String>,
    /// Class names, in the order of the columns.
    pub classes: Vec<String>,
    /// `n × C`; −∞ where an image has no score.
    pub values: Array2<f32>,
}

impl Scores {
    /// The text of `scores.csv`.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        let header = std::iter::once("id").chain(self.classes.iter().map(String::as_str));
        plain::push_record(&mut text, header);
        for (id, row) in self.ids.iter().zip(self.values.rows()) {
            let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
            let fields = std::iter::once(id.as_str()).chain(numbers.iter().map(String::as_str));
            plain::push_record(&mut text, fields);
        }
        text
    }
}
