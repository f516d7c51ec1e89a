#!/usr/bin/env python3
"""Treats fvtool badly and checks what comes of it; see docs/RELIABILITY.md.

    scripts/torture.py PROGRAM [--short] [--seed N] [--only WORD] [--keep FOLDER]

Prints a table: what was tried, how often, how often it ended as promised, and how often something
was lost (must be 0: exit code 1 otherwise). Python's standard library alone.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torture_data as data
from torture_files import CONFIG, STAGES, Files, differing, hashes, remount


class Said:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class Torture(Files):
    def __init__(self, options):
        self.program = str(Path(options.program).resolve())
        self.short, self.only = options.short, options.only
        self.random = random.Random(options.seed)
        self.folder = Path(options.keep or tempfile.mkdtemp(prefix="fvtool-torture-"))
        self.rows, self.notes = [], []
        # What the program is started by: nothing, or what takes a privilege from it.
        self.before = []

    # -- helpers ---------------------------------------------------------------------------------

    def call(self, *args, timeout=300):
        """Runs the program; a hang and a death by a signal are failures of their own."""
        try:
            done = subprocess.run(
                [*self.before, self.program, *map(str, args)], stdin=subprocess.DEVNULL, timeout=timeout,
                capture_output=True,
            )
        except subprocess.TimeoutExpired:
            return Said(-999, "", "it hung")
        text = [stream.decode(errors="replace") for stream in (done.stdout, done.stderr)]
        return Said(done.returncode, *text)

    def start(self, *args):
        command = [self.program, *map(str, args)]
        null = subprocess.DEVNULL
        return subprocess.Popen(command, stdin=null, stdout=null, stderr=subprocess.PIPE)

    def table(self, what, outcomes):
        """One row of the table from a list of problems, '' where all was well."""
        lost = [problem for problem in outcomes if problem]
        self.rows.append((what, len(outcomes), len(outcomes) - len(lost), len(lost)))
        print(f"{what}: {len(outcomes)} tried, {len(lost)} lost", flush=True)
        for problem in lost[:5]:
            print("    LOST: " + problem.replace("\n", "\n    "), flush=True)

    def skip(self, what, why):
        self.notes.append(f"{what}: not tried, {why}")
        print(self.notes[-1], flush=True)

    @staticmethod
    def refused(said, *words, code=1):
        """'' when the call failed as it should: exit code 1, a message with `words`, no panic."""
        if said.code != code or "panicked" in said.err or "error: " not in said.err:
            return f"exit code {said.code}: {said.err[:400] if said.code > 1 else said.err[-400:]}"
        missing = [word for word in words if word not in said.err]
        return f"{missing} not in: {said.err[-300:]}" if missing else ""

    def skipped(self, said, *words):
        """'' when all was done but for images that could not be used."""
        return self.refused(said, *words, code=3)

    @staticmethod
    def done(said, code=0):
        shown = said.err[:400] if said.code > 1 else said.err[-400:]
        return "" if said.code == code else f"exit code {said.code}: {shown}"

    def run_args(self, root, run, *more):
        return ["run", "--data", root, "--train", "train", "--test", "test", "--run", run, *more]

    def stage_args(self, stage, root, run):
        split = "test" if stage == "eval" else "train"
        args = [stage, "--run", run, "--split", split]
        if stage != "train-svm":
            args += ["--data", root]
        return args + (CONFIG if stage != "train-svm" else [])

    def small(self):
        """A data folder of two classes, 40 images a split, and a finished run over it."""
        root, run = self.folder / "small", self.folder / "small_run"
        if not root.exists():
            data.classes(root, 20)
            said = self.call(*self.run_args(root, run, *CONFIG))
            assert said.code == 0, said.err
        return root, run

    def large(self):
        """As `small`, of three shards, and copies of the run before each stage and after the last."""
        root, runs = self.folder / "large", self.folder / "large_runs"
        times = {}
        if not root.exists():
            data.classes(root, 300, 96, ("train",))
            data.classes(root, 30, 96, ("test",))
            run = self.folder / "large_run"
            for stage in STAGES:
                if run.exists():
                    shutil.copytree(run, runs / stage)
                started = time.monotonic()
                said = self.call(*self.stage_args(stage, root, run))
                assert said.code == 0, said.err
                times[stage] = time.monotonic() - started
            shutil.copytree(run, runs / "end")
            self.times = times
        return root, runs

    # -- points 1 to 3: what comes in ------------------------------------------------------------

    def bad_images(self):
        root, run = self.folder / "odd", self.folder / "odd_run"
        data.classes(root, 12)
        expected = {split: data.bad_images(root / split / "across") for split in ("train", "test")}
        if os.access(root / "train/across/forbidden.png", os.R_OK):
            # root reads everything, unless the privilege is taken from it.
            if shutil.which("setpriv") is None:
                return self.skip("odd and bad images", "root may read everything; install setpriv")
            self.before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        strict = self.call(*self.run_args(root, self.folder / "odd_strict", "--strict", *CONFIG))
        outcomes = [self.refused(strict, "odd/train/across/")]
        if (self.folder / "odd_strict/eval").exists():
            outcomes.append("--strict went on to the evaluation")
        said = self.call(*self.run_args(root, run, *CONFIG))
        outcomes.append(self.skipped(said, "images skipped", "index.json"))
        for split, files in expected.items():
            index = self.index(run, split)
            used = {i["id"] for i in index.get("images", [])}
            reasons = {i["id"]: i["reason"] for i in index.get("skipped", [])}
            good = [i for i in used if i.split("/")[-1].isdigit()]
            outcomes.append("" if len(good) == 24 else f"{len(good)} of 24 good images")
            for name, (usable, words) in files.items():
                key = f"{split}/across/{name}"
                if usable:
                    right = key in used
                else:
                    right = words in reasons.get(key, "") and key not in used
                found = "used" if key in used else reasons.get(key, "in neither list")
                outcomes.append("" if right else f"{key}: {found}")
            if len(used) + len(reasons) != 24 + len(files):
                outcomes.append(f"{split}: {len(used)} used and {len(reasons)} skipped")
        again = self.call(*self.run_args(root, run, "--allow-skipped"))
        outcomes.append(self.done(again) or ("" if "up to date" in again.err else again.err))
        quiet = self.call(*self.run_args(root, run, "-q"))
        lines = quiet.err.splitlines()
        outcomes.append(self.skipped(quiet, "skipped") or ("" if len(lines) == 1 else quiet.err))
        page = run / "report_test.html"
        text = page.read_text() if page.exists() else "<script>alert"
        outcomes.append("the report runs a script" if "<script>alert" in text else "")
        self.before = []
        self.table("odd and bad images", outcomes)

    @staticmethod
    def index(run, split):
        """What `index.json` says, with the ids that its shards hold."""
        import json

        folder = run / "fisher" / split
        if not (folder / "index.json").exists():
            return {}
        index = json.loads((folder / "index.json").read_text())
        index["images"] = []
        for number in range(len(index["shards"])):
            shard = (folder / f"{number:05}.safetensors").read_bytes()
            head = json.loads(shard[8 : 8 + int.from_bytes(shard[:8], "little")])
            ids = json.loads(head["__metadata__"]["fvtool.report"])["ids"]
            index["images"] += [{"id": name} for name in ids]
        return index

    def vanishing(self):
        root, run = self.folder / "vanishing", self.folder / "vanishing_run"
        outcomes = []
        for attempt in range(1 if self.short else 3):
            shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(run, ignore_errors=True)
            data.classes(root, 300, 96, ("train",))
            self.call(*self.stage_args("fit-gmm", root, run))
            last = root / "train/down/00299.png"
            process = self.start(*self.stage_args("encode", root, run))
            shard = run / "fisher/train/00000.safetensors"
            while not shard.exists() and process.poll() is None:
                time.sleep(0.002)
            kept = last.read_bytes()
            last.unlink()
            err = process.communicate()[1].decode()
            skipped = {i["id"] for i in self.index(run, "train").get("skipped", [])}
            if process.returncode == 0 and not skipped:
                outcomes.append("")  # Too late: the image had been read.
            else:
                fits = process.returncode == 3 and skipped == {"down/00299"}
                outcomes.append("" if fits else f"{process.returncode}, {skipped}: {err[-300:]}")
            last.write_bytes(kept)
            said = self.call(*self.stage_args("encode", root, run))
            back = not self.index(run, "train").get("skipped", ["none"])
            outcomes.append(self.done(said) or ("" if back else "it came back and was not encoded"))
        self.table("image that vanishes after listing, and comes back", outcomes)

    def bad_lists(self):
        outcomes = []
        for number, (name, (change, words)) in enumerate(data.bad_devkits().items()):
            root, run = self.folder / f"kit{number}", self.folder / f"kit{number}_run"
            data.devkit(root)
            change(root)
            said = self.call(*self.run_args(root, run, *CONFIG), timeout=60)
            problem = self.refused(said, words) if words else self.done(said)
            if words and run.exists():
                problem = problem or "a run folder was made"
            outcomes.append(problem and f"{name}: {problem}")
        root = self.folder / "kit_missing"
        data.devkit(root)
        (root / "JPEGImages/000003.png").unlink()
        said = self.call(*self.run_args(root, self.folder / "kit_missing_run", *CONFIG))
        outcomes.append(self.skipped(said, "skipped"))
        empty = self.folder / "empty_class"
        data.classes(empty, 3)
        (empty / "train/nothing").mkdir()
        said = self.call(*self.run_args(empty, self.folder / "empty_class_run", *CONFIG))
        outcomes.append(self.done(said) or ("" if "empty" in said.err else "the empty folder is not said"))
        self.table("bad lists and annotations", outcomes)

    def bad_settings(self):
        root, _ = self.small()
        run, outcomes = self.folder / "settings_run", []
        file = self.folder / "bad.toml"
        file.write_text("seed = 1\n\n[descriptors]\nstep_px = 0\n")
        cases = [
            (["--set", "gmm.component=3"], ["--set gmm.component=3", "components"]),
            (["--set", "gmn.components=3"], ["no group `gmn`"]),
            (["--set", "gmm.components=0"], ["--set gmm.components=0", "from 1 to 65536"]),
            (["--set", "gmm.components=nan"], ["--set gmm.components=nan"]),
            (["--set", "sample.rows=10", "--set", "gmm.components=11"], ["--set gmm.components=11", "sample.rows (10)"]),
            (["--set", "pca.dimension=129"], ["--set pca.dimension=129", "128"]),
            (["--set", "descriptors.step_px=0"], ["--set descriptors.step_px=0", "1 to 256"]),
            (["--set", "svm.c=nan"], ["--set svm.c=nan", "`svm.c` is NaN"]),
            (["--set", "svm.c=inf"], ["`svm.c` is inf"]),
            (["--set", "encoding.power=-1.0"], ["`encoding.power` is -1"]),
            (["--config", str(file)], [f"{file}:4", "`descriptors.step_px` is 0"]),
            (["--seed", str(2**64 - 1)], [f"--seed {2**64 - 1}"]),
            (["--config", "vlfaet"], ["no such preset"]),
        ]
        for more, words in cases:
            said = self.call(*self.run_args(root, run, *more))
            problem = self.refused(said, *words)
            outcomes.append(problem or ("a run folder was made" if run.exists() else ""))
        for args in (["--data", self.folder / "nowhere"], ["--data", root, "--split", "trian"]):
            args += [] if "--split" in args else ["--split", "train"]
            said = self.call("fit-gmm", "--run", run, *args)
            problem = self.refused(said)
            outcomes.append(problem or ("a run folder was made" if run.exists() else ""))
        self.table("bad settings, data folder or split", outcomes)

    # -- point 5: faults -------------------------------------------------------------------------

    def kills(self):
        root, runs = self.large()
        end = hashes(runs / "end")
        for stage, following in zip(STAGES, STAGES[1:] + ["end"]):
            outcomes = []
            wanted = hashes(runs / following)
            for attempt in range(3 if self.short else 20):
                run = self.folder / "killed"
                shutil.rmtree(run, ignore_errors=True)
                if (runs / stage).exists():
                    shutil.copytree(runs / stage, run)
                process = self.start(*self.stage_args(stage, root, run))
                time.sleep(self.random.uniform(0, self.times[stage]))
                process.kill()
                process.communicate()
                shards = {p: p.stat().st_mtime_ns for p in run.glob("fisher/train/*.safetensors")}
                said = self.call(*self.stage_args(stage, root, run))
                problem = self.done(said) or differing(wanted, hashes(run))
                again = [p.name for p, t in shards.items() if p.stat().st_mtime_ns != t]
                outcomes.append(problem or (f"made again: {again}" if again else ""))
            if stage == STAGES[-1]:
                outcomes.append(differing(end, hashes(run)))
            self.table(f"killed in {stage}, then finished", outcomes)

    def interrupts(self):
        root, runs = self.large()
        outcomes = []
        for attempt in range(2 if self.short else 10):
            run = self.folder / "interrupted"
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(runs / "encode", run)
            process = self.start(*self.stage_args("encode", root, run))
            time.sleep(self.random.uniform(0.05, self.times["encode"]))
            process.send_signal(signal.SIGINT)
            err = process.communicate(timeout=60)[1].decode()
            left = [p.name for p in run.rglob("*.partial")]
            cleanly = process.returncode == 0 or "error: interrupted; " in err
            # Before the program has set up its handler the signal simply ends it.
            cleanly = cleanly or process.returncode == -signal.SIGINT
            problem = "" if cleanly and not left else f"{process.returncode}, {left}: {err[-300:]}"
            said = self.call(*self.stage_args("encode", root, run))
            problem = problem or self.done(said)
            outcomes.append(problem or differing(hashes(runs / "train-svm"), hashes(run)))
        self.table("Ctrl-C in encode, then finished", outcomes)

    def two_processes(self):
        root, runs = self.large()
        outcomes = []
        for attempt in range(1 if self.short else 5):
            run = self.folder / "shared"
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(runs / "encode", run)
            first = self.start(*self.stage_args("encode", root, run))
            time.sleep(self.times["encode"] * 0.5)
            second = self.call(*self.stage_args("encode", root, run))
            running = first.poll() is None
            if running:
                outcomes.append(self.refused(second, "another fvtool", "shared"))
            if attempt % 2:
                first.kill()
                first.communicate()
            else:
                err = first.communicate()[1].decode()
                outcomes.append("" if first.returncode == 0 else err[-300:])
            # The lock of a dead process is nobody's.
            said = self.call(*self.stage_args("encode", root, run))
            problem = self.done(said) or differing(hashes(runs / "train-svm"), hashes(run))
            outcomes.append(problem)
        self.table("two processes on one run folder", outcomes)

    def disk_full(self):
        root, run = self.small()
        wanted = hashes(run)
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True
        )
        if mounted.returncode != 0:
            return self.skip("disk full, read-only folder", "a tmpfs cannot be mounted here")
        try:
            size = sum(p.stat().st_size for p in run.rglob("*") if p.is_file()) // 1024
            sizes = sorted({self.random.randint(64, size) for _ in range(4 if self.short else 25)})
            outcomes = []
            for kilobytes in sizes:
                remount(disk, f"size={kilobytes}k")
                said = self.call(*self.run_args(root, disk / "run", *CONFIG))
                if said.code != 0:
                    outcomes.append(self.refused(said, "No space left", "disk/run"))
                    outcomes.append(", ".join(p.name for p in (disk / "run").rglob("*.partial")))
                remount(disk, f"size={8 * size}k")
                said = self.call(*self.run_args(root, disk / "run", *CONFIG))
                outcomes.append(self.done(said) or differing(wanted, hashes(disk / "run")))
                if kilobytes != sizes[-1]:
                    shutil.rmtree(disk / "run")
            self.table("disk full, then finished with space", outcomes)

            image = root / "test/down/00000.png"
            before = self.call("predict", "--run", disk / "run", image)
            remount(disk, "ro")
            outcomes = [self.done(before)]
            after = self.call("predict", "--run", disk / "run", image)
            outcomes.append(self.done(after) or ("" if after.out == before.out else after.out))
            said = self.call(*self.run_args(root, disk / "run"))
            outcomes.append(self.done(said))
            said = self.call(*self.run_args(root, disk / "run", "--refit", "--set", "svm.c=1"))
            outcomes.append(self.refused(said, "Read-only", "disk/run"))
            said = self.call(*self.run_args(root, disk / "new", *CONFIG))
            outcomes.append(self.refused(said, "Read-only", "disk/new"))
            outcomes.append(differing(wanted, hashes(disk / "run")))
            self.table("read-only run folder", outcomes)
        finally:
            subprocess.run(["umount", disk], check=False)

    def clocks(self):
        root, run = self.small()
        wanted, outcomes = hashes(run), []
        for moment in (0, 1, 4_102_444_800, 7_000_000_000):
            for path in [*root.rglob("*"), *run.rglob("*")]:
                os.utime(path, (moment, moment))
            said = self.call(*self.run_args(root, run))
            fresh = "" if "up to date; nothing was done" in said.err else said.err
            outcomes.append(self.done(said) or fresh or differing(wanted, hashes(run)))
        self.table("files of 1970 and of the future", outcomes)

    # -- point 4: damaged files ------------------------------------------------------------------

    def flipped_artifacts(self):
        """Every byte of every header and some of the data, one at a time, through `inspect`."""
        _, run = self.small()
        jobs = []
        for path in sorted(run.rglob("*.safetensors")):
            whole = path.read_bytes()
            head = 8 + int.from_bytes(whole[:8], "little")
            places = range(head)
            if self.short:
                places = sorted(self.random.sample(places, 12)) + [0, 7]
            rest = range(head, len(whole))
            many = 5 if self.short else 300
            places = [*places, *self.random.sample(rest, min(many, len(rest)))]
            jobs += [(path, whole, at, 1 << self.random.randrange(8)) for at in places]
            cuts = self.random.sample(range(len(whole)), 4 if self.short else 100)
            jobs += [(path, whole, at, None) for at in cuts]
        here = threading.local()

        def flipped(job):
            path, whole, at, bit = job
            if not hasattr(here, "file"):
                here.file = Path(tempfile.mkstemp(dir=self.folder, suffix=".safetensors")[1])
            changed = bytearray(whole)
            if bit is None:
                del changed[at:]
            else:
                changed[at] ^= bit
            here.file.write_bytes(changed)
            said = self.call("inspect", here.file, timeout=20)
            problem = self.refused(said, here.file.name)
            return problem and f"{path.name}, byte {at}: {problem}"

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outcomes = list(pool.map(flipped, jobs))
        self.table("byte of an artifact flipped or cut, inspected", outcomes)

    def flipped_runs(self):
        """A byte of any file of a run folder: refused by name, or the same results in the end."""
        root, whole_run = self.small()
        wanted = hashes(whole_run)
        image = root / "test/down/00000.png"
        right = self.call("predict", "--run", whole_run, image, "-q").out
        files = sorted(p for p in whole_run.rglob("*") if p.is_file() and p.name != ".lock" and p.suffix != ".stamp")
        outcomes = []
        for path in files:
            below = path.relative_to(whole_run)
            for attempt in range(1 if self.short else 8):
                run = self.folder / "flipped"
                shutil.rmtree(run, ignore_errors=True)
                shutil.copytree(whole_run, run)
                changed = bytearray(path.read_bytes())
                at = self.random.randrange(len(changed))
                if attempt == 7:
                    del changed[at:]
                else:
                    changed[at] ^= 1 << self.random.randrange(8)
                (run / below).write_bytes(changed)
                # As found, without the settings given again.
                said = self.call("predict", "--run", run, image, "-q")
                problem = "" if said.code == 0 and said.out == right else self.refused(said)
                said = self.call(*self.run_args(root, run))
                if said.code != 0:
                    name = str(below.name)
                    # A changed setting is told by what it does not fit.
                    told = name in said.err or name == "config.toml" and "--refit" in said.err
                    problem = problem or self.refused(said) or ("" if told else said.err[-300:])
                    (run / below).unlink()
                    # What the message says: delete it and run the same command again.
                    said = self.call(*self.run_args(root, run, *CONFIG))
                    problem = problem or self.done(said)
                now = hashes(run)
                if str(below) == "config.toml" and "config.toml" in now:
                    # Settings are a text that its owner may change; results are not.
                    now["config.toml"] = wanted["config.toml"]
                if differing(wanted, now) == differing(wanted, {**wanted, str(below): ""}):
                    # Nothing had to read it: everything made from it was there. Whoever does
                    # read it is told.
                    problem = problem or self.refused(self.call("inspect", run / below), "damaged")
                    (run / below).unlink()
                    problem = problem or self.done(self.call(*self.run_args(root, run)))
                    now = hashes(run)
                problem = problem or differing(wanted, now)
                outcomes.append(problem and f"{below}, byte {at}: {problem}")
        self.table("byte of a run folder flipped or cut, run again", outcomes)

    # -- points 7 and 8 --------------------------------------------------------------------------

    def same_answer(self):
        root, run = self.small()
        wanted, outcomes = hashes(run), []
        for threads in (1, 2, 5):
            elsewhere = self.folder / f"elsewhere{threads}" / "run"
            said = self.call(*self.run_args(root, elsewhere, "--threads", threads, *CONFIG))
            outcomes.append(self.done(said) or differing(wanted, hashes(elsewhere)))
        # The same files made in another order, in another place.
        files = [p for p in root.rglob("*") if p.is_file()]
        for attempt in range(1 if self.short else 5):
            self.random.shuffle(files)
            copy = self.folder / f"order{attempt}"
            for path in files:
                data.write(copy / path.relative_to(root), path.read_bytes())
            run = self.folder / f"order{attempt}_run"
            said = self.call(*self.run_args(copy, run, *CONFIG))
            outcomes.append(self.done(said) or differing(wanted, hashes(run)))
        self.table("threads, places and orders of files", outcomes)

    def memory(self):
        root, run = self.small()
        wanted, outcomes = hashes(run), []
        for megabytes in (10, 70):
            target = self.folder / f"memory{megabytes}"
            said = self.call(*self.run_args(root, target, "--max-memory", f"{megabytes}MB", *CONFIG))
            outcomes.append(self.refused(said, "--max-memory", "bytes:"))
        for megabytes in (100, 150, 400):
            target = self.folder / f"memory{megabytes}"
            args = self.run_args(root, target, "--max-memory", f"{megabytes}MB", "--threads", 8, *CONFIG)
            peak, code, err = peak_of([self.program, *map(str, args)])
            within = "" if peak <= megabytes * 1e6 else f"{peak} bytes with {megabytes} MB"
            problem = "" if code == 0 else err[-300:]
            outcomes.append(problem or within or differing(wanted, hashes(target)))
        self.table("--max-memory: refused, or kept to with the same result", outcomes)

    # -- all -------------------------------------------------------------------------------------

    def all(self):
        parts = [
            self.bad_images, self.bad_lists, self.bad_settings, self.flipped_artifacts,
            self.flipped_runs, self.same_answer, self.memory, self.clocks, self.disk_full,
            self.vanishing, self.two_processes, self.interrupts, self.kills, self.outputs, self.hostile_runs,
            self.swapped, self.come_and_go, self.readers, self.signals, self.disk_full_elsewhere,
        ]
        started = time.monotonic()
        for part in parts:
            if self.only in part.__name__:
                part()
        print(f"\n{'what':58} {'tried':>6} {'survived':>9} {'lost':>5}")
        for what, tried, survived, lost in self.rows:
            print(f"{what:58} {tried:6} {survived:9} {lost:5}")
        print("\n".join(self.notes))
        print(f"{time.monotonic() - started:.0f} s")
        return sum(row[3] for row in self.rows)


def peak_of(command):
    """Largest anonymous memory of a process, its exit code and what it said."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=null, stdout=null, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        try:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
        except OSError:
            pass
        time.sleep(0.002)
    return peak, process.returncode, process.communicate()[1].decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--short", action="store_true", help="a minute or two, for every change")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="WORD", help="parts with this in their name")
    parser.add_argument("--keep", metavar="FOLDER", help="work there, and leave it")
    options = parser.parse_args()
    torture = Torture(options)
    try:
        lost = torture.all()
    finally:
        if not options.keep:
            shutil.rmtree(torture.folder, ignore_errors=True)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
