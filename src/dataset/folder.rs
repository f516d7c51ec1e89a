//! One folder per class, with the splits as folders above or drawn from a seed.
//!
//! ```text
//! <split>/<class>/<image>      splits are the folders whose folders hold images
//! <class>/<image>              splits `train` and `test`, drawn per class
//! ```
//!
//! Hidden entries and files that are no images are left out; folders below a class are not looked
//! into. Images come sorted by class and name. Ids are `<class>/<file name without ending>`; names
//! that differ in the ending alone keep it, and ids found in several splits get the split in
//! front, so that an id always means one file. A file name that is not UTF-8 is written with its odd
//! bytes escaped (`caf\xE9`); a folder of such a name is refused.
//!
//! Division: of a class's `n` images, sorted by name, `round(n · fraction)` go into `train`, drawn
//! with a stream of its own, so that other classes and the order on disk do not matter. With two
//! images or more each side gets at least one; a single one trains.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{IMAGE_ENDINGS, Item, Label, Listing, Split, list};
use crate::random::Seed;
use crate::{Error, Result};

/// An opened folder of class folders.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    classes: Vec<String>,
    splits: BTreeMap<String, Vec<Image>>,
}

#[derive(Debug, Clone)]
struct Image {
    class: usize,
    id: String,
    path: PathBuf,
}

/// The image files of each class: `names[class]`, sorted.
type Files = BTreeMap<String, Vec<Name>>;

/// A file name, and as text where it is one; otherwise with its odd bytes escaped (`\xE9`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    text: String,
    file: OsString,
}

/// The names of a folder's images, sorted.
fn names(images: Vec<String>, odd: Vec<OsString>) -> Vec<Name> {
    let texts = images.into_iter().map(|text| Name { file: text.clone().into(), text });
    let mut names: BTreeMap<String, Name> = texts.map(|name| (name.text.clone(), name)).collect();
    for file in odd {
        let chunks = file.as_encoded_bytes().utf8_chunks();
        let escape = |bytes: &[u8]| bytes.iter().map(|b| format!("\\x{b:02X}")).collect::<String>();
        let mut text: String =
            chunks.map(|chunk| chunk.valid().to_owned() + &escape(chunk.invalid())).collect();
        // Another file may really have this name.
        while names.contains_key(&text) {
            text.insert(0, '\\');
        }
        names.insert(text.clone(), Name { text, file });
    }
    names.into_values().collect()
}

impl Folders {
    /// Looks for both forms; `None` when there is no image in either.
    ///
    /// # Errors
    /// [`Error::Data`] for a folder without images among folders with images, and where the two
    /// forms are mixed; [`Error::Io`] when a folder cannot be listed.
    pub fn open(root: &Path, train_fraction: f64, seed: Seed) -> Result<Option<Self>> {
        let mut splits: BTreeMap<String, Files> = BTreeMap::new();
        let mut classes = Files::new();
        let mut empty = Vec::new();
        for name in list(root)?.folders {
            let path = root.join(&name);
            let Listing { folders, images, odd, .. } = list(&path)?;
            let images = names(images, odd);
            let mut below = Files::new();
            for folder in folders {
                let Listing { images, odd, .. } = list(&path.join(&folder))?;
                below.insert(folder, names(images, odd));
            }
            match (images.is_empty(), below.values().all(Vec::is_empty)) {
                (true, true) => empty.push(path),
                (false, true) => _ = classes.insert(name, images),
                (true, false) => _ = splits.insert(name, below),
                (false, false) => {
                    return Err(Error::data(
                        path,
                        "holds images and folders of images; as a class it needs the images alone, \
                         as a split only class folders: move the others out",
                    ));
                }
            }
        }
        if let (Some(split), Some(class)) = (splits.keys().next(), classes.keys().next()) {
            return Err(Error::data(
                root,
                format!(
                    "`{split}` holds folders of images as a split does, and `{class}` holds images \
                     as a class does; use <split>/<class>/<image> or <class>/<image> throughout"
                ),
            ));
        }
        if splits.is_empty() && classes.is_empty() {
            return Ok(None);
        }
        let empty_class = splits.iter().find_map(|(split, files)| {
            let class = files.iter().find(|(_, images)| images.is_empty())?.0;
            Some(root.join(split).join(class))
        });
        if let Some(path) = empty.into_iter().next().or(empty_class) {
            let endings = IMAGE_ENDINGS.join(", ");
            return Err(Error::data(
                path,
                format!("no images in this folder; remove it or add images ({endings})"),
            ));
        }
        Ok(Some(if splits.is_empty() {
            Self::divided(root, classes, train_fraction, seed)
        } else {
            Self::given(root, splits)
        }))
    }

    fn given(root: &Path, files: BTreeMap<String, Files>) -> Self {
        let names: BTreeSet<&String> = files.values().flat_map(Files::keys).collect();
        let classes: Vec<String> = names.into_iter().cloned().collect();
        let mut splits: BTreeMap<String, Vec<Image>> = BTreeMap::new();
        for (split, of_split) in &files {
            let images = splits.entry(split.clone()).or_default();
            for (class, names) in of_split {
                let place = classes.binary_search(class).expect("the union holds every class");
                images.extend(named(&root.join(split), class, place, names));
            }
        }
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        for image in splits.values().flatten() {
            *uses.entry(image.id.clone()).or_default() += 1;
        }
        for (split, images) in &mut splits {
            for image in images {
                if uses[&image.id] > 1 {
                    image.id = format!("{split}/{}", image.id);
                }
            }
        }
        Self { classes, splits }
    }

    fn divided(root: &Path, files: Files, train_fraction: f64, seed: Seed) -> Self {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (place, (class, names)) in files.iter().enumerate() {
            let n = names.len();
            let wanted = (n as f64 * train_fraction).round() as usize;
            let count = if n < 2 { n } else { wanted.clamp(1, n - 1) };
            let chosen = seed.stream(&format!("dataset/divide/{class}"), 0).sample(n, count);
            for (i, image) in named(root, class, place, names).into_iter().enumerate() {
                let side = if chosen.binary_search(&i).is_ok() { &mut train } else { &mut test };
                side.push(image);
            }
        }
        let splits = [("train", train), ("test", test)];
        Self {
            classes: files.into_keys().collect(),
            splits: splits
                .into_iter()
                .filter(|(_, images)| !images.is_empty())
                .map(|(name, images)| (name.to_owned(), images))
                .collect(),
        }
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    pub fn splits(&self) -> Vec<String> {
        self.splits.keys().cloned().collect()
    }

    /// The images of a split; `None` when there is no such split.
    pub fn split(&self, name: &str) -> Option<Split> {
        let images = self.splits.get(name)?;
        let row = |image: &Image| {
            let mut row = vec![Label::No; self.classes.len()];
            row[image.class] = Label::Yes;
            row
        };
        let item = |image: &Image| Item {
            id: image.id.clone(),
            path: image.path.clone(),
            objects: Vec::new(),
        };
        Some(Split {
            name: name.to_owned(),
            classes: self.classes.clone(),
            items: images.iter().map(item).collect(),
            labels: images.iter().map(row).collect(),
            single_label: true,
        })
    }
}

/// The images of one class folder with their ids.
fn named(parent: &Path, class: &str, place: usize, names: &[Name]) -> Vec<Image> {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for Name { text, .. } in names {
        *uses.entry(stem(text)).or_default() += 1;
        // A stem such as `a.jpg` of `a.jpg.png` must not be taken for the file `a.jpg`.
        *uses.entry(text.clone()).or_default() += 1;
    }
    let image = |Name { text, file }: &Name| {
        let stem = stem(text);
        let id = if uses[&stem] == 1 { stem } else { text.clone() };
        Image { class: place, id: format!("{class}/{id}"), path: parent.join(class).join(file) }
    };
    names.iter().map(image).collect()
}
