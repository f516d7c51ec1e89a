//! Image files as users have them: mislabelled, rotated, cut short, empty, enormous.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{Cursor, Write};

use fvtool::Error;
use fvtool::descriptors::{self, Extractor, Scratch, Seen};
use fvtool::image::{Params, Photo, load, load_luminance, load_rgb};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use ndarray::Array2;
use tempfile::NamedTempFile;

use crate::support::{golden, golden_dir};

fn file(suffix: &str, bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(suffix).unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Why a file cannot be used.
fn problem(file: &NamedTempFile) -> String {
    let error = load_luminance(file.path(), &Params::default()).unwrap_err();
    assert!(matches!(error, Error::Image { .. }), "{error}");
    let rgb = load_rgb(file.path(), &Params::default()).unwrap_err();
    assert_eq!(error.to_string(), rgb.to_string());
    let place = format!("{}: ", file.path().display());
    error.to_string().strip_prefix(&place).expect("the message names the file").to_owned()
}

#[test]
fn the_golden_png_is_the_golden_plane() {
    let path = golden_dir().join("scene_120x90_gray8.png");
    let plane = load_luminance(&path, &Params::default()).unwrap();
    let expected: Array2<f32> = golden("scene_gray_f32");
    assert_eq!((plane.height, plane.width), expected.dim());
    assert!(plane.values.iter().eq(expected.iter()), "value / 255 in f32, to the bit");
}

#[test]
fn luminance_is_bt601() {
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]];
    let image = RgbImage::from_fn(5, 1, |x, _| Rgb(colours[x as usize]));
    let file = file(".png", &encoded(image, ImageFormat::Png));
    let plane = load_luminance(file.path(), &Params::default()).unwrap();
    let expected = [0.299, 0.587, 0.114, 1.0, (2.99 + 11.74 + 3.42) / 255.0];
    for (got, expected) in plane.values.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
}

#[test]
fn the_format_comes_from_the_content() {
    let png = file(".jpg", &encoded(GrayImage::new(3, 2), ImageFormat::Png));
    assert_eq!(load_luminance(png.path(), &Params::default()).unwrap().width, 3);
    let gif =
        file("", &encoded(RgbaImage::from_pixel(4, 4, Rgba([9, 9, 9, 255])), ImageFormat::Gif));
    assert_eq!(load_luminance(gif.path(), &Params::default()).unwrap().height, 4);
}

#[test]
fn transparency_is_white() {
    let pixels = [[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]];
    let image = RgbaImage::from_fn(4, 1, |x, _| Rgba(pixels[x as usize]));
    let file = file(".png", &encoded(image, ImageFormat::Png));
    let plane = load_luminance(file.path(), &Params::default()).unwrap();
    for (got, expected) in plane.values.iter().zip([1.0, 0.0, 1.0, 0.8]) {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
    let rgb = load_rgb(file.path(), &Params::default()).unwrap();
    assert_eq!(rgb.as_raw()[..], [255, 255, 255, 0, 0, 0, 255, 255, 255, 204, 204, 204]);
}

/// A JPEG of four grey quarters with an EXIF segment of this orientation.
fn turned(orientation: u8) -> Vec<u8> {
    let quarters = [[0, 80], [160, 240]];
    let image =
        GrayImage::from_fn(32, 16, |x, y| Luma([quarters[y as usize / 8][x as usize / 16]]));
    let plain = encoded(image, ImageFormat::Jpeg);
    let mut exif =
        b"\xFF\xE1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(exif.len(), 2 + 0x22);
    [&plain[..2], &exif, &plain[2..]].concat()
}

#[test]
fn exif_orientation_comes_first() {
    // Top left, top right, bottom left, bottom right as a viewer shows them.
    let shown = [
        (1, [0, 80, 160, 240]),
        (2, [80, 0, 240, 160]),
        (3, [240, 160, 80, 0]),
        (4, [160, 240, 0, 80]),
        (5, [0, 160, 80, 240]),
        (6, [160, 0, 240, 80]),
        (7, [240, 80, 160, 0]),
        (8, [80, 240, 0, 160]),
    ];
    for (orientation, corners) in shown {
        let file = file(".jpg", &turned(orientation));
        let plane = load_luminance(file.path(), &Params::default()).unwrap();
        let (width, height) = if orientation < 5 { (32, 16) } else { (16, 32) };
        assert_eq!((plane.width, plane.height), (width, height), "orientation {orientation}");
        let photo = Photo::open(file.path(), &Params::default()).unwrap();
        assert_eq!((photo.orientation(), photo.size_in_file()), (orientation, [width, height]));
        let rgb = load_rgb(file.path(), &Params::default()).unwrap();
        let places = [(1, 1), (width - 2, 1), (1, height - 2), (width - 2, height - 2)];
        for ((x, y), expected) in places.into_iter().zip(corners) {
            let got = 255.0 * plane.values[y * width + x];
            assert!(
                (got - expected as f32).abs() < 4.0,
                "orientation {orientation}: {got} {expected}"
            );
            let red = f32::from(rgb.get_pixel(x as u32, y as u32)[0]);
            assert!((got - red).abs() < 1.0);
        }
    }
}

#[test]
fn colour_and_luminance_have_the_same_geometry() {
    let image =
        RgbImage::from_fn(90, 61, |x, y| Rgb([(2 * x) as u8, (4 * y) as u8, (x + y) as u8]));
    let file = file(".png", &encoded(image, ImageFormat::Png));
    for (max_height_px, min_height_px, size) in [
        (0, 0, (90, 61)),
        (61, 61, (90, 61)),
        (30, 0, (44, 30)),
        (30, 30, (44, 30)),
        (1, 0, (1, 1)),
        (0, 80, (118, 80)),
        (480, 480, (180, 122)),
    ] {
        let params = Params { max_height_px, min_height_px, ..Params::default() };
        let plane = load_luminance(file.path(), &params).unwrap();
        let rgb = load_rgb(file.path(), &params).unwrap();
        assert_eq!((plane.width, plane.height), size);
        assert_eq!((rgb.width() as usize, rgb.height() as usize), size);
        for (y, pixel) in plane.values.iter().zip(rgb.pixels()) {
            let [r, g, b] = pixel.0.map(f32::from);
            let of_rgb = (0.299 * r + 0.587 * g + 0.114 * b) / 255.0;
            assert!((y - of_rgb).abs() < 1.5 / 255.0, "8-bit rounding of three channels");
        }
    }
}

/// An edge between two colours of (nearly) one luminance: no gradient of that, and one of each opponent colour
/// by its formula. A grey image has none.
#[test]
fn opponent_colours_see_what_luminance_does_not() {
    let colours = [[200u8, 60, 120], [60, 131, 120]];
    let edge = RgbImage::from_fn(40, 30, |x, _| Rgb(colours[usize::from(x >= 20)]));
    let edge = file(".png", &encoded(edge, ImageFormat::Png));
    let grey = GrayImage::from_fn(40, 30, |x, y| Luma([(5 * x + y) as u8]));
    let grey = file(".png", &encoded(grey, ImageFormat::Png));
    let value = |plane, [r, g, b]: [f32; 3]| match plane {
        Seen::Luminance => 0.299 * r + 0.587 * g + 0.114 * b,
        Seen::RedGreen => (r - g) / 2f32.sqrt(),
        Seen::YellowBlue => (r + g - 2.0 * b) / 6f32.sqrt(),
    };
    for plane in [Seen::Luminance, Seen::RedGreen, Seen::YellowBlue] {
        let params = descriptors::Params { plane, bin_sizes_px: vec![4], ..Default::default() };
        let extractor = Extractor::new(&params).unwrap();
        let described = |file: &NamedTempFile| {
            let planes = load(file.path(), &Params::default(), extractor.colours()).unwrap().planes;
            let found = extractor.extract(&planes, &mut Scratch::default());
            (planes[0].values.clone(), found.frames.iter().any(|frame| frame.contrast > 1e-3))
        };
        let (values, contrast) = described(&edge);
        for (x, colour) in [(3, colours[0]), (30, colours[1])] {
            let expected = value(plane, colour.map(|v| f32::from(v) / 255.0));
            assert!((values[x] - expected).abs() < 1e-6, "{plane:?}");
        }
        assert_eq!(contrast, plane != Seen::Luminance);
        assert_eq!(described(&grey).1, plane == Seen::Luminance);
    }
}

#[test]
fn presmoothing_blurs_luminance_and_not_colour() {
    let image = GrayImage::from_fn(21, 21, |x, y| Luma([if (x, y) == (10, 10) { 255 } else { 0 }]));
    let file = file(".png", &encoded(image, ImageFormat::Png));
    let params = Params { presmoothing_px: 1.0, ..Params::default() };
    let plane = load_luminance(file.path(), &params).unwrap();
    // The peak of a sampled unit Gaussian in two dimensions, 1/(2π) to 1e-4.
    assert!((plane.values[10 * 21 + 10] - 0.159_15).abs() < 2e-4);
    assert!((plane.values.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    assert_eq!(load_rgb(file.path(), &params).unwrap().get_pixel(10, 10)[0], 255);
}

#[test]
fn unusable_files_say_why() {
    assert_eq!(problem(&file(".jpg", b"")), "the file is empty");
    assert!(problem(&file(".png", b"just some text\n")).contains("not an image in a known format"));
    let jpeg = encoded(RgbImage::new(64, 64), ImageFormat::Jpeg);
    assert_eq!(problem(&file(".jpg", &jpeg[..jpeg.len() * 2 / 3])), "the JPEG file is cut short");
    let png =
        encoded(RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 7])), ImageFormat::Png);
    assert!(problem(&file(".png", &png[..png.len() / 2])).starts_with("cannot be decoded: "));
    let mut damaged = png.clone();
    damaged[60..80].fill(0xAA);
    assert!(problem(&file(".png", &damaged)).starts_with("cannot be decoded: "));

    let missing = load_luminance("no/such/image.jpg".as_ref(), &Params::default()).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read no/such/image.jpg"), "{missing}");
}

#[test]
fn enormous_images_are_refused_before_they_are_decoded() {
    // A header that promises far more pixels than follow.
    let mut bomb = encoded(GrayImage::new(1, 1), ImageFormat::Bmp);
    bomb[18..22].copy_from_slice(&60_000i32.to_le_bytes());
    bomb[22..26].copy_from_slice(&60_000i32.to_le_bytes());
    let problem = problem(&file(".bmp", &bomb));
    assert!(
        problem.contains("60000 × 60000 pixels are more than `image.max_megapixels` = 100"),
        "{problem}"
    );

    let small = file(".png", &encoded(GrayImage::new(20, 20), ImageFormat::Png));
    let params = Params { max_megapixels: 0.000_399, ..Params::default() };
    assert!(load_luminance(small.path(), &params).is_err());
    let params = Params { max_megapixels: 0.000_4, ..Params::default() };
    assert_eq!(load_luminance(small.path(), &params).unwrap().width, 20);
}

#[test]
fn one_pixel_is_an_image() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let image = RgbImage::from_pixel(1, 1, Rgb([255, 255, 255]));
        let file = file("", &encoded(image, format));
        let params = Params { presmoothing_px: 2.0, max_height_px: 480, ..Params::default() };
        let plane = load_luminance(file.path(), &params).unwrap();
        assert_eq!((plane.width, plane.height), (1, 1));
        assert!((plane.values[0] - 1.0).abs() < 1e-5, "{format:?}");
    }
}
