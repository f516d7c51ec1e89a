//! PASCAL VOC's `Annotations/<id>.xml`: the objects of one image.
//!
//! Names of elements and truth values count in any case, since annotation programs differ. Only the
//! `object` elements directly below the root count as objects; their `part`s are kept beside them. An element of an object that
//! is not read and not known to be harmless is reported, since it may change what the object means.

use std::path::{Path, PathBuf};

use roxmltree::Node;

use super::items::{Area, Object, Ruler};
use super::place::at_line;
use super::xml;
use crate::{Error, Result};

/// Elements of an object that say nothing of its class, its box or whether it counts.
const HARMLESS: &[&str] = &[
    "pose",
    "truncated",
    "occluded",
    "part",
    "parts",
    "point",
    "points",
    "polygon",
    "segmentation",
    "mask",
    "actions",
    "view",
    "attributes",
    "id",
    "object_id",
    "track_id",
    "type",
    "shape",
    "color",
    "colour",
    "date",
    "comment",
    "confidence",
    "score",
];

/// What an annotation says of its image.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Annotation {
    pub objects: Vec<Named>,
    /// Width and height of the picture that the boxes were drawn on, where they are stated.
    pub size: Option<[u32; 2]>,
    /// The boxes are shares of width and height, from 0 to 1.
    pub shares: bool,
    /// The file that it says it is of.
    pub filename: Option<String>,
    /// Elements of objects that are set and not read, by name.
    pub unread: Vec<String>,
    /// Where the first part stands that cannot be read, and why; only who asks for parts is told.
    pub broken_part: Option<(PathBuf, String)>,
}

/// An object with its class by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub class: String,
    /// Left, top, right, bottom as written.
    pub edges: [f32; 4],
    pub difficult: bool,
    pub parts: Vec<Part>,
}

/// A part of an object that can be seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// May be empty.
    pub name: String,
    /// Left, top, right, bottom as written.
    pub edges: [f32; 4],
}

impl Annotation {
    /// Some box begins before the first pixel as PASCAL VOC counts them, which is 1.
    pub fn begins_at_zero(&self) -> bool {
        let zero = |named: &Named| named.edges[..2].iter().any(|edge| (0.0..1.0).contains(edge));
        !self.shares && self.objects.iter().any(zero)
    }
}

impl Annotation {
    /// Its objects of known classes (sorted), with their edges counted from 0. Those that are written count from
    /// 1, as PASCAL VOC has it, unless `from_zero`.
    pub fn known_objects(&self, classes: &[String], from_zero: bool) -> Vec<Object> {
        let ruler = self.ruler();
        let known = self.objects.iter().filter_map(|named| {
            let class = classes.binary_search(&named.class).ok()?;
            let bounds = counted_from_zero(ruler, named.edges, from_zero);
            Some(Object { class, bounds, ruler, difficult: named.difficult })
        });
        known.collect()
    }

    /// The parts of its objects of known classes, as [`known_objects`](Self::known_objects).
    pub fn known_parts(&self, classes: &[String], from_zero: bool) -> Vec<Area> {
        let ruler = self.ruler();
        let known = self.objects.iter().filter(|named| classes.binary_search(&named.class).is_ok());
        let area = |part: &Part| {
            let bounds = counted_from_zero(ruler, part.edges, from_zero);
            Area { name: part.name.clone(), bounds, ruler, of_point: false }
        };
        known.flat_map(|named| named.parts.iter().map(area)).collect()
    }

    fn ruler(&self) -> Ruler {
        match (self.shares, self.size) {
            (true, _) => Ruler::Shares,
            (false, Some(size)) => Ruler::PixelsOf(size),
            (false, None) => Ruler::Pixels,
        }
    }
}

/// Edges as written, counted from 0 with both ends inclusive.
fn counted_from_zero(ruler: Ruler, edges: [f32; 4], from_zero: bool) -> [f32; 4] {
    let [left, top, right, bottom] = edges;
    match (ruler, from_zero) {
        (Ruler::Shares, _) => edges,
        (_, false) => edges.map(|edge| edge - 1.0),
        (_, true) => [left, top, (right - 1.0).max(left), (bottom - 1.0).max(top)],
    }
}

/// Reads an annotation; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Annotation>> {
    let not_text = |_| {
        let problem = "it is not UTF-8 text; save it as UTF-8";
        std::io::Error::new(std::io::ErrorKind::InvalidData, problem)
    };
    let text = crate::files::read(path, xml::MOST_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(not_text));
    match text {
        Ok(text) => parse(path, &text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Annotation> {
    let document = xml::parse(path, text)?;
    let root = document.root_element();
    if !is(root, "annotation") {
        return Err(broken(
            path,
            root,
            &format!("the root element is <{}>, expected <annotation>", root.tag_name().name()),
        ));
    }
    check_places(path, root)?;
    let mut read = Annotation::default();
    let mut shares = None;
    for object in elements(root, "object") {
        let named = parse_object(path, object, &mut read.unread)?;
        // A box of a pixel would begin at 1.
        let small = named.edges.iter().all(|edge| (0.0..=1.0).contains(edge));
        let of_shares = small && named.edges.iter().any(|&edge| edge < 1.0);
        if *shares.get_or_insert(of_shares) != of_shares {
            let problem = "some boxes of this file lie between 0 and 1 and others do not; write all \
                           as pixels, or all as shares of width and height";
            return Err(broken(path, object, problem));
        }
        read.objects.push(named);
    }
    read.shares = shares == Some(true);
    for (object, named) in elements(root, "object").zip(&mut read.objects) {
        match parts_of(path, object, read.shares) {
            Ok(parts) => named.parts = parts,
            Err(Error::Data { path, problem }) => {
                read.broken_part.get_or_insert((path, problem));
            }
            Err(other) => return Err(other),
        }
    }
    if let Some(size) = only(path, root, "size")? {
        let side = |name| -> Result<Option<u32>> {
            let text = only(path, size, name)?.map(text_in).unwrap_or_default();
            // 0 stands for a size that the program did not know.
            let pixels = text.parse().ok().map(|side: f64| side as u32);
            Ok(pixels.filter(|&side| side > 0))
        };
        read.size = side("width")?.zip(side("height")?).map(|(width, height)| [width, height]);
    }
    let filename = elements(root, "filename").next().map(text_in);
    read.filename = filename.filter(|name| !name.is_empty());
    Ok(read)
}

/// Objects and boxes stand where they are looked for: one elsewhere would be passed over.
fn check_places(path: &Path, root: Node<'_, '_>) -> Result<()> {
    let parent_is = |node: Node<'_, '_>, name| node.parent().is_some_and(|above| is(above, name));
    for node in root.descendants().filter(Node::is_element) {
        if is(node, "object") && node.parent() != Some(root) {
            let problem =
                "an <object> inside another element; write it directly below <annotation>";
            return Err(broken(path, node, problem));
        }
        if is(node, "bndbox") && !parent_is(node, "object") && !parent_is(node, "part") {
            let problem = "a <bndbox> that is not of an <object>; write <object> around it";
            return Err(broken(path, node, problem));
        }
    }
    Ok(())
}

fn parse_object(path: &Path, object: Node<'_, '_>, unread: &mut Vec<String>) -> Result<Named> {
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
    let attribute = object.attributes().find(|a| a.name().eq_ignore_ascii_case("difficult"));
    if attribute.is_some() {
        let problem = "`difficult` is an attribute; write <difficult>0</difficult> in the <object>";
        return Err(broken(path, object, problem));
    }
    let difficult = match only(path, object, "difficult")? {
        None => false,
        Some(node) => {
            let text = text_in(node);
            truth(&text).ok_or_else(|| {
                broken(path, node, &format!("<difficult> is `{text}`; write 0 or 1"))
            })?
        }
    };
    let bounding_box = only(path, object, "bndbox")?
        .ok_or_else(|| broken(path, object, "an <object> without <bndbox>"))?;
    let edges = edges_of(path, bounding_box)?;
    unread.extend(set_and_unread(object, &["name", "difficult", "bndbox"]));
    unread.extend(set_and_unread(bounding_box, &["xmin", "ymin", "xmax", "ymax"]));
    Ok(Named { class, edges, difficult, parts: Vec::new() })
}

/// The edges of a `bndbox`, as written.
fn edges_of(path: &Path, bounding_box: Node<'_, '_>) -> Result<[f32; 4]> {
    let mut edges = [0.0; 4];
    for (edge, name) in edges.iter_mut().zip(["xmin", "ymin", "xmax", "ymax"]) {
        let text = text_of(path, bounding_box, name)?;
        *edge = text.parse().ok().filter(|v: &f32| v.is_finite()).ok_or_else(|| {
            broken(path, bounding_box, &format!("<{name}> is `{text}`; write a number of pixels"))
        })?;
    }
    if edges[2] < edges[0] || edges[3] < edges[1] {
        return Err(broken(
            path,
            bounding_box,
            "the box ends before it begins; xmin ≤ xmax and ymin ≤ ymax must hold",
        ));
    }
    Ok(edges)
}

/// The parts of an object, without those that are said not to be visible. `of_shares`: as the boxes of
/// objects are.
fn parts_of(path: &Path, object: Node<'_, '_>, of_shares: bool) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for part in elements(object, "part") {
        if let Some(node) = only(path, part, "visible")? {
            let text = text_in(node);
            let visible = truth(&text).ok_or_else(|| {
                broken(path, node, &format!("<visible> is `{text}`; write 0 or 1"))
            })?;
            if !visible {
                continue;
            }
        }
        let bounding_box = only(path, part, "bndbox")?
            .ok_or_else(|| broken(path, part, "a <part> without <bndbox>"))?;
        let edges = edges_of(path, bounding_box)?;
        if of_shares && edges.iter().any(|edge| !(0.0..=1.0).contains(edge)) {
            let problem =
                "a part in pixels of an object whose box is in shares of width and height";
            return Err(broken(path, part, problem));
        }
        let name = only(path, part, "name")?.map(text_in).unwrap_or_default();
        parts.push(Part { name, edges });
    }
    Ok(parts)
}

/// The names of elements in `parent` that are neither read nor harmless, and say something.
fn set_and_unread<'a>(parent: Node<'a, '_>, read: &'a [&str]) -> impl Iterator<Item = String> {
    let known = |node: &Node<'_, '_>| read.iter().chain(HARMLESS).any(|name| is(*node, name));
    let says = |node: &Node<'_, '_>| {
        let text = text_in(*node);
        let nothing = text.is_empty() && !node.has_children()
            || truth(&text) == Some(false)
            || text.parse() == Ok(0.0f64)
            || text.eq_ignore_ascii_case("unspecified");
        !nothing
    };
    let unread = parent
        .children()
        .filter(Node::is_element)
        .filter(move |node| !known(node) && says(node))
        .map(|node| node.tag_name().name().to_owned());
    unread.chain(turned(parent).then(|| "rotation".to_owned()))
}

/// A box that was turned, as CVAT writes it: `<attribute>` with the name `rotation` and an angle.
fn turned(object: Node<'_, '_>) -> bool {
    let attributes = elements(object, "attributes").flat_map(|all| elements(all, "attribute"));
    attributes.into_iter().any(|attribute| {
        let text = |name| elements(attribute, name).next().map(text_in).unwrap_or_default();
        text("name").eq_ignore_ascii_case("rotation")
            && text("value").parse().is_ok_and(|angle: f64| angle != 0.0)
    })
}

/// What programs write for yes and no.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "t" => Some(true),
        "0" | "false" | "no" | "n" | "f" => Some(false),
        _ => None,
    }
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name().eq_ignore_ascii_case(name)
}

fn elements<'a, 'i>(
    parent: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    parent.children().filter(move |node| is(*node, name))
}

/// The element of that name; several must say the same.
fn only<'a, 'i>(
    path: &Path,
    parent: Node<'a, 'i>,
    name: &'static str,
) -> Result<Option<Node<'a, 'i>>> {
    let mut found = elements(parent, name);
    let Some(first) = found.next() else { return Ok(None) };
    let source = |node: Node<'_, '_>| node.document().input_text()[node.range()].to_owned();
    match found.find(|other| source(*other) != source(first)) {
        Some(other) => {
            let problem =
                format!("a second <{name}> that differs from the first; remove one of them");
            Err(broken(path, other, &problem))
        }
        None => Ok(Some(first)),
    }
}

/// All text of an element, which comments may part.
fn text_in(node: Node<'_, '_>) -> String {
    let parts = node.children().filter(Node::is_text).filter_map(|text| text.text());
    parts.collect::<String>().trim().to_owned()
}

fn text_of(path: &Path, parent: Node<'_, '_>, name: &'static str) -> Result<String> {
    let text = only(path, parent, name)?.map(text_in).filter(|text| !text.is_empty());
    text.ok_or_else(|| {
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

    fn read(text: &str) -> Annotation {
        parse(Path::new("a.xml"), text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    const BOX: &str =
        "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>10</xmax><ymax>20</ymax></bndbox>";

    #[test]
    fn parts_do_not_count() {
        let part = format!("<part><name>head</name>{BOX}</part>");
        let text = object(&format!("<name> dog </name><difficult>1</difficult>{BOX}{part}"));
        let edges = [1.0, 2.5, 10.0, 20.0];
        let parts = vec![Part { name: "head".into(), edges }];
        let expected = Named { class: "dog".into(), edges, difficult: true, parts };
        let expected = Annotation { objects: vec![expected], ..Annotation::default() };
        assert_eq!(read(&text), expected);
        assert_eq!(read(&text).known_objects(&["dog".into()], false).len(), 1);
        assert_eq!(read("<annotation/>"), Annotation::default());
    }

    #[test]
    fn parts_that_cannot_be_seen_are_left_out_and_bad_ones_remembered() {
        let part = |inner: &str| format!("<part>{inner}</part>");
        let seen = part(&format!("<name>hand</name><visible>1</visible>{BOX}"));
        let hidden = part("<name>foot</name><visible>0</visible>");
        let read = read(&object(&format!("<name>dog</name>{BOX}{seen}{hidden}")));
        let parts = read.known_parts(&["dog".into()], false);
        assert_eq!((parts.len(), parts[0].bounds), (1, [0.0, 1.5, 9.0, 19.0]));
        assert!(read.known_parts(&["cat".into()], false).is_empty() && read.broken_part.is_none());
        for (inner, words) in [
            ("<name>hand</name>", "a <part> without <bndbox>"),
            ("<visible>perhaps</visible>", "<visible> is `perhaps`"),
            (
                "<bndbox><xmin>9</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax></bndbox>",
                "ends before",
            ),
            (
                "<bndbox><xmin>NaN</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax></bndbox>",
                "is `NaN`",
            ),
        ] {
            let text = object(&format!("<name>dog</name>{BOX}\n{}", part(inner)));
            let annotation = parse(Path::new("a.xml"), &text).unwrap();
            let (place, problem) = annotation.broken_part.unwrap();
            assert!(problem.contains(words), "{problem}");
            assert_eq!(place, Path::new("a.xml:4"));
            assert_eq!(annotation.objects.len(), 1);
        }
    }

    #[test]
    fn names_and_truth_values_count_in_any_case() {
        for (difficult, expected) in [
            ("<Difficult>1</Difficult>", true),
            ("<DIFFICULT> True </DIFFICULT>", true),
            ("<difficult>yes</difficult>", true),
            ("<difficult>Y</difficult>", true),
            ("<difficult><![CDATA[1]]></difficult>", true),
            ("<Difficult>FALSE</Difficult>", false),
            ("<difficult>No</difficult>", false),
            ("<difficult>0</difficult><difficult>0</difficult>", false),
            ("", false),
        ] {
            let text = object(&format!("<Name>dog</Name>{difficult}{}", BOX.to_uppercase()));
            let text = text.replace("<object>", "<Object>").replace("</object>", "</Object>");
            let text = text.replace("annotation>", "Annotation>");
            let found = read(&text).objects;
            assert_eq!(found[0].difficult, expected, "{text}");
            assert_eq!(found[0].edges, [1.0, 2.5, 10.0, 20.0]);
        }
    }

    /// roxmltree gives the text up to the first comment.
    #[test]
    fn a_comment_does_not_cut_a_name() {
        let text = object(&format!("<name>dog<!-- or -->house</name>{BOX}"));
        assert_eq!(read(&text).objects[0].class, "doghouse");
    }

    #[test]
    fn what_is_not_read_and_may_matter_is_listed() {
        let harmless = "<pose>Left</pose><truncated>1</truncated><occluded>1</occluded>\
                        <deleted>0</deleted><ignore/><crowd>false</crowd><group>Unspecified</group>";
        assert!(read(&object(&format!("<name>dog</name>{BOX}{harmless}"))).unread.is_empty());
        let turned = BOX.replace("</bndbox>", "<angle>0.3</angle></bndbox>");
        let rotation = "<attributes><attribute><name>rotation</name><value>30.0</value></attribute>\
                        </attributes>";
        let text = format!("<name>dog</name>{turned}<Ignore>yes</Ignore><dificult>1</dificult>");
        assert_eq!(
            read(&object(&(text + rotation))).unread,
            ["Ignore", "dificult", "rotation", "angle"]
        );
    }

    #[test]
    fn sizes_shares_and_the_first_pixel_are_told() {
        let with_size = |size: &str| read(&format!("<annotation>{size}</annotation>")).size;
        let size =
            |w: &str, h: &str| format!("<Size><Width>{w}</Width><height>{h}</height></Size>");
        assert_eq!(with_size(&size(" 120 ", "96")), Some([120, 96]));
        for (width, height) in [("0", "0"), ("120", "0"), ("None", "96"), ("", "")] {
            assert_eq!(with_size(&size(width, height)), None);
        }
        let with_box = |edges: [&str; 4]| {
            let [l, t, r, b] = edges;
            let inner = format!(
                "<bndbox><xmin>{l}</xmin><ymin>{t}</ymin><xmax>{r}</xmax><ymax>{b}</ymax></bndbox>"
            );
            let read = read(&object(&format!("<name>dog</name>{inner}")));
            (read.shares, read.begins_at_zero())
        };
        assert_eq!(with_box(["0.25", "0.1", "0.5", "1"]), (true, false));
        assert_eq!(with_box(["0", "0", "1", "1"]), (true, false));
        assert_eq!(with_box(["1", "1", "1", "1"]), (false, false));
        assert_eq!(with_box(["0", "5", "20", "30"]), (false, true));
        assert_eq!(with_box(["-3", "5", "20", "30"]), (false, false));
    }

    /// Each broken text, and the words and line that its error must have.
    #[test]
    fn broken_annotations_name_the_line() {
        let name = "<name>dog</name>";
        let reversed = BOX.replace("<xmax>10", "<xmax>0");
        let infinite = BOX.replace("<xmax>10", "<xmax>inf");
        let shares =
            "<bndbox><xmin>0</xmin><ymin>0.5</ymin><xmax>0.5</xmax><ymax>1</ymax></bndbox>";
        let two = format!("{name}{BOX}\n</object>\n<object>{name}{shares}");
        let cases: &[(String, &str)] = &[
            ("<annotation>\n<object>".into(), "a.xml:2: not well-formed XML"),
            ("".into(), "not well-formed XML"),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><annotation/>".into(), "a.xml: has a DTD"),
            ("<image/>".into(), "a.xml:1: the root element is <image>"),
            (object(BOX), "a.xml:2: <object> has no <name>"),
            (object(&format!("<name/>{BOX}")), "a.xml:2: <object> has no <name>"),
            (object(&format!("<name><b>dog</b></name>{BOX}")), "<object> has no <name>"),
            (object(&format!("<name>../dog</name>{BOX}")), "cannot be a class name"),
            (object(&format!("{name}\n<name>cat</name>{BOX}")), "a.xml:4: a second <name>"),
            (object(name), "a.xml:2: an <object> without <bndbox>"),
            (object(&format!("{name}{BOX}\n{shares}")), "a.xml:4: a second <bndbox>"),
            (object(&format!("{name}<bndbox/>")), "a.xml:3: <bndbox> has no <xmin>"),
            (object(&format!("{name}{reversed}")), "a.xml:3: the box ends before it begins"),
            (object(&format!("{name}{infinite}")), "a.xml:3: <xmax> is `inf`"),
            (object(&two), "a.xml:5: some boxes of this file lie between 0 and 1"),
            (object(&format!("{name}{BOX}\n<difficult>2</difficult>")), "a.xml:4: <difficult>"),
            (object(&format!("{name}{BOX}\n<Difficult/>")), "a.xml:4: <difficult> is ``"),
            (object(&format!("{name}{BOX}\n<difficult>ja</difficult>")), "<difficult> is `ja`"),
            (
                object(&format!("{name}{BOX}")).replace("<object>", "<object Difficult=\"1\">"),
                "a.xml:2: `difficult` is an attribute",
            ),
            (
                format!(
                    "<annotation>\n<objects>\n<object>{name}{BOX}</object></objects></annotation>"
                ),
                "a.xml:3: an <object> inside another element",
            ),
            (
                format!("<annotation>\n<item>{name}{BOX}</item></annotation>"),
                "a.xml:2: a <bndbox> that is not of an <object>",
            ),
        ];
        for (text, expected) in cases {
            let message = parse(Path::new("a.xml"), text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
