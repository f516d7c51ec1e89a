//! `--max-memory`: how much each stage allocates, and stages made to fit.
//!
//! A stage needs some bytes whatever it does, and some for every worker at once. The number of
//! workers is lowered until both fit, which changes no bit of a result; where even one does not, the
//! stage is refused with its formula before it begins. Bounds are generous: what a stage really
//! takes is measured in docs/RELIABILITY.md. Artifacts mapped from disk are not counted, since the
//! system takes their pages back when it needs them.

use rayon::prelude::*;

use super::Run;
use super::fisher::SHARD_IMAGES;
use super::pictures::Pictures;
use crate::dataset::Item;
use crate::descriptors::Extractor;
use crate::error::{Error, Result};
use crate::image;
use crate::svm::{self, Calibration, Solver};

/// The program, its lists and buffers of fixed size.
const BASE: u64 = 64 << 20;

/// Bytes of an image and its decoder, for a pixel of the largest type.
const DECODED: u64 = 32;

/// Bytes of an image whatever its size: what a decoder may need beside the pixels, and buffers.
const OF_IMAGE: u64 = 12 << 20;

/// Tasks whose sums a mixture is fitted by.
const TASKS: u64 = 64;

/// Bytes a stage may allocate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    limit: Option<u64>,
}

/// The largest of a stage's inputs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Largest {
    /// Width and height.
    pub(super) size: [usize; 2],
    /// Bytes of the file of an image, with all that is attached to it.
    pub(super) image_file: u64,
    /// Bytes of a file of descriptors.
    pub(super) file: u64,
}

impl Largest {
    /// What a formula says of it; nothing where no image was looked at.
    fn of_images(&self) -> String {
        match self.size {
            [0, 0] => String::new(),
            [width, height] => format!(" for images up to {width} × {height}"),
        }
    }
}

/// What a stage allocates at most.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Need {
    pub(super) stage: &'static str,
    /// However many workers there are.
    pub(super) fixed: u64,
    /// For every worker.
    pub(super) each: u64,
    /// Both in words and numbers.
    pub(super) formula: String,
    pub(super) way_out: &'static str,
}

impl Need {
    /// What several parts of a stage need at once.
    fn together(needs: impl Iterator<Item = Self>) -> Self {
        let mut needs = needs;
        let mut all = needs.next().expect("a run has at least one part");
        for need in needs {
            all.fixed += need.fixed;
            all.each += need.each;
            all.formula = format!("{} + {}", all.formula, need.formula);
        }
        all
    }
}

impl Memory {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit }
    }

    pub(super) fn is_limited(self) -> bool {
        self.limit.is_some()
    }

    /// Workers that fit; all of them without a limit.
    fn workers(self, need: &Need) -> Result<usize> {
        let threads = rayon::current_num_threads();
        let Some(limit) = self.limit else { return Ok(threads) };
        let each = need.each.max(1);
        let fit = limit.saturating_sub(BASE).saturating_sub(need.fixed) / each;
        if fit == 0 {
            let needed = BASE + need.fixed + each;
            return Err(Error::Memory {
                stage: need.stage,
                needed_mb: needed.div_ceil(1_000_000),
                limit_mb: limit / 1_000_000,
                formula: format!("{} + {BASE}", need.formula),
                way_out: need.way_out,
            });
        }
        Ok(threads.min(usize::try_from(fit).unwrap_or(threads)))
    }

    /// Runs `work` with as many workers as fit.
    ///
    /// # Errors
    /// [`Error::Memory`] when not even one does.
    pub(super) fn within<T: Send>(
        self,
        need: impl FnOnce() -> Result<Need>,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T> {
        if self.limit.is_none() {
            return Ok(work());
        }
        let workers = self.workers(&need()?)?;
        if workers == rayon::current_num_threads() {
            return Ok(work());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build();
        let pool = pool.map_err(|e| Error::io("start", "threads")(std::io::Error::other(e)))?;
        Ok(pool.install(work))
    }
}

impl Run<'_> {
    /// Refuses a run that will not fit, before any work.
    pub(super) fn check_memory(&self, images: usize, classes: usize) -> Result<()> {
        if self.memory.limit.is_none() {
            return Ok(());
        }
        let mut needs = vec![self.need_of_svm(images, classes)];
        for part in self.parts() {
            needs.extend([part.run.need_of_sample(Largest::default()), part.run.need_of_mixture()]);
        }
        needs.iter().try_for_each(|need| self.memory.workers(need).map(|_| ()))
    }

    /// The image with most pixels, as files state them or as they are scaled up, the largest file of an
    /// image and the largest file of descriptors. Images that say nothing or are too large are not
    /// decoded.
    pub(super) fn largest(&self, items: &[Item]) -> Largest {
        let most = self.config.image.max_megapixels * 1e6;
        let stated = items.par_iter().filter_map(|item| {
            let [width, height] = image::stated_size(&item.path).ok()?;
            let file = std::fs::metadata(&item.path).ok()?.len();
            let read = width as f64 * height as f64 <= most
                && file <= image::most_file_bytes([width, height]);
            read.then_some(([width, height], file))
        });
        let larger = |(a, a_file): ([usize; 2], u64), (b, b_file): ([usize; 2], u64)| {
            let key = |[width, height]: [usize; 2]| (width * height, width);
            (if key(a) >= key(b) { a } else { b }, a_file.max(b_file))
        };
        let upscaled = stated.map(|(size, file)| {
            let [width, height] = self.config.image.fitted(size);
            ([width.max(size[0]), height.max(size[1])], file)
        });
        let (size, image_file) = upscaled.reduce(|| ([0, 0], 0), larger);
        let runs = self.parts();
        let files =
            runs.iter().map(|part| Pictures::new(&part.run.config, &self.seen).largest_file(items));
        Largest { size, image_file, file: files.max().unwrap_or(0) }
    }

    /// Components, dimensions of a projected descriptor, values of a Fisher vector.
    fn sizes(&self) -> (u64, u64, u64) {
        let c = &self.config;
        let k = c.gmm.components as u64;
        let d = (c.pca.dimension + c.pca.append.len()) as u64;
        let orders: u64 = c.encoding.orders.iter().map(|&o| if o == 0 { 1 } else { d }).sum();
        let regions: usize =
            c.encoding.regions.iter().map(|grid| grid.size().iter().product::<usize>()).sum();
        (k, d, regions as u64 * k * orders)
    }

    /// An image being decoded, scaled and described.
    fn image_bytes(&self, largest: Largest) -> u64 {
        let [width, height] = largest.size;
        let factor = self.config.descriptors.scales.iter().copied().fold(1.0, f64::max);
        let planes = self.config.descriptors.colours().planes() as u64;
        let planes = planes * ((8.0 * factor * factor) as u64 + 4);
        // The file itself, and a copy of what is attached to the picture.
        let files = 2 * largest.image_file + largest.file;
        (width as u64 * height as u64) * (DECODED + planes) + files + OF_IMAGE
    }

    pub(super) fn need_of_sample(&self, largest: Largest) -> Need {
        let rows = self.config.sample.rows as u64;
        let dim = self.config.descriptors.dim() as u64;
        let fixed = rows * (8 * dim + 16);
        let each = self.image_bytes(largest);
        Need {
            stage: "extract",
            fixed,
            each,
            formula: format!(
                "sample.rows {rows} · (8·{dim} + 16) + {each} a worker{}",
                largest.of_images()
            ),
            way_out: "lower sample.rows or image.max_megapixels, or raise --max-memory",
        }
    }

    pub(super) fn need_of_projection(&self) -> Need {
        let dim = self.config.descriptors.dim() as u64;
        let fixed = 24 * 8 * dim * dim;
        let each = 8 * dim * (dim + 1024);
        Need {
            stage: "fit-pca",
            fixed,
            each,
            formula: format!("192·{dim}² + 8·{dim}·({dim} + 1024) a worker"),
            way_out: "raise --max-memory",
        }
    }

    pub(super) fn need_of_mixture(&self) -> Need {
        let (rows, (k, d, _)) = (self.config.sample.rows as u64, self.sizes());
        let sums = (TASKS + 2) * k * (1 + 2 * d) * 8;
        let seeding = (128 * k).min(rows) * d * 4;
        let fixed = rows * (4 * d + 12) + sums.max(seeding);
        let each = 1024 * (4 * d + 24 * k) + k * (1 + 2 * d) * 16;
        Need {
            stage: "fit-gmm",
            fixed,
            each,
            formula: format!(
                "sample.rows {rows} · (4·{d} + 12) + the larger of {}·{k}·(1 + 2·{d})·8 and \
                 128·{k}·{d}·4, + {each} a worker",
                TASKS + 2
            ),
            way_out: "lower sample.rows or gmm.components, or raise --max-memory",
        }
    }

    fn encoder_bytes(&self) -> u64 {
        let (k, d, dim) = self.sizes();
        // The grids cut the image into no more cells than this.
        let cells: u64 = [0, 1]
            .map(|side| {
                self.config.encoding.regions.iter().map(|grid| grid.size()[side] as u64).sum()
            })
            .iter()
            .product::<u64>();
        let block = 1024 * (4 * (self.config.descriptors.dim() as u64 + 2 * d) + 24 * k);
        cells * (k * (1 + 2 * d) * 8 + 1024 * d * 4) + block + 16 * dim
    }

    pub(super) fn need_of_encoding(&self, largest: Largest) -> Need {
        let (_, _, dim) = self.sizes();
        let shard = SHARD_IMAGES as u64;
        let each = self.image_bytes(largest) + self.encoder_bytes();
        Need {
            stage: "encode",
            fixed: shard * dim * 10,
            each,
            formula: format!(
                "{shard} images · {dim} values · 10 + {each} a worker{}",
                largest.of_images()
            ),
            way_out: "lower image.max_megapixels, gmm.components or pca.dimension, or raise \
                      --max-memory",
        }
    }

    pub(super) fn need_of_svm(&self, images: usize, classes: usize) -> Need {
        let dim = self.parts().iter().map(|part| part.run.sizes().2).sum();
        need_of_svm(&self.config.svm, images, classes, dim)
    }

    /// Of all channels, which are looked at together.
    pub(super) fn need_of_prediction(&self, largest: Largest) -> Need {
        let needs = self.parts().into_iter().map(|part| part.run.need_of_encoding(largest));
        Need::together(needs)
    }

    /// Of all channels, which are looked at together.
    pub(super) fn need_of_explanation(&self, largest: Largest, classes: usize) -> Need {
        let of_part =
            |part: super::channels::Part<'_, '_>| part.run.need_of_explained_part(largest, classes);
        Need::together(self.parts().into_iter().map(of_part))
    }

    fn need_of_explained_part(&self, largest: Largest, classes: usize) -> Need {
        let (k, d, dim) = self.sizes();
        let classes = classes as u64;
        let [width, height] = largest.size;
        let count = |e: Extractor| e.count(width, height) as u64;
        let sides = if self.config.encoding.mirrored { 2 } else { 1 };
        let given = largest.file / (4 * self.config.descriptors.dim() as u64);
        let n = sides * Extractor::new(&self.config.descriptors).map_or(0, count) + given;
        let pixels = (width * height) as u64;
        let each = self.image_bytes(largest)
            + self.encoder_bytes()
            + n * (4 * d + 16 * k.min(64) + 8 * classes + 32)
            + dim * (40 + 8 * classes)
            + pixels * 24 * classes.min(4);
        Need {
            stage: "explain",
            fixed: 0,
            each,
            formula: format!(
                "{each} a worker: {n} descriptors · (4·{d} + 16·{} + 8·{classes} + 32), vectors of \
                 {dim} values, {pixels} pixels",
                k.min(64)
            ),
            way_out: "lower image.max_height_px or raise --max-memory",
        }
    }
}

fn need_of_svm(params: &svm::Params, images: usize, classes: usize, dim: u64) -> Need {
    let n = images as u64;
    let folds = match (params.c_grid.is_empty(), params.calibration) {
        (true, Calibration::None) => 0,
        _ => params.folds as u64,
    };
    let machines = classes as u64 * (1 + folds);
    let lists = machines * n * 24;
    let gram = match params.solver {
        Solver::Auto => images <= svm::GRAM_ROWS,
        Solver::Dual => false,
        Solver::Gram | Solver::Smo => true,
    };
    let weights = classes as u64 * dim * 12;
    if !gram {
        // Weights of every machine, as a whole and in chunks, and a block of rows.
        let fixed = machines * dim * 12 + lists + 128 * dim * 4;
        return Need {
            stage: "train-svm",
            fixed,
            each: 4 << 20,
            formula: format!(
                "{machines} machines · ({dim} values · 12 + {n} images · 24) + 512·{dim}"
            ),
            way_out: "leave svm.c_grid empty and svm.calibration none, or raise --max-memory",
        };
    }
    // While it is formed: the lower half in tiles, the whole, and a panel of columns. After
    // that the matrix, and for every worker that of the rows that still move, half of them at most.
    let forming = 6 * n * n + 8192 * n + 4 * 1280 * n;
    let rows = if params.solver == Solver::Smo { 36 * n * n } else { n * n };
    let extra = forming.saturating_sub(4 * n * n + rows);
    Need {
        stage: "train-svm",
        fixed: 4 * n * n + extra + lists + weights,
        each: rows,
        formula: format!(
            "4·{n}² + {}·{n}² a worker (at least 6·{n}² + 13312·{n}) + {machines} machines · \
             24·{n} images + {classes} classes · {dim} values · 12",
            rows / (n * n).max(1)
        ),
        way_out: "use --set svm.solver=dual, which forms no matrix, or raise --max-memory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(fixed: u64, each: u64) -> Need {
        Need { stage: "encode", fixed, each, formula: "1 + 2".into(), way_out: "raise it" }
    }

    #[test]
    fn workers_are_lowered_until_they_fit_and_one_too_many_is_refused() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        pool.install(|| {
            let limited = |bytes| Memory::new(Some(BASE + bytes));
            assert_eq!(Memory::new(None).workers(&need(u64::MAX / 2, u64::MAX)).unwrap(), 4);
            for (bytes, workers) in [(100, 1), (199, 1), (200, 2), (399, 3), (10_000, 4)] {
                assert_eq!(limited(bytes).workers(&need(0, 100)).unwrap(), workers);
                let used = limited(bytes).within(|| Ok(need(0, 100)), rayon::current_num_threads);
                assert_eq!(used.unwrap(), workers);
            }
            for memory in [limited(99), limited(0), Memory::new(Some(1))] {
                let text = memory.workers(&need(0, 100)).unwrap_err().to_string();
                assert!(text.contains("1 + 2") && text.contains("raise it"), "{text}");
            }
            assert!(limited(1000).workers(&need(950, 100)).is_err());
        });
    }

    /// 20,000 images: the Gram matrix alone has 1.6 GB, and is refused or done by fewer workers.
    #[test]
    fn a_gram_matrix_that_does_not_fit_is_refused_with_the_way_out() {
        let need = |solver| {
            let params = svm::Params { solver, ..svm::Params::default() };
            need_of_svm(&params, 20_000, 20, 40_960)
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        pool.install(|| {
            let text = Memory::new(Some(2 << 30)).workers(&need(Solver::Auto)).unwrap_err();
            let text = text.to_string();
            assert!(text.contains("4·20000²") && text.contains("svm.solver=dual"), "{text}");
            assert_eq!(Memory::new(Some(3 << 30)).workers(&need(Solver::Auto)).unwrap(), 2);
            assert_eq!(Memory::new(Some(2 << 30)).workers(&need(Solver::Dual)).unwrap(), 4);
        });
    }
}
