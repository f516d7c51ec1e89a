//! From pixels of any type to luminance and colour planes.

use ::image::DynamicImage;

use super::plane::Plane;

/// BT.601 luminance in [0, 1], on white where the image is transparent.
pub(super) fn luminance(decoded: &DynamicImage) -> Plane {
    use DynamicImage as D;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let values = match decoded {
        D::ImageLuma8(i) => i.as_raw().iter().map(|v| f32::from(*v) / 255.0).collect(),
        D::ImageLuma16(i) => i.as_raw().iter().map(|v| f32::from(*v) / 65_535.0).collect(),
        D::ImageLumaA8(i) => grey_alpha(i.as_raw(), 255.0),
        D::ImageLumaA16(i) => grey_alpha(i.as_raw(), 65_535.0),
        D::ImageRgb8(i) => colour::<3, _>(i.as_raw(), 255.0),
        D::ImageRgb16(i) => colour::<3, _>(i.as_raw(), 65_535.0),
        D::ImageRgb32F(i) => colour::<3, _>(i.as_raw(), 1.0),
        D::ImageRgba8(i) => colour::<4, _>(i.as_raw(), 255.0),
        D::ImageRgba16(i) => colour::<4, _>(i.as_raw(), 65_535.0),
        D::ImageRgba32F(i) => colour::<4, _>(i.as_raw(), 1.0),
        // The enum may grow; eight bits are what every pixel type can give.
        other => colour::<4, _>(other.to_rgba8().as_raw(), 255.0),
    };
    Plane { width, height, values }
}

/// Red, green and blue in [0, 1], on white where the image is transparent.
pub(super) fn red_green_blue(decoded: &DynamicImage) -> [Plane; 3] {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let mut planes =
        [0; 3].map(|_| Plane { width, height, values: Vec::with_capacity(width * height) });
    let mut add = |rgb: [f32; 3], alpha: f32| {
        for (plane, value) in planes.iter_mut().zip(rgb) {
            plane.values.push(on_white(in_unit(value), in_unit(alpha)));
        }
    };
    match decoded {
        DynamicImage::ImageRgb8(image) => {
            image.pixels().for_each(|p| add(p.0.map(|v| f32::from(v) / 255.0), 1.0));
        }
        other => other.to_rgba32f().pixels().for_each(|p| add([p.0[0], p.0[1], p.0[2]], p.0[3])),
    }
    planes
}

/// One value a pixel, made of its three.
pub(super) fn opponent(decoded: &DynamicImage, value: impl Fn(f32, f32, f32) -> f32) -> Plane {
    let [mut red, green, blue] = red_green_blue(decoded);
    let others = green.values.iter().zip(&blue.values);
    red.values.iter_mut().zip(others).for_each(|(r, (&g, &b))| *r = value(*r, g, b));
    red
}

/// Luminance of interleaved RGB (`C` = 3) or RGBA (`C` = 4) with full scale `white`.
fn colour<const C: usize, T: Copy + Into<f32>>(pixels: &[T], white: f32) -> Vec<f32> {
    let unit = |v: T| in_unit(v.into() / white);
    let pixels = pixels.as_chunks::<C>().0.iter();
    pixels
        .map(|p| {
            let y = 0.299 * unit(p[0]) + 0.587 * unit(p[1]) + 0.114 * unit(p[2]);
            if C == 4 { on_white(y, unit(p[C - 1])) } else { y }
        })
        .collect()
}

/// Luminance of interleaved grey and alpha.
fn grey_alpha<T: Copy + Into<f32>>(pixels: &[T], white: f32) -> Vec<f32> {
    let pixels = pixels.as_chunks::<2>().0.iter();
    pixels.map(|p| on_white(p[0].into() / white, p[1].into() / white)).collect()
}

fn on_white(y: f32, alpha: f32) -> f32 {
    1.0 + alpha * (y - 1.0)
}

/// Rounding takes floats a little outside.
fn in_unit(v: f32) -> f32 {
    if v > 0.0 { v.min(1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ::image::{Rgb, RgbImage};

    use super::*;

    fn gradient() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, (x + y) as u8]))
    }

    /// The same colour in every pixel type gives the same luminance.
    #[test]
    fn every_pixel_type_agrees() {
        let rgb = gradient();
        let exact: Vec<f32> = rgb
            .pixels()
            .map(|p| {
                (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
                    / 255.0
            })
            .collect();
        let colour = DynamicImage::ImageRgb8(rgb);
        for image in [
            DynamicImage::ImageRgba8(colour.to_rgba8()),
            DynamicImage::ImageRgb16(colour.to_rgb16()),
            DynamicImage::ImageRgba16(colour.to_rgba16()),
            DynamicImage::ImageRgb32F(colour.to_rgb32f()),
            DynamicImage::ImageRgba32F(colour.to_rgba32f()),
            colour.clone(),
        ] {
            let plane = luminance(&image);
            assert_eq!((plane.width, plane.height), (40, 30));
            for (got, expected) in plane.values.iter().zip(&exact) {
                assert!((got - expected).abs() < 1e-6, "{:?}", image.color());
            }
        }
        let grey = colour.to_luma8();
        for image in [
            DynamicImage::ImageLumaA8(DynamicImage::ImageLuma8(grey.clone()).to_luma_alpha8()),
            DynamicImage::ImageLuma16(DynamicImage::ImageLuma8(grey.clone()).to_luma16()),
            DynamicImage::ImageLumaA16(DynamicImage::ImageLuma8(grey.clone()).to_luma_alpha16()),
            DynamicImage::ImageLuma8(grey.clone()),
        ] {
            for (got, expected) in luminance(&image).values.iter().zip(grey.as_raw()) {
                assert!((got - f32::from(*expected) / 255.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn colours_weigh_up_to_the_luminance_in_every_pixel_type() {
        let colour = DynamicImage::ImageRgb8(gradient());
        let grey = DynamicImage::ImageLuma16(colour.to_luma16());
        let mut transparent = colour.to_rgba8();
        transparent.pixels_mut().for_each(|p| p.0[3] = 100);
        for image in [
            DynamicImage::ImageRgba16(colour.to_rgba16()),
            DynamicImage::ImageRgba8(transparent),
            grey,
            colour,
        ] {
            let [red, green, blue] = red_green_blue(&image);
            for (i, y) in luminance(&image).values.iter().enumerate() {
                let sum = 0.299 * red.values[i] + 0.587 * green.values[i] + 0.114 * blue.values[i];
                assert!((sum - y).abs() < 1e-6, "{sum} {y} of {:?}", image.color());
            }
        }
    }
}
