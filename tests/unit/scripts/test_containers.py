"""The programs as process 1 of a container: a read-only root, no home, and its own procfs, a foreign one, or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bbmeasure_scripts import bundle as bundling
from tests import documented
from tests.containers import PROCFS, enter
from tests.unit.scripts import programs
from tests.unit.scripts.programs import NAMES

pytestmark = pytest.mark.slow

#: What the programs say of a procfs.
WHY_UNKNOWN = {
    "own": "",
    "foreign": "/proc is that of another PID namespace",
    "hidden": "there is neither /proc nor psutil",
}
#: The resources that need procfs.
FROM_PROCFS = {"x_tree_rss", "x_read", "x_written"}


@pytest.fixture
def work(tmp_path):
    """The folder of a build."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "module.py").write_text("def double(n):\n    return 2 * n\n")
    return folder


def contain(program, arguments, work, procfs):
    """Run a bundle in a container; returns its exit status, the records, and the output."""
    environment = {"BBMEASURE_FILE": str(work / "sidecar")}
    command = [*enter(work, procfs, environment), *bundling.command([sys.executable], program)]
    text = bundling.bundle(program, arguments).encode()
    done = subprocess.run(command, input=text, capture_output=True, timeout=300, check=False)
    file = work / "sidecar"
    records = programs.records_of(file.read_bytes()) if file.exists() else []
    by_name = {record.name: record for record in records}
    return programs.Done(done.returncode, by_name, records, done.stdout.decode(), done.stderr.decode())


def test_the_container_is_one(work):
    """The command is process 1, has no home, and cannot write outside its folder."""
    code = "import os, tempfile; print(os.getpid(), 'HOME' in os.environ, tempfile.gettempdir())"
    done = subprocess.run(
        [*enter(work, "own", {}), sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (f"1 False {work}\n", "")


@pytest.mark.parametrize("procfs", PROCFS)
def test_run(procfs, work):
    """The command is measured, with the processes that it leaves; what procfs does not show is noted."""
    script = "echo ran; { (sleep 0.05 &); } | cat"
    done = contain("run", ["--name=x", "--", "sh", "-c", script], work, procfs)
    assert (done.status, done.stdout) == (0, "ran\n"), done.stderr
    assert set(done.records) == (NAMES if procfs == "own" else NAMES - FROM_PROCFS)
    assert "1 orphan" in done.stderr or procfs != "own"  # one that has not ended is not seen without procfs
    assert WHY_UNKNOWN[procfs] in done.stderr


@pytest.mark.parametrize("procfs", PROCFS)
@pytest.mark.parametrize(
    ("program", "arguments", "values"),
    [
        ("emit", ["made", "3 ms"], {"made": 0.003}),
        ("size", ["--name=s", "module.py"], {"s": 32.0}),
        ("sloc", ["--tool=builtin", "--name=lines", "module.py"], {"lines": 2.0}),
        ("timefunc", ["module:double", "--args=[4]", "--processes=1", "--values=2", "--calls"], {"double_calls": 1.0}),
    ],
)
def test_the_other_programs(program, arguments, values, procfs, work):
    """The other programs need neither a home nor procfs, and no other place for temporary files than their folder."""
    done = contain(program, arguments, work, procfs)
    assert done.status == 0, done.stderr
    assert {name: done.records[name].value for name in values} == values
    noted = program == "timefunc" and procfs != "own"
    why = f"bbmeasure-timefunc: processes that it leaves running are not stopped: {WHY_UNKNOWN[procfs]}\n"
    assert done.stderr == (why if noted else "")
    assert set(os.listdir(work)) <= {"module.py", "sidecar", "__pycache__"}


def test_process_1_forwards_signals(work):
    """SIGTERM, by which a container is stopped, reaches the command, and its exit status is that of the program."""
    script = "trap 'kill $!; exit 9' TERM; sleep 60 & echo ready; wait"
    paths = {"PYTHONPATH": programs.environment()["PYTHONPATH"]}
    command = [*enter(work, "own", paths), *programs.RUN, "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        (first,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        assert child.wait(60) == 9


#: A ``docker run`` whose container is a directory: the mounted file has its path outside, and must exist.
DOCKER = """#!/bin/sh
set -eu
[ "$1 $2 $3 $5 $7 $8 $9" = "run --rm --volume --env alpine sh -c" ]
file=${4%:/measurements}
[ -f "$file" ] && [ "$6" = BBMEASURE_FILE=/measurements ]
apk() { printf 'musl\\nbusybox\\n'; }
BBMEASURE_FILE=$file
eval "${10}"
"""


def test_the_example_of_a_command_in_a_container(work, tmp_path):
    """The documented script reports a value from a container without Python."""
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    script = str(documented.EXAMPLES / "scripts" / "in_container.sh")
    done = programs.execute(["sh", script], work, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (done.status, done.records["packages"].value) == (0, 2.0), done.stderr
