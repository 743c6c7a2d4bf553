"""The program ``timefunc``, also with functions that never return, fork, exit or close streams."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys

import pytest

from bbmeasure_scripts import timefunc, timefunc_child
from tests.unit.scripts import programs

FUNCTIONS = """
import asyncio, functools, os, signal, subprocess, sys, threading, time

print("imported", os.environ.get("BBMEASURE_FILE"))
READY = False

def quick(n=10, *, double=False):
    return sum(range(n * (1 + double)))

def needs_setup():
    if not READY:
        raise RuntimeError("not set up")

def nested():
    return [quick(1) for _ in range(3)]

def recursive(n):
    return n and recursive(n - 1)

def speaks():
    print("spoken")
    print("murmured", file=sys.stderr)

def fails():
    print("before")
    raise ValueError("b\\u00e4d")

def fails_later(calls=[]):
    calls.append(1)
    if len(calls) > 2:
        raise ValueError("third call")

def reads():
    assert sys.stdin.read() == ""

def never():
    print("begun", flush=True)
    while True:
        time.sleep(0.01)

def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    while True:
        pass

def exits():
    os._exit(7)

def leaves():
    sys.exit(0)

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def becomes():
    os.execvp("true", ["true"])

def closes():
    sys.stdout.close()
    os.close(2)

def shuts():
    sys.stdout.close()

def forks():
    os.fork()

def leaves_a_daemon():
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
        os._exit(0)

def never_with_a_daemon():
    leaves_a_daemon()
    never()

def starts_a_thread():
    threading.Thread(target=time.sleep, args=(1000,)).start()

async def waits():
    await asyncio.sleep(0.001)

async def waits_and_fails():
    await asyncio.sleep(0)
    raise ValueError("awaited")

@functools.lru_cache(maxsize=None)
def cached():
    return 1

def makes():
    yield 1

class Class:
    def __init__(self):
        self.factor = 2
    def method(self, n):
        return n * self.factor
    @staticmethod
    def static(n):
        return n
    @classmethod
    def of_class(cls, n):
        return cls, n
    def __call__(self):
        return 3
    class Inner:
        pass

thing = Class()
number = 3
"""
FAST = ("--min-time=0.001", "--values=3", "--processes=2")


@pytest.fixture
def project(tmp_path):
    """A folder with a module of functions."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
    return folder


def timed(function, *arguments, folder, **more):
    """Time one of the functions, quickly."""
    return programs.program("timefunc", f"functions:{function}", *FAST, *arguments, folder=folder, **more)


def test_the_value_is_the_median_of_all_samples(project):
    """The values of all processes are samples in seconds; the summary has median and deviation."""
    done = timed("quick", folder=project)
    record = done.records["quick"]
    assert (len(record.samples), record.unit, record.kind.value, record.better.value) == (6, "s", "duration", "lower")
    assert record.value == statistics.median(record.samples)
    assert 1e-8 < record.value < 1e-3
    assert "median and MAD of 6 values" in done.stdout


TARGETS = [
    ("functions:quick", ["--args=[3]", '--kwargs={"double": true}']),
    ("functions.py:quick", []),
    ("functions:Class.method", ["--args=[3]"]),
    ("functions:Class.static", ["--args=[3]"]),
    ("functions:Class.of_class", ["--args=[3]"]),
    ("functions:Class.Inner", []),
    ("functions:Class", []),
    ("functions:thing.method", ["--args=[3]"]),
    ("functions:thing", []),
    ("functions:cached", []),
    ("builtins:len", ['--args=["text"]']),
    ("os.path:join", ['--args=["a", "b"]']),
    ("functions:waits", []),
]


@pytest.mark.parametrize(("target", "arguments"), TARGETS)
def test_a_target_may_be_anything_that_can_be_called(target, arguments, project):
    """Functions by module or path, methods, classes, callable objects and coroutines can be timed."""
    done = programs.program("timefunc", target, *FAST, *arguments, "--name", "x", folder=project)
    assert done.status == 0, done.stderr
    assert len(done.records["x"].samples) == 6


def test_a_coroutine_is_awaited(project):
    """A coroutine is awaited within the measured time."""
    assert timed("waits", folder=project).records["waits"].value >= 0.001


def test_a_file_is_a_module_of_its_own(project):
    """A file is imported by path, can import its neighbours, and may have the name of a standard module."""
    (project / "json.py").write_text("import neighbour\n\ndef dumps():\n    return neighbour.VALUE\n")
    (project / "neighbour.py").write_text("VALUE = 3\n")
    done = programs.program("timefunc", "project/json.py:dumps", *FAST, folder=project.parent)
    assert done.status == 0, done.stderr


def test_setup_runs_in_the_module_before_the_first_call(project):
    """--setup is executed in the namespace of the module."""
    assert timed("needs_setup", folder=project).status == 1
    assert timed("needs_setup", "--setup", "READY = True; import math", folder=project).status == 0


CALLS = [("quick", 2), ("nested", 8 if sys.version_info < (3, 12) else 7), ("recursive --args=[9]", 10)]


@pytest.mark.parametrize(("function", "calls"), CALLS)
def test_calls_are_counted_exactly(function, calls, project):
    """--calls reports the number of function calls during one call."""
    done = timed(*function.split(), "--calls", folder=project)
    name = function.split()[0]
    record = done.records[f"{name}_calls"]
    assert (record.value, record.kind.value, record.better.value) == (calls, "count", "lower")
    assert f"{calls} function calls" in done.stdout


def test_calls_of_a_coroutine_are_counted(project):
    """The calls of a coroutine are counted."""
    assert timed("waits", "--calls", folder=project).records["waits_calls"].value >= 2


def test_output_is_shown_once(project):
    """The output of the first call is shown, that of later calls is not."""
    done = timed("speaks", folder=project)
    assert done.stdout.splitlines()[:2] == ["imported None", "spoken"]
    assert (done.stdout.count("spoken"), done.stderr.count("murmured")) == (1, 1)


def test_a_generator_is_noted(project):
    """A function that returns a generator is timed, with a note."""
    assert "only its creation is timed" in timed("makes", folder=project).stderr


def test_standard_input_is_empty(project):
    """The standard input of the function is empty."""
    assert timed("reads", folder=project, text="words").status == 0


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


def test_the_budget_limits_the_values(project):
    """The budget limits the number of values, with a note."""
    done = programs.program(
        "timefunc", "time:sleep", "--args=[0.05]", "--budget=0.1", "--min-time=0.01", "--values=9", folder=project
    )
    assert 1 <= len(done.records["sleep"].samples) < 27
    assert "of 27 values measured" in done.stderr


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


class Calls:
    """A timer whose calls take a known time."""

    def __init__(self, each):
        self.each = each
        self.requested = []

    def time(self, loops):
        self.requested.append(loops)
        return loops * self.each


@pytest.mark.parametrize(("each", "loops"), [(1.0, 1), (0.1, 1), (0.06, 2), (0.001, 128), (1e-6, 131072)])
def test_loops_double_until_they_take_the_least_time(each, loops):
    """The number of calls is the smallest power of two that takes 0.1 s, as in pyperf."""
    timer = Calls(each)
    assert timefunc_child.calibrate(timer, each, 0.1) == loops
    assert timer.requested == ([] if loops == 1 else [2**power for power in range(loops.bit_length())])


def test_a_value_is_the_time_of_one_call(monkeypatch):
    """A value is the time of a loop divided by the number of calls."""
    clock = iter([0.0, 1.0, 10.0, 14.0])
    monkeypatch.setattr(timefunc_child.time, "perf_counter", lambda: next(clock))  # type: ignore[attr-defined]  # an import of the module
    called = []
    assert timefunc_child.Timer(called.append, [1], {}).time(4) == 1.0
    assert timefunc_child.Timer(lambda: called.append(2), [], {}).time(2) == 4.0
    assert called == [1, 1, 1, 1, 2, 2]


def test_the_deviation_is_the_median_absolute_one():
    """The deviation is the median absolute deviation."""
    assert timefunc.deviation([1.0, 2.0, 3.0, 4.0, 100.0]) == 1.0


def test_many_samples_fit_into_a_line_of_a_log(project):
    """Outside a step samples are dropped until the line fits, with a message."""
    done = timed("quick", "--values=150", "--loops=1", folder=project, sidecar=False)
    assert 50 < len(done.records["quick"].samples) < 300
    assert "of 300 samples are reported" in done.stderr


def test_the_environment_names_no_file_to_report_to(project):
    """Records that the function reports do not reach the step."""
    (project / "reports.py").write_text("from bbmeasure_scripts import report\ndef f():\n    report.count('x', 1)\n")
    done = programs.program("timefunc", "reports:f", *FAST, folder=project)
    assert list(done.records) == ["f"]


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


@pytest.mark.parametrize(
    ("values", "modes"),
    [
        ([1.0, 1.01, 1.02, 1.0, 1.3, 1.31, 1.3, 1.32], (1.005, 1.305)),
        ([1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07], None),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0], None),
        ([1.0, 1.0, 1.0, 1.01, 1.01, 1.01], None),
        ([1.0, 2.0], None),
        ([1.0] * 8, None),
    ],
)
def test_two_modes(values, modes):
    """Two groups of values with a gap are two modes; a trend, one outlier and a difference of 1 % are one."""
    found = timefunc.two_modes(values)
    assert found == (None if modes is None else pytest.approx(modes))


def test_bimodal_values_are_noted(project):
    """A function that is slow in every second call has a message with both times."""
    code = "import time\ncalls = []\ndef f():\n    calls.append(1)\n    time.sleep(0.01 + len(calls) % 2 * 0.2)\n"
    (project / "alternates.py").write_text(code)
    options = ["--processes=1", "--values=8", "--loops=1"]
    done = programs.program("timefunc", "alternates:f", *options, folder=project)
    assert "the values are bimodal, about" in done.stderr
