//! The unsupervised models: descriptor sample, PCA, mixture.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::{Array1, Array2};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::pictures::Pictures;
use super::stage::{Inputs, Stamp};
use super::{Run, Skipped, fisher};
use crate::artifacts::{Artifact, Header, Tensor, write};
use crate::config::fingerprint;
use crate::dataset::{Item, Split};
use crate::descriptors::{Extractor, Scratch, sample};
use crate::error::{Error, Result};
use crate::gmm::{self, Gmm};
use crate::position::Position;
use crate::projection::{Append, Covariance, Projection};
use crate::words::counted;

/// Descriptors drawn from one image.
struct Drawn {
    rows: Array2<f32>,
    positions: Vec<Position>,
    empty: usize,
}

impl Run<'_> {
    /// Brings sample, PCA and mixture up to date for `split` of `data`.
    ///
    /// # Errors
    /// [`Error::Stale`] when they were made from something else; as the stages.
    pub fn fit_models(&self, data: &Path, split: &Split) -> Result<Stamp> {
        let mut mixtures = Vec::new();
        for part in self.parts() {
            let sample = part.run.fit_sample(split)?;
            self.record_source(data, &split.name)?;
            let pca = part.run.fit_pca(&sample)?;
            mixtures.push(part.run.fit_gmm(&sample, &pca)?);
        }
        Ok(self.joint(mixtures))
    }

    /// Draws the descriptors that PCA and mixture are fitted to.
    ///
    /// # Errors
    /// [`Error::Data`] when no image of the split gives a descriptor.
    pub fn extract(&self, data: &Path, split: &str) -> Result<Stamp> {
        let split = self.split(&self.open_data(data)?, split)?;
        let samples: Result<Vec<Stamp>> =
            self.parts().iter().map(|part| part.run.fit_sample(&split)).collect();
        let samples = samples?;
        self.record_source(data, &split.name)?;
        Ok(self.joint(samples))
    }

    /// As [`extract`](Self::extract), then the PCA.
    ///
    /// # Errors
    /// As [`Projection::fit`].
    pub fn extract_and_fit_pca(&self, data: &Path, split: &str) -> Result<Stamp> {
        let split = self.split(&self.open_data(data)?, split)?;
        let mut fitted = Vec::new();
        for part in self.parts() {
            let sample = part.run.fit_sample(&split)?;
            self.record_source(data, &split.name)?;
            fitted.push(part.run.fit_pca(&sample)?);
        }
        Ok(self.joint(fitted))
    }

    /// One stamp for those of all channels.
    fn joint(&self, mut stamps: Vec<Stamp>) -> Stamp {
        if stamps.len() == 1 {
            return stamps.remove(0);
        }
        let prints: Vec<&str> = stamps.iter().map(|stamp| stamp.fingerprint.as_str()).collect();
        Stamp {
            path: self.dir.join("channels"),
            fingerprint: fingerprint(&json!(prints)),
            made: stamps.iter().any(|stamp| stamp.made),
        }
    }

    /// As [`extract_and_fit_pca`](Self::extract_and_fit_pca), then the mixture.
    ///
    /// # Errors
    /// As [`gmm::fit`].
    pub fn extract_and_fit_gmm(&self, data: &Path, split: &str) -> Result<Stamp> {
        let split = self.split(&self.open_data(data)?, split)?;
        self.fit_models(data, &split)
    }

    /// The run's models, checked against the data they were fitted to where that is still there.
    ///
    /// # Errors
    /// [`Error::Missing`] when nothing was fitted in this folder.
    pub(super) fn check_models(&self) -> Result<()> {
        let Some(source) = self.source()? else {
            return self.require_models();
        };
        if !source.data.exists() {
            self.progress.note(&format!(
                "{} is gone; the models are used as they are",
                source.data.display()
            ));
            return Ok(());
        }
        let split = self.split(&self.open_data(&source.data)?, &source.split)?;
        self.fit_models(&source.data, &split).map(|_| ())
    }

    /// As [`check_models`](Self::check_models); fits them to `split` when there are none.
    pub(super) fn models_for(&self, data: &Path, split: &Split) -> Result<()> {
        if self.source()?.is_some() {
            return self.check_models();
        }
        self.progress.note(&format!(
            "this run has no models yet; they are fitted to split `{}`",
            split.name
        ));
        self.fit_models(data, split).map(|_| ())
    }

    /// The sample's file, and the images that could not be drawn from.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it is damaged.
    pub fn left_out_of_sample(&self) -> Result<(PathBuf, Vec<Skipped>)> {
        let path = self.sample_path();
        let artifact = Artifact::open_verified(&path, "sample")?;
        let left_out = serde_json::from_value(artifact.header().report["left_out"].clone())
            .map_err(|e| Error::artifact(&path, format!("damaged (`left_out`: {e})")))?;
        Ok((path, left_out))
    }

    fn fit_sample(&self, split: &Split) -> Result<Stamp> {
        let started = Instant::now();
        let chosen = self.sampled_images(split);
        let settings = self.settings_of("sample");
        let pictures = Pictures::new(&self.config, &self.seen);
        let data = pictures.hash(&chosen, || self.interrupted())?;
        let inputs = Inputs::new("sample", settings, &[], data);
        let path = self.sample_path();
        let back = |id: &str| chosen.iter().any(|i| i.id == id && pictures.could_read(i));
        if let Some(kept) = self.kept(&path, &inputs, back)? {
            self.nothing_to_do("extract");
            return Ok(Stamp { path, fingerprint: kept.fingerprint, made: false });
        }
        let extractor = Extractor::new(&self.config.descriptors)?;
        let quota = sample::quota(self.config.sample.rows, chosen.len());
        self.begin("extract", chosen.len() as u64, "images");
        let need = || {
            let largest = self.largest(&chosen);
            Ok(self.need_of_sample(largest))
        };
        let drawn = self.memory.within(need, || -> Vec<Result<Drawn>> {
            chosen
                .par_iter()
                .enumerate()
                .map_init(Scratch::default, |scratch, (i, item)| {
                    self.interrupted()?;
                    let drawn = self.draw(&extractor, &pictures, item, i as u64, quota, scratch);
                    self.progress.advance(1);
                    drawn
                })
                .collect()
        });
        self.progress.end();
        let drawn = drawn?;
        let mut rows: Vec<f32> = Vec::new();
        let mut positions: Vec<f32> = Vec::new();
        let (mut left_out, mut unread) = (Vec::new(), Vec::new());
        let mut empty = 0;
        for (result, item) in drawn.into_iter().zip(&chosen) {
            match result {
                Ok(drawn) => {
                    rows.extend(drawn.rows.iter());
                    empty += drawn.empty;
                    positions.extend(drawn.positions.iter().flat_map(|p| [p.x, p.y, p.scale]));
                }
                Err(error @ (Error::Image { .. } | Error::Io { .. })) if !self.strict => {
                    self.skip(&item.id, &error);
                    if may_be_back(&error) && pictures.could_read(item) {
                        unread.push(item.id.clone());
                    }
                    left_out.push(Skipped { id: item.id.clone(), reason: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        let n = positions.len() / 3;
        if n == 0 {
            return Err(self.without_descriptors(split, &chosen, &left_out));
        }
        let inputs = inputs.lacking(&unread);
        let report = json!({ "split": split.name, "images": chosen.len(), "left_out": left_out });
        let header = header("sample", &inputs, report);
        let dim = extractor.dim();
        let tensors =
            [Tensor::f32("rows", [n, dim], &rows), Tensor::f32("positions", [n, 3], &positions)];
        write(&path, &header, &tensors)?;
        let text = format!("{} of {}", counted(n, "descriptor"), counted(chosen.len(), "image"));
        self.done("extract", &text, started);
        if 2 * empty > n {
            self.progress.note(&format!(
                "{}{:.1} % of the descriptors drawn are empty, of a contrast below \
                 descriptors.contrast_threshold = {}: many images are blank, dark or blurred, or their \
                 values are of another range than their type (image.value_range)",
                self.label,
                100.0 * empty as f64 / n as f64,
                self.config.descriptors.contrast_threshold
            ));
        }
        Ok(Stamp { path, fingerprint: inputs.fingerprint, made: true })
    }

    /// What to say of a split of which no image gives a descriptor.
    fn without_descriptors(&self, split: &Split, chosen: &[Item], left_out: &[Skipped]) -> Error {
        let Some(first) = chosen.first() else {
            let problem = format!("split `{}` has no images", split.name);
            return Error::data(&split.name, problem);
        };
        let why = match left_out.first() {
            Some(skipped) => format!("the first, {}: {}", skipped.id, skipped.reason),
            None => format!("the first, {}", self.undescribed(first)),
        };
        let problem = format!("no image gives a descriptor; {why}");
        Error::data(format!("split `{}`", split.name), problem)
    }

    /// What to say of an image without a descriptor.
    fn undescribed(&self, item: &Item) -> Error {
        let pictures = Pictures::new(&self.config, &self.seen);
        let described = pictures.load(item).and_then(|(picture, ..)| {
            let size = [picture.width, picture.height];
            let count = Extractor::new(&self.config.descriptors)?.count(size[0], size[1]);
            Ok(pictures.without_descriptors(item, size, count))
        });
        described.unwrap_or_else(|error| error)
    }

    /// The images that descriptors are drawn from: all, or a seeded choice in list order.
    fn sampled_images(&self, split: &Split) -> Vec<Item> {
        let most = self.config.sample.images;
        if most == 0 || split.items.len() <= most {
            return split.items.clone();
        }
        let mut stream = self.config.seed.stream("sampled images", 0);
        stream.sample(split.items.len(), most).into_iter().map(|i| split.items[i].clone()).collect()
    }

    fn draw(
        &self,
        extractor: &Extractor,
        pictures: &Pictures,
        item: &Item,
        number: u64,
        quota: usize,
        scratch: &mut Scratch,
    ) -> Result<Drawn> {
        let (picture, ..) = pictures.load(item)?;
        let drawn = sample::draw(extractor, &picture, quota, self.config.seed, number, scratch);
        let positions = fisher::positions(&drawn.frames, picture.width, picture.height);
        let empty = drawn.frames.iter().filter(|frame| extractor.is_empty(frame)).count();
        Ok(Drawn { rows: drawn.rows, positions, empty })
    }

    fn fit_pca(&self, sample: &Stamp) -> Result<Stamp> {
        let started = Instant::now();
        let parents = [("sample.safetensors", sample.fingerprint.as_str())];
        let inputs = Inputs::new("pca", self.settings_of("pca"), &parents, Value::Null);
        let path = self.pca_path();
        if let Some(stored) = self.up_to_date(&path, &inputs)? {
            self.nothing_to_do("fit-pca");
            return Ok(Stamp { path, fingerprint: stored.fingerprint, made: false });
        }
        let artifact = self.open_stage(&sample.path, "sample")?;
        let rows = artifact.matrix("rows")?;
        if rows.is_empty() {
            return Err(Error::artifact(
                &sample.path,
                "damaged (no rows); make it again with --refit",
            ));
        }
        let mut covariance = Covariance::new(rows.row(0));
        let fit = || {
            covariance.add(rows, self.progress)?;
            Projection::fit(&covariance, &self.config.pca, self.progress)
        };
        let pca = self.memory.within(|| Ok(self.need_of_projection()), fit)??;
        let report = json!({
            "rows": rows.nrows(), "variance_kept": pca.kept(), "l2": pca.l2(), "append": pca.append(),
        });
        let components = pca.components();
        let tensors = [
            Tensor::f32("mean", [pca.input_dim()], slice(pca.mean().to_slice())),
            Tensor::f32("components", components.shape(), slice(components.to_slice())),
            Tensor::f32("variances", [pca.variances().len()], pca.variances()),
        ];
        write(&path, &header("pca", &inputs, report), &tensors)?;
        let text = format!(
            "{} → {}, {:.1} % of the variance of {}",
            pca.input_dim(),
            counted(components.nrows(), "dimension"),
            100.0 * pca.kept(),
            counted(rows.nrows(), "descriptor")
        );
        self.done("fit-pca", &text, started);
        Ok(Stamp { path, fingerprint: inputs.fingerprint, made: true })
    }

    fn fit_gmm(&self, sample: &Stamp, pca: &Stamp) -> Result<Stamp> {
        let started = Instant::now();
        let parents = [("pca.safetensors", pca.fingerprint.as_str())];
        let inputs = Inputs::new("gmm", self.settings_of("gmm"), &parents, Value::Null);
        let path = self.gmm_path();
        if let Some(stored) = self.up_to_date(&path, &inputs)? {
            self.nothing_to_do("fit-gmm");
            return Ok(Stamp { path, fingerprint: stored.fingerprint, made: false });
        }
        let projected = self.project_sample(sample)?;
        let fit = self.memory.within(
            || Ok(self.need_of_mixture()),
            || gmm::fit(projected.view(), &self.config.gmm, self.config.seed, self.progress),
        )??;
        let report = serde_json::to_value(&fit.report).expect("a fit report is JSON");
        let (k, d) = (fit.gmm.components(), fit.gmm.dim());
        let tensors = [
            Tensor::f32("weights", [k], fit.gmm.weights()),
            Tensor::f32("means", [k, d], slice(fit.gmm.means().to_slice())),
            Tensor::f32("variances", [k, d], slice(fit.gmm.variances().to_slice())),
        ];
        write(&path, &header("gmm", &inputs, report), &tensors)?;
        let history = &fit.report.mean_log_likelihood;
        let text = format!(
            "{} on {} × {d} values, {}, mean log-likelihood {:.3}",
            counted(k, "component"),
            fit.report.rows,
            counted(history.len() - 1, "iteration"),
            history[history.len() - 1]
        );
        self.done("fit-gmm", &text, started);
        Ok(Stamp { path, fingerprint: inputs.fingerprint, made: true })
    }

    fn project_sample(&self, sample: &Stamp) -> Result<Array2<f32>> {
        let pca = self.load_projection()?.0;
        let artifact = self.open_stage(&sample.path, "sample")?;
        let rows = artifact.matrix("rows")?;
        let (_, flat) = artifact.f32("positions")?;
        let (triples, _) = flat.as_chunks::<3>();
        let positions: Vec<Position> =
            triples.iter().map(|&[x, y, scale]| Position { x, y, scale }).collect();
        if positions.len() != rows.nrows() {
            let (what, expected) = ("positions of the sample", rows.nrows());
            return Err(Error::Shape { what, expected, got: positions.len() });
        }
        let mut projected = Array2::zeros((rows.nrows(), pca.output_dim()));
        let out = projected.as_slice_mut().expect("a new array is row-major");
        pca.apply(rows, &positions, &mut Vec::new(), out)?;
        Ok(projected)
    }

    /// Opens a stored artifact of `kind`, undamaged, whose fingerprint is that of its inputs.
    ///
    /// # Errors
    /// [`Error::Artifact`] for any other.
    pub(super) fn open_stage(&self, path: &Path, kind: &str) -> Result<Artifact> {
        let artifact = Artifact::open_verified(path, kind)?;
        if Inputs::of_stored(&artifact.header().inputs).fingerprint == artifact.header().fingerprint
        {
            return Ok(artifact);
        }
        let problem = "its fingerprint is not that of its inputs: another program changed it; make it \
                       again with --refit";
        Err(Error::artifact(path, problem))
    }

    /// Refuses an artifact that was made from another `parent` than the one that lies in this run, which
    /// is handed back. One that is gone cannot be compared.
    pub(super) fn require_parent(
        &self,
        artifact: &Artifact,
        parent: &Path,
    ) -> Result<Option<Artifact>> {
        let Ok(found) = Artifact::open(parent) else { return Ok(None) };
        if *parent_print(artifact, parent) == found.header().fingerprint {
            return Ok(Some(found));
        }
        found.verify()?;
        Err(of_another(artifact, parent))
    }

    /// The stored projection and its fingerprint.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it is damaged or was fitted to another sample than the run's.
    pub(super) fn load_projection(&self) -> Result<(Projection, String)> {
        let artifact = self.open_stage(&self.pca_path(), "pca")?;
        if let Some(sample) = self.require_parent(&artifact, &self.sample_path())? {
            self.refuse_settings_of(&sample, "sample")?;
        }
        Ok((projection_of(&artifact)?, artifact.header().fingerprint.clone()))
    }

    /// The stored mixture and its fingerprint.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it is damaged or was fitted with another projection than the run's.
    pub(super) fn load_gmm(&self) -> Result<(Gmm, String)> {
        let artifact = self.open_stage(&self.gmm_path(), "gmm")?;
        self.require_parent(&artifact, &self.pca_path())?;
        Ok((mixture_of(&artifact)?, artifact.header().fingerprint.clone()))
    }

    /// The stored projection and the mixture that was fitted with it, and the fingerprints of both. Another
    /// process may replace one of them between two looks.
    ///
    /// # Errors
    /// As [`load_projection`](Self::load_projection) and [`load_gmm`](Self::load_gmm).
    pub(super) fn load_models(&self) -> Result<(Projection, Gmm, [String; 2])> {
        let (projection, pca_print) = self.load_projection()?;
        let artifact = self.open_stage(&self.gmm_path(), "gmm")?;
        if *parent_print(&artifact, &self.pca_path()) != pca_print {
            return Err(of_another(&artifact, &self.pca_path()));
        }
        let gmm_print = artifact.header().fingerprint.clone();
        Ok((projection, mixture_of(&artifact)?, [pca_print, gmm_print]))
    }
}

/// The fingerprint of a parent that an artifact names.
fn parent_print<'a>(artifact: &'a Artifact, parent: &Path) -> &'a Value {
    let name = parent.file_name().unwrap_or_default().to_string_lossy();
    &artifact.header().inputs["parents"][&*name]
}

fn of_another(artifact: &Artifact, parent: &Path) -> Error {
    let name = parent.file_name().unwrap_or_default().to_string_lossy();
    let problem = format!(
        "made from another {name} than {}: they are of different runs, or one of them is just being made \
         again; wait for that, put back the file that belongs here, or make all again: `fvtool run --refit`",
        parent.display()
    );
    Error::artifact(artifact.path(), problem)
}

/// Reads a `pca` artifact.
pub(super) fn projection_of(artifact: &Artifact) -> Result<Projection> {
    let report = &artifact.header().report;
    let append: Append = serde_json::from_value(report["append"].clone())
        .map_err(|e| Error::artifact(artifact.path(), format!("damaged (`append`: {e})")))?;
    Projection::from_parts(
        Array1::from(artifact.f32("mean")?.1.to_vec()),
        artifact.matrix("components")?.to_owned(),
        artifact.f32("variances")?.1.to_vec(),
        report["variance_kept"].as_f64().unwrap_or(1.0),
        report["l2"].as_bool().unwrap_or(false),
        append,
    )
}

/// Reads a `gmm` artifact.
pub(super) fn mixture_of(artifact: &Artifact) -> Result<Gmm> {
    Gmm::new(
        artifact.f32("weights")?.1.to_vec(),
        artifact.matrix("means")?.to_owned(),
        artifact.matrix("variances")?.to_owned(),
    )
}

/// Whether what an image was left out for may pass: its file could not be read, which is no matter of
/// what it holds.
pub(super) fn may_be_back(error: &Error) -> bool {
    matches!(error, Error::Io { reason, .. } if reason.kind() != std::io::ErrorKind::FileTooLarge)
}

/// The header of a stage's artifact.
pub(super) fn header(kind: &str, inputs: &Inputs, report: Value) -> Header {
    Header {
        kind: kind.to_owned(),
        fingerprint: inputs.fingerprint.clone(),
        inputs: inputs.value.clone(),
        report,
    }
}

/// The values of a model's array, which is contiguous by construction.
fn slice(values: Option<&[f32]>) -> &[f32] {
    values.expect("a model's arrays are row-major")
}
