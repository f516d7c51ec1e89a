//! Explanations of a run: heatmaps, context, quality, and the audit that must find the planted tag.

use std::fs;
use std::path::Path;

use fvtool::dataset::synthetic::{CLASSES, Generator, LEAF, STAR, Synthetic};
use fvtool::explain::{Audit, AuditOptions, Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::explanation::audit::{Finding, Kind, LEAST_IMAGES};
use fvtool::explanation::quality::Params;
use fvtool::pipeline;
use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::random::Seed;

use crate::small_run::{copy_of, fixture, open};
use crate::support::files_below;

const DRAWING: Drawing =
    Drawing { rule: Rule::Absolute, shared_scale: false, raw: false, network: None };

fn all(only: Only) -> Selection {
    Selection { classes: vec![], images: vec![], only, top: 0 }
}

#[test]
fn heatmaps_are_drawn_for_what_is_selected() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let draw = |selection: &Selection| run.explain(&fixture().data, "test", selection, &DRAWING);
    let present = draw(&all(Only::Present)).unwrap();
    assert!(present.len() >= 18 && present.iter().all(|h| h.label == 1));
    for map in &present {
        assert!(map.residual.abs() <= 1e-4 * map.score.abs(), "{map:?}");
        assert!(map.residual_pixels.abs() <= 1e-6 * map.score.abs().max(1.0), "{map:?}");
        assert!(map.mu_positive.is_none_or(|mu| mu >= 0.0));
        let picture = ::image::open(&map.file).unwrap();
        assert_eq!((picture.width(), picture.height()), (3 * 120 + 12, 96));
    }
    let every = draw(&all(Only::All)).unwrap();
    assert_eq!(every.len(), 18 * CLASSES.len());
    let best =
        draw(&Selection { classes: vec!["star".into(), "wheel".into()], top: 2, ..all(Only::All) })
            .unwrap();
    assert_eq!(best.len(), 4);
    for class in ["star", "wheel"] {
        let mut scores: Vec<f64> =
            every.iter().filter(|h| h.class == class).map(|h| h.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let chosen = best.iter().filter(|h| h.class == class);
        assert!(chosen.clone().all(|h| h.score >= scores[1] - 1e-6), "{class}");
    }
    for (only, label, positive) in [
        (Only::TruePositives, 1, true),
        (Only::FalsePositives, -1, true),
        (Only::FalseNegatives, 1, false),
    ] {
        let some = draw(&all(only)).unwrap();
        assert!(some.iter().all(|h| h.label == label && (h.score > 0.0) == positive), "{only:?}");
    }
    let one = Selection { images: vec![present[0].id.clone()], ..all(Only::All) };
    assert!(draw(&one).unwrap().iter().all(|h| h.id == present[0].id));
}

#[test]
fn a_shared_scale_and_raw_relevance_are_given_when_asked_for() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let selection = Selection { classes: vec!["wheel".into()], ..all(Only::All) };
    let drawing = Drawing { shared_scale: true, raw: true, ..DRAWING };
    let heatmaps = run.explain(&fixture().data, "test", &selection, &drawing).unwrap();
    let scale = heatmaps[0].strongest;
    assert!(heatmaps.iter().all(|h| h.strongest == scale));
    let mut largest = 0.0f64;
    for map in &heatmaps {
        let path = map.file.with_extension("safetensors");
        let artifact = fvtool::artifacts::Artifact::open_verified(&path, "relevance").unwrap();
        let pixels = artifact.matrix("pixels").unwrap();
        assert_eq!(pixels.dim(), (96, 120));
        let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
        for name in ["dimensions", "descriptors"] {
            let off = sum(artifact.f32(name).unwrap().1) - map.score;
            assert!(off.abs() < 1e-4 * map.score.abs().max(1.0), "{name}: {off:e}");
        }
        largest = pixels.iter().fold(largest, |a, v| a.max(f64::from(v.abs())));
    }
    assert!((largest - scale).abs() < 1e-6 * scale);
}

#[test]
fn what_cannot_be_explained_is_named() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let explain = |selection: Selection| {
        run.explain(&fixture().data, "test", &selection, &DRAWING).unwrap_err().to_string()
    };
    let problem = explain(Selection { classes: vec!["horse".into()], ..all(Only::All) });
    assert!(problem.contains("horse") && problem.contains("wheel"), "{problem}");
    let problem = explain(Selection { images: vec!["nobody".into()], ..all(Only::All) });
    assert!(problem.starts_with("image `nobody`: not in split `test`"), "{problem}");
}

#[test]
fn context_is_measured_for_every_class() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let selection = all(Only::Present);
    let report = run.explain_context(&fixture().data, "test", &selection, Rule::PUBLISHED).unwrap();
    let folder = run.dir().join("explain/test");
    let table = fs::read_to_string(&report.table).unwrap();
    let measured: usize = report.classes.iter().map(|c| c.mu.count).sum();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("id,class,score") && rows.len() > measured);
    for class in &report.classes {
        assert!(class.mu_positive.mean >= 0.0 && class.positive_inside.mean <= 1.0);
        let picture = folder.join("average").join(format!("{}.png", class.class));
        assert_eq!(::image::open(picture).unwrap().width(), 384);
    }
    let chart = fs::read_to_string(report.chart).unwrap();
    roxmltree::Document::parse(&chart).unwrap();
}

#[test]
fn relevant_descriptors_matter_more_than_random_ones() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let params = Params { batch: 20, most: 200, repeats: 2 };
    let selection = Selection { top: 2, ..all(Only::Present) };
    let measure = || {
        run.explain_quality(&fixture().data, "test", &selection, Rule::PUBLISHED, &params).unwrap()
    };
    let report = measure();
    assert!(!report.classes.is_empty());
    let every = run.explain(&fixture().data, "test", &all(Only::Present), &DRAWING).unwrap();
    for class in &report.classes {
        // The highest scored two, as far as they are above the threshold.
        let mut scores: Vec<f64> =
            every.iter().filter(|h| h.class == class.class).map(|h| h.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        let start = scores[..class.images].iter().sum::<f64>() / class.images as f64;
        assert!((class.scores[0][0] - start).abs() < 1e-4, "{}", class.class);
        let [down, random, up] = class.area;
        assert!(down > random && random > up, "{}: {:?}", class.class, class.area);
        assert!(class.scores.iter().all(|curve| curve.len() == 11));
    }
    let stored = fs::read_to_string(&report.path).unwrap();
    assert_eq!(measure(), report);
    assert_eq!(fs::read_to_string(&report.path).unwrap(), stored);
}

fn audited(folder: &Path, planted: bool) -> Audit {
    let (data, run) = (folder.join("data"), folder.join("run"));
    let params = Synthetic { plant_tag: planted, plant_stamp: planted, ..Synthetic::default() };
    pipeline::demo::write_data(&data, &params, Seed(1), &Silent).unwrap();
    let run = open(&run, &["gmm.components=32", "sample.rows=10000", "descriptors.step_px=4"]);
    run.run_all(&data, "train", "test").unwrap();
    run.audit(&data, "test", &AuditOptions::of_all_classes(Rule::PUBLISHED)).unwrap()
}

#[test]
fn the_audit_finds_what_is_planted_and_nothing_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let with = audited(folder.path(), true);
    let found = with.findings.iter().find_map(|f| match &f.kind {
        Kind::Place(place) if f.class == CLASSES[STAR] => Some((f, place)),
        _ => None,
    });
    let Some((found, place)) = found else { panic!("{:#?}", with.findings) };
    assert_eq!(place.name, "the bottom left corner");
    let generator = Generator::new(&Synthetic::default(), Seed(1)).unwrap();
    let [left, top, right, bottom] = generator.tag_bounds().map(|edge| edge as f32);
    let middle = Position::at((left + right) / 2.0 / 240.0, (top + bottom) / 2.0 / 180.0);
    assert!(place.holds(middle), "{place:?}");
    let of_words = |f: &&Finding| matches!(f.kind, Kind::Words { .. });
    let stamp = with.findings.iter().filter(of_words).find(|f| f.class == CLASSES[LEAF]);
    assert!(stamp.is_some(), "{:#?}", with.findings);
    // Every statement says how many images it rests on, all of them recognised.
    for found in &with.findings {
        assert!(found.looked_at >= LEAST_IMAGES && found.effect.images >= LEAST_IMAGES);
        assert!(found.effect.score > 0.0, "{found:?}");
        for images in [found.looked_at, found.effect.images] {
            assert!(found.sentence.contains(&format!(" {images} ")), "{}", found.sentence);
        }
    }
    let heatmaps = files_below(&with.heatmaps.join("star"));
    for id in &found.images {
        assert!(heatmaps.contains_key(&format!("{id}.png")), "{id}");
    }

    let folder = tempfile::tempdir().unwrap();
    let without = audited(folder.path(), false);
    let artefact = |f: &&Finding| !matches!(f.kind, Kind::Context { .. });
    let places: Vec<_> = without.findings.iter().filter(artefact).collect();
    assert!(places.is_empty(), "{places:#?}");
}
