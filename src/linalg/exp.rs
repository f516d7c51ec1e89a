//! Vectorised exponential and softmax, compiled for the widest instructions found at run time.
//!
//! `eˣ = 2ⁿ · eʳ` with `n = round(x / ln 2)` and `r = x − n ln 2` in two parts (Cody & Waite
//! 1980); `eʳ` by its Taylor polynomial of degree 7, whose remainder on `|r| ≤ ln 2 / 2` is below
//! 6e-9. Relative error of the whole below 2e-7.

use pulp::Simd;

use crate::widest;

/// Below this argument `eˣ` is taken as 0, just above where it would become subnormal.
pub(crate) const EXP_UNDERFLOW: f32 = -87.0;

// ln 2 in two parts: the first has nine significant bits, so that n times it is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;
/// `1/7!` to `1/0!`.
const TAYLOR: [f32; 8] =
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

/// `eˣ` for `x ≤ 88`; 0 below [`EXP_UNDERFLOW`].
#[inline(always)]
fn exp(x: f32) -> f32 {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = TAYLOR[0];
    for coefficient in &TAYLOR[1..] {
        p = r.mul_add(p, *coefficient);
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < EXP_UNDERFLOW { 0.0 } else { p * power }
}

/// [`exp`] of a vector.
#[inline(always)]
fn exp_vector<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value| simd.splat_f32s(value);
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let n = simd.sub_f32s(shifted, splat(ROUND));
    let r = simd.mul_add_e_f32s(n, splat(-LN2_HIGH), x);
    let r = simd.mul_add_e_f32s(n, splat(-LN2_LOW), r);
    let mut p = splat(TAYLOR[0]);
    for coefficient in &TAYLOR[1..] {
        p = simd.mul_add_e_f32s(r, p, splat(*coefficient));
    }
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let power = simd.add_u32s(exponent, simd.splat_u32s(1.0f32.to_bits()));
    let value = simd.mul_f32s(p, simd.transmute_f32s_u32s(power));
    let vanishes = simd.less_than_f32s(x, splat(EXP_UNDERFLOW));
    simd.select_f32s(vanishes, splat(0.0), value)
}

/// Softmax of every row of `rows × columns` logits, in place; `offsets` (`columns` values) are added
/// to every row first. `log_sums[i]` receives `ln Σ_k exp(logit_ik + offset_k)`.
///
/// A row without a finite maximum (all −∞ or any NaN) becomes NaN, which the callers' checks see.
///
/// # Panics
/// When `logits` is not `log_sums.len() × offsets.len()`.
pub fn softmax_rows(logits: &mut [f32], offsets: &[f32], log_sums: &mut [f64]) {
    let columns = offsets.len();
    assert_eq!(logits.len(), columns * log_sums.len(), "logits of a softmax");
    const ROWS: usize = 64;
    let (mut maxima, mut sums) = ([0.0f32; ROWS], [0.0f32; ROWS]);
    for (logits, log_sums) in logits.chunks_mut(ROWS * columns).zip(log_sums.chunks_mut(ROWS)) {
        let (maxima, sums) = (&mut maxima[..log_sums.len()], &mut sums[..log_sums.len()]);
        softmax_block(logits, offsets, maxima, sums);
        // Outside the kernel: the logarithm is a call, which would spill its registers.
        for ((log_sum, &maximum), &sum) in log_sums.iter_mut().zip(&*maxima).zip(&*sums) {
            *log_sum = f64::from(maximum) + f64::from(sum).ln();
        }
    }
}

/// As [`softmax_rows`]; returns every row's maximum, and its sum of exponentials relative to it.
fn softmax_block(logits: &mut [f32], offsets: &[f32], maxima: &mut [f32], sums: &mut [f32]) {
    widest!(<'a> simd: S, |logits: &'a mut [f32], offsets: &'a [f32], maxima: &'a mut [f32], sums: &'a mut [f32]| -> () {
        for ((row, maximum), sum) in
            logits.chunks_exact_mut(offsets.len()).zip(maxima).zip(sums)
        {
            (*maximum, *sum) = softmax_row(simd, row, offsets);
        }
    });
}

#[inline(always)]
fn softmax_row<S: Simd>(simd: S, row: &mut [f32], offsets: &[f32]) -> (f32, f32) {
    let (blocks, rest) = S::as_mut_simd_f32s(row);
    let (offset_blocks, offset_rest) = S::as_simd_f32s(offsets);

    let mut maximum = simd.splat_f32s(f32::NEG_INFINITY);
    for (block, offset) in blocks.iter_mut().zip(offset_blocks) {
        *block = simd.add_f32s(*block, *offset);
        maximum = simd.max_f32s(maximum, *block);
    }
    let mut maximum = simd.reduce_max_f32s(maximum);
    for (value, offset) in rest.iter_mut().zip(offset_rest) {
        *value += offset;
        maximum = if *value > maximum { *value } else { maximum };
    }

    let (shift, mut sum) = (simd.splat_f32s(maximum), simd.splat_f32s(0.0));
    for block in blocks.iter_mut() {
        *block = exp_vector(simd, simd.sub_f32s(*block, shift));
        sum = simd.add_f32s(sum, *block);
    }
    let mut sum = simd.reduce_sum_f32s(sum);
    for value in rest.iter_mut() {
        *value = exp(*value - maximum);
        sum += *value;
    }

    let scale = 1.0 / sum;
    let scales = simd.splat_f32s(scale);
    blocks.iter_mut().for_each(|block| *block = simd.mul_f32s(*block, scales));
    rest.iter_mut().for_each(|value| *value *= scale);
    (maximum, sum)
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
        assert!(exp(f32::NAN).is_nan());
    }

    /// Both forms, over rows longer than any vector.
    #[test]
    fn nan_and_infinities_reach_the_sums() {
        for columns in [3, 40] {
            for (bad, finite) in
                [(f32::NAN, false), (f32::INFINITY, false), (f32::NEG_INFINITY, true)]
            {
                for place in [0, columns - 1] {
                    let mut row = vec![0.5; columns];
                    row[place] = bad;
                    let mut log_sum = [0.0];
                    softmax_rows(&mut row, &vec![0.0; columns], &mut log_sum);
                    assert_eq!(log_sum[0].is_finite(), finite, "{bad} of {columns}");
                    assert_eq!(row.iter().all(|v| v.is_finite()), finite);
                }
            }
        }
    }

    #[test]
    fn softmax_matches_f64_for_odd_lengths() {
        for columns in [1, 5, 16, 37] {
            let mut stream = crate::random::Seed(3).stream("softmax", columns as u64);
            let mut logits: Vec<f32> =
                (0..3 * columns).map(|_| (40.0 * stream.normal()) as f32 + 300.0).collect();
            let original = logits.clone();
            let mut log_sums = [0.0; 3];
            let offsets: Vec<f32> = (0..columns).map(|c| (c as f32).sin()).collect();
            for row in logits.chunks_mut(columns) {
                row.iter_mut().zip(&offsets).for_each(|(x, o)| *x -= o);
            }
            softmax_rows(&mut logits, &offsets, &mut log_sums);
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
