//! Images in order of score, and the precision that an order has.
//!
//! Images of equal score are a tie, in which no image stands before another: a threshold takes all of
//! them or none. With `P` positives at ranks `r_1 ≤ … ≤ r_P`, a rank being the number of images that
//! score at least as high:
//!
//! ```text
//! precision_i = i / r_i     envelope_i = max over j ≥ i of precision_j     average precision = mean of envelope
//! ```
//!
//! Source: VOC devkit 2010 (`VOCap.m`); ties as in Faw06, section 6.

/// Images of equal score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tie {
    /// Their score.
    pub score: f32,
    /// How many of them show the class.
    pub positives: usize,
    /// How many do not.
    pub negatives: usize,
}

impl Tie {
    /// How many there are.
    pub fn images(&self) -> usize {
        self.positives + self.negatives
    }
}

/// The ties of images, each with its score and whether it shows the class; best first. −0 and 0 are
/// equal.
pub fn ties(mut scored: Vec<(f32, bool)>) -> Vec<Tie> {
    // Adding zero makes −0 equal to 0, which `total_cmp` would tell apart.
    scored.iter_mut().for_each(|(score, _)| *score += 0.0);
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let tie = |tied: &[(f32, bool)]| {
        let positives = tied.iter().filter(|(_, positive)| *positive).count();
        Tie { score: tied[0].0, positives, negatives: tied.len() - positives }
    };
    scored.chunk_by(|a, b| a.0 == b.0).map(tie).collect()
}

/// The ranks of the positives, ascending; all of a tie have the rank of its end.
pub fn positive_ranks(ties: impl IntoIterator<Item = Tie>) -> Vec<usize> {
    let (mut ranks, mut rank) = (Vec::new(), 0);
    for tie in ties {
        rank += tie.images();
        ranks.resize(ranks.len() + tie.positives, rank);
    }
    ranks
}

/// The largest precision at the recall of each positive or beyond, descending.
pub fn envelope(positive_ranks: &[usize]) -> Vec<f64> {
    let precisions =
        positive_ranks.iter().zip(1..).map(|(&rank, i): (_, usize)| i as f64 / rank as f64);
    let mut envelope: Vec<f64> = precisions.collect();
    for i in (1..envelope.len()).rev() {
        envelope[i - 1] = envelope[i - 1].max(envelope[i]);
    }
    envelope
}
