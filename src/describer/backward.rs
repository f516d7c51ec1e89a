//! From the relevance of a network's rows back to the pixels, for all channels of an image at once.
//!
//! ```text
//! R of a row's coordinates (N × D) ─ projection backwards ─ R of its cell (channels) ─┐
//! the same of other channels of the file ─────────────────────────────────────────────┴─ network backwards ─ pixels
//! ```
//!
//! One pass back for each scale and side of the image, whatever number of channels came from it.

use std::rc::Rc;
use std::sync::Arc;

use ndarray::Array2;

use super::looked::Looked;
use super::networks::Tap;
use super::pass::{Pass, Scales, Side};
use super::{Channel, Describer};
use crate::descriptors::Picture;
use crate::error::Result;
use crate::image::{Photo, Plane};
use crate::network::relevance::Rule;

/// Relevance of what one pass of a network made.
struct Start {
    pass: Arc<Pass>,
    side: Side,
    /// What the network saw.
    picture: Rc<Picture>,
    scales: Rc<Scales>,
    /// By scale and output of the pass: the values of a map.
    relevance: Vec<Vec<Vec<f32>>>,
}

impl Describer {
    /// Whether a channel's descriptors come from a network.
    pub fn is_of_network(&self) -> bool {
        self.channels.iter().any(|channel| channel.encoder.is_of_network())
    }

    /// Relevance of the pixels of a photo that is handed back through networks: planes of different sizes,
    /// each over the whole image, to be added up; and how much the networks' maps had. `rows` holds, for the channels whose descriptors come from
    /// a network, the relevance of their projected descriptors by coordinate (`N × D`, in the order of
    /// [`Examined`](super::Examined)).
    ///
    /// # Errors
    /// [`Error::Network`](crate::Error::Network) for a network with an operator that has no rule;
    /// [`Error::Image`](crate::Error::Image) as [`encode`](super::ImageEncoder::encode).
    ///
    /// # Panics
    /// When `rows` does not fit the channels and the photo.
    pub fn pixels(
        &self,
        photo: &Photo,
        rows: &[Option<Array2<f64>>],
        rule: Rule,
    ) -> Result<(Vec<Plane>, f64)> {
        let photo = &Looked::at(photo);
        let mut starts: Vec<Start> = Vec::new();
        for (channel, rows) in self.channels.iter().zip(rows) {
            let (Some(rows), Some(tap)) = (rows, channel.encoder.source().network()) else {
                continue;
            };
            let sides = [Side::AsItIs, Side::Mirrored];
            let mut rows = rows.rows().into_iter();
            let (mut given, _) = channel.encoder.source().picture(photo, None)?;
            for side in sides.into_iter().take(1 + usize::from(channel.encoder.is_mirrored())) {
                let start = start_of(&mut starts, tap, channel, photo, side)?;
                let places = tap.places(&start.scales);
                // A row may lie outside the areas that rows are taken from, or count several times.
                let origins = given.origins();
                given.mirror();
                for (origin, of_row) in origins.into_iter().zip(rows.by_ref()) {
                    let [scale, cell] = places[origin];
                    let map = tap.map(&start.scales, scale);
                    let values = cell * map.channels..(cell + 1) * map.channels;
                    let to = &mut tap.of_outputs(&mut start.relevance[scale])[values.clone()];
                    let of_row = of_row.to_vec();
                    channel.encoder.projection().relevance(&map.values[values], &of_row, to);
                }
            }
            assert!(rows.next().is_none(), "relevance of the descriptors of this photo");
        }
        let (mut planes, mut given) = (Vec::new(), 0.0);
        for Start { pass, side, picture, relevance, .. } in &starts {
            given += relevance.iter().flatten().flatten().map(|&r| f64::from(r)).sum::<f64>();
            planes.extend(pass.pixels(picture, *side, relevance, rule)?);
        }
        Ok((planes, given))
    }

    /// Bytes at most for [`pixels`](Self::pixels) of an image of this width and height.
    ///
    /// # Errors
    /// As [`pixels`](Self::pixels), for the network.
    pub fn pixels_bytes(&self, size: [usize; 2], rule: Rule) -> Result<u64> {
        let taps = self.channels.iter().filter_map(|channel| channel.encoder.source().network());
        taps.map(|tap| tap.backward_bytes(size, rule))
            .try_fold(0, |most, bytes| Ok(most.max(bytes?)))
    }
}

/// The start of a channel's side: one that is there already for another channel, or a new one.
fn start_of<'s>(
    starts: &'s mut Vec<Start>,
    tap: &Tap,
    channel: &Channel,
    photo: &Looked<'_>,
    side: Side,
) -> Result<&'s mut Start> {
    let (picture, scales) = channel.encoder.source().run(tap, photo, side)?;
    // The same maps are one value, whichever channel asks for them.
    if let Some(known) = starts.iter().position(|start| Rc::ptr_eq(&start.scales, &scales)) {
        return Ok(&mut starts[known]);
    }
    let zeros = |(maps, _): &(Vec<crate::network::Map>, _)| -> Vec<Vec<f32>> {
        maps.iter().map(|map| vec![0.0; map.values.len()]).collect()
    };
    let relevance = scales.iter().map(zeros).collect();
    starts.push(Start { pass: tap.pass(), side, picture, scales, relevance });
    Ok(starts.last_mut().expect("one was pushed"))
}
