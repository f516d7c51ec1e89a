//! Receiver operating characteristic of one class: area and equal-error-rate threshold.
//!
//! ```text
//! area = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)      over all pairs of a positive and a negative image
//! ```
//!
//! Both are counted in integers. `linfa::metrics`' ROC serves as a check in the tests only: it
//! leaves out negative scores, which SVM margins are, starts its curve after the images tied at
//! score 0 (area 0 instead of ½ when all are), and sums in f32.

use super::ranking::Ranking;

/// Area under the ROC curve; `None` without a positive or without a negative.
pub fn area(ranking: &Ranking) -> Option<f64> {
    let pairs = ranking.positives() as u128 * ranking.negatives() as u128;
    // Twice the number of pairs in the right order, so that a tied pair counts one.
    let (mut doubled, mut negatives_below) = (0, ranking.negatives() as u128);
    for tie in ranking.ties() {
        negatives_below -= tie.negatives as u128;
        doubled += tie.positives as u128 * (2 * negatives_below + tie.negatives as u128);
    }
    (pairs > 0).then(|| doubled as f64 / (2 * pairs) as f64)
}

/// Where false positives and false negatives are equally frequent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EqualError {
    /// An image counts as showing the class when its score is at least this.
    pub threshold: f32,
    /// Mean of the false positive and the false negative rate there.
    pub rate: f64,
}

/// The score of an image at which |false positive rate − false negative rate| is least, the
/// highest of such scores. `None` without a positive, a negative or a finite score.
pub fn equal_error(ranking: &Ranking) -> Option<EqualError> {
    let (positives, negatives) = (ranking.positives() as u128, ranking.negatives() as u128);
    let pairs = positives * negatives;
    if pairs == 0 {
        return None;
    }
    let (mut missed, mut false_alarms) = (positives, 0);
    let mut best: Option<(u128, EqualError)> = None;
    for tie in ranking.ties() {
        missed -= tie.positives as u128;
        false_alarms += tie.negatives as u128;
        // Both rates over the common denominator `pairs`.
        let (alarm, miss) = (false_alarms * positives, missed * negatives);
        let gap = alarm.abs_diff(miss);
        if tie.score.is_finite() && best.is_none_or(|(least, _)| gap < least) {
            let rate = (alarm + miss) as f64 / (2 * pairs) as f64;
            best = Some((gap, EqualError { threshold: tie.score, rate }));
        }
    }
    best.map(|(_, equal_error)| equal_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Label::{No, Yes};

    #[test]
    fn equal_error_is_the_crossing_of_both_rates() {
        // At ≥ 0.3: one of two positives missed, one of two negatives let in.
        let ranking = Ranking::new(&[0.4, 0.3, 0.2, 0.1], &[Yes, No, Yes, No]).unwrap();
        assert_eq!(equal_error(&ranking), Some(EqualError { threshold: 0.3, rate: 0.5 }));
        // A gap between the classes: the lowest positive is the threshold, and no error is left.
        let ranking = Ranking::new(&[0.4, 0.3, 0.2, 0.1], &[Yes, Yes, No, No]).unwrap();
        assert_eq!(equal_error(&ranking), Some(EqualError { threshold: 0.3, rate: 0.0 }));
    }

    #[test]
    fn nothing_finite_or_one_sided_has_no_threshold() {
        let infinite = [f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(equal_error(&Ranking::new(&infinite, &[Yes, No]).unwrap()), None);
        let one_sided = Ranking::new(&[1.0, 2.0], &[No, No]).unwrap();
        assert_eq!((area(&one_sided), equal_error(&one_sided)), (None, None));
    }
}
