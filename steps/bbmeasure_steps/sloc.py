"""SLOCCount: lines of source, by language."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from twisted.internet import defer

from bbmeasure.errors import MeasureError
from bbmeasure.model import Query
from bbmeasure.records import Record
from bbmeasure_steps.program import KitStep, as_list, texts
from bbmeasure_steps.stdout import StdoutCollector

TOOLS = ("auto", "builtin", "scc", "tokei", "cloc", "sloccount", "pygount", "pytokei")


class SLOCCount(KitStep):
    """Lines of source below ``path`` as the series ``name``, and ``{name}_by_language`` tagged ``language``.

    ``tool`` insists on one of scc, tokei, cloc, sloccount, pygount, pytokei or the bundled counter (``builtin``);
    ``auto`` takes what the worker has.  Tools count differently, and a change of tool is not a change of code: a series
    keeps the tool it had, and every value is tagged ``tool``, so that values of two tools are never compared.
    """

    name = "sloc"
    program = "sloc"
    renderables: Sequence[str] = ("path", "exclude")

    def __init__(self, path: Any = ".", tool: str = "auto", *, exclude: Any = (), **kwargs: Any) -> None:
        self.path = texts("SLOCCount", "path", path, required=True)
        self.exclude = texts("SLOCCount", "exclude", exclude)
        self.tool = tool
        if tool not in TOOLS:
            config_error(f"SLOCCount: tool {tool!r}: expected one of {', '.join(TOOLS)}")
        self._kept: Optional[str] = None
        super().__init__(**kwargs)

    def arguments(self) -> list[Any]:
        """What the program ``sloc`` is asked."""
        excludes = [f"--exclude={pattern}" for pattern in as_list("exclude", self.exclude or [])]
        keep = [f"--keep={self._kept}"] if self._kept is not None and self.tool == "auto" else []
        paths = as_list("path", self.path or None)
        return [f"--name={self.name}", f"--tool={self.tool}", *keep, *excludes, "--", *paths]

    @defer.inlineCallbacks
    def make_command(self) -> Generator[Any, Any, Any]:
        """The program, told which tool the series had."""
        self._kept = yield self._tool_before()
        command = yield super().make_command()
        return command

    @defer.inlineCallbacks
    def _tool_before(self) -> Generator[Any, Any, Optional[str]]:
        """The tool of the last earlier build of this builder; None where there is none."""
        try:
            query = Query(f"{self.own_series()}_tool", builder=self.build.builder.name)
            point = yield self.pipeline.within_patience(self.pipeline.storage.last(query))
        except MeasureError as error:
            self.pipeline.count("previous_unknown", f"step {self.name}: {error}")
            return None
        known = point is not None and point.value in TOOLS
        return str(point.value) if known else None

    @defer.inlineCallbacks
    def collect(
        self, collector: StdoutCollector, sidecar: str, *, parse: bool
    ) -> Generator[Any, Any, tuple[list[Record], list[str]]]:
        """The records, each tagged with the tool that counted."""
        found, refused = yield super().collect(collector, sidecar, parse=parse)
        named = {record.name: record.value for record in found}
        tool = named.get(f"{self.name}_tool")
        if tool is None:
            return found, refused
        if self._kept is not None and tool != self._kept:
            self.notes.append(f"{tool} counted, {self._kept} did before: their values are not compared")
        tags = {"tool": str(tool)}
        return [one if one.value == tool else replace(one, tags={**one.tags, **tags}) for one in found], refused
