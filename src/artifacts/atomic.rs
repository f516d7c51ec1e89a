//! Files that appear whole or not at all, and the lock that keeps a run folder to one process.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::PARTIAL_ENDING;
use crate::error::{Error, Result};

/// Longest name to which a dot on either side and [`PARTIAL_ENDING`] can be added.
const LONGEST_NAME: usize = 255 - 2 - PARTIAL_ENDING.len();

/// Writes `path` by way of a temporary file in the same folder, which is synced and then renamed.
/// Missing folders are made. When `fill` or the disk fails, `path` is as it was before.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut name = OsString::from(".");
    let whole = path.file_name().unwrap_or_default();
    if whole.len() <= LONGEST_NAME {
        name.push(whole);
    } else {
        name.push(blake3::hash(whole.as_encoded_bytes()).to_hex().as_str());
    }
    name.push(".");
    name.push(PARTIAL_ENDING);
    let partial = folder.join(name);
    let written = write_and_rename(&partial, path, fill);
    if written.is_err() {
        // Nothing half-written stays behind; that this may fail too changes nothing.
        let _ = fs::remove_file(&partial);
    }
    written.map_err(Error::io("write", path))
}

fn write_and_rename(
    partial: &Path,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    #[allow(clippy::disallowed_methods)] // This is the one place that creates files.
    let mut file = BufWriter::with_capacity(1 << 20, File::create(partial)?);
    fill(&mut file)?;
    file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    fs::rename(partial, path)?;
    // The rename itself must outlive a power cut; some file systems cannot sync a folder.
    if let Some(folder) = path.parent().and_then(|p| File::open(p).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Makes `to` the same file as `from`, or a copy of it where links are not to be had. Artifacts are
/// replaced, never changed, so that neither name can spoil the other's.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut source = File::open(from).map_err(Error::io("read", from))?;
    write_atomically(to, |file| io::copy(&mut source, file).map(|_| ()))
}

/// Holds a run folder for this process. The system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct RunLock {
    /// `None` in a folder that cannot be written to and was never locked.
    file: Option<File>,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a program that another thread is just starting
        // still has its copy of the descriptor. Where this fails, closing has to do.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

impl RunLock {
    /// Locks `folder`, making it if it is missing. A folder that cannot be written to can still be
    /// read from; writing there is the error of whoever tries.
    ///
    /// # Errors
    /// [`Error::Artifact`] when another process holds it, [`Error::Io`] when it cannot be made or
    /// opened.
    pub fn acquire(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path: PathBuf = folder.join(".lock");
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if is_read_only(&error) => match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self { file: None }),
                Err(e) => return Err(Error::io("read", &path)(e)),
            },
            Err(error) => return Err(Error::io("write", &path)(error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Error::artifact(
                folder,
                "another fvtool is working in this run folder; wait for it, or use another --run",
            )),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
        }
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between fork and exec a child holds a copy of every descriptor of its parent.
    #[test]
    fn a_lock_ends_with_its_holder_though_a_copy_of_the_descriptor_lives() {
        let folder = tempfile::TempDir::new().unwrap();
        let lock = RunLock::acquire(folder.path()).unwrap();
        let copy = lock.file.as_ref().unwrap().try_clone().unwrap();
        let refused = RunLock::acquire(folder.path()).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("another fvtool"), "{refused}");
        drop(lock);
        RunLock::acquire(folder.path()).unwrap();
        drop(copy);
    }
}
