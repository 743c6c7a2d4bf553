"""Checks of the programs with hostile input, one for each part that processes it.

A check takes the bytes of a fuzzer, and fails unless the part succeeds or prints an error message.  Most inputs are
words separated by NUL, as in ``/proc/PID/cmdline``.  No input is executed, and no file outside a folder of the
check is read.
"""

from __future__ import annotations

import ast
import io
import json
import math
import os
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, NamedTuple, Optional
from unittest import mock

import pytest

from bbmeasure import wire
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record, canonical_series
from bbmeasure_scripts import (
    bundle,
    emit,
    process_tree,
    report,
    resource_usage,
    run,
    size,
    sloc,
    sloc_counter,
    sloc_languages,
    sloc_tools,
    timefunc,
    timefunc_child,
)
from tests.unit.scripts import programs


class Answer(NamedTuple):
    """The result of a program: exit status, records, text on stderr, and whether it printed its help."""

    status: int
    records: list[Record]
    said: str
    is_help: bool


def words(content: bytes) -> list[str]:
    """The arguments that the bytes contain."""
    return [os.fsdecode(word) for word in content.split(b"\0")]


def call(main: Callable[[list[str]], int], argv: list[str], *, in_step: bool = True) -> Answer:
    """Run a program with a sidecar file or outside a step, with ASCII streams."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "ascii", errors) for errors in ("strict", "backslashreplace"))
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "sidecar")
        environment = {wire.FILE_VARIABLE: file if in_step else ""}
        with mock.patch.dict(os.environ, environment), redirect_stdout(stdout), redirect_stderr(stderr):
            try:
                status = main(argv)
            except SystemExit as end:  # argparse: help, or wrong use
                status = {0: 0, 2: 2}[end.code]  # type: ignore[index]  # a value that can be indexed here
        texts = [stream.detach().getvalue() for stream in (stdout, stderr) if stream.flush() is None]
        records = programs.records_of(_read(file)) if in_step else programs.marked(texts[0].decode())
    said = texts[1].decode()
    assert status == 0 or said
    return Answer(status, records, said, status == 0 and texts[0].startswith(b"usage: "))


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        return b""


def check_emit(content: bytes) -> None:
    """A command line is one valid record or an error."""
    argv = words(content)
    for in_step in (True, False):
        answer = call(emit.main, argv, in_step=in_step)
        assert answer.status in (0, 1, 2)
        assert len(answer.records) == (answer.status == 0 and not answer.is_help)


def _number(text: str) -> Any:
    """A text as a number, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


Call = Callable[[str, Any, Any, Any, Any, Any], bool]

REPORTS: list[Call] = [
    lambda name, value, unit, better, tags, samples: report.size(
        name, value, unit=unit, better=better, tags=tags, samples=samples
    ),
    lambda name, value, unit, better, tags, samples: report.duration(
        name, value, unit=unit, better=better, tags=tags, samples=samples
    ),
    lambda name, value, unit, better, tags, samples: report.number(
        name, value, unit=unit, better=better, tags=tags, samples=samples
    ),
    lambda name, value, unit, better, tags, samples: report.ratio(name, value, unit=unit, better=better, tags=tags),
    lambda name, value, unit, better, tags, samples: report.count(name, value, better=better, tags=tags),
    lambda name, value, unit, better, tags, samples: report.text(name, value, tags=tags),
]


def check_report(content: bytes) -> None:
    """A call of ``report`` appends one valid line or raises a MeasureError.

    The first word is the previous content of the file, the second selects the function.
    """
    before, _, rest = content.partition(b"\0")
    before = b"\n".join(before.split(b"\n")[: wire.MOST_REFUSALS // 2])
    chosen, name, value, unit, better, *more = [*words(rest), "", "", "", "", ""]
    numbers = [_number(text) for text in value.split(",")]
    tags = {key: _number(tag) for key, _, tag in (word.partition("=") for word in more if word)}
    values = {"value": None, "samples": numbers} if len(numbers) > 1 else {"value": numbers[0], "samples": ()}
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "sidecar")
        with open(file, "wb") as opened:
            opened.write(before)
        with mock.patch.dict(os.environ, {wire.FILE_VARIABLE: file}):
            try:
                reported = REPORTS[len(chosen) % len(REPORTS)](
                    name, values["value"], unit, better or None, tags, values["samples"]
                )
            except MeasureError:
                assert _read(file) == before
                return
        assert reported is True
        last = list(wire.read_file(_read(file)))[-1]
    assert isinstance(last, Record), last
    assert last.name == canonical_series(name)


USAGE = resource_usage.Usage(3, 1.5)
USAGE.cpu, USAGE.max_rss, USAGE.read, USAGE.written, USAGE.switches = 0.5, 10_000, 100, 200, 7
USAGE.orphans, USAGE.notes = 2, ["a note"]


def check_run(content: bytes) -> None:
    """A command line is an error, or ends with the command, whose status is returned.

    The command is not run: one that contains an ``x`` is treated as one that cannot be started.
    """
    argv = words(content)
    started: list[list[str]] = []

    def measure(command: list[str]) -> resource_usage.Usage:
        started.append(list(command))
        if "x" in command[0]:
            raise resource_usage.NotStartedError(command[0], len(command))
        return USAGE

    for in_step in (True, False):
        started.clear()
        with mock.patch.object(resource_usage, "measure", measure):
            answer = call(run.main, argv, in_step=in_step)
        if not started:
            assert answer.status == 2 or answer.is_help
            continue
        assert argv[len(argv) - len(started[0]) :] == started[0]
        if "x" in started[0][0]:
            assert answer.status in (126, 127)
        else:
            assert answer.status == USAGE.status
            assert len(answer.records) == 6 or "cannot be reported" in answer.said
        assert not answer.records or answer.status == USAGE.status


def check_processes(content: bytes) -> None:
    """Samples are valid for any content of the files of procfs.

    The words are the I/O counters of this process and its thread, its environment, and the process ID, ``stat`` and
    ``statm`` of each process.
    """
    account, of_thread, environment, *others = [*content.split(b"\0"), b"", b""]
    me = os.getpid()
    with tempfile.TemporaryDirectory() as folder:

        def put(path: str, text: bytes) -> None:
            whole = os.path.join(folder, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "wb") as file:
                file.write(text)

        put("self/io", account)
        put(f"self/task/{me}/io", of_thread)
        put("self/environ", environment.replace(b"\n", b"\0"))
        listed = set()
        for number, stat, statm in zip(others[::3], others[1::3], others[2::3]):
            name = os.fsdecode(number[:8]).replace("/", "").strip(".") or "0"
            put(f"{name}/stat", stat)
            put(f"{name}/statm", statm)
            listed.add(name)
        own = mock.patch.object(process_tree, "has_own_proc", return_value=True)
        with mock.patch.object(process_tree, "PROC", folder), own:
            _check_tree(listed)
            moved = resource_usage._io_of_children()
            assert moved is None or all(isinstance(number, int) for number in moved)
            assert set(resource_usage._dropped_variables()) <= {"LC_CTYPE"}


def _check_tree(listed: set[str]) -> None:
    """Two samples of the tree, as in ``run``, and the functions that ``timefunc`` calls."""
    tree = process_tree.ProcTree(1)
    for _ in range(2):
        sample = tree.sample()
        assert 0 <= sample.largest <= sample.total
        assert sample.processes == len(tree.members()) <= len(listed)
    for name in listed:
        assert isinstance(process_tree.parent_of(name), str)
        if name.isascii() and name.isdecimal():
            assert process_tree._is_zombie(int(name)) in (True, False)


def _inside(path: str) -> str:
    """The path without parts that lead out of its folder."""
    return "/".join(part for part in path.split("/") if part != "..").lstrip("/")


@contextmanager
def _grown(names: list[str]) -> Iterator[list[int]]:
    """A current folder with a file of each name that the system accepts; yields their sizes."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield [_plant(_inside(name), length) for length, name in enumerate(names[:40], start=1)]
        finally:
            os.chdir(before)


def _plant(name: str, length: int) -> int:
    try:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "xb") as file:
            return file.write(b"x" * length)
    except (OSError, ValueError):
        return 0


def check_size(content: bytes) -> None:
    """The size is at most that of all files, and equal without exclude patterns.

    The words before an empty one are the command line, without paths that lead out; the others are the files.
    """
    options, _, names = content.partition(b"\0\0")
    argv = [_inside(word) for word in words(options)]
    with _grown(words(names)) as lengths:
        whole, files = sum(lengths), sum(map(bool, lengths))
        for arguments in (argv, ["."]):
            answer = call(size.main, arguments)
            assert answer.status in (0, 1, 2)
            assert len(answer.records) == (0 if answer.status or answer.is_help else 2)
            found = [record.value for record in answer.records]
            assert not found or "--allocated" in argv or 0 < found[1] <= files  # type: ignore[operator]  # numbers here
            if arguments == ["."]:
                assert found == ([float(whole), float(files)] if files else [])


SYNTAXES = sorted(set(sloc_languages.SYNTAXES.values()), key=repr)


def check_sloc_count(content: bytes) -> None:
    """A text has at most as many source lines as lines; the first byte selects the language."""
    language, text = content[:1], content[1:]
    if language:
        lines = SYNTAXES[language[0] % len(SYNTAXES)].count_lines(sloc_counter.normalize(text))
        assert 0 <= lines <= text.count(b"\n") + text.count(b"\r") + 1


COMMANDS = [name for name, tool in sloc_tools.TOOLS.items() if not tool.is_module]


def check_sloc_tools(content: bytes) -> None:
    """The output of another counter yields a total that is the sum of its languages, or an error.

    The first byte selects the counter; the text before the first NUL is its version.
    """
    choice, (version, _, printed) = content[:1], content[1:].partition(b"\0")
    if not choice:
        return
    name = COMMANDS[choice[0] % len(COMMANDS)]

    def output(_name: str, arguments: list[str]) -> bytes:
        return version if arguments == ["--version"] else printed

    there = mock.patch.object(sloc_tools, "is_installed", return_value=True)
    with there, mock.patch.object(sloc_tools, "_output", output):
        answer = call(sloc.main, ["--tool", name, "."])
    if answer.status:
        assert (answer.status, answer.records) == (1, [])
        return
    total, tool, *languages = answer.records
    assert (tool.value, total.value) == (name, math.fsum(float(one.value) for one in languages))
    assert 1 <= len(languages) <= sloc.MAX_LANGUAGES


MODULE = types.ModuleType("module")
exec("def function(): pass\nclass Class:\n    def method(self): pass\n    number = 3", MODULE.__dict__)


def check_timefunc(content: bytes) -> None:
    """A command line is an error, or a plan that JSON can represent; the function is not run."""
    argv = words(content)
    plans: list[timefunc.Plan] = []

    def measure(plan: timefunc.Plan, calls: bool = False) -> timefunc.Timing:
        plans.append(plan)
        return timefunc.Timing([1.0, 2.0], 1, [], 3 if calls else None)

    with mock.patch.object(timefunc, "measure", measure):
        answer = call(timefunc.main, argv)
    if not plans:
        assert answer.status == 2 or answer.is_help
        return
    (plan,) = plans
    assert len(answer.records) in (1, 2)
    assert json.loads(json.dumps(plan._asdict()).encode("ascii"))["target"] == plan.target
    assert plan.processes > 0 < plan.values
    assert all(0 <= seconds < math.inf for seconds in (plan.min_time, plan.budget, plan.timeout or 0.0))
    _check_target(plan.target)


def _check_target(target: str) -> None:
    """A target is imported from its module, and a name that is not a function is an error."""
    nowhere = types.SimpleNamespace(import_module=_refuse, util=types.SimpleNamespace(spec_from_file_location=_nothing))
    with mock.patch.object(timefunc_child, "importlib", nowhere), pytest.raises(ImportError):
        timefunc_child.load(target)
    with suppress(AttributeError, TypeError):
        assert callable(timefunc_child.resolve(MODULE, target.rpartition(":")[2]))


def _refuse(name: str) -> types.ModuleType:
    raise ImportError(f"{name}: nothing is imported here")


def _nothing(_name: str, _path: str) -> Optional[Any]:
    return None


def check_bundle(content: bytes) -> None:
    """A bundle is valid ASCII source for any arguments, which its last line passes on unchanged."""
    first, *argv = words(content)
    text = bundle.bundle(bundle.PROGRAMS[len(first) % len(bundle.PROGRAMS)], argv)
    assert text.isascii()
    last = ast.parse(text.splitlines()[-1]).body[0]
    assert isinstance(last, ast.Expr)
    assert isinstance(last.value, ast.Call)
    assert ast.literal_eval(last.value.args[1]) == argv


def check_wire(content: bytes) -> None:
    """Any lines are records or refusals."""
    assert all(isinstance(one, (Record, wire.Refusal)) for one in wire.read_file(content))
    text = content.decode("utf-8", "replace")
    at_once, in_pieces = wire.MarkerScanner(), wire.MarkerScanner()
    expected = [*at_once.feed(text), *at_once.finish()]
    found = [one for begin in range(0, len(text), 7) for one in in_pieces.feed(text[begin : begin + 7])]
    found += in_pieces.finish()
    assert [one for one in found if isinstance(one, Record)] == [one for one in expected if isinstance(one, Record)]


CHECKS: dict[str, Callable[[bytes], None]] = {
    name[len("check_") :]: check for name, check in list(globals().items()) if name.startswith("check_")
}
