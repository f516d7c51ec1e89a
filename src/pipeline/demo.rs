//! The demo's folder, and its data: a synthetic VOC-style folder on disk.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::artifacts::{RunLock, write_atomically};
use crate::dataset::synthetic::{Generator, PartsGenerator, Synthetic};
use crate::error::{Error, Result};
use crate::files;
use crate::progress::Progress;
use crate::random::Seed;
use crate::store;

/// Names a folder as a demo's.
const MARK: &str = ".fvtool-demo";
/// Names a folder as one of drawn data with parts.
const PARTS_MARK: &str = ".fvtool-demo-parts";

/// Takes a folder for the demo, and marks it as its own: a new or empty one, or that of an earlier
/// demo.
///
/// # Errors
/// [`Error::Artifact`] when it holds anything else, or another process works in it.
pub fn claim(folder: &Path) -> Result<RunLock> {
    let text =
        "`fvtool demo` made this folder, and makes data/ and run/ anew when it is called again.\n";
    store::claim(folder, MARK, text, ["folder of a demo", "--out"])
}

/// Takes a folder for drawn data with parts, as [`claim`] does.
///
/// # Errors
/// As [`claim`].
pub fn claim_parts(folder: &Path) -> Result<RunLock> {
    let text =
        "`fvtool demo --parts` made this folder, and makes it anew when it is called again.\n";
    store::claim(folder, PARTS_MARK, text, ["folder of drawn parts", "--parts"])
}

/// Draws the synthetic data set into `folder` (lists, annotations, images). Files that are there
/// with the right length are kept.
///
/// # Errors
/// [`Error::Setting`] for impossible sizes, [`Error::Io`] when the disk refuses.
pub fn write_data(
    folder: &Path,
    params: &Synthetic,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<()> {
    let generator = Generator::new(params, seed)?;
    let image = |i: usize| (generator.image_path(i), generator.jpeg(i));
    write(folder, generator.files(), generator.images(), image, progress)
}

/// As [`write_data`], of the data set whose classes differ by parts.
///
/// # Errors
/// As [`write_data`].
pub fn write_parts(
    folder: &Path,
    params: &Synthetic,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<()> {
    let generator = PartsGenerator::new(params, seed)?;
    let image = |i: usize| (generator.image_path(i), generator.jpeg(i));
    write(folder, generator.files(), generator.images(), image, progress)
}

/// Writes files, and so many images.
fn write(
    folder: &Path,
    files: Vec<(PathBuf, Vec<u8>)>,
    images: usize,
    image: impl Fn(usize) -> (PathBuf, Vec<u8>) + Sync,
    progress: &dyn Progress,
) -> Result<()> {
    let put = |(path, bytes): (PathBuf, Vec<u8>)| -> Result<()> {
        let path = folder.join(path);
        if files::read(&path, bytes.len() as u64).is_ok_and(|present| present == bytes) {
            return Ok(());
        }
        write_atomically(&path, |file| file.write_all(&bytes))
    };
    files.into_iter().try_for_each(put)?;
    progress.begin("draw", images as u64, "images");
    (0..images).into_par_iter().try_for_each(|i| {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        put(image(i))?;
        progress.advance(1);
        Ok(())
    })?;
    progress.end();
    Ok(())
}
