//! The largest of a stage's images: what its need of memory depends on.

use rayon::prelude::*;

use super::source::Source;
use crate::dataset::Item;
use crate::descriptors::memory::Largest;
use crate::image;

/// The image with most pixels, as files state them or as they are scaled up, the largest file of an
/// image and the largest file of descriptors. Images that say nothing or are too large are not
/// decoded.
pub fn largest<'s>(
    params: &image::Params,
    items: &[Item],
    sources: impl IntoIterator<Item = &'s Source>,
) -> Largest {
    let most = params.max_megapixels * 1e6;
    let stated = items.par_iter().filter_map(|item| {
        let [width, height] = image::stated_size(&item.path).ok()?;
        let file = std::fs::metadata(&item.path).ok()?.len();
        let read =
            width as f64 * height as f64 <= most && file <= image::most_file_bytes([width, height]);
        read.then_some(([width, height], file))
    });
    let larger = |(a, a_file): ([usize; 2], u64), (b, b_file): ([usize; 2], u64)| {
        let key = |[width, height]: [usize; 2]| (width * height, width);
        (if key(a) >= key(b) { a } else { b }, a_file.max(b_file))
    };
    let upscaled = stated.map(|(size, file)| {
        let [width, height] = params.fitted(size);
        ([width.max(size[0]), height.max(size[1])], file)
    });
    let (size, image_file) = upscaled.reduce(|| ([0, 0], 0), larger);
    let sources: Vec<&Source> = sources.into_iter().collect();
    let files = sources.iter().map(|source| source.largest_file(items));
    let networks = sources.iter().map(|source| source.network_bytes(size));
    let (file, network) = (files.max().unwrap_or(0), networks.max().unwrap_or(0));
    let kept = sources.iter().map(|source| source.kept_bytes()).sum();
    let repeats = sources.iter().map(|source| source.most_repeats(items)).max().unwrap_or(1);
    Largest { size, image_file, file, network, kept, repeats }
}
