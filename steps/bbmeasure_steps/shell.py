"""MeasureShellCommand: whatever a command prints, kept as series."""

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
from bbmeasure_steps import remotefiles
from bbmeasure_steps.base import LARGEST_OUTPUT, MeasuringStep, Parser
from bbmeasure_steps.program import PYTHON, bundled_command, flag, interpreter
from bbmeasure_steps.results import apply_overrides
from bbmeasure_steps.stdout import StdoutCollector

#: What ``resources=True`` adds to the name.
RESOURCES = ("wall", "cpu", "max_rss", "tree_rss", "read", "written", "context_switches")


class MeasureShellCommand(MeasuringStep):
    """Run a command and keep what it measured.

    That is what the command reported (marked lines on stdout, the file named by ``$BBMEASURE_FILE``); if it reported
    nothing, its stdout is one number with an optional unit, or with ``kind="text"`` a text.  Instead of that,
    ``pattern`` is a regular expression, tried on each line: a named group gives a record of that name (the last match
    holds), the only unnamed group the step's own value.  Or ``parser`` reads the whole text: an adapter's name, or a
    callable from a text to Records.  ``outputFile`` is read instead of stdout, from the step's work directory.
    ``resources=True`` runs the command under the kit's ``run`` (by ``python`` on the worker) and adds ``{name}_wall``,
    ``_cpu``, ``_max_rss``, ``_read`` and ``_written``.
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
            config_error("MeasureShellCommand: expected name=, it names the series")
            name = "unnamed"
        if not command:
            config_error(f"{type(self).__name__} {name!r}: expected command=")
        if outputFile is not None and not isinstance(outputFile, str) and not IRenderable.providedBy(outputFile):
            config_error(f"{type(self).__name__} {name!r}: outputFile {outputFile!r}: expected the path of a file")
        self.outputFile = outputFile
        self.resources = flag(f"{type(self).__name__} {name!r}", "resources", resources)
        self.python = interpreter(f"{type(self).__name__} {name!r}", python)
        if resources and "initialStdin" in kwargs:
            config_error(f"{type(self).__name__} {name!r}: resources and initialStdin: expected one of them")
        self._pattern = _compile(name, pattern)
        self._adapter = _find_adapter(name, parser)
        self._parser: Optional[Parser] = parser if callable(parser) else None
        if pattern is not None and parser is not None:
            config_error(f"MeasureShellCommand {name!r}: pattern and parser: expected one of them")
        super().__init__(name=name, command=command, **kwargs)

    def wants_parse(self) -> bool:
        """With a pattern, a parser, an output file, or an own parse()."""
        own = type(self).parse is not MeasureShellCommand.parse
        return bool(own or self._pattern or self._adapter or self._parser or self.outputFile)

    @property
    def bbmeasure_derives(self) -> bool:
        """Whether NAME_something follows NAME into its series."""
        return self.resources

    def is_supplementary(self, record: Record) -> bool:
        """What ``resources`` reports."""
        return self.resources and any(record.name == f"{self.name}_{what}" for what in RESOURCES)

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """The command, under the kit's ``run`` where its resources are wanted."""
        if not self.resources:
            command = yield super().make_command()
            return command
        given = flatten(self.command, (list, tuple)) if isinstance(self.command, (list, tuple)) else self.command
        words = ["/bin/sh", "-c", given] if isinstance(given, str) else given
        command = yield bundled_command(self, self.python, "run", [f"--name={self.name}", "--", *words])
        self.command: Any = given
        return command

    def reads_stderr(self) -> bool:
        """Where the parser's tool speaks there."""
        return self._adapter is not None and self._adapter.on_stderr

    def parse(self, text: str) -> Sequence[Record]:
        """What the pattern or the parser finds, else what the whole text is."""
        if self._pattern is not None:
            found = patterns.parse(self._pattern, text, self.name, own_is_text=self._is_text())
            return self._as_meant(found, SeriesOverrides.read(**self._given))
        if self._adapter is not None:
            return self._as_meant(self._adapter.parse(text), SeriesOverrides.read(better=self._given["better"]))
        if self._parser is not None:
            return self._parser(text)
        return self.read_plain(text)

    def read_plain(self, text: str) -> Sequence[Record]:
        """The one number that the text is, with its unit if it has one; with ``kind="text"`` the text itself."""
        if self._is_text():
            if not text.strip():
                raise MeasureError("nothing printed: expected a text")
            return [Record(str(self.name), text.strip())]
        quantity = units.parse(text)
        return [Record(self.name, quantity.value, unit=quantity.unit, kind=quantity.kind)]

    def _as_meant(self, records: Sequence[Record], overrides: SeriesOverrides) -> Sequence[Record]:
        """Those of another name than the step's with ``unit=`` and ``better=`` of the step where they have none."""
        if overrides.unit is None and overrides.better is None:
            return records
        return [record if record.name == self.name else _filled(record, overrides) for record in records]

    def _is_text(self) -> bool:
        """Whether master.cfg says that the step's own value is a text."""
        return self._meaning().kind is Kind.TEXT

    @defer.inlineCallbacks
    def text_to_parse(self, collector: StdoutCollector) -> Generator[Any, Any, str]:
        """The output file where one is named, else stdout; MeasureError where a tool's output is not there in full."""
        if not self.outputFile:
            if self._adapter is not None and collector.cut:
                raise MeasureError(f"{self._adapter.name}: expected its whole output: a part gives a wrong number")
            return collector.plain() if self._pattern else collector.text()
        size = yield remotefiles.size_of(self, self.outputFile, self.workdir)
        if size is None:
            raise MeasureError(f"outputFile {units.excerpt(self.outputFile)}: expected a file, got none")
        if size > LARGEST_OUTPUT:
            raise MeasureError(
                f"outputFile {units.excerpt(self.outputFile)}: {size} bytes, expected at most {LARGEST_OUTPUT}"
            )
        content = yield remotefiles.read(self, self.outputFile, self.workdir, LARGEST_OUTPUT)
        return str(content.decode("utf-8-sig", "replace"))


def _filled(record: Record, overrides: SeriesOverrides) -> Record:
    unit = overrides.unit if record.unit == "1" and record.kind is Kind.NUMBER else None
    better = overrides.better if record.better is Direction.NONE else None
    return apply_overrides(record, SeriesOverrides(unit=unit, better=better), {})


def _compile(name: Any, pattern: Optional[str]) -> Optional[patterns.Pattern]:
    try:
        return None if pattern is None else patterns.compile_pattern(pattern)
    except MeasureError as error:
        config_error(f"MeasureShellCommand {name!r}: {error}")
        return None


def _find_adapter(name: Any, parser: Union[str, Parser, None]) -> Optional[Adapter]:
    if parser is None or callable(parser):
        return None
    try:
        return adapters.find(parser)
    except MeasureError as error:
        config_error(f"MeasureShellCommand {name!r}: parser: {error}")
        return None
