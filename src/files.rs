//! Reading files of unknown origin: regular ones alone, and no more of them than is reasonable.
//!
//! A pipe or a device under the name of an image would block its reader for ever, or never end. What
//! fails for the moment (a disk or network that stumbles, a signal) is tried again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Most bytes of a text that is read whole: a list, an annotation, a configuration.
pub const MOST_TEXT: u64 = 256 << 20;

/// How often what may pass is tried.
const ATTEMPTS: usize = 3;

/// The system's number of an input/output error, which has no [`ErrorKind`].
const EIO: i32 = 5;

/// An open file whose reads are tried again when they fail for the moment.
#[derive(Debug)]
pub struct Reader(File);

impl Reader {
    /// The file itself, for what maps it.
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Read for Reader {
    // A read that fails leaves the place in the file as it was.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        patiently(|| self.0.read(buffer))
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Tries again what fails in a way that may pass.
fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(error) if may_pass(&error) => {}
            outcome => return outcome,
        }
    }
    attempt()
}

fn may_pass(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, ResourceBusy, StaleNetworkFileHandle, TimedOut, WouldBlock};
    let kinds = [Interrupted, ResourceBusy, StaleNetworkFileHandle, TimedOut, WouldBlock];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(EIO)
}

/// Opens a regular file, following links; also its size.
///
/// # Errors
/// The system's, and `InvalidInput` for a folder, pipe, socket or device.
pub fn open(path: &Path) -> io::Result<(Reader, u64)> {
    // Before it is opened, since opening a pipe waits for its other end.
    regular(&patiently(|| fs::metadata(path))?)?;
    let file = patiently(|| File::open(path))?;
    let found = patiently(|| file.metadata())?;
    regular(&found)?;
    Ok((Reader(file), found.len()))
}

/// The place of `name` below `folder`; `None` for a name that leads elsewhere (`..`, an absolute path)
/// or to the folder itself. For names that a file holds.
pub fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    // A NUL ends a name for the system.
    (plain && !name.is_empty() && !name.contains('\0')).then(|| folder.join(path))
}

/// As [`below`], for a name of one part.
pub fn directly_below(folder: &Path, name: &str) -> Option<PathBuf> {
    let one = Path::new(name).components().count() == 1 && !name.ends_with(std::path::is_separator);
    below(folder, name).filter(|_| one)
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

    #[test]
    fn what_may_pass_is_tried_again_and_the_rest_is_not() {
        let errors: [fn() -> io::Error; 2] =
            [|| io::Error::from_raw_os_error(EIO), || ErrorKind::Interrupted.into()];
        for fail in errors {
            for failures in 0..=ATTEMPTS {
                let mut tries = 0;
                let outcome = patiently(|| {
                    tries += 1;
                    if tries <= failures { Err(fail()) } else { Ok(()) }
                });
                assert_eq!(outcome.is_ok(), failures < ATTEMPTS);
                assert_eq!(tries, (failures + 1).min(ATTEMPTS));
            }
        }
        let mut tries = 0;
        let gone: io::Result<()> = patiently(|| {
            tries += 1;
            Err(ErrorKind::NotFound.into())
        });
        assert_eq!((gone.unwrap_err().kind(), tries), (ErrorKind::NotFound, 1));
    }

    #[test]
    fn names_do_not_lead_out_of_their_folder() {
        let run = Path::new("run");
        for name in ["a", "a/b", "a..b/…", "a\\b"] {
            assert!(below(run, name).is_some_and(|path| path.starts_with(run)), "{name}");
        }
        for name in ["", ".", "..", "a/../b", "../a", "/etc/passwd", "/", "a\0b"] {
            assert_eq!(below(run, name), None, "{name:?}");
        }
        assert!(directly_below(run, "a").is_some());
        for name in ["a/b", "a/", "..", "./a", ""] {
            assert_eq!(directly_below(run, name), None, "{name:?}");
        }
    }
}
