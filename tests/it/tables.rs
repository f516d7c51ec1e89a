//! Readers of the tables that an evaluation writes, by their formats alone: RFC 4180 and VOC results.

use fvtool::evaluation::Scores;
use fvtool::plain;
use ndarray::Array2;

/// The records of RFC 4180 text.
pub fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(c),
        }
    }
    assert!(!quoted && record.is_empty() && field.is_empty(), "the last record ends: {text:?}");
    records
}

/// A `scores.csv`.
pub fn scores(text: &str) -> Scores {
    let name = |cell: &String| plain::read_cell(cell).into_owned();
    let records = records(text);
    let (header, rows) = records.split_first().expect("a header");
    assert_eq!(header[0], "id");
    let classes: Vec<String> = header[1..].iter().map(name).collect();
    let values: Vec<f32> =
        rows.iter().flat_map(|row| row[1..].iter().map(|v| v.parse::<f32>().unwrap())).collect();
    let values = Array2::from_shape_vec((rows.len(), classes.len()), values).unwrap();
    Scores { ids: rows.iter().map(|row| name(&row[0])).collect(), classes, values }
}

/// A VOC result file.
pub fn results(text: &str) -> Vec<(String, f32)> {
    let line = |line: &str| {
        let (id, score) = line.split_once(' ').expect("two fields");
        (id.to_owned(), score.parse().unwrap())
    };
    text.lines().map(line).collect()
}
