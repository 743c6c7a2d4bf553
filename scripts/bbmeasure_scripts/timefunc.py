"""``bbmeasure-timefunc module:function``: how long a Python function takes.

Method and names are pyperf's (https://pyperf.readthedocs.io/en/latest/run_benchmark.html): in each of a few processes
the number of calls (*loops*) is doubled until they take 0.1 s, *warmups* are thrown away, and each *value* is the time
of that many calls over their number.  All values are kept as samples; the value of the record is their median, and
their spread the median absolute deviation (MAD).

The function runs in processes of its own, so that one that never returns, exits, forks or closes its output is told of.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Sequence

from bbmeasure import units, wire
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, process_tree, record_writer, timefunc_child
from bbmeasure_scripts.module_source import get_source

#: What the bare Python runs: it takes its program and the request from standard input, and then has none.  Modules of
#: the current folder can be had from then on: a ``json.py`` or ``profile.py`` there, or where PYTHONPATH points to, is
#: not the library's.
_LOADER = """\
import os, sys
path = sys.path[:]
last = [os.path.abspath(folder) for folder in (os.environ.get("PYTHONPATH") or os.devnull).split(os.pathsep)]
sys.path[:] = sorted([folder for folder in path if folder], key=lambda folder: os.path.abspath(folder) in last)
import json, linecache
request = json.loads(sys.stdin.buffer.read().decode("ascii"))
nothing = os.open(os.devnull, os.O_RDONLY)
os.dup2(nothing, 0)
os.close(nothing)
source, name = request.pop("source"), "<bbmeasure>/timefunc_child.py"
linecache.cache[name] = (len(source), None, source.splitlines(True), name)
if request.get("calls"):
    import cProfile
child = {"__name__": "timefunc_child", "__file__": name}
exec(compile(source, name, "exec", dont_inherit=True), child)
sys.path[:] = path
child["main"](request)
"""
#: At its deadline a process shows where it is and ends itself; one that does not is killed so many seconds later.
_GRACE = 1.0
#: The longest time that any system can wait for at once, in seconds: poll() takes 2**31 ms.
_MOST_SECONDS = 2_000_000


class FunctionError(Exception):
    """The function could not be measured; the message says why."""


class Plan(NamedTuple):
    """What is measured and how; ``loops`` 0 is to be calibrated, ``timeout`` and ``budget`` are in seconds."""

    target: str
    args: Sequence[Any] = ()
    kwargs: Optional[Dict[str, Any]] = None
    setup: str = ""
    processes: int = 3
    values: int = 5
    warmups: int = 1
    loops: int = 0
    min_time: float = 0.1
    budget: float = 60.0
    timeout: Optional[float] = None


class Timing(NamedTuple):
    """The values in seconds a call, the loops of each, what to say, and the number of calls where asked for."""

    values: List[float]
    loops: int
    notes: List[str]
    calls: Optional[int] = None


def measure(plan: Plan, calls: bool = False) -> Timing:
    """Time a function; FunctionError where it raises, never returns, or ends its process."""
    began = time.monotonic()
    deadline = None if plan.timeout is None else began + plan.timeout
    values: List[float] = []
    notes: List[str] = []
    loops = plan.loops
    for _ in range(plan.processes):
        left = plan.budget - (time.monotonic() - began)
        if values and left <= 0:
            break
        answer = _ask(
            plan, {"loops": loops, "budget": max(0.0, left / plan.processes), "quiet": bool(values)}, deadline
        )
        loops = answer["loops"]
        values.extend(answer["values"])
        if answer["note"] and answer["note"] not in notes:
            notes.append(answer["note"])
    wanted = plan.processes * plan.values
    if len(values) < wanted:
        notes.append(f"{len(values)} of {wanted} values taken, as {plan.budget:g} s were used up (--budget)")
    counted = _ask(plan, {"calls": True, "quiet": True}, deadline)["calls"] if calls else None
    return Timing(values, loops, notes, counted)


def _ask(plan: Plan, more: Dict[str, Any], deadline: Optional[float]) -> Dict[str, Any]:
    """The answer of one process."""
    request = {**plan._asdict(), "kwargs": plan.kwargs or {}, "source": get_source(timefunc_child.__name__), **more}
    request["deadline"] = deadline
    before = process_tree.descendants()
    descriptor, path = tempfile.mkstemp(prefix="bbmeasure-")
    os.close(descriptor)
    try:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) + _GRACE
        status = _run({**request, "answer": path}, left)
        written = _read(path)
    finally:
        ended = process_tree.kill_new(before)
        with suppress(FileNotFoundError):
            os.unlink(path)
    try:
        answer: Dict[str, Any] = json.loads(written)
    except ValueError:
        if deadline is not None and time.monotonic() >= deadline:
            raise FunctionError(f"{plan.target} did not return within {plan.timeout:g} s and was ended") from None
        raise FunctionError(f"{plan.target} ended its process ({_how(status)}): expected it to return") from None
    if "error" in answer:
        raise FunctionError(f"{plan.target} raised {answer['error']}")
    if ended:
        answer["note"] = answer.get("note") or "processes that it left running were ended"
    return answer


def _run(request: Dict[str, Any], timeout: Optional[float]) -> int:
    """The exit status of the process that measures, which is killed where its time is up."""
    environment = {key: value for key, value in os.environ.items() if key != wire.FILE_VARIABLE}
    child = subprocess.Popen([sys.executable, "-c", _LOADER], stdin=subprocess.PIPE, env=environment)
    try:
        child.communicate(json.dumps(request).encode("ascii"), timeout)
    except subprocess.TimeoutExpired:
        child.kill()
    finally:
        if child.poll() is None:
            child.kill()
    return child.wait()


def _read(path: str) -> str:
    """The answer's text; empty where the function has removed the file."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"signal {names.get(-status, -status)}"


def deviation(values: Sequence[float]) -> float:
    """The median absolute deviation."""
    middle = statistics.median(values)
    return statistics.median([abs(value - middle) for value in values])


def describe(name: str, taken: Timing) -> str:
    """One line for people, as pyperf has it: median and MAD."""
    middle, spread = statistics.median(taken.values), deviation(taken.values)
    calls = "" if taken.calls is None else f"; {taken.calls} function calls"
    return (
        f"{name}: {units.format(middle, 's')} \u00b1 {units.format(spread, 's')}"
        f" (median and MAD of {len(taken.values)} values, {taken.loops} loops each){calls}"
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report the time: 0, 1 where the function could not be measured, 2 for a wrong command line."""
    parser = _parser()
    wanted = command_line.read(parser, argv)
    plan = _plan(parser, wanted)
    name = wanted.name or plan.target.rpartition(":")[2]
    try:
        for series in (name, f"{name}_calls") if wanted.calls else (name,):
            Record(series, 0)
    except MeasureError as error:
        parser.error(str(error))
    process_tree.adopt_orphans()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        taken = measure(plan, wanted.calls)
    except FunctionError as error:
        record_writer.say(f"{parser.prog}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    records = [Record(name, samples=taken.values, unit="s", better="lower")]
    if taken.calls is not None:
        records.append(Record(f"{name}_calls", taken.calls, kind="count", better="lower"))
    for note in taken.notes:
        record_writer.say(f"{parser.prog}: {note}")
    return 0 if record_writer.deliver(records, [describe(name, taken)]) else 1


def _end(number: int, _frame: Any) -> NoReturn:
    raise SystemExit(128 + number)


def _plan(parser: argparse.ArgumentParser, wanted: argparse.Namespace) -> Plan:
    module, colon, function = wanted.function.rpartition(":")
    if not (module and colon and function):
        parser.error(f"{wanted.function!r}: expected module:function or path.py:function")
    for what, least in (("processes", 1), ("values", 1), ("warmups", 0), ("loops", 0)):
        if getattr(wanted, what) < least:
            parser.error(f"--{what} {getattr(wanted, what)}: expected at least {least}")
    return Plan(
        wanted.function,
        _json(parser, "--args", wanted.args, list),
        _json(parser, "--kwargs", wanted.kwargs, dict),
        wanted.setup,
        wanted.processes,
        wanted.values,
        wanted.warmups,
        wanted.loops,
        wanted.min_time,
        wanted.budget,
        wanted.timeout,
    )


def _json(parser: argparse.ArgumentParser, option: str, text: str, kind: type) -> Any:
    what = "a list" if kind is list else "an object"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        parser.error(f"{option}: expected {what} in JSON ({error})")
    if not isinstance(value, kind):
        parser.error(f"{option} {units.excerpt(text)}: expected {what} in JSON")
    return value


def _seconds(text: str) -> float:
    """A time that can be waited for."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{units.excerpt(text)}: expected seconds, from 0 to {_MOST_SECONDS}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure-timefunc",
        formatter_class=command_line.formatter,
        description="Report how long a Python function takes: the median of all values, which are kept as samples.",
        epilog="Exit status 1: the function raised (its traceback is shown), did not return or ended its process.",
    )
    parser.add_argument("function", metavar="FUNCTION", help="module:function, path.py:function or module:Class.method")
    parser.add_argument("--name", help="the name of the series (default: the function's)")
    parser.add_argument("--args", metavar="JSON", default="[]", help="positional arguments, a list: '[1000]'")
    parser.add_argument("--kwargs", metavar="JSON", default="{}", help="keyword arguments, an object: '{\"n\": 3}'")
    parser.add_argument("--setup", metavar="CODE", default="", help="statements to run first, in the function's module")
    parser.add_argument("--calls", action="store_true", help="count the function calls too, by cProfile, as NAME_calls")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="end everything after so many seconds")
    method = parser.add_argument_group("method, as in pyperf")
    method.add_argument("--processes", type=int, default=3, metavar="N", help="how many processes (default: 3)")
    method.add_argument("--values", type=int, default=5, metavar="N", help="how many values a process (default: 5)")
    method.add_argument("--warmups", type=int, default=1, metavar="N", help="values thrown away first (default: 1)")
    method.add_argument("--loops", type=int, default=0, metavar="N", help="calls a value (default: calibrated)")
    method.add_argument("--min-time", type=_seconds, default=0.1, metavar="S", help="what a value takes at least (0.1)")
    method.add_argument("--budget", type=_seconds, default=60, metavar="S", help="take no more values after this (60)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
