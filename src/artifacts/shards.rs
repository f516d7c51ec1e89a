//! Fisher vectors of a split as one matrix over several shard files.

use std::ops::Range;
use std::path::Path;

use half::slice::HalfFloatSliceExt;

use super::compressed::{compressed_len, expand};
use super::{Artifact, Values};
use crate::error::{Error, Result};
use crate::linalg::Rows;

/// Name of the tensor that holds a shard's vectors.
pub const VECTORS: &str = "vectors";

/// The rows of all shards, in order, mapped from disk.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Artifact>,
    /// First row of every shard, and the number of all rows at the end.
    starts: Vec<usize>,
    dim: usize,
}

impl Shards {
    /// Opens shard files in order and verifies their checksums.
    ///
    /// # Errors
    /// As [`Artifact::open_verified`]; [`Error::Artifact`] when shards do not fit together.
    pub fn open<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let mut starts = vec![0];
        let mut dim = None;
        let mut shards = Vec::new();
        for path in paths {
            let artifact = Artifact::open_verified(path, "fisher")?;
            let (&[rows, stored], values) = artifact.values(VECTORS)? else {
                return Err(Error::artifact(path, "damaged (vectors are not a matrix)"));
            };
            let columns = match values {
                Values::U8(_) => {
                    let dim = artifact.header().report["dim"].as_u64().unwrap_or(0) as usize;
                    if stored != compressed_len(dim) {
                        return Err(Error::artifact(path, "damaged (size of compressed vectors)"));
                    }
                    dim
                }
                Values::F32(_) | Values::F16(_) => stored,
                Values::I8(_) | Values::U32(_) => {
                    return Err(Error::artifact(path, "damaged (vectors of whole numbers)"));
                }
            };
            let dim = *dim.get_or_insert(columns);
            if columns != dim {
                let problem = format!("vectors of {columns} values, others have {dim}");
                return Err(Error::artifact(path, problem));
            }
            starts.push(starts[starts.len() - 1] + rows);
            shards.push(artifact);
        }
        Ok(Self { shards, starts, dim: dim.unwrap_or(0) })
    }

    /// The shard files, in order.
    pub fn artifacts(&self) -> &[Artifact] {
        &self.shards
    }

    /// Row `i` as stored.
    fn stored(&self, i: usize) -> Values<'_> {
        let shard = self.starts.partition_point(|&start| start <= i) - 1;
        let (shape, values) = self.shards[shard].values(VECTORS).expect("checked when opened");
        let start = (i - self.starts[shard]) * shape[1];
        let range = start..start + shape[1];
        match values {
            Values::F32(values) => Values::F32(&values[range]),
            Values::F16(values) => Values::F16(&values[range]),
            Values::U8(values) => Values::U8(&values[range]),
            Values::I8(_) | Values::U32(_) => unreachable!("refused when opened"),
        }
    }
}

impl Rows for Shards {
    fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        match self.stored(i) {
            Values::F32(row) => &row[columns],
            _ => {
                scratch.resize(columns.len(), 0.0);
                self.copy(i, columns, scratch);
                scratch
            }
        }
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        match self.stored(i) {
            Values::F32(row) => out.copy_from_slice(&row[columns]),
            Values::F16(row) => row[columns].convert_to_f32_slice(out),
            Values::U8(row) => expand(row, columns, out),
            Values::I8(_) | Values::U32(_) => unreachable!("refused when opened"),
        }
    }
}
