"""What all measuring steps share: from a command's output and sidecar file to records, a summary and a log.

A step of one's own overrides :meth:`MeasuringStep.parse` and nothing else.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Optional, Union

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.process.buildstep import BuildStep, ShellMixin
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS, statusToString
from twisted.internet import defer, task

from bbmeasure import wire
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import Plan, SeriesOverrides
from bbmeasure.capture.state import state_of
from bbmeasure.errors import MeasureError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.wire import Refusal
from bbmeasure_steps import remotefiles
from bbmeasure_steps.connection import send_at_once
from bbmeasure_steps.results import Captured, Outcome, StepCapture
from bbmeasure_steps.stdout import MOST_RECORDS, StdoutCollector

#: The largest output that is parsed, in characters or bytes.
LARGEST_OUTPUT = 16 * 1024 * 1024
#: Seconds that reading a sidecar file may hold up the reactor.
READ_AT_ONCE = 0.01
#: Seconds that a parser may take.
PARSER_PATIENCE = 30.0


def new_token() -> str:
    """What makes the name of a sidecar file one that an earlier build cannot have guessed."""
    return secrets.token_hex(4)


class MeasuringStep(ShellMixin, BuildStep):
    """A command whose output is read as records.

    ``series`` names the step's own value (a format with ``{builder} {step} {name} {project}``), ``kind``, ``unit``,
    ``better`` and ``tags`` say what it means.  A command that succeeded without a usable value is WARNINGS, one that
    failed is FAILURE; its records are logged, not kept.
    """

    bbmeasure_measures = True
    warnOnWarnings = True
    renderables: Sequence[str] = ("series", "measureTags")
    #: The most of the output that :meth:`parse` is given; beyond, it is cut.
    largest_output = LARGEST_OUTPUT

    def __init__(
        self,
        *,
        series: Any = None,
        kind: Union[Kind, str, None] = None,
        unit: Optional[str] = None,
        better: Union[Direction, str, None] = None,
        tags: Optional[Mapping[str, Any]] = None,
        **kwargs: Any,
    ) -> None:
        self.series = series
        self.measureTags = tags
        self._given: dict[str, Any] = {"kind": kind, "unit": unit, "better": better}
        self._check_meaning()
        kwargs = self.setupShellMixin(kwargs)
        super().__init__(**kwargs)
        self._captured: Sequence[Captured] = ()
        self._problem: Optional[str] = None
        self.notes: list[str] = []

    def _check_meaning(self) -> None:
        fixed_series = None if IRenderable.providedBy(self.series) else self.series
        tags = self.measureTags
        rendered = IRenderable.providedBy(tags) or (
            isinstance(tags, Mapping) and any(IRenderable.providedBy(tag) for tag in tags.values())
        )
        try:
            SeriesOverrides.read(series=fixed_series, tags=None if rendered else tags, **self._given)
        except MeasureError as error:
            config_error(f"{type(self).__name__}: {error}")

    # what subclasses override

    def parse(self, text: str) -> Sequence[Record]:
        """Records of the output; an empty list where it has none.  Runs in a thread; may raise a MeasureError."""
        raise NotImplementedError(f"{type(self).__name__} has no parse()")

    def wants_parse(self) -> bool:
        """Whether :meth:`parse` is asked; else records are only what the command reports itself."""
        return type(self).parse is not MeasuringStep.parse

    def read_plain(self, text: str) -> Sequence[Record]:  # noqa: ARG002  (for subclasses)
        """Records of an output that nobody parsed, where the command reported none: none here."""
        return ()

    def reads_stderr(self) -> bool:
        """Whether what the command prints on stderr is parsed as well."""
        return False

    def is_supplementary(self, record: Record) -> bool:  # noqa: ARG002  (for subclasses)
        """Whether a reported record leaves the step's own value to be read from the output all the same."""
        return False

    def success_of(self, command: Any) -> int:
        """The result of the command alone."""
        return command.results()  # type: ignore[no-any-return]

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """The remote command that measures; MeasureError where a rendered argument makes none."""
        command = yield self.makeRemoteShellCommand()
        return command

    # the way through

    def interrupt(self, reason: Any) -> Any:
        """As every step; what the worker was asked after the command is not waited for where it is lost."""
        remotefiles.let_go(self, reason)
        return super().interrupt(reason)

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of this step's master."""
        return state_of(self.master).pipeline

    @property
    def plan(self) -> Plan:
        """What the builder tracks."""
        return getattr(self.build, "measurePlan", None) or Plan()

    @defer.inlineCallbacks
    def run(self) -> Generator[Any, Any, int]:
        """Run the command, read what it measured, keep it, say it."""
        collector = StdoutCollector(self.largest_output, stderr=self.reads_stderr())
        self.addLogObserver("stdio", collector)
        sidecar = self._sidecar_path()
        self.env: Any = {**(self.env or {}), wire.FILE_VARIABLE: sidecar}
        self._hasten()
        try:
            command = yield self.make_command()
        except MeasureError as error:
            self._problem = str(error)
            yield self.addCompleteLog("measurements", self.cleaned(f"{error}\n"))
            return FAILURE  # type: ignore[no-any-return]
        yield self.runCommand(command)
        result = self.success_of(command)
        found, refused = yield self.collect(collector, sidecar, parse=not self.stopped)
        kept = result in (SUCCESS, WARNINGS) and not self.stopped
        outcome = yield self._keep(found, refused, store=kept)
        self._captured = outcome.values
        if kept and not outcome.kept and not outcome.unwanted:
            self._problem = outcome.problem or "no value"
        yield self.addCompleteLog("measurements", self.cleaned(outcome.text()))
        return WARNINGS if self._problem and result == SUCCESS else result

    @defer.inlineCallbacks
    def _keep(self, found: list[Record], refused: list[str], *, store: bool) -> Generator[Any, Any, Outcome]:
        """Keep the records under what master.cfg says of them; where that cannot be rendered, nothing is kept."""
        try:
            step_capture = StepCapture(self, self._meaning(), self.plan)
        except MeasureError as error:
            return Outcome(refused=[f"{error} (a rendered argument of the step)", *refused], notes=self.notes)
        if store:
            step_capture.refuse(refused)
        else:
            self.notes += [f"not read: {why}" for why in refused]
        step_capture.outcome.notes = self.notes
        outcome: Outcome = yield step_capture.keep(found, store=store)
        return outcome

    def _hasten(self) -> None:
        """What is asked of the worker after the command shall not wait."""
        try:
            send_at_once(self.remote)
        except OSError as error:
            self.pipeline.count("connection_errors", f"step {self.name}: {error}")

    def cleaned(self, text: str) -> str:
        """``text`` with the build's secrets blotted out."""
        return str(self.build.properties.cleanupTextFromSecrets(text))

    def _sidecar_path(self) -> str:
        """An absolute path beside the build's directory: nothing that the build checks out can be there before."""
        name = f".bbmeasure-{self.build.buildid}-{self.stepid}-{new_token()}"
        folder = self.build.getProperty("builddir")
        return str(self.build.path_module.join(folder, name)) if folder else name

    def own_series(self) -> str:
        """The series of the step's own value in this build."""
        return StepCapture(self, self._meaning(), self.plan).series_of(self.name)

    def _meaning(self) -> SeriesOverrides:
        custom = self.plan.custom_of(self.name) or SeriesOverrides()
        mine = SeriesOverrides.read(series=self.series, tags=self.measureTags, **self._given)
        return SeriesOverrides(
            custom.series or mine.series,
            custom.kind or mine.kind,
            custom.unit or mine.unit,
            custom.better or mine.better,
            {**custom.tags, **mine.tags},
        )

    @defer.inlineCallbacks
    def collect(
        self, collector: StdoutCollector, sidecar: str, *, parse: bool
    ) -> Generator[Any, Any, tuple[list[Record], list[str]]]:
        """All records, reported and parsed, and why others were refused."""
        collector.finish()
        reading = self._read_sidecar(sidecar)
        parsing = self._parse(collector) if parse else defer.succeed(([], []))
        reported, unread = yield reading
        parsed, unparsed = yield parsing
        found = [one for one in (*collector.found, *reported) if isinstance(one, Record)]
        refused = [f"marked line {one.line}: {one.why}" for one in collector.found if isinstance(one, Refusal)]
        refused += [f"line {one.line}: {one.why}" for one in reported if isinstance(one, Refusal)]
        refused += [*collector.dropped(), *unread, *unparsed]
        found += parsed
        by_the_way = all(self.is_supplementary(record) for record in found)
        if by_the_way and parse and not self.wants_parse() and not unparsed:
            try:
                found += self.read_plain(collector.plain())
            except MeasureError as error:
                refused.append(str(error))
        return found, refused

    @defer.inlineCallbacks
    def _parse(self, collector: StdoutCollector) -> Generator[Any, Any, tuple[list[Record], list[str]]]:
        """What :meth:`parse` finds, in a thread and within its time."""
        if not self.wants_parse():
            return [], []
        try:
            text = yield self.text_to_parse(collector)
            text = self.cleaned(text)
            records = yield state_of(self.master).parser_pool.run(PARSER_PATIENCE, lambda: self._parse_all(text))
            for record in records:
                if not isinstance(record, Record):
                    raise MeasureError(f"parser gave {str(record)[:80]!r}: expected a list of Record")
            return records, []
        except MeasureError as error:
            return [], [str(error)]
        except Exception as error:  # noqa: BLE001  (a parser's mistake is a warning of the step, counted)
            said = self.cleaned(f"step {self.name}: {type(error).__name__}: {error}")
            self.pipeline.count("parser_errors", said)
            return [], [f"the parser failed: {type(error).__name__}: {error}"]

    def _parse_all(self, text: str) -> list[Record]:
        """What :meth:`parse` gives.  Where it exits that is an error like another: nothing above would end the step."""
        try:
            return list(self.parse(text))
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(repr(error)) from error

    def text_to_parse(self, collector: StdoutCollector) -> Any:
        """The text that :meth:`parse` gets; may be a Deferred."""
        return collector.text()

    @defer.inlineCallbacks
    def _read_sidecar(self, path: str) -> Generator[Any, Any, tuple[list[Union[Record, Refusal]], list[str]]]:
        """What the sidecar file holds; it is removed."""
        try:
            size = yield remotefiles.size_of(self, path, None)
            if size is None:
                return [], []
            content = yield remotefiles.read(self, path, None, wire.LARGEST_FILE) if size else b""
            yield remotefiles.remove(self, path)
        except MeasureError as error:
            return [], [f"sidecar file: {error}"]
        except Exception as error:  # noqa: BLE001  (a lost worker ends the build by itself; counted)
            self.pipeline.count("sidecar_errors", f"step {self.name}: {type(error).__name__}: {error}")
            return [], [f"sidecar file: {type(error).__name__}"]
        told = []
        if size > wire.LARGEST_FILE:
            content = content[: content.rfind(b"\n") + 1]
            told = [f"sidecar file: {size} bytes, expected at most {wire.LARGEST_FILE}; the rest was not read"]
        found = yield self._read_lines(self.cleaned(content.decode("utf-8", "replace")).encode())
        if len(found) > MOST_RECORDS:
            told.append(f"sidecar file: expected at most {MOST_RECORDS} records of one step; the rest was not read")
        return found[:MOST_RECORDS], told

    @defer.inlineCallbacks
    def _read_lines(self, content: bytes) -> Generator[Any, Any, list[Union[Record, Refusal]]]:
        """What the lines hold, one more than a step may have, a little at a time: a megabyte can take a second."""
        reactor = self.master.reactor
        found: list[Union[Record, Refusal]] = []
        began = reactor.seconds()
        for one in itertools.islice(wire.read_file(content), MOST_RECORDS + 1):
            found.append(one)
            if reactor.seconds() - began > READ_AT_ONCE:
                yield task.deferLater(reactor, 0, lambda: None)
                began = reactor.seconds()
        return found

    # what people see

    def getResultSummary(self) -> dict[str, str]:
        """The value and its change from the build before; what was wrong where there is none."""
        kept = [one for one in self._captured if one.kept]
        own = [one for one in kept if one.own]
        shown = [captured.summary() for captured in (own or kept)[:3]]
        if not shown and self._problem is None:
            return super().getResultSummary()  # type: ignore[no-any-return]
        text = ", ".join(shown) or f"{self.name}: {self._problem}"
        if self.results != SUCCESS:
            text += f" ({statusToString(self.results)})"
        return {"step": self.cleaned(text)}


#: What a callable parser is: the text of an output to its records.
Parser = Callable[[str], Sequence[Record]]
