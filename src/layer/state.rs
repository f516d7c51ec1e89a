//! What learning has come to after an epoch: all that the next one needs, and the best so far.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::head::Head;
use crate::gmm::{Averages, Mixture};

/// Projection, mixture and classifier after an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// `V`, `D × D₀`.
    pub components: Array2<f32>,
    /// The mixture; its values are f32 numbers.
    pub mixture: Mixture,
    /// The classifier.
    pub head: Head,
}

/// What happened in an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss of the images learned from, while they were.
    pub loss: f64,
    /// Mean loss of the images held out, afterwards; nothing without any.
    pub held_out: Option<f64>,
    /// Mean log-likelihood of a projected descriptor under the mixture, in this epoch.
    pub mean_log_likelihood: f64,
}

/// All that the next epoch needs. Values are f32 numbers, so that what is read back is the same.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What was learned.
    pub now: Learned,
    /// The epoch with the smallest loss on the images held out (the last one without any), from 1, and what
    /// was learned then.
    pub best: Option<(usize, Learned)>,
    /// Moving averages of the mixture.
    pub averages: Averages,
    /// Moments of projection, weights and bias of the classifier.
    pub moments: [Adam; 3],
    /// Steps so far.
    pub steps: u32,
    /// Epochs so far.
    pub history: Vec<Epoch>,
}

impl State {
    /// Before the first epoch: the averages stand at the mixture, as if twenty batches had agreed on it.
    pub(super) fn start(now: Learned, decay: f64) -> Self {
        const WARM_BATCHES: u32 = 20;
        let values = |n: usize| Adam::new(n);
        Self {
            moments: [
                values(now.components.len()),
                values(now.head.weights.len()),
                values(now.head.bias.len()),
            ],
            averages: Averages::warm(&now.mixture, decay, WARM_BATCHES),
            now,
            best: None,
            steps: 0,
            history: Vec::new(),
        }
    }

    /// Rounds to f32 what is kept in f64.
    pub(super) fn round(&mut self) {
        round(&mut self.now.mixture);
        round(&mut self.averages.average);
    }
}

/// Rounds a mixture to f32 numbers.
pub(super) fn round(mixture: &mut Mixture) {
    let nearest = |value: &mut f64| *value = f64::from(*value as f32);
    mixture.weights.iter_mut().for_each(nearest);
    mixture.means.iter_mut().for_each(nearest);
    // A variance stays positive.
    let positive = |value: &mut f64| *value = f64::from((*value as f32).max(f32::MIN_POSITIVE));
    mixture.variances.iter_mut().for_each(positive);
}
