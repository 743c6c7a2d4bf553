"""Steps that run a program of the worker's kit: nothing of bbmeasure needs to be installed there.

The program's text goes to ``python3 -`` on standard input, over any protocol.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, RETRY, statusToString
from twisted.internet import defer

from bbmeasure.errors import MeasureError
from bbmeasure.master.plan import check_flag
from bbmeasure_scripts.bundle import bundle
from bbmeasure_steps.base import MeasuringStep

#: The worker's interpreter, 3.7 or newer.
PYTHON = "python3"


@defer.inlineCallbacks
def bundled_command(step: Any, python: str, program: str, arguments: Sequence[Any]) -> Generator[Any, Any, Any]:
    """The remote command that runs ``program`` of the kit."""
    text = bundle(program, [str(argument) for argument in arguments])
    command = yield step.makeRemoteShellCommand(command=[python, "-"], initialStdin=text)
    return command


class KitStep(MeasuringStep):
    """Runs one program of the kit with the arguments of :meth:`arguments`.

    ``python`` is the worker's interpreter, 3.7 or newer; ``command`` and ``initialStdin`` are the step's own.
    """

    program = ""
    renderables: Sequence[str] = ("python",)
    #: What this step reports as NAME_something follows NAME into its series.
    bbmeasure_derives = True

    def __init__(self, *, python: Any = PYTHON, **kwargs: Any) -> None:
        for own in ("command", "initialStdin"):
            if own in kwargs:
                config_error(f"{type(self).__name__}: expected no {own}=, the step makes it itself")
                del kwargs[own]
        self.python = python
        super().__init__(**kwargs)

    def arguments(self) -> list[Any]:
        """The program's arguments, from rendered attributes."""
        raise NotImplementedError(f"{type(self).__name__} has no arguments()")

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """The interpreter with the program on its standard input."""
        command = yield bundled_command(self, self.python, self.program, self.arguments())
        return command

    def getResultSummary(self) -> dict[str, str]:
        """As every measuring step, but never the interpreter's command line."""
        if self.results in (FAILURE, EXCEPTION, CANCELLED, RETRY):
            return {"step": f"{self.name} ({statusToString(self.results)})"}
        return super().getResultSummary()


def texts(step: str, what: str, given: Any, *, required: bool = False) -> Any:
    """``given`` as a list of texts, or as it is where it is rendered in the build; a configuration error otherwise."""
    if IRenderable.providedBy(given):
        return given
    listed = [given] if isinstance(given, str) else given
    if listed is None:
        listed = []
    usable = isinstance(listed, Iterable) and not isinstance(listed, (bytes, Mapping))
    listed = list(listed) if usable else []
    right = all(isinstance(one, str) and one or IRenderable.providedBy(one) for one in listed)
    if not usable or not right or (required and not listed):
        config_error(f"{step}: {what} {given!r}: expected a text or a list of texts")
    return listed


def flag(step: str, what: str, given: Any) -> bool:
    """``given`` where it is True or False; a configuration error otherwise."""
    try:
        return check_flag(what, given)
    except MeasureError as error:
        config_error(f"{step}: {error}")
        return False


def as_list(rendered: Any) -> list[str]:
    """Rendered texts as a list."""
    return [rendered] if isinstance(rendered, str) else [str(one) for one in rendered]


def seconds(step: str, what: str, given: Optional[float]) -> Optional[float]:
    """``given`` where it is a number of seconds above 0 or None; a configuration error otherwise."""
    if given is not None and (isinstance(given, bool) or not isinstance(given, (int, float)) or given <= 0):
        config_error(f"{step}: {what} {given!r}: expected seconds above 0")
        return None
    return given
