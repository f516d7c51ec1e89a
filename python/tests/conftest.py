"""Images that the tests draw themselves, and a run of the program on them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import fvtool

CLASSES = ["disc", "stripes"]
SIZE = (48, 64)
SMALL = {
    "pca.dimension": 12,
    "gmm.components": 4,
    "sample.rows": 2000,
    "descriptors.bin_sizes_px": [4, 6],
}


def draw(kind, number):
    """An image of a class, H×W×3 uint8; the same for the same number."""
    rng = np.random.default_rng(1000 * CLASSES.index(kind) + number)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    if kind == "stripes":
        shape = (x + rng.integers(8)) % 8 < 4
    else:
        centre = rng.integers(14, 34), rng.integers(14, 50)
        shape = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < rng.integers(8, 13) ** 2
    image = 90 + 90 * shape[..., None] + rng.normal(0, 12, (*SIZE, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def program(*arguments, expect=0):
    """Runs the program of this environment."""
    words = [sys.executable, "-m", "fvtool", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="session")
def photos():
    """24 images for training and as many names."""
    each = [(draw(kind, n), kind) for kind in CLASSES for n in range(12)]
    return [image for image, _ in each], [kind for _, kind in each]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The images as a folder of PNG files: train as `photos`, and test."""
    folder = tmp_path_factory.mktemp("data")
    for split, numbers in [("train", range(12)), ("test", range(12, 18))]:
        for kind in CLASSES:
            place = folder / split / kind
            place.mkdir(parents=True)
            for n in numbers:
                Image.fromarray(draw(kind, n)).save(place / f"{n:02}.png")
    return folder


def settings():
    """`--set` for each of SMALL."""
    return [word for k, v in SMALL.items() for word in ("--set", f"{k}={v}")]


@pytest.fixture(scope="session")
def run(data, tmp_path_factory):
    """A run of the program on the folder."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    program("run", "--data", data, "--run", folder, "--config", "fast", *settings())
    return fvtool.Run(folder)


@pytest.fixture(scope="session")
def channels_run(data, tmp_path_factory):
    """A run of two channels, weighted, with calibrated scores."""
    folder = tmp_path_factory.mktemp("runs") / "channels"
    config = folder.parent / "two.toml"
    config.write_text(CHANNELS)
    program("run", "--data", data, "--run", folder, "--config", config)
    return fvtool.Run(folder)


CHANNELS = """
[descriptors]
bin_sizes_px = [4, 6]
[sample]
rows = 2000
[pca]
dimension = 10
[gmm]
components = 4
[svm]
calibration = "platt"
[[channel]]
name = "sift"
[[channel]]
name = "colour"
weight = 0.5
descriptors.kind = "colour"
encoding.storage = "f16"
"""


@pytest.fixture(scope="session")
def rows():
    """Rows about three centres, 900×5 float32."""
    rng = np.random.default_rng(3)
    centres = np.array([[0, 0, 0, 0, 0], [3, 0, 1, 0, 2], [0, 4, 0, -2, 1]], dtype=np.float32)
    scales = np.array([[1.0], [0.5], [2.0]])
    rows = centres[:, None] + scales[:, None] * rng.normal(size=(3, 300, 5))
    return rng.permutation(rows.reshape(-1, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("FVTOOL"):
            monkeypatch.delenv(name)
