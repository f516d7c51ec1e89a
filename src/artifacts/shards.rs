//! Fisher vectors of a split as one matrix over several shard files.

use std::ops::Range;
use std::path::Path;

use half::slice::HalfFloatSliceExt;

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
            let &[rows, columns] = artifact.values(VECTORS)?.0 else {
                return Err(Error::artifact(path, "damaged (vectors are not a matrix)"));
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

    /// The stored values of row `i` in the given columns.
    fn values(&self, i: usize, columns: &Range<usize>) -> Values<'_> {
        let shard = self.starts.partition_point(|&start| start <= i) - 1;
        let row = (i - self.starts[shard]) * self.dim;
        let range = row + columns.start..row + columns.end;
        match self.shards[shard].values(VECTORS).expect("checked when opened").1 {
            Values::F32(values) => Values::F32(&values[range]),
            Values::F16(values) => Values::F16(&values[range]),
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

    fn row<'a>(&'a self, i: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        self.segment(i, 0..self.dim, scratch)
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        match self.values(i, &columns) {
            Values::F32(values) => values,
            Values::F16(values) => {
                scratch.resize(columns.len(), 0.0);
                values.convert_to_f32_slice(scratch);
                scratch
            }
        }
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        match self.values(i, &columns) {
            Values::F32(values) => out.copy_from_slice(values),
            Values::F16(values) => values.convert_to_f32_slice(out),
        }
    }
}
