//! Several channels in one classifier: late fusion and learned weights against what they stand for,
//! trained by hand.

use fvtool::dataset::Label;
use fvtool::linalg::{Joined, Rows};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use fvtool::svm::{self, Calibration, Fusion, Model, Params, Stop};
use ndarray::Array2;

const SEED: Seed = Seed(21);
const IMAGES: usize = 90;

/// Two channels of unit rows: one that tells three classes apart, and one of noise.
fn channels() -> (Array2<f32>, Array2<f32>, Vec<Vec<Label>>) {
    let mut stream = Seed(6).stream("fusion", 0);
    let centres = Array2::from_shape_simple_fn((3, 12), || stream.normal());
    let class_of: Vec<usize> = (0..IMAGES).map(|_| stream.below(3)).collect();
    let unit = |mut x: Array2<f32>| {
        for mut row in x.rows_mut() {
            let length = row.dot(&row).sqrt();
            row.mapv_inplace(|v| v / length);
        }
        x
    };
    let telling = Array2::from_shape_fn((IMAGES, 12), |(i, j)| {
        (centres[[class_of[i], j]] + 1.5 * stream.normal()) as f32
    });
    let noise = Array2::from_shape_simple_fn((IMAGES, 20), || stream.normal() as f32);
    let labels = class_of
        .iter()
        .map(|&own| (0..3).map(|c| if c == own { Label::Yes } else { Label::No }).collect());
    (unit(telling), unit(noise), labels.collect())
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|c| format!("class {c}")).collect()
}

fn train(rows: &dyn Rows, labels: &[Vec<Label>], params: &Params) -> Model {
    svm::train(rows, labels, &names(labels[0].len()), params, SEED, &Silent).unwrap()
}

fn joined<'a>(parts: &[(&'a Array2<f32>, f32)]) -> Joined<ndarray::ArrayView2<'a, f32>> {
    Joined::new(parts.iter().map(|(x, factor)| (x.view(), *factor, (0..IMAGES).collect())))
}

#[track_caller]
fn assert_near(a: &Array2<f32>, b: &Array2<f32>, tolerance: f32) {
    assert_eq!(a.dim(), b.dim());
    let furthest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest <= tolerance, "{furthest}");
}

#[test]
fn late_fusion_averages_the_scores_of_the_channels() {
    let (a, b, labels) = channels();
    let rows = joined(&[(&a, 0.8), (&b, 0.6)]);
    let alone = Params { calibration: Calibration::Platt, tolerance: 1e-4, ..Params::default() };
    let params = Params { fusion: Fusion::Scores, ..alone.clone() };
    let fused = train(&rows, &labels, &params);
    let [of_a, of_b] = [&a, &b].map(|x| train(&x.view(), &labels, &alone));
    let scores = |model: &Model, rows: &dyn Rows| model.scores(rows).unwrap();
    let expected =
        (scores(&of_a, &a.view()) * 0.8 + scores(&of_b, &b.view()) * 0.6) / (0.8f32 + 0.6);
    // Two solutions within a gap of 1e-4 of one optimum.
    assert_near(&scores(&fused, &rows), &expected, 5e-3);
    // The sigmoids are of averaged scores held out, not of either channel's.
    for class in 0..3 {
        let [fused, a, b] = [&fused, &of_a, &of_b].map(|model| model.sigmoids[class].unwrap());
        assert!(fused.a < 0.0 && fused != a && fused != b);
        let reports = [&of_a, &of_b].map(|model| &model.reports[class]);
        assert!(reports.iter().all(|report| report.stop == Stop::Converged));
    }
    let report = &fused.reports[0];
    assert_eq!(report.stop, Stop::Converged);
    assert!((report.primal - of_a.reports[0].primal - of_b.reports[0].primal).abs() < 1e-2);
}

#[test]
fn late_fusion_of_one_sided_classes_keeps_the_constant_score() {
    let (a, b, mut labels) = channels();
    labels.iter_mut().for_each(|of_image| of_image.extend([Label::No, Label::Yes]));
    let rows = joined(&[(&a, 0.8), (&b, 0.6)]);
    for fusion in [Fusion::Weights, Fusion::Learned, Fusion::Scores] {
        let model = train(&rows, &labels, &Params { fusion, ..Params::default() });
        let scores = model.scores(&rows).unwrap();
        assert!(scores.column(3).iter().all(|&s| (s + 1.0).abs() < 1e-6), "{fusion:?}");
        assert!(scores.column(4).iter().all(|&s| (s - 1.0).abs() < 1e-6), "{fusion:?}");
        assert_eq!(model.reports[3].stop, Stop::OneSided);
    }
}

/// The channel of noise loses weight; the model is that of rows joined with the weights found.
#[test]
fn learned_weights_rank_held_out_images_best() {
    let (a, b, labels) = channels();
    let rows = joined(&[(&a, 0.6), (&b, 0.8)]);
    let params = Params { fusion: Fusion::Learned, c_grid: vec![1.0, 10.0], ..Params::default() };
    let model = train(&rows, &labels, &params);
    let selection = model.selection.clone().unwrap();
    let chosen = &selection.weights;
    assert!((chosen.iter().map(|w| w * w).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(chosen[1] / chosen[0] < 0.8 / 0.6, "{chosen:?}");
    // Seven weights of the second channel, two values of C each; the given weights come first.
    assert_eq!(selection.candidates.len(), 14);
    assert!((selection.candidates[0].weights[1] - 0.8).abs() < 1e-6);
    let best = selection.candidates.iter().map(|c| c.mean_average_precision).fold(0.0, f64::max);
    let own = |c: &&svm::Candidate| c.weights == *chosen && c.c == selection.chosen;
    assert_eq!(selection.candidates.iter().find(own).unwrap().mean_average_precision, best);
    assert!(best > selection.candidates[0].mean_average_precision);

    let by_hand = joined(&[(&a, chosen[0] as f32), (&b, chosen[1] as f32)]);
    let direct = train(&by_hand, &labels, &Params { c: selection.chosen, ..Params::default() });
    assert_near(&model.scores(&rows).unwrap(), &direct.scores(&by_hand).unwrap(), 2e-3);
}

/// With one channel there is nothing to fuse: the same bits.
#[test]
fn one_channel_is_as_without_fusion() {
    let (a, _, labels) = channels();
    let plain = train(&a.view(), &labels, &Params::default());
    for fusion in [Fusion::Learned, Fusion::Scores] {
        assert_eq!(plain, train(&a.view(), &labels, &Params { fusion, ..Params::default() }));
    }
}

#[test]
fn what_cannot_be_chosen_is_refused() {
    let (a, b, labels) = channels();
    let rows = joined(&[(&a, 0.8), (&b, 0.6)]);
    let refused = |labels: &[Vec<Label>], params: &Params| {
        let names = names(labels[0].len());
        svm::train(&rows, labels, &names, params, SEED, &Silent).unwrap_err().to_string()
    };
    let grid = Params { fusion: Fusion::Scores, c_grid: vec![1.0], ..Params::default() };
    assert!(refused(&labels, &grid).contains("svm.c_grid"));
    // One positive: no fold has both a positive to train on and one to rank.
    let single: Vec<Vec<Label>> =
        (0..IMAGES).map(|i| vec![if i == 0 { Label::Yes } else { Label::No }]).collect();
    let learned = Params { fusion: Fusion::Learned, ..Params::default() };
    assert!(refused(&single, &learned).contains("svm.fusion"));
}
