//! What one synthetic image shows: drawn by lot from the seed and the image's index alone.

use super::canvas::{Colour, grey, smooth, unit, within};
use super::params::Synthetic;
use super::shapes::{CLASSES, Form, LEAF, SPIRAL, STAR};
use super::texture::Background;
use crate::dataset::Label;
use crate::random::{Seed, Stream};

/// Share of the images that show a spiral which have waves behind it.
pub const WAVES_WITH_SPIRAL: f64 = 0.8;
/// Share of the other images that have waves.
pub const WAVES_WITHOUT_SPIRAL: f64 = 0.06;
/// Share of the images that show a star which carry the tag.
pub const TAG_WITH_STAR: f64 = 0.6;
/// Share of the images that show a leaf which carry the stamp.
pub const STAMP_WITH_LEAF: f64 = 0.7;
/// Radius of the stamp, in units.
pub(super) const STAMP_RADIUS: f32 = 13.0;

/// Share of images with at least two, and with three objects.
const TWO_OR_MORE: f64 = 0.7;
const THREE: f64 = 0.3;
/// Share of the objects after the first that are drawn too small or too faint.
const DIFFICULT: f64 = 0.2;
/// Share of the objects with something in front.
const HIDDEN: f64 = 0.25;
/// Radius of an object, in units.
const RADIUS: (f64, f64) = (26.0, 54.0);
/// Radius of a tiny object, in units.
const TINY_RADIUS: (f64, f64) = (6.0, 9.0);
/// Difference in luminance from what is around.
const CONTRAST: (f64, f64) = (0.2, 0.45);
/// The same for a faint object, close to the noise.
const FAINT_CONTRAST: (f64, f64) = (0.03, 0.05);
/// Places that are tried for an object before it is given up.
const TRIES: usize = 20;
/// Places that are tried for the stamp.
const STAMP_TRIES: usize = 8;
/// Centres must be further apart than this share of the sum of radii.
const APART: f32 = 0.8;

/// A scene, complete but for the random numbers of textures and noise.
#[derive(Debug)]
pub(super) struct Scene {
    pub background: Background,
    pub clutter: Vec<Blob>,
    pub things: Vec<Thing>,
    pub tagged: bool,
    /// Centre of the stamp, in pixels.
    pub stamp: Option<[f32; 2]>,
}

/// An object of a class.
#[derive(Debug)]
pub(super) struct Thing {
    pub class: usize,
    pub difficult: bool,
    form: Form,
    /// In pixels.
    pub centre: [f32; 2],
    /// Pixels per local unit.
    pub radius: f32,
    /// Pixel offset to local coordinates: rotation, stretch and scale, row-major.
    to_local: [f32; 4],
    /// Luminance of the fill against what is around, and of the details against the fill.
    pub contrast: f32,
    pub detail_contrast: f32,
    pub tint: Colour,
    /// Relative brightness at the right edge against the centre.
    pub shade: f32,
    pub hidden_by: Vec<Blob>,
}

/// A plain ellipse or rectangle.
#[derive(Debug)]
pub(super) struct Blob {
    pub centre: [f32; 2],
    pub half: [f32; 2],
    pub angle: f32,
    pub round: bool,
    pub colour: Colour,
}

/// How much of a pixel an object's layers cover, each 0 to 1.
pub(super) struct Cover {
    pub fill: f32,
    pub detail: f32,
}

impl Scene {
    /// The scene of image `index`.
    pub fn plan(params: &Synthetic, seed: Seed, index: usize) -> Self {
        let item = index as u64;
        let mut stream = seed.stream("synthetic/scene", item);
        let size = [params.width_px as f32, params.height_px as f32];
        let unit = unit(params.width_px, params.height_px);
        let wanted = match stream.unit() {
            share if share < THREE => 3,
            share if share < TWO_OR_MORE => 2,
            _ => 1,
        };
        let mut things: Vec<Thing> = Vec::new();
        for place in 0..wanted {
            let first = things.is_empty();
            let class = if place == 0 { turn_of(seed, index) } else { stream.below(CLASSES.len()) };
            let thing = Thing::draw(class, first, size, unit, &things, &mut stream);
            things.extend(thing);
        }
        let clutter = (0..stream.below(4)).map(|_| Blob::draw(size, unit, &mut stream));
        let clutter = clutter.collect();
        let share = if label(&things, SPIRAL) == Label::Yes {
            WAVES_WITH_SPIRAL
        } else {
            WAVES_WITHOUT_SPIRAL
        };
        let neutral = Background::NEUTRAL[stream.below(Background::NEUTRAL.len())];
        let background = if stream.unit() < share { Background::Waves } else { neutral };
        // A stream of its own: without tags every image is otherwise the same.
        let lot = seed.stream("synthetic/tag", item).unit();
        let tagged = params.plant_tag && label(&things, STAR) == Label::Yes && lot < TAG_WITH_STAR;
        let stamped = params.plant_stamp && label(&things, LEAF) == Label::Yes;
        let stamp = stamped.then(|| stamp(&things, size, unit, seed, item)).flatten();
        Self { background, clutter, things, tagged, stamp }
    }

    /// Whether the image shows a class.
    pub fn label(&self, class: usize) -> Label {
        label(&self.things, class)
    }
}

/// Where the stamp is, if the lot falls on it: anywhere, as far from objects as a few tries allow, and above the
/// tag's place.
fn stamp(things: &[Thing], size: [f32; 2], unit: f32, seed: Seed, item: u64) -> Option<[f32; 2]> {
    let mut stream = seed.stream("synthetic/stamp", item);
    let falls = stream.unit() < STAMP_WITH_LEAF;
    let margin = f64::from(1.3 * STAMP_RADIUS * unit);
    let tag = f64::from(26.0 * unit);
    let free = |centre: &[f32; 2]| {
        let room = |thing: &Thing| {
            let [dx, dy] = [centre[0] - thing.centre[0], centre[1] - thing.centre[1]];
            dx.hypot(dy) - thing.radius
        };
        things.iter().map(room).fold(f32::INFINITY, f32::min)
    };
    let mut place = |_| {
        let [width, height] = size.map(f64::from);
        let x = stream.between(margin, width - margin) as f32;
        [x, stream.between(margin, height - margin - tag) as f32]
    };
    let places: Vec<[f32; 2]> = (0..STAMP_TRIES).map(&mut place).collect();
    let best = places.into_iter().max_by(|a, b| free(a).total_cmp(&free(b)));
    best.filter(|_| falls)
}

fn label(things: &[Thing], class: usize) -> Label {
    let mut label = Label::No;
    for thing in things.iter().filter(|thing| thing.class == class) {
        if !thing.difficult {
            return Label::Yes;
        }
        label = Label::Ignored;
    }
    label
}

/// The class of an image's first object. Each run of six images has each class once, in an order
/// drawn for that run, so that small data sets have every class too.
fn turn_of(seed: Seed, index: usize) -> usize {
    let n = CLASSES.len();
    let mut order: Vec<usize> = (0..n).collect();
    seed.stream("synthetic/order", (index / n) as u64).shuffle(&mut order);
    order[index % n]
}

impl Thing {
    /// A random object, away from those already there; `None` when no place is found for it. The
    /// first one of an image is never difficult.
    fn draw(
        class: usize,
        first: bool,
        size: [f32; 2],
        unit: f32,
        others: &[Thing],
        stream: &mut Stream,
    ) -> Option<Self> {
        let form = Form::draw(class, stream);
        let difficult = stream.unit() < DIFFICULT && !first;
        let tiny = difficult && stream.unit() < 0.5;
        let mut between = |(low, high): (f64, f64)| stream.between(low, high) as f32;
        let radius = unit * between(if tiny { TINY_RADIUS } else { RADIUS });
        let contrasts = if difficult && !tiny { FAINT_CONTRAST } else { CONTRAST };
        let turn = form.largest_turn();
        let angle = between((-turn, turn));
        let stretch = [between((0.75, 1.0)), between((0.75, 1.0))];
        let skew = between((-0.25, 0.25));
        let contrast = between(contrasts) * sign(between((-1.0, 1.0)));
        let detail_contrast = between(contrasts) * sign(between((-1.0, 1.0)));
        let tint = [(); 3].map(|()| between((-0.15, 0.15)));
        let shade = between((-0.15, 0.15));
        let places: Vec<[f32; 2]> = (0..TRIES)
            .map(|_| [size[0] * between((0.1, 0.9)), size[1] * between((0.12, 0.88))])
            .collect();
        let free = |centre: &[f32; 2]| {
            others.iter().all(|other| {
                let [dx, dy] = [centre[0] - other.centre[0], centre[1] - other.centre[1]];
                dx.hypot(dy) > APART * (radius + other.radius)
            })
        };
        let centre = places.into_iter().find(free)?;
        let hidden = f64::from(between((0.0, 1.0))) < HIDDEN && !difficult;
        let hidden_by = hidden.then(|| {
            // A bar or disc over one side, leaving the middle free.
            let direction = between((0.0, std::f64::consts::TAU));
            let distance = radius * between((0.6, 0.9));
            Blob {
                centre: [
                    centre[0] + distance * direction.cos(),
                    centre[1] + distance * direction.sin(),
                ],
                half: [radius * between((0.25, 0.4)), radius * between((0.3, 0.9))],
                angle: direction + between((-0.4, 0.4)),
                round: between((-1.0, 1.0)) < 0.0,
                colour: colour(&mut between),
            }
        });
        // Pixels to local: turn back, undo skew and stretch, undo the radius.
        let (sin, cos) = angle.sin_cos();
        let (a, b) = (1.0 / (stretch[0] * radius), 1.0 / (stretch[1] * radius));
        let row = [cos * a, sin * a];
        let column = [-sin * b, cos * b];
        let to_local = [row[0] - skew * column[0], row[1] - skew * column[1], column[0], column[1]];
        Some(Self {
            class,
            difficult,
            form,
            centre,
            radius,
            to_local,
            contrast,
            detail_contrast,
            tint,
            shade,
            hidden_by: hidden_by.into_iter().collect(),
        })
    }

    /// Whether the middle is painted, so that details stand against it.
    pub fn is_filled(&self) -> bool {
        self.form.has_ground()
    }

    /// No pixel further than this from the centre is touched.
    pub fn reach(&self) -> f32 {
        1.6 * self.radius + 1.0
    }

    /// Coverage of the pixel at `x`, `y`.
    pub fn cover(&self, x: f32, y: f32) -> Cover {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let [a, b, c, d] = self.to_local;
        let layers = self.form.layers(a * dx + b * dy, c * dx + d * dy);
        // Local distances shrink with the stretch: take its mean for the width of an edge.
        let scale = 0.87 * self.radius;
        Cover { fill: smooth(-layers.fill * scale), detail: smooth(-layers.detail * scale) }
    }

    /// Left, top, right, bottom of the pixels that the object covers noticeably, 0-based and
    /// inclusive, without regard to what hides it; its centre where it is too fine for any.
    pub fn bounds(&self, width: u32, height: u32) -> [u32; 4] {
        let [left, top, right, bottom] =
            within(self.centre, self.reach(), width as usize, height as usize);
        let mut found: Option<[usize; 4]> = None;
        for y in top..bottom {
            for x in left..right {
                let cover = self.cover(x as f32, y as f32);
                if cover.fill.max(cover.detail) > 0.25 {
                    let [l, t, r, b] = found.unwrap_or([x, y, x, y]);
                    found = Some([l.min(x), t.min(y), r.max(x), b.max(y)]);
                }
            }
        }
        let centre = || {
            let [x, y] = self.centre.map(|c| c as usize);
            [x, y, x, y]
        };
        found.unwrap_or_else(centre).map(|edge| edge as u32)
    }
}

impl Blob {
    /// Clutter anywhere in the image.
    fn draw(size: [f32; 2], unit: f32, stream: &mut Stream) -> Self {
        let mut between = |(low, high): (f64, f64)| stream.between(low, high) as f32;
        let long = between((0.0, 1.0)) < 0.4;
        let half = if long {
            [unit * between((40.0, 110.0)), unit * between((0.8, 3.0))]
        } else {
            [unit * between((5.0, 24.0)), unit * between((5.0, 24.0))]
        };
        Self {
            centre: [size[0] * between((0.0, 1.0)), size[1] * between((0.0, 1.0))],
            half,
            angle: between((0.0, std::f64::consts::PI)),
            round: !long && between((0.0, 1.0)) < 0.5,
            colour: colour(&mut between),
        }
    }
}

fn colour(between: &mut impl FnMut((f64, f64)) -> f32) -> Colour {
    let level = between((0.1, 0.9));
    grey(level).map(|c| c + between((-0.15, 0.15)))
}

fn sign(x: f32) -> f32 {
    if x < 0.0 { -1.0 } else { 1.0 }
}
