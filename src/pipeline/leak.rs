//! Images that stand twice where they should not: in the training split and in an evaluated one, or in
//! one split with different labels.
//!
//! An index has a hash of every image's file and of its vector. Equal files are copies; so are equal
//! vectors, of the same pixels in another file (another name or format, other EXIF data).

use std::collections::{BTreeMap, BTreeSet};

use super::run::Run;
use crate::artifacts::Artifact;
use crate::dataset::{Label, Split};
use crate::error::Result;
use crate::evaluation::Report;
use crate::evaluation::leak::{Same, TrainingImage};
use crate::progress::Progress;
use crate::store::{Index, IndexedImage, Kind, SvmReport, report_of};

/// What is known of training images in a split.
pub(crate) struct Training {
    /// The split that the classifier was trained on.
    pub(crate) split: String,
    /// Its images in the other split; `None` when that is not known.
    pub(crate) copies: Option<Vec<TrainingImage>>,
}

/// Looks for images that the classifier was trained on. `labels` are those of `split` for `classes`,
/// the classifier's.
pub(crate) fn training_images(
    run: &Run<'_>,
    split: &Split,
    index: &Index,
    classes: &[String],
    labels: &[Vec<Label>],
) -> Result<Training> {
    let artifact = Artifact::open(&run.home.path(Kind::Svm))?;
    let header = artifact.header();
    let name = report_of::<SvmReport>(&artifact)?.split;
    let print = header.inputs["parents"][format!("fisher/{name}")].as_str();
    // The vectors that it was trained on may be gone, or those of another folder by now.
    let trained = run.index(&name).ok().filter(|index| Some(&*index.fingerprint) == print);
    let Some(trained) = trained else {
        return Ok(Training { split: name, copies: None });
    };
    let rows: BTreeMap<&str, usize> =
        split.items.iter().enumerate().map(|(i, item)| (item.id.as_str(), i)).collect();
    let files = by(&trained, |image| &image.file);
    let vectors = by(&trained, |image| &image.vector);
    let of_class = |class: &String| trained.classes.iter().position(|known| known == class);
    let columns: Vec<Option<usize>> = classes.iter().map(of_class).collect();
    let contradicts = |row: usize, image: &IndexedImage| {
        labels[row].iter().zip(&columns).any(|(&label, column)| {
            let trained = column.and_then(|column| image.labels.get(column)).copied();
            let label = label.number();
            label != 0 && trained.is_some_and(|trained| trained != 0 && trained != label)
        })
    };
    let copy = |image: &IndexedImage| {
        let of_file = files.get(&*image.file);
        let of_vector = vectors.get(&*image.vector);
        let (same, copies) = match (of_file, of_vector) {
            (Some(copies), _) => (Same::File, copies),
            (None, Some(copies)) => (Same::Vector, copies),
            (None, None) => return None,
        };
        let row = *rows.get(image.id.as_str())?;
        let other = copies.iter().find(|copy| contradicts(row, copy));
        Some(TrainingImage {
            id: image.id.clone(),
            training_id: other.unwrap_or(&copies[0]).id.clone(),
            same,
            other_labels: other.is_some(),
        })
    };
    let copies = index.images.iter().filter_map(copy).collect();
    Ok(Training { split: name, copies: Some(copies) })
}

/// Says what there is to say of training images in an evaluated split.
pub(crate) fn note_training_images(progress: &dyn Progress, training: &Training, report: &Report) {
    let (split, name) = (&report.split, &training.split);
    let unknown = training.copies.is_none().then(|| {
        format!(
            "whether training images are among those of split `{split}` is not known: the vectors of \
             split `{name}`, which the classifier was trained on, are gone or of an earlier version; \
             `fvtool encode --data DATA --split {name} --run RUN` makes them"
        )
    });
    if let Some(note) = unknown.or_else(|| report.training_images_note()) {
        progress.note(&note);
    }
}

/// Says how many copies of an image stand in a split with different labels.
pub(crate) fn note_contradictions(index: &Index, progress: &dyn Progress) {
    let files = by(index, |image| &image.file);
    let differ = |copies: &&Vec<&IndexedImage>| {
        copies.iter().map(|image| &image.labels).collect::<BTreeSet<_>>().len() > 1
    };
    let mut found: Vec<&Vec<&IndexedImage>> = files.values().filter(differ).collect();
    found.sort_by_key(|copies| &copies[0].id);
    let Some(first) = found.first() else { return };
    let ids: Vec<&str> = first.iter().map(|image| image.id.as_str()).collect();
    let images = match found.len() {
        1 => "1 image stands".to_owned(),
        several => format!("{several} images stand"),
    };
    progress.note(&format!(
        "{images} in split `{}` several times with different labels (first: {}); each copy counts",
        index.split,
        ids.join(", ")
    ));
}

/// The images of each hash, in list order.
fn by<'i>(
    index: &'i Index,
    hash: impl Fn(&'i IndexedImage) -> &'i str,
) -> BTreeMap<&'i str, Vec<&'i IndexedImage>> {
    let mut found: BTreeMap<&str, Vec<&IndexedImage>> = BTreeMap::new();
    for image in &index.images {
        found.entry(hash(image)).or_default().push(image);
    }
    found
}
