//! What reading and describing an image allocates.

use super::params::Params;
use crate::memory::Need;

/// Bytes of an image and its decoder, for a pixel of the largest type.
const DECODED: u64 = 32;

/// Bytes of an image whatever its size: what a decoder may need beside the pixels, and buffers.
const OF_IMAGE: u64 = 12 << 20;

/// The largest of a stage's images.
#[derive(Debug, Clone, Copy, Default)]
pub struct Largest {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Bytes of the file of an image, with all that is attached to it.
    pub image_file: u64,
    /// Bytes of a file of descriptors.
    pub file: u64,
    /// Bytes of all that a network computes of an image.
    pub network: u64,
    /// Bytes that are kept of files of vectors, however many workers there are.
    pub kept: u64,
    /// How often a descriptor counts at most; 0 where no image was looked at.
    pub repeats: u64,
}

impl Largest {
    /// What a formula says of it; nothing where no image was looked at.
    pub fn of_images(&self) -> String {
        match self.size {
            [0, 0] => String::new(),
            [width, height] => format!(" for images up to {width} × {height}"),
        }
    }

    /// What a formula says of files of vectors; nothing without one.
    pub fn of_ids(&self) -> String {
        match self.kept {
            0 => String::new(),
            bytes => format!(" + {bytes} of ids"),
        }
    }
}

/// Bytes of an image that is decoded, scaled and described.
pub fn image_bytes(params: &Params, largest: Largest) -> u64 {
    let [width, height] = largest.size;
    let factor = params.scales.iter().copied().fold(1.0, f64::max);
    let planes = params.colours().planes() as u64 * ((8.0 * factor * factor) as u64 + 4);
    // The file itself, and a copy of what is attached to the picture.
    let files = 2 * largest.image_file + largest.file;
    (width as u64 * height as u64) * (DECODED + planes) + files + largest.network + OF_IMAGE
}

/// `rows` descriptors that are drawn, as they are gathered and as they are written.
pub fn need_of_sample(rows: usize, params: &Params, largest: Largest) -> Need {
    let (rows, dim) = (rows as u64, params.dim() as u64);
    let each = image_bytes(params, largest);
    Need {
        stage: "extract",
        fixed: rows * (8 * dim + 16),
        each,
        formula: format!(
            "sample.rows {rows} · (8·{dim} + 16) + {each} a worker{}",
            largest.of_images()
        ),
        way_out: "lower sample.rows or image.max_megapixels, or raise --max-memory",
    }
}
