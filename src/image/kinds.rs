//! What a file is, by its first bytes: formats that are read, and the names of those that are not.

use ::image::ImageFormat;

/// Bytes that tell the format.
pub(super) const MAGIC_BYTES: u64 = 512;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Tiff,
    /// Netpbm's floats.
    Pfm,
    /// PNG, WebP, BMP, GIF or PNM.
    Other(ImageFormat),
}

/// Image formats that are not read: where in a file which bytes stand, and its name.
const UNREAD: &[(usize, &[u8], &str)] = &[
    (0, b"8BPS", "a Photoshop file (PSD)"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xC5\xD0\xD3\xC6", "a PostScript file"),
    (0, b"\0\0\0\x0CjP  ", "a JPEG 2000 file"),
    (0, b"\xFF\x4F\xFF\x51", "a JPEG 2000 file"),
    (0, b"\xFF\x0A", "a JPEG XL file"),
    (0, b"\0\0\0\x0CJXL ", "a JPEG XL file"),
    (0, b"II\xBC", "a JPEG XR file"),
    (0, b"\x76\x2F\x31\x01", "an OpenEXR file"),
    (0, b"#?RADIANCE", "a Radiance HDR file"),
    (0, b"#?RGBE", "a Radiance HDR file"),
    (128, b"DICM", "a DICOM file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (0, b"\0\0\x01\0", "an icon (ICO)"),
    (0, b"\0\0\x02\0", "a cursor (CUR)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"qoif", "a QOI file"),
    (0, b"farbfeld", "a farbfeld file"),
    (0, b"gimp xcf", "a GIMP file (XCF)"),
    (0, b"\xD7\xCD\xC6\x9A", "a Windows metafile (WMF)"),
    (0, b"id=ImageMagick", "a MIFF file"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x59\xA6\x6A\x95", "a Sun raster file"),
    (0, b"\x01\xDA", "an SGI image"),
    (8, b"CR\x02", "a raw camera file (CR2)"),
    (0, b"FUJIFILMCCD-RAW", "a raw camera file (RAF)"),
    (0, b"IIRO", "a raw camera file (ORF)"),
    (0, b"IIRS", "a raw camera file (ORF)"),
    (0, b"MMOR", "a raw camera file (ORF)"),
    (0, b"IIU\0", "a raw camera file (RW2)"),
    (0, b"FOVb", "a raw camera file (X3F)"),
    (0, b"\0MRM", "a raw camera file (MRW)"),
    (4, b"ftypcrx", "a raw camera file (CR3)"),
];

/// Other things that lie among images.
const NO_IMAGE: &[(usize, &[u8], &str)] = &[
    (0, b"version https://git-lfs", "a pointer of Git LFS, no image; fetch it with `git lfs pull`"),
    (0, b"\0\x05\x16\x07", "attributes of a file that macOS keeps, no image; delete it"),
    (0, b"PK\x03\x04", "a ZIP archive, no image; unpack it"),
    (0, b"\x1F\x8B", "a gzip archive, no image; unpack it"),
    (0, b"Rar!", "a RAR archive, no image; unpack it"),
    (0, b"7z\xBC\xAF", "a 7z archive, no image; unpack it"),
    (8, b"AVI ", "a film (AVI), no image; save single pictures of it"),
    (8, b"WAVE", "a sound file (WAV), no image"),
    (0, b"\x1A\x45\xDF\xA3", "a film (Matroska), no image; save single pictures of it"),
];

/// The format that a file's first bytes tell; the error says why it is not read.
pub(super) fn kind_of(start: &[u8]) -> Result<Kind, String> {
    if start.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let found = |(at, bytes, _): &&(usize, &[u8], &str)| {
        start.get(*at..).is_some_and(|rest| rest.starts_with(bytes))
    };
    if let Some((_, _, name)) = UNREAD.iter().find(found) {
        return Err(unread(name));
    }
    if let Some((_, _, what)) = NO_IMAGE.iter().find(found) {
        return Err((*what).to_owned());
    }
    if start.get(4..8) == Some(b"ftyp") {
        return Err(of_container(start));
    }
    match start {
        [0xFF, 0xD8, 0xFF, ..] => return Ok(Kind::Jpeg),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => return Ok(Kind::Tiff),
        [b'P', b'F' | b'f', b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(Kind::Pfm),
        _ => {}
    }
    let format = ::image::guess_format(start);
    if let Ok(format) = format {
        use ImageFormat as F;
        if matches!(format, F::Png | F::WebP | F::Bmp | F::Gif | F::Pnm) {
            return Ok(Kind::Other(format));
        }
    }
    if let Some(what) = of_markup(start) {
        return Err(what);
    }
    Err("not an image in a known format (PNG, JPEG, WebP, TIFF, BMP, GIF, PNM)".to_owned())
}

/// What is said of an image in a format that is not read.
pub(super) fn unread(name: &str) -> String {
    format!("{name}, which fvtool does not read; convert it to JPEG or PNG")
}

/// Files made of ISO's boxes: HEIC, AVIF and films.
fn of_container(start: &[u8]) -> String {
    let brands = &start[8..start.len().min(64)];
    let says = |names: &[&[u8]]| brands.chunks(4).any(|brand| names.contains(&brand));
    if says(&[b"avif", b"avis"]) {
        unread("an AVIF file")
    } else if says(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        unread("a HEIC file")
    } else {
        "a film (MP4, MOV), no image; save single pictures of it".to_owned()
    }
}

fn of_markup(start: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(start).to_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg")) {
        return Some(unread("a drawing (SVG)"));
    }
    let page = text.starts_with("<!doctype html") || text.starts_with("<html");
    page.then(|| "an HTML page, no image; its download went wrong".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (start, kind) in [
            (&b"\xFF\xD8\xFF\xE0"[..], Kind::Jpeg),
            (b"II*\0", Kind::Tiff),
            (b"MM\0+", Kind::Tiff),
            (b"Pf\n3 2\n-1\n", Kind::Pfm),
            (b"P5\n3 2\n255\n", Kind::Other(ImageFormat::Pnm)),
            (b"BM\0\0\0\0\0\0\0\0", Kind::Other(ImageFormat::Bmp)),
            (b"GIF89a", Kind::Other(ImageFormat::Gif)),
        ] {
            assert_eq!(kind_of(start), Ok(kind), "{start:?}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (start, name) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "a HEIC file"),
            (b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf", "an AVIF file"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "a film"),
            (b"II*\0\x10\0\0\0CR\x02\0", "a raw camera file (CR2)"),
            (b"8BPS\0\x01", "a Photoshop file"),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns=", "a drawing (SVG)"),
            (b"  <!DOCTYPE html><html>", "an HTML page"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
            (b"P8 nothing", "not an image in a known format"),
            (b"", "the file is empty"),
        ] {
            let problem = kind_of(start).unwrap_err();
            assert!(problem.contains(name), "{problem}");
        }
    }
}
