"""``bbmeasure-timefunc module:function``: measure the run time of a Python function.

Method and terms are those of pyperf (https://pyperf.readthedocs.io/en/latest/run_benchmark.html): in each of several
processes the number of calls (*loops*) is doubled until they take 0.1 s, *warmups* are discarded, and each *value* is
the time of that many calls divided by their number.  All values are reported as samples; the value of the record is
their median, their spread the median absolute deviation (MAD).

The function runs in separate processes, so that errors can be reported if it never returns, exits, forks or closes its
output.
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
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from bbmeasure import units, wire
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, line_writer, process_tree, record_writer, timefunc_child
from bbmeasure_scripts.module_source import get_source

#: The source of a child process: it reads the source of timefunc_child and the request from standard input.  Only then
#: it adds the current folder and PYTHONPATH to sys.path: a ``json.py`` there must not hide the standard library's.
_LOADER = """\
import os, sys
path = sys.path[:]
last = [os.path.abspath(folder) for folder in (os.environ.get("PYTHONPATH") or os.devnull).split(os.pathsep)]
sys.path[:] = sorted([folder for folder in path if folder], key=lambda folder: os.path.abspath(folder) in last)
import json, linecache
request = json.loads(sys.stdin.buffer.read().decode("ascii"))
empty = os.open(os.devnull, os.O_RDONLY)
os.dup2(empty, 0)
os.close(empty)
source, name = request.pop("source"), "<bbmeasure>/timefunc_child.py"
linecache.cache[name] = (len(source), None, source.splitlines(True), name)
if request.get("calls"):
    import cProfile
child = {"__name__": "timefunc_child", "__file__": name}
exec(compile(source, name, "exec", dont_inherit=True), child)
sys.path[:] = path
child["main"](request)
"""
#: At its deadline a child prints its traceback and exits; after these further seconds it is killed.
_GRACE = 1.0
#: The longest timeout in seconds: poll() accepts 2**31 ms.
_MAX_SECONDS = 2_000_000


class FunctionError(Exception):
    """The function cannot be measured."""


class Plan(NamedTuple):
    """The function and the method; ``loops`` 0 is calibrated, ``timeout`` and ``budget`` are in seconds."""

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
    """The values in seconds per call, the loops of each, notes, and optionally the number of function calls."""

    values: List[float]
    loops: int
    notes: List[str]
    calls: Optional[int] = None


def measure(plan: Plan, calls: bool = False) -> Timing:
    """Time a function; FunctionError where it raises, never returns, or ends its process."""
    start = time.monotonic()
    deadline = None if plan.timeout is None else start + plan.timeout
    values: List[float] = []
    notes: List[str] = []
    if process_tree.tree() is None:
        notes.append(f"processes that it leaves running are not stopped: {process_tree.why_unknown()}")
    loops = plan.loops
    for _ in range(plan.processes):
        remaining = plan.budget - (time.monotonic() - start)
        if values and remaining <= 0:
            break
        result = _run_child(
            plan, {"loops": loops, "budget": max(0.0, remaining / plan.processes), "quiet": bool(values)}, deadline
        )
        loops = result["loops"]
        values.extend(result["values"])
        if result["note"] and result["note"] not in notes:
            notes.append(result["note"])
    expected = plan.processes * plan.values
    if len(values) < expected:
        notes.append(f"{len(values)} of {expected} values measured within {plan.budget:g} s (--budget)")
    call_count = _run_child(plan, {"calls": True, "quiet": True}, deadline)["calls"] if calls else None
    modes = two_modes(values)
    if modes is not None:
        low, high = (units.format(mode, "s") for mode in modes)
        notes.append(f"the values are bimodal, about {low} and {high}: their median can jump from one to the other")
    return Timing(values, loops, notes, call_count)


def _run_child(plan: Plan, more: Dict[str, Any], deadline: Optional[float]) -> Dict[str, Any]:
    """Run one child process; returns its result."""
    request = {**plan._asdict(), "kwargs": plan.kwargs or {}, "source": get_source(timefunc_child.__name__), **more}
    request["deadline"] = deadline
    before = process_tree.descendants()
    descriptor, path = tempfile.mkstemp(prefix="bbmeasure-")
    os.close(descriptor)
    try:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic()) + _GRACE
        status = _execute({**request, "result": path}, timeout)
        text = _read(path)
    finally:
        killed = process_tree.kill_new(before)
        with suppress(FileNotFoundError):
            os.unlink(path)
    try:
        result: Dict[str, Any] = json.loads(text)
    except ValueError:
        if deadline is not None and time.monotonic() >= deadline:
            raise FunctionError(f"{plan.target} did not return within {plan.timeout:g} s") from None
        raise FunctionError(
            f"{plan.target} ended its process ({_describe_status(status)}): expected it to return"
        ) from None
    if "error" in result:
        raise FunctionError(f"{plan.target} raised {result['error']}")
    if killed:
        result["note"] = result.get("note") or "processes that it left running were killed"
    return result


def _execute(request: Dict[str, Any], timeout: Optional[float]) -> int:
    """Run a child process with a request; returns its exit status.  It is killed at the timeout."""
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
    """The text of the result; empty where the function has removed the file."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"signal {names.get(-status, -status)}"


def deviation(values: Sequence[float]) -> float:
    """The median absolute deviation."""
    middle = statistics.median(values)
    return statistics.median([abs(value - middle) for value in values])


def two_modes(values: Sequence[float]) -> Optional[Tuple[float, float]]:
    """The medians of two separate groups of values; None where there is one group.

    Each group has at least 3 values and a fifth of all.  Between them is a gap of more than half their distance, which
    is more than 2 % of the median, and Ashman's D, the distance by the spread within the groups, is more than 5:
    https://doi.org/10.1086/117248
    """
    ordered = sorted(values)
    least = max(3, len(ordered) // 5)
    found = None
    widest = 0.02 * statistics.median(ordered)
    for split in range(least, len(ordered) - least + 1):
        lower, upper = ordered[:split], ordered[split:]
        distance = statistics.mean(upper) - statistics.mean(lower)
        spread = (statistics.pvariance(lower) + statistics.pvariance(upper)) ** 0.5
        gap = upper[0] - lower[-1]
        if gap > max(widest, distance / 2) and distance * 2**0.5 > 5 * spread:
            found, widest = (statistics.median(lower), statistics.median(upper)), gap
    return found


def describe(name: str, taken: Timing) -> str:
    """The summary for people, with median and MAD as in pyperf."""
    middle, spread = statistics.median(taken.values), deviation(taken.values)
    calls = "" if taken.calls is None else f"; {taken.calls} function calls"
    return (
        f"{name}: {units.format(middle, 's')} \u00b1 {units.format(spread, 's')}"
        f" (median and MAD of {len(taken.values)} values, {taken.loops} loops each){calls}"
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report the time; returns 0, 1 where the function cannot be measured, 2 for an invalid command line."""
    parser = _parser()
    arguments = command_line.read(parser, argv)
    plan = _plan(parser, arguments)
    name = arguments.name or plan.target.rpartition(":")[2]
    try:
        for series in (name, f"{name}_calls") if arguments.calls else (name,):
            Record(series, 0)
    except MeasureError as error:
        parser.error(str(error))
    process_tree.adopt_orphans()
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        taken = measure(plan, arguments.calls)
    except FunctionError as error:
        line_writer.print_line(f"{parser.prog}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    records = [Record(name, samples=taken.values, unit="s", better="lower")]
    if taken.calls is not None:
        records.append(Record(f"{name}_calls", taken.calls, kind="count", better="lower"))
    for note in taken.notes:
        line_writer.print_line(f"{parser.prog}: {note}")
    return 0 if record_writer.write(records, [describe(name, taken)]) else 1


def _exit(number: int, _frame: Any) -> NoReturn:
    raise SystemExit(128 + number)


def _plan(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Plan:
    module, colon, function = arguments.function.rpartition(":")
    if not (module and colon and function):
        parser.error(f"{arguments.function!r}: expected module:function or path.py:function")
    for what, least in (("processes", 1), ("values", 1), ("warmups", 0), ("loops", 0)):
        if getattr(arguments, what) < least:
            parser.error(f"--{what} {getattr(arguments, what)}: expected at least {least}")
    return Plan(
        arguments.function,
        _json(parser, "--args", arguments.args, list),
        _json(parser, "--kwargs", arguments.kwargs, dict),
        arguments.setup,
        arguments.processes,
        arguments.values,
        arguments.warmups,
        arguments.loops,
        arguments.min_time,
        arguments.budget,
        arguments.timeout,
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
    """A number of seconds, as argparse type."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{units.excerpt(text)}: expected seconds from 0 to {_MAX_SECONDS}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure-timefunc",
        formatter_class=command_line.formatter,
        description="Report the run time of a Python function: the median of all values, which are stored as samples.",
        epilog="Exit status 1: the function raised (its traceback is shown), did not return or ended its process.",
    )
    parser.add_argument("function", metavar="FUNCTION", help="module:function, path.py:function or module:Class.method")
    parser.add_argument("--name", help="the name of the series (default: that of the function)")
    parser.add_argument("--args", metavar="JSON", default="[]", help="positional arguments, a list: '[1000]'")
    parser.add_argument("--kwargs", metavar="JSON", default="{}", help="keyword arguments, an object: '{\"n\": 3}'")
    parser.add_argument(
        "--setup", metavar="CODE", default="", help="statements to execute first, in the module of the function"
    )
    parser.add_argument("--calls", action="store_true", help="report the number of function calls too, as NAME_calls")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="the time limit of the whole program")
    method = parser.add_argument_group("method, as in pyperf")
    method.add_argument("--processes", type=int, default=3, metavar="N", help="number of processes (default: 3)")
    method.add_argument("--values", type=int, default=5, metavar="N", help="values per process (default: 5)")
    method.add_argument("--warmups", type=int, default=1, metavar="N", help="values discarded first (default: 1)")
    method.add_argument("--loops", type=int, default=0, metavar="N", help="calls per value (default: calibrated)")
    method.add_argument(
        "--min-time", type=_seconds, default=0.1, metavar="S", help="minimum time of a value (default: 0.1)"
    )
    method.add_argument(
        "--budget", type=_seconds, default=60, metavar="S", help="stop measuring values after this time (default: 60)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
