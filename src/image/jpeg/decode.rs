//! The way through a file: from marker to marker, then from samples to pixels.

use std::rc::Rc;

use ::image::DynamicImage;
use ::image::metadata::Orientation;

use super::block::Samples;
use super::decoder::Decoder;
use super::frame::{self, Colour, Frame, Segments, marker};
use super::{colour, transform};

/// A decoded file: its pixels, grey or RGB, as they lie in it, and how they are to be turned.
///
/// `check` sees width and height before anything of that size is allocated.
///
/// # Errors
/// What is wrong with the file, or which kind of JPEG it is that is not read.
pub(in crate::image) fn decode(
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
pub(in crate::image) fn decode_part(
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
