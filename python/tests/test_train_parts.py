"""The example that trains a network through the layer, from the pictures to what fvtool makes of its files."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import program
from PIL import Image

import fvtool

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `pip install 'fvtool[torch]'`")
reference = pytest.importorskip("onnx.reference", reason="onnx is not installed")
safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_parts.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_parts", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a short run, and what it printed."""
    folder = tmp_path_factory.mktemp("example") / "parts"
    words = [sys.executable, EXAMPLE, "--short", "--threads", "1", "--out", folder]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_pictures_are_those_of_the_seed(example):
    first, labels = example.draw(2, np.random.default_rng(3))
    again, _ = example.draw(2, np.random.default_rng(3))
    other, _ = example.draw(2, np.random.default_rng(4))
    assert first.shape == (12, example.SIDE, example.SIDE, 3) and labels.tolist() == sorted([*range(6)] * 2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_training_through_the_layer_helps(made):
    """Of six classes; on features that are trained for it the layer sees more than on random ones."""
    rows = [line.rsplit(maxsplit=3) for line in made[1].splitlines() if line.endswith(" s") and "%" in line]
    found = {name.strip(): float(share.rstrip("%")) for name, share, _, _ in rows}
    assert len(found) == 4, made[1]
    assert found["trained through the layer"] > 50 > 1.5 * found["layer on untrained features"], found


def test_the_exported_network_computes_the_same(example, tmp_path):
    """Batch normalisation is folded away; statistics that differ from those at the start show mistakes."""
    torch.manual_seed(2)
    features = example.convolutions()
    for _ in range(3):
        features(torch.randn(8, 3, 32, 32))
    for layer in features:
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
            torch.nn.init.normal_(layer.bias)
    example.export(features.eval(), tmp_path / "net.onnx")
    image = torch.randn(1, 3, 40, 24)
    found = reference.ReferenceEvaluator(str(tmp_path / "net.onnx")).run(
        ["features"], {"image": image.numpy()}
    )[0]
    np.testing.assert_allclose(found, features(image).detach().numpy(), atol=1e-4)


def test_fvtool_sees_the_rows_that_the_network_was_trained_on(example, made, tmp_path):
    """Pixels, scaling, size and length of rows: those of the training and those of a run are one."""
    out, _ = made
    small = ["--set", "pca.dimension=4", "--set", "gmm.components=2", "--set", "sample.rows=2000"]
    program(
        *("run", "--run", tmp_path / "run", "--data", out / "pictures", "--train", "test", "--test", "test"),
        *("--config", out / "parts.toml", "--network", out / "features.onnx", *small),
    )
    picture = sorted((out / "pictures" / "test" / "fir").iterdir())[0]
    program("describe", "--run", tmp_path / "run", "--output", tmp_path / "rows.safetensors", picture)
    rows = safetensors.load_file(tmp_path / "rows.safetensors")["descriptors"]
    image = example.scaled(np.array(Image.open(picture))[None]).numpy()
    network = reference.ReferenceEvaluator(str(out / "features.onnx"))
    maps = torch.from_numpy(network.run(["features"], {"image": image})[0])
    np.testing.assert_allclose(rows, example.cells(maps)[0][0].numpy(), atol=1e-5)


def test_the_layers_file_is_worth_something(example, made):
    """Its vectors, made by fvtool alone, tell the classes apart."""
    out, printed = made
    file = safetensors.load_file(out / "layer.safetensors")
    gmm = fvtool.GMM(*(file[f"mixture.{name}"] for name in ("weights", "means", "variances")))
    network = reference.ReferenceEvaluator(str(out / "features.onnx"))
    vectors, names = {}, {}
    for split in ("train", "test"):
        paths = sorted((out / "pictures" / split).glob("*/*.png"))[:: 2 if split == "train" else 1]
        names[split] = np.array([path.parent.name for path in paths])
        images = example.scaled(np.stack([np.asarray(Image.open(path)) for path in paths])).numpy()
        rows = example.cells(torch.from_numpy(network.run(["features"], {"image": images})[0]))[0].numpy()
        projected = (rows - file["projection.mean"]) @ file["projection.components"].T
        vectors[split] = np.stack([fvtool.fisher_vector(image, gmm, improved=True) for image in projected])
    classifier = fvtool.Classifier().fit(vectors["train"], names["train"])
    assert (classifier.predict(vectors["test"]) == names["test"]).mean() > 0.5
    assert (
        f"--set layer.file={out}/layer.safetensors" in printed and f"--network {out}/features.onnx" in printed
    )
