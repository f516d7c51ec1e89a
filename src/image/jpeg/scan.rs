//! Scans: from entropy-coded bits to coefficients.

use super::bits::Bits;
use super::block::{Block, ZIGZAG};
use super::decoder::Decoder;
use super::frame::{Component, Frame, Segments, marker};
use super::huffman::Table;
use super::transform;

/// More scans than any program writes; each costs time, however few bytes it has.
const MOST_SCANS: usize = 500;
/// Most blocks of an interleaved unit.
const MOST_BLOCKS: usize = 10;

/// What a scan header says.
struct Scan {
    parts: Vec<Part>,
    /// First and last coefficient.
    band: [usize; 2],
    /// The lowest bit that was known before; 0 in a first scan.
    before: u32,
    /// The lowest bit that is known afterwards.
    after: u32,
}

/// A component in a scan.
struct Part {
    /// Its place in the frame.
    component: usize,
    /// Numbers of its tables.
    dc: usize,
    ac: usize,
}

/// Where a scan is.
struct State {
    bits: Bits,
    /// The last DC coefficient of each part.
    last: [i32; 4],
    /// Blocks that have no further coefficient in this band.
    empty: u32,
    /// Units until the next restart marker.
    left: usize,
    /// Number of the next restart marker.
    next: u8,
}

type Damage = &'static str;

const CODE: Damage = "the JPEG data are damaged: an invalid Huffman code";
const LONG: Damage = "the JPEG data are damaged: a block of too many coefficients";
const MISSING: Damage = "the JPEG data are damaged: part of a scan is missing";
const LARGE: Damage = "the JPEG data are damaged: a coefficient out of range";
const NO_TABLE: Damage = "the JPEG data are damaged: a Huffman table is missing";

impl Scan {
    fn parse(frame: &Frame, body: &[u8]) -> Result<Self, String> {
        let bad = || "the JPEG data are damaged: a scan header".to_owned();
        let (&count, rest) = body.split_first().ok_or_else(bad)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(bad)?;
        let &[first, last, bits] = rest else { return Err(bad()) };
        let mut scan = Self {
            parts: Vec::new(),
            band: [first, last].map(usize::from),
            before: u32::from(bits >> 4),
            after: u32::from(bits & 15),
        };
        for part in parts.as_chunks::<2>().0 {
            let of_id = |(i, c): &(usize, &Component)| {
                c.id == part[0] && !scan.parts.iter().any(|known| known.component == *i)
            };
            let found = frame.components.iter().enumerate().find(of_id).ok_or_else(bad)?;
            let [dc, ac] = [part[1] >> 4, part[1] & 15].map(usize::from);
            if dc > 3 || ac > 3 {
                return Err(bad());
            }
            scan.parts.push(Part { component: found.0, dc, ac });
        }
        let blocks =
            |part: &Part| frame.components[part.component].sampling.iter().product::<usize>();
        let several = scan.parts.len() > 1;
        if scan.parts.is_empty()
            || several && scan.parts.iter().map(blocks).sum::<usize>() > MOST_BLOCKS
        {
            return Err(bad());
        }
        let fits = match (frame.progressive, scan.band) {
            (false, band) => band == [0, 63] && bits == 0,
            (true, [0, last]) => last == 0,
            (true, [first, last]) => first <= last && last < 64 && !several,
        };
        let refines = scan.before == 0 || scan.after + 1 == scan.before;
        if fits && refines && scan.after <= 13 { Ok(scan) } else { Err(bad()) }
    }
}

impl Decoder {
    /// Reads a scan and the data behind its header.
    pub(super) fn scan(
        &mut self,
        frame: &Frame,
        body: &[u8],
        segments: &mut Segments<'_>,
    ) -> Result<(), String> {
        let scan = Scan::parse(frame, body)?;
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(format!("a JPEG file of more than {MOST_SCANS} scans is not read"));
        }
        for part in &scan.parts {
            let latched = &mut self.quantiser_of[part.component];
            let number = frame.components[part.component].quantiser;
            if latched.is_none() {
                let table = self.quantisers[number];
                *latched = Some(
                    table.ok_or("the JPEG data are damaged: a quantisation table is missing")?,
                );
            }
            self.check_tables(frame, &scan, part)?;
        }
        let mut state =
            State { bits: Bits::default(), last: [0; 4], empty: 0, left: self.restart, next: 0 };
        state.bits.load(segments);
        if frame.progressive {
            self.note_progress(&scan)?;
            self.progressive(frame, &scan, &mut state, segments)?;
        } else {
            self.sequential(frame, &scan, &mut state, segments)?;
        }
        state.end()
    }

    /// Films of JPEG images leave out the tables where they are those of the standard.
    fn check_tables(&mut self, frame: &Frame, scan: &Scan, part: &Part) -> Result<(), String> {
        if !frame.progressive {
            for (ac, tables) in [(false, &mut self.dc), (true, &mut self.ac)] {
                for (number, table) in tables.iter_mut().enumerate().take(2) {
                    table.get_or_insert_with(|| Table::standard(ac, number == 1));
                }
            }
        }
        let of_dc = scan.band[0] == 0 && scan.before == 0;
        if of_dc && !self.dc[part.dc].as_ref().ok_or(NO_TABLE)?.is_dc() {
            return Err("the JPEG data are damaged: a Huffman table".to_owned());
        }
        if scan.band[1] > 0 && self.ac[part.ac].is_none() {
            return Err(NO_TABLE.to_owned());
        }
        Ok(())
    }

    /// Each scan must follow on those before.
    fn note_progress(&mut self, scan: &Scan) -> Result<(), String> {
        let wrong = Err("the JPEG data are damaged: the order of its scans".to_owned());
        for part in &scan.parts {
            let known = &mut self.known[part.component];
            if scan.band[0] > 0 && known[0] < 0 {
                return wrong;
            }
            for bit in &mut known[scan.band[0]..=scan.band[1]] {
                let first = *bit < 0;
                if scan.before != u32::from(bit.max(&mut 0).unsigned_abs())
                    || first && scan.before > 0
                {
                    return wrong;
                }
                *bit = scan.after as i8;
            }
        }
        Ok(())
    }

    /// A scan of whole blocks: they are transformed row by row.
    fn sequential(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        state: &mut State,
        segments: &mut Segments<'_>,
    ) -> Result<(), String> {
        let interleaved = scan.parts.len() > 1;
        let [columns, rows] = units(frame, scan);
        let mut rows_of: Vec<Vec<Block>> = Vec::new();
        for part in &scan.parts {
            let component = &frame.components[part.component];
            let down = if interleaved { component.sampling[1] } else { 1 };
            rows_of.push(vec![[0; 64]; component.padded[0] * down]);
        }
        for y in 0..rows {
            rows_of.iter_mut().for_each(|blocks| blocks.fill([0; 64]));
            for x in 0..columns {
                state.begin(self.restart, segments)?;
                for (i, part) in scan.parts.iter().enumerate() {
                    let component = &frame.components[part.component];
                    let [across, down] = if interleaved { component.sampling } else { [1, 1] };
                    let tables = (self.dc[part.dc].as_ref(), self.ac[part.ac].as_ref());
                    let (Some(dc), Some(ac)) = tables else { return Err(NO_TABLE.to_owned()) };
                    for j in 0..down {
                        let start = j * component.padded[0] + x * across;
                        for block in &mut rows_of[i][start..start + across] {
                            whole_block(&mut state.bits, dc, ac, &mut state.last[i], block)?;
                        }
                    }
                }
                state.check()?;
            }
            for (part, blocks) in scan.parts.iter().zip(&rows_of) {
                let component = &frame.components[part.component];
                let quantiser = self.quantiser_of[part.component].ok_or(MISSING)?;
                let samples = &mut self.samples[part.component];
                let row = 8 * samples.stride;
                let down = blocks.len() / component.padded[0];
                let to = samples.values[y * down * row..].chunks_exact_mut(row);
                for (blocks, to) in blocks.chunks_exact(component.padded[0]).zip(to) {
                    transform::inverse(blocks, &quantiser, to)?;
                }
            }
        }
        Ok(())
    }

    /// A scan of some coefficients, or of some bits of theirs.
    fn progressive(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        state: &mut State,
        segments: &mut Segments<'_>,
    ) -> Result<(), String> {
        let interleaved = scan.parts.len() > 1;
        let [columns, rows] = units(frame, scan);
        for y in 0..rows {
            for x in 0..columns {
                state.begin(self.restart, segments)?;
                for (i, part) in scan.parts.iter().enumerate() {
                    let component = &frame.components[part.component];
                    let [across, down] = if interleaved { component.sampling } else { [1, 1] };
                    for j in 0..down {
                        let start = (y * down + j) * component.padded[0] + x * across;
                        for block in &mut self.blocks[part.component][start..start + across] {
                            let tables = (self.dc[part.dc].as_ref(), self.ac[part.ac].as_ref());
                            state.part_of_block(scan, i, tables, block)?;
                        }
                    }
                }
                state.check()?;
            }
        }
        Ok(())
    }
}

/// Units of a scan, across and down.
fn units(frame: &Frame, scan: &Scan) -> [usize; 2] {
    match &scan.parts[..] {
        [part] => frame.components[part.component].blocks,
        _ => frame.units,
    }
}

/// All coefficients of a block.
#[inline(always)]
fn whole_block(
    bits: &mut Bits,
    dc: &Table,
    ac: &Table,
    last: &mut i32,
    block: &mut Block,
) -> Result<(), Damage> {
    bits.need(32);
    let size = dc.symbol(bits).ok_or(CODE)?;
    *last += bits.signed(u32::from(size));
    block[0] = i16::try_from(*last).map_err(|_| LARGE)?;
    let mut k = 1;
    while k < 64 {
        bits.need(32);
        let number = ac.number(bits);
        if number != 0 {
            bits.drop((number & 15) as u32);
            k += (number >> 4 & 15) as usize;
            *block.get_mut(*ZIGZAG.get(k).ok_or(LONG)?).ok_or(LONG)? = number >> 8;
            k += 1;
            continue;
        }
        let symbol = ac.symbol(bits).ok_or(CODE)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if zeros < 15 {
                break;
            }
            k += 16;
            if k > 64 {
                return Err(LONG);
            }
            continue;
        }
        k += zeros;
        let place = *ZIGZAG.get(k).ok_or(LONG)?;
        block[place] = bits.signed(size) as i16;
        k += 1;
    }
    Ok(())
}

impl State {
    /// Before a unit: reads the restart marker where one belongs.
    fn begin(&mut self, restart: usize, segments: &mut Segments<'_>) -> Result<(), String> {
        if restart == 0 {
            return Ok(());
        }
        if self.left == 0 {
            self.end()?;
            let found = segments.next_marker()?;
            if found != marker::RESTART_0 + self.next {
                let problem = "the JPEG data are damaged: a restart marker is missing";
                return Err(problem.to_owned());
            }
            self.bits.load(segments);
            (self.last, self.empty) = ([0; 4], 0);
            (self.left, self.next) = (restart, (self.next + 1) % 8);
        }
        self.left -= 1;
        Ok(())
    }

    fn check(&self) -> Result<(), Damage> {
        if self.bits.overrun() { Err(MISSING) } else { Ok(()) }
    }

    /// After all units of a segment: nothing may be left of it.
    fn end(&self) -> Result<(), String> {
        match self.bits.left() {
            0 => Ok(()),
            n => Err(format!("the JPEG data are damaged: {n} bytes left over behind a scan")),
        }
    }

    /// What a progressive scan has of a block.
    #[inline(always)]
    fn part_of_block(
        &mut self,
        scan: &Scan,
        part: usize,
        (dc, ac): (Option<&Table>, Option<&Table>),
        block: &mut Block,
    ) -> Result<(), Damage> {
        let bits = &mut self.bits;
        match (scan.band[0], scan.before) {
            (0, 0) => {
                bits.need(32);
                let size = dc.ok_or(NO_TABLE)?.symbol(bits).ok_or(CODE)?;
                self.last[part] += bits.signed(u32::from(size));
                let value = self.last[part].checked_mul(1 << scan.after).ok_or(LARGE)?;
                block[0] = i16::try_from(value).map_err(|_| LARGE)?;
                Ok(())
            }
            (0, _) => {
                bits.need(1);
                block[0] |= (bits.take(1) << scan.after) as i16;
                Ok(())
            }
            (_, 0) => self.first_bits(scan, ac.ok_or(NO_TABLE)?, block),
            _ => self.next_bit(scan, ac.ok_or(NO_TABLE)?, block),
        }
    }

    fn first_bits(&mut self, scan: &Scan, table: &Table, block: &mut Block) -> Result<(), Damage> {
        if self.empty > 0 {
            self.empty -= 1;
            return Ok(());
        }
        let bits = &mut self.bits;
        let [mut k, last] = scan.band;
        while k <= last {
            bits.need(32);
            let symbol = table.symbol(bits).ok_or(CODE)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 {
                if zeros < 15 {
                    self.empty = (1 << zeros) + bits.take(zeros as u32) as u32 - 1;
                    break;
                }
                k += 16;
                continue;
            }
            k += zeros;
            if k > last {
                return Err(LONG);
            }
            let value = bits.signed(size) << scan.after;
            block[ZIGZAG[k]] = i16::try_from(value).map_err(|_| LARGE)?;
            k += 1;
        }
        Ok(())
    }

    /// One further bit of the coefficients that are not 0, and those that it makes so.
    fn next_bit(&mut self, scan: &Scan, table: &Table, block: &mut Block) -> Result<(), Damage> {
        let bits = &mut self.bits;
        let [mut k, last] = scan.band;
        let one = 1i16 << scan.after;
        let refine = |bits: &mut Bits, value: &mut i16| {
            bits.need(1);
            if bits.take(1) == 1 && *value & one == 0 {
                *value = value.wrapping_add(if *value < 0 { -one } else { one });
            }
        };
        if self.empty == 0 {
            while k <= last {
                bits.need(32);
                let symbol = table.symbol(bits).ok_or(CODE)?;
                let mut zeros = symbol >> 4;
                let value = match symbol & 15 {
                    0 if zeros < 15 => {
                        let run = bits.take(u32::from(zeros)) as u32;
                        self.empty = (1 << zeros) + run;
                        break;
                    }
                    0 => 0,
                    1 => {
                        if bits.take(1) == 1 {
                            one
                        } else {
                            -one
                        }
                    }
                    _ => return Err(CODE),
                };
                while k <= last {
                    let known = &mut block[ZIGZAG[k]];
                    if *known != 0 {
                        refine(bits, known);
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    k += 1;
                }
                if value != 0 {
                    if k > last {
                        return Err(LONG);
                    }
                    block[ZIGZAG[k]] = value;
                }
                k += 1;
            }
        }
        if self.empty > 0 {
            while k <= last {
                let known = &mut block[ZIGZAG[k]];
                if *known != 0 {
                    refine(bits, known);
                }
                k += 1;
            }
            self.empty -= 1;
        }
        Ok(())
    }
}
