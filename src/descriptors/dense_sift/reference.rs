//! Slow dense SIFT, written from the formulas with one loop per sum, for tests.
//!
//! [`Functions::Vlfeat`] evaluates VLFeat's approximate `atan2` and square root, with which golden
//! values of VLFeat are met to 2e-5; [`Functions::Exact`] is what the product computes.

use super::super::{DIM, Window};
use crate::image::Plane;

/// How angle and modulus are computed.
#[derive(Clone, Copy, PartialEq)]
pub enum Functions {
    Exact,
    Vlfeat,
}

/// One finished descriptor.
pub struct Described {
    pub x: f64,
    pub y: f64,
    pub contrast: f64,
    /// Unit length, without regard to contrast; zero when the raw norm is under 1e-4.
    pub row: Vec<f64>,
}

/// What to compute.
pub struct Dense {
    pub bin: usize,
    pub step: usize,
    pub first: usize,
    pub window: Window,
    pub window_size: f64,
    pub functions: Functions,
}

impl Dense {
    /// Every descriptor of a plane, y outer and x inner.
    pub fn describe(&self, plane: &Plane) -> Vec<Described> {
        let orientations = self.orientations(plane);
        let span = 3 * self.bin;
        let mut described = Vec::new();
        let mut top = self.first;
        while top + span < plane.height {
            let mut left = self.first;
            while left + span < plane.width {
                described.push(self.one(plane, &orientations, left, top));
                left += self.step;
            }
            top += self.step;
        }
        described
    }

    fn one(&self, plane: &Plane, orientations: &[[f64; 8]], left: usize, top: usize) -> Described {
        let reach = self.bin as isize - 1;
        let inside = |i: isize, n: usize| i.clamp(0, n as isize - 1) as usize;
        let mut raw = vec![0.0; DIM];
        for by in 0..4 {
            for bx in 0..4 {
                for dy in -reach..=reach {
                    for dx in -reach..=reach {
                        let x = inside((left + bx * self.bin) as isize + dx, plane.width);
                        let y = inside((top + by * self.bin) as isize + dy, plane.height);
                        let weight = self.weight(dx, bx) * self.weight(dy, by);
                        for t in 0..8 {
                            raw[t + 8 * (bx + 4 * by)] +=
                                weight * orientations[y * plane.width + x][t];
                        }
                    }
                }
            }
        }
        let s = self.bin as f64;
        let contrast = raw.iter().sum::<f64>() / (3.0 * s + 1.0).powi(2);
        let (x, y) = (left as f64 + 1.5 * s, top as f64 + 1.5 * s);
        Described { x, y, contrast, row: normalise(raw) }
    }

    /// Weight of the pixel `d` from the centre of bin `b` along one axis.
    fn weight(&self, d: isize, b: usize) -> f64 {
        let (s, d) = (self.bin as f64, d as f64);
        let gaussian =
            |d: f64| (-0.5 * ((d + s * (b as f64 - 1.5)) / (s * self.window_size)).powi(2)).exp();
        let window = match self.window {
            Window::Gaussian => gaussian(d),
            Window::Flat => {
                let reach = self.bin as i32 - 1;
                let count = f64::from(2 * reach + 1);
                (-reach..=reach).map(|d| gaussian(f64::from(d))).sum::<f64>() / count
            }
        };
        (1.0 - d.abs() / s) * window
    }

    fn orientations(&self, plane: &Plane) -> Vec<[f64; 8]> {
        let at = |x: usize, y: usize| f64::from(plane.values[y * plane.width + x]);
        let mut planes = Vec::with_capacity(plane.values.len());
        for y in 0..plane.height {
            for x in 0..plane.width {
                let gx = difference(|x| at(x, y), x, plane.width);
                let gy = difference(|y| at(x, y), y, plane.height);
                let (modulus, angle) = match self.functions {
                    Functions::Exact => {
                        (gx.hypot(gy), gy.atan2(gx).rem_euclid(std::f64::consts::TAU))
                    }
                    Functions::Vlfeat => (
                        f64::from(vlfeat_sqrt((gx * gx + gy * gy) as f32)),
                        f64::from(vlfeat_angle(gy as f32, gx as f32)),
                    ),
                };
                let bins = angle * 4.0 / std::f64::consts::PI;
                let share = bins - bins.floor();
                let bin = bins.floor() as usize;
                let mut values = [0.0; 8];
                values[bin % 8] += (1.0 - share) * modulus;
                values[(bin + 1) % 8] += share * modulus;
                planes.push(values);
            }
        }
        planes
    }
}

/// Central difference, one-sided at the ends.
fn difference(at: impl Fn(usize) -> f64, i: usize, n: usize) -> f64 {
    if i == 0 {
        at(1) - at(0)
    } else if i == n - 1 {
        at(n - 1) - at(n - 2)
    } else {
        0.5 * (at(i + 1) - at(i - 1))
    }
}

fn normalise(mut values: Vec<f64>) -> Vec<f64> {
    let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let first = norm(&values);
    if first < 1e-4 {
        return vec![0.0; values.len()];
    }
    values.iter_mut().for_each(|v| *v = (*v / first).min(0.2));
    let second = norm(&values);
    values.iter_mut().for_each(|v| *v /= second);
    values
}

/// `vl_fast_atan2_f`, in [0, 2π).
fn vlfeat_angle(y: f32, x: f32) -> f32 {
    let a = y.abs() + 1.192_092_9e-7;
    let (r, start) = if x >= 0.0 {
        ((x - a) / (x + a), std::f32::consts::FRAC_PI_4)
    } else {
        ((x + a) / (a - x), 3.0 * std::f32::consts::FRAC_PI_4)
    };
    let angle = start + (0.1821 * r * r - 0.9675) * r;
    let angle = if y < 0.0 { -angle } else { angle };
    if angle < 0.0 { angle + std::f32::consts::TAU } else { angle }
}

/// `vl_fast_sqrt_f`: x / √x from a bit trick and two Newton steps.
fn vlfeat_sqrt(x: f32) -> f32 {
    if x < 1e-8 {
        return 0.0;
    }
    let mut inverse = f32::from_bits(0x5f37_59df - (x.to_bits() >> 1));
    for _ in 0..2 {
        inverse *= 1.5 - 0.5 * x * inverse * inverse;
    }
    x * inverse
}

mod tests {
    use ndarray::Array2;
    use ndarray_npy::{NpzReader, ReadNpyExt};

    use super::super::super::{Extractor, Params, Scratch};
    use super::*;
    use crate::image::{gaussian_kernel, smooth};
    use crate::random::Seed;

    fn open(name: &str) -> std::fs::File {
        let path = format!("{}/tests/data/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::File::open(path).unwrap()
    }

    fn golden(name: &str) -> Array2<f32> {
        Array2::read_npy(open(&format!("{name}.npy"))).unwrap()
    }

    fn plane(values: &Array2<f32>) -> Plane {
        let (height, width) = values.dim();
        Plane::new(width, height, values.iter().copied().collect()).unwrap()
    }

    fn scene() -> Plane {
        plane(&golden("scene_gray_f32"))
    }

    fn noise(width: usize, height: usize, item: u64) -> Plane {
        let mut stream = Seed(11).stream("reference", item);
        Plane::from_fn(width, height, |_, _| stream.unit() as f32)
    }

    #[track_caller]
    fn assert_described(
        got: &[Described],
        frames: &Array2<f32>,
        rows: &Array2<f32>,
        tolerance: f64,
    ) {
        assert_eq!(got.len(), rows.nrows());
        for (i, one) in got.iter().enumerate() {
            assert_eq!((one.x, one.y), (f64::from(frames[[i, 0]]), f64::from(frames[[i, 1]])));
            let contrast = f64::from(frames[[i, 2]]);
            assert!((one.contrast - contrast).abs() < 1e-5, "{i}: {} {contrast}", one.contrast);
            for (a, b) in one.row.iter().zip(rows.row(i)) {
                let off = (a - f64::from(*b)).abs();
                assert!(off < tolerance, "row {i}: {a} {b}, off by {off:e}");
            }
        }
    }

    /// VLFeat 0.9.21, plain `vl_dsift`. Its sums run in f32, which is worth about 2e-5.
    #[test]
    fn meets_vlfeat_with_its_own_functions() {
        for (window, name) in [(Window::Flat, "flat"), (Window::Gaussian, "gauss")] {
            let functions = Functions::Vlfeat;
            let dense = Dense { bin: 4, step: 4, first: 0, window, window_size: 2.0, functions };
            let got = dense.describe(&scene());
            let frames = golden(&format!("dsift_{name}_bin4_step4_frames"));
            let rows = golden(&format!("dsift_{name}_bin4_step4_descr"));
            assert_described(&got, &frames, &rows, 2e-5);
        }
    }

    /// VLFeat `vl_phow`: four bin sizes with smoothing, values min(512 v, 255).
    #[test]
    fn meets_vlfeat_phow_with_its_own_functions() {
        for (window, name) in [(Window::Flat, "flat"), (Window::Gaussian, "gauss")] {
            let frames = golden(&format!("phow_{name}_step7_frames"));
            let rows = golden(&format!("phow_{name}_step7_descr"));
            let mut i = 0;
            for bin in [4, 6, 8, 10] {
                let first = 3 * (10 - bin) / 2;
                let functions = Functions::Vlfeat;
                let dense = Dense { bin, step: 7, first, window, window_size: 1.5, functions };
                for one in dense.describe(&smooth(&scene(), bin as f64 / 6.0)) {
                    let frame = frames.row(i);
                    assert_eq!([one.x, one.y].map(|v| v as f32), [frame[0], frame[1]]);
                    assert_eq!(frame[3], bin as f32);
                    let contrast = f64::from(frame[2]);
                    assert!((one.contrast - contrast).abs() < 1e-5, "{} {contrast}", one.contrast);
                    for (a, b) in one.row.iter().zip(rows.row(i)) {
                        let a = if contrast < 0.005 { 0.0 } else { (512.0 * a).min(255.0) };
                        assert!((a - f64::from(*b)).abs() < 512.0 * 2e-5, "row {i}: {a} {b}");
                    }
                    i += 1;
                }
            }
            assert_eq!(i, rows.nrows());
        }
    }

    /// A second program's run of VLFeat on another image, several bin sizes.
    #[test]
    fn meets_the_second_set_of_vlfeat_values() {
        let mut npz = NpzReader::new(open("python/dsift_vlfeat_48x64.npz")).unwrap();
        let image: Array2<f32> = npz.by_name("image").unwrap();
        let image = plane(&image);
        for (key, window, bin, step, window_size) in [
            ("exact_s3_step3", Window::Gaussian, 3, 3, 2.0),
            ("exact_s4_step3", Window::Gaussian, 4, 3, 2.0),
            ("exact_s6_step3", Window::Gaussian, 6, 3, 2.0),
            ("flat_s3_step3", Window::Flat, 3, 3, 2.0),
            ("flat_s4_step3", Window::Flat, 4, 3, 2.0),
            ("flat_s6_step3", Window::Flat, 6, 3, 2.0),
            ("flat_s4_step5_win15", Window::Flat, 4, 5, 1.5),
        ] {
            let rows: Array2<f32> = npz.by_name(&format!("{key}_desc")).unwrap();
            let functions = Functions::Vlfeat;
            let dense = Dense { bin, step, first: 0, window, window_size, functions };
            let got = dense.describe(&image);
            assert_eq!(got.len(), rows.nrows(), "{key}");
            for (one, row) in got.iter().zip(rows.rows()) {
                for (a, b) in one.row.iter().zip(row) {
                    assert!((a - f64::from(*b)).abs() < 2e-5, "{key}: {a} {b}");
                }
            }
        }
    }

    /// The product against the exact reference, over odd sizes, steps and both windows. The
    /// tolerance is f32 rounding of gradients of order 0.1 (angle 1e-6) and of sums of some hundred
    /// terms, on values up to 0.4.
    #[test]
    fn the_fast_form_computes_the_same() {
        let cases = [
            (61, 47, vec![4, 6], 3, 6.0),
            (40, 33, vec![1, 2, 3], 1, 0.0),
            (53, 38, vec![5, 8], 7, 2.0),
            (31, 64, vec![10], 2, 6.0),
        ];
        for (n, (width, height, bins, step, magnif)) in cases.into_iter().enumerate() {
            for window in [Window::Flat, Window::Gaussian] {
                let image = noise(width, height, n as u64);
                let params = Params {
                    bin_sizes_px: bins.clone(),
                    step_px: step,
                    magnif,
                    window,
                    contrast_threshold: 0.0,
                    ..Params::default()
                };
                let fast =
                    Extractor::new(&params).unwrap().extract(&image, &mut Scratch::default());
                let largest = *bins.iter().max().unwrap();
                let mut slow = Vec::new();
                for &bin in &bins {
                    let (first, window_size) = (3 * (largest - bin) / 2, params.window_size);
                    let functions = Functions::Exact;
                    let dense = Dense { bin, step, first, window, window_size, functions };
                    let sigma = if magnif > 0.0 { bin as f64 / magnif } else { 0.0 };
                    slow.extend(dense.describe(&smoothed(&image, sigma)));
                }
                assert_eq!(fast.rows.nrows(), slow.len());
                for (i, one) in slow.iter().enumerate() {
                    let frame = fast.frames[i];
                    assert_eq!([one.x as f32, one.y as f32], [frame.x, frame.y]);
                    assert!((f64::from(frame.contrast) / one.contrast - 1.0).abs() < 1e-5);
                    for (a, b) in fast.rows.row(i).iter().zip(&one.row) {
                        assert!((f64::from(*a) - b).abs() < 1e-5, "case {n}, row {i}: {a} {b}");
                    }
                }
            }
        }
    }

    /// Separable smoothing in f64, spelled out.
    fn smoothed(plane: &Plane, sigma: f64) -> Plane {
        let kernel = gaussian_kernel(sigma);
        let radius = kernel.len() as isize / 2;
        Plane::from_fn(plane.width, plane.height, |x, y| {
            let mut sum = 0.0f64;
            for (j, ky) in kernel.iter().enumerate() {
                for (i, kx) in kernel.iter().enumerate() {
                    let at = |p: usize, k: usize, n: usize| {
                        (p as isize + k as isize - radius).clamp(0, n as isize - 1) as usize
                    };
                    let (x, y) = (at(x, i, plane.width), at(y, j, plane.height));
                    let weight = f64::from(*kx) * f64::from(*ky);
                    sum += weight * f64::from(plane.values[y * plane.width + x]);
                }
            }
            sum as f32
        })
    }

    /// Three smoothings agree with the golden plane: `imageproc`'s, the spelled-out one, and the rows
    /// that dense SIFT smooths for itself.
    #[test]
    fn every_smoothing_is_the_golden_one() {
        let (scene, expected) = (scene(), golden("smooth_sigma1.3333"));
        let sigma = 8.0 / 6.0;
        let mut fused = scene.clone();
        let kernel = gaussian_kernel(sigma);
        let mut line = vec![0.0; scene.width + kernel.len()];
        let Plane { width, height, .. } = scene;
        let pixels = super::super::planes::Pixels { values: &scene.values, width, height };
        for (y, row) in fused.values.chunks_exact_mut(width).enumerate() {
            super::super::planes::smooth_row(row, &mut line, pixels, y, &kernel);
        }
        for got in [smooth(&scene, sigma), smoothed(&scene, sigma), fused] {
            for (a, b) in got.values.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-6, "{a} {b}"); // sums of 13 + 13 terms up to 1
            }
        }
    }

    #[test]
    fn approximate_functions_are_near_the_exact_ones() {
        for i in 0..1000 {
            let turn = f64::from(i) * 6.28e-3;
            let angle = vlfeat_angle(turn.sin() as f32, turn.cos() as f32);
            let off = (f64::from(angle) - turn).abs();
            assert!(off.min(std::f64::consts::TAU - off) < 0.011, "{turn} {angle}");
            let root = f64::from(vlfeat_sqrt(i as f32 + 0.5));
            assert!((root / (f64::from(i) + 0.5).sqrt() - 1.0).abs() < 1e-5);
        }
    }
}
