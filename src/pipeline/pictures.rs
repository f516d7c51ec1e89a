//! Images as they come to be described: decoded, or with descriptors from a file of their own.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::image::RgbImage;
use ndarray::{ArrayView1, ArrayView2, Axis, s};
use serde_json::Value;

use super::remarks::Noticed;
use super::seen::Seen;
use crate::artifacts::Npy;
use crate::config::Config;
use crate::dataset::Item;
use crate::descriptors::{Content, Descriptors, Frame, Kind, Picture};
use crate::error::{Error, Result};
use crate::image::{self, Colours};
use crate::linalg;
use crate::words::counted;

/// Columns of a file of descriptors before their values: x, y, side.
const PLACE: usize = 3;

/// A centre may lie so far beyond the border of the picture, as a share of its side …
const STRAY: f32 = 0.01;
/// … or so many pixels: programs differ in what they call the first pixel.
const STRAY_PX: f32 = 2.0;
/// A square that is seen is at most so many times as large as the longer side of the picture.
const LARGEST_SIDE: f32 = 2.0;
/// Pixels of a side from which on centres between 0 and 1 are shares of it.
const SHARES_FROM_PX: usize = 8;

/// Where the descriptors of images come from. Shared between workers.
pub(super) struct Pictures {
    image: image::Params,
    colours: Colours,
    files: Option<Files>,
    seen: Arc<Seen>,
}

/// A folder with an `.npy` file for each image.
struct Files {
    folder: PathBuf,
    /// Values of a descriptor.
    dim: usize,
}

impl Pictures {
    pub(super) fn new(config: &Config, seen: &Arc<Seen>) -> Self {
        let params = &config.descriptors;
        let files = (params.kind == Kind::Files)
            .then(|| Files { folder: params.folder.clone(), dim: params.dim() });
        let seen = Arc::clone(seen);
        Self { image: config.image.clone(), colours: params.colours(), files, seen }
    }

    /// An image, its width and height in its file, and what was noticed of it.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Image`] when the image, or the file of its descriptors, cannot be used;
    /// the first also when it is not as this command saw it first.
    pub(super) fn load(&self, item: &Item) -> Result<(Picture, [usize; 2], Noticed)> {
        let loaded = self.as_seen(&item.path, |check| {
            image::load_if(&item.path, &self.image, self.colours, check)
        })?;
        let in_file = loaded.size_in_file;
        let mut picture = Picture::from(loaded.planes);
        let noticed = Noticed::new(loaded.remarks, &picture);
        if let Some(files) = &self.files {
            let size = [picture.width, picture.height];
            picture.content = Content::Given(files.read(&item.id, in_file, size, &self.seen)?);
        }
        Ok((picture, in_file, noticed))
    }

    /// The photograph, for pictures shown to people.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(super) fn photograph(&self, item: &Item) -> Result<RgbImage> {
        self.as_seen(&item.path, |check| image::load_rgb_if(&item.path, &self.image, check))
    }

    /// Decodes a file whose bytes are those that were seen. A file refused by its first bytes alone may
    /// just have been half-written: if it is whole, it is looked at once more.
    fn as_seen<T>(&self, path: &Path, decode: impl Fn(image::Check<'_>) -> Result<T>) -> Result<T> {
        let checked = Cell::new(false);
        let check = |bytes: &[u8]| {
            checked.set(true);
            self.seen.check(path, bytes)
        };
        match decode(&check) {
            Err(Error::Image { .. }) if !checked.get() => {
                self.seen.check_file(path).map_err(Error::io("read", path))?;
                decode(&check)
            }
            outcome => outcome,
        }
    }

    /// What to say of an image of this size that has no descriptor, though `count` fit into it.
    pub(super) fn without_descriptors(
        &self,
        item: &Item,
        [width, height]: [usize; 2],
        count: usize,
    ) -> Error {
        let (path, problem) = match &self.files {
            Some(files) => (files.path(&item.id), "no descriptor in this file".to_owned()),
            None if count == 0 => {
                let problem = format!(
                    "{width} × {height} pixels are too small for any descriptor; set smaller \
                     descriptors.bin_sizes_px, or image.min_height_px to have it enlarged"
                );
                (item.path.clone(), problem)
            }
            None => {
                let descriptors = counted(count, "descriptor");
                let problem = format!(
                    "a blank image: of {descriptors} none has enough contrast to be kept; see \
                     descriptors.low_contrast and descriptors.keep"
                );
                (item.path.clone(), problem)
            }
        };
        Error::Image { path, problem }
    }

    /// Whether the files that an image's vector is made of could be read when they were looked at.
    pub(super) fn could_read(&self, item: &Item) -> bool {
        let given = self.files.as_ref().map(|files| files.path(&item.id));
        self.seen.could_read(&item.path) && given.is_none_or(|path| self.seen.could_read(&path))
    }

    /// Hash of an image file when it was looked at, if it could be read.
    pub(super) fn hash_of(&self, item: &Item) -> Option<blake3::Hash> {
        self.seen.hash_of(&item.path)
    }

    /// Hash of all that the vectors of these images are made of; what is used later must be the same.
    ///
    /// # Errors
    /// Those of `go_on`, which is asked for every file.
    pub(super) fn hash(
        &self,
        items: &[Item],
        go_on: impl Fn() -> Result<()> + Sync,
    ) -> Result<Value> {
        let mut hash = self.seen.hash(items, &go_on)?;
        if let Some(files) = &self.files {
            let path = |item: &Item| Item { path: files.path(&item.id), ..item.clone() };
            let given: Vec<Item> = items.iter().map(path).collect();
            let mut of_files = self.seen.hash(&given, &go_on)?;
            hash["descriptors"] = of_files["hash"].take();
            let unread = [&hash, &of_files].map(|hash| hash["unread"].as_u64().unwrap_or(0));
            if unread != [0, 0] {
                hash["unread"] = (unread[0] + unread[1]).into();
            }
        }
        Ok(hash)
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

    fn read(
        &self,
        id: &str,
        in_file: [usize; 2],
        size: [usize; 2],
        seen: &Seen,
    ) -> Result<Descriptors> {
        let path = self.path(id);
        self.parse(&path, in_file, size, seen).map_err(|error| match error {
            Error::Artifact { path, problem } => Error::Image { path, problem },
            other => other,
        })
    }

    /// Places are those of the image in its file (of size `in_file`), where the middle of the first pixel is
    /// 0; they come out as those of the image as it is looked at (of size `size`).
    fn parse(
        &self,
        path: &Path,
        in_file: [usize; 2],
        size: [usize; 2],
        seen: &Seen,
    ) -> Result<Descriptors> {
        let npy = Npy::open(path)?;
        seen.check(path, npy.bytes()).map_err(Error::io("read", path))?;
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
        check_places(array.slice(s![.., ..PLACE]), in_file)
            .map_err(|problem| Error::artifact(path, problem))?;
        let scale = [0, 1].map(|axis| size[axis] as f32 / in_file[axis] as f32);
        let frame = |row: ArrayView1<'_, f32>| {
            let [x, y] = [0, 1].map(|axis| (row[axis] + 0.5) * scale[axis] - 0.5);
            let values = row.slice(s![PLACE..]);
            let length = values.dot(&values).sqrt();
            Frame::seeing([x, y], row[2] * scale[1], length)
        };
        let frames = array.axis_iter(Axis(0)).map(frame).collect();
        Ok(Descriptors { rows: array.slice(s![.., PLACE..]).to_owned(), frames })
    }
}

/// Checks that centres and sides (x, y, side) are those of a picture of the given size; the error says which
/// is not, and what may have been meant.
fn check_places(places: ArrayView2<'_, f32>, [width, height]: [usize; 2]) -> Result<(), String> {
    let allowed = |side: usize| STRAY_PX.max(STRAY * side as f32);
    let within = |at: f32, side: usize| {
        (-0.5 - allowed(side)..=side as f32 - 0.5 + allowed(side)).contains(&at)
    };
    let inside = |[x, y]: [f32; 2]| within(x, width) && within(y, height);
    let centres = || places.rows().into_iter().map(|row| [row[0], row[1]]);
    if let Some(row) = centres().position(|centre| !inside(centre)) {
        let [x, y] = [places[[row, 0]], places[[row, 1]]];
        let outside = centres().filter(|&centre| !inside(centre)).count();
        let hint = if centres().all(|[x, y]| inside([y, x])) {
            "; all lie inside with x and y exchanged: the columns are x, y, side, not y, x"
        } else {
            "; x and y are pixels of the upright image as it is in its file"
        };
        return Err(format!(
            "row {row} has its centre at x = {x}, y = {y}, outside the {width} × {height} pixels of the \
             image ({outside} of {} rows do){hint}",
            places.nrows()
        ));
    }
    let longest = width.max(height);
    let share = |value: f32| (0.0..=1.0).contains(&value);
    let all_shares =
        centres().flatten().all(share) && centres().flatten().any(|v| v.fract() != 0.0);
    if longest >= SHARES_FROM_PX && places.nrows() > 1 && all_shares {
        return Err(format!(
            "all centres lie between 0 and 1; write x and y in pixels of the image, which has {width} × \
             {height}, not as shares of them"
        ));
    }
    let largest = LARGEST_SIDE * longest as f32;
    if let Some(row) = places.column(2).iter().position(|&side| side > largest) {
        return Err(format!(
            "row {row} has a side of {}, more than {LARGEST_SIDE} times the longer side of the image of \
             {width} × {height} pixels; write the side of the square that the descriptor sees, in pixels",
            places[[row, 2]]
        ));
    }
    Ok(())
}
