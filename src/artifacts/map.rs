//! Files mapped into memory. The only `unsafe` of the crate.

use std::path::Path;

use crate::error::{Error, Result};

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(super) struct Mapped(memmap2::Mmap);

impl Mapped {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (reader, _) = crate::files::open(path).map_err(Error::io("read", path))?;
        // SAFETY: the map is read-only. Artifacts are never changed in place: they are written under
        // another name and renamed, which leaves an open map on the old contents. Another program
        // that truncates the file meanwhile would end this process with SIGBUS, not corrupt it.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(reader.file()) }.map_err(Error::io("read", path))?;
        Ok(Self(map))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
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
        assert!(super::Mapped::open(&path.join("nothing")).is_err());
    }
}
