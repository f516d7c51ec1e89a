//! From an image file to luminance or colour planes: decoding, orientation, size, smoothing.
//!
//! The format is guessed from the content, never from the name; EXIF orientation is applied before
//! anything is measured. Luminance is BT.601 in `f32`:
//!
//! ```text
//! Y = 0.299 R + 0.587 G + 0.114 B,   R, G, B in [0, 1]
//! ```
//!
//! Opponent colours (SGS10) are `(R − G)/√2` and `(R + G − 2B)/√6`.
//!
//! Transparent pixels are composited on white, as a viewer or a printed page shows them: what
//! colour a file keeps under alpha 0 is an accident of the program that wrote it.
//!
//! JPEG and the pixels of TIFF files are decoded here (`jpeg`, `tiff`), the other formats by the `image` crate.
//! Which values are black and white is settled before anything else (`range`).
//!
//! Departs from the `image` crate's `to_luma32f`, which weighs by Rec. 709 in integers.

mod colours;
mod decode;
mod frames;
mod jpeg;
mod kinds;
mod load;
mod marks;
mod netpbm;
mod panics;
mod params;
mod photo;
mod plane;
mod planes;
mod range;
mod resize;
mod smooth;
mod tiff;

pub use ::image::{DynamicImage, RgbImage};
pub use colours::Colours;
pub(crate) use decode::most_file_bytes;
pub use decode::{Check, Remarks, stated_size};
pub use load::{Loaded, load, load_luminance, load_rgb};
pub use marks::Marks;
pub use params::Params;
pub use photo::Photo;
pub use plane::Plane;
pub use range::ValueRange;
pub use resize::{Resizer, resize};
pub use smooth::{gaussian_kernel, smooth};
