//! Fisher vectors of a split as one matrix over several shard files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::compressed::{compressed_len, expand};
use super::map::Mapped;
use super::{Artifact, Header, Values};
use crate::error::{Error, Result};
use crate::linalg::Rows;

/// Name of the tensor that holds a shard's vectors.
pub const VECTORS: &str = "vectors";

/// Most shards that are mapped at a time. Linux allows a process 65,530 maps.
const MAPPED: usize = 2048;

/// The rows of all shards, in order, mapped from disk. Where there are more than 2,048 shards, those are
/// mapped that were used last.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Shard>,
    /// First row of every shard, and the number of all rows at the end.
    starts: Vec<usize>,
    dim: usize,
    maps: Maps,
}

/// What is known of a shard without its map.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    header: Header,
    form: Form,
    /// Bytes before the first row, of a row, and of the file.
    start: usize,
    stride: usize,
    size: usize,
}

/// How values are stored.
#[derive(Debug, Clone, Copy)]
enum Form {
    F32,
    F16,
    U8,
}

#[derive(Debug)]
enum Maps {
    All(Vec<Mapped>),
    Few(Mutex<Few>),
}

/// The maps that were used last.
#[derive(Debug)]
struct Few {
    bound: usize,
    /// By the number of the shard, with the time of the last use.
    maps: BTreeMap<usize, (Arc<Mapped>, u64)>,
    time: u64,
}

impl Shards {
    /// Opens shard files in order and verifies their checksums, reading each file once from its beginning
    /// to its end.
    ///
    /// # Errors
    /// As [`Artifact::open_verified`]; [`Error::Artifact`] when shards do not fit together.
    pub fn open<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        Self::open_mapping(paths, MAPPED)
    }

    /// As [`open`](Self::open), with at most `bound` shards mapped at a time.
    fn open_mapping<'a>(paths: impl IntoIterator<Item = &'a Path>, bound: usize) -> Result<Self> {
        let mut starts = vec![0];
        let mut dim = None;
        let (mut shards, mut maps) = (Vec::new(), Vec::new());
        for path in paths {
            let artifact = Artifact::open_verified(path, "fisher")?;
            let (rows, columns, shard) = Shard::of(&artifact)?;
            let dim = *dim.get_or_insert(columns);
            if columns != dim {
                let problem = format!("vectors of {columns} values, others have {dim}");
                return Err(Error::artifact(path, problem));
            }
            starts.push(starts[starts.len() - 1] + rows);
            shards.push(shard);
            // One more than the bound tells that there are too many.
            if shards.len() <= bound {
                maps.push(artifact.bytes);
            } else {
                maps.clear();
            }
        }
        let maps = if shards.len() <= bound {
            Maps::All(maps)
        } else {
            Maps::Few(Mutex::new(Few { bound: bound.max(1), maps: BTreeMap::new(), time: 0 }))
        };
        Ok(Self { shards, starts, dim: dim.unwrap_or(0), maps })
    }

    /// The shard files and their headers, in order.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&Path, &Header)> {
        self.shards.iter().map(|shard| (&*shard.path, &shard.header))
    }

    /// The shard of row `i`, and the place of the row there.
    fn place(&self, i: usize) -> (usize, usize) {
        let shard = self.starts.partition_point(|&start| start <= i) - 1;
        (shard, i - self.starts[shard])
    }

    /// The map of a shard among few; none when the file is gone or is another by now.
    fn map(&self, few: &Mutex<Few>, shard: usize) -> Option<Arc<Mapped>> {
        let mut few = few.lock().unwrap_or_else(PoisonError::into_inner);
        few.time += 1;
        let time = few.time;
        if let Some((map, last)) = few.maps.get_mut(&shard) {
            *last = time;
            return Some(Arc::clone(map));
        }
        let Shard { path, size, .. } = &self.shards[shard];
        let map = Mapped::open(path).ok().filter(|map| map.as_slice().len() == *size)?;
        if few.maps.len() >= few.bound {
            let oldest =
                few.maps.iter().min_by_key(|(_, (_, last))| *last).map(|(&shard, _)| shard);
            oldest.and_then(|oldest| few.maps.remove(&oldest));
        }
        let map = Arc::new(map);
        few.maps.insert(shard, (Arc::clone(&map), time));
        Some(map)
    }
}

impl Shard {
    /// Rows, values of a row, and the rest.
    fn of(artifact: &Artifact) -> Result<(usize, usize, Self)> {
        let damaged = |problem| Err(Error::artifact(artifact.path(), problem));
        let (&[rows, stored], values) = artifact.values(VECTORS)? else {
            return damaged("damaged (vectors are not a matrix)");
        };
        let (form, columns) = match values {
            Values::F32(_) => (Form::F32, stored),
            Values::F16(_) => (Form::F16, stored),
            Values::U8(_) => {
                let dim = artifact.header().report["dim"].as_u64().unwrap_or(0) as usize;
                if stored != compressed_len(dim) {
                    return damaged("damaged (size of compressed vectors)");
                }
                (Form::U8, dim)
            }
        };
        let size = artifact.bytes.as_slice().len();
        let info = artifact.metadata.info(VECTORS).expect("its values were found");
        let shard = Self {
            path: artifact.path().to_owned(),
            header: artifact.header().clone(),
            form,
            start: artifact.data_start + info.data_offsets.0,
            stride: values.bytes().len() / rows.max(1),
            size,
        };
        Ok((rows, columns, shard))
    }

    /// The bytes of some of its rows.
    fn range(&self, rows: Range<usize>) -> Range<usize> {
        self.start + rows.start * self.stride..self.start + rows.end * self.stride
    }

    /// A row as stored.
    fn row<'m>(&self, map: &'m Mapped, row: usize) -> Values<'m> {
        let bytes = &map.as_slice()[self.range(row..row + 1)];
        // Aligned in one map, aligned in every: maps begin at pages.
        match self.form {
            Form::F32 => Values::F32(bytemuck::cast_slice(bytes)),
            Form::F16 => Values::F16(bytemuck::cast_slice::<u8, f16>(bytes)),
            Form::U8 => Values::U8(bytes),
        }
    }
}

/// Writes a row's values in the given columns to `out`.
fn convert(row: Values<'_>, columns: Range<usize>, out: &mut [f32]) {
    match row {
        Values::F32(row) => out.copy_from_slice(&row[columns]),
        Values::F16(row) => row[columns].convert_to_f32_slice(out),
        Values::U8(row) => expand(row, columns, out),
    }
}

/// A row of a shard that can no longer be read is not finite, which whoever reads it refuses by its
/// number.
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
        if let Maps::All(maps) = &self.maps {
            let (shard, row) = self.place(i);
            if let Values::F32(row) = self.shards[shard].row(&maps[shard], row) {
                return &row[columns];
            }
        }
        scratch.resize(columns.len(), 0.0);
        self.copy(i, columns, scratch);
        scratch
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        let (shard, row) = self.place(i);
        let of = &self.shards[shard];
        match &self.maps {
            Maps::All(maps) => convert(of.row(&maps[shard], row), columns, out),
            Maps::Few(few) => match self.map(few, shard) {
                Some(map) => convert(of.row(&map, row), columns, out),
                None => out.fill(f32::NAN),
            },
        }
    }

    /// Whole rows: pages hold many columns.
    fn soon(&self, rows: Range<usize>, _: Range<usize>) {
        let mut start = rows.start;
        while start < rows.end {
            let (shard, row) = self.place(start);
            let end = self.starts[shard + 1].min(rows.end);
            let range = self.shards[shard].range(row..row + end - start);
            match &self.maps {
                Maps::All(maps) => maps[shard].soon(range),
                Maps::Few(few) => {
                    self.map(few, shard).into_iter().for_each(|map| map.soon(range.clone()));
                }
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Tensor, write};
    use super::*;

    /// Five shards of three, none, four, one and two rows of three values, in f32 or f16.
    fn written(folder: &Path, half: bool) -> Vec<PathBuf> {
        let mut next = 0.0f32;
        let shards = [3, 0, 4, 1, 2].into_iter().enumerate();
        let shard = |(number, rows): (usize, usize)| {
            let values: Vec<f32> = std::iter::repeat_with(|| {
                next += 0.25;
                next
            })
            .take(3 * rows)
            .collect();
            let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
            let values = if half { Values::F16(&halves) } else { Values::F32(&values) };
            let header = Header {
                kind: "fisher".into(),
                fingerprint: number.to_string(),
                inputs: json!({}),
                report: json!({}),
            };
            let path = folder.join(format!("{number}.safetensors"));
            let tensor = Tensor { name: VECTORS, shape: vec![rows, 3], values };
            write(&path, &header, &[tensor]).unwrap();
            path
        };
        shards.map(shard).collect()
    }

    fn values(shards: &Shards) -> Vec<Vec<f32>> {
        // Neither in the order of the rows nor one shard after the other.
        let order = (0..10).map(|i| i * 7 % 10);
        let scratch = &mut Vec::new();
        order.map(|i| shards.segment(i, 1..3, scratch).to_vec()).collect()
    }

    #[test]
    fn few_maps_give_the_rows_of_all() {
        for half in [false, true] {
            let folder = tempfile::TempDir::new().unwrap();
            let paths = written(folder.path(), half);
            let open =
                |bound| Shards::open_mapping(paths.iter().map(PathBuf::as_path), bound).unwrap();
            let all = open(5);
            assert!(matches!(all.maps, Maps::All(_)) && all.len() == 10);
            let expected = values(&all);
            assert_eq!(expected[..2], [[0.5, 0.75], [5.75, 6.0]]);
            for bound in [1, 2, 4] {
                let few = open(bound);
                few.soon(0..10, 0..3);
                assert_eq!(values(&few), expected);
                let Maps::Few(maps) = &few.maps else { panic!("{bound} maps of 5") };
                assert_eq!(maps.lock().unwrap().maps.len(), bound);
                let prints: Vec<&str> = few.headers().map(|(_, h)| &*h.fingerprint).collect();
                assert_eq!(prints, ["0", "1", "2", "3", "4"]);
            }
            // A file that is gone while it is not mapped: its rows cannot be taken for numbers.
            let few = open(1);
            std::fs::remove_file(&paths[0]).unwrap();
            assert!(few.row(0, &mut Vec::new()).iter().all(|value| value.is_nan()));
        }
    }
}
