//! Splits or classes: what the folders at the top of a data folder are.
//!
//! Folders without images are no splits and no classes. Of the others at the top:
//!
//! 1. All, or two and more, have names of splits (`train`, `Validation`, `test2017`, …): they are
//!    splits, and so is any other that shares a class with them. Images beside their class folders are
//!    left out. Without class folders they are refused.
//! 2. Some hold images themselves: all are classes, unless one of the others has the name of a split, or
//!    folders called like its neighbours or like those of another one, which is refused.
//! 3. None holds images itself. A single one is a split. Otherwise they are splits when they hold folders
//!    of the same names (those of one may lack some, but there must be two), and classes when no name
//!    occurs twice or the only one does in all and holds no folders. Anything else is refused, and so is a
//!    class called `images`, or `labels` and the like beside one.
//!
//! The rules use names and structure alone, never what a command asks for, so that a data folder is
//! the same for every command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::layouts::{self, is_beside_name, is_images_name, is_split_name};
use super::names::{IMAGE_ENDINGS, some};
use super::params::Layout;
use super::tree::Folder;
use crate::{Error, Result};

/// Names that a message gives before it counts the rest.
const NAMED: usize = 4;

/// What the folders at the top are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `<split>/<class>/<image>`.
    Splits,
    /// `<class>/<image>`.
    Classes,
}

impl Form {
    /// What the folders at the top of `tree` are; the module says by which rules.
    ///
    /// # Errors
    /// [`Error::Data`] when it is not clear, with what to do.
    pub fn of(place: &Path, tree: &Folder) -> Result<Self> {
        let kids: Vec<(&String, &Folder)> =
            tree.kids().map(|(name, folder)| (name, unwrapped(name, folder))).collect();
        let (named, unnamed): (Vec<_>, Vec<_>) =
            kids.iter().copied().partition(|(name, _)| is_split_name(name));
        let (own, nested): (Vec<_>, Vec<_>) =
            kids.iter().copied().partition(|(_, folder)| !folder.images.is_empty());
        let refuse = |problem: String| Err(Error::data(place, problem));
        if unnamed.is_empty() || named.len() > 1 {
            let flat: Vec<&String> = named
                .iter()
                .filter(|(_, folder)| folder.below == 0)
                .map(|(name, _)| *name)
                .collect();
            if !flat.is_empty() {
                let like = layouts::recognised(tree).filter(|_| flat.len() == named.len());
                return refuse(like.unwrap_or_else(|| {
                    format!(
                        "{} and no class folders; {}; move images without labels out",
                        split_names(&flat),
                        layouts::class_folders()
                    )
                }));
            }
            return with_splits(place, &named, &unnamed);
        }
        if nested.is_empty() {
            return Ok(Form::Classes);
        }
        if let Some((class, _)) = own.first() {
            let is_neighbour = |name: &String| kids.iter().any(|(other, _)| *other == name);
            let mut uses: BTreeMap<&String, usize> = BTreeMap::new();
            for (inner, _) in nested.iter().flat_map(|(_, folder)| folder.kids()) {
                *uses.entry(inner).or_default() += 1;
            }
            let share = uses.values().filter(|&&n| n > 1).count() > 1;
            let like_split = nested.iter().find(|(name, folder)| {
                share || is_split_name(name) || folder.kids().any(|(inner, _)| is_neighbour(inner))
            });
            return match like_split {
                None => Ok(Form::Classes),
                Some((split, _)) => refuse(format!(
                    "`{split}` holds folders of images as a split does, and `{class}` holds images as a \
                     class does; use <split>/<class>/<image> or <class>/<image> throughout, or pass \
                     --set data.layout=splits or --set data.layout=classes"
                )),
            };
        }
        if !named.is_empty() {
            return with_splits(place, &named, &unnamed);
        }
        if kids.len() == 1 {
            return Ok(Form::Splits);
        }
        let inner: Vec<BTreeSet<&String>> =
            kids.iter().map(|(_, folder)| folder.kids().map(|(name, _)| name).collect()).collect();
        let names: Vec<&String> = kids.iter().map(|(name, _)| *name).collect();
        if inner.iter().flatten().all(|name| is_split_name(name)) {
            let deep = kids.iter().any(|(_, f)| f.kids().any(|(_, inner)| inner.below > 0));
            let names = some(&names, NAMED);
            return refuse(match deep {
                true => {
                    format!("holds several data sets ({names}), each with splits; give one of them")
                }
                false => format!(
                    "the folders {names} hold splits; put the splits above the classes: \
                     <split>/<class>/<image>"
                ),
            });
        }
        let union: BTreeSet<&String> = inner.iter().flatten().copied().collect();
        let largest = inner.iter().max_by_key(|names| names.len()).expect("there are several");
        let total: usize = inner.iter().map(BTreeSet::len).sum();
        if union.len() > 1 && inner.iter().all(|names| names.is_subset(largest)) {
            return Ok(Form::Splits);
        }
        // `car/images/1.jpg`; folders in such a folder may be the classes.
        let flat =
            |(_, folder): &(&String, &Folder)| folder.kids().all(|(_, inner)| inner.below == 0);
        let same = union.len() == 1 && kids.iter().all(flat);
        let are_parts = names.iter().any(|name| is_beside_name(name) || is_images_name(name))
            || !same && union.iter().any(|name| is_images_name(name));
        if (same || union.len() > 1 && total == union.len()) && !are_parts {
            return Ok(Form::Classes);
        }
        refuse(format!(
            "the folders {} may be splits or classes, or neither, by the names of the folders in them; \
             move out what is no class, or pass --set data.layout=splits for <split>/<class>/<image>, or \
             --set data.layout=classes for <class>/<image>",
            some(&names, NAMED)
        ))
    }
}

/// Folders that have the names of splits, and others: these are splits too when they share a class.
fn with_splits(
    place: &Path,
    named: &[(&String, &Folder)],
    unnamed: &[(&String, &Folder)],
) -> Result<Form> {
    let classes: BTreeSet<&String> =
        named.iter().flat_map(|(_, folder)| folder.kids()).map(|(name, _)| name).collect();
    let other = unnamed.iter().find(|(_, folder)| {
        !folder.images.is_empty() || !folder.kids().any(|(name, _)| classes.contains(name))
    });
    match other {
        None => Ok(Form::Splits),
        Some((other, _)) => {
            let names: Vec<&String> = named.iter().map(|(name, _)| *name).collect();
            let names = split_names(&names);
            let problem = format!(
                "{names}, and `{other}` has none of their classes; move it out, or pass \
                 --set data.layout=splits for <split>/<class>/<image>, or --set data.layout=classes \
                 for <class>/<image>"
            );
            Err(Error::data(place, problem))
        }
    }
}

/// Folders that have the names of splits, as the beginning of a sentence.
fn split_names<S: AsRef<str>>(names: &[S]) -> String {
    match names.len() {
        1 => format!("{} has the name of a split", some(names, NAMED)),
        _ => format!("{} have names of splits", some(names, NAMED)),
    }
}

/// The only folder with images.
pub(super) fn only_kid(folder: &Folder) -> Option<(&String, &Folder)> {
    let mut kids = folder.kids();
    kids.next().filter(|_| kids.next().is_none())
}

/// The folder that the data set of this one lies in, where it is neither a split nor a class.
pub(super) fn wrapped(tree: &Folder) -> Option<String> {
    let (name, kid) = only_kid(tree)?;
    let splits = || kid.kids().filter(|(name, _)| is_split_name(name));
    let others = kid.kids().count() - splits().count();
    let holds_splits = splits().count() > others.min(1);
    let holds_folder = only_kid(kid).is_some_and(|(_, inner)| inner.images.is_empty());
    let wraps = match kid.images.is_empty() {
        true => holds_splits || holds_folder,
        false => holds_splits && splits().all(|(_, split)| split.below > 0),
    };
    (wraps && !is_split_name(name) && !layouts::are_parts(tree)).then(|| name.clone())
}

/// Whether all that a folder has is a folder of its own name, as some archives are packed.
pub(super) fn wraps_itself(name: &str, folder: &Folder) -> Option<String> {
    let (inner, _) = only_kid(folder).filter(|_| folder.images.is_empty())?;
    inner.eq_ignore_ascii_case(name).then(|| inner.clone())
}

/// What such a folder stands for.
fn unwrapped<'f>(name: &str, mut folder: &'f Folder) -> &'f Folder {
    while let Some(inner) = wraps_itself(name, folder) {
        folder = &folder.folders[&inner];
    }
    folder
}

/// Why a folder without any folder of images is refused.
pub(super) fn no_class_folders(place: &Path, tree: &Folder, layout: Layout) -> Error {
    if !tree.images.is_empty() {
        let n = tree.images.len();
        let like = layouts::recognised(tree).unwrap_or_else(|| {
            format!("holds images ({n}) and no class folders; {}", layouts::class_folders())
        });
        return Error::data(place, like);
    }
    let voc = match layout {
        Layout::Auto => "ImageSets/Main or JPEGImages (PASCAL VOC), ",
        _ => "",
    };
    let endings = IMAGE_ENDINGS.join(", ");
    let mut problem = format!(
        "no images found: looked for {voc}<split>/<class>/<image> and <class>/<image>, with the \
         endings {endings}"
    );
    let others = tree.others_in_words();
    if tree.is_unread() {
        problem += &format!("; found {others}: convert them to JPEG or PNG");
    } else if !others.is_empty() {
        problem += &format!("; found {others}");
    }
    Error::data(place, problem)
}

/// PASCAL VOC folders that lie too deep to be found.
pub(super) fn refuse_devkits(root: &Path, tree: &Folder) -> Result<()> {
    fn find(path: &Path, folder: &Folder, found: &mut Vec<String>) {
        let lists = folder.folders.get("ImageSets").is_some_and(|f| f.folders.contains_key("Main"));
        if lists || folder.folders.contains_key("JPEGImages") {
            found.push(path.display().to_string());
        }
        folder.folders.iter().for_each(|(name, inner)| find(&path.join(name), inner, found));
    }
    let mut found = Vec::new();
    find(root, tree, &mut found);
    match found.len() {
        0 => Ok(()),
        1 => Err(Error::data(root, format!("holds a PASCAL VOC folder; give {}", found[0]))),
        _ => {
            let names = some(&found, NAMED);
            Err(Error::data(root, format!("holds several PASCAL VOC folders; give one of {names}")))
        }
    }
}
