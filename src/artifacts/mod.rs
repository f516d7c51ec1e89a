//! Everything fvtool stores: safetensors files with a header that says what they are.
//!
//! An artifact is a [safetensors](https://github.com/huggingface/safetensors) file, readable in
//! Python in one line. Its string metadata hold, under `fvtool.*` keys: `kind`, `format` (version
//! of this layout), `tool` (version of the program), `fingerprint`, `inputs` (JSON: what the
//! fingerprint covers), `report` (JSON: what happened while it was made) and `checksum` (BLAKE3 of
//! the whole file, with the checksum itself read as zeros). See `docs/FORMATS.md`.
//!
//! Files appear whole or not at all ([`write_atomically`]); values are finite, which is checked
//! when they are written.

mod atomic;
mod compressed;
mod foreign;
mod map;
mod npy;
mod seal;
mod shards;
mod table;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, Metadata, SafeTensors};
use serde_json::Value;

use crate::error::{Error, Result};

pub use atomic::{
    Hold, RunLock, Target, abandon_partial_files, is_writing, remove_partials, take,
    write_among_others, write_atomically,
};
pub use compressed::{compress, compressed_len, expand};
pub use foreign::Foreign;
pub use npy::Npy;
pub use seal::{check_seal, require_own, sealed};
pub use shards::{Shards, VECTORS};
pub use table::Table;

/// Version of the layout of artifacts. A file of another version is refused.
pub const FORMAT: &str = "3";

/// Tensor data start at a multiple of this, so that a mapped file can be read in place.
const ALIGNMENT: usize = 64;

const CHECKSUM_PLACEHOLDER: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// What an artifact says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// What it is: `sample`, `pca`, `gmm`, `fisher`, `svm`, `image`.
    pub kind: String,
    /// Hash of all that it depends on; equal fingerprints mean equal contents.
    pub fingerprint: String,
    /// What the fingerprint covers: settings, parents' fingerprints, data.
    pub inputs: Value,
    /// What happened while it was made.
    pub report: Value,
}

/// Values of one tensor, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// 16-bit floats.
    F16(&'a [f16]),
    /// Bytes: compressed vectors.
    U8(&'a [u8]),
    /// Small whole numbers: labels.
    I8(&'a [i8]),
    /// Whole numbers: classes.
    U32(&'a [u32]),
}

impl Values<'_> {
    fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::F16(_) => "F16",
            Self::U8(_) => "U8",
            Self::I8(_) => "I8",
            Self::U32(_) => "U32",
        }
    }

    /// Their bytes, as they are stored.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::F16(values) => bytemuck::cast_slice(values),
            Self::U8(values) => values,
            Self::I8(values) => bytemuck::cast_slice(values),
            Self::U32(values) => bytemuck::cast_slice(values),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U32(values) => values.len(),
        }
    }

    fn is_finite(&self) -> bool {
        match self {
            Self::F32(values) => values.iter().all(|v| v.is_finite()),
            Self::F16(values) => values.iter().all(|v| v.is_finite()),
            Self::U8(_) | Self::I8(_) | Self::U32(_) => true,
        }
    }
}

/// A named tensor to be written.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Values<'a>,
}

impl<'a> Tensor<'a> {
    /// A tensor of f32 values.
    pub fn f32(name: &'a str, shape: impl Into<Vec<usize>>, values: &'a [f32]) -> Self {
        Self { name, shape: shape.into(), values: Values::F32(values) }
    }
}

/// Writes an artifact, whole or not at all, into a folder that this process has for itself.
///
/// # Errors
/// [`Error::Numerical`] when a value is NaN or infinite, [`Error::Io`] when the disk refuses.
pub fn write(path: &Path, header: &Header, tensors: &[Tensor<'_>]) -> Result<()> {
    let text = text_of(path, header, tensors)?;
    write_atomically(path, |file| put(&text, tensors, file))
}

/// As [`write()`], into a folder that anyone may be writing to.
///
/// # Errors
/// As [`write()`].
pub fn write_description(path: &Path, header: &Header, tensors: &[Tensor<'_>]) -> Result<()> {
    let text = text_of(path, header, tensors)?;
    write_among_others(path, |file| put(&text, tensors, file))
}

fn put(text: &str, tensors: &[Tensor<'_>], file: &mut dyn Write) -> io::Result<()> {
    file.write_all(&(text.len() as u64).to_le_bytes())?;
    file.write_all(text.as_bytes())?;
    tensors.iter().try_for_each(|tensor| file.write_all(tensor.values.bytes()))
}

/// The header of an artifact with its checksum.
fn text_of(path: &Path, header: &Header, tensors: &[Tensor<'_>]) -> Result<String> {
    for tensor in tensors {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len(), "{}", tensor.name);
        if !tensor.values.is_finite() {
            let problem =
                format!("`{}` for {} has a NaN or an infinity", tensor.name, path.display());
            return Err(Error::Numerical { what: "artifact", problem });
        }
    }
    let mut text = header_text(header, tensors);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    tensors.iter().for_each(|tensor| {
        hasher.update(tensor.values.bytes());
    });
    // The metadata come first and the checksum first in them; later zeros are somebody's values.
    text = text.replacen(CHECKSUM_PLACEHOLDER, &hasher.finalize().to_hex(), 1);
    Ok(text)
}

/// The safetensors header, padded so that the data are aligned.
fn header_text(header: &Header, tensors: &[Tensor<'_>]) -> String {
    let mut entries = serde_json::Map::new();
    let metadata = BTreeMap::from([
        ("fvtool.checksum", CHECKSUM_PLACEHOLDER.to_owned()),
        ("fvtool.fingerprint", header.fingerprint.clone()),
        ("fvtool.format", FORMAT.to_owned()),
        ("fvtool.inputs", header.inputs.to_string()),
        ("fvtool.kind", header.kind.clone()),
        ("fvtool.report", header.report.to_string()),
        ("fvtool.tool", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    entries.insert("__metadata__".into(), serde_json::json!(metadata));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.values.bytes().len();
        let entry = serde_json::json!({
            "dtype": tensor.values.dtype(), "shape": tensor.shape, "data_offsets": [offset, end],
        });
        entries.insert(tensor.name.to_owned(), entry);
        offset = end;
    }
    let mut text = Value::Object(entries).to_string();
    // Spaces may follow the JSON; eight bytes of length precede it.
    while !(text.len() + 8).is_multiple_of(ALIGNMENT) {
        text.push(' ');
    }
    text
}

/// An opened artifact; its data stay on disk until they are read.
#[derive(Debug)]
pub struct Artifact {
    path: PathBuf,
    bytes: map::Mapped,
    header: Header,
    format: String,
    tool: String,
    checksum: String,
    metadata: Metadata,
    data_start: usize,
}

impl Artifact {
    /// Opens `path` and reads its header. The data are not checked: see [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Artifact`] when it is not an fvtool artifact,
    /// is damaged, or has another format version.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = map::Mapped::open(path)?;
        let damaged = |why: String| damaged(path, &why);
        let (header_len, metadata) = SafeTensors::read_metadata(bytes.as_slice()).map_err(|e| {
            // It may be anybody's file: nobody is told to delete a photograph.
            let problem = format!(
                "not an artifact of fvtool, or a damaged one (its header cannot be read: {e}); if \
                 it lies in the place of one, move it away and run the same command again"
            );
            Error::artifact(path, problem)
        })?;
        let data_start = header_len + 8;
        let mut fields = metadata.metadata().clone().unwrap_or_default();
        let mut field = |key: &str| {
            fields.remove(&format!("fvtool.{key}")).ok_or_else(|| {
                let problem = format!(
                    "not an artifact of fvtool (no `fvtool.{key}` in its metadata); if it lies in \
                     the place of one, move it away and run the same command again"
                );
                Error::artifact(path, problem)
            })
        };
        let format = field("format")?;
        if format != FORMAT {
            let problem = format!(
                "format version {format}, this program reads {FORMAT}; make it again with --refit, or use the fvtool that wrote it"
            );
            return Err(Error::artifact(path, problem));
        }
        let json = |text: String| {
            serde_json::from_str(&text).map_err(|e| damaged(format!("its metadata: {e}")))
        };
        let header = Header {
            kind: field("kind")?,
            fingerprint: field("fingerprint")?,
            inputs: json(field("inputs")?)?,
            report: json(field("report")?)?,
        };
        let (tool, checksum) = (field("tool")?, field("checksum")?);
        let length = data_start
            + metadata.tensors().values().map(|info| info.data_offsets.1).max().unwrap_or(0);
        if bytes.as_slice().len() != length {
            let got = bytes.as_slice().len();
            return Err(damaged(format!("{got} bytes instead of {length}")));
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
            header,
            format,
            tool,
            checksum,
            metadata,
            data_start,
        })
    }

    /// Opens `path`, which must be of `kind` and undamaged.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`verify`](Self::verify); [`Error::Artifact`] for another kind.
    pub fn open_verified(path: &Path, kind: &str) -> Result<Self> {
        let artifact = Self::open(path)?;
        artifact.verify()?;
        if artifact.header.kind != kind {
            let problem = format!("is a `{}`, not a `{kind}`", artifact.header.kind);
            return Err(Error::artifact(path, problem));
        }
        Ok(artifact)
    }

    /// Compares the whole file with its checksum.
    ///
    /// # Errors
    /// [`Error::Artifact`] when they differ.
    pub fn verify(&self) -> Result<()> {
        let checksum = self.bytes.streamed(|bytes| {
            let (head, data) = bytes.split_at(self.data_start);
            let text = String::from_utf8_lossy(&head[8..]);
            let blank = text.replacen(&self.checksum, CHECKSUM_PLACEHOLDER, 1);
            let mut hasher = blake3::Hasher::new();
            hasher.update(&head[..8]).update(blank.as_bytes()).update(data);
            hasher.finalize()
        });
        if checksum.to_hex().as_str() == self.checksum {
            Ok(())
        } else {
            Err(damaged(&self.path, "its checksum does not fit its contents"))
        }
    }

    /// What it says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Version of its layout.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Version of the program that wrote it.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names, types and shapes of its tensors, in the order of the data.
    pub fn tensors(&self) -> Vec<(String, String, Vec<usize>)> {
        self.metadata
            .offset_keys()
            .into_iter()
            .filter_map(|name| {
                let info = self.metadata.info(&name)?;
                Some((name, format!("{:?}", info.dtype), info.shape.clone()))
            })
            .collect()
    }

    /// The f32 tensor `name` and its shape.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it is missing or of another type.
    pub fn f32(&self, name: &str) -> Result<(&[usize], &[f32])> {
        match self.values(name)? {
            (shape, Values::F32(values)) => Ok((shape, values)),
            _ => Err(damaged(&self.path, &format!("tensor `{name}` is not f32"))),
        }
    }

    /// The two-dimensional f32 tensor `name`.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it is missing or of another type or shape.
    pub fn matrix(&self, name: &str) -> Result<ndarray::ArrayView2<'_, f32>> {
        let (shape, values) = self.f32(name)?;
        let &[rows, columns] = shape else {
            return Err(damaged(&self.path, &format!("tensor `{name}` is not a matrix")));
        };
        ndarray::ArrayView2::from_shape((rows, columns), values)
            .map_err(|e| damaged(&self.path, &format!("tensor `{name}`: {e}")))
    }

    /// The tensor `name` and its shape.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it is missing or of a type that fvtool does not write.
    pub fn values(&self, name: &str) -> Result<(&[usize], Values<'_>)> {
        let missing = || damaged(&self.path, &format!("tensor `{name}` is missing"));
        let info = self.metadata.info(name).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let bytes = &self.bytes.as_slice()[self.data_start + start..self.data_start + end];
        let misplaced = |_| damaged(&self.path, &format!("tensor `{name}` is not aligned"));
        let values = match info.dtype {
            Dtype::F32 => Values::F32(bytemuck::try_cast_slice(bytes).map_err(misplaced)?),
            Dtype::F16 => Values::F16(bytemuck::try_cast_slice(bytes).map_err(misplaced)?),
            Dtype::U8 => Values::U8(bytes),
            Dtype::I8 => Values::I8(bytemuck::cast_slice(bytes)),
            Dtype::U32 => Values::U32(bytemuck::try_cast_slice(bytes).map_err(misplaced)?),
            other => {
                return Err(damaged(&self.path, &format!("tensor `{name}` has type {other:?}")));
            }
        };
        Ok((&info.shape, values))
    }
}

/// Bytes of a file's head in which an artifact of fvtool, even a damaged one, names it.
const HEAD: u64 = 1 << 16;

/// Whether a file was surely begun as an artifact by fvtool, be it damaged since, and so may be made
/// again in its place.
pub fn is_ours(path: &Path) -> bool {
    let name = b"fvtool.";
    crate::files::read_start(path, HEAD)
        .is_ok_and(|head| head.is_empty() || head.windows(name.len()).any(|window| window == name))
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::artifact(path, format!("damaged ({why}); delete it and run the same command again"))
}
