//! One image from file to Fisher vector, one thread: a synthetic photograph of 500 × 375 pixels,
//! preset `chatfield` without regions.

#![expect(clippy::unwrap_used, reason = "a bench may panic")]

mod work;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fvtool::descriptors::{Extractor, Scratch};
use fvtool::encoding::{Encoder, Workspace};
use fvtool::image::load_luminance;
use ndarray::ArrayView2;

/// Decoding (0.7 ms), dense SIFT of four scales, projection (1.4 GFLOP) and Fisher vector (6.5 GFLOP)
/// of about 74,000 descriptors; at 262 GFLOP/s the products alone take 30 ms. Reads the file and
/// writes 160 kB; everything between goes block by block through the cache. Throughput in images.
fn encode(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let files = work::photographs(folder.path());
    let raw = work::descriptors(&files);
    let projection = work::projection(&raw);
    let gmm = work::mixture(&work::project(&projection, &raw));
    drop(raw);
    let config = work::config();
    let extractor = Extractor::new(&config.descriptors).unwrap();
    let encoder = Encoder::new(&gmm, &config.encoding).unwrap();
    let (mut scratch, mut workspace) = (Scratch::default(), Workspace::default());
    let (mut product, mut projected) = (Vec::new(), Vec::new());
    let mut group = c.benchmark_group("pipeline/500x375");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("decode", |b| {
        b.iter(|| load_luminance(&files[0], &config.image).unwrap());
    });
    group.bench_function("encode, decoding included", |b| {
        b.iter(|| {
            let plane = load_luminance(&files[0], &config.image).unwrap();
            let (width, height) = (plane.width as f32, plane.height as f32);
            encoder.begin(&mut workspace);
            extractor.for_each_block(&plane, &mut scratch, &mut |rows, frames| {
                let positions: Vec<[f32; 2]> =
                    frames.iter().map(|f| [(f.x + 0.5) / width, (f.y + 0.5) / height]).collect();
                projected.resize(rows.nrows() * work::DIM, 0.0);
                projection.apply(rows, &positions, &mut product, &mut projected).unwrap();
                let rows =
                    ArrayView2::from_shape((rows.nrows(), work::DIM), &projected[..]).unwrap();
                encoder.push(rows, &positions, &mut workspace).unwrap();
            });
            encoder.finish(&mut workspace).unwrap()
        });
    });
}

criterion_group!(benches, encode);
criterion_main!(benches);
