//! Names of files and folders: their endings, and their text where they are none.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Letters of the longest ending: what is longer behind a dot is a part of the name.
const LONGEST_ENDING: usize = 10;

/// File name endings that count as images, in any case; the first one wins when an image of the
/// same name is there several times. They only find files: what is in one is told by its contents.
pub const IMAGE_ENDINGS: &[&str] = &[
    "jpg", "jpeg", "png", "ppm", "pgm", "pbm", "pnm", "bmp", "gif", "tif", "tiff", "webp", "jpe",
    "jfif",
];

/// Endings of images that are not read: photographs of telephones, raw files of cameras, drawings.
const UNREAD_IMAGES: &[&str] = &[
    ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".dng", ".cr2", ".cr3",
    ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".raw", ".srw",
    ".x3f", ".3fr", ".iiq", ".tga", ".ico", ".exr", ".hdr", ".psd", ".xcf", ".svg", ".dcm",
    ".fits", ".fit", ".qoi", ".pcx", ".dds", ".czi", ".lif", ".nd2", ".svs", ".apng", ".pam",
    ".dib",
];

/// The ending of a file name, with its dot and in lower case. None for a name without a dot, and where
/// what follows the last dot is no ending by its look (`scan.0012`, `Dr. Smith, portrait`).
pub(super) fn ending(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let letters = ending.chars().all(|c| c.is_ascii_alphanumeric());
    let number = ending.chars().all(|c| c.is_ascii_digit());
    (!stem.is_empty() && ending.len() <= LONGEST_ENDING && letters && !number)
        .then(|| format!(".{}", ending.to_ascii_lowercase()))
}

/// Whether a file name ends like an image; the rank of its ending in [`IMAGE_ENDINGS`].
pub(super) fn image_rank(name: &str) -> Option<usize> {
    let (stem, ending) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    IMAGE_ENDINGS.iter().position(|known| known.eq_ignore_ascii_case(ending))
}

/// The name without the ending of an image file, where it has one.
pub(super) fn without_ending(name: &str) -> Option<&str> {
    image_rank(name)?;
    name.rsplit_once('.').map(|(stem, _)| stem)
}

/// Whether files of this ending are images, though of a kind that is not read.
pub(super) fn is_unread_image(ending: &str) -> bool {
    UNREAD_IMAGES.contains(&ending)
}

/// A file name, and as text: where it is none, its odd bytes are escaped (`caf\xE9`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub text: String,
    pub file: OsString,
}

/// The names of a folder's files, sorted; no two have the same text.
pub(super) fn named(files: Vec<OsString>) -> Vec<Name> {
    let mut names: BTreeMap<String, Name> = BTreeMap::new();
    let mut odd = Vec::new();
    for file in files {
        match file.to_str() {
            Some(text) => {
                let text = text.to_owned();
                names.insert(text.clone(), Name { text, file });
            }
            None => odd.push(file),
        }
    }
    odd.sort_unstable();
    for file in odd {
        let mut text = shown(&file);
        // Another file may really have this name.
        while names.contains_key(&text) {
            text.insert(0, '\\');
        }
        names.insert(text.clone(), Name { text, file });
    }
    names.into_values().collect()
}

/// A name in one line of text.
pub(super) fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if c.is_ascii_control() => text += &format!("\\x{:02X}", c as u32),
                c if c.is_control() || breaks(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| text += &format!("\\x{byte:02X}"));
    }
    text
}

/// Whether a character ends a line somewhere.
pub(super) fn breaks(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The first names of a list in words, at most `most`: `` `a`, `b` and 3 more``.
pub(super) fn some<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let first: Vec<String> =
        names.iter().take(most).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len().saturating_sub(most) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_from_names() {
        for (name, expected) in [
            ("a.JPG", Some(".jpg")),
            ("a.b.heic", Some(".heic")),
            ("film.mp4", Some(".mp4")),
            ("scan.0012", None),
            ("a", None),
            ("a.", None),
            (".jpg", None),
            ("Dr. Smith, portrait", None),
            ("photo.jpg_large", None),
        ] {
            assert_eq!(ending(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_name_is_shown_in_one_line() {
        for (name, expected) in [
            ("c d.jpg", "c d.jpg"),
            ("a\n\x1b.jpg", "a\\x0A\\x1B.jpg"),
            ("a\u{2028}", "a\\u{2028}"),
        ] {
            assert_eq!(shown(OsStr::new(name)), expected);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some(&["a", "b", "c"], 2), "`a`, `b` and 1 more");
        assert_eq!(some(&["a", "b"], 2), "`a`, `b`");
    }
}
