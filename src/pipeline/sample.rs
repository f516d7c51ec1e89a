//! The descriptors that PCA and mixture are fitted to: the same number of each of a split's images, or of
//! a seeded choice of them, for all channels in one pass over the images.

use std::path::PathBuf;

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::from_images::FromImages;
use super::place::Place;
use super::result::Stamp;
use super::stage::{Made, Stage, bring_up_to_date};
use crate::artifacts::Artifact;
use crate::dataset::{Item, Split};
use crate::describer::{Drawn, Looked, Reader, Sampler, largest, sampled_images};
use crate::descriptors::Scratch;
use crate::descriptors::memory::need_of_sample;
use crate::error::{Error, Result};
use crate::memory::Need;
use crate::store::{Inputs, Kind, Sample, Skipped, may_be_back, report_of};
use crate::words::{counted, sum_of};

/// What a `sample` artifact says beside its rows.
#[derive(Serialize, Deserialize)]
pub(crate) struct SampleReport {
    split: String,
    images: usize,
    /// Images that could not be drawn from.
    #[serde(default)]
    pub(crate) left_out: Vec<Skipped>,
}

/// The stage of one channel.
struct Draw<'a, 'p> {
    place: &'a Place<'p>,
    split: &'a Split,
    /// The images that are drawn from, by their places in the split, ascending.
    chosen: &'a [usize],
    reader: &'a Reader,
    sampler: &'a Sampler,
    items: &'a [Item],
    from: FromImages<'a, 'p>,
}

/// Brings the samples of all channels up to date.
///
/// # Errors
/// [`Error::Data`] when no image of the split gives a descriptor.
pub(crate) fn bring_samples(places: &[&Place<'_>], split: &Split) -> Result<Vec<Stamp>> {
    let reader = Reader::new(&places[0].config.image, &places[0].work.seen);
    let chosen: Vec<Chosen> =
        places.iter().map(|place| Chosen::new(place, split)).collect::<Result<_>>()?;
    let draw = |(place, chosen)| Draw::new(place, split, &reader, chosen);
    let draws: Vec<Draw<'_, '_>> = places.iter().copied().zip(&chosen).map(draw).collect();
    let ready = bring_up_to_date(&draws)?;
    Ok(ready.into_iter().map(|ready| ready.stamp).collect())
}

/// The images that a channel draws from, and what draws.
struct Chosen {
    places: Vec<usize>,
    items: Vec<Item>,
    sampler: Sampler,
}

impl Chosen {
    fn new(place: &Place<'_>, split: &Split) -> Result<Self> {
        let places = sampled_images(&place.config, split.items.len());
        let items = places.iter().map(|&i| split.items[i].clone()).collect();
        let sampler = Sampler::new(&place.config, places.len(), &place.work.seen)?;
        Ok(Self { places, items, sampler })
    }
}

impl<'a, 'p> Draw<'a, 'p> {
    fn new(
        place: &'a Place<'p>,
        split: &'a Split,
        reader: &'a Reader,
        Chosen { places, items, sampler }: &'a Chosen,
    ) -> Self {
        let (source, path) = (sampler.source(), place.path(Kind::Sample));
        let from = FromImages::new(place, Kind::Sample, &[], source, items, path);
        Self { place, split, chosen: places, reader, sampler, items, from }
    }

    fn could_read(&self, item: &Item) -> bool {
        self.sampler.source().could_read(item)
    }

    /// What the images gave, in one piece.
    fn gather(&self, drawn: Vec<Result<Drawn>>) -> Result<Made<Sample, SampleReport>> {
        // What could not be read has a hash where it can be read now.
        self.from.inputs()?;
        let work = &self.place.work;
        let (mut rows, mut positions): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
        let (mut left_out, mut lacking, mut empty) = (Vec::new(), Vec::new(), 0);
        for (result, item) in drawn.into_iter().zip(self.items) {
            match result {
                Ok(drawn) => {
                    rows.extend(drawn.rows.iter());
                    positions.extend(drawn.positions.iter().flat_map(|p| [p.x, p.y, p.scale]));
                    empty += drawn.empty;
                }
                Err(error) => {
                    let error = work.leave_out(&item.id, error)?;
                    if may_be_back(&error) && self.could_read(item) {
                        lacking.push(item.id.clone());
                    }
                    left_out.push(Skipped { id: item.id.clone(), reason: error.to_string() });
                }
            }
        }
        let n = positions.len() / 3;
        if n == 0 {
            return Err(self.without_descriptors(&left_out));
        }
        if 2 * empty > n {
            work.progress.note(&format!(
                "{}{:.1} % of the descriptors drawn are empty, of a contrast below \
                 descriptors.contrast_threshold = {}: many images are blank, dark or blurred, or their \
                 values are of another range than their type (image.value_range)",
                self.place.label(),
                100.0 * empty as f64 / n as f64,
                self.place.config.descriptors.contrast_threshold
            ));
        }
        let shape = (n, self.sampler.extractor().dim());
        let rows = Array2::from_shape_vec(shape, rows).expect("one position a row");
        let images = self.chosen.len();
        let report = SampleReport { split: self.split.name.clone(), images, left_out };
        Ok(Made { model: Sample { rows, positions }, report, lacking })
    }

    /// What to say of a split of which no image gives a descriptor.
    fn without_descriptors(&self, left_out: &[Skipped]) -> Error {
        let name = &self.split.name;
        let Some(first) = self.items.first() else {
            return Error::data(name, format!("split `{name}` has no images"));
        };
        let why = match left_out.first() {
            Some(skipped) => format!("the first, {}: {}", skipped.id, skipped.reason),
            None => format!("the first, {}", self.undescribed(first)),
        };
        let problem = format!("no image gives a descriptor; {why}");
        Error::data(format!("split `{name}`"), problem)
    }

    /// What to say of an image without a descriptor.
    fn undescribed(&self, item: &Item) -> Error {
        match self.reader.read(item) {
            Ok(photo) => self.sampler.source().without_descriptors(
                &photo,
                Some(&item.id),
                self.sampler.extractor(),
            ),
            Err(error) => error,
        }
    }
}

impl Stage for Draw<'_, '_> {
    type Model = Sample;
    type Report = SampleReport;
    const KIND: Kind = Kind::Sample;

    fn place(&self) -> &Place<'_> {
        self.place
    }

    fn inputs(&self) -> Result<&Inputs> {
        self.from.inputs()
    }

    fn settle(&self, inputs: &Inputs) {
        self.from.settle(inputs);
    }

    fn is_back(&self, id: &str) -> bool {
        self.items.iter().any(|item| item.id == id && self.could_read(item))
    }

    fn need(&self) -> Need {
        let config = &self.place.config;
        let largest = largest(&config.image, self.items, [self.sampler.source()]);
        need_of_sample(config.sample.rows, &config.descriptors, largest)
    }

    fn summary(made: &[Made<Sample, SampleReport>]) -> String {
        let rows: Vec<usize> = made.iter().map(|made| made.model.rows.nrows()).collect();
        let images = made.iter().map(|made| made.report.images).max().unwrap_or(0);
        let descriptors = match rows[..] {
            [one] => counted(one, "descriptor"),
            _ => format!("{} descriptors", sum_of(&rows)),
        };
        format!("{descriptors} of {}", counted(images, "image"))
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<Sample, SampleReport>>> {
        let work = &missing[0].place.work;
        missing.iter().for_each(|draw| draw.from.look());
        let items = &missing[0].split.items;
        // Channels may draw from other images.
        let wanted = |i: usize| missing.iter().map(move |draw| draw.chosen.binary_search(&i).ok());
        let chosen: Vec<usize> =
            (0..items.len()).filter(|&i| wanted(i).any(|number| number.is_some())).collect();
        let label = if missing.len() == 1 { missing[0].place.label() } else { String::new() };
        work.progress.begin(&format!("{label}extract"), chosen.len() as u64, "images");
        let drawn: Result<Vec<Vec<Option<Result<Drawn>>>>> = chosen
            .par_iter()
            .map_init(Scratch::default, |scratch, &i| {
                work.go_on()?;
                let photo = missing[0].reader.read(&items[i]);
                let photo = photo.as_ref().map(Looked::at);
                let of_channel = |(draw, number): (&&Self, Option<usize>)| {
                    let number = number?;
                    let photo = photo.as_ref().map_err(|error| error.again());
                    Some(photo.and_then(|photo| {
                        draw.sampler.draw(photo, Some(&items[i].id), number, scratch)
                    }))
                };
                let drawn = missing.iter().zip(wanted(i)).map(of_channel).collect();
                work.progress.advance(1);
                Ok(drawn)
            })
            .collect();
        work.progress.end();
        let mut of_channel: Vec<Vec<Result<Drawn>>> = missing.iter().map(|_| Vec::new()).collect();
        for drawn in drawn? {
            for (all, drawn) in of_channel.iter_mut().zip(drawn) {
                all.extend(drawn);
            }
        }
        missing.iter().zip(of_channel).map(|(draw, drawn)| draw.gather(drawn)).collect()
    }
}

/// The sample's file, and the images that could not be drawn from.
///
/// # Errors
/// [`Error::Artifact`] when it is damaged.
pub(crate) fn left_out_of(place: &Place<'_>) -> Result<(PathBuf, Vec<Skipped>)> {
    let path = place.path(Kind::Sample);
    let artifact = Artifact::open_verified(&path, Kind::Sample.name())?;
    let report: SampleReport = report_of(&artifact)?;
    Ok((path, report.left_out))
}
