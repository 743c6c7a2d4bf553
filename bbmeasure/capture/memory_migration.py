"""Moves the points that were captured into memory to the store that is attached later."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet import defer

from bbmeasure.capture.deadlines import PendingWrites
from bbmeasure.errors import MeasureError, SeriesConflictError
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.storage.base import CaptureStorage
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.validation import state_key

#: How many points are written at once, so that the reactor runs in between.
BATCH = 1_000


@defer.inlineCallbacks
def migrate(
    memory: MemoryStorage, storage: CaptureStorage, first_values: Mapping[str, Point], pending: PendingWrites
) -> Generator[Any, Any, None]:
    """Write the content of ``memory`` to ``storage``; what cannot be written is counted and lost.

    Running totals continue from those in the store.  ``first_values`` holds by their key the points of first reported
    values, whose difference from the last value in the store is written now.
    """
    if memory.is_empty():
        return
    proposed = memory.proposed_series()
    infos, points, state = memory.drain()
    left = len(points)
    try:
        known = yield storage.recall(list(state))
        refused = yield _declare(storage, infos, proposed, pending)
        points = [point for point in points if (point.series, point.builder or "") not in refused]
        points, state = continue_totals(points, state, first_values, known)
        for begin in range(0, len(points), BATCH):
            yield storage.write(points[begin : begin + BATCH])
            left -= BATCH
        yield storage.write([], state)
    except MeasureError as error:
        pending.count("migration_failed", f"{left} points from before the store was open are lost: {error}", left)


@defer.inlineCallbacks
def _declare(
    storage: CaptureStorage, infos: Sequence[SeriesInfo], proposed: Collection[tuple[str, str]], pending: PendingWrites
) -> Generator[Any, Any, set[tuple[str, str]]]:
    """Declare each series, as a proposal those that are ``proposed``.

    Returns name and builder of those that the store refuses.
    """
    refused = set()
    for info in infos:
        key = (info.name, "".join(info.builders))
        try:
            yield storage.declare(info, proposed=key in proposed)
        except SeriesConflictError as error:
            refused.add(key)
            pending.count("migration_failed", f"points from before the store was open are lost: {error}")
    return refused


def continue_totals(
    points: Sequence[Point], state: Mapping[str, float], first_values: Mapping[str, Point], known: Mapping[str, float]
) -> tuple[list[Point], dict[str, float]]:
    """Points and state as they had been with the totals ``known`` in the store from the beginning."""
    offsets = {key: value for key, value in known.items() if json.loads(key)[0] == "total"}
    migrated = [
        replace(point, value=point.value - known[key])  # type: ignore[operator]
        for key, point in first_values.items()
        if key in known
    ]
    for point in points:
        offset = offsets.get(state_key("total", point.series, point.builder, point.tags)) if offsets else None
        if offset is None or isinstance(point.value, str):
            migrated.append(point)
        else:
            migrated.append(replace(point, value=point.value + offset))
    return migrated, {key: value + offsets.get(key, 0.0) for key, value in state.items()}
