//! Words that decide outside the boxes, wherever they are: an artefact that moves.
//!
//! Places find what stands in the same corner of many images. A stamp, a ruler, a pen mark or the grid of a
//! compression stands anywhere, but it always looks the same, so it is described by the same few components of
//! the mixture. Of every image the share `p_k` of the positive relevance that word `k` has outside the boxes is
//! known, and its share `q_k` of the descriptors there. A word stands out in a class when
//!
//! ```text
//! mean p_k ≥ 0.3 %      mean p_k ≥ 2 · mean q_k (small, and yet decisive)      mean p_k ≥ 3 · that of other classes
//! ```
//!
//! A thing has several words, and images have all of them or none: beside the word that stands out most, the
//! others whose `p` go with its own over the images of the class (correlation ≥ ½) are suspected with it. The
//! group are the images that have at least half of what the five strongest have; where they are fewer than seven
//! (words are many, and five images agree in one of them by chance), or the words say little in the group too,
//! nothing is suspected. Then the word that stands out
//! most among the rest is looked at.
//!
//! The suspected words are tested together. They are of a thing only when most of their relevance in an image
//! lies in one spot, wherever that is ([`spot_share`]). Groups of images by their concepts: Dreyer et al. 2024.

use super::audit::{CONCENTRATION, GRID, Kind, LEAST_IMAGES, Sample, Suspicion};

/// A word with less of the relevance, on average, is not worth a test.
const SMALLEST_SHARE: f64 = 0.003;
/// A word has at least this multiple of what it has in other classes.
const ABOVE_OTHERS: f64 = 3.0;
/// Words that go together correlate at least so much.
const TOGETHER: f64 = 0.5;
/// Images of the group have at least this share of what the strongest have.
const OF_STRONGEST: f64 = 0.5;
/// All suspected words together have at least this share of the relevance in the group.
const SMALLEST_SUM: f64 = 0.05;
/// And at most this share of the descriptors: what is larger is a scene, not a thing in it.
const LARGEST_AREA: f64 = 0.1;
/// Fewest images of a group.
const LEAST_GROUP: usize = 7;
/// Cells of a spot along each side.
const SPOT: usize = 4;
/// Words that are tested together, and suspicions of a class, at most.
const MOST_WORDS: usize = 12;
const MOST_SUSPICIONS: usize = 3;

/// Suspicions about words of class `class`; no word is in two of them. Names are the words' numbers, for the caller to
/// replace.
pub fn suspicions(all: &[Vec<Sample>], class: usize) -> Vec<Suspicion> {
    let samples = &all[class];
    let others: Vec<&Sample> =
        all.iter().enumerate().filter(|(c, _)| *c != class).flat_map(|(_, s)| s).collect();
    if samples.len() < LEAST_IMAGES || others.len() < LEAST_IMAGES {
        return Vec::new();
    }
    let own: Vec<&Sample> = samples.iter().collect();
    let (share, rows) = (mean(&own, |s| &s.words), mean(&own, |s| &s.rows));
    let reference = mean(&others, |s| &s.words);
    let mut open: Vec<usize> = (0..share.len())
        .filter(|&k| {
            share[k] >= SMALLEST_SHARE
                && share[k] >= CONCENTRATION * rows[k]
                && share[k] >= ABOVE_OTHERS * reference[k]
        })
        .collect();
    open.sort_by(|&a, &b| {
        (share[b] - reference[b]).total_cmp(&(share[a] - reference[a])).then(a.cmp(&b))
    });
    let mut found = Vec::new();
    for _ in 0..MOST_SUSPICIONS {
        let Some(&first) = open.first() else { break };
        let mut words: Vec<usize> = (open.iter().copied())
            .filter(|&k| k == first || correlation(samples, first, k) >= TOGETHER)
            .collect();
        words.truncate(MOST_WORDS);
        open.retain(|k| !words.contains(k));
        found.extend(suspicion(samples, words));
    }
    found
}

/// The images that words go together in, where they are enough and the words are small there and decisive.
fn suspicion(samples: &[Sample], words: Vec<usize>) -> Option<Suspicion> {
    let sum = |of: &[f32]| words.iter().map(|&k| f64::from(of[k])).sum::<f64>();
    let shares: Vec<f64> = samples.iter().map(|sample| sum(&sample.words)).collect();
    let mut group: Vec<usize> = (0..samples.len()).collect();
    group.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
    let strongest =
        group[..LEAST_IMAGES].iter().map(|&i| shares[i]).sum::<f64>() / LEAST_IMAGES as f64;
    group.retain(|&i| shares[i] >= OF_STRONGEST * strongest);
    let count = group.len() as f64;
    let share = group.iter().map(|&i| shares[i]).sum::<f64>() / count;
    let rows = group.iter().map(|&i| sum(&samples[i].rows)).sum::<f64>() / count;
    let holds = group.len() >= LEAST_GROUP && share >= SMALLEST_SUM && rows <= LARGEST_AREA;
    holds.then(|| {
        let names = words.iter().map(usize::to_string).collect();
        // How much of it lies in one spot is seen when it is tested.
        let kind = Kind::Words { words: names, group: group.len(), share, rows, in_one_spot: 0.0 };
        Suspicion { kind, samples: group, words }
    })
}

fn mean(samples: &[&Sample], of: impl Fn(&Sample) -> &[f32]) -> Vec<f64> {
    let mut sums = vec![0.0; samples.first().map_or(0, |sample| of(sample).len())];
    for sample in samples {
        sums.iter_mut().zip(of(sample)).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sums.iter().map(|sum| sum / samples.len() as f64).collect()
}

/// How two words go together over images; 0 where one of them is the same everywhere.
fn correlation(samples: &[Sample], a: usize, b: usize) -> f64 {
    let count = samples.len() as f64;
    let value = |sample: &Sample, k: usize| f64::from(sample.words[k]);
    let middle = [a, b].map(|k| samples.iter().map(|s| value(s, k)).sum::<f64>() / count);
    let mut sums = [0.0f64; 3];
    for sample in samples {
        let (x, y) = (value(sample, a) - middle[0], value(sample, b) - middle[1]);
        sums[0] += x * y;
        sums[1] += x * x;
        sums[2] += y * y;
    }
    let product = (sums[1] * sums[2]).sqrt();
    if product > 0.0 { sums[0] / product } else { 0.0 }
}

/// Of a map's positive values on the audit's grid, the share in the spot of 4 × 4 cells that has most of them; 0 where
/// there are none.
pub fn spot_share(cells: &[f64]) -> f64 {
    let total: f64 = cells.iter().map(|value| value.max(0.0)).sum();
    let of_spot = |row: usize, column: usize| -> f64 {
        let rows = row..row + SPOT;
        let of_row = |r: usize| {
            cells[r * GRID + column..][..SPOT].iter().map(|value| value.max(0.0)).sum::<f64>()
        };
        rows.map(of_row).sum()
    };
    let starts = 0..=GRID - SPOT;
    let spots = starts.clone().flat_map(|row| starts.clone().map(move |column| (row, column)));
    let most = spots.map(|(row, column)| of_spot(row, column)).fold(0.0, f64::max);
    if total > 0.0 { most / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Seed, Stream};

    /// A class whose images `stamped` have a word of their own.
    fn class(stream: &mut Stream, images: usize, stamped: usize) -> Vec<Sample> {
        let sample = |i: usize| {
            let mut words: Vec<f32> = (0..20).map(|_| 0.02 * stream.unit() as f32).collect();
            if i < stamped {
                words[7] = 0.2;
                words[11] = 0.1;
            }
            let rows = vec![0.03; 20];
            let (id, outside) = (i.to_string(), Vec::new());
            Sample { id, score: 1.0, outside, mu_positive: None, words, rows }
        };
        (0..images).map(sample).collect()
    }

    #[test]
    fn a_word_that_stands_out_in_some_images_is_suspected_there() {
        let mut stream = Seed(1).stream("words", 0);
        let all = [class(&mut stream, 30, 18), class(&mut stream, 30, 0)];
        let found = suspicions(&all, 0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].words, [7, 11]);
        let mut group = found[0].samples.clone();
        group.sort_unstable();
        assert_eq!(group, (0..18).collect::<Vec<_>>());
        assert_eq!(suspicions(&all, 1), []);
        // A word that every class has is none of this one's, and few images say nothing.
        let all = [class(&mut stream, 30, 30), class(&mut stream, 30, 30)];
        assert_eq!(suspicions(&all, 0), []);
        let few = [class(&mut stream, 4, 4), class(&mut stream, 30, 0)];
        assert_eq!(suspicions(&few, 0), []);
    }

    #[test]
    fn a_thing_lies_in_one_spot_and_a_scene_everywhere() {
        let mut cells = vec![0.0; GRID * GRID];
        cells[5 * GRID + 7] = 3.0;
        cells[8 * GRID + 10] = 1.0;
        cells[0] = 1.0;
        cells[GRID] = -9.0;
        assert!((spot_share(&cells) - 0.8).abs() < 1e-12, "rows 5 to 8, columns 7 to 10");
        assert_eq!(spot_share(&vec![1.0; GRID * GRID]), 16.0 / 256.0);
        assert_eq!(spot_share(&vec![0.0; GRID * GRID]), 0.0);
    }

    #[test]
    fn what_covers_much_of_the_image_is_a_scene() {
        let mut stream = Seed(2).stream("words", 0);
        let mut all = [class(&mut stream, 30, 30), class(&mut stream, 30, 0)];
        all[0].iter_mut().for_each(|sample| sample.rows = vec![0.15; 20]);
        assert_eq!(suspicions(&all, 0), []);
    }
}
