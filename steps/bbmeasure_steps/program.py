"""Steps that run a program of the worker's kit: nothing of bbmeasure needs to be installed there.

The program's text goes to ``python3 -`` on standard input, over any protocol.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, RETRY, statusToString
from buildbot.util import flatten
from twisted.internet import defer

from bbmeasure.capture.plan import check_flag
from bbmeasure.errors import MeasureError
from bbmeasure_scripts.bundle import bundle
from bbmeasure_steps.base import MeasuringStep

#: The worker's interpreter, 3.7 or newer.
PYTHON = "python3"
#: The longest time that the programs can be given, in seconds.
MOST_SECONDS = 2_000_000


@defer.inlineCallbacks
def bundled_command(step: Any, python: str, program: str, arguments: Sequence[Any]) -> Generator[Any, Any, Any]:
    """The remote command that runs ``program`` of the kit; MeasureError where ``python`` is rendered as no text."""
    if not (isinstance(python, str) and python):
        raise MeasureError(f"python {python!r:.200}: expected the name or path of an interpreter")
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
        self.python = interpreter(type(self).__name__, python)
        super().__init__(**kwargs)

    def arguments(self) -> list[Any]:
        """The program's arguments, from rendered attributes; MeasureError where those cannot be."""
        raise NotImplementedError(f"{type(self).__name__} has no arguments()")

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """The interpreter with the program on its standard input."""
        command = yield bundled_command(self, self.python, self.program, self.arguments())
        return command

    def getResultSummary(self) -> dict[str, str]:
        """As every measuring step, but never the interpreter's command line."""
        if self._problem is None and self.results in (FAILURE, EXCEPTION, CANCELLED, RETRY):
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


def interpreter(step: str, given: Any) -> Any:
    """``given`` where it is a text or is rendered in the build; a configuration error otherwise."""
    if not IRenderable.providedBy(given) and not (isinstance(given, str) and given):
        config_error(f"{step}: python {given!r}: expected the name or path of an interpreter")
    return given


def as_list(what: str, rendered: Any) -> list[str]:
    """Rendered texts as a list; MeasureError where one is missing."""
    listed = flatten(rendered, (list, tuple)) if isinstance(rendered, (list, tuple)) else [rendered]
    if any(one is None or one == "" for one in listed):
        raise MeasureError(f"{what} {rendered!r:.200}: expected a text or a list of texts (it was rendered)")
    return [str(one) for one in listed]


def seconds(step: str, what: str, given: Optional[float]) -> Optional[float]:
    """``given`` where it is a number of seconds above 0 or None; a configuration error otherwise."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= MOST_SECONDS:
        config_error(f"{step}: {what} {given!r}: expected seconds above 0, at most {MOST_SECONDS}, or None")
        return None
    return given
