//! `fvtool inspect` of a network: its maps, what their cells see, its scaling, and a trial on an image.

use std::io::Write;
use std::path::Path;

use crate::image::{self, Colours, Plane};
use crate::network::{Network, Output, Scaling};
use serde_json::{Value, json};

use super::global::Global;
use super::outcome::Outcome;

/// Each output with class scores, and its highest values by number.
type Trial = Vec<(String, Vec<(usize, f64)>)>;

/// Side of the image for which sizes are shown when neither file nor image say otherwise.
const USUAL_SIDE: usize = 224;

/// Sides of the trial are multiples of this, as of most networks' strides.
const MULTIPLE: usize = 32;

/// Class scores shown.
const SHOWN_CLASSES: usize = 5;

/// Vectors of this many numbers and more may be class scores.
const FEWEST_CLASSES: usize = 2;

pub fn run(
    file: &Path,
    image: Option<&Path>,
    scaling: &str,
    global: &Global,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let network = Network::open(file)?;
    let picture = image.map(decoded).transpose()?;
    let stated = network.stated_size();
    let size = match (&picture, stated) {
        (_, [Some(width), Some(height)]) => [width as usize, height as usize],
        (Some(picture), _) => fitted([picture[0].width, picture[0].height]),
        (None, _) => [USUAL_SIDE; 2],
    };
    let (values, reasons) = network.values_at(size);
    let shown: Vec<&Output> = values.iter().filter(|value| !value.inner).collect();
    let trial = match &picture {
        Some(picture) => Some(trial(&network, picture, size, scaling, &values)?),
        None => None,
    };
    if global.json {
        let scaling = network.stated_scaling().map(|(scaling, _)| scaling.to_string());
        let described = json!({
            "kind": "network", "producer": network.producer(), "hash": network.hash(),
            "input": network.input(), "stated_size": stated, "scaling": scaling,
            "operators": network.operators().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "outputs": network.outputs(), "size": size,
            "values": values.iter().map(of_value).collect::<Vec<_>>(), "unsupported": reasons,
            "trial": trial.map(|trial| trial.iter().map(|(name, top)| {
                json!({ "output": name, "top": top })
            }).collect::<Vec<_>>()),
        });
        writeln!(out, "{described}")?;
        return Ok(Outcome::Done);
    }
    let made_by = match network.producer() {
        "" => String::new(),
        producer => format!(", made by {producer}"),
    };
    writeln!(out, "kind         network (ONNX{made_by})")?;
    writeln!(out, "file         {:.1} MB, hash {}", network.bytes() as f64 / 1e6, network.hash())?;
    let side = |side: Option<u64>| side.map_or_else(|| "any".to_owned(), |side| side.to_string());
    let [width, height] = stated.map(side);
    writeln!(
        out,
        "input        `{}`: 3 channels, width {width}, height {height}",
        network.input()
    )?;
    match network.stated_scaling() {
        Some((scaling, source)) => writeln!(out, "scaling      {scaling} ({source})")?,
        None => writeln!(
            out,
            "scaling      not stated in the file; set network.scaling (docs/NETWORKS.md lists who uses which)"
        )?,
    }
    let operators: Vec<String> =
        network.operators().iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(out, "operators    {}", operators.join(", "))?;
    writeln!(out, "outputs      {}", network.outputs().join(", "))?;
    write_values(&shown, size, out)?;
    if shown.len() < values.len() {
        let hidden = values.len() - shown.len();
        writeln!(out, "  and {hidden} before an activation or normalisation (--json lists them)")?;
    }
    for reason in &reasons {
        writeln!(out, "unsupported  {reason}")?;
    }
    for (name, top) in trial.iter().flatten() {
        let top: Vec<String> =
            top.iter().map(|(class, share)| format!("{class} ({:.1} %)", 100.0 * share)).collect();
        writeln!(out, "top of `{name}`, counted from 0: {}", top.join(", "))?;
    }
    Ok(Outcome::Done)
}

fn write_values(
    values: &[&Output],
    [width, height]: [usize; 2],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let name_width = values.iter().map(|value| value.name.len()).max().unwrap_or(0).max(4);
    writeln!(out, "values for an image of {width} × {height}, strides and fields in its pixels")?;
    writeln!(
        out,
        "  {:name_width$}  {:>8}  {:>9}  {:>6}  sees  (operator)",
        "name", "channels", "map", "stride"
    )?;
    for value in values {
        let [columns, rows] = value.size;
        let map = format!("{columns} × {rows}");
        let (stride, sees) = match value.sight {
            None => ("–".to_owned(), "all (a vector)".to_owned()),
            Some([x, y]) => {
                let pair =
                    |a: f64, b: f64| if a == b { a.to_string() } else { format!("{a} × {b}") };
                let gated = if value.whole { ", scaled by the whole image" } else { "" };
                (pair(x.stride, y.stride), format!("{}{gated}", pair(x.size, y.size)))
            }
        };
        writeln!(
            out,
            "  {:name_width$}  {:>8}  {map:>9}  {stride:>6}  {sees}  ({})",
            value.name, value.channels, value.operator
        )?;
    }
    Ok(())
}

fn of_value(value: &Output) -> Value {
    let axis = |i: usize| value.sight.map(|sight| sight[i]);
    let of = |sight: Option<crate::network::Sight>| {
        sight.map(|s| json!({ "stride": s.stride, "first": s.first, "size": s.size }))
    };
    json!({
        "name": value.name, "operator": value.operator, "channels": value.channels, "size": value.size,
        "x": of(axis(0)), "y": of(axis(1)), "whole_image": value.whole, "inner": value.inner,
    })
}

fn decoded(path: &Path) -> crate::Result<Vec<Plane>> {
    Ok(image::load(path, &image::Params::default(), Colours::Rgb)?.planes)
}

/// The shorter side of the usual length, both of a multiple.
fn fitted([width, height]: [usize; 2]) -> [usize; 2] {
    let scale = USUAL_SIDE as f64 / width.min(height).max(1) as f64;
    [width, height].map(|side| {
        let side = (side as f64 * scale / MULTIPLE as f64).round() as usize * MULTIPLE;
        side.clamp(MULTIPLE, 20 * USUAL_SIDE)
    })
}

/// Runs the outputs on an image; those that may be class scores with their highest ones.
fn trial(
    network: &Network,
    picture: &[Plane],
    [width, height]: [usize; 2],
    scaling: &str,
    values: &[Output],
) -> anyhow::Result<Trial> {
    let scaling: Scaling = network.scaling(scaling)?;
    let known = |name: &&String| values.iter().any(|value| value.name == **name);
    let outputs: Vec<String> = network.outputs().iter().filter(known).cloned().collect();
    anyhow::ensure!(
        !outputs.is_empty(),
        "{}: none of its outputs can be run; see what is unsupported without --image",
        network.path().display()
    );
    let planes: Vec<Plane> =
        picture.iter().map(|plane| image::resize(plane, width, height)).collect();
    let maps = network.runner(&outputs, scaling)?.run(&planes)?;
    let scores = outputs
        .into_iter()
        .zip(maps)
        .filter(|(_, map)| map.size == [1, 1] && map.channels >= FEWEST_CLASSES);
    Ok(scores.map(|(name, map)| (name, highest(&map.values))).collect())
}

/// Places of the highest numbers and their share by softmax, or as they are where they are shares already.
fn highest(scores: &[f32]) -> Vec<(usize, f64)> {
    let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
    let shares = scores.iter().all(|&score| score >= 0.0) && (sum - 1.0).abs() < 1e-3;
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = |score: f32| f64::from(score - most).exp();
    let total: f64 = if shares { 1.0 } else { scores.iter().map(|&score| exp(score)).sum() };
    let share = |score: f32| if shares { f64::from(score) } else { exp(score) / total };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(SHOWN_CLASSES);
    order.into_iter().map(|class| (class, share(scores[class]))).collect()
}
