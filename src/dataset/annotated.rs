//! Images with an annotation each and no lists, as LabelImg and Roboflow write Pascal VOC.
//!
//! ```text
//! a.jpg a.xml …      train/a.jpg train/a.xml …  valid/…      images/a.jpg … annotations/a.xml …
//! ```
//!
//! The `.xml` of an image lies beside it, or in a folder of annotations beside the folder of images. An image
//! shows the classes of its objects; a class of which all objects are difficult is ignored there, as PASCAL VOC
//! has it. The first folder of a path that is called as splits are names the split; where none is, images are
//! drawn for `train` and `test`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::agreement::first_pixel;
use super::annotation::{self, Annotation};
use super::divided::{self, Divided, Labelled};
use super::inventory::Tally;
use super::items::{Areas, Item};
use super::layouts::{is_beside_name, is_split_name};
use super::names::without_ending;
use super::tree::Folder;
use crate::random::Seed;
use crate::words::counted;
use crate::{Error, Result};

/// Reason of an image without an annotation.
const NOT_ANNOTATED: &str = "images without an annotation";

/// An image, its place below the data folder and what is said of it.
struct Annotated {
    path: PathBuf,
    id: String,
    split: Option<String>,
    annotation: Annotation,
}

/// Reads the annotations of a folder that was looked through; `None` where fewer than half of its images have
/// one.
///
/// # Errors
/// [`Error::Data`] for an annotation that cannot be read, two images of one annotation, and images of which
/// some are in splits and some are not; [`Error::Io`].
pub(super) fn open(
    root: &Path,
    (tree, mut tally): (Folder, Tally),
    train_fraction: f64,
    seed: Seed,
) -> Result<Option<Divided>> {
    let mut images: Vec<(PathBuf, Option<PathBuf>)> = Vec::new();
    look(&tree, &tree, root, Path::new(""), &mut images);
    let with = images.iter().filter(|(_, xml)| xml.is_some()).count();
    if with == 0 || 2 * with < images.len() {
        return Ok(None);
    }
    let mut annotated = Vec::new();
    for (below, xml) in images {
        let Some(xml) = xml else {
            let name = below.file_name().unwrap_or_default();
            tally.leave_out(NOT_ANNOTATED, below.parent().unwrap_or(Path::new("")), name);
            continue;
        };
        let Some(annotation) = annotation::read(&xml)? else { continue };
        tally.take_back(".xml");
        let mut parts = below.parent().into_iter().flat_map(Path::iter);
        let split = parts.find_map(|part| part.to_str().filter(|name| is_split_name(name)));
        let split = split.map(str::to_owned);
        let text = below.to_string_lossy().replace(['\\', ':'], "/");
        let id = without_ending(&text).unwrap_or(&text).to_owned();
        annotated.push(Annotated { path: root.join(&below), id, split, annotation });
    }
    refuse_twins(root, &annotated)?;
    let mut notes = vec![format!(
        "{} with an annotation (.xml) each; an image shows the classes of its objects",
        counted(annotated.len(), "image")
    )];
    let drawn = annotated.iter().all(|image| image.split.is_none());
    if let (false, Some(image)) = (drawn, annotated.iter().find(|image| image.split.is_none())) {
        let problem = format!(
            "`{}` is in no folder of a split, where others are; move it into one",
            image.path.display()
        );
        return Err(Error::data(root, problem));
    }
    if drawn {
        for image in &mut annotated {
            let trains = divided::draw(seed, &image.id) < train_fraction;
            image.split = Some(if trains { "train" } else { "test" }.to_owned());
        }
        let trains = annotated.iter().filter(|i| i.split.as_deref() == Some("train")).count();
        notes.push(format!(
            "no folders of splits: each image is drawn by itself (seed, data.train_fraction = {train_fraction}): \
             {trains} in `train`, {} in `test`",
            annotated.len() - trains
        ));
    }
    let from_zero = annotated.iter().filter(|image| image.annotation.begins_at_zero()).count();
    notes.extend(first_pixel("all", from_zero));
    let names: BTreeSet<String> = annotated
        .iter()
        .flat_map(|image| image.annotation.objects.iter().map(|object| object.class.clone()))
        .collect();
    let classes: Vec<String> = names.into_iter().collect();
    let lists = annotated.len();
    let mut of_all =
        Divided { root: root.to_owned(), tally, lists, notes, drawn, ..Divided::default() };
    let mut single_label = true;
    for Annotated { path, id, split, annotation } in annotated {
        let objects = annotation.known_objects(&classes, from_zero > 0);
        let all: BTreeSet<usize> = objects.iter().map(|object| object.class).collect();
        let easy: BTreeSet<usize> =
            objects.iter().filter(|object| !object.difficult).map(|object| object.class).collect();
        single_label &= all.len() == 1 && easy == all;
        let ignored = all.difference(&easy).copied().collect();
        let parts = annotation.known_parts(&classes, from_zero > 0);
        let broken_part = annotation.broken_part.map(Box::new);
        let areas = Areas { parts, broken_part, ..Areas::default() };
        let item = Item { id, path, objects, areas, group: None };
        let labelled = Labelled { item, classes: easy.into_iter().collect(), ignored };
        let split = split.expect("every image has a split by now");
        of_all.splits.entry(split).or_default().push(labelled);
    }
    let kind = if single_label { "one label an image" } else { "several labels an image" };
    of_all.notes.push(format!("{}, {kind}", counted(classes.len(), "class")));
    Ok(Some(Divided { classes, single_label, ..of_all }))
}

/// The images below a folder, each with its annotation where there is one; paths are below the data folder.
fn look(
    folder: &Folder,
    parent: &Folder,
    root: &Path,
    below: &Path,
    found: &mut Vec<(PathBuf, Option<PathBuf>)>,
) {
    let beside = |tree: &Folder, at: &Path| -> Vec<PathBuf> {
        let names = tree.folders.keys().filter(|name| is_beside_name(name));
        names.map(|name| at.join(name)).collect()
    };
    let mut places = vec![below.to_owned()];
    places.extend(beside(folder, below));
    places.extend(beside(parent, below.parent().unwrap_or(Path::new(""))));
    for image in &folder.images {
        let file = Path::new(&image.file);
        let stem = file.file_stem().unwrap_or_default();
        let mut name = stem.to_owned();
        name.push(".xml");
        let annotations = places.iter().map(|place| root.join(place).join(&name));
        let xml = annotations.into_iter().find(|path| path.is_file());
        found.push((below.join(file), xml));
    }
    for (name, inner) in &folder.folders {
        look(inner, folder, root, &below.join(name), found);
    }
}

/// Two images whose names differ in the ending alone would have one annotation and one id.
fn refuse_twins(root: &Path, images: &[Annotated]) -> Result<()> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    match images.iter().find(|image| !known.insert(&image.id)) {
        None => Ok(()),
        Some(image) => {
            let problem = format!(
                "several images are called `{}`, with different endings, and have one annotation; keep one of them",
                image.id
            );
            Err(Error::data(root, problem))
        }
    }
}
