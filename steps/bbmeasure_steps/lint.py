"""LintMetrics: the number of issues that a linter reports, by category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buildbot.config.errors import error as config_error
from buildbot.process.results import FAILURE, SUCCESS

from bbmeasure import adapters
from bbmeasure.records import Record
from bbmeasure_steps.arguments import check_boolean
from bbmeasure_steps.shell import MeasureShellCommand


class LintMetrics(MeasureShellCommand):
    """Counts the issues that ``command`` reports: ``name``, and ``{name}_by_category`` tagged ``category``.

    ``tool`` names the adapter that parses the output, from stdout or ``outputFile``; ``byFile=True`` adds
    ``{name}_by_file``.  The exit status by which the linter reports issues is SUCCESS; that of a crash is FAILURE.
    """

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
        folder = self.build.getProperty("builddir")
        root = str(self.build.path_module.join(folder, self.workdir)) if folder and self.workdir else ""
        return self._linter.records(text, name=str(self.name), by_file=self.by_file, root=root)

    def command_result(self, command: Any) -> int:
        """SUCCESS for an exit status by which the linter reports issues."""
        result = super().command_result(command)
        return SUCCESS if result == FAILURE and command.rc in self._linter.found_issues else result
