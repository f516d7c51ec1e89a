//! The files of a PASCAL VOC folder, as generators write them.

use std::fmt::Write as _;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use super::params::Synthetic;
use crate::dataset::Label;

/// JPEG quality of the stored images.
const JPEG_QUALITY: u8 = 90;

/// Name of an image.
pub(super) fn id(index: usize) -> String {
    format!("{:06}", index + 1)
}

/// Where an image belongs.
pub(super) fn image_path(index: usize) -> PathBuf {
    format!("JPEGImages/{}.jpg", id(index)).into()
}

/// An image as the bytes of its file.
pub(super) fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)
        .expect("the sides were checked, and memory does not fail to write");
    bytes
}

/// The lists of both splits and their class lists, as paths below the data set's folder with their contents.
/// `label` is that of an image for a class.
pub(super) fn lists(
    params: &Synthetic,
    classes: &[&str],
    label: impl Fn(usize, usize) -> Label,
) -> Vec<(PathBuf, Vec<u8>)> {
    let (train, all) = (params.train_images, params.train_images + params.test_images);
    let mut files = Vec::new();
    for (split, range) in [("train", 0..train), ("test", train..all)] {
        let ids: String = range.clone().map(|index| id(index) + "\n").collect();
        files.push((format!("ImageSets/Main/{split}.txt").into(), ids.into_bytes()));
        for (class, name) in classes.iter().enumerate() {
            let mut list = String::new();
            for index in range.clone() {
                _ = writeln!(list, "{} {:2}", id(index), label(index, class).number());
            }
            let path = format!("ImageSets/Main/{name}_{split}.txt").into();
            files.push((path, list.into_bytes()));
        }
    }
    files
}

/// Where an annotation belongs.
pub(super) fn annotation_path(index: usize) -> PathBuf {
    format!("Annotations/{}.xml", id(index)).into()
}

/// An annotation with these objects.
pub(super) fn annotation(params: &Synthetic, index: usize, objects: &str) -> Vec<u8> {
    let Synthetic { width_px: width, height_px: height, .. } = params;
    let id = id(index);
    let text = format!(
        "<annotation>\n\
         \t<folder>synthetic</folder>\n\
         \t<filename>{id}.jpg</filename>\n\
         \t<source>\n\t\t<database>drawn by fvtool</database>\n\t</source>\n\
         \t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\
         \t\t<depth>3</depth>\n\t</size>\n\
         {objects}</annotation>\n"
    );
    text.into_bytes()
}

/// A box at this depth of the annotation; edges 0-based and inclusive.
pub(super) fn bndbox(depth: &str, [left, top, right, bottom]: [u32; 4]) -> String {
    format!(
        "{depth}<bndbox>\n{depth}\t<xmin>{}</xmin>\n{depth}\t<ymin>{}</ymin>\n\
         {depth}\t<xmax>{}</xmax>\n{depth}\t<ymax>{}</ymax>\n{depth}</bndbox>\n",
        left + 1,
        top + 1,
        right + 1,
        bottom + 1,
    )
}
