#!/usr/bin/env python3
"""Encodes in parts, badly treated, and compares each result with that of one process; see docs/CLUSTER.md.

    scripts/check_cluster.py --program PATH             everything: Slurm, Ray and Snakemake too, which it installs
    scripts/check_cluster.py --program PATH --short     processes alone, under a minute

Prints a line for each check. Exit code 1 when one has failed. Python's standard library alone; what needs more than is
there (a C compiler, root, a registry) is skipped with a word.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torture_data as data

CONFIG = """\
[data]
shard_images = 8
[descriptors]
bin_sizes_px = [8]
step_px = 4
window = "flat"
[sample]
rows = 4000
[pca]
dimension = 16
[gmm]
components = 4
max_iterations = 5
kmeans_iterations = 3
[svm]
c = 10.0
"""
PER_CLASS = 30  # Two classes: seven whole shards and one of four images.
SHARDS = 8
# What names places outside the run, and the lock.
NOT_COMPARED = {"source.json", ".lock"}

# A file system without locks, and one on which the last step of writing a shard takes long.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <stdio.h>
int flock(int fd, int how) {
    static int (*real)(int, int);
    if (!real) real = dlsym(RTLD_NEXT, "flock");
    const char *error = getenv("NO_LOCKS");
    if (error) { errno = atoi(error); return -1; }
    return real(fd, how);
}
static void wait_for(const char *name, const char *path) {
    const char *ms = getenv(name);
    if (ms && strstr(path, ".safetensors")) usleep(1000 * atoi(ms));
}
int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = dlsym(RTLD_NEXT, "rename");
    wait_for("SLOW_RENAME_MS", to);
    return real(from, to);
}
ssize_t write(int fd, const void *bytes, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    const char *ms = getenv("SLOW_WRITE_MS");
    if (ms && size > 1000) {
        char link[64], path[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof path - 1);
        if (n > 0 && (path[n] = 0, strstr(path, ".safetensors"))) {
            ssize_t half = real(fd, bytes, size / 2);
            usleep(1000 * atoi(ms));
            return half;
        }
    }
    return real(fd, bytes, size);
}
"""
ENOLCK, EOPNOTSUPP = 37, 95


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run folder but those that name places, and the hidden stamps with times."""
    files = (path for path in sorted(run.rglob("*")) if path.is_file())
    kept = (path for path in files if path.name not in NOT_COMPARED and not path.name.endswith(".stamp"))
    return {str(path.relative_to(run)): path.read_bytes() for path in kept}


class Failed(Exception):
    """A check did not end as it should."""


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Failed(why)


class Cluster:
    """One data folder, a run with models, and the same encoded by one process."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.program = str(Path(options.program).resolve())
        self.short, self.only, self.options = options.short, options.only, options
        self.random = random.Random(options.seed)
        self.folder = folder
        self.outcomes = {"ok": 0, "FAILED": 0, "skipped": 0}
        self.data, self.config = folder / "data", folder / "config.toml"
        self.fitted, self.whole = folder / "fitted", folder / "whole"
        self.shim: Path | None = None

    # -- helpers ---------------------------------------------------------------------------------

    def start(self, *args: object, **environment: object) -> subprocess.Popen[str]:
        added = {name: str(value) for name, value in environment.items()}
        if added:
            added["LD_PRELOAD"] = str(self.shim)
        return subprocess.Popen(
            [self.program, *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **added},
        )

    def call(self, *args: object, code: int = 0, words: tuple[str, ...] = (), **environment: object) -> str:
        """Runs fvtool, which has to end with `code` and say `words`; what it said."""
        return self.end(self.start(*args, **environment), code, words)

    def end(self, process: subprocess.Popen[str], code: int = 0, words: tuple[str, ...] = ()) -> str:
        try:
            out, err = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed("it hung") from None
        said = err + out
        require(process.returncode == code, f"exit code {process.returncode}, not {code}: {said[-500:]}")
        absent = [word for word in words if word not in said]
        require(not absent, f"{absent} not in: {said[-500:]}")
        return said

    def on(self, run: Path, split: str = "train") -> list[object]:
        return ["encode", "--data", self.data, "--split", split, "--run", run]

    def part(self, run: Path, part: int, of: int, split: str = "train") -> list[object]:
        return [*self.on(run, split), "--part", f"{part}/{of}"]

    def new(self, name: str) -> Path:
        """A copy of the run with models."""
        run = self.folder / name
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(self.fitted, run)
        return run

    def joined(self, run: Path) -> None:
        """Joins the parts, and compares with the run of one process."""
        self.call(*self.on(run), "--join")
        self.same(self.whole, run)

    @staticmethod
    def same(wanted: Path, run: Path) -> None:
        a, b = contents(wanted), contents(run)
        names = [name for name in sorted(a | b) if a.get(name) != b.get(name)]
        require(not names, f"not the bytes of one process: {names[:6]}")

    @staticmethod
    def shards(run: Path) -> list[str]:
        return sorted(path.name for path in run.glob("fisher/train/[0-9]*.safetensors"))

    @staticmethod
    def until(holds: Callable[[], bool], process: subprocess.Popen[str] | None = None, seconds: float = 60) -> None:
        """Waits for something, at most as long as a process goes on."""
        last = time.monotonic() + seconds
        while not holds() and (process is None or process.poll() is None):
            require(time.monotonic() < last, "what was waited for did not come")
            time.sleep(0.002)

    def check(self, name: str, body: Callable[[], str | None], always: bool = False) -> None:
        """One line: `ok`, `FAILED` with the reason, or `skipped` with what the body gives back as its reason."""
        if self.only not in name and not always:
            return
        started = time.monotonic()
        try:
            why = body()
            outcome = "skipped" if why else "ok"
        except (Failed, OSError, subprocess.SubprocessError, RuntimeError) as problem:
            outcome, why = "FAILED", str(problem)
        self.outcomes[outcome] += 1
        print(f"{outcome} {name}{f': {why}' if why else ''} ({time.monotonic() - started:.1f} s)", flush=True)

    # -- what everything is compared with ----------------------------------------------------------

    def prepare(self) -> None:
        data.classes(self.data, PER_CLASS, 128)
        self.config.write_text(CONFIG)
        on = ["--data", self.data, "--split", "train", "--run", self.fitted]
        self.call("fit-gmm", *on, "--config", self.config)
        shutil.copytree(self.fitted, self.whole)
        self.call(*self.on(self.whole))
        require(len(self.shards(self.whole)) == SHARDS, f"{self.shards(self.whole)}, not {SHARDS} shards")
        compiler, source = shutil.which("cc"), self.folder / "shim.c"
        source.write_text(SHIM)
        shim = self.folder / "shim.so"
        if compiler:
            made = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"])
            self.shim = shim if made.returncode == 0 else None

    # -- parts -----------------------------------------------------------------------------------

    def any_order(self) -> None:
        for of in (1, 2, 3, 7):
            run, order = self.new("order"), list(range(of))
            self.random.shuffle(order)
            for part in order:
                self.call(*self.part(run, part, of))
            require(not (run / "fisher/train/index.json").exists(), "a part has written an index")
            self.joined(run)

    def at_once(self) -> None:
        for of in (2, 3, 7):
            run = self.new("at_once")
            for process in [self.start(*self.part(run, part, of)) for part in range(of)]:
                self.end(process)
            self.joined(run)

    def again(self) -> None:
        """What is there is left alone, and parts of other sizes take it over."""
        run = self.new("again")
        for of in (3, 3, 2):
            times = {path: path.stat().st_mtime_ns for path in run.glob("fisher/train/*.safetensors")}
            for part in range(of):
                self.call(*self.part(run, part, of))
            made = [path.name for path, at in times.items() if path.stat().st_mtime_ns != at]
            require(not made, f"made again: {made}")
        self.joined(run)

    def more_parts_than_shards(self) -> None:
        run = self.new("many")
        for part in range(SHARDS + 3):
            self.call(*self.part(run, part, SHARDS + 3))
        self.joined(run)

    def some_parts(self) -> None:
        """Whoever encodes without --part makes the rest."""
        run = self.new("some")
        self.call(*self.part(run, 1, 3))
        self.call(*self.on(run))
        self.same(self.whole, run)

    def kills(self) -> None:
        started = time.monotonic()
        self.call(*self.part(self.new("killed"), 0, 2))
        takes = time.monotonic() - started
        for _ in range(3 if self.short else 20):
            run = self.new("killed")
            processes = [self.start(*self.part(run, part, 2)) for part in range(2)]
            time.sleep(self.random.uniform(0.0, takes))
            for process in processes:
                process.kill()
                process.communicate()
            times = {path: path.stat().st_mtime_ns for path in run.glob("fisher/train/*.safetensors")}
            for part in (1, 0):
                self.call(*self.part(run, part, 2))
            made = [path.name for path, at in times.items() if path.stat().st_mtime_ns != at]
            require(not made, f"finished shards were made again: {made}")
            self.joined(run)

    def half_a_shard(self) -> str | None:
        if self.shim is None:
            return "there is no C compiler"
        run = self.new("half")
        process = self.start(*self.part(run, 0, 1), SLOW_WRITE_MS=60_000)
        partials = lambda: list(run.glob("fisher/train/.*.partial"))
        self.until(lambda: any(path.stat().st_size > 0 for path in partials()), process)
        process.kill()
        process.communicate()
        require(bool(partials()) and not self.shards(run), f"{partials()} and {self.shards(run)} are there")
        self.call(*self.on(run), "--join", code=1, words=(f"{SHARDS} shards of {SHARDS}",))
        self.call(*self.part(run, 0, 1))
        self.joined(run)
        return None

    def same_part_twice(self) -> None:
        for _ in range(1 if self.short else 20):
            run = self.new("twice")
            for process in [self.start(*self.part(run, 0, 1)) for _ in range(2)]:
                self.end(process)
            self.joined(run)

    def late(self) -> None:
        """A shard that the joining machine does not see yet."""
        run = self.new("late")
        for part in range(2):
            self.call(*self.part(run, part, 2))
        shard, away = run / "fisher/train/00005.safetensors", self.folder / "away"
        shard.rename(away)
        self.call(*self.on(run), "--join", code=1, words=(f"1 shard of {SHARDS}", "numbers 5"))
        require(not (run / "fisher/train/index.json").exists(), "an index was written")
        away.rename(shard)
        self.joined(run)

    def missing_before(self) -> None:
        run, away = self.new("unmounted"), self.folder / "unmounted_data"
        self.data.rename(away)
        try:
            self.call(*self.part(run, 0, 2), code=1, words=("data",))
        finally:
            away.rename(self.data)
        require(not self.shards(run), f"shards of no images: {self.shards(run)}")
        for part in range(2):
            self.call(*self.part(run, part, 2))
        self.joined(run)

    def missing_during(self) -> None:
        run, away = self.new("lost_mount"), self.folder / "unmounted_data"
        process = self.start(*self.part(run, 0, 1), "--threads", 1)
        self.until(lambda: bool(self.shards(run)), process)
        self.data.rename(away)
        try:
            self.end(process, 1, ("mounted",))
        finally:
            away.rename(self.data)
        require(len(self.shards(run)) < SHARDS, "shards of no images were made")
        # What was read while the folder went is read again.
        self.call(*self.part(run, 0, 1))
        self.joined(run)

    def other_settings(self) -> None:
        run = self.new("settings")
        for other in (["--set", "encoding.power=1.0"], ["--seed", "9"], ["--config", "best"]):
            self.call(*self.part(run, 0, 2), *other, code=1, words=("settings that the run has",))
        self.same(self.fitted, run)

    def no_models(self) -> None:
        run = self.folder / "no_models"
        self.call(*self.part(run, 0, 2), code=1)
        require(not (run / "fisher").exists(), "a part has begun without models")
        run = self.new("no_mixture")
        (run / "gmm.safetensors").unlink()
        self.call(*self.part(run, 0, 2), code=1, words=("missing",))
        require(not (run / "gmm.safetensors").exists(), "a part has fitted a mixture")

    def refit_meanwhile(self) -> str | None:
        if self.shim is None:
            return "there is no C compiler"
        run = self.new("refit")
        process = self.start(*self.part(run, 0, 1), SLOW_RENAME_MS=300)
        self.until(lambda: bool(list(run.glob("fisher/train/.*.partial"))), process)
        refit = ["fit-gmm", "--data", self.data, "--split", "train", "--run", run, "--refit", "--seed", "9"]
        self.call(*refit, code=1, words=("another fvtool",))
        self.end(process)
        self.joined(run)
        return None

    # -- file systems without locks ------------------------------------------------------------------

    def without_locks(self) -> str | None:
        """The same part by several processes that nothing keeps apart, their last steps at the same moment."""
        if self.shim is None:
            return "there is no C compiler"
        for error in (ENOLCK, EOPNOTSUPP):
            for _ in range(1 if self.short else 10):
                run, slow = self.new("no_locks"), 50 + self.random.randrange(50)
                several = [
                    self.start(*self.part(run, part, of), NO_LOCKS=error, SLOW_RENAME_MS=slow)
                    for part, of in ((0, 1), (0, 1), (1, 2))
                ]
                for process in several:
                    self.end(process, words=("no locks",))
                self.call(*self.on(run), "--join", NO_LOCKS=error)
                self.same(self.whole, run)
        return None

    def refit_without_locks(self) -> str | None:
        """Nothing keeps the models from being made again, and their shards are not joined."""
        if self.shim is None:
            return "there is no C compiler"
        run = self.new("refit_no_locks")
        self.call(*self.part(run, 0, 2), NO_LOCKS=ENOLCK)
        refit = ["fit-gmm", "--data", self.data, "--split", "train", "--run", run, "--refit", "--seed", "9"]
        self.call(*refit, NO_LOCKS=ENOLCK)
        self.call(*self.part(run, 1, 2), NO_LOCKS=ENOLCK)
        self.call(*self.on(run), "--join", code=1, words=("00000.safetensors", "refit"), NO_LOCKS=ENOLCK)
        return None

    # -- images that cannot be used -------------------------------------------------------------------

    def bad_image(self) -> None:
        """Exit code 3 of the part that has it and of the join, 0 of the others."""
        image = self.data / "test/across/00003.png"
        kept = image.read_bytes()
        image.write_bytes(b"this is no image\n")
        try:
            run, alone = self.new("bad"), self.new("bad_alone")
            self.call(*self.on(alone, "test"), code=3)
            self.call(*self.part(run, 0, 2, "test"), code=3, words=("00003",))
            self.call(*self.part(run, 1, 2, "test"))
            self.call(*self.on(run, "test"), "--join", code=3)
            self.same(alone, run)
        finally:
            image.write_bytes(kept)

    def predictions(self) -> None:
        """Parts of a list, one of them killed on the way: after one another they are the table of one process."""
        run, listed = self.folder / "predicting", self.folder / "list.txt"
        shutil.copytree(self.whole, run)
        self.call("train-svm", "--run", run, "--split", "train")
        images = sorted((self.data / "test").rglob("*.png"))
        listed.write_text("".join(f"{image}\n" for image in images))

        def predict(part: int, of: int) -> list[object]:
            out = self.folder / f"{part}_of_{of}.csv"
            return ["predict", "--run", run, "--list", listed, "--part", f"{part}/{of}", "--output", out]

        process = self.start(*predict(1, 3))
        time.sleep(0.03)
        process.kill()
        process.communicate()
        require(not (self.folder / "1_of_3.csv").exists() or process.returncode == 0, "half a table has its name")
        for part, of in ((0, 1), (2, 3), (1, 3), (0, 3)):
            self.call(*predict(part, of))
        tables = [(self.folder / f"{part}_of_3.csv").read_text().splitlines() for part in range(3)]
        whole = (self.folder / "0_of_1.csv").read_text().splitlines()
        require(len(whole) == len(images) + 1, f"{len(whole) - 1} of {len(images)} images")
        require(whole == whole[:1] + [line for table in tables for line in table[1:]], "not the table of one process")

    def mixed_processors(self) -> str | None:
        """The join notes shards of other instructions. Emulated, as scripts/instruction_sets.py does."""
        emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
        if emulator is None:
            return "qemu-user is not installed"
        run = self.new("mixed")
        self.call(*self.part(run, 0, 2))
        program, self.program = self.program, str(self.folder / "emulated")
        Path(self.program).write_text(f'#!/bin/sh\nexec {emulator} -cpu Nehalem {program} "$@"\n')
        Path(self.program).chmod(0o755)
        try:
            self.call(*self.part(run, 1, 2))
        finally:
            self.program = program
        self.call(*self.on(run), "--join", words=("instructions",))
        return None

    # -- all -------------------------------------------------------------------------------------

    def all(self) -> int:
        self.check("one process, to compare with", self.prepare, always=True)
        if self.outcomes["FAILED"] or not self.whole.exists():
            return 1
        self.check("1, 2, 3, 7 parts in any order", self.any_order)
        self.check("2, 3, 7 parts at once", self.at_once)
        self.check("parts made again, and cut otherwise", self.again)
        self.check("more parts than shards", self.more_parts_than_shards)
        self.check("some parts, the rest by encode", self.some_parts)
        self.check("kill -9 of two parts", self.kills)
        self.check("killed in the middle of a shard", self.half_a_shard)
        self.check("the same part twice at once", self.same_part_twice)
        self.check("a shard seen late", self.late)
        self.check("no data folder", self.missing_before)
        self.check("data folder lost during a part", self.missing_during)
        self.check("other settings on a worker", self.other_settings)
        self.check("no models", self.no_models)
        self.check("refit during parts", self.refit_meanwhile)
        self.check("no locks: the same shards at once", self.without_locks)
        self.check("no locks: refit between parts", self.refit_without_locks)
        self.check("an image that cannot be used", self.bad_image)
        self.check("a list predicted in parts", self.predictions)
        if not self.short:
            from check_cluster_engines import Engines

            self.check("processors of two kinds", self.mixed_processors)
            Engines(self).all()
        total = sum(self.outcomes.values())
        print(f"{total} checks, {self.outcomes['FAILED']} failed, {self.outcomes['skipped']} skipped")
        return 1 if self.outcomes["FAILED"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--program", required=True, help="fvtool, built")
    parser.add_argument("--short", action="store_true", help="under a minute, for every change")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="WORDS", help="checks with these in their name")
    parser.add_argument("--keep", metavar="FOLDER", help="work there, and leave it")
    parser.add_argument("--venv", metavar="FOLDER", help="Python environment for Ray and Snakemake; made if missing")
    options = parser.parse_args()
    # So that what was started ends with the script.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(options.keep or tempfile.mkdtemp(prefix="fvtool-cluster-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Cluster(options, folder).all()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
