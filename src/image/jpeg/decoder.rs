//! What has been read of a file: its frame, its tables, and room for its samples.

use std::rc::Rc;

use ::image::metadata::Orientation;

use super::block::{Block, Samples, ZIGZAG};
use super::frame::{Frame, Signs};
use super::huffman::Table;

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pub(super) frame: Option<Rc<Frame>>,
    pub(super) signs: Signs,
    pub(super) orientation: Option<Orientation>,
    pub(super) quantisers: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Units between two restart markers; 0: none.
    pub(super) restart: usize,
    pub(super) scans: usize,
    pub(super) samples: Vec<Samples>,
    /// As it was when a component's first scan began.
    pub(super) quantiser_of: Vec<Option<[u16; 64]>>,
    /// Coefficients of each component of a progressive file.
    pub(super) blocks: Vec<Vec<Block>>,
    /// Of each component and coefficient the lowest bit that is known; −1: none.
    pub(super) known: Vec<[i8; 64]>,
}

impl Decoder {
    /// Room for a frame's samples.
    pub(super) fn begin(&mut self, frame: &Frame) {
        for component in &frame.components {
            let [width, height] = component.padded;
            self.samples.push(Samples { values: vec![0; 64 * width * height], stride: 8 * width });
            self.quantiser_of.push(None);
            self.known.push([-1; 64]);
            let blocks = if frame.progressive { width * height } else { 0 };
            self.blocks.push(vec![[0; 64]; blocks]);
        }
    }

    /// Takes quantisation tables.
    pub(super) fn read_quantisers(&mut self, mut body: &[u8]) -> Result<(), String> {
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

    /// Takes Huffman tables.
    pub(super) fn read_tables(&mut self, mut body: &[u8]) -> Result<(), String> {
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
}
