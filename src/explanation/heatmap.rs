//! Relevance as a picture: photograph, heatmap and overlay side by side.
//!
//! Relevance is divided by the largest absolute value of the map (or by one value shared by several
//! maps), so that it lies in [−1, 1] and 0 is neutral: red speaks for the class, blue against it,
//! white says nothing. Colours are ColorBrewer's RdBu, interpolated linearly in RGB.

use ::image::codecs::jpeg::JpegEncoder;
use ::image::imageops::{FilterType, resize};
use ::image::{Rgb, RgbImage};
use imageproc::drawing::draw_hollow_rect_mut;
use imageproc::rect::Rect;

use super::pixels::Map;
use crate::error::{Error, Result};

/// Quality of small pictures in JPEG, of 100.
const QUALITY: u8 = 80;
/// Colours at −1, −¾ … 1.
const COLOURS: [[f64; 3]; 9] = [
    [33.0, 102.0, 172.0],
    [67.0, 147.0, 195.0],
    [146.0, 197.0, 222.0],
    [209.0, 229.0, 240.0],
    [247.0, 247.0, 247.0],
    [253.0, 219.0, 199.0],
    [244.0, 165.0, 130.0],
    [214.0, 96.0, 77.0],
    [178.0, 24.0, 43.0],
];
/// Boxes of the class.
const BOX_COLOUR: Rgb<u8> = Rgb([255, 217, 47]);
/// Pixels between the panels.
const GAP: u32 = 6;
/// How much of the photograph the strongest relevance hides in the overlay.
const STRONGEST: f64 = 0.85;

/// The colour of a relevance in [−1, 1]; values beyond are clamped.
pub fn colour(relevance: f64) -> Rgb<u8> {
    let place = (relevance.clamp(-1.0, 1.0) + 1.0) / 2.0 * (COLOURS.len() - 1) as f64;
    let below = (place as usize).min(COLOURS.len() - 2);
    let share = place - below as f64;
    let mixed = |channel: usize| {
        let (a, b) = (COLOURS[below][channel], COLOURS[below + 1][channel]);
        (a + share * (b - a)).round() as u8
    };
    Rgb([mixed(0), mixed(1), mixed(2)])
}

/// A map in colour. `largest` is the relevance of the strongest colour; 0 leaves all neutral.
pub fn paint(map: &Map, largest: f64) -> RgbImage {
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    RgbImage::from_fn(map.width as u32, map.height as u32, |x, y| {
        colour(map.values[y as usize * map.width + x as usize] * scale)
    })
}

/// Three panels: the photograph, the heatmap, and the heatmap over the greyed photograph, each with
/// the class's boxes (left, top, right, bottom in pixels of the map, inclusive).
///
/// # Panics
/// When photograph and map differ in size.
pub fn panels(photograph: &RgbImage, map: &Map, largest: f64, boxes: &[[f32; 4]]) -> RgbImage {
    let (width, height) = photograph.dimensions();
    assert_eq!((width as usize, height as usize), (map.width, map.height), "photograph and map");
    let (heat, overlay) = (paint(map, largest), overlay(photograph, map, largest));
    let mut out = RgbImage::from_pixel(3 * width + 2 * GAP, height, Rgb([255, 255, 255]));
    for (mut panel, number) in [photograph.clone(), heat, overlay].into_iter().zip(0..) {
        outline(&mut panel, boxes);
        ::image::imageops::replace(&mut out, &panel, i64::from(number * (width + GAP)), 0);
    }
    out
}

/// The heatmap over the greyed photograph, the stronger the less of it is seen.
///
/// # Panics
/// When photograph and map differ in size.
pub fn overlay(photograph: &RgbImage, map: &Map, largest: f64) -> RgbImage {
    let (width, height) = photograph.dimensions();
    assert_eq!((width as usize, height as usize), (map.width, map.height), "photograph and map");
    let heat = paint(map, largest);
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    RgbImage::from_fn(width, height, |x, y| {
        let Rgb([r, g, b]) = *photograph.get_pixel(x, y);
        let grey = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
        let value = (map.values[y as usize * map.width + x as usize] * scale).abs().min(1.0);
        let cover = STRONGEST * value.sqrt();
        let Rgb(heat) = *heat.get_pixel(x, y);
        Rgb(heat.map(|c| (cover * f64::from(c) + (1.0 - cover) * grey).round() as u8))
    })
}

/// A picture as JPEG, made smaller where it is more than `longest` pixels on a side.
///
/// # Errors
/// [`Error::InMemory`] for a picture that JPEG cannot hold.
pub fn jpeg(picture: &RgbImage, longest: u32) -> Result<Vec<u8>> {
    let (width, height) = picture.dimensions();
    let scale = (f64::from(longest) / f64::from(width.max(height))).min(1.0);
    let [width, height] = [width, height].map(|s| (f64::from(s) * scale).round().max(1.0) as u32);
    let small = resize(picture, width, height, FilterType::Triangle);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(&small)
        .map_err(|e| Error::InMemory { problem: e.to_string() })?;
    Ok(bytes)
}

/// Draws boxes (left, top, right, bottom in pixels, inclusive) two pixels wide.
pub fn outline(panel: &mut RgbImage, boxes: &[[f32; 4]]) {
    let (width, height) = panel.dimensions();
    // An edge beyond the picture is not seen wherever it lies, and drawn pixel by pixel.
    let within = |edge: f32, side: u32| edge.round().clamp(-4.0, side as f32 + 3.0) as i32;
    for &[left, top, right, bottom] in boxes {
        let ([left, right], [top, bottom]) = (
            [left, right].map(|edge| within(edge, width)),
            [top, bottom].map(|edge| within(edge, height)),
        );
        for inset in 0..2 {
            let (wide, high) = (right - left + 1 - 2 * inset, bottom - top + 1 - 2 * inset);
            if wide > 0 && high > 0 {
                let rect = Rect::at(left + inset, top + inset).of_size(wide as u32, high as u32);
                draw_hollow_rect_mut(panel, rect, BOX_COLOUR);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_neutral_and_the_signs_differ() {
        assert_eq!(colour(0.0), Rgb([247, 247, 247]));
        assert_eq!(colour(9.0), Rgb([178, 24, 43]));
        assert_eq!(colour(-1.0), Rgb([33, 102, 172]));
        assert_eq!(colour(0.125), Rgb([250, 233, 223]));
    }

    #[test]
    fn panels_stand_side_by_side_with_boxes() {
        let photograph = RgbImage::from_pixel(20, 10, Rgb([100, 100, 100]));
        let mut map = Map { width: 20, height: 10, values: vec![0.0; 200] };
        map.values[5 * 20 + 3] = 2.0;
        let out = panels(&photograph, &map, map.largest(), &[[10.0, 2.0, 15.0, 8.0]]);
        assert_eq!(out.dimensions(), (72, 10));
        let at = |panel: u32, x, y| *out.get_pixel(panel * 26 + x, y);
        assert_eq!(at(1, 3, 5), colour(1.0));
        assert_eq!(at(1, 4, 5), colour(0.0));
        assert_eq!(at(2, 4, 5), Rgb([100, 100, 100]));
        assert!(at(2, 3, 5).0[0] > 150);
        for panel in 0..3 {
            assert_eq!((at(panel, 10, 2), at(panel, 14, 7)), (BOX_COLOUR, BOX_COLOUR));
            assert_ne!(at(panel, 12, 5), BOX_COLOUR);
        }
        // However far a box reaches, what is seen of it is drawn at once.
        let far = panels(&photograph, &map, 2.0, &[[10.0, 2.0, 2e9, f32::MAX]]);
        let near = panels(&photograph, &map, 2.0, &[[10.0, 2.0, 30.0, 30.0]]);
        assert_eq!(far, near);
        // A small picture keeps its shape, and one that is small already its size.
        let size = |longest| {
            let small = ::image::load_from_memory(&jpeg(&far, longest).unwrap()).unwrap();
            (small.width(), small.height())
        };
        assert_eq!((size(36), size(500)), ((36, 5), (72, 10)));
        assert_eq!((*far.get_pixel(10, 9), *far.get_pixel(19, 2)), (BOX_COLOUR, BOX_COLOUR));
        // Nothing to show is no reason to fail.
        map.values.fill(0.0);
        assert_eq!(*panels(&photograph, &map, 0.0, &[]).get_pixel(26, 0), colour(0.0));
    }
}
