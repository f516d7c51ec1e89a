//! The demo's data: a synthetic VOC-style folder on disk.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::artifacts::write_atomically;
use crate::dataset::synthetic::{Generator, Synthetic};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::Seed;

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
    let put = |path: PathBuf, bytes: &[u8]| -> Result<()> {
        let path = folder.join(path);
        if std::fs::read(&path).is_ok_and(|present| present == bytes) {
            return Ok(());
        }
        write_atomically(&path, |file| file.write_all(bytes))
    };
    for (path, bytes) in generator.files() {
        put(path, &bytes)?;
    }
    progress.begin("draw", generator.images() as u64, "images");
    (0..generator.images()).into_par_iter().try_for_each(|i| {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        put(generator.image_path(i), &generator.jpeg(i))?;
        progress.advance(1);
        Ok(())
    })?;
    progress.end();
    Ok(())
}
