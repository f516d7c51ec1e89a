//! Groups of alike heatmaps: spectral clustering of a nearest-neighbour graph, its number of
//! clusters read off the eigengap.
//!
//! ```text
//! C_ij = 1 when j is among the k nearest of i or i among those of j, k = max(3, ⌈ln n⌉ + 1)
//! L = I − D^−½ C D^−½         eigenvalues 0 = λ_1 ≤ λ_2 ≤ …       q = argmax_{2 ≤ q ≤ Q} λ_{q+1} − λ_q
//! ```
//!
//! Rows of the first `q` eigenvectors, scaled to unit length, are clustered by k-means. One cluster
//! is never split when λ_2 already lies as far from 0 as the later ones from each other. Source:
//! spectral relevance analysis, Lapuschkin et al. 2019 (LWBMSM19 in `docs/REFERENCES.md`); vL07
//! for the graph.

use faer::{Mat, Side};
use ndarray::Array2;

use crate::clustering;
use crate::error::Result;
use crate::progress::Silent;
use crate::random::Seed;

/// Most clusters looked for.
const MOST_CLUSTERS: usize = 6;
/// Fewer maps than this are one group.
const LEAST_MAPS: usize = 8;
/// k-means iterations; it ends by itself long before.
const ITERATIONS: usize = 100;

/// A grouping of maps.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// The group of every map; groups are numbered from the largest to the smallest.
    pub of_map: Vec<usize>,
    /// Number of groups.
    pub groups: usize,
}

/// Groups maps of equal length.
///
/// # Errors
/// [`crate::Error::Numerical`] when a map is not finite.
pub fn group(maps: &[&[f64]], seed: Seed) -> Result<Grouping> {
    let n = maps.len();
    if n < LEAST_MAPS {
        return Ok(Grouping { of_map: vec![0; n], groups: usize::from(n > 0) });
    }
    let graph = neighbours(maps);
    let degrees: Vec<f64> = (0..n).map(|i| (0..n).map(|j| graph[i * n + j]).sum()).collect();
    let laplacian = Mat::from_fn(n, n, |i, j| {
        let identity = if i == j { 1.0 } else { 0.0 };
        identity - graph[i * n + j] / (degrees[i] * degrees[j]).sqrt()
    });
    let eigen = laplacian.self_adjoint_eigen(Side::Lower).map_err(|_| crate::Error::Numerical {
        what: "grouping of heatmaps",
        problem: "the eigenvalues did not converge; is a heatmap not finite?".into(),
    })?;
    let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
    let most = MOST_CLUSTERS.min(n / 3);
    // λ_1 = 0 always; the gap after it speaks for one cluster.
    let gap = |q: usize| values[q] - values[q - 1];
    let chosen = (1..=most).max_by(|&a, &b| gap(a).total_cmp(&gap(b)).then(b.cmp(&a)));
    let groups = chosen.unwrap_or(1);
    let rows = Array2::from_shape_fn((n, groups), |(i, q)| {
        let norm: f64 = (0..groups).map(|p| eigen.U()[(i, p)].powi(2)).sum::<f64>().sqrt();
        (eigen.U()[(i, q)] / norm.max(1e-12)) as f32
    });
    let clusters = clustering::fit(rows.view(), groups, ITERATIONS, seed, &Silent)?;
    Ok(by_size(&clusters.assignment, groups))
}

/// The symmetric graph of nearest neighbours, `n × n`, 0 or 1.
fn neighbours(maps: &[&[f64]]) -> Vec<f64> {
    let n = maps.len();
    let k = ((n as f64).ln().ceil() as usize + 1).max(3).min(n - 1);
    let mut graph = vec![0.0; n * n];
    for (i, map) in maps.iter().enumerate() {
        let distance =
            |j: usize| -> f64 { map.iter().zip(maps[j]).map(|(a, b)| (a - b).powi(2)).sum() };
        let mut others: Vec<(f64, usize)> =
            (0..n).filter(|&j| j != i).map(|j| (distance(j), j)).collect();
        others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(_, j) in &others[..k] {
            graph[i * n + j] = 1.0;
            graph[j * n + i] = 1.0;
        }
    }
    graph
}

/// Numbers groups by size; equal sizes in the order of their first maps.
fn by_size(assignment: &[u32], groups: usize) -> Grouping {
    let mut order: Vec<(usize, usize, usize)> = (0..groups)
        .map(|group| {
            let members = || assignment.iter().enumerate().filter(|(_, g)| **g as usize == group);
            (members().count(), members().next().map_or(usize::MAX, |(i, _)| i), group)
        })
        .filter(|(size, _, _)| *size > 0)
        .collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut number = vec![0; groups];
    order.iter().enumerate().for_each(|(new, (_, _, old))| number[*old] = new);
    let of_map = assignment.iter().map(|&g| number[g as usize]).collect();
    Grouping { of_map, groups: order.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noisy copies of `centres`, so many of each.
    fn maps(centres: &[(&[f64], usize)]) -> Vec<Vec<f64>> {
        let mut stream = Seed(3).stream("maps", 0);
        let mut noisy = |centre: &[f64]| -> Vec<f64> {
            centre.iter().map(|c| c + 0.1 * stream.normal()).collect()
        };
        centres.iter().flat_map(|(c, n)| vec![*c; *n]).map(&mut noisy).collect()
    }

    fn grouped(maps: &[Vec<f64>]) -> Grouping {
        let views: Vec<&[f64]> = maps.iter().map(Vec::as_slice).collect();
        group(&views, Seed(1)).unwrap()
    }

    #[test]
    fn a_minority_with_its_own_reason_is_found() {
        let (common, rare) = ([0.0, 0.0, 1.0, 1.0], [3.0, 0.0, 0.0, 0.0]);
        let found = grouped(&maps(&[(&common, 40), (&rare, 9)]));
        assert_eq!(found.groups, 2);
        assert_eq!(found.of_map, [vec![0; 40], vec![1; 9]].concat());
    }

    #[test]
    fn few_maps_and_equal_maps_are_one_group() {
        assert_eq!(grouped(&maps(&[(&[1.0, 2.0], 5)])).groups, 1);
        assert_eq!(grouped(&vec![vec![1.0, 2.0]; 30]).of_map.len(), 30);
        assert_eq!(grouped(&[]).groups, 0);
    }
}
