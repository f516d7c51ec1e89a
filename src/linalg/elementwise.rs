//! Row-wise loops compiled for the widest instructions found at run time.

use ndarray::ArrayView2;
use pulp::Simd;

use super::lanes::LANES;
use crate::widest;

/// Adds `constants` to every row of `values` (rows × constants.len()).
pub fn add_to_rows(values: &mut [f32], constants: &[f32]) {
    widest!(<'a> |values: &'a mut [f32], constants: &'a [f32]| -> () {
        for row in values.chunks_exact_mut(constants.len()) {
            row.iter_mut().zip(constants).for_each(|(value, constant)| *value += constant);
        }
    });
}

/// Mean of all rows (`N × D`, row-major), summed in f64; zeros without any.
pub fn mean_of_rows(rows: ArrayView2<'_, f32>) -> Vec<f32> {
    let mut sums = vec![0.0f64; rows.ncols()];
    let values = rows.as_slice().expect("rows are row-major");
    sum_rows(values, &mut sums);
    sums.iter().map(|sum| (sum / rows.nrows().max(1) as f64) as f32).collect()
}

/// Rows that [`sum_rows`] adds in f32.
const SUM_ROWS: usize = 128;

/// Adds every row of `values` to `sums` (rows × sums.len()): in f32 registers over `SUM_ROWS` rows,
/// in f64 beyond.
pub fn sum_rows(values: &[f32], sums: &mut [f64]) {
    widest!(<'a> simd: S, |values: &'a [f32], sums: &'a mut [f64]| -> () {
        let (columns, lanes) = (sums.len(), S::F32_LANES);
        for rows in values.chunks(SUM_ROWS * columns) {
            let mut done = 0;
            while done + 4 * lanes <= columns {
                sum_columns::<S, 4>(simd, rows, sums, done);
                done += 4 * lanes;
            }
            while done + lanes <= columns {
                sum_columns::<S, 1>(simd, rows, sums, done);
                done += lanes;
            }
            for column in done..columns {
                let mut sum = 0.0;
                for row in rows.chunks_exact(columns) {
                    sum += row[column];
                }
                sums[column] += f64::from(sum);
            }
        }
    });
}

/// The sums of `VECTORS` registers of columns from `left`.
#[inline(always)]
fn sum_columns<S: Simd, const VECTORS: usize>(
    simd: S,
    rows: &[f32],
    sums: &mut [f64],
    left: usize,
) {
    let width = VECTORS * S::F32_LANES;
    let mut total = [simd.splat_f32s(0.0); VECTORS];
    for row in rows.chunks_exact(sums.len()) {
        let row = S::as_simd_f32s(&row[left..left + width]).0;
        for v in 0..VECTORS {
            total[v] = simd.add_f32s(total[v], row[v]);
        }
    }
    let mut values = [0.0f32; 4 * LANES];
    S::as_mut_simd_f32s(&mut values[..width]).0.copy_from_slice(&total);
    for (sum, &value) in sums[left..left + width].iter_mut().zip(&values) {
        *sum += f64::from(value);
    }
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

/// Index and value of the largest of every row of `values` (rows × offsets.len()) after `offsets`
/// are added to it; the first of equals. A row of NaN gives 0 and −∞.
pub fn argmax_rows(values: &[f32], offsets: &[f32], places: &mut [u32], maxima: &mut [f32]) {
    widest!(<'a> simd: S, |values: &'a [f32], offsets: &'a [f32], places: &'a mut [u32], maxima: &'a mut [f32]| -> () {
        let lane_numbers: [f32; LANES] = std::array::from_fn(|lane| lane as f32);
        let lane_numbers = simd.partial_load_f32s(&lane_numbers[..S::F32_LANES]);
        let (offset_blocks, offset_rest) = S::as_simd_f32s(offsets);
        let rows = values.chunks_exact(offsets.len());
        for ((row, winner), maximum) in rows.zip(places).zip(maxima) {
            let (blocks, rest) = S::as_simd_f32s(row);
            // Indices are f32, exact up to 2²⁴.
            let mut best = simd.splat_f32s(f32::NEG_INFINITY);
            let mut place = lane_numbers;
            let mut index = lane_numbers;
            for (block, offset) in blocks.iter().zip(offset_blocks) {
                let value = simd.add_f32s(*block, *offset);
                let greater = simd.greater_than_f32s(value, best);
                best = simd.select_f32s(greater, value, best);
                place = simd.select_f32s(greater, index, place);
                index = simd.add_f32s(index, simd.splat_f32s(S::F32_LANES as f32));
            }
            *maximum = simd.reduce_max_f32s(best);
            let is_best = simd.equal_f32s(best, simd.splat_f32s(*maximum));
            let candidates = simd.select_f32s(is_best, place, simd.splat_f32s(f32::INFINITY));
            *winner = simd.reduce_min_f32s(candidates) as u32;
            for (place, (value, offset)) in rest.iter().zip(offset_rest).enumerate() {
                if value + offset > *maximum {
                    *maximum = value + offset;
                    *winner = (blocks.len() * S::F32_LANES + place) as u32;
                }
            }
        }
    });
}

/// `sums[i] += values[i]`.
pub fn add_to_f64(sums: &mut [f64], values: &[f32]) {
    widest!(<'a> |sums: &'a mut [f64], values: &'a [f32]| -> () {
        sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value));
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
            let offsets: Vec<f32> = (0..columns).map(|c| (c % 3) as f32).collect();
            argmax_rows(&values, &offsets, &mut places, &mut maxima);
            for (i, row) in values.chunks(columns).enumerate() {
                let row: Vec<f32> = row.iter().zip(&offsets).map(|(v, o)| v + o).collect();
                let expected = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(maxima[i], expected);
                let place = row.iter().position(|&v| v == expected).unwrap();
                assert_eq!(places[i] as usize, place, "{row:?}");
            }
        }
    }

    #[test]
    fn sums_of_rows_are_exact_for_small_integers() {
        for columns in [1, 15, 16, 70, 150] {
            let values: Vec<f32> = (0..300 * columns).map(|i| (i % 1013) as f32).collect();
            let mut sums = vec![1.0; columns];
            sum_rows(&values, &mut sums);
            for (j, &sum) in sums.iter().enumerate() {
                let exact: f64 = values.chunks(columns).map(|row| f64::from(row[j])).sum();
                assert_eq!(sum, 1.0 + exact, "column {j} of {columns}");
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
