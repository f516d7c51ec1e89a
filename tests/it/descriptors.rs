//! Dense SIFT through its public face: golden values of VLFeat, laws, and degenerate images.
//!
//! The exact arithmetic is tested beside the code (`src/descriptors/dense_sift/reference.rs`);
//! here the tolerance is what VLFeat's approximate atan2 and square root are worth.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use fvtool::descriptors::{
    DIM, Descriptors, Extractor, Keep, LowContrast, Normalisation, Params, Scratch, Window,
};
use fvtool::image::{Plane, resize};
use fvtool::linalg::BLOCK_ROWS;
use fvtool::random::Seed;
use ndarray::{Array2, ArrayView1, s};
use proptest::prelude::*;

use crate::support::{golden, golden_npz};

fn plane(values: &Array2<f32>) -> Plane {
    let (height, width) = values.dim();
    Plane::new(width, height, values.iter().copied().collect()).unwrap()
}

fn noise(width: usize, height: usize, item: u64) -> Plane {
    let mut stream = Seed(3).stream("noise", item);
    Plane::from_fn(width, height, |_, _| stream.unit() as f32)
}

fn extract(image: &Plane, params: &Params) -> Descriptors {
    Extractor::new(params).unwrap().extract(image, &mut Scratch::default())
}

/// One bin size, no smoothing, no threshold: VLFeat's plain `vl_dsift`.
fn plain(bin: usize, step_px: usize, window: Window, window_size: f64) -> Params {
    let bin_sizes_px = vec![bin];
    let (magnif, contrast_threshold) = (0.0, 0.0);
    let rest = Params::default();
    Params { bin_sizes_px, step_px, window, window_size, magnif, contrast_threshold, ..rest }
}

/// Meets VLFeat as closely as exact functions can: values to 8e-3 (`golden/python/README.md`; an
/// angle off by 0.011 rad moves 1.4 % of a gradient to the next orientation), 3e-4 on average, and
/// rows to a cosine of 0.9999 (golden README). Rows that VLFeat leaves zero are left out by `empty`.
#[track_caller]
fn assert_near_vlfeat(got: &Descriptors, expected: &Array2<f32>, empty: impl Fn(usize) -> bool) {
    assert_eq!(got.rows.dim(), expected.dim());
    let (mut sum, mut count) = (0.0, 0);
    for (i, (row, expected)) in got.rows.rows().into_iter().zip(expected.rows()).enumerate() {
        if empty(i) {
            continue;
        }
        for (a, b) in row.iter().zip(expected) {
            let off = f64::from((a - b).abs());
            assert!(off <= 8e-3, "row {i}: {a} {b}");
            sum += off;
            count += 1;
        }
        let cosine = dot(row, expected) / (dot(row, row) * dot(expected, expected)).sqrt();
        assert!(cosine > 0.9999, "row {i}: cosine {cosine}");
    }
    assert!(count > expected.len() / 2 && sum / f64::from(count as u32) < 3e-4);
}

fn dot(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn plain_descriptors_are_vlfeats() {
    let scene = plane(&golden("scene_gray_f32"));
    for (window, name) in [(Window::Flat, "flat"), (Window::Gaussian, "gauss")] {
        let got = extract(&scene, &plain(4, 4, window, 2.0));
        let frames: Array2<f32> = golden(&format!("dsift_{name}_bin4_step4_frames"));
        let rows: Array2<f32> = golden(&format!("dsift_{name}_bin4_step4_descr"));
        assert_near_vlfeat(&got, &rows, |i| frames[[i, 2]] == 0.0);
        for (frame, expected) in got.frames.iter().zip(frames.rows()) {
            assert_eq!([frame.x, frame.y], [expected[0], expected[1]]);
            // Square root to 1e-6 relative of a mean modulus of order 0.1.
            assert!((frame.contrast - expected[2]).abs() < 1e-5);
            assert_eq!(frame.size_px, 4.0);
        }
    }
}

/// VLFeat's `vl_phow`, whose values are min(512 v, 255) and whose rows under the contrast
/// threshold are zero.
#[test]
fn phow_descriptors_are_vlfeats() {
    let scene = plane(&golden("scene_gray_f32"));
    for (window, name) in [(Window::Flat, "flat"), (Window::Gaussian, "gauss")] {
        let mut got = extract(&scene, &Params { step_px: 7, window, ..Params::default() });
        let frames: Array2<f32> = golden(&format!("phow_{name}_step7_frames"));
        let rows: Array2<f32> = golden(&format!("phow_{name}_step7_descr"));
        got.rows.mapv_inplace(|v| v.min(255.0 / 512.0));
        let empty = |i: usize| frames[[i, 2]] < 0.005;
        assert_near_vlfeat(&got, &rows.mapv(|v| v / 512.0), empty);
        for (i, (frame, expected)) in got.frames.iter().zip(frames.rows()).enumerate() {
            assert_eq!([frame.x, frame.y, frame.size_px], [expected[0], expected[1], expected[3]]);
            assert!((frame.contrast - expected[2]).abs() < 1e-5);
            if empty(i) {
                assert!(got.rows.row(i).iter().all(|v| *v == 0.0));
            }
        }
        // The flat corner of the scene must be there for this to be a test.
        assert!((0..rows.nrows()).any(empty));
    }
}

#[test]
fn the_second_set_of_vlfeat_values_is_met() {
    let image: Array2<f32> = golden_npz("dsift_vlfeat_48x64", "image");
    for (key, window, bin, step, window_size) in [
        ("exact_s3_step3", Window::Gaussian, 3, 3, 2.0),
        ("exact_s4_step3", Window::Gaussian, 4, 3, 2.0),
        ("exact_s6_step3", Window::Gaussian, 6, 3, 2.0),
        ("flat_s3_step3", Window::Flat, 3, 3, 2.0),
        ("flat_s4_step3", Window::Flat, 4, 3, 2.0),
        ("flat_s6_step3", Window::Flat, 6, 3, 2.0),
        ("flat_s4_step5_win15", Window::Flat, 4, 5, 1.5),
    ] {
        let got = extract(&plane(&image), &plain(bin, step, window, window_size));
        let rows: Array2<f32> = golden_npz("dsift_vlfeat_48x64", &format!("{key}_desc"));
        assert_near_vlfeat(&got, &rows, |_| false);
    }
}

#[test]
fn blocks_are_full_and_in_order() {
    let image = noise(120, 90, 1);
    let extractor = Extractor::new(&Params::default()).unwrap();
    let (mut sizes, mut frames) = (Vec::new(), Vec::new());
    extractor.for_each_block(&image, &mut Scratch::default(), &mut |rows, of_rows| {
        assert_eq!(rows.dim(), (of_rows.len(), DIM));
        sizes.push(rows.nrows());
        frames.extend_from_slice(of_rows);
    });
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|n| *n == BLOCK_ROWS) && !full.is_empty() && *last <= BLOCK_ROWS);
    assert_eq!(frames.len(), extractor.count(120, 90));
    let order = |f: &fvtool::descriptors::Frame| (f.size_px, f.y, f.x);
    assert!(frames.windows(2).all(|w| order(&w[0]) < order(&w[1])));
}

/// A blob is where it is, whatever the factor: the mean position, weighted by contrast, of the
/// descriptors that see it.
#[test]
fn frames_of_resized_images_stand_in_the_image() {
    let (x0, y0) = (70.0f32, 60.0f32);
    let blob = |x: usize, y: usize| {
        let (dx, dy) = (x as f32 - x0, y as f32 - y0);
        (-(dx * dx + dy * dy) / 50.0).exp()
    };
    let image = Plane::from_fn(150, 130, blob);
    for factor in [2.0, 1.37, 1.0, 0.71, 0.5] {
        let scales = vec![factor];
        let params = Params { scales, step_px: 1, ..plain(4, 1, Window::Flat, 1.5) };
        let got = extract(&image, &params);
        let total: f32 = got.frames.iter().map(|f| f.contrast).sum();
        let x: f32 = got.frames.iter().map(|f| f.contrast * f.x).sum::<f32>() / total;
        let y: f32 = got.frames.iter().map(|f| f.contrast * f.y).sum::<f32>() / total;
        // A shift of half a resized pixel, the usual mistake, would be 0.25 px at factor 2 and 0.5
        // at factor 0.5; what is left is f32 rounding of the sums and the blob's cut tails.
        assert!((x - x0).abs() < 0.05 && (y - y0).abs() < 0.05, "{factor}: {x} {y}");
        let size = got.frames[0].size_px * factor as f32;
        assert!((size / 4.0 - 1.0).abs() < 0.02, "{factor}: {size}");
    }
}

/// Factors and bin sizes together are the bin sizes on each resized plane.
#[test]
fn factors_and_bin_sizes_combine() {
    let image = noise(80, 60, 2);
    let both = Params { scales: vec![1.0, 0.5], ..Params::default() };
    let got = extract(&image, &both);
    let full = extract(&image, &Params::default());
    let half = extract(&resize(&image, 40, 30), &Params::default());
    assert!(half.rows.nrows() > 0);
    assert_eq!(got.rows.nrows(), full.rows.nrows() + half.rows.nrows());
    assert_eq!(got.rows.slice(s![..full.rows.nrows(), ..]), full.rows);
    assert_eq!(got.rows.slice(s![full.rows.nrows().., ..]), half.rows);
    let (frame, of_half) = (got.frames[full.rows.nrows()], half.frames[0]);
    assert_eq!((frame.x, frame.y), (2.0 * of_half.x + 0.5, 2.0 * of_half.y + 0.5));
}

#[test]
fn above_mean_norm_is_a_filter_by_contrast() {
    let scene = plane(&golden("scene_gray_f32"));
    let all = extract(&scene, &Params::default());
    let contrasts = all.frames.iter().map(|f| f64::from(f.contrast));
    let mean = contrasts.sum::<f64>() / all.frames.len() as f64;
    let kept: Vec<usize> =
        (0..all.frames.len()).filter(|&i| f64::from(all.frames[i].contrast) > mean).collect();
    assert!(kept.len() > 10 && kept.len() + 10 < all.frames.len());
    for low_contrast in [LowContrast::Zero, LowContrast::Drop] {
        let params = Params { keep: Keep::AboveMeanNorm, low_contrast, ..Params::default() };
        let got = extract(&scene, &params);
        assert_eq!(got.rows, all.rows.select(ndarray::Axis(0), &kept));
    }
}

#[test]
fn drop_leaves_out_what_zero_empties() {
    let scene = plane(&golden("scene_gray_f32"));
    let zero = extract(&scene, &Params::default());
    let dropped = extract(&scene, &Params { low_contrast: LowContrast::Drop, ..Params::default() });
    let kept: Vec<usize> =
        (0..zero.rows.nrows()).filter(|&i| zero.rows.row(i).iter().any(|v| *v != 0.0)).collect();
    assert!(kept.len() < zero.rows.nrows());
    assert_eq!(dropped.rows, zero.rows.select(ndarray::Axis(0), &kept));
    assert!(dropped.frames.iter().zip(&kept).all(|(f, &i)| *f == zero.frames[i]));
    assert!(dropped.frames.iter().all(|f| f.contrast >= 0.005));
}

/// Below the threshold a descriptor is its finished self times contrast over threshold; the others are
/// as without.
#[test]
fn weight_shrinks_what_zero_empties() {
    let scene = plane(&golden("scene_gray_f32"));
    let threshold = 0.02;
    let with = |contrast_threshold, low_contrast| {
        extract(&scene, &Params { contrast_threshold, low_contrast, ..Params::default() })
    };
    let (whole, weighed) = (with(0.0, LowContrast::Zero), with(threshold, LowContrast::Weight));
    assert_eq!(whole.frames, weighed.frames);
    let mut shrunk = 0;
    let rows = whole.rows.rows().into_iter().zip(weighed.rows.rows());
    for ((whole, weighed), frame) in rows.zip(&whole.frames) {
        let weight = (frame.contrast / threshold as f32).min(1.0);
        shrunk += usize::from(weight > 0.0 && weight < 1.0);
        for (a, b) in whole.iter().zip(weighed) {
            assert!((a * weight - b).abs() <= 1e-7, "{a} {b} {weight}");
        }
    }
    assert!(shrunk > 10 && shrunk + 10 < whole.frames.len(), "{shrunk}");
}

#[test]
fn tiny_images_have_few_descriptors_or_none() {
    let params = Params { scales: vec![1.0, 0.3, 2.0], ..Params::default() };
    let extractor = Extractor::new(&params).unwrap();
    let mut scratch = Scratch::default();
    for width in 0..=20 {
        for height in 0..=20 {
            let image = noise(width, height, 3);
            let got = extractor.extract(&image, &mut scratch);
            assert_eq!(got.rows.nrows(), extractor.count(width, height), "{width} × {height}");
            assert!(got.rows.iter().all(|v| v.is_finite()));
        }
    }
    // A descriptor of bin size 4 begins at 9 and spans 13 pixels; one of bin size 10 spans 31.
    let extractor = Extractor::new(&Params::default()).unwrap();
    assert_eq!(extractor.count(21, 21), 0);
    assert_eq!(extractor.count(22, 22), 1);
    assert_eq!(extractor.count(31, 31), 16 + 9 + 4 + 1);
    assert_eq!(extractor.dim(), DIM);
}

#[test]
fn pixels_that_are_no_numbers_empty_the_descriptors_that_see_them() {
    for bad in [f32::NAN, f32::INFINITY, f32::MAX] {
        let mut image = noise(60, 50, 4);
        image.values[10 * 60 + 10] = bad;
        for keep in [Keep::All, Keep::AboveMeanNorm] {
            let got = extract(&image, &Params { keep, ..plain(4, 3, Window::Flat, 1.5) });
            assert!(got.rows.iter().all(|v| v.is_finite()));
            assert!(got.frames.iter().all(|f| f.contrast.is_finite()));
            assert!(got.rows.rows().into_iter().any(|r| r.sum() > 1.0), "the rest is computed");
        }
    }
}

#[test]
fn settings_outside_their_range_are_refused() {
    let rest = Params::default;
    for (key, params) in [
        ("bin_sizes_px", Params { bin_sizes_px: vec![], ..rest() }),
        ("bin_sizes_px", Params { bin_sizes_px: vec![4, 0], ..rest() }),
        ("scales", Params { scales: vec![f64::NAN], ..rest() }),
        ("scales", Params { scales: vec![], ..rest() }),
        ("step_px", Params { step_px: 0, ..rest() }),
        ("window_size", Params { window_size: 0.0, ..rest() }),
        ("magnif", Params { magnif: -6.0, ..rest() }),
        ("contrast_threshold", Params { contrast_threshold: f64::NAN, ..rest() }),
    ] {
        let message = Extractor::new(&params).unwrap_err().to_string();
        assert!(message.contains(&format!("`descriptors.{key}`")), "{message}");
    }
}

/// Bin sizes, step, window and normalisation.
fn settings() -> impl Strategy<Value = Params> {
    let window = prop_oneof![Just(Window::Flat), Just(Window::Gaussian)];
    let normalisation = prop_oneof![Just(Normalisation::Sift), Just(Normalisation::RootSift)];
    let bins = prop::collection::vec(1usize..9, 1..3);
    (bins, 1usize..6, window, normalisation, 0.8f64..2.5, prop_oneof![Just(0.0), 2.0f64..8.0])
        .prop_map(|(bin_sizes_px, step_px, window, normalisation, window_size, magnif)| Params {
            bin_sizes_px,
            step_px,
            window,
            normalisation,
            window_size,
            magnif,
            ..Params::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Exactly zero, not nearly: sums over a flat region leave nothing behind.
    #[test]
    fn a_constant_image_has_empty_descriptors(params in settings(), value in 0.0f32..1.0) {
        let got = extract(&Plane::from_fn(48, 41, |_, _| value), &params);
        prop_assert!(got.rows.nrows() > 0);
        prop_assert!(got.rows.iter().all(|v| *v == 0.0));
        prop_assert!(got.frames.iter().all(|f| f.contrast == 0.0));
    }

    /// Far from the border a descriptor depends on its surroundings alone, to the bit.
    #[test]
    fn shifting_the_image_shifts_the_frames(params in settings(), item in 0u64..1000) {
        let wide = noise(80, 60, item);
        let by = params.step_px;
        let window = |dx: usize, dy: usize| {
            Plane::from_fn(74, 54, |x, y| wide.values[(y + dy) * wide.width + x + dx])
        };
        let here = extract(&window(0, 0), &params);
        let there = extract(&window(by, by), &params);
        let mut compared = 0;
        for (i, frame) in here.frames.iter().enumerate() {
            // Bins reach 2.5 bin sizes, smoothing 4σ ≤ 2 bin sizes + 1, the gradient 1.
            let reach = 4.5 * frame.size_px + 2.0 + by as f32;
            let margin = frame.x.min(frame.y).min(73.0 - frame.x).min(53.0 - frame.y);
            let at = (frame.x - by as f32, frame.y - by as f32);
            let place = |f: &fvtool::descriptors::Frame| (f.x, f.y) == at && f.size_px == frame.size_px;
            if margin >= reach && let Some(j) = there.frames.iter().position(place) {
                prop_assert_eq!(here.rows.row(i), there.rows.row(j));
                compared += 1;
            }
        }
        prop_assume!(compared > 0);
    }

    /// Only differences of luminance count. Rounding of luminance up to 1.5 is 6e-8 on gradients of
    /// order 0.1, and RootSIFT takes square roots of small values.
    #[test]
    fn brightness_and_gain_change_nothing(
        params in settings(), item in 0u64..1000, offset in -0.5f32..0.5, gain in 0.3f32..1.0,
    ) {
        let params = Params { normalisation: Normalisation::Sift, ..params };
        let image = noise(45, 40, item);
        let mut other = image.clone();
        other.values.iter_mut().for_each(|v| *v = gain * *v + offset);
        let (a, b) = (extract(&image, &params), extract(&other, &params));
        for (i, (x, y)) in a.rows.rows().into_iter().zip(b.rows.rows()).enumerate() {
            if a.frames[i].contrast.min(b.frames[i].contrast) < 0.0051 {
                continue;
            }
            prop_assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() < 2e-5), "row {}", i);
        }
    }

    #[test]
    fn scratch_never_leaks_into_a_result(params in settings(), other in settings(), item in 0u64..1000) {
        let image = noise(50, 37, item);
        let fresh = extract(&image, &params);
        let mut used = Scratch::default();
        let scales = vec![1.0, 1.6];
        let other = Extractor::new(&Params { scales, ..other }).unwrap();
        other.extract(&noise(71, 64, item + 1), &mut used);
        let again = Extractor::new(&params).unwrap().extract(&image, &mut used);
        prop_assert_eq!(&fresh, &again);
    }

    /// Rows have unit length or are zero.
    #[test]
    fn rows_have_unit_length(params in settings(), item in 0u64..1000) {
        let got = extract(&noise(40, 44, item), &params);
        for (row, frame) in got.rows.rows().into_iter().zip(&got.frames) {
            let norm = dot(row, row);
            prop_assert!(norm == 0.0 || (norm - 1.0).abs() < 1e-5);
            prop_assert_eq!(norm == 0.0, frame.contrast < 0.005);
            prop_assert!(row.iter().all(|v| *v >= 0.0));
        }
    }
}
