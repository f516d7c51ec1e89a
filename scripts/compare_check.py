#!/usr/bin/env python3
"""What `fvtool check` finds of planted faults, against cleanlab and a perceptual hash.

    pip install cleanlab imagehash scikit-learn pillow numpy
    python3 scripts/compare_check.py FVTOOL DATA WORK [--preset fast] [--seeds 1]

FVTOOL is the program, DATA a folder of images `train/<class>` and `test/<class>` or a PASCAL VOC folder (its
splits by `--splits TRAIN TEST`), WORK an empty folder. Two experiments, a table each:

* labels: 5, 10 and 20 % of the training labels are flipped by a seed. What fvtool flags is compared with what
  cleanlab's confident learning flags from the very same probabilities (`check/held_out.csv`).
* copies: training images are put among the test images, cropped, compressed again, mirrored or brightened.
  What fvtool flags is compared with pairs of perceptual hashes (pHash, 64 bits) up to a distance.

Precision, recall and their harmonic mean, in per cent. Nothing is written outside WORK.
"""

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

FLIPPED = (0.05, 0.10, 0.20)
KINDS = ("crop", "compress", "mirror", "brighten")
HASH_DISTANCE = 8


def run(fvtool, *args):
    """A command of fvtool; 3 means that a check found something."""
    done = subprocess.run([fvtool, *map(str, args)], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


def measures(found, truth):
    right = len(found & truth)
    precision = right / len(found) if found else float("nan")
    recall = right / len(truth) if truth else float("nan")
    f1 = 2 * right / (len(found) + len(truth)) if found or truth else float("nan")
    return [100 * value for value in (precision, recall, f1)]


def row(name, flagged, values):
    print(f"| {name} | {flagged} | " + " | ".join(f"{value:.1f}" for value in values) + " |", flush=True)


def images_below(folder):
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.lower().endswith((".jpg", ".jpeg", ".png")):
                yield os.path.join(root, name)


def link(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)


class Folders:
    """`train/<class>` and `test/<class>`: a label is a folder."""

    single = True
    splits = ("train", "test")

    def __init__(self, data):
        self.data = data
        self.files = {s: list(images_below(os.path.join(data, s))) for s in self.splits}
        self.classes = sorted(os.listdir(os.path.join(data, "train")))

    def flipped(self, work, share, seed):
        """A copy with flipped training labels; the flipped ones as (image, class)."""
        draw, truth = random.Random(seed), set()
        files = self.files["train"]
        chosen = set(draw.sample(range(len(files)), round(share * len(files))))
        for i, path in enumerate(files):
            name = os.path.basename(path)
            label = os.path.basename(os.path.dirname(path))
            shown = draw.choice([c for c in self.classes if c != label]) if i in chosen else label
            target = f"{label}__{name}"
            link(path, os.path.join(work, "train", shown, target))
            if i in chosen:
                truth.add((target, None))
        for path in self.files["test"]:
            link(path, os.path.join(work, os.path.relpath(path, self.data)))
        return truth

    def planted(self, work, copies):
        for split in self.splits:
            for path in self.files[split]:
                link(path, os.path.join(work, os.path.relpath(path, self.data)))
        draw, truth = random.Random(1), {}
        for i, path in enumerate(draw.sample(self.files["train"], copies)):
            kind = KINDS[i % len(KINDS)]
            label = os.path.basename(os.path.dirname(path))
            name = f"planted_{i:03}_{kind}.jpg"
            changed(Image.open(path), kind, os.path.join(work, "test", label, name))
            truth[name] = (os.path.basename(path), kind)
        return truth


class Devkit:
    """A PASCAL VOC folder: labels are lists."""

    single = False

    def __init__(self, data, splits):
        self.data, self.splits = data, splits
        main = os.path.join(data, "ImageSets", "Main")
        self.classes = sorted(n[: -len(f"_{splits[0]}.txt")] for n in os.listdir(main)
                              if n.endswith(f"_{splits[0]}.txt"))

    def lists(self, name):
        with open(os.path.join(self.data, "ImageSets", "Main", name)) as file:
            return [line.split() for line in file if line.strip()]

    def copy(self, work):
        for folder in ("JPEGImages", "Annotations"):
            for split in self.splits:
                for (image,) in self.lists(f"{split}.txt"):
                    name = image + (".jpg" if folder == "JPEGImages" else ".xml")
                    source = os.path.join(self.data, folder, name)
                    if os.path.exists(source):
                        link(source, os.path.join(work, folder, name))
        os.makedirs(os.path.join(work, "ImageSets", "Main"), exist_ok=True)

    def write(self, work, name, rows):
        with open(os.path.join(work, "ImageSets", "Main", name), "w") as file:
            file.writelines(" ".join(row) + "\n" for row in rows)

    def flipped(self, work, share, seed):
        draw, truth = random.Random(seed), set()
        self.copy(work)
        for split in self.splits:
            self.write(work, f"{split}.txt", self.lists(f"{split}.txt"))
            for name in self.classes:
                rows = self.lists(f"{name}_{split}.txt")
                if split == self.splits[0]:
                    yes = [i for i, row in enumerate(rows) if row[1] == "1"]
                    no = [i for i, row in enumerate(rows) if row[1] == "-1"]
                    count = round(share * len(yes))
                    for i in draw.sample(yes, count) + draw.sample(no, count):
                        rows[i][1] = "-1" if rows[i][1] == "1" else "1"
                        truth.add((rows[i][0], name))
                self.write(work, f"{name}_{split}.txt", rows)
        return truth

    def planted(self, work, copies):
        draw, truth = random.Random(1), {}
        self.copy(work)
        train, test = self.splits
        for split in self.splits:
            for name in [f"{split}.txt"] + [f"{c}_{split}.txt" for c in self.classes]:
                self.write(work, name, self.lists(name))
        labels = {c: dict(self.lists(f"{c}_{train}.txt")) for c in self.classes}
        images = [image for (image,) in self.lists(f"{train}.txt")]
        for i, image in enumerate(draw.sample(images, copies)):
            kind, name = KINDS[i % len(KINDS)], f"9{i:05}"
            source = Image.open(os.path.join(self.data, "JPEGImages", image + ".jpg"))
            changed(source, kind, os.path.join(work, "JPEGImages", name + ".jpg"))
            rows = self.lists(f"{test}.txt")
            with open(os.path.join(work, "ImageSets", "Main", f"{test}.txt"), "a") as file:
                file.write(name + "\n")
            for c in self.classes:
                with open(os.path.join(work, "ImageSets", "Main", f"{c}_{test}.txt"), "a") as file:
                    file.write(f"{name} {labels[c][image]}\n")
            truth[name] = (image, kind)
        return truth


def changed(image, kind, target):
    image = image.convert("RGB")
    width, height = image.size
    quality = 90
    if kind == "crop":
        image = image.crop((width // 10, height // 10, width - width // 10, height - height // 10))
    elif kind == "mirror":
        image = ImageOps.mirror(image)
    elif kind == "brighten":
        image = ImageEnhance.Brightness(image).enhance(1.3)
    else:
        quality = 30
    os.makedirs(os.path.dirname(target), exist_ok=True)
    image.save(target, quality=quality)


def probabilities(run_folder, split, classes):
    """Ids and probabilities of a split's images, as the check left them."""
    with open(os.path.join(run_folder, "check", "held_out.csv"), newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [row["image"] for row in rows], np.array([[float(row[c]) for c in classes] for row in rows])


def by_cleanlab(data, names, probability, given):
    """What cleanlab flags: by its confident joint, and by its own default."""
    from cleanlab.filter import find_label_issues

    for kind in ("confident_learning", "prune_by_noise_rate"):
        flagged = set()
        if data.single:
            shares = probability / probability.sum(axis=1, keepdims=True)
            labels = np.array([data.classes.index(label) for label in given])
            issues = find_label_issues(labels, shares, filter_by=kind, n_jobs=1)
            flagged = {(os.path.basename(names[i]), None) for i in np.flatnonzero(issues)}
        else:
            for column, name in enumerate(data.classes):
                judged = [i for i in range(len(names)) if given[i][column] != 0]
                labels = np.array([int(given[i][column] > 0) for i in judged])
                p = probability[judged, column]
                issues = find_label_issues(labels, np.stack([1 - p, p], axis=1), filter_by=kind, n_jobs=1)
                flagged |= {(names[judged[i]], name) for i in np.flatnonzero(issues)}
        yield f"cleanlab, {kind.replace('_', ' ')}", flagged


def labels_experiment(args, data):
    print("\n| flipped | by | flagged | precision | recall | F1 |\n|---|---|---|---|---|---|")
    for share in FLIPPED:
        for seed in range(1, args.seeds + 1):
            work = os.path.join(args.work, f"labels-{share}-{seed}")
            truth = data.flipped(os.path.join(work, "data"), share, seed)
            folder, train = os.path.join(work, "run"), data.splits[0]
            common = ["--run", folder, "--data", os.path.join(work, "data"), "--quiet"]
            run(args.fvtool, "run", *common, "--train", train, "--test", data.splits[1],
                "--config", args.preset)
            report = json.loads(run(args.fvtool, "check", *common, "--split", train, "--json"))
            found = {}
            for finding in report["findings"]:
                if finding["check"] == "label-suspect":
                    image = finding["images"][0]["id"]
                    name = finding["label"].removeprefix("not ")
                    found[(os.path.basename(image), None) if data.single else (image, name)] = 1
            names, probability = probabilities(folder, train, data.classes)
            if data.single:
                given = [os.path.basename(os.path.dirname(name)) for name in names]
                if not all(label in data.classes for label in given):
                    given = [name.split("/")[-2] for name in names]
                truth_ids = {(name if "." in os.path.basename(names[0]) else os.path.splitext(name)[0], None)
                             for name, _ in truth}
            else:
                lists = {}
                for name in data.classes:
                    path = os.path.join(work, "data", "ImageSets", "Main", f"{name}_{train}.txt")
                    with open(path) as file:
                        lists[name] = dict(line.split() for line in file)
                given = [[int(lists[c][image]) for c in data.classes] for image in names]
                truth_ids = truth
            label = f"{100 * share:.0f} %"
            row(f"{label} | fvtool", len(found), measures(set(found), truth_ids))
            for name, flagged in by_cleanlab(data, names, probability, given):
                row(f"{label} | {name}", len(flagged), measures(flagged, truth_ids))
            if not args.keep:
                shutil.rmtree(work)


def copies_experiment(args, data):
    import imagehash

    work = os.path.join(args.work, "copies")
    truth = data.planted(os.path.join(work, "data"), args.copies)
    folder, (train, test) = os.path.join(work, "run"), data.splits
    common = ["--run", folder, "--data", os.path.join(work, "data"), "--quiet"]
    run(args.fvtool, "run", *common, "--train", train, "--test", test, "--config", args.preset)
    started = time.time()
    report = json.loads(run(args.fvtool, "check", *common, "--json"))
    seconds = time.time() - started
    stem = lambda name: os.path.splitext(os.path.basename(name))[0]
    planted = {(stem(name), stem(source)) for name, (source, _) in truth.items()}
    kinds = {stem(name): kind for name, (_, kind) in truth.items()}
    pairs = {"near": set(), "exact": set()}
    for finding in report["findings"]:
        if finding["check"] in ("near-leak", "leak"):
            images = finding["images"]
            tests = [stem(i["id"]) for i in images if i["split"] == test]
            trains = [stem(i["id"]) for i in images if i["split"] == train]
            kind = "near" if finding["check"] == "near-leak" else "exact"
            pairs[kind] |= {(a, b) for a in tests for b in trains}
    print(f"\n{len(pairs['exact'])} exact pairs; "
          f"{seconds:.1f} s for the check of {sum(n for _, n in report['splits'])} images")
    print("\n| by | pairs | precision | recall | F1 | "
          + " | ".join(f"{kind}, recall" for kind in KINDS) + " |\n" + "|---" * (5 + len(KINDS)) + "|")

    def line(name, found):
        found = found - pairs["exact"]
        by_kind = []
        for kind in KINDS:
            of_kind = {pair for pair in planted if kinds[pair[0]] == kind}
            by_kind.append(100 * len(found & of_kind) / max(len(of_kind), 1))
        row(name, len(found), [*measures(found, planted), *by_kind])

    line("fvtool", pairs["near"])
    started = time.time()
    hashes = {}
    root = os.path.join(work, "data")
    for split in (train, test):
        if data.single:
            files = list(images_below(os.path.join(root, split)))
        else:
            with open(os.path.join(root, "ImageSets", "Main", f"{split}.txt")) as file:
                files = [os.path.join(root, "JPEGImages", line.strip() + ".jpg") for line in file]
        bits = [imagehash.phash(Image.open(path)).hash.ravel() for path in files]
        hashes[split] = ([stem(path) for path in files], np.array(bits))
    (train_names, train_bits), (test_names, test_bits) = hashes[train], hashes[test]
    for distance in (4, HASH_DISTANCE, 12):
        found = set()
        for name, bits in zip(test_names, test_bits):
            near = np.flatnonzero((train_bits != bits).sum(axis=1) <= distance)
            found |= {(name, train_names[i]) for i in near}
        line(f"pHash, distance ≤ {distance}", found)
    print(f"\npHash took {time.time() - started:.1f} s")
    if not args.keep:
        shutil.rmtree(work)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("fvtool")
    parser.add_argument("data")
    parser.add_argument("work")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--splits", nargs=2, metavar=("TRAIN", "TEST"), default=["train", "val"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--only", choices=["labels", "copies"])
    parser.add_argument("--keep", action="store_true", help="keep the copies of the data and the runs")
    args = parser.parse_args()
    voc = os.path.isdir(os.path.join(args.data, "ImageSets"))
    data = Devkit(args.data, args.splits) if voc else Folders(args.data)
    if args.only != "copies":
        labels_experiment(args, data)
    if args.only != "labels":
        copies_experiment(args, data)


if __name__ == "__main__":
    main()
