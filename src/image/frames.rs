//! How many pictures a file holds: an animation's frames. The first is decoded.

use ::image::ImageFormat;

/// Frames of a GIF, WebP or PNG file: 2 where there are several. Damage is for its decoder to find.
pub(super) fn frames(bytes: &[u8], format: ImageFormat) -> usize {
    let several = match format {
        ImageFormat::Gif => second_gif_frame(bytes).is_some(),
        ImageFormat::WebP => {
            bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|b| b & 2 != 0)
        }
        ImageFormat::Png => several_png_frames(bytes),
        _ => false,
    };
    1 + usize::from(several)
}

/// The place of a GIF's second image.
fn second_gif_frame(bytes: &[u8]) -> Option<usize> {
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut seen = false;
    loop {
        let blocks = match bytes.get(at)? {
            0x21 => at + 2,
            0x2C if seen => return Some(at),
            0x2C => {
                seen = true;
                at + 11 + table(*bytes.get(at + 9)?)
            }
            _ => return None,
        };
        at = blocks;
        while *bytes.get(at)? != 0 {
            at += 1 + usize::from(bytes[at]);
        }
        at += 1;
    }
}

fn several_png_frames(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let [a, b, c, d, kind @ ..] = rest {
        if kind.starts_with(b"acTL") {
            return kind.get(4..8).is_some_and(|count| *count > [0, 0, 0, 1][..]);
        }
        if kind.starts_with(b"IDAT") {
            return false;
        }
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        rest = rest.get(length.saturating_add(12)..).unwrap_or_default();
    }
    false
}
