//! The folds of a run, one after the other.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde_json::json;

use super::options::{Models, Options};
use super::page::page;
use super::report::Report;
use crate::artifacts::{sealed, write_atomically};
use crate::dataset::{Folds, Label, Split, require_two_classes};
use crate::error::{Error, Result};
use crate::evaluation::bootstrap::{Resampling, Units};
use crate::evaluation::cross::{HeldOut, cross_validated};
use crate::evaluation::decision::record;
use crate::evaluation::{Decision, Scored};
use crate::linalg::{Chosen, Rows};
use crate::pipeline::Run;
use crate::words::counted;
use crate::{plain, svm};

/// The figures of a cross-validation, and the files that have them.
#[derive(Debug, Clone)]
pub struct Done {
    /// The figures.
    pub report: Report,
    /// The page for people.
    pub page: PathBuf,
    /// What was predicted for each image.
    pub predictions: PathBuf,
    /// Images that could not be used, and the file that lists them.
    pub skipped: (usize, PathBuf),
}

/// Cross-validates the settings of an open run.
///
/// # Errors
/// As [`Folds::new`] before any work; as the stages of a run.
pub fn cross_validate(run: &Run<'_>, data: &Path, options: &Options) -> Result<Done> {
    run.begin();
    Error::require(
        options.models == Models::EachFold || !run.learns(),
        "layer.joint",
        true,
        "false with --models once: a layer fitted once has seen the labels of all folds; cross-validate it \
         with --models each-fold",
    )?;
    let svm = &run.config().svm;
    for (key, is_set) in [
        ("svm.without_words", !svm.without_words.is_empty()),
        ("svm.without_images", !svm.without_images.is_empty()),
        ("svm.corrections", !svm.corrections.as_os_str().is_empty()),
    ] {
        // Each fold has words and images of its own.
        let range = "empty with --models each-fold; use --models once";
        Error::require(options.models == Models::Once || !is_set, key, "set", range)?;
    }
    let split = run.split_of(data, &options.split)?;
    require_two_classes(&split)?;
    let seed = run.config().seed;
    let folds: Vec<Folds> = (0..options.repeats)
        .map(|repeat| Folds::new(&split, options.folds, seed, repeat))
        .collect::<Result<_>>()?;
    run.note_few_images(&split);
    note_rare_classes(run, &split, options.folds);
    let (held_out, skipped) = match options.models {
        Models::Once => with_models_of_all(run, data, &split, &folds)?,
        Models::EachFold => with_models_of_each(run, data, &split, &folds)?,
    };
    let ids: Vec<String> = split.items.iter().map(|item| item.id.clone()).collect();
    let decision = run.config().evaluation.decision(split.single_label);
    let first = &held_out[0];
    let scored = Scored {
        split: &split.name,
        ids: &ids,
        classes: &split.classes,
        labels: &split.labels,
        scores: first.scores.view(),
        single_label: split.single_label,
        decision,
    };
    let units = Units::groups(split.items.iter().map(|item| item.group.as_deref()));
    let resamples = run.config().evaluation.resamples;
    let resampling = Resampling { units: &units, resamples, seed };
    let resampling = (resamples > 0).then_some(&resampling);
    let found = cross_validated(&scored, &held_out, resampling, run.progress())?;
    let fits = options.models == Models::Once && run.has_models();
    let unscored = |row: ndarray::ArrayView1<'_, f32>| row.iter().all(|s| *s == f32::NEG_INFINITY);
    let positives =
        |class: usize| split.labels.iter().filter(|labels| labels[class] == Label::Yes).count();
    let report = Report {
        split: split.name.clone(),
        images: ids.len(),
        missing: first.scores.rows().into_iter().filter(|row| unscored(*row)).count(),
        positives: (0..split.classes.len()).map(positives).collect(),
        classes: split.classes.clone(),
        folds_of_a_repeat: options.folds,
        repeats: options.repeats,
        groups: folds[0].groups,
        models: options.models,
        fitted_to: if fits { run.fitted_to()? } else { None },
        decision,
        single_label: split.single_label,
        data_files: split.files.clone(),
        found,
    };
    let [figures, page_path, predictions] = run.paths_of_cross_validation(&split.name);
    let write =
        |path: &Path, text: &str| write_atomically(path, |file| file.write_all(text.as_bytes()));
    write(&predictions, &table(&split, &held_out, decision))?;
    write(&page_path, &page(&report, &run.config().to_toml()))?;
    write(&figures, &sealed(&json!(report)))?;
    Ok(Done { report, page: page_path, predictions, skipped })
}

/// Says which classes have fewer images than there are folds.
fn note_rare_classes(run: &Run<'_>, split: &Split, folds: usize) {
    for (class, name) in split.classes.iter().enumerate() {
        let shown = split.labels.iter().filter(|labels| labels[class] == Label::Yes).count();
        if shown < folds {
            run.progress().note(&format!(
                "class `{}` has {} for {folds} folds: folds without one are not in its figures",
                plain::line(name),
                counted(shown, "image")
            ));
        }
    }
}

/// Classifiers on vectors that are made once.
fn with_models_of_all(
    run: &Run<'_>,
    data: &Path,
    split: &Split,
    folds: &[Folds],
) -> Result<(Vec<HeldOut>, (usize, PathBuf))> {
    run.models_for(data, split)?;
    let encoded = run.encode_split(split)?;
    let index = run.index(&split.name)?;
    // What the classifier is trained without counts for no fold; held-out images are judged by their labels.
    let (vectors, labels) = (run.training_vectors(&index)?, run.training_labels(&index)?);
    // Where each image of the split is among the vectors; none for one that could not be used.
    let rows: std::collections::BTreeMap<&str, usize> =
        index.images.iter().enumerate().map(|(row, image)| (image.id.as_str(), row)).collect();
    let row = |image: &usize| rows.get(split.items[*image].id.as_str()).map(|&row| (*image, row));
    let (config, progress) = (run.config(), run.progress());
    let held_out = folds.iter().enumerate().map(|(repeat, folds)| {
        let mut scores = empty_scores(split);
        for fold in 0..folds.count {
            run.go_on()?;
            let (tested, trained) = folds.held_out(fold);
            let trained: Vec<(usize, usize)> = trained.iter().filter_map(row).collect();
            let tested: Vec<(usize, usize)> = tested.iter().filter_map(row).collect();
            progress.summary(
                &title(repeat, fold, folds.count),
                &format!("{} to learn from, {} held out", trained.len(), tested.len()),
            );
            let labels: Vec<Vec<Label>> =
                trained.iter().map(|&(_, row)| labels[row].clone()).collect();
            let of_rows = |of: &[(usize, usize)]| {
                Chosen::new(&vectors as &dyn Rows, of.iter().map(|&(_, row)| row).collect())
            };
            let (classes, params) = (&split.classes, config.svm.of_rows());
            let model =
                svm::train(&of_rows(&trained), &labels, classes, &params, config.seed, progress)?;
            let found = model.scores(&of_rows(&tested))?;
            for (&(image, _), row) in tested.iter().zip(found.rows()) {
                scores.row_mut(image).assign(&row);
            }
        }
        Ok(HeldOut { folds: folds.count, of_image: folds.of_image.clone(), scores })
    });
    let held_out = held_out.collect::<Result<_>>()?;
    Ok((held_out, (encoded.skipped, encoded.stamp.path)))
}

/// A run of its own for each fold.
fn with_models_of_each(
    run: &Run<'_>,
    data: &Path,
    split: &Split,
    folds: &[Folds],
) -> Result<(Vec<HeldOut>, (usize, PathBuf))> {
    let mut skipped = (0, run.dir().to_owned());
    let held_out = folds.iter().enumerate().map(|(repeat, folds)| {
        let mut scores = empty_scores(split);
        for fold in 0..folds.count {
            run.go_on()?;
            let (tested, trained) = folds.held_out(fold);
            run.progress().summary(
                &title(repeat, fold, folds.count),
                &format!("{} to learn from, {} held out", trained.len(), tested.len()),
            );
            let of_fold = run.of_fold(&split.name, repeat, fold, folds.count)?;
            let [train, test] = [("train", &trained), ("held-out", &tested)]
                .map(|(name, images)| part(split, name, images));
            let (found, encoded) = of_fold.train_and_score(data, &train, &test)?;
            if encoded.skipped > 0 {
                skipped = (skipped.0 + encoded.skipped, encoded.stamp.path);
            }
            for (&image, row) in tested.iter().zip(found.rows()) {
                scores.row_mut(image).assign(&row);
            }
        }
        Ok(HeldOut { folds: folds.count, of_image: folds.of_image.clone(), scores })
    });
    let held_out = held_out.collect::<Result<_>>()?;
    Ok((held_out, skipped))
}

fn title(repeat: usize, fold: usize, folds: usize) -> String {
    let repeat = if repeat == 0 { String::new() } else { format!(" of repeat {}", repeat + 1) };
    format!("fold {}/{folds}{repeat}", fold + 1)
}

fn empty_scores(split: &Split) -> Array2<f32> {
    Array2::from_elem((split.items.len(), split.classes.len()), f32::NEG_INFINITY)
}

/// The given images of a split as a split of another name.
fn part(split: &Split, name: &str, images: &[usize]) -> Split {
    Split {
        name: name.to_owned(),
        items: images.iter().map(|&image| split.items[image].clone()).collect(),
        labels: images.iter().map(|&image| split.labels[image].clone()).collect(),
        notes: Vec::new(),
        ..split.clone()
    }
}

/// For each repeat and image: its fold, true and predicted classes, then the score of every class.
fn table(split: &Split, repeats: &[HeldOut], decision: Decision) -> String {
    let mut text = String::new();
    let header = ["repeat", "fold", "path", "true", "predicted"].into_iter();
    plain::push_record(&mut text, header.chain(split.classes.iter().map(String::as_str)));
    for (repeat, held_out) in repeats.iter().enumerate() {
        for (i, item) in split.items.iter().enumerate() {
            let scores = held_out.scores.row(i);
            let Some(said) = record(&split.classes, &split.labels[i], scores, decision) else {
                continue;
            };
            let path = item.path.strip_prefix(&split.root).unwrap_or(&item.path);
            let fields = [
                (repeat + 1).to_string(),
                (held_out.of_image[i] + 1).to_string(),
                path.to_string_lossy().into_owned(),
            ];
            let fields: Vec<String> = fields.into_iter().chain(said).collect();
            plain::push_record(&mut text, fields.iter().map(String::as_str));
        }
    }
    text
}
