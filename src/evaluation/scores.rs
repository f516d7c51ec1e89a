//! Scores of images per class, and their text form `scores.csv`.
//!
//! ```text
//! id,aeroplane,bicycle
//! 000012,-0.71,0.25
//! ```
//!
//! RFC 4180: a field with a comma or a quotation mark stands in quotation marks, inner ones doubled.
//! Names are [`plain::cell`]s: a line break is `\u{a}`, and what a spreadsheet would take for a formula
//! begins with `'`; both read back. Lines end in `\n` (reading takes `\r\n` too, and line breaks in
//! quotation marks). Numbers are written so that they read back as the same f32; `-inf` is an image
//! without a score.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::{Error, Result, plain};

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

/// Scores in the order of `ids`; an image without a score gets −∞ and so is in no measure.
///
/// # Errors
/// [`Error::Numerical`] naming an image that is scored but not in `ids`, or is there twice.
///
/// ```
/// let ids = ["a".to_string(), "b".to_string()];
/// let scores = fvtool::evaluation::align(&ids, &[("b", 0.5)])?;
/// assert_eq!(scores, [f32::NEG_INFINITY, 0.5]);
/// assert!(fvtool::evaluation::align(&ids, &[("c", 0.5)]).is_err());
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn align<S: AsRef<str>>(ids: &[String], scored: &[(S, f32)]) -> Result<Vec<f32>> {
    let refused = |id: &str, why: &str| {
        Err(Error::Numerical { what: "scores", problem: format!("image `{id}` {why}") })
    };
    let mut rows = BTreeMap::new();
    for (row, id) in ids.iter().enumerate() {
        if rows.insert(id.as_str(), row).is_some() {
            return refused(id, "is in the split twice");
        }
    }
    let mut scores = vec![None; ids.len()];
    for (id, score) in scored {
        let id = id.as_ref();
        let Some(&row) = rows.get(id) else {
            return refused(id, "has a score, but is not in the split; score the split's images");
        };
        if scores[row].replace(*score).is_some() {
            return refused(id, "has two scores");
        }
    }
    Ok(scores.into_iter().map(|score| score.unwrap_or(f32::NEG_INFINITY)).collect())
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

    /// Reads the text of a `scores.csv`; `origin` is its path, for messages.
    ///
    /// # Errors
    /// [`Error::Data`] with the line: no header, a class or an image twice, a line of another
    /// length, a field that is not a number or is NaN, or an open quotation mark.
    pub fn from_csv(origin: &Path, text: &str) -> Result<Self> {
        let refused = |line: usize, problem: String| Error::data(at(origin, line), problem);
        let mut records = parse_records(text)
            .map_err(|(line, problem)| refused(line, problem.to_string()))?
            .into_iter();
        let Some((_, header)) = records.next().filter(|(_, fields)| fields[0] == "id") else {
            return Err(refused(
                1,
                "a score table starts with the line `id,<class>,…`".to_string(),
            ));
        };
        let classes: Vec<String> =
            header[1..].iter().map(|class| plain::read_cell(class).into_owned()).collect();
        if let Some(class) = first_repeated(&classes) {
            return Err(refused(1, format!("duplicate class `{class}`")));
        }
        let (mut ids, mut lines, mut values) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (line, mut fields) in records {
            if fields.len() != header.len() {
                let problem = format!(
                    "expected {} fields as in the first line, got {}",
                    header.len(),
                    fields.len()
                );
                return Err(refused(line, problem));
            }
            for (class, field) in classes.iter().zip(&fields[1..]) {
                let value = parse_score(field)
                    .map_err(|problem| refused(line, format!("class `{class}`: {problem}")))?;
                values.push(value);
            }
            let id = plain::read_cell(&fields.swap_remove(0)).into_owned();
            if let Some(first) = lines.insert(id.clone(), line) {
                return Err(refused(
                    line,
                    format!("duplicate image `{id}` (first on line {first})"),
                ));
            }
            ids.push(id);
        }
        let values = Array2::from_shape_vec((ids.len(), classes.len()), values)
            .expect("every line gave one value a class");
        Ok(Self { ids, classes, values })
    }
}

/// Path and line as the messages of [`Error::Data`] show them.
pub(super) fn at(origin: &Path, line: usize) -> PathBuf {
    PathBuf::from(format!("{}:{line}", origin.display()))
}

/// A score as text: any f32 but NaN.
pub(super) fn parse_score(field: &str) -> Result<f32, String> {
    match field.trim().parse::<f32>() {
        Ok(score) if !score.is_nan() => Ok(score),
        _ => Err(format!("`{field}` is not a score; write a number, or -inf for none")),
    }
}

fn first_repeated(names: &[String]) -> Option<&String> {
    let mut seen = std::collections::BTreeSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// Line on which a record starts, and its fields.
type Record = (usize, Vec<String>);

/// Splits RFC 4180 text into records; blank lines between them are skipped.
fn parse_records(text: &str) -> Result<Vec<Record>, (usize, &'static str)> {
    let mut records = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let start = line;
        let mut fields = Vec::new();
        loop {
            let (field, after) = parse_field(rest).map_err(|problem| (line, problem))?;
            line += rest[..rest.len() - after.len()].matches('\n').count();
            fields.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    let blank = rest.len() == after.len() && fields.len() == 1;
                    rest = after.strip_prefix('\r').unwrap_or(after);
                    rest = rest.strip_prefix('\n').unwrap_or(rest);
                    line += 1;
                    if !blank {
                        records.push((start, fields));
                    }
                    break;
                }
            }
        }
    }
    Ok(records)
}

/// The field at the start of `text`, and what follows it: a comma, a line end or nothing.
fn parse_field(text: &str) -> Result<(String, &str), &'static str> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        // A `\r` belongs to the line end only right before it.
        let end = if text[..end].ends_with('\r') && !text[end..].starts_with(',') {
            end - 1
        } else {
            end
        };
        return Ok((text[..end].to_string(), &text[end..]));
    };
    let mut field = String::new();
    loop {
        let end = quoted.find('"').ok_or("a quotation mark is never closed")?;
        field.push_str(&quoted[..end]);
        quoted = &quoted[end + 1..];
        match quoted.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                quoted = more;
            }
            None if quoted.is_empty() || quoted.starts_with([',', '\n', '\r']) => {
                return Ok((field, quoted));
            }
            None => return Err("text after a closing quotation mark"),
        }
    }
}
