"""Checks of check_cluster.py under real engines: Slurm on one node, Ray with two, Snakemake.

What is missing is installed: Slurm by apt-get, where the user is root; Ray and Snakemake by pip, into an environment of
their own. What cannot be installed is skipped.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torture_data as data

if TYPE_CHECKING:
    from check_cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / "workflow"
PARTS = 4

# No cgroups, no accounting: enough for a node that is root's own, without systemd.
SLURM_CONF = """\
ClusterName=one
SlurmctldHost={host}
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
KillWait=3
MinJobAge=3600
NodeName={host} CPUs={cpus} RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

# Two nodes on this machine; the first is lost when the first shard is there, and another comes in its place.
LOSING = """\
import subprocess, sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
add = lambda: cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
nodes = [add(), add()]
driver = subprocess.Popen([*sys.argv[2:], "--address", cluster.address])
shards = Path(sys.argv[1])
while driver.poll() is None and not any(shards.glob("[0-9]*.safetensors")):
    time.sleep(0.05)
if driver.poll() is None:
    cluster.remove_node(nodes[0], allow_graceful=False)
    print("a node is lost", flush=True)
    add()
code = driver.wait()
cluster.shutdown()
sys.exit(code)
"""


class Engines:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder = cluster.folder
        self.finished = self.folder / "finished"
        self.venv = Path(cluster.options.venv or self.folder / "venv").resolve()
        # Each shard takes a second, so that something can happen to it.
        self.slow = self.folder / "slow_fvtool"

    def run_of_one_process(self) -> None:
        c = self.cluster
        if not self.finished.exists():
            shutil.copytree(c.whole, self.finished)
            c.call(*c.on(self.finished, "test"))
            c.call("train-svm", "--run", self.finished, "--split", "train")
            c.call("eval", "--data", c.data, "--split", "test", "--run", self.finished)
        lines = ["#!/bin/sh", f'exec {c.program} "$@"', ""]
        if c.shim:
            lines[1:1] = [
                'case "$*" in *--part*)',
                f"  LD_PRELOAD={c.shim} SLOW_RENAME_MS=1000",
                "  export LD_PRELOAD SLOW_RENAME_MS ;;",
                "esac",
            ]
        self.slow.write_text("\n".join(lines))
        self.slow.chmod(0o755)

    def said(self, command: list[object], seconds: float = 300, added: dict[str, str] | None = None) -> tuple[int, str]:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            env={**os.environ, **(added or {})},
        )
        return done.returncode, done.stdout

    def good(self, command: list[object], seconds: float = 300, added: dict[str, str] | None = None) -> str:
        code, out = self.said(command, seconds, added)
        if code != 0:
            raise RuntimeError(f"{command[0]}: exit code {code}: {out[-1500:]}")
        return out

    def have(self, module: str, *packages: str) -> str | None:
        """Why a Python package is not there, if it cannot be installed either."""
        python = self.venv / "bin/python"
        if not python.exists():
            self.good([sys.executable, "-m", "venv", self.venv])
        if self.said([python, "-c", f"import {module}"])[0] == 0:
            return None
        code, out = self.said([python, "-m", "pip", "install", "--quiet", *packages], 900)
        return f"pip install {' '.join(packages)}: {out.strip()[-200:]}" if code else None

    # -- Slurm -----------------------------------------------------------------------------------

    def slurm(self) -> str | None:
        if not all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))):
            if os.getuid() != 0 or shutil.which("apt-get") is None:
                return "Slurm is not installed, and the user is not root of a Debian"
            code, out = self.said(["apt-get", "install", "-y", "slurm-wlm", "munge"], 600)
            if code:
                return f"apt-get install slurm-wlm munge: {out.strip()[-200:]}"
        if os.getuid() != 0:
            return "the user is not root"
        folder, host = self.folder / "slurm", socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        conf = folder / "slurm.conf"
        conf.write_text(SLURM_CONF.format(host=host, folder=folder, cpus=os.cpu_count()))
        os.environ["SLURM_CONF"] = str(conf)
        started = []
        try:
            if self.said(["munge", "-n"])[0] != 0:
                os.makedirs("/run/munge", exist_ok=True)
                shutil.chown("/run/munge", "munge", "munge")
                started.append(
                    subprocess.Popen(["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "-F"])
                )
                self.cluster.until(lambda: self.said(["munge", "-n"])[0] == 0, seconds=20)
            started += [
                subprocess.Popen([program, "-D"], stderr=subprocess.DEVNULL) for program in ("slurmctld", "slurmd")
            ]
            self.cluster.until(lambda: "idle" in self.said(["sinfo", "-h", "-o", "%T"])[1], seconds=60)
            self.array()
            self.some_again()
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()
        return None

    def workflow(self, run: Path, program: Path | str, *args: str) -> str:
        """What workflow/slurm.sh says, edited to this machine."""
        c = self.cluster
        places = {"DATA": c.data, "RUN": run, "CONFIG": c.config, "FVTOOL": program, "PARTS": PARTS}
        sizes = {"CPUS": 1, "MEMORY": "200M", "TRAIN_MEMORY": "200M", "LIMIT": "10:00"}
        settings = {name: str(value) for name, value in {**places, **sizes}.items()}
        return self.good([WORKFLOW / "slurm.sh", *args], 60, settings)

    def wait_for_jobs(self) -> None:
        self.cluster.until(lambda: self.good(["squeue", "-h"]).strip() == "", seconds=300)

    def array(self) -> None:
        """The whole workflow; a task is put back into the queue while it works."""
        run = self.folder / "slurm_run"
        out = self.workflow(run, self.slow)
        array = out.split("parts 0-3: job ")[1].split(";")[0]
        partials = lambda: list(run.glob("fisher/train/.*.partial"))
        self.cluster.until(lambda: bool(partials()), seconds=120)
        running = self.good(["squeue", "-h", "-r", "-j", array, "-t", "R", "-o", "%i"]).split()
        self.good(["scontrol", "requeue", running[0]])
        # Slurm lets it rest for two minutes otherwise.
        self.cluster.until(lambda: "RUNNING" not in self.good(["scontrol", "show", "job", running[0]]), seconds=30)
        self.said(["scontrol", "update", f"JobId={running[0]}", "StartTime=now"])
        self.wait_for_jobs()
        logs = "".join(path.read_text() for path in sorted(Path(f"{run}-logs").iterdir()))
        shown = self.good(["scontrol", "show", "job", running[0]])
        if "Restarts=1" not in shown:
            raise RuntimeError(f"the task was not put back: {shown}")
        if not (run / "eval/test.json").exists():
            raise RuntimeError(f"no figures: {logs[-1500:]}")
        self.cluster.same(self.finished, run)

    def some_again(self) -> None:
        """Two parts fail; what follows does not run. Then they alone are repeated."""
        run = self.folder / "slurm_again"
        failing = self.folder / "failing_fvtool"
        failing.write_text(
            f'#!/bin/sh\ncase "$SLURM_ARRAY_TASK_ID" in 1|3) exit 1 ;; esac\nexec {self.cluster.program} "$@"\n'
        )
        failing.chmod(0o755)
        self.workflow(run, failing)
        self.wait_for_jobs()
        if (run / "fisher/train/index.json").exists():
            raise RuntimeError("the join went on after parts had failed")
        self.workflow(run, self.cluster.program, "1,3")
        self.wait_for_jobs()
        logs = "".join(path.read_text() for path in sorted(Path(f"{run}-logs").iterdir()))
        if not (run / "eval/test.json").exists():
            raise RuntimeError(f"no figures: {logs[-1500:]}")
        self.cluster.same(self.finished, run)

    # -- Ray -------------------------------------------------------------------------------------

    def ray(self) -> str | None:
        if why := self.have("ray, fsspec", "ray", "fsspec"):
            return why
        c, run = self.cluster, self.cluster.new("ray_run")
        script = self.folder / "losing.py"
        script.write_text(LOSING)
        driver = [self.venv / "bin/python", WORKFLOW / "ray_run.py", "--program", self.slow, "--cpus", 1]
        on = ["--data", c.data, "--split", "train", "--run", run, "--parts", PARTS]
        out = self.good([self.venv / "bin/python", script, run / "fisher/train", *driver, *on])
        for words in ("a node is lost", f"{PARTS} of {PARTS} parts"):
            if words not in out:
                raise RuntimeError(f"`{words}` not in: {out[-1500:]}")
        c.same(c.whole, run)
        return None

    def ray_failing(self) -> str | None:
        """A part that fails on every machine is named, with the command that repeats it."""
        if why := self.have("ray, fsspec", "ray", "fsspec"):
            return why
        c, run = self.cluster, self.cluster.new("ray_failing")
        failing = self.folder / "failing_part"
        failing.write_text(
            f'#!/bin/sh\ncase "$*" in *"--part 2/4"*) echo "error: no luck" >&2; exit 1 ;; esac\nexec {c.program} "$@"\n'
        )
        failing.chmod(0o755)
        on = [
            "--data",
            c.data,
            "--split",
            "train",
            "--run",
            run,
            "--parts",
            4,
            "--cpus",
            1,
            "--retries",
            1,
            "--address",
            "local",
        ]
        driver = [self.venv / "bin/python", WORKFLOW / "ray_run.py", *on]
        code, out = self.said([*driver, "--program", failing])
        wanted = ("1 parts failed", "part 2/4: ", "no luck", "Again: ")
        if code != 1 or not all(words in out for words in wanted):
            raise RuntimeError(f"exit code {code}: {out[-1500:]}")
        self.good([*driver, "--program", c.program])
        c.same(c.whole, run)
        return None

    def ray_tars(self) -> str | None:
        """Predictions from tar files are those of the images themselves; names that lead outside are refused."""
        if why := self.have("ray, fsspec", "ray", "fsspec"):
            return why
        c, tars, to = self.cluster, self.folder / "tars", self.folder / "predictions"
        if "--output" not in c.call("predict", "--help"):
            return "this fvtool has no predict --output"
        tars.mkdir()
        images = sorted(path.relative_to(c.data / "test") for path in (c.data / "test").rglob("*.png"))
        for number in range(3):
            with tarfile.open(tars / f"{number:02}.tar", "w") as tar:
                for name in images[number::3]:
                    tar.add(c.data / "test" / name, str(name))
                    label = tarfile.TarInfo(str(name.with_suffix(".cls")))
                    tar.addfile(label, io.BytesIO(b""))
        driver = [
            self.venv / "bin/python",
            WORKFLOW / "ray_run.py",
            "--program",
            c.program,
            "--cpus",
            1,
            "--retries",
            0,
        ]
        driver += ["--address", "local", "--models", self.finished, "--predictions", f"file://{to}"]
        self.good([*driver, "--images", f"file://{tars}/{{00..02}}.tar"])
        for number in range(3):
            listed, alone = self.folder / "list.txt", self.folder / "alone.csv"
            listed.write_text("".join(f"{name}\n" for name in images[number::3]))
            command = [c.program, "predict", "--run", str(self.finished), "--list", str(listed), "--output", str(alone)]
            subprocess.run(command, cwd=c.data / "test", check=True, capture_output=True)
            if alone.read_bytes() != (to / f"{number:02}.csv").read_bytes():
                raise RuntimeError(f"{number:02}.csv is not what one process writes")
        times = [path.stat().st_mtime_ns for path in sorted(to.glob("*.csv"))]
        self.good([*driver, "--images", f"file://{tars}/{{00..02}}.tar"])
        if times != [path.stat().st_mtime_ns for path in sorted(to.glob("*.csv"))]:
            raise RuntimeError("predictions that were there were made again")
        image = data.good(1, 0)
        for number, evil in enumerate(
            ("../evil.png", "/tmp/fvtool-evil.png", "a/../../evil.png", "two\nlines.png"), 10
        ):
            with tarfile.open(tars / f"{number}.tar", "w") as tar:
                member = tarfile.TarInfo(evil)
                member.size = len(image)
                tar.addfile(member, io.BytesIO(image))
        code, out = self.said([*driver, "--images", f"file://{tars}/{{10..13}}.tar"])
        if code != 1 or "4 parts failed" not in out or list(self.folder.rglob("evil.png")):
            raise RuntimeError(f"exit code {code}: {out[-1500:]}")
        return None

    # -- Snakemake -------------------------------------------------------------------------------

    def snakemake(self) -> str | None:
        if why := self.have("snakemake", "snakemake"):
            return why
        run = self.folder / "snakemake_run"
        settings = [f"data={self.cluster.data}", f"run={run}", f"parts={PARTS}", f"preset={self.cluster.config}"]
        command = [self.venv / "bin/snakemake", "--snakefile", WORKFLOW / "Snakefile", "--directory", self.folder]
        self.good([*command, "--cores", 2, "--config", *settings, f"fvtool={self.cluster.program}"])
        self.cluster.same(self.finished, run)
        return None

    def all(self) -> None:
        check = self.cluster.check
        self.run_of_one_process()
        check("Slurm: array, a task requeued, the whole workflow; failed parts again", self.slurm)
        check("Ray: two nodes, one lost", self.ray)
        check("Ray: a part that fails, then again", self.ray_failing)
        check("Ray: predictions from tar files", self.ray_tars)
        check("Snakemake", self.snakemake)
