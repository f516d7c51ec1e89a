#!/usr/bin/env python3
"""Encodes or predicts on a Ray cluster. docs/CLUSTER.md says when one machine is enough.

Use it where there is no scheduler with job arrays: a few workstations, machines of a cloud, machines that may be taken
away. Under Slurm, workflow/slurm.sh needs nothing but fvtool. It needs Python 3.10 or later and `ray`; `fsspec` too,
with `s3fs` and the like, for what lies elsewhere; and the program `fvtool` on every machine.

A folder that all machines see, models fitted before (`fvtool fit-gmm --data D --split S --run R`):

    ray_run.py --data D --split S --run R --parts 400

No such folder: images in tar files, predictions to where they come from. The run with its classifier lies on
the machine that starts this, and is sent to the others:

    ray_run.py --images 's3://photos/{000000..000999}.tar' --models R --predictions s3://photos/predictions

A worker or a machine that is lost is replaced by Ray, and its part is made again elsewhere. Whatever was finished
is kept: the same command again makes what is missing. Exit code 0: all is done; 1: some parts failed, and are named; 3: all is
done, but for some images that cannot be used.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ray

DONE, FAILED, SKIPPED = 0, 1, 3
BETWEEN_LINES_S = 2.0
ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".pnm", ".pgm", ".ppm", ".pfm"}
# What of a run scores images: settings, models, classifier, and the indices that the classifier is checked against.
NOT_SENT = {"scores", "results", "eval", "explain", "source.json", "outputs.json"}


class PartFailed(Exception):
    """A part came to no end; Ray tries it again, elsewhere if it can."""


@dataclass
class Done:
    """What became of a part."""

    images: int
    skipped: bool
    was_there: bool  # Nothing had to be made.


def end_with_parent() -> None:
    """Has Linux end fvtool when its worker dies: nobody waits for it, and it would keep the run folder."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def call(program: str, *args: str, folder: Path | None = None) -> tuple[int, str]:
    """Runs fvtool: exit code 0 or 3, and what it wrote."""
    command = [program, *args]
    node = os.uname().nodename
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, preexec_fn=end_with_parent)
    except OSError as problem:
        raise PartFailed(f"on {node}: {problem}") from None
    if done.returncode not in (DONE, SKIPPED):
        raise PartFailed(f"on {node}: exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.returncode, done.stdout


def encode_part(options: argparse.Namespace, part: int) -> Done:
    args = ["encode", "--data", options.data, "--split", options.split, "--run", options.run, "--json", "--quiet"]
    args += ["--part", f"{part}/{options.parts}", "--threads", str(options.cpus)]
    code, out = call(options.program, *args)
    said = json.loads(out.splitlines()[-1])
    return Done(said["images"], code == SKIPPED, not said["made"])


def join(options: argparse.Namespace) -> bool:
    """Writes the index; whether images were skipped. File systems may show shards of other machines late."""
    args = ["encode", "--data", options.data, "--split", options.split, "--run", options.run, "--join", "--quiet"]
    last = time.monotonic() + options.wait
    while True:
        try:
            return call(options.program, *args)[0] == SKIPPED
        except PartFailed:
            if time.monotonic() >= last:
                raise
            time.sleep(min(5.0, options.wait))


def expanded(url: str) -> list[str]:
    """The URLs that `{000000..000099}` stands for, as bash has it."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}", url)
    if not found:
        return [url]
    first, last = found.groups()
    numbers = [f"{n:0{len(first)}}" for n in range(int(first), int(last) + 1)]
    return [each for n in numbers for each in expanded(url[: found.start()] + n + url[found.end() :])]


def whole(url: str) -> str:
    """The URL, or the path from the root: workers stand in folders of their own."""
    return url if "://" in url else os.path.abspath(url)


def name_inside(name: str) -> str | None:
    """A name in a tar as one below the scratch folder; nothing for one that leads elsewhere or is no line."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        return None
    return str(path)


def unpack(tar: Any, folder: Path) -> list[str]:
    """Takes the images of a tar file, and nothing else: no links, no devices, no name outside the folder."""
    names = []
    for member in tar:
        name = name_inside(member.name)
        if not member.isfile() or PurePosixPath(member.name).suffix.lower() not in ENDINGS:
            continue
        if name is None:
            raise PartFailed(f"{member.name!r} leads out of the tar file's folder, or is no name; nothing was unpacked")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            shutil.copyfileobj(tar.extractfile(member), file)
        names.append(name)
    return names


def packed(run: Path) -> bytes:
    """The models of a run, as a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(run.rglob("*")):
            below = path.relative_to(run)
            is_model = path.suffix in {".safetensors", ".toml", ".json"} and below.parts[0] not in NOT_SENT
            is_large = path.parent.name == "descriptors" or ("fisher" in below.parts and path.name != "index.json")
            if path.is_file() and is_model and not is_large:
                # Nothing of the time or the owner, so that the same models are the same bytes.
                member = tarfile.TarInfo(str(below))
                member.size = path.stat().st_size
                with open(path, "rb") as file:
                    tar.addfile(member, file)
    return buffer.getvalue()


def put(file: Path, url: str) -> None:
    """Puts a file whole or not at all: object stores do so themselves, a folder by a rename."""
    import fsspec

    system, path = fsspec.core.url_to_fs(url)
    if "file" in system.protocol:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{os.uname().nodename}-{os.getpid()}.partial")
        shutil.copyfile(file, beside)
        os.replace(beside, target)
    else:
        system.put_file(str(file), path)


def predict_tar(options: argparse.Namespace, models: bytes, url: str) -> Done:
    import fsspec

    target = prediction_of(options, url)
    system, path = fsspec.core.url_to_fs(target)
    if system.exists(path):
        return Done(0, False, was_there=True)
    with tempfile.TemporaryDirectory(prefix="fvtool-", dir=options.scratch) as scratch:
        run, images = Path(scratch, "run"), Path(scratch, "images")
        out, listed = Path(scratch, "out.csv"), Path(scratch, "list.txt")
        images.mkdir()
        with tarfile.open(fileobj=io.BytesIO(models)) as tar:
            tar.extractall(run, filter="data")
        with fsspec.open(url, "rb") as file, tarfile.open(fileobj=file, mode="r|*") as tar:
            names = unpack(tar, images)
        if not names:
            raise PartFailed(f"{url} holds no image")
        listed.write_text("".join(f"{name}\n" for name in names))
        # Named from the folder of the images, so that paths are those in the tar file.
        args = ["predict", "--run", str(run), "--list", str(listed), "--output", str(out), "--quiet"]
        code, _ = call(options.program, *args, "--threads", str(options.cpus), folder=images)
        put(out, target)
    return Done(len(names), code == SKIPPED, was_there=False)


def require_same_models(options: argparse.Namespace, models: bytes) -> None:
    """Predictions of other models are not taken for these: the folder says by its first file whose they are."""
    import fsspec

    url = f"{options.predictions.rstrip('/')}/models.txt"
    system, path = fsspec.core.url_to_fs(url)
    mine = hashlib.sha256(models).hexdigest()
    if not system.exists(path):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(mine)
            file.flush()
            put(Path(file.name), url)
    elif system.cat_file(path).decode() != mine:
        sys.exit(f"{options.predictions} holds predictions of other models; name another folder, or empty it")


def prediction_of(options: argparse.Namespace, url: str) -> str:
    return f"{options.predictions.rstrip('/')}/{PurePosixPath(url.split('::')[0]).stem}.csv"


def line_of(done: list[Done], failed: int, count: int, started: float) -> str:
    """How far it is, by the parts that had to be made."""
    made = [each for each in done if not each.was_there]
    seconds, left = time.monotonic() - started, count - len(done) - failed
    rate = sum(each.images for each in made) / max(seconds, 1e-9)
    text = f"{len(done)} of {count} parts, {rate:.1f} images/s"
    if made and left:
        minutes = seconds / len(made) * left / 60
        text += f", {minutes:.0f} min left" if minutes >= 2 else f", {60 * minutes:.0f} s left"
    return text + (f", {failed} failed" if failed else "")


def work(count: int, start: Callable[[int], ray.ObjectRef]) -> tuple[list[Done], dict[int, str]]:
    """Has all parts made; what became of them, and why some failed."""
    started, said = time.monotonic(), 0.0
    waiting = {start(part): part for part in range(count)}
    done: list[Done] = []
    failed: dict[int, str] = {}
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1)
        for reference in ready:
            part = waiting.pop(reference)
            try:
                done.append(ray.get(reference))
            except PartFailed as problem:
                failed[part] = str(problem.args[0])
            except ray.exceptions.RayError as problem:
                failed[part] = f"{type(problem).__name__}: {str(problem).strip().splitlines()[-1]}"
        if not waiting or time.monotonic() - said >= BETWEEN_LINES_S:
            said = time.monotonic()
            print(line_of(done, len(failed), count, started), file=sys.stderr, flush=True)
    return done, failed


def report(failed: dict[int, str], names: list[str], again: str) -> None:
    print(f"{len(failed)} parts failed:", file=sys.stderr)
    for part, problem in sorted(failed.items()):
        print(f"  {names[part]}: {problem.splitlines()[-1]}", file=sys.stderr)
    print(f"What is done is kept. Again: {again}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = parser.add_argument_group("a folder that all machines see")
    shared.add_argument("--data", help="data folder")
    shared.add_argument("--split")
    shared.add_argument("--run", help="run folder with models")
    shared.add_argument("--parts", type=int, help="4 for each machine; 5 to 30 minutes each")
    shared.add_argument("--wait", type=float, default=60, help="seconds until shards of others are seen (60)")
    apart = parser.add_argument_group("no such folder")
    apart.add_argument("--images", help="tar files: URL with {000000..000099}")
    apart.add_argument("--models", help="run folder with a classifier, on this machine")
    apart.add_argument("--predictions", help="URL of the folder that gets a CSV file for each tar file")
    apart.add_argument("--scratch", help="folder for images on the workers (the system's)")
    parser.add_argument("--cpus", type=int, default=16, help="processors of a part (16)")
    parser.add_argument("--retries", type=int, default=3, help="times that a part is tried again (3)")
    parser.add_argument("--program", default="fvtool", help="fvtool on the machines")
    parser.add_argument("--address", default="auto", help="Ray cluster (auto); `local` starts one on this machine")
    options = parser.parse_args()
    needed = ["data", "split", "run", "parts"] if not options.images else ["models", "predictions"]
    missing = [f"--{name}" for name in needed if not getattr(options, name)]
    if missing:
        parser.error(f"give {', '.join(missing)}, or another mode: see --help")
    ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR)
    again = shlex.join([sys.executable, *sys.argv])
    # A lost machine and a part that failed are tried again alike: another machine may have what one lacks.
    task = ray.remote(
        num_cpus=options.cpus, max_retries=options.retries, retry_exceptions=True, scheduling_strategy="SPREAD"
    )
    if options.images:
        options.predictions, options.images = whole(options.predictions), whole(options.images)
        urls, packed_models = expanded(options.images), packed(Path(options.models))
        if len({prediction_of(options, url) for url in urls}) < len(urls):
            parser.error("two tar files have the same name, and so would their predictions")
        require_same_models(options, packed_models)
        models = ray.put(packed_models)
        predict = task(predict_tar)
        done, failed = work(len(urls), lambda part: predict.remote(options, models, urls[part]))
    else:
        options.data, options.run = (os.path.abspath(path) for path in (options.data, options.run))
        encode = task(encode_part)
        done, failed = work(options.parts, lambda part: encode.remote(options, part))
    if failed:
        names = urls if options.images else [f"part {part}/{options.parts}" for part in range(options.parts)]
        report(failed, names, again)
        return FAILED
    skipped = any(each.skipped for each in done)
    if not options.images:
        try:
            skipped = ray.get(ray.remote(num_cpus=1)(join).remote(options))
        except PartFailed as problem:
            print(f"The parts are done, and cannot be joined: {problem.args[0]}", file=sys.stderr)
            return FAILED
    print(f"{len(done)} parts, {sum(each.images for each in done)} images", file=sys.stderr)
    return SKIPPED if skipped else DONE


if __name__ == "__main__":
    sys.exit(main())
