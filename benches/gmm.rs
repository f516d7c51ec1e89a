//! The mixture at real sizes, one thread: N × D rows of synthetic photographs, D = 80, K = 256.
//! Throughput in rows per second. Of a core's 262 GFLOP/s the products alone take the times given.

#![expect(clippy::unwrap_used, reason = "a bench may panic")]

mod work;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fvtool::encoding::{Encoder, Params, Workspace};
use fvtool::gmm::{self, em, kmeans};
use fvtool::position::Position;
use fvtool::progress::Silent;
use ndarray::{Array2, Axis, s};

/// Rows of an image, and of a fit.
const IMAGE_ROWS: usize = 70_000;
const FIT_ROWS: usize = 200_000;
/// Iterations in one measured fit; it makes one pass more, to measure its result.
const ITERATIONS: usize = 3;

fn rows() -> Array2<f32> {
    let folder = tempfile::tempdir().unwrap();
    let raw = work::descriptors(&work::photographs(folder.path()));
    work::project(&work::projection(&raw), &raw)
}

/// Posteriors, sums and normalisation of one image.
///
/// Posteriors are a product of 4·N·K·D = 5.7 GFLOP (22 ms); as much again when every posterior
/// counts, about an eighth of that when those up to 1e-6 are dropped. Reads 22 MB of rows; a block's
/// 0.65 MB of squares and values and 1 MB of posteriors stay in cache.
fn fisher(c: &mut Criterion) {
    let rows = rows();
    let gmm = work::mixture(&rows);
    let rows = rows.slice(s![..IMAGE_ROWS, ..]);
    let positions = vec![Position::at(0.5, 0.5); IMAGE_ROWS];
    let mut group = c.benchmark_group("fisher/n70000_d80_k256");
    group.throughput(Throughput::Elements(IMAGE_ROWS as u64)).sample_size(20);
    for (name, threshold) in [("posteriors above 1e-6", 1e-6), ("all posteriors", 0.0)] {
        let params = Params { posterior_threshold: threshold, ..Params::default() };
        let encoder = Encoder::new(&gmm, &params).unwrap();
        let mut workspace = Workspace::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                encoder.begin(&mut workspace);
                encoder.push(black_box(rows), &positions, &mut workspace).unwrap();
                encoder.finish(&mut workspace).unwrap()
            });
        });
    }
}

/// Iterations of the fits; throughput counts a row once per pass.
///
/// k-means: 2·N·K·D = 8.2 GFLOP (31 ms) a pass; EM: 8·N·K·D = 33 GFLOP (125 ms) a pass. Each reads
/// 64 MB of rows from memory.
fn fits(c: &mut Criterion) {
    let rows = rows();
    let mixture = em::Mixture::from(&work::mixture(&rows));
    let rows = rows.slice(s![..FIT_ROWS, ..]);
    let picked: Vec<usize> =
        (0..work::COMPONENTS).map(|k| k * FIT_ROWS / work::COMPONENTS).collect();
    let centres = rows.select(Axis(0), &picked);
    let params =
        gmm::Params { max_iterations: ITERATIONS, tolerance: 0.0, ..gmm::Params::default() };
    let floors = em::variance_floors(rows, &params);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();

    let mut group = c.benchmark_group("fit/n200000_d80_k256");
    group.throughput(Throughput::Elements((FIT_ROWS * (ITERATIONS + 1)) as u64)).sample_size(10);
    group.bench_function("k-means", |b| {
        b.iter(|| {
            one.install(|| kmeans::lloyd(rows, centres.clone(), ITERATIONS, &Silent).unwrap())
        });
    });
    group.bench_function("em", |b| {
        b.iter(|| {
            one.install(|| em::fit(rows, mixture.clone(), &floors, &params, &Silent).unwrap())
        });
    });
}

criterion_group!(benches, fisher, fits);
criterion_main!(benches);
