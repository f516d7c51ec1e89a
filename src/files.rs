//! Reading files of unknown origin: regular ones alone, and no more of them than is reasonable.
//!
//! A pipe or a device under the name of an image would block its reader for ever, or never end.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Most bytes of a text that is read whole: a list, an annotation, a configuration.
pub const MOST_TEXT: u64 = 256 << 20;

/// Opens a regular file, following links; also its size.
///
/// # Errors
/// The system's, and `InvalidInput` for a folder, pipe, socket or device.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened, since opening a pipe waits for its other end.
    regular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let found = file.metadata()?;
    regular(&found)?;
    Ok((file, found.len()))
}

fn regular(found: &fs::Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let what = if found.is_dir() { "a folder" } else { "a pipe, socket or device" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

/// The first bytes of a file, at most `most`.
///
/// # Errors
/// As [`open`].
pub fn read_start(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.0.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A whole file, unless it has more than `most` bytes.
///
/// # Errors
/// As [`open`], and `FileTooLarge`.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open(path)?;
    let mut bytes = Vec::new();
    if size <= most {
        bytes.reserve_exact(usize::try_from(size).unwrap_or(0));
        // It may grow while it is read.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if size > most || bytes.len() as u64 > most {
        let problem = format!("it has {size} bytes, more than the {most} that are read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// A text file.
///
/// # Errors
/// As [`read`], and `InvalidData` for what is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, MOST_TEXT)?).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text; save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_only_up_to_the_limit() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = here.join("Cargo.toml");
        let size = fs::metadata(&manifest).unwrap().len();
        assert_eq!(read(&manifest, size).unwrap(), fs::read(&manifest).unwrap());
        assert_eq!(read(&manifest, size - 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_start(&manifest, 9).unwrap(), b"[package]");
        assert!(read_text(&manifest).unwrap().starts_with("[package]"));
        assert_eq!(read(here, size).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        // Endless, and a whole one of size 0 by its metadata.
        #[cfg(target_os = "linux")]
        for device in ["/dev/zero", "/dev/null"] {
            let error = read(Path::new(device), 10).unwrap_err();
            assert!(error.to_string().contains("device"), "{error}");
        }
        assert_eq!(read_text(&here.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
