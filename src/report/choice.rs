//! Which images a report shows of each class, and which mistakes.

use std::collections::BTreeMap;

use ndarray::ArrayView2;

use crate::dataset::Label;
use crate::evaluation::Decision;

/// Images shown of each kind and class.
const EACH: usize = 3;
/// Mistakes shown of a pair of classes, and in all.
const OF_PAIR: usize = 6;
const MISTAKES: usize = 240;

/// What is shown of one class: numbers of images.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct OfClass {
    /// Recognised ones, the surest first.
    pub examples: Vec<usize>,
    /// That show it and are not recognised, the surest mistake first.
    pub missed: Vec<usize>,
    /// That do not show it and are taken for it, the surest first.
    pub alarms: Vec<usize>,
}

impl OfClass {
    /// All of them, an image in several lists as often.
    pub(super) fn images(&self) -> impl Iterator<Item = usize> + '_ {
        self.examples.iter().chain(&self.missed).chain(&self.alarms).copied()
    }
}

/// Images of one class that are taken for another, the surest mistake first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub truth: usize,
    pub predicted: usize,
    pub images: Vec<usize>,
    /// How many there are.
    pub count: usize,
}

/// What a report shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Choice {
    pub classes: Vec<OfClass>,
    /// Of images that show one class each: mistakes by pair, the most frequent first.
    pub pairs: Vec<Pair>,
}

/// Chooses by labels (`[image][class]`), scores (`images × classes`, −∞ without one) and what these decide.
pub(super) fn choose(
    labels: &[Vec<Label>],
    scores: ArrayView2<'_, f32>,
    decision: Decision,
    single_label: bool,
) -> Choice {
    let classes = scores.ncols();
    let scored: Vec<usize> =
        (0..scores.nrows()).filter(|&i| scores.row(i).iter().all(|s| s.is_finite())).collect();
    let predicted: BTreeMap<usize, Vec<usize>> =
        scored.iter().map(|&i| (i, decision.classes(scores.row(i).iter().copied()))).collect();
    let of_class = |class: usize| {
        let chosen = |wanted: Label, said: bool, highest: bool| -> Vec<usize> {
            let mut images: Vec<usize> = scored
                .iter()
                .copied()
                .filter(|&i| labels[i][class] == wanted && predicted[&i].contains(&class) == said)
                .collect();
            images.sort_by(|&a, &b| {
                let order = scores[[b, class]].total_cmp(&scores[[a, class]]);
                if highest { order } else { order.reverse() }.then(a.cmp(&b))
            });
            images.truncate(EACH);
            images
        };
        OfClass {
            examples: chosen(Label::Yes, true, true),
            missed: chosen(Label::Yes, false, false),
            alarms: chosen(Label::No, true, true),
        }
    };
    let mut by_pair: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (&i, said) in predicted.iter().filter(|_| single_label) {
        let truth = labels[i].iter().position(|&label| label == Label::Yes);
        if let (Some(truth), Some(&best)) = (truth, said.first())
            && !said.contains(&truth)
        {
            by_pair.entry((truth, best)).or_default().push(i);
        }
    }
    let mut pairs: Vec<Pair> = by_pair
        .into_iter()
        .map(|((truth, predicted), mut images)| {
            let margin = |i: usize| scores[[i, predicted]] - scores[[i, truth]];
            images.sort_by(|&a, &b| margin(b).total_cmp(&margin(a)).then(a.cmp(&b)));
            let count = images.len();
            images.truncate(OF_PAIR);
            Pair { truth, predicted, images, count }
        })
        .collect();
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.count));
    let mut left = MISTAKES;
    for pair in &mut pairs {
        pair.images.truncate(left);
        left -= pair.images.len();
    }
    Choice { classes: (0..classes).map(of_class).collect(), pairs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{No, Yes};
    use ndarray::array;

    #[test]
    fn the_surest_come_first_and_mistakes_stand_with_their_pair() {
        let labels = [[Yes, No], [Yes, No], [Yes, No], [No, Yes], [No, Yes]].map(|l| l.to_vec());
        let none = f32::NEG_INFINITY;
        let scores = array![[0.9, -1.0], [2.0, -1.0], [-0.5, 0.7], [0.1, 0.4], [none, none]];
        let choice = choose(&labels, scores.view(), Decision::BestClass, true);
        assert_eq!(choice.classes[0].examples, [1, 0]);
        assert_eq!(choice.classes[0].missed, [2]);
        assert_eq!(choice.classes[1].alarms, [2]);
        assert_eq!(choice.classes[1].examples, [3]);
        let pair = Pair { truth: 0, predicted: 1, images: vec![2], count: 1 };
        assert_eq!(choice.pairs, [pair]);
        let several = choose(&labels, scores.view(), Decision::ScoreAbove(0.0), false);
        assert_eq!((several.pairs.len(), several.classes[0].alarms.as_slice()), (0, &[3][..]));
    }
}
