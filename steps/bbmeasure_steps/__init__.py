"""Buildbot steps that measure, also available as ``buildbot.plugins.steps``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "CheckMeasurements": "check_measurements",
    "LintMetrics": "lint",
    "MeasureShellCommand": "shell",
    "MeasuringStep": "base",
    "SLOCCount": "sloc",
    "SizeOf": "size",
    "TimedPythonFunction": "timed",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605  (the names are listed once)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"bbmeasure_steps.{_PUBLIC[name]}"), name)
