//! Which folders may be run folders.

use std::path::Path;

use super::kind::Kind;
use super::paths::Paths;
use crate::artifacts::{Hold, RunLock, is_ours, write_atomically};
use crate::config::Sourced;
use crate::error::{Error, Result};

/// Refuses a folder that holds something else than a run: nothing of anybody's is written over.
///
/// # Errors
/// [`Error::Artifact`] with the way out.
pub(crate) fn check(dir: &Path) -> Result<()> {
    let settings = Paths::new(dir).config();
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

/// Takes a folder for a command, and marks it as its own: a new or empty one, or one that the command
/// made earlier, which the hidden file `mark` tells. `text` stands in the mark; `what` and `option` are
/// the folder and its option in words.
///
/// # Errors
/// [`Error::Artifact`] when it holds anything else, or another process works in it.
pub(crate) fn claim(
    folder: &Path,
    mark: &str,
    text: &str,
    [what, option]: [&str; 2],
) -> Result<RunLock> {
    let mark = folder.join(mark);
    if !mark.exists()
        && let Some(name) = foreign(folder)?
    {
        let problem = format!(
            "holds other files (`{name}`) and is no {what}; name a new folder for {option}"
        );
        return Err(Error::artifact(folder, problem));
    }
    let lock = RunLock::acquire(folder, Hold::Alone)?;
    if !mark.exists() {
        write_atomically(&mark, |file| file.write_all(text.as_bytes()))?;
    }
    Ok(lock)
}

/// Something in a folder that is not hidden. A lock and parts of files are, and so are the marks that
/// systems and other programs leave in a folder that is empty to its owner.
fn foreign(dir: &Path) -> Result<Option<String>> {
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
    let channels = std::fs::read_dir(Paths::new(dir).channels()).into_iter().flatten().flatten();
    let mut places = std::iter::once(dir.to_owned()).chain(channels.map(|entry| entry.path()));
    // At least one of these is in every run folder that holds results; channels have them too.
    let files = || Kind::all().filter(|kind| *kind != Kind::Fisher);
    places.any(|place| files().any(|kind| is_ours(&place.join(kind.path()))))
}
