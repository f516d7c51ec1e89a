//! Layouts that other programs write and that are not read: recognised, so that a refusal names them.

use super::names::ending;
use super::tree::Folder;

/// Names of folders that hold the images of a data set, whatever they show; in lower case.
const IMAGES: &[&str] =
    &["images", "image", "imgs", "img", "jpegimages", "jpg", "jpeg", "jpegs", "png", "rgb"];

/// Names of folders that hold what belongs to images; in lower case.
const BESIDE: &[&str] = &[
    "labels",
    "label",
    "annotations",
    "annotation",
    "annots",
    "masks",
    "mask",
    "gt",
    "groundtruth",
    "ground_truth",
    "segmentation",
    "segmentations",
    "trimaps",
    "depth",
    "bboxes",
    "boxes",
    "xml",
    "xmls",
    "json",
];

/// Words of which one makes a name that of a split.
const SPLITS: &[&str] = &[
    "train",
    "training",
    "trainset",
    "trn",
    "val",
    "valid",
    "validation",
    "valset",
    "dev",
    "test",
    "testing",
    "testset",
    "tst",
    "trainval",
    "eval",
    "evaluation",
    "holdout",
];

/// Words that may stand beside it.
const FILLERS: &[&str] =
    &["images", "image", "imgs", "img", "set", "data", "dataset", "split", "new", "seg"];

const CLASS_FOLDERS: &str =
    "sort the images into a folder for each class: <split>/<class>/<image> or <class>/<image>";
const DEVKIT: &str = "put the images into JPEGImages and the .xml files into Annotations, and write \
                      ImageSets/Main/train.txt and test.txt with one id (file name without ending) a line";

const GIVE_LABELS: &str = "give the one that holds the labels with --labels FILE";

/// Whether a folder is called as splits are: `train`, `Validation`, `test2017`, `train_images`.
pub(super) fn is_split_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = || lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words().any(|word| SPLITS.contains(&word))
        && words().all(|word| SPLITS.contains(&word) || FILLERS.contains(&word))
}

/// The word of a name that names a split: `training` of `training_labels`.
pub(super) fn split_word(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphabetic());
    words.find(|word| SPLITS.contains(word)).map(str::to_owned)
}

/// Whether a folder is called as one of images, whatever they show.
pub(super) fn is_images_name(name: &str) -> bool {
    IMAGES.contains(&name.to_lowercase().as_str())
}

/// Whether a folder is called as one of what belongs to images.
pub(super) fn is_beside_name(name: &str) -> bool {
    BESIDE.contains(&name.to_lowercase().as_str())
}

/// Whether folders are those of images and of what belongs to them rather than of classes.
pub(super) fn are_parts(tree: &Folder) -> bool {
    let mut names = tree.folders.keys();
    names.any(|name| is_images_name(name)) && tree.folders.keys().any(|name| is_beside_name(name))
}

/// What a folder without class folders looks like, and what to do about it.
pub(super) fn recognised(tree: &Folder) -> Option<String> {
    let places = places(tree);
    let sign = |fits: &dyn Fn(&str) -> bool| {
        let mut signs = places.iter().flat_map(|folder| &folder.signs);
        signs.find(|name| fits(&name.to_lowercase())).cloned()
    };
    let images: usize = places.iter().map(|folder| folder.images.len()).sum();
    let twins = |ending: &str| {
        let twins: usize = places.iter().filter_map(|folder| folder.twins.get(ending)).sum();
        twins > 0 && 2 * twins >= images
    };
    // A folder of that name whose files have that ending, and which holds no images.
    let beside = |names: &[&str], ending: &str| {
        let mut folders = places.iter().flat_map(|place| &place.folders);
        let found = folders.find(|(name, folder)| {
            names.contains(&name.to_lowercase().as_str())
                && !folder.has_images()
                && folder.all_others().contains_key(ending)
        });
        found.map(|(name, _)| name.clone())
    };
    let is = |ends: &[&str], name: &str| ending(name).is_some_and(|e| ends.contains(&e.as_str()));
    let said =
        |what: String, todo: &str| Some(format!("looks like {what}, which is not read; {todo}"));

    if let Some(name) = sign(&|name| name.starts_with("ecotaxa")) {
        return said(format!("an export of EcoTaxa (`{name}`)"), GIVE_LABELS);
    }
    let json = beside(&["annotations", "annotation"], ".json").map(|name| format!("{name}/*.json"));
    if let Some(name) = json {
        return said(format!("COCO annotations (`{name}`)"), GIVE_LABELS);
    }
    if twins(".xml") {
        return said("images with an .xml each, as Roboflow exports Pascal VOC".into(), DEVKIT);
    }
    if let Some(name) = beside(BESIDE, ".xml") {
        return said(format!("Pascal VOC without its lists (`{name}/*.xml`)"), DEVKIT);
    }
    let yaml = |name: &str| is(&[".yaml", ".yml", ".names"], name) || name.ends_with("classes.txt");
    let yolo = beside(&["labels", "label"], ".txt").map(|name| format!("{name}/*.txt"));
    let yolo = yolo.or_else(|| twins(".txt").then(|| "a .txt for each image".to_owned()));
    if let Some(name) = yolo.or_else(|| sign(&yaml)) {
        return said(format!("YOLO (`{name}`)"), CLASS_FOLDERS);
    }
    if let Some(name) = sign(&|name| is(&[".xlsx", ".xls", ".jsonl", ".parquet"], name)) {
        let todo = "save the table as CSV with columns for path and label, and give it with --labels FILE.csv";
        return said(format!("images with a table of labels (`{name}`)"), todo);
    }
    if let Some(name) = sign(&|name| is(&[".csv", ".tsv"], name)) {
        let todo = "its columns are not known: give it with --labels FILE, and their names with --set \
                    data.path_column=… and --set data.label_column=…";
        return said(format!("images with a table of labels (`{name}`)"), todo);
    }
    if twins(".json") || sign(&|name| is(&[".json"], name)).is_some() {
        return said(
            "images with labels in .json files, as LabelMe writes them".into(),
            CLASS_FOLDERS,
        );
    }
    places.iter().any(|place| are_parts(place)).then(|| {
        format!("looks like images with masks or labels in folders beside them; {CLASS_FOLDERS}")
    })
}

/// What to do with images that lie in no class folder.
pub(super) fn class_folders() -> &'static str {
    CLASS_FOLDERS
}

/// A folder and those in it, two levels down.
fn places(tree: &Folder) -> Vec<&Folder> {
    let mut places = vec![tree];
    let mut from = 0;
    for _ in 0..2 {
        let to = places.len();
        for i in from..to {
            places.extend(places[i].folders.values());
        }
        from = to;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_known_by_name_and_classes_are_not() {
        for name in
            ["train", "Train", "TEST", "valid", "validation", "test2017", "train_images", "01-dev"]
        {
            assert!(is_split_name(name), "{name}");
        }
        for name in ["train_station", "bullet train", "testudo", "contest", "2024", "cat", "images"]
        {
            assert!(!is_split_name(name), "{name}");
        }
    }
}
