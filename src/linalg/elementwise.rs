//! Row-wise loops compiled for the widest instructions found at run time.

use pulp::Arch;

const LANES: usize = 16;

/// Adds `constants` to every row of `values` (rows × constants.len()).
pub fn add_to_rows(values: &mut [f32], constants: &[f32]) {
    Arch::new().dispatch(|| {
        for row in values.chunks_exact_mut(constants.len()) {
            row.iter_mut().zip(constants).for_each(|(value, constant)| *value += constant);
        }
    });
}

/// Adds every row of `values` to `sums` (rows × sums.len()).
pub fn sum_rows(values: &[f32], sums: &mut [f32]) {
    Arch::new().dispatch(|| {
        for row in values.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    });
}

/// Squared Euclidean distance of every row of `values` to `point`, in f32 lanes.
pub fn squared_distances(values: &[f32], point: &[f32], mut each: impl FnMut(usize, f32)) {
    Arch::new().dispatch(|| {
        for (i, row) in values.chunks_exact(point.len()).enumerate() {
            let mut sums = [0.0f32; LANES];
            let (a_blocks, a_rest) = row.as_chunks::<LANES>();
            let (b_blocks, b_rest) = point.as_chunks::<LANES>();
            for (a, b) in a_blocks.iter().zip(b_blocks) {
                for lane in 0..LANES {
                    let difference = a[lane] - b[lane];
                    sums[lane] = difference.mul_add(difference, sums[lane]);
                }
            }
            let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
            each(i, sums.iter().sum::<f32>() + rest);
        }
    });
}

/// Index and value of the largest value of every row; the first of equals.
pub fn argmax_rows(values: &[f32], columns: usize, mut each: impl FnMut(usize, usize, f32)) {
    Arch::new().dispatch(|| {
        for (i, row) in values.chunks_exact(columns).enumerate() {
            let (mut best, mut place) = ([f32::NEG_INFINITY; LANES], [0u32; LANES]);
            let (blocks, rest) = row.as_chunks::<LANES>();
            for (b, block) in blocks.iter().enumerate() {
                for lane in 0..LANES {
                    let greater = block[lane] > best[lane];
                    best[lane] = if greater { block[lane] } else { best[lane] };
                    place[lane] = if greater { b as u32 } else { place[lane] };
                }
            }
            let mut winner = (0, f32::NEG_INFINITY);
            for lane in 0..LANES.min(row.len()) {
                let index = place[lane] as usize * LANES + lane;
                if best[lane] > winner.1 || (best[lane] == winner.1 && index < winner.0) {
                    winner = (index, best[lane]);
                }
            }
            for (offset, &value) in rest.iter().enumerate() {
                if value > winner.1 {
                    winner = (blocks.len() * LANES + offset, value);
                }
            }
            each(i, winner.0, winner.1);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn argmax_finds_the_first_of_equals() {
        for columns in [1, 3, 16, 17, 50] {
            let mut stream = Seed(4).stream("argmax", columns as u64);
            let values: Vec<f32> = (0..40 * columns).map(|_| stream.below(9) as f32).collect();
            argmax_rows(&values, columns, |i, k, value| {
                let row = &values[i * columns..(i + 1) * columns];
                let expected = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(value, expected);
                assert_eq!(row.iter().position(|&v| v == expected), Some(k), "{row:?}");
            });
        }
    }

    #[test]
    fn distances_match_the_definition() {
        let values: Vec<f32> = (0..3 * 19).map(|i| (i as f32).sin()).collect();
        let point: Vec<f32> = (0..19).map(|i| (i as f32).cos()).collect();
        squared_distances(&values, &point, |i, got| {
            let exact: f64 = values[i * 19..(i + 1) * 19]
                .iter()
                .zip(&point)
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                .sum();
            assert!((f64::from(got) - exact).abs() < 1e-5);
        });
    }
}
