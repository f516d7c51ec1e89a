//! JPEG files, decoded to the pixels of libjpeg or refused.
//!
//! Read are baseline and progressive files of Huffman codes and 8 bits a sample, of one, three or four
//! components, in any order of scans and with any sampling factors. The arithmetic is libjpeg's: the
//! accurate integer transform, sampling up by triangles, BT.601 in fixed point. So the pixels
//! equal those of `djpeg`, which `scripts/jpeg_sweep.py` verifies.
//!
//! libjpeg goes on where data are damaged or missing, with a warning, and fills up with grey.
//! Here that is an error: every code must be valid, every block there, every marker in its
//! place, and nothing left over. A descriptor of invented pixels is worse than a named file.

mod bits;
mod colour;
mod frame;
mod huffman;
mod scan;
mod transform;

use std::rc::Rc;

use ::image::DynamicImage;
use ::image::metadata::Orientation;

pub(super) use colour::rgb_of_ycbcr;
pub(super) use frame::{Colour, stated_size};

use frame::{Frame, Segments, Signs, marker};
use huffman::Table;

/// More scans than any program writes; each costs time, however few bytes it has.
const MOST_SCANS: usize = 500;

/// Coefficients of a block of 8 × 8 pixels, row by row.
type Block = [i16; 64];

/// The place of each coefficient in a [`Block`], in the order of the file.
#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// One component's samples, at its own resolution.
#[derive(Debug, Default, Clone)]
struct Samples {
    /// Whole blocks; those beyond the edge are padding.
    values: Vec<u8>,
    /// Values in a row.
    stride: usize,
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Decoder {
    frame: Option<Rc<Frame>>,
    signs: Signs,
    orientation: Option<Orientation>,
    quantisers: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// Units between two restart markers; 0: none.
    restart: usize,
    scans: usize,
    samples: Vec<Samples>,
    /// As it was when a component's first scan began.
    quantiser_of: Vec<Option<[u16; 64]>>,
    /// Coefficients of each component of a progressive file.
    blocks: Vec<Vec<Block>>,
    /// Of each component and coefficient the lowest bit that is known; −1: none.
    known: Vec<[i8; 64]>,
}

/// A decoded file: its pixels, grey or RGB, as they lie in it, and how they are to be turned.
///
/// `check` sees width and height before anything of that size is allocated.
///
/// # Errors
/// What is wrong with the file, or which kind of JPEG it is that is not read.
pub(super) fn decode(
    bytes: &[u8],
    check: impl Fn(usize, usize) -> Result<(), String>,
) -> Result<(DynamicImage, Orientation), String> {
    let mut decoder = Decoder::default();
    decoder.read(bytes, &check)?;
    let orientation = decoder.orientation.unwrap_or(Orientation::NoTransforms);
    Ok((decoder.finish(None)?, orientation))
}

/// As [`decode`], of a part of another file, which keeps its `tables` apart and says what the colours are.
///
/// # Errors
/// As [`decode`].
pub(super) fn decode_part(
    bytes: &[u8],
    tables: Option<&[u8]>,
    colour: Colour,
    check: impl Fn(usize, usize) -> Result<(), String>,
) -> Result<DynamicImage, String> {
    let mut decoder = Decoder::default();
    if let Some(tables) = tables {
        decoder.read(tables, &check)?;
    }
    decoder.read(bytes, &check)?;
    decoder.finish(Some(colour))
}

impl Decoder {
    /// Reads markers up to the end marker.
    fn read(
        &mut self,
        bytes: &[u8],
        check: &impl Fn(usize, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut segments = Segments::new(bytes)?;
        loop {
            match segments.next_marker()? {
                marker::END => return Ok(()),
                marker::RESTART_0..=marker::RESTART_7 | marker::TEMPORARY => {}
                marker::START => {
                    let problem = "the JPEG data are damaged: a second image begins inside";
                    return Err(problem.to_owned());
                }
                marker::SCAN => {
                    let body = segments.body()?;
                    let frame = self.frame.clone().ok_or("the JPEG data are damaged: no frame")?;
                    self.scan(&frame, body, &mut segments)?;
                }
                marker if marker::is_frame(marker) => {
                    if self.frame.is_some() {
                        return Err("the JPEG data are damaged: two frames".to_owned());
                    }
                    let frame = Frame::parse(marker, segments.body()?)?;
                    check(frame.width, frame.height)?;
                    self.begin(&frame);
                    self.frame = Some(Rc::new(frame));
                }
                marker => self.read_segment(marker, segments.body()?)?,
            }
        }
    }

    fn read_segment(&mut self, marker: u8, body: &[u8]) -> Result<(), String> {
        match marker {
            marker::QUANTISERS => self.read_quantisers(body)?,
            marker::HUFFMAN => self.read_tables(body)?,
            marker::RESTART_INTERVAL => self.restart = frame::restart_interval(body)?,
            marker::APP_0 => self.signs.jfif |= body.starts_with(b"JFIF\0") && body.len() >= 14,
            // Broken EXIF data are no reason to lose the picture.
            marker::APP_1 if self.orientation.is_none() => {
                let exif = body.strip_prefix(b"Exif\0\0");
                self.orientation = exif.and_then(Orientation::from_exif_chunk);
            }
            marker::APP_14 if body.starts_with(b"Adobe") && body.len() >= 12 => {
                self.signs.adobe = Some(body[11]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Room for a frame's samples.
    fn begin(&mut self, frame: &Frame) {
        for component in &frame.components {
            let [width, height] = component.padded;
            self.samples.push(Samples { values: vec![0; 64 * width * height], stride: 8 * width });
            self.quantiser_of.push(None);
            self.known.push([-1; 64]);
            let blocks = if frame.progressive { width * height } else { 0 };
            self.blocks.push(vec![[0; 64]; blocks]);
        }
    }

    fn read_quantisers(&mut self, mut body: &[u8]) -> Result<(), String> {
        let bad = || "the JPEG data are damaged: a quantisation table".to_owned();
        while let Some((&first, rest)) = body.split_first() {
            let (wide, number) = (first >> 4 != 0, usize::from(first & 15));
            let bytes = if wide { 128 } else { 64 };
            let (values, rest) = rest.split_at_checked(bytes).ok_or_else(bad)?;
            let table = self.quantisers.get_mut(number).ok_or_else(bad)?;
            let mut quantiser = [0; 64];
            for (i, place) in ZIGZAG.into_iter().enumerate() {
                quantiser[place] = match wide {
                    true => u16::from_be_bytes([values[2 * i], values[2 * i + 1]]),
                    false => u16::from(values[i]),
                };
            }
            *table = Some(quantiser);
            body = rest;
        }
        Ok(())
    }

    fn read_tables(&mut self, mut body: &[u8]) -> Result<(), String> {
        let bad = || "the JPEG data are damaged: a Huffman table".to_owned();
        while !body.is_empty() {
            let (head, rest) = body.split_at_checked(17).ok_or_else(bad)?;
            let count: usize = head[1..].iter().map(|&n| usize::from(n)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or_else(bad)?;
            let number = usize::from(head[0] & 15);
            let tables = match head[0] >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(bad()),
            };
            let lengths = head[1..].try_into().expect("16 of 17 bytes");
            *tables.get_mut(number).ok_or_else(bad)? =
                Some(Table::new(lengths, symbols).ok_or_else(bad)?);
            body = rest;
        }
        Ok(())
    }

    /// Checks that everything is there, and makes the pixels; `colour` where the file does not say it.
    fn finish(mut self, colour: Option<Colour>) -> Result<DynamicImage, String> {
        let frame = self.frame.take().ok_or("the JPEG file holds no image")?;
        if self.quantiser_of.iter().any(Option::is_none) {
            return Err("the JPEG file ends before all of its scans; part of it is missing".into());
        }
        if frame.progressive {
            self.transform(&frame)?;
        }
        let colour = match colour {
            Some(colour) if colour.components() == frame.components.len() => colour,
            Some(_) => return Err("the JPEG data are of another number of colours".to_owned()),
            None => self.signs.colour(&frame)?,
        };
        colour::to_image(&frame, &self.samples, colour)
    }

    /// Makes samples of the coefficients that a progressive file's scans have collected.
    fn transform(&mut self, frame: &Frame) -> Result<(), String> {
        let whole = |known: &[i8; 64]| known.iter().all(|&bit| bit == 0);
        if !self.known.iter().all(whole) {
            return Err(
                "the progressive JPEG file ends before all of its scans; its fine detail is \
                        missing"
                    .to_owned(),
            );
        }
        for (i, component) in frame.components.iter().enumerate() {
            let quantiser = self.quantiser_of[i].ok_or("a quantisation table is missing")?;
            let Samples { values, stride } = &mut self.samples[i];
            let rows = values.chunks_exact_mut(8 * *stride);
            for (blocks, rows) in self.blocks[i].chunks_exact(component.padded[0]).zip(rows) {
                transform::inverse(blocks, &quantiser, rows)?;
            }
            self.blocks[i] = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
