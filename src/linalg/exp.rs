//! Vectorised exponential and softmax, compiled for the widest instructions found at run time.
//!
//! `eˣ = 2ⁿ · eʳ` with `n = round(x / ln 2)` and `r = x − n ln 2` in two parts (Cody & Waite
//! 1980); `eʳ` by its Taylor polynomial of degree 7, whose remainder on `|r| ≤ ln 2 / 2` is below
//! 6e-9. Relative error of the whole below 2e-7.

use crate::widest;

/// Values handled as one vector; one 512-bit register of f32.
const LANES: usize = 16;

/// Below this argument `eˣ` is taken as 0, just above where it would become subnormal.
pub const EXP_UNDERFLOW: f32 = -87.0;

/// `eˣ` for `x ≤ 88`; 0 below [`EXP_UNDERFLOW`].
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: the first has nine significant bits, so that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(EXP_UNDERFLOW, 88.0);
    let shifted = clamped.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let mut p = 1.0 / 5040.0;
    p = r.mul_add(p, 1.0 / 720.0);
    p = r.mul_add(p, 1.0 / 120.0);
    p = r.mul_add(p, 1.0 / 24.0);
    p = r.mul_add(p, 1.0 / 6.0);
    p = r.mul_add(p, 0.5);
    p = r.mul_add(p, 1.0);
    p = r.mul_add(p, 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < EXP_UNDERFLOW { 0.0 } else { p * power }
}

/// Softmax of every row of `rows × columns` logits, in place. `log_sums[i]` receives
/// `ln Σ_k exp(logit_ik)`.
///
/// A row without a finite maximum (all −∞ or any NaN) becomes NaN, which the callers' checks see.
///
/// # Panics
/// When `logits` is not `log_sums.len() × columns`.
pub fn softmax_rows(logits: &mut [f32], columns: usize, log_sums: &mut [f64]) {
    assert_eq!(logits.len(), columns * log_sums.len(), "logits of a softmax");
    widest!(<'a> |logits: &'a mut [f32], columns: usize, log_sums: &'a mut [f64]| -> () {
        for (row, log_sum) in logits.chunks_exact_mut(columns).zip(log_sums.iter_mut()) {
            // The logarithm of the sum is taken outside: it would not be inlined.
            *log_sum = softmax_row(row);
        }
    });
}

#[inline(always)]
fn softmax_row(row: &mut [f32]) -> f64 {
    let maximum = maximum(row);
    let mut sums = [0.0f32; LANES];
    let (blocks, rest) = row.as_chunks_mut::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            block[lane] = exp(block[lane] - maximum);
            sums[lane] += block[lane];
        }
    }
    for (value, sum) in rest.iter_mut().zip(&mut sums) {
        *value = exp(*value - maximum);
        *sum += *value;
    }
    let sum: f32 = sums.iter().sum();
    let scale = 1.0 / sum;
    row.iter_mut().for_each(|value| *value *= scale);
    f64::from(maximum) + f64::from(sum).ln()
}

#[inline(always)]
fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = if block[lane] > lanes[lane] { block[lane] } else { lanes[lane] };
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |a, &b| a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_over_its_range() {
        let mut worst = 0.0f64;
        for i in 0..=200_000 {
            let x = -86.9 + 174.0 * f64::from(i) / 200_000.0;
            let x = x as f32;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-100.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn softmax_matches_f64_for_odd_lengths() {
        for columns in [1, 5, 16, 37] {
            let mut stream = crate::random::Seed(3).stream("softmax", columns as u64);
            let mut logits: Vec<f32> =
                (0..3 * columns).map(|_| (40.0 * stream.normal()) as f32 + 300.0).collect();
            let original = logits.clone();
            let mut log_sums = [0.0; 3];
            softmax_rows(&mut logits, columns, &mut log_sums);
            for (i, (got, row)) in logits.chunks(columns).zip(original.chunks(columns)).enumerate()
            {
                let sum: f64 = row.iter().map(|&x| (f64::from(x) - 300.0).exp()).sum();
                assert!((log_sums[i] - 300.0 - sum.ln()).abs() < 1e-5);
                for (&g, &x) in got.iter().zip(row) {
                    let expected = (f64::from(x) - 300.0).exp() / sum;
                    assert!((f64::from(g) - expected).abs() < 3e-6 * expected.max(1e-30));
                }
            }
        }
    }
}
