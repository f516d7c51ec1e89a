//! Vectors of lanes: how many values the kernels handle at once, and sums over them in fixed order.

/// Values handled as one vector by the kernels: one 512-bit register of f32.
pub const LANES: usize = 16;

/// Lanes joined pairwise, halves first: as many steps as the logarithm of their number.
#[inline(always)]
pub fn fold_lanes<T: Copy>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

/// Dot product in f64 of two f32 rows, in a fixed order of sixteen partial sums.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    crate::widest!(<'a> |a: &'a [f32], b: &'a [f32]| -> f64 {
        let mut sums = [0.0f64; LANES];
        let (a_blocks, a_rest) = a.as_chunks::<LANES>();
        let (b_blocks, b_rest) = b.as_chunks::<LANES>();
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            for lane in 0..LANES {
                sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
            }
        }
        let rest = a_rest.iter().zip(b_rest).map(|(x, y)| f64::from(*x) * f64::from(*y));
        let rest: f64 = rest.sum();
        sums.iter().sum::<f64>() + rest
    })
}

/// Euclidean norm in f64 of an f32 row.
pub fn norm(row: &[f32]) -> f64 {
    dot(row, row).sqrt()
}
