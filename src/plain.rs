//! Text of unknown origin made plain, so that a name is never a command to a terminal, a spreadsheet
//! or a reader of XML.
//!
//! ```text
//! control characters, line separators, characters that turn the direction of writing, and what
//! XML forbids                     → \u{1b}     the character's number, in hexadecimal
//! a backslash before u{           → \u{5c}     so that no two texts look the same
//! a cell that begins like a formula and is no number, behind any number of '     → one ' more
//! ```
//!
//! Source: XML 1.0, section 2.2 (characters); Unicode Standard Annex 9 (direction); OWASP, CSV
//! injection (a formula begins with `=`, `+`, `-`, `@`, a tab or a line end).

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// How a character's number begins.
const ESCAPE: &str = r"\u{";
/// What a spreadsheet takes for the beginning of a formula, in both widths.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A name on one line.
///
/// ```
/// assert_eq!(fvtool::plain::line("a\u{1b}[31m\n"), r"a\u{1b}[31m\u{a}");
/// assert_eq!(fvtool::plain::line("café au lait"), "café au lait");
/// ```
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |at, c| is_unsafe(c) || text[at..].starts_with(ESCAPE))
}

/// A sentence on one line. The names in it may have passed [`line()`] already.
pub fn sentence(text: &str) -> Cow<'_, str> {
    escaped(text, |_, c| is_unsafe(c))
}

/// As [`sentence`], of several lines, which stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |_, c| is_unsafe(c) && !['\n', '\t'].contains(&c))
}

/// A path on one line.
pub fn path(path: &Path) -> String {
    line(&path.to_string_lossy()).into_owned()
}

/// The text that [`line()`] shows.
pub fn read(shown: &str) -> Cow<'_, str> {
    if !shown.contains(ESCAPE) {
        return Cow::Borrowed(shown);
    }
    let (mut text, mut rest) = (String::with_capacity(shown.len()), shown);
    while let Some(at) = rest.find(ESCAPE) {
        text.push_str(&rest[..at]);
        let number = rest[at + 3..].split_once('}');
        let escape = number.and_then(|(number, after)| {
            let c = char::from_u32(u32::from_str_radix(number, 16).ok()?)?;
            Some((c, after))
        });
        match escape {
            Some((c, after)) => {
                text.push(c);
                rest = after;
            }
            None => {
                text.push_str(ESCAPE);
                rest = &rest[at + 3..];
            }
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// A text as a cell of a table that a spreadsheet may open, without the quotation marks of CSV.
///
/// ```
/// assert_eq!(fvtool::plain::cell("=1+1"), "'=1+1");
/// assert_eq!(fvtool::plain::cell("-0.5"), "-0.5"); // a number
/// ```
pub fn cell(text: &str) -> Cow<'_, str> {
    let shown = line(text);
    if is_formula(&shown) { Cow::Owned(format!("'{shown}")) } else { shown }
}

/// The text that [`cell`] shows.
pub fn read_cell(cell: &str) -> Cow<'_, str> {
    match cell.strip_prefix('\'') {
        Some(shown) if is_formula(shown) => read(shown),
        _ => read(cell),
    }
}

fn is_formula(shown: &str) -> bool {
    shown.trim_start_matches('\'').starts_with(FORMULA) && shown.parse::<f64>().is_err()
}

fn escaped(text: &str, is_odd: impl Fn(usize, char) -> bool) -> Cow<'_, str> {
    if !text.char_indices().any(|(at, c)| is_odd(at, c)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        if is_odd(at, c) {
            write!(shown, r"\u{{{:x}}}", u32::from(c)).expect("writing to a string does not fail");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Characters that do something in place of being seen, or that XML forbids.
fn is_unsafe(c: char) -> bool {
    let turns_direction = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let is_no_character = u32::from(c) & 0xfffe == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}');
    let is_invisible = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    c.is_control() || turns_direction || is_no_character || is_invisible
}

/// Appends a record of comma-separated values (RFC 4180) to a text; each field is made a [`cell`].
pub fn push_record<'a>(text: &mut String, fields: impl Iterator<Item = &'a str>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            text.push(',');
        }
        let field = cell(field);
        // Quoted when empty too: a record of one empty field would be a blank line.
        if field.is_empty() || field.contains([',', '"']) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&field);
        }
    }
    text.push('\n');
}

/// A path in JSON: names that are not UTF-8 are shown as well as they can be.
///
/// # Errors
/// Those of the serialiser.
pub(crate) fn path_text<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Characters that make trouble somewhere, some that look like an escape, and plain ones.
    fn text() -> impl Strategy<Value = String> {
        let odd = "\u{0}\u{1}\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{200e}\u{202e}\u{2028}\u{2066}\u{fdd0}\u{feff}\u{fffe}\u{ffff}\u{10ffff}";
        let characters: Vec<char> =
            (odd.chars()).chain("\\u{}5c1b'=+-@＝a 0,\"é".chars()).collect();
        prop::collection::vec(prop::sample::select(characters), 0..12)
            .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_shown_is_safe_and_reads_back(text in text()) {
            let shown = line(&text);
            prop_assert!(!shown.contains(is_unsafe), "{shown:?}");
            prop_assert_eq!(read(&shown), text.as_str());
            let xml = format!("<a>{}</a>", shown.replace('<', "&lt;"));
            prop_assert!(roxmltree::Document::parse(&xml).is_ok());
            let cell = cell(&text);
            prop_assert!(!cell.starts_with(FORMULA) || cell.parse::<f64>().is_ok(), "{cell:?}");
            prop_assert_eq!(read_cell(&cell), text.as_str());
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in
            ["", "Coast/image_0001", r"a\b", "猫 🙂 naïve", "'quoted'", "-0.71", "-inf", "+1e5"]
        {
            assert!(matches!(line(text), Cow::Borrowed(shown) if shown == text));
            assert_eq!((&*cell(text), &*read_cell(text)), (text, text));
        }
        assert_eq!(lines("a\n\tb\u{7}"), "a\n\tb\\u{7}");
        assert_eq!(sentence("a\nb \\u{7}"), "a\\u{a}b \\u{7}", "a name in it stays as it is shown");
        assert_eq!(cell("-1+cmd|' /C calc'!A0"), "'-1+cmd|' /C calc'!A0");
        assert_eq!(read(r"\u{zz}\u{110000}\u{"), r"\u{zz}\u{110000}\u{", "no escapes");
    }
}
