//! Dense SIFT on one plane of 500 × 375 pixels, one thread; throughput in descriptors per second.
//!
//! The plane is drawn, not a photograph: time does not depend on its content, except that empty
//! descriptors are not normalised, and here few are empty.

#![expect(clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fvtool::descriptors::{Extractor, Params, Scratch, Window};
use fvtool::image::{Plane, resize, smooth};
use fvtool::random::Seed;

/// Smoothed noise over waves: edges in every direction and at every scale.
fn plane() -> Plane {
    let mut noise = Seed(1).stream("bench", 0);
    let (mut waves, scale) = (Plane::from_fn(500, 375, |_, _| noise.unit() as f32), 0.05);
    for (i, v) in waves.values.iter_mut().enumerate() {
        let (x, y) = ((i % 500) as f32, (i / 500) as f32);
        *v = 0.5 * *v + 0.25 * ((x * scale).sin() + (y * x * scale * 0.01).cos());
    }
    smooth(&waves, 0.8)
}

fn extract(c: &mut Criterion) {
    let image = plane();
    let mut group = c.benchmark_group("dense_sift/500x375");
    let recipe = |bins: &[usize], window| Params {
        bin_sizes_px: bins.to_vec(),
        window,
        ..Params::default()
    };
    let vlfeat = Params {
        bin_sizes_px: vec![8],
        step_px: 4,
        scales: (-6..=2).rev().map(|e| 2f64.powf(f64::from(e) / 2.0)).collect(),
        magnif: 0.0,
        ..Params::default()
    };
    for (name, params) in [
        ("flat bins 4 6 8 10", recipe(&[4, 6, 8, 10], Window::Flat)),
        ("gaussian bins 4 6 8 10", recipe(&[4, 6, 8, 10], Window::Gaussian)),
        ("flat bin 4", recipe(&[4], Window::Flat)),
        ("flat bin 10", recipe(&[10], Window::Flat)),
        ("flat bin 8, nine factors", vlfeat),
    ] {
        let extractor = Extractor::new(&params).unwrap();
        let mut scratch = Scratch::default();
        group.throughput(Throughput::Elements(extractor.count(500, 375) as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                extractor.for_each_block(&image, &mut scratch, &mut |rows, frames| {
                    black_box((rows, frames));
                });
            });
        });
    }
}

fn planes(c: &mut Criterion) {
    let image = plane();
    let mut group = c.benchmark_group("plane/500x375");
    group.bench_function("resize to half", |b| b.iter(|| resize(black_box(&image), 250, 188)));
    group.bench_function("smooth 1.33 px", |b| b.iter(|| smooth(black_box(&image), 8.0 / 6.0)));
}

criterion_group!(benches, extract, planes);
criterion_main!(benches);
