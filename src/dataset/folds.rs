//! Folds for cross-validation: every image is held out once, every class is spread, a group stays together.
//!
//! Units (images, or groups of them) go to folds one after the other, those of rare classes first, then large
//! ones, then in an order drawn from the seed. With `n_fc` the images of class `c` in fold `f` so far, `N_c`
//! those of all folds, and `n_f`, `N` the same without regard to class, a unit of `y_c` images of class `c`
//! and `y` in all goes where
//!
//! ```text
//! Σ_c y_c n_fc / N_c²  +  y n_f / N²
//! ```
//!
//! is smallest: where it adds least to `Σ_f Σ_c (n_fc / N_c)²`, which is least when every fold has the same
//! share of every class. For images of one class each this deals out class by class, as stratified folds do.
//! Source: STV11 (rare labels first, each where it is wanted most).

use std::collections::BTreeMap;

use super::items::Split;
use super::label::Label;
use crate::random::Seed;
use crate::{Error, Result};

/// The fold of every image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// Number of folds.
    pub count: usize,
    /// Fold of each image, from 0.
    pub of_image: Vec<usize>,
    /// Groups that were kept together; 0 where no image has a group.
    pub groups: usize,
}

/// Images that stay together.
struct Unit {
    images: Vec<usize>,
    /// Images of each class that it shows.
    shown: BTreeMap<usize, f64>,
    /// Images of the rarest of its classes.
    rarest: usize,
    draw: f64,
}

impl Folds {
    /// Deals the images of a split out to `count` folds. Another `repeat` deals otherwise.
    ///
    /// # Errors
    /// [`Error::Data`] when there are fewer images or groups than folds, or a class stands in one unit alone,
    /// so that it cannot be learned when that is held out.
    pub fn new(split: &Split, count: usize, seed: Seed, repeat: usize) -> Result<Self> {
        let mut units: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, item) in split.items.iter().enumerate() {
            let key = match &item.group {
                Some(group) => format!("group/{group}"),
                None => format!("image/{}", item.id),
            };
            units.entry(key).or_default().push(i);
        }
        let groups = units.keys().filter(|key| key.starts_with("group/")).count();
        let what = if groups > 0 { "groups" } else { "images" };
        if units.len() < count || count < 2 {
            let problem = format!(
                "split `{}` has {} {what}, and {count} folds need at least {} of them; give fewer --folds",
                split.name,
                units.len(),
                count.max(2)
            );
            return Err(Error::data(&split.root, problem));
        }
        let classes = split.classes.len();
        let shows = |image: usize, class: usize| split.labels[image][class] == Label::Yes;
        let mut images_of = vec![0usize; classes];
        let mut units_of = vec![0usize; classes];
        for images in units.values() {
            for class in 0..classes {
                let shown = images.iter().filter(|&&image| shows(image, class)).count();
                images_of[class] += shown;
                units_of[class] += usize::from(shown > 0);
            }
        }
        if let Some(class) = (0..classes).find(|&class| units_of[class] == 1) {
            let unit = if groups > 0 { "group" } else { "image" };
            let problem = format!(
                "class `{}` is in one {unit} of split `{}` alone: it cannot be learned from the others when that \
                 one is held out; add images of it, or leave the class out",
                split.classes[class], split.name
            );
            return Err(Error::data(&split.root, problem));
        }
        let unit = |(key, images): (String, Vec<usize>)| {
            let mut shown = BTreeMap::new();
            for class in 0..classes {
                let n = images.iter().filter(|&&image| shows(image, class)).count();
                if n > 0 {
                    shown.insert(class, n as f64);
                }
            }
            let rarest = shown.keys().map(|&class| images_of[class]).min().unwrap_or(usize::MAX);
            let draw = seed.stream(&format!("dataset/folds/{key}"), repeat as u64).unit();
            Unit { images, shown, rarest, draw }
        };
        let mut units: Vec<Unit> = units.into_iter().map(unit).collect();
        units.sort_by(|a, b| {
            let sizes = b.images.len().cmp(&a.images.len());
            a.rarest.cmp(&b.rarest).then(sizes).then(a.draw.total_cmp(&b.draw))
        });
        let all = split.items.len() as f64;
        let mut in_fold = vec![vec![0.0; classes]; count];
        let mut images_in = vec![0.0; count];
        let mut of_image = vec![0; split.items.len()];
        for unit in &units {
            let size = unit.images.len() as f64;
            let cost = |fold: usize| {
                let of_classes = unit.shown.iter().map(|(&class, shown)| {
                    shown * in_fold[fold][class] / (images_of[class] as f64).powi(2)
                });
                of_classes.sum::<f64>() + size * images_in[fold] / (all * all)
            };
            let cheapest = (0..count).min_by(|&a, &b| cost(a).total_cmp(&cost(b)));
            let fold = cheapest.expect("there are folds");
            images_in[fold] += size;
            unit.shown.iter().for_each(|(&class, shown)| in_fold[fold][class] += shown);
            unit.images.iter().for_each(|&image| of_image[image] = fold);
        }
        Ok(Self { count, of_image, groups })
    }

    /// The images of a fold, and all others.
    pub fn held_out(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.of_image.len()).partition(|&image| self.of_image[image] == fold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Inventory, Item};
    use std::path::Path;

    /// A split with these classes shown by each image, and groups.
    fn split(shown: &[Vec<usize>], groups: &[Option<&str>]) -> Split {
        let classes = 1 + shown.iter().flatten().max().unwrap();
        let item = |i: usize| {
            let group = groups.get(i).copied().flatten().map(str::to_owned);
            Item { group, ..Item::of_file(Path::new(&format!("{i:04}.png"))) }
        };
        let row = |of: &Vec<usize>| {
            let label = |class| if of.contains(&class) { Label::Yes } else { Label::No };
            (0..classes).map(label).collect()
        };
        Split {
            name: "all".into(),
            root: "data".into(),
            classes: (0..classes).map(|class| format!("c{class}")).collect(),
            items: (0..shown.len()).map(item).collect(),
            labels: shown.iter().map(row).collect(),
            single_label: shown.iter().all(|of| of.len() == 1),
            files: Inventory::default(),
            notes: Vec::new(),
        }
    }

    fn counts(split: &Split, folds: &Folds, class: usize) -> Vec<usize> {
        let mut counts = vec![0; folds.count];
        for (image, &fold) in folds.of_image.iter().enumerate() {
            counts[fold] += usize::from(split.labels[image][class] == Label::Yes);
        }
        counts
    }

    fn spread(counts: &[usize]) -> usize {
        counts.iter().max().unwrap() - counts.iter().min().unwrap()
    }

    #[test]
    fn classes_of_single_labels_are_spread_evenly() {
        let shown: Vec<Vec<usize>> = (0..103)
            .map(|i| {
                vec![if i < 7 {
                    0
                } else if i < 40 {
                    1
                } else {
                    2
                }]
            })
            .collect();
        let split = split(&shown, &[]);
        for repeat in 0..10 {
            let folds = Folds::new(&split, 5, Seed(3), repeat).unwrap();
            for class in 0..3 {
                assert!(spread(&counts(&split, &folds, class)) <= 1, "class {class}");
            }
            let mut sizes = vec![0; 5];
            folds.of_image.iter().for_each(|&fold| sizes[fold] += 1);
            assert!(spread(&sizes) <= 1, "{sizes:?}");
        }
        let of = |seed, repeat| Folds::new(&split, 5, Seed(seed), repeat).unwrap();
        assert_eq!(of(3, 0), of(3, 0));
        assert_ne!(of(3, 0), of(3, 1));
        assert_ne!(of(3, 0), of(4, 0));
    }

    #[test]
    fn several_labels_are_spread_too() {
        let shown: Vec<Vec<usize>> = (0..200)
            .map(|i| (0..6).filter(|class| (i * 7 + class * i) % (class + 3) == 0).collect())
            .collect();
        let split = split(&shown, &[]);
        let folds = Folds::new(&split, 4, Seed(1), 0).unwrap();
        for class in 0..6 {
            let counts = counts(&split, &folds, class);
            assert!(spread(&counts) <= 2, "class {class}: {counts:?}");
        }
    }

    #[test]
    fn a_group_stays_in_one_fold() {
        let shown: Vec<Vec<usize>> = (0..90).map(|i| vec![usize::from(i % 3 == 0)]).collect();
        let names: Vec<String> = (0..90).map(|i| format!("patient {}", i / 5)).collect();
        let groups: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let split = split(&shown, &groups);
        let folds = Folds::new(&split, 3, Seed(1), 0).unwrap();
        assert_eq!(folds.groups, 18);
        assert!((0..90).all(|i| folds.of_image[i] == folds.of_image[i / 5 * 5]));
        let counts = counts(&split, &folds, 1);
        assert!(spread(&counts) <= 2, "{counts:?}");
        let (held, rest) = folds.held_out(1);
        assert_eq!(held.len() + rest.len(), 90);
        assert!(held.iter().all(|&image| folds.of_image[image] == 1));
    }

    #[test]
    fn what_cannot_be_cross_validated_is_refused() {
        let split = split(&[vec![0], vec![0], vec![1], vec![0]], &[]);
        let problem = |count| Folds::new(&split, count, Seed(1), 0).unwrap_err().to_string();
        assert!(problem(5).contains("4 images"), "{}", problem(5));
        assert!(problem(1).contains("at least 2"), "{}", problem(1));
        assert!(problem(2).contains("class `c1` is in one image"), "{}", problem(2));
    }
}
