//! PASCAL VOC's `Annotations/<id>.xml`: the objects of one image.
//!
//! Boxes are written 1-based with both edges inclusive, and come out 0-based. Only the `object`
//! elements directly below the root count; their `part`s do not.

use std::path::Path;

use roxmltree::{Document, Node};

use super::at_line;
use crate::{Error, Result};

/// An object with its class by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub class: String,
    /// Left, top, right, bottom in pixels, 0-based, inclusive.
    pub bounds: [f32; 4],
    pub difficult: bool,
}

/// Reads an annotation; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Named>>> {
    match crate::files::read_text(path) {
        Ok(text) => parse(path, &text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Named>> {
    let document = Document::parse(text).map_err(|error| match error {
        roxmltree::Error::DtdDetected => Error::data(
            path,
            "has a DTD (`<!DOCTYPE …>`), which is not read; remove it, with any entities",
        ),
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
    })?;
    let root = document.root_element();
    if !root.has_tag_name("annotation") {
        return Err(broken(
            path,
            root,
            &format!("the root element is <{}>, expected <annotation>", root.tag_name().name()),
        ));
    }
    elements(root, "object").map(|object| parse_object(path, object)).collect()
}

fn parse_object(path: &Path, object: Node<'_, '_>) -> Result<Named> {
    let class = text_of(path, object, "name")?;
    // The name may become part of a file name.
    if class.contains(['/', '\\'])
        || class == "."
        || class == ".."
        || class.contains(char::is_control)
    {
        let shown = class.escape_debug();
        return Err(broken(path, object, &format!("`{shown}` cannot be a class name")));
    }
    let difficult = match elements(object, "difficult").next() {
        None => false,
        Some(node) => match node.text().unwrap_or_default().trim() {
            "0" => false,
            "1" => true,
            other => {
                let problem = format!("<difficult> is `{other}`; write 0 or 1");
                return Err(broken(path, node, &problem));
            }
        },
    };
    let bounding_box = elements(object, "bndbox")
        .next()
        .ok_or_else(|| broken(path, object, "an <object> without <bndbox>"))?;
    let mut bounds = [0.0; 4];
    for (bound, name) in bounds.iter_mut().zip(["xmin", "ymin", "xmax", "ymax"]) {
        let text = text_of(path, bounding_box, name)?;
        let value: f32 = text.parse().ok().filter(|v: &f32| v.is_finite()).ok_or_else(|| {
            broken(path, bounding_box, &format!("<{name}> is `{text}`; write a number of pixels"))
        })?;
        *bound = value - 1.0;
    }
    if bounds[2] < bounds[0] || bounds[3] < bounds[1] {
        return Err(broken(
            path,
            bounding_box,
            "the box ends before it begins; xmin ≤ xmax and ymin ≤ ymax must hold",
        ));
    }
    Ok(Named { class: class.to_owned(), bounds, difficult })
}

fn elements<'a, 'i>(
    parent: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    parent.children().filter(move |node| node.has_tag_name(name))
}

fn text_of<'a>(path: &Path, parent: Node<'a, '_>, name: &'static str) -> Result<&'a str> {
    let text = elements(parent, name).next().and_then(|node| node.text()).map(str::trim);
    text.filter(|text| !text.is_empty()).ok_or_else(|| {
        broken(path, parent, &format!("<{}> has no <{name}>", parent.tag_name().name()))
    })
}

fn broken(path: &Path, node: Node<'_, '_>, problem: &str) -> Error {
    let line = node.document().text_pos_at(node.range().start).row as usize;
    Error::data(at_line(path, line), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(inner: &str) -> String {
        format!("<annotation>\n<object>\n{inner}\n</object>\n</annotation>")
    }

    const BOX: &str =
        "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>10</xmax><ymax>20</ymax></bndbox>";

    #[test]
    fn boxes_become_zero_based_and_parts_do_not_count() {
        let part = format!("<part><name>head</name>{BOX}</part>");
        let text = object(&format!("<name> dog </name><difficult>1</difficult>{BOX}{part}"));
        let objects = parse(Path::new("a.xml"), &text).unwrap();
        let expected =
            Named { class: "dog".into(), bounds: [0.0, 1.5, 9.0, 19.0], difficult: true };
        assert_eq!(objects, [expected]);
        assert_eq!(parse(Path::new("a.xml"), "<annotation/>").unwrap(), []);
    }

    /// Each broken text, and the words and line that its error must have.
    #[test]
    fn broken_annotations_name_the_line() {
        let name = "<name>dog</name>";
        let reversed = BOX.replace("<xmax>10", "<xmax>0");
        let infinite = BOX.replace("<xmax>10", "<xmax>inf");
        let cases: &[(String, &str)] = &[
            ("<annotation>\n<object>".into(), "a.xml:2: not well-formed XML"),
            ("".into(), "not well-formed XML"),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><annotation/>".into(), "a.xml: has a DTD"),
            ("<image/>".into(), "a.xml:1: the root element is <image>"),
            (object(BOX), "a.xml:2: <object> has no <name>"),
            (object(&format!("<name/>{BOX}")), "a.xml:2: <object> has no <name>"),
            (object(&format!("<name>../dog</name>{BOX}")), "cannot be a class name"),
            (object(name), "a.xml:2: an <object> without <bndbox>"),
            (object(&format!("{name}<bndbox/>")), "a.xml:3: <bndbox> has no <xmin>"),
            (object(&format!("{name}{reversed}")), "a.xml:3: the box ends before it begins"),
            (object(&format!("{name}{infinite}")), "a.xml:3: <xmax> is `inf`"),
            (object(&format!("{name}{BOX}\n<difficult>2</difficult>")), "a.xml:4: <difficult>"),
        ];
        for (text, expected) in cases {
            let message = parse(Path::new("a.xml"), text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
