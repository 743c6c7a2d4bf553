"""Times a function, in a process of its own; what ``timefunc`` runs there.

Stands alone: it loads little but what the function itself needs, and is given to a bare Python as text.  A request (a
JSON object) says what to do and names the file for the answer; what the function prints goes where it always goes.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
import types
from typing import Any, Callable, Dict, List

#: Calibration gives up doubling here: a function that takes no time at all is a mistake of ours.
_MOST_LOOPS = 2**32


def load(target: str) -> types.ModuleType:
    """The module of ``module:function`` or ``path.py:function``; a path's folder is searched first, as for a script."""
    place = target.rpartition(":")[0]
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = os.path.abspath(place)
    name = os.path.basename(path)[: -len(".py")]
    if name in sys.modules or name in getattr(sys, "stdlib_module_names", ()):
        name += "_timed"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: expected a Python file")
    sys.path.insert(0, os.path.dirname(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def resolve(module: types.ModuleType, name: str) -> Callable[..., Any]:
    """``function``, ``Class.method`` or ``object.method`` of a module.

    A method that needs an instance gets one, made without arguments.
    """
    owner: Any = module
    found: Any = module
    for part in name.split("."):
        owner, found = found, getattr(found, part)
    if isinstance(owner, type):
        kept: Any = next((vars(base)[part] for base in owner.__mro__ if part in vars(base)), staticmethod)
        if not isinstance(kept, (staticmethod, classmethod, type)):
            found = getattr(owner(), part)
    if not callable(found):
        raise TypeError(f"{name}: expected a function, got {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


class Output:
    """What the function prints: shown for the first call of the first process, thrown away for the thousands after."""

    def __init__(self) -> None:
        self._saved: Dict[int, int] = {}

    def hide(self) -> None:
        """Send standard output and error nowhere."""
        if self._saved:
            return
        self.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            try:
                self._saved[number] = os.dup(number)
            except OSError:
                continue
            os.dup2(nowhere, number)
        os.close(nowhere)

    def show(self) -> None:
        """Send them where they went before."""
        self.flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)
        self._saved.clear()

    @staticmethod
    def flush() -> None:
        """Let go of what the function's prints have left in buffers."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue


class Timer:
    """Calls the function; each value is the time of ``loops`` calls over their number."""

    def __init__(self, function: Callable[..., Any], args: List[Any], kwargs: Dict[str, Any]) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._process = os.getpid()
        self._is_async = False
        self._forks = False
        self.note = ""

    def first(self) -> float:
        """Call once, and learn what kind of function it is."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_parent=self._forked)
        start = time.perf_counter()
        result = self._function(*self._args, **self._kwargs)
        self._end_copy()
        if hasattr(result, "__await__"):
            self._is_async = True
            self._run(self._await(result))
            self._end_copy()
        elif isinstance(result, (types.GeneratorType, types.AsyncGeneratorType)):
            self.note = "it returns a generator: only its making is timed, not its running"
        return time.perf_counter() - start

    def _forked(self) -> None:
        self._forks = True

    def _end_copy(self) -> None:
        """A function that forks may return twice: the copy is not to measure too."""
        if os.getpid() != self._process:
            os._exit(0)

    @staticmethod
    async def _await(awaitable: Any) -> None:
        await awaitable

    @staticmethod
    def _run(coroutine: Any) -> Any:
        import asyncio

        return asyncio.run(coroutine)

    def time(self, loops: int) -> float:
        """The time of so many calls, in seconds."""
        if self._is_async:
            taken: float = self._run(self._time_async(loops))
        elif self._forks:
            taken = self._time_forking(loops)
        else:
            taken = self._time(loops)
        self._end_copy()
        return taken

    def _time(self, loops: int) -> float:
        function, args, kwargs = self._function, self._args, self._kwargs
        rounds = range(loops)
        if args or kwargs:
            start = time.perf_counter()
            for _ in rounds:
                function(*args, **kwargs)
            return time.perf_counter() - start
        start = time.perf_counter()
        for _ in rounds:
            function()
        return time.perf_counter() - start

    def _time_forking(self, loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            self._function(*self._args, **self._kwargs)
            self._end_copy()
        return time.perf_counter() - start

    async def _time_async(self, loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            await self._function(*self._args, **self._kwargs)
        return time.perf_counter() - start

    def calls(self) -> int:
        """How many functions one call calls, itself among them, as cProfile counts."""
        import cProfile

        profile: Any = cProfile.Profile()
        if self._is_async:
            self._run(self._profile_async(profile))
        else:
            profile.enable()
            self._function(*self._args, **self._kwargs)
            profile.disable()
        self._end_copy()
        profile.create_stats()
        return sum(entry[1] for where, entry in profile.stats.items() if "_lsprof.Profiler" not in where[2])

    async def _profile_async(self, profile: Any) -> None:
        profile.enable()
        await self._function(*self._args, **self._kwargs)
        profile.disable()


def calibrate(timer: Timer, first: float, min_time: float) -> int:
    """How many calls, a power of two, take at least ``min_time``: as pyperf does, by doubling."""
    loops, taken = 1, first
    while taken < min_time and loops < _MOST_LOOPS:
        taken = timer.time(loops)
        if taken >= min_time:
            break
        loops *= 2
    return loops


def measure(request: Dict[str, Any], output: Output) -> Dict[str, Any]:
    """Do what is asked: values with their loops, or the number of calls."""
    began = time.monotonic()
    if request.get("quiet"):
        output.hide()
    try:
        return _measure(request, output, began)
    finally:
        output.show()


def _measure(request: Dict[str, Any], output: Output, began: float) -> Dict[str, Any]:
    module = load(request["target"])
    if request.get("setup"):
        exec(compile(request["setup"], "<setup>", "exec"), module.__dict__)  # noqa: S102  (the user's own)
    timer = Timer(resolve(module, request["target"].rpartition(":")[2]), request["args"], request["kwargs"])
    first = timer.first()
    output.hide()
    if request.get("calls"):
        return {"calls": timer.calls()}
    loops = request["loops"] or calibrate(timer, first, request["min_time"])
    for _ in range(request["warmups"] - (loops == 1)):  # the first call was a warm-up itself
        timer.time(loops)
    values: List[float] = []
    while len(values) < request["values"]:
        values.append(timer.time(loops) / loops)
        if time.monotonic() - began > request["budget"]:
            break
    return {"loops": loops, "values": values, "note": timer.note}


def show_exception(error: BaseException, stream: Any) -> None:
    """The traceback of what the function raised, from where this module called it."""
    import traceback

    trace = shown = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == __file__:
            shown = trace.tb_next
        trace = trace.tb_next
    traceback.print_exception(type(error), error, shown, file=stream)


def main(request: Dict[str, Any]) -> None:
    """Measure, write the answer into the file that the request names, and end the process at once.

    At the deadline, a time of the monotonic clock, the process shows where it is and ends itself.
    """
    process = os.getpid()
    errors = _second_stderr()
    if request.get("deadline") is not None:
        import faulthandler

        left = max(0.001, request["deadline"] - time.monotonic())
        faulthandler.dump_traceback_later(left, file=errors, exit=True)
    output = Output()
    try:
        answer = measure(request, output)
    except BaseException as error:  # noqa: BLE001  (an exit or an interrupt of the function is shown and told too)
        if os.getpid() != process:
            os._exit(1)
        output.flush()
        show_exception(error, errors)
        answer = {"error": f"{type(error).__name__}: {error}"[:500]}
    output.flush()
    errors.flush()
    with open(request["answer"], "w", encoding="ascii") as file:
        json.dump(answer, file)
    os._exit(1 if "error" in answer else 0)


def _second_stderr() -> Any:
    """Standard error once more, for when the function has closed it; nowhere where there is none."""
    try:
        return os.fdopen(os.dup(2), "w", errors="backslashreplace")
    except OSError:
        return open(os.devnull, "w")
