//! The text files of `ImageSets/Main`: one image id per line, or one id and a label per line.
//!
//! Lines may end in CR-LF, fields be separated by several spaces or tabs, blank lines and a
//! byte-order mark are skipped. An id may have the ending of its image file, which then belongs to no
//! id. Everything else is an error with path and line.

use std::collections::BTreeMap;
use std::path::Path;

use super::label::Label;
use super::names::without_ending;
use super::place::at_line;
use crate::{Error, Result};

/// Bytes of a list that are read to tell which kind it is.
const PEEKED_BYTES: u64 = 1 << 16;

/// What the beginning of a list looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing but white space.
    Empty,
    /// One field on every line.
    Ids,
    /// Several fields on some line.
    Labels,
}

/// Looks at the beginning of a list.
pub(super) fn peek(path: &Path) -> Result<Kind> {
    let bytes = crate::files::read_start(path, PEEKED_BYTES).map_err(Error::io("read", path))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    // What is not written with spaces is a list of labels all the same, and refused as one.
    let number = |label: &str| matches!(label.trim(), "1" | "0" | "-1");
    let has_label = |line: &str| {
        line.split_whitespace().nth(1).is_some()
            || line.rsplit_once([',', ';', ':']).is_some_and(|(_, label)| number(label))
    };
    Ok(if text.lines().any(has_label) {
        Kind::Labels
    } else if text.trim().is_empty() {
        Kind::Empty
    } else {
        Kind::Ids
    })
}

/// The image ids of a split, with where they stand.
#[derive(Debug)]
pub(super) struct Ids {
    /// In list order, distinct.
    pub ids: Vec<String>,
    /// Line of each id, from 1.
    lines: Vec<usize>,
    /// Index of each id, sorted by id.
    sorted: Vec<u32>,
}

impl Ids {
    /// Reads `<split>.txt`. `has_image` says whether there is an image of that id.
    pub fn read(path: &Path, has_image: impl Fn(&str) -> bool) -> Result<Self> {
        Self::parse(path, &read_text(path)?, has_image)
    }

    /// Reads the text of `<split>.txt`, which stands at `path`.
    pub fn parse(path: &Path, text: &str, has_image: impl Fn(&str) -> bool) -> Result<Self> {
        let (mut ids, mut lines) = (Vec::new(), Vec::new());
        for (line, fields) in rows(text) {
            let [id] = fields[..] else {
                let got = fields.len();
                return Err(Error::data(
                    at_line(path, line),
                    format!("expected one image id, got {got} fields; put each id on its own line"),
                ));
            };
            check_id(path, line, id)?;
            // An id such as `a.jpg` may really be that of `a.jpg.png`.
            let bare = without_ending(id).filter(|bare| !has_image(id) && has_image(bare));
            ids.push(bare.unwrap_or(id).to_owned());
            lines.push(line);
        }
        if ids.is_empty() {
            return Err(Error::data(path, "the list is empty; write one image id per line"));
        }
        let mut sorted: Vec<u32> =
            (0..ids.len()).map(|i| u32::try_from(i).expect("fewer than 2^32 lines")).collect();
        sorted.sort_by(|&a, &b| ids[a as usize].cmp(&ids[b as usize]));
        let again = sorted
            .windows(2)
            .filter(|pair| ids[pair[0] as usize] == ids[pair[1] as usize])
            .map(|pair| (pair[1] as usize, pair[0] as usize))
            .min();
        if let Some((second, first)) = again {
            return Err(appears_again(path, lines[second], &ids[second], lines[first]));
        }
        Ok(Self { ids, lines, sorted })
    }

    fn position(&self, id: &str) -> Option<usize> {
        let found = self.sorted.binary_search_by(|&i| self.ids[i as usize].as_str().cmp(id));
        found.ok().map(|rank| self.sorted[rank] as usize)
    }

    /// Reads `<class>_<split>.txt` into one label per id of this list, which stands at `own`.
    pub fn labels(&self, own: &Path, path: &Path) -> Result<Vec<Label>> {
        self.parse_labels(own, path, &read_text(path)?)
    }

    /// As [`labels`](Self::labels), from the text at `path`.
    pub fn parse_labels(&self, own: &Path, path: &Path, text: &str) -> Result<Vec<Label>> {
        let mut labels: Vec<Option<Label>> = vec![None; self.ids.len()];
        let mut next = 0;
        for (line, fields) in rows(text) {
            let [id, label] = fields[..] else {
                return Err(Error::data(
                    at_line(path, line),
                    format!(
                        "expected an image id and a label (1, 0 or -1), got {} fields",
                        fields.len()
                    ),
                ));
            };
            check_id(path, line, id)?;
            let label = match label {
                "1" => Label::Yes,
                "0" => Label::Ignored,
                "-1" => Label::No,
                other => {
                    return Err(Error::data(
                        at_line(path, line),
                        format!(
                            "the label of `{id}` is `{other}`; write 1 (there), -1 (not there) or \
                             0 (only difficult objects: left out)"
                        ),
                    ));
                }
            };
            // Class lists normally follow the order of the split.
            let in_order = self.ids.get(next).is_some_and(|expected| expected == id);
            let bare = || without_ending(id).and_then(|bare| self.position(bare));
            let place = if in_order { Some(next) } else { self.position(id).or_else(bare) };
            let Some(place) = place else {
                return Err(Error::data(
                    at_line(path, line),
                    format!("`{id}` is not in {}; add it there or remove this line", file(own)),
                ));
            };
            if labels[place].replace(label).is_some() {
                let first = first_line_of(text, id);
                return Err(appears_again(path, line, id, first));
            }
            next = place + 1;
        }
        let missing = labels.iter().position(Option::is_none);
        match missing {
            Some(place) => Err(Error::data(
                at_line(own, self.lines[place]),
                format!(
                    "`{}` has no label in {}; add a line there with 1, 0 or -1, or remove this one",
                    self.ids[place],
                    file(path)
                ),
            )),
            None => Ok(labels.into_iter().flatten().collect()),
        }
    }

    /// Where the id at `index` stands in the list at `path`.
    pub fn place(&self, path: &Path, index: usize) -> std::path::PathBuf {
        at_line(path, self.lines[index])
    }
}

fn first_line_of(text: &str, id: &str) -> usize {
    rows(text).find(|(_, fields)| fields.first() == Some(&id)).map_or(0, |(line, _)| line)
}

fn appears_again(path: &Path, line: usize, id: &str, first: usize) -> Error {
    let problem = format!("`{id}` appears again, first in line {first}; remove one of the two");
    Error::data(at_line(path, line), problem)
}

fn file(path: &Path) -> std::path::Display<'_> {
    Path::new(path.file_name().unwrap_or_default()).display()
}

/// An id names a file in one folder: anything that could lead out of it is refused.
fn check_id(path: &Path, line: usize, id: &str) -> Result<()> {
    let bad = id.contains(['/', '\\']) || id == "." || id == ".." || id.contains(char::is_control);
    if bad {
        return Err(Error::data(
            at_line(path, line),
            format!(
                "`{}` is not an image id; an id is a file name in JPEGImages without folder and \
                 ending, for example 000012",
                id.escape_debug()
            ),
        ));
    }
    Ok(())
}

/// The fields of every line that has any, with the line's number from 1.
fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.split_whitespace().collect::<Vec<_>>()))
        .filter(|(_, fields)| !fields.is_empty())
}

/// Reads a UTF-8 text without its byte-order mark.
fn read_text(path: &Path) -> Result<String> {
    let bytes =
        crate::files::read(path, crate::files::MOST_TEXT).map_err(Error::io("read", path))?;
    text_of(path, bytes)
}

/// The text of a list at `path`.
pub(super) fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|&&b| b == b'\n').count();
        Error::data(at_line(path, line), "not UTF-8 text; save the list as UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// The class of each list name: `(class, split)` for `<class>_<split>`, of the longest split name
/// that fits, so that class `train` of split `val` is found in `train_val`.
pub(super) fn class_and_split<'a, T>(
    stem: &'a str,
    splits: &'a BTreeMap<String, T>,
) -> Option<(&'a str, &'a str)> {
    splits
        .keys()
        .filter_map(|split| {
            let class = stem.strip_suffix(split.as_str())?.strip_suffix('_')?;
            (!class.is_empty()).then_some((class, split.as_str()))
        })
        .max_by_key(|(_, split)| split.len())
}
