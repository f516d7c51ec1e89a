//! One folder per class, with the splits as folders above or drawn from a seed.
//!
//! ```text
//! <split>/<class>/…/<image>    the folders at the top are splits
//! <class>/…/<image>            splits `train` and `test`, drawn image by image
//! ```
//!
//! A class has the images of its folder and of all folders in it, to any depth. Images come sorted by
//! class and name. Ids are `<class>/<file name without ending>`, with the folders between them; names
//! that differ in the ending alone keep it, and ids found in several splits get the split in
//! front, so that an id always means one file. A file name that is not UTF-8 is written with its odd
//! bytes escaped (`caf\xE9`); a folder of such a name, or of one with a line break, is refused.
//! What else lies in the folder is counted (`tree`).
//!
//! Which of the two a folder is, `form` decides; `data.layout` = `splits` or `classes` decides instead. A
//! folder that only wraps another one (`archive/dataset/train`), or a split that wraps one of its own
//! name (`train/train/<class>`), is looked through.
//!
//! # Division
//! Every image is drawn by itself, from the seed and its path (`<class>/…/<file>`): it goes into
//! `train` when its number, uniform from 0 to 1, is below the fraction. So adding, removing or renaming
//! images moves no other one. One exception keeps tiny classes usable: a single image trains, and
//! where all of several images fell on one side, the one whose number is nearest to the fraction goes
//! over; a note names it, since it goes back when an added image falls on that side. Of 10 images that
//! happens once in 500 classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::divided::{Divided, Labelled, draw};
use super::form::{Form, no_class_folders, refuse_devkits, wrapped, wraps_itself};
use super::inventory::Tally;
use super::items::{Areas, Item};
use super::layouts::{self, is_images_name, is_split_name};
use super::names::{Name, image_rank, some};
use super::params::{Layout, Params};
use super::tree::{self, Folder};
use crate::random::Seed;
use crate::{Error, Result};

/// Names that a message gives before it counts the rest.
const NAMED: usize = 4;

/// An image of a class.
#[derive(Debug)]
struct Found {
    id: String,
    /// `<class>/…/<file>`.
    text: String,
    path: PathBuf,
}

/// The images of each class.
type Classes = BTreeMap<String, Vec<Found>>;

/// Opens a folder of class folders; looks for both forms.
///
/// # Errors
/// [`Error::Data`] without images, for folders that fit no form or both, for layouts of other
/// programs, and for a class folder whose images are all of kinds that are not read;
/// [`Error::Io`] when a folder cannot be listed.
pub(super) fn open(root: &Path, params: &Params, seed: Seed) -> Result<Divided> {
    let (tree, tally) = tree::walk(root)?;
    if params.layout == Layout::Auto {
        refuse_devkits(root, &tree)?;
    }
    let form_given = match params.layout {
        Layout::Splits => Some(Form::Splits),
        Layout::Classes => Some(Form::Classes),
        Layout::Auto | Layout::Voc | Layout::Folders | Layout::Table | Layout::Cub => None,
    };
    let mut reader = Reader {
        root,
        tally,
        notes: Vec::new(),
        idle: Vec::new(),
        strays: Vec::new(),
        deep: Vec::new(),
    };
    let (below, tree) = match form_given {
        Some(_) => (PathBuf::new(), tree),
        None => reader.unwrapped(tree),
    };
    let place = reader.place(&below);
    if tree.kids().next().is_none() {
        return Err(no_class_folders(&place, &tree, params.layout));
    }
    let form = form_given.map_or_else(|| Form::of(&place, &tree), Ok)?;
    let like = layouts::recognised(&tree);
    let mut folders = match form {
        Form::Splits => given(reader.splits(&below, tree, form_given.is_none())?),
        Form::Classes => {
            let classes = reader.classes(&below, tree, form_given.is_none())?;
            divided(classes, params.train_fraction, seed, &mut reader.notes)
        }
    };
    if folders.splits.is_empty() {
        let problem = format!("holds images and no class folders; {}", layouts::class_folders());
        return Err(Error::data(place, problem));
    }
    if let (Some(like), None, [_]) = (like, form_given, &folders.classes[..]) {
        return Err(Error::data(place, like));
    }
    if params.layout == Layout::Auto {
        folders.refuse_images_as_class(&place)?;
    }
    reader.say_what_was_found();
    folders.tell_letters_apart(&place, &mut reader.notes)?;
    folders.say_what_is_missing(&mut reader.notes);
    (folders.tally, folders.notes) = (reader.tally, reader.notes);
    folders.root = root.to_owned();
    Ok(folders)
}

/// Splits that are folders.
fn given(files: BTreeMap<String, Classes>) -> Divided {
    let names: BTreeSet<&String> = files.values().flat_map(Classes::keys).collect();
    let classes: Vec<String> = names.into_iter().cloned().collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for found in files.values().flat_map(Classes::values).flatten() {
        *uses.entry(&found.id).or_default() += 1;
    }
    let with_split: BTreeSet<String> =
        uses.into_iter().filter(|(_, n)| *n > 1).map(|(id, _)| id.to_owned()).collect();
    let mut splits: BTreeMap<String, Vec<Labelled>> = BTreeMap::new();
    for (split, of_split) in &files {
        let images = splits.entry(split.clone()).or_default();
        for (class, found) in of_split {
            let class = classes.binary_search(class).expect("the union holds every class");
            images.extend(found.iter().map(|found| {
                let id = match with_split.contains(&found.id) {
                    true => format!("{split}/{}", found.id),
                    false => found.id.clone(),
                };
                labelled(class, id, found.path.clone())
            }));
        }
    }
    // A class may have the name of a split.
    let mut ids: Vec<&String> = splits.values().flatten().map(|image| &image.item.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        for (split, images) in &mut splits {
            let found = files[split].values().flatten();
            images.iter_mut().zip(found).for_each(|(image, found)| {
                image.item.id = format!("{split}/{}", found.id);
            });
        }
    }
    Divided { classes, splits, single_label: true, ..Divided::default() }
}

/// Splits that are drawn.
fn divided(files: Classes, train_fraction: f64, seed: Seed, notes: &mut Vec<String>) -> Divided {
    let (mut train, mut test, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    let classes: Vec<String> = files.keys().cloned().collect();
    for (class, found) in files.into_values().enumerate() {
        let draws: Vec<f64> = found.iter().map(|found| draw(seed, &found.text)).collect();
        let mut trains: Vec<bool> = draws.iter().map(|&draw| draw < train_fraction).collect();
        if let [only] = &mut trains[..] {
            *only = true;
        } else if trains.iter().all(|&side| side == trains[0]) {
            let far = |i: &usize| (draws[*i] - train_fraction).abs();
            let nearest = (0..draws.len()).min_by(|a, b| far(a).total_cmp(&far(b)));
            let nearest = nearest.expect("a class has images");
            trains[nearest] = !trains[nearest];
            let side = if trains[nearest] { "train" } else { "test" };
            moved.push(format!("{} to {side}", found[nearest].id));
        }
        for (found, trains) in found.into_iter().zip(trains) {
            let side = if trains { &mut train } else { &mut test };
            side.push(labelled(class, found.id, found.path));
        }
    }
    notes.push(format!(
        "no split folders: each image is drawn by itself (seed, data.train_fraction = \
         {train_fraction}): {} in `train`, {} in `test`",
        train.len(),
        test.len()
    ));
    if !moved.is_empty() {
        notes.push(format!(
            "all images of a class fell on one side, so that one of them went over: {}",
            some(&moved, NAMED)
        ));
    }
    let splits = [("train", train), ("test", test)];
    let splits = splits
        .into_iter()
        .filter(|(_, images)| !images.is_empty())
        .map(|(name, images)| (name.to_owned(), images))
        .collect();
    Divided { classes, splits, single_label: true, drawn: true, ..Divided::default() }
}

/// An image of one class.
fn labelled(class: usize, id: String, path: PathBuf) -> Labelled {
    Labelled {
        item: Item { id, path, objects: Vec::new(), areas: Areas::default(), group: None },
        classes: vec![class],
        ignored: Vec::new(),
    }
}

impl Divided {
    /// What may have been meant by a split that is not there.
    pub fn hint_for(&self, split: &str, root: &Path) -> Option<String> {
        let names = || self.splits.keys().map(String::as_str);
        if self.drawn {
            let class = self.classes.iter().any(|class| class == split);
            return class.then(|| {
                format!(
                    "; `{split}` is a class here: if it is a split, put class folders into it, or \
                     pass --set data.layout=splits"
                )
            });
        }
        match (names().any(is_split_name), self.splits.len()) {
            (true, _) => None,
            (false, 1) => names().next().map(|only| {
                let inner = root.join(only);
                format!("; to have the class folders in `{only}` divided, give {}", inner.display())
            }),
            (false, _) => Some("; if these are classes, pass --set data.layout=classes".to_owned()),
        }
    }

    /// The classes of each split, sorted.
    fn shown(&self) -> impl Iterator<Item = (&String, BTreeSet<usize>)> {
        let classes = |image: &Labelled| image.classes.clone();
        let of_split = move |images: &Vec<Labelled>| images.iter().flat_map(classes).collect();
        self.splits.iter().map(move |(name, images)| (name, of_split(images)))
    }

    /// Refuses a folder `images` beside class folders: its images are of any class.
    fn refuse_images_as_class(&self, place: &Path) -> Result<()> {
        let found = self.classes.iter().position(|name| is_images_name(name));
        let Some(class) = found.filter(|_| self.classes.len() > 1) else { return Ok(()) };
        let problem = format!(
            "a folder `{}` stands where other folders are classes{}; move it out, or sort its images \
             into class folders; if it is a class, pass --set data.layout={}",
            self.classes[class],
            match self.shown().find(|(_, shown)| shown.contains(&class)) {
                Some((split, _)) if !self.drawn => format!(" (in split `{split}`)"),
                _ => String::new(),
            },
            if self.drawn { "classes" } else { "splits" }
        );
        Err(Error::data(place, problem))
    }

    /// Classes whose names differ by case alone are classes where they stand side by side (folders for
    /// the letters `A` and `a`), and one class written in two ways where they do not.
    fn tell_letters_apart(&self, place: &Path, notes: &mut Vec<String>) -> Result<()> {
        let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (class, name) in self.classes.iter().enumerate() {
            alike.entry(name.to_lowercase()).or_default().push(class);
        }
        alike.retain(|_, classes| classes.len() > 1);
        for classes in alike.values() {
            let names: Vec<&String> = classes.iter().map(|&class| &self.classes[class]).collect();
            let together =
                |(_, shown): (_, BTreeSet<usize>)| classes.iter().all(|c| shown.contains(c));
            if !self.drawn && !self.shown().any(together) {
                return Err(Error::data(
                    place,
                    format!(
                        "the class folders {} differ by case alone, and no split has them all; give \
                         them one name",
                        some(&names, NAMED)
                    ),
                ));
            }
        }
        if !alike.is_empty() {
            let names: Vec<&String> = alike.values().flatten().map(|&c| &self.classes[c]).collect();
            notes.push(format!("classes that differ by case alone: {}", some(&names, NAMED)));
        }
        Ok(())
    }

    fn say_what_is_missing(&self, notes: &mut Vec<String>) {
        for (split, shown) in self.shown() {
            let missing: Vec<&String> = (0..self.classes.len())
                .filter(|c| !shown.contains(c))
                .map(|c| &self.classes[c])
                .collect();
            if !missing.is_empty() {
                let names = some(&missing, NAMED);
                notes.push(format!(
                    "split `{split}` has no image of class {names}, other splits do"
                ));
            }
        }
    }
}

/// Takes images from the tree, and notes what is left out.
struct Reader<'r> {
    root: &'r Path,
    tally: Tally,
    notes: Vec<String>,
    /// Folders without images.
    idle: Vec<String>,
    /// Images beside class folders.
    strays: Vec<String>,
    /// Folders with images in class folders.
    deep: Vec<String>,
}

impl Reader<'_> {
    fn place(&self, below: &Path) -> PathBuf {
        if below.as_os_str().is_empty() { self.root.to_owned() } else { self.root.join(below) }
    }

    /// The data set in a folder that only wraps it, and where it is.
    fn unwrapped(&mut self, mut tree: Folder) -> (PathBuf, Folder) {
        let mut below = PathBuf::new();
        while let Some(name) = wrapped(&tree) {
            let inner = tree.folders.remove(&name).expect("it is there");
            self.leave_out_strays(&below, tree.images);
            below.push(name);
            tree = inner;
        }
        if !below.as_os_str().is_empty() {
            self.notes.push(format!("the data set is the folder {}", self.place(&below).display()));
        }
        (below, tree)
    }

    fn leave_out_strays(&mut self, below: &Path, images: Vec<Name>) {
        for image in images {
            self.tally.leave_out("beside class folders", below, &image.file);
            self.strays.push(below.join(image.text).display().to_string());
        }
    }

    fn splits(
        &mut self,
        below: &Path,
        tree: Folder,
        guessed: bool,
    ) -> Result<BTreeMap<String, Classes>> {
        if guessed {
            self.refuse_parts(below, &tree)?;
        }
        self.leave_out_strays(below, tree.images);
        let mut splits = BTreeMap::new();
        for (name, mut folder) in tree.folders {
            let mut below = below.join(&name);
            if !folder.has_images() {
                self.pass(below, &folder)?;
                continue;
            }
            // A split that wraps one of its own name.
            while let Some(inner) = wraps_itself(&name, &folder) {
                folder = folder.folders.remove(&inner).expect("it is there");
                below.push(inner);
                self.notes
                    .push(format!("split `{name}` is the folder {}", self.place(&below).display()));
            }
            // Known to be no split but where the setting says that all are.
            if folder.below == 0 {
                self.leave_out_strays(&below, folder.images);
                continue;
            }
            splits.insert(name, self.classes(&below, folder, guessed)?);
        }
        Ok(splits)
    }

    fn classes(&mut self, below: &Path, tree: Folder, guessed: bool) -> Result<Classes> {
        if guessed {
            self.refuse_parts(below, &tree)?;
        }
        self.leave_out_strays(below, tree.images);
        let mut classes = Classes::new();
        for (name, folder) in tree.folders {
            let below = below.join(&name);
            if folder.has_images() {
                let deep = folder.kids().map(|(inner, _)| below.join(inner).display().to_string());
                self.deep.extend(deep);
                let mut found = Vec::new();
                collect(&self.place(&below), &name, folder, &mut found);
                classes.insert(name, found);
            } else {
                self.pass(below, &folder)?;
            }
        }
        Ok(classes)
    }

    /// Refuses folders of images and of what belongs to them as classes.
    fn refuse_parts(&self, below: &Path, tree: &Folder) -> Result<()> {
        let holds_classes = |folder: &Folder| {
            folder.images.is_empty() && folder.kids().all(|(name, _)| !is_split_name(name))
        };
        let images = tree.kids().find(|(name, _)| is_images_name(name));
        if let Some((name, _)) =
            images.filter(|(_, f)| layouts::are_parts(tree) && holds_classes(f))
        {
            let inner = self.place(&below.join(name));
            let problem = format!(
                "holds `{name}` and what belongs to them; if the folders in `{name}` are classes, give {}",
                inner.display()
            );
            return Err(Error::data(self.place(below), problem));
        }
        match layouts::recognised(tree) {
            Some(like) if layouts::are_parts(tree) => Err(Error::data(self.place(below), like)),
            _ => Ok(()),
        }
    }

    /// Notes a folder without images.
    fn pass(&mut self, below: PathBuf, folder: &Folder) -> Result<()> {
        let others = folder.others_in_words();
        if folder.is_unread() {
            let problem = format!(
                "no image of a kind that is read in this folder, but {others}; convert them to JPEG \
                 or PNG, or move the folder out"
            );
            return Err(Error::data(self.place(&below), problem));
        }
        self.idle.push(format!("{} ({others})", below.display()));
        Ok(())
    }

    fn say_what_was_found(&mut self) {
        if !self.deep.is_empty() {
            let names = some(&self.deep, NAMED);
            self.notes.push(format!("images in folders of class folders count too: {names}"));
        }
        if !self.idle.is_empty() {
            let names = some(&self.idle, NAMED);
            self.notes.push(format!("folders without images are no class: {names}"));
        }
        if !self.strays.is_empty() {
            let names = some(&self.strays, NAMED);
            self.notes.push(format!("images beside the class folders are left out: {names}"));
        }
    }
}

/// The images of a class folder and all folders in it.
fn collect(path: &Path, text: &str, folder: Folder, found: &mut Vec<Found>) {
    let stem = |name: &str| match image_rank(name) {
        Some(_) => name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned(),
        None => name.to_owned(),
    };
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for Name { text, .. } in &folder.images {
        *uses.entry(stem(text)).or_default() += 1;
        // A stem such as `a.jpg` of `a.jpg.png` must not be taken for the file `a.jpg`.
        *uses.entry(text.clone()).or_default() += 1;
    }
    for Name { text: name, file } in folder.images {
        let stem = stem(&name);
        let id = if uses[&stem] == 1 { &stem } else { &name };
        found.push(Found {
            id: format!("{text}/{id}"),
            text: format!("{text}/{name}"),
            path: path.join(file),
        });
    }
    for (name, folder) in folder.folders {
        collect(&path.join(&name), &format!("{text}/{name}"), folder, found);
    }
}
