"""Times a function in a child process of ``timefunc``.

``timefunc`` sends the source of this module to a Python process, so it imports only the standard library.  The request
is a JSON object that names the function, the method, and the file for the result.
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

#: The most loops of a calibration.
_MAX_LOOPS = 2**32


def load(target: str) -> types.ModuleType:
    """Import the module of ``module:function`` or ``path.py:function``, whose folder is prepended to sys.path."""
    location = target.rpartition(":")[0]
    if not location.endswith(".py"):
        return importlib.import_module(location)
    path = os.path.abspath(location)
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
    """Return ``function``, ``Class.method`` or ``object.method`` of a module.

    An instance method is bound to an instance made without arguments.
    """
    owner: Any = module
    value: Any = module
    for part in name.split("."):
        owner, value = value, getattr(value, part)
    if isinstance(owner, type):
        attribute: Any = next((vars(base)[part] for base in owner.__mro__ if part in vars(base)), staticmethod)
        if not isinstance(attribute, (staticmethod, classmethod, type)):
            value = getattr(owner(), part)
    if not callable(value):
        raise TypeError(f"{name}: expected a function, got {type(value).__name__}")
    function: Callable[..., Any] = value
    return function


class Output:
    """Hides the output of the function, except for the first call in the first process."""

    def __init__(self) -> None:
        self._saved: Dict[int, int] = {}

    def hide(self) -> None:
        """Redirect standard output and error to the null device."""
        if self._saved:
            return
        self.flush()
        null = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            try:
                self._saved[number] = os.dup(number)
            except OSError:
                continue
            os.dup2(null, number)
        os.close(null)

    def show(self) -> None:
        """Restore standard output and error."""
        self.flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)
        self._saved.clear()

    @staticmethod
    def flush() -> None:
        """Flush the buffers of the streams."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue


class Timer:
    """Calls the function and measures the time."""

    def __init__(self, function: Callable[..., Any], args: List[Any], kwargs: Dict[str, Any]) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._process = os.getpid()
        self._is_async = False
        self._forks = False
        self.note = ""

    def first(self) -> float:
        """Call the function once, and determine whether it is asynchronous, forks, or returns a generator."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_parent=self._forked)
        start = time.perf_counter()
        result = self._function(*self._args, **self._kwargs)
        self._exit_in_fork()
        if hasattr(result, "__await__"):
            self._is_async = True
            self._run(self._await(result))
            self._exit_in_fork()
        elif isinstance(result, (types.GeneratorType, types.AsyncGeneratorType)):
            self.note = "it returns a generator: only its creation is timed, not its iteration"
        return time.perf_counter() - start

    def _forked(self) -> None:
        self._forks = True

    def _exit_in_fork(self) -> None:
        """Exit if this is a fork in which the function has returned too."""
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
        """The time of ``loops`` calls in seconds."""
        if self._is_async:
            taken: float = self._run(self._time_async(loops))
        elif self._forks:
            taken = self._time_forking(loops)
        else:
            taken = self._time(loops)
        self._exit_in_fork()
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
            self._exit_in_fork()
        return time.perf_counter() - start

    async def _time_async(self, loops: int) -> float:
        start = time.perf_counter()
        for _ in range(loops):
            await self._function(*self._args, **self._kwargs)
        return time.perf_counter() - start

    def calls(self) -> int:
        """The number of function calls during one call, including itself, as counted by cProfile."""
        import cProfile

        profile: Any = cProfile.Profile()
        if self._is_async:
            self._run(self._profile_async(profile))
        else:
            profile.enable()
            self._function(*self._args, **self._kwargs)
            profile.disable()
        self._exit_in_fork()
        profile.create_stats()
        return sum(entry[1] for where, entry in profile.stats.items() if "_lsprof.Profiler" not in where[2])

    async def _profile_async(self, profile: Any) -> None:
        profile.enable()
        await self._function(*self._args, **self._kwargs)
        profile.disable()


def calibrate(timer: Timer, first: float, min_time: float) -> int:
    """The number of calls, a power of two, that take at least ``min_time``; doubled as in pyperf."""
    loops, taken = 1, first
    while taken < min_time and loops < _MAX_LOOPS:
        taken = timer.time(loops)
        if taken >= min_time:
            break
        loops *= 2
    return loops


def measure(request: Dict[str, Any], output: Output) -> Dict[str, Any]:
    """Handle a request: returns values and their loops, or the number of calls."""
    start = time.monotonic()
    if request.get("quiet"):
        output.hide()
    try:
        return _measure(request, output, start)
    finally:
        output.show()


def _measure(request: Dict[str, Any], output: Output, start: float) -> Dict[str, Any]:
    module = load(request["target"])
    if request.get("setup"):
        exec(compile(request["setup"], "<setup>", "exec"), module.__dict__)  # noqa: S102  (code of the user)
    timer = Timer(resolve(module, request["target"].rpartition(":")[2]), request["args"], request["kwargs"])
    first = timer.first()
    output.hide()
    if request.get("calls"):
        return {"calls": timer.calls()}
    loops = request["loops"] or calibrate(timer, first, request["min_time"])
    for _ in range(request["warmups"] - (loops == 1)):  # the first call is a warm-up too
        timer.time(loops)
    values: List[float] = []
    while len(values) < request["values"]:
        values.append(timer.time(loops) / loops)
        if time.monotonic() - start > request["budget"]:
            break
    return {"loops": loops, "values": values, "note": timer.note}


def print_exception(error: BaseException, stream: Any) -> None:
    """Print a traceback without the frames of this module."""
    import traceback

    trace = shown = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == __file__:
            shown = trace.tb_next
        trace = trace.tb_next
    traceback.print_exception(type(error), error, shown, file=stream)


def main(request: Dict[str, Any]) -> None:
    """Handle a request, write the result to its file, and exit the process.

    At the deadline, on the monotonic clock, the process prints its traceback and exits.
    """
    process = os.getpid()
    errors = _second_stderr()
    if request.get("deadline") is not None:
        import faulthandler

        remaining = max(0.001, request["deadline"] - time.monotonic())
        faulthandler.dump_traceback_later(remaining, file=errors, exit=True)
    output = Output()
    try:
        result = measure(request, output)
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt are errors too)
        if os.getpid() != process:
            os._exit(1)
        output.flush()
        print_exception(error, errors)
        result = {"error": f"{type(error).__name__}: {error}"[:500]}
    output.flush()
    errors.flush()
    with open(request["result"], "w", encoding="ascii") as file:
        json.dump(result, file)
    os._exit(1 if "error" in result else 0)


def _second_stderr() -> Any:
    """A duplicate of standard error, as the function may close it; the null device where there is none."""
    try:
        return os.fdopen(os.dup(2), "w", errors="backslashreplace")
    except OSError:
        return open(os.devnull, "w")
