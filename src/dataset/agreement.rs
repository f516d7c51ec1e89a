//! Lists and annotations tell the same things twice: where they do not agree, a sentence says so.

use std::collections::{BTreeMap, BTreeSet};

use super::annotation::Annotation;
use super::label::Label;
use super::names::without_ending;

/// Names that a note gives before it counts the others.
const NAMED: usize = 5;

/// The label of an image by its boxes: `Yes` with an object that is not difficult, `Ignored` with
/// difficult ones alone, `No` otherwise.
pub(super) fn label_of(class: &str, annotation: &Annotation) -> Label {
    let of_class = || annotation.objects.iter().filter(|object| object.class == class);
    match (of_class().any(|object| !object.difficult), of_class().next()) {
        (true, _) => Label::Yes,
        (false, Some(_)) => Label::Ignored,
        (false, None) => Label::No,
    }
}

/// Labels of lists that the boxes contradict.
#[derive(Debug, Default)]
pub(super) struct Contradictions {
    /// For each class with any: how many, of how many that were compared.
    classes: BTreeMap<String, [usize; 2]>,
    /// The first of all.
    example: Option<String>,
}

impl Contradictions {
    /// Compares the labels of one class's list with the annotations that are there.
    pub fn compare(
        &mut self,
        class: &str,
        ids: &[String],
        labels: &[Label],
        annotations: &[Option<Annotation>],
    ) {
        let (mut differing, mut compared) = (0, 0);
        for ((id, &listed), annotation) in ids.iter().zip(labels).zip(annotations) {
            let Some(annotation) = annotation else { continue };
            compared += 1;
            let boxed = label_of(class, annotation);
            if listed == boxed {
                continue;
            }
            differing += 1;
            self.example.get_or_insert_with(|| {
                let number = match listed {
                    Label::Yes => "1",
                    Label::Ignored => "0",
                    Label::No => "-1",
                };
                let objects = match boxed {
                    Label::Yes => "an object",
                    Label::Ignored => "difficult objects alone",
                    Label::No => "no object",
                };
                format!("`{id}` is {number} for `{class}`, its annotation has {objects} of it")
            });
        }
        if differing > 0 {
            self.classes.insert(class.to_owned(), [differing, compared]);
        }
    }

    /// What there is to say of the split, if anything.
    pub fn note(&self, split: &str) -> Option<String> {
        let total: usize = self.classes.values().map(|[differing, _]| differing).sum();
        let of_class = |(class, [differing, compared]): (&String, &[usize; 2])| {
            format!("{class} {differing} of {compared}")
        };
        let classes = named(self.classes.iter().map(of_class), "classes");
        let example = self.example.as_ref()?;
        let labels = match total {
            1 => "1 label of the class lists in ImageSets/Main contradicts".to_owned(),
            several => format!("{several} labels of the class lists in ImageSets/Main contradict"),
        };
        Some(format!(
            "split `{split}`: {labels} the boxes in Annotations ({classes}; first: {example}); the lists \
             are used"
        ))
    }
}

/// Lists that say 0 of every image without the class: 0 means that only difficult objects are there, and such
/// an image neither trains nor counts.
pub(super) fn lists_without_negatives(
    split: &str,
    classes: &[String],
    listed: &BTreeSet<String>,
    labels: &[Vec<Label>],
) -> Option<String> {
    let mut columns = vec![[false; 2]; classes.len()];
    for row in labels {
        for (column, label) in columns.iter_mut().zip(row) {
            column[0] |= *label == Label::Ignored;
            column[1] |= *label == Label::No;
        }
    }
    let found = classes
        .iter()
        .zip(columns)
        .filter(|(class, column)| listed.contains(*class) && *column == [true, false]);
    let names: Vec<String> = found.map(|(class, _)| format!("{class}_{split}.txt")).collect();
    (!names.is_empty()).then(|| {
        format!(
            "split `{split}`: labels 0 and none of -1 in {}; 0 leaves an image out (only difficult objects are \
             there), -1 says that the class is not there",
            named(names.into_iter(), "lists")
        )
    })
}

/// Annotated classes that no list names, whose objects are left out.
pub(super) fn hidden_classes(
    split: &str,
    classes: &[String],
    annotations: &[Option<Annotation>],
) -> Option<String> {
    let mut images: BTreeMap<&str, usize> = BTreeMap::new();
    for annotation in annotations.iter().flatten() {
        let of_image: BTreeSet<&str> =
            annotation.objects.iter().map(|o| o.class.as_str()).collect();
        for class in of_image.into_iter().filter(|class| !has(classes, class)) {
            *images.entry(class).or_default() += 1;
        }
    }
    if images.is_empty() {
        return None;
    }
    let of_class = |(class, &count): (&&str, &usize)| {
        format!("{class} in {}", counted(count, "image", "images"))
    };
    Some(format!(
        "split `{split}`: {} in Annotations that no class list in ImageSets/Main names, left out: {}; \
         to train them too, write their lists, or move all class lists away",
        counted(images.len(), "class", "classes"),
        named(images.iter().map(of_class), "classes")
    ))
}

fn has(classes: &[String], class: &str) -> bool {
    classes.binary_search_by(|known| known.as_str().cmp(class)).is_ok()
}

/// Classes whose names differ in case alone, most likely by mistake.
pub(super) fn similar_classes(classes: &[String]) -> Option<String> {
    let mut spellings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for class in classes {
        spellings.entry(class.to_lowercase()).or_default().push(class);
    }
    let several = spellings.into_values().filter(|names| names.len() > 1);
    let listed: Vec<String> = several
        .map(|names| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and "))
        .collect();
    (!listed.is_empty()).then(|| {
        let classes = named(listed.into_iter(), "groups");
        format!("classes differ in case alone and count as different ones: {classes}")
    })
}

/// Annotations that say that they are of another file.
pub(super) fn other_files(
    split: &str,
    ids: &[String],
    annotations: &[Option<Annotation>],
) -> Option<String> {
    let other = |(id, annotation): (&String, &Option<Annotation>)| {
        let name = annotation.as_ref()?.filename.as_deref()?;
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let bare = without_ending(file).unwrap_or(file);
        // Some programs write the folder's name, or nothing but an ending.
        let differs = file != id && bare != id && !bare.is_empty();
        differs.then(|| format!("{id}.xml says {}", name.escape_debug()))
    };
    let found: Vec<String> = ids.iter().zip(annotations).filter_map(other).collect();
    let first = found.first()?;
    Some(format!(
        "split `{split}`: {} in <filename> another file than their own name does (first: {first}); \
         they are taken for the image of their own name",
        match found.len() {
            1 => "1 annotation names".to_owned(),
            several => format!("{several} annotations name"),
        }
    ))
}

/// Elements of objects that are set and not read.
pub(super) fn unread_elements(split: &str, annotations: &[Option<Annotation>]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in annotations.iter().flatten().flat_map(|annotation| &annotation.unread) {
        *counts.entry(name).or_default() += 1;
    }
    if counts.is_empty() {
        return None;
    }
    let of_name = |(name, &count): (&&str, &usize)| {
        format!("<{}> in {}", name.escape_debug(), counted(count, "object", "objects"))
    };
    Some(format!(
        "split `{split}`: annotations have elements that are not read ({}); such an object counts as \
         any other, with its box as it stands",
        named(counts.iter().map(of_name), "elements")
    ))
}

/// Boxes that count pixels from 0.
pub(super) fn first_pixel(split: &str, images: usize) -> Option<String> {
    (images > 0).then(|| {
        format!(
            "split `{split}`: boxes of {} begin before pixel 1, the first one of PASCAL VOC; all of \
             the split are taken to count from 0",
            counted(images, "image", "images")
        )
    })
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// The first few, and how many others there are.
fn named(names: impl ExactSizeIterator<Item = String>, what: &str) -> String {
    let more = names.len().saturating_sub(NAMED);
    let listed: Vec<String> = names.take(NAMED).collect();
    let rest = if more > 0 { format!(" and {more} more {what}") } else { String::new() };
    listed.join(", ") + &rest
}
