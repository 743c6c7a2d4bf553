"""LintMetrics: how many issues a linter finds, by category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buildbot.config.errors import error as config_error
from buildbot.process.results import FAILURE, SUCCESS

from bbmeasure import adapters
from bbmeasure.records import Record
from bbmeasure_steps.program import flag
from bbmeasure_steps.shell import MeasureShellCommand


class LintMetrics(MeasureShellCommand):
    """Issues that ``command`` reports as the series ``name``, and ``{name}_by_category`` tagged ``category``.

    ``tool`` names the adapter that reads the output, on stdout or in ``outputFile``; ``byFile=True`` gives
    ``{name}_by_file`` too.  That a linter found issues is no failure; that it crashed is one.
    """

    @property
    def bbmeasure_derives(self) -> bool:
        """Always: ``{name}_by_category`` follows ``name`` into its series."""
        return True

    def __init__(self, tool: Any = None, command: Any = None, *, byFile: bool = False, **kwargs: Any) -> None:
        self.tool = tool
        self.by_file = flag("LintMetrics", "byFile", byFile)
        found = adapters.find(tool) if tool in adapters.names() else None
        if found is not None and found.is_linter:
            self._linter = found
        else:
            config_error(f"LintMetrics: tool {tool!r}: expected a linter, one of {', '.join(adapters.linters())}")
        for other in ("pattern", "parser"):
            if other in kwargs:
                config_error(f"LintMetrics: expected no {other}=, tool= says how the output is read")
                del kwargs[other]
        kwargs.setdefault("name", str(tool))
        kwargs.setdefault("better", "lower")
        super().__init__(command=command, **kwargs)
        self._adapter = found

    def parse(self, text: str) -> Sequence[Record]:
        """The issues as records."""
        folder = self.build.getProperty("builddir")
        root = str(self.build.path_module.join(folder, self.workdir)) if folder and self.workdir else ""
        return self._linter.records(text, name=str(self.name), by_file=self.by_file, root=root)

    def success_of(self, command: Any) -> int:
        """An exit status by which the linter says that it found issues is SUCCESS."""
        result = super().success_of(command)
        return SUCCESS if result == FAILURE and command.rc in self._linter.found_issues else result
