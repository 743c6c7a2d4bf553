"""Judgement of measurements against their own history: no store, no clock, numbers in and verdicts out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from bbmeasure.analysis.changepoints import Change, change_points
from bbmeasure.analysis.gate import ShiftDetector
from bbmeasure.analysis.verdict import Rules, State, Verdict

__all__ = ["Change", "Rules", "ShiftDetector", "State", "Verdict", "change_points", "verdicts"]


def verdicts(values: Iterable[float], rules: Optional[Rules] = None, **named: Any) -> list[Verdict]:
    """Judge each value as if only those before it were known; ``named`` are fields of :class:`.Rules`."""
    return ShiftDetector(rules, **named).replay(values)
