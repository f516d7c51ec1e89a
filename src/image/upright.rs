//! How an image lies in its file.

use std::io::BufReader;
use std::path::Path;

use ::image::{ImageDecoder, ImageReader};

use crate::files;

/// EXIF's number of an image's orientation, from 1 (upright) to 8; 1 where the file tells none, as
/// when it is decoded. Only the head of the file is read.
pub fn orientation(path: &Path) -> u8 {
    let told = || {
        let (file, _) = files::open(path).ok()?;
        let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().ok()?;
        Some(reader.into_decoder().ok()?.orientation().ok()?.to_exif())
    };
    told().unwrap_or(1)
}
