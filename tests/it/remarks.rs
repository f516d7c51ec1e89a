//! Images that are used and may not be what their user takes them for: counted and said.

use std::path::Path;

use fvtool::{describer::Noted, pipeline::Run};
use image::{GrayImage, ImageBuffer, Luma};
use tempfile::TempDir;

use crate::small_run::{Listener, options};

/// Two classes of grey pictures of 16 bits whose white is at `white`; the first of each class blank
/// where asked for.
fn data(folder: &Path, white: u16, blank: bool) {
    for (c, class) in ["across", "down"].into_iter().enumerate() {
        std::fs::create_dir_all(folder.join("train").join(class)).unwrap();
        for i in 0..4u32 {
            let value = |x: u32, y: u32| {
                let along = if c == 0 { x } else { y };
                let wave = (f64::from(along + i) / 3.0).sin() / 2.0 + 0.5;
                if blank && i == 0 { 0.5 } else { wave }
            };
            let pixel = |x, y| Luma([(value(x, y) * f64::from(white)) as u16]);
            let image: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(64, 48, pixel);
            image.save(folder.join(format!("train/{class}/{i}.png"))).unwrap();
        }
    }
}

fn encoded(data: &Path, run: &Path, overrides: &[&str]) -> (Listener, Noted) {
    let listener = Listener::new(usize::MAX);
    let noted = {
        let run = Run::open(run, &options(overrides), &listener).unwrap();
        run.encode(data, "train").unwrap();
        run.index("train").unwrap().noted
    };
    (listener, noted)
}

#[test]
fn dark_and_empty_and_blank_images_of_a_split_are_counted_and_said() {
    let folder = TempDir::new().unwrap();
    let (images, run) = (folder.path().join("images"), folder.path().join("run"));
    data(&images, 200, true);
    // Contrast between images of 16 bits whose white is 200 is a three-hundredth of the usual one.
    let (heard, noted) = encoded(&images, &run, &["descriptors.contrast_threshold=0.02"]);
    let largest = Some([noted.largest.unwrap()[0], 65_535.0]);
    let expected = Noted { blank: 2, empty: 6, dark: 8, largest, ..Noted::default() };
    assert_eq!(noted, expected);
    assert!(heard.heard(&["8 of 8 images of split `train` use less than an eighth", "[0, 255]"]));
    assert!(heard.heard(&["2 of 8 images of split `train` are blank"]));
    assert!(heard.heard(&["6 of 8 images", "empty descriptors", "contrast_threshold = 0.02"]));
    assert!(heard.heard(&["% of the descriptors drawn are empty"]));
    // What is there says it no more, and the index keeps it.
    let (again, noted) = encoded(&images, &run, &["descriptors.contrast_threshold=0.02"]);
    assert_eq!(noted, expected);
    assert!(!again.heard(&["are blank"]));
}

#[test]
fn ordinary_images_are_said_nothing_of() {
    let folder = TempDir::new().unwrap();
    let (images, run) = (folder.path().join("images"), folder.path().join("run"));
    data(&images, u16::MAX, false);
    let (heard, noted) = encoded(&images, &run, &[]);
    assert!(noted.is_nothing());
    assert!(!heard.heard(&["images of split"]) && !heard.heard(&["empty"]));
    let text = std::fs::read_to_string(run.join("fisher/train/index.json")).unwrap();
    assert!(!text.contains("noted"));
}

/// The setting makes of twelve bits in sixteen what sixteen bits are, to rounding.
#[test]
fn a_range_of_values_takes_the_place_of_the_type() {
    let folder = TempDir::new().unwrap();
    let [whole, twelve] = ["whole", "twelve"].map(|name| folder.path().join(name));
    data(&whole, u16::MAX, false);
    data(&twelve, 4095, false);
    let (_, noted) = encoded(&whole, &folder.path().join("a"), &[]);
    assert!(noted.is_nothing());
    let (heard, noted) =
        encoded(&twelve, &folder.path().join("b"), &["image.value_range=[0, 4095]"]);
    assert!(noted.is_nothing() && !heard.heard(&["eighth"]));
    let bright = GrayImage::from_fn(64, 48, |x, _| Luma([(x * 4) as u8]));
    bright.save(twelve.join("train/down/bright.png")).unwrap();
    let mut wrong = image::ImageBuffer::<Luma<u16>, Vec<u16>>::new(64, 48);
    wrong.put_pixel(3, 3, Luma([4096]));
    wrong.save(twelve.join("train/down/wrong.png")).unwrap();
    let (heard, _) = encoded(&twelve, &folder.path().join("c"), &["image.value_range=[0, 4095]"]);
    assert!(heard.heard(&["skipped", "wrong", "image.value_range = [0, 4095]"]));
    assert!(heard.heard(&["1 of 9 images of split `train` uses less than an eighth", "of 4095"]));
}
