//! The projection 128 → 80 at real sizes, one thread: rows of synthetic photographs.
//! Throughput in rows per second. Of a core's 262 GFLOP/s the products alone take the times given.

#![expect(clippy::unwrap_used, reason = "a bench may panic")]

mod work;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::projection::{Covariance, Projection};
use ndarray::s;

/// Rows of an image.
const IMAGE_ROWS: usize = 70_000;

/// One image: 2·N·128·80 = 1.4 GFLOP (5.5 ms). Reads 36 MB, writes 22 MB; in the pipeline both are
/// blocks in cache.
fn apply(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let raw = work::descriptors(&work::photographs(folder.path())[..1]);
    let projection = work::projection(&raw);
    let n = IMAGE_ROWS.min(raw.nrows());
    let rows = raw.slice(s![..n, ..]);
    let positions = vec![Position::at(0.5, 0.5); n];
    let mut out = vec![0.0; n * projection.output_dim()];
    let mut product = Vec::new();
    let mut group = c.benchmark_group("projection/d128_k80");
    group.throughput(Throughput::Elements(n as u64)).sample_size(30);
    group.bench_function("apply", |b| {
        b.iter(|| projection.apply(black_box(rows), &positions, &mut product, &mut out).unwrap());
    });
}

/// Covariance of four images' rows (N about 300,000) and its eigenvectors: N·128·129 flops, 5 GFLOP
/// (19 ms), and 150 MB read once; the eigenvectors (6 ms) do not depend on N.
fn fit(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let rows = work::descriptors(&work::photographs(folder.path()));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let params = work::config().pca;
    let mut group = c.benchmark_group("projection/fit_d128");
    group.throughput(Throughput::Elements(rows.nrows() as u64)).sample_size(20);
    group.bench_function("covariance and eigenvectors", |b| {
        b.iter(|| {
            one.install(|| {
                let mut covariance = Covariance::new(rows.row(0));
                covariance.add(black_box(rows.view()), &Silent).unwrap();
                Projection::fit(&covariance, &params, &Silent).unwrap()
            })
        });
    });
}

criterion_group!(benches, apply, fit);
criterion_main!(benches);
