#!/usr/bin/env python3
"""By how much results differ between instruction sets: the same run on emulated processors.

    scripts/instruction_sets.py PROGRAM

Needs qemu-x86_64 (Debian: qemu-user, 7.2 or later). `native` is this processor, `Haswell` has AVX2
and FMA, `Nehalem` neither. Prints the largest differences of what the stages leave from `native`.
"""

import csv
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torture
import torture_data as data


def tensors(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + length])
    for name, info in head.items():
        if name != "__metadata__" and info["dtype"] == "F32":
            start, end = (8 + length + offset for offset in info["data_offsets"])
            yield name, struct.unpack(f"<{(end - start) // 4}f", raw[start:end])


def compared(path, other):
    """Share of equal values, and the largest difference in units of the largest value."""
    rows = []
    for (name, a), (_, b) in zip(tensors(path), tensors(other)):
        equal = sum(x == y for x, y in zip(a, b)) / len(a)
        scale = max(map(abs, a)) or 1.0
        rows.append((name, equal, max(abs(x - y) for x, y in zip(a, b)) / scale))
    return rows


def main():
    program = str(Path(sys.argv[1]).resolve())
    if not shutil.which("qemu-x86_64"):
        sys.exit("qemu-x86_64 is missing; install qemu-user")
    folder = Path(tempfile.mkdtemp(prefix="fvtool-sets-"))
    data.classes(folder / "data", 12)
    for name, before in (
        ("native", []),
        ("Haswell", ["qemu-x86_64", "-cpu", "Haswell"]),
        ("Nehalem", ["qemu-x86_64", "-cpu", "Nehalem"]),
    ):
        run = folder / name
        args = ["run", "--data", folder / "data", "--train", "train", "--test", "test"]
        command = [*before, program, *args, "--run", run, *torture.CONFIG]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        if name == "native":
            continue
        print(f"{name} against native")
        files = ["descriptors/sample", "pca", "gmm", "fisher/test/00000", "svm"]
        for file in files:
            pair = (root / f"{file}.safetensors" for root in (folder / "native", run))
            for tensor, equal, worst in compared(*pair):
                print(f"  {file:20} {tensor:12} {100 * equal:5.1f} % equal, largest {worst:.1e}")
        tables = []
        for root in (folder / "native", run):
            with open(root / "scores/test.csv", newline="") as file:
                tables.append([[float(v) for v in row[1:]] for row in list(csv.reader(file))[1:]])
        worst = max(abs(a - b) for x, y in zip(*tables) for a, b in zip(x, y))
        print(f"  scores: largest difference {worst:.1e}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
