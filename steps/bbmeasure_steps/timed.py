"""TimedPythonFunction: how long a Python function takes on the worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable

from bbmeasure.errors import MeasureError
from bbmeasure.units import excerpt
from bbmeasure_steps.program import KitStep, flag, seconds


class TimedPythonFunction(KitStep):
    """Seconds that one call of ``function`` takes: the median of several samples, all of which are kept.

    ``function`` is ``module:function``, ``path.py:function`` or ``module:Class.method``, called with ``args`` and
    ``kwargs`` (what JSON can carry); ``setup`` is Python code that runs before.  ``calls=True`` gives
    ``{name}_calls``, the function calls that one call makes.  ``python`` is the interpreter, ``timeout`` limits the
    whole step.  Samples, loops and warm-ups are as in pyperf.  An exception in the function is FAILURE.
    """

    name = "timed_function"
    program = "timefunc"
    renderables: Sequence[str] = ("function", "args", "kwargs", "setup")

    def __init__(
        self,
        function: Any = None,
        *,
        args: Any = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        setup: Any = "",
        calls: bool = False,
        timeout: Optional[float] = 1200,
        **step: Any,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = {} if kwargs is None else kwargs
        self.setup = setup
        self.calls = flag("TimedPythonFunction", "calls", calls)
        for problem in self._problems():
            config_error(f"TimedPythonFunction: {problem}")
        self.function_timeout = seconds("TimedPythonFunction", "timeout", timeout)
        if not _is_rendered(args) and not _is_rendered(self.kwargs):
            try:
                json.dumps([args, self.kwargs], allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                config_error(f"TimedPythonFunction: args and kwargs: expected what JSON can carry ({error})")
        step.setdefault("better", "lower")
        # The program ends the function itself; Buildbot's own limit is for a program that is lost.
        limit = self.function_timeout
        step.setdefault("maxTime", None if limit is None else limit + 60)
        super().__init__(timeout=None if limit is None else limit + 30, **step)

    def _problems(self) -> Iterator[str]:
        """What is wrong with the arguments, as far as they are not to be rendered."""
        wanted = (
            ("function", self.function, _names_function(self.function), "module:function or path.py:function"),
            ("args", self.args, isinstance(self.args, (list, tuple)), "a list"),
            ("kwargs", self.kwargs, _is_named(self.kwargs), "a dict with texts as keys"),
            ("setup", self.setup, isinstance(self.setup, str), "Python code as a text"),
        )
        for what, given, fits, shape in wanted:
            if not fits and not IRenderable.providedBy(given):
                yield f"{what} {excerpt(repr(given))}: expected {shape}"

    def arguments(self) -> list[Any]:
        """What the program ``timefunc`` is asked."""
        for problem in self._problems():
            raise MeasureError(f"{problem} (it was rendered)")
        try:
            args, kwargs = (json.dumps(given, allow_nan=False) for given in (list(self.args), dict(self.kwargs)))
        except (TypeError, ValueError, RecursionError) as error:
            raise MeasureError(f"args and kwargs: expected what JSON can carry ({error}; they were rendered)") from None
        asked = [f"--name={self.name}", f"--args={args}", f"--kwargs={kwargs}"]
        asked += [f"--setup={self.setup}"] if self.setup else []
        asked += ["--calls"] if self.calls else []
        asked += [f"--timeout={self.function_timeout:g}"] if self.function_timeout is not None else []
        return [*asked, "--", self.function]


def _names_function(given: Any) -> bool:
    place, _, function = given.rpartition(":") if isinstance(given, str) else ("", "", "")
    return bool(place and function)


def _is_named(given: Any) -> bool:
    return isinstance(given, Mapping) and all(isinstance(name, str) for name in given)


def _is_rendered(given: Any) -> bool:
    """Whether some of it is known only in a build."""
    if IRenderable.providedBy(given):
        return True
    inner = given.values() if isinstance(given, Mapping) else given if isinstance(given, (list, tuple)) else ()
    return any(_is_rendered(one) for one in inner)
