//! Files as a command saw them first, and whether they are the same when they are used.
//!
//! A fingerprint covers the contents of images, yet an image is read again for each use. What was
//! hashed and what is used must be the same bytes: a file that changes meanwhile, or that can be read
//! at one time and not at another, counts as one that cannot be read.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use blake3::Hash;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::dataset::Item;
use crate::error::Result;
use crate::files;

/// The hash of every file that was looked at, nothing for one that could not be read. Shared between
/// workers.
#[derive(Debug, Default)]
pub(super) struct Seen(RwLock<BTreeMap<PathBuf, Option<Hash>>>);

impl Seen {
    /// Forgets everything: another command begins.
    pub(super) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Hash of a list's files: ids, sizes and contents, in list order. A file that cannot be read
    /// counts as such, so that its later appearance is a change; `unread` is their number, where there
    /// are any. Ends early when `go_on` says so.
    pub(super) fn hash(
        &self,
        items: &[Item],
        go_on: impl Fn() -> Result<()> + Sync,
    ) -> Result<Value> {
        let look = |buffer: &mut Vec<u8>, item: &Item| {
            go_on()?;
            Ok(file_hash(&item.path, buffer).ok())
        };
        let found: Vec<Option<(u64, Hash)>> =
            items.par_iter().map_init(|| vec![0; 1 << 16], look).collect::<Result<_>>()?;
        let mut hasher = blake3::Hasher::new();
        for (item, file) in items.iter().zip(&found) {
            let line = match file {
                Some((size, hash)) => format!("{}\n{size}\n{hash}\n", item.id),
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
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let hashes = found.into_iter().map(|file| file.map(|(_, hash)| hash));
        seen.extend(items.iter().map(|item| item.path.clone()).zip(hashes));
        Ok(value)
    }

    fn seen(&self) -> RwLockReadGuard<'_, BTreeMap<PathBuf, Option<Hash>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a file could be read when it was looked at.
    pub(super) fn could_read(&self, path: &Path) -> bool {
        self.seen().get(path).is_some_and(Option::is_some)
    }

    /// The hash of a file when it was looked at, if it could be read.
    pub(super) fn hash_of(&self, path: &Path) -> Option<Hash> {
        self.seen().get(path).copied().flatten()
    }

    /// Compares the bytes of a file with what was seen of it; a file that nobody looked at is
    /// remembered.
    ///
    /// # Errors
    /// When they are others.
    pub(super) fn check(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.compare(path, blake3::hash(bytes))
    }

    /// As [`check`](Self::check), of the file as it is now, if it was looked at.
    pub(super) fn check_file(&self, path: &Path) -> io::Result<()> {
        if !self.seen().contains_key(path) {
            return Ok(());
        }
        self.compare(path, file_hash(path, &mut [0; 1 << 16])?.1)
    }

    fn compare(&self, path: &Path, hash: Hash) -> io::Result<()> {
        let before = self.seen().get(path).copied();
        let problem = match before {
            Some(Some(before)) if before == hash => return Ok(()),
            Some(Some(_)) => "it has changed since this command looked at it first",
            Some(None) => "it could not be read when this command looked at it first",
            None => {
                let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
                seen.insert(path.to_owned(), Some(hash));
                return Ok(());
            }
        };
        Err(io::Error::other(format!("{problem}; run the same command again")))
    }
}

/// Size and hash of a file.
pub(super) fn file_hash(path: &Path, buffer: &mut [u8]) -> io::Result<(u64, Hash)> {
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
        let whole = Seen::default().hash(&[item(&there)], || Ok(())).unwrap();
        assert_eq!(whole["unread"], Value::Null);
        let stop = || Err(crate::Error::Interrupted);
        assert!(Seen::default().hash(&[item(&there)], stop).is_err());
    }
}
