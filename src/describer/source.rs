//! What the descriptors of a channel are made of: planes of an image, maps of a network, or files of another
//! program.
//!
//! ```text
//! Photo ─ planes of the channel's colours ─────────────────┐
//! its colours ─ network (descriptors.kind network, pooled) ┼─ Picture ─ descriptors, W' × H' pixels
//! Photo's size + id ─ `<id>.npy` (descriptors.kind files) ─┤
//! id or path ─ row of a file (descriptors.kind vectors) ───┘
//! ```
//!
//! A source needs no models, so that the descriptors which models are fitted to come from here too.

use std::fs::Metadata;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use super::given::Given;
use super::given_vectors::GivenVectors;
use super::looked::Looked;
use super::networks::Tap;
use super::noticed::Noticed;
use super::pass::{Scales, Side};
use super::seen::Seen;
use super::stamp::Stamp;
use crate::config::Config;
use crate::dataset::{Area, AreaKind, Item, Ruler};
use crate::descriptors::{Content, Counting, Extractor, Inside, Picture, Within};
use crate::encoding::Rectangle;
use crate::error::{Error, Result};
use crate::image::{self, Colours, Photo};
use crate::words::counted;

/// Where the descriptors of a channel come from. Shared between workers.
#[derive(Debug, Clone)]
pub struct Source {
    image: image::Params,
    colours: Colours,
    given: Option<Given>,
    vectors: Option<Arc<GivenVectors>>,
    network: Option<Tap>,
    within: Within,
    /// Parts of every image whose rows are left out.
    leave_out: Vec<Rectangle>,
    /// Whether descriptors of the mirror image are wanted too.
    mirrored: bool,
    seen: Arc<Seen>,
}

impl Source {
    /// The source of a channel with this configuration. Files are compared with what was `seen` of them.
    ///
    /// # Errors
    /// As [`Networks::resolved`](super::Networks::resolved), for descriptors of a network or a file of vectors.
    pub fn new(config: &Config, seen: &Arc<Seen>) -> Result<Self> {
        let (image, params) = (config.image.clone(), &config.descriptors);
        let (colours, given) = (params.colours(), Given::of(params));
        let (network, mirrored) = (seen.networks().tap(config)?, config.encoding.mirrored);
        let vectors = seen.networks().vectors(config)?;
        let (within, seen) = (params.within, Arc::clone(seen));
        let leave_out = Vec::new();
        Ok(Self { image, colours, given, vectors, network, within, leave_out, mirrored, seen })
    }

    /// The same source without the rows in some parts of every image: those that vectors are made of.
    pub fn leaving_out(self, leave_out: &[Rectangle]) -> Self {
        Self { leave_out: leave_out.to_vec(), ..self }
    }

    /// Width and height in pixels at which a photo is described; its frames are in these pixels.
    pub fn size(&self, photo: &Photo) -> [usize; 2] {
        photo.fitted(&self.image)
    }

    /// A photo as this channel describes it, and what was noticed of it so far. `id` names the image in
    /// its data set; descriptors of kinds `files` and `vectors` are found by it. Rows are taken within the photo's
    /// marks where `descriptors.within` says so, and it has any.
    ///
    /// # Errors
    /// For these kinds: [`Error::Image`] or [`Error::InMemory`] when `id` is `None`, otherwise as
    /// [`Given::read`] and [`GivenVectors::read`]. Of a network: [`Error::Image`] or [`Error::InMemory`] with what goes wrong when it
    /// runs.
    pub fn picture(&self, photo: &Looked<'_>, id: Option<&str>) -> Result<(Picture, Noticed)> {
        let (mut picture, mut noticed) = self.whole_picture(photo, id)?;
        let marks = photo.marks();
        let (areas, counting) = match self.within {
            Within::Image => (&[][..], Counting::Union),
            Within::Boxes => (&marks.boxes[..], Counting::Union),
            Within::Parts => (&marks.parts[..], Counting::Each),
        };
        if self.within != Within::Image {
            noticed.marked(self.within, areas.len(), marks);
        }
        if areas.is_empty() && self.leave_out.is_empty() {
            return Ok((picture, noticed));
        }
        let (in_file, size) = (photo.size_in_file(), [picture.width, picture.height]);
        let [x, y] = [0, 1].map(|axis| size[axis] as f32 / in_file[axis] as f32);
        let scaled = areas
            .iter()
            .map(|&[left, top, right, bottom]| [left * x, top * y, right * x, bottom * y]);
        let mut areas: Vec<[f32; 4]> = scaled.collect();
        if areas.is_empty() {
            areas.push([0.0, 0.0, size[0] as f32, size[1] as f32]);
        }
        let except = self.leave_out.iter().map(|part| part.of(size)).collect();
        picture.inside = Some(Inside::new(areas, counting, size).except(except));
        Ok((picture, noticed))
    }

    /// As [`picture`](Self::picture), wherever rows are to be taken from.
    fn whole_picture(&self, photo: &Looked<'_>, id: Option<&str>) -> Result<(Picture, Noticed)> {
        if let Some(tap) = &self.network {
            let noticed = Noticed::new(photo.remarks(), &photo.colours(&self.image));
            return Ok((tap.picture(photo, &self.image, self.mirrored)?, noticed));
        }
        let with_id = |kind: &str| {
            id.ok_or_else(|| {
                photo.refuse(format!(
                    "descriptors of kind `{kind}` are found by the id of an image, and it has none; give \
                     its id"
                ))
            })
        };
        if let Some(vectors) = &self.vectors {
            let [width, height] = self.size(photo);
            let own = vectors.read(with_id("vectors")?, photo, [width, height])?;
            let content = Content::Given { own, mirrored: None };
            let picture = Picture { width, height, content, inside: None };
            let noticed = Noticed::new(photo.remarks(), &picture);
            return Ok((picture, noticed));
        }
        let mut picture = Picture::from(photo.planes(&self.image, self.colours));
        let noticed = Noticed::new(photo.remarks(), &picture);
        if let Some(given) = &self.given {
            let id = with_id("files")?;
            let own = given.read(id, photo.size_in_file(), self.size(photo), &self.seen)?;
            picture.content = Content::Given { own, mirrored: None };
        }
        Ok((picture, noticed))
    }

    /// What a network gives to it; nothing for other kinds.
    pub(super) fn network(&self) -> Option<&Tap> {
        self.network.as_ref()
    }

    /// What a network sees of a photo, or of its mirror image, and what it makes of it.
    pub(super) fn run(
        &self,
        tap: &Tap,
        photo: &Looked<'_>,
        side: Side,
    ) -> Result<(Rc<Picture>, Rc<Scales>)> {
        Ok((photo.colours(&self.image), tap.run(photo, &self.image, side)?))
    }

    /// What to say of a photo that `extractor` finds no descriptor in.
    pub fn without_descriptors(
        &self,
        photo: &Photo,
        id: Option<&str>,
        extractor: &Extractor,
    ) -> Error {
        if let (Some(given), Some(id)) = (&self.given, id) {
            let problem = "no descriptor in this file".to_owned();
            return Error::Image { path: given.path(id), problem };
        }
        let [width, height] = self.size(photo);
        if let Some(tap) = &self.network {
            return photo.refuse(tap.without_rows([width, height]));
        }
        photo.refuse(match extractor.count(width, height) {
            0 => format!(
                "{width} × {height} pixels are too small for any descriptor; set smaller \
                 descriptors.bin_sizes_px, or image.min_height_px to have it enlarged"
            ),
            count => {
                let descriptors = counted(count, "descriptor");
                format!(
                    "a blank image: of {descriptors} none has enough contrast to be kept; see \
                     descriptors.low_contrast and descriptors.keep"
                )
            }
        })
    }

    /// Whether the files that an image's vector is made of could be read when they were looked at.
    pub fn could_read(&self, item: &Item) -> bool {
        let given = self.given.as_ref().map(|given| given.path(&item.id));
        self.seen.could_read(&item.path)
            && given.is_none_or(|path| self.seen.could_read(&path))
            && self.vectors.as_ref().is_none_or(|vectors| vectors.could_read(item))
    }

    /// Hash of all files that the vectors of these images are made of; what is used later must be the
    /// same. Of several channels, the images are read for the first one alone.
    ///
    /// # Errors
    /// Those of `go_on`, which is asked before every file; as [`GivenVectors::hash`].
    pub fn hash(&self, items: &[Item], go_on: impl Fn() -> Result<()> + Sync) -> Result<Value> {
        let mut hash = self.seen.hash(items, &go_on)?;
        if let Some(given) = &self.given {
            let path = |item: &Item| Item { path: given.path(&item.id), ..item.clone() };
            let files: Vec<Item> = items.iter().map(path).collect();
            let mut of_files = self.seen.hash(&files, &go_on)?;
            hash["descriptors"] = of_files["hash"].take();
            let unread = [&hash, &of_files].map(|hash| hash["unread"].as_u64().unwrap_or(0));
            if unread != [0, 0] {
                hash["unread"] = (unread[0] + unread[1]).into();
            }
        }
        if let Some(kind) = self.areas() {
            hash["areas"] = hash_of_areas(items, kind).into();
        }
        if let Some(vectors) = &self.vectors {
            let (of_rows, without) = vectors.hash(items, &go_on)?;
            hash["vectors"] = of_rows.into();
            let unread = hash["unread"].as_u64().unwrap_or(0) + without;
            if unread > 0 {
                hash["unread"] = unread.into();
            }
        }
        Ok(hash)
    }

    /// What the file system says of all that [`hash`](Self::hash) covers; nothing where a file is not there.
    pub fn stamp(&self, items: &[Item]) -> Option<Stamp> {
        let look = |item: &Item| -> Option<[Option<Metadata>; 2]> {
            let image = std::fs::metadata(&item.path).ok()?;
            let given = self.given.as_ref().map(|given| std::fs::metadata(given.path(&item.id)));
            Some([Some(image), given.transpose().ok()?])
        };
        let found: Vec<[Option<Metadata>; 2]> =
            items.par_iter().map(look).collect::<Option<_>>()?;
        let files = items.iter().zip(found).flat_map(|(item, found)| {
            found.into_iter().flatten().map(|found| (item.id.as_str(), found))
        });
        let table = self.vectors.as_ref().map(|vectors| vectors.table().path());
        let table = table.map(std::fs::metadata).transpose().ok()?.map(|found| ("", found));
        let stamp = Stamp::of(files.chain(table));
        Some(match self.areas() {
            Some(kind) => stamp.with(&hash_of_areas(items, kind)),
            None => stamp,
        })
    }

    /// Forgets the files of these images, which were used and will be looked at anew if they are needed again, so that
    /// any number of images needs the memory of a few.
    pub fn forget(&self, items: &[Item]) {
        let given = self.given.as_ref();
        let files =
            |item: &Item| [Some(item.path.clone()), given.map(|given| given.path(&item.id))];
        self.seen.forget_these(items.iter().flat_map(files).flatten());
    }

    /// Refuses images of which none has a row in the file of vectors.
    ///
    /// # Errors
    /// As [`GivenVectors::require_any`].
    pub fn require_any(&self, items: &[Item]) -> Result<()> {
        self.vectors.as_ref().map_or(Ok(()), |vectors| vectors.require_any(items))
    }

    /// The places of images that rows are taken from.
    fn areas(&self) -> Option<AreaKind> {
        area_kind(self.within)
    }

    /// How often a row of one of these images may count at most, on average over the image.
    pub fn most_repeats(&self, items: &[Item]) -> u64 {
        if self.within != Within::Parts {
            return 1;
        }
        let share = |item: &Item| -> f64 {
            let area = |ruler, [left, top, right, bottom]: [f32; 4]| match ruler {
                Ruler::Shares => f64::from((right - left) * (bottom - top)),
                _ => f64::from((right - left + 1.0) * (bottom - top + 1.0)),
            };
            let parts = item.areas.of(AreaKind::Parts);
            let total: f64 = parts.iter().map(|part| area(part.ruler, part.bounds)).sum();
            let whole = match parts.first().map(|part| part.ruler) {
                Some(Ruler::Shares) => 1.0,
                Some(Ruler::PixelsOf([width, height])) => f64::from(width) * f64::from(height),
                Some(Ruler::Pixels) => match image::stated_size(&item.path) {
                    Ok([width, height]) => width as f64 * height as f64,
                    Err(_) => return 1.0,
                },
                None => return 1.0,
            };
            // No area is larger than the image.
            (total / whole).min(parts.len() as f64)
        };
        items.iter().map(share).fold(1.0, f64::max).ceil() as u64
    }

    /// Bytes of the largest file of given descriptors; 0 for the other kinds.
    pub fn largest_file(&self, items: &[Item]) -> u64 {
        let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
        let largest = |given: &Given| items.iter().map(|item| size(given.path(&item.id))).max();
        self.given.as_ref().and_then(largest).unwrap_or(0)
    }

    /// Bytes that are kept of a file of vectors; 0 for the other kinds.
    pub fn kept_bytes(&self) -> u64 {
        self.vectors.as_ref().map_or(0, |vectors| vectors.table().bytes())
    }

    /// Bytes of what a network computes of an image of this width and height; 0 for the other kinds.
    pub fn network_bytes(&self, size: [usize; 2]) -> u64 {
        self.network.as_ref().map_or(0, |tap| tap.bytes(size))
    }
}

/// The places of images that a setting asks for.
pub fn area_kind(within: Within) -> Option<AreaKind> {
    match within {
        Within::Image => None,
        Within::Boxes => Some(AreaKind::Boxes),
        Within::Parts => Some(AreaKind::Parts),
    }
}

/// Hash of the places of these images. The order and the names of an image's places have no effect.
fn hash_of_areas(items: &[Item], kind: AreaKind) -> String {
    let mut hasher = blake3::Hasher::new();
    for item in items {
        let line = |area: &Area| {
            let edges = area.bounds.map(|edge| edge.to_bits().to_string()).join(" ");
            format!("{edges} {:?} {}\n", area.ruler, area.of_point)
        };
        let mut lines: Vec<String> = item.areas.of(kind).iter().map(line).collect();
        lines.sort_unstable();
        hasher.update(item.id.as_bytes()).update(b"\n");
        lines.iter().for_each(|line| {
            hasher.update(line.as_bytes());
        });
    }
    hasher.finalize().to_hex().to_string()
}
