//! All measures of the scores of a split.

use rayon::prelude::*;

use super::confusion::Confusion;
use super::curve::Curve;
use super::figures::{ClassFigures, Judged};
use super::ranking::Ranking;
use super::report::{ClassReport, Map, Report};
use super::roc;
use super::scored::Scored;
use crate::Result;
use crate::dataset::Label;

/// Evaluates the scores of a split.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) when the parts do not fit, [`Error::Numerical`](crate::Error::Numerical) when a score is NaN or, for
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
///     decision: fvtool::evaluation::Decision::ScoreAbove(0.2),
/// })?;
/// // Precision 1 at recall ½, 2/3 at recall 1.
/// assert_eq!(report.map.voc2010, Some((1.0 + 2.0 / 3.0) / 2.0));
/// // Two images are said to show a horse, one of them rightly; another is missed.
/// assert_eq!((report.classes[0].precision, report.classes[0].recall), (Some(0.5), Some(0.5)));
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn evaluate(scored: &Scored<'_>) -> Result<Report> {
    let figures = Judged::new(scored)?.figures(&vec![1; scored.ids.len()]);
    let classes = (0..scored.classes.len())
        .into_par_iter()
        .map(|class| evaluate_class(scored, class, &figures.classes[class]))
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
            voc2007: figures.map_voc2007,
            voc2010: figures.map_voc2010,
            average_precision: figures.map_plain,
            classes: with_positives,
            classes_without_positives: classes.len() - with_positives,
        },
        accuracy: confusion.as_ref().and_then(Confusion::accuracy),
        confusion,
        decision: scored.decision,
        f1: figures.f1,
        classes,
        intervals: None,
        training_images: None,
    })
}

fn evaluate_class(
    scored: &Scored<'_>,
    class: usize,
    figures: &ClassFigures<f64>,
) -> Result<ClassReport> {
    let labels: Vec<Label> = scored.labels.iter().map(|labels| labels[class]).collect();
    let ranking = Ranking::new(&scored.scores.column(class).to_vec(), &labels)?;
    let curve = Curve::new(&ranking);
    let equal_error = roc::equal_error(&ranking);
    Ok(ClassReport {
        class: scored.classes[class].clone(),
        ap_voc2007: figures.ap_voc2007,
        ap_voc2010: figures.ap_voc2010,
        average_precision: figures.average_precision,
        roc_auc: figures.roc_auc,
        precision: figures.precision,
        recall: figures.recall,
        f1: figures.f1,
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
