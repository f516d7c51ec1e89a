//! Projection and mixture learned together with a classifier ([`crate::layer`]), or read from a file.
//!
//! ```text
//! sample ─ PCA ─ EM ─┐ where it starts
//! images of the split ┴ descriptors to draw from ─ epochs, the state kept after each ─ layer ─ pca, gmm
//! ```

use rayon::prelude::*;
use serde_json::json;

use super::place::Place;
use super::result::Stamp;
use super::run::Run;
use super::stage::{Made, Stage, bring_up_to_date};
use crate::artifacts::Artifact;
use crate::dataset::{Item, Split};
use crate::describer::{GivenModels, Looked, Reader, Sampler};
use crate::descriptors::Scratch;
use crate::error::{Error, Result};
use crate::explanation::drawings::{self, Curve};
use crate::gmm::{self, Gmm};
use crate::layer::{self, Image, Lesson, memory};
use crate::memory::Need;
use crate::projection::{Covariance, Projection};
use crate::store::{
    Inputs, Kind, LayerModels, LayerReport, labels_hash, layer_models_of, may_be_back, open_sample,
    open_stage, read_state, report_of, require_parent, write_state,
};
use crate::words::counted;

struct FitLayer<'a, 'p> {
    place: &'a Place<'p>,
    split: &'a Split,
    reader: &'a Reader,
    /// What descriptors are kept of each image; nothing where the models are those of a file.
    sampler: Option<Sampler>,
    inputs: Inputs,
}

/// Brings the layer of a place up to date with its sample (nothing for models of a file) and the labels of
/// the split.
///
/// # Errors
/// [`Error::Data`] when no image of the split gives a descriptor; as [`layer::fit`] and
/// [`GivenModels::open`].
pub(crate) fn bring_layer(
    place: &Place<'_>,
    split: &Split,
    sample: Option<&Stamp>,
) -> Result<Stamp> {
    let reader = Reader::new(&place.config.image, &place.work.seen);
    let settings = place.settings(Kind::Layer);
    let config = &place.config;
    let stage = match sample {
        None => {
            let data = json!({ "file": GivenModels::open(config)?.hash });
            let inputs = Inputs::new(Kind::Layer.name(), settings, &[], data);
            FitLayer { place, split, reader: &reader, sampler: None, inputs }
        }
        Some(sample) => {
            let quota = memory::pool_rows(
                config.layer.rows_per_image,
                split.items.len(),
                config.descriptors.dim(),
            );
            let sampler = Sampler::of_each(config, quota, &place.work.seen)?;
            let parents = [(Kind::Sample.file_name(), sample.fingerprint.as_str())];
            let mut data = sampler.source().hash(&split.items, || place.work.go_on())?;
            data["labels"] = labels_hash(&split.classes, &split.labels);
            let inputs = Inputs::new(Kind::Layer.name(), settings, &parents, data);
            FitLayer { place, split, reader: &reader, sampler: Some(sampler), inputs }
        }
    };
    let stamp = bring_up_to_date(&[stage])?.remove(0).stamp;
    // What it had come to between two epochs is in the artifact, as far as it counts.
    let _ = std::fs::remove_file(place.paths.layer_state());
    Ok(stamp)
}

impl Stage for FitLayer<'_, '_> {
    type Model = LayerModels;
    type Report = LayerReport;
    const KIND: Kind = Kind::Layer;

    fn place(&self) -> &Place<'_> {
        self.place
    }

    fn inputs(&self) -> Result<&Inputs> {
        Ok(&self.inputs)
    }

    fn is_back(&self, id: &str) -> bool {
        self.split.items.iter().any(|item| item.id == id && self.could_read(item))
    }

    fn need(&self) -> Need {
        let c = &self.place.config;
        let sizes = [c.descriptors.dim(), c.pca.output_dim(), c.gmm.components];
        memory::need(&c.layer, self.split.items.len(), self.split.classes.len(), sizes)
    }

    fn summary(made: &[Made<LayerModels, LayerReport>]) -> String {
        let of_one = |Made { model, report, .. }: &Made<LayerModels, LayerReport>| {
            let sizes = format!(
                "{} on {} values",
                counted(model.mixture.components(), "component"),
                model.mixture.dim()
            );
            let Some(best) = report.best_epoch.checked_sub(1).map(|epoch| &report.history[epoch])
            else {
                return format!("{sizes}, as given");
            };
            let held_out =
                best.held_out.map_or_else(String::new, |loss| format!(", {loss:.3} held out"));
            format!(
                "{sizes}, {} of {}, loss {:.3}{held_out} after epoch {}",
                counted(report.history.len(), "epoch"),
                counted(report.images, "image"),
                best.loss,
                report.best_epoch
            )
        };
        made.iter().map(of_one).collect::<Vec<_>>().join("; ")
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<LayerModels, LayerReport>>> {
        missing.iter().map(|stage| stage.fit()).collect()
    }
}

impl FitLayer<'_, '_> {
    fn could_read(&self, item: &Item) -> bool {
        self.sampler.as_ref().is_some_and(|sampler| sampler.source().could_read(item))
    }

    fn fit(&self) -> Result<Made<LayerModels, LayerReport>> {
        let (config, work) = (&self.place.config, &self.place.work);
        let Some(sampler) = &self.sampler else {
            let GivenModels { projection, mixture, .. } = GivenModels::open(config)?;
            let report = LayerReport::of_file(&self.split.name, &projection);
            let model = LayerModels { projection, mixture, head: None };
            return Ok(Made { model, report, lacking: Vec::new() });
        };
        let state = self.place.paths.layer_state();
        let resumed = read_state(&state, &self.inputs);
        if let Some(resumed) = &resumed {
            work.progress.note(&format!(
                "{}learning goes on after epoch {}",
                self.place.label(),
                resumed.history.len()
            ));
        }
        let (covariance, start, mixture) = self.start()?;
        let (images, kept, lacking) = self.images(sampler)?;
        let labels: Vec<_> = kept.iter().map(|&i| self.split.labels[i].clone()).collect();
        let lesson = Lesson {
            images: &images,
            labels: &labels,
            projection: &start,
            mixture: &mixture,
            params: &config.layer,
            variance_floor: config.gmm.variance_floor,
            seed: config.seed,
        };
        let mut keep = |now: &layer::State| write_state(&state, &self.inputs, now);
        let fit = layer::fit(&lesson, resumed, work.progress, &mut keep)?;
        let projection = start.learned(fit.learned.components, &covariance)?;
        let report = LayerReport {
            split: self.split.name.clone(),
            images: images.len() - fit.held_out,
            held_out: fit.held_out,
            rows: images.iter().map(|image| image.rows.nrows()).sum(),
            history: fit.history,
            best_epoch: fit.best_epoch,
            stop: Some(fit.stop),
            variance_kept: Some(projection.kept()),
            l2: projection.l2(),
            append: projection.append(),
        };
        let mixture = fit.learned.mixture.to_gmm()?;
        let model = LayerModels { projection, mixture, head: Some(fit.learned.head) };
        Ok(Made { model, report, lacking })
    }

    /// Covariance of the sample, and PCA and EM on it.
    fn start(&self) -> Result<(Covariance, Projection, Gmm)> {
        let (config, progress) = (&self.place.config, self.place.work.progress);
        let (artifact, positions) = open_sample(&self.place.path(Kind::Sample))?;
        let rows = artifact.matrix("rows")?;
        let mut covariance = Covariance::new(rows.row(0));
        covariance.add(rows, progress)?;
        let projection = Projection::fit(&covariance, &config.pca, progress)?;
        let projected = projection.project(rows, &positions)?;
        let fit = gmm::fit(projected.view(), &config.gmm, config.seed, progress)?;
        Ok((covariance, projection, fit.gmm))
    }

    /// Descriptors of the split's images, the places of these in the split, and what could not be read
    /// though it could when it was hashed.
    fn images(&self, sampler: &Sampler) -> Result<(Vec<Image>, Vec<usize>, Vec<String>)> {
        let work = &self.place.work;
        let items = &self.split.items;
        work.progress.begin(
            &format!("{}extract", self.place.label()),
            items.len() as u64,
            "images",
        );
        let drawn: Result<Vec<Result<Image>>> = items
            .par_iter()
            .enumerate()
            .map_init(Scratch::default, |scratch, (number, item)| {
                work.go_on()?;
                let drawn = self.reader.read(item).and_then(|photo| {
                    sampler.draw(&Looked::at(&photo), Some(&item.id), number, scratch)
                });
                work.progress.advance(1);
                Ok(drawn.map(|drawn| Image { rows: drawn.rows, positions: drawn.positions }))
            })
            .collect();
        work.progress.end();
        let (mut images, mut kept, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        for (number, image) in drawn?.into_iter().enumerate() {
            let item = &items[number];
            match image {
                Ok(image) if image.rows.nrows() > 0 => {
                    images.push(image);
                    kept.push(number);
                }
                Ok(_) => {}
                Err(error) => {
                    let error = work.leave_out(&item.id, error)?;
                    if may_be_back(&error) && self.could_read(item) {
                        lacking.push(item.id.clone());
                    }
                }
            }
        }
        if images.is_empty() {
            let problem = "no image gives a descriptor to learn from";
            return Err(Error::data(format!("split `{}`", self.split.name), problem));
        }
        Ok((images, kept, lacking))
    }
}

/// Projection and mixture of the stored layer, and what it says of itself.
///
/// # Errors
/// [`Error::Artifact`] when it is damaged or learned from another sample than the run's.
pub(crate) fn load_layer(place: &Place<'_>) -> Result<(Projection, Gmm, LayerReport)> {
    let artifact = open_layer(place)?;
    let (projection, mixture) = layer_models_of(&artifact)?;
    Ok((projection, mixture, report_of(&artifact)?))
}

fn open_layer(place: &Place<'_>) -> Result<Artifact> {
    let artifact = open_stage(&place.path(Kind::Layer), Kind::Layer)?;
    if place.config.layer.learns() {
        require_parent(&artifact, &place.path(Kind::Sample))?;
    }
    Ok(artifact)
}

impl Run<'_> {
    /// The loss of every epoch, as a drawing for each channel that learned with its features.
    ///
    /// # Errors
    /// As [`load_layer`].
    pub(crate) fn learning_curves(&self) -> Result<Vec<String>> {
        let learned = self.fitted().filter(|place| place.config.layer.learns());
        let drawn = |place: &Place<'_>| {
            let (_, _, report) = load_layer(place)?;
            let curve = |name: &str, values: Vec<f64>| Curve { name: name.to_owned(), values };
            let mut curves = vec![curve(
                "learned from",
                report.history.iter().map(|epoch| epoch.loss).collect(),
            )];
            if report.held_out > 0 {
                let held_out = report.history.iter().filter_map(|epoch| epoch.held_out);
                curves.push(curve("held out", held_out.collect()));
            }
            let title = format!("{}loss of the layer", place.label());
            let note = format!(
                "{}, {} held out; epoch {} is kept",
                counted(report.images, "image"),
                report.held_out,
                report.best_epoch
            );
            Ok(drawings::curves(&title, &note, "epochs before", "mean loss of an image", &curves))
        };
        learned.map(drawn).collect()
    }
}

/// The parent of a place's projection: its sample, or its layer.
pub(crate) fn parent_of_projection(place: &Place<'_>) -> Kind {
    if place.config.layer.is_on() { Kind::Layer } else { Kind::Sample }
}
