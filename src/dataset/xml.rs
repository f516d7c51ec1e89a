//! XML of unknown origin: parsed after a look for what would make the parser slow.
//!
//! The parser compares each attribute with the others of its tag and hands every element the
//! namespaces of its parent, so that a file of a megabyte could keep it busy for minutes. No program
//! that draws boxes writes so many.

use std::path::Path;

use roxmltree::{Document, ParsingOptions};

use super::place::at_line;
use crate::{Error, Result};

/// Most bytes of a file.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Most attributes of a tag.
const MOST_ATTRIBUTES: usize = 256;
/// Most declarations of namespaces.
const MOST_NAMESPACES: usize = 64;
/// Most elements, texts and comments.
const MOST_NODES: u32 = 1_000_000;
/// Elements inside one another.
const DEEPEST: usize = 256;

/// The parsed text of the file at `path`.
///
/// # Errors
/// [`Error::Data`] with the line when it is not well-formed, has a DTD, or is beyond a limit.
pub(super) fn parse<'t>(path: &Path, text: &'t str) -> Result<Document<'t>> {
    check_tags(path, text)?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => Error::data(
            path,
            "has a DTD (`<!DOCTYPE …>`), which is not read; remove it, with any entities",
        ),
        roxmltree::Error::NodesLimitReached => {
            Error::data(path, format!("has more than {MOST_NODES} elements and texts; split it"))
        }
        error => {
            use roxmltree::Error::{NoRootNode, UnclosedRootNode, UnexpectedEndOfStream};
            // What is missing at the end has no position of its own.
            let line = match error {
                NoRootNode | UnclosedRootNode | UnexpectedEndOfStream => {
                    text.lines().count().max(1)
                }
                ref error => error.pos().row as usize,
            };
            Error::data(at_line(path, line), format!("not well-formed XML: {error}"))
        }
    })
}

/// Goes over the tags once and counts. What is not well-formed is left to the parser.
fn check_tags(path: &Path, text: &str) -> Result<()> {
    let bytes = text.as_bytes();
    let refuse = |at: usize, problem: String| {
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        let problem = format!("{problem}; no annotation has so many: write the file again");
        Err(Error::data(at_line(path, line), problem))
    };
    let (mut namespaces, mut depth) = (0, 0usize);
    let mut rest = 0;
    while let Some(start) = text[rest..].find('<').map(|at| at + rest) {
        let skip = |what: &str| text[start..].find(what).map(|at| start + at + what.len());
        let special = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((_, end)) = special.iter().find(|(begin, _)| text[start..].starts_with(begin)) {
            let Some(end) = skip(end) else { return Ok(()) };
            rest = end;
            continue;
        }
        let mut quote = None;
        let mut attributes = 0;
        let mut end = start + 1;
        while end < bytes.len() && (quote.is_some() || bytes[end] != b'>') {
            match (quote, bytes[end]) {
                (None, mark @ (b'"' | b'\'')) => (quote, attributes) = (Some(mark), attributes + 1),
                (Some(open), mark) if open == mark => quote = None,
                _ => {}
            }
            end += 1;
        }
        let tag = &text[start..end];
        if attributes > MOST_ATTRIBUTES {
            return refuse(start, format!("a tag of more than {MOST_ATTRIBUTES} attributes"));
        }
        namespaces += tag.matches("xmlns").count();
        if namespaces > MOST_NAMESPACES {
            return refuse(start, format!("more than {MOST_NAMESPACES} namespaces"));
        }
        if tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with('/') && !tag.starts_with("<!") {
            depth += 1;
        }
        if depth > DEEPEST {
            return refuse(start, format!("more than {DEEPEST} elements inside one another"));
        }
        rest = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(Path::new("a.xml"), text).unwrap_err().to_string()
    }

    /// Each of them kept the parser busy for minutes.
    #[test]
    fn what_would_be_slow_is_refused_at_once() {
        let many: String = (0..100_000).map(|i| format!(" a{i}=\"1\"")).collect();
        assert!(
            refusal(&format!("<annotation{many}/>")).contains("a.xml:1: a tag of more than 256")
        );
        let open: String = (0..5000).map(|i| format!("\n<b xmlns:n{i}=\"u{i}\">")).collect();
        let text = format!("<annotation>{open}{}</annotation>", "</b>".repeat(5000));
        assert!(refusal(&text).contains("a.xml:66: more than 64 namespaces"));
        let deep = format!("{}{}", "<b>".repeat(100_000), "</b>".repeat(100_000));
        assert!(refusal(&deep).contains("256 elements inside one another"));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MOST_NODES as usize));
        assert!(refusal(&wide).contains("more than 1000000 elements"));
    }

    #[test]
    fn what_looks_like_tags_and_is_none_does_not_count() {
        let inside = "<b c=\"1\">".repeat(300);
        for text in [
            format!("<a><!--{inside}--></a>"),
            format!("<a><![CDATA[{inside}]]></a>"),
            format!("<?x {inside}?><a/>"),
            format!("<a b='{}' c=\"/>\">{}</a>", "&lt;>".repeat(300), "<b/>".repeat(300)),
            format!("<a>{}</a>", "<b><c d='>'/></b>".repeat(300)),
        ] {
            parse(Path::new("a.xml"), &text).unwrap_or_else(|error| panic!("{error}: {text}"));
        }
        for text in ["<", "<a b='", "<!--", "<a><![CDATA[", ""] {
            assert!(refusal(text).contains("not well-formed"), "{text}");
        }
    }
}
