//! Average precision by its three definitions. Each is `None` for a class without positives.
//!
//! ```text
//! voc2007        = 1/11 Σ_t interpolated(t), t = 0, 0.1, …, 1          11-point, VOC 2005–2009
//! voc2010        = 1/P  Σ_i envelope_i                                 area, VOC 2010 and later
//! uninterpolated = Σ_ties (positives of the tie / P) · precision after the tie     scikit-learn
//! ```
//!
//! All three take equal scores as one step, so that none depends on the order of a list, and scores that
//! are all equal have the share of positives, `P` of the judged images, under each. They differ by several
//! points on the same scores: compare a figure only with figures of its own name.
//! Source: VOC devkit 2007 and 2010 (`VOCap.m`), `sklearn.metrics.average_precision_score`. Departs from
//! the devkit where scores are equal ([`ranking`](super::ranking) says how and why).

use super::curve::{Curve, LEVELS};
use super::ranking::Ranking;

/// Mean of the largest precision at recall ≥ 0, 0.1, …, 1.
pub fn voc2007(curve: &Curve) -> Option<f64> {
    curve.interpolated().map(|levels| levels.iter().sum::<f64>() / LEVELS as f64)
}

/// Area under the envelope of the precision-recall curve.
pub fn voc2010(curve: &Curve) -> Option<f64> {
    let envelope = curve.envelope();
    (!envelope.is_empty()).then(|| envelope.iter().sum::<f64>() / envelope.len() as f64)
}

/// Mean precision over the positives, without interpolation, equal scores taken together.
pub fn uninterpolated(ranking: &Ranking) -> Option<f64> {
    let (mut found, mut seen, mut sum) = (0, 0, 0.0);
    for tie in ranking.ties() {
        found += tie.positives;
        seen += tie.positives + tie.negatives;
        sum += tie.positives as f64 * (found as f64 / seen as f64);
    }
    (found > 0).then(|| sum / found as f64)
}
