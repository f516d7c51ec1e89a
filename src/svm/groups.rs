//! Many classes in groups: each trained by itself, on whatever machine, and put together.
//!
//! ```text
//! group g   classes [GROUP·g, GROUP·(g + 1))
//! model     the groups' classes, one after the other
//! ```
//!
//! Machines that are solved on the rows themselves ([`Solver::Dual`](super::Solver::Dual)) share the order in which
//! rows are visited, and which rows sleep. A group has a fixed size, so that its classes come out the same whoever
//! trains it; and the weights of a group alone are in memory.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayView3, Axis, concatenate};

use super::duals::Duals;
use super::model::Model;
use super::params::{Fusion, GRAM_ROWS, Params, Solver};
use crate::dataset::Label;
use crate::{Error, Result};

/// Classes of a group.
pub const GROUP: usize = 50;

/// The classes of each group; one of all classes where they are not trained apart.
pub fn groups(params: &Params, rows: usize, channels: usize, classes: usize) -> Vec<Range<usize>> {
    let of_rows =
        params.solver == Solver::Dual || params.solver == Solver::Auto && rows > GRAM_ROWS;
    // What is chosen on images held out is chosen for all classes at once.
    let chosen = !params.c_grid.is_empty() || params.fusion != Fusion::Weights && channels > 1;
    if !of_rows || chosen || classes <= GROUP {
        return std::iter::once(0..classes).collect();
    }
    (0..classes).step_by(GROUP).map(|start| start..(start + GROUP).min(classes)).collect()
}

/// The labels of some classes.
pub fn labels_of_classes(labels: &[Vec<Label>], classes: Range<usize>) -> Vec<Vec<Label>> {
    labels.iter().map(|of_image| of_image[classes.clone()].to_vec()).collect()
}

impl Model {
    /// The classes of several models of the same rows, one after the other.
    ///
    /// # Errors
    /// [`Error::Shape`] when they are of different rows.
    pub fn together(models: Vec<Self>) -> Result<Self> {
        let Some(first) = models.first() else {
            return Err(Error::Shape { what: "groups of classes", expected: 1, got: 0 });
        };
        let (expected, selection) = (first.dim(), first.selection.clone());
        if let Some(odd) = models.iter().find(|model| model.dim() != expected) {
            return Err(Error::Shape {
                what: "values of a group's weights",
                expected,
                got: odd.dim(),
            });
        }
        let weights: Vec<ArrayView2<'_, f32>> = models.iter().map(|m| m.weights.view()).collect();
        let weights = concatenate(Axis(0), &weights).expect("rows of one width");
        let duals: Option<Vec<&Duals>> = models.iter().map(|model| model.duals.as_ref()).collect();
        let duals = duals.map(|duals| duals_together(&duals, expected)).transpose()?;
        let (mut classes, mut bias) = (Vec::new(), Vec::new());
        let (mut sigmoids, mut reports) = (Vec::new(), Vec::new());
        for model in models {
            classes.extend(model.classes);
            bias.extend(model.bias);
            sigmoids.extend(model.sigmoids);
            reports.extend(model.reports);
        }
        Self::new(classes, weights, bias, sigmoids, reports, selection)?.with_duals(duals)
    }
}

fn duals_together(duals: &[&Duals], dim: usize) -> Result<Duals> {
    let (parts, images) = (duals[0].parts.clone(), duals[0].images());
    if let Some(odd) = duals.iter().find(|d| d.images() != images || d.parts != parts) {
        let what = "training images of a group";
        return Err(Error::Shape { what, expected: images, got: odd.images() });
    }
    let products: Vec<ArrayView3<'_, f32>> = duals.iter().map(|d| d.products.view()).collect();
    let constants: Vec<ArrayView2<'_, f32>> = duals.iter().map(|d| d.constants.view()).collect();
    let products = concatenate(Axis(1), &products).expect("parts and images of one number");
    let constants = concatenate(Axis(0), &constants).expect("images of one number");
    Duals::new(parts, products, constants, dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::random::Seed;
    use ndarray::Array2;

    #[test]
    fn classes_are_trained_apart_where_nothing_is_chosen_for_all_of_them() {
        let of = |params: &Params, rows| groups(params, rows, 2, 120);
        let dual = Params { solver: Solver::Dual, ..Params::default() };
        assert_eq!(of(&dual, 10), [0..50, 50..100, 100..120]);
        assert_eq!(of(&Params::default(), GRAM_ROWS + 1).len(), 3);
        for (params, rows) in [
            (Params::default(), GRAM_ROWS),
            (Params { c_grid: vec![1.0], ..dual.clone() }, 10),
            (Params { fusion: Fusion::Learned, ..dual.clone() }, 10),
        ] {
            assert_eq!(of(&params, rows).len(), 1);
        }
        assert_eq!(groups(&dual, 10, 1, GROUP).len(), 1);
    }

    /// More classes than a group: each class as if its group had been trained alone.
    #[test]
    fn groups_are_put_together_in_order() {
        let (images, classes) = (130, GROUP + 7);
        let mut stream = Seed(5).stream("svm groups", 0);
        let rows = Array2::from_shape_simple_fn((images, 12), || stream.normal() as f32);
        let labels: Vec<Vec<Label>> = (0..images)
            .map(|i| {
                (0..classes)
                    .map(|c| if i % classes == c { Label::Yes } else { Label::No })
                    .collect()
            })
            .collect();
        let names: Vec<String> = (0..classes).map(|c| format!("c{c}")).collect();
        let params = Params { solver: Solver::Dual, c: 1.0, ..Params::default() };
        let train = |range: Range<usize>| {
            let labels = labels_of_classes(&labels, range.clone());
            super::super::train(&rows.view(), &labels, &names[range], &params, Seed(1), &Silent)
                .unwrap()
        };
        let whole = train(0..classes);
        let apart = Model::together(vec![train(0..GROUP), train(GROUP..classes)]).unwrap();
        assert_eq!(whole, apart);
        assert_eq!(whole.classes, names);
        assert_eq!(whole.duals.as_ref().unwrap().products.dim(), (1, classes, images));
        assert!(Model::together(Vec::new()).is_err());
    }
}
