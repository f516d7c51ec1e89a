//! Context ratios and average heatmaps of both runs, as `fvtool explain --context` left them.

use super::report::{ContextRatio, median};
use super::sides::{NAMES, Side};
use crate::explain::StoredContext;
use crate::explanation::drawings::{BarPair, bar_pairs};
use crate::plain;

/// The context of one run, or why there is none and what makes it.
pub(super) type Stored = Result<StoredContext, String>;

/// Reads the context of a run.
pub(super) fn read(side: &Side<'_, '_>) -> Stored {
    let (split, dir) = (&side.index.split, side.run.dir().display());
    let found =
        side.run.stored_context(split, &side.model.classes, |origin| side.is_origin(origin));
    found.map_err(|why| {
        format!(
            "no context ratios of split `{split}` in {dir}: {why}; `fvtool explain --context --data DATA \
             --split {split} --run {dir}` makes them, for images with boxes (PASCAL VOC annotations)"
        )
    })
}

/// The ratios of a class in one run.
pub(super) fn ratio(stored: &Stored, class: &str) -> Option<ContextRatio> {
    let classes = &stored.as_ref().ok()?.report.classes;
    let found = classes.iter().find(|context| context.class == class)?;
    Some(ContextRatio { mu: found.mu, mu_positive: found.mu_positive })
}

/// The average heatmap of a class in one run, as PNG, and of how many images it is.
pub(super) fn average<'s>(stored: &'s Stored, class: &str) -> Option<(&'s [u8], usize)> {
    let StoredContext { report, averages } = stored.as_ref().ok()?;
    let at = report.classes.iter().position(|context| context.class == class)?;
    Some((averages[at].as_deref()?, report.classes[at].averaged))
}

/// What keeps ratios from being compared.
pub(super) fn remarks(stored: [&Stored; 2], classes: &[String]) -> Vec<String> {
    let mut remarks: Vec<String> =
        stored.iter().filter_map(|stored| stored.as_ref().err().cloned()).collect();
    if let [Ok(a), Ok(b)] = stored {
        let rules = [&a.report.rule, &b.report.rule];
        if rules[0] != rules[1] {
            remarks.push(format!(
                "the context ratios are by different rules of relevance ({} in A, {} in B): compare classes \
                 within a run, not a ratio of A with one of B",
                rules[0], rules[1]
            ));
        }
        // Those with boxes that say something, whatever their ratio.
        let count = |side: usize, class: &str| {
            let classes = &[a, b][side].report.classes;
            let found = classes.iter().find(|context| context.class == class);
            found.map_or(0, |context| context.inside_pixels.count)
        };
        if let Some(class) = classes.iter().find(|class| count(0, class) != count(1, class)) {
            remarks.push(format!(
                "the context ratios are of different numbers of images (first: class `{class}`, {} in A, {} in \
                 B); measure both runs with the same options of `fvtool explain --context`",
                count(0, class),
                count(1, class)
            ));
        }
    }
    remarks
}

/// The ratios of both runs as a drawing (figure 6 of LRP-FV); `None` where there is none.
pub(super) fn drawing(
    split: &str,
    ratios: impl Iterator<Item = (String, [Option<ContextRatio>; 2])>,
    stored: [&Stored; 2],
) -> Option<String> {
    let pair = |(class, ratios): (String, [Option<ContextRatio>; 2])| {
        let lengths = ratios.map(|ratio| ratio.and_then(|ratio| median(&ratio.mu_positive)));
        let name = plain::line(&class).into_owned();
        lengths.iter().any(Option::is_some).then_some(BarPair { name, lengths })
    };
    let pairs: Vec<BarPair> = ratios.filter_map(pair).collect();
    let legend = [0, 1].map(|side| match stored[side] {
        Ok(stored) => format!("{}: rule {}", NAMES[side], plain::line(&stored.report.rule)),
        Err(_) => format!("{}: not measured", NAMES[side]),
    });
    let title = format!("relevance outside / inside the boxes, {}", plain::line(split));
    let note = "median of μ⁺; 1: no more inside than outside";
    (!pairs.is_empty()).then(|| bar_pairs(&title, note, [&legend[0], &legend[1]], &pairs))
}
