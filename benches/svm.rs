//! The classifier at the size of its work: 20 classes one against the rest on Fisher vectors of
//! 40,960 values. Forming the Gram matrix is most of it; one more fit, as in the choice of C, is the
//! difference between the lines. One thread.
//!
//! The Gram matrix of n rows takes n²·40,960 operations of multiply and add, half of them: at 5,000
//! rows 1.02 TFLOP, on 819 MB of rows. Of the rest each sweep over n rows reads n² values for each
//! group of classes.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fvtool::dataset::Label;
use fvtool::progress::Silent;
use fvtool::random::Seed;
use fvtool::svm::{self, Calibration, Params, Solver};
use ndarray::{Array2, Axis};

const CLASSES: usize = 20;
const DIM: usize = 40_960;

/// Unit rows of signed square roots: a common part, a part of the image's class, and noise, in the
/// proportions that give Fisher vectors their cosines of about 0.2 and 0.3.
fn vectors(n: usize) -> (Array2<f32>, Vec<Vec<Label>>) {
    let mut stream = Seed(1).stream("vectors", n as u64);
    // Two uniforms of 32 bits a word: as good as normals here, and quick to draw.
    let mut draw = move |count: usize| -> Vec<f32> {
        let half = |word: u32| word as f32 / 2f32.powi(31) - 1.0;
        (0..count.div_ceil(2))
            .flat_map(|_| {
                let word = stream.next_u64();
                [half(word as u32), half((word >> 32) as u32)]
            })
            .collect()
    };
    let parts = Array2::from_shape_vec((CLASSES + 1, DIM), draw((CLASSES + 1) * DIM)).unwrap();
    let mut x = Array2::from_shape_vec((n, DIM), draw(n * DIM)).unwrap();
    for (i, mut row) in x.rows_mut().into_iter().enumerate() {
        row.scaled_add(0.5, &parts.row(CLASSES));
        row.scaled_add(0.4, &parts.row(i % CLASSES));
        row.mapv_inplace(|v| v.abs().sqrt().copysign(v));
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    let label = |i: usize, class| if i % CLASSES == class { Label::Yes } else { Label::No };
    let labels = (0..n).map(|i| (0..CLASSES).map(|class| label(i, class)).collect()).collect();
    (x, labels)
}

fn training(c: &mut Criterion) {
    let names: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
    let mut group = c.benchmark_group("svm/d40960_classes20");
    group.sample_size(10);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for n in [1_000, 5_000] {
        let (x, labels) = vectors(n);
        group.throughput(Throughput::Elements(n as u64)); // reads as images per second
        let fit = Params { solver: Solver::Gram, ..Params::default() };
        let grid = vec![0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
        for (name, params) in [
            ("train", fit.clone()),
            ("train_platt", Params { calibration: Calibration::Platt, ..fit.clone() }),
            ("choose_c_of_8", Params { c_grid: grid, ..fit.clone() }),
        ] {
            group.bench_function(format!("{name}/{n}"), |b| {
                let x = x.view();
                b.iter(|| {
                    one.install(|| {
                        svm::train(black_box(&x), &labels, &names, &params, Seed(1), &Silent)
                            .unwrap()
                    })
                });
            });
        }
    }
    group.finish();
}

fn scoring(c: &mut Criterion) {
    let names: Vec<String> = (0..CLASSES).map(|class| class.to_string()).collect();
    let (x, labels) = vectors(500);
    let model =
        svm::train(&x.view(), &labels, &names, &Params::default(), Seed(1), &Silent).unwrap();
    let mut group = c.benchmark_group("svm/d40960_classes20");
    group.throughput(Throughput::Elements(x.len_of(Axis(0)) as u64));
    group.bench_function("scores/500", |b| b.iter(|| model.scores(black_box(&x.view())).unwrap()));
    group.finish();
}

criterion_group!(benches, training, scoring);
criterion_main!(benches);
