"""The program inside the wheel behaves as the binary does."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import program

import fvtool

FVTOOL = [sys.executable, "-m", "fvtool"]


def test_version_and_codes():
    assert program("--version").stdout.strip() == f"fvtool {fvtool.__version__}"
    assert "unrecognized subcommand" in program("no-such-command", expect=2).stderr
    assert program("inspect", "no such file", expect=1).stderr


def test_the_command_is_installed():
    command = os.path.join(os.path.dirname(sys.executable), "fvtool")
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and fvtool.__version__ in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_reader_that_leaves_is_no_error(tmp_path):
    words = [*FVTOOL, "--help"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        errors = running.stderr.read()
        assert running.wait() == 0 and not errors


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_the_program_in_its_own_words(tmp_path):
    done = interrupted(tmp_path, signal.SIG_DFL)
    assert done.returncode == 1, done.stderr
    assert "interrupted" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")
def test_an_ignored_signal_stays_ignored(tmp_path):
    done = interrupted(tmp_path, signal.SIG_IGN, patience=1)
    assert done is None


def interrupted(folder, handler, patience=20):
    """What becomes of a demo that gets SIGINT; nothing where it goes on."""
    words = [*FVTOOL, "demo", "--out", str(folder / "demo")]
    before = signal.signal(signal.SIGINT, handler)
    try:
        running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    try:
        out, errors = running.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        return None
    return subprocess.CompletedProcess(words, running.returncode, out, errors)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_call_of_the_module(tmp_path):
    script = """
import numpy as np, fvtool
rows = np.random.default_rng(1).normal(size=(200_000, 64)).astype(np.float32)
print("begun", flush=True)
try:
    fvtool.fit_gmm(rows, 128, tolerance=0.0, max_iterations=100_000)
except KeyboardInterrupt:
    print("interrupted")
"""
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "begun\n"
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert out == "interrupted\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own():
    script = """
import multiprocessing, numpy as np, fvtool
rows = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
expected = fvtool.fit_gmm(rows, 2).means
def again(_):
    return fvtool.fit_gmm(rows, 2).means
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for means in pool.map(again, range(2)):
            assert np.array_equal(means, expected)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
