//! Images unlike anything that the classifier was trained on.
//!
//! The mixture is a density: the mean of `ln p(x)` over an image's descriptors, a by-product of their
//! posteriors, says how usual they are. An image is unlike the training images when, in some channel, that
//! mean lies outside what all but [`TAIL`] of them have on either side,
//!
//! ```text
//! L(x) = 1/N Σ_l ln p(x_l)        L(x) < Q(0.0025)  or  L(x) > Q(0.9975)
//! ```
//!
//! with `Q` the quantiles of the training images (ranks interpolated). Both sides count: blur makes
//! descriptors more usual than they ought to be. Of new images of the same kind about 1 in 200 a channel is
//! said to be unlike, of few training images up to 2 in as many. Channels without a density (pooled ones,
//! other families, files of vectors) say nothing.

use std::collections::BTreeMap;

use super::run::Run;
use crate::dataset::Split;
use crate::error::Result;
use crate::plain;
use crate::store::{Notes, open_index};
use crate::words::counted;

/// Share of the training images that lie beyond either bound.
const TAIL: f64 = 0.0025;
/// Fewest training images that bounds are drawn from.
const FEWEST: usize = 20;
/// A split is said to hold such images when so many times more of it are unlike than of the training images.
const MORE: f64 = 4.0;
/// Images that are named.
const NAMED: usize = 3;

/// What is usual in each channel; nothing where it is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usual {
    bounds: Vec<Option<[f64; 2]>>,
}

impl Usual {
    /// From the mean log-likelihoods of the training images in every channel.
    fn of(channels: Vec<Vec<Option<f64>>>) -> Self {
        let bounds = |values: Vec<Option<f64>>| {
            let mut known: Vec<f64> = values.into_iter().flatten().collect();
            known.sort_by(f64::total_cmp);
            let at = |share: f64| {
                let place = share * (known.len() - 1) as f64;
                let (below, above) = (known[place.floor() as usize], known[place.ceil() as usize]);
                below + place.fract() * (above - below)
            };
            (known.len() >= FEWEST).then(|| [at(TAIL), at(1.0 - TAIL)])
        };
        Self { bounds: channels.into_iter().map(bounds).collect() }
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.bounds.iter().any(Option::is_some)
    }

    /// Whether an image with these mean log-likelihoods, one a channel, is unlike the training images.
    pub fn is_unlike(&self, likelihoods: &[Option<f64>]) -> bool {
        let outside = |(bounds, likelihood): (&Option<[f64; 2]>, &Option<f64>)| {
            let (Some([low, high]), Some(value)) = (bounds, likelihood) else { return false };
            value < low || value > high
        };
        self.bounds.iter().zip(likelihoods).any(outside)
    }

    /// The share of the training images themselves that is outside some bound, at most.
    fn expected(&self) -> f64 {
        2.0 * TAIL * self.bounds.iter().flatten().count() as f64
    }
}

impl Run<'_> {
    /// What is usual among the images that the classifier was trained on; nothing where their vectors are
    /// gone or of an earlier version.
    ///
    /// # Errors
    /// As [`trained_split`](Self::trained_split).
    pub fn usual(&self) -> Result<Usual> {
        let split = self.trained_split()?;
        let of_place = |place: &super::place::Place<'_>| match open_index(&place.paths, &split) {
            Ok(index) => index.images.into_iter().map(|image| image.likelihood).collect(),
            Err(_) => Vec::new(),
        };
        Ok(Usual::of(self.places().into_iter().map(of_place).collect()))
    }

    /// The images of an encoded split that are unlike the training images, by their ids.
    ///
    /// # Errors
    /// As [`Run::index`].
    pub(crate) fn unlike_in(&self, split: &str, usual: &Usual) -> Result<Vec<String>> {
        if !usual.is_known() {
            return Ok(Vec::new());
        }
        let mut likelihoods: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
        for (number, place) in self.places().into_iter().enumerate() {
            for image in open_index(&place.paths, split)?.images {
                let of_image = likelihoods.entry(image.id).or_default();
                of_image.resize(number, None);
                of_image.push(image.likelihood);
            }
        }
        let ids = self.index(split)?.images.into_iter().map(|image| image.id);
        Ok(ids.filter(|id| usual.is_unlike(&likelihoods[id])).collect())
    }

    /// Says how many images of a split are unlike the training images, where that is more than chance has it.
    pub(crate) fn note_unlike(&self, split: &Split) -> Result<()> {
        let usual = self.usual()?;
        let unlike = self.unlike_in(&split.name, &usual)?;
        let expected = MORE * usual.expected() * split.items.len() as f64;
        if (unlike.len() as f64) > expected.max(2.0) {
            let few: Vec<&str> = unlike.iter().take(NAMED).map(String::as_str).collect();
            self.home.work.note_once(&format!(
                "{} of the {} of split `{}` are unlike anything that the classifier was trained on (first: {}): \
                 how usual their descriptors are lies outside 99.5 % of the training images'",
                counted(unlike.len(), "image"),
                counted(split.items.len(), "image"),
                split.name,
                plain::line(&few.join(", "))
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_nearly_all_training_images_is_unlike_them() {
        let values = |n: usize| (0..n).map(|i| Some(i as f64)).collect::<Vec<_>>();
        let usual = Usual::of(vec![values(1001), Vec::new()]);
        // Bounds 2.5 and 997.5.
        for (value, expected) in [(2.0, true), (3.0, false), (997.0, false), (998.0, true)] {
            assert_eq!(usual.is_unlike(&[Some(value), Some(0.0)]), expected, "{value}");
        }
        assert!(!usual.is_unlike(&[None, None]));
        assert!((usual.expected() - 0.005).abs() < 1e-12);
        assert!(!Usual::of(vec![values(FEWEST - 1)]).is_known());
    }
}
