"""MeasureShellCommand: records from the output of any command."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Optional, Union

from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable
from buildbot.util import flatten
from twisted.internet import defer

from bbmeasure import adapters, patterns, units
from bbmeasure.adapters import Adapter
from bbmeasure.capture.plan import SeriesOverrides
from bbmeasure.errors import MeasureError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure_scripts.run import RESOURCES
from bbmeasure_steps import remotefiles
from bbmeasure_steps.arguments import check_boolean, check_python
from bbmeasure_steps.base import MAX_OUTPUT, MeasuringStep, Parser
from bbmeasure_steps.program import PYTHON, bundled_command
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
        python: Any = PYTHON,
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
        super().__init__(name=name, command=command, **kwargs)

    @property
    def bbmeasure_derives(self) -> bool:
        """Whether records named NAME_suffix get the series of NAME with the same suffix."""
        return self.resources

    # ---- MeasuringStep -------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Sequence[Record]:
        """The records of the pattern or the parser, else the text as one value."""
        if self._pattern is not None:
            records = patterns.parse(self._pattern, text, self.name, own_is_text=self._is_text())
            return self._with_defaults(records, SeriesOverrides.read(**self._fixed_overrides))
        if self._adapter is not None:
            better = self._fixed_overrides["better"]
            return self._with_defaults(self._adapter.parse(text), SeriesOverrides.read(better=better))
        if self._parser is not None:
            return self._parser(text)
        return self.parse_plain(text)

    def has_parser(self) -> bool:
        """True with a pattern, a parser, an output file, or an overridden parse()."""
        overridden = type(self).parse is not MeasureShellCommand.parse
        return bool(overridden or self._pattern or self._adapter or self._parser or self.outputFile)

    @defer.inlineCallbacks
    def text_to_parse(self, collector: StdoutCollector) -> Generator[Any, Any, str]:
        """The output file or stdout; MeasureError where an adapter would parse a truncated output."""
        if self.outputFile:
            text = yield self._read_output_file()
            return str(text)
        if self._adapter is not None and collector.dropped_text:
            raise MeasureError(
                f"{self._adapter.name}: expected the complete output, lost {collector.dropped_text} characters"
            )
        return collector.plain_text() if self._pattern else collector.text()

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
        if not self.resources:
            command = yield super().make_command()
            return command
        given = flatten(self.command, (list, tuple)) if isinstance(self.command, (list, tuple)) else self.command
        arguments = ["/bin/sh", "-c", given] if isinstance(given, str) else given
        command = yield bundled_command(self, self.python, "run", [f"--name={self.name}", "--", *arguments])
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

    @defer.inlineCallbacks
    def _read_output_file(self) -> Generator[Any, Any, str]:
        size = yield remotefiles.size_of(self, self.outputFile, self.workdir)
        if size is None:
            raise MeasureError(f"outputFile {units.excerpt(self.outputFile)}: expected a file, got none")
        if size > MAX_OUTPUT:
            raise MeasureError(
                f"outputFile {units.excerpt(self.outputFile)}: {size} bytes, expected at most {MAX_OUTPUT}"
            )
        content = yield remotefiles.read(self, self.outputFile, self.workdir, MAX_OUTPUT)
        return str(content.decode("utf-8-sig", "replace"))


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
