//! Boxes and parts of images from tables of their own, in the place of those of annotations.
//!
//! ```text
//! image,x,y,width,height[,part][,visible]      pixels of the upright image, x and y from 0
//! ```
//!
//! A row with a name in `part` is a part, any other a box; a part with `visible` 0 is not there. `image` is an
//! id, or a path below the data folder, with its ending or without, or a file name where only one image has it.
//! A kind of which a table has a row comes from tables alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::items::{Area, AreaKind, Areas, Item, Ruler};
use super::names::without_ending;
use super::place::at_line;
use super::table::records;
use crate::error::{Error, Result};
use crate::files;
use crate::words::{counted, listed};

/// Names of tables that are looked for in a data folder; the second is of parts alone.
const TABLES: [&str; 2] = ["boxes.csv", "parts.csv"];
/// Columns that a table needs.
const NEEDED: [&str; 5] = ["image", "x", "y", "width", "height"];

/// Places of images, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    of_images: BTreeMap<String, Areas>,
    /// The kinds of which there is a row.
    kinds: BTreeSet<AreaKind>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// The tables of a data folder: the one that a setting names, or those in it.
///
/// # Errors
/// [`Error::Setting`] for a name that is none of a file.
pub(super) fn paths(root: &Path, named: &Path) -> Result<Vec<PathBuf>> {
    if !named.as_os_str().is_empty() {
        let range = "a table of boxes and parts, a .csv file (docs/PARTS.md)";
        Error::require(named.is_file(), "data.boxes", named.display(), range)?;
        return Ok(vec![named.to_owned()]);
    }
    Ok(TABLES.iter().map(|name| root.join(name)).filter(|path| path.is_file()).collect())
}

impl Tables {
    /// Reads tables, whose rows are of images in `items`: those of all splits of the data folder `root`.
    ///
    /// # Errors
    /// [`Error::Data`] with file and line for what cannot be read, and for a table of other images;
    /// [`Error::Io`].
    pub fn read(paths: &[PathBuf], root: &Path, items: &[&Item]) -> Result<Self> {
        let mut tables = Self::default();
        let names = Names::of(root, items);
        for path in paths {
            let bytes = files::read(path, files::MOST_TEXT).map_err(Error::io("read", path))?;
            tables.add(path, &bytes, &names)?;
        }
        Ok(tables)
    }

    /// Whether places of a kind come from tables.
    pub fn have(&self, kind: AreaKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The places of an image.
    pub fn of(&self, item: &Item, kind: AreaKind) -> Vec<Area> {
        self.of_images.get(&item.id).map_or_else(Vec::new, |areas| areas.of(kind).to_vec())
    }

    fn add(&mut self, path: &Path, bytes: &[u8], names: &Names<'_>) -> Result<()> {
        let mut records = records(path, bytes)?.into_iter();
        let Some((_, header)) = records.next() else {
            return Err(Error::data(path, "an empty table"));
        };
        let columns = Columns::of(path, &header)?;
        let (mut rows, mut hidden, mut repeated) = ([0, 0], 0, 0);
        let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
        let (mut known, mut all_shares, mut some_share): (BTreeSet<&str>, _, _) =
            (BTreeSet::new(), true, false);
        for (line, record) in records {
            let row = columns.row(path, line, &record)?;
            all_shares &= row.edges.iter().all(|edge| (0.0..=1.0).contains(edge));
            some_share |= row.edges.iter().any(|edge| edge.fract() != 0.0);
            let kind = if row.part.is_empty() { AreaKind::Boxes } else { AreaKind::Parts };
            let id = match names.id(row.image) {
                Some(Found::One(id)) => id,
                Some(Found::Several) => {
                    let problem = format!(
                        "`{}` may be several images; write the path below the data folder",
                        row.image
                    );
                    return Err(Error::data(at_line(path, line), problem));
                }
                None => {
                    unknown.entry(row.image.to_owned()).or_insert(line);
                    continue;
                }
            };
            known.insert(id);
            self.kinds.insert(kind);
            rows[usize::from(kind == AreaKind::Parts)] += 1;
            let areas = self.of_images.entry(id.to_owned()).or_default().of_mut(kind);
            let [x, y, width, height] = row.edges;
            let area = Area {
                name: row.part.to_owned(),
                // Inclusive edges are a pixel short of the edges of the area.
                bounds: [x, y, x + width - 1.0, y + height - 1.0],
                ruler: Ruler::Pixels,
                of_point: false,
            };
            if !row.visible {
                hidden += 1;
            } else if areas.contains(&area) {
                repeated += 1;
            } else {
                areas.push(area);
            }
        }
        if known.is_empty() {
            let problem = match unknown.first_key_value() {
                None => "a table without rows".to_owned(),
                Some((name, line)) => format!(
                    "of other images: none of the {} that it names is in the data folder (`{name}`, line \
                     {line}, is the first); write ids or paths of its images, as `{}`",
                    unknown.len(),
                    names.example
                ),
            };
            return Err(Error::data(path, problem));
        }
        if all_shares && some_share {
            let problem = "all numbers lie between 0 and 1; write x, y, width and height in pixels of the \
                           image, not as shares of it";
            return Err(Error::data(path, problem));
        }
        let kinds = AreaKind::ALL.into_iter().zip(rows).filter(|(_, count)| *count > 0);
        let kinds: Vec<String> =
            kinds.map(|(kind, count)| format!("{count} rows of {}", kind.words())).collect();
        let images = counted(known.len(), "image");
        let mut note = format!("{}: {} for {images}", path.display(), listed(&kinds));
        if hidden > 0 {
            note += &format!(", {hidden} of them not visible");
        }
        if repeated > 0 {
            note += &format!(", {repeated} of them twice, which count once");
        }
        self.notes.push(note);
        if let Some((name, line)) = unknown.first_key_value() {
            self.notes.push(format!(
                "{}: {} that it names {} not in the data folder (first: `{name}`, line {line})",
                path.display(),
                counted(unknown.len(), "image"),
                if unknown.len() == 1 { "is" } else { "are" }
            ));
        }
        Ok(())
    }
}

/// Leaves each image its places of these kinds: from tables where they have the kind, otherwise from
/// annotations.
///
/// # Errors
/// [`Error::Data`] for an annotated part that cannot be read, where parts are wanted and no table has them.
pub(super) fn keep(items: &mut [Item], kinds: &[AreaKind], tables: &Tables) -> Result<()> {
    for item in items {
        let mut annotated = std::mem::take(&mut item.areas);
        for &kind in kinds {
            *item.areas.of_mut(kind) = match kind {
                _ if tables.have(kind) => tables.of(item, kind),
                AreaKind::Boxes => item.objects.iter().map(Area::from).collect(),
                AreaKind::Parts => match annotated.broken_part.take() {
                    Some(broken) => return Err(Error::data(broken.0, broken.1)),
                    None => std::mem::take(&mut annotated.parts),
                },
            };
        }
    }
    Ok(())
}

/// What to say of a data folder in which no image has a place of a kind.
pub(super) fn none(root: &Path, kind: AreaKind) -> Error {
    let (within, from) = match kind {
        AreaKind::Boxes => (
            "boxes",
            "<object> in annotations (.xml), a table of labels with boxes, bounding_boxes.txt of \
             CUB-200-2011, or boxes.csv",
        ),
        AreaKind::Parts => (
            "parts",
            "<part> in annotations (.xml), parts/part_locs.txt of CUB-200-2011, or parts.csv",
        ),
    };
    let problem = format!(
        "no image has {within}, which descriptors.within = {within} asks for; they come from {from} in the data \
         folder, or from a table that data.boxes names (docs/PARTS.md)"
    );
    Error::data(root, problem)
}

/// Places of the columns that are read.
struct Columns {
    needed: [usize; 5],
    part: Option<usize>,
    visible: Option<usize>,
}

/// A row of a table.
struct Row<'r> {
    image: &'r str,
    /// x, y, width, height.
    edges: [f32; 4],
    /// Empty for a box.
    part: &'r str,
    visible: bool,
}

impl Columns {
    fn of(path: &Path, header: &[String]) -> Result<Self> {
        let place = |name: &str| header.iter().position(|known| known.eq_ignore_ascii_case(name));
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| place(name).is_none()).collect();
        let of_parts = path.file_name().is_some_and(|name| name == TABLES[1]);
        let problem = match (&missing[..], place("part")) {
            ([], None) if of_parts => {
                "no column `part`; every row is one of a part: name it there, any name will do"
                    .to_owned()
            }
            ([], _) => {
                let needed = NEEDED.map(|name| place(name).expect("none is missing"));
                return Ok(Self { needed, part: place("part"), visible: place("visible") });
            }
            (missing, _) => format!(
                "no column {} among {}; a table of boxes has the columns {}, and may have part and visible",
                listed(missing),
                listed(header),
                NEEDED.join(", ")
            ),
        };
        Err(Error::data(path, problem))
    }

    fn row<'r>(&self, path: &Path, line: usize, record: &'r [String]) -> Result<Row<'r>> {
        let refuse = |problem: String| Err(Error::data(at_line(path, line), problem));
        let field = |column: usize| record.get(column).map_or("", |text| text.trim());
        let [image, numbers @ ..] = self.needed;
        let mut edges = [0.0; 4];
        for ((edge, column), name) in edges.iter_mut().zip(numbers).zip(&NEEDED[1..]) {
            let text = field(column);
            match text.parse::<f32>().ok().filter(|number| number.is_finite()) {
                Some(number) => *edge = number,
                None => return refuse(format!("{name} is `{text}`; write a number of pixels")),
            }
        }
        let visible = match self.visible.map(field).unwrap_or("1").to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            other => return refuse(format!("visible is `{other}`; write 0 or 1")),
        };
        // What is not visible need not be anywhere.
        if visible && (edges[2] <= 0.0 || edges[3] <= 0.0) {
            let [_, _, width, height] = edges;
            return refuse(format!("a box of {width} × {height} pixels; both must be above 0"));
        }
        let image = field(image);
        if image.is_empty() {
            return refuse("no image is named".to_owned());
        }
        let part = self.part.map(field).unwrap_or_default();
        if part.is_empty() && path.file_name().is_some_and(|name| name == TABLES[1]) {
            return refuse("no part is named; every row of parts.csv is one of a part".to_owned());
        }
        Ok(Row { image, edges, part, visible })
    }
}

/// What an image may be called in a table.
struct Names<'i> {
    /// By id, by path, and by file name: a name of an earlier list goes before those of a later one.
    lists: [BTreeMap<String, Found<'i>>; 3],
    /// A name that is known.
    example: &'i str,
}

#[derive(Clone, Copy, PartialEq)]
enum Found<'i> {
    One(&'i str),
    Several,
}

impl<'i> Names<'i> {
    fn of(root: &Path, items: &[&'i Item]) -> Self {
        let mut lists: [BTreeMap<String, Found<'i>>; 3] = Default::default();
        let mut add = |list: usize, name: String, id: &'i str| {
            let found = lists[list].entry(name).or_insert(Found::One(id));
            if *found != Found::One(id) {
                *found = Found::Several;
            }
        };
        for item in items {
            let id = item.id.as_str();
            add(0, id.to_owned(), id);
            let below = item.path.strip_prefix(root).unwrap_or(&item.path);
            let below = below.to_string_lossy().replace('\\', "/");
            let file = below.rsplit('/').next().unwrap_or(&below).to_owned();
            for (list, name) in [(1, below), (2, file)] {
                if let Some(bare) = without_ending(&name) {
                    add(list, bare.to_owned(), id);
                }
                add(list, name, id);
            }
        }
        Self { lists, example: items.first().map_or("", |item| &item.id) }
    }

    fn id(&self, name: &str) -> Option<Found<'i>> {
        let name = name.replace('\\', "/");
        let name = name.strip_prefix("./").unwrap_or(&name);
        self.lists.iter().find_map(|list| list.get(name).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"]
            .map(|path| Item {
                id: path.trim_end_matches(".jpg").to_owned(),
                ..Item::of_file(&Path::new("/data").join(path))
            })
            .into()
    }

    fn read(name: &str, text: &str) -> Result<Tables> {
        let items = items();
        let items: Vec<&Item> = items.iter().collect();
        let mut tables = Tables::default();
        tables.add(Path::new(name), text.as_bytes(), &Names::of(Path::new("/data"), &items))?;
        Ok(tables)
    }

    #[test]
    fn rows_are_boxes_or_parts_of_images_by_id_path_or_file() {
        let text = "Image;x;y;width;height;part;visible\ncat/1;0;2;10;4;;\n";
        let refused = read("boxes.csv", text).err().unwrap().to_string();
        assert!(refused.contains("boxes.csv:2: visible is ``"), "{refused}");
        let text = "image,x,y,width,height,part,visible,colour\n\
                    cat/1,0,2,10,4,,1,red\n\
                    ./cat/1.jpg,1.5,1,2,3,beak,yes,\n\
                    2,5,5,1,1,beak,1,\n\
                    2.jpg,5,5,1,1,beak,1,\n\
                    dog/1,0,0,0,0,tail,0,\n\
                    fox,0,0,1,1,tail,1,\n";
        let tables = read("boxes.csv", text).unwrap();
        let bounds = |number: usize, kind| -> Vec<[f32; 4]> {
            tables.of(&items()[number], kind).iter().map(|area| area.bounds).collect()
        };
        assert_eq!(bounds(0, AreaKind::Boxes), [[0.0, 2.0, 9.0, 5.0]]);
        assert_eq!(bounds(0, AreaKind::Parts), [[1.5, 1.0, 2.5, 3.0]]);
        assert_eq!(bounds(1, AreaKind::Parts), [[5.0, 5.0, 5.0, 5.0]]);
        assert!(bounds(2, AreaKind::Parts).is_empty());
        assert!(AreaKind::ALL.into_iter().all(|kind| tables.have(kind)));
        assert_eq!(
            tables.notes,
            [
                "boxes.csv: 1 rows of boxes, 4 rows of parts for 3 images, 1 of them not visible, 1 of them \
                 twice, which count once",
                "boxes.csv: 1 image that it names is not in the data folder (first: `fox`, line 7)",
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        let head = "image,x,y,width,height";
        for (name, text, words) in [
            ("boxes.csv", String::new(), "an empty table"),
            ("boxes.csv", format!("{head}\n"), "without rows"),
            (
                "boxes.csv",
                "image,x,y,w,h\n".into(),
                "no column width, height among image, x, y, w, h",
            ),
            ("parts.csv", format!("{head}\ncat/1,0,0,1,1\n"), "no column `part`"),
            (
                "parts.csv",
                format!("{head},part\ncat/1,0,0,1,1,\n"),
                "parts.csv:2: no part is named",
            ),
            (
                "boxes.csv",
                format!("{head}\ncat/1,0,0,9,9\ncat/1,NaN,0,1,1\n"),
                "boxes.csv:3: x is `NaN`",
            ),
            ("boxes.csv", format!("{head}\ncat/1,0,0,1\n"), "boxes.csv:2: height is ``"),
            ("boxes.csv", format!("{head}\ncat/1,0,0,0,4\n"), "boxes.csv:2: a box of 0 × 4 pixels"),
            ("boxes.csv", format!("{head}\ncat/1,0,0,4,-2\n"), "a box of 4 × -2 pixels"),
            ("boxes.csv", format!("{head}\ncat/1,0.1,0,0.5,1\n"), "as shares"),
            ("boxes.csv", format!("{head}\n,0,0,1,1\n"), "boxes.csv:2: no image"),
            ("boxes.csv", format!("{head}\n1.jpg,0,0,1,1\n"), "`1.jpg` may be several images"),
            (
                "boxes.csv",
                format!("{head}\na,0,0,9,9\nb,0,0,9,9\na,1,1,2,2\n"),
                "none of the 2 that it names",
            ),
        ] {
            let refused = read(name, &text).err().unwrap().to_string();
            assert!(refused.contains(words), "{words}: {refused}");
        }
    }
}
