//! Files that appear whole or not at all, and the lock that keeps a run folder to one process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::{Error, Result};
use crate::files;

/// Ending of partly written files; they are never read and are overwritten by the next attempt.
const PARTIAL_ENDING: &str = "partial";

/// Longest name of a file: most systems' limit.
const LONGEST_NAME: usize = 255;

/// Files that are being written at this moment.
static BEGUN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Where the bytes of a file go.
pub trait Target: Write + Seek {}

impl<T: Write + Seek> Target for T {}

/// Writes `path` by way of a temporary file in the same folder, which is synced and then renamed.
/// Missing folders are made. When `fill` or the disk fails, `path` is as it was before. For folders
/// that one process at a time writes to: what a killed one left half-written is replaced.
///
/// # Errors
/// [`Error::Io`] naming the file, also where a link, a pipe or a folder has its name.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Target) -> io::Result<()>,
) -> Result<()> {
    put(path, Partial::alone, fill)
}

/// As [`write_atomically`], for folders that anyone may be writing to: the temporary file has a name
/// that no other process gives.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_among_others(
    path: &Path,
    fill: impl FnOnce(&mut dyn Target) -> io::Result<()>,
) -> Result<()> {
    put(path, Partial::among_others, fill)
}

fn put(
    path: &Path,
    begin: impl FnOnce(&Path) -> io::Result<Partial>,
    fill: impl FnOnce(&mut dyn Target) -> io::Result<()>,
) -> Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let write = || {
        replaceable(path)?;
        let mut partial = begin(path)?;
        let file = partial.file.take().expect("it was just opened");
        let mut file = BufWriter::with_capacity(1 << 20, file);
        fill(&mut file)?;
        file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        partial.rename(path)
    };
    write().map_err(Error::io("write", path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a place where something lies that is no file: fvtool makes files alone, so that it is
/// somebody else's.
fn replaceable(path: &Path) -> io::Result<()> {
    let what = match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(found) if found.is_symlink() => "a link",
        Ok(found) if found.is_dir() => "a folder",
        Ok(_) => "a pipe, socket or device",
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let problem = format!("{what} has this name, which fvtool did not make; move it away");
    Err(io::Error::new(ErrorKind::AlreadyExists, problem))
}

/// A file that is being written, or a link that is being judged, beside its later place. It goes away
/// unless it is renamed.
struct Partial {
    path: PathBuf,
    file: Option<File>,
}

impl Partial {
    /// Opens the one partial file of `path` in a folder that this process has for itself. What stands
    /// there is the rest of a killed process if it is a file with no other name; anything else is left
    /// alone and another name taken.
    fn alone(path: &Path) -> io::Result<Self> {
        let name = hidden_name(path, "");
        let own = folder_of(path).join(&name);
        match Self::create(own.clone()) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(&own).is_ok_and(|found| is_ours_alone(&found)) {
                    return Self::among_others(path);
                }
                fs::remove_file(&own)?;
                Self::create(own)
            }
            outcome => outcome,
        }
    }

    /// Opens a partial file whose name no other process gives.
    fn among_others(path: &Path) -> io::Result<Self> {
        Self::named_apart(path, Self::create)
    }

    /// Makes a partial file under names that no other process gives, on whatever machine, until one is free.
    fn named_apart(path: &Path, make: impl Fn(PathBuf) -> io::Result<Self>) -> io::Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // The standard library's maps have a key that is drawn for each process.
        static OWN: OnceLock<u64> = OnceLock::new();
        let own = OWN.get_or_init(|| RandomState::new().hash_one(std::process::id()));
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = hidden_name(path, &format!("{own:016x}-{number}."));
            match make(folder_of(path).join(name)) {
                // Of an earlier process of the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                outcome => return outcome,
            }
        }
    }

    /// Never follows a link: the file must be new.
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(&path)?;
        begun().insert(path.clone());
        Ok(Self { path, file: Some(file) })
    }

    /// A second name of the file `from`.
    fn link(from: &Path, path: PathBuf) -> io::Result<Self> {
        fs::hard_link(from, &path)?;
        begun().insert(path.clone());
        Ok(Self { path, file: None })
    }

    fn rename(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        // The rename itself must outlive a power cut; some file systems cannot sync a folder.
        if let Ok(folder) = File::open(folder_of(path)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing half-written stays behind; that this fails after the renaming changes nothing.
        let _ = fs::remove_file(&self.path);
        begun().remove(&self.path);
    }
}

fn begun() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the partial files in a folder that this process has for itself: the rest of killed processes.
pub fn remove_partials(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let partial = name.starts_with('.') && name.ends_with(&format!(".{PARTIAL_ENDING}"));
        if partial && entry.metadata().is_ok_and(|found| is_ours_alone(&found)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a file is being written at this moment.
pub fn is_writing() -> bool {
    !begun().is_empty()
}

/// Removes what is half-written at this moment. For a process that ends without waiting for its
/// threads.
pub fn abandon_partial_files() {
    abandon(|_| true);
}

fn abandon(which: impl Fn(&Path) -> bool) {
    for path in begun().iter().filter(|path| which(path)) {
        let _ = fs::remove_file(path);
    }
}

/// `.NAME.<apart>partial`, shortened where that is too long for a name.
fn hidden_name(path: &Path, apart: &str) -> OsString {
    let whole = path.file_name().unwrap_or_default();
    let ending = format!(".{apart}{PARTIAL_ENDING}");
    let mut name = OsString::from(".");
    if 1 + whole.len() + ending.len() <= LONGEST_NAME {
        name.push(whole);
    } else {
        name.push(blake3::hash(whole.as_encoded_bytes()).to_hex().as_str());
    }
    name.push(ending);
    name
}

/// A file that has this one name: written over or removed, it is missed nowhere else.
fn is_ours_alone(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    let one_name = std::os::unix::fs::MetadataExt::nlink(found) == 1;
    #[cfg(not(unix))]
    let one_name = true;
    found.is_file() && one_name
}

/// Makes `to` the same file as `from`, or a copy of it where links are not to be had, if it `fits`;
/// false if it does not. What is judged is what is taken: another process may replace `from`
/// meanwhile. Artifacts are replaced, never changed, so that neither name can spoil the other's.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn take(from: &Path, to: &Path, fits: impl FnOnce(&Path) -> bool) -> Result<bool> {
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let taken = match Partial::named_apart(to, |path| Partial::link(from, path)) {
        Ok(linked) => linked,
        Err(_) => {
            let (mut source, _) = files::open(from).map_err(Error::io("read", from))?;
            let mut copy = || {
                let mut partial = Partial::alone(to)?;
                let mut file = partial.file.take().expect("it was just opened");
                io::copy(&mut source, &mut file)?;
                file.sync_all()?;
                Ok(partial)
            };
            copy().map_err(Error::io("write", to))?
        }
    };
    // A link to a link would lead wherever its owner likes.
    let whole = fs::symlink_metadata(&taken.path).is_ok_and(|found| found.is_file());
    if !whole || !fits(&taken.path) {
        return Ok(false);
    }
    replaceable(to).and_then(|()| taken.rename(to)).map_err(Error::io("write", to))?;
    Ok(true)
}

/// Holds a run folder for this process. The system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct RunLock {
    /// `None` in a folder that cannot be written to and was never locked.
    file: Option<File>,
    /// Whether the file system has no locks: then nothing keeps another process out.
    missing: bool,
}

/// With whom a run folder is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// With nobody.
    Alone,
    /// With others that hold it so: each makes files that no other makes otherwise.
    Shared,
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

/// Name of the file in a run folder that is locked.
const LOCK: &str = ".lock";

impl RunLock {
    /// Locks `folder`, making it if it is missing. A folder that cannot be written to can still be
    /// read from; writing there is the error of whoever tries. Some file systems of clusters have no locks;
    /// then there is none ([`is_missing`](Self::is_missing)).
    ///
    /// # Errors
    /// [`Error::Artifact`] when another process holds it, [`Error::Io`] when it cannot be made or
    /// opened, or a link or pipe is in the lock's place.
    pub fn acquire(folder: &Path, hold: Hold) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path: PathBuf = folder.join(LOCK);
        // A pipe would wait for its other end, and a link make a file elsewhere.
        replaceable(&path).map_err(Error::io("lock", &path))?;
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if is_read_only(&error) => match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    return Ok(Self { file: None, missing: false });
                }
                Err(e) => return Err(Error::io("read", &path)(e)),
            },
            Err(error) => return Err(Error::io("write", &path)(error)),
        };
        let locked = match hold {
            Hold::Alone => file.try_lock(),
            Hold::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(Self { file: Some(file), missing: false }),
            Err(TryLockError::WouldBlock) => Err(Error::artifact(
                folder,
                "another fvtool is working in this run folder; wait for it, or use another --run",
            )),
            Err(TryLockError::Error(source)) if has_no_locks(&source) => {
                Ok(Self { file: None, missing: true })
            }
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
        }
    }

    /// Whether the file system has no locks.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

/// What a file system without locks answers: not supported, not implemented, or (some NFS servers) no locks
/// to be had.
fn has_no_locks(error: &io::Error) -> bool {
    const ENOLCK: i32 = 37;
    let linux = cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOLCK);
    error.kind() == ErrorKind::Unsupported || linux
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// Between fork and exec a child holds a copy of every descriptor of its parent.
    #[test]
    fn a_lock_ends_with_its_holder_though_a_copy_of_the_descriptor_lives() {
        let folder = TempDir::new().unwrap();
        let lock = RunLock::acquire(folder.path(), Hold::Alone).unwrap();
        let copy = lock.file.as_ref().unwrap().try_clone().unwrap();
        let refused = RunLock::acquire(folder.path(), Hold::Alone).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("another fvtool"), "{refused}");
        drop(lock);
        RunLock::acquire(folder.path(), Hold::Alone).unwrap();
        drop(copy);
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes that go on at once in one folder, of one name, as two calls of `describe` may.
    #[test]
    fn writers_among_others_do_not_meet() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("out");
        let inner = |file: &mut dyn Target| {
            write_among_others(&path, |inner| inner.write_all(b"second")).unwrap();
            assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
            file.write_all(b"first")
        };
        write_among_others(&path, inner).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn what_is_half_written_is_removed_by_a_process_that_gives_up() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("out");
        let error = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            assert_eq!(names(folder.path()), [".out.partial"]);
            // The other tests of this process are writing too.
            abandon(|path| path.starts_with(folder.path()));
            assert!(names(folder.path()).is_empty());
            Ok(())
        });
        assert!(error.is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn links_in_the_place_of_files_are_neither_followed_nor_removed() {
        use std::os::unix::fs::symlink;
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |path: &Path| write_atomically(path, |file| file.write_all(b"new"));
        write(&at("precious")).unwrap();
        fs::rename(at("precious"), at("kept")).unwrap();
        symlink(at("kept"), at(".soft.partial")).unwrap();
        fs::hard_link(at("kept"), at(".hard.partial")).unwrap();
        fs::create_dir(at(".folder.partial")).unwrap();
        let before = names(folder.path());
        for name in ["soft", "hard", "folder"] {
            write_atomically(&at(name), |file| file.write_all(b"other")).unwrap();
            assert_eq!(fs::read(at(name)).unwrap(), b"other");
            fs::remove_file(at(name)).unwrap();
        }
        assert_eq!(names(folder.path()), before);
        assert_eq!(fs::read(at("kept")).unwrap(), b"new");
        // The place itself: what is no file is nobody's to replace.
        symlink(at("kept"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        for name in ["link", "dangling", ".folder.partial"] {
            let error = write(&at(name)).unwrap_err().to_string();
            assert!(error.contains("did not make") && error.contains(name), "{error}");
        }
        assert!(!at("nowhere").exists());
        symlink(at("elsewhere"), at(".lock")).unwrap();
        let error = RunLock::acquire(folder.path(), Hold::Alone).unwrap_err().to_string();
        assert!(error.contains(".lock") && error.contains("a link"), "{error}");
        assert!(!at("elsewhere").exists());
    }

    #[test]
    fn what_is_judged_is_what_is_taken() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &[u8]| {
            write_atomically(&at(name), |file| file.write_all(text)).unwrap();
        };
        write("from", b"good");
        let replaced_meanwhile = |seen: &Path| {
            write("from", b"bad");
            fs::read(seen).unwrap() == b"good"
        };
        assert!(take(&at("from"), &at("to"), replaced_meanwhile).unwrap());
        assert_eq!(fs::read(at("to")).unwrap(), b"good");
        assert!(!take(&at("from"), &at("other"), |_| false).unwrap());
        assert_eq!(names(folder.path()), ["from", "to"]);
        assert!(take(&at("none"), &at("other"), |_| true).is_err());
    }
}
