//! A uniform sample of descriptors over many images, for fitting the projection and the mixture.
//!
//! Every image gives the same number of rows, or all of its rows when it has fewer. Which rows depends on
//! the seed and the image's number alone, so images can be visited in any order by any number of
//! threads.

use ndarray::Array2;

use super::describe::{Descriptors, Scratch};
use super::extractor::Extractor;
use super::picture::Picture;
use crate::error::Result;
use crate::random::Seed;

crate::parameters! {
    /// Settings of the descriptors that PCA and mixture learn from (group `sample`).
    #[group = "sample"]
    pub struct Params {
        /// Number of descriptors drawn; each of their values takes four bytes of memory.
        pub rows: usize = 256_000, in 2..;
        /// Largest number of images that they are drawn from, chosen by the seed; 0 takes all images.
        pub images: usize = 5000, in 0..;
        /// Most descriptors of one image, so that a few images are not drawn out to `rows`; 0 sets no limit.
        pub rows_per_image: usize = 0, in 0..;
    }
}

impl Params {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }

    /// Rows that each of `images` images gives so that [`rows`](Self::rows) come together, and no more than
    /// [`rows_per_image`](Self::rows_per_image); 0 when there is no image.
    pub fn quota(&self, images: usize) -> usize {
        match (images, self.rows_per_image) {
            (0, _) => 0,
            (_, 0) => self.rows.div_ceil(images),
            (_, most) => self.rows.div_ceil(images).min(most),
        }
    }
}

/// Up to `quota` descriptors of an image, uniform without replacement, in the image's order.
/// `item` is its number in its split. Only what is drawn is stored.
pub fn draw(
    extractor: &Extractor,
    picture: &mut Picture,
    quota: usize,
    seed: Seed,
    item: u64,
    scratch: &mut Scratch,
) -> Descriptors {
    let count = picture.count(extractor, scratch);
    let chosen = seed.stream("descriptors.sample", item).sample(count, quota);
    let mut frames = Vec::with_capacity(chosen.len());
    let mut values = Vec::with_capacity(chosen.len() * extractor.dim());
    let (mut seen, mut wanted) = (0, &chosen[..]);
    picture.for_each_block(extractor, scratch, &mut |rows, of_rows| {
        while let Some((&next, rest)) = wanted.split_first()
            && next < seen + of_rows.len()
        {
            values.extend(rows.row(next - seen));
            frames.push(of_rows[next - seen]);
            wanted = rest;
        }
        seen += of_rows.len();
    });
    let rows =
        Array2::from_shape_vec((frames.len(), extractor.dim()), values).expect("one frame a row");
    Descriptors { rows, frames }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::{DIM, LowContrast};
    use crate::image::Plane;

    #[test]
    fn quotas_cover_the_total() {
        let quota = |rows, rows_per_image, images| {
            Params { rows, rows_per_image, ..Params::default() }.quota(images)
        };
        assert_eq!(quota(1000, 0, 7), 143);
        assert_eq!(quota(1000, 200, 7), 143);
        assert_eq!(quota(1000, 100, 7), 100);
        assert_eq!(quota(10, 5, 0), 0);
    }

    #[test]
    fn rows_are_those_of_the_image_in_order_and_tied_to_the_item() {
        let image = Plane::from_fn(60, 50, |x, y| ((x * x + 3 * y) % 17) as f32 / 17.0);
        let scratch = &mut Scratch::default();
        for low_contrast in [LowContrast::Zero, LowContrast::Drop] {
            let params = crate::descriptors::Params {
                contrast_threshold: 0.02,
                low_contrast,
                ..Default::default()
            };
            let extractor = Extractor::new(&params).unwrap();
            let all = extractor.extract(&image, scratch);
            let mut take = |quota, seed, item| {
                draw(&extractor, &mut vec![image.clone()].into(), quota, Seed(seed), item, scratch)
            };
            let first = take(10, 3, 0);
            assert_eq!(first.rows.dim(), (10, DIM));
            let places: Vec<usize> = first
                .frames
                .iter()
                .map(|frame| all.frames.iter().position(|f| f == frame).unwrap())
                .collect();
            assert!(places.windows(2).all(|w| w[0] < w[1]), "{places:?}");
            for (row, &place) in first.rows.rows().into_iter().zip(&places) {
                assert_eq!(row, all.rows.row(place));
            }
            assert_eq!(first.frames, take(10, 3, 0).frames);
            assert_ne!(first.frames, take(10, 3, 1).frames);
            assert_ne!(first.frames, take(10, 4, 0).frames);
            assert_eq!(take(1_000_000, 3, 0).rows, all.rows);
        }
        let tiny = Plane::from_fn(3, 3, |_, _| 0.5);
        let extractor = Extractor::new(&Default::default()).unwrap();
        assert!(draw(&extractor, &mut vec![tiny].into(), 5, Seed(3), 0, scratch).frames.is_empty());
    }
}
