"""The program ``timefunc`` with functions that fail, never return, fork or exit, and with wrong arguments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.unit.scripts import programs
from tests.unit.scripts.timed_functions import FAST, timed

pytestmark = pytest.mark.slow

FAILURES = [
    ("fails", "ValueError: b\u00e4d"),
    ("fails_later", "ValueError: third call"),
    ("waits_and_fails", "ValueError: awaited"),
    ("nothing", "has no attribute 'nothing'"),
    ("number", "expected a function, got int"),
    ("quick --args=[1,2,3]", "takes from 0 to 1 positional arguments"),
    ("leaves", "SystemExit: 0"),
    ("exits", "ended its process (exit status 7)"),
    ("killed", "ended its process (signal SIGKILL)"),
    ("becomes", "ended its process (exit status 0)"),
]


@pytest.mark.parametrize(("function", "printed"), FAILURES)
def test_a_function_that_fails(function, printed, project):
    """An exception, an exit or a signal is exit status 1, with a message and without a record."""
    done = timed(*function.split(), folder=project, PYTHONIOENCODING="utf-8")
    assert (done.status, done.all) == (1, [])
    assert printed in done.stderr
    assert "timefunc_child.py" not in done.stderr


def test_a_traceback_shows_the_function_and_what_it_printed(project):
    """The traceback and the output before it are shown."""
    done = timed("fails", folder=project)
    assert 'functions.py", line' in done.stderr
    assert "in fails" in done.stderr
    assert "before" in done.stdout


@pytest.mark.parametrize("target", ["nosuch:function", "nosuch.py:function", "functions:quick.nothing"])
def test_a_target_that_is_not_there_is_a_failure(target, project):
    """A missing module, file or attribute is an error with the message of Python."""
    done = programs.program("timefunc", target, *FAST, folder=project)
    assert (done.status, done.all) == (1, [])
    assert "Error" in done.stderr


@pytest.mark.parametrize("function", ["never", "deaf", "never_with_a_daemon"])
def test_a_function_that_never_returns_is_ended(function, project):
    """At --timeout the function and its child processes are killed, with a traceback."""
    done = timed(function, "--timeout=3", folder=project)
    assert (done.status, done.all) == (1, [])
    assert "did not return within 3 s" in done.stderr
    assert f"in {function}" in done.stderr


def test_a_function_that_closes_its_output_is_measured(project):
    """A function that closes its streams is measured; its exceptions are shown."""
    assert len(timed("shuts", folder=project).records["shuts"].samples) == 6
    done = timed("closes", folder=project)
    assert done.status == 1
    assert "Bad file descriptor" in done.stderr


def test_a_function_that_forks_is_measured_once(project):
    """Forks in which the function returns exit without a report."""
    done = timed("forks", folder=project)
    assert done.status == 0, done.stderr
    assert len(done.all) == 1


def test_daemons_and_threads_of_a_function(project):
    """Daemons and threads of the function do not delay the program."""
    done = timed("leaves_a_daemon", "--loops=1", folder=project)
    assert done.status == 0, done.stderr
    assert "processes that it left running were killed" in done.stderr
    assert timed("starts_a_thread", "--loops=1", folder=project).status == 0


def test_a_signal_ends_the_function_too(project):
    """SIGTERM ends the child process too."""
    command = [sys.executable, "-m", "bbmeasure_scripts.timefunc", "functions:never"]
    with subprocess.Popen(command, cwd=project, env=programs.environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "imported None\n"  # type: ignore[union-attr]  # of this type here
        assert child.stdout.readline() == "begun\n"  # type: ignore[union-attr]  # of this type here
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == ""  # type: ignore[union-attr]  # of this type here
    assert child.returncode == 128 + signal.SIGTERM


WRONG = [
    ["functions"],
    [":quick"],
    ["functions:"],
    ["functions:quick", "--args={}"],
    ["functions:quick", "--args=[1"],
    ["functions:quick", "--kwargs=[]"],
    ["functions:quick", "--values=0"],
    ["functions:quick", "--loops=-1"],
    ["functions:quick", "--args=" + "[" * 50_000],
    ["functions:quick", "--timeout=1e7"],
    ["functions:quick", "--timeout=nan"],
    ["functions:quick", "--budget=inf"],
    ["functions:quick", "--min-time=-1"],
    ["functions:quick", "--min-time=soon"],
    ["functions:quick", "--setup=--"],
    ["functions:quick", "--calls", "--name=" + "x" * 999],
]


@pytest.mark.parametrize("arguments", WRONG)
def test_an_invalid_command_line_is_status_2(arguments, project):
    """An invalid command line is exit status 2, with the expected value."""
    done = programs.program("timefunc", *arguments, folder=project)
    assert (done.status, done.all) == (2, [])
    assert "expected" in done.stderr


def test_a_function_that_removes_the_result_file(project, tmp_path):
    """If the function removes the result file, it is created again."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    clear = "import glob, os\ndef f():\n    for path in glob.glob('../temporary/*'): os.unlink(path)\n"
    (project / "clears.py").write_text(clear)
    assert programs.program("timefunc", "clears:f", *FAST, folder=project, TMPDIR=str(folder)).status == 0
    (project / "clears.py").write_text(clear + "    os._exit(0)\n")
    done = programs.program("timefunc", "clears:f", *FAST, folder=project, TMPDIR=str(folder))
    assert (done.status, done.all) == (1, [])
    assert "ended its process" in done.stderr


def test_no_temporary_file_is_left(project, tmp_path):
    """Result files are removed, also after failures."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    timed("quick", folder=project, TMPDIR=str(folder))
    timed("exits", folder=project, TMPDIR=str(folder))
    timed("never", "--timeout=0.3", folder=project, TMPDIR=str(folder))
    assert os.listdir(folder) == []
