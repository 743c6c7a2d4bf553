"""Base class of the measuring steps: runs a command, reads its records, and captures them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import Any, Optional, Union

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.process.buildstep import BuildStep, ShellMixin
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS, statusToString, worst_status
from twisted.internet import defer

from bbmeasure import wire
from bbmeasure.ansi import visible
from bbmeasure.capture.gates import Gate
from bbmeasure.capture.identity import Value
from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.parser_process import ParserJob
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import Plan, SeriesOverrides
from bbmeasure.capture.state import state_of
from bbmeasure.errors import MeasureError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.wire import Refusal
from bbmeasure_steps import output, remotefiles, sidecar
from bbmeasure_steps.arguments import check_keep, contains_renderable
from bbmeasure_steps.connection_latency import acknowledging, set_tcp_nodelay
from bbmeasure_steps.judged_capture import capture_judged
from bbmeasure_steps.reruns import Measurement
from bbmeasure_steps.results import CapturedRecord, StepCapture, StepResults, summary_of
from bbmeasure_steps.stdout import StdoutCollector

#: The largest output that :meth:`MeasuringStep.parse` or a callable receives, in characters or bytes.
MAX_OUTPUT = 16 * 1024 * 1024
#: The deadline of a parser, in seconds.
PARSER_TIMEOUT = 30.0
#: How many values a summary shows.
MAX_SUMMARY_VALUES = 3

#: A parser: from the text of an output to its records.
Parser = Callable[[str], Sequence[Record]]


class MeasuringStep(ShellMixin, BuildStep):
    """Runs a command and captures the records that it reports, and those that :meth:`parse` reads in its output.

    ``series`` names the step's own value (a format with ``{builder} {step} {name} {project}``); ``kind``, ``unit``,
    ``better`` and ``tags`` override those of the record; its values are judged by ``gate``.  The step is FAILURE if the
    command fails: its records are logged, not stored, unless ``keepOnFailure=True``; by default those are stored that
    the parser's tool reports with the exit status, such as failed tests.  It is WARNINGS if the command succeeds
    without a usable value.

    A subclass overrides :meth:`parse`, and rarely another of the hooks below it.
    """

    #: Marks a measuring step for MeasuredBuilderConfig.
    bbmeasure_measures = True
    #: The base unit of the step's own values, where it is always the same.
    measured_unit: Optional[str] = None
    warnOnWarnings = True
    renderables: Sequence[str] = ("series", "measureTags")
    #: The largest output that :meth:`parse` receives, in characters; a longer one is truncated.
    max_output = MAX_OUTPUT

    def __init__(
        self,
        *,
        series: Any = None,
        kind: Union[Kind, str, None] = None,
        unit: Optional[str] = None,
        better: Union[Direction, str, None] = None,
        tags: Optional[Mapping[str, Any]] = None,
        gate: Optional[Gate] = None,
        keepOnFailure: Optional[bool] = None,
        **kwargs: Any,
    ) -> None:
        self.keep_on_failure = check_keep(type(self).__name__, keepOnFailure)
        self.series = series
        self.measureTags = tags
        self._fixed_overrides: dict[str, Any] = {"kind": kind, "unit": unit, "better": better, "gate": gate}
        self._check_overrides()
        kwargs = self.setupShellMixin(kwargs)
        super().__init__(**kwargs)
        self._captured: Sequence[CapturedRecord] = ()
        self._problem: Optional[str] = None
        self._parsing: Optional[tuple[ParserJob, Spool]] = None
        self._collector: Optional[StdoutCollector] = None
        self.notes: list[str] = []

    @property
    def given_unit(self) -> Optional[str]:
        """The unit in the step's arguments."""
        unit: Optional[str] = self._fixed_overrides["unit"]
        return unit

    @property
    def given_gate(self) -> Optional[Gate]:
        """The gate in the step's arguments, with its plain numbers in the step's unit."""
        gate: Optional[Gate] = self._fixed_overrides["gate"]
        return None if gate is None else gate.in_unit(self.given_unit)

    # ---- hooks for subclasses ------------------------------------------------------------------------------------

    def parse(self, text: str) -> Sequence[Record]:
        """Return the records in the output; an empty list where there are none.

        Runs in a thread.  A MeasureError is the reason why there is no value.
        """
        raise NotImplementedError(f"{type(self).__name__} has no parse()")

    def has_parser(self) -> bool:
        """Whether the output is passed to :meth:`parse`; by default, whether the class overrides it."""
        return type(self).parse is not MeasuringStep.parse

    def parser_job(self) -> Optional[ParserJob]:
        """Return what a parser process does with the output; None if :meth:`parse` is called, in a thread."""
        return None

    def completed_records(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records of a parser process with what master.cfg adds to them."""
        return records

    def spool_output(self, spool: Spool) -> Any:  # noqa: ARG002  (for subclasses)
        """Write the text for a parser process to ``spool`` unless it is stdout; may return a Deferred."""
        return None

    def is_parsing_stdout(self) -> bool:
        """Whether the parser reads what the worker sends as stdout, not a file of the worker."""
        return True

    def text_to_parse(self, collector: StdoutCollector) -> Any:
        """Return the text for :meth:`parse`, or a Deferred of it; by default the output of the command."""
        return collector.text()

    def parses_stderr(self) -> bool:
        """Whether the text for :meth:`parse` includes stderr."""
        return False

    def parse_plain(self, text: str) -> Sequence[Record]:  # noqa: ARG002  (for subclasses)
        """Return the records in an output without a parser and without reported records; none by default."""
        return ()

    def is_supplementary(self, record: Record) -> bool:  # noqa: ARG002  (for subclasses)
        """Whether :meth:`parse_plain` is called although the command reported ``record``."""
        return False

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """Make the remote command; a MeasureError, such as of a rendered argument, fails the step."""
        command = yield self.makeRemoteShellCommand()
        return command

    def command_result(self, command: Any) -> int:
        """Return the result of the finished command, such as SUCCESS for an exit status other than 0."""
        return command.results()  # type: ignore[no-any-return]

    def kept_statuses(self) -> Collection[int]:
        """Return the exit statuses of a failed command whose records are stored by default."""
        return ()

    def failure_reason(self, result: int, command: Any, records: Sequence[Record]) -> Optional[str]:  # noqa: ARG002
        """Return why the step is FAILURE; None where the result is another one or there is no reason to show."""
        return None

    @defer.inlineCallbacks
    def collect(
        self, collector: StdoutCollector, sidecar_path: str, *, parse: bool
    ) -> Generator[Any, Any, tuple[list[Record], list[str]]]:
        """Return all records, reported and parsed, and the reasons why others were refused."""
        collector.finish()
        reading = sidecar.read(self, sidecar_path)
        if self.is_parsing_stdout():
            parsing = self._parse_output(collector) if parse else defer.succeed(([], []))
            reported, sidecar_errors = yield reading
        else:  # one after the other: a worker ends a remote command when the next one of a build starts
            reported, sidecar_errors = yield reading
            parsing = self._parse_output(collector) if parse else defer.succeed(([], []))
        parsed, parse_errors = yield parsing
        records = [item for item in (*collector.marked, *reported) if isinstance(item, Record)]
        errors = [f"marked line {item.line}: {item.why}" for item in collector.marked if isinstance(item, Refusal)]
        errors += [f"line {item.line}: {item.why}" for item in reported if isinstance(item, Refusal)]
        errors += [*collector.limit_errors(), *sidecar_errors, *parse_errors]
        records += parsed
        supplementary_only = all(self.is_supplementary(record) for record in records)
        if supplementary_only and parse and not self.has_parser() and not parse_errors:
            try:
                records += self.parse_plain(collector.plain_text())
            except MeasureError as error:
                errors.append(str(error))
        return records, errors

    # ---- BuildStep -----------------------------------------------------------------------------------------------

    @defer.inlineCallbacks
    def run(self) -> Generator[Any, Any, int]:
        """Run the command, collect its records, capture and judge them, and add the log ``measurements``."""
        self._disable_nagle()
        try:
            measured: Measurement = yield self.measure()
        except MeasureError as error:
            self._problem = str(error)
            yield self.addCompleteLog("measurements", self.shown(f"{error}\n"))
            return FAILURE  # type: ignore[no-any-return]
        keeps = measured.reason is None and self._keeps_records(measured.result, measured.command)
        results: StepResults = yield self._capture(measured, store=keeps)
        self._captured = results.captured
        if measured.reason is not None:
            self._problem = measured.reason
        elif keeps and not results.stored_count and not results.untracked:
            self._problem = results.first_error or "no value"
        yield self.addCompleteLog("measurements", self.shown(results.log_text()))
        result = WARNINGS if self._problem and measured.result == SUCCESS else measured.result
        return worst_status(result, results.verdict)  # type: ignore[no-any-return]

    @defer.inlineCallbacks
    def measure(self) -> Generator[Any, Any, Measurement]:
        """Run the command once and collect its records; a MeasureError where the command cannot be made."""
        job = self.parser_job()
        spool = None if job is None else Spool(self.cleaned)
        self._parsing = None if job is None or spool is None else (job, spool)
        try:
            measured = yield self._measure(spool if self.is_parsing_stdout() else None)
        finally:
            if spool is not None:
                spool.close()
        return measured  # type: ignore[no-any-return]

    @defer.inlineCallbacks
    def _measure(self, spool: Optional[Spool]) -> Generator[Any, Any, Measurement]:
        collector = self._collector = StdoutCollector(self.max_output, stderr=self.parses_stderr(), spool=spool)
        self.addLogObserver("stdio", collector)
        sidecar_path = sidecar.path_of(self)
        self.env: Any = {**(self.env or {}), wire.FILE_VARIABLE: sidecar_path}
        command = yield self.make_command()
        started = self.pipeline.clock.seconds()
        with acknowledging(self):
            yield self.runCommand(command)
        seconds = self.pipeline.clock.seconds() - started
        result = self.command_result(command)
        records, errors = yield self.collect(collector, sidecar_path, parse=not self.stopped)
        reason = self.failure_reason(result, command, records)
        collector.discard_text()
        return Measurement(result if reason is None else FAILURE, command, records, errors, reason, seconds)

    def _keeps_records(self, result: int, command: Any) -> bool:
        """Whether records are stored: those of a command that failed or was cancelled by ``keepOnFailure``."""
        if result in (SUCCESS, WARNINGS) and not self.stopped:
            return True
        if self.keep_on_failure is not None:
            return self.keep_on_failure
        return not self.stopped and command.rc in self.kept_statuses()

    def interrupt(self, reason: Any) -> Any:
        """Interrupt the step; if the worker is lost, stop waiting for the sidecar file too."""
        remotefiles.interrupt(self, reason)
        return super().interrupt(reason)

    def getResultSummary(self) -> dict[str, str]:
        """The values and their changes, or the reason why there are none."""
        text = summary_of(self._captured, MAX_SUMMARY_VALUES)
        if not text and self._problem is None:
            return super().getResultSummary()  # type: ignore[no-any-return]
        text = text or f"{self.name}: {self._problem}"
        if self.results != SUCCESS:
            text += f" ({statusToString(self.results)})"
        return {"step": self.shown(text)}

    # ---- for the step and its helpers ----------------------------------------------------------------------------

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of this step's master."""
        return state_of(self.master).pipeline

    @property
    def plan(self) -> Plan:
        """The plan of what the builder tracks."""
        return getattr(self.build, "measurePlan", None) or Plan()

    def cleaned(self, text: str) -> str:
        """``text`` with the build's secrets redacted."""
        return str(self.build.properties.cleanupTextFromSecrets(text))

    def shown(self, text: str) -> str:
        """``text`` for a summary or a log: secrets are redacted, and characters that are not visible are escaped."""
        return visible(self.cleaned(text))

    def own_series(self) -> str:
        """The series of the step's own value in this build."""
        return StepCapture(self, self.overrides(), self.plan).series_of(self.name)

    def overrides(self) -> SeriesOverrides:
        """The overrides of the step's own value: those of trackCustomStep, then the step's arguments."""
        tracked = self.plan.custom_of(self.name) or SeriesOverrides()
        given = SeriesOverrides.read(series=self.series, tags=self.measureTags, **self._fixed_overrides)
        gate, unit = tracked.gate or given.gate, tracked.unit or given.unit
        return SeriesOverrides(
            tracked.series or given.series,
            tracked.kind or given.kind,
            unit,
            tracked.better or given.better,
            {**tracked.tags, **given.tags},
            None if gate is None else gate.in_unit(unit),
        )

    def _check_overrides(self) -> None:
        """Report a configuration error for arguments that are wrong before they are rendered."""
        series = None if IRenderable.providedBy(self.series) else self.series
        tags = None if contains_renderable(self.measureTags) else self.measureTags
        try:
            SeriesOverrides.read(series=series, tags=tags, **self._fixed_overrides)
        except MeasureError as error:
            config_error(f"{type(self).__name__}: {error}")

    def _disable_nagle(self) -> None:
        """Let the remote commands that read files follow each other without delay."""
        try:
            set_tcp_nodelay(self.remote)
        except OSError as error:
            self.pipeline.count("connection_errors", f"step {self.name}: {error}")

    def values_of(self, records: Sequence[Record]) -> list[Value]:
        """The values of records under the overrides."""
        return StepCapture(self, self.overrides(), self.plan).values(records)

    @defer.inlineCallbacks
    def _capture(self, measured: Measurement, *, store: bool) -> Generator[Any, Any, StepResults]:
        """Capture the records under the overrides; where these cannot be rendered, nothing is captured."""
        try:
            capture = StepCapture(self, self.overrides(), self.plan)
        except MeasureError as error:
            refused = [f"{error} (a rendered argument of the step)", *measured.errors]
            return StepResults(refused=refused, notes=self.notes)
        if store:
            capture.refuse(measured.errors)
        else:
            self.notes += [f"not read: {error}" for error in measured.errors]
        capture.results.notes = self.notes
        values = capture.values(measured.records)
        if store:
            yield capture_judged(capture, values, measured)
        else:
            capture.discard(values)
        return capture.results

    @defer.inlineCallbacks
    def _parse_output(self, collector: StdoutCollector) -> Generator[Any, Any, tuple[list[Record], list[str]]]:
        """The records that :meth:`parse` returns before its deadline, and error messages."""
        if not self.has_parser():
            return [], []
        try:
            records = yield self._parse_in_thread(collector) if self._parsing is None else self._parse_in_process()
            for record in records:
                if not isinstance(record, Record):
                    raise MeasureError(f"the parser returned {str(record)[:80]!r}: expected a list of Record")
            return records, []
        except MeasureError as error:
            return [], [str(error)]
        except Exception as error:  # noqa: BLE001  (an error in a parser is a warning of the step, counted)
            message = self.cleaned(f"step {self.name}: {type(error).__name__}: {error}")
            self.pipeline.count("parser_errors", message)
            return [], [f"the parser failed: {type(error).__name__}: {error}"]

    @defer.inlineCallbacks
    def _parse_in_process(self) -> Generator[Any, Any, Sequence[Record]]:
        """The records that a parser process finds in the spooled output."""
        assert self._parsing is not None
        job, spool = self._parsing
        yield self.spool_output(spool)
        output.check_complete(spool, "the output")
        pool = state_of(self.master).parser_pool
        records = yield pool.run(self.build.builder.name, job, spool, PARSER_TIMEOUT)
        return self.completed_records(records)

    @defer.inlineCallbacks
    def _parse_in_thread(self, collector: StdoutCollector) -> Generator[Any, Any, Sequence[Record]]:
        """The records that :meth:`parse` returns before its deadline."""
        text = yield self.text_to_parse(collector)
        text = self.cleaned(text)
        threads = state_of(self.master).parser_threads
        records: Sequence[Record] = yield threads.run(PARSER_TIMEOUT, lambda: self._call_parse(text))
        return records

    def _call_parse(self, text: str) -> list[Record]:
        """Call :meth:`parse`; SystemExit and the like become a RuntimeError, as they would not end the step."""
        try:
            return list(self.parse(text))
        except Exception:
            raise
        except BaseException as error:
            raise RuntimeError(repr(error)) from error
