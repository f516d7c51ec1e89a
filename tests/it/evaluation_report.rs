//! Text forms of scores and reports there and back; drawings and pages that parse and escape.

#![allow(clippy::unwrap_used)] // clippy knows tests, but not their helpers

use fvtool::dataset::Label::{self, Ignored, No, Yes};
use fvtool::evaluation::curve::Curve;
use fvtool::evaluation::ranking::Ranking;
use fvtool::evaluation::{Decision, Report, Scored, Scores, evaluate, html, svg, voc_results};
use fvtool::random::Seed;
use ndarray::{Array2, array};
use proptest::prelude::*;

use crate::tables;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn score() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("a score is a number", |s| !s.is_nan())
}

/// Names with everything a table can stumble over.
fn table() -> impl Strategy<Value = Scores> {
    let name = "[a-c,\"\n\r' ;é<&]{0,5}";
    (prop::collection::btree_set(name, 0..4), prop::collection::btree_set(name, 0..6))
        .prop_flat_map(|(classes, ids)| {
            let cells = ids.len() * classes.len();
            prop::collection::vec(score(), cells).prop_map(move |values| Scores {
                ids: ids.iter().cloned().collect(),
                classes: classes.iter().cloned().collect(),
                values: Array2::from_shape_vec((ids.len(), classes.len()), values).unwrap(),
            })
        })
}

fn same_bits(a: &Scores, b: &Scores) -> bool {
    let bits = |s: &Scores| s.values.mapv(f32::to_bits);
    (&a.ids, &a.classes, bits(a)) == (&b.ids, &b.classes, bits(b))
}

proptest! {
    #[test]
    fn score_tables_read_back_as_written(scores in table()) {
        let text = scores.to_csv();
        prop_assert!(same_bits(&tables::scores(&text), &scores), "{}", text);
    }

    #[test]
    fn result_files_read_back_as_written(
        scored in prop::collection::btree_map("[^\\s]{1,8}", score(), 0..20),
    ) {
        let scored = scored.into_iter().filter(|(id, _)| voc_results::can_hold(id));
        let (ids, scores): (Vec<String>, Vec<f32>) = scored.unzip();
        let text = voc_results::write(&ids, &scores).unwrap();
        let back = tables::results(&text);
        prop_assert_eq!(back.len(), ids.len());
        for ((id, score), (expected_id, expected)) in back.iter().zip(ids.iter().zip(&scores)) {
            prop_assert_eq!((id, score.to_bits()), (expected_id, expected.to_bits()));
        }
    }
}

#[test]
fn result_files_hold_no_white_space_and_no_nan() {
    let refused =
        |id: &str, score| voc_results::write(&names(&[id]), &[score]).unwrap_err().to_string();
    assert!(refused("my image", 1.0).contains("image `my image` is empty or has white space"));
    assert!(refused("a\u{1b}[31m", 1.0).contains("control characters"));
    assert!(refused("", 1.0).contains("scores.csv"));
    assert!(refused("a", f32::NAN).contains("image `a` has the score NaN"));
    assert!(voc_results::write(&names(&["a"]), &[]).is_err());
    let files = |split: &str, classes: &[&str]| voc_results::file_names(split, &names(classes));
    assert_eq!(files("test", &["horse"]), ["comp1_cls_test_horse.txt"]);
    // No two pairs of split and class have one file.
    assert_eq!(files("a", &["b_c"]), ["comp1_cls_a_b_c.txt"]);
    assert_eq!(files("a_b", &["c"]), ["comp1_cls_a%5Fb_c.txt"]);
    assert_eq!(files("t", &["a\\b", "a_b"]), ["comp1_cls_t_a%5Cb.txt", "comp1_cls_t_a_b.txt"]);
}

/// A report of random scores.
fn random_report(images: usize, classes: &[String], single_label: bool) -> Report {
    let mut stream = Seed(5).stream("report", images as u64);
    let ids: Vec<String> = (0..images).map(|i| format!("{i:06}")).collect();
    let mut scores =
        Array2::from_shape_simple_fn((images, classes.len()), || stream.normal() as f32);
    let labels: Vec<Vec<Label>> = (0..images)
        .map(|i| {
            let truth = i % classes.len();
            scores[[i, truth]] += 1.0;
            (0..classes.len()).map(|class| if class == truth { Yes } else { No }).collect()
        })
        .collect();
    let scored = Scored {
        split: "test",
        ids: &ids,
        classes,
        labels: &labels,
        scores: scores.view(),
        single_label,
        decision: fvtool::evaluation::Params::default().decision(single_label),
    };
    evaluate(&scored).unwrap()
}

fn tiny(single_label: bool) -> Report {
    evaluate(&Scored {
        split: "val",
        ids: &names(&["p", "q", "r"]),
        classes: &names(&["cat", "dog"]),
        labels: &[vec![Yes, No], vec![No, Yes], vec![Yes, if single_label { No } else { Ignored }]],
        scores: array![[0.75_f32, -1.0], [0.5, -2.0], [0.25, 1.0]].view(),
        single_label,
        decision: fvtool::evaluation::Params::default().decision(single_label),
    })
    .unwrap()
}

#[test]
fn the_json_of_a_report_keeps_its_shape() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&tiny(true)).unwrap(), @r#"
    {
      "split": "val",
      "images": 3,
      "missing": 0,
      "map": {
        "voc2007": 0.5909090909090908,
        "voc2010": 0.5833333333333333,
        "average_precision": 0.5833333333333333,
        "classes": 2,
        "classes_without_positives": 0
      },
      "accuracy": {
        "overall": 0.3333333333333333,
        "mean_class": 0.25
      },
      "confusion": {
        "classes": [
          "cat",
          "dog"
        ],
        "counts": [
          [
            1,
            1
          ],
          [
            1,
            0
          ]
        ],
        "without_prediction": [
          0,
          0
        ],
        "tied": 0
      },
      "decision": "best-class",
      "f1": 0.25,
      "classes": [
        {
          "class": "cat",
          "ap_voc2007": 0.8484848484848484,
          "ap_voc2010": 0.8333333333333333,
          "average_precision": 0.8333333333333333,
          "roc_auc": 0.5,
          "precision": 0.5,
          "recall": 0.5,
          "f1": 0.5,
          "equal_error_threshold": 0.75,
          "equal_error_rate": 0.25,
          "positives": 2,
          "negatives": 1,
          "ignored": 0,
          "unscored": 0,
          "tied": 0,
          "curve": {
            "positive_ranks": [
              1,
              3
            ],
            "ties": [],
            "judged": 3
          }
        },
        {
          "class": "dog",
          "ap_voc2007": 0.33333333333333337,
          "ap_voc2010": 0.3333333333333333,
          "average_precision": 0.3333333333333333,
          "roc_auc": 0.0,
          "precision": 0.0,
          "recall": 0.0,
          "f1": 0.0,
          "equal_error_threshold": -1.0,
          "equal_error_rate": 1.0,
          "positives": 1,
          "negatives": 2,
          "ignored": 0,
          "unscored": 0,
          "tied": 0,
          "curve": {
            "positive_ranks": [
              3
            ],
            "ties": [],
            "judged": 3
          }
        }
      ]
    }
    "#);
    let json = serde_json::to_value(tiny(false)).unwrap();
    assert!(json["accuracy"].is_null() && json["confusion"].is_null());
    assert_eq!(json["classes"][1]["ignored"], 1);
}

#[test]
fn a_report_reads_back_from_its_json() {
    for report in [tiny(true), tiny(false), random_report(200, &names(&["a", "b", "c"]), true)] {
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}

#[test]
fn the_table_is_aligned() {
    let mut report = tiny(true);
    report.classes[1].class = "dog with a name".to_string();
    insta::assert_snapshot!(report.table(), @r"
    class            AP 2007  AP 2010    AUC  precision  recall     F1  positives  ignored
    ──────────────────────────────────────────────────────────────────────────────────────
    cat                84.85    83.33  50.00      50.00   50.00  50.00          2        0
    dog with a name    33.33    33.33   0.00       0.00    0.00   0.00          1        0

    mAP, VOC 2007 (11-point)     59.09
    mAP, VOC 2010 (area)         58.33
    mAP, not interpolated        58.33
    mean F1                      25.00
    accuracy                     33.33
    mean class accuracy          25.00
    ");
}

#[test]
fn threads_change_no_bit() {
    let classes: Vec<String> = (0..17).map(|i| format!("class {i}")).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        serde_json::to_string(&pool.install(|| random_report(500, &classes, true))).unwrap()
    };
    assert_eq!(with(1), with(3));
}

/// A name that breaks what is not escaped, and XML that is not cleaned.
const NASTY: &str = "a<b>&\"c'\u{1}\u{0}\u{fffe}\u{1b}[31m\u{202e}]]> {{ x }} {% y %}";

/// What is seen of it.
const SHOWN: &str = r#"a<b>&"c'\u{1}\u{0}\u{fffe}\u{1b}[31m\u{202e}]]> {{ x }} {% y %}"#;

fn text_of(document: &roxmltree::Document<'_>) -> String {
    document.descendants().filter_map(|node| node.text()).collect::<Vec<_>>().join("\n")
}

#[test]
fn drawings_parse_and_keep_names() {
    let one = random_report(1, &names(&[NASTY]), true);
    let many: Vec<String> =
        (0..100).map(|i| format!("{NASTY} {i} {}", "long ".repeat(i % 7))).collect();
    for report in [one, random_report(700, &many, true), tiny(false)] {
        for class in &report.classes {
            let drawing = svg::precision_recall(class);
            let document = roxmltree::Document::parse(&drawing).unwrap();
            let name = class.class.replace(NASTY, SHOWN);
            assert!(text_of(&document).contains(&name));
        }
        if let Some(confusion) = &report.confusion {
            let drawing = svg::confusion(confusion);
            let document = roxmltree::Document::parse(&drawing).unwrap();
            let cells = document
                .descendants()
                .filter(|node| matches!(node.attribute("class"), Some("right" | "wrong")));
            let nonzero = confusion.counts.iter().flatten().filter(|count| **count > 0.0).count();
            assert_eq!(cells.count(), nonzero);
        }
    }
}

#[test]
fn a_class_without_positives_is_drawn_as_such() {
    let mut report = tiny(false);
    let empty = Curve::new(&Ranking::new(&[1.0], &[No]).unwrap());
    report.classes[0].curve = empty;
    report.classes[0].ap_voc2007 = None;
    let drawing = svg::precision_recall(&report.classes[0]);
    assert!(drawing.contains("no positive image in this split") && !drawing.contains("<polyline"));
}

/// Points of the curve in a drawing, back in recall and precision.
fn drawn_curve(drawing: &str) -> Vec<(f64, f64)> {
    let document = roxmltree::Document::parse(drawing).unwrap();
    let curve = document
        .descendants()
        .find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "polyline")))
        .and_then(|node| node.attribute("points").map(str::to_string))
        .unwrap();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let pair = |pair: &str| pair.split_once(',').map(|(x, y)| (number(x), number(y))).unwrap();
    curve
        .split(' ')
        .map(pair)
        .map(|(x, y)| ((x - 52.0) / 348.0, 1.0 - (y - 64.0) / 260.0))
        .collect()
}

#[test]
fn long_curves_are_thinned_and_short_ones_whole() {
    let mut stream = Seed(8).stream("drawn", 0);
    let area = |points: &[(f64, f64)]| -> f64 {
        points.windows(2).map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0).sum()
    };
    for (images, thin) in [(300, false), (20_000, true)] {
        let scores: Vec<f32> = (0..images).map(|_| stream.normal() as f32).collect();
        let labels: Vec<Label> = scores
            .iter()
            .map(|score| if f64::from(*score) + stream.normal() > 0.5 { Yes } else { No })
            .collect();
        let mut class = tiny(false).classes.swap_remove(0);
        class.curve = Curve::new(&Ranking::new(&scores, &labels).unwrap());
        let (whole, drawn) = (class.curve.corners(), drawn_curve(&svg::precision_recall(&class)));
        assert_eq!(drawn.len() < whole.len() / 4, thin, "{} of {}", drawn.len(), whole.len());
        // A thousandth of an axis by thinning, a two-thousandth by coordinates of a tenth pixel.
        assert!((area(&whole) - area(&drawn)).abs() < 1.5e-3);
    }
}

#[test]
fn the_page_is_whole_and_escaped() {
    let report = random_report(30, &names(&[NASTY, "plain", "<script>alert(1)</script>"]), true);
    let page = html::report(
        &report,
        "# </pre><b>\n[gmm]\ncomponents = 256\n",
        &[("gmm & co", "<i>")],
        &[],
    );
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("<script") && !page.contains("a<b>") && !page.contains("</pre><b>"));
    assert!(page.contains("&lt;script&gt;") && page.contains("gmm &amp; co"));
    assert!(page.contains("{{ x }}"), "a name is no template");
    assert_eq!(page.matches("<figure").count(), 3);
    assert_eq!(page.matches("<svg").count(), 4); // three curves and the confusion matrix
    assert!(page.contains(&format!("{:.2}", 100.0 * report.map.voc2007.unwrap())));
    // Nothing from outside: the only address is the name of the SVG format.
    let addresses = page.matches("://").count();
    assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains(" src="));
}

/// Nothing that is said of a name is a command to whoever shows it.
#[test]
fn names_are_plain_in_tables_pages_and_cells() {
    let names = names(&[NASTY, "=1+1", "@x\ty", "\u{202e}exe", "-1", "'=1", r"\u{1b}"]);
    let report = random_report(30, &names, true);
    let settings = "run = \"\u{1b}[31m\u{fffe}\"\n[gmm]\n";
    let page = html::report(&report, settings, &[("s\u{7}", "\u{9b}x")], &[]);
    let odd = |c: char| c.is_control() && c != '\n' || ['\u{fffe}', '\u{202e}'].contains(&c);
    assert!(!page.contains(odd) && page.contains("\n[gmm]"), "{page:?}");
    assert!(!report.table().contains(odd), "{:?}", report.table());

    let table =
        Scores { ids: names.clone(), classes: names.clone(), values: Array2::zeros((7, 7)) };
    let text = table.to_csv();
    assert!(!text.contains(odd), "{text:?}");
    let cells = text.lines().flat_map(|line| line.split(',')).map(|cell| cell.trim_matches('"'));
    for cell in cells {
        let is_number = cell.parse::<f64>().is_ok();
        assert!(is_number || !cell.starts_with(['=', '+', '-', '@', '\t']), "{cell}");
    }
    assert_eq!(tables::scores(&text), table);
}

#[test]
fn the_page_of_an_empty_report_renders() {
    let empty = Array2::<f32>::zeros((0, 0));
    let report = evaluate(&Scored {
        split: "test",
        ids: &[],
        classes: &[],
        labels: &[],
        scores: empty.view(),
        single_label: true,
        decision: Decision::BestClass,
    })
    .unwrap();
    let page = html::report(&report, "", &[], &[]);
    assert!(page.contains("There are no classes.") && !page.contains("<svg"));
    assert!(
        roxmltree::Document::parse(&svg::confusion(report.confusion.as_ref().unwrap())).is_ok()
    );
}
