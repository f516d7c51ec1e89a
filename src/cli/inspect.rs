//! `fvtool inspect`: what an artifact holds, what it was made from, and whether it is whole; or a network.

use std::io::Write;
use std::path::PathBuf;

use crate::artifacts::{Artifact, Values};
use crate::network::Network;
use crate::plain;
use clap::Args;
use serde_json::{Value, json};

use super::global::Global;
use super::outcome::Outcome;

/// Arguments of `inspect`.
#[derive(Args)]
pub struct Inspect {
    /// An artifact (`.safetensors`) of a run folder, or a network (`.onnx`)
    file: PathBuf,
    /// For a network: an image to try it on; class scores are shown where it has them
    #[arg(long, value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// For a network: how its pixels are scaled, as `network.scaling` [default: what the file states]
    #[arg(long, value_name = "SCALING", default_value = "", hide_default_value = true)]
    scaling: String,
}

/// Longest list shown in full in the report.
const SHOWN_LIST: usize = 8;

pub fn run(args: &Inspect, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let start = crate::files::read_start(&args.file, 16).unwrap_or_default();
    let onnx = args.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
    if onnx || Network::is_likely(&start) || args.image.is_some() {
        let image = args.image.as_deref();
        return super::inspect_network::run(&args.file, image, &args.scaling, global, out);
    }
    let artifact = Artifact::open(&args.file)?;
    artifact.verify()?;
    let tensors: Vec<Value> = artifact
        .tensors()
        .into_iter()
        .map(|(name, dtype, shape)| {
            let (smallest, largest, mean) = spread(artifact.values(&name)?.1);
            Ok(json!({
                "name": name, "dtype": dtype, "shape": shape,
                "min": smallest, "max": largest, "mean": mean,
            }))
        })
        .collect::<crate::Result<_>>()?;
    let header = artifact.header();
    if global.json {
        let value = json!({
            "kind": header.kind, "format": artifact.format(), "tool": artifact.tool(),
            "fingerprint": header.fingerprint, "inputs": header.inputs, "report": header.report,
            "tensors": tensors, "checksum": "ok",
        });
        writeln!(out, "{value}")?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "kind         {}", plain::line(&header.kind))?;
    let (format, tool) = (plain::line(artifact.format()), plain::line(artifact.tool()));
    writeln!(out, "format       {format} (written by fvtool {tool})")?;
    writeln!(out, "fingerprint  {}", plain::line(&header.fingerprint))?;
    writeln!(out, "checksum     ok")?;
    for tensor in &tensors {
        let shape: Vec<String> =
            tensor["shape"].as_array().into_iter().flatten().map(Value::to_string).collect();
        writeln!(
            out,
            "tensor       {} {} {}, {:.4} to {:.4}, mean {:.4}",
            plain::line(tensor["name"].as_str().unwrap_or_default()),
            tensor["dtype"].as_str().unwrap_or_default(),
            shape.join(" × "),
            tensor["min"].as_f64().unwrap_or(0.0),
            tensor["max"].as_f64().unwrap_or(0.0),
            tensor["mean"].as_f64().unwrap_or(0.0),
        )?;
    }
    writeln!(out, "made from")?;
    write_tree(&header.inputs, 1, out)?;
    writeln!(out, "report")?;
    write_tree(&header.report, 1, out)?;
    Ok(Outcome::Done)
}

fn spread(values: Values<'_>) -> (f64, f64, f64) {
    fn fold(values: impl ExactSizeIterator<Item = f64>) -> (f64, f64, f64) {
        let n = values.len();
        if n == 0 {
            return (0.0, 0.0, 0.0);
        }
        let start = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        let (low, high, sum) = values
            .fold(start, |(low, high, sum), v| (f64::min(low, v), f64::max(high, v), sum + v));
        (low, high, sum / n as f64)
    }
    match values {
        Values::F32(values) => fold(values.iter().map(|&v| f64::from(v))),
        Values::F16(values) => fold(values.iter().map(|&v| f64::from(v))),
        Values::U8(values) => fold(values.iter().map(|&v| f64::from(v))),
        Values::I8(values) => fold(values.iter().map(|&v| f64::from(v))),
        Values::U32(values) => fold(values.iter().map(|&v| f64::from(v))),
    }
}

/// JSON as indented lines, long lists shortened.
fn write_tree(value: &Value, depth: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if matches!(value, Value::Object(inner) if !inner.is_empty()) {
                    writeln!(out, "{indent}{}", plain::line(key))?;
                    write_tree(value, depth + 1, out)?;
                } else {
                    writeln!(out, "{indent}{} = {}", plain::line(key), shortened(value))?;
                }
            }
            Ok(())
        }
        other => writeln!(out, "{indent}{}", shortened(other)),
    }
}

fn shortened(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > SHOWN_LIST => {
            let first: Vec<String> = items.iter().take(3).map(shortened).collect();
            let last = items.last().map(shortened).unwrap_or_default();
            format!("[{}, … {} values …, {last}]", first.join(", "), items.len())
        }
        other => plain::sentence(&other.to_string()).into_owned(),
    }
}
