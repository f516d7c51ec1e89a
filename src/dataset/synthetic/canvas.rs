//! A canvas of `f32` colours with anti-aliased painting.

use image::RgbImage;

/// Red, green, blue; 0 black, 1 white, clipped only at the end.
pub(super) type Colour = [f32; 3];

/// Weights of red, green and blue in luminance (ITU-R BT.601).
const LUMINANCE: Colour = [0.299, 0.587, 0.114];

/// An image under construction.
pub(super) struct Canvas {
    pub width: usize,
    pub pixels: Vec<Colour>,
}

impl Canvas {
    pub fn new(width: u32, height: u32) -> Self {
        let pixels = vec![[0.0; 3]; width as usize * height as usize];
        Self { width: width as usize, pixels }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    /// The length unit in pixels: 1/180 of the shorter side.
    pub fn unit(&self) -> f32 {
        unit(self.width as u32, self.height() as u32)
    }

    /// Sets every pixel.
    pub fn fill(&mut self, colour: impl Fn(f32, f32) -> Colour) {
        self.change(|x, y, _| colour(x, y));
    }

    /// Replaces every pixel by a function of place and colour, row by row.
    pub fn change(&mut self, mut colour: impl FnMut(f32, f32, Colour) -> Colour) {
        let width = self.width;
        for (i, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = colour((i % width) as f32, (i / width) as f32, *pixel);
        }
    }

    /// Paints within a circle: `paint` gives colour and opacity at a place.
    pub fn paint(
        &mut self,
        centre: [f32; 2],
        reach: f32,
        mut paint: impl FnMut(f32, f32, Colour) -> Colour,
    ) {
        let [left, top, right, bottom] = within(centre, reach, self.width, self.height());
        for y in top..bottom {
            for x in left..right {
                let pixel = &mut self.pixels[y * self.width + x];
                *pixel = paint(x as f32, y as f32, *pixel);
            }
        }
    }

    /// A straight stroke with round ends.
    pub fn stroke(&mut self, a: [f32; 2], b: [f32; 2], half: f32, colour: Colour, opacity: f32) {
        let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let along = [b[0] - a[0], b[1] - a[1]];
        let length = along[0].hypot(along[1]).max(1e-3);
        self.paint(middle, length / 2.0 + half + 1.0, |x, y, under| {
            let (dx, dy) = (x - a[0], y - a[1]);
            let t = ((dx * along[0] + dy * along[1]) / (length * length)).clamp(0.0, 1.0);
            let distance = (dx - t * along[0]).hypot(dy - t * along[1]) - half;
            mix(under, colour, opacity * smooth(-distance))
        });
    }

    /// Mean luminance in a circle; 0.5 where it misses the canvas.
    pub fn mean_luminance(&self, centre: [f32; 2], reach: f32) -> f32 {
        let [left, top, right, bottom] = within(centre, reach, self.width, self.height());
        let (mut sum, mut count) = (0.0, 0);
        for y in top..bottom {
            for pixel in &self.pixels[y * self.width + left..y * self.width + right.max(left)] {
                sum += luminance(*pixel);
                count += 1;
            }
        }
        if count == 0 { 0.5 } else { sum / count as f32 }
    }

    pub fn into_image(self) -> RgbImage {
        let (width, height) = (self.width() as u32, self.height() as u32);
        let byte = |c: &f32| (c * 255.0).round().clamp(0.0, 255.0) as u8;
        let bytes = self.pixels.iter().flatten().map(byte).collect();
        RgbImage::from_raw(width, height, bytes).expect("three bytes for each pixel")
    }
}

/// The length unit of an image in pixels.
pub(super) fn unit(width: u32, height: u32) -> f32 {
    width.min(height) as f32 / 180.0
}

/// Left, top, right, bottom (exclusive) of the pixels within reach of a point.
pub(super) fn within(centre: [f32; 2], reach: f32, width: usize, height: usize) -> [usize; 4] {
    // A cast of a float to an integer saturates, so that nothing lies outside.
    let low = |c: f32, size: usize| ((c - reach).floor() as usize).min(size);
    let high = |c: f32, size: usize| ((c + reach).ceil() as usize).saturating_add(1).min(size);
    [low(centre[0], width), low(centre[1], height), high(centre[0], width), high(centre[1], height)]
}

/// Coverage of a pixel whose centre lies `depth` pixels inside an edge.
pub(super) fn smooth(depth: f32) -> f32 {
    (depth + 0.5).clamp(0.0, 1.0)
}

/// From `a` (t = 0) to `b` (t = 1).
pub(super) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

/// A colour without hue.
pub(super) fn grey(level: f32) -> Colour {
    [level; 3]
}

pub(super) fn luminance(colour: Colour) -> f32 {
    colour.iter().zip(LUMINANCE).map(|(c, w)| c * w).sum()
}
