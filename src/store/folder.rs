//! Which folders may be run folders, and names within them.

use std::path::{Path, PathBuf};

use super::kind::Kind;
use crate::artifacts::is_ours;
use crate::config::Sourced;
use crate::error::{Error, Result};
use crate::files;

/// Refuses a folder that holds something else than a run: nothing of anybody's is written over.
///
/// # Errors
/// [`Error::Artifact`] with the way out.
pub(crate) fn check(dir: &Path) -> Result<()> {
    let settings = dir.join("config.toml");
    if settings.exists() {
        return match Sourced::file(&settings) {
            Ok(_) => Ok(()),
            Err(error) => {
                let problem = format!(
                    "these are no settings of a run ({error}); name another --run folder, or \
                     move this file away and run the same command again"
                );
                Err(Error::artifact(settings, problem))
            }
        };
    }
    let Some(name) = foreign(dir)? else { return Ok(()) };
    if holds_artifacts(dir) {
        return Ok(());
    }
    let problem = format!("holds other files (`{name}`) and no run; name a new folder for --run");
    Err(Error::artifact(dir, problem))
}

/// Something in a folder that is not hidden. A lock and parts of files are, and so are the marks that
/// systems and other programs leave in a folder that is empty to its owner.
pub(crate) fn foreign(dir: &Path) -> Result<Option<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let name = names.into_iter().find(|name| !name.as_encoded_bytes().starts_with(b"."));
    Ok(name.map(|name| name.to_string_lossy().escape_debug().to_string()))
}

/// Whether a folder whose settings are gone holds results of a run.
fn holds_artifacts(dir: &Path) -> bool {
    let channels = std::fs::read_dir(dir.join("channels")).into_iter().flatten().flatten();
    let mut places = std::iter::once(dir.to_owned()).chain(channels.map(|entry| entry.path()));
    // At least one of these is in every run folder that holds results; channels have them too.
    let files = || Kind::all().filter(|kind| *kind != Kind::Fisher);
    places.any(|place| files().any(|kind| is_ours(&place.join(kind.path()))))
}

/// The folder `name` in `folder`.
///
/// # Errors
/// [`Error::Data`] for what is no name, and where the file system takes another's folder for it.
pub(crate) fn of_name(folder: &Path, name: &str) -> Result<PathBuf> {
    let Some(path) = files::directly_below(folder, name) else {
        let problem = format!("`{}` is no name of a split", name.escape_debug());
        return Err(Error::data(folder, problem));
    };
    if path.exists() {
        let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        let same = |other: &String| other.to_lowercase() == name.to_lowercase();
        let mut texts = names.iter().map(|name| name.to_string_lossy().into_owned());
        if !names.iter().any(|other| other == name)
            && let Some(other) = texts.find(same)
        {
            let problem = format!(
                "split `{name}` would have the files of split `{other}`, since names that differ in \
                 case alone are one here; rename one of them, or use another --run"
            );
            return Err(Error::data(folder, problem));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_plain_name_of_its_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(of_name(folder, "src").unwrap(), folder.join("src"));
        assert_eq!(of_name(folder, "SRC").is_err(), folder.join("SRC").exists());
        assert_eq!(of_name(folder, "not there").unwrap(), folder.join("not there"));
        for name in ["..", "../src", "/etc", "a/b", "", ".", "a/"] {
            assert!(of_name(folder, name).is_err(), "{name}");
        }
    }
}
