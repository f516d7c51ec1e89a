//! Matrices of other programs with an id for each row: what numpy.save or safetensors wrote.
//!
//! ```text
//! <name>.npy           N × D, C order, f16, f32 or f64     <name>.ids.txt beside it: an id a line, N lines
//! <name>.safetensors   tensor `vectors`, N × D, F16, BF16, F32 or F64     metadata `ids`: the same lines
//! ```
//!
//! The ids are kept in memory, sorted; a row is read from disk when it is asked for. So a million rows
//! cost the bytes of their ids and eight more each. A file that another program cuts short meanwhile gives
//! an error for its rows, where a mapped one would end the process.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::files;

/// What an `.npy` file begins with.
const NPY: &[u8] = b"\x93NUMPY";
/// Most bytes of the header of an `.npy` file.
const MOST_NPY_HEADER: u64 = 1 << 16;
/// Most bytes of the header of a safetensors file, as its own library has it.
const MOST_HEADER: u64 = 100_000_000;
/// The tensor with the rows.
const TENSOR: &str = "vectors";
/// The ending of the ids beside an `.npy` file.
const IDS_ENDING: &str = "ids.txt";
/// The metadata key with the ids of a safetensors file.
const IDS_KEY: &str = "ids";

/// A matrix on disk and the ids of its rows. Shared between workers.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    file: Mutex<files::Reader>,
    place: Rows,
    ids: Ids,
}

/// How the rows lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    number: Number,
    rows: usize,
    columns: usize,
    /// Where the first one begins, in bytes.
    start: u64,
}

/// The type of a value, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The values of a row. All types are exact in f64.
    fn values(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Self::F16 => values(bytes, |b| f16::from_le_bytes(b).to_f64()),
            Self::Bf16 => values(bytes, |b| bf16::from_le_bytes(b).to_f64()),
            Self::F32 => values(bytes, |b| f64::from(f32::from_le_bytes(b))),
            Self::F64 => values(bytes, f64::from_le_bytes),
        }
    }
}

fn values<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (values, _) = bytes.as_chunks::<N>();
    values.iter().map(|bytes| value(*bytes)).collect()
}

impl Table {
    /// Opens a file and its ids. What its header promises is compared with its size; no row is read yet.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Data`] when it is no such matrix, or its ids are
    /// not one for each row.
    pub fn open(path: &Path) -> Result<Self> {
        let refuse = |problem: String| Error::data(path, problem);
        let read = |error| Error::io("read", path)(error);
        let (mut file, size) = files::open(path).map_err(read)?;
        let mut first = [0; 8];
        let whole = file.read_exact(&mut first).is_ok();
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        let place;
        let (ids, of_ids);
        if whole && first.starts_with(NPY) {
            let mut head = Vec::new();
            Read::take(&mut file, MOST_NPY_HEADER).read_to_end(&mut head).map_err(read)?;
            place = npy(&head).map_err(refuse)?;
            of_ids = path.with_extension(IDS_ENDING);
            ids = text_beside(path, &of_ids)?;
        } else if whole && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
            let length = u64::from_le_bytes(first);
            if length > MOST_HEADER.min(size - 8) {
                return Err(refuse("no safetensors file, or one that is cut short".to_owned()));
            }
            let mut head = vec![0; length as usize];
            file.seek(SeekFrom::Start(8)).map_err(read)?;
            file.read_exact(&mut head).map_err(read)?;
            (place, ids) = safetensors(&head).map_err(refuse)?;
            of_ids = path.to_owned();
        } else {
            return Err(refuse(
                "neither an .npy file (numpy.save, not numpy.savez) nor a .safetensors file"
                    .to_owned(),
            ));
        }
        if place.rows == 0 || place.columns == 0 {
            let (rows, columns) = (place.rows, place.columns);
            return Err(refuse(format!("{rows} × {columns} values: nothing in it")));
        }
        let end = (place.rows as u64)
            .checked_mul((place.columns * place.number.bytes()) as u64)
            .and_then(|bytes| bytes.checked_add(place.start));
        if end.is_none_or(|end| end > size) {
            return Err(refuse(format!(
                "{size} bytes are too few for {} × {} values; it is cut short, or still being written",
                place.rows, place.columns
            )));
        }
        let ids = Ids::parse(ids).map_err(|problem| Error::data(&of_ids, problem))?;
        if ids.len() != place.rows {
            return Err(Error::data(
                &of_ids,
                format!("{} ids for the {} rows of {}", ids.len(), place.rows, path.display()),
            ));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), place, ids })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows, N.
    pub fn rows(&self) -> usize {
        self.place.rows
    }

    /// Values of a row, D.
    pub fn columns(&self) -> usize {
        self.place.columns
    }

    /// The id of a row, without a `./` or `/` before it.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn id(&self, row: usize) -> &str {
        self.ids.line(row)
    }

    /// The row of an id, if there is one.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.ids.find(id)
    }

    /// Bytes that are kept in memory.
    pub fn bytes(&self) -> u64 {
        (self.ids.text.len() + 8 * self.ids.len()) as u64
    }

    /// The values of a row as they are, D of them.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> Result<Vec<f64>> {
        assert!(row < self.place.rows, "row {row} of {}", self.place.rows);
        let mut bytes = vec![0; self.place.columns * self.place.number.bytes()];
        let at = self.place.start + row as u64 * bytes.len() as u64;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(Error::io("read", &self.path))?;
        drop(file);
        Ok(self.place.number.values(&bytes))
    }
}

/// The ids of an `.npy` file.
fn text_beside(path: &Path, ids: &Path) -> Result<String> {
    files::read_text(ids).map_err(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            return Error::io("read", ids)(error);
        }
        Error::Missing {
            what: format!("{} (the ids of the rows of {})", ids.display(), path.display()),
            hint: "write one, with a line for each row".into(),
        }
    })
}

/// Ids by row, and sorted.
#[derive(Debug)]
struct Ids {
    text: String,
    /// Where each line begins.
    starts: Vec<u32>,
    /// Rows in the order of their ids.
    order: Vec<u32>,
}

impl Ids {
    fn parse(mut text: String) -> Result<Self, String> {
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        if u32::try_from(text.len()).is_err() {
            return Err("more than 4 GiB of ids".to_owned());
        }
        let lines = text.split('\n').scan(0, |at, line| {
            let start = *at;
            *at += line.len() as u32 + 1;
            Some(start)
        });
        let starts: Vec<u32> = if text.is_empty() { Vec::new() } else { lines.collect() };
        let mut ids = Self { order: (0..starts.len() as u32).collect(), text, starts };
        if let Some(row) = (0..ids.len()).find(|&row| ids.line(row).is_empty()) {
            return Err(format!("line {} is empty", row + 1));
        }
        let mut order = std::mem::take(&mut ids.order);
        order.sort_by(|&a, &b| ids.line(a as usize).cmp(ids.line(b as usize)).then(a.cmp(&b)));
        let twice =
            order.windows(2).find(|pair| ids.line(pair[0] as usize) == ids.line(pair[1] as usize));
        if let Some(&[a, b]) = twice {
            let id = ids.line(a as usize).escape_debug();
            return Err(format!("`{id}` stands in lines {} and {}", a + 1, b + 1));
        }
        Ok(Self { order, ..ids })
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn line(&self, row: usize) -> &str {
        let end = self.starts.get(row + 1).map_or(self.text.len(), |&next| next as usize - 1);
        let line = &self.text[self.starts[row] as usize..end];
        let line = if row == 0 { line.trim_start_matches('\u{feff}') } else { line };
        plain_start(line.trim_end_matches('\r'))
    }

    fn find(&self, id: &str) -> Option<usize> {
        let id = plain_start(id);
        let found = self.order.binary_search_by(|&row| self.line(row as usize).cmp(id));
        found.ok().map(|at| self.order[at] as usize)
    }
}

/// A path without what says only where it begins.
fn plain_start(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path).trim_start_matches('/')
}

/// What the head of an `.npy` file says of its rows.
fn npy(head: &[u8]) -> Result<Rows, String> {
    let cut = || "its header is cut short".to_owned();
    // The magic bytes, two of the version, the length of the header.
    let (length, start) = match head.get(6).ok_or_else(cut)? {
        1 => {
            let bytes = head.get(8..10).ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes([bytes[0], bytes[1]])), 10)
        }
        _ => {
            let bytes = head.get(8..12).ok_or_else(cut)?;
            (u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize, 12)
        }
    };
    let text = head.get(start..start + length).ok_or_else(cut)?;
    let text = String::from_utf8_lossy(text);
    let field = |name: &str| {
        let rest = text.split_once(&format!("'{name}':")).map(|(_, rest)| rest.trim_start());
        rest.ok_or_else(|| format!("its header has no `{name}`"))
    };
    let again = "save it with numpy.save(…, numpy.ascontiguousarray(vectors, dtype=numpy.float32))";
    let kind = field("descr")?;
    let kind = kind.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let kind = kind.map_or("a table of several columns", |(kind, _)| kind);
    let number = match kind {
        "<f2" => Number::F16,
        "<f4" => Number::F32,
        "<f8" => Number::F64,
        other => {
            let other = other.escape_debug();
            return Err(format!("values of type {other}, not 16-, 32- or 64-bit floats; {again}"));
        }
    };
    if field("fortran_order")?.starts_with("True") {
        return Err(format!("in Fortran order, column by column; {again}"));
    }
    let shape = field("shape")?;
    let shape = shape.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let shape = shape.map(|(shape, _)| shape).ok_or("its header has no shape")?;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    let sides: Result<Vec<usize>, String> =
        sides.map(|side| side.parse().map_err(|_| format!("its shape is ({shape})"))).collect();
    rows(&sides?, number, (start + length) as u64)
}

/// One tensor in the header of a safetensors file.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// What the header of a safetensors file says of its rows, and their ids.
fn safetensors(head: &[u8]) -> Result<(Rows, String), String> {
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(head).map_err(|e| format!("no safetensors file ({e})"))?;
    let entry = entries.get(TENSOR).ok_or_else(|| {
        let names = entries.keys().filter(|name| *name != "__metadata__");
        let names: Vec<String> = names.map(|name| format!("`{}`", name.escape_debug())).collect();
        format!("no tensor `{TENSOR}` in it; it has {}", names.join(", "))
    })?;
    let entry: Entry = serde_json::from_value(entry.clone()).map_err(|e| e.to_string())?;
    let number = match entry.dtype.as_str() {
        "F16" => Number::F16,
        "BF16" => Number::Bf16,
        "F32" => Number::F32,
        "F64" => Number::F64,
        other => {
            let other = other.escape_debug();
            return Err(format!("`{TENSOR}` has values of type {other}, not floats"));
        }
    };
    let ids = entries.get("__metadata__").and_then(|of_file| of_file[IDS_KEY].as_str());
    let ids = ids.ok_or_else(|| {
        format!(
            "no ids in its metadata; save it with metadata={{\"{IDS_KEY}\": \"\\n\".join(ids)}}"
        )
    })?;
    let start = entry.data_offsets[0].checked_add(8 + head.len() as u64);
    let start = start.ok_or("its offsets are no offsets")?;
    let rows = rows(&entry.shape, number, start)?;
    let bytes = rows.rows.checked_mul(rows.columns * number.bytes()).map(|bytes| bytes as u64);
    if entry.data_offsets[1].checked_sub(entry.data_offsets[0]) != bytes {
        return Err(format!("`{TENSOR}` has not as many bytes as values"));
    }
    Ok((rows, ids.to_owned()))
}

fn rows(shape: &[usize], number: Number, start: u64) -> Result<Rows, String> {
    match *shape {
        // So that the bytes of a row are a number too.
        [rows, columns] if columns <= u32::MAX as usize => {
            Ok(Rows { number, rows, columns, start })
        }
        _ => Err(format!("an array of shape {shape:?}, where N × D belongs: a row for each image")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Vec<u8> {
        let length = (text.len() as u16).to_le_bytes();
        [NPY, &[1, 0], &length, text.as_bytes()].concat()
    }

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let text = "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 4), }          \n";
        let found = npy(&header(text)).unwrap();
        let start = 10 + text.len() as u64;
        assert_eq!(found, Rows { number: Number::F16, rows: 3, columns: 4, start });
        for (text, words) in [
            ("{'descr': '<i8', 'fortran_order': False, 'shape': (3, 4), }", "type <i8"),
            ("{'descr': '>f4', 'fortran_order': False, 'shape': (3, 4), }", "type >f4"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", "several"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4), }", "Fortran"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "shape [3]"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, -4), }", "(3, -4)"),
            ("{'descr': '<f4', 'fortran_order': False}", "no `shape`"),
            ("{}", "no `descr`"),
        ] {
            let text = npy(&header(text)).unwrap_err();
            assert!(text.contains(words), "{text}");
        }
        // Cut anywhere, it is refused and nothing worse.
        let whole = header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }");
        for end in 0..whole.len() {
            assert!(npy(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn ids_are_found_however_many_and_however_ended() {
        let ids = Ids::parse("\u{feff}./b/a.jpg\r\n/c\r\na\n\n".into()).unwrap();
        assert_eq!(ids.len(), 3);
        assert_eq!((0..3).map(|row| ids.line(row)).collect::<Vec<_>>(), ["b/a.jpg", "c", "a"]);
        assert_eq!(["b/a.jpg", "c", "a"].map(|id| ids.find(id)), [Some(0), Some(1), Some(2)]);
        assert_eq!(["", "b", "b/a", "d"].map(|id| ids.find(id)), [None; 4]);
        assert_eq!(Ids::parse(String::new()).unwrap().len(), 0);
        let text = Ids::parse("a\nb\na\n".into()).unwrap_err();
        assert_eq!(text, "`a` stands in lines 1 and 3");
        assert_eq!(Ids::parse("a\n\nb\n".into()).unwrap_err(), "line 2 is empty");
    }

    #[test]
    fn every_type_of_value_is_exact() {
        let expected = [0.5, -2.0];
        let of: [(Number, Vec<u8>); 4] = [
            (Number::F16, expected.iter().flat_map(|&v| f16::from_f64(v).to_le_bytes()).collect()),
            (
                Number::Bf16,
                expected.iter().flat_map(|&v| bf16::from_f64(v).to_le_bytes()).collect(),
            ),
            (Number::F32, expected.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect()),
            (Number::F64, expected.iter().flat_map(|&v| v.to_le_bytes()).collect()),
        ];
        for (number, bytes) in of {
            assert_eq!(bytes.len(), 2 * number.bytes());
            assert_eq!(number.values(&bytes), expected);
        }
    }
}
