//! `fvtool bench-stage`: one stage on `.npy` files, timed. Hidden; for `scripts/compare_peers.py`.
//!
//! ```text
//! fvtool bench-stage STAGE --input X.npy … [--set KEY=VALUE] [--iterations N]
//!                          [--repeat N] [--output Y.npy]
//! ```
//!
//! | stage | inputs, in order (f32, C order) | output | passes |
//! |---|---|---|---|
//! | `sift` | luminance `H × W` in [0, 1] | descriptors `N × 128` | 1 |
//! | `project` | rows `N × D`, mean `D`, components `k × D` | `N × k` | 1 |
//! | `pca-fit` | rows `N × D` | components `k × D` | 1 |
//! | `kmeans` | rows `N × D`, centres `K × D` to start from | centres `K × D` | iterations + 1 |
//! | `em` | rows `N × D`, weights `K`, means `K × D`, variances `K × D` to start from | `K × (1 + 2D)`: weight, means, variances | iterations + 1 |
//! | `svm` | rows `N × D`, class `N` (0, 1 …) | scores `N × M` of the training rows | 1 |
//! | `fisher` | rows `N × D`, weights, means, variances as above | vector `2KD` | 1 |
//!
//! Settings are those of preset `vlfeat` (`sift`: the default descriptors), changed by `--set`.
//! Prints one line of JSON: `seconds` of every repetition (the stage alone, inputs read before and
//! the output written after), `passes` over the rows that each holds (k-means and EM end with a
//! pass that measures the result), `rows`, `threads`. Buffers of workers live through all
//! repetitions, as they live through all images of a run, so the first is slower.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::artifacts::{Npy, write_among_others};
use crate::config::Config;
use crate::dataset::Label;
use crate::encoding::{Encoder, Workspace};
use crate::gmm::{Gmm, em, kmeans};
use crate::image::Plane;
use crate::position::Position;
use crate::progress::Silent;
use crate::projection::{Append, Covariance, Projection};
use crate::{descriptors, gmm, svm};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ndarray::{Array2, ArrayView2, Axis, Ix1, concatenate};
use ndarray_npy::WriteNpyExt;
use serde_json::json;

use super::outcome::Outcome;

/// Arguments of `bench-stage`.
#[derive(Args)]
pub struct BenchStage {
    /// What to time
    #[arg(value_enum)]
    stage: Stage,
    /// Input arrays, f32 .npy, in the order that the stage wants them
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// Where the result goes, as a new .npy file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Override one setting; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Iterations of k-means or EM in one repetition
    #[arg(long, value_name = "N", default_value_t = 4)]
    iterations: usize,
    /// Repetitions
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
}

/// A stage that can be timed alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    Sift,
    Project,
    PcaFit,
    Kmeans,
    Em,
    Fisher,
    Svm,
}

/// Times of the repetitions, and the last one's result.
struct Timed {
    seconds: Vec<f64>,
    result: Array2<f32>,
}

pub fn run(args: &BenchStage, out: &mut dyn Write) -> Result<Outcome> {
    let base = match args.stage {
        Stage::Sift => Config::default(),
        _ => Config::named("vlfeat")?,
    };
    if let Some(path) = &args.output {
        let named = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        ensure!(named, "{}: the result is an array; end the name with .npy", path.display());
        let free = path.symlink_metadata().is_err();
        ensure!(free, "{}: is there already; name a new file, or remove it", path.display());
    }
    let config = base.with_overrides(&args.overrides)?;
    config.validate()?;
    let inputs: Vec<Npy> =
        args.input.iter().map(|path| Npy::open(path)).collect::<crate::Result<_>>()?;
    let expected = match args.stage {
        Stage::Sift | Stage::PcaFit => 1,
        Stage::Kmeans | Stage::Svm => 2,
        Stage::Project => 3,
        Stage::Em | Stage::Fisher => 4,
    };
    ensure!(inputs.len() == expected, "this stage takes {expected} arrays, got {}", inputs.len());
    let timed = match args.stage {
        Stage::Sift => sift(args, &config, &inputs)?,
        Stage::Project => project(args, &inputs)?,
        Stage::PcaFit => pca_fit(args, &config, &inputs)?,
        Stage::Kmeans => fit_kmeans(args, &inputs)?,
        Stage::Em => fit_em(args, &config, &inputs)?,
        Stage::Fisher => fisher(args, &config, &inputs)?,
        Stage::Svm => train_svm(args, &config, &inputs)?,
    };
    if let Some(path) = &args.output {
        let write = |file: &mut dyn Write| timed.result.write_npy(file);
        write_among_others(path, |file| write(file).map_err(std::io::Error::other))?;
    }
    let passes = match args.stage {
        Stage::Kmeans | Stage::Em => args.iterations + 1,
        _ => 1,
    };
    let rows =
        if args.stage == Stage::Sift { timed.result.nrows() } else { inputs[0].view().shape()[0] };
    let threads = rayon::current_num_threads();
    let line =
        json!({ "seconds": timed.seconds, "passes": passes, "rows": rows, "threads": threads });
    writeln!(out, "{line}")?;
    Ok(Outcome::Done)
}

impl BenchStage {
    fn time(&self, mut work: impl FnMut() -> Result<Array2<f32>>) -> Result<Timed> {
        let mut seconds = Vec::new();
        loop {
            let started = Instant::now();
            let result = work()?;
            seconds.push(started.elapsed().as_secs_f64());
            if seconds.len() == usize::from(self.repeat) {
                return Ok(Timed { seconds, result });
            }
        }
    }
}

fn sift(args: &BenchStage, config: &Config, inputs: &[Npy]) -> Result<Timed> {
    let pixels = inputs[0].matrix()?;
    let (height, width) = pixels.dim();
    let plane = Plane::new(width, height, pixels.iter().copied().collect())?;
    let extractor = descriptors::Extractor::new(&config.descriptors)?;
    let mut scratch = descriptors::Scratch::default();
    let dim = extractor.dim();
    let mut values = Vec::with_capacity(extractor.count(width, height) * dim);
    let timed = args.time(|| {
        values.clear();
        extractor.for_each_block(&plane, &mut scratch, &mut |rows, _| {
            values.extend_from_slice(rows.as_slice().expect("blocks are contiguous"));
        });
        Ok(Array2::default((0, 0)))
    })?;
    let result = Array2::from_shape_vec((values.len() / dim, dim), values)?;
    Ok(Timed { result, ..timed })
}

fn project(args: &BenchStage, inputs: &[Npy]) -> Result<Timed> {
    let (rows, components) = (inputs[0].matrix()?, inputs[2].matrix()?);
    let mean = inputs[1].view().into_dimensionality::<Ix1>().context("the mean is a vector")?;
    let k = components.nrows();
    let (mean, components) = (mean.to_owned(), components.to_owned());
    let projection =
        Projection::from_parts(mean, components, vec![1.0; k], 1.0, false, Append::None)?;
    let positions = vec![Position::at(0.5, 0.5); rows.nrows()];
    let mut product = Vec::new();
    let mut values = vec![0.0; rows.nrows() * k];
    let timed = args.time(|| {
        projection.apply(rows, &positions, &mut product, &mut values)?;
        Ok(Array2::default((0, 0)))
    })?;
    Ok(Timed { result: Array2::from_shape_vec((rows.nrows(), k), values)?, ..timed })
}

fn pca_fit(args: &BenchStage, config: &Config, inputs: &[Npy]) -> Result<Timed> {
    let rows = inputs[0].matrix()?;
    ensure!(rows.nrows() > 0, "there are no rows");
    args.time(|| {
        let mut covariance = Covariance::new(rows.row(0));
        covariance.add(rows, &Silent)?;
        Ok(Projection::fit(&covariance, &config.pca, &Silent)?.components().to_owned())
    })
}

fn fit_kmeans(args: &BenchStage, inputs: &[Npy]) -> Result<Timed> {
    let (rows, centres) = (inputs[0].matrix()?, inputs[1].matrix()?);
    ensure!(rows.ncols() == centres.ncols(), "rows and centres have different dimensions");
    args.time(|| {
        let clusters = kmeans::lloyd(rows, centres.to_owned(), args.iterations, &Silent)?;
        ensure!(
            clusters.inertia.len() == args.iterations + 1,
            "k-means came to rest after {} iterations; ask for fewer",
            clusters.inertia.len() - 1
        );
        Ok(clusters.centres)
    })
}

fn fit_em(args: &BenchStage, config: &Config, inputs: &[Npy]) -> Result<Timed> {
    let rows = inputs[0].matrix()?;
    let mixture = em::Mixture::from(&mixture(inputs)?);
    let params =
        gmm::Params { max_iterations: args.iterations, tolerance: 0.0, ..config.gmm.clone() };
    let floors = em::variance_floors(rows, &params);
    args.time(|| {
        let fit = em::fit(rows, mixture.clone(), &floors, &params, &Silent)?;
        let weights = ArrayView2::from_shape((fit.gmm.components(), 1), fit.gmm.weights())?;
        Ok(concatenate![Axis(1), weights, fit.gmm.means(), fit.gmm.variances()])
    })
}

fn fisher(args: &BenchStage, config: &Config, inputs: &[Npy]) -> Result<Timed> {
    let rows = inputs[0].matrix()?;
    let encoder = Encoder::new(&mixture(inputs)?, &config.encoding)?;
    let mut workspace = Workspace::default();
    let positions = vec![Position::at(0.5, 0.5); rows.nrows()];
    args.time(|| {
        encoder.begin(&mut workspace);
        encoder.push(rows, &positions, &mut workspace)?;
        let vector = encoder.finish(&mut workspace)?;
        Ok(Array2::from_shape_vec((1, vector.len()), vector)?)
    })
}

fn train_svm(args: &BenchStage, config: &Config, inputs: &[Npy]) -> Result<Timed> {
    let rows = inputs[0].matrix()?;
    let classes = inputs[1].view().iter().fold(0.0f32, |a, &b| a.max(b)) as usize + 1;
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    let label = |&of: &f32, class| if of as usize == class { Label::Yes } else { Label::No };
    let labels: Vec<Vec<Label>> = inputs[1]
        .view()
        .iter()
        .map(|of| (0..classes).map(|class| label(of, class)).collect())
        .collect();
    let mut trained = None;
    let timed = args.time(|| {
        let model = svm::train(&rows, &labels, &names, &config.svm, config.seed, &Silent)?;
        trained = Some(model);
        Ok(Array2::default((0, 0)))
    })?;
    let model = trained.context("at least one repetition")?;
    Ok(Timed { result: model.scores(&rows)?, ..timed })
}

fn mixture(inputs: &[Npy]) -> Result<Gmm> {
    let weights = inputs[1].view().iter().copied().collect();
    Ok(Gmm::new(weights, inputs[2].matrix()?.to_owned(), inputs[3].matrix()?.to_owned())?)
}
