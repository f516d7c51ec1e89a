//! The parts that images are split into for cross-validation.
//!
//! Images are dealt out here, so that every fold has its share of every class. The cut of that list into
//! folds is linfa's, which fvtool is built on.

use linfa::DatasetBase;
use ndarray::{Array1, Array2};

use crate::dataset::Label;
use crate::random::Seed;
use crate::{Error, Result};

/// The fold of every image.
pub(super) struct Folds {
    pub count: usize,
    pub of_image: Vec<usize>,
}

/// Fills the last places of folds that have one image less.
const GAP: usize = usize::MAX;

impl Folds {
    /// Splits images into `count` folds of equal size, with the positives of every class spread:
    /// images are dealt out class by class, each under its rarest positive class.
    ///
    /// # Errors
    /// [`Error::Setting`] when there are fewer images than folds.
    pub fn new(labels: &[Vec<Label>], count: usize, seed: Seed) -> Result<Self> {
        let n = labels.len();
        let range = format!("at most the number of images, {n}");
        Error::require(count <= n, "svm.folds", count, &range)?;
        let classes = labels.first().map_or(0, Vec::len);
        let mut positives = vec![0usize; classes];
        for of_image in labels {
            let each = positives.iter_mut().zip(of_image);
            each.for_each(|(count, &label)| *count += usize::from(label == Label::Yes));
        }
        let rarest = |of_image: &[Label]| {
            let shown = (0..classes).filter(|&c| of_image[c] == Label::Yes);
            shown.min_by_key(|&c| (positives[c], c)).unwrap_or(classes)
        };
        let mut deal: Vec<usize> = (0..n).collect();
        seed.stream("svm folds", 0).shuffle(&mut deal);
        deal.sort_by_key(|&image| rarest(&labels[image]));
        // linfa's folds are runs of the list, and leave the rest of an uneven division out: fold by
        // fold, with gaps.
        let size = n.div_ceil(count);
        let place = |i: usize| deal.get(i % size * count + i / size).copied().unwrap_or(GAP);
        let records = Array2::from_shape_fn((size * count, 1), |(i, _)| place(i));
        let list = DatasetBase::new(records, Array1::from_elem(size * count, ()));
        let mut of_image = vec![0; n];
        for (fold, (_, held_out)) in list.fold(count).into_iter().enumerate() {
            for &image in held_out.records().iter().filter(|&&image| image != GAP) {
                of_image[image] = fold;
            }
        }
        Ok(Self { count, of_image })
    }

    /// Labels with the images of one fold left out.
    pub fn without(&self, sign: &[f32], fold: usize) -> Vec<f32> {
        let each = sign.iter().zip(&self.of_image);
        each.map(|(&y, &of)| if of == fold { 0.0 } else { y }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 37 images, a class of 7, one of 11 and one of 3 within the 11: no fold gets two more
    /// positives of a class than another one, and fold sizes differ by at most one.
    #[test]
    fn folds_are_even_and_spread_every_class() {
        let label = |yes: bool| if yes { Label::Yes } else { Label::No };
        let labels: Vec<Vec<Label>> = (0..37)
            .map(|i| vec![label(i < 7), label((10..21).contains(&i)), label((18..21).contains(&i))])
            .collect();
        let spread = |counts: &[usize]| counts.iter().max().unwrap() - counts.iter().min().unwrap();
        for seed in 0..20 {
            let folds = Folds::new(&labels, 5, Seed(seed)).unwrap();
            let mut sizes = [0; 5];
            let mut positives = [[0; 5]; 3];
            for (image, &fold) in folds.of_image.iter().enumerate() {
                sizes[fold] += 1;
                for class in 0..3 {
                    positives[class][fold] += usize::from(labels[image][class] == Label::Yes);
                }
            }
            assert_eq!(spread(&sizes), 1);
            // The second class is dealt in two runs (3 and 8 images), which may meet once.
            assert!(spread(&positives[0]) <= 1 && spread(&positives[2]) <= 1);
            assert!(spread(&positives[1]) <= 2);
        }
    }

    #[test]
    fn as_many_folds_as_images_is_leave_one_out_and_more_is_refused() {
        let labels = vec![vec![Label::Yes], vec![Label::No], vec![Label::Ignored]];
        let mut folds = Folds::new(&labels, 3, Seed(1)).unwrap().of_image;
        folds.sort_unstable();
        assert_eq!(folds, [0, 1, 2]);
        let problem = Folds::new(&labels, 4, Seed(1)).err().unwrap().to_string();
        assert!(problem.contains("svm.folds") && problem.contains("3"), "{problem}");
    }
}
