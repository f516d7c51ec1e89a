#!/usr/bin/env python3
"""Trains a classifier on vectors that are twice as large as the memory, and says what is read; see docs/PERFORMANCE.md.

    scripts/out_of_core.py PROGRAM [--short] [--rows N] [--columns N] [--classes N] [--work FOLDER]

Makes vectors like Fisher vectors (class means and noise with a spectrum that decays, square roots of the values, unit
length; sorted by class), a run folder with them, and trains it by `svm.solver=dual` twice: with the memory that there
is, and in a memory cgroup of half the size of the vectors (as root; without it, once). Prints for each what was read
(the kernel's count of the process), the epochs, their product with the size of the vectors, seconds, and whether the
classifiers are the same byte for byte. Exit code 1 when they are not, or when more than 1.2 times epochs × size is read.
Python's standard library and numpy. About ten minutes, and 4 GB of disk; --short: one minute, 300 MB.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import torture_data

SETTINGS = ["descriptors.kind=vectors", "encoding.storage=f32", "svm.solver=dual"]
# Most that may be read for a byte of the vectors and an epoch.
MOST_READ = 1.2
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--short", action="store_true", help="fewer vectors")
    parser.add_argument("--rows", type=int, help="vectors (default: 80000, short 25000)")
    parser.add_argument("--columns", type=int, help="values of each, 4096 at most (default: 4096, short 1024)")
    parser.add_argument("--classes", type=int, default=12)
    parser.add_argument("--c", type=float, default=1.0, help="svm.c (default: 1)")
    parser.add_argument("--work", type=Path, help="folder to work in (default: a temporary one)")
    options = parser.parse_args()
    options.rows = options.rows or (25_000 if options.short else 80_000)
    options.columns = options.columns or (1024 if options.short else 4096)
    options.program = str(Path(options.program).resolve())
    return options


def make_data(options, folder):
    """A folder of images for each class, and a row for each image in vectors.npy."""
    rows, columns, factors = options.rows, options.columns, 256
    random = np.random.default_rng(1)
    image = torture_data.png(8, 8, [bytes(range(8))] * 8)  # Nobody looks at it.
    classes = np.arange(rows) * options.classes // rows
    ids = []
    for number, of_class in enumerate(classes):
        place = folder / "data/train" / f"class{of_class:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:07}.png").write_bytes(image)
        ids.append(f"train/class{of_class:03}/{number:07}.png")
    (folder / "vectors.ids.txt").write_text("\n".join(ids) + "\n")
    means = 0.4 * random.standard_normal((options.classes, factors), dtype=np.float32)
    mixing = random.standard_normal((factors, columns), dtype=np.float32)
    mixing /= np.sqrt(np.arange(1, factors + 1, dtype=np.float32))[:, None]
    shape = (rows, columns)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", mode="w+", dtype="<f4", shape=shape)
    for start in range(0, rows, 4096):
        of_rows = classes[start:start + 4096]
        latent = means[of_rows] + random.standard_normal((len(of_rows), factors), dtype=np.float32)
        block = latent @ mixing + random.standard_normal((len(of_rows), columns), dtype=np.float32)
        block = np.sign(block) * np.sqrt(np.abs(block))
        vectors[start:start + 4096] = block / np.linalg.norm(block, axis=1, keepdims=True)
    vectors.flush()


def encode(options, folder):
    """The run folder. Images and the file of vectors are taken away after it, so that training reads the run alone."""
    settings = [*SETTINGS, f"descriptors.file={folder / 'vectors.npy'}", f"svm.c={options.c}"]
    words = [word for setting in settings for word in ("--set", setting)]
    subprocess.run([options.program, "encode", "--data", folder / "data", "--split", "train", "--run",
                    folder / "run", "--config", "quick", "--quiet", *words], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder / "data")
    # The settings name a file, which must be there.
    np.save(folder / "vectors.npy", np.ones((1, options.columns), dtype="<f4"))
    (folder / "vectors.ids.txt").write_text("none\n")


class Cgroup:
    """A limit of memory for what `enter` is called in."""

    def __init__(self, limit):
        v1 = (V1 / "memory.limit_in_bytes").exists()
        self.folder = (V1 if v1 else V2) / f"fvtool-out-of-core-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit))

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        for _ in range(50):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)


def train(options, run, enter=None):
    """Seconds, bytes read, epochs, and the classifier."""
    words = [options.program, "train-svm", "--run", run, "--split", "train", "--quiet"]
    began = time.monotonic()
    process = subprocess.Popen(words, preexec_fn=enter, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if status != 0:
        sys.exit(f"training failed: {words}")
    model = (run / "svm.safetensors").read_bytes()
    head = json.loads(model[8:8 + int.from_bytes(model[:8], "little")])
    reports = json.loads(head["__metadata__"]["fvtool.report"])["reports"]
    # The kernel counts in units of 512 bytes.
    return seconds, 512 * used.ru_inblock, max(report["epochs"] for report in reports), model


def drop_page_cache():
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        print("the page cache cannot be dropped: less may be read than is counted on", file=sys.stderr)


def main():
    options = arguments()
    folder = options.work or Path(tempfile.mkdtemp(prefix="fvtool-out-of-core-"))
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{options.rows} vectors of {options.columns} values in {folder} …", file=sys.stderr)
    make_data(options, folder)
    encode(options, folder)
    again = folder / "again"
    shutil.copytree(folder / "run", again, copy_function=os.link)
    size = sum(file.stat().st_size for file in (folder / "run/fisher/train").iterdir())
    found = {"all memory": train(options, folder / "run")}
    try:
        group = Cgroup(size // 2)
    except OSError as error:
        print(f"no memory cgroup can be made ({error}): the second training is skipped", file=sys.stderr)
    else:
        drop_page_cache()
        found["half the size"] = train(options, again, group.enter)
        group.remove()
    print(f"| memory | vectors | epochs | read | read ÷ (epochs × size) | seconds |\n|{'---|' * 6}")
    for name, (seconds, read, epochs, _) in found.items():
        print(f"| {name} | {size / 1e6:.0f} MB | {epochs} | {read / 1e6:.0f} MB | {read / epochs / size:.2f} | {seconds:.1f} |")
    good = True
    if len(found) == 2:
        plain, small = found.values()
        same = plain[3] == small[3]
        print(f"\ntime: {small[0] / plain[0]:.2f} times; classifiers: {'the same bytes' if same else 'DIFFERENT'}")
        good = same and small[1] <= MOST_READ * small[2] * size
    if options.work is None:
        shutil.rmtree(folder)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
