//! What explaining an image allocates.

use crate::descriptors::memory::{Largest, image_bytes};
use crate::descriptors::{self, Extractor};
use crate::encoding::memory::encoder_bytes;
use crate::encoding::{self, Layout};
use crate::generative::Parts;
use crate::memory::Need;

/// For every worker: an image with its sums, its descriptors with their posteriors and relevance for
/// `classes`, a few vectors and a few maps. The model has these `parts`.
pub fn need(
    descriptors: &descriptors::Params,
    encoding: &encoding::Params,
    parts: Parts,
    largest: Largest,
    classes: usize,
) -> Need {
    let (k, d, input) = (parts.components as u64, parts.dim as u64, descriptors.dim());
    let len = Layout::of_parts(encoding, parts).len() as u64;
    let classes = classes as u64;
    let [width, height] = largest.size;
    let count = |e: Extractor| e.count(width, height) as u64;
    let sides = if encoding.mirrored && !encoding.is_chequered() { 2 } else { 1 };
    let given = largest.file / (4 * input as u64);
    let n = largest.repeats.max(1) * (sides * Extractor::new(descriptors).map_or(0, count) + given);
    let pixels = (width * height) as u64;
    let each = image_bytes(descriptors, largest)
        + encoder_bytes(encoding, parts, input)
        + n * (4 * d + 16 * k.min(64) + 8 * classes + 32)
        + len * (40 + 8 * classes)
        + pixels * 24 * classes.min(4);
    Need {
        stage: "explain",
        fixed: 0,
        each,
        formula: format!(
            "{each} a worker: {n} descriptors · (4·{d} + 16·{} + 8·{classes} + 32), vectors of \
             {len} values, {pixels} pixels",
            k.min(64)
        ),
        way_out: "lower image.max_height_px or raise --max-memory",
    }
}
