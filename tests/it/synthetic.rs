//! The synthetic data set: nothing but seed and index matters, what is planted is where and as
//! often as stated, and the files open as a PASCAL VOC folder.

// Helpers are tests too, but clippy.toml's exception covers `#[test]` functions alone.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use Label::{Ignored, Yes};
use fvtool::dataset::synthetic::{
    Background, CLASSES, Generator, LEAF, SPIRAL, STAMP_WITH_LEAF, STAR, Synthetic, TAG_WITH_STAR,
    WAVES_WITH_SPIRAL, WAVES_WITHOUT_SPIRAL,
};
use fvtool::dataset::{Dataset, Label, Layout, Params};
use fvtool::random::Seed;
use tempfile::TempDir;

#[allow(clippy::disallowed_methods, reason = "a fixture, not an artifact")]
fn put(root: &Path, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn open(root: &Path) -> Dataset {
    Dataset::open(root, &Params::default(), Seed(1)).unwrap()
}

fn generator(seed: u64, plant_tag: bool) -> Generator {
    let params =
        Synthetic { train_images: 300, test_images: 300, plant_tag, ..Synthetic::default() };
    Generator::new(&params, Seed(seed)).unwrap()
}

#[test]
fn a_synthetic_image_depends_on_seed_and_index_alone() {
    let hash = |generator: &Generator, index| blake3::hash(&generator.jpeg(index));
    let one = generator(1, true);
    let forward: Vec<_> = (0..6).map(|i| hash(&one, i)).collect();
    let backward: Vec<_> = (0..6).rev().map(|i| hash(&generator(1, true), i)).collect();
    assert!(forward.iter().eq(backward.iter().rev()));
    // Neither does the number of images matter.
    let few = Synthetic { train_images: 6, test_images: 6, ..Synthetic::default() };
    let few = Generator::new(&few, Seed(1)).unwrap();
    assert!((0..6).all(|i| hash(&few, i) == forward[i]));
    assert!((0..6).all(|i| hash(&generator(2, true), i) != forward[i]));
    assert_eq!(one.files(), generator(1, true).files());
    let decoded = image::load_from_memory(&one.jpeg(0)).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (240, 180));
}

#[test]
fn the_tag_is_where_it_is_said_and_nowhere_else() {
    let (with, without) = (generator(1, true), generator(1, false));
    let [left, top, right, bottom] = with.tag_bounds();
    assert!(right < 240 / 2 && top > 180 / 2 && bottom < 180, "bottom left");
    assert_eq!(with.files(), without.files());
    let mut seen = [false; 2];
    for index in 0..40 {
        assert!(!without.is_tagged(index));
        let (a, b) = (with.image(index), without.image(index));
        let differing: Vec<(u32, u32)> = a
            .enumerate_pixels()
            .filter(|(x, y, pixel)| b.get_pixel(*x, *y) != *pixel)
            .map(|(x, y, _)| (x, y))
            .collect();
        assert_eq!(differing.is_empty(), !with.is_tagged(index), "image {index}");
        assert!(
            differing.iter().all(|(x, y)| (left..=right).contains(x) && (top..=bottom).contains(y))
        );
        seen[usize::from(with.is_tagged(index))] = true;
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn the_stamp_is_where_it_is_said_and_in_another_place_each_time() {
    let with = generator(1, true);
    let params = Synthetic {
        train_images: 300,
        test_images: 300,
        plant_stamp: false,
        ..Synthetic::default()
    };
    let without = Generator::new(&params, Seed(1)).unwrap();
    let mut places = Vec::new();
    for index in 0..60 {
        assert_eq!(without.stamp(index), None);
        let (a, b) = (with.image(index), without.image(index));
        let differing: Vec<[f32; 2]> = a
            .enumerate_pixels()
            .filter(|(x, y, pixel)| b.get_pixel(*x, *y) != *pixel)
            .map(|(x, y, _)| [x as f32, y as f32])
            .collect();
        let Some(centre) = with.stamp(index) else {
            assert!(differing.is_empty(), "image {index}");
            continue;
        };
        let far = |[x, y]: &[f32; 2]| (x - centre[0]).hypot(y - centre[1]) > 15.0;
        assert!(differing.len() > 100 && !differing.iter().any(far), "image {index}");
        places.push(centre);
    }
    let [min, max] =
        [f32::min, f32::max].map(|of| places.iter().map(|place| place[0]).reduce(of).unwrap());
    assert!(places.len() >= 5 && max - min > 60.0, "{places:?}");
}

#[test]
fn classes_contexts_and_tags_come_as_often_as_stated() {
    let generator = generator(3, true);
    let labels: Vec<_> = (0..600).map(|i| generator.labels(i)).collect();
    for range in [0..300, 300..600] {
        let share = |of: &dyn Fn(usize) -> bool, among: &dyn Fn(usize) -> bool| {
            let all: Vec<usize> = range.clone().filter(|&i| among(i)).collect();
            let some = all.iter().filter(|&&i| of(i)).count();
            (some as f64 / all.len() as f64, all.len() as f64)
        };
        // Five standard deviations of a binomial share are allowed.
        let close = |(got, n): (f64, f64), expected: f64| {
            assert!(
                (got - expected).abs() < 5.0 * (expected * (1.0 - expected) / n).sqrt(),
                "{got} of {n}, expected {expected}"
            );
        };
        let shows = |class: usize| {
            let labels = &labels;
            move |i: usize| labels[i][class] == Yes
        };
        let star = shows(STAR);
        let spiral = shows(SPIRAL);
        let waves = |i: usize| generator.background(i) == Background::Waves;
        close(share(&|i| generator.is_tagged(i), &star), TAG_WITH_STAR);
        assert_eq!(share(&|i| generator.is_tagged(i), &|i| !star(i)).0, 0.0);
        let (leaf, stamped) = (shows(LEAF), |i: usize| generator.stamp(i).is_some());
        close(share(&stamped, &leaf), STAMP_WITH_LEAF);
        assert_eq!(share(&stamped, &|i| !leaf(i)).0, 0.0);
        close(share(&waves, &spiral), WAVES_WITH_SPIRAL);
        close(share(&waves, &|i| !spiral(i)), WAVES_WITHOUT_SPIRAL);
        for (class, name) in CLASSES.iter().enumerate() {
            let prevalence = share(&shows(class), &|_| true).0;
            assert!((0.2..0.4).contains(&prevalence), "{name} {prevalence}");
        }
        let ignored = range.clone().filter(|&i| labels[i].contains(&Ignored)).count();
        assert!((15..90).contains(&ignored), "{ignored} of 300 with difficult objects alone");
    }
}

#[test]
fn every_class_is_there_even_in_the_smallest_set() {
    let params = Synthetic { train_images: 6, test_images: 6, ..Synthetic::default() };
    let generator = Generator::new(&params, Seed(5)).unwrap();
    for range in [0..6, 6..12] {
        for (class, name) in CLASSES.iter().enumerate() {
            assert!(range.clone().any(|i| generator.labels(i)[class] == Yes), "{name}");
        }
    }
    let wrong = Synthetic { width_px: 10, ..Synthetic::default() };
    let message = Generator::new(&wrong, Seed(5)).unwrap_err().to_string();
    assert_eq!(message, "setting `demo.width_px` is 10; it must be a whole number from 96 to 4096");
}

#[test]
fn the_synthetic_folder_opens_and_its_lists_agree_with_its_boxes() {
    let generator = generator(4, true);
    let root = TempDir::new().unwrap();
    for (path, content) in generator.files() {
        put(root.path(), path, content);
    }
    put(root.path(), generator.image_path(0), generator.jpeg(0));
    let dataset = open(root.path());
    assert_eq!(dataset.layout(), Layout::Voc);
    assert_eq!(dataset.classes(), CLASSES);
    assert_eq!(dataset.splits(), ["test", "train"]);
    let (train, test) = (dataset.split("train").unwrap(), dataset.split("test").unwrap());
    assert!(train.items[0].path.is_file());
    for (split, first) in [(&train, 0), (&test, 300)] {
        assert_eq!(split.items.len(), 300);
        for (i, item) in split.items.iter().enumerate() {
            assert_eq!(item.id, Generator::id(first + i));
            assert_eq!(split.labels[i], generator.labels(first + i));
            assert!((1..=3).contains(&item.objects.len()));
            for object in &item.objects {
                let [l, t, r, b] = object.bounds;
                assert!(0.0 <= l && l <= r && r < 240.0 && 0.0 <= t && t <= b && b < 180.0);
                assert!(object.difficult || (r - l).max(b - t) >= 15.0, "{:?}", object.bounds);
            }
        }
    }
    // Without class lists the annotations alone give the same labels.
    for class in CLASSES {
        for split in ["train", "test"] {
            let list = format!("ImageSets/Main/{class}_{split}.txt");
            std::fs::remove_file(root.path().join(list)).unwrap();
        }
    }
    assert_eq!(open(root.path()).split("train").unwrap().labels, train.labels);
    assert_eq!(open(root.path()).split("test").unwrap().labels, test.labels);
}
