//! Which images are shown, and their heatmaps by both runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::report::HeatmapPair;
use super::sides::{Common, NAMES, Side};
use crate::dataset::{Label, Split};
use crate::error::{Error, Result};
use crate::evaluation::disagreement::Disagreement;
use crate::evaluation::ranking::Order;
use crate::explain::{Rules, View, Views};
use crate::names::{file_names, with_ending};
use crate::words::counted;

/// A pair of image and class that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chosen {
    pub(super) class: usize,
    pub(super) image: usize,
    /// It is one of the highest scored of its class.
    pub(super) top: bool,
    /// The side that gets it right alone, where it is shown for that.
    pub(super) right: Option<usize>,
}

/// The pairs of each class: the `most` images that show it and have the highest mean of both percentile
/// ranks, and the `most` on which the runs disagree most.
pub(super) fn choose(common: &Common, all: &[Disagreement], most: usize) -> Result<Vec<Chosen>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for class in 0..common.classes.len() {
        let labels: Vec<Label> = common.labels.iter().map(|labels| labels[class]).collect();
        let images = common.ids.len();
        let ranks = |side: usize| -> Result<Vec<Option<f64>>> {
            let scores = common.scores[side].column(class).to_vec();
            Ok(Order::new(&scores, &labels)?.percentile_ranks(images))
        };
        let mean = ranks(0)?.into_iter().zip(ranks(1)?).map(|(a, b)| a.zip(b).map(|(a, b)| a + b));
        let mut shown: Vec<(f64, usize)> = mean
            .enumerate()
            .filter(|(image, _)| labels[*image] == Label::Yes)
            .filter_map(|(image, mean)| Some((mean?, image)))
            .collect();
        shown.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let first = chosen.len();
        let top = shown.into_iter().take(most);
        chosen.extend(top.map(|(_, image)| Chosen { class, image, top: true, right: None }));
        for found in all.iter().filter(|found| found.class == class).take(most) {
            let right = Some(found.right);
            match chosen[first..].iter_mut().find(|chosen| chosen.image == found.image) {
                Some(there) => there.right = right,
                None => chosen.push(Chosen { class, image: found.image, top: false, right }),
            }
        }
    }
    Ok(chosen)
}

/// Longest side of a picture, in pixels.
const SIDE: u32 = 240;

/// Heatmaps of one run, or why there are none.
pub(super) type Drawn = Result<Views, String>;

/// Draws the chosen pairs by one run, from the images in `data`, or in the folder that the run was made
/// from.
///
/// # Errors
/// When the command is interrupted or lacks memory, and for a `data` that is not what it should be. What a
/// run cannot explain is no error: the rest of a comparison stands without it.
pub(super) fn draw(
    side: &Side<'_, '_>,
    common: &Common,
    chosen: &[Chosen],
    data: Option<&Path>,
    rules: Rules,
) -> Result<Drawn> {
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Chosen { class, image, .. } in chosen {
        let classes = wanted.entry(common.ids[*image].clone()).or_default();
        classes.push(common.classes[*class].clone());
    }
    let split: Split = match data {
        Some(data) => side.run.split_of(data, &side.index.split)?,
        None => match split_of_source(side) {
            Ok(split) => split,
            Err(error) => {
                return reason(error)
                    .map(|why| Err(format!("{why}; name their folder with --data")));
            }
        },
    };
    match side.run.views(split, &side.index, &wanted, rules, SIDE) {
        Ok(views) => Ok(Ok(views)),
        Err(error) => reason(error).map(Err),
    }
}

/// The split in the data folder that a run was made from.
fn split_of_source(side: &Side<'_, '_>) -> Result<Split> {
    let Some(source) = side.run.home.source()? else {
        return Err(Error::Missing {
            what: format!("source.json in {} (where its images are)", side.run.dir().display()),
            hint: "its images cannot be found without it".into(),
        });
    };
    side.run.split_of(&source.data, &side.index.split)
}

/// An error as the reason why something is not shown.
fn reason(error: Error) -> Result<String> {
    match error {
        Error::Interrupted | Error::Memory { .. } => Err(error),
        other => Ok(other.to_string()),
    }
}

/// The pictures of a chosen pair.
pub(super) struct Pictures<'v> {
    pub(super) pair: HeatmapPair,
    pub(super) views: [Option<&'v View>; 2],
}

impl Pictures<'_> {
    /// The photograph, by the first run that has one.
    pub(super) fn photograph(&self) -> Option<&[u8]> {
        self.views.iter().flatten().map(|view| &view.photograph[..]).next()
    }
}

/// The pictures of all chosen pairs that at least one run could explain, with their files in `folder`.
pub(super) fn pictures<'v>(
    common: &Common,
    chosen: &[Chosen],
    drawn: [&'v Drawn; 2],
    folder: &Path,
) -> Vec<Pictures<'v>> {
    let classes = file_names(&common.classes);
    let images = file_names(&common.ids);
    let picture = |chosen: &Chosen| {
        let key = (common.ids[chosen.image].clone(), common.classes[chosen.class].clone());
        let views = drawn.map(|drawn| drawn.as_ref().ok().and_then(|views| views.get(&key)));
        if views.iter().all(Option::is_none) {
            return None;
        }
        let file = |kind: &str| -> PathBuf {
            let of_class = folder.join(kind).join(with_ending(&classes[chosen.class], ""));
            of_class.join(with_ending(&images[chosen.image], ".jpg"))
        };
        let (id, class) = key;
        let pair = HeatmapPair {
            class,
            id,
            top: chosen.top,
            right: chosen.right.map(|side| NAMES[side]),
            scores: views.map(|view| view.map(|view| view.score)),
            mu_positive: views.map(|view| view.and_then(|view| view.mu_positive)),
            photograph: file("photographs"),
            files: [0, 1].map(|side| views[side].map(|_| file(["a", "b"][side]))),
        };
        Some(Pictures { pair, views })
    };
    chosen.iter().filter_map(picture).collect()
}

/// What there is to say of heatmaps that are not there.
pub(super) fn remarks(drawn: [&Drawn; 2], chosen: usize) -> Vec<String> {
    let mut remarks = Vec::new();
    for (name, drawn) in NAMES.iter().zip(drawn) {
        match drawn {
            Err(why) => remarks.push(format!("no heatmaps of {name}: {why}")),
            Ok(views) if views.len() < chosen => remarks.push(format!(
                "{} of {} of {name} could not be made, since their images were not read",
                chosen - views.len(),
                counted(chosen, "heatmap")
            )),
            Ok(_) => {}
        }
    }
    remarks
}
