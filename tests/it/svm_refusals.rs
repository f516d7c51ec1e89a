//! What the classifier cannot learn from, and settings that it refuses.

use fvtool::Error;
use fvtool::Result;
use fvtool::dataset::Label;
use fvtool::progress::Silent;
use fvtool::svm::{self, Loss, Model, Params, Solver};
use ndarray::Array2;

use crate::svm::{SEED, blobs, fit_all, one_hot};

fn refused(x: &Array2<f32>, labels: &[Vec<Label>], classes: usize, params: &Params) -> String {
    let names: Vec<String> = (0..classes).map(|c| c.to_string()).collect();
    let result: Result<Model> = svm::train(&x.view(), labels, &names, params, SEED, &Silent);
    result.unwrap_err().to_string()
}

#[test]
fn what_cannot_be_learnt_from_is_refused_with_a_reason() {
    let params = Params::default();
    let labels = one_hot(&[0, 1, 0, 1], 2);
    let x = blobs(4, 5, 2, 13).0;
    let none = Array2::zeros((0, 5));
    assert!(refused(&none, &[], 2, &params).contains("no images"));
    assert!(refused(&Array2::zeros((4, 0)), &labels, 2, &params).contains("no values"));
    assert!(refused(&x, &vec![vec![]; 4], 0, &params).contains("no classes"));
    assert!(refused(&x, &labels[..3], 2, &params).contains("expected 4 values, got 3"));
    assert!(refused(&x, &labels, 3, &params).contains("expected 3 values, got 2"));
    let ignored = vec![vec![Label::Ignored; 2]; 4];
    assert!(refused(&x, &ignored, 2, &params).contains("ignored"));
    for solver in [Solver::Gram, Solver::Dual, Solver::Smo] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = x.clone();
            x[[2, 4]] = bad;
            let problem = refused(&x, &labels, 2, &Params { solver, ..params.clone() });
            assert!(problem.contains("row 2"), "{solver:?}: {problem}");
        }
    }
    let model = fit_all(&x, &[0, 1, 0, 1], 2, &params);
    let mut bad = x.clone();
    bad[[3, 1]] = f32::NAN;
    let problem = model.scores(&bad.view()).unwrap_err().to_string();
    assert!(problem.contains("row 3") && problem.contains("column 1"), "{problem}");
    let problem = model.score(&[0.0; 4]).unwrap_err();
    assert!(matches!(problem, Error::Shape { expected: 5, got: 4, .. }));
    let few = Params { c_grid: vec![1.0], folds: 5, ..params };
    assert!(refused(&x, &labels, 2, &few).contains("svm.folds"));
}

#[test]
fn settings_outside_their_ranges_are_named() {
    let wrong = |change: &dyn Fn(&mut Params)| {
        let mut params = Params::default();
        change(&mut params);
        params.validate().unwrap_err().to_string()
    };
    assert!(Params::default().validate().is_ok());
    // 1e-40 and 1e39 leave f32 by themselves, 1e13 what is counted in it.
    for c in [0.0, -1.0, 1e-40, 1e13, 1e39, f64::MAX, f64::NAN, f64::INFINITY] {
        assert!(wrong(&|p| p.c = c).contains("`svm.c`"));
        assert!(wrong(&|p| p.c_grid = vec![1.0, c]).contains("`svm.c_grid`"));
        assert!(wrong(&|p| p.positive_weight = c).contains("`svm.positive_weight`"));
        assert!(wrong(&|p| p.tolerance = c).contains("`svm.tolerance`"));
    }
    assert!(wrong(&|p| p.folds = 1).contains("`svm.folds`"));
    assert!(wrong(&|p| p.max_epochs = 0).contains("`svm.max_epochs`"));
    let free = wrong(&|p| (p.solver, p.loss) = (Solver::Smo, Loss::SquaredHinge));
    assert!(free.contains("`svm.loss`") && free.contains("hinge"), "{free}");
}
