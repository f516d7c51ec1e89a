//! Huffman tables.

use super::bits::Bits;

/// Codes up to this length are looked up at once.
const LOOK: u32 = 10;

/// A table of codes.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// By the next [`LOOK`] bits: length of the code · 256 + symbol; 0 where the code is longer.
    short: Vec<u16>,
    /// By the same bits, where code and number behind it fit: number · 256 + zeros before it ·
    /// 16 + bits of both; 0 otherwise.
    numbers: Vec<i16>,
    /// Of each length the largest code, −1 where there is none.
    largest: [i32; 17],
    /// Of each length: place of its first symbol − its first code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length, 1 to 16, and the symbols in order of their codes.
    pub(super) fn new(lengths: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            short: vec![0; 1 << LOOK],
            numbers: vec![0; 1 << LOOK],
            largest: [-1; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        if symbols.len() > 256 {
            return None;
        }
        let (mut code, mut place) = (0usize, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(lengths[length as usize - 1]);
            // Codes of one length fit into it, and none is all ones.
            if count > 0 && code + count >= 1 << length {
                return None;
            }
            table.offset[length as usize] = place as i32 - code as i32;
            if count > 0 {
                table.largest[length as usize] = (code + count) as i32 - 1;
            }
            for &symbol in &symbols[place..place + count] {
                if length <= LOOK {
                    let spare = LOOK - length;
                    let entry = (length as u16) << 8 | u16::from(symbol);
                    table.short[code << spare..(code + 1) << spare].fill(entry);
                }
                code += 1;
            }
            place += count;
            code <<= 1;
        }
        for bits in 0..1 << LOOK {
            table.numbers[bits] = number(table.short[bits], bits as i32);
        }
        Some(table)
    }

    /// Those of annex K, which films of JPEG images leave out: for luminance or chroma.
    pub(super) fn standard(ac: bool, chroma: bool) -> Self {
        let [lengths, symbols] = match (ac, chroma) {
            (false, false) => [&DC_LENGTHS[0][..], &DC_SYMBOLS[..]],
            (false, true) => [&DC_LENGTHS[1][..], &DC_SYMBOLS[..]],
            (true, false) => [&AC_LENGTHS[0][..], &AC_SYMBOLS[0][..]],
            (true, true) => [&AC_LENGTHS[1][..], &AC_SYMBOLS[1][..]],
        };
        let lengths = lengths.try_into().expect("sixteen lengths");
        Self::new(lengths, symbols).expect("the standard's tables are right")
    }

    /// Whether every symbol is a number of bits that a DC coefficient can have.
    pub(super) fn is_dc(&self) -> bool {
        self.symbols.iter().all(|&symbol| symbol <= 15)
    }

    /// The next symbol; none where no code begins like this. Takes 16 bits at most.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits) -> Option<u8> {
        let entry = self.short[bits.peek(LOOK)];
        if entry != 0 {
            bits.drop(u32::from(entry >> 8));
            return Some(entry as u8);
        }
        self.long_symbol(bits)
    }

    fn long_symbol(&self, bits: &mut Bits) -> Option<u8> {
        let next = bits.peek(16) as i32;
        for length in LOOK + 1..=16 {
            let code = next >> (16 - length);
            if code <= self.largest[length as usize] {
                bits.drop(length);
                let place = code + self.offset[length as usize];
                return self.symbols.get(place as usize).copied();
            }
        }
        None
    }

    /// An entry of `numbers` for the next bits.
    #[inline(always)]
    pub(super) fn number(&self, bits: &Bits) -> i16 {
        self.numbers[bits.peek(LOOK)]
    }
}

/// The entry of `numbers` for these bits, which begin with a code of `short`.
fn number(short: u16, bits: i32) -> i16 {
    let (length, symbol) = (u32::from(short >> 8), short & 255);
    let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
    if short == 0 || size == 0 || length + size > LOOK {
        return 0;
    }
    let value = bits >> (LOOK - length - size) & ((1 << size) - 1);
    let value = if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value };
    match i8::try_from(value) {
        Ok(value) => i16::from(value) << 8 | (zeros << 4) as i16 | (length + size) as i16,
        Err(_) => 0,
    }
}

const DC_LENGTHS: [[u8; 16]; 2] = [
    [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
];

const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

const AC_LENGTHS: [[u8; 16]; 2] = [
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
];

#[rustfmt::skip]
const AC_SYMBOLS: [[u8; 162]; 2] = [
    [
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
        0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
        0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
        0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
        0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
    [
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
        0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
        0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
        0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
        0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
        0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
        0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
        0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
];
