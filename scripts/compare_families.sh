#!/usr/bin/env bash
# Runs all families of models (gmm.family) on a data folder and prints what each is worth.
#
#   scripts/compare_families.sh DATA WORK [--config NAME] [--set key=value ...]
#
# WORK gets a run folder for each. Components, dimensions and everything else are the same for all; the
# autoencoder has 2K - 1 units, so that its vectors are as long, and 16 values a code (half of those of a
# descriptor, where it has 16 or fewer). Descriptor samples and
# projections are shared. What was run to its end is read and not run again (its seconds are then those of
# reading). FVTOOL names the program (default: target/release/fvtool). Needs Python 3.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
data=$1
work=$2
shift 2
fvtool=${FVTOOL:-target/release/fvtool}
command -v "$fvtool" > /dev/null || {
    echo "compare_families: no $fvtool; cargo build --release, or set FVTOOL" >&2
    exit 1
}
mkdir -p "$work"

printf '%-28s %9s %9s %9s %9s\n' family accuracy mAP values seconds
reuse=()
one() {
    local name=$1
    shift
    local began=$SECONDS
    "$fvtool" run --data "$data" --run "$work/$name" "${arguments[@]}" "$@" "${reuse[@]}" --json \
        > "$work/$name.json" 2> "$work/$name.log" || {
        echo "compare_families: $name failed; see $work/$name.log" >&2
        exit 1
    }
    local seconds=$((SECONDS - began))
    reuse+=(--reuse "$work/$name")
    python3 - "$name" "$work/$name" "$work/$name.json" "$seconds" << 'PYTHON'
import json
import pathlib
import sys

name, run, said, seconds = sys.argv[1:]
stages = [json.loads(line) for line in open(said) if line.startswith("{")]
stages = next(value["stages"] for value in stages if "stages" in value)
(test,) = {stage["split"] for stage in stages if stage["stage"] == "eval"} or {None}
paths = list(pathlib.Path(run, "eval").glob("*.json"))
report = json.loads((pathlib.Path(run, "eval", f"{test}.json") if test else paths[0]).read_text())
indices = pathlib.Path(run).glob("**/fisher/*/00000.safetensors")
values = 0
for shard in {path.parent.parent: path for path in indices}.values():
    with open(shard, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    values += json.loads(header["__metadata__"]["fvtool.report"]).get("dim", 0) or header["vectors"]["shape"][1]
percent = lambda value: "" if value is None else f"{100 * value:.2f}"
accuracy = percent(report["accuracy"] and report["accuracy"]["mean_class"])
mean = report["map"]["voc2010"]
print(f"{name:<28} {accuracy:>9} {percent(mean):>9} {values:>9} {seconds:>9}")
PYTHON
}

arguments=("$@")
one gaussian --set gmm.family=gaussian
one laplace --set gmm.family=laplace
one factor-analysers --set gmm.family=factor-analysers
one factor-analysers-loadings --set gmm.family=factor-analysers --set 'encoding.orders=[1,2,3]'
# A run writes its whole configuration down.
components=$(sed -n '/^\[gmm\]/,/^\[encoding\]/s/^components = //p' "$work/gaussian/config.toml")
dimension=$(sed -n '/^\[pca\]/,/^\[gmm\]/s/^dimension = //p' "$work/gaussian/config.toml")
code=$((dimension > 16 ? 16 : (dimension + 1) / 2))
one vae --set gmm.family=vae --set "gmm.factors=$code" --set "gmm.hidden=$((2 * components - 1))"
