//! Lists of paths, read line by line, so that a list of any length needs the memory of one line; and the
//! part of a list that is one task's.
//!
//! ```text
//! part I of N of S bytes = the lines that begin at bytes ⌊I·S/N⌋ … ⌊(I+1)·S/N⌋
//! ```
//!
//! So no line is counted, each is in one part, and the parts follow each other as the lines do.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;
use crate::part::Part;

/// Most bytes of a line: more than any path has.
const LONGEST: u64 = 1 << 16;

/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a list that name something, without the spaces at their ends.
pub struct Lines {
    source: Box<dyn BufRead>,
    /// For messages.
    list: PathBuf,
    /// Where the next line begins.
    at: u64,
    /// Where lines of this part begin.
    bytes: Range<u64>,
    /// Lines read so far, where they are counted from the first.
    number: Option<u64>,
    line: Vec<u8>,
}

/// One of them.
#[derive(Debug)]
pub struct Line {
    pub path: PathBuf,
    /// Share of the list's bytes up to its end, from 0 to 1, where their number is known.
    pub share: Option<f64>,
}

impl Lines {
    /// Of standard input.
    pub fn of_standard_input() -> Self {
        let source = Box::new(BufReader::new(io::stdin()));
        Self::new(source, Path::new("standard input"), 0, 0..u64::MAX)
    }

    /// Of a part of a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, or is no file.
    pub fn open(list: &Path, part: Part) -> Result<Self> {
        let open = || {
            let (file, size) = files::open(list)?;
            let bytes = part.range_of(size);
            let mut source = BufReader::with_capacity(1 << 16, file);
            let mut at = bytes.start;
            if at > 0 && !bytes.is_empty() {
                // The line that the byte before is in belongs to another part. If that byte ends it, the next one
                // begins here.
                source.seek(SeekFrom::Start(at - 1))?;
                at = at - 1 + source.skip_until(b'\n')? as u64;
            }
            Ok(Self::new(Box::new(source), list, at, bytes))
        };
        open().map_err(Error::io("read", list))
    }

    fn new(source: Box<dyn BufRead>, list: &Path, at: u64, bytes: Range<u64>) -> Self {
        let number = (bytes.start == 0).then_some(0);
        Self { source, list: list.to_owned(), at, bytes, number, line: Vec::new() }
    }

    /// The next line, whatever is in it; nothing after the last.
    fn read(&mut self) -> Result<Option<&str>> {
        let begin = self.at;
        if begin >= self.bytes.end {
            return Ok(None);
        }
        self.line.clear();
        let read = self.source.by_ref().take(LONGEST + 1).read_until(b'\n', &mut self.line);
        let read = read.map_err(Error::io("read", &self.list))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.at += read;
        self.number = self.number.map(|number| number + 1);
        let (list, number) = (&self.list, self.number);
        let refuse = |problem: String| match number {
            Some(number) => Error::data(format!("{}:{number}", list.display()), problem),
            None => Error::data(list, format!("the line that begins at byte {begin}: {problem}")),
        };
        if read > LONGEST {
            let problem =
                format!("a line of more than {LONGEST} bytes; give a text file with a path a line");
            return Err(refuse(problem));
        }
        let marked = if begin == 0 { self.line.strip_prefix(BYTE_ORDER_MARK) } else { None };
        let text = std::str::from_utf8(marked.unwrap_or(&self.line));
        text.map(Some).map_err(|_| refuse("not UTF-8 text; save the list as UTF-8".to_owned()))
    }

    fn share(&self) -> Option<f64> {
        let Range { start, end } = self.bytes;
        (end < u64::MAX).then(|| ((self.at - start) as f64 / (end - start) as f64).min(1.0))
    }
}

impl Iterator for Lines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let path = match self.read() {
                Ok(Some(line)) => PathBuf::from(line.trim_end()),
                Ok(None) => return None,
                Err(error) => {
                    // Nothing that comes after it is looked at.
                    self.bytes.end = self.at.min(self.bytes.end);
                    self.at = self.bytes.end;
                    return Some(Err(error));
                }
            };
            if !path.as_os_str().is_empty() {
                return Some(Ok(Line { path, share: self.share() }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tempfile::TempDir;

    /// Writes a list; the folder goes when it is dropped.
    #[allow(clippy::disallowed_methods, reason = "a fixture, not an artifact")]
    fn list(content: &[u8]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("list.txt");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn lines(path: &Path, part: Part) -> Vec<String> {
        let paths = Lines::open(path, part).unwrap().map(|line| line.unwrap().path);
        paths.map(|path| path.into_os_string().into_string().unwrap()).collect()
    }

    /// As the whole list is read in memory.
    fn reference(text: &str) -> Vec<&str> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
    }

    fn parts(count: usize) -> impl Iterator<Item = Part> {
        (0..count).map(move |index| Part::new(index, count).unwrap())
    }

    #[test]
    fn lines_are_trimmed_at_their_ends_and_empty_ones_left_out() {
        for text in [
            "",
            "\n",
            "a.jpg",
            "a.jpg\nb.jpg\n",
            "\u{feff}a.jpg\r\n b c.jpg \t\r\n\r\n\n  \nd.jpg",
            "\u{feff}",
            "a\u{feff}\n\u{feff}b\n",
        ] {
            let (_folder, path) = list(text.as_bytes());
            assert_eq!(lines(&path, Part::WHOLE), reference(text), "{text:?}");
        }
    }

    #[test]
    fn a_line_is_of_the_part_that_its_first_byte_is_in() {
        let text = "aaaa\nb\nc\n";
        let (_folder, path) = list(text.as_bytes());
        let of = |count| parts(count).map(|part| lines(&path, part)).collect::<Vec<_>>();
        assert_eq!(of(2), [vec!["aaaa"], vec!["b", "c"]]);
        // Bytes 0–2, 3–5, 6–8.
        assert_eq!(of(3), [vec!["aaaa"], vec!["b"], vec!["c"]]);
        let more = of(30);
        assert_eq!(more.concat(), reference(text));
        assert_eq!(more.iter().filter(|lines| lines.is_empty()).count(), 27);
    }

    proptest! {
        /// Each line in one part, in order, whatever ends it and wherever parts begin.
        #[test]
        fn parts_hold_each_line_once(
            marked in any::<bool>(),
            lines_and_ends in prop::collection::vec(("[a-zé /.\u{feff}]{0,9}", "\n|\r\n|\n\n| \n"), 0..20),
            last in "[a-z]{0,5}",
            count in 1_usize..40,
        ) {
            let body: String =
                lines_and_ends.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            let text = format!("{}{body}{last}", if marked { "\u{feff}" } else { "" });
            let (_folder, path) = list(text.as_bytes());
            let together: Vec<String> = parts(count).flat_map(|part| lines(&path, part)).collect();
            prop_assert_eq!(together, reference(&text));
        }
    }

    #[test]
    fn the_share_read_grows_to_the_whole() {
        let (_folder, path) = list(b"aaaa\nbbbb\ncccc\ndddd\n");
        for part in parts(3) {
            let shares = Lines::open(&path, part).unwrap().map(|line| line.unwrap().share.unwrap());
            let shares: Vec<f64> = shares.collect();
            assert!(shares.is_sorted() && shares.iter().all(|share| *share > 0.0), "{shares:?}");
            assert!(shares.last().is_none_or(|last| *last > 0.5 && *last <= 1.0), "{shares:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_named_with_its_place_and_ends_the_list() {
        let long = "x".repeat(LONGEST as usize + 1);
        for (content, words) in [
            (&b"a\n\xff\nb\n"[..], "list.txt:2: not UTF-8 text; save the list as UTF-8"),
            (format!("a\n\n{long}\nb\n").as_bytes(), "list.txt:3: a line of more than 65536 bytes"),
            (&[0; 1 << 18], "list.txt:1: a line of more than"),
        ] {
            let (_folder, path) = list(content);
            let lines: Vec<_> = Lines::open(&path, Part::WHOLE).unwrap().collect();
            let error = lines.last().unwrap().as_ref().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(lines[..lines.len() - 1].iter().all(Result::is_ok));
        }
        // The longest that is taken.
        let (_folder, path) = list(format!("{}\nb", &long[2..]).as_bytes());
        assert_eq!(lines(&path, Part::WHOLE).len(), 2);
        // Where lines are not counted, their bytes are.
        let (_folder, path) = list(b"aaaa\nbbbb\n\xff\n");
        let mut lines = Lines::open(&path, "1/2".parse().unwrap()).unwrap();
        let error = lines.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("list.txt: the line that begins at byte 10: not UTF-8"), "{error}");
        assert!(lines.next().is_none());
        let error = Lines::open(Path::new("/no/list"), Part::WHOLE).map(|_| ()).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /no/list"), "{error}");
    }
}
