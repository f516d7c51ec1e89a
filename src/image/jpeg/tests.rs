//! Small files of every kind, with what djpeg of libjpeg-turbo 2.1.5 makes of them
//! (`scripts/jpeg_sweep.py --tests tests/data/jpeg`), and damaged copies of these.

use std::path::PathBuf;

use ::image::DynamicImage;

use super::frame::{Segments, marker};
use super::{decode, stated_size};

/// Every file of `tests/data/jpeg`: name, bytes, and its pixels as libjpeg decodes them.
fn files() -> Vec<(String, Vec<u8>, DynamicImage)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/jpeg");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let jpegs = entries.filter(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    let read = |path: PathBuf| {
        let pixels = crate::files::read(&path.with_extension("pnm"), 1 << 20).unwrap();
        let pixels = ::image::load_from_memory(&pixels).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, crate::files::read(&path, 1 << 20).unwrap(), pixels)
    };
    let mut files: Vec<_> = jpegs.map(read).collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(files.len() >= 19);
    files
}

fn decoded(bytes: &[u8]) -> Result<DynamicImage, String> {
    decode(bytes, |_, _| Ok(())).map(|(image, _)| image)
}

/// Where the data of the first scan begin.
fn first_scan(bytes: &[u8]) -> usize {
    let mut segments = Segments::new(bytes).unwrap();
    while segments.next_marker().unwrap() != marker::SCAN {
        segments.body().unwrap();
    }
    segments.body().unwrap();
    segments.at
}

#[test]
fn pixels_are_those_of_libjpeg() {
    for (name, bytes, pixels) in files() {
        let image = decoded(&bytes).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        assert_eq!(image, pixels, "{name}");
    }
}

/// Films of JPEG images leave out the tables where they are those of the standard.
#[test]
fn the_standard_tables_need_not_be_in_the_file() {
    let image = ::image::RgbImage::from_fn(30, 20, |x, y| {
        ::image::Rgb([(x * 8) as u8, (y * 9) as u8, (x * y) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ::image::ImageFormat::Jpeg).unwrap();
    let bytes = bytes.into_inner();
    let mut bare = bytes[..2].to_vec();
    let mut segments = Segments::new(&bytes).unwrap();
    loop {
        let begin = segments.at;
        let found = segments.next_marker().unwrap();
        segments.body().unwrap();
        if found != marker::HUFFMAN {
            bare.extend(&bytes[begin..segments.at]);
        }
        if found == marker::SCAN {
            break;
        }
    }
    bare.extend(&bytes[segments.at..]);
    assert!(bare.len() + 400 < bytes.len());
    assert_eq!(decoded(&bare), decoded(&bytes));
}

#[test]
fn what_is_cut_out_of_a_scan_is_missed_although_the_end_marker_stands() {
    for (name, bytes, _) in files() {
        let end = bytes.len() - 2;
        for cut in first_scan(&bytes)..end {
            let short = [&bytes[..cut], &bytes[end..]].concat();
            assert!(decoded(&short).is_err(), "{name} without the bytes {cut} to {end}");
            assert!(decoded(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
        assert!(decoded(&bytes[..end]).unwrap_err().contains("cut short"), "{name}");
    }
}

#[test]
fn bytes_left_over_and_markers_out_of_place_are_damage() {
    let (_, bytes, pixels) = files().into_iter().find(|(name, ..)| name == "restart").unwrap();
    let end = bytes.len() - 2;
    let with = |at: usize, more: &[u8]| [&bytes[..at], more, &bytes[at..]].concat();
    for (more, problem) in [
        (&b"\0\0\0\0"[..], "left over"),
        (&b"\xFF\xD8"[..], "second image"),
        (&b"\xFF\0"[..], "left over"),
    ] {
        assert!(decoded(&with(end, more)).unwrap_err().contains(problem), "{problem}");
    }
    let restart = bytes.windows(2).position(|two| two == b"\xFF\xD0").unwrap();
    let mut other = bytes.clone();
    other[restart + 1] = 0xD3;
    assert!(decoded(&other).unwrap_err().contains("restart marker"));
    // Padding before markers, comments, and whatever follows the end, are allowed.
    for harmless in [
        with(end, b"\xFF\xFF\xFF"),
        with(2, b"\xFF\xFE\0\x05abc"),
        with(bytes.len(), b"and a film"),
        with(restart, b"\xFF"),
    ] {
        assert_eq!(decoded(&harmless).as_ref(), Ok(&pixels));
    }
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let (_, bytes, _) = files().into_iter().find(|(name, ..)| name == "420").unwrap();
    let frame = bytes.windows(2).position(|two| two == b"\xFF\xC0").unwrap();
    for (at, value, name) in [
        (1, 0xC3, "lossless"),
        (1, 0xC9, "arithmetic"),
        (1, 0xC5, "hierarchical"),
        (4, 12, "12 bits"),
        // Luminance 3 × 2 beside chroma 2 × 1: libjpeg gives up too.
        (14, 0x21, "sampled"),
    ] {
        let mut other = bytes.clone();
        other[frame + at] = value;
        if at == 14 {
            other[frame + 11] = 0x31;
        }
        let problem = decoded(&other).unwrap_err();
        assert!(problem.contains(name) || at == 14, "{problem}");
    }
}

#[test]
fn the_size_is_checked_before_anything_is_allocated() {
    let (_, mut bytes, _) = files().into_iter().find(|(name, ..)| name == "progressive").unwrap();
    let frame = bytes.windows(2).position(|two| two == b"\xFF\xC2").unwrap();
    bytes[frame + 5..frame + 9].fill(0xFF);
    let refuse = |width: usize, height: usize| Err(format!("{width} and {height}"));
    assert_eq!(decode(&bytes, refuse).unwrap_err(), "65535 and 65535");
    let stated = stated_size(&mut std::io::Cursor::new(&bytes));
    assert_eq!(stated, Ok([65_535, 65_535]));
}
