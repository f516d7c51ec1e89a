//! From an image to its Fisher vector, with the models of one or several channels.
//!
//! ```text
//! Item ─ Reader ─┐                 ┌─ Source ─ ImageEncoder ─ φ_1 ─ as stored ─ · s_1 ─┐
//! bytes ─────────┼─ Photo (decoded ┼─ Source ─ ImageEncoder ─ φ_2 ─ as stored ─ · s_2 ─┼─ joint vector
//! pixels ────────┘   once)         └─ …                                                ┘
//!
//! φ(x) = [ s_1 φ_1(x) | s_2 φ_2(x) | … ],   s_c = weight_c / √(Σ_c weight_c²)
//! ```
//!
//! so that the joint vector has unit length where those of the channels have. A channel is one way to
//! describe an image ([`crate::config`]); without any there is one, of weight 1.
//!
//! The pieces below a [`Describer`] are public too: a [`Sampler`] draws descriptors of a channel before it
//! has models, and each channel may be asked by itself.

mod backward;
mod encoder;
mod fit;
mod given;
mod given_models;
mod given_vectors;
mod largest;
mod looked;
mod networks;
mod noticed;
mod pass;
mod photos;
mod reader;
mod sampler;
mod seen;
mod source;
mod stamp;
mod stored;

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayViewMut1};
use rayon::prelude::*;

use crate::config::{Channel as Named, Config};
use crate::error::{Error, Result};
use crate::generative::Model;
use crate::image::Photo;
use crate::linalg::Pool;
use crate::progress::{Progress, Silent};
use crate::projection::Projection;

pub use encoder::{Examined, ImageEncoder, Worker, extractor_of};
pub use fit::{fit_models, fit_models_of, pooled_models};
pub use given::Given;
pub use given_models::GivenModels;
pub use given_vectors::GivenVectors;
pub use largest::largest;
pub use looked::Looked;
pub use networks::Networks;
pub use noticed::{Noted, Noticed};
pub use photos::Photos;
pub use reader::Reader;
pub use sampler::{Drawn, Sampler, sampled_images};
pub use seen::{Seen, file_hash};
pub use source::{Source, area_kind};
pub use stamp::Stamp;
pub use stored::{Stored, store};

use photos::numbered;

/// From a photo to its joint vector. Shared between workers.
///
/// ```
/// use fvtool::config::Config;
/// use fvtool::describer::{Describer, Workers};
/// use fvtool::image::{Photo, RgbImage};
/// use fvtool::progress::Silent;
///
/// let overrides = ["pca.dimension=8", "gmm.components=4"].map(str::to_owned);
/// let config = Config::named("quick")?.with_overrides(&overrides)?;
/// let mut pixels = RgbImage::new(64, 48);
/// pixels.pixels_mut().enumerate().for_each(|(i, p)| p.0 = [(i * i % 251) as u8; 3]);
/// let photo = Photo::from(pixels);
/// let describer = Describer::fit(&config, std::slice::from_ref(&photo), &Silent)?;
/// let described = describer.describe(&photo, None, &mut Workers::default())?;
/// assert_eq!(described.vector.len(), 2 * 4 * 8); // two orders, K = 4, D = 8
/// # Ok::<(), fvtool::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Describer {
    channels: Vec<Channel>,
}

/// One part of the joint vector.
#[derive(Debug, Clone)]
pub struct Channel {
    /// What makes it.
    pub encoder: ImageEncoder,
    /// The factor `s_c`.
    pub factor: f32,
    /// Its place in the joint vector.
    pub columns: Range<usize>,
}

/// What a describer makes of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The joint vector, [`Describer::dim`] values: what a classifier is trained on, and scores.
    pub vector: Vec<f32>,
    /// The vector of each channel as it is read back when it was stored, before its factor.
    pub parts: Vec<Vec<f32>>,
    /// Mean log-likelihood of the descriptors of each channel, where it has a density.
    pub likelihoods: Vec<Option<f64>>,
    /// What was noticed of the image, descriptors of all channels together.
    pub noticed: Noticed,
}

/// Buffers of one worker for all channels. Keep them from image to image; they never change a result.
#[derive(Debug, Default)]
pub struct Workers(Vec<Worker>);

impl Workers {
    /// The buffers for one channel, by its number.
    pub fn of(&mut self, channel: usize) -> &mut Worker {
        if self.0.len() <= channel {
            self.0.resize_with(channel + 1, Worker::default);
        }
        &mut self.0[channel]
    }
}

impl Describer {
    /// A describer of channels with their weights, in the order of their parts.
    ///
    /// # Errors
    /// [`Error::Setting`] when a weight is not a number above 0; [`Error::Missing`] without a channel.
    pub fn new(channels: Vec<(ImageEncoder, f64)>) -> Result<Self> {
        if channels.is_empty() {
            let (what, hint) = ("a channel of the describer".into(), "give at least one".into());
            return Err(Error::Missing { what, hint });
        }
        for (_, weight) in &channels {
            let holds = weight.is_finite() && *weight > 0.0;
            Error::require(holds, "channel.weight", weight, "a number above 0")?;
        }
        let weights: Vec<f64> = channels.iter().map(|(_, weight)| *weight).collect();
        let mut start = 0;
        let channel = |((encoder, _), factor): ((ImageEncoder, f64), f32)| {
            let columns = start..start + encoder.dim();
            start = columns.end;
            Channel { encoder, factor, columns }
        };
        Ok(Self { channels: channels.into_iter().zip(factors(&weights)).map(channel).collect() })
    }

    /// A describer of fitted models: a projection and a mixture for each channel of the configuration,
    /// in its order. No run folder is needed. Files of given descriptors must stay as they are while it
    /// lives.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are not as many pairs as channels, or a pair does not fit its channel;
    /// [`Error::Setting`] and [`Error::Config`] for a wrong configuration.
    pub fn from_models<M: Into<Model>>(
        config: &Config,
        models: Vec<(Projection, M)>,
    ) -> Result<Self> {
        config.validate()?;
        let channels = channels_of(config)?;
        let (expected, got) = (channels.len(), models.len());
        if expected != got {
            return Err(Error::Shape { what: "pairs of models for the channels", expected, got });
        }
        let seen = Arc::new(Seen::default());
        let encoder = |(channel, (projection, model)): (Settings, (Projection, M))| {
            let encoder = ImageEncoder::new(&channel.config, projection, model, &seen)?;
            Ok((encoder.named(channel.name), channel.weight))
        };
        Self::new(channels.into_iter().zip(models).map(encoder).collect::<Result<_>>()?)
    }

    /// A describer whose models are fitted to photos: those of a run over files of the same pixels.
    ///
    /// # Errors
    /// As [`fit_models`] and [`from_models`](Self::from_models).
    pub fn fit(config: &Config, photos: &[Photo], progress: &dyn Progress) -> Result<Self> {
        Self::from_models(config, Self::models(config, &photos, progress)?)
    }

    /// The models of [`fit`](Self::fit), a projection and a mixture for each channel, of photos that need
    /// not be in memory. [`from_models`](Self::from_models) takes them.
    ///
    /// # Errors
    /// As [`fit_models_of`].
    pub fn models(
        config: &Config,
        photos: &dyn Photos,
        progress: &dyn Progress,
    ) -> Result<Vec<(Projection, Model)>> {
        config.validate()?;
        let channels = channels_of(config)?;
        let models =
            channels.iter().map(|channel| fit_models_of(&channel.config, photos, progress));
        models.collect()
    }

    /// Values of a joint vector.
    pub fn dim(&self) -> usize {
        self.channels.last().map_or(0, |last| last.columns.end)
    }

    /// The channels, in the order of their parts.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The joint vector of a photo. `id` names the image in its data set; descriptors of kind `files` are
    /// found by it.
    ///
    /// # Errors
    /// As [`ImageEncoder::encode_as_stored`], of the first channel that cannot describe it.
    pub fn describe(
        &self,
        photo: &Photo,
        id: Option<&str>,
        workers: &mut Workers,
    ) -> Result<Described> {
        let photo = &Looked::at(photo);
        let mut vector = Vec::with_capacity(self.dim());
        let (mut parts, mut likelihoods, mut noticed) = (Vec::new(), Vec::new(), None);
        for (number, Channel { encoder, factor, .. }) in self.channels.iter().enumerate() {
            let (part, found) = encoder.encode_as_stored(photo, id, workers.of(number))?;
            vector.extend(part.iter().map(|value| value * factor));
            parts.push(part);
            likelihoods.push(found.likelihood);
            noticed = Some(noticed.map_or(found, |all: Noticed| all.joined(found)));
        }
        Ok(Described { vector, parts, likelihoods, noticed: noticed.unwrap_or_default() })
    }

    /// The joint vectors of photos, a row each (`N ×` [`dim`](Self::dim)), computed in parallel.
    ///
    /// # Errors
    /// As [`describe`](Self::describe), of the first photo that cannot be described.
    pub fn vectors(&self, photos: &[Photo]) -> Result<Array2<f32>> {
        self.vectors_of(&photos, &Silent)
    }

    /// As [`vectors`](Self::vectors), of photos that need not be in memory: as many are open at once as
    /// there are threads.
    ///
    /// # Errors
    /// As [`vectors`](Self::vectors) and [`Photos::photo`]; [`Error::Interrupted`].
    pub fn vectors_of(&self, photos: &dyn Photos, progress: &dyn Progress) -> Result<Array2<f32>> {
        let workers = Pool::<Workers>::default();
        let mut rows = Array2::zeros((photos.len(), self.dim()));
        progress.begin("encode", photos.len() as u64, "images");
        let describe = |(number, mut row): (usize, ArrayViewMut1<'_, f32>)| {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let photo = photos.photo(number)?;
            let described = workers.with(|workers| self.describe(&photo, None, workers))?;
            row.assign(&ArrayView1::from(&described.vector));
            progress.advance(1);
            Ok(())
        };
        let each: Vec<_> = rows.rows_mut().into_iter().enumerate().collect();
        let done = each.into_par_iter().with_max_len(1).try_for_each(|(number, row)| {
            describe((number, row)).map_err(|error| numbered(error, number))
        });
        progress.end();
        done.map(|()| rows)
    }

    /// What the vector of a photo is made of, channel by channel.
    ///
    /// # Errors
    /// As [`ImageEncoder::examine`], of the first channel that cannot describe it.
    pub fn examine(
        &self,
        photo: &Photo,
        id: Option<&str>,
        workers: &mut Workers,
    ) -> Result<Vec<Examined<'_>>> {
        let (photo, channels) = (&Looked::at(photo), self.channels.iter().enumerate());
        channels.map(|(i, channel)| channel.encoder.examine(photo, id, workers.of(i))).collect()
    }
}

/// The factor `s_c` of each channel.
pub(crate) fn factors(weights: &[f64]) -> Vec<f32> {
    let total = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    weights.iter().map(|weight| (weight / total) as f32).collect()
}

/// Settings of one channel.
struct Settings {
    name: String,
    weight: f64,
    config: Config,
}

/// The channels of a configuration; one without a name where it has none.
fn channels_of(config: &Config) -> Result<Vec<Settings>> {
    if config.channel.is_empty() {
        let config = config.clone();
        return Ok(vec![Settings { name: String::new(), weight: 1.0, config }]);
    }
    let settings = |channel: &Named| {
        let (name, weight) = (channel.name.clone(), channel.weight);
        Ok(Settings { name, weight, config: config.of_channel(channel)? })
    };
    config.channel.iter().map(settings).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::image::{DynamicImage, RgbImage};
    use crate::progress::Silent;

    const CHANNELS: &str = r#"
        [image]
        min_height_px = 60
        [descriptors]
        step_px = 5
        [pca]
        dimension = 10
        append = "xys"
        [gmm]
        components = 4
        [encoding]
        regions = ["1x1", "3x1"]
        [[channel]]
        name = "sift"
        encoding.storage = "f16"
        [[channel]]
        name = "opponent"
        descriptors.plane = "red-green"
        encoding.mirrored = true
        encoding.chequered = true
        [[channel]]
        name = "colour"
        weight = 0.5
        descriptors.kind = "colour"
        encoding.mirrored = true
        encoding.storage = "compressed"
    "#;

    fn pixels(seed: u32) -> RgbImage {
        let value = |x: u32, y: u32, c: u32| ((x * x + seed * y + c * x * y) % 251) as u8;
        RgbImage::from_fn(64, 48, |x, y| [0, 1, 2].map(|c| value(x, y, c)).into())
    }

    fn fitted() -> (Config, Describer) {
        let config = Config::parse(CHANNELS, "channels").unwrap();
        let photos: Vec<Photo> = (1..4).map(|seed| Photo::from(pixels(seed))).collect();
        let describer = Describer::fit(&config, &photos, &Silent).unwrap();
        (config, describer)
    }

    #[test]
    fn channels_of_one_photo_give_what_each_gives_by_itself() {
        let (config, describer) = fitted();
        let photo = Photo::from(pixels(5));
        let mut workers = Workers::default();
        let described = describer.describe(&photo, None, &mut workers).unwrap();
        assert_eq!(described.vector.len(), describer.dim());
        let total = (1.0f64 + 1.0 + 0.25).sqrt();
        let names = describer.channels().iter().map(|channel| channel.encoder.name());
        assert_eq!(names.collect::<Vec<_>>(), ["sift", "opponent", "colour"]);
        for (number, channel) in describer.channels().iter().enumerate() {
            let weight = config.channel[number].weight;
            assert_eq!(channel.factor, (weight / total) as f32);
            let (part, _) = channel
                .encoder
                .encode_as_stored(
                    &Looked::at(&Photo::from(pixels(5))),
                    None,
                    &mut Worker::default(),
                )
                .unwrap();
            assert_eq!(described.parts[number], part);
            let scaled: Vec<f32> = part.iter().map(|value| value * channel.factor).collect();
            assert_eq!(described.vector[channel.columns.clone()], scaled[..]);
        }
        let squares = describer.channels().iter().map(|c| f64::from(c.factor).powi(2));
        assert!((squares.sum::<f64>() - 1.0).abs() < 1e-6, "factors are rounded to f32");
        // Buffers that were used for another image change nothing.
        describer.describe(&Photo::from(pixels(6)), None, &mut workers).unwrap();
        assert_eq!(describer.describe(&photo, None, &mut workers).unwrap(), described);
        let rows = describer.vectors(&[Photo::from(pixels(6)), photo]).unwrap();
        assert_eq!(rows.row(1).to_vec(), described.vector);
    }

    #[test]
    fn pixels_in_memory_give_the_vector_of_a_lossless_file() {
        let (config, describer) = fitted();
        let mut png = Cursor::new(Vec::new());
        let image = DynamicImage::from(pixels(7));
        image.write_to(&mut png, ::image::ImageFormat::Png).unwrap();
        let file = Photo::from_bytes(png.into_inner(), &config.image).unwrap();
        let vector = |photo: &Photo| {
            describer.describe(photo, None, &mut Workers::default()).unwrap().vector
        };
        assert_eq!(vector(&file), vector(&Photo::from(pixels(7))));
    }

    #[test]
    fn a_sample_is_drawn_of_the_channels_of_one_photo() {
        let (config, _) = fitted();
        let photo = Photo::from(pixels(9));
        let config = config.of_channel(&config.channel[2]).unwrap();
        let config = config.with_overrides(&["sample.rows=30".to_owned()]).unwrap();
        let sampler = Sampler::new(&config, 3, &Arc::default()).unwrap();
        let draw = |number| {
            sampler.draw(&Looked::at(&photo), None, number, &mut Default::default()).unwrap()
        };
        let drawn = draw(1);
        assert_eq!((drawn.rows.dim(), drawn.positions.len()), ((10, 96), 10));
        assert_eq!(drawn, draw(1));
        assert_ne!(drawn, draw(2));
        let few = config.with_overrides(&["sample.images=4".to_owned()]).unwrap();
        assert_eq!(sampled_images(&config, 6), [0, 1, 2, 3, 4, 5]);
        let chosen = sampled_images(&few, 6);
        assert!(chosen.len() == 4 && chosen.is_sorted() && chosen[3] < 6, "{chosen:?}");
    }

    #[test]
    fn an_examined_photo_adds_up_to_its_vector() {
        let (_, describer) = fitted();
        let photo = Photo::from(pixels(8));
        let parts = describer.examine(&photo, None, &mut Workers::default()).unwrap();
        for (examined, channel) in parts.iter().zip(describer.channels()) {
            let (vector, noticed) =
                channel.encoder.encode(&Looked::at(&photo), None, &mut Worker::default()).unwrap();
            assert_eq!(noticed.counts()[0], examined.frames.len());
            assert_eq!(examined.positions.len(), examined.frames.len());
            let (sums, mut again) = (&examined.sums.signed, Vec::new());
            let rows = examined.contributions.region_rows();
            channel.encoder.encoder().normalised(sums, &rows, &mut again);
            for (a, b) in vector.iter().zip(&again) {
                assert!((a - b).abs() < 1e-5, "{a} {b}: f32 sums against f64");
            }
        }
    }

    #[test]
    fn what_cannot_be_described_is_named_as_it_is_held() {
        let (config, describer) = fitted();
        for size in [0, 9] {
            let photo = Photo::from(RgbImage::new(size, size));
            let refused = describer.describe(&photo, None, &mut Workers::default()).unwrap_err();
            assert!(matches!(refused, Error::InMemory { .. }), "{refused}");
            assert!(refused.to_string().contains("too small for any descriptor"), "{refused}");
        }
        let channel = describer.channels()[0].encoder.clone();
        assert!(matches!(Describer::new(vec![(channel, 0.0)]), Err(Error::Setting { .. })));
        assert!(matches!(Describer::new(Vec::new()), Err(Error::Missing { .. })));
        let one = Describer::from_models(&config, Vec::<(Projection, Model)>::new()).unwrap_err();
        assert!(one.to_string().contains("expected 3 values, got 0"), "{one}");
        let given = Config { channel: Vec::new(), ..config }
            .with_overrides(
                &["descriptors.kind=files", "descriptors.folder=mine"].map(str::to_owned),
            )
            .unwrap();
        let refused = fit_models(&given, &[Photo::from(pixels(1))], &Silent).unwrap_err();
        assert!(refused.to_string().starts_with("image in memory: "), "{refused}");
        assert!(refused.to_string().contains("id of an image"), "{refused}");
        assert!(fit_models(&given, &[], &Silent).is_err());
    }
}
