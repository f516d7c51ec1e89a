//! What lies in a data folder: folders to any depth with their images, and a count of everything else.
//!
//! Images are files of the endings that are read, and files without an ending whose first bytes are
//! those of an image. Links are followed, except where they lead back to a folder above them. Hidden
//! entries, what systems leave behind, empty folders and run folders of fvtool are passed over; nothing
//! is left out without being counted.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use super::inventory::Tally;
use super::names::{self, Name, ending, image_rank, is_unread_image, shown};
use crate::names::COMPARISON_MARK;
use crate::{Error, Result, files};

/// Folders within folders that are looked into.
const MOST_LEVELS: usize = 200;
/// How often a folder is looked into by way of links: with links to folders of links there are more
/// ways than files.
const MOST_LINKS: usize = 8;
/// Names of other files that are kept to tell which layout a folder has.
const MOST_SIGNS: usize = 32;
/// Bytes of a file that tell whether it is an image.
const MAGIC_BYTES: u64 = 20;
/// Bytes of a configuration that tell whether it is fvtool's.
const CONFIG_BYTES: u64 = 1 << 16;

/// Folders that systems make beside those of their users, in lower case.
const CLUTTER_FOLDERS: &[&str] = &[
    "__macosx",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "@eadir",
    "@tmp",
    "@__thumb",
    "#recycle",
    "__pycache__",
];
/// Files that systems make beside those of their users, in lower case.
const CLUTTER_FILES: &[&str] = &["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];
/// Reason of both.
pub(super) const CLUTTER: &str = "system clutter";
/// Reason of hidden entries.
pub(super) const HIDDEN: &str = "hidden";
/// Reason of a run folder.
pub(super) const RUN_FOLDER: &str = "run folder of fvtool";
/// Reason of a folder without anything in it.
pub(super) const EMPTY: &str = "empty";

/// A folder with what lies in it.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Images in the folder itself, sorted.
    pub images: Vec<Name>,
    /// The folders in it that have anything in them.
    pub folders: BTreeMap<String, Folder>,
    /// Images in these, to any depth.
    pub below: usize,
    /// Files in the folder itself that are no images, by ending (empty without one).
    pub others: BTreeMap<String, usize>,
    /// Names of tables and descriptions among them.
    pub signs: Vec<String>,
    /// Images beside which lies a file of the same name and this ending.
    pub twins: BTreeMap<&'static str, usize>,
}

impl Folder {
    /// Whether there is an image in it, to any depth.
    pub fn has_images(&self) -> bool {
        self.below > 0 || !self.images.is_empty()
    }

    /// Folders with images.
    pub fn kids(&self) -> impl Iterator<Item = (&String, &Folder)> {
        self.folders.iter().filter(|(_, folder)| folder.has_images())
    }

    /// Paths of the images, to any depth, for a folder at `at`.
    pub fn files(&self, at: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            self.images.iter().map(|image| at.join(&image.file)).collect();
        for (name, folder) in &self.folders {
            files.extend(folder.files(&at.join(name)));
        }
        files.sort();
        files
    }

    /// Files that are no images, to any depth, by ending.
    pub fn all_others(&self) -> BTreeMap<String, usize> {
        let mut all = self.others.clone();
        for folder in self.folders.values() {
            for (ending, count) in folder.all_others() {
                *all.entry(ending).or_default() += count;
            }
        }
        all
    }

    /// [`all_others`](Self::all_others) in words: `3 .txt, 1 .csv`.
    pub fn others_in_words(&self) -> String {
        let words = self.all_others().into_iter().map(|(ending, count)| match ending.as_str() {
            "" => format!("{count} without ending"),
            ending => format!("{count} {ending}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Whether it holds images of a kind that is not read, and none that is.
    pub fn is_unread(&self) -> bool {
        !self.has_images() && self.all_others().keys().any(|ending| is_unread_image(ending))
    }
}

/// Looks through a data folder.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed; [`Error::Data`] for a folder whose name no result
/// file can hold, for folders nested without end, and when the folder is a run of fvtool.
pub(super) fn walk(root: &Path) -> Result<(Folder, Tally)> {
    let real = fs::canonicalize(root).map_err(Error::io("find", root))?;
    let mut walk =
        Walk { root, tally: Tally::default(), above: vec![real], linked: BTreeMap::new() };
    let folder = walk.folder(Path::new(""))?;
    let folder = folder.ok_or_else(|| {
        Error::data(root, "this is a run folder of fvtool; give the folder that holds the images")
    })?;
    Ok((folder, walk.tally))
}

struct Walk<'r> {
    root: &'r Path,
    tally: Tally,
    /// The folder at hand and those that it lies in, without links.
    above: Vec<PathBuf>,
    /// How often a folder was reached by a link.
    linked: BTreeMap<PathBuf, usize>,
}

impl Walk<'_> {
    /// The folder at `below` the root; `None` for a run folder.
    fn folder(&mut self, below: &Path) -> Result<Option<Folder>> {
        let path = joined(self.root, below);
        let entries = entries(&path)?;
        if is_run_folder(&path, &entries) {
            return Ok(None);
        }
        let mut folder = Folder::default();
        let mut images = Vec::new();
        let mut stems: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for (name, kind) in entries {
            if is_folder(&path, &name, kind) {
                self.enter(below, name, kind, &mut folder)?;
                continue;
            }
            if let Some(reason) = passed_over(&name, false) {
                self.tally.leave_out(reason, below, &name);
                continue;
            }
            if is_image(&path, &name) {
                images.push(name);
                continue;
            }
            let text = shown(&name);
            let ending = ending(&text).unwrap_or_default();
            let dead = kind.is_symlink() && fs::metadata(path.join(&name)).is_err();
            let reason = match (dead, ending.as_str()) {
                (true, _) => "links to nowhere",
                (false, "") => "without ending",
                (false, ending) => ending,
            };
            self.tally.leave_out(reason, below, &name);
            if let Some(known) = [".xml", ".txt", ".json"].into_iter().find(|e| *e == ending) {
                stems.entry(known).or_default().push(text[..text.len() - ending.len()].to_owned());
            }
            if folder.signs.len() < MOST_SIGNS && is_sign(&text.to_lowercase(), &ending) {
                folder.signs.push(text);
            }
            *folder.others.entry(ending).or_default() += 1;
        }
        folder.images = names::named(images);
        for (ending, mut stems) in stems {
            stems.sort_unstable();
            let twin = |image: &&Name| {
                let stem = image.text.rsplit_once('.').map_or(&*image.text, |(stem, _)| stem);
                stems.binary_search_by(|other| (**other).cmp(stem)).is_ok()
            };
            folder.twins.insert(ending, folder.images.iter().filter(twin).count());
        }
        folder.below = folder.folders.values().map(|f| f.images.len() + f.below).sum();
        Ok(Some(folder))
    }

    /// Looks into the folder `name` of the one at `below`, and puts it into `parent`.
    fn enter(
        &mut self,
        below: &Path,
        name: OsString,
        kind: FileType,
        parent: &mut Folder,
    ) -> Result<()> {
        let path = joined(self.root, below).join(&name);
        if let Some(reason) = passed_over(&name, true) {
            self.tally.pass_over(reason, below, &name);
            // A link may lead anywhere; what lies there is no part of the data.
            let count = if kind.is_symlink() { 0 } else { count_files(&path) };
            self.tally.leave_out_all(reason, below, &name, count);
            return Ok(());
        }
        let real = if kind.is_symlink() {
            fs::canonicalize(&path).map_err(Error::io("find", &path))?
        } else {
            self.above.last().expect("the root is there").join(&name)
        };
        if self.above.contains(&real) {
            self.tally.pass_over("link to a folder above it", below, &name);
            return Ok(());
        }
        if kind.is_symlink() {
            let times = self.linked.entry(real.clone()).or_default();
            *times += 1;
            if *times > MOST_LINKS {
                self.tally.pass_over("linked too often", below, &name);
                return Ok(());
            }
        }
        if self.above.len() > MOST_LEVELS {
            let problem = format!("more than {MOST_LEVELS} folders within folders; move it out");
            return Err(Error::data(path, problem));
        }
        self.above.push(real);
        let folder = self.folder(&below.join(&name))?;
        self.above.pop();
        let Some(folder) = folder else {
            self.tally.pass_over(RUN_FOLDER, below, &name);
            return Ok(());
        };
        if folder.images.is_empty() && folder.folders.is_empty() && folder.others.is_empty() {
            self.tally.pass_over(EMPTY, below, &name);
            return Ok(());
        }
        match name.to_str().filter(|text| !text.contains(names::breaks)) {
            Some(text) => _ = parent.folders.insert(text.to_owned(), folder),
            None if !folder.has_images() => self.tally.pass_over("of odd name", below, &name),
            // Names of classes and splits stand in results.
            None => {
                let problem = match name.to_str() {
                    Some(_) => "the name has a line break; rename it",
                    None => "the name is not UTF-8; rename it",
                };
                return Err(Error::data(path.with_file_name(shown(&name)), problem));
            }
        }
        Ok(())
    }
}

/// A path below the root, which is itself where there is nothing to add.
fn joined(root: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) }
}

/// The entries of a folder, sorted by name.
pub(super) fn entries(path: &Path) -> Result<Vec<(OsString, FileType)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("list", path))? {
        let entry = entry.map_err(Error::io("list", path))?;
        let kind = entry.file_type().map_err(Error::io("list", entry.path()))?;
        all.push((entry.file_name(), kind));
    }
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// Whether an entry of a folder is one too, or a link to one.
pub(super) fn is_folder(folder: &Path, name: &OsStr, kind: FileType) -> bool {
    let leads_to_one = || fs::metadata(folder.join(name)).is_ok_and(|found| found.is_dir());
    kind.is_dir() || kind.is_symlink() && leads_to_one()
}

/// Why an entry is passed over by its name alone.
pub(super) fn passed_over(name: &OsStr, folder: bool) -> Option<&'static str> {
    let clutter = if folder { CLUTTER_FOLDERS } else { CLUTTER_FILES };
    if clutter.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Some(CLUTTER);
    }
    name.as_encoded_bytes().starts_with(b".").then_some(HIDDEN)
}

/// Whether a file is an image, by its ending; without one by its first bytes. A link that leads nowhere
/// is one too, by its ending, and is reported when it is read.
pub(super) fn is_image(folder: &Path, name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    if image_rank(&text).is_some() {
        return true;
    }
    ending(&text).is_none()
        && files::read_start(&folder.join(name), MAGIC_BYTES).is_ok_and(|start| has_magic(&start))
}

/// Whether a file begins as an image of a format that is read does.
fn has_magic(start: &[u8]) -> bool {
    let begins = |with: &[u8]| start.starts_with(with);
    let at = |from: usize, with: &[u8]| start.get(from..from + with.len()) == Some(with);
    begins(b"\xFF\xD8\xFF")
        || begins(b"\x89PNG\r\n\x1A\n")
        || begins(b"GIF87a")
        || begins(b"GIF89a")
        || begins(b"RIFF") && at(8, b"WEBP")
        || [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| begins(*magic))
        // The size of the header that follows: of one of the versions of the format.
        || begins(b"BM") && [12, 40, 52, 56, 64, 108, 124].iter().any(|size| at(14, &[*size, 0, 0, 0]))
        || matches!(start, [b'P', b'1'..=b'7', space, next, ..]
            if space.is_ascii_whitespace() && (next.is_ascii_digit() || *next == b'#' || start[1] == b'7'))
}

/// Whether a folder is what `fvtool run` or `fvtool compare` makes.
pub(super) fn is_run_folder(path: &Path, entries: &[(OsString, FileType)]) -> bool {
    let has = |name: &str| entries.binary_search_by(|(n, _)| (**n).cmp(OsStr::new(name))).is_ok();
    let ours = |start: Vec<u8>| {
        let text = String::from_utf8_lossy(&start);
        ["[descriptors]", "[gmm]", "[encoding]"].iter().all(|table| text.contains(table))
    };
    let is_run = has("config.toml")
        && (has(".lock") || has("source.json"))
        && files::read_start(&path.join("config.toml"), CONFIG_BYTES).is_ok_and(ours);
    is_run || has(COMPARISON_MARK)
}

/// Whether a file that is no image may tell which layout a folder has.
fn is_sign(name: &str, ending: &str) -> bool {
    match ending {
        ".csv" | ".tsv" | ".xlsx" | ".xls" | ".jsonl" | ".parquet" | ".yaml" | ".yml"
        | ".names" => true,
        ".json" => {
            ["coco", "instances", "captions", "annotations", "keypoints", "labels", "metadata"]
                .iter()
                .any(|word| name.contains(word))
        }
        ".txt" => ["classes", "labels", "ecotaxa"].iter().any(|word| name.contains(word)),
        _ => false,
    }
}

/// Files in a folder and the folders in it. No link is followed, and what cannot be listed counts as
/// nothing.
fn count_files(folder: &Path) -> usize {
    let mut count = 0;
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                _ => count += 1,
            }
        }
    }
    count
}

/// Counts all files in a folder for one reason, but those of `besides`; hidden ones, clutter and run
/// folders for their own. No link is followed.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed.
pub(super) fn leave_out(
    tally: &mut Tally,
    reason: &str,
    root: &Path,
    below: &Path,
    besides: Option<&Path>,
) -> Result<()> {
    let mut waiting = vec![below.to_owned()];
    while let Some(below) = waiting.pop() {
        let path = joined(root, &below);
        let entries = entries(&path)?;
        if is_run_folder(&path, &entries) {
            let name = below.file_name().unwrap_or_default();
            tally.pass_over(RUN_FOLDER, below.parent().unwrap_or(Path::new("")), name);
            continue;
        }
        for (name, kind) in entries {
            let path = path.join(&name);
            if Some(&*path) == besides {
                continue;
            }
            match (passed_over(&name, kind.is_dir()), kind.is_dir()) {
                (Some(reason), true) => {
                    tally.pass_over(reason, &below, &name);
                    tally.leave_out_all(reason, &below, &name, count_files(&path));
                }
                (Some(reason), false) => tally.leave_out(reason, &below, &name),
                (None, true) => waiting.push(below.join(&name)),
                (None, false) => tally.leave_out(reason, &below, &name),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_first_bytes() {
        let mut bmp = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        for start in [
            &b"\xFF\xD8\xFF\xE0"[..],
            b"\x89PNG\r\n\x1A\n",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"II*\0",
            b"MM\0+",
            b"P5\n640 480\n",
            b"P6 #",
            &bmp,
        ] {
            assert!(has_magic(start), "{start:?}");
        }
        bmp[14] = 7;
        for start in
            [&b""[..], b"BM", b"BMW is a car of", b"P", b"P5", b"PS: x", b"RIFF\0\0\0\0WAVE", &bmp]
        {
            assert!(!has_magic(start), "{start:?}");
        }
    }
}
