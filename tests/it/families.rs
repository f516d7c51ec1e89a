//! A run of every family of models, from images to predictions; what cannot be explained, and what is refused.

use std::fs;

use fvtool::artifacts::Artifact;
use fvtool::explain::{AuditOptions, Drawing, Only, Selection};
use fvtool::explanation::Rule;
use fvtool::pipeline::Run;
use fvtool::progress::Silent;
use tempfile::TempDir;

use crate::cli::{assert_quietly_done, fvtool};
use crate::small_run::{fixture, open, options, refusal};

const DRAWING: Drawing =
    Drawing { rule: Rule::Absolute, shared_scale: false, raw: false, network: None };

/// Values of a vector of the small run: 8 components (or 15 units and the bias) of 24 dimensions.
const FAMILIES: [(&str, &[&str], usize); 4] = [
    ("laplace", &["encoding.regions=['1x1', '2x1']"], 3 * 2 * 8 * 24),
    ("factor-analysers", &["gmm.factors=3"], 2 * 8 * 24),
    ("factor-analysers", &["gmm.factors=2", "encoding.orders=[0, 2, 3]"], 8 * (1 + 24 + 48)),
    ("vae", &["gmm.factors=4", "gmm.hidden=15"], 16 * 24),
];

fn selection() -> Selection {
    Selection { classes: vec!["wheel".into()], images: vec![], only: Only::All, top: 3 }
}

#[test]
fn every_family_goes_from_images_to_predictions() {
    for (family, settings, len) in FAMILIES {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run");
        let own = format!("gmm.family={family}");
        let overrides = [settings, &[&own, "gmm.max_iterations=4"]].concat();
        let run = open(&path, &overrides);
        let (_, evaluated) = run.run_all(&fixture().data, "train", "test").unwrap();
        // Six classes of which a sixth or more are positive: mAP of chance is about 0.3.
        let map = evaluated.report.map.average_precision.unwrap();
        assert!(map > 0.4, "{family}: {map}");
        let (vectors, _) = run.stored_vectors("test").unwrap();
        assert_eq!(vectors.ncols(), len, "{family}");
        // The models are read back as they were: an image gets the stored vector.
        let artifact = Artifact::open(&path.join("gmm.safetensors")).unwrap();
        assert_eq!(artifact.header().report["family"], family);
        drop(run);
        let image = fixture().data.join("JPEGImages/000025.jpg");
        let (path, image) = (path.to_str().unwrap(), image.to_str().unwrap());
        let said = fvtool(&["predict", "--run", path, "--csv", "-q", image]);
        assert_quietly_done(&said);
        let scores = fs::read_to_string(folder.path().join("run/scores/test.csv")).unwrap();
        let stored = scores.lines().find(|line| line.starts_with("000025,")).unwrap();
        let first: f64 = stored.split(',').nth(1).unwrap().parse().unwrap();
        let printed = said.out.lines().nth(1).unwrap().split(',');
        assert!(
            printed.filter_map(|field| field.parse::<f64>().ok()).any(|s| (s - first).abs() < 1e-5),
            "{family}: {} {stored}",
            said.out
        );
        explained(family, path);
        // Whoever opens it again makes nothing again.
        let (_, again) = open(folder.path().join("run").as_path(), &overrides)
            .run_all(&fixture().data, "train", "test")
            .unwrap();
        assert!(!again.made, "{family}");
    }
}

/// Heatmaps whose relevance adds up to the score, a test of them by draws, an audit; refused for a vae.
fn explained(family: &str, path: &str) {
    let run = Run::open_to_read(path.as_ref(), None, &Silent);
    let run = run.unwrap();
    if family == "vae" {
        assert!(run.require_explainable().is_err());
        drop(run);
        for command in ["explain", "audit"] {
            let data = fixture().data.to_str().unwrap();
            let said = fvtool(&[command, "--data", data, "--split", "test", "--run", path]);
            assert_eq!(said.code, 1, "{}", said.err);
            for words in ["gmm.family", "vae", "laplace"] {
                assert!(said.err.contains(words), "{command}: {}", said.err);
            }
        }
        return;
    }
    drop(run);
    let run = Run::open(path.as_ref(), &Default::default(), &Silent).unwrap();
    let maps = run.explain(&fixture().data, "test", &selection(), &DRAWING).unwrap();
    assert_eq!(maps.len(), 3);
    for map in &maps {
        assert!(map.residual.abs() <= 1e-4 * map.score.abs().max(0.1), "{family}: {map:?}");
    }
    let quality = fvtool::explanation::quality::Params { batch: 30, most: 90, repeats: 2 };
    let rule = Rule::Absolute;
    let of_all = Selection { classes: vec![], only: Only::TruePositives, ..selection() };
    let tested = run.explain_quality(&fixture().data, "test", &of_all, rule, &quality).unwrap();
    assert!(!tested.classes.is_empty(), "{family}");
    run.audit(&fixture().data, "test", &AuditOptions::of_all_classes(rule)).unwrap();
}

#[test]
fn settings_that_fit_no_family_are_refused_before_any_work() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    for (settings, words) in [
        (&["gmm.family=factor-analysers", "gmm.factors=24"][..], ["gmm.factors", "24 values"]),
        (&["gmm.family=vae", "gmm.factors=30"], ["gmm.factors", "24 values"]),
        (&["encoding.orders=[1, 3]"], ["encoding.orders", "factor-analysers"]),
        (&["gmm.family=laplace", "encoding.orders=[3]"], ["encoding.orders", "laplace"]),
        (&["gmm.family=gausian"], ["gmm.family", "gaussian"]),
    ] {
        let text = refusal(Run::open(&run, &options(settings), &Silent));
        assert!(words.iter().all(|word| text.contains(word)), "{settings:?}: {text}");
        assert!(!run.join("gmm.safetensors").exists());
    }
}
