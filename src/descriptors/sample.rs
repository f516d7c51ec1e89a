//! A uniform sample of descriptors over many images, for fitting the projection and the mixture.
//!
//! Every image gives the same number of rows, or all of its rows when it has fewer. Which rows depends on
//! the seed and the image's number alone, so images can be visited in any order by any number of
//! threads.

use crate::error::{Error, Result};
use crate::random::Seed;

crate::parameters! {
    /// Settings of the descriptors that PCA and mixture learn from (group `sample`).
    pub struct Params {
        /// Descriptors drawn in all (at least 2); memory is 512 bytes for each.
        pub rows: usize = 256_000,
        /// Images they are drawn from at most, a seeded choice (0: all).
        pub images: usize = 5000,
    }
}

impl Params {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        Error::require(self.rows >= 2, "sample.rows", self.rows, "at least 2")
    }
}

/// Rows each of `images` images gives so that `total_rows` come together; 0 when there is no image.
pub fn quota(total_rows: usize, images: usize) -> usize {
    if images == 0 { 0 } else { total_rows.div_ceil(images) }
}

/// Up to `quota` of an image's `count` descriptors, uniform without replacement: their indices,
/// ascending. `item` is the image's number in its split.
pub fn choose(count: usize, quota: usize, seed: Seed, item: u64) -> Vec<usize> {
    seed.stream("descriptors.sample", item).sample(count, quota)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_cover_the_total() {
        assert_eq!(quota(1000, 7), 143);
        assert_eq!(quota(0, 7), 0);
        assert_eq!(quota(10, 0), 0);
    }

    #[test]
    fn rows_are_distinct_in_order_and_tied_to_the_item() {
        let first = choose(50, 10, Seed(3), 0);
        assert_eq!(first.len(), 10);
        assert!(first.windows(2).all(|w| w[0] < w[1]) && first[9] < 50);
        assert_eq!(first, choose(50, 10, Seed(3), 0));
        assert_ne!(first, choose(50, 10, Seed(3), 1));
        assert_ne!(first, choose(50, 10, Seed(4), 0));
        assert_eq!(choose(50, 80, Seed(3), 0), (0..50).collect::<Vec<_>>());
        assert!(choose(0, 5, Seed(3), 0).is_empty());
    }
}
