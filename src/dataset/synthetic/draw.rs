//! The drawing of a scene on a canvas, and the planted tag.

use image::RgbImage;

use super::canvas::{Canvas, Colour, grey, luminance, mix, smooth, unit};
use super::scene::{Blob, STAMP_RADIUS, Scene, Thing};
use super::shapes::boxed;
use super::texture::develop;
use crate::random::Seed;

/// The planted tag: one text line of 5 × 7 dot letters, a bit per dot, leftmost dot highest.
const TAG_LETTERS: [[u8; 7]; 6] = [
    [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
    [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
    [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
    [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001],
    [0b10101, 0b01010, 0b10101, 0b01010, 0b10101, 0b01010, 0b10101],
];

impl Canvas {
    fn thing(&mut self, thing: &Thing) {
        let around = self.mean_luminance(thing.centre, thing.radius);
        // Towards the side with more room, when the chosen one would clip.
        let away = |from: f32, by: f32| {
            let level = from + by;
            if (0.03..=0.97).contains(&level) { level } else { from - by }
        };
        let fill_level = away(around, thing.contrast);
        let detail_from = if thing.is_filled() { fill_level } else { around };
        let detail_level = away(detail_from, thing.detail_contrast);
        let coloured = |level: f32, tint: Colour| -> Colour {
            // The tint moves colour alone; luminance stays what the contrast says.
            let shift = luminance(tint);
            std::array::from_fn(|c| level + tint[c] - shift)
        };
        let fill = coloured(fill_level, thing.tint);
        let detail = coloured(detail_level, thing.tint.map(|c| -c));
        let shade = thing.shade;
        self.paint(thing.centre, thing.reach(), |x, y, under| {
            let cover = thing.cover(x, y);
            let side = (x - thing.centre[0]) / thing.radius;
            let lit = |colour: Colour| colour.map(|c| c * (1.0 + shade * side));
            mix(mix(under, lit(fill), cover.fill), lit(detail), cover.detail)
        });
    }

    fn blob(&mut self, blob: &Blob) {
        let (sin, cos) = blob.angle.sin_cos();
        self.paint(blob.centre, blob.half[0].hypot(blob.half[1]) + 1.0, |x, y, under| {
            let (dx, dy) = (x - blob.centre[0], y - blob.centre[1]);
            let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
            let distance = if blob.round {
                // Exact for circles, off by the axes' ratio for ellipses: clutter may be soft.
                let (a, b) = (blob.half[0], blob.half[1]);
                ((u / a).hypot(v / b) - 1.0) * a.min(b)
            } else {
                boxed(u, v, blob.half[0], blob.half[1])
            };
            mix(under, blob.colour, smooth(-distance))
        });
    }

    /// The tag, over everything else: light letters on a dark plate.
    fn tag(&mut self) {
        let [left, top, right, bottom] = tag_bounds(self.width as u32, self.height() as u32);
        let dot = dot(self.width as u32, self.height() as u32);
        for y in top..=bottom {
            for x in left..=right {
                let column = ((x - left) / dot) as usize;
                let row = ((y - top) / dot) as usize;
                // One dot of margin, five of letter, one of gap.
                let lit = column > 0 && row > 0 && {
                    let (letter, bit) = ((column - 1) / 6, (column - 1) % 6);
                    let rows = TAG_LETTERS.get(letter);
                    let bits = rows.and_then(|rows| rows.get(row - 1)).copied().unwrap_or(0);
                    bit < 5 && bits >> (4 - bit) & 1 == 1
                };
                let place = y as usize * self.width + x as usize;
                if let Some(pixel) = self.pixels.get_mut(place) {
                    *pixel = grey(if lit { 0.92 } else { 0.12 });
                }
            }
        }
    }
}

impl Canvas {
    /// The stamp, over everything else: a light disc with rings of dark fields.
    fn stamp(&mut self, centre: [f32; 2]) {
        let radius = STAMP_RADIUS * self.unit();
        self.paint(centre, radius + 1.0, |x, y, under| {
            let (dx, dy) = (x - centre[0], y - centre[1]);
            let (distance, angle) = (dx.hypot(dy), dy.atan2(dx));
            let ring = (3.0 * distance / radius) as i32;
            let field = (4.0 * angle / std::f32::consts::PI).floor() as i32;
            let dark = distance > 0.87 * radius || (ring + field).rem_euclid(2) == 0;
            mix(under, grey(if dark { 0.1 } else { 0.93 }), smooth(radius - distance))
        });
    }
}

/// Draws a scene: background, clutter, objects with what hides them, light and noise, tag and stamp.
pub(super) fn draw(scene: &Scene, width: u32, height: u32, seed: Seed, index: u64) -> RgbImage {
    let mut canvas = Canvas::new(width, height);
    scene.background.paint(&mut canvas, &mut seed.stream("synthetic/background", index));
    scene.clutter.iter().for_each(|blob| canvas.blob(blob));
    for thing in &scene.things {
        canvas.thing(thing);
        thing.hidden_by.iter().for_each(|blob| canvas.blob(blob));
    }
    develop(&mut canvas, seed, index);
    if scene.tagged {
        canvas.tag();
    }
    if let Some(centre) = scene.stamp {
        canvas.stamp(centre);
    }
    canvas.into_image()
}

/// Side of one dot of the tag in pixels.
fn dot(width: u32, height: u32) -> u32 {
    (2.0 * unit(width, height)).round().max(1.0) as u32
}

/// Left, top, right, bottom of the tag's place in pixels, 0-based and inclusive.
pub(super) fn tag_bounds(width: u32, height: u32) -> [u32; 4] {
    let dot = dot(width, height);
    let columns = 6 * TAG_LETTERS.len() as u32 + 1;
    let margin = 2 * dot;
    // The unit follows the shorter side, so that neither edge is ever reached.
    let bottom = height - margin - 1;
    [margin, bottom + 1 - 9 * dot, margin + columns * dot - 1, bottom]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::synthetic::Synthetic;

    /// Each object alone, in white on black: what is painted and the box must end together.
    #[test]
    fn boxes_enclose_what_is_painted() {
        let params = Synthetic::default();
        for index in 0..60 {
            for thing in &Scene::plan(&params, Seed(1), index).things {
                let mut canvas = Canvas::new(240, 180);
                // Further than any object reaches, so that nothing may be cut off.
                canvas.paint(thing.centre, 2.0 * thing.reach(), |x, y, _| {
                    let cover = thing.cover(x, y);
                    grey(cover.fill.max(cover.detail))
                });
                let painted = (0..240 * 180).filter(|&i| canvas.pixels[i][0] > 0.25);
                let painted: Vec<[u32; 2]> =
                    painted.map(|i| [i as u32 % 240, i as u32 / 240]).collect();
                if painted.is_empty() {
                    assert!(thing.difficult);
                    continue;
                }
                let edge = |axis: usize| painted.iter().map(move |place| place[axis]);
                let expected = [
                    edge(0).min().unwrap(),
                    edge(1).min().unwrap(),
                    edge(0).max().unwrap(),
                    edge(1).max().unwrap(),
                ];
                assert_eq!(thing.bounds(240, 180), expected, "image {index}");
            }
        }
    }

    #[test]
    fn the_tag_fits_into_every_size() {
        for (width, height) in [(96, 96), (96, 4096), (4096, 96), (240, 180), (640, 480)] {
            let [left, top, right, bottom] = tag_bounds(width, height);
            assert!(left < right && right < width / 2 + 1, "{width} x {height}");
            assert!(top < bottom && bottom < height, "{width} x {height}");
        }
    }
}
