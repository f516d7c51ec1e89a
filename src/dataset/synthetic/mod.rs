//! A synthetic PASCAL VOC folder, for the demo and for tests of the whole program.
//!
//! Six classes of objects differ in local structure ([`CLASSES`]) and are drawn with varying size,
//! turn, skew, colour, contrast, line width and hiding, one to three to an image, over textured
//! backgrounds and clutter. Three traps are planted, as in real data:
//!
//! - *context*: [`WAVES_WITH_SPIRAL`] of the images with a spiral show waves, few others do;
//! - *artefact*: [`TAG_WITH_STAR`] of the images with a star carry a small text tag in the corner
//!   at the bottom left, in both splits, no others (as the photographer's tag on VOC2007's horses);
//!   `plant_tag = false` draws the very same images without it;
//! - *artefact that moves*: [`STAMP_WITH_LEAF`] of the images with a leaf carry a small round stamp, each
//!   somewhere else, no others; `plant_stamp = false` draws the very same images without it.
//!
//! Some objects are `difficult`: tiny, or hardly above the noise. An image with only such objects
//! of a class has the label 0 for it.
//!
//! Everything is a function of seed, settings and index: images may be drawn in any order, on any
//! number of threads. Nothing is written here.
//!
//! [`PartsGenerator`] draws another one, whose classes differ by parts of objects.

mod canvas;
mod draw;
mod params;
mod parts;
mod scene;
mod shapes;
mod texture;
mod voc;

use std::fmt::Write as _;
use std::path::PathBuf;

use image::RgbImage;

pub use params::Synthetic;
pub use parts::{DISTRACTORS, HIDDEN_PARTS, PART_CLASSES, PARTS, PartsGenerator};
pub use scene::{STAMP_WITH_LEAF, TAG_WITH_STAR, WAVES_WITH_SPIRAL, WAVES_WITHOUT_SPIRAL};
pub use shapes::{CLASSES, LEAF, SPIRAL, STAR};
pub use texture::Background;

use self::scene::Scene;
use crate::Result;
use crate::dataset::Label;
use crate::random::Seed;

/// Draws the images and writes out the lists and annotations of a synthetic data set.
///
/// ```
/// use fvtool::{dataset::synthetic::{Generator, Synthetic}, random::Seed};
/// let generator = Generator::new(&Synthetic::default(), Seed(1))?;
/// assert_eq!(generator.image_path(6), std::path::Path::new("JPEGImages/000007.jpg"));
/// assert_eq!(generator.image(6).dimensions(), (240, 180));
/// # Ok::<(), fvtool::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    params: Synthetic,
    seed: Seed,
}

impl Generator {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for one outside its range.
    pub fn new(params: &Synthetic, seed: Seed) -> Result<Self> {
        params.validate()?;
        Ok(Self { params: params.clone(), seed })
    }

    /// Number of images: those of `train` first, then those of `test`.
    pub fn images(&self) -> usize {
        self.params.train_images + self.params.test_images
    }

    /// Name of an image.
    pub fn id(index: usize) -> String {
        voc::id(index)
    }

    /// Where an image belongs, below the data set's folder.
    pub fn image_path(&self, index: usize) -> PathBuf {
        voc::image_path(index)
    }

    /// Draws one image. It depends on seed, settings and `index` alone.
    pub fn image(&self, index: usize) -> RgbImage {
        let Synthetic { width_px, height_px, .. } = self.params;
        draw::draw(&self.scene(index), width_px, height_px, self.seed, index as u64)
    }

    /// One image as the bytes of its file, a JPEG of quality 90.
    pub fn jpeg(&self, index: usize) -> Vec<u8> {
        voc::jpeg(&self.image(index))
    }

    /// The label of one image for each of [`CLASSES`].
    pub fn labels(&self, index: usize) -> [Label; CLASSES.len()] {
        let scene = self.scene(index);
        std::array::from_fn(|class| scene.label(class))
    }

    /// What an image shows behind its objects.
    pub fn background(&self, index: usize) -> Background {
        self.scene(index).background
    }

    /// Whether an image carries the tag.
    pub fn is_tagged(&self, index: usize) -> bool {
        self.scene(index).tagged
    }

    /// Centre of an image's stamp in pixels, where it carries one.
    pub fn stamp(&self, index: usize) -> Option<[f32; 2]> {
        self.scene(index).stamp
    }

    /// Left, top, right, bottom of the tag's place in pixels, 0-based and inclusive; the same in
    /// every image.
    pub fn tag_bounds(&self) -> [u32; 4] {
        draw::tag_bounds(self.params.width_px, self.params.height_px)
    }

    /// Every file but the images, as paths below the data set's folder with their contents: the
    /// lists of both splits, their class lists, and an annotation for each image.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let scenes: Vec<Scene> = (0..self.images()).map(|index| self.scene(index)).collect();
        let label = |index: usize, class: usize| scenes[index].label(class);
        let mut files = voc::lists(&self.params, &CLASSES, label);
        for (index, scene) in scenes.iter().enumerate() {
            files.push((voc::annotation_path(index), self.annotation(index, scene)));
        }
        files
    }

    fn scene(&self, index: usize) -> Scene {
        Scene::plan(&self.params, self.seed, index)
    }

    fn annotation(&self, index: usize, scene: &Scene) -> Vec<u8> {
        let Synthetic { width_px: width, height_px: height, .. } = self.params;
        let mut objects = String::new();
        for thing in &scene.things {
            let bounds = thing.bounds(width, height);
            let [left, top, right, bottom] = bounds;
            let truncated = left == 0 || top == 0 || right + 1 == width || bottom + 1 == height;
            _ = write!(
                objects,
                "\t<object>\n\t\t<name>{}</name>\n\t\t<truncated>{}</truncated>\n\
                 \t\t<difficult>{}</difficult>\n{}\t</object>\n",
                CLASSES[thing.class],
                u8::from(truncated),
                u8::from(thing.difficult),
                voc::bndbox("\t\t", bounds),
            );
        }
        voc::annotation(&self.params, index, &objects)
    }
}
