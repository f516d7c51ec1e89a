//! What a run says of itself and of its data: which training images and words decided, which labels look
//! wrong, what is unlike the training images, and what is left when something is left out.

use std::fs;
use std::path::{Path, PathBuf};

use ::image::{Rgb, RgbImage};
use fvtool::check::{Check, CheckReport, check_data};
use fvtool::dataset::{Dataset, Params};
use fvtool::evaluation::leak::Without;
use fvtool::explain::{Only, Selection, WhyOptions};
use fvtool::explanation::Rule;
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;
use fvtool::report::PictureReport;
use fvtool::revise::{Changes, revise};

use crate::small_run::{copy_of, fixture, open};
use crate::support::put;

fn why(class: Option<&str>) -> WhyOptions {
    WhyOptions { class: class.map(str::to_owned), top: 3, rule: Rule::Absolute }
}

fn error<T: std::fmt::Debug>(outcome: fvtool::Result<T>) -> String {
    outcome.unwrap_err().to_string()
}

#[test]
fn a_score_is_what_the_training_images_add() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let data = &fixture().data;
    let split = run.stored_scores("test").unwrap();
    let id = &split.index.images[4].id;
    for class in [None, Some("wheel")] {
        let found = run.why(data, id, &why(class)).unwrap();
        assert!((found.sum + found.rest - found.score).abs() < 1e-5, "{found:?}");
        let whole = found.shown + found.not_shown + found.constant + found.rest;
        assert!((whole - found.score).abs() < 1e-5);
        let column = split.model.classes.iter().position(|c| *c == found.class).unwrap();
        assert!((found.score - f64::from(split.scores[[4, column]])).abs() < 1e-5);
        let sides = [&found.speaking_for, &found.speaking_against];
        for (side, sign) in sides.into_iter().zip([1.0, -1.0]) {
            assert!(!side.is_empty() && side.len() <= 3);
            let shares: Vec<f64> = side.iter().map(|share| sign * share.in_common).collect();
            assert!(shares.is_sorted_by(|a, b| a >= b) && shares[0] > 0.0, "{shares:?}");
            assert!(side.iter().all(|share| share.without.is_some()));
        }
        let page = fs::read_to_string(&found.page).unwrap();
        assert!(page.matches("data:image/jpeg;base64,").count() >= 2 + 4 * 2, "pairs of heatmaps");
    }
    // The file itself is a photograph like any other.
    let path = data.join(format!("JPEGImages/{id}.jpg"));
    let by_id = run.why(data, id, &why(Some("star"))).unwrap();
    let by_path = run.why(data, path.to_str().unwrap(), &why(Some("star"))).unwrap();
    assert!((by_id.score - by_path.score).abs() < 1e-4);
    assert!(error(run.why(data, "nowhere.jpg", &why(None))).contains("nowhere.jpg"));
    assert!(error(run.why(data, id, &why(Some("whel")))).contains("did you mean `wheel`"));
}

#[test]
fn a_training_image_that_is_left_out_is_not_remembered() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let split = run.stored_scores("train").unwrap();
    let id = &split.index.images[0].id;
    let class = (0..6).find(|&class| split.index.images[0].labels[class] == 1).unwrap();
    let found = run.why(&fixture().data, id, &why(Some(&split.model.classes[class]))).unwrap();
    let itself = found.speaking_for.iter().find(|share| share.id == *id).unwrap();
    assert!((itself.similarity - 1.0).abs() < 1e-5);
    assert!(itself.without.unwrap() < found.optimum - 0.1, "{itself:?}");
}

#[test]
fn words_add_up_to_the_score_and_are_shown() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let every = Selection { classes: vec![], images: vec![], only: Only::Present, top: 0 };
    let words = || run.explain_words(&fixture().data, "test", &every, Rule::Absolute).unwrap();
    let report = words();
    assert!(report.largest_error < 1e-5, "{}", report.largest_error);
    // Two of the classes may have no image among 18.
    assert!(report.classes.len() >= 4);
    for class in &report.classes {
        assert!((1..=5).contains(&class.words.len()));
        let strengths: Vec<f64> = class.words.iter().map(|word| word.relevance).collect();
        assert!(strengths.is_sorted_by(|a, b| a >= b) && strengths.iter().all(|&r| r > 0.0));
        for word in &class.words {
            let number: usize = word.word.parse().unwrap();
            assert!(number < 8 && word.share > 0.0 && word.share <= 1.0);
            assert!(word.inside.is_some_and(|inside| (0.0..=1.0).contains(&inside)));
            assert!(!word.patches.is_empty() && word.patches.len() <= 6);
            for patch in &word.patches {
                let [left, top, right, bottom] = patch.square;
                assert!(left < right && right <= 120 && top < bottom && bottom <= 96);
            }
        }
    }
    let page = fs::read_to_string(&report.page).unwrap();
    assert!(page.contains("data:image/jpeg") && !page.contains("http"));
    assert_eq!(words(), report);
    assert_eq!(fs::read_to_string(&report.page).unwrap(), page);
}

/// A picture that no other one is like.
fn picture(seed: u32, size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        let wave = ((x * (seed % 7 + 2)) ^ (y * (seed % 5 + 1))) + seed * 31 + x * y / (seed + 1);
        Rgb([(wave % 251) as u8, (wave * 3 % 241) as u8, (wave * 7 % 239) as u8])
    })
}

fn folder_with_faults(root: &Path) {
    let save = |path: &str, image: RgbImage| {
        put(root, path, []);
        image.save(root.join(path)).unwrap();
    };
    for (split, first) in [("train", 0), ("test", 100)] {
        for (class, offset) in [("a", 0), ("b", 50)] {
            for i in 0..12 {
                save(&format!("{split}/{class}/{i:02}.png"), picture(first + offset + i, 64));
            }
        }
    }
    // The same pixels in another file, of the other class, in the other split.
    save("test/b/copy.bmp", picture(3, 64));
    save("train/a/twice.png", picture(4, 64));
    save("train/a/grey.png", RgbImage::from_pixel(64, 64, Rgb([90; 3])));
    save("train/b/small.png", picture(77, 20));
    put(root, "test/a/broken.png", b"no picture");
}

fn ids(report: &CheckReport, check: Check) -> Vec<Vec<String>> {
    let names = |finding: &fvtool::check::Finding| {
        let mut ids: Vec<String> =
            finding.images.iter().map(|image| format!("{}:{}", image.split, image.id)).collect();
        ids.sort();
        ids
    };
    report.of(check).map(names).collect()
}

#[test]
fn pixels_alone_tell_of_copies_and_of_images_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    folder_with_faults(folder.path());
    let dataset = Dataset::open(folder.path(), &Params::default(), Seed(1)).unwrap();
    let report = check_data(&dataset, &[], &Default::default(), &Silent).unwrap();
    let one = |check: Check| -> Vec<String> {
        let found = ids(&report, check);
        assert_eq!(found.len(), 1, "{check:?}: {found:?}");
        found.into_iter().flatten().collect()
    };
    let ends = |found: Vec<String>, ends: &[&str]| {
        assert_eq!(found.len(), ends.len(), "{found:?}");
        let named = |end: &&&str| found.iter().any(|id| id.contains(**end));
        assert!(ends.iter().all(|end| named(&end)), "{found:?}");
    };
    ends(one(Check::Leak), &["copy", "03"]);
    ends(one(Check::Contradiction), &["copy", "03"]);
    ends(one(Check::ExactCopy), &["04", "twice"]);
    ends(one(Check::Blank), &["grey"]);
    ends(one(Check::Tiny), &["small"]);
    ends(one(Check::Unreadable), &["broken"]);
    assert!(report.of(Check::Imbalance).next().is_none());
    for finding in &report.findings {
        assert!((0.0..=1.0).contains(&finding.score) && !finding.summary.is_empty(), "{finding:?}");
        assert!(!finding.check.means().is_empty() && !finding.check.to_do().is_empty());
    }
    let other = check_data(&dataset, &["tset".into()], &Default::default(), &Silent);
    assert!(error(other).contains("did you mean `test`"));
}

#[test]
fn a_run_tells_of_near_copies_and_of_the_measures_without_them() {
    let (_held, root) = copy_of(&fixture().data);
    // A training image in another quality takes the place of one of the test images.
    let train = root.join("JPEGImages/000003.jpg");
    let image = ::image::open(&train).unwrap().to_rgb8();
    let mut bytes = Vec::new();
    let encoder = ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 55);
    image.write_with_encoder(encoder).unwrap();
    put(&root, "JPEGImages/000030.jpg", bytes);
    let folder = tempfile::tempdir().unwrap();
    let run = open(&folder.path().join("run"), &[]);
    run.run_all(&root, "train", "test").unwrap();
    let report = run.check(&root, &[]).unwrap();
    let near = ids(&report, Check::NearLeak);
    assert!(near.contains(&vec!["test:000030".into(), "train:000003".into()]), "{near:?}");
    let measures = &report.measures[0];
    assert!(measures.split == "test" && measures.copies >= 1);
    let Some(Without { images, .. }) = &measures.without else { panic!("{measures:?}") };
    assert_eq!(images + measures.copies, measures.with.images);
    let table = fs::read_to_string(report.table.as_ref().unwrap()).unwrap();
    assert!(table.starts_with("check,score,split,image,") && table.contains("near-leak,"));
    let held_out = fs::read_to_string(folder.path().join("run/check/held_out.csv")).unwrap();
    assert_eq!(held_out.lines().count(), 1 + 24 + 18);
}

fn revised(to: &Path, old: &Run<'_>, changes: &Changes) -> fvtool::Result<Run<'static>> {
    Run::open(to, &changes.options(old, Options::default()), &Silent)
}

#[test]
fn what_is_left_out_counts_no_more() {
    let (_held, run) = copy_of(&fixture().run);
    let old = open(&run, &[]);
    let data = &fixture().data;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("revised");
    let images = old.stored_scores("train").unwrap().index.images;
    let class = old.classifier().unwrap().classes[0].clone();
    let table = format!(
        "image,suggested\n{},not {class}\n{},{class}\n",
        images.iter().find(|image| image.labels[0] == 1).unwrap().id,
        images.iter().find(|image| image.labels[0] == -1).unwrap().id,
    );
    put(folder.path(), "fix.csv", table);
    let changes = Changes {
        words: vec!["2".into(), "5".into()],
        images: vec![images[1].id.clone()],
        corrections: Some(folder.path().join("fix.csv")),
        places: Vec::new(),
    };
    let new = revised(&to, &old, &changes).unwrap();
    let revision = revise([&old, &new], data, "test", false).unwrap();
    assert_eq!(revision.before.report.images, revision.after.report.images);
    assert!(revision.before.report != revision.after.report);
    let model = new.classifier().unwrap();
    // Two orders, eight components of 24 dimensions (`quick` appends none).
    let dim = model.dim() / 16;
    for (column, weights) in model.weights.columns().into_iter().enumerate() {
        let left_out = [2, 5].contains(&(column / dim % 8));
        assert_eq!(weights.iter().all(|&w| w == 0.0), left_out, "column {column}");
    }
    let duals = model.duals.as_ref().unwrap();
    assert!(duals.constants.column(1).iter().all(|&a| a == 0.0), "the image is left out");
    let [before, after] =
        [&old, &new].map(|run| run.classifier().unwrap().reports[0].positives as i64);
    // One more, one less, and perhaps the one that is left out.
    assert!((before - after).abs() <= 1, "{before} {after}");
    // The sum over training images is complete without the words, too.
    let why = new.why(data, &images[3].id, &why(None)).unwrap();
    assert!((why.sum + why.rest - why.score).abs() < 1e-5);

    for (changes, problem) in [
        (Changes { words: vec!["8".into()], ..Changes::default() }, "from 0 to 7"),
        (Changes { words: vec!["sift:1".into()], ..Changes::default() }, "as `17`"),
        (Changes { images: vec!["000099x".into()], ..Changes::default() }, "000099x"),
    ] {
        let to: PathBuf = folder.path().join("other");
        let outcome = revised(&to, &old, &changes)
            .and_then(|new| revise([&old, &new], data, "test", false).map(|_| ()));
        assert!(error(outcome).contains(problem), "{problem}");
        fs::remove_dir_all(&to).unwrap();
    }
}

#[test]
fn a_place_that_is_left_out_has_no_relevance() {
    let (_held, run) = copy_of(&fixture().run);
    let old = open(&run, &[]);
    let folder = tempfile::tempdir().unwrap();
    let changes = Changes { places: vec!["0,0.5,1,1".into()], ..Changes::default() };
    let new = revised(&folder.path().join("revised"), &old, &changes).unwrap();
    revise([&old, &new], &fixture().data, "test", false).unwrap();
    let describer = new.stored_describer().unwrap();
    let photo = fvtool::image::Photo::from(picture(9, 96));
    let parts = describer.examine(&photo, None, &mut Default::default()).unwrap();
    assert!(parts[0].frames.iter().all(|frame| frame.y < 48.0) && !parts[0].frames.is_empty());
}

#[test]
fn an_image_of_another_kind_is_unlike_the_training_images() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    assert!(run.usual().unwrap().is_known());
    let folder = tempfile::tempdir().unwrap();
    let slope = RgbImage::from_fn(120, 96, |x, _| Rgb([(2 * x) as u8; 3]));
    let slope_path = folder.path().join("slope.png");
    slope.save(&slope_path).unwrap();
    let train = fixture().data.join("JPEGImages/000005.jpg");
    let found = run.predict(&[slope_path, train]).unwrap();
    assert_eq!([found[0].unlike, found[1].unlike], [true, false]);
}

#[test]
fn a_page_shows_pictures_of_right_and_wrong() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let page = |explained| {
        let options = PictureReport { explained };
        let path = run.picture_report(&fixture().data, "test", options, "fvtool report").unwrap();
        fs::read_to_string(path).unwrap()
    };
    let (with, without) = (page(true), page(false));
    for page in [&with, &without] {
        assert!(page.starts_with("<!DOCTYPE html>") && page.len() < 5_000_000);
        assert!(page.contains("id=\"class-1\"") && page.contains("href=\"#class-1\""));
        assert!(page.contains("fvtool report") && page.contains("trained on"));
        assert!(page.matches("<img").count() >= 6);
        assert!(!page.contains("src=\"http"));
    }
    assert!(with.contains("which pixels of") && with.contains("Visual words"));
    assert!(!without.contains("which pixels of") && !without.contains("Visual words"));
}

#[test]
fn photographs_of_no_split_are_explained() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let photo = fixture().data.join("JPEGImages/000030.jpg");
    let said = run.predict(std::slice::from_ref(&photo)).unwrap().remove(0).outcome.unwrap();
    let best = said.iter().max_by(|a, b| a.score.total_cmp(&b.score)).unwrap();
    let draw = |classes: &[String]| {
        run.explain_photos(std::slice::from_ref(&photo), classes, Rule::Absolute)
    };
    let found = draw(&[]).unwrap();
    assert_eq!((found.len(), &found[0].class), (1, &best.class));
    assert!((found[0].score - f64::from(best.score)).abs() < 1e-5);
    assert!((found[0].relevance - found[0].score).abs() < 1e-4 * found[0].score.abs().max(1.0));
    assert_eq!(::image::open(&found[0].file).unwrap().width(), 3 * 120 + 12);
    let two = draw(&["star".into(), "wheel".into()]).unwrap();
    assert!(two.len() == 2 && two.iter().all(|map| map.file.is_file()));
    assert!(error(draw(&["whel".into()])).contains("wheel"));
}

#[test]
fn mistakes_are_images_that_are_taken_for_another_class() {
    let (_held, run) = copy_of(&fixture().run);
    let run = open(&run, &[]);
    let drawing = fvtool::explain::Drawing {
        rule: Rule::Absolute,
        shared_scale: false,
        raw: false,
        network: None,
    };
    let mistakes = Selection { classes: vec![], images: vec![], only: Only::Mistakes, top: 0 };
    let drawn = run.explain(&fixture().data, "test", &mistakes, &drawing).unwrap();
    let split = run.stored_scores("test").unwrap();
    let wrong = (0..split.index.images.len()).filter(|&image| {
        let row = split.scores.row(image);
        let best = (0..6).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        split.index.images[image].labels[best] == -1
    });
    assert_eq!(drawn.len(), wrong.count());
    assert!(drawn.iter().all(|map| map.label == -1));
}
