//! From an image to its vector without a run folder: the same bits as from a run.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use fvtool::artifacts::Artifact;
use fvtool::config::Config;
use fvtool::dataset::Dataset;
use fvtool::describer::{Describer, Workers};
use fvtool::image::{Photo, RgbImage};
use fvtool::pipeline::{Options, Run};
use fvtool::progress::Silent;
use fvtool::random::Seed;

use crate::small_run::{fixture, options};
use crate::support::put;

fn photos(data: &Path, split: &str, config: &Config) -> Vec<Photo> {
    let dataset = Dataset::open(data, &config.data, Seed(1)).unwrap();
    let items = dataset.split(split).unwrap().items;
    items.iter().map(|item| Photo::open(&item.path, &config.image).unwrap()).collect()
}

fn stored(run: &Path, split: &str) -> Vec<f32> {
    let shard = Artifact::open(&run.join("fisher").join(split).join("00000.safetensors")).unwrap();
    shard.f32("vectors").unwrap().1.to_vec()
}

#[test]
fn a_describer_gives_the_vectors_of_a_run() {
    let fixture = fixture();
    let text = fs::read_to_string(fixture.run.join("config.toml")).unwrap();
    let config = Config::parse(&text, "config.toml").unwrap();
    let train = photos(&fixture.data, "train", &config);
    let describer = Describer::fit(&config, &train, &Silent).unwrap();
    let vectors = describer.vectors(&train).unwrap();
    assert_eq!(vectors.into_raw_vec_and_offset().0, stored(&fixture.run, "train"));
    let test = photos(&fixture.data, "test", &config);
    let vectors = describer.vectors(&test).unwrap();
    assert_eq!(vectors.into_raw_vec_and_offset().0, stored(&fixture.run, "test"));
}

#[test]
fn a_describer_of_channels_gives_the_joint_vector_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = &fixture().data;
    let channels = "\n[[channel]]\nname = \"sift\"\nencoding.storage = \"f16\"\nsample.images = 5\n\
                    [[channel]]\nname = \"colour\"\nweight = 0.5\ndescriptors.kind = \"colour\"\n\
                    pca.dimension = 12\nencoding.mirrored = true\n";
    put(folder.path(), "two.toml", Config::named("quick").unwrap().to_toml() + channels);
    let named = folder.path().join("two.toml").to_str().unwrap().to_owned();
    let options = Options { config: Some(named), ..options(&[]) };
    let run = Run::open(&folder.path().join("run"), &options, &Silent).unwrap();
    run.encode(data, "train").unwrap();
    let describer =
        Describer::fit(run.config(), &photos(data, "train", run.config()), &Silent).unwrap();
    let dataset = Dataset::open(data, &run.config().data, Seed(1)).unwrap();
    let (output, mut workers) = (folder.path().join("one.safetensors"), Workers::default());
    for item in &dataset.split("test").unwrap().items[..2] {
        run.describe(&item.path, &output).unwrap();
        let expected = Artifact::open(&output).unwrap().f32("vector").unwrap().1.to_vec();
        let photo = Photo::open(&item.path, &run.config().image).unwrap();
        let described = describer.describe(&photo, Some(&item.id), &mut workers).unwrap();
        assert_eq!(described.vector, expected, "{}", item.id);
    }
}

#[test]
fn a_png_and_its_pixels_in_memory_have_the_same_vector() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::named("quick").unwrap();
    let pixels = RgbImage::from_fn(96, 64, |x, y| {
        [(x * y % 256) as u8, (x * x % 200) as u8, (y * 3 % 256) as u8].into()
    });
    let path = folder.path().join("a.png");
    pixels.save(&path).unwrap();
    let photos = [Photo::open(&path, &config.image).unwrap(), Photo::from(pixels)];
    let describer = Describer::fit(&config, &photos[1..], &Silent).unwrap();
    let vectors = describer.vectors(&photos).unwrap();
    assert_eq!(vectors.row(0), vectors.row(1));
}
