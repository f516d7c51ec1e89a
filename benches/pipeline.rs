//! Images from file to Fisher vector, preset `chatfield` without regions, on synthetic photographs: one
//! image on one thread, two threads against one, and the growth of the time with the number of images.

#![expect(clippy::unwrap_used, reason = "a bench may panic")]

mod work;

use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fvtool::describer::Workers;
use fvtool::gmm::{self, em, kmeans};
use fvtool::image::{Colours, Photo};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use ndarray::{Axis, s};
use rayon::ThreadPool;

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
    let describer = work::describer(projection, &gmm);
    let image = work::config().image;
    let mut workers = Workers::default();
    let mut group = c.benchmark_group("pipeline/500x375");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("decode", |b| {
        b.iter(|| Photo::open(&files[0], &image).unwrap().planes(&image, Colours::Luminance));
    });
    group.bench_function("encode, decoding included", |b| {
        b.iter(|| {
            let photo = Photo::open(&files[0], &image).unwrap();
            describer.describe(&photo, None, &mut workers).unwrap()
        });
    });
}

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// A run in `folder` with models fitted to four photographs, and splits of `size` named after their
/// numbers of images.
fn run(folder: &Path, size: [u32; 2], splits: &[usize]) -> Run<'static> {
    for &images in splits.iter().chain(&[4]) {
        let class = folder.join("data").join(images.to_string()).join("photographs");
        work::photographs_of(&class, size[0], size[1], images);
    }
    let settings = [
        "data.layout=splits",
        "encoding.regions=[\"1x1\"]",
        "sample.rows=20000",
        "gmm.kmeans_iterations=5",
        "gmm.max_iterations=5",
    ];
    let options = Options {
        config: Some("chatfield".into()),
        overrides: settings.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let run = Run::open(&folder.join("run"), &options, &Silent).unwrap();
    run.extract_and_fit_gmm(&folder.join("data"), "4").unwrap();
    run
}

/// The stage `encode` for a split that has no vectors yet: decoding, encoding, shards and index.
fn encode_split(b: &mut criterion::Bencher<'_>, run: &Run<'_>, pool: &ThreadPool, images: usize) {
    let (data, split) = (run.dir().with_file_name("data"), images.to_string());
    let forget = || {
        // The first time there is nothing to forget.
        let _ = std::fs::remove_dir_all(run.dir().join("fisher").join(&split));
    };
    b.iter_batched(
        forget,
        |()| assert!(pool.install(|| run.encode(&data, &split)).unwrap().stamp.made),
        BatchSize::PerIteration,
    );
}

/// Two threads against one, for the stages that must scale: encoding 64 photographs of 500 × 375
/// (images/s), k-means and EM on 200,000 × 80 rows, K = 256 (rows/s, once per pass).
///
/// Encoding: 8 GFLOP in products an image, working sets in cache, 24 kB read and 160 kB written.
/// k-means 8.2 and EM 33 GFLOP a pass, each reading 64 MB of rows.
fn threads(c: &mut Criterion) {
    const IMAGES: usize = 64;
    const ROWS: usize = 200_000;
    const ITERATIONS: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), [500, 375], &[IMAGES]);
    let raw = work::descriptors(&work::photographs(folder.path()));
    let rows = work::project(&work::projection(&raw), &raw);
    drop(raw);
    let mixture = em::Mixture::from(&work::mixture(&rows));
    let rows = rows.slice(s![..ROWS, ..]);
    let picked: Vec<usize> = (0..work::COMPONENTS).map(|k| k * ROWS / work::COMPONENTS).collect();
    let centres = rows.select(Axis(0), &picked);
    let params =
        gmm::Params { max_iterations: ITERATIONS, tolerance: 0.0, ..gmm::Params::default() };
    let floors = em::variance_floors(rows, &params);

    let mut group = c.benchmark_group("threads");
    group.sample_size(10);
    for threads in [1, 2] {
        let pool = pool(threads);
        group.throughput(Throughput::Elements(IMAGES as u64));
        group.bench_function(format!("encode {IMAGES} images/{threads}"), |b| {
            encode_split(b, &run, &pool, IMAGES);
        });
        group.throughput(Throughput::Elements((ROWS * (ITERATIONS + 1)) as u64));
        group.bench_function(format!("k-means/{threads}"), |b| {
            b.iter(|| {
                pool.install(|| kmeans::lloyd(rows, centres.clone(), ITERATIONS, &Silent).unwrap())
            });
        });
        group.bench_function(format!("em/{threads}"), |b| {
            b.iter(|| {
                pool.install(|| em::fit(rows, mixture.clone(), &floors, &params, &Silent).unwrap())
            });
        });
    }
}

/// Ten times the images take ten times as long: images/s must not fall. One thread, 160 × 120 pixels
/// (about 5,000 descriptors, 0.6 GFLOP in products an image), so that it takes seconds and not minutes;
/// each image writes 160 kB.
fn growth(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), [160, 120], &[25, 250]);
    let pool = pool(1);
    let mut group = c.benchmark_group("growth/160x120");
    group.sample_size(10);
    for images in [25, 250] {
        group.throughput(Throughput::Elements(images as u64));
        group.bench_function(format!("encode {images} images"), |b| {
            encode_split(b, &run, &pool, images);
        });
    }
}

criterion_group!(benches, encode, threads, growth);
criterion_main!(benches);
