//! What training allocates.

use super::gram_matrix::TILE;
use super::groups::groups;
use super::{Calibration, GRAM_ROWS, Params, Solver};
use crate::memory::Need;

/// One machine a class, and one more for each fold where C is chosen or scores are calibrated, over
/// `images` vectors of `dim` values.
pub fn need(params: &Params, images: usize, classes: usize, dim: usize) -> Need {
    let (n, dim, panel) = (images as u64, dim as u64, TILE[1] as u64);
    let folds = match (params.c_grid.is_empty(), params.calibration) {
        (true, Calibration::None) => 0,
        _ => params.folds as u64,
    };
    // Groups come one after the other; with several channels there may be one alone.
    let together =
        groups(params, images, 2, classes).first().map_or(classes, ExactSizeIterator::len);
    let machines = together as u64 * (1 + folds);
    let lists = machines * n * 24;
    let gram = match params.solver {
        Solver::Auto => images <= GRAM_ROWS,
        Solver::Dual => false,
        Solver::Gram | Solver::Smo => true,
    };
    let weights = classes as u64 * dim * 12;
    if !gram {
        // Weights of every machine, as a whole and in chunks, and a block of rows.
        let fixed = machines * dim * 12 + classes as u64 * dim * 4 + lists + 128 * dim * 4;
        return Need {
            stage: "train-svm",
            fixed,
            each: 4 << 20,
            formula: format!(
                "{machines} machines · ({dim} values · 12 + {n} images · 24) + {classes} classes · 4·{dim} + \
                 512·{dim}"
            ),
            way_out: "leave svm.c_grid empty and svm.calibration none, or raise --max-memory",
        };
    }
    // While it is formed: the lower half in tiles, the whole, and a panel of columns. After
    // that the matrix, and for every worker that of the rows that still move, half of them at most.
    let forming = 6 * n * n + 8192 * n + 4 * panel * n;
    let rows = if params.solver == Solver::Smo { 36 * n * n } else { n * n };
    let extra = forming.saturating_sub(4 * n * n + rows);
    Need {
        stage: "train-svm",
        fixed: 4 * n * n + extra + lists + weights,
        each: rows,
        formula: format!(
            "4·{n}² + {}·{n}² a worker (at least 6·{n}² + {}·{n}) + {machines} machines · \
             24·{n} images + {classes} classes · {dim} values · 12",
            rows / (n * n).max(1),
            8192 + 4 * panel
        ),
        way_out: "use --set svm.solver=dual, which forms no matrix, or raise --max-memory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    /// 20,000 images: the Gram matrix alone has 1.6 GB, and is refused or done by fewer workers.
    #[test]
    fn a_gram_matrix_that_does_not_fit_is_refused_with_the_way_out() {
        let need = |solver| {
            let params = Params { solver, ..Params::default() };
            super::need(&params, 20_000, 20, 40_960)
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
