//! All measures of the scores of a split.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::confusion::Confusion;
use super::curve::Curve;
use super::ranking::Ranking;
use super::report::{ClassReport, Map, Report};
use super::{average_precision, roc};
use crate::dataset::Label;
use crate::{Error, Result};

/// A split of `n` images with labels and scores for `C` classes.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Name of the split.
    pub split: &'a str,
    /// Image names, `n`, in list order.
    pub ids: &'a [String],
    /// Class names, `C`.
    pub classes: &'a [String],
    /// `labels[image][class]`, `n × C`.
    pub labels: &'a [Vec<Label>],
    /// `n × C`; larger means more likely, −∞ no score.
    pub scores: ArrayView2<'a, f32>,
    /// Every image has exactly one class: report accuracy and confusion too.
    pub single_label: bool,
}

/// Evaluates the scores of a split.
///
/// # Errors
/// [`Error::Shape`] when the parts do not fit, [`Error::Numerical`] when a score is NaN or, for
/// single-label data, an image does not show exactly one class.
///
/// ```
/// use fvtool::{dataset::Label::{No, Yes}, evaluation::{evaluate, Scored}};
/// let report = evaluate(&Scored {
///     split: "test",
///     ids: &["a", "b", "c"].map(String::from),
///     classes: &["horse".to_string()],
///     labels: &[vec![Yes], vec![No], vec![Yes]],
///     scores: ndarray::array![[0.9_f32], [0.5], [0.1]].view(),
///     single_label: false,
/// })?;
/// // Precision 1 at recall ½, 2/3 at recall 1.
/// assert_eq!(report.map.voc2010, Some((1.0 + 2.0 / 3.0) / 2.0));
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn evaluate(scored: &Scored<'_>) -> Result<Report> {
    check(scored)?;
    let classes = (0..scored.classes.len())
        .into_par_iter()
        .map(|class| evaluate_class(scored, class))
        .collect::<Result<Vec<_>>>()?;
    let confusion = if scored.single_label {
        let Scored { ids, classes, labels, scores, .. } = *scored;
        Some(Confusion::new(ids, classes, labels, scores)?)
    } else {
        None
    };
    let with_positives = classes.iter().filter(|class| class.positives > 0).count();
    Ok(Report {
        split: scored.split.to_string(),
        images: scored.ids.len(),
        missing: (scored.scores.rows().into_iter())
            .filter(|row| !row.is_empty() && row.iter().all(|&score| score == f32::NEG_INFINITY))
            .count(),
        map: Map {
            voc2007: mean(classes.iter().filter_map(|class| class.ap_voc2007)),
            voc2010: mean(classes.iter().filter_map(|class| class.ap_voc2010)),
            average_precision: mean(classes.iter().filter_map(|class| class.average_precision)),
            classes: with_positives,
            classes_without_positives: classes.len() - with_positives,
        },
        accuracy: confusion.as_ref().and_then(Confusion::accuracy),
        confusion,
        classes,
        training_images: None,
    })
}

fn evaluate_class(scored: &Scored<'_>, class: usize) -> Result<ClassReport> {
    let labels: Vec<Label> = scored.labels.iter().map(|labels| labels[class]).collect();
    let ranking = Ranking::new(&scored.scores.column(class).to_vec(), &labels)?;
    let curve = Curve::new(&ranking);
    let equal_error = roc::equal_error(&ranking);
    Ok(ClassReport {
        class: scored.classes[class].clone(),
        ap_voc2007: average_precision::voc2007(&curve),
        ap_voc2010: average_precision::voc2010(&curve),
        average_precision: average_precision::uninterpolated(&ranking),
        roc_auc: roc::area(&ranking),
        equal_error_threshold: equal_error.map(|equal| equal.threshold),
        equal_error_rate: equal_error.map(|equal| equal.rate),
        positives: ranking.positives(),
        negatives: ranking.negatives(),
        ignored: ranking.ignored(),
        unscored: ranking.unscored(),
        tied: ranking.tied(),
        curve,
    })
}

fn check(scored: &Scored<'_>) -> Result<()> {
    let (images, classes) = (scored.ids.len(), scored.classes.len());
    let fits = |what, expected, got| {
        if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
    };
    fits("rows of the score matrix", images, scored.scores.nrows())?;
    fits("columns of the score matrix", classes, scored.scores.ncols())?;
    fits("images with labels", images, scored.labels.len())?;
    scored.labels.iter().try_for_each(|row| fits("labels of an image", classes, row.len()))?;
    match scored.scores.indexed_iter().find(|(_, score)| score.is_nan()) {
        Some(((image, class), _)) => {
            let (image, class) = (&scored.ids[image], &scored.classes[class]);
            let problem = format!("the score of image `{image}` for class `{class}` is NaN");
            Err(Error::Numerical { what: "evaluation", problem })
        }
        None => Ok(()),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
