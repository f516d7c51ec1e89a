//! The folders, images and texts of one folder, by name.

use std::path::Path;

use super::tree;
use crate::{Error, Result};

/// Names of folders, image files and texts in a folder, each sorted.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub folders: Vec<String>,
    pub images: Vec<String>,
    pub texts: Vec<String>,
}

/// Lists a folder, following links. Hidden entries and other files are left out, and files whose names
/// are no text, which no list can name; a link that leads nowhere counts as a file, so that a missing
/// image is reported when it is read.
pub(super) fn list(path: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    for (name, kind) in tree::entries(path)? {
        let folder = tree::is_folder(path, &name, kind);
        if tree::passed_over(&name, folder).is_some() {
            continue;
        }
        let image = !folder && tree::is_image(path, &name);
        let name = match name.into_string() {
            Ok(name) => name,
            // Its class or split must have a name that can be written down.
            Err(name) if folder => {
                return Err(Error::data(path.join(name), "the name is not UTF-8; rename it"));
            }
            Err(_) => continue,
        };
        if folder {
            listing.folders.push(name);
        } else if image {
            listing.images.push(name);
        } else if name.ends_with(".txt") {
            listing.texts.push(name);
        }
    }
    Ok(listing)
}
