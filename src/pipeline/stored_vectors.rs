//! The stored vectors of an encoded split, checked to be of one piece.

use std::path::PathBuf;

use super::place::Place;
use crate::artifacts::{Artifact, Shards};
use crate::error::{Error, Result};
use crate::linalg::Rows;
use crate::store::{Index, Inputs, Kind, Paths, not_of_this_index, require_parent};

/// The stored vectors of an encoded split, mapped from disk.
///
/// # Errors
/// [`Error::Artifact`] when a shard is damaged, or is not of this index and the place's models.
pub(crate) fn open_vectors(place: &Place<'_>, index: &Index) -> Result<Shards> {
    let folder = place.paths.vectors(&index.split)?;
    let paths: Vec<PathBuf> =
        (0..index.shards.len()).map(|number| Paths::shard(&folder, number)).collect();
    let shards = Shards::open(paths.iter().map(PathBuf::as_path))?;
    let (expected, got) = (index.images.len(), shards.len());
    if expected != got {
        return Err(Error::artifact(
            Paths::index(&folder),
            format!("lists {expected} images, the shards hold {got}; run `fvtool encode` again"),
        ));
    }
    require_one_origin(place, index, &shards)?;
    Ok(shards)
}

/// Refuses shards that are not those of this index, or were not made with the models of this run.
fn require_one_origin(place: &Place<'_>, index: &Index, shards: &Shards) -> Result<()> {
    let Some((first, first_header)) = shards.headers().next() else { return Ok(()) };
    for ((path, header), print) in shards.headers().zip(&index.shards) {
        let own = Inputs::of_stored(&header.inputs).fingerprint;
        let parents = header.inputs["parents"] == first_header.inputs["parents"];
        if header.fingerprint != *print || own != *print || !parents {
            return Err(not_of_this_index(path, &index.split));
        }
    }
    if place.is_pooled() {
        return Ok(());
    }
    let first = &Artifact::open(first)?;
    let parents = [Kind::Pca, Kind::Gmm].map(|kind| place.path(kind));
    parents.iter().try_for_each(|parent| require_parent(first, parent).map(|_| ()))
}
