//! What the file system says of files, so that those that nobody touched need not be read again.
//!
//! ```text
//! stamp = BLAKE3( for each file: name, size, time of its last change, and on Unix time of the last change of
//!                 what the system says of it, and its number )
//! ```
//!
//! A stamp that is what it was when the files were hashed stands for their hash. As with Git's index, it is
//! believed only if it was written some time after the last change of every file: within that time a second
//! change could leave no trace. On Unix no program can set the time of the last change of what the system says,
//! so that a file which is written over under its old time is noticed.
//!
//! Source: Git's documentation, "Use of index and Racy Git problem".

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use blake3::Hasher;

/// Two changes within this time may have the same time: file systems count in steps of up to two seconds.
const STEP: Duration = Duration::from_secs(2);

/// What the file system says of some files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Hash of it.
    pub hash: String,
    /// When the last of them changed, since 1970.
    newest: Duration,
}

impl Stamp {
    /// That of files, each with a name of its own.
    pub fn of<'f>(files: impl Iterator<Item = (&'f str, Metadata)>) -> Self {
        let (mut hasher, mut newest) = (Hasher::new(), Duration::ZERO);
        for (name, found) in files {
            let (changed, number) = of_system(&found);
            let modified = modified(&found).unwrap_or(Duration::MAX);
            newest = newest.max(modified).max(changed);
            let size = found.len();
            hasher.update(format!("{name}\n{size} {modified:?} {changed:?} {number}\n").as_bytes());
        }
        Self { hash: hasher.finalize().to_hex()[..32].to_owned(), newest }
    }

    /// Adds what else the stamp is to stand for.
    pub fn with(mut self, text: &str) -> Self {
        self.hash =
            blake3::hash(format!("{} {text}", self.hash).as_bytes()).to_hex()[..32].to_owned();
        self
    }

    /// Whether a file that was written after these files were looked at was written long enough after their
    /// last change.
    pub fn is_settled_at(&self, file: &Path) -> bool {
        let written = std::fs::metadata(file).and_then(|found| modified(&found));
        let until = self.newest.checked_add(STEP);
        written.ok().zip(until).is_some_and(|(written, until)| written > until)
    }
}

fn modified(found: &Metadata) -> io::Result<Duration> {
    found.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)
}

/// When what the system says of a file changed last, and the file's number; nothing where it keeps neither.
fn of_system(found: &Metadata) -> (Duration, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let seconds = Duration::from_secs(u64::try_from(found.ctime()).unwrap_or(0));
        let rest = Duration::from_nanos(u64::try_from(found.ctime_nsec()).unwrap_or(0));
        (seconds + rest, found.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        (Duration::ZERO, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::write_atomically;
    use std::fs;
    use std::time::SystemTime;

    #[test]
    fn a_file_that_was_touched_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let write = |bytes: &[u8]| write_atomically(&path, |file| file.write_all(bytes)).unwrap();
        let stamp = || Stamp::of(std::iter::once(("a", fs::metadata(&path).unwrap())));
        write(b"one");
        let (first, time) = (stamp(), fs::metadata(&path).unwrap().modified().unwrap());
        assert_eq!(stamp(), first);
        assert_ne!(first.clone().with("boxes").hash, first.hash);
        // The same size under the same time.
        write(b"two");
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        #[cfg(unix)]
        assert_ne!(stamp().hash, first.hash);
        write(b"three");
        assert_ne!(stamp().hash, first.hash);
    }

    #[test]
    fn a_stamp_of_files_that_have_just_changed_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let [image, stamped] = ["image", "stamp"].map(|name| folder.path().join(name));
        for path in [&image, &stamped] {
            write_atomically(path, |file| file.write_all(b"x")).unwrap();
        }
        let stamp = Stamp::of(std::iter::once(("image", fs::metadata(&image).unwrap())));
        assert!(!stamp.is_settled_at(&stamped));
        assert!(!stamp.is_settled_at(&folder.path().join("none")));
        let file = fs::File::options().write(true).open(&stamped).unwrap();
        let later = fs::metadata(&image).unwrap().modified().unwrap() + Duration::from_secs(60);
        file.set_modified(later).unwrap();
        assert!(stamp.is_settled_at(&stamped));
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!stamp.is_settled_at(&stamped));
    }
}
