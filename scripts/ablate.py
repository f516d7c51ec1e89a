#!/usr/bin/env python3
"""Runs a list of recipes on data sets and prints one table: what each change is worth.

    cargo build --release
    scripts/ablate.py scripts/ablation.toml --work ablation \\
        --data voc=VOCdevkit/VOC2007,devtrain,devval --data scene=scene15,train,test

The list (TOML) has a [base] and one [[row]] for each change:

    [base]
    config = "best"                       # preset or file
    [[row]]
    name = "no colour"
    set = ["colour.weight=0.01"]          # beside the base's own `set`
    seeds = [1, 2, 3]                     # or { voc = [1, 2, 3] }; default [1]; mean ± half the range
    data = ["voc"]                        # default: all that are named by --data
    config = "vlfeat"                     # another base for this row

Every run has a folder of its own below --work. Descriptor samples, projections, mixtures and vectors
are taken over from earlier rows by fingerprint (`fvtool run --reuse`), so that a row costs what it
changes; a run that was interrupted goes on, one that is finished is read. Needs Python 3.11 or later
and nothing else.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tomllib


def folder_of(args, data, row, seed):
    """The run folder of one recipe on one data set."""
    label = re.sub(r"[^a-z0-9]+", "-", row["name"].lower()).strip("-")
    return args.work / data / f"{label}-seed{seed}"


def run(args, data, row, seed, earlier):
    """Figures of one recipe on one data set; runs it where it has not been run to its end."""
    name, (path, train, test) = data
    folder = folder_of(args, name, row, seed)
    command = [args.fvtool, "run", "--data", path, "--train", train, "--test", test]
    command += ["--run", folder, "--config", row["config"], "--seed", str(seed), "--allow-skipped"]
    for setting in row["set"]:
        command += ["--set", setting]
    for other in earlier:
        command += ["--reuse", other]
    log, stages = folder.with_suffix(".log"), folder.with_suffix(".stages.json")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out:
        ended = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, stderr=out)
    if ended.returncode != 0:
        raise SystemExit(f"{row['name']} on {name} failed; see {log}")
    report = json.loads((folder / f"eval/{test}.json").read_text())
    # Vectors that are there already have no rate; the run that made them has.
    made = json.loads(stages.read_text()) if stages.exists() else []
    made += [stage for stage in json.loads(ended.stdout)["stages"] if stage["made"]]
    stages.write_text(json.dumps(made))
    encoded = [s for s in made if s["stage"] == "encode" and s["split"] == test]
    parts = sorted(folder.glob("channels/*")) or [folder]
    size = 0
    for part in parts:
        shards = list((part / "fisher" / test).glob("*.safetensors"))
        index = json.loads((part / "fisher" / test / "index.json").read_text())
        size += sum(shard.stat().st_size for shard in shards) / max(index["images"], 1)
    # A channel may have been taken over from another run.
    complete = sum(len(stage["values"]) for stage in encoded) == len(parts)
    figures = {
        "map11": 100 * report["map"]["voc2007"],
        "map10": 100 * report["map"]["voc2010"],
        "accuracy": 100 * report["accuracy"]["mean_class"] if report["accuracy"] else None,
        "images_s": 1 / sum(1 / s["images_per_second"] for s in encoded) if complete else None,
        "bytes": size,
    }
    return figures


def seeds_of(row, name):
    """Seeds of a row on a data set: one list for all sets, or a table with a list for some of them."""
    seeds = row["seeds"]
    return seeds.get(name, [1]) if isinstance(seeds, dict) else seeds


def spread(values, digits=2):
    """Mean, and half the range where there are several."""
    values = [value for value in values if value is not None]
    if not values:
        return ""
    text = f"{sum(values) / len(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {(max(values) - min(values)) / 2:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=DIR,TRAIN,TEST")
    parser.add_argument("--fvtool", default="target/release/fvtool")
    parser.add_argument("--only", action="append", metavar="NAME", help="rows to run; all without")
    args = parser.parse_args()
    listed = tomllib.loads(args.list.read_text())
    base = listed.get("base", {})
    known = {"name", "set", "seeds", "data", "config"}
    rows = [{"name": "base", "seeds": base.get("seeds", [1])}] + listed.get("row", [])
    for row in rows:
        if unknown := set(row) - known:
            raise SystemExit(f"{args.list}: row {row.get('name')!r} has unknown keys {sorted(unknown)}")
        own = row.get("config")
        row["set"] = ([] if own else base.get("set", [])) + row.get("set", [])
        row["config"] = own or base.get("config", "best")
        row.setdefault("seeds", [1])
    sets = {}
    for text in args.data:
        name, _, rest = text.partition("=")
        sets[name] = rest.split(",")
        if len(sets[name]) != 3:
            raise SystemExit(f"--data {text}: write NAME=DIR,TRAIN,TEST")
    measures = {"map11": "mAP11", "map10": "mAP10", "accuracy": "accuracy"}
    head = ["recipe"] + [f"{name} {m}" for name in sets for m in measures.values()]
    head += ["images/s", "bytes a vector"]
    table, earlier = [], {name: [] for name in sets}
    for row in rows:
        wanted = not args.only or row["name"] in args.only
        cells, rates, sizes = [row["name"]], [], []
        for name in sets:
            figures = []
            if name in row.get("data", list(sets)):
                for seed in seeds_of(row, name):
                    folder = folder_of(args, name, row, seed)
                    if not wanted:
                        earlier[name] += [folder] if folder.is_dir() else []
                        continue
                    found = run(args, (name, sets[name]), row, seed, earlier[name])
                    earlier[name].append(folder)
                    figures.append(found)
                    print(f"{row['name']}, {name}, seed {seed}: {found}", file=sys.stderr)
            cells += [spread([f[m] for f in figures]) for m in measures]
            rates += [f["images_s"] for f in figures if f["images_s"]][:1]
            sizes += [f["bytes"] for f in figures]
        if not wanted:
            continue
        rate = rates[0] if rates else None
        cells += [spread([rate], 1), f"{sizes[0]:,.0f}" if sizes else ""]
        table.append(cells)
    used = [i for i in range(len(head)) if any(cells[i] for cells in table)]
    lines = ["| " + " | ".join(head[i] for i in used) + " |", "|" + "---|" * len(used)]
    lines += ["| " + " | ".join(cells[i] for i in used) + " |" for cells in table]
    text = "\n".join(lines) + "\n"
    (args.work / f"{args.list.stem}.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
