//! A uniform sample of descriptors over many images, for fitting the projection and the mixture.
//!
//! Every image gives the same number of rows, or all of its rows when it has fewer. Which rows depends on
//! the seed and the image's number alone, so images can be visited in any order by any number of
//! threads.

use ndarray::{Array2, Axis};

use super::Descriptors;
use crate::random::Seed;

/// Rows each of `images` images gives so that `total_rows` come together; 0 when there is no image.
pub fn quota(total_rows: usize, images: usize) -> usize {
    if images == 0 { 0 } else { total_rows.div_ceil(images) }
}

/// Up to `quota` rows of one image, uniform without replacement, in their order in the image:
/// `M × 128`, `M = min(quota, rows)`. `item` is the image's number in its split.
pub fn choose(descriptors: &Descriptors, quota: usize, seed: Seed, item: u64) -> Array2<f32> {
    let chosen = seed.stream("descriptors.sample", item).sample(descriptors.rows.nrows(), quota);
    descriptors.rows.select(Axis(0), &chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::DIM;

    fn numbered(n: usize) -> Descriptors {
        let rows = Array2::from_shape_fn((n, DIM), |(i, _)| i as f32);
        Descriptors { rows, frames: Vec::new() }
    }

    #[test]
    fn quotas_cover_the_total() {
        assert_eq!(quota(1000, 7), 143);
        assert_eq!(quota(0, 7), 0);
        assert_eq!(quota(10, 0), 0);
    }

    #[test]
    fn rows_are_distinct_in_order_and_tied_to_the_item() {
        let descriptors = numbered(50);
        let first = choose(&descriptors, 10, Seed(3), 0);
        assert_eq!(first.dim(), (10, DIM));
        assert!(first.column(0).windows(2).into_iter().all(|w| w[0] < w[1]));
        assert_eq!(first, choose(&descriptors, 10, Seed(3), 0));
        assert_ne!(first, choose(&descriptors, 10, Seed(3), 1));
        assert_ne!(first, choose(&descriptors, 10, Seed(4), 0));
        assert_eq!(choose(&descriptors, 80, Seed(3), 0), descriptors.rows);
        assert_eq!(choose(&numbered(0), 5, Seed(3), 0).dim(), (0, DIM));
    }
}
