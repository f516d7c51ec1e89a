//! The bits of an entropy-coded segment.

use super::frame::Segments;

/// Zeros behind the data, so that eight bytes can be read anywhere in it.
const PADDING: usize = 8;

/// Bits from the highest down. Behind the end there are zeros, and [`Bits::overrun`] says so.
#[derive(Debug, Default)]
pub(super) struct Bits {
    /// Without stuffed zeros, and with [`PADDING`].
    data: Vec<u8>,
    /// The next byte to be taken into `buffer`.
    at: usize,
    /// The next bits, in its highest places.
    buffer: u64,
    /// How many of them have been counted.
    count: u32,
}

impl Bits {
    /// Takes the data from here up to the next marker.
    pub(super) fn load(&mut self, segments: &mut Segments<'_>) {
        self.data.clear();
        (self.at, self.buffer, self.count) = (0, 0, 0);
        let mut rest = segments.bytes.get(segments.at..).unwrap_or_default();
        loop {
            let plain = first_ff(rest);
            self.data.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            // Fill bytes may come before the stuffed zero, and before a marker.
            let fill = rest.iter().take_while(|&&byte| byte == 0xFF).count();
            match rest.get(fill) {
                Some(0) => {
                    self.data.push(0xFF);
                    rest = &rest[fill + 1..];
                }
                _ => break,
            }
        }
        segments.at = segments.bytes.len() - rest.len();
        self.data.extend([0; PADDING]);
    }

    /// At least 56 bits are in the buffer afterwards.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = match self.data.get(self.at..self.at + 8) {
            Some(bytes) => u64::from_be_bytes(bytes.try_into().expect("eight bytes")),
            None => 0,
        };
        // Bits beyond `count` are taken again by the next refill, and are the same then.
        self.buffer |= next >> self.count;
        let bytes = (63 - self.count) >> 3;
        self.at += bytes as usize;
        self.count += 8 * bytes;
    }

    #[inline(always)]
    pub(super) fn need(&mut self, bits: u32) {
        if self.count < bits {
            self.refill();
        }
    }

    /// The next bits, 1 to 16; [`refill`](Self::refill) first.
    #[inline(always)]
    pub(super) fn peek(&self, bits: u32) -> usize {
        (self.buffer >> (64 - bits)) as usize
    }

    #[inline(always)]
    pub(super) fn drop(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// The next bits as a number; none are 0.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) -> i32 {
        if bits == 0 {
            return 0;
        }
        let value = self.peek(bits) as i32;
        self.drop(bits);
        value
    }

    /// The next bits as JPEG writes numbers of either sign.
    #[inline(always)]
    pub(super) fn signed(&mut self, bits: u32) -> i32 {
        let value = self.take(bits);
        if bits > 0 && value < 1 << (bits - 1) { value - (1 << bits) + 1 } else { value }
    }

    /// Whether more has been taken than there is.
    #[inline(always)]
    pub(super) fn overrun(&self) -> bool {
        8 * self.at > 8 * (self.data.len() - PADDING) + self.count as usize
    }

    /// Whole bytes that have not been taken.
    pub(super) fn left(&self) -> usize {
        (8 * (self.data.len() - PADDING) + self.count as usize).saturating_sub(8 * self.at) / 8
    }
}

/// Where the first 0xFF stands; the length where there is none.
fn first_ff(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        // A byte of 0xFF is one whose complement is 0.
        let inverted = !u64::from_le_bytes(*word);
        let zeros =
            inverted.wrapping_sub(0x0101_0101_0101_0101) & !inverted & 0x8080_8080_8080_8080;
        if zeros != 0 {
            return at + zeros.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let tail = &bytes[at..];
    at + tail.iter().position(|&byte| byte == 0xFF).unwrap_or(tail.len())
}
