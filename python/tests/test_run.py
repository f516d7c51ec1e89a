"""A run folder, read: against the files and the output of the program."""

import csv
import hashlib
import json
import pickle
from urllib.parse import unquote

import numpy as np
import pytest
from conftest import CLASSES, draw, program

import fvtool


def digest(folder):
    """A hash of all files of a folder, with their times."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(f"{path} {path.stat().st_mtime_ns}".encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


def test_a_run_holds_what_its_files_say(run):
    before = digest(run.path)
    assert run.classes == CLASSES and run.splits == ["test", "train"] and run.channels == [""]
    assert run.config["gmm"]["components"] == 4
    vectors, ids = run.vectors("test")
    assert vectors.shape == (12, 2 * 4 * run.gmm().means.shape[1]) and len(ids) == 12
    scores = run.scores("test")
    with open(run.path / "scores" / "test.csv") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == ids
    stored = np.array([[np.float32(row[c]) for c in run.classes] for row in table])
    assert np.array_equal(scores, stored)
    machine = run.classifier()
    by_hand = vectors.astype(float) @ machine["weights"].T.astype(float) + machine["bias"]
    assert np.allclose(scores, by_hand, atol=1e-5)
    assert np.array_equal(run.labels("test") == 1, [[c == i.split("/")[0] for c in CLASSES] for i in ids])
    figures = json.loads((run.path / "eval" / "test.json").read_text())
    measures = run.measures("test")
    assert measures["map"] == figures["map"] and measures["accuracy"] == figures["accuracy"]
    with open(run.path / "eval" / "test" / "predictions.csv") as file:
        table = list(csv.DictReader(file))
    found = run.predictions("test")
    for key in ("true", "predicted"):
        assert found[key] == [row[key] for row in table]
    assert np.array_equal(found["score_disc"], [np.float32(row["disc"]) for row in table])
    pca = run.pca()
    assert pca.components.shape == (12, 128) and run.gmm().weights.shape == (4,)
    assert pickle.loads(pickle.dumps(run)).classes == CLASSES
    assert digest(run.path) == before, "something was written"


def test_predictions_make_a_table(run):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(run.predictions("test"))
    assert len(table) == 12 and (table["true"] == table["predicted"]).all()


def test_new_images_are_scored_as_the_program_scores_them(run, channels_run, data):
    files = sorted((data / "test").rglob("*.png"))
    pixels = [draw(file.parent.name, int(file.stem)) for file in files]
    for of_run in (run, channels_run):
        before = digest(of_run.path)
        found = of_run.predict(files)
        done = program("predict", "--run", of_run.path, "--csv", *files)
        table = list(csv.DictReader(done.stdout.splitlines()))
        assert found["predicted"] == [row["label"] for row in table]
        for name in CLASSES:
            printed = [float(row[name]) for row in table]  # six digits
            assert np.allclose(found[f"score_{name}"], printed, rtol=0, atol=6e-7)
        in_memory = of_run.predict(pixels, threads=1)
        assert np.array_equal(in_memory["score_disc"], found["score_disc"])
        assert in_memory["image"] == [str(n) for n in range(len(files))]
        assert digest(of_run.path) == before
    best = [max(found[f"probability_{c}"][n] for c in CLASSES) for n in range(len(files))]
    assert np.allclose(best, [float(row["probability"]) for row in table], atol=1e-6)


def test_what_is_missing_or_damaged_is_refused(run, tmp_path, data):
    import shutil

    with pytest.raises(fvtool.FvtoolError, match="run folder"):
        fvtool.Run(run.path.parent / "runn")
    with pytest.raises(fvtool.FvtoolError, match="settings of a run"):
        fvtool.Run(data)
    with pytest.raises(fvtool.FvtoolError, match="fvtool encode"):
        run.vectors("nosuch")
    with pytest.raises(fvtool.FvtoolError, match="fvtool eval"):
        run.measures("train2")
    with pytest.raises(fvtool.FvtoolError, match="argument `channel`"):
        run.gmm("colour")
    with pytest.raises(fvtool.FvtoolError, match="one path"):
        run.predict("a.png")
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    damaged = fvtool.Run(copy)
    svm = copy / "svm.safetensors"
    content = bytearray(svm.read_bytes())
    content[-1] ^= 1
    svm.write_bytes(content)
    with pytest.raises(fvtool.FvtoolError, match="checksum"):
        damaged.scores("test")


def test_channels_have_models_of_their_own(channels_run):
    assert channels_run.channels == ["sift", "colour"]
    assert channels_run.pca("sift").mean.shape == (128,)
    assert channels_run.pca("colour").mean.shape == (96,)
    with pytest.raises(fvtool.FvtoolError, match="sift, colour"):
        channels_run.gmm()


@pytest.mark.parametrize("rule", ["plain", "absolute"])
def test_a_heatmap_adds_up_to_the_score(run, channels_run, rule):
    image = draw("disc", 14)
    for of_run in (run, channels_run):
        scores = of_run.predict([image])
        for name in CLASSES:
            heat = fvtool.explain(of_run, image, name, rule=rule)
            assert heat.relevance.shape == image.shape[:2] and heat.class_name == name
            assert abs(heat.score - scores[f"score_{name}"][0]) < 1e-5
            assert abs(heat.relevance.sum() - heat.score) < 1e-4 * max(1, abs(heat.score))


def test_heatmaps_are_those_of_the_program(run, data):
    """`fvtool explain --raw` writes the values; here with the same default rule."""
    program("explain", "--data", data, "--split", "test", "--run", run.path, "--class", "disc",
            "--only", "all", "--raw")
    raw = run.path / "explain" / "test" / "heatmaps" / "disc"
    path = min(raw.glob("*.safetensors"))
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entry = json.loads(content[8:start])["pixels"]
    first, last = (start + offset for offset in entry["data_offsets"])
    expected = np.frombuffer(content[first:last], np.float32).reshape(entry["shape"])
    heat = fvtool.explain(run, data / "test" / f"{unquote(path.stem)}.png", "disc")
    assert np.abs(expected).max() > 0 and np.allclose(heat.relevance, expected, rtol=1e-6, atol=1e-9)


def test_the_highest_class_is_explained_where_none_is_named(run):
    for name in CLASSES:
        assert fvtool.explain(run, draw(name, 15)).class_name == name
    with pytest.raises(fvtool.FvtoolError, match="class `dics`.*disc"):
        fvtool.explain(run, draw("disc", 1), "dics")
    with pytest.raises(fvtool.FvtoolError, match="argument `rule`"):
        fvtool.explain(run, draw("disc", 1), rule="lrp")
    with pytest.raises(fvtool.FvtoolError, match="argument `model`"):
        fvtool.explain("run", draw("disc", 1))
