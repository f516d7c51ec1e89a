//! What learning allocates.

use crate::memory::Need;

/// Bytes of descriptors that are kept to draw from.
pub const POOL_BYTES: u64 = 2 << 30;

/// Most descriptors kept of an image, in images' worth of `layer.rows_per_image`.
const POOL_TIMES: usize = 16;

/// Descriptors kept of each of `images` images of `dim` values, to draw from in every epoch: sixteen times
/// what is drawn, or fewer where those of all images would not fit into [`POOL_BYTES`]; at least what is
/// drawn. The number depends on the data and the settings alone, and so do the results.
pub fn pool_rows(rows_per_image: usize, images: usize, dim: usize) -> usize {
    let bytes = (images.max(1) * dim.max(1) * 4) as u64;
    let fit = usize::try_from(POOL_BYTES / bytes).unwrap_or(usize::MAX);
    fit.min(rows_per_image.saturating_mul(POOL_TIMES)).max(rows_per_image)
}

/// The descriptors of all images, the state twice over, and for every image of a batch its pass and the
/// derivative of the projection. `raw` values of a descriptor become `dim`.
pub fn need(
    params: &super::Params,
    images: usize,
    classes: usize,
    [raw, dim, components]: [usize; 3],
) -> Need {
    let rows = pool_rows(params.rows_per_image, images, raw);
    let pool = (images * rows) as u64 * (raw as u64 * 4 + 12);
    let vector = 2 * components as u64 * dim as u64;
    let state = 5 * 4 * (raw as u64 * dim as u64 + classes as u64 * vector) + 6 * 8 * vector;
    let drawn = params.rows_per_image as u64;
    let each = drawn * 4 * (raw as u64 + 8 * dim as u64 + 5 * components as u64);
    let step = each + 4 * (raw as u64 * dim as u64 + 4 * vector + components as u64 * drawn);
    let batch = params.batch_images.min(images) as u64 * step;
    Need {
        stage: "fit-layer",
        fixed: pool + state + batch,
        each,
        formula: format!(
            "{images} images · {rows} descriptors · ({raw}·4 + 12) + {state} for the state + {batch} for a batch"
        ),
        way_out: "lower layer.rows_per_image or layer.batch_images, or raise --max-memory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_kept_are_bounded_and_at_least_those_drawn() {
        assert_eq!(pool_rows(400, 100, 128), 6400);
        let many = pool_rows(400, 1000, 128);
        assert!(
            many < 6400 && many > 400 && (many * 1000 * 128 * 4) as u64 <= POOL_BYTES,
            "{many}"
        );
        assert_eq!(pool_rows(400, 1_000_000, 1280), 400);
    }
}
