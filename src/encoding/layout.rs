//! Where the values of a Fisher vector stand.
//!
//! A vector is one region after the other, in the order of the settings, each grid row by row. A region
//! is one block for each order asked for, and a block is one run of values for each component `k`:
//!
//! ```text
//! [g_1 … g_K | u_1 … u_K | v_1 … v_K]      order 0: 1 value a component; orders 1 and 2: D values
//! ```
//!
//! Vectors of factor analysers may have a block of order 3: `D·q` values a component, dimension by dimension.
//! Those of an autoencoder have one of order 1 alone, whose components are the units of a layer.

use std::ops::Range;

use super::params::Params;
use crate::generative::Parts;

/// The layout of the vectors of one encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    orders: Vec<u8>,
    parts: Parts,
    regions: usize,
}

/// What one value of a vector belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The region.
    pub region: usize,
    /// The order of the gradient.
    pub order: u8,
    /// The component `k`.
    pub component: usize,
    /// The dimension of the descriptors; `None` in order 0.
    pub dimension: Option<usize>,
    /// The factor, in order 3 alone.
    pub factor: Option<usize>,
}

impl Layout {
    /// The layout under `params`, for a mixture of `components` in `dim` dimensions.
    pub fn of(params: &Params, components: usize, dim: usize) -> Self {
        Self::of_parts(params, Parts::gaussian(components, dim))
    }

    /// The layout under `params`, for a model of these sizes.
    pub fn of_parts(params: &Params, parts: Parts) -> Self {
        let regions = params.regions.iter().map(|grid| grid.regions()).sum();
        Self { orders: parts.orders(&params.orders), parts, regions }
    }

    /// The sizes of the model.
    pub fn parts(&self) -> Parts {
        self.parts
    }

    /// Orders of the gradient, ascending.
    pub fn orders(&self) -> &[u8] {
        &self.orders
    }

    /// Components `K` of the mixture.
    pub fn components(&self) -> usize {
        self.parts.components
    }

    /// Dimensions `D` of the descriptors.
    pub fn dim(&self) -> usize {
        self.parts.dim
    }

    /// Regions of the image.
    pub fn regions(&self) -> usize {
        self.regions
    }

    /// Values of a vector.
    #[expect(clippy::len_without_is_empty, reason = "a vector has at least one value")]
    pub fn len(&self) -> usize {
        self.regions * self.region_len()
    }

    /// Values of one region.
    pub fn region_len(&self) -> usize {
        self.orders.iter().map(|&order| self.block_len(order)).sum()
    }

    /// Values of one order in a region.
    pub fn block_len(&self, order: u8) -> usize {
        self.parts.len(order)
    }

    /// Values of one component in the block of an order.
    pub fn component_len(&self, order: u8) -> usize {
        self.parts.width(order)
    }

    /// Where a region's values stand in the vector.
    pub fn region(&self, region: usize) -> Range<usize> {
        let len = self.region_len();
        region * len..(region + 1) * len
    }

    /// Every order with the place of its block in a region.
    pub fn blocks(&self) -> impl Iterator<Item = (u8, Range<usize>)> + '_ {
        self.orders.iter().scan(0, |start, &order| {
            let block = *start..*start + self.block_len(order);
            *start = block.end;
            Some((order, block))
        })
    }

    /// Every order with the place, in a region, of a component's values.
    pub fn of_component(&self, component: usize) -> impl Iterator<Item = (u8, Range<usize>)> + '_ {
        self.blocks().map(move |(order, block)| {
            let len = self.component_len(order);
            let start = block.start + component * len;
            (order, start..start + len)
        })
    }

    /// What the value at `index` belongs to; `None` past the end.
    pub fn place(&self, index: usize) -> Option<Place> {
        if index >= self.len() {
            return None;
        }
        let (region, within) = (index / self.region_len(), index % self.region_len());
        let (order, block) = self.blocks().find(|(_, block)| block.contains(&within))?;
        let (at, len) = (within - block.start, self.component_len(order));
        let values = len / self.parts.dim.max(1);
        let dimension = (order > 0).then(|| at % len / values);
        let factor = (order == 3).then(|| at % values);
        Some(Place { region, order, component: at / len, dimension, factor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gmm::Family;

    /// Three components, two dimensions, 1 + 3 regions: every value has one place, and the ranges lead
    /// back to it.
    #[test]
    fn places_and_ranges_agree() {
        let regions = vec!["1x1".parse().unwrap(), "3x1".parse().unwrap()];
        for orders in [vec![0], vec![1, 2], vec![0, 2], vec![0, 1, 2]] {
            let params =
                Params { orders: orders.clone(), regions: regions.clone(), ..Params::default() };
            let layout = Layout::of(&params, 3, 2);
            let each: usize = orders.iter().map(|&order| if order == 0 { 3 } else { 6 }).sum();
            assert_eq!((layout.len(), layout.region_len()), (4 * each, each));
            for index in 0..layout.len() {
                let place = layout.place(index).unwrap();
                let region = layout.region(place.region);
                let mut of_component = layout.of_component(place.component);
                let (_, range) = of_component.find(|(order, _)| *order == place.order).unwrap();
                assert_eq!(index, region.start + range.start + place.dimension.unwrap_or(0));
                assert_eq!(place.dimension.is_none(), place.order == 0);
            }
            assert_eq!(layout.place(layout.len()), None);
        }
    }

    /// Two components, three dimensions, two factors: loadings stand dimension by dimension.
    #[test]
    fn loadings_have_a_dimension_and_a_factor() {
        let parts = Parts { family: Family::FactorAnalysers, components: 2, dim: 3, factors: 2 };
        let params = Params { orders: vec![0, 1, 3], ..Params::default() };
        let layout = Layout::of_parts(&params, parts);
        assert_eq!((layout.len(), layout.block_len(3)), (2 + 6 + 12, 12));
        let at = |index: usize| {
            let place = layout.place(8 + index).unwrap();
            (place.order, place.component, place.dimension, place.factor)
        };
        assert_eq!(at(1), (3, 0, Some(0), Some(1)));
        assert_eq!(at(6 + 4), (3, 1, Some(2), Some(0)));
        let vae = Layout::of_parts(&params, Parts { family: Family::Vae, ..parts });
        assert_eq!((vae.orders(), vae.len()), (&[1][..], 6));
    }
}
