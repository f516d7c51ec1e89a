"""Attempts of torture.py on files: outputs, run folders of unknown origin, artifacts of other runs, images
that come and go, readers beside writers, signals."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import torture_data as data

STAGES = ["extract", "fit-pca", "fit-gmm", "encode", "train-svm", "eval"]
SETTINGS = [
    "descriptors.bin_sizes_px=[8]", "descriptors.step_px=4", "sample.rows=4000",
    "pca.dimension=24", "gmm.components=8", "gmm.max_iterations=5", "gmm.kmeans_iterations=3",
]
CONFIG = ["--config", "quick"] + [word for s in SETTINGS for word in ("--set", s)]
# What names places outside the run, and the lock.
NOT_COMPARED = {"source.json", ".lock"}

# Makes every n-th read of an image fail once, as a disk or a network does.
FLAKY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int fails(int fd) {
    static __thread unsigned count;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    const char *ending = n > 4 ? path + n - 4 : "";
    if (strcmp(ending, ".png") && strcmp(ending, ".jpg")) return 0;
    return ++count % atoi(getenv("FLAKY_EVERY")) == 0;
}
ssize_t read(int fd, void *buffer, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    if (fails(fd)) { errno = atoi(getenv("FLAKY_ERROR")); return -1; }
    return real(fd, buffer, size);
}
"""


def hashes(run):
    found = {}
    for path in sorted(run.rglob("*")):
        below = str(path.relative_to(run))
        # A stamp says what the file system says of the images.
        if path.is_file() and below not in NOT_COMPARED and path.suffix != ".stamp":
            found[below] = hashlib.blake2b(path.read_bytes()).hexdigest()
    return found


def differing(wanted, found):
    """'' when both are the same files; otherwise their names."""
    names = sorted(set(wanted) | set(found))
    # What a killed process was writing is never read; the next write of that file replaces it.
    names = [n for n in names if not n.endswith(".partial") and wanted.get(n) != found.get(n)]
    return f"these differ: {names[:6]}" if names else ""


def remount(disk, option):
    subprocess.run(["mount", "-o", f"remount,rw,{option}" if option != "ro" else "remount,ro", disk], check=True)


class Files:
    """Parts of `Torture`, which has the helpers that they call."""

    def copy(self, run, name):
        target = self.folder / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(run, target, symlinks=True)
        return target

    def outputs(self):
        root, run = self.small()
        image = root / "test/down/00000.png"
        place = self.folder / "outputs"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        photo = place / "photo.safetensors"
        shutil.copy(image, photo)
        shutil.copy(image, place / "photo.png")
        (place / "hard.safetensors").hardlink_to(photo)
        (place / "soft.safetensors").symlink_to(photo)
        (place / "dangling.safetensors").symlink_to(place / "nowhere")
        (place / "folder.safetensors").mkdir()
        (place / "empty.safetensors").touch()
        (place / "run").symlink_to(run)
        shutil.copy(run / "pca.safetensors", place / "pca.safetensors")
        os.mkfifo(place / "pipe.safetensors")
        wanted, there = hashes(place), hashes(run)
        outcomes = []
        names = [
            "photo.safetensors", "photo.png", "hard.safetensors", "soft.safetensors", "dangling.safetensors",
            "folder.safetensors", "empty.safetensors", "pca.safetensors", "pipe.safetensors", "run/new.safetensors",
            "run/a/b.safetensors", "run/svm.safetensors", "new.npy", "new", "/dev/null", "/dev/stdout",
        ]
        for name in names:
            said = self.call("describe", "--run", run, "-o", place / name, photo, "-q", timeout=20)
            outcomes.append(self.refused(said, Path(name).name) or differing(wanted, hashes(place)))
        for option in (["--refit"], ["--set", "svm.c=1"], ["--config", "fast"], ["--reuse", run], ["--seed", "3"]):
            for command in (["predict", "--run", run, photo], ["describe", "--run", run, "-o", place / "x.safetensors", photo]):
                said = self.call(*command, *option)
                outcomes.append("" if said.code == 2 else f"{option} with {command[0]}: {said.code} {said.err[-200:]}")
        outcomes.append(differing(there, hashes(run)))
        # A folder of somebody else, as a run and as a demo.
        other = self.folder / "letters"
        data.write(other / "letter.txt", b"dear")
        data.write(other / "data/JPEGImages/000001.jpg", b"mine")
        before = hashes(other)
        for args in (self.run_args(root, other, *CONFIG), ["demo", "--out", other]):
            said = self.call(*args)
            outcomes.append(self.refused(said, "holds other files") or differing(before, hashes(other)))
        data.write(other / "config.toml", b"[server]\nport = 80\n")
        before = hashes(other)
        said = self.call(*self.run_args(root, other, *CONFIG))
        outcomes.append(self.refused(said, "config.toml") or differing(before, hashes(other)))
        self.table("output in the place of another file or folder", outcomes)

    def hostile_runs(self):
        root, whole = self.small()
        right, outcomes = hashes(whole), []
        precious = self.folder / "precious"
        partials = [
            ".config.toml.partial", ".report_test.html.partial", "eval/.test.json.partial",
            "scores/.test.csv.partial", "fisher/test/.index.json.partial", ".svm.safetensors.partial",
        ]
        for link in (os.symlink, os.link):
            run = self.copy(whole, "hostile")
            precious.write_text("PRECIOUS")
            for name in partials:
                link(precious, run / name)
            for name in ("config.toml", "report_test.html", "eval/test.json", "scores/test.csv", "fisher/test/index.json", "svm.safetensors"):
                (run / name).unlink()
            said = self.call(*self.run_args(root, run, *CONFIG))
            kept = "" if precious.read_text() == "PRECIOUS" else "a link was written through"
            outcomes.append(self.done(said) or kept or differing(right, hashes(run)))
        places = [p.relative_to(whole) for p in sorted(whole.rglob("*")) if p.is_file()]
        for name in places + [Path(".lock")]:
            if name.suffix in (".svg", ".stamp") or name.suffix == ".txt" and self.short:
                continue
            run = self.copy(whole, "hostile")
            (run / name).unlink(missing_ok=True)
            os.mkfifo(run / name)
            said = self.call(*self.run_args(root, run, *CONFIG), timeout=20)
            outcomes.append(self.refused(said, name.name, "pipe") and f"pipe {name}: {said.code} {said.err[-300:]}")
            run = self.copy(whole, "hostile")
            (run / name).unlink(missing_ok=True)
            (run / name).symlink_to(self.folder / "elsewhere")
            said = self.call(*self.run_args(root, run, *CONFIG), timeout=20)
            made = "a file was made through a link" if (self.folder / "elsewhere").exists() else ""
            outcomes.append(made or self.refused(said, name.name) and f"link {name}: {said.code} {said.err[-300:]}")
        for text in ('{"data":"/","split":"../../etc"}', '{"data":"relative","split":"train"}', '{"data":7}', "[]", "{", '{"data":"/nowhere","split":""}'):
            run = self.copy(whole, "hostile")
            (run / "source.json").write_text(text)
            said = self.call("eval", "--data", root, "--split", "test", "--run", run)
            outcomes.append(self.refused(said, "source.json"))
        for split in ("../test", "/etc", ".", "a/b"):
            said = self.call("train-svm", "--run", whole, "--split", split)
            outcomes.append(self.refused(said, "split"))
        outcomes.append(differing(right, hashes(whole)))
        self.table("run folder of unknown origin: links, pipes, names", outcomes)

    def swapped(self):
        """An artifact of a run of another seed, or over other data, under every command."""
        root, whole = self.small()
        image = root / "test/down/00000.png"
        twins = {}
        for what, more in (("seed", ["--seed", "9"]), ("data", [])):
            other = root
            if what == "data":
                other = self.folder / "small_other"
                data.classes(other, 20, 72)
            twins[what] = self.folder / f"twin_{what}"
            assert self.call(*self.run_args(other, twins[what], *CONFIG, *more)).code == 0
        names = [
            "descriptors/sample.safetensors", "pca.safetensors", "gmm.safetensors", "svm.safetensors",
            "fisher/train/00000.safetensors", "fisher/train/index.json", "fisher/test/00000.safetensors",
            "fisher/test/index.json",
        ]
        on = ["--data", root, "--split", "test"]
        commands = {
            "predict": [image, "--top", "0", "-q"],
            "describe": [image, "-o", self.folder / "described.safetensors", "-q"],
            "encode": on, "eval": on, "explain": [*on, "--top", "1"], "audit": [*on, "--images", "5"],
            "train-svm": ["--split", "train"],
        }
        described = self.folder / "described.safetensors"

        def answer(command, run):
            described.unlink(missing_ok=True)
            said = self.call(command, "--run", run, *commands[command])
            return said, (said.out.replace(str(run), "RUN"), described.exists() and described.read_bytes())

        right = {command: answer(command, self.copy(whole, "untouched"))[1] for command in commands}
        outcomes, refusals = [], 0
        for what, twin in twins.items():
            for name in names:
                for gone in (False, True):
                    for command in commands:
                        if self.short and self.random.random() < 0.8:
                            continue
                        run = self.copy(whole, "swapped")
                        shutil.copy(twin / name, run / name)
                        if gone:
                            (run / "source.json").unlink()
                        said, found = answer(command, run)
                        if said.code == 0:
                            same = found == right[command]
                            outcomes.append("" if same else f"{what}, {name}, {command}, {gone}: another answer")
                        else:
                            refusals += 1
                            outcomes.append(self.refused(said, "refit"))
        print(f"    {refusals} refused, the others give the right answer")
        self.table("artifact of another run, under every command", outcomes)

    def come_and_go(self):
        """Reads of images that fail once, and images that are away for a while."""
        root, whole = self.small()
        right, outcomes = hashes(whole), []
        shim = self.folder / "flaky.so"
        source = self.folder / "flaky.c"
        source.write_text(FLAKY)
        cc = shutil.which("cc")
        if cc and subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"]).returncode == 0:
            for number, every in ((5, 2), (5, 7), (4, 2), (4, 3), (11, 5)):
                os.environ.update(LD_PRELOAD=str(shim), FLAKY_EVERY=str(every), FLAKY_ERROR=str(number))
                run = self.folder / f"flaky{number}_{every}"
                said = self.call(*self.run_args(root, run, *CONFIG))
                for name in ("LD_PRELOAD", "FLAKY_EVERY", "FLAKY_ERROR"):
                    del os.environ[name]
                outcomes.append(self.done(said) or differing(right, hashes(run)))
        else:
            self.skip("reads that fail once", "there is no C compiler")
        victims = [("train", 3), ("test", 4)] if self.short else [(s, i) for s in ("train", "test") for i in range(6)]
        for split, number in victims:
            for stage in (STAGES if not self.short else ("extract", "eval")):
                file = root / split / "down" / f"{number:05}.png"
                kept, run = file.read_bytes(), self.folder / "away"
                shutil.rmtree(run, ignore_errors=True)
                # Listed, but not to be read.
                file.unlink()
                file.symlink_to("away.png")
                if split == "test" and stage != "eval":
                    self.call(*self.stage_args("extract", root, run))
                else:
                    for each in STAGES[: STAGES.index(stage) + 1]:
                        self.call(*self.stage_args(each, root, run))
                file.unlink()
                file.write_bytes(kept)
                for each in STAGES:
                    said = self.call(*self.stage_args(each, root, run))
                    if each in ("extract", "eval"):
                        outcomes.append(self.done(said))
                outcomes.append(differing(right, hashes(run)))
        self.table("reads that fail once, images away for a while", outcomes)

    def readers(self):
        root, run = self.small()
        image = root / "test/down/00000.png"
        right, before, outcomes = self.call("predict", "--run", run, image).out, hashes(run), []
        with open(run / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            several = [
                subprocess.Popen([self.program, "predict", "--run", run, image], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for _ in range(3)
            ]
            outcomes += ["" if p.communicate()[0].decode() == right else "another answer" for p in several]
            outcomes.append(self.done(self.call("inspect", run / "pca.safetensors")))
            outcomes.append(self.done(self.call("settings", run / "config.toml")))
            described = self.folder / "reader.safetensors"
            outcomes.append(self.done(self.call("describe", "--run", run, "-o", described, image)))
            outcomes.append(self.refused(self.call(*self.run_args(root, run)), "another fvtool"))
        outcomes.append(differing(before, hashes(run)))
        # Beside a run that makes everything again with another seed and back.
        work = self.copy(run, "made_again")
        said = self.call(*self.run_args(root, work, "--refit", "--seed", "9"))
        answers = {right, self.call("predict", "--run", work, image).out.replace(str(work), str(run))}
        outcomes.append(self.done(said) or ("" if len(answers) == 2 else "both seeds answer alike"))
        for seed in (1, 9) if self.short else (1, 9, 1, 9):
            process = self.start(*self.run_args(root, work, "--refit", "--seed", seed))
            while process.poll() is None:
                said = self.call("predict", "--run", work, image)
                if said.code == 0:
                    outcomes.append("" if said.out in answers else f"a mixture: {said.out}")
                else:
                    outcomes.append(self.refused(said))
            outcomes.append("" if process.returncode == 0 else process.stderr.read().decode()[-300:])
            process.stderr.close()
        self.table("readers beside each other and beside a writer", outcomes)

    def signals(self):
        """Ignored ones are, the others are answered within a second (and the time of a process to end)."""
        root, runs = self.large()
        outcomes, slowest = [], 0.0
        for name in ("HUP", "INT", "TERM"):
            run = self.copy(runs / "encode", "signalled")
            args = [self.program, *map(str, self.stage_args("encode", root, run))]
            process = subprocess.Popen(
                ["sh", "-c", f'trap "" {name}; exec "$@"', "sh", *args],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
            time.sleep(0.3)
            process.send_signal(getattr(signal, f"SIG{name}"))
            err = process.communicate()[1].decode()
            outcomes.append("" if process.returncode == 0 else f"{name} was not ignored: {err[-200:]}")
        for stage in STAGES:
            for attempt in range(1 if self.short else 4):
                run = self.folder / "signalled"
                shutil.rmtree(run, ignore_errors=True)
                if (runs / stage).exists():
                    shutil.copytree(runs / stage, run)
                process = self.start(*self.stage_args(stage, root, run))
                time.sleep(self.random.uniform(0.05, self.times[stage]))
                sent = time.monotonic()
                process.send_signal(self.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
                err = process.communicate(timeout=60)[1].decode()
                took = time.monotonic() - sent
                slowest = max(slowest, took)
                left = [p.name for p in run.rglob("*.partial")]
                problem = "" if took < 1.3 else f"{stage}: {took:.1f} s"
                outcomes.append(problem or (f"{left} left: {err[-200:]}" if left else ""))
        image = root / "test/down/00000.png"
        started = time.monotonic()
        said = self.call("predict", "--run", runs / "end", "--threads", 512, image)
        outcomes.append(self.done(said) or ("" if time.monotonic() - started < 3 else "512 threads are slow"))
        said = self.call("predict", "--run", runs / "end", "--threads", 65535, image)
        outcomes.append("" if said.code == 2 and "512" in said.err else said.err[-200:])
        print(f"    the slowest answer took {slowest:.2f} s")
        self.table("signals: ignored ones, and the answer to others", outcomes)

    def disk_full_elsewhere(self):
        """A full disk where pictures, descriptions and arrays are written."""
        root, run = self.small()
        disk = self.folder / "full"
        disk.mkdir(exist_ok=True)
        size = sum(p.stat().st_size for p in run.rglob("*") if p.is_file()) // 1024 + 8 * len(list(run.rglob("*")))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * size}k", "tmpfs", disk]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            return self.skip("disk full in describe, demo, explain", "a tmpfs cannot be mounted here")
        try:
            shutil.copytree(run, disk / "run")
            used = sum(p.stat().st_blocks for p in disk.rglob("*")) // 2
            image, on = root / "test/down/00000.png", ["--data", root, "--split", "test", "--run", disk / "run"]
            outcomes = []
            for free in (0, 8) if self.short else (0, 4, 8, 16, 24):
                remount(disk, f"size={used + free}k")
                said = self.call("describe", "--run", disk / "run", "-o", disk / "x.safetensors", image)
                outcomes.append(self.refused(said, "No space left", "x.safetensors"))
                for command in (["explain", *on], ["explain", *on, "--only", "all", "--raw"], ["audit", *on]):
                    said = self.call(*command)
                    wrote = said.code == 0 and free > 0 and command[0] == "audit"
                    outcomes.append("" if wrote else self.refused(said, "No space left", str(disk)))
                said = self.call("demo", "--out", disk / "demo")
                outcomes.append(self.refused(said, "No space left", "demo"))
                left = [p.name for p in disk.rglob("*.partial")]
                outcomes.append(f"{left} left" if left else "")
                shutil.rmtree(disk / "run/explain", ignore_errors=True)
                shutil.rmtree(disk / "demo", ignore_errors=True)
            # The list of outputs names the pictures that were begun.
            before, after = ({n: h for n, h in hashes(d).items() if n != "outputs.json"} for d in (run, disk / "run"))
            outcomes.append(differing(before, after))
            with open("/dev/full", "w") as full:
                for args in (["settings"], ["predict", "--run", run, image], ["inspect", run / "pca.safetensors"]):
                    done = subprocess.run([self.program, *map(str, args)], stdout=full, stderr=subprocess.PIPE)
                    err = done.stderr.decode()
                    outcomes.append("" if done.returncode == 1 and "standard output" in err else f"{args}: {err}")
            self.table("disk full in describe, explain, audit, demo, stdout", outcomes)
        finally:
            subprocess.run(["umount", disk], check=False)

