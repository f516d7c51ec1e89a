//! What a table says of an image, whatever form the table has.

/// Most bytes of a table.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// One row: an image, and one label or several of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::dataset) struct Row {
    /// Where it stands, for messages: a line, or the number of an annotation.
    pub line: usize,
    /// The image's path as it is written.
    pub path: String,
    /// Its classes; none where the table says nothing.
    pub labels: Vec<String>,
    /// The split that the row names.
    pub split: Option<String>,
    /// What must stay together when splits are drawn: a patient, a site, a film.
    pub group: Option<String>,
    /// Left, top, right, bottom of the object that the label is of, as [`Ruler`](crate::dataset::Ruler) says.
    pub bounds: Option<[f32; 4]>,
}

/// A table that was read.
#[derive(Debug, Default)]
pub(in crate::dataset) struct Rows {
    pub rows: Vec<Row>,
    /// Rows that say nothing of an image, by reason.
    pub left_out: Vec<(&'static str, usize)>,
    /// How the table was understood, in a sentence.
    pub note: String,
    /// Whether an image may stand in several rows: one for each label, or for each object.
    pub row_for_each_label: bool,
    /// Whether several labels of an image can stand in one row.
    pub several: bool,
}
