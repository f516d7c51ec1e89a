//! Spatial layouts: grids over the image whose cells are encoded separately.
//!
//! All grids together cut the image into the smallest cells that every region is a union of. Each
//! descriptor is summed once, in its cell, and a region's sums are the sums of its cells: regions
//! cost nothing but memory (Lazebnik et al. 2006 for the idea of a pyramid).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parameters::Measured;
use crate::position::Position;

/// A grid of `rows × columns` equal regions over the image, written `ROWSxCOLUMNS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    /// Rows and columns.
    pub fn size(self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The whole image as one region.
    pub const WHOLE: Self = Self { rows: 1, columns: 1 };

    /// More rows or columns than this are refused: the vector's length grows with their product.
    pub const LARGEST: usize = 8;

    /// Number of regions.
    pub fn regions(self) -> usize {
        self.rows * self.columns
    }
}

impl Measured for Grid {
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |side: &str| {
            side.parse::<usize>()
                .ok()
                .filter(|n| (1..=Self::LARGEST).contains(n) && side.len() == 1)
        };
        text.split_once('x')
            .and_then(|(rows, columns)| Some(Self { rows: parse(rows)?, columns: parse(columns)? }))
            .ok_or_else(|| {
                format!(
                    "`{text}` is not a grid; write ROWSxCOLUMNS with 1 to {} each, for example 3x1",
                    Self::LARGEST
                )
            })
    }
}

impl TryFrom<String> for Grid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Grid> for String {
    fn from(grid: Grid) -> Self {
        grid.to_string()
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.columns)
    }
}

/// The common refinement of several grids.
#[derive(Debug, Clone)]
pub struct Cells {
    rows: Axis,
    columns: Axis,
    /// Cells of every region, regions in the order of the grids, each row by row.
    regions: Vec<Vec<usize>>,
}

/// One axis cut at every grid's boundaries.
#[derive(Debug, Clone)]
struct Axis {
    /// Parts of equal length, the least common multiple of all grids' counts.
    parts: usize,
    /// The cell that a part belongs to.
    cell: Vec<usize>,
    cells: usize,
}

impl Axis {
    fn new(counts: impl Iterator<Item = usize> + Clone) -> Self {
        let parts = counts.clone().fold(1, least_common_multiple);
        let mut known = BTreeMap::new();
        let cell = (0..parts)
            .map(|part| {
                let regions: Vec<usize> = counts.clone().map(|n| part * n / parts).collect();
                let next = known.len();
                *known.entry(regions).or_insert(next)
            })
            .collect();
        Self { parts, cell, cells: known.len() }
    }

    /// The part that a share of the axis falls into.
    fn part(&self, share: f32) -> usize {
        // A share just outside (rounding) belongs to the border.
        ((share * self.parts as f32) as usize).min(self.parts - 1)
    }

    /// Cells within region `index` of `count` equal regions.
    fn within(&self, index: usize, count: usize) -> Vec<usize> {
        let mut cells: Vec<usize> = (0..self.parts)
            .filter(|part| part * count / self.parts == index)
            .map(|part| self.cell[part])
            .collect();
        cells.dedup();
        cells
    }
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

impl Cells {
    /// The cells of `grids`.
    pub fn new(grids: &[Grid]) -> Self {
        let rows = Axis::new(grids.iter().map(|g| g.rows));
        let columns = Axis::new(grids.iter().map(|g| g.columns));
        let mut regions = Vec::with_capacity(grids.iter().map(|g| g.regions()).sum());
        for grid in grids {
            for row in 0..grid.rows {
                for column in 0..grid.columns {
                    let across = columns.within(column, grid.columns);
                    let cells = rows
                        .within(row, grid.rows)
                        .into_iter()
                        .flat_map(|r| across.iter().map(move |c| r * columns.cells + c))
                        .collect();
                    regions.push(cells);
                }
            }
        }
        Self { rows, columns, regions }
    }

    /// Number of cells.
    pub fn count(&self) -> usize {
        self.rows.cells * self.columns.cells
    }

    /// Number of regions.
    pub fn regions(&self) -> usize {
        self.regions.len()
    }

    /// The cell of a position.
    pub fn of(&self, Position { x, y, .. }: Position) -> usize {
        let row = self.rows.cell[self.rows.part(y)];
        row * self.columns.cells + self.columns.cell[self.columns.part(x)]
    }

    /// The cells of a region.
    pub fn of_region(&self, region: usize) -> impl Iterator<Item = usize> + '_ {
        self.regions[region].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grids(texts: &[&str]) -> Vec<Grid> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn grids_are_read_and_refused() {
        assert_eq!("3x1".parse::<Grid>().unwrap().to_string(), "3x1");
        for text in ["", "3", "0x1", "9x1", "3x", "x", "3x1x1", "+3x1", "03x1"] {
            assert!(text.parse::<Grid>().unwrap_err().contains("ROWSxCOLUMNS"), "{text}");
        }
    }

    #[test]
    fn the_full_pyramid_needs_eight_cells() {
        let cells = Cells::new(&grids(&["1x1", "2x2", "3x1"]));
        assert_eq!((cells.count(), cells.regions()), (8, 8));
        assert_eq!(cells.of_region(0).count(), 8);
    }

    /// Every position lies in exactly the regions whose rectangle holds it.
    #[test]
    fn regions_are_the_rectangles_they_claim() {
        let layout = grids(&["1x1", "2x2", "3x1", "1x5"]);
        let cells = Cells::new(&layout);
        for i in 0..60 {
            for j in 0..60 {
                let (x, y) = ((j as f32 + 0.5) / 60.0, (i as f32 + 0.5) / 60.0);
                let cell = cells.of(Position::at(x, y));
                let mut region = 0;
                for grid in &layout {
                    for row in 0..grid.rows {
                        for column in 0..grid.columns {
                            let inside = (y * grid.rows as f32) as usize == row
                                && (x * grid.columns as f32) as usize == column;
                            assert_eq!(
                                cells.of_region(region).filter(|&c| c == cell).count(),
                                usize::from(inside),
                                "{grid} region {row},{column} at {x},{y}"
                            );
                            region += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(cells.of(Position::at(1.0, 1.0)), cells.of(Position::at(0.999, 0.999)));
        assert_eq!(cells.of(Position::at(-0.1, f32::NAN)), cells.of(Position::at(0.0, 0.0)));
    }
}
