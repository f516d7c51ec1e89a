#!/usr/bin/env python3
"""Whether the audit finds what the demo plants, and nothing where nothing is planted; and what revising brings.

    pip install numpy pillow
    python3 scripts/audit_demo.py FVTOOL WORK [--seeds 20]

For every seed the demo's images are drawn twice: with the tag on images of a star (always in one corner) and the
stamp on images of a leaf (each time somewhere else), and without either (`--clean`). Counted are the seeds in which
the audit names each, and the findings of a place, a strategy or words on clean images. Context is no false alarm:
spirals do stand on waves.

For the first seed the classifier is revised without the tag's place and without the stamp's words. Average
precision of both classes is given on the test images that do not carry the artefact, and on those that do and
those that show no such class: there the artefact alone would be rewarded.
"""

import argparse
import csv
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image

ARTEFACTS = {"star": "tag", "leaf": "stamp"}


def run(fvtool, *args):
    done = subprocess.run([fvtool, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


def audit(folder):
    with open(os.path.join(folder, "run", "explain", "test", "audit.json")) as file:
        return json.load(file)["findings"]


def average_precision(scores, labels):
    order = np.argsort(-np.asarray(scores), kind="stable")
    right = np.asarray(labels)[order]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return 100 * precision[right > 0].mean()


def scores_of(run_folder, name):
    with open(os.path.join(run_folder, "scores", "test.csv"), newline="") as file:
        rows = list(csv.reader(file))
    column = rows[0].index(name)
    return {row[0]: float(row[column]) for row in rows[1:]}


def labels_of(data, name):
    with open(os.path.join(data, "ImageSets", "Main", f"{name}_test.txt")) as file:
        return {image: int(label) for image, label in (line.split() for line in file)}


def planted(data, clean, image):
    """Whether an image carries something that it does not carry in the clean folder."""
    paths = [os.path.join(folder, "JPEGImages", f"{image}.jpg") for folder in (data, clean)]
    with open(paths[0], "rb") as a, open(paths[1], "rb") as b:
        return a.read() != b.read()


def revised(args):
    folder, clean = (os.path.join(args.work, name) for name in ("planted-1", "clean-1"))
    data = os.path.join(folder, "data")
    words = [w for f in audit(folder) if f["kind"] == "words" and f["class"] == "leaf" for w in f["words"]]
    width, height = Image.open(os.path.join(data, "JPEGImages", "000001.jpg")).size
    changes = {"leaf": [part for word in words for part in ("--word", word)],
               "star": ["--place", f"0,{1 - 26 / height},{(80 + 8) / width},1"]}
    print("\n| class | artefact | left out | images | AP before | AP after |\n|---|---|---|---|---|---|")
    for name, options in changes.items():
        if not options:
            print(f"| {name} | {ARTEFACTS[name]} | nothing was found | | | |")
            continue
        to = os.path.join(args.work, f"revised-{name}")
        run(args.fvtool, "revise", "--run", os.path.join(folder, "run"), "--to", to, "--data", data, "--split",
            "test", "--measures-only", "--quiet", *options)
        labels = {i: l for i, l in labels_of(data, name).items() if l != 0}
        carries = {i: planted(data, os.path.join(clean, "data"), i) for i in labels}
        what = " ".join(o for o in options if not o.startswith("--"))
        for title, chosen in (
            ("without the artefact", [i for i in labels if not carries[i] or labels[i] < 0]),
            ("with it, and of other classes", [i for i in labels if carries[i] or labels[i] < 0]),
        ):
            values = []
            for place in (os.path.join(folder, "run"), to):
                scores = scores_of(place, name)
                values.append(average_precision([scores[i] for i in chosen], [labels[i] > 0 for i in chosen]))
            print(f"| {name} | {ARTEFACTS[name]} | {what} | {len(chosen)} {title} | {values[0]:.2f} | {values[1]:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("fvtool")
    parser.add_argument("work")
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    found = {"star": 0, "leaf": 0}
    alarms, others = [], []
    for seed in range(1, args.seeds + 1):
        for kind, options in (("planted", []), ("clean", ["--clean"])):
            folder = os.path.join(args.work, f"{kind}-{seed}")
            if not os.path.exists(os.path.join(folder, "run", "explain", "test", "audit.json")):
                run(args.fvtool, "demo", "--out", folder, "--seed", seed, "--quiet", *options)
            findings = audit(folder)
            artefacts = [f for f in findings if f["kind"] in ("place", "strategy", "words")]
            if kind == "clean":
                alarms += [(seed, f["class"], f["sentence"]) for f in artefacts]
                continue
            star = [f for f in artefacts if f["class"] == "star" and f["kind"] == "place"]
            leaf = [f for f in artefacts if f["class"] == "leaf" and f["kind"] == "words"]
            found["star"] += bool(star)
            found["leaf"] += bool(leaf)
            others += [(seed, f["class"], f["kind"]) for f in artefacts if f["class"] not in found]
    print(f"seeds {args.seeds}: tag of stars found in {found['star']}, stamp of leaves in {found['leaf']}; "
          f"other classes named in planted images: {len(others)} {others}")
    print(f"findings on clean images: {len(alarms)}")
    for seed, name, sentence in alarms:
        print(f"  seed {seed}, {name}: {sentence}")
    revised(args)


if __name__ == "__main__":
    main()
