//! From samples at their own resolutions to pixels.

use ::image::{DynamicImage, GrayImage, RgbImage};

use super::block::Samples;
use super::frame::{Colour, Component, Frame};
use crate::widest;

/// How the samples of a component become a row of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upsampling {
    /// They are as many.
    None,
    /// Each stands for so many pixels across and down.
    Repeated([usize; 2]),
    /// Two pixels a sample across, or down, or both: ¾ of the nearer and ¼ of the farther one.
    Across,
    Down,
    Both,
}

impl Upsampling {
    fn of(frame: &Frame, component: &Component) -> Result<Self, String> {
        let [most, own] = [frame.sampling, component.sampling];
        if most[0] % own[0] != 0 || most[1] % own[1] != 0 {
            let [h, v] = own;
            return Err(format!(
                "a JPEG whose components are sampled {h} × {v} to {} × {}, which fvtool does not \
                 read; save it as a baseline JPEG or PNG",
                most[0], most[1]
            ));
        }
        let factors = [most[0] / own[0], most[1] / own[1]];
        let wide = component.size[0] > 2;
        Ok(match factors {
            [1, 1] => Self::None,
            [2, 1] if wide => Self::Across,
            [1, 2] => Self::Down,
            [2, 2] if wide => Self::Both,
            _ => Self::Repeated(factors),
        })
    }
}

/// The pixels of a frame, grey or RGB.
///
/// # Errors
/// When a component's resolution is no whole part of another's.
pub(super) fn to_image(
    frame: &Frame,
    samples: &[Samples],
    colour: Colour,
) -> Result<DynamicImage, String> {
    let (width, height) = (frame.width as u32, frame.height as u32);
    let ways: Result<Vec<Upsampling>, String> =
        frame.components.iter().map(|component| Upsampling::of(frame, component)).collect();
    let ways = ways?;
    let fits = "the buffer has the image's size";
    if colour == Colour::Grey {
        let Samples { values, stride } = &samples[0];
        let rows = values.chunks_exact(*stride).take(frame.height);
        let pixels = rows.flat_map(|row| &row[..frame.width]).copied().collect();
        let image = GrayImage::from_raw(width, height, pixels).expect(fits);
        return Ok(DynamicImage::ImageLuma8(image));
    }
    let mut pixels = vec![0; 3 * frame.width * frame.height];
    let to = &mut pixels[..];
    let ways = &ways[..];
    widest!(<'a> |frame: &'a Frame, samples: &'a [Samples], ways: &'a [Upsampling], colour: Colour, to: &'a mut [u8]| -> () {
        let width = frame.width;
        // Longest where a sample stands for several pixels.
        let mut rows = [const { Vec::new() }; 4];
        let mut sums = Vec::new();
        for (y, to) in to.chunks_exact_mut(3 * width).enumerate() {
            for (i, component) in frame.components.iter().enumerate() {
                upsample(component, &samples[i], ways[i], y, &mut rows[i], &mut sums);
            }
            let [a, b, c, d] = rows.each_ref().map(|row| row.get(..width).unwrap_or_default());
            match colour {
                Colour::Rgb | Colour::Grey => interleave(a, b, c, to),
                Colour::YCbCr => ycbcr(a, b, c, to),
                Colour::Cmyk => {
                    interleave(a, b, c, to);
                    blacken(d, to);
                }
                Colour::Ycck => {
                    ycbcr(a, b, c, to);
                    to.iter_mut().for_each(|value| *value = 255 - *value);
                    blacken(d, to);
                }
            }
        }
    });
    let image = RgbImage::from_raw(width, height, pixels).expect(fits);
    Ok(DynamicImage::ImageRgb8(image))
}

/// Row `y` of the image, of one component; `row` may become longer than the image is wide.
#[inline(always)]
fn upsample(
    component: &Component,
    samples: &Samples,
    way: Upsampling,
    y: usize,
    row: &mut Vec<u8>,
    sums: &mut Vec<i16>,
) {
    let [width, height] = component.size;
    let line = |y: usize| &samples.values[y * samples.stride..][..width];
    // The nearer row and the farther one of two, which is the nearer one at the edge.
    let two = || {
        let (near, down) = (y / 2, y % 2 == 1);
        let far = if down { (near + 1).min(height - 1) } else { near.saturating_sub(1) };
        (line(near), line(far))
    };
    match way {
        Upsampling::None => {
            row.clear();
            row.extend_from_slice(line(y));
        }
        Upsampling::Repeated([across, down]) => {
            row.resize(width * across, 0);
            for (to, &value) in row.chunks_exact_mut(across).zip(line(y / down)) {
                to.fill(value);
            }
        }
        Upsampling::Down => {
            let (near, far) = two();
            let bias = 1 + y as i16 % 2;
            row.resize(width, 0);
            for ((to, &near), &far) in row.iter_mut().zip(near).zip(far) {
                *to = ((3 * i16::from(near) + i16::from(far) + bias) >> 2) as u8;
            }
        }
        Upsampling::Across => {
            sums.clear();
            sums.extend(line(y).iter().map(|&value| i16::from(value)));
            widen::<2>(sums, [1, 2], row);
        }
        Upsampling::Both => {
            let (near, far) = two();
            sums.clear();
            sums.extend(near.iter().zip(far).map(|(&n, &f)| 3 * i16::from(n) + i16::from(f)));
            widen::<4>(sums, [8, 7], row);
        }
    }
}

/// Two values for each: ¾ of it and ¼ of its left or right neighbour, `DOWN` bits dropped after
/// adding `round`. The outermost are the outermost alone. There are two at least.
#[inline(always)]
fn widen<const DOWN: u32>(values: &[i16], round: [i16; 2], row: &mut Vec<u8>) {
    let n = values.len();
    row.resize(2 * n, 0);
    let outer =
        |value: i16, round: i16| if DOWN == 2 { value } else { (4 * value + round) >> DOWN };
    let between = |near: i16, far: i16, round: i16| (3 * near + far + round) >> DOWN;
    row[0] = outer(values[0], round[0]) as u8;
    row[1] = between(values[0], values[1], round[1]) as u8;
    let inner = row[2..2 * n - 2].as_chunks_mut::<2>().0;
    let (left, middle, right) = (&values[..n - 2], &values[1..n - 1], &values[2..]);
    for (((to, &left), &middle), &right) in inner.iter_mut().zip(left).zip(middle).zip(right) {
        *to = [between(middle, left, round[0]) as u8, between(middle, right, round[1]) as u8];
    }
    row[2 * n - 2] = between(values[n - 1], values[n - 2], round[0]) as u8;
    row[2 * n - 1] = outer(values[n - 1], round[1]) as u8;
}

#[inline(always)]
fn interleave(a: &[u8], b: &[u8], c: &[u8], to: &mut [u8]) {
    for (((to, &a), &b), &c) in to.as_chunks_mut::<3>().0.iter_mut().zip(a).zip(b).zip(c) {
        *to = [a, b, c];
    }
}

#[inline(always)]
fn ycbcr(y: &[u8], cb: &[u8], cr: &[u8], to: &mut [u8]) {
    for (((to, &y), &cb), &cr) in to.as_chunks_mut::<3>().0.iter_mut().zip(y).zip(cb).zip(cr) {
        *to = rgb_of_ycbcr([y, cb, cr]);
    }
}

/// BT.601 with full range, constants of 16 bits.
#[inline(always)]
pub(in crate::image) fn rgb_of_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + 32_768) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
    let blue = y + ((116_130 * cb + 32_768) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// What black ink leaves of the light: `value · black / 255`.
#[inline(always)]
fn blacken(black: &[u8], to: &mut [u8]) {
    for (to, &black) in to.as_chunks_mut::<3>().0.iter_mut().zip(black) {
        *to = to.map(|value| ((u32::from(value) * u32::from(black) + 127) / 255) as u8);
    }
}
