//! Moving averages of mixtures with bias correction (Korsch et al., eq. 6–9).
//!
//! ```text
//! a[t] = λ a[t−1] + (1 − λ) a_new      estimate[t] = a[t] / (1 − λᵗ)      a[0] = 0
//! ```
//!
//! for weights, means and variances alike; the estimate's weights are scaled to sum to 1.

use ndarray::{Array2, Zip};

use super::mixture::Mixture;

/// The averages after so many batches.
#[derive(Debug, Clone, PartialEq)]
pub struct Averages {
    /// `a[t]`.
    pub average: Mixture,
    /// `t`.
    pub batches: u32,
    /// `λ`.
    pub decay: f64,
}

impl Averages {
    /// No batch yet, for mixtures of the form of `like`.
    pub fn new(like: &Mixture, decay: f64) -> Self {
        let average = Mixture {
            weights: vec![0.0; like.weights.len()],
            means: Array2::zeros(like.means.dim()),
            variances: Array2::zeros(like.variances.dim()),
        };
        Self { average, batches: 0, decay }
    }

    /// As if `batches` batches had agreed on `mixture`: the next one moves it by little.
    pub fn warm(mixture: &Mixture, decay: f64, batches: u32) -> Self {
        let mut averages = Self::new(mixture, decay);
        averages.batches = batches;
        let share = averages.correction();
        averages.average = Mixture {
            weights: mixture.weights.iter().map(|w| w * share).collect(),
            means: &mixture.means * share,
            variances: &mixture.variances * share,
        };
        averages
    }

    /// Takes in what one batch gave, and hands back the estimate.
    pub fn add(&mut self, new: &Mixture) -> Mixture {
        self.batches += 1;
        let (decay, correction) = (self.decay, self.correction());
        let blend = |old: &mut f64, new: &f64| {
            *old = decay * *old + (1.0 - decay) * new;
            *old / correction
        };
        let blend_all = |old: &mut Array2<f64>, new: &Array2<f64>| {
            let mut out = new.clone();
            Zip::from(&mut out).and(old).and(new).for_each(|o, a, b| *o = blend(a, b));
            out
        };
        let average = &mut self.average;
        let weights: Vec<f64> =
            average.weights.iter_mut().zip(&new.weights).map(|(a, b)| blend(a, b)).collect();
        let sum: f64 = weights.iter().sum();
        Mixture {
            weights: weights.iter().map(|w| w / sum).collect(),
            means: blend_all(&mut average.means, &new.means),
            variances: blend_all(&mut average.variances, &new.variances),
        }
    }

    /// `1 − λᵗ`.
    fn correction(&self) -> f64 {
        1.0 - self.decay.powi(i32::try_from(self.batches).unwrap_or(i32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn mixture(mean: f64, variance: f64) -> Mixture {
        Mixture {
            weights: vec![0.25, 0.75],
            means: array![[mean], [2.0 * mean]],
            variances: array![[variance], [variance / 2.0]],
        }
    }

    #[test]
    fn the_first_estimate_is_the_first_batch_and_a_warm_one_hardly_moves() {
        let (start, batch) = (mixture(1.0, 4.0), mixture(3.0, 2.0));
        let first = Averages::new(&start, 0.9).add(&batch);
        assert!((first.means[[1, 0]] - 6.0).abs() < 1e-12 && first.weights == batch.weights);
        let mut warm = Averages::warm(&start, 0.9, 20);
        assert_eq!(warm.clone().add(&start).means[[0, 0]], 1.0);
        // By hand: a[20] = 1 − λ²⁰, then one batch.
        let share = 1.0 - 0.9f64.powi(20);
        let expected = (0.9 * share + 0.1 * 3.0) / (1.0 - 0.9f64.powi(21));
        assert!((warm.add(&batch).means[[0, 0]] - expected).abs() < 1e-12);
    }

    /// The paper: with one component these are the running statistics of batch normalisation.
    #[test]
    fn of_one_component_they_are_running_means_and_variances() {
        let of = |m: f64, v: f64| Mixture {
            weights: vec![1.0],
            means: array![[m]],
            variances: array![[v]],
        };
        let mut averages = Averages::new(&of(0.0, 1.0), 0.9);
        let (mut mean, mut variance) = (0.0, 0.0);
        for t in 1..=30 {
            let (m, v) = (f64::from(t).sin(), 1.0 + f64::from(t).cos().abs());
            (mean, variance) = (0.9 * mean + 0.1 * m, 0.9 * variance + 0.1 * v);
            let estimate = averages.add(&of(m, v));
            let correction = 1.0 - 0.9f64.powi(t);
            assert!((estimate.means[[0, 0]] - mean / correction).abs() < 1e-14);
            assert!((estimate.variances[[0, 0]] - variance / correction).abs() < 1e-14);
        }
    }
}
