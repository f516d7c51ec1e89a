//! A row that is known beyond f32: the point that every empty descriptor is projected to.
//!
//! Flat regions give descriptors of zeros. The component that has gathered them lies where they are
//! projected to, so their `z` is what rounding left, and step `power` turns 1e-8 of a coordinate into
//! 1e-4 of a vector. With `x = x̂ + β` for the rows that are `x̂` in f32, and `G` the sum of their
//! posteriors under a component:
//!
//! ```text
//! S¹ ← S¹ + G β/s      S² ← S² + G (2 (x̂ − μ)/s · β/s + (β/s)²)
//! ```

/// One point in f32, and what is missing to it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// `x̂`, the first values of a row; what is appended to it differs from row to row.
    rounded: Vec<f32>,
    /// `β`.
    beyond: Vec<f64>,
}

impl Known {
    /// The point `exact`, which rows have as `rounded`.
    pub fn new(rounded: Vec<f32>, exact: &[f64]) -> Self {
        let beyond = exact.iter().zip(&rounded).map(|(x, &r)| x - f64::from(r)).collect();
        Self { rounded, beyond }
    }

    /// Says of every row (of `dim` values) whether it is this point, and whether any is.
    pub fn find(&self, rows: &[f32], dim: usize, found: &mut Vec<bool>) -> bool {
        found.clear();
        found.extend(rows.chunks_exact(dim).map(|row| row.starts_with(&self.rounded)));
        found.contains(&true)
    }

    /// Adds to the sums `S² | S¹` of a component what rows of posteriors `mass` lack in f32.
    pub fn add(&self, mass: f64, scale: &[f32], scaled_means: &[f32], moments: &mut [f64]) {
        let (second, first) = moments.split_at_mut(scale.len());
        for (j, (&rounded, &beyond)) in self.rounded.iter().zip(&self.beyond).enumerate() {
            let scale = f64::from(scale[j]);
            let apart = f64::from(rounded) * scale - f64::from(scaled_means[j]);
            let beyond = beyond * scale;
            first[j] += mass * beyond;
            second[j] += mass * beyond * (2.0 * apart + beyond);
        }
    }
}
