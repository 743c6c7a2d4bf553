"""MeasureShellCommand: records from the output of any command."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any, Optional, Union

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.util import flatten
from twisted.internet import defer

from bbmeasure import adapters, patterns, units
from bbmeasure.adapters import Adapter
from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.parser_process import ParserJob
from bbmeasure.capture.plan import SeriesOverrides
from bbmeasure.errors import LimitError, MeasureError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure_scripts.run import RESOURCES
from bbmeasure_steps import output, remotefiles, sidecar
from bbmeasure_steps.arguments import check_boolean, check_python
from bbmeasure_steps.base import MAX_OUTPUT, MeasuringStep, Parser
from bbmeasure_steps.program import AUTO, bundled_command
from bbmeasure_steps.results import apply_overrides
from bbmeasure_steps.stdout import StdoutCollector


class MeasureShellCommand(MeasuringStep):
    """Runs a command and captures the records that it reports, or those in its output.

    A command reports records as marked lines on stdout or in the file named by ``$BBMEASURE_FILE``.  If it reports
    none, its stdout is parsed as one number with an optional unit, or with ``kind="text"`` kept as a text.

    ``pattern`` is a regular expression, tried on each line instead: the last match of each named group is a record of
    that name, the only unnamed group the step's own value.  ``parser`` parses the whole text: the name of an adapter,
    or a callable that returns a list of Record.  ``outputFile`` is parsed instead of stdout, a path relative to the
    step's work directory.

    ``resources=True`` runs the command under the bundled program ``run``, with the worker's interpreter ``python``, and
    adds ``{name}_wall``, ``_cpu``, ``_max_rss``, ``_tree_rss``, ``_read``, ``_written`` and ``_context_switches``.
    """

    renderables: Sequence[str] = ("outputFile", "python")

    def __init__(
        self,
        name: Any = None,
        command: Any = None,
        *,
        pattern: Optional[str] = None,
        parser: Union[str, Parser, None] = None,
        outputFile: Any = None,
        resources: bool = False,
        python: Any = AUTO,
        **kwargs: Any,
    ) -> None:
        if not name or not (isinstance(name, str) or IRenderable.providedBy(name)):
            config_error(f"{type(self).__name__}: name {name!r}: expected the name of the series")
            name = "unnamed"
        step = f"{type(self).__name__} {name!r}"
        if not command:
            config_error(f"{step}: command {command!r}: expected a command")
        if outputFile is not None and not isinstance(outputFile, str) and not IRenderable.providedBy(outputFile):
            config_error(f"{step}: outputFile {outputFile!r}: expected the path of a file")
        if resources and "initialStdin" in kwargs:
            config_error(f"{step}: resources and initialStdin: expected only one of them")
        if pattern is not None and parser is not None:
            config_error(f"{step}: pattern and parser: expected only one of them")
        self.outputFile = outputFile
        self.resources = check_boolean(step, "resources", resources)
        self.python = check_python(step, python)
        self._pattern = _compile_pattern(step, pattern)
        self._adapter = _find_adapter(step, parser)
        self._parser: Optional[Parser] = parser if callable(parser) else None
        self._stdout_path: Optional[str] = None
        super().__init__(name=name, command=command, **kwargs)

    @property
    def bbmeasure_derives(self) -> bool:
        """Whether records named NAME_suffix get the series of NAME with the same suffix."""
        return self.resources

    @property
    def has_own_units(self) -> bool:
        """Whether the parser has a unit for each of its series, and none of these is the step's own value."""
        adapter = self._adapter
        return adapter is not None and adapter.has_fixed_series and adapter.name != self.name

    # ---- MeasuringStep -------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Sequence[Record]:
        """The records of the pattern or the parser, else the text as one value."""
        job = self._job()
        if job is not None:
            return self.completed_records(job.run(text))
        return self._parser(text) if self._parser is not None else self.parse_plain(text)

    def parser_job(self) -> Optional[ParserJob]:
        """The pattern or the adapter; None with a callable or where parse() is overridden."""
        return self._job() if type(self).parse is MeasureShellCommand.parse else None

    def _job(self) -> Optional[ParserJob]:
        if self._pattern is not None:
            return ParserJob(pattern=self._pattern.pattern, name=str(self.name), own_is_text=self._is_text())
        return None if self._adapter is None else ParserJob(self._adapter.name)

    def completed_records(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records with the step's unit and direction where they have none; of an adapter with the direction."""
        given = self._fixed_overrides
        if self._pattern is not None:
            return self._with_defaults(records, SeriesOverrides.read(**given))
        return self._with_defaults(records, SeriesOverrides.read(better=given["better"]))

    def is_parsing_stdout(self) -> bool:
        """False with an output file, and where stdout is written to a file on the worker."""
        return not self.outputFile and not self.redirects_stdout()

    @defer.inlineCallbacks
    def spool_output(self, spool: Spool) -> Generator[Any, Any, None]:
        """Read the output file, or the file with stdout, from the worker."""
        try:
            if self.outputFile:
                yield output.read_file(self, self.outputFile, output.file_name(self.outputFile), spool, temporary=False)
            elif self.redirects_stdout():
                yield output.read_file(self, self._stdout_file(), "stdout", spool, temporary=True)
            elif self._is_document() and self._collector is not None:
                output.check_whole(self._collector.longest_line)
        except LimitError as error:
            hint = self._adapter.smaller if self._adapter is not None else ""
            raise LimitError(f"{error}; {hint}" if hint else str(error)) from None

    def kept_statuses(self) -> Collection[int]:
        """The exit statuses by which the adapter's tool reports what it found."""
        return self._adapter.measured_statuses if self._adapter is not None else ()

    def has_parser(self) -> bool:
        """True with a pattern, a parser, an output file, or an overridden parse()."""
        overridden = type(self).parse is not MeasureShellCommand.parse
        return bool(overridden or self._pattern or self._adapter or self._parser or self.outputFile)

    @defer.inlineCallbacks
    def text_to_parse(self, collector: StdoutCollector) -> Generator[Any, Any, str]:
        """The output file or stdout, for a callable or an overridden parse()."""
        if not self.outputFile:
            return collector.text()
        what = output.file_name(self.outputFile)
        spool = Spool(self.cleaned, MAX_OUTPUT)
        try:
            yield output.read_file(self, self.outputFile, what, spool, temporary=False)
            output.check_complete(spool, what)
            return spool.read().lstrip("\ufeff")
        finally:
            spool.close()

    def parses_stderr(self) -> bool:
        """Whether the adapter's tool writes to stderr."""
        return self._adapter is not None and self._adapter.on_stderr

    def parse_plain(self, text: str) -> Sequence[Record]:
        """The text as one number with an optional unit; with ``kind="text"`` the text itself."""
        if self._is_text():
            if not text.strip():
                raise MeasureError("empty output: expected a text")
            return [Record(str(self.name), text.strip())]
        quantity = units.parse(text)
        return [Record(self.name, quantity.value, unit=quantity.unit, kind=quantity.kind)]

    def is_supplementary(self, record: Record) -> bool:
        """Whether the record is one of those that ``resources`` adds."""
        return self.resources and any(record.name == f"{self.name}_{resource}" for resource in RESOURCES)

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """Make the command; with ``resources`` it runs under the bundled program ``run``."""
        given = self.command
        if self.resources:
            shell = ["/bin/sh", "-c"] if remotefiles.has_shell(self) else ["cmd", "/c"]
            arguments = [*shell, given] if isinstance(given, str) else flatten(given, (list, tuple))
            command = yield bundled_command(
                self, self.python, "run", [f"--name={self.name}", "--", *arguments], redirect=self._redirect
            )
        else:
            command = yield self.makeRemoteShellCommand(command=self._redirect(given))
        self.command: Any = given
        return command

    # ---- helpers -------------------------------------------------------------------------------------------------

    def _with_defaults(self, records: Sequence[Record], overrides: SeriesOverrides) -> Sequence[Record]:
        """``records`` with the step's unit and direction where they have none; the step's own value is unchanged."""
        if overrides.unit is None and overrides.better is None:
            return records
        return [record if record.name == self.name else _with_default(record, overrides) for record in records]

    def _is_text(self) -> bool:
        """Whether master.cfg declares the step's own value as a text."""
        return self.overrides().kind is Kind.TEXT

    def redirects_stdout(self) -> bool:
        """Whether stdout is written to a file on the worker: that of a tool whose output is a document."""
        return self._is_document() and self.parser_job() is not None and remotefiles.has_shell(self)

    def _is_document(self) -> bool:
        """Whether stdout is the report of a tool as a document, whose lines may be long."""
        return self._adapter is not None and not self._adapter.line_based and not self.outputFile

    def _redirect(self, command: Any) -> Any:
        return output.redirected(command, self._stdout_file()) if self.redirects_stdout() else command

    def _stdout_file(self) -> str:
        """The file on the worker that gets stdout."""
        if self._stdout_path is None:
            self._stdout_path = sidecar.path_of(self, "-stdout")
        return self._stdout_path


def _with_default(record: Record, overrides: SeriesOverrides) -> Record:
    unit = overrides.unit if record.unit == "1" and record.kind is Kind.NUMBER else None
    better = overrides.better if record.better is Direction.NONE else None
    return apply_overrides(record, SeriesOverrides(unit=unit, better=better), {})


def _compile_pattern(step: str, pattern: Optional[str]) -> Optional[patterns.Pattern]:
    try:
        return None if pattern is None else patterns.compile_pattern(pattern)
    except MeasureError as error:
        config_error(f"{step}: {error}")
        return None


def _find_adapter(step: str, parser: Union[str, Parser, None]) -> Optional[Adapter]:
    if parser is None or callable(parser):
        return None
    try:
        return adapters.find(parser)
    except MeasureError as error:
        config_error(f"{step}: parser: {error}")
        return None
