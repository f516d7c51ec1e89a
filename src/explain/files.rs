//! Pictures and reports on their way to disk.

use std::io::Cursor;
use std::path::Path;

use ::image::RgbImage;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::store::Outputs;

/// Writes a picture as PNG.
pub(super) fn write_png(outputs: &Outputs<'_>, path: &Path, picture: &RgbImage) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ::image::ImageFormat::Png)
        .map_err(|e| Error::Image { path: path.to_owned(), problem: e.to_string() })?;
    outputs.bytes(path, bytes.get_ref())
}

/// Writes a report as JSON for people to read.
pub(super) fn write_json(
    outputs: &Outputs<'_>,
    path: &Path,
    report: &impl Serialize,
) -> Result<()> {
    outputs.text(path, &serde_json::to_string_pretty(report).expect("a report is JSON"))
}
