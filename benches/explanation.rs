//! One image explained for 20 classes, beside its encoding, and the quality of one class's heatmap;
//! one thread, a synthetic photograph of 500 × 375 pixels, preset `chatfield` without regions.

#![expect(clippy::unwrap_used, reason = "a bench may panic")]

mod work;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fvtool::describer::{Describer, Examined, Workers};
use fvtool::encoding::Encoder;
use fvtool::encoding::contributions::{Contributions, Sums};
use fvtool::explanation::pixels::spread;
use fvtool::explanation::quality::{Draws, Perturbed, Replacement, Trace, descending};
use fvtool::explanation::{Classifier, Rule, relevance};
use fvtool::generative::Model;
use fvtool::gmm::Gmm;
use fvtool::image::Photo;
use fvtool::random::Seed;
use ndarray::Array2;

const CLASSES: usize = 20;

/// A photograph, its describer and the mixture of that.
fn prepared(folder: &std::path::Path) -> (std::path::PathBuf, Describer, Gmm) {
    let files = work::photographs(folder);
    let raw = work::descriptors(&files);
    let projection = work::projection(&raw);
    let gmm = work::mixture(&work::project(&projection, &raw));
    (files[0].clone(), work::describer(projection, &gmm), gmm)
}

/// An image costs its encoding, and for its relevance the posteriors once more as a list, two passes
/// over the contributions that count (about 20 a descriptor) and a product of these with the
/// coefficients of 20 classes: 160 · 20 multiply-adds each. Maps of all classes included. Throughput in
/// images.
fn explain(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (file, describer, _) = prepared(folder.path());
    let image = work::config().image;
    let photo = || Photo::open(&file, &image).unwrap();
    let encoder = describer.channels()[0].encoder.encoder();
    let mut stream = Seed(1).stream("weights", 0);
    let weights = Array2::from_shape_simple_fn((CLASSES, encoder.len()), || stream.normal() as f32);
    let bias = vec![-0.5; CLASSES];
    let classifier = Classifier { weights: weights.view(), bias: &bias };
    let mut workers = Workers::default();
    let mut group = c.benchmark_group("explanation/500x375");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    group.bench_function("encode, for comparison", |b| {
        b.iter(|| describer.describe(&photo(), None, &mut workers).unwrap());
    });
    for (name, rule) in [("epsilon", Rule::PUBLISHED), ("absolute", Rule::Absolute)] {
        group.bench_function(format!("{CLASSES} classes, {name}"), |b| {
            b.iter(|| {
                let mut parts = describer.examine(&photo(), None, &mut workers).unwrap();
                let Examined { frames, contributions, sums, .. } = parts.remove(0);
                let mut vector = Vec::new();
                encoder.normalised(&sums.signed, &contributions.region_rows(), &mut vector);
                let found = relevance(&contributions, &sums, &vector, classifier, rule).unwrap();
                (0..CLASSES)
                    .map(|class| spread(&frames, &found.of_class(class), 500, 375).largest())
                    .sum::<f64>()
            });
        });
    }
}

/// Algorithm 1 for one image of about 74,000 descriptors and one class: 10,000 descriptors replaced in
/// batches of 100, five repeats, draws included; decoding, descriptors and relevance are not. With the
/// orders of one rule (descending, ascending) and a random one, and with those of all four.
///
/// For each order 200,000 pairs of 160 values are taken away and 500 vectors of 40,960 values scored; a
/// million pairs are added, once for all orders. Sums are in f64, 330 kB for each repeat and order.
fn quality(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (file, describer, gmm) = prepared(folder.path());
    let encoder = describer.channels()[0].encoder.encoder();
    let mut stream = Seed(1).stream("weights", 0);
    let weights = Array2::from_shape_simple_fn((1, encoder.len()), || stream.normal() as f32);
    let classifier = Classifier { weights: weights.view(), bias: &[-0.5] };
    let photo = Photo::open(&file, &work::config().image).unwrap();
    let mut parts = describer.examine(&photo, None, &mut Workers::default()).unwrap();
    let Examined { contributions, sums, .. } = parts.remove(0);
    let mut vector = Vec::new();
    encoder.normalised(&sums.signed, &contributions.region_rows(), &mut vector);
    let of_rules = [Rule::PUBLISHED, Rule::Epsilon(1.0), Rule::Absolute, Rule::Plain].map(|rule| {
        relevance(&contributions, &sums, &vector, classifier, rule).unwrap().of_class(0)
    });
    let mut random: Vec<u32> = (0..contributions.len() as u32).collect();
    Seed(1).stream("order", 0).shuffle(&mut random);
    let random = &random[..10_000];
    let mut group = c.benchmark_group("quality");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    group.bench_function("one image and class", |b| {
        b.iter(|| {
            let down = descending(&of_rules[0]);
            let up: Vec<u32> = down.iter().rev().copied().take(10_000).collect();
            replace(
                encoder,
                &gmm,
                &contributions,
                &sums,
                classifier,
                [&down[..10_000], random, &up],
            )
        });
    });
    group.bench_function("one image and class, four rules", |b| {
        b.iter(|| {
            let down = of_rules.each_ref().map(|relevance| descending(relevance));
            let up: Vec<u32> = down[0].iter().rev().copied().take(10_000).collect();
            let [a, b, c, d] = down.each_ref().map(|order| &order[..10_000]);
            replace(encoder, &gmm, &contributions, &sums, classifier, [a, b, c, d, random, &up])
        });
    });
}

/// Draws, and the traces of the orders.
fn replace<const ORDERS: usize>(
    encoder: &Encoder,
    gmm: &Gmm,
    contributions: &Contributions<'_>,
    sums: &Sums,
    classifier: Classifier<'_>,
    orders: [&[u32]; ORDERS],
) -> [Trace; ORDERS] {
    let model = Model::from(gmm);
    let draws: Vec<Draws<'_>> = (0..5)
        .map(|repeat| {
            let mut stream = Seed(1).stream("draws", repeat);
            Draws::new([(encoder, Replacement::Model(&model))], orders[0].len(), &mut stream)
                .unwrap()
        })
        .collect();
    let perturbed = Perturbed::new([(contributions, &sums.signed[..], 1.0)]);
    perturbed.traces(classifier, 0, 0.0, orders, &draws, 100)
}

criterion_group!(benches, explain, quality);
criterion_main!(benches);
