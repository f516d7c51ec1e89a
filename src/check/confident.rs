//! Labels that look wrong: confident learning.
//!
//! With `p_ij` the probability of class `j` for image `i`, by a classifier that has not seen the image,
//!
//! ```text
//! t_j = mean of p_ij over the images labelled j                  how sure the classifier is of j's own
//! j*  = argmax { p_ij : p_ij ≥ t_j }                             the class that it is sure of, if any
//! i is a suspect when j* is another class than its label, and its label is not the likeliest class
//! score = ½ (1 + p_ij* − p_i,label)                              the surer the higher
//! ```
//!
//! With several labels an image each class is a question of its own, with the two answers yes and no. Source:
//! Northcutt, Jiang & Chuang 2021 (the confident joint's entries off its diagonal). A rare class has a low `t_j`, and many
//! images without it reach that: so cleanlab also asks that the likeliest class is another, and so does this.

use crate::dataset::Label;

/// An image whose label looks wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Suspect {
    pub image: usize,
    /// The class that it is labelled with, or whose label is in question.
    pub class: usize,
    /// What the classifier is sure of: another class; the same where it is of yes or no.
    pub better: usize,
    /// Whether it is labelled with the class.
    pub labelled: bool,
    /// From 0 to 1.
    pub score: f64,
}

/// Suspects, the surest first. `probabilities[class][image]`, `None` where there is none; images without a
/// whole set of probabilities are not judged.
pub(super) fn suspects(
    labels: &[Vec<Label>],
    probabilities: &[Vec<Option<f64>>],
    single_label: bool,
) -> Vec<Suspect> {
    let mut found = match single_label {
        true => of_one_class(labels, probabilities),
        false => (0..probabilities.len())
            .flat_map(|class| of_yes_or_no(labels, &probabilities[class], class))
            .collect(),
    };
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.image.cmp(&b.image)));
    found
}

fn of_one_class(labels: &[Vec<Label>], probabilities: &[Vec<Option<f64>>]) -> Vec<Suspect> {
    let classes = probabilities.len();
    // Those of an image add up to 1.
    let rows: Vec<Option<Vec<f64>>> = (0..labels.len())
        .map(|i| {
            let row: Option<Vec<f64>> = probabilities.iter().map(|of_class| of_class[i]).collect();
            row.map(|row| {
                let sum: f64 = row.iter().sum();
                row.into_iter().map(|p| p / sum.max(f64::MIN_POSITIVE)).collect()
            })
        })
        .collect();
    let label = |i: usize| labels[i].iter().position(|&label| label == Label::Yes);
    let mut sums = vec![[0.0; 2]; classes];
    for (i, row) in rows.iter().enumerate() {
        if let (Some(row), Some(class)) = (row, label(i)) {
            sums[class][0] += row[class];
            sums[class][1] += 1.0;
        }
    }
    let threshold =
        |j: usize| if sums[j][1] > 0.0 { sums[j][0] / sums[j][1] } else { f64::INFINITY };
    let suspect = |(i, row): (usize, &Option<Vec<f64>>)| {
        let (row, class) = (row.as_ref()?, label(i)?);
        let sure = (0..classes).filter(|&j| row[j] >= threshold(j));
        let better = sure.max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)))?;
        let score = 0.5 * (1.0 + row[better] - row[class]);
        let likeliest = row.iter().all(|&p| p <= row[class]);
        (better != class && !likeliest).then_some(Suspect {
            image: i,
            class,
            better,
            labelled: true,
            score,
        })
    };
    rows.iter().enumerate().filter_map(suspect).collect()
}

fn of_yes_or_no(
    labels: &[Vec<Label>],
    probabilities: &[Option<f64>],
    class: usize,
) -> Vec<Suspect> {
    let judged = || {
        let each = labels.iter().zip(probabilities).enumerate();
        each.filter_map(|(i, (of_image, &p))| match (of_image[class], p) {
            (Label::Yes, Some(p)) => Some((i, true, p)),
            (Label::No, Some(p)) => Some((i, false, p)),
            _ => None,
        })
    };
    let mean = |yes: bool| {
        let own: Vec<f64> = judged()
            .filter(|(_, labelled, _)| *labelled == yes)
            .map(|(_, _, p)| if yes { p } else { 1.0 - p })
            .collect();
        own.iter().sum::<f64>() / own.len() as f64
    };
    let (yes, no) = (mean(true), mean(false));
    let suspect = |(image, labelled, p): (usize, bool, f64)| {
        let (own, other) = if labelled { (p, 1.0 - p) } else { (1.0 - p, p) };
        let other_sure = if labelled { no } else { yes };
        let is_suspect = other >= other_sure && other > own;
        let score = 0.5 * (1.0 + other - own);
        is_suspect.then_some(Suspect { image, class, better: class, labelled, score })
    };
    judged().filter_map(suspect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{No, Yes};

    /// Three images of each of two classes; the third of the first class is one of the second.
    #[test]
    fn a_label_against_which_the_classifier_is_sure_is_a_suspect() {
        let labels = [true, true, true, false, false, false]
            .map(|first| if first { vec![Yes, No] } else { vec![No, Yes] });
        let first = [0.9, 0.8, 0.1, 0.2, 0.1, 0.3];
        let probabilities = [first.to_vec(), first.iter().map(|p| 1.0 - p).collect()]
            .map(|row: Vec<f64>| row.into_iter().map(Some).collect::<Vec<_>>());
        let found = suspects(&labels, &probabilities, true);
        // t_0 = 0.6, t_1 = 0.8: image 2 has 0.9 of class 1.
        assert_eq!(found.len(), 1);
        let Suspect { image, class, better, score, .. } = found[0];
        assert_eq!((image, class, better), (2, 0, 1));
        assert!((score - 0.9).abs() < 1e-12);
        // The same as two questions: both say so.
        let found = suspects(&labels, &probabilities, false);
        let of: Vec<_> = found.iter().map(|s| (s.image, s.class, s.labelled)).collect();
        assert_eq!(of, [(2, 0, true), (2, 1, false)]);
    }

    /// The classifier is as sure of the rare class as of its own images, and yet holds the label for likelier.
    #[test]
    fn a_label_that_is_likeliest_is_no_suspect() {
        let of_rare = [0.4, 0.45, 0.42, 0.05, 0.6, 0.0, 0.1, 0.0, 0.0];
        let labels: Vec<Vec<Label>> =
            (0..of_rare.len()).map(|i| if i < 2 { vec![Yes, No] } else { vec![No, Yes] }).collect();
        let probabilities = [of_rare.map(Some).to_vec(), of_rare.map(|p| Some(1.0 - p)).to_vec()];
        let single: Vec<usize> =
            suspects(&labels, &probabilities, true).iter().map(|s| s.image).collect();
        assert_eq!(
            single,
            [4],
            "image 2 has more of the rare class than its own on average, and less than half"
        );
        let several = suspects(&labels, &probabilities, false);
        assert!(several.iter().all(|s| s.image == 4 && s.score > 0.5), "{several:?}");
        assert_eq!(several.len(), 2);
    }

    #[test]
    fn an_image_without_probabilities_or_label_is_not_judged() {
        let labels = [vec![Yes, No], vec![Label::Ignored, Label::Ignored], vec![No, Yes]];
        let probabilities =
            [vec![None, Some(0.9), Some(0.9)], vec![Some(0.9), Some(0.1), Some(0.2)]];
        assert_eq!(suspects(&labels, &probabilities, true), []);
        let found = suspects(&labels, &probabilities, false);
        assert!(found.iter().all(|suspect| suspect.image != 1), "{found:?}");
    }
}
