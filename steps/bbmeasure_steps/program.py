"""Steps that run a program of bbmeasure_scripts on a worker where nothing of bbmeasure is installed.

The source of the program is sent to the worker's Python on standard input, which works over every worker protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, RETRY, statusToString
from twisted.internet import defer

from bbmeasure.records import Record
from bbmeasure_scripts import bundle
from bbmeasure_steps import remotefiles
from bbmeasure_steps.arguments import check_python, rendered_strings
from bbmeasure_steps.base import MeasuringStep

#: The longest reason of a failure in a summary, in characters.
MAX_REASON = 200
#: The default of ``python=``: the first Python that the worker has.
AUTO = "auto"


@defer.inlineCallbacks
def bundled_command(
    step: Any,
    python: Any,
    program: str,
    arguments: Sequence[Any],
    redirect: Callable[[Any], Any] = lambda command: command,
) -> Generator[Any, Any, Any]:
    """Make the remote command that runs a bundled program; MeasureError where ``python`` is rendered as no string.

    ``redirect`` returns the command with its stdout in a file.
    """
    text = bundle.bundle(program, [str(argument) for argument in arguments])
    command: Any
    if python != AUTO:
        command = bundle.command(rendered_strings("python", python or None), program)
    else:
        command = bundle.find_command(program) if remotefiles.has_shell(step) else bundle.find_batch(program)
    command = redirect(command)
    made = yield step.makeRemoteShellCommand(command=command, initialStdin=text)
    return made


class ProgramStep(MeasuringStep):
    """Runs a bundled program, ``bbmeasure_scripts.PROGRAM``.

    ``python`` is the worker's interpreter, 3.7 or newer: a name, a path, or a list such as ``["py", "-3"]``; with
    ``auto`` the first of ``python3``, ``python`` and, on Windows, ``py -3``.  The step sets ``command`` and
    ``initialStdin`` itself.
    """

    #: The name of the program.
    program = ""
    renderables: Sequence[str] = ("python",)
    #: Records named NAME_suffix get the series of NAME with the same suffix.
    bbmeasure_derives = True

    def __init__(self, *, python: Any = AUTO, **kwargs: Any) -> None:
        for argument in ("command", "initialStdin"):
            if argument in kwargs:
                config_error(f"{type(self).__name__}: unexpected {argument}=, the step sets it itself")
                del kwargs[argument]
        self.python = check_python(type(self).__name__, python)
        super().__init__(**kwargs)

    # ---- hooks for subclasses ------------------------------------------------------------------------------------

    def program_arguments(self) -> list[Any]:
        """Return the command line of the program, from rendered attributes; may raise a MeasureError."""
        raise NotImplementedError(f"{type(self).__name__} has no program_arguments()")

    # ---- MeasuringStep -------------------------------------------------------------------------------------------

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """Make the command that runs the program from standard input."""
        command = yield bundled_command(self, self.python, self.program, self.program_arguments())
        return command

    def failure_reason(self, result: int, command: Any, records: Sequence[Record]) -> Optional[str]:  # noqa: ARG002
        """The last line that the program wrote to stderr: why it failed."""
        lines = [] if self._collector is None else self._collector.stderr_end.strip().splitlines()
        return lines[-1].strip()[:MAX_REASON] if result == FAILURE and lines else None

    def getResultSummary(self) -> dict[str, str]:
        """As every measuring step, but without the command line of the interpreter."""
        stored = any(captured.is_stored for captured in self._captured)
        if self._problem is None and not stored and self.results in (FAILURE, EXCEPTION, CANCELLED, RETRY):
            return {"step": f"{self.name} ({statusToString(self.results)})"}
        return super().getResultSummary()
