//! Image files of every kind of pixel: which page, which alpha, which range of values; and what is
//! refused by name. The files are made here.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{Cursor, Write};

use fvtool::image::{Colours, Loaded, Params, Plane, ValueRange, load, load_rgb};
use image::codecs::gif::GifEncoder;
use image::codecs::png::PngEncoder;
use image::{Frame, ImageEncoder, Rgb, RgbImage, RgbaImage};
use tempfile::NamedTempFile;

const WIDTH: usize = 21;
const HEIGHT: usize = 13;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".img").unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// The planes red, green and blue of a file.
fn seen(bytes: &[u8]) -> Loaded {
    load(file(bytes).path(), &Params::default(), Colours::Rgb).unwrap()
}

fn refused(bytes: &[u8], params: &Params) -> String {
    let file = file(bytes);
    let error = load(file.path(), params, Colours::Luminance).unwrap_err();
    assert!(matches!(error, fvtool::Error::Image { .. }), "{error}");
    assert_eq!(load_rgb(file.path(), params).unwrap_err().to_string(), error.to_string());
    error.to_string()
}

/// Share of white in channel `c` at (x, y): a multiple of 1/255.
fn share(c: usize, x: usize, y: usize) -> f64 {
    ((x * 12 + y * 7 * (c + 1) + 60 * c) % 256) as f64 / 255.0
}

/// `value(c, x, y)` for every pixel and channel, rows first, channels last.
fn samples(channels: usize, value: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
    let places = (0..WIDTH * HEIGHT).flat_map(|i| (0..channels).map(move |c| (c, i)));
    places.map(|(c, i)| value(c, i % WIDTH, i / WIDTH)).collect()
}

#[track_caller]
fn assert_planes(planes: &[Plane], tolerance: f64, expected: impl Fn(usize, usize, usize) -> f64) {
    assert_eq!(planes.len(), 3);
    for (c, plane) in planes.iter().enumerate() {
        assert_eq!((plane.width, plane.height), (WIDTH, HEIGHT));
        for (i, value) in plane.values.iter().enumerate() {
            let expected = expected(c, i % WIDTH, i / WIDTH);
            let difference = (f64::from(*value) - expected).abs();
            assert!(difference <= tolerance, "channel {c}, pixel {i}: {value} {expected}");
        }
    }
}

/// Kinds of samples of a TIFF file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Of {
    Unsigned(u16),
    Signed(u16),
    Float(u16),
}

impl Of {
    fn bits(self) -> u16 {
        let (Self::Unsigned(bits) | Self::Signed(bits) | Self::Float(bits)) = self;
        bits
    }

    /// The value of white.
    fn white(self) -> f64 {
        match self {
            Self::Unsigned(bits) => f64::from(bits).exp2() - 1.0,
            Self::Signed(bits) => f64::from(bits - 1).exp2() - 1.0,
            Self::Float(_) => 1.0,
        }
    }

    fn bytes(self, value: f64) -> Vec<u8> {
        let value = if matches!(self, Self::Float(_)) { value } else { value.round() };
        match self {
            Self::Unsigned(8) => vec![value as u8],
            Self::Unsigned(16) => (value as u16).to_le_bytes().into(),
            Self::Unsigned(32) => (value as u32).to_le_bytes().into(),
            Self::Unsigned(_) => (value as u64).to_le_bytes().into(),
            Self::Signed(8) => (value as i8).to_le_bytes().into(),
            Self::Signed(16) => (value as i16).to_le_bytes().into(),
            Self::Signed(32) => (value as i32).to_le_bytes().into(),
            Self::Signed(_) => (value as i64).to_le_bytes().into(),
            Self::Float(16) => half::f16::from_f64(value).to_le_bytes().into(),
            Self::Float(32) => (value as f32).to_le_bytes().into(),
            Self::Float(_) => value.to_le_bytes().into(),
        }
    }
}

/// A page of a TIFF file: uncompressed, one strip a plane.
#[derive(Clone)]
struct Page {
    tags: Vec<(u16, Vec<u16>)>,
    strips: Vec<Vec<u8>>,
}

const GREY: u16 = 1;
const WHITE_IS_ZERO: u16 = 0;
const RGB: u16 = 2;
const CMYK: u16 = 5;

impl Page {
    /// Samples in units of white, times `scale`.
    fn new(of: Of, photometric: u16, channels: usize, samples: &[f64], scale: f64) -> Self {
        let format = match of {
            Of::Unsigned(_) => 1,
            Of::Signed(_) => 2,
            Of::Float(_) => 3,
        };
        let data = samples.iter().flat_map(|value| of.bytes(value * scale)).collect();
        let tags = vec![
            (256, vec![WIDTH as u16]),
            (257, vec![(samples.len() / channels / WIDTH) as u16]),
            (258, vec![of.bits(); channels]),
            (259, vec![1]),
            (262, vec![photometric]),
            (277, vec![channels as u16]),
            (278, vec![HEIGHT as u16]),
            (339, vec![format; channels]),
        ];
        Self { tags, strips: vec![data] }
    }

    fn plain(of: Of, photometric: u16, samples: &[f64]) -> Self {
        let channels = samples.len() / (WIDTH * HEIGHT);
        Self::new(of, photometric, channels, samples, of.white())
    }

    fn with(mut self, tag: u16, values: &[u16]) -> Self {
        self.tags.push((tag, values.into()));
        self
    }

    /// Each channel in a strip of its own.
    fn planar(mut self, bytes: usize, channels: usize) -> Self {
        let pixels: Vec<&[u8]> = self.strips[0].chunks(bytes).collect();
        let plane = |c: usize| pixels.iter().skip(c).step_by(channels).copied().flatten().copied();
        self.strips = (0..channels).map(|c| plane(c).collect()).collect();
        self.with(284, &[2])
    }
}

/// A little-endian TIFF file, classic or big.
fn tiff(pages: &[Page], big: bool) -> Vec<u8> {
    let word = |n: usize| {
        if big { (n as u64).to_le_bytes().to_vec() } else { (n as u32).to_le_bytes().to_vec() }
    };
    let mut bytes: Vec<u8> = match big {
        true => b"II+\0\x08\0\0\0".to_vec(),
        false => b"II*\0".to_vec(),
    };
    let mut link = bytes.len();
    bytes.extend(word(0));
    for page in pages {
        let offsets: Vec<usize> = page
            .strips
            .iter()
            .map(|strip| {
                bytes.extend(strip);
                bytes.len() - strip.len()
            })
            .collect();
        // Tag, type, count, value.
        let mut entries: Vec<(u16, u16, usize, Vec<u8>)> = page
            .tags
            .iter()
            .map(|(tag, values)| {
                (
                    *tag,
                    3,
                    values.len(),
                    values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                )
            })
            .collect();
        let sizes: Vec<usize> = page.strips.iter().map(Vec::len).collect();
        for (tag, numbers) in [(273, offsets), (279, sizes)] {
            let values = numbers.iter().flat_map(|&n| (n as u32).to_le_bytes()).collect();
            entries.push((tag, 4, numbers.len(), values));
        }
        entries.sort();
        let room = if big { 8 } else { 4 };
        for (.., value) in &mut entries {
            if value.len() > room {
                let at = bytes.len();
                bytes.extend(&*value);
                *value = word(at);
            }
            value.resize(room, 0);
        }
        let at = bytes.len();
        bytes.splice(link..link + room, word(at));
        let count = entries.len();
        bytes.extend(&word(count)[..if big { 8 } else { 2 }]);
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(word(count));
            bytes.extend(value);
        }
        link = bytes.len();
        bytes.extend(word(0));
    }
    bytes
}

/// Half floats have 11 bits, so 1/4096 near 1; eight bits signed have 127 steps.
fn tolerance(of: Of) -> f64 {
    match of {
        Of::Float(16) => 3e-4,
        _ => 0.51 / of.white().clamp(126.0, 1e6),
    }
}

#[test]
fn every_kind_of_tiff_sample_is_the_same_picture() {
    let kinds = [8, 16, 32, 64].map(Of::Unsigned).into_iter();
    let kinds = kinds.chain([8, 16, 32, 64].map(Of::Signed)).chain([16, 32, 64].map(Of::Float));
    for of in kinds {
        let close = tolerance(of);
        let bytes = usize::from(of.bits() / 8);
        for big in [false, true] {
            let colour = Page::plain(of, RGB, &samples(3, share));
            assert_planes(&seen(&tiff(std::slice::from_ref(&colour), big)).planes, close, share);
            let planar = colour.planar(bytes, 3);
            assert_planes(&seen(&tiff(&[planar], big)).planes, close, share);
            let grey = samples(1, share);
            for (photometric, sign) in [(GREY, 1.0), (WHITE_IS_ZERO, -1.0)] {
                let page = Page::plain(of, photometric, &grey);
                let expected =
                    |_, x, y| if sign > 0.0 { share(0, x, y) } else { 1.0 - share(0, x, y) };
                assert_planes(&seen(&tiff(&[page], big)).planes, close, expected);
            }
        }
    }
}

fn alpha(x: usize, y: usize) -> f64 {
    ((x * 9 + y * 5) % 256) as f64 / 255.0
}

#[test]
fn transparent_tiff_pages_are_put_on_white_by_what_their_alpha_is() {
    let on_white = |c, x, y| 1.0 + alpha(x, y) * (share(c, x, y) - 1.0);
    for of in [Of::Unsigned(8), Of::Unsigned(16), Of::Float(32)] {
        let close = if of == Of::Unsigned(8) { 1.01 / 255.0 } else { 1e-4 };
        for colours in [3, 1] {
            let photometric = if colours == 3 { RGB } else { GREY };
            let expected = |c: usize, x, y| on_white(c.min(colours - 1), x, y);
            let apart =
                samples(
                    colours + 1,
                    |c, x, y| {
                        if c == colours { alpha(x, y) } else { share(c, x, y) }
                    },
                );
            let multiplied = samples(colours + 1, |c, x, y| {
                alpha(x, y) * if c == colours { 1.0 } else { share(c, x, y) }
            });
            for (kind, values) in [(2, &apart), (1, &multiplied)] {
                let page = Page::plain(of, photometric, values).with(338, &[kind]);
                assert_planes(
                    &seen(&tiff(std::slice::from_ref(&page), false)).planes,
                    close,
                    expected,
                );
                let page = page.planar(usize::from(of.bits() / 8), colours + 1);
                assert_planes(&seen(&tiff(&[page], false)).planes, close, expected);
            }
            // A further sample of unknown meaning is none.
            let page = Page::plain(of, photometric, &apart).with(338, &[0]);
            let expected = |c: usize, x, y| share(c.min(colours - 1), x, y);
            assert_planes(&seen(&tiff(&[page], false)).planes, close, expected);
        }
    }
    // Without the tag it is taken for alpha, unless it would hide everything.
    let hidden = samples(4, |c, x, y| if c == 3 { 0.0 } else { share(c, x, y) });
    let page = Page::plain(Of::Unsigned(8), RGB, &hidden);
    assert_planes(&seen(&tiff(&[page], false)).planes, 1e-6, share);
}

#[test]
fn the_first_full_page_is_decoded() {
    let full = Page::plain(Of::Unsigned(8), RGB, &samples(3, share));
    let other = Page::plain(Of::Unsigned(8), RGB, &samples(3, |c, x, y| 1.0 - share(c, x, y)));
    let thumbnail = Page::new(Of::Unsigned(8), RGB, 3, &vec![0.5; 3 * WIDTH * 2], 255.0);
    let reduced = thumbnail.clone().with(254, &[1]);
    let old = thumbnail.with(255, &[2]);
    let mask = Page::plain(Of::Unsigned(8), GREY, &samples(1, share)).with(254, &[4]);
    for big in [false, true] {
        for (pages, several) in [
            (vec![reduced.clone(), full.clone()], false),
            (vec![old.clone(), full.clone()], false),
            (vec![mask.clone(), full.clone(), reduced.clone()], false),
            (vec![full.clone(), other.clone()], true),
            (vec![reduced.clone(), full.clone(), other.clone()], true),
        ] {
            let loaded = seen(&tiff(&pages, big));
            assert_planes(&loaded.planes, 1e-6, share);
            assert_eq!(loaded.remarks.several_pictures, several);
        }
    }
    // A reduced page is better than none; a preview of raw data is not.
    let alone = seen(&tiff(std::slice::from_ref(&reduced), false));
    assert_eq!((alone.planes[0].width, alone.planes[0].height), (WIDTH, 2));
    let raw = tiff(&[reduced.with(330, &[8])], false);
    assert!(refused(&raw, &Params::default()).contains("a raw camera file"));
}

#[test]
fn tables_of_colours_inks_and_single_bits_are_read() {
    let index = |x: usize, y: usize| (3 * x + 5 * y) % 256;
    let indices = samples(1, |_, x, y| index(x, y) as f64);
    let page = Page::new(Of::Unsigned(8), 3, 1, &indices, 1.0);
    let table: Vec<u16> = (0..768).map(|i| (i % 256 * 200 + i / 256 * 5000) as u16).collect();
    let expected = |c, x, y| f64::from(table[256 * c + index(x, y)] >> 8) / 255.0;
    let loaded = seen(&tiff(&[page.clone().with(320, &table)], true));
    assert_planes(&loaded.planes, 1e-6, expected);
    // Some programs write the table in eight bits.
    let small: Vec<u16> = table.iter().map(|value| value >> 8).collect();
    assert_planes(&seen(&tiff(&[page.with(320, &small)], false)).planes, 1e-6, expected);

    let inks = samples(4, |c, x, y| share(c % 3, x, y));
    for of in [Of::Unsigned(8), Of::Unsigned(16), Of::Float(32)] {
        let expected = |c, x, y| (1.0 - share(c, x, y)) * (1.0 - share(0, x, y));
        let page = Page::plain(of, CMYK, &inks);
        assert_planes(&seen(&tiff(&[page], false)).planes, 1.01 / 255.0, expected);
    }
    for bits in [1u16, 2, 4] {
        let most = (1 << bits) - 1;
        let value = |x: usize, y: usize| (x + 2 * y) % (most + 1);
        let each = 8 / usize::from(bits);
        let rows = (0..HEIGHT).flat_map(|y| {
            (0..WIDTH.div_ceil(each)).map(move |byte| {
                (0..each).fold(0, |sum, i| sum << bits | value(byte * each + i, y) as u8)
            })
        });
        let mut page = Page::plain(Of::Unsigned(8), GREY, &samples(1, share));
        page.strips = vec![rows.collect()];
        page.tags.iter_mut().find(|(tag, _)| *tag == 258).unwrap().1 = vec![bits];
        let expected = |_, x, y| value(x, y) as f64 / most as f64;
        assert_planes(&seen(&tiff(&[page], false)).planes, 1e-6, expected);
    }
}

#[test]
fn values_outside_the_range_of_their_type_leave_the_image_out() {
    let grey = samples(1, share);
    for (of, scale, what) in [
        (Of::Float(32), 255.0, "0 to 1: they are from 0 to 2"),
        (Of::Float(64), 1.01, "outside 0 to 1"),
        (Of::Float(16), -1.0, "outside 0 to 1: they are from -1 to"),
        (Of::Float(32), f64::NAN, "they are not numbers"),
        (Of::Signed(16), -9000.0, "outside 0 to 32767"),
    ] {
        let text =
            refused(&tiff(&[Page::new(of, GREY, 1, &grey, scale)], false), &Params::default());
        assert!(text.contains(what) && text.contains("image.value_range"), "{text}");
    }
    // As the setting says it, they are right.
    let given =
        |low, high| Params { value_range: ValueRange::Given([low, high]), ..Params::default() };
    for (of, scale, params) in [
        (Of::Float(32), 255.0, given(0.0, 255.0)),
        (Of::Signed(16), -9000.0, given(-9000.0, 0.0)),
        (Of::Unsigned(16), 4095.0, given(0.0, 4095.0)),
        (Of::Unsigned(8), 100.0, given(0.0, 100.0)),
    ] {
        let bytes = tiff(&[Page::new(of, GREY, 1, &grey, scale)], false);
        let loaded = load(file(&bytes).path(), &params, Colours::Rgb).unwrap();
        let expected = |_, x, y| if scale < 0.0 { 1.0 - share(0, x, y) } else { share(0, x, y) };
        assert_planes(&loaded.planes, 0.51 / scale.abs(), expected);
        assert_eq!(loaded.remarks.dark, None);
    }
    let text = refused(
        &tiff(&[Page::new(Of::Unsigned(16), RGB, 3, &samples(3, share), 5000.0)], false),
        &given(0.0, 4095.0),
    );
    assert!(text.contains("image.value_range = [0, 4095]") && text.contains("widen"), "{text}");
    // Nobody can know of twelve bits in sixteen, but everybody should.
    let twelve = tiff(&[Page::new(Of::Unsigned(16), GREY, 1, &grey, 4095.0)], false);
    let most = grey.iter().copied().fold(0.0, f64::max);
    assert_eq!(seen(&twelve).remarks.dark, Some([(most * 4095.0).round(), 65_535.0]));
}

#[test]
fn the_maximum_of_a_netpbm_file_is_white_and_nothing_is_above_it() {
    let netpbm = |head: &str, values: &[u8]| [head.as_bytes(), values].concat();
    let grey = |most: f64| samples(1, |_, x, y| (share(0, x, y) * most).round());
    let of = |most: f64| move |_: usize, x: usize, y: usize| (share(0, x, y) * most).round() / most;
    let bytes: Vec<u8> = grey(100.0).iter().map(|&value| value as u8).collect();
    let loaded = seen(&netpbm("P5 21 13 100\n", &bytes));
    assert_planes(&loaded.planes, 0.51 / 255.0, of(100.0));
    let wide: Vec<u8> = grey(4095.0).iter().flat_map(|&v| (v as u16).to_be_bytes()).collect();
    let loaded = seen(&netpbm("P5\n# twelve bits\n21 13\n4095\n", &wide));
    assert_planes(&loaded.planes, 1e-5, of(4095.0));
    let words: Vec<String> = grey(15.0).iter().map(|value| value.to_string()).collect();
    let text = words.join(" ");
    assert_planes(&seen(&netpbm("P2 21 13 15\n", text.as_bytes())).planes, 1e-6, of(15.0));
    for over in [
        netpbm("P5 21 13 90\n", &bytes),
        netpbm("P5 21 13 3000\n", &wide),
        netpbm("P2 21 13 12\n", text.as_bytes()),
    ] {
        assert!(refused(&over, &Params::default()).contains("as the maximum"));
    }
    // Floats, from the lowest row to the highest.
    let rows = |order: fn(f32) -> [u8; 4], channels: usize| -> Vec<u8> {
        let values = samples(channels, |c, x, y| share(c, x, HEIGHT - 1 - y));
        values.iter().flat_map(|&value| order(value as f32)).collect()
    };
    let little = netpbm("PF\n21 13\n-1.0\n", &rows(f32::to_le_bytes, 3));
    assert_planes(&seen(&little).planes, 1e-6, share);
    let big = netpbm("Pf\n21 13\n1\n", &rows(f32::to_be_bytes, 1));
    assert_planes(&seen(&big).planes, 1e-6, |_, x, y| share(0, x, y));
    assert!(refused(&little[..little.len() - 1], &Params::default()).contains("cut short"));
}

/// A BMP file of 32 bits with a mask of alpha, rows from the lowest up.
fn bmp(alpha: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    let pixels = 4 * WIDTH * HEIGHT;
    for word in [122 + pixels, 0, 122, 108, WIDTH, HEIGHT, 32 << 16 | 1, 3, pixels, 0, 0, 0, 0] {
        bytes.extend((word as u32).to_le_bytes());
    }
    for mask in [0x00FF_0000u32, 0x0000_FF00, 0x0000_00FF, 0xFF00_0000] {
        bytes.extend(mask.to_le_bytes());
    }
    bytes.extend(b"BGRs");
    bytes.extend([0; 48]);
    for y in (0..HEIGHT).rev() {
        for x in 0..WIDTH {
            bytes.extend([2, 1, 0].map(|c| (share(c, x, y) * 255.0).round() as u8));
            bytes.push(alpha(x, y));
        }
    }
    bytes
}

#[test]
fn a_bmp_alpha_that_nobody_set_hides_nothing() {
    assert_planes(&seen(&bmp(|_, _| 0)).planes, 1e-6, share);
    assert_planes(&seen(&bmp(|_, _| 255)).planes, 1e-6, share);
    let half = |x: usize, _: usize| if x.is_multiple_of(2) { 0 } else { 255 };
    let expected = |c, x: usize, y| if x.is_multiple_of(2) { 1.0 } else { share(c, x, y) };
    assert_planes(&seen(&bmp(half)).planes, 1e-6, expected);
}

#[test]
fn the_first_frame_of_an_animation_is_seen_and_the_others_are_said() {
    let frame = |shade: u8| RgbaImage::from_pixel(6, 5, image::Rgba([shade, shade, shade, 255]));
    let gif = |shades: &[u8]| {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        shades.iter().for_each(|&s| encoder.encode_frame(Frame::new(frame(s))).unwrap());
        drop(encoder);
        bytes
    };
    for (shades, several) in [(&[0u8][..], false), (&[0, 200, 255][..], true)] {
        let loaded = seen(&gif(shades));
        assert!(loaded.planes[0].values.iter().all(|&value| value == 0.0));
        assert_eq!(loaded.remarks.several_pictures, several);
    }
}

#[test]
fn what_is_attached_to_a_small_picture_is_bounded() {
    let pixels = RgbImage::from_fn(9, 9, |x, y| Rgb([(20 * x) as u8, (9 * y) as u8, 3]));
    let png = |profile: usize| {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(vec![0; profile]).unwrap();
        encoder.write_image(&pixels, 9, 9, image::ExtendedColorType::Rgb8).unwrap();
        bytes.into_inner()
    };
    // Of some kilobytes in the file; it is not unpacked beyond 8 MB, and not needed.
    let plain = png(1000);
    assert_eq!(seen(&png(20 << 20)).planes, seen(&plain).planes);
    // Bytes behind the end, in a file with holes.
    let long = file(&plain);
    long.as_file().set_len(40 << 20).unwrap();
    let problem = load(long.path(), &Params::default(), Colours::Rgb).unwrap_err().to_string();
    assert!(problem.contains("a file of 41943040 bytes for 9 × 9 pixels"), "{problem}");
    long.as_file().set_len(8 << 20).unwrap();
    load(long.path(), &Params::default(), Colours::Rgb).unwrap();
}

/// The size that a WebP file states is more than it has.
#[test]
fn a_short_webp_file_is_refused() {
    let pixels = RgbImage::from_fn(40, 30, |x, y| Rgb([(6 * x) as u8, (8 * y) as u8, 3]));
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
    let bytes = bytes.into_inner();
    seen(&bytes);
    for missing in [1, 2, 7, 40] {
        let middle = bytes.len() / 2;
        let short = [&bytes[..middle], &bytes[middle + missing..]].concat();
        assert!(refused(&short, &Params::default()).contains("cut short"));
    }
}

#[test]
fn other_formats_are_named_whatever_their_ending() {
    for (start, name) in [
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "a HEIC file, which fvtool does not read"),
        (b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1", "an AVIF file"),
        (b"8BPS\0\x01\0\0", "a Photoshop file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<!DOCTYPE html><html>", "its download went wrong"),
    ] {
        let problem = refused(&[start, &[0; 600]].concat(), &Params::default());
        assert!(problem.contains(name), "{problem}");
    }
    let raw = Page::plain(Of::Unsigned(8), 32_803, &samples(1, share));
    assert!(refused(&tiff(&[raw], false), &Params::default()).contains("a raw camera file"));
    let bands = Page::plain(Of::Unsigned(8), GREY, &samples(5, |c, x, y| share(c % 3, x, y)));
    assert!(refused(&tiff(&[bands], false), &Params::default()).contains("5 channels"));
}
