//! Files mapped into memory. The only `unsafe` of the crate.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Bytes asked for at once: Linux fetches the beginning of a larger range alone.
#[cfg(unix)]
const PIECE: usize = 128 << 10;

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(super) struct Mapped {
    map: memmap2::Mmap,
    /// Whether ranges were asked for.
    asked: AtomicBool,
}

impl Mapped {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (reader, _) = crate::files::open(path).map_err(Error::io("read", path))?;
        // SAFETY: the map is read-only. Artifacts are never changed in place: they are written under
        // another name and renamed, which leaves an open map on the old contents. Another program
        // that truncates the file meanwhile would end this process with SIGBUS, not corrupt it.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(reader.file()) }.map_err(Error::io("read", path))?;
        Ok(Self { map, asked: AtomicBool::new(false) })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.map
    }

    /// What `read` makes of the bytes, which it reads from the first to the last: the system reads ahead of
    /// it, and takes these pages first where it is short of memory.
    pub(super) fn streamed<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        #[cfg(unix)]
        self.advise(memmap2::Advice::Sequential);
        let value = read(&self.map);
        #[cfg(unix)]
        self.advise(memmap2::Advice::Normal);
        value
    }

    /// Has a range of bytes fetched meanwhile. From then on nothing is fetched around a byte that is read:
    /// who asks for ranges jumps between them.
    pub(super) fn soon(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            if !self.asked.swap(true, Ordering::Relaxed) {
                self.advise(memmap2::Advice::Random);
            }
            for start in range.clone().step_by(PIECE) {
                let len = PIECE.min(range.end - start);
                let _ = self.map.advise_range(memmap2::Advice::WillNeed, start, len);
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Advice: where it is not taken, the same bytes are read.
    #[cfg(unix)]
    fn advise(&self, advice: memmap2::Advice) {
        let _ = self.map.advise(advice);
    }
}

#[cfg(test)]
mod tests {
    /// The reference: what the file system reads.
    #[test]
    fn a_map_is_the_file() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mapped = super::Mapped::open(&path).unwrap();
        assert_eq!(mapped.as_slice(), std::fs::read(&path).unwrap());
        assert_eq!(mapped.streamed(<[u8]>::len), mapped.as_slice().len());
        mapped.soon(1..mapped.as_slice().len());
        assert_eq!(mapped.as_slice(), std::fs::read(&path).unwrap());
        assert!(super::Mapped::open(&path.join("nothing")).is_err());
    }
}
