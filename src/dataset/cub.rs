//! CUB-200-2011: birds with a box, and fifteen points for their parts.
//!
//! ```text
//! images.txt               number, path below images/
//! image_class_labels.txt   number, number of a class
//! train_test_split.txt     number, 1 where the image is trained on
//! classes.txt              number, name (optional: the folder of an image names its class)
//! bounding_boxes.txt       number, x, y, width, height (optional)
//! parts/part_locs.txt      number, number of a part, x, y, 1 where it can be seen (optional)
//! parts/parts.txt          number, name (optional)
//! ```
//!
//! A part is a point; a square round it stands for it, whose side is a share (`data.parts_side`) of the longer
//! side of the bird's box. Coordinates are taken to begin at 0.
//!
//! Source: WBW11 in docs/REFERENCES.md (the README beside the data).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::divided::{Divided, Labelled};
use super::items::{Area, Areas, Item, Object, Ruler};
use super::names::without_ending;
use super::place::at_line;
use super::tree;
use crate::error::{Error, Result};
use crate::files;
use crate::words::counted;

const IMAGES: &str = "images.txt";
const LABELS: &str = "image_class_labels.txt";
const SPLIT: &str = "train_test_split.txt";
const CLASSES: &str = "classes.txt";
const BOXES: &str = "bounding_boxes.txt";
const PARTS: &str = "parts/part_locs.txt";
const PART_NAMES: &str = "parts/parts.txt";

/// Whether a folder has the lists that make it one of these.
pub(super) fn is_one(root: &Path) -> bool {
    [IMAGES, LABELS, SPLIT].iter().all(|name| root.join(name).is_file())
}

/// A list of numbered lines.
struct List {
    path: PathBuf,
    /// Number of the line in the file, the number that it begins with, and the rest.
    lines: Vec<(usize, u64, String)>,
}

impl List {
    /// Reads a list; `None` where there is none.
    fn read(root: &Path, name: &str) -> Result<Option<Self>> {
        let path = root.join(name);
        let text = match files::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let (number, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let Ok(number) = number.parse() else {
                let problem = format!("begins with `{number}`, where a whole number belongs");
                return Err(Error::data(at_line(&path, line), problem));
            };
            lines.push((line, number, rest.trim().to_owned()));
        }
        Ok(Some(Self { path, lines }))
    }

    fn need(root: &Path, name: &str) -> Result<Self> {
        Self::read(root, name)?.ok_or_else(|| {
            Error::data(root.join(name), "no such list, which every CUB-200-2011 folder has")
        })
    }

    fn refuse<T>(&self, line: usize, problem: impl Into<String>) -> Result<T> {
        Err(Error::data(at_line(&self.path, line), problem))
    }

    /// The numbers on the rest of a line.
    fn numbers<const N: usize>(&self, line: usize, rest: &str) -> Result<[f32; N]> {
        let fields: Vec<f32> = rest
            .split_whitespace()
            .map_while(|field| field.parse().ok().filter(|number: &f32| number.is_finite()))
            .collect();
        match (fields.try_into(), rest.split_whitespace().count()) {
            (Ok(numbers), count) if count == N => Ok(numbers),
            _ => self.refuse(line, format!("`{rest}` where {N} numbers belong")),
        }
    }

    /// One line for each number.
    fn by_number(&self) -> Result<BTreeMap<u64, (usize, &str)>> {
        let mut found = BTreeMap::new();
        for (line, number, rest) in &self.lines {
            if let Some((before, _)) = found.insert(*number, (*line, rest.as_str())) {
                return self.refuse(*line, format!("{number} is on line {before} already"));
            }
        }
        Ok(found)
    }

    /// Refuses a list of images that are not in `images.txt`.
    fn require_known(&self, known: &BTreeMap<u64, (usize, &str)>) -> Result<()> {
        let has = |(_, number, _): &&(usize, u64, String)| known.contains_key(number);
        let Some((line, number, _)) = self.lines.iter().find(|line| !has(line)) else {
            return Ok(());
        };
        let (fit, of) = (self.lines.iter().filter(has).count(), self.lines.len());
        let problem = format!(
            "image {number} is not in {IMAGES}; {fit} of {of} lines are of images that are: give the lists of \
             one data set"
        );
        self.refuse(*line, problem)
    }
}

/// Reads the lists.
///
/// # Errors
/// [`Error::Data`] with file and line for a list that cannot be read, lacks an image or is of others.
pub(super) fn open(root: &Path, parts_side: f64) -> Result<Divided> {
    let images = List::need(root, IMAGES)?;
    let paths = images.by_number()?;
    let (labels, split) = (List::need(root, LABELS)?, List::need(root, SPLIT)?);
    [&labels, &split].into_iter().try_for_each(|list| list.require_known(&paths))?;
    let (of_image, trains) = (labels.by_number()?, split.by_number()?);
    let class_names = List::read(root, CLASSES)?;
    let class_names = class_names.as_ref().map(List::by_number).transpose()?;
    let boxes = boxes(root, &paths)?;
    let mut parts = parts(root, &paths, &boxes, parts_side)?;

    let class_of = |number: u64, path: &str| -> Result<String> {
        let missing = |list: &List| {
            Error::data(&list.path, format!("image {number} of {IMAGES} is not in this list"))
        };
        let (line, text) = of_image.get(&number).ok_or_else(|| missing(&labels))?;
        let Ok(class) = text.parse::<u64>() else {
            return labels.refuse(*line, format!("`{text}` where the number of a class belongs"));
        };
        let name = match &class_names {
            Some(names) => names.get(&class).map(|(_, name)| (*name).to_owned()),
            None => path.rsplit_once('/').map(|(folder, _)| folder.to_owned()),
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => Ok(name.replace('/', "_")),
            None => labels.refuse(*line, format!("class {class} has no name in {CLASSES}")),
        }
    };
    let named: Vec<String> =
        paths.iter().map(|(number, (_, path))| class_of(*number, path)).collect::<Result<_>>()?;
    let classes: Vec<String> = named.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();

    let mut splits: BTreeMap<String, Vec<Labelled>> = BTreeMap::new();
    let mut used: BTreeSet<PathBuf> = BTreeSet::new();
    for ((number, (line, text)), name) in paths.iter().zip(&named) {
        let Some(below) = files::below(&root.join("images"), text) else {
            return images.refuse(*line, format!("`{text}` is no path below images/"));
        };
        let Some((split_line, trained)) = trains.get(number) else {
            let problem = format!("image {number} of {IMAGES} is not in this list");
            return Err(Error::data(&split.path, problem));
        };
        let to = match *trained {
            "1" => "train",
            "0" => "test",
            other => return split.refuse(*split_line, format!("`{other}` where 0 or 1 belongs")),
        };
        if !used.insert(below.clone()) {
            return images.refuse(*line, format!("`{text}` stands in two lines"));
        }
        let class = classes.binary_search(name).expect("every name is a class");
        let object = |bounds: &[f32; 4]| Object {
            class,
            bounds: *bounds,
            ruler: Ruler::Pixels,
            difficult: false,
        };
        let id = without_ending(text).unwrap_or(text).replace(':', "_");
        let item = Item {
            id,
            path: below,
            objects: boxes.get(number).map(object).into_iter().collect(),
            areas: parts.remove(number).unwrap_or_default(),
            group: None,
        };
        let labelled = Labelled { item, classes: vec![class], ignored: Vec::new() };
        splits.entry(to.to_owned()).or_default().push(labelled);
    }
    let (tree, mut tally) = tree::walk(root)?;
    let lists = [IMAGES, LABELS, SPLIT, CLASSES, BOXES, PARTS, PART_NAMES];
    let lists = lists.iter().filter(|name| root.join(name).is_file()).count();
    (0..lists).for_each(|_| tally.take_back(".txt"));
    for path in tree.files(root).iter().filter(|path| !used.contains(*path)) {
        let below = path.strip_prefix(root).unwrap_or(path);
        let folder = below.parent().unwrap_or(Path::new(""));
        tally.leave_out("images in no list", folder, path.file_name().unwrap_or_default());
    }
    let notes = vec![format!(
        "the lists of CUB-200-2011: {}, {} with a box",
        counted(classes.len(), "class"),
        counted(boxes.len(), "image")
    )];
    let root = root.to_owned();
    let single_label = true;
    Ok(Divided { root, classes, splits, single_label, tally, lists, notes, drawn: false })
}

/// The box of each image, with inclusive edges.
fn boxes(root: &Path, known: &BTreeMap<u64, (usize, &str)>) -> Result<BTreeMap<u64, [f32; 4]>> {
    let Some(list) = List::read(root, BOXES)? else { return Ok(BTreeMap::new()) };
    list.require_known(known)?;
    let mut boxes = BTreeMap::new();
    for (number, (line, rest)) in list.by_number()? {
        let [x, y, width, height] = list.numbers(line, rest)?;
        if width <= 0.0 || height <= 0.0 {
            let problem = format!("a box of {width} × {height} pixels; both must be above 0");
            return list.refuse(line, problem);
        }
        boxes.insert(number, [x, y, x + width - 1.0, y + height - 1.0]);
    }
    Ok(boxes)
}

/// The parts of each image that can be seen, as squares.
fn parts(
    root: &Path,
    known: &BTreeMap<u64, (usize, &str)>,
    boxes: &BTreeMap<u64, [f32; 4]>,
    share: f64,
) -> Result<BTreeMap<u64, Areas>> {
    let mut parts: BTreeMap<u64, Areas> = BTreeMap::new();
    let Some(list) = List::read(root, PARTS)? else { return Ok(parts) };
    list.require_known(known)?;
    let names = List::read(root, PART_NAMES)?;
    let names = names.as_ref().map(List::by_number).transpose()?.unwrap_or_default();
    for (line, number, rest) in &list.lines {
        let [part, x, y, visible] = list.numbers(*line, rest)?;
        if visible == 0.0 {
            continue;
        }
        let areas = parts.entry(*number).or_default();
        let Some([left, top, right, bottom]) = boxes.get(number) else {
            let problem = format!(
                "the square round a part is measured by the bird's box, and image {number} has none in {BOXES}"
            );
            areas.broken_part.get_or_insert((at_line(&list.path, *line), problem).into());
            continue;
        };
        let half = share as f32 / 2.0 * (right - left + 1.0).max(bottom - top + 1.0);
        let name = names.get(&(part as u64)).map_or_else(|| part.to_string(), |(_, n)| (*n).into());
        // The point is the middle of a pixel; inclusive edges are a pixel short.
        let bounds = [x + 0.5 - half, y + 0.5 - half, x - 0.5 + half, y - 0.5 + half];
        areas.parts.push(Area { name, bounds, ruler: Ruler::Pixels, of_point: true });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a fixture, not an artifact")]
    fn put(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Three birds: one with two parts to be seen, one with none, one without a line.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| put(folder.path(), name, text);
        write(IMAGES, "1 001.Auk/a 1.png\n2 001.Auk/b.png\n3 002.Booby/c.png\n");
        write(LABELS, "1 1\n2 1\n3 2\n");
        write(SPLIT, "1 1\n2 0\n3 1\n");
        write(CLASSES, "1 001.Auk\n2 002.Booby\n");
        write(BOXES, "1 10.0 20.0 40.0 30.0\n2 0.0 0.0 8.0 8.0\n3 1 1 5 5\n");
        write(PARTS, "1 1 12.0 22.0 1\n1 2 30 40 1\n1 3 0.0 0.0 0\n2 1 0.0 0.0 0\n");
        write(PART_NAMES, "1 back\n2 beak\n3 left eye\n");
        for name in ["001.Auk/a 1.png", "001.Auk/b.png", "002.Booby/c.png", "002.Booby/d.png"] {
            write(&format!("images/{name}"), "");
        }
        folder
    }

    #[test]
    fn birds_have_a_class_a_split_a_box_and_the_parts_that_can_be_seen() {
        let folder = folder();
        assert!(is_one(folder.path()) && !is_one(&folder.path().join("images")));
        let data = open(folder.path(), 0.25).unwrap();
        assert_eq!(data.classes, ["001.Auk", "002.Booby"]);
        let train = data.split("train").unwrap();
        let ids: Vec<&str> = train.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["001.Auk/a 1", "002.Booby/c"]);
        assert_eq!(train.items[0].objects[0].bounds, [10.0, 20.0, 49.0, 49.0]);
        let parts = &train.items[0].areas.parts;
        let found: Vec<(&str, [f32; 4])> =
            parts.iter().map(|p| (p.name.as_str(), p.bounds)).collect();
        // A quarter of 40 pixels, centred on the middle of pixel (12, 22).
        let expected = [("back", [7.5, 17.5, 16.5, 26.5]), ("beak", [25.5, 35.5, 34.5, 44.5])];
        assert_eq!(found, expected);
        assert!(train.items[1].areas.parts.is_empty());
        assert!(data.split("test").unwrap().items[0].areas.parts.is_empty());
        let files = data.inventory(None);
        assert_eq!((files.used, files.lists), (3, 7));
        assert_eq!(files.left_out_in_words(), "1 images in no list");
    }

    #[test]
    fn lists_that_do_not_fit_together_are_refused_with_their_line() {
        for (name, text, words) in [
            (IMAGES, "x 001.Auk/a.png\n", "images.txt:1: begins with `x`"),
            (IMAGES, "1 ../a.png\n2 b\n3 c\n", "images.txt:1: `../a.png` is no path"),
            (IMAGES, "1 a.png\n1 b.png\n", "images.txt:2: 1 is on line 1 already"),
            (LABELS, "1 1\n2 1\n", "image 3 of images.txt is not in this list"),
            (LABELS, "1 1\n2 1\n3 7\n", "image_class_labels.txt:3: class 7 has no name"),
            (SPLIT, "1 1\n2 0\n3 2\n", "train_test_split.txt:3: `2` where 0 or 1"),
            (
                BOXES,
                "1 1 1 5 5\n99 1 1 5 5\n",
                "bounding_boxes.txt:2: image 99 is not in images.txt; 1 of 2",
            ),
            (BOXES, "1 1 1 0 5\n", "bounding_boxes.txt:1: a box of 0 × 5"),
            (BOXES, "1 1 nan 4 5\n", "where 4 numbers belong"),
            (
                PARTS,
                "1 1 5 5 1\n77 1 5 5 1\n",
                "part_locs.txt:2: image 77 is not in images.txt; 1 of 2",
            ),
            (PARTS, "1 1 5 5\n", "part_locs.txt:1: `1 5 5` where 4 numbers"),
        ] {
            let folder = folder();
            put(folder.path(), name, text);
            let refused = open(folder.path(), 0.2).err().unwrap().to_string();
            assert!(refused.contains(words), "{words}: {refused}");
        }
        // Without boxes the parts have no size, which is told to who asks for them.
        let folder = folder();
        std::fs::remove_file(folder.path().join(BOXES)).unwrap();
        let data = open(folder.path(), 0.2).unwrap();
        let (_, problem) =
            *data.split("train").unwrap().items[0].areas.broken_part.clone().unwrap();
        assert!(problem.contains("has none in bounding_boxes.txt"), "{problem}");
    }
}
