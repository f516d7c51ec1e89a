//! Files as a command saw them first, and whether they are the same when they are used.
//!
//! ```text
//! hash  (before work)   path → size and hash of the whole file, or "unreadable"
//! check (at each use)   hash of the bytes in use = the hash seen first, or an error
//! ```
//!
//! A fingerprint covers the contents of images, yet an image is read again for each use. What was
//! hashed and what is used must be the same bytes: a file that changes meanwhile, or that can be read
//! at one time and not at another, counts as one that cannot be read. A command begins with
//! [`Seen::forget`].

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use blake3::Hash;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::networks::Networks;
use crate::dataset::Item;
use crate::error::Result;
use crate::files;

/// Every file that was looked at. Shared between workers.
#[derive(Debug, Default)]
pub struct Seen {
    files: RwLock<Files>,
    networks: Networks,
}

/// What was found at each path; nothing where the file could not be read.
type Files = BTreeMap<PathBuf, Option<File>>;

/// A file that was read.
#[derive(Debug, Clone, Copy)]
struct File {
    /// In bytes.
    size: u64,
    hash: Hash,
}

impl Seen {
    /// The networks that were opened, which stay as they were then; and the files of vectors.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// Forgets every image and file of vectors: another command begins, and looks at them anew.
    pub fn forget(&self) {
        self.networks.forget_vectors();
        self.files.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets these files.
    pub fn forget_these(&self, paths: impl Iterator<Item = PathBuf>) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        paths.for_each(|path| {
            files.remove(&path);
        });
    }

    /// Hash of a list's files: ids, sizes and contents, in list order. A file that cannot be read
    /// counts as such, so that its later appearance is a change; `unread` is their number, where there
    /// are any. Files that were read before are not read again.
    ///
    /// # Errors
    /// Those of `go_on`, which is asked before every file.
    pub fn hash(&self, items: &[Item], go_on: impl Fn() -> Result<()> + Sync) -> Result<Value> {
        let look = |buffer: &mut Vec<u8>, item: &Item| {
            go_on()?;
            if let Some(file) = self.file(&item.path) {
                return Ok(Some(file));
            }
            let read = file_hash(&item.path, buffer).ok();
            Ok(read.map(|(size, hash)| File { size, hash }))
        };
        let found: Vec<Option<File>> =
            items.par_iter().map_init(|| vec![0; 1 << 16], look).collect::<Result<_>>()?;
        let mut hasher = blake3::Hasher::new();
        for (item, file) in items.iter().zip(&found) {
            let line = match file {
                Some(File { size, hash }) => format!("{}\n{size}\n{hash}\n", item.id),
                None => format!("{}\nunreadable\n", item.id),
            };
            hasher.update(line.as_bytes());
        }
        let mut value =
            json!({ "images": items.len(), "hash": hasher.finalize().to_hex().to_string() });
        let unread = found.iter().filter(|file| file.is_none()).count();
        if unread > 0 {
            value["unread"] = json!(unread);
        }
        let mut seen = self.files.write().unwrap_or_else(PoisonError::into_inner);
        seen.extend(items.iter().map(|item| item.path.clone()).zip(found));
        Ok(value)
    }

    fn seen(&self) -> RwLockReadGuard<'_, Files> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that was looked at and could be read.
    fn file(&self, path: &Path) -> Option<File> {
        self.seen().get(path).copied().flatten()
    }

    /// Whether a file could be read when it was looked at.
    pub fn could_read(&self, path: &Path) -> bool {
        self.file(path).is_some()
    }

    /// The hash of a file when it was looked at, if it could be read.
    pub fn hash_of(&self, path: &Path) -> Option<Hash> {
        self.file(path).map(|file| file.hash)
    }

    /// Compares the bytes of a file with what was seen of it; a file that nobody looked at is
    /// remembered.
    ///
    /// # Errors
    /// When they are others, with the way out.
    pub fn check(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.compare(path, File { size: bytes.len() as u64, hash: blake3::hash(bytes) })
    }

    /// As [`check`](Self::check), of the file as it is now, if it was looked at.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the file cannot be read.
    pub fn check_file(&self, path: &Path) -> io::Result<()> {
        if !self.seen().contains_key(path) {
            return Ok(());
        }
        let (size, hash) = file_hash(path, &mut [0; 1 << 16])?;
        self.compare(path, File { size, hash })
    }

    fn compare(&self, path: &Path, now: File) -> io::Result<()> {
        let before = self.seen().get(path).copied();
        let problem = match before {
            Some(Some(before)) if before.hash == now.hash => return Ok(()),
            Some(Some(_)) => "it has changed since this command looked at it first",
            Some(None) => "it could not be read when this command looked at it first",
            None => {
                let mut seen = self.files.write().unwrap_or_else(PoisonError::into_inner);
                seen.insert(path.to_owned(), Some(now));
                return Ok(());
            }
        };
        Err(io::Error::other(format!("{problem}; run the same command again")))
    }
}

/// Size in bytes and hash of a file, which is read through `buffer`.
///
/// # Errors
/// When it cannot be read.
pub fn file_hash(path: &Path, buffer: &mut [u8]) -> io::Result<(u64, Hash)> {
    let (mut file, _) = files::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    loop {
        let read = file.read(buffer)?;
        if read == 0 {
            return Ok((size, hasher.finalize()));
        }
        size += read as u64;
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &Path) -> Item {
        Item::of_file(path)
    }

    #[test]
    fn a_file_that_is_not_as_it_was_is_noticed() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (there, gone) = (here.join("Cargo.toml"), here.join("none"));
        let seen = Seen::default();
        let hash = seen.hash(&[item(&there), item(&gone)], || Ok(())).unwrap();
        assert_eq!((&hash["images"], &hash["unread"]), (&json!(2), &json!(1)));
        assert!(seen.could_read(&there) && !seen.could_read(&gone));
        let bytes = std::fs::read(&there).unwrap();
        seen.check(&there, &bytes).unwrap();
        seen.check_file(&there).unwrap();
        assert!(seen.check(&there, b"other").unwrap_err().to_string().contains("has changed"));
        assert!(seen.check(&gone, &bytes).unwrap_err().to_string().contains("could not be read"));
        assert!(seen.check_file(&gone).is_err());
        // What nobody looked at is as it is found first.
        let new = here.join("new");
        seen.check_file(&new).unwrap();
        seen.check(&new, b"one").unwrap();
        assert!(seen.check(&new, b"two").is_err());
        seen.forget();
        seen.check(&there, b"other").unwrap();
        // What was read is not read again, until it is forgotten.
        let changed = seen.hash(&[item(&there)], || Ok(())).unwrap();
        let whole = Seen::default().hash(&[item(&there)], || Ok(())).unwrap();
        assert_eq!(whole["unread"], Value::Null);
        assert_ne!(changed["hash"], whole["hash"]);
        seen.forget();
        assert_eq!(seen.hash(&[item(&there)], || Ok(())).unwrap(), whole);
        assert_eq!(seen.hash(&[item(&there)], || Ok(())).unwrap(), whole);
        let stop = || Err(crate::Error::Interrupted);
        assert!(Seen::default().hash(&[item(&there)], stop).is_err());
    }
}
