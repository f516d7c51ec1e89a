//! Probabilities from scores: a sigmoid per class, fitted on out-of-fold scores.
//!
//! ```text
//! p(s) = 1/(1 + exp(a·s + b))      a, b minimise the cross-entropy to the targets
//! positives (n₊ + 1)/(n₊ + 2), negatives 1/(n₋ + 2)
//! ```
//!
//! Scores of the images a machine was trained on lie at or beyond the margin whatever the class is
//! like, so they say nothing about new images: only scores of held-out images are used.
//! The fit is linfa's, which fvtool is built on; in f64, since its f32 line search fails on ordinary
//! data. Source: Platt 1999 with the Newton method of Lin, Lin & Weng 2007.

use linfa::ParamGuard;
use linfa::composing::platt_scaling::{Platt, platt_newton_method};
use ndarray::{ArrayView1, aview1};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;

/// `p(s) = 1/(1 + exp(a·s + b))`; `a` is negative where higher scores mean more likely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sigmoid {
    /// Slope.
    pub a: f64,
    /// Offset.
    pub b: f64,
}

impl Sigmoid {
    /// Probability of a score, in [0, 1].
    pub fn probability(self, score: f32) -> f32 {
        (1.0 / (1.0 + (self.a * f64::from(score) + self.b).exp())) as f32
    }
}

/// The sigmoid of one class, or `None` with a note. `scores[i]` is `None` where no machine that had
/// not seen image `i` could be trained.
pub(super) fn class(
    name: &str,
    sign: &[f32],
    scores: &[Option<f64>],
    progress: &dyn Progress,
) -> Option<Sigmoid> {
    let labelled = || sign.iter().zip(scores).filter(|(y, _)| **y != 0.0);
    let scores: Option<Vec<f64>> = labelled().map(|(_, score)| *score).collect();
    let Some(scores) = scores else {
        progress.note(&format!(
            "class {name}: too few images for calibration; every fold needs two positives and two \
             negatives to train on"
        ));
        return None;
    };
    let positive: Vec<bool> = labelled().map(|(&y, _)| y > 0.0).collect();
    let sigmoid = fit(aview1(&scores), aview1(&positive));
    if let Err(problem) = &sigmoid {
        progress.note(&format!("class {name}: no calibration: {problem}"));
    }
    sigmoid.ok()
}

fn fit<'a>(scores: ArrayView1<'a, f64>, positive: ArrayView1<'a, bool>) -> Result<Sigmoid, String> {
    let params = Platt::<f64, ()>::params().check().map_err(|problem| problem.to_string())?;
    let (a, b) =
        platt_newton_method(scores, positive, &params).map_err(|problem| problem.to_string())?;
    if a.is_finite() && b.is_finite() {
        Ok(Sigmoid { a, b })
    } else {
        Err("the scores do not tell the labels apart".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::random::Seed;

    /// Labels drawn from a known sigmoid give that sigmoid back.
    #[test]
    fn a_known_sigmoid_is_found_again() {
        let truth = Sigmoid { a: -2.0, b: 0.7 };
        let mut stream = Seed(9).stream("sigmoid", 0);
        let scores: Vec<f64> = (0..40_000).map(|_| 1.5 * stream.normal()).collect();
        let labels: Vec<f32> = scores
            .iter()
            .map(|&s| {
                let p = f64::from(truth.probability(s as f32));
                if stream.unit() < p { 1.0 } else { -1.0 }
            })
            .collect();
        let scores: Vec<Option<f64>> = scores.into_iter().map(Some).collect();
        let found = class("x", &labels, &scores, &Silent).unwrap();
        // Standard errors at 40,000 draws are 0.025 and 0.016: four of them.
        assert!((found.a - truth.a).abs() < 0.1 && (found.b - truth.b).abs() < 0.065, "{found:?}");
    }

    #[test]
    fn probabilities_stay_within_bounds_for_any_score() {
        let sigmoid = Sigmoid { a: -3.0, b: 1.0 };
        for score in [f32::MIN, -1e4, 0.0, 1e4, f32::MAX] {
            assert!((0.0..=1.0).contains(&sigmoid.probability(score)));
        }
        assert!(sigmoid.probability(1.0) > sigmoid.probability(0.0));
    }

    #[test]
    fn a_missing_score_means_no_sigmoid_but_an_ignored_image_does_not_count() {
        let scores = [Some(1.0), None, Some(-1.0), Some(0.5), Some(-0.6)];
        assert_eq!(class("x", &[1.0, 1.0, -1.0, 1.0, -1.0], &scores, &Silent), None);
        assert!(class("x", &[1.0, 0.0, -1.0, 1.0, -1.0], &scores, &Silent).is_some());
    }
}
