//! Vectors, labels and names of encoded splits in one file that other programs read.
//!
//! | ending | what it holds |
//! |---|---|
//! | `.npz` | the arrays below; `numpy.load` reads it, and so does scikit-learn through it |
//! | `.csv` | a row for each image: `id`, `split`, `label`, then `x0`, `x1`, … |
//!
//! | array | shape, type | meaning |
//! |---|---|---|
//! | `X` | `n × dim`, f4 | joint vectors as the classifier sees them: channels in order, each times its factor |
//! | `y` | `n`, i8 | number of the image's class; of images with any number of classes `n × C`, i1: 1 shows it, 0 does not, −1 ignored |
//! | `ids` | `n`, U | name of each image |
//! | `splits` | `n`, U | its split |
//! | `classes` | `C`, U | names of classes |
//!
//! An `.npz` is a ZIP archive of `.npy` files (NEP 1), here without compression, so that rows are written as they
//! are read and an archive of any size needs the memory of one row.

use std::io::{self, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::artifacts::{Target, write_among_others};
use crate::dataset::Label;
use crate::linalg::Rows;
use crate::pipeline::{Index, Run};
use crate::{Error, Result, plain};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Images.
    pub images: usize,
    /// Values of a vector.
    pub dim: usize,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The splits, in the order of the rows.
    pub splits: Vec<String>,
}

/// A split: its index and its vectors.
struct Part {
    index: Index,
    vectors: Box<dyn Rows>,
}

/// Writes the vectors of encoded splits (all of them where none is named) to `path`.
///
/// # Errors
/// [`Error::Missing`] for a split that is not encoded, or where none is; [`Error::Data`] for another ending than
/// `.npz` and `.csv`; [`Error::Artifact`] for a file that is there already, for damaged vectors, and for splits of
/// other classes; [`Error::Io`].
pub fn export(run: &Run<'_>, splits: &[String], path: &Path) -> Result<Exported> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if !["npz", "csv"].contains(&ending.as_str()) {
        return Err(Error::data(path, "name a file that ends in .npz (NumPy) or .csv".to_owned()));
    }
    if path.exists() {
        let problem =
            "is there already, and is not replaced; name a new file, or move this one away";
        return Err(Error::artifact(path, problem));
    }
    let names = if splits.is_empty() { run.encoded_splits()? } else { splits.to_vec() };
    if names.is_empty() {
        return Err(Error::Missing {
            what: format!("vectors in {}", run.dir().display()),
            hint: "make them: `fvtool encode --data DATA --split SPLIT --run RUN`".into(),
        });
    }
    let part = |name: &String| {
        let index = run.index(name)?;
        let vectors = Box::new(run.vectors(&index)?);
        Ok(Part { index, vectors })
    };
    let parts: Vec<Part> = names.iter().map(part).collect::<Result<_>>()?;
    let first = &parts[0].index;
    if let Some(other) =
        parts.iter().find(|part| part.index.classes != first.classes || part.index.dim != first.dim)
    {
        let problem = format!(
            "splits `{}` and `{}` are of other classes or settings; export them one by one (--split)",
            first.split, other.index.split
        );
        return Err(Error::artifact(run.dir(), problem));
    }
    let write = |file: &mut dyn Target| match ending.as_str() {
        "npz" => write_npz(&parts, file),
        _ => write_csv(&parts, file),
    };
    write_among_others(path, write)?;
    Ok(Exported {
        images: parts.iter().map(|part| part.index.images.len()).sum(),
        dim: first.dim,
        classes: first.classes.clone(),
        splits: names,
    })
}

/// Calls `each` with every vector.
fn for_each_row(parts: &[Part], mut each: impl FnMut(&[f32]) -> io::Result<()>) -> io::Result<()> {
    let mut scratch = Vec::new();
    for Part { vectors, .. } in parts {
        (0..vectors.len()).try_for_each(|row| each(vectors.row(row, &mut scratch)))?;
    }
    Ok(())
}

fn is_single_label(parts: &[Part]) -> bool {
    parts.iter().all(|part| part.index.single_label)
}

fn write_npz(parts: &[Part], file: &mut dyn Target) -> io::Result<()> {
    let index = &parts[0].index;
    let (classes, dim) = (index.classes.len(), index.dim);
    let images = || parts.iter().flat_map(|part| &part.index.images);
    let n = images().count();
    let mut zip = ZipWriter::new(file);
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    zip.start_file("X.npy", options)?;
    zip.write_all(&header("<f4", &[n, dim]))?;
    let mut bytes = Vec::with_capacity(4 * dim);
    for_each_row(parts, |row| {
        bytes.clear();
        row.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        zip.write_all(&bytes)
    })?;
    zip.start_file("y.npy", options)?;
    if is_single_label(parts) {
        zip.write_all(&header("<i8", &[n]))?;
        for image in images() {
            let class = image.labels.iter().position(|&label| label == 1);
            let class = class.expect("an image of single-label data shows a class") as i64;
            zip.write_all(&class.to_le_bytes())?;
        }
    } else {
        zip.write_all(&header("|i1", &[n, classes]))?;
        for image in images() {
            let label = |&label: &i8| match Label::from_number(label) {
                Label::Yes => 1i8,
                Label::No => 0,
                Label::Ignored => -1,
            };
            let row: Vec<u8> = image.labels.iter().map(|l| label(l).to_le_bytes()[0]).collect();
            zip.write_all(&row)?;
        }
    }
    let ids: Vec<&str> = images().map(|image| image.id.as_str()).collect();
    let splits = parts
        .iter()
        .flat_map(|part| std::iter::repeat_n(part.index.split.as_str(), part.index.images.len()));
    let classes: Vec<&str> = index.classes.iter().map(String::as_str).collect();
    let texts = [("ids", ids), ("splits", splits.collect()), ("classes", classes)];
    for (name, texts) in texts {
        zip.start_file(format!("{name}.npy"), options)?;
        zip.write_all(&npy_texts(&texts))?;
    }
    zip.finish()?;
    Ok(())
}

/// The start of a `.npy` file of version 1.0, up to its values.
fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let mut text =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", sides.join(" "));
    // Magic, version and length take ten bytes; values begin at a multiple of 64.
    let padding = 63 - (10 + text.len()) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Texts as NumPy keeps them: all of the length of the longest, four bytes a character.
fn npy_texts(texts: &[&str]) -> Vec<u8> {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = header(&format!("<U{longest}"), &[texts.len()]);
    for text in texts {
        let characters = text.chars().map(u32::from).chain(std::iter::repeat(0));
        characters.take(longest).for_each(|c| bytes.extend(c.to_le_bytes()));
    }
    bytes
}

fn write_csv(parts: &[Part], file: &mut dyn Target) -> io::Result<()> {
    let index = &parts[0].index;
    let mut text = String::new();
    let columns: Vec<String> = (0..index.dim).map(|column| format!("x{column}")).collect();
    let header = ["id", "split", "label"].into_iter();
    plain::push_record(&mut text, header.chain(columns.iter().map(String::as_str)));
    file.write_all(text.as_bytes())?;
    let mut images = parts
        .iter()
        .flat_map(|part| part.index.images.iter().map(|image| (part.index.split.as_str(), image)));
    for_each_row(parts, |row| {
        let (split, image) = images.next().expect("every vector is of an image");
        let shown = image.labels.iter().zip(&index.classes).filter(|(label, _)| **label == 1);
        let label: Vec<&str> = shown.map(|(_, class)| class.as_str()).collect();
        let label = label.join("|");
        let values: Vec<String> = row.iter().map(f32::to_string).collect();
        let fields = [image.id.as_str(), split, &label].into_iter();
        text.clear();
        plain::push_record(&mut text, fields.chain(values.iter().map(String::as_str)));
        file.write_all(text.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        for shape in [&[3][..], &[2, 70_000], &[]] {
            let bytes = header("<f4", shape);
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(bytes.last(), Some(&b'\n'));
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), bytes.len() - 10);
        }
        let text = String::from_utf8_lossy(&header("<i8", &[3])).into_owned();
        assert!(
            text.contains("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }"),
            "{text}"
        );
        let bytes = npy_texts(&["ab", "ü"]);
        assert!(bytes.ends_with(&[b'a', 0, 0, 0, b'b', 0, 0, 0, 0xfc, 0, 0, 0, 0, 0, 0, 0]));
    }
}
