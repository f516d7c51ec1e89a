//! Vectors at a sixteenth of their size: three levels and one scale for every 40 values.
//!
//! ```text
//! block = 40 values → 10 bytes: scale a (f16, little endian), then 8 bytes of five digits each
//! digit q ∈ {0, 1, 2} ↦ (q − 1) · a          byte = q_0 + 3 q_1 + 9 q_2 + 27 q_3 + 81 q_4
//! q = 1 where |v| ≤ 0.6 · rms, a = mean of |v| over the others
//! ```
//!
//! 0.6 standard deviations is where three levels lose least of a normal variable (Max60); what they
//! lose of power-normalised Fisher vectors is in docs/ABLATION.md. A product quantiser (SP11) with
//! groups of five values and a codebook that needs no training.

use std::ops::Range;

use half::f16;

use crate::error::{Error, Result};

/// Values in a block.
const BLOCK: usize = 40;
/// Bytes of a block.
const BYTES: usize = 10;
/// Values in a byte.
const DIGITS: usize = 5;
/// Values up to this share of the block's root mean square become 0.
const DEAD_ZONE: f32 = 0.6;

/// Bytes of a vector of `dim` values.
pub fn compressed_len(dim: usize) -> usize {
    dim.div_ceil(BLOCK) * BYTES
}

/// Appends a compressed vector to `bytes`.
///
/// # Errors
/// [`Error::Numerical`] when a scale leaves the range of f16.
pub fn compress(vector: &[f32], bytes: &mut Vec<u8>) -> Result<()> {
    for values in vector.chunks(BLOCK) {
        let mean_square = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        let zone = DEAD_ZONE * mean_square.sqrt();
        let (sum, kept) = values
            .iter()
            .filter(|v| v.abs() > zone)
            .fold((0.0, 0), |(sum, n), v| (sum + v.abs(), n + 1));
        let scale = f16::from_f32(if kept > 0 { sum / kept as f32 } else { 0.0 });
        if !scale.is_finite() {
            let problem =
                "values are beyond the range of `compressed`; normalise them, or store f32";
            return Err(Error::Numerical { what: "Fisher vector", problem: problem.into() });
        }
        bytes.extend(scale.to_le_bytes());
        let digit = |i: usize| match values.get(i) {
            Some(&v) if v > zone => 2,
            Some(&v) if v < -zone => 0,
            _ => 1,
        };
        let byte = |first: usize| (0..DIGITS).rev().fold(0, |byte, i| 3 * byte + digit(first + i));
        bytes.extend((0..BLOCK).step_by(DIGITS).map(byte));
    }
    Ok(())
}

/// Writes the values of a compressed vector in the given columns to `out`.
pub fn expand(bytes: &[u8], columns: Range<usize>, out: &mut [f32]) {
    let mut block = [0.0f32; BLOCK];
    let mut at = columns.start;
    while at < columns.end {
        let number = at / BLOCK;
        let start = number * BLOCK;
        let (scale, digits) = bytes[number * BYTES..][..BYTES].split_at(2);
        let scale = f16::from_le_bytes([scale[0], scale[1]]).to_f32();
        for (values, byte) in block.as_chunks_mut::<DIGITS>().0.iter_mut().zip(digits) {
            *values = LEVELS[usize::from(*byte)].map(|level| level * scale);
        }
        let end = columns.end.min(start + BLOCK);
        out[at - columns.start..end - columns.start]
            .copy_from_slice(&block[at - start..end - start]);
        at = end;
    }
}

/// The five levels of every byte; bytes that [`compress`] does not write have digits too.
const LEVELS: [[f32; DIGITS]; 256] = {
    let mut levels = [[0.0; DIGITS]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut rest, mut i) = (byte, 0);
        while i < DIGITS {
            levels[byte][i] = (rest % 3) as f32 - 1.0;
            rest /= 3;
            i += 1;
        }
        byte += 1;
    }
    levels
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn expanded(vector: &[f32]) -> Vec<f32> {
        let mut bytes = Vec::new();
        compress(vector, &mut bytes).unwrap();
        assert_eq!(bytes.len(), compressed_len(vector.len()));
        let mut out = vec![f32::NAN; vector.len()];
        expand(&bytes, 0..vector.len(), &mut out);
        out
    }

    #[test]
    fn a_normal_variable_loses_a_fifth_of_its_square_and_keeps_its_signs() {
        let mut stream = Seed(3).stream("compressed", 0);
        let vector: Vec<f32> = (0..40_000).map(|_| stream.normal() as f32 * 0.01).collect();
        let out = expanded(&vector);
        let square = |values: &mut dyn Iterator<Item = f32>| -> f64 {
            values.map(|v| f64::from(v).powi(2)).sum()
        };
        let lost = square(&mut vector.iter().zip(&out).map(|(a, b)| a - b));
        let share = lost / square(&mut vector.iter().copied());
        // 0.19 for the best three levels of a normal variable.
        assert!((0.17..0.20).contains(&share), "{share}");
        assert!(vector.iter().zip(&out).all(|(a, b)| a * b >= 0.0));
    }

    #[test]
    fn zeros_odd_lengths_and_columns_are_exact() {
        assert_eq!(expanded(&[0.0; 83]), [0.0; 83]);
        assert_eq!(expanded(&[]), [0.0; 0]);
        let mut vector = vec![0.0; 95];
        (vector[3], vector[41], vector[94]) = (0.5, -0.25, 2.0);
        let out = expanded(&vector);
        assert_eq!(out, vector);
        let mut bytes = Vec::new();
        compress(&vector, &mut bytes).unwrap();
        for (start, end) in [(0, 95), (3, 4), (39, 42), (40, 80), (41, 95), (94, 95), (7, 7)] {
            let mut some = vec![f32::NAN; end - start];
            expand(&bytes, start..end, &mut some);
            assert_eq!(some, vector[start..end]);
        }
        assert!(compress(&[1e9; 40], &mut Vec::new()).is_err());
    }
}
