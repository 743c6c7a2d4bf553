"""TimedPythonFunction: the run time of a Python function on the worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable

from bbmeasure.errors import MeasureError
from bbmeasure.units import excerpt
from bbmeasure_steps.arguments import check_boolean, check_timeout, contains_renderable
from bbmeasure_steps.program import ProgramStep

#: Seconds after the timeout of the function at which Buildbot ends the program: without output, and in all.
GRACE_WITHOUT_OUTPUT = 30
GRACE_IN_ALL = 60


class TimedPythonFunction(ProgramStep):
    """Measures the seconds that one call of ``function`` takes: the median of several samples, all of which are stored.

    ``function`` is ``module:function``, ``path.py:function`` or ``module:Class.method``, called with ``args`` and
    ``kwargs``, which must be representable in JSON; ``setup`` is Python code that runs before.  ``calls=True`` adds
    ``{name}_calls``, the number of function calls during one call.  ``python`` is the interpreter, ``timeout`` the
    limit of the whole step in seconds.  Samples, loops and warm-ups are as in pyperf.  An exception in the function is
    FAILURE.
    """

    name = "timed_function"
    program = "timefunc"
    measured_unit = "s"
    renderables = ("function", "args", "kwargs", "setup")

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
        self.calls = check_boolean("TimedPythonFunction", "calls", calls)
        for problem in self._problems():
            config_error(f"TimedPythonFunction: {problem}")
        self.function_timeout = check_timeout("TimedPythonFunction", "timeout", timeout)
        if not contains_renderable(args) and not contains_renderable(self.kwargs):
            try:
                json.dumps([args, self.kwargs], allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                config_error(f"TimedPythonFunction: args and kwargs: expected JSON values ({error})")
        step.setdefault("better", "lower")
        # The program ends the function itself at the timeout; Buildbot's own limits are for a program that hangs.
        limit = self.function_timeout
        step.setdefault("maxTime", None if limit is None else limit + GRACE_IN_ALL)
        super().__init__(timeout=None if limit is None else limit + GRACE_WITHOUT_OUTPUT, **step)

    def _problems(self) -> Iterator[str]:
        """The errors of the arguments, except for those that are not rendered yet."""
        checks = (
            ("function", self.function, _names_function(self.function), "module:function or path.py:function"),
            ("args", self.args, isinstance(self.args, (list, tuple)), "a list"),
            ("kwargs", self.kwargs, _has_string_keys(self.kwargs), "a dict with strings as keys"),
            ("setup", self.setup, isinstance(self.setup, str), "Python code as a string"),
        )
        for argument, value, is_valid, expected in checks:
            if not is_valid and not IRenderable.providedBy(value):
                yield f"{argument} {excerpt(repr(value))}: expected {expected}"

    def program_arguments(self) -> list[Any]:
        """The command line of the program ``timefunc``."""
        for problem in self._problems():
            raise MeasureError(f"{problem} after rendering")
        try:
            args, kwargs = (json.dumps(value, allow_nan=False) for value in (list(self.args), dict(self.kwargs)))
        except (TypeError, ValueError, RecursionError) as error:
            raise MeasureError(f"args and kwargs: expected JSON values after rendering ({error})") from None
        arguments = [f"--name={self.name}", f"--args={args}", f"--kwargs={kwargs}"]
        arguments += [f"--setup={self.setup}"] if self.setup else []
        arguments += ["--calls"] if self.calls else []
        arguments += [f"--timeout={self.function_timeout:g}"] if self.function_timeout is not None else []
        return [*arguments, "--", self.function]


def _names_function(value: Any) -> bool:
    module, _, function = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(module and function)


def _has_string_keys(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
