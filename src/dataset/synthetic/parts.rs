//! A synthetic PASCAL VOC folder whose classes differ by the parts of an object alone.
//!
//! An image shows one object: a plain body, and on it [`PARTS`] discs at random places, each with a pattern. A
//! class is the set of its patterns, four of eight, so that any two classes share two or none. Discs of the same
//! make with patterns of any class, [`DISTRACTORS`] of them, lie on the body and beside it. Some parts are hidden
//! ([`HIDDEN_PARTS`]); their annotation says so and has no box.
//!
//! Where the parts are, tells the class; the image as a whole has more foreign patterns than its own.
//!
//! Everything is a function of seed, settings and index, as for [`super::Generator`].

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI};
use std::path::PathBuf;

use image::RgbImage;

use super::canvas::{Canvas, Colour, grey, mix, smooth, unit};
use super::params::Synthetic;
use super::texture::{Background, develop};
use super::voc;
use crate::Result;
use crate::dataset::Label;
use crate::random::{Seed, Stream};

/// Names of the classes, sorted.
pub const PART_CLASSES: [&str; 6] = ["amber", "basil", "cedar", "dahlia", "elder", "fern"];
/// Names of an object's parts.
pub const PARTS: [&str; 4] = ["head", "wing", "tail", "foot"];
/// Discs that are no parts of the object.
pub const DISTRACTORS: (usize, usize) = (5, 8);
/// Share of the parts that are hidden.
pub const HIDDEN_PARTS: f64 = 0.2;

/// The pairs of patterns that a class has: a pattern of each pair for two parts.
const PAIRS: [[usize; 2]; 6] = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];
/// Patterns that a disc may have: two to a pair.
const PATTERNS: usize = 8;
/// Radius of a disc, in units.
const RADIUS: (f64, f64) = (12.0, 15.0);
/// Shares of width and height that an object takes.
const EXTENT: [(f64, f64); 2] = [(0.55, 0.8), (0.6, 0.85)];
/// Places that are tried for a disc before it is given up.
const TRIES: usize = 200;

/// Draws the images and writes out the lists and annotations.
///
/// ```
/// use fvtool::dataset::synthetic::{PartsGenerator, Synthetic};
/// use fvtool::random::Seed;
/// let generator = PartsGenerator::new(&Synthetic::default(), Seed(1))?;
/// assert_eq!(generator.image(3).dimensions(), (240, 180));
/// # Ok::<(), fvtool::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PartsGenerator {
    params: Synthetic,
    seed: Seed,
}

/// A disc with a pattern.
#[derive(Debug)]
struct Disc {
    centre: [f32; 2],
    radius: f32,
    pattern: usize,
    turn: f32,
    /// Length of a wave of the pattern, in pixels.
    wave: f32,
    phase: [f32; 2],
    light: f32,
    dark: f32,
    tint: Colour,
}

/// What an image shows.
#[derive(Debug)]
struct Scene {
    class: usize,
    /// Middle and half sides of the body.
    body: [[f32; 2]; 2],
    colour: Colour,
    /// In the order of [`PARTS`]; none where it is hidden.
    parts: [Option<Disc>; PARTS.len()],
    distractors: Vec<Disc>,
    background: Background,
}

impl PartsGenerator {
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

    /// Where an image belongs, below the data set's folder.
    pub fn image_path(&self, index: usize) -> PathBuf {
        voc::image_path(index)
    }

    /// Draws one image. It depends on seed, settings and `index` alone.
    pub fn image(&self, index: usize) -> RgbImage {
        let Synthetic { width_px, height_px, .. } = self.params;
        let scene = self.scene(index);
        let mut canvas = Canvas::new(width_px, height_px);
        let mut stream = self.seed.stream("synthetic/background", index as u64);
        scene.background.paint(&mut canvas, &mut stream);
        let [centre, half] = scene.body;
        canvas.paint(centre, half[0].max(half[1]) + 1.0, |x, y, under| {
            let (u, v) = ((x - centre[0]) / half[0], (y - centre[1]) / half[1]);
            // A rounded box, so that parts may lie at its corners.
            let depth = (1.0 - (u.powi(4) + v.powi(4)).sqrt().sqrt()) * half[0].min(half[1]);
            mix(under, scene.colour, smooth(depth))
        });
        scene.distractors.iter().chain(scene.parts.iter().flatten()).for_each(|disc| {
            canvas.paint(disc.centre, disc.radius + 1.0, |x, y, under| disc.over(x, y, under));
        });
        develop(&mut canvas, self.seed, index as u64);
        canvas.into_image()
    }

    /// One image as the bytes of its file, a JPEG.
    pub fn jpeg(&self, index: usize) -> Vec<u8> {
        voc::jpeg(&self.image(index))
    }

    /// The class of an image, a place in [`PART_CLASSES`].
    pub fn class(&self, index: usize) -> usize {
        self.scene(index).class
    }

    /// Left, top, right, bottom of the parts of an image in pixels, 0-based and inclusive, in the order of
    /// [`PARTS`]; none of a hidden one.
    pub fn parts(&self, index: usize) -> [Option<[u32; 4]>; PARTS.len()] {
        self.scene(index).parts.map(|part| Some(self.bounds(part?.area())))
    }

    /// Every file but the images, as paths below the data set's folder with their contents.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let scenes: Vec<Scene> = (0..self.images()).map(|index| self.scene(index)).collect();
        let label = |index: usize, class: usize| match scenes[index].class == class {
            true => Label::Yes,
            false => Label::No,
        };
        let mut files = voc::lists(&self.params, &PART_CLASSES, label);
        for (index, scene) in scenes.iter().enumerate() {
            let part = |(name, part): (&&str, &Option<Disc>)| {
                let place = match part {
                    Some(disc) => voc::bndbox("\t\t\t", self.bounds(disc.area())),
                    None => "\t\t\t<visible>0</visible>\n".to_owned(),
                };
                format!("\t\t<part>\n\t\t\t<name>{name}</name>\n{place}\t\t</part>\n")
            };
            let parts: String = PARTS.iter().zip(&scene.parts).map(part).collect();
            let [centre, half] = scene.body;
            let [x, y] = [0, 1].map(|axis| [centre[axis] - half[axis], centre[axis] + half[axis]]);
            let object = format!(
                "\t<object>\n\t\t<name>{}</name>\n\t\t<difficult>0</difficult>\n{}{parts}\t</object>\n",
                PART_CLASSES[scene.class],
                voc::bndbox("\t\t", self.bounds([x[0], y[0], x[1], y[1]])),
            );
            let text = voc::annotation(&self.params, index, &object);
            files.push((voc::annotation_path(index), text));
        }
        files
    }

    /// Pixels of an area, cut at the border.
    fn bounds(&self, area: [f32; 4]) -> [u32; 4] {
        let last = [self.params.width_px - 1, self.params.height_px - 1];
        let [left, top, right, bottom] = area.map(|edge| edge.round().max(0.0) as u32);
        [left, top, right.min(last[0]), bottom.min(last[1])]
    }

    fn scene(&self, index: usize) -> Scene {
        let mut stream = self.seed.stream("synthetic/parts", index as u64);
        let Synthetic { width_px, height_px, .. } = self.params;
        let size = [width_px as f32, height_px as f32];
        let unit = unit(width_px, height_px);
        let n = PART_CLASSES.len();
        // Each run of six images has each class once, so that small data sets have every class too.
        let mut order: Vec<usize> = (0..n).collect();
        self.seed.stream("synthetic/order", (index / n) as u64).shuffle(&mut order);
        let class = order[index % n];
        let half = [0, 1].map(|axis| {
            let (low, high) = EXTENT[axis];
            size[axis] * stream.between(low, high) as f32 / 2.0
        });
        let centre =
            [0, 1].map(|axis| half[axis] + stream.unit() as f32 * (size[axis] - 2.0 * half[axis]));
        let level = stream.between(0.25, 0.75) as f32;
        let colour = grey(level).map(|c| c + stream.between(-0.1, 0.1) as f32);
        let mut taken: Vec<[f32; 3]> = Vec::new();
        let patterns = PAIRS[class].map(|pair| [2 * pair, 2 * pair + 1]);
        let within = [0, 1].map(|axis| [centre[axis] - half[axis], centre[axis] + half[axis]]);
        let parts = [0, 1, 2, 3].map(|part: usize| {
            let pattern = patterns[part / 2][part % 2];
            let disc = Disc::draw(pattern, within, unit, &mut taken, &mut stream);
            disc.filter(|_| stream.unit() >= HIDDEN_PARTS)
        });
        let (few, many) = DISTRACTORS;
        let all = size.map(|side| [0.0, side]);
        let distractors = (0..few + stream.below(many - few + 1)).filter_map(|_| {
            let pattern = stream.below(PATTERNS);
            Disc::draw(pattern, all, unit, &mut taken, &mut stream)
        });
        let distractors = distractors.collect();
        let background = Background::NEUTRAL[stream.below(Background::NEUTRAL.len())];
        Scene { class, body: [centre, half], colour, parts, distractors, background }
    }
}

impl Disc {
    /// A disc in an area (from, to of each axis), away from those that have their place; none when there is no
    /// room for it.
    fn draw(
        pattern: usize,
        [x, y]: [[f32; 2]; 2],
        unit: f32,
        taken: &mut Vec<[f32; 3]>,
        stream: &mut Stream,
    ) -> Option<Self> {
        let mut between = |low: f32, high: f32| stream.between(low.into(), high.into()) as f32;
        let radius = unit * between(RADIUS.0 as f32, RADIUS.1 as f32);
        let (turn, wave) = (between(-0.15, 0.15), unit * between(5.5, 7.5));
        let phase = [between(0.0, 1.0), between(0.0, 1.0)];
        let (light, dark) = (between(0.7, 0.9), between(0.1, 0.3));
        let tint = [(); 3].map(|()| between(-0.1, 0.1));
        let places: Vec<[f32; 2]> = (0..TRIES)
            .map(|_| [(x, radius), (y, radius)].map(|([from, to], r)| between(from + r, to - r)))
            .collect();
        let free = |place: &[f32; 2]| {
            let far = |other: &[f32; 3]| {
                (place[0] - other[0]).hypot(place[1] - other[1]) > radius + other[2]
            };
            taken.iter().all(far)
        };
        let centre = places.into_iter().find(free)?;
        taken.push([centre[0], centre[1], radius]);
        Some(Self { centre, radius, pattern, turn, wave, phase, light, dark, tint })
    }

    /// Left, top, right, bottom in pixels.
    fn area(&self) -> [f32; 4] {
        let ([x, y], r) = (self.centre, self.radius);
        [x - r, y - r, x + r, y + r]
    }

    /// The colour at a place, over what is there.
    fn over(&self, x: f32, y: f32, under: Colour) -> Colour {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let (sin, cos) = self.turn.sin_cos();
        let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
        let wave = |along: f32, phase: f32| (2.0 * PI * (along / self.wave + phase)).sin();
        let stripes = |angle: f32| {
            let (sin, cos) = angle.sin_cos();
            wave(cos * u + sin * v, self.phase[0])
        };
        let value = match self.pattern {
            0 => stripes(0.0),
            1 => stripes(FRAC_PI_2),
            2 => stripes(FRAC_PI_4),
            3 => stripes(-FRAC_PI_4),
            4 => wave(u, self.phase[0]) * wave(v, self.phase[1]),
            5 => wave(u.hypot(v), self.phase[0]),
            6 => wave(u, self.phase[0]).max(wave(v, self.phase[1])),
            _ => (5.0 * v.atan2(u)).sin(),
        };
        let level = 0.5 + 0.5 * (2.0 * value).clamp(-1.0, 1.0);
        let level = self.dark + (self.light - self.dark) * level;
        let colour = self.tint.map(|c| level + c);
        mix(under, colour, smooth(self.radius - dx.hypot(dy)))
    }
}
