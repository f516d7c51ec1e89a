//! Images that are there more than once, and a large C.

use fvtool::svm::{Loss, Params, Solver, Stop};
use ndarray::{Axis, concatenate};

use crate::svm::{blobs, fit, of_class, primal, reference};

/// Images that are there more than once, under one label or under both, with every C and solver: the
/// report says of the stored weights what they cost and how much that is above the optimum, and a
/// machine that calls itself converged is.
#[test]
fn duplicates_with_a_large_c_end_at_the_optimum_or_say_by_how_much_not() {
    let (mut wrong, mut unfinished) = (Vec::new(), 0);
    for item in 0..3 {
        let (distinct, _) = blobs(8, 5, 2, item);
        for contradictory in [0, 1, 4] {
            // Every row twice; of some, the copies have different labels.
            let x = concatenate![Axis(0), distinct, distinct];
            let y: Vec<f64> = (0..16)
                .map(|i| {
                    let y = if i % 8 < 4 { 1.0 } else { -1.0 };
                    if i >= 8 && i % 8 < contradictory { -y } else { y }
                })
                .collect();
            for c in [1.0, 1e3, 1e6, 1e9, 1e12] {
                let bounds = [Loss::Hinge, Loss::SquaredHinge]
                    .map(|loss| reference(&x, &y, loss, c, 2000).1);
                for (solver, loss, lower) in [
                    (Solver::Gram, Loss::Hinge, bounds[0]),
                    (Solver::Gram, Loss::SquaredHinge, bounds[1]),
                    (Solver::Dual, Loss::Hinge, bounds[0]),
                    (Solver::Dual, Loss::SquaredHinge, bounds[1]),
                    (Solver::Smo, Loss::Hinge, bounds[0]),
                ] {
                    let params = Params { solver, loss, c, ..Params::default() };
                    let model = fit(&x, &y, &params);
                    let report = &model.reports[0];
                    let of = of_class(&model, 0);
                    let what = format!("{solver:?} {loss:?} {c:e} {contradictory} {item}");
                    let bias_counts = solver != Solver::Smo;
                    let cost = primal(&x, &y, (of.0.view(), of.1), loss, (c, 1.0), bias_counts);
                    if (report.primal / cost - 1.0).abs() > 1e-3 {
                        wrong.push(format!("{what}: costs {cost:e}, reported {:e}", report.primal));
                    }
                    let converged = report.stop == Stop::Converged;
                    unfinished += usize::from(!converged);
                    assert_eq!(converged, report.relative_gap <= params.tolerance, "{what}");
                    // A bound from below is one for the problem with a free bias too only by the
                    // solver's own; the other is checked against the reference.
                    if bias_counts {
                        let highest = (cost - lower) / cost;
                        if report.dual > cost * (1.0 + 1e-9) {
                            wrong.push(format!("{what}: dual {:e} above {cost:e}", report.dual));
                        }
                        // The reference's bound may be the weaker one.
                        if converged && lower > report.dual && highest > 2.0 * params.tolerance {
                            wrong.push(format!("{what}: called converged at {highest:e}"));
                        }
                    }
                    // Weights that are not good are no garbage either.
                    let constant = 16.0 * c;
                    if cost > constant * 1.01 {
                        wrong.push(format!("{what}: costs {cost:e}, nothing costs {constant:e}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of 225:\n{}", wrong.len(), wrong.join("\n"));
    assert!(unfinished < 112, "{unfinished} of 225 did not converge");
}
