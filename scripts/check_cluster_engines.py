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
PARTS, TARS = 4, 3
SKIPPED = 3  # The exit code where images cannot be used.

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
        self.data, self.fitted = self.folder / "engine_data", self.folder / "engine_fitted"
        self.encoded, self.finished = self.folder / "engine_encoded", self.folder / "finished"
        self.venv = Path(cluster.options.venv or self.folder / "venv").resolve()
        # Each shard takes a second, so that something can happen to it. It notes the parts that it begins.
        self.slow, self.calls = self.folder / "slow_fvtool", self.folder / "calls"

    def run_of_one_process(self) -> None:
        """What the engines' runs are compared with, from a folder with images that cannot be used."""
        c, data, run = self.cluster, self.data, self.finished
        for folder in (data, run):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(c.data, data)
        for bad in ("train/down/00007.png", "test/across/00003.png"):
            (data / bad).write_bytes(b"this is no image\n")
        c.call("fit-gmm", "--data", data, "--split", "train", "--run", run, "--config", c.config, code=SKIPPED)
        shutil.copytree(run, self.fitted, dirs_exist_ok=True)
        c.call("encode", "--data", data, "--split", "train", "--run", run, code=SKIPPED)
        shutil.copytree(run, self.encoded, dirs_exist_ok=True)
        c.call("encode", "--data", data, "--split", "test", "--run", run, code=SKIPPED)
        c.call("train-svm", "--run", run, "--split", "train")
        c.call("eval", "--data", data, "--split", "test", "--run", run, code=SKIPPED)
        slowly = f"LD_PRELOAD={c.shim} SLOW_RENAME_MS=1000" if c.shim else ""
        lines = [
            "#!/bin/sh",
            f'case "$*" in *--part*) echo "$*" >> {self.calls}; export {slowly} ;; esac',
            f'exec {c.program} "$@"',
            "",
        ]
        self.slow.write_text("\n".join(lines))
        self.slow.chmod(0o755)

    def new(self, name: str) -> Path:
        run = self.folder / name
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(self.fitted, run)
        return run

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

    def good(self, command: list[object], wanted: int = 0, added: dict[str, str] | None = None) -> str:
        code, out = self.said(command, 300, added)
        if code != wanted:
            raise RuntimeError(f"{command[0]}: exit code {code}, not {wanted}: {out[-1500:]}")
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
                    subprocess.Popen(
                        ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "-F"],
                        stderr=subprocess.DEVNULL,
                    )
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
        places = {"DATA": self.data, "RUN": run, "CONFIG": c.config, "FVTOOL": program, "PARTS": PARTS}
        sizes = {"CPUS": 1, "MEMORY": "200M", "TRAIN_MEMORY": "200M", "LIMIT": "10:00"}
        settings = {name: str(value) for name, value in {**places, **sizes}.items()}
        return self.good([WORKFLOW / "slurm.sh", *args], 0, settings)

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
        c, run = self.cluster, self.new("ray_run")
        self.calls.write_text("")
        script = self.folder / "losing.py"
        script.write_text(LOSING)
        driver = [self.venv / "bin/python", WORKFLOW / "ray_run.py", "--program", self.slow, "--cpus", 1]
        on = ["--data", self.data, "--split", "train", "--run", run, "--parts", PARTS]
        out = self.good([self.venv / "bin/python", script, run / "fisher/train", *driver, *on], SKIPPED)
        for words in ("a node is lost", f"{PARTS} of {PARTS} parts"):
            if words not in out:
                raise RuntimeError(f"`{words}` not in: {out[-1500:]}")
        begun = self.calls.read_text().splitlines()
        if len(begun) == PARTS:
            raise RuntimeError(f"no part was begun again: {begun}")
        c.same(self.encoded, run)
        return None

    def ray_failing(self) -> str | None:
        """A part that fails on every machine is named, with the command that repeats it."""
        if why := self.have("ray, fsspec", "ray", "fsspec"):
            return why
        c, run = self.cluster, self.new("ray_failing")
        failing = self.folder / "failing_part"
        failing.write_text(
            f'#!/bin/sh\ncase "$*" in *"--part 2/4"*) echo "error: no luck" >&2; exit 1 ;; esac\nexec {c.program} "$@"\n'
        )
        failing.chmod(0o755)
        on = [
            "--data",
            self.data,
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
        self.good([*driver, "--program", c.program], SKIPPED)
        c.same(self.encoded, run)
        return None

    def ray_tars(self) -> str | None:
        """Predictions from tar files are those of the images themselves; names that lead outside are refused."""
        if why := self.have("ray, fsspec", "ray", "fsspec"):
            return why
        c, tars, to = self.cluster, self.folder / "tars", self.folder / "predictions"
        if "--output" not in c.call("predict", "--help"):
            return "this fvtool has no predict --output"
        tars.mkdir()
        images = sorted(path.relative_to(self.data / "test") for path in (self.data / "test").rglob("*.png"))
        for number in range(TARS):
            with tarfile.open(tars / f"{number:02}.tar", "w") as tar:
                for name in images[number::TARS]:
                    tar.add(self.data / "test" / name, str(name))
                    tar.addfile(tarfile.TarInfo(str(name.with_suffix(".cls"))), io.BytesIO(b""))
            listed, alone = self.folder / "list.txt", self.folder / f"alone{number:02}.csv"
            listed.write_text("".join(f"{name}\n" for name in images[number::TARS]))
            # As a worker does, so that paths are those in the tar file.
            command = [c.program, "predict", "--run", str(self.finished), "--list", str(listed), "--output", str(alone)]
            subprocess.run(command, cwd=self.data / "test", capture_output=True)
        driver = self.driver_of_tars()
        on = [*driver, "--predictions", f"file://{to}", "--images", f"file://{tars}/{{00..02}}.tar"]
        self.good(on, SKIPPED)
        for number in range(TARS):
            if (self.folder / f"alone{number:02}.csv").read_bytes() != (to / f"{number:02}.csv").read_bytes():
                raise RuntimeError(f"{number:02}.csv is not what one process writes")
        times = [path.stat().st_mtime_ns for path in sorted(to.glob("*.csv"))]
        self.good(on)
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
        code, out = self.said([*driver, "--predictions", f"file://{to}", "--images", f"file://{tars}/{{10..13}}.tar"])
        if code != 1 or "4 parts failed" not in out or list(self.folder.rglob("evil.png")):
            raise RuntimeError(f"exit code {code}: {out[-1500:]}")
        return None

    def driver_of_tars(self) -> list[object]:
        driver: list[object] = [self.venv / "bin/python", WORKFLOW / "ray_run.py", "--program", self.cluster.program]
        return [*driver, "--cpus", 1, "--retries", 0, "--address", "local", "--models", self.finished]

    def ray_s3(self) -> str | None:
        """The same from an object store and back."""
        if why := self.have("moto.server, s3fs", "moto[server]", "s3fs"):
            return why
        if not (self.folder / "tars").exists():
            return "there are no tar files to put there"
        port = 15_555
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        keys["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        python, bucket = self.venv / "bin/python", "s3://photos"
        store = subprocess.Popen(
            [self.venv / "bin/moto_server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            make = f"import s3fs; s = s3fs.S3FileSystem(); s.mkdir('photos'); s.put('{self.folder}/tars/', 'photos/', recursive=True)"
            self.cluster.until(lambda: self.said([python, "-c", make], 60, keys)[0] == 0, seconds=60)
            on = [*self.driver_of_tars(), "--predictions", f"{bucket}/scores", "--images", bucket + "/{00..02}.tar"]
            self.good(on, SKIPPED, keys)
            get = "import s3fs, sys; sys.stdout.write(s3fs.S3FileSystem().cat(sys.argv[1]).decode())"
            for number in range(TARS):
                found = self.good([python, "-c", get, f"photos/scores/{number:02}.csv"], 0, keys)
                if found != (self.folder / f"alone{number:02}.csv").read_text():
                    raise RuntimeError(f"{number:02}.csv is not what one process writes: {found[:500]}")
            self.good(on, 0, keys)
        finally:
            store.terminate()
            store.wait()
        return None

    # -- Snakemake -------------------------------------------------------------------------------

    def snakemake(self) -> str | None:
        if why := self.have("snakemake", "snakemake"):
            return why
        run = self.folder / "snakemake_run"
        settings = [f"data={self.data}", f"run={run}", f"parts={PARTS}", f"preset={self.cluster.config}"]
        command = [self.venv / "bin/snakemake", "--snakefile", WORKFLOW / "Snakefile", "--directory", self.folder]
        self.good([*command, "--cores", 2, "--config", *settings, f"fvtool={self.cluster.program}"])
        self.cluster.same(self.finished, run)
        return None

    def all(self) -> None:
        check = self.cluster.check
        check("one process, with images that cannot be used", self.run_of_one_process, always=True)
        check("Slurm: array, a task requeued, the whole workflow; failed parts again", self.slurm)
        check("Ray: two nodes, one lost", self.ray)
        check("Ray: a part that fails, then again", self.ray_failing)
        check("Ray: predictions from tar files", self.ray_tars)
        check("Ray: predictions from and to S3", self.ray_s3)
        check("Snakemake", self.snakemake)
