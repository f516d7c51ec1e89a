//! Descriptors that another program computed: a file `<id>.npy` for each image.
//!
//! ```text
//! row of the file:  x, y, side, values …          pixels of the upright image in its file, W × H
//! frame:            x' = (x + ½) · W'/W − ½       pixels of the image as it is looked at, W' × H'
//!                   y' = (y + ½) · H'/H − ½
//!                   bin width = side · H'/H / 4   a descriptor sees four bins
//!                   contrast = ‖values‖
//! ```
//!
//! Places that cannot be meant, as shares of the image or y before x, are refused.

use std::path::{Path, PathBuf};

use ndarray::{ArrayView1, ArrayView2, Axis, s};

use super::seen::Seen;
use crate::artifacts::Npy;
use crate::descriptors::{self, Descriptors, Frame, Kind};
use crate::error::{Error, Result};
use crate::linalg;

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

/// A folder with an `.npy` file for each image.
#[derive(Debug, Clone)]
pub struct Given {
    folder: PathBuf,
    /// Values of a descriptor.
    dim: usize,
}

impl Given {
    /// The files that the settings name, when descriptors are of kind `files`.
    pub fn of(params: &descriptors::Params) -> Option<Self> {
        let given = params.kind == Kind::Files;
        given.then(|| Self { folder: params.folder.clone(), dim: params.dim() })
    }

    /// The file of an image.
    pub fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.npy"))
    }

    /// The descriptors of an image: `N ×` [`descriptors::Params::dim`], and a frame for each, in pixels of
    /// an image of `size` (width, height). Its upright image has the size `in_file` in its file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, or is not as `seen` saw it first; [`Error::Image`] when
    /// it holds no such descriptors.
    pub fn read(
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
            // A descriptor sees four bins.
            Frame { x, y, contrast: length, size_px: row[2] * scale[1] / 4.0, mirrored: false }
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
