//! How the rows of an image's parts may be made one vector: table 1 of KBD19 (docs/REFERENCES.md), with
//! dense SIFT and without any training but that of a linear classifier.
//!
//! ```text
//! cargo run --release --example parts -- DATA [parts|boxes]
//! ```
//!
//! `DATA` is a data folder with the splits `train` and `test`; `fvtool demo --parts DATA` draws one. For every
//! image, the rows (SIFT → PCA) of each visible part are aggregated in three ways:
//!
//! - concatenation: the mean row of each part at the part's place in the vector, zeros where there is none;
//! - mean: the mean of all rows;
//! - Fisher vector of all rows.
//!
//! with parts in order, in an order drawn for every image, and with half of the visible parts of every image left
//! out (in both splits). Figures are means over [`DRAWS`] draws.

// The table is what it is for.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use fvtool::config::Config;
use fvtool::dataset::{Area, AreaKind, Dataset, Label, Split};
use fvtool::describer::{Reader, Seen};
use fvtool::descriptors::{Counting, Extractor, Inside, Scratch};
use fvtool::encoding::{Encoder, Workspace};
use fvtool::gmm::{self, Gmm};
use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::projection::{Covariance, Projection};
use fvtool::random::Seed;
use fvtool::svm;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use rayon::prelude::*;

/// Draws of orders and of hidden parts.
const DRAWS: u64 = 5;
/// Rows that the models are fitted to.
const ROWS: usize = 20_000;
/// Places of a concatenation, where parts have no names.
const PLACES: usize = 4;

/// The parts of an image: their place in a concatenation, and their rows.
type Parts = Vec<(usize, Array2<f32>)>;

/// What an aggregation is given.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    Ordered,
    Shuffled,
    Half,
}

/// How rows become a vector.
#[derive(Clone, Copy)]
enum Way {
    Concatenation,
    Mean,
    Fisher,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().context("give a data folder: parts DATA [parts|boxes]")?;
    let kind = match arguments.next().as_deref() {
        None | Some("parts") => AreaKind::Parts,
        Some("boxes") => AreaKind::Boxes,
        Some(other) => bail!("`{other}` is neither parts nor boxes"),
    };
    let overrides = ["pca.dimension=32", "gmm.components=16", "pca.append=\"none\""];
    let config = Config::named("quick")?.with_overrides(&overrides.map(str::to_owned))?;
    let dataset = Dataset::open(Path::new(&data), &config.data, config.seed)?;
    let [train, test] = ["train", "test"].map(|name| dataset.split_with(name, &[kind]));
    let (train, test) = (train?, test?);
    let names: BTreeSet<&str> =
        train.items.iter().flat_map(|item| item.areas.of(kind)).map(|a| a.name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let rows_of = |split: &Split| rows_of(&config, split, kind, &names);
    let (trained, tested) = (rows_of(&train)?, rows_of(&test)?);
    let (projection, mixture) = models(&config, &trained)?;
    let projected = |images: Vec<Parts>| -> Result<Vec<Parts>> {
        images.into_par_iter().map(|parts| project(&projection, parts)).collect()
    };
    let (trained, tested) = (projected(trained)?, projected(tested)?);
    let encoder = Encoder::new(&mixture, &config.encoding)?;
    let places = if names.is_empty() { PLACES } else { names.len() };

    let count = |images: &[Parts]| images.iter().filter(|parts| !parts.is_empty()).count();
    println!(
        "{} of {} and {} of {} images have {}; {places} places",
        count(&trained),
        trained.len(),
        count(&tested),
        tested.len(),
        kind.words()
    );
    println!("{:<16}{:>22}{:>22}{:>22}", "", "ordered", "shuffled", "half of them left out");
    for (name, way) in
        [("concatenation", Way::Concatenation), ("mean", Way::Mean), ("Fisher vector", Way::Fisher)]
    {
        print!("{name:<16}");
        for given in [Given::Ordered, Given::Shuffled, Given::Half] {
            let mut sums = [0.0; 2];
            let draws = if given == Given::Ordered { 1 } else { DRAWS };
            for draw in 0..draws {
                let vectors = |images: &[Parts], first: u64| {
                    let of_image = |(number, parts): (usize, &Parts)| {
                        let item = (draw << 32) + first + number as u64;
                        let parts = given.of(parts, Seed(1), item);
                        vector(way, &parts, places, &encoder)
                    };
                    images.par_iter().enumerate().map(of_image).collect::<Result<Vec<_>>>()
                };
                let rows = [vectors(&trained, 0)?, vectors(&tested, 1 << 31)?];
                let [map, accuracy] = figures(&config, rows, &train, &test)?;
                sums = [sums[0] + map, sums[1] + accuracy];
            }
            let [map, accuracy] = sums.map(|sum| 100.0 * sum / draws as f64);
            let text = match accuracy.is_nan() {
                true => format!("mAP {map:.1}"),
                false => format!("mAP {map:.1}, acc. {accuracy:.1}"),
            };
            print!("{text:>22}");
        }
        println!();
    }
    Ok(())
}

/// The descriptors of each part of each image.
fn rows_of(config: &Config, split: &Split, kind: AreaKind, names: &[&str]) -> Result<Vec<Parts>> {
    let extractor = Extractor::new(&config.descriptors)?;
    let reader = Reader::new(&config.image, &Arc::new(Seen::default()));
    let of_item = |scratch: &mut Scratch, item: &fvtool::dataset::Item| -> Result<Parts> {
        let photo = reader.read(item)?;
        let planes = photo.planes(&config.image, extractor.colours());
        let size = [planes[0].width, planes[0].height];
        let found = extractor.extract(&planes, scratch);
        let in_file = photo.size_in_file();
        let scale = [0, 1].map(|axis| size[axis] as f32 / in_file[axis] as f32);
        let marks = match kind {
            AreaKind::Parts => &photo.marks().parts,
            AreaKind::Boxes => &photo.marks().boxes,
        };
        let part = |(number, (area, mark)): (usize, (&Area, &[f32; 4]))| {
            let place = match names.is_empty() {
                true => Some(number).filter(|&number| number < PLACES),
                false => names.iter().position(|name| *name == area.name),
            };
            let [left, top, right, bottom] = *mark;
            let [x, y] = scale;
            let inside =
                Inside::new(vec![[left * x, top * y, right * x, bottom * y]], Counting::Each, size);
            let rows: Vec<usize> =
                (0..found.frames.len()).filter(|&n| inside.times(&found.frames[n]) > 0).collect();
            Some((place?, found.rows.select(Axis(0), &rows))).filter(|_| !rows.is_empty())
        };
        Ok(item.areas.of(kind).iter().zip(marks).enumerate().filter_map(part).collect())
    };
    split.items.par_iter().map_init(Scratch::default, of_item).collect()
}

/// Projection and mixture of a sample of the rows of parts.
fn models(config: &Config, images: &[Parts]) -> Result<(Projection, Gmm)> {
    let all: Vec<ArrayView2<'_, f32>> =
        images.iter().flatten().map(|(_, rows)| rows.view()).collect();
    let all = concatenate(Axis(0), &all)?;
    let chosen = Seed(2).stream("rows", 0).sample(all.nrows(), ROWS);
    let sample = all.select(Axis(0), &chosen);
    let mut covariance = Covariance::new(sample.row(0));
    covariance.add(sample.view(), &Silent)?;
    let projection = Projection::fit(&covariance, &config.pca, &Silent)?;
    let (_, sample) = project(&projection, vec![(0, sample)])?.remove(0);
    let mixture = gmm::fit(sample.view(), &config.gmm, config.seed, &Silent)?.gmm;
    Ok((projection, mixture))
}

fn project(projection: &Projection, parts: Parts) -> Result<Parts> {
    let of_part = |(place, rows): (usize, Array2<f32>)| {
        let shape = (rows.nrows(), projection.output_dim());
        let mut values = vec![0.0; shape.0 * shape.1];
        let positions = vec![Position::at(0.5, 0.5); shape.0];
        projection.apply(rows.view(), &positions, &mut Vec::new(), &mut values)?;
        Ok((place, Array2::from_shape_vec(shape, values)?))
    };
    parts.into_iter().map(of_part).collect()
}

impl Given {
    /// The parts of an image as an aggregation sees them.
    fn of(self, parts: &Parts, seed: Seed, item: u64) -> Parts {
        let mut parts = parts.clone();
        let mut stream = seed.stream("parts", item);
        match self {
            Self::Ordered => {}
            Self::Shuffled => {
                let mut places: Vec<usize> = parts.iter().map(|(place, _)| *place).collect();
                stream.shuffle(&mut places);
                parts.iter_mut().zip(places).for_each(|(part, place)| part.0 = place);
            }
            Self::Half => {
                let kept = stream.sample(parts.len(), parts.len().div_ceil(2));
                parts = kept.into_iter().map(|number| parts[number].clone()).collect();
            }
        }
        parts
    }
}

/// The vector of an image, of unit length; zeros where it has no part.
fn vector(way: Way, parts: &Parts, places: usize, encoder: &Encoder) -> Result<Array1<f32>> {
    let Some((_, first)) = parts.first() else {
        let dim = encoder.layout().dim();
        return Ok(Array1::zeros(match way {
            Way::Concatenation => places * dim,
            Way::Mean => dim,
            Way::Fisher => encoder.len(),
        }));
    };
    let dim = first.ncols();
    let mut vector = match way {
        Way::Concatenation => {
            let mut vector = Array2::zeros((places, dim));
            for (place, rows) in parts {
                let mean = rows.mean_axis(Axis(0)).context("a part has rows")?;
                vector.row_mut(*place).assign(&mean);
            }
            vector.flatten().to_owned()
        }
        Way::Mean => {
            let all: Vec<ArrayView2<'_, f32>> = parts.iter().map(|(_, rows)| rows.view()).collect();
            concatenate(Axis(0), &all)?.mean_axis(Axis(0)).context("a part has rows")?
        }
        Way::Fisher => {
            let mut workspace = Workspace::default();
            encoder.begin(&mut workspace);
            for (_, rows) in parts {
                let positions = vec![Position::at(0.5, 0.5); rows.nrows()];
                encoder.push(rows.view(), &positions, &mut workspace)?;
            }
            encoder.finish(&mut workspace)?.into()
        }
    };
    let length = vector.dot(&vector).sqrt();
    vector.mapv_inplace(|value| if length > 0.0 { value / length } else { 0.0 });
    Ok(vector)
}

/// Mean average precision, and accuracy where every image has one class (otherwise no number).
fn figures(
    config: &Config,
    rows: [Vec<Array1<f32>>; 2],
    train: &Split,
    test: &Split,
) -> Result<[f64; 2]> {
    let [rows, tested] = rows.map(|rows| {
        let views: Vec<_> = rows.iter().map(|row| row.view().insert_axis(Axis(0))).collect();
        concatenate(Axis(0), &views)
    });
    let params = svm::Params { c_grid: vec![0.1, 1.0, 10.0, 100.0], ..config.svm.clone() };
    let (rows, classes) = (rows?, &train.classes);
    let model = svm::train(&rows.view(), &train.labels, classes, &params, config.seed, &Silent)?;
    let scores = model.scores(&tested?.view())?;
    let precision = |class: usize| -> Option<f64> {
        let mut ranked: Vec<usize> = (0..test.items.len())
            .filter(|&image| test.labels[image][class] != Label::Ignored)
            .collect();
        ranked.sort_by(|&a, &b| scores[[b, class]].total_cmp(&scores[[a, class]]));
        let (mut hits, mut sum) = (0, 0.0);
        for (rank, &image) in (1..).zip(&ranked) {
            if test.labels[image][class] == Label::Yes {
                hits += 1;
                sum += f64::from(hits) / f64::from(rank);
            }
        }
        (hits > 0).then(|| sum / f64::from(hits))
    };
    let precisions: Vec<f64> = (0..classes.len()).filter_map(precision).collect();
    let map = precisions.iter().sum::<f64>() / precisions.len() as f64;
    let one = |labels: &Vec<Label>| labels.iter().filter(|&&l| l == Label::Yes).count() == 1;
    if !test.labels.iter().all(one) {
        return Ok([map, f64::NAN]);
    }
    let right = |(image, labels): &(usize, &Vec<Label>)| {
        let best =
            (0..classes.len()).max_by(|&a, &b| scores[[*image, a]].total_cmp(&scores[[*image, b]]));
        best.is_some_and(|class| labels[class] == Label::Yes)
    };
    let hits = test.labels.iter().enumerate().filter(right).count();
    Ok([map, hits as f64 / test.labels.len() as f64])
}
