#!/usr/bin/env python3
"""Whether `fvtool why` adds up, and whether its scores without an image are those of a real training.

    python3 scripts/check_why.py FVTOOL RUN DATA SPLIT WORK [--images 10] [--left-out 50]

RUN is a run with a classifier. For the first images of SPLIT and the class of the highest score: the largest
|Σ shares + rest − score|. For the first of them: a copy of RUN in WORK is trained again without each of the
training images that `why` names, to a relative gap of 1e-6, and the photograph is scored by it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("fvtool", "run", "data", "split", "work"):
        parser.add_argument(name)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--left-out", type=int, default=50)
    args = parser.parse_args()
    with open(os.path.join(args.run, "scores", f"{args.split}.csv")) as file:
        ids = [line.split(",")[0] for line in file][1:]
    worst, rest = 0.0, 0.0
    for image in ids[: args.images]:
        why = json.loads(run(args.fvtool, "why", image, "--run", args.run, "--data", args.data, "--top", 1,
                             "--json", "--quiet"))
        worst = max(worst, abs(why["sum"] + why["rest"] - why["score"]))
        rest = max(rest, abs(why["rest"]))
    print(f"{args.images} images: largest |sum − score| {worst:.1e}; largest part that no image adds {rest:.1e}")
    image = ids[0]
    why = json.loads(run(args.fvtool, "why", image, "--run", args.run, "--data", args.data, "--top",
                         (args.left_out + 1) // 2, "--json", "--quiet"))
    copy = os.path.join(args.work, "run")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(args.run, copy)
    split = why["trained_on"]
    photo = [os.path.join(root, name) for root, _, names in os.walk(args.data) for name in names
             if os.path.splitext(name)[0] == os.path.basename(image) and name.lower().endswith(("jpg", "png"))][0]
    largest, moved = 0.0, 0.0
    shares = (why["speaking_for"] + why["speaking_against"])[: args.left_out]
    for share in shares:
        run(args.fvtool, "train-svm", "--run", copy, "--split", split, "--set",
            f"svm.without_images=[{json.dumps(share['id'])}]", "--set", "svm.tolerance=1e-6", "--refit", "--quiet")
        said = json.loads(run(args.fvtool, "predict", "--run", copy, "--top", 0, "--json", "--quiet", photo))
        score = next(c["score"] for c in said["classes"] if c["class"] == why["class"])
        largest = max(largest, abs(score - share["without"]))
        moved = max(moved, abs(why["optimum"] - share["without"]))
    print(f"{image}, {why['class']}: {len(shares)} trainings without an image; largest difference {largest:.1e}; "
          f"the score moves by up to {moved:.3f}")


if __name__ == "__main__":
    main()
