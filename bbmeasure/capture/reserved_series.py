"""Names of series that only the master writes."""

from __future__ import annotations

#: Series of durations that the master measures.
DURATIONS = frozenset(["build_duration", "queue_duration", "lock_duration", "step_duration"])
#: Prefixes of the master's own metrics, and of the series in which bbmeasure describes others.
PREFIXES = ("master.", "bbmeasure_")


def is_reserved_series(name: str) -> bool:
    """Whether only the master may write ``name``: values that a worker reports must not mix with its own."""
    return name in DURATIONS or name.startswith(PREFIXES)
