//! The inverse discrete cosine transform, in the integers of libjpeg (Loeffler, Ligtenberg and
//! Moschytz, 11 multiplications a row and column).

use std::num::Wrapping;

use super::block::Block;
use crate::widest;

/// Bits of the constants behind the point.
const BITS: usize = 13;
/// Bits that are kept between columns and rows.
const KEPT: usize = 2;
/// No image has coefficients beyond this: the largest of 8 bits a sample is 1024, and half a step
/// of the quantiser on top.
const LARGEST: i32 = 8191;

/// Writes a row of blocks as pixels: `to` holds their eight rows.
///
/// # Errors
/// When a coefficient is larger than any image has.
pub(super) fn inverse(
    blocks: &[Block],
    quantiser: &[u16; 64],
    to: &mut [u8],
) -> Result<(), &'static str> {
    let quantiser: &[u16] = quantiser;
    let large = widest!(<'a> |blocks: &'a [Block], quantiser: &'a [u16], to: &'a mut [u8]| -> bool {
        let stride = to.len() / 8;
        let mut steps = [0i32; 64];
        steps.iter_mut().zip(quantiser).for_each(|(step, &value)| *step = i32::from(value));
        let mut large = false;
        for (x, block) in blocks.iter().enumerate() {
            let mut values = [0i32; 64];
            let (mut extreme, mut others) = (0, 0);
            for i in 0..64 {
                values[i] = i32::from(block[i]) * steps[i];
                extreme |= i32::from(values[i].abs() > LARGEST);
                others |= if i > 0 { values[i] } else { 0 };
            }
            large |= extreme != 0;
            if large {
                break;
            }
            if others == 0 {
                let value = pixel(((values[0] << KEPT) + (1 << (KEPT + 2))) >> (KEPT + 3));
                for row in 0..8 {
                    to[row * stride + 8 * x..][..8].fill(value);
                }
                continue;
            }
            pass::<{ BITS - KEPT }>(&mut values);
            // As narrow as they are in libjpeg's vectors.
            values.iter_mut().for_each(|v| *v = (*v).clamp(i32::from(i16::MIN), i32::from(i16::MAX)));
            transpose(&mut values);
            pass::<{ BITS + KEPT + 3 }>(&mut values);
            transpose(&mut values);
            for row in 0..8 {
                let to: &mut [u8] = &mut to[row * stride + 8 * x..][..8];
                for column in 0..8 {
                    to[column] = pixel(values[8 * row + column]);
                }
            }
        }
        large
    });
    if large { Err("the JPEG data are damaged: a coefficient out of range") } else { Ok(()) }
}

#[inline(always)]
fn pixel(value: i32) -> u8 {
    value.saturating_add(128).clamp(0, 255) as u8
}

#[inline(always)]
fn transpose(values: &mut [i32; 64]) {
    let from = *values;
    for row in 0..8 {
        for column in 0..8 {
            values[8 * row + column] = from[8 * column + row];
        }
    }
}

/// Transforms the columns, and drops `DOWN` bits. Values that no image has may wrap.
#[inline(always)]
fn pass<const DOWN: usize>(values: &mut [i32; 64]) {
    for column in 0..8 {
        let at = |row: usize| Wrapping(values[8 * row + column]);
        let times = |value: Wrapping<i32>, factor: i32| value * Wrapping(factor);
        // The even part.
        let z1 = times(at(2) + at(6), 4433);
        let (t2, t3) = (z1 - times(at(6), 15_137), z1 + times(at(2), 6270));
        let (t0, t1) = ((at(0) + at(4)) << BITS, (at(0) - at(4)) << BITS);
        let (e0, e3, e1, e2) = (t0 + t3, t0 - t3, t1 + t2, t1 - t2);
        // The odd part.
        let [t0, t1, t2, t3] = [at(7), at(5), at(3), at(1)];
        let z5 = times(t0 + t2 + t1 + t3, 9633);
        let (z1, z2) = (times(t0 + t3, -7373), times(t1 + t2, -20_995));
        let (z3, z4) = (times(t0 + t2, -16_069) + z5, times(t1 + t3, -3196) + z5);
        let o0 = times(t0, 2446) + z1 + z3;
        let o1 = times(t1, 16_819) + z2 + z4;
        let o2 = times(t2, 25_172) + z2 + z3;
        let o3 = times(t3, 12_299) + z1 + z4;
        let round = Wrapping(1 << (DOWN - 1));
        let all = [e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3];
        for (row, value) in all.into_iter().enumerate() {
            values[8 * row + column] = ((value + round) >> DOWN).0;
        }
    }
}
