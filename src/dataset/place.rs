//! Places in files, as messages name them.

use std::path::{Path, PathBuf};

/// `path:line`, as compilers write it.
pub(super) fn at_line(path: &Path, line: usize) -> PathBuf {
    let mut shown = path.as_os_str().to_owned();
    shown.push(format!(":{line}"));
    shown.into()
}
