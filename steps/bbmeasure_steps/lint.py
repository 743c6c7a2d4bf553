"""LintMetrics: the number of issues that a linter reports, by category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.process.results import FAILURE, SUCCESS

from bbmeasure import adapters
from bbmeasure.capture.parser_process import ParserJob
from bbmeasure.records import Record
from bbmeasure_steps.arguments import check_boolean
from bbmeasure_steps.shell import MeasureShellCommand


class LintMetrics(MeasureShellCommand):
    """Counts the issues that ``command`` reports: ``name``, and ``{name}_by_category`` tagged ``category``.

    ``tool`` names the adapter that parses the output, from stdout or ``outputFile``; ``byFile=True`` adds
    ``{name}_by_file``.  The exit status by which the linter reports issues is SUCCESS if its output has one; that of a
    crash is FAILURE.
    """

    measured_unit = "1"

    @property
    def bbmeasure_derives(self) -> bool:
        """Always: ``{name}_by_category`` gets the series of ``name`` with the same suffix."""
        return True

    def __init__(self, tool: Any = None, command: Any = None, *, byFile: bool = False, **kwargs: Any) -> None:
        self.tool = tool
        self.by_file = check_boolean("LintMetrics", "byFile", byFile)
        adapter = adapters.find(tool) if tool in adapters.names() else None
        if adapter is not None and adapter.is_linter:
            self._linter = adapter
        else:
            config_error(f"LintMetrics: tool {tool!r}: expected a linter, one of {', '.join(adapters.linters())}")
        for argument in ("pattern", "parser"):
            if argument in kwargs:
                config_error(f"LintMetrics: unexpected {argument}=, tool= selects the parser")
                del kwargs[argument]
        kwargs.setdefault("name", str(tool))
        kwargs.setdefault("better", "lower")
        super().__init__(command=command, **kwargs)
        self._adapter = adapter

    def parse(self, text: str) -> Sequence[Record]:
        """The issues as records."""
        return self._linter.records(text, name=str(self.name), by_file=self.by_file, root=self._root())

    def _root(self) -> str:
        """The work directory on the worker, to which the files of issues are relative."""
        folder = self.build.getProperty("builddir")
        return str(self.build.path_module.join(folder, self.workdir)) if folder and self.workdir else ""

    def parser_job(self) -> Optional[ParserJob]:
        """The linter's adapter, counting under the step's name; None where parse() is overridden."""
        if type(self).parse is not LintMetrics.parse:
            return None
        return ParserJob(self._linter.name, name=str(self.name), issues=True, by_file=self.by_file, root=self._root())

    def command_result(self, command: Any) -> int:
        """SUCCESS for an exit status by which the linter reports issues."""
        result = super().command_result(command)
        return SUCCESS if result == FAILURE and command.rc in self._linter.found_issues else result

    def failure_reason(self, result: int, command: Any, records: Sequence[Record]) -> Optional[str]:
        """That no issue is in the output although the linter reports issues: it is not installed, or crashed."""
        if self.stopped or result != SUCCESS or command.rc not in self._linter.found_issues:
            return None
        if super().command_result(command) != FAILURE or any(record.value for record in records):
            return None
        if records and not self._linter.line_based:  # a document without an issue
            return None
        lines = [] if self._collector is None else self._collector.stderr_end.strip().splitlines()
        last = f" ({lines[-1].strip()[:200]})" if lines else ""
        return f"exit status {command.rc} without an issue in the output{last}: is {self._linter.name} installed?"
