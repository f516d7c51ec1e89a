//! Learning on rows whose classes differ in a direction that PCA does not keep.

use ndarray::Array2;

use super::{Fit, Image, Lesson, Params, State, Stop, fit};
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::gmm::{self, Gmm};
use crate::position::Position;
use crate::progress::Silent;
use crate::projection::{self, Covariance, Projection};
use crate::random::Seed;

/// Values of a row; the last tells the classes apart, and varies least.
const RAW: usize = 6;
const IMAGES: usize = 60;

struct World {
    images: Vec<Image>,
    labels: Vec<Vec<Label>>,
    projection: Projection,
    mixture: Gmm,
}

fn world() -> World {
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for number in 0..IMAGES {
        let stream = &mut Seed(1).stream("world", number as u64);
        let class = number % 2;
        let rows = Array2::from_shape_fn((40, RAW), |(_, j)| {
            let wide = (stream.normal() * 2.0) as f32;
            let side = if class == 1 { 0.5 } else { -0.5 };
            let narrow = side + 0.3 * stream.normal() as f32;
            if j + 1 < RAW { wide } else { narrow }
        });
        images.push(Image { rows, positions: vec![Position::at(0.5, 0.5); 40] });
        let label = |c: usize| if c == class { Label::Yes } else { Label::No };
        labels.push(vec![label(0), label(1)]);
    }
    let all: Vec<f32> = images.iter().flat_map(|image| image.rows.iter().copied()).collect();
    let all = Array2::from_shape_vec((IMAGES * 40, RAW), all).unwrap();
    let mut covariance = Covariance::new(all.row(0));
    covariance.add(all.view(), &Silent).unwrap();
    let pca = projection::Params { dimension: 2, ..Default::default() };
    let projection = Projection::fit(&covariance, &pca, &Silent).unwrap();
    let mut projected = Array2::zeros((all.nrows(), 2));
    let places = vec![Position::at(0.5, 0.5); all.nrows()];
    let out = projected.as_slice_mut().unwrap();
    projection.apply(all.view(), &places, &mut Vec::new(), out).unwrap();
    let params = gmm::Params { components: 2, ..Default::default() };
    let mixture = gmm::fit(projected.view(), &params, Seed(1), &Silent).unwrap().gmm;
    World { images, labels, projection, mixture }
}

fn params() -> Params {
    Params {
        joint: true,
        epochs: 12,
        batch_images: 8,
        rows_per_image: 30,
        learning_rate: 0.03,
        head_factor: 3.0,
        ..Default::default()
    }
}

impl World {
    fn learn(
        &self,
        params: &Params,
        resumed: Option<State>,
        keep: &mut dyn FnMut(&State) -> Result<()>,
    ) -> Result<Fit> {
        let lesson = Lesson {
            images: &self.images,
            labels: &self.labels,
            projection: &self.projection,
            mixture: &self.mixture,
            params,
            variance_floor: 1e-4,
            seed: Seed(1),
        };
        fit(&lesson, resumed, &Silent, keep)
    }
}

#[test]
fn it_learns_the_direction_that_tells_classes_apart() {
    let world = world();
    let fit = world.learn(&params(), None, &mut |_| Ok(())).unwrap();
    let (first, best) = (&fit.history[0], &fit.history[fit.best_epoch - 1]);
    assert!(best.loss < 0.5 * first.loss, "{:?}", fit.history);
    assert!(best.held_out.unwrap() < 0.3, "{:?}", fit.history);
    assert_eq!((fit.held_out, fit.stop), (6, Stop::Epochs));
    // The share of the last value in what is kept, before and after.
    let share = |components: ndarray::ArrayView2<'_, f32>| {
        let of = |row: ndarray::ArrayView1<'_, f32>| row[RAW - 1].powi(2) / row.dot(&row);
        components.rows().into_iter().map(of).fold(0.0, f32::max)
    };
    let before = share(world.projection.components());
    let after = share(fit.learned.components.view());
    assert!(before < 0.1 && after > 0.5, "{before} {after}");
    assert!(fit.learned.mixture.to_gmm().is_ok());
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let world = world();
    let short = Params { epochs: 2, ..params() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| world.learn(&short, None, &mut |_| Ok(())).unwrap().learned)
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_is_interrupted_goes_on_to_the_same_bits() {
    let world = world();
    let whole = world.learn(&params(), None, &mut |_| Ok(())).unwrap();
    let mut kept = None;
    let stopped = world.learn(&params(), None, &mut |state| {
        kept = Some(state.clone());
        if state.history.len() == 5 { Err(Error::Interrupted) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(Error::Interrupted)));
    let resumed = world.learn(&params(), kept, &mut |_| Ok(())).unwrap();
    assert_eq!(resumed.learned, whole.learned);
    assert_eq!((resumed.history, resumed.best_epoch), (whole.history, whole.best_epoch));
}

#[test]
fn without_images_held_out_the_last_epoch_is_kept_and_with_patience_it_stops() {
    let world = world();
    let all = Params { held_out: 0.0, epochs: 3, ..params() };
    let fit = world.learn(&all, None, &mut |_| Ok(())).unwrap();
    assert_eq!((fit.best_epoch, fit.held_out, fit.history[2].held_out), (3, 0, None));
    // Steps so small that nothing is learned: the first epochs are soon the best.
    let still = Params { learning_rate: 1e-12, patience: 1, epochs: 50, ..params() };
    let fit = world.learn(&still, None, &mut |_| Ok(())).unwrap();
    assert_eq!(fit.stop, Stop::Patience);
    assert!(fit.history.len() < 50 && fit.best_epoch < fit.history.len(), "{:?}", fit.history);
}

#[test]
fn steps_that_are_too_long_are_said_and_the_last_good_epoch_is_kept() {
    let world = world();
    let wild = Params { learning_rate: 1.0, head_factor: 10_000.0, ..params() };
    let refused = world.learn(&wild, None, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(refused.contains("layer.learning_rate") && refused.contains("smaller"), "{refused}");
    // After good epochs: these are kept.
    let mut kept = None;
    let short = Params { epochs: 3, ..params() };
    let good = world
        .learn(&short, None, &mut |state| {
            kept = Some(state.clone());
            Ok(())
        })
        .unwrap();
    let fit = world.learn(&wild, kept, &mut |_| Ok(())).unwrap();
    assert_eq!(fit.stop, Stop::Diverged);
    assert_eq!((fit.best_epoch, fit.learned), (good.best_epoch, good.learned));
}

#[test]
fn labels_of_several_classes_and_ignored_ones_are_learned_from() {
    let mut world = world();
    world.labels.iter_mut().for_each(|labels| labels.push(Label::Ignored));
    world.labels[0][2] = Label::Yes;
    world.labels[1] = vec![Label::Yes, Label::Yes, Label::No];
    let fit = world.learn(&Params { epochs: 6, ..params() }, None, &mut |_| Ok(())).unwrap();
    assert!(!fit.learned.head.one_class);
    assert!(fit.history[5].loss < fit.history[0].loss, "{:?}", fit.history);
}
