"""SLOCCount: source lines of code by language."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from twisted.internet import defer

from bbmeasure.errors import MeasureError
from bbmeasure.model import Query
from bbmeasure.records import Record
from bbmeasure_scripts.sloc import TOOLS
from bbmeasure_steps.arguments import check_strings, rendered_strings
from bbmeasure_steps.program import ProgramStep
from bbmeasure_steps.stdout import StdoutCollector


class SLOCCount(ProgramStep):
    """Counts the lines of source below ``path`` as the series ``name``, and ``{name}_by_language`` tagged ``language``.

    ``tool`` is scc, tokei, cloc, sloccount, pygount, pytokei or the bundled counter (``builtin``); ``auto`` uses what
    the worker has.  Tools count differently: with ``auto`` a series keeps the tool of its last build, and every value
    is tagged ``tool``, so that values of two tools are never compared.
    """

    name = "sloc"
    program = "sloc"
    measured_unit = "1"
    renderables: Sequence[str] = ("path", "exclude")

    def __init__(self, path: Any = ".", tool: str = "auto", *, exclude: Any = (), **kwargs: Any) -> None:
        self.path = check_strings("SLOCCount", "path", path, required=True)
        self.exclude = check_strings("SLOCCount", "exclude", exclude)
        self.tool = tool
        if tool not in TOOLS:
            config_error(f"SLOCCount: tool {tool!r}: expected one of {', '.join(TOOLS)}")
        self._previous_tool: Optional[str] = None
        super().__init__(**kwargs)

    def program_arguments(self) -> list[Any]:
        """The command line of the program ``sloc``."""
        excludes = [f"--exclude={pattern}" for pattern in rendered_strings("exclude", self.exclude or [])]
        keep = [f"--keep={self._previous_tool}"] if self._previous_tool is not None and self.tool == "auto" else []
        paths = rendered_strings("path", self.path or None)
        return [f"--name={self.name}", f"--tool={self.tool}", *keep, *excludes, "--", *paths]

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """Make the command, with the tool of the last build as an argument."""
        self._previous_tool = yield self._find_previous_tool()
        command = yield super().make_command()
        return command

    @defer.inlineCallbacks
    def _find_previous_tool(self) -> Generator[Any, Any, Optional[str]]:
        """The tool of the last earlier build of this builder; None where there is none."""
        try:
            query = Query(f"{self.own_series()}_tool", builder=self.build.builder.name)
            point = yield self.pipeline.with_timeout(self.pipeline.storage.last(query))
        except MeasureError as error:
            self.pipeline.count("previous_unknown", f"step {self.name}: {error}")
            return None
        known = point is not None and point.value in TOOLS
        return str(point.value) if known else None

    @defer.inlineCallbacks
    def collect(
        self, collector: StdoutCollector, sidecar_path: str, *, parse: bool
    ) -> Generator[Any, Any, tuple[list[Record], list[str]]]:
        """The records, each tagged with the tool that counted."""
        records, errors = yield super().collect(collector, sidecar_path, parse=parse)
        values = {record.name: record.value for record in records}
        tool = values.get(f"{self.name}_tool")
        if tool is None:
            return records, errors
        if self._previous_tool is not None and tool != self._previous_tool:
            self.notes.append(f"counted by {tool}, before by {self._previous_tool}: the values are not compared")
        tags = {"tool": str(tool)}
        tagged = [
            record if record.value == tool else replace(record, tags={**record.tags, **tags}) for record in records
        ]
        return tagged, errors
