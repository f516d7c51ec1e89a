//! Backgrounds: band-limited noise and what is made of it.
//!
//! All lengths are in units of 1/180 of the image's shorter side, so that a larger image shows the
//! same scene in more detail.

use std::f32::consts::TAU;

use super::canvas::{Canvas, Colour, grey, mix, smooth};
use crate::random::{Seed, Stream};

/// What an image shows behind its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// Nearly one colour.
    Plain,
    /// A slope of brightness with band-limited noise.
    Rough,
    /// A brick wall.
    Brick,
    /// Water with crests.
    Waves,
    /// Blades of grass.
    Grass,
    /// Clouds in the sky.
    Clouds,
}

impl Background {
    /// Those that say nothing about the objects.
    pub(super) const NEUTRAL: [Self; 5] =
        [Self::Plain, Self::Rough, Self::Brick, Self::Grass, Self::Clouds];

    /// Fills a canvas.
    pub(super) fn paint(self, canvas: &mut Canvas, stream: &mut Stream) {
        let noise = Noise::new(stream);
        let unit = canvas.unit();
        let mut between = |low: f64, high: f64| stream.between(low, high) as f32;
        let turn = match self {
            Self::Brick => between(-0.15, 0.15),
            Self::Waves => between(-0.12, 0.12),
            _ => between(-0.6, 0.6),
        };
        let (sin, cos) = turn.sin_cos();
        let local = |x: f32, y: f32| ((cos * x + sin * y) / unit, (cos * y - sin * x) / unit);
        let light = between(0.3, 0.7);
        let tint: [f32; 3] = std::array::from_fn(|_| between(-0.08, 0.08));
        let tinted = |level: f32| -> Colour { std::array::from_fn(|c| level + tint[c]) };
        let height = canvas.height() as f32 / unit;
        match self {
            Self::Plain => {
                let depth = between(0.01, 0.05);
                canvas.fill(|x, y| {
                    let (x, y) = local(x, y);
                    tinted(light + depth * noise.bands(x / 90.0, y / 90.0, 2))
                });
            }
            Self::Rough => {
                let (slope, depth) = (between(-0.3, 0.3), between(0.12, 0.28));
                let size = between(9.0, 26.0);
                canvas.fill(|x, y| {
                    let (x, y) = local(x, y);
                    let slope = slope * (y / height - 0.5);
                    tinted(light + slope + depth * noise.bands(x / size, y / size, 3))
                });
            }
            Self::Brick => {
                let (wide, tall) = (between(20.0, 34.0), between(9.0, 15.0));
                let (mortar, step) = (between(0.9, 1.6), between(-0.22, 0.22));
                let depth = between(0.05, 0.16);
                let red = between(0.0, 0.14);
                canvas.fill(|x, y| {
                    let (x, y) = local(x, y);
                    let row = (y / tall).floor();
                    let x = x + wide * (0.5 * row.rem_euclid(2.0) + 0.06 * noise.at(row, 0.0));
                    let column = (x / wide).floor();
                    let edge = |t: f32, size: f32| {
                        let t = t.rem_euclid(size);
                        t.min(size - t)
                    };
                    let joint = smooth(mortar - edge(x, wide).min(edge(y, tall)));
                    let grain = 0.05 * noise.bands(x / 5.0, y / 5.0, 2);
                    let [r, g, b] = tinted(light + depth * noise.cell(column, row) + grain);
                    let brick = [r + red, g - 0.3 * red, b - 0.6 * red];
                    mix(brick, grey(light + step + grain), joint)
                });
            }
            Self::Waves => {
                let (near, far) = (between(11.0, 17.0), between(5.0, 8.0));
                let (depth, blue) = (between(0.1, 0.24), between(0.04, 0.14));
                let bend = between(0.5, 1.2);
                canvas.fill(|x, y| {
                    let (x, y) = local(x, y);
                    // Crests draw together towards the horizon.
                    let down = (y / height).clamp(-0.2, 1.2);
                    let length = far + (near - far) * down.max(0.0);
                    let warp = bend * noise.bands(x / (3.2 * length), y / length / 1.8, 2);
                    let phase =
                        height * (1.0 + down * (near / far - 1.0)).ln() / (near - far) + warp;
                    let crest = 0.5 + 0.5 * (TAU * phase).sin();
                    let level = light + depth * (2.0 * crest * crest - 0.8);
                    let [r, g, b] = tinted(level + 0.04 * noise.bands(x / 4.0, y / 3.0, 1));
                    [r - blue, g, b + blue]
                });
            }
            Self::Grass => {
                let (green, depth) = (between(0.04, 0.14), between(0.1, 0.22));
                canvas.fill(|x, y| {
                    let (x, y) = local(x, y);
                    let [r, g, b] = tinted(light + 0.15 * noise.bands(x / 30.0, y / 30.0, 3));
                    [r - green, g, b - green]
                });
                let lean = between(-0.3, 0.3);
                let (w, h) = (canvas.width() as f32, canvas.height() as f32);
                let strokes = (0.022 * w * h / (unit * unit)) as usize;
                for _ in 0..strokes {
                    let foot = [between(0.0, 1.0) * w, between(0.0, 1.1) * h];
                    let (length, lean) = (between(7.0, 20.0) * unit, lean + between(-0.4, 0.4));
                    let tip = [foot[0] + length * lean.sin(), foot[1] - length * lean.cos()];
                    let [r, g, b] = tinted(light + between(-1.0, 1.0) * depth);
                    let colour = [r - green, g, b - green];
                    canvas.stroke(foot, tip, between(0.5, 1.0) * unit, colour, 0.8);
                }
            }
            Self::Clouds => {
                let (size, white) = (between(28.0, 60.0), between(0.15, 0.32));
                let cover = between(-0.15, 0.2);
                canvas.fill(|x, y| {
                    let (x, y) = local(x, y);
                    let sky = light - 0.1 * y / height;
                    let shape = noise.bands(x / size, 1.5 * y / size, 5);
                    let cloud = (1.7 * (shape + cover) + 0.3).clamp(0.0, 1.0);
                    let blue = 0.12 * (1.0 - cloud);
                    let [r, g, b] = tinted(sky + white * cloud * cloud * (3.0 - 2.0 * cloud));
                    [r - blue, g, b + blue]
                });
            }
        }
    }
}

/// Value noise on the integer lattice, about in [-1, 1].
pub(super) struct Noise {
    key: u32,
}

impl Noise {
    pub fn new(stream: &mut Stream) -> Self {
        Self { key: (stream.next_u64() >> 32) as u32 }
    }

    /// One value per lattice cell.
    fn cell(&self, column: f32, row: f32) -> f32 {
        self.lattice(column as i32, row as i32)
    }

    fn lattice(&self, x: i32, y: i32) -> f32 {
        // Mixing as in MurmurHash3's finaliser: every bit of x, y and key reaches every other.
        let mut h = (x as u32).wrapping_mul(0x9E37_79B1)
            ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(15)
            ^ self.key;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        h ^= h >> 16;
        (h >> 8) as f32 / 8_388_608.0 - 1.0
    }

    /// Interpolated noise of wavelength about 2.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |t: f32| t * t * (3.0 - 2.0 * t);
        let (s, t) = (ease(x - left), ease(y - top));
        let (i, j) = (left as i32, top as i32);
        let between = |a: f32, b: f32, t: f32| a + (b - a) * t;
        let above = between(self.lattice(i, j), self.lattice(i + 1, j), s);
        let below = between(self.lattice(i, j + 1), self.lattice(i + 1, j + 1), s);
        between(above, below, t)
    }

    /// Several octaves, each of half the wavelength and half the height of the one before.
    fn bands(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut scale) = (0.0, 1.0);
        for _ in 0..octaves {
            // The shift keeps the octaves' lattices from sharing their origin.
            sum += self.at(x * scale + 17.3 * scale, y * scale - 9.1 * scale) / scale;
            scale *= 2.0;
        }
        sum
    }
}

/// Sensor noise, light and shade over a finished picture.
///
/// Brightness slopes across the image by up to a tenth each way, the corners darken, and every
/// pixel gets normal noise of 1 to 2.5 % of full scale.
pub(super) fn develop(canvas: &mut Canvas, seed: Seed, index: u64) {
    let mut stream = seed.stream("synthetic/develop", index);
    let mut between = |low: f64, high: f64| stream.between(low, high) as f32;
    let gain = between(0.85, 1.1);
    let slope = [between(-0.1, 0.1), between(-0.1, 0.1)];
    let corner = between(0.0, 0.12);
    let spread = between(0.01, 0.025);
    let (w, h) = (canvas.width() as f32, canvas.height() as f32);
    canvas.change(|x, y, colour| {
        let (x, y) = (2.0 * x / w - 1.0, 2.0 * y / h - 1.0);
        let light = gain * (1.0 + slope[0] * x + slope[1] * y - corner * (x * x + y * y));
        // A sum of four uniform numbers is close enough to normal, and cheap.
        let bits = stream.next_u64();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum();
        // Each has variance 1/12 in units of 65536, the sum 1/3.
        let normal = (sum as f32 / 65536.0 - 2.0) * 3.0_f32.sqrt();
        colour.map(|c| c * light + spread * normal)
    });
}
