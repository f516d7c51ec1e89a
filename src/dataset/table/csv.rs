//! Tables of comma- or tab-separated values.
//!
//! The separator is the one of comma, semicolon and tab that stands most often in the first line. Without a
//! known name among the columns, the first line is one of data where its first field ends like an image:
//! paths, then labels.

use std::path::Path;

use super::columns::Columns;
use super::rows::{MOST_BYTES, Row, Rows};
use crate::dataset::names;
use crate::dataset::params::Params;
use crate::error::{Error, Result};
use crate::files;
use crate::words::listed;

/// Bytes in which the first line of a table ends.
const FIRST_LINE: u64 = 1 << 16;

/// Separators of several labels in a field, where `data.label_separator` is empty.
const SEPARATORS: &[char] = &['|', ';'];

/// Reads a table.
///
/// # Errors
/// [`Error::Data`] with the line of what cannot be read, and for a table whose columns are not known;
/// [`Error::Io`]; [`Error::Setting`] for a column that is not there.
pub(super) fn read(path: &Path, params: &Params) -> Result<Rows> {
    let bytes = files::read(path, MOST_BYTES).map_err(Error::io("read", path))?;
    parse(path, &bytes, params)
}

/// As [`read`], of the bytes of a table.
fn parse(path: &Path, bytes: &[u8], params: &Params) -> Result<Rows> {
    of_records(path, records(path, bytes)?, params)
}

/// Whether the first line of a table names columns of paths and labels, or is a row of them.
pub(super) fn is_of_labels(path: &Path, params: &Params) -> bool {
    let Ok(mut start) = files::read_start(path, FIRST_LINE) else { return false };
    let end = start.iter().position(|&byte| byte == b'\n').unwrap_or(start.len());
    start.truncate(end);
    let Ok(records) = records(path, &start) else { return false };
    let Some((_, header)) = records.first() else { return false };
    let bare = header.len() == 2 && names::image_rank(&header[0]).is_some();
    bare || Columns::of(header, params).is_ok_and(|columns| columns.is_some())
}

/// The lines of a table with their numbers.
pub(in crate::dataset) fn records(path: &Path, bytes: &[u8]) -> Result<Vec<(usize, Vec<String>)>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        let problem = format!("line {line} is not UTF-8; save the table as CSV in UTF-8");
        Error::data(path, problem)
    })?;
    let first = text.lines().next().unwrap_or_default();
    let separator = [b',', b';', b'\t'].into_iter().max_by_key(|&separator| {
        // The first of equals: `max_by_key` gives the last.
        let count = first.bytes().filter(|&byte| byte == separator).count();
        (count, std::cmp::Reverse(separator == b'\t'), separator == b',')
    });
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(separator.unwrap_or(b','));
    reader.trim(csv::Trim::All);
    let mut reader = reader.from_reader(text.as_bytes());
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Error::data(path, error.to_string()))?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        records.push((line, record.iter().map(str::to_owned).collect::<Vec<String>>()));
    }
    Ok(records)
}

fn of_records(
    path: &Path,
    mut records: Vec<(usize, Vec<String>)>,
    params: &Params,
) -> Result<Rows> {
    if records.is_empty() {
        return Err(Error::data(path, "an empty table"));
    }
    let header = &records[0].1;
    let (columns, note) = match Columns::of(header, params)? {
        Some(columns) => {
            let note = columns.in_words(header);
            records.remove(0);
            (columns, note)
        }
        None if header.len() >= 2 && names::image_rank(&header[0]).is_some() => {
            let columns = Columns { path: 0, label: 1, split: None, group: None, bounds: None };
            (columns, "no header: paths in the first column, labels in the second".to_owned())
        }
        None => {
            let problem = format!(
                "no column is known as that of paths, or of labels; the columns are {}; name them with \
                 --set data.path_column=… and --set data.label_column=…",
                listed(header)
            );
            return Err(Error::data(path, problem));
        }
    };
    let separator = separator_of(&records, columns.label, &params.label_separator);
    let (mut rows, mut without_path) = (Vec::with_capacity(records.len()), 0);
    for (line, record) in records {
        let field = |column: usize| record.get(column).map(|text| text.trim()).unwrap_or_default();
        let filled = |column: Option<usize>| {
            column.map(field).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        if field(columns.path).is_empty() {
            without_path += 1;
            continue;
        }
        let labels = field(columns.label);
        let labels: Vec<String> = match &separator {
            Some(separator) => labels.split(separator.as_str()).map(str::trim).collect(),
            None => vec![labels],
        }
        .into_iter()
        .filter(|label| !label.is_empty())
        .map(str::to_owned)
        .collect();
        rows.push(Row {
            line,
            path: field(columns.path).to_owned(),
            labels,
            split: filled(columns.split),
            group: filled(columns.group),
            bounds: bounds(path, line, &columns, &field)?,
        });
    }
    let left_out =
        if without_path > 0 { vec![("rows without a path", without_path)] } else { vec![] };
    let row_for_each_label = columns.bounds.is_some();
    Ok(Rows { rows, left_out, note, row_for_each_label, several: separator.is_some() })
}

/// What stands between several labels: the setting, or a sign that some field has.
fn separator_of(records: &[(usize, Vec<String>)], label: usize, setting: &str) -> Option<String> {
    if !setting.is_empty() {
        return Some(setting.to_owned());
    }
    let has = |sign: &&char| {
        records
            .iter()
            .any(|(_, record)| record.get(label).is_some_and(|text| text.contains(**sign)))
    };
    SEPARATORS.iter().find(has).map(char::to_string)
}

fn bounds<'f>(
    path: &Path,
    line: usize,
    columns: &Columns,
    field: &dyn Fn(usize) -> &'f str,
) -> Result<Option<[f32; 4]>> {
    let Some(of_box) = columns.bounds else { return Ok(None) };
    let texts = of_box.map(field);
    if texts.iter().all(|text| text.is_empty()) {
        return Ok(None);
    }
    let numbers = texts.map(|text| text.parse::<f32>().ok().filter(|number| number.is_finite()));
    let [Some(left), Some(top), Some(right), Some(bottom)] = numbers else {
        let problem =
            format!("line {line}: a box of {}, where four numbers belong", texts.join(", "));
        return Err(Error::data(path, problem));
    };
    if left > right || top > bottom {
        let problem =
            format!("line {line}: a box that ends before it begins: {}", texts.join(", "));
        return Err(Error::data(path, problem));
    }
    Ok(Some([left, top, right, bottom]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Rows> {
        parse(Path::new("labels.csv"), text.as_bytes(), &Params::default())
    }

    #[test]
    fn separators_quotes_and_marks_are_understood() {
        for text in [
            "\u{feff}path,label\na.jpg,\"cat, black\"\r\nb.jpg,dog\n\n",
            "Path;Label\na.jpg;cat, black\nb.jpg;dog",
            "path\tlabel\na.jpg\tcat, black\nb.jpg\tdog\n",
        ] {
            let found = rows(text).unwrap();
            let got: Vec<(&str, &[String])> =
                found.rows.iter().map(|row| (row.path.as_str(), &row.labels[..])).collect();
            assert_eq!(
                got,
                [("a.jpg", &["cat, black".into()][..]), ("b.jpg", &["dog".into()][..])]
            );
            assert!(found.note.to_lowercase().contains("paths in `path`"), "{}", found.note);
        }
        let several =
            rows("file,labels,set\na.jpg,cat|dog,train\nb.jpg,,test\n,cat,test\n").unwrap();
        assert_eq!(several.rows[0].labels, ["cat", "dog"]);
        assert!(several.rows[1].labels.is_empty() && several.several);
        assert_eq!(several.rows[1].split.as_deref(), Some("test"));
        assert_eq!(several.left_out, [("rows without a path", 1)]);
        let bare = rows("a.jpg,cat\nb.jpg,dog\n").unwrap();
        assert_eq!((bare.rows.len(), bare.rows[0].line), (2, 1));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let refused = |text: &str| rows(text).map(|_| ()).unwrap_err().to_string();
        assert!(refused("").contains("an empty table"));
        let text = refused("a,b\n1,2\n");
        assert!(
            text.contains("data.label_column") && text.contains("the columns are a, b"),
            "{text}"
        );
        let text = refused("path,label,xmin,ymin,xmax,ymax\na.jpg,cat,1,2,3,x\n");
        assert!(text.contains("line 2"), "{text}");
        let text =
            refused("path,label,xmin,ymin,xmax,ymax\na.jpg,cat,1,2,3,4\nb.jpg,cat,9,2,3,4\n");
        assert!(text.contains("line 3") && text.contains("ends before"), "{text}");
    }
}
