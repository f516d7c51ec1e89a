#!/usr/bin/env python3
"""Reads the artifacts of a run folder and recomputes one image's Fisher vector in NumPy.

    python3 -m pip install numpy safetensors
    cargo run --release -- demo
    python3 scripts/read_artifacts.py demo/run demo/data/JPEGImages/000001.jpg

The image's descriptors come from `fvtool describe`; projection, posteriors and Fisher vector are
computed here by their definitions in double precision and compared with what fvtool stored.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file


def fisher_vector(x, weights, means, variances, orders):
    """[order 0 | order 1 | order 2] of rows x (N x D), Fisher scaling, divided by N."""
    z = (x[:, None, :] - means) / np.sqrt(variances)
    log = np.log(weights) - 0.5 * (np.log(2 * np.pi * variances).sum(1) + (z**2).sum(2))
    gamma = np.exp(log - log.max(1, keepdims=True))
    gamma /= gamma.sum(1, keepdims=True)
    n, root = len(x), np.sqrt(weights)
    blocks = {
        0: (gamma - weights).sum(0) / (n * root),
        1: np.einsum("nk,nkd->kd", gamma, z) / (n * root[:, None]),
        2: np.einsum("nk,nkd->kd", gamma, z**2 - 1) / (n * np.sqrt(2) * root[:, None]),
    }
    return np.concatenate([blocks[order].ravel() for order in orders])


def main():
    run, image = Path(sys.argv[1]), Path(sys.argv[2])
    fvtool = sys.argv[3] if len(sys.argv) > 3 else "target/release/fvtool"
    pca, gmm = load_file(run / "pca.safetensors"), load_file(run / "gmm.safetensors")
    with safe_open(run / "gmm.safetensors", "np") as file:
        report = json.loads(file.metadata()["fvtool.report"])
    print("gmm:", {name: tensor.shape for name, tensor in gmm.items()})
    print("EM stopped:", report["stop"], "after", len(report["mean_log_likelihood"]) - 1, "iterations")

    index = json.loads((run / "fisher/train/index.json").read_text())
    names = [f"{number:05}.safetensors" for number in range(len(index["shards"]))]
    vectors = np.concatenate([load_file(run / "fisher/train" / name)["vectors"] for name in names])
    ids = []
    for name in names:
        with safe_open(run / "fisher/train" / name, "np") as file:
            ids += json.loads(file.metadata()["fvtool.report"])["ids"]
    print("fisher/train:", vectors.shape, vectors.dtype, "classes:", index["classes"])

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "image.safetensors"
        command = [fvtool, "describe", "--run", run, image, "--output", output]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        described = load_file(output)
    x = (described["descriptors"].astype(np.float64) - pca["mean"]) @ pca["components"].T.astype(float)
    print("projection: largest difference", np.abs(x - described["projected"]).max())
    mine = fisher_vector(x, *(gmm[k].astype(float) for k in ("weights", "means", "variances")), (1, 2))
    mine = np.sign(mine) * np.sqrt(np.abs(mine))
    mine /= np.linalg.norm(mine)
    difference = np.abs(mine - described["vector"]).max()
    print("Fisher vector:", mine.shape, "largest difference", difference)
    row = ids.index(image.stem)
    assert np.array_equal(vectors[row].astype(np.float32), described["vector"]), "shard and describe differ"
    assert difference < 1e-4, difference
    print("agrees to 1e-4, and with its row in the shard exactly")


if __name__ == "__main__":
    main()
