"""The code of the documents and the notebook runs as it stands."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import CLASSES, draw
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, run):
    """In order, in one namespace, in a folder with `photos/` and the run `runs/first`."""
    monkeypatch.chdir(tmp_path)
    for kind in CLASSES:
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for n in range(12):
            Image.fromarray(draw(kind, n)).save(tmp_path / "photos" / kind / f"{n:02}.png")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "first").symlink_to(run.path)
    names, code = {"__name__": "page"}, blocks(ROOT / "docs" / "PYTHON.md")
    assert len(code) >= 6
    for number, block in enumerate(code):
        if "import torch" in block and find_spec("torch") is None:
            continue  # the others do not need it
        exec(compile(block, f"docs/PYTHON.md, block {number}", "exec"), names)


def test_the_notebook_runs_and_holds_no_output(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    path = ROOT / "examples" / "first_look.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells), "clear the outputs before a commit"
    book = nbformat.read(path, as_version=4)
    client.NotebookClient(book, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    printed = [output.get("text", "") for cell in book.cells for output in cell.get("outputs", [])]
    assert any("accuracy" in text for text in printed), printed
