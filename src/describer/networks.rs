//! The networks of a run's channels: each file opened once, one pass over an image for all that is taken.
//!
//! ```text
//! network.file ─ Pass ─┬─ Tap (network.output of one channel) ─ rows of cells, a frame each
//!                      └─ Tap ─ …
//! ```
//!
//! What follows from a file, above all the length of a row, becomes part of a channel's configuration
//! ([`Networks::resolved`]). The same goes for files of vectors, which are kept here too.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::given_models::GivenModels;
use super::given_vectors::GivenVectors;
use super::looked::Looked;
use super::pass::{Pass, Scales, Side};
use crate::config::Config;
use crate::descriptors::cells::{self, Cells};
use crate::descriptors::{Content, Descriptors, Kind, MOST_VALUES, Picture, Within};
use crate::encoding::{self, normalise::Step};
use crate::error::{Error, Result};
use crate::gmm::{self, Family};
use crate::network::relevance::Rule;
use crate::network::{EngineKind, Map, Square};
use crate::{image, projection};

/// Networks and files of vectors that were opened. A file is looked at once: what a command began with it
/// ends with.
#[derive(Debug, Default)]
pub struct Networks {
    passes: Mutex<Vec<Arc<Pass>>>,
    vectors: Mutex<Vec<Arc<GivenVectors>>>,
}

/// What one channel takes of a network. Shared between workers.
#[derive(Debug, Clone)]
pub(super) struct Tap {
    pass: Arc<Pass>,
    /// Its place among the outputs of the pass.
    place: usize,
    channels: usize,
    square: Square,
    cells: Cells,
}

impl Networks {
    /// A channel's configuration with what follows from its network or its file of vectors: the length of a
    /// row; and for kinds `pooled` and `vectors` the settings under which a Fisher vector of the first order
    /// is the mean row. Other kinds are as they were.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting of `network` does not fit the file, or there is none; as
    /// [`Network::open`](crate::network::Network::open) and [`GivenVectors::open`].
    pub fn resolved(&self, config: &Config) -> Result<Config> {
        let mut config = GivenModels::sized(config.clone());
        let dimension = match self.vectors(&config)? {
            Some(vectors) => Some(vectors.table().columns()),
            None => self.tap(&config)?.map(|tap| tap.channels),
        };
        let Some(dimension) = dimension else { return Ok(config) };
        config.descriptors.dimension = dimension;
        if config.descriptors.kind.is_one_vector() {
            config.pca = projection::Params { dimension, ..Default::default() };
            config.gmm = gmm::Params { components: 1, family: Family::Gaussian, ..config.gmm };
            let encoding::Params { mirrored, storage, .. } = config.encoding;
            config.encoding = encoding::Params {
                orders: vec![1],
                posterior_threshold: 0.0,
                region_steps: Vec::new(),
                vector_steps: vec![Step::L2],
                mirrored,
                storage,
                ..Default::default()
            };
        }
        Ok(config)
    }

    /// What rows of a network depend on besides the image, for fingerprints: the settings, and the file by
    /// what it holds; nothing for other kinds.
    ///
    /// # Errors
    /// As [`resolved`](Self::resolved).
    pub fn identity(&self, config: &Config) -> Result<Option<Value>> {
        let Some(tap) = self.tap(config)? else { return Ok(None) };
        let params = &config.network;
        let mut settings = json!(params);
        // Where files lie changes nothing, nor does a setting at a default that was not there before.
        settings["file"].take();
        if let Some(settings) = settings.as_object_mut() {
            settings.remove("library");
            settings.retain(|key, _| key != "engine" || params.engine != EngineKind::Rten);
        }
        settings["scaling"] = tap.pass.scaling().to_string().into();
        let file = json!({ "hash": tap.pass.network().hash(), "engine": tap.pass.engine() });
        Ok(Some(json!({ "network": settings, "network_file": file })))
    }

    /// The file of a channel of kind `vectors`; nothing for other kinds.
    ///
    /// # Errors
    /// As [`GivenVectors::open`].
    pub fn vectors(&self, config: &Config) -> Result<Option<Arc<GivenVectors>>> {
        let params = &config.descriptors;
        if params.kind != Kind::Vectors {
            return Ok(None);
        }
        let mut opened = self.vectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.iter().find(|known| known.table().path() == params.file) {
            return Ok(Some(Arc::clone(known)));
        }
        let vectors = Arc::new(GivenVectors::open(&params.file)?);
        opened.push(Arc::clone(&vectors));
        Ok(Some(vectors))
    }

    /// Forgets the files of vectors.
    pub(super) fn forget_vectors(&self) {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What a channel with this configuration takes of its network; nothing for other kinds.
    pub(super) fn tap(&self, config: &Config) -> Result<Option<Tap>> {
        if !config.descriptors.kind.is_of_network() {
            return Ok(None);
        }
        let params = &config.network;
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = passes.iter().filter(|pass| pass.is_of(params));
        for pass in alike {
            if let Some(tap) = Tap::of(pass, config)? {
                return Ok(Some(tap));
            }
        }
        let pass = Arc::new(Pass::open(params)?);
        let tap = Tap::of(&pass, config)?;
        passes.push(pass);
        Ok(tap)
    }
}

impl Tap {
    /// The tap of a channel; nothing when the pass has run already and does not give its output.
    fn of(pass: &Arc<Pass>, config: &Config) -> Result<Option<Self>> {
        let (name, network) = (&config.network.output, pass.network());
        let range = format!(
            "the name of a value of the network; fvtool inspect {} lists them",
            network.path().display()
        );
        Error::require(!name.is_empty(), "network.output", "empty", &range)?;
        let output = pass.output(name)?;
        let rows = config.descriptors.kind == Kind::Network;
        let range = "the name of a map when descriptors.kind is network (a vector fits pooled)";
        Error::require(!rows || output.sight.is_some(), "network.output", name, range)?;
        let within = config.descriptors.within;
        let range = "image when network.output is a vector, which is of all of its image";
        let fits = within == Within::Image || output.sight.is_some();
        Error::require(fits, "descriptors.within", within.words(), range)?;
        let parts = &config.encoding.leave_out;
        let range = "empty when network.output is a vector, which is of all of its image";
        let fits = parts.is_empty() || output.sight.is_some();
        let value = format!("a list of {}", parts.len());
        Error::require(fits, "encoding.leave_out", value, range)?;
        let range =
            format!("a value of at most {MOST_VALUES} numbers (it has {})", output.channels);
        Error::require(output.channels <= MOST_VALUES, "network.output", name, &range)?;
        let cells = match config.descriptors.kind {
            Kind::Pooled => Cells::Mean,
            _ => Cells::Rows(config.descriptors.keep),
        };
        let square = config.network.square;
        let channels = output.channels;
        let place = pass.place_of(name);
        Ok(place.map(|place| Self { pass: Arc::clone(pass), place, channels, square, cells }))
    }

    /// Bytes for an image of this size.
    pub(super) fn bytes(&self, size: [usize; 2]) -> u64 {
        let (bytes, rows) = self.pass.bytes(size, self.place);
        // Rows of both sides, and their frames.
        bytes + 2 * rows * (4 * self.channels as u64 + 16)
    }

    /// The pass that it is a part of.
    pub(super) fn pass(&self) -> Arc<Pass> {
        Arc::clone(&self.pass)
    }

    /// What the network makes of a photo, or of its mirror image, at every scale.
    pub(super) fn run(
        &self,
        looked: &Looked<'_>,
        params: &image::Params,
        side: Side,
    ) -> Result<Rc<Scales>> {
        looked.maps(&self.pass, params, side).map_err(|error| match error {
            // What the network makes of this image is no fault of the network's file.
            Error::Network { problem, .. } => looked.refuse(problem),
            other => other,
        })
    }

    /// Its map at one of the scales.
    pub(super) fn map<'s>(&self, scales: &'s Scales, scale: usize) -> &'s Map {
        &scales[scale].0[self.place]
    }

    /// Its part of what there is for each output of the pass.
    pub(super) fn of_outputs<'v>(&self, outputs: &'v mut [Vec<f32>]) -> &'v mut Vec<f32> {
        &mut outputs[self.place]
    }

    /// The scale and cell that each row is of, in order.
    pub(super) fn places(&self, scales: &Scales) -> Vec<[usize; 2]> {
        let maps: Vec<&Map> = (0..scales.len()).map(|scale| self.map(scales, scale)).collect();
        cells::places(&maps, self.cells)
    }

    /// Bytes of the way back through the network for an image of this size.
    pub(super) fn backward_bytes(&self, size: [usize; 2], rule: Rule) -> Result<u64> {
        self.pass.backward_bytes(size, rule)
    }

    /// The rows of a photo, and of its mirror image where these are wanted.
    pub(super) fn picture(
        &self,
        looked: &Looked<'_>,
        params: &image::Params,
        mirrored: bool,
    ) -> Result<Picture> {
        let [width, height] = looked.fitted(params);
        let rows = |side: Side| -> Result<Descriptors> {
            let scales = self.run(looked, params, side)?;
            let map = |scale| (self.map(&scales, scale), scales[scale].1);
            let maps: Vec<_> = (0..scales.len()).map(map).collect();
            Ok(cells::of_maps(&maps, [width, height], self.square, self.cells))
        };
        let own = rows(Side::AsItIs)?;
        let mirrored = if mirrored { Some(rows(Side::Mirrored)?) } else { None };
        let content = Content::Given { own, mirrored };
        Ok(Picture { width, height, content, inside: None })
    }

    /// What to say of an image without a row.
    pub(super) fn without_rows(&self, [width, height]: [usize; 2]) -> String {
        format!(
            "{width} × {height} pixels are too few for the network at any of network.scales: less than \
             half of network.multiple; see image.min_height_px"
        )
    }
}
