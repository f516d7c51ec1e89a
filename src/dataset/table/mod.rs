//! Labels in tables beside the images: CSV or TSV, and COCO's JSON.
//!
//! ```text
//! table ─ Rows (path, labels, split, group, box) ─ files found ─ images with their labels ─ splits
//! ```
//!
//! A path is looked for beside the table and in the data folder; where that fails for all rows alike, without
//! its first folders. Splits come from a column; of several tables in a folder each is one, named after the
//! words of its name that name splits; otherwise images are drawn for `train` and `test`, a group together.
//!
//! An image may stand in several rows, where a row is one label or one box. Where it is not so, two rows that
//! disagree are refused.

mod coco;
mod columns;
mod csv;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::divided::{self, Divided, Labelled};
use super::inventory::Tally;
use super::items::{Areas, Item, Object, Ruler};
use super::layouts::{is_beside_name, split_word};
use super::names::{ending, some, without_ending};
use super::params::Params;
use super::tree::Folder;
use crate::random::Seed;
use crate::words::counted;
use crate::{Error, Result};
pub(super) use csv::records;
use rows::{Row, Rows};

/// Folders at the start of a path that may be missing on disk.
const MOST_MISSING_FOLDERS: usize = 6;
/// Folders in the data folder in which paths may begin.
const MOST_FOLDERS: usize = 32;
/// Names that a message gives before it counts the rest.
const NAMED: usize = 3;
/// Reason of an image that no row names.
const NOT_LISTED: &str = "images that no row names";

/// Images of each split.
type Splits = BTreeMap<String, Vec<Labelled>>;

/// An image as its rows describe it.
#[derive(Debug)]
struct Listed {
    path: PathBuf,
    text: String,
    line: usize,
    labels: Vec<String>,
    objects: Vec<(String, [f32; 4])>,
    split: Option<String>,
    group: Option<String>,
}

/// The tables that stand for the labels of a folder: those in it, or else one in each folder in it.
pub(super) fn of_folder(root: &Path, tree: &Folder, params: &Params) -> Vec<PathBuf> {
    let here = tables_in(tree, root, params);
    if !here.is_empty() {
        return here;
    }
    let mut below = Vec::new();
    for (name, folder) in &tree.folders {
        let tables = tables_in(folder, &root.join(name), params);
        // A folder of annotations has one for each split, others the one of their images.
        if tables.len() > 1 && !is_beside_name(name) {
            return Vec::new();
        }
        below.extend(tables);
    }
    below
}

fn tables_in(folder: &Folder, at: &Path, params: &Params) -> Vec<PathBuf> {
    let is_table = |name: &&String| {
        let path = at.join(name);
        match ending(name).as_deref() {
            Some(".csv" | ".tsv") => csv::is_of_labels(&path, params),
            Some(".json") => {
                let lower = name.to_lowercase();
                lower.starts_with("instances_") || lower.contains("coco")
            }
            _ => false,
        }
    };
    folder.signs.iter().filter(is_table).map(|name| at.join(name)).collect()
}

/// Reads tables. Paths are looked for beside each, and in `root`, which was looked through.
///
/// # Errors
/// [`Error::Data`] for a table that cannot be read, names no image that is there, or contradicts itself;
/// [`Error::Setting`] for a column that is not there; [`Error::Io`].
pub(super) fn open(
    root: &Path,
    tables: &[PathBuf],
    (tree, mut tally): (Folder, Tally),
    params: &Params,
    seed: Seed,
) -> Result<Divided> {
    let mut notes = Vec::new();
    let mut images: Vec<Listed> = Vec::new();
    let (mut left_out, mut several) = (BTreeMap::new(), false);
    let within: Vec<PathBuf> =
        tree.folders.keys().take(MOST_FOLDERS).map(|name| root.join(name)).collect();
    for table in tables {
        let rows = match ending(&table.to_string_lossy()).as_deref() {
            Some(".json") => coco::read(table)?,
            _ => csv::read(table, params)?,
        };
        notes.push(format!("{}: {}", table.display(), rows.note));
        rows.left_out.iter().for_each(|(reason, n)| *left_out.entry(*reason).or_insert(0) += n);
        several |= rows.several;
        let mut folders = vec![table.parent().unwrap_or(Path::new("")).to_owned(), root.to_owned()];
        folders.extend_from_slice(&within);
        let mut of_table = listed(table, rows, &folders, &mut notes)?;
        if tables.len() > 1 && of_table.iter().all(|image| image.split.is_none()) {
            let split = split_name(table, tables)?;
            of_table.iter_mut().for_each(|image| image.split = Some(split.clone()));
        }
        images.extend(of_table);
    }
    let of_several = images.iter().filter(|image| image.labels.len() > 1).count();
    let single_label = of_several == 0 && images.iter().all(|i| i.labels.len() == 1 || !several);
    if single_label {
        let before = images.len();
        images.retain(|image| !image.labels.is_empty());
        if images.len() < before {
            *left_out.entry("rows without a label").or_insert(0) += before - images.len();
        }
    }
    if images.is_empty() {
        return Err(Error::data(&tables[0], "no row has a path and a label"));
    }
    let without_split = images.iter().filter(|image| image.split.is_none()).count();
    let drawn = without_split == images.len();
    if !drawn && without_split > 0 {
        *left_out.entry("rows without a split").or_insert(0) += without_split;
        images.retain(|image| image.split.is_some());
    }
    if drawn {
        draw(&mut images, params.train_fraction, seed, &mut notes);
    } else {
        refuse_divided_groups(&tables[0], &images)?;
    }
    for (reason, count) in left_out {
        notes.push(format!("{count} {reason} are left out"));
    }
    let (classes, splits) = divided(images);
    let kind = if single_label { "one label an image" } else { "several labels an image" };
    notes.push(format!("{}, {kind}", counted(classes.len(), "class")));
    account(root, &tree, tables, &splits, &mut tally);
    let (root, lists) = (root.to_owned(), tables.len());
    Ok(Divided { root, classes, splits, single_label, tally, lists, notes, drawn })
}

/// The classes, and the images of each split.
fn divided(images: Vec<Listed>) -> (Vec<String>, Splits) {
    let names: BTreeSet<&String> = images.iter().flat_map(|image| &image.labels).collect();
    let classes: Vec<String> = names.into_iter().cloned().collect();
    let class = |name: &String| classes.binary_search(name).expect("every label is a class");
    let shares =
        images.iter().flat_map(|image| &image.objects).all(|(_, b)| b.iter().all(|&e| e <= 1.0));
    let ids = ids(&images);
    let mut splits = Splits::new();
    for (image, id) in images.iter().zip(ids) {
        let object = |(name, bounds): &(String, [f32; 4])| Object {
            class: class(name),
            bounds: *bounds,
            ruler: if shares { Ruler::Shares } else { Ruler::Pixels },
            difficult: false,
        };
        let objects = image.objects.iter().map(object).collect();
        let (path, group, areas) = (image.path.clone(), image.group.clone(), Areas::default());
        let item = Item { id, path, objects, areas, group };
        let split = image.split.clone().expect("every image has a split by now");
        let classes = image.labels.iter().map(class).collect();
        splits.entry(split).or_default().push(Labelled { item, classes, ignored: Vec::new() });
    }
    (classes, splits)
}

/// Counts what lies in the folder and is not used.
fn account(root: &Path, tree: &Folder, tables: &[PathBuf], splits: &Splits, tally: &mut Tally) {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let used: BTreeSet<PathBuf> =
        splits.values().flatten().map(|image| real(&image.item.path)).collect();
    for table in tables.iter().filter(|table| table.starts_with(root)) {
        tally.take_back(&ending(&table.to_string_lossy()).unwrap_or_default());
    }
    leave_out_unlisted(tree, root, Path::new(""), &used, &real, tally);
}

/// Images below a folder that no row names.
fn leave_out_unlisted(
    folder: &Folder,
    root: &Path,
    below: &Path,
    used: &BTreeSet<PathBuf>,
    real: &dyn Fn(&Path) -> PathBuf,
    tally: &mut Tally,
) {
    for image in &folder.images {
        if !used.contains(&real(&root.join(below).join(&image.file))) {
            tally.leave_out(NOT_LISTED, below, &image.file);
        }
    }
    for (name, inner) in &folder.folders {
        leave_out_unlisted(inner, root, &below.join(name), used, real, tally);
    }
}

/// The images that rows name, with their files.
fn listed(
    table: &Path,
    rows: Rows,
    folders: &[PathBuf],
    notes: &mut Vec<String>,
) -> Result<Vec<Listed>> {
    let Rows { rows, row_for_each_label, several, .. } = rows;
    let place = place(table, &rows, folders, notes)?;
    let mut images: Vec<Listed> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut repeated = 0;
    for row in rows {
        let text = slashes(&row.path);
        let Some(&at) = known.get(&text) else {
            known.insert(text.clone(), images.len());
            let path = place.path(&text);
            let objects = objects(&row);
            let Row { line, labels, split, group, .. } = row;
            images.push(Listed { path, text, line, labels, objects, split, group });
            continue;
        };
        let image = &mut images[at];
        let same = image.labels == row.labels;
        if (image.split.as_ref(), image.group.as_ref()) != (row.split.as_ref(), row.group.as_ref())
        {
            let problem = format!(
                "lines {} and {} name `{}` with different splits or groups",
                image.line, row.line, image.text
            );
            return Err(Error::data(table, problem));
        }
        if !same && !row_for_each_label && !several {
            let problem = format!(
                "lines {} and {} give `{}` different labels ({}; {}); where an image has several, write them in \
                 one row with `|` between them",
                image.line,
                row.line,
                image.text,
                image.labels.join(", "),
                row.labels.join(", ")
            );
            return Err(Error::data(table, problem));
        }
        repeated += usize::from(same && row.bounds.is_none());
        image.objects.extend(objects(&row));
        for label in row.labels {
            if !image.labels.contains(&label) {
                image.labels.push(label);
            }
        }
    }
    if repeated > 0 {
        notes.push(format!("{repeated} rows repeat what another row says"));
    }
    Ok(images)
}

fn objects(row: &Row) -> Vec<(String, [f32; 4])> {
    row.labels.iter().filter_map(|label| Some((label.clone(), row.bounds?))).collect()
}

/// A path with `/` between folders, whatever system wrote it.
fn slashes(path: &str) -> String {
    let text = path.replace('\\', "/");
    text.strip_prefix("./").unwrap_or(&text).to_owned()
}

/// Where a table's paths begin.
struct Place {
    folder: PathBuf,
    /// Folders at the start of each path that are not there.
    missing: usize,
    /// Ending of the files, where paths are without one.
    ending: &'static str,
}

impl Place {
    fn path(&self, text: &str) -> PathBuf {
        let mut rest = text;
        for _ in 0..self.missing {
            rest = rest.split_once('/').map_or(rest, |(_, rest)| rest);
        }
        self.folder.join(format!("{rest}{}", self.ending))
    }
}

/// Looks for the place where most files are.
fn place(
    table: &Path,
    rows: &[Row],
    folders: &[PathBuf],
    notes: &mut Vec<String>,
) -> Result<Place> {
    let mut tried: Vec<PathBuf> = Vec::new();
    for folder in folders.iter().filter(|folder| !folder.as_os_str().is_empty()) {
        if !tried.contains(folder) {
            tried.push(folder.clone());
        }
    }
    if tried.is_empty() {
        tried.push(PathBuf::new());
    }
    // A sample from all of the table.
    let step = rows.len().div_ceil(200).max(1);
    let sample: Vec<String> = rows.iter().step_by(step).map(|row| slashes(&row.path)).collect();
    let mut best: Option<(usize, Place)> = None;
    for missing in 0..=MOST_MISSING_FOLDERS {
        for folder in &tried {
            for ending in ["", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".JPG", ".bmp", ".webp"] {
                let place = Place { folder: folder.clone(), missing, ending };
                let found = sample.iter().filter(|text| place.path(text).is_file()).count();
                if found > best.as_ref().map_or(0, |best| best.0) {
                    best = Some((found, place));
                }
            }
        }
        if best.as_ref().is_some_and(|(found, _)| 2 * found > sample.len()) {
            break;
        }
    }
    let Some((_, place)) = best else {
        let first = sample.first().map_or("", String::as_str);
        let names: Vec<String> = tried.iter().map(|folder| folder.display().to_string()).collect();
        let problem = format!(
            "no image that it names is there: `{first}` was looked for in {}; give the folder that its paths begin \
             in with --data DIR",
            some(&names, NAMED)
        );
        return Err(Error::data(table, problem));
    };
    if place.missing > 0 || !place.ending.is_empty() {
        let example = place.path(sample.first().map_or("", String::as_str));
        let first = sample.first().map_or("", String::as_str);
        notes.push(format!(
            "`{first}` of {} is taken to be {}",
            table.display(),
            example.display()
        ));
    }
    Ok(place)
}

/// The split that one of several tables stands for.
fn split_name(table: &Path, tables: &[PathBuf]) -> Result<String> {
    let stem = table.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder =
        table.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let found = split_word(&stem).or_else(|| split_word(&folder));
    found.ok_or_else(|| {
        let names: Vec<String> = tables.iter().map(|table| table.display().to_string()).collect();
        let problem = format!(
            "there are several tables ({}), and this one is named after no split; give one of them with --labels",
            some(&names, NAMED)
        );
        Error::data(table, problem)
    })
}

/// Draws `train` and `test`, a group together.
fn draw(images: &mut [Listed], train_fraction: f64, seed: Seed, notes: &mut Vec<String>) {
    for image in images.iter_mut() {
        let key = image
            .group
            .as_ref()
            .map_or_else(|| image.text.clone(), |group| format!("group/{group}"));
        let trains = divided::draw(seed, &key) < train_fraction;
        image.split = Some(if trains { "train" } else { "test" }.to_owned());
    }
    let groups: BTreeSet<&String> =
        images.iter().filter_map(|image| image.group.as_ref()).collect();
    let by = match groups.len() {
        0 => "each image is drawn by itself".to_owned(),
        n => format!("{n} groups are drawn, each with all its images"),
    };
    let trains = images.iter().filter(|image| image.split.as_deref() == Some("train")).count();
    notes.push(format!(
        "no splits in the table: {by} (seed, data.train_fraction = {train_fraction}): {trains} in `train`, {} in `test`",
        images.len() - trains
    ));
}

/// A group stays in one split.
fn refuse_divided_groups(table: &Path, images: &[Listed]) -> Result<()> {
    let mut of_group: BTreeMap<&String, &Listed> = BTreeMap::new();
    for image in images {
        let Some(group) = &image.group else { continue };
        let first = of_group.entry(group).or_insert(image);
        if first.split != image.split {
            let name = |image: &Listed| image.split.clone().unwrap_or_default();
            let problem = format!(
                "group `{group}` is in two splits: `{}` in `{}` (line {}), `{}` in `{}` (line {}); what was \
                 learned from a group must not be tested on it. Mend the table, or leave groups out with \
                 --set data.group_column=NAME of another column",
                first.text,
                name(first),
                first.line,
                image.text,
                name(image),
                image.line
            );
            return Err(Error::data(table, problem));
        }
    }
    Ok(())
}

/// Names of the images: their paths without ending, with it where two would be the same, and with the split
/// where one path stands in two.
fn ids(images: &[Listed]) -> Vec<String> {
    let plain = |text: &str| -> String {
        let parts =
            text.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
        parts.collect::<Vec<_>>().join("/").replace(':', "_")
    };
    let short = |image: &Listed| {
        let text = plain(&image.text);
        without_ending(&text).map_or_else(|| text.clone(), str::to_owned)
    };
    let with_split = |image: &Listed| {
        format!("{}/{}", image.split.clone().unwrap_or_default(), plain(&image.text))
    };
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    images.iter().for_each(|image| *uses.entry(short(image)).or_default() += 1);
    let mut long: BTreeMap<String, usize> = BTreeMap::new();
    images.iter().for_each(|image| *long.entry(plain(&image.text)).or_default() += 1);
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut unique = |id: String| {
        let mut found = id.clone();
        let mut number = 1;
        while !taken.insert(found.clone()) {
            number += 1;
            found = format!("{id}-{number}");
        }
        found
    };
    let id = |image: &Listed| match (uses[&short(image)], long[&plain(&image.text)]) {
        (1, _) => short(image),
        (_, 1) => plain(&image.text),
        _ => with_split(image),
    };
    images.iter().map(|image| unique(id(image))).collect()
}
