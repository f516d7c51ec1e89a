//! Images as they come to be described: decoded, or with descriptors from a file of their own.

use std::path::{Path, PathBuf};

use ndarray::{ArrayView1, Axis, s};
use serde_json::Value;

use super::source::images_hash;
use crate::artifacts::Npy;
use crate::config::Config;
use crate::dataset::Item;
use crate::descriptors::{Content, Descriptors, Frame, Kind, Picture};
use crate::error::{Error, Result};
use crate::image::{self, Colours};
use crate::linalg;

/// Columns of a file of descriptors before their values: x, y, side.
const PLACE: usize = 3;

/// Where the descriptors of images come from. Shared between workers.
pub(super) struct Pictures {
    image: image::Params,
    colours: Colours,
    files: Option<Files>,
}

/// A folder with an `.npy` file for each image.
struct Files {
    folder: PathBuf,
    /// Values of a descriptor.
    dim: usize,
}

impl Pictures {
    pub(super) fn new(config: &Config) -> Self {
        let params = &config.descriptors;
        let files = (params.kind == Kind::Files)
            .then(|| Files { folder: params.folder.clone(), dim: params.dim() });
        Self { image: config.image.clone(), colours: params.colours(), files }
    }

    /// An image, and its width and height in its file.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Image`] when the image, or the file of its descriptors, cannot be used.
    pub(super) fn load(&self, item: &Item) -> Result<(Picture, [usize; 2])> {
        let (planes, in_file) = image::load(&item.path, &self.image, self.colours)?;
        let mut picture = Picture::from(planes);
        if let Some(files) = &self.files {
            let size = [picture.width, picture.height];
            let scale = [0, 1].map(|axis| size[axis] as f32 / in_file[axis] as f32);
            picture.content = Content::Given(files.read(&item.id, scale)?);
        }
        Ok((picture, in_file))
    }

    /// What to say of an image of this size that has no descriptor.
    pub(super) fn without_descriptors(&self, item: &Item, [width, height]: [usize; 2]) -> Error {
        let (path, problem) = match &self.files {
            Some(files) => (files.path(&item.id), "no descriptor in this file".to_owned()),
            None => {
                let problem = format!("{width} × {height} pixels are too small for any descriptor");
                (item.path.clone(), problem)
            }
        };
        Error::Image { path, problem }
    }

    /// The files that an image's vector is made of.
    pub(super) fn paths(&self, item: &Item) -> impl Iterator<Item = PathBuf> + use<> {
        let given = self.files.as_ref().map(|files| files.path(&item.id));
        std::iter::once(item.path.clone()).chain(given)
    }

    /// Hash of all that the vectors of these images are made of.
    pub(super) fn hash(&self, items: &[Item]) -> Value {
        let mut hash = images_hash(items);
        if let Some(files) = &self.files {
            let path = |item: &Item| Item { path: files.path(&item.id), ..item.clone() };
            let given: Vec<Item> = items.iter().map(path).collect();
            hash["descriptors"] = images_hash(&given)["hash"].take();
        }
        hash
    }

    /// Bytes of the largest file of descriptors.
    pub(super) fn largest_file(&self, items: &[Item]) -> u64 {
        let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
        let of_files = |files: &Files| items.iter().map(|item| size(files.path(&item.id))).max();
        self.files.as_ref().and_then(of_files).unwrap_or(0)
    }
}

impl Files {
    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.npy"))
    }

    fn read(&self, id: &str, scale: [f32; 2]) -> Result<Descriptors> {
        let path = self.path(id);
        self.parse(&path, scale).map_err(|error| match error {
            Error::Artifact { path, problem } => Error::Image { path, problem },
            other => other,
        })
    }

    /// Places are those of the image in its file, where the middle of the first pixel is 0; `scale` leads to
    /// the image as it is looked at.
    fn parse(&self, path: &Path, scale: [f32; 2]) -> Result<Descriptors> {
        let npy = Npy::open(path)?;
        let array = npy.matrix()?;
        let refuse = |problem: String| Err(Error::artifact(path, problem));
        if array.ncols() != PLACE + self.dim {
            return refuse(format!(
                "{} columns where {} belong: x, y, side and descriptors.dimension = {} values",
                array.ncols(),
                PLACE + self.dim,
                self.dim
            ));
        }
        let values = array.as_slice().expect("an .npy file is read in C order");
        if let Some(at) = linalg::first_not_finite(values) {
            let (row, column) = (at / array.ncols(), at % array.ncols());
            return refuse(format!("row {row}, column {column} is {}", array[[row, column]]));
        }
        // Frames have a logarithm of their size.
        if let Some(row) = array.column(2).iter().position(|&side| side <= 0.0) {
            return refuse(format!("row {row} has a side of {}, not above 0", array[[row, 2]]));
        }
        let frame = |row: ArrayView1<'_, f32>| {
            let [x, y] = [0, 1].map(|axis| (row[axis] + 0.5) * scale[axis] - 0.5);
            let values = row.slice(s![PLACE..]);
            let length = values.dot(&values).sqrt();
            // A descriptor sees four bins.
            Frame { x, y, contrast: length, size_px: row[2] * scale[1] / 4.0 }
        };
        let frames = array.axis_iter(Axis(0)).map(frame).collect();
        Ok(Descriptors { rows: array.slice(s![.., PLACE..]).to_owned(), frames })
    }
}
