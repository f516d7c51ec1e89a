//! Row-wise loops compiled for the widest instructions found at run time.

use crate::widest;

const LANES: usize = 16;

/// Adds `constants` to every row of `values` (rows × constants.len()).
pub fn add_to_rows(values: &mut [f32], constants: &[f32]) {
    widest!(<'a> |values: &'a mut [f32], constants: &'a [f32]| -> () {
        for row in values.chunks_exact_mut(constants.len()) {
            row.iter_mut().zip(constants).for_each(|(value, constant)| *value += constant);
        }
    });
}

/// Adds every row of `values` to `sums` (rows × sums.len()).
pub fn sum_rows(values: &[f32], sums: &mut [f32]) {
    widest!(<'a> |values: &'a [f32], sums: &'a mut [f32]| -> () {
        for row in values.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    });
}

/// `distances[i] = min(distances[i], ‖row_i − point‖²)` for every row of `values`
/// (rows × point.len()).
pub fn keep_smaller_distances(values: &[f32], point: &[f32], distances: &mut [f32]) {
    widest!(<'a> |values: &'a [f32], point: &'a [f32], distances: &'a mut [f32]| -> () {
        for (row, distance) in values.chunks_exact(point.len()).zip(distances) {
            let mut sums = [0.0f32; LANES];
            let (a_blocks, a_rest) = row.as_chunks::<LANES>();
            let (b_blocks, b_rest) = point.as_chunks::<LANES>();
            for (a, b) in a_blocks.iter().zip(b_blocks) {
                for lane in 0..LANES {
                    let difference = a[lane] - b[lane];
                    sums[lane] = difference.mul_add(difference, sums[lane]);
                }
            }
            let mut sum = 0.0;
            for lane in sums {
                sum += lane;
            }
            for (a, b) in a_rest.iter().zip(b_rest) {
                sum += (a - b) * (a - b);
            }
            *distance = if sum < *distance { sum } else { *distance };
        }
    });
}

/// Index and value of the largest value of every row (rows × columns, columns at least 1); the
/// first of equals.
pub fn argmax_rows(values: &[f32], columns: usize, places: &mut [u32], maxima: &mut [f32]) {
    widest!(<'a> |values: &'a [f32], columns: usize, places: &'a mut [u32], maxima: &'a mut [f32]| -> () {
        for ((row, winner), maximum) in values.chunks_exact(columns).zip(places).zip(maxima) {
            let (mut best, mut place) = ([f32::NEG_INFINITY; LANES], [0u32; LANES]);
            let (blocks, rest) = row.as_chunks::<LANES>();
            for (b, block) in blocks.iter().enumerate() {
                for lane in 0..LANES {
                    let greater = block[lane] > best[lane];
                    best[lane] = if greater { block[lane] } else { best[lane] };
                    place[lane] = if greater { b as u32 } else { place[lane] };
                }
            }
            (*winner, *maximum) = (0, f32::NEG_INFINITY);
            for lane in 0..LANES.min(row.len()) {
                let index = place[lane] * LANES as u32 + lane as u32;
                if best[lane] > *maximum || (best[lane] == *maximum && index < *winner) {
                    (*winner, *maximum) = (index, best[lane]);
                }
            }
            for (offset, &value) in rest.iter().enumerate() {
                if value > *maximum {
                    (*winner, *maximum) = ((blocks.len() * LANES + offset) as u32, value);
                }
            }
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
            let (mut places, mut maxima) = (vec![9; 40], vec![9.0; 40]);
            argmax_rows(&values, columns, &mut places, &mut maxima);
            for (i, row) in values.chunks(columns).enumerate() {
                let expected = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(maxima[i], expected);
                let place = row.iter().position(|&v| v == expected).unwrap();
                assert_eq!(places[i] as usize, place, "{row:?}");
            }
        }
    }

    #[test]
    fn distances_match_the_definition() {
        let values: Vec<f32> = (0..3 * 19).map(|i| (i as f32).sin()).collect();
        let point: Vec<f32> = (0..19).map(|i| (i as f32).cos()).collect();
        let mut distances = [f32::INFINITY, f32::INFINITY, 0.5];
        keep_smaller_distances(&values, &point, &mut distances);
        for (i, row) in values.chunks(19).enumerate() {
            let exact: f64 =
                row.iter().zip(&point).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            let expected = if i == 2 { exact.min(0.5) } else { exact };
            assert!((f64::from(distances[i]) - expected).abs() < 1e-5);
        }
    }
}
