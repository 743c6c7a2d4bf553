"""The program ``timefunc``: values, targets, calls and output."""

from __future__ import annotations

import statistics
import sys

import pytest

from bbmeasure_scripts import timefunc, timefunc_child
from tests.unit.scripts import programs
from tests.unit.scripts.timed_functions import FAST, timed

pytestmark = pytest.mark.slow


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
    done = programs.program("timefunc", target, *FAST, "--processes=1", *arguments, "--name", "x", folder=project)
    assert done.status == 0, done.stderr
    assert len(done.records["x"].samples) == 3


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


def test_the_budget_limits_the_values(project):
    """The budget limits the number of values, with a note."""
    done = programs.program(
        "timefunc", "time:sleep", "--args=[0.05]", "--budget=0.1", "--min-time=0.01", "--values=9", folder=project
    )
    assert 1 <= len(done.records["sleep"].samples) < 27
    assert "of 27 values measured" in done.stderr


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
