#!/usr/bin/env python3
"""Projection and mixture learned together (layer.joint) against PCA and EM, with the same SVM at the end.

    scripts/compare_layer.py --program target/release/fvtool --data VOC2007 --train devtrain --test devval \\
        --set descriptors.kind=files --set descriptors.folder=rows

For every number of dimensions D and of components K, and every seed, two runs: one with PCA and EM, one that
learns. Prints the mean average precision (or the accuracy, where every image shows one class) of each, as mean
over the seeds with the smallest and the largest, and the gain: figure 3 of Korsch et al. (docs/REFERENCES.md).
Samples are drawn once for each seed; everything lies in --work, and what is there is not made twice.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/release/fvtool")
    parser.add_argument("--data", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--config", default="fast")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--components", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--work", type=Path, default=Path("layer-runs"))
    return parser.parse_args()


def run(args, dimension, components, seed, joint):
    """The measure of one run, in per cent, and its name."""
    kind = "joint" if joint else "separate"
    folder = args.work / f"{kind}-d{dimension}-k{components}-s{seed}"
    first = args.work / f"separate-d{args.dimensions[0]}-k{args.components[0]}-s{seed}"
    settings = [
        *args.set,
        f"pca.dimension={dimension}",
        f"gmm.components={components}",
        f"layer.joint={'true' if joint else 'false'}",
    ]
    command = [args.program, "run", "--json", "--quiet", "--seed", str(seed), "--config", args.config]
    command += ["--data", args.data, "--train", args.train, "--test", args.test, "--run", str(folder)]
    for setting in settings:
        command += ["--set", setting]
    if first != folder and first.exists():
        command += ["--reuse", str(first)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    report = json.loads((folder / "eval" / f"{args.test}.json").read_text())
    if report.get("accuracy"):
        return 100 * report["accuracy"]["overall"], "accuracy"
    return 100 * report["map"]["voc2007"], "mAP, 11 points"


def shown(values):
    return f"{statistics.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    name = None
    for dimension in args.dimensions:
        for components in args.components:
            found = {}
            for joint in (False, True):
                found[joint] = []
                for seed in args.seeds:
                    value, measure = run(args, dimension, components, seed, joint)
                    found[joint].append(value)
            if name is None:
                name = measure
                print(f"| D | K | values | separate, {name} | joint, {name} | gain |")
                print("|---|---|---|---|---|---|")
            gain = statistics.mean(found[True]) - statistics.mean(found[False])
            print(
                f"| {dimension} | {components} | {2 * dimension * components} | {shown(found[False])} "
                f"| {shown(found[True])} | {gain:+.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
